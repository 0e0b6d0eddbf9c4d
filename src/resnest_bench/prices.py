"""The expected durations of a run's jobs (floor 0), in a file for the progress displays.

Nothing is computed from this file except the time left. Without it, the time left is estimated from the
jobs that have finished.
"""

from pathlib import Path

from pydantic import Field, ValidationError

from resnest_bench import files
from resnest_bench.paths import Job
from resnest_bench.records.observations import Count, NonNegative, RecordModel, Time


class GroupPrice(RecordModel):
    """Expected seconds per record of one variant trained with one recipe, and to start the process."""

    kind: str
    dataset: str
    recipe: str
    variant: str
    num_records: Count
    seconds_per_record: NonNegative
    start_seconds: NonNegative

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.kind, self.dataset, self.recipe, self.variant)


class StudyPrices(RecordModel):
    """The expected durations of all groups that could be measured, on an otherwise idle machine."""

    made_at: Time
    total_seconds: NonNegative = Field(description="Including data, tables and figures")
    groups: list[GroupPrice]
    complete: bool = Field(description="Whether every pending job has a price")

    def find(self, job: Job) -> GroupPrice | None:
        """Return the price of the group that `job` belongs to, or None if it has none."""
        key = (job.kind, job.dataset, job.recipe, job.variant)
        for group in self.groups:
            if group.key == key:
                return group
        return None


def write_prices(path: Path, prices: StudyPrices | None) -> None:
    """Write atomically. None deletes the file of an earlier run. Raises UserError if that fails."""
    if prices is None:
        path.unlink(missing_ok=True)
    else:
        files.write_text(path, prices.model_dump_json() + "\n")


def read_prices(path: Path) -> StudyPrices | None:
    """Return the prices of a study, or None if there is no readable file."""
    try:
        return StudyPrices.model_validate_json(path.read_bytes(), strict=True)
    except (OSError, ValidationError):
        return None
