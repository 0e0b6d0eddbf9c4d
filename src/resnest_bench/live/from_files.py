"""How far a study is, from its files alone: for whoever didn't start the run. Nothing is written."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from resnest_bench.errors import UserError
from resnest_bench.live.jobs import TITLES
from resnest_bench.live.pace import Pace
from resnest_bench.live.priced import Piece, estimate_left, price_key
from resnest_bench.live.reading import describe_epochs, read_result, read_said
from resnest_bench.live.snapshot import LiveJob, Outcome, Running, Snapshot, TimeLeft
from resnest_bench.live.view import duration_text
from resnest_bench.paths import DataPaths, Job, StudyPaths
from resnest_bench.prices import StudyPrices, read_prices
from resnest_bench.records import Record
from resnest_bench.records.progress import LiveProgress, read_progress
from resnest_bench.specs import StudySpec
from resnest_bench.status import outcomes as judging
from resnest_bench.status.fingerprints import read_fingerprints

NUM_RESULTS = 5
# A training writes after each epoch. One that was silent for so many of its epochs has stopped.
SILENT_EPOCHS = 4
LEAST_SILENCE_SECONDS = 90.0
# A silence that a reader should know of: the training may have been killed.
NOTED_SILENCE_SECONDS = 30.0
# Nobody knows how long the first epoch takes.
FIRST_EPOCH_SECONDS = 3600.0
# What a job says that was only interrupted.
STOPPED_BY = "stopped by "


@dataclass(frozen=True)
class JobState:
    """What became of one job, as far as the view of a whole study needs it.

    `seconds` is how long its record took to make, and `finished_at` when (ISO 8601); None and ''
    where there is no record.
    """

    job: Job
    status: str
    reason: str
    to_do: bool
    finished_at: str = ""
    seconds: float | None = None

    @property
    def usable(self) -> bool:
        return self.status in ("ok", "stale")


@dataclass(frozen=True)
class Training:
    """What a training without a record says of itself, and seconds since it last did."""

    job: Job
    progress: LiveProgress
    silent_seconds: float

    @property
    def epoch_seconds(self) -> list[float]:
        return [e.train_seconds + e.evaluation_seconds for e in self.progress.epochs]

    @property
    def runs(self) -> bool:
        """Whether its process runs; where it can't be asked, whether it spoke lately for its pace."""
        if self.progress.is_alive is not None:
            return self.progress.is_alive
        if not self.progress.epochs:
            return self.silent_seconds < FIRST_EPOCH_SECONDS
        longest = max(self.epoch_seconds)
        return self.silent_seconds < max(SILENT_EPOCHS * longest, LEAST_SILENCE_SECONDS)

    @property
    def seconds(self) -> float:
        """In training so far, all sessions together."""
        return sum(self.epoch_seconds) + max(self.silent_seconds, 0.0)

    @property
    def share(self) -> float:
        return len(self.progress.epochs) / self.progress.num_epochs


@dataclass(frozen=True)
class StudyStatus:
    """A snapshot whose unit is the record, and each failure with its whole reason and its log.

    The jobs of a failure are those that have no record for it. `trainings` have none yet, whether they
    run or have stopped.
    """

    snapshot: Snapshot
    failed: tuple[tuple[LiveJob, Outcome], ...]
    trainings: tuple[Training, ...]


def read_status(
    study: StudySpec,
    paths: StudyPaths,
    now: datetime | None = None,
    states: Sequence[JobState] | None = None,
) -> StudyStatus:
    """What is done, runs and failed. `study` has the seeds that its looks added.

    `states` are those of all jobs in the study's order, for who knows them without the records.
    """
    found = read_states(study, paths) if states is None else states
    to_do = [state.job for state in found if state.to_do]
    trainings = read_trainings(study, paths, to_do, now)
    running = [training for training in trainings if training.runs]
    stopped = [_describe_stopped(t) for t in trainings if not t.runs]
    failed = _list_failed(study, paths, found, {find_log(study, paths, t.job) for t in running})
    snapshot = Snapshot(
        study=study.study,
        done=len(found) - len(to_do),
        total=len(found),
        failed=len(failed),
        running=tuple(_describe_running(training) for training in running),
        outcomes=(*_list_results(paths, found), *stopped),
        left=_estimate_by_prices(read_prices(paths.prices), found, to_do, running)
        or _estimate_left(found, to_do, running),
        log=str(paths.logs),
        unit="records",
    )
    return StudyStatus(snapshot, tuple(failed), tuple(trainings))


def read_states(study: StudySpec, paths: StudyPaths) -> list[JobState]:
    """The state of each job, from all records."""
    return [
        JobState(
            o.job, o.status, o.reason, o.to_do, o.record.finished_at, _record_seconds(o.record)
        )
        if o.record
        else JobState(o.job, o.status, o.reason, o.to_do)
        for o in judging.outcomes(study, paths, read_fingerprints(study))
    ]


def read_trainings(
    study: StudySpec, paths: StudyPaths, jobs: Iterable[Job], now: datetime | None = None
) -> list[Training]:
    """What those of `jobs`, which have no current record, have told of themselves so far."""
    found, now = [], now or datetime.now(UTC)
    for job in jobs if paths.progress_root.is_dir() else ():
        try:
            progress = read_progress(paths.progress(job), job)
            silent = (now - datetime.fromisoformat(progress.updated_at)).total_seconds()
        except (UserError, ValueError, TypeError):
            # It has not begun, or its file is of another version.
            continue
        # One of a recipe that has changed since is not gone on with.
        if progress.num_epochs == study.recipe(job.recipe).epochs:
            found.append(Training(job, progress, silent))
    return found


