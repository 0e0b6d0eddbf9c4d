import math

import pandas as pd
import pytest

from resnest_bench import records
from resnest_bench.frames.rows import cells_frame, collect
from resnest_bench.paths import Experiment, Job
from resnest_bench.tables.axes import list_axes
from resnest_bench.tables.fronts import ALONE, NO_DIRECTION
from resnest_bench.tables.points import choose_best, headline_points, points_frame
from resnest_bench.tables.selection import Experiments, list_experiments
from support.records_factory import (
    GPU,
    make_cell,
    make_failed_record,
    make_record,
    make_study,
    write_study,
)

T_2 = 4.302653  # t(0.975, 2)
TIMED = Experiment("latency", "low", "fast")
CHOSEN = Experiments(Experiment("train", "low", "quick"), TIMED)


def latency(variant, number=0):
    return Job("latency", "low", "fast", variant, number)


@pytest.fixture
def draw(study, paths):
    def points(x="latency_p50_ms", y="test_accuracy", study=study, chosen=CHOSEN):
        runs, cells = collect(study, paths), cells_frame(study, paths)
        axes = list_axes(chosen.runs(runs), chosen.runs(cells))
        frame = points_frame(study, runs, cells, chosen, axes[x], axes[y])
        return frame.set_index("variant", drop=False)

    return points


def test_a_point_by_hand(draw):
    row = draw().loc["B"]
    # Seeds 70, 71, 72 %; one round of latency, 4 ms.
    assert (row["y"], row["y_n"]) == (pytest.approx(71), 3)
    # On the logit scale.
    odds = 71 / 29 * math.exp(T_2 / 100 / 3**0.5 / (0.71 * 0.29))
    assert row["y_high"] == pytest.approx(100 * odds / (1 + odds), rel=1e-6)
    assert (row["y_min"], row["y_max"]) == (pytest.approx(70), pytest.approx(72))
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
        assert row["x_low"] == pytest.approx(5 * math.exp(-T_2 / 3**0.5 / 5), rel=1e-6)


def test_of_two_rounds_both_are_given_without_an_interval(paths, draw):
    study = make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 2}])
    for number, p50_ms in enumerate((4.0, 40.0)):
        job = latency("B", number)
        records.write(paths.record(job), make_record(study, job, p50_ms=p50_ms))
    row = draw(x="latency_p50_ms", study=study).loc["B"]
    assert row[["x_low", "x_high"]].isna().all()
    assert (row["x_n"], row["x_min"], row["x_max"], row["x_about"]) == (2, 4, 40, "")


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
        "fp32, channels_last, eager": 9.0,
        "bf16, channels_last, eager": 3.0,
    }
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
    trained, timed = list_experiments(study)
    assert trained[0] == ("train", "low", "quick")
    assert ("finetune", "high", "fresh") in trained
    assert timed == [TIMED]
    frame = draw(chosen=Experiments(Experiment("finetune", "high", "fresh"), TIMED))
    assert frame.loc["A", "y"] == pytest.approx(41)
    assert pd.isna(frame.loc["T", "y"])
    assert "test accuracy" in frame.loc["T", "status"]


def test_the_headline_holds_the_rows_of_the_table(paths):
    study = make_study(tables={"tradeoff": {"variants": ["T", "A"]}})
    points, x, y = headline_points(study, collect(study, paths), cells_frame(study, paths))
    assert set(points["variant"]) == {"A", "T"}
    assert points["front"].all()
    assert (x.key, y.key) == ("latency_p50_ms", "test_accuracy")


def test_without_jobs_there_is_no_row(study, paths):
    nothing = Experiments(None, None)
    runs, cells = collect(study, paths), cells_frame(study, paths)
    axes = list_axes(runs, cells)
    frame = points_frame(study, runs, cells, nothing, axes["num_params"], axes["test_accuracy"])
    assert not len(frame)
    assert "front" in frame


@pytest.fixture
def choose(study, paths, draw):
    def choice(x="latency_p50_ms", y="test_accuracy", limit=None, memory=None):
        runs, cells = collect(study, paths), cells_frame(study, paths)
        axes = list_axes(runs, cells)
        found = choose_best(draw(x, y), axes[x], axes[y], limit, memory)
        return found and (found.row["variant"], sorted(found.candidates))

    return choice


def test_the_best_within_a_budget(choose):
    assert choose() == ("T", ["A", "B", "T"])
    assert choose(limit=5.0) == ("B", ["A", "B"])
    assert choose(limit=1.0) is None
    assert choose(memory=286.0) is None
    assert choose(memory=287.0) == ("T", ["A", "B", "T"])
    # Of a throughput the budget is what must be reached.
    assert choose("throughput_images_per_second.b8", limit=500.0) == ("B", ["A", "B"])


