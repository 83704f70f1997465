"""Imported for what it does: the scripts here then find the modules of export/ and tests/."""

import sys
from pathlib import Path

TOP = Path(__file__).parents[2]
sys.path[1:1] = [str(TOP / "export"), str(TOP / "tests")]
