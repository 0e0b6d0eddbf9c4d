"""A network that crashes or hangs is one row; what was finished is not asked again."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from resnest_bench.digests import PACKAGE
from resnest_bench.errors import UserError

ROOT = PACKAGE.parents[1]
PLENTY = 2**50


@pytest.fixture
def breadth(benchmark_module):
    return benchmark_module("breadth")


@pytest.fixture
def forked(benchmark_module):
    return benchmark_module("forked")


def works(variant, image_size):
    return {"size_args": {}}


def refuses(variant, image_size):
    if image_size == 32:
        raise UserError(f"variant {variant.name} can't take 32x32")
    return {"size_args": {}}


def aborts(variant, image_size):
    os.abort()


def hangs(variant, image_size):
    time.sleep(600)


def raises_nothing_said(variant, image_size):
    raise IndexError


def ask(breadth, forked, steps, sizes=(32, 224), seconds=60.0):
    return breadth.ask_everything("net", sizes, forked.Limits(seconds, PLENTY), steps)


def test_a_native_crash_is_one_outcome_and_the_other_steps_go_on(breadth, forked):
    steps = {"plan": works, "train": aborts, "latency": works}
    found = ask(breadth, forked, steps)
    for size in ("32", "224"):
        told = found[size]
        assert [told[name]["outcome"] for name in steps] == ["works", "died", "works"]
        assert "SIGABRT" in told["train"]["text"]
        assert breadth.is_our_fault(told)
        assert "SIGABRT" in breadth.describe_size(told)


def test_a_hang_is_one_outcome(breadth, forked):
    told = ask(breadth, forked, {"plan": works, "train": hangs}, sizes=[32], seconds=1.0)["32"]
    assert [one["outcome"] for one in told.values()] == ["works", "died"]
    assert "1 s" in told["train"]["text"]


def test_a_traceback_is_our_fault_and_named_by_its_type(breadth, forked):
    told = ask(breadth, forked, {"plan": works, "train": raises_nothing_said}, sizes=[32])["32"]
    assert told["train"]["outcome"] == "failed"
    assert "IndexError" in breadth.describe_size(told)


def test_a_refusal_is_right_where_the_network_alone_fails_too(breadth, forked, monkeypatch):
    monkeypatch.setattr(breadth, "run_alone", raises_nothing_said)
    found = ask(breadth, forked, {"plan": refuses, "train": refuses})
    assert set(found["224"]) == {"plan", "train"}
    assert breadth.describe_size(found["32"]) == "no: can't take 32x32"
    assert not any(breadth.is_our_fault(told) for told in found.values())
    networks = [{"module": "m", "model": "net", "num_params": 1, "sizes": found}]
    counts = breadth.count_cells(networks)
    assert counts == {"32": {"refused": 1}, "224": {"works": 1}}


@pytest.mark.parametrize(
    ("train", "alone"),
    [
        (refuses, works),  # it would work
        (raises_nothing_said, raises_nothing_said),  # `plan` says it, training doesn't
    ],
)
def test_other_refusals_are_our_fault(breadth, forked, monkeypatch, train, alone):
    monkeypatch.setattr(breadth, "run_alone", alone)
    told = ask(breadth, forked, {"plan": refuses, "train": train}, sizes=[32])["32"]
    assert breadth.is_our_fault(told)
    assert breadth.describe_size(told).startswith("**fails**")


def test_a_step_of_training_is_refused_as_a_training_is(benchmark_module):
    """halonet_h1 has blocks of 8 pixels, which must divide maps of 32 / 16 pixels."""
    steps = benchmark_module("breadth_steps")
    halonet = steps.TimmVariant(name="H", family="timm", model="halonet_h1")
    with pytest.raises(UserError, match="256x256"):
        steps.train(halonet, 32)


def test_memory_is_limited(forked):
    # As much as the limit itself: memory that this process has freed and kept can't hold that.
    room = psutil.Process().memory_info().vms + 2**28

    def take_much(tell):
        try:
            tell(len(bytearray(room)))
        except MemoryError:
            tell("too much")

    assert forked.run_forked(take_much, forked.Limits(60.0, room)) == (["too much"], "")


def test_a_child_that_ends_early_is_named_by_its_exit_code(forked):
    messages, end = forked.run_forked(lambda tell: os._exit(3), forked.Limits(60.0, PLENTY))
    assert messages == []
    assert "3" in end


def test_the_smallest_network_with_a_classifier_is_picked(breadth):
    model, num_params = breadth.pick_smallest(["resnet18", "resnet10t"])
    assert model == "resnet10t"
    # timm publishes 5.44 M for 1000 classes; a class has 512 weights and a bias.
    assert num_params + 990 * 513 == pytest.approx(5.44e6, abs=5e3)
    with pytest.raises(UserError, match="gemma4_vit_167m_enc"):
        breadth.pick_smallest(["gemma4_vit_167m_enc"])
    assert not [name for name in breadth.list_candidates("resnet") if name.startswith("test_")]


def test_what_is_done_is_not_asked_again(breadth, tmp_path):
    path = tmp_path / "networks.jsonl"
    one = {"module": "vgg", "model": "vgg11", "num_params": 1}
    breadth.add_line(path, {"command": "python"})
    breadth.add_line(path, {**one, "sizes": {"32": {}}})
    with path.open("a") as file:
        file.write('{"module": "pit", "mod')  # killed while it wrote
    told, known = breadth.read_results(path)
    assert told == {"command": "python"}
    assert breadth.list_missing(["vgg", "pit"], [32], known) == [("pit", [32])]
    assert breadth.list_missing(["vgg"], [32, 224], known) == [("vgg", [224])]


def test_a_module_that_timm_lacks_is_refused(breadth):
    with pytest.raises(UserError, match="wgg"):
        breadth.chosen_modules("vgg,wgg")


def test_the_table_keeps_its_columns_whatever_a_message_holds(breadth):
    plan = {"outcome": "refused", "text": "variant net can't | take <it>"}
    steps = {"plan": plan, "alone": {"outcome": "failed"}}
    one = {"module": "m", "model": "net", "num_params": 1_250_000, "sizes": {"32": steps}}
    *_, row = breadth.make_table([one]).splitlines()
    assert row == r"| m | `net` | 1.25 | no: can't \| take &lt;it> |"


@pytest.mark.slow
def test_a_small_network_is_asked_for_everything_and_the_page_is_written(tmp_path):
    results, page = tmp_path / "networks.jsonl", tmp_path / "networks.md"
    command = [sys.executable, "benchmarks/breadth.py", "--modules", "starnet", "--sizes", "32"]
    files = ["--results", str(results), "--write", str(page)]
    subprocess.run([*command, *files], cwd=ROOT, check=True, timeout=900)
    told, one = map(json.loads, results.read_text().splitlines())
    steps = one["sizes"]["32"]
    assert set(steps) == {"plan", "describe", "train", "channels_last", "latency"}
    assert {step["outcome"] for step in steps.values()} == {"works"}
    assert told["environment"]["git_commit"][:8] in page.read_text()
    assert f"`{one['model']}`" in page.read_text()
