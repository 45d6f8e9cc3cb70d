# %% [markdown] id="intro"
# # Assignment 06: From R-CNN to Mask R-CNN
#
# Four tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 06](../06_mask_rcnn.ipynb). Replace the line
# `raise NotImplementedError` and run the checks below it.
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
# Write boxes as corrections (dx, dy, dw, dh) and apply corrections to boxes. Shifts of the centre are counted in
# sides of the *given* box, changes of the sides are natural logarithms of ratios. Boxes are corners (x0, y0, x1, y1).
#
# The box head's corrections are small, so networks learn them multiplied by `weights` (in Mask R-CNN 10, 10, 5, 5):
# multiply in `encode`, divide in `decode`.
#
# Example by hand: the box (0, 0, 10, 20) has its centre at (5, 10). The object (5, 0, 15, 40) has its centre at
# (10, 20). So dx = 5/10, dy = 10/20, dw = log(10/10) = 0, dh = log(40/20) = 0.693.

# %% id="deltas" nbgrader="solution"
def encode(boxes, objects, weights=(1, 1, 1, 1)):
    """boxes, objects: float [N, 4], row n of one belongs to row n of the other. Returns corrections [N, 4]."""
    ### BEGIN SOLUTION
    sides, new_sides = boxes[:, 2:] - boxes[:, :2], objects[:, 2:] - objects[:, :2]
    shift = (objects[:, :2] + objects[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / sides
    return torch.cat([shift, (new_sides / sides).log()], dim=1) * torch.tensor(weights).to(boxes)
    ### END SOLUTION


def decode(boxes, deltas, weights=(1, 1, 1, 1)):
    """boxes: float [N, 4], deltas: [N, 4] as `encode` gives them. Returns the corrected boxes [N, 4]."""
    ### BEGIN SOLUTION
    deltas = deltas / torch.tensor(weights).to(boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + deltas[:, :2] * sides
    sides = sides * deltas[:, 2:].exp()
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=1)
    ### END SOLUTION

# %% id="deltas-checks" nbgrader="checks" points=3
got = encode(torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 0, 15, 40]]))
assert got is not None, "encode returned None: is the `return` missing?"
assert got.shape == (1, 4), f"one row of four numbers for one box, yours is {list(got.shape)}"
wanted = torch.tensor([0.5, 0.5, 0, math.log(2)])
assert torch.allclose(got[0, :2], wanted[:2], atol=1e-5), f"the example's shift is (0.5, 0.5), yours is {got[0, :2].tolist()}: from centre to centre, divided by the sides of the given box"
assert torch.allclose(got[0, 2:], wanted[2:], atol=1e-5), f"the example's growth is (0, 0.693), yours is {got[0, 2:].tolist()}: the logarithm of new side over old side"
weighted = encode(torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 0, 15, 40]]), (10, 10, 5, 5))
assert torch.allclose(weighted[0], wanted * torch.tensor([10.0, 10, 5, 5]), atol=1e-4), f"with weights (10, 10, 5, 5) expected {(wanted * torch.tensor([10.0, 10, 5, 5])).tolist()}, yours is {weighted[0].tolist()}"
moved = decode(torch.tensor([[0.0, 0, 20, 40]]), wanted[None])
assert moved is not None, "decode returned None: is the `return` missing?"
assert torch.allclose(moved[0], torch.tensor([10.0, 0, 30, 80]), atol=1e-3), f"the same correction takes (0, 0, 20, 40) to (10, 0, 30, 80), yours goes to {moved[0].tolist()}"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    corners, sides = torch.rand(2, 30, 2) * 100, torch.rand(2, 30, 2) * 50 + 1
    a, b = torch.cat([corners, corners + sides], dim=2)
    weights = (1.0, 1.0, 1.0, 1.0) if seed % 2 else (10.0, 10.0, 5.0, 5.0)
    got = encode(a, b, weights)
    for box, wanted, row in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        w, h = box[2] - box[0], box[3] - box[1]
        numbers = [
            ((wanted[0] + wanted[2]) - (box[0] + box[2])) / 2 / w,
            ((wanted[1] + wanted[3]) - (box[1] + box[3])) / 2 / h,
            math.log((wanted[2] - wanted[0]) / w),
            math.log((wanted[3] - wanted[1]) / h),
        ]
        assert all(abs(x * f - y) < 1e-3 for x, f, y in zip(numbers, weights, row, strict=True)), f"seed {seed}: encode differs for box {box}"
    assert torch.allclose(decode(a, got, weights), b, atol=1e-2), f"seed {seed}: decode does not undo encode"
assert encode(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0, 4), "no boxes give no corrections: [0, 4]"
### END HIDDEN TESTS

