import json

import pandas as pd

from resnest_bench.charts import coverage_chart
from resnest_bench.frames.rows import collect
from resnest_bench.paths import Job


def test_a_bar_counts_the_jobs_of_each_status(tmp_path):
    from support.records_factory import make_study, write_study

    study = make_study()
    write_study(study, study.paths(tmp_path))
    study.paths(tmp_path).record(Job("train", "low", "quick", "A", 0)).unlink()
    drawn = coverage_chart(collect(study, study.paths(tmp_path))).to_dict()
    rows = next(iter(drawn["datasets"].values()))
    counts = {(r["experiment"], r["status"]): r["jobs"] for r in rows}
    assert counts["train, low, quick", "ok"] == 8
    assert counts["train, low, quick", "missing"] == 1
    assert counts["finetune, high, tune", "ok"] == 6
    assert drawn["encoding"]["color"]["scale"]["domain"] == ["ok", "missing"]


def test_an_empty_frame_says_so():
    assert "no data yet" in json.dumps(coverage_chart(pd.DataFrame()).to_dict())
