"""What is read, left out, refused and counted in a folder of images: one test for each kind of surprise."""

import io
import logging
import os
import struct
import unicodedata
import zlib

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from resnest_bench.data import images, open_prepared, prepare, source_fingerprint
from resnest_bench.data.folders import CLUTTER_FOLDERS
from resnest_bench.data.images import find_orientation, identify, read_photo
from resnest_bench.data.prepared import PARTS, read_meta
from resnest_bench.errors import UserError
from resnest_bench.specs import ImageFolderDataset, StudySpec

SIDE = 8
DIGEST_BEFORE = "88cdcf967c8cbb4dc9af746e00513f89b7d2fc9a71a98896025b5c6fe99e12f2"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "photos"
    for part in PARTS:
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            Image.new("RGB", (SIDE, SIDE), (200, 100, 0)).save(folder / part / name / "0.png")
    return folder


def build_spec(path, **more):
    return ImageFolderDataset(source="imagefolder", path=str(path), image_size=SIDE, **more)


def prepare_at(root, **more):
    base = root.parent / "out"
    return prepare(build_spec(root, **more), "pets", base / "prepared", base / "downloads")


def refusal(root, **more):
    with pytest.raises(UserError) as caught:
        prepare_at(root, **more)
    assert not (root.parent / "out" / "prepared").exists()
    return str(caught.value)


def encode(form, mode="RGB", **more):
    file = io.BytesIO()
    Image.new(mode, (SIDE, SIDE)).save(file, form, **more)
    return file.getvalue()


# Files and endings


def test_the_endings_are_those_of_pillow_for_the_formats_that_are_read():
    registered = Image.registered_extensions().items()
    assert {e for e, form in registered if form in (*images.FORMATS, "TGA")} == images.EXTENSIONS
    assert images.known_formats() == images.FORMATS


@pytest.mark.parametrize(
    "name", ["1.jfif", "1.jpe", "1.JPE", "1.avif", "1.JPEG", "1.jp2", "1.tga", "1.qoi"]
)
def test_every_ending_of_a_format_that_is_read_counts(root, name):
    form = {"avif": "AVIF", "jp2": "JPEG2000", "tga": "TGA", "qoi": "QOI"}.get(name[2:], "JPEG")
    (root / "train" / "cat" / name).write_bytes(encode(form))
    meta = prepare_at(root)
    assert meta.counts_per_class["train"] == {"cat": 2, "dog": 1}
    assert meta.reading.num_skipped_files == 0


def test_an_image_with_another_ending_is_named(root, caplog):
    (root / "train" / "cat" / "scan.dat").write_bytes(encode("JPEG"))
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    (root / "train" / "cat" / "._0.png").write_bytes(encode("PNG"))
    (root / "train" / "dog" / "phone.heic").write_bytes(HEIC)
    reading = prepare_at(root).reading
    assert (reading.num_skipped_files, reading.num_misnamed_images) == (4, 1)
    assert "phone.heic (a HEIC photo" in caplog.text
    assert "scan.dat (a JPEG image)" in caplog.text
    assert "train/cat 2, train/dog 1" in caplog.text


def test_more_than_ten_files_are_listed_in_a_file(root, caplog):
    for number in range(12):
        (root / "train" / "cat" / f"{number:02}.txt").touch()
    prepare_at(root)
    assert "09.txt and 2 more" in caplog.text
    lines = (root.parent / "out" / "reports" / "pets-left-out.txt").read_text().splitlines()
    assert lines == [f"train/cat/{number:02}.txt" for number in range(12)]


# Broken files

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
HEIC = b"\0\0\0\x18ftypheic" + bytes(range(200))
BROKEN = {
    "page.jpg": (b"<!DOCTYPE html><html>not found</html>", "web page"),
    "lfs.jpg": (LFS.encode(), "Git LFS pointer"),
    "annex.jpg": (b"/annex/objects/SHA256E-s9--0.jpg\n", "git-annex pointer"),
    "empty.png": (b"", "empty file"),
    "zeros.png": (bytes(2000), "zeros"),
    "doc.jpg": (b"%PDF-1.7 ...", "PDF"),
    "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "PostScript"),
    "apple.jpg": (HEIC, "HEIC"),
    "error.jpg": (b'{"error": "no such key"}', "a text"),
    "cut.png": (encode("PNG")[:45], "cannot be read"),
    "noise.png": (bytes(range(128, 255)), "not an image"),
}


