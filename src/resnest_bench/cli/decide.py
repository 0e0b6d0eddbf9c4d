"""Which seeds an adaptive study trains next, as text and as the file that the workflow reads."""

from pathlib import Path

from tabulate import tabulate

from resnest_bench import files
from resnest_bench.claims.next_seeds import decide, describe_seeds
from resnest_bench.formats import GAP, format_significant
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import Look, StudySpec, read_looks


def decide_next(
    study: StudySpec, paths: StudyPaths, number: int | None = None, file: Path | None = None
) -> str:
    """Return the decision of a look (an interim analysis) as text, and write it to `file` as JSON.

    `number` is that of the look, from 0. The default is the next one, or the last one if no further look
    follows. Raises UserError in the same cases as `decide`.
    """
    if number is None:
        looks = read_looks(study, paths)
        number = len(looks) - 1 if looks and looks[-1].stop else len(looks)
    look = decide(study, paths, number)
    if file:
        files.write_text(file, look.model_dump_json(indent=1) + "\n")
    return look_text(look)


def look_text(look: Look) -> str:
    """Format a decision for a terminal: one line per claim, the next seeds, and the remaining budget."""
    rows = [
        [
            c.name,
            c.verdict,
            c.comparison,
            c.num_seeds,
            f"{c.look} of {look.num_looks}" if c.look else None,
            None if c.corrected_p is None else format_significant(c.corrected_p, 2),
            c.reason,
        ]
        for c in look.claims
    ]
    headers = ["claim", "verdict", "decided by", "n", "look", "corrected p", "next"]
    shown = [[GAP if cell is None else cell for cell in row] for row in rows]
    budget = look.budget
    left = [
        f"{budget.left_seeds} trainings" if budget.left_seeds is not None else "",
        f"{budget.left_minutes:.3g} minutes" if budget.left_minutes is not None else "",
    ]
    return "\n".join(
        [
            f"Decision {look.look} of study {look.study!r}: {look.num_looks} looks planned per comparison, "
            f"this one at {100 * look.nominal_level:.3g} % (two-sided, before the correction over claims)",
            "",
            tabulate(shown, headers=headers, disable_numparse=True),
            "",
            f"Added so far: {budget.used_seeds} trainings, {budget.used_minutes:.3g} minutes; remaining: "
            f"{' and '.join(filter(None, left)) or 'no limit but max_seeds'}.",
            f"Next: {describe_seeds(look.jobs)}." if look.jobs else f"Stop: {look.stop}.",
        ]
    )
