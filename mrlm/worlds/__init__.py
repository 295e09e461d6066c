"""Simulated worlds with known truth, and replay of complete ratings as a log."""
