"""The meta-update: weights of the tuned policy, and so its temperature and its pessimism."""
