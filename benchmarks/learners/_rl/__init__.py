"""Peers of sequential learning, run by an environment of their own."""
