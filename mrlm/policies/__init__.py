"""What maps states and candidate sets to probabilities."""
