"""Records: one JSON file per job and seed (floor 0).

`record` reads and writes one, `observations` are its parts, `metrics` its figures, and `progress`
is the small file that says how far a training is.
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
