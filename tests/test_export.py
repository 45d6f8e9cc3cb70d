"""FCN's raw forward compiles in one graph and exports to ONNX, on native and on scratch bodies."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seglib
from seglib.models import build_model
from seglib.models.fcn import FCN
from tests.modelling import randomize_zeros, some_categories

onnxruntime = pytest.importorskip("onnxruntime")
SMALL = {
    "8s": {"stages": ((4,), (6,), (8, 8), (10,), (12,)), "head_width": 12},
    "dilated": {"width": 4, "blocks": (1, 1, 1, 1)},
}


class Raw(nn.Module):
    """What is exported: one tensor in, one tensor out."""

    def __init__(self, model: FCN) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.raw(x)


def small(variant: str) -> Raw:
    torch.manual_seed(0)
    fcn = build_model("fcn", some_categories(), variant=variant, **SMALL[variant])
    return Raw(randomize_zeros(fcn)).eval()


# Tracing is what can fail; aot_eager goes through all that inductor would, without a compiler,
# and takes half a minute for the thousands of slices of the scratch bodies.
@pytest.mark.parametrize(("style", "backend"), [("native", "aot_eager"), ("scratch", "eager")])
def test_compiles_without_a_graph_break(style: str, backend: str) -> None:
    model, x = small("8s"), torch.randn(2, 3, 48, 40)
    torch.compiler.reset()
    with torch.no_grad(), seglib.use(style):
        expected = model(x)
        compiled = torch.compile(model, fullgraph=True, backend=backend)
        torch.testing.assert_close(compiled(x), expected, rtol=1e-4, atol=1e-5)


def test_training_compiles_too() -> None:
    model, x = small("8s").train(), torch.randn(2, 3, 48, 40)
    model.model.network.dropout.p = 0.0
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    expected = torch.autograd.grad(model(x).square().mean(), model.model.network.fc6.weight)
    actual = torch.autograd.grad(compiled(x).square().mean(), model.model.network.fc6.weight)
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("variant", "style"),
    [("8s", "native"), pytest.param("dilated", "scratch", marks=pytest.mark.slow)],
)
def test_onnx_gives_the_same_logits(variant: str, style: str) -> None:
    model, x = small(variant), torch.randn(1, 3, 48, 40)
    with torch.no_grad(), seglib.use(style), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its dependencies
        expected = model(x).numpy()
        program = torch.onnx.export(model, (x,), dynamo=True, verbose=False)
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    (actual,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert actual.shape == (1, 4, 48, 40)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-5)
