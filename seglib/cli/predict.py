"""`seglib predict`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seglib.cli.errors import say
from seglib.cli.options import Checkpoint, Device, Size
from seglib.errors import SeglibError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from seglib.models.base import Segmenter

RESULTS = "predictions.json"


def predict(
    model: Checkpoint,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE…", help="Photographs, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the pictures.")] = Path(
        "predictions"
    ),
    size: Size = None,
    device: Device = "auto",
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Draw no detections with a lower score.")
    ] = 0.5,
) -> None:
    """Segment photographs: a PNG overlay of each, and all results in predictions.json.

    A model that was trained with --size resizes every photograph to that size by itself. For
    other models, use --size: they work best near the size of their training images. Without it, a
    photograph of more than 1333 px is predicted at 1333 px, and boxes and masks are enlarged.
    """
    from seglib import pretrained
    from seglib.atomic import make_folder
    from seglib.cli.progress import Bar
    from seglib.ops.images import LARGEST_PUBLISHED_SIDE

    files = _files(images)
    _check_outputs(files, out)
    largest = LARGEST_PUBLISHED_SIDE if size is None else None
    network = pretrained.load(model, device=device)
    make_folder(out)
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
    finally:  # Ctrl-C or a full disk must not cost the results so far
        if results:
            _write_results(out / RESULTS, results)
    enlarged = [result for result in results if "predicted_at" in result]
    if enlarged:
        typer.echo(
            f"predicted {_counted(enlarged, 'larger photograph')} at {largest} px and enlarged the "
            "masks: --size chooses another size"
        )
    if results:
        typer.echo(f"wrote {_counted(results, 'overlay')} and {RESULTS} to {out}")
    if failed:
        raise SeglibError(
            f"{len(failed)} of {_counted(files, 'image')} could not be read: {', '.join(failed)}"
        )


def _segment(
    network: Segmenter,
    image: Tensor,
    file: Path,
    out: Path,
    min_score: float,
    largest: int | None,
) -> dict[str, Any]:
    """Predict one photograph, write its overlay, and return its entry of the results.

    A photograph with a side of more than `largest` pixels is predicted on a copy of that size. At
    full size the network would need gigabytes, and see objects many times larger than in training.
    """
    from seglib.cli.prediction_records import prediction_record
    from seglib.plotting import overlay

    height, width = image.shape[-2:]
    seen = image if largest is None or max(height, width) <= largest else _resized(image, largest)
    prediction = network.predict([seen])[0].to("cpu")
    target = _overlay_path(file, out)
    _write_picture(target, overlay(image, prediction, min_score=min_score))
    record = prediction_record(prediction, (height, width))
    return {"image": str(file), "overlay": target.name, **record}


def _files(paths: list[Path]) -> list[Path]:
    """The images that the paths name; those of a folder in alphabetical order."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += _photographs(path)
        elif path.is_file():
            files.append(path)
        else:
            raise SeglibError(f"{path} does not exist: give a photograph, or a folder of them")
    if not files:
        raise SeglibError(f"no images in {', '.join(map(str, paths))}")
    stems = [file.stem for file in files]
    doubles = sorted({stem for stem in stems if stems.count(stem) > 1})
    if doubles:
        raise SeglibError(f"two images are called {doubles[0]}: predict them one by one")
    return files


def _photographs(folder: Path) -> list[Path]:
    """The images in a folder; files that look like images but are left out are reported."""
    from seglib.data.images import SUFFIXES, UNREAD_SUFFIXES, is_companion

    images = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and p.is_file()]
    companions = [path.name for path in images if is_companion(path)]
    unread = [p.name for p in sorted(folder.iterdir()) if p.suffix.lower() in UNREAD_SUFFIXES]
    if companions:
        say(f"left out {_counted(companions, 'hidden file')}, such as {companions[0]}")
    if unread:
        say(
            f"left out {_counted(unread, 'file')} of a format that seglib does not read, such as "
            f"{unread[0]}: save as JPEG or PNG first"
        )
    return [path for path in images if not is_companion(path)]


def _counted(things: list[Any], noun: str) -> str:
    """ "1 image", "2 images"."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _overlay_path(file: Path, out: Path) -> Path:
    return out / f"{file.stem}.png"


def _check_outputs(files: list[Path], out: Path) -> None:
    """Refuse, before anything runs, to overwrite a photograph or to write where a folder is.

    Files are compared by identity and not by name: links lead to the same file, and on some
    systems so do upper and lower case.
    """
    photographs = {_identity(file) for file in files}
    for target in (*(_overlay_path(file, out) for file in files), out / RESULTS):
        if os.path.isdir(target):
            raise SeglibError(f"{target} is a folder: move it away or choose another --out")
        if os.path.exists(target) and _identity(target) in photographs:
            raise SeglibError(
                f"{target.name} would be overwritten by its own overlay: choose another --out"
            )


def _identity(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_dev, facts.st_ino


def _write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    from seglib.atomic import write_atomic

    picture = Image.fromarray(pixels)
    # A photograph takes half the time of Pillow's level 6, and a twentieth more bytes.
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
