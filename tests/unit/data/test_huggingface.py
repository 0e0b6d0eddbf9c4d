"""Data sets of Hugging Face: `save_to_disk`, Parquet files and the hub, in their true formats."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from resnest_bench.data import open_prepared, prepare
from resnest_bench.errors import UserError
from resnest_bench.specs import HuggingFaceDataset

NAMES = ["dog", "cat"]  # their order is the labels'
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": NAMES, "_type": "ClassLabel"},
}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture(scope="module")
def photos(test_data):
    """Two real images for each of two labels, as encoded bytes."""
    with tarfile.open(test_data / "cifar10-subset-png.tar") as tar:
        members = [m for m in tar if m.isfile() and m.name.endswith(".png")]
        found = {
            name: [m for m in members if Path(m.name).parent.name == name][:6] for name in NAMES
        }
        return {
            label: [tar.extractfile(m).read() for m in found[name]]
            for label, name in enumerate(NAMES)
        }


def make_table(photos, start, num, **columns):
    rows = [(label, photos[label][i]) for i in range(start, start + num) for label in (1, 0)]
    images = [{"bytes": content, "path": f"{i}.png"} for i, (_, content) in enumerate(rows)]
    arrays = {
        "image": pa.array(images, IMAGE),
        "label": pa.array([label for label, _ in rows], pa.int64()),
        **{name: pa.array(values) for name, values in columns.items()},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": FEATURES}})}
    return pa.table(arrays).replace_schema_metadata(metadata)


def save_to_disk(folder, table):
    """One part, as `datasets` writes it: Arrow's stream, in two shards."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-00002.arrow" for number in range(2)]
    half = len(table) // 2
    for name, part in zip(names, (table[:half], table[half:]), strict=True):
        with (
            pa.OSFile(str(folder / name), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as out,
        ):
            out.write_table(part)
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    state = {"_data_files": [{"filename": name} for name in names], "_format_type": None}
    (folder / "state.json").write_text(json.dumps(state))


@pytest.fixture
def saved(photos, tmp_path):
    """train: 2 of each class; test: 1; validation: 1."""
    root = tmp_path / "saved"
    for part, start, num in (("train", 0, 2), ("test", 2, 1), ("validation", 3, 1)):
        save_to_disk(root / part, make_table(photos, start, num))
    splits = {"splits": ["train", "test", "validation"]}
    (root / "dataset_dict.json").write_text(json.dumps(splits))
    return root


def make_spec(**fields):
    return HuggingFaceDataset(source="huggingface", image_size=32, **fields)


def prepare_at(tmp_path, **fields):
    folder = tmp_path / "data" / "prepared" / "x"
    prepare(make_spec(**fields), "some", folder, tmp_path / "data" / "downloads")
    return open_prepared(folder)


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_what_save_to_disk_wrote_is_read(saved, photos, tmp_path):
    data = prepare_at(tmp_path, path=str(saved))
    assert data.meta.classes == ("dog", "cat")
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert (data.train.image(1) == pixels(photos[0][1])).all()
    assert (data.test.image(1) == pixels(photos[1][2])).all()
    assert data.meta.reading.unused_folders == {"validation": 2}
    held = prepare_at(tmp_path / "held", path=str(saved), validation="hold_out")
    assert held.meta.reading.num_given_validation == 2
    assert (held.train.image(4) == pixels(photos[0][3])).all()


def test_one_part_on_the_disk_is_divided_by_groups(photos, tmp_path):
    table = make_table(photos, 0, 6, scene=[str(i // 2) for i in range(12)])
    save_to_disk(tmp_path / "one", table)
    fields = {"path": str(tmp_path / "one"), "group_column": "scene"}
    data = prepare_at(tmp_path, **fields, split={"test_fraction": 0.5})
    assert data.meta.reading.split.num_groups == 6
    assert data.meta.counts_per_class["test"] == {"dog": 3, "cat": 3}
    with pytest.raises(UserError, match="split: "):
        prepare_at(tmp_path / "no", **fields)


@pytest.mark.parametrize(
    "names",
    [
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("train.parquet", "validation.parquet"),
    ],
)
def test_parquet_files_say_their_part_by_their_name(names, photos, tmp_path):
    for name, start in zip(names, (0, 2), strict=True):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(make_table(photos, start, 2), path)
    more = {"test_split": "validation"} if "valid" in names[1] else {}
    data = prepare_at(tmp_path, path=str(tmp_path / "root"), **more)
    assert (len(data.train), len(data.test)) == (4, 4)
    assert data.meta.classes == ("dog", "cat")


def test_text_labels_need_no_features(photos, tmp_path):
    table = make_table(photos, 0, 2).replace_schema_metadata(None)
    label = pa.array(["b", "a"] * 2)
    table = table.drop_columns("label").append_column("kind", label)
    for part in ("train", "test"):
        (tmp_path / "root").mkdir(exist_ok=True)
        parquet.write_table(table, tmp_path / "root" / f"{part}.parquet")
    data = prepare_at(tmp_path, path=str(tmp_path / "root"), label_column="kind")
    assert data.meta.classes == ("a", "b")
    with pytest.raises(UserError, match=r"column 'label', but has image, kind: state image_column"):
        prepare_at(tmp_path / "no", path=str(tmp_path / "root"))


def test_the_hub_is_asked_once(saved, photos, tmp_path, monkeypatch):
    asked = []

    def snapshot_download(repo_id, repo_type, revision, allow_patterns, local_dir):
        asked.append((repo_id, repo_type, revision, allow_patterns[0]))
        for part, start in (("train", 0), ("test", 2)):
            path = Path(local_dir, "plain", part, "0000.parquet")
            path.parent.mkdir(parents=True)
            parquet.write_table(make_table(photos, start, 2), path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    for _ in range(2):
        data = prepare_at(tmp_path, hub="me/pets", config="plain")
        assert len(data.train) == 4
        shutil.rmtree(tmp_path / "data" / "prepared")
    assert asked == [("me/pets", "dataset", "refs/convert/parquet", "plain/*.parquet")]


def test_a_hub_out_of_reach_is_said(tmp_path, monkeypatch):
    def fail(**_):
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(UserError, match=r"me/pets .*no route.*path"):
        prepare_at(tmp_path, hub="me/pets")


def spoil_label(root, photos):
    table = make_table(photos, 0, 2)
    shutil.rmtree(root / "train")
    save_to_disk(root / "train", table.set_column(1, "label", pa.array([-1, 0, 1, 0])))


def spoil_bytes(root, photos):
    table = make_table(photos, 0, 1)
    shutil.rmtree(root / "train")
    nothing = pa.array([{"bytes": None, "path": "x"}] * 2, IMAGE)
    save_to_disk(root / "train", table.set_column(0, "image", nothing))


MISTAKES = {
    r"number below 2, but row 0 of train has -1": spoil_label,
    r"'image'.*row 0 of train": spoil_bytes,
    r"state\.json names": lambda root, _: next((root / "test").glob("*.arrow")).unlink(),
    r"must be a whole file of Arrow's": lambda root, _: next(
        (root / "test").glob("*.arrow")
    ).write_bytes(b"x"),
    r"must name the data's files": lambda root, _: (root / "test" / "state.json").write_text(
        '{"_data_files": [{"filename": "../x.arrow"}]}'
    ),
    r"must be JSON": lambda root, _: (root / "dataset_dict.json").write_text("{"),
    r"holds neither": lambda root, _: (shutil.rmtree(root), root.mkdir()),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_what_is_wrong_on_the_disk_is_said(message, saved, photos, tmp_path):
    MISTAKES[message](saved, photos)
    with pytest.raises(UserError, match=message):
        prepare_at(tmp_path, path=str(saved))


def test_no_folder_is_said(tmp_path):
    with pytest.raises(UserError, match=r"datasets\.some\.path must be a folder"):
        prepare_at(tmp_path, path=str(tmp_path / "none"))
