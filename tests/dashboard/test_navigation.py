"""The menu: three groups, pages that a study can't fill, and the glossary."""

import pytest

from support import records_factory


@pytest.fixture
def modules(results):
    import glossary
    import pages

    return pages, glossary


def test_a_page_that_the_study_can_not_fill_says_why(modules):
    pages, _ = modules
    whole = records_factory.make_study()
    assert set(pages.list_reasons(whole)) == {"claims", "paper", "search"}
    timed = records_factory.make_study(train=[], finetune=[], tables={})
    reasons = pages.list_reasons(timed)
    assert {"differences", "classes", "training", "transfer", "ablation"} <= set(reasons)
    assert "latency" not in reasons
    assert all(reason and not reason.endswith(".") for reason in reasons.values())


def test_every_page_is_in_the_menu_grey_or_not(open_page, modules, study):
    pages, _ = modules
    app = open_page("answer")
    links = [link.proto.label for link in app.get("page_link")]
    titles = [page.title for group in pages.GROUPS.values() for page in group]
    assert len(titles) == len(set(titles))
    for title in titles:
        assert any(title in label for label in links), title
    grey = [link.proto for link in app.get("page_link") if ":gray[" in link.proto.label]
    assert grey
    assert all(link.help for link in grey)


def test_the_glossary_has_all_terms_of_its_source_and_finds_them(open_page, modules, study):
    _, glossary = modules
    terms = glossary.read_terms()
    assert {"Seed", "Interval", "Pareto-optimal", "Noise floor"} <= set(terms)
    app = open_page("glossary")
    assert [one.value for one in app.subheader] == list(terms)
    app = open_page("glossary", term="noise floor")
    assert "Noise floor" in [one.value for one in app.subheader]
    assert len(app.subheader) < len(terms)


def test_terms_that_pages_link_to_are_in_the_glossary(modules):
    import re
    from pathlib import Path

    _, glossary = modules
    root = Path(glossary.__file__).parent
    for file in root.rglob("*.py"):
        for call in re.findall(r"how_to_read\(\s*\w+, (\[[^\]]*\])", file.read_text()):
            assert set(re.findall(r'"([^"]+)"', call)) <= set(glossary.read_terms()), file
