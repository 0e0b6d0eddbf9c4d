"""`resnest-bench predict`: the classes of image files, by a trained network of a study."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnest_bench.cli.logs import start_logging
from resnest_bench.cli.options import DeviceOption, ResultsOption
from resnest_bench.cli.studies import StudyArgument, open_study
from resnest_bench.errors import UserError
from resnest_bench.files import write_text
from resnest_bench.words import count_noun

if TYPE_CHECKING:
    from resnest_bench.usage.predict import PredictedImages

log = logging.getLogger(__name__)

VariantArgument = Annotated[str, typer.Argument(help="Name of a variant that the study trains")]
DatasetChoice = Annotated[
    str | None,
    typer.Option("--dataset", help="Data that it was trained on [default: if there is only one]"),
]
RecipeChoice = Annotated[
    str | None,
    typer.Option("--recipe", help="Recipe that trained it [default: if there is only one]"),
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Images at a time")]
DEFAULT_RESULTS = Path("results")


def predict(
    study: StudyArgument,
    variant: VariantArgument,
    images: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs, @FILE with one per line, or - for standard input"
        ),
    ],
    dataset: DatasetChoice = None,
    recipe: RecipeChoice = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seed", "--seeds", help="Seed to use [default: the first that finished]"),
    ] = None,
    ensemble: Annotated[
        bool,
        typer.Option(
            "--ensemble",
            help="Mean of the probabilities of several seeds: those of --seeds, or all",
        ),
    ] = False,
    top_k: Annotated[
        int, typer.Option("--top-k", min=1, help="Classes to name for each image")
    ] = 1,
    every_class: Annotated[
        bool, typer.Option("--probabilities", help="Give the probability of every class")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of CSV")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write [default: print]")
    ] = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    results: ResultsOption = DEFAULT_RESULTS,
) -> None:
    """Predict the classes of images with a trained network. Images are prepared as those of its test."""
    start_logging(None)
    spec, paths = open_study(study, results)
    from resnest_bench.device.lease import leased_device
    from resnest_bench.usage.predict import find_images, format_csv, format_json, predict_images
    from resnest_bench.usage.trained import (
        ALL_SEEDS,
        choose_seeds,
        find_experiment,
        load_trained,
        parse_seeds,
    )

    asked = parse_seeds(seeds)
    several = asked == ALL_SEEDS or (asked is not None and len(asked) > 1)
    if several and not ensemble:
        raise UserError(
            f"one seed predicts unless an ensemble is asked for, but got --seeds {seeds}: name one of them, or add "
            "--ensemble"
        )
    experiment = find_experiment(spec, variant, dataset, recipe)
    chosen = choose_seeds(
        spec, paths, experiment, variant, asked or (ALL_SEEDS if ensemble else None)
    )
    with leased_device(device) as leased:
        networks = [load_trained(spec, paths, one, leased) for one in chosen]
        first = networks[0]
        if top_k > len(first.classes):
            raise UserError(
                f"--top-k must be at most the {len(first.classes)} classes, but got {top_k}: lower it"
            )
        files = find_images(images, first.preprocessing.channels, sys.stdin.read)
        white = getattr(spec.dataset(experiment.dataset), "max_value", None)
        known = first.preprocessing.with_white(files.paths, white, experiment.dataset)
        if known != first.preprocessing:
            log.warning(
                "some images have more than 8 bits per channel, and those of the training had not: white is "
                "taken to be %g",
                known.white,
            )
            networks = [network.prepared_by(known) for network in networks]
        typer.echo(
            f"{' and '.join(str(network.job) for network in networks)}: {count_noun(len(files.paths), 'image')}",
            err=True,
        )
        with typer.progressbar(length=len(files.paths), file=sys.stderr) as bar:
            found = predict_images(networks, files, leased, batch_size, bar.update)
    if as_json:
        text = format_json(found, networks, spec.study, top_k, every_class)
    else:
        text = format_csv(found, top_k, every_class)
    if output is not None:
        write_text(output, text)
        typer.echo(output)
    else:
        typer.echo(text, nl=False)
    _report_problems(found)


def _report_problems(found: "PredictedImages") -> None:
    """Name the files without a prediction, and end with exit code 1 if there are any."""
    for name, problem in found.problems.items():
        typer.echo(f"{name}: {problem}", err=True)
    if found.problems:
        raise UserError(
            f"every image must be predicted, but of {len(found.paths) + len(found.problems)} "
            f"{len(found.problems)} {'was' if len(found.problems) == 1 else 'were'} not (named above): mend or leave "
            "out these files; the others are predicted"
        )
