import pytest

from resnest_bench.frames.rows import cells_frame, collect
from resnest_bench.records.cell_metrics import CELL_METRICS
from resnest_bench.records.metrics import METRICS
from resnest_bench.tables.axes import default_axes, list_axes, metric_axis


@pytest.fixture
def axes(study, paths):
    return list_axes(collect(study, paths), cells_frame(study, paths))


def test_every_metric_with_a_value_is_an_axis(axes):
    assert {"test_accuracy", "num_macs", "cold_start_ms", "latency_p99_ms"} <= set(axes)
    # No GPU, no validation images: nothing to show.
    assert not {"validation_accuracy", "device_latency_p50_ms", "peak_memory_bytes"} & set(axes)
    assert set(axes) <= {*METRICS, *(f"{name}.b{b}" for name in CELL_METRICS for b in (1, 8))}


def test_cell_metrics_come_at_each_batch_size(axes):
    axis = axes["p90_ms.b8"]
    assert (axis.source, axis.column, axis.batch_size) == ("cell", "p90_ms", 8)
    assert axis.title == "Latency, p90, batch 8 (ms)"
    assert "p90_ms.b64" not in axes


def test_titles_are_unique_and_units_are_what_people_read(axes):
    titles = [axis.title for axis in axes.values()]
    assert len(set(titles)) == len(titles)
    assert axes["test_accuracy"].title == "Test accuracy (%)"
    assert (axes["num_params"].unit, axes["num_params"].factor) == ("million", 1e-6)
    assert (axes["peak_rss_bytes"].unit, axes["peak_rss_bytes"].factor) == ("MiB", 1 / 2**20)


def test_defaults_fall_back_to_what_there_is(axes):
    assert default_axes(axes) == ("latency_p50_ms", "test_accuracy")
    trained = {key: axis for key, axis in axes.items() if axis.source == "training"}
    assert default_axes(trained) == ("num_params", "test_accuracy")
    assert default_axes({}) == (None, None)
    assert metric_axis("latency_p50_ms") == axes["latency_p50_ms"]
