"""The dashboard's entrance: navigation, and the studies that all pages are about.

streamlit run dashboard/app.py [-- --results FOLDER]
"""

from pathlib import Path

import streamlit as st

import address
import picker

# An icon of our own, and before there are pages: for a page's icon on the browser's tab streamlit would
# ask a server far away.
ICON = Path(__file__).parent / "icon.png"
st.set_page_config(page_title="resnest-bench", page_icon=ICON, layout="wide")
PAGES = [
    st.Page(
        "app_pages/tradeoff.py", title="Trade-off", icon=":material/scatter_plot:", default=True
    ),
    st.Page("app_pages/differences.py", title="Differences", icon=":material/compare_arrows:"),
    st.Page("app_pages/classes.py", title="Per class", icon=":material/grid_on:"),
    st.Page("app_pages/claims.py", title="Claims", icon=":material/gavel:"),
    st.Page("app_pages/ablation.py", title="Ablation", icon=":material/tune:"),
    st.Page("app_pages/training.py", title="Training", icon=":material/show_chart:"),
    st.Page("app_pages/latency.py", title="Latency", icon=":material/timer:"),
    st.Page("app_pages/devices.py", title="Devices", icon=":material/devices:"),
    st.Page("app_pages/transfer.py", title="Transfer", icon=":material/move_down:"),
    st.Page("app_pages/paper.py", title="Paper and ours", icon=":material/balance:"),
    st.Page("app_pages/coverage.py", title="Coverage and provenance", icon=":material/fact_check:"),
]
# On a phone the menu covers the page. Streamlit's own menu closes for a page; its links do not.
CLOSE_MENU = """
export default function () {
  const button = '[data-testid="stSidebarCollapseButton"] button'
  if (window.innerWidth < 768) document.querySelector(button)?.click()
}
"""
close_menu = st.components.v2.component("close_menu", js=CLOSE_MENU)

# Streamlit's own menu would leave the study out of a page's address, and the page would have to add
# it: a second entry in the browser's history, from which Back leads to the same page.
page = st.navigation(PAGES, position="hidden")
came_by_link = address.begin(page.url_path)
menu = st.sidebar.container(gap="small")
picker.choose_studies()
with menu:
    for one in PAGES:
        st.page_link(one, query_params=address.link(), width="stretch")
    if came_by_link:
        close_menu(key=f"close_menu_{page.url_path}", height=1)
picker.name_tab(page.title)
try:
    picker.load_studies()
    if page.title != "Latency":
        picker.warn_of_data()
    page.run()
finally:
    address.show()
