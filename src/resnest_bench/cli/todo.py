"""The jobs of the next run and why they run: the part of the plan that needs no measurement."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from resnest_bench.paths import TRAINING_KINDS, Experiment, Job, StudyPaths
from resnest_bench.specs import StudySpec
from resnest_bench.status.fingerprints import read_fingerprints
from resnest_bench.status.outcomes import Outcome, outcomes
from resnest_bench.status.renamed import find_renamed_record
from resnest_bench.words import count_noun, list_names

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
    "kept",
]


def read_outcomes(study: StudySpec, paths: StudyPaths) -> list[Outcome]:
    """Return the outcome of each job of the study, judged with the data and weights on this machine."""
    return outcomes(study, paths, read_fingerprints(study))


def find_renamed(
    study: StudySpec, paths: StudyPaths, job_outcomes: Iterable[Outcome]
) -> dict[Job, Job]:
    """Return the missing jobs whose record exists under another name: job to its old identity."""
    fingerprints = read_fingerprints(study)
    renamed = {}
    for outcome in job_outcomes:
        if outcome.status == "missing" and not study.is_imported(outcome.job):
            fingerprint = fingerprints.get(outcome.job.dataset)
            other = find_renamed_record(study, paths, outcome.job, fingerprint)
            if other:
                renamed[outcome.job] = other.was
    return renamed


def list_to_do(job_outcomes: Iterable[Outcome], renamed: dict[Job, Job]) -> list[Job]:
    """Return the pending jobs, without those whose record only needs a new name."""
    return [o.job for o in job_outcomes if o.to_do and o.job not in renamed]


def describe_to_do(
    job_outcomes: Sequence[Outcome], renamed: dict[Job, Job], more_follow: bool = False
) -> str:
    """Return a table with the numbers of current, new and rerun records, and the reason for each rerun.

    `more_follow`: whether trainings follow that are no jobs yet.
    """
    lines = [
        *_describe_imports(job_outcomes),
        *_describe_reruns(job_outcomes),
        *_describe_kept(job_outcomes),
        *_describe_renamed(renamed),
    ]
    todo = [job for job in list_to_do(job_outcomes, renamed) if job.kind in TRAINING_KINDS]
    made = (o for o in job_outcomes if o.record is None or o.record.imported is None)
    trained = [o for o in made if o.status != "missing" and o.job.kind in TRAINING_KINDS]
    if not todo and not more_follow:
        lines.append("Nothing will be trained.")
    elif trained and not any(o.to_do for o in trained):
        lines.append("Nothing will be retrained.")
    table = tabulate(_count_experiments(job_outcomes, renamed), headers=HEADERS)
    return "\n".join([table, "", *lines])


def _count_experiments(job_outcomes: Sequence[Outcome], renamed: dict[Job, Job]) -> list[list]:
    groups: dict[Experiment, list[Outcome]] = {}
    for outcome in job_outcomes:
        job = outcome.job
        groups.setdefault(job.experiment, []).append(outcome)
    rows = []
    for key, members in groups.items():
        # A missing imported record is not made by the next run.
        new = [o for o in members if o.to_do and o.status == "missing" and o.job not in renamed]
        rerun = [o for o in members if o.to_do and o.status != "missing"]
        current = [o for o in members if (o.status == "ok" and not o.to_do) or o.job in renamed]
        variants, seeds = ({getattr(o.job, name) for o in members} for name in ("variant", "seed"))
        others = len(members) - len(new) - len(rerun) - len(current)
        counts = [len(part) for part in (variants, seeds, current, new, rerun)]
        rows.append([*key, *counts, others])
    return rows


def _describe_imports(job_outcomes: Iterable[Outcome]) -> list[str]:
    records = (o.record for o in job_outcomes)
    imported = [one.job for one in records if one and (one.imported or one.elsewhere)]
    if not imported:
        return []
    return [f"Imported: {count_noun(len(imported), 'record')}; nothing runs for them."]


def _describe_reruns(job_outcomes: Iterable[Outcome]) -> list[str]:
    rerun = [o for o in job_outcomes if o.to_do and o.status != "missing"]
    return [f"Rerun: {text}" for text in _group_by_reason(rerun)]


def _describe_kept(job_outcomes: Iterable[Outcome]) -> list[str]:
    kept = [o for o in job_outcomes if not o.to_do and o.status != "ok"]
    return [f"Kept: {text}" for text in _group_by_reason(kept)]


def _group_by_reason(job_outcomes: Iterable[Outcome]) -> list[str]:
    groups: dict[tuple[str, str, str, str], list[Job]] = {}
    for outcome in job_outcomes:
        job = outcome.job
        # The reason of an invalid record names its file, so each of these has its own line.
        reason = f"{outcome.status}: {outcome.reason}"
        groups.setdefault((reason, job.kind, job.dataset, job.recipe), []).append(job)
    return [
        f"{kind} on {dataset} with {recipe}, {_list_names(j.variant for j in jobs)} "
        f"({count_noun(len(jobs), 'record')}); {reason}"
        for (reason, kind, dataset, recipe), jobs in groups.items()
    ]


def _describe_renamed(renamed: dict[Job, Job]) -> list[str]:
    groups: dict[tuple, list[Job]] = {}
    for job, was in renamed.items():
        pair = tuple((o.kind, o.dataset, o.recipe, o.variant) for o in (was, job))
        groups.setdefault(pair, []).append(job)
    return [
        f"Renamed: {jobs[0].kind} {jobs[0].variant} on {jobs[0].dataset} with {jobs[0].recipe} was "
        f"{was[3]} on {was[1]} with {was[2]}: {count_noun(len(jobs), 'record')} reused"
        for (was, _), jobs in groups.items()
    ]


def _list_names(names: Iterable[str]) -> str:
    return list_names(dict.fromkeys(names), MAX_NAMED)
