"""The reward model: an ensemble of one member a fold, asked alone or with others in one pass."""
