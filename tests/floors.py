"""Print the oldest releases that pyproject.toml admits, as constraints for pip.

python tests/floors.py > floors.txt
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def requirements() -> list[str]:
    """Return what pyproject.toml says that the package needs; extras are not among it."""
    return _between("dependencies = [", "]")


def extras() -> list[str]:
    """Return what it says that the extras need, but for those of the tests and of the export."""
    return _between("heic = ", "test = ")


def _between(start: str, end: str) -> list[str]:
    """Return the requirements with a floor between two lines of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    part = text.partition(f"\n{start}")[2].partition(f"\n{end}")[0]
    return re.findall(r'"([\w-]+>=[^"]+)"', part)


def floor(requirement: str) -> str:
    """Return a requirement for the oldest release that one admits.

    >>> floor("numpy>=1.24.2,!=2.0.*; python_version < '3.12'")
    'numpy==1.24.2'
    """
    name, version = re.findall(r"^([\w-]+)>=([\d.]+)", requirement)[0]
    return f"{name}=={version}"


if __name__ == "__main__":
    print("\n".join(dict.fromkeys(map(floor, requirements() + extras()))))  # noqa: T201
