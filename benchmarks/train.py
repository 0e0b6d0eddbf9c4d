"""Our training beside two peers on the same images, taking turns: images a second and their ratio.

    python benchmarks/train.py [--device cpu|cuda] [--variants A,B] [--precision fp32|bf16] [--rounds 5]
                               [--images 5000] [--data FOLDER|ARCHIVE] [--peers plain,timm]
                               [--mode auto] [--timm-compile no|yes|both] [--out FILE.json]

Timed is a whole pass over the training images: loading, augmentation, forward, backward, update, until the device has
done it all. Each contestant (`contestants.py` says what they do) is a process of its own that waits while another
one trains. After one untimed pass each, they take turns: ours, plain, timm, ours, plain, timm... A ratio is ours over a
peer of the same round, so that a machine that slows down does so for both. Printed are medians over the rounds with
their range, and the goal beside them. On a CPU all have the same precision; on a GPU `plain` is float32, as its users
leave it, and of timm compiled and not compiled the faster one is held against the goal.

Without --data the images are random: their speed is that of others, and no loss on them means anything.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from contestants import CONTESTANTS, Setting
from reporting import MODES, chosen_variants, header, header_lines, markdown, write_json

from resnest_bench.data import PreparedMeta, prepare
from resnest_bench.data.arrays import Content, write_prepared
from resnest_bench.data.cifar import MEAN, STD
from resnest_bench.device.lease import DEVICE_KINDS, leased_device
from resnest_bench.specs import ImageFolderDataset, VariantSpec

PROGRAM = Path(__file__).with_name("contestants.py")
IMAGE_SIZE, NUM_CLASSES = 32, 10
DEFAULT_VARIANTS = {
    "cpu": "ResNet-14-0s1x64d,ResNeSt-14-2s1x64d,ResNet-18,EfficientNet-b0",
    "cuda": "ResNet-14-0s1x64d,ResNeSt-14-2s1x64d,ResNeSt-101,EfficientNet-b3",
}
DEFAULT_PRECISION = {"cpu": "fp32", "cuda": "bf16"}
DEFAULT_COMPILE = {"cpu": "no", "cuda": "both"}
TIMM = {"no": ("timm",), "yes": ("timm-compiled",), "both": ("timm", "timm-compiled")}
# Ours over a peer, at least. On a GPU by the beginning of the variant's name.
CPU_GOALS = {"plain": 1.5, "timm": 1.2}
CUDA_GOALS = {
    ("ResNet-14", "ResNeSt-14"): {"plain": 10.0, "timm": 3.0},
    ("ResNeSt-101", "EfficientNet-b3"): {"plain": 5.0, "timm": 1.5},
}
RANDOM_REMARK = "random images: only speed is measured on them"
# A waiting process that takes more of a core than this disturbs the one that trains.
IDLE_LIMIT = 0.02
COLUMNS = [
    "variant",
    "contestant",
    "precision",
    "layout, mode",
    "images/s",
    "range",
    "ours / it",
    "range of rounds",
    "goal",
    "reached",
]

# One turn of each contestant, by its name.
Round = dict[str, dict[str, Any]]


class ContestantError(RuntimeError):
    """A contestant's process ended without an answer."""


