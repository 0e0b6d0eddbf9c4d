"""Two networks head to head: which is better, how sure is that, and where do they differ?"""

from functools import partial

import pandas as pd
import streamlit as st

import address
import data
import picker
import selection
import thumbnails
import views
from resnest_bench.charts import (
    class_differences_chart,
    gaps_chart,
    latency_ratio_chart,
    quadrants_chart,
    seeds_chart,
    training_curves_panels,
)
from resnest_bench.comparisons.differences import (
    ABOVE,
    BELOW,
    UNTESTED,
    describe_population,
    show_population,
)
from resnest_bench.comparisons.head_to_head import HeadToHead, Network, name_two
from resnest_bench.comparisons.image_outcomes import MAX_IMAGES, ImageOutcomes
from resnest_bench.formats import row_dicts
from resnest_bench.frames.typed import make_frame
from resnest_bench.report.head_to_head import (
    describe_pair,
    describe_ratio,
    explain_pair,
    open_images,
    spec_table,
)
from resnest_bench.tables.headline import metric_words
from resnest_bench.tables.selection import list_experiments
from resnest_bench.words import count_noun

NUM_PICTURES = 10
DISPUTED = {
    "image": "test image",
    "class": "class",
    "mistaken_for": "mistaken for",
    "right_seeds": "right: seeds",
    "right_n": "of",
    "wrong_seeds": "wrong: seeds that are right",
    "wrong_n": "of ",
}
CURVES = "test_accuracy"


def list_networks(one: data.Loaded) -> list[Network]:
    """Every variant as each experiment trains it, those of the chosen experiment first and by accuracy."""
    trained, timed = list_experiments(one.study)
    chosen = selection.training(one)
    trained.sort(key=lambda place: place != chosen)
    by_place = one.study.variants_by_experiment
    networks = [
        Network(name, place)
        for place in trained
        for name in data.rank_by_accuracy(one, place, by_place[place])
    ]
    known = {network.variant for network in networks}
    only_timed = dict.fromkeys(name for place in timed for name in by_place[place])
    return networks + [Network(name, None) for name in only_timed if name not in known]


def choose(networks: list[Network], picked: list[str]) -> tuple[Network, Network]:
    """The two networks: those of the address, else the selected ones, else the two most accurate."""
    several = len({network.experiment for network in networks if network.experiment}) > 1
    first_of = {network.variant: network for network in reversed(networks)}
    wanted = [first_of[name] for name in picked if name in first_of][:2]
    wanted += [network for network in networks if network not in wanted]

    def text(network: Network) -> str:
        if not several or network.experiment is None:
            return network.variant
        return f"{network.variant}, {views.name_experiment(network.experiment)}"

    def key(network: Network) -> str:
        if not several or network.experiment is None:
            return network.variant
        return "/".join([*network.experiment, network.variant])

    left, middle, right = st.columns([10, 1, 10], vertical_alignment="bottom")
    one = address.pick_one(
        "First network", networks, "a", text, key, wanted[0], left.selectbox, always=True
    )
    others = [network for network in networks if network != one]
    default = next(network for network in [*wanted[1:], *wanted] if network != one)
    other = address.pick_one(
        "Second network", others, "b", text, key, default, right.selectbox, always=True
    )
    middle.button(
        "",
        icon=":material/swap_horiz:",
        help="Exchange the two networks",
        on_click=partial(swap, one, other),
        width="stretch",
        key="swap",
    )
    return one, other


def swap(one: Network, other: Network) -> None:
    st.session_state["a"], st.session_state["b"] = other, one


def show_verdict(found: HeadToHead, ratio: str) -> None:
    """The answer in large type, how sure it is, and the latency."""
    verdict = found.pair["verdict"] if found.pair else UNTESTED
    badge = {
        ABOVE: (":blue-badge[", ":material/check: significant"),
        BELOW: (":blue-badge[", ":material/check: significant"),
        UNTESTED: (":gray-badge[", ":material/remove: not tested"),
    }.get(verdict, (":gray-badge[", ":material/question_mark: no verdict on the variants"))
    if verdict == "not significant":
        badge = (":gray-badge[", ":material/question_mark: not significant")
    st.markdown(f"{badge[0]}{badge[1]}]")
    st.markdown(f"#### {views.plain(describe_pair(found))}")
    if ratio:
        st.markdown(f"**{views.plain(ratio)}**")
    for line in explain_pair(found):
        st.caption(views.plain(line))


def show(one: data.Loaded, networks: tuple[Network, Network]) -> None:
    known = set(list_networks(one))
    missing = [network.variant for network in networks if network not in known]
    if missing:
        st.info(views.plain(f"This study has no {' and no '.join(missing)} of this kind."))
        return
    name = one.name.replace("/", "_")
    found = data.compare_two(one, *networks)
    ratios = find_ratios(one, networks)
    sentences = [describe_ratio(row) for row in row_dicts(ratios)]
    show_verdict(found, next(filter(None, sentences), ""))
    left, right = st.columns(2)
    with left:
        measure = metric_words(one.study.headline_metric)
        views.chart(seeds_chart(found.values, found.names, measure), f"seeds_{name}")
    with right:
        if found.pair:
            table = make_frame([found.pair], dict.fromkeys(found.pair, "object"))
            row, about = row_dicts(show_population(table))[0], describe_population(table)
            views.chart(gaps_chart(row, found.names, about), f"gaps_{name}")
        show_ratios(one, found, ratios, name)
    show_images(one, found, name)
    left, right = st.columns(2)
    with left:
        show_curves(one, found, name)
    with right:
        show_config(one, found, name)
    for note in found.notes:
        st.caption(f"- {views.plain(note)}")


