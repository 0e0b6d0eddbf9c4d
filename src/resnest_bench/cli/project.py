"""The commands `init`, `run`, `status` and `dashboard`, which work in any folder."""

import os
from pathlib import Path
from typing import Annotated

import typer

from resnest_bench.cli.warm_client import COLD_VARIABLE

DEFAULT_STUDY = Path("config/config.yaml")


def init(
    folder: Annotated[Path, typer.Argument(help="New folder for the study")],
    like: Annotated[str, typer.Option("--like", help="Shipped study to start from")] = "first",
) -> None:
    """Write a small study to edit: config, variants and claims."""
    from resnest_bench.cli.init import write_study

    for path in write_study(folder, like):
        typer.echo(path)
    typer.echo(
        f"\nNext:\n  cd {folder}\n  resnest-bench plan        # what it runs, and how long that takes"
        "\n  resnest-bench run\n  resnest-bench dashboard"
    )


def run(
    options: Annotated[
        list[str] | None,
        typer.Argument(help="Options for Snakemake, after --, like: -- --dry-run, or -- --cores 4"),
    ] = None,
    study: Annotated[Path, typer.Option("--study", "-s", help="Config file")] = DEFAULT_STUDY,
    unlock: Annotated[
        bool, typer.Option("--unlock", help="Only remove the lock of a run that was killed")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show Snakemake's own log instead of the progress")
    ] = False,
    cold_start: Annotated[
        bool,
        typer.Option(
            "--cold-start", help="Start each job anew instead of forking a process that has torch"
        ),
    ] = False,
) -> None:
    """Run a study; results go to results/<study>/.

    After an interruption, the same command continues.
    """
    from resnest_bench.cli import launch

    given = [*(options or []), *(["--unlock"] if unlock else [])]
    command = launch.snakemake_command(study, given, verbose)
    if launch.has_several_cores(given):
        from resnest_bench.cli.cores import choose_for_run

        typer.echo("Measuring which use of the cores is faster.", err=True)
        choice, more = choose_for_run(study, given)
        if choice:
            typer.echo(f"{choice}.", err=True)
        command = launch.snakemake_command(study, given, verbose, more)
    if cold_start:
        os.environ[COLD_VARIABLE] = "1"
    launch.exec_command(command)


def status(
    study: Annotated[
        str | None,
        typer.Argument(help="Name, results/<study> or config file [default: all studies]"),
    ] = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of all studies' results")] = (
        Path("results")
    ),
) -> None:
    """Show the progress of a study: what is done, what is running, what failed."""
    from resnest_bench.cli.status import show_status

    show_status(study, results)


def dashboard(
    options: Annotated[
        list[str] | None,
        typer.Argument(help="Options for Streamlit, after --, like: -- --server.port 8600"),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Folder of all studies' results [default: results]"),
    ] = None,
) -> None:
    """Show the results in a browser. Only this machine can open the page."""
    from resnest_bench.cli import launch

    launch.exec_command(launch.streamlit_command(results, options or []))
