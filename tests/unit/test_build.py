"""What the build adds: the addresses of the project, which no file names."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def read_metadata(build):
    metadata = {"version": "0.2.0"}

    def read():
        build.ProjectAddresses(str(ROOT), {}).update(metadata)
        return metadata

    return read


def test_a_release_leads_to_its_host(read_metadata, monkeypatch):
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://forge.example")
    monkeypatch.setenv("GITHUB_REPOSITORY", "us/bench")
    metadata = read_metadata()
    assert (
        metadata["urls"]["Changelog"] == "https://forge.example/us/bench/blob/v0.2.0/CHANGELOG.md"
    )
    text = metadata["readme"]["text"]
    assert "](https://forge.example/us/bench/blob/v0.2.0/docs/tutorial.md)" in text
    assert "](https://forge.example/us/bench/raw/v0.2.0/docs/images/" in text
    assert "](docs/" not in text


def test_elsewhere_the_readme_stays_as_it_is(read_metadata, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    metadata = read_metadata()
    assert metadata["urls"] == {}
    assert metadata["readme"]["text"] == (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_with_a_host_or_within_the_page_stay(build):
    text = "[a](https://x.example/y) [b](#c) [d](e.md#f)"
    absolute = build.make_links_absolute(text, "https://h.example/p", "v1")
    assert absolute == text.replace("(e.md#f)", "(https://h.example/p/blob/v1/e.md#f)")
