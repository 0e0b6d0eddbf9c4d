"""Describe a file that should be an image by its first bytes."""

from pathlib import Path

HEAD_BYTES = 512

# First bytes of a file, whatever its extension is.
STARTS = {
    b"version https://git-lfs.github.com/spec/": "a Git LFS pointer (`git lfs pull` gets the image)",
    b"%PDF": "a PDF",
    b"%!PS": "a PostScript file",
    b"\xc5\xd0\xd3\xc6": "a PostScript file",
    b"8BPS": "a Photoshop file",
    b"PK\x03\x04": "a zip archive, or an office document",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\x1aE\xdf\xa3": "a video",
    b"\xff\x0a": "a JPEG XL image, which is not read",
    b"\0\0\0\x0cJXL ": "a JPEG XL image, which is not read",
    b"SIMPLE  =": "a FITS image, which is not read",
}
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


def describe_content(path: Path) -> str:
    """Return what `path` holds, with an article; '' if unknown or an image."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return ""
    if not head:
        return "an empty file"
    for start, name in STARTS.items():
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return _describe_container(head[8:12])
    if not head.strip(b"\0"):
        return "a file that begins with zeros (an interrupted copy)"
    return _describe_text(head)


def _describe_container(brand: bytes) -> str:
    if brand in HEIC_BRANDS:
        return "a HEIC photo, which is not read (save it as JPEG)"
    return "" if brand in AVIF_BRANDS else "a video"


def _describe_text(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")) or b"<html" in text:
        return "a web page instead of the downloaded image"
    if b"<svg" in text:
        return "an SVG drawing, which is not read"
    if b"annex/objects/" in text:
        return "a git-annex pointer (`git annex get` gets the image)"
    # These are signatures of images that we can read.
    if (head[:1] == b"P" and head[1:2] in b"1234567fy") or head.startswith(
        (b"GIF8", b"BM", b"qoif")
    ):
        return ""
    try:
        words = head.decode("utf-8", errors="strict" if len(head) < HEAD_BYTES else "ignore")
    except UnicodeDecodeError:
        return ""
    printable = all(character.isprintable() or character.isspace() for character in words)
    return "a text file" if printable and len(words) > 0.9 * len(head) else ""
