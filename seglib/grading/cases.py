"""Run a checks cell case by case: every assertion is a case, and no failure hides the next.

The cell runs in the grader's process, with the student's functions called elsewhere (see
`remote`). It was written to stop at its first failure, but here it continues: each statement that
asserts is a case, and so is each round of a loop that asserts. Statements that need a name which an
earlier failure left undefined fail as well. In the hidden part, seeds are replaced by fresh ones.
"""

from __future__ import annotations

import ast
import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from seglib.grading.remote import GoneError, StudentError

Names = dict[str, Any]
SEEDING = {"manual_seed", "default_rng", "seed", "Random"}
NOT_REACHED = "it was not reached, since a step before it failed"
NOT_WRITTEN = "it is not written yet: replace `raise NotImplementedError`"
CASES, FRESH = "_seglib_cases", "_seglib_fresh"  # names that the changed code uses


@dataclass(frozen=True)
class Case:
    """One case of a checks cell.

    Attributes:
        hidden: whether it is in the part that students do not see.
        passed: whether it passed.
        reason: why it did not pass; this may contain hidden values.
        shown: the reason in words that a student may read.
    """

    hidden: bool
    passed: bool
    reason: str = ""
    shown: str = ""


class Cases:
    """Collects the cases of one cell; the changed code opens its rounds."""

    def __init__(self) -> None:
        self.found: list[Case] = []
        self.hidden = False
        self._failures = 0
        self.lost: set[str] = set()  # names that failed statements would have defined

    def passed(self) -> None:
        """Record a case that passed."""
        self.found.append(Case(self.hidden, True))

    @contextlib.contextmanager
    def round(self, counts: bool) -> Iterator[None]:
        """Record the result of a round of a loop; an error in it does not stop the loop.

        Args:
            counts: whether the round asserts by itself, so that it can pass. It has not passed if
                a round of a loop within it failed.
        """
        before = self._failures
        try:
            yield
        except Exception as error:
            self.failed(error)
        else:
            if counts and self._failures == before:
                self.passed()

    def failed(self, error: Exception) -> None:
        """Record a case that failed, and why."""
        reason = self._reason(error)
        shown = self._shown(error) if self.hidden else reason
        self._failures += 1
        self.found.append(Case(self.hidden, False, reason, shown))

    def _reason(self, error: Exception) -> str:
        if _is_unwritten(error) or _is_unwritten(error.__cause__):
            return NOT_WRITTEN
        if isinstance(error, AssertionError):
            return str(error) or "an assertion failed"
        if isinstance(error, GoneError):
            return str(error)
        if isinstance(error, NameError) and getattr(error, "name", None) in self.lost:
            return NOT_REACHED
        kind = type(error).__name__
        if isinstance(error, StudentError):
            return f"your function stops with {kind}: {error}"
        return f"what your function returned cannot be used here ({kind}: {error})"

    def _shown(self, error: Exception) -> str:
        if isinstance(error, GoneError):
            return str(error)
        if isinstance(error, NotImplementedError) or _is_unwritten(error.__cause__):
            return self._reason(error)
        if isinstance(error, StudentError):
            return f"your function stops with {type(error).__name__}"
        return "the result is not the expected one"


def _is_unwritten(error: BaseException | None) -> bool:
    return isinstance(error, NotImplementedError) and not str(error)


def run_cell(
    source: str, names: Names, fresh: Callable[[int], int], *, all_hidden: bool = False
) -> list[Case]:
    """Run a checks cell.

    Args:
        source: its text, with the markers of the hidden part.
        names: what it may use, the student's functions among them; changed.
        fresh: replaces a seed of the hidden part.
        all_hidden: treat the visible part as hidden as well.

    Returns:
        its cases, in the order in which they ran.
    """
    cases = Cases()
    names |= {CASES: cases, FRESH: fresh}
    tree, hidden = ast.parse(source), _hidden_lines(source)
    for statement in tree.body:
        cases.hidden = all_hidden or statement.lineno in hidden
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _run(statement, names, cases)
    return cases.found


def _run(statement: ast.stmt, names: Names, cases: Cases) -> None:
    targets = _targets(statement)
    changed = ast.fix_missing_locations(_Rounds(cases.hidden).visit(statement))
    is_case = any(True for _ in _assertions(changed)) and not isinstance(changed, ast.For)
    try:
        exec(compile(ast.Module([changed], []), "checks", "exec"), names)
    except Exception as error:
        cases.failed(error)
        for name in targets:
            names.pop(name, None)
        cases.lost |= targets
    else:
        cases.lost -= targets
        if is_case:
            cases.passed()


def _hidden_lines(source: str) -> set[int]:
    inside, found = False, set()
    for number, line in enumerate(source.splitlines(), 1):
        if line.strip() == "### BEGIN HIDDEN TESTS":
            inside = True
        elif line.strip() == "### END HIDDEN TESTS":
            inside = False
        elif inside:
            found.add(number)
    return found


def _targets(statement: ast.stmt) -> set[str]:
    """The names that a statement assigns."""
    names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}


def _assertions(node: ast.AST) -> Iterator[ast.Assert]:
    """The assertions that run with this node, without those in functions and loops inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.For | ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Assert):
            yield child
        yield from _assertions(child)
    if isinstance(node, ast.Assert):
        yield node


class _Rounds(ast.NodeTransformer):
    """Turns each round of a loop with assertions into a case, and replaces hidden seeds."""

    def __init__(self, hidden: bool) -> None:
        self._hidden = hidden

    def visit_For(self, node: ast.For) -> ast.For:
        """Catch the error that stops a round, so that the next one runs."""
        asserts = [n for n in ast.walk(node) if isinstance(n, ast.Assert)]
        if asserts:
            counts = any(True for _ in _assertions(node))
            block = ast.parse(f"with {CASES}.round({counts}):\n  pass").body[0]
            assert isinstance(block, ast.With)
            self.generic_visit(node)
            block.body, node.body = node.body, [block]
            return node
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Leave functions unchanged: their errors belong to the caller."""
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Replace a hidden seed by a fresh one."""
        self.generic_visit(node)
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        if self._hidden and name in SEEDING and len(node.args) == 1:
            node.args = [ast.Call(ast.Name(FRESH, ast.Load()), node.args, [])]
        return node
