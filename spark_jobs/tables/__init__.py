"""Each raw table typed, pseudonymised, screened and put into a category."""
