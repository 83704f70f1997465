"""What the tests of the page need beside the runtime."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def serving() -> None:
    """Import what the page needs: where it is missing, its tests are skipped."""
    import anyio  # noqa: F401
    import jinja2  # noqa: F401
    import python_multipart  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
