"""The behaviour model ``sequence``: a transformer over a user's whole sequence of events."""
