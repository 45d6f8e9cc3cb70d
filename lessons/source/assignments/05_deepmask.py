# %% [markdown] id="intro"
# # Assignment 05: DeepMask
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 05](../05_deepmask.ipynb). Replace the line
# `raise NotImplementedError` and run the checks below it.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. Label windows by the canonical position | 4 | 2/5 | 5/5 | 20 |
# | 2. A mask layer of low rank, and the best one | 4 | 3/5 | 4/5 | 20 |
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
# In a canonical window the object is centred and its longer side is `patch · 4 / 7` patch pixels. Say for each
# window and each object, without a loop:
#
# - `1` if the centres are at most `shift` patch pixels apart in x *and* in y, and the longer side is at most a
#   quarter octave off;
# - `-1` if the centres are more than `2 · shift` apart in x *or* in y, or the longer side is more than an octave off;
# - `0` otherwise.
#
# Windows are squares. A patch pixel is as long as the window's side over `patch`.
#
# Example by hand, `patch = 56`, `shift = 4`: the window `(0, 0, 56, 56)` and a box `(12, 20, 44, 30)`. The centres
# are (28, 28) and (28, 25), 3 px apart, and the longer side is 32: label 1. The window `(0, 0, 112, 112)` has
# patch pixels of 2 image pixels; the centres are 28 and 31 image pixels apart, that is 14 and 15.5 patch
# pixels: label -1.

# %% id="label-windows" nbgrader="solution"
def label_windows(windows, boxes, patch=56, shift=4.0):
    """windows: float [K, 4], squares (x0, y0, x1, y1); boxes: float [N, 4]; both in image pixels.

    Returns int64 [K, N] of 1, 0 and -1.
    """
    ### BEGIN SOLUTION
    unit = ((windows[:, 2] - windows[:, 0]) / patch)[:, None]  # [K, 1] image pixels a patch pixel
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
windows = torch.tensor([[0.0, 0, 56, 56], [0, 0, 112, 112], [6, 0, 62, 56], [9, 0, 65, 56], [-10, -13, 66, 63], [-29, -32, 85, 82]])
boxes = torch.tensor([[12.0, 20, 44, 30]])
got = label_windows(windows, boxes)
assert got is not None, "label_windows returned None: is the `return` missing?"
assert got.shape == (6, 1), f"6 windows and 1 box: expected [6, 1], yours is {list(got.shape)}"
assert got.dtype == torch.int64, f"labels are int64, yours are {got.dtype}"
got = got[:, 0].tolist()
assert got[0] == 1, f"the example's first window is positive, yours says {got[0]}"
assert got[1] == -1, f"the example's second window is 14 patch pixels off, negative; yours says {got[1]}"
assert got[2] == 0, f"6 patch pixels off is neither positive (4) nor negative (8): 0, yours says {got[2]}"
assert got[3] == -1, f"9 patch pixels off in x alone is negative, yours says {got[3]}: is it x *or* y?"
assert got[4] == 0, f"centred, but 0.44 octaves too large a window: 0, yours says {got[4]}: is the size compared as log2?"
assert got[5] == -1, f"centred, but more than an octave too large a window: -1, yours says {got[5]}"
two = label_windows(windows, torch.cat([boxes, boxes + 9]))
assert two.shape == (6, 2) and two[:, 0].tolist() == got, "with two boxes the first column must stay as it was"
### BEGIN HIDDEN TESTS
from seglib.models.deepmask.windows import window_labels

for seed in range(6):
    generator = torch.Generator().manual_seed(seed)
    corner = 60 * torch.rand(300, 2, generator=generator)
    side = 56 * torch.exp2(3 * torch.rand(300, 1, generator=generator) - 1.5)
    windows = torch.cat([corner - side / 2, corner + side / 2], dim=1)
    corner, size = 60 * torch.rand(7, 2, generator=generator), 4 + 60 * torch.rand(7, 2, generator=generator)
    boxes = torch.cat([corner - size / 2, corner + size / 2], dim=1)
    for patch, shift in ((56, 4.0), (224, 16.0)):
        scale = patch / 56
        wanted = window_labels(scale * windows, scale * boxes, patch, shift)
        got = label_windows(scale * windows, scale * boxes, patch, shift)
        assert got.shape == wanted.shape, f"300 windows, 7 boxes: shape {list(got.shape)}"
        assert (got != wanted).sum() <= 1, f"patch {patch}, shift {shift}: {(got != wanted).sum()} of {wanted.numel()} labels differ"
