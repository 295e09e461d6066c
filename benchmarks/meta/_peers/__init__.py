"""Peers that choose weights, or start from few rows, beside ours."""
