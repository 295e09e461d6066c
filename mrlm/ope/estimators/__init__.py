"""The family of estimators: from logged rounds and a target policy to round scores."""
