# %% [markdown] id="intro"
# # Assignment 05: DeepMask
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 05](../05_deepmask.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All tensors that the checks pass in, including
# the hidden ones, are float32 unless a task says otherwise; return float32 as well.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. Label windows by the canonical position | 4 | 2/5 | 5/5 | 20 |
# | 2. A low-rank mask layer, and the best one | 4 | 3/5 | 4/5 | 20 |
# | 3. Heads that slide, inside a real network | 5 | 4/5 | 5/5 | 30 |

# %% id="imports" nbgrader="locked"
import torch
from torch.nn import functional as F

from seglib.models import build_model
from seglib.structures import Categories

# %% [markdown] id="task-labels"
# ## Task 1: label windows by the canonical position
#
# *4 points · difficulty 2/5 · importance 5/5 · 20 minutes*
#
# In a canonical window the object is centred and its longer side is `patch · 4 / 7` patch pixels.
# Give each window a label for each object, without a loop:
#
# - `1` if the centres are at most `shift` patch pixels apart in x *and* in y, and the longer side
#   is off by at most a quarter octave;
# - `-1` if the centres are more than `2 · shift` apart in x *or* in y, or the longer side is off by
#   more than an octave;
# - `0` otherwise.
#
# Windows are squares. The length of a patch pixel is the window's side divided by `patch`.
#
# Example by hand, `patch = 56`, `shift = 4`: the window `(0, 0, 56, 56)` and a box
# `(12, 20, 44, 30)`. The centres are (28, 28) and (28, 25), 3 px apart, and the longer side is 32:
# label 1. The window `(0, 0, 112, 112)` has patch pixels of 2 image pixels; the centres are 28 and
# 31 image pixels apart, that is 14 and 15.5 patch pixels: label -1.
#
# <details><summary>First hint</summary>
# Measure everything in patch pixels: divide distances and sides, which are in image pixels, by the
# length of one patch pixel, (side of the window) / patch.
# </details>
# <details><summary>Second hint</summary>
# Broadcast windows as [K, 1] against boxes as [1, N]. The larger of the two distances in x and y is
# enough for both rules; an octave is <code>torch.log2</code> of a ratio, and its absolute value
# counts. A label is positive minus negative.
# </details>

# %% id="label-windows" nbgrader="solution"
def label_windows(windows, boxes, patch=56, shift=4.0):
    """windows: float [K, 4], squares (x0, y0, x1, y1); boxes: float [N, 4]; in image pixels.

    Returns int64 [K, N] of 1, 0 and -1.
    """
    ### BEGIN SOLUTION
    unit = ((windows[:, 2] - windows[:, 0]) / patch)[:, None]  # [K, 1], image px per patch px
    middle = (windows[:, None, :2] + windows[:, None, 2:]) / 2  # [K, 1, 2]
    center = (boxes[None, :, :2] + boxes[None, :, 2:]) / 2  # [1, N, 2]
    distance = (middle - center).abs().amax(dim=-1) / unit  # [K, N]
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)[None] / unit  # [K, N]
    octaves = torch.log2(longer / (patch * 4 / 7)).abs()
    positive = (distance <= shift) & (octaves <= 0.25)
    negative = (distance > 2 * shift) | (octaves > 1)
    return positive.long() - negative.long()
    ### END SOLUTION

