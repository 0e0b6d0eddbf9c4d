"""Archives from elsewhere: all formats, nothing outside, nothing half."""

import io
import tarfile
import zipfile

import pytest

from resnest_bench.data.archives import unpack
from resnest_bench.errors import UserError


def write_tar(path, mode, members):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def write_archive(path, members):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
    else:
        write_tar(path, {".gz": "w:gz", ".xz": "w:xz"}.get(path.suffix, "w"), members)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz"])
def test_every_format_is_unpacked_once(tmp_path, suffix):
    archive = tmp_path / f"photos{suffix}"
    write_archive(archive, {"a/b c.txt": b"text"})
    folder = unpack(archive, tmp_path / "downloads")
    assert (folder / "a" / "b c.txt").read_bytes() == b"text"
    (folder / "mark").touch()
    assert unpack(archive, tmp_path / "downloads") == folder
    assert (folder / "mark").exists()


def test_another_content_gets_another_folder(tmp_path):
    archive, folders = tmp_path / "photos.zip", []
    for text in (b"one", b"two"):
        write_archive(archive, {"a.txt": text})
        folders.append(unpack(archive, tmp_path / "downloads"))
    assert [(folder / "a.txt").read_bytes() for folder in folders] == [b"one", b"two"]


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_a_member_cannot_leave_the_folder(tmp_path, suffix):
    archive = tmp_path / f"evil{suffix}"
    write_archive(archive, {"good.txt": b"", "../../outside.txt": b"evil"})
    with pytest.raises(UserError, match="outside"):
        unpack(archive, tmp_path / "downloads")
    assert not list(tmp_path.rglob("outside.txt"))
    assert not list(tmp_path.rglob("good.txt"))


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz"])
def test_half_an_archive_leaves_nothing(tmp_path, suffix):
    whole, archive = tmp_path / f"whole{suffix}", tmp_path / f"half{suffix}"
    noise = bytes(i * i % 251 for i in range(40_000))
    write_archive(whole, {"a.txt": noise, "b.txt": noise})
    archive.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UserError, match="half"):
        unpack(archive, tmp_path / "downloads")
    assert not list(tmp_path.rglob("a.txt"))


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_a_member_without_a_name_is_no_traceback(tmp_path, name):
    archive = tmp_path / "photos.zip"
    write_archive(archive, {"a.txt": b"text"})
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(zipfile.ZipInfo(name), b"")
    try:
        folder = unpack(archive, tmp_path / "downloads")
    except UserError as error:
        assert str(error).startswith(f"{archive} cannot be unpacked")  # noqa: PT017 (either will do)
    else:
        assert (folder / "a.txt").read_bytes() == b"text"


def test_a_link_to_nowhere_is_refused(tmp_path):
    archive = tmp_path / "photos.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("a")
        info.type, info.linkname = tarfile.LNKTYPE, "b"
        tar.addfile(info)
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "downloads")
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.suffix != ".lock"][1:]


def test_a_method_of_compression_that_is_not_known_is_refused(tmp_path):
    archive = tmp_path / "photos.zip"
    write_archive(archive, {"a.txt": b"text"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(signature) + offset] = 99
    archive.write_bytes(content)
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "downloads")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "page.zip").write_text("<html>not found</html>")
    with pytest.raises(UserError, match=r"page\.zip"):
        unpack(tmp_path / "page.zip", tmp_path / "downloads")


def test_backslashes_in_a_zip_separate_folders(tmp_path):
    """As some programs for Windows write them, against the format's rule."""
    archive = tmp_path / "photos.zip"
    write_archive(archive, {"train\\cat\\": b"", "train\\cat\\0.txt": b"text"})
    folder = unpack(archive, tmp_path / "downloads")
    assert (folder / "train" / "cat" / "0.txt").read_bytes() == b"text"
    assert [path.name for path in folder.iterdir()] == ["train"]


def test_backslashes_that_make_two_members_one_are_refused(tmp_path):
    archive = tmp_path / "photos.zip"
    write_archive(archive, {"a\\b.txt": b"one", "a/b.txt": b"two"})
    with pytest.raises(UserError, match=r"a/b\.txt"):
        unpack(archive, tmp_path / "downloads")
