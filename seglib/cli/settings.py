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
}
# Those of them that `TrainConfig` takes.
TRAINING = {
    "steps", "batch_size", "lr", "weight_decay", "optimizer", "warmup", "clip", "ema", "precision",
    "augment", "seed", "eval_every", "eval_limit", "checkpoint_every",
}  # fmt: skip


def settle(given: dict[str, Any], out: Path, resume: bool) -> dict[str, Any]:
    """Settle every option: as given, else as in the resumed run, else by default."""
    earlier: dict[str, Any] = {}
    run_file = out / RUN_FILE
    if resume:
        if not run_file.is_file():
            raise SeglibError(f"nothing to resume in {out}: no {RUN_FILE} there")
        earlier = json.loads(run_file.read_text(encoding="utf-8"))
    elif (out / "checkpoint.pt").exists() or (out / "model.safetensors").exists():
        raise SeglibError(f"{out} holds a run already: add --resume, or choose another --out")
    command = shlex.join(["seglib", *sys.argv[1:]])
    values = {
        **DEFAULTS,
        "command": command,
        **earlier,
        **{k: v for k, v in given.items() if v is not None},
    }
    if values["overfit"]:  # the point is to remember: no variation, no decay
        values.update(augment=False, weight_decay=0.0)
        values["batch_size"] = min(values["batch_size"], values["overfit"])
    if values["warmup"] is None:
        values["warmup"] = min(200, values["steps"] // 10)
    return values


def record(model: str, values: dict[str, Any], out: Path) -> None:
    """Write the settings into the run's folder, where `settle` finds them when resuming."""
    from seglib.data.atomic import write_atomic

    text = json.dumps({"model": model, **values}, indent=2) + "\n"
    write_atomic(out / RUN_FILE, lambda stream: stream.write(text.encode()))
