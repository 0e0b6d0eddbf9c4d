"""Is the difference real? Every two networks, or each against one, and what the seeds could show."""

import streamlit as st

import data
import picker
import views
from resnest_bench.charts import effects_chart, pairs_chart
from resnest_bench.tables import (
    Differences,
    differences_caption,
    differences_notes,
    effects_caption,
    effects_notes,
    experiment_of,
    experiments_of,
    headline_experiment,
    power_text,
    told_apart_text,
)

EVERY = "every two"
COLUMNS = {
    "verdict": None, "variant": None, "base": None, "difference_points": "difference (points)",
    "all_low_points": "95 % from", "all_high_points": "95 % to", "n": "n (paired seeds)",
    "mean_better_all": "P(better)", "all_holm_p": "p (Holm)",
    "least_detectable_points": "least detectable (points)", "seeds_needed": "seeds needed",
    "seeds_needed_low": "at least", "seeds_needed_high": "at most", "status": None,
}  # fmt: skip
ACCURACIES = {
    "variant": None, "mean_percent": "accuracy (%)", "n": "n (seeds)", "std_points": "std (points)",
    "seeds_low_percent": "new seeds: from", "seeds_high_percent": "to",
    "all_low_percent": "new seeds and images: from", "all_high_percent": "to ",
    "networks_low_percent": "these networks, new images: from", "networks_high_percent": "to  ",
    "num_images": "test images",
}  # fmt: skip
EFFECTS = {
    "factor": None, "base_level": "from", "level": "to", "effect": "effect (points)",
    "low": "95 % from", "high": "95 % to", "holm_p": "p (Holm)", "by_seed_low": "by seed: from",
    "by_seed_high": "by seed: to", "num_variants": "networks at this level", "reason": None,
}  # fmt: skip


def choose(first: data.Loaded) -> tuple[tuple[str, str, str], str | None]:
    """The experiment and the base that all studies shown are asked for; None for every two."""
    places, _ = experiments_of(first.study)
    headline = headline_experiment(first.study)
    if headline:
        places.sort(key=lambda p: p != (headline.kind, headline.dataset, headline.recipe))
    left, right = st.columns(2)
    with left:
        place = views.pick_one("Trained or fine-tuned", places, "training", ", ".join)
    names = list(variants_of(first, place))
    with right:
        base = st.selectbox(
            "Compared", [EVERY, *names], format_func=lambda n: n if n == EVERY else f"each against {n}",
            key="base", bind="query-params",
        )  # fmt: skip
    return place, None if base == EVERY else base


def variants_of(one: data.Loaded, place: tuple[str, str, str]) -> tuple[str, ...]:
    """Those of the ablation table where the experiment is the study's main one, else all."""
    headline = headline_experiment(one.study)
    if headline and place == (headline.kind, headline.dataset, headline.recipe):
        return headline.variants
    return experiment_of(one.study, place).variants


def show(one: data.Loaded, place: tuple[str, str, str], base: str | None) -> None:
    name = one.name.replace("/", "_")
    found = data.differences(one, one.signature, place, variants_of(one, place), base)
    if not len(found.pairs):
        views.chart(pairs_chart(found.pairs), f"pairs_{name}")
        for note in found.notes or ("Fewer than two networks have a result.",):
            st.caption(f"- {views.plain(note)}")
        return
    st.markdown(f"**{told_apart_text(found.pairs)}**. {views.plain(power_text(found.pairs))}")
    views.chart(pairs_chart(found.pairs), f"pairs_{name}", extra_height=120)
    st.caption(views.plain(differences_caption(found, one.study)))
    show_rows(found, name)


def show_rows(found: Differences, name: str) -> None:
    labels = {column: text for column, text in COLUMNS.items() if text}
    views.table(found.pairs[list(COLUMNS)], f"pairs_{name}", labels, "Differences")
    for note in differences_notes(found):
        st.caption(f"- {views.plain(note)}")
    with st.expander("Each network's accuracy, with its intervals"):
        labels = {column: text for column, text in ACCURACIES.items() if text}
        views.table(found.accuracies[list(ACCURACIES)], f"accuracies_{name}", labels, "Accuracies")
    with st.expander("All values of the pairs, unrounded"):
        views.table(found.pairs, f"all_pairs_{name}")


def show_effects(one: data.Loaded) -> None:
    name = one.name.replace("/", "_")
    found = data.effects(one, one.signature)
    st.caption(views.plain(effects_caption(found)))
    if isinstance(found, str):
        return
    views.chart(effects_chart(found.table), f"effects_{name}", extra_height=60)
    labels = {column: text for column, text in EFFECTS.items() if text}
    views.table(found.table[list(EFFECTS)], f"effects_{name}", labels, "Effects of the factors")
    for note in effects_notes(found):
        st.caption(f"- {views.plain(note)}")


st.header("Differences")
first = picker.loaded_study()
if not experiments_of(first.study)[0]:
    st.info("This study trains nothing: there is no accuracy to compare.")
    st.stop()
place, base = choose(first)
for one in picker.side_by_side():
    show(one, place, base)
if any(one.study.tables.ablation for one in st.session_state[picker.KEY]):
    st.subheader("Factors, all networks together")
    for one in picker.side_by_side():
        if one.study.tables.ablation:
            show_effects(one)
