"""From files to everything that they hold, checked."""

from collections.abc import Sequence
from pathlib import Path

from resnest_bench.errors import UserError
from resnest_bench.imports.assemble import Imports, assemble
from resnest_bench.imports.columns import Choices
from resnest_bench.imports.predictions import is_predictions, read_image_table, read_npz
from resnest_bench.imports.runs import Run, list_runs
from resnest_bench.imports.shapes import read_rows
from resnest_bench.imports.tables import read_table


def read_files(paths: Sequence[Path], choices: Choices) -> Imports:
    """Read all files and join them. Raises UserError that names the file, the row, the rule and what to do."""
    runs: list[Run] = []
    notes: list[str] = []
    for path in paths:
        found, more = read_file(path, choices)
        if len(paths) > 1:
            more = [f"{path.name}: {note}" for note in more]
        runs += found
        notes += more
    if not runs:
        raise UserError("no row is left to import: check --only and --where")
    return assemble(runs, notes)


def read_file(path: Path, choices: Choices) -> tuple[list[Run], list[str]]:
    """The runs of one file, and what was understood of it."""
    if path.suffix.lower() == ".npz":
        return read_npz(path, choices)
    table = read_table(path)
    if is_predictions(table):
        return read_image_table(table, choices)
    return list_runs(read_rows(table, choices), choices)
