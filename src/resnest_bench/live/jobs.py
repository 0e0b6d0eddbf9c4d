"""The title of a Snakemake job, and the records that it writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from resnest_bench.live.snapshot import LiveJob
from resnest_bench.paths import KINDS, Job
from resnest_bench.specs import StudySpec

TITLES = {
    "data": "prepare {dataset}",
    "weights": "fetch {hub}",
    "decide": "decide on more seeds, look {look}",
    "train": "train {variant} on {dataset} ({recipe})",
    "train_more": "train {variant} on {dataset} ({recipe}), seed {seed}",
    "propose": "decide on trials, round {number}",
    "trial": "train {variant} on {dataset} ({recipe}), seed {seed}",
    "time_trial": "latency {variant} on {dataset}, round {round}",
    "finetune": "finetune {variant} on {dataset} ({recipe})",
    "deploy": "deploy {variant} on {dataset} ({recipe})",
    "latency": "latency {variant} on {dataset}, round {round}",
}
# Rules of further seeds and networks, with one record each.
KIND_BY_RULE = {"train_more": "train", "trial": "train", "time_trial": "latency"}
# These only collect the files of other rules: they are not shown.
SILENT_RULES = frozenset({"all", "all_data"})


def make_live_job(
    rule: str, wildcards: Mapping[str, str], log: Sequence[str], study: StudySpec | None
) -> LiveJob:
    """Return the job of `rule`. The title of a foreign rule is its name and wildcards."""
    try:
        title = TITLES.get(rule, " ".join([rule, *wildcards.values()])).format(**wildcards)
    except (KeyError, ValueError, IndexError):
        title = rule
    jobs = _list_records(rule, wildcards, study) if study else ()
    return LiveJob(rule, title, jobs, Path(log[0]) if log else None)


def _list_records(rule: str, wildcards: Mapping[str, str], study: StudySpec) -> tuple[Job, ...]:
    """The records that one job of `rule` writes; a training writes one per seed."""
    kind = KIND_BY_RULE.get(rule, rule)
    if kind not in KINDS:
        return ()
    if rule in KIND_BY_RULE or kind == "latency":
        seeds = [int(wildcards["round" if kind == "latency" else "seed"])]
    else:
        seeds = list(study.seeds)
    dataset, recipe, variant = (wildcards[name] for name in ("dataset", "recipe", "variant"))
    return tuple(Job(kind, dataset, recipe, variant, seed) for seed in seeds)
