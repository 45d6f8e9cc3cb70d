# %% [markdown] id="intro"
# # Assignment 02: Convolution
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 02](../02_convolution.ipynb). Replace the line
# `raise NotImplementedError` and run the checks below it.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. Convolution with stride and padding | 3 | 2/5 | 5/5 | 15 |
# | 2. `im2col` with dilation, and groups, inside a real network | 4 | 4/5 | 4/5 | 25 |
# | 3. The backward pass with stride | 3 | 4/5 | 4/5 | 25 |

# %% id="imports" nbgrader="locked"
import torch
from torch.nn import functional as F

import seglib

# %% [markdown] id="task-stride"
# ## Task 1: convolution with stride and padding
#
# *3 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# Write the loop of the lesson for one channel, with a stride and with zero padding.
#
# Example by hand: `x = [[1, 2], [3, 4]]`, `w = [[1, 1], [1, 1]]`, stride 2, padding 1. The padded
# image is 4 × 4 with zeros all around; the window takes its four corner blocks, each with one
# number inside: the output is `[[1, 2], [3, 4]]`.

# %% id="conv2d-stride" nbgrader="solution"
def conv2d_one(x, w, stride=1, padding=0):
    """Cross-correlate one channel with one kernel.

    x: [H, W] floats; w: [kh, kw] floats; stride, padding: ints, the same both ways.
    Returns [OH, OW] with OH = (H + 2 padding - kh) // stride + 1, OW alike.
    Do not call a convolution of torch: use slices, products and sums.
    """
    ### BEGIN SOLUTION
    x = F.pad(x, (padding, padding, padding, padding))
    (height, width), (kh, kw) = x.shape, w.shape
    rows, columns = (height - kh) // stride + 1, (width - kw) // stride + 1
    y = torch.zeros(rows, columns, dtype=x.dtype)
    for r in range(rows):
        for c in range(columns):
            top, left = r * stride, c * stride
            y[r, c] = (x[top : top + kh, left : left + kw] * w).sum()
    return y
    ### END SOLUTION

# %% id="conv2d-stride-checks" nbgrader="checks" points=3
got = conv2d_one(torch.tensor([[1.0, 2], [3, 4]]), torch.ones(2, 2), stride=2, padding=1)
assert got is not None, "conv2d_one returned None: is the `return` missing?"
assert got.shape == (2, 2), f"the example should give 2×2, yours is {tuple(got.shape)}: pad first, then count the places with the stride"
assert torch.equal(got, torch.tensor([[1.0, 2], [3, 4]])), f"the example should give [[1, 2], [3, 4]], yours is {got.tolist()}"
row = conv2d_one(torch.tensor([[1.0, 2, 4, 7]]), torch.tensor([[-1.0, 1]]))
assert torch.equal(row, torch.tensor([[1.0, 2, 3]])), f"[1, 2, 4, 7] with [-1, 1] gives [1, 2, 3], yours is {row.tolist()}: negative numbers mean that you turned the kernel"
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    x, w = torch.randn(9 + seed, 12), torch.randn(3, 2 + seed % 3)
    for stride, padding in [(1, 0), (2, 1), (3, 2), (2, 0)]:
        wanted = F.conv2d(x[None, None], w[None, None], stride=stride, padding=padding)[0, 0]
        got = conv2d_one(x, w, stride, padding)
        assert got.shape == wanted.shape, f"stride {stride}, padding {padding}: shape {tuple(got.shape)}, expected {tuple(wanted.shape)}"
        assert torch.allclose(got, wanted, atol=1e-4), f"stride {stride}, padding {padding}: values differ"
### END HIDDEN TESTS

# %% [markdown] id="task-im2col"
# ## Task 2: `im2col` with dilation, and groups, inside a real network
#
# *4 points · difficulty 4/5 · importance 4/5 · 25 minutes*
#
# First the columns. Each of the $k_h \cdot k_w$ cells of the kernel sees, over all places, one shifted
# and strided view of the padded image; with dilation $d$ the shift of cell $(i, j)$ is $(d\,i, d\,j)$.
# The rows are ordered by channel, then kernel row, then kernel column. A slice can take every $s$-th
# element: `x[..., a : a + s * (n - 1) + 1 : s]` begins at `a` and has exactly `n` of them.
#
# Example by hand: `x = [[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]` (one channel), 2 × 2 windows, dilation 2:
# there is one place, and its column is `[1, 3, 7, 9]`.

# %% id="im2col" nbgrader="solution"
def im2col(x, kernel_size, stride=1, padding=0, dilation=1):
    """Lay out every window as a column.

    x: [B, C, H, W]; kernel_size: (kh, kw); stride, padding, dilation: ints, the same both ways.
    Returns [B, C·kh·kw, OH·OW] with OH = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1.
    """
    ### BEGIN SOLUTION
    x = F.pad(x, (padding, padding, padding, padding))
    batch, channels, height, width = x.shape
    kh, kw = kernel_size
    oh = (height - dilation * (kh - 1) - 1) // stride + 1
    ow = (width - dilation * (kw - 1) - 1) // stride + 1
    cells = []
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilation, j * dilation
            cells.append(
                x[:, :, top : top + stride * (oh - 1) + 1 : stride, left : left + stride * (ow - 1) + 1 : stride]
            )
    return torch.stack(cells, dim=2).reshape(batch, channels * kh * kw, oh * ow)
    ### END SOLUTION

