"""Measure how often the hottest cell of a heat map lies on the subject.

    python export/demo_model.py maps [--aside] [--seed 1] [--pictures 200] [--model demo]

The painter knows where it put the subject, as a box. A map's hottest cell for the picture's genre,
weighed against the genres that were trained, has to have its centre in this box. Beside the share
of hits stands what others would reach: a random place, the best place that is the same in all
pictures, and the map for another genre. As most subjects cover the middle of the square, that place
would do well; with --aside, only pictures count whose subject leaves it free. Training never used
these seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from clip_gaze import Clip
from clip_gaze.analysis.defaults import RUNS
from clip_gaze.pictures.preprocess import seen, within
from demo.painter import SEED, TRAINED, paint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clip_gaze.results import HeatMap

# Training uses smaller seeds.
FIRST_SEED = 20_000_000
PAINTED_SIZE = 224
SMALL_SIZE = 64  # to find out where a subject stands
PLACES = np.linspace(0.025, 0.975, 20)


@dataclass(frozen=True, slots=True)
class Game:
    """The results of the pointing game, as shares of pictures from 0 to 1.

    Attributes:
        hit: the hottest cell lies in the subject's box.
        chance: what a random place would reach.
        fixed: what the best place would reach that is the same in all pictures.
        other: the hottest cell of the map for another genre lies there.
        right: the genre comes first among those trained.
        hit_where_right: of these pictures alone.

    """

    hit: float
    chance: float
    fixed: float
    other: float
    right: float
    hit_where_right: float


def evaluate(
    clip: Clip, first: int, pictures: int, runs: int = RUNS, *, aside: bool = False
) -> Game:
    """Play the pointing game on studies, from a seed on; see `_aside`."""
    genres = TRAINED["genres"]
    rows, boxes = [], []
    for seed in islice(_aside(first) if aside else count(first), pictures):
        painting = paint(seed, PAINTED_SIZE, study=True)
        genre = painting.phrases["genres"]
        another = genres[(genres.index(genre) + len(genres) // 2) % len(genres)]
        heat, for_another = clip.see(painting.image, [genre, another], genres, runs=runs)
        box = cut(painting.box, heat.box)
        scores = dict(clip.probabilities(painting.image, genres))
        rows.append(
            (
                bool(inside(box, *hottest(heat))),
                bool(inside(box, *hottest(for_another))),
                max(scores, key=scores.__getitem__) == genre,
            )
        )
        boxes.append(box)
    hit, other, right = np.array(rows).T
    edges = np.array(boxes).T
    return Game(
        hit=float(hit.mean()),
        chance=float(((edges[2] - edges[0]) * (edges[3] - edges[1])).mean()),
        fixed=max(float(inside(edges, x, y).mean()) for x in PLACES for y in PLACES),
        other=float(other.mean()),
        right=float(right.mean()),
        hit_where_right=float(hit[right].mean()) if right.any() else float("nan"),
    )


def _aside(first: int) -> Iterator[int]:
    """Yield the seeds of studies whose subject leaves the middle of the square free."""
    for seed in count(first):
        small = paint(seed, SMALL_SIZE, study=True)
        if not inside(cut(small.box, seen(*small.image.size, 1)), 0.5, 0.5):
            yield seed


def inside(box: Sequence[Any], x: float, y: float) -> Any:
    """Return whether a place lies in a box; a bool for each box if the edges are arrays."""
    return (box[0] <= x) & (x <= box[2]) & (box[1] <= y) & (y <= box[3])


def cut(box: tuple[float, ...], part: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Convert a box of a picture to one of the square that was seen, cut at its edges."""
    left, top, right, bottom = within(box, part)
    return max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)


def hottest(heat: HeatMap) -> tuple[float, float]:
    """Return the centre of the hottest cell, from the left and from the top, 0 to 1."""
    grid = np.array(heat.grid)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    return (float(column) + 0.5) / grid.shape[1], (float(row) + 0.5) / grid.shape[0]


@click.command(help=__doc__)
@click.option("--aside", is_flag=True, help="Only subjects that leave the middle free.")
@click.option(
    "--seed", default=1, show_default=True, type=SEED, help="Which 10,000 pictures to draw from."
)
@click.option("--pictures", default=200, show_default=True, type=click.IntRange(1))
@click.option("--model", default="demo", show_default=True)
@click.option("--variant", help="Variant of the model.  [default: its own]")
@click.option("--runs", default=RUNS, show_default=True, help="Versions of a picture looked at.")
def main(
    *, aside: bool, seed: int, pictures: int, model: str, variant: str | None, runs: int
) -> None:
    """Paint pictures, make their heat maps, and print the shares."""
    first = FIRST_SEED + 10_000 * seed
    with Clip(model, variant, offline=True, store=False) as clip:
        game = evaluate(clip, first, pictures, runs, aside=aside)
    click.echo(f"{pictures} pictures, seed {seed}, {runs} runs each")
    click.echo(f"{game.hit:7.1%} of the hottest cells lie on the subject")
    click.echo(f"{game.chance:7.1%} would by chance")
    click.echo(f"{game.fixed:7.1%} would if all lay at one place, the best there is")
    click.echo(f"{game.other:7.1%} do of the maps for another genre")
    click.echo(f"{game.right:7.1%} of the genres come first among those trained")
    click.echo(f"{game.hit_where_right:7.1%} of the hottest cells of these lie on the subject")
