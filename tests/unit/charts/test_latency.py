import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest
import vl_convert

from resnest_bench import charts
from resnest_bench.charts.figures import render_svg
from resnest_bench.charts.latency import STEADY
from resnest_bench.charts.rounds import MAX_MARKS, NOISY
from resnest_bench.charts.style import CONTINUED
from resnest_bench.frames.rows import build_cells, build_runs, build_samples
from resnest_bench.paths import Job
from resnest_bench.status.outcomes import Outcome
from support.records_factory import GPU, make_cell, make_record, make_study

STUDY = make_study()
NO_GPU = {
    "batch_size": None,
    "precision": "fp32",
    "layout": "channels_last",
    "mode": "cudagraph",
    "reason": "CUDA graphs need an NVIDIA GPU",
}
OOM = {
    **NO_GPU,
    "batch_size": 8,
    "mode": "eager",
    "reason": "OutOfMemoryError: " + "too large " * 30,
}


def outcome(variant, seed=0, status="ok", reason="", **fields):
    """A latency job with its record: samples 0.98, 0.99, 1, 1.01 and 1.5 times p50_ms at batch 1."""
    job = Job("latency", "low", "fast", variant, seed)
    record = make_record(STUDY, job, **fields) if status in ("ok", "stale") else None
    return Outcome(job, Path("record.json"), status, reason, record)


def two_rounds():
    """A at 2 and 4 ms, B at 6 and 6 ms; four times that at batch 8. Nothing is noisy."""
    times = {("A", 0): 2.0, ("A", 1): 4.0, ("B", 0): 6.0, ("B", 1): 6.0}
    return [outcome(variant, seed, p50_ms=p50) for (variant, seed), p50 in times.items()]


def layer(spec, mark):
    """The encoding and rows of the last layer with that mark."""
    part = [part for part in spec["layer"] if part["mark"]["type"] == mark][-1]
    data = part.get("data", spec.get("data"))
    return part["encoding"], spec["datasets"][data["name"]]


def read_text(spec):
    title = spec["title"]
    return " ".join([title["text"], *title["subtitle"]]).replace(CONTINUED, "")


def interactive_legend(spec, field):
    """Whether a click on an entry of a legend sets the selection of that field, in Vega's terms."""
    legends = vl_convert.vegalite_to_vega(spec)["legends"]
    entries = [legend.get("encode", {}).get("entries", {}) for legend in legends]
    return any(e.get("name") == f"{field}_legend_entries" and e["interactive"] for e in entries)


# --- batch sweep ---


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("p50_ms", {1: (3, 2, 4), 8: (12, 8, 16)}),
        ("ms_per_image", {1: (3, 2, 4), 8: (1.5, 1, 2)}),
        ("throughput_images_per_second", {1: (375, 250, 500), 8: (750, 500, 1000)}),
    ],
)
def test_a_sweep_is_the_mean_and_range_over_rounds(field, expected):
    spec = charts.batch_sweep_chart(build_cells(two_rounds()), field).to_dict()
    _, rows = layer(spec, "point")
    seen = {r["batch_size"]: (r["mean"], r["low"], r["high"]) for r in rows if r["variant"] == "A"}
    assert seen == {batch: pytest.approx(values) for batch, values in expected.items()}
    assert {row["rounds"] for row in rows} == {2}
    assert "mean of 2 rounds" in read_text(spec)
    assert "on CPU Testium 3000" in read_text(spec)
    assert "Synthetic low" in read_text(spec)


def test_the_axes_of_a_sweep_are_logarithmic_with_the_batch_sizes_as_ticks():
    spec = charts.batch_sweep_chart(build_cells(two_rounds())).to_dict()
    encoding, _ = layer(spec, "point")
    assert encoding["x"]["scale"]["type"] == encoding["y"]["scale"]["type"] == "log"
    assert encoding["x"]["scale"]["base"] == 2
    assert encoding["x"]["axis"]["values"] == [1, 8]
    assert encoding["y"]["title"] == "Time per image (ms), log scale"
    assert layer(spec, "rule")[0]["y2"]["field"] == "high"


def test_memory_is_in_mib():
    cells = [make_cell(b, [1.0], peak_memory_bytes=b * 3 * 2**20) for b in (1, 8)]
    frame = build_cells([outcome("A", cells=cells, device=GPU)])
    spec = charts.batch_sweep_chart(frame, "peak_memory_bytes").to_dict()
    encoding, rows = layer(spec, "point")
    assert [row["mean"] for row in rows] == [3, 24]
    assert "MiB" in encoding["y"]["title"]
    assert "on GPU NVIDIA Testla" in read_text(spec)


