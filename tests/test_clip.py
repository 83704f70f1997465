"""`Clip` encodes once, loads one tower at a time, and answers as torch does."""

from __future__ import annotations

import gc
import io
import shutil
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import clip_gaze
from clip_gaze.model import towers
from clip_gaze.model.session import Tower
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

WORDS = ["on canvas", "on wood", "cubism movement", "by paul cézanne", "a portrait", "on canvas"]


@pytest.fixture
def clip(tiny_model: Path) -> Iterator[clip_gaze.Clip]:
    with clip_gaze.Clip(tiny_model) as opened:
        yield opened


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the graphs that get loaded during the test."""
    names: list[str] = []

    class Counted(Tower):
        def __init__(self, path: Path, *options: int | None) -> None:
            names.append(path.name)
            super().__init__(path, *options)

    monkeypatch.setattr(towers, "Tower", Counted)
    return names


def test_vectors_equal_those_of_torch(
    clip: clip_gaze.Clip, tiny_checkpoint: Path, picture: MakePicture
) -> None:
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(tiny_checkpoint).eval()
    pictures = [picture(70, 50), picture(31, 90, seed=1)]
    pixels = CLIPImageProcessorPil.from_pretrained(tiny_checkpoint)(pictures, return_tensors="pt")
    ids = CLIPTokenizer.from_pretrained(tiny_checkpoint)(WORDS, padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = model(**pixels, **ids)
    assert np.abs(clip.encode_images(pictures) - wanted.image_embeds.numpy()).max() < 1e-6
    assert np.abs(clip.encode_texts(WORDS) - wanted.text_embeds.numpy()).max() < 1e-6
    scores = wanted.logits_per_image.softmax(dim=1).numpy()[0]
    found = clip.probabilities(pictures[0], WORDS)
    assert [phrase for phrase, _ in found] == WORDS
    assert np.abs(np.array([value for _, value in found]) - scores).max() < 1e-6


def test_nothing_in_gives_nothing_out(clip: clip_gaze.Clip, picture: MakePicture) -> None:
    assert clip.encode_images([]).shape == (0, 64)
    assert clip.encode_texts([]).shape == (0, 64)
    assert clip.probabilities(picture(), []) == []
    assert clip.gaze(picture(), []) == []
    assert clip.gaze(picture(), {}) == {}


def test_pictures_are_taken_one_by_one_from_any_iterable(
    clip: clip_gaze.Clip, picture: MakePicture
) -> None:
    alive: list[weakref.ref[Image.Image]] = []

    def pictures() -> Iterator[Image.Image]:
        for seed in range(6):
            gc.collect()
            assert sum(ref() is not None for ref in alive) <= 1
            made = picture(seed=seed)
            alive.append(weakref.ref(made))
            yield made
            del made

    assert clip.encode_images(pictures()).shape == (6, 64)


def test_a_path_is_opened_upright_and_a_picture_taken_as_it_is(
    clip: clip_gaze.Clip, picture: MakePicture, tmp_path: Path
) -> None:
    turned = picture()
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    upright = turned.rotate(-90, expand=True)
    by_path, by_hand = clip.encode_images([tmp_path / "turned.png", upright])
    assert np.array_equal(by_path, by_hand)
    assert not np.array_equal(by_path, clip.encode_images([turned])[0])


def test_warm_lists_load_no_text_tower(
    tiny_model: Path, loaded: list[str], picture: MakePicture
) -> None:
    for _ in range(2):
        with clip_gaze.Clip(tiny_model) as clip:
            clip.gaze(picture(), {"surfaces": phrases.load("surfaces"), "own": WORDS})
    assert loaded == ["text_model.onnx", "vision_model.onnx", "vision_model.onnx"]


def test_constructing_loads_no_tower(tiny_model: Path, loaded: list[str]) -> None:
    clip_gaze.Clip(tiny_model).close()
    assert loaded == []


def test_the_text_tower_is_freed_before_the_vision_tower_is_loaded(
    clip: clip_gaze.Clip, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Tower]] = []
    counts: list[int] = []

    class Watched(Tower):
        def __init__(self, path: Path, *options: int | None) -> None:
            gc.collect()
            counts.append(sum(ref() is not None for ref in alive))
            super().__init__(path, *options)
            alive.append(weakref.ref(self))

    monkeypatch.setattr(towers, "Tower", Watched)
    clip.gaze(picture(), WORDS)
    assert counts == [0, 0]


def test_a_phrase_is_encoded_once_whatever_list_it_comes_in(
    clip: clip_gaze.Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    run = Tower.texts

    def counted(self: Tower, ids: np.ndarray) -> np.ndarray:
        rows.append(len(ids))
        return run(self, ids)

    monkeypatch.setattr(Tower, "texts", counted)
    clip.encode_texts([*WORDS, *WORDS])
    clip.encode_texts(["on wood", "on stone"])
    assert sum(rows) == len(set(WORDS)) + 1


def test_a_phrase_does_not_depend_on_its_neighbours(tiny_model: Path, cache: Path) -> None:
    many = [*phrases.load("movements"), *phrases.load("tools")]
    with clip_gaze.Clip(tiny_model) as clip:
        together = clip.encode_texts(many)
    shutil.rmtree(cache)
    with clip_gaze.Clip(tiny_model) as clip:
        alone = np.concatenate([clip.encode_texts([phrase]) for phrase in many])
    assert np.abs(together - alone).max() <= 1e-6


def test_variants_do_not_share_vectors(tiny_model: Path) -> None:
    rows = []
    for variant in ("fp32", "q8", "q4"):
        with clip_gaze.Clip(tiny_model, variant) as clip:
            rows.append(clip.encode_texts(["on canvas"]))
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[1], rows[2])


def test_another_tokenizer_does_not_share_vectors(
    tiny_model: Path, tmp_path: Path, loaded: list[str]
) -> None:
    from clip_gaze.model import manifest as manifests
    from clip_gaze.model import manifest_file
    from export_clip import file_entry

    other = shutil.copytree(tiny_model, tmp_path / "other")
    tokenizer = other / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    manifest = manifest_file.read(other / "manifest.json")
    text = manifests.to_json(manifest).replace(
        manifest.tokenizer.sha256 or "", file_entry(tokenizer).sha256 or ""
    )
    text = text.replace(str(manifest.tokenizer.bytes), str(tokenizer.stat().st_size))
    (other / "manifest.json").write_text(text, encoding="utf-8")
    for folder in (tiny_model, other):
        with clip_gaze.Clip(folder) as clip:
            clip.encode_texts(["on canvas"])
    assert loaded == ["text_model.onnx", "text_model.onnx"]


def test_progress_counts_up_to_the_missing_phrases(tiny_model: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = lambda done, total: calls.append((done, total))  # noqa: E731
    with clip_gaze.Clip(tiny_model) as clip:
        clip.encode_texts(phrases.load("movements"), encoding=report)
        assert calls[-1] == (193, 193)
        assert [done for done, _ in calls] == sorted({done for done, _ in calls})
        calls.clear()
        clip.encode_texts(phrases.load("movements"), encoding=report)
    assert calls == []


def test_what_was_encoded_before_a_failure_is_kept(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Tower.texts
    rows = 0

    def failing(self: Tower, ids: np.ndarray) -> np.ndarray:
        nonlocal rows
        if rows >= 100:
            raise KeyboardInterrupt
        rows += len(ids)
        return run(self, ids)

    monkeypatch.setattr(Tower, "texts", failing)
    with clip_gaze.Clip(tiny_model) as clip, pytest.raises(KeyboardInterrupt):
        clip.encode_texts(phrases.load("movements"))
    done, rows = rows, -(10**6)
    with clip_gaze.Clip(tiny_model) as clip:
        clip.encode_texts(phrases.load("movements"))
    assert rows + 10**6 == 193 - done


def test_threads_share_a_clip(tiny_model: Path, picture: MakePicture) -> None:
    with clip_gaze.Clip(tiny_model) as clip:
        wanted = clip.gaze(picture(), WORDS, None, format_output=False)
    results = []
    with clip_gaze.Clip(tiny_model) as clip:
        threads = [
            threading.Thread(
                target=lambda: results.append(
                    clip.gaze(picture(), WORDS, None, format_output=False)
                )
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [wanted] * 8


def test_a_closed_clip_says_so(tiny_model: Path, picture: MakePicture) -> None:
    clip = clip_gaze.Clip(tiny_model)
    clip.encode_images([picture()])
    clip.close()
    clip.close()
    with pytest.raises(clip_gaze.GazeError, match="was closed"):
        clip.encode_texts(["on canvas"])
    with pytest.raises(clip_gaze.GazeError, match="was closed"):
        clip.encode_images([picture()])


def test_a_bad_picture_among_many_is_a_result(
    clip: clip_gaze.Clip, picture: MakePicture, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_text("no picture", encoding="utf-8")
    picture().save(tmp_path / "good.png")
    paths = [tmp_path / "good.png", tmp_path / "bad.jpg", tmp_path / "gone.png"]
    results = list(clip.gaze_many(paths, {"own": WORDS}, 2))
    assert [result.status for result in results] == ["ok", "error", "error"]
    assert [result.image for result in results] == [str(path) for path in paths]
    assert len(results[0].lists["own"]) == 2
    assert "bad.jpg" in (results[1].error or "")
    assert "no such file" in (results[2].error or "")


def test_an_altered_tower_is_named_with_both_digests(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    data = bytearray((folder / "text_model.onnx").read_bytes())
    data[1000] ^= 1
    (folder / "text_model.onnx").write_bytes(data)
    with pytest.raises(clip_gaze.ModelError, match=r"text_model\.onnx.*[0-9a-f]{64}.*[0-9a-f]{64}"):
        clip_gaze.Clip(folder)


def test_a_missing_tower_is_named(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "vision_model_q4.onnx").unlink()
    with pytest.raises(clip_gaze.ModelError, match=r"vision_model_q4\.onnx.*missing"):
        clip_gaze.Clip(folder, "q4")
    clip_gaze.Clip(folder, "fp32").close()


def test_vectors_of_another_width_than_the_manifest_says_are_refused(
    tiny_model: Path, tmp_path: Path, picture: MakePicture
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    manifest = (folder / "manifest.json").read_text(encoding="utf-8")
    wrong = manifest.replace('"embedding_dim": 64', '"embedding_dim": 32')
    assert wrong != manifest
    (folder / "manifest.json").write_text(wrong, encoding="utf-8")
    with clip_gaze.Clip(folder) as clip:
        with pytest.raises(clip_gaze.ModelError, match="64 numbers where the manifest says 32"):
            clip.encode_texts(["on canvas"])
        with pytest.raises(clip_gaze.ModelError, match="64 numbers where the manifest says 32"):
            clip.encode_images([picture()])


@pytest.mark.parametrize("one", ["path", "str", "bytes", "file", "image", "array", "tall", "rows"])
def test_one_picture_is_not_taken_apart_where_several_are_meant(
    one: str, clip: clip_gaze.Clip, picture: MakePicture, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    picture().save(path)
    given: dict[str, Any] = {
        "path": path, "str": str(path), "bytes": path.read_bytes(), "file": path.open("rb"),
        "image": picture(), "array": np.asarray(picture()), "rows": np.asarray(picture())[..., 0],
        "tall": np.moveaxis(np.asarray(picture()), 2, 0),
    }  # fmt: skip
    lists = {"l": ["a", "b"]}
    with given["file"]:
        for ask in (
            clip.encode_images,
            lambda images: list(clip.gaze_many(images, lists)),
            lambda images: clip.compare(images, lists),
            lambda images: clip.find(["a"], images),
            clip.duplicates,
        ):
            with pytest.raises(clip_gaze.GazeError, match=r"in a list or the like, not \w+; give"):
                ask(given[one])


def test_a_batch_and_a_column_of_names_are_several(
    clip: clip_gaze.Clip, picture: MakePicture, tmp_path: Path
) -> None:
    picture().save(tmp_path / "a.png")
    batch = np.stack([np.asarray(picture(seed=seed)) for seed in (0, 1)])
    greys = batch[..., 0]
    for several in (batch, greys, np.array([str(tmp_path / "a.png")] * 2)):
        assert clip.encode_images(several).shape == (2, clip.manifest.embedding_dim)


def test_a_lone_query_or_list_is_not_taken_apart(
    clip: clip_gaze.Clip, picture: MakePicture
) -> None:
    with pytest.raises(clip_gaze.GazeError, match="the query should stand in a list"):
        clip.find("a sea", [picture()])
    for ask in (clip.gaze_many, clip.compare):
        with pytest.raises(clip_gaze.PhraseListError, match="lists should be a dict"):
            list(ask([picture(), picture()], ["a", "b"]))  # type: ignore[arg-type, call-overload]


def test_a_file_that_was_read_to_its_end_is_said_to_be_so(
    clip: clip_gaze.Clip, picture: MakePicture
) -> None:
    file = io.BytesIO()
    picture().save(file, "PNG")
    file.seek(0)
    clip.encode_images([file])
    with pytest.raises(clip_gaze.PictureError, match=r"nothing left to read; seek\(0\)"):
        clip.encode_images([file])


@pytest.mark.parametrize(
    "ask",
    [
        lambda clip, image: clip.gaze(image, ["a", "b"]),
        lambda clip, image: clip.probabilities(image, ["a", "b"], corrected=True),
        lambda clip, image: clip.see(image, "a", ["b"], runs=20).log_odds,
        lambda clip, image: clip.prompt(image, {"l": ["a", "b"]}).line,
        lambda clip, image: clip.find([image], [bytes(image.getbuffer())]).images,
        lambda clip, image: clip.find(["a"], [image]).images,
        lambda clip, image: clip.compare([image, bytes(image.getbuffer())], {"l": ["a", "b"]}),
    ],
)
def test_each_question_reads_an_open_file_once(
    clip: clip_gaze.Clip, picture: MakePicture, ask: Callable[..., object]
) -> None:
    class Content(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(size)
            return super().read(size)

    asked: list[int | None] = []
    file = Content()
    picture().save(file, "PNG")
    asked.clear()
    answers = []
    for _ in range(2):
        file.seek(0)
        answers.append(ask(clip, file))
    assert answers[0] == answers[1]
    assert len(asked) == 2


def test_lists_may_be_columns_of_a_table(clip: clip_gaze.Clip, picture: MakePicture) -> None:
    pandas = pytest.importorskip("pandas")
    lists = {"l": ["a", "b"], "m": ["c", "d"]}
    for given in (pandas.DataFrame(lists), pandas.Series(lists)):
        (found,) = clip.gaze_many([picture()], given)
        (expected,) = clip.gaze_many([picture()], lists)
        assert found == expected


def test_what_a_line_is_made_without_is_a_list(clip: clip_gaze.Clip, picture: MakePicture) -> None:
    with pytest.raises(clip_gaze.PhraseListError, match="strings in a list"):
        clip.prompt(picture(), {"l": ["a", "b"]}, without="blue")


class Column(list[str]):
    """Names that numpy can read, and that have no shape, as pyarrow's arrays."""

    def __array__(self) -> np.ndarray:  # noqa: D105
        return np.array(list(self))


class Raster:
    """What reads arrays, as rasterio does."""

    def read(self) -> np.ndarray:  # noqa: D102
        return np.zeros((3, 40, 50), np.uint8)


def test_a_column_without_a_shape_is_several(
    clip: clip_gaze.Clip, picture: MakePicture, tmp_path: Path
) -> None:
    picture().save(tmp_path / "a.png")
    assert len(clip.encode_images(Column([str(tmp_path / "a.png")] * 2))) == 2
    with pytest.raises(clip_gaze.PictureError, match="gives ndarray, not bytes"):
        clip.encode_images([Raster()])  # type: ignore[list-item]
