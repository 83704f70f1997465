"""A collection is cut so that what has not changed is cut as before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clip_gaze.datasets.listing import Named
from clip_gaze.datasets.partitions import count, partitions, parts

PICTURES = [Named(f"scans/{number:05}.jpg", f"{number} 1") for number in range(3000)]


@given(st.integers(0, 400), st.integers(1, 40))
def test_each_picture_is_in_one_partition_of_the_size_that_was_asked_for(
    some: int, usual: int
) -> None:
    found = list(partitions(PICTURES[:some], usual))
    assert [each for part in found for each in part.pictures] == PICTURES[:some]
    sizes = [len(part.pictures) for part in found]
    assert all(max(1, usual // 2) <= size <= 2 * usual for size in sizes[:-1])
    assert [part.count for part in found] == sizes


def test_one_picture_more_or_less_changes_one_partition_or_two() -> None:
    before = {each.file for each in partitions(PICTURES, 50)}
    assert len(before) > 40
    for at in (0, 1234, 2999):
        less = {each.file for each in partitions(PICTURES[:at] + PICTURES[at + 1 :], 50)}
        more = {
            each.file
            for each in partitions([*PICTURES[:at], Named("scans/new.jpg"), *PICTURES[at:]], 50)
        }
        assert len(before - less) <= 3
        assert len(before - more) <= 3


def test_a_picture_that_has_changed_changes_the_name_of_its_part() -> None:
    changed = [*PICTURES[:7], Named(PICTURES[7].name, "7 2"), *PICTURES[8:]]
    before, after = (list(partitions(each, 50)) for each in (PICTURES, changed))
    different = [at for at, each in enumerate(before) if each.file != after[at].file]
    assert different == [0]


def test_only_parts_count_as_parts() -> None:
    (part,) = partitions(PICTURES[:3])
    assert parts([part.file, "_common_metadata", f"{part.file}.0.part", "x.parquet"]) == [part.file]
    assert (count(part.file), count("x.parquet")) == (3, 0)
