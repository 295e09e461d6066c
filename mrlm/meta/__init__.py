"""The meta-update: objective weights and hyper-parameters of the tuned policy."""
