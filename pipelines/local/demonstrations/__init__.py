"""Settings of the demonstration logs."""
