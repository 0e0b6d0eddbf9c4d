"""The dashboard's entrance: navigation, and the study that all pages are about.

streamlit run dashboard/app.py [-- --results FOLDER]
"""

import streamlit as st

import picker

st.set_page_config(page_title="resnest-bench", layout="wide")
page = st.navigation(
    [
        st.Page("app_pages/tradeoff.py", title="Trade-off", default=True),
        st.Page("app_pages/ablation.py", title="Ablation"),
        st.Page("app_pages/transfer.py", title="Transfer"),
        st.Page("app_pages/curves.py", title="Training curves"),
        st.Page("app_pages/latency.py", title="Latency"),
        st.Page("app_pages/runs.py", title="Runs"),
    ]
)
picker.pick_study()
page.run()
