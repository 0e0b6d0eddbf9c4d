"""The page Search: before, during and after a search, and for a study without one."""

import pytest

from support.search_study import NSGA2, RATES, SimulatedSearch, search_study

pytest.importorskip("optuna")


def texts(app):
    kinds = ("markdown", "caption", "error", "warning", "info")
    return "\n".join(e.value for kind in kinds for e in app.get(kind))


@pytest.mark.parametrize("rounds", [0, 1])
def test_an_unfinished_search_says_how_far_it_is(open_page, results, rounds):
    study = search_study(study="searching")
    search = SimulatedSearch(study, study.paths(results))
    for number in range(rounds):
        search.decide(number)
        search.make_records()
    app = open_page("search", study="searching")
    assert not app.exception
    assert ("under way" if rounds else "has not begun") in texts(app)


def test_a_search_shows_what_was_chosen_and_confirmed(open_page, results):
    space = {"recipe.learning_rate": RATES, "variant.radix": [0, 1, 2]}
    study = search_study({**NSGA2, "space": space}, study="searched")
    SimulatedSearch(study, study.paths(results)).run()
    app = open_page("search", study="searched")
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 4
    assert "was selected at 7" in texts(app)
    # The other pages have the finalists as they have any network.
    trade = open_page("tradeoff", study="searched")
    assert not trade.exception
    assert not trade.error


def test_a_study_without_a_search_says_how_to_get_one(open_page, study):
    app = open_page("search")
    assert "search:" in texts(app)
