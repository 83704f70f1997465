"""Commands: one module each; `main` is the program.

May import everything; nothing imports it.
"""

import sys

try:
    from clip_gaze.cli.main import main
except KeyboardInterrupt:  # importing takes a moment, in which somebody may press Ctrl-C
    print("clip-gaze: error: stopped", file=sys.stderr)  # noqa: T201
    sys.exit(2)

__all__ = ["main"]
