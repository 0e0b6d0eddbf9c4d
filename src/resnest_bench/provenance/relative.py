"""Files without absolute paths: what leaves this machine names no home folder.

>>> cut_paths("no such file: /home/ann/photos/cat.png")
'no such file: cat.png'
"""

import json
import re
from pathlib import PurePosixPath
from typing import Any

# Folders of an absolute path, or of one that starts with `~`. A URL's path has its host before it, a unit
# like images/s a word.
FOLDERS = re.compile(r"""(?<![\w/.:~+=])(?:file://)?(?:/|~[\w.-]*/)(?:[^\s/"',;:()<>\[\]|]+/)*""")
# Bits in base64, which has slashes.
BINARY = ("test_correct",)


def cut_paths(text: str) -> str:
    """Return `text` with each absolute path cut to its last part."""
    return FOLDERS.sub(_keep_short, text)


def _keep_short(match: re.Match[str]) -> str:
    # A slash alone is no path: 'yes / no'.
    return match[0] if match[0] == "/" else ""


def cut_json(value: Any) -> Any:
    """Return a JSON value whose texts have no absolute path. Keys of objects stay."""
    if isinstance(value, dict):
        return {k: v if k in BINARY else cut_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [cut_json(item) for item in value]
    if not isinstance(value, str):
        return value
    if re.match(r"(/|~[\w.-]*/)[^\n]+$", value) and "//" not in value:
        # The whole text is a path, which may have spaces.
        return PurePosixPath(value).name or value
    return cut_paths(value)


def cut_file(name: str, content: bytes) -> bytes:
    """Return the content of a text file without absolute paths; unchanged if it has none.

    Args:
        name: of the file; `.json` files are read as JSON.
    """
    text = content.decode("utf-8", errors="surrogateescape")
    if not name.endswith(".json"):
        return cut_paths(text).encode("utf-8", errors="surrogateescape")
    value = json.loads(text)
    made = cut_json(value)
    return content if made == value else (json.dumps(made, indent=1) + "\n").encode()
