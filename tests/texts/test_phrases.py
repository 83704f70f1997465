"""The shipped lists are clip-gaze 0.3.0's and three more; a list of one's own is any text file."""

from __future__ import annotations

import importlib.util
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_gaze.errors import PhraseListError
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from types import ModuleType

# Where clip-gaze 0.3.0 keeps its lists; "scultpure" is its spelling.
ORIGINAL = {
    "artists_by_name": "artists_by_name",
    "artists_by_training_prevalence": "artists_by_prevalence",
    "movements": "movements",
    "painting_materials": "media",
    "printing_techniques": "media",
    "qualities": "qualities",
    "scultpure_materials": "media",
    "sites": "sites",
    "surfaces": "media",
    "tools": "media",
}
NEW = ["genres", "periods", "photography"]


def module(folder: Path, name: str) -> ModuleType:
    """Import one file of the original, whose package would import torch."""
    spec = importlib.util.spec_from_file_location(
        f"original_{name}", folder / "clip_gaze" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("name", ORIGINAL)
def test_a_list_equals_the_originals_but_for_trailing_commas(name: str, original: Path) -> None:
    wanted = getattr(module(original, ORIGINAL[name]), name.upper())
    found = phrases.load(name.replace("scultpure", "sculpture"))
    assert list(found) == [phrase.removesuffix(",") for phrase in wanted]


def test_the_originals_lists_have_7165_phrases_and_12_mends(original: Path) -> None:
    theirs = [
        phrase
        for name, file in ORIGINAL.items()
        for phrase in getattr(module(original, file), name.upper())
    ]
    ours = [
        phrase
        for name in ORIGINAL
        for phrase in phrases.load(name.replace("scultpure", "sculpture"))
    ]
    assert len(ours) == len(theirs) == 7165
    assert sum(one != other for one, other in zip(ours, theirs, strict=True)) == 12


def test_the_lists_are_the_originals_and_three_more() -> None:
    originals = [name.replace("scultpure", "sculpture") for name in ORIGINAL]
    assert phrases.names() == sorted([*originals, *NEW])


@pytest.mark.parametrize("name", NEW)
def test_a_new_list_has_thirty_phrases_or_more(name: str) -> None:
    assert len(phrases.load(name)) >= 30


@pytest.mark.parametrize("name", phrases.names())
def test_a_shipped_list_is_clean(name: str, caplog: pytest.LogCaptureFixture) -> None:
    phrases.load.cache_clear()
    entries = phrases.load(name)
    assert caplog.records == []  # no phrase stands twice
    for phrase in entries:
        assert phrase == unicodedata.normalize("NFC", phrase)
        assert phrase == " ".join(phrase.split())
        assert phrase.isprintable()
        assert not phrase.endswith((",", ";"))


@pytest.mark.parametrize("name", phrases.names())
def test_a_shipped_list_ends_in_a_line_break_and_has_no_byte_order_mark(name: str) -> None:
    data = (phrases.shipped("phrase_lists") / f"{name}.txt").read_bytes()
    assert data.endswith(b"\n")
    assert b"\r" not in data
    assert not data.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("movement", "movements"),
        ("SURFACES", "surfaces"),
        ("painting-materials", "painting_materials"),
        ("scultpure_materials", "sculpture_materials"),
        ("photo", "photography"),
    ],
)
def test_an_unknown_list_names_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(PhraseListError, match=rf"'{asked}'; did you mean '{nearest}'\?"):
        phrases.load(asked)


@pytest.mark.parametrize("asked", ["", "qqqq", "../phrase_lists/movements", "movements.txt/"])
def test_an_unknown_list_says_how_to_see_them_all(asked: str) -> None:
    with pytest.raises(PhraseListError, match=r"`clip-gaze lists` shows them all"):
        phrases.load(asked)


def written(folder: Path, data: str | bytes) -> Path:
    path = folder / "own list.txt"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    "data",
    [
        "one\ntwo\n",
        "one\ntwo",
        "one\r\ntwo\r\n",
        "\ufeffone\ntwo\n",
        "# one a line\none\n  # and so on\ntwo\n",
        "\n\none\n\n   \n\ttwo  \n\n",
    ],
)
def test_comments_blank_lines_and_other_editors_marks_are_skipped(
    data: str, tmp_path: Path
) -> None:
    assert phrases.read(written(tmp_path, data)) == ("one", "two")


def test_a_hash_within_a_phrase_belongs_to_it(tmp_path: Path) -> None:
    assert phrases.read(written(tmp_path, "painting #5\n")) == ("painting #5",)


def test_a_phrase_that_stands_twice_is_kept_once_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, "b\na\nb\nb \na\n")
    assert phrases.read(path) == ("b", "a")
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: duplicate phrases ignored: 3"
    ]


def test_a_path_may_be_text(tmp_path: Path) -> None:
    assert phrases.read(str(written(tmp_path, "one\n"))) == ("one",)


def refused(path: Path | str) -> str:
    """Return the error for a file, which is one line and names the file."""
    with pytest.raises(PhraseListError) as caught:
        phrases.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("data", ["", "\n\n", "# nothing yet\n", "\ufeff"])
def test_a_list_without_a_phrase_is_refused(data: str, tmp_path: Path) -> None:
    assert "holds no phrase" in refused(written(tmp_path, data))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    assert "no such phrase list" in refused(tmp_path / "gone.txt")


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0byte"])
def test_a_name_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "at"), [("é\n".encode("latin-1"), 0), ("abc\n".encode("utf-16"), 0), (b"abc\xff", 3)]
)
def test_a_list_that_is_not_utf_8_is_refused_with_the_place(
    data: bytes, at: int, tmp_path: Path
) -> None:
    assert f"is not UTF-8 text (byte {at})" in refused(written(tmp_path, data))


def test_a_list_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    path = written(tmp_path, "one\n")
    monkeypatch.setattr(Path, "read_text", forbidden)  # root may read everything
    assert "may not be read" in refused(path)


# Anything but what ends a line or encodes to nothing.
PHRASES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1)
    .map(lambda text: unicodedata.normalize("NFC", text).strip())
    .filter(lambda phrase: phrase and not phrase.startswith(("#", "\ufeff"))),
    min_size=1,
    unique=True,
)


@settings(deadline=None)
@given(wanted=PHRASES, bom=st.booleans(), newline=st.sampled_from(["\n", "\r\n"]))
def test_a_list_survives_a_round_trip(
    wanted: list[str], bom: bool, newline: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_text("\ufeff" * bom + newline.join(wanted), encoding="utf-8", newline="")
    assert phrases.read(path) == tuple(wanted)


@settings(deadline=None)
@given(data=st.binary())
def test_any_file_is_a_list_or_refused_in_one_line(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_bytes(data)
    try:
        found = phrases.read(path)
    except PhraseListError:
        refused(path)
    else:
        assert found
        assert all(phrase and phrase == phrase.strip() for phrase in found)
