"""Hyper-parameters that learn from the log: tried on tune nights, kept where in doubt."""
