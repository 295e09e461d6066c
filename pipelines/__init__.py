"""The nights: stages, their contract, the runner, settings, workspace, and the command line."""
