"""`seglib train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from seglib.cli.errors import say
from seglib.cli.options import Dataset, Size
from seglib.cli.settings import DEFAULTS, TRAINING, record, settle
from seglib.errors import SeglibError

if TYPE_CHECKING:
    from seglib.data.datasets import CocoFolder
    from seglib.models.base import Segmenter
    from seglib.training import History


def _option(text: str, default: str, **more: Any) -> Any:
    return typer.Option(help=f"{text}  [dim]\\[default: {default}][/]", show_default=False, **more)


def train(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A paradigm, such as fcn.")],
    dataset: Dataset = None,
    steps: Annotated[int | None, _option("Optimiser steps.", "2000", min=1, metavar="N")] = None,
    size: Size = None,
    out: Annotated[Path | None, _option("Folder of the run.", "runs/MODEL", metavar="DIR")] = None,
    variant: Annotated[
        str | None, _option("Of the model, such as 8s.", "the model's own", metavar="V")
    ] = None,
    preset: Annotated[
        Literal["pocket", "paper"] | None,
        _option("Small network, or the published one.", "pocket"),
    ] = None,
    init: Annotated[
        str | None,
        _option("Start from a checkpoint: name, folder or file.", "random", metavar="CKPT"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out where it stopped.")
    ] = False,
    overfit: Annotated[
        int | None,
        _option("Fit only the first N images, without augmentation.", "off", min=1, metavar="N"),
    ] = None,
    batch_size: Annotated[int | None, _option("Images a step.", "16", min=1, metavar="N")] = None,
    lr: Annotated[float | None, _option("Highest learning rate.", "0.001", metavar="X")] = None,
    optimizer: Annotated[Literal["adamw", "sgd"] | None, _option("Optimiser.", "adamw")] = None,
    weight_decay: Annotated[float | None, _option("Weight decay.", "0.0001", metavar="X")] = None,
    warmup: Annotated[
        int | None,
        _option("Steps of rising learning rate.", "a tenth, at most 200", min=0, metavar="N"),
    ] = None,
    clip: Annotated[
        float | None, _option("Largest gradient norm; 0 is off.", "1.0", metavar="X")
    ] = None,
    ema: Annotated[
        float | None, _option("Decay of averaged weights; 0 is off.", "0", metavar="X")
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None, _option("auto times both.", "auto")
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option("--augment/--no-augment", help="Vary the images.", show_default=False),
    ] = None,
    seed: Annotated[int | None, _option("Of everything random.", "0", metavar="N")] = None,
    eval_every: Annotated[
        int | None, _option("Steps between validations; 0: at the end.", "0", min=0, metavar="N")
    ] = None,
    eval_limit: Annotated[
        int | None, _option("Images of the validations before the last.", "all", min=1, metavar="N")
    ] = None,
    checkpoint_every: Annotated[
        int | None, _option("Steps between checkpoints.", "250", min=0, metavar="N")
    ] = None,
    evaluate: Annotated[
        bool | None,
        typer.Option("--eval/--no-eval", help="Evaluate on the val split.", show_default=False),
    ] = None,
) -> None:
    """Train a model; stop it with Ctrl-C and go on with --resume.

    DIR receives model.safetensors (the trained model), log.jsonl (a line a step) and
    checkpoint.pt (everything needed to resume). Several processes share the work when started
    by `torchrun --nproc-per-node 2 -m seglib.cli train …`.
    """
    given = {name: value for name, value in locals().items() if name in DEFAULTS}
    out = out or Path("runs") / model
    values = settle(model, given, out, resume)
    history, network, data = _run(values, out, resume)
    if _is_first_process():
        _report(history, network, data, out, values)


def _run(values: dict[str, Any], out: Path, resume: bool) -> tuple[History, Segmenter, CocoFolder]:
    """Load data, build the model and train it."""
    from seglib.cli.progress import TrainingBar
    from seglib.data.datasets import load_dataset
    from seglib.models import model_names
    from seglib.training import TrainConfig, train

    model = values["model"]
    if model not in model_names():
        raise SeglibError(f"no model is called {model!r}: choose among {', '.join(model_names())}")
    size = values["size"]
    data = load_dataset(values["dataset"], split="train", size=size, limit=values["overfit"])
    validation = None
    if values["evaluate"]:
        validation = data
        if not values["overfit"]:
            validation = load_dataset(values["dataset"], split="val", size=size)
    network = _network(values, data)
    if values["init"] is not None and not resume:  # a resumed run has all weights of its own
        _start_from(values["init"], network, data)
    config = TrainConfig(**{name: values[name] for name in TRAINING}, channels_last=None, out=out)
    if _is_first_process() and not resume:
        record(values, out)
    try:
        with TrainingBar(config.steps) as bar:
            history = train(
                network,
                data,
                config,
                bar if _is_first_process() else None,
                validation=validation,
                resume=resume,
                command=values["command"],
            )
    except KeyboardInterrupt:
        if not (out / "checkpoint.pt").exists():
            raise
        again = f"seglib train {model} --out {out} --resume"
        raise KeyboardInterrupt(f"stopped; go on with: {again}") from None
    return history, network, data


def _is_first_process() -> bool:
    """Whether this process speaks for all that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _network(values: dict[str, Any], data: CocoFolder) -> Segmenter:
    """A new model for the data's classes."""
    import torch

    from seglib.models import build_model

    torch.manual_seed(values["seed"])
    # With its training size in its config the model brings photographs of any size to it.
    chosen = {"variant": values["variant"], "image_size": values["size"]}
    overrides = {name: value for name, value in chosen.items() if value is not None}
    return build_model(values["model"], data.categories, preset=values["preset"], **overrides)


def _start_from(init: str, network: Segmenter, data: CocoFolder) -> None:
    """Give a new model the weights of a trained one, its head fitted to the data's classes."""
    from seglib import pretrained

    missing = pretrained.adopt(network, pretrained.load(init, data.categories))
    if missing:
        say(f"new in this model, started afresh: {', '.join(missing)}")


def _report(
    history: History, network: Segmenter, data: CocoFolder, out: Path, values: dict[str, Any]
) -> None:
    """Say what came of it."""
    tenth = max(1, len(history.losses) // 10)
    first = sum(history.losses[:tenth]) / tenth
    last = sum(history.losses[-tenth:]) / tenth
    minutes = history.seconds[-1] / 60
    typer.echo(
        f"{len(history.losses)} steps in {minutes:.1f} minutes; mean loss of the first tenth "
        f"{first:.3f}, of the last {last:.3f}"
    )
    for row in history.validation[-1:]:
        shown = {name: value for name, value in row.items() if name != "step"}
        typer.echo("  ".join(f"{name} {value:.3f}" for name, value in shown.items()))
    if values["overfit"]:
        from seglib.cli.ceiling_lines import ceiling_lines

        typer.echo(f"images {', '.join(map(str, data.image_ids))}")
        figures = history.validation[-1] if history.validation else {}
        for line in ceiling_lines(network, data, None, figures, values["size"])[0]:
            typer.echo(line)
    typer.echo(f"wrote {out / 'model.safetensors'}; try: seglib eval {out}")
