"""The free memory is what the system says, held to a container's limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clip_gaze import memory, opening

if TYPE_CHECKING:
    from pathlib import Path


def test_linux_says_what_is_available(tmp_path: Path) -> None:
    source = tmp_path / "meminfo"
    source.write_text("MemTotal: 9 kB\nMemAvailable:   1234 kB\n", encoding="ascii")
    assert memory._linux(source) == 1234 * 1024
    assert memory._linux(tmp_path / "gone") is None


@pytest.mark.parametrize(
    ("limit", "used", "left"), [("1000", "300", 700), ("100", "300", 0), ("max", "300", None)]
)
def test_a_container_leaves_its_limit_less_what_is_used(
    tmp_path: Path, limit: str, used: str, left: int | None
) -> None:
    (tmp_path / "memory.max").write_text(limit, encoding="ascii")
    (tmp_path / "memory.current").write_text(used, encoding="ascii")
    assert memory._container(tmp_path) == left


def test_the_smallest_figure_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_linux": 500, "_container": 200, "_windows": None, "_posix": 800}.items():
        monkeypatch.setattr(memory, name, lambda value=value: value)
    assert memory.free_bytes() == 200


def test_this_machine_has_some() -> None:
    assert (memory.free_bytes() or 0) > 10**7


def test_half_of_it_is_shared_by_the_pictures_that_are_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "free_bytes", lambda: 24_000)
    assert opening.most_pixels() == 1000
    assert opening.most_pixels(workers=4) == 250
    monkeypatch.setattr(opening, "free_bytes", lambda: None)
    assert opening.most_pixels() is None
