"""Is the difference real? All pairs of networks, or each against one, and what the seeds can detect."""

from functools import partial

import streamlit as st

import address
import data
import picker
import selection
import views
from resnest_bench.charts import effects_chart, pairs_chart, profile_chart, ranks_chart
from resnest_bench.charts.differences import PICK
from resnest_bench.comparisons.datasets import DatasetComparison
from resnest_bench.comparisons.differences import (
    MAX_EVERY,
    Differences,
    describe_population,
    find_trainings,
    main_trainings,
    name_measure,
    show_population,
)
from resnest_bench.comparisons.standings import BEST, MAY_BE_BEST
from resnest_bench.paths import Experiment
from resnest_bench.report import siunitx
from resnest_bench.report.datasets import datasets_caption, describe_ranks
from resnest_bench.report.differences import (
    count_significant,
    describe_power,
    differences_caption,
    differences_notes,
)
from resnest_bench.report.effects import effects_caption, effects_notes
from resnest_bench.report.standings import STANDINGS_CAPTION, describe_standings
from resnest_bench.tables.selection import list_experiments
from resnest_bench.words import count_noun

EVERY = "all pairs"
CLICKED = "clicked_pair"
# How LaTeX and Markdown mark the best mean and those that may be the best too.
MARKS = {BEST: siunitx.BEST, MAY_BE_BEST: siunitx.TIED}
# The comparison reads each network's records. Of more networks only the selected ones are compared, or
# the most accurate.
NUM_COMPARED = 60
COLUMNS = {
    "verdict": None,
    "variant": None,
    "base": None,
    "difference_points": "difference (points)",
    "all_low_points": "95 % from",
    "all_high_points": "95 % to",
    "n": "n (seeds)",
    "mean_better_all": "P(better)",
    "all_corrected_p": "corrected p",
    "effect_size": "effect size (sd)",
    "least_detectable_points": "minimum detectable (points)",
    "seeds_needed": "required seeds",
    "seeds_needed_low": "required: from",
    "seeds_needed_high": "required: to",
    "status": None,
}
ACCURACIES = {
    "variant": None,
    "mean_percent": "mean (%)",
    "n": "n (seeds)",
    "std_points": "std (points)",
    "seeds_low_percent": "new seeds: from",
    "seeds_high_percent": "to",
    "all_low_percent": "new seeds and images: from",
    "all_high_percent": "to ",
    "networks_low_percent": "these networks, new images: from",
    "networks_high_percent": "to  ",
    "num_images": "test images",
}
STANDINGS = {
    "variant": None,
    "mean": None,
    "n": "n (seeds)",
    "standing": None,
    "rank_low": "rank: from",
    "rank_high": "rank: to",
    "groups": "group",
    "best_p": "p (is the best)",
}
EFFECTS = {
    "factor": None,
    "base_level": "from",
    "level": "to",
    "effect": "effect (points)",
    "welch_low": "95 % from",
    "welch_high": "95 % to",
    "welch_holm_p": "p (Holm)",
    "low": "mixed model: from",
    "high": "mixed model: to",
    "holm_p": "mixed model: p (Holm)",
    "num_variants": "networks at this level",
    "reason": None,
}


def choose(first: data.Loaded) -> tuple[Experiment, str | None, list[str]]:
    """The experiment, the base (None for all pairs) and, of many, the networks to compare with it."""
    places, _ = list_experiments(first.study)
    main = main_trainings(first.study)
    if main:
        places.sort(key=lambda place: place != main.experiment)
    # A single experiment needs no widget.
    left, right = st.columns(2) if len(places) > 1 else [st.container()] * 2
    with left:
        place = views.pick_experiment("Trained or fine-tuned", places, "training")
    assert place is not None
    names = list(data.rank_by_accuracy(first, place, list_variants(first, place)))
    every = [EVERY] if len(names) <= MAX_EVERY else []
    texts = {EVERY: EVERY} | {name: f"each against {name}" for name in names}
    if not every and names:
        texts[names[0]] += " (the most accurate)"
    order = every + (list(list_variants(first, place)) if every else names)
    with right:
        base = address.pick_one("Compared", order, "base", texts.__getitem__)
    if len(names) <= NUM_COMPARED:
        return place, None if base == EVERY else base, []
    chosen = views.pick_variants(names, "Networks compared with it", NUM_COMPARED)
    st.caption(
        f"The {NUM_COMPARED} most accurate of {len(names):,}, unless others are selected. The best of many "
        "owes part of its lead to chance."
    )
    return place, base, chosen[:NUM_COMPARED]


def list_variants(one: data.Loaded, place: Experiment) -> tuple[str, ...]:
    """All variants that the experiment trains."""
    return find_trainings(one.study, place).variants


def show(one: data.Loaded, place: Experiment, base: str | None, chosen: list[str]) -> None:
    name, names = one.name.replace("/", "_"), list_variants(one, place)
    if len(names) > NUM_COMPARED:
        wanted = {base, *(chosen or data.rank_by_accuracy(one, place, names)[:NUM_COMPARED])}
        names = tuple(variant for variant in names if variant in wanted)
    show_found(one, data.differences(one, place, names, base), name, place)


