"""The estimated time of a study: each group of jobs is measured briefly, and the results are added up."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from resnest_bench.device.environment import precision
from resnest_bench.device.lease import count_processes
from resnest_bench.errors import UserError, first_line
from resnest_bench.measure.identity import now
from resnest_bench.paths import Job
from resnest_bench.planning.clock import Clock
from resnest_bench.planning.cores import CoreUse
from resnest_bench.planning.datasets import DatasetFacts, inspect_dataset
from resnest_bench.planning.latencies import (
    list_slow_modes,
    max_seconds,
    measure_calls,
    price_latency,
    time_reference,
)
from resnest_bench.planning.trainings import TrainingSpeed, measure_training
from resnest_bench.prices import GroupPrice, StudyPrices
from resnest_bench.specs import RecipeSpec, StudySpec
from resnest_bench.specs.deployments import find_source
from resnest_bench.training.execution import share_recipe

# The workflow's jobs after the last record, each in its own process: tables and figures.
NUM_CLOSING_JOBS = 2
# Processor seconds from the start of this process to here: a job's process imports the same modules.
START_SECONDS = time.process_time()
# The keys of a recipe that affect the duration of a step.
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
ONE_CORE = CoreUse(1, 1)
TAKES_ALL_CORES = ("latency", "deploy")
Tell = Callable[[str], None]


@dataclass(frozen=True, order=True)
class Group:
    """Jobs that differ only by seed or round."""

    kind: str
    dataset: str
    recipe: str
    variant: str

    def __str__(self) -> str:
        return f"{self.kind} {self.variant} on {self.dataset} with {self.recipe}"


@dataclass(frozen=True)
class Price:
    """The expected duration of a group: seconds per record and per process start; its parameters."""

    num_records: int
    num_processes: int
    record_seconds: float
    start_seconds: float
    num_params: int = 0

    @property
    def seconds(self) -> float:
        """Of the whole group."""
        return self.num_records * self.record_seconds + self.num_processes * self.start_seconds


@dataclass
class Estimate:
    """The expected duration of a study.

    Attributes:
        prices: by group of jobs.
        datasets: by name.
        start_seconds: to start one process.
        share: the share of the processor that the measurements got, from 0 to 1.
        unpriced: what is not included, and why.
        side_by_side: number of trainings at a time; a latency or a deployment runs by itself.
    """

    prices: dict[Group, Price] = field(default_factory=dict)
    datasets: dict[str, DatasetFacts] = field(default_factory=dict)
    start_seconds: float = 0.0
    share: float = 1.0
    unpriced: dict[str, str] = field(default_factory=dict)
    side_by_side: int = 1

    def seconds(self, kind: str) -> float:
        """Wall-clock seconds of all jobs of `kind` that have a price."""
        total = sum(p.seconds for group, p in self.prices.items() if group.kind == kind)
        return total if kind in TAKES_ALL_CORES else total / self.side_by_side

    @property
    def data_seconds(self) -> float:
        """Of preparing the datasets."""
        to_do = [f for f in self.datasets.values() if f.prepare_seconds is None or f.prepare_bytes]
        return sum((f.prepare_seconds or 0.0) + self.start_seconds for f in to_do)

    @property
    def closing_seconds(self) -> float:
        """Of making tables and figures."""
        return NUM_CLOSING_JOBS * self.start_seconds

    @property
    def total(self) -> float:
        """Wall-clock seconds of the whole run."""
        kinds = {group.kind for group in self.prices}
        return sum(map(self.seconds, kinds)) + self.data_seconds + self.closing_seconds

    def to_prices(self) -> StudyPrices:
        """Return the prices in the form that the progress display of a run reads."""
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
    """Group jobs that differ only by seed or round, in the order of the first of each group."""
    groups: dict[Group, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[Group(job.kind, job.dataset, job.recipe, job.variant)].append(job)
    return groups


class Pricer:
    """Measures the prices of a study's groups. What several groups share is measured once."""

    def __init__(self, study: StudySpec, clock: Clock, folder: Path) -> None:
        self.study, self.clock, self.folder = study, clock, folder
        self.speeds: dict[tuple, TrainingSpeed] = {}
        self.references: dict[tuple, float] = {}

    def price(self, group: Group, jobs: Sequence[Job], data: DatasetFacts, start: float) -> Price:
        """Return the price of a group. Raises any error of a network that can't run here.

        `start` is the seconds that a process takes to start.
        """
        if group.kind == "latency":
            seconds = self._price_latency(group, data)
            return Price(len(jobs), len(jobs), seconds, start)
        if group.kind == "deploy":
            return self._price_deployment(jobs, data, start)
        recipe = self.study.recipe(group.recipe, group.variant)
        num_processes = count_processes(recipe.gpus, self.clock.device)
        # What each process does, without what they tell each other.
        shared = share_recipe(recipe, num_processes)
        speed = self._training_speed(group, shared, data)
        if (teacher := self.study.teacher_job(jobs[0])) is not None:
            teacher_group = Group(teacher.kind, teacher.dataset, teacher.recipe, teacher.variant)
            forward = self._training_speed(teacher_group, self.study.recipe(teacher.recipe), data)
            speed = replace(speed, train_image=speed.train_image + forward.test_image)
        images = {
            name: getattr(speed, name) / num_processes for name in ("train_image", "test_image")
        }
        speed = replace(speed, **images)
        seconds = speed.seconds_per_record(recipe, data)
        return Price(len(jobs), 1, seconds, start + speed.probe, speed.num_params)

    def _price_deployment(self, jobs: Sequence[Job], data: DatasetFacts, start: float) -> Price:
        """The evaluation in torch, as after a training: what a mode makes of it is not known before."""
        source = find_source(jobs[0])
        group = Group(source.kind, source.dataset, source.recipe, source.variant)
        speed = self._training_speed(group, self.study.recipe(source.recipe, source.variant), data)
        seconds = speed.build + data.num_test * speed.test_image
        return Price(len(jobs), 1, seconds, start, speed.num_params)

    def _training_speed(
        self, group: Group, recipe: RecipeSpec, data: DatasetFacts
    ) -> TrainingSpeed:
        settings = tuple(getattr(recipe, name) for name in DECIDES_SPEED)
        key = (group.variant, settings, data.image_size, data.num_channels, data.uniform)
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
    core_use: CoreUse = ONE_CORE,
    cores: int = 1,
) -> Estimate:
    """Estimate the duration of `jobs`. Groups that can't be measured are listed in `unpriced`.

    Args:
        study: with the seeds that its looks added.
        jobs: the pending ones.
        device: that the jobs will use.
        folder: where a checkpoint is written and deleted, to time it.
        tell: called with a line for each measurement.
        core_use: how trainings share the cores.
        cores: all cores, which a latency measurement uses.
    """
    clock, estimate = Clock(device), Estimate(side_by_side=core_use.side_by_side)
    groups = group_jobs(jobs)
    estimate.start_seconds = START_SECONDS
    clock.use_threads(core_use.threads)
    for name in dict.fromkeys(group.dataset for group in groups):
        tell(f"inspecting {name}")
        try:
            estimate.datasets[name] = inspect_dataset(study, name, clock)
        except UserError as error:
            estimate.unpriced[f"everything on {name}"] = str(error)
    pricer = Pricer(study, clock, folder)
    for number, (group, members) in enumerate(groups.items(), 1):
        if group.dataset in estimate.datasets:
            tell(f"timing {number} of {len(groups)}: {group}")
            clock.use_threads(cores if group.kind in TAKES_ALL_CORES else core_use.threads)
            _price_group(estimate, pricer, group, members)
    _note_unpriced(study, estimate)
    estimate.share = clock.share
    return estimate


