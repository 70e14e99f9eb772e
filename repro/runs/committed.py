"""The policies that this repository holds, by name: ENV/OBJECTIVE/SEED."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel holds `policies` in the package; a checkout has it beside.
POLICIES_DIR = (_PACKAGE if (_PACKAGE / "policies").is_dir() else _PACKAGE.parent) / "policies"
PARTS = 3


def names() -> list[str]:
    """Every name, sorted."""
    found = POLICIES_DIR.glob("*/" * PARTS + "run.json")
    return sorted(path.parent.relative_to(POLICIES_DIR).as_posix() for path in found)


def locate(directory: Path) -> Path:
    """The directory of a committed policy, if it is its name and no directory; else as given."""
    if directory.is_dir() or not is_name(directory):
        return directory
    return POLICIES_DIR / directory


def is_name(path: Path) -> bool:
    """Whether a committed policy has this name."""
    plain = not path.is_absolute() and ".." not in path.parts and len(path.parts) == PARTS
    return plain and (POLICIES_DIR / path / "run.json").is_file()


def holds(directory: Path) -> bool:
    """Whether a directory is one of them, which nobody writes to."""
    return directory.resolve().is_relative_to(POLICIES_DIR)


def hint(path: Path) -> str:
    """The rest of a sentence on a path that is neither: committed policies with nearly its name."""
    near = [name for name in names() if name.split("/")[:1] == list(path.parts[:1])]
    return f", or a committed policy such as {near[0]}" if near else ""
