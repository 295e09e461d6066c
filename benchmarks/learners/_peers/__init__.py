"""Peers that are fitted on logged decisions, and how their settings are chosen."""
