"""The laws of the house: which room may import which, who may know Dagster, how long a file is."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).parents[1]
# From the top down; a room imports itself and the rooms above it.
ORDER = (
    "resources",
    "curec_assets.settings",
    "curec_assets.display",
    "curec_assets.core",
    "curec_assets.networks",
    "curec_assets.evaluation",
    "curec_assets.datasets",
    "curec_assets.evidence",
    "curec_assets.explanation",
    "curec_assets.alignment",
    "curec_assets.reward",
    "curec_assets.policy",
    "curec_assets.reasons",
    "curec_assets.features",
    "curec_assets.retrieval",
    "curec_assets.recommender",
    "curec_assets.reports",
    "curec_assets.serving",
    "curec_assets.automation",
    "curec_assets.lifecycle",
    "curec_assets.definitions",
    "curec_assets.explorer",
    "curec_assets.cli",
)
# Doors to Dagster, besides the resources.
DOORS = ("checks", "core.asset", "core.metadata", "settings.launchpad", "automation", "definitions")
DOORS += ("cli", "lifecycle.forget", "lifecycle.runs", "datasets.row_contracts")  # dagster-pandas
FILES = sorted(
    file
    for package in ("curec_assets", "resources")
    for file in (REPOSITORY / package).rglob("*.py")
)


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def imports(file: Path) -> Iterator[str]:
    """Every module that is imported, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> int | None:
    found = [i for i, room in enumerate(ORDER) if f"{module}.".startswith(f"{room}.")]
    return found[0] if found else None


def test_imports_go_down_only() -> None:
    wrong = {
        (module_of(file), name)
        for file in FILES
        for name in imports(file)
        if (own := room_of(module_of(file))) is not None and (room_of(name) or 0) > own
    }
    assert not wrong


def test_recipes_are_read_by_definitions_alone() -> None:
    assert not [
        (module_of(file), name)
        for file in FILES
        for name in imports(file)
        if name.endswith(".assets")
    ]


def test_only_the_doors_know_dagster() -> None:
    def is_door(module: str) -> bool:
        inside = module.removeprefix("curec_assets.")
        return module.startswith("resources") or any(
            f"{inside}.".startswith(f"{door}.") or inside.endswith(f".{door}") for door in DOORS
        )

    assert not [
        (module_of(file), name)
        for file in FILES
        for name in imports(file)
        if name.partition(".")[0].startswith("dagster") and not is_door(module_of(file))
    ]


def test_what_users_can_cause_is_raised_not_asserted() -> None:
    trees = {module_of(file): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
    assert not [
        name
        for name, tree in trees.items()
        if any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    ]
    assert all(ast.get_docstring(tree) for tree in trees.values())


def test_files_are_short() -> None:
    lengths = {module_of(f): len(f.read_text(encoding="utf-8").splitlines()) for f in FILES}
    assert not {name: length for name, length in lengths.items() if length > 400}
    assert median(lengths.values()) <= 120


def test_no_test_imports_marimo_into_its_process() -> None:
    """Where it is, transformers takes the process for a notebook, and its trainers want IPython."""
    pages = {f"curec_assets.explorer.{name}" for name in ("app", "comparing", "pages")}
    assert not [
        (file.name, name)
        for file in (REPOSITORY / "tests").rglob("*.py")
        for name in imports(file)
        if name in pages or name.partition(".")[0] == "marimo"
    ]
