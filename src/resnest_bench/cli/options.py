"""Options of several subcommands, and those with a long declaration."""

from pathlib import Path
from typing import Annotated

import typer

StudyOption = Annotated[
    Path, typer.Option("--study", "-s", help="Config file, or a results/<study>/study.json")
]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of all studies' results")]
VariantOption = Annotated[str, typer.Option("--variant", help="Name of a variant")]
DatasetOption = Annotated[str, typer.Option("--dataset", help="Name of a dataset")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="Name of a recipe")]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu or cuda; auto uses a GPU if there is one")
]
LogOption = Annotated[Path | None, typer.Option("--log", help="Also write the log to this file")]

CoresOption = Annotated[
    int,
    typer.Option(
        "--cores", min=1, help="Cores that the run may use; without a GPU, trainings share them"
    ),
]
SideBySideOption = Annotated[
    int | None,
    typer.Option(
        "--side-by-side", min=1, help="Trainings at a time [default: whichever measures faster]"
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, help="Threads of each training [default: its share of the cores]"
    ),
]
