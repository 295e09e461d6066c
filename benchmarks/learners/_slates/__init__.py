"""A small world of lists, in which every list that a policy may show can be counted."""
