"""Which of timm's networks work here: the smallest one of each module, asked for everything.

    python benchmarks/breadth.py                          all modules, at 32 and at 224 pixels
    python benchmarks/breadth.py --modules vgg,pit --again
    python benchmarks/breadth.py --write docs/networks.md --limit 0      the page, nothing is run

For each network and size: the checks of `plan`, `describe`, a training step in the layout that the
product chooses and one in channels_last, a latency as it is and folded (`breadth_steps.py`). A native
crash, a hang or a lack of memory ends a child (`forked.py`) and is one row. It can be stopped and
gone on with: each finished network is a line of --results.
"""

import argparse
import functools
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

# Before torch: a forked child has no other thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import timm
import torch
from breadth_steps import STEPS, Step, run_alone
from forked import Limits, Tell, run_forked
from reporting import ROOT, header, header_lines
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from resnest_bench.errors import UserError, first_line
from resnest_bench.models import build_model
from resnest_bench.specs import TimmVariant

RESULTS = ROOT / "results/breadth/networks.jsonl"
SIZES = (32, 224)
# timm's networks for its own tests are smaller than any that somebody would take.
NOT_TAKEN = "test_"
WORKS, REFUSED, FAILED, DIED = "works", "refused", "failed", "died"
GIB = 2**30

# What each step of one network at one size gave.
Steps = dict[str, dict[str, Any]]
Network = dict[str, Any]


class _TooLargeError(Exception):
    """A network has more parameters than the smallest one so far."""


def count_parameters(model: str, most: float = float("inf")) -> int:
    """Parameters of a network of ten classes.

    Raises _TooLargeError early where it has over `most`, and UserError where it has no classifier.
    """
    seen = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal seen
        seen += parameter.numel() if parameter is not None else 0
        if seen > most:
            raise _TooLargeError

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            network = build_model(TimmVariant(name=model, family="timm", model=model), 10)
    finally:
        hook.remove()
    return sum(parameter.numel() for parameter in network.parameters())


def pick_smallest(models: Iterable[str]) -> tuple[str, int]:
    """The network with the fewest parameters, and how many; of equal ones the first by name."""
    best, fewest = "", float("inf")
    for model in sorted(models):
        try:
            # Layers that are replaced while building are counted twice on the way.
            num_params = count_parameters(model, 2 * fewest)
        except Exception:  # one that is too large, has no classifier, or fails without weights
            continue
        if num_params < fewest:
            best, fewest = model, num_params
    if not best:
        raise UserError(f"none of {', '.join(sorted(models))} can be built on the meta device")
    return best, int(fewest)


def list_candidates(module: str) -> list[str]:
    """Names of a module's networks that somebody would take."""
    return [name for name in timm.list_models(module=module) if not name.startswith(NOT_TAKEN)]


def ask(step: Step, variant: TimmVariant, image_size: int) -> dict[str, Any]:
    """What a step gave, as JSON values: its outcome, its time, and its facts or its words."""
    start = time.perf_counter()
    try:
        facts = step(variant, image_size)
    except UserError as error:
        told = {"outcome": REFUSED, "text": str(error)}
    # Foreign code: what it raises is anything.
    except Exception as error:
        told = {"outcome": FAILED, "text": f"{type(error).__name__}: {first_line(error)}"}
    else:
        told = {"outcome": WORKS, **facts}
    return {**told, "seconds": round(time.perf_counter() - start, 2)}


def ask_everything(
    model: str, sizes: Iterable[int], limits: Limits, steps: dict[str, Step] = STEPS
) -> dict[str, Steps]:
    """Outcomes by image size and step; where `plan` refuses, also that of the network alone."""
    found = _ask_in_children(model, sizes, limits, steps)
    refused = [int(size) for size, told in found.items() if told["plan"]["outcome"] == REFUSED]
    alone = _ask_in_children(model, refused, limits, {"alone": run_alone})
    return {size: {**told, **alone.get(size, {})} for size, told in found.items()}


def _ask_in_children(
    model: str, sizes: Iterable[int], limits: Limits, steps: dict[str, Step]
) -> dict[str, Steps]:
    """A step that ends its process is one outcome: the others go on in the next process."""
    variant = TimmVariant(name=model, family="timm", model=model)
    waiting = list(product(sizes, steps))
    found: dict[str, Steps] = {str(size): {} for size, _ in waiting}
    while waiting:
        messages, end = run_forked(functools.partial(_ask_all, variant, waiting, steps), limits)
        for (size, name), told in zip(waiting, messages, strict=False):
            found[str(size)][name] = told
        waiting = waiting[len(messages) :]
        if waiting:
            # Without a word of an end: its process stopped by itself, too early.
            (size, name), *waiting = waiting
            text = end or "its process ended before its answer"
            found[str(size)][name] = {"outcome": DIED, "text": text}
    return found


