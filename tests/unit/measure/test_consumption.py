"""Memory and energy of the cells of a latency job."""

import json
import subprocess
import sys

import pytest
import torch

from resnest_bench.deploy.problems import NotAvailableError
from resnest_bench.measure import consumption, resident
from resnest_bench.measure.consumption import measure_consumption
from resnest_bench.measure.latency import measure_latency
from resnest_bench.measure.resident import run_process
from resnest_bench.measure.resident_process import peak_bytes
from resnest_bench.specs import LatencySpec, study_from_config
from support.meters import FakeMeter

CPU = torch.device("cpu")
SPEC = LatencySpec(
    batch_sizes=(1, 2),
    layouts=("contiguous",),
    min_samples=1,
    min_seconds=0,
    warmup_calls=1,
    warmup_seconds=0,
    reference_samples=1,
    paper_batch_size=None,
)


@pytest.fixture(scope="module")
def tiny():
    config = {
        "study": "tiny",
        "variants": [
            {
                "name": "A",
                "family": "resnest",
                "layers": [1],
                "radix": 0,
                "stem": "small",
                "width": 16,
            }
        ],
        "datasets": {"digits": {"source": "digits"}},
        "latency": [{"dataset": "digits", "protocol": "default"}],
    }
    variant = study_from_config(config, "test").variants[0]
    return variant, measure_latency(variant, 3, 32, SPEC, CPU)


def test_a_protocol_that_asks_for_nothing_measures_nothing(tiny):
    assert measure_consumption(*tiny, SPEC, CPU) is None


def test_energy_of_each_cell_and_of_the_reference_network(tiny):
    spec = SPEC.model_copy(update={"energy_seconds": 0.005})
    found = measure_consumption(*tiny, spec, CPU, lambda _: FakeMeter(10.0))
    assert [cell.batch_size for cell in found.cells] == [1, 2]
    for cell in found.cells:
        # Ten watts: ten joules for each second, shared by all images.
        expected = 10.0 * cell.seconds / (cell.num_calls * cell.batch_size)
        assert cell.joules_per_image == pytest.approx(expected, rel=0.2)
    assert found.reference_before_joules > 0
    assert found.reference_after_joules > 0
    assert (found.meter, found.gaps) == ("fake", [])


def test_without_a_counter_the_record_says_why(tiny):
    def fail(_):
        raise NotAvailableError("not available here: no counter")

    spec = SPEC.model_copy(update={"energy_seconds": 0.005})
    found = measure_consumption(*tiny, spec, CPU, fail)
    assert found.cells == []
    assert [(gap.quantity, gap.reason) for gap in found.gaps] == [
        ("energy", "not available here: no counter")
    ]
    assert (
        found.explain("fp32", "contiguous", "eager", 1) == "energy: not available here: no counter"
    )


def test_a_cell_whose_process_fails_does_not_stop_the_others(tiny, monkeypatch):
    def measure(fitted, network, setting, batch, *_):
        if batch == 1:
            raise NotAvailableError("its process ended with -9")
        return 100, 130

    monkeypatch.setattr(consumption, "measure_resident", measure)
    found = measure_consumption(*tiny, SPEC.model_copy(update={"memory": True}), CPU)
    assert [(cell.batch_size, cell.added_bytes) for cell in found.cells] == [(2, 30)]
    assert [(gap.batch_size, gap.quantity) for gap in found.gaps] == [(1, "memory")]


def test_a_process_counts_its_own_memory_and_not_that_of_its_parent():
    # On Linux ru_maxrss would begin with the size of this process.
    own = peak_bytes()
    program = "from resnest_bench.measure.resident_process import peak_bytes; print(peak_bytes())"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert 2**20 < int(ended.stdout) < own / 2


def test_a_process_that_fails_is_quoted(monkeypatch):
    ended = subprocess.CompletedProcess([], 1, "", "Traceback\nMemoryError: too large")
    monkeypatch.setattr(resident.subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(NotAvailableError, match="MemoryError: too large"):
        run_process({})


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eager", "onnxruntime"])
def test_a_file_needs_less_memory_than_torch(tiny, mode):
    spec = SPEC.model_copy(update={"memory": True, "batch_sizes": (1,), "modes": (mode,)})
    variant, _ = tiny
    observed = measure_latency(variant, 3, 32, spec, CPU)
    (cell,) = measure_consumption(variant, observed, spec, CPU).cells
    assert cell.added_bytes > 0
    # torch alone takes more than 150 MB, and ONNX Runtime with numpy less.
    assert (cell.resident_bytes < 150e6) == (mode == "onnxruntime")
    assert json.loads(cell.model_dump_json())["joules"] is None
