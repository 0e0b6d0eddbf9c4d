"""Claims for readers: as files next to the other tables, and as lines on a terminal."""

from pathlib import Path

import pandas as pd

from resnest_bench.claims.verdicts import (
    CONTRADICTED,
    COUNTED,
    SUPPORTED,
    TIMED,
    TRAINED,
    UNDECIDED,
    VERDICTS,
)
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
from resnest_bench.report.captions import STALE, Caption
from resnest_bench.results import StudyResults
from resnest_bench.specs import StudySpec
from resnest_bench.specs.looks import planned_looks
from resnest_bench.stats.power import ALPHA
from resnest_bench.stats.sequential import nominal_levels
from resnest_bench.words import count_noun


def write_claims(results: StudyResults) -> list[Path]:
    """Write claims.csv (unrounded), .md and .tex, and claim_comparisons.csv; return the files."""
    study, folder = results.spec, results.paths.tables
    claims, hypotheses = results.claim_tables
    files = [folder / f"claims.{ending}" for ending in ("csv", "md", "tex")]
    files.append(folder / "claim_comparisons.csv")
    display, above = claims_display(claims), str(claims_caption(claims, study))
    below = [*data_notes(study, results.runs).values(), *claims_notes(claims)]
    write_csv(files[0], claims)
    lines = ["## Claims", "", escape_paragraph(above), "", markdown_table(display), ""]
    lines += markdown_bullets(below)
    write_text(files[1], "\n".join([*lines, ""]))
    label = f"{study.study}-claims"
    write_text(files[2], latex_table(display, above, label, below))
    write_csv(files[3], hypotheses)
    return files


def count_verdicts(table: pd.DataFrame) -> str:
    """'12 claims: 3 supported, 1 contradicted, 8 undecided'."""
    counts = table["verdict"].value_counts()
    parts = [f"{counts[word]} {word}" for word in VERDICTS if word in counts]
    return f"{count_noun(len(table), 'claim')}: {', '.join(parts)}"


def claims_caption(table: pd.DataFrame, study: StudySpec) -> Caption:
    """The caption of the claims: what verdicts and intervals mean."""
    level = f"{100 * ALPHA:.0f} %"
    tested = table[table["corrected_p"].notna() & table["family"].ne(COUNTED)]
    families = [
        f"{count} on {family}"
        for family, count in tested["family"].value_counts(sort=False).items()
    ]
    line = (
        f"Claims, study {study.study}: the probability that any verdict on {TRAINED}, or on {TIMED}, is "
        f"wrong is at most {level}"
    )
    method = [
        f"Verdicts are at {level} for all claims of a family together, by Bonferroni's correction over its "
        f"tested claims ({' and '.join(families) or 'none'})",
        *_explain_primary(tested),
        "The hypothesis is the one that decides the verdict; a claim holds only if all its hypotheses do",
        "The figure is its observed value with the 95 % interval, not corrected",
        "Accuracies are for new seeds on new test images, with the same training images; latencies are "
        "for new rounds on this machine",
        "Two seeds or rounds give no interval and no verdict",
        "'Required to decide' is an estimate for 80 % power at that level, if the true difference is the observed one",
        "Its range in brackets is for the 95 % interval of the spread",
    ]
    return Caption(line, (*method, *_explain_looks(table, study)))


def _explain_primary(tested: pd.DataFrame) -> list[str]:
    names = tested.loc[tested["primary"].fillna(False), "name"].tolist()
    if not names:
        return []
    return [
        f"Declared as primary: {', '.join(names)}. The other claims of its family are decided only if all "
        "primary ones are"
    ]


def _explain_looks(table: pd.DataFrame, study: StudySpec) -> list[str]:
    """How the interim analyses of an adaptive study change verdicts; empty if the seeds are fixed."""
    if study.adaptive is None:
        return []
    planned, taken = planned_looks(study), table["look"].max()
    schedule = study.adaptive.schedule(len(study.seeds))
    counts = f"{', '.join(map(str, schedule[:-1]))} and {schedule[-1]}"
    levels = [100 * level / 2 for level in nominal_levels(tuple(schedule), 2 * ALPHA)]
    so_far = f"up to {taken} were taken" if is_known(taken) else "none was taken yet"
    return [
        "The study is adaptive: seeds were added while a claim on a trained accuracy was undecided",
        f"{planned} interim analyses (looks) were planned, at {counts} seeds; {so_far}",
        f"The first look has the one-sided level {levels[0]:.2g} %, the last one {levels[-1]:.2g} % (O'Brien and "
        "Fleming's shape, by the union bound)",
        "P-values and intervals of such claims hold for all looks together",
        "No later look changes a verdict",
    ]


def claims_display(table: pd.DataFrame) -> pd.DataFrame:
    """The claims as texts with readable headings."""
    rows = [
        {
            "verdict": row["verdict"] + (" (stale)" if row["stale"] is True else ""),
            "claim": row["claim"],
            "hypothesis": row["comparison"] if is_known(row["comparison"]) else GAP,
            "figure": figure_text(row),
            "n": str(row["n"]) if is_known(row["n"]) else GAP,
            "corrected p": format_p_value(row["corrected_p"]),
            "required to decide": row["decides"] if is_known(row["decides"]) else GAP,
            "source": row["source"] or GAP,
        }
        for row in row_dicts(table)
    ]
    return pd.DataFrame(rows)


def claims_notes(table: pd.DataFrame, explained: pd.DataFrame | None = None) -> list[str]:
    """The reason for each verdict (or for those in `explained`), and the meaning of the marks."""
    rows = table if explained is None else explained
    lines = [f"{row['name']}: {row['explanation']}" for row in rows.to_dict("records")]
    if table["stale"].fillna(False).any():
        lines.append(STALE)
    return lines


def claims_summary(table: pd.DataFrame) -> str:
    """The verdicts for a terminal: a count, then one line per tested claim."""
    lines = markdown_bullets(
        [
            f"{row['verdict']}: {row['claim']} {row['explanation']}"
            for word in (SUPPORTED, CONTRADICTED, UNDECIDED)
            for row in table[table["verdict"] == word].to_dict("records")
        ]
    )
    head = f"{count_verdicts(table)} ({100 * ALPHA:.0f} % for all of a family together)"
    return "\n".join(["## Claims", "", head, *(["", *lines] if lines else []), ""])
