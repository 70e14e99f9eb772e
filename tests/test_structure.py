"""How the repository is laid out, as far as `lint-imports` does not hold it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST = 350  # lines of a file
CODE = ("repro", "analysis", "animations", "tests", "hydra_plugins")


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Everything that a file imports, in functions too, as dotted names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{each.name}" for each in node.names}
    return names


def test_tests_import_of_tests_only_the_helpers() -> None:
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("tests")
        for name in imported(path)
        if name.split(".")[0] == "tests" and not name.startswith("tests.helpers.")
    }
    assert not found


def test_no_file_is_long() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules(*CODE)
    }
    assert len(lines) > 100
    longer = {name: count for name, count in lines.items() if count > LONGEST}
    assert not longer, longer


def test_every_room_says_what_is_in_it() -> None:
    rooms = [path for path in modules("repro", "analysis") if path.name == "__init__.py"]
    assert not [path for path in rooms if not ast.get_docstring(ast.parse(path.read_text()))]
