"""What a log that nobody described holds: samples of its files, and a proposed mapping."""
