"""Leases, with fake devices: two jobs on a machine with two GPUs never share one."""

import subprocess
import sys
from threading import Thread
from types import SimpleNamespace

import pytest
import torch

from resnest_bench.device.lease import (
    count_processes,
    lease,
    lease_several,
    leased_device,
    leased_devices,
    visible_gpus,
)
from resnest_bench.errors import UserError

JOB = """
import sys, time
from pathlib import Path
from resnest_bench.device.lease import lease
with lease(["0", "1"], Path(sys.argv[1]), poll_seconds=0.01) as index:
    print(time.monotonic(), index, "got")
    time.sleep(0.5)
    print(time.monotonic(), index, "left")
"""


def run_jobs(folder, count):
    """Real processes, as Snakemake starts them. Returns their events in order of time."""
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", JOB, str(folder)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    lines = [line for job in jobs for line in job.communicate(timeout=120)[0].splitlines()]
    assert all(job.returncode == 0 for job in jobs)
    return sorted((float(at), index, what) for at, index, what in map(str.split, lines))


@pytest.mark.slow
def test_jobs_share_no_device_and_use_them_all(tmp_path):
    events = run_jobs(tmp_path, 4)
    assert len(events) == 8
    holders = dict.fromkeys("01", 0)
    for _, device, what in events:
        holders[device] += 1 if what == "got" else -1
        assert holders[device] in (0, 1), events
    assert {device for _, device, _ in events} == {"0", "1"}


def test_a_second_lease_in_the_same_process_takes_the_other_device(tmp_path):
    with lease(["a", "b"], tmp_path) as first, lease(["a", "b"], tmp_path) as second:
        assert {first, second} == {0, 1}


def test_a_lease_ends_with_an_error_too(tmp_path):
    with pytest.raises(RuntimeError, match="boom"), lease(["a"], tmp_path):
        raise RuntimeError("boom")
    with lease(["a"], tmp_path) as index:
        assert index == 0


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    """Stands for CUDA: the test says which GPUs the process sees."""
    seen, taken = [], []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(seen))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(seen))
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=seen[i])
    )
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr("resnest_bench.device.lease.lease_folder", lambda: tmp_path)
    return SimpleNamespace(seen=seen, taken=taken)


def test_two_gpus_give_two_jobs_different_indices(gpus):
    gpus.seen += ["aaaa", "bbbb"]
    with leased_device() as first, leased_device() as second:
        assert {first, second} == {torch.device("cuda", 0), torch.device("cuda", 1)}
    assert sorted(gpus.taken) == [0, 1]


def test_jobs_that_both_call_their_gpu_0_do_not_wait_for_each_other(gpus):
    """Slurm with cgroups: each job sees one device, as number 0."""
    gpus.seen[:] = ["aaaa"]
    with leased_device() as first:
        gpus.seen[:] = ["bbbb"]
        assert visible_gpus() == ["bbbb"]
        with leased_device() as second:
            assert first == second == torch.device("cuda", 0)


def test_one_gpu_under_two_numbers_is_one_lease(gpus):
    """A job with CUDA_VISIBLE_DEVICES=1 and one that sees all: bbbb is 0 there and 1 here."""
    gpus.seen[:] = ["bbbb"]
    with leased_device():
        gpus.seen[:] = ["bbbb", "aaaa"]
        with leased_device() as other:
            assert other == torch.device("cuda", 1)


def test_a_training_gets_all_its_gpus_or_waits_without_any(tmp_path):
    slots = ["a", "b"]
    with lease(slots, tmp_path):

        def wait_for_both():
            with lease_several(slots, 2, tmp_path, poll_seconds=0.01) as indices:
                got.extend(indices)

        got = []
        thread = Thread(target=wait_for_both)
        thread.start()
        # The other one is not kept by those who wait for both.
        for _ in range(3):
            with lease(["b"], tmp_path, poll_seconds=0.001):
                assert not got
    thread.join(timeout=60)
    assert got == [0, 1]


def test_a_training_takes_the_gpus_that_there_are(gpus, caplog):
    gpus.seen[:] = ["aaaa", "bbbb", "cccc"]
    with leased_devices("auto", 2) as devices, leased_device() as other:
        assert [device.index for device in devices] == [0, 1]
        assert other.index == 2
        assert count_processes(2, devices[0]) == 2
    gpus.seen[:] = ["aaaa"]
    with leased_devices("auto", 2) as devices:
        assert [device.index for device in devices] == [0]
    assert "2 GPUs are asked for" in caplog.text
    with leased_devices("cpu", 2) as devices:
        assert devices == [torch.device("cpu")]
        assert count_processes(2, devices[0]) == 1


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"cuda, .*no NVIDIA GPU"), leased_device("cuda"):
        pass
    with pytest.raises(UserError, match="must be one of auto, cpu, cuda"), leased_device("tpu"):
        pass
    with leased_device("auto") as device:
        assert device.type == "cpu"
