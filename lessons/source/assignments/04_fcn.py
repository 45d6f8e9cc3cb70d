# %% [markdown] id="intro"
# # Assignment 04: Fully convolutional networks
#
# Four tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 04](../04_fcn.ipynb). Replace the line
# `raise NotImplementedError` and run the checks below it.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. A fully connected layer as a convolution | 2 | 1/5 | 5/5 | 10 |
# | 2. Transposed convolution, inside a real network | 5 | 4/5 | 5/5 | 30 |
# | 3. Mean IoU, with ignored pixels | 3 | 2/5 | 5/5 | 15 |
# | 4. The way up of an FCN-8s | 4 | 5/5 | 3/5 | 30 |

# %% id="imports" nbgrader="locked"
import torch
from torch.nn import functional as F

import seglib
from seglib.models import build_model
from seglib.structures import Categories

# %% [markdown] id="task-dense"
# ## Task 1: a fully connected layer as a convolution
#
# *2 points · difficulty 1/5 · importance 5/5 · 10 minutes*
#
# A linear layer was trained on feature maps of `C` × `k` × `k` cells, flattened in that order. Run it
# at every place of a larger map, without a loop.
#
# Example by hand: `features = [[[1, 2, 3]]]` (one channel, one row), `weight = [[10]]`, `k = 1`,
# `bias = [5]`: the layer looks at one cell at a time and gives `[[[15, 25, 35]]]`.

# %% id="dense-scores" nbgrader="solution"
def dense_scores(features, weight, bias, k):
    """Run a linear layer at every place of a map.

    features: [B, C, H, W]; weight: [O, C·k·k]; bias: [O]; k: side of the map it was trained on.
    Returns [B, O, H - k + 1, W - k + 1]. You may use F.conv2d.
    """
    ### BEGIN SOLUTION
    channels = features.shape[1]
    return F.conv2d(features, weight.reshape(len(weight), channels, k, k), bias)
    ### END SOLUTION

# %% id="dense-scores-checks" nbgrader="checks" points=2
got = dense_scores(torch.tensor([[[[1.0, 2, 3]]]]), torch.tensor([[10.0]]), torch.tensor([5.0]), k=1)
assert got is not None, "dense_scores returned None: is the `return` missing?"
assert got.flatten().tolist() == [15, 25, 35], f"the example gives [15, 25, 35], yours is {got.flatten().tolist()}: did you add the bias?"
torch.manual_seed(0)
features, weight, bias = torch.randn(2, 3, 5, 6), torch.randn(4, 12), torch.randn(4)
got = dense_scores(features, weight, bias, k=2)
assert got.shape == (2, 4, 4, 5), f"a 2×2 layer fits at 4 × 5 places of a 5 × 6 map: expected [2, 4, 4, 5], yours is {list(got.shape)}"
corner = features[:, :, :2, :2].flatten(1) @ weight.T + bias
assert torch.allclose(got[:, :, 0, 0], corner, atol=1e-5), "at the top left place the answer must be that of the linear layer: is the weight reshaped to [O, C, k, k], in this order?"
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    channels, k = 2 + seed, 1 + seed % 4
    features, weight, bias = torch.randn(2, channels, 7, 9), torch.randn(5, channels * k * k), torch.randn(5)
    got = dense_scores(features, weight, bias, k)
    for r in range(8 - k):
        for c in range(10 - k):
            wanted = features[:, :, r : r + k, c : c + k].flatten(1) @ weight.T + bias
            assert torch.allclose(got[:, :, r, c], wanted, atol=1e-4), f"k = {k}: place ({r}, {c}) differs from the linear layer"
### END HIDDEN TESTS

