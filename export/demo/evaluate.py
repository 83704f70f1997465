"""Measure how often the demo model names what a picture was painted as.

    python export/demo_model.py evaluate [--seed 1] [--pictures 500] [--studies] [--model demo]

Every picture has a random phrase of each list. The right one is looked for among the phrases
that the painter knows, and among the whole shipped list. Training never used these seeds.

The correction is compared picture by picture: how many it sets right and how many wrong, and how
many per cent it costs at the most, the one-sided 95 % bound of the difference.
"""

from __future__ import annotations

import json
import math
from collections import Counter

import click
import numpy as np

from clip_gaze import Clip
from clip_gaze.texts import phrases
from demo.painter import SEED, TRAINED, paint

# Training uses smaller seeds.
FIRST_SEED = 10_000_000
PAINTED_SIZE = 224
ONE_SIDED_95 = 1.645


def evaluate(clip: Clip, seeds: range, *, study: bool = False) -> dict[str, dict[str, object]]:
    """Return for each list its accuracies (0 to 1) and most frequent mistakes."""
    labels: list[dict[str, str]] = []

    def pictures():  # noqa: ANN202 - a generator, so that one picture is in memory
        for seed in seeds:
            painting = paint(seed, PAINTED_SIZE, study=study)
            labels.append(painting.phrases)
            yield painting.image

    images = clip.encode_images(pictures())
    report = {}
    for name, trained in TRAINED.items():
        if name not in labels[0]:
            continue
        whole = phrases.load(name)
        truth = np.array([whole.index(label[name]) for label in labels])
        scores = clip.ranking({name: whole}).log_odds(images, name)
        corrected = clip.ranking({name: whole}, corrected=True).log_odds(images, name)
        known = np.isin(np.arange(len(whole)), [whole.index(phrase) for phrase in trained])
        among = np.where(known, scores, -np.inf).argmax(axis=1)
        wrong = Counter(
            f"{whole[right]} -> {whole[said]}"
            for right, said in zip(truth, among, strict=True)
            if right != said
        )
        before, after = scores.argmax(axis=1) == truth, corrected.argmax(axis=1) == truth
        won, lost = int((after & ~before).sum()), int((before & ~after).sum())
        report[name] = {
            "trained": len(trained),
            "among trained": float((among == truth).mean()),
            "whole list": len(whole),
            "among whole list": float(before.mean()),
            "whole list, corrected": float(after.mean()),
            "correction won": won,
            "correction lost": lost,
            "correction costs at most": at_most(won, lost, len(seeds)),
            "mistakes": wrong.most_common(8),
        }
    return report


def at_most(won: int, lost: int, count: int) -> float:
    """Return the upper bound of the share of `count` pictures that the correction loses.

    Where next to nothing changes, the spread of three counts: none seen in n allows for 3 / n.
    """
    return (lost - won + ONE_SIDED_95 * math.sqrt(max(lost + won, 3))) / count


def bounded(cost: float) -> str:
    """Return a bound of `at_most` in words."""
    return f"costs {cost:.2%} at most" if cost >= 0 else f"gains {-cost:.2%} at least"


@click.command(help=__doc__)
@click.option(
    "--seed", default=1, show_default=True, type=SEED, help="Which 10,000 pictures to draw from."
)
@click.option("--pictures", default=500, show_default=True, type=click.IntRange(1))
@click.option("--studies", is_flag=True, help="Pictures that follow no movement.")
@click.option("--model", default="demo", show_default=True)
@click.option("--variant", help="Variant of the model.  [default: its own]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    *, seed: int, pictures: int, studies: bool, model: str, variant: str | None, as_json: bool
) -> None:
    """Paint pictures, ask the model about them, and print its accuracy."""
    first = FIRST_SEED + 10_000 * seed
    with Clip(model, variant, offline=True) as clip:
        report = evaluate(clip, range(first, first + pictures), study=studies)
    if as_json:
        click.echo(json.dumps(report, indent=1, ensure_ascii=False))
        return
    click.echo(f"{pictures} {'studies' if studies else 'pictures'}, seed {seed}")
    for name, row in report.items():
        click.echo(
            f"{name:20} {row['among trained']:7.1%} among {row['trained']:3} trained phrases, "
            f"{row['among whole list']:7.1%} among all {row['whole list']}, "
            f"{row['whole list, corrected']:7.1%} corrected (+{row['correction won']} "
            f"-{row['correction lost']}, {bounded(row['correction costs at most'])})"
        )
        for mistake, count in row["mistakes"]:
            click.echo(f"    {count:3} x {mistake}")
