"""Which seeds of a network stand out: failed trainings, and trainings in two groups."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from resnest_bench.formats import is_known
from resnest_bench.stats.failures import ALPHA, MIN_SEEDS, find_failed, find_two_groups


@dataclass(frozen=True)
class SeedFlags:
    """Flags from the accuracies of one network.

    `failed` are the seeds far below the others. `lower_group` are the seeds of the lower of two groups among
    the rest, empty for one group; `gap_points` is the distance of the groups' means. `groups_p` is the p-value
    for one normal sample, None with too few seeds.
    """

    failed: tuple[int, ...] = ()
    lower_group: tuple[int, ...] = ()
    gap_points: float | None = None
    groups_p: float | None = None


def flag_seeds(accuracies: Mapping[int, float], scale: float = math.nan) -> SeedFlags:
    """Flag the seeds of one network by their accuracies in %. Below five seeds nothing is flagged.

    `scale` is the typical spread of the experiment's networks in points; NaN: only this network's own counts.
    """
    if len(accuracies) < MIN_SEEDS:
        return SeedFlags()
    seeds, values_S = np.array(list(accuracies)), np.array(list(accuracies.values()))
    failed_S = find_failed(values_S, None if math.isnan(scale) else scale)
    rest, failed = values_S[~failed_S], tuple(map(int, seeds[failed_S]))
    if len(rest) < MIN_SEEDS:
        return SeedFlags(failed)
    groups = find_two_groups(rest)
    p = float(groups.p)
    if p > ALPHA:
        return SeedFlags(failed, groups_p=p)
    order = np.argsort(rest, kind="stable")[: int(groups.num_low)]
    lower = tuple(sorted(map(int, seeds[~failed_S][order])))
    return SeedFlags(failed, lower, float(groups.gap), p)


def describe_flags(flags: SeedFlags) -> list[str]:
    """One sentence per kind of flag; empty without any."""
    parts = []
    if flags.failed:
        parts.append(f"{_name_seeds(flags.failed)}: accuracy far below the other seeds")
    if flags.lower_group and is_known(flags.gap_points):
        parts.append(
            f"{_name_seeds(flags.lower_group)}: a group {flags.gap_points:.1f} points below the other seeds"
        )
    return parts


def _name_seeds(seeds: tuple[int, ...]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
