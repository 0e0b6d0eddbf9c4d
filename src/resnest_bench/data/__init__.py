"""Datasets: prepared once as uint8 arrays with a fingerprint, then memory-mapped (floor 2).

Nothing imported here needs torch; only `data.batches` does.
"""

from resnest_bench.data.leakage import check_leakage, counts_text, report_file
from resnest_bench.data.prepared import PreparedDataset, PreparedMeta, Split, open_prepared, verify
from resnest_bench.data.sources import SOURCES, Source, is_prepared, prepare, source_fingerprint

__all__ = [
    "SOURCES",
    "PreparedDataset",
    "PreparedMeta",
    "Source",
    "Split",
    "check_leakage",
    "counts_text",
    "is_prepared",
    "open_prepared",
    "prepare",
    "report_file",
    "source_fingerprint",
    "verify",
]
