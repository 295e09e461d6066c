"""Other settings of the behaviour model, which nights try and which may take over."""
