"""Where memory ran out, every table says so: a value that counts, or that does not exist."""

import json

import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.frames.rows import cells_frame, collect
from resnest_bench.paths import Job
from resnest_bench.report.tables import display_frame, summary_text
from resnest_bench.tables.points import headline_points
from resnest_bench.tables.variants import tradeoff_table
from support.records_factory import make_cell, make_failed_record, make_record, with_counts

LATENCY = Job("latency", "low", "fast", "T", 0)


def trained_in_pieces(study, paths, seed, shortages=()):
    job = Job("train", "low", "quick", "A", seed)
    raw = make_record(study, job, accuracy=0.6).model_dump(mode="json")
    raw["train"]["execution"] |= {
        "micro_batch_size": 32,
        "shortages": [{"epoch": e, "step": s, "micro_batch_size": 32} for e, s in shortages],
    }
    paths.record(job).write_text(json.dumps(raw))


def gap(batch_size, **more):
    return {
        "batch_size": batch_size,
        "precision": "fp32",
        "layout": "channels_last",
        "mode": "eager",
        "reason": "does not fit into 15.0 GiB: OutOfMemoryError",
        "does_not_fit": True,
        "memory_bytes": 15 * 2**30,
        **more,
    }


def find_row(study, paths, variant):
    table = tradeoff_table(study, collect(study, paths), cells_frame(study, paths))
    place = table["variant"].tolist().index(variant)
    return table.iloc[place], display_frame(table).iloc[place]


def test_seeds_that_were_trained_in_pieces_are_named(study, paths):
    trained_in_pieces(study, paths, 0, shortages=[(1, 1)])
    trained_in_pieces(study, paths, 1)
    trained_in_pieces(study, paths, 2, shortages=[(1, 1), (2, 5)])
    runs = collect(study, paths)
    mine = runs[(runs["kind"] == "train") & (runs["variant"] == "A")]
    assert mine["micro_batch_size"].tolist() == [32, 32, 32]
    first, second, third = mine["remark"]
    assert first == second
    assert "32 images" in first
    assert "epoch" not in first
    # A later seed starts with the size: only the step that ran out of memory later is named.
    assert "epoch 2, step 5" in third
    row, shown = find_row(study, paths, "A")
    assert row["status"] == f"seeds 0, 1: {first}; seed 2: {third}"
    assert shown["status"] == "see notes"
    assert row["n"] == 3
    points, _, _ = headline_points(study, runs, cells_frame(study, paths))
    assert first in points.set_index("variant").loc["A", "status"]


def test_seeds_at_chance_are_named(study, paths):
    for seed, accuracy in enumerate((0.5, 0.5, 0.7)):
        job = Job("train", "low", "quick", "A", seed)
        record = make_record(study, job, accuracy=accuracy)
        predicted = [0, 100, 0] if seed == 0 else [30, 40, 30]
        records.write(paths.record(job), with_counts(record, [25, 50, 25], predicted))
    row, shown = find_row(study, paths, "A")
    first, second = row["status"].split("; ")
    assert first.startswith("seed 0: ")
    assert "'b'" in first
    assert second.startswith("seed 1: ")
    assert "50.0 %" in second
    assert shown["status"] == "see notes"
    assert row["n"] == 3
    points, _, _ = headline_points(study, collect(study, paths), cells_frame(study, paths))
    assert first in points.set_index("variant").loc["A", "status"]
    assert first in summary_text(study, paths)


def test_whole_batches_need_no_remark(study, paths):
    runs = collect(study, paths)
    assert set(runs["remark"]) == {""}
    assert runs["micro_batch_size"].isna().all()
    assert find_row(study, paths, "A")[0]["status"] == "ok"


def test_a_batch_that_does_not_fit_is_named_beside_what_was_measured(study, paths):
    cells = [make_cell(1, [2.0])]
    record = make_record(study, LATENCY, cells=cells, unavailable=(gap(8),))
    records.write(paths.record(LATENCY), record)
    frame = cells_frame(study, paths)
    mine = frame[frame["variant"] == "T"]
    assert mine["does_not_fit"].tolist() == [False, True]
    assert mine["p50_ms"].isna().tolist() == [False, True]
    row, shown = find_row(study, paths, "T")
    assert row["status"] == (
        "latency of batch 8 in fp32, channels_last, eager does not fit into 15.0 GiB: "
        "OutOfMemoryError"
    )
    assert row["latency_p50_ms"] == 2.0
    assert shown["latency p50 ms"].startswith("2.00")


def test_where_nothing_fits_the_cell_says_so_and_holds_no_figure(study, paths):
    record = make_record(study, LATENCY, cells=[], unavailable=(gap(1), gap(8)))
    records.write(paths.record(LATENCY), record)
    row, shown = find_row(study, paths, "T")
    assert row["latency_does_not_fit"]
    assert pd.isna(row["latency_p50_ms"])
    assert pd.isna(row["throughput_images_per_second"])
    assert shown["latency p50 ms"] == "does not fit"
    assert "latency of batch 1, 8 in fp32" in row["status"]


def test_what_is_missing_for_another_reason_does_not_pass_for_it(study, paths):
    other = gap(1, does_not_fit=False, memory_bytes=None, reason="no kernel")
    records.write(
        paths.record(LATENCY), make_record(study, LATENCY, cells=[], unavailable=(other,))
    )
    row, shown = find_row(study, paths, "T")
    assert not row["latency_does_not_fit"]
    assert shown["latency p50 ms"] == "–"
    assert row["status"].endswith("eager unavailable: no kernel")


def test_a_papers_figure_that_is_missing_has_its_reason(study, paths):
    raw = make_record(study, LATENCY).model_dump(mode="json")
    raw["latency"] |= {"paper": None, "paper_does_not_fit": True}
    paths.record(LATENCY).write_text(json.dumps(raw))
    row, _ = find_row(study, paths, "T")
    assert row["status"].startswith("latency round 0: ")
    assert "does not fit" in row["status"]
    assert pd.isna(row["paper_ms_per_image"])


@pytest.mark.parametrize("status", ["missing", "failed"])
def test_a_row_without_a_record_has_no_remark(study, paths, status):
    job = Job("train", "low", "quick", "A", 0)
    if status == "missing":
        paths.record(job).unlink()
    else:
        records.write(paths.record(job), make_failed_record(job, study.job_spec(job), "diverged"))
    assert "batch norm" not in find_row(study, paths, "A")[0]["status"]
