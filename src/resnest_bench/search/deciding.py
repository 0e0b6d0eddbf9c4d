"""Which trials a round asks for. The same records give the same round."""

import json
import math
from collections.abc import Callable, Sequence
from statistics import fmean

from pydantic import JsonValue

from resnest_bench.errors import UserError
from resnest_bench.paths import StudyPaths
from resnest_bench.search.results import WAITING, TrialResult, read_results
from resnest_bench.search.sampler import FamilySampler
from resnest_bench.search.selecting import choose_finalists, promote
from resnest_bench.specs import RecipeSpec, StudySpec, VariantSpec
from resnest_bench.specs.looks import file_digest
from resnest_bench.specs.recipes import check_channels
from resnest_bench.specs.rounds import (
    Builder,
    FamilyBudget,
    Finalist,
    SearchRound,
    Trial,
    TrialRun,
    extend_by_search,
    read_rounds,
    search_digest,
)
from resnest_bench.specs.search import MAX_TRIALS

# Proposals for each new trial before a family ends: the others were invalid or known.
ATTEMPTS = 20
USED_UP = "the budget of every family is used up"
EXHAUSTED = "no family has a new setting that is valid"
NOTHING_LEFT = "every family has used its budget or has no new setting that is valid"
# Raises UserError or ValueError for a network that can't be built.
Check = Callable[[VariantSpec, RecipeSpec], None]


def decide_round(
    study: StudySpec, paths: StudyPaths, number: int, fingerprints: dict[str, str], check: Check
) -> SearchRound:
    """Decide round `number` (from 0) of the study's search.

    Raises UserError if the study has no search, an earlier round or a record is missing, or Optuna is.
    """
    search = study.search
    if search is None:
        raise UserError(
            f"study {study.study!r} has no search: give it a search block (docs/search.md)"
        )
    rounds = read_rounds(study, paths, before=number)
    if len(rounds) < number:
        raise UserError(
            f"round {number} follows round {number - 1}, but {paths.search_round(len(rounds))} is missing, belongs to "
            "another search, or comes after the last round: run the workflow, which takes them in turn"
        )
    results = read_results(study, paths, rounds, fingerprints)
    waiting = [one for one in results if one.status == WAITING]
    if waiting:
        raise UserError(
            f"round {number} needs the results of round {number - 1}, but {search.trial_name(waiting[0].trial.family, waiting[0].trial.number)} "
            f"has {waiting[0].reason}: run the workflow, which trains it"
        )
    steps = [
        FamilyStep(study, family, rounds, results, number, check) for family in search.family_names
    ]
    trials = [trial for step in steps for trial in step.trials]
    runs = [run for step in steps for run in step.runs]
    finalists: list[Finalist] = []
    if not runs:
        finalists = [one for step in steps for one in step.choose_finalists()]
    jobs = extend_by_search(study, rounds, trials=True).trial_jobs
    return SearchRound(
        study=study.study,
        round=number,
        previous=file_digest(paths.search_round(number - 1)) if number else None,
        search=search_digest(study),
        records={paths.record_name(job): file_digest(paths.record(job)) for job in jobs},
        used=tuple(step.used for step in steps),
        trials=tuple(trials),
        runs=tuple(runs),
        finalists=tuple(finalists),
        stop="" if runs else _explain_stop(steps),
    )


def _explain_stop(steps: Sequence["FamilyStep"]) -> str:
    used_up = [step.is_used_up for step in steps]
    return USED_UP if all(used_up) else NOTHING_LEFT if any(used_up) else EXHAUSTED


