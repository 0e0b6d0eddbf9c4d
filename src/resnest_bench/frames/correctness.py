"""Which test images each trained network classifies correctly: variants x seeds x images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from resnest_bench.records import Record, unpack_bits
from resnest_bench.records.deploy import DeployObservations
from resnest_bench.records.imports import ImageResults
from resnest_bench.records.observations import DatasetIdentity, TrainObservations


@dataclass(frozen=True, eq=False)
class Correctness:
    """Per-image correctness of final models on one set of test images.

    `bits_VSN` (variants, seeds, images) is boolean. `is_trained_VS` says which trainings exist;
    without one the bits are False. `seeds` are sorted, `variants` in the order of their records.
    """

    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    bits_VSN: np.ndarray
    is_trained_VS: np.ndarray
    fingerprint: str

    @property
    def accuracies_VS(self) -> np.ndarray:
        """Test accuracies as fractions; NaN without a training."""
        accuracies_VS: np.ndarray = np.where(self.is_trained_VS, self.bits_VSN.mean(axis=2), np.nan)
        return accuracies_VS

    def select(self, variant: str) -> np.ndarray:
        """Booleans (seeds of the variant, images). Raises ValueError for an unknown variant."""
        row = self._row(variant)
        bits_SN: np.ndarray = self.bits_VSN[row, self.is_trained_VS[row]]
        return bits_SN

    def common_seeds(self, variants: Sequence[str]) -> tuple[int, ...]:
        """Seeds that all of `variants` have."""
        is_shared = np.all(self.is_trained_VS[[self._row(name) for name in variants]], axis=0)
        return tuple(seed for seed, shared in zip(self.seeds, is_shared, strict=True) if shared)

    def align(self, variants: Sequence[str]) -> np.ndarray:
        """Booleans (variants, seeds that all of them have, images)."""
        rows = [self._row(name) for name in variants]
        return self.bits_VSN[rows][:, self.is_trained_VS[rows].all(axis=0)]

    def differences(self, ours: str, base: str) -> np.ndarray:
        """Correct of `ours` minus correct of `base`, int8 (seeds that both have, images)."""
        one, other = self.align([ours, base]).astype(np.int8)
        difference_SN: np.ndarray = one - other
        return difference_SN

    def _row(self, variant: str) -> int:
        if variant not in self.variants:
            raise ValueError(
                f"there is no training of {variant!r}, only of {', '.join(self.variants)}"
            )
        return self.variants.index(variant)


def variant_key(record: Record) -> str:
    """The name of a row of one variant."""
    return record.job.variant


def share_images(records: Iterable[Record]) -> bool:
    """Whether trainings can be compared image by image, as far as imported ones are among them.

    An imported training may have no result for each image, or those of images that only it knows. Then the
    values of the seeds remain.
    """
    every = list(records)
    if not any(record.imported for record in every):
        return True
    known = [record for record in every if record.images and record.dataset]
    same = {record.dataset.fingerprint for record in known if record.dataset}
    return len(known) == len(every) and len(same) == 1


def build_correctness(
    records: Iterable[Record], name: Callable[[Record], str] = variant_key
) -> Correctness:
    """Collect the correctness of finished trainings or fine-tunings on the same test images.

    `name` names the row of a record. To compare recipes, let it return variant and recipe. Raises
    ValueError for records that can't be compared: none at all, one without a finished training or
    a dataset, data of another fingerprint or another number of test images, two recipes (or job kinds)
    under one name, and two records of one name and seed.
    """
    rows: dict[str, dict[int, np.ndarray]] = {}
    first: Record | None = None
    recipes: dict[str, tuple[str, str]] = {}
    for record in records:
        train, _ = _finished(record)
        first = first or record
        _check_same_data(record, first)
        row = name(record)
        _check_same_recipe(record, row, recipes)
        seeds = rows.setdefault(row, {})
        if record.job.seed in seeds:
            raise ValueError(
                f"there are two records of {row!r} with seed {record.job.seed}: give only one"
            )
        seeds[record.job.seed] = unpack_bits(train.test_correct, train.num_test)
    if first is None:
        raise ValueError("there is no record of a training, and so nothing to compare")
    return _matrix(rows, first)


def _matrix(rows: dict[str, dict[int, np.ndarray]], first: Record) -> Correctness:
    train, dataset = _finished(first)
    seeds = sorted({seed for by_seed in rows.values() for seed in by_seed})
    bits = np.zeros((len(rows), len(seeds), train.num_test), dtype=bool)
    is_trained = np.zeros((len(rows), len(seeds)), dtype=bool)
    for row, by_seed in enumerate(rows.values()):
        for seed, correct in by_seed.items():
            bits[row, seeds.index(seed)] = correct
            is_trained[row, seeds.index(seed)] = True
    return Correctness(tuple(rows), tuple(seeds), bits, is_trained, dataset.fingerprint)


def _finished(
    record: Record,
) -> tuple[TrainObservations | DeployObservations | ImageResults, DatasetIdentity]:
    """Observations and dataset of a finished training. Raises ValueError for any other record."""
    images = record.images
    if record.status == "ok" and images is None and record.imported:
        raise ValueError(f"{record.job.job} was imported without a result for each test image")
    if record.status != "ok" or images is None or record.dataset is None:
        raise ValueError(f"{record.job.job} is not a finished training: leave it out")
    return images, record.dataset


def _check_same_data(record: Record, first: Record) -> None:
    train, dataset = _finished(record)
    first_train, first_dataset = _finished(first)
    if dataset.fingerprint != first_dataset.fingerprint:
        raise ValueError(
            f"{record.job.job} was trained on data {dataset.fingerprint[:12]}, but {first.job.job} on "
            f"{first_dataset.fingerprint[:12]}: only trainings on the same data can be compared"
        )
    if train.num_test != first_train.num_test:
        raise ValueError(
            f"{record.job.job} has {train.num_test} test images, but {first.job.job} has "
            f"{first_train.num_test}: their images can't be matched"
        )


def _check_same_recipe(record: Record, row: str, recipes: dict[str, tuple[str, str]]) -> None:
    recipe = record.job.kind, record.job.recipe
    first_recipe = recipes.setdefault(row, recipe)
    if first_recipe != recipe:
        raise ValueError(
            f"{row!r} comes from {' '.join(first_recipe)} and from {' '.join(recipe)}: "
            "give the records of one of them, or a `name` that distinguishes them"
        )
