import pytest

from resnest_bench.paths import Experiment
from resnest_bench.report.latencies import describe_fastest
from resnest_bench.results import open_study
from resnest_bench.tables.latencies import latencies_table
from support import records_factory

FAST = Experiment("latency", "low", "fast")


@pytest.fixture
def results(tmp_path):
    study = records_factory.make_study()
    records_factory.write_study(study, study.paths(tmp_path))
    return open_study(study.paths(tmp_path).root)


@pytest.mark.parametrize(
    ("floor", "said", "count"),
    [
        (50.0, "All others are slower", 1),
        (120.0, "B is within the noise floor", 2),
        (250.0, "B, T are within the noise floor", 3),
    ],
)
def test_the_fastest_first_and_what_the_noise_floor_leaves_open(results, floor, said, count):
    # 2, 4 and 6 ms.
    table = latencies_table(results.runs, results.cells, FAST, ("T", "B", "A"), floor)
    assert table["variant"].tolist() == ["A", "B", "T"]
    assert table["relative_to_fastest"].tolist() == pytest.approx([1, 2, 3])
    text = describe_fastest(table, floor)
    assert text.startswith("A is the fastest: 2.00 ms")
    assert said in text
    assert int(table["in_noise"].sum()) == count


def test_without_a_floor_nothing_is_said_of_noise(results):
    table = latencies_table(results.runs, results.cells, FAST, ("A", "B"), None)
    assert table["in_noise"].isna().all()
    assert "unknown" in describe_fastest(table, None)
    assert describe_fastest(table.iloc[:0], None) == ""
