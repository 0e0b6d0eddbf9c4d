"""What a study costs: every group of jobs priced by what it really does, and all added up."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from resnest_bench.device.environment import precision
from resnest_bench.errors import UserError, first_line
from resnest_bench.measure.identity import now
from resnest_bench.paths import Job
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.cores import Work
from resnest_bench.planning.datasets import DatasetFacts, inspect_dataset
from resnest_bench.planning.latencies import (
    list_slow_modes,
    measure_calls,
    most_seconds,
    price_latency,
    time_reference,
)
from resnest_bench.planning.trainings import TrainingSpeed, measure_training
from resnest_bench.prices import GroupPrice, StudyPrices
from resnest_bench.specs import RecipeSpec, StudySpec

# The workflow's own jobs after the last record: tables and figures, each a process of its own.
NUM_CLOSING_JOBS = 2
# Processor seconds from this process's start to here: a job's process imports the same.
START_SECONDS = time.process_time()
# Recipes that agree in these make steps that cost the same.
DECIDES_SPEED = (
    "batch_size",
    "trainable",
    "optimizer",
    "accumulation_steps",
    "clip_grad_norm",
    "ema_decay",
    "precision",
    "layout",
    "mode",
    "crop",
    "flip",
    "random_augment",
    "auto_augment",
    "random_erasing",
    "cutout",
    "mixup_alpha",
    "cutmix_alpha",
)
ONE_CORE = Work(1, 1)
Tell = Callable[[str], None]


@dataclass(frozen=True, order=True)
class Group:
    """Jobs that differ by seed or round alone."""

    kind: str
    dataset: str
    recipe: str
    variant: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.variant} on {self.dataset} by {self.recipe}"


@dataclass(frozen=True)
class Price:
    """Seconds of a group's records together, of its processes' starts, and bytes of its weights."""

    num_records: int
    num_processes: int
    record_seconds: float
    start_seconds: float
    num_params: int = 0

    @property
    def seconds(self) -> float:
        return self.num_records * self.record_seconds + self.num_processes * self.start_seconds


@dataclass
class Estimate:
    """What a study costs, as far as it can be said, and what is not in it and why.

    `share`: which part of the processor the measurement got. `closing`: seconds of tables and figures.
    """

    prices: dict[Group, Price] = field(default_factory=dict)
    datasets: dict[str, DatasetFacts] = field(default_factory=dict)
    start_seconds: float = 0.0
    share: float = 1.0
    unpriced: dict[str, str] = field(default_factory=dict)
    # As many trainings at a time; a latency has the machine for itself.
    side_by_side: int = 1

    def seconds(self, kind: str) -> float:
        """Of all jobs of `kind` that have a price, on the wall clock."""
        total = sum(p.seconds for group, p in self.prices.items() if group.kind == kind)
        return total if kind == "latency" else total / self.side_by_side

    @property
    def data_seconds(self) -> float:
        to_do = [f for f in self.datasets.values() if f.prepare_seconds is None or f.prepare_bytes]
        return sum((f.prepare_seconds or 0.0) + self.start_seconds for f in to_do)

    @property
    def closing_seconds(self) -> float:
        return NUM_CLOSING_JOBS * self.start_seconds

    @property
    def total(self) -> float:
        kinds = {group.kind for group in self.prices}
        return sum(map(self.seconds, kinds)) + self.data_seconds + self.closing_seconds

    def to_prices(self) -> StudyPrices:
        """For the onlookers of a run."""
        groups = [
            GroupPrice(
                **vars(group),
                num_records=price.num_records,
                seconds_per_record=price.record_seconds,
                start_seconds=price.start_seconds,
            )
            for group, price in self.prices.items()
        ]
        return StudyPrices(
            made_at=now(),
            total_seconds=self.total,
            groups=groups,
            complete=not self.unpriced,
        )


def group_jobs(jobs: Iterable[Job]) -> dict[Group, list[Job]]:
    groups: dict[Group, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[Group(job.kind, job.dataset, job.recipe, job.variant)].append(job)
    return groups


class Pricer:
    """Prices the groups of a study; what several of them share is measured once."""

    def __init__(self, study: StudySpec, clock: Clock, folder: Path) -> None:
        self.study, self.clock, self.folder = study, clock, folder
        self.speeds: dict[tuple, TrainingSpeed] = {}
        self.references: dict[tuple, float] = {}

    def price(self, group: Group, jobs: Sequence[Job], data: DatasetFacts, start: float) -> Price:
        """Raises anything that a network raises which can't be run here."""
        if group.kind == "latency":
            seconds = self._price_latency(group, data)
            return Price(len(jobs), len(jobs), seconds, start)
        recipe = self.study.recipe(group.recipe)
        speed = self._training_speed(group, recipe, data)
        if (teacher := self.study.teacher_job(jobs[0])) is not None:
            taught_by = Group(teacher.kind, teacher.dataset, teacher.recipe, teacher.variant)
            forward = self._training_speed(taught_by, self.study.recipe(teacher.recipe), data)
            speed = replace(speed, train_image=speed.train_image + forward.test_image)
        seconds = speed.seconds_per_record(recipe, data)
        return Price(len(jobs), 1, seconds, start + speed.probe, speed.num_params)

    def _training_speed(
        self, group: Group, recipe: RecipeSpec, data: DatasetFacts
    ) -> TrainingSpeed:
        like = tuple(getattr(recipe, name) for name in DECIDES_SPEED)
        key = (group.variant, like, data.image_size, data.num_channels, data.uniform)
        if key not in self.speeds:
            variant = self.study.variant(group.variant)
            self.speeds[key] = measure_training(variant, recipe, data, self.clock, self.folder)
        return self.speeds[key]

    def _price_latency(self, group: Group, data: DatasetFacts) -> float:
        spec = self.study.protocol(group.recipe)
        key = (spec.reference_model, spec.reference_batch_size, data.image_size)
        if key not in self.references:
            with precision("fp32"):
                self.references[key] = time_reference(spec, data.image_size, self.clock)
        calls, build = measure_calls(
            self.study.variant(group.variant),
            data.num_classes,
            data.image_size,
            spec,
            self.clock,
            data.num_channels,
        )
        return price_latency(calls, self.references[key], build, spec)


