"""`seglib train`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seglib.cli.errors import say
from seglib.cli.field_options import options_from
from seglib.cli.options import ModelName
from seglib.cli.settings import Setup, record, settle, train_config
from seglib.errors import unknown_name
from seglib.models import model_names
from seglib.training.config import TrainConfig

if TYPE_CHECKING:
    from seglib.data.datasets import CocoFolder
    from seglib.models.base import Segmenter
    from seglib.training import History


@options_from(Setup, TrainConfig)
def train(
    model: ModelName,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out where it stopped.")
    ] = False,
    **given: Any,
) -> None:
    """Train a model; stop it with Ctrl-C and continue with --resume.

    Writes model.safetensors (the trained model), log.jsonl (one line per step) and checkpoint.pt
    (everything needed to resume) to --out. Several processes share the work if started with
    `torchrun --nproc-per-node 2 -m seglib.cli train …`.
    """
    from seglib.cli.progress import log_shown
    from seglib.devices import find_device
    from seglib.distributed import process_group

    if model not in model_names():
        raise unknown_name("model", model, model_names())
    out = given.pop("out") or Path("runs") / model
    values = settle(model, given, out, resume)
    config = train_config(values, out)
    with process_group(find_device(values["device"])), log_shown():
        _run(values, config, out, resume)


def _run(values: dict[str, Any], config: TrainConfig, out: Path, resume: bool) -> None:
    """Load the data, build the model, train it and print the results."""
    from seglib import training
    from seglib.cli.progress import TrainingBar
    from seglib.distributed import rank
    from seglib.training.folder import run_folder

    data, validation = _data(values)
    if rank() == 0:
        _say_notes([data] if validation is None else [data, validation])
    network = _network(values, data)
    if values["init"] is not None and not resume:  # a resumed run has all weights of its own
        _start_from(values["init"], network, data)
    first = rank() == 0
    on_step = TrainingBar(config.steps) if first else None
    try:
        with run_folder(out), on_step or nullcontext():
            if first and not resume:
                record(values, out)
            history = training.train(
                network,
                data,
                config,
                on_step,
                validation=validation,
                resume=resume,
                command=values["command"],
            )
    except KeyboardInterrupt:
        if not (out / "checkpoint.pt").exists():
            raise
        again = f"seglib train {values['model']} --out {out} --resume"
        raise KeyboardInterrupt(f"stopped; continue with: {again}") from None
    if first:
        _report(history, network, data, out, values)


def _data(values: dict[str, Any]) -> tuple[CocoFolder, CocoFolder | None]:
    """The images to train on, and those to validate on, if any."""
    from seglib.data.datasets import load_dataset

    name, size = values["dataset"], values["size"]
    data = load_dataset(name, split="train", size=size, limit=values["overfit"])
    if not values["evaluate"]:
        return data, None
    if values["overfit"]:
        return data, data
    return data, load_dataset(name, split="val", size=size)


def _say_notes(sets: Sequence[CocoFolder]) -> None:
    """Print what was left out or assumed, each note once for each split."""
    lines = dict.fromkeys(f"{data.split}: {note}" for data in sets for note in data.notes)
    for line in lines:
        say(f"note on {line}")


def _network(values: dict[str, Any], data: CocoFolder) -> Segmenter:
    """A new model for the data's classes."""
    import torch

    from seglib.models import build_model

    torch.manual_seed(values["seed"])
    # The training size becomes part of the config, so that the model resizes all photographs to it.
    chosen = {"variant": values["variant"], "image_size": values["size"]}
    overrides = {name: value for name, value in chosen.items() if value is not None}
    return build_model(values["model"], data.categories, preset=values["preset"], **overrides)


def _start_from(init: str, network: Segmenter, data: CocoFolder) -> None:
    """Initialise a model with a trained one's weights, the head adapted to the data's classes."""
    from seglib import pretrained

    missing = pretrained.copy_matching(network, pretrained.load(init, data.categories))
    if missing:
        parts = ", ".join(_parts(missing, network))
        say(f"not in that checkpoint, randomly initialised: {parts}")


def _parts(missing: list[str], network: Segmenter) -> list[str]:
    """The names of missing weights, shortened to a part's name if all its weights are missing."""
    kept = {name.split(".")[0] for name in network.state_dict().keys() - set(missing)}
    names = ((name.split(".")[0], name) for name in missing)
    return list(dict.fromkeys(name if part in kept else part for part, name in names))


def _report(
    history: History, network: Segmenter, data: CocoFolder, out: Path, values: dict[str, Any]
) -> None:
    """Print minutes, losses and figures."""
    tenth = max(1, len(history.losses) // 10)
    first = sum(history.losses[:tenth]) / tenth
    last = sum(history.losses[-tenth:]) / tenth
    minutes = history.seconds[-1] / 60
    steps = "1 step" if len(history.losses) == 1 else f"{len(history.losses)} steps"
    typer.echo(
        f"{steps} in {minutes:.1f} minutes; mean loss of the first tenth "
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
