"""Claims as tables: one row a claim, and one row an elementary comparison."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.claims.hypotheses import Comparison
from resnest_bench.claims.verdicts import UNTESTED, ClaimResult, claim_results
from resnest_bench.claims.wording import claim_figure, decides_text, explanation, shown_value
from resnest_bench.frames.typed import make_frame
from resnest_bench.specs import StudySpec
from resnest_bench.specs.claims import ClaimTest
from resnest_bench.stats.multiplicity import holm
from resnest_bench.status.outcomes import Outcome

CLAIM_COLUMNS = {
    **dict.fromkeys(["name", "claim", "source", "test", "metric", "verdict", "comparison"], "str"),
    **dict.fromkeys(["estimate", "low", "high"], "float64"),
    "unit": "str",
    **dict.fromkeys(["n", "num_comparisons", "num_tested"], "Int64"),
    **dict.fromkeys(["p_for", "p_against", "p", "holm_p"], "float64"),
    **dict.fromkeys(["seeds_needed", "seeds_needed_low", "seeds_needed_high"], "Int64"),
    **dict.fromkeys(["decides", "explanation"], "str"),
    "stale": "boolean",
    **dict.fromkeys(["dataset", "dataset_label", "recipe"], "str"),
    **dict.fromkeys(["num_test", "batch_size"], "Int64"),
    "device": "str",
    **dict.fromkeys(["look", "num_looks"], "Int64"),
}
COMPARISON_COLUMNS = {
    **dict.fromkeys(["name", "comparison", "a", "b", "metric"], "str"),
    **dict.fromkeys(["estimate", "low", "high"], "float64"),
    "unit": "str",
    **dict.fromkeys(["claimed_low", "claimed_high", "std"], "float64"),
    **dict.fromkeys(["n", "num_images", "batch_size"], "Int64"),
    **dict.fromkeys(["p_for", "p_against", "holm_p_against"], "float64"),
    **dict.fromkeys(["lead", "stale"], "boolean"),
    **dict.fromkeys(["seeds", "seed_values"], "object"),
    **dict.fromkeys(["dataset_label", "device", "noise", "status"], "str"),
}


def claim_tables(
    study: StudySpec, runs: pd.DataFrame, cells: pd.DataFrame, found: Iterable[Outcome]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`claims_table` and `comparisons_table` of a study; arguments as in `claim_results`."""
    results = claim_results(study, runs, cells, found)
    return claims_table(results), comparisons_table(results)


def claims_table(results: Sequence[ClaimResult]) -> pd.DataFrame:
    """One row for each claim, in the study's order.

    `verdict` is one of VERDICTS, at 5 % for all claims of the table together; `explanation` says why,
    with data, number of seeds and, of a latency, the device. `comparison` is the one that the verdict
    hangs on, `estimate` with its 95 % interval `low` to `high` what was seen of it, in `unit`: points
    of accuracy or a ratio (first over second); of one variant alone %, ms or a count. `n` is its number
    of seeds or rounds. `p_for` and `p_against` are of the whole claim, `p` is twice the smaller one,
    `holm_p` corrected. `seeds_needed` is the number of paired seeds (rounds) in all that would decide
    an undecided claim at what was seen, `_low` and `_high` the same at the ends of the spread's 95 %
    interval: an estimate; NA with the reason in `decides` where there is none. `look` of `num_looks`
    planned, of an adaptive study: its p-values and intervals are of all looks together. Nothing is
    rounded.
    """
    rows = [_claim_row(result) for result in results]
    return make_frame(rows, CLAIM_COLUMNS)


def comparisons_table(results: Sequence[ClaimResult]) -> pd.DataFrame:
    """One row for each elementary comparison of each claim (`name`).

    Columns as in `claims_table`; the claim says that the estimate lies between `claimed_low` and
    `claimed_high` (infinite: no end). `std` is over seeds, in points, of a ratio that of its
    logarithm. `holm_p_against` is corrected over the claim's comparisons. `lead` marks the one that
    the verdict hangs on. `seeds` and `seed_values` hold lists. `noise` says of two latencies whether
    they differ by more than the noise floor of their device, which no verdict rests on. `status` is
    'ok' or says what is missing.
    """
    rows = [row for result in results for row in _comparison_rows(result)]
    return make_frame(rows, COMPARISON_COLUMNS)


def _claim_row(result: ClaimResult) -> dict[str, Any]:
    test, lead = result.claim.test, result.lead
    measured = lead and lead.measured
    needed = result.plan and result.plan.needed
    figure = claim_figure(test, lead)
    return {
        "name": result.claim.name,
        "claim": result.claim.claim,
        "source": result.claim.source,
        "test": test.kind,
        "metric": test.metric,
        "verdict": result.verdict,
        "comparison": lead and lead.question.text,
        **figure,
        "num_comparisons": len(result.asked),
        "num_tested": len(result.tested),
        **{name: getattr(result, name) for name in ("p_for", "p_against", "p", "holm_p")},
        "seeds_needed": needed and needed.seeds,
        "seeds_needed_low": needed and needed.at_low_sd,
        "seeds_needed_high": needed and needed.at_high_sd,
        "decides": decides_text(result.plan, result.timed),
        "explanation": explanation(result, figure),
        "stale": any(c.measured.stale for c in result.comparisons if c.measured),
        "dataset": result.experiment and result.experiment.dataset,
        "dataset_label": result.label,
        "recipe": result.experiment and result.experiment.recipe,
        "num_test": measured.num_images if measured else None,
        "batch_size": test.batch_size if result.timed else None,
        "device": measured.device if measured else None,
        "look": result.looks and result.looks.taken,
        "num_looks": result.looks and result.looks.planned,
    }


def _comparison_rows(result: ClaimResult) -> list[dict[str, Any]]:
    test = result.claim.test
    corrected = holm(np.array([c.p_against for c in result.comparisons], dtype=float))
    return [
        {
            "name": result.claim.name,
            "comparison": comparison.question.text,
            **dict(zip("ab", comparison.question.variants, strict=False)),
            "metric": test.metric,
            "batch_size": test.batch_size if result.timed else None,
            **claim_figure(test, comparison),
            "claimed_low": shown_value(test, comparison.question.low),
            "claimed_high": shown_value(test, comparison.question.high),
            **_raw(test, comparison),
            "p_for": comparison.p_for,
            "p_against": comparison.p_against,
            "holm_p_against": corrected[i],
            "lead": comparison is result.lead and result.verdict != UNTESTED,
            "dataset_label": result.label,
            "status": _status(comparison),
        }
        for i, comparison in enumerate(result.comparisons)
    ]


def _raw(test: ClaimTest, comparison: Comparison) -> dict[str, Any]:
    measured = comparison.measured
    if measured is None:
        return {"seeds": [], "seed_values": []}
    values = measured.per_seed
    return {
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "num_images": measured.num_images,
        "stale": measured.stale,
        "seeds": list(measured.seeds),
        "seed_values": [shown_value(test, value) for value in values],
        "device": measured.device,
        "noise": measured.noise or None,
    }


def _status(comparison: Comparison) -> str:
    notes = comparison.measured.notes if comparison.measured else ()
    return "; ".join(filter(None, [comparison.reason, *notes])) or "ok"
