"""A pretrained transformer that reads a user's history and a candidate, tuned to behaviour."""
