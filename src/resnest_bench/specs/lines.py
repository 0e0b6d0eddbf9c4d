"""Where an entry stands in a YAML or JSON file (floor 1): messages name the file and the line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

# Like `train[0].recipe: ` at the start of a validator's own text.
PLACE = re.compile(r"[A-Za-z_]\w*(?:\[\d+\](?: \([^)]*\))?|\.[\w-]+)*(?=: )")


@dataclass(frozen=True)
class Origin:
    """Where a config comes from.

    Attributes:
        name: what messages call it where no file is known.
        files: the config files; of a key that several have, the last one counts.
        sheets: key of the config to the file that it names, like {"variants": variants.yaml}.
    """

    name: str
    files: Sequence[Path] = ()
    sheets: dict[str, Path] = field(default_factory=dict)

    def locate(self, loc: Sequence[str | int]) -> str:
        """The file of the entry at `loc` and its line: 'config/variants.yaml, line 3'."""
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
    """The line (from 1) of the entry at `loc`, or of the nearest one around it; None for neither.

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
    """(line of the entry, its value) in a mapping or a list; None if it has no such entry."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def read_place(message: str) -> tuple[str | int, ...]:
    """The place that a message begins with: ('train', 0, 'recipe') of 'train[0].recipe: ...'."""
    match = PLACE.match(message)
    if match is None:
        return ()
    # 'variants[1] (B).radix': the name in brackets is for people.
    parts = re.findall(r"\[(\d+)\]|([\w-]+)", re.sub(r" \([^)]*\)", "", match[0]))
    return tuple(int(index) if index else name for index, name in parts)
