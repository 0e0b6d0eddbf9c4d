"""The width that a chart needs on a screen for complete names and a readable plot."""

from typing import Any

import altair as alt

LETTER, COLUMN, SYMBOL = 7.0, 44, 40
PLOT, ROOM = 160, 45


def needed_width(chart: alt.TopLevelMixin) -> int:
    """Pixels for the longest name of a row or of two legend columns, and at least 150 for the plot."""
    layers = getattr(chart, "layer", None)
    parts: list[Any] = layers if isinstance(layers, list) else [chart]
    encodings = [getattr(part, "encoding", None) for part in parts]
    rows = _find_names(encodings, ["y"])
    columns = _find_names(encodings, ["x"])
    plot = max(PLOT, COLUMN * len(columns))
    entries = max((_legend_width(options) for options in _find_legends(encodings)), default=0)
    # A legend starts where the plot does: to the right of the rows' names.
    return round(_text_width(rows) + ROOM + max(plot, entries))


def _find_names(encodings: list[Any], channels: list[str]) -> list[str]:
    """All texts in the scales of these channels."""
    names: dict[str, None] = {}
    for encoding in encodings:
        for channel in channels:
            domain = _find_domain(encoding, channel)
            names.update(dict.fromkeys(name for name in domain if isinstance(name, str)))
    return list(names)


def _find_domain(encoding: Any, channel: str) -> list[Any]:
    """The domain or the order of a channel; empty without either."""
    return _read_domain(_read_channel(encoding, channel))


def _read_channel(encoding: Any, channel: str) -> dict[str, Any]:
    if not isinstance(encoding, alt.SchemaBase):
        return {}
    found = getattr(encoding, channel, alt.Undefined)
    if not isinstance(found, alt.SchemaBase):
        return {}
    # The whole encoding would be copied for each of its channels.
    whole = alt.FacetedEncoding(**{channel: found})
    options = whole.to_dict(validate=False).get(channel, {})
    return options if isinstance(options, dict) else {}


def _read_domain(options: dict[str, Any]) -> list[Any]:
    domain = (options.get("scale") or {}).get("domain") or options.get("sort")
    return domain if isinstance(domain, list) else []


def _find_legends(encodings: list[Any]) -> list[dict[str, Any]]:
    """The channels with a legend above or below the plot."""
    every = [_read_channel(e, c) for e in encodings for c in ("color", "stroke", "fill", "shape")]
    return [options for options in every if (options.get("legend") or {}).get("orient")]


def _legend_width(options: dict[str, Any]) -> float:
    """Pixels of a legend: columns as wide as the longest name, or all names in one line."""
    names = [name for name in _read_domain(options) if isinstance(name, str)]
    columns = options["legend"].get("columns")
    if columns:
        return float(min(columns, len(names)) * (_text_width(names) + SYMBOL))
    return sum(_text_width([name]) + SYMBOL for name in names)


def _text_width(names: list[str]) -> float:
    lines = [line for name in names for line in name.split("\n")]
    return LETTER * max(map(len, lines), default=0)
