"""Every relative link and anchor of every Markdown file leads somewhere."""

from urllib.parse import unquote, urlsplit

import pytest

from support.documents import DOCUMENTS, ROOT, anchors, links


def broken_links(document):
    broken = []
    for link in links(document):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (document.parent / unquote(parts.path)).resolve() if parts.path else document
        if not target.is_relative_to(ROOT) or not target.exists():
            broken.append(f"{link}: there is no such file")
        elif parts.fragment and parts.fragment not in anchors(target):
            broken.append(f"{link}: no such heading; there are {sorted(anchors(target))}")
    return broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    assert broken_links(document) == []


def test_the_documents_are_found():
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert {"README.md", "docs/methods.md", "config/README.md", "results/README.md"} <= names


def test_a_broken_link_and_a_broken_anchor_are_found(tmp_path, monkeypatch):
    monkeypatch.setitem(broken_links.__globals__, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# Two words, `code`\n\n# Twice\n\n# Twice\n\n"
        "[a](#two-words-code) [b](#twice-1) [c](#twice-2) [d](gone.md) [e](https://example.org/x)\n"
    )
    assert [line.split(":")[0] for line in broken_links(page)] == ["#twice-2", "gone.md"]
