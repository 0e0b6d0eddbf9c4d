"""The page in a real browser, opened as a file: all charts are drawn, and nothing is asked for.

Needs Debian's chromium (or another one on the PATH); `.ci/run` installs it. Screenshots go to the
folder that RESNEST_BENCH_SCREENSHOTS names, else to pytest's own.
"""

from pathlib import Path

import pytest

from resnest_bench.export import write_page
from resnest_bench.paths import StudyPaths
from resnest_bench.specs import load_study
from support.chromium import NEEDS_CHROMIUM
from support.hostile_study import write_hostile_study
from support.records_factory import make_study, write_study

ROOT = Path(__file__).parents[2]
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
FADED = "#training-1 .mark-line path[opacity='0.03']"

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Name to file: a study that has everything, a hostile one, one without records, and the shipped ones."""
    folder = tmp_path_factory.mktemp("results")
    whole = make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 2}])
    write_study(whole, whole.paths(folder))
    empty = make_study(study="empty")
    studies = [
        (whole, whole.paths(folder)),
        (empty, empty.paths(folder)),
        write_hostile_study(folder),
    ]
    for file in sorted((ROOT / "results").glob("reference/*/*/study.json")):
        studies.append((load_study(file), StudyPaths(file.parent)))
    return {
        study.study: write_page(study, paths, folder / "pages" / f"{study.study}.html")
        for study, paths in studies
    }


@pytest.fixture
def page(browser, request):
    """A page of 1280x720 that must ask for nothing, show no dialog and write no error."""
    options = {"viewport": {"width": 1280, "height": 720}, **getattr(request, "param", {})}
    context = browser.new_context(**options)
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    wrong = []
    opened.on("request", lambda r: wrong.append(r.url) if _is_outside(r.url) else None)
    opened.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    yield opened
    context.close()
    assert not wrong


def _is_outside(url):
    return not url.startswith(("file:", "data:", "blob:"))


def open_drawn(page, file):
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-charts=drawn]")


def test_every_chart_is_drawn(page, pages, screenshots):
    for name, file in pages.items():
        open_drawn(page, file)
        places = page.locator(".chart").count()
        assert places == page.locator("script[type='application/json']").count()
        assert page.locator(".chart svg.marks").count() == places, name
        assert page.get_by_text("could not be drawn").count() == 0
        page.screenshot(path=screenshots / f"export_{name}.png", full_page=True)


@pytest.mark.parametrize(
    "page", [PHONE, {"color_scheme": "dark"}], ids=["phone", "dark"], indirect=True
)
def test_a_phone_and_the_dark_theme(page, pages, screenshots, request):
    for name in ("synthetic", "hostile"):
        open_drawn(page, pages[name])
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= page.viewport_size["width"], "nothing may be wider than the screen"
        labels = page.locator(".chart svg .role-axis-label text").first
        colours = labels.evaluate(
            "e => [getComputedStyle(e).fill, getComputedStyle(document.body).color]"
        )
        assert colours[0] == colours[1]
        file = screenshots / f"export_{name}_{request.node.callspec.id}.png"
        page.screenshot(path=file, full_page=True)


def test_print_is_black_on_white_and_as_wide_as_the_paper(page, pages):
    page.emulate_media(color_scheme="dark", media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    open_drawn(page, pages["synthetic"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    colours = page.locator("body").evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]


def test_a_tooltip_and_the_legend_work_without_eval(page, pages):
    open_drawn(page, pages["synthetic"])
    page.locator("#tradeoff-1 .mark-symbol.role-mark path").first.hover()
    tooltip = page.locator("#vg-tooltip-element.visible")
    assert "Test accuracy (%)" in tooltip.inner_text()
    assert page.locator(FADED).count() == 0
    page.locator("#training-1 .role-legend-label text").first.click()
    page.wait_for_selector(FADED, state="attached")


def test_a_tooltip_shows_a_hostile_text_as_text(page, pages):
    open_drawn(page, pages["hostile"])
    # Forced: another point may lie on top, and its texts are hostile too.
    page.locator("#tradeoff-1 .mark-symbol.role-mark path").last.hover(force=True)
    tooltip = page.locator("#vg-tooltip-element.visible")
    assert "<" in tooltip.inner_text()
    assert tooltip.locator("script, img").count() == 0


def test_charts_and_tables_can_be_saved(page, pages, tmp_path):
    open_drawn(page, pages["synthetic"])
    with page.expect_download() as svg:
        page.locator("#tradeoff-1").get_by_role("button", name="SVG").click()
    assert svg.value.suggested_filename == "synthetic-tradeoff-1.svg"
    svg.value.save_as(tmp_path / "chart.svg")
    text = (tmp_path / "chart.svg").read_text()
    assert "Test accuracy against latency" in text
    assert "currentColor" not in text
    with page.expect_download() as png:
        page.locator("#tradeoff-1").get_by_role("button", name="PNG").click()
    assert png.value.path().read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as csv:
        page.get_by_role("link", name="runs.csv").click()
    assert csv.value.suggested_filename == "synthetic-runs.csv"
    assert csv.value.path().read_text().startswith("kind,dataset,")


def test_the_policy_stops_what_would_ask_a_server(browser, pages):
    page = browser.new_page()
    open_drawn(page, pages["synthetic"])
    for code, directive in (
        ("new Image().src = 'https://example.invalid/a.png'", "img-src"),
        ("fetch('https://example.invalid/').catch(() => 0)", "connect-src"),
        (
            "document.head.append(Object.assign(document.createElement('script'), {text: '1'}))",
            "script-src-elem",
        ),
    ):
        stopped = page.evaluate(
            "() => new Promise(done => { document.addEventListener('securitypolicyviolation', "
            f"event => done(event.effectiveDirective), {{once: true}}); {code} }})"
        )
        assert stopped == directive
    page.close()
