"""seglib.nn's layers: torch.nn's names, numbers and state; every body runs through them."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from seglib import SeglibError, use
from seglib import nn as snn
from tests.parity import assert_same

PAIRS = [
    (snn.Conv2d, nn.Conv2d, (4, 6, 3), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
    (snn.Conv2d, nn.Conv2d, (4, 6, (1, 3)), {"bias": False}),
    (
        snn.ConvTranspose2d,
        nn.ConvTranspose2d,
        (4, 6, 4),
        {"stride": 3, "padding": 1, "output_padding": 2},
    ),
    (snn.MaxPool2d, nn.MaxPool2d, (3, 2, 1), {}),
    (snn.MaxPool2d, nn.MaxPool2d, (2,), {"ceil_mode": True}),
    (snn.BatchNorm2d, nn.BatchNorm2d, (4,), {}),
    (snn.BatchNorm2d, nn.BatchNorm2d, (4,), {"momentum": None}),
    (snn.BatchNorm2d, nn.BatchNorm2d, (4,), {"affine": False, "track_running_stats": False}),
]


@pytest.mark.parametrize("style", ["naive", "scratch", "native"])
@pytest.mark.parametrize(("ours", "theirs", "args", "options"), PAIRS)
def test_layers_equal_torch_nn(
    style: str, ours: type[nn.Module], theirs: type[nn.Module], args: tuple, options: dict
) -> None:
    torch.manual_seed(0)
    reference = theirs(*args, **options).double()
    layer = ours(*args, **options).double()
    layer.load_state_dict(reference.state_dict())
    assert list(layer.state_dict()) == list(reference.state_dict())
    x = torch.randn(2, 4, 7, 6, dtype=torch.float64)
    with use(style):
        for module in (layer, reference):
            module.train()
        for _ in range(2):  # the second call sees moved running statistics
            assert_same(layer(x), reference(x))
        for name, value in reference.state_dict().items():
            assert_same(layer.state_dict()[name], value)
        assert_same(layer.eval()(x), reference.eval()(x))


def test_output_size_chooses_the_output_padding() -> None:
    x = torch.randn(1, 2, 4, 5)
    layer = snn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    assert layer(x).shape[-2:] == (7, 9)
    assert layer(x, [8, 10]).shape[-2:] == (8, 10)


def test_frozen_batch_norm_equals_torchvision() -> None:
    trained = nn.BatchNorm2d(3).double()
    trained(torch.randn(4, 3, 5, 5, dtype=torch.float64))  # counts one batch
    frozen, reference = snn.FrozenBatchNorm2d(3), torchvision.ops.FrozenBatchNorm2d(3)
    for module in (frozen, reference):
        module.double().load_state_dict(trained.state_dict())
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    assert_same(frozen.train()(x), reference(x))
    assert not list(frozen.parameters())
    assert list(frozen.state_dict()) == list(reference.state_dict())
    for name, value in frozen.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding_mode": "reflect"}], ids=str)
def test_conv2d_refuses_what_the_primitive_lacks(options: dict[str, str]) -> None:
    layer = snn.Conv2d(1, 1, 3, **options)
    with pytest.raises(SeglibError, match="padding"):
        layer(torch.zeros(1, 1, 5, 5))


def test_a_students_function_runs_inside_a_layer() -> None:
    seen = []

    def conv2d(x: Tensor, weight: Tensor, *args: object) -> Tensor:
        seen.append(weight.shape)
        return nn.functional.conv2d(x, weight, *args)  # type: ignore[arg-type]

    net = nn.Sequential(snn.Conv2d(3, 4, 3), snn.Conv2d(4, 5, 1))
    with use(conv2d=conv2d):
        net(torch.zeros(1, 3, 5, 5))
    net(torch.zeros(1, 3, 5, 5))
    assert seen == [(4, 3, 3, 3), (5, 4, 1, 1)]
