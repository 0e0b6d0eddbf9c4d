"""The page as text: what is in it, and that nothing of a record can be more than text."""

import base64
import hashlib
import io
import json
import re

import pandas as pd
import pytest

from resnest_bench import charts, records
from resnest_bench.errors import UserError
from resnest_bench.export import blocks, page_html, results, write_page
from resnest_bench.frames.cache import load_frames
from resnest_bench.paths import Job
from resnest_bench.tables.noise import ALL_ALIKE, NOISE_PARTS
from resnest_bench.tables.points import headline_points
from support.claims_study import SOME_CLAIMS
from support.hostile_study import write_hostile_study
from support.pages import HOSTILE, Page
from support.paper_study import paper_study, train_records
from support.predicted_study import predicted_study, write_predicted
from support.records_factory import make_failed_record, make_record, make_study, write_study
from support.taught_study import taught_study, write_taught


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def paths(study, tmp_path):
    paths = study.paths(tmp_path / "results")
    write_study(study, paths)
    return paths


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    study, paths = write_hostile_study(tmp_path_factory.mktemp("results"))
    return page_html(study, paths)


def build_page(study, paths):
    return Page(page_html(study, paths))


def list_rows(spec):
    return [row for data in spec["datasets"].values() for row in data]


def test_a_whole_study_has_all_sections_in_order(study, paths):
    page = build_page(study, paths)
    assert page.sections == [
        "about",
        "tradeoff",
        "differences",
        "ablation",
        "training",
        "stability",
        "latency",
        "devices",
        "transfer",
        "coverage",
        "files",
    ]
    # trade-off; pairs and effects; ablation and radix; one training; sweep, samples, start, drift;
    # what bounds the latencies at two batch sizes; transfer and its two recipes; coverage.
    assert len(page.specs) == 1 + 2 + 2 + 1 + 4 + 2 + 3 + 1
    assert not page.open
    targets = [a["href"] for a in page.all("a") if a["href"].startswith("#")]
    assert {f"#{key}" for key in page.sections} <= set(targets)
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)
    assert {target[1:] for target in targets} <= set(ids)


def test_what_a_study_does_not_have_is_left_out(tmp_path):
    small = make_study(
        latency=[],
        finetune=[],
        tables={},
        variants=[{"name": "T", "family": "timm", "model": "resnet10t"}],
    )
    paths = small.paths(tmp_path)
    write_study(small, paths)
    page = build_page(small, paths)
    assert page.sections == [
        "about",
        "tradeoff",
        "training",
        "stability",
        "coverage",
        "files",
    ]


@pytest.mark.parametrize("tables", [{}, {"tradeoff": {}}])
@pytest.mark.parametrize("timed", [False, True])
def test_a_study_of_fine_tunings_shows_its_accuracies(tmp_path, tables, timed):
    start = {"file": "/nonexistent/weights.safetensors"}
    block = {"dataset": "high", "recipes": ["tune", "fresh"], "weights": {"A": start, "B": start}}
    more = {} if timed else {"latency": [], "protocols": {}}
    tuned = make_study(train=[], finetune=[block], tables=tables, **more)
    paths = tuned.paths(tmp_path)
    write_study(tuned, paths)
    page = build_page(tuned, paths)
    assert {"tradeoff", "differences", "transfer"} <= set(page.sections)
    (spec,) = [s for s in page.specs if "Test accuracy against" in json.dumps(s["title"])]
    ys = {row["variant"]: row["y"] for row in list_rows(spec) if "y" in row and "x" in row}
    # Of A, seeds 0, 1 and 2 have 60, 61 and 62 %.
    assert ys["A"] == pytest.approx(61)
    assert "B" in ys


