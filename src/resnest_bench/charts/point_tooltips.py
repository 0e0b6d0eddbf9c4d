"""The tooltips of the points of a trade-off."""

import altair as alt

from resnest_bench.tables.axes import Axis


def make_tooltip(x: Axis, y: Axis, crowd: bool) -> list[alt.Tooltip]:
    """What a point says; in a crowd only the columns that its data have."""
    if crowd:
        return [
            alt.Tooltip("variant:N"),
            *(_value_tooltips("y", y)[i] for i in (0, -1)),
            *(_value_tooltips("x", x)[i] for i in (0, -1)),
            alt.Tooltip("num_params:Q", title="parameters", format=","),
        ]
    return [
        alt.Tooltip("variant:N"),
        alt.Tooltip("setting:N"),
        *_value_tooltips("y", y),
        *_value_tooltips("x", x),
        alt.Tooltip("probability:N", title="P(Pareto-optimal)"),
        alt.Tooltip("num_params:Q", title="parameters", format=","),
        alt.Tooltip("memory_mib:Q", title="peak memory (MiB)", format=",.0f"),
        alt.Tooltip("noisy:N", title="noisy (IQR over 10 %)"),
        alt.Tooltip("measured_in:N", title="measured in"),
        alt.Tooltip("device:N", title="on"),
        alt.Tooltip("status:N"),
    ]


def _value_tooltips(name: str, axis: Axis) -> list[alt.Tooltip]:
    n = "seeds (n)" if axis.source == "training" else "rounds (n)"
    return [
        alt.Tooltip(f"{name}:Q", title=axis.title, format=".4~g"),
        alt.Tooltip(f"{name}_low:Q", title="95 % from", format=".4~g"),
        alt.Tooltip(f"{name}_high:Q", title="95 % to", format=".4~g"),
        alt.Tooltip(f"{name}_bar:N", title="interval"),
        alt.Tooltip(f"{name}_n:Q", title=n),
    ]
