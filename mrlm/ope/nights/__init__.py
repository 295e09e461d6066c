"""Estimates over nights: mixtures of past logs, tomorrow, hindcast, power, spending of error."""
