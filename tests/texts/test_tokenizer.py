"""Token ids equal transformers' CLIPTokenizer on any text; too long ones keep their end token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import checkpoints
from clip_gaze.errors import ModelError
from clip_gaze.texts import phrases
from clip_gaze.texts.tokenizer import Tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import CLIPTokenizer

START, END = 49406, 49407
LONG = "by paul cézanne and " * 40


@pytest.fixture(scope="module")
def theirs() -> CLIPTokenizer:
    return checkpoints.clip_tokenizer()


@pytest.fixture(scope="module")
def file(theirs: CLIPTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tokenizer.json that transformers saves."""
    folder = tmp_path_factory.mktemp("tokenizer")
    theirs.save_pretrained(folder)
    return folder / "tokenizer.json"


@pytest.fixture(scope="module")
def ours(file: Path) -> Tokenizer:
    return Tokenizer(file, 77)


@pytest.mark.parametrize("name", phrases.names())
def test_ids_of_every_shipped_phrase_equal_transformers(
    name: str, ours: Tokenizer, theirs: CLIPTokenizer
) -> None:
    entries = list(phrases.load(name))
    assert ours.encode(entries) == theirs(entries).input_ids


@settings(deadline=None, max_examples=500)
@given(text=st.text(st.characters(codec="utf-8"), max_size=300))
@example(text="")
@example(text="  \n\t ")
@example(text="<|startoftext|> <|endoftext|><|endoftext|>")
@example(text="Zoë\u2019s CAFÉ, n°5 — it's 100% ﬁne! 葛飾北斎 🎨👩🏽‍🎨")
@example(text="e\u0301 vs \u00e9; İstanbul ẞ ǅ")
@example(text="a" * 3000)
def test_ids_of_any_text_equal_transformers(
    text: str, ours: Tokenizer, theirs: CLIPTokenizer
) -> None:
    assert ours.encode([text]) == [theirs(text, truncation=True, max_length=77).input_ids]


@pytest.mark.parametrize("length", [2, 3, 16, 77])
def test_too_long_phrases_equal_transformers_truncation(
    length: int, file: Path, theirs: CLIPTokenizer
) -> None:
    texts = [LONG, "on canvas", "", LONG[1:]]
    found = Tokenizer(file, length).encode(texts)
    assert found == theirs(texts, truncation=True, max_length=length).input_ids
    for ids in found:
        assert len(ids) <= length
        assert (ids[0], ids[-1]) == (START, END)


def test_a_too_long_phrase_is_named_in_one_warning(
    ours: Tokenizer, theirs: CLIPTokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "clip_gaze")
    ours.encode(["on canvas", LONG, "on wood"])
    (record,) = caplog.records
    said = record.getMessage()
    assert LONG[:50] in said
    assert f"has {len(theirs(LONG).input_ids) - 2} tokens; the model reads the first 75" in said
    assert len(said) < 150
    assert "\n" not in said


def test_a_phrase_that_just_fits_is_not_warned_of(
    file: Path, theirs: CLIPTokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    ids = theirs("on canvas").input_ids
    assert Tokenizer(file, len(ids)).encode(["on canvas"]) == [ids]
    assert caplog.records == []


def test_a_phrase_does_not_depend_on_its_neighbours(ours: Tokenizer) -> None:
    entries = list(phrases.load("movements"))
    assert ours.encode(entries) == [ours.encode([phrase])[0] for phrase in entries]


def test_padding_and_truncation_in_the_file_are_passed_over(
    file: Path, tmp_path: Path, theirs: CLIPTokenizer
) -> None:
    data = json.loads(file.read_text(encoding="utf-8"))
    data["truncation"] = {
        "direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    data["padding"] = {
        "strategy": {"Fixed": 77}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": END, "pad_type_id": 0, "pad_token": "<|endoftext|>",
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    texts = ["on canvas", LONG]
    found = Tokenizer(tmp_path / "tokenizer.json", 77).encode(texts)
    assert found == theirs(texts, truncation=True, max_length=77).input_ids


def test_batches_hold_each_phrase_once_with_its_ids_and_nothing_is_padded(ours: Tokenizer) -> None:
    entries = [*phrases.load("tools"), *phrases.load("movements"), LONG]
    batches = ours.batches(entries)
    found = {
        phrase: row.tolist()
        for some, rows in batches
        for phrase, row in zip(some, rows, strict=True)
    }
    assert found == dict(zip(entries, ours.encode(entries), strict=True))
    assert sum(len(some) for some, _ in batches) == len(entries)
    lengths = [rows.shape[1] for _, rows in batches]
    assert lengths == sorted(lengths)
    for _, rows in batches:
        assert rows.dtype == np.int64
        assert rows.size <= 128 or len(rows) == 1


def test_no_phrases_make_no_batches(ours: Tokenizer) -> None:
    assert ours.batches([]) == []


def refused(path: Path) -> str:
    """Return the error for a tokenizer, which is one line and names the file."""
    with pytest.raises(ModelError) as caught:
        Tokenizer(path, 77)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "{}", "[]", "null", "\0", "no json\n\n", '{"version": "1.0"}', "[" * 100_000,
        '{"model": {"type": "BPE", "vocab": {}, "merges": [["a", "b"]]}}',
        '{"version": "1.0", "model": {"type": "no such type"}}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_tokenizer_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    assert "is not a usable tokenizer" in refused(tmp_path / "tokenizer.json")


def test_a_tokenizer_cut_short_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(file.read_bytes()[:-1000])
    assert "is not a usable tokenizer" in refused(tmp_path / "tokenizer.json")


def test_a_missing_tokenizer_or_a_folder_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "gone.json")
    assert "is not a usable tokenizer" in refused(tmp_path)


def test_a_tokenizer_without_start_and_end_token_is_refused(file: Path, tmp_path: Path) -> None:
    data = json.loads(file.read_text(encoding="utf-8"))
    data["post_processor"] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    assert "no start and end token" in refused(tmp_path / "tokenizer.json")
