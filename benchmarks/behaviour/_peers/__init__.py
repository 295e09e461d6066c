"""Peers of the next item, run by an environment of their own: one script each."""
