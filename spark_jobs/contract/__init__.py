"""The raw contract and the clean one, the clock of nights, and how a refusal reads."""
