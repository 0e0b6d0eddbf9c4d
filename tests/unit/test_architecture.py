"""What import-linter can't say (`make lint`; its contracts are in pyproject.toml)."""

import re
import tomllib

import pytest

from resnest_bench.digests import PACKAGE

ROOT = PACKAGE.parents[1]
SCRIPTS = [ROOT / "dashboard", ROOT / "benchmarks", ROOT / "docs"]
FILES = sorted(path for folder in (PACKAGE, *SCRIPTS) for path in folder.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_short(file):
    assert len(file.read_text().splitlines()) <= 400


def list_floors() -> list[tuple[int, str]]:
    """Number and names of each row of the table of floors in the docs."""
    text = (ROOT / "docs/architecture.md").read_text()
    return [(int(floor), names) for floor, names in re.findall(r"^\| (\d+) \| ([^|]+)", text, re.M)]


def test_the_docs_have_every_floor_where_import_linter_has_it():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one["type"] == "layers"]
    names = [name for layer in reversed(layers) for name in re.split(r" [|:] ", layer)]
    floors = {
        name.strip("`/"): floor
        for floor, text in list_floors()
        for name in re.findall(r"`[a-z_]+/?`", text)
    }
    assert set(floors) == set(names)
    # The layers say a finer order than the floors do, and never another one.
    ranks = [floors[name] for name in names]
    assert ranks == sorted(ranks)
