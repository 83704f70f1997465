"""The words of the demo model's training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXPORT = Path(__file__).parents[2] / "export"
TRAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from clip_gaze.texts import phrases
from demo.words import train_tokenizer
tokenizer = train_tokenizer([phrase for name in phrases.names() for phrase in phrases.load(name)])
print(tokenizer.backend_tokenizer.to_str())
"""


def test_every_run_trains_the_same_tokenizer() -> None:
    """In processes of their own: within one, hash tables keep their order."""
    command = [sys.executable, "-c", TRAIN, str(EXPORT)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout) > 10_000
