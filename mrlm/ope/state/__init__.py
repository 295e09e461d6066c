"""Sums by user that can be merged, from one night or one part of a table to all of them."""
