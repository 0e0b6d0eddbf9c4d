"""`resnest-bench evaluate`: the trained networks of a study on another labelled test set."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from resnest_bench.cli.logs import start_logging
from resnest_bench.cli.options import DeviceOption, ResultsOption
from resnest_bench.cli.predict import (
    DEFAULT_RESULTS,
    DatasetChoice,
    RecipeChoice,
)
from resnest_bench.cli.studies import StudyArgument, open_study
from resnest_bench.words import count_noun

log = logging.getLogger(__name__)


def evaluate(
    study: StudyArgument,
    variants: Annotated[
        list[str] | None,
        typer.Argument(help="Variants [default: all that the study trains]", show_default=False),
    ] = None,
    data: Annotated[
        Path,
        typer.Option(
            "--data", help="Folder with <class>/, or a CSV with the columns image and label"
        ),
    ] = ...,  # type: ignore[assignment]
    name: Annotated[
        str | None,
        typer.Option("--as", help="Name of the test set in the tables [default: that of --data]"),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Its name in figures [default: its name]")
    ] = None,
    dataset: DatasetChoice = None,
    recipe: RecipeChoice = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="Like 0,1 [default: all that finished]")
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images that can't be used")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the accuracies, and write nothing")
    ] = False,
    device: DeviceOption = "auto",
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, help="Images at a time [default: by their size]"),
    ] = None,
    results: ResultsOption = DEFAULT_RESULTS,
) -> None:
    """Evaluate trained networks on another test set, which becomes one more dataset of the study's tables."""
    start_logging(None)
    spec, paths = open_study(study, results)
    from resnest_bench.data.prepared import read_meta
    from resnest_bench.device.environment import describe
    from resnest_bench.device.lease import leased_device
    from resnest_bench.imports.assemble import make_name
    from resnest_bench.paths import Job
    from resnest_bench.usage import evaluate as evaluations
    from resnest_bench.usage.labelled import decode_images, find_labelled
    from resnest_bench.usage.preprocessing import Preprocessing
    from resnest_bench.usage.trained import (
        ALL_SEEDS,
        choose_seeds,
        find_experiments,
        load_trained,
        parse_seeds,
    )

    asked = parse_seeds(seeds) or ALL_SEEDS
    experiment, names = find_experiments(spec, variants or (), dataset, recipe)
    outcomes = [one for each in names for one in choose_seeds(spec, paths, experiment, each, asked)]
    title = name if name is not None else make_name(data.resolve().stem)
    jobs = [one.job for one in outcomes]
    extended = spec
    if not dry_run:
        extended = evaluations.extend_study(spec, experiment, title, jobs)
    config = evaluations.find_config(spec, study)
    meta = read_meta(spec.prepared(experiment.dataset))
    found = find_labelled(data, meta.classes, meta.num_channels)
    white = getattr(spec.dataset(experiment.dataset), "max_value", None)
    preparing = Preprocessing.of(meta).with_white(found.paths, white, experiment.dataset)
    typer.echo(
        f"{count_noun(len(found.paths), 'image')} of {data}, {count_noun(len(jobs), 'network')}",
        err=True,
    )
    made: dict[Job, tuple[Any, Any]] = {}
    pairs = []
    with (
        leased_device(device) as leased,
        typer.progressbar(length=len(found.paths) + len(jobs), file=sys.stderr) as bar,
        decode_images(found, preparing, meta.classes, skip_broken, bar.update) as images,
    ):
        test_set = evaluations.TestSet(title, label or title, data, images, meta.classes)
        evaluations.check_same_images(spec, paths, test_set)
        environment = describe(leased)
        for outcome in outcomes:
            network = load_trained(spec, paths, outcome, leased)
            one = evaluations.evaluate_network(network, images, leased, batch_size)
            record = evaluations.make_record(extended, one, test_set, environment)
            made[record.job.job] = record, one.found
            pairs.append((one.trained, record))
            bar.update(1)
    if not dry_run:
        edited = evaluations.write_evaluations(extended, paths, config, made)
    typer.echo(
        describe_accuracies(evaluations.compare_accuracies(pairs), experiment.dataset, title)
    )
    if dry_run:
        typer.echo("\nNothing is written (--dry-run).")
        return
    typer.echo(f"\n{count_noun(len(made), 'record')} in {paths.root}, and in these files:")
    for path in edited:
        typer.echo(f"  {path}")
    if config is None:
        typer.echo(
            f"The config file of this study is not known. So that the next run keeps the test set, add this line to it:\n"
            f"  imported: {edited[0].as_posix()}"
        )
    where = "" if results == DEFAULT_RESULTS else f" --results {results}"
    typer.echo(
        f"Next:\n  resnest-bench tables --study {paths.study}{where}\n  resnest-bench show {paths.root}\n"
        f"  resnest-bench dashboard{where}"
    )


def describe_accuracies(rows: Sequence[Mapping[str, Any]], dataset: str, name: str) -> str:
    """A table: accuracy in % with its interval on both test sets, and the difference paired over seeds."""
    from tabulate import tabulate

    cells = [
        [
            row["variant"],
            _format_accuracy(row["before"]),
            _format_accuracy(row["after"]),
            _format_change(row["change"]),
        ]
        for row in rows
    ]
    headers = ["variant", f"{dataset} (%)", f"{name} (%)", "difference (points)"]
    note = "Intervals: 95 %, for new seeds (of one seed: for new test images)."
    return f"{tabulate(cells, headers=headers, disable_numparse=True)}\n{note}"


def _format_accuracy(row: Mapping[str, Any]) -> str:
    low, high = row["seeds_low_percent"], row["seeds_high_percent"]
    if row["n"] == 1:
        low, high = row["networks_low_percent"], row["networks_high_percent"]
    interval = "" if low != low else f" [{low:.2f}, {high:.2f}]"
    return f"{row['mean_percent']:.2f}{interval} (n={row['n']})"


def _format_change(change: Any) -> str:
    interval = "" if change.low is None else f" [{change.low:+.2f}, {change.high:+.2f}]"
    return f"{change.mean:+.2f}{interval}"
