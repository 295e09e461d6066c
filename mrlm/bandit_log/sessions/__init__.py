"""Which decisions are of one session, and what follows a decision in it."""
