"""Unpacking archives from elsewhere: nothing is written outside, and all of it or nothing."""

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

    Raises UserError where it is no archive, is broken, or has a member that points outside.
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
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        partial.mkdir()
        _extract(archive, partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    try:
        # The suffix decides first: a tar may hold a zip at its end, and would pass for one.
        if archive.suffix.lower() == ".zip" and zipfile.is_zipfile(archive):
            _extract_zip(archive, folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                # Refuses members that lead outside, devices and links to elsewhere.
                tar.extractall(folder, filter="data")
        elif zipfile.is_zipfile(archive):
            _extract_zip(archive, folder)
        else:
            raise UserError(
                f"{archive} must be a whole .zip, .tar, .tar.gz or .tar.xz, but is none of them: "
                "get the archive again, or give an unpacked folder"
            )
    except UserError:
        raise
    # The bytes are foreign, and the readers of archives fail on them in any way they like: KeyError for a
    # link to nowhere, NotImplementedError for a method of compression, UnicodeEncodeError for a name...
    except Exception as error:
        raise UserError(
            f"{archive} cannot be unpacked: {error}: get the archive again, or free space in "
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
    # Some programs for Windows separate folders by backslashes, against the format's rule.
    member.filename = member.filename.replace("\\", "/")
    path = PurePosixPath(member.filename)
    # '' and '.' have no part, and name the folder itself.
    first = path.parts[0] if path.parts else ""
    if path.is_absolute() or ".." in path.parts or ":" in first:
        raise UserError(
            f"{archive}: a member must stay inside the archive's folder, but one is named "
            f"{member.filename!r}: don't use this archive"
        )
    if member.flag_bits & 1:
        raise UserError(f"{archive}: {member.filename!r} needs a password: unpack it yourself")


def _check_distinct(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    # The same member twice, as some programs update an archive, is no question: the last one counts.
    written = {member.orig_filename: member.filename for member in members if not member.is_dir()}
    names = Counter(written.values())
    name, num = names.most_common(1)[0] if names else ("", 0)
    if num > 1:
        raise UserError(
            f"{archive}: members must have different names, but {num} are {name!r}, with slashes and with "
            "backslashes: make the archive again"
        )
