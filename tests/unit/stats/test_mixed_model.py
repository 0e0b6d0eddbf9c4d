import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.multitest import multipletests

from resnest_bench.report.effects import effects_caption, effects_display
from resnest_bench.stats.design import (
    describe_design,
    find_aliases,
    interaction_ranks,
    list_effects,
)
from resnest_bench.stats.mixed_model import BLOCKED, MIXED, factor_effects

FACTORS = ["radix", "cardinality", "width", "stem"]
# The paper's ablation.
ABLATION = pd.DataFrame(
    [
        (0, 1, 64, "conv7"),
        (1, 1, 64, "conv7"),
        (0, 1, 64, "deep"),
        (1, 1, 64, "deep"),
        (1, 1, 40, "deep"),
        (1, 2, 64, "deep"),
        (2, 1, 64, "deep"),
    ],
    columns=FACTORS,
    index=[
        "ResNet-0s1x64d",
        "ResNet-1s1x64d",
        "0s1x64d",
        "1s1x64d",
        "1s1x40d",
        "1s2x64d",
        "2s1x64d",
    ],
).rename_axis("variant")
# As printed in the paper's table I, in %.
PRINTED = [58.08, 58.68, 62.96, 61.21, 61.22, 62.95, 62.64]
# Montgomery, Design and Analysis of Experiments, example 4.1: pressures x batches of resin.
GRAFTS = {
    8500: [90.3, 89.2, 98.2, 93.9, 87.4, 97.9],
    8700: [92.5, 89.5, 90.6, 94.7, 87.0, 95.8],
    8900: [85.5, 90.8, 89.6, 86.2, 88.0, 93.4],
    9100: [82.5, 89.5, 85.6, 87.4, 78.9, 90.7],
}


def trainings(means=PRINTED, num_seeds=4, seed_sd=0.5, residual_sd=0.3, settings=ABLATION, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, seed_sd, num_seeds)
    return pd.DataFrame(
        [
            {
                "variant": name,
                **settings.loc[name],
                "seed": k,
                "value": mean + shared[k] + rng.normal(0, residual_sd),
            }
            for name, mean in zip(settings.index, means, strict=True)
            for k in range(num_seeds)
        ]
    )


def grafts():
    return pd.DataFrame(
        [
            {"variant": f"p{pressure}", "pressure": pressure, "seed": batch, "value": value}
            for pressure, values in GRAFTS.items()
            for batch, value in enumerate(values)
        ]
    )


def find_row(found, factor, level):
    table = found.table
    return table[(table["factor"] == factor) & (table["level"] == str(level))].iloc[0]


def test_a_published_analysis_of_blocks():
    # Error mean square 7.33; variance of batches (38.45 - 7.33) / 4 = 7.78; means 92.82 and 85.77.
    found = factor_effects(grafts(), ["pressure"])
    assert found.method == MIXED
    assert found.residual_sd**2 == pytest.approx(7.33, abs=5e-3)
    assert found.seed_sd**2 == pytest.approx(7.78, abs=5e-3)
    assert found.degrees_of_freedom == 15
    row = find_row(found, "pressure", 9100)
    assert row["effect"] == pytest.approx(85.77 - 92.82, abs=6e-3)
    error = (2 * 7.33 / 6) ** 0.5
    # t(0.975, 15) = 2.131450 (tables).
    assert row["high"] - row["effect"] == pytest.approx(2.13145 * error, abs=2e-3)
    assert row["p"] == pytest.approx(2 * stats.t.sf(7.05 / error, 15), rel=5e-3)
    assert found.additivity_p is None


def test_without_noise_the_effects_are_those_that_were_put_in():
    means = [
        60 - r + (r == 2) * 3 + 0.5 * (c == 2) + 4 * (s == "deep")
        for r, c, _, s in ABLATION.itertuples(index=False)
    ]
    found = factor_effects(trainings(means, residual_sd=1e-6), FACTORS)
    effects = found.table.set_index(["factor", "level"])["effect"]
    assert effects.to_dict() == pytest.approx(
        {
            ("radix", "1"): -1,
            ("radix", "2"): 1,
            ("cardinality", "2"): 0.5,
            ("width", "64"): 0,
            ("stem", "deep"): 4,
        },
        abs=1e-4,
    )


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_points_and_fractions_give_the_same(unit):
    frame = trainings(num_seeds=10)
    whole = factor_effects(frame, FACTORS)
    seen = factor_effects(frame.assign(value=frame["value"] * unit), FACTORS)
    assert seen.method == MIXED
    np.testing.assert_allclose(seen.table["low"], unit * whole.table["low"], rtol=1e-4)
    assert seen.residual_sd == pytest.approx(unit * whole.residual_sd, rel=1e-4)


