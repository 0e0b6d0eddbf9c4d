"""Training and fine-tuning (floor 4)."""
