"""Where each network stands, for readers: which may be the best, and which ranks they may have."""

import pandas as pd

from resnest_bench.comparisons.standings import NOT_BEST, UNTESTED, list_best
from resnest_bench.formats import GAP, format_significant, is_known, row_dicts
from resnest_bench.stats.power import ALPHA
from resnest_bench.words import list_names

MAX_NAMES = 12


def describe_standings(standings: pd.DataFrame, about: str, names: int = MAX_NAMES) -> str:
    """Sentences: the best mean, and which others may be the best; empty with fewer than two networks.

    `about` is the population of the verdicts, as `describe_population` says it.
    """
    if len(standings) < 2:
        return ""
    best = standings["variant"].iloc[0]
    if standings["standing"].iloc[1:].eq(UNTESTED).all():
        return f"{best} has the best mean; which others may be the best takes three seeds each."
    rivals = list_best(standings)
    text = f"{best} has the best mean" + (f"; {list_names(rivals, names)}" if rivals else "")
    if rivals:
        text += " may be the best too" if len(rivals) == 1 else " may each be the best too"
    rest = int(standings["standing"].eq(NOT_BEST).sum())
    text += (
        f", the other {rest} are not" if rest > 1 else (", the other one is not" if rest else "")
    )
    text += (
        f" (for {about}; the truly best one is left out in at most {100 * ALPHA:.0f} % of studies)."
    )
    wide = standings.loc[standings["widely_spread"], "variant"].tolist()
    if wide:
        text += (
            f" {list_names(wide, names)} can't be excluded although a better mean is: too much spread over "
            "seeds."
        )
    return text


def standings_display(standings: pd.DataFrame) -> pd.DataFrame:
    """The standings as texts with readable headings."""
    return pd.DataFrame(
        [
            {
                "variant": row["variant"],
                "mean": format_significant(row["mean"], 4),
                "n": str(row["n"]),
                "standing": row["standing"],
                "rank": GAP
                if not is_known(row["rank_low"])
                else f"{row['rank_low']} to {row['rank_high']}",
                "group": row["groups"] or GAP,
            }
            for row in row_dicts(standings)
        ]
    )


STANDINGS_CAPTION = (
    "Standing: 'may be the best' if no other network is shown to be better (multiple comparison with the "
    "best). Rank: the ranks that a network may have, for all networks at once, so it says less. Networks "
    "that share a letter in 'group' don't differ significantly"
)
