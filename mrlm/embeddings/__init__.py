"""Encoders of item text, the store of their vectors, and user state from history."""
