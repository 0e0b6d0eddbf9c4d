"""Our latency beside other clocks on the same call, taking turns: do they agree, and does it repeat?

    python benchmarks/latency_agreement.py [--device auto|cpu|cuda] [--variants A,B|all] [--batch-sizes 1,64]
                                           [--mode eager] [--runs 3] [--repeats 3] [--out FILE.json]

Ours is the median of `measure/latency.py`'s own samples, with the default protocol's limits shortened: of the wall clock on
a CPU, of CUDA events on a GPU. The others:

- `blocked_autorange` (CPU): the median of torch.utils.benchmark.Timer, with as many threads as ours.
- `event loop` (GPU): two CUDA events around many calls in a row, divided by their number.
- `do_bench` (GPU): the median of triton.testing.do_bench, which empties the L2 cache before each call.

They take turns: ours, theirs, ours, theirs... A ratio is ours over theirs of the same turn. A run is a process of its own, as a
round of the workflow is; its figure is the median of its turns, and the spread is the largest run over the smallest, minus 1.
"""

import argparse
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from reporting import chosen_variants, header, header_lines, markdown, write_json
from torch.utils.benchmark import Timer

from resnest_bench.device.environment import precision
from resnest_bench.device.lease import DEVICE_KINDS, leased_device
from resnest_bench.measure.ceilings import synchronise
from resnest_bench.measure.deployment import (
    MODES,
    Call,
    check_available,
    in_setting,
    list_settings,
    make_input,
)
from resnest_bench.measure.latency import sample, timed_ms, warm_up
from resnest_bench.models import build_model
from resnest_bench.records.latencies import summarise_samples
from resnest_bench.specs import PROTOCOLS, VariantSpec

IMAGE_SIZE, NUM_CLASSES = 32, 10
VARIANTS = "ResNet-18,EfficientNet-b0,ResNeSt-14-2s1x64d"
OURS = "ours"
MIN_SECONDS = 0.3  # of each clock in each turn
PROTOCOL = PROTOCOLS["default"].model_copy(
    update={"min_seconds": MIN_SECONDS, "max_seconds": 20.0, "warmup_seconds": 0.2}
)
RATIO_GOAL, SPREAD_GOAL = 0.03, 0.05
COLUMNS = [
    "variant",
    "batch",
    "theirs",
    "ours ms",
    "theirs ms",
    "ratio",
    "range",
    "turns",
    f"off (goal {RATIO_GOAL:.0%})",
    "runs ms",
    f"spread (goal {SPREAD_GOAL:.0%})",
]

# A call to milliseconds.
Clock = Callable[[Call, torch.device], float]
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What one run measures."""

    variants: tuple[VariantSpec, ...]
    batch_sizes: tuple[int, ...]
    mode: str
    repeats: int
    device: str


def our_ms(call: Call, device: torch.device) -> float:
    warm_up(call, device, PROTOCOL)
    samples = sample(call, device, PROTOCOL)
    return float(summarise_samples(samples.device_ms or samples.wall_ms)["p50"])


def autorange_ms(call: Call, device: torch.device) -> float:
    # By itself the timer sets one thread.
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return float(1000 * timer.blocked_autorange(min_run_time=MIN_SECONDS).median)


def event_loop_ms(call: Call, device: torch.device) -> float:
    count = max(10, int(1000 * MIN_SECONDS / timed_ms(call, device)))
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(count):
        call()
    end.record()
    synchronise(device)
    return float(begin.elapsed_time(end)) / count


def do_bench_ms(call: Call, device: torch.device) -> float:
    from triton.testing import do_bench  # comes with torch's CUDA builds alone

    return float(do_bench(call, rep=int(1000 * MIN_SECONDS), return_mode="median"))


PEERS: dict[str, dict[str, Clock]] = {
    "cpu": {"blocked_autorange": autorange_ms},
    "cuda": {"event loop": event_loop_ms, "do_bench": do_bench_ms},
}


def take_turns(
    clocks: dict[str, Clock], call: Call, device: torch.device, repeats: int
) -> dict[str, list[float]]:
    """Milliseconds of each clock, one a turn."""
    found: dict[str, list[float]] = {name: [] for name in clocks}
    for _ in range(repeats):
        for name, clock in clocks.items():
            found[name].append(clock(call, device))
    return found


def measure_row(variant: VariantSpec, batch_size: int, plan: Plan) -> Row:
    """One network at one batch size, in the default protocol's layout and fp32."""
    device = torch.device(plan.device)
    setting = list_settings(PROTOCOL.model_copy(update={"modes": (plan.mode,)}))[0]
    check_available(setting, device)
    network = in_setting(build_model(variant, NUM_CLASSES).to(device), setting)
    call = MODES[plan.mode](network, make_input(batch_size, IMAGE_SIZE, setting, device))
    call()
    turns = take_turns({OURS: our_ms, **PEERS[device.type]}, call, device, plan.repeats)
    return {"variant": variant.name, "batch_size": batch_size, "setting": str(setting), "ms": turns}


