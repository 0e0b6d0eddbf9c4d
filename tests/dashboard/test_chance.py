"""A network that is no better than chance is named on the page that shows its accuracy."""

from resnest_bench import records
from resnest_bench.paths import Job
from support.records_factory import make_record, with_counts


def test_the_tradeoff_names_what_predicts_one_class(open_page, results, study):
    job = Job("train", "low", "quick", "A", 0)
    record = with_counts(make_record(study, job, accuracy=0.5), [25, 50, 25], [0, 100, 0])
    records.write(study.paths(results).record(job), record)
    app = open_page()
    shown = [element.value for element in (*app.caption, *app.markdown, *app.warning)]
    tables = [frame.value.to_string() for frame in app.dataframe]
    assert any("predicted as 'b'" in text for text in (*shown, *tables))
