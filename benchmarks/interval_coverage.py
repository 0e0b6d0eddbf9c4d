"""Does a nominal 95 % interval cover 95 %? Whole studies are simulated, and every method is tried.

    python benchmarks/interval_coverage.py --studies 2000 --out coverage.json > coverage.md

simulated.py says how studies are made.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from interval_simulations import (
    accuracy_rows,
    bounded_accuracy_rows,
    bounded_latency_rows,
    family_rows,
    one_seed_rows,
    probability_rows,
)
from simulated import Row, Setting
from table_simulations import effect_rows, front_rows, latency_rows, power_rows

# Two seeds have no interval and no test.
NUM_SEEDS = (3, 5, 10)
# Accuracies and numbers of test images at which intervals come near to 100 %, and log sds of timings.
NEAR_BOUND = ((0.62, 1000), (0.95, 200), (0.95, 1000), (0.99, 1000))
LOG_SDS = (0.03, 0.3, 0.8)
NUM_IMAGES = (1000, 10_000)
SEED_SD_POINTS = (0.3, 1.0)


def every_part(num_studies: int) -> list[tuple[str, Callable[[np.random.Generator], list[Row]]]]:
    """Name and maker of each part of the report; those of the mixed model on a quarter of the studies."""
    parts: list[tuple[str, Callable]] = [
        ("one seed", functools.partial(one_seed_rows, images, sd, num_studies))
        for images in NUM_IMAGES
        for sd in (0.0, *SEED_SD_POINTS)
    ]
    parts += [
        ("bounds", functools.partial(bounded_accuracy_rows, n, *near, num_studies))
        for n in NUM_SEEDS
        for near in NEAR_BOUND
    ]
    parts += [
        ("bounds", functools.partial(bounded_latency_rows, n, log_sd, num_studies))
        for n in NUM_SEEDS
        for log_sd in LOG_SDS
    ]
    for n in NUM_SEEDS:
        parts += [
            ("accuracy", functools.partial(accuracy_rows, Setting(n, images, sd), num_studies))
            for images in NUM_IMAGES
            for sd in SEED_SD_POINTS
        ]
        parts += [
            ("tests", functools.partial(family_rows, Setting(n, 1000, sd), num_studies))
            for sd in SEED_SD_POINTS
        ]
        parts += [
            ("probabilities", functools.partial(probability_rows, n, spread, num_studies))
            for spread in (0.3, 1.0)
        ]
        parts += [
            ("front", functools.partial(front_rows, n, spread, num_studies))
            for spread in (1.0, 3.0)
        ]
        parts.append(("latency", functools.partial(latency_rows, n, num_studies)))
        parts += [
            ("effects", functools.partial(effect_rows, n, last_sd, max(1, num_studies // 4)))
            for last_sd in (1.0, 2.0)
        ]
        parts.append(("power", functools.partial(power_rows, n, num_studies)))
    return parts


def markdown(rows: list[Row]) -> str:
    """A table a section: a line for each method and setting, a column for each n."""
    lines = []
    for section in dict.fromkeys(row["section"] for row in rows):
        chosen = [row for row in rows if row["section"] == section]
        keys = [
            k
            for k in (
                "method",
                "images",
                "accuracy",
                "log_sd",
                "seed_sd",
                "spread",
                "last_sd",
                "figure",
            )
            if k in chosen[0]
        ]
        counts = sorted({row["n"] for row in chosen})
        lines += [
            f"### {section}",
            "",
            "| " + " | ".join([*keys, *(f"n = {n}" for n in counts)]) + " |",
            "|" + "---|" * (len(keys) + len(counts)),
        ]
        groups: dict[tuple, dict[int, str]] = {}
        for row in chosen:
            groups.setdefault(tuple(row[k] for k in keys), {})[row["n"]] = _cell(row)
        for group, cells in sorted(groups.items(), key=lambda item: tuple(map(str, item[0]))):
            found = [cells.get(n, "") for n in counts]
            lines.append("| " + " | ".join([*map(str, group), *found]) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(row: Row) -> str:
    if row["figure"].startswith(("width", "least")):
        return f"{row['value']:.2f}"
    said = f"{100 * row['said']:.1f} said, " if "said" in row else ""
    return f"{said}{100 * row['value']:.1f} ± {100 * row['error']:.1f} ({row['studies']})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000, help="simulated studies a setting")
    parser.add_argument("--out", type=Path, help="JSON file for every figure")
    parser.add_argument("--only", help="one section: accuracy, tests, probabilities, ...")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    rows: list[Row] = []
    for place, (section, make) in enumerate(every_part(given.studies)):
        if given.only in (None, section):
            # A stream of its own: a part gives the same figures whichever others run.
            rows += make(np.random.default_rng([given.seed, place]))
    print(markdown(rows))
    seconds = time.monotonic() - began
    print(f"In %, ± one Monte Carlo standard error (simulated studies). {seconds:.0f} s.")
    if given.out:
        given.out.write_text(json.dumps({"studies": given.studies, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
