"""Fixtures that more than one test file uses."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from PIL import Image

import checkpoints
from clip_gaze.model import registry
from hub_server import Hub, publish
from missing import (  # noqa: F401 - hooks
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_sessionfinish,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    Shared = Callable[[str, Callable[[Path], object]], Path]

ROOT = Path(__file__).parents[1]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
)

# A busy machine must not fail a test: an example may take as long as it takes.
settings.register_profile(
    "patient", settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give each test a cache folder of its own, and no way to a hub.

    A test that undoes its own patches in the middle does not undo these. The folder goes after
    the test: those with the packed weights of a full-size model hold a gigabyte each.
    """
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIP_GAZE_CACHE", str(folder))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    """Return a function that makes pictures of noise."""

    def make(width: int = 70, height: int = 50, seed: int = 0) -> Image.Image:
        rng = np.random.default_rng(seed)
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))

    return make


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Shared:
    """Return a function that makes a folder once for all of a run's workers, and returns it.

    With --made FOLDER, what an earlier run with --basetemp FOLDER made is taken from there.
    """
    made: Path | None = pytestconfig.option.made
    base = tmp_path_factory.getbasetemp()
    # Each worker of pytest-xdist has a folder of its own in that of the run.
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def share(name: str, make: Callable[[Path], object]) -> Path:
        if made and (made / name).exists():
            return made / name
        with FileLock(base / f"{name}.lock"):
            if not (base / name).exists():
                part = Path(tempfile.mkdtemp(dir=base))
                make(part)
                part.rename(base / name)
        return base / name

    return share


@pytest.fixture(scope="session")
def tiny_checkpoint(shared: Shared) -> Path:
    """Return a small CLIPModel with random weights, as transformers saves it."""
    return shared("tiny-checkpoint", lambda folder: checkpoints.make(folder, "tiny"))


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Path, shared: Shared) -> Path:
    """Return the model folder that the export script makes of the small checkpoint."""
    return shared("tiny", lambda folder: export(tiny_checkpoint, folder, "tiny"))


@pytest.fixture(scope="session")
def full_checkpoint(shared: Shared) -> Path:
    """Return a ViT-B/32 with random weights, as transformers saves it."""
    return shared("full-checkpoint", lambda folder: checkpoints.make(folder, "vit-b-32"))


@pytest.fixture(scope="session")
def full_model(full_checkpoint: Path, shared: Shared) -> Path:
    """Return the model folder that the export script makes of the full-size checkpoint."""
    return shared("full", lambda folder: export(full_checkpoint, folder, "full"))


def export(checkpoint: Path, out: Path, name: str) -> None:
    """Run the export script, which fails where its own check against torch does."""
    script = ROOT / "export" / "export_clip.py"
    command = [sys.executable, str(script), str(checkpoint), str(out), "--name", name]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds" in done.stdout


@pytest.fixture(scope="session")
def original(shared: Shared) -> Path:
    """Return a folder to import clip-gaze 0.3.0 from, the package that this one is a re-make of."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(folder)]
        done = subprocess.run(
            [*command, "clip-gaze==0.3.0"], capture_output=True, text=True, check=False
        )
        if done.returncode and not os.environ.get("CI"):
            pytest.skip("clip-gaze 0.3.0 cannot be downloaded from here")
        assert done.returncode == 0, done.stderr
        (wheel,) = folder.glob("*.whl")
        zipfile.ZipFile(wheel).extractall(folder / "package")

    return shared("original", make) / "package"


@pytest.fixture(scope="session")
def published(tiny_model: Path, shared: Shared) -> Path:
    """Return a folder with the small model as the Hub would have it, and manifests for it."""
    return shared(
        "published", lambda folder: publish(tiny_model, folder / "store", folder / "shelf")
    )


@pytest.fixture
def hub(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Return a Hub that serves the small model; the shipped manifests are those for it."""
    with Hub(published / "store") as server, reach(server, monkeypatch, tmp_path / "hf"):
        monkeypatch.setattr(registry, "shipped", lambda name: published / "shelf" / name)
        yield server


@contextlib.contextmanager
def reach(server: Hub, monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[None]:
    """Let this process, and those that it starts, use a Hub and nothing else."""
    from huggingface_hub import constants

    for name in list(os.environ):
        if name.upper().startswith(("HF_", "HUGGINGFACE_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        # So that a busy machine does not pass for a slow network.
        monkeypatch.setattr(constants, name, 60)
        monkeypatch.setenv(name, "60")
    close_session()
    yield
    close_session()


def close_session() -> None:
    """Close the Hub's HTTP client, which keeps the proxies that were set when it was opened."""
    from huggingface_hub import utils

    # Before 1.0 it had another name.
    getattr(utils, "close_session" if hasattr(utils, "close_session") else "reset_sessions")()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return the system's Chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None and not os.environ.get("CI"):
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=FLAGS.split(), timeout=120_000
        )
        yield browser
        browser.close()
