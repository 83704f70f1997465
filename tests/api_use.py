"""Uses every public name as a program would; it is type-checked, not run."""

from pathlib import Path

from PIL import Image

import clip_gaze


def look(path: Path) -> list[str]:
    """Use the functions, the class, the results and the lists."""
    image = Image.open(path)
    lists: list[list[str]] = [
        clip_gaze.ARTISTS_BY_NAME,
        clip_gaze.ARTISTS_BY_TRAINING_PREVALENCE,
        clip_gaze.GENRES,
        clip_gaze.MOVEMENTS,
        clip_gaze.PAINTING_MATERIALS,
        clip_gaze.PERIODS,
        clip_gaze.PHOTOGRAPHY,
        clip_gaze.PRINTING_TECHNIQUES,
        clip_gaze.QUALITIES,
        clip_gaze.SCULPTURE_MATERIALS,
        clip_gaze.SCULTPURE_MATERIALS,
        clip_gaze.SITES,
        clip_gaze.SURFACES,
        clip_gaze.TOOLS,
    ]
    clip_gaze.gaze(image, clip_gaze.MOVEMENTS, 3, format_output=False, batch_size=10, device="cpu")
    clip_gaze.gaze(str(path), clip_gaze.EXAMPLE_CATEGORIES, only_show_best=None)
    pairs: list[tuple[str, float]] = clip_gaze.probabilities(path, lists[0], batch_size=10)
    try:
        with clip_gaze.Clip("demo", variant="q8", threads=1, offline=True) as clip:
            scores = clip.encode_images([image]) @ clip.encode_texts(["on canvas"]).T
            clip.probabilities(image, ["on canvas"])
            clip.gaze(image, {"movement": clip_gaze.MOVEMENTS})
            clip.bundle(path, {"surfaces": clip_gaze.SURFACES})
            clip.save_phrases(path, clip.lists)
            spec: clip_gaze.ModelSpec = clip.spec
            clip_gaze.Clip.from_spec(spec).close()
            for name, found in clip.embed_many([path, image]):
                assert isinstance(found, clip_gaze.PictureError) or found.shape == (name.count(""),)
            comparison: clip_gaze.Comparison = clip.compare([path, image], {"s": lists[0]}, top=3)
            assert comparison.images
            for result in clip.gaze_many([path], {"sites": clip_gaze.SITES}):
                picture: clip_gaze.PictureResult = result
                best: clip_gaze.PhraseScore | clip_gaze.CorrectedScore = picture.lists["sites"][0]
                pairs.append((best.phrase, best.probability + float(scores[0, 0])))
            heat: clip_gaze.HeatMap = clip.see(image, "on canvas", "surfaces", runs=50)
            pairs.append((heat.phrase, heat.grid[0][0]))
            maps: list[clip_gaze.HeatMap] = clip.see(path, ["on canvas", "on wood"])
            pairs += [(each.phrase, each.log_odds) for each in maps]
            search: clip_gaze.Search = clip.find(
                ["a boat", path], [path], without=["on wood"], top=3
            )
            pairs += [(hit.image, hit.similarity) for hit in search.images]
            groups: clip_gaze.Duplicates = clip.duplicates([path, image], 0.9)
            pairs += [(alike.images[0], alike.similarity) for (alike, *_) in groups.groups]
            line: clip_gaze.PromptLine = clip.prompt(image, {"s": lists[0]}, without=["by"])
            pairs += [(part.phrase, part.adds) for part in line.parts]
    except clip_gaze.DownloadError:
        return ["fetch the model first"]
    except (clip_gaze.ModelError, clip_gaze.PhraseListError, clip_gaze.PictureError) as error:
        return [str(error)]
    except clip_gaze.GazeError:
        raise
    rows: list[dict[str, object]] = clip_gaze.to_frame([])
    return [phrase for phrase, _ in pairs] + [str(row["phrase"]) for row in rows]
