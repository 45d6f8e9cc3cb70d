"""`seglib doctor`: why is my AP 0?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seglib.cli.errors import FAILED
from seglib.cli.options import Dataset, limit_option

if TYPE_CHECKING:
    from rich.console import Console

    from seglib.doctor.findings import Report

DATASETS = ("pocket", "coco-mini")
WIDEST = 110  # longer lines are hard to read


def doctor(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN|DATASET",
            help="A run's folder, a shipped checkpoint such as mask_rcnn, a .safetensors file; "
            "or a data set: pocket, coco-mini, coco:PATH.",
        ),
    ],
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Predictions for DATASET, from any program, in COCO's results format.",
        ),
    ] = None,
    dataset: Dataset = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT",
            help="train or val.  [dim]\\[default: val, and for a folder also train][/]",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        limit_option(
            "Use only the first N images.  [dim]\\[default: 100 per split, 8 predicted][/]"
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the findings to this file."),
    ] = None,
) -> None:
    """Why is my AP 0? Lists probable causes, with evidence and what to do.

    Data set: faulty records, only crowds, boxes as corners, masks transposed
    or of another image, categories that differ between train and val.

    Run or checkpoint: also the log (learning rate, number of steps), the
    weights, the classes, and predictions of a few images as they are, with
    other normalisations, and without score thresholds.

    Predictions (--predictions): image and category ids off by one, boxes as
    corners or fractions, masks transposed, shifted or not resized, low
    scores, missing non-maximum suppression.

    The exit code is 1 if anything was found.
    """
    from rich.console import Console

    from seglib.atomic import write_atomic
    from seglib.doctor import examine_dataset, examine_predictions

    data = _dataset(subject)
    if predictions is not None:
        if data is None:
            raise typer.BadParameter("--predictions needs a data set in place of RUN")
        report = examine_predictions(predictions, data, split, limit, _bar)
    elif data is not None:
        report = examine_dataset(data, split, limit, _bar)
    else:
        report = _examined(subject, dataset, split, limit)
    _print(report, Console(highlight=False))
    if json_file is not None:
        text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
        write_atomic(json_file, lambda stream: stream.write(text.encode()))
    if report.findings:
        raise typer.Exit(FAILED)


def _dataset(subject: str) -> str | None:
    """The data set that the argument means; None if it means a run or a checkpoint."""
    if subject in DATASETS or subject.startswith("coco:"):
        return subject
    return f"coco:{subject}" if (Path(subject) / "annotations").is_dir() else None


def _examined(subject: str, dataset: str | None, split: str | None, limit: int | None) -> Report:
    """The report on a run or a checkpoint; a run.json that cannot be read is a fault."""
    from seglib import pretrained
    from seglib.cli.settings import RUN_FILE, read_run
    from seglib.doctor import examine_checkpoint
    from seglib.errors import SeglibError

    folder, settings, faults = Path(subject), None, []
    if not folder.exists():
        pretrained.find(subject)  # refuses names that do not exist
    if (folder / RUN_FILE).is_file() or (folder / "log.jsonl").is_file():
        try:
            settings = read_run(folder)
        except SeglibError as error:
            settings = dict[str, Any]()
            faults.append((RUN_FILE, str(error)))
    return examine_checkpoint(subject, settings, dataset, split, limit, _bar, faults)


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], object]]:
    from seglib.cli.progress import Bar

    with Bar(title, "images", total) as bar:
        yield bar.update


def _print(report: Report, console: Console) -> None:
    """Print the findings, numbered, the most probable first; then what has no fault."""
    count = len(report.findings)
    title = {0: "no fault found", 1: "1 finding"}.get(
        count, f"{count} findings, the most probable first"
    )
    _say(console, "", f"{report.subject}: {title}", style="bold")
    for number, finding in enumerate(report.findings, start=1):
        console.print()
        _say(console, f"{number}. ", finding.cause, style="bold")
        _say(console, "   evidence: ", finding.evidence)
        _say(console, "   to do:    ", finding.advice)
    if report.passed:
        console.print("\nExamined, without a fault:", style="bold")
    for line in report.passed:
        _say(console, "- ", line)


def _say(console: Console, mark: str, text: str, style: str = "") -> None:
    """Text that wraps beside its mark, in which nothing is markup or moves the cursor."""
    from seglib.errors import printable

    lines = wrap(
        printable(" ".join(text.split())),
        width=max(40, min(console.width, WIDEST)),
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print("\n".join(lines), style=style, markup=False, soft_wrap=True)
