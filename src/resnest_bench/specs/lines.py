"""Where an entry stands in a YAML or JSON file (floor 1): messages name the file and the line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

# Like `train[0].recipe: ` at the start of a validator's message.
PLACE = re.compile(r"[A-Za-z_]\w*(?:\[\d+\](?: \([^)]*\))?|\.[\w-]+)*(?=: )")


@dataclass(frozen=True)
class Origin:
    """The origin of a config.

    Attributes:
        name: its name in messages if the file is unknown.
        files: the config files; if several have the same key, the last one counts.
        sheets: files that the config names, by key, like {"variants": variants.yaml}.
    """

    name: str
    files: Sequence[Path] = ()
    sheets: dict[str, Path] = field(default_factory=dict)

    def locate(self, loc: Sequence[str | int]) -> str:
        """Return file and line of the entry at `loc`, like 'config/variants.yaml, line 3'."""
        if loc and loc[0] in self.sheets:
            sheet = self.sheets[str(loc[0])]
            return _name_line(sheet, find_line(sheet, loc[1:]))
        for file in reversed(self.files):
            if line := find_line(file, loc):
                return _name_line(file, line)
        return self.name


def _name_line(file: Path, line: int | None) -> str:
    return f"{file}, line {line}" if line else str(file)


def find_line(file: Path, loc: Sequence[str | int]) -> int | None:
    """Return the line (from 1) of the entry at `loc`, or of the nearest one around it; None for neither.

    Parts of `loc` that the file does not have are skipped: pydantic adds the names of kinds.
    """
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    line = None
    for part in loc:
        if entry := _find_entry(node, part):
            line, node = entry
    return line


def _find_entry(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    """Return line and value of an entry in a mapping or a list; None if there is none."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def read_place(message: str) -> tuple[str | int, ...]:
    """Parse the place at the start of a message: ('train', 0, 'recipe') for 'train[0].recipe: ...'."""
    match = PLACE.match(message)
    if match is None:
        return ()
    # 'variants[1] (B).radix': the name in brackets is for people.
    parts = re.findall(r"\[(\d+)\]|([\w-]+)", re.sub(r" \([^)]*\)", "", match[0]))
    return tuple(int(index) if index else name for index, name in parts)
