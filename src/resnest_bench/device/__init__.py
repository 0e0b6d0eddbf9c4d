"""The machine under a job: which device, its memory, threads and environment (floor 1)."""
