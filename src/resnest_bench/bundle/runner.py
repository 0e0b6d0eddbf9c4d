"""Measure the networks of this bundle on this device. It needs Python 3.9, numpy and onnxruntime.

    python run.py [--threads N] [--rounds N] [--device-name NAME] [--output FILE]

Every round measures every network in random order, each in a process of its own, between two timings of a
reference network. Stopped at any time, the same command goes on. Take the results file back to the study:

    resnest-bench import FILE --into CONFIG
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from resnest_bench.bundle.measuring import (
    BundleError,
    cpu_model,
    describe_device,
    measure_ceilings,
    measure_network,
    now,
    read_text,
    usable_cores,
)

FORMAT = 1
KIND = "resnest-bench device results"
MANIFEST = "bundle.json"
MAX_NAME = 80

Json = dict[str, Any]


def digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> Json:
    """The list of contents, with every file checked. Raises BundleError."""
    file = folder / MANIFEST
    try:
        manifest: Json = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{file} must list the networks, but cannot be read ({error}): unpack the archive again"
        ) from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise BundleError(
            f"this runner reads bundles of format {FORMAT}, but {file} has {version!r}: run the run.py "
            "that came in the same archive"
        )
    for name, sha256 in manifest["files"].items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise BundleError(
                f"the bundle must hold {name}, but {error.strerror}: unpack it again"
            ) from error
        if found != sha256:
            raise BundleError(
                f"{name} must have the SHA-256 {sha256[:12]}..., but has {found[:12]}...: it was changed; "
                "unpack the archive again"
            )
    return manifest


def write_json(path: Path, value: Any) -> None:
    """Write the whole file or nothing."""
    text = json.dumps(value, allow_nan=False)
    handle, name = tempfile.mkstemp(dir=str(path.parent), prefix="." + path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def run_task(task: str, options: argparse.Namespace, manifest: Json) -> Json:
    """What a process of its own does: one network, or the ceilings."""
    if task == "ceilings":
        return measure_ceilings(options.bundle, manifest, options.threads)
    network = next(one for one in manifest["networks"] if one["variant"] == task[len("network:") :])
    sizes = options.batch_sizes or manifest["protocol"]["batch_sizes"]
    return measure_network(options.bundle, manifest, network, options.threads, sizes)


def run_isolated(task: str, options: argparse.Namespace, manifest: Json) -> Json:
    """`run_task` in a process of its own, or in this one where that is impossible. Raises BundleError."""
    if options.same_process:
        return run_task(task, options, manifest)
    with tempfile.TemporaryDirectory() as place:
        answer = Path(place) / "answer.json"
        command = [sys.executable, os.path.abspath(__file__), "--bundle", str(options.bundle)]
        command += ["--threads", str(options.threads), "--task", task, "--output", str(answer)]
        if options.batch_sizes:
            command += ["--batch-sizes", ",".join(map(str, options.batch_sizes))]
        try:
            ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        except OSError:  # no processes here, as in a browser
            return run_task(task, options, manifest)
        if ended.returncode or not answer.exists():
            lines = ended.stderr.strip().splitlines()
            last = lines[-1] if lines else "no message"
            raise BundleError(f"its process ended with code {ended.returncode}: {last[:300]}")
        measured: Json = json.loads(answer.read_text(encoding="utf-8"))
        return measured


def open_results(options: argparse.Namespace, manifest: Json) -> Json:
    """The results file's content, of this run or of one that was stopped. Raises BundleError."""
    fresh: Json = {
        "kind": KIND,
        "format": FORMAT,
        "bundle_sha256": digest(manifest),
        "bundle": manifest,
        "device": describe_device(options.device_name, options.threads),
        "started_at": now(),
        "ceilings": None,
        "jobs": [],
    }
    if not options.output.exists():
        return fresh
    try:
        found: Json = json.loads(options.output.read_text(encoding="utf-8"))
        same = [found[key] == fresh[key] for key in ("kind", "format", "bundle_sha256")]
        changed = [key for key, value in fresh["device"].items() if found["device"][key] != value]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{options.output} must be results of this runner, but is not: choose another --output"
        ) from error
    if not all(same) or changed:
        what = "another bundle" if not all(same) else f"another {' and '.join(changed)}"
        raise BundleError(
            f"{options.output} can only be continued as it began, but has {what}: choose another --output"
        )
    return found


