"""What a record holds of results from elsewhere: the values, where they come from, what is unknown (floor 0)."""

from typing import Literal

from pydantic import Field

from resnest_bench.records.observations import (
    Count,
    Environment,
    Finite,
    JobIdentity,
    NonNegative,
    Positive,
    PredictionsObservation,
    RecordModel,
    Time,
)

UNKNOWN = "unknown"
Statistic = Literal["mean", "p50", "p90", "p99", "iqr"]


class ImageResults(RecordModel):
    """Which test images a network classifies correctly, as in TrainObservations."""

    num_test: Count
    test_correct: str
    test_predictions_per_class: list[Count] = Field(default=[])
    predictions: PredictionsObservation


class ImportedCell(RecordModel):
    """Times of one batch size, as samples or as statistics of samples that are not known."""

    batch_size: Positive
    precision: str = UNKNOWN
    layout: str = UNKNOWN
    mode: str = UNKNOWN
    samples_ms: list[NonNegative] = Field(default=[], description="Time of each call")
    statistics_ms: dict[Statistic, NonNegative] = Field(
        default={}, description="Without samples: what the file states. At least p50 or mean"
    )

    @property
    def is_mean(self) -> bool:
        """Whether the mean stands for the median, which the file doesn't state."""
        return not self.samples_ms and "p50" not in self.statistics_ms


class ImportedSource(RecordModel):
    """One file that values were taken from."""

    file: str = Field(description="Its name, without the folder")
    sha256: str
    imported_at: Time = Field(description="UTC, ISO 8601")
    columns: dict[str, str] = Field(
        description="What was taken: name of a metric or of a part to the file's column and its unit"
    )


class EvaluationSource(RecordModel):
    """What was evaluated: the network that a training of this study ended with."""

    trained: JobIdentity = Field(description="The training or fine-tuning")
    weights_sha256: str = Field(description="Of its final weights, as its own record names them")
    code_digest: str
    environment: Environment
    evaluated_at: Time = Field(description="UTC, ISO 8601")


class ImportedResults(RecordModel):
    """Results that no training of this study has made. Nothing is filled in: what is not said is unknown."""

    sources: list[ImportedSource] = Field(min_length=1)
    run: str | None = Field(
        default=None, description="What the file calls the run, where that is no seed"
    )
    device: str | None = Field(default=None, description="As stated at the import; null: unknown")
    dataset_label: str | None = Field(default=None, description="Null: the dataset's name")
    num_test: Positive | None = Field(default=None, description="Test images; null: unknown")
    values: dict[str, Finite] = Field(
        default={}, description="Name in METRICS to value, in its unit. Shares are fractions"
    )
    images: ImageResults | None = Field(default=None, description="Null: no result for each image")
    cells: list[ImportedCell] = Field(default=[], description="Of a latency: one per batch size")
    unknown: list[str] = Field(description="What the file does not say, in words")
    evaluation: EvaluationSource | None = Field(
        default=None,
        description="Of a network of this study on another test set; null: results from elsewhere",
    )
