"""Every page in a real browser, on the shipped records.

Needs Debian's chromium (or another one on the PATH); `.ci/run` installs it. Screenshots go to the
folder that RESNEST_BENCH_SCREENSHOTS names, else to pytest's own.
"""

import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from support import records_factory
from support.chromium import NEEDS_CHROMIUM
from support.claims_study import SOME_CLAIMS
from support.dashboard_server import dashboard_command

ROOT = Path(__file__).parents[2]
PAGES = {
    "": "Which network should I choose?",
    "tradeoff": "Trade-off",
    "compare": "Compare two",
    "differences": "Differences",
    "classes": "Per class",
    "claims": "Claims",
    "ablation": "Ablation",
    "training": "Training",
    "latency": "Latency",
    "devices": "Devices",
    "transfer": "Transfer",
    "search": "Search",
    "paper": "Paper and ours",
    "coverage": "Coverage and provenance",
    "glossary": "Glossary",
}
DRAWN = '[data-testid="stVegaLiteChart"] svg.marks'
DOTS = f"{DRAWN} .mark-symbol.role-mark path"
CELLS = '[data-testid="stDataFrame"] [role="gridcell"]'

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The shipped reference runs, and a synthetic study that has everything."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(ROOT / "results" / "reference", folder / "reference")
    study = records_factory.make_study(
        latency=[{"dataset": "low", "protocol": "fast", "rounds": 2}], claims=SOME_CLAIMS
    )
    records_factory.write_study(study, study.paths(folder))
    return folder


@pytest.fixture(scope="module")
def server(results):
    command, port = dashboard_command()
    environ = {**os.environ, "RESNEST_BENCH_RESULTS": str(results)}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
    address = f"http://localhost:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def page(browser, server, request):
    """A page of 1280x720; it must ask no other machine for anything."""
    options = {"viewport": {"width": 1280, "height": 720}, "base_url": server}
    context = browser.new_context(**{**options, **getattr(request, "param", {})})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    outside = []
    opened.on("request", lambda r: outside.append(r.url) if _is_outside(r.url) else None)
    yield opened
    context.close()
    assert not outside


def _is_outside(url):
    return not url.startswith(("http://localhost:", "ws://localhost:", "data:", "blob:"))


def open_drawn(page, address):
    page.goto(address)
    # The glossary is text alone.
    drawn = "h2" if address.startswith("/glossary") else f"{DRAWN}, [data-testid='stAlert']"
    page.wait_for_selector(drawn)
    wait_until_done(page)


def wait_until_done(page):
    # Streamlit marks the page while a script runs.
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(400)


def wait_for_address(page, pattern):
    """Polled: an event of the history that comes while the page is busy can be missed."""
    page.wait_for_function("pattern => new RegExp(pattern).test(location.href)", arg=pattern)


def choose(page, label, option, address):
    """Choose in a select box until the address says so: a rerun of the page closes an open menu."""
    for _ in range(4):
        page.get_by_label(label).click()
        page.get_by_role("option", name=option).click()
        for _ in range(60):
            if re.search(address, page.url):
                return
            page.wait_for_timeout(250)
        page.keyboard.press("Escape")
    raise AssertionError(f"{option!r} was chosen in {label!r}, but the address is {page.url}")


def wait_for_cells(page, there, gone):
    """Until a table shows the one text and no longer the other: it is drawn after the page."""
    texts = f"[...document.querySelectorAll('{CELLS}')].map(cell => cell.innerText)"
    page.wait_for_function(f"{texts}.includes('{there}') && !{texts}.includes('{gone}')")


def shoot(page, folder, name, full=True):
    """Without a page of its own: streamlit scrolls inside the window."""
    size = page.viewport_size
    if full:
        height = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
        page.set_viewport_size(
            {"width": size["width"], "height": min(max(height, size["height"]), 2600)}
        )
        page.wait_for_timeout(400)
    page.screenshot(path=folder / f"{name}.png")
    page.set_viewport_size(size)


def reference_studies():
    folder = ROOT / "results"
    return sorted(
        f.parent.relative_to(folder).as_posix() for f in folder.glob("reference/*/*/study.json")
    )