assert label_windows(windows, boxes[:0]).shape == (300, 0), "without boxes the answer is [K, 0]"
### END HIDDEN TESTS

# %% [markdown] id="task-rank"
# ## Task 2: a mask layer of low rank, and the best one
#
# *4 points · difficulty 3/5 · importance 4/5 · 20 minutes*
#
# First the forward pass: features → code → mask logits, two linear maps with nothing between.

# %% id="low-rank-masks" nbgrader="solution"
def low_rank_masks(features, squeeze_weight, squeeze_bias, decode_weight, decode_bias):
    """Mask logits [N, M, M].

    features: [N, C, k, k], flattened in this order for squeeze_weight [R, C·k·k]; squeeze_bias: [R];
    decode_weight: [M·M, R], its rows in reading order of the mask; decode_bias: [M·M].
    """
    ### BEGIN SOLUTION
    codes = features.flatten(1) @ squeeze_weight.T + squeeze_bias  # [N, R]
    masks = codes @ decode_weight.T + decode_bias  # [N, M·M]
    side = round(len(decode_bias) ** 0.5)
    return masks.reshape(-1, side, side)
    ### END SOLUTION

# %% [markdown] id="task-factors"
# Then suppose that somebody has trained the full layer, a matrix $W$ of `[cells, features]`. Which two factors
# $B A$ of rank $R$ come closest to it, in the sum of squared differences? The singular value decomposition
# $W = U S V^\top$ knows: keep the $R$ largest singular values. Example by hand:
# $W = \begin{pmatrix} 3 & 0 \\ 0 & 1 \end{pmatrix}$, $R = 1$: $B A = \begin{pmatrix} 3 & 0 \\ 0 & 0 \end{pmatrix}$.

