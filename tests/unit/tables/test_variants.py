import math
from pathlib import Path

import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.frames.rows import cells_frame, collect
from resnest_bench.paths import Job
from resnest_bench.report.tables import format_accuracy
from resnest_bench.specs import load_study
from resnest_bench.tables import paper_values
from resnest_bench.tables.noise import ALL_ALIKE, SEVERAL
from resnest_bench.tables.variants import ablation_table, tradeoff_table, transfer_table
from support.records_factory import (
    CPU,
    GPU,
    make_cell,
    make_failed_record,
    make_record,
    make_study,
)

ROOT = Path(__file__).parents[3]


def build_tables(study, paths):
    runs, cells = collect(study, paths), cells_frame(study, paths)
    return {
        make.__name__: make(study, runs, cells).set_index("variant", drop=False)
        for make in (ablation_table, tradeoff_table, transfer_table)
    }


@pytest.fixture
def tradeoff(study, paths):
    return lambda: build_tables(study, paths)["tradeoff_table"]


def train(variant, seed):
    return Job("train", "low", "quick", variant, seed)


def test_a_whole_row_by_hand(tradeoff):
    row = tradeoff().loc["B"]
    # Seeds 0.70, 0.71, 0.72; t(0.975, 2) = 4.302653; batch 8 takes 4 times as long as batch 1.
    assert row["setting"] == "2s1x16d"
    assert (row["n"], row["num_test"], row["num_params"]) == (3, 100, 1000)
    assert row["accuracy_mean_percent"] == pytest.approx(71)
    assert row["accuracy_std_points"] == pytest.approx(1)
    # On the logit scale: odds of 71 to 29, times exp(-+ h / (0.71 * 0.29)), h = t / sqrt(3) points.
    factor = math.exp(0.04302653 / 3**0.5 / (0.71 * 0.29))
    low, high = (71 / 29 / factor, 71 / 29 * factor)
    assert row["accuracy_low_percent"] == pytest.approx(100 * low / (1 + low), rel=1e-6)
    assert row["accuracy_high_percent"] == pytest.approx(100 * high / (1 + high), rel=1e-6)
    assert row["accuracy_interval_about"] == "new seeds, these test images"
    assert row["binomial_standard_error_points"] == pytest.approx(100 * (0.71 * 0.29 / 100) ** 0.5)
    assert row["seed_accuracies_percent"] == pytest.approx([70, 71, 72])
    assert (row["latency_p50_ms"], row["latency_batch_size"]) == (4.0, 1)
    assert row["latency_device"].startswith("CPU Testium 3000")
    assert row["throughput_images_per_second"] == 500
    assert row["throughput_batch_size"] == 8
    assert row["paper_ms_per_image"] == 0.5
    assert not row["latency_noisy"]
    assert row["status"] == "ok"


def test_a_variant_with_nothing_still_stands_with_its_reason(study, paths, tradeoff):
    for job in study.jobs():
        if job.variant == "B":
            paths.record(job).unlink()
    row = tradeoff().loc["B"]
    assert row["n"] == 0
    assert pd.isna(row["accuracy_mean_percent"])
    assert pd.isna(row["latency_p50_ms"])
    assert row["status"] == ("seeds 0, 1, 2 missing: no record yet; latency missing: no record yet")


def test_failed_and_missing_seeds_are_named_and_left_out(study, paths, tradeoff):
    job = train("A", 0)
    failed = make_failed_record(job, study.job_spec(job), "loss not finite", epoch=2)
    records.write(paths.record(job), failed)
    paths.record(train("A", 2)).unlink()
    row = tradeoff().loc["A"]
    assert (row["n"], row["accuracy_mean_percent"]) == (1, pytest.approx(61))
    # 61 of 100 images: Wilson's ends by hand.
    assert [row["accuracy_low_percent"], row["accuracy_high_percent"]] == pytest.approx(
        [51.2023, 69.9825], abs=1e-3
    )
    assert row["accuracy_interval_about"] == "these trained networks, new test images"
    assert row["status"] == (
        "seed 0 failed: loss not finite at epoch 2; seed 2 missing: no record yet"
    )


