"""What a study will run and how long it takes, and a check for mistakes before it runs."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import timm
import torch

from resnest_bench import files
from resnest_bench.cli.cores import choose_for_study, list_rules
from resnest_bench.cli.gpus import describe_gpus
from resnest_bench.cli.inputs import describe_missing_weights
from resnest_bench.cli.steps import describe_short_trainings
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
from resnest_bench.planning.cores import CoreUse
from resnest_bench.planning.datasets import find_side, find_sizes, inspect_dataset
from resnest_bench.planning.estimate import estimate_study
from resnest_bench.planning.progress_lines import make_line_printer
from resnest_bench.planning.searches import describe_search_plan, plan_search
from resnest_bench.planning.storage import list_downloads, list_needs
from resnest_bench.planning.texts import describe_disk, describe_downloads, describe_estimate
from resnest_bench.prices import write_prices
from resnest_bench.search.sampler import load_optuna
from resnest_bench.specs import (
    StudySpec,
    WeightsSpec,
    describe_missing,
    local_path,
)
from resnest_bench.specs.rounds import read_rounds


def check_weights(study: StudySpec, dataset: str, variant: str, weights: WeightsSpec) -> None:
    """Raise UserError if weights don't fit the variant, as far as this is known before a download."""
    if weights.hub and weights.hub not in timm.list_pretrained():
        from difflib import get_close_matches

        close = get_close_matches(weights.hub, timm.list_pretrained(), n=3)
        raise UserError(
            f"weights of {variant}: timm {timm.__version__} has no {weights.hub!r}: "
            f"{'did you mean ' + ', '.join(close) + '?' if close else 'see timm.list_pretrained()'}"
        )
    if weights.file:
        fitted, _ = fit_to_image(study.variant(variant), find_side(study, dataset))
        model = build_model(fitted, 2, in_chans=study.dataset(dataset).num_channels)
        apply_weights(model, load_weights_file(Path(weights.file), weights.key), weights.file)


def check_study(study: StudySpec, results: Path) -> None:
    """Raise UserError for any mistake that can be found without running the study."""
    for variant in study.own_variants:
        check_buildable(variant)
    if study.search:
        load_optuna()
    for name, dataset in sorted({*_list_searched(study), *_list_run(study)}):
        channels = study.dataset(dataset).num_channels
        check_image(study.variant(name), find_side(study, dataset), channels)
    for block in study.finetune:
        for name, weights in block.weights.items():
            check_weights(study, block.dataset, name, weights)
    for name, spec in study.own_datasets.items():
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


def _list_run(study: StudySpec) -> Iterator[tuple[str, str]]:
    return ((job.variant, job.dataset) for job in study.own_jobs())


def _list_searched(study: StudySpec) -> Iterator[tuple[str, str]]:
    """(variant, dataset) that the families of a search start from."""
    search = study.search
    return ((name, search.dataset) for name in search.family_names) if search else iter(())


def _count_train_images(study: StudySpec) -> dict[str, int]:
    """Number of training images by dataset, for those that are prepared or have a known size."""
    counts = {}
    for name, spec in study.own_datasets.items():
        prepared = (study.prepared(name) / "meta.json").exists()
        # The job that reads damaged data will report it.
        with suppress(UserError):
            if prepared:
                data = open_prepared(study.prepared(name))
                counts[name] = len(data.train) - data.meta.reading.num_given_validation
            elif find_sizes(spec):
                counts[name] = inspect_dataset(study, name, Clock(torch.device("cpu"))).num_train
    return counts


@dataclass(frozen=True)
class Resources:
    """The device and the CPU cores that the jobs run with.

    `side_by_side` trainings run at a time, with `threads` threads each. If both are None, the faster way
    to use the cores is measured.
    """

    device: str = "auto"
    cores: int = 1
    side_by_side: int | None = None
    threads: int | None = None


