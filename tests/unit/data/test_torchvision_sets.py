"""torchvision's sets from tiny files in their true formats: idx, .mat, CIFAR's pickles, folders."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy.io import savemat
from torchvision import datasets

from resnest_bench.data import open_prepared, prepare, source_fingerprint
from resnest_bench.data.torchvision_arrays import ARRAY_SETS, MNIST_NAMES
from resnest_bench.data.torchvision_photos import PHOTO_SETS
from resnest_bench.errors import UserError
from resnest_bench.specs import TorchvisionDataset
from resnest_bench.specs.data import (
    TORCHVISION_ARRAYS,
    WITH_VALIDATION,
    WITHOUT_PARTS,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 0, 9, 3], dtype=np.uint8)


def make_spec(name, path=None, **more):
    return TorchvisionDataset(source="torchvision", name=name, path=path and str(path), **more)


def prepare_at(name, path, tmp_path, **more):
    prepare(make_spec(name, path, **more), "some", tmp_path / "x", tmp_path / "downloads")
    return open_prepared(tmp_path / "x")


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_every_name_has_a_reader_and_torchvision_its_class():
    names = TorchvisionDataset.model_fields["name"].annotation.__args__
    assert set(names) == {*ARRAY_SETS, *PHOTO_SETS}
    assert set(TORCHVISION_ARRAYS) == set(ARRAY_SETS)
    assert set(WITH_VALIDATION) == {n for n, s in PHOTO_SETS.items() if "validation" in s.parts}
    assert set(WITHOUT_PARTS) == {n for n, s in PHOTO_SETS.items() if not s.parts}
    assert all(hasattr(datasets, known.class_name) for known in PHOTO_SETS.values())
    for known in ARRAY_SETS.values():
        assert tuple(file.name for file in known.list_files()) == known.names


# idx


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_mnist(folder, images=PIXELS, labels=LABELS):
    """train: all of them; test: the last two."""
    folder.mkdir(parents=True)
    for name, array in zip(MNIST_NAMES, (images, labels, images[2:], labels[2:]), strict=True):
        (folder / name.removesuffix(".gz")).write_bytes(idx(array))


@pytest.mark.parametrize("place", ["MNIST/raw", "raw", "."])
def test_mnist_is_read_where_torchvision_keeps_it(place, tmp_path):
    write_mnist(tmp_path / "root" / place)
    data = prepare_at("mnist", tmp_path / "root", tmp_path, channels=1, image_size=32)
    assert data.meta.label == "MNIST"
    assert data.train.images.shape == (4, 32, 32, 1)
    assert data.test.labels.tolist() == [9, 3]
    assert data.meta.duplicates.test_near is None
    assert data.meta.duplicates.test_exact == 2


def test_what_torchvision_reads_is_read(tmp_path):
    write_mnist(tmp_path / "FashionMNIST" / "raw")
    theirs = datasets.FashionMNIST(str(tmp_path), train=True)
    ours = prepare_at("fashion_mnist", tmp_path, tmp_path)
    assert list(ours.meta.classes) == theirs.classes
    assert (ours.train.images[..., 0] == theirs.data.numpy()).all()
    assert ours.train.labels.tolist() == theirs.targets.tolist()


def test_packed_files_have_the_official_md5(tmp_path, monkeypatch):
    write_mnist(tmp_path / "raw")
    resources = []
    for name in MNIST_NAMES:
        plain = tmp_path / "raw" / name.removesuffix(".gz")
        content = gzip.compress(plain.read_bytes(), mtime=0)
        (tmp_path / "raw" / name).write_bytes(content)
        plain.unlink()
        resources.append((name, md5(content)))
    with pytest.raises(UserError, match="must have md5"):
        prepare_at("kmnist", tmp_path, tmp_path)
    monkeypatch.setattr(datasets.KMNIST, "resources", resources)
    assert len(prepare_at("kmnist", tmp_path, tmp_path).train) == 4
    # A download takes the same way, from the first mirror that has the file.
    mirrors = [(tmp_path / "none").as_uri() + "/", (tmp_path / "raw").as_uri() + "/"]
    monkeypatch.setattr(datasets.KMNIST, "mirrors", mirrors)
    assert len(prepare_at("kmnist", None, tmp_path / "fetched").train) == 4


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            PIXELS[:, :20, :20],
            LABELS,
            r"28x28 pixels .*\(4, 20, 20\)",
        ),
        (PIXELS, LABELS[:3], r"with labels \(3,\)"),
        (PIXELS, LABELS + 7, r"0 to 9, but got 16"),
    ],
)
def test_what_is_not_mnist_is_said(images, labels, message, tmp_path):
    write_mnist(tmp_path / "raw", images, labels)
    with pytest.raises(UserError, match=message):
        prepare_at("mnist", tmp_path, tmp_path)


def test_damaged_and_missing_files_are_said(tmp_path):
    write_mnist(tmp_path / "raw")
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(idx(PIXELS)[:-1])
    with pytest.raises(UserError, match=r"idx file.*holds 3135 bytes"):
        prepare_at("mnist", tmp_path, tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match=r"datasets\.some\.path must hold train-images"):
        prepare_at("kmnist", tmp_path / "data", tmp_path)


# SVHN


def test_svhn_calls_the_digit_0_ten(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 3), dtype=np.uint8)
    urls = {}
    for part in ("train", "test"):
        path = tmp_path / f"{part}_32x32.mat"
        savemat(path, {"X": images, "y": np.array([[10], [1], [9]], dtype=np.uint8)})
        urls[part] = [path.as_uri(), path.name, md5(path.read_bytes())]
    monkeypatch.setattr(datasets.SVHN, "split_list", urls)
    data = prepare_at("svhn", tmp_path, tmp_path)
    assert data.train.labels.tolist() == [0, 1, 9]
    assert (data.train.image(2) == images[..., 2]).all()
    theirs = datasets.SVHN(str(tmp_path), "train")
    assert theirs.labels.tolist() == data.train.labels.tolist()
    assert (theirs.data.transpose(0, 2, 3, 1) == data.train.images).all()


# CIFAR-100


def write_cifar100(tmp_path, monkeypatch, meta=None):
    rows = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
    batch = {"data": rows, "fine_labels": [0, 99, 5], "coarse_labels": [0, 1, 2]}
    names = {"fine_label_names": [f"class {number}" for number in range(100)]}
    members = {"train": batch, "test": batch, "meta": meta or names}
    archive = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, value in members.items():
            content = pickle.dumps(value, protocol=4)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", md5(archive.read_bytes()))
    return archive, rows


def test_cifar100_has_its_fine_labels(tmp_path, monkeypatch):
    archive, rows = write_cifar100(tmp_path, monkeypatch)
    data = prepare_at("cifar100", archive, tmp_path)
    assert data.test.labels.tolist() == [0, 99, 5]
    assert data.meta.classes[99] == "class 99"
    assert (data.train.image(1) == rows[1].reshape(3, 32, 32).transpose(1, 2, 0)).all()
    assert source_fingerprint(make_spec("cifar100", tmp_path)) == source_fingerprint(
        make_spec("cifar100", archive)
    )


class Command:
    def __reduce__(self):
        return (print, ("ran",))


def test_no_code_of_cifar100_is_run(tmp_path, monkeypatch, capsys):
    archive, _ = write_cifar100(tmp_path, monkeypatch, {"fine_label_names": [Command()]})
    with pytest.raises(UserError, match=r"meta is damaged: .*refused"):
        prepare_at("cifar100", archive, tmp_path)
    assert "ran" not in capsys.readouterr().out


# Photos


def save_photo(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 16), (shade,) * 3).save(path)


def test_flowers_have_three_parts(tmp_path, monkeypatch):
    base = tmp_path / "flowers-102"
    for number in range(1, 9):
        save_photo(base / "jpg" / f"image_{number:05d}.jpg", 20 * number)
    savemat(base / "imagelabels.mat", {"labels": [[1, 1, 1, 1, 2, 2, 2, 2]]})
    savemat(base / "setid.mat", {"trnid": [[1, 5]], "valid": [[2, 6]], "tstid": [[3, 4, 7, 8]]})
    files = dict(datasets.Flowers102._file_dict)
    for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat")):
        files[key] = (name, md5((base / name).read_bytes()))
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", files)
    data = prepare_at("flowers102", tmp_path, tmp_path / "out", image_size=16, validation="train")
    assert data.meta.classes == ("pink primrose", "hard-leaved pocket orchid")
    assert (len(data.train), len(data.test)) == (4, 4)
    assert data.meta.label == "Oxford Flowers-102"


def test_eurosat_is_divided(tmp_path):
    for name in ("Forest", "River"):
        for number in range(5):
            save_photo(tmp_path / "eurosat" / "2750" / name / f"{number}.jpg", 40 * number)
    data = prepare_at("eurosat", tmp_path, tmp_path / "out", image_size=16, split={})
    assert (len(data.train), len(data.test)) == (8, 2)
    assert data.meta.classes == ("Forest", "River")


def test_pets_and_imagenette_have_their_test_part(tmp_path):
    base = tmp_path / "oxford-iiit-pet"
    for index, name in enumerate(("Abyssinian_1", "Abyssinian_2", "beagle_1", "beagle_2")):
        save_photo(base / "images" / f"{name}.jpg", 40 * index)
    (base / "annotations").mkdir()
    for split, number in (("trainval", 1), ("test", 2)):
        lines = [f"Abyssinian_{number} 1 1 1", f"beagle_{number} 2 2 1"]
        (base / "annotations" / f"{split}.txt").write_text("\n".join(lines) + "\n")
    data = prepare_at("oxford_iiit_pet", tmp_path, tmp_path / "pets", image_size=16)
    assert data.meta.classes == ("Abyssinian", "Beagle")
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 1]
    for part in ("train", "val"):
        for wnid in ("n01440764", "n02102040"):
            save_photo(tmp_path / "imagenette2" / part / wnid / "0.JPEG", 50)
    data = prepare_at("imagenette", tmp_path, tmp_path / "net", image_size=16)
    assert data.meta.classes == ("tench", "English springer")


def test_photos_that_are_not_there_are_said(tmp_path):
    with pytest.raises(UserError, match=r"finds no Food-101 in .*: Dataset not found.*: correct"):
        prepare_at("food101", tmp_path, tmp_path, image_size=16)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "food101"}, "image_size"),
        ({"name": "mnist", "resize": 40, "image_size": 32}, "resize is for photos"),
        ({"name": "eurosat", "image_size": 64}, "has no test part"),
        ({"name": "mnist", "split": {}}, "mnist has them"),
        ({"name": "mnist", "validation": "train"}, "must be ignore for mnist"),
        ({"name": "dtd", "image_size": 64, "validation": "test"}, "but got 'test'"),
    ],
)
def test_keys_that_do_not_fit_a_set_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        TorchvisionDataset(source="torchvision", **fields)
