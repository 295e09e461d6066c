"""Off-policy evaluation, side by side with peers and with the truth."""
