"""VGG against torchvision, its geometry, and its classifier turned into convolutions."""

import pytest
import torch
import torchvision
from torch import nn

from seglib import SeglibError
from seglib.nn.vgg import VGG, convolutionalize, vgg16
from seglib.ops.grid import Grid, add_aligned
from tests.modelling import randomize_statistics

TINY = ((2,), (3,), (4, 4), (5,), (6,))
# Where torchvision's vgg16 keeps its pools, and its vgg16_bn.
POOLS = {"vgg16": (16, 23, 30), "vgg16_bn": (23, 33, 43)}


@pytest.mark.parametrize("name", POOLS)
def test_backbone_equals_torchvision(name: str) -> None:
    torch.manual_seed(0)
    build = getattr(torchvision.models, name)
    with torch.device("meta"):  # no need to draw 120 million classifier weights
        theirs = build(weights=None)
    theirs = theirs.features.to_empty(device="cpu")
    for module in theirs.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.reset_parameters()
    theirs = randomize_statistics(theirs).double().eval()
    ours = vgg16(norm="batch" if name == "vgg16_bn" else "none").double().eval()
    ours.features.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(1, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        pooled = ours(x)
        for index, layer in enumerate(theirs):
            x = layer(x)
            if index in POOLS[name]:
                actual = pooled[POOLS[name].index(index)]
                torch.testing.assert_close(actual, x, rtol=1e-8, atol=1e-12)
    assert [p.shape[1] for p in pooled] == [256, 512, 512]


def test_padding_100_and_pools_rounded_up_give_the_published_sizes() -> None:
    backbone = VGG(TINY, first_padding=100, ceil_mode=True)
    sizes = [tuple(p.shape[-2:]) for p in backbone(torch.zeros(1, 3, 500, 333))]
    # 500 + 2 * 100 - 2 = 698 -> 349, 175, 88, 44, 22; 333 -> 531 -> 266, 133, 67, 34, 17
    assert sizes == [(88, 67), (44, 34), (22, 17)]


@pytest.mark.parametrize("size", [(1, 1), (7, 33), (64, 65)])
def test_any_size_pools_up_to_the_ceiling(size: tuple[int, int]) -> None:
    pooled = VGG(TINY, ceil_mode=True)(torch.zeros(1, 3, *size))
    for features, stride in zip(pooled, (8, 16, 32), strict=True):
        assert tuple(features.shape[-2:]) == tuple(-(-side // stride) for side in size)


def test_receptive_field_of_vgg16_is_the_known_one() -> None:
    pool3, pool4, pool5 = vgg16().grids
    assert [g.field for g in (pool3, pool4, pool5)] == [44, 100, 212]
    assert pool5.convolved(7).field == 404  # fc6, as the FCN paper's table 1 has it
    assert [g.origin for g in (pool3, pool4, pool5)] == [3.5, 7.5, 15.5]


def test_a_cell_depends_on_its_receptive_field_and_on_nothing_else() -> None:
    backbone = VGG(((1,), (1,), (1,), (1,), (1,)))
    for parameter in backbone.parameters():
        nn.init.ones_(parameter)
    image = torch.rand(1, 3, 160, 160, requires_grad=True)
    backbone(image).pool4[0, 0, 5, 5].backward()
    grid = VGG(((1,), (1,), (1,), (1,), (1,))).grids[1]
    rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    centre = grid.origin + 5 * grid.stride
    # Max pooling passes one value on, so the touched rows lie inside the field, around its centre.
    assert centre - grid.field / 2 <= rows.min()
    assert rows.max() <= centre + grid.field / 2
    assert rows.min() < centre < rows.max()


def test_grid_through_a_transposed_convolution_and_back() -> None:
    grid = Grid().convolved(4, stride=2, padding=1)
    assert (grid.stride, grid.origin) == (2, 0.5)
    assert grid.transposed(4, 2, padding=1).origin == Grid().origin
    assert grid.transposed(4, 2, padding=1).stride == 1
    with pytest.raises(SeglibError, match="do not coincide"):
        grid.offset_to(Grid())


def test_add_aligned_crops_whichever_map_starts_earlier() -> None:
    late, early = torch.zeros(1, 1, 2, 2), torch.arange(16.0).view(1, 1, 4, 4)
    late_grid, early_grid = Grid(stride=2, origin=3), Grid(stride=2, origin=1)
    for a, b in (
        ((late, late_grid), (early, early_grid)),
        ((early, early_grid), (late, late_grid)),
    ):
        total, grid = add_aligned(*a, *b)
        assert grid == late_grid
        assert total.flatten().tolist() == [5, 6, 9, 10]


def test_convolutionalized_classifier_equals_the_linear_one_and_slides() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(5 * 3 * 3, 4).double()
    conv = convolutionalize(linear, 3)
    assert (conv.in_channels, conv.out_channels, conv.kernel_size) == (5, 4, (3, 3))
    features = torch.randn(2, 5, 4, 6, dtype=torch.float64)
    scores = conv(features)
    assert scores.shape == (2, 4, 2, 4)
    for row in range(2):
        for col in range(4):
            window = features[:, :, row : row + 3, col : col + 3].flatten(1)
            torch.testing.assert_close(scores[:, :, row, col], linear(window))


def test_convolutionalize_refuses_a_layer_of_another_map() -> None:
    with pytest.raises(SeglibError, match="7 x 7"):
        convolutionalize(nn.Linear(100, 10), 7)
    assert convolutionalize(nn.Linear(6, 2, bias=False)).bias is None


def test_five_stages_are_required() -> None:
    with pytest.raises(SeglibError, match="5 stages"):
        VGG(((8,), (8,)))
