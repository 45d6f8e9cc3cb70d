# %% [markdown] id="intro"
# # Assignment 06: From R-CNN to RoIAlign
#
# Four tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong. The
# first two practise what [lesson 06](../06_rcnn.ipynb) shows: close it and write them from memory.
# The third asks for more than the lesson's function, and the fourth goes beyond the lesson. Replace
# the line `raise NotImplementedError` and run the checks below it. All floating-point tensors that
# the checks pass in, including the hidden ones, are float32; you may compute with higher precision.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. A box as a correction of another | 3 | 2/5 | 5/5 | 15 |
# | 2. Suppression, inside a real detector | 4 | 2/5 | 5/5 | 15 |
# | 3. RoIAlign for one box, wherever it lies | 4 | 4/5 | 5/5 | 30 |
# | 4. Suppression that only lowers scores | 4 | 4/5 | 3/5 | 25 |

# %% id="imports" nbgrader="locked"
import math

import torch

import seglib
from seglib import ops
from seglib.models import build_model
from seglib.structures import Categories


def numbers(tensor):
    """Its values, rounded, for messages."""
    return [round(value, 3) for value in tensor.flatten().tolist()]


def near(tensor, wanted, atol=1e-4):
    """Whether a tensor has the wanted shape and values, in whichever floating-point type."""
    wanted = torch.as_tensor(wanted)
    if tensor.shape != wanted.shape:
        return False
    return torch.allclose(tensor.double(), wanted.double(), atol=atol)

# %% [markdown] id="task-deltas"
# ## Task 1: a box as a correction of another
#
# *3 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# Write boxes as corrections (dx, dy, dw, dh) and apply corrections to boxes. Shifts of the centre
# are counted in sides of the *given* box, changes of the sides are natural logarithms of ratios.
# Boxes are corners (x0, y0, x1, y1).
#
# The box head's corrections are small, so networks learn them multiplied by `weights` (in Mask
# R-CNN 10, 10, 5, 5): multiply in `encode`, divide in `decode`.
#
# Example by hand: the box (0, 0, 10, 20) has its centre at (5, 10). The object (5, 0, 15, 40) has
# its centre at (10, 20). So dx = 5/10, dy = 10/20, dw = log(10/10) = 0, dh = log(40/20) = 0.693.
#
# <details><summary>First hint</summary>
# Compute centre and sides of the given boxes, [N, 2] each, and do x and y at once. The weights are
# a tuple; a tensor of them multiplies all rows.
# </details>
# <details><summary>Second hint</summary>
# The shift of the centre is divided by the sides of the <em>given</em> box; the change of the sides
# is the logarithm of a ratio. To decode, divide by the weights first, then undo each step, and turn
# centre and sides into corners at the end.
# </details>

