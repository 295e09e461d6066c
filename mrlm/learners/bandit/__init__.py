"""Learners that take each decision by itself."""