def estimate_study(
    study: StudySpec,
    jobs: Sequence[Job],
    device: torch.device,
    folder: Path,
    tell: Tell = lambda line: None,
    work: Work = ONE_CORE,
    cores: int = 1,
) -> Estimate:
    """Price all of `jobs`. What can't be priced doesn't stop the others.

    Args:
        folder: where a checkpoint is written and taken away, to time it.
        tell: hears what is measured next, line by line.
        work: how trainings share the cores; a latency has them all.
    """
    clock, estimate = Clock(device), Estimate(side_by_side=work.side_by_side)
    groups = group_jobs(jobs)
    estimate.start_seconds = START_SECONDS
    clock.use_threads(work.threads)
    for name in dict.fromkeys(group.dataset for group in groups):
        tell(f"looking at {name}")
        try:
            estimate.datasets[name] = inspect_dataset(study, name, clock)
        except UserError as error:
            estimate.unpriced[f"all on {name}"] = str(error)
    pricer = Pricer(study, clock, folder)
    for number, (group, members) in enumerate(groups.items(), 1):
        if group.dataset in estimate.datasets:
            tell(f"timing {number} of {len(groups)}: {group}")
            clock.use_threads(cores if group.kind == "latency" else work.threads)
            _price_group(estimate, pricer, group, members)
    _note_unpriced(study, estimate)
    estimate.share = clock.share
    return estimate


def _price_group(estimate: Estimate, pricer: Pricer, group: Group, members: Sequence[Job]) -> None:
    data = estimate.datasets[group.dataset]
    try:
        estimate.prices[group] = pricer.price(group, members, data, estimate.start_seconds)
    # Foreign code: what it raises is anything.
    except Exception as error:
        estimate.unpriced[str(group)] = first_line(error) + _describe_bound(pricer.study, group)


def _describe_bound(study: StudySpec, group: Group) -> str:
    if group.kind != "latency":
        return ""
    return f" (its cells take at most {most_seconds(study.protocol(group.recipe)):.0f} s a round)"


def _note_unpriced(study: StudySpec, estimate: Estimate) -> None:
    for name, facts in estimate.datasets.items():
        if facts.prepare_seconds is None:
            estimate.unpriced[f"data {name}"] = "its download and what follows are not timed"
    for recipe in dict.fromkeys(g.recipe for g in estimate.prices if g.kind == "latency"):
        if modes := list_slow_modes(study.protocol(recipe)):
            reason = "what they do before their first call is not timed"
            estimate.unpriced[f"{', '.join(modes)} of protocol {recipe}"] = reason
