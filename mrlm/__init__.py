"""Nightly, proven retraining of recommender policies from logged bandit feedback."""

__version__ = "0.1.0"
