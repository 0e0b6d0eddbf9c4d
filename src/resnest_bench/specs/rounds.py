"""The rounds of a search: results/<study>/search/round-<k>.json (floor 1).

These files are checked like all input: a round can only add what the search of the study allows. A round
that doesn't follow from the one before is ignored, and so are all after it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue

from resnest_bench.digests import json_digest
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs.base import CountInt, Name, NonNegativeFloat, PositiveInt, Spec
from resnest_bench.specs.blocks import TrainBlock
from resnest_bench.specs.looks import file_digest, read_step, with_looks
from resnest_bench.specs.recipes import RecipeSpec
from resnest_bench.specs.search import SearchSpec
from resnest_bench.specs.search_space import apply_settings
from resnest_bench.specs.study import StudySpec
from resnest_bench.specs.variants import VariantSpec


class Trial(Spec):
    """One setting that the sampler proposed."""

    family: Name
    number: CountInt = Field(description="Of the family, in the order in which they were proposed")
    settings: dict[str, JsonValue] = Field(description="Key of the space to value")
    sampler: dict[str, JsonValue] = Field(default={}, description="What Optuna notes of the trial")
    skipped: str = Field(default="", description="Why it isn't trained, like an invalid variant")
    repeats: CountInt | None = Field(
        default=None, description="The earlier trial with the same settings, whose results count"
    )

    @property
    def is_new(self) -> bool:
        """Whether it is trained."""
        return not self.skipped and self.repeats is None


class TrialRun(Spec):
    """A training that a round asks for."""

    family: Name
    number: CountInt
    epochs: PositiveInt


class Finalist(Spec):
    """A trial that the study's seeds confirm. Rank 1 is its family's best."""

    family: Name
    number: CountInt
    rank: PositiveInt


class FamilyBudget(Spec):
    """What the trainings of the rounds before this one took."""

    family: Name
    trainings: NonNegativeFloat = Field(description="A short one counts as its share of the epochs")
    minutes: NonNegativeFloat


class SearchRound(Spec):
    """What one round asks for. The same records give the same bytes."""

    schema_version: Literal[1] = 1
    study: Name
    round: CountInt = Field(description="Number of this round, from 0")
    previous: str | None = Field(description="SHA-256 (hex) of the file of the round before it")
    search: str = Field(description="Digest (hex) of what was searched")
    records: dict[str, str] = Field(description="Record of a trial to its SHA-256 (hex)")
    used: tuple[FamilyBudget, ...]
    trials: tuple[Trial, ...]
    runs: tuple[TrialRun, ...]
    finalists: tuple[Finalist, ...] = ()
    stop: str = Field(description="Why no trial follows; empty if some do")


def search_digest(study: StudySpec) -> str:
    """Return the digest of all that decides what the rounds of a search ask for. It must have one."""
    search = study.search
    assert search
    parts = [search.as_dict(), study.recipe(search.recipe).as_dict()]
    parts += [study.variant(name).as_dict() for name in search.family_names]
    return json_digest(parts)


def read_round(path: Path) -> SearchRound:
    """Read one round, as `read_step` does."""
    return read_step(path, SearchRound, "search round")


def read_rounds(
    study: StudySpec, paths: StudyPaths, before: int | None = None
) -> list[SearchRound]:
    """The rounds so far in their order; only those numbered below `before`, if it is given.

    Empty of a study without a search. Raises UserError for a damaged file.
    """
    found: list[SearchRound] = []
    digest = search_digest(study) if study.search else ""
    while study.search and (before is None or len(found) < before):
        number, path = len(found), paths.search_round(len(found))
        if (found and found[-1].stop) or not path.exists():
            break
        one = read_round(path)
        previous = file_digest(paths.search_round(number - 1)) if number else None
        if (one.study, one.round, one.previous, one.search) != (
            study.study,
            number,
            previous,
            digest,
        ):
            break
        found.append(one)
    return found


def list_trials(rounds: Sequence[SearchRound]) -> dict[tuple[str, int], Trial]:
    """Return all trials by family and number, in the order in which they were proposed."""
    return {(trial.family, trial.number): trial for one in rounds for trial in one.trials}


def run_job(search: SearchSpec, run: TrialRun, epochs: int) -> Job:
    """Return the training of a trial. `epochs` are those of the search's recipe."""
    recipe = search.trials_recipe(run.epochs, epochs)
    name = search.trial_name(run.family, run.number)
    return Job("train", search.dataset, recipe, name, search.seed)


