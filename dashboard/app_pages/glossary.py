"""What the words on these pages mean, each with an example."""

import streamlit as st

import address
import glossary
from texts import plain

st.header("Glossary")
text = address.enter_text("Find a term", "term", placeholder="such as noise floor")
terms = {
    term: meaning
    for term, meaning in glossary.read_terms().items()
    if text.strip().lower() in f"{term} {meaning}".lower()
}
if not terms:
    st.info(f"No term contains {plain(text)}." if text else "docs/glossary.md is not here.")
for term, meaning in terms.items():
    st.subheader(term)
    st.markdown(meaning.replace("\n", "  \n"))
