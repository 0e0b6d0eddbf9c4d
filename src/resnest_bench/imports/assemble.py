"""The runs of all files as jobs of a study: safe names, one seed for each run, the same images for all."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from resnest_bench.errors import UserError
from resnest_bench.imports.predictions import sort_classes
from resnest_bench.imports.runs import UNKNOWN_DATA, ImagePredictions, Run
from resnest_bench.paths import Job, check_name
from resnest_bench.records.imports import ImportedResults
from resnest_bench.records.observations import MAX_FLOAT, DatasetIdentity
from resnest_bench.specs import ImportedBlock
from resnest_bench.words import list_names

# Of two files that state the same accuracy, one may be rounded.
ALIKE = 6e-4
MAX_RUNS = 100_000


@dataclass(frozen=True, eq=False)
class Imports:
    """What files hold, as jobs.

    `results` are those of each job, `predictions` those of the jobs that have some, with images in the same
    order for all jobs of a dataset. `labels` maps a dataset's name to what the files call it. `notes` say what
    was understood. `identities` are datasets whose images are those of a study's own trainings.
    """

    results: dict[Job, ImportedResults]
    predictions: dict[Job, ImagePredictions]
    labels: dict[str, str]
    notes: tuple[str, ...]
    identities: dict[str, DatasetIdentity] = field(default_factory=dict)

    @property
    def blocks(self) -> tuple[ImportedBlock, ...]:
        """One for each experiment, in the order of the files."""
        seeds: dict[tuple[str, str, str], dict[str, list[int]]] = {}
        for job in self.results:
            seeds.setdefault(job.experiment, {}).setdefault(job.variant, []).append(job.seed)
        return tuple(
            ImportedBlock(
                kind="latency" if kind == "latency" else "train",
                dataset=dataset,
                recipe=recipe,
                seeds={name: tuple(sorted(numbers)) for name, numbers in by_name.items()},
            )
            for (kind, dataset, recipe), by_name in seeds.items()
        )


@dataclass(eq=False)
class _Names:
    """Texts of the files to names that are safe as folders."""

    what: str
    by_text: dict[str, str] = field(default_factory=dict)

    def find(self, text: str, where: str) -> str:
        if text in self.by_text:
            return self.by_text[text]
        name = make_name(text)
        try:
            check_name(name)
        except ValueError as error:
            raise UserError(f"{where}: {self.what} {text[:100]!r}: {error}: rename it") from None
        for other, taken in self.by_text.items():
            # Two names that differ only in case are one folder on some file systems.
            if taken.lower() == name.lower():
                raise UserError(
                    f"{where}: names of a {self.what} must differ in more than case and punctuation, but {text!r} "
                    f"and {other!r} do not: rename one of them"
                )
        self.by_text[text] = name
        return name

    @property
    def changed(self) -> list[str]:
        return [f"{text!r} is called {name}" for text, name in self.by_text.items() if text != name]


def make_name(text: str) -> str:
    """'ResNet 50 (ours)' -> 'ResNet-50-ours'."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", text)
    name = re.sub(r"\.{2,}", ".", re.sub(r"-{2,}", "-", name))
    return name.strip("-._+")[:100].rstrip("-._+")


def assemble(runs: Sequence[Run], notes: Iterable[str] = ()) -> Imports:
    """Join runs of all files. Raises UserError for seeds that repeat, and images that differ."""
    if len(runs) > MAX_RUNS:
        raise UserError(
            f"an import has at most {MAX_RUNS:,} runs, but these files have {len(runs):,}: take some of them with "
            "--only or --where"
        )
    named, names = _name(_share_dataset(runs))
    joined, more = _join(named)
    predictions = _align({job: run.predictions for job, run in joined.items() if run.predictions})
    results = {job: _make_results(run) for job, run in joined.items()}
    changed = [note for each in names.values() for note in each.changed]
    if changed:
        more.append(f"names: {list_names(changed, 5)}")
    labels = {name: text for text, name in names["dataset"].by_text.items()}
    return Imports(results, predictions, labels, (*dict.fromkeys([*notes, *more]),))


