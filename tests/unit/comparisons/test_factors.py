import pandas as pd
import pytest

from resnest_bench.comparisons.factors import COLUMNS, factor_groups, factor_table
from resnest_bench.specs.tables import TableSpec
from resnest_bench.tables import paper_values
from support.paper_study import make_frames, paper_study, train_job, train_records
from support.records_factory import GPU, make_study

CONV, DEEP = "conv7", "deep 32, avg_down, avd_first"
ABLATION_GROUPS = [
    (
        "radix",
        "ResNet-14, cardinality 1, width 64",
        ("0", "1"),
        ("ResNet-14-0s1x64d", "ResNet-14-1s1x64d"),
    ),
    (
        "radix",
        "ResNeSt-14, cardinality 1, width 64",
        ("0", "1", "2"),
        ("ResNeSt-14-0s1x64d", "ResNeSt-14-1s1x64d", "ResNeSt-14-2s1x64d"),
    ),
    (
        "cardinality",
        "ResNeSt-14, radix 1, width 64",
        ("1", "2"),
        ("ResNeSt-14-1s1x64d", "ResNeSt-14-1s2x64d"),
    ),
    (
        "width",
        "ResNeSt-14, radix 1, cardinality 1",
        ("40", "64"),
        ("ResNeSt-14-1s1x40d", "ResNeSt-14-1s1x64d"),
    ),
    (
        "stem",
        "depth 14, radix 0, cardinality 1, width 64",
        (CONV, DEEP),
        ("ResNet-14-0s1x64d", "ResNeSt-14-0s1x64d"),
    ),
    (
        "stem",
        "depth 14, radix 1, cardinality 1, width 64",
        (CONV, DEEP),
        ("ResNet-14-1s1x64d", "ResNeSt-14-1s1x64d"),
    ),
]
DEPTHS = (
    "layers",
    "ResNeSt, radix 2, cardinality 1, width 64",
    ("14 [1, 1, 1, 1]", "32 [2, 3, 3, 2]", "50 [3, 4, 6, 3]", "101 [3, 4, 23, 3]"),
)
ACCURACIES = {
    "ResNeSt-14-0s1x64d": (0.62, 0.63, 0.64),
    "ResNeSt-14-1s1x64d": (0.61, 0.64, None),
    "ResNeSt-14-2s1x64d": (0.65, 0.65, 0.65),
    "ResNeSt-14-1s2x64d": (None, None, 0.66),
    "ResNeSt-14-1s1x40d": (0.60, None, None),
}


def list_groups(study, spec=None):
    return [(g.factor, g.held, g.levels, g.variants) for g in factor_groups(study, spec)]


def family(name, **changes):
    base = {
        "name": name,
        "family": "resnest",
        "layers": [1],
        "radix": 0,
        "width": 16,
        "stem": "small",
    }
    return {**base, **changes}


def build_study(*variants):
    return make_study(variants=list(variants), finetune=[], tables={})


def by_pair(table):
    return table.set_index(["base", "variant"])


@pytest.fixture
def study():
    return paper_study()


@pytest.fixture
def table(study):
    runs, _ = make_frames(study, train_records(study, ACCURACIES))
    return by_pair(factor_table(study, runs))


def test_the_papers_ablation_gives_exactly_these_groups(study):
    assert list_groups(study) == ABLATION_GROUPS


def test_the_same_network_twice_makes_no_comparison_and_depth_is_a_factor(study):
    everything = list_groups(study, TableSpec())
    assert everything[:-1] == ABLATION_GROUPS
    names = ("ResNeSt-14-2s1x64d", "ResNeSt-32", "ResNeSt-50", "ResNeSt-101")
    assert everything[-1] == (*DEPTHS, names)
    tradeoff = list_groups(study, study.tables.tradeoff)
    assert tradeoff == [(*DEPTHS, ("ResNeSt-14", *names[1:]))]


