"""One appearance per network of a study: the same on every page, in the export and in the figures."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import altair as alt

from resnest_bench.charts.palette import DASHES, PALETTE, SHAPES

LEGEND_COLUMNS = 2
LEGEND_NAMES = 60


class Look(NamedTuple):
    """The appearance of a network: its colour, the shape of its points and the dash of its lines."""

    colour: str
    shape: str
    dash: list[int]


class Identity:
    """The look of each name, from the study's order of variants; other names come after them."""

    def __init__(self, variants: Iterable[str]) -> None:
        self.looks: dict[str, Look] = {}
        for name in variants:
            self.add(name)

    def add(self, name: str) -> None:
        """Give `name` the next look if it has none."""
        if name not in self.looks:
            self.looks[name] = _make_look(len(self.looks))

    def scale(self, part: str, names: Sequence[str]) -> alt.Scale:
        """A scale of `names` to one part of their looks: 'colour', 'shape' or 'dash'."""
        return alt.Scale(
            domain=list(names), range=[getattr(self.looks[name], part) for name in names]
        )

    def encodings(self, names: Sequence[str], legend: alt.Legend | None) -> dict[str, Any]:
        """Encodings of colour, stroke, fill and shape by variant, with one shared legend."""
        shared: dict[str, Any] = {"sort": list(names), "legend": legend}
        colours = self.scale("colour", names)
        return {
            "color": alt.Color("variant:N", scale=colours, **shared),
            "stroke": alt.Stroke("variant:N", scale=colours, **shared),
            "fill": alt.Fill("variant:N", scale=colours, **shared),
            "shape": alt.Shape("variant:N", scale=self.scale("shape", names), **shared),
        }


def literal_looks() -> dict[str, Any]:
    """Encodings by the columns `colour` and `symbol`, without scale and legend, for a crowd of networks."""
    colour: dict[str, Any] = {"shorthand": "colour:N", "scale": None, "legend": None}
    return {
        "color": alt.Color(**colour),
        "stroke": alt.Stroke(**colour),
        "fill": alt.Fill(**colour),
        "shape": alt.Shape("symbol:N", scale=None, legend=None),
    }


def identity(variants: Iterable[str], drawn: Iterable[str] = ()) -> Identity:
    """The looks of a study's `variants`, in its order, and of further `drawn` names.

    A look depends only on the order of `variants`, so a filter changes none.
    """
    looks = Identity(variants)
    for name in drawn:
        looks.add(name)
    return looks


def _make_look(index: int) -> Look:
    # Six colours and seven shapes have no common divisor, so 42 networks differ and neighbours differ in
    # both. Lines have no shape: their dash changes after six colours.
    return Look(
        PALETTE[index % len(PALETTE)],
        SHAPES[index % len(SHAPES)],
        DASHES[index // len(PALETTE) % len(DASHES)],
    )


def network_legend(count: int, lines: bool = False) -> alt.Legend | None:
    """A legend of all `count` networks below the plot; None for more than LEGEND_NAMES.

    With `lines` each entry is a piece of its line, with its dash.
    """
    if count > LEGEND_NAMES:
        return None
    return alt.Legend(
        title=None,
        orient="bottom",
        columns=LEGEND_COLUMNS,
        symbolLimit=0,
        labelLimit=0,
        symbolOpacity=1,
        symbolType="stroke" if lines else alt.Undefined,
        symbolSize=400 if lines else alt.Undefined,
    )
