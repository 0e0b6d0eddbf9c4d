"""`resnest-bench crate`: a study with its provenance, for an archive or another tool."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from resnest_bench.cli.reading import study_in
from resnest_bench.cli.shipped import project_root
from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths

ORCID = r"https://orcid\.org/\d{4}-\d{4}-\d{4}-\d{3}[\dX]"


def crate(
    folder: Annotated[Path, typer.Argument(help="A study's results, like results/demo")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="A new folder, or a .zip file [default: FOLDER/STUDY.crate.zip]"
        ),
    ] = None,
    agent: Annotated[
        str, typer.Option("--agent", help="Name of the person who ran the study")
    ] = "",
    orcid: Annotated[
        str, typer.Option("--orcid", help="Their ORCID, like https://orcid.org/0000-0002-1825-0097")
    ] = "",
    licence: Annotated[
        str, typer.Option("--license", help="Licence of the results, like CC-BY-4.0")
    ] = "",
) -> None:
    """Write a study with its provenance as a Workflow Run RO-Crate."""
    if orcid and not (agent and re.fullmatch(ORCID, orcid)):
        raise UserError(
            "--orcid must be an address like https://orcid.org/0000-0002-1825-0097, next to --agent, "
            f"but got {orcid!r}{'' if agent else ' without --agent'}: correct or omit it"
        )
    if find_spec("rocrate") is None:
        raise UserError(
            "crate needs the package rocrate, which is not installed: "
            "pip install 'resnest-bench[provenance]'"
        )
    from resnest_bench.provenance.crate import Credits, write_crate

    study = study_in(folder)
    target = out or folder / f"{study.study}.crate.zip"
    credits = Credits(agent, orcid, licence)
    typer.echo(write_crate(study, StudyPaths(folder), project_root(), target, credits))
