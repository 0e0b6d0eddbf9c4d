"""Named views: what the address holds, under a name, in a small JSON file next to the study.

    results/mine/views.json
    {"views": [{"name": "small ones", "page": "tradeoff", "params": {"params_to": ["5"]}}]}

Everybody who opens the study finds them. The file is input from outside: it is validated when it is read,
and what it names is only compared with pages and options that exist, as in a link.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import address
import data
from resnest_bench.errors import UserError
from resnest_bench.files import strict_json, write_text
from texts import plain

NAME = "views.json"
MAX_VIEWS, MAX_BYTES = 50, 2**18
SAVED = "view_saved"


class View(BaseModel):
    """One view: the page as its path is in the address, and the address's parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1, max_length=60)
    page: str = Field(max_length=60)
    params: dict[str, list[str]]


class Views(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    views: list[View] = Field(default=[], max_length=MAX_VIEWS)


def read_views(file: Path) -> list[View]:
    """The views in the file; none without it. Raises UserError for a file that breaks its rules."""
    try:
        if not file.exists():
            return []
        if file.stat().st_size > MAX_BYTES:
            raise UserError(
                f"{file} must have at most {MAX_BYTES:,} bytes, but has {file.stat().st_size:,}: delete it"
            )
        return Views.model_validate(strict_json(file.read_text(encoding="utf-8"))).views
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{file} must hold named views, but {place or 'it'} is wrong ({first['msg']}): mend or delete it"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} must be a JSON file of named views, but can't be read ({error}): mend or delete it"
        ) from error


def write_views(file: Path, views: list[View]) -> None:
    """Replace the file as a whole. Raises UserError if the folder can't be written to."""
    if len(views) > MAX_VIEWS:
        raise UserError(f"a study has at most {MAX_VIEWS} named views: delete one first")
    write_text(file, Views(views=views).model_dump_json(indent=1) + "\n")


def save(file: Path, view: View) -> None:
    """Add a view, or replace the one of its name."""
    write_views(file, [*(one for one in read_views(file) if one.name != view.name), view])


def delete(file: Path, name: str) -> None:
    write_views(file, [one for one in read_views(file) if one.name != name])


def show(loaded: data.Loaded, path: str, pages: Mapping[str, Any]) -> None:
    """The study's views: open one, save this one, delete one."""
    file = loaded.paths.root / NAME
    with st.expander("Named views", icon=":material/bookmark:"):
        try:
            views = read_views(file)
        except UserError as error:
            st.error(plain(str(error)))
            return
        _open_one(views, pages)
        if loaded.paths.is_reference:
            st.caption("The shipped results are read-only: copy the address instead.")
            return
        _save_this(file, path)
        _delete_one(file, views)
        if failure := st.session_state.pop(SAVED, ""):
            st.error(plain(failure))


def _open_one(views: list[View], pages: Mapping[str, Any]) -> None:
    if not views:
        st.caption("None yet. A view is the page with its filters and its selection.")
    by_path = {page.url_path: page for page in pages.values()}
    for number, view in enumerate(views):
        page = by_path.get(view.page)
        if st.button(
            plain(view.name),
            key=f"view_{number}",
            icon=":material/bookmark:",
            type="tertiary",
            disabled=page is None,
            help=None if page else "This version of the dashboard does not have its page",
        ):
            params = {name: values for name, values in view.params.items() if name != address.STUDY}
            study = st.query_params.get_all(address.STUDY)
            address.open_view(page, {address.STUDY: study, **params} if study else params)


def _save_this(file: Path, path: str) -> None:
    name = st.text_input("Save this view as", key="view_name", max_chars=60, placeholder="a name")

    def take() -> None:
        params = {one: values for one, values in address.whole().items() if one != address.STUDY}
        _try(lambda: save(file, View(name=name.strip(), page=path, params=params)))

    st.button("Save", key="view_save", on_click=take, disabled=not name.strip())


def _delete_one(file: Path, views: list[View]) -> None:
    if not views:
        return
    gone = st.selectbox(
        "Delete", [view.name for view in views], index=None, key="view_gone", placeholder="a view"
    )
    if gone is not None:
        st.button("Delete", key="view_delete", on_click=_try, args=(lambda: delete(file, gone),))


def _try(write: Any) -> None:
    """In a callback: an error is shown in the next run."""
    try:
        write()
    except UserError as error:
        st.session_state[SAVED] = str(error)
