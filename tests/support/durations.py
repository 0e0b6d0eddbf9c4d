"""How long each file of tests takes, stored in tests/durations.json: their order, and CI's shards."""

import json
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
STORED = TESTS / "durations.json"
# Of a file that the store doesn't have.
USUAL_SECONDS = 1.0


def name_file(path: Path) -> str:
    """A file of tests as the store has it: relative to tests/."""
    return path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else path.name


def read_durations() -> dict[str, float]:
    """File to seconds, of the last `make durations`."""
    return json.loads(STORED.read_text()) if STORED.exists() else {}


def choose_shard(files: list[str], durations: dict[str, float], shard: str) -> set[str]:
    """The files of shard "N/OF", N from 1: the longest first, each to the shard that has least."""
    number, of = (int(part) for part in shard.split("/"))
    if not 1 <= number <= of:
        raise pytest.UsageError(f"--shard must be 1/{of} to {of}/{of}, but got {shard}")
    sums, chosen = [0.0] * of, set()
    for file in sorted(files, key=lambda name: (-durations.get(name, USUAL_SECONDS), name)):
        least = sums.index(min(sums))
        sums[least] += durations.get(file, USUAL_SECONDS)
        if least == number - 1:
            chosen.add(file)
    return chosen


class Stopwatch:
    """Adds up what each file took, and stores it at the end. Other files keep what they had."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = Path(report.nodeid.split("::")[0])
        self.seconds[name_file(TESTS.parent / file)] += report.duration

    def pytest_sessionfinish(self) -> None:
        measured = {file: round(seconds, 1) for file, seconds in self.seconds.items()}
        kept = {file: s for file, s in read_durations().items() if (TESTS / file).exists()}
        everything = dict(sorted({**kept, **measured}.items()))
        STORED.write_text(json.dumps(everything, indent=2) + "\n")
