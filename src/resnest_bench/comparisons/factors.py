"""One factor at a time with the others held fixed: pairs of variants that differ only in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args

import pandas as pd

from resnest_bench.frames.typed import make_frame
from resnest_bench.specs import ResNestVariant, StudySpec
from resnest_bench.specs.claims import Factor
from resnest_bench.specs.tables import TableSpec
from resnest_bench.specs.variants import PER_STAGE, stages_text
from resnest_bench.stats.summary import paired_difference
from resnest_bench.tables import paper_values
from resnest_bench.tables.selection import RowGroups, Selection, select
from resnest_bench.tables.values import (
    RUN_COLUMNS,
    Row,
    accuracies_by_seed,
    any_stale,
    counted_rows,
    first_known,
    join_devices,
    training_status,
)

FACTORS: tuple[str, ...] = get_args(Factor)
# Those that are spoken of only where they are not as in the paper.
EXTRAS = ("channels", "gate", "kernels", "attention")
GATES = ("uniform", "sigmoid", "attention")
STEMS = ("conv7", "deep", "small")
COLUMNS = {
    **dict.fromkeys(["factor", "held", "base", "variant", "base_level", "level"], "str"),
    "adjacent": "boolean",
    "n": "Int64",
    **dict.fromkeys(
        [f"difference_{name}_points" for name in ("mean", "std", "low", "high")], "float64"
    ),
    **dict.fromkeys(["seeds", "seed_differences_points"], "object"),
    **dict.fromkeys(["params_ratio", "printed_difference_points"], "float64"),
    "stale": "boolean",
    **dict.fromkeys(["dataset", "dataset_label", "recipe"], "str"),
    "num_test": "Int64",
    **dict.fromkeys(["train_device", "status"], "str"),
}


class Stem(NamedTuple):
    """Stem and downsampling, which change together. Ordered: the lowest comes first."""

    rank: int
    width: int
    avg_down: bool
    avd: bool
    avd_first: bool

    def __str__(self) -> str:
        kind = STEMS[self.rank]
        pooling = "avd_first" if self.avd_first else "avd" if self.avd else ""
        parts = [f"{kind} {self.width}" if kind == "deep" else kind]
        return ", ".join(parts + ["avg_down"] * self.avg_down + [pooling] * bool(pooling))


# As in the paper, with its default stem width.
RESNET = Stem(STEMS.index("conv7"), 0, avg_down=False, avd=False, avd_first=False)
RESNEST = Stem(STEMS.index("deep"), 32, avg_down=True, avd=True, avd_first=True)


@dataclass(frozen=True)
class Network:
    """The architecture of a variant of the family, without its name and note."""

    radix: int | tuple[int, ...]
    cardinality: int | tuple[int, ...]
    width: int | tuple[int, ...]
    stem: Stem
    layers: tuple[int, ...]
    dropout: float
    channels: float = 1.0
    gate: str = "attention"
    kernels: int | tuple[int, ...] = 3
    attention: str = "none"

    @property
    def depth(self) -> int:
        return 2 + 3 * sum(self.layers)

    def level(self, factor: str) -> str:
        """'2', '0-0-2-2', 'deep 32, avg_down, avd_first' or '14 [1, 1, 1, 1]'."""
        value = getattr(self, factor)
        if factor == "layers":
            return f"{self.depth} {list(value)}"
        if factor == "channels":
            return f"{value:g}"
        return stages_text(value) if factor in (*PER_STAGE, "kernels") else str(value)

    def order(self, factor: str) -> Any:
        """The sort key for the levels of a factor."""
        value = getattr(self, factor)
        if factor == "layers":
            return self.depth, self.layers
        if factor in PER_STAGE:
            return (value,) * len(self.layers) if isinstance(value, int) else value
        if factor == "kernels":
            # The mean size first: 3, then 3-5, then 5.
            sizes = (value,) if isinstance(value, int) else value
            return sum(sizes) / len(sizes), sizes
        if factor == "gate":
            return GATES.index(value)
        return (value != "none", value) if factor == "attention" else value

    def held(self, factor: str) -> str:
        """Describe everything but `factor`: 'ResNeSt-14, cardinality 1, width 64'."""
        names = [name for name in PER_STAGE if name != factor]
        names += [name for name in EXTRAS if name != factor and self._is_unusual(name)]
        parts = [self._architecture(factor), *(f"{name} {self.level(name)}" for name in names)]
        return ", ".join(parts)

    def _is_unusual(self, name: str) -> bool:
        return bool(getattr(self, name) != Network.__dataclass_fields__[name].default)

    def _architecture(self, factor: str) -> str:
        """'ResNeSt-14', without the parts that `factor` changes."""
        if factor == "stem":
            return f"depth {self.depth}"
        depth = "" if factor == "layers" else f"-{self.depth}"
        if self.stem == RESNET:
            return f"ResNet{depth}"
        if self.stem == RESNEST._replace(width=self.stem.width):
            is_default = self.stem.width == RESNEST.width
            return f"ResNeSt{depth}" + ("" if is_default else f", stem width {self.stem.width}")
        return str(self.stem) if factor == "layers" else f"depth {self.depth}, {self.stem}"


@dataclass(frozen=True)
class FactorGroup:
    """Variants that differ only in `factor`: one for each level, the lowest level first."""

    factor: str
    held: str
    levels: tuple[str, ...]
    variants: tuple[str, ...]

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Indices (base, variant): the lowest level against every other, then each against the next."""
        count = len(self.levels)
        yield from ((0, other) for other in range(1, count))
        yield from ((low, low + 1) for low in range(1, count - 1))


