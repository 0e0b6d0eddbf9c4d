import re

import altair as alt
import pandas as pd
import pytest

from resnest_bench.charts.print_size import chart_points, print_pdf, print_png, print_svg

FRAME = pd.DataFrame({"x": [1.0, 2.0], "y": [0.1 + 0.2, 4.0]})


@pytest.fixture(scope="module")
def drawn():
    dots = alt.Chart(FRAME).mark_point().encode(x="x:Q", y="y:Q")
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule().encode(x="zero:Q")
    layers = alt.LayerChart(layer=[zero, dots])
    return layers.properties(
        width=560, height=200, title=alt.TitleParams("Head", subtitle=["line"])
    )


@pytest.mark.parametrize("inches", [3.3, 6.9])
def test_every_file_is_exactly_as_wide_as_its_column(drawn, inches):
    svg = print_svg(drawn, inches)
    assert f'width="{inches}in"' in svg
    assert "Head" not in svg
    (box,) = re.findall(rb"MediaBox ?\[0 0 ([\d.]+)", print_pdf(drawn, inches))
    assert float(box) == pytest.approx(72 * inches, abs=0.5)
    # IHDR: the width is the first number after its name; 600 dots per inch.
    png = print_png(drawn, inches)
    assert int.from_bytes(png[16:20], "big") == pytest.approx(600 * inches, abs=2)


def test_the_points_are_unrounded_and_without_lines_of_reference(drawn):
    assert chart_points(drawn).to_dict("list") == {
        "layer": ["point"] * 2,
        "x": [1, 2],
        "y": [0.1 + 0.2, 4],
    }