def _share_dataset(runs: Sequence[Run]) -> list[Run]:
    """Latencies of unnamed data are of the data that the accuracies name, if these are of one only."""
    stated = {run.dataset for run in runs} - {UNKNOWN_DATA}
    if len(stated) != 1:
        return list(runs)
    (name,) = stated
    return [
        replace(run, dataset=name) if (run.dataset, run.kind) == (UNKNOWN_DATA, "latency") else run
        for run in runs
    ]


def _name(runs: Sequence[Run]) -> tuple[list[Run], dict[str, _Names]]:
    names = {
        "variant": _Names("network"),
        "dataset": _Names("dataset"),
        "recipe": _Names("recipe"),
    }
    renamed = [
        replace(
            run,
            variant=names["variant"].find(run.variant, run.where),
            dataset=names["dataset"].find(run.dataset, run.where),
            recipe=names["recipe"].find(run.recipe, run.where),
        )
        for run in runs
    ]
    return renamed, names


def _join(runs: Sequence[Run]) -> tuple[dict[Job, Run], list[str]]:
    """One run per job; what several files say of one job is put together."""
    groups: dict[tuple[str, str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.place, []).append(run)
    joined: dict[Job, Run] = {}
    numbered = False
    for place, members in groups.items():
        numbers = _number_seeds(members)
        numbered = numbered or (any(run.seed is None for run in members) and len(members) > 1)
        for run, number in zip(members, numbers, strict=True):
            job = Job(*place, number)
            joined[job] = _merge(joined[job], run) if job in joined else run
    notes = ["seeds are not stated: they are numbered in the order of the rows"] if numbered else []
    return joined, notes


def _number_seeds(runs: Sequence[Run]) -> list[int]:
    stated = [run.seed for run in runs if run.seed is not None]
    if not stated:
        return [run.index for run in runs]
    if len(stated) < len(runs):
        missing = next(run for run in runs if run.seed is None)
        raise UserError(
            f"{missing.where}: every row of a network must have a seed, or none, but {missing.variant} has one in "
            "other rows: fill it in"
        )
    numbers = [_parse_seed(text) for text in stated]
    if all(number is not None for number in numbers):
        return [number for number in numbers if number is not None]
    labels = list(dict.fromkeys(stated))
    return [labels.index(text) for text in stated]


def _parse_seed(text: str) -> int | None:
    plain = re.sub(r"\.0+$", "", text)
    return int(plain) if re.fullmatch(r"[0-9]{1,15}", plain) else None


def _merge(first: Run, other: Run) -> Run:
    """Values of one job from two files, or from two rows. Raises UserError where both say the same."""
    twice = [name for name in other.values if name in first.values and name != "num_params"]
    seed = f"seed {other.seed}" if other.seed is not None else f"run {other.index + 1}"
    problem = (
        f"each network must have one row for each seed, but {other.variant} has {seed} here and in "
        f"{first.where}: correct the seed, or remove one of them"
    )
    if twice or first.source is other.source or (first.cells and other.cells):
        raise UserError(f"{other.where}: {problem}")
    if first.predictions and other.predictions:
        raise UserError(f"{other.where}: {problem}")
    merged = replace(
        first,
        values={**first.values, **other.values},
        cells=[*first.cells, *other.cells],
        predictions=first.predictions or other.predictions,
        device=first.device or other.device,
        num_test=first.num_test or other.num_test,
    )
    merged.more = [*first.more, other.source, *other.more]
    return merged


def _align(found: dict[Job, ImagePredictions]) -> dict[Job, ImagePredictions]:
    """The same images in the same order, and the same classes, for all jobs of a dataset."""
    first: dict[str, tuple[Job, ImagePredictions]] = {}
    classes: dict[str, set[str]] = {}
    for job, one in found.items():
        classes.setdefault(job.dataset, set()).update(one.classes)
    aligned: dict[Job, ImagePredictions] = {}
    for job, one in found.items():
        every = sort_classes(classes[job.dataset])
        own = one if set(one.classes) == set(every) else _extend_classes(job, one, every)
        base_job, base = first.setdefault(job.dataset, (job, own))
        aligned[job] = own if base is own else _match(job, own, base_job, base)
    return aligned


def _extend_classes(job: Job, one: ImagePredictions, every: tuple[str, ...]) -> ImagePredictions:
    """Of a table, in which a class may never come up; with probabilities the classes are known."""
    if one.probabilities_NK is not None:
        raise UserError(
            f"all networks must know the same classes of {job.dataset}, but {job.variant} has probabilities of "
            f"{len(one.classes)} of {len(every)}: give those of all, or import it under another --dataset"
        )
    return replace(one, classes=every)


def _match(
    job: Job, own: ImagePredictions, base_job: Job, base: ImagePredictions
) -> ImagePredictions:
    whose = f"{job.variant} (seed {job.seed}) and {base_job.variant} (seed {base_job.seed})"
    advice = "import them under different --dataset names, or give both the same images"
    if len(own.labels) != len(base.labels):
        raise UserError(
            f"all networks must be tested on the same images of {job.dataset}, but {whose} have "
            f"{len(own.labels):,} and {len(base.labels):,}: {advice}"
        )
    if own.images is not None and base.images is not None and own.images != base.images:
        places = {name: index for index, name in enumerate(own.images)}
        missing = [name for name in base.images if name not in places]
        if missing:
            raise UserError(
                f"all networks must be tested on the same images of {job.dataset}, but of {whose} the first lacks "
                f"{list_names(missing, 3)}: {advice}"
            )
        own = reorder(own, [places[name] for name in base.images])
    if own.classes != base.classes:
        own = reorder_classes(own, base.classes)
    different = [i for i, (a, b) in enumerate(zip(own.labels, base.labels, strict=True)) if a != b]
    if different:
        index = different[0]
        name = base.images[index] if base.images else f"image {index + 1}"
        raise UserError(
            f"an image must have the same label for all networks, but of {whose} {name} is {own.labels[index]!r} "
            f"and {base.labels[index]!r} ({len(different):,} differ): {advice}"
        )
    return replace(own, images=base.images or own.images)


def reorder(own: ImagePredictions, order: list[int]) -> ImagePredictions:
    """The images in another order."""
    rows, top = own.probabilities_NK, own.top_probability_N
    return replace(
        own,
        labels=[own.labels[i] for i in order],
        predicted=[own.predicted[i] for i in order],
        images=None if own.images is None else [own.images[i] for i in order],
        probabilities_NK=None if rows is None else rows[order],
        top_probability_N=None if top is None else top[order],
    )


def reorder_classes(own: ImagePredictions, classes: tuple[str, ...]) -> ImagePredictions:
    """The same classes in another order."""
    rows = own.probabilities_NK
    order = [own.classes.index(name) for name in classes]
    return replace(own, classes=classes, probabilities_NK=None if rows is None else rows[:, order])


def _make_results(run: Run) -> ImportedResults:
    values = dict(run.values)
    if run.predictions is not None:
        found = run.predictions
        hits = [a == b for a, b in zip(found.labels, found.predicted, strict=True)]
        accuracy = float(np.mean(hits))
        stated = values.pop("test_accuracy", None)
        if stated is not None and abs(stated - accuracy) > ALIKE:
            raise UserError(
                f"{run.where}: the accuracy of {run.variant} must be that of its predictions, "
                f"{100 * accuracy:.2f} %, but got {100 * stated:.2f} %: leave out one of them"
            )
    if any(abs(value) > MAX_FLOAT for value in values.values()):
        raise UserError(f"{run.where}: values must be at most {MAX_FLOAT:g}: mend them")
    return ImportedResults(
        sources=[run.source, *run.more],
        run=run.seed if run.seed is not None and _parse_seed(run.seed) is None else None,
        device=run.device,
        num_test=run.num_test,
        values=values,
        cells=run.cells,
        unknown=_list_unknown(run),
    )


def _list_unknown(run: Run) -> list[str]:
    unknown = [] if run.device else ["device"]
    unknown += ["software", "code", "date of the run"]
    if run.seed is None:
        unknown.append("seed")
    if run.kind == "latency":
        return unknown if any(cell.samples_ms for cell in run.cells) else [*unknown, "samples"]
    if run.predictions is None:
        unknown.append("result of each test image")
    if run.num_test is None:
        unknown.append("number of test images")
    return [*unknown, "training images", "course of the training"]
