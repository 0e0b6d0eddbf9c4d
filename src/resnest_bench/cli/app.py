"""The commands of `resnest-bench`. They import torch only where they need it, so that `--help` is fast."""

import contextlib
import importlib.metadata
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from resnest_bench.cli.bundle import bundle
from resnest_bench.cli.crate import crate
from resnest_bench.cli.evaluate import evaluate
from resnest_bench.cli.export_model import export_model
from resnest_bench.cli.import_results import import_results
from resnest_bench.cli.logs import start_logging
from resnest_bench.cli.options import (
    CoresOption,
    DatasetOption,
    DeviceOption,
    LogOption,
    RecipeOption,
    ResultsOption,
    SideBySideOption,
    StudyOption,
    ThreadsOption,
    VariantOption,
)
from resnest_bench.cli.packages import explain_missing
from resnest_bench.cli.predict import predict
from resnest_bench.cli.project import DEFAULT_STUDY, dashboard, init, run, status
from resnest_bench.cli.reading import DEFAULT_RESULTS, export, figures, show, tables, track
from resnest_bench.cli.search import search
from resnest_bench.cli.warm_client import job_variables
from resnest_bench.errors import UserError
from resnest_bench.specs import load_study, study_with_trials
from resnest_bench.stopping import Interrupted, listening

app = typer.Typer(
    help="Compare image classifiers: accuracy against latency, with uncertainty.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"resnest-bench {importlib.metadata.version('resnest-bench')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit"
        ),
    ] = False,
) -> None:
    """Compare image classifiers: accuracy against latency, with uncertainty."""


for command in (init, run, status, dashboard):
    app.command()(command)
app.command(name="import")(import_results)
for deploying in (predict, evaluate):
    app.command()(deploying)
app.command(name="export-model")(export_model)
app.command()(bundle)
app.command()(search)


@app.command()
def plan(
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = "auto",
    cost: Annotated[
        bool, typer.Option(help="Estimate the hours by timing a few steps of each variant")
    ] = True,
    save_prices: Annotated[
        bool,
        typer.Option(
            "--save-prices", help="Store the estimate, so that a run can show the time left"
        ),
    ] = False,
    cores: CoresOption = 1,
    side_by_side: SideBySideOption = None,
    threads: ThreadsOption = None,
    decide: Annotated[
        bool,
        typer.Option("--decide", help="Adaptive studies: say which seeds come next, and why"),
    ] = False,
    look: Annotated[
        int | None,
        typer.Option(
            "--look",
            min=0,
            help="With --decide: number of the interim analysis [default: the next one]",
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="With --decide: also write the decision to this file"),
    ] = None,
    hours: Annotated[
        float,
        typer.Option(
            "--hours", min=0.0, help="With --decide: say what these hours would probably decide"
        ),
    ] = 2.0,
    log: LogOption = None,
) -> None:
    """Check the study, list what it would run, and estimate the hours."""
    spec = load_study(study)
    # The jobs do the same: see `_run`.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if decide:
        start_logging(log)
        from resnest_bench.cli.decide import decide_next

        typer.echo(decide_next(spec, spec.paths(results), look, json_file, hours))
        return
    if look is not None or json_file:
        raise UserError("--look and --json need --decide: add it, or omit them")
    from resnest_bench.cli.plan import Resources, check_study, describe_plan

    check_study(spec, results)
    extended = study_with_trials(spec, spec.paths(results))
    resources = Resources(device, cores, side_by_side, threads)
    typer.echo(describe_plan(extended, results, resources, cost, save_prices))


@app.command()
def describe(
    study: StudyOption = DEFAULT_STUDY,
    image_size: Annotated[
        int, typer.Option(min=8, help="Side of the square image, in pixels")
    ] = 32,
    classes: Annotated[int, typer.Option(min=2, help="Number of classes")] = 10,
    in_chans: Annotated[int, typer.Option(min=1, help="Channels of an image: 3 for RGB")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, unrounded")] = False,
) -> None:
    """List the variants with their parameters, MACs and activations."""
    from resnest_bench.cli.describe import describe_variants, variants_text

    rows = describe_variants(load_study(study), image_size, classes, in_chans)
    text = variants_text(rows, image_size, classes, in_chans)
    typer.echo(json.dumps(rows, indent=1) if as_json else text)


@app.command()
def data(
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Name of a dataset [default: all datasets of the study]"),
    ] = None,
    study: StudyOption = DEFAULT_STUDY,
    log: LogOption = None,
) -> None:
    """Download or read the datasets, check them and prepare them for training."""
    from resnest_bench.cli.inputs import prepare_datasets

    start_logging(log)
    for text in prepare_datasets(load_study(study), [dataset] if dataset is not None else []):
        typer.echo(text)


