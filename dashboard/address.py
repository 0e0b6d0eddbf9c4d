"""The view in the address: what a copied link shows, and where the browser's Back leads.

A value is in the address by its stable key, never by its label, and a default is left out. All that one
run has to say is written at its end, at once: the browser keeps one entry of its history a change.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

STUDY, BESIDE, PICK = "study", "beside", "pick"
# What `selection` filters by: text, families, millions of parameters, device, experiments, metric, and
# the networks that the reader hid or pinned.
FIND, FAMILY, AT_LEAST, AT_MOST = "find", "family", "params_from", "params_to"
DEVICE, TRAINING, PROTOCOL, METRIC = "device", "training", "protocol", "metric"
HIDE, PIN = "hide", "pin"
FILTERS = (FIND, FAMILY, AT_LEAST, AT_MOST, DEVICE, TRAINING, PROTOCOL, METRIC, HIDE, PIN)
# What a reader picked or filtered goes with them from page to page.
SHARED = (STUDY, BESIDE, PICK, *FILTERS)
PICKED = "picked_variants"
_HELD, _PAGE, _DECIDES = "address_held", "address_page", "address_decides"
_OPENED = "address_opened"
Option = TypeVar("Option")
# A widget's function, such as a column's selectbox; None takes the usual one.
Draw = Callable[..., Any] | None


def begin(page: str) -> bool:
    """Start a run of `page`; whether the reader has come there from another page by a link.

    The address decides on a page's first run, and of all widgets after Back, Forward or `open_view`.
    """
    last = st.session_state.get(_PAGE)
    new_page = last != page
    whole = went_back() or st.session_state.pop(_OPENED, False)
    st.session_state[_DECIDES] = {"page": new_page or whole, "shared": whole}
    st.session_state[_PAGE], st.session_state[_HELD] = page, {}
    if whole:
        st.session_state[PICKED] = st.query_params.get_all(PICK)
        st.session_state.pop(PICK, None)
    return last is not None and new_page and not went_back()


def open_view(page: Any, params: Mapping[str, Sequence[str]]) -> NoReturn:
    """Go to `page` with an address whose every value counts, as if it were a copied link."""
    st.session_state[_OPENED] = True
    st.switch_page(page, query_params={name: list(values) for name, values in params.items()})


def went_back() -> bool:
    """Whether the reader came by the browser's Back or Forward: then widgets hold what they left."""
    return bool(getattr(get_script_run_ctx(), "is_history_navigation", False))


def decides(name: str) -> bool:
    """Whether a widget takes its value from the address, and not from what it held before."""
    sort = "shared" if name in SHARED else "page"
    return name not in st.session_state or st.session_state[_DECIDES][sort]


def hold(param: str, values: Sequence[str]) -> None:
    """Have `param` in the address at the end of this run; without values it goes from there."""
    st.session_state[_HELD][param] = [str(value) for value in values]


def show() -> None:
    """Write into the address what this run held, as one change."""
    before = whole()
    after = {
        param: values for param, values in {**before, **st.session_state[_HELD]}.items() if values
    }
    if after != before:
        st.query_params.from_dict(after)


def link() -> dict[str, list[str]]:
    """What goes along to another page. A filter that this run has not drawn yet is as it was."""
    held = st.session_state[_HELD]
    going = {param: held.get(param, []) for param in (STUDY, BESIDE)}
    going |= {PICK: picked()}
    going |= {param: held.get(param, st.query_params.get_all(param)) for param in FILTERS}
    return {param: values for param, values in going.items() if values}


def whole() -> dict[str, list[str]]:
    """The whole address as the last run left it."""
    return {param: st.query_params.get_all(param) for param in st.query_params}


def picked() -> list[str]:
    """The variants that the reader picked, on this page or another, whichever study they are of."""
    held = st.session_state.get(PICK, st.session_state.get(PICKED))
    return list(st.query_params.get_all(PICK) if held is None or went_back() else held)


def asked(param: str) -> list[str]:
    """The values of `param` in the address, unless it is about another study than the page."""
    about, now = st.query_params.get(STUDY), st.session_state[_HELD].get(STUDY)
    if now and about is not None and [about] != now and param not in SHARED:
        return []
    return st.query_params.get_all(param)