def test_stale_seeds_never_join_fresh_ones(study, paths, tradeoff):
    def stale(seed):
        record = make_record(study, train("A", seed), accuracy=0.1, code_digest="old")
        records.write(paths.record(train("A", seed)), record)

    stale(0)
    row = tradeoff().loc["A"]
    assert (row["n"], row["stale"]) == (2, False)
    assert row["accuracy_mean_percent"] == pytest.approx(61.5)
    assert row["status"].startswith("seed 0 stale: code changed since")
    stale(1)
    stale(2)
    row = tradeoff().loc["A"]
    assert (row["n"], row["stale"]) == (3, True)
    assert row["accuracy_mean_percent"] == pytest.approx(10)


def test_seeds_that_are_all_alike_have_no_interval_and_it_says_why(study, paths, tradeoff):
    for seed in range(3):
        records.write(
            paths.record(train("A", seed)), make_record(study, train("A", seed), accuracy=1)
        )
    row = tradeoff().loc["A"]
    assert (row["accuracy_mean_percent"], row["accuracy_std_points"], row["n"]) == (100, 0, 3)
    assert row[["accuracy_low_percent", "accuracy_high_percent"]].isna().all()
    assert row["accuracy_interval_about"] == "none: every seed has the same accuracy"


def test_seeds_that_disagree_stay_within_what_an_accuracy_can_be(study, paths, tradeoff):
    for seed, accuracy in enumerate((0.2, 0.9, 1.0)):
        made = make_record(study, train("A", seed), accuracy=accuracy)
        records.write(paths.record(train("A", seed)), made)
    row = tradeoff().loc["A"]
    # Student's own interval is 70 +- 108.
    assert 0 < row["accuracy_low_percent"] < 20
    assert 90 < row["accuracy_high_percent"] < 100


def test_two_seeds_are_both_shown_without_an_interval(study, paths, tradeoff):
    paths.record(train("A", 2)).unlink()
    for seed, accuracy in enumerate((0.2, 0.9)):
        made = make_record(study, train("A", seed), accuracy=accuracy)
        records.write(paths.record(train("A", seed)), made)
    row = tradeoff().loc["A"]
    assert row[["accuracy_low_percent", "accuracy_high_percent"]].isna().all()
    assert row["seed_accuracies_percent"] == pytest.approx([20, 90])
    assert row["accuracy_interval_about"] == "none: two seeds"
    assert format_accuracy(row) == "20.00, 90.00 (n=2)"


def test_rows_follow_the_tables_spec(study, paths):
    changed = make_study(tables={"tradeoff": {"variants": ["T", "A"]}})
    seen = build_tables(changed, paths)
    assert seen["tradeoff_table"].index.tolist() == ["T", "A"]
    assert seen["ablation_table"].empty
    unasked = make_study(tables={})
    assert build_tables(unasked, paths)["tradeoff_table"].empty


def test_a_variant_that_no_block_asks_for_is_named(paths):
    study = make_study(
        train=[{"dataset": "low", "recipe": "quick", "variants": ["A", "B"]}],
        tables={"tradeoff": {"variants": ["A", "T"]}},
    )
    table = build_tables(study, paths)["tradeoff_table"]
    assert "not train it" in table.loc["T", "status"]
    assert table.loc["T", "latency_p50_ms"] == 6.0


def test_without_a_latency_block_there_are_no_latency_columns(paths):
    table = build_tables(make_study(latency=[]), paths)["tradeoff_table"]
    assert "latency_p50_ms" not in table
    assert set(table["status"]) == {"ok"}


def test_without_a_training_the_latencies_stand_alone(paths):
    study = make_study(train=[], finetune=[])
    table = build_tables(study, paths)["tradeoff_table"]
    assert table["latency_p50_ms"].tolist() == [2.0, 4.0, 6.0]
    assert set(table["status"]) == {"ok"}


