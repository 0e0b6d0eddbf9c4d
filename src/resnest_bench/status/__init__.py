"""Which records are current, stale, invalid or missing, and why (floor 2)."""
