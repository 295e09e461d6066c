"""The Great Expectations suites: what a night's clean tables must be before anything is built."""