@pytest.mark.parametrize("study", ["synthetic", *reference_studies()])
def test_no_page_shows_an_error(page, screenshots, study):
    for name, title in PAGES.items():
        open_drawn(page, f"/{name}?study={study}")
        assert page.locator('[data-testid="stException"]').count() == 0, name
        assert page.get_by_role("heading", name=title, exact=True).count() == 1
        assert not page.get_by_text("Traceback").count()
        shoot(page, screenshots, f"{study.rpartition('/')[2]}_{name or 'answer'}")


def test_a_click_on_a_point_picks_it_and_table_and_url_follow(page, screenshots):
    open_drawn(page, "/tradeoff?study=synthetic")
    dot = page.locator(f"{DOTS}[aria-label*='variant: B;']").first
    dot.click()
    wait_for_address(page, r"[?&]pick=B\b")
    page.get_by_text("Selected", exact=True).wait_for()
    wait_for_cells(page, there="B", gone="A")
    shoot(page, screenshots, "picked")
    # It stays picked: a redrawn chart must not take the selection back.
    page.wait_for_timeout(2500)
    assert "pick=B" in page.url


def test_a_click_on_a_claim_opens_it(page):
    open_drawn(page, "/claims?study=synthetic")
    table = page.locator('[data-testid="stDataFrame"]').first
    table.scroll_into_view_if_needed()
    table = table.bounding_box()
    # The table is a canvas: the box at the left of the third row, below the headings.
    page.mouse.click(table["x"] + 15, table["y"] + 35 * 3 + 17)
    wait_for_address(page, r"[?&]claim=alike\b")
    page.locator("strong", has_text="It is said that alike").wait_for()


def test_a_click_on_a_cell_compares_its_two_networks(page, screenshots):
    """One click from all pairs to two networks, and one to exchange them."""
    open_drawn(page, "/differences?study=synthetic&training=train%2Flow%2Fquick")
    page.locator(f"{DRAWN} .mark-rect path[aria-label*='network: T; minus: B;']").first.click()
    wait_for_address(page, r"/compare\?.*a=[^&]*T&b=[^&]*B\b")
    page.get_by_role("heading", name="Compare two", exact=True).wait_for()
    wait_until_done(page)
    # T has 80 % and B 70 %, in every seed.
    page.get_by_text("10.00 points").first.wait_for()
    page.get_by_test_id("stMain").get_by_role("button", name="swap_horiz").click()
    wait_for_address(page, r"a=[^&]*B&b=[^&]*T\b")
    shoot(page, screenshots, "compare")


def test_a_menu_leads_to_the_files_for_a_paper(page, tmp_path):
    """Open the menu, choose a width, take the file; and copy the table."""
    open_drawn(page, "/differences?study=synthetic")
    page.locator("[class*='st-key-figure_pairs_synthetic_menu'] button").first.click()
    page.get_by_role("radio", name="6.9 in, two columns").click()
    wait_until_done(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="SVG", exact=True).click()
    assert waiting.value.suggested_filename == "figure_pairs_synthetic_6.9in.svg"
    waiting.value.save_as(tmp_path / "figure.svg")
    assert 'width="6.9in"' in (tmp_path / "figure.svg").read_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy Markdown").click()
    page.get_by_text("Copied").wait_for()
    assert "study=synthetic" in page.evaluate("navigator.clipboard.readText()")


def test_a_copied_link_shows_the_same(page, browser, server):
    link = "/tradeoff?study=synthetic&x=MACs+of+one+image+(million)&pick=A&pick=T"
    open_drawn(page, link)
    assert page.get_by_text("Test accuracy against MACs of one image").count() == 1
    wait_for_cells(page, there="A", gone="B")
    page.get_by_role("link", name="Training").click()
    wait_for_address(page, r"/training\?.*study=synthetic")
    wait_for_address(page, r"[?&]pick=A&pick=T")


