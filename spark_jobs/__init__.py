"""Spark jobs: raw logs to clean tables, clean tables to the bandit log."""
