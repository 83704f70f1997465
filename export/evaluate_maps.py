"""Measure how often the hottest place of a heat map lies on the subject.

    python export/evaluate_maps.py [--seed 1] [--pictures 200] [--model demo] [--variant NAME]

The painter knows where it put the subject, as a box. A map's hottest cell for the picture's genre,
weighed against the genres that were trained, has to have its centre in this box. Chance is the
share of the square that the boxes take. Training never used these seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import numpy as np

from clip_gaze import Clip
from clip_gaze.occlusion import RUNS
from painter import TRAINED, paint

if TYPE_CHECKING:
    from clip_gaze.results import HeatMap

# Training uses the seeds below its number of pictures.
FIRST_SEED = 20_000_000
PAINTED_SIZE = 224


@dataclass(frozen=True, slots=True)
class Game:
    """Shares of pictures, from 0 to 1.

    Attributes:
        hit: the hottest cell lies in the subject's box.
        chance: what a random place would reach.
        right: the genre comes first among those trained.
        hit_where_right: of these pictures alone.

    """

    hit: float
    chance: float
    right: float
    hit_where_right: float


def evaluate(clip: Clip, seeds: range, runs: int = RUNS) -> Game:
    """Play the pointing game on the studies of these seeds."""
    genres = TRAINED["genres"]
    hits, areas, firsts = [], [], []
    for seed in seeds:
        painting = paint(seed, PAINTED_SIZE, study=True)
        genre = painting.phrases["genres"]
        heat = clip.see(painting.image, genre, genres, runs=runs)
        box = within(painting.box, heat.box)
        column, row = hottest(heat)
        hits.append(box[0] <= column <= box[2] and box[1] <= row <= box[3])
        areas.append((box[2] - box[0]) * (box[3] - box[1]))
        scores = dict(clip.probabilities(painting.image, genres))
        firsts.append(max(scores, key=scores.__getitem__) == genre)
    hit, right = np.array(hits), np.array(firsts)
    among_right = float(hit[right].mean()) if right.any() else float("nan")
    return Game(float(hit.mean()), float(np.mean(areas)), float(right.mean()), among_right)


def within(box: tuple[float, ...], seen: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Return a picture's box as a box of the square that was seen, cut at its edges."""
    width, height = seen[2] - seen[0], seen[3] - seen[1]
    left, right = ((box[at] - seen[0]) / width for at in (0, 2))
    top, bottom = ((box[at] - seen[1]) / height for at in (1, 3))
    return max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0)


def hottest(heat: HeatMap) -> tuple[float, float]:
    """Return the centre of the hottest cell, from the left and from the top, 0 to 1."""
    grid = np.array(heat.grid)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    return (float(column) + 0.5) / grid.shape[1], (float(row) + 0.5) / grid.shape[0]


@click.command(help=__doc__)
@click.option("--seed", default=1, show_default=True, help="Which 10,000 pictures to draw from.")
@click.option("--pictures", default=200, show_default=True)
@click.option("--model", default="demo", show_default=True)
@click.option("--variant", help="Variant of the model.  [default: its own]")
@click.option("--runs", default=RUNS, show_default=True, help="Versions of a picture looked at.")
def main(seed: int, pictures: int, model: str, variant: str | None, runs: int) -> None:
    """Paint, look, count."""
    first = FIRST_SEED + 10_000 * seed
    with Clip(model, variant, offline=True, store=False) as clip:
        game = evaluate(clip, range(first, first + pictures), runs)
    click.echo(f"{pictures} pictures, seed {seed}, {runs} runs each")
    click.echo(f"{game.hit:7.1%} of the hottest cells lie on the subject")
    click.echo(f"{game.chance:7.1%} would by chance")
    click.echo(f"{game.right:7.1%} of the genres come first among those trained")
    click.echo(f"{game.hit_where_right:7.1%} of the hottest cells of these lie on the subject")


if __name__ == "__main__":
    main()
