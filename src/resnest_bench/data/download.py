"""Downloads: mirrors are tried in turn, and an incomplete or wrong file is never kept."""

import hashlib
import http.client
import logging
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from resnest_bench.errors import UserError

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0  # to connect, and for each read
CHUNK_BYTES = 1 << 20
REPORT_SECONDS = 10.0
MIB = 2**20


@dataclass(frozen=True)
class Checksum:
    """`algorithm` is a name in hashlib, `value` is in hex."""

    algorithm: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Checksum":
        """Parse `algorithm:hex`, the form in a spec."""
        return cls(*text.split(":"))

    def problem(self, path: Path) -> str | None:
        """Return why `path` doesn't have this checksum, or None if it does."""
        actual = file_digest(path, self.algorithm)
        if actual == self.value:
            return None
        size = path.stat().st_size
        return (
            f"must have {self.algorithm} {self.value}, but got {self.algorithm} {actual} "
            f"({size} bytes)"
        )


class DownloadError(Exception):
    """One mirror failed; the next one is tried."""


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest (hex) of a file without loading all of it."""
    with path.open("rb") as file:
        # Without this, machines in FIPS mode refuse md5 and sha1.
        start = hashlib.new(algorithm, usedforsecurity=False)
        return hashlib.file_digest(file, lambda: start).hexdigest()


ADVICE = "Set `path:` of the dataset to a local file, or `urls:` to other addresses"


def fetch(urls: tuple[str, ...], target: Path, checksum: Checksum, advice: str = ADVICE) -> Path:
    """Download `target` from the first of `urls` whose file has the checksum.

    An existing file with the checksum is kept. Raises UserError with the reason for each address;
    then no file is left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # If two jobs need the same archive, the second one finds it complete.
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.exists():
            problem = checksum.problem(target)
            if problem is None:
                return target
            log.warning("%s %s: downloading it again", target, problem)
        failures = []
        for url in urls:
            try:
                return _fetch_one(url, target, checksum)
            except DownloadError as error:
                log.warning("%s: %s", url, error)
                failures.append(f"{url}: {error}")
    raise UserError(f"cannot download {target.name}: {'; '.join(failures)}. {advice}")


def _fetch_one(url: str, target: Path, checksum: Checksum) -> Path:
    partial = target.with_name(target.name + ".part")
    try:
        with partial.open("wb") as file:
            for chunk in _chunks(url):
                file.write(chunk)
        problem = checksum.problem(partial)
        if problem:
            raise DownloadError(problem)
        partial.replace(target)
    except OSError as error:
        raise UserError(f"cannot write {partial}: {error.strerror}: free space there") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _chunks(url: str) -> Iterator[bytes]:
    """Yield the body of `url` in chunks. Raises DownloadError for every kind of network failure."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "resnest-bench"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            length = response.headers.get("Content-Length")
            total = int(length) if length else None
            log.info("downloading %s%s", url, f" ({total / MIB:.1f} MiB)" if total else "")
            yield from _read(response, total)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadError(str(error) or type(error).__name__) from error


def _read(response: http.client.HTTPResponse, total: int | None) -> Iterator[bytes]:
    received, reported = 0, time.monotonic()
    while chunk := response.read(CHUNK_BYTES):
        yield chunk
        received += len(chunk)
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            log.info(
                "%.1f%s MiB received", received / MIB, f" of {total / MIB:.1f}" if total else ""
            )