def latency_job(search: SearchSpec, family: str, number: int) -> Job:
    """Return the quick latency of a trial's network."""
    assert search.latency
    name = search.trial_name(family, number)
    return Job("latency", search.dataset, search.latency.protocol, name, 0)


def round_jobs(study: StudySpec, one: SearchRound) -> list[Job]:
    """Return the trainings and latencies of trials that a round asks for."""
    search = study.search
    assert search
    epochs = study.recipe(search.recipe).epochs
    jobs = [run_job(search, run, epochs) for run in one.runs]
    if search.latency:
        jobs += [latency_job(search, t.family, t.number) for t in one.trials if t.is_new]
    return jobs


class Builder:
    """Variants and recipes of the trials of a study's search."""

    def __init__(self, study: StudySpec) -> None:
        assert study.search
        self.study, self.search = study, study.search
        self.base = study.recipe(self.search.recipe)

    def build(self, trial: Trial, name: str, epochs: int) -> tuple[VariantSpec, RecipeSpec]:
        """Return the trial's variant under `name` and its recipe. Raises ValueError if they are invalid."""
        base = self.study.variant(trial.family)
        settings = dict(trial.settings)
        if epochs != self.base.epochs:
            settings = {**settings, "recipe.epochs": epochs}
        variant, recipe = apply_settings(base, self.base, settings)
        return variant.model_copy(update={"name": name}), recipe


def extend_by_search(
    study: StudySpec, rounds: Sequence[SearchRound], trials: bool = False
) -> StudySpec:
    """Return the study with the finalists of its search: trained by its seeds, timed by its latency blocks.

    Args:
        study: any study.
        rounds: from `read_rounds`.
        trials: also add the trials themselves, as jobs that no block lists.
    """
    search = study.search
    if search is None or not rounds:
        return study
    builder, known = Builder(study), list_trials(rounds)
    variants: dict[str, VariantSpec] = {}
    recipes: dict[tuple[str, str], RecipeSpec] = {}
    names = []
    for finalist in rounds[-1].finalists:
        name = search.finalist_name(finalist.family, finalist.rank)
        trial = known[finalist.family, finalist.number]
        variants[name], recipes[search.name, name] = builder.build(trial, name, builder.base.epochs)
        names.append(name)
    jobs: list[Job] = []
    base = builder.base
    own = {search.name: base} if names else {}
    for one in rounds:
        jobs += round_jobs(study, one)
        for run in one.runs if trials else ():
            name = search.trial_name(run.family, run.number)
            recipe = search.trials_recipe(run.epochs, base.epochs)
            built = builder.build(known[run.family, run.number], name, run.epochs)
            variants[name], recipes[recipe, name] = built
            own[recipe] = base.model_copy(update={"epochs": run.epochs})
    return study.with_trials(
        recipes,
        jobs,
        trials,
        variants=(*study.variants, *variants.values()),
        recipes={**study.recipes, **own},
        **_extend_blocks(study, search, names),
    )


def _extend_blocks(study: StudySpec, search: SearchSpec, names: list[str]) -> dict[str, Any]:
    """The blocks with the finalists; `all` of others goes on to mean the networks of the config."""
    every = tuple(variant.name for variant in study.own_variants)

    def listed(block: Any, more: Sequence[str] = ()) -> Any:
        given = every if block.variants == "all" else block.variants
        if block.variants != "all" and not more:
            return block
        return block.model_copy(update={"variants": (*given, *more)})

    train = tuple(map(listed, study.train))
    if names:
        train = (
            *train,
            TrainBlock(dataset=search.dataset, recipe=search.name, variants=tuple(names)),
        )
    on_data = [block for block in study.latency if block.dataset == search.dataset]
    latency = tuple(listed(b, names if b in on_data else ()) for b in study.latency)
    return {"train": train, "latency": latency}


def study_with_trials(study: StudySpec, paths: StudyPaths, before: int | None = None) -> StudySpec:
    """`study_with_looks`, with the trials among its jobs: what runs jobs, or says what will run.

    Raises UserError for a damaged file.
    """
    looked = with_looks(study, paths)
    return extend_by_search(looked, read_rounds(study, paths, before), trials=True)


def study_with_looks(study: StudySpec, paths: StudyPaths, before: int | None = None) -> StudySpec:
    """The study with the seeds that its looks added and the finalists of its search.

    Every reader of results takes it instead of the study alone. Raises UserError for a damaged file.
    """
    return extend_by_search(with_looks(study, paths, before), read_rounds(study, paths))
