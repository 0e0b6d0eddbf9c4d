"""How many images of each class there are, and what that alone makes of an accuracy (floor 0)."""

from collections.abc import Mapping
from dataclasses import dataclass

# From this ratio of the largest class to the smallest on, it is said wherever the data are named.
IMBALANCED = 2.0


@dataclass(frozen=True)
class ClassBalance:
    """Attributes:
    ratio: images of the largest class for each one of the smallest.
    majority_share: accuracy of always answering the largest class.
    """

    largest: str
    smallest: str
    num_largest: int
    num_smallest: int
    ratio: float
    majority_share: float


def measure_balance(counts: Mapping[str, int]) -> ClassBalance | None:
    """Of images by class; None if a class has none, or where there is no class."""
    if not counts or min(counts.values()) < 1:
        return None
    # The first of equals, in the order of the classes.
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
