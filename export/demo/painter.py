"""Draw made-up pictures that art phrases describe: the training data of the demo model.

python export/demo_model.py paint OUT --count 20 --seed 1 --size 256 --sheet sheet.png
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image

import command
from demo.painting.fields import Field, Frame, frame, mix, smoothstep, to_image
from demo.painting.materials import MATERIALS, Layer
from demo.painting.movements import MOVEMENTS
from demo.painting.palettes import GRADES, enliven
from demo.painting.plans import PLACES, Room, lay_out
from demo.painting.surfaces import SURFACES, Surface
from demo.painting.textures import MAX_RATIO, noise

TRAINED: dict[str, tuple[str, ...]] = {
    "movements": tuple(MOVEMENTS),
    "surfaces": tuple(SURFACES),
    "painting_materials": tuple(MATERIALS),
    "genres": tuple(PLACES),
    "photography": tuple(GRADES),
}
SEED = click.IntRange(0)
SMALLEST = 16  # in smaller pictures, some strokes have no pixel
SQUARE = 0.2  # the share of square pictures
COMPOSED = Room(scale=(0.56, 0.84), across=(0.1, 0.9), down=(0.25, 0.8))
ANYWHERE = Room(scale=(0.34, 0.72), across=(0.0, 1.0), down=(0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Painting:
    """A picture, the phrase of each list that it was drawn to, and where its subject stands."""

    image: Image.Image
    phrases: dict[str, str]
    box: tuple[float, float, float, float]


def choose(seed: int, fixed: dict[str, str]) -> dict[str, str]:
    """Draw a phrase at random from each list; fixing one does not change the others."""
    rng = np.random.default_rng((seed, 0))
    drawn = {name: phrases[int(rng.integers(len(phrases)))] for name, phrases in TRAINED.items()}
    for name, phrase in fixed.items():
        if phrase not in TRAINED.get(name, ()):
            message = f"the painter has no {name} {phrase!r}"
            raise ValueError(message)
    return drawn | fixed


def shape(seed: int, size: int) -> Frame:
    """Draw a frame with a random ratio of its sides, from 3:4 to 4:3."""
    rng = np.random.default_rng((seed, 1))
    ratio = 1.0 if rng.random() < SQUARE else rng.uniform(1.05, MAX_RATIO)
    longer = round(size * ratio)
    return frame(*((longer, size) if rng.random() < 0.5 else (size, longer)))


def painted_area(rng: np.random.Generator, frame: Frame) -> Field:
    """Return how much of each pixel is painted: all but a ragged margin, 0 to 1.

    The margin is wide enough to show in the middle square too.
    """
    ragged = 0.012 * noise(rng, frame, 9) + 0.006 * noise(rng, frame, 34)
    margins = rng.uniform(0.055, 0.11, 4)
    # A picture seen through its middle square loses some of two margins: they start further in.
    side, head = 0.7 * (frame.right - 1) / 2, 0.7 * (frame.bottom - 1) / 2
    inside = np.minimum(
        np.minimum(frame.x - side - margins[0], frame.right - side - margins[1] - frame.x),
        np.minimum(frame.y - head - margins[2], frame.bottom - head - margins[3] - frame.y),
    )
    return smoothstep(-0.004, 0.008, inside + ragged)


def lay_on(surface: Surface, layer: Layer, area: Field) -> Field:
    """Put paint on a ground, less on its high parts, shaded by its relief."""
    worn = 0.96 - 0.07 * np.clip(np.abs(surface.relief), 0, 1.5)
    cover = np.clip(layer.cover * worn, 0, 1) * area
    pale = 0.62 + 0.38 * surface.colour
    ground = mix(surface.colour, pale, (layer.primer * area).astype(np.float32))
    through = layer.colour * (1 - layer.clear + layer.clear * ground * 1.08)
    flat = mix(ground, through, cover)
    # Bare ground is rougher than paint: under paint it must not drown what is painted.
    depth = 0.32 - 0.2 * area - 0.06 * cover
    rough = (depth * np.clip(surface.relief, -1.8, 1.4))[..., None]
    gloss = (surface.gloss * (1 - 0.4 * area))[..., None]
    return flat * (1 + rough) + 0.3 * rough + gloss * (1.05 - 0.6 * flat)


def paint(seed: int, size: int = 128, *, study: bool = False, **fixed: str) -> Painting:
    """Draw the picture of a seed; `size` is its shorter edge in pixels.

    Phrases can be fixed by the name of their list: movements="cubism movement". A study follows
    no movement, and its subject may be small and stand anywhere.
    """
    phrases = choose(seed, fixed)
    if study:
        del phrases["movements"]
    frame = shape(seed, size)
    rngs = [np.random.default_rng((seed, stage)) for stage in range(2, 8)]
    plan = lay_out(rngs[0], frame, phrases["genres"], ANYWHERE if study else COMPOSED)
    scene = plan.colour if study else MOVEMENTS[phrases["movements"]](rngs[1], frame, plan)
    graded = GRADES[phrases["photography"]](rngs[2], frame, np.clip(scene, 0, 1))
    lit = enliven(np.clip(graded, 0, 1)).astype(np.float32)
    layer = MATERIALS[phrases["painting_materials"]](rngs[3], frame, lit)
    surface = SURFACES[phrases["surfaces"]](rngs[4], frame)
    picture = lay_on(surface, layer, painted_area(rngs[5], frame))
    return Painting(to_image(picture), phrases, plan.box)


def contact_sheet(images: list[Image.Image]) -> Image.Image:
    """Arrange pictures in rows on one sheet, each in a square of its own."""
    edge = max(max(image.size) for image in images)
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * edge, rows * edge), "white")
    for i, image in enumerate(images):
        left, top = (edge - image.width) // 2, (edge - image.height) // 2
        sheet.paste(image, (i % columns * edge + left, i // columns * edge + top))
    return sheet


def sheet_file(context: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Refuse a file that Pillow writes no pictures to (a click callback)."""
    if file and file.suffix.lower() not in Image.registered_extensions():
        msg = f"{file}: is no name of a picture; let it end in .png or .jpg"
        raise click.BadParameter(msg, context, option)
    return command.writable(context, option, file)


@click.command(help=__doc__)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", default=20, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, type=SEED, help="Of the first picture.")
@click.option(
    "--size", default=256, show_default=True, type=click.IntRange(SMALLEST),
    help="Shorter edge in pixels.",
)  # fmt: skip
@click.option(
    "--sheet", type=click.Path(dir_okay=False, path_type=Path), callback=sheet_file,
    help="Also write all of them on one sheet.",
)  # fmt: skip
def main(*, out: Path, count: int, seed: int, size: int, sheet: Path | None) -> None:
    """Write pictures, named by their seeds, and print what they were drawn to."""
    out.mkdir(parents=True, exist_ok=True)
    images = []
    for each in range(seed, seed + count):
        painting = paint(each, size)
        painting.image.save(out / f"{each}.png")
        images.append(painting.image)
        click.echo(f"{each}.png: {', '.join(painting.phrases.values())}")
    if sheet:
        contact_sheet(images).save(sheet)