# %% id="label-windows-checks" nbgrader="checks" points=4
wide, tall, large = (12, 20, 44, 30), (20, 12, 30, 44), (0, 0, 40, 64)
cases = [  # window, box, label, in words
    ((0, 0, 56, 56), wide, 1, "the example's first window: 0 and 3 px apart, the longer side 32"),
    ((0, 0, 112, 112), wide, -1, "the example's second window, 14 and 15.5 patch pixels off"),
    ((6, 0, 62, 56), wide, 0, "6 patch pixels off in x: more than 4, not more than 8"),
    ((9, 0, 65, 56), wide, -1, "9 patch pixels off in x; off in x alone is enough"),
    ((3, 0, 59, 56), wide, 1, "3 patch pixels off in x and 3 in y; each counts by itself"),
    ((0, 6, 56, 62), wide, -1, "9 patch pixels off in y; off in y alone is enough"),
    ((-3, -6, 59, 56), wide, 1, "centred, the window 0.15 octaves too large"),
    ((-10, -13, 66, 63), wide, 0, "centred, the window 0.44 octaves too large"),
    ((-29, -32, 85, 82), wide, -1, "centred, the window 1.03 octaves too large"),
    ((14.5, 11.5, 41.5, 38.5), wide, -1, "centred, the window 1.05 octaves too small"),
    ((0, 0, 56, 56), tall, 1, "the longer side of this box is its height"),
    ((-30, -24, 82, 88), large, 1, "6 image pixels off are 3 patch pixels in a window of 112"),
]
windows = torch.tensor([case[0] for case in cases], dtype=torch.float32)
boxes = torch.tensor([case[1] for case in cases], dtype=torch.float32)
got = label_windows(windows, boxes[:3])
assert got is not None, "label_windows returned None: is the `return` missing?"
assert got.shape == (12, 3), f"12 windows and 3 boxes: expected [12, 3], yours is {list(got.shape)}"
assert got.dtype == torch.int64, f"labels are int64, yours are {got.dtype}"
got = label_windows(windows, boxes)
for n, (window, box, wanted, words) in enumerate(cases):
    assert got[n, n] == wanted, (
        f"window {window} and box {box}: expected {wanted}, yours says {got[n, n]}: {words}"
    )
enlarged = label_windows(4 * windows, 4 * boxes, patch=224, shift=16.0)
assert torch.equal(enlarged, got), (
    "with patch = 224 and shift = 16 windows and boxes four times as large have the same labels; "
    "yours differ: is a 56, a 32 or a 4 written into the code?"
)
assert label_windows(windows, boxes[:0]).shape == (12, 0), "without boxes the answer is [K, 0]"
### BEGIN HIDDEN TESTS
from seglib.models.deepmask.windows import window_labels

for seed in range(6):
    generator = torch.Generator().manual_seed(seed)
    corner = 60 * torch.rand(300, 2, generator=generator)
    side = 56 * torch.exp2(3 * torch.rand(300, 1, generator=generator) - 1.5)
    windows = torch.cat([corner - side / 2, corner + side / 2], dim=1)
    corner = 60 * torch.rand(7, 2, generator=generator)
    size = 4 + 60 * torch.rand(7, 2, generator=generator)
    boxes = torch.cat([corner - size / 2, corner + size / 2], dim=1)
    for patch, shift in ((56, 4.0), (224, 16.0)):
        scale = patch / 56
        wanted = window_labels(scale * windows, scale * boxes, patch, shift)
        got = label_windows(scale * windows, scale * boxes, patch, shift)
        assert got.shape == wanted.shape, f"300 windows, 7 boxes: shape {list(got.shape)}"
        differ = int((got != wanted).sum())
        assert differ <= 1, (
            f"patch {patch}, shift {shift}: {differ} of {wanted.numel()} labels differ"
        )
        flip = [1, 0, 3, 2]
        turned = label_windows(scale * windows[:, flip], scale * boxes[:, flip], patch, shift)
        differ = int((turned != got).sum())
        assert differ <= 1, (
            f"patch {patch}: {differ} labels change if x and y are exchanged everywhere"
        )
### END HIDDEN TESTS
print("✓ 4 of 4 points: position in x and y, size, tall boxes, other patch sizes, no boxes")

# %% [markdown] id="task-rank"
# ## Task 2: a low-rank mask layer, and the best one
#
# *4 points · difficulty 3/5 · importance 4/5 · 20 minutes*
#
# First comes the forward pass: features → code → mask logits, two linear maps with nothing in
# between.

# %% id="low-rank-masks" nbgrader="solution"
def low_rank_masks(features, squeeze_weight, squeeze_bias, decode_weight, decode_bias):
    """Mask logits [N, M, M].

    features: [N, C, k, k], flattened in this order for squeeze_weight [R, C·k·k];
    squeeze_bias: [R]; decode_weight: [M·M, R], its rows in reading order of the mask;
    decode_bias: [M·M].
    """
    ### BEGIN SOLUTION
    codes = features.flatten(1) @ squeeze_weight.T + squeeze_bias  # [N, R]
    masks = codes @ decode_weight.T + decode_bias  # [N, M·M]
    side = round(len(decode_bias) ** 0.5)
    return masks.reshape(-1, side, side)
    ### END SOLUTION

