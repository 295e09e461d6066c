"""One item for each of many requests at once, where items may be shown so many times alone."""
