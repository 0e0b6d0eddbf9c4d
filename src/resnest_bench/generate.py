"""Generates the schemas, config/README.md, docs/columns.md and docs/command-line.md. Run it with `make generated`.

A test checks that the files are up to date.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter
from pydantic_core import PydanticUndefined
from typer.cli import get_docs_for_click

from resnest_bench import files, records
from resnest_bench.cli.app import app
from resnest_bench.comparisons.deployment import DEPLOYMENT_TEXTS
from resnest_bench.comparisons.device_ranking import NETWORK_TEXTS, RANKING_TEXTS
from resnest_bench.comparisons.variance import COMPONENT_TEXTS, SEEDS_OR_IMAGES_TEXTS
from resnest_bench.frames.columns import columns_page, describe_column
from resnest_bench.search.columns import SEARCH_TABLE_COLUMNS
from resnest_bench.specs import (
    PROTOCOLS,
    RECIPES,
    AdaptiveSpec,
    AirbenchVariant,
    Cifar10Dataset,
    ClaimSpec,
    ClassicVariant,
    DigitsDataset,
    HuggingFaceDataset,
    ImageFolderDataset,
    ImportedDataset,
    ImportedVariant,
    LatencySpec,
    MedmnistDataset,
    PythonVariant,
    RecipeSpec,
    ResNestVariant,
    SplitSpec,
    StudySpec,
    TableDataset,
    TimmVariant,
    TorchvisionDataset,
    VariantSpec,
    WeightsSpec,
)
from resnest_bench.specs.base import Spec
from resnest_bench.specs.blocks import FinetuneBlock, ImportedBlock, LatencyBlock, TrainBlock
from resnest_bench.specs.claims import TESTS, ClaimTest, TrainedRow
from resnest_bench.specs.deploy import DeployBlock
from resnest_bench.specs.optimizers import OPTIMIZERS, Sgd
from resnest_bench.specs.recipes import TeacherSpec
from resnest_bench.specs.tables import TableSpec, TablesSpec, TransferSpec
from resnest_bench.tables.roofline import ROOFLINE_TEXTS
from resnest_bench.tables.stability import STABILITY_TEXTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SECTIONS: list[tuple[str, type[Spec], str]] = [
    (
        "The study: `config.yaml`",
        StudySpec,
        "What to run. Paths are relative to where `snakemake` is started.",
    ),
    ("`train`: a list of", TrainBlock, ""),
    ("`latency`: a list of", LatencyBlock, ""),
    ("`finetune`: a list of", FinetuneBlock, ""),
    ("`finetune[].weights`: variant to", WeightsSpec, ""),
    (
        "`deploy`: a list of",
        DeployBlock,
        "[docs/methods.md](../docs/methods.md#deployment-modes) says how modes are compared.",
    ),
    ("`tables`", TablesSpec, ""),
    ("`tables.ablation`, `tables.tradeoff`", TableSpec, ""),
    ("`tables.transfer`", TransferSpec, ""),
    ("`recipes`: name to", RecipeSpec, ""),
    *((f"`recipes`: `optimizer: {name}`", spec, "") for name, spec in OPTIMIZERS.items()),
    (
        "`recipes`: `teacher`",
        TeacherSpec,
        "[docs/methods.md](../docs/methods.md#distillation) says what it computes.",
    ),
    ("`protocols`: name to", LatencySpec, ""),
    ("`datasets`: name to `source: cifar10`", Cifar10Dataset, ""),
    ("`datasets`: name to `source: imagefolder`", ImageFolderDataset, ""),
    ("`datasets`: name to `source: table`", TableDataset, ""),
    ("`datasets`: name to `source: huggingface`", HuggingFaceDataset, ""),
    ("`datasets`: name to `source: torchvision`", TorchvisionDataset, ""),
    ("`datasets`: name to `source: medmnist`", MedmnistDataset, ""),
    ("`datasets`: `split`", SplitSpec, ""),
    ("`datasets`: name to `source: digits`", DigitsDataset, ""),
    ("`datasets`: name to `source: imported`", ImportedDataset, ""),
    ("`variants.yaml`: `family: resnest`", ResNestVariant, ""),
    ("`variants.yaml`: `family: timm`", TimmVariant, ""),
    ("`variants.yaml`: `family: classic`", ClassicVariant, ""),
    (
        "`variants.yaml`: `family: airbench`",
        AirbenchVariant,
        "[docs/methods.md](../docs/methods.md#a-network-for-fast-trainings) says what it computes.",
    ),
    ("`variants.yaml`: `family: python`", PythonVariant, ""),
    ("`variants.yaml`: `family: imported`", ImportedVariant, ""),
    (
        "`imported.yaml`: a list of",
        ImportedBlock,
        "[docs/import.md](../docs/import.md) says how `resnest-bench import` makes it.",
    ),
    (
        "`adaptive`",
        AdaptiveSpec,
        "Seeds that are added while a claim on a trained accuracy is undecided: [docs/methods.md](../docs/methods.md#adaptive-seeds).",
    ),
    (
        "`claims.yaml`: a list of",
        ClaimSpec,
        "[docs/methods.md](../docs/methods.md#claims) says how they are tested.",
    ),
    ("`claims.yaml`: `test`, of any `kind`", ClaimTest, ""),
    (
        "`claims.yaml`: `a`, `b` or one of `variants`, where recipes or deployment modes are compared",
        TrainedRow,
        "Instead of the name of a variant: with recipe, for a measure of a trained network; with mode, for a "
        "latency too.",
    ),
    *((f"`claims.yaml`: `test`, `kind: {kind}`", test, "") for kind, test in TESTS.items()),
]


def _dumps(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


JOB_TEXTS = {
    "kind": "train or finetune",
    **{name: describe_column(name) for name in ("dataset", "dataset_label", "recipe", "variant")},
}
SPREAD_COLUMNS = {
    "deployment": (
        "`deployment.csv`: one row per deployed variant and mode ([method](methods.md#deployment-modes)).",
        DEPLOYMENT_TEXTS,
    ),
    "stability": (
        "`stability.csv`: one row per trained variant of each experiment "
        "([method](methods.md#failed-trainings)).",
        {**JOB_TEXTS, **STABILITY_TEXTS},
    ),
    "variance_components": (
        "`variance_components.csv`: one row per variant and recipe, for recipes that differ only in `vary` "
        "([method](methods.md#where-the-spread-over-seeds-comes-from)).",
        {**JOB_TEXTS, **COMPONENT_TEXTS},
    ),
    "seeds_or_images": (
        "`seeds_or_images.csv`: one row per trained variant of each experiment "
        "([method](methods.md#more-seeds-or-more-test-images)).",
        {**JOB_TEXTS, **SEEDS_OR_IMAGES_TEXTS},
    ),
    "device_ranking": (
        "`device_ranking.csv`: one row per pair of devices and batch size ([method](methods.md#two-devices)).",
        RANKING_TEXTS,
    ),
    "device_networks": (
        "`device_networks.csv`: one row per network on each pair of devices.",
        NETWORK_TEXTS,
    ),
    "roofline": (
        "`roofline.csv`: one row per network, device, setting and batch size "
        "([method](methods.md#what-bounds-a-latency)).",
        ROOFLINE_TEXTS,
    ),
}


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of config.yaml. `variants`, `claims` and `imported` may also be paths."""
    schema = StudySpec.model_json_schema()
    for name in ("variants", "claims", "imported"):
        entry = schema["properties"][name]
        listed = {key: entry.pop(key) for key in ("items", "type")}
        entry["anyOf"] = [{"type": "string"}, listed]
    return {"$schema": DIALECT, **schema, "title": "resnest-bench study"}