# %% id="deltas" nbgrader="solution" forbidden="seglib.ops.encode_deltas seglib.ops.decode_deltas"
def encode(boxes, objects, weights=(1, 1, 1, 1)):
    """boxes, objects: float [N, 4], row n of one belongs to row n of the other.

    Returns corrections [N, 4].
    """
    ### BEGIN SOLUTION
    sides, new_sides = boxes[:, 2:] - boxes[:, :2], objects[:, 2:] - objects[:, :2]
    shift = (objects[:, :2] + objects[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / sides
    return torch.cat([shift, (new_sides / sides).log()], dim=1) * torch.tensor(weights)
    ### END SOLUTION


def decode(boxes, deltas, weights=(1, 1, 1, 1)):
    """boxes: float [N, 4], deltas: [N, 4] as `encode` gives them.

    Returns the corrected boxes [N, 4].
    """
    ### BEGIN SOLUTION
    deltas = deltas / torch.tensor(weights)
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + deltas[:, :2] * sides
    sides = sides * deltas[:, 2:].exp()
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=1)
    ### END SOLUTION

# %% id="deltas-checks" nbgrader="checks" points=3
box, object_ = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 0, 15, 40]])
got = encode(box, object_)
assert got is not None, "encode returned None: is the `return` missing?"
assert got.shape == (1, 4), f"four numbers for one box are [1, 4], yours is {list(got.shape)}"
wanted, weights = torch.tensor([[0.5, 0.5, 0, math.log(2)]]), (10, 10, 5, 5)
assert near(got[:, :2], wanted[:, :2], 1e-5), (
    f"the example's shift is (0.5, 0.5), yours is {numbers(got[:, :2])}: from centre to centre, "
    "divided by the sides of the given box"
)
assert near(got[:, 2:], wanted[:, 2:], 1e-5), (
    f"the example's growth is (0, 0.693), yours is {numbers(got[:, 2:])}: the natural logarithm of "
    "new side over old side"
)
weighted, expected = encode(box, object_, weights), wanted * torch.tensor(weights)
assert near(weighted, expected), (
    f"with weights {weights} expected {numbers(expected)}, yours is {numbers(weighted)}"
)
moved = decode(torch.tensor([[0.0, 0, 20, 40]]), wanted)
assert moved is not None, "decode returned None: is the `return` missing?"
assert near(moved, [[10.0, 0, 30, 80]], 1e-3), (
    f"the same correction takes (0, 0, 20, 40) to (10, 0, 30, 80), yours goes to {numbers(moved)}: "
    "shift by sides of the given box, multiply the sides by exp"
)
kept = weighted.clone()
moved = decode(box, weighted, weights)
assert near(weighted, kept), "decode changes the corrections that it is given: compute new ones"
assert near(moved, object_, 1e-3), (
    f"with weights {weights}, decode must undo encode: expected {numbers(object_)}, yours is "
    f"{numbers(moved)}: divide by the weights"
)
pair = encode(torch.cat([box, object_]), torch.cat([object_, box]))
assert pair.shape == (2, 4), f"two boxes give [2, 4], yours is {list(pair.shape)}"
back = torch.tensor([[-0.5, -0.25, 0, -math.log(2)]])
assert near(pair, torch.cat([wanted, back])), (
    f"the way back is {numbers(back)}, yours is {numbers(pair[1])}: each row has its own box"
)
assert encode(box[:0], box[:0]).shape == (0, 4), "no boxes give no corrections: [0, 4]"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    corners, sides = torch.rand(2, 30, 2) * 100, torch.rand(2, 30, 2) * 50 + 1
    a, b = torch.cat([corners, corners + sides], dim=2)
    weights = (1.0, 1.0, 1.0, 1.0) if seed % 2 else (10.0, 10.0, 5.0, 5.0)
    got = encode(a, b, weights)
    for box, wanted, row in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        w, h = box[2] - box[0], box[3] - box[1]
        expected = [
            ((wanted[0] + wanted[2]) - (box[0] + box[2])) / 2 / w,
            ((wanted[1] + wanted[3]) - (box[1] + box[3])) / 2 / h,
            math.log((wanted[2] - wanted[0]) / w),
            math.log((wanted[3] - wanted[1]) / h),
        ]
        close = [abs(x * f - y) < 1e-3 for x, f, y in zip(expected, weights, row, strict=True)]
        assert all(close), f"seed {seed}: encode differs for box {box}"
    assert near(decode(a, got, weights), b, 1e-2), (
        f"seed {seed}: decode does not undo encode"
    )
    flip = [1, 0, 3, 2]
    assert near(encode(a[:, flip], b[:, flip], weights), got[:, flip], 1e-3), (
        f"seed {seed}: with x and y exchanged everywhere, the corrections must be exchanged too"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example both ways, weights, two boxes at once, no boxes")

# %% [markdown] id="task-nms"
# ## Task 2: suppression, inside a real detector
#
# *4 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# Greedy non-maximum suppression. Go down the ranking; a box stays unless a box that *stays* and
# ranks above it overlaps it by **more than** the threshold. Equal scores keep their order in the
# input. You may use `ops.box_iou(a, b)` (IoU of [N, 4] with [M, 4], as [N, M]). Do not call
# `ops.nms`: inside the detector your function replaces it, so it would call itself.
#
# Example by hand: boxes (0, 0, 20, 20), (6, 0, 26, 20), (12, 0, 32, 20), scores 0.7, 0.9, 0.8,
# threshold 0.5. The middle one is best; both others overlap it by 0.54. So the result is `[1]`.
#
# <details><summary>First hint</summary>
# Sort once, with <code>argsort(descending=True, stable=True)</code>, and keep a boolean mask of the
# boxes that are still there.
# </details>
# <details><summary>Second hint</summary>
# Go down the ranking. Only a box that is still there suppresses, and only boxes that rank below it.
# At the end the mask selects from the sorted indices, not from 0, 1, 2 …
# </details>

# %% id="nms" nbgrader="solution" forbidden="nms"
def nms(boxes, scores, iou_threshold):
    """boxes: float [N, 4], scores: float [N]; N may be 0.

    Returns int64 [K], the indices that stay, best first.
    """
    ### BEGIN SOLUTION
    order = scores.argsort(descending=True, stable=True)
    overlaps = ops.box_iou(boxes[order], boxes[order]) > iou_threshold
    alive = torch.ones(len(order), dtype=torch.bool)
    for rank in range(len(order)):
        if alive[rank]:
            alive[rank + 1 :] &= ~overlaps[rank, rank + 1 :]
    return order[alive]
    ### END SOLUTION

# %% id="nms-checks" nbgrader="checks" points=4
three = torch.tensor([[0.0, 0, 20, 20], [6, 0, 26, 20], [12, 0, 32, 20]])
got = nms(three, torch.tensor([0.7, 0.9, 0.8]), 0.5)
assert got is not None, "nms returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor), f"return a tensor of indices, not a {type(got).__name__}"
assert got.dtype == torch.int64, f"indices are int64, yours are {got.dtype}"
assert got.tolist() == [1], f"the example keeps [1], yours keeps {got.tolist()}"
got = nms(three, torch.tensor([0.7, 0.8, 0.9]), 0.5).tolist()
assert got != [2], "scores 0.7, 0.8, 0.9: box 0 stays: the suppressed box 1 suppresses nothing"
assert got == [2, 0], f"scores 0.7, 0.8, 0.9: expected [2, 0], best first; yours is {got}"
half = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
got = nms(half, torch.tensor([0.9, 0.8]), 0.5).tolist()
assert got == [0, 1], f"an IoU of exactly the threshold is not more: expected [0, 1], not {got}"
got = nms(three, torch.tensor([0.7, 0.9, 0.8]), 0.6).tolist()
assert got == [1, 2, 0], (
    f"at a threshold of 0.6 an overlap of 0.54 suppresses nothing: expected [1, 2, 0], not {got}"
)
got = nms(torch.cat([three[:1], three]), torch.full((4,), 0.5), 0.3).tolist()
assert got == [0, 3], (
    f"boxes 0 and 1 are the same, all scores are equal: expected [0, 3], yours is {got}: among "
    "equal scores the first in the input comes first (a stable sort)"
)
empty = nms(three[:0], torch.zeros(0), 0.5)
assert empty.shape == (0,), f"no boxes give an empty tensor, [0], yours is {list(empty.shape)}"
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
torch.manual_seed(0)
detector, picture = build_model("mask_rcnn", categories).eval(), torch.rand(3, 96, 128)
expected = detector.predict([picture])[0].instances
with seglib.use(nms=nms):
    on_yours = detector.predict([picture])[0].instances
assert len(expected) > 10, "the detector finds nothing to compare"
assert len(on_yours) == len(expected), (
    f"on your nms the detector finds {len(on_yours)} objects instead of {len(expected)}"
)
assert near(on_yours.boxes, expected.boxes), "on your nms the detector returns other boxes"
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    corners = torch.rand(40, 2) * 40
    some = torch.cat([corners, corners + 5 + 20 * torch.rand(40, 2)], dim=1)
    points = torch.rand(40) if seed % 2 else (torch.rand(40) * 5).round() / 5
    threshold = 0.2 + 0.1 * seed
    wanted = []
    for i in sorted(range(40), key=lambda n: -points[n].item()):
        if all(float(ops.box_iou(some[i, None], some[k, None])) <= threshold for k in wanted):
            wanted.append(i)
    got = nms(some, points, threshold).tolist()
    assert got == wanted, f"seed {seed}, threshold {threshold:.1f}: kept {got}, expected {wanted}"
    assert nms(4 * some, points, threshold).tolist() == wanted, (
        f"seed {seed}: boxes four times as large, in the same places, must give the same result"
    )
    rest = nms(some[wanted], points[wanted], threshold).tolist()
    assert rest == list(range(len(wanted))), (
        f"seed {seed}: of the boxes that stayed, a second suppression keeps {rest}, not all"
    )
### END HIDDEN TESTS
print("✓ 4 of 4 points: greedy order, the exact threshold, ties, no boxes, and a real detector")

# %% [markdown] id="see-it"
# Now see it at work: the shipped detector on your suppression, and on one that suppresses nothing.
# (Not graded.)

# %% id="see-it-run" nbgrader="locked"
from seglib import plotting
from seglib.data import load_dataset
from seglib.pretrained import load

shipped = load("mask_rcnn")
image, target = load_dataset(split="val", size=128)[0]
with seglib.use(nms=nms):
    yours = shipped.predict([image])[0]
with seglib.use(nms=lambda boxes, scores, iou_threshold: scores.argsort(descending=True)):
    without = shipped.predict([image])[0]
plotting.compare(image, {"on your NMS": yours, "without any": without}, shipped.categories)

# %% [markdown] id="task-align"
# ## Task 3: RoIAlign for one box, wherever it lies
#
# *4 points · difficulty 4/5 · importance 5/5 · 30 minutes*
#
# Read a feature map inside a box without rounding. Cell (r, c) of a map of stride $s$ has its
# middle at pixel $x = (c + 0.5)\,s$, $y = (r + 0.5)\,s$, so in cells the box is `box / stride -
# 0.5`. Divide it into `bins` = (rows, columns) equal bins, not always as many down as across; place
# points evenly in each, the first at half a step from the bin's edge. A point's value is bilinear
# between the four cells around it. A bin is the mean of its points. Loops are fine, and so are
# matrices.
#
# How many points? With a number for `samples`, that many along each side of a bin. With `None` the
# number *adapts* to the bin, separately for each side, as it does by default in torchvision: as
# many points as the side's length in cells, rounded up. A bin 2.5 cells high and 0.8 cells wide has
# 3 points from top to bottom and 1 from left to right. A box without width or height then has no
# points at all, and its bins are 0, as in torchvision.
#
# A point beyond the middles of the outermost cells reads the border's value: move it to the nearest
# position between the middles first. A point more than one cell beyond them is 0, that is, where $y
# < -1$ or $y > H$, or $x < -1$ or $x > W$.
#
# Example by hand: map [[0, 4], [8, 12]], stride 1, box (0.5, 0.5, 1.5, 1.5), one bin, one sample.
# In cells the box is (0, 0, 1, 1), the point (0.5, 0.5), and the value the mean of all four: 6. For
# the box (1.6, 0, 2, 0.4) the point is x = 1.3, y = −0.3; it moves to (1, 0), and the value is 4.
#
# <details><summary>First hint</summary>
# Rows and columns can be treated separately: for one direction, list the positions of all points of
# all bins, in cells. Their number per bin comes from the length of a <em>bin</em> in cells.
# </details>
# <details><summary>Second hint</summary>
# In one direction each point is a row of weights over the cells: 0 if it lies too far outside,
# otherwise move it between the outermost middles and use the tent of the lesson, <code>max(0, 1 -
# |distance|)</code>. Average the rows of each bin; then the result is rows @ feature @ columns.T.
# </details>

# %% id="align" nbgrader="solution" forbidden="roi_align"
def roi_align_one(feature, box, stride, bins, samples=None):
    """feature: float [C, H, W]; box: float [4] (x0, y0, x1, y1) in pixels, anywhere.

    bins: (rows, columns); samples: along each side of a bin, or None to adapt.
    Returns [C, rows, columns].
    """
    ### BEGIN SOLUTION
    def weights(start, end, length, bins):
        count = samples or math.ceil((end - start) / bins)
        steps = (torch.arange(bins * count) + 0.5) / (bins * count)
        places = start + (end - start) * steps
        counted = (places >= -1) & (places <= length)
        places = places.clamp(0, length - 1)
        tents = (1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)
        summed = (tents * counted[:, None]).reshape(bins, count, length).sum(dim=1)
        return (summed / max(count, 1)).to(feature)

    x0, y0, x1, y1 = (box / stride - 0.5).tolist()
    rows = weights(y0, y1, feature.shape[1], bins[0])
    return rows @ feature @ weights(x0, x1, feature.shape[2], bins[1]).T
    ### END SOLUTION

# %% id="align-checks" nbgrader="checks" points=4
tiny = torch.tensor([[[0.0, 4], [8, 12]]])
got = roi_align_one(tiny, torch.tensor([0.5, 0.5, 1.5, 1.5]), 1, (1, 1), 1)
assert got is not None, "roi_align_one returned None: is the `return` missing?"
assert got.shape == (1, 1, 1), f"one channel, one bin are [1, 1, 1], yours is {list(got.shape)}"
assert abs(got.item() - 6) < 1e-4, (
    f"the example gives 6, yours gives {got.item():.3f}: the middle of cell 0 is at coordinate "
    "0, and a single sample lies in the middle of the box"
)
row = torch.arange(8.0)[:, None].expand(8, 12)  # each cell contains its row
rows = torch.stack([row, 10 * row])
got = roi_align_one(rows, torch.tensor([24.0, 12, 88, 44]), 8, (2, 2), 2)  # 64 wide, 32 high
assert got.shape == (2, 2, 2), (
    f"two channels and two bins each way are [2, 2, 2], yours is {list(got.shape)}"
)
assert near(got[1], (10 * got[0]).tolist()), (
    "the second channel is ten times the first, and so are its bins: read every channel"
)
got = got[0]
assert near(got[:, 0], got[:, 1]), (
    "on a map that changes only from row to row both columns of bins agree: are rows and columns "
    "swapped?"
)
assert near(got[:, 0], [2.0, 4.0]), (
    "the bins' middles lie at y = 20 and 36, that is at rows 20/8 − 0.5 = 2 and 36/8 − 0.5 = 4; "
    f"yours reads {numbers(got[:, 0])}: rows follow y, nothing is rounded, and a bin is the *mean* "
    "of its samples"
)
columns = torch.arange(12.0).expand(1, 8, 12)  # each cell contains its column
got = roi_align_one(columns, torch.tensor([24.0, 12, 88, 44]), 8, (2, 4), 1)
assert got.shape == (1, 2, 4), (
    f"bins = (2, 4) are 2 rows and 4 columns, [1, 2, 4]; yours is {list(got.shape)}"
)
got = got[0, 0]
assert near(got, [3.5, 5.5, 7.5, 9.5]), (
    "four bins across x = 24 to 88 have their middles at columns 3.5, 5.5, 7.5 and 9.5; yours "
    f"reads {numbers(got)}: are the box's width and height mixed up?"
)
ridge = torch.tensor([0.0, 0, 0, 9, 0, 0, 0])[None, None].expand(1, 7, 7)  # in column 3
for samples, wanted in ((1, 9.0), (2, 4.5), (4, 4.5)):
    got = roi_align_one(ridge, torch.tensor([2.5, 2.5, 4.5, 4.5]), 1, (1, 1), samples).item()
    assert abs(got - wanted) < 1e-4, (
        f"over the ridge, with {samples} sample(s) along each side, the mean is {wanted}, yours is "
        f"{got:.2f}: samples are evenly spaced, the first half a step from the edge"
    )
for width, wanted in ((2.0, 4.5), (2.4, 4.2), (0.8, 9.0)):
    box = torch.tensor([3.5 - width / 2, 2, 3.5 + width / 2, 5])  # its middle is the ridge's
    got = roi_align_one(ridge, box, 1, (1, 1)).item()
    assert abs(got - wanted) < 1e-3, (
        f"samples=None, a bin {width} cells wide over the ridge: "
        f"{math.ceil(width)} point(s) across "
        f"have the mean {wanted}, yours is {got:.2f}: round the side of a bin up, in cells"
    )
got = roi_align_one(ridge, torch.tensor([1.4, 2, 5.6, 5]), 1, (2, 3))[0, 0]
assert near(got, [0.0, 5.85, 0.0], 1e-3), (
    "samples=None, three bins of 1.4 × 1.5 cells: 2 points each way in every bin, so the first row "
    f"reads 0, 5.85, 0; yours is {numbers(got)}: count the cells of a *bin*, not of the box"
)
tall = roi_align_one(ridge, torch.tensor([3.0, 1, 4, 6]), 1, (1, 1)).item()
assert abs(tall - 9) < 1e-3, (
    f"samples=None, a bin 5 cells high and 1 wide needs 5 points down and 1 across, right on the "
    f"ridge: 9, yours is {tall:.2f}: each side has its own number"
)
flat = roi_align_one(ridge, torch.tensor([3.5, 2, 3.5, 5]), 1, (2, 2))
assert near(flat, torch.zeros(1, 2, 2)), (
    "samples=None, a box without width has no points, so that its bins are 0; yours are "
    f"{numbers(flat)}: rounding 0 up gives 0, and a mean of nothing needs care"
)
edge = torch.tensor([[[10.0, 30], [10, 30]]])
got = roi_align_one(edge, torch.tensor([0.0, 0.5, 0.4, 1.5]), 1, (1, 1), 1).item()
assert abs(got - 4) > 1e-3, (
    "a point 0.3 cells left of the first middle reads 10, yours 4: the line through 10 and 30 does "
    "not continue beyond the border"
)
assert abs(got - 7) > 1e-3, (
    "a point 0.3 cells left of the first middle reads 10, yours 7: it moves to the border before "
    "it is interpolated, so that its weights still sum to 1"
)
assert abs(got - 10) < 1e-4, (
    f"a point 0.3 cells left of the first middle reads the border's value, 10; yours is {got:.3f}"
)
got = roi_align_one(edge, torch.tensor([1.6, 0.5, 2.0, 1.5]), 1, (1, 1), 1).item()
assert abs(got - 30) < 1e-4, (
    f"a point 0.3 cells right of the last middle reads the border's value, 30; yours is {got:.3f}"
)
got = roi_align_one(tiny, torch.tensor([1.6, 0, 2, 0.4]), 1, (1, 1), 1).item()
assert abs(got - 4) < 1e-4, (
    f"the example's second point, x = 1.3, y = −0.3, reads the corner: 4, yours is {got:.3f}"
)
got = roi_align_one(edge, torch.tensor([-3.0, 0.5, -1.0, 1.5]), 1, (1, 1), 1).item()
assert abs(got) < 1e-4, f"a point 2.5 cells left of the first middle is 0, yours is {got:.3f}"
for side, beyond in (("right", [2.6, 0.5, 3, 1.5]), ("lower", [0.5, 2.6, 1.5, 3])):
    got = roi_align_one(edge, torch.tensor(beyond), 1, (1, 1), 1).item()
    assert abs(got) < 1e-4, (
        f"a point 1.3 cells beyond the last middle on the {side} side is 0, yours is {got:.3f}"
    )
got = roi_align_one(edge, torch.tensor([-2.0, 0.5, 1.0, 1.5]), 1, (1, 1), 2).item()
assert abs(got - 5) < 1e-4, (
    "of two samples across, at −1.75 and −0.25 cells, the first is 0 and the second 10: the mean "
    f"is 5, yours is {got:.3f}: a sample outside still counts in the mean"
)
### BEGIN HIDDEN TESTS
def one_point(feature, y, x):
    height, width = feature.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return torch.zeros(len(feature))
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    t, s = min(int(y), height - 2), min(int(x), width - 2)
    d, a = y - t, x - s
    upper = (1 - a) * feature[:, t, s] + a * feature[:, t, s + 1]
    lower = (1 - a) * feature[:, t + 1, s] + a * feature[:, t + 1, s + 1]
    return (1 - d) * upper + d * lower


inside, upper_left = [1.3, 0.9, 9.1, 7.7], [-2.2, -1.4, 5.3, 6.1]
lower_right, all_around = [6.2, 3.3, 13.9, 12.6], [-3.1, -2.7, 14.3, 11.9]
cases = [
    ((7, 5), 2, 4, inside),
    ((14, 14), 1, 8, upper_left),
    ((3, 4), None, 16, lower_right),
    ((2, 3), None, 4, all_around),
]
for seed, (bins, samples, stride, cells) in enumerate(cases):
    torch.manual_seed(seed)
    feature = torch.randn(5, 9, 11)
    box = torch.tensor(cells) * stride
    wanted = torch.zeros(5, *bins)
    x0, y0, x1, y1 = (box / stride - 0.5).tolist()
    down = samples or math.ceil((y1 - y0) / bins[0])
    across = samples or math.ceil((x1 - x0) / bins[1])
    for r in range(bins[0]):
        for c in range(bins[1]):
            for i in range(down):
                for j in range(across):
                    y = y0 + (y1 - y0) * (r + (i + 0.5) / down) / bins[0]
                    x = x0 + (x1 - x0) * (c + (j + 0.5) / across) / bins[1]
                    wanted[:, r, c] += one_point(feature, y, x) / (down * across)
    got = roi_align_one(feature, box, stride, bins, samples)
    case = f"{bins} bins, {samples} samples, stride {stride}, box {numbers(box)}"
    assert got.shape == wanted.shape, (
        f"{case}: expected {list(wanted.shape)}, yours is {list(got.shape)}"
    )
    assert near(got, wanted, 1e-3), f"{case}: values differ"
    turned = roi_align_one(feature.transpose(1, 2), box[[1, 0, 3, 2]], stride, bins[::-1], samples)
    assert near(turned, wanted.transpose(1, 2), 1e-3), (
        f"{case}: with rows and columns exchanged everywhere, the bins must be exchanged too"
    )
### END HIDDEN TESTS
print("✓ 4 of 4 points: the example, rows and columns, the samples' places and number, the border")

# %% [markdown] id="task-soft"
# ## Task 4: suppression that only lowers scores
#
# *4 points · difficulty 4/5 · importance 3/5 · 25 minutes*
#
# **Transfer.** No cell of the lesson does this. Greedy NMS removes a neighbour immediately, even
# where two objects really stand side by side. *Soft-NMS* (Bodla and others 2017, arXiv 1704.04503)
# lowers its score instead: again and again, take the box with the best score *now*, and multiply
# the score of every box that has not been taken by
#
# $$ e^{-\mathrm{IoU}^2 / \sigma} , $$
#
# where IoU is its overlap with the box just taken. Stop when no box is left whose score is at least
# `lowest`. Return the boxes in the order in which they were taken, and the scores that they had
# then. Among equal scores the first in the input comes first. Do not change the tensors that you
# are given.
#
# Example by hand: the boxes (0, 0, 20, 20), (6, 0, 26, 20), (12, 0, 32, 20) with scores 0.9, 0.8,
# 0.7, and $\sigma = 0.5$. Neighbours overlap by 0.538, first and last by 0.25. Take box 0. The
# others fall to 0.8 · 0.560 = 0.448 and 0.7 · 0.882 = 0.618. So box 2 comes next, and takes box 1
# down to 0.448 · 0.560 = 0.251. The result is `[0, 2, 1]` with 0.9, 0.618, 0.251; with `lowest =
# 0.3` it would be `[0, 2]`.
#
# <details><summary>First hint</summary>
# Greedy NMS sorts once, at the beginning. Ask yourself whether the order can still be trusted after
# a box has lowered the scores of others.
# </details>
# <details><summary>Second hint</summary>
# Work on a copy of the scores, and in each round use <code>argmax</code> instead of a sorted list.
# A box that was taken must not be found again: mark it in a boolean mask, and search among the
# others only. (Minus infinity as its score is a trap: times a factor that has fallen to 0 it is
# NaN.)
# </details>

# %% id="soft" nbgrader="solution"
def soft_nms(boxes, scores, sigma=0.5, lowest=0.05):
    """boxes: float [N, 4], scores: float [N], above 0; N may be 0.

    Returns int64 [K] indices in the order in which they are taken, and float [K] their scores then.
    """
    ### BEGIN SOLUTION
    left, order, taken = scores.clone(), [], []
    free = torch.ones(len(scores), dtype=torch.bool)
    while free.any() and left[free].max() >= lowest:
        best = int(left.where(free, -1).argmax())
        order.append(best)
        taken.append(left[best].item())
        left = left * (-(ops.box_iou(boxes[best, None], boxes)[0] ** 2) / sigma).exp()
        free[best] = False
    return torch.tensor(order, dtype=torch.int64), torch.tensor(taken, dtype=scores.dtype)
    ### END SOLUTION

# %% id="soft-checks" nbgrader="checks" points=4
three = torch.tensor([[0.0, 0, 20, 20], [6, 0, 26, 20], [12, 0, 32, 20]])
points = torch.tensor([0.9, 0.8, 0.7])
got = soft_nms(three, points)
assert got is not None, "soft_nms returned None: is the `return` missing?"
assert len(got) == 2, f"soft_nms returns indices and scores; yours returns {len(got)} things"
order, taken = got
assert isinstance(order, torch.Tensor), f"indices are a tensor, yours a {type(order).__name__}"
assert isinstance(taken, torch.Tensor), f"scores are a tensor, yours a {type(taken).__name__}"
assert order.dtype == torch.int64, f"indices are int64, yours are {order.dtype}"
assert near(points, [0.9, 0.8, 0.7]), "soft_nms changes the scores that it is given: copy them"
assert order.tolist() != [0, 1, 2], (
    "after box 0 the score of box 1 is 0.448 and that of box 2 is 0.618: take the best score *now*"
)
assert order.tolist() == [0, 2, 1], f"the example takes [0, 2, 1], yours {order.tolist()}"
assert abs(float(taken[1]) - 0.618) < 1e-3, (
    f"box 2 is taken with 0.7 · exp(−0.25² / 0.5) = 0.618, yours with {float(taken[1]):.3f}"
)
assert abs(float(taken[2]) - 0.251) < 1e-3, (
    f"box 1 is lowered twice, by box 0 and by box 2, to 0.251; yours has {float(taken[2]):.3f}"
)
assert near(taken, [0.9, 0.618, 0.251], 1e-3), f"the example's scores are not {numbers(taken)}"
order, taken = soft_nms(three, points, lowest=0.3)
assert order.tolist() == [0, 2], (
    f"with lowest = 0.3 box 1 (0.251) is left out: expected [0, 2], yours is {order.tolist()}"
)
assert near(taken, [0.9, 0.618], 1e-3), f"with lowest = 0.3 the scores are not {numbers(taken)}"
order, taken = soft_nms(three, points, sigma=0.05)
assert order.tolist() == [0, 2], (
    f"with sigma = 0.05 box 1 falls far below 0.05: expected [0, 2], yours takes {order.tolist()}"
)
assert abs(float(taken[1]) - 0.201) < 1e-3, (
    f"with sigma = 0.05 box 2 is taken with 0.7 · exp(−0.25² / 0.05) = 0.201, yours with "
    f"{float(taken[1]):.3f}: divide by sigma"
)
order, taken = soft_nms(torch.cat([three[:1], three[:1] + 50]), torch.tensor([0.5, 0.5]))
assert order.tolist() == [0, 1], (
    f"two boxes far apart with equal scores: expected [0, 1], as in the input, not {order.tolist()}"
)
assert near(taken, [0.5, 0.5]), (
    f"boxes without overlap keep their scores, 0.5 and 0.5; yours are {numbers(taken)}"
)
order, taken = soft_nms(three[:1], torch.tensor([0.5]), lowest=0.5)
assert order.tolist() == [0], "a score of exactly `lowest` is at least `lowest`: the box is taken"
twins = soft_nms(three[[0, 0]], torch.tensor([0.6, 0.9]))
assert twins[0].tolist() == [1, 0], (
    f"the better of two equal boxes comes first: expected [1, 0], yours is {twins[0].tolist()}"
)
assert near(twins[1], [0.9, 0.6 * math.exp(-2)], 1e-3), (
    f"a copy of a taken box is lowered by exp(−1 / 0.5) = 0.135: expected [0.9, 0.081], yours is "
    f"{numbers(twins[1])}"
)
order, taken = soft_nms(three[[0, 0, 0]], points, sigma=0.005, lowest=0)
assert order.tolist() == [0, 1, 2], (
    "three equal boxes, sigma = 0.005, lowest = 0: exp(−1 / 0.005) is 0, and each box is "
    "still taken "
    f"once, [0, 1, 2]; yours takes {order.tolist()}: mark the boxes that were taken in a mask"
)
assert near(taken, [0.9, 0, 0]), f"their scores are 0.9, 0 and 0, yours are {numbers(taken)}"
order, taken = soft_nms(three[:0], torch.zeros(0))
shapes = [list(order.shape), list(taken.shape)]
assert shapes == [[0], [0]], f"no boxes give two empty tensors, [0] and [0]; yours are {shapes}"
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    corners = torch.rand(30, 2) * 30
    some = torch.cat([corners, corners + 8 + 20 * torch.rand(30, 2)], dim=1)
    points = 0.1 + 0.9 * torch.rand(30)
    sigma, lowest = 0.3 + 0.1 * seed, 0.02 * (seed + 1)
    left, wanted, values = dict(enumerate(points.tolist())), [], []
    while left and max(left.values()) >= lowest:
        best = max(left, key=left.get)
        wanted.append(best)
        values.append(left.pop(best))
        for n in left:
            overlap = float(ops.box_iou(some[best, None], some[n, None]))
            left[n] *= math.exp(-(overlap**2) / sigma)
    order, taken = soft_nms(some, points.clone(), sigma, lowest)
    case = f"seed {seed}, sigma {sigma:.1f}, lowest {lowest:.2f}"
    assert order.tolist() == wanted, f"{case}: took {order.tolist()}, expected {wanted}"
    assert near(taken, values, 1e-3), f"{case}: the scores differ"
    again = soft_nms(4 * some, points.clone(), sigma, lowest)[0].tolist()
    assert again == wanted, f"{case}: boxes four times as large must be taken in the same order"
### END HIDDEN TESTS
print("✓ 4 of 4 points: order and scores of the example, sigma, lowest, ties, copies, no boxes")
