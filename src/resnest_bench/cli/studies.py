"""Which study a command is about: by its name, its folder of results or its config file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec, load_study, study_with_looks
from resnest_bench.words import list_names

# Studies that an error names.
MAX_NAMED = 10
DEFAULT_RESULTS = Path("results")
StudyArgument = Annotated[
    str, typer.Argument(help="Study: its name, results/<study>, or its config file")
]
OptionalStudyArgument = Annotated[
    str | None,
    typer.Argument(
        help="Study: its name, results/<study>, or its config file [default: the only one in results/]"
    ),
]


def list_studies(results: Path) -> list[Path]:
    """Return the folders of the studies in `results`, sorted, without the shipped runs below it."""
    return sorted(file.parent for file in results.glob("*/study.json"))


def find_study(name: str | None, results: Path) -> Path:
    """Return the results folder of a study, given its name, its folder or its config file.

    Without a name, it is the only study in `results`. Raises UserError if the study has not been started,
    or if there are several.
    """
    if name is None:
        return _only_study(results)
    given = Path(name)
    if given.is_file() and given.name != "study.json":
        given = results / load_study(given).study
    candidates = [given.parent if given.name == "study.json" else given, results / name]
    for folder in candidates:
        if StudyPaths(folder).study.is_file():
            return folder
    raise UserError(
        f"study {name} has not been started: {candidates[0]} has no study.json. "
        f"Studies in {results}: {_list_names(list_studies(results))}. `resnest-bench run` starts one"
    )


def open_study(name: str | None, results: Path) -> tuple[StudySpec, StudyPaths]:
    """Read a study that has been run, which `find_study` finds."""
    paths = StudyPaths(find_study(name, results))
    return study_with_looks(load_study(paths.study), paths), paths


def _only_study(results: Path) -> Path:
    folders = list_studies(results)
    if len(folders) == 1:
        return folders[0]
    if not folders:
        raise UserError(
            f"there is no study in {results}: run one first with `resnest-bench run`, or name its folder"
        )
    raise UserError(f"{results} has several studies: name one of {_list_names(folders)}")


def _list_names(folders: Sequence[Path]) -> str:
    names = [folder.name for folder in folders]
    return list_names(names, MAX_NAMED) or "(none)"
