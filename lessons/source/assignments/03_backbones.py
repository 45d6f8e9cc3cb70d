# %% [markdown] id="intro"
# # Assignment 03: From CNN to backbone and pyramid
#
# Four tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 03](../03_backbones.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All tensors in the checks, including the hidden
# ones, are float32.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. What a cell sees, and where | 3 | 2/5 | 5/5 | 15 |
# | 2. Batch norm, inside a real network | 3 | 3/5 | 5/5 | 20 |
# | 3. A residual block, and the pyramid | 4 | 3/5 | 5/5 | 25 |
# | 4. Batch norm folded away | 3 | 4/5 | 3/5 | 20 |

# %% id="imports" nbgrader="locked"
import torch
from torch import nn
from torch.nn import functional as F

import seglib

# %% [markdown] id="task-field"
# ## Task 1: what a cell sees, and where
#
# *3 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# The lesson followed two numbers through the layers, field and jump. This task goes beyond it with
# a third one: **start**, the first pixel that cell 0 sees, counted along one axis. For the image
# itself, field and jump are 1 and start is 0. Padding moves the first window to the left by
# `padding` cells of the layer's *input*, which are one jump of the input apart. So start can become
# negative: then cell 0 also sees padding.
#
# Cell $i$ then sees the pixels from `start + i * jump` up to, but not including, `start + i * jump
# + field`.
#
# Example by hand: two 3 × 3 layers, both with stride 2 and padding 1, no dilation. After the first:
# field 3, jump 2, start −1. After the second: field 3 + 2·2 = 7, jump 4, start −1 − 1·2 = −3.
#
# <details><summary>First hint</summary>
# Go through the layers in a loop with three numbers. Each layer changes field and start by steps of
# its <em>input</em>, so use the jump from before this layer.
# </details>
# <details><summary>Second hint</summary>
# A kernel reaches dilation · (kernel − 1) steps beyond its first cell, and each step is worth one
# jump. The stride multiplies the jump only after field and start have been updated.
# </details>

# %% id="field" nbgrader="solution"
def receptive_field(layers):
    """Follow one axis of an image through a stack of convolutions or poolings.

    layers: list of (kernel, stride, padding, dilation), ints, the first layer first.
    Returns (field, jump, start), ints, in pixels of the image.
    """
    ### BEGIN SOLUTION
    field, jump, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        field += dilation * (kernel - 1) * jump
        start -= padding * jump
        jump *= stride
    return field, jump, start
    ### END SOLUTION

# %% id="field-checks" nbgrader="checks" points=3
got = receptive_field([])
assert got is not None, "receptive_field returned None: is the `return` missing?"
assert len(got) == 3, f"return three numbers, (field, jump, start); yours is {got}"
assert tuple(got) == (1, 1, 0), f"without layers a cell is a pixel, (1, 1, 0); yours is {got}"
got = tuple(receptive_field([(3, 2, 1, 1)]))
assert got == (3, 2, -1), (
    f"one 3 × 3 layer, stride 2, padding 1: (field, jump, start) is (3, 2, -1), yours is {got}"
)
got = tuple(receptive_field([(3, 2, 1, 1)] * 2))
assert got[0] != 5, (
    "the field of two such layers is 7, yours is 5: a step of the second kernel is worth a jump of "
    "2 pixels"
)
assert got[0] != 11, (
    "the field of two such layers is 7, yours is 11: a layer's own stride counts only from the "
    "next layer on"
)
assert got[:2] == (7, 4), f"two such layers: field 7 and jump 4, yours are {got[0]} and {got[1]}"
assert got[2] == -3, (
    f"two such layers: start is -1 - 1·2 = -3, yours is {got[2]}: the second layer's padding "
    "counts cells of its input, which lie 2 pixels apart"
)
got = tuple(receptive_field([(2, 2, 0, 1), (3, 1, 2, 2)]))
assert got == (10, 2, -4), (
    "a 2 × 2 pooling with stride 2, then 3 × 3 with padding 2 and dilation 2: (10, 2, -4), yours "
    f"is {got}; take the layers in order, and dilation 2 doubles the reach, 2·(3 − 1) steps of 2 px"
)
### BEGIN HIDDEN TESTS
def seen_by(layers, cell, size=160):
    """First and last + 1 pixel with an influence on a cell, by gradients."""
    x = torch.rand(1, 1, 1, size, requires_grad=True)
    y = x
    for kernel, stride, padding, dilation in layers:
        weight = torch.ones(1, 1, 1, kernel)
        y = F.conv2d(y, weight, None, (1, stride), (0, padding), (1, dilation))
    y[0, 0, 0, cell].backward()
    touched = (x.grad[0, 0, 0] != 0).nonzero()[:, 0]
    return int(touched[0]), int(touched[-1]) + 1


