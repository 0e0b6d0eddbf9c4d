"""The page on the Python API runs as it stands, on a shipped study."""

import re

import pytest

from support.documents import ROOT

PAGE = ROOT / "docs/api.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_page_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    seen: dict = {}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), seen)
    assert {"ok"} <= set(seen["study"].runs["status"])
    assert len(seen["pairs"])
