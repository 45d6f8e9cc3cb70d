"""The settings of a run: given on the command line, taken from a resumed run, or defaults."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from seglib.cli.options import Dataset, Size
from seglib.errors import SeglibError
from seglib.json_files import parse_json
from seglib.training.config import TrainConfig
from seglib.training.settings import Kind, is_of_kind, kinds_of, setting, settings_of, wanted

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Setup:
    """The settings of a run that are not those of the training loop, which `TrainConfig` has.

    The fields of both are options of `seglib train`.
    """

    dataset: Dataset = None
    size: Size = None
    variant: str | None = setting(
        "The model's variant, such as 8s.", None, metavar="V", unset="the model's own"
    )
    preset: Literal["pocket", "paper"] = setting("Small network, or the published one.", "pocket")
    init: str | None = setting(
        "Start from a checkpoint: name, folder or file.", None, metavar="CKPT", unset="random"
    )
    overfit: int | None = setting(
        "Fit only the first N images, without augmentation.", None, low=1, unset="off"
    )
    evaluate: bool = setting("Evaluate on the val split.", True, flag="eval")


def _defaults() -> dict[str, Any]:
    """The value of each option that neither the command line nor a resumed run sets."""
    setup = {field.name: getattr(Setup(), field.name) for field in fields(Setup)}
    training = {field.name: described.command_line for field, described, _ in _training()}
    return {**setup, **training}


def _training() -> list[Any]:
    """The settings of `TrainConfig`, except the folder, which contains run.json itself."""
    return [row for row in settings_of(TrainConfig) if row[0].name != "out"]


DEFAULTS = _defaults()
KINDS = {"model": Kind(str), "command": Kind(str), **kinds_of(Setup), **kinds_of(TrainConfig)}
# The checkpoint does not contain these settings, so a resumed run must agree with its run.json.
# "evaluate" may differ, since it does not change the training.
_FIXED = ("model", *(field.name for field in fields(Setup) if field.name != "evaluate"))
# Earlier versions recorded none of these and ran with the defaults.
_NEW = ("evaluate", "backbone_lr", "schedule", "device", "channels_last", "tune", "workers")


def settle(model: str, given: dict[str, Any], out: Path, resume: bool) -> dict[str, Any]:
    """Determine every option: as given, otherwise as in the resumed run, otherwise the default.

    Args:
        model: the paradigm named on the command line.
        given: options by name; None if not given.
        out: the run's folder.
        resume: whether the run there is continued.

    Returns:
        model, command and every option of `DEFAULTS`.

    Raises:
        SeglibError: there is nothing to resume, run.json is damaged, or an option or the model
            differs from the run's; for a new run, the folder already contains one.
    """
    given = {name: value for name, value in given.items() if value is not None}
    earlier: dict[str, Any] = {}
    if resume:
        if not (out / RUN_FILE).is_file():
            raise SeglibError(f"nothing to resume in {out}: there is no {RUN_FILE}")
        earlier = read_run(out)
        _refuse_others({"model": model, **given}, earlier, out)
    elif (out / "checkpoint.pt").exists() or (out / "model.safetensors").exists():
        raise SeglibError(f"{out} already contains a run: add --resume, or choose another --out")
    command = shlex.join(["seglib", *sys.argv[1:]])
    values = {"model": model, **DEFAULTS, "command": command, **earlier, **given}
    if values["overfit"]:  # the model is meant to memorise: no augmentation, no weight decay
        values.update(augment=False, weight_decay=0.0)
        values["batch_size"] = min(values["batch_size"], values["overfit"])
    return values


def train_config(values: dict[str, Any], out: Path) -> TrainConfig:
    """The options of the training loop among those that `settle` returned.

    Raises:
        SeglibError: a value that its setting does not allow.
    """
    return TrainConfig(**{field.name: values[field.name] for field, _, _ in _training()}, out=out)


def _refuse_others(given: dict[str, Any], earlier: dict[str, Any], out: Path) -> None:
    for name in _FIXED:
        if name in given and given[name] != earlier[name]:
            raise SeglibError(
                f"{out / RUN_FILE} was made with {name}={earlier[name]!r}, not "
                f"{given[name]!r}: resume with the same settings, or start another run"
            )


def read_run(out: Path) -> dict[str, Any]:
    """Read the settings that `record` wrote into a run's folder.

    Returns:
        model, command and every option of `DEFAULTS`.

    Raises:
        SeglibError: run.json is missing or damaged; the message names the fault.
    """
    file = out / RUN_FILE
    if not file.is_file():
        raise SeglibError(f"no {RUN_FILE} in {out}: name the folder of a run of `seglib train`")
    try:
        values = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(values, dict):
        raise _damaged(file, "it is not a JSON object")
    values = {name: DEFAULTS[name] for name in _NEW} | values
    for name in ("model", "command", *DEFAULTS):
        if name not in values:
            raise _damaged(file, f"{name} is missing")
        if not is_of_kind(values[name], KINDS[name]):
            raise _damaged(file, f"{name} is {values[name]!r}, not {wanted(KINDS[name])}")
    return values


def _damaged(file: Path, fault: str) -> SeglibError:
    return SeglibError(f"{file} is damaged ({fault}): restore it, or start another run")


def record(values: dict[str, Any], out: Path) -> None:
    """Write a new run's settings into its folder, for `read_run`."""
    from seglib.atomic import write_atomic

    text = json.dumps(values, indent=2) + "\n"
    write_atomic(out / RUN_FILE, lambda stream: stream.write(text.encode()))
