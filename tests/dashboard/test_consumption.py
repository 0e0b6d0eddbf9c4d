"""Energy, memory and cost on the pages of a study that has them."""

import pytest

from resnest_bench.specs import dump_study
from support.consumption_study import REASON, consumption_study, write_consumption


@pytest.fixture
def consuming(results):
    study = consumption_study([])
    paths = study.paths(results)
    write_consumption(study, paths)
    paths.study.write_text(dump_study(study))


@pytest.mark.usefixtures("consuming")
@pytest.mark.parametrize(
    "axis", ["energy_joules_per_image", "cost_per_million_images", "resident_bytes"]
)
def test_each_is_a_budget_of_the_first_page_and_an_axis_of_the_trade_off(open_page, axis):
    assert open_page("answer", x=axis).query_params["x"] in (axis, [axis])
    (chart,) = open_page("tradeoff", x=axis).get("vega_lite_chart")
    words = {
        "energy": "Energy per image (J)",
        "cost": "Cost of a million images",
        "resid": "memory",
    }
    word = next(text for start, text in words.items() if axis.startswith(start))
    assert word in chart.proto.spec


@pytest.mark.usefixtures("consuming")
def test_the_page_of_latencies_has_their_noise_and_why_one_is_missing(open_page):
    app = open_page("latency", show="sweep", sweep="energy_joules_per_image")
    assert any("Noise floor of energies" in text.value for text in app.markdown)
    # The noise has a table of its own.
    cells = next(table.value for table in app.dataframe if "consumption_gap" in table.value)
    assert REASON in " ".join(cells["consumption_gap"].dropna())
