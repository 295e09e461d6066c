"""gittins in recogym's world: the log of another engine, and the truth about its contexts."""
