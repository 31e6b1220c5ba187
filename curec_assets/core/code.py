"""The code that a result comes from, found by reading it: a code version that can't be forgotten.

From the functions of a recipe on, every function, class and constant of this project that they name
is followed, imports inside functions included. What is hashed is the parsed code, so comments,
docstrings and formatting do not count. Settings are not followed (their values are in an asset's
identity), nor is what only records, shows or carries (`_CARRIERS`).
"""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_MADE_BY = os.stat(__file__).st_mtime_ns  # kept summaries of another form of this file are stale
_PACKAGES = ("curec_assets", "resources")
_CARRIERS = (
    "curec_assets.core.code",
    "curec_assets.core.inputs",
    "curec_assets.core.metadata",
    "curec_assets.core.recipe",
    "curec_assets.display",
    "curec_assets.settings",
    "resources.compute",
    "resources.errors",
    "resources.storage",
    "resources.tracking",
    # Engines write the same texts (the contract suite holds them to it): the reference engine,
    # `transformers`, stands for all.
    "resources.generation.factory",
    "resources.generation.journal",
    "resources.generation.server",
    "resources.generation.vllm",
)

Symbol = tuple[str, str]
"""Module and name; an empty name stands for the module as a whole."""

WRITER: Symbol = ("resources.generation.transformers.generator", "TransformersGenerator")
"""The reference engine: what a language model writes depends on its code."""
EVIDENCE: Symbol = ("curec_assets.evidence.numbers", "EvidenceNumbers")
"""What evidence fits depends on its code."""

Summary = dict[str, Any]
"""Of a file: `definitions` (name → digest and symbols read, `whole` or `bare` of decorators), and
`imports` (name → symbol)."""


def code_of(entries: Iterable[Symbol]) -> dict[str, str]:
    """File → digest of what `entries` reach in it, files named from the project's root.

    Of the entries themselves decorators do not count: they declare, they do not compute.
    """
    declared = frozenset(entries)
    reached: set[Symbol] = set()
    waiting = list(declared)
    while waiting:
        symbol = waiting.pop()
        if symbol not in reached and _followed(symbol[0]):
            reached.add(symbol)
            waiting += _reads(symbol, "bare" if symbol in declared else "whole")
    parts: dict[str, list[str]] = {}
    for module, name in sorted(reached):
        found = _summaries.of(module)["definitions"].get(name)
        if found:
            form = found["bare" if (module, name) in declared else "whole"]
            parts.setdefault(_file(module), []).append(f"{name} {form['digest']}")
    _summaries.keep()
    return {_name(Path(file)): _sha256("\n".join(found)) for file, found in parts.items()}


def file_digest(path: Path) -> tuple[str, str]:
    """Name from the project's root, and digest, of a file that code reads (a template)."""
    return _name(path), _sha256(path.read_text(encoding="utf-8"))


def _reads(symbol: Symbol, form: str) -> list[Symbol]:
    module, name = symbol
    summary = _summaries.of(module)
    if name in summary["definitions"]:
        return [tuple(read) for read in summary["definitions"][name][form]["reads"]]
    source = summary["imports"].get(name)  # a name that the module only hands on
    return [tuple(source)] if source else []


class _Summaries:
    """What each file defines and reads, kept beside the compiled modules: parsing costs 0.3 s."""

    def __init__(self) -> None:
        self._path = Path(cache_from_source(str(_ROOT / "curec_assets" / "x.py"))).with_name(
            f"code-{sys.version_info.major}.{sys.version_info.minor}.json"
        )
        self._known: dict[str, dict[str, Any]] = {}
        self._met: dict[str, Summary] = {}
        self._changed = False
        with suppress(OSError, ValueError):
            self._known = json.loads(self._path.read_text(encoding="utf-8"))

    def of(self, module: str) -> Summary:
        """Of the file as this process met it first, as Python itself has it."""
        if module not in self._met:
            self._met[module] = self._read(module)
        return self._met[module]

    def _read(self, module: str) -> Summary:
        file = _file(module)
        stat = os.stat(file)
        version = [stat.st_mtime_ns, stat.st_size, _MADE_BY]
        entry = self._known.get(file)
        if entry is None or entry["version"] != version:
            entry = {"version": version, "summary": _summary(module)}
            self._known[file] = entry
            self._changed = True
        summary: Summary = entry["summary"]
        return summary

    def keep(self) -> None:
        """Write what is new, where it can be written: the next process need not parse again."""
        if not self._changed or sys.dont_write_bytecode:
            return
        self._changed = False
        temporary = self._path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            temporary.write_text(json.dumps(self._known), encoding="utf-8")
            temporary.replace(self._path)


def _summary(module: str) -> Summary:
    tree = ast.parse(Path(_file(module)).read_text(encoding="utf-8")).body
    imports = {name: source for statement in tree for name, source in _imports(statement)}
    defined: dict[str, list[ast.stmt]] = {}
    for statement in tree:
        for bound in _bound(statement):
            defined.setdefault(bound, []).append(statement)
    definitions = {}
    for name, statements in defined.items():
        forms = {}
        for form, of_form in (("whole", lambda each: each), ("bare", _without_decorators)):
            plain = [of_form(_WithoutDocstrings().visit(statement)) for statement in statements]
            reads = [read for each in plain for read in _named(module, each, imports, defined)]
            text = "\n".join(ast.unparse(statement) for statement in plain)
            forms[form] = {"digest": _sha256(text), "reads": list(dict.fromkeys(reads))}
        definitions[name] = forms
    return {"definitions": definitions, "imports": imports}


def _named(
    module: str, statement: ast.stmt, imports: dict[str, Symbol], defined: Iterable[str]
) -> Iterator[Symbol]:
    """What of this project a statement names."""
    names = {**imports, **dict(_imports(statement))}
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            source = names.get(node.value.id)
            if source and not source[1]:
                yield source[0], node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in defined:
                yield module, node.id
            elif node.id in names and names[node.id][1]:
                yield names[node.id]


class _WithoutDocstrings(ast.NodeTransformer):
    """Strings that stand as statements say something and do nothing."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | ast.Pass:
        """`pass` for a docstring."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if is_text else node


def _without_decorators(statement: ast.stmt) -> ast.stmt:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        statement.decorator_list = []
    return statement


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif not isinstance(statement, ast.Import | ast.ImportFrom):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _imports(statement: ast.stmt) -> Iterator[tuple[str, Symbol]]:
    """Name → source of every import of this project in a statement, however deep."""
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and node.module and _is_module(node.module):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                source = (whole, "") if _is_module(whole) else (node.module, alias.name)
                yield alias.asname or alias.name, source


@cache
def _followed(module: str) -> bool:
    return _is_module(module) and not any(
        module == carrier or module.startswith(f"{carrier}.") for carrier in _CARRIERS
    )


@cache
def _is_module(name: str) -> bool:
    return name.partition(".")[0] in _PACKAGES and Path(_file(name)).is_file()


@cache
def _file(module: str) -> str:
    path = _ROOT / module.replace(".", "/")
    return str(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_summaries = _Summaries()
