"""The command that makes a dataset of a collection's vectors: `clip-gaze embed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clip_gaze.cli.collection import Target, made
from clip_gaze.cli.options import (
    bare_model_options,
    cluster_option,
    collection_options,
)
from clip_gaze.datasets.partitions import USUAL

if TYPE_CHECKING:
    from clip_gaze.cli.asked import Asked


@click.command()
@collection_options
@click.option(
    "-o",
    "--output",
    "place",
    required=True,
    metavar="DATASET",
    help="Folder or URL of the dataset.",
)
@click.option("--half", is_flag=True, help="Write float16, half as large.")
@click.option("--resume", is_flag=True, help="Go on with a dataset, or renew it.")
@click.option(
    "--per-part", type=click.IntRange(1, 100_000), default=USUAL, show_default=True, metavar="N",
    help="Pictures in a part of the dataset, about.",
)  # fmt: skip
@cluster_option
@bare_model_options
def embed(
    asked: Asked,
    *,
    place: str,
    half: bool,
    resume: bool,
    per_part: int,
    cluster: str | None,
    **options: Any,
) -> int:
    """Make a dataset of the vectors of pictures, on this machine or on a Dask cluster.

    `gaze`, `report` and `find` take it in place of the pictures. Pictures come from folders,
    patterns such as "scans/*.jpg", URLs such as s3://bucket/scans/, and - for names on standard
    input.
    """
    target = Target(place, resume=resume, half=half, per_part=per_part)
    return made(asked, target, cluster=cluster, **options)
