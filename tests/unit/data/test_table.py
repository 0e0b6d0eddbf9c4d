"""Labels from a table: what is read, and every way in which rows are wrong."""

import csv
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from resnest_bench.data import open_prepared, prepare, source_fingerprint
from resnest_bench.data.table import list_images, read_columns
from resnest_bench.errors import UserError
from resnest_bench.specs import TableDataset

ROWS = [
    ("a/0.png", "cat", "train"),
    ("a/1.png", "dog", "train"),
    ("b/0.png", "dog", "test"),
    ("b/1.png", "cat", "test"),
]
HEADER = ("image", "label", "split")


@pytest.fixture
def folder(tmp_path):
    for index, (name, _, _) in enumerate(ROWS):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (50 * index,) * 3).save(path)
    return tmp_path / "images"


def write_csv(path, rows=ROWS, header=HEADER):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def make_spec(path, **more):
    return TableDataset(source="table", path=str(path), image_size=8, **more)


def prepare_at(path, tmp_path, **more):
    folder = tmp_path / "data" / "prepared" / "x"
    prepare(make_spec(path, **more), "pets", folder, tmp_path / "data" / "downloads")
    return open_prepared(folder)


def test_rows_become_parts_and_classes(folder, tmp_path):
    data = prepare_at(write_csv(folder / "labels.csv"), tmp_path)
    assert data.meta.classes == ("cat", "dog")
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 1]
    # The test images in the order of the classes: b/1.png is the cat.
    assert [int(data.test.image(i)[0, 0, 0]) for i in range(2)] == [150, 100]


def test_csv_tsv_and_parquet_are_alike(folder, tmp_path):
    expected = read_columns(write_csv(folder / "labels.csv"))
    tsv = folder / "labels.tsv"
    # With a byte order mark, as Excel writes it, and blanks.
    text = "".join("\t ".join(row) + "\r\n" for row in [HEADER, *ROWS])
    tsv.write_text(text, encoding="utf-8-sig")
    table = pa.table({name: [row[i] for row in ROWS] for i, name in enumerate(HEADER)})
    parquet.write_table(table.append_column("other", [[1, 2, 3, 4]]), folder / "labels.parquet")
    assert read_columns(tsv) == read_columns(folder / "labels.parquet") == expected


def test_paths_begin_at_the_root_and_may_be_absolute(folder, tmp_path):
    rows = [ROWS[0], ROWS[1], ROWS[2], (str(folder / "b/1.png"), "cat", "test")]
    path = write_csv(tmp_path / "labels.csv", rows)
    tree = list_images(make_spec(path, root=str(folder)), "pets")
    assert tree.files["test"]["cat"] == [folder / "b/1.png"]


def test_numbers_are_ordered_as_numbers(folder):
    rows = [
        (image, label, part)
        for (image, _, part), label in zip(ROWS, ["10", "2", "2", "10"], strict=True)
    ]
    assert list_images(make_spec(write_csv(folder / "l.csv", rows)), "x").classes == ("2", "10")


def test_a_label_that_pandas_takes_for_none_is_one(folder):
    rows = [(image, {"cat": "NA", "dog": "null"}[label], part) for image, label, part in ROWS]
    assert list_images(make_spec(write_csv(folder / "l.csv", rows)), "x").classes == ("NA", "null")


def test_images_of_a_table_are_part_of_its_fingerprint(folder):
    spec = make_spec(write_csv(folder / "labels.csv"))
    before = source_fingerprint(spec)
    assert before == source_fingerprint(spec)
    Image.new("RGB", (8, 9)).save(folder / "a/0.png")
    assert source_fingerprint(spec) != before
    (folder / "a/0.png").unlink()
    assert source_fingerprint(spec)


def replace_row(number, **fields):
    row = dict(zip(HEADER, ROWS[number], strict=True)) | fields
    return [*ROWS[:number], tuple(row.values()), *ROWS[number + 1 :]]


