"""Digests of values and of source code (floor 0). A record with another digest is stale.

The code digest of a job kind covers every module that its entry modules import, directly or indirectly,
so that there is no list to maintain. Blank lines and comments don't count, since they change no result.
"""

import ast
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent

# The modules that a kind of job runs. Their imports are followed.
ENTRY_MODULES = {
    "data": ("data.sources",),
    "train": ("training",),
    "finetune": ("training",),
    "deploy": ("measure.deploy_jobs",),
    "latency": ("measure.latency", "measure.complexity"),
    "tables": ("frames", "tables", "comparisons", "claims", "report", "search.tables"),
    "figures": ("charts",),
}
# Not part of a code digest: their effect on a job is visible in its spec or record, which are compared by
# value.
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
    "device.forking",
    "device.threads",
    "data.duplicates",
    "data.leakage",
}


def json_digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_source(file: Path) -> str:
    """Return the SHA-256 (hex) of a Python file and of everything it imports from its own folder.

    Paths are relative to that folder, so that it may be moved, and the file itself may be renamed.
    """
    folder = file.parent.resolve()
    sources: dict[str, str] = {}
    pending = [file.resolve()]
    while pending:
        path = pending.pop()
        name = path.relative_to(folder).as_posix()
        if name in sources:
            continue
        source = path.read_text(encoding="utf-8", errors="replace")
        sources[name] = source
        pending += _local_imports(source, path.parent, folder)
    own = sources.pop(file.resolve().relative_to(folder).as_posix())
    return json_digest([own, dict(sorted(sources.items()))])


def _local_imports(source: str, package: Path, folder: Path) -> list[Path]:
    """Files below `folder` that a source imports, by name or relative to its own `package`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        # The job that imports it reports the error.
        return []
    imported: list[Path] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bases = [(folder, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = folder
            if node.level:
                base = package.joinpath(*[".."] * (node.level - 1)).resolve()
            module = node.module or ""
            bases = [(base, f"{module}.{alias.name}".strip(".")) for alias in node.names]
            bases.append((base, module))
        else:
            continue
        for base, name in bases:
            for length in range(1, len(name.split(".")) + 1):
                module_path = base.joinpath(*name.split(".")[:length])
                files = [module_path.with_suffix(".py"), module_path / "__init__.py"]
                imported += [f for f in files if f.is_file() and f.is_relative_to(folder)]
    return imported


def module_file(module: str, package: Path = PACKAGE) -> Path | None:
    """Return the file of `module` (dotted, relative to the package), or None if it has no such module."""
    base = package.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported_modules(file: Path, package: Path = PACKAGE) -> set[str]:
    """Return the package's modules that `file` imports, including imports inside functions."""
    prefix = f"{package.name}."
    names = _imported_names(file.read_text(encoding="utf-8"))
    local = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return {name for name in local if module_file(name, package)}


# Cached, since job kinds share most of their modules and parsing takes most of the time.
@functools.cache
def _imported_names(source: str) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from resnest_bench.data import arrays` may name a module or an attribute.
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return frozenset(names)


def _submodules(module: str, package: Path) -> set[str]:
    file = module_file(module, package)
    if file is None or file.name != "__init__.py":
        return set()
    return {f"{module}.{path.stem}" for path in file.parent.glob("*.py") if path != file}


def reached_modules(entries: tuple[str, ...], package: Path = PACKAGE) -> set[str]:
    """Return the modules that `entries` import, directly or indirectly, without those in NOT_COUNTED.

    An entry that is a package counts with all its modules.
    """
    pending = [name for entry in entries for name in (entry, *_submodules(entry, package))]
    reached: set[str] = set()
    while pending:
        module = pending.pop()
        if module in reached or module in NOT_COUNTED or module.split(".")[0] in NOT_COUNTED:
            continue
        file = module_file(module, package)
        if file is None:
            continue
        reached.add(module)
        pending += imported_modules(file, package)
    return reached


def _code_lines(file: Path) -> str:
    lines = (line.rstrip() for line in file.read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))


@functools.cache
def code_digest(kind: str, package: Path = PACKAGE) -> str:
    """Return the SHA-256 (hex) of the code that jobs of `kind` (a key of ENTRY_MODULES) run."""
    return _source_digest(reached_modules(ENTRY_MODULES[kind], package), package)


@functools.cache
def uncounted_digest(package: Path = PACKAGE) -> str:
    """Return the SHA-256 (hex) of the modules in NOT_COUNTED, which read specs and records."""
    modules = {name for entry in NOT_COUNTED for name in (entry, *_submodules(entry, package))}
    return _source_digest(modules, package)


def _source_digest(modules: set[str], package: Path) -> str:
    files = {module: module_file(module, package) for module in modules}
    return json_digest({module: _code_lines(file) for module, file in files.items() if file})
