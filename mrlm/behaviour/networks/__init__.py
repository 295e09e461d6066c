"""The networks of pairs: trained with PyTorch, asked with NumPy."""
