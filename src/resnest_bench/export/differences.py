"""Whether the differences are real, and what each factor does over all networks."""

from resnest_bench.charts import effects_chart, pairs_chart
from resnest_bench.export.blocks import Block, Section, make_figure, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.report.differences import (
    count_significant,
    describe_power,
    differences_caption,
    differences_display,
    differences_notes,
    effects_caption,
    effects_display,
    effects_notes,
)


def differences(results: PageResults) -> Section | None:
    """The pairs of the study's main experiment; of an ablation the factors' effects too."""
    found = results.main_differences
    ablation = results.spec.tables.ablation
    if found is None or not (len(found.pairs) or ablation):
        return None
    blocks: list[Block] = []
    text = list(found.notes)
    if len(found.pairs):
        text = [f"{count_significant(found.pairs)}. {describe_power(found.pairs)}".strip()]
        blocks.append(make_figure(pairs_chart(found.pairs)))
        blocks.append(
            make_table(
                "Table: differences",
                differences_display(found.pairs),
                str(differences_caption(found, results.spec)),
                [*data_notes(results.spec, results.runs).values(), *differences_notes(found)],
            )
        )
    if ablation:
        blocks += _effects(results)
    return Section("differences", "Differences", tuple(text), tuple(blocks))


def _effects(results: PageResults) -> list[Block]:
    found = results.factor_effects
    display = effects_display(found)
    table = make_table("Table: effects", display, str(effects_caption(found)), effects_notes(found))
    return [table] if isinstance(found, str) else [make_figure(effects_chart(found.table)), table]
