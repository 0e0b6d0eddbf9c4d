"""Digests of values and of source code (floor 0): what makes a record stale.

A digest of code covers the modules that a job kind reaches by its imports, so that nobody keeps
a list. Lines that are blank or only a comment don't count: they change no result.
"""

import ast
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent

# What a job does follows from these modules. Their imports are followed.
ENTRY_MODULES = {
    "data": ("data.sources",),
    "train": ("training",),
    "finetune": ("training",),
    "latency": ("measure.latency", "measure.complexity"),
    "tables": ("frames", "tables", "comparisons", "claims", "report"),
    "figures": ("charts",),
}
# Their effect on a job shows in its spec or in its record, which are compared by value.
NOT_COUNTED = {
    "paths",
    "files",
    "stopping",
    "records",
    "specs",
    "status",
    "digests",
    "errors",
    "json_values",
    "words",
    "device.environment",
    "device.allocator",
    "device.threads",
    "data.duplicates",
    "data.leakage",
}


def json_digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_source(file: Path) -> str:
    """SHA-256 (hex) of a Python file and of all that it imports from its own folder.

    Each file counts by its path from that folder, so that the folder may be moved.
    """
    folder = file.parent.resolve()
    seen: dict[str, str] = {}
    todo = [file.resolve()]
    while todo:
        path = todo.pop()
        name = path.relative_to(folder).as_posix()
        if name in seen:
            continue
        source = path.read_text(encoding="utf-8", errors="replace")
        seen[name] = source
        todo += _local_imports(source, path.parent, folder)
    # The file itself may be renamed too: it is the first one.
    own = seen.pop(file.resolve().relative_to(folder).as_posix())
    return json_digest([own, dict(sorted(seen.items()))])


def _local_imports(source: str, here: Path, folder: Path) -> list[Path]:
    """Files below `folder` that a source imports by name or relative to its package `here`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        # Whoever runs it is told.
        return []
    found: list[Path] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bases = [(folder, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = folder
            if node.level:
                base = here.joinpath(*[".."] * (node.level - 1)).resolve()
            module = node.module or ""
            bases = [(base, f"{module}.{alias.name}".strip(".")) for alias in node.names]
            bases.append((base, module))
        else:
            continue
        for base, name in bases:
            for length in range(1, len(name.split(".")) + 1):
                place = base.joinpath(*name.split(".")[:length])
                files = [place.with_suffix(".py"), place / "__init__.py"]
                found += [f for f in files if f.is_file() and f.is_relative_to(folder)]
    return found


def module_file(module: str, package: Path = PACKAGE) -> Path | None:
    """The file of `module` (dotted, relative to the package), or None for a foreign one."""
    base = package.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported_modules(file: Path, package: Path = PACKAGE) -> set[str]:
    """Modules of the package that `file` imports anywhere, functions' bodies included."""
    prefix = f"{package.name}."
    names = _imported_names(file.read_text(encoding="utf-8"))
    local = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return {name for name in local if module_file(name, package)}


# The job kinds share most of their modules, and parsing is what takes the time.
@functools.cache
def _imported_names(source: str) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from resnest_bench.data import arrays` may name a module or an attribute.
            found.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return frozenset(found)


def _submodules(module: str, package: Path) -> set[str]:
    file = module_file(module, package)
    if file is None or file.name != "__init__.py":
        return set()
    return {f"{module}.{path.stem}" for path in file.parent.glob("*.py") if path != file}


def reached_modules(entries: tuple[str, ...], package: Path = PACKAGE) -> set[str]:
    """Modules that `entries` reach by imports. An entry that is a folder counts whole."""
    todo = [name for entry in entries for name in (entry, *_submodules(entry, package))]
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        if module in seen or module in NOT_COUNTED or module.split(".")[0] in NOT_COUNTED:
            continue
        file = module_file(module, package)
        if file is None:
            continue
        seen.add(module)
        todo += imported_modules(file, package)
    return seen


def _code_lines(file: Path) -> str:
    lines = (line.rstrip() for line in file.read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))


@functools.cache
def code_digest(kind: str, package: Path = PACKAGE) -> str:
    """SHA-256 (hex) of the code that jobs of `kind` (a key of ENTRY_MODULES) run."""
    return _source_digest(reached_modules(ENTRY_MODULES[kind], package), package)


@functools.cache
def uncounted_digest(package: Path = PACKAGE) -> str:
    """SHA-256 (hex) of the code that `code_digest` leaves out: how specs and records are read."""
    modules = {name for entry in NOT_COUNTED for name in (entry, *_submodules(entry, package))}
    return _source_digest(modules, package)


def _source_digest(modules: set[str], package: Path) -> str:
    files = {module: module_file(module, package) for module in modules}
    return json_digest({module: _code_lines(file) for module, file in files.items() if file})