# %% [markdown] id="task-factors"
# Then suppose that the full layer has been trained, a matrix $W$ of `[cells, features]`. Which two
# factors $B A$ of rank $R$ come closest to it, in the sum of squared differences?
#
# **Transfer.** No cell of the lesson does this: it looked for patterns in masks, not in weights.
# The tool is the same, the singular value decomposition $W = U S V^\top$.
#
# Example by hand: $W = \begin{pmatrix} 3 & 0 \\ 0 & 1 \end{pmatrix}$, $R = 1$:
# $B A = \begin{pmatrix} 3 & 0 \\ 0 & 0 \end{pmatrix}$.
#
# <details><summary>First hint</summary>
# The best approximation of rank R keeps the R largest singular values and sets the others to zero.
# </details>
# <details><summary>Second hint</summary>
# <code>u, s, vt = torch.linalg.svd(matrix, full_matrices=False)</code> sorts them, largest first:
# keep the first R columns of u, numbers of s, and rows of vt. Either factor may include s.
# </details>

# %% id="best-factors" nbgrader="solution"
def best_factors(matrix, rank):
    """The two factors of the best approximation of this rank.

    matrix: [cells, features]. Returns A [rank, features] and B [cells, rank], in this order;
    B @ A approximates the matrix.
    """
    ### BEGIN SOLUTION
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    return vt[:rank], u[:, :rank] * s[:rank]
    ### END SOLUTION

# %% id="rank-checks" nbgrader="checks" points=4
torch.manual_seed(0)
features = torch.randn(3, 2, 2, 2)
a, a_bias, b, b_bias = torch.randn(4, 8), torch.randn(4), torch.randn(9, 4), torch.randn(9)
got = low_rank_masks(features, a, a_bias, b, b_bias)
assert got is not None, "low_rank_masks returned None: is the `return` missing?"
assert got.shape == (3, 3, 3), (
    f"3 objects with masks of 9 cells: expected [3, 3, 3], yours is {list(got.shape)}"
)
assert got.dtype == torch.float32, f"masks have the features' dtype, float32; not {got.dtype}"
for n in range(3):
    code = a @ features[n].flatten() + a_bias
    cells = b @ code + b_bias
    assert torch.allclose(got[n].flatten().sort().values, cells.sort().values, atol=1e-4), (
        f"object {n}: the nine logits are {[round(v, 3) for v in cells.tolist()]}, yours are "
        f"{[round(v, 3) for v in got[n].flatten().tolist()]}: flatten the features in their order, "
        "add both biases, and put nothing in between"
    )
    assert torch.allclose(got[n], cells.reshape(3, 3), atol=1e-4), (
        "your logits are right but in the wrong cells: masks are read row by row"
    )
