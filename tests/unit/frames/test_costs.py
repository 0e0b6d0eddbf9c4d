"""The cost of a million images, from the price of an hour."""

import pytest

from resnest_bench.errors import UserError
from resnest_bench.frames.cache import load_frames
from resnest_bench.frames.costs import find_price
from support.records_factory import make_record, make_study, write_study


def load(tmp_path, **config):
    study = make_study(**config)
    paths = study.paths(tmp_path)
    write_study(study, paths)
    return study, load_frames(study, paths, {})


def test_a_million_images_at_two_milliseconds_take_33_minutes(tmp_path):
    _, frames = load(tmp_path, tables={"tradeoff": {}, "price_per_hour": 3.0})
    first = frames.cells[(frames.cells["variant"] == "A") & (frames.cells["batch_size"] == 1)].iloc[
        0
    ]
    assert first["ms_per_image"] == pytest.approx(2.0)
    assert first["cost_per_million_images"] == pytest.approx(2e6 / 3.6e6 * 3.0)
    runs = frames.runs[frames.runs["variant"] == "A"]
    timed = runs["kind"] == "latency"
    # The batch size with the highest throughput: here both take 2 ms for an image, or 1.
    best = 1e3 / runs.loc[timed, "throughput_images_per_second"].iloc[0]
    assert runs.loc[timed, "cost_per_million_images"].iloc[0] == pytest.approx(best / 3.6 * 3.0)
    assert runs.loc[~timed, "cost_per_million_images"].isna().all()


def test_without_a_price_there_is_no_cost(tmp_path):
    _, frames = load(tmp_path)
    assert frames.cells["cost_per_million_images"].isna().all()


def test_a_new_price_changes_the_cost_and_reads_no_record(tmp_path):
    study, _ = load(tmp_path, tables={"tradeoff": {}, "price_per_hour": 3.0})
    dearer = make_study(tables={"tradeoff": {}, "price_per_hour": 6.0})
    job = next(job for job in study.jobs() if job.kind == "latency")
    assert study.job_spec(job) == dearer.job_spec(job)


def test_a_price_of_each_protocol():
    study = make_study(tables={"tradeoff": {}, "price_per_hour": {"fast": 2.0}})
    assert find_price(study, "fast") == 2.0
    assert find_price(study, "another") is None


def test_one_number_is_not_the_price_of_another_device():
    study = make_study(tables={"tradeoff": {}, "price_per_hour": 2.0})
    assert find_price(study, "fast") == 2.0
    assert find_price(study, "fast+Raspberry-Pi-5") is None


def test_a_price_of_an_unknown_protocol_is_refused():
    with pytest.raises(UserError, match="price_per_hour"):
        make_study(tables={"tradeoff": {}, "price_per_hour": {"unknown": 2.0}})


def test_a_price_is_no_change_of_a_record(tmp_path):
    study = make_study()
    job = next(job for job in study.jobs() if job.kind == "latency")
    assert "price" not in str(make_record(study, job).spec)
