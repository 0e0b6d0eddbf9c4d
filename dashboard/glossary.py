"""The words that the pages use, from docs/glossary.md, which is their one source."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "glossary.md"
# Links between pages of the docs lead nowhere from here: their text stays.
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")
PAGE = "app_pages/glossary.py"


@cache
def read_terms() -> Mapping[str, str]:
    """Each term with its text in Markdown, in the order of the file; empty without the file."""
    if not FILE.is_file():
        return {}
    _, *sections = FILE.read_text(encoding="utf-8").split("\n## ")
    heads = (section.partition("\n") for section in sections)
    return {term.strip(): LINK.sub(r"\1", text.strip()) for term, _, text in heads}


def show_links(terms: Sequence[str]) -> None:
    """What these terms mean, and a link to all others."""
    known = read_terms()
    for term in terms:
        if term in known:
            definition = known[term].splitlines()[0]
            st.markdown(f"- **{term}**: {definition}")
    st.page_link(PAGE, label="All terms", icon=":material/menu_book:")
