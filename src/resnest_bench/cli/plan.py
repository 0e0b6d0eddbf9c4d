"""What a study will run and cost, and every mistake that shows without running it."""

from collections import Counter
from pathlib import Path

import timm
import torch
from tabulate import tabulate

from resnest_bench import records
from resnest_bench.data import SOURCES, open_prepared
from resnest_bench.errors import UserError
from resnest_bench.measure.allocator import keep_memory
from resnest_bench.measure.devices import leased_device
from resnest_bench.measure.environment import describe
from resnest_bench.models import build_model, check_buildable
from resnest_bench.models.weights import apply_weights, load_weights_file
from resnest_bench.paths import Job
from resnest_bench.specs import ImageFolderDataset, RecipeSpec, StudySpec, WeightsSpec
from resnest_bench.tables import collect
from resnest_bench.training.execution import Execution, layouts_of, measure, mode_of
from resnest_bench.training.step import probe_step_maker

PROBE_BATCH_SIZE = 32


def check_weights(study: StudySpec, variant: str, weights: WeightsSpec) -> None:
    """Raise UserError where weights can't fit, as far as it shows without a download."""
    if weights.hub and weights.hub not in timm.list_pretrained():
        from difflib import get_close_matches

        close = get_close_matches(weights.hub, timm.list_pretrained(), n=3)
        raise UserError(
            f"weights of {variant}: timm {timm.__version__} knows no {weights.hub!r}: "
            f"{'did you mean ' + ', '.join(close) if close else 'see timm.list_pretrained()'}?"
        )
    if weights.file:
        model = build_model(study.variant(variant), 2)
        apply_weights(model, load_weights_file(Path(weights.file)), weights.file)


def check_image_size(study: StudySpec, variant: str, image_size: int) -> None:
    """Raise UserError where a variant can't take images of this side; nothing is computed."""
    try:
        with torch.device("meta"):
            model = build_model(study.variant(variant), 2)
            model(torch.zeros(2, 3, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise UserError(
            f"variant {variant} can't take images of {image_size}x{image_size} "
            f"({str(error).strip().splitlines()[0]}): choose another variant, or another image_size"
        ) from error


def _image_size(study: StudySpec, dataset: str) -> int:
    spec = study.dataset(dataset)
    known = SOURCES[spec.source].sizes
    if known:
        return known[2]
    assert isinstance(spec, ImageFolderDataset), "of the others the sizes are known"
    return spec.image_size


def check_study(study: StudySpec, results: Path) -> None:
    """Raise UserError for what is wrong before an hour is spent on it."""
    for variant in study.variants:
        check_buildable(variant)
    for name, dataset in sorted({(job.variant, job.dataset) for job in study.jobs()}):
        check_image_size(study, name, _image_size(study, dataset))
    for block in study.finetune:
        for name, weights in block.weights.items():
            check_weights(study, name, weights)
    for name, spec in study.datasets.items():
        path = getattr(spec, "path", None)
        prepared = (study.prepared(name) / "meta.json").exists()
        if path and not Path(path).exists() and not prepared:
            raise UserError(
                f"datasets.{name}.path: {path} does not exist: put the data there, or change the path"
            )
    records.check_writable(study.paths(results).root)


def image_counts(study: StudySpec, dataset: str) -> tuple[int, int, int] | None:
    """(train images, test images, image size) where they are known before the data is."""
    folder = study.prepared(dataset)
    if (folder / "meta.json").exists():
        data = open_prepared(folder)
        return len(data.train), len(data.test), data.meta.image_size
    return SOURCES[study.dataset(dataset).source].sizes


def step_seconds_per_image(
    study: StudySpec, variant: str, recipe: RecipeSpec, image_size: int, device: torch.device
) -> float:
    """Seconds of one training step, per image, in the faster layout; nothing is compiled."""
    model = build_model(study.variant(variant), 10)
    mode = "eager" if recipe.mode == "compiled" else mode_of(recipe, device)
    candidates = [Execution(layout, mode) for layout in layouts_of(recipe)]
    maker = probe_step_maker(model, recipe, device, PROBE_BATCH_SIZE, image_size, 10)
    return min(measure(candidates, maker, device, rounds=1).values()) / PROBE_BATCH_SIZE


def _unfinished(study: StudySpec, results: Path) -> list[Job]:
    runs = collect(study, study.paths(results))
    return [
        job for job, status in zip(study.jobs(), runs["status"], strict=True)
        if status in ("missing", "invalid")
    ]  # fmt: skip


def estimate_seconds(study: StudySpec, jobs: list[Job], device: torch.device) -> float | None:
    """Rough seconds of all trainings and fine-tunings in `jobs`; None where a size is unknown.

    A pass over the test images costs a third of a training pass. Latencies are bounded by their
    protocol and are not in it.
    """
    total, speeds = 0.0, {}
    for job in jobs:
        if job.kind == "latency":
            continue
        counts = image_counts(study, job.dataset)
        if counts is None:
            return None
        num_train, num_test, size = counts
        recipe = study.recipe(job.recipe)
        key = (job.variant, recipe.precision, recipe.layout, size)
        if key not in speeds:
            speeds[key] = step_seconds_per_image(study, job.variant, recipe, size, device)
        total += recipe.epochs * (num_train + num_test / 3) * speeds[key]
    return total


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def describe_plan(study: StudySpec, results: Path, device: str, cost: bool) -> str:
    """The plan as text: what each block has left to do, on which device, for how long."""
    todo = _unfinished(study, results)
    left = Counter((job.kind, job.dataset, job.recipe) for job in todo)
    groups: dict[tuple, dict] = {}
    for job in study.jobs():
        key = (job.kind, job.dataset, job.recipe)
        row = groups.setdefault(key, {"variants": set(), "seeds": set(), "records": 0})
        row["variants"].add(job.variant)
        row["seeds"].add(job.seed)
        row["records"] += 1
    rows = [
        [*key, len(row["variants"]), len(row["seeds"]), row["records"], left[key]]
        for key, row in groups.items()
    ]
    headers = ["job", "dataset", "recipe", "variants", "seeds", "records", "to do"]
    text = [f"Study {study.study!r}", "", tabulate(rows, headers=headers)]
    if study.claims:
        text += ["", _claims_text(study)]
    if todo:
        text += ["", _cost_text(study, todo, device, cost)]
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


def _cost_text(study: StudySpec, todo: list[Job], device: str, cost: bool) -> str:
    with leased_device(device) as leased:
        seen = describe(leased)
        where = f"On {'the CPU' if seen.device_kind == 'cpu' else 'the GPU'}, {seen.device_name}"
        if not cost:
            return f"{where}."
        if leased.type == "cpu":
            keep_memory()
        seconds = estimate_seconds(study, todo, leased)
    if seconds == 0:
        return f"{where}: only latencies are left."
    if seconds is None:
        return f"{where}: the time can be estimated once the data is prepared (resnest-bench data)."
    return (
        f"{where}: training takes about {_hours(seconds)}, give or take half (from one timed step of "
        f"{PROBE_BATCH_SIZE} images a variant); latencies come on top."
    )
