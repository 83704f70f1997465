"""Pictures may be as large as memory allows, and share it while they are open."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clip_gaze.pictures import memory
from samples import PATIENCE


@pytest.mark.parametrize(
    ("free", "copies", "wanted"),
    [
        pytest.param(24 * 10**9, 1, 10**9, id="half of it"),
        pytest.param(24 * 10**9, 2, 5 * 10**8, id="two at a time"),
        pytest.param(12 * 10**8, 1, 90 * 10**6, id="usual pictures, if all of it is enough"),
        pytest.param(12 * 10**8, 2, 50 * 10**6, id="not more than all of it"),
        pytest.param(10**9, 1, 10**9 // 12, id="a photo of 12 megapixels in 1 GB"),
        pytest.param(None, 1, None, id="unknown"),
    ],
)
def test_a_picture_may_be_as_large_as_memory_allows(
    free: int | None, copies: int, wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: free)
    assert memory.most_pixels(copies) == wanted


def test_pictures_that_are_open_share_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 10 * 2 * 12)
    room, lock = memory.Room(), threading.Lock()
    inside: list[int] = []
    together: list[list[int]] = []
    start = threading.Barrier(8)

    def look(seed: int) -> None:
        start.wait(PATIENCE)
        for size in np.random.default_rng(seed).integers(1, 13, 300).tolist():
            with room.take(size):
                with lock:
                    inside.append(size)
                    together.append(list(inside))
                with lock:
                    inside.remove(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(8)))
    assert len(together) == 8 * 300
    assert all(sum(sizes) <= 10 or len(sizes) == 1 for sizes in together)


def test_a_picture_that_fails_leaves_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 10 * 2 * 12)
    room = memory.Room()
    for _ in range(3):
        with pytest.raises(ValueError, match="bad"), room.take(8):
            raise ValueError("bad")
