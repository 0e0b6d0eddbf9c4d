"""Devices compared, and what bounds the latencies, as a section of a page."""

from resnest_bench.charts import device_ranking_chart, roofline_chart
from resnest_bench.export.blocks import Block, Section, make_figure, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.report.devices import (
    NETWORKS_CAPTION,
    RANKING_CAPTION,
    ROOFLINE_CAPTION,
    describe_rankings,
    networks_display,
    ranking_display,
    roofline_display,
)
from resnest_bench.tables.roofline import describe_bounds
from resnest_bench.tables.values import CELL_AXES

# A study can have many devices, settings and batch sizes: the tables have them all.
MAX_CHARTS = 4


def devices(results: PageResults) -> Section | None:
    """Does the choice carry over to another device, and what is a latency bound by?"""
    found, table = results.device_rankings, results.roofline
    if not len(found.pairs) and not len(table):
        return None
    blocks: list[Block] = []
    text = [*describe_rankings(found)]
    if len(found.pairs):
        by = ["dataset", "device_a", "device_b", "batch_size"]
        groups = found.networks.groupby(by, sort=False)
        blocks += [make_figure(device_ranking_chart(rows)) for _, rows in [*groups][:MAX_CHARTS]]
        ranked, members = ranking_display(found.pairs), networks_display(found.networks)
        blocks.append(make_table("Table: devices", ranked, str(RANKING_CAPTION)))
        blocks.append(make_table("Table: networks on two devices", members, str(NETWORKS_CAPTION)))
    if len(table):
        text += [
            f"Bound by, with the share of the ceiling: {one}." for one in describe_bounds(table)
        ]
        cells = table.groupby(["dataset", "device", *CELL_AXES[1:], "batch_size"], sort=False)
        drawn = [results.select_drawn(rows) for _, rows in cells][:MAX_CHARTS]
        blocks += [make_figure(roofline_chart(rows)) for rows in drawn]
        shown = roofline_display(table)
        blocks.append(make_table("Table: roofline", shown, str(ROOFLINE_CAPTION)))
    return Section("devices", "Devices", tuple(text), tuple(blocks))
