"""The bandit log as files: its schema, and how it is read, whole or in parts."""
