"""A recipe can be tried without entering a model folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "export" / "sweep_variants.py"


def test_each_recipe_has_a_line(tiny_model: Path) -> None:
    before = sorted(tiny_model.iterdir())
    command = [sys.executable, str(SCRIPT), str(tiny_model), "--only", "4 bit, block 32, symmetric"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, reference, row = done.stdout.splitlines()
    assert reference.split()[-3:] == ["1.00000", "1.00000", "0e+00"]
    assert row.startswith("4 bit, block 32, symmetric")
    *_, vision, text, drift = map(float, row.split()[5:])
    assert 0.9 < vision < 1
    assert 0.9 < text < 1
    assert drift <= 1e-6
    assert sorted(tiny_model.iterdir()) == before


def test_each_layer_has_a_line(tiny_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tiny_model), "--layers", "--pictures", "3"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, *rows = done.stdout.splitlines()
    blocks = ["query", "key", "value", "out", "up", "down"]
    names = [f"block {block} {role}" for block in (1, 2) for role in blocks] + ["projection"]
    assert [row.split(maxsplit=1)[0] for row in rows] == ["vision"] * 13 + ["text"] * 13
    assert [row[8:28].strip() for row in rows] == names * 2
    costs = [float(row.split()[-1]) for row in rows]
    assert all(0 < cost < 0.1 for cost in costs)
    # Of random weights the layer that makes the vector matters most.
    assert max(costs[:13]) == costs[12]


def test_bad_input_is_one_line(tiny_model: Path, tmp_path: Path) -> None:
    for words, message in (
        ([tiny_model, "--only", "nothing"], "no recipe's name has 'nothing'"),
        ([tiny_model, "--pictures", "1"], "1 is not in the range"),
        ([tmp_path], "is this a clip-gaze model folder?"),
    ):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *map(str, words)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stdout == ""
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_names_tell_recipes_apart() -> None:
    from sweep_variants import recipes

    names, tried = zip(*recipes(), strict=True)
    assert len(set(names)) == len(names)
    assert len(set(tried)) == len(tried)
