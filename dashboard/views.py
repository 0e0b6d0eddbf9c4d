"""How every page shows a chart and a table."""

import altair as alt
import pandas as pd
import streamlit as st

from resnest_bench.specs import StudySpec
from resnest_bench.tables import table_markdown


def chart(drawn: alt.TopLevelMixin) -> None:
    """As it is written to a file: streamlit's own theme would change fonts and colours."""
    st.altair_chart(drawn, theme=None, width="content")


def table(frame: pd.DataFrame) -> None:
    """Unrounded values; streamlit's own buttons search, sort and download it."""
    st.dataframe(frame, hide_index=True, width="stretch")


def chart_and_table(
    drawn: alt.TopLevelMixin, name: str, frame: pd.DataFrame, study: StudySpec
) -> None:
    """A chart, the rounded table with its caption and notes, and all values behind it."""
    chart(drawn)
    # The page has a header of its own: leave out the Markdown heading.
    st.markdown(table_markdown(name, frame, study).partition("\n")[2])
    with st.expander("All values, unrounded"):
        table(frame)
