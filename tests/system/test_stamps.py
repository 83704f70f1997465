"""A stamp changes whenever a file does, and at no other time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from clip_gaze.system.stamps import stamp

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.utime(path, ns=(0, 12345))
    return path


def test_reading_changes_no_stamp(file: Path) -> None:
    before = stamp(file)
    file.read_bytes()
    assert stamp(file) == before


def test_another_time_or_size_changes_it(file: Path) -> None:
    first = stamp(file)
    os.utime(file, ns=(0, 54321))
    second = stamp(file)
    file.write_bytes(b"contents")
    os.utime(file, ns=(0, 54321))
    assert len({first, second, stamp(file)}) == 3


def test_another_file_of_the_same_size_and_time_changes_it(file: Path) -> None:
    before = stamp(file)
    other = file.with_name("other")
    other.write_bytes(b"CONTENT")
    os.utime(other, ns=(0, 12345))
    other.replace(file)
    assert stamp(file) != before


@pytest.mark.parametrize("name", ["missing", ".", "nul\0"])
def test_what_is_no_regular_file_has_none(name: str, file: Path) -> None:
    assert stamp(file.with_name(name) if name != "." else file.parent) is None


@pytest.mark.skipif(os.name != "posix", reason="there are no named pipes")
def test_a_pipe_has_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert stamp(tmp_path / "pipe") is None
