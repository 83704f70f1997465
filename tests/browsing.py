"""What the tests of pages have in common."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE = 120_000  # milliseconds: a busy machine must not fail a test


def until(page: Page, condition: str, argument: Any = None) -> None:
    """Wait until a function of the page's returns what counts as true.

    Playwright's `wait_for_function` does not do where a policy forbids a page to evaluate text: it
    does so itself, every time but the first.
    """
    deadline = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition, argument):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)
