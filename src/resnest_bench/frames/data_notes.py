"""Caveats about the data: sentences that follow from the dataset's description in the records.

To add a sentence, write a function of a DatasetIdentity. Put it into LEAKAGE_SENTENCES if the dataset's
`leakage: allow` silences it, else into SENTENCES. Tables, dashboard and exported pages show it.
"""

from collections.abc import Callable

import pandas as pd

from resnest_bench.records.balance import IMBALANCED, measure_balance
from resnest_bench.records.observations import DatasetIdentity
from resnest_bench.specs import StudySpec

Sentence = Callable[[DatasetIdentity], str]
NOTE_COLUMNS = ["leakage_note", "data_note", "imbalance_note"]


def _copies_sentence(data: DatasetIdentity) -> str:
    counts = data.duplicates
    num_copies = counts and counts.test_exact + (counts.test_near or 0)
    if not counts or not num_copies or not data.num_test:
        return ""
    near = "near copies were not searched for"
    if counts.test_near is not None:
        near = f"{counts.test_near:,} nearly"
    percent = 100 * num_copies / data.num_test
    return (
        f"{num_copies:,} of {data.num_test:,} test images ({percent:.3g} %) are also training images "
        f"({counts.test_exact:,} exactly, {near}); with new images instead of them, accuracy could be "
        f"up to {percent:.3g} points lower"
    )


def _labels_sentence(data: DatasetIdentity) -> str:
    if not data.duplicates or not data.duplicates.two_labels:
        return ""
    return f"{data.duplicates.two_labels:,} images have a copy with another label"


LEAKAGE_SENTENCES: tuple[Sentence, ...] = (_copies_sentence, _labels_sentence)


def _left_out_sentence(data: DatasetIdentity) -> str:
    reading = data.reading
    parts = [
        f"{number:,} {what}"
        for number, what in (
            (reading.num_broken_images, "broken images"),
            (reading.num_misnamed_images, "images with another file extension"),
            (sum(reading.unused_folders.values()), "images in other folders"),
        )
        if number
    ]
    return f"left out: {', '.join(parts)}" if parts else ""


def _pixels_sentence(data: DatasetIdentity) -> str:
    reading, parts = data.reading, []
    if reading.num_transparent_images:
        parts.append(
            f"{reading.num_transparent_images:,} transparent images were put on a white background"
        )
    if reading.num_deep_images:
        parts.append(
            f"{reading.num_deep_images:,} images of more than 8 bits were scaled so that "
            f"{reading.white_value or 0:g} is white"
        )
    return "; ".join(parts)


def _split_sentence(data: DatasetIdentity) -> str:
    split = data.reading.split
    if split is None:
        return ""
    whole = "" if split.num_groups is None else f", {split.num_groups:,} groups kept whole"
    return (
        f"the test images are {100 * split.test_fraction:.3g} % of each class, chosen at random (seed "
        f"{split.seed}){whole}"
    )


def _validation_sentence(data: DatasetIdentity) -> str:
    num = data.reading.num_given_validation
    return f"the validation images are the data's own {num:,}" if num else ""


SENTENCES: tuple[Sentence, ...] = (
    _left_out_sentence,
    _pixels_sentence,
    _split_sentence,
    _validation_sentence,
)


def _imbalance_sentence(data: DatasetIdentity) -> str:
    """Of the test images: what always answering the largest class would score is about them."""
    balance = measure_balance(dict(zip(data.classes, data.test_images_per_class, strict=False)))
    if balance is None or balance.ratio < IMBALANCED:
        return ""
    return (
        f"the classes are imbalanced ({balance.ratio:.3g} test images of {balance.largest} for each one of "
        f"{balance.smallest}): always answering {balance.largest} is right in "
        f"{100 * balance.majority_share:.3g} % of the test images "
        "(headline_metric: balanced_accuracy counts all classes alike)"
    )


def describe_data(data: DatasetIdentity | None) -> dict[str, str]:
    """The NOTE_COLUMNS of a record; '' without a caveat."""
    if data is None:
        return {}
    kinds = (LEAKAGE_SENTENCES, SENTENCES, (_imbalance_sentence,))
    return {
        column: "; ".join(filter(None, (sentence(data) for sentence in sentences)))
        for column, sentences in zip(NOTE_COLUMNS, kinds, strict=True)
    }


def data_notes(study: StudySpec, runs: pd.DataFrame) -> dict[str, str]:
    """Caveats about the data of trainings: 'LABEL: SENTENCES' by the dataset's name.

    `runs` is from `collect`. Sentences of all records are joined. Those on copies are left out if the
    dataset says `leakage: allow`, those on imbalance if the headline metric isn't the accuracy.
    """
    trained = runs[runs["kind"].ne("latency") & runs["status"].isin(["ok", "stale"])]
    notes: dict[str, str] = {}
    for key, rows in trained.groupby("dataset", sort=False):
        name = str(key)
        silenced = {
            "leakage_note": study.dataset(name).leakage == "allow",
            "imbalance_note": study.headline_metric != "accuracy",
        }
        columns = [column for column in NOTE_COLUMNS if not silenced.get(column)]
        texts = [text for column in columns for text in rows[column].dropna().unique() if text]
        if texts:
            notes[name] = f"{rows['dataset_label'].iloc[0]}: {'; '.join(texts)}"
    return notes
