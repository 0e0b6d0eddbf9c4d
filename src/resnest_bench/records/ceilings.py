"""The ceilings of a device, and the least time that they allow for one call of a network (floor 0).

The roofline model (Williams, Waterman and Patterson, Commun. ACM 52 (2009) 65) has two ceilings: peak
arithmetic and memory bandwidth. We add the overhead of a call, which is what bounds small networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(gt=0, le=3.5e38, allow_inf_nan=False)]
Runtime = Literal["torch", "onnxruntime"]

BYTES = {"fp32": 4, "tf32": 4, "bf16": 2}
# The modes in which a runtime starts one operator after the other, so that its overhead adds up.
RUNTIMES: dict[str, Runtime] = {"eager": "torch", "folded": "torch", "onnxruntime": "onnxruntime"}
MS = 1e3


class Ceilings(BaseModel):
    """What a device reached by one runtime in one precision, the best of several repetitions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime: Runtime
    precision: str
    flops_per_second: Rate = Field(
        description="Floating-point operations of a large matrix product or of a large 3x3 convolution, "
        "the better of both"
    )
    bytes_per_second: Rate = Field(
        description="Of a copy larger than the caches: read plus written"
    )
    operator_ms: Rate = Field(description="Time of an operator on a few numbers: its overhead")


@dataclass(frozen=True)
class CellCeilings:
    """The ceilings that hold in one precision and mode; None where one is not known."""

    flops_per_second: float | None = None
    bytes_per_second: float | None = None
    operator_ms: float | None = None


def find_ceilings(ceilings: Sequence[Ceilings], precision: str, mode: str) -> CellCeilings:
    """Arithmetic and memory are the device's, whichever runtime reached the most.

    The overhead is that of the mode's own runtime, and unknown for a mode that starts many operators at
    once, like a CUDA graph. Those of fp32 say nothing about a mode that computes in int8.
    """
    same = [one for one in ceilings if one.precision == precision]
    if not same or mode.endswith("int8"):
        return CellCeilings()
    own = next((one for one in same if one.runtime == RUNTIMES.get(mode)), None)
    return CellCeilings(
        max(one.flops_per_second for one in same),
        max(one.bytes_per_second for one in same),
        own.operator_ms if own else None,
    )


@dataclass(frozen=True)
class Work:
    """What one call needs; None where it is not known. All but `num_operators` are of one image."""

    batch_size: int
    num_params: int
    num_macs: int
    num_activations: int | None
    num_operators: int | None

    @property
    def flops(self) -> float:
        """A multiply-accumulate is two operations."""
        return 2.0 * self.num_macs * self.batch_size

    def moved_bytes(self, precision: str) -> float | None:
        """Weights read once, and each activation written once and read once."""
        if self.num_activations is None:
            return None
        elements = self.num_params + 2 * self.batch_size * self.num_activations
        return float(BYTES.get(precision, 4) * elements)


@dataclass(frozen=True)
class LowerBounds:
    """The least milliseconds of a call by each ceiling; None where it is not known."""

    arithmetic_ms: float | None = None
    memory_ms: float | None = None
    overhead_ms: float | None = None


def lower_bounds(work: Work, ceilings: CellCeilings, precision: str) -> LowerBounds:
    """The least time of a call in a precision.

    >>> work = Work(2, 500, 1_000_000, 1000, 30)
    >>> lower_bounds(work, CellCeilings(1e9, 1e9, 0.01), "fp32")
    LowerBounds(arithmetic_ms=4.0, memory_ms=0.018, overhead_ms=0.3)
    """
    moved = work.moved_bytes(precision)
    flops, rate, operator = (
        ceilings.flops_per_second,
        ceilings.bytes_per_second,
        ceilings.operator_ms,
    )
    return LowerBounds(
        arithmetic_ms=None if flops is None else MS * work.flops / flops,
        memory_ms=None if rate is None or moved is None else MS * moved / rate,
        overhead_ms=None
        if operator is None or work.num_operators is None
        else work.num_operators * operator,
    )
