"""What the records say of each trial of a search. Of trainings only validation accuracies are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import median

from resnest_bench.paths import Job, StudyPaths
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec
from resnest_bench.specs.rounds import (
    SearchRound,
    Trial,
    extend_by_search,
    latency_job,
    list_trials,
    run_job,
)
from resnest_bench.status.outcomes import Outcome, outcomes

WAITING = "waiting"


@dataclass(frozen=True)
class TrialResult:
    """One trial with its records.

    Attributes:
        trial: as its round has it.
        round: number of the round that proposed it.
        status: ok, failed, skipped, repeated or waiting (for a record).
        reason: why it was skipped or has failed, or which trial it repeats; '' otherwise.
        accuracies: validation accuracy (a fraction) after the last epoch, by the epochs of a training.
        latency_ms: median of one call of the quick protocol; None if it isn't measured.
        trainings: what its trainings took, in trainings of all epochs.
        minutes: of its trainings.
    """

    trial: Trial
    round: int
    status: str
    reason: str = ""
    accuracies: Mapping[int, float] = field(default_factory=dict)
    latency_ms: float | None = None
    trainings: float = 0.0
    minutes: float = 0.0

    @property
    def epochs(self) -> int:
        """Of its longest training that has a result; 0 if none has."""
        return max(self.accuracies, default=0)

    @property
    def accuracy(self) -> float | None:
        """Validation accuracy of the longest training."""
        return self.accuracies[self.epochs] if self.accuracies else None


def read_results(
    study: StudySpec,
    paths: StudyPaths,
    rounds: Sequence[SearchRound],
    fingerprints: Mapping[str, str],
) -> list[TrialResult]:
    """Return the results of all trials in the order in which they were proposed."""
    extended = extend_by_search(study, rounds, trials=True)
    found = {
        one.job: one for one in outcomes(extended, paths, fingerprints, jobs=extended.trial_jobs)
    }
    return collect_results(study, rounds, found)


def collect_results(
    study: StudySpec, rounds: Sequence[SearchRound], found: Mapping[Job, Outcome]
) -> list[TrialResult]:
    """`read_results` from outcomes that are known."""
    search = study.search
    assert search
    epochs = study.recipe(search.recipe).epochs
    numbers = {(trial.family, trial.number): one.round for one in rounds for trial in one.trials}
    runs: dict[tuple[str, int], list[tuple[int, Outcome]]] = {key: [] for key in numbers}
    for one in rounds:
        for run in one.runs:
            outcome = found[run_job(search, run, epochs)]
            runs[run.family, run.number].append((run.epochs, outcome))
    results: dict[tuple[str, int], TrialResult] = {}
    for key, trial in list_trials(rounds).items():
        if trial.skipped:
            result = TrialResult(trial, numbers[key], "skipped", trial.skipped)
        elif trial.repeats is not None:
            first = results[trial.family, trial.repeats]
            reason = f"the same settings as trial {trial.repeats}"
            result = replace(
                first, trial=trial, round=numbers[key], reason=reason, trainings=0.0, minutes=0.0
            )
            result = replace(result, status="repeated" if first.status == "ok" else first.status)
        else:
            result = _read_trial(trial, numbers[key], runs[key], epochs)
            if search.latency:
                outcome = found[latency_job(search, trial.family, trial.number)]
                result = _add_latency(result, outcome, search.latency.batch_size)
        results[key] = result
    return list(results.values())


def _read_trial(
    trial: Trial, number: int, runs: Sequence[tuple[int, Outcome]], epochs: int
) -> TrialResult:
    accuracies: dict[int, float] = {}
    status, reason, trainings, minutes = "ok", "", 0.0, 0.0
    for length, outcome in runs:
        record = outcome.record
        if record is None:
            status, reason = WAITING, outcome.reason
            continue
        trainings += length / epochs
        minutes += _count_minutes(record)
        last = record.train.epochs[-1].validation_accuracy if record.train else None
        if last is None:
            failure = (
                record.failure.reason if record.failure else "its record has no validation accuracy"
            )
            status, reason = "failed", failure
        else:
            accuracies[length] = last
    return TrialResult(
        trial, number, status, reason, accuracies, trainings=trainings, minutes=minutes
    )


def _add_latency(result: TrialResult, outcome: Outcome, batch_size: int) -> TrialResult:
    record = outcome.record
    if record is None:
        return replace(result, status=WAITING, reason=outcome.reason)
    cells = record.latency.cells if record.latency else []
    medians = [median(cell.samples_ms) for cell in cells if cell.batch_size == batch_size]
    if not medians:
        failure = record.failure.reason if record.failure else "its latency could not be measured"
        return replace(result, status="failed", reason=result.reason or failure)
    return replace(result, latency_ms=min(medians))


def _count_minutes(record: Record) -> float:
    if record.train:
        return record.train.wall_seconds / 60
    if record.started_at is None or record.finished_at is None:
        return 0.0
    begun, ended = map(datetime.fromisoformat, (record.started_at, record.finished_at))
    return (ended - begun).total_seconds() / 60