def test_a_budget_looks_at_the_interval_too(paths):
    study = make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}])
    write_study(study, paths)
    for job in study.jobs():
        if job.kind == "latency" and job.variant in "AB":
            # A: 2.00, 2.01 and 2.02 ms. B: 4, 5 and 6 ms.
            p50_ms = 2.0 + 0.01 * job.seed if job.variant == "A" else 4.0 + job.seed
            records.write(paths.record(job), make_record(study, job, p50_ms=p50_ms))
    runs, cells = collect(study, paths), cells_frame(study, paths)
    axes = list_axes(runs, cells)
    x, y = axes["latency_p50_ms"], axes["test_accuracy"]
    points = points_frame(study, runs, cells, CHOSEN, x, y)
    # With t(0.975, 2) = 4.302653 B's mean is 5 ms, and its interval is far wider than 0.1 ms.
    found = choose_best(points, x, y, 5.1, None)
    assert (found.row["variant"], found.unsure) == ("B", ["B"])
    surely = choose_best(points, x, y, 5.1, None, whole_interval=True)
    assert (surely.row["variant"], surely.unsure) == ("A", ["B"])
    assert choose_best(points, x, y, 2.011, None, whole_interval=True) is None


@pytest.fixture
def train(study, paths):
    """Accuracies of the seeds of a variant, in %."""

    def write(variant, *percents):
        for seed, percent in enumerate(percents):
            job = Job("train", "low", "quick", variant, seed)
            records.write(paths.record(job), make_record(study, job, accuracy=percent / 100))

    return write


def test_one_seed_has_the_binomial_interval_of_its_network(study, paths, draw):
    for seed in (1, 2):
        paths.record(Job("train", "low", "quick", "A", seed)).unlink()
    frame = draw()
    # 60 of 100 images: Wilson's ends are 50.20 and 69.06 (Brown, Cai and DasGupta's formula by hand).
    assert frame.loc["A", ["y_low", "y_high"]].tolist() == pytest.approx(
        [50.2003, 69.0599], abs=1e-3
    )
    assert frame.loc["A", "y_about"] == "these trained networks, new test images"
    assert frame.loc["B", "y_about"] == "new seeds, these test images"
    # One round has no such interval.
    assert (frame.loc["A", "x_about"], pd.isna(frame.loc["A", "x_low"])) == ("", True)


def test_seeds_that_are_all_alike_have_no_interval(train, draw):
    train("A", 61, 61, 61)
    row = draw().loc["A"]
    assert (row["y"], row["y_n"], row["y_about"]) == (61, 3, "")
    assert pd.isna(row["y_low"])


@pytest.fixture
def timed_points(study, paths, train, draw):
    """Trade-off points of a study of three rounds, with spread in seeds and rounds."""
    whole = make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}])
    train("A", 60, 61, 63)
    train("B", 70, 72, 71)
    train("T", 81, 80, 79)
    for variant, times in {"A": (2, 2.1, 2.2), "B": (4, 4.3, 4.1), "T": (6, 6.1, 6.3)}.items():
        for number, p50_ms in enumerate(times):
            job = latency(variant, number)
            records.write(paths.record(job), make_record(whole, job, p50_ms=p50_ms))
    return lambda **axes: draw(study=whole, **axes)


def test_points_say_how_sure_their_place_is(timed_points):
    frame = timed_points()
    # 10 points and 2 ms apart with sds of 1.5 points and 0.15 ms: all are on the front.
    assert (frame["front_probability"] > 0.95).all()
    assert frame[["front_y_n", "front_x_n"]].to_numpy().tolist() == [[3, 3]] * 3
    assert frame["front_reason"].eq("").all()
    # The same network is best in both, whatever is drawn.
    frame = timed_points(x="num_params", y="p50_ms.b1")
    assert frame["front_probability"].tolist() == pytest.approx([1, 0, 0], abs=0.01)
    # Parameters are counted, not estimated.
    assert frame["front_x_n"].isna().all()


def test_two_devices_are_two_fronts_also_in_their_probabilities(paths, timed_points):
    whole = make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}])
    for number, p50_ms in enumerate((50.0, 51.0, 53.0)):
        job = latency("A", number)
        made = make_record(whole, job, p50_ms=p50_ms, device=GPU)
        records.write(paths.record(job), made)
    frame = timed_points()
    # Slower and worse than B and T, but alone on its device.
    assert frame.loc["A", "front_reason"] == ALONE
    assert (frame.loc[["B", "T"], "front_probability"] > 0.95).all()


def test_a_row_without_seeds_or_rounds_says_so(study, paths, timed_points, train):
    train("T", 80, 80, 80)
    paths.record(Job("train", "low", "quick", "A", 0)).unlink()
    paths.record(Job("train", "low", "quick", "A", 1)).unlink()
    frame = timed_points()
    reasons = frame["front_reason"]
    assert all(part in reasons["A"] for part in ("test accuracy", "one seed"))
    assert reasons["B"] == ALONE
    assert all(part in reasons["T"] for part in ("test accuracy", "every seed"))
    assert frame["front_probability"].isna().all()
    assert timed_points(x="reference_drift")["front_reason"].eq(NO_DIRECTION).all()
