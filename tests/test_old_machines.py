"""The main job on machines of long ago: a processor without AVX, and little memory."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest

from clip_gaze.model import registry
from limits import limited
from variants.measure import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="Linux on x86-64 alone"
)
DEMO = registry.find("demo").folder
NEHALEM = ["-cpu", "Nehalem"]
LIMIT = 350 * 2**20
QUANTIZE = Path(__file__).parents[1] / "export" / "quantize.py"


def answers(path: Path, variant: str, *before: str) -> dict[str, list[dict]]:
    """Return what the command says of a picture, asked with the demo model, all phrases."""
    command = [sys.executable, "-m", "clip_gaze", "gaze", str(path), "--model", "demo"]
    options = ["--variant", variant, "--top", "0", "--format", "json", "--no-store"]
    lists = ["--list", "movements", "--list", "surfaces"]
    done = subprocess.run(
        [*before, *command, *options, *lists],
        capture_output=True, text=True, check=False, env=environment(before),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    return found["lists"]


@pytest.fixture(scope="module")
def emulator() -> str:
    found = shutil.which("qemu-x86_64")
    if found is None and not os.environ.get("CI"):
        pytest.skip("qemu-x86_64 is not installed (Debian: qemu-user)")
    assert found, "qemu-x86_64 is missing"
    return found


def test_the_emulated_processor_has_no_avx(emulator: str) -> None:
    # numpy asks the processor itself; before 2.0 its module had another name.
    core = "_core" if hasattr(np, "_core") else "core"
    code = f"from numpy.{core}._multiarray_umath import __cpu_features__ as f; print(f['AVX'])"
    command = [emulator, *NEHALEM, sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment([emulator])
    )
    assert done.stdout.strip() == "False"


def test_an_emulated_processor_is_not_told_of_the_real_one(
    emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert "OPENBLAS_CORETYPE" in environment([])
    code = "import os; print([name for name in os.environ if name.startswith('OPENBLAS_')])"
    command = [emulator, *NEHALEM, sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment([emulator])
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("variant", sorted(registry.find("demo").manifest.variants))
def test_without_avx_the_answers_are_the_same(emulator: str, variant: str) -> None:
    """q8 multiplies in int8, which comes out differently; it must still name the same first."""
    native = answers(DEMO / "demo.jpg", variant)
    old = answers(DEMO / "demo.jpg", variant, emulator, *NEHALEM)
    assert old.keys() == native.keys()
    for name, scores in native.items():
        assert old[name][0]["phrase"] == scores[0]["phrase"]
        if variant != "q8":
            assert [each["phrase"] for each in old[name]] == [each["phrase"] for each in scores]
            both = ([each["probability"] for each in some] for some in (scores, old[name]))
            assert np.abs(np.subtract(*both)).max() <= 1e-5


ASK = """
import hashlib, sys
import numpy as np
from clip_gaze import Clip
from clip_gaze.model import packed

packed.SMALLEST = 0
if sys.argv[2:]:
    # As if what tells processors apart told these two not.
    packed.features = lambda: "the same"
    packed.boot = lambda: sys.argv[2]
pixels = np.arange(4800, dtype=np.uint8).reshape(40, 40, 3)
for store in (False, True, True):
    with Clip("demo", sys.argv[1], store=store) as clip:
        texts = clip.encode_texts(["on wood"], keep=False)
        rows = np.concatenate([texts, clip.encode_images([pixels])])
        print(hashlib.sha256(rows.tobytes()).hexdigest())
