"""The command line: `main` is the program, `commands` has a module for each command.

May import everything; nothing imports it.
"""

import sys

try:
    from clip_gaze.cli.main import main
except KeyboardInterrupt:  # while all that is loaded, which takes a moment
    sys.stderr.write("clip-gaze: error: stopped\n")
    sys.exit(2)

__all__ = ["main"]
