"""Each class by itself: precision, recall and F1 of every network, and what it confuses with what."""

import numpy as np
import pandas as pd

from resnest_bench.frames.predictions import ClassPredictions
from resnest_bench.frames.typed import make_frame
from resnest_bench.stats.intervals import seed_interval
from resnest_bench.stats.summary import FRACTION

MEASURES = ("precision", "recall", "f1")
PER_CLASS_COLUMNS = {
    **dict.fromkeys(["variant", "class"], "str"),
    **dict.fromkeys(["num_images", "n"], "Int64"),
    **{
        f"{name}_{part}": "float64"
        for name in MEASURES
        for part in ("mean_percent", "std_points", "low_percent", "high_percent")
    },
    "dataset_label": "str",
}
CONFUSION_COLUMNS = {
    **dict.fromkeys(["variant", "label", "predicted"], "str"),
    "n": "Int64",
    **dict.fromkeys(
        ["images_mean", "images_std", "share_mean_percent", "share_std_points"], "float64"
    ),
    "num_images": "Int64",
    "dataset_label": "str",
}


def class_measures(confusion_SKK: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 as fractions (seeds, K), from images by seed, label and predicted class.

    Recall is NaN for a class without an image. Precision of a class that is never predicted is 0, and so is
    its F1, as in scikit-learn with zero_division=0.
    """
    hits_SK = np.diagonal(confusion_SKK, axis1=1, axis2=2).astype(float)
    labels_SK, predicted_SK = confusion_SKK.sum(axis=2), confusion_SKK.sum(axis=1)
    zeros = np.zeros_like(hits_SK)
    empty = np.full_like(hits_SK, np.nan)
    both_SK = labels_SK + predicted_SK
    return {
        "precision": np.divide(hits_SK, predicted_SK, out=zeros.copy(), where=predicted_SK > 0),
        "recall": np.divide(hits_SK, labels_SK, out=empty, where=labels_SK > 0),
        "f1": np.divide(2 * hits_SK, both_SK, out=zeros, where=both_SK > 0),
    }


def per_class_table(found: ClassPredictions) -> pd.DataFrame:
    """One row per variant and class: precision, recall and F1 in %, means over `n` seeds.

    The 95 % interval is Student's on the logit scale, for new seeds on these test images; NaN below three
    seeds and where all are equal. Nothing is rounded.
    """
    rows = []
    for name in found.variants:
        measures = class_measures(found.confusion(name))
        n = len(found.seeds[name])
        figures = {measure: _summarise(values_SK) for measure, values_SK in measures.items()}
        for index, label in enumerate(found.classes):
            rows.append(
                {
                    "variant": name,
                    "class": label,
                    "num_images": int(found.class_counts_K[index]),
                    "n": n,
                    **{
                        f"{measure}_{part}": values_K[index]
                        for measure, parts in figures.items()
                        for part, values_K in parts.items()
                    },
                    "dataset_label": found.dataset_label,
                }
            )
    return make_frame(rows, PER_CLASS_COLUMNS)


def _summarise(values_SK: np.ndarray) -> dict[str, np.ndarray]:
    interval = seed_interval(values_SK.T, bounds=FRACTION)
    n = len(values_SK)
    spread = values_SK.std(axis=0, ddof=1) if n > 1 else np.full(values_SK.shape[1], np.nan)
    return {
        "mean_percent": 100 * np.asarray(interval.estimate),
        "std_points": 100 * spread,
        "low_percent": 100 * np.asarray(interval.low),
        "high_percent": 100 * np.asarray(interval.high),
    }


def confusion_table(found: ClassPredictions) -> pd.DataFrame:
    """One row per variant, label and predicted class that any seed has: images and their share.

    `images_mean` and `images_std` are over the `n` seeds; shares are of the label's images, in % and points.
    std is NaN for one seed; `num_images` counts all test images. Nothing is rounded.
    """
    parts = [_confusion_rows(found, name) for name in found.variants]
    frames = [part for part in parts if len(part)]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return make_frame(table, CONFUSION_COLUMNS)


def _confusion_rows(found: ClassPredictions, name: str) -> pd.DataFrame:
    matrix_SKK = found.confusion(name)
    label_I, predicted_I = np.nonzero(matrix_SKK.sum(axis=0))
    cells_SI = matrix_SKK[:, label_I, predicted_I]
    mean_I = cells_SI.mean(axis=0)
    std_I = cells_SI.std(axis=0, ddof=1) if len(cells_SI) > 1 else np.full(len(mean_I), np.nan)
    classes, counts_I = np.array(found.classes, dtype=object), found.class_counts_K[label_I]
    return pd.DataFrame(
        {
            "variant": name,
            "label": classes[label_I],
            "predicted": classes[predicted_I],
            "n": len(cells_SI),
            "images_mean": mean_I,
            "images_std": std_I,
            "share_mean_percent": 100 * mean_I / counts_I,
            "share_std_points": 100 * std_I / counts_I,
            "num_images": len(found.labels_N),
            "dataset_label": found.dataset_label,
        }
    )
