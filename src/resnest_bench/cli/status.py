"""`resnest-bench status`: the progress of studies, also from another terminal. It writes nothing."""

import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from resnest_bench.cli.studies import find_study, list_studies
from resnest_bench.errors import UserError
from resnest_bench.live.from_files import StudyStatus, read_status
from resnest_bench.live.screen import make_view
from resnest_bench.live.view import failed_lines, silence_text
from resnest_bench.paths import StudyPaths
from resnest_bench.planning.searches import describe_search_plan, plan_search
from resnest_bench.specs import load_study, study_with_trials
from resnest_bench.specs.rounds import read_rounds

MAX_NAMED = 10


def show_status(name: str | None, results: Path) -> None:
    """Print the status of the study `name`, or of all studies in `results` if it is None.

    Raises UserError if there is no such study.
    """
    folders = list_studies(results) if name is None else [find_study(name, results)]
    if not folders:
        raise UserError(
            f"there is no study in {results}: run one first with `resnest-bench run`, or name its "
            "folder"
        )
    width = shutil.get_terminal_size().columns
    console = Console(file=sys.stdout, width=width, highlight=False)
    for index, folder in enumerate(folders):
        if index:
            console.print()
        paths = StudyPaths(folder)
        study = study_with_trials(load_study(paths.study), paths)
        _show(console, read_status(study, paths))
        for line in describe_search_plan(
            study, plan_search(study, read_rounds(study.as_configured, paths))
        ):
            console.print(Text(line), soft_wrap=True)


def _show(console: Console, status: StudyStatus) -> None:
    snapshot = status.snapshot
    console.print(make_view(snapshot, console.width), soft_wrap=True)
    if silence := silence_text(snapshot):
        console.print(silence)
    for line in failed_lines(status.failed):
        console.print(Text(line, style="red" if line.startswith("FAILED ") else ""), soft_wrap=True)
