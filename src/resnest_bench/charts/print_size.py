"""Figures for a paper: in the width of a column, with 8 pt texts, without the title that a caption replaces."""

import re
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from resnest_bench.charts.palette import DARK_TEXT
from resnest_bench.charts.widths import needed_width

# One and two columns of the usual templates (IEEE, ACM, CVF).
ONE_COLUMN, TWO_COLUMNS = 3.3, 6.9
PIXELS_PER_INCH, POINTS_PER_INCH = 96, 72
# 8 points, as in a caption.
TEXT_PIXELS = 8 * PIXELS_PER_INCH / POINTS_PER_INCH
DOTS_PER_INCH = 600
SIZE = re.compile(r'<svg([^>]*?) width="([\d.]+)" height="([\d.]+)"')
# On a screen letters are wider than those of 8 pt.
NEEDED = 0.8
# With one column a layer draws a line of reference and no values.
MIN_COLUMNS = 2


def print_svg(chart: alt.TopLevelMixin, inches: float) -> str:
    """The chart as SVG, exactly `inches` wide; its texts are smaller than 8 pt only if names need the room."""
    return _resize(_render(chart, inches), inches, "in")


def print_pdf(chart: alt.TopLevelMixin, inches: float) -> bytes:
    """The chart as PDF, exactly `inches` wide, with its texts as texts."""
    import vl_convert

    # Here a unit of the SVG is a point.
    svg = _resize(_render(chart, inches), inches * POINTS_PER_INCH, "")
    pdf: bytes = vl_convert.svg_to_pdf(svg)
    return pdf


def print_png(chart: alt.TopLevelMixin, inches: float) -> bytes:
    """The chart as PNG with 600 dots per inch, `inches` wide when placed at its natural size."""
    import vl_convert

    svg = _render(chart, inches)
    scale = inches * DOTS_PER_INCH / _size(svg)[0]
    # The resolution is only a label of the file; the pixels follow from the scale.
    png: bytes = vl_convert.svg_to_png(
        svg, scale=scale * POINTS_PER_INCH / DOTS_PER_INCH, ppi=DOTS_PER_INCH
    )
    return png


def _render(chart: alt.TopLevelMixin, inches: float) -> str:
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(print_spec(chart, inches))
    return svg


def _resize(svg: str, width: float, unit: str) -> str:
    pixels, height = _size(svg)
    size = f'width="{width:g}{unit}" height="{width * height / pixels:.5g}{unit}"'
    return SIZE.sub(rf"<svg\1 {size}", svg, count=1)


def _size(svg: str) -> tuple[float, float]:
    found = SIZE.search(svg)
    assert found, "Vega writes the size of its SVG in pixels"
    return float(found[2]), float(found[3])


def print_spec(chart: alt.TopLevelMixin, inches: float) -> dict[str, Any]:
    """The Vega-Lite spec of a chart for print: untitled, on white, as wide as its column or as its names need."""
    spec: dict[str, Any] = chart.to_dict()
    spec.pop("title", None)
    pixels = round(inches * PIXELS_PER_INCH)
    if isinstance(spec.get("width"), int | float):
        spec["width"] = max(pixels, round(NEEDED * needed_width(chart)))
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    for part in ("vconcat", "hconcat", "concat"):
        for child in spec.get(part, []):
            child.pop("title", None)
    texts = {
        "labelFontSize": TEXT_PIXELS,
        "titleFontSize": TEXT_PIXELS,
        "titleFontWeight": "normal",
    }
    texts |= {"labelColor": DARK_TEXT, "titleColor": DARK_TEXT}
    given: Mapping[str, Any] = spec.get("config", {})
    spec["config"] = {
        **given,
        "background": "white",
        "padding": 2,
        "axis": {**given.get("axis", {}), **texts},
        "legend": {**given.get("legend", {}), **texts},
        "text": {**given.get("text", {}), "color": DARK_TEXT},
    }
    return spec


def chart_points(chart: alt.TopLevelMixin) -> pd.DataFrame:
    """The values that a chart draws, unrounded, as one table: `layer` says which mark a row belongs to."""
    spec = chart.to_dict()
    frames = []
    seen: set[str] = set()
    for view in _walk(spec):
        name = (view.get("data") or {}).get("name")
        rows = spec.get("datasets", {}).get(name)
        if name is None or not rows or name in seen or len(rows[0]) < MIN_COLUMNS:
            continue
        seen.add(name)
        frames.append(pd.DataFrame(rows).assign(layer=_name_mark(view)))
    if not frames:
        return pd.DataFrame()
    table = pd.concat(frames, ignore_index=True)
    return table[["layer", *(name for name in table.columns if name != "layer")]]


def _walk(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All views with a mark, each with the data that it inherits."""
    inner = [
        child for part in ("layer", "vconcat", "hconcat", "concat") for child in spec.get(part, [])
    ]
    inner += [spec["spec"]] if "spec" in spec else []
    if not inner:
        return [spec]
    return [view for child in inner for view in _walk({"data": spec.get("data"), **child})]


def _name_mark(view: Mapping[str, Any]) -> str:
    mark = view.get("mark", "")
    return str(mark["type"] if isinstance(mark, dict) else mark)
