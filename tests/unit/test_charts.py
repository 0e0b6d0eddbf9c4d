import json
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from resnest_bench import charts, records
from resnest_bench.charts import curves, latency
from resnest_bench.charts.palette import PALETTE
from resnest_bench.charts.style import BINOMIAL, CONTINUED, series_scales
from resnest_bench.frames.rows import build_epochs
from resnest_bench.paths import Job
from resnest_bench.results import StudyResults
from resnest_bench.status.outcomes import outcomes
from support.records_factory import (
    GPU,
    make_cell,
    make_record,
    make_study,
    write_study,
)


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def paths(study, tmp_path):
    paths = study.paths(tmp_path / "results")
    write_study(study, paths)
    return paths


@pytest.fixture
def spec(study, paths):
    """The Vega-Lite spec of one of the study's figures, as its records are now."""

    def make(name):
        return charts.make_figures(StudyResults(study, paths), only=[name])[name].to_dict()

    return make


def rows(spec):
    """All rows of all data in a spec."""
    return [row for data in spec.get("datasets", {}).values() for row in data]


def encodings(spec):
    found = [spec["encoding"]] if "encoding" in spec else []
    for key in ("layer", "vconcat", "hconcat"):
        found += [e for part in spec.get(key, ()) for e in encodings(part)]
    return found


def titles(spec):
    title = spec["title"]
    return " ".join([title["text"], *title["subtitle"]]).replace(CONTINUED, "")


def list_points(drawn):
    return {row["variant"]: row for row in rows(drawn) if "freshness" in row}


def test_accuracy_latency_holds_points_intervals_and_front(spec):
    drawn = spec("accuracy_latency")
    points = list_points(drawn)
    assert points["A"]["x"] == 2.0
    assert points["A"]["y"] == pytest.approx(61)
    # logit(0.61) +- t(0.975, 2) * 0.01 / sqrt(3) / (0.61 * 0.39), for the seeds 60, 61 and 62.
    assert points["A"]["y_high"] - points["A"]["y_low"] == pytest.approx(4.96442, rel=1e-5)
    # A, B and T get slower and better: all are on the front.
    assert all(row["front"] for row in points.values())
    xs = [e["x"] for e in encodings(drawn)]
    assert all(x["scale"]["type"] == "log" for x in xs)
    assert "(ms" in xs[0]["title"]
    assert "Synthetic low" in titles(drawn)
    assert "CPU Testium 3000" in titles(drawn)
    # One round has no interval: only accuracies have bars.
    marks = [layer["mark"]["type"] for layer in drawn["layer"]]
    assert marks == ["line", "rule", "point", "text"]


def test_what_cannot_be_drawn_is_named(spec, paths):
    paths.record(Job("latency", "low", "fast", "B", 0)).unlink()
    drawn = spec("accuracy_latency")
    assert {row["variant"] for row in rows(drawn)} == {"A", "T"}
    assert "Not drawn: B (latency round 0 missing: no record yet)" in titles(drawn)


def test_devices_have_fronts_of_their_own(spec, study, paths):
    job = Job("latency", "low", "fast", "A", 0)
    slow = make_record(study, job, p50_ms=50.0, device=GPU)
    records.write(paths.record(job), slow)
    drawn = spec("accuracy_latency")
    # A is worse than T in both, but on another device.
    assert list_points(drawn)["A"]["front"]
    assert "Filled: GPU NVIDIA Testla. Open: CPU Testium" in titles(drawn)


def test_stale_points_have_a_shape_of_their_own(spec, study, paths):
    job = Job("latency", "low", "fast", "A", 0)
    records.write(paths.record(job), make_record(study, job, code_digest="old"))
    shapes = {name: row["freshness"] for name, row in list_points(spec("accuracy_latency")).items()}
    assert shapes == {"A": "stale", "B": "ok", "T": "ok"}


def test_ablation_holds_means_and_seeds(spec):
    drawn = spec("ablation")
    assert {row["variant"] for row in rows(drawn)} == {"A", "B"}
    seeds = {(r["variant"], r["seed"]): r["accuracy_percent"] for r in rows(drawn) if "seed" in r}
    assert seeds == {
        (v, s): pytest.approx(b + s) for v, b in (("A", 60), ("B", 70)) for s in range(3)
    }
    assert drawn["layer"][0]["encoding"]["x2"]["field"] == "high"
    assert "100 test images" in titles(drawn)