def test_all_broken_files_are_in_one_report_with_what_they_are(root):
    for number, (name, (content, _)) in enumerate(BROKEN.items()):
        (root / PARTS[number % 2] / "cat" / name).write_bytes(content)
    message = refusal(root)
    assert "11 of 15 images" in message
    assert "broken: skip" in message
    for name, (_, word) in BROKEN.items():
        if f"/{name} (" not in message:
            continue  # the eleventh
        assert word in message.split(f"/{name} (")[1].split(")")[0] + ")", message


def test_of_many_broken_files_ten_are_named_and_a_file_has_the_rest(root):
    for number in range(13):
        (root / "test" / "dog" / f"b{number:02}.png").touch()
    message = refusal(root)
    assert "b09.png" in message
    assert "b10.png" not in message
    report = root.parent / "out" / "reports" / "pets-broken.txt"
    assert str(report) in message
    assert len(report.read_text().splitlines()) == 13


def test_broken_files_can_be_left_out_and_are_counted(root, caplog):
    (root / "train" / "cat" / "1.png").write_text(LFS)
    (root / "train" / "cat" / "2.png").write_bytes(encode("PNG"))
    meta = prepare_at(root, broken="skip")
    data = open_prepared(root.parent / "out" / "prepared")
    assert meta.counts_per_class["train"] == {"cat": 2, "dog": 1}
    assert data.train.labels.tolist() == [0, 0, 1]
    assert data.train.image(1).max() == 0  # 2.png
    assert meta.reading.num_broken_images == 1
    assert "train/cat 1" in caplog.text


def test_a_class_whose_images_are_all_broken_is_refused(root):
    (root / "test" / "dog" / "0.png").write_text("x")
    assert "test/dog" in refusal(root, broken="skip")
    (root / "test" / "cat" / "0.png").write_text("x")
    assert "2 of 4 images" in refusal(root)