def test_pairs_are_the_lowest_against_each_and_each_next_one(study):
    group = factor_groups(study, study.tables.tradeoff)[0]
    assert list(group.pairs()) == [(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)]


def test_levels_are_sorted_and_what_has_no_effect_is_ignored():
    study = build_study(
        family("small"),
        # A stem width without a deep stem, avd_first without avd, the recipe's own dropout.
        family("deep", stem="deep"),
        family("deep-again", stem="deep", dropout=0.0, note="the same"),
        family("small-again", stem_width=64),
        family("conv-strided", stem="conv7", avd=False, avd_first=True),
        family("conv-strided-again", stem="conv7", avd=False, avd_first=False),
        family("conv", stem="conv7"),
    )
    assert list_groups(study) == [
        (
            "stem",
            "depth 5, radix 0, cardinality 1, width 16",
            (
                "conv7, avg_down",
                "conv7, avg_down, avd_first",
                "deep 32, avg_down, avd_first",
                "small, avg_down, avd_first",
            ),
            ("conv-strided", "conv", "deep", "small"),
        ),
    ]


def test_other_dropout_or_depth_is_not_held(study):
    assert list_groups(build_study(family("A"), family("B", radix=2, dropout=0.5))) == []
    assert list_groups(build_study(family("A"), family("B", radix=2, layers=[2]))) == []


def test_held_tells_dropouts_apart_and_names_an_unusual_stem():
    study = build_study(
        family("A"),
        family("B", radix=2),
        family("C", dropout=0.5),
        family("D", radix=2, dropout=0.5),
    )
    small = "depth 5, small, avg_down, avd_first, cardinality 1, width 16, dropout"
    assert [held for _, held, _, _ in list_groups(study)] == [f"{small} 0", f"{small} 0.5"]
    wide = {"stem": "deep", "stem_width": 64}
    study = build_study(family("A", **wide), family("B", radix=2, **wide))
    assert list_groups(study)[0][1] == "ResNeSt-5, stem width 64, cardinality 1, width 16"


def test_a_study_without_the_family_has_an_empty_table(study):
    empty = build_study({"name": "T", "family": "timm", "model": "resnet10t"})
    table = factor_table(empty, make_frames(empty, {})[0])
    assert table.empty
    assert table.columns.tolist() == list(COLUMNS)
    # One variant a group compares with nothing.
    alone = TableSpec(variants=("ResNet-18", "ResNeSt-14"))
    assert factor_table(study, make_frames(study, {})[0], alone).empty


def test_differences_are_paired_by_seed(table):
    row = table.loc[("ResNeSt-14-0s1x64d", "ResNeSt-14-2s1x64d")]
    # 65 - 62, 65 - 63, 65 - 64; t(0.975, 2) = 4.302653.
    assert (row["factor"], row["base_level"], row["level"], row["n"]) == ("radix", "0", "2", 3)
    assert row["seed_differences_points"] == pytest.approx([3, 2, 1])
    assert row["difference_mean_points"] == pytest.approx(2)
    assert row["difference_std_points"] == pytest.approx(1)
    half = 4.302653 / 3**0.5
    ends = row["difference_low_points"], row["difference_high_points"]
    assert ends == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert (row["dataset_label"], row["recipe"], row["num_test"]) == ("CIFAR-10", "paper20", 10_000)
    assert not row["adjacent"]
    assert row["status"] == "ok"


def test_a_seed_that_one_side_lacks_is_in_no_pair(table):
    row = table.loc[("ResNeSt-14-1s1x64d", "ResNeSt-14-2s1x64d")]
    # 65 - 61 and 65 - 64: two values have no interval.
    assert (row["n"], row["seeds"]) == (2, [0, 1])
    assert row["difference_mean_points"] == pytest.approx(2.5)
    assert row["difference_std_points"] == pytest.approx(4.5**0.5)
    assert row[["difference_low_points", "difference_high_points"]].isna().all()
    assert row["adjacent"]
    assert row["status"] == "ResNeSt-14-1s1x64d: seed 2 missing: no record yet"


