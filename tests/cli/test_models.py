"""`clip-gaze models`, `models check` and `download`, each in a process of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import hub_server as hubs
from clip_gaze.cli.main import main
from clip_gaze.hub import address

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from hub_server import Hub

DOCS = Path(__file__).parents[2] / "docs" / "models.md"
COMMAND = re.compile(r"^ {4}((?:\w+=\S+ )?clip-gaze .*)$", re.MULTILINE)
MAIN = """
import sys
from pathlib import Path
from clip_gaze.model import registry
shelf = Path(sys.argv.pop(1))
registry.shipped = lambda name: shelf / name
from clip_gaze.cli import main
main()
"""
Run = "Callable[..., subprocess.CompletedProcess[str]]"


@pytest.fixture
def run(hub: Hub, published: Path) -> Run:
    """Return a function that runs the command line, whose models the hub has."""
    assert hub.requests == []

    def start(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MAIN, published / "shelf", *arguments]
        return subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, **environment},
            check=False,
        )

    return start


@pytest.fixture
def painting(picture: Callable[..., Image.Image], tmp_path: Path) -> Path:
    path = tmp_path / "painting.jpg"
    picture().save(path)
    return path


def variant(output: str, name: str = "q4") -> str:
    """Return the line about a variant of the default model."""
    block = output[output.index(hubs.NAME) :].split("\nclip-vit-large", 1)[0]
    (line,) = (line for line in block.splitlines() if line.startswith(f"  {name} "))
    return line


def test_models_tells_variants_sizes_licence_and_state(run: Run, hub: Hub, published: Path) -> None:
    files = [path for path in (published / "store").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files if "q4" in path.name or "tok" in path.name)
    before = run("models").stdout
    assert f"{hubs.NAME}, the default model; licence: see the source" in before
    assert f"  {hubs.REPOSITORY}\n  revision {hubs.COMMIT}\n" in before
    assert re.fullmatch(rf"  q4 +{size / 1e6:.1f} MB  not here, default", variant(before))
    assert re.fullmatch(r"  fp32 +\d\d\.\d MB  not here", variant(before, "fp32"))
    assert "revision not known before the first use" in before
    assert "at least 0.0 MB" in before
    assert hub.requests == []
    assert run("download").returncode == 0
    after = run("models").stdout
    assert variant(after).endswith("  here, verified, default")
    assert variant(after, "fp32").endswith("  1 of 3 files here")


def test_models_tells_what_was_not_verified_yet(run: Run, published: Path) -> None:
    shutil.copytree(published / "store", address.snapshot(hubs.REPOSITORY, hubs.COMMIT))
    assert variant(run("models").stdout).endswith("  here, not verified yet, default")
    assert run("models", "check", hubs.NAME).returncode == 0
    assert variant(run("models").stdout).endswith("  here, verified, default")


def test_models_that_ship_are_told_in_lines_that_fit_a_terminal() -> None:
    done = CliRunner().invoke(main, ["models"])
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_models_tells_the_revision_that_was_resolved(run: Run) -> None:
    done = run("download", hubs.OPEN)
    assert done.returncode == 0, done.stderr
    assert f"revision {hubs.COMMIT} of {hubs.REPOSITORY} is used from now on" in done.stderr
    assert "SHA-256" in done.stderr
    output = run("models").stdout
    assert "not known" not in output
    assert "at least" in output  # of the variants that were not fetched


def test_check_hashes_anew(run: Run) -> None:
    assert "0 right, 0 wrong" in run("models", "check").stdout
    assert run("download").returncode == 0
    done = run("models", "check", hubs.NAME)
    assert done.stdout == f"{hubs.NAME}: 3 right, 0 wrong, 0 of unknown digest, 4 not here\n"
    path = address.snapshot(hubs.REPOSITORY, hubs.COMMIT) / "onnx" / "vision_model_q4.onnx"
    state, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    done = run("models", "check", hubs.NAME)
    assert done.returncode == 1
    assert "2 right, 1 wrong" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"clip-gaze: error: {path}: ")
    assert "was expected" in line
    assert variant(run("models").stdout).endswith("  here, but a file is wrong, default")
    assert run("download").returncode == 0
    assert path.read_bytes() == content


def test_download_says_what_it_fetches_and_where_it_is(run: Run, hub: Hub) -> None:
    done = run("download", "--variant", "fp32")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.match(rf"clip-gaze: fetching {hubs.NAME} \(fp32\), \d\d\.\d MB, from {hub.url}", line)
    assert "onnx/text_model.onnx" in line
    folder = address.snapshot(hubs.REPOSITORY, hubs.COMMIT)
    assert re.fullmatch(rf"{hubs.NAME} \(fp32\), .* MB, verified, in {folder}\n", done.stdout)
    hub.requests.clear()
    again = run("download", "--variant", "fp32")
    assert (again.stdout, again.stderr) == (done.stdout, "")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("first", "second"), [(("--variant", "fp32"), ("--variant", "q4")), (("--variant", "q4"), ())]
)
def test_download_says_how_to_use_a_variant_that_is_added_to_a_folder(
    first: tuple[str, ...], second: tuple[str, ...], tmp_path: Path
) -> None:
    """The folder's default stays the one that came first."""
    advice = f"to use it, here or on another machine: --model {tmp_path / 'dl'}"
    added = "q4" if second else "fp32"
    for options, said in (
        (first, advice),
        (second, f"{advice} --variant {added}"),
        (first, advice),
    ):
        done = CliRunner().invoke(main, ["download", "demo", *options, "--to", f"{tmp_path}/dl"])
        assert done.exit_code == 0, done.stderr
        assert done.stdout.splitlines()[-1] == said