def test_no_decoder_of_another_format_is_started(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    def start(*_args, **_more):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", start)
    (tmp_path / "photo.jpg").write_bytes(encode("EPS"))
    with pytest.raises(UserError, match="PostScript"):
        read_photo(tmp_path / "photo.jpg")
    assert identify(tmp_path / "photo.jpg") == ""


def test_an_image_with_too_many_pixels_is_told_the_limit(root, monkeypatch):
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    content = (
        images.PNG_SIGNATURE + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    content += struct.pack(">I", 4) + b"IDATabcd"
    (root / "train" / "cat" / "large.png").write_bytes(content)
    message = refusal(root)
    assert "400,000,000 pixels" in message
    assert f"{images.MAX_PIXELS:,}" in message
    assert "attack" not in message


# Metadata


def exif_block(order, entries):
    """A raw EXIF block: tag, type, count, and the four bytes of the value."""
    body = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    start = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
    return b"Exif\0\0" + start + struct.pack(f"{order}H", len(entries)) + body


def turn(order, value=6):
    return (0x0112, 3, 1, struct.pack(f"{order}HH", value, 0))


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_found_behind_damaged_tags(order):
    damaged = (0x010F, 2, 4_000_000_000, b"\xff\xff\xff\x7f")
    assert find_orientation(exif_block(order, [damaged, turn(order)])) == 6
    assert find_orientation(exif_block(order, [damaged])) == 1
    assert find_orientation(b"Exif\0\0II") == find_orientation(b"") == find_orientation(b"xx") == 1


@pytest.mark.parametrize("damage", ["cut", "tags"])
def test_damaged_metadata_leaves_the_pixels(tmp_path, monkeypatch, damage):
    image = Image.new("RGB", (16, 8), "black")
    image.paste("white", (0, 0, 8, 8))
    block = exif_block("<", [(0x010F, 2, 4_000_000_000, b"\xff\xff\xff\x7f"), turn("<")])
    if damage == "cut":
        block = exif_block("<", [turn("<")]) + b"\x01"
    image.save(tmp_path / "a.jpg", exif=block, quality=95)

    def fail(*_args):
        raise struct.error("unpack requires more bytes")

    monkeypatch.setattr(Image.Exif, "load", fail)
    turned = np.asarray(read_photo(tmp_path / "a.jpg").image)
    assert turned.shape == (16, 8, 3)
    assert turned[:7].min() > 200
    assert turned[9:].max() < 50


def test_a_png_with_a_damaged_text_gives_its_pixels(tmp_path):
    content = encode("PNG")
    chunk = struct.pack(">I", 4) + b"tEXtabcd" + b"BAD!"  # a wrong checksum
    (tmp_path / "a.png").write_bytes(content[:33] + chunk + content[33:])
    with pytest.raises(UnidentifiedImageError):
        Image.open(tmp_path / "a.png", formats=["PNG"])
    assert read_photo(tmp_path / "a.png").image.size == (SIDE, SIDE)


# Folders


def test_the_folders_of_other_programs_are_no_classes_and_give_no_images(root, caplog):
    for name in ("@eaDir", "__MACOSX", ".cache", "$RECYCLE.BIN"):
        for place in (root, root / "train", root / "train" / "cat"):
            (place / name / "x").mkdir(parents=True)
            (place / name / "x" / "thumb.jpg").write_bytes(encode("JPEG"))
    meta = prepare_at(root)
    assert meta.classes == ("cat", "dog")
    assert meta.counts_per_class["train"] == {"cat": 1, "dog": 1}
    assert ": 12 " in caplog.text
    assert "@eaDir" in caplog.text
    assert "@eadir" in CLUTTER_FOLDERS


def test_a_linked_folder_is_read_and_its_changes_are_noticed(root):
    other = root.parent / "elsewhere"
    (other / "deep").mkdir(parents=True)
    (other / "deep" / "1.png").write_bytes(encode("PNG"))
    (root / "train" / "cat" / "more").symlink_to(other)
    (root / "train" / "dog" / "more").symlink_to(other / "deep")
    assert prepare_at(root).counts_per_class["train"] == {"cat": 2, "dog": 2}
    before = source_fingerprint(build_spec(root))
    (other / "deep" / "2.png").write_bytes(encode("PNG"))
    assert source_fingerprint(build_spec(root)) != before
    assert prepare_at(root).counts_per_class["train"] == {"cat": 3, "dog": 3}


def test_a_link_that_has_no_end_is_refused(root):
    (root / "train" / "cat" / "all").symlink_to(root)
    assert "train/cat/all" in refusal(root)
    assert source_fingerprint(build_spec(root))


def test_an_unreadable_folder_is_refused(root, monkeypatch):
    (root / "train" / "cat" / "closed").mkdir()
    scandir = os.scandir

    def scan(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert "train/cat/closed" in refusal(root)


def test_a_pipe_is_no_image(root):
    os.mkfifo(root / "train" / "cat" / "pipe.jpg")
    assert prepare_at(root).reading.num_skipped_files == 1


def test_two_roots_are_one_too_many(root):
    both = root.parent / "both"
    for name in ("a", "b"):
        for part in PARTS:
            (both / name / part).mkdir(parents=True)
    message = refusal(both)
    assert "a, b" in message
    assert "path" in message


def test_train_in_train_is_entered(root):
    expected = prepare_at(root).fingerprint
    for part in PARTS:
        (root / part).rename(root / "inner")
        (root / part).mkdir()
        (root / "inner").rename(root / part / part)
    assert prepare_at(root).fingerprint == expected


def test_what_lies_beside_train_and_test_is_said(root, caplog):
    (root / "val" / "cat").mkdir(parents=True)
    (root / "val" / "cat" / "0.png").write_bytes(encode("PNG"))
    assert prepare_at(root).reading.unused_folders == {"val": 1}
    assert "val/ is not used (images: 1)" in caplog.text


@pytest.mark.parametrize("other", ["val", "Test", "test "])
def test_a_part_of_another_name_is_pointed_out(root, other):
    (root / "test").rename(root / other)
    assert f"rename {other!r} to 'test'" in refusal(root)


# Class names


def test_two_unicode_spellings_are_one_class(root):
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    for part, name in zip(PARTS, forms, strict=True):
        (root / part / "dog").rename(root / part / name)
    assert prepare_at(root).classes == (forms[0], "cat")
    (root / "train" / forms[1]).mkdir()
    (root / "train" / forms[1] / "0.png").write_bytes(encode("PNG"))
    assert "merge" in refusal_again(root)


def refusal_again(root):
    with pytest.raises(UserError) as caught:
        prepare_at(root)
    return str(caught.value)


@pytest.mark.parametrize("other", ["Cat", "cat ", "c-a t", "ｃａｔ"])
def test_a_near_match_is_pointed_out(root, other):
    (root / "test" / "cat").rename(root / "test" / other)
    message = refusal(root)
    assert f"{other!r} and 'cat'" in message


def test_classes_with_nearly_one_name_are_said(root, caplog):
    for part in PARTS:
        (root / part / "dog").rename(root / part / "Cat")
    prepare_at(root)
    assert "'Cat', 'cat'" in caplog.text


# Pixels


def gray(path, top, dtype=np.uint16, mode=None):
    """A ramp from 0 to `top` in the upper row, `top` elsewhere."""
    values = np.full((SIDE, SIDE), top, dtype=dtype)
    values[0] = np.linspace(0, top, SIDE).astype(dtype)
    Image.fromarray(values, mode).save(path)


def gray_everywhere(root, top, dtype=np.uint16, ending=".png"):
    for part in PARTS:
        for name in ("cat", "dog"):
            (root / part / name / "0.png").unlink()
            gray(root / part / name / f"0{ending}", top, dtype)


@pytest.mark.parametrize(
    ("top", "white"),
    [
        (4095, 4095),
        (2048, 4095),
        (255, 255),
        (200, 255),
        (1023, 1023),
        (16_000, 16_383),
        (40_000, 65_535),
    ],
)
@pytest.mark.parametrize(("dtype", "ending"), [(np.uint16, ".png"), (np.int32, ".tif")])
def test_the_range_of_deep_pixels_is_that_of_their_values(root, top, white, dtype, ending):
    gray_everywhere(root, top, dtype, ending)
    meta = prepare_at(root)
    pixels = open_prepared(root.parent / "out" / "prepared").train.image(0)
    assert pixels.max() == round(top * 255 / white)
    assert (meta.reading.white_value, meta.reading.num_deep_images) == (white, 4)


def test_one_range_holds_for_all_images(root):
    gray_everywhere(root, 4000)
    gray(root / "test" / "dog" / "0.png", 100)
    prepare_at(root)
    assert (
        open_prepared(root.parent / "out" / "prepared").test.image(1).max() == 6
    )  # 100 / 4095 * 255


@pytest.mark.parametrize("top", [100, 300, 5000, 20_000, 70_000])
def test_a_range_that_cannot_be_known_is_asked_for(root, top):
    gray_everywhere(root, top, np.int32, ".tif")
    message = refusal(root)
    assert "max_value" in message
    assert f"{top:,}" in message
    assert prepare_at(root, max_value=2 * top).reading.white_value == 2 * top
    assert 127 <= open_prepared(root.parent / "out" / "prepared").train.image(0).max() <= 128


def test_values_beyond_the_range_are_refused(root):
    gray_everywhere(root, 5000)
    message = refusal(root, max_value=4095)
    assert "5,000" in message
    assert "4,095" in message
    gray_everywhere_negative = np.full((SIDE, SIDE), -7, dtype=np.int32)
    Image.fromarray(gray_everywhere_negative).save(root / "test" / "dog" / "1.tif")
    assert "-7" in refusal(root)


def test_floating_point_pixels_need_a_stated_range(root):
    gray_everywhere(root, 0.8, np.float32, ".tif")
    assert "max_value" in refusal(root)
    prepare_at(root, max_value=1)
    assert open_prepared(root.parent / "out" / "prepared").train.image(0).max() == 204
    Image.fromarray(np.full((SIDE, SIDE), np.nan, np.float32)).save(root / "test" / "dog" / "1.tif")
    with pytest.raises(UserError, match="finite"):
        prepare_at(root, max_value=1)


def test_max_value_without_deep_images_is_refused(root):
    assert "datasets.pets.max_value" in refusal(root, max_value=4095)


def png_16(value):
    """A PNG of one colour with 16 bits a channel, which Pillow can't write."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    row = b"\0" + struct.pack(">H", value) * 3 * SIDE
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * SIDE)) + chunk(b"IEND", b"")
    return images.PNG_SIGNATURE + body


def test_colour_of_16_bits_must_use_them(root):
    path = root / "train" / "cat" / "deep.png"
    path.write_bytes(png_16(60_000))
    assert prepare_at(root).reading.num_deep_images == 1
    path.write_bytes(png_16(4000))
    assert "deep.png" in refusal_again(root)


def test_a_pgm_states_its_own_range(root):
    values = np.full(SIDE * SIDE, 1000, ">u2").tobytes()
    (root / "train" / "cat" / "1.pgm").write_bytes(b"P5 8 8 4095\n" + values)
    assert prepare_at(root).reading.num_deep_images == 0
    assert open_prepared(root.parent / "out" / "prepared").train.image(1).max() == round(
        1000 / 4095 * 255
    )


def test_flattened_transparency_is_counted(root, caplog):
    caplog.set_level(logging.INFO)
    Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 51)).save(root / "train" / "cat" / "1.png")
    Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255)).save(root / "train" / "cat" / "2.png")
    assert prepare_at(root).reading.num_transparent_images == 1
    assert "transparent" in caplog.text


def test_images_that_are_nearly_black_are_said(root, caplog):
    for path in root.rglob("*.png"):
        Image.new("L", (SIDE, SIDE), 15).save(path)
    prepare_at(root)
    assert "15 of 255" in caplog.text


# Paths and what was prepared before


def test_a_tilde_is_the_home_folder(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    spec = build_spec("~/photos")
    out = root.parent / "out"
    assert prepare(spec, "pets", out / "prepared", out / "downloads").classes == ("cat", "dog")
    assert spec.path == "~/photos"
    assert source_fingerprint(spec) == source_fingerprint(build_spec(root))
    with pytest.raises(UserError, match="no such user"):
        prepare(build_spec("~nobody-here/x"), "pets", out / "p", out / "downloads")
    study = StudySpec(
        study="s",
        data_dir="~/data",
        datasets={"pets": spec},
        train=[{"dataset": "pets", "recipe": "short"}],
        variants=[{"name": "A", "family": "classic", "model": "lenet5"}],
        recipes={"short": {"epochs": 1, "learning_rate": 0.1}},
    )
    assert study.data_dir == str(root.parent / "data")


def test_keys_at_their_defaults_leave_the_folder_of_the_arrays():
    # Of commit ab49d0e, by its own code, for the same spec.
    assert build_spec("photos").digest == DIGEST_BEFORE
    assert build_spec("photos", broken="error", max_value=None).digest == DIGEST_BEFORE
    assert (
        len(
            {
                build_spec("photos", **more).digest
                for more in ({}, {"broken": "skip"}, {"max_value": 9})
            }
        )
        == 3
    )


def test_a_meta_json_from_before_is_read(root):
    import json

    prepare_at(root)
    folder = root.parent / "out" / "prepared"
    raw = json.loads((folder / "meta.json").read_text())
    assert raw.pop("reading")["num_broken_images"] == 0
    (folder / "meta.json").write_text(json.dumps(raw))
    assert read_meta(folder).reading.num_skipped_files == 0
