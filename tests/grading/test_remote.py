"""Calls of a student's functions travel there and back: arguments, changes, gradients, errors."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
import torch
from torch import nn

from seglib.grading.forbidden import expand
from seglib.grading.protocol import Channel
from seglib.grading.remote import GoneError, RemoteFunction, Student, StudentError
from seglib.grading.serve import Server


@contextlib.contextmanager
def served(call_seconds=120.0, **functions):
    """A student with these functions, whose process is a thread."""
    here, there = socket.socketpair()
    server = Server(Channel(there), functions)

    def answer():
        with contextlib.suppress(EOFError, OSError):
            while True:
                server.answer()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield Student(here, call_seconds)
    finally:
        here.close()
        there.close()
        thread.join(5)


def test_a_call_returns_what_the_function_returns():
    with served(f=lambda x, *, k: (x * k, [k], None)) as student:
        doubled, items, nothing = RemoteFunction("f", lambda: student)(torch.ones(2), k=2)
    assert doubled.tolist() == [2, 2]
    assert items == [2]
    assert nothing is None


def test_changes_of_arguments_travel_back():
    def f(x, items, layer):
        x += 1
        items.append(3)
        with torch.no_grad():
            layer.weight.fill_(7)

    x, items, layer = torch.zeros(2), [1], nn.Linear(1, 1)
    with served(f=f) as student:
        student.call("f", (x, items, layer), {})
    assert x.tolist() == [1, 1]
    assert items == [1, 3]
    assert layer.weight.item() == 7


def test_arguments_stay_as_they_are_otherwise():
    x = torch.rand(3)
    before = x.clone()
    with served(f=lambda x: x * 2) as student:
        student.call("f", (x,), {})
    assert torch.equal(x, before)


def test_results_say_whether_they_require_a_gradient():
    head = lambda: torch.ones(2, requires_grad=True)  # noqa: E731
    with served(kept=lambda f: 2 * f(), cut=lambda f: 2 * f().detach()) as student:
        assert student.call("kept", (head,), {}).requires_grad
        assert not student.call("cut", (head,), {}).requires_grad
        with torch.no_grad():
            assert not student.call("kept", (head,), {}).requires_grad


def test_gradients_go_through_the_student():
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    w = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    with served(f=lambda x, w: (x * w, (x**2).sum())) as student:
        product, square = student.call("f", (x, w), {})
        got = torch.autograd.grad(product.sum() + 2 * square, (x, w))
        assert torch.autograd.gradcheck(lambda x, w: student.call("f", (x, w), {}), (x, w))
    assert got[0].tolist() == [3 + 4, 4 + 8]
    assert got[1].tolist() == [1, 2]


def test_the_mode_of_gradients_travels():
    x = torch.ones(2, requires_grad=True)
    with served(f=lambda x: x * 2) as student, torch.no_grad():
        assert not student.call("f", (x,), {}).requires_grad


def test_functions_among_the_arguments_are_called_here():
    thread = []

    def double(x):
        thread.append(threading.current_thread())
        return 2 * x

    with served(f=lambda x, g: g(x) + 1) as student:
        assert student.call("f", (torch.ones(1), double), {}).item() == 3
    assert thread == [threading.main_thread()]


def test_an_error_has_its_class_and_message():
    def f(kind):
        raise {"v": ValueError, "r": NotImplementedError}.get(kind, SystemExit)("so")

    with served(f=f) as student:
        for kind, expected in (("v", ValueError), ("r", NotImplementedError), ("", RuntimeError)):
            with pytest.raises(expected, match="so") as caught:
                student.call("f", (kind,), {})
            assert isinstance(caught.value, StudentError)
        with pytest.raises(NameError, match="'g' is not defined"):
            student.call("g", (), {})


def test_a_function_that_hangs_is_left():
    with served(call_seconds=0.2, f=lambda: time.sleep(3)) as student:
        with pytest.raises(GoneError, match="did not return within"):
            student.call("f", (), {})
        with pytest.raises(GoneError, match="did not return within"):
            student.call("f", (), {})


@pytest.mark.parametrize("value", [torch.zeros(20_000_000), [0] * 300_000])
def test_a_result_that_is_too_large_is_refused(value):
    with served(f=lambda: value) as student, pytest.raises((GoneError, StudentError)):
        student.call("f", (), {})


def test_calls_that_return_are_counted():
    with served(f=lambda x: 1 / x) as student:
        function = RemoteFunction("f", lambda: student)
        for x in (1, 0, 2):
            with contextlib.suppress(ZeroDivisionError):
                function(x)
    assert function.returned == 2


def test_random_numbers_are_the_same_each_time():
    with served(f=lambda: torch.rand(1)) as student:
        torch.manual_seed(3)
        assert student.call("f", (), {}) == student.call("f", (), {})


def test_groups_of_forbidden_functions():
    assert "torch.conv2d" in expand("convolution nms")
    assert "torchvision.ops.nms" in expand("convolution nms")
    assert expand("torch.unique") == ["torch.unique"]