def test_a_cpu_has_no_memory_of_a_cell():
    spec = charts.batch_sweep_chart(build_cells(two_rounds()), "peak_memory_bytes").to_dict()
    assert "no data yet" in json.dumps(spec)
    assert "Not drawn: all 2 variants (batch 1, 8): not recorded" in read_text(spec)


def test_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match=r"field must be one of ms_per_image, .* but is 'noisy'"):
        charts.batch_sweep_chart(build_cells(two_rounds()), "noisy")


def test_marks_are_open_where_a_round_is_noisy():
    # 1, 2, 3: p25 is 1.5, p75 is 2.5, so that the IQR is half of the median.
    noisy = outcome("B", 1, cells=[make_cell(1, [1.0, 2.0, 3.0])])
    spec = charts.batch_sweep_chart(build_cells([*two_rounds()[:3], noisy])).to_dict()
    encoding, rows = layer(spec, "point")
    seen = {(r["variant"], r["batch_size"]): r["noisy_rounds"] for r in rows}
    assert seen == {("A", 1): 0, ("A", 8): 0, ("B", 1): 1, ("B", 8): 0}
    assert encoding["fill"]["condition"] == {"test": "(datum.noisy_rounds > 0)", "value": "white"}
    assert f"Open: {NOISY}" in read_text(spec)
    assert "mean of 1 to 2 rounds" in read_text(spec)


def test_nothing_is_explained_that_is_not_there():
    text = read_text(charts.batch_sweep_chart(build_cells([outcome("A")])).to_dict())
    assert "Open" not in text
    assert "rounds" not in text


def test_settings_have_dashes_and_variants_keep_their_colours():
    cells = [
        make_cell(b, [p50], precision=p)
        for p, p50 in (("fp32", 4.0), ("bf16", 2.0))
        for b in (1, 8)
    ]
    frame = build_cells([outcome(v, cells=cells) for v in ("A", "B")])
    spec = charts.batch_sweep_chart(frame, "p50_ms").to_dict()
    dash = layer(spec, "line")[0]["strokeDash"]
    assert dash["scale"]["domain"] == ["fp32", "bf16"]
    assert dash["legend"]["title"] == "Setting"
    assert layer(spec, "line")[0]["color"]["scale"]["domain"] == ["A", "B"]
    assert "channels_last, eager, on CPU" in read_text(spec)


def test_sixteen_variants_are_all_distinct():
    one = build_cells([outcome("A")])
    frame = pd.concat([one.assign(variant=f"V{k}") for k in range(16)])
    encoding, _ = layer(charts.batch_sweep_chart(frame).to_dict(), "point")
    colours, shapes = (encoding[c]["scale"]["range"] for c in ("stroke", "shape"))
    assert len(set(zip(colours, shapes, strict=True))) == 16


def test_stale_rounds_count_only_alone_and_are_named():
    stale = outcome("A", 0, status="stale", reason="code changed since", p50_ms=100.0)
    frame = build_cells([stale, outcome("A", 1, p50_ms=2.0), outcome("B", 0, status="stale")])
    spec = charts.batch_sweep_chart(frame, "p50_ms").to_dict()
    _, rows = layer(spec, "point")
    assert [(r["variant"], r["mean"]) for r in rows if r["batch_size"] == 1] == [("A", 2), ("B", 2)]
    assert "Stale: B Not drawn: A (batch 1, 8, round 0): stale" in read_text(spec)


def test_what_is_unavailable_is_named_with_a_short_reason():
    found = [
        outcome("A", cells=[make_cell(1, [2.0])], unavailable=[OOM, NO_GPU]),
        outcome("B", unavailable=[NO_GPU]),
        outcome("T", status="missing", reason="no record yet"),
    ]
    text = read_text(charts.batch_sweep_chart(build_cells(found)).to_dict())
    assert "A (eager, batch 8): OutOfMemoryError: too large" in text
    assert "A, B (cudagraph): CUDA graphs need an NVIDIA GPU" in text
    assert "T: no record yet" in text
    assert text.count("too large") < 8


def test_many_gaps_are_counted():
    gap = build_cells([outcome("A", status="missing", reason="no record yet")])
    missing = [gap.assign(variant=f"V{k}", unavailable_reason=f"why {k // 5}") for k in range(25)]
    frame = pd.concat([*missing, build_cells([outcome("B")])])
    text = read_text(charts.batch_sweep_chart(frame).to_dict())
    assert "V0, V1, V2 and 2 more: why 0" in text
    assert text.endswith("V10, V11, V12 and 2 more: why 2; and 2 more")


