"""Which test images two networks get right: both, one of them, or neither; by class and image by image."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from resnest_bench.comparisons.per_class import CLASS_DIFFERENCE_COLUMNS, pair_class_rows
from resnest_bench.frames.typed import make_frame

# A table has at most as many images of each direction.
MAX_IMAGES = 200
BOTH, ONLY_ONE, ONLY_OTHER, NEITHER = "both right", "only one", "only other", "both wrong"
QUADRANT_COLUMNS = {
    "outcome": "str",
    **dict.fromkeys(["percent", "low_percent", "high_percent", "images"], "float64"),
}
DISPUTED_COLUMNS = {
    "image": "Int64",
    **dict.fromkeys(["class", "mistaken_for"], "str"),
    **dict.fromkeys(["right_seeds", "right_n", "wrong_seeds", "wrong_n"], "Int64"),
}


@dataclass(frozen=True, eq=False)
class ImageOutcomes:
    """Which test images the seeds of two networks classify correctly.

    `correct` maps a network's name to booleans (seeds, N images), `seeds` to its seeds in that order, and
    `predicted` to the predicted classes, where every seed kept them. `labels_N` are indices into `classes`;
    None where neither records nor data on this machine say them.
    """

    correct: dict[str, np.ndarray]
    seeds: dict[str, tuple[int, ...]]
    fingerprint: str
    dataset_label: str
    classes: tuple[str, ...]
    labels_N: np.ndarray | None = None
    predicted: dict[str, np.ndarray] = field(default_factory=dict)

    def with_labels(self, labels_N: np.ndarray, classes: Sequence[str]) -> "ImageOutcomes":
        """The same with the label of each image; raises ValueError for another number of them."""
        if len(labels_N) != self.num_images:
            raise ValueError(f"there are {self.num_images} images, but {len(labels_N)} labels")
        names = tuple(" ".join(name.split()) for name in classes)
        return replace(self, labels_N=np.asarray(labels_N).astype(int), classes=names)

    @property
    def names(self) -> tuple[str, str]:
        one, other = self.correct
        return one, other

    @property
    def num_images(self) -> int:
        return int(next(iter(self.correct.values())).shape[1])

    def quadrants(self) -> pd.DataFrame:
        """Shares of the test images: both right, only the first, only the second, both wrong.

        `percent` is the mean over all pairs of a seed of the one and a seed of the other, so that unequal
        seeds all count; `low_` and `high_percent` are the lowest and highest pair. `images` is the mean number.
        """
        one, other = (self.correct[name].astype(float) for name in self.names)
        both_ST = one @ other.T / self.num_images
        ones_S1, others_1T = one.mean(axis=1)[:, None], other.mean(axis=1)[None]
        shares = {
            BOTH: both_ST,
            ONLY_ONE: ones_S1 - both_ST,
            ONLY_OTHER: others_1T - both_ST,
            NEITHER: 1 - ones_S1 - others_1T + both_ST,
        }
        rows = [
            {
                "outcome": outcome,
                "percent": 100 * share.mean(),
                "low_percent": 100 * share.min(),
                "high_percent": 100 * share.max(),
                "images": self.num_images * share.mean(),
            }
            for outcome, share in shares.items()
        ]
        return make_frame(rows, QUADRANT_COLUMNS)

    def disputed(self, right: str, wrong: str) -> pd.DataFrame:
        """Images that most seeds of `right` get right and most of `wrong` wrong, the clearest first."""
        ours, theirs = self.correct[right], self.correct[wrong]
        shares = ours.mean(axis=0), theirs.mean(axis=0)
        images = np.flatnonzero((shares[0] > 0.5) & (shares[1] < 0.5))
        # Gaps of 2/3 and of 1 - 1/3 are the same one.
        gaps = (shares[0] - shares[1])[images].round(9)
        images = images[np.argsort(-gaps, kind="stable")]
        table = pd.DataFrame(
            {
                "image": images,
                "class": self._name_labels(images),
                "mistaken_for": self._name_mistakes(wrong, images),
                "right_seeds": ours[:, images].sum(axis=0),
                "right_n": len(ours),
                "wrong_seeds": theirs[:, images].sum(axis=0),
                "wrong_n": len(theirs),
            }
        )
        return make_frame(table, DISPUTED_COLUMNS)

    def class_differences(self) -> pd.DataFrame:
        """`class_differences` of these two networks, without rows where the labels aren't known."""
        num = len(self.classes)
        if self.labels_N is None or not num:
            return make_frame([], CLASS_DIFFERENCE_COLUMNS)
        counts_K = np.bincount(self.labels_N, minlength=num)
        is_class_KN = np.arange(num)[:, None] == self.labels_N
        with np.errstate(invalid="ignore", divide="ignore"):
            recalls = {
                name: correct_SN.astype(float) @ is_class_KN.T / counts_K
                for name, correct_SN in self.correct.items()
            }
        return pair_class_rows(
            recalls, self.seeds, self.classes, counts_K, self.dataset_label, *self.names
        )

    def _name_labels(self, images: np.ndarray) -> list[str | None]:
        if self.labels_N is None:
            return [None] * len(images)
        return [self.classes[label] for label in self.labels_N[images]]

    def _name_mistakes(self, name: str, images: np.ndarray) -> list[str | None]:
        """What most of the wrong seeds take each image for."""
        if name not in self.predicted or self.labels_N is None:
            return [None] * len(images)
        answers_SN, num = self.predicted[name][:, images], len(self.classes)
        labels = self.labels_N[images]
        counts = [
            np.bincount(answers[answers != label], minlength=num)
            for answers, label in zip(answers_SN.T, labels, strict=True)
        ]
        return [self.classes[int(count.argmax())] for count in counts]
