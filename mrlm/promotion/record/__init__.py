"""The hash-chained ledger, and what can be read from its entries."""