def _ask_all(
    variant: TimmVariant, waiting: list[tuple[int, str]], steps: dict[str, Step], tell: Tell
) -> None:
    torch.set_num_threads(1)
    for size, name in waiting:
        tell(ask(steps[name], variant, size))


def is_our_fault(steps: Steps) -> bool:
    """Whether a size has anything but everything that works, or the same refusal everywhere."""
    outcomes = {told["outcome"] for name, told in steps.items() if name != "alone"}
    if steps["plan"]["outcome"] == REFUSED:
        return outcomes != {REFUSED} or steps["alone"]["outcome"] == WORKS
    return outcomes != {WORKS}


def describe_size(steps: Steps) -> str:
    """One cell of the table: works, or the line why not."""
    plan = steps["plan"]
    if plan["outcome"] == REFUSED and steps["alone"]["outcome"] == WORKS:
        return f"**fails**: the network takes it, but plan: {_without_name(plan['text'])}"
    if not is_our_fault(steps):
        return f"no: {_without_name(plan['text'])}" if "text" in plan else _describe_args(plan)
    bad = [
        f"{name}: {told['text']}"
        for name, told in steps.items()
        if name != "alone" and told["outcome"] not in (WORKS, plan["outcome"])
    ]
    return f"**fails**: {'; '.join(bad or [plan['text']])}"


def _describe_args(plan: dict[str, Any]) -> str:
    shown = ", ".join(f"{key}: {value}" for key, value in plan["size_args"].items())
    return f"works ({shown} is set by itself)" if shown else "works"


def _without_name(text: str) -> str:
    """An error's line without 'variant NAME', which the row has already."""
    return text.split(" ", 2)[2] if text.startswith("variant ") else text


