"""Which tables are made, and their rows (floor 1)."""

from collections.abc import Collection

from pydantic import Field

from resnest_bench.specs.base import Name, PositiveFloat, Spec, VariantNames, check_known


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
    price_per_hour: PositiveFloat | dict[str, PositiveFloat] | None = Field(
        default=None,
        description="Of the device that latencies were measured on, in any currency, for the cost of a million "
        "images; or a price for each protocol, where another device has one of its own "
        "(`default+Raspberry-Pi-5`). null: adaptive.price_per_hour, if there is one",
    )
    transfer: TransferSpec = Field(default=TransferSpec(), description="All fine-tunings")


def check_tables(
    tables: TablesSpec,
    compared: VariantNames,
    variants: Collection[str],
    datasets: Collection[str],
    recipes: Collection[str],
    protocols: Collection[str],
) -> None:
    """Raise UserError where a table names what the study, whose names the others are, doesn't have.

    `compared` are the variants whose differences are shown.
    """
    if isinstance(tables.price_per_hour, dict):
        for name in tables.price_per_hour:
            check_known("tables.price_per_hour", name, protocols)
    for name in () if compared == "all" else compared:
        check_known("differences.variants", name, variants)
    for table in ("ablation", "tradeoff"):
        spec = getattr(tables, table)
        if spec is None:
            continue
        where = f"tables.{table}"
        for value, known, field in (
            (spec.dataset, datasets, "dataset"),
            (spec.recipe, recipes, "recipe"),
            (spec.protocol, protocols, "protocol"),
        ):
            if value is not None:
                check_known(f"{where}.{field}", value, known)
        for name in () if spec.variants == "all" else spec.variants:
            check_known(f"{where}.variants", name, variants)
