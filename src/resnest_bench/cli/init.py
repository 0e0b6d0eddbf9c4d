"""A study of one's own, copied from one that ships."""

import re
from pathlib import Path

from resnest_bench.cli.shipped import project_root, shipped_studies
from resnest_bench.errors import UserError
from resnest_bench.files import write_text

# A config's line that names another file: the sheet of variants, or the list of claims.
SHEET_LINE = re.compile(r"^(variants|claims): +(\S+\.yaml)$", re.MULTILINE)
# It points into a checkout, and there is none beside the copy.
SCHEMA_LINE = re.compile(r"^# yaml-language-server: .*\n")


def study_files(like: str) -> dict[str, str]:
    """Path in the new folder to its text, of a copy of the shipped study `like`.

    The copy lies in `config/`, where every command looks by itself. Raises UserError for an unknown
    name.
    """
    studies = shipped_studies()
    if like not in studies:
        raise UserError(f"--like is one of {', '.join(studies)}, not {like!r}")
    config = _text(studies[like])
    sheets = {key: _text(project_root() / path) for key, path in SHEET_LINE.findall(config)}
    config = SHEET_LINE.sub(r"\1: config/\1.yaml", config)
    return {
        "config/config.yaml": config,
        **{f"config/{key}.yaml": text for key, text in sheets.items()},
    }


def _text(path: Path) -> str:
    return SCHEMA_LINE.sub("", path.read_text(encoding="utf-8"))


def write_study(folder: Path, like: str) -> list[Path]:
    """Copy the shipped study `like` into `folder`; the files written.

    Raises UserError, and writes nothing, where one of them is there already.
    """
    files = {folder / name: text for name, text in study_files(like).items()}
    # A dangling link is there too.
    there = [path for path in files if path.exists() or path.is_symlink()]
    if there:
        raise UserError(
            f"init overwrites nothing, and {there[0]} already exists: name another folder, or move "
            "that file away"
        )
    written: list[Path] = []
    try:
        for path, text in files.items():
            write_text(path, text)
            written.append(path)
    except UserError:
        # Else the same command would find half a study in its way.
        for path in written:
            path.unlink()
        raise
    return written
