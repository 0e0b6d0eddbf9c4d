"""Where a latency record comes from that a bundle's runner has measured on another device (floor 0)."""

from pydantic import BaseModel, ConfigDict, Field


class MeasuredElsewhere(BaseModel):
    """The results file of a device, and the bundle that it has run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(description="Name of the results file, without the folder")
    sha256: str = Field(description="Of the results file")
    bundle: str = Field(description="SHA-256 of the bundle's list of contents")
    network: str = Field(description="Digest of the network's spec, as the bundle states it")
    onnx_sha256: str = Field(description="Of the network's file that was run")
    weights: str = Field(description="Where the network's weights come from")
    imported_at: str = Field(description="UTC, ISO 8601")
    facts: dict[str, str] = Field(
        default={}, description="What the device says of itself: board, governor, memory and so on"
    )
