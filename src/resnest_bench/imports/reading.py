"""From files to everything that they hold, checked."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from resnest_bench.errors import UserError
from resnest_bench.imports.assemble import Imports, assemble
from resnest_bench.imports.columns import Choices
from resnest_bench.imports.predictions import is_predictions, read_image_table, read_npz
from resnest_bench.imports.runs import Run, list_runs
from resnest_bench.imports.shapes import read_rows
from resnest_bench.imports.tables import read_table
from resnest_bench.words import list_names


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
    return assemble(_choose(runs, choices), notes)


def _choose(runs: Sequence[Run], choices: Choices) -> list[Run]:
    """The networks that the user wants, by the names that they get."""
    names = list(dict.fromkeys(run.variant for run in runs))
    for option, wanted in (("--only", choices.only), ("--rename", tuple(choices.rename))):
        if unknown := [name for name in wanted if name not in names]:
            raise UserError(
                f"{option} must name networks of the files, which are {list_names(names, 10)}, but got "
                f"{list_names(unknown, 5)}: correct the name"
            )
    return [
        replace(run, variant=choices.rename.get(run.variant, run.variant))
        for run in runs
        if not choices.only or run.variant in choices.only
    ]


def read_file(path: Path, choices: Choices) -> tuple[list[Run], list[str]]:
    """The runs of one file, and what was understood of it."""
    if path.suffix.lower() == ".npz":
        return read_npz(path, choices)
    table = read_table(path)
    if is_predictions(table):
        return read_image_table(table, choices)
    return list_runs(read_rows(table, choices), choices)
