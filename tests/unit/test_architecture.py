"""A file imports only from lower floors; on one floor only inside its folder."""

import ast
from pathlib import Path

import pytest

from resnest_bench.digests import PACKAGE, imported_modules

ROOT = PACKAGE.parents[1]

# Each line is a floor. Floor 0 is written in the order in which its files may use each other.
FLOORS = [
    ["errors"],
    ["json_values"],
    ["words"],
    ["stopping"],
    ["paths"],
    ["digests"],
    ["files"],
    ["records"],
    ["prices"],
    ["chance"],
    ["formats"],
    ["specs"],
    ["status"],
    ["live"],
    ["models", "data"],
    ["device"],
    ["measure"],
    ["training"],
    ["planning"],
    ["stats"],
    ["frames"],
    ["tables"],
    ["comparisons"],
    ["claims"],
    ["results"],
    ["report"],
    ["charts"],
    ["export"],
    ["cli", "generate"],
]
RANK = {name: rank for rank, names in enumerate(FLOORS) for name in names}
FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__"
)


def top(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_downwards(file):
    here = top(file)
    for module in imported_modules(file):
        there = module.split(".")[0]
        assert there == here or RANK[there] < RANK[here], f"{file} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_files_are_short(file):
    assert len(file.read_text().splitlines()) <= 400


def foreign_imports(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text()))
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


WITH_TORCH = {"models", "data", "device", "measure", "training", "planning", "cli", "generate"}
NO_TORCH = [file for file in FILES if top(file) not in WITH_TORCH]
DASHBOARD = sorted((ROOT / "dashboard").rglob("*.py"))


@pytest.mark.parametrize("file", NO_TORCH + DASHBOARD, ids=lambda f: f.name)
def test_who_only_reads_results_needs_no_torch(file):
    assert not foreign_imports(file) & {"torch", "torchvision", "timm"}


@pytest.mark.parametrize("file", DASHBOARD, ids=lambda f: f.name)
def test_the_dashboard_sees_records_specs_tables_and_charts_only(file):
    seen = {module.split(".")[0] for module in imported_modules(file)}
    assert not seen & {"models", "data", "device", "measure", "training", "cli"}
