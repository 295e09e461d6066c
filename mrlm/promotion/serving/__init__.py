"""A version as it serves: its bundle, users' states, lists of recommendations."""