def _describe_running(training: Training) -> Running:
    told = describe_epochs(training.progress)
    if training.progress.is_alive is None and training.silent_seconds > NOTED_SILENCE_SECONDS:
        told.append(f"last heard of {duration_text(training.silent_seconds)} ago")
    return Running(str(training.job), training.seconds, ", ".join(told))


def _describe_stopped(training: Training) -> Outcome:
    done, num = len(training.progress.epochs), training.progress.num_epochs
    return Outcome(str(training.job), True, f"stopped after epoch {done} of {num}")


def _list_results(paths: StudyPaths, found: Iterable[JobState]) -> list[Outcome]:
    """The records that were made last, the newest at the end."""
    good = [(s.finished_at, s.job) for s in found if s.finished_at and s.usable and not s.to_do]
    last = [job for _, job in sorted(good)[-NUM_RESULTS:]]
    return [Outcome(str(job), *read_result(paths, [job])) for job in last]


def find_log(study: StudySpec, paths: StudyPaths, job: Job) -> Path:
    """The log of the workflow's job that makes this record."""
    added = job.kind == "train" and job.seed not in study.seeds
    return paths.log(job, added)


def _list_failed(
    study: StudySpec, paths: StudyPaths, found: Iterable[JobState], running: set[Path]
) -> list[tuple[LiveJob, Outcome]]:
    """Records of failures, records that can't be read, and logs that end with an error."""
    said = _Logs()
    failed: dict[object, tuple[LiveJob, Outcome]] = {}
    for state in found:
        log = find_log(study, paths, state.job)
        if state.status in ("failed", "invalid"):
            job = LiveJob(state.job.kind, str(state.job), (state.job,), log)
            failed[state.job] = job, Outcome(job.title, False, state.reason)
        elif state.status == "missing" and log not in running:
            own = LiveJob(state.job.kind, str(state.job), (), log)
            _add_failure(failed, said, state.job, [own, *_list_needs(study, paths, state.job)])
    return list(failed.values())


def _add_failure(
    failed: dict[object, tuple[LiveJob, Outcome]], said: "_Logs", job: Job, logged: list[LiveJob]
) -> None:
    """Note the first of the `logged` jobs whose log ends with an error. All that wait for it are its."""
    for live in logged:
        if live.log and (reason := said.read(live.log)):
            # The seeds of a training have one log, and many jobs one dataset: it is named once.
            first, outcome = failed.get(live.log, (live, Outcome(live.title, False, reason)))
            records = (*first.records, job)
            failed[live.log] = LiveJob(first.rule, first.title, records, first.log), outcome
            return


def _list_needs(study: StudySpec, paths: StudyPaths, job: Job) -> Iterator[LiveJob]:
    """The jobs that come before this one and that have left nothing: weights and data."""
    weights = study.weights(job)
    hub = weights.hub if weights else None
    if hub and not DataPaths(Path(study.data_dir)).hub_weights(hub).exists():
        yield LiveJob("weights", TITLES["weights"].format(hub=hub), (), paths.weights_log(hub))
    prepared = study.prepared(job.dataset)
    if not (prepared / "meta.json").exists():
        title = TITLES["data"].format(dataset=job.dataset)
        yield LiveJob("data", title, (), paths.data_log(prepared))


class _Logs:
    """The errors at the ends of logs, each read once."""

    def __init__(self) -> None:
        self.errors: dict[Path, str] = {}

    def read(self, log: Path) -> str:
        """The error; '' for a log without one, and for a job that was only interrupted."""
        if log not in self.errors:
            said = read_said([log])
            self.errors[log] = "" if said.startswith(STOPPED_BY) else said
        return self.errors[log]


def _estimate_by_prices(
    prices: StudyPrices | None,
    found: Iterable[JobState],
    to_do: Sequence[Job],
    running: Sequence[Training],
) -> TimeLeft | None:
    """By the prices that the last run began with, corrected by the records made since."""
    if prices is None or not to_do:
        return None
    made_at = datetime.fromisoformat(prices.made_at)
    shares = {training.job: (training.share or None, training.seconds) for training in running}
    pieces, begun = [], {price_key(job) for job in shares}
    for state in found:
        job, group = state.job, prices.find(state.job)
        if group is None:
            continue
        if state.to_do:
            pieces.append(Piece(job.kind, group.seconds_per_record, *shares.get(job, (0.0, 0.0))))
            if price_key(job) not in begun:
                begun.add(price_key(job))
                pieces.append(Piece("start", group.start_seconds))
        elif state.seconds is not None and datetime.fromisoformat(state.finished_at) >= made_at:
            pieces.append(Piece(job.kind, group.seconds_per_record, 1.0, state.seconds))
    all_known = all(prices.find(job) for job in to_do)
    return estimate_left(pieces, len(running), all_known=all_known) if pieces else None


def _estimate_left(
    found: Iterable[JobState], to_do: Sequence[Job], running: Sequence[Training]
) -> TimeLeft | None:
    """By what the records of the same recipe took, as many at a time as run now."""
    pace = Pace()
    for state in found:
        if state.seconds is not None and state.usable:
            pace.add(_pace_key(state.job), state.seconds)
    now = {training.job for training in running}
    waiting: dict[str, int] = {}
    for job in to_do:
        if job not in now:
            waiting[_pace_key(job)] = waiting.get(_pace_key(job), 0) + 1
    return pace.left(waiting, [(_pace_key(t.job), t.seconds, t.share or None) for t in running])


def _pace_key(job: Job) -> str:
    return f"{job.kind}/{job.dataset}/{job.recipe}"


def _record_seconds(record: Record) -> float:
    if record.train:
        return record.train.wall_seconds
    begun, ended = map(datetime.fromisoformat, (record.started_at, record.finished_at))
    return (ended - begun).total_seconds()
