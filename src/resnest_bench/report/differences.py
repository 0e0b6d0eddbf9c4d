"""Differences and effects for readers: as files next to the other tables, and as lines on a terminal."""

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
    describe_population,
    find_over_seeds,
    median_detectable_difference,
    name_measure,
    show_population,
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
from resnest_bench.report.captions import STALE, Caption
from resnest_bench.report.effects import effects_caption, effects_display, effects_notes
from resnest_bench.report.standings import (
    STANDINGS_CAPTION,
    describe_standings,
    standings_display,
)
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.stats.power import ALPHA, POWER
from resnest_bench.words import count_noun, list_names


def write_differences(results: StudyResults) -> list[Path]:
    """Write pairs.csv (unrounded), .md and .tex, accuracies.csv, standings.csv and, for an ablation, effects.*.

    They hold every experiment of the study, the main one first. P-values are corrected for each separately.
    """
    study, paths, written = results.spec, results.paths, []
    compared = results.compare_all()
    if compared:
        files = [paths.tables / f"pairs.{ending}" for ending in ("csv", "md", "tex")]
        texts: list[tuple[str, str]] = []
        for trainings, differences in compared:
            # A paper may refer to the label of the main one: it has no suffix.
            suffix = trainings.experiment if texts else ()
            label = "-".join((study.study, "pairs", *suffix))
            texts.append(_render(differences, results, label))
        write_csv(files[0], _stack(compared, "pairs"))
        write_text(files[1], "\n".join(markdown for markdown, _ in texts))
        write_text(files[2], "\n".join(latex for _, latex in texts))
        written += [*files, paths.tables / "accuracies.csv", paths.tables / "standings.csv"]
        write_csv(written[-2], _stack(compared, "accuracies"))
        write_csv(written[-1], _stack(compared, "standings"))
    recipes = [one for one in results.recipe_comparisons if len(one[1].pairs)]
    if recipes:
        written += [paths.tables / "recipe_pairs.csv", paths.tables / "recipe_pairs.md"]
        write_csv(written[-2], results.recipe_differences())
        texts = [
            _render(differences, results, f"{study.study}-recipe-pairs-{one.dataset}")
            for one, differences in recipes
        ]
        write_text(written[-1], "\n".join(markdown for markdown, _ in texts))
    if study.tables.ablation:
        effects = results.factor_effects
        written += [paths.tables / "effects.csv", paths.tables / "effects.md"]
        write_csv(written[-2], effects_table(effects))
        text = _render_markdown(
            "Effects of the factors",
            str(effects_caption(effects)),
            effects_display(effects),
            effects_notes(effects),
        )
        write_text(written[-1], text)
    return written


def _stack(compared: list[tuple[Trainings, Differences]], name: str) -> pd.DataFrame:
    """Concatenate the frames of all experiments, with the experiment in the first columns."""
    frames: list[pd.DataFrame] = []
    for trainings, differences in compared:
        experiment = trainings.experiment
        frame = getattr(differences, name).copy()
        frame["recipe"] = experiment.recipe
        others = [column for column in frame.columns if column != "recipe"]
        frame = frame[["recipe", *others]]
        frame.insert(0, "dataset", experiment.dataset)
        frame.insert(0, "kind", experiment.kind)
        frames.append(frame)
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _render(differences: Differences, results: StudyResults, label: str) -> tuple[str, str]:
    """The pairs of one experiment as Markdown and as LaTeX."""
    display = differences_display(differences.pairs)
    study = results.spec
    caption = differences_caption(differences, study)
    standing = describe_standings(differences.standings, describe_population(differences.pairs))
    above = " ".join(filter(None, [str(caption), describe_power(differences.pairs), standing]))
    below = [*data_notes(study, results.runs).values(), *differences_notes(differences)]
    latex = latex_table(display, above, label, below)
    markdown = _render_markdown("Differences", above, display, below)
    ranks = standings_display(differences.standings)
    if len(ranks):
        markdown += _render_markdown("Standings", f"{STANDINGS_CAPTION}.", ranks, [])
    return markdown, latex


def _render_markdown(head: str, above: str, display: pd.DataFrame, below: list[str]) -> str:
    lines = [f"## {head}", "", escape_paragraph(above), ""]
    lines += [markdown_table(display), ""] if len(display) else []
    return "\n".join([*lines, *markdown_bullets(below), *([""] if below else [])])


TESTS = {
    "moderated_welch": "Test: Welch's t; the spread of each network over its seeds borrows from the others'",
    "welch": "Test: Welch's t",
    "paired_t": "Test: paired t over common seeds",
}
CORRECTIONS = {
    "closed": "Correction: closed testing",
    "holm": "Correction: Holm's",
    "fdr": "Correction: false discovery rate, to screen and not to conclude",
}
TWO_SEEDS = "Two seeds give no interval and no test, so both differences are shown; a test requires a third seed."


def count_significant(pairs: pd.DataFrame) -> str:
    """'9 of 21 differences are significant', and the numbers of pairs without a test or with one seed."""
    networks = pairs["verdict"].isin(list(NETWORKS.values()))
    parts = [_count_variants(pairs[~networks])] if not networks.all() or not len(pairs) else []
    if networks.any():
        parts.append(_count_networks(pairs[networks]))
    return ". ".join(parts)


def _count_networks(pairs: pd.DataFrame) -> str:
    """Pairs with one seed: the verdict is about these networks, not about the variants."""
    differ = int((pairs["verdict"] != NETWORKS[UNDECIDED]).sum())
    return (
        f"One seed gives no verdict on a variant. Of {count_noun(len(pairs), 'pair')} of trained networks, "
        f"{differ} {'differs' if differ == 1 else 'differ'} on new test images, by McNemar's test"
    )