def variants_schema() -> dict[str, Any]:
    schema = TypeAdapter(list[VariantSpec]).json_schema()
    return {"$schema": DIALECT, **schema, "title": "resnest-bench variants"}


def claims_schema() -> dict[str, Any]:
    schema = TypeAdapter(list[ClaimSpec]).json_schema()
    return {"$schema": DIALECT, **schema, "title": "resnest-bench claims"}


def _default_text(field: Any) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Sgd):
        return f"`{value.name}`"
    if value is PydanticUndefined or isinstance(value, Spec) or value in ({}, ""):
        return "empty"
    if isinstance(value, tuple):
        value = list(value)
    return f"`{json.dumps(value)}`"


def _section(title: str, spec: type[Spec], intro: str) -> list[str]:
    intro = intro or (spec.__doc__ or "").strip().splitlines()[0]
    lines = [f"## {title}", "", intro, "", "| key | meaning | default |", "|---|---|---|"]
    # Keys that all tests share are listed in a separate table.
    known = {*ClaimTest.model_fields, "kind"} if spec in TESTS.values() else set()
    for name, field in spec.model_fields.items():
        if name in known:
            continue
        meaning = (field.description or "Which kind of entry this is").replace("|", "\\|")
        lines.append(f"| `{name}` | {meaning} | {_default_text(field)} |")
    return [*lines, ""]


