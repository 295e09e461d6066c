"""A session and its Java, work that runs side by side, and tables that are written."""
