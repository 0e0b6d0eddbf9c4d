"""Two networks class by class, and the images that one of them gets right and the other wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.comparisons.differences import list_pairs
from resnest_bench.frames.predictions import ClassPredictions
from resnest_bench.frames.typed import make_frame
from resnest_bench.stats.intervals import sample_variance, seed_interval
from resnest_bench.stats.multiplicity import holm
from resnest_bench.stats.p_values import seed_p_value
from resnest_bench.stats.summary import MIN_FOR_INTERVAL
from resnest_bench.tables.per_class import (
    CONFUSION_COLUMNS,
    PER_CLASS_COLUMNS,
    class_measures,
    confusion_table,
    per_class_table,
)

# Per pair of networks and direction: the rest is in the records.
MAX_IMAGES = 200
CLASS_DIFFERENCE_COLUMNS = {
    **dict.fromkeys(["variant", "base", "class"], "str"),
    **dict.fromkeys(["num_images", "n"], "Int64"),
    **dict.fromkeys(
        ["difference_points", "std_points", "low_points", "high_points", "p", "holm_p"], "float64"
    ),
    **dict.fromkeys(["dataset_label", "status"], "str"),
}
DISPUTED_COLUMNS = {
    **dict.fromkeys(["right", "wrong"], "str"),
    "image": "Int64",
    **dict.fromkeys(["file", "class", "mistaken_for"], "str"),
    **dict.fromkeys(["right_seeds", "right_n", "wrong_seeds", "wrong_n"], "Int64"),
}


def class_differences(found: ClassPredictions, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """One row per pair (variant, base) and class: the difference in recall, variant minus base, in points.

    It is the mean over the `n` seeds that both have, with Student's 95 % interval for new seeds on these
    test images. `holm_p` is corrected over the classes of the pair. Nothing is rounded.
    """
    recalls = {name: class_measures(found.confusion(name))["recall"] for name in found.variants}
    parts = [
        pair_class_rows(
            recalls,
            found.seeds,
            found.classes,
            found.class_counts_K,
            found.dataset_label,
            *pair,
        )
        for pair in pairs
    ]
    frames = [part for part in parts if len(part)]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return make_frame(table, CLASS_DIFFERENCE_COLUMNS)


def pair_class_rows(
    recalls: Mapping[str, np.ndarray],
    seeds_by_name: Mapping[str, Sequence[int]],
    classes: Sequence[str],
    counts_K: np.ndarray,
    dataset_label: str,
    ours: str,
    base: str,
) -> pd.DataFrame:
    """The rows of `class_differences` for one pair, from recalls (seeds, K classes) by name."""
    seeds = [seed for seed in seeds_by_name[ours] if seed in seeds_by_name[base]]
    n = len(seeds)
    rows: dict[str, Any] = {
        "variant": ours,
        "base": base,
        "class": list(classes),
        "num_images": counts_K,
        "n": n,
        "dataset_label": dataset_label,
        "status": _status(n),
    }
    if n:
        one, other = (
            recalls[name][[list(seeds_by_name[name]).index(seed) for seed in seeds]]
            for name in (ours, base)
        )
        values_KS = 100 * (one - other).T
        interval = seed_interval(values_KS)
        p_K = np.asarray(seed_p_value(values_KS))
        rows |= {
            "difference_points": interval.estimate,
            "std_points": np.sqrt(sample_variance(values_KS)) if n > 1 else np.nan,
            "low_points": interval.low,
            "high_points": interval.high,
            "p": p_K,
            "holm_p": holm(p_K),
        }
    return make_frame(pd.DataFrame(rows), CLASS_DIFFERENCE_COLUMNS)


def _status(n: int) -> str:
    if n == 0:
        return "no common seed"
    return "ok" if n >= MIN_FOR_INTERVAL else f"n={n}: no interval and no test"


def disputed_images(
    found: ClassPredictions, one: str, other: str, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Test images that most seeds of one network get right and most of the other wrong, both ways round.

    `right` is the network that gets the image right, in `right_seeds` of its `right_n` seeds; `wrong` is
    right in `wrong_seeds` of its `wrong_n`, and mostly takes it for `mistaken_for`. `image` is the index
    among the test images and `file` its name, where `names` knows it. The clearest cases come first, at most
    200 per direction.
    """
    parts = [_one_way(found, *pair, names) for pair in ((one, other), (other, one))]
    frames = [part for part in parts if len(part)]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return make_frame(table, DISPUTED_COLUMNS)


def no_disputed_images() -> pd.DataFrame:
    """`disputed_images` where there are no predictions."""
    return make_frame([], DISPUTED_COLUMNS)


def make_class_tables(
    found: ClassPredictions | None, base: str | None = None
) -> dict[str, pd.DataFrame]:
    """The tables of the classes by name, without rows where there are no predictions."""
    if found is None or not found.variants:
        return {
            "per_class": make_frame([], PER_CLASS_COLUMNS),
            "confusion": make_frame([], CONFUSION_COLUMNS),
            "class_differences": make_frame([], CLASS_DIFFERENCE_COLUMNS),
        }
    known = base is None or base in found.variants
    pairs = list_pairs(found.variants, base) if known else []
    return {
        "per_class": per_class_table(found),
        "confusion": confusion_table(found),
        "class_differences": class_differences(found, pairs),
    }


def count_disputed(found: ClassPredictions, right: str, wrong: str) -> int:
    """How many images most seeds of `right` get right and most of `wrong` wrong."""
    return int(_is_disputed(found, right, wrong).sum())


def _is_disputed(found: ClassPredictions, right: str, wrong: str) -> np.ndarray:
    ours, theirs = (found.correct(name).mean(axis=0) for name in (right, wrong))
    disputed_N: np.ndarray = (ours > 0.5) & (theirs < 0.5)
    return disputed_N


def _one_way(
    found: ClassPredictions, right: str, wrong: str, names: Sequence[str] | None
) -> pd.DataFrame:
    ours, theirs = found.correct(right), found.correct(wrong)
    images = np.flatnonzero(_is_disputed(found, right, wrong))
    gaps = ours[:, images].mean(axis=0) - theirs[:, images].mean(axis=0)
    # Gaps of 2/3 and of 1 - 1/3 are the same one.
    images = images[np.argsort(-gaps.round(9), kind="stable")][:MAX_IMAGES]
    num = len(found.classes)
    classes = np.array(found.classes, dtype=object)
    mistakes = [
        np.bincount(answers[answers != label], minlength=num).argmax()
        for answers, label in zip(
            found.predicted[wrong][:, images].T, found.labels_N[images], strict=True
        )
    ]
    return pd.DataFrame(
        {
            "right": right,
            "wrong": wrong,
            "image": images,
            "file": [names[i] for i in images.tolist()] if names is not None else None,
            "class": classes[found.labels_N[images]],
            "mistaken_for": classes[np.array(mistakes, dtype=int)],
            "right_seeds": ours[:, images].sum(axis=0),
            "right_n": len(ours),
            "wrong_seeds": theirs[:, images].sum(axis=0),
            "wrong_n": len(theirs),
        }
    )
