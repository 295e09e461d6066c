"""What estimators make of a table: which its columns allow, their sums, and what is told."""