def show_found(
    one: data.Loaded, found: Differences, name: str, place: Experiment | None = None
) -> None:
    if not len(found.pairs):
        views.chart(pairs_chart(found.pairs), f"pairs_{name}")
        for note in found.notes or ("Fewer than two networks have a result.",):
            st.caption(f"- {views.plain(note)}")
        return
    st.markdown(f"**{count_significant(found.pairs)}**. {views.plain(describe_power(found.pairs))}")
    if standing := describe_standings(found.standings, describe_population(found.pairs)):
        st.markdown(views.plain(standing))
    show_pairs(one, found, name, place)
    text = differences_caption(found, one.study)
    views.show_caption(text)
    show_rows(found, name, str(text))


def show_pairs(one: data.Loaded, found: Differences, name: str, place: Experiment | None) -> None:
    """The chart of the pairs; a click on one leads to the page that compares the two."""
    key = f"pairs_{name}"
    drawn = pairs_chart(found.pairs, found.standings)
    if place is None or one is not picker.loaded_study():
        views.chart(drawn, key)
        return
    views.chart(drawn, key, partial(take_pair, key), [PICK])
    st.caption("Click a cell to compare its two networks.")


def take_pair(key: str) -> None:
    """In a callback: remember the pair that was clicked. Only the page itself can lead to another one."""
    picked = st.session_state[key].selection.get(PICK)
    if picked:
        st.session_state[CLICKED] = [str(value) for value in picked[0].values()]


def follow_click(place: Experiment, several: bool) -> None:
    """Open the page that compares the two networks of a clicked cell."""
    names = st.session_state.pop(CLICKED, None)
    if names and len(names) == 2:
        keys = ["/".join([*place, name]) if several else name for name in names]
        st.switch_page("app_pages/compare.py", query_params=selection.query(a=keys[0], b=keys[1]))


def show_standings(found: Differences, name: str, caption: str) -> None:
    labels = {column: text for column, text in STANDINGS.items() if text}
    rows = found.standings[list(STANDINGS)]
    marks = {"mean": [MARKS.get(standing, "") for standing in rows["standing"]]}
    note = f"{caption} {STANDINGS_CAPTION}"
    views.table(rows, f"standings_{name}", labels, note, marks=marks)
    st.caption(f"{STANDINGS_CAPTION}.")


def show_rows(found: Differences, name: str, caption: str) -> None:
    if len(found.standings) > 1:
        show_standings(found, name, caption)
    labels = {column: text for column, text in COLUMNS.items() if text}
    with st.expander(f"{count_noun(len(found.pairs), 'pair')} as a table"):
        views.table(show_population(found.pairs)[list(COLUMNS)], f"pairs_{name}", labels, caption)
    for note in differences_notes(found):
        st.caption(f"- {views.plain(note)}")
    measure = name_measure(found.pairs)
    with st.expander(f"{measure.capitalize()} of each network, with its intervals"):
        labels = {column: text for column, text in ACCURACIES.items() if text}
        labels["mean_percent"] = f"{measure} (%)"
        views.table(found.accuracies[list(ACCURACIES)], f"accuracies_{name}", labels, "Accuracies")
    with st.expander("All values of the pairs, unrounded"):
        views.table(found.pairs, f"all_pairs_{name}")


def show_datasets(one: data.Loaded, found: DatasetComparison) -> None:
    """Ranks of the networks on each data set, and the share of runs that reach a value."""
    name = one.name.replace("/", "_")
    if text := describe_ranks(found):
        st.markdown(views.plain(text))
    views.chart(ranks_chart(found.ranks), f"ranks_{name}")
    views.show_caption(datasets_caption(found))
    for note in found.notes:
        st.caption(f"- {views.plain(note)}")
    if len(found.ranks):
        labels = {"best_mean_rank_difference": "behind the best", "variant": "variant"}
        views.table(found.ranks, f"ranks_{name}", labels, "Ranks over data sets")
        drawn = profile_chart(
            found.profile, one.study.headline_metric, variants=one.study.variant_names
        )
        views.chart(drawn, f"profile_{name}")


def show_effects(one: data.Loaded) -> None:
    name = one.name.replace("/", "_")
    found = data.effects(one)
    views.show_caption(effects_caption(found))
    if isinstance(found, str):
        return
    views.chart(effects_chart(found.table), f"effects_{name}")
    labels = {column: text for column, text in EFFECTS.items() if text}
    views.table(found.table[list(EFFECTS)], f"effects_{name}", labels, "Effects of the factors")
    for note in effects_notes(found):
        st.caption(f"- {views.plain(note)}")


st.header("Differences")
first = picker.loaded_study()
if not list_experiments(first.study)[0]:
    st.info("This study trains no network, so there is no accuracy to compare.")
    st.stop()
place, base, chosen = choose(first)
follow_click(place, len(list_experiments(first.study)[0]) > 1)
for one in picker.side_by_side():
    show(one, place, base, chosen)
if any(data.recipe_differences(one) for one in picker.loaded_studies()):
    st.subheader("Recipes of the same network")
    for one in picker.side_by_side():
        for dataset, found in data.recipe_differences(one):
            show_found(one, found, f"{one.name}_{dataset}".replace("/", "_"))
if any(one.results.dataset_comparison for one in picker.loaded_studies()):
    st.subheader("Over several data sets")
    for one in picker.side_by_side():
        if over := one.results.dataset_comparison:
            show_datasets(one, over)
if any(one.study.tables.ablation for one in picker.loaded_studies()):
    st.subheader("Factors, all networks together")
    for one in picker.side_by_side():
        if one.study.tables.ablation:
            show_effects(one)
