"""Two networks of studies on disk, in every state that their records can have."""

import pytest

from resnest_bench import records
from resnest_bench.comparisons.head_to_head import Network, list_spec_differences, mirror_pair
from resnest_bench.formats import row_dicts
from resnest_bench.paths import Experiment, Job
from resnest_bench.report.head_to_head import (
    compare_two,
    describe_pair,
    describe_ratio,
    explain_pair,
    spec_table,
)
from resnest_bench.results import open_study
from support import records_factory
from support.records_factory import make_record

LOW = Experiment("train", "low", "quick")
A, B, T = (Network(name, LOW) for name in "ABT")


@pytest.fixture
def folder(tmp_path):
    study = records_factory.make_study()
    paths = study.paths(tmp_path)
    records_factory.write_study(study, paths)
    return study, paths


def open_two(folder, one=A, other=B):
    return compare_two(open_study(folder[1].root), one, other)


def test_the_verdict_is_that_of_the_table_of_differences(folder):
    results = open_study(folder[1].root)
    table = results.differences().set_index(["variant", "base"])
    found = compare_two(results, B, T)
    assert found.num_pairs == len(table) == 3
    # The table has T minus B, and the page asked for B minus T.
    assert found.pair["difference_points"] == -table.loc[("T", "B"), "difference_points"]
    assert found.pair["all_corrected_p"] == table.loc[("T", "B"), "all_corrected_p"]
    assert found.pair["all_low_points"] == -table.loc[("T", "B"), "all_high_points"]


def test_a_mirrored_pair_mirrored_is_the_pair(folder):
    (row, *_) = row_dicts(open_study(folder[1].root).differences())
    twice = mirror_pair(mirror_pair(row))
    names = ("variant", "base", "verdict", "difference_points", "seed_differences_points", "n")
    assert [twice[name] for name in names] == [row[name] for name in names]


def test_values_are_those_of_the_seeds(folder):
    values = open_two(folder).values
    # The factory: A 60 %, B 70 %, one point a seed.
    assert values.loc[values["row"] == "A", "percent"].tolist() == pytest.approx([60, 61, 62])
    assert values.loc[values["row"] == "B", "percent"].tolist() == pytest.approx([70, 71, 72])


def test_the_same_variant_by_two_recipes_is_compared_by_their_table(folder):
    one, other = (Network("A", Experiment("finetune", "high", name)) for name in ("tune", "fresh"))
    found = open_two(folder, one, other)
    assert found.names == ("A, tune", "A, fresh")
    assert found.pair["difference_points"] == pytest.approx(20)
    rows = spec_table(folder[0], one, other).set_index("key")
    assert rows.loc["init", ["part", "one", "other"]].tolist() == [
        "recipe",
        "pretrained",
        "scratch",
    ]


def test_two_variants_by_two_recipes_are_compared_alone(folder):
    one, other = (
        Network("A", Experiment("finetune", "high", "tune")),
        Network("B", Experiment("finetune", "high", "fresh")),
    )
    found = open_two(folder, one, other)
    # A 60 % by the one, B 70 - 20 % by the other.
    assert found.pair["difference_points"] == pytest.approx(10)
    assert found.num_pairs == 1


def test_other_images_are_not_compared(folder):
    found = open_two(folder, A, Network("A", Experiment("finetune", "high", "tune")))
    assert found.pair is None
    assert "different images" in describe_pair(found)


@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_few_seeds_give_a_sentence_and_no_verdict(folder, seeds):
    _, paths = folder
    for seed in range(seeds, 3):
        for name in "AB":
            paths.record(Job(*LOW, name, seed)).unlink()
    found = open_two(folder)
    text = describe_pair(found)
    assert {0: "can't be compared", 1: "One seed gives no verdict", 2: "have not been tested"}[
        seeds
    ] in text
    assert (found.images is None) == (seeds == 0)
    assert all(line.endswith(".") for line in explain_pair(found))


def test_unequal_seeds_are_compared(folder):
    study, paths = folder
    paths.record(Job(*LOW, "B", 0)).unlink()
    job = Job(*LOW, "A", 1)
    records.write(paths.record(job), make_record(study, job, accuracy=0.5))
    found = open_two(folder)
    assert (found.pair["variant_n"], found.pair["base_n"]) == (3, 2)
    assert found.images.quadrants()["percent"].sum() == pytest.approx(100)


def test_a_network_that_is_only_timed_has_no_verdict(folder):
    assert "does not train" in describe_pair(open_two(folder, A, Network("B", None)))


def test_keys_are_flat_and_only_those_that_differ():
    found = list_spec_differences(
        {"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 4, "d": 3}, "e": "x"}
    )
    assert found.values.tolist() == [["b.c", "2", "4"], ["e", "–", "x"]]


def test_a_ratio_in_words():
    row = {
        "time_ratio": 1.2,
        "low_ratio": 1.1,
        "high_ratio": 1.3,
        "batch_size": 8,
        "variant": "A",
        "base": "B",
        "noise": "20 % slower, above the noise floor of 5 %",
        "n": 3,
    }
    assert "A takes 1.20 [1.10, 1.30] times as long as B" in describe_ratio(row)
    assert describe_ratio({**row, "time_ratio": float("nan")}) == ""
