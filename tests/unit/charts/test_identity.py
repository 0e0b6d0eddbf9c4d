import itertools

import vl_convert

from resnest_bench.charts import (
    ablation_chart,
    batch_sweep_chart,
    make_figures,
    training_curves_panels,
)
from resnest_bench.charts.data_labels import headline_label
from resnest_bench.charts.identity import identity
from resnest_bench.frames.rows import build_cells, build_epochs, build_runs
from resnest_bench.results import StudyResults
from resnest_bench.status.outcomes import outcomes
from resnest_bench.tables.variants import ablation_table
from support.records_factory import make_study, write_study


def test_no_two_of_42_networks_look_alike():
    looks = identity(f"v{k}" for k in range(42)).looks.values()
    assert len({(look.colour, look.shape) for look in looks}) == 42
    assert len({(look.colour, tuple(look.dash)) for look in looks}) == 42


def test_neighbours_differ_in_colour_and_shape():
    looks = list(identity(f"v{k}" for k in range(42)).looks.values())
    for one, other in itertools.pairwise(looks):
        assert one.colour != other.colour
        assert one.shape != other.shape


def test_what_is_drawn_changes_no_look():
    names = ["A", "B", "C"]
    assert identity(names, ["C", "new"]).looks["C"] == identity(names).looks["C"]
    assert identity(names, ["new", "A"]).looks["B"] == identity(names).looks["B"]


def _colours(chart):
    """Colour by network, of every scale over variants in a chart."""
    found = set()

    def walk(node):
        if isinstance(node, dict):
            if node.get("field") == "variant" and "range" in node.get("scale", {}):
                scale = node["scale"]
                pairs = zip(scale["domain"], scale["range"], strict=True)
                found.update((n, c) for n, c in pairs if str(c).startswith("#"))
            node = list(node.values())
        if isinstance(node, list):
            for part in node:
                walk(part)

    walk({k: v for k, v in chart.to_dict().items() if k != "datasets"})
    return found


def test_a_network_has_one_colour_in_all_charts_and_under_every_filter(tmp_path):
    study = make_study()
    paths = study.paths(tmp_path)
    write_study(study, paths)
    found = outcomes(study, paths)
    runs, cells, epochs = build_runs(found), build_cells(found), build_epochs(found)
    expected = {(name, look.colour) for name, look in identity(study.variant_names).looks.items()}
    table = ablation_table(study, runs, cells)
    only_b = [frame[frame["variant"] == "B"] for frame in (table, cells, epochs)]
    charts = [
        *make_figures(
            StudyResults(study, paths), ["accuracy_latency", "ablation", "training_curves"]
        ).values()
    ]
    for rows, one_cells, one_epochs in ((table, cells, epochs), only_b):
        charts.append(ablation_chart(rows, study.variant_names))
        charts.append(batch_sweep_chart(one_cells, variants=study.variant_names))
        charts += training_curves_panels(one_epochs, variants=study.variant_names)
    for chart in charts:
        colours = _colours(chart)
        assert colours
        assert colours <= expected


def test_a_title_names_only_the_data_that_is_drawn(tmp_path):
    study = make_study()
    paths = study.paths(tmp_path)
    write_study(study, paths)
    runs = build_runs(outcomes(study, paths))
    other = runs[runs["kind"] == "train"].assign(dataset="else", dataset_label="Not drawn")
    assert headline_label(study, runs.assign()) == "Synthetic low"
    both = type(runs)([*runs.to_dict("records"), *other.to_dict("records")])
    assert headline_label(study, both) == "Synthetic low"


def test_row_names_and_legends_are_not_cut(tmp_path):
    study = make_study()
    paths = study.paths(tmp_path)
    write_study(study, paths)
    found = outcomes(study, paths)
    runs, cells = build_runs(found), build_cells(found)
    axis = ablation_chart(ablation_table(study, runs, cells)).to_dict()["layer"][0]
    assert axis["encoding"]["y"]["axis"]["labelLimit"] == 0
    legend = batch_sweep_chart(cells).to_dict()["layer"][0]["encoding"]["color"]["legend"]
    assert (legend["labelLimit"], legend["symbolLimit"], legend["orient"]) == (0, 0, "bottom")


def test_the_legend_of_points_has_no_dashed_outlines(tmp_path):
    study = make_study()
    paths = study.paths(tmp_path)
    write_study(study, paths)
    drawn = batch_sweep_chart(build_cells(outcomes(study, paths))).to_dict()
    (legend,) = vl_convert.vegalite_to_vega(drawn)["legends"]
    assert "shape" in legend
    assert "strokeDash" not in legend
