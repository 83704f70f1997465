"""glibc's allocator gives memory back while it is told to; others are left alone."""

from __future__ import annotations

import pytest

from clip_gaze.system import malloc

SET, KEPT = [("trim", 0), (-3, 2**16)], [(-3, 2**19), (-1, 2**20)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what the allocator is told during the test."""
    told: list[object] = []

    class Library:
        mallopt = staticmethod(lambda *setting: told.append(setting))
        malloc_trim = staticmethod(lambda pad: told.append(("trim", pad)))

    monkeypatch.setattr(malloc.ctypes, "CDLL", lambda _: Library)
    monkeypatch.setattr(malloc.os, "name", "posix")
    return told


def test_the_allocator_gives_memory_back_for_as_long_as_it_is_told_to(calls: list[object]) -> None:
    with malloc.giving_back():
        assert calls == SET
    assert calls == [*SET, *KEPT]


def test_it_stops_where_something_fails(calls: list[object]) -> None:
    with pytest.raises(ZeroDivisionError), malloc.giving_back():
        _ = 1 / 0
    assert calls == [*SET, *KEPT]


def test_what_lies_free_is_given_back_at_once(calls: list[object]) -> None:
    malloc.give_back()
    assert calls == [("trim", 0)]


def test_other_allocators_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malloc.ctypes, "CDLL", lambda _: object())
    malloc.give_back()
    with malloc.giving_back():
        pass
