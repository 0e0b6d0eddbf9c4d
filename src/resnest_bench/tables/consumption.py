"""Columns of memory, energy and cost, in tables with one row per variant, where a study asks for them."""

from resnest_bench.frames.costs import find_price
from resnest_bench.specs import StudySpec

ENERGY = [
    "energy_joules_per_image",
    "energy_low_joules",
    "energy_high_joules",
    "energy_rounds",
    "energy_round_joules",
]
COST = [
    "cost_per_million_images",
    "cost_low",
    "cost_high",
    "cost_rounds",
    "cost_round_values",
]
INTEGERS = ["energy_rounds", "cost_rounds"]
LISTS = ["energy_round_joules", "cost_round_values"]


def consumption_columns(study: StudySpec) -> list[str]:
    """The columns that `latency_values` fills for this study; empty if it asks for none of them."""
    protocols = [study.protocol(block.protocol) for block in study.latency]
    has_memory = any(spec.memory for spec in protocols)
    has_energy = any(spec.energy_seconds for spec in protocols)
    has_cost = any(find_price(study, block.protocol) for block in study.timed)
    return [
        *(["resident_bytes"] if has_memory else []),
        *(ENERGY if has_energy else []),
        *(COST if has_cost else []),
        *(["consumption_gap"] if has_memory or has_energy else []),
    ]
