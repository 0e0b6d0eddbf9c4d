"""The workflow's cost, by hand; and two small workflows timed."""

import pytest

from resnest_bench.specs import study_from_config


@pytest.fixture
def workflow(benchmark_module):
    return benchmark_module("workflow")


def test_the_study_that_is_timed_is_valid_and_has_a_job_a_variant(workflow, tmp_path):
    study = study_from_config(workflow.make_config(7, tmp_path), "test")
    assert len({v.as_dict()["width"] for v in study.variants}) > 1
    assert len(study.jobs()) == 7 * workflow.NUM_SEEDS


def test_one_more_job_is_the_slope_between_the_two_smallest_sizes(workflow):
    seen = {
        50: [{"run": 5.0}, {"run": 7.0}, {"run": 6.0}],
        100: [{"run": 16.0}],
        200: [{"run": 99.0}],
    }
    assert workflow.per_job(seen) == pytest.approx((16 - 6) / 50)


def test_the_report_says_the_share_of_a_training(workflow):
    row = {"ours": 3.0, "peer": 2.0, "config": 0.5}
    seen = {50: [{**row, "run": 10.0}], 100: [{**row, "run": 20.0}]}
    text = workflow.report(TOLD, seen, start=3.8)
    # 0.2 s a job and 3.8 s of start: 4 of 24 s, and 4 of 104 s.
    assert "17% of a job that trains one seed of 20 s, and 4% of one with five" in text
    assert "1.50" in text


TOLD = {
    "command": "python workflow.py",
    "busy_before": 0.0,
    "environment": {
        "versions": {"torch": "2"},
        "device_kind": "cpu",
        "device_name": "X",
        "cpu_model": "X",
        "num_cpu_threads": 1,
        "git_dirty": False,
        "git_commit": "c0ffee",
        "python": "3.11",
    },
}


@pytest.mark.slow
def test_two_small_workflows_are_timed(workflow):
    found = workflow.measure([2], runs=1)[2][0]
    assert set(found) == {"ours", "peer", "config", "run"}
    assert all(seconds > 0 for seconds in found.values())
