"""Which seeds an adaptive study trains next, as text and as the file that the workflow reads."""

from pathlib import Path

from tabulate import tabulate

from resnest_bench import files
from resnest_bench.claims.next_seeds import decide, describe_seeds
from resnest_bench.formats import GAP, format_probability, format_significant
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import Look, StudySpec, read_looks
from resnest_bench.words import count_noun


def decide_next(
    study: StudySpec,
    paths: StudyPaths,
    number: int | None = None,
    file: Path | None = None,
    hours: float = 2.0,
) -> str:
    """Return the decision of a look (an interim analysis) as text, and write it to `file` as JSON.

    `number` is that of the look, from 0. The default is the next one, or the last one if no further look
    follows. `hours` is the time that the forecast is for. Raises UserError in the same cases as `decide`.
    """
    if number is None:
        looks = read_looks(study, paths)
        number = len(looks) - 1 if looks and looks[-1].stop else len(looks)
    look = decide(study, paths, number)
    if file:
        files.write_text(file, look.model_dump_json(indent=1) + "\n")
    return look_text(look, hours)


def forecast_text(look: Look, hours: float) -> str:
    """What the next `hours` of training would probably decide, the best chance per minute first."""
    open_claims = [c for c in look.claims if c.minutes is not None and c.probability is not None]
    if not open_claims:
        return ""
    ordered = sorted(open_claims, key=lambda c: -(c.probability or 0) / max(c.minutes or 0, 1e-9))
    taken, left = [], 60 * hours
    for claim in ordered:
        if (claim.minutes or 0) <= left:
            taken.append(claim)
            left -= claim.minutes or 0
    if not taken:
        first = min(claim.minutes or 0 for claim in ordered)
        return f"The next step of any claim takes more than {hours:g} hours: {first:.3g} minutes at least."
    lines = [
        f"{claim.name}: {claim.minutes:.3g} minutes, decided with probability {format_probability(claim.probability)}"
        for claim in taken
    ]
    expected = sum(claim.probability or 0 for claim in taken)
    head = (
        f"The next {hours:g} hours would take {count_noun(len(taken), 'claim')} one step on, and decide about "
        f"{expected:.1f} of them, if differences are as observed:"
    )
    return "\n".join([head, *(f"- {line}" for line in lines)])


def look_text(look: Look, hours: float = 2.0) -> str:
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
            f"this one at {100 * look.nominal_level:.3g} % (one-sided, before the correction over claims)",
            "",
            tabulate(shown, headers=headers, disable_numparse=True),
            "",
            f"Added so far: {budget.used_seeds} trainings, {budget.used_minutes:.3g} minutes; remaining: "
            f"{' and '.join(filter(None, left)) or 'no limit but max_seeds'}.",
            f"Next: {describe_seeds(look.jobs)}." if look.jobs else f"Stop: {look.stop}.",
            *filter(None, [forecast_text(look, hours)]),
        ]
    )
