"""Reward models on top of embeddings: what a user will do with each candidate."""
