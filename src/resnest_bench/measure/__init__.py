"""Measurements of a network: latency, complexity and accuracy (floor 3)."""
