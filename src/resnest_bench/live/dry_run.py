"""A summary of what a run would do: jobs by rule, and the reason for each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnest_bench.live.jobs import SILENT_RULES, make_live_job
from resnest_bench.specs import StudySpec

MAX_JOBS = 20


class DryRun:
    """Collects the jobs of `snakemake --dry-run`."""

    def __init__(self) -> None:
        self.stats: Mapping[str, int] = {}
        self.jobs: dict[str, list[str]] = {}

    def add(self, fields: Mapping[str, Any], study: StudySpec | None) -> None:
        """Add a job that would run; `fields` are those of Snakemake's event job_info."""
        rule = fields["rule_name"]
        job = make_live_job(rule, dict(fields["wildcards"]), [], study)
        why = short_reason(str(fields["reason"]))
        self.jobs.setdefault(rule, []).append(f"{job.title}: {why}" if why else job.title)

    def lines(self) -> list[str]:
        """Return the summary, with at most MAX_JOBS jobs per rule."""
        if not self.jobs:
            return []
        num = self.stats.get("total", sum(map(len, self.jobs.values())))
        lines = [f"Would run {num} jobs. This was a dry run."]
        for rule, jobs in self.jobs.items():
            if rule in SILENT_RULES:
                continue
            lines += [f"{rule} ({len(jobs)})", *(f"  {job}" for job in jobs[:MAX_JOBS])]
            if more := len(jobs) - MAX_JOBS:
                lines += [f"  and {more} more"] if more > 0 else []
        return lines


def short_reason(reason: str) -> str:
    """Shorten Snakemake's reasons by omitting file names: 'params have changed since last execution'.

    If output files are missing, the other reasons are omitted.
    """
    names = [_name_reason(part) for part in reason.split("; ")]
    missing = [name for name in names if name == "missing output files"]
    return ", ".join(missing or filter(None, names))


def _name_reason(part: str) -> str:
    name, _, files = part.partition(":")
    file = Path(files.split(", ")[0].strip())
    # A file of our workflow, which says why a record is made again (redo_files in common.smk).
    if file.suffix == ".redo" and file.is_file():
        return file.read_text(encoding="utf-8")
    return name.strip().lower()
