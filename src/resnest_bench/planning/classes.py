"""Describe a study's data for `plan`: images by class, balance, and copies in both parts."""

from collections.abc import Mapping
from contextlib import suppress

from resnest_bench.data import counts_text, is_prepared, open_prepared
from resnest_bench.errors import UserError
from resnest_bench.planning.datasets import ImageCounts, count_images
from resnest_bench.records.balance import IMBALANCED, measure_balance
from resnest_bench.specs import StudySpec

# With more classes, only the sizes of the largest and the smallest are shown.
MOST_COUNTED = 6


def describe_classes(study: StudySpec) -> list[str]:
    """Return one line 'Data NAME: ...' per dataset whose classes can be counted."""
    lines = []
    for name in study.own_datasets:
        # Problems with data are reported elsewhere: by the check, and by the job that prepares them.
        with suppress(UserError):
            counts = count_images(study, name)
            if counts is not None:
                lines.append(
                    f"Data {name}: {describe_counts(counts, study.headline_metric)}"
                    f"{_describe_copies(study, name)}."
                )
    return lines


def describe_counts(images: ImageCounts, headline_metric: str) -> str:
    """Return like '160 training and 40 test images of 2 classes (train: cat 120, dog 40; test: ...). ...'."""
    counts, num_given = images.by_class, images.num_given_validation
    totals = {part: sum(by_class.values()) for part, by_class in counts.items()}
    text = (
        f"{totals['train']:,} training and {totals['test']:,} test images of "
        f"{len(counts['train']):,} classes"
    )
    parts = "; ".join(f"{part}: {_list_classes(by_class)}" for part, by_class in counts.items())
    text += f" ({parts})"
    if num_given:
        text += f". {num_given:,} of the training images are the data's own validation part"
    balance = measure_balance(counts["test"])
    train = measure_balance(counts["train"])
    if balance is None:
        return text
    text += (
        f". Always answering {balance.largest} is right in {100 * balance.majority_share:.3g} % of the "
        "test images"
    )
    if max(balance.ratio, train.ratio if train else 1) >= IMBALANCED:
        ratio = train.ratio if train else balance.ratio
        text += (
            f". The classes are imbalanced (largest to smallest: {ratio:.3g} in training, "
            f"{balance.ratio:.3g} in testing): accuracy favours {balance.largest}. In a recipe, "
            "class_weights: balanced and sampling: balanced let classes count alike"
        )
        if headline_metric == "accuracy":
            text += ", and so does headline_metric: balanced_accuracy in tables and verdicts"
    return text


def _list_classes(counts: Mapping[str, int]) -> str:
    if len(counts) <= MOST_COUNTED:
        return ", ".join(f"{name} {num:,}" for name, num in counts.items())
    low, high = min(counts.values()), max(counts.values())
    return f"{low:,} to {high:,} of each class" if low < high else f"{low:,} of each class"


def _describe_copies(study: StudySpec, name: str) -> str:
    if not is_prepared(study, name):
        return ". Duplicates will be checked when the data are prepared"
    counts = open_prepared(study.prepared(name)).meta.duplicates
    return f". {counts_text(counts)}" if counts else ""
