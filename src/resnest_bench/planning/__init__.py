"""An estimate of a study's time and disk space before it runs (floor 5).

`clock` measures short pieces of work; `trainings`, `latencies` and `datasets` estimate one kind of job each,
`estimate` adds them up, `storage` counts bytes, and `texts` formats the result. `cores` chooses how
trainings share the cores of a machine without a GPU. A "price" is an expected duration in seconds.
"""
