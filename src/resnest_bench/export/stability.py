"""The spread over seeds as a section of a page."""

from resnest_bench.export.blocks import Section, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.report.stability import SPREAD_TABLES, failure_warning, spread_notes


def stability(results: PageResults) -> Section | None:
    """Failed trainings, where the spread over seeds comes from, and whether seeds or images help more."""
    blocks = [
        make_table(
            f"Table: {one.name}",
            one.display(table),
            str(one.caption(table, results.spec)),
            spread_notes(table),
        )
        for one in SPREAD_TABLES
        if len(table := one.read(results))
    ]
    if not blocks:
        return None
    warning = failure_warning(results.stability)
    return Section("stability", "Spread over seeds", (warning,) if warning else (), tuple(blocks))
