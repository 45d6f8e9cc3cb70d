"""FPN: against torchvision's, and by hand."""

from collections import OrderedDict

import pytest
import torch
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from seglib.nn.fpn import FPN, fpn_state_from_torchvision
from seglib.nn.resnet import resnet18

CHANNELS = (4, 6, 8, 10)


def maps(dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """Four maps with odd sizes, so that upsampling is not always by two exactly."""
    sizes = ((25, 19), (13, 10), (7, 5), (4, 3))
    return [torch.randn(2, c, *s, dtype=dtype) for c, s in zip(CHANNELS, sizes, strict=True)]


@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float64, 1e-8), (torch.float32, 1e-4)], ids=["float64", "float32"]
)
def test_every_level_equals_torchvision(dtype: torch.dtype, rtol: float) -> None:
    torch.manual_seed(0)
    theirs = FeaturePyramidNetwork(list(CHANNELS), 16, extra_blocks=LastLevelMaxPool()).to(dtype)
    ours = FPN(CHANNELS, width=16).to(dtype)
    ours.load_state_dict(fpn_state_from_torchvision(theirs.state_dict()), strict=True)
    features = maps(dtype)
    expected = theirs(OrderedDict((str(i), f) for i, f in enumerate(features)))
    actual = ours(features)
    assert len(actual) == 5
    for level, want in zip(actual, expected.values(), strict=True):
        torch.testing.assert_close(level, want, rtol=rtol, atol=rtol)


def test_gradients_reach_every_map_below_and_the_deepest_alone_feeds_the_top() -> None:
    features = [f.requires_grad_() for f in maps()]
    p2, *_, p6 = FPN(CHANNELS, width=8).double()(features)
    grads = torch.autograd.grad(p2.sum(), features, retain_graph=True)
    assert all(g.abs().sum() > 0 for g in grads)
    grads = torch.autograd.grad(p6.sum(), features, allow_unused=True)
    assert [g is not None for g in grads] == [False, False, False, True]


def test_p6_takes_every_second_value_of_p5() -> None:
    *_, p5, p6 = FPN(CHANNELS, width=8).double()(maps())
    torch.testing.assert_close(p6, p5[:, :, ::2, ::2], rtol=0, atol=0)


def test_the_top_down_path_adds_the_nearest_value_from_above() -> None:
    fpn = FPN((1, 1), width=1, pooled_level=False)
    for conv in (*fpn.lateral, *fpn.output):
        torch.nn.init.zeros_(conv.weight)
        conv.weight.data[0, 0, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = 1
    fine, coarse = torch.arange(4.0).view(1, 1, 2, 2), torch.full((1, 1, 1, 1), 10.0)
    p2, p3 = fpn([fine, coarse])
    assert p2.flatten().tolist() == [10, 11, 12, 13]
    assert p3.item() == 10


def test_fpn_on_a_resnet_has_one_width_everywhere() -> None:
    backbone = resnet18(width=8)
    pyramid = FPN(backbone.channels, width=32)(backbone(torch.randn(1, 3, 64, 64)))
    assert [tuple(p.shape[1:]) for p in pyramid] == [(32, s, s) for s in (16, 8, 4, 2, 1)]


def test_a_wrong_number_of_maps_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        FPN(CHANNELS).double()(maps()[:3])
