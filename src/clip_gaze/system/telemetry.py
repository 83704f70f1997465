"""Keep dependencies from reporting to their makers."""

from __future__ import annotations

import os
import sys

# onnxruntime 1.29 and later read it once, when they are imported. Without it their wheels for Linux
# and macOS send events, and keep an id and a database of events in the user's cache folder.
SWITCH = "ORT_DISABLE_TELEMETRY"


def switch_off() -> None:
    """Switch off onnxruntime's telemetry, in this process and in those that it starts.

    A value that the user has given the variable stays. Where onnxruntime is there already, it is
    too late, and a warning says what to do. huggingface_hub sends nothing by itself; `hub.http`
    keeps what its requests tell to the least.
    """
    if SWITCH in os.environ:
        return
    if "onnxruntime" in sys.modules:
        import logging  # noqa: PLC0415 - `import clip_gaze` comes here, and shall be quick

        logging.getLogger(__name__).warning(
            "set %s=1 or import clip_gaze before onnxruntime: it was imported first, and newer "
            "releases of it report to their maker",
            SWITCH,
        )
    os.environ[SWITCH] = "1"
