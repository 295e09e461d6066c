"""A linear last layer that adapts to a new scene, tenant or user by one solve."""
