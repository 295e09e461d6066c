"""Worlds of this room: logs that are drawn, and what is true of them."""