def test_back_leads_to_the_page_before_with_its_view(page):
    open_drawn(page, "/tradeoff?study=synthetic&x=num_macs&pick=A")
    page.get_by_role("link", name="Claims").click()
    wait_for_address(page, r"/claims\?study=synthetic&pick=A$")
    page.get_by_role("heading", name="Claims", exact=True).wait_for()
    wait_until_done(page)
    page.go_back()
    page.get_by_role("heading", name="Trade-off", exact=True).wait_for()
    wait_until_done(page)
    assert re.search(r"/tradeoff\?study=synthetic&x=num_macs&pick=A$", page.url)
    page.get_by_text("Test accuracy against MACs of one image").wait_for()


def test_back_undoes_a_change(page):
    open_drawn(page, "/tradeoff?study=synthetic")
    choose(page, "Left is better", "Parameters (million)", r"[?&]x=num_params\b")
    wait_until_done(page)
    page.go_back()
    page.get_by_text("Test accuracy against latency").wait_for()
    wait_until_done(page)
    assert page.url.endswith("/tradeoff?study=synthetic")


def test_the_tab_names_page_and_study(page):
    open_drawn(page, "/?study=synthetic")
    assert page.title().startswith("Answer · synthetic")
    page.get_by_role("link", name="Transfer").click()
    page.wait_for_function("document.title.startsWith('Transfer · synthetic')")


def test_a_selected_row_stays_the_record_when_the_rows_change(page):
    open_drawn(page, "/coverage?study=synthetic")
    rows = page.locator('[data-testid="stDataFrame"]').first
    rows.scroll_into_view_if_needed()
    table = rows.bounding_box()
    page.mouse.click(table["x"] + 15, table["y"] + 35 * 3 + 17)
    wait_for_address(page, r"[?&]record=train%2Flow%2Fquick%2FA%2F2\b")
    search = page.get_by_role("textbox", name="Search")
    search.fill("fresh")
    search.press("Enter")
    wait_for_address(page, r"[?&]search=fresh\b")
    wait_until_done(page)
    assert "record=train%2Flow%2Fquick%2FA%2F2" in page.url
    # The box is alive: another record can be chosen there.
    page.get_by_role("combobox", name="Record").click()
    page.keyboard.type("latency/low/fast/B")
    page.get_by_role("option", name="latency/low/fast/B/0").click()
    wait_for_address(page, r"[?&]record=latency%2Flow%2Ffast%2FB%2F0\b")
    wait_until_done(page)
    assert "record=latency%2Flow%2Ffast%2FB%2F0" in page.url


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_the_menu_makes_way_for_the_page(page):
    open_drawn(page, "/?study=synthetic")
    page.locator('[data-testid="stExpandSidebarButton"]').click()
    page.get_by_role("link", name="Claims").click()
    page.get_by_role("heading", name="Claims", exact=True).wait_for()
    page.locator('[data-testid="stSidebar"][data-collapsed="true"]').wait_for(state="attached")


@pytest.mark.parametrize(
    "page",
    [{"viewport": {"width": 390, "height": 844}}, {"color_scheme": "dark"}],
    ids=["phone", "dark"],
    indirect=True,
)
def test_a_phone_and_the_dark_theme(page, screenshots, request):
    name = request.node.callspec.id
    open_drawn(page, "/?study=synthetic")
    assert page.locator('[data-testid="stException"]').count() == 0
    if name == "phone":
        width = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollWidth")
        assert width <= 390, "nothing may be wider than the screen"
    shoot(page, screenshots, name)


# Width of each plot's plane and, in a plot, the texts that leave it or that were cut.
PLOTS = """
[...document.querySelectorAll('[data-testid="stVegaLiteChart"] svg.marks')].map(svg => {
  const planes = svg.querySelectorAll('.mark-group.role-frame.root > g > path.background');
  const edge = svg.getBoundingClientRect();
  const cut = [...svg.querySelectorAll('text')].filter(text => {
    const box = text.getBoundingClientRect();
    // A rotated title's box is its line's height wide, of which a letter fills two thirds.
    return box.left < edge.left - 6 || box.right > edge.right + 6 || text.textContent.endsWith('…');
  });
  return {widths: [...planes].map(e => e.getBoundingClientRect().width), cut: cut.map(t => t.textContent)};
})
"""


