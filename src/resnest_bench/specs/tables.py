"""Which tables are made, and of what (floor 1)."""

from pydantic import Field

from resnest_bench.specs.base import Name, Spec, VariantNames


class TableSpec(Spec):
    """The rows of one table. What is left out is taken from the first block of its kind."""

    dataset: Name | None = Field(
        default=None, description="Of the trained accuracy and of the latency"
    )
    recipe: Name | None = Field(default=None, description="Of the trained accuracy")
    protocol: Name | None = Field(default=None, description="Of the latency")
    variants: VariantNames = Field(default="all", description="Rows in this order, or all")
    paper: bool = Field(
        default=False,
        description="Show the paper's printed values next to ours; the caption says where data or "
        "recipe are not the paper's",
    )


class TransferSpec(Spec):
    """Every fine-tuning of the study, with its gain over a start from scratch."""

    paper: bool = Field(default=False, description="Show the paper's printed values next to ours")


class TablesSpec(Spec):
    """Which tables are made. A table that is null is left out."""

    ablation: TableSpec | None = Field(default=None, description="Radix, cardinality and width")
    tradeoff: TableSpec | None = Field(default=None, description="Accuracy against latency")
    transfer: TransferSpec = Field(default=TransferSpec(), description="All fine-tunings")