"""


def asked(cache: Path, *words: str, before: tuple[str, ...] = ()) -> list[str]:
    """Return digests of vectors: without packed weights, and twice with them, as far as may be."""
    done = subprocess.run(
        [*before, sys.executable, "-c", ASK, *words],
        capture_output=True, text=True, check=True,
        env=environment(before) | {"CLIP_GAZE_CACHE": str(cache)},
    )  # fmt: skip
    return done.stdout.split()


packs = pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 32),
    reason="onnxruntime before 1.32 does not pack all variants",
)


@packs
@pytest.mark.parametrize("variant", sorted(registry.find("demo").manifest.variants))
def test_each_processor_finds_its_own_packed_weights(
    emulator: str, variant: str, cache: Path
) -> None:
    ways = {"native": (), "emulated": (emulator, *NEHALEM)}
    for _ in range(2):  # in turn, with one cache
        for before in ways.values():
            plain, *packed = asked(cache, variant, before=before)
            assert packed == [plain] * 2
    assert len(list((cache / "packed").glob("*"))) >= 4


@packs
@pytest.mark.parametrize("variant", sorted(registry.find("demo").manifest.variants))
def test_weights_of_another_processor_are_noticed_where_nothing_told_them_apart(
    emulator: str, variant: str, cache: Path
) -> None:
    plain, *packed = asked(cache, variant, "native")
    assert packed == [plain] * 2
    assert list((cache / "packed").rglob("*.onnx"))
    plain, *packed = asked(cache, variant, "emulated", before=(emulator, *NEHALEM))
    assert packed == [plain] * 2


def test_without_avx_512_mb_are_enough(emulator: str) -> None:
    """In CI's oldest leg, with the wheels for glibc 2.17: everything old at once."""
    command = [emulator, *NEHALEM, sys.executable, "-m", "clip_gaze", "demo"]
    done = limited(command, 512 * 2**20, environment([emulator]))
    assert done.returncode == 0, done.stderr
    assert re.search(r"oil paint medium +>99\.9%", done.stdout)


def test_the_limit_is_hard() -> None:
    code = "print(len(bytearray(b'1') * ({} * 2**20)))"
    fits, not_ = (limited([sys.executable, "-c", code.format(mb)], 100 * 2**20) for mb in (60, 140))
    assert (fits.returncode, fits.stdout.strip()) == (0, str(60 * 2**20)), fits.stderr
    assert not_.returncode


@pytest.mark.full
@pytest.mark.parametrize("variant", ["fp32", "q4", "q8"])
def test_a_full_size_model_runs_in_350_mb(
    full_model: Path, variant: str, picture: MakePicture, tmp_path: Path
) -> None:
    """The reference weights too, once they are packed."""
    command = [sys.executable, "-m", "clip_gaze", "gaze", "--model", str(full_model)]
    command += ["--variant", variant, "--list", "artists_by_training_prevalence"]
    picture().save(tmp_path / "first.png")
    picture(2175, 1713, seed=1).save(tmp_path / "large.jpg")
    # The lists are encoded once, without a limit; a new picture is then looked at within it.
    for path, size in (("first.png", 2**40), ("large.jpg", LIMIT)):
        done = limited([*command, str(tmp_path / path), "--format", "json"], size)
        assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["status"] == "ok"
    assert len(found["lists"]["artists_by_training_prevalence"]) == 5


@pytest.mark.full
def test_a_full_size_model_is_quantised_in_2_gb(full_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    fp32 = [each.name for each in full_model.glob("*_model.onnx*")]
    for name in ("manifest.json", "tokenizer.json", *fp32):
        shutil.copy(full_model / name, folder)
    done = limited([sys.executable, str(QUANTIZE), str(folder)], 2 * 2**30)
    assert done.returncode == 0, done.stderr
    assert {each.name for each in folder.iterdir()} == {each.name for each in full_model.iterdir()}


FOLDER = r"""
import re, sys
from pathlib import Path
from PIL import Image
from clip_gaze import Clip

def peak():
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text("ascii"))[1])

model, variant, *paths = sys.argv[1:]
# Each thread has a picture under way: with more than two, two pictures would not keep all busy.
with Clip(model, variant, store=False, threads=2) as clip:
    clip.gaze(Image.new("RGB", (9, 9)), ["on wood"])
    for some in (paths[:2], paths[2:]):
        assert all(found.status == "ok" for found in clip.gaze_many(some, {"all": ["on wood"]}))
        print(peak())
"""


@pytest.mark.full
@pytest.mark.parametrize("variant", ["fp32", "q8", "q4"])
def test_a_folder_takes_no_more_memory_than_two_pictures(
    full_model: Path, variant: str, picture: MakePicture, tmp_path: Path
) -> None:
    paths = [str(tmp_path / f"{seed:02}.jpg") for seed in range(26)]
    for seed, path in enumerate(paths):
        picture(2175, 1713, seed=seed).save(path)
    command = [sys.executable, "-c", FOLDER, str(full_model), variant, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after_two, at_the_end = (1024 * int(kb) for kb in done.stdout.split())
    # If pictures were kept, 24 more would take 270 MB; the benchmark says what a folder takes.
    assert at_the_end - after_two < 24 * 2175 * 1713 * 3 / 3, done.stdout