@pytest.mark.parametrize(
    "page",
    [{"viewport": {"width": width, "height": 900}} for width in (390, 1024, 1440)],
    ids=["390", "1024", "1440"],
    indirect=True,
)
def test_every_plot_is_wide_enough_and_no_label_is_cut(page):
    seen = 0
    (subset,) = [name for name in reference_studies() if name.endswith("subset")]
    for name in PAGES:
        open_drawn(page, f"/{name}?study={subset}")
        for plot in page.evaluate(PLOTS):
            assert min(plot["widths"]) >= 150, name
            assert not plot["cut"], name
            seen += 1
    assert seen >= 8


SLIDER = "input[type=range]"
BEST_LINE = ".answer-lines strong"


def slide(page, step):
    """Move the slider of the budget as a drag does, without letting it go."""
    page.locator(SLIDER).evaluate(
        "(slider, step) => { slider.value = step; slider.dispatchEvent(new Event('input')) }", step
    )


def test_a_budget_is_answered_without_a_round_trip(page, screenshots):
    (subset,) = [name for name in reference_studies() if name.endswith("subset")]
    open_drawn(page, f"/?study={subset}")
    # The answer, its slider and the plot are on the first screen.
    for selector in (BEST_LINE, SLIDER, DRAWN):
        assert page.locator(selector).first.bounding_box()["y"] < 720 / 2
    before, without_limit = page.locator(DRAWN).inner_html(), page.locator(BEST_LINE).inner_text()
    slide(page, 0)
    page.wait_for_function(
        "before => document.querySelector('[data-testid=stVegaLiteChart] svg.marks').innerHTML !== before",
        arg=before,
    )
    assert "within" in page.locator(BEST_LINE).inner_text() != without_limit
    assert "limit=" not in page.url
    # Let go, by the keyboard: the address and the leaderboard follow.
    page.locator(SLIDER).press("ArrowRight")
    wait_for_address(page, r"[?&]limit=latency_p50_ms(:|%3A)")
    wait_until_done(page)
    shoot(page, screenshots, "answer_budget")
    told = page.locator(BEST_LINE).inner_text()
    page.reload()
    page.wait_for_selector(DRAWN)
    wait_until_done(page)
    assert page.locator(BEST_LINE).inner_text() == told


def test_a_filter_and_a_selection_follow_to_every_page(page):
    open_drawn(page, "/?study=synthetic&pick=A&pick=B")
    find = page.get_by_role("textbox", name="Find networks")
    find.fill("/^[AB]$/")
    find.press("Enter")
    wait_for_address(page, r"[?&]find=")
    wait_until_done(page)
    page.get_by_role("link", name="Training", exact=True).click()
    wait_for_address(page, r"/training\?.*find=")
    assert re.search(r"pick=A&pick=B", page.url)


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_the_answer_is_on_the_first_screen(page):
    (subset,) = [name for name in reference_studies() if name.endswith("subset")]
    open_drawn(page, f"/?study={subset}")
    for selector in (".answer-lines", SLIDER):
        box = page.locator(selector).bounding_box()
        assert box["y"] + box["height"] < 844
        assert box["x"] + box["width"] <= 390


def test_a_running_study_redraws_by_itself(page, results):
    study = records_factory.make_study(study="running")
    records_factory.write_study(study, study.paths(results))
    jobs = [job for job in study.jobs() if job.kind == "train"]
    paths = study.paths(results)
    hidden = {paths.record(job): paths.record(job).read_text() for job in jobs[:2]}
    for path in hidden:
        path.unlink()
    try:
        open_drawn(page, "/coverage?study=running&search=quick")
        # Beside the page, and on this one within it.
        for place in ("stSidebar", "stMain"):
            page.get_by_test_id(place).get_by_text("22 of 24 records").wait_for()
        path, text = next(iter(hidden.items()))
        path.write_text(text)
        for place in ("stSidebar", "stMain"):
            page.get_by_test_id(place).get_by_text("23 of 24 records").wait_for()
        assert "search=quick" in page.url
    finally:
        shutil.rmtree(paths.root)
