"""Find the argument that causes an error."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str, ...]


def blame_arguments(args: dict[str, Any], works: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Return paths like "block_args.attn_layer" of the values without which `works` returns true.

    Empty if no single value is at fault. `works` is called with copies of `args` that lack one value.
    """
    return [".".join(path) for path in _list_leaves(args) if works(_remove(args, path))]


def _list_leaves(args: dict[str, Any], above: Path = ()) -> Iterator[Path]:
    for key, value in args.items():
        path = (*above, key)
        if isinstance(value, dict) and value:
            yield from _list_leaves(value, path)
        else:
            yield path


def _remove(args: dict[str, Any], path: Path) -> dict[str, Any]:
    rest = copy.deepcopy(args)
    inner = rest
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return rest
