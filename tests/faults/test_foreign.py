"""Files from elsewhere run no code and write nowhere else; names reach no shell; the dashboard stays here."""

import copy
import io
import os
import pickle
import shutil
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from resnest_bench.data import cifar
from resnest_bench.data.archives import unpack
from resnest_bench.data.download import file_digest
from resnest_bench.data.prepared import open_prepared
from resnest_bench.errors import UserError
from resnest_bench.models.weight_files import load_weights_file
from resnest_bench.specs import load_study, study_from_config
from support.dashboard_server import dashboard_command
from support.faults_study import CONFIG, TRAIN, read_records

ROOT = Path(__file__).parents[2]


class Evil:
    """Whoever unpickles it makes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return (os.mkdir, (self.marker,))


@pytest.fixture
def marker(tmp_path):
    """What must not come to be. That it would is tested first."""
    pickle.loads(pickle.dumps(Evil(tmp_path / "proof")))
    assert (tmp_path / "proof").exists()
    return tmp_path / "marker"


def test_a_checkpoint_that_is_a_pickle(jobs, whole, study, marker):
    jobs.run(*TRAIN, folder=study)
    (record,) = study.rglob("records/train/**/seed-0.json")
    record.unlink()
    (finished,) = study.rglob("seed-0/finished.json")
    finished.unlink()
    finished.with_name("state.safetensors").write_bytes(pickle.dumps(Evil(marker)))
    assert "can't be used" in jobs.run(*TRAIN, folder=study)
    assert read_records(study) == whole.records
    assert not marker.exists()


def test_a_batch_of_cifar_that_is_another_pickle(tmp_path, monkeypatch, marker):
    """With a forged MD5 too."""
    archive = tmp_path / cifar.ARCHIVE
    content = pickle.dumps({"data": Evil(marker), "labels": [0]})
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo(cifar.TRAIN_FILES[0])
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    config = copy.deepcopy(CONFIG)
    config["datasets"]["low"] = {"source": "cifar10", "path": str(archive)}
    spec = study_from_config(config, "test").dataset("low")
    with pytest.raises(UserError, match="get the official archive"):
        cifar.read(spec, "low", tmp_path)
    monkeypatch.setattr(cifar, "MD5", file_digest(archive, "md5"))
    with pytest.raises(UserError, match="is refused"):
        list(cifar.read(spec, "low", tmp_path).train)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
def test_weights_that_run_code(tmp_path, marker, suffix):
    path = tmp_path / f"weights{suffix}"
    torch.save({"state_dict": {"weight": Evil(marker)}}, path)
    with pytest.raises(UserError, match="only tensors"):
        load_weights_file(path)
    assert not marker.exists()


def test_prepared_arrays_that_run_code(tmp_path, whole, marker):
    (meta,) = whole.data.rglob("meta.json")
    folder = shutil.copytree(meta.parent, tmp_path / "prepared")
    objects = np.array([Evil(marker)], dtype=object)
    with (folder / "train_labels.npy").open("wb") as file:
        np.lib.format.write_array(file, objects, allow_pickle=True)
    with pytest.raises(UserError, match=r"train_labels\.npy"):
        open_prepared(folder)
    assert not marker.exists()


def test_a_config_that_runs_code(tmp_path, marker):
    path = tmp_path / "config.yaml"
    path.write_text(f"study: !!python/object/apply:os.mkdir ['{marker}']\n")
    with pytest.raises(UserError, match=r"config\.yaml"):
        load_study(path)
    assert not marker.exists()


def tar_member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 4 if kind == tarfile.REGTYPE else 0
    return info


TAR_MEMBERS = {
    "parent": [tar_member("../../out")],
    "absolute": [tar_member("OUTSIDE/out")],
    "link to outside": [tar_member("link", tarfile.SYMTYPE, "OUTSIDE"), tar_member("link/out")],
    "hard link to outside": [tar_member("out", tarfile.LNKTYPE, "OUTSIDE/secret")],
    "device": [tar_member("out", tarfile.CHRTYPE)],
    "pipe": [tar_member("out", tarfile.FIFOTYPE)],
}


def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("mine")
    return folder


def nothing_left_its_folder(tmp_path, folder):
    """No archive was made to write there, and nothing inside leads there."""
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert (folder / "secret").read_text() == "mine"
    assert not (tmp_path / "out").exists()
    for path in (tmp_path / "downloads").rglob("*"):
        assert path.is_dir() or path.is_file(), f"{path} is a device or a pipe"
        assert path.resolve().is_relative_to(tmp_path / "downloads")
        assert path.is_dir() or path.stat().st_nlink == 1


@pytest.mark.parametrize("name", TAR_MEMBERS)
def test_a_tar_cannot_write_outside_its_folder(tmp_path, name):
    folder, archive = outside(tmp_path), tmp_path / "photos.tar"
    with tarfile.open(archive, "w") as tar:
        for member in copy.deepcopy(TAR_MEMBERS[name]):
            member.name = member.name.replace("OUTSIDE", str(folder))
            member.linkname = member.linkname.replace("OUTSIDE", str(folder))
            tar.addfile(member, io.BytesIO(b"evil") if member.isreg() else None)
    if name == "absolute":
        # What is named from the root comes to lie inside.
        assert (unpack(archive, tmp_path / "downloads") / str(folder)[1:] / "out").exists()
    else:
        with pytest.raises(UserError, match="cannot be unpacked"):
            unpack(archive, tmp_path / "downloads")
        assert not list((tmp_path / "downloads").rglob("out"))
    nothing_left_its_folder(tmp_path, folder)


@pytest.mark.parametrize("name", ["../../out", "OUTSIDE/out", "..\\..\\out", "C:\\out"])
def test_a_zip_cannot_write_outside_its_folder(tmp_path, name):
    folder, archive = outside(tmp_path), tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name.replace("OUTSIDE", str(folder)), "evil")
    with pytest.raises(UserError, match="must stay inside"):
        unpack(archive, tmp_path / "downloads")
    nothing_left_its_folder(tmp_path, folder)


def test_a_link_in_a_zip_leads_nowhere(tmp_path):
    folder, archive = outside(tmp_path), tmp_path / "photos.zip"
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(link, str(folder))
    made = unpack(archive, tmp_path / "downloads") / "link"
    assert not made.is_symlink()
    assert made.read_text() == str(folder)
    nothing_left_its_folder(tmp_path, folder)


@pytest.mark.parametrize("name", ["$(touch x)", "a; touch x", "a'b", "../a", "-rf", "a\nb", "a b"])
@pytest.mark.parametrize("place", ["variant", "dataset", "recipe", "study"])
def test_a_name_that_a_shell_would_run(name, place):
    config = copy.deepcopy(CONFIG)
    if place == "variant":
        config["variants"][0]["name"] = name
    elif place == "study":
        config["study"] = name
    else:
        entries = config[f"{place}s"]
        entries[name] = entries.pop(next(iter(entries)))
    with pytest.raises(UserError, match="a name is made of letters, digits"):
        study_from_config(config, "test")


@pytest.mark.slow
def test_the_dashboard_listens_on_this_machine_alone():
    """As the README starts it, with no option that says so."""
    command, _ = dashboard_command()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        addresses = listening_addresses(process)
    finally:
        process.terminate()
        process.wait(20)
    assert addresses
    assert addresses <= {"127.0.0.1", "::1"}


def listening_addresses(process, seconds=120.0):
    """The addresses that a process listens on, once there are any."""
    end, found = time.monotonic() + seconds, set()
    while not found and time.monotonic() < end and process.poll() is None:
        time.sleep(0.1)
        seen = psutil.Process(process.pid).net_connections(kind="tcp")
        found = {c.laddr.ip for c in seen if c.status == psutil.CONN_LISTEN}
    return found
