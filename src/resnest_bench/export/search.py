"""A study's search as a section of a page."""

from resnest_bench.charts import (
    confirmation_chart,
    search_front_chart,
    search_progress_chart,
    tuning_curve_chart,
)
from resnest_bench.export.blocks import Block, Section, make_figure, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.report.search import FINALISTS, SEARCH_TABLES, describe_search, search_notes


def search(results: PageResults) -> Section | None:
    """What was chosen and confirmed, the best against the budget, and all trials."""
    study = results.spec
    if study.search is None:
        return None
    found, families = results.search, study.search.family_names
    by_minutes = study.search.budget.minutes is not None
    charts = [
        confirmation_chart(found.finalists),
        search_progress_chart(found.trials, families, by_minutes),
    ]
    if study.search.halving is None:
        charts.append(tuning_curve_chart(found.curves, families))
    if study.search.latency:
        charts.append(search_front_chart(found.trials, found.finalists, families))
    blocks: list[Block] = [make_figure(chart) for chart in charts]
    blocks += [
        make_table(
            f"Table: {one.name}",
            one.display(table),
            str(one.caption(results)),
            search_notes(one, table),
        )
        for one in SEARCH_TABLES
        if len(table := one.read(found)) or one is FINALISTS
    ]
    return Section("search", "Search", tuple(describe_search(study, found)), tuple(blocks))
