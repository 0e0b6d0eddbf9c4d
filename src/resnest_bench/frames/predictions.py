"""What the networks of one experiment say of each test image: variants x seeds x images."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnest_bench.errors import UserError
from resnest_bench.frames.fresh import pick_counted
from resnest_bench.paths import predictions_file
from resnest_bench.records.predictions import Predictions, read_predictions
from resnest_bench.status.outcomes import Outcome

NOT_KEPT = "the predictions for each test image were not kept"


def load_predictions(outcome: Outcome) -> tuple[Predictions | None, str]:
    """The predictions of a job's record, or why there are none although they were kept.

    Both are empty for a record that kept none, and for one that does not count.
    """
    if not outcome.usable or outcome.record is None:
        return None, ""
    try:
        return read_predictions(predictions_file(outcome.path), outcome.record), ""
    except UserError as error:
        return None, _one_line(str(error))


@dataclass(frozen=True, eq=False)
class ClassPredictions:
    """Predicted classes of the final models of some variants, on the same test images.

    `predicted` maps a variant to (seeds, images), and `seeds` to its seeds in the same order. `labels_N`
    and the predictions are indices into `classes`. `notes` say what is left out, and why.
    """

    variants: tuple[str, ...]
    classes: tuple[str, ...]
    labels_N: np.ndarray
    predicted: dict[str, np.ndarray]
    seeds: dict[str, tuple[int, ...]]
    fingerprint: str
    dataset_label: str
    notes: tuple[str, ...]

    @property
    def class_counts_K(self) -> np.ndarray:
        """Test images of each class."""
        return np.bincount(self.labels_N, minlength=len(self.classes))

    def confusion(self, variant: str) -> np.ndarray:
        """Images (seeds, K, K) by seed, label and predicted class."""
        num = len(self.classes)
        cells_SN = self.labels_N * num + self.predicted[variant]
        counts = [np.bincount(cells_N, minlength=num**2) for cells_N in cells_SN]
        return np.array(counts).reshape(-1, num, num)

    def correct(self, variant: str) -> np.ndarray:
        """Booleans (seeds, images)."""
        correct_SN: np.ndarray = self.predicted[variant] == self.labels_N
        return correct_SN


def build_class_predictions(
    variants: Iterable[str], job_outcomes: Iterable[Outcome]
) -> ClassPredictions:
    """Collect the predictions of one experiment's trainings, of those records that count.

    A record without predictions, or with those of other test images than the first one's, is left out with
    a note. Never raises for a bad file.
    """
    by_variant: dict[str, list[Outcome]] = {name: [] for name in variants}
    for outcome in job_outcomes:
        if outcome.job.variant in by_variant:
            by_variant[outcome.job.variant].append(outcome)
    first: Predictions | None = None
    classes: tuple[str, ...] = ()
    fingerprint = label = ""
    predicted: dict[str, np.ndarray] = {}
    seeds: dict[str, tuple[int, ...]] = {}
    notes: list[str] = []
    for name, outcomes in by_variant.items():
        trained = [one for one in outcomes if one.record and one.record.is_trained]
        rows: dict[int, np.ndarray] = {}
        reasons: dict[str, list[int]] = {}
        for outcome in pick_counted(trained, lambda one: one.status):
            found, problem = load_predictions(outcome)
            if found is None:
                reasons.setdefault(problem or NOT_KEPT, []).append(outcome.job.seed)
                continue
            assert outcome.record is not None, "predictions are read with their record's classes"
            dataset = outcome.record.dataset
            assert dataset is not None
            if first is None:
                first, fingerprint = found, dataset.fingerprint
                label = _one_line(dataset.label)
                classes = tuple(map(_one_line, dataset.classes))
            if dataset.fingerprint != fingerprint:
                reasons.setdefault("its test images are others", []).append(outcome.job.seed)
                continue
            rows[outcome.job.seed] = found.predicted_N.astype(np.int32)
        if rows:
            seeds[name] = tuple(sorted(rows))
            predicted[name] = np.array([rows[seed] for seed in seeds[name]])
        elif outcomes and not trained:
            reasons[outcomes[0].reason or outcomes[0].status] = []
        notes += [f"{name}{_name_seeds(left)}: {why}" for why, left in reasons.items()]
    labels_N = np.zeros(0, dtype=np.int64) if first is None else first.labels_N
    return ClassPredictions(
        tuple(predicted), classes, labels_N, predicted, seeds, fingerprint, label, tuple(notes)
    )


def _one_line(text: str) -> str:
    # A chart's expressions can't hold a line end of any kind.
    return " ".join(text.split())


def _name_seeds(seeds: list[int]) -> str:
    """', seed 3' or ', seeds 2, 3'; empty without any."""
    numbers = ", ".join(map(str, seeds))
    return f", seed{'s' if len(seeds) > 1 else ''} {numbers}" if seeds else ""


def read_image_names(file: Path, count: int) -> list[str] | None:
    """Names of the `count` test images, from the file that `data` left; None without a list of that many."""
    try:
        names = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(names, list) and len(names) == count
    return [str(name) for name in names] if fits else None
