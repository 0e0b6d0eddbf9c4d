"""Claims for readers: as files beside the other tables, and as lines on a terminal."""

from pathlib import Path

import pandas as pd

from resnest_bench.claims.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, VERDICTS
from resnest_bench.claims.wording import figure_text
from resnest_bench.files import write_text
from resnest_bench.formats import (
    GAP,
    escape_paragraph,
    format_p_value,
    is_known,
    latex_table,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.frames.files import write_csv
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.specs.looks import planned_looks
from resnest_bench.stats.power import ALPHA
from resnest_bench.words import count_noun


def write_claims(results: StudyResults) -> list[Path]:
    """claims.csv (unrounded), .md and .tex, and claim_comparisons.csv; return the files."""
    study, folder = results.spec, results.paths.tables
    claims, comparisons = results.claim_tables
    files = [folder / f"claims.{ending}" for ending in ("csv", "md", "tex")]
    files.append(folder / "claim_comparisons.csv")
    display, above = claims_display(claims), claims_caption(claims, study)
    below = [*data_notes(study, results.runs).values(), *claims_notes(claims)]
    write_csv(files[0], claims)
    lines = ["## Claims", "", escape_paragraph(above), "", markdown_table(display), ""]
    lines += markdown_bullets(below)
    write_text(files[1], "\n".join([*lines, ""]))
    label = f"{study.study}-claims"
    write_text(files[2], latex_table(display, above, label, below))
    write_csv(files[3], comparisons)
    return files


def counts_text(table: pd.DataFrame) -> str:
    """'12 claims: 3 supported, 1 contradicted, 8 undecided'."""
    counts = table["verdict"].value_counts()
    parts = [f"{counts[word]} {word}" for word in VERDICTS if word in counts]
    return f"{count_noun(len(table), 'claim')}: {', '.join(parts)}"


def claims_caption(table: pd.DataFrame, study: StudySpec) -> str:
    """One paragraph above the table: what verdicts and intervals mean."""
    num_tested = int(table["holm_p"].notna().sum())
    return (
        f"Claims, study {study.study}. Verdicts at {100 * ALPHA:.0f} % for all claims together (Holm's "
        f"correction over the {num_tested} that could be tested): the probability that any of them is "
        "wrong is at most that. Figure: of the comparison that the verdict hangs on, with its 95 % "
        "interval, not corrected; accuracies for new seeds on new test images (the training images stay "
        "the same), latencies for new rounds on this machine. Two seeds or rounds give no interval and "
        "no verdict. What would decide a claim is an estimate: for 80 % power at the difference seen, in "
        "brackets as far as these seeds tell their own spread." + _adaptive_text(table, study)
    )


def _adaptive_text(table: pd.DataFrame, study: StudySpec) -> str:
    """What the looks of an adaptive study change; empty where the seeds are fixed."""
    if study.adaptive is None:
        return ""
    planned, taken = planned_looks(study), table["look"].max()
    schedule = study.adaptive.schedule(len(study.seeds))
    counts = f"{', '.join(map(str, schedule[:-1]))} and {schedule[-1]}"
    level = 100 * ALPHA / planned
    return (
        f" The study was adaptive: seeds were added where a claim on a trained accuracy was undecided. "
        f"{planned} looks were planned, at {counts} seeds; "
        f"{f'{taken} at most were taken' if is_known(taken) else 'none was taken yet'}. Each is at the "
        f"nominal level of {level:.3g} % (Bonferroni over looks, then Holm over claims); p-values allow "
        f"for all looks, and the 95 % intervals of such claims hold at all looks together ({100 - level:.4g} "
        "% at each one). A verdict stays from the look that made it."
    )


def claims_display(table: pd.DataFrame) -> pd.DataFrame:
    """The claims as texts under readable headings."""
    rows = [
        {
            "verdict": row["verdict"] + (" (stale)" if row["stale"] is True else ""),
            "claim": row["claim"],
            "comparison": row["comparison"] if is_known(row["comparison"]) else GAP,
            "figure": figure_text(row),
            "n": str(row["n"]) if is_known(row["n"]) else GAP,
            "p (Holm)": format_p_value(row["holm_p"]),
            "would decide": row["decides"] if is_known(row["decides"]) else GAP,
            "source": row["source"] or GAP,
        }
        for row in row_dicts(table)
    ]
    return pd.DataFrame(rows)


def claims_notes(table: pd.DataFrame, explained: pd.DataFrame | None = None) -> list[str]:
    """Why each claim (or those of `explained` alone) has its verdict, then what the marks mean."""
    rows = table if explained is None else explained
    found = [f"{row['name']}: {row['explanation']}" for row in rows.to_dict("records")]
    if table["stale"].fillna(False).any():
        found.append("(stale): made by another spec, code or data than the study's is now")
    return found


def claims_summary(table: pd.DataFrame) -> str:
    """The verdicts for a terminal: a count, then a line a claim that was tested."""
    lines = markdown_bullets(
        [
            f"{row['verdict']}: {row['claim']} {row['explanation']}"
            for word in (SUPPORTED, CONTRADICTED, UNDECIDED)
            for row in table[table["verdict"] == word].to_dict("records")
        ]
    )
    head = f"{counts_text(table)} ({100 * ALPHA:.0f} % for all together)"
    return "\n".join(["## Claims", "", head, *(["", *lines] if lines else []), ""])
