# %% [markdown] id="intro"
# # Assignment 04: Fully convolutional networks
#
# Four tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 04](../04_fcn.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All tensors that the checks pass in, including
# the hidden ones, are float32 unless a task says otherwise; return float32 as well.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. A fully connected layer as a convolution | 2 | 1/5 | 5/5 | 5 |
# | 2. Transposed convolution, inside a real network | 5 | 4/5 | 5/5 | 30 |
# | 3. Mean IoU, with ignored labels | 3 | 2/5 | 5/5 | 10 |
# | 4. The way up of an FCN-8s | 4 | 3/5 | 3/5 | 15 |

# %% id="imports" nbgrader="locked"
import torch
from torch.nn import functional as F

import seglib
from seglib.models import build_model
from seglib.structures import Categories

# %% [markdown] id="task-dense"
# ## Task 1: a fully connected layer as a convolution
#
# *2 points · difficulty 1/5 · importance 5/5 · 5 minutes*
#
# A linear layer was trained on feature maps of `C` × `k` × `k` cells, flattened in that order. Run
# it at every position of a larger map, without a loop.
#
# Example by hand: `features = [[[1, 2, 3]]]` (one channel, one row), `weight = [[10]]`, `k = 1`,
# `bias = [5]`: the layer looks at one cell at a time and returns `[[[15, 25, 35]]]`.
#
# <details><summary>First hint</summary>
# One row of the weight contains C · k · k numbers, in the order of the flattened window. What shape
# does the kernel of a convolution with O output channels have?
# </details>
# <details><summary>Second hint</summary>
# A reshape to [O, C, k, k] is enough, since both are flattened in the same order; the bias stays as
# it is.
# </details>

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
row, ten, five = torch.tensor([[[[1.0, 2, 3]]]]), torch.tensor([[10.0]]), torch.tensor([5.0])
got = dense_scores(row, ten, five, k=1)
assert got is not None, "dense_scores returned None: is the `return` missing?"
assert got.dtype == torch.float32, f"the scores have the features' dtype, float32; not {got.dtype}"
got = got.flatten().tolist()
assert got != [10, 20, 30], "the example gives [15, 25, 35], yours is [10, 20, 30]: add the bias"
assert got == [15, 25, 35], f"the example gives [15, 25, 35], yours is {got}"
torch.manual_seed(0)
features, weight, bias = torch.randn(2, 3, 5, 6), torch.randn(4, 12), torch.randn(4)
got = dense_scores(features, weight, bias, k=2)
assert got.shape == (2, 4, 4, 5), (
    f"a 2 × 2 layer with 4 outputs fits at 4 × 5 places of a 5 × 6 map, so two maps give "
    f"[2, 4, 4, 5]; yours is {list(got.shape)}"
)
for r in range(4):
    for c in range(5):
        wanted = features[:, :, r : r + 2, c : c + 2].flatten(1) @ weight.T + bias
        assert torch.allclose(got[:, :, r, c], wanted, atol=1e-5), (
            f"at place ({r}, {c}) your scores are not those of the linear layer on that window: "
            "is the weight reshaped to [O, C, k, k], in this order, and nothing done to the scores?"
        )
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    channels, k = 2 + seed, 1 + seed % 4
    features, weight = torch.randn(2, channels, 7, 9), torch.randn(5, channels * k * k)
    bias = torch.randn(5)
    got = dense_scores(features, weight, bias, k)
    for r in range(8 - k):
        for c in range(10 - k):
            wanted = features[:, :, r : r + k, c : c + k].flatten(1) @ weight.T + bias
            assert torch.allclose(got[:, :, r, c], wanted, atol=1e-4), (
                f"k = {k}: place ({r}, {c}) differs from the linear layer"
            )
    assert got.shape == (2, 5, 8 - k, 10 - k), f"k = {k}: the shape is {list(got.shape)}"
    part = dense_scores(features[:, :, 1:, 2:], weight, bias, k)
    assert torch.allclose(part, got[:, :, 1:, 2:], atol=1e-4), (
        f"k = {k}: a part of the map has other scores than the same places of the whole map"
    )
