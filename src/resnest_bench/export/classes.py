"""All measures of the test images, confusion matrices, and the best two networks class by class."""

import altair as alt

from resnest_bench.charts import class_differences_chart, confusion_chart
from resnest_bench.comparisons.differences import main_trainings
from resnest_bench.comparisons.per_class import class_differences, count_disputed
from resnest_bench.export.blocks import Block, Section, make_figure, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.report.per_class import (
    per_class_caption,
    per_class_display,
    per_class_notes,
    scores_caption,
    scores_display,
)
from resnest_bench.tables.per_class import confusion_table, per_class_table

# Of more networks the page has the tables alone.
MAX_MATRICES = 4


def classes(results: PageResults) -> Section | None:
    """The classes of the study's main experiment; None where no record has kept predictions."""
    trainings = main_trainings(results.spec)
    found = results.class_predictions(trainings)
    if trainings is None or found is None or not found.variants:
        return None
    scores = results.scores(trainings.experiment)
    headline = scores[scores["metric"] == results.spec.headline_metric]
    ranked = headline.sort_values("mean", ascending=False, kind="stable")["variant"]
    best = [name for name in ranked if name in found.variants]
    blocks: list[Block] = [
        make_table(
            "Table: measures",
            scores_display(scores),
            str(scores_caption(scores, trainings, results.spec)),
        )
    ]
    matrices = confusion_table(found)
    charts: list[alt.Chart | alt.LayerChart] = [
        confusion_chart(matrices, name) for name in best[:MAX_MATRICES]
    ]
    text = []
    if len(best) > 1:
        ours, base = best[:2]
        charts.append(class_differences_chart(class_differences(found, [(ours, base)])))
        counts = [count_disputed(found, *pair) for pair in ((ours, base), (base, ours))]
        text.append(
            f"Most seeds of {ours} get {counts[0]:,} images right that most seeds of {base} get wrong; the "
            f"other way round it is {counts[1]:,}."
        )
    blocks += map(make_figure, charts)
    blocks.append(
        make_table(
            "Table: classes",
            per_class_display(per_class_table(found)),
            str(per_class_caption(found, trainings, results.spec)),
            per_class_notes(found),
        )
    )
    return Section("classes", "Per class", tuple(text), tuple(blocks))
