"""The next item of a sequence: the data, what tells it, and what is asked of it by the calendar."""
