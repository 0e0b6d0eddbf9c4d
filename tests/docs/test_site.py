"""The site: every page has its place, the strict build passes, and no page asks anything of another host."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.documents import ROOT

SITE_TOOLS = (
    Path(os.environ.get("RESNEST_BENCH_SITE") or Path(sys.prefix) / "site") / "bin" / "mkdocs"
)
# What a browser fetches by itself; a link that the reader clicks is none of these.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>"
)
# Told by a <link>, and not fetched.
CANONICAL = re.compile(r'rel="?(?:canonical|prev|next)')


class Loader(yaml.SafeLoader):
    """mkdocs.yml names a Python function."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)
CONFIG = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def list_pages(nav):
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in list_pages(entry)]


def test_every_page_of_the_docs_has_its_place():
    pages = list_pages(CONFIG["nav"])
    assert len(pages) == len(set(pages))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= set(pages)


def test_a_script_of_another_host_is_found():
    assert FETCHED.search('<script src="https://cdn.example/x.js"></script>')
    assert FETCHED.search("<img alt=x src=//cdn.example/x.png>")
    assert not FETCHED.search('<a href="https://arxiv.org/abs/1"><img src="images/x.png"></a>')


@pytest.mark.slow
def test_the_strict_build_passes_and_no_page_fetches_elsewhere(tmp_path):
    if not SITE_TOOLS.exists():
        pytest.skip("the tools of the site are not installed: `make site` does it")
    done = subprocess.run(
        [SITE_TOOLS, "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=dict(os.environ, NO_MKDOCS_2_WARNING="1"),
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    built = list((tmp_path / "site").rglob("*.html"))
    assert {path.relative_to(tmp_path / "site").as_posix() for path in built} >= {
        page.replace(".md", ".html") for page in list_pages(CONFIG["nav"])
    }
    for path in built:
        tags = FETCHED.findall(path.read_text(encoding="utf-8"))
        assert [tag for tag in tags if not CANONICAL.search(tag)] == [], path.name
    # mkdocstrings found the functions that it was to describe.
    python = (tmp_path / "site" / "python.html").read_text(encoding="utf-8")
    assert "open_study" in python
    assert "differences" in python
    for styles in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", styles.read_text(encoding="utf-8"))
