"""A variant that this machine's ONNX Runtime does not run is not tried."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import onnxruntime
import pytest

from clip_gaze.errors import ModelError
from clip_gaze.model import supported
from samples import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

FP32_LEFT = replace(MANIFEST, default_variant="q8")  # which needs onnxruntime>=1.22,!=1.24.2


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes this machine's onnxruntime another one."""
    return lambda version: monkeypatch.setattr(supported, "version", lambda: version)


def test_the_version_is_that_of_the_runtime() -> None:
    assert supported.version() == onnxruntime.__version__


@pytest.mark.parametrize(
    ("requires", "found", "runs"),
    [
        ("", "1.0", True),
        ("onnxruntime>=1.22", "1.22.0", True),
        ("onnxruntime>=1.22", "1.22", True),
        ("onnxruntime>=1.22", "1.21.9", False),
        ("onnxruntime>=1.22", "1.9", False),
        ("onnxruntime>=1.22", "2.0", True),
        ("onnxruntime!=1.24.2", "1.24.2", False),
        ("onnxruntime!=1.24.2", "1.24.3", True),
        ("onnxruntime>=1.16,<1.30,!=1.24.2", "1.29.1", True),
        ("onnxruntime>=1.16,<1.30,!=1.24.2", "1.30.0", False),
        ("onnxruntime>=1.22", "1.23.0.dev20250101001", True),
        ("onnxruntime>=1.22", "of my own", False),
    ],
)
def test_releases_are_compared_by_their_numbers(requires: str, found: str, runs: bool) -> None:
    assert supported.runs(requires, found) is runs


def test_the_default_variant_is_used_where_it_runs(
    here: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    here("1.32.0")
    assert supported.variant(FP32_LEFT) == "q8"
    assert supported.variant(FP32_LEFT, "fp32") == "fp32"
    assert not caplog.records


def test_another_one_takes_its_place_and_one_line_says_so(
    here: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    here("1.19.2")
    with caplog.at_level(logging.WARNING):
        assert supported.variant(FP32_LEFT) == "fp32"
    assert [each.getMessage() for each in caplog.records] == [
        "näïve (q8) needs onnxruntime>=1.22,!=1.24.2, and 1.19.2 is here; fp32 is used instead"
    ]


def test_one_that_was_asked_for_is_refused(here: Callable[[str], None]) -> None:
    here("1.24.2")
    with pytest.raises(ModelError, match=r"and 1\.24\.2 is here; use --variant fp32, or install"):
        supported.variant(FP32_LEFT, "q8")


def test_a_model_that_does_not_run_at_all_is_refused(here: Callable[[str], None]) -> None:
    alone = replace(FP32_LEFT, variants={"q8": MANIFEST.variants["q8"]})
    here("1.19.2")
    with pytest.raises(ModelError, match="install another onnxruntime, or use --model demo"):
        supported.variant(alone)


def test_an_unknown_variant_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="choose one of: fp32, q8"):
        supported.variant(MANIFEST, "q4")
