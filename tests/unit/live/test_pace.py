"""Time left: against sums by hand."""

from resnest_bench.live.pace import Pace
from resnest_bench.live.snapshot import TimeLeft


def pace(**seconds):
    made = Pace()
    for rule, values in seconds.items():
        for value in values:
            made.add(rule, value)
    return made


def test_waiting_jobs_take_as_long_as_their_like():
    assert pace(train=[10.0, 20.0]).left({"train": 4}, []) == TimeLeft(4 * 15.0, all_known=True)


def test_a_running_job_has_its_rest_by_its_own_share_and_stands_for_its_like():
    # A quarter in 10 s: 30 s are left, and each of the two that wait takes 40 s.
    assert pace().left({"train": 2}, [("train", 10.0, 0.25)]) == TimeLeft(110.0, all_known=True)


def test_a_running_job_that_says_nothing_takes_as_long_as_its_like():
    found = pace(latency=[12.0]).left({}, [("latency", 5.0, None)])
    assert found == TimeLeft(7.0, all_known=True)
    assert pace(latency=[12.0]).left({}, [("latency", 50.0, None)]) == TimeLeft(0.0, all_known=True)


def test_what_runs_at_a_time_shares_the_time():
    running = [("train", 10.0, 0.5), ("train", 10.0, 0.5)]
    assert pace(train=[20.0]).left({"train": 4}, running) == TimeLeft(100 / 2, all_known=True)


def test_a_kind_that_has_not_run_yet_makes_it_a_lower_bound():
    assert pace(latency=[5.0]).left({"latency": 2, "train": 9}, []) == TimeLeft(
        10.0, all_known=False
    )


def test_tables_and_figures_count_only_once_they_have_run():
    assert pace(train=[5.0]).left(
        {"train": 1, "tables": 1, "figures": 1, "all": 1}, []
    ) == TimeLeft(5.0, all_known=True)


def test_where_nothing_is_known_it_says_nothing():
    assert pace().left({"train": 3}, [("train", 4.0, None)]) is None