for layers in (
    [(7, 2, 3, 1), (3, 2, 1, 1), (3, 1, 1, 1), (3, 2, 1, 1)],
    [(3, 1, 1, 1), (2, 2, 0, 1)] * 3,
    [(3, 1, 4, 4), (5, 3, 2, 1), (3, 1, 0, 2)],
    [(4, 2, 1, 1), (3, 1, 1, 1), (3, 1, 3, 3), (1, 2, 0, 1)],
):
    field, jump, start = receptive_field(layers)
    cell = -(start // jump) + 1  # far enough from the border
    wanted = seen_by(layers, cell)
    got = (start + cell * jump, start + cell * jump + field)
    assert got == wanted, f"layers {layers}: cell {cell} sees pixels {wanted}, yours says {got}"
    assert seen_by(layers, cell + 1)[0] - wanted[0] == jump, f"layers {layers}: the jump is wrong"
    again = tuple(receptive_field([*layers, (1, 1, 0, 1)]))
    assert again == (field, jump, start), (
        f"layers {layers}: a 1 × 1 layer of stride 1 at the end must change nothing, got {again}"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: no layer, one, two of a kind, and a pooling before a dilated layer")

# %% [markdown] id="task-norm"
# ## Task 2: batch norm, inside a real network
#
# *3 points · difficulty 3/5 · importance 5/5 · 20 minutes*
#
# This task goes beyond the lesson: write batch norm for inputs with *any* number of axes: `[B, C]`,
# `[B, C, L]`, `[B, C, H, W]`. Statistics are taken over all axes but the second. Scale and shift
# may be missing (`None`): then they are 1 and 0. In training the running statistics move **in
# place** (they are the layer's own tensors), unless they are `None`. They get the variance divided
# by $n - 1$, while the normalisation divides by $n$.
#
# Example by hand: one channel, `x = [[1], [3]]`, training, momentum 0.5, running mean 0 and
# variance 1. Mean 2 and variance 1 (divided by $n = 2$) give about `[[-1], [1]]`. The running mean
# becomes 1. The variance divided by $n - 1$ is 2, so the running variance becomes 0.5 · 1 + 0.5 · 2
# = 1.5.
#
# <details><summary>First hint</summary>
# The methods mean and var take a list of axes, <code>dim=[…]</code>: all of
# <code>range(x.ndim)</code> but 1. A [C] tensor broadcasts against x once it is [1, C, 1, …], with
# as many ones as x needs.
# </details>
# <details><summary>Second hint</summary>
# Writing <code>running_mean += …</code> changes the layer's tensor; <code>running_mean = …</code>
# only gives your function a new one. Take the step under <code>torch.no_grad()</code>: the
# statistics carry no gradients.
# </details>

# %% id="norm" nbgrader="solution" forbidden="normalisation"
def batch_norm(
    x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """x: [B, C, ...]; running statistics, weight, bias: [C] or None. Returns the shape of x.

    In training: normalise with the batch's statistics, and move the running ones in place.
    In evaluation: normalise with the running ones, and leave them alone.
    Use means, sums and roots; do not call a normalisation of torch.
    """
    ### BEGIN SOLUTION
    shape = [1, -1] + [1] * (x.ndim - 2)  # a number for each channel
    mean, var = running_mean, running_var
    if training:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        mean, var = x.mean(dim=axes), x.var(dim=axes, correction=0)  # [C]
        if running_mean is not None:
            n = x.numel() // x.shape[1]
            with torch.no_grad():
                running_mean += momentum * (mean - running_mean)
                running_var += momentum * (var * n / (n - 1) - running_var)
    y = (x - mean.view(shape)) / (var.view(shape) + eps).sqrt()
    y = y if weight is None else y * weight.view(shape)
    return y if bias is None else y + bias.view(shape)
    ### END SOLUTION


# %% id="norm-checks" nbgrader="checks" points=3
from seglib.models import build_model
from seglib.structures import Categories

mean, var = torch.zeros(1), torch.ones(1)
got = batch_norm(torch.tensor([[1.0], [3.0]]), mean, var, training=True, momentum=0.5)
assert got is not None, "batch_norm returned None: is the `return` missing?"
assert got.shape == (2, 1), f"the output is shaped like x, [2, 1]; yours is {list(got.shape)}"
assert got.dtype == torch.float32, f"the output has the dtype of x, float32; yours is {got.dtype}"
assert torch.allclose(got, torch.tensor([[-1.0], [1.0]]), atol=1e-3), (
    f"the example gives about [[-1], [1]], yours is {got.tolist()}: ±0.71 means that you divided "
    "by n - 1; [[1], [3]] that you used the running statistics"
)
assert mean.item() == 1.0, (
    f"the running mean becomes 0.5·0 + 0.5·2 = 1.0, yours is {mean.item()}: 0 means that it did "
    "not move in place, 0.2 that `momentum` was not used"
)
assert abs(var.item() - 1.5) < 1e-6, (
    f"the running variance becomes 0.5·1 + 0.5·2 = 1.5, yours is {var.item()}: 1.0 means that the "
    "batch's was divided by n, not n - 1, or did not move in place"
)
scale, shift = torch.tensor([10.0]), torch.tensor([5.0])
got = batch_norm(torch.tensor([[1.0], [3.0]]), mean, var, scale, shift)
assert (mean.item(), var.item()) == (1.0, 1.5), (
    "evaluation mode must leave the running statistics alone: they were 1.0 and 1.5, now they are "
    f"{mean.item()} and {var.item()}"
)
wanted = torch.tensor([[5.0], [5 + 10 * 2 / 1.5**0.5]])
assert torch.allclose(got, wanted, atol=1e-3), (
    "evaluation uses the running mean 1 and variance 1.5, then multiplies by 10 and adds 5: "
    f"expected {wanted.tolist()}, yours is {got.tolist()}"
)
got = batch_norm(torch.tensor([[1.0], [3.0]]), None, None, training=True, eps=3.0)
assert torch.allclose(got, torch.tensor([[-0.5], [0.5]]), atol=1e-3), (
    "without running statistics, variance 1 and eps 3: divide by √(1 + 3) = 2, expected "
    f"[[-0.5], [0.5]], yours is {got.tolist()}"
)
values = torch.tensor([[[0.0, 2], [10, 30]], [[4, 6], [20, 40]]])  # [2, 2, 2]: two channels
values.requires_grad_()
mean, var = torch.zeros(2), torch.ones(2)
got = batch_norm(values, mean, var, training=True)
assert torch.allclose(got.mean((0, 2)), torch.zeros(2), atol=1e-4), (
    f"[B, C, L]: after the norm both channels have mean 0, yours {got.mean((0, 2)).tolist()}: take "
    "statistics per channel, over batch and places"
)
assert torch.allclose(mean, torch.tensor([0.3, 2.5])), (
    "momentum 0.1 moves the running means a tenth of the way from 0 to 3 and 25: expected "
    f"[0.3, 2.5], yours are {mean.tolist()}"
)
assert not mean.requires_grad and not var.requires_grad, (
    "the running statistics must not carry gradients: move them under torch.no_grad()"
)
gradient = torch.autograd.grad(got.sum(), values)[0]
assert gradient.abs().max() < 1e-3, (
    "in training mode the mean belongs to the graph: moving all values together changes nothing, "
    f"so the gradient of the sum is 0; yours reaches {gradient.abs().max():.3g}"
)
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = build_model("fcn", categories)
picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
for mode in (True, False):
    torch.manual_seed(0)
    with torch.no_grad():
        expected = network.train(mode)([picture, picture.flip(0)]).logits
        torch.manual_seed(0)
        with seglib.use(batch_norm=batch_norm):
            on_yours = network([picture, picture.flip(0)]).logits
    difference = (on_yours - expected).abs().max()
    assert difference < 1e-3, (
        f"in {'training' if mode else 'evaluation'} mode, the logits of an FCN on your batch_norm "
        f"differ by up to {difference:.3g}"
    )
### BEGIN HIDDEN TESTS
def gradient(output, x):
    return torch.autograd.grad((output * output.detach().cos()).sum(), x)[0]


for seed in range(4):
    torch.manual_seed(seed)
    for shape in [(5, 3), (4, 3, 7), (2, 3, 5, 6), (1, 3, 4, 4)]:
        for affine in (True, False):
            x = (torch.randn(shape) * 3 + seed).requires_grad_()
            weight, bias = (torch.randn(3) if affine else None for _ in range(2))
            mine = [torch.randn(3), torch.rand(3)]
            theirs = [v.clone() for v in mine]
            for training in (True, False):
                got = batch_norm(x, *mine, weight, bias, training, 0.3, 1e-3)
                wanted = F.batch_norm(x, *theirs, weight, bias, training, 0.3, 1e-3)
                given = "given" if affine else "None"
                where = f"shape {list(shape)}, training {training}, scale and shift {given}"
                assert got.shape == wanted.shape, (
                    f"{where}: shape {list(got.shape)}, expected {list(wanted.shape)}"
                )
                assert torch.allclose(got, wanted, atol=1e-4), f"{where}: values differ"
                for name, own, true in zip(("mean", "variance"), mine, theirs):
                    assert torch.allclose(own, true, atol=1e-5), (
                        f"{where}: the running {name} differs"
                    )
                assert torch.allclose(gradient(got, x), gradient(wanted, x), atol=1e-3), (
                    f"{where}: gradients differ; in training mean and variance belong to the graph"
                )
            assert not mine[0].requires_grad, "the running statistics must not carry gradients"
### END HIDDEN TESTS
print("✓ 3 of 3 points: both modes, running statistics, scale, shift, [B, C, L], and a whole FCN")

# %% [markdown] id="task-block"
# ## Task 3: a residual block, and the pyramid
#
# *4 points · difficulty 3/5 · importance 5/5 · 25 minutes*
#
# Both are wiring: the layers are given, you connect them.
#
# **The block.** Convolution, norm, ReLU, convolution, norm; then the shortcut is added; then ReLU.
# The shortcut is `x` itself, or `downsample(x)` where one is given (because the stride or the
# number of channels changes).

# %% id="block" nbgrader="solution"
def basic_block(x, conv1, norm1, conv2, norm2, downsample=None):
    """x: [B, C, H, W]; conv1, norm1, conv2, norm2, downsample: callables from map to map.

    Returns [B, C', H', W'], the block's output. Does not change x.
    """
    ### BEGIN SOLUTION
    out = F.relu(norm1(conv1(x)))
    out = norm2(conv2(out))
    return F.relu(out + (x if downsample is None else downsample(x)))
    ### END SOLUTION


# %% [markdown] id="task-pyramid"
# **The pyramid.** For each level there is a 1 × 1 convolution `lateral[k]` and a 3 × 3 convolution
# `output[k]`, finest level first, like the maps. From the top down: enlarge the sum above to the
# *exact* size of the map below (nearest: new cell $r$ of $H$ copies old cell $\lfloor r\,h/H
# \rfloor$), and add the lateral. What is passed down is the sum *before* its 3 × 3 convolution.
#
# Example by hand: two maps with one channel, `[[1, 2], [3, 4]]` and, above it, `[[10]]`. With
# convolutions that change nothing, the results are `[[11, 12], [13, 14]]` and `[[10]]`.
#
# <details><summary>First hint</summary>
# Begin with the coarsest map, and keep one variable for the sum that is passed down. Its 3 × 3
# convolution gives a result, but never becomes part of that sum.
# </details>
# <details><summary>Second hint</summary>
# To enlarge with indices, compute for every new row which old row it copies, <code>torch.arange(H)
# * h // H</code>, likewise for the columns, and index the map with both. Insert each result at the
# front of the list.
# </details>

# %% id="pyramid" nbgrader="solution" forbidden="interpolation"
def pyramid(features, lateral, output):
    """features: list of [B, C_k, H_k, W_k], finest first; lateral, output: lists of callables.

    Returns the list of pyramid maps [B, width, H_k, W_k], finest first.
    Write the enlarging with indices; do not call an interpolation of torch.
    """
    ### BEGIN SOLUTION
    def enlarge(x, height, width):
        rows = torch.arange(height) * x.shape[2] // height
        columns = torch.arange(width) * x.shape[3] // width
        return x[:, :, rows][:, :, :, columns]

    total = lateral[-1](features[-1])
    results = [output[-1](total)]
    for level in reversed(range(len(features) - 1)):
        own = lateral[level](features[level])
        total = own + enlarge(total, own.shape[2], own.shape[3])
        results.insert(0, output[level](total))
    return results
    ### END SOLUTION


# %% id="block-checks" nbgrader="checks" points=2
def double(v):
    return 2 * v


def negative(v):
    return -v


def less_one(v):
    return v - 1


def same(v):
    return v


x = torch.tensor([[[[1.0, -3.0]]]])
got = basic_block(x, same, same, double, same)
assert got is not None, "basic_block returned None: is the `return` missing?"
assert x.flatten().tolist() == [1, -3], (
    f"your block changed its input from [1, -3] to {x.flatten().tolist()}: use x + out, not +="
)
assert got.flatten().tolist() != [3, -3], (
    "F(x) = 2 relu(x): [1, -3] gives [3, 0], yours is [3, -3]: the last ReLU comes after the sum"
)
assert got.flatten().tolist() != [2, 0], (
    "F(x) = 2 relu(x): [1, -3] gives relu([1 + 2, -3 + 0]) = [3, 0], yours is [2, 0]: add the "
    "shortcut"
)
assert got.flatten().tolist() == [3, 0], (
    "F(x) = 2 relu(x): [1, -3] gives relu([1 + 2, -3 + 0]) = [3, 0], yours is "
    f"{got.flatten().tolist()}"
)
got = basic_block(torch.tensor([[[[1.0, 4.0]]]]), same, same, negative, same)
assert got.flatten().tolist() == [0, 0], (
    f"F(x) = -relu(x): [1, 4] gives [0, 0], yours is {got.flatten().tolist()}: there is no ReLU "
    "between the second norm and the sum"
)
got = basic_block(torch.tensor([[[[-1.0, 4.0]]]]), same, negative, same, same)
assert got.flatten().tolist() == [0, 4], (
    f"F(x) = relu(-x): [-1, 4] gives [-1 + 1, 4 + 0] = [0, 4], yours is {got.flatten().tolist()}: "
    "the first ReLU comes after the first norm"
)
x = torch.tensor([[[[1.0, 4.0]]]])
got = basic_block(x, double, less_one, same, same)
assert got.flatten().tolist() == [2, 11], (
    "conv1 doubles, norm1 takes 1 away: [1, 4] gives [1 + 1, 4 + 7] = [2, 11], yours is "
    f"{got.flatten().tolist()}: the convolution comes first"
)
got = basic_block(x, same, same, less_one, double)
assert got.flatten().tolist() == [1, 10], (
    "conv2 takes 1 away, norm2 doubles: [1, 4] gives [1 + 0, 4 + 6] = [1, 10], yours is "
    f"{got.flatten().tolist()}: the convolution comes first, and both before the sum"
)
got = basic_block(x, same, same, double, same, downsample=lambda v: 10 * v)
assert got.flatten().tolist() == [12, 48], (
    f"F(x) = 2 x with a downsample of 10 x: [1, 4] gives [2 + 10, 8 + 40] = [12, 48], yours is "
    f"{got.flatten().tolist()}: the downsample acts on x, and only on the shortcut"
)
### BEGIN HIDDEN TESTS
import torchvision

for seed, (channels, width, stride) in enumerate([(8, 8, 1), (8, 16, 2), (4, 12, 1)]):
    torch.manual_seed(seed)
    down = None
    if stride != 1 or channels != width:
        shrink = nn.Conv2d(channels, width, 1, stride, bias=False)
        down = nn.Sequential(shrink, nn.BatchNorm2d(width))
    block = torchvision.models.resnet.BasicBlock(channels, width, stride, down).eval()
    for norm in (block.bn1, block.bn2):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, channels, 9, 8)
    wanted = block(x.clone())
    got = basic_block(x, block.conv1, block.bn1, block.conv2, block.bn2, down)
    where = f"{channels} to {width} channels, stride {stride}"
    assert got.shape == wanted.shape, (
        f"{where}: shape {list(got.shape)}, expected {list(wanted.shape)}"
    )
    assert torch.allclose(got.float(), wanted, atol=1e-4), (
        f"{where}: values differ from ResNet's block"
    )
### END HIDDEN TESTS
print("✓ 2 of 2 points: the sum, both ReLUs, the order of the layers, the downsample, x unchanged")

# %% id="pyramid-checks" nbgrader="checks" points=2
def flat(v):
    return v.flatten().tolist()


fine, coarse = torch.tensor([[[[1.0, 2], [3, 4]]]]), torch.tensor([[[[10.0]]]])
got = pyramid([fine, coarse], [same, same], [same, same])
assert got is not None, "pyramid returned None: is the `return` missing?"
assert len(got) == 2, f"one result for each map: expected 2, yours are {len(got)}"
assert got[0].shape == (1, 1, 2, 2), (
    f"finest first: result 0 is [1, 1, 2, 2], yours is {list(got[0].shape)}"
)
assert flat(got[0]) == [11, 12, 13, 14], (
    f"the example gives [11, 12, 13, 14], yours is {flat(got[0])}: enlarge the 10, then add"
)
assert flat(got[1]) == [10], f"nothing lies above the coarsest map: [10], yours is {flat(got[1])}"
got = pyramid([fine, coarse], [double, same], [same, same])
assert flat(got[0]) == [12, 14, 16, 18], (
    f"a fine lateral that doubles gives [2 + 10, 4 + 10, …] = [12, 14, 16, 18], yours is "
    f"{flat(got[0])}: lateral[0] belongs to the finest map"
)
got = pyramid([fine, coarse], [same, same], [same, double])
assert flat(got[0]) == [11, 12, 13, 14], (
    "what goes down is the sum before its 3 × 3 convolution: with an output[1] that doubles, "
    f"result 0 stays [11, 12, 13, 14], yours is {flat(got[0])}"
)
assert flat(got[1]) == [20], (
    f"the coarsest map has a 3 × 3 convolution too, here one that doubles: [20], yours is "
    f"{flat(got[1])}"
)
got = pyramid([fine, coarse], [same, same], [double, same])
assert flat(got[0]) == [22, 24, 26, 28], (
    "with an output[0] that doubles, result 0 is 2 · [11, 12, 13, 14] = [22, 24, 26, 28], yours is "
    f"{flat(got[0])}: every level has its 3 × 3 convolution"
)
three = [torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 2, 2), torch.full((1, 1, 1, 1), 10.0)]
got = pyramid(three, [same] * 3, [same, double, same])
assert flat(got[0]) == [11] * 16, (
    "three maps of 0, 1 and 10, and an output[1] that doubles: the finest result is 11 everywhere, "
    f"yours is {flat(got[0])[0]:g} at its first cell: the sum of *all* levels above goes down, and "
    "no 3 × 3 convolution is in it"
)
odd = [torch.zeros(1, 1, 5, 4), torch.tensor([[[[1.0, 2, 3], [4, 5, 6]]]])]
got = pyramid(odd, [same, same], [same, same])
assert got[0].shape == (1, 1, 5, 4), (
    f"a map of 5 × 4 below one of 2 × 3: the result is 5 × 4, yours is {list(got[0].shape[2:])}"
)
wanted = [[1, 1, 2, 3]] * 3 + [[4, 4, 5, 6]] * 2
assert got[0][0, 0].tolist() == wanted, (
    f"2 × 3 enlarged to 5 × 4 is {wanted}, yours is {got[0][0, 0].tolist()}: new cell r of H "
    "copies old cell r·h // H"
)
### BEGIN HIDDEN TESTS
import torchvision

for seed, side in enumerate([(32, 48), (37, 45), (61, 33)]):
    torch.manual_seed(seed)
    widths, features, size = [4, 6, 10, 12], [], side
    for width in widths:
        features.append(torch.randn(2, width, *size))
        size = [-(-n // 2) for n in size]
    reference = torchvision.ops.FeaturePyramidNetwork(widths, 8)
    wanted = list(reference({str(k): f for k, f in enumerate(features)}).values())
    got = pyramid(features, list(reference.inner_blocks), list(reference.layer_blocks))
    for k, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert a.shape == b.shape, (
            f"image {side}, level {k}: shape {list(a.shape)}, expected {list(b.shape)}"
        )
        assert torch.allclose(a.float(), b, atol=1e-4), f"image {side}, level {k}: values differ"
### END HIDDEN TESTS
print("✓ 2 of 2 points: laterals, what goes down, 3 × 3 on every level, three levels, odd sizes")

# %% [markdown] id="task-fold"
# ## Task 4: batch norm folded away
#
# *3 points · difficulty 4/5 · importance 3/5 · 20 minutes*
#
# **Transfer.** No cell of the lesson removes a norm from a network. In evaluation mode batch norm
# is a fixed scale and a fixed shift for each channel. A convolution in front of it can do both by
# itself, with other weights. Find them, so that the convolution alone returns what convolution and
# norm returned together. That is how networks are prepared for deployment, with one layer less to
# compute each time.
#
# Write $y = \gamma\,\frac{(w * x + b) - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta$ as
# $w' * x + b'$.
#
# Example by hand: a 1 × 1 convolution with weight 3 and bias 1, then a norm with $\mu = 4$,
# $\sigma^2 + \varepsilon = 4$, $\gamma = 6$, $\beta = 5$. Input 1 gives 3 + 1 = 4, normalised 0,
# output 5; input 2 gives 7, normalised 1.5, output 14. So $w' = 9$ and $b' = -4$.
#
# <details><summary>First hint</summary>
# Call s = γ / √(σ² + ε) and rearrange the formula: what multiplies w ∗ x, and what is left without
# x?
# </details>
# <details><summary>Second hint</summary>
# The weight is [O, C/groups, kh, kw], and s is [O]: give s three more axes. Without a bias, b is 0.
# </details>

# %% id="fold" nbgrader="solution"
def fold(conv, norm):
    """conv: an nn.Conv2d, with or without bias; norm: the nn.BatchNorm2d after it, with γ and β.

    Returns (weight, bias), tensors like conv.weight [O, C/groups, kh, kw] and [O], such that the
    convolution with them equals norm(conv(x)) in evaluation mode. conv and norm stay as they are.
    """
    ### BEGIN SOLUTION
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # [O]
    bias = torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias
    return conv.weight * scale[:, None, None, None], (bias - norm.running_mean) * scale + norm.bias
    ### END SOLUTION


# %% id="fold-checks" nbgrader="checks" points=3
conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=1.0).eval()
with torch.no_grad():
    conv.weight.fill_(3.0)
    conv.bias.fill_(1.0)
    norm.weight.fill_(6.0)
    norm.bias.fill_(5.0)
    norm.running_mean.fill_(4.0)
    norm.running_var.fill_(3.0)
answer = fold(conv, norm)
assert isinstance(answer, tuple) and len(answer) == 2, (
    f"return two tensors, (weight, bias); yours is {type(answer).__name__}"
)
weight, bias = answer
assert weight.shape == (1, 1, 1, 1), (
    f"the weight, returned first, keeps its shape [1, 1, 1, 1]; yours is {list(weight.shape)}"
)
assert bias.shape == (1,), f"one bias per output channel, [1]; yours is {list(bias.shape)}"
unchanged = (conv.weight.item(), conv.bias.item(), norm.weight.item(), norm.bias.item())
assert unchanged == (3, 1, 6, 5), (
    f"fold must not change the layers that it was given: weights and biases were (3, 1, 6, 5), now "
    f"they are {unchanged}"
)
assert weight.dtype == bias.dtype == torch.float32, (
    f"weight and bias have the dtype of the layers, float32; yours are {weight.dtype} and "
    f"{bias.dtype}"
)
assert abs(weight.item() - 9) < 1e-5, (
    f"the example's weight is 6 · 3 / √(3 + 1) = 9, yours is {weight.item():.4f}: the old weight "
    "times γ, divided by the root of running_var + eps"
)
assert abs(bias.item() + 4) < 1e-5, (
    f"the example's bias is 6 · (1 − 4) / √(3 + 1) + 5 = -4, yours is {bias.item():.4f}: the old "
    "bias goes through the norm too, less the mean, and β is added last, as it is"
)
conv, norm = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3).eval()
with torch.no_grad():
    norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
    norm.running_mean.copy_(torch.tensor([0.5, 0.0, -0.5]))
    x = torch.rand(1, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    difference = (F.conv2d(x, *fold(conv, norm)) - norm(conv(x))).abs().max()
assert difference < 1e-5, (
    f"three output channels and no bias: the output differs by up to {difference:.3g}; each output "
    "channel, axis 0 of the weight, has its own scale and shift"
)
### BEGIN HIDDEN TESTS
cases = (
    {"bias": False, "padding": 1},
    {"groups": 2, "stride": 2},
    {"dilation": 2},
    {"bias": False, "groups": 4},
)
for seed in range(4):
    for options in cases:
        torch.manual_seed(seed)
        conv, norm = nn.Conv2d(4, 8, 3, **options), nn.BatchNorm2d(8).eval()
        with torch.no_grad():
            for values in (norm.weight, norm.bias, norm.running_mean):
                values.normal_()
            norm.running_var.uniform_(0.1, 3)
        x = torch.randn(2, 4, 9, 10)
        weight, bias = fold(conv, norm)
        assert weight.shape == conv.weight.shape, (
            f"{options}: the weight is {list(weight.shape)}, expected {list(conv.weight.shape)}"
        )
        got = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        assert torch.allclose(got, norm(conv(x)), atol=1e-4), (
            f"{options}: the folded convolution differs from convolution and norm"
        )
        before = [v.clone() for layer in (conv, norm) for v in layer.state_dict().values()]
        fold(conv, norm)
        after = [v for layer in (conv, norm) for v in layer.state_dict().values()]
        assert all(map(torch.equal, before, after)), f"{options}: a layer was changed"
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, layers left as they were, several channels without a bias")
