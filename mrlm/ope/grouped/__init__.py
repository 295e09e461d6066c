"""Rounds that hold several rewards each: what slates and sessions share."""
