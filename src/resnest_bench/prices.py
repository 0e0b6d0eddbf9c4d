"""What the jobs of a run are expected to take (floor 0): a file that a run leaves for its onlookers.

No result is taken from it. Where it is missing, time left is told by what has run.
"""

from pathlib import Path

from pydantic import Field, ValidationError

from resnest_bench import files
from resnest_bench.paths import Job
from resnest_bench.records.observations import Count, NonNegative, RecordModel, Time


class GroupPrice(RecordModel):
    """Seconds of the records of one variant by one recipe, and of the start of their process."""

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
    """All groups that could be priced, for a processor that does nothing else."""

    made_at: Time
    total_seconds: NonNegative = Field(description="Data, tables and figures too")
    groups: list[GroupPrice]
    complete: bool = Field(description="Whether every job to do has a price")

    def find(self, job: Job) -> GroupPrice | None:
        """The price of the group that `job` is in; None where it has none."""
        key = (job.kind, job.dataset, job.recipe, job.variant)
        for group in self.groups:
            if group.key == key:
                return group
        return None


def write_prices(path: Path, prices: StudyPrices | None) -> None:
    """Write at once or not at all. None takes away what an earlier run has left."""
    if prices is None:
        path.unlink(missing_ok=True)
    else:
        files.write_text(path, prices.model_dump_json() + "\n")


def read_prices(path: Path) -> StudyPrices | None:
    """The prices of a study; None where no run has left any that can be read."""
    try:
        return StudyPrices.model_validate_json(path.read_bytes(), strict=True)
    except (OSError, ValidationError):
        return None
