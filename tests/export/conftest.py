"""What the tests of the scripts need beside the runtime."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def exporting() -> None:
    """Import what the scripts need: where it is missing, their tests are skipped."""
    import onnx  # noqa: F401
    import torch  # noqa: F401
