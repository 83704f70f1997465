"""Export checkpoints, measure them, describe them, and perhaps upload them to the Hub.

    python export/publish.py openai/clip-vit-base-patch32 ... --to FOLDER --pictures PICTURES
        [--repo OWNER/{model}]

SOURCE is a checkpoint that transformers' CLIPModel loads: a name on the Hub, or a folder. Each gets
a model folder with all variants, the vectors of the shipped lists' phrases, and a model card with
the figures that were measured on PICTURES, which should be real ones. What an earlier run has
finished is not done again. What is left for a person to do is printed last.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import command
from clip_gaze.errors import ModelError
from clip_gaze.model import manifest as manifests
from clip_gaze.model import manifest_file
from clip_gaze.model.manifest import Source
from clip_gaze.system.files import whole
from clip_gaze.texts import phrases
from clip_gaze.wording import megabytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_gaze.model.manifest import Manifest

HERE = Path(__file__).parent
NAME = "{model}"


def run(script: str, *words: object) -> None:
    """Run another script of this folder, with its output on this one's.

    Raises:
        ModelError: it failed; it has said why.

    """
    done = subprocess.run([sys.executable, str(HERE / script), *map(str, words)], check=False)  # noqa: S603
    if done.returncode:
        msg = f"{script} failed on {words[0]}; mend what it says, and run this again"
        raise ModelError(msg)


def exported(source: str, folder: Path, variants: str, licence: str) -> Manifest:
    """Export a checkpoint where that was not done; return the manifest."""
    with contextlib.suppress(ModelError):
        return manifest_file.read(folder / "manifest.json")
    lists = [word for name in phrases.names() for word in ("--phrases", name)]
    run("export_clip.py", source, folder, "--variants", variants, "--licence", licence, *lists)
    return manifest_file.read(folder / "manifest.json")


def measured(folder: Path, manifest: Manifest, pictures: Path, lists: Sequence[str]) -> Any:
    """Compare the variants on pictures where that was not done with these files; return it all."""
    answer = folder.with_name(f"{folder.name}.measured.json")
    digests = sorted(
        file.sha256 or "" for name in manifest.variants for file in manifest.files(name).values()
    )
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(answer.read_text(encoding="utf-8"))
        if known.get("digests") == digests and known.get("lists") == list(lists):
            return known
    words = [word for name in lists for word in ("--list", name)]
    run("compare_variants.py", folder, pictures, *words, "--json", answer)
    known = json.loads(answer.read_text(encoding="utf-8"))
    known |= {"digests": digests, "lists": list(lists)}
    with whole(answer) as part:
        part.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return known


def card(manifest: Manifest, found: Any) -> str:
    """Return the model card: what it is, what it takes, and how its variants agree with fp32."""
    source = manifest.source
    at = f" at revision `{source.revision}`" if source.revision else ""
    lines = [
        "---",
        f"license: {manifest.licence.split(maxsplit=1)[0].lower()}",
        *([f"base_model: {source.repository}"] if "/" in source.repository else []),
        "library_name: clip-gaze",
        "pipeline_tag: zero-shot-image-classification",
        "---",
        f"# {manifest.name} for clip-gaze",
        "",
        f"The two encoders of `{source.repository}`{at}, exported to ONNX for",
        "[clip-gaze](https://pypi.org/project/clip-gaze/), with the vectors of its phrase lists.",
        "",
        f"    clip-gaze gaze painting.jpg --model {manifest.name}",
        "",
        f"Measured on {found['pictures']:,} pictures, by `export/compare_variants.py`. Cosines are",
        "those of a variant's vectors with those of fp32; top 1 says how often both name the same",
        "phrase first.",
        "",
        "| variant | MB | ms a picture | cosine of pictures, least | of phrases, least |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in found["variants"].items():
        cells = [name, f"{row['bytes'] / 1e6:.1f}", f"{row['picture_ms']:.1f}"]
        cells += [
            f"{row[f'{each}_cosine']:.5f}, {row[f'{each}_cosine_least']:.5f}"
            for each in ("image", "text")
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| variant | list | top 1 the same |", "|---|---|---:|"]
    lines += [
        f"| {name} | {each} | {agreement['top1']:.1%} |"
        for name, row in found["variants"].items()
        for each, agreement in row["lists"].items()
    ]
    return "\n".join([*lines, "", f"Licence of the weights: {manifest.licence}.", ""])


def upload(folder: Path, repository: str, manifest: Manifest) -> Manifest:
    """Upload a model folder; return the manifest that fetches it from there.

    Files that the Hub has already are not sent again, which is how huggingface_hub resumes.

    Raises:
        ModelError: the Hub cannot be reached, or refuses.

    """
    from huggingface_hub import HfApi  # noqa: PLC0415 - a third of a second, here alone

    listed = {file.file for name in manifest.variants for file in manifest.files(name).values()}
    try:
        api = HfApi()
        api.create_repo(repository, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository, folder_path=folder,
            allow_patterns=[*listed, "manifest.json", "README.md"],
            commit_message=f"Add {manifest.name}",
        )  # fmt: skip
        # Where nothing was new, no commit was made.
        revision = commit.oid or api.repo_info(repository).sha
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        msg = f"{repository}: cannot be uploaded ({reason}); run this again to go on"
        raise ModelError(msg) from error
    return replace(manifest, source=Source(repository, revision), download=True)


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--to", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="FOLDER",
    help="Gets a folder for each model.",
)  # fmt: skip
@click.option(
    "--pictures", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
    help="A folder of real pictures, to measure with.",
)  # fmt: skip
@click.option("--list", "lists", multiple=True, metavar="NAME", help="A list to measure with.")
@click.option("--variants", default="fp32,q8,q4", show_default=True)
@click.option("--licence", default="MIT (OpenAI)", show_default=True, help="Of the weights.")
@click.option("--repo", metavar="OWNER/NAME", help=f"Upload there; {NAME} is the model's name.")
def main(
    sources: tuple[str, ...], to: Path, pictures: Path, lists: tuple[str, ...], variants: str,
    licence: str, repo: str | None,
) -> None:  # fmt: skip
    """Bring each model as far as it can come."""
    lists = tuple(dict.fromkeys(lists)) or phrases.DEFAULTS
    for each in lists:
        phrases.load(each)  # refuses what is unknown before hours of work
    names = [Path(source.rstrip("/")).name for source in sources]
    if repo is not None and NAME not in repo and len(sources) > 1:
        msg = f"--repo: several models need {NAME} in its name"
        raise click.UsageError(msg)
    if len(set(names)) < len(names):
        raise click.UsageError("two of the checkpoints have the same name")
    to.mkdir(parents=True, exist_ok=True)
    left = []
    for source, name in zip(sources, names, strict=True):
        folder = to / name
        click.echo(f"{name}: export")
        manifest = exported(source, folder, variants, licence)
        click.echo(f"{name}: measure")
        found = measured(folder, manifest, pictures, lists)
        with whole(folder / "README.md") as part:
            part.write_text(card(manifest, found), encoding="utf-8")
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        click.echo(f"{name}: {megabytes(size)} in {folder}")
        if repo is None:
            left.append(f"{name}: read {folder / 'README.md'}; then run this again with --repo")
            continue
        click.echo(f"{name}: upload")
        pinned = upload(folder, repo.replace(NAME, name), manifest)
        place = to / f"{name}.manifest.json"
        with whole(place) as part:
            part.write_text(manifests.to_json(pinned), encoding="utf-8")
        left.append(
            f"{name}: open a pull request that makes {place} the file models/{name}/manifest.json; "
            f"it pins {pinned.source.repository} at {pinned.source.revision}"
        )
    click.echo("left to do:")
    for line in left:
        click.echo(f"  {line}")


if __name__ == "__main__":
    command.run(main)
