"""Its arithmetic and its turns. How fast anything is, no test says."""

import json
import sys

import pytest
import torch

from resnest_bench.specs import ResNestVariant

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
TINY = ResNestVariant(name="tiny", family="resnest", layers=(1,), radix=0, width=8, stem="conv7")


@pytest.fixture(scope="module")
def agreement(benchmark_module):
    return benchmark_module("latency_agreement")


def row(ours, theirs, variant="A"):
    ms = {"ours": ours, "blocked_autorange": theirs}
    return {"variant": variant, "batch_size": 1, "setting": "fp32, channels_last, eager", "ms": ms}


def test_clocks_take_turns(agreement):
    order = []

    def clock(name):
        return lambda call, device: order.append(name) or len(order)

    found = agreement.take_turns({"ours": clock("A"), "theirs": clock("B")}, None, CPU, 3)
    assert order == ["A", "B", "A", "B", "A", "B"]
    assert found == {"ours": [1, 3, 5], "theirs": [2, 4, 6]}


def test_ratio_and_spread_by_hand(agreement):
    """Ratios 1.1, 1.0, 0.9 | 1.2, 1.0, 1.0; medians of the runs 10 and 11."""
    runs = [[row([11, 10, 9], [10, 10, 10])], [row([12, 11, 10], [10, 11, 10])]]
    (seen,) = agreement.compare(runs)
    assert seen["ratio"] == 1.0
    assert (seen["ratio_low"], seen["ratio_high"]) == (0.9, 1.2)
    assert (seen["ours_ms"], seen["theirs_ms"], seen["n"]) == (10.5, 10, 6)
    assert seen["run_ms"] == [10, 11]
    assert seen["spread"] == pytest.approx(0.1)
    assert seen["off"] == 0


def test_each_peer_is_a_row(agreement):
    one = row([2.0], [1.0])
    one["ms"]["do_bench"] = [4.0]
    seen = agreement.compare([[one, row([3.0], [3.0], "B")]])
    assert [(s["variant"], s["peer"], s["ratio"]) for s in seen] == [
        ("A", "blocked_autorange", 2.0),
        ("A", "do_bench", 0.5),
        ("B", "blocked_autorange", 1.0),
    ]


def test_what_is_over_a_goal_says_so(agreement):
    (seen,) = agreement.compare([[row([1.02], [1.0])], [row([1.10], [1.0])]])
    cells = dict(zip(agreement.COLUMNS, agreement.row_cells(seen), strict=True))
    assert cells["off (goal 3%)"] == "6.0% (over)"
    assert cells["spread (goal 5%)"] == "7.8% (over)"
    (alone,) = agreement.compare([[row([1.02], [1.0])]])
    cells = dict(zip(agreement.COLUMNS, agreement.row_cells(alone), strict=True))
    assert cells["off (goal 3%)"] == "2.0%"
    assert cells["spread (goal 5%)"] == "one run"


def test_an_event_loop_divides_by_its_calls(agreement, monkeypatch):
    """A call of 10 ms, so that 30 fit into 0.3 s; the events are 600 ms apart."""
    calls = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            pass

        def elapsed_time(self, _):
            return 600.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(agreement, "synchronise", lambda _: None)
    monkeypatch.setattr(agreement, "timed_ms", lambda call, device: 10.0)
    assert agreement.event_loop_ms(lambda: calls.append(1), GPU) == 20.0
    assert len(calls) == 30


def test_the_timer_has_our_threads(agreement, monkeypatch):
    monkeypatch.setattr(agreement, "MIN_SECONDS", 0.001)
    seen = set()
    assert agreement.autorange_ms(lambda: seen.add(torch.get_num_threads()), CPU) > 0
    assert seen == {torch.get_num_threads()}


def test_the_program_prints_and_writes(agreement, monkeypatch, tmp_path, capsys):
    out = tmp_path / "new" / "latency.json"
    command = [
        "benchmarks/latency_agreement.py",
        "--device",
        "cpu",
        "--batch-sizes",
        "1,2",
        "--runs",
        "2",
        "--repeats",
        "2",
        "--mode",
        "folded",
        "--out",
        str(out),
    ]
    monkeypatch.setattr(sys, "argv", command)
    limits = {"min_samples": 2, "min_seconds": 0, "warmup_calls": 1, "warmup_seconds": 0}
    monkeypatch.setattr(agreement, "PROTOCOL", agreement.PROTOCOL.model_copy(update=limits))
    monkeypatch.setattr(agreement, "MIN_SECONDS", 0.001)
    monkeypatch.setattr(agreement, "chosen_variants", lambda names: [TINY])
    # A new process would not know what was patched here.
    monkeypatch.setattr(
        agreement, "in_processes", lambda plan, runs: [agreement.measure_run(plan)] * runs
    )
    agreement.main()
    printed = capsys.readouterr().out
    for part in (
        "- machine: ",
        "- versions: ",
        "- command: `python benchmarks/latency_agreement.py",
        "- n: 2 runs, each a process, of 2 turns",
        "- setting: fp32, channels_last, folded",
        "| tiny ",
        "blocked_autorange",
        "spread (goal 5%)",
    ):
        assert part in printed
    written = json.loads(out.read_text())
    assert written["goals"] == {"ratio": 0.03, "spread": 0.05}
    assert [one["batch_size"] for one in written["rows"]] == [1, 2]
    assert written["rows"][0]["n"] == 4
    assert len(written["runs"][0][0]["ms"]["ours"]) == 2
