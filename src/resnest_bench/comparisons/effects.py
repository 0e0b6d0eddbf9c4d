"""The effects of a study's factors over all its variants at once, by `factor_effects`."""

from collections.abc import Iterable

import pandas as pd

from resnest_bench.comparisons.factors import EXTRAS, FACTORS, Network, distinct_networks
from resnest_bench.frames.typed import make_frame
from resnest_bench.paths import Experiment
from resnest_bench.specs import StudySpec
from resnest_bench.specs.tables import TableSpec
from resnest_bench.stats.mixed_model import EFFECT_COLUMNS, FactorEffects, factor_effects
from resnest_bench.tables.selection import RowGroups, select
from resnest_bench.tables.values import RUN_COLUMNS, accuracies_by_seed

# In addition to the factors of the network itself, if they vary.
DROPOUT, RECIPE = "dropout", "recipe"


def study_effects(study: StudySpec, runs: pd.DataFrame) -> FactorEffects | str:
    """Effects of the factors of the networks and of the recipe on the test accuracy, in points.

    The rows are the variants of the ablation table (all trained ones without it) with all recipes that
    train them on its dataset. With several recipes, the recipe is a factor too. Each network counts
    once. `notes` begin with what is left out. A text says why there is no estimate.
    """
    chosen = select(study, study.tables.ablation or TableSpec())
    dataset = chosen.training and chosen.training.dataset
    # Imported results may be of an experiment that the study runs too.
    blocks = (block for block in study.trained if block.dataset == dataset)
    experiments = list(
        dict.fromkeys(Experiment("train", block.dataset, block.recipe) for block in blocks)
    )
    if not experiments:
        return "this study trains nothing"
    frame, left_out = _rows(study, runs, chosen.variants, experiments)
    if len(frame["seed"].unique()) < 2:
        return "fewer than two seeds have a result"
    always = [factor for factor in FACTORS if factor not in EXTRAS]
    factors = [f for f in frame.columns if f in always or len(frame[f].unique()) > 1]
    factors = [f for f in factors if f not in ("variant", "seed", "value")]
    try:
        effects = factor_effects(frame, factors)
    except ValueError as error:
        return str(error)
    effects.notes[:0] = left_out
    return effects


def effects_table(effects: FactorEffects | str) -> pd.DataFrame:
    """EFFECT_COLUMNS, without a row where there is no estimate."""
    if isinstance(effects, str):
        return make_frame([], EFFECT_COLUMNS)
    return effects.table


def _rows(
    study: StudySpec, runs: pd.DataFrame, names: tuple[str, ...], experiments: list[Experiment]
) -> tuple[pd.DataFrame, list[str]]:
    """One row per training: variant, seed, value in %, and one column per factor."""
    groups, rows = RowGroups(runs, RUN_COLUMNS), []
    networks: dict[str, Network] = {}
    for experiment in experiments:
        recipe = experiment.recipe
        for name, network in distinct_networks(study, names, recipe).items():
            networks[name] = network
            label = name if len(experiments) == 1 else f"{name}, {recipe}"
            accuracies = accuracies_by_seed(groups.select(experiment, name))
            levels = {factor: network.level(factor) for factor in FACTORS}
            shared = {"variant": label, **levels, DROPOUT: network.dropout, RECIPE: recipe}
            rows += [{**shared, "seed": s, "value": value} for s, value in accuracies.items()]
    columns = ["variant", *FACTORS, DROPOUT, RECIPE, "seed", "value"]
    frame = pd.DataFrame(rows, columns=columns)
    for factor in FACTORS:
        frame[factor] = pd.Categorical(frame[factor], _ordered(factor, networks.values()))
    frame[RECIPE] = pd.Categorical(frame[RECIPE], [experiment.recipe for experiment in experiments])
    others = [name for name in names if name not in networks]
    note = f"Left out, as not of the family or the same network as another: {', '.join(others)}."
    return frame, [note] if others else []


def _ordered(factor: str, networks: Iterable[Network]) -> list[str]:
    """The levels of a factor as texts, the lowest first."""
    ordered = sorted(networks, key=lambda network: network.order(factor))
    return list(dict.fromkeys(network.level(factor) for network in ordered))