def test_devices_are_never_merged_silently(study, paths, tradeoff):
    job = train("A", 0)
    records.write(paths.record(job), make_record(study, job, accuracy=0.6, device=GPU))
    device = tradeoff().loc["A", "train_device"]
    assert device == f"GPU NVIDIA Testla and CPU {CPU['device_name']}, 2 threads"


def test_unavailable_cells_are_named(study, paths, tradeoff):
    job = Job("latency", "low", "fast", "T", 0)
    gap = {
        "batch_size": 8,
        "precision": "fp32",
        "layout": "channels_last",
        "mode": "compiled",
        "reason": "no C++ compiler",
    }
    records.write(paths.record(job), make_record(study, job, unavailable=[gap]))
    assert tradeoff().loc["T", "status"] == (
        "latency of batch 8 in fp32, channels_last, compiled unavailable: no C++ compiler"
    )


@pytest.fixture
def rounds(paths):
    """Three rounds a variant; those of B have medians of 4, 5 and 6 ms."""
    study = make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}])
    for job in study.jobs():
        if job.kind == "latency":
            p50_ms = 4.0 + job.seed if job.variant == "B" else 2.0
            records.write(paths.record(job), make_record(study, job, p50_ms=p50_ms))
    return study


def test_the_interval_of_a_latency_is_over_rounds(rounds, paths):
    row = build_tables(rounds, paths)["tradeoff_table"].loc["B"]
    # t(0.975, 2) = 4.302653; medians 4, 5, 6 have a standard deviation of 1.
    assert row["latency_p50_ms"] == 5.0
    # On the log scale: 5 exp(-+ h / 5).
    factor = math.exp(4.302653 / 3**0.5 / 5)
    assert row["latency_low_ms"] == pytest.approx(5 / factor, rel=1e-6)
    assert row["latency_high_ms"] == pytest.approx(5 * factor, rel=1e-6)
    assert row["latency_round_p50_ms"] == [4, 5, 6]
    assert (row["latency_rounds"], row["latency_n"]) == (3, 15)
    # Batch 8 takes 4 times as long: 8 images in 16, 20 and 24 ms.
    assert row["throughput_images_per_second"] == pytest.approx((500 + 400 + 1000 / 3) / 3)
    assert row["status"] == "ok"


def test_rows_say_how_sure_their_place_on_the_front_is(rounds, paths):
    for variant, base in (("A", 60), ("B", 70), ("T", 80)):
        for seed, more in enumerate((0, 2, 1) if variant == "B" else (0, 1, 1)):
            made = make_record(rounds, train(variant, seed), accuracy=(base + more) / 100)
            records.write(paths.record(train(variant, seed)), made)
    for variant, base in (("A", 2.0), ("T", 8.0)):
        for number in range(3):
            job = Job("latency", "low", "fast", variant, number)
            made = make_record(rounds, job, p50_ms=base + 0.1 * number**2)
            records.write(paths.record(job), made)
    table = build_tables(rounds, paths)["tradeoff_table"]
    assert table["front"].all()
    # A is faster and T better than the others by many standard errors; B's rounds are 1 ms apart.
    assert (table["front_probability"] > 0.9).all()
    assert table[["front_seeds", "front_rounds"]].to_numpy().tolist() == [[3, 3]] * 3
    assert set(table["front_reason"]) == {""}
    # All jobs have the same reference timings in each round: no floor.
    assert table["noise_floor_percent"].isna().all()
    assert table["noise_floor_reason"].iloc[0] == ALL_ALIKE


def test_rounds_on_several_devices_have_no_noise_floor_and_no_place(rounds, paths):
    job = Job("latency", "low", "fast", "B", 2)
    records.write(paths.record(job), make_record(rounds, job, device=GPU))
    row = build_tables(rounds, paths)["tradeoff_table"].loc["B"]
    assert row["noise_floor_reason"] == SEVERAL
    assert pd.isna(row["front"])


