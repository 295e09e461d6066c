"""Weights for each segment: what it wants, by its decisions and by what its features say."""
