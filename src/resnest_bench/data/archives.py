"""Unpack untrusted archives: completely or not at all, and never outside of their folder."""

import logging
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

from filelock import FileLock

from resnest_bench.data.download import file_digest
from resnest_bench.errors import UserError
from resnest_bench.files import check_writable

log = logging.getLogger(__name__)


def unpack(archive: Path, downloads: Path) -> Path:
    """Unpack `archive` (zip or tar, compressed or not) once; the folder is named by its SHA-256.

    Raises UserError if it is not an archive, is damaged, or has a member that points outside.
    """
    folder = downloads / "unpacked" / f"{archive.name.split('.')[0]}-{file_digest(archive)[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            log.info("unpacking %s", archive)
            _unpack_whole(archive, folder)
    return folder


def _unpack_whole(archive: Path, folder: Path) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed run
    try:
        partial.mkdir()
        _extract(archive, partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    try:
        # Check the suffix first: a tar that ends with a zip would pass for a zip.
        if archive.suffix.lower() == ".zip" and zipfile.is_zipfile(archive):
            _extract_zip(archive, folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                # This filter refuses members that lead outside, devices and links to elsewhere.
                tar.extractall(folder, filter="data")
        elif zipfile.is_zipfile(archive):
            _extract_zip(archive, folder)
        else:
            raise UserError(
                f"{archive} must be a complete .zip, .tar, .tar.gz or .tar.xz, but is none of them: "
                "download the archive again, or name an unpacked folder"
            )
    except UserError:
        raise
    # The archive libraries raise all kinds of errors for untrusted bytes: KeyError for a broken link,
    # NotImplementedError for a compression method, UnicodeEncodeError for a name...
    except Exception as error:
        raise UserError(
            f"{archive} cannot be unpacked: {error}: download the archive again, or free space in "
            f"{folder.parent}"
        ) from error


def _extract_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        for member in members:
            _check_member(archive, member)
        _check_distinct(archive, members)
        check_writable(folder, sum(member.file_size for member in members))
        file.extractall(folder, members)


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    # Some Windows programs separate folders by backslashes, although the format forbids it.
    member.filename = member.filename.replace("\\", "/")
    path = PurePosixPath(member.filename)
    # '' and '.' have no parts: they name the folder itself.
    first = path.parts[0] if path.parts else ""
    if path.is_absolute() or ".." in path.parts or ":" in first:
        raise UserError(
            f"{archive}: a member must stay inside the archive's folder, but got "
            f"{member.filename!r}: don't use this archive"
        )
    if member.flag_bits & 1:
        raise UserError(f"{archive}: {member.filename!r} needs a password: unpack it yourself")


def _check_distinct(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    # Some programs update an archive by appending a member again: the last one counts.
    written = {member.orig_filename: member.filename for member in members if not member.is_dir()}
    names = Counter(written.values())
    name, num = names.most_common(1)[0] if names else ("", 0)
    if num > 1:
        raise UserError(
            f"{archive}: members must have different names, but {num} are {name!r}, with slashes and with "
            "backslashes: make the archive again"
        )
