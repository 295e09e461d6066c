"""What a night reads: its plan, its part of the lake, the nights and judgements before it."""
