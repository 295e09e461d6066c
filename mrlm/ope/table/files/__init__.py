"""Files of any known format as Arrow batches."""
