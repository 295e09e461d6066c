"""A version loaded in a fresh process, to see that it does what its evidence says."""
