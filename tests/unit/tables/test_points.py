import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.paths import Job
from resnest_bench.tables import (
    Experiments,
    axes_of,
    best_within,
    cells_frame,
    collect,
    experiments_of,
    headline_points,
    points_frame,
)
from support.records_factory import GPU, make_cell, make_failed_record, make_record, make_study

T_2 = 4.302653  # t(0.975, 2)
CHOSEN = Experiments(("train", "low", "quick"), ("low", "fast"))


def latency(variant, number=0):
    return Job("latency", "low", "fast", variant, number)


@pytest.fixture
def draw(study, paths):
    def points(x="latency_p50_ms", y="test_accuracy", study=study, chosen=CHOSEN):
        runs, cells = collect(study, paths), cells_frame(study, paths)
        axes = axes_of(chosen.runs(runs), chosen.runs(cells))
        frame = points_frame(study, runs, cells, chosen, axes[x], axes[y])
        return frame.set_index("variant", drop=False)

    return points


def test_a_point_by_hand(draw):
    row = draw().loc["B"]
    # Seeds 70, 71, 72 %; one round of latency, 4 ms.
    assert (row["y"], row["y_n"]) == (pytest.approx(71), 3)
    assert row["y_high"] - row["y"] == pytest.approx(T_2 / 3**0.5, rel=1e-6)
    assert (row["x"], row["x_n"]) == (4.0, 1)
    assert pd.isna(row["x_low"])
    assert row["memory_mib"] == pytest.approx(300_000_000 / 2**20)
    assert (row["family"], row["setting"], row["num_params"]) == ("resnest", "2s1x16d", 1000)
    assert row["measured_in"] == "fp32, channels_last, eager"
    assert row["status"] == "ok"


def test_the_interval_of_a_latency_is_over_rounds(paths, draw):
    study = make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}])
    for number in range(3):
        job = latency("B", number)
        records.write(paths.record(job), make_record(study, job, p50_ms=4.0 + number))
    for x in ("latency_p50_ms", "p50_ms.b1"):
        row = draw(x=x, study=study).loc["B"]
        assert (row["x"], row["x_n"]) == (5.0, 3)
        assert row["x_low"] == pytest.approx(5 - T_2 / 3**0.5, rel=1e-6)


def test_the_front_turns_with_the_axes(draw):
    # A, B and T take 2, 4 and 6 ms and reach 61, 71 and 81 %.
    assert draw()["front"].tolist() == [True, True, True]
    # Throughput falls as accuracy rises: a trade-off again. Loss is the same for all.
    assert draw(x="throughput_images_per_second.b8")["front"].all()
    assert draw(y="test_loss")["front"].tolist() == [True, False, False]
    # Neither direction of a drift is better.
    assert not draw(y="reference_drift")["front"].any()


def test_two_latencies_meet_in_their_setting(draw):
    frame = draw(x="p50_ms.b8", y="first_call_ms.b1")
    assert frame.loc["B", ["x", "y"]].tolist() == [16.0, 50.0]
    assert len(frame) == 3


def test_each_setting_and_device_has_a_row_and_a_front(study, paths, draw):
    cells = [make_cell(1, [9.0] * 5), make_cell(1, [3.0] * 5, precision="bf16")]
    records.write(
        paths.record(latency("A")), make_record(study, latency("A"), cells=cells, device=GPU)
    )
    frame = draw(x="p50_ms.b1").reset_index(drop=True)
    mine = frame[frame["variant"] == "A"].set_index("measured_in")
    assert mine["x"].to_dict() == {
        "fp32, channels_last, eager": 9.0, "bf16, channels_last, eager": 3.0,
    }  # fmt: skip
    assert set(mine["device"]) == {"GPU NVIDIA Testla"}
    # Slower and worse than T, but on another device.
    assert mine["front"].all()


def test_a_gap_keeps_its_row_with_its_reason(study, paths, draw):
    paths.record(latency("A")).unlink()
    failed = Job("train", "low", "quick", "B", 1)
    records.write(
        paths.record(failed), make_failed_record(failed, study.job_spec(failed), "it diverged")
    )
    frame = draw()
    assert pd.isna(frame.loc["A", "x"])
    assert frame.loc["A", "status"] == "latency round 0 missing: no record yet"
    assert frame.loc["B", "y_n"] == 2
    assert frame.loc["B", "status"] == "seed 1 failed: it diverged"


