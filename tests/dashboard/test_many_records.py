"""Studies of more networks than a page can draw: its height, what it compares, and what it sends."""

import io
import json

import pyarrow as pa
import pytest

from resnest_bench.specs import dump_study
from support import records_factory
from support.records_factory import make_record

COUNT = 170


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """170 networks, each with one training and one latency; net-100 is the most accurate."""
    names = [f"net-{number:03d}" for number in range(COUNT)]
    study = records_factory.make_study(
        study="big",
        seeds=[0],
        finetune=[],
        variants=[
            {
                "name": name,
                "family": "resnest",
                "layers": [1],
                "radix": 2 if index % 2 else 0,
                "width": 16 + 8 * (index // 2),
                "stem": "small",
            }
            for index, name in enumerate(names)
        ],
        tables={"ablation": {"variants": names}, "tradeoff": {}},
    )
    folder = tmp_path_factory.mktemp("big")
    paths = study.paths(folder)
    paths.root.mkdir(parents=True)
    paths.study.write_text(dump_study(study))
    models = {}
    for job in study.jobs():
        number = names.index(job.variant)
        # A record's text is made once a kind: validating hundreds takes its time.
        if job.kind not in models:
            models[job.kind] = make_record(study, job)
        record = models[job.kind].model_copy(update={"job": job, "spec": study.job_spec(job)})
        if job.kind == "train":
            record = make_record(study, job, accuracy=0.9 if number == 100 else 0.5)
        paths.record(job).parent.mkdir(parents=True, exist_ok=True)
        paths.record(job).write_text(record.model_dump_json())
    return folder


@pytest.fixture
def open_big(big, open_page, monkeypatch):
    monkeypatch.setenv("RESNEST_BENCH_RESULTS", str(big))
    return open_page


def charts(app):
    return app.get("vega_lite_chart")


def list_rows(chart):
    """How many rows the y axis of a chart has."""
    layers = json.loads(chart.proto.spec).get("layer", [])
    ys = [layer["encoding"]["y"] for layer in layers if "y" in layer.get("encoding", {})]
    return max(len(y.get("scale", {}).get("domain") or y.get("sort") or []) for y in ys)


@pytest.mark.slow
def test_the_ablation_is_turned_over_in_parts(open_big):
    app = open_big("ablation")
    assert all(1 < list_rows(chart) <= 40 for chart in charts(app))
    first = charts(app)[-1].proto.spec
    box = app.selectbox(key="networks")
    assert len(box.options) == 5
    box.select(4).run()
    assert not app.exception
    assert app.query_params["networks"] in ("5", ["5"])
    assert charts(app)[-1].proto.spec != first
    assert "net-169" in charts(app)[-1].proto.spec


@pytest.mark.slow
def test_differences_of_many_are_against_the_most_accurate_or_a_chosen_one(open_big):
    app = open_big("differences")
    pairs = app.dataframe[1].value
    assert set(pairs["base"]) == {"net-100"}
    assert len(pairs) <= 60
    app.selectbox(key="base").select("net-003").run()
    assert set(app.dataframe[1].value["base"]) == {"net-003"}
    app.multiselect(key="pick").set_value(["net-007", "net-008"]).run()
    assert not app.exception
    assert set(app.dataframe[1].value["variant"]) == {"net-007", "net-008"}


@pytest.mark.slow
def test_a_crowd_sends_the_columns_that_its_chart_draws_and_no_others(open_big):
    (chart,) = charts(open_big())
    spec = chart.proto.spec
    dots = max(
        (pa.ipc.open_stream(io.BytesIO(d.data.data)).read_all() for d in chart.proto.datasets),
        key=lambda table: table.num_rows,
    )
    assert dots.num_rows == COUNT
    unused = [
        name for name in dots.column_names if f'"{name}"' not in spec and f".{name}" not in spec
    ]
    assert not unused
