"""Names that are imported when they are asked for are shown before."""

from __future__ import annotations

from importlib import import_module

import pytest

PACKAGES = ["clip_gaze.results", "clip_gaze.store"]


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_shows_the_names_before_they_are_asked_for(package: str) -> None:
    module = import_module(package)
    shown = dir(module)
    assert shown == sorted(set(shown))
    assert {*module.__all__, "__name__", "__path__"} <= set(shown)
    assert all(hasattr(module, name) for name in shown)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        _ = import_module(package).Nothing
