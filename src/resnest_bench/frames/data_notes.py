"""What a reader must know of the data itself: sentences from what the records say of it.

Add a sentence: a function of a DatasetIdentity, to LEAKAGE_SENTENCES if the dataset's `leakage: allow`
must silence it, else to SENTENCES. Tables, dashboard and exported pages then have it.
"""

from collections.abc import Callable

import pandas as pd

from resnest_bench.records.observations import DatasetIdentity
from resnest_bench.specs import StudySpec

Sentence = Callable[[DatasetIdentity], str]
NOTE_COLUMNS = ["leakage_note", "data_note"]


def _copies_sentence(data: DatasetIdentity) -> str:
    counts = data.duplicates
    found = counts and counts.test_exact + (counts.test_near or 0)
    if not counts or not found or not data.num_test:
        return ""
    near = "near copies were not looked for"
    if counts.test_near is not None:
        near = f"{counts.test_near:,} nearly"
    percent = 100 * found / data.num_test
    return (
        f"{found:,} of {data.num_test:,} test images ({percent:.3g} %) are also training images "
        f"({counts.test_exact:,} exactly, {near}); on new images in their place accuracy could be "
        f"lower by {percent:.3g} points at most"
    )


def _labels_sentence(data: DatasetIdentity) -> str:
    if not data.duplicates or not data.duplicates.two_labels:
        return ""
    return f"{data.duplicates.two_labels:,} images have a copy under another label"


LEAKAGE_SENTENCES: tuple[Sentence, ...] = (_copies_sentence, _labels_sentence)


def _left_out_sentence(data: DatasetIdentity) -> str:
    reading = data.reading
    parts = [
        f"{number:,} {what}"
        for number, what in (
            (reading.num_broken_images, "broken images"),
            (reading.num_misnamed_images, "images under another ending"),
            (sum(reading.unused_folders.values()), "images in other folders"),
        )
        if number
    ]
    return f"left out: {', '.join(parts)}" if parts else ""


def _pixels_sentence(data: DatasetIdentity) -> str:
    reading, parts = data.reading, []
    if reading.num_transparent_images:
        parts.append(f"{reading.num_transparent_images:,} transparent images are shown on white")
    if reading.num_deep_images:
        parts.append(
            f"{reading.num_deep_images:,} images of more than 8 bits are scaled, {reading.white_value or 0:g} "
            "is white"
        )
    return "; ".join(parts)


SENTENCES: tuple[Sentence, ...] = (_left_out_sentence, _pixels_sentence)


def describe_data(data: DatasetIdentity | None) -> dict[str, str]:
    """NOTE_COLUMNS of a record; '' where there is nothing to say."""
    if data is None:
        return {}
    kinds = (LEAKAGE_SENTENCES, SENTENCES)
    return {
        column: "; ".join(filter(None, (sentence(data) for sentence in sentences)))
        for column, sentences in zip(NOTE_COLUMNS, kinds, strict=True)
    }


def data_notes(study: StudySpec, runs: pd.DataFrame) -> dict[str, str]:
    """Dataset's name to 'LABEL: SENTENCES', of the data of trainings, where there is anything to say.

    `runs` is from `collect`. Records that say different things are all heard. The sentences on copies
    are left out where the dataset says `leakage: allow`.
    """
    trained = runs[runs["kind"].ne("latency") & runs["status"].isin(["ok", "stale"])]
    found: dict[str, str] = {}
    for key, rows in trained.groupby("dataset", sort=False):
        name = str(key)
        columns = NOTE_COLUMNS if study.dataset(name).leakage != "allow" else NOTE_COLUMNS[1:]
        texts = [text for column in columns for text in rows[column].dropna().unique() if text]
        if texts:
            found[name] = f"{rows['dataset_label'].iloc[0]}: {'; '.join(texts)}"
    return found
