"""The gate that judges a challenger, and the review by which a person decides."""
