"""Differences and effects for readers: as files beside the other tables, and as a line on a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench import records
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.tables.differences import (
    MAX_EVERY,
    UNDECIDED,
    UNTESTED,
    Differences,
    Experiment,
    difference_jobs,
    differences_of,
    headline_experiment,
    typical_detectable,
)
from resnest_bench.tables.effects import FactorEffects
from resnest_bench.tables.files import write_csv
from resnest_bench.tables.formats import (
    GAP,
    known,
    latex_table,
    markdown_table,
    row_dicts,
    significant,
)
from resnest_bench.tables.outcomes import outcomes
from resnest_bench.tables.power import ALPHA, POWER
from resnest_bench.tables.store import Frames
from resnest_bench.tables.study_effects import effects_table, study_effects


def read_differences(
    study: StudySpec, paths: StudyPaths, fingerprints: Mapping[str, str],
    experiment: Experiment | None = None, base: str | None = None,
) -> Differences | None:  # fmt: skip
    """`differences_of` of an experiment (the study's main one), with its records read from the folder."""
    chosen = experiment or headline_experiment(study)
    if chosen is None or not chosen.variants:
        return None
    found = outcomes(study, paths, fingerprints, jobs=difference_jobs(study, chosen))
    return differences_of(chosen, found, base)


def write_differences(
    study: StudySpec, paths: StudyPaths, frames: Frames, fingerprints: Mapping[str, str]
) -> list[Path]:
    """pairs.csv (unrounded), .md and .tex, accuracies.csv and, of an ablation, effects.csv and .md."""
    written = []
    if found := read_differences(study, paths, fingerprints):
        files = [paths.tables / f"pairs.{ending}" for ending in ("csv", "md", "tex")]
        display = differences_display(found.pairs)
        above = " ".join([differences_caption(found, study), power_text(found.pairs)]).strip()
        below = differences_notes(found)
        write_csv(files[0], found.pairs)
        records.write_text(files[1], _markdown("Differences", above, display, below))
        text = latex_table(display, above, f"{study.study}-pairs", below)
        records.write_text(files[2], text)
        written += [*files, paths.tables / "accuracies.csv"]
        write_csv(written[-1], found.accuracies)
    if study.tables.ablation:
        effects = study_effects(study, frames.runs)
        written += [paths.tables / "effects.csv", paths.tables / "effects.md"]
        write_csv(written[-2], effects_table(effects))
        text = _markdown(
            "Effects of the factors", effects_caption(effects), effects_display(effects),
            effects_notes(effects),
        )  # fmt: skip
        records.write_text(written[-1], text)
    return written


def _markdown(head: str, above: str, display: pd.DataFrame, below: list[str]) -> str:
    lines = [f"## {head}", "", above, ""]
    lines += [markdown_table(display), ""] if len(display) else []
    return "\n".join([*lines, *(f"- {note}" for note in below), *([""] if below else [])])


def told_apart_text(pairs: pd.DataFrame) -> str:
    """'9 of 21 pairs are told apart'; of pairs without a test how many those are."""
    untested = int((pairs["verdict"] == UNTESTED).sum())
    count = len(pairs) - untested
    apart = int((~pairs["verdict"].isin([UNDECIDED, UNTESTED])).sum())
    text = f"{apart} of {count} pair{'' if count == 1 else 's'} {'is' if apart == 1 else 'are'} told apart"
    return text + (f", {untested} not tested" if untested else "")


def power_text(pairs: pd.DataFrame) -> str:
    """What these seeds could have found, as a sentence; empty without two seeds."""
    typical = typical_detectable(pairs)
    if typical is None:
        return ""
    seeds, points = typical
    return (
        f"With {seeds} seeds a true difference of {significant(points, 2)} points (median over the "
        f"pairs) is found in {100 * POWER:.0f} % of all studies; a smaller one may well be there and "
        "not be seen."
    )


def differences_caption(found: Differences, study: StudySpec) -> str:
    """One paragraph above the table: what is compared, for whom, and at which level."""
    pairs = found.pairs
    if not len(pairs):
        return f"Differences, study {study.study}: nothing to compare yet."
    images = " or ".join(f"{int(n):,}" for n in pairs["num_images"].dropna().unique())
    data = " and ".join(dict.fromkeys(pairs["dataset_label"]))
    bases = pairs["base"].unique()
    against = f", each against {bases[0]}" if len(bases) == 1 and len(pairs) > 1 else ""
    return (
        f"Differences, study {study.study}: {data}, {images} test images, recipe "
        f"{pairs['recipe'].iloc[0]}{against}. Variant minus base in test accuracy, in percentage "
        f"points, mean over n paired seeds [95 % interval for new seeds on new test images]. A pair is "
        f"told apart where Holm's p over the {len(pairs)} pairs of this table is at most "
        f"{100 * ALPHA:.0f} %. P(better): probability that the variant's mean is the higher one. Least "
        f"detectable: what n seeds find in {100 * POWER:.0f} % of all studies, at 5 % for a pair by "
        "itself; seeds needed: paired seeds in all to find the difference seen so, in brackets as far "
        "as these seeds tell their own spread."
    )


def differences_display(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs as rounded texts under readable headings."""
    return pd.DataFrame([_pair_texts(row) for row in row_dicts(pairs)])


def _pair_texts(row: Mapping[str, Any]) -> dict[str, str]:
    one = row["n"] == 1
    about = "networks" if one else "all"
    ends = row[f"{about}_low_points"], row[f"{about}_high_points"]
    mean = row["difference_points"]
    interval = f" [{ends[0]:+.2f}, {ends[1]:+.2f}]" if all(map(known, ends)) else ""
    kind = ", these networks" if one else ""
    p = row[f"{about}_holm_p"]
    return {
        "variant": row["variant"],
        "base": row["base"],
        "verdict": row["verdict"] + (" (stale)" if row["stale"] is True else ""),
        "difference (points)": f"{mean:+.2f}{interval}" if known(mean) else GAP,
        "n": f"{row['n']}{kind}",
        "P(better)": significant(row["mean_better_all"], 2),
        "p (Holm)": significant(p, 2),
        "least detectable (points)": significant(row["least_detectable_points"], 2),
        "seeds needed": _seeds_text(row),
    }


def _seeds_text(row: Mapping[str, Any]) -> str:
    if not known(row["seeds_needed"]):
        return GAP
    ends = [
        str(v) if known(v) else "∞" for v in (row["seeds_needed_low"], row["seeds_needed_high"])
    ]
    return f"{row['seeds_needed']} ({ends[0]} to {ends[1]})"


def differences_notes(found: Differences) -> list[str]:
    """Who is left out, and which pairs are not whole."""
    pairs = found.pairs
    notes = list(found.notes)
    for status, rows in pairs[pairs["status"] != "ok"].groupby("status", sort=False):
        names = [f"{row.variant} and {row.base}" for row in rows.itertuples()]
        more = f" and {len(names) - 3} pairs more" if len(names) > 3 else ""
        notes.append(f"{', '.join(names[:3])}{more}: {status}")
    if pairs["stale"].any():
        notes.append("(stale): made by another spec, code or data than the study's is now")
    if len(found.accuracies) > MAX_EVERY and len(pairs["base"].unique()) == 1:
        notes.append(
            f"of more than {MAX_EVERY} variants each is compared with one alone; the dashboard compares "
            "with any other"
        )
    return notes


def effects_caption(found: FactorEffects | str) -> str:
    """What the effects are and rest on."""
    if isinstance(found, str):
        return f"No effects are estimated: {found}."
    why = f" (not the mixed model: {found.reason})" if found.reason else ""
    parts = [
        "Effects on the test accuracy, in percentage points, of each level against the factor's lowest "
        f"one, all variants together, were effects to add up: {found.method}{why}, with 95 % intervals "
        f"of {found.degrees_of_freedom} degrees of freedom for new seeds on these test images, over n seeds. By seed: "
        "the interval over the effects that each seed gives by itself, which assumes no equal spread"
    ]
    if found.seed_sd is not None and found.rest_sd is not None:
        parts.append(
            f"A seed moves all variants by {significant(found.seed_sd, 2)} points (standard deviation), "
            f"and what is left is {significant(found.rest_sd, 2)} points"
        )
    return ". ".join(parts) + "."


def effects_display(found: FactorEffects | str) -> pd.DataFrame:
    """The effects as rounded texts."""
    rows = [
        {
            "factor": row["factor"],
            "level": f"{row['level']} against {row['base_level']}",
            "effect (points)": _interval_text(row["effect"], row["low"], row["high"]),
            "by seed": _interval_text(None, row["by_seed_low"], row["by_seed_high"]),
            "p (Holm)": significant(row["holm_p"], 2),
            "n": "" if isinstance(found, str) else str(found.num_seeds),
            "variants at this level": str(row["num_variants"]),
            "status": row["reason"] or "ok",
        }
        for row in effects_table(found).to_dict("records")
    ]
    return pd.DataFrame(rows)


def _interval_text(mean: Any, low: Any, high: Any) -> str:
    first = f"{mean:+.2f}" if known(mean) else ""
    ends = f"[{low:+.2f}, {high:+.2f}]" if known(low) and known(high) else ""
    return " ".join(filter(None, [first, ends])) or GAP


def effects_notes(found: FactorEffects | str) -> list[str]:
    """What these variants can't say."""
    return [] if isinstance(found, str) else found.notes


def differences_summary(found: Differences) -> str:
    """How many pairs are told apart, and what these seeds can show, for a terminal."""
    lines = [f"{told_apart_text(found.pairs)} (Holm, {100 * ALPHA:.0f} %)."]
    if text := power_text(found.pairs):
        lines.append(text)
    return "\n".join(["## Differences", "", " ".join(lines), ""])
