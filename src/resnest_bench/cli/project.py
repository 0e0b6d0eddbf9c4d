"""Subcommands that begin a study, run it and show it, from any folder."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_STUDY = Path("config/config.yaml")


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it; made if it is not there")],
    like: Annotated[
        str, typer.Option("--like", help="Which of the studies that ship to copy")
    ] = "first",
) -> None:
    """Write a study of your own, to be edited: config, variants and claims."""
    from resnest_bench.cli.init import write_study

    for path in write_study(folder, like):
        typer.echo(path)
    typer.echo(
        f"\nNext:\n  cd {folder}\n  resnest-bench plan        # what it runs, and what that costs"
        "\n  resnest-bench run\n  resnest-bench dashboard"
    )


def run(
    options: Annotated[
        list[str] | None,
        typer.Argument(help="After --: options of Snakemake, like -- --dry-run or -- --cores 4"),
    ] = None,
    study: Annotated[Path, typer.Option("--study", "-s", help="Config file")] = DEFAULT_STUDY,
) -> None:
    """Run a study here; after a kill, the same command goes on. Results go to results/<study>/."""
    from resnest_bench.cli import launch

    launch.become(launch.snakemake_command(study, options or []))


def dashboard(
    options: Annotated[
        list[str] | None,
        typer.Argument(help="After --: options of Streamlit, like -- --server.port 8600"),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Folder of all studies' results [default: results]"),
    ] = None,
) -> None:
    """Show the results in a browser, on this machine alone."""
    from resnest_bench.cli import launch

    launch.become(launch.streamlit_command(results, options or []))
