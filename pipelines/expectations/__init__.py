"""What a bandit log must satisfy before anything is learned from it."""