def test_the_bar_of_one_seed_is_dashed_and_alike_seeds_have_none(spec, study, paths):
    for seed in (1, 2):
        paths.record(Job("train", "low", "quick", "A", seed)).unlink()
    for seed in range(3):
        job = Job("train", "low", "quick", "B", seed)
        records.write(paths.record(job), make_record(study, job, accuracy=0.7))
    drawn = spec("ablation")
    bars = drawn["layer"][0]
    # B has no bar: all its seeds are alike. A's is Wilson's, of 60 in 100 images.
    (row,) = drawn["datasets"][bars["data"]["name"]]
    assert (row["variant"], row["interval"]) == ("A", "binomial, new test images")
    assert (row["low"], row["high"]) == pytest.approx((50.2003, 69.0599), abs=1e-3)
    assert bars["encoding"]["strokeDash"]["field"] == "interval"
    assert BINOMIAL in titles(drawn)
    assert "No bar if all seeds are equal" in titles(drawn)
    assert "t-interval" not in titles(drawn)


def test_a_variant_without_a_result_keeps_its_row(spec, paths):
    shutil.rmtree(paths.record(Job("train", "low", "quick", "B", 0)).parent)
    drawn = spec("ablation")
    assert drawn["layer"][0]["encoding"]["y"]["scale"]["domain"] == ["A", "B"]
    assert "Not drawn: B (seeds 0, 1, 2 missing" in titles(drawn)


def test_curves_are_means_over_seeds(spec):
    drawn = spec("training_curves")
    assert len(drawn["vconcat"]) == 3
    of_a = [r for r in rows(drawn) if (r["variant"], r["epoch"]) == ("A", 2)]
    # A's seeds end at 60, 61 and 62 in training, and again where it is fine-tuned from there.
    ends = [r["value"] for r in of_a if "value" in r]
    assert sorted(ends) == pytest.approx([40, 41, 42, 60, 60, 61, 61, 62, 62])
    means = sorted((r["mean"], r["low"], r["high"], r["n"]) for r in of_a if "mean" in r)
    assert np.array(means) == pytest.approx(
        np.array([(41, 40, 42, 3), (61, 60, 62, 3), (61, 60, 62, 3)])
    )
    assert "CPU" in titles(drawn)


def test_a_failed_curve_is_shown_only_alone(study, paths):
    epochs = build_epochs(outcomes(study, paths))
    of_a = (epochs["variant"] == "A") & (epochs["kind"] == "train")
    first = of_a & (epochs["seed"] == 0)

    def drawn(failed):
        shown = epochs.assign(status=epochs["status"].mask(failed, "failed"))
        return titles(charts.training_curves_chart(shown).to_dict())

    assert "failed" not in drawn(first)
    assert "Not ok: A, quick (failed)" in drawn(of_a)


@pytest.mark.parametrize("axis", list(curves.AXES))
def test_curves_of_records_and_of_a_running_training_go_together(study, paths, axis):
    """Each of the two tables numbers its rows from 0."""
    epochs = build_epochs(outcomes(study, paths))
    running = epochs[epochs["seed"] == 0].assign(status="running", seed=7).reset_index(drop=True)
    both = pd.concat([epochs, running])
    for smoothing in (1, 2):
        drawn = curves.training_curves_panels(both, axis=axis, smoothing=smoothing)
        assert len(drawn) == 3
    spent = curves.add_axes(epochs.reset_index(drop=True))
    first = spent[(spent["kind"] == "train") & (spent["variant"] == "A") & (spent["seed"] == 0)]
    seconds = first["train_seconds"] + first["evaluation_seconds"].fillna(0)
    np.testing.assert_allclose(first["minutes"], seconds.to_numpy().cumsum() / 60)