def factor_groups(study: StudySpec, spec: TableSpec | None = None) -> list[FactorGroup]:
    """Groups of two or more variants that differ in only one factor, in the order of FACTORS.

    The variants are those of the family `resnest` that `spec` selects. None takes the study's ablation
    or, without one, every trained variant. Of several names of one network only the first is used.
    """
    chosen = _select(study, spec)
    networks = distinct_networks(study, chosen.variants, _recipe(chosen))
    return [group for factor in FACTORS for group in _groups(factor, networks)]


def distinct_networks(
    study: StudySpec, names: tuple[str, ...] | list[str], recipe: str | None
) -> dict[str, Network]:
    """The networks of the family `resnest` by name; of equal networks only the first."""
    return _distinct(_networks(study, names, recipe))


def _select(study: StudySpec, spec: TableSpec | None) -> Selection:
    return select(study, spec or study.tables.ablation or TableSpec())


def _recipe(chosen: Selection) -> str | None:
    return chosen.training and chosen.training.recipe


def _networks(
    study: StudySpec, names: tuple[str, ...] | list[str], recipe: str | None
) -> dict[str, Network]:
    variants = [study.variant(name) for name in names]
    # Of imported results the recipe is only a name.
    spec = study.all_recipes.get(recipe) if recipe else None
    dropout = spec.dropout if spec else 0.0
    return {v.name: _network(v, dropout) for v in variants if isinstance(v, ResNestVariant)}


def _network(variant: ResNestVariant, recipe_dropout: float) -> Network:
    # Options without an effect must not make two networks differ.
    stem = Stem(
        rank=STEMS.index(variant.stem),
        width=variant.stem_width if variant.stem == "deep" else 0,
        avg_down=variant.avg_down,
        avd=variant.avd,
        avd_first=variant.avd and variant.avd_first,
    )
    most_splits = max(radix for radix, *_ in variant.list_stages())
    return Network(
        variant.radix,
        variant.cardinality,
        variant.width,
        stem,
        variant.layers,
        dropout=recipe_dropout if variant.dropout is None else variant.dropout,
        channels=variant.channels,
        # Of one split both are the same sigmoid.
        gate="attention" if variant.gate == "sigmoid" and most_splits < 2 else variant.gate,
        kernels=variant.kernels,
        attention=variant.attention,
    )


def _distinct(networks: Mapping[str, Network]) -> dict[str, Network]:
    first: dict[Network, str] = {}
    for name, network in networks.items():
        first.setdefault(network, name)
    return {name: network for network, name in first.items()}


def _groups(factor: str, networks: Mapping[str, Network]) -> Iterator[FactorGroup]:
    names_by_rest: dict[Network, list[str]] = {}
    without_factor: dict[str, Any] = {factor: None}
    for name, network in networks.items():
        names_by_rest.setdefault(replace(network, **without_factor), []).append(name)
    several_dropouts = len({network.dropout for network in networks.values()}) > 1
    for names in names_by_rest.values():
        if len(names) < 2:
            continue
        names.sort(key=lambda name: networks[name].order(factor))
        lowest = networks[names[0]]
        dropout = f", dropout {lowest.dropout:g}" if several_dropouts else ""
        levels = tuple(networks[name].level(factor) for name in names)
        yield FactorGroup(factor, lowest.held(factor) + dropout, levels, tuple(names))


