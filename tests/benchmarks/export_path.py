"""Imported for what it does: the scripts here then find the modules of export/ and tests/.

And the processes that they measure keep compiled modules, as those of an installed package are:
to compile clip-gaze's own takes 50 ms.
"""

import os
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]
sys.path[1:1] = [str(TOP / "export"), str(TOP / "tests")]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
