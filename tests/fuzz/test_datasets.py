"""Foreign bytes of datasets: read whole or refused in one line, and nothing outside, nothing half."""

import io
import json
import pickle
import tarfile
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from resnest_bench.data import cifar, images, open_prepared, prepare
from resnest_bench.data.prepared import PARTS, read_meta, verify
from resnest_bench.errors import UserError
from resnest_bench.paths import DataPaths
from resnest_bench.specs import DigitsDataset, ImageFolderDataset
from resnest_bench.status.fingerprints import read_fingerprints
from support.fuzzing import TEXTS, bent, damaged, fuzzed

SIDE = 16
MEMBERS = [f"{part}/{name}/{n}.png" for part in PARTS for name in "ab" for n in range(2)]
NAMES = [
    "train/a/x.png",
    "",
    ".",
    "./",
    "/",
    "//",
    "..",
    "../x.png",
    "train/../../x.png",
    "a/..",
    "\\..\\x.png",
    "C:x.png",
    "C:\\x",
    "train/a",
    "train/a/",
    "x" * 300,
    "train/" + "d/" * 60 + "x.png",
    "train/a/\n.png",
    "é/ü.png",
    "train/a/\udcff.png",
    "__MACOSX/._x.png",
    "train/c/only.png",
    "test/a/x.gif",
    ":",
    "-",
    "con",
]


def picture(size=(SIDE, SIDE), form="PNG", mode="RGB"):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, form)
    return file.getvalue()


PICTURE = picture()


