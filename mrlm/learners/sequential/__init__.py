"""Learners that take a session as a whole."""
