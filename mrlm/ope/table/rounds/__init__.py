"""Rows of a table put together to rounds: decisions, slates and sessions."""
