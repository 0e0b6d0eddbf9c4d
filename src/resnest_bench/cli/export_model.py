"""`resnest-bench export-model`: a trained network as files for other runtimes, with a model card."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from resnest_bench.cli.logs import start_logging
from resnest_bench.cli.options import ResultsOption
from resnest_bench.cli.predict import (
    DEFAULT_RESULTS,
    DatasetChoice,
    RecipeChoice,
    VariantArgument,
)
from resnest_bench.cli.studies import StudyArgument, open_study
from resnest_bench.errors import UserError
from resnest_bench.words import list_names


def export_model(
    study: StudyArgument,
    variant: VariantArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the files")],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="onnx, openvino, executorch, safetensors or pt2 (torch.export); repeatable [default: onnx]",
        ),
    ] = None,
    dataset: DatasetChoice = None,
    recipe: RecipeChoice = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Seed to export [default: the first that finished]"),
    ] = None,
    fold_seeds: Annotated[
        str | None,
        typer.Option(
            "--fold-seeds", help="mean: the average of the weights of all seeds, and its accuracy"
        ),
    ] = None,
    results: ResultsOption = DEFAULT_RESULTS,
) -> None:
    """Write a trained network for other runtimes, checked against torch, with preprocessing and model card."""
    start_logging(None)
    from resnest_bench.usage.export_model import FORMATS, check_output

    wanted = list(dict.fromkeys(formats or ["onnx"]))
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown:
        raise UserError(f"--format must be one of {', '.join(FORMATS)}, but got {unknown[0]!r}")
    if fold_seeds not in (None, "mean"):
        raise UserError(f"--fold-seeds must be mean, but got {fold_seeds!r}")
    if fold_seeds and seed is not None:
        raise UserError(
            "--fold-seeds averages all seeds and --seed names one: give only one of them"
        )
    check_output(output)
    spec, paths = open_study(study, results)
    import torch

    from resnest_bench.data.prepared import open_prepared
    from resnest_bench.results import StudyResults
    from resnest_bench.usage.average import average_networks
    from resnest_bench.usage.export_model import (
        choose_images,
        export_formats,
        publish,
        write_checksums,
        write_texts,
    )
    from resnest_bench.usage.model_card import CardContent, describe_average, write_card
    from resnest_bench.usage.trained import ALL_SEEDS, choose_seeds, find_experiment, load_trained

    device = torch.device("cpu")
    experiment = find_experiment(spec, variant, dataset, recipe)
    every = choose_seeds(spec, paths, experiment, variant, ALL_SEEDS)
    chosen = choose_seeds(spec, paths, experiment, variant, None if seed is None else (seed,))
    finished = [one.record for one in every if one.record]
    data = open_prepared(spec.prepared(experiment.dataset))
    average = None
    if fold_seeds:
        typer.echo("Averaging the weights, and evaluating the average.", err=True)
        networks = [load_trained(spec, paths, one, device) for one in every]
        average = average_networks(networks, data, device)
        network = average.network
        typer.echo(describe_average(average, finished), err=True)
    else:
        network = load_trained(spec, paths, chosen[0], device)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as place:
        partial = Path(place) / output.name
        partial.mkdir()
        files, problems = export_formats(network, wanted, partial, choose_images(network, data))
        for name, problem in problems.items():
            typer.echo(f"{name}: {problem}", err=True)
        if files:
            write_texts(partial, network)
            content = CardContent(
                StudyResults(spec, paths),
                network,
                finished,
                files,
                problems,
                seed is not None,
                average,
            )
            (partial / "README.md").write_text(write_card(content), encoding="utf-8")
            write_checksums(partial)
            publish(partial, output)
    for file in sorted(output.iterdir()) if files else ():
        typer.echo(file)
    if problems:
        raise UserError(
            f"every format must be written, but {list_names(problems, 5)} {'was' if len(problems) == 1 else 'were'} not "
            f"(named above){'; the others are in ' + str(output) if files else ', and nothing is written'}: install what "
            "is missing, or leave out the format"
        )
