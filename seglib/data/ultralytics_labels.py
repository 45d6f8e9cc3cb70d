"""The text files of Ultralytics' segmentation data sets: data.yaml, and a label file per image.

A line of a label file is one object: the number of its class, counted from 0, and the corners of
its polygon, "x y x y …", normalised to 0…1 by the image's width and height.
"""

from __future__ import annotations

import math
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglib.errors import SeglibError

Floats = NDArray[np.float64]
DIGITS = 6  # decimals of a coordinate: exact to a hundredth of a pixel up to 10,000 px
BOX_NUMBERS = 5  # numbers in a line that is a box instead of a polygon


def yaml_package() -> Any:
    """The package yaml; raises SeglibError if it is not installed."""
    try:
        import yaml
    except ImportError as error:
        raise SeglibError(
            "Ultralytics' data.yaml needs the package pyyaml: pip install pyyaml"
        ) from error
    return yaml


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the settings in a data.yaml.

    Raises:
        SeglibError: the package pyyaml or the file is missing, or the file is not a YAML mapping.
    """
    yaml = yaml_package()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SeglibError(f"{path} is missing: an Ultralytics folder has a data.yaml") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SeglibError(f"cannot read {path} as YAML ({error}): correct it") from error
    if not isinstance(content, dict):
        raise SeglibError(f"{path} contains {shortened(content)}, not settings by name")
    return content


def write_yaml(settings: dict[str, Any]) -> bytes:
    """The text of a data.yaml, its settings in the given order."""
    text: str = yaml_package().safe_dump(settings, sort_keys=False, allow_unicode=True)
    return text.encode()


def class_names(path: Path, settings: dict[str, Any]) -> list[str]:
    """The names of the classes in the order of their numbers.

    Args:
        path: the data.yaml, for error messages.
        settings: its content; `names` is a list, or a mapping with the numbers 0…C-1.

    Raises:
        SeglibError: the names are missing, not text, repeated, or not numbered from 0.
    """
    names = settings.get("names")
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise SeglibError(f"{path}: the numbers of 'names' must run 0…{len(names) - 1}")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise SeglibError(f"{path} has no 'names': list the classes there")
    for name in names:
        if not isinstance(name, str) or not name:
            raise SeglibError(f"{path}: the name {shortened(name)} is not text: put it in quotes")
        if names.count(name) > 1:
            raise SeglibError(f"{path}: two classes are called {name!r}: give each its own name")
    return names


def parse_labels(path: Path, classes: int) -> list[tuple[int, Floats]]:
    """Read a label file.

    Args:
        path: the file; a missing one means that the image has no objects.
        classes: the number of classes.

    Returns:
        for each object, the number of its class and its corners float64 [K, 2], x and y in 0…1.

    Raises:
        SeglibError: a line is not an object; the message names the file and the line.
    """
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SeglibError(f"cannot read {path} ({error}): replace it") from error
    rows = enumerate(lines, start=1)
    return [_parse(f"{path}, line {n}", line.split(), classes) for n, line in rows if line.strip()]


def format_label(number: int, corners: Floats) -> str:
    """The line of an object of class `number` with `corners` float64 [K, 2] in 0…1."""
    values = " ".join(f"{value:.{DIGITS}f}" for value in corners.ravel().tolist())
    return f"{number} {values}"


def label_path(image: Path) -> Path:
    """The label file of an image: the last "images" in its path becomes "labels"."""
    parts = list(image.parts)
    if "images" not in parts[:-1]:
        raise SeglibError(f"{image} does not lie below a folder called 'images', as labels expect")
    last = len(parts) - 2 - parts[:-1][::-1].index("images")
    parts[last] = "labels"
    return Path(*parts).with_suffix(".txt")


def _parse(where: str, words: list[str], classes: int) -> tuple[int, Floats]:
    """The class and the corners [K, 2] in the words of a line; `where` is for error messages."""
    try:
        number, *values = map(float, words)
    except ValueError as error:
        raise SeglibError(f"{where}: {error}; a line has numbers only") from error
    if number not in range(classes):
        raise SeglibError(
            f"{where}: there is no class {words[0]}: data.yaml names {classes}, numbered from 0"
        )
    if len(words) == BOX_NUMBERS:
        raise SeglibError(
            f"{where} is a box, not a polygon: seglib needs the labels of a segmentation data set"
        )
    if len(values) < 6 or len(values) % 2:
        raise SeglibError(
            f"{where} has {len(values)} coordinates: a polygon needs x and y of at least 3 points"
        )
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in values):
        raise SeglibError(
            f"{where} has a coordinate outside 0…1: divide x by the image's width and y by its "
            "height, and clip what lies outside"
        )
    return int(number), np.array(values).reshape(-1, 2)
