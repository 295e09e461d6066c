"""What the columns of a table mean, and the values in them."""
