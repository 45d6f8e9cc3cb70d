"""`seglib predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seglib.cli import drawn_scenes
from seglib.cli.errors import say
from seglib.cli.options import Checkpoint, Device, Size
from seglib.cli.predict_files import (
    RESULTS,
    check_outputs,
    find_images,
    overlay_path,
    refuse_image,
)
from seglib.counted import counted
from seglib.errors import SeglibError, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from seglib.models.base import Segmenter

LINES = 12  # the largest number of images whose contents are listed


def predict(
    model: Checkpoint = drawn_scenes.MODEL,
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGE…",
            help="Photographs or folders of them. Without any, six drawn scenes are used.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the pictures.")] = Path(
        "predictions"
    ),
    size: Size = None,
    device: Device = "auto",
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Draw no detections with a lower score.")
    ] = 0.5,
) -> None:
    """Segment photographs; writes a PNG overlay of each, and all results to predictions.json.

    Without arguments, a shipped model segments six drawn scenes that come with seglib.

    A model that was trained with --size resizes every photograph to that size by itself. For
    other models, use --size: they work best near the size of their training images. Without it, a
    photograph of more than 1333 px is predicted at 1333 px, and boxes and masks are enlarged.
    """
    from seglib import pretrained
    from seglib.atomic import make_folder

    refuse_image(model)
    files = find_images(images) if images else drawn_scenes.drawn_scenes()
    check_outputs(files, out)
    path = pretrained.find(model)
    network = pretrained.load(path, device=device)
    if not images:
        typer.echo(f"no images given: {model} segments {len(files)} drawn scenes of Pocket COCO")
    elif warning := drawn_scenes.only_drawings(path, model, files):
        say(warning)
    make_folder(out)
    results, failed = _segment_all(network, files, out, size, min_score)
    _report(results, out, min_score)
    if failed:
        raise SeglibError(
            f"{len(failed)} of {counted(len(files), 'image')} could not be read: "
            f"{', '.join(failed)}"
        )
    if not images:
        typer.echo(drawn_scenes.next_steps(model, overlay_path(files[0], out)))


def _segment_all(
    network: Segmenter, files: list[Path], out: Path, size: int | None, min_score: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Predict the images one by one, and write the results.

    Returns:
        the entries of the results, and the names of unreadable files.
    """
    from seglib.cli.progress import Bar
    from seglib.ops.images import LARGEST_PUBLISHED_SIDE

    largest = LARGEST_PUBLISHED_SIDE if size is None else None
    results: list[dict[str, Any]] = []
    failed: list[str] = []
    try:
        with Bar("predicting", "images", len(files)) as bar:
            for done, file in enumerate(files, start=1):
                try:
                    image = _read(file, size)
                except SeglibError as error:
                    failed.append(file.name)
                    say(f"left out: {error}")
                else:
                    results.append(_segment(network, image, file, out, min_score, largest))
                bar.update(done)
    finally:  # keep the results so far after Ctrl-C or on a full disk
        if results:
            _write_results(out / RESULTS, results)
    return results, failed


def _report(results: list[dict[str, Any]], out: Path, min_score: float) -> None:
    """Print what was found in each image, if they are few, and what was written."""
    from seglib.cli.prediction_records import found
    from seglib.ops.images import LARGEST_PUBLISHED_SIDE

    if len(results) <= LINES:
        for entry in results:
            typer.echo(f"  {printable(entry['overlay'])}  {found(entry, min_score)}")
    enlarged = [result for result in results if "predicted_at" in result]
    if enlarged:
        typer.echo(
            f"predicted {counted(len(enlarged), 'larger photograph')} at "
            f"{LARGEST_PUBLISHED_SIDE} px and enlarged the masks: --size chooses another size"
        )
    if results:
        typer.echo(f"wrote {counted(len(results), 'overlay')} and {RESULTS} to {out}")


def _segment(
    network: Segmenter,
    image: Tensor,
    file: Path,
    out: Path,
    min_score: float,
    largest: int | None,
) -> dict[str, Any]:
    """Predict one photograph, write its overlay, and return its entry in the results.

    A photograph with a side of more than `largest` pixels is predicted on a copy of that size. At
    full size, the network would need gigabytes, and objects would be many times larger than in
    training.
    """
    from seglib.cli.prediction_records import prediction_record
    from seglib.plotting import overlay

    height, width = image.shape[-2:]
    seen = image if largest is None or max(height, width) <= largest else _resized(image, largest)
    prediction = network.predict([seen])[0].to("cpu")
    target = overlay_path(file, out)
    _write_picture(target, overlay(image, prediction, min_score=min_score))
    record = prediction_record(prediction, (height, width))
    return {"image": str(file), "overlay": target.name, **record}


def _write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    from seglib.atomic import write_atomic

    picture = Image.fromarray(pixels)
    # For a photograph, level 4 takes half the time of Pillow's default 6, for 5 % more bytes.
    write_atomic(path, lambda stream: picture.save(stream, format="PNG", compress_level=4))


def _write_results(path: Path, results: list[dict[str, Any]]) -> None:
    from seglib.atomic import write_atomic

    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    # Bytes of a file name that are not UTF-8 become JSON escapes.
    write_atomic(path, lambda stream: stream.write(text.encode(errors="backslashreplace")))


def _read(file: Path, size: int | None) -> Tensor:
    from seglib.data.images import read_image

    image = read_image(file).float().div_(255)
    return image if size is None else _resized(image, size)


def _resized(image: Tensor, longer: int) -> Tensor:
    from seglib.ops.images import resize_longer

    return resize_longer(image, longer).clamp(0, 1)
