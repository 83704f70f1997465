"""A manifest survives a round trip; a broken one is a ModelError in one line, whatever is wrong."""

from __future__ import annotations

import copy
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_gaze.errors import ModelError
from clip_gaze.model import manifest as manifests
from clip_gaze.model import manifest_file
from samples import MANIFEST, SHA

if TYPE_CHECKING:
    from pathlib import Path

    from clip_gaze.model.manifest import (
        Manifest,
    )

DATA: dict[str, Any] = json.loads(manifests.to_json(MANIFEST))


def read(folder: Path, data: object) -> Manifest:
    text = data if isinstance(data, str) else json.dumps(data)
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return manifest_file.read(folder / "manifest.json")


def refused(folder: Path, data: object) -> str:
    """Return the error for a manifest, which is one line and names the file."""
    with pytest.raises(ModelError) as caught:
        read(folder, data)
    message = str(caught.value)
    assert str(folder / "manifest.json") in message
    assert len(message.splitlines()) == 1
    return message


def changed(path: str, value: object) -> dict[str, Any]:
    """Return the good manifest with one value changed; a path reads "image.size"."""
    data = copy.deepcopy(DATA)
    *parents, last = path.split(".")
    at = data
    for key in parents:
        at = at[key]
    at[last] = value
    return data


def without(path: str) -> dict[str, Any]:
    data = copy.deepcopy(DATA)
    *parents, last = path.split(".")
    at = data
    for key in parents:
        at = at[key]
    del at[last]
    return data


def test_a_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    assert read(tmp_path, manifests.to_json(MANIFEST)) == MANIFEST


def test_what_is_optional_may_be_left_out(tmp_path: Path) -> None:
    data = copy.deepcopy(DATA)
    del data["download"], data["note"], data["image"]["resize"], data["image"]["crop"]
    data["source"]["repository"] = "our own pictures"  # whatever it is, nothing is fetched there
    del data["source"]["revision"], data["tokenizer"]["recipe"], data["text"]["pad_id"]
    found = read(tmp_path, data)
    assert (found.download, found.note, found.source.revision) == (False, "", None)
    assert (found.image, found.tokenizer) == (MANIFEST.image, MANIFEST.tokenizer)


def test_an_entry_that_is_not_known_is_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path, {**DATA, "comment": "for people"}) == MANIFEST


