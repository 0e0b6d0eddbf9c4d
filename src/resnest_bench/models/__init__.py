"""Networks (floor 2): a family a file, weights, and the readable split attention."""

from resnest_bench.models.fast import make_fast
from resnest_bench.models.heads import head_module, input_stats, split_parameters
from resnest_bench.models.registry import FAMILIES, build_model, check_buildable

__all__ = [
    "FAMILIES",
    "build_model",
    "check_buildable",
    "head_module",
    "input_stats",
    "make_fast",
    "split_parameters",
]
