"""From a log of the fit nights to a reward model."""
