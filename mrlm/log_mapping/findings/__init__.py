"""What is to be known of a log: what it lacks, and what looks wrong in it."""