def test_a_whole_number_may_stand_for_a_float(tmp_path: Path) -> None:
    assert read(tmp_path, changed("logit_scale", 100)).logit_scale == 100
    assert read(tmp_path, changed("image.mean", [0, 0, 0])).image.mean == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "path",
    [
        "format", "name", "source", "source.repository", "licence", "image", "image.size",
        "image.mean", "image.std", "text", "text.context_length", "embedding_dim",
        "logit_scale", "default_variant", "tokenizer", "tokenizer.file", "tokenizer.bytes",
        "tokenizer.sha256", "variants", "variants.q8.vision", "variants.q8.text",
        "variants.q8.text.file",
    ],
)  # fmt: skip
def test_a_missing_field_is_named(path: str, tmp_path: Path) -> None:
    assert f"'{path.rpartition('.')[2]}'" in refused(tmp_path, without(path))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("format", 2, "format version 2 where this clip-gaze reads 1"),
        ("format", "1\n", "format version"),
        ("tokenizer.file", "../x", "leads out of the folder"),
        ("tokenizer.file", "a/../../x", "leads out of the folder"),
        ("tokenizer.file", "a\\..\\..\\x", "leads out of the folder"),
        ("tokenizer.file", "/x", "leads out of the folder"),
        ("tokenizer.file", "\\x", "leads out of the folder"),
        ("tokenizer.file", "C:\\x", "leads out of the folder"),
        ("tokenizer.file", "C:x", "leads out of the folder"),
        ("tokenizer.file", "", "leads out of the folder"),
        ("tokenizer.file", "a\0b", "not one line that can be printed"),
        ("tokenizer.file", "\ud800", "not one line that can be printed"),
        ("variants.q8.vision.file", "../x", "leads out of the folder"),
        ("variants.q8.vision_data.file", "../x", "leads out of the folder"),
        ("variants.q8.vision_data", None, "is not a JSON object"),
        ("variants.q8.vision_data.file", "onnx/vision_q8.onnx_data", "lie in another folder"),
        ("variants.q8.vision_dta", {}, "a variant has 'vision_dta' where there are"),
        ("variants.q8.requires", "onnxruntime", "'onnxruntime' names no releases"),
        ("variants.q8.requires", "numpy>=2", "'numpy>=2' names no releases"),
        ("variants.q8.requires", 1.22, "requires is 1.22, which is not str"),
        ("tokenizer.sha256", SHA[:-1], "is not a SHA-256"),
        ("tokenizer.sha256", SHA.upper(), "is not a SHA-256"),
        ("tokenizer.sha256", SHA + "\n", "not one line that can be printed"),
        ("image.resize", "bilinear", "'bilinear'/'center' is not supported"),
        ("image.crop", "none", "'bicubic'/'none' is not supported"),
        ("image.size", 0, "image size must be from 1 to 4,096"),
        ("image.size", 10**9, "image size must be from 1 to 4,096"),
        ("image.size", 224.0, "size is 224.0"),
        ("image.mean", [0, 0], "values to unpack"),
        ("image.mean", [0, 0, 0, 0], "values to unpack"),
        ("image.mean", "abc", "is not a list of numbers"),
        ("image.mean", ["0", 0, 0], "is not a list of numbers"),
        ("image.std", [0.5, 0, 0.5], "image std must be from 1e-06 to 1e+06"),
        ("image.std", [0.5, 1e-45, 0.5], "image std must be"),
        ("image.mean", [0.5, 1e300, 0.5], "image mean must be"),
        ("image.std", [0.5, float("nan"), 0.5], "image std must be"),
        ("image.std", [10**400, 1, 1], "too large"),
        ("image.colour", "grey", "colour"),
        ("image.two\nlines", 1, "two lines"),
        ("text.context_length", 1, "context_length must be from 2"),
        ("embedding_dim", 0, "embedding_dim must be from 1"),
        ("embedding_dim", 10**400, "embedding_dim must be from 1"),
        ("embedding_dim", True, "embedding_dim is True"),
        ("logit_scale", float("inf"), "logit_scale must be from 1e-06 to 1e+06"),
        ("logit_scale", 1e300, "logit_scale must be"),
        ("logit_scale", 0, "logit_scale must be"),
        ("logit_scale", -100.0, "logit_scale must be"),
        ("logit_scale", 10**400, "logit_scale must be"),
        ("logit_scale", "100", "logit_scale is '100'"),
        ("default_variant", "q4", "default variant 'q4' is not among the variants"),
        ("default_variant", ["fp32"], "default_variant is ['fp32']"),
        ("variants", {}, "is not among the variants"),
        ("variants", [], "variants is not a JSON object"),
        ("variants.q8", None, "q8 is not a JSON object"),
        ("tokenizer", "tokenizer.json", "file is not a JSON object"),
        ("tokenizer.file", 1, "file is 1"),
        ("image.mean", 1, "1 is not a list of numbers"),
        ("tokenizer.bytes", "12", "bytes is '12'"),
        ("tokenizer.bytes", -1, "bytes must be from 0"),
        ("tokenizer.bytes", 10**400, "bytes must be from 0"),
        ("source", "someone/some-clip", "source is not a JSON object"),
        ("source.revision", 1, "revision is 1"),
        ("source.repository", "a\\..\\..\\b", "is no repository of the Hub"),
        ("source.repository", "a/../../b", "is no repository of the Hub"),
        ("name", None, "name is None"),
        ("name", "two\nlines", "not one line that can be printed"),
        ("note", "\x1b[2J", "not one line that can be printed"),
        ("note", ["a" * 10_000], "note is ['aaa"),
        ("note", ["a"], "note is ['a']"),
        ("download", "yes", "download is 'yes'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(
    path: str, value: object, said: str, tmp_path: Path
) -> None:
    assert said in refused(tmp_path, changed(path, value))


