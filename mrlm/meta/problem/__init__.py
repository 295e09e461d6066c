"""What the meta-update is given, as arrays: rounds, the tuned policy on them, and its lifts."""