def _built_in(title: str, entries: Mapping[str, Spec]) -> list[str]:
    lines = [f"## {title}", ""]
    for name, spec in entries.items():
        changed = spec.model_dump(mode="json", exclude_defaults=True)
        text = ", ".join(f"{key}: {json.dumps(value)}" for key, value in changed.items())
        lines.append(f"- `{name}`: {text or 'all defaults'}")
    return [*lines, ""]


def config_readme() -> str:
    """Return config/README.md: every key with its meaning, unit and default."""
    lines = [
        "# Every key",
        "",
        "Generated from `src/resnest_bench/specs/` by `make generated`; don't edit this file.",
        "A key that is not listed is an error. `workflow/schemas/` has the same as JSON Schema.",
        "",
    ]
    for section in SECTIONS:
        lines += _section(*section)
    lines += _built_in("Built-in recipes (what differs from the defaults)", RECIPES)
    lines += _built_in("Built-in latency protocols", PROTOCOLS)
    return "\n".join(lines).rstrip() + "\n"


def command_line_page() -> str:
    """Return docs/command-line.md: every command with its arguments and options, as typer writes it."""
    program = typer.main.get_command(app)
    page = get_docs_for_click(
        obj=program, ctx=typer.Context(program), name="resnest-bench", title="Command line"
    )
    fenced = re.split(r"(^```.*?^```)", page, flags=re.MULTILINE | re.DOTALL)
    # Outside code, <study> would be an HTML tag.
    for index in range(0, len(fenced), 2):
        spans = re.split(r"(`[^`\n]*`)", fenced[index])
        spans[::2] = [text.replace("<", "&lt;") for text in spans[::2]]
        fenced[index] = "".join(spans)
    return "".join(fenced).rstrip() + "\n"


def generated_files() -> dict[str, str]:
    """Return the content of each generated file, by its path in the project."""
    return {
        "workflow/schemas/config.schema.json": _dumps(config_schema()),
        "workflow/schemas/variants.schema.json": _dumps(variants_schema()),
        "workflow/schemas/claims.schema.json": _dumps(claims_schema()),
        "workflow/schemas/record.schema.json": _dumps(records.json_schema()),
        "config/README.md": config_readme(),
        "docs/columns.md": columns_page({**SPREAD_COLUMNS, **SEARCH_TABLE_COLUMNS}),
        "docs/command-line.md": command_line_page(),
    }


def main() -> None:
    root = Path(__file__).parents[2]
    for path, content in generated_files().items():
        files.write_text(root / path, content)
        print(path)


if __name__ == "__main__":
    main()
