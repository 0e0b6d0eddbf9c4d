"""A new study, copied from a shipped one."""

import re
from pathlib import Path

from resnest_bench.cli.shipped import project_root, shipped_studies
from resnest_bench.errors import UserError
from resnest_bench.files import write_text

# A line of a config that names another file: the list of variants or of claims.
SHEET_LINE = re.compile(r"^(variants|claims): +(\S+\.yaml)$", re.MULTILINE)
# A variant with a network in a Python file. Such a file is copied by itself: what it imports is not.
PYTHON_FILE = re.compile(r"\bfile: *([\w./-]+\.py)\b")
# It points to a schema in the checkout, which the copy doesn't have.
SCHEMA_LINE = re.compile(r"^# yaml-language-server: .*\n")
STUDY_LINE = re.compile(r"^study: .*$", re.MULTILINE)


def study_files(like: str, name: str) -> dict[str, str]:
    """Return a copy of the shipped study `like`, called `name`: path in the new folder to text.

    All files are in `config/`, where every command looks by default. A name that no study can have is
    made one, or it stays that of the shipped study. Raises UserError if there is no such study.
    """
    # It reads tables of results, and so imports pandas.
    from resnest_bench.imports.assemble import make_name

    studies = shipped_studies()
    if like not in studies:
        raise UserError(f"--like must be one of {', '.join(studies)}, but is {like!r}")
    config = _text(studies[like])
    if name := make_name(name):
        line = f"study: {name}  # results go to results/{name}/"
        config = STUDY_LINE.sub(line, config, count=1)
    sheets = {key: _text(project_root() / path) for key, path in SHEET_LINE.findall(config)}
    config = SHEET_LINE.sub(r"\1: config/\1.yaml", config)
    code = {
        Path(path).name: _text(project_root() / path)
        for text in sheets.values()
        for path in PYTHON_FILE.findall(text)
    }
    sheets = {
        key: PYTHON_FILE.sub(lambda found: f"file: config/{Path(found[1]).name}", text)
        for key, text in sheets.items()
    }
    return {
        "config/config.yaml": config,
        **{f"config/{key}.yaml": text for key, text in sheets.items()},
        **{f"config/{name}": text for name, text in code.items()},
    }


def _text(path: Path) -> str:
    return SCHEMA_LINE.sub("", path.read_text(encoding="utf-8"))


def write_study(folder: Path, like: str) -> list[Path]:
    """Copy the shipped study `like` into `folder`, whose name it gets; return the files that were written.

    Raises UserError, and writes nothing, if one of them already exists.
    """
    files = {folder / name: text for name, text in study_files(like, folder.resolve().name).items()}
    # `exists` is False for a dangling link.
    existing = [path for path in files if path.exists() or path.is_symlink()]
    if existing:
        raise UserError(
            f"init never overwrites a file, but {existing[0]} already exists: name another folder, or "
            "move that file away"
        )
    written: list[Path] = []
    try:
        for path, text in files.items():
            write_text(path, text)
            written.append(path)
    except UserError:
        # Otherwise half a study would stop the same command the next time.
        for path in written:
            path.unlink()
        raise
    return written
