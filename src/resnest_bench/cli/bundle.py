"""`resnest-bench bundle`: a study's networks as an archive that another device can measure."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from resnest_bench.cli.logs import start_logging
from resnest_bench.cli.options import LogOption, ResultsOption
from resnest_bench.errors import UserError
from resnest_bench.specs import load_study
from resnest_bench.words import count_noun, list_names

ENDINGS = (".tar.gz", ".tgz")


def bundle(
    study: Annotated[Path, typer.Argument(help="Config file of the study")],
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Archive to write, .tar.gz [default: STUDY-bundle.tar.gz]"),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Of the latency block [default: the first]")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="Of the latency block [default: the first]")
    ] = None,
    weights: Annotated[
        Literal["trained", "latency"],
        typer.Option(
            "--weights",
            help="trained: kept weights, for networks that have some. latency: those that a latency job has",
        ),
    ] = "trained",
    results: ResultsOption = Path("results"),
    log: LogOption = None,
) -> None:
    """Make one archive of a study's networks, to be timed on another device (docs/devices.md)."""
    start_logging(log)
    spec = load_study(study)
    path = output or Path(f"{spec.study}-bundle.tar.gz")
    if not path.name.endswith(ENDINGS):
        raise UserError(f"--output must end in {' or '.join(ENDINGS)}, but got {path}: rename it")
    from resnest_bench.bundle.make import make_bundle

    made = make_bundle(spec, spec.paths(results), path, dataset, protocol, weights == "trained")
    size = made.num_bytes / 2**20
    typer.echo(f"{made.path}: {count_noun(len(made.networks), 'network')}, {size:.1f} MiB")
    if made.trained:
        typer.echo(f"with trained weights: {list_names(made.trained, 8)}")
    for name, reason in made.left_out.items():
        typer.echo(f"left out: {name}: {reason}")
    folder = f"{spec.study}-bundle"
    typer.echo(
        "\nOn the device, with Python 3.9 or later:\n"
        "  pip install numpy onnxruntime\n"
        f"  tar xzf {made.path.name}\n"
        f'  python {folder}/run.py --device-name "Raspberry Pi 5"\n'
        f"Then here:\n  resnest-bench import results-Raspberry-Pi-5.json --into {study}"
    )
