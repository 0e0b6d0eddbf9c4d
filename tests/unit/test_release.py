"""The notes of a release, and the versions that have to agree."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def read_notes():
    spec = importlib.util.spec_from_file_location("notes", ROOT / ".github/release_notes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.read_notes


@pytest.fixture
def project(tmp_path):
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [0.2.0] - 2026-12-01\n\n### Added\n- this\n\n"
        "## [0.1.0] - 2026-11-01\n\n- first\n"
    )
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 0.2.0\n")
    return tmp_path


def test_notes_are_the_section_of_the_tag(read_notes, project):
    assert read_notes("v0.2.0", project) == "### Added\n- this"


def test_the_last_section_ends_with_the_file(read_notes, project):
    for name in ("pyproject.toml", "CITATION.cff"):
        file = project / name
        file.write_text(file.read_text().replace("0.2.0", "0.1.0"))
    assert read_notes("v0.1.0", project) == "- first"


@pytest.mark.parametrize("file", ["pyproject.toml", "CITATION.cff"])
def test_another_version_elsewhere_is_refused(read_notes, project, file):
    (project / file).write_text((project / file).read_text().replace("0.2.0", "0.3.0"))
    with pytest.raises(ValueError, match=rf"^{file} .*0\.2\.0.*0\.3\.0"):
        read_notes("v0.2.0", project)


@pytest.mark.parametrize("tag", ["v9.9.9", "vUnreleased"])
def test_a_section_needs_a_date(read_notes, project, tag):
    with pytest.raises(ValueError, match="CHANGELOG"):
        read_notes(tag, project)


def test_the_citation_has_the_packages_version(read_notes):
    """The next release is not to fail over it."""
    project = (ROOT / "pyproject.toml").read_text()
    version = project.split('\nversion = "')[1].split('"')[0]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_citation_is_dated_as_the_release():
    """A released version has a date, and its section of the changelog the same."""
    project = (ROOT / "pyproject.toml").read_text()
    version = project.split('\nversion = "')[1].split('"')[0]
    heads = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    dates = {name: date for name, date in heads if date}
    assert str(citation.get("date-released", "")) == dates.get(version, "")


def test_the_citation_has_what_its_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert all(author.get("name") or author.get("family-names") for author in citation["authors"])