def _count_variants(pairs: pd.DataFrame) -> str:
    untested = int((pairs["verdict"] == UNTESTED).sum())
    tested = len(pairs) - untested
    significant = int((~pairs["verdict"].isin([UNDECIDED, UNTESTED])).sum())
    if not tested:
        return f"None of {count_noun(untested, 'pair')} is tested"
    text = (
        f"{significant} of {count_noun(tested, 'difference')} "
        f"{'is' if significant == 1 else 'are'} significant"
    )
    return text + (f", {untested} not tested" if untested else "")


def describe_power(pairs: pd.DataFrame) -> str:
    """Say in sentences what these seeds can detect; empty with one seed."""
    typical = median_detectable_difference(pairs)
    if typical is None:
        return TWO_SEEDS if pairs["n"].eq(2).any() else ""
    seeds, points = typical
    return (
        f"With {seeds} seeds the minimum detectable difference is {format_significant(points, 2)} points "
        f"(median over the pairs, {100 * POWER:.0f} % power at {100 * ALPHA:.0f} % divided by the number of "
        "pairs). Smaller true differences may well exist."
    )


def differences_caption(differences: Differences, study: StudySpec) -> Caption:
    """The caption of the differences: what is compared, for which population, and at which level."""
    pairs = differences.pairs
    if not len(pairs):
        return Caption(f"Differences, study {study.study}: there is nothing to compare yet")
    images = " or ".join(f"{int(n):,}" for n in pairs["num_images"].dropna().unique())
    data = " and ".join(dict.fromkeys(pairs["dataset_label"]))
    bases = pairs["base"].unique()
    against = f", each against {bases[0]}" if len(bases) == 1 and len(pairs) > 1 else ""
    line = (
        f"Differences, study {study.study}: {data}, {images or 'unknown number of'} test images, recipe "
        f"{pairs['recipe'].iloc[0]}{against}"
    )
    method = (
        f"Values are variant minus base in {name_measure(pairs)}, in percentage points: differences of the means "
        "over n seeds",
        f"In brackets: the 95 % interval for {describe_population(pairs)}, for each pair separately; the "
        "training images stay the same",
        "With n=2 both differences are shown, without an interval or a test",
        "With n=1 only the two trained networks are compared (McNemar's test)"
        if not find_over_seeds(pairs).any()
        else "With n=1 nothing is tested",
        f"{TESTS[differences.spec.method]}. {CORRECTIONS[differences.spec.correction]}: over the "
        f"{len(pairs)} pairs of this table, a difference is significant if the corrected p is at most "
        f"{100 * ALPHA:.0f} %",
        "P(better) is the probability, under a flat prior, that the variant's mean is the higher one",
        f"'Minimum detectable' is the true difference that n seeds detect with {100 * POWER:.0f} % power, at "
        "5 % divided by the number of pairs",
        "'Required seeds' are those of each network for that power, if the true difference is the observed one",
        "Their range in brackets is for the 95 % interval of the spread",
    )
    return Caption(line, method)


def differences_display(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs as rounded texts with readable headings."""
    return pd.DataFrame([_pair_texts(row) for row in row_dicts(show_population(pairs))])


def _pair_texts(row: Mapping[str, Any]) -> dict[str, str]:
    one = row["n"] == 1
    about = "networks" if one else "all"
    kind = ", these networks" if one else ""
    p = row[f"{about}_corrected_p"]
    return {
        "variant": row["variant"],
        "base": row["base"],
        "verdict": row["verdict"] + (" (stale)" if row["stale"] is True else ""),
        "difference (points)": _format_difference(row, about),
        "n": f"{row['n']}{kind}",
        "P(better)": format_probability(row["mean_better_all"]),
        "corrected p": format_p_value(p),
        "minimum detectable (points)": format_significant(row["least_detectable_points"], 2),
        "required seeds": _format_required(row),
    }


def _format_difference(row: Mapping[str, Any], about: str) -> str:
    low, high = (row[f"{about}_{end}_points"] for end in ("low", "high"))
    values = row["seed_differences_points"]
    text = format_mean(row["difference_points"], low, high, row["n"], values, format_signed)
    # n has its own column.
    return text.partition(" (n=")[0]


def _format_required(row: Mapping[str, Any]) -> str:
    if not is_known(row["seeds_needed"]):
        return GAP
    ends = [
        str(v) if is_known(v) else "∞" for v in (row["seeds_needed_low"], row["seeds_needed_high"])
    ]
    return f"{row['seeds_needed']} ({ends[0]} to {ends[1]})"


def differences_notes(differences: Differences) -> list[str]:
    """Which variants are left out, and which pairs are incomplete."""
    pairs = differences.pairs
    notes = list(differences.notes)
    for status, rows in pairs[pairs["status"] != "ok"].groupby("status", sort=False):
        names = [f"{row.variant} and {row.base}" for row in rows.itertuples()]
        notes.append(f"{list_names(names, 3)}: {status}")
    if pairs["stale"].any():
        notes.append(STALE)
    if len(differences.accuracies) > MAX_EVERY and len(pairs["base"].unique()) == 1:
        notes.append(
            f"with more than {MAX_EVERY} variants each is compared with only one; the dashboard offers any "
            "other base"
        )
    return notes


def differences_summary(differences: Differences) -> str:
    """How many differences are significant, and what these seeds can detect, for a terminal."""
    lines = [
        f"{count_significant(differences.pairs)} ({100 * ALPHA:.0f} % for all pairs together)."
    ]
    if text := describe_power(differences.pairs):
        lines.append(text)
    about = describe_population(differences.pairs)
    if text := describe_standings(differences.standings, about):
        lines.append(text)
    return "\n".join(["## Differences", "", " ".join(lines), ""])