factors = best_factors(torch.tensor([[3.0, 0], [0, 1]]), 1)
assert factors is not None, "best_factors returned None: is the `return` missing?"
assert len(factors) == 2, f"best_factors returns two matrices, A and B, not {len(factors)}"
shapes = [list(factor.shape) for factor in factors]
assert shapes == [[1, 2], [2, 1]], (
    f"A is [rank, features] and B [cells, rank]: expected [1, 2] and [2, 1], yours are {shapes}"
)
dtypes = [factor.dtype for factor in factors]
assert dtypes == [torch.float32] * 2, f"factors have the matrix's dtype, float32; not {dtypes}"
product = factors[1] @ factors[0]
assert torch.allclose(product, torch.tensor([[3.0, 0], [0, 0]]), atol=1e-5), (
    f"the example's best matrix of rank 1 is [[3, 0], [0, 0]], yours is {product.tolist()}"
)
matrix = torch.randn(6, 10)
least = torch.linalg.svdvals(matrix)[2:].pow(2).sum()
factors = best_factors(matrix, 2)
shapes = [list(factor.shape) for factor in factors]
assert shapes == [[2, 10], [6, 2]], (
    f"for a 6 × 10 matrix and rank 2 expected [2, 10] and [6, 2], yours are {shapes}"
)
error = (factors[1] @ factors[0] - matrix).pow(2).sum()
assert torch.allclose(error, least, rtol=1e-3), (
    f"for a random 6 × 10 matrix the best factors of rank 2 have an error of {least:.3f}, yours "
    f"{error:.3f}: keep the largest singular values, and use each of them once"
)
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    n, c, k, r, m = 2 + seed, 3, 1 + seed, 5, 4 + seed
    features, a, a_bias = torch.randn(n, c, k, k), torch.randn(r, c * k * k), torch.randn(r)
    b, b_bias = torch.randn(m * m, r), torch.randn(m * m)
    wanted = F.linear(F.linear(features.flatten(1), a, a_bias), b, b_bias).reshape(n, m, m)
    got = low_rank_masks(features, a, a_bias, b, b_bias)
    assert torch.allclose(got, wanted, atol=1e-3), f"masks of {m} × {m} from a code of {r} differ"
    matrix = torch.randn(12, 20)
    values = torch.linalg.svdvals(matrix)
    for rank in (1, 5, 12):
        first, second = best_factors(matrix, rank)
        assert first.shape == (rank, 20), f"rank {rank}: A is {list(first.shape)}"
        assert second.shape == (12, rank), f"rank {rank}: B is {list(second.shape)}"
        error, least = (second @ first - matrix).pow(2).sum(), values[rank:].pow(2).sum()
        assert torch.allclose(error, least, rtol=1e-3, atol=1e-3), (
            f"rank {rank}: the error is {error:.3f}, the least possible {least:.3f}"
        )
### END HIDDEN TESTS
print("✓ 4 of 4 points: every cell of three masks; the example, and the least error at rank 2")

# %% [markdown] id="task-slide"
# ## Task 3: heads that slide, inside a real network
#
# *5 points · difficulty 4/5 · importance 5/5 · 30 minutes*
#
# The heads were trained on windows of `k` × `k` cells. Run them at every position of a larger map,
# as convolutions.
#
# Example by hand: one channel, one row of cells `[1, 2, 3]`, `k = 1`, `squeeze_weight = [[10]]`,
# `squeeze_bias = [0]`: the codes are `[10, 20, 30]`. With `score_weight = [[0.1]]` and
# `score_bias = [-2]` the scores are `[-1, 0, 1]`.

# %% id="slide-heads" nbgrader="solution"
def slide_heads(features, squeeze_weight, squeeze_bias, score_weight, score_bias, k):
    """Codes [R, h-k+1, w-k+1] and score logits [h-k+1, w-k+1] of all windows.

    features: [C, h, w]; squeeze_weight: [R, C·k·k]; squeeze_bias: [R]; score_weight: [1, R], a
    linear layer on the code; score_bias: [1]. You may use F.conv2d; no loop over places.
    """
    ### BEGIN SOLUTION
    kernel = squeeze_weight.reshape(len(squeeze_weight), len(features), k, k)
    codes = F.conv2d(features[None], kernel, squeeze_bias)  # [1, R, h-k+1, w-k+1]
    scores = F.conv2d(codes, score_weight[:, :, None, None], score_bias)
    return codes[0], scores[0, 0]
    ### END SOLUTION

# %% [markdown] id="task-best"
# Then comes the list of proposals. You get the score maps of several scales; cell $(i, j)$ of a map
# is the window whose middle lies at $x = \text{stride} \cdot j$, $y = \text{stride} \cdot i$ of the
# *resized* image, and whose side is `patch` there. At scale `factor` the resized image is `factor`
# times as large as the original. Return the windows with the highest scores of all scales, in
# pixels of the original image, best first.
#
# Example by hand: `stride = 8`, `patch = 56`, a map at `factor = 2` with its largest score at
# $(i, j) = (1, 3)$. The middle lies at (24, 8) of the resized image, (12, 4) of the original; the
# side is 28. The window is `(-2, -10, 26, 18)`.
#
# <details><summary>First hint</summary>
# For each scale make a grid of middles, [h, w, 2] with x first, from <code>torch.meshgrid(rows,
# columns, indexing="ij")</code>, and flatten it in the same order as the scores.
# </details>
# <details><summary>Second hint</summary>
# Divide middle and half side by the factor of the scale, then join the windows of all scales, and
# their scores, into one list each. <code>topk</code> of that list must not ask for more than it
# contains.
# </details>

