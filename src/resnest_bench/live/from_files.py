"""The progress of a study, read from its files, so that any process can show it. Nothing is written."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from resnest_bench.errors import UserError
from resnest_bench.live.jobs import TITLES
from resnest_bench.live.pace import Pace
from resnest_bench.live.priced import Piece, estimate_left, price_key
from resnest_bench.live.reading import describe_epochs, read_logged_error, read_result
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
# A training reports after each epoch. Without a report for this many epochs, it is considered stopped.
SILENT_EPOCHS = 4
MIN_SILENCE_SECONDS = 90.0
# After this long without a report, the view says so: the training may have been killed.
NOTED_SILENCE_SECONDS = 30.0
# The first epoch may take this long, since its duration is unknown.
FIRST_EPOCH_SECONDS = 3600.0
# The log of an interrupted job ends with an error that starts like this.
STOPPED_BY = "stopped by "


@dataclass(frozen=True)
class JobState:
    """The state of one job, as far as the view of a study needs it.

    `seconds` is how long its record took, and `finished_at` when it was finished (ISO 8601); they are
    None and '' without a record. `status` and `reason` are those of `status.outcomes.Outcome`.
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
    """The progress of a training without a record, and the seconds since its last report."""

    job: Job
    progress: LiveProgress
    silent_seconds: float

    @property
    def epoch_seconds(self) -> list[float]:
        return [e.train_seconds + e.evaluation_seconds for e in self.progress.epochs]

    @property
    def runs(self) -> bool:
        """Whether its process is running. If that is unknown, whether its last report is recent."""
        if self.progress.is_alive is not None:
            return self.progress.is_alive
        if not self.progress.epochs:
            return self.silent_seconds < FIRST_EPOCH_SECONDS
        longest = max(self.epoch_seconds)
        return self.silent_seconds < max(SILENT_EPOCHS * longest, MIN_SILENCE_SECONDS)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, over all sessions."""
        return sum(self.epoch_seconds) + max(self.silent_seconds, 0.0)

    @property
    def share(self) -> float:
        return len(self.progress.epochs) / self.progress.num_epochs


@dataclass(frozen=True)
class StudyStatus:
    """A snapshot that counts records, the failures with their reasons and logs, and unfinished trainings.

    The records of a failed job are those that it should have written. `trainings` are running or stopped.
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
    """Return what is done, running and failed.

    Args:
        study: with the seeds that its looks added.
        paths: of the study.
        now: the current time; a test may set it.
        states: of all jobs in the study's order, if the caller knows them; by default the records are read.
    """
    states = read_states(study, paths) if states is None else states
    to_do = [state.job for state in states if state.to_do]
    trainings = read_trainings(study, paths, to_do, now)
    running = [training for training in trainings if training.runs]
    stopped = [_describe_stopped(t) for t in trainings if not t.runs]
    failed = _list_failed(study, paths, states, {find_log(study, paths, t.job) for t in running})
    snapshot = Snapshot(
        study=study.study,
        done=len(states) - len(to_do),
        total=len(states),
        failed=len(failed),
        running=tuple(_describe_running(training) for training in running),
        outcomes=(*_list_results(paths, states), *stopped),
        left=_estimate_by_prices(read_prices(paths.prices), states, to_do, running)
        or _estimate_left(states, to_do, running),
        log=str(paths.logs),
        unit="records",
    )
    return StudyStatus(snapshot, tuple(failed), tuple(trainings))


def read_states(study: StudySpec, paths: StudyPaths) -> list[JobState]:
    """Read all records of a study, and return the state of each job in the study's order."""
    return [
        JobState(
            o.job,
            o.status,
            o.reason,
            o.to_do,
            o.record.finished_at or "",
            _record_seconds(o.record),
        )
        if o.record
        else JobState(o.job, o.status, o.reason, o.to_do)
        for o in judging.outcomes(study, paths, read_fingerprints(study))
    ]


def read_trainings(
    study: StudySpec, paths: StudyPaths, jobs: Iterable[Job], now: datetime | None = None
) -> list[Training]:
    """Return the progress of those of `jobs` that have started but have no current record."""
    trainings, now = [], now or datetime.now(UTC)
    for job in jobs if paths.progress_root.is_dir() else ():
        try:
            progress = read_progress(paths.progress(job), job)
            silent = (now - datetime.fromisoformat(progress.updated_at)).total_seconds()
        except (UserError, ValueError, TypeError):
            # It has not started, or its file is from another version.
            continue
        # A training whose recipe has changed since will not be continued.
        if progress.num_epochs == study.recipe(job.recipe, job.variant).epochs:
            trainings.append(Training(job, progress, silent))
    return trainings


def _describe_running(training: Training) -> Running:
    texts = describe_epochs(training.progress)
    if training.progress.is_alive is None and training.silent_seconds > NOTED_SILENCE_SECONDS:
        texts.append(f"last report {duration_text(training.silent_seconds)} ago")
    return Running(str(training.job), training.seconds, ", ".join(texts))


def _describe_stopped(training: Training) -> Outcome:
    done, num = len(training.progress.epochs), training.progress.num_epochs
    return Outcome(str(training.job), True, f"stopped after epoch {done} of {num}")


