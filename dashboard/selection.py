"""Which networks and which results every page is about: the filters in the sidebar, and what is selected.

The state is in the address, so that it follows to every page and a copied link has it. For a page:

    selection.names(loaded)            the networks that the filters leave, in the study's order
    selection.names(loaded, mine)      those of `mine` that they leave
    selection.selected(loaded)         the networks that the reader selected
    selection.select(["A", "B"])       in a callback: select these, on all pages
    selection.query(["A", "B"])        the query parameters of a link to a page with this selection
    selection.training(loaded)         the experiment of trainings, also `latency`, `metric` and `device`
    selection.keep_device(runs)        without latencies on other devices

A network that is pinned is left in whatever the other filters say, and a hidden one is not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

import address
import data
import texts
from resnest_bench.errors import UserError
from resnest_bench.paths import Experiment
from resnest_bench.records.metrics import METRICS
from resnest_bench.specs.scores import TRAINED_METRICS, metric_column
from resnest_bench.tables.selection import Experiments, list_experiments
from resnest_bench.tables.values import name_devices

MILLION = 1e6
_FILTERED = "filtered_networks"
HELP_FIND = "Part of a name, or a regular expression between slashes: /ResNeS?t-14/"


@dataclass(frozen=True)
class Networks:
    """What is known of the networks of a study before any is left out."""

    names: tuple[str, ...]
    families: tuple[str, ...]
    # NaN where no record has counted them.
    millions: tuple[float, ...]
    devices: tuple[str, ...]
    metrics: tuple[str, ...]


@data.keep
def list_networks(loaded: data.Loaded) -> Networks:
    """The networks of the study, and what its records offer as filters."""
    runs = loaded.runs
    counts = runs.groupby("variant", sort=False)["num_params"].first().astype(float) / MILLION
    timed = runs[(runs["kind"] == "latency") & runs["device_kind"].notna()]
    devices = name_devices(timed).dropna().unique().tolist() if len(timed) else []
    trained = runs[runs["kind"] != "latency"]
    metrics = [
        name
        for name in TRAINED_METRICS
        if (column := metric_column(name)) in trained and trained[column].notna().any()
    ]
    variants = loaded.study.variants
    return Networks(
        tuple(one.name for one in variants),
        tuple(one.architecture for one in variants),
        tuple(float(counts.get(one.name, float("nan"))) for one in variants),
        tuple(sorted(devices)),
        tuple(metrics),
    )


def match_names(pattern: str, names: Sequence[str]) -> list[bool]:
    """Which names contain `pattern`, or match it as a regular expression between slashes; in any case.

    The expressions are those of RE2, which takes linear time whatever a link asks for. Raises UserError
    for one that breaks its rules.
    """
    if not names:
        return []
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        match, text = pc.match_substring_regex, pattern[1:-1]
    else:
        match, text = pc.match_substring, pattern.strip()
    try:
        found: list[bool] = match(pa.array(names, pa.string()), text, ignore_case=True).to_pylist()
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        raise UserError(
            f"Find must be a part of a name or a regular expression, but got {pattern!r} ({reason}): "
            "correct it, or leave out the slashes"
        ) from error
    return found


def choose_filters(loaded: data.Loaded) -> None:
    """Draw the filters into the sidebar, and hold them in the address. Once a run, before the page."""
    known = list_networks(loaded)
    found = _find(known)
    with st.expander("Filters", icon=":material/filter_list:"):
        _choose_results(loaded, known)
        _choose_networks(known)
    kept = _keep(known, found)
    st.session_state[_FILTERED] = loaded.signature, frozenset(known.names) - frozenset(kept)
    address.hold(address.PICK, address.picked())
    if len(kept) < len(known.names):
        text = f"{len(kept):,} of {len(known.names):,} networks"
        left, right = st.columns([2, 1], vertical_alignment="center")
        left.caption(text)
        right.button("Reset", key="reset_filters", on_click=_reset, type="tertiary")


def _find(known: Networks) -> list[bool]:
    text = address.enter_text(
        "Find networks", address.FIND, placeholder="text or /regex/", help=HELP_FIND
    )
    try:
        return match_names(text, known.names)
    except UserError as error:
        st.error(texts.plain(str(error)))
        return [True] * len(known.names)


def _choose_results(loaded: data.Loaded, known: Networks) -> None:
    """Which results: data set and recipe, protocol, device and metric, where there is a choice."""
    trained, timed = list_experiments(loaded.study)
    pick_experiment("Data set and recipe", trained, address.TRAINING)
    pick_experiment("Latency of", timed, address.PROTOCOL)
    if len(known.metrics) > 1:
        address.pick_one(
            "Metric",
            known.metrics,
            address.METRIC,
            lambda name: METRICS[metric_column(name)].label,
            default=_default_metric(loaded, known),
        )
    if len(known.devices) > 1:
        address.pick_or_none(
            "Device of latencies", known.devices, address.DEVICE, placeholder="all devices"
        )


def _choose_networks(known: Networks) -> None:
    families = sorted(set(known.families))
    if len(families) > 1:
        address.pick_some("Family", families, address.FAMILY, placeholder="all families")
    left, right = st.columns(2)
    for column, name, word in ((left, address.AT_LEAST, "from"), (right, address.AT_MOST, "to")):
        with column:
            address.enter_number(
                f"Parameters {word} (million)", name, low=0.0, placeholder="any", format="%g"
            )
    address.pick_some("Hidden", known.names, address.HIDE, placeholder="none")
    address.pick_some("Pinned", known.names, address.PIN, placeholder="none")


def pick_experiment(label: str, options: list[Experiment], name: str) -> Experiment | None:
    """The chosen experiment; without a widget where there is no choice."""
    if len(options) < 2:
        return options[0] if options else None
    return address.pick_one(
        label, options, name, texts.name_experiment, lambda one: texts.name_experiment(one, "/")
    )


def _keep(known: Networks, found: list[bool]) -> tuple[str, ...]:
    """The names that the filters leave."""
    state = st.session_state
    families = set(state.get(address.FAMILY) or known.families)
    low, high = state.get(address.AT_LEAST), state.get(address.AT_MOST)
    hidden, pinned_names = set(state.get(address.HIDE, ())), set(pinned())
    kept = []
    rows = zip(known.names, known.families, known.millions, found, strict=True)
    for name, family, millions, is_found in rows:
        # An unknown number is in no range.
        in_range = (low is None or millions >= low) and (high is None or millions <= high)
        if name not in hidden and (
            name in pinned_names or (is_found and family in families and in_range)
        ):
            kept.append(name)
    return tuple(kept)


def _reset() -> None:
    st.session_state[address.FIND] = ""
    for name in (address.FAMILY, address.HIDE, address.PIN):
        st.session_state[name] = []
    for name in (address.AT_LEAST, address.AT_MOST):
        st.session_state[name] = None


def names(loaded: data.Loaded, candidates: Iterable[str] | None = None) -> list[str]:
    """The networks that the filters leave, in the order of `candidates` or, without, of the study.

    A second study next to the first one is filtered by its own networks.
    """
    every = list_networks(loaded).names
    signature, left_out = st.session_state[_FILTERED]
    if signature != loaded.signature:
        left_out = frozenset(every) - frozenset(_keep_here(list_networks(loaded)))
    wanted = every if candidates is None else candidates
    return [name for name in dict.fromkeys(wanted) if name not in left_out]


def narrow(candidates: Iterable[str]) -> list[str]:
    """`names` of the first study, for texts that know only names."""
    _, left_out = st.session_state[_FILTERED]
    return [name for name in dict.fromkeys(candidates) if name not in left_out]


def _keep_here(known: Networks) -> tuple[str, ...]:
    try:
        found = match_names(st.session_state.get(address.FIND, ""), known.names)
    except UserError:
        found = [True] * len(known.names)
    return _keep(known, found)


def pinned() -> list[str]:
    """The networks that the reader pinned: they come first in lists, and no filter leaves them out."""
    return list(st.session_state.get(address.PIN, ()))


def selected(loaded: data.Loaded) -> list[str]:
    """The networks of the study that the reader selected, on this page or another one."""
    known = set(list_networks(loaded).names)
    return [name for name in dict.fromkeys(address.picked()) if name in known]


def picked_names() -> list[str]:
    """All selected names, of whichever study."""
    return list(dict.fromkeys(address.picked()))


def select(chosen: Iterable[str]) -> None:
    """Select these networks on all pages. In a callback, or before the page draws its widget of them."""
    st.session_state[address.PICK] = st.session_state[address.PICKED] = list(dict.fromkeys(chosen))
    address.hold(address.PICK, st.session_state[address.PICK])


def hide(chosen: Iterable[str]) -> None:
    """In a callback: leave these networks out on all pages, and select none of them."""
    chosen = list(chosen)
    hidden = st.session_state.get(address.HIDE, [])
    st.session_state[address.HIDE] = list(dict.fromkeys([*hidden, *chosen]))
    st.session_state[address.PIN] = [name for name in pinned() if name not in chosen]
    select(name for name in address.picked() if name not in chosen)


def pin(chosen: Iterable[str]) -> None:
    """In a callback: pin these networks, or unpin them if all of them are."""
    chosen, now = list(chosen), pinned()
    if set(chosen) <= set(now):
        st.session_state[address.PIN] = [name for name in now if name not in chosen]
    else:
        st.session_state[address.PIN] = list(dict.fromkeys([*now, *chosen]))


def query(chosen: Iterable[str] | None = None, **params: str) -> dict[str, list[str]]:
    """The query parameters of a link to a page: study, filters, and this selection or the present one.

    `params` are the page's own, such as `x="num_params"`. For `st.page_link(..., query_params=...)`.
    """
    going = address.link()
    if chosen is not None:
        going[address.PICK] = list(chosen)
    return going | {name: [value] for name, value in params.items()}


def training(loaded: data.Loaded) -> Experiment | None:
    """The experiment of trainings or fine-tunings that the pages show; the first by default."""
    return _chosen(list_experiments(loaded.study)[0], address.TRAINING)


def latency(loaded: data.Loaded) -> Experiment | None:
    """The experiment of latencies that the pages show; the first by default."""
    return _chosen(list_experiments(loaded.study)[1], address.PROTOCOL)


def experiments(loaded: data.Loaded) -> Experiments:
    """Both."""
    return Experiments(training(loaded), latency(loaded))


def _chosen(options: Sequence[Experiment], name: str) -> Experiment | None:
    now: Experiment | None = st.session_state.get(name)
    return now if now in options else next(iter(options), None)


def metric(loaded: data.Loaded) -> str:
    """The measure of the test images that the pages show: one of TRAINED_METRICS."""
    known = list_networks(loaded)
    now = st.session_state.get(address.METRIC)
    return str(now) if now in known.metrics else _default_metric(loaded, known)


def _default_metric(loaded: data.Loaded, known: Networks) -> str:
    headline = loaded.study.headline_metric
    return headline if headline in known.metrics else next(iter(known.metrics), headline)


def device() -> str | None:
    """The only device whose latencies are shown, as `name_devices` names it; None for all."""
    now = st.session_state.get(address.DEVICE)
    return None if now is None else str(now)


def keep_device(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of `runs` or `cells` without latencies on other devices than the chosen one."""
    chosen = device()
    if chosen is None or not len(runs):
        return runs
    return runs[runs["kind"].ne("latency") | name_devices(runs).eq(chosen)]


def keep_points(loaded: data.Loaded, points: pd.DataFrame) -> pd.DataFrame:
    """Rows of `points_frame` of the networks that the filters leave, measured on the chosen device.

    Selected networks stay. Which are Pareto-optimal is still decided among all networks.
    """
    kept = {*names(loaded), *selected(loaded)}
    rows = points["variant"].isin(kept)
    if (chosen := device()) is not None:
        rows &= points["device"].eq(chosen) | points["x"].isna()
    return points[rows]
