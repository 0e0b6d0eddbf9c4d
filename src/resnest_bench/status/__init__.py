"""What is current, stale, invalid or missing, and why (floor 2): one place for all who ask."""
