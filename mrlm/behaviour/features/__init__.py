"""What networks read of states and candidates: fitted scales, pairs, items, tastes."""
