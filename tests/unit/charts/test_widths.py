import altair as alt
import pandas as pd

from resnest_bench.charts import needed_width
from resnest_bench.charts.marks import name_rows


def _chart(name):
    rows = pd.DataFrame({"variant": [name], "v": [1.0]})
    return alt.Chart(rows).mark_point().encode(x="v:Q", y=name_rows("variant", [name]))


def test_a_longer_name_needs_a_wider_chart():
    assert needed_width(_chart("n" * 30)) - needed_width(_chart("n" * 10)) >= 20 * 6
    # A phone of 390 pixels leaves about 326 for a chart: short names fit.
    assert needed_width(_chart("n" * 5)) <= 326
    assert needed_width(alt.LayerChart(layer=[_chart("n" * 30)])) == needed_width(_chart("n" * 30))


def test_a_chart_without_names_needs_its_plot_alone():
    plain = alt.Chart(pd.DataFrame({"v": [1.0]})).mark_point().encode(x="v:Q", y="v:Q")
    assert 150 < needed_width(plain) <= 326
