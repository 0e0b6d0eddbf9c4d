"""docs/reliability.md says of each fault which test brings it about: the tests are there, and no other."""

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "reliability.md"


def rows():
    """Of each fault the last cell: `FILE::TEST`."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [line.strip("| ").split(" | ") for line in lines]
    return [cell[-1] for cell in cells if cell[0] != "Fault"]


def list_names(file):
    return {
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def all_tests():
    files = [file for file in FOLDER.glob("test_*.py") if file.name != Path(__file__).name]
    return {f"{file.name}::{name}" for file in files for name in list_names(file)}


def is_there(cell):
    """A test here, or one of another folder of tests/, named with its path from there."""
    file, name = cell.split("::")
    if "/" not in file:
        return cell in all_tests()
    return name in list_names(FOLDER.parent / file)


def test_each_fault_names_a_test_that_is_there():
    named = [re.fullmatch("`(.+)`", cell)[1] for cell in rows()]
    assert len(named) >= 40
    assert [cell for cell in named if not is_there(cell)] == []


def test_each_test_is_named():
    named = {cell.strip("`") for cell in rows()}
    assert all_tests() - named == set()
