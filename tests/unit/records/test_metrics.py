import math

import pytest

from resnest_bench.paths import KINDS, Job
from resnest_bench.records import metrics
from resnest_bench.records.latencies import summarise_samples
from resnest_bench.records.metrics import METRICS
from support.records_factory import GPU, make_cell, make_epochs, make_record, make_study

STUDY = make_study()
TRAIN = Job("train", "low", "quick", "A", 0)
LATENCY = Job("latency", "low", "fast", "A", 0)


def value(name, record):
    return METRICS[name].extract(record)


def test_every_metric_is_whole():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit
        assert metric.label
        assert metric.better in ("higher", "lower", None)
        assert set(metric.kinds) <= set(KINDS)
        assert metric.kinds


@pytest.mark.parametrize("job", [TRAIN, LATENCY, Job("finetune", "high", "tune", "B", 1)], ids=str)
def test_a_metric_has_a_finite_value_or_none(job):
    record = make_record(STUDY, job)
    for metric in METRICS.values():
        seen = metric.extract(record)
        assert seen is None or math.isfinite(seen)
        if job.kind not in metric.kinds:
            assert seen is None


def test_training_metrics_by_hand():
    # Two epochs: 100 and 200 images/s; 2 s each; losses 2 and 1; the last epoch counts.
    record = make_record(STUDY, TRAIN, accuracy=0.62)
    assert value("test_accuracy", record) == 0.62
    assert value("train_accuracy", record) == 0.9
    assert value("train_loss", record) == 1.0
    assert value("test_loss", record) == 0.75
    assert value("train_images_per_second", record) == 150
    assert value("train_seconds", record) == 4
    assert value("num_params", record) == 1000
    assert value("latency_p50_ms", record) is None


def test_the_speed_is_the_median_epoch():
    record = make_record(STUDY, TRAIN, num_epochs=3)
    assert [e["images_per_second"] for e in make_epochs(0.5, 3)] == [100, 200, 300]
    assert value("train_images_per_second", record) == 200


def test_samples_by_hand():
    # 0, 10, ..., 100: eleven values, so percentile p lies at rank p / 10, counted from 0.
    seen = summarise_samples([10.0 * k for k in reversed(range(11))])
    assert seen == {"n": 11, "mean": 50, "p50": 50, "p90": 90, "p99": 99, "iqr": 50, "noisy": True}


def test_percentiles_between_two_samples_are_linear():
    seen = summarise_samples([1.0, 2.0])
    assert (seen["p50"], seen["p90"], seen["iqr"]) == pytest.approx((1.5, 1.9, 0.5))


@pytest.mark.parametrize(
    ("samples", "noisy"),
    [
        ([1.0, 1.0, 1.1, 1.2], True),
        ([1, 1, 1, 9], True),
        ([1.0, 1.01, 1.02, 1.03], False),
        ([5.0], False),
    ],
)
def test_noisy_is_an_iqr_over_a_tenth_of_the_median(samples, noisy):
    # [1, 1, 1.1, 1.2]: p25 1, p75 1.125, p50 1.05. [1, 1, 1, 9]: p75 3.
    assert summarise_samples(samples)["noisy"] is noisy


def test_without_samples_there_is_no_figure():
    seen = summarise_samples([])
    assert seen["n"] == 0
    assert math.isnan(seen["p50"])
    record = make_record(STUDY, LATENCY, cells=[make_cell(1, [])])
    assert value("latency_p50_ms", record) is None
    assert value("throughput_images_per_second", record) is None


def test_latency_metrics_by_hand():
    record = make_record(STUDY, LATENCY, p50_ms=2.0)
    assert value("latency_p50_ms", record) == 2.0
    assert value("latency_mean_ms", record) == pytest.approx(2.0 * 5.48 / 5)
    # Batch 8 takes 8 ms: 1000 images/s against 500 at batch 1.
    assert value("throughput_images_per_second", record) == 1000
    # 1280 ms for 10 batches of 256.
    assert value("paper_ms_per_image", record) == 0.5
    # Medians 10 before and 11 after.
    assert value("reference_drift", record) == pytest.approx(0.1)
    assert value("num_macs", record) == 5_000_000
    assert value("peak_memory_bytes", record) is None
    assert value("peak_rss_bytes", record) == 300_000_000
    # Building the network and its first call are parts of the cold start.
    assert [value(f"{n}_ms", record) for n in ("cold_start", "build", "first_call")] == [80, 10, 60]


def test_the_primary_cell_is_of_the_first_setting_and_the_smallest_batch():
    cells = [make_cell(64, [9.0]), make_cell(8, [4.0]), make_cell(1, [1.0], precision="bf16")]
    record = make_record(STUDY, LATENCY, cells=cells)
    assert metrics.primary_cell(record.latency).batch_size == 8
    assert value("latency_p50_ms", record) == 4.0
    # The faster bf16 cell is another setting: 64 images in 9 ms is the best of fp32.
    assert value("throughput_images_per_second", record) == pytest.approx(64_000 / 9)


def test_without_a_cell_there_is_no_latency():
    record = make_record(STUDY, LATENCY, cells=[])
    for name in ("latency_p50_ms", "throughput_images_per_second", "device_latency_p50_ms"):
        assert value(name, record) is None
    assert value("cold_start_ms", record) == 80


def test_a_gpu_has_its_own_clock_and_a_peak():
    cells = [
        make_cell(b, [3.0], device_samples_ms=[2.0, 4.0], peak_memory_bytes=m)
        for b, m in ((1, 10), (8, 30))
    ]
    record = make_record(STUDY, LATENCY, cells=cells, device=GPU)
    assert value("device_latency_p50_ms", record) == 3.0
    assert value("peak_memory_bytes", record) == 30


def test_activations_that_old_code_did_not_count_are_no_measurement():
    record = make_record(STUDY, LATENCY)
    assert value("num_activations", record) == 40_000
    latency = record.latency.model_copy(
        update={"num_activations": 0, "uncounted_operators": {"conv2d": 20, "linear": 1}}
    )
    assert value("num_activations", record.model_copy(update={"latency": latency})) is None
