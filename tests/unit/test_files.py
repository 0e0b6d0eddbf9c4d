"""Files are whole or not there."""

import os
import threading

import pytest

from resnest_bench import files
from resnest_bench.errors import UserError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "seed-0.json"


def test_an_interrupted_write_leaves_the_old_record(file, monkeypatch):
    files.write_text(file, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="No space left on device"):
        files.write_text(file, "new")
    assert file.read_text() == "old"
    assert list(file.parent.iterdir()) == [file]


def test_readers_never_see_half_a_file(file):
    texts = {"a" * 300_000, "b" * 300_000}
    files.write_text(file, "a" * 300_000)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for text in texts:
                files.write_text(file, text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(file.read_text() in texts for _ in range(50))
    finally:
        stop.set()
        writer.join()


def test_a_folder_that_is_a_file_gets_a_clear_error(tmp_path):
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(UserError, match="cannot write"):
        files.check_writable(tmp_path / "results" / "demo")


def test_a_full_disk_is_seen_before_the_work(tmp_path):
    with pytest.raises(UserError, match="MiB free, but this job needs"):
        files.check_writable(tmp_path, needed_bytes=2**60)


def test_a_written_record_can_be_read_by_the_group(file):
    plain = file.with_name("plain")
    plain.touch()
    files.write_text(file, "x")
    assert file.stat().st_mode == plain.stat().st_mode