def test_there_are_at_most_four_thousand_marks():
    one = build_cells([outcome("A")])
    frame = pd.concat([one.assign(variant=f"V{k}") for k in range(700)], ignore_index=True)
    spec = charts.batch_sweep_chart(frame).to_dict()
    assert len(spec["layer"]) * len(layer(spec, "point")[1]) <= MAX_MARKS
    assert "Only the first 1,333 of 1,400 points are drawn" in read_text(spec)


def test_devices_are_never_averaged():
    frame = build_cells([outcome("A", 0), outcome("A", 1, p50_ms=4.0, device=GPU)])
    _, rows = layer(charts.batch_sweep_chart(frame, "p50_ms").to_dict(), "point")
    means = {row["setting"]: row["mean"] for row in rows if row["batch_size"] == 1}
    assert means == {"Testium 3000 (2 logical cores)": 2, "NVIDIA Testla": 4}


# --- settings at one batch size ---


def with_settings():
    """A in eager (4 and 6 ms) and compiled (1 and 3 ms) mode at batch 8; B in eager mode alone."""
    rounds = [(4.0, 1.0), (6.0, 3.0)]
    found = [
        outcome(
            "A",
            seed,
            cells=[
                make_cell(1, [9.0]),
                make_cell(8, [eager]),
                make_cell(8, [fast], mode="compiled"),
            ],
        )
        for seed, (eager, fast) in enumerate(rounds)
    ]
    failed = {**OOM, "mode": "compiled", "reason": "no C++ compiler"}
    other = {**failed, "batch_size": 1, "reason": "only at another batch"}
    return [*found, outcome("B", cells=[make_cell(8, [5.0])], unavailable=[failed, other, NO_GPU])]


def test_settings_stand_side_by_side():
    spec = charts.modes_chart(build_cells(with_settings()), 8).to_dict()
    encoding, rows = layer(spec, "point")
    seen = {(r["variant"], r["setting"]): (r["mean"], r["low"], r["high"]) for r in rows}
    assert seen == {
        ("A", "eager"): (5, 4, 6),
        ("A", "compiled"): (2, 1, 3),
        ("B", "eager"): (5, 5, 5),
    }
    assert encoding["x"]["scale"]["type"] == "log"
    assert encoding["y"]["scale"]["domain"] == ["A", "B"]
    assert encoding["yOffset"]["scale"]["domain"] == ["eager", "compiled"]
    assert spec["height"] == {"for": "position", "step": 26}
    assert interactive_legend(spec, "setting")


def test_settings_that_are_missing_at_this_batch_are_named():
    text = read_text(charts.modes_chart(build_cells(with_settings()), 8).to_dict())
    assert "B (compiled, batch 8): no C++ compiler" in text
    assert "B (cudagraph): CUDA graphs need an NVIDIA GPU" in text
    assert "another batch" not in text


def test_a_backend_with_a_layout_of_its_own_stands_beside_the_modes():
    """Of three modes one is measured in another layout; B lacks it, and T gives other outputs in one."""
    ort = {"mode": "onnxruntime", "layout": "contiguous"}
    cells = [make_cell(8, [4.0]), make_cell(8, [3.0], mode="folded"), make_cell(8, [1.0], **ort)]
    missing = "ONNX Runtime's packages are missing: install onnx onnxscript onnxruntime"
    wrong = "outputs differ from eager's by 0.03 (relative); fp32 allows 0.0001"
    found = [
        outcome("A", cells=cells),
        outcome("B", cells=cells[:2], unavailable=[{**NO_GPU, **ort, "reason": missing}]),
        outcome(
            "T",
            cells=[cells[0], cells[2]],
            unavailable=[{**OOM, "mode": "folded", "reason": wrong}],
        ),
    ]
    spec = charts.modes_chart(build_cells(found), 8).to_dict()
    encoding, rows = layer(spec, "point")
    settings = ["channels_last, eager", "channels_last, folded", "contiguous, onnxruntime"]
    assert encoding["yOffset"]["scale"]["domain"] == settings
    assert len(rows) == 7
    assert f"B (contiguous, onnxruntime): {missing}" in read_text(spec)
    assert f"T (channels_last, folded, batch 8): {wrong}" in read_text(spec)


def test_a_batch_size_that_nobody_measured_has_no_data():
    spec = charts.modes_chart(build_cells(two_rounds()), 5).to_dict()
    assert "no data yet" in json.dumps(spec)
    assert read_text(spec).strip() == "Latency by setting, batch 5: Synthetic low"


