"""Checks are run case by case."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from seglib.grading.cases import NOT_REACHED, NOT_WRITTEN, run_cell
from seglib.grading.marks import TaskMark
from seglib.grading.scoring import fill_in

CELL = """
got = f(3)
assert got == 3, f"f(3) is 3, yours is {got}"
assert got > 0, "positive"
for n in range(4):
    got = f(n)
    assert got == n, f"f({n}) is {n}"
### BEGIN HIDDEN TESTS
for seed in range(3):
    torch.manual_seed(seed)
    n = int(torch.randint(100, 1000, ()))
    for sign in (1, -1):
        assert f(sign * n) == sign * n, f"secret {n}"
### END HIDDEN TESTS
print("done")
"""


def cases_of(function, cell=CELL, fresh=lambda seed: seed):
    return run_cell(cell, {"torch": torch, "f": function}, fresh)


def counts(cases):
    return [sum(c.passed for c in cases if c.hidden is h) for h in (False, True)]


def test_the_right_function_passes_every_case():
    cases = cases_of(lambda n: n)
    assert len(cases) == 2 + 4 + 6
    assert all(case.passed for case in cases)


def test_one_failure_does_not_hide_the_next():
    cases = cases_of(abs)
    assert counts(cases) == [6, 3]
    assert len(cases) == 12


def test_what_depends_on_a_failure_fails():
    def broken(n):
        raise NotImplementedError

    cases = cases_of(broken)
    assert counts(cases) == [0, 0]
    reasons = [case.reason for case in cases]
    assert reasons[0].startswith("it is not written yet")
    assert reasons[1:3] == [NOT_REACHED] * 2


@pytest.mark.parametrize("hidden", [False, True])
def test_advice_on_an_error_is_not_given_on_a_function_that_is_not_written(hidden):
    def broken(n):
        raise NotImplementedError

    cell = """
try:
    f(1)
except RuntimeError as error:
    raise AssertionError(f"f stops with: {error}") from error
"""
    (case,) = run_cell(cell, {"f": broken}, lambda seed: seed, all_hidden=hidden)
    assert case.reason == case.shown == NOT_WRITTEN


def test_reasons_for_students_contain_no_hidden_values():
    cases = cases_of(lambda n: 3)
    hidden = [case for case in cases if case.hidden]
    assert all("secret" in case.reason and "secret" not in case.shown for case in hidden)


def test_hidden_seeds_are_fresh_and_visible_ones_as_written():
    seen = []
    cell = (
        "torch.manual_seed(1)\n### BEGIN HIDDEN TESTS\ntorch.manual_seed(2)\n### END HIDDEN TESTS"
    )
    fake = SimpleNamespace(manual_seed=seen.append)
    run_cell(cell, {"torch": fake}, lambda seed: seed + 100)
    run_cell(cell, {"torch": fake}, lambda seed: seed + 100, all_hidden=True)
    assert seen == [1, 102, 101, 102]


@pytest.mark.parametrize(
    ("function", "earned"),
    [
        (lambda n: n, 4.0),
        (abs, 2.0),  # all visible cases, half of the hidden ones
        ({3: 3, 0: 0, 1: 1, 2: 2}.__getitem__, 0.0),  # the examples only
        (lambda n: None, 0.0),
    ],
)
def test_points_follow_the_smaller_share(function, earned):
    task = TaskMark("f-checks", "Task 1", 4)
    fill_in(task, cases_of(function))
    assert task.earned == earned
    assert bool(task.reasons) == (earned < 4)


def test_a_round_does_not_pass_if_a_loop_in_it_failed():
    cell = """
for a in range(2):
    for b in range(3):
        assert f(b), "no"
    assert True, "trivial"
"""
    assert counts(cases_of(lambda n: False, cell)) == [0, 0]
    assert counts(cases_of(lambda n: True, cell)) == [8, 0]
