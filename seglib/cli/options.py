"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        "-d",
        metavar="D",
        help="pocket, coco-mini or coco:PATH.  [dim]\\[default: SEGLIB_DATASET, else pocket][/]",
        show_default=False,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        min=16, metavar="PX", help="Resize images to this longer side.", show_default=False
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Only the first N images.", show_default=False),
]
