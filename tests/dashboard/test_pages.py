"""Every page on whole, partial, missing, broken and hostile results."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from resnest_bench import records
from resnest_bench.live.from_files import read_status
from resnest_bench.paths import Job
from resnest_bench.records.progress import LiveProgress, write_progress
from resnest_bench.specs import dump_study
from resnest_bench.tables.noise import ALL_ALIKE
from support import records_factory
from support.claims_study import claim
from support.records_factory import make_epochs, make_record
from support.taught_study import taught_study, write_taught

PAGES = [
    "answer",
    "tradeoff",
    "differences",
    "compare",
    "classes",
    "claims",
    "ablation",
    "training",
    "latency",
    "devices",
    "transfer",
    "paper",
    "coverage",
]
TRAINING = Job("train", "low", "quick", "A", 1)
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/x.png) $x$ :red[y] [z](javascript:0)"


def progress(epochs):
    return LiveProgress.model_validate(
        {
            "job": vars(TRAINING),
            "num_epochs": 2,
            "epochs": make_epochs(0.5, epochs),
            "dataset_label": "Synthetic low",
            "device_kind": "cpu",
            "device_name": "X",
            "updated_at": "2026-01-01T00:00:00+00:00",
        }
    )


def charts(app):
    return [json.loads(element.proto.spec) for element in app.get("vega_lite_chart")]


def texts(app):
    return [
        e.value
        for kind in ("markdown", "caption", "error", "warning", "info")
        for e in app.get(kind)
    ]


def named(app, kind, key):
    return next(widget for widget in app.get(kind) if widget.key == key)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_study(open_page, study, page):
    app = open_page(page)
    assert not app.error
    assert app.header
    assert charts(app)
    assert app.dataframe


@pytest.mark.parametrize("page", ["tradeoff", "coverage"])
def test_without_results_it_says_what_to_do(open_page, page):
    app = open_page(page)
    assert "make demo" in app.info[0].value
    assert not app.header


@pytest.mark.parametrize("page", PAGES)
def test_without_records_every_page_stands(open_page, results, study, page):
    shutil.rmtree(results / "synthetic/records")
    app = open_page(page)
    assert not app.error
    said = json.dumps(charts(app)) + " ".join(texts(app))
    empty = ("no data yet", "No record", "no result yet")
    assert page in ("coverage", "paper") or any(text in said for text in empty)
    if page == "coverage":
        assert set(app.dataframe[0].value["status"]) == {"missing"}


@pytest.mark.parametrize("page", PAGES)
def test_with_half_of_the_records_every_page_stands(open_page, results, study, page):
    for file in sorted(results.glob("synthetic/records/**/*.json"))[::2]:
        file.unlink()
    assert open_page(page).header


@pytest.mark.parametrize("page", PAGES)
def test_corrupt_records_are_named_and_the_rest_stands(open_page, results, study, page):
    broken = results / "synthetic/records/train/low/quick/A/seed-1.json"
    broken.write_text("{")
    (results / "synthetic/records/latency/low/fast/B/seed-0.json").write_bytes(b"\xff\x00")
    (results / "synthetic/records/finetune/high/tune/A/seed-0.json").write_text('{"a": NaN}')
    app = open_page(page)
    assert len(app.sidebar.error) == 3
    if page == "coverage":
        frame = app.dataframe[0].value
        assert frame["status"].value_counts().to_dict() == {"ok": 21, "invalid": 3}
        assert frame["reason"].str.contains(str(broken), regex=False).any()


def test_a_broken_study_is_named_and_the_others_go_on(open_page, results, study):
    broken = results / "broken" / "study.json"
    broken.parent.mkdir()
    broken.write_text("{")
    app = open_page()
    assert "broken" in app.error[0].value
    assert app.selectbox(key="study").options == ["synthetic"]
    assert charts(app)


def test_a_rewritten_record_is_seen(open_page, results, study):
    app = open_page("coverage")
    (results / "synthetic/records/train/low/quick/A/seed-1.json").unlink()
    app.run()
    assert set(app.dataframe[0].value["status"]) == {"ok", "missing"}


def test_the_newest_study_opens_and_the_url_says_so(open_page, results, study):
    other = records_factory.make_study(study="other")
    records_factory.write_study(other, other.paths(results))
    assert open_page().selectbox(key="study").value == "other"
    app = open_page(study="synthetic")
    assert app.selectbox(key="study").value == "synthetic"
    assert app.query_params["study"] in ("synthetic", ["synthetic"])


def test_a_fresh_clone_opens_on_the_reference(open_page, results):
    study = records_factory.make_study(study="made", finetune=[], tables={})
    records_factory.write_study(study, study.paths(results / "reference" / "a-machine"))
    app = open_page("ablation")
    assert app.selectbox(key="study").value == "reference/a-machine/made"
    assert app.selectbox(key="study").options == ["made (reference / a-machine)"]


def test_a_study_that_a_dry_run_left_is_not_what_opens(open_page, results):
    made = records_factory.make_study(study="made")
    records_factory.write_study(made, made.paths(results / "reference" / "a-machine"))
    planned = records_factory.make_study(study="planned")
    planned.paths(results).root.mkdir(parents=True)
    planned.paths(results).study.write_text(dump_study(planned))
    picker = open_page().selectbox(key="study")
    assert picker.options == ["made (reference / a-machine)", "planned"]
    paths = planned.paths(results)
    write_progress(paths.progress(TRAINING), progress(epochs=1))
    assert open_page().selectbox(key="study").value == "planned"


def test_a_link_out_of_the_results_folder_is_not_followed(open_page, results, study, tmp_path):
    secret = tmp_path / "elsewhere" / "secret"
    other = records_factory.make_study(study="secret")
    records_factory.write_study(other, other.paths(tmp_path / "elsewhere"))
    (results / "secret").symlink_to(secret)
    assert open_page(study="secret").selectbox(key="study").options == ["synthetic"]


# The choice of the study is one function for all pages; the others read what they know themselves.
HOSTILE_STUDIES = ["../../etc/passwd", "/etc/passwd", "synthetic/../../elsewhere"]
HOSTILE_QUERIES = [
    {"study": HOSTILE, "x": HOSTILE, "y": "__class__", "pick": ["../..", HOSTILE]},
    {
        "limit": "1e999",
        "memory": "-5",
        "log": "maybe",
        "x": "\x00",
        "training": "train, low, nothing",
        "protocol": "' OR 1=1 --",
        "record": "train/../../../etc/passwd/0",
        "status": "nothing",
        "kind": HOSTILE,
        "search": "[(",
        "factor": "__import__('os')",
        "table": "x",
        "what": "x",
        "show": "x",
        "batch": "-1",
        "curve": "x",
        "beside": "../..",
        "facets": "x",
        "sweep": "x",
        "adjacent": "x",
        "of": "x",
        "claim": "../../etc/passwd",
        "verdict": ["x", HOSTILE],
    },
]


@pytest.mark.parametrize(
    ("page", "query"),
    [
        *(("tradeoff", {"study": study}) for study in HOSTILE_STUDIES),
        *((page, query) for page in PAGES for query in HOSTILE_QUERIES),
    ],
)
def test_a_bent_url_shows_the_study_and_nothing_else(open_page, study, page, query):
    app = open_page(page, **query)
    assert app.selectbox(key="study").value == "synthetic"
    assert app.header
    assert not any("root:" in text for text in texts(app))


@pytest.mark.parametrize("page", PAGES)
def test_nothing_of_a_record_becomes_markup(open_page, results, study, page):
    for job in study.jobs():
        record = make_record(study, job)
        data = record.dataset.model_copy(update={"label": HOSTILE})
        environment = record.environment.model_copy(update={"device_name": HOSTILE})
        changes = {"dataset": data, "environment": environment, "code_digest": "old"}
        records.write(study.paths(results).record(job), record.model_copy(update=changes))
    app = open_page(page)
    raw = ["<", "![", "http:", ":red[", "$x", "](", "javascript:"]
    assert page in ("coverage", "paper") or any("script" in text for text in texts(app))
    for text in texts(app):
        # What stands behind a backslash is a letter and nothing else.
        unescaped = re.sub(r"\\.", "", text)
        assert not any(piece in unescaped for piece in raw), text
    # Styles, and the legend of the landing page: without a text of a record.
    pieces = [element.proto.body for element in app.get("html")]
    assert not any("script" in piece or "http" in piece for piece in pieces)
    assert all(piece.startswith(("<style>", "<span style=")) for piece in pieces)
    for element in app.get("markdown"):
        assert not element.proto.allow_html


def test_axes_come_from_the_url_and_better_is_up_and_left(open_page, study):
    app = open_page(x="Throughput, batch 8 (images/s)", y="Test loss (nats)")
    drawn = charts(app)[0]["layer"][-1]["encoding"]
    assert drawn["x"]["scale"]["reverse"] is True
    assert drawn["y"]["scale"]["reverse"] is True
    assert "Throughput, batch 8 (images/s, log scale)" in drawn["x"]["title"]
    # B: 4 ms a call, 4 x that at batch 8, and 8 images.
    table = app.dataframe[0].value.set_index("variant")
    assert table.loc["B", "x"] == pytest.approx(500)


def test_the_budget_names_a_variant_and_its_config_line(open_page, study):
    app = open_page(limit="5")
    assert any("within this budget: B" in text for text in texts(app))
    assert app.code[0].value.startswith("- {name: B, family: resnest, layers: [1], radix: 2")
    app = open_page(limit="1")
    assert "within this budget" in app.warning[0].value
    app = open_page(limit="5", memory="1")
    assert "within this budget" in app.warning[0].value


def test_a_selection_filters_table_and_shows_curves_and_lines(open_page, study):
    app = open_page(pick=["A", "T"])
    assert app.dataframe[0].value["variant"].tolist() == ["A", "T"]
    assert any("Selected" in s.value for s in app.subheader)
    assert len(charts(app)) == 2
    assert "- {name: A," in app.code[-1].value
    assert "- {name: T," in app.code[-1].value


def test_two_studies_stand_side_by_side(open_page, results, study):
    other = records_factory.make_study(study="other")
    records_factory.write_study(other, other.paths(results))
    job = Job("latency", "low", "fast", "A", 0)
    records.write(other.paths(results).record(job), make_record(other, job, p50_ms=8.0))
    app = open_page(study="synthetic", beside="other")
    assert [s.value for s in app.subheader][:2] == ["synthetic", "other"]
    both = app.dataframe[-1].value.set_index("variant")
    assert both.loc["A", ["x_first", "x_second", "x_ratio"]].tolist() == [2.0, 8.0, 4.0]
    for page in PAGES[1:]:
        assert open_page(page, study="synthetic", beside="other").header


def test_each_device_has_a_panel_with_the_same_axes(open_page, results, study):
    job = Job("latency", "low", "fast", "A", 0)
    slow = make_record(study, job, p50_ms=50.0, device=records_factory.GPU)
    records.write(study.paths(results).record(job), slow)
    app = open_page()
    drawn = charts(app)
    assert len(drawn) == 2
    domains = [spec["layer"][-1]["encoding"]["x"]["scale"]["domain"] for spec in drawn]
    assert domains[0] == domains[1]
    assert len(charts(open_page(facets="false"))) == 1
    other = records_factory.make_study(study="other")
    records_factory.write_study(other, other.paths(results))
    records.write(
        other.paths(results).record(job), make_record(other, job, device=records_factory.GPU)
    )
    assert len(charts(open_page(study="synthetic", beside="other"))) == 4


def test_a_running_training_is_shown_live(open_page, results, study):
    paths = study.paths(results)
    app = open_page("training")
    before = charts(app)
    paths.record(TRAINING).unlink()
    write_progress(paths.progress(TRAINING), progress(epochs=1))
    app.run()
    assert not app.exception
    assert "epoch 1 of 2" in plain_text(app)
    assert charts(app) != before
    running = next(f.value for f in app.dataframe if "seconds_ago" in f.value)
    assert running[["variant", "seed", "epoch"]].to_numpy().tolist() == [["A", 1, 1]]
    assert running["state"].tolist() == ["running"]


def plain_text(app):
    return " ".join(texts(app)).replace("\\", "")


def test_coverage_says_what_status_says(open_page, results, study):
    paths = study.paths(results)
    paths.record(TRAINING).unlink()
    write_progress(paths.progress(TRAINING), progress(epochs=1))
    broken = Job("train", "low", "quick", "B", 0)
    paths.record(broken).unlink()
    paths.log(broken).parent.mkdir(parents=True)
    paths.log(broken).write_text("resnest-bench: error: the disk is full\n")
    status = read_status(study, paths)
    app = open_page("coverage")
    said = plain_text(app)
    (running,) = status.snapshot.running
    assert running.progress == "epoch 1 of 2, accuracy 50.0%"
    for part in (running.title, running.progress, *(o.text for o in status.snapshot.outcomes)):
        assert part in said
    (failure,) = (error.value.replace("\\", "") for error in app.error)
    assert "the disk is full" in failure
    assert str(paths.log(broken)) in failure
    jobs = next(f.value for f in app.dataframe if "reason" in f.value)
    assert "the disk is full" in set(jobs["reason"])
    # Beside every page: what is done of all, and what runs.
    beside = " ".join(caption.value for caption in app.sidebar.caption).replace("\\", "")
    assert running.progress in beside


def test_a_finished_study_has_no_live_view(open_page, study):
    app = open_page("coverage")
    assert not app.subheader
    # The groups of the menu, and how to save a view.
    beside = " ".join(caption.value for caption in app.sidebar.caption)
    assert not any(word in beside for word in ("epoch", "records", "running"))


def test_coverage_filters_and_names_where_a_figure_comes_from(open_page, results, study):
    paths = study.paths(results)
    extra = paths.records / "train/low/quick/Gone/seed-0.json"
    extra.parent.mkdir()
    extra.write_text("{}")
    app = open_page("coverage", kind="latency", record="train/low/quick/A/1")
    assert set(app.dataframe[0].value["kind"]) == {"latency"}
    facts = app.dataframe[1].value.set_index("fact")["value"]
    assert facts["git commit"] == "c0ffee"
    assert facts["device name"].startswith("Testium 3000")
    commands = [code.value for code in app.code]
    assert any(str(extra) in text for text in commands)
    rerun = next(text for text in commands if text.startswith("snakemake"))
    assert rerun.endswith("--force -- results/synthetic/records/train/low/quick/A/seed-1.json")
    assert any('"schema_version": 1' in text for text in commands)
    found = open_page("coverage", search="TUNE").dataframe[0].value
    assert set(found["recipe"]) == {"tune"}


def test_a_failed_job_has_its_reason(open_page, results, study):
    failed = records_factory.make_failed_record(
        TRAINING, study.job_spec(TRAINING), "it diverged", 2
    )
    records.write(study.paths(results).record(TRAINING), failed)
    frame = open_page("coverage", status="failed").dataframe[0].value
    assert frame["reason"].tolist() == ["it diverged at epoch 2"]


def test_filters_of_training_and_latency(open_page, study):
    app = open_page("training", curve="Test loss (nats)", pick=["A"])
    drawn = json.dumps(charts(app)[0])
    assert "nats" in drawn
    assert '"variant": "B"' not in drawn
    samples = open_page("latency", show="Raw samples", batch="8")
    assert len(charts(samples)) == 1
    for show in ("Settings", "Cold start", "Drift", "Batch sweep"):
        assert charts(open_page("latency", show=show))


@pytest.fixture
def rounds(results, study):
    """The study with three rounds, whose latencies, reference timings and accuracies have a spread."""
    whole = records_factory.make_study(
        latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}]
    )
    records_factory.write_study(whole, whole.paths(results))
    for job in whole.jobs():
        place = whole.variant_names.index(job.variant)
        if job.kind == "latency":
            made = make_record(whole, job, p50_ms=2.0 + place + 0.01 * job.seed * (1 + place))
            reference = made.latency.reference.model_copy(
                update={"before_ms": [10.0 + 0.1 * place], "after_ms": [10.0 + 0.1 * place]}
            )
            observed = made.latency.model_copy(update={"reference": reference})
            made = made.model_copy(update={"latency": observed})
        elif job.kind == "train":
            accuracy = 0.6 + 0.1 * place + 0.01 * (job.seed + place) % 0.03
            made = make_record(whole, job, accuracy=accuracy)
        else:
            continue
        records.write(whole.paths(results).record(job), made)
    return whole


def test_the_trade_off_says_how_sure_the_front_is(open_page, results, rounds):
    app = open_page()
    said = [text.replace("\\", "") for text in texts(app)]
    front = next(text for text in said if "(3 of 3)**" in text)
    assert re.search(r"A \(>?0\.\d\d\), B \(>?0\.\d\d\), T \(>?0\.\d\d\)\.", front)
    assert any("new seeds and new rounds" in text for text in said)
    table = app.dataframe[0].value
    assert set(table["front_probability"]) == {">0.99"}
    assert "front_reason" not in table
    # One seed of A: no probability, and its bar is a binomial one.
    for seed in (1, 2):
        rounds.paths(results).record(Job("train", "low", "quick", "A", seed)).unlink()
    app = open_page()
    table = app.dataframe[0].value.set_index("variant")
    assert "one seed" in table.loc["A", "front_reason"]
    assert table.loc["A", "y_about"] == "these trained networks, new test images"
    cleaned = [text.replace("\\", "") for text in texts(app)]
    assert any("for A: " in text and "one seed" in text for text in cleaned)


def test_the_latency_page_says_the_noise_floor_and_compares_with_it(open_page, rounds):
    app = open_page("latency")
    said = next(text.replace("\\", "") for text in texts(app) if "Noise floor of" in text)
    # Logarithms of 10, 10.1 and 10.2 in each of three rounds, twice: t(0.975, 6) = 2.446912.
    logs = np.log([10, 10.1, 10.2])
    job = np.sqrt(2 * 3 * ((logs - logs.mean()) ** 2).sum() / (2 * 6))
    floor = 100 * (np.exp(2.446912 * job * np.sqrt(2 / 3)) - 1)
    assert "3 rounds" in said
    assert f"{floor:.1f} % (95 %)" in said
    fastest = app.dataframe[0].value.set_index("variant")
    assert fastest.index.tolist() == ["A", "B", "T"]
    assert fastest.loc["B", "relative_to_fastest"] == pytest.approx(3 / 2, abs=0.01)
    assert not fastest.loc["B", "in_noise"]
    parts = next(f.value for f in app.dataframe if "floor_percent" in f.value)
    assert parts["floor_percent"].item() == pytest.approx(floor, rel=1e-6)
    app = open_page("latency", show="ratios", base="B", batch="1")
    ratios = next(f.value for f in app.dataframe if "time_ratio" in f.value).set_index("variant")
    assert ratios.index.tolist() == ["A", "T"]
    assert ratios.loc["A", "time_ratio"] == pytest.approx(2 / 3, abs=0.01)
    assert ratios["noise"].str.contains("above the noise floor").all()


def test_a_noise_floor_that_is_not_known_says_why(open_page, study):
    said = " ".join(texts(open_page("latency"))).replace("\\", "")
    assert f"unknown, since {ALL_ALIKE}" in said


def test_the_paper_page_lists_every_printed_row(open_page, study):
    frame = open_page("paper").dataframe[0].value
    assert len(frame) == 7
    assert len(open_page("paper", table="Trade-off", what="ms/image").dataframe[0].value) == 9
    assert len(open_page("paper", table="Transfer").dataframe[0].value) == 2


def test_claims_are_counted_filtered_and_opened_by_the_url(open_page, results, study):
    # Two seeds in which B's lead differs: the factory's is the same in each.
    job = Job("train", "low", "quick", "B", 0)
    records.write(study.paths(results).record(job), make_record(study, job, accuracy=0.73))
    app = open_page("claims", claim="alike", verdict=["contradicted", "untested"])
    chips = [option.content for option in app.get("button_group")[0].proto.options]
    counts = {"supported": 1, "contradicted": 1, "undecided": 0, "untested": 3}
    for chip, (verdict, count) in zip(chips, counts.items(), strict=True):
        assert chip.endswith(f"{verdict} **{count}**")
    table = app.dataframe[0].value
    # A list is shown as a chip.
    assert {verdict for (verdict,) in table["verdict"]} == {"contradicted", "untested"}
    assert named(app, "selectbox", "claim").value == "alike"
    assert any("no number of seeds" in text for text in texts(app))
    assert app.dataframe[1].value["comparison"].tolist() == ["A = B ± 1 points"]
    other = open_page("claims", claim="gone")
    assert "no data yet" in json.dumps(charts(other))
    assert other.dataframe[1].value["status"].tolist() == ["Gone is not in this study"]


def test_a_study_without_claims_says_how_to_make_one(open_page, results):
    study = records_factory.make_study()
    records_factory.write_study(study, study.paths(results))
    app = open_page("claims")
    assert "no claims" in app.info[0].value
    # What it shows is a whole claim.
    claims = yaml.safe_load(app.code[0].value)["claims"]
    assert records_factory.make_study(claims=claims).claims[0].name == "mine-is-better"


def test_a_claims_text_stays_text(open_page, results):
    evil = claim("greater", name="evil", a=["B"], b=["A"]) | {"claim": HOSTILE, "source": HOSTILE}
    study = records_factory.make_study(claims=[evil])
    records_factory.write_study(study, study.paths(results))
    app = open_page("claims")
    assert any("script" in text for text in texts(app))
    for text in texts(app):
        assert not any(piece in re.sub(r"\\.", "", text) for piece in ("<", "![", ":red[", "]("))


def test_the_claims_of_a_study_stand_beside_those_of_another(open_page, results, study):
    other = records_factory.make_study(study="other")
    records_factory.write_study(other, other.paths(results))
    app = open_page("claims", study="other", beside="synthetic", claim="slower")
    assert [info.value for info in app.info] == [
        "This study has no claims.",
        "This study does not have this claim.",
    ]
    assert any("on CPU Testium" in text.replace("\\", "") for text in texts(app))


def test_the_command_line_names_the_folder(results, monkeypatch):
    import data

    monkeypatch.setattr("sys.argv", ["app.py", "--results", "elsewhere"])
    assert str(data.results_folder()) == "elsewhere"


def test_it_writes_nothing(open_page, results, study):
    before = sorted((p, p.stat().st_mtime_ns) for p in results.rglob("*"))
    for page in PAGES:
        open_page(page)
    assert sorted((p, p.stat().st_mtime_ns) for p in results.rglob("*")) == before


def test_downloads_hold_the_table(open_page, study):
    import views

    frame = pd.DataFrame({"a": [0.1 + 0.2], "b": [[1, 2]]})
    assert views.flat(frame).to_csv(index=False) == 'a,b\n0.30000000000000004,"[1, 2]"\n'
    # A probability is shown with its bound, and its number is in the files.
    sure = pd.DataFrame({"front_probability": [0.9955, 0.61]})
    assert views.with_probabilities(sure)["front_probability"].tolist() == [">0.99", "0.61"]
    assert sure["front_probability"].tolist() == [0.9955, 0.61]


def test_a_menu_has_the_files_of_its_figure_and_of_its_table_once_it_is_open(open_page, study):
    """The buttons come with the open menu: a page has many of them."""
    app = open_page("differences")
    assert not app.get("download_button")
    app.session_state["figure_pairs_synthetic_menu"] = True
    app.session_state["table_standings_synthetic_menu"] = True
    app.run()
    assert not app.exception
    labels = [button.label for button in app.get("download_button")]
    assert labels == ["PNG", "SVG", "PDF", "CSV", "TeX", "CSV", "JSON", "TeX"]


def test_the_transfer_page_draws_the_gain_of_a_teacher(open_page, results):
    study = taught_study()
    write_taught(study, results)
    (drawn,) = charts(open_page("transfer", study=study.study))
    domains = [layer["encoding"]["y"]["scale"]["domain"] for layer in drawn["layer"][1:]]
    assert domains == [["A, taught\ntaught by T"]] * len(domains)


def test_the_page_of_claims_names_the_recipes_that_are_compared(open_page, results):
    sides = [{"variant": "A", "recipe": recipe} for recipe in ("taught", "quick")]
    gain = claim("greater", name="gain", a=sides[:1], b=sides[1:])
    study = taught_study(claims=[gain])
    write_taught(study, results)
    app = open_page("claims", study=study.study, claim="gain")
    assert any("A by taught \\> A by quick" in element.value for element in app.markdown)
    assert "A by taught" in json.dumps(charts(app))


def test_differences_against_one_network_or_of_every_two(open_page, study):
    app = open_page("differences")
    base = named(app, "selectbox", "base")
    assert base.options[0] == "all pairs"
    assert app.dataframe[0].value["variant"].tolist() == ["T", "B", "A"], "the best mean first"
    every = app.dataframe[1].value
    assert set(zip(every["variant"], every["base"], strict=True)) == {
        ("B", "A"),
        ("T", "A"),
        ("T", "B"),
    }
    app = base.select("B").run()
    assert set(app.dataframe[1].value["base"]) == {"B"}
    assert not app.exception


def test_differences_of_a_fine_tuning_can_be_chosen(open_page, study):
    app = open_page("differences")
    named(app, "selectbox", "training").select(("finetune", "high", "tune")).run()
    assert not app.exception
    assert app.dataframe[1].value["variant"].tolist() == ["B"]