@pytest.mark.parametrize("data", [[], "null", "1", '"text"', "true"])
def test_json_that_is_no_object_is_refused(data: object, tmp_path: Path) -> None:
    assert "is not a JSON object" in refused(tmp_path, data)


@pytest.mark.parametrize("text", ["", "{", "no json", "[" * 100_000, "1" * 5000, '{"a": 1,}'])
def test_what_is_not_json_is_refused(text: str, tmp_path: Path) -> None:
    assert "cannot read the manifest" in refused(tmp_path, text)


def test_bytes_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(ModelError, match=r"cannot read the manifest .*manifest\.json"):
        manifest_file.read(tmp_path / "manifest.json")


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json.*No such file.*is this a clip-gaze"):
        manifest_file.read(tmp_path / "manifest.json")


EXTREMES = st.sampled_from(
    [10**400, -(10**30), 2**63, 1e300, 1e-45, 1e-300, 0, -1, "\0", "x" * 999]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | EXTREMES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["file", "bytes", "vision"]), inner)
    ),
    max_leaves=8,
)


def places(data: object) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a JSON value."""
    if not isinstance(data, dict | list):
        return []
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    return [(data, key) for key in keys] + [pair for key in keys for pair in places(data[key])]


@settings(deadline=None, max_examples=400)
@given(random=st.data())
def test_a_manifest_changed_anywhere_is_read_or_refused_in_one_line(
    random: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    data = copy.deepcopy(DATA)
    for _ in range(random.draw(st.integers(1, 2))):
        container, key = random.draw(st.sampled_from(places(data)))
        if random.draw(st.booleans()):
            del container[key]
        else:
            container[key] = random.draw(JSON)
    try:
        found = read(folder, data)
    except ModelError:
        refused(folder, data)
    else:
        assert read(folder, manifests.to_json(found)) == found
        computable(found)


def computable(manifest: Manifest) -> None:
    """Compute with all numbers of a manifest as the runtime does; nothing may overflow."""
    with np.errstate(all="raise", under="ignore"):  # a number near zero may become zero
        black_and_white = np.array([[0], [1]], np.float32)
        mean, std = np.float32(manifest.image.mean), np.float32(manifest.image.std)
        assert np.isfinite((black_and_white - mean) / std).all()
        assert np.isfinite(np.float32(manifest.logit_scale) * black_and_white).all()
    np.empty((1, manifest.embedding_dim), np.float32)
    for name in manifest.variants:
        sizes = [file.bytes or 0 for file in manifest.files(name).values()]
        assert sum(sizes) / 1e6 >= 0


@pytest.mark.parametrize("kind", ["folder", "pipe", "large"])
def test_what_is_no_small_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    if kind == "large":
        path.write_text(json.dumps(DATA) + " " * 1_000_000, encoding="utf-8")
    elif kind == "pipe" and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(ModelError, match=r"cannot read the manifest .*manifest\.json: "):
        manifest_file.read(path)


@settings(deadline=None)
@given(text=st.text() | JSON.map(json.dumps))
def test_any_text_is_refused_in_one_line(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError) as caught:
        manifest_file.read(folder / "manifest.json")
    assert len(str(caught.value).splitlines()) == 1


def test_the_default_variant_is_chosen_where_none_is_named() -> None:
    assert MANIFEST.variant(None) == ("fp32", MANIFEST.variants["fp32"])
    assert MANIFEST.variant("q8") == ("q8", MANIFEST.variants["q8"])


def test_an_unknown_variant_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"no variant 'q4'; choose one of: fp32, q8"):
        MANIFEST.variant("q4")


def test_the_files_of_a_variant_are_its_tokenizer_graphs_and_weights() -> None:
    towers = MANIFEST.variants["q8"]
    assert MANIFEST.files("q8") == {
        "tokenizer": MANIFEST.tokenizer,
        "vision": towers.vision,
        "text": towers.text,
        "vision_data": towers.vision_data,
    }
    assert list(MANIFEST.files("fp32")) == ["tokenizer", "vision", "text"]
    assert (MANIFEST.variants["fp32"].bytes("vision"), towers.bytes("vision")) == (1, 3)