def factor_table(
    study: StudySpec, runs: pd.DataFrame, spec: TableSpec | None = None
) -> pd.DataFrame:
    """One row per pair of levels of a factor, with everything else held fixed.

    Each group of `factor_groups` gives its lowest level, the base, against every other level, then each
    level against the next one up. `adjacent` says that no level of the group is between the two.

    `runs` is from `collect`. Differences are variant minus base in test accuracy, paired by seed, in
    percentage points: mean, sample standard deviation and 95 % t-interval (NaN below three seeds) over
    the `n` seeds that both have. `seeds` and `seed_differences_points` hold lists. `params_ratio` is
    variant over base. The printed difference is NaN unless the selection shows the paper's values and
    one of the paper's tables prints both networks. `stale` says that a side has only stale values.
    Nothing is rounded; a pair without a value has its reason in `status`.
    """
    chosen = _select(study, spec)
    twins = _twins(_networks(study, study.variant_names, _recipe(chosen)))
    by_variant = RowGroups(runs, RUN_COLUMNS)
    rows = [
        {**_pair_row(by_variant, chosen, group, *pair), **_printed(chosen, twins, group, *pair)}
        for group in factor_groups(study, spec)
        for pair in group.pairs()
    ]
    return make_frame(rows, COLUMNS)


def _twins(networks: Mapping[str, Network]) -> dict[str, list[str]]:
    """For each name the names of all variants of the same network, its own first."""
    names_by_network: dict[Network, list[str]] = {}
    for name, network in networks.items():
        names_by_network.setdefault(network, []).append(name)
    return {
        name: [name, *(other for other in names if other != name)]
        for names in names_by_network.values()
        for name in names
    }


def _pair_row(
    runs: RowGroups, chosen: Selection, group: FactorGroup, low: int, high: int
) -> dict[str, Any]:
    names = group.variants[low], group.variants[high]
    sides = [runs.select(chosen.training, name) for name in names]
    counted = [row for side in sides for row in counted_rows(side)]
    base, ours = (accuracies_by_seed(side) for side in sides)
    dataset = chosen.training and chosen.training.dataset
    return {
        "factor": group.factor,
        "held": group.held,
        "base": names[0],
        "variant": names[1],
        "base_level": group.levels[low],
        "level": group.levels[high],
        "adjacent": high == low + 1,
        **_difference(ours, base),
        "params_ratio": _params_ratio(*sides),
        "stale": any(map(any_stale, sides)),
        "dataset": dataset,
        "dataset_label": runs.labels.get(dataset) if any(sides) else None,
        "recipe": _recipe(chosen),
        "num_test": first_known(counted, "num_test"),
        "train_device": join_devices(counted),
        "status": _status(names, sides, bool(base.keys() & ours.keys())),
    }


def _difference(ours: Mapping[int, float], base: Mapping[int, float]) -> dict[str, Any]:
    seeds = sorted(ours.keys() & base.keys())
    summary = paired_difference(ours, base)
    return {
        "n": summary.n,
        "difference_mean_points": summary.mean,
        "difference_std_points": summary.std,
        "difference_low_points": summary.low,
        "difference_high_points": summary.high,
        "seeds": seeds,
        "seed_differences_points": [ours[seed] - base[seed] for seed in seeds],
    }


def _params_ratio(base: list[Row], ours: list[Row]) -> float | None:
    over, under = (first_known(counted_rows(side), "num_params") for side in (ours, base))
    return None if over is None or under is None else float(over / under)


def _status(names: tuple[str, str], sides: list[list[Row]], any_pair: bool) -> str:
    problems = [
        f"{name}: {problem}"
        for name, side in zip(names, sides, strict=True)
        for problem in training_status(side)
    ]
    # Both may have seeds, but no common one.
    if not any_pair and all(map(counted_rows, sides)):
        problems.append("no common seed")
    return "; ".join(problems) or "ok"


def _printed(
    chosen: Selection, twins: Mapping[str, list[str]], group: FactorGroup, low: int, high: int
) -> dict[str, float | None]:
    base, ours = twins[group.variants[low]], twins[group.variants[high]]
    return {"printed_difference_points": printed_difference(base, ours) if chosen.paper else None}


def printed_difference(base: list[str], ours: list[str]) -> float | None:
    """Printed accuracy of `ours` minus that of `base`, in points; None if no table has both.

    Each side is the list of names of one network. Both figures are from one table, the ablation first:
    the paper's two tables print accuracies one point apart for the same network.
    """
    for table in (paper_values.ABLATION, paper_values.TRADEOFF):
        one, other = (next((table[n] for n in names if n in table), None) for names in (ours, base))
        if one is not None and other is not None:
            return one.accuracy_percent - other.accuracy_percent
    return None
