"""Networks over several data sets, for readers: as a file and as sentences."""

from pathlib import Path

import pandas as pd

from resnest_bench.comparisons.datasets import WORSE, DatasetComparison
from resnest_bench.files import write_text
from resnest_bench.formats import (
    escape_paragraph,
    format_p_value,
    format_significant,
    is_known,
    markdown_bullets,
    markdown_table,
    row_dicts,
)
from resnest_bench.frames.files import write_csv
from resnest_bench.report.captions import Caption
from resnest_bench.results import StudyResults
from resnest_bench.stats.power import ALPHA
from resnest_bench.tables.headline import metric_words


def write_dataset_ranks(results: StudyResults) -> list[Path]:
    """Write dataset_ranks.csv (unrounded) and .md; nothing for a study with fewer than two data sets."""
    found = results.dataset_comparison
    if found is None or not len(found.ranks):
        return []
    files = [results.paths.tables / f"dataset_ranks.{ending}" for ending in ("csv", "md")]
    write_csv(files[0], found.ranks)
    lines = ["## Ranks over data sets", "", escape_paragraph(str(datasets_caption(found))), ""]
    lines += [markdown_table(ranks_display(found.ranks)), "", *markdown_bullets(list(found.notes))]
    write_text(files[1], "\n".join([*lines, ""]))
    return files


def describe_ranks(found: DatasetComparison) -> str:
    """Sentences: whether the networks differ over the data sets, and which are worse than the best."""
    if not len(found.ranks):
        return ""
    count = len(found.experiments)
    if not is_known(found.p):
        return ""
    p = format_p_value(found.p)
    if found.p > ALPHA:
        return f"Over {count} data sets no difference in mean ranks is shown (Friedman's test: p = {p})."
    worse = int(found.ranks["standing"].eq(WORSE).sum())
    best = found.ranks["variant"].iloc[0]
    return (
        f"Over {count} data sets the networks differ in their mean ranks (Friedman's test: p = {p}). "
        f"{best} has the best one; {worse} of the other {len(found.ranks) - 1} are significantly worse."
    )


def datasets_caption(found: DatasetComparison) -> Caption:
    """The caption of the ranks: what is ranked, and how it is tested."""
    metric = metric_words(found.ranks["metric"].iloc[0]) if len(found.ranks) else "test accuracy"
    trained = "; ".join(f"{e.dataset} by {e.recipe}" for e in found.experiments)
    return Caption(
        f"Ranks of the networks by their mean {metric} on each data set ({trained})",
        (
            "1 is the best; ties share the mean rank",
            "All have the same mean rank: tested by Friedman's test, in Iman and Davenport's form",
            "A network is significantly worse if its mean rank is behind the best one by more than Nemenyi's "
            f"critical difference, at {100 * ALPHA:.0f} % for all pairs (Demsar 2006)",
            "It holds for new data sets like these, not for new seeds",
        ),
    )


def ranks_display(ranks: pd.DataFrame) -> pd.DataFrame:
    """The ranks as texts with readable headings, with one column for each data set."""
    rows = []
    for row in row_dicts(ranks):
        single = zip(row["datasets"], row["ranks"], strict=True)
        rows.append(
            {
                "variant": row["variant"],
                "mean rank": format_significant(row["mean_rank"], 3),
                "standing": row["standing"],
                **{f"rank on {dataset}": f"{rank:g}" for dataset, rank in single},
            }
        )
    return pd.DataFrame(rows)
