"""Taking a person out of a workspace, so that it may be killed at any point and repeated."""
