"""A dataset holds the embeddings of a collection, is gone on with, and stands for its pictures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import polars as pl
import pytest
from pyarrow import parquet

import clip_gaze
from clip_gaze.datasets import engines, listing
from clip_gaze.datasets import work as working
from clip_gaze.datasets.place import is_dataset
from clip_gaze.errors import BrokenOffError, ModelError, PictureError, StorageError
from clip_gaze.model import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clip_gaze.datasets.work import Outcome

BAD = "bad.png"


def embed(source: object, output: object, **more: object) -> clip_gaze.Dataset:
    return clip_gaze.embed(source, output, model="demo", per_part=4, **more)  # type: ignore[arg-type]


def vectors(folder: Path) -> dict[str, np.ndarray]:
    """Return the oracle: what `Clip` gives for the good pictures of a folder."""
    names = [str(path) for path in sorted(folder.rglob("*.png")) if path.name != BAD]
    with clip_gaze.Clip("demo", store=False) as clip:
        return dict(zip(names, clip.encode_images(names), strict=True))


def content(dataset: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dataset.iterdir()}


def test_a_dataset_has_a_row_for_each_picture(scans: Path, tmp_path: Path) -> None:
    found = embed(scans, tmp_path / "vectors")
    expected = vectors(scans)
    rows = clip_gaze.to_frame(found)
    assert len(rows) == len(found) == len(expected) + 1
    for row in rows:
        path = Path(row["name"])
        assert row["stamp"] == f"{path.stat().st_size} {path.stat().st_mtime_ns}"
        if path.name == BAD:
            assert row["vector"] is None
            assert "is not a picture" in row["error"]
        else:
            assert row["error"] is None
            assert np.array_equal(row["vector"], expected[row["name"]])


def test_other_programs_read_it(scans: Path, tmp_path: Path) -> None:
    found = embed(scans, tmp_path / "vectors")
    table = pl.read_parquet(str(tmp_path / "vectors" / "part-*.parquet"))
    assert table.schema["vector"] == pl.Array(pl.Float32, found.about["dim"])
    assert table["error"].drop_nulls().len() == 1
    metadata = parquet.read_schema(tmp_path / "vectors" / "_common_metadata").metadata
    about = json.loads(metadata[b"clip_gaze"])
    with clip_gaze.Clip("demo") as clip:
        assert about["digests"] == clip.digests
    manifest = json.loads((registry.find("demo").folder / "manifest.json").read_text())
    assert about["digests"]["vision"] == manifest["variants"]["fp32"]["vision"]["sha256"]
    for part in (tmp_path / "vectors").glob("part-*"):
        assert json.loads(parquet.read_schema(part).metadata[b"clip_gaze"]) == about


def test_folders_that_cannot_be_listed_are_counted(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = listing.listed

    def listed(sources: Any, failed: Callable[[PictureError], object]) -> Iterator[listing.Named]:
        failed(PictureError("attic: may not be read"))
        return whole(sources, failed)

    monkeypatch.setattr(listing, "listed", listed)
    with pytest.raises(BrokenOffError, match=r": 1 folder could not be listed; .* attic: may not"):
        embed(scans, tmp_path / "vectors")


def test_halves_are_half_as_large_and_nearly_equal(scans: Path, tmp_path: Path) -> None:
    found = embed(scans, tmp_path / "vectors", half=True)
    table = pl.read_parquet(str(tmp_path / "vectors" / "part-*.parquet"))
    assert table.schema["vector"] == pl.Array(pl.Float16, found.about["dim"])
    expected = vectors(scans)
    for row in found.to_frame():
        if row["error"] is None:
            assert np.allclose(row["vector"], expected[row["name"]], atol=1e-3)
            assert np.isclose(np.linalg.norm(row["vector"]), 1, atol=1e-6)


def test_a_dataset_without_a_place_goes_with_its_object(scans: Path) -> None:
    found = embed(scans, None)
    assert len(found) == 21
    place = Path(found.url)
    assert place.is_dir()
    del found
    assert not place.exists()


def test_nothing_is_done_twice(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "vectors"
    embed(scans, place)
    before = content(place)
    with pytest.raises(clip_gaze.GazeError, match="holds a dataset; go on with --resume"):
        embed(scans, place)
    removed = sorted(place.glob("part-*"))[:2]
    for path in removed:
        path.unlink()
    made = []
    make = working.part
    monkeypatch.setattr(
        working, "part", lambda clip, job, part, ranking: made.append(part.file)
        or make(clip, job, part, ranking),
    )  # fmt: skip
    embed(scans, place, resume=True)
    assert sorted(made) == [path.name for path in removed]
    assert content(place) == before


def test_what_has_changed_since_is_made_anew(scans: Path, tmp_path: Path) -> None:
    place = tmp_path / "vectors"
    embed(scans, place)
    (scans / "04.png").write_bytes((scans / "02.png").read_bytes())
    os.utime(scans / "04.png", ns=(1, 1))
    (scans / "06.png").unlink()
    (scans / "aa.png").write_bytes((scans / "02.png").read_bytes())
    embed(scans, place, resume=True)
    embed(scans, tmp_path / "fresh")
    assert content(place) == content(tmp_path / "fresh")


def test_a_run_in_another_folder_takes_nothing_away(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "vectors"
    monkeypatch.chdir(scans)
    embed(".", place)
    before = content(place)
    monkeypatch.chdir(scans / "more")
    with pytest.raises(clip_gaze.GazeError, match=r"of pictures in .*; go there to go on"):
        embed(".", place, resume=True)
    assert content(place) == before
    names = [str(path) for path in sorted(scans.glob("*.png"))]
    for number, source in enumerate((scans, names)):  # names that depend on no folder
        monkeypatch.chdir(scans / "more")
        embed(source, tmp_path / f"absolute{number}")
        monkeypatch.chdir(scans)
        embed(source, tmp_path / f"absolute{number}", resume=True)
    scans.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    embed(".", place, resume=True)
    assert content(place).keys() == before.keys()


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [([], {}, "no picture is named"), (None, {"per_part": 0}, "per_part should be 1 or more")],
)
def test_what_cannot_be_made_is_one_line(
    source: list[str] | None, options: dict[str, Any], said: str, scans: Path, tmp_path: Path
) -> None:
    with pytest.raises(clip_gaze.GazeError, match=said):
        clip_gaze.embed(
            scans if source is None else source, tmp_path / "new", model="demo", **options
        )


def test_a_dataset_of_something_else_is_refused(
    scans: Path, tmp_path: Path, tiny_model: Path
) -> None:
    place = tmp_path / "vectors"
    embed(scans, place)
    with pytest.raises(clip_gaze.GazeError, match="by another model or version"):
        clip_gaze.embed(scans, place, model=tiny_model, resume=True)
    with pytest.raises(clip_gaze.GazeError, match="of float32; leave out --half to go on"):
        embed(scans, place, half=True, resume=True)
    with pytest.raises(clip_gaze.GazeError, match=r"of other pictures: .*; name these"):
        embed(scans / "more", place, resume=True)
    with pytest.raises(clip_gaze.GazeError, match="made with --per-part 4; give that to go on"):
        clip_gaze.embed(scans, place, model="demo", resume=True)
    with pytest.raises(clip_gaze.GazeError, match="holds other files"):
        embed(scans, scans)
    with pytest.raises(clip_gaze.GazeError, match="is no dataset"):
        clip_gaze.Dataset(scans)
    assert not is_dataset(scans)


def test_a_part_that_cannot_be_written_is_missing_and_said(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "vectors"
    failed: list[str] = []
    make = working.part

    def part(clip: object, job: object, each: object, ranking: object) -> Outcome:
        if not failed:
            failed.append(each.file)  # type: ignore[attr-defined]
            msg = "the bucket is slow"
            raise StorageError(msg)
        return make(clip, job, each, ranking)  # type: ignore[arg-type]

    monkeypatch.setattr(working, "part", part)
    with pytest.raises(BrokenOffError, match=r"1 part could not be made.*the bucket is slow"):
        embed(scans, place)
    embed(scans, place, resume=True)
    embed(scans, tmp_path / "fresh")
    assert content(place) == content(tmp_path / "fresh")


def test_where_nothing_can_be_written_the_run_ends(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def part(*args: object) -> Outcome:
        tried.append(args)
        msg = "no space is left"
        raise OSError(msg)

    monkeypatch.setattr(working, "part", part)
    with pytest.raises(BrokenOffError, match="failed, and none was made"):
        clip_gaze.embed(scans, tmp_path / "vectors", model="demo", per_part=1)
    assert len(tried) < 12


def test_urls_are_sources_and_targets(scans: Path) -> None:
    fs = fsspec.filesystem("memory")
    for path in scans.rglob("*.png"):
        fs.pipe_file(f"/urls/{path.name}", path.read_bytes())
    try:
        found = embed("memory://urls/", "memory://vectors-of-urls")
        expected = {Path(name).name: vector for name, vector in vectors(scans).items()}
        rows = {Path(row["name"]).name: row for row in found.to_frame()}
        assert rows.keys() == expected.keys() | {BAD}
        assert all(np.array_equal(rows[name]["vector"], expected[name]) for name in expected)
        assert all(row["stamp"] for row in rows.values())
        with clip_gaze.Clip("demo", offline=True) as clip:  # it leads to no other machine
            (vector,) = clip.encode_images(["memory://urls/03.png"])
            assert np.array_equal(vector, expected["03.png"])
            with pytest.raises(clip_gaze.PictureError, match="--offline forbids"):
                clip.encode_images(["https://example.org/03.png"])
            with pytest.raises(clip_gaze.PictureError, match="no such file"):
                clip.encode_images(["memory://urls/none.png"])
    finally:
        for folder in ("/urls", "/vectors-of-urls"):
            fs.rm(folder, recursive=True)


def test_a_dataset_stands_for_its_pictures(scans: Path, tmp_path: Path) -> None:
    found = embed(scans, tmp_path / "vectors")
    names = [row["name"] for row in found.to_frame()]
    for path in scans.rglob("*.png"):
        path.unlink()
    lists = {"surface": clip_gaze.SURFACES}
    with clip_gaze.Clip("demo") as clip:
        results = list(clip.gaze_many(found, lists))
        assert [result.image for result in results] == names
        assert [result.status for result in results].count("error") == 1
        near = clip.find(["a stormy sea"], found.gallery(), top=3)
        assert (near.searched, len(near.images), len(near.unread)) == (20, 3, 1)
        values = {
            name: float(vector @ clip.encode_texts(["a stormy sea"])[0])
            for name, vector in clip.embed_many(found)
            if not isinstance(vector, clip_gaze.PictureError)
        }
        best = sorted(values, key=values.__getitem__, reverse=True)[:3]
        assert [hit.image for hit in near.images] == best
        assert clip.duplicates(found.gallery(), 1.0).searched == 20


def test_names_that_are_no_text_come_back(tmp_path: Path) -> None:
    if os.name == "nt" or sys.platform == "darwin":
        return  # whose file systems have no such names
    folder = tmp_path / "scans"
    folder.mkdir()
    strange = os.fsdecode(b"\xff 50%41.png")
    (folder / strange).write_text("no")
    found = embed(folder, tmp_path / "vectors")
    assert [each.name for each in found] == [str(folder / strange)]
    # The error names it as the row does.
    (row,) = found.to_frame()
    assert row["name"] == str(folder / strange)


def test_rows_for_a_bag_or_a_frame_of_names(scans: Path) -> None:
    import dask
    import dask.bag

    names = [str(scans / "00.png"), str(scans / BAD), str(scans / "02.png")]
    bag = dask.bag.from_sequence(names, npartitions=2)
    with dask.config.set(scheduler="synchronous"):
        rows = bag.map_partitions(clip_gaze.embed_rows, clip_gaze.ModelSpec("demo")).compute()
    assert [row["name"] for row in rows] == names
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert np.array_equal(rows[0]["vector"], vectors(scans)[names[0]])


def test_other_files_of_a_model_are_refused(scans: Path, tmp_path: Path) -> None:
    found = embed(scans, tmp_path / "vectors")
    with (
        clip_gaze.Clip("demo", "q8") as clip,
        pytest.raises(ModelError, match=r"not of demo \(q8\)"),
    ):
        found.check_model(clip)


@pytest.mark.parametrize("cluster", ["nowhere", "local:none", "local:0"])
def test_what_is_no_cluster_is_said(cluster: str) -> None:
    with pytest.raises(clip_gaze.GazeError, match=f"^{cluster}: "), engines.connected(cluster):
        pass


@pytest.mark.parametrize(
    ("missing", "cluster", "source", "said"),
    [
        ("pyarrow", None, "", r'a dataset needs pyarrow; .* "\.\[cluster\]"'),
        ("dask", "local", "", r'a cluster needs dask\[distributed\]; .* "\.\[cluster\]"'),
        ("s3fs", None, "s3://bucket/", "needs s3fs; install it with: pip install s3fs"),
        ("gcsfs", None, "gs://bucket/", "needs gcsfs; install it with: pip install gcsfs"),
        ("aiohttp", None, "https://x.org/", "needs aiohttp; install it with: pip install aiohttp"),
    ],
)
def test_what_is_not_installed_is_said_in_one_line(
    missing: str, cluster: str | None, source: str, said: str, scans: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, clip_gaze\n"
        "missing, cluster, source, place = sys.argv[1:]\n"
        "sys.modules[missing] = None\n"
        "try:\n"
        "    clip_gaze.embed(source, place, model='demo', cluster=cluster or None)\n"
        "except clip_gaze.GazeError as error:\n"
        "    print(error)\n"
    )
    words = [missing, cluster or "", source or str(scans), str(tmp_path / "vectors")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert re.search(said, done.stdout), done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    assert not (tmp_path / "vectors").exists()
