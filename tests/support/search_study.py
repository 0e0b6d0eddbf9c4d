"""A search whose trainings are records made by hand: the accuracy is a function of the settings."""

import math
from collections.abc import Callable
from typing import Any

from resnest_bench import files, records
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.search.deciding import decide_round
from resnest_bench.specs import StudySpec, dump_study, study_with_looks, study_with_trials
from resnest_bench.specs.rounds import SearchRound
from support.records_factory import make_failed_record, make_record, make_study

RATES = {"low": 0.001, "high": 1.0, "log": True}
SEARCH: dict[str, Any] = {
    "dataset": "low",
    "recipe": "held",
    "families": [{"variant": "A"}, {"variant": "B"}],
    "space": {"recipe.learning_rate": RATES, "recipe.flip": [False, True]},
    "budget": {"trainings": 8},
    "trials_per_round": 3,
}
HELD = {"epochs": 4, "batch_size": 128, "learning_rate": 0.05, "validation_fraction": 0.1}
NSGA2 = {
    "sampler": "nsga2",
    "objectives": ["validation_accuracy", "latency"],
    "latency": {"protocol": "fast"},
}


def search_study(changes: dict[str, Any] | None = None, **more: Any) -> StudySpec:
    """A study that only searches, with keys of its search replaced, and those of the study by `more`."""
    config = {
        "train": [],
        "finetune": [],
        "recipes": {"held": HELD},
        "search": {**SEARCH, **(changes or {})},
        "tables": {"tradeoff": {}},
        **more,
    }
    return make_study(**config)


def score(study: StudySpec, job: Job) -> float:
    """0.8 at a learning rate of 0.1, less away from it and with fewer epochs; B is 0.05 better."""
    recipe = study.recipe(job.recipe, job.variant)
    away = abs(math.log10(recipe.learning_rate / 0.1))
    better = 0.05 if job.variant.startswith("B") else 0.0
    return round(0.8 - 0.2 * away + better - 0.05 * (4 - recipe.epochs) + 0.001 * (job.seed % 5), 4)


class SimulatedSearch:
    """Decides rounds as the workflow does, and writes records where it would train.

    `fails` says why a job fails; '' of one that ends well. `test_accuracy` is that of every trial: it must
    not matter.
    """

    def __init__(
        self,
        study: StudySpec,
        paths: StudyPaths,
        fails: Callable[[StudySpec, Job], str] = lambda study, job: "",
        test_accuracy: float = 0.33,
    ) -> None:
        self.study, self.paths = study, paths
        self.fails, self.test_accuracy = fails, test_accuracy
        files.write_text(paths.study, dump_study(study))

    def decide(self, number: int) -> SearchRound:
        one = decide_round(self.study, self.paths, number, {}, lambda variant, recipe: None)
        files.write_text(self.paths.search_round(number), one.model_dump_json(indent=1))
        return one

    def make_records(self) -> None:
        """The missing records of all trials so far."""
        extended = study_with_trials(self.study, self.paths)
        for job in extended.trial_jobs:
            if not self.paths.record(job).exists():
                records.write(self.paths.record(job), self.make(extended, job, self.test_accuracy))

    def make(self, extended: StudySpec, job: Job, test_accuracy: float) -> Record:
        if reason := self.fails(extended, job):
            return make_failed_record(job, extended.job_spec(job), reason)
        if job.kind == "latency":
            size = sum(ord(letter) for letter in job.variant)
            return make_record(extended, job, p50_ms=1.0 + size % 7)
        num_epochs = extended.recipe(job.recipe, job.variant).epochs
        record = make_record(extended, job, accuracy=test_accuracy, num_epochs=num_epochs)
        assert record.train
        *first, last = record.train.epochs
        last = last.model_copy(update={"validation_accuracy": score(extended, job)})
        return record.model_copy(
            update={"train": record.train.model_copy(update={"epochs": [*first, last]})}
        )

    def run(self, most: int = 30) -> list[SearchRound]:
        """All rounds until one is the last; then the finalists' records."""
        rounds = [self.decide(0)]
        while not rounds[-1].stop and len(rounds) < most:
            self.make_records()
            rounds.append(self.decide(len(rounds)))
        extended = study_with_looks(self.study, self.paths)
        for job in extended.jobs():
            accuracy = score(extended, job) - 0.03 if job.kind == "train" else 0.0
            records.write(self.paths.record(job), self.make(extended, job, accuracy))
        return rounds
