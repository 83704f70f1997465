"""Fifty clients at once get answers, or are told to come again; memory stays as it is."""

from __future__ import annotations

import sys

import page_load

CLIENTS, SECONDS = 50, 6
# What the allocator may keep in pieces: a decoded picture has 2 MB, a card 6 MB and more while it
# is drawn.
ALLOWED_MB = 40


def test_many_clients_get_answers_or_are_told_to_come_again() -> None:
    with page_load.server("--model", "demo", "--threads", "1") as (port, pid):
        page_load.load(port, pid, clients=4, seconds=2)  # both towers are loaded then
        figures = page_load.load(port, pid, CLIENTS, SECONDS)
    assert set(figures.statuses) == {"200", "503"}
    assert figures.statuses["200"] > 0
    if sys.platform == "linux":
        assert len(figures.rss_mb) > 3
        assert figures.at_the_end() - figures.after_a_third() < ALLOWED_MB
