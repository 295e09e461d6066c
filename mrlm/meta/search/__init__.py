"""The search for a point with a large lower bound, within limits."""
