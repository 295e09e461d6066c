"""Whether a log's numbers can be true: checks of arrays, before anything is learned from it."""
