"""Which tables are made, and their rows (floor 1)."""

from pydantic import Field

from resnest_bench.specs.base import Name, Spec, VariantNames


class TableSpec(Spec):
    """The rows of one table. Defaults come from the first block of a kind."""

    dataset: Name | None = Field(default=None, description="Dataset of accuracy and latency")
    recipe: Name | None = Field(default=None, description="Recipe of the accuracy")
    protocol: Name | None = Field(default=None, description="Of the latency")
    variants: VariantNames = Field(default="all", description="Variants in this order, or all")
    paper: bool = Field(
        default=False,
        description="Show the paper's printed values next to ours; the caption says where data or "
        "recipe are not the paper's",
    )


class TransferSpec(Spec):
    """Every fine-tuning of the study, with its gain over training from scratch."""

    paper: bool = Field(default=False, description="Show the paper's printed values next to ours")


class TablesSpec(Spec):
    """Which tables are made; null: not made."""

    ablation: TableSpec | None = Field(default=None, description="Radix, cardinality and width")
    tradeoff: TableSpec | None = Field(default=None, description="Accuracy against latency")
    transfer: TransferSpec = Field(default=TransferSpec(), description="All fine-tunings")
