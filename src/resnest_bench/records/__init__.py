"""Records: one JSON file per job, that is per seed or round (floor 0).

`record` reads and writes records, `observations` defines their parts, `metrics` extracts their values, and
`progress` is the small file with the progress of an unfinished training.
"""

from resnest_bench.records.record import (
    SCHEMA_VERSION,
    Record,
    json_schema,
    pack_bits,
    read,
    unpack_bits,
    write,
)

__all__ = [
    "SCHEMA_VERSION",
    "Record",
    "json_schema",
    "pack_bits",
    "read",
    "unpack_bits",
    "write",
]