def test_rows_that_were_not_measured_alike_are_on_no_common_front(study, paths, tradeoff):
    table = tradeoff()
    # One round each: no probability.
    assert table["front"].all()
    assert table["front_probability"].isna().all()
    reason = table.loc["A", "front_reason"]
    assert all(part in reason for part in ("latency, p50", "one round"))
    paths.record(Job("latency", "low", "fast", "A", 0)).unlink()
    row = tradeoff().loc["A"]
    assert row[["front", "front_probability", "front_reason"]].isna().all()


def test_a_missing_round_is_named_and_the_others_count(rounds, paths):
    paths.record(Job("latency", "low", "fast", "B", 1)).unlink()
    row = build_tables(rounds, paths)["tradeoff_table"].loc["B"]
    assert (row["latency_p50_ms"], row["latency_rounds"]) == (5.0, 2)
    assert row["status"] == "latency round 1 missing: no record yet"


def test_a_round_in_another_setting_is_not_in_the_mean(rounds, paths):
    job = Job("latency", "low", "fast", "B", 2)
    cell = make_cell(1, [50.0] * 5, precision="bf16")
    records.write(paths.record(job), make_record(rounds, job, cells=[cell]))
    row = build_tables(rounds, paths)["tradeoff_table"].loc["B"]
    assert (row["latency_p50_ms"], row["latency_rounds"]) == (4.5, 2)


def test_the_gain_is_paired_by_seed(study, paths):
    job = Job("finetune", "high", "fresh", "A", 2)
    paths.record(job).unlink()
    table = build_tables(study, paths)["transfer_table"].set_index("recipe", append=True)
    tuned, fresh = table.loc[("A", "tune")], table.loc[("A", "fresh")]
    # Seeds 0 and 1 of both: 60 - 40 and 61 - 41.
    assert (tuned["gain_n"], tuned["gain_mean_points"]) == (2, pytest.approx(20))
    assert tuned["n"] == 3
    assert pd.isna(fresh["gain_mean_points"])
    assert fresh["status"] == "seed 2 missing: no record yet"
    assert (tuned["weights"], fresh["weights"]) == ("train low/quick", "random")


def test_the_papers_study_finds_all_its_printed_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = load_study(ROOT / "config/config.yaml")
    seen = build_tables(study, study.paths(tmp_path))
    assert seen["ablation_table"].index.tolist() == list(paper_values.ABLATION)
    assert seen["tradeoff_table"].index.tolist() == list(paper_values.TRADEOFF)
    printed = seen["tradeoff_table"]["printed_accuracy_percent"]
    assert printed["ResNeSt-50"] == 59.45
    assert printed.notna().all()
    transfer = seen["transfer_table"]
    assert len(transfer) == 6
    assert transfer["printed_accuracy_percent"].dropna().to_dict() == {
        "ResNeSt-50-ImageNet": 95.0,
        "ResNet-50-ImageNet": 90.7,
    }


def test_the_printed_ms_is_the_reciprocal_of_the_printed_throughput_but_once():
    rows = {**paper_values.ABLATION, **paper_values.TRADEOFF}
    assert len(rows) == 16
    off = [
        n for n, r in rows.items() if abs(r.ms_per_image * r.images_per_second / 1000 - 1) > 2e-3
    ]
    assert off == ["EfficientNet-b0"]


def test_the_difference_is_ours_minus_printed(paths, study):
    changed = make_study(tables={"tradeoff": {"paper": True}})
    runs, cells = collect(changed, paths), cells_frame(changed, paths)
    assert tradeoff_table(changed, runs, cells)["printed_accuracy_percent"].isna().all()
    row = paper_values.PrintedRow("1M", 0.1, 10000, 60.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(paper_values.TRADEOFF, "A", row)
        table = tradeoff_table(changed, runs, cells).set_index("variant")
    assert table.loc["A", "accuracy_minus_printed_points"] == pytest.approx(1)
    assert table.loc["A", "printed_ms_per_image"] == 0.1
