# %% [markdown] id="intro"
# # Assignment 06: From R-CNN to Mask R-CNN
#
# Four tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 06](../06_mask_rcnn.ipynb). Replace the line
# `raise NotImplementedError` and run the checks below it. All floating-point tensors that the
# checks pass in, the hidden ones too, are float32.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. A box as a correction of another | 3 | 2/5 | 5/5 | 15 |
# | 2. Suppression, inside a real detector | 4 | 3/5 | 5/5 | 20 |
# | 3. RoIAlign for one box | 4 | 4/5 | 5/5 | 30 |
# | 4. What each anchor learns | 3 | 3/5 | 4/5 | 20 |

# %% id="imports" nbgrader="locked"
import math

import torch

import seglib
from seglib import ops
from seglib.models import build_model
from seglib.structures import Categories

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

# %% id="deltas" nbgrader="solution"
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
def numbers(tensor):
    return [round(value, 3) for value in tensor.flatten().tolist()]


box, object_ = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 0, 15, 40]])
got = encode(box, object_)
assert got is not None, "encode returned None: is the `return` missing?"
assert got.shape == (1, 4), f"four numbers for one box are [1, 4], yours is {list(got.shape)}"
wanted, weights = torch.tensor([[0.5, 0.5, 0, math.log(2)]]), (10, 10, 5, 5)
assert torch.allclose(got[:, :2], wanted[:, :2], atol=1e-5), (
    f"the example's shift is (0.5, 0.5), yours is {numbers(got[:, :2])}: from centre to centre, "
    "divided by the sides of the given box"
)
assert torch.allclose(got[:, 2:], wanted[:, 2:], atol=1e-5), (
    f"the example's growth is (0, 0.693), yours is {numbers(got[:, 2:])}: the natural logarithm of "
    "new side over old side"
)
weighted, expected = encode(box, object_, weights), wanted * torch.tensor(weights)
assert torch.allclose(weighted, expected, atol=1e-4), (
    f"with weights {weights} expected {numbers(expected)}, yours is {numbers(weighted)}"
)
moved = decode(torch.tensor([[0.0, 0, 20, 40]]), wanted)
assert moved is not None, "decode returned None: is the `return` missing?"
assert torch.allclose(moved, torch.tensor([[10.0, 0, 30, 80]]), atol=1e-3), (
    f"the same correction takes (0, 0, 20, 40) to (10, 0, 30, 80), yours goes to {numbers(moved)}: "
    "shift by sides of the given box, multiply the sides by exp"
)
moved = decode(box, weighted, weights)
assert torch.allclose(moved, object_, atol=1e-3), (
    f"with weights {weights}, decode must undo encode: expected {numbers(object_)}, yours is "
    f"{numbers(moved)}: divide by the weights"
)
pair = encode(torch.cat([box, object_]), torch.cat([object_, box]))
assert pair.shape == (2, 4), f"two boxes give [2, 4], yours is {list(pair.shape)}"
back = torch.tensor([[-0.5, -0.25, 0, -math.log(2)]])
assert torch.allclose(pair, torch.cat([wanted, back]), atol=1e-4), (
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
        near = [abs(x * f - y) < 1e-3 for x, f, y in zip(expected, weights, row, strict=True)]
        assert all(near), f"seed {seed}: encode differs for box {box}"
    assert torch.allclose(decode(a, got, weights), b, atol=1e-2), (
        f"seed {seed}: decode does not undo encode"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example both ways, weights, two boxes at once, no boxes")

# %% [markdown] id="task-nms"
# ## Task 2: suppression, inside a real detector
#
# *4 points · difficulty 3/5 · importance 5/5 · 20 minutes*
#
# Greedy non-maximum suppression. Go down the ranking; a box stays unless a box that *stays* and
# ranks above it overlaps it by **more than** the threshold. Equal scores keep their order in the
# input. You may use `ops.box_iou(a, b)` (IoU of [N, 4] with [M, 4], as [N, M]); `ops.nms` would
# call itself here, because your function takes its place.
#
# Example by hand: boxes (0, 0, 20, 20), (6, 0, 26, 20), (12, 0, 32, 20), scores 0.7, 0.9, 0.8,
# threshold 0.5. The middle one is best; both others overlap it by 0.54. So `[1]` stays alone.

# %% id="nms" nbgrader="solution"
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
assert got != [2], "scores 0.7, 0.8, 0.9: box 0 stays, since the suppressed box 1 suppresses nobody"
assert got == [2, 0], f"scores 0.7, 0.8, 0.9: expected [2, 0], best first; yours is {got}"
half = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
got = nms(half, torch.tensor([0.9, 0.8]), 0.5).tolist()
assert got == [0, 1], f"an IoU of exactly the threshold is not more: expected [0, 1], not {got}"
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
assert torch.equal(on_yours.boxes, expected.boxes), "on your nms the detector gives other boxes"
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
# ## Task 3: RoIAlign for one box
#
# *4 points · difficulty 4/5 · importance 5/5 · 30 minutes*
#
# Read a feature map inside a box without rounding. Cell (r, c) of a map of stride $s$ has its
# middle at pixel $x = (c + 0.5)\,s$, $y = (r + 0.5)\,s$, so in cells the box is
# `box / stride - 0.5`. Cut it into `bins` × `bins` equal bins; place `samples` × `samples` points
# evenly in each, the first at half a step from the bin's edge. A point's value is bilinear between
# the four cells around it. A bin is the mean of its points. The checks keep all points between
# middles of cells, so the border need not concern you. Loops are fine, and so are matrices.
#
# Example by hand: map [[0, 4], [8, 12]], stride 1, box (0.5, 0.5, 1.5, 1.5), one bin, one sample.
# In cells the box is (0, 0, 1, 1), the point (0.5, 0.5), and the value the mean of all four: 6.

# %% id="align" nbgrader="solution"
def roi_align_one(feature, box, stride, bins, samples):
    """feature: float [C, H, W]; box: float [4] (x0, y0, x1, y1) in pixels.

    Returns [C, bins, bins], rows first.
    """
    ### BEGIN SOLUTION
    def weights(start, end, length):
        steps = (torch.arange(bins * samples) + 0.5) / (bins * samples)
        places = start + (end - start) * steps
        tents = (1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)
        return tents.reshape(bins, samples, length).mean(dim=1)

    x0, y0, x1, y1 = (box / stride - 0.5).tolist()
    return weights(y0, y1, feature.shape[1]) @ feature @ weights(x0, x1, feature.shape[2]).T
    ### END SOLUTION

# %% id="align-checks" nbgrader="checks" points=4
tiny = torch.tensor([[[0.0, 4], [8, 12]]])
got = roi_align_one(tiny, torch.tensor([0.5, 0.5, 1.5, 1.5]), 1, 1, 1)
assert got is not None, "roi_align_one returned None: is the `return` missing?"
assert got.shape == (1, 1, 1), f"one channel, one bin are [1, 1, 1], yours is {list(got.shape)}"
assert abs(got.item() - 6) < 1e-4, (
    f"the example gives 6, yours gives {got.item():.3f}: is the middle of cell 0 at coordinate 0?"
)
rows = torch.arange(8.0)[None, :, None].expand(2, 8, 12)  # each cell holds its row
got = roi_align_one(rows, torch.tensor([24.0, 12, 88, 44]), 8, 2, 2)  # a box 64 wide, 32 high
assert got.shape == (2, 2, 2), (
    f"two channels and two bins each way are [2, 2, 2], yours is {list(got.shape)}"
)
got = got[0]
assert torch.allclose(got[:, 0], got[:, 1]), (
    "on a map that changes only from row to row both columns of bins agree: are rows and columns "
    "swapped?"
)
assert torch.allclose(got[:, 0], torch.tensor([2.0, 4.0]), atol=1e-4), (
    "the bins' middles lie at y = 20 and 36, that is at rows 20/8 − 0.5 = 2 and 36/8 − 0.5 = 4; "
    f"yours reads {numbers(got[:, 0])}: is a bin the *mean* of its samples?"
)
columns = torch.arange(12.0).expand(1, 8, 12)  # each cell holds its column
got = roi_align_one(columns, torch.tensor([24.0, 12, 88, 44]), 8, 4, 1)[0, 0]
assert torch.allclose(got, torch.tensor([3.5, 5.5, 7.5, 9.5]), atol=1e-4), (
    "four bins across x = 24 to 88 have their middles at columns 3.5, 5.5, 7.5 and 9.5; yours "
    f"reads {got.tolist()}: are the box's width and height mixed up?"
)
ridge = torch.tensor([0.0, 0, 0, 9, 0, 0, 0])[None, None].expand(1, 7, 7)  # in column 3
for samples, wanted in ((1, 9.0), (2, 4.5), (4, 4.5)):
    got = roi_align_one(ridge, torch.tensor([2.5, 2.5, 4.5, 4.5]), 1, 1, samples).item()
    assert abs(got - wanted) < 1e-4, (
        f"over the ridge, with {samples} sample(s) along each side, the mean is {wanted}, yours is "
        f"{got:.2f}: samples are evenly spaced, the first half a step from the edge"
    )
### BEGIN HIDDEN TESTS
for seed, (bins, samples, stride) in enumerate([(7, 2, 4), (14, 1, 8), (3, 3, 16), (1, 4, 4)]):
    torch.manual_seed(seed)
    feature = torch.randn(5, 9, 11)
    box = torch.tensor([1.3, 0.9, 9.1, 7.7]) * stride
    wanted = torch.zeros(5, bins, bins)
    x0, y0, x1, y1 = (box / stride - 0.5).tolist()
    for r in range(bins):
        for c in range(bins):
            for i in range(samples):
                for j in range(samples):
                    y = y0 + (y1 - y0) * (r + (i + 0.5) / samples) / bins
                    x = x0 + (x1 - x0) * (c + (j + 0.5) / samples) / bins
                    t, s = int(y), int(x)
                    d, a = y - t, x - s
                    upper = (1 - a) * feature[:, t, s] + a * feature[:, t, s + 1]
                    lower = (1 - a) * feature[:, t + 1, s] + a * feature[:, t + 1, s + 1]
                    wanted[:, r, c] += ((1 - d) * upper + d * lower) / samples**2
    got = roi_align_one(feature, box, stride, bins, samples)
    case = f"{bins} bins, {samples} samples, stride {stride}"
    assert got.shape == wanted.shape, (
        f"{case}: expected {list(wanted.shape)}, yours is {list(got.shape)}"
    )
    assert torch.allclose(got, wanted, atol=1e-3), f"{case}: values differ"
### END HIDDEN TESTS
print("✓ 4 of 4 points: the example, a wide box by rows and by columns, the place of the samples")

# %% [markdown] id="task-labels"
# ## Task 4: what each anchor learns
#
# *3 points · difficulty 3/5 · importance 4/5 · 20 minutes*
#
# Label the anchors of an image: 1 (object) if the best IoU with any object is at least `high`; 0
# (nothing) if it is below `low`; −1 (no loss) otherwise. Then the rescue rule: every anchor that
# has the *largest* IoU with some object among all anchors becomes 1 too (ties included). Also
# return for each anchor the object that it overlaps most (the first among equals): that is the one
# it learns, whatever made it positive. There is at least one object, and each overlaps some anchor.
#
# Example by hand: IoU `[[0.8, 0.2, 0.4], [0.1, 0.5, 0.4]]` of two objects with three anchors, high
# 0.7, low 0.3. Anchor 0 is 1; anchor 1 (0.5) would get no loss, but no anchor overlaps object 1
# more, so it is 1; anchor 2 is −1. Best objects: 0, 1, 0.

# %% id="labels" nbgrader="solution"
def label_anchors(iou, high=0.7, low=0.3):
    """iou: float [G, N], objects by anchors.

    Returns labels int64 [N] of 1, 0, −1, and best objects int64 [N].
    """
    ### BEGIN SOLUTION
    best, which = iou.max(dim=0)
    labels = torch.full_like(which, -1)
    labels[best < low] = 0
    labels[best >= high] = 1
    labels[(iou == iou.max(dim=1, keepdim=True).values).any(dim=0)] = 1
    return labels, which
    ### END SOLUTION

# %% id="labels-checks" nbgrader="checks" points=3
got = label_anchors(torch.tensor([[0.8, 0.2, 0.4], [0.1, 0.5, 0.4]]))
assert got is not None, "label_anchors returned None: is the `return` missing?"
assert len(got) == 2, f"label_anchors returns labels and best objects; yours returns {len(got)}"
labels, which = got
shapes = [list(labels.shape), list(which.shape)]
assert shapes == [[3], [3]], f"three anchors: both answers are [3], yours are {shapes}"
dtypes = {labels.dtype, which.dtype}
assert dtypes == {torch.int64}, f"both answers are int64, yours are {dtypes}"
labels, which = labels.tolist(), which.tolist()
assert labels != [1, -1, -1], "anchor 1 is the best of object 1, so it is positive: the rescue rule"
assert labels == [1, 1, -1], f"the example's labels are [1, 1, -1], yours are {labels}"
assert which == [0, 1, 0], (
    f"the example's best objects are [0, 1, 0], yours are {which}: per anchor, the object with the "
    "largest IoU, the first among equals"
)
labels, which = (part.tolist() for part in label_anchors(torch.tensor([[0.6, 0.9], [0.5, 0.1]])))
assert labels == [1, 1], f"object 1's best anchor is anchor 0, though poor: [1, 1], not {labels}"
assert which == [0, 0], (
    f"anchor 0 is positive for object 1's sake, but overlaps object 0 more and learns that: "
    f"expected [0, 0], yours is {which}"
)
poor = label_anchors(torch.tensor([[0.1, 0.2, 0.05, 0.2]]))[0].tolist()
assert poor == [0, 1, 0, 1], (
    "one object, IoUs 0.1, 0.2, 0.05, 0.2: anchors 1 and 3 tie for its best, and both become "
    f"positive although 0.2 is below `low`: expected [0, 1, 0, 1], yours is {poor}"
)
edges = label_anchors(torch.tensor([[0.75, 0.25, 0.9]]), high=0.75, low=0.25)[0].tolist()
assert edges == [1, -1, 1], (
    "with high 0.75 an IoU of 0.75 is enough for 1, and with low 0.25 one of 0.25 is not below: "
    f"expected [1, -1, 1], yours is {edges}"
)
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    iou = (torch.rand(4, 60) ** 2 * 16).round() / 16
    iou[:, :4] += torch.eye(4) / 16
    high, low = (0.7, 0.3) if seed < 3 else (0.5, 0.4)
    labels, which = label_anchors(iou, high, low)
    for n in range(60):
        column = iou[:, n].tolist()
        expected = 1 if max(column) >= high else 0 if max(column) < low else -1
        if any(iou[g, n] == iou[g].max() for g in range(4)):
            expected = 1
        case = f"seed {seed}: anchor {n} with IoUs {column}"
        assert labels[n] == expected, f"{case} is {expected}, yours says {int(labels[n])}"
        assert which[n] == column.index(max(column)), (
            f"{case} overlaps object {column.index(max(column))} most"
        )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, the rescue rule with a tie and below `low`, exact thresholds")
