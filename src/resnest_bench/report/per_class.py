"""Measures and classes for readers: files next to the other tables, and texts for pages."""

from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.comparisons.differences import (
    Trainings,
    find_trainings,
    list_pairs,
    main_trainings,
)
from resnest_bench.comparisons.per_class import disputed_images, no_disputed_images
from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    escape_paragraph,
    format_mean,
    format_significant,
    is_known,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.files import write_csv
from resnest_bench.frames.predictions import NOT_KEPT, ClassPredictions
from resnest_bench.report.captions import Caption
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.tables.headline import metric_words
from resnest_bench.tables.per_class import MEASURES
from resnest_bench.tables.selection import list_experiments

# The Markdown table of a study with more would be read by nobody: its CSV has all rows.
MAX_ROWS = 120
CLASS_TABLES = ("per_class", "confusion", "class_differences", "disputed_images")


def write_per_class(results: StudyResults) -> list[Path]:
    """Write scores.csv, score_pairs.csv, per_class.md and, if there are predictions, the CLASS_TABLES.

    They hold every experiment of the study, the main one first.
    """
    experiments = list_experiments(results.spec)[0]
    main = main_trainings(results.spec)
    if main:
        experiments.sort(key=lambda one: one != main.experiment)
    parts: dict[str, list[pd.DataFrame]] = {}
    texts = []
    for experiment in experiments:
        trainings = find_trainings(results.spec, experiment)
        tables = {
            "scores": results.scores(experiment),
            "score_pairs": results.score_differences(experiment),
            **results.class_tables(experiment),
            "disputed_images": _all_disputed(results, trainings),
        }
        for name, table in tables.items():
            for position, key in enumerate(("kind", "dataset", "recipe")):
                table.insert(position, key, experiment[position])
            parts.setdefault(name, []).append(table)
        texts.append(_render(results, trainings, tables["per_class"]))
    written = []
    has_classes = any(map(len, parts.get("per_class", ())))
    for name, frames in parts.items():
        file = results.paths.tables / f"{name}.csv"
        if name in CLASS_TABLES and not has_classes:
            # One of earlier records would be taken for that of these.
            file.unlink(missing_ok=True)
            continue
        filled = [frame for frame in frames if len(frame)] or frames[:1]
        write_csv(file, pd.concat(filled, ignore_index=True))
        written.append(file)
    if texts:
        written.append(results.paths.tables / "per_class.md")
        write_text(written[-1], "\n".join(texts))
    return written


def _all_disputed(results: StudyResults, trainings: Trainings) -> pd.DataFrame:
    found = results.class_predictions(trainings)
    if found is None or len(found.variants) < 2:
        return no_disputed_images()
    names = results.image_names(trainings.experiment, found)
    tables = [disputed_images(found, *pair, names) for pair in list_pairs(found.variants)]
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _render(results: StudyResults, trainings: Trainings, table: pd.DataFrame) -> str:
    found = results.class_predictions(trainings)
    above = str(per_class_caption(found, trainings, results.spec))
    display = per_class_display(table.head(MAX_ROWS))
    below = per_class_notes(found)
    if len(table) > MAX_ROWS:
        below.insert(0, f"the first {MAX_ROWS} of {len(table):,} rows; per_class.csv has all")
    lines = ["## Per class", "", escape_paragraph(above), ""]
    lines += [markdown_table(display), ""] if len(display) else []
    return "\n".join([*lines, *markdown_bullets(below), *([""] if below else [])])


def per_class_caption(
    found: ClassPredictions | None, trainings: Trainings, study: StudySpec
) -> Caption:
    """The caption of the table of classes."""
    _, dataset, recipe = trainings.experiment
    if found is None or not found.variants:
        return Caption(f"Per class, study {study.study}: {dataset}, recipe {recipe}: {NOT_KEPT}")
    return Caption(
        f"Per class, study {study.study}: {found.dataset_label}, {len(found.labels_N):,} test images of "
        f"{len(found.classes)} classes, recipe {recipe}",
        (
            "Recall is the share of a class's images that are found, precision the share of the images taken "
            "for it that are of it, F1 their harmonic mean, in %",
            "In brackets: the 95 % interval of the mean over n seeds (t on the logit scale), for new seeds on "
            "these test images",
            "A class that is never predicted has precision 0",
        ),
    )


def scores_caption(scores: pd.DataFrame, trainings: Trainings, study: StudySpec) -> Caption:
    """The caption of the table of measures."""
    if not len(scores):
        return Caption(f"Measures, study {study.study}: no network has a result yet")
    images = " or ".join(f"{int(n):,}" for n in scores["num_images"].dropna().unique())
    return Caption(
        f"Measures, study {study.study}: {scores['dataset_label'].iloc[0]}, {images or 'unknown number of'} "
        f"test images, recipe "
        f"{trainings.experiment.recipe}",
        (
            "Means over n seeds with their 95 % interval, for new seeds on these test images; with n=2 both "
            "values",
            "Lower is better for calibration error, Brier score and test loss",
        ),
    )


def per_class_display(table: pd.DataFrame) -> pd.DataFrame:
    """The table of classes as rounded texts."""
    return pd.DataFrame(
        [
            {
                "variant": row["variant"],
                "class": row["class"],
                "images": str(row["num_images"]),
                "n": str(row["n"]),
                **{f"{name} %": _format(row, name) for name in MEASURES},
            }
            for row in row_dicts(table)
        ]
    )


def _format(row: dict[str, Any], name: str) -> str:
    mean, low, high = (row[f"{name}_{part}_percent"] for part in ("mean", "low", "high"))
    if not is_known(low):
        return f"{mean:.2f}" if is_known(mean) else GAP
    return format_mean(mean, low, high, row["n"], ()).partition(" (n=")[0]


def per_class_notes(found: ClassPredictions | None) -> list[str]:
    """Whose predictions are missing, and why."""
    return list(found.notes) if found else []


def scores_display(scores: pd.DataFrame) -> pd.DataFrame:
    """`StudyResults.scores` as rounded texts: one row per variant and one column per measure."""
    rows: dict[str, dict[str, str]] = {}
    for row in row_dicts(scores):
        unit = f" ({row['unit']})" if row["unit"] in ("%", "nats") else ""
        write = (lambda value: f"{value:.2f}") if row["unit"] == "%" else _three_digits
        text = format_mean(row["mean"], row["low"], row["high"], row["n"], row["values"], write)
        heading = f"{metric_words(row['metric'])}{unit}"
        rows.setdefault(row["variant"], {})[heading] = text
    return pd.DataFrame([{"variant": name, **cells} for name, cells in rows.items()]).fillna(GAP)


def _three_digits(value: float) -> str:
    return format_significant(value, 3)
