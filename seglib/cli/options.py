"""Arguments and options that several commands share."""

from __future__ import annotations

from glob import glob
from typing import Annotated, Any, Literal

import typer

from seglib.models import model_names


def _complete_model(incomplete: str) -> list[str]:
    return [name for name in model_names() if name.startswith(incomplete)]


def _complete_checkpoint(incomplete: str) -> list[str]:
    from seglib.pretrained.published import PUBLISHED
    from seglib.pretrained.shipped import shipped_names

    names = [name for name in (*shipped_names(), *PUBLISHED) if name.startswith(incomplete)]
    return names + (sorted(glob(f"{incomplete}*")) if incomplete else [])


def limit_option(help: str) -> Any:
    """--limit, with the help text of one command."""
    return typer.Option(min=1, metavar="N", help=help, show_default=False)


ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help=f"A paradigm: {', '.join(model_names())}.",
        autocompletion=_complete_model,
    ),
]
Checkpoint = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|DIR|FILE",
        help="A shipped checkpoint such as fcn or mask_rcnn; a run's folder; a .safetensors file; "
        "a name listed by `seglib weights`; or a .pth or .pkl file of published weights.",
        autocompletion=_complete_checkpoint,
    ),
]
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
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(help="Where to compute; auto prefers a GPU."),
]
Limit = Annotated[int | None, limit_option("Use only the first N images.")]
Assignment = Annotated[
    str | None,
    typer.Option("--assignment", "-a", metavar="NN", help="The assignment; recognised by default."),
]