def test_where_every_variant_has_every_seed_it_is_the_paired_analysis():
    # With one factor of two levels: Student's paired t.
    frame = trainings()
    two = frame[frame["variant"].isin(["1s1x64d", "1s1x40d"])]
    row = find_row(factor_effects(two, FACTORS), "width", 64)
    by_seed = two.pivot_table(index="seed", columns="variant", values="value")
    test = stats.ttest_rel(by_seed["1s1x64d"], by_seed["1s1x40d"])
    assert row["p"] == pytest.approx(test.pvalue, rel=1e-4)
    assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval()), rel=1e-3)


def test_seeds_that_share_nothing_fall_back_to_constants_with_the_reason():
    frame = trainings(seed_sd=0.0, seed=1)
    # What all variants share at a seed is taken out: its variance comes out as 0.
    shared = frame.groupby("seed")["value"].transform("mean") - frame["value"].mean()
    found = factor_effects(frame.assign(value=frame["value"] - shared), FACTORS)
    assert found.method == BLOCKED
    assert "singular" in found.reason
    assert found.table["low"].notna().all()
    assert found.degrees_of_freedom == 28 - 6 - 3


def test_a_model_that_does_not_converge_falls_back_too(monkeypatch):
    fit = MixedLM.fit

    def unfinished(self, **options):
        found = fit(self, **options)
        found.converged = False
        return found

    monkeypatch.setattr(MixedLM, "fit", unfinished)
    found = factor_effects(grafts(), ["pressure"])
    assert found.method == BLOCKED
    assert "converge" in found.reason
    assert found.residual_sd**2 == pytest.approx(7.33, abs=5e-3)

    def singular(self, **options):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(MixedLM, "fit", singular)
    found = factor_effects(grafts(), ["pressure"])
    assert found.method == BLOCKED
    assert "Singular matrix" in found.reason


def test_one_seed_leaves_one_degree_of_freedom_or_none():
    found = factor_effects(trainings(num_seeds=1), FACTORS)
    assert (found.method, found.degrees_of_freedom) == (BLOCKED, 1)
    assert "one seed" in found.reason
    few = trainings(num_seeds=1)
    found = factor_effects(few[few["stem"] == "deep"], FACTORS)
    assert "no intervals" in found.reason
    assert found.table["effect"].notna().all()
    assert found.table["low"].isna().all()


def test_effects_that_depend_on_each_other_are_noticed():
    # In the paper the radix block helps ResNet by 0.6 and costs ResNeSt 1.75 points.
    frame = trainings(num_seeds=10)
    assert factor_effects(frame, FACTORS).additivity_p < 0.001
    means = [60 - r + 4 * (s == "deep") for r, _, _, s in ABLATION.itertuples(index=False)]
    assert factor_effects(trainings(means, num_seeds=10), FACTORS).additivity_p > 0.05


def test_additivity_as_an_f_test_by_hand():
    # 2 x 2, two seeds, no spread of seeds: interaction contrast 1 - 2 - 3 + 8 = 4, its square over
    # 4, times 2 seeds: 8. The rest: deviations of 0.5 from variant and seed, alternating.
    settings = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]}, index=list("wxyz"))
    wiggle = {"w": 0.5, "x": -0.5, "y": 0.5, "z": -0.5}
    frame = pd.DataFrame(
        [
            {
                "variant": v,
                **settings.loc[v],
                "seed": s,
                "value": m + (wiggle[v] if s else -wiggle[v]),
            }
            for v, m in zip("wxyz", (1.0, 2.0, 3.0, 8.0), strict=True)
            for s in (0, 1)
        ]
    )
    found = factor_effects(frame, ["a", "b"])
    # Seeds' means are equal, and each of eight values is 0.5 off: 2 over 3 degrees of freedom.
    assert found.additivity_p == pytest.approx(stats.f.sf(8 / (2 / 3), 1, 3))


def test_the_papers_ablation_says_what_it_can_not_separate():
    notes = describe_design(ABLATION, FACTORS)
    # Levels of one variant alone are named with it.
    assert any("cardinality 2 (1s2x64d)" in note for note in notes)
    assert any("width 40 (1s1x40d)" in note for note in notes)
    support = "radix 1 (of 0, 1, 2); width 64 (of 40, 64); stem deep (of conv7, deep)"
    assert any("cardinality 2 against 1" in note and support in note for note in notes)
    ranks = interaction_ranks(ABLATION, list_effects(ABLATION, FACTORS))
    assert ranks["radix", "cardinality"] == (0, 2)
    # Radix 0 and 1 have both stems, radix 2 has one.
    assert ranks["radix", "stem"] == (1, 2)
    assert [note for note in notes if "in part" in note and "radix with stem" in note]


def test_effects_that_change_together_are_no_effects():
    settings = ABLATION.assign(recipe=np.where(ABLATION["stem"] == "deep", "new", "old"))
    factors = [*FACTORS, "recipe"]
    found = factor_effects(trainings(settings=settings), factors)
    for factor, level in (("stem", "deep"), ("recipe", "old")):
        row = find_row(found, factor, level)
        assert np.isnan(row["effect"])
        assert ("stem deep" if factor == "recipe" else "recipe old") in row["reason"]
    assert found.table["effect"].notna().sum() == 4
    text = "stem deep against conv7 and recipe old against new"
    assert any(note.startswith(text) for note in found.notes)
    group = find_aliases(settings, list_effects(settings, factors))
    assert [[effect.factor for effect in effects] for effects in group] == [["stem", "recipe"]]


