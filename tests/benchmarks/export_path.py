"""Imported for what it does: the scripts here then find the modules of export/."""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[2] / "export"))
