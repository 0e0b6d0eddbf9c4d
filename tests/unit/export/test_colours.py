"""Contrast on the exported page, light, dark and printed, computed from its own files."""

import re
from pathlib import Path

import pytest
import vl_convert

from resnest_bench import export
from resnest_bench.charts import palette
from resnest_bench.export.results import PageResults
from resnest_bench.export.sections import list_sections
from support.claims_study import SOME_CLAIMS
from support.contrast import contrast
from support.records_factory import make_study, write_study

HERE = Path(export.__file__).parent
CSS, JS = ((HERE / name).read_text() for name in ("page.css", "page.js"))
TEXTS, LINES = ("ink", "soft", "accent"), ("edge",)
# Fills of cells with a text of their own, which the palette's test is about, and open marks, which are
# seen by their strokes. A dark line within a white edge is seen on any page.
FILLS = {*palette.DIVERGING, palette.CELL_TEXT, "transparent", "white", "#333333"}


def read_themes():
    """The colours of the page by theme; a theme has those of the light one, unless it says others."""
    blocks = [
        dict(re.findall(r"--(\w+):\s*(#\w+)", block))
        for block in re.findall(r":root\s*{([^}]*)}", CSS)
    ]
    return dict(
        zip(("light", "dark", "print"), [blocks[0] | block for block in blocks], strict=True)
    )


THEMES = read_themes()


def test_the_page_is_as_dark_as_the_palette_says():
    assert THEMES["dark"]["paper"].upper() in palette.DARK_PAGES


@pytest.mark.parametrize("theme", THEMES)
def test_texts_and_lines_of_the_page_can_be_seen(theme):
    colours = THEMES[theme]
    for name in TEXTS:
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    for name in LINES:
        assert contrast(colours[name], colours["paper"]) >= 3, name


@pytest.mark.parametrize("theme", THEMES)
def test_axes_and_frames_of_charts_can_be_seen(theme):
    (line,) = re.findall(r'const line = "(#\w+)"', JS)
    assert contrast(line, THEMES[theme]["paper"]) >= 3
    drawn = set(re.findall(r"(\w+)(?:Color|: {stroke): (\w+|\".*?\")", JS))
    assert {part for part, colour in drawn if colour == "line"} == {"domain", "tick", "view"}
    assert {part for part, colour in drawn if colour == "grid"} == {"grid"}


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """Every chart of a page that has all sections, as Vega."""
    study = make_study(
        latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}], claims=SOME_CLAIMS
    )
    paths = study.paths(tmp_path_factory.mktemp("results"))
    write_study(study, paths)
    blocks = [
        block for section in list_sections(PageResults(study, paths)) for block in section.blocks
    ]
    return [vl_convert.vegalite_to_vega(b.spec) for b in blocks if getattr(b, "spec", None)]


def list_colours(vega):
    """Colours that marks have by themselves, and those of scales; black texts take the page's ink."""
    found = {colour for scale in vega.get("scales", []) for colour in list_range(scale)}
    marks = list(vega["marks"])
    while marks:
        mark = marks.pop()
        marks += mark.get("marks", [])
        for state in mark.get("encode", {}).values():
            for name in ("fill", "stroke"):
                channel = state.get(name, [])
                rules = channel if isinstance(channel, list) else [channel]
                values = {rule["value"] for rule in rules if "value" in rule}
                found |= values - ({"black"} if mark["type"] == "text" else set())
    return found


def list_range(scale):
    values = scale.get("range")
    return [v for v in values if str(v).startswith("#")] if isinstance(values, list) else []


def test_every_mark_of_every_chart_can_be_seen_on_every_page(specs):
    colours = set().union(*map(list_colours, specs)) - FILLS
    assert {palette.GREY, palette.PALETTE[0]} <= colours
    for colour in colours:
        for page in (palette.LIGHT_PAGE, *palette.DARK_PAGES):
            assert contrast(colour, page) >= 3, (colour, page)