def test_one_setting_needs_no_legend():
    encoding, _ = layer(charts.modes_chart(build_cells(two_rounds()), 1).to_dict(), "point")
    assert encoding["stroke"]["legend"] is None


# --- cold start ---


def test_a_cold_start_is_split_in_its_parts():
    found = two_rounds()
    slow = found[1].record.latency.model_copy(
        update={"cold_start_ms": 100.0, "build_ms": 20.0, "first_call_ms": 70.0}
    )
    found[1] = outcome("A", 1, latency=slow.model_dump())
    spec = charts.startup_chart(build_runs(found)).to_dict()
    encoding, rows = layer(spec, "bar")
    # Rounds of A: 80 = 10 + 60 + 10 and 100 = 20 + 70 + 10.
    assert {r["part"]: r["mean"] for r in rows if r["row"] == "A"} == {
        "building": 15,
        "first call": 65,
        "the rest": 10,
    }
    assert encoding["y"]["scale"]["domain"] == ["A", "B"]
    assert "(ms)" in encoding["x"]["title"]
    _, whole = layer(spec, "rule")
    assert [(r["low"], r["mean"], r["high"]) for r in whole] == [(80, 90, 100), (80, 80, 80)]
    assert interactive_legend(spec, "part")


def test_a_job_without_a_record_is_named_by_the_job_charts():
    found = [outcome("A"), outcome("B", status="failed", reason="out of memory at epoch {0}")]
    for chart in (charts.startup_chart, charts.drift_chart):
        assert "Not drawn: B: out of memory at epoch {0}" in read_text(
            chart(build_runs(found)).to_dict()
        )


@pytest.mark.parametrize(
    ("chart", "mark"), [(charts.startup_chart, "bar"), (charts.drift_chart, "point")]
)
def test_trainings_are_not_in_the_job_charts(chart, mark):
    job = Job("train", "low", "quick", "B", 0)
    trained = Outcome(job, Path("record.json"), "ok", "", make_record(STUDY, job))
    assert "no data yet" in json.dumps(chart(build_runs([trained])).to_dict())
    _, rows = layer(chart(build_runs([trained, outcome("A")])).to_dict(), mark)
    assert {row["row"] for row in rows} == {"A"}


def test_protocols_have_rows_of_their_own():
    runs = build_runs([outcome("A")])
    both = pd.concat([runs, runs.assign(recipe="long")], ignore_index=True)
    _, rows = layer(charts.startup_chart(both).to_dict(), "bar")
    assert list(dict.fromkeys(row["row"] for row in rows)) == ["A (fast)", "A (long)"]


# --- drift ---


def test_the_drift_is_in_percent_beside_zero():
    spec = charts.drift_chart(build_runs(two_rounds())).to_dict()
    encoding, rows = layer(spec, "point")
    # Medians of the reference network: 10 ms before, 11 ms after.
    assert [row["drift_percent"] for row in rows] == [pytest.approx(10)] * 4
    assert encoding["yOffset"]["scale"]["domain"] == [0, 1]
    band, limits = layer(spec, "rect")
    assert band["x2"]["field"] == "high"
    assert limits == [{"low": -5, "high": 5}]
    assert "timed before and after each measurement" in read_text(spec)
    assert "rounds 0, 1 from the top" in read_text(spec)


def test_a_drift_below_zero_is_drawn():
    reference = {"model": "resnet18", "batch_size": 8, "before_ms": [10.0], "after_ms": [8.0]}
    seen = outcome("A").record.latency.model_dump() | {"reference": reference}
    spec = charts.drift_chart(build_runs([outcome("A", latency=seen)])).to_dict()
    assert [r["drift_percent"] for r in layer(spec, "point")[1]] == [pytest.approx(-20)]


# --- samples ---


def test_each_round_has_its_samples_and_its_median():
    panels = charts.latency_distribution_panels(build_samples(two_rounds()))
    spec = panels[0].to_dict()
    assert len(panels) == 2
    assert (
        spec["title"]["text"]
        == "Latency samples: Synthetic low. Batch 1, fp32, channels_last, eager"
    )
    encoding, medians = layer(spec, "point")
    assert {(r["variant"], r["seed"]): r["p50"] for r in medians} == {
        ("A", 0): 2,
        ("A", 1): 4,
        ("B", 0): 6,
        ("B", 1): 6,
    }
    assert len(layer(spec, "tick")[1]) == 4 * 5
    assert encoding["yOffset"]["scale"]["domain"] == [0, 1]
    assert "Rows of a variant: rounds 0, 1 from the top" in read_text(spec)


