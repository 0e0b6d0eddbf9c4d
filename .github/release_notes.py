"""Print the notes of a release: `python .github/release_notes.py v0.1.0`.

They are its section in CHANGELOG.md. Fails unless that has a date, and pyproject.toml and CITATION.cff
have the same version. Needs nothing but Python 3.11.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECTION = re.compile(
    r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?$", re.MULTILINE
)


def read_notes(tag: str, root: Path = ROOT) -> str:
    """Return the section of CHANGELOG.md that `tag`, a "v" and a version, names. Raises ValueError."""
    version = tag.removeprefix("v")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = list(SECTION.finditer(text))
    found = [section for section in sections if section["version"] == version]
    if not found or not found[0]["date"]:
        raise ValueError(
            f"CHANGELOG.md must have a section '## [{version}] - YYYY-MM-DD', but has "
            f"{', '.join(section[0] for section in sections)}: rename [Unreleased]"
        )
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    cited = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    for file, said in {
        "pyproject.toml": project["version"],
        "CITATION.cff": cited and cited[1].strip("\"'"),
    }.items():
        if said != version:
            raise ValueError(f"{file} must have version {version}, but has {said}: change it")
    after = [section.start() for section in sections if section.start() > found[0].end()]
    return text[found[0].end() : min(after, default=len(text))].strip()


if __name__ == "__main__":
    try:
        print(read_notes(sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))
