"""Records to tidy DataFrames, and their cache."""
