import os

import pytest

from resnest_bench.errors import UserError
from resnest_bench.paths import Job
from resnest_bench.records.progress import LiveProgress, read_progress, write_progress
from support.records_factory import make_epochs

JOB = Job("train", "low", "quick", "A", 1)


def progress(**fields):
    return LiveProgress.model_validate(
        {
            "job": vars(JOB),
            "num_epochs": 5,
            "epochs": make_epochs(0.5, 2),
            "dataset_label": "low",
            "device_kind": "cpu",
            "device_name": "X",
            "updated_at": "2026-01-01T00:00:00+00:00",
            **fields,
        }
    )


def test_what_was_written_is_read(tmp_path):
    write_progress(tmp_path / "p" / "seed-1.json", progress())
    read = read_progress(tmp_path / "p" / "seed-1.json", JOB)
    assert read.writer.pid == os.getpid()
    assert read.model_copy(update={"writer": None}) == progress()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSON"),
        ("[]", "(whole file)"),
        ("{}", "is missing"),
        (
            progress(num_epochs=5).model_dump_json().replace('"num_epochs":5', '"num_epochs":0'),
            "num_epochs",
        ),
        (progress(job={**vars(JOB), "seed": 2}).model_dump_json(), f"path is that of {JOB}"),
        (progress(job={**vars(JOB), "variant": "../x"}).model_dump_json(), "a name is made of"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path, text, says):
    path = tmp_path / "seed-1.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_progress(path, JOB)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_a_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_progress(tmp_path / "none.json", JOB)
