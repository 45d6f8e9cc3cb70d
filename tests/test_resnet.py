"""ResNet against torchvision, layer by layer, and its own options."""

import pytest
import torch
import torchvision
from torch import nn

from seglib import SeglibError
from seglib.nn.layers import FrozenBatchNorm2d
from seglib.nn.resnet import BasicBlock, Bottleneck, ResNet, resnet18, resnet34, resnet50
from tests.modelling import randomize_statistics

STAGES = ("layer1", "layer2", "layer3", "layer4")
OURS = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}


def record(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The output of the stem and of every block, by name."""
    outputs: dict[str, torch.Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
        for name, module in model.named_modules()
        if name == "maxpool" or (name.count(".") == 1 and name.startswith("layer"))
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", OURS)
def test_every_block_equals_torchvision(name: str, training: bool) -> None:
    torch.manual_seed(0)
    theirs = randomize_statistics(torchvision.models.get_model(name, weights=None)).double()
    ours = OURS[name]().double()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    ours.load_state_dict(state, strict=True)
    x = torch.randn(2, 3, 64, 48, dtype=torch.float64)

    expected, actual = record(theirs.train(training), x), record(ours.train(training), x)

    assert len(expected) == 1 + sum(len(getattr(theirs, stage)) for stage in STAGES)
    assert actual.keys() == expected.keys()
    for block, value in expected.items():
        torch.testing.assert_close(actual[block], value, rtol=1e-8, atol=1e-10, msg=block)


@pytest.mark.parametrize("dilate", [(False, False, True), (False, True, True), (True, True, True)])
def test_dilated_stages_equal_torchvision(dilate: tuple[bool, ...]) -> None:
    torch.manual_seed(1)
    theirs = torchvision.models.resnet50(
        weights=None, replace_stride_with_dilation=list(dilate)
    ).eval()
    ours = resnet50(replace_stride_with_dilation=dilate).eval()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    ours.load_state_dict(state, strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        features = ours(x)
        expected = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        for stage, actual in zip(STAGES, features, strict=True):
            expected = getattr(theirs, stage)(expected)
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert ours.strides == tuple(64 // f.shape[-1] for f in features)


@pytest.mark.parametrize(("stem", "first"), [("imagenet", 4), ("half", 2), ("small", 1)])
@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_channels_and_strides_describe_the_output(block: type, stem: str, first: int) -> None:
    network = ResNet(block, (1, 1, 1, 1), width=8, stem=stem)
    features = network(torch.randn(2, 3, 64, 96))
    assert [f.shape[1] for f in features] == list(network.channels)
    sizes = [(64 // stride, 96 // stride) for stride in network.strides]
    assert [tuple(f.shape[-2:]) for f in features] == sizes
    assert network.strides == (first, 2 * first, 4 * first, 8 * first)


def test_frozen_norm_loads_batch_norm_weights_and_does_not_change_in_training() -> None:
    batch = randomize_statistics(ResNet(BasicBlock, (1, 1, 1, 1), width=8)).eval()
    frozen = ResNet(BasicBlock, (1, 1, 1, 1), width=8, norm="frozen")
    frozen.load_state_dict(batch.state_dict(), strict=True)
    assert sum(isinstance(m, FrozenBatchNorm2d) for m in frozen.modules()) == 12
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(frozen.train()(x).c5, batch(x).c5)
    torch.testing.assert_close(frozen.train()(x).c5, frozen(x).c5, rtol=0, atol=0)


def test_group_norm_does_not_see_the_batch() -> None:
    network = ResNet(BasicBlock, (1, 1, 1, 1), width=8, norm="group").train().double()
    # float64: where a group has few pixels, normalisation enlarges rounding.
    x = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(network(x).c5[:1], network(x[:1]).c5)


def test_a_block_with_a_zero_branch_passes_its_input_on() -> None:
    block = BasicBlock(4, 4).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 4, 5, 5)
    assert block.downsample is None
    torch.testing.assert_close(block(x), x)


def test_wrong_options_are_named() -> None:
    with pytest.raises(SeglibError, match="4 stages"):
        ResNet(BasicBlock, (2, 2, 2))
    with pytest.raises(SeglibError, match="unknown norm 'layer'"):
        ResNet(BasicBlock, (1, 1, 1, 1), norm="layer")  # type: ignore[arg-type]
