"""Descriptions of data sets that mlcroissant accepts."""

import json

import pytest

from resnest_bench.provenance.croissant import describe_dataset, describe_datasets
from resnest_bench.records.observations import DatasetIdentity
from support.records_factory import CONFIG, make_record, make_study

SHA256 = "sha256:" + "ab" * 32
SEEN = DatasetIdentity(
    name="photos",
    label="Photos",
    fingerprint="cd" * 32,
    num_train=5,
    num_validation=1,
    num_test=3,
    classes=["cat", "ship"],
    train_images_per_class=[4, 2],
    test_images_per_class=[1, 2],
)
FOLDERS = {"source": "imagefolder", "image_size": 32, "resize": 32}
DATASETS = {
    "archive": {**FOLDERS, "urls": ["https://example.org/p.tar.gz"], "checksum": SHA256},
    "local": {**FOLDERS, "path": "/home/ann/photos", "license": "CC-BY-4.0"},
    "cifar10": {"source": "cifar10"},
    "digits": {"source": "digits"},
    "pets": {"source": "torchvision", "name": "oxford_iiit_pet", "image_size": 64},
    "hub": {"source": "huggingface", "hub": "uoft-cs/cifar10", "image_size": 32, "resize": 32},
}


@pytest.fixture(scope="module")
def specs():
    return make_study(datasets={**CONFIG["datasets"], **DATASETS}).datasets


@pytest.mark.parametrize("name", DATASETS)
def test_mlcroissant_reads_classes_and_parts(specs, name, tmp_path):
    croissant = pytest.importorskip("mlcroissant")
    made = describe_dataset(specs[name], SEEN)
    file = tmp_path / "data.jsonld"
    file.write_text(json.dumps(made))
    data = croissant.Dataset(str(file))
    assert not data.metadata.ctx.issues.errors
    classes = list(data.records("classes"))
    assert [row["classes/name"] for row in classes] == ["cat", "ship"]
    assert [row["classes/test_images"] for row in classes] == [1, 2]
    # The held-out image is one of those for training.
    parts = {row["parts/name"]: row["parts/images"] for row in data.records("parts")}
    assert parts == {"train": 6, "test": 3}


def test_images_of_an_archive_are_read(specs, tmp_path):
    """A real archive, at an address on this machine: its pictures and their labels."""
    import hashlib
    import tarfile

    from PIL import Image

    croissant = pytest.importorskip("mlcroissant")
    for name in ("train/cat/1.png", "test/ship/2.png"):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(file)
    archive = tmp_path / "p.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "in", ".")
    made = describe_dataset(specs["archive"], SEEN)
    made["distribution"][0] |= {
        "contentUrl": str(archive),
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }
    file = tmp_path / "data.jsonld"
    file.write_text(json.dumps(made))
    rows = list(croissant.Dataset(str(file)).records("images"))
    labels = (row["images/label"] for row in rows)
    assert sorted(one.decode() if isinstance(one, bytes) else one for one in labels) == [
        "cat",
        "ship",
    ]
    assert {row["images/image"].size for row in rows} == {(4, 4)}


def test_origin_checksum_and_licence(specs):
    archive = describe_dataset(specs["archive"], SEEN)
    file = archive["distribution"][0]
    assert (file["contentUrl"], file["sha256"]) == ("https://example.org/p.tar.gz", "ab" * 32)
    assert archive["identifier"] == "sha256:" + "cd" * 32
    assert archive["license"] == "not stated"
    assert describe_dataset(specs["local"], SEEN)["license"] == "CC-BY-4.0"
    assert describe_dataset(specs["pets"], SEEN)["license"] == "CC-BY-SA-4.0"
    assert describe_dataset(specs["cifar10"], SEEN)["distribution"][0]["md5"]


def test_a_local_path_stays_here(specs):
    assert "/home" not in json.dumps(describe_dataset(specs["local"], SEEN))


def test_a_licence_is_no_part_of_the_datas_digest(specs):
    local = specs["local"]
    assert local.digest == local.model_copy(update={"license": ""}).digest


def test_only_data_that_were_used():
    study = make_study()
    job = study.jobs()[0]
    assert list(describe_datasets(study, [make_record(study, job)])) == [job.dataset]