# %% [markdown] id="task-nms"
# ## Task 2: suppression, inside a real detector
#
# *4 points · difficulty 3/5 · importance 5/5 · 20 minutes*
#
# Greedy non-maximum suppression. Go down the ranking; a box stays unless a box that *stays* and stands above it
# overlaps it by **more than** the threshold. Equal scores keep their order in the input. You may use
# `ops.box_iou(a, b)` (IoU of [N, 4] with [M, 4], as [N, M]); `ops.nms` would call itself here, for your function takes its
# place.
#
# Example by hand: boxes (0, 0, 20, 20), (6, 0, 26, 20), (12, 0, 32, 20), scores 0.7, 0.9, 0.8, threshold 0.5. The middle
# one is best; both others overlap it by 0.54. So `[1]` stays alone.

# %% id="nms" nbgrader="solution"
def nms(boxes, scores, iou_threshold):
    """boxes: float [N, 4], scores: float [N]. Returns int64 [K], the indices that stay, best first (N may be 0)."""
    ### BEGIN SOLUTION
    order = scores.argsort(descending=True, stable=True)
    strikes = ops.box_iou(boxes[order], boxes[order]) > iou_threshold
    alive = torch.ones(len(order), dtype=torch.bool)
    for rank in range(len(order)):
        if alive[rank]:
            alive[rank + 1 :] &= ~strikes[rank, rank + 1 :]
    return order[alive]
    ### END SOLUTION

# %% id="nms-checks" nbgrader="checks" points=4
three = torch.tensor([[0.0, 0, 20, 20], [6, 0, 26, 20], [12, 0, 32, 20]])
got = nms(three, torch.tensor([0.7, 0.9, 0.8]), 0.5)
assert got is not None, "nms returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor) and got.dtype == torch.int64, "return an int64 tensor of indices"
assert got.tolist() == [1], f"the example keeps [1], yours keeps {got.tolist()}"
got = nms(three, torch.tensor([0.7, 0.8, 0.9]), 0.5).tolist()
assert got == [2, 0], f"scores 0.7, 0.8, 0.9: expected [2, 0], yours is {got}. Best first; and the middle box, once struck out, strikes out nobody"
half = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
got = nms(half, torch.tensor([0.9, 0.8]), 0.5).tolist()
assert got == [0, 1], f"an IoU of exactly the threshold is not more than it: expected [0, 1], yours is {got}"
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
torch.manual_seed(0)
detector, picture = build_model("mask_rcnn", categories).eval(), torch.rand(3, 96, 128)
expected = detector.predict([picture])[0].instances
with seglib.use(nms=nms):
    on_yours = detector.predict([picture])[0].instances
assert len(expected) > 10, "the detector finds nothing to compare"
assert len(on_yours) == len(expected), f"on your nms the detector finds {len(on_yours)} objects instead of {len(expected)}"
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
    assert got == wanted, f"seed {seed}, threshold {threshold:.1f}: yours keeps {got}, expected {wanted}"
assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,), "no boxes give an empty tensor"
### END HIDDEN TESTS

# %% [markdown] id="see-it"
# Now see it at work: the shipped detector on your suppression, and on one that strikes out nothing. (Not graded.)

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
# Read a feature map inside a box without rounding. Cell (r, c) of a map of stride $s$ has its middle at pixel
# $((c + 0.5)\,s,\ (r + 0.5)\,s)$, so in cells the box is `box / stride - 0.5`. Cut it into `bins` × `bins` equal bins; in each
# place `samples` × `samples` points, evenly: the first at half a step from the bin's edge. A point's value is bilinear
# between the four cells around it. A bin is the mean of its points. The checks keep all points between middles of cells,
# so you need not care for the border. Loops are fine, and so are matrices.
#
# Example by hand: map [[0, 4], [8, 12]], stride 1, box (0.5, 0.5, 1.5, 1.5), one bin, one sample. In cells the box is
# (0, 0, 1, 1), the point (0.5, 0.5), and the value the mean of all four: 6.

# %% id="align" nbgrader="solution"
def roi_align_one(feature, box, stride, bins, samples):
    """feature: float [C, H, W]; box: float [4] (x0, y0, x1, y1) in pixels. Returns [C, bins, bins], rows first."""
    ### BEGIN SOLUTION
    def weights(start, end, length):
        steps = (torch.arange(bins * samples) + 0.5) / (bins * samples)
        places = start + (end - start) * steps
        tents = (1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)
        return tents.reshape(bins, samples, length).mean(dim=1).to(feature)

    x0, y0, x1, y1 = (box / stride - 0.5).tolist()
    return weights(y0, y1, feature.shape[1]) @ feature @ weights(x0, x1, feature.shape[2]).T
    ### END SOLUTION

