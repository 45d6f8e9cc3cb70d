"""`seglib grade`, `seglib check` and `seglib progress`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seglib.cli.options import Assignment
from seglib.errors import SeglibError

if TYPE_CHECKING:
    from seglib.grading.marks import TaskMark

Unsafe = Annotated[
    bool,
    typer.Option("--unsafe", help="Run submissions without a sandbox: only if you trust them."),
]


def grade(
    submissions: Annotated[
        list[Path],
        typer.Argument(metavar="SUBMISSION…", help="Notebooks, folders of them, or zip files."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the marks.")],
    assignment: Assignment = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the hidden inputs; the same seed gives the same marks."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Number of submissions to mark at a time.")] = 2,
    unsafe: Unsafe = False,
) -> None:
    """Mark a class of notebooks, each in a sandbox.

    Run it again to continue after an interruption. Without --seed, a new run chooses one.
    """
    from seglib.cli.progress import Bar
    from seglib.grading import classroom
    from seglib.grading.class_summary import write_summary
    from seglib.grading.plan import Plan
    from seglib.grading.reports import out_of, write_class
    from seglib.grading.saved_marks import saved_seed
    from seglib.grading.submissions import find

    found = find(submissions)
    if seed is None:
        seed = saved_seed(out)
    if seed is None:
        seed = secrets.randbelow(2**31)
    plan = Plan(assignment, seed, unsafe)
    with Bar("grading", "submissions", len(found)) as bar:
        marks = classroom.grade(
            found, out, plan, jobs=jobs, on_done=lambda done, _marks: bar.update(done)
        )
    write_class(out, found, marks)
    write_summary(out, marks)
    for each in marks:
        typer.echo(f"{each.student}: {out_of(each.earned, each.points)}. {each.line}".strip())
    typer.echo(
        f"{len(marks)} marked, seed {seed}. Read {out / 'summary.html'}; each student may have the "
        f"folder of that name in {out / 'feedback'}."
    )


def check(
    notebook: Annotated[Path, typer.Argument(help="Your notebook of an assignment.")],
    assignment: Assignment = None,
    cell: Annotated[
        str | None,
        typer.Option("--cell", metavar="ID", help="Report on one checks cell only."),
    ] = None,
) -> None:
    """Run the visible checks of your notebook as the grader does, and say what each point needs.

    The exit code is 0 if all of them pass (with --cell: those of that cell), and 1 otherwise.
    Hidden checks are not run.
    """
    from datetime import date

    from rich.console import Console
    from rich.markup import escape

    from seglib.grading import progress as record
    from seglib.grading.check import check_notebook
    from seglib.grading.reports import cases_text, out_of

    marks = check_notebook(notebook, assignment)
    if not marks.line:
        record.add(record.record_file(), marks, date.today())
    marks.tasks = _only(marks.tasks, cell)
    console = Console(soft_wrap=True, highlight=False)
    for remark in filter(None, [marks.line, *marks.notes, *marks.forbidden]):
        console.print(escape(remark))
    for task in marks.tasks:
        sign = "✓" if task.earned == task.points else "✗"
        mark = out_of(task.earned, task.points)
        console.print(escape(f"{sign} {task.title} ({task.cell}): {mark}; {cases_text(task)}"))
        for reason in task.reasons:
            console.print(escape(f"    - {reason}"))
    console.print(
        f"{out_of(marks.earned, marks.points)} on the visible checks. The hidden checks have not "
        "been run: they use other inputs."
    )
    raise typer.Exit(0 if marks.tasks and marks.earned == marks.points else 1)


def _only(tasks: list[TaskMark], cell: str | None) -> list[TaskMark]:
    """The task of a checks cell; all of them if it is None."""
    found = [task for task in tasks if cell in (None, task.cell)]
    if tasks and not found:
        known = ", ".join(task.cell for task in tasks)
        raise SeglibError(f"the assignment has no checks cell {cell!r}; it has {known}")
    return found


def progress() -> None:
    """Show which tasks `seglib check` has found solved on this machine, and when."""
    from seglib.grading import progress as record

    lines = record.picture(record.read(record.record_file()))
    for line in lines or ["nothing yet: run `seglib check NOTEBOOK`"]:
        typer.echo(line)
