"""Parts of the bandit log: rewards, sessions and what users had been shown."""