### END HIDDEN TESTS
print("✓ 2 of 2 points: the example, the output's shape, and all 20 places of a random map")

# %% [markdown] id="task-transposed"
# ## Task 2: transposed convolution, inside a real network
#
# *5 points · difficulty 4/5 · importance 5/5 · 30 minutes*
#
# The lesson stamped with one kernel at a time. A layer has channels: input channel $c$ stamps the
# kernel `weight[c, o]` onto output channel $o$, and every output channel adds up what it receives.
# Finally, `padding` rows and columns are cut off at each border.
#
# **Transfer.** No cell of the lesson has `groups` or kernels that are not square. With groups the
# input channels are split into equal parts, in order, and part $g$ stamps only onto the $g$-th part
# of the output channels.
#
# Example by hand: `x = [[1, 3]]`, kernel `[[1, 2, 1]]`, stride 2. The stamps `[1, 2, 1]` and
# `[3, 6, 3]` begin at columns 0 and 2: `[[1, 2, 4, 6, 3]]`. With padding (0 rows, 1 column) it
# would be `[[2, 4, 6]]`; here padding is the same both ways.
#
# <details><summary>First hint</summary>
# Solve it for <code>groups=1</code> first. For each cell (i, j) of the kernel, all inputs at once
# add <code>torch.einsum("bchw,co->bohw", x, weight[:, :, i, j])</code> to one strided view.
# </details>
# <details><summary>Second hint</summary>
# For groups, unflatten the channels of x to [B, G, C/G, H, W] and the first axis of weight to
# [G, C/G, O/G, kh, kw], and give the einsum a letter for the group.
# </details>