def test_the_gains_of_teachers_are_a_chart_above_their_table(tmp_path):
    study = taught_study()
    write_taught(study, tmp_path)
    page = build_page(study, study.paths(tmp_path))
    assert "distillation" in page.sections
    (spec,) = [s for s in page.specs if "Distillation" in json.dumps(s["title"])]
    (gain,) = [row for row in list_rows(spec) if "gain_mean_points" in row]
    assert gain["gain_mean_points"] == pytest.approx(6.5)


def test_a_study_of_latencies_alone(tmp_path):
    timed = make_study(train=[], finetune=[], tables={})
    paths = timed.paths(tmp_path)
    write_study(timed, paths)
    assert build_page(timed, paths).sections == ["about", "latency", "devices", "coverage", "files"]


def test_the_papers_figures_stand_only_where_a_table_asks_for_them(tmp_path):
    study = paper_study()
    assert study.tables.ablation.paper
    paths = study.paths(tmp_path)
    for job, record in train_records(study, {"ResNeSt-14-2s1x64d": [0.62, 0.64]}).items():
        records.write(paths.record(job), record)
    page = build_page(study, paths)
    assert "paper" in page.sections
    text = "".join(page.list_texts("section"))
    assert "62.64" in text  # printed for 2s1x64d
    # Two seeds have no interval.
    assert "62.00, 64.00 (n=2)" in text
    assert "The paper prints one network twice" in text


def test_claims_have_a_section_with_a_chart_for_each(tmp_path):
    study = make_study(claims=SOME_CLAIMS)
    paths = study.paths(tmp_path)
    write_study(study, paths)
    job = Job("train", "low", "quick", "B", 0)
    records.write(paths.record(job), make_record(study, job, accuracy=0.73))
    page = build_page(study, paths)
    assert page.sections[:3] == ["about", "tradeoff", "differences"]
    text = page.list_texts("section")[3]
    assert "5 claims: 1 supported, 1 contradicted, 3 untested." in text
    assert "Supported: B > A: +11.00 points, 95 %" in text
    assert "gone: Gone is not in this study." in text
    assert "better: B > A" not in text  # its chart says so
    titles = [spec["title"]["text"] for spec in page.specs]
    assert [t for t in titles if t.startswith("It is said")] == [
        f"It is said that {name}" for name in ("better", "slower", "alike", "larger")
    ]


def test_about_says_how_it_was_made(study, paths):
    text = build_page(study, paths).list_texts("dl")[0]
    for fact in (
        "24 jobs: 24 ok",
        "train: Synthetic low, recipe quick, 3 networks, 3 seeds",
        "latency: Synthetic low, protocol fast, 3 networks, 1 round",
        "low: Synthetic low, 400 training and 100 test images",
        "CPU Testium 3000 (2 logical cores), 2 threads",
        "torch 2.11.0",
        "c0ffee: 24 records",
        "2026-01-01 00:00 to 2026-01-01 00:00 UTC",
    ):
        assert fact in text, fact


def test_the_front_and_what_cannot_be_told_from_the_best_are_said(study, paths):
    # A, B and T get slower and better by 10 points, with seeds 1 point apart: all on the front.
    for variant, accuracies in {"A": (60, 61, 63), "B": (70, 72, 71)}.items():
        for seed, percent in enumerate(accuracies):
            job = Job("train", "low", "quick", variant, seed)
            records.write(paths.record(job), make_record(study, job, accuracy=percent / 100))
    text = build_page(study, paths).list_texts("section")[1]
    assert " (3 of 3): A, B, T." in text
    assert re.search(r"No probability: .*latency, p50.* one round", text)
    assert "Best test accuracy: T, 81 % at 6.00 ms." in text
    assert "T has the best mean" in text
    job = Job("train", "low", "quick", "B", 0)
    records.write(paths.record(job), make_record(study, job, accuracy=0.9))
    assert "T has the best mean" in build_page(study, paths).list_texts("section")[1]


