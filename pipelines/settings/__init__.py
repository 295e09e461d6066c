"""The settings of a deployment: one typed model, read from a file and the environment."""
