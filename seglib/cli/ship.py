"""`seglib ship`, for maintainers: turn a finished run into a checkpoint of the course."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seglib.cli.errors import say
from seglib.cli.settings import RUN_FILE, read_run
from seglib.errors import SeglibError

if TYPE_CHECKING:
    from seglib.models.base import Segmenter
    from seglib.training.history import History

MEGABYTE = 1_000_000
LARGEST = 6 * MEGABYTE
RESULTS = "results.jsonl"
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def ship(
    run: Annotated[Path, typer.Argument(metavar="DIR", help="A finished run's folder.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The checkpoint's name, such as fcn-8s.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files.")] = Path(
        "data/checkpoints"
    ),
    figures_only: Annotated[
        bool, typer.Option("--figures-only", help="Only add the row to the table of results.")
    ] = False,
) -> None:
    """Write NAME.safetensors in half precision, and NAME.json with command, curve and figures.

    The figures are measured on the shipped file itself, on the whole validation split. They are
    also added to the table of finished runs, results.jsonl beside the folder.
    """
    from seglib import pretrained
    from seglib.atomic import write_atomic
    from seglib.data.digests import file_sha256
    from seglib.pretrained.results import append_result, read_results

    if not PLAIN_NAME.fullmatch(name):
        raise SeglibError(
            f"{name!r} is not a plain name: use only letters, digits, - _ and . , with a letter or "
            "digit first"
        )
    table = out.parent / RESULTS
    read_results(table)  # report a damaged table before the work, not after it
    stages = _stages(run)
    history = stages[-1]["history"]
    trained = pretrained.load(run)
    with tempfile.TemporaryDirectory() as folder:  # nothing is written to `out` before all succeeds
        file = Path(folder) / f"{name}.safetensors"
        _save_small(trained, file, {})
        facts, per_class = _scored(run, stages, pretrained.load(file))
        _save_small(trained, file, facts)
        digest, content = file_sha256(file), file.read_bytes()
    if not figures_only:
        record = {
            **facts,
            "sha256": digest,
            "per_class": per_class,
            "history": _rounded(_slim(history)),
        }
        text = json.dumps(record, ensure_ascii=False) + "\n"
        write_atomic(out / file.name, lambda stream: stream.write(content))
        write_atomic(out / f"{name}.json", lambda stream: stream.write(text.encode()))
    seed = None if history.config is None else history.config.seed
    append_result(table, {"name": name, "seed": seed, **facts})
    typer.echo(f"{name}: {facts['figures']}")


def _save_small(trained: Segmenter, file: Path, facts: dict[str, Any]) -> None:
    from seglib import pretrained

    pretrained.save(trained, file, facts, half=True)
    size = file.stat().st_size
    if size > LARGEST:
        raise SeglibError(
            f"{file.name} is {size / MEGABYTE:.1f} MB large, but a shipped checkpoint may have at "
            f"most {LARGEST / MEGABYTE:g} MB"
        )


def _scored(
    run: Path, stages: list[dict[str, Any]], network: Segmenter
) -> tuple[dict[str, Any], Any]:
    """The record of a shipped file with its measured figures, and the figures per class."""
    from seglib.cli.ceiling_lines import ceiling_lines
    from seglib.cli.progress import Bar
    from seglib.data.datasets import load_dataset
    from seglib.metrics.evaluate import evaluate

    settings = read_run(run)
    data = load_dataset(settings["dataset"], split="val", size=settings["size"])
    with Bar("evaluating", "images", len(data)) as bar:
        metrics = evaluate(network, data, progress=lambda done, total: bar.update(done))
    lines, ceilings = ceiling_lines(network, data, None, metrics.figures, settings["size"])
    for line in lines:
        say(line)
    plain = metrics.to_dict()
    facts = {
        "command": " && ".join(stage["command"] for stage in stages),
        "minutes": round(sum(stage["seconds"] for stage in stages) / 60, 1),
        "cpu_minutes": round(sum(stage["cpu_seconds"] for stage in stages) / 60, 1),
        "device": stages[-1]["device"],
        **_device_minutes(stages),
        "parameters": sum(p.numel() for p in network.parameters()),
        "dataset": data.name,
        "evaluated": f"{len(data)} images of {data.split}",
        "figures": _rounded(plain["figures"]),
        "ceilings": _rounded(ceilings),
    }
    return facts, _rounded(plain["per_class"])


def _device_minutes(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """The minutes on each device, if the stages ran on several."""
    spent: dict[str, float] = {}
    for stage in stages:
        spent[stage["device"]] = spent.get(stage["device"], 0.0) + stage["seconds"] / 60
    if len(spent) == 1:
        return {}
    return {"device_minutes": {device: round(minutes, 1) for device, minutes in spent.items()}}


def _stages(run: Path, later: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """Command, seconds and history of a run, preceded by those of the runs it started from.

    Args:
        run: the run's folder.
        later: folders of the runs that started from this one, the last run first.

    Raises:
        SeglibError: a run.json or checkpoint.pt is missing or damaged, or runs started from
            each other.
    """
    from seglib.training.checkpoint import FILE_NAME, Checkpoint
    from seglib.training.history import History

    folder = run.resolve()
    if folder in later:
        raise SeglibError(f"{run / RUN_FILE} is damaged (init leads back to the run itself)")
    settings = read_run(run)
    start = settings["init"]
    has_earlier = start is not None and (Path(start) / RUN_FILE).is_file()
    earlier = _stages(Path(start), (*later, folder)) if has_earlier else []
    history = History.from_dict(Checkpoint.load(run / FILE_NAME).history)
    stage = {
        "command": settings["command"],
        "seconds": history.seconds[-1],
        "cpu_seconds": history.cpu_seconds,
        "device": None if history.config is None else history.config.device,
        "history": history,
    }
    return [*earlier, stage]


def _slim(history: History) -> dict[str, Any]:
    """The history as JSON values, without a single named loss, which equals the total."""
    plain = history.to_dict()
    return {**plain, "parts": plain["parts"] if len(plain["parts"]) > 1 else {}}


def _rounded(value: Any) -> Any:
    """Round floats to five significant digits, so that the file stays small."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
