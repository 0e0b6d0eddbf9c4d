"""The study: which experiments a config file asks for, expanded to jobs (floor 1)."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from resnest_bench.digests import json_digest
from resnest_bench.paths import TRAINING_KINDS, DataPaths, Experiment, Job, StudyPaths
from resnest_bench.specs.adaptive import AdaptiveSpec, check_adaptive
from resnest_bench.specs.base import CountInt, Name, StudyName, VariantNames, check_known
from resnest_bench.specs.blocks import (
    FinetuneBlock,
    ImportedBlock,
    LatencyBlock,
    TrainBlock,
    asks_for_weights,
    is_source,
    list_trained,
)
from resnest_bench.specs.claims import ClaimSpec
from resnest_bench.specs.data import DatasetSpec, WeightsSpec, expand_path
from resnest_bench.specs.deploy import DeployBlock
from resnest_bench.specs.deployments import (
    check_deploy,
    describe_deployment,
    find_source,
    is_deployed,
    list_deployments,
)
from resnest_bench.specs.differences import DifferencesSpec
from resnest_bench.specs.imported import check_imports, check_runnable
from resnest_bench.specs.latency import LatencySpec
from resnest_bench.specs.ready_recipes import RECIPES
from resnest_bench.specs.recipes import RecipeSpec, check_channels
from resnest_bench.specs.scores import HeadlineMetric
from resnest_bench.specs.searched import WithSearch, check_search
from resnest_bench.specs.tables import TablesSpec, check_tables
from resnest_bench.specs.trainings import check_finetune, check_tags, check_teacher, is_teacher
from resnest_bench.specs.variants import VariantSpec

MAX_JOBS = 200_000
PROTOCOLS: dict[str, LatencySpec] = {"default": LatencySpec()}


class StudySpec(WithSearch):
    """Everything that one study runs. What to run, never how."""

    study: StudyName = Field(description="Results go to results/<study>/")
    variants: tuple[VariantSpec, ...] = Field(
        default=(),
        validate_default=True,
        description="Path of a YAML list of variants, or the list itself",
    )
    seeds: tuple[CountInt, ...] = Field(
        default=(0, 1, 2, 3, 4),
        description="Random seeds; seed k gives every variant the same order of images",
    )
    data_dir: str = Field(default="data", description="Downloads and prepared arrays")
    datasets: dict[Name, DatasetSpec] = Field(default={}, description="Name to dataset")
    recipes: dict[Name, RecipeSpec] = Field(
        default_factory=dict, description="Your own recipes; a built-in name is taken"
    )
    protocols: dict[Name, LatencySpec] = Field(
        default_factory=dict, description="Your own latency protocols"
    )
    train: tuple[TrainBlock, ...] = Field(default=(), description="Training experiments")
    latency: tuple[LatencyBlock, ...] = Field(default=(), description="Latency experiments")
    finetune: tuple[FinetuneBlock, ...] = Field(default=(), description="Transfer experiments")
    deploy: tuple[DeployBlock, ...] = Field(
        default=(), description="Deployment modes of trained networks"
    )
    tables: TablesSpec = Field(default=TablesSpec(), description="Which rows the tables show")
    headline_metric: HeadlineMetric = Field(
        default="accuracy",
        description="What tables, differences and the trade-off show first; where classes differ in size, "
        "balanced_accuracy counts them alike",
    )
    differences: DifferencesSpec = Field(
        default=DifferencesSpec(), description="How the differences of variants are tested"
    )
    claims: tuple[ClaimSpec, ...] = Field(
        default=(), description="Path of a YAML list of claims, or the list itself"
    )
    adaptive: AdaptiveSpec | None = Field(
        default=None, description="Add seeds where a claim is undecided; null: seeds are fixed"
    )
    rerun_on_code_change: bool = Field(
        default=False,
        description="true: a change of the training code reruns trainings. false: it marks their "
        "records as stale",
    )

    @field_validator("data_dir")
    @classmethod
    def _home_is_expanded(cls, data_dir: str) -> str:
        return str(expand_path(data_dir)) if data_dir.startswith("~") else data_dir

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError(f"list at least one seed and none twice, but got {list(seeds)}")
        return seeds

    @field_validator("variants")
    @classmethod
    def _distinct_names(cls, variants: tuple) -> tuple:
        if not variants:
            raise ValueError("list at least one variant")
        seen: set[str] = set()
        for variant in variants:
            # Names that differ only in case are the same folder on some file systems.
            if variant.name.lower() in seen:
                raise ValueError(f"two variants are named {variant.name!r}: rename one of them")
            seen.add(variant.name.lower())
        return variants

    @field_validator("claims")
    @classmethod
    def _distinct_claims(cls, claims: tuple[ClaimSpec, ...]) -> tuple[ClaimSpec, ...]:
        names = [claim.name for claim in claims]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two claims are named {repeated[0]!r}: rename one of them")
        return claims

    @field_validator("recipes")
    @classmethod
    def _own_recipe_names(cls, recipes: dict[str, RecipeSpec]) -> dict[str, RecipeSpec]:
        for name in set(recipes) & set(RECIPES):
            raise ValueError(f"recipe {name!r} is built in: give yours another name")
        return recipes

    @model_validator(mode="after")
    def _references_exist(self) -> "StudySpec":
        for field, index, block in self._blocks():
            where = f"{field}[{index}]"
            check_known(f"{where}.dataset", block.dataset, self.datasets)
            if isinstance(block, TrainBlock):
                check_known(f"{where}.recipe", block.recipe, self.all_recipes)
            if isinstance(block, LatencyBlock):
                check_known(f"{where}.protocol", block.protocol, self.all_protocols)
            if isinstance(block, FinetuneBlock):
                check_finetune(where, block, self.all_recipes, self._trained, self._variants)
            elif isinstance(block, DeployBlock):
                check_deploy(where, block, self._trained)
            elif block.variants != "all":
                for name in block.variants:
                    check_runnable(f"{where}.variants", name, self._variants)
        own = {f"{field}[{index}]": block.dataset for field, index, block in self._blocks()}
        trained = list_trained(self.train, self.finetune, self._names("all"))
        known = self._variants, self.datasets, own, trained, bool(self.adaptive)
        check_imports(self.imported, *known, self.all_protocols)
        self._check_jobs()
        check_tables(
            self.tables,
            self.differences.variants,
            self._variants,
            self.datasets,
            {*self.known_recipes, *(one.recipe for one in self.imported_experiments)},
            {*self.all_protocols, *(one.recipe for one in self.imported_experiments)},
        )
        check_adaptive(self.adaptive, self.seeds, self.claims if self.train else ())
        named = self._variants, self.all_recipes, self.all_protocols, self.own_datasets
        check_search(self.search, self.seeds, self.adaptive, *named)
        return self

    def _blocks(self) -> Iterable[tuple[str, int, Any]]:
        for field in ("train", "latency", "finetune", "deploy"):
            for index, block in enumerate(getattr(self, field)):
                yield field, index, block

    def _check_jobs(self) -> None:
        for block in self.train:
            if self.recipe(block.recipe).init != "scratch":
                raise ValueError(
                    f"train: recipe {block.recipe!r} starts from weights: use it in a finetune block"
                )
            check_tags(self._variants[name] for name in self._names(block.variants))
            check_teacher(block, self._trained, self._variants, self.datasets, self.all_recipes)
        pairs = [(block.dataset, block.recipe) for block in self.train]
        pairs += [(block.dataset, name) for block in self.finetune for name in block.recipes]
        for dataset, recipe in pairs:
            check_channels(dataset, self.dataset(dataset).num_channels, recipe, self.recipe(recipe))
        if (number := self._num_jobs()) > MAX_JOBS:
            raise ValueError(
                f"a study has at most {MAX_JOBS:,} jobs, but this one has {number:,}: make several "
                "studies of it"
            )
        jobs = self.jobs()
        if not jobs and self.search is None:
            raise ValueError("nothing to do: give at least one of train, latency and finetune")
        seen: set[Job] = set()
        for job in jobs:
            if job in seen:
                raise ValueError(f"two blocks ask for {job}: remove it from one of them")
            seen.add(job)

    def _num_jobs(self) -> int:
        """Count the jobs without creating them, since there can be billions by mistake."""
        seeds = len(self.seeds)
        trained = sum(len(self._names(block.variants)) * seeds for block in self.train)
        timed = sum(len(self._names(block.variants)) * block.rounds for block in self.latency)
        tuned = sum(len(block.recipes) * len(block.weights) * seeds for block in self.finetune)
        deployed = len(list_deployments(self.deploy, self._trained, (0,))) * seeds
        return trained + timed + tuned + deployed + len(self.imported_jobs())

    def __copy__(self) -> "StudySpec":
        copied = super().__copy__()
        # model_copy changes fields afterwards, so cached values must not be copied.
        for name in copied.__dict__.keys() - type(self).model_fields:
            del copied.__dict__[name]
        return copied

    @functools.cached_property
    def _variants(self) -> dict[str, VariantSpec]:
        return {variant.name: variant for variant in self.variants}

    @functools.cached_property
    def _trained(self) -> dict[tuple[str, str, str], None]:
        """(dataset, recipe, variant) of all trainings. Not per seed: there can be billions by mistake."""
        every = ((block, name) for block in self.train for name in self._names(block.variants))
        return {(block.dataset, block.recipe, name): None for block, name in every}

    @functools.cached_property
    def _dumps(self) -> dict[tuple[str, str], dict[str, Any]]:
        """('variant', NAME) and the like to its JSON values, as far as `_dump` was asked for them."""
        return {}

    @functools.cached_property
    def _jobs(self) -> tuple[Job, ...]:
        own = (*self._train_jobs(), *self._latency_jobs(), *self._finetune_jobs())
        own = (*own, *list_deployments(self.deploy, self._trained, self.seeds))
        return (*own, *self.listed_trials, *self.imported_jobs())

    @functools.cached_property
    def digest(self) -> str:
        return json_digest(self.as_dict())

    @property
    def variant_names(self) -> list[str]:
        return [variant.name for variant in self.variants]

    @property
    def all_recipes(self) -> dict[str, RecipeSpec]:
        return {**RECIPES, **self.recipes}

    @property
    def all_protocols(self) -> dict[str, LatencySpec]:
        return {**PROTOCOLS, **self.protocols}

    def variant(self, name: str) -> VariantSpec:
        check_known("variant", name, self._variants)
        return self._variants[name]

    def recipe(self, name: str, variant: str | None = None) -> RecipeSpec:
        """Return a recipe; with `variant`, what a search chose for it in its place, if it did."""
        check_known("recipe", name, self.all_recipes)
        return self.own_recipe(name, variant) or self.all_recipes[name]

    def protocol(self, name: str) -> LatencySpec:
        check_known("protocol", name, self.all_protocols)
        return self.all_protocols[name]

    def dataset(self, name: str) -> DatasetSpec:
        check_known("dataset", name, self.datasets)
        return self.datasets[name]

    def paths(self, results: Path = Path("results")) -> StudyPaths:
        return StudyPaths(results / self.study)

    def prepared(self, name: str) -> Path:
        """Return the folder of a dataset's prepared arrays, which depends on its spec."""
        return DataPaths(Path(self.data_dir)).prepared(name, self.dataset(name).digest)

    def _names(self, variants: VariantNames) -> list[str]:
        own = (variant.name for variant in self.own_variants)
        return list(own if variants == "all" else variants)

    def _train_jobs(self) -> list[Job]:
        return [
            Job("train", block.dataset, block.recipe, variant, seed)
            for block in self.train
            for variant in self._names(block.variants)
            for seed in self.seeds + self.added_seeds(block.dataset, block.recipe, variant)
        ]

    def _latency_jobs(self) -> list[Job]:
        return [
            Job("latency", block.dataset, block.protocol, variant, number)
            for block in self.latency
            for variant in self._names(block.variants)
            for number in range(block.rounds)
        ]

    def _finetune_jobs(self) -> list[Job]:
        return [
            Job("finetune", block.dataset, recipe, variant, seed)
            for block in self.finetune
            for recipe in block.recipes
            for variant in block.weights
            for seed in self.seeds
        ]

    def jobs(self) -> list[Job]:
        """Return every job in the order of the config: train, latency, finetune; then the imported ones."""
        return list(self._jobs)

    @functools.cached_property
    def variants_by_experiment(self) -> dict[Experiment, tuple[str, ...]]:
        """The variants of each experiment, both in the order of the jobs."""
        found: dict[Experiment, dict[str, None]] = {}
        for job in self._jobs:
            found.setdefault(job.experiment, {})[job.variant] = None
        return {one: tuple(names) for one, names in found.items()}

    @property
    def trained(self) -> tuple[TrainBlock | ImportedBlock, ...]:
        """The blocks of trainings, then those of imported ones."""
        return (*self.train, *self.imported_blocks("train"))

    @property
    def timed(self) -> tuple[LatencyBlock | ImportedBlock, ...]:
        return (*self.latency, *self.imported_blocks("latency"))

    def weights(self, job: Job) -> WeightsSpec | None:
        """Return the initial weights of a fine-tuning, or None for one from scratch."""
        if job.kind != "finetune" or self.recipe(job.recipe).init == "scratch":
            return None
        block = next(
            b
            for b in self.finetune
            if b.dataset == job.dataset and job.recipe in b.recipes and job.variant in b.weights
        )
        return block.weights[job.variant]

    def source_job(self, job: Job) -> Job | None:
        """Return the training of this study whose weights a fine-tuning or a deployment takes, if any."""
        if job.kind == "deploy":
            return find_source(job)
        weights = self.weights(job)
        if weights is None or weights.train is None:
            return None
        dataset, recipe = weights.train.split("/")
        return Job("train", dataset, recipe, job.variant, job.seed)

    def keeps_weights(self, job: Job) -> bool:
        """Return whether a training or fine-tuning writes its final weights."""
        own = not (self.is_imported(job) or job in self.trial_jobs)
        asked = own and asks_for_weights(job, self.train, self.finetune)
        return self.requires_weights(job) or asked is not False

    def requires_weights(self, job: Job) -> bool:
        """Return whether a training without weights is repeated: by config, or since another job needs them."""
        asked = asks_for_weights(job, self.train, self.finetune)
        recipes = (self.recipe(block.recipe) for block in self.train)
        needed = asked or is_teacher(job, recipes) or is_source(job, self.finetune)
        deployed = any(is_deployed(block, job) for block in self.deploy)
        return job.kind == "train" and bool(needed or deployed)

    def teacher_job(self, job: Job) -> Job | None:
        """Return the teacher's training with the same seed; None without distillation."""
        own = job.kind in TRAINING_KINDS and not self.is_imported(job)
        teacher = self.recipe(job.recipe).teacher if own else None
        if teacher is None:
            return None
        dataset, recipe = teacher.train.split("/")
        return Job("train", dataset, recipe, teacher.variant, job.seed)

    def job_spec(self, job: Job) -> dict[str, Any]:
        """Return all but the seed that affects a result, as a record has it. Jobs share the values."""
        spec: dict[str, Any] = {
            "variant": self._dump("variant", job.variant),
            "dataset": self._dump("dataset", job.dataset),
        }
        own_protocol = self.device_protocol(job)
        if self.is_imported(job) and own_protocol is None:
            return {**spec, "protocol" if job.kind == "latency" else "recipe": {"name": job.recipe}}
        if job.kind == "latency":
            return {**spec, "protocol": self._dump("protocol", own_protocol or job.recipe)}
        if job.kind == "deploy":
            source_spec = self.job_spec(find_source(job))
            return {**spec, **describe_deployment(self.deploy, job), "source": source_spec}
        chosen = self.own_recipe(job.recipe, job.variant)
        spec["recipe"] = chosen.as_dict() if chosen else self._dump("recipe", job.recipe)
        if (teacher := self.teacher_job(job)) is not None:
            spec["teacher"] = self.job_spec(teacher)
        if job.kind == "finetune":
            weights, source = self.weights(job), self.source_job(job)
            spec["weights"] = weights and weights.as_dict()
            spec["source"] = source and self.job_spec(source)
        return spec

    def _dump(self, part: str, name: str) -> dict[str, Any]:
        if (part, name) not in self._dumps:
            self._dumps[part, name] = getattr(self, part)(name).as_dict()
        return self._dumps[part, name]
