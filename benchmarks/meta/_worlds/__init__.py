"""Worlds of this room: what is true of them, the nights that they give, and nights in a row."""
