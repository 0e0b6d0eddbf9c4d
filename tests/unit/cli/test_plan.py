"""What `plan` prints: prices, downloads and disk, and what it leaves for onlookers."""

import pytest

from resnest_bench.cli import describe, plan
from resnest_bench.planning.estimate import Estimate, Group, Price
from resnest_bench.prices import read_prices, write_prices
from support.records_factory import make_study

STUDY = make_study()


def fails():
    raise IndexError


@pytest.fixture
def priced(monkeypatch):
    """Nothing is measured: one record of A takes 10 s, its process starts in 2 s."""
    estimate = Estimate({Group("train", "low", "quick", "A"): Price(3, 1, 10.0, 2.0)})
    monkeypatch.setattr(plan, "estimate_study", lambda *_: estimate)
    return estimate


def test_a_network_that_cannot_be_counted_keeps_its_row(monkeypatch):
    monkeypatch.setattr(describe, "complexity", lambda model, size, channels: fails())
    rows = describe.describe_variants(STUDY, 32, 10)
    assert all(row["variant"] in row["error"] and "IndexError" in row["error"] for row in rows)
    assert all(row["num_macs"] is None and row["num_params"] > 0 for row in rows)
    assert "IndexError" in describe.variants_text(rows, 32, 10)


def test_the_plan_prices_every_kind_and_names_what_is_not_in_it(priced, tmp_path):
    priced.unpriced["latency of B"] = "IndexError"
    text = plan.describe_plan(STUDY, tmp_path, plan.Resources("cpu"), cost=True)
    assert "at least 32 s" in text
    (line,) = [line for line in text.splitlines() if "latency of B" in line]
    assert "IndexError" in line


def test_a_look_leaves_no_prices_and_a_run_does(priced, tmp_path):
    file = STUDY.paths(tmp_path).prices
    plan.describe_plan(STUDY, tmp_path, plan.Resources("cpu"), cost=True)
    assert not file.exists()
    plan.describe_plan(STUDY, tmp_path, plan.Resources("cpu"), cost=True, save_prices=True)
    (group,) = read_prices(file).groups
    assert (group.num_records, group.seconds_per_record, group.start_seconds) == (3, 10.0, 2.0)


def test_a_run_that_measures_nothing_takes_older_prices_away(priced, tmp_path):
    file = STUDY.paths(tmp_path).prices
    file.parent.mkdir(parents=True)
    write_prices(file, priced.to_prices())
    plan.describe_plan(STUDY, tmp_path, plan.Resources("cpu"), cost=False, save_prices=True)
    assert read_prices(file) is None


def test_a_network_that_cannot_take_the_image_is_described_with_what_helps():
    vit = {"name": "V", "family": "timm", "model": "vit_tiny_patch16_224", "args": {"img_size": 64}}
    study = make_study(variants=[vit], finetune=[], tables={})
    (row,) = describe.describe_variants(study, 32, 10)
    assert "args.img_size" in row["error"]
    text = describe.variants_text([row], 32, 10)
    assert row["error"] in text


def test_every_key_of_a_network_is_planned_and_described(tmp_path):
    small = {"family": "resnest", "layers": [1, 1], "radix": 2, "width": 16, "stem": "small"}
    changes = {
        "lists": {"radix": [0, 2], "cardinality": [1, 2], "width": [32, 16]},
        "uniform": {"gate": "uniform"},
        "sigmoid": {"gate": "sigmoid"},
        "half": {"channels": 0.5},
        "cbam": {"attention": "cbam"},
        "selective": {"kernels": [3, 5]},
    }
    variants = [
        {**small, "name": "plain"},
        *({**small, "name": n, **c} for n, c in changes.items()),
    ]
    study = make_study(variants=variants, finetune=[], tables={})
    plan.check_study(study, tmp_path)
    rows = {row["variant"]: row for row in describe.describe_variants(study, 32, 10, in_chans=1)}
    plain = rows.pop("plain")
    assert rows.keys() == changes.keys()
    assert all(row["error"] is None and row["num_macs"] > 0 for row in rows.values())
    assert rows["uniform"]["num_params"] < plain["num_params"] == rows["sigmoid"]["num_params"]
    assert rows["half"]["num_params"] < plain["num_params"] / 3
    assert "1x32x32" in describe.variants_text(list(rows.values()), 32, 10, 1)
