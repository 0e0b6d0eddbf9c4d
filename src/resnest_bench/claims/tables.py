"""Claims as tables: one row per claim, and one row per hypothesis."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from resnest_bench.claims.hypotheses import HypothesisTest
from resnest_bench.claims.verdicts import UNTESTED, ClaimResult, claim_results
from resnest_bench.claims.wording import claim_figure, explain_verdict, least_margin, shown_value
from resnest_bench.frames.typed import make_frame
from resnest_bench.specs import StudySpec
from resnest_bench.specs.claims import TIMED_METRICS, ClaimTest, TrainedRow
from resnest_bench.stats.multiplicity import holm
from resnest_bench.status.outcomes import Outcome

CLAIM_COLUMNS = {
    **dict.fromkeys(["name", "claim", "source", "test", "metric", "verdict", "comparison"], "str"),
    **dict.fromkeys(["estimate", "low", "high"], "float64"),
    "unit": "str",
    **dict.fromkeys(["n", "num_comparisons", "num_tested"], "Int64"),
    **dict.fromkeys(["p_for", "p_against", "p", "corrected_p"], "float64"),
    "family": "str",
    "family_size": "Int64",
    "primary": "boolean",
    "least_margin": "float64",
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
    **dict.fromkeys(["lead", "stale", "only_seeds"], "boolean"),
    **dict.fromkeys(["seeds", "seed_values"], "object"),
    **dict.fromkeys(["dataset_label", "device", "noise", "status"], "str"),
}


def claim_tables(
    study: StudySpec,
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    job_outcomes: Iterable[Outcome],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`claims_table` and `comparisons_table` of a study; arguments as in `claim_results`."""
    results = claim_results(study, runs, cells, job_outcomes)
    return claims_table(results), comparisons_table(results)


def claims_table(results: Sequence[ClaimResult]) -> pd.DataFrame:
    """One row per claim, in the study's order.

    `verdict` is one of VERDICTS, at 5 % for all claims of a family together. `explanation` gives the
    reason, with the data, the number of seeds and, for a latency, the device.

    `comparison` is the deciding hypothesis. `estimate` is its observed value with the 95 % interval
    `low` to `high`, in `unit`: points of accuracy or a ratio (first over second); for one variant alone
    %, ms or a count. `n` is its number of seeds or rounds. `p_for` and `p_against` are for the whole
    claim and `p` is the smaller one. `corrected_p` is for the `family_size` claims of its `family`
    together, after the `primary` ones. `least_margin` is the smallest margin of an equivalence that these
    data would support, in `unit`.

    `seeds_needed` is an estimate: the required seeds of each network (or rounds), if the true difference
    is the observed one. `_low` and `_high` are for the limits of the 95 % interval of its standard
    deviation. It is NA, with the reason in `decides`, if no number is enough. In an adaptive study
    p-values and intervals hold for all looks together: `look` of `num_looks` planned. Nothing is rounded.
    """
    rows = [_claim_row(result) for result in results]
    return make_frame(rows, CLAIM_COLUMNS)


def comparisons_table(results: Sequence[ClaimResult]) -> pd.DataFrame:
    """One row per hypothesis of each claim (`name`).

    Columns are those of `claims_table`, and these. The claim says that the estimate is between
    `claimed_low` and `claimed_high`, which may be infinite. `std` is over seeds, in points; for a ratio
    it is that of its logarithm. `holm_p_against` is corrected over the claim's hypotheses. `lead` marks
    the deciding one. `seeds` and `seed_values` hold lists. `noise` says whether two latencies differ by
    more than the noise floor of their device; no verdict depends on it. `status` is 'ok' or says what
    is missing.
    """
    rows = [row for result in results for row in _comparison_rows(result)]
    return make_frame(rows, COMPARISON_COLUMNS)


def _claim_row(result: ClaimResult) -> dict[str, Any]:
    test, deciding_test = result.claim.test, result.deciding_test
    measurement = deciding_test and deciding_test.measurement
    required = result.plan and result.plan.required
    figure = claim_figure(test, deciding_test)
    return {
        "name": result.claim.name,
        "claim": result.claim.claim,
        "source": result.claim.source,
        "test": test.kind,
        "metric": test.metric,
        "verdict": result.verdict,
        "comparison": deciding_test and deciding_test.hypothesis.text,
        **figure,
        "num_comparisons": len(result.required_tests),
        "num_tested": len(result.completed_tests),
        **{name: getattr(result, name) for name in ("p_for", "p_against", "p", "corrected_p")},
        "family": result.family,
        "family_size": result.family_size,
        "primary": result.claim.primary,
        "least_margin": least_margin(result),
        "seeds_needed": required and required.seeds,
        "seeds_needed_low": required and required.at_low_sd,
        "seeds_needed_high": required and required.at_high_sd,
        "decides": result.plan.describe(result.timed) if result.plan else None,
        "explanation": explain_verdict(result, figure),
        "stale": any(one.measurement.stale for one in result.tests if one.measurement),
        "dataset": result.experiment and result.experiment.dataset,
        "dataset_label": result.label,
        "recipe": _join_recipes(result),
        "num_test": measurement.num_images if measurement else None,
        "batch_size": test.batch_size if result.timed else None,
        "device": measurement.device if measurement else None,
        "look": result.looks and result.looks.taken,
        "num_looks": result.looks and result.looks.planned,
    }


def _join_recipes(result: ClaimResult) -> str | None:
    """The recipes that the claim is about; the protocol of a latency."""
    if result.experiment is None:
        return None
    own = [s.recipe if isinstance(s, TrainedRow) else None for s in result.claim.test.sides]
    recipes = [recipe or result.experiment.recipe for recipe in own or [None]]
    return ", ".join(dict.fromkeys(recipes))


def _comparison_rows(result: ClaimResult) -> list[dict[str, Any]]:
    test = result.claim.test
    corrected = holm(np.array([one.p_against for one in result.tests], dtype=float))
    return [
        {
            "name": result.claim.name,
            "comparison": one.hypothesis.text,
            **dict(zip("ab", map(str, one.hypothesis.variants), strict=False)),
            "metric": (about := one.hypothesis.narrow(test)).metric,
            "batch_size": test.batch_size if about.metric in TIMED_METRICS else None,
            **claim_figure(test, one),
            "claimed_low": shown_value(about, one.hypothesis.low),
            "claimed_high": shown_value(about, one.hypothesis.high),
            **_measured_values(test, one),
            "p_for": one.p_for,
            "p_against": one.p_against,
            "holm_p_against": corrected[i],
            "lead": one is result.deciding_test and result.verdict != UNTESTED,
            "dataset_label": result.label,
            "status": _status(one),
        }
        for i, one in enumerate(result.tests)
    ]


def _measured_values(test: ClaimTest, hypothesis_test: HypothesisTest) -> dict[str, Any]:
    test, measurement = hypothesis_test.hypothesis.narrow(test), hypothesis_test.measurement
    if measurement is None:
        return {"seeds": [], "seed_values": []}
    values = measurement.seed_values
    return {
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "num_images": measurement.num_images,
        "stale": measurement.stale,
        "only_seeds": measurement.only_seeds,
        "seeds": list(measurement.seeds),
        "seed_values": [shown_value(test, value) for value in values],
        "device": measurement.device,
        "noise": measurement.noise or None,
    }


def _status(hypothesis_test: HypothesisTest) -> str:
    notes = hypothesis_test.measurement.notes if hypothesis_test.measurement else ()
    return "; ".join(filter(None, [hypothesis_test.reason, *notes])) or "ok"
