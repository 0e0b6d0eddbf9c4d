"""The balance of classes, and its effect on accuracy (floor 0)."""

from collections.abc import Mapping
from dataclasses import dataclass

# From this ratio of the largest class to the smallest on, imbalance is reported with the data.
IMBALANCED = 2.0


@dataclass(frozen=True)
class ClassBalance:
    """The balance of the classes.

    Attributes:
        ratio: number of images in the largest class, divided by that in the smallest.
        majority_share: accuracy of always predicting the largest class.
    """

    largest: str
    smallest: str
    num_largest: int
    num_smallest: int
    ratio: float
    majority_share: float


def measure_balance(counts: Mapping[str, int]) -> ClassBalance | None:
    """Return the balance from images by class; None without classes, or if a class has no images."""
    if not counts or min(counts.values()) < 1:
        return None
    # If several are equal, the first in the order of the classes.
    largest = max(counts, key=lambda name: counts[name])
    smallest = min(counts, key=lambda name: counts[name])
    return ClassBalance(
        largest=largest,
        smallest=smallest,
        num_largest=counts[largest],
        num_smallest=counts[smallest],
        ratio=counts[largest] / counts[smallest],
        majority_share=counts[largest] / sum(counts.values()),
    )
