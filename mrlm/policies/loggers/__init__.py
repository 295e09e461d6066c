"""Loggers as policies, and what one that is unknown may have looked at."""
