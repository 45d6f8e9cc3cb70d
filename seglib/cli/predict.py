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
    from seglib.structures import Instances, Prediction

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
    other models, use --size: they work best near the size of their training images.
    """
    from seglib import pretrained
    from seglib.atomic import make_folder
    from seglib.cli.progress import Bar

    files = _files(images)
    _check_outputs(files, out)
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
                    results.append(_segment(network, image, file, out, min_score))
                bar.update(done)
    finally:  # Ctrl-C or a full disk must not cost the results so far
        if results:
            _write_results(out / RESULTS, results)
    if results:
        typer.echo(f"wrote {_counted(results, 'overlay')} and {RESULTS} to {out}")
    if failed:
        raise SeglibError(
            f"{len(failed)} of {_counted(files, 'image')} could not be read: {', '.join(failed)}"
        )


def _segment(
    network: Segmenter, image: Tensor, file: Path, out: Path, min_score: float
) -> dict[str, Any]:
    """Predict one photograph, write its overlay, and return its entry of the results."""
    from seglib.plotting import overlay

    prediction = network.predict([image])[0].to("cpu")
    target = _overlay_path(file, out)
    _write_picture(target, overlay(image, prediction, min_score=min_score))
    return {"image": str(file), "overlay": target.name, **_plain(prediction)}


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
    write_atomic(path, lambda stream: picture.save(stream, format="PNG"))


def _write_results(path: Path, results: list[dict[str, Any]]) -> None:
    from seglib.atomic import write_atomic

    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    # Bytes of a file name that are not UTF-8 become JSON escapes.
    write_atomic(path, lambda stream: stream.write(text.encode(errors="backslashreplace")))


def _read(file: Path, size: int | None) -> Tensor:
    from seglib.data.images import read_image
    from seglib.ops.images import resize_longer

    return resize_longer(read_image(file).float() / 255, size).clamp(0, 1)


def _plain(prediction: Prediction) -> dict[str, Any]:
    """A prediction as JSON values: COCO result records, and each class's share of pixels."""
    result: dict[str, Any] = {"size": list(prediction.size)}
    names = ("background", *prediction.categories.names)
    if prediction.semantic is not None:
        counts = prediction.semantic.flatten().bincount(minlength=len(names)).tolist()
        total = sum(counts)
        result["semantic"] = {
            n: round(c / total, 4) for n, c in zip(names, counts, strict=True) if c
        }
    for field in ("instances", "proposals"):
        rows: Instances | None = getattr(prediction, field)
        if rows is not None:
            result[field] = [_record(rows, row, prediction) for row in range(len(rows))]
    return result


def _record(rows: Instances, row: int, prediction: Prediction) -> dict[str, Any]:
    from seglib.ops import rle

    x0, y0, x1, y1 = rows.boxes[row].tolist()
    category = prediction.categories.by_label(int(rows.labels[row]))
    record: dict[str, Any] = {
        "category_id": category.coco_id,
        "category": category.name,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "score": float(rows.scores[row]),
    }
    if rows.masks is not None:
        encoded = rle.encode(rows.masks[row])
        record["segmentation"] = {"size": list(encoded.size), "counts": rle.to_string(encoded)}
    return record
