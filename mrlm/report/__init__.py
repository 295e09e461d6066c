"""The review page, its plots, and the decision memo."""
