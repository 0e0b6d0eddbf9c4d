import math

import pytest

from resnest_bench import records
from resnest_bench.comparisons.latency_ratios import latency_ratios
from resnest_bench.frames.rows import cells_frame, collect
from resnest_bench.paths import Experiment, Job
from support.records_factory import GPU, make_record, make_study


@pytest.fixture
def study():
    return make_study(latency=[{"dataset": "low", "protocol": "fast", "rounds": 3}])


@pytest.fixture
def ratios(study, paths):
    """Ratios to A at batch 1; A takes 2 ms in each round, B 2.2, 2.4 and 2.6, T 2.02 in each."""
    for number in range(3):
        for variant, p50_ms in {"A": 2.0, "B": 2.2 + 0.2 * number, "T": 2.02}.items():
            job = Job("latency", "low", "fast", variant, number)
            made = make_record(study, job, p50_ms=p50_ms)
            # B's jobs find the reference network 3 % slower than the other two's.
            slow = 1.03 if variant == "B" else 1.0
            timings = {"before_ms": [10 * slow], "after_ms": [10 * slow]}
            reference = made.latency.reference.model_copy(update=timings)
            made = made.model_copy(
                update={"latency": made.latency.model_copy(update={"reference": reference})}
            )
            records.write(paths.record(job), made)

    def table(base="A", batch_size=1):
        runs, cells = collect(study, paths), cells_frame(study, paths)
        names = ["A", "B", "T"]
        made = latency_ratios(
            study, runs, cells, Experiment("latency", "low", "fast"), base, names, batch_size
        )
        return made.set_index("variant")

    return table


def test_a_ratio_by_hand_beside_the_noise_floor(ratios):
    row = ratios().loc["B"]
    logs = [math.log(r) for r in (1.1, 1.2, 1.3)]
    mean = sum(logs) / 3
    sd = math.sqrt(sum((value - mean) ** 2 for value in logs) / 2)
    half = 4.302653 * sd / math.sqrt(3)  # t(0.975, 2)
    assert row["time_ratio"] == pytest.approx(math.exp(mean))
    assert row["low_ratio"] == pytest.approx(math.exp(mean - half), rel=1e-6)
    assert row["high_ratio"] == pytest.approx(math.exp(mean + half), rel=1e-6)
    assert (row["n"], row["status"]) == (3, "ok")
    # Six degrees of freedom, t(0.975, 6) = 2.446912; in a round logs of 1, 1.03, 1, twice each.
    step = math.log(1.03)
    squares = 3 * 2 * (2 * (step / 3) ** 2 + (2 * step / 3) ** 2)
    floor = math.exp(2.446912 * math.sqrt(squares / 12) * math.sqrt(2 / 3)) - 1
    assert row["noise"] == (
        f"{100 * (math.exp(mean) - 1):.1f} % slower, above the noise floor of {100 * floor:.1f} %"
    )
    assert ratios().loc["T", "noise"].startswith("1.0 % slower, below the noise floor")


def test_rounds_that_are_all_alike_have_no_interval(ratios):
    row = ratios().loc["T"]
    assert row["time_ratio"] == pytest.approx(1.01)
    assert row[["low_ratio", "high_ratio"]].isna().all()


def test_what_can_not_be_compared_says_why(study, paths, ratios):
    for number in range(3):
        job = Job("latency", "low", "fast", "B", number)
        records.write(paths.record(job), make_record(study, job, device=GPU))
        paths.record(Job("latency", "low", "fast", "T", number)).unlink()
    table = ratios()
    assert "several devices" in table.loc["B", "status"]
    assert table["time_ratio"].isna().all()
    assert "no record yet" in table.loc["T", "status"]
    assert "B has no latency" in ratios(batch_size=3).loc["B", "status"]
