from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo import painter

LISTS = Path(__file__).parents[2] / "phrase_lists"
FULL = 192


def test_a_seed_gives_the_same_pixels_every_time() -> None:
    first, second = painter.paint(7), painter.paint(7)
    assert first.image.tobytes() == second.image.tobytes()
    assert (first.phrases, first.box) == (second.phrases, second.box)


def test_other_seeds_give_other_pictures() -> None:
    assert len({painter.paint(seed).image.tobytes() for seed in range(20)}) == 20


def test_a_picture_has_a_phrase_of_each_list() -> None:
    for seed in range(20):
        phrases = painter.paint(seed).phrases
        assert list(phrases) == list(painter.TRAINED)
        assert all(phrase in painter.TRAINED[name] for name, phrase in phrases.items())


@pytest.mark.parametrize("name", painter.TRAINED)
def test_a_fixed_phrase_is_drawn_and_leaves_the_other_lists_draws_alone(name: str) -> None:
    free = painter.paint(11).phrases
    for phrase in painter.TRAINED[name]:
        assert painter.paint(11, 32, **{name: phrase}).phrases == free | {name: phrase}


def test_a_fixed_genre_alone_moves_the_subject() -> None:
    free = painter.paint(5)
    for name in set(painter.TRAINED) - {"genres"}:
        fixed = painter.paint(5, **{name: painter.TRAINED[name][0]})
        assert (fixed.box, fixed.image.size) == (free.box, free.image.size)


@pytest.mark.parametrize("fixed", [{"movements": "no such movement"}, {"sites": "in a cave"}])
def test_an_unknown_phrase_or_list_is_refused(fixed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="painter has no"):
        painter.paint(1, **fixed)


@pytest.mark.parametrize("name", painter.TRAINED)
def test_every_phrase_stands_in_its_shipped_list(name: str) -> None:
    shipped = (LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert set(painter.TRAINED[name]) <= set(shipped)


def test_size_is_the_shorter_edge_and_ratios_reach_from_3_by_4_to_4_by_3() -> None:
    sizes = [painter.paint(seed, 60).image.size for seed in range(60)]
    assert {min(size) for size in sizes} == {60}
    assert max(max(size) for size in sizes) <= 80
    assert {np.sign(width - height) for width, height in sizes} == {-1, 0, 1}


@pytest.mark.parametrize(("room", "least"), [(painter.COMPOSED, 0.1), (painter.ANYWHERE, 0.03)])
@pytest.mark.parametrize("genre", painter.TRAINED["genres"])
def test_the_box_lies_in_the_picture_and_holds_the_whole_subject(
    genre: str, room: painter.Room, least: float
) -> None:
    for seed in range(6):
        frame = painter.shape(seed, 128)
        plan = painter.lay_out(np.random.default_rng(seed), frame, genre, room)
        left, top, right, bottom = plan.box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        inside = plan.mask[
            int(top * frame.height) : int(np.ceil(bottom * frame.height)),
            int(left * frame.width) : int(np.ceil(right * frame.width)),
        ]
        assert np.count_nonzero(inside) == np.count_nonzero(plan.mask) > 0
        assert least < (right - left) * (bottom - top) < 0.95


@pytest.mark.parametrize(("movement", "bound"), [("tonalism", 10), ("cubism", 14), ("op art", 16)])
def test_a_seed_is_the_same_picture_at_every_size(movement: str, bound: float) -> None:
    calm = {"painting_materials": "watercolor medium", "surfaces": "on glass"}
    for seed in range(8):
        small, large = (
            painter.paint(seed, size, movements=f"{movement} movement", **calm).image
            for size in (FULL // 2, FULL)
        )
        shrunk = np.asarray(large.resize(small.size, Image.Resampling.BOX), np.float32)
        assert np.abs(shrunk - np.asarray(small, np.float32)).mean() < bound


def test_pictures_have_ground_at_the_margin_and_are_neither_black_nor_blank() -> None:
    for seed in range(40):
        pixels = np.asarray(painter.paint(seed).image, np.float32)
        assert 15 < pixels.mean() < 245
        assert pixels.std() > 6


def test_the_program_writes_pictures_named_by_seed_and_a_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    words = [out, "--count", 3, "--seed", 4, "--size", 40, "--sheet", sheet]
    painter.main(list(map(str, words)), standalone_mode=False)
    assert sorted(path.name for path in out.iterdir()) == ["4.png", "5.png", "6.png"]
    with Image.open(sheet) as image:
        assert min(image.size) >= 80
    assert capsys.readouterr().out.count("movement") == 3


def test_a_study_follows_no_movement_and_shows_its_subject_within_its_box() -> None:
    for seed in range(12):
        study, free = painter.paint(seed, study=True), painter.paint(seed)
        assert study.phrases == {k: v for k, v in free.phrases.items() if k != "movements"}
        left, top, right, bottom = study.box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
