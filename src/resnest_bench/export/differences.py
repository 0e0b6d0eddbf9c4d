"""Whether the differences are real, and the effect of each factor over all networks."""

from resnest_bench.charts import effects_chart, pairs_chart, profile_chart, ranks_chart
from resnest_bench.comparisons.differences import describe_population
from resnest_bench.export.blocks import Block, Section, make_figure, make_table
from resnest_bench.export.results import PageResults
from resnest_bench.frames.data_notes import data_notes
from resnest_bench.report.datasets import datasets_caption, describe_ranks, ranks_display
from resnest_bench.report.differences import (
    count_significant,
    describe_power,
    differences_caption,
    differences_display,
    differences_notes,
)
from resnest_bench.report.effects import effects_caption, effects_display, effects_notes
from resnest_bench.report.standings import STANDINGS_CAPTION, describe_standings, standings_display


def differences(results: PageResults) -> Section | None:
    """The pairs of the study's main experiment; for an ablation also the effects of the factors."""
    compared = results.main_differences
    ablation = results.spec.tables.ablation
    if compared is None or not (len(compared.pairs) or ablation):
        return None
    blocks: list[Block] = []
    text = list(compared.notes)
    if len(compared.pairs):
        about = describe_population(compared.pairs)
        standing = describe_standings(compared.standings, about)
        text = [f"{count_significant(compared.pairs)}. {describe_power(compared.pairs)}".strip()]
        text += [standing] if standing else []
        blocks.append(make_figure(pairs_chart(compared.pairs)))
        blocks.append(
            make_table(
                "Table: differences",
                differences_display(compared.pairs),
                str(differences_caption(compared, results.spec)),
                [*data_notes(results.spec, results.runs).values(), *differences_notes(compared)],
            )
        )
    if len(compared.standings) > 1:
        ranks = standings_display(compared.standings)
        blocks.append(make_table("Table: standings", ranks, STANDINGS_CAPTION, []))
    blocks += _over_datasets(results)
    if ablation:
        blocks += _effects(results)
    return Section("differences", "Differences", tuple(text), tuple(blocks))


def _over_datasets(results: PageResults) -> list[Block]:
    found = results.dataset_comparison
    if found is None or not len(found.ranks):
        return []
    caption = f"{describe_ranks(found)} {datasets_caption(found)}".strip()
    table = make_table(
        "Table: ranks over data sets", ranks_display(found.ranks), caption, list(found.notes)
    )
    profile = profile_chart(
        found.profile, results.spec.headline_metric, variants=results.spec.variant_names
    )
    return [make_figure(ranks_chart(found.ranks)), table, make_figure(profile)]


def _effects(results: PageResults) -> list[Block]:
    effects = results.factor_effects
    caption, notes = str(effects_caption(effects)), effects_notes(effects)
    table = make_table("Table: effects", effects_display(effects), caption, notes)
    return (
        [table] if isinstance(effects, str) else [make_figure(effects_chart(effects.table)), table]
    )
