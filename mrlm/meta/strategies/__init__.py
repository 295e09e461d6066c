"""Ways to choose the weights: the project's own, and the baselines that it is held against."""
