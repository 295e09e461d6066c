"""What a person asks of a night: what weights do, why they moved, what they trade off."""
