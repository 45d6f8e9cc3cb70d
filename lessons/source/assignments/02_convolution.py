# %% [markdown] id="intro"
# # Assignment 02: Convolution
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 02](../02_convolution.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All tensors in the checks, including the hidden
# ones, are float32.
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
# image is 4 × 4 with zeros all around; the window visits its four corner blocks, each with one
# number inside: the output is `[[1, 2], [3, 4]]`.
#
# <details><summary>First hint</summary>
# Pad the image first: <code>F.pad(x, (left, right, top, bottom))</code>. From then on there is no
# padding, only a larger image.
# </details>
# <details><summary>Second hint</summary>
# Make an output of zeros of the size that the formula gives, and loop over its cells. Cell (r, c)
# reads the window that begins at row r · stride and column c · stride; multiply it by the kernel
# and sum.
# </details>

# %% id="conv2d-stride" nbgrader="solution" forbidden="convolution"
def conv2d_one(x, w, stride=1, padding=0):
    """Cross-correlate one channel with one kernel.

    x: [H, W] floats; w: [kh, kw] floats; stride, padding: ints, the same in both directions.
    Returns [OH, OW] with OH = (H + 2 padding - kh) // stride + 1, and OW likewise.
    Do not call a convolution of torch: use slices, products and sums.
    """
    ### BEGIN SOLUTION
    x = F.pad(x, (padding, padding, padding, padding))
    (height, width), (kh, kw) = x.shape, w.shape
    rows, columns = (height - kh) // stride + 1, (width - kw) // stride + 1
    y = torch.zeros(rows, columns)
    for r in range(rows):
        for c in range(columns):
            top, left = r * stride, c * stride
            y[r, c] = (x[top : top + kh, left : left + kw] * w).sum()
    return y
    ### END SOLUTION


# %% id="conv2d-stride-checks" nbgrader="checks" points=3
got = conv2d_one(torch.tensor([[1.0, 2], [3, 4]]), torch.ones(2, 2), stride=2, padding=1)
assert got is not None, "conv2d_one returned None: is the `return` missing?"
assert got.shape == (2, 2), (
    f"the example should give 2 × 2, yours is {list(got.shape)}: pad first, then count the places "
    "with the stride"
)
assert got.tolist() == [[1, 2], [3, 4]], (
    f"the example should give [[1, 2], [3, 4]], yours is {got.tolist()}: does the window at output "
    "cell (r, c) begin at (stride·r, stride·c) of the image padded with zeros, and do you sum it?"
)
got = conv2d_one(torch.tensor([[1.0, 2, 4, 7]]), torch.tensor([[-1.0, 1]]))
assert got.shape == (1, 3), (
    f"1 × 4 with a kernel of 1 × 2 gives 1 × 3, yours is {list(got.shape)}: rows count with H and "
    "kh, columns with W and kw"
)
assert got.tolist() != [[-1, -2, -3]], (
    "[1, 2, 4, 7] with [-1, 1] gives [1, 2, 3], yours is [-1, -2, -3]: you turned the kernel"
)
assert got.tolist() == [[1, 2, 3]], (
    f"[1, 2, 4, 7] with [-1, 1] gives [1, 2, 3], yours is {got.tolist()}: each window is kh rows "
    "and kw columns"
)
x = torch.arange(30.0).reshape(5, 6)
w = torch.tensor([[1.0, 0, 0], [0, 0, 10]])  # 2 rows, 3 columns
got = conv2d_one(x, w)
assert got.shape == (4, 4), (
    f"a kernel of 2 × 3 on an image of 5 × 6 gives 4 × 4, yours is {list(got.shape)}"
)
assert got[0].tolist() == [80, 91, 102, 113], (
    "a kernel of 2 × 3 with 1 at the top left and 10 at the bottom right: the first row is "
    f"[80, 91, 102, 113], yours is {got[0].tolist()}"
)
got = conv2d_one(x, w, stride=2, padding=1)
assert got.shape == (3, 3), (
    f"5 × 6, kernel 2 × 3, stride 2, padding 1 gives 3 × 3, yours is {list(got.shape)}: padding "
    "counts on both sides"
)
assert got.tolist() == [[10, 30, 50], [130, 157, 179], [250, 289, 311]], (
    "5 × 6, kernel 2 × 3, stride 2, padding 1: expected [[10, 30, 50], [130, 157, 179], "
    f"[250, 289, 311]], yours is {got.tolist()}"
)
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    x, w = torch.randn(9 + seed, 12), torch.randn(3, 2 + seed % 3)
    for stride, padding in [(1, 0), (2, 1), (3, 2), (2, 0)]:
        wanted = F.conv2d(x[None, None], w[None, None], stride=stride, padding=padding)[0, 0]
        got = conv2d_one(x, w, stride, padding).float()
        assert got.shape == wanted.shape, (
            f"stride {stride}, padding {padding}: shape {list(got.shape)}, "
            f"expected {list(wanted.shape)}"
        )
        assert torch.allclose(got, wanted, atol=1e-4), (
            f"stride {stride}, padding {padding}: values differ"
        )
    whole, wanted = conv2d_one(x, x), float((x * x).sum())
    assert whole.shape == (1, 1), (
        f"a kernel as large as the image fits once, [1, 1]; yours is {list(whole.shape)}"
    )
    assert abs(float(whole) - wanted) < 1e-3 * wanted, (
        f"a kernel as large as the image: expected {wanted:.3f}, got {float(whole):.3f}"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, the kernel's direction, a kernel of 2 × 3, stride, padding")

# %% [markdown] id="task-im2col"
# ## Task 2: `im2col` with dilation, and groups, inside a real network
#
# *4 points · difficulty 4/5 · importance 4/5 · 25 minutes*
#
# **Transfer.** The lesson drew stride and dilation and counted the weights of groups; none of its
# cells puts them into `im2col`. First the columns. Each of the $k_h \cdot k_w$ cells of the kernel
# sees, over all positions, one shifted and strided view of the padded image; with dilation $d$ the
# shift of cell $(i, j)$ is $(d\,i, d\,j)$. The rows are ordered by channel, then kernel row, then
# kernel column. A slice can take every $s$-th element: `x[..., a : a + s * (n - 1) + 1 : s]` begins
# at `a` and has exactly `n` of them.
#
# Example by hand: `x = [[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]` (one channel), 2 × 2 windows, dilation
# 2: there is one position, and its column is `[1, 3, 7, 9]`.
#
# <details><summary>First hint</summary>
# Collect the k·k views, [B, C, OH, OW] each, in a list, as in the lesson's <code>im2col</code>. In
# which dimension must they be stacked so that the channel comes before the kernel's cell?
# </details>
# <details><summary>Second hint</summary>
# <code>torch.stack(views, dim=2)</code> is [B, C, kh·kw, OH, OW]; a reshape does the rest.
# </details>

# %% id="im2col" nbgrader="solution" forbidden="convolution"
def im2col(x, kernel_size, stride=1, padding=0, dilation=1):
    """Lay out every window as a column.

    x: [B, C, H, W]; kernel_size: (kh, kw); stride, padding, dilation: ints, the same in both
    directions. Returns [B, C·kh·kw, OH·OW] with
    OH = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1, and OW likewise.
    """
    ### BEGIN SOLUTION
    x = F.pad(x, (padding, padding, padding, padding))
    batch, channels, height, width = x.shape
    kh, kw = kernel_size
    oh = (height - dilation * (kh - 1) - 1) // stride + 1
    ow = (width - dilation * (kw - 1) - 1) // stride + 1
    views = []
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilation, j * dilation
            rows = slice(top, top + stride * (oh - 1) + 1, stride)
            columns = slice(left, left + stride * (ow - 1) + 1, stride)
            views.append(x[:, :, rows, columns])  # [B, C, OH, OW]
    return torch.stack(views, dim=2).reshape(batch, channels * kh * kw, oh * ow)
    ### END SOLUTION


# %% id="im2col-checks" nbgrader="checks" points=2
nine = torch.arange(1.0, 10).reshape(1, 1, 3, 3)


def columns_of(*arguments, **settings):
    """What im2col returns, or advice on the error that it stops with."""
    try:
        return im2col(*arguments, **settings)
    except NotImplementedError:
        raise
    except RuntimeError as error:
        raise AssertionError(
            f"im2col stops with: {error}. Are OH and OW counted with the dilation, and does every "
            "view have OH × OW places? A slice from a to a + s·(n − 1) + 1 in steps of s has n"
        ) from error
    except TypeError as error:
        raise AssertionError(
            f"im2col stops with: {error}. kernel_size is a pair: kh, kw = kernel_size"
        ) from error


got = columns_of(nine, (2, 2), dilation=2)
assert got is not None, "im2col returned None: is the `return` missing?"
assert got.shape == (1, 4, 1), (
    "the example has one position, so it gives one column of four cells, [1, 4, 1]; yours is "
    f"{list(got.shape)}: the window spans dilation·(k − 1) + 1 pixels"
)
assert got.flatten().tolist() == [1, 3, 7, 9], (
    f"the example's column is [1, 3, 7, 9], yours is {got.flatten().tolist()}: shift cell (i, j) "
    "by dilation·i, dilation·j, and go through the kernel row by row"
)
plain = columns_of(nine, (2, 2))
assert plain.shape == (1, 4, 4), (
    f"four windows of four cells give [1, 4, 4], yours is {list(plain.shape)}"
)
assert plain[0, :, 0].tolist() == [1, 2, 4, 5], (
    f"the first window is [1, 2, 4, 5], yours is {plain[0, :, 0].tolist()}: each window is a "
    "column, and its cells go row by row"
)
two = columns_of(torch.cat([nine, nine * 10], dim=1), (2, 2))
assert two[0, :, 0].tolist() == [1, 2, 4, 5, 10, 20, 40, 50], (
    "two channels: the first window's column is [1, 2, 4, 5, 10, 20, 40, 50], yours is "
    f"{two[0, :, 0].tolist()}: first all cells of channel 0, then those of channel 1"
)
pair = columns_of(torch.cat([nine, nine]), (2, 2))
assert pair.shape == (2, 4, 4), (
    f"a batch of two images gives [2, 4, 4], yours is {list(pair.shape)}"
)
wide = columns_of(torch.arange(25.0).reshape(1, 1, 5, 5), (2, 2), stride=3)
assert wide.shape == (1, 4, 4), (
    f"5 × 5, stride 3: two places in each direction, [1, 4, 4]; yours is {list(wide.shape)}: "
    "check the formula for OH and OW, then the end of each slice"
)
assert wide[0, :, 3].tolist() == [18, 19, 23, 24], (
    f"the last window begins at row 3, column 3: [18, 19, 23, 24], yours is "
    f"{wide[0, :, 3].tolist()}"
)
flat = columns_of(torch.arange(1.0, 13).reshape(1, 1, 3, 4), (1, 3), padding=1)
assert flat.shape == (1, 3, 20), (
    "3 × 4 with padding 1 and a kernel of 1 × 3: 5 · 4 places of 3 cells, [1, 3, 20]; yours is "
    f"{list(flat.shape)}"
)
assert flat[0, :, 4].tolist() == [0, 1, 2], (
    "the fifth place is the left end of the image's first row, since places go row by row: "
    f"[0, 1, 2], with a zero of the padding; yours is {flat[0, :, 4].tolist()}"
)
### BEGIN HIDDEN TESTS
cases = [((3, 3), 1, 1, 1), ((2, 3), 2, 1, 2), ((3, 2), 3, 2, 1), ((1, 1), 2, 0, 1)]
for seed in range(4):
    torch.manual_seed(seed)
    x = torch.randn(2, 3, 9, 11)
    for kernel, stride, padding, dilation in cases:
        wanted = F.unfold(x, kernel, dilation, padding, stride)
        got = im2col(x, kernel, stride, padding, dilation)
        assert got.shape == wanted.shape and torch.equal(got, wanted), (
            f"kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}: "
            "columns differ"
        )
### END HIDDEN TESTS
print("✓ 2 of 2 points: the example, order of cells and channels, stride, padding, 1 × 3 kernels")

# %% [markdown] id="task-conv2d"
# Now the layer: cut the rows of the column matrix into `groups` parts, multiply each by its part of
# the kernels (every group has O/groups of the O kernels), and join the results. `@` takes a whole
# batch: [O, K] @ [B, K, N] multiplies each image's matrix and returns [B, O, N]. The function must
# take all the arguments below, because `seglib` will call it in place of its own.
#
# <details><summary>Hint</summary>
# <code>weight.chunk(groups)</code> and <code>columns.chunk(groups, dim=1)</code> cut both into
# parts that belong together. Flatten each kernel to a row before the product;
# <code>torch.cat</code> joins the products along the channels, and a reshape makes maps of them.
# </details>

# %% id="conv2d" nbgrader="solution" forbidden="convolution"
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """x [B, C, H, W], weight [O, C/groups, kh, kw], bias [O] or None -> [B, O, OH, OW].

    stride, padding and dilation arrive as an int or as a pair (v, v) of equal ints.
    Use your im2col and matrix products, not a convolution of torch.
    """
    stride = stride if isinstance(stride, int) else stride[0]
    padding = padding if isinstance(padding, int) else padding[0]
    dilation = dilation if isinstance(dilation, int) else dilation[0]
    ### BEGIN SOLUTION
    out_channels, _, kh, kw = weight.shape
    oh = (x.shape[2] + 2 * padding - dilation * (kh - 1) - 1) // stride + 1
    ow = (x.shape[3] + 2 * padding - dilation * (kw - 1) - 1) // stride + 1
    columns = im2col(x, (kh, kw), stride, padding, dilation)
    parts = []
    for w, c in zip(weight.chunk(groups), columns.chunk(groups, dim=1), strict=True):
        parts.append(w.flatten(1) @ c)  # [O/G, C/G·kh·kw] @ [B, C/G·kh·kw, OH·OW]
    y = torch.cat(parts, dim=1).reshape(len(x), out_channels, oh, ow)
    return y if bias is None else y + bias[:, None, None]
    ### END SOLUTION


# %% id="conv2d-checks" nbgrader="checks" points=2
from seglib.models import build_model
from seglib.structures import Categories

torch.manual_seed(0)
x, w, b = torch.randn(2, 4, 8, 9), torch.randn(6, 2, 3, 3), torch.randn(6)
try:
    got = conv2d(x, w, None, padding=1, groups=2)
except NotImplementedError:
    raise
except RuntimeError as error:
    raise AssertionError(
        f"conv2d stops with: {error}. Each group multiplies O/groups kernels, one per row, "
        "[O/groups, C/groups·kh·kw], with its part of the columns, cut along dimension 1, "
        "[B, C/groups·kh·kw, OH·OW]"
    ) from error
assert got is not None, "conv2d returned None: is the `return` missing?"
assert got.shape == (2, 6, 8, 9), (
    f"padding 1 keeps 8 × 9, and 6 kernels give [2, 6, 8, 9]; yours is {list(got.shape)}: "
    "each group has O/groups of the O kernels, here 3"
)
assert got.dtype == x.dtype, f"the output has the dtype of x, {x.dtype}; yours is {got.dtype}"
try:
    got = conv2d(x, w, b, padding=1, groups=2)
except RuntimeError as error:
    raise AssertionError(
        f"without a bias your conv2d runs, with one it stops with: {error}. Shape the bias as "
        "[O, 1, 1], so that each output channel gets its own number"
    ) from error
for channel, seen in ((1, slice(0, 2)), (4, slice(2, 4))):
    product = (x[0, seen, :3, :3] * w[channel]).sum()
    found = float(got[0, channel, 1, 1])
    assert abs(found - product) > 1e-4, (
        f"output channel {channel} at (1, 1) is {product:.3f} without its bias of {b[channel]:.3f}"
        ": add the bias"
    )
    assert abs(found - product - b[channel]) < 1e-4, (
        f"output channel {channel} at (1, 1): expected {product + b[channel]:.3f}, yours is "
        f"{found:.3f}; it is kernel {channel}, as it stands, times the input channels "
        f"{seen.start} and {seen.stop - 1} alone, plus bias {channel}"
    )
settings = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
wanted, got = (function(x, w[..., :2], None, **settings) for function in (F.conv2d, conv2d))
assert got.shape == wanted.shape, (
    f"kernel 3 × 2, stride 2, padding 1, dilation 2: expected {list(wanted.shape)}, yours is "
    f"{list(got.shape)}"
)
assert torch.allclose(got, wanted, atol=1e-4), (
    "kernel 3 × 2, stride 2, padding 1, dilation 2: the values differ from F.conv2d by up to "
    f"{(got - wanted).abs().max():.3g}"
)
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = build_model("fcn", categories).eval()
picture = torch.rand(3, 64, 64)
with torch.no_grad():
    expected = network([picture]).logits
    with seglib.use(conv2d=conv2d):
        on_yours = network([picture]).logits
difference = (on_yours - expected).abs().max()
assert difference < 1e-3, (
    f"the logits of an FCN on your conv2d differ from the real ones by up to {difference:.3g}"
)
### BEGIN HIDDEN TESTS
cases = [(1, 1, 0, 1), (2, 2, 1, 1), (4, 1, 2, 2), (1, 3, 1, 2)]
for seed in range(4):
    torch.manual_seed(seed)
    for groups, stride, padding, dilation in cases:
        x, w = torch.randn(2, 4, 11, 9), torch.randn(8, 4 // groups, 3, 3)
        wanted = F.conv2d(x, w, None, stride, padding, dilation, groups)
        got = conv2d(x, w, None, (stride, stride), padding, dilation, groups)
        where = f"groups {groups}, stride {stride}, padding {padding}, dilation {dilation}"
        assert got.shape == wanted.shape, (
            f"{where}: shape {list(got.shape)}, expected {list(wanted.shape)}"
        )
        assert torch.allclose(got, wanted, atol=1e-4), f"{where}: values differ"
### END HIDDEN TESTS
print("✓ 2 of 2 points: groups, bias, stride, padding and dilation, and an FCN on your conv2d")

# %% [markdown] id="task-backward"
# ## Task 3: the backward pass with stride
#
# *3 points · difficulty 4/5 · importance 4/5 · 25 minutes*
#
# **Transfer.** No cell of the lesson goes backward through a stride. There, each output $g_{r,c}$
# sent its gradient to the window that begins at $(r, c)$; with a stride $s$ that window begins at
# $(s\,r, s\,c)$. Everything else stays the same.
#
# Example by hand: `x = [[1, 2, 3, 4]]`, `w = [[10, 20]]`, stride 2, `g = [[1, 5]]`. The two windows
# are `[1, 2]` and `[3, 4]`, so `dw = 1·[1, 2] + 5·[3, 4] = [16, 22]`, and the stamps `1·[10, 20]`
# and `5·[10, 20]` give `dx = [10, 20, 50, 100]`.
#
# You may loop over the outputs, or over the kernel's cells as the lesson does. For the latter, the
# slice of task 2 helps again: `a : a + s * (n - 1) + 1 : s` has exactly `n` elements.
#
# <details><summary>First hint</summary>
# Loop over the outputs: the one at (r, c) read <code>x[s*r : s*r + kh, s*c : s*c + kw]</code>. What
# does it add to dw, and what to that part of dx?
# </details>
# <details><summary>Second hint</summary>
# It adds g[r, c] times the window to dw, and g[r, c] times w to the window's place in dx. Both are
# +=, since windows overlap.
# </details>

# %% id="backward" nbgrader="solution" forbidden="autograd convolution"
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
def gradients_of(*arguments, **settings):
    """What conv2d_backward returns, or advice on the error that it stops with."""
    try:
        return conv2d_backward(*arguments, **settings)
    except RuntimeError as error:
        raise AssertionError(
            f"conv2d_backward stops with: {error}. A window is kh × kw; if you loop over the "
            "kernel's cells, each slice must have as many elements as g: from i to "
            "i + stride·(OH − 1) + 1 in steps of the stride"
        ) from error


answer = gradients_of(
    torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([[10.0, 20]]), torch.tensor([[1.0, 5]]), stride=2
)
assert isinstance(answer, tuple) and len(answer) == 2, (
    f"return two tensors, (dx, dw); yours is {type(answer).__name__}"
)
dx, dw = answer
assert dx.shape == (1, 4), f"dx is shaped like x, [1, 4]; yours is {list(dx.shape)}"
assert dw.shape == (1, 2), f"dw is shaped like w, [1, 2]; yours is {list(dw.shape)}"
assert dw.tolist() == [[16, 22]], (
    f"the example's dw is [[16, 22]], yours is {dw.tolist()}: sum, over the outputs, g times the "
    "window that was read; with stride 2 the second window begins at column 2"
)
assert dx.tolist() == [[10, 20, 50, 100]], (
    f"the example's dx is [[10, 20, 50, 100]], yours is {dx.tolist()}: did dx start from "
    "zeros, does each stamp begin at stride·c, and is it the kernel as it is, not turned?"
)
rows, _ = gradients_of(
    torch.zeros(5, 2), torch.ones(2, 2), torch.tensor([[1.0], [3.0]]), stride=2
)
assert rows[:, 0].tolist() == [1, 1, 3, 3, 0], (
    "stride 2 counts for rows too, and the last row is never read: expected [1, 1, 3, 3, 0], "
    f"yours is {rows[:, 0].tolist()}"
)
overlap, twice = gradients_of(torch.ones(1, 3), torch.tensor([[1.0, 1]]), torch.ones(1, 2))
assert overlap.tolist() == [[1, 2, 1]], (
    f"overlapping stamps add up: expected [[1, 2, 1]], yours is {overlap.tolist()}"
)
assert twice.tolist() == [[2, 2]], (
    f"both outputs add to each weight: expected dw = [[2, 2]], yours is {twice.tolist()}"
)
x, wide = torch.arange(12.0).reshape(3, 4), torch.tensor([[1.0, 2, 3], [4, 5, 6]])
stamp, cut = gradients_of(x, wide, torch.tensor([[0.0, 0], [0, 1]]))
assert stamp.tolist() == [[0, 0, 0, 0], [0, 1, 2, 3], [0, 4, 5, 6]], (
    "one output at (1, 1), kernel 2 × 3: dx is the kernel with its corner at (1, 1), "
    f"[[0, 0, 0, 0], [0, 1, 2, 3], [0, 4, 5, 6]]; yours is {stamp.tolist()}"
)
assert cut.tolist() == [[5, 6, 7], [9, 10, 11]], (
    "one output at (1, 1), kernel 2 × 3: dw is the window that it read, [[5, 6, 7], [9, 10, 11]]; "
    f"yours is {cut.tolist()}"
)
assert torch.equal(x, torch.arange(12.0).reshape(3, 4)), (
    "your function changed x itself: write the gradients to new tensors"
)
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    for stride in (1, 2, 3):
        x = torch.randn(10, 13, requires_grad=True)
        w = torch.randn(3, 2 + seed % 2, requires_grad=True)
        y = F.conv2d(x[None, None], w[None, None], stride=stride)[0, 0]
        g = torch.randn_like(y)
        y.backward(g)
        dx, dw = (v.float() for v in conv2d_backward(x.detach(), w.detach(), g, stride))
        assert torch.allclose(dx, x.grad, atol=1e-4), f"stride {stride}: dx differs from autograd's"
        assert torch.allclose(dw, w.grad, atol=1e-4), f"stride {stride}: dw differs from autograd's"
        before = x.detach().clone(), w.detach().clone(), g.clone()
        conv2d_backward(x.detach(), w.detach(), g, stride)
        after = x.detach(), w.detach(), g
        assert all(map(torch.equal, before, after)), f"stride {stride}: x, w or g was changed"
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, stride in both directions, overlaps, a kernel of 2 × 3")
