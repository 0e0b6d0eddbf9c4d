"""CIFAR-10's archive, in small, written as Python 2 wrote the official one."""

import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from resnest_bench.data import cifar, open_prepared, prepare
from resnest_bench.errors import UserError
from resnest_bench.specs import Cifar10Dataset


def python2_batch(rows: np.ndarray, labels: list[int]) -> bytes:
    """Protocol 2, with Python 2's byte strings: {'data': uint8 array, 'labels': list}."""
    num = struct.pack("<i", len(rows))
    return (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01J" + num + b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + struct.pack("<i", rows.size) + rows.tobytes() + b"tb"
        b"U\x06labels](" + b"".join(b"K" + bytes([n]) for n in labels) + b"eu."
    )


def write_archive(path, batches: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in batches.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def rows():
    return np.random.default_rng(0).integers(0, 256, (6, 20, 3072), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path, monkeypatch, rows):
    path = tmp_path / "own.tar.gz"
    labels = [n % 10 for n in range(20)]
    names = [*cifar.TRAIN_FILES, *cifar.TEST_FILES]
    write_archive(path, {n: python2_batch(rows[i], labels) for i, n in enumerate(names)})
    trust(path, monkeypatch)
    return path


def trust(path, monkeypatch):
    monkeypatch.setattr(cifar, "MD5", hashlib.md5(path.read_bytes()).hexdigest())


def prepare_at(path, tmp_path):
    spec = Cifar10Dataset(source="cifar10", path=str(path))
    return prepare(spec, "cifar10", tmp_path / "prepared", tmp_path / "downloads")


@pytest.mark.filterwarnings("error")
def test_images_and_labels_in_the_archives_order(archive, tmp_path, rows):
    meta = prepare_at(archive, tmp_path)
    data = open_prepared(tmp_path / "prepared")
    assert (meta.label, meta.uniform, len(data.train), len(data.test)) == (
        "CIFAR-10",
        True,
        100,
        20,
    )
    # Batch 2's image 3: red, green and blue planes one after another, row by row.
    image = data.train.image(23)
    assert image[5, 7].tolist() == [rows[1, 3, 1024 * plane + 32 * 5 + 7] for plane in range(3)]
    assert data.train.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert (data.test.image(19)[..., 0].ravel() == rows[5, 19, :1024]).all()
    assert meta.counts_per_class["train"]["frog"] == 10


def test_the_archive_is_downloaded_from_the_first_mirror_that_has_it(archive, tmp_path):
    urls = ((tmp_path / "gone.tar.gz").as_uri(), archive.as_uri())
    spec = Cifar10Dataset(source="cifar10", urls=urls)
    prepare(spec, "cifar10", tmp_path / "prepared", tmp_path / "downloads")
    assert (tmp_path / "downloads" / cifar.ARCHIVE).read_bytes() == archive.read_bytes()


def test_another_archive_is_refused(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "MD5", "0" * 32)
    with pytest.raises(UserError, match=f"md5 {'0' * 32}, but got md5 .* bytes"):
        prepare_at(archive, tmp_path)
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize(("name", "word"), [("none.tar.gz", "not there"), ("", "a folder")])
def test_a_path_without_an_archive_is_named(tmp_path, name, word):
    with pytest.raises(UserError, match=word):
        prepare_at(tmp_path / name, tmp_path)


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.marker}",)


def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch):
    path, marker = tmp_path / "evil.tar.gz", tmp_path / "was-here"
    write_archive(path, {cifar.TRAIN_FILES[0]: pickle.dumps({"data": Evil(marker)})})
    trust(path, monkeypatch)
    with pytest.raises(UserError, match=r"data_batch_1.*system, which is refused"):
        prepare_at(path, tmp_path)
    assert not marker.exists()
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize(
    "batch",
    [
        b"not a pickle",
        pickle.dumps({"labels": [1]}),
        pickle.dumps(["data", "labels"]),
        pickle.dumps({"data": np.zeros((1, 3072)), "labels": [1]}, protocol=4),
        pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, protocol=4),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, protocol=4),
    ],
)
def test_what_is_no_batch_is_named(tmp_path, monkeypatch, batch):
    path = tmp_path / "own.tar.gz"
    write_archive(path, {cifar.TRAIN_FILES[0]: batch})
    trust(path, monkeypatch)
    with pytest.raises(UserError, match="data_batch_1 is not a batch of CIFAR-10"):
        prepare_at(path, tmp_path)
