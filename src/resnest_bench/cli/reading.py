"""Commands that read the records of a study: tables, figures, pages, trackers."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from resnest_bench.cli.logs import start_logging
from resnest_bench.cli.options import LogOption, ResultsOption, StudyOption
from resnest_bench.cli.project import DEFAULT_STUDY
from resnest_bench.cli.studies import DEFAULT_RESULTS, OptionalStudyArgument, open_study
from resnest_bench.cli.terminal import fit_markdown
from resnest_bench.files import write_text
from resnest_bench.specs import StudySpec, dump_study, load_study, study_with_looks


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
    study: OptionalStudyArgument = None,
) -> None:
    """Print the main tables of a study."""
    from resnest_bench.report.tables import summary_text

    spec, paths = open_study(study, DEFAULT_RESULTS)
    text, note = summary_text(spec, paths), ""
    if sys.stdout.isatty():
        text, left_out = fit_markdown(text, shutil.get_terminal_size().columns)
        note = "   (all columns, with full captions)" if left_out else ""
    typer.echo(text)
    typer.echo(
        f"\nTables: {paths.root}/tables/{note}\nFigures: {paths.root}/figures/\n"
        "Dashboard: resnest-bench dashboard   (in a checkout, also: make dashboard)"
    )


def export(
    study: OptionalStudyArgument = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write, .html or .md [default: FOLDER/STUDY.html]"),
    ] = None,
) -> None:
    """Write a study as one HTML file, or as Markdown with figures."""
    from resnest_bench.export import write_document, write_page

    spec, paths = open_study(study, DEFAULT_RESULTS)
    if out and out.suffix == ".md":
        typer.echo(write_document(spec, paths, out)[0])
    else:
        typer.echo(write_page(spec, paths, out))


def track(
    study: OptionalStudyArgument = None,
    *,
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

    results = StudyResults(*open_study(study, DEFAULT_RESULTS))
    typer.echo(f"{track_study(results, to, into, offline)} runs logged to {to}")


def _with_looks(study: Path, results: Path) -> StudySpec:
    """Load the study, with the seeds that its looks added."""
    spec = load_study(study)
    return study_with_looks(spec, spec.paths(results))
