"""The commands of `resnest-bench`. They import torch only where they need it, so that `--help` is fast."""

import contextlib
import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

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
from resnest_bench.cli.project import DEFAULT_STUDY, dashboard, init, run, status
from resnest_bench.cli.terminal import fit_markdown
from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import StudySpec, load_study, study_with_looks
from resnest_bench.stopping import Interrupted, listening

app = typer.Typer(
    help="Compare image classifiers: accuracy against latency, with uncertainty.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DEFAULT_RESULTS = Path("results")

for command in (init, run, status, dashboard):
    app.command()(command)


def _start_logging(log_file: Path | None = None) -> None:
    """Lines to standard error; only warnings there, if a file takes the lines and a bar is shown."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log_file:
        try:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(log_file, mode="w", encoding="utf-8"))
            # Lines that a full disk doesn't take stand on standard error: no traceback for each.
            logging.raiseExceptions = False
        except OSError as error:
            raise UserError(
                f"cannot write the log {log_file}: {error.strerror}. Make the folder writable or "
                "choose another one"
            ) from error
        if sys.stderr.isatty():
            handlers[0].setLevel(logging.WARNING)
    logging.basicConfig(
        level=logging.WARNING,
        handlers=handlers,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )
    logging.getLogger("resnest_bench").setLevel(logging.INFO)


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
            "--save-prices", help="Store the estimate, for the time left that a run shows"
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
            help="With --decide: number of the interim analysis [default: the next]",
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="With --decide: write the decision to this file too"),
    ] = None,
    log: LogOption = None,
) -> None:
    """Check the study, list what it would run, and estimate the hours."""
    spec = load_study(study)
    # As the jobs do.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if decide:
        _start_logging(log)
        from resnest_bench.cli.decide import decide_next

        typer.echo(decide_next(spec, spec.paths(results), look, json_file))
        return
    if look is not None or json_file:
        raise UserError("--look and --json go with --decide: add it, or leave them out")
    from resnest_bench.cli.plan import Means, check_study, describe_plan

    check_study(spec, results)
    whole = study_with_looks(spec, spec.paths(results))
    means = Means(device, cores, side_by_side, threads)
    typer.echo(describe_plan(whole, results, means, cost, save_prices))


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
        typer.Option("--dataset", help="Name of a dataset [default: all of the study]"),
    ] = None,
    study: StudyOption = DEFAULT_STUDY,
    log: LogOption = None,
) -> None:
    """Download or read the datasets, check them, and prepare them for training."""
    from resnest_bench.cli.inputs import prepare_datasets

    _start_logging(log)
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

    _start_logging(log)
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
        typer.Option("--seeds", help="Only these seeds, like 5,6 [default: all of the study]"),
    ] = None,
    log: LogOption = None,
) -> None:
    """Train one variant with each seed. Resumes from the last checkpoint."""
    asked = parse_seeds(seeds) if seeds is not None else None
    _run("train", study, dataset, recipe, variant, results, device, log, asked)


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
    _start_logging(log_file)
    # Its node may have no internet, and what it needs was fetched before: a library that asks for
    # more must fail at once, not wait.
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Before torch is imported. Threads that spin while they wait stop each other where anything else
    # is running (docs/decisions/014-cores.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    spec = load_study(study)
    from resnest_bench.device.lease import leased_device
    from resnest_bench.training.jobs import run_job

    with leased_device(device) as leased:
        run_job(spec, kind, dataset, recipe, variant, leased, results, seeds)


def parse_seeds(text: str) -> tuple[int, ...]:
    """'5,6' to (5, 6). Raises UserError for anything but distinct numbers from 0."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise UserError(f"--seeds takes distinct numbers from 0, like 5,6, but came {text!r}")
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
    """Measure the latency of one variant, once."""
    _start_logging(log)
    spec = load_study(study)
    from resnest_bench.device.lease import leased_device
    from resnest_bench.measure.jobs import run_latency_job

    with leased_device(device) as leased:
        run_latency_job(spec, dataset, protocol, variant, leased, results, round_number)


@app.command()
def tables(
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    log: LogOption = None,
) -> None:
    """Write the tables from the records that exist so far."""
    from resnest_bench.report.tables import write_tables

    _start_logging(log)
    spec = _with_looks(study, results)
    for path in write_tables(spec, spec.paths(results)):
        typer.echo(path)


@app.command()
def figures(
    study: StudyOption = DEFAULT_STUDY,
    results: ResultsOption = DEFAULT_RESULTS,
    log: LogOption = None,
) -> None:
    """Draw the figures from the records that exist so far, as SVG and PNG."""
    from resnest_bench.charts import write_figures

    _start_logging(log)
    spec = _with_looks(study, results)
    for path in write_figures(spec, spec.paths(results)):
        typer.echo(path)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A study's results, like results/demo")],
) -> None:
    """Print the main tables of a study."""
    from resnest_bench.report.tables import summary_text

    spec = _study_in(folder)
    text, note = summary_text(spec, spec.paths(folder.parent)), ""
    if sys.stdout.isatty():
        text, left_out = fit_markdown(text, shutil.get_terminal_size().columns)
        note = "   (all columns, and how they were measured)" if left_out else ""
    typer.echo(text)
    typer.echo(
        f"\nTables: {folder}/tables/{note}\nFigures: {folder}/figures/\n"
        "Dashboard: resnest-bench dashboard   (in a checkout also: make dashboard)"
    )


@app.command()
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
        typer.echo(write_document(_study_in(folder), StudyPaths(folder), out)[0])
    else:
        typer.echo(write_page(_study_in(folder), StudyPaths(folder), out))


@app.command()
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
    from resnest_bench.export.track import track_study
    from resnest_bench.results import StudyResults

    results = StudyResults(_study_in(folder), StudyPaths(folder))
    typer.echo(f"{track_study(results, to, into, offline)} new runs in {to}")


def _study_in(folder: Path) -> StudySpec:
    if not (folder / "study.json").exists():
        raise UserError(
            f"{folder} has no study.json: run its study first, with `resnest-bench run`, or in a "
            "checkout with `make demo`"
        )
    return study_with_looks(load_study(folder / "study.json"), StudyPaths(folder))


def _with_looks(study: Path, results: Path) -> StudySpec:
    """The study with the seeds that were added to it."""
    spec = load_study(study)
    return study_with_looks(spec, spec.paths(results))


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
    """Run the command line. A user's mistake is one line on standard error, and exit code 1.

    A signal ends it with 128 + its number, after what is running has kept its state.
    """
    try:
        with listening():
            app()
    except UserError as error:
        logging.getLogger("resnest_bench").debug("", exc_info=error)
        _fail(str(error))
    except OSError as error:
        # A full or vanished disk reaches us from any library.
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except Interrupted as stop:
        _fail(f"stopped by {stop}; the same command continues from there", code=stop.exit_code)


def _fail(message: str, code: int = 1) -> None:
    line = f"resnest-bench: error: {' '.join(message.split())}"
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            # The disk may be full: the line below must come all the same.
            with contextlib.suppress(OSError):
                handler.stream.write(line + "\n")
                handler.flush()
    print(line, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
