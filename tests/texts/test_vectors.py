"""Phrase vectors that came with a model are used first, and only if they are right."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hub_server as hubs
from bundles import LISTS, TEMPLATES, entry, same, with_phrases
from clip_gaze import Clip, ModelError, PhraseListError
from clip_gaze.model import registry, towers
from clip_gaze.model.session import Tower
from clip_gaze.store import Store
from clip_gaze.system.paths import shipped
from clip_gaze.texts import vectors
from clip_gaze.texts.vectors import PhraseVectors
from conftest import reach
from hub_server import Hub, publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

DIM = 8
WORDS = {"one": ["on wood", "auf Holz, ä"], "two": ["on wood", "on paper", "on stone"]}


def encode(texts: object) -> np.ndarray:
    """Return made-up unit vectors of texts, which differ."""
    rows = [np.random.default_rng(list(text.encode())).normal(size=DIM) for text in texts]  # type: ignore[attr-defined]
    return np.array([row / np.linalg.norm(row) for row in rows], np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "phrases.safetensors"
    mean = "neutral-1:a vision tower", np.arange(DIM, dtype=np.float32)
    vectors.write(path, WORDS, TEMPLATES, encode, made_by="a text tower", neutral=mean)
    return path


@pytest.fixture(scope="module")
def modelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the demo model with vectors of phrases."""
    return with_phrases(tmp_path_factory.mktemp("modelled") / "model")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the graphs that are loaded from now on."""
    names: list[str] = []

    class Noted(Tower):
        def __init__(self, path: Path, *options: object) -> None:
            names.append(path.name)
            super().__init__(path, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(towers, "Tower", Noted)
    return names


def test_what_was_written_is_read(file: Path) -> None:
    found = PhraseVectors(file, DIM)
    assert found.lists == {name: tuple(listed) for name, listed in WORDS.items()}
    assert found.templates == ("{}", *TEMPLATES)
    assert found.made_by == "a text tower"
    texts = ["a painting on paper", "auf Holz, ä", "on wood", "on wood"]
    got = found.get([*texts, "on glass"], every=False)
    assert got.keys() == set(texts)
    for text, vector in got.items():
        assert np.array_equal(vector, encode([text])[0])
    assert found.neutral("neutral-1:a vision tower") == pytest.approx(np.arange(DIM))
    assert found.neutral("neutral-1:another one") is None
    with pytest.raises(PhraseListError, match=r"no vector of 'on glass'; .*one \(2\), two \(3\)"):
        found.get([*texts, "on glass"], every=True)


def test_the_file_is_one_that_safetensors_reads(file: Path) -> None:
    from safetensors.numpy import load_file

    found = load_file(file)
    assert found.keys() == {"list one", "list two", "neutral"}
    sentences = [[t.replace("{}", p) for p in WORDS["two"]] for t in ("{}", *TEMPLATES)]
    assert np.array_equal(found["list two"], [encode(row) for row in sentences])


def fails(path: Path, dim: int = DIM) -> str:
    """Return the one line that a file is refused with."""
    with pytest.raises(ModelError) as caught:
        read(path, dim)
    message = str(caught.value)
    assert message.startswith(f"{path}: these phrase vectors cannot be used (")
    assert "\n" not in message
    return message


def read(path: Path, dim: int = DIM) -> dict[str, np.ndarray]:
    found = PhraseVectors(path, dim)
    every = [t.replace("{}", p) for t in found.templates for p in sum(found.lists.values(), ())]
    mean = found.neutral("neutral-1:a vision tower")
    return found.get(every, every=True) | ({} if mean is None else {"": mean})


@given(data=st.data())
def test_a_file_that_is_cut_short_is_refused(
    data: st.DataObject, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = file.read_bytes()
    cut = tmp_path_factory.mktemp("cut") / "phrases.safetensors"
    cut.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    fails(cut)


@given(data=st.data())
def test_a_flipped_bit_gives_numbers_of_the_right_kind_or_is_refused(
    data: st.DataObject, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """That the numbers are right, the digest in the manifest says."""
    content = bytearray(file.read_bytes())
    header = int.from_bytes(content[:8], "little") + 8
    at = data.draw(st.integers(0, header - 1) | st.integers(header, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    flipped = tmp_path_factory.mktemp("flipped") / "phrases.safetensors"
    flipped.write_bytes(content)
    try:
        found = read(flipped)
    except ModelError:
        fails(flipped)
        return
    assert all(np.isfinite(row).all() and row.shape == (DIM,) for row in found.values())
    lengths = [np.linalg.norm(row) for name, row in found.items() if name]
    assert lengths == pytest.approx(np.ones(len(lengths)), abs=2e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h: h["list one"].update(shape=[3, 1, DIM]), "list one is F32"),
        (lambda h: h["list one"].update(dtype="F16"), "list one is F16"),
        (lambda h: h["list one"].update(data_offsets=[-4, 4 * 6 * DIM - 4]), "lies outside"),
        (lambda h: h["list one"].update(data_offsets=[0, 4]), "lies outside"),
        (lambda h: h["list one"].update(data_offsets="ab"), "invalid literal"),
        (lambda h: h["list one"].update(data_offsets=[0]), "not enough values"),
        (lambda h: h["neutral"].update(data_offsets=[10**30, 10**30]), "lies outside"),
        (lambda h: h.pop("list two"), "no 'list two'"),
        (lambda h: h.pop("__metadata__"), "no '__metadata__'"),
        (lambda h: h["__metadata__"].update(lists="[]"), "list"),
        (lambda h: h["__metadata__"].update(lists='{"one": 1}'), "is no list of texts"),
        (lambda h: h["__metadata__"].update(templates='["{}", "a"]'), "a template has not"),
        (lambda h: h["__metadata__"].update(templates="[" * 9000), "recursion|Expecting"),
        (lambda h: h["__metadata__"].update(lists=None), "JSON"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    change: Callable[[dict[str, dict[str, object]]], object], said: str, file: Path, tmp_path: Path
) -> None:
    import re

    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path = tmp_path / "phrases.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    assert re.search(said, fails(path))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, 1e30])
def test_numbers_that_are_no_unit_vectors_are_refused(
    value: float, file: Path, tmp_path: Path
) -> None:
    content = bytearray(file.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    content[begin : begin + 4 * DIM] = np.full(DIM, value, "<f4").tobytes()
    (tmp_path / "phrases.safetensors").write_bytes(content)
    fails(tmp_path / "phrases.safetensors")


def test_vectors_of_another_dimension_are_refused(file: Path) -> None:
    assert f"[3, 2, {DIM}], not F32 [3, 2, {DIM + 1}]" in fails(file, DIM + 1)


def test_they_come_before_the_store_and_the_text_tower(
    modelled: Path, cache: Path, loaded: list[str], picture: MakePicture
) -> None:
    with Clip("demo") as clip:
        wanted = clip.gaze(picture(), LISTS, None, format_output=False, corrected=True)
        whole = clip.encode_texts(LISTS["surfaces"], templates=TEMPLATES[:1])
    shutil.rmtree(cache)
    loaded.clear()
    with Clip(modelled) as clip:
        assert clip.lists == LISTS
        assert clip.gaze(picture(), LISTS, None, format_output=False, corrected=True) == wanted
        found = clip.encode_texts(LISTS["surfaces"], templates=TEMPLATES[:1])
    assert np.array_equal(found, whole)
    assert loaded == ["vision_model.onnx"]
    store = Store(cache)
    assert store.counts().get("text", 0) == 0
    store.close()


def test_other_phrases_beside_them_are_encoded(modelled: Path) -> None:
    texts = ["on wood", "by nobody", "on wood", "on canvas"]
    with Clip("demo", store=False) as whole, Clip(modelled, store=False) as clip:
        assert np.array_equal(clip.encode_texts(texts), whole.encode_texts(texts))
        assert clip.encode_texts([]).shape == (0, clip.manifest.embedding_dim)


def test_those_of_another_text_tower_are_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stale = with_phrases(tmp_path / "stale", made_by="q4")
    with Clip("demo", store=False) as whole, Clip(stale, store=False) as clip:
        assert "another text tower made these phrase vectors" in caplog.text
        assert clip.lists == {}
        found, wanted = (each.encode_texts(LISTS["surfaces"]) for each in (clip, whole))
    assert np.array_equal(found, wanted)
    caplog.clear()
    Clip(stale, "q4").close()
    assert caplog.text == ""


@pytest.mark.parametrize("at", [0, 100, -1])
def test_an_altered_file_is_refused(at: int, modelled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(modelled, tmp_path / "altered")
    path = folder / "phrases_fp32.safetensors"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="this file of the model was altered"):
        Clip(folder)


def test_a_published_model_brings_them_along(
    modelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loaded: list[str],
    picture: MakePicture,
) -> None:
    publish(modelled, tmp_path / "store", tmp_path / "shelf")
    with Hub(tmp_path / "store") as server, reach(server, monkeypatch, tmp_path / "hf"):
        monkeypatch.setattr(registry, "shipped", lambda name: tmp_path / "shelf" / name)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        with Clip(hubs.NAME, "q4") as clip:
            found = clip.gaze(picture(), LISTS, format_output=False)
            path = clip._files.paths["phrases"]
    assert entry(path).sha256 == entry(modelled / "phrases_q4.safetensors").sha256
    assert loaded == ["vision_model_q4.onnx"]
    with Clip(shipped("models") / "demo", "q4") as clip:
        assert same(clip.gaze(picture(), LISTS, format_output=False), found)
