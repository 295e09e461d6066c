"""What keeps people out of what is published and kept."""