# %% [markdown] id="task-transposed"
# ## Task 2: transposed convolution, inside a real network
#
# *5 points · difficulty 4/5 · importance 5/5 · 30 minutes*
#
# The lesson stamped one map with one kernel. A layer has channels: input channel $c$ stamps, onto output
# channel $o$, the kernel `weight[c, o]`, and every output channel adds up what it gets from all inputs of its group.
# With `groups`, the input channels are split into equal parts, in order; part $g$ stamps only onto the $g$-th part of the
# output channels. Then `padding` rows and columns are cut off at each border.
#
# Example by hand: `x = [[1, 3]]`, kernel `[[1, 2, 1]]`, stride 2. The stamps `[1, 2, 1]` and `[3, 6, 3]` begin at
# columns 0 and 2: `[[1, 2, 4, 6, 3]]`. With padding (0 rows, 1 column) it would be `[[2, 4, 6]]`; here padding is
# the same both ways.

# %% id="conv-transpose" nbgrader="solution"
def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Stamp kernels.

    x: [B, C, H, W]; weight: [C, O/groups, kh, kw]; bias: [O] or None.
    stride and padding arrive as an int or as a pair (v, v); output_padding is always 0 and dilation 1 here.
    Returns [B, O, (H - 1)·stride - 2·padding + kh, (W - 1)·stride - 2·padding + kw].
    Do not call a convolution of torch, transposed or not. A loop over the cells of the kernel is fine.
    """
    stride, padding = (v if isinstance(v, int) else v[0] for v in (stride, padding))
    ### BEGIN SOLUTION
    (batch, _, height, width), (_, per_group, kh, kw) = x.shape, weight.shape
    reach_r, reach_c = stride * (height - 1) + 1, stride * (width - 1) + 1
    y = x.new_zeros(batch, groups * per_group, reach_r + kh - 1, reach_c + kw - 1)
    parts = x.unflatten(1, (groups, -1))  # [B, G, C/G, H, W]
    kernels = weight.unflatten(0, (groups, -1))  # [G, C/G, O/G, kh, kw]
    for i in range(kh):
        for j in range(kw):
            stamps = torch.einsum("bgchw,gco->bgohw", parts, kernels[..., i, j])
            y[:, :, i : i + reach_r : stride, j : j + reach_c : stride] += stamps.flatten(1, 2)
    y = y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]
    return y if bias is None else y + bias[:, None, None]
    ### END SOLUTION

# %% [markdown] id="task-bilinear"
# Then the kernel to start from: a tent of width $2s$ in each direction, the two multiplied.
# Example by hand: for stride 1 the tent is `[0.5, 0.5]` and the kernel `[[0.25, 0.25], [0.25, 0.25]]`.

# %% id="bilinear-kernel" nbgrader="solution"
def bilinear_kernel(stride):
    """float32 [2·stride, 2·stride]: the kernel that enlarges by `stride` as bilinear interpolation does."""
    ### BEGIN SOLUTION
    tent = 1 - (torch.arange(2 * stride) - (stride - 0.5)).abs() / stride
    return torch.outer(tent, tent)
    ### END SOLUTION

# %% id="conv-transpose-checks" nbgrader="checks" points=3
got = conv_transpose2d(torch.tensor([[[[1.0, 3]]]]), torch.tensor([[[[1.0, 2, 1]]]]), stride=2)
assert got is not None, "conv_transpose2d returned None: is the `return` missing?"
assert got.shape == (1, 1, 1, 5), f"the example's output is 1 × 5, yours is {list(got.shape[2:])}: the last stamp begins at (n − 1)·stride and is k long"
assert got.flatten().tolist() == [1, 2, 4, 6, 3], f"the example gives [1, 2, 4, 6, 3], yours is {got.flatten().tolist()}: overlapping stamps add up"
torch.manual_seed(0)
x, w, b = torch.randn(2, 4, 3, 5), torch.randn(4, 2, 4, 4), torch.randn(4)
got = conv_transpose2d(x, w, b, stride=(2, 2), padding=1, groups=2)
assert got.shape == (2, 4, 6, 10), f"expected [2, 4, 6, 10], yours is {list(got.shape)}: padding is cut off both ends"
first = x[0, 0, 0, 0] * w[0, 0, 1, 1] + x[0, 1, 0, 0] * w[1, 0, 1, 1] + b[0]
assert torch.allclose(got[0, 0, 0, 0], first, atol=1e-5), "output channel 0 adds the stamps of input channels 0 and 1 (its group), and its bias; the first padding rows and columns are cut"
last = x[0, 2, 0, 0] * w[2, 1, 1, 1] + x[0, 3, 0, 0] * w[3, 1, 1, 1] + b[3]
assert torch.allclose(got[0, 3, 0, 0], last, atol=1e-5), "output channel 3 belongs to group 1: input channels 2 and 3 stamp it with weight[c, 1]"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    for groups, stride, padding, kernel in [(1, 1, 0, 3), (2, 2, 1, 4), (4, 3, 2, 5), (1, 4, 2, 8), (2, 2, 0, 1)]:
        x, w = torch.randn(2, 4, 5, 3, dtype=torch.float64), torch.randn(4, 3, kernel, kernel, dtype=torch.float64)
        wanted = F.conv_transpose2d(x, w, None, stride, padding, 0, groups)
        got = conv_transpose2d(x, w, None, (stride, stride), padding, 0, groups)
        assert got.shape == wanted.shape, f"groups {groups}, stride {stride}, padding {padding}, kernel {kernel}: shape {list(got.shape)}, expected {list(wanted.shape)}"
        assert torch.allclose(got, wanted), f"groups {groups}, stride {stride}, padding {padding}, kernel {kernel}: values differ"
### END HIDDEN TESTS

# %% id="bilinear-checks" nbgrader="checks" points=2
got = bilinear_kernel(1)
assert got is not None, "bilinear_kernel returned None: is the `return` missing?"
assert got.shape == (2, 2), f"stride 1 has a 2 × 2 kernel, yours is {list(got.shape)}"
assert torch.allclose(got, torch.full((2, 2), 0.25)), f"for stride 1 all four are 0.25, yours is {got.tolist()}: the tent is centred between its two middle cells"
four = bilinear_kernel(2)[1]
assert torch.allclose(four, torch.tensor([0.1875, 0.5625, 0.5625, 0.1875])), f"the second row for stride 2 is [0.1875, 0.5625, 0.5625, 0.1875], yours is {four.tolist()}"
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = build_model("fcn", categories).eval()
torch.manual_seed(0)
for layer in (network.network.score_fr, network.network.score_pool4, network.network.score_pool3):
    torch.nn.init.normal_(layer.weight)  # fresh score layers are zero: nothing would be compared
picture = torch.rand(3, 64, 96)
with torch.no_grad():
    expected = network([picture]).logits
    with seglib.use(conv_transpose2d=conv_transpose2d):
        on_yours = network([picture]).logits
assert torch.allclose(on_yours, expected, atol=1e-3), f"an FCN-8s on your conv_transpose2d differs by up to {(on_yours - expected).abs().max():.3g}"
### BEGIN HIDDEN TESTS
for stride in (1, 2, 3, 8, 16):
    got = bilinear_kernel(stride)
    tent = [1 - abs(i - (stride - 0.5)) / stride for i in range(2 * stride)]
    wanted = torch.tensor([[a * b for b in tent] for a in tent])
    assert got.shape == wanted.shape and torch.allclose(got, wanted, atol=1e-6), f"stride {stride}: the kernel differs"
with torch.no_grad(), seglib.use(conv_transpose2d=conv_transpose2d):
    again = network([picture[:, :50, :70]]).logits
with torch.no_grad():
    assert torch.allclose(again, network([picture[:, :50, :70]]).logits, atol=1e-3), "on another image size the FCN differs"
### END HIDDEN TESTS

# %% [markdown] id="see-it"
# Now see it at work: the shipped FCN-8s, with your layer on the way up. (Nothing is graded here.)

# %% id="see-it-run" nbgrader="locked"
from seglib import plotting
from seglib.data import load_dataset
from seglib.pretrained import load

fcn = load("fcn")
image, target = load_dataset(split="val", size=128)[0]
with seglib.use(conv_transpose2d=conv_transpose2d):
    yours = fcn.predict([image])[0]
plotting.compare(image, {"on PyTorch's layer": fcn.predict([image])[0], "on yours": yours}, fcn.categories)

# %% [markdown] id="task-iou"
# ## Task 3: mean IoU, with ignored pixels
#
# *3 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# Count pixels into a table, row the true class and column the predicted one, and leave out pixels whose true
# label is 255. Then the mean IoU, over the classes that occur in the truth *or* in the prediction.
#
# Example by hand: `true = [0, 0, 1, 255]`, `predicted = [0, 1, 1, 0]`, three classes. The table is
# `[[1, 1, 0], [0, 1, 0], [0, 0, 0]]`; the IoUs of classes 0 and 1 are 1/2 and 1/2; class 2 never occurs and does
# not count; the mean IoU is 0.5.

# %% id="mean-iou" nbgrader="solution"
def confusion(predicted, true, classes):
    """predicted, true: int64 tensors of one shape, true may hold 255. Returns int64 [classes, classes]."""
    ### BEGIN SOLUTION
    counted = true != 255
    pairs = true[counted] * classes + predicted[counted]
    return pairs.bincount(minlength=classes**2).reshape(classes, classes)
    ### END SOLUTION


def mean_iou(table):
    """table: int64 [classes, classes], row true, column predicted. Returns a Python float."""
    ### BEGIN SOLUTION
    true_positives = table.diagonal().double()
    union = table.sum(0) + table.sum(1) - table.diagonal()
    return float((true_positives[union > 0] / union[union > 0]).mean())
    ### END SOLUTION

# %% id="mean-iou-checks" nbgrader="checks" points=3
table = confusion(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 255]), 3)
assert table is not None, "confusion returned None: is the `return` missing?"
assert table.shape == (3, 3), f"three classes make a 3 × 3 table, yours is {list(table.shape)}"
assert table.sum() == 3, f"three pixels count (the one with 255 does not), yours counts {int(table.sum())}"
assert table.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]], f"expected [[1, 1, 0], [0, 1, 0], [0, 0, 0]], yours is {table.tolist()}: rows are the truth"
got = mean_iou(table)
assert got == got, "the mean is nan: leave out classes that occur neither in the truth nor in the prediction"
assert abs(got - 0.5) < 1e-6, f"the example's mean IoU is 0.5, yours is {got:.4f}"
alarm = mean_iou(torch.tensor([[8, 2], [0, 0]]))
assert abs(alarm - 0.4) < 1e-6, f"a class that is only predicted, never true, has IoU 0 and counts: expected (0.8 + 0)/2 = 0.4, yours is {alarm:.4f}"
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    classes = 3 + seed
    true, predicted = torch.randint(classes, (9, 11)), torch.randint(classes - 1, (9, 11))
    true[torch.rand(9, 11) < 0.2] = 255
    true[true == 1] = 0
    wanted = torch.zeros(classes, classes, dtype=torch.long)
    for t, p in zip(true.flatten().tolist(), predicted.flatten().tolist(), strict=True):
        if t != 255:
            wanted[t, p] += 1
    got = confusion(predicted, true, classes)
    assert torch.equal(got, wanted), f"seed {seed}: the table differs"
    values = []
    for c in range(classes):
        union = int(wanted[c].sum() + wanted[:, c].sum() - wanted[c, c])
        if union:
            values.append(int(wanted[c, c]) / union)
    assert abs(mean_iou(wanted) - sum(values) / len(values)) < 1e-6, f"seed {seed}: the mean IoU differs"
### END HIDDEN TESTS

# %% [markdown] id="task-fuse"
# ## Task 4: the way up of an FCN-8s
#
# *4 points · difficulty 5/5 · importance 3/5 · 30 minutes*
#
# The lesson built the way up of a 16s. Build that of an 8s, for the pocket network (its maps lie over the image
# as in the lesson's drawing: cell $i$ of the map of stride $s$ covers pixels $s\,i$ to $s\,i + s - 1$).
#
# 1. Enlarge `score32` by 2 and cut it so that it lies on `score16`; add.
# 2. Enlarge the sum by 2 and cut it so that it lies on `score8`; add.
# 3. Enlarge by 8 and cut it so that it lies on the image.
#
# Sides need not be multiples of 32: maps are then rounded *up* (a side of 100 has 4, 7 and 13 cells), so each cut
# takes what it needs from the front and lets the next map's size, or `size`, decide the rest. Every class is enlarged
# by itself: `groups` is your friend. Use your functions from task 2, or write the enlarging anew.

# %% id="fuse" nbgrader="solution"
def fuse_8s(score32, score16, score8, size):
    """Score maps [K, h, w] of strides 32, 16 and 8 and the image's (H, W) -> logits [K, H, W]."""
    ### BEGIN SOLUTION
    def enlarge(scores, stride):
        classes = len(scores)
        kernel = bilinear_kernel(stride).to(scores).expand(classes, 1, -1, -1)
        return conv_transpose2d(scores[None], kernel, stride=stride, groups=classes)[0]

    def cut(scores, front, like):
        return scores[:, front : front + like[0], front : front + like[1]]

    total = score16 + cut(enlarge(score32, 2), 1, score16.shape[1:])
    total = score8 + cut(enlarge(total, 2), 1, score8.shape[1:])
    return cut(enlarge(total, 8), 4, size)
    ### END SOLUTION

