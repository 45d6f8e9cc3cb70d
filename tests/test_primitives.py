"""The swap registry: nesting, restoring, refusing; compilers and exporters see the active body."""

from __future__ import annotations

import asyncio
import contextvars
import io
import shutil
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import seglib
from seglib import SeglibError, ops, primitives
from seglib import nn as snn
from seglib.primitives import STYLES, primitive, use
from tests.helpers import HANG_SECONDS
from tests.parity import assert_same


@pytest.fixture(autouse=True)
def registry_is_restored():
    yield
    assert all(primitives.active(n) is b["native"] for n, b in primitives._BODIES.items())


def fake_nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    return torch.tensor([7])


def test_the_primitives_of_the_course_are_declared() -> None:
    expected = "conv2d conv_transpose2d max_pool2d batch_norm bilinear_kernel box_iou mask_iou nms"
    assert {*expected.split(), "cross_entropy"} <= set(primitives.names())


def test_native_is_the_default_and_bodies_have_names() -> None:
    for name in primitives.names():
        function = getattr(ops, name, None)
        if function is not None:
            assert primitives.active(name) is function.native
            assert function.__name__ == name
            assert function.__doc__
            assert all(callable(getattr(function, style)) for style in STYLES)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_switches_every_primitive(style: str) -> None:
    with use(style):
        for name in primitives.names():
            assert primitives.active(name) is primitives._BODIES[name][style]


def test_nesting() -> None:
    with use("scratch"):
        with use("naive", nms=fake_nms):
            assert primitives.active("conv2d") is ops.conv2d.naive
            assert ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).tolist() == [7]
            with use(nms=ops.nms.native):
                assert primitives.active("nms") is ops.nms.native
            assert ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).tolist() == [7]
        assert primitives.active("conv2d") is ops.conv2d.scratch
        assert primitives.active("nms") is ops.nms.scratch
    assert primitives.active("nms") is ops.nms.native


def test_an_error_in_the_block_undoes_the_swap() -> None:
    with pytest.raises(ZeroDivisionError), use("naive", nms=fake_nms):
        raise ZeroDivisionError
    assert primitives.active("nms") is ops.nms.native
    assert primitives.active("conv2d") is ops.conv2d.native


def test_a_replacement_that_failed_once_can_be_called_again() -> None:
    failures = [ValueError("first call")]

    def flaky(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
        if failures:
            raise failures.pop()
        return torch.tensor([3])

    with use(nms=flaky):
        with pytest.raises(ValueError, match="first call"):
            ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
        assert ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).tolist() == [3]


@pytest.mark.parametrize(
    ("style", "replacements", "message"),
    [
        ("fast", {}, "unknown style 'fast': choose one of naive, scratch, native"),
        (None, {"convd": fake_nms}, "no primitive is called 'convd': choose one of .*conv2d"),
        (None, {"nms": 3}, r"use\(nms=…\) needs a function, not int"),
        ("scratch", {"nms": None}, "needs a function, not NoneType"),
    ],
)
def test_mistakes_are_named_and_change_nothing(
    style: str | None, replacements: dict[str, object], message: str
) -> None:
    with pytest.raises(SeglibError, match=message), use(style, **replacements):
        pytest.fail("the block must not run")
    assert primitives.active("conv2d") is ops.conv2d.native


def test_a_replacement_that_calls_itself_gets_an_error_not_recursion() -> None:
    def lazy(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
        return ops.nms(boxes, scores, iou_threshold)

    arguments = (torch.zeros(1, 4), torch.zeros(1), 0.5)
    for replacement in (lazy, ops.nms):
        with use(nms=replacement):
            for _ in range(2):
                with pytest.raises(SeglibError, match="your nms calls seglib's nms"):
                    ops.nms(*arguments)


def test_a_replacement_may_build_on_a_named_body_and_on_others() -> None:
    def halved(x: Tensor, weight: Tensor, *args: object) -> Tensor:
        return ops.max_pool2d(ops.conv2d.scratch(x, weight, *args) / 2, 1)

    x, weight = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)
    with use(conv2d=halved):
        assert ops.conv2d(x, weight).item() == 4.5


def test_a_primitive_declared_inside_a_block_persists_and_cannot_be_declared_twice() -> None:
    try:
        with use("scratch"):

            @primitive()
            def declared_late(x: int) -> int:
                """Twice x."""
                return 2 * x

        assert declared_late(4) == 8
        assert declared_late.naive is declared_late.scratch is declared_late.native
        with pytest.raises(ValueError, match="declared twice"):
            primitive()(declared_late.native)
    finally:
        primitives._BODIES.pop("declared_late")


