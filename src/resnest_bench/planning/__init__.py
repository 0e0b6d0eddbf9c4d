"""What a study will cost before its first hour (floor 5): measured in seconds, told by job kind.

`clock` measures, `trainings`, `latencies` and `datasets` price one experiment each, `estimate` adds
them up, `storage` counts bytes, and `texts` says it all.
"""