class FamilyStep:
    """One family at one round: trainings that go on, new trials, and what was used before."""

    def __init__(
        self,
        study: StudySpec,
        family: str,
        rounds: Sequence[SearchRound],
        results: Sequence[TrialResult],
        number: int,
        check: Check,
    ) -> None:
        assert study.search
        self.study, self.search, self.family, self.check = study, study.search, family, check
        self.epochs = study.recipe(self.search.recipe).epochs
        self.results = [one for one in results if one.trial.family == family]
        last = [run for run in rounds[-1].runs if run.family == family] if rounds else []
        going_on = promote(self.search, last, self.results, self.epochs)
        self.used = FamilyBudget(
            family=family,
            trainings=round(sum(one.trainings for one in self.results), 9),
            minutes=sum(one.minutes for one in self.results),
        )
        wanted = self._count_new(going_on)
        self.is_used_up = wanted == 0
        self.trials = self._propose(number, wanted) if wanted else []
        shortest = self.search.rungs(self.epochs)[0]
        new = [
            TrialRun(family=family, number=trial.number, epochs=shortest)
            for trial in self.trials
            if trial.is_new
        ]
        self.runs = [*going_on, *new]

    def _count_new(self, going_on: Sequence[TrialRun]) -> int:
        """Number of new trials that fit into the budget, with all the longer trainings that follow them."""
        search, most = self.search, self.search.trials_per_round
        if search.budget.minutes is not None:
            left = search.budget.minutes - self.used.minutes
            per_training = self.used.minutes / self.used.trainings if self.used.trainings else 0.0
            if not per_training:
                return most if left > 0 else 0
            left /= per_training
        else:
            assert search.budget.trainings is not None
            left = search.budget.trainings - self.used.trainings
        left -= self._cost_of_going_on(going_on)
        fitting = (
            n for n in range(most, 0, -1) if search.cohort_cost(n, self.epochs) <= left + 1e-9
        )
        return next(fitting, 0)

    def _cost_of_going_on(self, going_on: Sequence[TrialRun]) -> float:
        """What these trainings and all that follow them take, in trainings of all epochs."""
        cost, rungs = 0.0, self.search.rungs(self.epochs)
        for index, rung in enumerate(rungs):
            count = sum(run.epochs == rung for run in going_on)
            for longer in rungs[index:]:
                cost += count * longer / self.epochs
                count = -(-count // self.search.halving.reduction) if self.search.halving else 0
        return cost

    def _propose(self, number: int, wanted: int) -> list[Trial]:
        base = self.study.variant(self.family)
        sampler = FamilySampler(self.search, base, number, self.results, self.epochs)
        known = {_key(one.trial.settings): one.trial.number for one in reversed(self.results)}
        found: list[Trial] = []
        for _ in range(ATTEMPTS * wanted):
            ready = sum(trial.is_new for trial in found) == wanted
            index = len(self.results) + len(found)
            if ready or sampler.is_exhausted or index >= MAX_TRIALS:
                break
            settings, noted = sampler.ask()
            trial = Trial(family=self.family, number=index, settings=settings, sampler=dict(noted))
            key = _key(settings)
            if key in known:
                trial = self._repeat(trial, known[key], found)
            else:
                known[key] = index
                trial = trial.model_copy(update={"skipped": self._find_problem(trial)})
            if trial.skipped:
                sampler.reject()
            found.append(trial)
        # What only repeats, without a new trial, would be proposed in each round anew.
        return found if any(trial.is_new for trial in found) else _only_skipped(found)

    def _repeat(self, trial: Trial, first: int, found: Sequence[Trial]) -> Trial:
        """The same settings once more: skipped if those were, else with their result."""
        known = [one.trial for one in self.results] + list(found)
        if known[first].skipped:
            return trial.model_copy(update={"skipped": known[first].skipped})
        return trial.model_copy(update={"repeats": first})

    def _find_problem(self, trial: Trial) -> str:
        """Why the settings give no valid network or recipe; '' if they do."""
        name = self.search.trial_name(self.family, trial.number)
        try:
            variant, recipe = Builder(self.study).build(trial, name, self.epochs)
            dataset = self.search.dataset
            check_channels(dataset, self.study.dataset(dataset).num_channels, name, recipe)
            self.check(variant, recipe)
            for rung in self.search.rungs(self.epochs)[:-1]:
                Builder(self.study).build(trial, name, rung)
        except ValueError as error:
            return " ".join(str(error).split())
        return ""

    def choose_finalists(self) -> list[Finalist]:
        return choose_finalists(self.search, self.family, self.results, self.epochs)


def _only_skipped(trials: Sequence[Trial]) -> list[Trial]:
    return [one for one in trials if one.skipped]


def _key(settings: dict[str, JsonValue]) -> str:
    return json.dumps(settings, sort_keys=True)


def mean_minutes(results: Sequence[TrialResult]) -> float:
    """Return the mean minutes of a training of all epochs; NaN without one."""
    trained = [one for one in results if one.trainings]
    return fmean([one.minutes / one.trainings for one in trained]) if trained else math.nan
