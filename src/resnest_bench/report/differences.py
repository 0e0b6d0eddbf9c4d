"""Differences and effects for readers: as files beside the other tables, and as a line on a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.comparisons.differences import (
    MAX_EVERY,
    NETWORKS,
    UNDECIDED,
    UNTESTED,
    Differences,
    Trainings,
    median_detectable_difference,
)
from resnest_bench.comparisons.effects import effects_table
from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    escape_paragraph,
    format_mean,
    format_p_value,
    format_probability,
    format_signed,
    format_significant,
    is_known,
    latex_table,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.frames.files import write_csv
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.stats.mixed_model import FactorEffects
from resnest_bench.stats.power import ALPHA, POWER
from resnest_bench.words import count_noun, list_names


def write_differences(results: StudyResults) -> list[Path]:
    """pairs.csv (unrounded), .md and .tex, accuracies.csv and, of an ablation, effects.csv and .md.

    They hold each experiment of the study, its main one first. Holm's correction is for one of them.
    """
    study, paths, written = results.spec, results.paths, []
    found = results.compare_all()
    if found:
        files = [paths.tables / f"pairs.{ending}" for ending in ("csv", "md", "tex")]
        texts: list[tuple[str, str]] = []
        for trainings, one in found:
            # The main one keeps the label that a paper may refer to.
            place = trainings.experiment if texts else ()
            texts.append(_texts(one, results, "-".join((study.study, "pairs", *place))))
        write_csv(files[0], _stacked(found, "pairs"))
        write_text(files[1], "\n".join(markdown for markdown, _ in texts))
        write_text(files[2], "\n".join(latex for _, latex in texts))
        written += [*files, paths.tables / "accuracies.csv"]
        write_csv(written[-1], _stacked(found, "accuracies"))
    if study.tables.ablation:
        effects = results.found_effects
        written += [paths.tables / "effects.csv", paths.tables / "effects.md"]
        write_csv(written[-2], effects_table(effects))
        text = _markdown(
            "Effects of the factors",
            effects_caption(effects),
            effects_display(effects),
            effects_notes(effects),
        )
        write_text(written[-1], text)
    return written


def _stacked(found: list[tuple[Trainings, Differences]], name: str) -> pd.DataFrame:
    """One frame of all, with the experiment in its first columns."""
    frames: list[pd.DataFrame] = []
    for trainings, differences in found:
        experiment = trainings.experiment
        frame = getattr(differences, name).copy()
        frame["recipe"] = experiment.recipe
        others = [column for column in frame.columns if column != "recipe"]
        frame = frame[["recipe", *others]]
        frame.insert(0, "dataset", experiment.dataset)
        frame.insert(0, "kind", experiment.kind)
        frames.append(frame)
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _texts(found: Differences, results: StudyResults, label: str) -> tuple[str, str]:
    """The pairs of one experiment as Markdown and as LaTeX."""
    display = differences_display(found.pairs)
    study = results.spec
    above = " ".join([differences_caption(found, study), power_text(found.pairs)]).strip()
    below = [*data_notes(study, results.runs).values(), *differences_notes(found)]
    latex = latex_table(display, above, label, below)
    return _markdown("Differences", above, display, below), latex


def _markdown(head: str, above: str, display: pd.DataFrame, below: list[str]) -> str:
    lines = [f"## {head}", "", escape_paragraph(above), ""]
    lines += [markdown_table(display), ""] if len(display) else []
    return "\n".join([*lines, *markdown_bullets(below), *([""] if below else [])])


TWO_SEEDS = (
    "Two seeds give no interval and no test: their two differences are shown, and a third seed is "
    "needed for more."
)


def significance_text(pairs: pd.DataFrame) -> str:
    """'9 of 21 differences are significant', and what else there is: pairs without a test, pairs of one seed."""
    networks = pairs["verdict"].isin(list(NETWORKS.values()))
    parts = [_variants_text(pairs[~networks])] if not networks.all() or not len(pairs) else []
    if networks.any():
        parts.append(_networks_text(pairs[networks]))
    return ". ".join(parts)


def _networks_text(pairs: pd.DataFrame) -> str:
    """One seed each: what is said of these networks, and that no variant is judged."""
    differ = int((pairs["verdict"] != NETWORKS[UNDECIDED]).sum())
    return (
        f"One seed judges no variant. Of {count_noun(len(pairs), 'pair')} of trained networks, {differ} "
        f"differ{'s' if differ == 1 else ''} by more than these test images explain"
    )


def _variants_text(pairs: pd.DataFrame) -> str:
    untested = int((pairs["verdict"] == UNTESTED).sum())
    tested = len(pairs) - untested
    apart = int((~pairs["verdict"].isin([UNDECIDED, UNTESTED])).sum())
    if not tested:
        return f"None of {count_noun(untested, 'pair')} is tested"
    text = (
        f"{apart} of {count_noun(tested, 'difference')} {'is' if apart == 1 else 'are'} significant"
    )
    return text + (f", {untested} not tested" if untested else "")


def power_text(pairs: pd.DataFrame) -> str:
    """What these seeds could have found, as a sentence; empty with one seed."""
    typical = median_detectable_difference(pairs)
    if typical is None:
        return TWO_SEEDS if pairs["n"].eq(2).any() else ""
    seeds, points = typical
    return (
        f"With {seeds} seeds a true difference of {format_significant(points, 2)} points (median over the "
        f"pairs) is found in {100 * POWER:.0f} % of all studies that test one pair alone, at "
        f"{100 * ALPHA:.0f} %; Holm's correction over many pairs finds less. A smaller one may well be "
        "there and not be seen."
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
        f"points, mean over n paired seeds [95 % interval for new seeds on new test images, each pair by "
        f"itself; the training images stay the same]. With n=2 both differences are shown, without an "
        f"interval or a test; with n=1 only the two trained networks are compared (McNemar's test). A difference is significant where Holm's p over the {len(pairs)} pairs of this table is at most "
        f"{100 * ALPHA:.0f} %. P(better): probability, under a flat prior, that the variant's mean is "
        "the higher one. Least "
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
    kind = ", these networks" if one else ""
    p = row[f"{about}_holm_p"]
    return {
        "variant": row["variant"],
        "base": row["base"],
        "verdict": row["verdict"] + (" (stale)" if row["stale"] is True else ""),
        "difference (points)": _difference_text(row, about),
        "n": f"{row['n']}{kind}",
        "P(better)": format_probability(row["mean_better_all"]),
        "p (Holm)": format_p_value(p),
        "least detectable (points)": format_significant(row["least_detectable_points"], 2),
        "seeds needed": _seeds_text(row),
    }


def _difference_text(row: Mapping[str, Any], about: str) -> str:
    low, high = (row[f"{about}_{end}_points"] for end in ("low", "high"))
    values = row["seed_differences_points"]
    text = format_mean(row["difference_points"], low, high, row["n"], values, format_signed)
    # n has a column of its own.
    return text.partition(" (n=")[0]


def _seeds_text(row: Mapping[str, Any]) -> str:
    if not is_known(row["seeds_needed"]):
        return GAP
    ends = [
        str(v) if is_known(v) else "∞" for v in (row["seeds_needed_low"], row["seeds_needed_high"])
    ]
    return f"{row['seeds_needed']} ({ends[0]} to {ends[1]})"


def differences_notes(found: Differences) -> list[str]:
    """Who is left out, and which pairs are not whole."""
    pairs = found.pairs
    notes = list(found.notes)
    for status, rows in pairs[pairs["status"] != "ok"].groupby("status", sort=False):
        names = [f"{row.variant} and {row.base}" for row in rows.itertuples()]
        notes.append(f"{list_names(names, 3)}: {status}")
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
        "one, all variants together, assuming that effects add up. In brackets: the 95 % interval over "
        "the effects that each seed gives by itself, for new seeds on these training and test images, "
        "over n seeds (none below three); it assumes no equal spread",
        f"Mixed model: the interval of a {found.method}{why}, with {found.degrees_of_freedom} degrees of "
        f"freedom. {spread_text(found)}",
    ]
    if found.seed_sd is not None and found.residual_sd is not None:
        parts.append(
            f"A seed moves all variants by {format_significant(found.seed_sd, 2)} points (standard deviation), "
            f"and what is left is {format_significant(found.residual_sd, 2)} points"
        )
    return ". ".join(parts) + "."


def spread_text(found: FactorEffects) -> str:
    """What the model's intervals assume of the variants' spreads, and how large those are here."""
    text = (
        "It assumes that all variants vary equally over seeds: where one varies twice as much as the "
        "others, the interval of an effect that hangs on it covers 83 to 85 % instead of 95 %"
    )
    if found.spread_ratio is None:
        return text
    test = f" (Bartlett's test: p = {format_p_value(found.spread_p)})" if found.spread_p else ""
    return (
        f"{text}. Here the largest standard deviation over seeds is {format_significant(found.spread_ratio, 2)} "
        f"times the smallest{test}"
    )


def effects_display(found: FactorEffects | str) -> pd.DataFrame:
    """The effects as rounded texts."""
    rows = [
        {
            "factor": row["factor"],
            "level": f"{row['level']} against {row['base_level']}",
            "effect (points)": _interval_text(
                row["effect"], row["by_seed_low"], row["by_seed_high"]
            ),
            "p (Holm)": format_p_value(row["by_seed_holm_p"]),
            "mixed model": _interval_text(None, row["low"], row["high"]),
            "its p (Holm)": format_p_value(row["holm_p"]),
            "n": "" if isinstance(found, str) else str(found.num_seeds),
            "variants at this level": str(row["num_variants"]),
            "status": row["reason"] or "ok",
        }
        for row in effects_table(found).to_dict("records")
    ]
    return pd.DataFrame(rows)


def _interval_text(mean: Any, low: Any, high: Any) -> str:
    first = f"{mean:+.2f}" if is_known(mean) else ""
    ends = f"[{low:+.2f}, {high:+.2f}]" if is_known(low) and is_known(high) else ""
    return " ".join(filter(None, [first, ends])) or GAP


def effects_notes(found: FactorEffects | str) -> list[str]:
    """What these variants can't say."""
    return [] if isinstance(found, str) else found.notes


def differences_summary(found: Differences) -> str:
    """How many differences are significant, and what these seeds can show, for a terminal."""
    lines = [f"{significance_text(found.pairs)} (Holm, {100 * ALPHA:.0f} %)."]
    if text := power_text(found.pairs):
        lines.append(text)
    return "\n".join(["## Differences", "", " ".join(lines), ""])
