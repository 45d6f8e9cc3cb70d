# %% [markdown] id="intro"
# # Assignment 03: From CNN to backbone and pyramid
#
# Four tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 03](../03_backbones.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. What a cell sees, and where | 3 | 2/5 | 5/5 | 15 |
# | 2. Batch norm that carries a real network | 3 | 3/5 | 5/5 | 20 |
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
# The lesson followed two numbers through the layers, field and jump. Follow a third one:
# **start**, the first pixel that cell 0 sees, counted along one axis. For the image itself, field
# and jump are 1 and start is 0. Padding moves the first window to the left by `padding` cells of
# the layer's *input*, and those lie a jump of the input apart. So start can become negative: then
# cell 0 also sees padding.
#
# Cell $i$ then sees the pixels from `start + i * jump` up to, and without, `start + i * jump +
# field`.
#
# Example by hand: two 3 × 3 layers, both with stride 2 and padding 1, no dilation. After the
# first: field 3, jump 2, start −1. After the second: field 3 + 2·2 = 7, jump 4, start −1 − 1·2 =
# −3.

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
assert tuple(got) == (1, 1, 0), f"without layers a cell is a pixel: (1, 1, 0), yours is {tuple(got)}"
got = tuple(receptive_field([(3, 2, 1, 1)]))
assert got == (3, 2, -1), f"one 3×3 layer, stride 2, padding 1: (3, 2, -1), yours is {got}"
got = tuple(receptive_field([(3, 2, 1, 1)] * 2))
assert got[0] != 5, "the field of two such layers is 7, yours is 5: a step of the second kernel is worth a jump of 2 pixels"
assert got[0] != 11, "the field of two such layers is 7, yours is 11: a layer's own stride counts only from the next layer on"
assert got == (7, 4, -3), f"two such layers: (7, 4, -3), yours is {got}"
got = tuple(receptive_field([(2, 2, 0, 1), (3, 1, 2, 2)]))
assert got == (10, 2, -4), f"a 2×2 pooling, then 3×3 with padding 2 and dilation 2: (10, 2, -4), yours is {got}"
### BEGIN HIDDEN TESTS
def seen_by(layers, cell, size=160):
    """First and last + 1 pixel with an influence on a cell, by gradients."""
    x = torch.rand(1, 1, 1, size, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel, stride, padding, dilation in layers:
        weight = torch.ones(1, 1, 1, kernel, dtype=torch.float64)
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
### END HIDDEN TESTS

# %% [markdown] id="task-norm"
# ## Task 2: batch norm that carries a real network
#
# *3 points · difficulty 3/5 · importance 5/5 · 20 minutes*
#
# Write batch norm for inputs with *any* number of axes: `[B, C]`, `[B, C, L]`, `[B, C, H, W]`.
# Statistics run over all axes but the second. Scale and shift may be missing (`None`): then they
# are 1 and 0. In training the running statistics move **in place** (they are the layer's own
# tensors), unless they are `None`. They get the variance divided by $n - 1$, while the
# normalisation divides by $n$.
#
# Example by hand: one channel, `x = [[1], [3]]`, training, momentum 0.5, running mean 0 and
# variance 1. Mean 2 and variance 1 (divided by $n = 2$) give about `[[-1], [1]]`. The running
# mean becomes 1. The variance divided by $n - 1$ is 2, so the running variance becomes 0.5 · 1 +
# 0.5 · 2 = 1.5.

# %% id="norm" nbgrader="solution"
def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """x: [B, C, ...]; the running statistics [C] or None; weight, bias: [C] or None. Returns the shape of x.

    In training: normalise with the batch's statistics, and move the running ones in place.
    In evaluation: normalise with the running ones, and leave them alone.
    Use means, sums and roots; do not call a normalisation of torch.
    """
    ### BEGIN SOLUTION
    shape = [1, -1] + [1] * (x.ndim - 2)  # a number for each channel
    mean, var = running_mean, running_var
    if training:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        mean, var = x.mean(dim=axes), x.var(dim=axes, correction=0)
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
assert torch.allclose(got, torch.tensor([[-1.0], [1.0]]), atol=1e-3), f"the example gives about [[-1], [1]], yours is {got.tolist()}: ±0.71 means that you divided by n - 1"
assert mean.item() == 1.0, f"the running mean becomes 1.0, yours is {mean.item()}: it must move in place, by the momentum"
assert abs(var.item() - 1.5) < 1e-6, f"the running variance becomes 1.5, yours is {var.item()}: 1.0 means that the variance for the diary was divided by n, not n - 1"
got = batch_norm(torch.tensor([[1.0], [3.0]]), mean, var, torch.tensor([10.0]), torch.tensor([5.0]))
assert mean.item() == 1.0, "evaluation mode must leave the running statistics alone"
wanted = torch.tensor([[5.0], [5 + 10 * 2 / 1.5**0.5]])
assert torch.allclose(got, wanted, atol=1e-3), f"evaluation uses the running mean 1 and variance 1.5, then times 10, plus 5: expected {wanted.tolist()}, yours is {got.tolist()}"
network = build_model("fcn", Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}]))
picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
for mode in (True, False):
    torch.manual_seed(0)
    with torch.no_grad():
        expected = network.train(mode)([picture, picture.flip(0)]).logits
        torch.manual_seed(0)
        with seglib.use(batch_norm=batch_norm):
            on_yours = network([picture, picture.flip(0)]).logits
    difference = (on_yours - expected).abs().max()
    assert difference < 1e-3, f"an FCN {'in training' if mode else 'in evaluation'} on your batch_norm differs by up to {difference:.3g}"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    for shape in [(5, 3), (4, 3, 7), (2, 3, 5, 6), (1, 3, 4, 4)]:
        for affine in (True, False):
            x = (torch.randn(shape, dtype=torch.float64) * 3 + seed).requires_grad_()
            weight, bias = (torch.randn(3, dtype=torch.float64) if affine else None for _ in range(2))
            mine = [torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)]
            theirs = [v.clone() for v in mine]
            for training in (True, False):
                got = batch_norm(x, *mine, weight, bias, training, 0.3, 1e-3)
                wanted = F.batch_norm(x, *theirs, weight, bias, training, 0.3, 1e-3)
                where = f"shape {list(shape)}, training {training}, scale and shift {'given' if affine else 'None'}"
                assert got.shape == wanted.shape, f"{where}: shape {list(got.shape)}, expected {list(wanted.shape)}"
                assert torch.allclose(got, wanted, atol=1e-8), f"{where}: values differ"
                assert torch.allclose(mine[0], theirs[0]) and torch.allclose(mine[1], theirs[1]), f"{where}: the running statistics differ"
                grads = [torch.autograd.grad((out * out.detach().cos()).sum(), x)[0] for out in (got, wanted)]
                assert torch.allclose(*grads, atol=1e-8), f"{where}: gradients differ; the mean and the variance belong to the graph in training"
            assert not mine[0].requires_grad, "the running statistics must not carry gradients"
    batch_norm(torch.randn(4, 3), None, None, training=True)
