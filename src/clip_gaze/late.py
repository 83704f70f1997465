"""Import the names of a package when they are first asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def names(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Return a `__getattr__` for a package.

    Args:
        package: its name.
        modules: name -> the module below the package that has it.

    """

    def find(name: str) -> object:
        if name not in modules:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return find


def shown(package: str) -> Callable[[], list[str]]:
    """Return a `__dir__` for a package, which shows what `__all__` has before it is asked for.

    Args:
        package: its name.

    """

    def find() -> list[str]:
        module = sys.modules[package]
        return sorted({*vars(module), *module.__all__})

    return find
