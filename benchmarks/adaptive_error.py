"""Seeds that are added until a claim is decided: how often is a verdict wrong, and what is saved?

    python benchmarks/adaptive_error.py --studies 2000 --out adaptive.json > adaptive.md

simulated.py says how studies are made. Every look planned is taken unless a verdict came before it,
which is the worst case: to stop for lack of hope, or of budget, only makes verdicts rarer.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal
from simulated import (
    OWN_DIFFICULTY_SD,
    Row,
    Setting,
    Tally,
    equal,
    moderated_error,
    simulate,
)

from resnest_bench.claims.hypotheses import band_p_values
from resnest_bench.claims.verdicts import (
    SUPPORTED,
    combine_p_values,
    decide_verdicts,
)
from resnest_bench.specs import AdaptiveSpec
from resnest_bench.stats.intervals import MeanEstimate, estimate_mean, two_way_interval
from resnest_bench.stats.moderated import welch_difference
from resnest_bench.stats.sequential import allocate_seeds, correct_for_looks, nominal_levels

ALPHA = 0.05
ABOVE = (0.0, np.inf)
# Own seeds, most seeds, step.
SCHEDULES = ((2, 6, 1), (2, 10, 2), (3, 9, 2), (3, 10, 1), (5, 15, 5), (5, 20, 5))
SEED_SD_POINTS = (0.3, 1.0)
NUM_IMAGES = 1000
# How much two variants vary, as a multiple of one point, and how many standard errors of one seed of each
# they are apart where there is something to find.
SPREADS = ((1.0, 1.0), (1.0, 2.0), (1.0, 4.0))
DISTANCE = 0.9
# Of four equal variants: (first, second) of each pair of a claim, which says that the first is better.
# Each is false, so that only 'supported' is wrong.
CLAIMS = ([(0, 1)], [(2, 1)], [(3, 2)], [(1, 0), (2, 0)], [(3, 0), (3, 1), (3, 2)])


def make_schedule(own: int, most: int, step: int) -> tuple[int, ...]:
    return AdaptiveSpec(max_seeds=most, step=step).schedule(own)


def pocock_level(alpha: float, counts: tuple[int, ...]) -> float:
    """Nominal two-sided level of each look, of normal means over `counts` values (not used).

    The z with P(|Z_k| < z at all looks) = 1 - alpha, where corr(Z_j, Z_k) = sqrt(n_j / n_k) (Pocock,
    Biometrika 64 (1977) 191).
    """
    n = np.array(counts, dtype=float)
    correlation = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))

    def missing(z: float) -> float:
        limits = np.full(len(n), z)
        # Integrated by random lattices: the same ones each time.
        inside = multivariate_normal.cdf(
            limits, cov=correlation, lower_limit=-limits, rng=np.random.default_rng(0)
        )
        return float(inside) - (1 - alpha)

    lowest, highest = -ndtri(alpha / 2), -ndtri(alpha / 2 / len(n))
    z = brentq(missing, lowest, highest + 0.01, xtol=1e-4)
    return float(2 * ndtr(-z))


def errors_at(differences_KSN: np.ndarray, counts: tuple[int, ...]) -> list[MeanEstimate]:
    """In points, as claims take them: one of each look."""
    found = []
    for n in counts:
        error = estimate_mean(differences_KSN[:, :n])
        found.append(
            MeanEstimate(100 * error.mean, 1e4 * error.seed_variance, 1e4 * error.image_variance, n)
        )
    return found


def p_at(errors: list[MeanEstimate]) -> np.ndarray:
    """p for and against "the first is better": (2, studies, looks)."""
    each = [np.stack(band_p_values(error, *ABOVE)) for error in errors]
    # A look without a spread is no test, as in the library.
    p: np.ndarray = np.nan_to_num(np.stack(each, axis=-1), nan=1.0)
    return p


def error_rows(
    schedule: tuple[int, int, int],
    seed_sd: float,
    own_sd: float,
    num_studies: int,
    rng: np.random.Generator,
) -> list[Row]:
    """Two variants that are equally good: that the first is better is false, and 'supported' is wrong."""
    counts = make_schedule(*schedule)
    tally = _tally("wrong verdicts, one claim", schedule, seed_sd)
    where = "no image part" if own_sd == 0 else "with an image part"
    # Its two-sided level for an error of ALPHA on one side.
    level = pocock_level(2 * ALPHA, counts)
    for made in simulate(
        equal(num_studies, 2), Setting(counts[-1], NUM_IMAGES, seed_sd, own_sd), rng
    ):
        p_for, _ = p_at(errors_at(_apart(made.bits, 0, 1), counts))
        used = correct_for_looks(p_for, counts, range(len(counts)))
        tally.add(f"any look, {where}", "used: O'Brien-Fleming", used <= ALPHA)
        bonferroni = len(counts) * p_for.min(axis=-1)
        tally.add(f"any look, {where}", "Bonferroni over looks (not used)", bonferroni <= ALPHA)
        tally.add(f"any look, {where}", "Pocock (not used)", (2 * p_for <= level).any(axis=-1))
        tally.add(f"any look, {where}", "uncorrected (wrong)", (p_for <= ALPHA).any(axis=-1))
    return tally.rows()


def normal_rows(
    schedule: tuple[int, int, int], num_studies: int, rng: np.random.Generator
) -> list[Row]:
    """Differences that are normal, and no image part: where the levels are nearest to their limits."""
    counts = make_schedule(*schedule)
    tally = _tally("wrong verdicts, normal differences", schedule, 1.0)
    values = rng.standard_normal((num_studies, counts[-1]))
    none = np.zeros(num_studies)
    errors = [
        MeanEstimate(values[:, :n].mean(axis=1), values[:, :n].var(axis=1, ddof=1) / n, none, n)
        for n in counts
    ]
    p_for, _ = p_at(errors)
    used = correct_for_looks(p_for, counts, range(len(counts)))
    tally.add("any look", "used: O'Brien-Fleming", used <= ALPHA)
    for alpha in (ALPHA, ALPHA / 5):
        level = pocock_level(2 * alpha, counts)
        # Of five claims, Bonferroni's level.
        name = f"Pocock at {100 * alpha:.0f} % (not used)"
        tally.add("any look", name, (2 * p_for <= level).any(axis=-1))
    return tally.rows()


def family_rows(
    schedule: tuple[int, int, int], seed_sd: float, num_studies: int, rng: np.random.Generator
) -> list[Row]:
    """Four equal variants and five claims: how often is any verdict wrong, at any look?"""
    counts = make_schedule(*schedule)
    tally = _tally("wrong verdicts, five claims", schedule, seed_sd)
    for own_sd in (0.0, OWN_DIFFICULTY_SD):
        setting = Setting(counts[-1], NUM_IMAGES, seed_sd, own_sd)
        figure = "any claim, no image part" if own_sd == 0 else "any claim, with an image part"
        for made in simulate(equal(num_studies, 4), setting, rng):
            p_for, p_against = zip(
                *(_claim_p(made.bits, claim, counts) for claim in CLAIMS), strict=True
            )
            words = decide_verdicts(np.stack(p_for, axis=-1), np.stack(p_against, axis=-1))[1]
            wrong = (np.asarray(words) == SUPPORTED).any(axis=-1)
            tally.add(figure, "used: Bonferroni over claims", wrong)
    return tally.rows()


def _claim_p(
    bits: np.ndarray, pairs: list[tuple[int, int]], counts: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    each = []
    for first, second in pairs:
        p = p_at([moderated_error(bits[:, :, :n], first, second) for n in counts])
        each.append(correct_for_looks(p, counts, range(len(counts))))
    p_for, p_against = np.stack(each, axis=-1)
    all_for, any_against = combine_p_values(p_for, p_against)
    return np.asarray(all_for), np.asarray(any_against)


def stopping_rows(
    schedule: tuple[int, int, int],
    points: float,
    seed_sd: float,
    num_studies: int,
    rng: np.random.Generator,
) -> list[Row]:
    """Two variants `points` apart: verdicts, seeds used, and what intervals cover where one stops."""
    counts = make_schedule(*schedule)
    tally = _tally("stopping", schedule, seed_sd, points=points)
    accuracies = equal(num_studies, 2) + np.array([points / 100, 0.0])
    levels = np.array(nominal_levels(counts))
    for made in simulate(accuracies, Setting(counts[-1], NUM_IMAGES, seed_sd), rng):
        errors = errors_at(_apart(made.bits, 0, 1), counts)
        p = p_at(errors)
        smaller = np.minimum(*p)
        # Of one claim: what `correct_for_looks` rejects, look by look.
        decided = smaller <= np.array(nominal_levels(counts, 2 * ALPHA)) / 2
        stopped = np.where(decided.any(axis=1), decided.argmax(axis=1), len(counts) - 1)
        truth = 100 * (made.population[:, 0] - made.population[:, 1])
        if points:
            right = (p[0] < p[1])[np.arange(len(stopped)), stopped]
            tally.add("found", "adaptive", decided.any(axis=1) & right)
            tally.add("found", "seeds fixed at the first look's", smaller[:, 0] <= ALPHA)
            tally.add("found", "seeds fixed at the most", smaller[:, -1] <= ALPHA)
        tally.add("mean n", "adaptive", np.array(counts)[stopped])
        for name, confidences in (
            ("repeated (used)", 1 - levels),
            ("as of fixed seeds (not used)", np.full(len(levels), 0.95)),
        ):
            covered = (_covers(e, c, truth) for e, c in zip(errors, confidences, strict=True))
            inside = np.stack(list(covered), axis=1)
            tally.add("coverage where one stops", name, inside[np.arange(len(stopped)), stopped])
    return tally.rows()


def allocation_rows(
    schedule: tuple[int, int, int],
    spread: tuple[float, float],
    distance: float,
    num_studies: int,
    rng: np.random.Generator,
) -> list[Row]:
    """Normal values of two variants, without an image part, by Welch's test: where do new seeds go?

    `distance` is how far they are apart, in standard deviations of a difference of one seed.
    """
    counts = make_schedule(*schedule)
    own, most, step = schedule
    section = "new seeds to the noisier side"
    tally = Tally(section, looks=f"{own} to {most} by {step}", sd=f"{spread[0]:g}, {spread[1]:g}")
    values = rng.standard_normal((num_studies, 2, counts[-1])) * np.array(spread)[:, None]
    values[:, 0] += distance * float(np.hypot(*spread))
    for name in ("noisier (used)", "equal"):
        p_for = np.stack(
            [_welch_p(values, numbers) for numbers in _seeds_at_looks(values, counts, name)],
            axis=-1,
        )
        # Of one claim, by the looks so far.
        decided = np.stack(
            [
                correct_for_looks(p_for[:, : k + 1], counts, range(k + 1)) <= ALPHA
                for k in range(len(counts))
            ],
            axis=1,
        )
        stopped = np.where(decided.any(axis=1), decided.argmax(axis=1), len(counts) - 1)
        tally.add("found" if distance else "wrong", name, decided[:, -1])
        if distance:
            tally.add("mean n", name, np.array(counts)[stopped])
    return tally.rows()


def _seeds_at_looks(
    values_KVS: np.ndarray, counts: tuple[int, ...], name: str
) -> Iterator[np.ndarray]:
    """The number of seeds of each side at each look, (studies, 2)."""
    numbers = np.full(values_KVS.shape[:2], counts[0])
    yield numbers
    for planned in counts[1:]:
        if name == "equal":
            numbers = np.full(values_KVS.shape[:2], planned)
        else:
            found = [
                allocate_seeds(
                    [side[:n].var(ddof=1) for side, n in zip(values, own, strict=True)],
                    own,
                    2 * planned,
                    counts[-1],
                )
                for values, own in zip(values_KVS, numbers.tolist(), strict=True)
            ]
            numbers = np.array(found)
        yield numbers


def _welch_p(values_KVS: np.ndarray, numbers_KV: np.ndarray) -> np.ndarray:
    """The one-sided p for "the first is better" from the first seeds of each side, (studies,)."""
    used = np.arange(values_KVS.shape[-1]) < numbers_KV[..., None]
    mean = np.where(used, values_KVS, 0.0).sum(axis=-1) / numbers_KV
    squares = np.where(used, values_KVS - mean[..., None], 0.0) ** 2
    df = numbers_KV - 1
    variance = squares.sum(axis=-1) / df
    (v_one, v_other), (df_one, df_other), (n_one, n_other) = variance.T, df.T, numbers_KV.T
    estimate = welch_difference(
        mean[:, 0] - mean[:, 1],
        (v_one, v_other),
        (df_one, df_other),
        (n_one, n_other),
        numbers_KV.min(axis=1),
        0.0,
        0.0,
    )
    return np.asarray(band_p_values(replace(estimate, num_seeds=int(numbers_KV.min())), *ABOVE)[0])


def _covers(error: MeanEstimate, confidence: float, truth: np.ndarray) -> np.ndarray:
    interval = two_way_interval(error, confidence)
    inside: np.ndarray = (interval.low <= truth) & (truth <= interval.high)
    return inside


def _apart(bits_KVSN: np.ndarray, first: int, second: int) -> np.ndarray:
    difference: np.ndarray = bits_KVSN[:, first].astype(np.int8) - bits_KVSN[:, second]
    return difference


def _tally(section: str, schedule: tuple[int, int, int], seed_sd: float, **more: float) -> Tally:
    own, most, step = schedule
    return Tally(section, looks=f"{own} to {most} by {step}", seed_sd=seed_sd, **more)


def every_part(num_studies: int) -> list[Callable[[np.random.Generator], list[Row]]]:
    parts: list[Callable[[np.random.Generator], list[Row]]] = []
    for schedule in SCHEDULES:
        for sd in SEED_SD_POINTS:
            parts += [
                functools.partial(error_rows, schedule, sd, own_sd, num_studies)
                for own_sd in (0.0, OWN_DIFFICULTY_SD)
            ]
        parts.append(functools.partial(family_rows, schedule, 1.0, num_studies))
        parts += [
            functools.partial(stopping_rows, schedule, points, 1.0, num_studies)
            for points in (0.0, 2.0, 4.0)
        ]
    parts += [
        functools.partial(allocation_rows, schedule, spread, distance, num_studies)
        for schedule in SCHEDULES[2:]
        for spread in SPREADS
        for distance in (0.0, DISTANCE)
    ]
    parts += [functools.partial(normal_rows, schedule, 20 * num_studies) for schedule in SCHEDULES]
    return parts


def markdown(rows: list[Row]) -> str:
    """A table a section: a line for each figure, method and setting, a column for each schedule."""
    lines = []
    for section in dict.fromkeys(row["section"] for row in rows):
        chosen = [row for row in rows if row["section"] == section]
        keys = [k for k in ("figure", "method", "seed_sd", "sd", "points") if k in chosen[0]]
        schedules = list(dict.fromkeys(row["looks"] for row in chosen))
        lines += [
            f"### {section}",
            "",
            "| " + " | ".join([*keys, *schedules]) + " |",
            "|" + "---|" * (len(keys) + len(schedules)),
        ]
        groups: dict[tuple, dict[str, str]] = {}
        for row in chosen:
            groups.setdefault(tuple(row[k] for k in keys), {})[row["looks"]] = _cell(row)
        for group, cells in sorted(groups.items(), key=lambda item: tuple(map(str, item[0]))):
            found = [cells.get(schedule, "") for schedule in schedules]
            lines.append("| " + " | ".join([*map(str, group), *found]) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(row: Row) -> str:
    if row["figure"] == "mean n":
        return f"{row['value']:.1f}"
    return f"{100 * row['value']:.2f} ± {100 * row['error']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000, help="simulated studies a setting")
    parser.add_argument("--out", type=Path, help="JSON file for every figure")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    rows: list[Row] = []
    for place, make in enumerate(every_part(given.studies)):
        # A stream of its own: a part gives the same figures whichever others run.
        rows += make(np.random.default_rng([given.seed, place]))
    print(markdown(rows))
    seconds = time.monotonic() - began
    print(
        f"In %, ± one Monte Carlo standard error, {given.studies} studies each (normal differences: "
        f"{20 * given.studies}). {seconds:.0f} s."
    )
    if given.out:
        given.out.write_text(json.dumps({"studies": given.studies, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
