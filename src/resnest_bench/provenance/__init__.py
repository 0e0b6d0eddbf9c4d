"""A study for other tools: a Workflow Run RO-Crate, and its data sets as Croissant (floor 5)."""

from resnest_bench.provenance.crate import write_crate
from resnest_bench.provenance.croissant import describe_datasets

__all__ = ["describe_datasets", "write_crate"]
