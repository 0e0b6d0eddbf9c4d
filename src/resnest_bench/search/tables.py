"""The tables of a search: trials, families, finalists, and the best against the budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import JsonValue

from resnest_bench.formats import is_known
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import StudyPaths
from resnest_bench.search.results import TrialResult, read_results
from resnest_bench.search.selecting import find_front
from resnest_bench.specs import StudySpec
from resnest_bench.specs.rounds import Finalist, SearchRound, read_rounds
from resnest_bench.stats.pareto import pareto_front
from resnest_bench.stats.summary import PERCENT, summarise
from resnest_bench.stats.tuning import tuning_curve

TRIAL_COLUMNS = {
    "family": "str",
    "trial": "Int64",
    "round": "Int64",
    "settings": "str",
    "status": "str",
    "reason": "str",
    "epochs": "Int64",
    "validation_accuracy_percent": "Float64",
    "latency_ms": "Float64",
    "trainings": "Float64",
    "minutes": "Float64",
    "used_trainings": "Float64",
    "used_minutes": "Float64",
    "best_percent": "Float64",
    "on_front": "boolean",
    "finalist": "Int64",
}
FAMILY_COLUMNS = {
    "family": "str",
    "sampler": "str",
    "num_rounds": "Int64",
    "budget_trainings": "Float64",
    "budget_minutes": "Float64",
    "used_trainings": "Float64",
    "used_minutes": "Float64",
    "num_proposed": "Int64",
    "num_ok": "Int64",
    "num_shortened": "Int64",
    "num_failed": "Int64",
    "num_skipped": "Int64",
    "num_repeated": "Int64",
    "num_waiting": "Int64",
    "best_percent": "Float64",
}
FINALIST_COLUMNS = {
    "family": "str",
    "variant": "str",
    "rank": "Int64",
    "trial": "Int64",
    "settings": "str",
    "num_trials": "Int64",
    "selected_percent": "Float64",
    "new_validation_percent": "Float64",
    "confirmed_percent": "Float64",
    "confirmed_low_percent": "Float64",
    "confirmed_high_percent": "Float64",
    "confirmed_seed_percents": "object",
    "n": "Int64",
    "luck_points": "Float64",
    "gap_points": "Float64",
    "search_latency_ms": "Float64",
    "latency_ms": "Float64",
    "on_front_before": "boolean",
    "on_front_after": "boolean",
    "num_test": "Int64",
    "dataset_label": "str",
    "status": "str",
}
CURVE_COLUMNS = {
    "family": "str",
    "n": "Int64",
    "expected_percent": "Float64",
    "median_low_percent": "Float64",
    "median_high_percent": "Float64",
    "num_trials": "Int64",
}


@dataclass(frozen=True)
class SearchTables:
    """What a search has found so far.

    Attributes:
        trials: one row per proposed trial, in the order of the rounds.
        families: one row per family: its budget, and what became of its trials.
        finalists: one row per trial that new seeds confirm on test images.
        curves: one row per family and number of trials: the expected best of so many.
        stop: why the search has ended; '' if it goes on.
        num_rounds: how many rounds were decided.
    """

    trials: pd.DataFrame
    families: pd.DataFrame
    finalists: pd.DataFrame
    curves: pd.DataFrame
    stop: str = ""
    num_rounds: int = 0


def no_search() -> SearchTables:
    """The empty tables of a study without a search."""
    return SearchTables(
        trials=make_frame([], TRIAL_COLUMNS),
        families=make_frame([], FAMILY_COLUMNS),
        finalists=make_frame([], FINALIST_COLUMNS),
        curves=make_frame([], CURVE_COLUMNS),
    )


def make_search_tables(
    study: StudySpec,
    paths: StudyPaths,
    fingerprints: Mapping[str, str],
    runs: pd.DataFrame,
    epochs: pd.DataFrame,
    cells: pd.DataFrame,
) -> SearchTables:
    """Return the tables of a study's search; empty ones without a search.

    Args:
        study: with or without what its search added.
        paths: of the study.
        fingerprints: of its data.
        runs, epochs, cells: the study's frames, with the finalists. Test accuracies are those of finalists.

    Raises UserError for a damaged file of a round.
    """
    study = study.as_configured
    if study.search is None:
        return no_search()
    rounds = read_rounds(study, paths)
    results = read_results(study, paths, rounds, fingerprints)
    finalists = rounds[-1].finalists if rounds else ()
    return SearchTables(
        trials=_list_trials(study, results, finalists),
        families=_count_families(study, rounds, results),
        finalists=_confirm(study, results, finalists, runs, epochs, cells),
        curves=_list_curves(study, results),
        stop=rounds[-1].stop if rounds else "",
        num_rounds=len(rounds),
    )


def describe_settings(settings: Mapping[str, JsonValue]) -> str:
    """Format like 'learning_rate 0.044, crop pad4, radix[0] 2'."""
    return ", ".join(f"{key.partition('.')[2]} {_short(v)}" for key, v in settings.items())


def _short(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return " ".join(f"{key} {_short(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "-".join(map(_short, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _list_trials(
    study: StudySpec, results: Sequence[TrialResult], finalists: Sequence[Finalist]
) -> pd.DataFrame:
    assert study.search
    epochs = study.recipe(study.search.recipe).epochs
    ranks = {(one.family, one.number): one.rank for one in finalists}
    fronts = {
        (one.trial.family, one.trial.number)
        for family in study.search.family_names
        for one in find_front([r for r in results if r.trial.family == family])
    }
    used: dict[str, list[float]] = {}
    rows = []
    for one in results:
        family, key = one.trial.family, (one.trial.family, one.trial.number)
        totals = used.setdefault(family, [0.0, 0.0, -1.0])
        totals[0] += one.trainings
        totals[1] += one.minutes
        if one.status == "ok" and one.epochs == epochs:
            totals[2] = max(totals[2], one.accuracy or 0.0)
        rows.append(
            {
                "family": family,
                "trial": one.trial.number,
                "round": one.round,
                "settings": describe_settings(one.trial.settings),
                "status": _status(one, epochs),
                "reason": one.reason,
                "epochs": one.epochs or None,
                "validation_accuracy_percent": _percent(one.accuracy),
                "latency_ms": one.latency_ms,
                "trainings": one.trainings,
                "minutes": one.minutes,
                "used_trainings": totals[0],
                "used_minutes": totals[1],
                "best_percent": _percent(totals[2]) if totals[2] >= 0 else None,
                "on_front": key in fronts if study.search.latency else None,
                "finalist": ranks.get(key),
            }
        )
    return make_frame(rows, TRIAL_COLUMNS)


def _status(one: TrialResult, epochs: int) -> str:
    return "shortened" if one.status == "ok" and one.epochs < epochs else one.status


def _count_families(
    study: StudySpec, rounds: Sequence[SearchRound], results: Sequence[TrialResult]
) -> pd.DataFrame:
    search = study.search
    assert search
    epochs = study.recipe(search.recipe).epochs
    rows = []
    for family in search.family_names:
        own = [one for one in results if one.trial.family == family]
        statuses = [_status(one, epochs) for one in own]
        whole = [one.accuracy for one in own if one.status == "ok" and one.epochs == epochs]
        counts = ("ok", "shortened", "failed", "skipped", "repeated", "waiting")
        rows.append(
            {
                "family": family,
                "sampler": search.sampler,
                "num_rounds": len(rounds),
                "budget_trainings": search.budget.trainings,
                "budget_minutes": search.budget.minutes,
                "used_trainings": sum(one.trainings for one in own),
                "used_minutes": sum(one.minutes for one in own),
                "num_proposed": len(own),
                **{f"num_{name}": statuses.count(name) for name in counts},
                "best_percent": _percent(max((a for a in whole if a is not None), default=None)),
            }
        )
    return make_frame(rows, FAMILY_COLUMNS)


def _list_curves(study: StudySpec, results: Sequence[TrialResult]) -> pd.DataFrame:
    """Of trials with all epochs only: with halving there are too few, and they are chosen."""
    search = study.search
    assert search
    rows = []
    for family in search.family_names if search.halving is None else ():
        # A failed trial gives no network: it is worth nothing.
        ended = [one for one in results if one.trial.family == family and one.trainings]
        ended = [one for one in ended if one.status in ("ok", "failed")]
        if not ended:
            continue
        scores = [one.accuracy or 0.0 if one.status == "ok" else 0.0 for one in ended]
        curve = tuning_curve(pd.Series(scores).to_numpy())
        rows += [
            {
                "family": family,
                "n": n + 1,
                "expected_percent": 100 * curve.expected[n],
                "median_low_percent": 100 * curve.low[n],
                "median_high_percent": 100 * curve.high[n],
                "num_trials": len(ended),
            }
            for n in range(len(ended))
        ]
    return make_frame(rows, CURVE_COLUMNS)


def _confirm(
    study: StudySpec,
    results: Sequence[TrialResult],
    finalists: Sequence[Finalist],
    runs: pd.DataFrame,
    epochs: pd.DataFrame,
    cells: pd.DataFrame,
) -> pd.DataFrame:
    search = study.search
    assert search
    known = {(one.trial.family, one.trial.number): one for one in results}
    counts = {
        family: sum(r.trial.family == family and r.trainings > 0 for r in results)
        for family in search.family_names
    }
    rows = []
    for finalist in finalists:
        trial = known[finalist.family, finalist.number]
        name = search.finalist_name(finalist.family, finalist.rank)
        rows.append(
            {
                "family": finalist.family,
                "variant": name,
                "rank": finalist.rank,
                "trial": finalist.number,
                "settings": describe_settings(trial.trial.settings),
                "num_trials": counts[finalist.family],
                "selected_percent": _percent(trial.accuracy),
                "search_latency_ms": trial.latency_ms,
                "latency_ms": _mean_latency(cells, name),
                **_read_confirmation(study, name, trial, runs, epochs),
            }
        )
    return make_frame(_mark_fronts(rows), FINALIST_COLUMNS)


def _read_confirmation(
    study: StudySpec, name: str, trial: TrialResult, runs: pd.DataFrame, epochs: pd.DataFrame
) -> dict[str, Any]:
    """The finalist's new seeds: accuracies on test images, and on their own validation images."""
    search = study.search
    assert search

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        named = (frame["variant"] == name) & (frame["recipe"] == search.name)
        found: pd.DataFrame = frame[named & (frame["kind"] == "train")]
        return found

    own = select(runs)
    usable = own[own["test_accuracy"].notna()]
    tested = [100 * float(value) for value in usable["test_accuracy"]]
    summary = summarise(tested, PERCENT)
    last = select(epochs).sort_values("epoch").groupby("seed").tail(1)
    validation = last["validation_accuracy"].dropna()
    mean_validation = 100 * float(validation.mean()) if len(validation) else None
    selected = _percent(trial.accuracy)
    bad = own[own["status"] != "ok"]
    labels = usable["dataset_label"].dropna().tolist() if len(usable) else []
    return {
        "new_validation_percent": mean_validation,
        "confirmed_percent": summary.mean,
        "confirmed_low_percent": summary.low,
        "confirmed_high_percent": summary.high,
        "confirmed_seed_percents": tested,
        "n": len(tested),
        "luck_points": _subtract(selected, mean_validation),
        "gap_points": _subtract(selected, summary.mean),
        "num_test": int(usable["num_test"].iloc[0]) if len(usable) else None,
        "dataset_label": labels[0] if labels else None,
        "status": "; ".join(
            f"seed {s}: {r}" for s, r in zip(bad["seed"], bad["reason"], strict=True)
        )
        or "ok",
    }


def _subtract(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _mean_latency(cells: pd.DataFrame, name: str) -> float | None:
    """The mean over rounds of the median latency in tables; None without one."""
    own = cells[(cells["variant"] == name) & cells["primary"].fillna(False).astype(bool)]
    values = own["p50_ms"].dropna()
    return float(values.mean()) if len(values) else None


def _mark_fronts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whether each finalist is Pareto-optimal among all, by the search's figures and by the confirmed ones."""
    for flag, speed, score in (
        ("on_front_before", "search_latency_ms", "selected_percent"),
        ("on_front_after", "latency_ms", "confirmed_percent"),
    ):
        complete = [r for r in rows if is_known(r[speed]) and is_known(r[score])]
        for row in rows:
            row[flag] = None
        if complete:
            best = pareto_front(pd.DataFrame(complete), speed, score)
            for row, on_front in zip(complete, best, strict=True):
                row[flag] = bool(on_front)
    return rows
