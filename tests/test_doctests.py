"""The examples in docstrings work, in the package as it is installed."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import clip_gaze

MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(clip_gaze.__path__, "clip_gaze.")
    if name != "clip_gaze.__main__"
)


@pytest.mark.parametrize("name", ["clip_gaze", *MODULES])
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    found = [doctest.DocTestFinder().find(importlib.import_module(name)) for name in MODULES]
    assert sum(bool(test.examples) for tests in found for test in tests) >= 4
