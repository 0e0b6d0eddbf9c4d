"""Commands that read the records of a study: tables, figures, pages, trackers."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from resnest_bench.cli.logs import start_logging
from resnest_bench.cli.options import LogOption, ResultsOption, StudyOption
from resnest_bench.cli.project import DEFAULT_STUDY
from resnest_bench.cli.terminal import fit_markdown
from resnest_bench.errors import UserError
from resnest_bench.files import write_text
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec, dump_study, load_study, study_with_looks

DEFAULT_RESULTS = Path("results")


def tables(
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    log: LogOption = None,
) -> None:
    """Write the tables from all records so far."""
    from resnest_bench.report.tables import write_tables

    start_logging(log)
    spec = _with_looks(study, results)
    paths = spec.paths(results)
    if not spec.own_jobs():
        # All results are imported, and so no run stores what was edited.
        write_text(paths.study, dump_study(spec))
    for path in write_tables(spec, paths):
        typer.echo(path)


def figures(
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    log: LogOption = None,
) -> None:
    """Draw the figures from all records so far, as SVG and PNG."""
    from resnest_bench.charts import write_figures

    start_logging(log)
    spec = _with_looks(study, results)
    for path in write_figures(spec, spec.paths(results)):
        typer.echo(path)


def show(
    folder: Annotated[Path, typer.Argument(help="A study's results, like results/demo")],
) -> None:
    """Print the main tables of a study."""
    from resnest_bench.report.tables import summary_text

    spec = study_in(folder)
    text, note = summary_text(spec, spec.paths(folder.parent)), ""
    if sys.stdout.isatty():
        text, left_out = fit_markdown(text, shutil.get_terminal_size().columns)
        note = "   (all columns, with full captions)" if left_out else ""
    typer.echo(text)
    typer.echo(
        f"\nTables: {folder}/tables/{note}\nFigures: {folder}/figures/\n"
        "Dashboard: resnest-bench dashboard   (in a checkout, also: make dashboard)"
    )


def export(
    folder: Annotated[Path, typer.Argument(help="A study's results, like results/demo")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write, .html or .md [default: FOLDER/STUDY.html]"),
    ] = None,
) -> None:
    """Write a study as one HTML file, or as Markdown with figures."""
    from resnest_bench.export import write_document, write_page

    if out and out.suffix == ".md":
        typer.echo(write_document(study_in(folder), StudyPaths(folder), out)[0])
    else:
        typer.echo(write_page(study_in(folder), StudyPaths(folder), out))


def track(
    folder: Annotated[Path, typer.Argument(help="A study's results, like results/demo")],
    to: Annotated[str, typer.Option("--to", help="tensorboard, wandb, mlflow or trackio")],
    into: Annotated[
        Path | None,
        typer.Option("--folder", help="Where a tracker that writes files puts them"),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a server")] = False,
) -> None:
    """Log a study to an experiment tracker: curves, figures, means and intervals."""
    from resnest_bench.cli.track import track_study
    from resnest_bench.results import StudyResults

    results = StudyResults(study_in(folder), StudyPaths(folder))
    typer.echo(f"{track_study(results, to, into, offline)} runs logged to {to}")


def study_in(folder: Path) -> StudySpec:
    """Load the study whose results are in `folder`. Raises UserError if there are none."""
    if not (folder / "study.json").exists():
        raise UserError(
            f"{folder} has no study.json: run the study first, with `resnest-bench run` or, in a "
            "checkout, with `make demo`"
        )
    return study_with_looks(load_study(folder / "study.json"), StudyPaths(folder))


def _with_looks(study: Path, results: Path) -> StudySpec:
    """Load the study, with the seeds that its looks added."""
    spec = load_study(study)
    return study_with_looks(spec, spec.paths(results))