# %% id="fuse-checks" nbgrader="checks" points=4
def empty_scores(height, width):
    """Zero scores of three classes, for an image of this size."""
    return {s: torch.zeros(3, -(-height // s), -(-width // s)) for s in (32, 16, 8)}


def centre(logits):
    """Row and column of the centre of mass of class 1."""
    rows, columns = (torch.arange(n).float() for n in logits.shape[1:])
    weight = logits[1] / logits[1].sum()
    return (weight.sum(1) @ rows).item(), (weight.sum(0) @ columns).item()


for stride, cell, where in ((8, 4, 35.5), (16, 3, 55.5), (32, 1, 47.5)):
    scores = empty_scores(128, 128)
    scores[stride][1, cell, cell] = 1
    logits = fuse_8s(scores[32], scores[16], scores[8], (128, 128))
    assert logits is not None, "fuse_8s returned None: is the `return` missing?"
    assert logits.shape == (3, 128, 128), f"expected logits [3, 128, 128], yours are {list(logits.shape)}"
    assert logits[0].abs().max() == 0 and logits[2].abs().max() == 0, "a score of class 1 must not reach the other classes: is each class enlarged by itself?"
    row, column = centre(logits)
    assert abs(row - where) < 0.1 and abs(column - where) < 0.1, f"cell ({cell}, {cell}) of stride {stride} is centred on pixel {where}; in your logits it lies at ({row:.1f}, {column:.1f}): look at the cuts after its enlarging"
odd = empty_scores(100, 75)
logits = fuse_8s(odd[32], odd[16], odd[8], (100, 75))
assert logits.shape == (3, 100, 75), f"for an image of 100 × 75 expected [3, 100, 75], yours are {list(logits.shape)}"
### BEGIN HIDDEN TESTS
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = build_model("fcn", categories, learn_upsampling="none").network.eval()
for seed, (height, width) in enumerate([(128, 128), (64, 96), (100, 75), (33, 150)]):
    torch.manual_seed(seed)
    scores = {s: torch.randn_like(v) for s, v in empty_scores(height, width).items()}
    with torch.no_grad():
        wanted = network.fuse({s: v[None] for s, v in scores.items()}, (height, width))[0]
    got = fuse_8s(scores[32], scores[16], scores[8], (height, width))
    assert got.shape == wanted.shape, f"{height} × {width}: shape {list(got.shape)}, expected {list(wanted.shape)}"
    assert torch.allclose(got, wanted, atol=1e-4), f"{height} × {width}: logits differ from those of seglib's FCN-8s"
### END HIDDEN TESTS
