# %% [markdown] id="intro"
# # Assignment 10: SOLO
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 10](../10_solo.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All floating-point tensors that the checks pass
# in, including the hidden ones, are float32; return float32 as well.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. Which cells learn which object | 4 | 3/5 | 5/5 | 25 |
# | 2. Matrix NMS on masks | 4 | 3/5 | 4/5 | 20 |
# | 3. Decoupled SOLO: two maps instead of a grid of them | 4 | 3/5 | 3/5 | 25 |

# %% id="imports" nbgrader="locked"
import torch
import torch.nn.functional as F

from seglib.models.solo import SOLO, SOLOConfig
from seglib.structures import Categories

# %% [markdown] id="task-assign"
# ## Task 1: which cells learn which object
#
# *4 points · difficulty 3/5 · importance 5/5 · 25 minutes*
#
# Assign the cells of one S × S grid over an image of H × W pixels. For each object:
#
# - its **mass centre** (y, x) is the mean position of its pixels, where the pixel in row 0 and
#   column 0 has its middle at (0.5, 0.5);
# - a position belongs to the cell in row `floor(y · S / H)` and column `floor(x · S / W)`;
# - the **centre region** is a box around the mass centre, with a fifth of the height and of the
#   width of the object's box. All cells that it touches, from the cell of its upper left corner to
#   that of its lower right corner, are positive, as far as they lie in the grid and within the
#   3 × 3 cells around the cell of the centre.
#
# Where two objects claim a cell, the **later** one gets it.
#
# Example by hand: an image of 40 × 40 pixels, S = 4, so cells of 10 × 10; the object covers rows 10
# to 29 and columns 0 to 19 completely. Its mass centre is (20, 10), which is the cell in row 2 and
# column 1. Its box is 20 × 20, so the region reaches from (18, 8) to (22, 12): the cells in rows 1
# and 2 and columns 0 and 1.
#
# <details><summary>First hint</summary>
# Take one object after another, in order, and write its index into a rectangle of the grid; then
# the later one wins automatically. <code>mask.nonzero()</code> lists its pixels as (row, column).
# </details>
# <details><summary>Second hint</summary>
# Compute three positions, the centre and the two corners of the region, and the cell of each by the
# same formula. Then limit the first and the last cell twice: to one cell around that of the centre,
# and to the grid. Boxes have x first, positions y.
# </details>

# %% id="assign" nbgrader="solution"
def assign_grid(masks, boxes, grid):
    """masks: bool [G, H, W], none of them empty; boxes: float [G, 4], (x0, y0, x1, y1) in px;
    grid: S.

    Returns int64 [S, S]: for each cell the index 0…G-1 of the object that it learns, or -1. There
    may be no object at all (G = 0).
    """
    ### BEGIN SOLUTION
    owners = torch.full((grid, grid), -1)
    size = torch.tensor(masks.shape[1:])
    for g, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
        centre = mask.nonzero().float().mean(dim=0) + 0.5
        half = 0.2 * (box[2:] - box[:2]).flip(0) / 2
        places = torch.stack([centre, centre - half, centre + half])
        middle, first, last = (places * grid / size).floor().long()
        first = torch.maximum(first, middle - 1).clamp(min=0)
        last = torch.minimum(last, middle + 1).clamp(max=grid - 1)
        owners[first[0] : last[0] + 1, first[1] : last[1] + 1] = g
    return owners
    ### END SOLUTION

# %% id="assign-checks" nbgrader="checks" points=4
def block(size, y0, y1, x0, x1):
    """A mask whose rows y0…y1-1 and columns x0…x1-1 are true."""
    mask = torch.zeros(size, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


mask, box = block((40, 40), 10, 30, 0, 20), torch.tensor([0.0, 10, 20, 30])
got = assign_grid(mask[None], box[None], 4)
assert got is not None, "assign_grid returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor), f"return a tensor, yours is a {type(got).__name__}"
assert got.shape == (4, 4), f"a grid of 4 is [4, 4], yours is {list(got.shape)}"
assert got.dtype == torch.int64, f"the indices are int64, yours are {got.dtype}"
assert got[3].tolist() == [-1] * 4, f"nobody owns the last row: -1, yours is {got[3].tolist()}"
wanted = [[-1, -1, -1, -1], [0, 0, -1, -1], [0, 0, -1, -1], [-1, -1, -1, -1]]
assert got.tolist() == wanted, (
    f"the example has object 0 in rows 1 and 2, columns 0 and 1; yours is {got.tolist()}"
)
hook = block((40, 40), 0, 10, 0, 10)
hook[0, :40] = True  # a thin tail moves the box, hardly the mass
got = assign_grid(hook[None], torch.tensor([[0.0, 0, 40, 10]]), 4)
assert got[0].tolist() == [0, 0, -1, -1] and (got[1:] == -1).all(), (
    "an object with a thin tail has its mass centre at (4, 9.6) and a region from x = 5.6 to 13.6: "
    f"row 0, columns 0 and 1. Yours is {got.tolist()}: take the mean of its pixels, not of its box"
)
wide = block((20, 80), 0, 10, 30, 50)
got = assign_grid(wide[None], torch.tensor([[30.0, 0, 50, 10]]), 4).tolist()
assert got == [[-1, 0, 0, -1]] * 2 + [[-1] * 4] * 2, (
    "20 rows, 80 columns, centre (5, 40), region from (4, 38) to (6, 42): rows 0 and 1, columns 1 "
    f"and 2. Yours is {got}: rows are divided by the height, columns by the width"
)
large = block((80, 80), 0, 80, 0, 80)
got = assign_grid(large[None], torch.tensor([[0.0, 0, 80, 80]]), 20)
assert int((got == 0).sum()) == 9, (
    "the region of this object touches 5 x 5 cells, but only the 3 x 3 around the centre are "
    f"positive; yours has {int((got == 0).sum())}"
)
tall = block((40, 40), 0, 40, 18, 24)
got = assign_grid(tall[None], torch.tensor([[18.0, 0, 24, 40]]), 20)
cells = (got == 0).nonzero().tolist()
assert cells == [[9, 10], [10, 10], [11, 10]], (
    "40 px high and 6 wide, centre (20, 21): the region is 8 px high and 1.2 wide, so rows 9 to 11 "
    f"of column 10; yours has the cells {cells}"
)
edge = block((40, 40), 0, 2, 0, 40)
got = assign_grid(edge[None], torch.tensor([[0.0, 0, 40, 2]]), 40)
assert got[0, 20] == 0 and got[1, 20] == 0 and int((got == 0).sum()) == 6, (
    "centre (1, 20), region from (0.8, 16) to (1.2, 24): rows 0 and 1, columns 19 to 21 only; "
    f"yours has the cells {(got == 0).nonzero().tolist()}"
)
border = block((40, 40), 0, 40, 0, 2)
border[0, 39] = True
got = assign_grid(border[None], torch.tensor([[0.0, 0, 40, 40]]), 20)
cells = (got == 0).nonzero().tolist()
assert cells == [[8, 0], [8, 1], [9, 0], [9, 1], [10, 0], [10, 1]], (
    "the region of this object reaches beyond the left border: rows 8 to 10, columns 0 and 1; "
    f"yours has the cells {cells}"
)
pair = torch.stack([mask, mask])
got = assign_grid(pair, torch.stack([box, box]), 4)
assert got[1, 0] == 1, f"two objects claim this cell: the later one, 1, gets it, not {got[1, 0]}"
got = assign_grid(pair[:0], torch.zeros(0, 4), 3)
assert got.tolist() == [[-1] * 3] * 3, f"without objects all cells are -1, yours is {got.tolist()}"
### BEGIN HIDDEN TESTS
import math

for seed in range(8):
    torch.manual_seed(seed)
    high, broad, side = 30 + 7 * seed, 64 - 5 * seed, 3 + 2 * seed
    masks, boxes, expected = [], [], [[-1] * side for _ in range(side)]
    for g in range(5):
        y0, x0 = int(torch.randint(0, high - 3, ())), int(torch.randint(0, broad - 3, ()))
        y1, x1 = min(high, y0 + 2 + 4 * g), min(broad, x0 + 3 + 3 * g)
        mask = block((high, broad), y0, y1, x0, x1)
        mask[y0, x0 : (x0 + x1) // 2] = False
        masks.append(mask)
        boxes.append([float(x0), float(y0), float(x1), float(y1)])
        pixels = mask.nonzero().tolist()
        cy = sum(p[0] + 0.5 for p in pixels) / len(pixels)
        cx = sum(p[1] + 0.5 for p in pixels) / len(pixels)
        mid = math.floor(cy * side / high), math.floor(cx * side / broad)
        for r in range(side):
            for c in range(side):
                near = abs(r - mid[0]) <= 1 and abs(c - mid[1]) <= 1
                reach_y, reach_x = 0.1 * (y1 - y0), 0.1 * (x1 - x0)
                rows = math.floor((cy - reach_y) * side / high + 1e-6) <= r
                rows = rows and r <= math.floor((cy + reach_y) * side / high + 1e-6)
                columns = math.floor((cx - reach_x) * side / broad + 1e-6) <= c
                columns = columns and c <= math.floor((cx + reach_x) * side / broad + 1e-6)
                if near and rows and columns:
                    expected[r][c] = g
    got = assign_grid(torch.stack(masks), torch.tensor(boxes), side).tolist()
    assert got == expected, f"seed {seed}, S = {side}: expected {expected}, yours is {got}"
    stack, corners = torch.stack(masks), torch.tensor(boxes)
    turned = assign_grid(stack.transpose(1, 2), corners[:, [1, 0, 3, 2]], side)
    assert turned.T.tolist() == expected, (
        f"seed {seed}, S = {side}: with rows and columns exchanged everywhere, the cells differ"
    )
    own = assign_grid(stack[:1], corners[:1], side) == 0
    again = assign_grid(torch.cat([stack, stack[:1]]), torch.cat([corners, corners[:1]]), side)
    assert again.tolist() == torch.where(own, 5, torch.tensor(expected)).tolist(), (
        f"seed {seed}, S = {side}: a sixth object, equal to the first, must get that one's cells"
    )
### END HIDDEN TESTS
print("✓ 4 of 4 points: the example, mass centres, borders, shared cells, no objects")

# %% [markdown] id="task-matrix"
# ## Task 2: Matrix NMS on masks
#
# *4 points · difficulty 3/5 · importance 4/5 · 20 minutes*
#
# Lower the score of each detection according to its overlap with better detections *of the same
# class*. Detection j is lowered by the smallest of the factors
#
# $$\frac{e^{-\sigma\,\text{IoU}(i, j)^2}}{e^{-\sigma\,\text{IoU}(i, *)^2}}$$
#
# over all better i, where $\text{IoU}(i, *)$ is the largest overlap of i with any detection of its
# class better than i (0 if there is none). A detection without any better ones keeps its score.
# Unlike in the lesson, the scores come in **any order**, and overlaps are those of masks, which you
# compute. All scores differ.
#
# Example by hand, with $\sigma = 2$: masks of 4 pixels in a row, A = 1111, B = 1110, scores 0.4 and
# 0.8. B is better, so A is lowered. IoU = 3/4, and A gets
# $0.4 \cdot e^{-2 \cdot 0.5625} = 0.4 \cdot 0.325 = 0.130$.
#
# <details><summary>First hint</summary>
# Instead of sorting, make a table of booleans: row i lowers column j if the score of i is larger
# and the classes are equal. Where it is false, the overlap counts as 0.
# </details>
# <details><summary>Second hint</summary>
# The largest overlap of i with anything better is the maximum of <em>column</em> i of that table;
# in the formula it belongs to row i. Factors where i does not lower j must not count in the
# minimum: put 1 there. Handle the case without detections before you take a maximum.
# </details>

# %% id="matrix" nbgrader="solution" forbidden="matrix_nms"
def matrix_nms_on_masks(masks, scores, labels, sigma=2.0):
    """masks: bool [N, H, W], none empty; scores: float [N], in any order; labels: int64 [N].

    Returns the lowered scores [N], in the order of the arguments. N may be 0.
    """
    ### BEGIN SOLUTION
    pixels = masks.flatten(1).float()
    shared = pixels @ pixels.T
    area = pixels.sum(dim=1)
    iou = shared / (area[:, None] + area - shared)
    better = (scores[:, None] > scores) & (labels[:, None] == labels)  # row i lowers column j
    overlap = iou * better
    if len(scores) == 0:
        return scores
    own = overlap.amax(dim=0)[:, None]
    factors = (-sigma * (overlap**2 - own**2)).exp()
    return scores * torch.where(better, factors, 1.0).amin(dim=0)
    ### END SOLUTION

# %% id="matrix-checks" nbgrader="checks" points=4
def row_masks(*rows):
    """Masks of one row each, from strings of 0 and 1."""
    return torch.tensor([[[c == "1" for c in row]] for row in rows])


def near(got, *wanted):
    return torch.allclose(got, torch.tensor(wanted), atol=1e-3)


one = torch.zeros(2).long()
got = matrix_nms_on_masks(row_masks("1111", "1110"), torch.tensor([0.4, 0.8]), one)
assert got is not None, "matrix_nms_on_masks returned None: is the `return` missing?"
assert got.shape == (2,), f"one score for each of two detections, [2]; yours is {list(got.shape)}"
assert got.dtype == torch.float32, f"scores are float32, yours are {got.dtype}"
assert not near(got, 0.8, 0.130), "return the scores in the order of the arguments, not sorted"
assert near(got, 0.130, 0.8), (
    f"the example gives 0.130 and 0.8, yours {[round(v, 3) for v in got.tolist()]}: the better one "
    "keeps its score, the other one is multiplied by exp(-2 · 0.75²)"
)
got = matrix_nms_on_masks(row_masks("1111", "1110"), torch.tensor([0.4, 0.8]), torch.arange(2))
assert near(got, 0.4, 0.8), (
    f"two classes do not lower one another: 0.4 and 0.8, yours {got.tolist()}"
)
got = matrix_nms_on_masks(row_masks("1111", "1110"), torch.tensor([0.4, 0.8]), one, sigma=1.0)
assert near(got, 0.228, 0.8), f"with sigma = 1 A gets 0.228, yours {got.tolist()}: use the argument"
chain = row_masks("11110000", "00111100", "00001111")
scores, three = torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3).long()
got = matrix_nms_on_masks(chain, scores, three)
assert not near(got, 0.9, 0.641, 0.561), (
    "the third is lowered in full by the second, which is itself lowered by the first: divide each "
    "factor by that of the suppressor's own largest overlap"
)
assert near(got, 0.9, 0.641, 0.7), (
    f"expected 0.9, 0.641 and 0.7, yours {[round(v, 3) for v in got.tolist()]}"
)
shuffled = matrix_nms_on_masks(chain[[2, 0, 1]], scores[[2, 0, 1]], three)
assert near(shuffled, 0.7, 0.9, 0.641), (
    "the same three in another order: expected 0.7, 0.9 and 0.641, yours "
    f"{[round(v, 3) for v in shuffled.tolist()]}"
)
mixed = matrix_nms_on_masks(row_masks("110", "111", "111"), scores, torch.tensor([1, 2, 1]))
assert near(mixed, 0.9, 0.8, 0.288), (
    "classes 1, 2, 1: only the first lowers the third, by exp(-2 · (2/3)²): expected 0.288, yours "
    f"{round(float(mixed[2]), 3)}"
)
sides = row_masks("1100", "0011", "0110")
got = matrix_nms_on_masks(sides, scores, three)
assert near(got, 0.9, 0.8, 0.561), (
    "two better ones overlap the third by 1/3 each; the smallest factor counts, exp(-2/9), and not "
    f"their product: expected 0.561, yours {round(float(got[2]), 3)}"
)
got = matrix_nms_on_masks(chain[:0], scores[:0], three[:0])
assert got.shape == (0,), f"without detections there are no scores, yours {got}"
### BEGIN HIDDEN TESTS
import math

for seed in range(6):
    torch.manual_seed(seed)
    masks = torch.rand(12, 6, 7) < 0.2 + 0.1 * seed
    masks[:, 0, 0] = True
    scores, labels, sigma = torch.rand(12), torch.randint(1, 4, (12,)), 0.5 + seed / 2
    flat = [set(m.flatten().nonzero()[:, 0].tolist()) for m in masks]
    over = [[len(a & b) / len(a | b) for b in flat] for a in flat]

    def above(j, scores=scores, labels=labels):
        return [i for i in range(12) if scores[i] > scores[j] and labels[i] == labels[j]]

    expected = []
    for j in range(12):
        factor = 1.0
        for n, i in enumerate(above(j)):
            own = max((over[k][i] for k in above(i)), default=0.0)
            value = math.exp(-sigma * (over[i][j] ** 2 - own**2))
            factor = value if n == 0 else min(factor, value)
        expected.append(float(scores[j]) * factor)
    got = matrix_nms_on_masks(masks, scores, labels, sigma)
    assert torch.allclose(got, torch.tensor(expected), atol=1e-4), (
        f"seed {seed}: expected {expected}, yours is {got.tolist()}"
    )
    order = torch.randperm(12)
    mixed = matrix_nms_on_masks(masks[order], scores[order], labels[order], sigma)
    assert torch.allclose(mixed, torch.tensor(expected)[order], atol=1e-4), (
        f"seed {seed}: the same detections in another order get other scores"
    )
    same = labels == labels[0]
    alone = matrix_nms_on_masks(masks[same], scores[same], labels[same], sigma)
    assert torch.allclose(alone, torch.tensor(expected)[same], atol=1e-4), (
        f"seed {seed}: the detections of one class, without the others, get other scores"
    )
### END HIDDEN TESTS
print("✓ 4 of 4 points: the example, classes, sigma, the compensation, any order, no detections")

# %% [markdown] id="task-decoupled"
# ## Task 3: Decoupled SOLO: two maps instead of a grid of them
#
# *4 points · difficulty 3/5 · importance 3/5 · 25 minutes*
#
# A grid of 40 × 40 cells needs 1,600 mask channels, nearly all of them empty. **Decoupled SOLO**
# has one channel per column, $X_j$, and one per row, $Y_i$: 80 instead of 1,600. The mask of the
# cell in row i and column j is the product of two probabilities,
#
# $$\text{mask}(i, j) = \sigma(Y_i) \cdot \sigma(X_j),$$
#
# so a pixel belongs to the object if it belongs to something in row i *and* to something in column
# j. If the masks are wanted at another size, each **factor** is enlarged (bilinear), after the
# sigmoid and before the product.
#
# **Transfer.** No cell of the lesson builds this version. Cells are given by their number $i \cdot
# S + j$, like the channels of SOLO's first version.
#
# Example by hand: S = 2, maps of one pixel, logits X = (0, 100) and Y = (100, 0). Cell 1 is row 0,
# column 1: $\sigma(100) \cdot \sigma(100) = 1$. Cell 2 is row 1, column 0:
# $\sigma(0) \cdot \sigma(0) = 0.25$.
#
# <details><summary>First hint</summary>
# First find the row and the column of every number. Then pick the channels of all cells at once by
# indexing.
# </details>
# <details><summary>Second hint</summary>
# <code>F.interpolate(maps[None], size, mode="bilinear")[0]</code> enlarges maps [n, h, w]. The
# order matters: the product of enlarged factors differs from an enlarged product.
# </details>

# %% id="decoupled" nbgrader="solution"
def decoupled_masks(columns, rows, cells, size=None):
    """columns, rows: logits float [S, h, w], X and Y; cells: int64 [n], numbers row · S + column;
    size: (H, W) of the masks, or None for (h, w).

    Returns probabilities [n, h, w] or [n, H, W]. n may be 0.
    """
    ### BEGIN SOLUTION
    side = len(columns)
    y, x = rows[cells // side].sigmoid(), columns[cells % side].sigmoid()
    if size is not None and len(cells):
        y, x = (F.interpolate(maps[None], size, mode="bilinear")[0] for maps in (y, x))
    if size is not None and len(cells) == 0:
        return columns.new_zeros(0, *size)
    return y * x
    ### END SOLUTION

# %% id="decoupled-checks" nbgrader="checks" points=3
x, y = torch.tensor([0.0, 100])[:, None, None], torch.tensor([100.0, 0])[:, None, None]
got = decoupled_masks(x, y, torch.tensor([1, 2]))
assert got is not None, "decoupled_masks returned None: is the `return` missing?"
assert got.shape == (2, 1, 1), f"two masks of one pixel are [2, 1, 1], yours are {list(got.shape)}"
assert got.dtype == torch.float32, f"probabilities are float32, yours are {got.dtype}"
got = [round(v, 2) for v in got.flatten().tolist()]
assert got == [1.0, 0.25], (
    f"the example gives 1 for cell 1 and 0.25 for cell 2, yours {got}: a number is row · S + "
    "column, and each factor has a sigmoid of its own"
)
torch.manual_seed(0)
x, y = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
got = decoupled_masks(x, y, torch.tensor([5]))[0]
wanted = torch.sigmoid(y[1]) * torch.sigmoid(x[2])
other = torch.sigmoid(y[2]) * torch.sigmoid(x[1])
assert not torch.allclose(got, other, atol=1e-4), (
    "of 3 × 3 cells number 5 is row 1, column 2; yours is row 2, column 1"
)
swapped = torch.sigmoid(x[1]) * torch.sigmoid(y[2])
assert not torch.allclose(got, swapped, atol=1e-4), "rows select from `rows`, not from `columns`"
assert torch.allclose(got, wanted, atol=1e-4), "cell 5 of 3 × 3 is σ(Y_1) · σ(X_2), yours is not"
got = decoupled_masks(x, y, torch.tensor([0, 0, 8]))
assert torch.allclose(got[2], torch.sigmoid(y[2]) * torch.sigmoid(x[2]), atol=1e-4), (
    "the masks have the order of the cells, and a cell may be asked for twice"
)
got = decoupled_masks(x, y, torch.tensor([5, 0]), size=(8, 15))
assert got.shape == (2, 8, 15), f"size (8, 15) gives [2, 8, 15], yours is {list(got.shape)}"


def enlarged(maps):
    return F.interpolate(maps[None, None], (8, 15), mode="bilinear")[0, 0]


assert not torch.allclose(got[0], enlarged(wanted), atol=1e-4), (
    "that is the product, enlarged; enlarge both factors, then multiply"
)
late = enlarged(y[1]).sigmoid() * enlarged(x[2]).sigmoid()
assert not torch.allclose(got[0], late, atol=1e-4), "take the sigmoid first, then enlarge"
factors = enlarged(y[1].sigmoid()) * enlarged(x[2].sigmoid())
assert torch.allclose(got[0], factors, atol=1e-4), (
    'the enlarged factors differ: use mode="bilinear" with its other settings unchanged'
)
for size, shape in ((None, (0, 4, 5)), ((8, 15), (0, 8, 15))):
    got = decoupled_masks(x, y, torch.zeros(0).long(), size)
    assert got.shape == shape, f"no cell, size {size}: {list(shape)}, yours is {list(got.shape)}"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    side = 2 + seed
    x, y = torch.randn(side, 3, 6), torch.randn(side, 3, 6)
    numbers = torch.randperm(side * side)
    for size in (None, (6, 12), (9, 7)):
        got = decoupled_masks(x, y, numbers, size)
        for n, number in enumerate(numbers.tolist()):
            factors = [y[number // side].sigmoid(), x[number % side].sigmoid()]
            if size:
                factors = [
                    F.interpolate(f[None, None], size, mode="bilinear")[0, 0] for f in factors
                ]
            assert torch.allclose(got[n], factors[0] * factors[1], atol=1e-4), (
                f"seed {seed}, S = {side}, size {size}: the mask of cell {number} differs"
            )
        assert bool(((got >= 0) & (got <= 1)).all()), f"seed {seed}: probabilities lie in 0…1"
        mirrored = numbers % side * side + numbers // side
        assert torch.allclose(decoupled_masks(y, x, mirrored, size), got, atol=1e-4), (
            f"seed {seed}, S = {side}, size {size}: with rows and columns exchanged, masks differ"
        )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, rows and columns, order, enlarged factors, no cells")

# %% [markdown] id="real-text"
# Now a real network: a fresh Decoupled SOLO and its finest grid. Your masks must be those that the
# network returns. (One of the four points.)

# %% id="real-checks" nbgrader="checks" points=1
from seglib.models.solo.mask_maps import Cells

torch.manual_seed(0)
names = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = SOLO(SOLOConfig.pocket("decoupled"), names).eval()
for layer in (*network.mask_branch.rows, *network.mask_branch.columns):
    torch.nn.init.normal_(layer.weight, std=0.3)  # a fresh network draws hardly anything
with torch.no_grad():
    maps = network([torch.rand(3, 64, 96)]).masks
side, numbers = network.config.grids[0], torch.tensor([0, 7, 100, 575])
mine = decoupled_masks(maps.columns[0][0], maps.rows[0][0], numbers, size=(64, 96))
assert mine is not None, "decoupled_masks returned None: is the `return` missing?"
finest = torch.zeros(4).long()
theirs = maps.probabilities(Cells(finest, finest, numbers // side, numbers % side), (64, 96))
apart = (mine - theirs).abs().max()
assert apart < 1e-4, (
    f"your masks are up to {apart:.3g} away from the network's: do all checks above still pass?"
)
print("✓ 1 of 1 point: the masks of a whole Decoupled SOLO")
