"""Side by side with peers and with the truth, one command each."""
