"""Measure what grading a class costs, and check that a killed run resumes; run this file.

A class of references, stubs, wrong solutions and broken notebooks is marked twice with one seed.
The first run is measured; the second one is ended by `kill -9` in the middle and started again.
Both must give the same marks, and nothing that was saved may be marked again.

CPU seconds are sampled from all processes of the run. Those of the kernels, in which the students'
notebooks run, are the students' own; the others are the grader's (pytest with nbval, bubblewrap,
and the processes that judge).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode

from seglib.workshop.assignments import assignment_names, read_master, student_version
from tests.assignments import trying
from tests.helpers import ROOT

EVERY = 0.25  # seconds between two measurements of the processes
KINDS = ["reference"] * 4 + ["stub"] * 2 + ["wrong"] * 3 + ["broken"]  # of each ten submissions
PARTS = {"ipykernel": "kernels", "inside.py": "pytest and bubblewrap"}  # by the command line
JUDGES = "judging"


@dataclass
class Usage:
    """The resources that the processes of a run have used so far.

    Attributes:
        seconds: CPU seconds of each process, by number and start.
        part: which part of the grader each process is.
        memory: the peak of their private memory together, in bytes.
        single: the peak of one process, in bytes.
    """

    seconds: dict[tuple[int, float], float] = field(default_factory=dict)
    part: dict[tuple[int, float], str] = field(default_factory=dict)
    memory: int = 0
    single: int = 0

    def look(self, top: psutil.Process) -> None:
        """Record what a process and its descendants use now."""
        private = []
        with contextlib.suppress(psutil.Error):
            for process in [top, *top.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    private.append(self._note(process))
        self.memory = max(self.memory, sum(private))
        self.single = max([self.single, *private])

    def _note(self, process: psutil.Process) -> int:
        key, used = (process.pid, process.create_time()), process.memory_info()
        times = process.cpu_times()
        line = " ".join(process.cmdline())
        named = [part for word, part in PARTS.items() if word in line]
        self.part[key] = named[0] if named else self.part.get(key, JUDGES)
        self.seconds[key] = times.user + times.system
        return used.rss - used.shared

    def by_part(self) -> dict[str, float]:
        """CPU seconds of each part."""
        total: dict[str, float] = defaultdict(float)
        for key, seconds in self.seconds.items():
            total[self.part[key]] += seconds
        return dict(total)


def wrong_versions(name: str, master: NotebookNode) -> Iterator[str]:
    """Notebooks with one wrong solution each, in an endless cycle."""
    table = trying.wrong_solutions(name)
    faults = [(cell, fault) for cell, each in table.items() for fault in each.values()]
    for cell, (right, wrong) in itertools.cycle(faults[:: max(1, len(faults) // 30)]):
        cells = trying.replaced(master.cells, cell, right, wrong)
        yield nbformat.writes(NotebookNode(master, cells=cells))


def broken_versions(master: NotebookNode) -> Iterator[str]:
    """Notebooks that are damaged, or whose first answer ends, hangs or does not run."""
    text, first = nbformat.writes(master), trying.split_tasks(master)[1][0].cells[0]

    def answering(source: str) -> str:
        cells = [NotebookNode(c, source=source) if c is first else c for c in master.cells]
        return nbformat.writes(NotebookNode(master, cells=cells))

    yield from (text[:500], "", '{"nbformat": 4, "cells": []}', answering("def f(:"))
    yield from (answering("import os\nos._exit(0)"), answering("while True: pass"), answering(""))
    yield from itertools.repeat(answering("raise ValueError"))


def make_class(folder: Path, name: str, count: int) -> None:
    """Write `count` submissions of an assignment, each with a remark of its own."""
    master = read_master(trying.MASTERS / f"{name}.py")
    versions = {
        "reference": itertools.repeat(nbformat.writes(master)),
        "stub": itertools.repeat(nbformat.writes(student_version(master))),
        "wrong": wrong_versions(name, master),
        "broken": broken_versions(master),
    }
    folder.mkdir(parents=True)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        path = folder / f"{number:03d}-{kind}.ipynb"
        path.write_text(next(versions[kind]), encoding="utf-8")


def start(submissions: Path, name: str, out: Path, jobs: int) -> psutil.Popen:
    """Start `seglib grade`."""
    line = [sys.executable, "-m", "seglib.cli", "grade", str(submissions), "-a", name]
    line += ["--seed", "3", "--jobs", str(jobs), "--out", str(out)]
    return psutil.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL)


def saved(out: Path) -> dict[str, tuple[int, str]]:
    """The marks on the disk: when each was written, and its text."""
    paths = sorted((out / "marks").glob("*.json"))
    return {path.name: (path.stat().st_mtime_ns, path.read_text("utf-8")) for path in paths}


def measured(submissions: Path, name: str, out: Path, jobs: int) -> tuple[float, Usage]:
    """Mark a class, and return the wall seconds and what it used."""
    began, usage = time.monotonic(), Usage()
    with start(submissions, name, out, jobs) as process:
        while process.poll() is None:
            usage.look(process)
            time.sleep(EVERY)
        assert process.returncode == 0, f"seglib grade ended with {process.returncode}"
    return time.monotonic() - began, usage


def killed(submissions: Path, name: str, out: Path, jobs: int, after: int) -> int:
    """Mark a class until `after` marks are saved, then `kill -9`; return how many were saved."""
    with start(submissions, name, out, jobs) as process:
        while len(list((out / "marks").glob("*.json"))) < after:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        below = process.children(recursive=True)
        process.send_signal(signal.SIGKILL)
    _, left = psutil.wait_procs(below, timeout=60)
    assert not left, f"processes of the killed run are left: {left}"
    return len(saved(out))


def main() -> None:
    """Print the costs, and what a resumed run had left to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--assignment", default="10")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-kill", action="store_true", help="only the first run")
    options = parser.parse_args()
    (name,) = assignment_names([options.assignment])
    with tempfile.TemporaryDirectory() as temporary:
        submissions, whole, parts = (Path(temporary, each) for each in ("class", "whole", "parts"))
        make_class(submissions, name, options.count)
        print(f"{options.count} submissions of {name}, {options.jobs} at a time;", end=" ")
        print(f"load {os.getloadavg()[0]:.1f} before")
        seconds, usage = measured(submissions, name, whole, options.jobs)
        print(f"wall {seconds:.0f} s, {seconds / options.count:.2f} s per submission;", end=" ")
        print(f"load {os.getloadavg()[0]:.1f} after")
        shares = usage.by_part()
        for part, used in sorted(shares.items()):
            print(f"  CPU of {part}: {used / options.count:.2f} s per submission")
        own = shares.get(PARTS["ipykernel"], 0.0)
        beyond = (sum(shares.values()) - own) / options.count
        print(f"  CPU beyond the students' own: {beyond:.2f} s per submission")
        print(f"  private memory: {usage.memory / 2**20:.0f} MiB together", end=", ")
        print(f"{usage.single / 2**20:.0f} MiB in one process at the most")
        marks = saved(whole)
        earned = [json.loads(text)["marks"]["tasks"] for _, text in marks.values()]
        print(
            f"  {len(marks)} marks, {sum(t['earned'] for tasks in earned for t in tasks):g} points"
        )
        if not options.no_kill:
            show_resuming(submissions, name, parts, options.jobs, marks)


def show_resuming(
    submissions: Path, name: str, out: Path, jobs: int, wanted: dict[str, tuple[int, str]]
) -> None:
    """Kill a second run in the middle, resume it, and compare its marks with the first run's."""
    count = killed(submissions, name, out, jobs, after=len(wanted) // 2)
    before = saved(out)
    measured(submissions, name, out, jobs)
    after = saved(out)
    again = [each for each in before if after.get(each) != before[each]]
    differ = [each for each in wanted if wanted[each][1] != after.get(each, (0, ""))[1]]
    rows = (out / "marks.csv").read_text("utf-8").splitlines()[1:]
    names = {row.split(",")[0] for row in rows}
    print(
        f"killed after {count} marks, and resumed: {len(after)} of {len(wanted)} marks are there,"
    )
    print(f"  {len(again)} were marked again, {len(differ)} differ from the uninterrupted run's,")
    print(f"  {len(rows)} rows of {len(names)} students in marks.csv")
    assert not again
    assert not differ
    assert len(rows) == len(names) == len(wanted)


if __name__ == "__main__":
    main()