# %% [markdown] id="task-conv2d"
# Now the layer: cut the columns into `groups` parts along their rows, multiply each with
# its part of the kernels, and join the results. It must take all the arguments below, because
# `seglib` will call it in place of its own.

# %% id="conv2d" nbgrader="solution"
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """x [B, C, H, W], weight [O, C/groups, kh, kw], bias [O] or None -> [B, O, OH, OW].

    stride, padding and dilation arrive as an int or as a pair (v, v) of equal ints.
    Use your im2col and matrix products, not a convolution of torch.
    """
    stride, padding, dilation = (v if isinstance(v, int) else v[0] for v in (stride, padding, dilation))
    ### BEGIN SOLUTION
    out_channels, _, kh, kw = weight.shape
    oh = (x.shape[2] + 2 * padding - dilation * (kh - 1) - 1) // stride + 1
    ow = (x.shape[3] + 2 * padding - dilation * (kw - 1) - 1) // stride + 1
    columns = im2col(x, (kh, kw), stride, padding, dilation)
    parts = []
    for w, c in zip(weight.chunk(groups), columns.chunk(groups, dim=1), strict=True):
        parts.append(w.flatten(1) @ c)
    y = torch.cat(parts, dim=1).reshape(len(x), out_channels, oh, ow)
    return y if bias is None else y + bias[:, None, None]
    ### END SOLUTION

# %% id="im2col-checks" nbgrader="checks" points=2
nine = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
got = im2col(nine, (2, 2), dilation=2)
assert got is not None, "im2col returned None: is the `return` missing?"
assert got.shape == (1, 4, 1), f"the example should give [1, 4, 1], yours is {list(got.shape)}"
assert got.flatten().tolist() == [1, 3, 7, 9], f"the example's column is [1, 3, 7, 9], yours is {got.flatten().tolist()}: shift cell (i, j) by dilation·i, dilation·j"
plain = im2col(nine, (2, 2))
assert plain.shape == (1, 4, 4), f"four windows of four cells: expected [1, 4, 4], yours is {list(plain.shape)}"
assert plain[0, :, 0].tolist() == [1, 2, 4, 5], f"the first window is [1, 2, 4, 5], yours is {plain[0, :, 0].tolist()}: windows are columns, not rows"
two = im2col(torch.stack([nine[0, 0], nine[0, 0] * 10])[None], (2, 2))
assert two[0, :, 0].tolist() == [1, 2, 4, 5, 10, 20, 40, 50], "rows run through the first channel's window, then the second's"
wide = im2col(torch.arange(25.0).reshape(1, 1, 5, 5), (2, 2), stride=3)
assert wide.shape == (1, 4, 4), f"stride 3 leaves two places each way: expected [1, 4, 4], yours is {list(wide.shape)}"
assert wide[0, :, 3].tolist() == [18, 19, 23, 24], f"the last window starts at row 3, column 3: [18, 19, 23, 24], yours is {wide[0, :, 3].tolist()}"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    x = torch.randn(2, 3, 9, 11)
    for kernel, stride, padding, dilation in [((3, 3), 1, 1, 1), ((2, 3), 2, 1, 2), ((3, 2), 3, 2, 1), ((1, 1), 2, 0, 1)]:
        wanted = F.unfold(x, kernel, dilation, padding, stride)
        got = im2col(x, kernel, stride, padding, dilation)
        assert got.shape == wanted.shape and torch.equal(got, wanted), f"kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}: columns differ"
### END HIDDEN TESTS

# %% id="conv2d-checks" nbgrader="checks" points=2
from seglib.models import build_model
from seglib.structures import Categories

torch.manual_seed(0)
x, w, b = torch.randn(2, 4, 8, 8), torch.randn(6, 2, 3, 3), torch.randn(6)
got = conv2d(x, w, b, padding=1, groups=2)
assert got is not None, "conv2d returned None: is the `return` missing?"
assert got.shape == (2, 6, 8, 8), f"padding 1 keeps 8×8: expected [2, 6, 8, 8], yours is {list(got.shape)}"
first = (x[0, :2, :3, :3] * w[0]).sum() + b[0]
assert torch.allclose(got[0, 0, 1, 1], first, atol=1e-4), "output channel 0 belongs to group 0 and sees input channels 0 and 1 only; did you add the bias?"
last = (x[0, 2:, :3, :3] * w[5]).sum() + b[5]
assert torch.allclose(got[0, 5, 1, 1], last, atol=1e-4), "output channel 5 belongs to group 1 and sees input channels 2 and 3 only"
wanted = F.conv2d(x, w[..., :2], None, stride=2, padding=1, dilation=2, groups=2)
got = conv2d(x, w[..., :2], None, stride=2, padding=1, dilation=2, groups=2)
assert got.shape == wanted.shape, f"stride 2, padding 1, dilation 2: expected {list(wanted.shape)}, yours is {list(got.shape)}"
assert torch.allclose(got, wanted, atol=1e-4), "stride 2, padding 1, dilation 2: the values differ"
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = build_model("fcn", categories).eval()
picture = torch.rand(3, 64, 64)
with torch.no_grad():
    expected = network([picture]).logits
    with seglib.use(conv2d=conv2d):
        on_yours = network([picture]).logits
