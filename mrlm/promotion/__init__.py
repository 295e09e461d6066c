"""Evidence, gate, ledger, registry and served model: the one room that knows MLflow."""
