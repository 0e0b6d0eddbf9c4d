"""Measuring what is there: latency, complexity, accuracy, environment (floor 3)."""
