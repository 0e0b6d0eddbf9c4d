"""What a network takes besides time: memory and energy of each latency cell (floor 0)."""

from typing import Literal

from pydantic import Field

from resnest_bench.records.observations import Count, NonNegative, Positive, RecordModel

Quantity = Literal["memory", "energy"]


class ConsumptionCell(RecordModel):
    """One setting of a latency job. What was not measured is null, and `Consumption.gaps` says why."""

    batch_size: Positive
    precision: str
    layout: str
    mode: str
    resident_bytes: Count | None = Field(
        default=None,
        description="Peak resident memory of a process that runs this cell alone; null on a GPU, whose peak "
        "is the cell's peak_memory_bytes",
    )
    resident_before_bytes: Count | None = Field(
        default=None,
        description="The same process with its libraries, before the network: Python and the runtime",
    )
    joules: dict[str, NonNegative] | None = Field(
        default=None, description="Energy of all calls by counter: package, dram, gpu, soc"
    )
    num_calls: Count = Field(default=0, description="Calls between two readings of the counters")
    seconds: NonNegative = Field(default=0, description="Time between these readings")

    @property
    def added_bytes(self) -> int | None:
        """What the network added to its process; None if the memory was not measured."""
        if self.resident_bytes is None or self.resident_before_bytes is None:
            return None
        return self.resident_bytes - self.resident_before_bytes

    @property
    def joules_per_image(self) -> float | None:
        """The energy of all counters together, divided by the images of all calls; None without any."""
        images = self.batch_size * self.num_calls
        return sum(self.joules.values()) / images if self.joules and images else None


class Gap(RecordModel):
    """What could not be measured, and why."""

    quantity: Quantity
    reason: str
    batch_size: Positive | None = Field(default=None, description="Null: any")
    precision: str | None = Field(default=None, description="Null: any setting")
    layout: str | None = None
    mode: str | None = None


class Consumption(RecordModel):
    """Memory and energy, measured after all latencies of the job."""

    meter: str | None = Field(
        default=None, description="What read the counters: zeus and its version"
    )
    cells: list[ConsumptionCell]
    gaps: list[Gap] = Field(default=[], description="What is missing, and why")
    reference_before_joules: NonNegative | None = Field(
        default=None, description="Energy per image of the reference network, before all cells"
    )
    reference_after_joules: NonNegative | None = Field(default=None, description="After all cells")

    def explain(self, precision: str, layout: str, mode: str, batch_size: int) -> str:
        """Return 'QUANTITY: REASON' for each gap of a setting, '' without any."""
        mine = {"precision": precision, "layout": layout, "mode": mode, "batch_size": batch_size}
        texts = [
            f"{gap.quantity}: {gap.reason}"
            for gap in self.gaps
            if all(getattr(gap, name) in (None, value) for name, value in mine.items())
        ]
        return "; ".join(dict.fromkeys(texts))

    def find(
        self, precision: str, layout: str, mode: str, batch_size: int
    ) -> ConsumptionCell | None:
        """Return the cell of a setting, or None."""
        wanted = (precision, layout, mode, batch_size)
        for cell in self.cells:
            if (cell.precision, cell.layout, cell.mode, cell.batch_size) == wanted:
                return cell
        return None
