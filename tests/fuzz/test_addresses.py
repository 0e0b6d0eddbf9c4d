"""Whatever an address says, pages show studies and variants that there are, and nothing else."""

import sys
import types
from pathlib import Path

import pytest
import streamlit as st
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from support.apptest import skip_component_scan
from support.claims_study import SOME_CLAIMS
from support.fuzzing import TEXTS, fuzzed
from support.records_factory import make_study, write_study

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in (ROOT / "dashboard" / "app_pages").glob("*.py"))
KEYS = [
    "study",
    "beside",
    "pick",
    "x",
    "y",
    "log",
    "limit",
    "memory",
    "facets",
    "curve",
    "base",
    "sweep",
    "batch",
    "view",
    "verdict",
    "claim",
    "record",
    "status",
    "kind",
    "search",
    "adjacent",
    "factor",
    "what",
    "table",
]
RIGHT = [
    "synthetic",
    "A",
    "B",
    "test_accuracy",
    "latency_p50_ms",
    "true",
    "false",
    "1",
    "8",
    "radix",
]
# A browser can't send half a character, and what it sends is text.
WORDS = some.one_of(
    some.sampled_from([text for text in TEXTS if "\ud800" not in text]),
    some.sampled_from(RIGHT),
    some.text(some.characters(exclude_categories=["Cs"]), max_size=20),
)
VALUES = some.one_of(WORDS, some.lists(WORDS, min_size=1, max_size=4))


class Query(dict):
    """As st.query_params: the last value, or all of them."""

    def get_all(self, key):
        value = self.get(key, [])
        return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def dashboard():
    """The dashboard's modules, as `streamlit run` would find them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "dashboard"))
        import address
        import picker

        yield types.SimpleNamespace(address=address, picker=picker)
        for name in ("address", "picker", "views", "data"):
            sys.modules.pop(name, None)


NAMES = some.lists(WORDS, min_size=1, max_size=5, unique=True)


def fake_streamlit(**query):
    """A session at its page's first run: widgets hold what `address` put there for them."""
    state = {}

    def held(label, options, key, index=0, **_):
        assert state.get(key) is None or index is not None or state[key] in options
        return state.get(key)

    fake = types.SimpleNamespace(
        session_state=state, query_params=Query(query), selectbox=held, multiselect=held
    )
    fake.sidebar = fake
    return fake


@fuzzed(0.4, names=NAMES, values=some.lists(WORDS, max_size=5))
def test_what_is_picked_is_there(dashboard, names, values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dashboard.address, "st", fake_streamlit(pick=values))
        dashboard.address.begin("page")
        picked = dashboard.address.pick_some("Networks", names, dashboard.address.PICK)
    assert picked == [name for name in dict.fromkeys(values) if name in names]


@fuzzed(0.3, names=NAMES, wanted=some.none() | WORDS)
def test_the_study_that_is_shown_is_there(dashboard, names, wanted):
    fake = fake_streamlit() if wanted is None else fake_streamlit(study=wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dashboard.address, "st", fake)
        patch.setattr(dashboard.picker, "st", fake)
        dashboard.address.begin("page")
        (chosen,) = dashboard.picker._chosen(names)
    # Older addresses name a study as the box shows it.
    shown = {dashboard.picker._short(name): name for name in names} | {name: name for name in names}
    assert chosen == shown.get(wanted, names[0])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    study = make_study(claims=SOME_CLAIMS)
    write_study(study, study.paths(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "dashboard"))
        skip_component_scan(patch)
        patch.setenv("RESNEST_BENCH_RESULTS", str(folder))
        st.cache_resource.clear()
        st.cache_data.clear()
        yield folder


@pytest.mark.slow
@fuzzed(
    0.01,
    page=some.sampled_from(PAGES),
    query=some.dictionaries(some.sampled_from(KEYS), VALUES, max_size=6),
)
def test_a_page_stands_whatever_its_address_says(results, page, query):
    before = sorted(results.rglob("*"))
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    app.run()
    app.switch_page(f"app_pages/{page}.py")
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, [element.value for element in app.exception]
    assert not app.error, [element.value for element in app.error]
    assert app.query_params["study"] in ("synthetic", ["synthetic"])
    assert sorted(results.rglob("*")) == before