def pick_one(
    label: str,
    options: Sequence[Option],
    name: str,
    text: Callable[[Option], str] = str,
    key: Callable[[Option], str] = str,
    default: Option | None = None,
    draw: Draw = None,
    always: bool = False,
    **more: Any,
) -> Option:
    """One of `options` by a select box or by what `draw` draws, shown as `text`, addressed as `key`.

    There is at least one of them. Without `default` it is the first. `always` keeps a default in the
    address too.
    """
    first = options[0] if default is None else default
    value = _pick(label, options, name, text, key, first, draw, always, **more)
    return first if value is None else value


def pick_or_none(
    label: str,
    options: Sequence[Option],
    name: str,
    text: Callable[[Option], str] = str,
    key: Callable[[Option], str] = str,
    draw: Draw = None,
    **more: Any,
) -> Option | None:
    """As `pick_one`, but without an option until the reader takes one."""
    return _pick(label, options, name, text, key, None, draw, index=None, **more)


def _pick(
    label: str,
    options: Sequence[Option],
    name: str,
    text: Callable[[Option], str],
    key: Callable[[Option], str],
    first: Option | None,
    draw: Draw,
    always: bool = False,
    **more: Any,
) -> Option | None:
    if decides(name):
        wanted = _match(asked(name), options, key, text)
        st.session_state[name] = wanted[0] if wanted else first
    elif st.session_state[name] not in options:
        st.session_state[name] = first
    value: Option | None = (draw or st.selectbox)(
        label, options, format_func=text, key=name, **more
    )
    hold(name, [key(value)] if value is not None and (always or value != first) else [])
    return value


def pick_some(
    label: str, options: Sequence[str], name: str, draw: Draw = None, **more: Any
) -> list[str]:
    """Any of `options`, which are their own keys."""
    wanted = asked(name) if decides(name) else st.session_state[name]
    st.session_state[name] = _match(wanted, options, str, str)
    values = (draw or st.multiselect)(label, options, key=name, **more)
    hold(name, values)
    return list(values)


def toggle(
    label: str,
    name: str,
    default: bool = False,
    draw: Draw = None,
    **more: Any,
) -> bool:
    if decides(name):
        words: Mapping[str, bool] = {"true": True, "false": False}
        st.session_state[name] = words.get("".join(asked(name)[-1:]).lower(), default)
    value = bool((draw or st.toggle)(label, key=name, **more))
    hold(name, [] if value == default else [str(value).lower()])
    return value


def enter_text(label: str, name: str, draw: Draw = None, **more: Any) -> str:
    if decides(name):
        st.session_state[name] = "".join(asked(name)[-1:])
    value: str = (draw or st.text_input)(label, key=name, **more) or ""
    hold(name, [value] if value else [])
    return value


def enter_number(
    label: str,
    param: str,
    belongs_to: Sequence[str] = (),
    of: str = "",
    low: float | None = None,
    **more: Any,
) -> float | None:
    """A number or None. It belongs to what `belongs_to` names: elsewhere it is another number.

    In the address it is 'of:number'; a number alone is an old link's, and is taken for this one.
    """
    name = "/".join((param, *belongs_to, of))
    if decides(name):
        st.session_state[name] = _number("".join(asked(param)[-1:]), of, low)
    value = st.number_input(label, value=None, key=name, min_value=low, **more)
    text = "" if value is None else f"{value:.12g}"
    hold(param, [f"{of}:{text}" if of else text] if text else [])
    return value


def keep_number(param: str, name: str, of: str) -> float | None:
    """As `enter_number`, for a number that no widget of streamlit's holds; `set_number` changes it."""
    name = f"{name}/{of}"
    if decides(name):
        st.session_state[name] = _number("".join(asked(param)[-1:]), of, None)
    value: float | None = st.session_state[name]
    hold(param, [] if value is None else [f"{of}:{value:.12g}"])
    return value


def set_number(name: str, of: str, value: float | None) -> None:
    """In a callback."""
    st.session_state[f"{name}/{of}"] = value


def _number(text: str, of: str, low: float | None) -> float | None:
    owner, _, digits = text.rpartition(":")
    try:
        value = float(digits)
    except ValueError:
        return None
    keeps = owner in ("", of) and math.isfinite(value) and (low is None or value >= low)
    return value if keeps else None


def _match(
    texts: Sequence[str],
    options: Sequence[Option],
    key: Callable[[Option], str],
    text: Callable[[Option], str],
) -> list[Option]:
    """The options that `texts` name by key, or by label as older addresses do; others are dropped."""
    by_text = {text(option): option for option in options} | {key(o): o for o in options}
    return list(dict.fromkeys(by_text[one] for one in texts if one in by_text))