MISTAKES = {
    r"1 of 4 are missing .*: a/9\.png: set root": (HEADER, replace_row(0, image="a/9.png")),
    r"test has bird, which train lacks": (HEADER, replace_row(2, label="bird")),
    r"several: a/0\.png \(cat and dog\)": (HEADER, replace_row(1, image="./a/0.png")),
    r"column 'label', but 1 row \(.*: 3\) has none": (HEADER, replace_row(2, label=" ")),
    r"'tests' \(1 row\)": (HEADER, replace_row(2, split="tests")),
    r"'' \(1 row\)": (HEADER, replace_row(2, split="")),
    r"for test: .*validation: test": (
        HEADER,
        [(*row[:2], row[2].replace("test", "VAL")) for row in ROWS],
    ),
    r"rename 'file_name' to 'image'": (("file_name", "label", "split"), ROWS),
    r"rename 'Labels' to 'label'": (("image", "Labels", "split"), ROWS),
    r"'splits' is probably meant to be 'split'": (("image", "label", "splits"), ROWS),
    r"'Group' is probably meant to be 'group'": (
        (*HEADER, "Group"),
        [(*row, "x") for row in ROWS],
    ),
    r"'label' must be unique": (("image", "label", "label"), ROWS),
    r"line 3: .*3 values.*4": (HEADER, [ROWS[0], (*ROWS[1], "x")]),
    r"must say which images are for testing.*set split": (
        ("image", "label"),
        [row[:2] for row in ROWS],
    ),
    r"1 of 1 groups are in several: x \(test and train\)": (
        (*HEADER, "group"),
        [(*row, "x") for row in ROWS],
    ),
    r"column 'group'": ((*HEADER, "group"), [(*row, "") for row in ROWS]),
    r"must name images": (HEADER, []),
    r"at least two different labels, but has cat": (
        HEADER,
        [(image, "cat", part) for image, _, part in ROWS],
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_what_is_wrong_with_a_table_is_said(message, folder):
    header, rows = MISTAKES[message]
    path = write_csv(folder / "labels.csv", rows, header)
    with pytest.raises(UserError, match=message):
        list_images(make_spec(path), "pets")


def test_many_missing_images_are_listed_in_one_file(folder, tmp_path):
    rows = [*ROWS, *((f"c/{number}.png", "cat", "train") for number in range(12))]
    path = write_csv(folder / "labels.csv", rows)
    with pytest.raises(UserError, match=r"12 of 16 are missing.* and 2 more, all in "):
        list_images(make_spec(path), "pets", tmp_path)
    assert len((tmp_path / "pets-missing.txt").read_text().splitlines()) == 12


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.xlsx", b"", "but got .xlsx"),
        ("l.csv", b"image;label;split\n", "separated by commas"),
        ("l.csv", b"image,label\n\xff\xfe,x\n", "UTF-8"),
        ("l.csv", b'image,label\n"a,b\n', "must be a table"),
        ("l.csv", b"", "columns image and label"),
        ("l.parquet", b"PAR1", "Parquet file"),
    ],
)
def test_what_is_no_table_is_said(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list_images(make_spec(tmp_path / name), "pets")


def test_no_table_and_no_number_of_parquet_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"datasets\.pets\.path must be a table, but .* a folder"):
        list_images(make_spec(tmp_path), "pets")
    parquet.write_table(pa.table({"image": ["a"], "label": [0.5]}), tmp_path / "l.parquet")
    with pytest.raises(UserError, match=r"text or whole numbers, but got 0\.5"):
        list_images(make_spec(tmp_path / "l.parquet"), "pets")


# Validation images


@pytest.fixture
def with_validation(folder):
    Image.new("RGB", (8, 8), (77,) * 3).save(folder / "v.png")
    return write_csv(folder / "labels.csv", [*ROWS, ("v.png", "cat", "valid")])


def test_validation_images_are_left_out_held_out_or_trained_on(with_validation, tmp_path):
    ignored = prepare_at(with_validation, tmp_path / "0")
    assert ignored.meta.reading.unused_folders == {"validation": 1}
    assert len(ignored.train) == 2
    held = prepare_at(with_validation, tmp_path / "1", validation="hold_out")
    assert held.meta.reading.num_given_validation == 1
    # The last of the training images.
    assert int(held.train.image(2)[0, 0, 0]) == 77
    joined = prepare_at(with_validation, tmp_path / "2", validation="train")
    assert joined.train.labels.tolist() == [0, 0, 1]
    assert joined.meta.reading.num_given_validation == 0
    with pytest.raises(UserError, match=r"has one: .*hold_out"):
        prepare_at(with_validation, tmp_path / "3", validation="test")


def test_validation_images_may_be_the_test_images(folder, tmp_path):
    rows = [(*row[:2], row[2].replace("test", "val")) for row in ROWS]
    data = prepare_at(write_csv(folder / "l.csv", rows), tmp_path, validation="test")
    assert (len(data.train), len(data.test)) == (2, 2)
    with pytest.raises(UserError, match=r"validation part.*has none"):
        prepare_at(write_csv(folder / "m.csv"), tmp_path, validation="train")


# Splits that are made here


def test_scenes_stay_whole_on_real_photos(test_data, tmp_path):
    """40 photos of hotdogs and others, in scenes of four: none crosses."""
    photos = tmp_path / "photos"
    with tarfile.open(test_data / "hotdog-jpeg.tar") as tar:
        wanted = [m for m in tar if "/train/" in m.name and m.isfile()]
        for label in ("hotdog", "not-hotdog"):
            of_class = [m for m in wanted if Path(m.name).parent.name == label][:20]
            tar.extractall(photos, of_class, filter="data")
    files = sorted(photos.rglob("*.jpg"))
    rows = [
        (path.relative_to(photos), path.parent.name, f"scene {index // 4}")
        for index, path in enumerate(files)
    ]
    table = write_csv(tmp_path / "l.csv", rows, ("image", "label", "group"))
    spec = {"root": str(photos), "split": {"test_fraction": 0.2, "seed": 3}}
    data = prepare_at(table, tmp_path, **spec)
    assert data.meta.counts_per_class["test"] == {"hotdog": 4, "not-hotdog": 4}
    assert data.meta.reading.split.num_groups == 10
    # The split is a table of its own, which gives the same data.
    written = tmp_path / "data" / "reports" / "pets-split.csv"
    with written.open(newline="") as file:
        made = list(csv.DictReader(file))
    parts = {row["group"]: {r["split"] for r in made if r["group"] == row["group"]} for row in made}
    assert all(len(words) == 1 for words in parts.values())
    again = prepare_at(written, tmp_path / "again", root=str(photos))
    assert again.meta.counts_per_class == data.meta.counts_per_class
    assert np.array_equal(again.test.labels, data.test.labels)


def test_parts_and_split_are_not_both_stated(folder):
    with pytest.raises(UserError, match="split is for data without parts"):
        list_images(make_spec(write_csv(folder / "l.csv"), split={}), "pets")
