"""Looking after a workspace: its health, its quarantine, its summary, old files."""
