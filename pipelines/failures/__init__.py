"""Failures and their exit codes, and those of other libraries in our words."""