def test_blocks_of_two_threads_do_not_see_each_other() -> None:
    inside, seen = threading.Barrier(2, timeout=HANG_SECONDS), {}

    def run(style: str) -> None:
        with use(style):  # type: ignore[arg-type]
            inside.wait()  # both blocks are open
            seen[style] = primitives.active("conv2d")
            inside.wait()
        seen[f"after {style}"] = primitives.active("conv2d")

    threads = [threading.Thread(target=run, args=(style,)) for style in ("naive", "scratch")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {
        "naive": ops.conv2d.naive,
        "scratch": ops.conv2d.scratch,
        "after naive": ops.conv2d.native,
        "after scratch": ops.conv2d.native,
    }
    assert primitives.active("conv2d") is ops.conv2d.native


def test_blocks_of_interleaved_tasks_do_not_see_each_other() -> None:
    async def run(style: str) -> tuple[object, object]:
        with use(style):  # type: ignore[arg-type]
            await asyncio.sleep(0)  # the other task enters its block here
            inner = primitives.active("conv2d")
        await asyncio.sleep(0)
        return inner, primitives.active("conv2d")

    async def both() -> list[tuple[object, object]]:
        return await asyncio.gather(run("naive"), run("scratch"))

    native = ops.conv2d.native
    assert asyncio.run(both()) == [(ops.conv2d.naive, native), (ops.conv2d.scratch, native)]


def test_a_suspended_generator_leaves_nothing_behind() -> None:
    """Its block is closed after one that was opened later, and the other way round."""

    def generator() -> Iterator[None]:
        with use("naive"):
            yield

    suspended = generator()
    next(suspended)
    with use("scratch"):
        suspended.close()
        assert primitives.active("conv2d") is ops.conv2d.scratch
    assert primitives.active("conv2d") is ops.conv2d.native

    suspended = generator()
    next(suspended)
    with use("scratch"):
        pass
    assert primitives.active("conv2d") is ops.conv2d.naive
    suspended.close()
    assert primitives.active("conv2d") is ops.conv2d.native


def test_two_threads_may_be_inside_one_replacement() -> None:
    inside = threading.Barrier(2, timeout=HANG_SECONDS)

    def patient(*args: object, **kwargs: object) -> Tensor:
        inside.wait()  # goes on only when both threads are in here
        return ops.conv2d.native(*args, **kwargs)  # type: ignore[arg-type]

    x, weight = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 1, 1)
    with use(conv2d=patient), ThreadPoolExecutor(2) as pool:
        context = [contextvars.copy_context() for _ in range(2)]
        calls = [pool.submit(one.run, ops.conv2d, x, weight) for one in context]
        assert all(call.result().equal(x) for call in calls)


class Net(nn.Module):
    """Every kind of layer, one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            snn.Conv2d(3, 8, 3, padding=1, bias=False),
            snn.BatchNorm2d(8),
            nn.ReLU(),
            snn.MaxPool2d(3, 2, 1, ceil_mode=True),
            snn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2),
            snn.FrozenBatchNorm2d(8),
            snn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    torch.compiler.reset()
    return Net().eval()


def test_compiled_functions_follow_a_swap(net: Net) -> None:
    def doubled(x: Tensor, weight: Tensor, *args: object) -> Tensor:
        return 2 * F.conv2d(x, weight, *args)  # type: ignore[arg-type]

    x = torch.randn(1, 3, 10, 12)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    plain = net(x)
    assert_same(compiled(x), plain, 1e-5)
    with use(conv2d=doubled):
        assert_same(compiled(x), net(x), 1e-5)
        assert not torch.allclose(compiled(x), plain)
    with use("scratch"):
        assert_same(compiled(x), plain, 1e-5)
    assert_same(compiled(x), plain, 1e-5)


@pytest.mark.parametrize("style", ["native", "scratch"])
def test_the_gradient_compiles_in_one_graph(net: Net, style: str) -> None:
    x = torch.randn(2, 3, 10, 12)
    net.train()
    with use(style):
        net(x).square().sum().backward()
        expected = [parameter.grad for parameter in net.parameters()]
        net.zero_grad()
        compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
        compiled(x).square().sum().backward()
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        assert_same(parameter.grad, gradient, 1e-3)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.parametrize("style", ["native", "scratch"])
def test_inductor_gives_the_same_numbers(net: Net, style: str) -> None:
    x = torch.randn(1, 3, 10, 12)
    with use(style), torch.no_grad():
        compiled = torch.compile(net, fullgraph=True)
        assert_same(compiled(x), net(x), 1e-4)


# FCN's own export covers the scratch bodies in the quick run.
@pytest.mark.parametrize("style", ["native", pytest.param("scratch", marks=pytest.mark.slow)])
def test_onnx_export_gives_the_same_numbers(net: Net, style: str) -> None:
    x = torch.randn(1, 3, 10, 12)
    with seglib.use(style), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(net, (x,), dynamo=True, verbose=False)
        expected = net(x)
    file = io.BytesIO()
    assert program is not None
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    (actual,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert_same(torch.from_numpy(actual), expected, 1e-4)