# %% id="conv-transpose" nbgrader="solution" forbidden="convolution"
def conv_transpose2d(
    x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """Stamp kernels.

    x: [B, C, H, W]; weight: [C, O/groups, kh, kw], kh and kw may differ; bias: [O] or None.
    stride, padding: an int, or a pair (v, v).
    output_padding is always 0 and dilation 1; they are here because seglib's layer passes them.
    Returns [B, O, (H - 1)·stride - 2·padding + kh, (W - 1)·stride - 2·padding + kw].
    Do not call a convolution of torch, transposed or not. A loop over the kernel's cells is fine.
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
# Then comes the kernel to start from: the product of two tents, of width $2s$ in each direction.
# The lesson enlarged by the same factor in both directions; here each direction has its own.
# Example by hand: for stride 1 the tent is `[0.5, 0.5]`, for stride 2 `[0.25, 0.75, 0.75, 0.25]`.
# The kernel that enlarges by 1 downwards and 2 across is `[[0.125, 0.375, 0.375, 0.125], [0.125,
# 0.375, 0.375, 0.125]]`. (`seglib.ops.bilinear_kernel` takes the *size* 2s, your function the
# strides.)

# %% id="bilinear-kernel" nbgrader="solution" forbidden="bilinear_kernel"
def bilinear_kernel(down, across):
    """float32 [2·down, 2·across]: enlarges by `down` vertically and `across` horizontally."""
    ### BEGIN SOLUTION
    rows, columns = (1 - (torch.arange(2 * s) - (s - 0.5)).abs() / s for s in (down, across))
    return torch.outer(rows, columns)
    ### END SOLUTION

# %% id="conv-transpose-checks" nbgrader="checks" points=3
got = conv_transpose2d(torch.tensor([[[[1.0, 3]]]]), torch.tensor([[[[1.0, 2, 1]]]]), stride=2)
assert got is not None, "conv_transpose2d returned None: is the `return` missing?"
assert got.dtype == torch.float32, f"the output is float32 like the input, not {got.dtype}"
assert got.numel(), "with padding 0 your output is empty: y[0:-0] is; count the end from the front"
assert got.shape == (1, 1, 1, 5), (
    f"the example's output is [1, 1, 1, 5], yours is {list(got.shape)}: the last stamp begins at "
    "(n − 1)·stride and is k long, and this kernel has one row and three columns"
)
got = got.flatten().tolist()
assert got == [1, 2, 4, 6, 3], f"the example gives [1, 2, 4, 6, 3], yours is {got}: stamps add up"
# x's channels, weight's shape, arguments, and what to look at if only this goes wrong
cases = {
    "stride 1": (1, (1, 1, 2, 3), {}, "stamps as they are, not turned, 1 apart"),
    "stride 3": (1, (1, 1, 2, 3), {"stride": 3}, "stamps are `stride` apart, in both directions"),
    "two input channels": (2, (2, 1, 2, 3), {}, "an output adds up the stamps of all inputs"),
    "two output channels": (1, (1, 2, 2, 3), {}, "input c stamps weight[c, o] onto output o"),
    "a bias": (2, (2, 3, 2, 3), {"bias": torch.tensor([1.0, 2, 3])}, "add bias[o] once per cell"),
    "padding": (1, (1, 1, 4, 5), {"padding": 1}, "cut `padding` rows and columns at all 4 sides"),
    "pairs": (1, (1, 1, 4, 4), {"padding": (1, 1), "stride": (2, 2)}, "(v, v) means v both ways"),
    "groups": (4, (4, 3, 2, 3), {"groups": 2}, "part g of the inputs meets part g of the outputs"),
    "groups and a bias": (
        4, (4, 2, 2, 3), {"groups": 2, "bias": torch.tensor([1.0, 2, 3, 4])}, "add bias[o] here too"
    ),
}  # fmt: skip
for name, (channels, shape, arguments, advice) in cases.items():
    torch.manual_seed(0)
    x, w = torch.randn(2, channels, 3, 5), torch.randn(shape)
    got, wanted = conv_transpose2d(x, w, **arguments), F.conv_transpose2d(x, w, **arguments)
    assert got.shape == wanted.shape, (
        f"{name}: expected shape {list(wanted.shape)}, yours is {list(got.shape)}: {advice}"
    )
    for at in ((got - wanted).abs() > 1e-4).nonzero():  # the first place that differs
        b, o, r, c = at.tolist()
        raise AssertionError(
            f"{name}: in map {b}, output channel {o}, cell ({r}, {c}), {wanted[b, o, r, c]:.4f} is "
            f"expected and yours is {got[b, o, r, c]:.4f}: {advice}"
        )
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    for groups, stride, padding, kh, kw in [
        (1, 1, 0, 3, 3), (2, 2, 1, 4, 4), (4, 3, 2, 5, 7), (1, 4, 2, 8, 8), (2, 2, 0, 1, 1)
    ]:  # fmt: skip
        x, w, b = torch.randn(2, 4, 5, 3), torch.randn(4, 3, kh, kw), torch.randn(3 * groups)
        wanted = F.conv_transpose2d(x, w, b, stride, padding, 0, groups)
        got = conv_transpose2d(x, w, b, (stride, stride), padding, 0, groups)
        case = f"groups {groups}, stride {stride}, padding {padding}, kernel {kh} × {kw}"
        assert got.shape == wanted.shape, (
            f"{case}: expected shape {list(wanted.shape)}, got {list(got.shape)}"
        )
        assert torch.allclose(got, wanted, atol=1e-4), f"{case}: values differ"
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, then each of", ", ".join(cases))

# %% id="bilinear-checks" nbgrader="checks" points=2
got = bilinear_kernel(1, 1)
assert got is not None, "bilinear_kernel returned None: is the `return` missing?"
assert got.shape == (2, 2), f"strides 1 and 1 have a 2 × 2 kernel, yours is {list(got.shape)}"
assert got.dtype == torch.float32, f"the kernel is float32, yours is {got.dtype}"
assert torch.allclose(got, torch.full((2, 2), 0.25)), (
    f"for strides 1 and 1 all four are 0.25, yours is {got.tolist()}: the tent is "
    "[0.5, 0.5], since its "
    "tip lies between the two cells, at stride − 1/2, and the kernel is tent times tent"
)
second = bilinear_kernel(2, 2)[1]
assert torch.allclose(second, torch.tensor([0.1875, 0.5625, 0.5625, 0.1875])), (
    "for strides 2 and 2 the second row is [0.1875, 0.5625, 0.5625, 0.1875], yours is "
    f"{second.tolist()}: the tent is [0.25, 0.75, 0.75, 0.25]"
)
got = bilinear_kernel(1, 2)
assert got.shape == (2, 4), (
    f"strides 1 down and 2 across have a 2 × 4 kernel, yours is {list(got.shape)}: the first "
    "stride belongs to the rows"
)
assert torch.allclose(got, torch.tensor([[0.125, 0.375, 0.375, 0.125]] * 2)), (
    f"for strides 1 and 2 both rows are [0.125, 0.375, 0.375, 0.125], yours are {got.tolist()}"
)
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
apart = (on_yours - expected).abs().max()
assert apart < 1e-3, (
    f"the logits of an FCN-8s on your conv_transpose2d differ by up to {apart:.3g}: "
    "do all checks of conv_transpose2d above still pass?"
)
### BEGIN HIDDEN TESTS
for pair in ((1, 1), (2, 2), (3, 2), (8, 8), (4, 16)):
    got = bilinear_kernel(*pair)
    tall, wide = ([1 - abs(i - (s - 0.5)) / s for i in range(2 * s)] for s in pair)
    wanted = torch.tensor([[a * b for b in wide] for a in tall])
    assert got.shape == wanted.shape, f"strides {pair}: got shape {list(got.shape)}"
    assert torch.allclose(got, wanted, atol=1e-6), f"strides {pair}: the kernel differs"
smaller = picture[:, :50, :70]
with torch.no_grad(), seglib.use(conv_transpose2d=conv_transpose2d):
    again = network([smaller]).logits
with torch.no_grad():
    assert torch.allclose(again, network([smaller]).logits, atol=1e-3), (
        "on another image size the FCN-8s differs"
    )
### END HIDDEN TESTS
print("✓ 2 of 2 points: kernels of three pairs of strides, and a whole FCN-8s on your layer")

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
answers = {"on PyTorch's layer": fcn.predict([image])[0], "on yours": yours}
plotting.compare(image, answers, fcn.categories)

# %% [markdown] id="task-iou"
# ## Task 3: mean IoU, with ignored labels
#
# *3 points · difficulty 2/5 · importance 5/5 · 10 minutes*
#
# Count pixels into a table whose rows are the true classes and whose columns the predicted ones.
# The lesson left out the true label 255; here the caller says which true labels are left out, so
# that a class that the network was not trained on can be ignored as well. Then compute the mean IoU
# over the classes that occur in the table, in the truth *or* in the prediction.
#
# Example by hand: `true = [0, 0, 1, 255]`, `predicted = [0, 1, 1, 0]`, three classes, 255 ignored.
# The table is
# `[[1, 1, 0], [0, 1, 0], [0, 0, 0]]`; the IoUs of classes 0 and 1 are 1/2 and 1/2; class 2 never
# occurs and does not count; the mean IoU is 0.5.
#
# <details><summary>First hint</summary>
# A pixel with true class t and predicted class p is counted in cell t · classes + p of a flat
# table. Select the pixels that count before you compute this number.
# </details>
# <details><summary>Second hint</summary>
# <code>torch.isin</code> finds the labels to leave out, <code>bincount(minlength=…)</code> counts,
# and a reshape makes the table. For the mean IoU: the diagonal is what both have in common, and a
# class occurs if its row sum plus its column sum is above 0.
# </details>

# %% id="mean-iou" nbgrader="solution"
def confusion(predicted, true, classes, ignored):
    """Count pixels by true (row) and predicted (column) class.

    predicted, true: int64 of one shape; ignored: a list of true labels to leave out. Every other
    label is in 0 … classes - 1. Returns int64 [classes, classes].
    """
    ### BEGIN SOLUTION
    counted = ~torch.isin(true, torch.tensor(ignored))
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
def checked(case, *arguments):
    """The table; an error on the way says which labels were not left out."""
    try:
        return confusion(*arguments)
    except (RuntimeError, IndexError) as error:
        raise AssertionError(
            f"{case}: {error}. Leave out the pixels whose true label is in {arguments[-1]}, and "
            "make a table of classes × classes even if a class is absent"
        ) from error


table = checked("the example", torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 255]), 3, [255])
assert table is not None, "confusion returned None: is the `return` missing?"
assert table.dtype == torch.int64, f"a table of counts is int64, yours is {table.dtype}"
assert table.shape == (3, 3), f"three classes make a 3 × 3 table, yours is {list(table.shape)}"
assert table.sum() == 3, f"three pixels count, the one with 255 does not; yours has {table.sum()}"
assert table.tolist() != [[1, 0, 0], [1, 1, 0], [0, 0, 0]], (
    "your table is the other way round: rows are the truth, columns the prediction"
)
assert table.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]], (
    f"the example's table is [[1, 1, 0], [0, 1, 0], [0, 0, 0]], yours is {table.tolist()}"
)
maps = torch.tensor([[0, 0, 2], [2, 2, 1]]), torch.tensor([[0, 0, 2], [2, 0, 255]])
table = checked("two rows", *maps, 3, [255])
assert table.tolist() == [[2, 0, 1], [0, 0, 0], [0, 0, 2]], (
    "for predicted [[0, 0, 2], [2, 2, 1]] and true [[0, 0, 2], [2, 0, 255]] the table is "
    f"[[2, 0, 1], [0, 0, 0], [0, 0, 2]], yours is {table.tolist()}"
)
table = checked("class 0 ignored as well", *maps, 3, [0, 255])
assert table.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 2]], (
    "with [0, 255] ignored, two pixels remain, both of class 2: the table is "
    f"[[0, 0, 0], [0, 0, 0], [0, 0, 2]], yours is {table.tolist()}"
)
got = mean_iou(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]]))
assert got is not None, "mean_iou returned None: is the `return` missing?"
assert isinstance(got, float), f"mean_iou returns a Python float, yours is a {type(got).__name__}"
assert got == got, "your mean is nan: leave out classes that occur in neither truth nor prediction"
assert abs(got - 1 / 3) > 1e-6, (
    "the example's mean IoU is 0.5, yours is 1/3: do you divide by 3 (class 2 occurs nowhere and "
    "does not count), or leave the diagonal in row + column twice?"
)
assert abs(got - 0.5) < 1e-6, (
    f"the example's mean IoU is 0.5, yours is {got:.4f}: for each class diagonal / (row + column − "
    "diagonal), then the mean; 0.75 is a mean of precisions or of recalls, 0.67 is counted over "
    "all classes at once"
)
lost = mean_iou(torch.tensor([[8, 0], [2, 0]]))
assert abs(lost - 0.4) < 1e-6, (
    "a class that is true but never predicted has IoU 0, and it counts: for [[8, 0], [2, 0]] "
    f"expected (0.8 + 0)/2 = 0.4, yours is {lost:.4f}"
)
alarm = mean_iou(torch.tensor([[8, 2], [0, 0]]))
assert abs(alarm - 0.4) < 1e-6, (
    "a class that is predicted but never true has IoU 0, and it counts: for [[8, 2], [0, 0]] "
    f"expected (0.8 + 0)/2 = 0.4, yours is {alarm:.4f}"
)
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    classes = 3 + seed
    true, predicted = torch.randint(classes, (9, 11)), torch.randint(classes - 1, (9, 11))
    true[torch.rand(9, 11) < 0.2] = 255
    true[true == 1] = 0
    ignored = [[255], [255, 2], [0, 255]][seed % 3]
    wanted = torch.zeros(classes, classes, dtype=torch.long)
    for t, p in zip(true.flatten().tolist(), predicted.flatten().tolist(), strict=True):
        if t not in ignored:
            wanted[t, p] += 1
    got = confusion(predicted, true, classes, ignored)
    assert torch.equal(got, wanted), f"seed {seed}: the table differs"
    values = []
    for c in range(classes):
        union = int(wanted[c].sum() + wanted[:, c].sum() - wanted[c, c])
        if union:
            values.append(int(wanted[c, c]) / union)
    assert abs(mean_iou(wanted) - sum(values) / len(values)) < 1e-6, (
        f"seed {seed}: the mean IoU differs"
    )
    assert abs(mean_iou(7 * wanted) - mean_iou(wanted)) < 1e-6, (
        f"seed {seed}: seven times as many pixels in every cell change the mean IoU"
    )
    before = predicted.clone(), true.clone()
    confusion(predicted, true, classes, ignored)
    assert all(map(torch.equal, before, (predicted, true))), f"seed {seed}: a map was changed"
### END HIDDEN TESTS
print("✓ 3 of 3 points: three tables with ignored labels, absent classes, and false alarms")

# %% [markdown] id="task-fuse"
# ## Task 4: the way up of an FCN-8s
#
# *4 points · difficulty 3/5 · importance 3/5 · 15 minutes*
#
# **Transfer.** The lesson built the way up of a 16s; no cell of it builds that of an 8s, for images
# whose sides are not multiples of 32. The maps are those of the pocket network and lie over the
# image as in the lesson's drawing: cell $i$ of the map of stride $s$ covers pixels $s\,i$ to
# $s\,i + s - 1$.
#
# 1. Enlarge `score32` by 2 and crop it so that it lies on `score16`; add.
# 2. Enlarge the sum by 2 and crop it so that it lies on `score8`; add.
# 3. Enlarge by 8 and crop it so that it lies on the image.
#
# Sides need not be multiples of 32: the network's poolings round the number of cells *up* (a side
# of 100 has 4, 7 and 13 cells). Every class is enlarged by itself. Use your functions from task 2,
# or write the enlargement again.
#
# <details><summary>First hint</summary>
# With kernel 2s and stride s, an enlarged map begins s/2 cells before the map that it must lie on.
# Cut those off the front, and let the size of the next map (or <code>size</code>) decide where it
# ends.
# </details>
# <details><summary>Second hint</summary>
# <code>conv_transpose2d(scores[None], kernel, stride=s, groups=K)[0]</code>, with the bilinear
# kernel expanded to [K, 1, 2s, 2s], enlarges K classes, each by itself.
# </details>

# %% id="fuse" nbgrader="solution"
def fuse_8s(score32, score16, score8, size):
    """Score maps [K, h, w] of strides 32, 16 and 8 and the image's (H, W) -> logits [K, H, W]."""
    ### BEGIN SOLUTION
    def enlarge(scores, stride):
        classes = len(scores)
        kernel = bilinear_kernel(stride, stride).to(scores).expand(classes, 1, -1, -1)
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


path = {8: "the enlarging by 8", 16: "the second enlarging by 2", 32: "the first enlarging by 2"}
for stride, (r, c) in {8: (4, 9), 16: (3, 4), 32: (1, 2)}.items():
    scores = empty_scores(128, 160)
    scores[stride][1, r, c] = 1
    logits = fuse_8s(scores[32], scores[16], scores[8], (128, 160))
    assert logits is not None, "fuse_8s returned None: is the `return` missing?"
    assert logits.dtype == torch.float32, f"logits are float32 like the scores, not {logits.dtype}"
    assert logits.shape == (3, 128, 160), (
        f"expected logits [3, 128, 160], yours are {list(logits.shape)}"
    )
    assert logits.abs().sum() > 0, (
        f"a score of stride {stride} leaves no trace in the logits: is score{stride} added?"
    )
    assert logits[0].abs().max() == 0 and logits[2].abs().max() == 0, (
        "a score of class 1 reaches the other classes: enlarge each class by itself"
    )
    if stride == 8:  # one enlarging only: is its kernel right?
        rows = logits[1].sum(1)
        tent = 8 - (torch.arange(16) - 7.5).abs()
        assert len(rows[rows > 0]) == 16 and torch.allclose(rows[rows > 0], tent, atol=1e-3), (
            "a score of 1 in one cell of stride 8 must leave the bilinear kernel of 16 × 16 in the "
            "logits, whose rows add up to 0.5, 1.5, … 7.5, 7.5, … 0.5; yours add up to "
            f"{[round(v, 2) for v in rows[rows > 0].tolist()]}: check the kernel first"
        )
    wanted = stride * r + stride / 2 - 0.5, stride * c + stride / 2 - 0.5
    found = centre(logits)
    assert max(abs(a - b) for a, b in zip(wanted, found, strict=True)) < 0.1, (
        f"cell ({r}, {c}) of stride {stride} is centred on pixel {wanted}; in your logits it is "
        f"centred on ({found[0]:.1f}, {found[1]:.1f}): look at the cut after {path[stride]}"
    )
    mass = logits[1].sum().item()
    assert abs(mass - stride**2) < 0.01 * stride**2, (
        f"a score of 1 at stride {stride} must spread over {stride} × {stride} pixels' worth: its "
        f"logits add up to {stride**2}, yours to {mass:.0f}: are all kernels bilinear?"
    )
odd = empty_scores(100, 75)
try:
    logits = fuse_8s(odd[32], odd[16], odd[8], (100, 75))
except RuntimeError as error:
    raise AssertionError(
        f"an image of 100 × 75 has maps of 4 × 3, 7 × 5 and 13 × 10 cells; there: {error}. "
        "Cut only the front by a fixed number, and end with the size of the next map"
    ) from error
assert logits.shape == (3, 100, 75), (
    f"for an image of 100 × 75 expected [3, 100, 75], yours are {list(logits.shape)}"
)
### BEGIN HIDDEN TESTS
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = build_model("fcn", categories, learn_upsampling="none").network.eval()
for seed, (height, width) in enumerate([(128, 128), (64, 96), (100, 75), (33, 150)]):
    torch.manual_seed(seed)
    scores = {s: torch.randn_like(v) for s, v in empty_scores(height, width).items()}
    with torch.no_grad():
        wanted = network.fuse({s: v[None] for s, v in scores.items()}, (height, width))[0]
    got = fuse_8s(scores[32], scores[16], scores[8], (height, width))
    assert got.shape == wanted.shape, (
        f"{height} × {width}: expected shape {list(wanted.shape)}, got {list(got.shape)}"
    )
    assert torch.allclose(got, wanted, atol=1e-4), (
        f"{height} × {width}: logits differ from those of seglib's FCN-8s: every enlarging is that "
        "of task 2 with a bilinear kernel, at the border too"
    )
    before = {s: v.clone() for s, v in scores.items()}
    fuse_8s(scores[32], scores[16], scores[8], (height, width))
    assert all(torch.equal(before[s], scores[s]) for s in scores), (
        f"{height} × {width}: the score maps that it is given were changed"
    )
### END HIDDEN TESTS
print("✓ 4 of 4 points: where a score of each stride goes and how far it spreads; odd sides")