# %% id="best-windows" nbgrader="solution"
def best_windows(score_maps, factors, count, patch=56, stride=8):
    """The `count` best windows of all scales (fewer if there are fewer).

    score_maps: a list of [h, w], of different sizes; factors: one number for each.
    Returns windows float [count, 4] and their scores [count], highest first.
    """
    ### BEGIN SOLUTION
    windows = []
    for scores, factor in zip(score_maps, factors, strict=True):
        rows, columns = (torch.arange(n) for n in scores.shape)
        i, j = torch.meshgrid(rows, columns, indexing="ij")
        middle = stride * torch.stack([j, i], dim=-1).reshape(-1, 2) / factor
        half = patch / 2 / factor
        windows.append(torch.cat([middle - half, middle + half], dim=1))
    every = torch.cat([scores.flatten() for scores in score_maps])
    best = every.topk(min(count, len(every)))
    return torch.cat(windows)[best.indices], best.values
    ### END SOLUTION

# %% id="slide-checks" nbgrader="checks" points=5
row, ten, tenth = torch.tensor([[[1.0, 2, 3]]]), torch.tensor([[10.0]]), torch.tensor([[0.1]])
got = slide_heads(row, ten, torch.tensor([0.0]), tenth, torch.tensor([-2.0]), k=1)
assert got is not None, "slide_heads returned None: is the `return` missing?"
assert len(got) == 2, f"slide_heads returns two tensors, codes and scores; yours returns {len(got)}"
shapes = [list(tensor.shape) for tensor in got]
assert shapes == [[1, 1, 3], [1, 3]], (
    f"the example gives codes [1, 1, 3] and scores [1, 3], yours are {shapes}"
)
dtypes = [tensor.dtype for tensor in got]
assert dtypes == [torch.float32] * 2, f"codes and scores are float32 like the map; not {dtypes}"
codes, scores = (tensor.flatten().tolist() for tensor in got)
assert codes == [10, 20, 30], f"the example's codes are [10, 20, 30], yours are {codes}"
assert max(abs(a - b) for a, b in zip(scores, (-1, 0, 1), strict=True)) < 1e-5, (
    f"the example's scores are [-1, 0, 1], yours are {[round(v, 3) for v in scores]}: "
    "the score is a linear layer on the code, bias included, and nothing more"
)
torch.manual_seed(0)
features, a, a_bias = torch.randn(3, 4, 6), torch.randn(5, 12), torch.randn(5)
b, b_bias = torch.randn(1, 5), torch.randn(1)
codes, scores = slide_heads(features, a, a_bias, b, b_bias, k=2)
assert codes.shape == (5, 3, 5), f"k = 2 on [3, 4, 6]: codes are [5, 3, 5], not {list(codes.shape)}"
for i in range(3):
    for j in range(5):
        code = a @ features[:, i : i + 2, j : j + 2].flatten() + a_bias
        assert torch.allclose(codes[:, i, j], code, atol=1e-4), (
            f"k = 2: the code of window ({i}, {j}) is not the linear layer's: is the weight "
            "reshaped to [R, C, k, k], in this order, and the bias added?"
        )
        assert torch.allclose(scores[i, j], (b @ code + b_bias)[0], atol=1e-4), (
            f"k = 2: the code of window ({i}, {j}) is right, its score is not: it is the linear "
            "layer on the code as it is"
        )
