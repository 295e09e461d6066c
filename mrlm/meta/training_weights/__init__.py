"""The objective weights that learners train with."""
