"""A policy asked otherwise: its models in one pass, or in single precision."""
