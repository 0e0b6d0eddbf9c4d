"""The dashboard as a browser would run it, on results in a folder of the test."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from support import records_factory
from support.apptest import skip_component_scan
from support.claims_study import SOME_CLAIMS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty results folder that the dashboard looks at."""
    # `streamlit run` puts the script's folder on the path; AppTest does not.
    monkeypatch.syspath_prepend(str(ROOT / "dashboard"))
    monkeypatch.setenv("RESNEST_BENCH_RESULTS", str(tmp_path / "results"))
    skip_component_scan(monkeypatch)
    # Tests change files faster than people do.
    monkeypatch.setattr("data.FRESH_SECONDS", -1.0)
    st.cache_resource.clear()
    st.cache_data.clear()
    return tmp_path / "results"


@pytest.fixture
def study(results):
    """A whole synthetic study in it."""
    study = records_factory.make_study(claims=SOME_CLAIMS)
    records_factory.write_study(study, study.paths(results))
    return study


@pytest.fixture
def open_page(results):
    """Run one of the app's pages, as a copied link would open it; no exception may come up."""

    def run(page: str = "tradeoff", **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
        if page != "answer":
            app.switch_page(f"app_pages/{page}.py")
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception, [e.value for e in app.exception]
        return app

    return run