def find_ratios(one: data.Loaded, networks: tuple[Network, Network]) -> pd.DataFrame:
    """The ratio of the two latencies at each batch size; empty where there is none to compare."""
    place = selection.latency(one)
    names = [network.variant for network in networks]
    if place is None or names[0] == names[1]:
        return pd.DataFrame()
    return data.ratios_by_batch(one, place, names[0], names[1], selection.device())


def show_ratios(one: data.Loaded, found: HeadToHead, ratios: pd.DataFrame, name: str) -> None:
    if found.one.variant == found.other.variant:
        st.caption("Both are the same network, so they have the same latency.")
        return
    place = selection.latency(one)
    if place is None:
        st.caption("This study measures no latency.")
        return
    floor = data.noise_floor(one, place, selection.device())
    names = found.one.variant, found.other.variant
    views.chart(latency_ratio_chart(ratios, names, floor), f"ratio_{name}")


def show_images(one: data.Loaded, found: HeadToHead, name: str) -> None:
    """Two by two, class by class, and the images that only one of them gets right."""
    images = found.images
    if images is None:
        return
    rows = images.class_differences()
    left, right = st.columns(2)
    with left:
        drawn = quadrants_chart(images.quadrants(), found.names, images.num_images)
        views.chart(drawn, f"images_{name}")
        show_disputed(one, found, images, *found.names)
    with right:
        if len(rows):
            views.chart(class_differences_chart(rows), f"classes_{name}")
        else:
            st.caption(
                "The class of each test image is unknown: neither these records nor data on this "
                "machine have it."
            )
        show_disputed(one, found, images, *found.names[::-1])


def show_disputed(
    one: data.Loaded, found: HeadToHead, images: ImageOutcomes, right_name: str, wrong_name: str
) -> None:
    """The images that one network gets right and the other wrong: pictures, or their numbers."""
    table = images.disputed(right_name, wrong_name)
    st.markdown(
        f"**{count_noun(len(table), 'image')}** that most seeds of {views.plain(right_name)} get right and "
        f"most of {views.plain(wrong_name)} wrong"
    )
    if not len(table):
        return
    assert found.one.experiment, "networks with images are trained"
    prepared = open_images(one.results, found.one.experiment.dataset, images.fingerprint)
    first = table.head(NUM_PICTURES)
    numbers = [int(index) for index in first["image"]]
    if prepared is not None:
        thumbnails.show(
            [prepared.test.image(index) for index in numbers],
            [f"test image {index}" for index in numbers],
            [describe_image(row) for row in row_dicts(first)],
        )
    else:
        st.caption(
            f"Test images {', '.join(map(str, numbers))}: the prepared data isn't on this machine, so they "
            "are numbers from 0."
        )
    with st.expander("As a table"):
        shown = {c: text for c, text in DISPUTED.items() if table[c].notna().any()}
        key = f"disputed_{right_name}_{one.name}".replace("/", "_")
        caption = f"Test images that {right_name} gets right and {wrong_name} wrong"
        views.table(table.head(MAX_IMAGES)[list(shown)], key, shown, caption)


def describe_image(row: dict) -> str:
    """'cat, not dog (5/5, 0/5)': label, mistake, and seeds that are right."""
    label = row["class"] if pd.notna(row["class"]) else f"no. {row['image']}"
    mistake = f", not {row['mistaken_for']}" if pd.notna(row["mistaken_for"]) else ""
    seeds = f"{row['right_seeds']}/{row['right_n']}, {row['wrong_seeds']}/{row['wrong_n']}"
    return f"{label}{mistake} ({seeds})"


def show_curves(one: data.Loaded, found: HeadToHead, name: str) -> None:
    """The curves of both on one plot, whatever trained them."""
    parts = []
    for label, network in zip(found.names, (found.one, found.other), strict=True):
        if network.experiment is None:
            continue
        rows = one.epochs
        place = network.experiment
        own = rows[rows["variant"].eq(network.variant) & rows["kind"].eq(place.kind)]
        own = own[own["dataset"].eq(place.dataset) & own["recipe"].eq(place.recipe)]
        parts.append(own.assign(variant=label))
    epochs = pd.concat(parts) if parts else pd.DataFrame()
    if not len(epochs):
        return
    recipes = " and ".join(dict.fromkeys(epochs["recipe"]))
    kinds = " and ".join(dict.fromkeys(epochs["kind"]))
    epochs = epochs.assign(recipe=recipes, kind=kinds)
    panels = training_curves_panels(epochs, CURVES, found.names, on_hover=True)
    for index, panel in enumerate(panels):
        views.chart(panel, f"two_curves_{name}_{index}")


def show_config(one: data.Loaded, found: HeadToHead, name: str) -> None:
    table = spec_table(one.study, found.one, found.other)
    if not len(table):
        st.caption("Nothing in their configuration differs.")
        return
    st.markdown("**What differs in the configuration**")
    first, second = found.names
    labels = {"part": "of the", "key": "key", "one": first, "other": second}
    views.table(table, f"config_{name}", labels, f"Configuration of {first} and {second}")


st.header("Compare two")
first = picker.loaded_study()
networks = list_networks(first)
if len(networks) < 2:
    st.info("This study has fewer than two networks, so there is nothing to compare.")
    st.stop()
chosen = choose(networks, selection.selected(first))
if name_two(*chosen)[0] == name_two(*chosen)[1]:
    st.stop()
for one in picker.side_by_side():
    show(one, chosen)
