"""The code part of a step's key: the normalised syntax of its module and of all of ours that it imports."""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("ml", "orchestration")


def code_key(*modules: str) -> str:
    """Hash what shapes the bytes that `modules` make: their syntax trees and those of what they import.

    Comments, formatting and docstrings do not count; data files beside a module that it names do
    (any `.csv`, `.html` or `.css` in the module's own package).

    >>> code_key("ml.cdm") == code_key("ml.cdm")
    True
    """
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(imported_modules(module) - reached)
    digest = hashlib.sha256()
    for module in sorted(reached):
        digest.update(f"{module} {_syntax_sha256(_path(module))}\n".encode())
    return digest.hexdigest()


def module_key(module: str) -> str:
    """Hash one module's own syntax, without what it imports: for a dispatcher that imports everything."""
    return _syntax_sha256(_path(module))


def imported_modules(module: str) -> set[str]:
    """Return the modules of ours that `module` imports anywhere in its body, packages included."""
    found = _parsed(_path(module)).imported
    # Python runs a package's own file before any module in it.
    packages = {name[:end] for name in (module, *found) for end in range(len(name)) if name[end] == "."}
    return {name for name in found | packages if name.split(".")[0] in OURS and _exists(name)}


def data_files(module: str) -> list[Path]:
    """Return the data files beside `module` that its source names."""
    path = _path(module)
    beside = sorted(file for file in path.parent.iterdir() if file.suffix in {".csv", ".html", ".css"})
    return [file for file in beside if file.name in _parsed(path).source]


def _path(module: str) -> Path:
    base = ROOT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _exists(module: str) -> bool:
    return _path(module).is_file()


@dataclass(frozen=True)
class _Parsed:
    source: str
    imported: frozenset[str]
    syntax: str


def _parsed(path: Path) -> _Parsed:
    """Parse a file once for each state it is in: a run asks for the same modules at every step."""
    state = path.stat()
    return _parse(path, state.st_mtime_ns, state.st_size)


@cache
def _parse(path: Path, _modified: int, _size: int) -> _Parsed:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            imported.add(node.module)
            imported.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[_has_docstring(node) :]
    return _Parsed(source, frozenset(imported), ast.dump(tree))


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


def _syntax_sha256(path: Path) -> str:
    """Hash the syntax tree of a file without docstrings, with the data files it names."""
    digest = hashlib.sha256(_parsed(path).syntax.encode())
    module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for file in data_files(module):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
