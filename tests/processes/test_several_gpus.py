"""A training that two processes share, on CPUs through gloo: it computes what one process does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from support import shared_steps

SCRIPT = Path(shared_steps.__file__)
pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def shared_results(tmp_path_factory):
    """What both processes have after each case's steps, by case."""
    folder, port = tmp_path_factory.mktemp("shared"), free_port()
    interface = "lo0" if sys.platform == "darwin" else "lo"
    variables = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": interface}
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(port), str(folder)],
            env={**os.environ, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(errors)
    return {
        name: [load_file(folder / f"{number}-{rank}.safetensors") for rank in range(2)]
        for number, name in enumerate(shared_steps.CASES)
    }


@pytest.mark.parametrize("name", shared_steps.CASES)
def test_two_processes_compute_what_one_does(shared_results, name):
    torch.set_num_threads(1)
    expected = shared_steps.run_steps(name)
    first, second = shared_results[name]
    assert first.keys() == second.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(first[key], second[key]), key
        # Sums in another order: 1e-16, which three steps and AdamW's division by small gradients amplify.
        torch.testing.assert_close(
            first[key], value, rtol=1e-7, atol=1e-9, msg=lambda m, k=key: f"{k}: {m}"
        )