def test_one_seed_gives_no_interval_and_none_in_common_no_difference(table):
    one = table.loc[("ResNeSt-14-1s1x40d", "ResNeSt-14-1s1x64d")]
    assert (one["n"], one["difference_mean_points"]) == (1, pytest.approx(1))
    assert pd.isna(one["difference_std_points"])
    assert pd.isna(one["difference_low_points"])
    none = table.loc[("ResNeSt-14-1s1x64d", "ResNeSt-14-1s2x64d")]
    assert (none["n"], none["seeds"]) == (0, [])
    assert pd.isna(none["difference_mean_points"])
    assert none["status"] == (
        "ResNeSt-14-1s1x64d: seed 2 missing: no record yet; "
        "ResNeSt-14-1s2x64d: seeds 0, 1 missing: no record yet; no common seed"
    )


def test_a_pair_without_records_still_stands_with_its_reason(table):
    assert len(table) == 8
    row = table.loc[("ResNet-14-0s1x64d", "ResNet-14-1s1x64d")]
    assert row["n"] == 0
    assert row["status"] == (
        "ResNet-14-0s1x64d: seeds 0, 1, 2 missing: no record yet; "
        "ResNet-14-1s1x64d: seeds 0, 1, 2 missing: no record yet"
    )
    assert pd.isna(row["params_ratio"])
    assert pd.isna(row["train_device"])


def test_the_ratio_of_parameters_is_variant_over_base(study):
    made = train_records(study, {"ResNet-14-0s1x64d": (0.6,)}, num_params=8_036_426)
    made |= train_records(study, {"ResNeSt-14-0s1x64d": (0.6,)}, num_params=8_055_658, device=GPU)
    row = by_pair(factor_table(study, make_frames(study, made)[0])).loc[
        ("ResNet-14-0s1x64d", "ResNeSt-14-0s1x64d")
    ]
    assert row["params_ratio"] == pytest.approx(8_055_658 / 8_036_426)
    assert row["train_device"] == (
        "CPU Testium 3000 (2 logical cores), 2 threads and GPU NVIDIA Testla"
    )


def test_stale_values_count_only_where_there_is_no_fresh_one(study):
    made = train_records(
        study, {"ResNet-14-0s1x64d": (0.60, 0.60), "ResNet-14-1s1x64d": (0.61, 0.62)}
    )
    pair = ("ResNet-14-0s1x64d", "ResNet-14-1s1x64d")

    def row(stale):
        runs, _ = make_frames(study, made, stale=stale)
        return by_pair(factor_table(study, runs)).loc[pair]

    one = row([train_job(pair[1], 0)])
    assert (one["seeds"], one["stale"]) == ([1], False)
    assert "seed 0 stale: code changed since" in one["status"]
    both = row([train_job(pair[1], 0), train_job(pair[1], 1)])
    assert (both["n"], both["stale"]) == (2, True)
    assert both["difference_mean_points"] == pytest.approx(1.5)


def test_printed_differences_are_of_one_printed_table(table):
    # By hand: 58.68 - 58.08, 61.21 - 62.96, 62.64 - 62.96, 62.64 - 61.21, and so on.
    printed = {
        ("ResNet-14-0s1x64d", "ResNet-14-1s1x64d"): 0.60,
        ("ResNeSt-14-0s1x64d", "ResNeSt-14-1s1x64d"): -1.75,
        ("ResNeSt-14-0s1x64d", "ResNeSt-14-2s1x64d"): -0.32,
        ("ResNeSt-14-1s1x64d", "ResNeSt-14-2s1x64d"): 1.43,
        ("ResNeSt-14-1s1x64d", "ResNeSt-14-1s2x64d"): 1.74,
        ("ResNeSt-14-1s1x40d", "ResNeSt-14-1s1x64d"): -0.01,
        ("ResNet-14-0s1x64d", "ResNeSt-14-0s1x64d"): 4.88,
        ("ResNet-14-1s1x64d", "ResNeSt-14-1s1x64d"): 2.53,
    }
    assert table["printed_difference_points"].to_dict() == pytest.approx(printed)


