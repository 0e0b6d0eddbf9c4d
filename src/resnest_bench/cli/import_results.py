"""`resnest-bench import`: results that somebody has already become a study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnest_bench.cli.options import ResultsOption
from resnest_bench.cli.studies import DEFAULT_RESULTS
from resnest_bench.errors import UserError
from resnest_bench.words import count_noun

if TYPE_CHECKING:
    from resnest_bench.imports.columns import Choices
    from resnest_bench.imports.writing import Target


def import_results(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, TSV or Parquet of results, or .npz of predictions; several are joined. Or the .json that "
            "a bundle's run.py has written on another device, with --into"
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--as", help="Name of the new study [default: that of the file]")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", help="Instead: add to the study with this config file"),
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", help="Column with the network's name")
    ] = None,
    seed: Annotated[
        str | None, typer.Option("--seed", help="Column with the seed, or the name of a run")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="Column of a metric, like accuracy=val_acc; repeatable"),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            "--unit",
            help="Unit of a metric, like accuracy=percent or latency=ms (percent, fraction, ms, s, us, ones, "
            "millions, billions); repeatable",
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Name of the data, without a column of it")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help="Name of the recipe, without a column of it; with --into, that of the study to compare with",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Only rows with this value, like img_size=224; repeatable"),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this network; repeatable")
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option("--rename", help="Another name for a network, like OLD=NEW; repeatable"),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="What latencies were measured on, in words")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Of latencies, without a column of it")
    ] = None,
    num_test: Annotated[
        int | None, typer.Option("--num-test", min=1, help="Number of test images")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what was understood, and write nothing")
    ] = False,
    results: ResultsOption = DEFAULT_RESULTS,
) -> None:
    """Make a study of results that you have: tables, statistics, claims and dashboard without a training."""
    from resnest_bench.imports.columns import Choices
    from resnest_bench.imports.shapes import parse_choice, read_metrics_option
    from resnest_bench.imports.units import check_units

    columns = read_metrics_option(metric or [])
    columns |= {role: column for role, column in (("variant", variant), ("seed", seed)) if column}
    units = parse_choice(unit or [], "--unit")
    check_units(units)
    choices = Choices(
        columns=columns,
        units=units,
        where=parse_choice(where or [], "--where"),
        only=tuple(only or ()),
        rename=parse_choice(rename or [], "--rename"),
        dataset=dataset,
        recipe=recipe,
        device=device,
        batch_size=batch_size,
        num_test=num_test,
    )
    if name is not None and into is not None:
        raise UserError("--as makes a new study and --into adds to one: give only one of them")
    for line in run_import(files, name, into, choices, results, dry_run):
        typer.echo(line)


def run_import(
    files: list[Path],
    name: str | None,
    into: Path | None,
    choices: "Choices",
    results: Path,
    dry_run: bool,
) -> list[str]:
    """Read, check and write; return lines for the terminal. Raises UserError, and then nothing is written."""
    from resnest_bench.imports.assemble import make_name
    from resnest_bench.imports.devices import is_device_file
    from resnest_bench.imports.own_images import adopt_images
    from resnest_bench.imports.reading import read_files
    from resnest_bench.imports.writing import (
        describe,
        existing_target,
        new_target,
        plan_study,
        write_imports,
    )

    if any(map(is_device_file, files)):
        return _import_device(files, name, into, choices.device, results, dry_run)
    found = read_files(files, choices)
    if into is not None:
        target = existing_target(into, results)
    else:
        target = new_target(name if name is not None else make_name(files[0].stem), results)
    spec = plan_study(target, found)
    if target.spec is not None:
        found = adopt_images(found, target.spec, target.paths)
    lines = describe(found)
    if dry_run:
        return [*lines, "", f"Nothing is written (--dry-run); it would be study {target.name!r}."]
    paths = write_imports(target, spec, found)
    count = count_noun(len(found.results), "record")
    lines += ["", f"{count} in {target.paths.root}", *map(str, paths)]
    return [*lines, *_describe_next(target, results)]


def _import_device(
    files: list[Path],
    name: str | None,
    into: Path | None,
    device: str | None,
    results: Path,
    dry_run: bool,
) -> list[str]:
    from resnest_bench.imports.devices import plan_device
    from resnest_bench.imports.writing import existing_target, write_records

    if len(files) > 1 or name is not None or into is None:
        raise UserError(
            "the results of a device are imported one file at a time into the study that its bundle was made "
            f"of, but got {' '.join(map(str, files))}: give one file and --into CONFIG"
        )
    target = existing_target(into, results)
    planned = plan_device(files[0], target, device)
    if dry_run:
        return [*planned.lines, "", "Nothing is written (--dry-run)."]
    paths = write_records(target, planned.spec, planned.records)
    count = count_noun(len(planned.records), "record")
    lines = [*planned.lines, "", f"{count} in {target.paths.root}", *map(str, paths)]
    return [*lines, *_describe_next(target, results)]


def _describe_next(target: "Target", results: Path) -> list[str]:
    elsewhere = "" if results == DEFAULT_RESULTS else f" --results {results}"
    return [
        "",
        "Next:",
        f"  resnest-bench show {target.paths.root}",
        f"  resnest-bench tables --study {target.config}{elsewhere}   # after an edit, such as a claim",
        f"  resnest-bench dashboard{elsewhere}",
    ]