class Process:
    """A contestant in a process of its own. Closing it ends the process."""

    def __init__(self, setting: Setting) -> None:
        self.name = setting.contestant
        command = [sys.executable, str(PROGRAM), json.dumps(asdict(setting))]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.requests, self.answers = self.popen.stdin, self.popen.stdout

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        # No more input: it ends by itself, with its loading processes.
        self.requests.close()
        try:
            self.popen.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.answers.close()

    def answer(self) -> dict[str, Any]:
        line = self.answers.readline()
        if not line:
            raise ContestantError(f"{self.name} ended with exit code {self.popen.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def train(self, number: int) -> dict[str, Any]:
        """One epoch; what `contestants.timed` gives."""
        print(json.dumps({"epoch": number}), file=self.requests)
        return self.answer()

    def cpu_seconds(self) -> float:
        """Processor time of the process and its loading processes, until now."""
        try:
            process = psutil.Process(self.popen.pid)
            times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        except psutil.NoSuchProcess:
            return 0.0
        return sum(time.user + time.system for time in times)


@dataclass(frozen=True)
class Race:
    """What one variant's contestants did. `idle_share` is the most of a core that one took in waiting.

    `ran` has each one's number of parameters, and its layout and mode.
    """

    variant: str
    ran: dict[str, dict[str, Any]]
    warmup: Round
    rounds: list[Round]
    idle_share: float
    left_out: dict[str, str]


def race(variant: str, settings: Sequence[Setting], num_rounds: int) -> Race:
    """Start every contestant, let each train one epoch untimed, then let them take turns.

    A peer that fails before its first turn is left out, with the reason. Raises ContestantError
    where ours fails, or anyone later.
    """
    ran, warmup, left_out = {}, {}, {}
    with ExitStack() as stack:
        running = []
        for setting in settings:
            process = stack.enter_context(Process(setting))
            try:
                ran[process.name] = process.answer()
                warmup[process.name] = process.train(1)
            except ContestantError as error:
                if process.name == "ours":
                    raise
                left_out[process.name] = str(error)
                continue
            running.append(process)
        turns = [take_turns(running, number) for number in range(2, num_rounds + 2)]
    rounds = [turn for turn, _ in turns]
    idle_share = max(share for _, share in turns)
    return Race(variant, ran, warmup, rounds, idle_share, left_out)


def take_turns(running: Sequence[Process], number: int) -> tuple[Round, float]:
    """Epoch `number` of each, one after another, and the largest share of a core of one that waits."""
    turn, idle = {}, [0.0]
    for process in running:
        others = [other for other in running if other is not process]
        before = [other.cpu_seconds() for other in others]
        turn[process.name] = process.train(number)
        for other, start in zip(others, before, strict=True):
            idle.append((other.cpu_seconds() - start) / turn[process.name]["seconds"])
    return turn, max(idle)


def speeds(rounds: Sequence[Round], name: str) -> list[float]:
    """Images a second in each round."""
    return [turn[name]["num_images"] / turn[name]["seconds"] for turn in rounds]


def ratios(rounds: Sequence[Round], peer: str) -> list[float]:
    """Our images a second over the peer's of the same round."""
    pairs = zip(speeds(rounds, "ours"), speeds(rounds, peer), strict=True)
    return [ours / theirs for ours, theirs in pairs]


def find_goal(device_type: str, variant: str, peer: str) -> float | None:
    if device_type == "cpu":
        return CPU_GOALS.get(peer)
    for prefixes, goals in CUDA_GOALS.items():
        # Not ResNet-14 for ResNet-140: the name ends there, or a setting follows.
        if any(variant == prefix or variant.startswith(f"{prefix}-") for prefix in prefixes):
            return goals.get(peer)
    return None


def rivals(rounds: Sequence[Round]) -> dict[str, str]:
    """The contestant that stands for each peer: of several timm, the one with the higher median."""
    names = [name for name in rounds[0] if name != "ours"]
    found = {name: name for name in names if not name.startswith("timm")}
    timms = [name for name in names if name.startswith("timm")]
    if timms:
        found["timm"] = max(timms, key=lambda name: statistics.median(speeds(rounds, name)))
    return found


def choose_precision(contestant: str, asked: str, device_type: str) -> str:
    return "fp32" if contestant == "plain" and device_type == "cuda" else asked


def spread(values: Sequence[float], form: str) -> tuple[str, str]:
    """Median and range as text."""
    ends = f"{min(values):{form}} to {max(values):{form}}"
    return f"{statistics.median(values):{form}}", ends


def make_rows(done: Race, precision: str, device_type: str) -> list[list[str]]:
    peers = {name: peer for peer, name in rivals(done.rounds).items()}
    rows = []
    for name in done.rounds[0]:
        row = [done.variant, name, choose_precision(name, precision, device_type)]
        row.append(done.ran[name]["execution"])
        row += spread(speeds(done.rounds, name), ",.0f")
        if name == "ours":
            rows.append([*row, "", "", "", ""])
            continue
        found = ratios(done.rounds, name)
        goal = find_goal(device_type, done.variant, peers[name]) if name in peers else None
        reached = "" if goal is None else "yes" if statistics.median(found) >= goal else "no"
        rows.append([*row, *spread(found, ".2f"), "" if goal is None else f"{goal:g}", reached])
    return rows


def random_images(folder: Path, num_images: int) -> PreparedMeta:
    """Prepared data of noise; of the test images, which nobody reads, only as many as classes."""
    rng = np.random.default_rng(0)

    def items(num: int) -> Iterator[tuple[np.ndarray, int]]:
        for index in range(num):
            noise_HWC = rng.integers(0, 256, (IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
            yield noise_HWC, index % NUM_CLASSES

    classes = tuple(str(label) for label in range(NUM_CLASSES))
    content = Content(
        RANDOM_REMARK,
        classes,
        IMAGE_SIZE,
        IMAGE_SIZE,
        MEAN,
        STD,
        True,
        items(num_images),
        items(NUM_CLASSES),
    )
    folder.mkdir(parents=True, exist_ok=True)
    return write_prepared(folder, "random", content, source="")


def prepared_images(data: Path | None, folder: Path, num_images: int) -> PreparedMeta:
    """The images in `data` as the project prepares them, 32x32; random ones where it is None."""
    if data is None:
        return random_images(folder, num_images)
    spec = ImageFolderDataset(
        source="imagefolder",
        path=str(data.resolve()),
        image_size=IMAGE_SIZE,
        mean=MEAN,
        std=STD,
        label=data.name,
    )
    return prepare(spec, "benchmark", folder, folder.with_name("downloads"))


def list_settings(
    variant: VariantSpec, common: Setting, contestants: Sequence[str], device_type: str
) -> list[Setting]:
    return [
        replace(
            common,
            contestant=name,
            variant=variant.model_dump(mode="json"),
            precision=choose_precision(name, common.precision, device_type),
        )
        for name in contestants
    ]


def report(told: dict[str, Any], races: Sequence[Race], common: Setting, label: str) -> str:
    rounds, device_type = len(races[0].rounds), told["environment"]["device_kind"]
    rows = [row for done in races for row in make_rows(done, common.precision, device_type)]
    count = (
        f"{rounds} rounds of one epoch of {common.num_images} images a contestant, "
        f"batch {common.batch_size}, after one untimed; {common.num_workers} loading processes "
        "for plain and timm"
    )
    lines = [*header_lines(told, count), f"- images: {label}", "", markdown(COLUMNS, rows)]
    for done in races:
        if done.idle_share > IDLE_LIMIT:
            lines += ["", f"{done.variant}: one took {done.idle_share:.0%} of a core in waiting"]
        for name, reason in done.left_out.items():
            lines += ["", f"{done.variant}: without {name}: {reason}"]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=DEVICE_KINDS, default="auto")
    parser.add_argument("--variants", help="names with commas between, or all")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="fp32 on CPU, bf16 on cuda")
    parser.add_argument("--rounds", type=int, default=5, help="timed epochs of each contestant")
    parser.add_argument("--images", type=int, default=5000, help="at most, of one epoch")
    parser.add_argument("--data", type=Path, help="{train,test}/<class>/: a folder or an archive")
    parser.add_argument("--mode", choices=MODES, default="auto", help="of our recipe")
    parser.add_argument("--peers", default="plain,timm", help="some of plain,timm")
    parser.add_argument("--timm-compile", choices=sorted(TIMM), help="no on CPU, both on cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--workers", type=int, default=2, help="loading processes of the peers")
    parser.add_argument("--out", type=Path, help="also write the raw figures as JSON")
    return parser.parse_args()


def list_contestants(peers: str, compiling: str) -> list[str]:
    """Ours first, then what the peers' names stand for."""
    names = ["ours"]
    for peer in peers.split(","):
        names += TIMM[compiling] if peer == "timm" else [peer]
    unknown = [name for name in names if name not in CONTESTANTS]
    if unknown:
        raise SystemExit(f"--peers takes plain and timm, but got {', '.join(unknown)}")
    return names


def main() -> None:
    given = parse()
    torch.set_num_threads(given.threads)
    with leased_device(given.device) as device, tempfile.TemporaryDirectory() as folder:
        kind = device.type
        variants = chosen_variants(given.variants or DEFAULT_VARIANTS[kind])
        names = list_contestants(given.peers, given.timm_compile or DEFAULT_COMPILE[kind])
        data = Path(folder) / "data"
        meta = prepared_images(given.data, data, given.images)
        common = Setting(
            contestant="",
            variant={},
            precision=given.precision or DEFAULT_PRECISION[kind],
            device=str(device),
            num_threads=given.threads,
            num_workers=given.workers,
            data=str(data),
            num_epochs=given.rounds + 1,
            mode=given.mode,
            num_images=min(given.images, sum(meta.counts_per_class["train"].values())),
        )
        told = header(device, "ours keeps memory" if kind == "cpu" else None)
        races = []
        for variant in variants:
            settings = list_settings(variant, common, names, kind)
            races.append(race(variant.name, settings, given.rounds))
            print(f"{variant.name} done", file=sys.stderr)
    print(report(told, races, common, meta.label))
    shared = {**told, "setting": asdict(common), "images": meta.label}
    write_json(given.out, {**shared, "races": [asdict(done) for done in races]})


if __name__ == "__main__":
    main()
