"""The settings of a run on the command line: given, taken from a resumed run, or by default."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from seglib.errors import SeglibError

RUN_FILE = "run.json"
# What an option is when neither the command line nor the resumed run says.
DEFAULTS: dict[str, Any] = {
    "preset": "pocket",
    "variant": None,
    "dataset": None,
    "size": None,
    "init": None,
    "overfit": None,
    "steps": 2000,
    "batch_size": 16,
    "lr": 1e-3,
    "weight_decay": 1e-4,
    "optimizer": "adamw",
    "warmup": None,
    "clip": 1.0,
    "ema": 0.0,
    "precision": "auto",
    "augment": True,
    "seed": 0,
    "eval_every": 0,
    "eval_limit": None,
    "checkpoint_every": 250,
    "evaluate": True,
}
# What those that are None by default hold otherwise.
_OPTIONAL = {
    "variant": str, "dataset": str, "size": int, "init": str, "overfit": int, "warmup": int,
    "eval_limit": int,
}  # fmt: skip
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
# The options that `TrainConfig` takes, and the checkpoint with it.
TRAINING = {
    "steps", "batch_size", "lr", "weight_decay", "optimizer", "warmup", "clip", "ema", "precision",
    "augment", "seed", "eval_every", "eval_limit", "checkpoint_every",
}  # fmt: skip


# The checkpoint knows nothing of the others, so a resumed run is held to its run.json. Validating
# or not changes no step and may differ.
_FIXED = ("model", *(name for name in DEFAULTS if name not in TRAINING and name != "evaluate"))


def settle(model: str, given: dict[str, Any], out: Path, resume: bool) -> dict[str, Any]:
    """Settle every option: as given, else as in the resumed run, else by default.

    Args:
        model: the paradigm named on the command line.
        given: options by name; None was not given.
        out: folder of the run.
        resume: whether the run there goes on.

    Raises:
        SeglibError: nothing to resume, a damaged run.json, an option or model other than the
            run's; or, for a new run, a folder that holds one.
    """
    given = {name: value for name, value in given.items() if value is not None}
    earlier: dict[str, Any] = {}
    if resume:
        if not (out / RUN_FILE).is_file():
            raise SeglibError(f"nothing to resume in {out}: no {RUN_FILE} there")
        earlier = read_run(out)
        _refuse_others({"model": model, **given}, earlier, out)
    elif (out / "checkpoint.pt").exists() or (out / "model.safetensors").exists():
        raise SeglibError(f"{out} holds a run already: add --resume, or choose another --out")
    command = shlex.join(["seglib", *sys.argv[1:]])
    values = {"model": model, **DEFAULTS, "command": command, **earlier, **given}
    if values["overfit"]:  # the point is to remember: no variation, no decay
        values.update(augment=False, weight_decay=0.0)
        values["batch_size"] = min(values["batch_size"], values["overfit"])
    if values["warmup"] is None:
        values["warmup"] = min(200, values["steps"] // 10)
    return values


def _refuse_others(given: dict[str, Any], earlier: dict[str, Any], out: Path) -> None:
    for name in _FIXED:
        if name in given and given[name] != earlier[name]:
            raise SeglibError(
                f"{out / RUN_FILE} was made with {name}={earlier[name]!r}, not "
                f"{given[name]!r}: resume with the same settings, or start another run"
            )


def read_run(out: Path) -> dict[str, Any]:
    """The settings that `record` left in a run's folder.

    Returns:
        model, command and every option of `DEFAULTS`.

    Raises:
        SeglibError: no such file; or a damaged one, with the fault named.
    """
    file = out / RUN_FILE
    if not file.is_file():
        raise SeglibError(f"no {RUN_FILE} in {out}: name the folder of a run of `seglib train`")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(values, dict):
        raise _damaged(file, "it is no JSON object")
    values.setdefault("evaluate", DEFAULTS["evaluate"])  # not yet noted by earlier versions
    for name in ("model", "command", *DEFAULTS):
        if name not in values:
            raise _damaged(file, f"{name} is missing")
        default = DEFAULTS.get(name, "")
        kind = _OPTIONAL[name] if default is None else type(default)
        if values[name] is None and default is None:
            continue
        if type(values[name]) is not kind and not (kind is float and type(values[name]) is int):
            raise _damaged(file, f"{name} is {values[name]!r}, not {_WORDS[kind]}")
    return values


def _damaged(file: Path, fault: str) -> SeglibError:
    return SeglibError(f"{file} is damaged ({fault}): restore it, or start another run")


def record(values: dict[str, Any], out: Path) -> None:
    """Write a new run's settings into its folder, where `read_run` finds them."""
    from seglib.atomic import write_atomic

    text = json.dumps(values, indent=2) + "\n"
    write_atomic(out / RUN_FILE, lambda stream: stream.write(text.encode()))
