"""What every record says of its data and its time."""

from datetime import UTC, datetime

from resnest_bench.data import PreparedDataset
from resnest_bench.records.observations import DatasetIdentity


def now() -> str:
    """UTC in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def dataset_identity(data: PreparedDataset, num_train: int, num_validation: int) -> DatasetIdentity:
    return DatasetIdentity(
        name=data.meta.name,
        label=data.meta.label,
        fingerprint=data.meta.fingerprint,
        num_train=num_train,
        num_validation=num_validation,
        num_test=len(data.test),
        classes=list(data.meta.classes),
        train_images_per_class=[data.meta.counts_per_class["train"][c] for c in data.meta.classes],
        test_images_per_class=[data.meta.counts_per_class["test"][c] for c in data.meta.classes],
        duplicates=data.meta.duplicates,
        reading=data.meta.reading,
    )
