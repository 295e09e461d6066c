"""Whether a log tells the truth: checks on a night's numbers, as pure functions of arrays."""