def test_one_round_has_no_rows_within_its_row():
    spec = charts.latency_distribution_panels(build_samples([outcome("A")]))[0].to_dict()
    assert "yOffset" not in layer(spec, "point")[0]
    assert "round" not in read_text(spec)


def test_noisy_cells_have_open_dots_and_a_legend():
    quiet, noisy = outcome("A"), outcome("B", cells=[make_cell(1, [1.0, 2.0, 3.0])])
    with_noise, without = (
        charts.latency_distribution_panels(build_samples(found))[0].to_dict()
        for found in ([quiet, noisy], [quiet])
    )
    encoding, rows = layer(with_noise, "point")
    assert {row["variant"]: row["noise"] for row in rows} == {"A": STEADY, "B": NOISY}
    assert encoding["fill"]["scale"]["domain"] == [STEADY, NOISY]
    assert encoding["fill"]["scale"]["range"][1] == "white"
    assert "10 %" in NOISY
    assert encoding["fill"]["legend"]["title"] == "Median"
    assert layer(without, "point")[0]["fill"]["legend"] is None


def test_protocols_have_panels_of_their_own():
    samples = build_samples([outcome("A", cells=[make_cell(1, [2.0])])])
    both = pd.concat([samples, samples.assign(recipe="long")], ignore_index=True)
    names = [c.to_dict()["title"]["text"] for c in charts.latency_distribution_panels(both)]
    assert [name.partition(". ")[2] for name in names] == [
        f"Batch 1, fp32, channels_last, eager, {protocol}" for protocol in ("fast", "long")
    ]


def test_the_marks_of_all_panels_together_are_limited():
    cells = [make_cell(b, [float(k) for k in range(1, 4001)]) for b in (1, 8)]
    panels = charts.latency_distribution_panels(build_samples([outcome("A", cells=cells)]))
    specs = [panel.to_dict() for panel in panels]
    assert sum(len(layer(spec, "tick")[1]) for spec in specs) == MAX_MARKS
    # 1 to 4,000: the median is that of all samples.
    assert [layer(spec, "point")[1][0]["p50"] for spec in specs] == [2000.5, 2000.5]
    assert "from 4,000 to 2,000" in read_text(specs[0])


def test_samples_of_zero_have_no_place_on_a_log_axis():
    samples = build_samples([outcome("A", cells=[make_cell(1, [0.0, 0.0])])])
    assert "no data yet" in json.dumps(charts.latency_distribution_chart(samples).to_dict())


# --- all of them ---


def all_charts(found):
    cells, runs, samples = build_cells(found), build_runs(found), build_samples(found)
    return draw_all(cells, runs, samples)


def draw_all(cells, runs, samples):
    return [
        *(charts.batch_sweep_chart(cells, field) for field in charts.SWEEP_FIELDS),
        charts.modes_chart(cells, 8),
        charts.startup_chart(runs),
        charts.drift_chart(runs),
        charts.latency_distribution_chart(samples),
        *charts.latency_distribution_panels(samples),
    ]


def test_empty_frames_say_that_there_is_no_data():
    nothing = pd.DataFrame()
    for chart in [*all_charts([]), *draw_all(nothing, nothing, nothing)]:
        assert "no data yet" in json.dumps(chart.to_dict())


def test_jobs_without_records_say_why():
    found = [outcome(v, status="missing", reason="no record yet") for v in ("A", "B")]
    cells, runs = build_cells(found), build_runs(found)
    for chart in (
        charts.batch_sweep_chart(cells),
        charts.modes_chart(cells, 1),
        charts.drift_chart(runs),
    ):
        assert "Not drawn: all 2 variants: no record yet" in read_text(chart.to_dict())


def test_every_chart_is_drawn_with_hostile_names():
    names = {"A": "{0} %s <b>&'\"", "B": "datum['x'] " * 20}
    found = [
        *two_rounds(),
        outcome("T", cells=[make_cell(1, [1.0, 9.0])], unavailable=[OOM, NO_GPU]),
    ]
    frames = [frame(found) for frame in (build_cells, build_runs, build_samples)]
    renamed = [frame.assign(variant=frame["variant"].replace(names)) for frame in frames]
    for chart in draw_all(*renamed):
        assert ET.fromstring(render_svg(chart)).tag.endswith("svg")


def test_a_click_on_the_legend_of_variants_filters():
    assert interactive_legend(
        charts.batch_sweep_chart(build_cells(two_rounds())).to_dict(), "variant"
    )


def test_charts_of_the_same_data_are_equal():
    one, other = ([chart.to_dict() for chart in all_charts(two_rounds())] for _ in range(2))
    assert one == other
