"""Versions and aliases in MLflow's registry, and the marks that tie them to the ledger."""
