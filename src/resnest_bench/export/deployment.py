"""Deployment modes on a page: the chart, the table, and what is not available."""

from resnest_bench.charts import deployment_chart
from resnest_bench.export.blocks import Section, make_figure, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.report.deployment import (
    TITLE,
    deployment_caption,
    deployment_display,
    deployment_notes,
)


def deployment(results: PageResults) -> Section | None:
    """Each mode of the trained networks: accuracy, latency and size; None without a deploy block."""
    if not results.spec.deploy:
        return None
    table = results.deployment
    chart = deployment_chart(results.select_drawn(table), results.spec.variant_names)
    rows = make_table(
        "Table: deployment modes",
        deployment_display(table),
        str(deployment_caption(table)),
        deployment_notes(table),
    )
    return Section("deployment", TITLE, tuple(results.cut_text), (make_figure(chart), rows))
