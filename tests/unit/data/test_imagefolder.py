"""Image folders and archives: every kind of file, and every way in which a tree is wrong."""

import hashlib
import json
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from resnest_bench.data import open_prepared, prepare
from resnest_bench.data.images import read_photo, read_resized, resize_shorter
from resnest_bench.errors import UserError
from resnest_bench.paths import image_names_file
from resnest_bench.specs import ImageFolderDataset


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "photos"
    for part in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            (folder / part / name).mkdir(parents=True)
            Image.new("RGB", (8, 8), (100 * number,) * 3).save(folder / part / name / "0.png")
    return folder


def prepare_at(path, tmp_path, **more):
    spec = ImageFolderDataset(source="imagefolder", path=str(path), image_size=8, **more)
    return prepare(spec, "pets", tmp_path / "prepared", tmp_path / "downloads")


def test_images_of_one_size_are_kept_as_they_are(root, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / "test" / "dog" / "0.png")
    meta = prepare_at(root, tmp_path)
    data = open_prepared(tmp_path / "prepared")
    assert (meta.uniform, meta.label, meta.resize) == (True, "pets", 8)
    assert (data.test.image(1) == pixels).all()
    assert data.test.labels.tolist() == [0, 1]
    names = json.loads(image_names_file(tmp_path / "prepared").read_text())
    assert names == ["test/cat/0.png", "test/dog/0.png"]


def test_a_margin_makes_the_data_ragged(root, tmp_path):
    meta = prepare_at(root, tmp_path, resize=10, label="Pets")
    assert (meta.uniform, meta.resize, meta.label) == (False, 10, "Pets")
    assert open_prepared(tmp_path / "prepared").train.shapes.tolist() == [[10, 10]] * 2


def test_odd_names_count_and_what_is_no_image_is_skipped(root, tmp_path, caplog):
    folder = root / "train" / "cat"
    for name in ("a [1] (2).PNG", "größe 猫.png", "deep/er.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "0.png", folder / name)
    for name in (".hidden.png", "notes.txt", "Thumbs.db"):
        (folder / name).write_text("no image")
    (root / "train" / ".git").mkdir()
    meta = prepare_at(root, tmp_path)
    assert meta.counts_per_class["train"] == {"cat": 4, "dog": 1}
    assert ": 3 " in caplog.text
    assert "notes.txt" in caplog.text


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".zip", ".tar.xz"])
def test_an_archive_gives_what_its_folder_gives(root, tmp_path, suffix, wrapped):
    expected = prepare_at(root, tmp_path / "folder")
    archive = tmp_path / f"pets{suffix}"
    prefix = "pets-1.0/" if wrapped else ""
    files = {f"{prefix}{p.relative_to(root).as_posix()}": p for p in root.rglob("*.png")}
    if suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("__MACOSX/train/x", "")
            for name, path in files.items():
                file.write(path, name)
    else:
        with tarfile.open(archive, "w:xz") as file:
            for name, path in files.items():
                file.add(path, name)
    assert prepare_at(archive, tmp_path).fingerprint == expected.fingerprint


def test_an_archive_is_downloaded_by_its_checksum(root, tmp_path):
    archive = tmp_path / "my pets.zip"
    shutil.make_archive(archive.with_suffix(""), "zip", root)
    sha1 = hashlib.sha1(archive.read_bytes()).hexdigest()

    def spec(checksum):
        return ImageFolderDataset(
            source="imagefolder", urls=(archive.as_uri(),), checksum=checksum, image_size=8
        )

    meta = prepare(spec(f"sha1:{sha1}"), "pets", tmp_path / "p", tmp_path / "downloads")
    assert meta.counts_per_class["test"] == {"cat": 1, "dog": 1}
    with pytest.raises(UserError, match=f"sha1 {'0' * 40}, but got sha1 {sha1}"):
        prepare(spec(f"sha1:{'0' * 40}"), "pets", tmp_path / "q", tmp_path / "downloads")
    with pytest.raises(UserError, match=r"datasets\.pets\.path.*must have md5"):
        prepare_at(archive, tmp_path, checksum=f"md5:{'0' * 32}")


def cut_off(root):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = root / "test" / "dog" / "cut.jpg"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-500])


