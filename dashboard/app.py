"""The dashboard's entrance: navigation, and the studies that all pages are about.

streamlit run dashboard/app.py [-- --results FOLDER]
"""

from pathlib import Path

import streamlit as st

import picker

# An icon of our own: for a page's icon on the browser's tab streamlit would ask a server far away.
ICON = Path(__file__).parent / "icon.png"
st.set_page_config(page_title="resnest-bench", page_icon=ICON, layout="wide")
page = st.navigation(
    [
        st.Page("app_pages/tradeoff.py", title="Trade-off", icon=":material/scatter_plot:", default=True),
        st.Page("app_pages/differences.py", title="Differences", icon=":material/compare_arrows:"),
        st.Page("app_pages/claims.py", title="Claims", icon=":material/gavel:"),
        st.Page("app_pages/ablation.py", title="Ablation", icon=":material/tune:"),
        st.Page("app_pages/training.py", title="Training", icon=":material/show_chart:"),
        st.Page("app_pages/latency.py", title="Latency", icon=":material/timer:"),
        st.Page("app_pages/transfer.py", title="Transfer", icon=":material/move_down:"),
        st.Page("app_pages/paper.py", title="Paper beside ours", icon=":material/balance:"),
        st.Page("app_pages/coverage.py", title="Coverage and provenance", icon=":material/fact_check:"),
    ]
)  # fmt: skip
picker.pick_studies()
page.run()