def describe_plan(
    study: StudySpec, results: Path, resources: Resources, cost: bool, save_prices: bool = False
) -> str:
    """Return the plan as text: the pending jobs, with which resources they run, and for how long.

    Args:
        study: with the seeds that its looks added, and the trials of its search.
        results: folder of all studies' results.
        resources: what the jobs run with.
        cost: whether to estimate the time, which takes some measurements.
        save_prices: whether to store the estimate for the progress display of a run.
    """
    paths = study.paths(results)
    outcomes = read_outcomes(study, paths)
    renamed = find_renamed(study, paths, outcomes)
    todo = list_to_do(outcomes, renamed)
    # The configured study has the rounds' digest: what they added is no part of it.
    searching = plan_search(study, read_rounds(study.as_configured, paths))
    text = [f"Study {study.study!r}", "", describe_to_do(outcomes, renamed, bool(searching))]
    if classes := describe_classes(study):
        text += ["", *classes]
    short = describe_short_trainings(study, _count_train_images(study))
    if short:
        text += ["", *short]
    if gpus := describe_gpus(study, resources.device):
        text += ["", *gpus]
    if search_text := describe_search_plan(study, searching):
        text += ["", *search_text]
    if study.claims:
        text += ["", _claims_text(study)]
    if any(job.kind == "finetune" for job in todo) and (note := describe_missing_weights(study)):
        text += ["", note]
    if save_prices:
        # The prices of an earlier run don't apply to this one.
        write_prices(paths.prices, None)
    if searching:
        todo = [*todo, *searching.jobs]
    if todo:
        text += ["", _cost_text(study, results, todo, resources, cost, save_prices)]
    return "\n".join(text)


def _claims_text(study: StudySpec) -> str:
    """The number of claims, and those that name a variant or a recipe which the study lacks.

    This is not an error, since studies may share a list of claims: such a claim stays untested.
    """
    absent = []
    found = study.search.list_finalists() if study.search else []
    variants = {*study.variant_names, *found}
    for claim in study.claims:
        test = claim.test
        names = [name for name in test.variants_named if name not in variants]
        names += [name for name in test.recipes_named if name not in study.known_recipes]
        if names:
            absent.append(f"{claim.name} ({', '.join(names)})")
    text = f"Claims: {len(study.claims)}."
    if absent:
        text += f" Untested, since this study lacks their variants or recipes: {'; '.join(absent)}."
    return text


def _cost_text(
    study: StudySpec,
    results: Path,
    todo: list[Job],
    resources: Resources,
    cost: bool,
    save: bool,
) -> str:
    with leased_device(resources.device) as leased:
        device = describe(leased)
        where = (
            f"On {'the CPU' if device.device_kind == 'cpu' else 'the GPU'}, {device.device_name}"
        )
        downloads = describe_downloads(list_downloads(study, todo))
        if not cost:
            return "\n".join([f"{where}.", *([downloads] if downloads else [])])
        if leased.type == "cpu":
            keep_memory()
        root, print_line = study.paths(results).root, make_line_printer()
        core_use, use_text = _choose_core_use(study, results, resources, leased)
        estimate = estimate_study(study, todo, leased, root, print_line, core_use, resources.cores)
    if save:
        write_prices(study.paths(results).prices, estimate.to_prices())
    text = describe_estimate(estimate, f"{where}, {use_text}")
    disk = describe_disk(list_needs(study, results, todo, estimate))
    return "\n".join([text, *([downloads] if downloads else []), *disk])


def _choose_core_use(
    study: StudySpec, results: Path, resources: Resources, device: torch.device
) -> tuple[CoreUse, str]:
    """How trainings use the cores, also in words. On a GPU, one training runs at a time."""
    if device.type != "cpu":
        return CoreUse(1, torch.get_num_threads()), "one training at a time"
    if resources.cores == 1 or resources.side_by_side or resources.threads:
        side_by_side = resources.side_by_side or 1
        core_use = CoreUse(
            side_by_side, resources.threads or max(resources.cores // side_by_side, 1)
        )
        return core_use, str(core_use)
    choice = choose_for_study(study, results, resources.cores)
    options = " ".join(choice.options(list_rules(study)))
    text = f"{choice}. If you call Snakemake yourself, add --cores {resources.cores} {options}"
    return choice.core_use, text