def list_missing(results: Json, manifest: Json, rounds: int) -> list[tuple[int, Json]]:
    """What is left to measure: round by round, in random order within each."""
    done = {(job["variant"], job["round"]) for job in results["jobs"]}
    missing = []
    for number in range(rounds):
        networks = list(manifest["networks"])
        random.Random(number).shuffle(networks)
        missing += [(number, one) for one in networks if (one["variant"], number) not in done]
    return missing


def measure(options: argparse.Namespace, manifest: Json) -> int:
    """Measure all that is missing; return the number of networks that could not be measured."""
    results = open_results(options, manifest)
    if results["ceilings"] is None:
        results["ceilings"] = run_isolated("ceilings", options, manifest)
    missing = list_missing(results, manifest, options.rounds or manifest["rounds"])
    failures = 0
    for index, (number, network) in enumerate(missing):
        start = time.perf_counter()
        name = network["variant"]
        try:
            job = run_isolated("network:" + name, options, manifest)
        except BundleError as error:
            failures += 1
            print(f"round {number}, {name}: not measured: {error}", flush=True)
            continue
        identity = {key: network[key] for key in ("variant", "digest", "sha256")}
        results["jobs"].append({**identity, "round": number, **job})
        write_json(options.output, results)
        seconds = time.perf_counter() - start
        left = math.ceil(seconds * (len(missing) - index - 1) / 60)
        middle = [sorted(cell["samples_ms"])[len(cell["samples_ms"]) // 2] for cell in job["cells"]]
        text = ", ".join(f"{value:.3g}" for value in middle) or "nothing"
        print(f"round {number}, {name}: {text} ms; about {left} min left", flush=True)
    write_json(options.output, results)
    return failures


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--threads", type=int, default=usable_cores(), help="threads of the runtime [all cores]")
    add("--rounds", type=int, help="how often every network is measured [as the study does]")
    add("--device-name", help="what tables call this device [its board or processor]")
    add("--output", type=Path, help="results file [results-DEVICE.json]")
    add("--batch-sizes", help="only these, like 1,8 [those of the protocol]")
    add("--same-process", action="store_true", help="start no process for each network")
    add("--bundle", type=Path, default=Path(__file__).resolve().parent, help="its folder")
    add("--task", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.threads < 1 or (options.rounds is not None and options.rounds < 1):
        parser.error("--threads and --rounds must be 1 or more: correct them")
    if options.batch_sizes is not None:
        parts = options.batch_sizes.split(",")
        if not all(part.isdigit() and int(part) for part in parts):
            parser.error(f"--batch-sizes takes numbers like 1,8, but got {options.batch_sizes!r}")
        options.batch_sizes = [int(part) for part in parts]
    if options.device_name is None:
        options.device_name = read_text("/proc/device-tree/model") or cpu_model()
    options.device_name = " ".join(options.device_name.split())[:MAX_NAME]
    if options.output is None:
        safe = "".join(c if c.isascii() and c.isalnum() else "-" for c in options.device_name)
        options.output = Path(f"results-{safe}.json")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        manifest = read_manifest(options.bundle)
        if options.task:
            write_json(options.output, run_task(options.task, options, manifest))
            return 0
        failures = measure(options, manifest)
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on with {options.output}", file=sys.stderr)
        return 130
    print(
        f"\nTake {options.output} to the study: resnest-bench import {options.output.name} --into CONFIG"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
