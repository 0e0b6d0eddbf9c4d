"""What each column of a search's tables means, with its unit; `docs/columns.md` is generated from it."""

from collections.abc import Mapping

FAMILY = "Name of the family whose settings are searched"
SETTINGS = "The trial's settings in short"
SETTLED = "Cost so far, in trainings of all epochs"

TRIALS = {
    "family": FAMILY,
    "trial": "Number of the trial within its family, from 0",
    "round": "Round in which it was proposed",
    "settings": SETTINGS,
    "status": "ok, shortened (by halving), failed, skipped, repeated (the same settings as before) or waiting",
    "reason": "Why the status is not ok",
    "epochs": "Epochs that it was trained for",
    "validation_accuracy_percent": "Accuracy on the held-out training images, in percent",
    "latency_ms": "Latency that the search measured, ms; empty if it measures none",
    "trainings": "Its cost, in trainings of all epochs",
    "minutes": "Its cost, in minutes of training",
    "used_trainings": f"{SETTLED}, of all the family's trials up to this one",
    "used_minutes": "The same in minutes",
    "best_percent": "Best validation accuracy up to this one, of trials with all epochs, in percent",
    "on_front": "Whether it is Pareto-optimal among its family's trials; empty without latencies",
    "finalist": "Its rank among the family's finalists; empty if it is none",
}
FAMILIES = {
    "family": FAMILY,
    "sampler": "How settings are proposed: grid, random, tpe or nsga2",
    "num_rounds": "Rounds so far",
    "budget_trainings": "Budget in trainings of all epochs; empty if it is in minutes",
    "budget_minutes": "Budget in minutes; empty if it is in trainings",
    "used_trainings": SETTLED,
    "used_minutes": "Cost so far, in minutes of training",
    "num_proposed": "Trials that were proposed",
    "num_ok": "Trials with all epochs",
    "num_shortened": "Trials that halving stopped earlier",
    "num_failed": "Trials whose training failed",
    "num_skipped": "Trials that were not trained",
    "num_repeated": "Trials with the settings of an earlier one, which cost nothing",
    "num_waiting": "Trials that are not finished",
    "best_percent": "Best validation accuracy of trials with all epochs, in percent",
}
FINALISTS = {
    "family": FAMILY,
    "variant": "Name of the finalist in the other tables",
    "rank": "Rank within its family by validation accuracy, from 1",
    "trial": "Number of its trial",
    "settings": SETTINGS,
    "num_trials": "Trials that it was chosen from",
    "selected_percent": "Validation accuracy by which it was chosen, in percent: too high on average",
    "new_validation_percent": "Mean validation accuracy of the new seeds, in percent",
    "confirmed_percent": "Mean test accuracy of the new seeds, in percent",
    "confirmed_low_percent": "Lower end of its 95 % interval over seeds",
    "confirmed_high_percent": "Upper end",
    "confirmed_seed_percents": "Test accuracy of each new seed, in percent",
    "n": "Number of new seeds",
    "luck_points": "`selected_percent` minus `new_validation_percent`: what was luck in the choice, in points",
    "gap_points": "`selected_percent` minus `confirmed_percent`, in points",
    "search_latency_ms": "Latency that the search measured, ms",
    "latency_ms": "Latency of the protocol: mean over rounds of the median, ms",
    "on_front_before": "Whether it is Pareto-optimal among all finalists, by what the search measured",
    "on_front_after": "Whether it is by the new seeds and the protocol's latency",
    "num_test": "Number of test images",
    "dataset_label": "Label of the dataset",
    "status": "ok, or which seeds have no result and why",
}
CURVES = {
    "family": FAMILY,
    "n": "Number of trials",
    "expected_percent": "Expected best validation accuracy of so many trials, in percent",
    "median_low_percent": "Lower end of the 95 % interval of its median",
    "median_high_percent": "Upper end",
    "num_trials": "Trials that it is estimated from",
}
# Title in docs/columns.md to its introduction and its columns.
SEARCH_TABLE_COLUMNS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "search_trials": (
        "`search_trials.csv`: one row per proposed trial, in the order of the rounds "
        "([search](search.md)).",
        TRIALS,
    ),
    "search_families": ("`search_families.csv`: one row per family of a search.", FAMILIES),
    "search_finalists": (
        "`search_finalists.csv`: one row per trial that new seeds confirm on test images.",
        FINALISTS,
    ),
    "search_curves": (
        "`search_curves.csv`: one row per family and number of trials "
        "([method](methods.md#the-best-within-a-budget)).",
        CURVES,
    ),
}
