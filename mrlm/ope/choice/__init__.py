"""Choosing an estimator's own parameters by data that its estimate does not use."""
