"""Running stages one after another: a night, a history, a bootstrap, the lease."""
