"""What a study will run and cost, and every mistake that shows without running it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import timm
import torch

from resnest_bench import files
from resnest_bench.cli.cores import choose_for_study, list_rules
from resnest_bench.cli.inputs import describe_missing_weights
from resnest_bench.cli.steps import describe_imbalances, describe_short_trainings
from resnest_bench.cli.todo import describe_to_do, find_renamed, list_to_do, read_outcomes
from resnest_bench.data import SOURCES, is_prepared, open_prepared
from resnest_bench.device.allocator import keep_memory
from resnest_bench.device.environment import describe
from resnest_bench.device.lease import leased_device
from resnest_bench.errors import UserError
from resnest_bench.models import build_model, check_buildable, check_image, fit_to_image
from resnest_bench.models.weight_files import load_weights_file
from resnest_bench.models.weights import apply_weights
from resnest_bench.paths import Job
from resnest_bench.planning.classes import describe_classes
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.cores import Work
from resnest_bench.planning.datasets import find_side, find_sizes, inspect_dataset
from resnest_bench.planning.estimate import estimate_study
from resnest_bench.planning.storage import list_downloads, list_needs
from resnest_bench.planning.telling import make_teller
from resnest_bench.planning.texts import describe_disk, describe_downloads, describe_estimate
from resnest_bench.prices import write_prices
from resnest_bench.specs import (
    StudySpec,
    WeightsSpec,
    describe_missing,
    local_path,
)


def check_weights(study: StudySpec, dataset: str, variant: str, weights: WeightsSpec) -> None:
    """Raise UserError where weights can't fit, as far as it shows without a download."""
    if weights.hub and weights.hub not in timm.list_pretrained():
        from difflib import get_close_matches

        close = get_close_matches(weights.hub, timm.list_pretrained(), n=3)
        raise UserError(
            f"weights of {variant}: timm {timm.__version__} knows no {weights.hub!r}: "
            f"{'did you mean ' + ', '.join(close) if close else 'see timm.list_pretrained()'}?"
        )
    if weights.file:
        fitted, _ = fit_to_image(study.variant(variant), find_side(study, dataset))
        model = build_model(fitted, 2, in_chans=study.dataset(dataset).num_channels)
        apply_weights(model, load_weights_file(Path(weights.file), weights.key), weights.file)


def check_study(study: StudySpec, results: Path) -> None:
    """Raise UserError for what is wrong before an hour is spent on it."""
    for variant in study.variants:
        check_buildable(variant)
    for name, dataset in sorted({(job.variant, job.dataset) for job in study.jobs()}):
        channels = study.dataset(dataset).num_channels
        check_image(study.variant(name), find_side(study, dataset), channels)
    for block in study.finetune:
        for name, weights in block.weights.items():
            check_weights(study, block.dataset, name, weights)
    for name, spec in study.datasets.items():
        path = local_path(spec)
        prepared = (study.prepared(name) / "meta.json").exists()
        if path and not path.exists() and not prepared:
            raise UserError(
                f"datasets.{name}.path: {describe_missing(path)}: put the data there, or change the path"
            )
        check = SOURCES[spec.source].check
        if check and not is_prepared(study, name):
            check(spec, name)
    files.check_writable(study.paths(results).root)


def _count_train_images(study: StudySpec) -> dict[str, int]:
    """Training images by dataset, of those that are prepared whole or known in advance."""
    counts = {}
    for name, spec in study.datasets.items():
        prepared = (study.prepared(name) / "meta.json").exists()
        # Damaged data is for the job that reads it to report.
        with suppress(UserError):
            if prepared:
                data = open_prepared(study.prepared(name))
                counts[name] = len(data.train) - data.meta.reading.num_given_validation
            elif find_sizes(spec):
                counts[name] = inspect_dataset(study, name, Clock(torch.device("cpu"))).num_train
    return counts


@dataclass(frozen=True)
class Means:
    """What the jobs are run with.

    `side_by_side` trainings at a time with `threads` each; where they are None, the faster way to use
    the cores is measured.
    """

    device: str = "auto"
    cores: int = 1
    side_by_side: int | None = None
    threads: int | None = None


def describe_plan(
    study: StudySpec, results: Path, means: Means, cost: bool, save_prices: bool = False
) -> str:
    """The plan as text: what each block has left to do, by which means, for how long.

    `save_prices`: also leave the prices for those who watch the run that begins now.
    """
    paths = study.paths(results)
    found = read_outcomes(study, paths)
    renamed = find_renamed(study, paths, found)
    todo = list_to_do(found, renamed)
    text = [f"Study {study.study!r}", "", describe_to_do(found, renamed)]
    if classes := describe_classes(study):
        text += ["", *classes]
    short = describe_short_trainings(study, _count_train_images(study))
    if short:
        text += ["", *short]
    if uneven := describe_imbalances(study):
        text += ["", *uneven]
    if study.claims:
        text += ["", _claims_text(study)]
    if any(job.kind == "finetune" for job in todo) and (lacks := describe_missing_weights(study)):
        text += ["", lacks]
    if save_prices:
        # Those of an earlier run are none of this one.
        write_prices(paths.prices, None)
    if todo:
        text += ["", _cost_text(study, results, todo, means, cost, save_prices)]
    return "\n".join(text)


def _claims_text(study: StudySpec) -> str:
    """How many claims there are, and which of them name a variant that is not here: a typo, or not.

    Claims may be shared by studies, so that this is no mistake: such a claim stays untested.
    """
    known, absent = set(study.variant_names), []
    for claim in study.claims:
        names = [name for name in claim.test.variants_named if name not in known]
        if names:
            absent.append(f"{claim.name} ({', '.join(names)})")
    text = f"Claims: {len(study.claims)}."
    if absent:
        text += f" Untested, since this study lacks what they name: {'; '.join(absent)}."
    return text


def _cost_text(
    study: StudySpec, results: Path, todo: list[Job], means: Means, cost: bool, save: bool
) -> str:
    with leased_device(means.device) as leased:
        seen = describe(leased)
        where = f"On {'the CPU' if seen.device_kind == 'cpu' else 'the GPU'}, {seen.device_name}"
        downloads = describe_downloads(list_downloads(study, todo))
        if not cost:
            return "\n".join([f"{where}.", *([downloads] if downloads else [])])
        if leased.type == "cpu":
            keep_memory()
        root, tell = study.paths(results).root, make_teller()
        work, said = _choose_work(study, results, means, leased)
        estimate = estimate_study(study, todo, leased, root, tell, work, means.cores)
    if save:
        write_prices(study.paths(results).prices, estimate.to_prices())
    text = describe_estimate(estimate, f"{where}, {said}")
    disk = describe_disk(list_needs(study, results, todo, estimate))
    return "\n".join([text, *([downloads] if downloads else []), *disk])


def _choose_work(
    study: StudySpec, results: Path, means: Means, device: torch.device
) -> tuple[Work, str]:
    """How trainings use the cores, and that in words. A GPU has one training at a time."""
    if device.type != "cpu":
        return Work(1, torch.get_num_threads()), "one training at a time"
    if means.cores == 1 or means.side_by_side or means.threads:
        side_by_side = means.side_by_side or 1
        work = Work(side_by_side, means.threads or max(means.cores // side_by_side, 1))
        return work, str(work)
    choice = choose_for_study(study, results, means.cores)
    options = " ".join(choice.options(list_rules(study)))
    return choice.work, f"{choice}. To plain Snakemake, say --cores {means.cores} {options}"
