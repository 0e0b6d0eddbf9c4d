"""The machine that a job runs on: its device, memory, threads and environment (floor 1)."""
