"""Filters, selection and named views: what follows to every page, and what a link may ask for."""

import json
import os
import stat

import pytest

from resnest_bench.errors import UserError


@pytest.fixture
def selection(results):
    import selection

    return selection


@pytest.fixture
def named_views(results):
    import named_views

    return named_views


NAMES = ["ResNet-18", "ResNeSt-14-0s1x64d", "a(b"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", [True, True, True]),
        ("resn", [True, True, False]),
        ("a(", [False, False, True]),
        ("/^resnes?t-1[0-9]$/", [True, False, False]),
        ("/x64d$|^a/", [False, True, True]),
        ("/", [False, False, False]),
        ("//", [True, True, True]),
    ],
)
def test_a_search_is_a_text_or_an_expression(selection, pattern, found):
    assert selection.match_names(pattern, NAMES) == found


@pytest.mark.parametrize("pattern", ["/(/", "/a{9999}/", "/(?<=x)/", "/*/"])
def test_a_bad_expression_is_an_error_for_the_user(selection, pattern):
    with pytest.raises(UserError, match="but got"):
        selection.match_names(pattern, NAMES)


def test_no_expression_takes_long(selection):
    assert selection.match_names("/(a+)+$/", ["a" * 5000 + "b"]) == [False]


def rows(app):
    return app.dataframe[0].value["variant"].tolist()


def test_a_filter_narrows_and_follows(open_page, study):
    app = open_page("answer", find="/^[AB]$/")
    assert sorted(rows(app)) == ["A", "B"]
    app.switch_page("app_pages/tradeoff.py").run()
    assert set(app.dataframe[0].value["variant"]) == {"A", "B"}
    assert app.query_params["find"] in (["/^[AB]$/"], "/^[AB]$/")


def test_a_bad_expression_is_a_message_and_all_networks(open_page, study):
    app = open_page("answer", find="/(/")
    assert len(app.error) == 1
    assert "regular expression" in app.error[0].value
    assert len(rows(app)) == 3


def test_families_and_parameters(open_page, study):
    app = open_page("answer", family="resnest")
    assert sorted(rows(app)) == ["A", "B"]
    app = open_page("answer", params_from="999")
    assert not app.exception
    app = open_page("answer", family="no-such-family")
    assert len(rows(app)) == 3


def test_hidden_and_pinned(open_page, study):
    app = open_page("answer", hide="B", pin="T", find="A")
    assert rows(app) == ["T", "A"]


def test_the_selection_can_be_hidden_pinned_and_cleared(open_page, study):
    app = open_page("answer", pick="B")
    app.button(key="leaderboard_answer_Pin").click().run()
    assert rows(app)[0] == "B"
    app.button(key="leaderboard_answer_Hide").click().run()
    assert "B" not in rows(app)
    assert app.query_params["hide"] in (["B"], "B")
    assert "pick" not in app.query_params
    app.button(key="reset_filters").click().run()
    assert "B" in rows(app)


def test_a_selected_network_is_shown_whatever_the_filter(open_page, study):
    assert sorted(rows(open_page("answer", pick="T", find="A"))) == ["A", "T"]


def test_a_filter_that_leaves_nothing(open_page, study):
    for page in ("answer", "tradeoff", "differences", "training", "latency", "coverage"):
        app = open_page(page, find="no such network")
        assert not app.exception, page


def test_a_view_is_saved_opened_and_deleted(open_page, results, study):
    app = open_page("answer", find="A")
    app.text_input(key="view_name").set_value("mine *").run()
    app.button(key="view_save").click().run()
    file = results / "synthetic" / "views.json"
    (view,) = json.loads(file.read_text())["views"]
    assert view == {"name": "mine *", "page": "", "params": {"find": ["A"]}}
    app = open_page("training", study="synthetic")
    app.button(key="view_0").click().run()
    assert not app.exception
    assert rows(app) == ["A"]
    app.selectbox(key="view_gone").select("mine *").run()
    app.button(key="view_delete").click().run()
    assert json.loads(file.read_text()) == {"views": []}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"views": [{"name": "", "page": "", "params": {}}]}',
        '{"views": [{"name": "a", "page": "", "params": {"x": "y"}}]}',
        '{"views": [], "more": 1}',
        '{"views": 3}',
        " " * 2**19,
    ],
)
def test_a_broken_file_of_views_is_named_and_the_page_stands(open_page, results, study, text):
    (results / "synthetic" / "views.json").write_text(text)
    app = open_page("answer")
    assert [error for error in app.error if "views" in error.value]
    assert len(rows(app)) == 3


def test_a_view_names_only_pages_that_exist(open_page, results, study):
    views = [{"name": "../x", "page": "../../etc", "params": {"study": ["/etc"]}}]
    (results / "synthetic" / "views.json").write_text(json.dumps({"views": views}))
    app = open_page("answer")
    assert app.button(key="view_0").disabled


def test_a_folder_that_is_read_only_says_so(named_views, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(UserError):
            named_views.write_views(tmp_path / "views.json", [])
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_file_that_can_not_be_written_is_a_message(open_page, results, study, monkeypatch):
    import named_views

    def refuse(path, text):
        raise UserError(f"{path.parent} must be writable")

    monkeypatch.setattr(named_views, "write_text", refuse)
    app = open_page("answer")
    app.text_input(key="view_name").set_value("mine").run()
    app.button(key="view_save").click().run()
    assert any("must be writable" in error.value for error in app.error)
