"""Networks (floor 2): one file per family, weights, and a readable split attention."""

from resnest_bench.models.fast import may_crash, optimize_for_training
from resnest_bench.models.heads import (
    block_numbers,
    head_module,
    input_stats,
    split_parameters,
)
from resnest_bench.models.registry import (
    FAMILIES,
    build_model,
    check_buildable,
    check_image,
    fit_to_image,
)

__all__ = [
    "FAMILIES",
    "block_numbers",
    "build_model",
    "check_buildable",
    "check_image",
    "fit_to_image",
    "head_module",
    "input_stats",
    "may_crash",
    "optimize_for_training",
    "split_parameters",
]