def test_a_factor_without_two_levels_is_said_to_have_no_effect():
    deep = ABLATION[ABLATION["stem"] == "deep"]
    notes = describe_design(deep, FACTORS)
    assert any(note.startswith("stem is deep") for note in notes)
    assert any("as many effects as variants" in note for note in notes)
    assert not any("as many effects" in note for note in describe_design(ABLATION, FACTORS))
    with pytest.raises(ValueError, match="none of stem varies"):
        factor_effects(trainings(settings=deep, means=PRINTED[2:]), ["stem"])


def test_levels_go_by_their_order_not_by_their_name():
    stems = pd.Categorical(ABLATION["stem"], categories=["small", "deep", "conv7"])
    effects = list_effects(ABLATION.assign(stem=stems), ["stem"])
    assert [str(effect) for effect in effects] == ["stem conv7 against deep"]


def test_each_network_once_and_each_name_with_one_setting():
    frame = trainings()
    with pytest.raises(ValueError, match="give each network once"):
        factor_effects(pd.concat([frame, frame[:4].assign(variant="twin")]), FACTORS)
    twice = pd.concat([frame.assign(recipe="a"), frame.assign(recipe="b")])
    with pytest.raises(ValueError, match="two settings"):
        factor_effects(twice, [*FACTORS, "recipe"])


def test_welchs_contrast_assumes_no_equal_spread():
    frame = trainings(num_seeds=6)
    frame.loc[frame["variant"] == "2s1x64d", "value"] += 5 * np.array([1, -1, 2, -2, 1, -1])
    found = factor_effects(frame, FACTORS)
    row = find_row(found, "radix", 2)
    assert row["welch_low"] < row["effect"] < row["welch_high"]
    assert row["welch_high"] - row["welch_low"] > row["high"] - row["low"]
    assert row["welch_p"] > row["p"]
    assert any("vary more over seeds" in note for note in found.notes)


def test_of_two_networks_the_contrast_is_scipys_welch_test():
    frame = trainings(num_seeds=6)
    two = frame[frame["variant"].isin(["1s1x64d", "1s1x40d"])]
    found = factor_effects(two, ["width"])
    wide = two.pivot_table(index="seed", columns="variant", values="value")
    expected = stats.ttest_ind(wide["1s1x64d"], wide["1s1x40d"], equal_var=False)
    row = found.table.iloc[0]
    # Seeds that rise and fall together only make it more precise.
    assert row["welch_p"] <= expected.pvalue * (1 + 1e-9)
    assert abs(row["effect"]) == pytest.approx(abs(wide["1s1x64d"].mean() - wide["1s1x40d"].mean()))


def test_unequal_spreads_as_scipy_has_bartletts_test():
    frame = trainings(num_seeds=5)
    values = frame.pivot_table(index="variant", columns="seed", values="value").to_numpy()
    left = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    found = factor_effects(frame, FACTORS)
    assert found.spread_p == pytest.approx(stats.bartlett(*left).pvalue)
    sds = left.std(axis=1, ddof=1)
    assert found.spread_ratio == pytest.approx(sds.max() / sds.min())
    two = factor_effects(trainings(num_seeds=2), FACTORS)
    assert (two.spread_p, two.spread_ratio) == (None, None)
    assert two.table["welch_low"].isna().all()


def test_tables_lead_with_welchs_contrast_and_say_how_far_spreads_are_apart():
    found = factor_effects(trainings(num_seeds=5), FACTORS)
    row, shown = found.table.iloc[0], effects_display(found).iloc[0]
    ends = f"[{row['welch_low']:+.2f}, {row['welch_high']:+.2f}]"
    assert shown["effect (points)"] == f"{row['effect']:+.2f} {ends}"
    assert shown["mixed model"] == f"[{row['low']:+.2f}, {row['high']:+.2f}]"
    expected = multipletests(found.table["welch_p"].dropna(), method="holm")[1]
    assert found.table["welch_holm_p"].dropna().tolist() == pytest.approx(expected.tolist())
    assert f"{found.spread_ratio:.2g}" in str(effects_caption(found))


def test_a_missing_training_is_no_reason_to_give_up():
    frame = trainings(num_seeds=5)
    frame.loc[3, "value"] = np.nan
    whole, gap = factor_effects(trainings(num_seeds=5), FACTORS), factor_effects(frame, FACTORS)
    assert gap.degrees_of_freedom == whole.degrees_of_freedom - 1
    np.testing.assert_allclose(gap.table["effect"], whole.table["effect"], atol=0.3)