scores = torch.zeros(3, 5)
scores[1, 3] = 2.0
got = best_windows([torch.ones(2, 2), scores], [0.5, 2.0], 1)
assert got is not None, "best_windows returned None: is the `return` missing?"
assert len(got) == 2, f"best_windows returns windows and scores; yours returns {len(got)}"
windows, values = got
assert windows.shape == (1, 4), f"one window is [1, 4], yours is {list(windows.shape)}"
assert values.tolist() == [2], f"the best of both maps has score 2, yours is {values.tolist()}"
box = windows[0].tolist()
assert box != [-10, -2, 18, 26], "your window has x and y swapped: columns are x, rows are y"
assert box == [-2, -10, 26, 18], (
    f"the example's window is (-2, -10, 26, 18), yours is {box}: the score in row 1, column 3 has "
    "its middle at (8 · 3, 8 · 1) of the resized image, and its side is 56 there; divide both by "
    "the factor"
)
first, second = torch.tensor([[1.0, 4], [3, 0]]), torch.tensor([[2.0, 5, -1]])
windows, values = best_windows([first, second], [0.5, 1.0], 4)
assert values.tolist() == [5, 4, 3, 2], (
    f"maps [[1, 4], [3, 0]] and [[2, 5, -1]]: the four best are 5, 4, 3, 2, yours are "
    f"{values.tolist()}: all scales compete in one list, highest first"
)
wanted = [[-20, -28, 36, 28], [-40, -56, 72, 56], [-56, -40, 56, 72], [-28, -28, 28, 28]]
assert windows.tolist() == wanted, (
    f"their windows at factors 0.5 and 1 are {wanted}, yours are {windows.tolist()}"
)
half = best_windows([first, second], [0.5, 1.0], 4, patch=28, stride=4)[0]
assert torch.equal(half, windows / 2), (
    "with patch = 28 and stride = 4 windows have half the lengths; is a 56, 28 or 8 in your code?"
)
try:
    windows, values = best_windows([first, second], [0.5, 1.0], 10)
except RuntimeError as error:
    raise AssertionError(f"where 7 windows are all there are, asking for 10: {error}") from error
assert len(windows) == len(values) == 7, f"of 7 windows the 10 best are 7, yours are {len(windows)}"
categories = Categories.from_coco([{"id": 1, "name": "person"}])
tiny = {"width": 8, "rank": 6, "reduced": 4, "score_widths": ()}
network = build_model("deepmask", categories, **tiny).eval().network
picture = torch.rand(1, 3, 104, 120)
with torch.no_grad():
    wanted = network(picture)
    features = network.reduce(network.backbone(picture)[:, :, 1:-1, 1:-1])[0]
    squeeze, score = network.squeeze, network.score[-1]
    got = slide_heads(features, squeeze.weight, squeeze.bias, score.weight, score.bias, k=7)
for name, yours, real in zip(("codes", "scores"), got, (wanted.codes, wanted.scores), strict=True):
    assert torch.allclose(yours, real[0], atol=1e-4), f"your {name} differ from a real DeepMask's"
### BEGIN HIDDEN TESTS
from seglib.models.deepmask.windows import sliding_windows

for seed in range(3):
    torch.manual_seed(seed)
    c, k, r = 2 + seed, 1 + seed, 4
    features, a, a_bias = torch.randn(c, 6, 9), torch.randn(r, c * k * k), torch.randn(r)
    b, b_bias = torch.randn(1, r), torch.randn(1)
    codes, scores = slide_heads(features, a, a_bias, b, b_bias, k)
    assert codes.shape == (r, 7 - k, 10 - k), f"k = {k}: codes are {list(codes.shape)}"
    assert scores.shape == (7 - k, 10 - k), f"k = {k}: scores are {list(scores.shape)}"
    for i, j in ((0, 0), (6 - k, 9 - k), (1, 3)):
        code = a @ features[:, i : i + k, j : j + k].flatten() + a_bias
        assert torch.allclose(codes[:, i, j], code, atol=1e-3), (
            f"k = {k}: the code of window ({i}, {j}) differs"
        )
        assert torch.allclose(scores[i, j], (b @ code + b_bias)[0], atol=1e-3), (
            f"k = {k}: the score of window ({i}, {j}) differs"
        )
    factors = [0.25, 0.5, 1.0, 2.0]
    sizes = [(round(64 * f), round(96 * f)) for f in factors]
    grids = [sliding_windows((64, 96), size, 56, 8) for size in sizes]
    maps = [torch.randn(grid.shape[:2]) for grid in grids]
    windows, values = best_windows(maps, factors, 50)
    best = torch.cat([m.flatten() for m in maps]).topk(50)
    wanted = torch.cat([grid.flatten(0, 1) for grid in grids])[best.indices]
    assert torch.allclose(values, best.values), "the 50 best scores of four scales differ"
    assert torch.allclose(windows, wanted, atol=1e-3), "the windows of the best scores differ"
### END HIDDEN TESTS
print("✓ 5 of 5 points: both examples, every window of a map, two scales, and a real DeepMask")