def test_long_curves_are_thinned_to_the_limit():
    columns = {
        "kind": "train",
        "dataset": "d",
        "dataset_label": "D",
        "recipe": "r",
        "status": "ok",
        "device_kind": "cpu",
        "device_name": "X",
    }
    epochs = pd.DataFrame(
        [
            {**columns, "variant": f"v{v}", "seed": 0, "epoch": e, "test_accuracy": e / 1000}
            for v in range(20)
            for e in range(1, 1000)
        ]
    )
    drawn = charts.training_curves_chart(epochs).to_dict()
    seeds = [row for row in rows(drawn) if "seed" in row]
    assert 3000 < len(seeds) <= curves.MAX_MARKS + 20
    assert max(row["epoch"] for row in seeds) == 999
    assert "one epoch in 5" in json.dumps(drawn["vconcat"][0]["title"])


def test_latency_shows_every_sample_and_the_median(spec):
    drawn = spec("latency_distribution")
    assert [panel["title"] for panel in drawn["vconcat"]] == [
        "Batch 1, fp32, channels_last, eager",
        "Batch 8, fp32, channels_last, eager",
    ]
    assert sum("wall_ms" in row for row in rows(drawn)) == 3 * 2 * 5
    medians = [row["p50"] for row in rows(drawn) if row.get("variant") == "A" and "p50" in row]
    assert sorted(medians) == [2.0, 8.0]


def test_many_samples_are_thinned_by_rank(study, paths, spec):
    job = Job("latency", "low", "fast", "A", 0)
    cells = [make_cell(1, [float(k) for k in range(1, 9001)])]
    records.write(paths.record(job), make_record(study, job, cells=cells))
    drawn = spec("latency_distribution")
    walls = [row["wall_ms"] for row in rows(drawn) if "wall_ms" in row]
    assert len(walls) <= latency.MAX_MARKS
    assert (min(walls), max(walls)) == (1.0, 9000.0)
    assert [r["p50"] for r in rows(drawn) if r.get("n") == 9000] == [4500.5]
    assert "Thinned evenly by rank from 9,020" in titles(drawn)
    assert drawn == spec("latency_distribution")


def test_transfer_puts_the_recipes_side_by_side(spec):
    drawn = spec("transfer")
    means = {
        (r["variant"], r["recipe"]): r["accuracy_mean_percent"]
        for r in rows(drawn)
        if "accuracy_mean_percent" in r
    }
    assert means == {
        ("A", "tune"): pytest.approx(61),
        ("B", "tune"): pytest.approx(71),
        ("A", "fresh"): pytest.approx(41),
        ("B", "fresh"): pytest.approx(51),
    }
    assert drawn["layer"][0]["encoding"]["yOffset"]["field"] == "recipe"


@pytest.mark.parametrize(
    "make",
    [
        charts.ablation_chart,
        charts.training_curves_chart,
        charts.latency_distribution_chart,
        charts.transfer_chart,
        charts.distillation_chart,
    ],
)
def test_an_empty_frame_gives_a_chart_that_says_so(make):
    assert "no data yet" in json.dumps(make(pd.DataFrame()).to_dict())


def test_without_records_all_figures_say_why(study, tmp_path):
    empty = StudyResults(study, study.paths(tmp_path / "none"))
    for chart in charts.make_figures(empty).values():
        assert "no data yet" in json.dumps(chart.to_dict())


def test_no_two_series_look_alike():
    colours, dashes = series_scales([f"v{k}" for k in range(28)])
    looks = zip(colours.to_dict()["range"], map(tuple, dashes.to_dict()["range"]), strict=True)
    assert len(set(looks)) == 28
    assert len(set(PALETTE)) == len(PALETTE)


def test_figures_are_valid_svg_and_png(study, paths):
    files = charts.write_figures(study, paths)
    names = [
        "accuracy_latency",
        "ablation",
        "training_curves",
        "confusion",
        "latency_distribution",
        "transfer",
    ]
    assert [path.name for path in files] == [f"{n}.{e}" for n in names for e in ("svg", "png")]
    for path in files:
        if path.suffix == ".svg":
            assert ET.parse(path).getroot().tag.endswith("svg")
            assert "Synthetic" in path.read_text()
        else:
            with Image.open(path) as image:
                image.verify()
                assert image.width > 600
    assert sorted(path.name for path in paths.figures.iterdir()) == sorted(p.name for p in files)


def test_only_figures_that_the_study_can_give(study, paths):
    small = make_study(latency=[], finetune=[], tables={})
    assert list(charts.make_figures(StudyResults(small, paths))) == ["training_curves", "confusion"]
