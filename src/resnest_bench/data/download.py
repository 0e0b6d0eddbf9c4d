"""Downloads: mirrors in turn, checked by a digest, and never a file that only looks whole."""

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
    """`algorithm` is a name that hashlib knows, `value` is in hex."""

    algorithm: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Checksum":
        """From `algorithm:hex`, the form that a spec has."""
        return cls(*text.split(":"))

    def problem(self, path: Path) -> str | None:
        """Why `path` is not the file of this checksum, or None where it is."""
        came = file_digest(path, self.algorithm)
        if came == self.value:
            return None
        size = path.stat().st_size
        return (
            f"must have {self.algorithm} {self.value}, but got {self.algorithm} {came} "
            f"({size} bytes)"
        )


class DownloadError(Exception):
    """One mirror failed; the next one is tried."""


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Digest (hex) of a file, read in pieces."""
    with path.open("rb") as file:
        # Machines in FIPS mode refuse md5 and sha1 otherwise.
        start = hashlib.new(algorithm, usedforsecurity=False)
        return hashlib.file_digest(file, lambda: start).hexdigest()


ADVICE = "Give the file itself as `path:` in the dataset's entry, or other addresses as `urls:`"


def fetch(urls: tuple[str, ...], target: Path, checksum: Checksum, advice: str = ADVICE) -> Path:
    """Download `target` from the first of `urls` that gives the file of `checksum`.

    A file that is already there and right is kept. Raises UserError that says for each address
    why it failed; then nothing is left on the disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two jobs may want the same archive: the second one finds it whole.
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
    """The body of `url` in pieces. Every way in which a network fails is a DownloadError."""
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
    seen, reported = 0, time.monotonic()
    while chunk := response.read(CHUNK_BYTES):
        yield chunk
        seen += len(chunk)
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            log.info("%.1f%s MiB came", seen / MIB, f" of {total / MIB:.1f}" if total else "")