@torch.inference_mode()
def measure_run(plan: Plan) -> list[Row]:
    """Every row once."""
    torch.manual_seed(0)
    with precision("fp32"):
        return [measure_row(v, batch, plan) for v in plan.variants for batch in plan.batch_sizes]


def in_processes(plan: Plan, num_runs: int) -> list[list[Row]]:
    """`measure_run` again and again, each time in a new process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        return list(pool.map(measure_run, [plan] * num_runs))


def compare(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """One entry a row and peer, from the same rows of several runs: ratios and spread."""
    return [
        {
            **{key: same[0][key] for key in ("variant", "batch_size", "setting")},
            "peer": peer,
            **_ratio(_joined(same, OURS), _joined(same, peer)),
            **_spread([statistics.median(row["ms"][OURS]) for row in same]),
        }
        for same in zip(*runs, strict=True)
        for peer in same[0]["ms"]
        if peer != OURS
    ]


def _joined(rows: Sequence[Row], clock: str) -> list[float]:
    return [ms for row in rows for ms in row["ms"][clock]]


def _ratio(ours: list[float], theirs: list[float]) -> Row:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "ours_ms": statistics.median(ours),
        "theirs_ms": statistics.median(theirs),
        "ratio": ratio,
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "n": len(ratios),
        "off": abs(ratio - 1),
    }


def _spread(run_ms: list[float]) -> Row:
    several = len(run_ms) > 1
    return {"run_ms": run_ms, "spread": max(run_ms) / min(run_ms) - 1 if several else None}


def row_cells(one: Row) -> list[str]:
    spread = "one run" if one["spread"] is None else _judged(one["spread"], SPREAD_GOAL)
    return [
        one["variant"],
        str(one["batch_size"]),
        one["peer"],
        f"{one['ours_ms']:.3f}",
        f"{one['theirs_ms']:.3f}",
        f"{one['ratio']:.3f}",
        f"{one['ratio_low']:.3f} to {one['ratio_high']:.3f}",
        str(one["n"]),
        _judged(one["off"], RATIO_GOAL),
        " ".join(f"{ms:.3f}" for ms in one["run_ms"]),
        spread,
    ]


def _judged(value: float, goal: float) -> str:
    return f"{value:.1%}" if value <= goal else f"{value:.1%} (over)"


def report(told: Row, compared: list[Row], num_runs: int, repeats: int) -> str:
    count = f"{num_runs} runs, each a process, of {repeats} turns; medians"
    table = markdown(COLUMNS, [row_cells(one) for one in compared])
    settings = " and ".join(dict.fromkeys(one["setting"] for one in compared))
    return "\n".join([*header_lines(told, count), f"- setting: {settings}", "", table])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=DEVICE_KINDS, default="auto")
    parser.add_argument("--variants", default=VARIANTS, help="names with commas between, or all")
    parser.add_argument("--batch-sizes", default="1,64", help="numbers with commas between")
    parser.add_argument("--mode", choices=sorted(MODES), default="eager")
    parser.add_argument("--runs", type=int, default=3, help="processes, one after the other")
    parser.add_argument("--repeats", type=int, default=3, help="turns in a run")
    parser.add_argument("--out", type=Path, help="also write every figure as JSON")
    return parser.parse_args()


def main() -> None:
    given = parse()
    variants = tuple(chosen_variants(given.variants))
    batch_sizes = tuple(int(size) for size in given.batch_sizes.split(","))
    with leased_device(given.device) as device:
        told = header(device)
        plan = Plan(variants, batch_sizes, given.mode, given.repeats, str(device))
        runs = in_processes(plan, given.runs)
    compared = compare(runs)
    print(report(told, compared, given.runs, given.repeats))
    goals = {"ratio": RATIO_GOAL, "spread": SPREAD_GOAL}
    write_json(given.out, {**told, "goals": goals, "rows": compared, "runs": runs})


if __name__ == "__main__":
    main()