def _price_group(estimate: Estimate, pricer: Pricer, group: Group, members: Sequence[Job]) -> None:
    data = estimate.datasets[group.dataset]
    try:
        estimate.prices[group] = pricer.price(group, members, data, estimate.start_seconds)
    # A network may raise any exception.
    except Exception as error:
        estimate.unpriced[str(group)] = first_line(error) + _describe_bound(pricer.study, group)


def _describe_bound(study: StudySpec, group: Group) -> str:
    if group.kind != "latency":
        return ""
    return f" (its cells take at most {max_seconds(study.protocol(group.recipe)):.0f} s per round)"


def _note_unpriced(study: StudySpec, estimate: Estimate) -> None:
    for name, facts in estimate.datasets.items():
        if facts.prepare_seconds is None:
            estimate.unpriced[f"data {name}"] = "its download and preparation can't be timed"
    if any(group.kind == "deploy" for group in estimate.prices):
        reason = "compilation, export and quantisation are not timed"
        estimate.unpriced["the start of the deployment modes"] = reason
    for recipe in dict.fromkeys(g.recipe for g in estimate.prices if g.kind == "latency"):
        if modes := list_slow_modes(study.protocol(recipe)):
            reason = "compilation and export are not timed"
            estimate.unpriced[f"{', '.join(modes)} of protocol {recipe}"] = reason