@pytest.mark.parametrize("name", ["demo", "a folder", "dl"])
def test_the_advice_after_a_download_can_be_followed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["download", "demo", "--to", name])
    advice = done.stdout.splitlines()[-1].partition(": ")[2]
    posix = os.name == "posix"
    words = ["models", *(word.strip('"') for word in shlex.split(advice, posix=posix)[1:])]
    shutil.copytree(tmp_path / name, tmp_path / "elsewhere" / name)
    shutil.rmtree(tmp_path / name)
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = CliRunner().invoke(main, words)
    assert found.exit_code == 0, found.stderr
    shutil.rmtree(tmp_path / "elsewhere" / name)
    assert CliRunner().invoke(main, words).exit_code == 2


def test_check_wants_all_files_of_a_folder(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "clip")
    assert run("models", "check", folder).returncode == 0
    (folder / "vision_model_q4.onnx").unlink()
    done = run("models", "check", folder)
    assert done.returncode == 1
    assert done.stdout == f"{folder}: 6 right, 0 wrong, 0 of unknown digest, 1 not here\n"
    (line,) = done.stderr.splitlines()
    assert "vision_model_q4.onnx: this file of the model is missing" in line


@pytest.mark.parametrize("content", ['{"revision": 5, "files": {}}', "[" * 100_000])
def test_models_survives_a_damaged_record(run: Run, cache: Path, content: str) -> None:
    assert run("download", hubs.OPEN).returncode == 0
    (record,) = (cache / "pinned").iterdir()
    record.write_text(content, encoding="utf-8")
    done = run("models")
    assert (done.returncode, done.stderr) == (0, "")
    assert "revision not known before the first use" in done.stdout


TERMINAL = "import sys; sys.stderr.isatty = lambda: True"


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("variable", ["", "HF_HUB_DISABLE_PROGRESS_BARS"])
def test_a_terminal_shows_bars_unless_they_are_switched_off(
    variable: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable:
        monkeypatch.setenv(variable, "1")
    command = [sys.executable, "-c", TERMINAL + MAIN, str(published / "shelf"), "download"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    assert ("100%" in done.stderr) == (not variable)


def test_a_download_that_fails_says_one_way_out_a_line(run: Run, hub: Hub) -> None:
    hub.stop()
    done = run("download")
    assert (done.returncode, done.stdout) == (2, "")
    line, demo, network, none, *_, wrong = done.stderr.splitlines()
    assert line.startswith(f"clip-gaze: error: {hubs.NAME} (q4) is not complete here: {hub.url}")
    assert demo == "  to try things out: --model demo"
    assert network == f"  with a network: `clip-gaze download {hubs.NAME} --variant q4`"
    assert none.startswith("  without one: `clip-gaze download ")
    assert wrong.startswith("  missing or wrong: tokenizer.json")


def test_the_default_model_looks_at_a_picture(run: Run, painting: Path, tmp_path: Path) -> None:
    ask = ("gaze", painting, "--list", "surfaces", "--format", "json")
    first = run(*ask)
    assert first.returncode == 0, first.stderr
    assert '"variant": "q4"' in first.stdout
    assert run("download", "--to", tmp_path / "clip").returncode == 0
    offline = run(*ask, "--offline")
    assert (offline.returncode, offline.stdout, offline.stderr) == (0, first.stdout, "")
    there = run(*ask, "--model", tmp_path / "clip", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "x"))
    assert there.stdout == first.stdout


def test_every_command_of_the_page_works(
    run: Run, painting: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = COMMAND.findall(DOCS.read_text(encoding="utf-8"))
    assert len(lines) > 8
    monkeypatch.chdir(painting.parent)
    for line in lines:
        words = shlex.split(line)
        start = words.index("clip-gaze")
        done = run(*words[start + 1 :], **dict(word.split("=", 1) for word in words[:start]))
        assert done.returncode == 0, (line, done.stderr)
    assert (painting.parent / "large_disk" / "hub").is_dir()
    assert hub.count("GET") > 0
