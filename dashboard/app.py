"""The dashboard's entrance: navigation, and the studies that all pages are about.

streamlit run dashboard/app.py [-- --results FOLDER]
"""

from pathlib import Path

import streamlit as st

import address
import named_views
import pages
import picker
import selection

# An icon of our own, and before there are pages: for a page's icon on the browser's tab streamlit would
# ask a server far away.
ICON = Path(__file__).parent / "icon.png"
st.set_page_config(page_title="resnest-bench", page_icon=ICON, layout="wide")
# On a phone the menu covers the page. Streamlit's own menu closes for a page; its links do not.
CLOSE_MENU = """
export default function () {
  const button = '[data-testid="stSidebarCollapseButton"] button'
  if (window.innerWidth < 768) document.querySelector(button)?.click()
}
"""
close_menu = st.components.v2.component("close_menu", js=CLOSE_MENU)
# Streamlit leaves 6 rem above a page, a fifth of a phone's screen.
ROOM = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 4.2rem; padding-bottom: 3rem}
</style>"""
# Of the page that was the landing page before: links to it lead to it.
OF_TRADEOFF = {"y", "log", "memory", "facets"}

# Streamlit's own menu would leave the study out of a page's address, and the page would have to add
# it: a second entry in the browser's history, from which Back leads to the same page.
st.html(ROOM)
by_name = pages.make_pages()
page = st.navigation(list(by_name.values()), position="hidden")
if page is by_name["answer"] and OF_TRADEOFF & set(st.query_params):
    address.open_view(by_name["tradeoff"], address.whole())
came_by_link = address.begin(page.url_path)
menu = st.sidebar.empty()
picker.choose_studies()
filters = st.sidebar.container(gap="small")
study = picker.chosen_study()
with menu.container(gap="xxsmall"):
    pages.show_menu(by_name, study)
with st.sidebar:
    if came_by_link:
        close_menu(key=f"close_menu_{page.url_path}", height=1)
picker.name_tab(page.title)
try:
    picker.load_studies()
    linked = address.link()
    with filters:
        selection.choose_filters(picker.loaded_study())
        named_views.show(picker.loaded_study(), page.url_path, by_name)
    if address.link() != linked:
        # The links take along what the filters have just become.
        with menu.container(gap="xxsmall"):
            pages.show_menu(by_name, study)
    if pages.find_page(page.title).of_accuracies:
        picker.warn_of_data()
    page.run()
finally:
    address.show()