# %% id="align-checks" nbgrader="checks" points=4
tiny = torch.tensor([[[0.0, 4], [8, 12]]])
got = roi_align_one(tiny, torch.tensor([0.5, 0.5, 1.5, 1.5]), 1, 1, 1)
assert got is not None, "roi_align_one returned None: is the `return` missing?"
assert got.shape == (1, 1, 1), f"one channel, one bin: expected [1, 1, 1], yours is {list(got.shape)}"
assert abs(got.item() - 6) < 1e-4, f"the example gives 6, yours gives {got.item():.3f}: is the middle of cell 0 at coordinate 0?"
rows = torch.arange(8.0)[None, :, None].expand(1, 8, 8)  # each cell holds its row
got = roi_align_one(rows, torch.tensor([8.0, 12, 40, 44]), 8, 2, 2)[0]
assert got.shape == (2, 2), f"two bins each way make 2 × 2, yours is {list(got.shape)}"
assert torch.allclose(got[:, 0], got[:, 1]), "on a map that changes only from row to row both columns of bins agree: are rows and columns swapped?"
assert torch.allclose(got[:, 0], torch.tensor([2.0, 4.0]), atol=1e-4), f"the bins' middles lie at pixels 20 and 36, rows 20/8 − 0.5 = 2 and 4; yours reads {got[:, 0].tolist()}"
curve = torch.tensor([0.0, 0, 0, 9, 0, 0, 0])[None, None].expand(1, 7, 7)  # a ridge, column 3
for samples, wanted in ((1, 9.0), (2, 4.5)):
    got = roi_align_one(curve, torch.tensor([2.5, 2.5, 4.5, 4.5]), 1, 1, samples).item()
    assert abs(got - wanted) < 1e-4, f"over the ridge with {samples} sample(s) along each side the mean is {wanted}, yours is {got:.2f}: where do the samples lie?"
### BEGIN HIDDEN TESTS
for seed, (bins, samples, stride) in enumerate([(7, 2, 4), (14, 1, 8), (3, 3, 16), (1, 4, 4)]):
    torch.manual_seed(seed)
    feature = torch.randn(5, 9, 11, dtype=torch.float64)
    box = torch.tensor([1.3, 0.9, 9.1, 7.7], dtype=torch.float64) * stride
    wanted = torch.zeros(5, bins, bins, dtype=torch.float64)
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
    assert got.shape == wanted.shape, f"{bins} bins: expected {list(wanted.shape)}, yours is {list(got.shape)}"
    assert torch.allclose(got.double(), wanted, atol=1e-4), f"{bins} bins, {samples} samples, stride {stride}: values differ"
### END HIDDEN TESTS

# %% [markdown] id="task-labels"
# ## Task 4: what each anchor learns
#
# *3 points · difficulty 3/5 · importance 4/5 · 20 minutes*
#
# Label the anchors of an image: 1 (object) if the best IoU with any object is at least `high`; 0 (nothing) if it is below
# `low`; −1 (no loss) otherwise. Then the rule for the poorly served: every anchor that has the *largest* IoU with some object
# among all anchors becomes 1 too (ties included). Also say for each anchor which object it overlaps most (the first among
# equals): that one it learns, whatever made it positive. There is at least one object, and each overlaps some anchor.
#
# Example by hand: IoU `[[0.8, 0.2, 0.4], [0.1, 0.5, 0.4]]` of two objects with three anchors, high 0.7, low 0.3. Anchor 0 is
# 1; anchor 1 (0.5) would get no loss, but no anchor overlaps object 1 more, so it is 1; anchor 2 is −1. Best objects:
# 0, 1, 0.

# %% id="labels" nbgrader="solution"
def label_anchors(iou, high=0.7, low=0.3):
    """iou: float [G, N], objects by anchors. Returns labels int64 [N] of 1, 0, −1, and best objects int64 [N]."""
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
labels, which = got
assert labels.shape == (3,) and which.shape == (3,), f"three anchors: both answers are [3], yours are {list(labels.shape)} and {list(which.shape)}"
assert labels.tolist() == [1, 1, -1], f"the example's labels are [1, 1, -1], yours are {labels.tolist()}"
assert which.tolist() == [0, 1, 0], f"the example's best objects are [0, 1, 0], yours are {which.tolist()}: per anchor, the object with the largest IoU"
labels, which = label_anchors(torch.tensor([[0.6, 0.9], [0.5, 0.1]]))
assert labels.tolist() == [1, 1], f"object 1's best anchor is anchor 0, though poor: expected [1, 1], yours is {labels.tolist()}"
assert which.tolist() == [0, 0], f"anchor 0 is positive for object 1's sake, but overlaps object 0 more and learns that: expected [0, 0], yours is {which.tolist()}"
edges = label_anchors(torch.tensor([[0.75, 0.25, 0.9]]), high=0.75, low=0.25)[0].tolist()
assert edges == [1, -1, 1], f"with high 0.75 an IoU of 0.75 is enough for 1, and with low 0.25 one of 0.25 is not below: expected [1, -1, 1], yours is {edges}"
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
        assert labels[n] == expected, f"seed {seed}: anchor {n} with IoUs {column} is {expected}, yours says {int(labels[n])}"
        assert which[n] == column.index(max(column)), f"seed {seed}: anchor {n} with IoUs {column} overlaps object {column.index(max(column))} most"
### END HIDDEN TESTS
