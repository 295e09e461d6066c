"""What a log leaves open of predictions: arrays alone, no model."""