MISTAKES = {
    r"train/ and test/.*but got train": lambda r: shutil.rmtree(r / "test"),
    r"train/ and test/.*but got test": lambda r: shutil.rmtree(r / "train"),
    r"train.cat must hold at least one": lambda r: (r / "train" / "cat" / "0.png").unlink(),
    r"test.dog must hold at least one": lambda r: (r / "test" / "dog" / "0.png").unlink(),
    r"test/ has bird, which train/ lacks": lambda r: (r / "test" / "bird").mkdir(),
    r"train/ has bird, which test/ lacks": lambda r: (r / "train" / "bird").mkdir(),
    r"two classes, but has dog": lambda r: [
        shutil.rmtree(r / p / "cat") for p in ("train", "test")
    ],
    r"1 of 5 images.*test/dog/cut\.jpg": cut_off,
    r"train/cat/bad\.png \(a text": lambda r: (r / "train" / "cat" / "bad.png").write_text("x"),
    r"train/cat/empty\.gif \(an empty file": lambda r: (r / "train" / "cat" / "empty.gif").touch(),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_named_and_leaves_nothing(root, tmp_path, message):
    MISTAKES[message](root)
    with pytest.raises(UserError, match=message):
        prepare_at(root, tmp_path)
    left = [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")]
    assert sorted(left) == ["downloads", "photos"]


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(UserError, match=r"datasets\.pets\.path: .*none does not exist"):
        prepare_at(tmp_path / "none", tmp_path)


def gray16():
    return Image.fromarray(np.full((4, 4), 257 * 200, dtype=np.uint16))


def half_transparent():
    return Image.new("RGBA", (4, 4), (0, 100, 200, 51))


# One colour in, one colour out. 51/255 of the colour and 4/5 of white: 204, 224, 244.
MODES = {
    "gray.png": (lambda: Image.new("L", (4, 4), 77), (77, 77, 77)),
    "gray16.png": (gray16, (200, 200, 200)),
    "bit.png": (lambda: Image.new("1", (4, 4), 1), (255, 255, 255)),
    "rgba.png": (half_transparent, (204, 224, 244)),
    "la.png": (lambda: Image.new("LA", (4, 4), (0, 51)), (204, 204, 204)),
    "palette.png": (lambda: Image.new("RGB", (4, 4), (9, 8, 7)).convert("P", palette=1), (9, 8, 7)),
    "cmyk.tif": (lambda: Image.new("CMYK", (4, 4), (255, 0, 0, 0)), (0, 255, 255)),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_rgb(tmp_path, name):
    make, expected = MODES[name]
    make().save(tmp_path / name)
    image = read_photo(tmp_path / name).image
    assert image.mode == "RGB"
    assert image.getpixel((2, 2)) == expected


def test_floating_point_pixels_are_refused(tmp_path):
    Image.new("F", (4, 4), 0.5).save(tmp_path / "f.tif")
    with pytest.raises(UserError, match="floating-point"):
        read_photo(tmp_path / "f.tif")


def test_the_orientation_of_a_camera_is_applied(root, tmp_path):
    image = Image.new("RGB", (16, 8), "black")
    image.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the left half becomes the upper one
    image.save(root / "train" / "cat" / "1.png", exif=exif)
    prepare_at(root, tmp_path)
    turned = open_prepared(tmp_path / "prepared").train.image(1)
    assert turned.shape == (16, 8, 3)
    assert (turned[:8] == 255).all()
    assert (turned[8:] == 0).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [((400, 200), (200, 100)), ((50, 75), (100, 150)), ((100, 130), (100, 130))],
)
def test_the_shorter_side_is_scaled(size, expected):
    assert resize_shorter(Image.new("RGB", size), 100).size == expected


def test_a_mere_line_is_refused(tmp_path):
    """Its shorter side at 224 pixels would make 30,000 x 224 x 224 pixels of it."""
    Image.new("RGB", (30_000, 1)).save(tmp_path / "line.png")
    with pytest.raises(UserError, match=r"30000x1 pixels.* at most 100 times"):
        read_resized(tmp_path / "line.png", 224)
    Image.new("RGB", (100, 1)).save(tmp_path / "thin.png")
    assert read_resized(tmp_path / "thin.png", 2).image.size == (200, 2)


def test_scaling_down_is_antialiased():
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    small = np.asarray(resize_shorter(Image.fromarray(stripes), 32))
    assert np.abs(small[:, 2:-2].astype(int) - 100).max() <= 1


@pytest.mark.data
def test_real_lossless_images_come_through_unchanged(test_data, tmp_path):
    spec = ImageFolderDataset(
        source="imagefolder", path=str(test_data / "cifar10-subset-png.tar"), image_size=32
    )
    meta = prepare(spec, "cifar10-png", tmp_path / "prepared", tmp_path / "downloads")
    data = open_prepared(tmp_path / "prepared")
    assert meta.uniform
    assert (len(data.train), len(data.test), len(meta.classes)) == (5000, 1000, 10)
    files = sorted((tmp_path / "downloads").rglob("test/*/*.png"), key=str)
    names = json.loads(image_names_file(tmp_path / "prepared").read_text())
    for index in (0, 499, 999):
        assert files[index].parent.name == meta.classes[data.test.labels[index]]
        assert files[index].as_posix().endswith(names[index])
        with Image.open(files[index]) as image:
            assert (data.test.image(index) == np.asarray(image)).all()


@pytest.mark.data
def test_real_photos_keep_their_aspect(test_data, tmp_path):
    with tarfile.open(test_data / "hotdog-jpeg.tar") as tar:
        chosen = [m for m in tar.getmembers() if m.name.endswith(("/0000.jpg", "/0001.jpg"))]
        tar.extractall(tmp_path, members=chosen, filter="data")
    root = tmp_path / "hotdog-jpeg"
    spec = ImageFolderDataset(
        source="imagefolder", path=str(root), image_size=96, resize=112, label="hotdog photos"
    )
    prepare(spec, "hotdog", tmp_path / "prepared", tmp_path)
    data = open_prepared(tmp_path / "prepared")
    assert not data.meta.uniform
    files = sorted((root / "train").rglob("*.jpg"), key=str)
    assert len(data.train) == len(files) == 4
    for path, (height, width) in zip(files, data.train.shapes.tolist(), strict=True):
        with Image.open(path) as image:
            assert min(height, width) == 112
            assert width / height == pytest.approx(image.width / image.height, rel=0.02)
