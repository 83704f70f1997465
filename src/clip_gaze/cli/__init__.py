"""Commands: one module each; `main` is the program.

May import everything; nothing imports it.
"""

from clip_gaze.cli.main import main

__all__ = ["main"]
