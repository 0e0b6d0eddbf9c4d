"""What the next run makes, and why: the part of the plan that needs no clock."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from resnest_bench.paths import Experiment, Job, StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome, outcomes
from resnest_bench.status.renamed import find_renamed_record
from resnest_bench.words import list_names

MAX_NAMED = 8
HEADERS = [
    "job",
    "dataset",
    "recipe",
    "variants",
    "repeats",
    "current",
    "new",
    "rerun",
    "kept as is",
]


def read_outcomes(study: StudySpec, paths: StudyPaths) -> list[Outcome]:
    """What became of each job so far, with the data and weights that are here now."""
    return outcomes(study, paths, read_fingerprints(study))


def find_renamed(study: StudySpec, paths: StudyPaths, found: Iterable[Outcome]) -> dict[Job, Job]:
    """Each missing job whose record is there under another name, and that name."""
    fingerprints = read_fingerprints(study)
    renamed = {}
    for outcome in found:
        if outcome.status == "missing":
            fingerprint = fingerprints.get(outcome.job.dataset)
            other = find_renamed_record(study, paths, outcome.job, fingerprint)
            if other:
                renamed[outcome.job] = other.was
    return renamed


def list_to_do(found: Iterable[Outcome], renamed: dict[Job, Job]) -> list[Job]:
    """The jobs that cost time."""
    return [o.job for o in found if o.to_do and o.job not in renamed]


def describe_to_do(found: Sequence[Outcome], renamed: dict[Job, Job]) -> str:
    """A table of what is current, new and rerun, then the reason of each rerun."""
    lines = [*_describe_reruns(found), *_describe_kept(found), *_describe_renamed(renamed)]
    todo = [job for job in list_to_do(found, renamed) if job.kind != "latency"]
    trained = [o for o in found if o.status != "missing" and o.job.kind != "latency"]
    if not todo:
        lines.append("Nothing will be trained.")
    elif trained and not any(o.to_do for o in trained):
        lines.append("Nothing will be retrained.")
    table = tabulate(_count_experiments(found, renamed), headers=HEADERS)
    return "\n".join([table, "", *lines])


def _count_experiments(found: Sequence[Outcome], renamed: dict[Job, Job]) -> list[list]:
    groups: dict[Experiment, list[Outcome]] = {}
    for outcome in found:
        job = outcome.job
        groups.setdefault(job.experiment, []).append(outcome)
    rows = []
    for key, members in groups.items():
        new = [o for o in members if o.status == "missing" and o.job not in renamed]
        rerun = [o for o in members if o.to_do and o.status != "missing"]
        current = [o for o in members if (o.status == "ok" and not o.to_do) or o.job in renamed]
        variants, seeds = ({getattr(o.job, name) for o in members} for name in ("variant", "seed"))
        others = len(members) - len(new) - len(rerun) - len(current)
        counts = [len(part) for part in (variants, seeds, current, new, rerun)]
        rows.append([*key, *counts, others])
    return rows


def _describe_reruns(found: Iterable[Outcome]) -> list[str]:
    rerun = [o for o in found if o.to_do and o.status != "missing"]
    return [f"Rerun: {text}" for text in _group_by_reason(rerun)]


def _describe_kept(found: Iterable[Outcome]) -> list[str]:
    kept = [o for o in found if not o.to_do and o.status != "ok"]
    return [f"Kept as it is: {text}" for text in _group_by_reason(kept)]


def _group_by_reason(found: Iterable[Outcome]) -> list[str]:
    groups: dict[tuple[str, str, str, str], list[Job]] = {}
    for outcome in found:
        job = outcome.job
        # An invalid record's reason names its file: each is one of its own.
        reason = f"{outcome.status}: {outcome.reason}"
        groups.setdefault((reason, job.kind, job.dataset, job.recipe), []).append(job)
    return [
        f"{kind} on {dataset} by {recipe}, {_list_names(j.variant for j in jobs)} "
        f"({_count_records(len(jobs))}); {reason}"
        for (reason, kind, dataset, recipe), jobs in groups.items()
    ]


def _describe_renamed(renamed: dict[Job, Job]) -> list[str]:
    groups: dict[tuple, list[Job]] = {}
    for job, was in renamed.items():
        pair = tuple((o.kind, o.dataset, o.recipe, o.variant) for o in (was, job))
        groups.setdefault(pair, []).append(job)
    return [
        f"Renamed: {jobs[0].kind} {jobs[0].variant} on {jobs[0].dataset} by {jobs[0].recipe} is what "
        f"was {was[3]} on {was[1]} by {was[2]}: {_count_records(len(jobs))} taken over"
        for (was, _), jobs in groups.items()
    ]


def _list_names(names: Iterable[str]) -> str:
    return list_names(dict.fromkeys(names), MAX_NAMED)


def _count_records(number: int) -> str:
    return "1 record" if number == 1 else f"{number} records"