def make_table(networks: list[Network]) -> str:
    """Markdown: one row per module, one column per size."""
    sizes = sorted({int(size) for one in networks for size in one["sizes"]})
    columns = ["module", "network", "parameters (M)", *(f"{size} px" for size in sizes)]
    lines = [columns, ["---", "---", "--:", *("---" for _ in sizes)]]
    for one in sorted(networks, key=lambda one: one["module"]):
        cells = [describe_size(s) if (s := one["sizes"].get(str(size))) else "" for size in sizes]
        millions = f"{one['num_params'] / 1e6:.2f}"
        lines.append([one["module"], f"`{one['model']}`", millions, *map(_escape, cells)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def count_cells(networks: list[Network]) -> dict[str, Counter[str]]:
    """By image size: how many networks work, are refused, or fail by our fault."""
    counts: dict[str, Counter[str]] = {}
    for one in networks:
        for size, steps in one["sizes"].items():
            kind = FAILED if is_our_fault(steps) else steps["plan"]["outcome"]
            counts.setdefault(size, Counter())[kind] += 1
    return dict(sorted(counts.items(), key=lambda item: int(item[0])))


def read_results(path: Path) -> tuple[dict[str, Any], dict[str, Network]]:
    """The last run's header and the networks by module; later lines replace earlier ones."""
    told: dict[str, Any] = {}
    networks: dict[str, Network] = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            read = json.loads(line)
        except json.JSONDecodeError:  # the last line of a run that was killed
            continue
        if "module" in read:
            networks[read["module"]] = read
        else:
            told = read
    return told, networks


def add_line(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


def chosen_modules(text: str) -> list[str]:
    """Modules by name, or all. Raises UserError for one that timm doesn't have."""
    every = timm.list_modules()
    names = every if text == "all" else [name.strip() for name in text.split(",")]
    unknown = sorted(set(names) - set(every))
    if unknown:
        raise UserError(
            f"--modules takes modules of timm {timm.__version__}, but {', '.join(unknown)} is none: "
            f"take some of {', '.join(every)}"
        )
    return [name for name in names if list_candidates(name)]


def run_module(module: str, known: Network | None, sizes: list[int], limits: Limits) -> Network:
    """The smallest network of a module, asked for everything. `known` says which that is."""
    if known is None:
        models = list_candidates(module)
        picked, end = run_forked(lambda tell: tell(pick_smallest(models)), limits)
        if not picked:
            raise UserError(f"no network of timm's module {module} can be built: {end}")
        model, num_params = picked[0]
    else:
        model, num_params = known["model"], known["num_params"]
    found = ask_everything(model, sizes, limits)
    before = known["sizes"] if known else {}
    return {
        "module": module,
        "model": model,
        "num_params": num_params,
        "sizes": {**before, **found},
    }


def list_missing(
    modules: list[str], sizes: list[int], known: dict[str, Network]
) -> list[tuple[str, list[int]]]:
    """Modules with the sizes that have no result yet."""
    left = []
    for module in modules:
        done = known[module]["sizes"] if module in known else {}
        if waiting := [size for size in sizes if str(size) not in done]:
            left.append((module, waiting))
    return left


def run_missing(asked: argparse.Namespace, sizes: list[int]) -> None:
    """Run what has no line yet, and add its line."""
    told, known = read_results(asked.results)
    limits = Limits(asked.seconds, int(asked.memory_gib * GIB))
    missing = list_missing(chosen_modules(asked.modules), sizes, {} if asked.again else known)
    missing = missing[: asked.limit]
    if missing:
        told = header(torch.device("cpu"))
        # Nothing is timed: how busy the machine is changes no outcome.
        del told["busy_before"]
        add_line(asked.results, told)
    for number, (module, left) in enumerate(missing, start=1):
        one = run_module(module, known.get(module), left, limits)
        commit = {name: told["environment"][name] for name in ("git_commit", "git_dirty")}
        add_line(asked.results, {**one, **commit})
        shown = "; ".join(f"{size} px {describe_size(s)}" for size, s in one["sizes"].items())
        print(f"[{number}/{len(missing)}] {module} ({one['model']}): {shown}", flush=True)


PAGE = """\
# Networks that were tried

timm keeps its networks in {every} modules; one network of {tried} of them was tried here, the smallest one.
Each was asked for everything that a study asks for, with images of each size below.
These are the checks of `resnest-bench plan`, the counts of `resnest-bench describe`, and a latency, with and without folded batch norm.
A training step runs in both memory layouts, and once more where the recipe says `layout: channels_last`.

- **works**: all of these end well. Where a network is made for one image size, the size is set by itself, and the table says so.
- **no**: the network itself can't take images of this size. The text is the line that `resnest-bench plan` prints.
- **fails**: anything else. That is a fault of ours.

{counts}

{header}

{table}

Other networks of a module may differ: `resnest-bench plan` tries those of your study before anything runs.
"""


def count_lines(networks: list[Network]) -> str:
    """How many of how many work, one line per size."""
    lines = []
    for size, counts in count_cells(networks).items():
        total = sum(counts.values())
        lines.append(
            f"- {size} px: {counts[WORKS]} of {total} work, {counts[REFUSED]} can't take this size, "
            f"{counts[FAILED]} fail."
        )
    return "\n".join(lines)


def make_page(told: dict[str, Any], networks: list[Network]) -> str:
    commits = Counter(
        one["git_commit"][:8] + (" with changes" if one["git_dirty"] else "") for one in networks
    )
    tried = ", ".join(f"{count} at {commit}" for commit, count in commits.most_common())
    count = f"{len(networks)} networks, each step once ({tried})"
    return PAGE.format(
        every=len(timm.list_modules()),
        tried=len(networks),
        counts=count_lines(networks),
        header="\n".join(header_lines(told, count)),
        table=make_table(networks),
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", default="all", help="names with commas between, or all")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="pixels along a side")
    parser.add_argument("--limit", type=int, help="networks at most in this run; 0 runs none")
    parser.add_argument("--again", action="store_true", help="also what has a line already")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most, for one process")
    parser.add_argument("--memory-gib", type=float, default=16.0, help="at most, for one process")
    parser.add_argument("--results", type=Path, default=RESULTS, help="a line for each network")
    parser.add_argument("--write", type=Path, help="the page to write")
    return parser.parse_args()


def main() -> None:
    asked = parse()
    # So that a running child is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run_missing(asked, [int(size) for size in asked.sizes.split(",")])
    except UserError as error:
        sys.exit(f"breadth.py: error: {error}")
    told, networks = read_results(asked.results)
    page = make_page(told, list(networks.values()))
    if asked.write:
        asked.write.write_text(page, encoding="utf-8")
    print(make_table(list(networks.values())))
    print(count_lines(list(networks.values())))


if __name__ == "__main__":
    main()
