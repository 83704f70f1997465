"""Print the oldest releases that pyproject.toml admits, as constraints for pip.

python tests/floors.py > floors.txt
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def requirements() -> list[str]:
    """Return what pyproject.toml says that the package needs; extras are not among it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    return re.findall(r'^ +"(.+)",', needed, re.MULTILINE)


def floor(requirement: str) -> str:
    """Return a requirement for the oldest release that one admits.

    >>> floor("numpy>=1.24.2,!=2.0.*; python_version < '3.12'")
    'numpy==1.24.2'
    """
    name, version = re.findall(r"^([\w-]+)>=([\d.]+)", requirement)[0]
    return f"{name}=={version}"


if __name__ == "__main__":
    print("\n".join(dict.fromkeys(map(floor, requirements()))))  # noqa: T201
