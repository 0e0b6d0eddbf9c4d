"""Tidy DataFrames from records, and their cache."""