def test_the_latency_section_says_the_noise_floor(study, paths):
    sections = build_page(study, paths)
    text = sections.list_texts("section")[sections.sections.index("latency")]
    place = "protocol fast (images as in low) on CPU Testium 3000 (2 logical cores), 2 threads"
    assert place in text
    assert ALL_ALIKE in text
    assert NOISE_PARTS in text
    # 10 ms before and 11 ms after: the mean change of the logarithm is 9.5 %.
    assert "9.5" in text


def test_a_charts_json_is_its_spec(study, paths):
    frames = load_frames(study, paths, {})
    points, x, y = headline_points(study, frames.runs, frames.cells)
    expected = charts.tradeoff_chart(points, x, y, "Synthetic low").to_dict()
    assert build_page(study, paths).specs[0] == json.loads(json.dumps(expected))


def test_whatever_is_missing_failed_or_stale_is_named(study, paths):
    stale, failed = (Job("train", "low", "quick", "A", seed) for seed in (0, 1))
    records.write(paths.record(stale), make_record(study, stale, code_digest="old"))
    records.write(paths.record(failed), make_failed_record(failed, {}, "the loss is not finite"))
    for seed in (0, 1):
        paths.record(Job("finetune", "high", "tune", "B", seed)).unlink()
    page = build_page(study, paths)
    text = "".join(page.list_texts("section"))
    assert "24 jobs: 20 ok, 1 stale, 1 failed, 2 missing" in text
    assert "code changed since" in text
    assert "the loss is not finite" in text
    rows = [row for row in page.list_texts("tr") if row.startswith("finetune")]
    assert rows == ["finetunehightuneB0, 1missingno record yet"]


def test_without_records_it_says_no_data_yet(study, tmp_path):
    page = build_page(study, study.paths(tmp_path / "none"))
    text = "".join(page.list_texts("section"))
    assert text.count("no data yet") >= 7
    assert "24 jobs: 24 missing" in text
    # The bars of the coverage are the only ones that there is something to draw of.
    assert len(page.specs) == 1


def test_same_records_same_bytes(study, paths):
    assert page_html(study, paths) == page_html(study, paths)


def test_it_does_not_tell_where_the_study_lies(study, paths):
    paths.record(Job("train", "low", "quick", "A", 0)).write_text("{")
    html = page_html(study, paths)
    assert "records/train/low/quick/A/seed-0.json is not JSON" in html
    assert str(paths.root) not in html


def test_predictions_have_a_section(tmp_path):
    study = predicted_study()
    paths = study.paths(tmp_path)
    write_predicted(study, paths)
    page = build_page(study, paths)
    assert page.sections[:4] == ["about", "tradeoff", "differences", "classes"]
    text = page.list_texts("section")[page.sections.index("classes")]
    assert "Confusion matrix of T" in text, "the best one"


def test_hostile_texts_stay_texts(hostile):
    page = Page(hostile)
    assert not page.open
    # The bundle and our own script.
    assert len(page.scripts) == 2
    assert not any("alert(" in script for script in page.scripts)
    assert not page.all("img")
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on") or name == "style"], tag
    text = "".join(page.list_texts("section"))
    for evil in HOSTILE:
        assert " ".join(evil.split()) in " ".join(text.split())


def test_hostile_texts_survive_in_the_charts(hostile):
    specs = Page(hostile).specs
    assert len(specs) >= 10
    # None of them is closed early, and all say what the records said.
    assert HOSTILE[1] in json.dumps(specs, ensure_ascii=False)
    payloads = re.findall(r'<script type="application/json">(.*?)</script>', hostile, re.DOTALL)
    assert len(payloads) == len(specs)
    assert not any("<" in payload for payload in payloads)


