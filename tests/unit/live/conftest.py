import pytest

from resnest_bench import files
from resnest_bench.live.interrupts import INTERRUPTED
from resnest_bench.paths import StudyPaths
from resnest_bench.records.progress import LiveProgress
from support.records_factory import make_epochs, make_study, write_study


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def paths(study, tmp_path):
    """A finished study: of A, seeds 0, 1, 2 with 60, 61 and 62 %; its latency is 2 ms."""
    made = StudyPaths(tmp_path / "results" / study.study)
    write_study(study, made)
    return made


@pytest.fixture
def tell(paths):
    """Write what a running training says of itself: `epochs` of 4, rising to 50 %."""

    def write(job, epochs=1):
        seen = LiveProgress.model_validate(
            {
                "job": vars(job),
                "num_epochs": 4,
                "epochs": make_epochs(0.5, epochs),
                "dataset_label": "Synthetic low",
                "device_kind": "cpu",
                "device_name": "X",
                "updated_at": "2026-01-01T00:00:00+00:00",
            }
        )
        # As from another machine: whether its process still runs can't be asked.
        files.write_text(paths.progress(job), seen.model_dump_json())

    return write


@pytest.fixture(autouse=True)
def uninterrupted():
    INTERRUPTED.clear()
    yield
    INTERRUPTED.clear()
