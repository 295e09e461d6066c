"""Files of any shape to raw rows of the contract, each with its place."""