def test_nothing_is_loaded_from_anywhere(hostile):
    page = Page(hostile)
    assert not {tag for tag, _ in page.elements} & {
        "link",
        "base",
        "iframe",
        "object",
        "embed",
        "form",
    }
    addresses = [
        value
        for _, attrs in page.elements
        for name, value in attrs.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not re.search(r"url\(|@import", page.list_texts("style")[0])


def test_the_policy_allows_our_scripts_and_styles_alone(hostile):
    page = Page(hostile)
    head = page.all("meta")[1]
    assert head["http-equiv"] == "Content-Security-Policy"
    policy = dict(part.strip().split(" ", 1) for part in head["content"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].split() == [digest(text) for text in page.scripts]
    assert policy["style-src"].split() == [digest(text) for text in page.list_texts("style")]
    assert "unsafe" not in head["content"]


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_raw_tables_are_in_the_page(study, paths):
    page = build_page(study, paths)
    files = {a["download"]: a["href"] for a in page.all("a") if "download" in a}
    assert list(files) == [
        "synthetic-runs.csv",
        "synthetic-latency_cells.csv",
        "synthetic-study.json",
    ]
    content = base64.b64decode(files["synthetic-runs.csv"].partition("base64,")[2])
    runs = pd.read_csv(io.BytesIO(content))
    expected = load_frames(study, paths, {}).runs
    assert runs["test_accuracy"].dropna().tolist() == expected["test_accuracy"].dropna().tolist()
    assert runs["record"][0] == "records/train/low/quick/A/seed-0.json"


def test_a_raw_table_that_is_too_large_is_left_out_and_named(study, paths, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_FILE_BYTES", 5000)
    page = build_page(study, paths)
    assert "synthetic-runs.csv" not in [a.get("download") for a in page.all("a")]
    assert re.search(r"runs\.csv \([\d.]+ KiB\) is too large", page.list_texts("section")[-1])


def test_of_many_networks_the_first_are_drawn_and_it_says_so(study, paths, monkeypatch):
    monkeypatch.setattr(results, "MAX_VARIANTS", 2)
    page = build_page(study, paths)
    text = "".join(page.list_texts("section"))
    assert "the first 2 of 3 networks" in text
    by_title = {spec["title"]["text"]: spec for spec in page.specs}
    start = next(spec for text, spec in by_title.items() if text.startswith("Cold start"))
    assert {row["row"] for row in list_rows(start)} == {"A", "B"}
    curves = next(spec for text, spec in by_title.items() if "recipe quick" in text)
    assert {row["variant"] for row in list_rows(curves)} == {"A", "B"}
    # The trade-off has room for a thousand points.
    tradeoff = page.specs[0]
    assert {row["variant"] for row in list_rows(tradeoff) if "front" in row} == {"A", "B", "T"}


def test_a_long_table_is_cut_and_it_says_so():
    frame = pd.DataFrame({"a": [str(k) for k in range(1200)]})
    table = blocks.make_table("t", frame, notes=[str(k) for k in range(1001)])
    assert len(table.rows) == 1000
    assert table.notes[0] == "Only the first 1,000 of 1,200 rows are shown"
    assert table.notes[-1] == "and 1 more notes"


def test_numbers_are_set_flush_right():
    frame = pd.DataFrame(
        {
            "n": ["1", "–"],
            "mean": ["62.64 [62.1, 63.2] (n=5)", "43.10, 45.00 (n=2)"],
            "name": ["1s1x64d", "A"],
            "why": ["x" * 80, ""],
        }
    )
    assert blocks.make_table("t", frame).looks == ("number", "number", "", "long")


def test_the_file_is_small_enough_to_be_sent(study, paths):
    file = write_page(study, paths)
    assert file == paths.root / "synthetic.html"
    megabytes = file.stat().st_size / 1e6
    print(f"{megabytes:.2f} MB")
    # The bundle of Vega alone is 0.9 MB.
    assert 0.9 < megabytes < 3


def test_a_place_that_cannot_be_written_is_said(study, paths, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_page(study, paths, tmp_path / "file" / "page.html")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UserError, match="cannot write"):
        write_page(study, paths, folder)
    assert not list(tmp_path.glob(".*"))