# %% id="best-factors" nbgrader="solution"
def best_factors(matrix, rank):
    """The two factors of the best approximation of this rank.

    matrix: [cells, features]. Returns A [rank, features] and B [cells, rank]; B @ A approximates the matrix.
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
assert got.shape == (3, 3, 3), f"9 cells are a mask of 3 × 3: expected [3, 3, 3], yours is {list(got.shape)}"
code = a @ features[1].flatten() + a_bias
assert torch.allclose(got[1, 0, 2], b[2] @ code + b_bias[2], atol=1e-4), "cell (0, 2) is row 2 of decode_weight times the code, plus its bias: is there something between the two maps?"
assert torch.allclose(got[1, 2, 0], b[6] @ code + b_bias[6], atol=1e-4), "cell (2, 0) is row 6: masks are read row by row"
factors = best_factors(torch.tensor([[3.0, 0], [0, 1]]), 1)
assert factors is not None and len(factors) == 2, "best_factors returns two matrices, A and B"
assert factors[0].shape == (1, 2) and factors[1].shape == (2, 1), f"A is [rank, features], B is [cells, rank]: expected [1, 2] and [2, 1], yours are {list(factors[0].shape)} and {list(factors[1].shape)}"
product = factors[1] @ factors[0]
assert torch.allclose(product, torch.tensor([[3.0, 0], [0, 0]]), atol=1e-5), f"the example's best matrix of rank 1 is [[3, 0], [0, 0]], yours is {product.tolist()}"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    n, c, k, r, m = 2 + seed, 3, 1 + seed, 5, 4 + seed
    features = torch.randn(n, c, k, k)
    a, a_bias, b, b_bias = torch.randn(r, c * k * k), torch.randn(r), torch.randn(m * m, r), torch.randn(m * m)
    wanted = F.linear(F.linear(features.flatten(1), a, a_bias), b, b_bias).reshape(n, m, m)
    assert torch.allclose(low_rank_masks(features, a, a_bias, b, b_bias), wanted, atol=1e-3), f"masks of {m} × {m} from a code of {r} differ"
    matrix = torch.randn(12, 20, dtype=torch.float64)
    kept = torch.linalg.svdvals(matrix)
    for rank in (1, 5, 12):
        first, second = best_factors(matrix, rank)
        assert first.shape == (rank, 20) and second.shape == (12, rank), f"rank {rank}: shapes {list(first.shape)}, {list(second.shape)}"
        error = (second @ first - matrix).pow(2).sum()
        assert torch.allclose(error, kept[rank:].pow(2).sum(), atol=1e-8), f"rank {rank}: the error is {error:.3f}, the least possible {kept[rank:].pow(2).sum():.3f}"
### END HIDDEN TESTS

# %% [markdown] id="task-slide"
# ## Task 3: heads that slide, inside a real network
#
# *5 points · difficulty 4/5 · importance 5/5 · 30 minutes*
#
# The heads were trained on windows of `k` × `k` cells. Run them at every place of a larger map, as convolutions.
#
# Example by hand: one channel, one row of cells `[1, 2, 3]`, `k = 1`, `squeeze_weight = [[10]]`, `squeeze_bias = [0]`:
# the codes are `[10, 20, 30]`. With `score_weight = [[0.1]]` and `score_bias = [-2]` the scores are `[-1, 0, 1]`.

# %% id="slide-heads" nbgrader="solution"
def slide_heads(features, squeeze_weight, squeeze_bias, score_weight, score_bias, k):
    """Codes [R, h-k+1, w-k+1] and score logits [h-k+1, w-k+1] of all windows.

    features: [C, h, w]; squeeze_weight: [R, C·k·k]; squeeze_bias: [R]; score_weight: [1, R], a linear
    layer on the code; score_bias: [1]. You may use F.conv2d; no loop over places.
    """
    ### BEGIN SOLUTION
    kernel = squeeze_weight.reshape(len(squeeze_weight), len(features), k, k)
    codes = F.conv2d(features[None], kernel, squeeze_bias)  # [1, R, h-k+1, w-k+1]
    scores = F.conv2d(codes, score_weight[:, :, None, None], score_bias)
    return codes[0], scores[0, 0]
    ### END SOLUTION

# %% [markdown] id="task-best"
# Then the list of proposals. You get the score maps of several scales; cell $(i, j)$ of a map is the window whose
# middle lies at $(\text{stride} \cdot j, \text{stride} \cdot i)$ of the *resized* image (x, y), and whose side is `patch` there. At
# scale `factor` the resized image is `factor` times as large as the original. Return the windows with the highest scores of all
# scales, in pixels of the original image, best first.
#
# Example by hand: `stride = 8`, `patch = 56`, a map at `factor = 2` with its largest score at $(i, j) = (1, 3)$. The
# middle lies at (24, 8) of the resized image, (12, 4) of the original; the side is 28. The window is
# `(-2, -10, 26, 18)`.

# %% id="best-windows" nbgrader="solution"
def best_windows(score_maps, factors, count, patch=56, stride=8):
    """The `count` best windows of all scales (fewer if there are fewer).

    score_maps: a list of [h, w], of different sizes; factors: one number for each.
    Returns windows float [count, 4] and their scores [count], highest first.
    """
    ### BEGIN SOLUTION
    windows = []
    for scores, factor in zip(score_maps, factors, strict=True):
        i, j = torch.meshgrid(torch.arange(scores.shape[0]), torch.arange(scores.shape[1]), indexing="ij")
        middle = stride * torch.stack([j, i], dim=-1).reshape(-1, 2) / factor
        windows.append(torch.cat([middle - patch / 2 / factor, middle + patch / 2 / factor], dim=1))
    every = torch.cat([scores.flatten() for scores in score_maps])
    best = every.topk(min(count, len(every)))
    return torch.cat(windows)[best.indices], best.values
    ### END SOLUTION

# %% id="slide-checks" nbgrader="checks" points=5
one = torch.ones(1)
got = slide_heads(torch.tensor([[[1.0, 2, 3]]]), torch.tensor([[10.0]]), 0 * one, torch.tensor([[0.1]]), -2 * one, k=1)
assert got is not None and len(got) == 2, "slide_heads returns two tensors, codes and scores"
assert got[0].shape == (1, 1, 3) and got[1].shape == (1, 3), f"the example gives codes [1, 1, 3] and scores [1, 3], yours are {list(got[0].shape)} and {list(got[1].shape)}"
assert torch.allclose(got[1], torch.tensor([[-1.0, 0, 1]]), atol=1e-6), f"the example's scores are [-1, 0, 1], yours are {got[1].tolist()}: the score reads the code"
scores = torch.zeros(3, 5)
scores[1, 3] = 2.0
got = best_windows([torch.ones(2, 2), scores], [0.5, 2.0], 2)
assert got is not None and len(got) == 2, "best_windows returns windows and scores"
windows, values = got
assert windows.shape == (2, 4) and values.tolist() == [2, 1], f"the two best of both maps have scores 2 and 1, yours are {values.tolist()}: all scales compete in one list"
assert windows[0].tolist() == [-2, -10, 26, 18], f"the example's window is (-2, -10, 26, 18), yours is {windows[0].tolist()}: columns are x; divide by the factor"
torch.manual_seed(0)
categories = Categories.from_coco([{"id": 1, "name": "person"}])
network = build_model("deepmask", categories, width=8, rank=6, reduced=4, score_widths=()).eval().network
picture = torch.rand(1, 3, 104, 120)
with torch.no_grad():
    wanted = network(picture)
    features = network.reduce(network.backbone(picture)[:, :, 1:-1, 1:-1])[0]
    score = network.score[-1]
    codes, scores = slide_heads(features, network.squeeze.weight, network.squeeze.bias, score.weight, score.bias, k=7)
assert codes.shape == wanted.codes.shape[1:], f"a real DeepMask gives codes {list(wanted.codes.shape[1:])}, yours are {list(codes.shape)}"
assert torch.allclose(codes, wanted.codes[0], atol=1e-4), "your codes differ from those of a real DeepMask: is the weight reshaped to [R, C, k, k], in this order?"
assert torch.allclose(scores, wanted.scores[0], atol=1e-4), "your scores differ from those of a real DeepMask"
### BEGIN HIDDEN TESTS
from seglib.models.deepmask.windows import sliding_windows

for seed in range(3):
    torch.manual_seed(seed)
    c, k, r = 2 + seed, 1 + seed, 4
    features, a, a_bias = torch.randn(c, 6, 9), torch.randn(r, c * k * k), torch.randn(r)
    b, b_bias = torch.randn(1, r), torch.randn(1)
    codes, scores = slide_heads(features, a, a_bias, b, b_bias, k)
    assert codes.shape == (r, 7 - k, 10 - k) and scores.shape == (7 - k, 10 - k), f"k = {k}: shapes {list(codes.shape)}, {list(scores.shape)}"
    for i, j in ((0, 0), (6 - k, 9 - k), (1, 3)):
        code = a @ features[:, i : i + k, j : j + k].flatten() + a_bias
        assert torch.allclose(codes[:, i, j], code, atol=1e-3), f"k = {k}: the code of window ({i}, {j}) differs"
        assert torch.allclose(scores[i, j], (b @ code + b_bias)[0], atol=1e-3), f"k = {k}: the score of window ({i}, {j}) differs"
    factors = [0.25, 0.5, 1.0, 2.0]
    grids = [sliding_windows((64, 96), (round(64 * f), round(96 * f)), 56, 8) for f in factors]
    maps = [torch.randn(grid.shape[:2]) for grid in grids]
    windows, values = best_windows(maps, factors, 50)
    every, all_windows = torch.cat([m.flatten() for m in maps]), torch.cat([grid.flatten(0, 1) for grid in grids])
    best = every.topk(50)
    assert torch.allclose(values, best.values), "the scores must fall from the highest of all scales on"
    assert torch.allclose(windows, all_windows[best.indices], atol=1e-3), "the windows of the best scores differ"
windows, values = best_windows([torch.zeros(1, 2)], [1.0], 10)
assert windows.shape == (2, 4) and values.shape == (2,), "where there are fewer windows than asked for, return all"
### END HIDDEN TESTS
