"""Which test images each training got right: variants x seeds x images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from resnest_bench.records import Record, unpack_bits
from resnest_bench.records.observations import DatasetIdentity, TrainObservations


@dataclass(frozen=True, eq=False)
class Correctness:
    """Per-image correctness of final models on one set of test images.

    `bits_VSN` (variants, seeds, images) is boolean and False where `known_VS` is: there is no such
    training. `seeds` are sorted, `variants` in the order in which they came.
    """

    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    bits_VSN: np.ndarray
    known_VS: np.ndarray
    fingerprint: str

    @property
    def accuracies_VS(self) -> np.ndarray:
        """Test accuracies as fractions; NaN where there is no such training."""
        accuracies_VS: np.ndarray = np.where(self.known_VS, self.bits_VSN.mean(axis=2), np.nan)
        return accuracies_VS

    def of(self, variant: str) -> np.ndarray:
        """Booleans (seeds that it has, images). Raises ValueError for a variant that is not here."""
        place = self._place(variant)
        bits_SN: np.ndarray = self.bits_VSN[place, self.known_VS[place]]
        return bits_SN

    def common_seeds(self, variants: Sequence[str]) -> tuple[int, ...]:
        """Seeds that all of `variants` have."""
        shared = np.all(self.known_VS[[self._place(name) for name in variants]], axis=0)
        return tuple(seed for seed, known in zip(self.seeds, shared, strict=True) if known)

    def aligned(self, variants: Sequence[str]) -> np.ndarray:
        """Booleans (variants, seeds that all of them have, images)."""
        places = [self._place(name) for name in variants]
        return self.bits_VSN[places][:, self.known_VS[places].all(axis=0)]

    def differences(self, ours: str, base: str) -> np.ndarray:
        """Correct of `ours` minus correct of `base`, int8 (seeds that both have, images)."""
        one, other = self.aligned([ours, base]).astype(np.int8)
        difference_SN: np.ndarray = one - other
        return difference_SN

    def _place(self, variant: str) -> int:
        if variant not in self.variants:
            raise ValueError(f"no training of {variant!r} here, only of {', '.join(self.variants)}")
        return self.variants.index(variant)


def _variant_key(record: Record) -> str:
    return record.job.variant


def build_correctness(
    records: Iterable[Record], name: Callable[[Record], str] = _variant_key
) -> Correctness:
    """The matrix of correctness of finished trainings or fine-tunings on the same test images.

    `name` says what a record's row is called; comparing recipes, let it say variant and recipe.
    Raises ValueError for no record, for one without a finished training or without a dataset, for
    data of another fingerprint or another number of test images, for two recipes (or job kinds)
    under one name, and for two records of one name and seed: none of these can be compared.
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
            raise ValueError(f"two records of {row!r} with seed {record.job.seed}: give one")
        seeds[record.job.seed] = unpack_bits(train.test_correct, train.num_test)
    if first is None:
        raise ValueError("no record of a training: there is nothing to compare")
    return _matrix(rows, first)


def _matrix(rows: dict[str, dict[int, np.ndarray]], first: Record) -> Correctness:
    train, dataset = _finished(first)
    seeds = sorted({seed for found in rows.values() for seed in found})
    bits = np.zeros((len(rows), len(seeds), train.num_test), dtype=bool)
    known = np.zeros((len(rows), len(seeds)), dtype=bool)
    for place, found in enumerate(rows.values()):
        for seed, correct in found.items():
            bits[place, seeds.index(seed)] = correct
            known[place, seeds.index(seed)] = True
    return Correctness(tuple(rows), tuple(seeds), bits, known, dataset.fingerprint)


def _finished(record: Record) -> tuple[TrainObservations, DatasetIdentity]:
    """What a finished training saw, and of which data. Raises ValueError for any other record."""
    if record.status != "ok" or record.train is None or record.dataset is None:
        raise ValueError(f"{record.job.job} is no finished training: leave it out")
    return record.train, record.dataset


def _check_same_data(record: Record, first: Record) -> None:
    train, dataset = _finished(record)
    first_train, first_dataset = _finished(first)
    if dataset.fingerprint != first_dataset.fingerprint:
        raise ValueError(
            f"{record.job.job} saw data {dataset.fingerprint[:12]}, but {first.job.job} saw "
            f"{first_dataset.fingerprint[:12]}: only trainings on the same data can be compared"
        )
    if train.num_test != first_train.num_test:
        raise ValueError(
            f"{record.job.job} has {train.num_test} test images, but {first.job.job} has "
            f"{first_train.num_test}: their images can't be matched"
        )


def _check_same_recipe(record: Record, row: str, recipes: dict[str, tuple[str, str]]) -> None:
    recipe = record.job.kind, record.job.recipe
    known = recipes.setdefault(row, recipe)
    if known != recipe:
        raise ValueError(
            f"{row!r} comes from {' '.join(known)} and from {' '.join(recipe)}: "
            "give the records of one of them, or a `name` that tells them apart"
        )