def _list_results(paths: StudyPaths, states: Iterable[JobState]) -> list[Outcome]:
    """The results of the latest records, the newest at the end."""
    good = [(s.finished_at, s.job) for s in states if s.finished_at and s.usable and not s.to_do]
    last = [job for _, job in sorted(good)[-NUM_RESULTS:]]
    return [Outcome(str(job), *read_result(paths, [job])) for job in last]


def find_log(study: StudySpec, paths: StudyPaths, job: Job) -> Path:
    """Return the log of the workflow's job that makes this record."""
    found = study.search is not None and job.recipe == study.search.name
    added = job.kind == "train" and (found or job.seed not in study.seeds)
    return paths.log(job, added)


def _list_failed(
    study: StudySpec, paths: StudyPaths, states: Iterable[JobState], running: set[Path]
) -> list[tuple[LiveJob, Outcome]]:
    """Failed trainings, unreadable records, and jobs whose log ends with an error.

    `running` are the logs of jobs that are running.
    """
    errors = _LoggedErrors()
    failed: dict[object, tuple[LiveJob, Outcome]] = {}
    for state in states:
        if state.status not in ("failed", "invalid", "missing"):
            continue
        log = find_log(study, paths, state.job)
        if state.status in ("failed", "invalid"):
            job = LiveJob(state.job.kind, str(state.job), (state.job,), log)
            failed[state.job] = job, Outcome(job.title, False, state.reason)
        elif study.is_imported(state.job):
            # No job of the workflow writes it, and so no log.
            continue
        elif state.status == "missing" and log not in running:
            own = LiveJob(state.job.kind, str(state.job), (), log)
            causes = [own, *_list_inputs(study, paths, state.job)]
            _add_failure(failed, errors, state.job, causes)
    return list(failed.values())


def _add_failure(
    failed: dict[object, tuple[LiveJob, Outcome]],
    errors: "_LoggedErrors",
    job: Job,
    causes: list[LiveJob],
) -> None:
    """Add the first of the `causes` whose log ends with an error, with `job` among its records."""
    for live in causes:
        if live.log and (reason := errors.read(live.log)):
            # All seeds of a training share a log, and many jobs a dataset: show each failure once.
            first, outcome = failed.get(live.log, (live, Outcome(live.title, False, reason)))
            records = (*first.records, job)
            failed[live.log] = LiveJob(first.rule, first.title, records, first.log), outcome
            return


def _list_inputs(study: StudySpec, paths: StudyPaths, job: Job) -> Iterator[LiveJob]:
    """The workflow's jobs for the weights and data that this job needs and that don't exist yet."""
    weights = study.weights(job)
    hub = weights.hub if weights else None
    if hub and not DataPaths(Path(study.data_dir)).hub_weights(hub).exists():
        yield LiveJob("weights", TITLES["weights"].format(hub=hub), (), paths.weights_log(hub))
    prepared = study.prepared(job.dataset)
    if not (prepared / "meta.json").exists():
        title = TITLES["data"].format(dataset=job.dataset)
        yield LiveJob("data", title, (), paths.data_log(prepared))


class _LoggedErrors:
    """The errors at the ends of logs. Each log is read once."""

    def __init__(self) -> None:
        self.errors: dict[Path, str] = {}

    def read(self, log: Path) -> str:
        """Return the error, or '' if there is none or the job was only interrupted."""
        if log not in self.errors:
            error = read_logged_error([log])
            self.errors[log] = "" if error.startswith(STOPPED_BY) else error
        return self.errors[log]


def _estimate_by_prices(
    prices: StudyPrices | None,
    states: Iterable[JobState],
    to_do: Sequence[Job],
    running: Sequence[Training],
) -> TimeLeft | None:
    """Estimate the time left from the last run's prices, corrected by the records made since."""
    if prices is None or not to_do:
        return None
    made_at = datetime.fromisoformat(prices.made_at)
    shares = {training.job: (training.share or None, training.seconds) for training in running}
    pieces, begun = [], {price_key(job) for job in shares}
    for state in states:
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
    states: Iterable[JobState], to_do: Sequence[Job], running: Sequence[Training]
) -> TimeLeft | None:
    """Estimate the time left from the durations of finished records of the same recipe.

    It assumes that as many jobs run at a time as now.
    """
    pace = Pace()
    for state in states:
        if state.seconds is not None and state.usable:
            pace.add(_pace_key(state.job), state.seconds)
    running_jobs = {training.job for training in running}
    waiting: dict[str, int] = {}
    for job in to_do:
        if job not in running_jobs:
            waiting[_pace_key(job)] = waiting.get(_pace_key(job), 0) + 1
    return pace.left(waiting, [(_pace_key(t.job), t.seconds, t.share or None) for t in running])


def _pace_key(job: Job) -> str:
    return f"{job.kind}/{job.dataset}/{job.recipe}"


def _record_seconds(record: Record) -> float | None:
    if record.train:
        return record.train.wall_seconds
    if record.started_at is None or record.finished_at is None:
        return None
    begun, ended = map(datetime.fromisoformat, (record.started_at, record.finished_at))
    return (ended - begun).total_seconds()