assert torch.allclose(on_yours, expected, atol=1e-3), f"an FCN on your conv2d differs by up to {(on_yours - expected).abs().max():.3g}"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    for groups, stride, padding, dilation in [(1, 1, 0, 1), (2, 2, 1, 1), (4, 1, 2, 2), (1, 3, 1, 2)]:
        x, w = torch.randn(2, 4, 11, 9), torch.randn(8, 4 // groups, 3, 3)
        wanted = F.conv2d(x, w, None, stride, padding, dilation, groups)
        got = conv2d(x, w, None, (stride, stride), padding, dilation, groups)
        assert got.shape == wanted.shape, f"groups {groups}, stride {stride}: shape {list(got.shape)}, expected {list(wanted.shape)}"
        assert torch.allclose(got, wanted, atol=1e-4), f"groups {groups}, stride {stride}, padding {padding}, dilation {dilation}: values differ"
### END HIDDEN TESTS

# %% [markdown] id="task-backward"
# ## Task 3: the backward pass with stride
#
# *3 points · difficulty 4/5 · importance 4/5 · 25 minutes*
#
# In the lesson each output $g_{r,c}$ sent its gradient to the window that starts at $(r, c)$. With a stride
# $s$ that window starts at $(s\,r, s\,c)$. Everything else stays.
#
# Example by hand: `x = [[1, 2, 3, 4]]`, `w = [[10, 20]]`, stride 2, `g = [[1, 5]]`. The two windows are
# `[1, 2]` and `[3, 4]`, so `dw = 1·[1, 2] + 5·[3, 4] = [16, 22]`, and the stamps
# `1·[10, 20]` and `5·[10, 20]` give `dx = [10, 20, 50, 100]`.

# %% id="backward" nbgrader="solution"
def conv2d_backward(x, w, g, stride=1):
    """Gradients of a convolution without padding.

    x: [H, W]; w: [kh, kw]; g: [OH, OW], the loss's gradient for each output.
    Returns (dx [H, W], dw [kh, kw]). Do not use autograd.
    """
    ### BEGIN SOLUTION
    (oh, ow), (kh, kw) = g.shape, w.shape
    dx, dw = torch.zeros_like(x), torch.zeros_like(w)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + stride * (oh - 1) + 1, stride)
            columns = slice(j, j + stride * (ow - 1) + 1, stride)
            dw[i, j] = (g * x[rows, columns]).sum()
            dx[rows, columns] += g * w[i, j]
    return dx, dw
    ### END SOLUTION

# %% id="backward-checks" nbgrader="checks" points=3
answer = conv2d_backward(torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([[10.0, 20]]), torch.tensor([[1.0, 5]]), stride=2)
assert isinstance(answer, tuple) and len(answer) == 2, "return two tensors: (dx, dw)"
dx, dw = answer
assert dx.shape == (1, 4), f"dx is shaped like x, [1, 4]; yours is {list(dx.shape)}"
assert dw.shape == (1, 2), f"dw is shaped like w, [1, 2]; yours is {list(dw.shape)}"
assert dw.tolist() == [[16, 22]], f"the example's dw is [[16, 22]], yours is {dw.tolist()}"
assert dx.tolist() == [[10, 20, 50, 100]], f"the example's dx is [[10, 20, 50, 100]], yours is {dx.tolist()}: does each stamp start at stride·c?"
rows, _ = conv2d_backward(torch.zeros(5, 2), torch.ones(2, 2), torch.tensor([[1.0], [3.0]]), stride=2)
assert rows[:, 0].tolist() == [1, 1, 3, 3, 0], f"stride 2 counts for rows too, and the last row is never read: expected [1, 1, 3, 3, 0], yours is {rows[:, 0].tolist()}"
overlap, _ = conv2d_backward(torch.zeros(1, 3), torch.tensor([[1.0, 1]]), torch.tensor([[1.0, 1]]))
assert overlap.tolist() == [[1, 2, 1]], f"overlapping stamps add up: expected [[1, 2, 1]], yours is {overlap.tolist()}"
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    for stride in (1, 2, 3):
        x, w = torch.randn(10, 13, requires_grad=True), torch.randn(3, 2 + seed % 2, requires_grad=True)
        y = F.conv2d(x[None, None], w[None, None], stride=stride)[0, 0]
        g = torch.randn_like(y)
        y.backward(g)
        dx, dw = conv2d_backward(x.detach(), w.detach(), g, stride)
        assert torch.allclose(dx, x.grad, atol=1e-4), f"stride {stride}: dx differs from the true gradient"
        assert torch.allclose(dw, w.grad, atol=1e-4), f"stride {stride}: dw differs from the true gradient"
### END HIDDEN TESTS