### END HIDDEN TESTS

# %% [markdown] id="task-block"
# ## Task 3: a residual block, and the pyramid
#
# *4 points · difficulty 3/5 · importance 5/5 · 25 minutes*
#
# Both are wiring: the layers are given, you connect them.
#
# **The block.** convolution, norm, ReLU, convolution, norm, then the shortcut is added, then
# ReLU. The shortcut is `x` itself, or `downsample(x)` where one is given (because stride or
# channels change).

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
# **The pyramid.** For each level a 1 × 1 convolution `lateral[k]` and a 3 × 3 convolution
# `output[k]`, finest level first, like the maps. From the top down: enlarge the sum above to the
# *exact* size of the map below (nearest: new cell $r$ of $H$ copies old cell $\lfloor r\,h/H
# \rfloor$), add the lateral. What goes on down is the sum *before* its 3 × 3 convolution.
#
# Example by hand: two maps with one channel, `[[1, 2], [3, 4]]` and, above it, `[[10]]`. With
# convolutions that change nothing, the results are `[[11, 12], [13, 14]]` and `[[10]]`.

# %% id="pyramid" nbgrader="solution"
def pyramid(features, lateral, output):
    """features: list of [B, C_k, H_k, W_k], finest first; lateral, output: lists of callables, likewise.

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


def same(v):
    return v


x = torch.tensor([[[[1.0, -3.0]]]])
got = basic_block(x, same, same, double, same)
assert got is not None, "basic_block returned None: is the `return` missing?"
assert torch.equal(x, torch.tensor([[[[1.0, -3.0]]]])), "your block changed its input x; use x + out, not +="
assert got.flatten().tolist() != [3.0, -3.0], "the last ReLU comes after the sum: the output has no negative values"
assert got.flatten().tolist() == [3.0, 0.0], f"F(x) = 2 relu(x): [1, -3] gives relu([1 + 2, -3 + 0]) = [3, 0], yours is {got.flatten().tolist()}"
got = basic_block(torch.tensor([[[[1.0, 4.0]]]]), same, same, negative, same)
assert got.flatten().tolist() == [0.0, 0.0], f"F(x) = -relu(x): [1, 4] gives [0, 0], yours is {got.flatten().tolist()}: there is no ReLU between the second norm and the sum"
got = basic_block(torch.tensor([[[[1.0, 4.0]]]]), same, same, same, same, downsample=lambda v: 10 * v)
assert got.flatten().tolist() == [11.0, 44.0], f"with a downsample of 10 x: [11, 44], yours is {got.flatten().tolist()}"
### BEGIN HIDDEN TESTS
import torchvision

for seed, (channels, width, stride) in enumerate([(8, 8, 1), (8, 16, 2), (4, 12, 1)]):
    torch.manual_seed(seed)
    down = None
    if stride != 1 or channels != width:
        down = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    block = torchvision.models.resnet.BasicBlock(channels, width, stride, down).double().eval()
    x = torch.randn(2, channels, 9, 8, dtype=torch.float64)
    wanted = block(x.clone())
    got = basic_block(x, block.conv1, block.bn1, block.conv2, block.bn2, down)
    assert got.shape == wanted.shape, f"{channels} to {width} channels, stride {stride}: shape {list(got.shape)}, expected {list(wanted.shape)}"
    assert torch.allclose(got, wanted), f"{channels} to {width} channels, stride {stride}: values differ from ResNet's block"
### END HIDDEN TESTS

# %% id="pyramid-checks" nbgrader="checks" points=2
fine, coarse = torch.tensor([[[[1.0, 2], [3, 4]]]]), torch.tensor([[[[10.0]]]])
got = pyramid([fine, coarse], [same, same], [same, same])
assert got is not None, "pyramid returned None: is the `return` missing?"
assert len(got) == 2, f"one result for each map: expected 2, yours has {len(got)}"
assert got[0].shape == (1, 1, 2, 2), f"finest first: result 0 is [1, 1, 2, 2], yours is {list(got[0].shape)}"
assert got[0].flatten().tolist() == [11, 12, 13, 14], f"the example gives [11, 12, 13, 14], yours is {got[0].flatten().tolist()}"
assert got[1].flatten().tolist() == [10], f"nothing lies above the coarsest map: [10], yours is {got[1].flatten().tolist()}"
got = pyramid([fine, coarse], [same, same], [same, double])
assert got[0].flatten().tolist() == [11, 12, 13, 14], f"what goes down is the sum before its 3×3 convolution: [11, 12, 13, 14], yours is {got[0].flatten().tolist()}"
odd = pyramid([torch.zeros(1, 1, 3, 5), torch.tensor([[[[1.0, 2, 3], [4, 5, 6]]]])], [same, same], [same, same])
assert odd[0].shape == (1, 1, 3, 5), f"a map of 3×5 below one of 2×3: the result is 3×5, yours is {list(odd[0].shape[2:])}"
wanted = [[1, 1, 2, 2, 3], [1, 1, 2, 2, 3], [4, 4, 5, 5, 6]]
assert odd[0][0, 0].tolist() == wanted, f"2×3 enlarged to 3×5 is {wanted}, yours is {odd[0][0, 0].tolist()}: new cell r copies old cell r·h // H"
### BEGIN HIDDEN TESTS
import torchvision

for seed, side in enumerate([(32, 48), (37, 45), (61, 33)]):
    torch.manual_seed(seed)
    widths, features, size = [4, 6, 10, 12], [], side
    for width in widths:
        features.append(torch.randn(2, width, *size, dtype=torch.float64))
        size = [-(-n // 2) for n in size]
    reference = torchvision.ops.FeaturePyramidNetwork(widths, 8).double()
    wanted = list(reference({str(k): f for k, f in enumerate(features)}).values())
    got = pyramid(features, list(reference.inner_blocks), list(reference.layer_blocks))
    for k, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert a.shape == b.shape, f"image {side}, level {k}: shape {list(a.shape)}, expected {list(b.shape)}"
        assert torch.allclose(a, b), f"image {side}, level {k}: values differ"
### END HIDDEN TESTS

# %% [markdown] id="task-fold"
# ## Task 4: batch norm folded away
#
# *3 points · difficulty 4/5 · importance 3/5 · 20 minutes*
#
# In evaluation mode batch norm is a fixed scale and a fixed shift for each channel. A convolution
# in front of it can do both by itself, with other weights. Find them: a convolution that gives,
# alone, what convolution and norm gave together. That is how networks are made ready for use,
# with a layer less to compute each time.
#
# Write $y = \gamma\,\frac{(w * x + b) - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta$ as $w' * x +
# b'$.
#
# Example by hand: a 1 × 1 convolution with weight 3 and bias 1, then a norm with $\mu = 4$,
# $\sigma^2 + \varepsilon = 4$, $\gamma = 6$, $\beta = 5$. Input 1 gives 3 + 1 = 4, normalised 0,
# output 5; input 2 gives 7, normalised 1.5, output 14. So $w' = 9$ and $b' = -4$.

# %% id="fold" nbgrader="solution"
def fold(conv, norm):
    """conv: an nn.Conv2d, with or without bias; norm: the nn.BatchNorm2d behind it, with scale and shift.

    Returns (weight, bias), tensors like conv.weight [O, C/groups, kh, kw] and [O], such that the convolution
    with them equals norm(conv(x)) in evaluation mode. conv and norm stay as they are.
    """
    ### BEGIN SOLUTION
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # [O]
    bias = torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias
    return conv.weight * scale[:, None, None, None], (bias - norm.running_mean) * scale + norm.bias
    ### END SOLUTION

# %% id="fold-checks" nbgrader="checks" points=3
conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=1.0).eval()
with torch.no_grad():
    for parameter, value in [(conv.weight, 3.0), (conv.bias, 1.0), (norm.weight, 6.0), (norm.bias, 5.0)]:
        parameter.fill_(value)
    norm.running_mean.fill_(4.0)
    norm.running_var.fill_(3.0)
answer = fold(conv, norm)
assert isinstance(answer, tuple) and len(answer) == 2, "return two tensors: (weight, bias)"
weight, bias = answer
assert weight.shape == (1, 1, 1, 1), f"the weight keeps its shape [1, 1, 1, 1], yours is {list(weight.shape)}"
assert bias.shape == (1,), f"one bias a channel, [1]; yours is {list(bias.shape)}"
assert abs(weight.item() - 9) < 1e-5, f"the example's weight is 9, yours is {weight.item():.4f}: 6 · 3 / √(3 + 1)"
assert abs(bias.item() + 4) < 1e-5, f"the example's bias is -4, yours is {bias.item():.4f}: the old bias goes through the norm too"
assert conv.weight.item() == 3 and norm.weight.item() == 6, "fold must not change the layers that it was given"
conv, norm = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3).eval()
with torch.no_grad():
    norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
    norm.running_mean.copy_(torch.tensor([0.5, 0.0, -0.5]))
    x = torch.rand(1, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    same_answer = torch.allclose(F.conv2d(x, *fold(conv, norm)), norm(conv(x)), atol=1e-5)
assert same_answer, "three output channels and no bias: each channel of the output, axis 0 of the weight, has its own scale and shift"
### BEGIN HIDDEN TESTS
for seed in range(4):
    for options in ({"bias": False, "padding": 1}, {"groups": 2, "stride": 2}, {"dilation": 2}, {"bias": False, "groups": 4}):
        torch.manual_seed(seed)
        conv, norm = nn.Conv2d(4, 8, 3, **options).double(), nn.BatchNorm2d(8).double().eval()
        with torch.no_grad():
            for values in (norm.weight, norm.bias, norm.running_mean):
                values.normal_()
            norm.running_var.uniform_(0.1, 3)
        x = torch.randn(2, 4, 9, 10, dtype=torch.float64)
        weight, bias = fold(conv, norm)
        assert weight.shape == conv.weight.shape, f"{options}: the weight is {list(weight.shape)}, expected {list(conv.weight.shape)}"
        got = F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        assert torch.allclose(got, norm(conv(x))), f"{options}: the folded convolution differs from convolution and norm"
### END HIDDEN TESTS