def test_a_twin_stands_for_its_network_in_the_other_printed_table(study):
    runs, _ = make_frames(study, {})
    table = by_pair(factor_table(study, runs, TableSpec(paper=True)))
    # ResNeSt-14's 61.68 of the trade-off, never 2s1x64d's 62.64 of the ablation.
    pair = ("ResNeSt-14-2s1x64d", "ResNeSt-32")
    assert table.loc[pair, "printed_difference_points"] == pytest.approx(59.04 - 61.68)
    assert table.loc[("ResNeSt-32", "ResNeSt-50"), "printed_difference_points"] == pytest.approx(
        59.45 - 59.04
    )
    assert "ResNeSt-32" not in paper_values.ABLATION


def test_printed_values_are_shown_only_where_the_study_asks_for_them(study):
    runs, _ = make_frames(study, {})
    assert factor_table(study, runs, TableSpec())["printed_difference_points"].isna().all()


def test_without_a_training_every_pair_says_so():
    study = build_study(family("A"), family("B", radix=2))
    timed = study.model_copy(update={"train": ()})
    table = factor_table(timed, make_frames(timed, {})[0])
    assert table["status"].tolist() == [
        "A: the study does not train it; B: the study does not train it"
    ]


def test_lists_per_stage_are_levels_in_the_order_of_their_stages():
    study = build_study(
        family("none", layers=[1, 1]),
        family("both", layers=[1, 1], radix=2),
        family("late", layers=[1, 1], radix=[0, 2]),
        family("early", layers=[1, 1], radix=[2, 0]),
    )
    held = "depth 8, small, avg_down, avd_first, cardinality 1, width 16"
    (group,) = factor_groups(study)
    assert (group.factor, group.held) == ("radix", held)
    assert group.levels == ("0", "0-2", "2-0", "2")
    assert group.variants == ("none", "late", "early", "both")
    table = factor_table(study, make_frames(study, {})[0])
    assert table["level"].tolist() == ["0-2", "2-0", "2", "2-0", "2"]


def test_gate_attention_and_channels_are_factors_and_are_named_where_they_are_held():
    study = build_study(
        family("A", radix=2),
        family("uniform", radix=2, gate="uniform"),
        family("sigmoid", radix=2, gate="sigmoid"),
        family("cbam", radix=2, attention="cbam"),
        family("half", radix=2, channels=0.5),
        family("half-cbam", radix=2, channels=0.5, attention="cbam"),
    )
    held = "depth 5, small, avg_down, avd_first, radix 2, cardinality 1, width 16"
    assert list_groups(study) == [
        ("channels", held, ("0.5", "1"), ("half", "A")),
        ("channels", f"{held}, attention cbam", ("0.5", "1"), ("half-cbam", "cbam")),
        ("gate", held, ("uniform", "sigmoid", "attention"), ("uniform", "sigmoid", "A")),
        ("attention", held, ("none", "cbam"), ("A", "cbam")),
        ("attention", f"{held}, channels 0.5", ("none", "cbam"), ("half", "half-cbam")),
    ]


def test_kernels_are_a_factor_from_small_to_large():
    study = build_study(
        family("fives", radix=2, kernels=5),
        family("selective", radix=2, kernels=[3, 5]),
        family("A", radix=2),
    )
    held = "depth 5, small, avg_down, avd_first, radix 2, cardinality 1, width 16"
    wanted = ("kernels", held, ("3", "3-5", "5"), ("A", "selective", "fives"))
    assert list_groups(study) == [wanted]


def test_a_sigmoid_of_one_split_is_the_same_network():
    study = build_study(family("A", radix=1), family("B", radix=1, gate="sigmoid"))
    assert list_groups(study) == []
