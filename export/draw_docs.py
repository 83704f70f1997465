"""Draw the pictures of the pages in docs/ that show answers of the demo model.

    python export/draw_docs.py [DOCS]

Each is made by the command of its page. The pictures looked at are painted here.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from clip_gaze.places import shipped
from painter import paint

FIRST_SEED = 30_000_000
PAINTED_SIZE = 640
ONE, TWO, PAINTING = 7, 10, 10

PAGES = {
    "see.png": ["see", str(shipped("models") / "demo" / "demo.jpg"), "a seascape",
                "pop art movement", "--edge", "440"],
    "compare.svg": ["compare", "one.jpg", "two.jpg", "--list", "movements", "--list",
                    "photography", "--top", "4"],
    "compare_edits.svg": ["compare", "painting.jpg", "--edits", "--list", "photography",
                          "--top", "3"],
}  # fmt: skip


@click.command(help=__doc__)
@click.argument("docs", type=click.Path(exists=True, file_okay=False), default="docs")
def main(docs: str) -> None:
    """Paint, and run the commands."""
    folder = Path(docs).absolute()
    names = {"one.jpg": ONE, "two.jpg": TWO, "painting.jpg": PAINTING}
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for name, seed in names.items():
            paint(FIRST_SEED + seed, PAINTED_SIZE).image.save(name, quality=92)
        for name, words in PAGES.items():
            options = ["--model", "demo", "-o", str(folder / name)]
            subprocess.run(  # noqa: S603 - this package, with this Python
                [sys.executable, "-m", "clip_gaze", *words, *options],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            click.echo(name)


if __name__ == "__main__":
    main()