def zipped(members, kind=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def tarred(members, mode="w:gz"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = name[::-1] or "../x"
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


WHOLE = [(name, PICTURE) for name in MEMBERS]
WHOLE_TAR = [(*member, tarfile.REGTYPE) for member in WHOLE]
KINDS = [
    tarfile.REGTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.DIRTYPE,
    tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
]


@pytest.fixture
def room(tmp_path_factory):
    """A folder with nothing beside it but what a test is told of."""
    return tmp_path_factory.mktemp("room")


def refused(error, place=""):
    assert str(place) in str(error)
    assert str(error).isprintable()
    assert str(error).strip()


def tree(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def prepared_from(base, name, content):
    """Prepare a dataset from an archive in a folder of its own; nothing else may come to be."""
    folder = base / str(len(list(base.iterdir())))
    (folder / "in").mkdir(parents=True)
    archive = folder / "in" / name
    archive.write_bytes(content)
    spec = ImageFolderDataset(source="imagefolder", path=str(archive), image_size=SIDE)
    target = folder / "data" / "prepared" / "x"
    try:
        meta = prepare(spec, "x", target, folder / "data" / "downloads")
    except UserError as error:
        refused(error)
        assert not target.exists()
    else:
        assert verify(target) == meta
        assert all(sum(meta.counts_per_class[part].values()) for part in PARTS)
    left = tree(folder)
    assert {Path(path).parts[0] for path in left} <= {"in", "data"}
    assert tree(folder / "in") == {name}
    assert not [path for path in left if path.endswith(".partial")]
    return target.exists()


@pytest.mark.parametrize(
    ("name", "content"), [("a.zip", zipped(WHOLE)), ("a.tar.gz", tarred(WHOLE_TAR))]
)
def test_the_archive_that_is_bent_is_valid(room, name, content):
    assert prepared_from(room, name, content)


@fuzzed(0.15, content=damaged(zipped(WHOLE)))
def test_a_damaged_zip(tmp_path_factory, content):
    prepared_from(tmp_path_factory.mktemp("zip"), "a.zip", content)


@fuzzed(0.1, content=damaged(tarred(WHOLE_TAR)), name=st.sampled_from(["a.tar.gz", "a.zip", "a"]))
def test_a_damaged_compressed_tar(tmp_path_factory, content, name):
    prepared_from(tmp_path_factory.mktemp("tar"), name, content)


@fuzzed(0.15, content=damaged(tarred(WHOLE_TAR, "w")))
def test_a_damaged_tar(tmp_path_factory, content):
    prepared_from(tmp_path_factory.mktemp("tar"), "a.tar", content)


@fuzzed(0.15, names=st.lists(st.one_of(st.sampled_from(NAMES), st.text(max_size=6)), max_size=3))
def test_members_with_odd_names_in_a_zip(tmp_path_factory, names):
    try:
        content = zipped([*WHOLE, *((name, PICTURE) for name in names)])
    except (UnicodeEncodeError, ValueError):
        return  # there is no such zip
    prepared_from(tmp_path_factory.mktemp("zip"), "a.zip", content)


@fuzzed(
    0.15, members=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(KINDS)), max_size=3)
)
def test_members_of_odd_kinds_in_a_tar(tmp_path_factory, members):
    extra = [(name, PICTURE, kind) for name, kind in members]
    prepared_from(tmp_path_factory.mktemp("tar"), "a.tar", tarred([*WHOLE_TAR, *extra], "w"))


PICTURES = [
    picture(),
    picture(form="JPEG"),
    picture(form="GIF"),
    picture(form="BMP"),
    picture(form="TIFF"),
    picture(form="WEBP"),
    picture(form="PPM"),
    picture(mode="L"),
    picture(mode="1"),
    picture((40, 9)),
]


@fuzzed(
    0.6,
    content=st.sampled_from(PICTURES).flatmap(damaged),
    suffix=st.sampled_from(sorted(images.EXTENSIONS)),
)
def test_a_damaged_image(tmp_path_factory, content, suffix):
    file = tmp_path_factory.getbasetemp() / f"image{suffix}"
    file.write_bytes(content)
    for read in (images.read_header, lambda path: images.read_resized(path, SIDE)):
        try:
            seen = read(file)
        except UserError as error:
            refused(error, file)
        else:
            if isinstance(seen, images.Photo):
                assert (seen.image.mode, min(seen.image.size)) == ("RGB", SIDE)


def cifar_batch(data, labels):
    return {
        "data": data,
        "labels": labels,
        "batch_label": "x",
        "filenames": ["a.png"] * len(labels),
    }


PIXELS = np.arange(4 * 3072, dtype=np.uint32).astype(np.uint8).reshape(4, 3072)
BATCH = pickle.dumps(cifar_batch(PIXELS, [0, 1, 2, 9]), protocol=3)


def read_batch(content):
    """A batch through the reader, from a tar as the official one is."""
    member = cifar.TEST_FILES[0]
    file = io.BytesIO(tarred([(member, content, tarfile.REGTYPE)], "w"))
    return file.getvalue(), member


def check_batch(path, content):
    archive, member = read_batch(content)
    path.write_bytes(archive)
    try:
        found, labels = cifar.read_batch(path, member)
    except UserError as error:
        refused(error)
        return None
    assert (found.dtype, found.shape[1:]) == (np.uint8, (32, 32, 3))
    assert len(found) == len(labels)
    assert all(type(label) is int and 0 <= label <= 9 for label in labels)
    return found, labels


def test_the_batch_that_is_bent_is_valid(tmp_path):
    found, labels = check_batch(tmp_path / "c.tar", BATCH)
    assert labels == [0, 1, 2, 9]
    assert found[1, 0, 0].tolist() == [PIXELS[1, 0], PIXELS[1, 1024], PIXELS[1, 2048]]


@fuzzed(0.6, content=damaged(BATCH))
def test_a_damaged_batch_of_cifar(tmp_path_factory, content):
    check_batch(tmp_path_factory.getbasetemp() / "c.tar", content)


@fuzzed(
    0.3,
    batch=bent({"data": [[0] * 8], "labels": [0, 1], "x": {"y": 1}}),
    shape=st.sampled_from([(2, 3072), (2, 3, 32, 32), (0, 3072), (6144,), (1, 2, 3072), (2, 3071)]),
)
def test_a_bent_batch_of_cifar(tmp_path_factory, batch, shape):
    if isinstance(batch.get("data"), list):
        batch["data"] = np.zeros(shape, dtype=np.uint8)
    try:
        content = pickle.dumps(batch, protocol=3)
    except (UnicodeEncodeError, RecursionError):
        return
    check_batch(tmp_path_factory.getbasetemp() / "c.tar", content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Prepared digits, and their files' contents."""
    folder = tmp_path_factory.mktemp("data") / "x"
    spec = DigitsDataset(source="digits", classes=(0, 1))
    prepare(spec, "x", folder, DataPaths(folder.parent).downloads)
    return folder, {path.name: path.read_bytes() for path in folder.iterdir()}


def check_prepared(folder, contents, name, content):
    for other, old in contents.items():
        (folder / other).write_bytes(content if other == name else old)
    try:
        data = open_prepared(folder)
    except UserError as error:
        refused(error, folder)
        return
    for part in (data.train, data.test):
        assert len(part.labels) == len(part.images)
        assert set(part.labels.tolist()) <= {0, 1}
        part.image(0)


@fuzzed(0.3, content=st.data())
def test_a_damaged_array(whole, content):
    folder, contents = whole
    name = content.draw(
        st.sampled_from(["train_images.npy", "train_labels.npy", "test_labels.npy"])
    )
    # Its header, where all that decides how the rest is read stands.
    head, body = contents[name][:160], contents[name][160:]
    check_prepared(folder, contents, name, content.draw(damaged(head)) + body)


@fuzzed(0.3, content=st.data())
def test_a_damaged_or_bent_meta_json(whole, content):
    folder, contents = whole
    text = contents["meta.json"]
    raw = st.one_of(damaged(text), bent(json.loads(text)).map(lambda v: json.dumps(v).encode()))
    check_prepared(folder, contents, "meta.json", content.draw(raw))


@fuzzed(0.1, text=st.one_of(st.sampled_from(TEXTS), st.just("[" * 10**5), st.text(max_size=30)))
def test_any_text_for_a_meta_json(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("meta")
    (folder / "meta.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError) as caught:
        read_meta(folder)
    refused(caught.value)

    study = types.SimpleNamespace(
        own_datasets={"x": None}, datasets={"x": None}, finetune=(), prepared=lambda name: folder
    )
    assert read_fingerprints(study) == {}
