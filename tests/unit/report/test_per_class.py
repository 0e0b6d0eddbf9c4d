"""Files of measures and classes, and the texts that pages share."""

import pandas as pd

from resnest_bench.report.per_class import CLASS_TABLES
from resnest_bench.report.tables import write_tables
from support.predicted_study import predicted_study, write_predicted
from support.records_factory import write_study


def test_class_tables_are_written_where_there_are_predictions_and_go_with_them(tmp_path):
    study = predicted_study()
    paths = study.paths(tmp_path)
    write_predicted(study, paths)
    write_tables(study, paths)
    for name in CLASS_TABLES:
        table = pd.read_csv(paths.tables / f"{name}.csv")
        assert list(table.columns[:3]) == ["kind", "dataset", "recipe"]
        assert len(table) or name == "disputed_images"
    scores = pd.read_csv(paths.tables / "scores.csv")
    assert {"train", "finetune"} == set(scores["kind"])
    text = (paths.tables / "per_class.md").read_text()
    assert text.count("## Per class") == 3, "one training and two fine-tunings"
    assert "| B " in text
    write_study(study, paths)
    write_tables(study, paths)
    for name in CLASS_TABLES:
        assert not (paths.tables / f"{name}.csv").exists()
    assert "not kept" in (paths.tables / "per_class.md").read_text()
