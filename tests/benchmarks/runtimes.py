"""Ask the same of several releases of ONNX Runtime, and print by how much their answers differ.

    python tests/benchmarks/runtimes.py PICTURES MODEL... [--releases 1.16.3,1.32.0]

PICTURES is a folder, MODEL a name or a model folder. Each release is installed into an environment
of its own, beside the oldest of everything else that this package admits, so that the package index
must answer; the last release is the one that the others are compared with.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import click
import export_path  # noqa: F401 - finds `command`
import numpy as np

import command
from clip_gaze.model import registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
RELEASES = "1.16.3,1.17.3,1.19.2,1.20.1,1.22.1,1.23.2,1.32.0"
VARIANTS = ("fp32", "q8", "q4")
LISTS = ("movements", "surfaces", "painting_materials")
# Probabilities by list, (pictures, phrases).
Answers = dict[str, "NDArray[np.float64]"]


def environment(release: str, folder: Path) -> Path:
    """Make an environment with a release of onnxruntime, and return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", ROOT, f"onnxruntime=={release}", "numpy<2"],
        check=True,
    )
    return python


def answers(python: Path, pictures: Path, model: str, variant: str) -> Answers | str:
    """Return what a release says of each picture, or why it does not."""
    command = [python, "-m", "clip_gaze", "gaze", pictures, "--model", model, "--variant", variant]
    lists = [word for name in LISTS for word in ("--list", name)]
    done = subprocess.run(
        [*command, *lists, "--top", "0", "--format", "json", "--no-store"],
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    found = json.loads(done.stdout)
    return {
        name: np.array(
            [
                [score["probability"] for score in sorted(each["lists"][name], key=_phrase)]
                for each in found
            ]
        )
        for name in LISTS
    }


def _phrase(score: dict[str, str]) -> str:
    return score["phrase"]


def difference(one: Answers, other: Answers) -> float:
    """Return the largest difference of a probability."""
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


@click.command(help=__doc__)
@click.argument("pictures", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("models", nargs=-1, required=True)
@click.option("--releases", default=RELEASES, show_default=True, help="The last is the measure.")
def main(pictures: Path, models: tuple[str, ...], releases: str) -> None:
    """Print a table for docs/models.md."""
    names = [(model, variant) for model in models for variant in VARIANTS]
    found: dict[tuple[str, str, str], Answers | str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for release in releases.split(","):
            python = environment(release, Path(scratch) / release)
            for model, variant in names:
                found[release, model, variant] = answers(python, pictures, model, variant)
    last = releases.rsplit(",", maxsplit=1)[-1]
    titles = [f"{registry.find(model).manifest.name} {variant}" for model, variant in names]
    click.echo(f"| onnxruntime | {' | '.join(titles)} |")
    click.echo(f"|---|{'---:|' * len(names)}")
    for release in releases.split(","):
        cells = []
        for model, variant in names:
            mine = found[release, model, variant]
            newest, fp32 = found[last, model, variant], found[last, model, "fp32"]
            if isinstance(mine, str) or isinstance(newest, str) or isinstance(fp32, str):
                cells.append("does not run")
                click.echo(f"{release} {model} {variant}: {mine}", err=True)
            else:
                cells.append(f"{difference(mine, newest):.0e}, {difference(mine, fp32):.0e}")
        click.echo(f"| {release} | {' | '.join(cells)} |")


if __name__ == "__main__":
    command.run(main)
