"""Wrong solutions lose marks through the sandbox as well: all of an assignment in one start of it.

The student's process contains the text of every wrong solution, and a function that puts one of
them in place of what was defined before. So they are judged as submissions are, over the protocol,
without a kernel for each.
"""

from __future__ import annotations

import nbformat
import pytest
from nbformat import NotebookNode

from seglib.grading.isolation import bubblewrap
from seglib.grading.limits import Limits
from seglib.grading.remote import RemoteFunction, Student
from seglib.grading.sandbox import running
from seglib.grading.splice import functions_of, is_answer, is_setup, read_answers, splice
from seglib.workshop.assignments import read_master
from tests.assignments import trying
from tests.grading.test_wrong_solutions_lose import LOSE, marks_of

LIMITS = Limits(wall_seconds=3000, cpu_seconds=1000)
BECOME = """

def become(source):
    exec(compile("".join(source), "answer", "exec"), globals())
"""
PART = 2_000  # characters of one text that travels


def notebook(master: NotebookNode) -> str:
    """The reference's notebook, with a function that defines answers again."""
    answers = read_answers(nbformat.writes(master).encode(), master)
    last = list(answers.sources)[-1]
    answers.sources[last] += BECOME
    return splice(master, answers, LIMITS.cell_seconds, LIMITS.wall_seconds)


def parts(source: str) -> list[str]:
    """A text in parts that are not cut off on their way."""
    return [source[at : at + PART] for at in range(0, len(source), PART)]


@pytest.mark.slow
@pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap does not work here")
@pytest.mark.parametrize("name", trying.master_names())
def test_wrong_solutions_lose_marks_in_the_sandbox(name):
    master, table = read_master(trying.MASTERS / f"{name}.py"), trying.wrong_solutions(name)
    before, tasks = trying.split_tasks(master)
    names = {"__name__": name}
    trying.run_cells([cell for cell in before if is_setup(cell)], names)
    kept, count = [], 0
    with running(notebook(master), LIMITS) as run:
        assert run.connection is not None, run.reason
        student = Student(run.connection)
        become = RemoteFunction("become", lambda: student)
        for task in tasks:
            cells = [cell for cell in task.cells if not is_answer(cell)]
            answers = [cell for cell in task.cells if is_answer(cell)]
            for function in functions_of("\n".join(cell.source for cell in answers)):
                names[function] = RemoteFunction(function, lambda: student)
            for answer in answers:
                for fault, (right, wrong) in table.get(answer.id, {}).items():
                    (changed,) = trying.replaced([answer], answer.id, right, wrong)
                    become(parts(changed.source))
                    marks = marks_of(cells, names)
                    lost = any(mark.earned < mark.points for mark in marks)
                    kept += [] if lost else [f"{answer.id}: {fault}"]
                    count += 1
                become(parts(answer.source))
            for mark in marks_of(cells, names):
                assert mark.earned == mark.points, f"{name}: the reference loses {mark}"
            trying.run_cells(cells, names)  # later checks use what these define
        assert not student.gone, student.gone
    assert len(kept) <= (1 - LOSE) * count, f"{name}: full marks for {kept}"
    print(f"{name}: {count} wrong solutions, {count - len(kept)} lose marks in one sandbox")