@app.command()
def weights(
    hub: Annotated[
        str | None,
        typer.Option(
            "--hub", help="Name of pretrained weights [default: all that the study needs]"
        ),
    ] = None,
    study: StudyOption = DEFAULT_STUDY,
    log: LogOption = None,
) -> None:
    """Download pretrained weights. Jobs never download anything themselves."""
    from resnest_bench.cli.inputs import fetch_named_weights

    start_logging(log)
    for text in fetch_named_weights(load_study(study), hub):
        typer.echo(text)


@app.command()
def train(
    variant: VariantOption,
    dataset: DatasetOption,
    recipe: RecipeOption,
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = "auto",
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", help="Only these seeds, like 5,6 [default: all seeds of the study]"
        ),
    ] = None,
    log: LogOption = None,
) -> None:
    """Train one variant with each seed. Resumes from the last checkpoint."""
    numbers = parse_seeds(seeds) if seeds is not None else None
    _run("train", study, dataset, recipe, variant, results, device, log, numbers)


@app.command()
def finetune(
    variant: VariantOption,
    dataset: DatasetOption,
    recipe: RecipeOption,
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = "auto",
    log: LogOption = None,
) -> None:
    """Fine-tune one variant with each seed. Resumes from the last checkpoint."""
    _run("finetune", study, dataset, recipe, variant, results, device, log)


def _run(
    kind: str,
    study: Path,
    dataset: str,
    recipe: str,
    variant: str,
    results: Path,
    device: str,
    log_file: Path | None,
    seeds: tuple[int, ...] | None = None,
) -> None:
    start_logging(log_file)
    # Must be set before torch is imported.
    os.environ.update(job_variables(kind))
    spec = load_study(study)
    spec = study_with_trials(spec, spec.paths(results))
    from resnest_bench.device.lease import leased_devices
    from resnest_bench.training.jobs import run_job

    num_gpus = spec.recipe(recipe, variant).gpus
    with leased_devices(device, num_gpus) as (first, *others):
        run_job(spec, kind, dataset, recipe, variant, first, results, seeds, others)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Parse '5,6' to (5, 6). Raises UserError unless these are distinct integers from 0."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise UserError(f"--seeds takes distinct numbers from 0, like 5,6, but got {text!r}")
    return tuple(map(int, parts))


@app.command()
def latency(
    variant: VariantOption,
    dataset: DatasetOption,
    protocol: Annotated[str, typer.Option(help="Name of a latency protocol")] = "default",
    round_number: Annotated[
        int, typer.Option("--round", min=0, help="Number of the round, from 0")
    ] = 0,
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = "auto",
    log: LogOption = None,
) -> None:
    """Measure the latency of one variant in one round."""
    start_logging(log)
    spec = load_study(study)
    spec = study_with_trials(spec, spec.paths(results))
    from resnest_bench.device.lease import leased_device
    from resnest_bench.measure.jobs import run_latency_job

    with leased_device(device) as leased:
        run_latency_job(spec, dataset, protocol, variant, leased, results, round_number)


@app.command()
def deploy(
    variant: VariantOption,
    dataset: DatasetOption,
    recipe: Annotated[str, typer.Option(help="RECIPE+MODE, like quick+onnxruntime-int8")],
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = "auto",
    log: LogOption = None,
) -> None:
    """Evaluate one variant's trainings in one deployment mode on all test images."""
    start_logging(log)
    spec = load_study(study)
    from resnest_bench.device.lease import leased_device
    from resnest_bench.measure.deploy_jobs import run_deploy_job

    with leased_device(device) as leased:
        run_deploy_job(spec, dataset, recipe, variant, leased, results)


for reader in (tables, figures, show, export, crate, track):
    app.command()(reader)


@app.command()
def doctor(
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
) -> None:
    """Check this machine: device, driver, disk, data, weights, scheduler."""
    from resnest_bench.cli.doctor import examine, findings_text

    findings = examine(study, results)
    typer.echo(findings_text(findings))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line.

    A UserError prints one line to standard error and exits with code 1, and so does a command that needs
    an extra which is not installed. A signal exits with 128 + its number, after the running job has saved
    its state.
    """
    try:
        with listening():
            app()
    except UserError as error:
        logging.getLogger("resnest_bench").debug("", exc_info=error)
        _fail(str(error))
    except ModuleNotFoundError as error:
        if not (message := explain_missing(error.name)):
            raise
        _fail(message)
    except OSError as error:
        # Any library can raise this, for instance if the disk is full or was removed.
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except Interrupted as stop:
        _fail(f"stopped by {stop}; the same command continues from there", code=stop.exit_code)


def _fail(message: str, code: int = 1) -> None:
    line = f"resnest-bench: error: {' '.join(message.split())}"
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            # The disk may be full; the line below must be printed anyway.
            with contextlib.suppress(OSError):
                handler.stream.write(line + "\n")
                handler.flush()
    print(line, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