def test_stale_values_count_only_where_there_is_no_fresh_one(study, paths, draw):
    for seed in (0, 1):
        job = Job("train", "low", "quick", "A", seed)
        records.write(paths.record(job), make_record(study, job, accuracy=0.1, code_digest="old"))
    row = draw().loc["A"]
    assert (row["y"], row["y_n"], row["stale"]) == (pytest.approx(62), 1, False)
    job = Job("train", "low", "quick", "A", 2)
    records.write(paths.record(job), make_record(study, job, accuracy=0.1, code_digest="old"))
    row = draw().loc["A"]
    assert (row["y"], row["y_n"], row["stale"]) == (pytest.approx(10), 3, True)


def test_a_noisy_latency_is_marked(study, paths, draw):
    # IQR 4 of a median of 8.
    cells = [make_cell(1, [4.0, 6.0, 8.0, 10.0, 12.0])]
    records.write(paths.record(latency("A")), make_record(study, latency("A"), cells=cells))
    for x in ("latency_p50_ms", "p50_ms.b1"):
        assert draw(x=x)["noisy"].to_dict() == {"A": True, "B": False, "T": False}


def test_fine_tunings_are_experiments_too(study, draw):
    trained, timed = experiments_of(study)
    assert trained[0] == ("train", "low", "quick")
    assert ("finetune", "high", "fresh") in trained
    assert timed == [("low", "fast")]
    frame = draw(chosen=Experiments(("finetune", "high", "fresh"), ("low", "fast")))
    assert frame.loc["A", "y"] == pytest.approx(41)
    assert pd.isna(frame.loc["T", "y"])
    assert frame.loc["T", "status"] == "the study asks for no test accuracy of it"


def test_the_headline_holds_the_rows_of_the_table(paths):
    study = make_study(tables={"tradeoff": {"variants": ["T", "A"]}})
    points, x, y = headline_points(study, collect(study, paths), cells_frame(study, paths))
    assert set(points["variant"]) == {"A", "T"}
    assert (x.key, y.key) == ("latency_p50_ms", "test_accuracy")


def test_without_jobs_there_is_no_row(study, paths):
    nothing = Experiments(None, None)
    runs, cells = collect(study, paths), cells_frame(study, paths)
    axes = axes_of(runs, cells)
    frame = points_frame(study, runs, cells, nothing, axes["num_params"], axes["test_accuracy"])
    assert not len(frame)
    assert "front" in frame


@pytest.fixture
def choose(study, paths, draw):
    def choice(x="latency_p50_ms", y="test_accuracy", limit=None, memory=None):
        runs, cells = collect(study, paths), cells_frame(study, paths)
        axes = axes_of(runs, cells)
        trained = CHOSEN.runs(runs, ("train",))
        found = best_within(draw(x, y), axes[x], axes[y], limit, memory, trained)
        return found and (found.row["variant"], found.not_told_apart)

    return choice


def test_the_best_within_a_budget(choose):
    # The seeds of A, B and T differ by 10 points each time: always the same, so told apart.
    assert choose() == ("T", [])
    assert choose(limit=5.0) == ("B", [])
    assert choose(limit=1.0) is None
    assert choose(memory=286.0) is None
    assert choose(memory=287.0) == ("T", [])
    # Of a throughput the budget is what must be reached.
    assert choose("throughput_images_per_second.b8", limit=500.0) == ("B", [])


def test_what_the_seeds_cannot_tell_apart_is_named(study, paths, choose):
    for seed, accuracy in enumerate((0.90, 0.70, 0.80)):
        job = Job("train", "low", "quick", "B", seed)
        records.write(paths.record(job), make_record(study, job, accuracy=accuracy))
    # T - B by seed: -10, 11, 2 points, an interval that covers 0; T - A is 20 each time.
    assert choose() == ("T", ["B"])
