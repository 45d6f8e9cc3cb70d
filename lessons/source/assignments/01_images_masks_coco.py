# %% [markdown] id="intro"
# # Assignment 01: Images, masks and COCO
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 01](../01_images_masks_coco.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. Masks in the checks, including the hidden ones,
# are bool; all other tensors are float32, except that the evaluator in task 2 passes boxes in
# float64.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. Run lengths, there and back | 3 | 1/5 | 4/5 | 15 |
# | 2. IoU of boxes, and of masks with crowds, inside an evaluator | 4 | 3/5 | 5/5 | 25 |
# | 3. Average precision, from overlaps to one number | 4 | 4/5 | 5/5 | 30 |

# %% id="imports" nbgrader="locked"
import torch

import seglib
from seglib.metrics import CocoEvaluator
from seglib.structures import Categories, Instances, Target

# %% [markdown] id="task-runs"
# ## Task 1: run lengths, there and back
#
# *3 points · difficulty 1/5 · importance 4/5 · 15 minutes*
#
# COCO's rule: read down the columns, from left to right; begin with a run of zeros, even if it is
# empty.
#
# Example by hand: the mask `[[1, 0, 0], [1, 1, 0]]` has the columns `1 1`, `0 1` and `0 0`. In
# reading order that is `1 1 0 1 0 0`: no zeros, two ones, one zero, one one, two zeros, so the
# counts are `[0, 2, 1, 1, 2]`.
#
# The lesson does this too. Write yours with the lesson closed, then compare.
#
# <details><summary>First hint</summary>
# COCO reads down the columns. A mask that is mirrored across its diagonal, <code>mask.T</code>, can
# be read row by row instead.
# </details>
# <details><summary>Second hint</summary>
# Go through the pixels with two variables: the value of the run that you are in, at first False,
# and its length so far. When a pixel differs, record the length, even if it is 0. At the end one
# run is still open. To decode, repeat the values, then reshape to [W, H] and transpose.
# </details>

# %% id="encode" nbgrader="solution" forbidden="pycocotools.mask.encode"
def encode(mask):
    """The run lengths of a mask.

    mask: bool [H, W] with at least one pixel.
    Returns a list of ints: zeros, ones, zeros, … in turn. They add up to H·W; only the first may
    be 0. Do not use seglib.ops.rle or pycocotools.
    """
    ### BEGIN SOLUTION
    counts, value, run = [], False, 0
    for pixel in mask.T.flatten().tolist():
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return [*counts, run]
    ### END SOLUTION


# %% id="decode" nbgrader="solution" forbidden="pycocotools.mask.decode"
def decode(counts, size):
    """The mask that run lengths describe.

    counts: as encode gives them; size: (H, W).
    Returns bool [H, W].
    """
    ### BEGIN SOLUTION
    height, width = size
    pixels = []
    for index, count in enumerate(counts):
        pixels += [index % 2 == 1] * count
    return torch.tensor(pixels, dtype=torch.bool).reshape(width, height).T
    ### END SOLUTION

# %% id="runs-checks" nbgrader="checks" points=3
example = torch.tensor([[1, 0, 0], [1, 1, 0]], dtype=torch.bool)
got = encode(example)
assert got is not None, "encode returned None: is the `return` missing?"
assert isinstance(got, list) and all(isinstance(n, int) for n in got), (
    f"encode returns a list of ints, yours is {got!r}: .tolist() turns a tensor into one"
)
assert got != [0, 1, 2, 2, 1], "you read along the rows; COCO reads down the columns"
assert got[:1] != [2], (
    "this mask begins with a one, so its counts begin with an empty run of zeros: 0"
)
assert sum(got) == 6, (
    f"the counts of a 2 × 3 mask add up to 6, yours are {got}, which add up to {sum(got)}: "
    "is the last run there, and each pixel counted once?"
)
assert got == [0, 2, 1, 1, 2], f"the example's counts are [0, 2, 1, 1, 2], yours are {got}"
got = encode(torch.zeros(2, 3, dtype=torch.bool))
assert got == [6], f"an empty 2 × 3 mask is one run of six zeros, [6]; yours is {got}"
got = encode(torch.ones(3, 2, dtype=torch.bool))
assert got == [0, 6], f"a full 3 × 2 mask gives [0, 6], with no run after it; yours is {got}"
back = decode([0, 2, 1, 1, 2], (2, 3))
assert back is not None, "decode returned None: is the `return` missing?"
assert tuple(back.shape) == (2, 3), (
    f"decode gives [H, W] = (2, 3), yours is {tuple(back.shape)}: reshape to [W, H], then turn"
)
assert back.dtype == torch.bool, f"a mask is bool, yours is {back.dtype}"
assert torch.equal(back, example), (
    f"decoding the example should give {example.int().tolist()}, yours is "
    f"{back.int().tolist()}: fill the columns first, and begin with zeros"
)
torch.manual_seed(0)
mask = torch.rand(5, 7) > 0.5
back = decode(encode(mask), (5, 7))
assert torch.equal(back, mask), "a random 5 × 7 mask, encoded and decoded, does not come back"
### BEGIN HIDDEN TESTS
def slow_counts(mask):
    """One pixel at a time."""
    bits = [bool(mask[r, c]) for c in range(mask.shape[1]) for r in range(mask.shape[0])]
    counts, here = [0], False
    for bit in bits:
        if bit != here:
            counts.append(0)
            here = bit
        counts[-1] += 1
    return counts


for seed in range(12):
    torch.manual_seed(seed)
    mask = torch.rand(1 + seed % 5, 9 - seed % 4) > (0.3, 0.5, 0.9)[seed % 3]
    wanted, got = slow_counts(mask), encode(mask)
    assert got == wanted, f"mask {mask.int().tolist()}: counts {got}, expected {wanted}"
    assert torch.equal(decode(wanted, tuple(mask.shape)), mask), (
        f"counts {wanted} of size {tuple(mask.shape)} decode wrongly"
    )
full = torch.ones(3, 2, dtype=torch.bool)
assert torch.equal(decode([0, 6], (3, 2)), full), "[0, 6] of size (3, 2) is a full mask"
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, an empty and a full mask, and a random one there and back")

# %% [markdown] id="task-iou"
# ## Task 2: IoU of boxes, and of masks with crowds
#
# *4 points · difficulty 3/5 · importance 5/5 · 25 minutes*
#
# Compare every detection with every object. This task goes beyond the lesson in two ways. Two
# *empty* boxes or masks have no union: their IoU is 0, not a division by zero. And in a column that
# belongs to a **crowd** the intersection is divided by the detection's own area.
#
# Example by hand: the boxes `(0, 0, 4, 2)` and `(2, 0, 6, 2)` share 2 × 2 = 4 and cover 8 + 8 − 4 =
# 12 together: IoU 1/3.
#
# <details><summary>First hint</summary>
# Compute the table of intersections first, then a table of divisors of the same shape, [N, M], and
# divide once at the end.
# </details>
# <details><summary>Second hint</summary>
# With <code>torch.where(iscrowd[None], own_area[:, None], union)</code> each column takes its own
# divisor. Where a divisor is 0, the intersection is 0 too, so any other divisor gives 0.
# </details>

# %% id="box-iou" nbgrader="solution" forbidden="box_iou"
def box_iou(a, b):
    """a [N, 4] and b [M, 4], float corners (x0, y0, x1, y1), half-open -> IoU [N, M].

    0 where both boxes are empty. No loops needed: broadcast [N, 1, 2] against [1, M, 2].
    """
    ### BEGIN SOLUTION
    low = torch.maximum(a[:, None, :2], b[None, :, :2])  # [N, M, 2]
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)  # [N, M]
    area_a, area_b = ((x[:, 2:] - x[:, :2]).clamp(min=0).prod(dim=1) for x in (a, b))
    union = area_a[:, None] + area_b[None] - shared
    return torch.where(union > 0, shared / union.where(union > 0, 1), 0)
    ### END SOLUTION


# %% id="mask-iou" nbgrader="solution" forbidden="mask_iou pycocotools.mask.iou"
def mask_iou(a, b, iscrowd=None):
    """a bool [N, H, W], the detections, and b bool [M, H, W], the objects -> float [N, M].

    iscrowd: bool [M], or None if there is no crowd. For a crowd: intersection / area of a.
    0 where the divisor is 0.
    """
    ### BEGIN SOLUTION
    shared = (a[:, None] & b[None]).sum(dim=(2, 3)).double()  # [N, M]
    divisor = (a[:, None] | b[None]).sum(dim=(2, 3)).double()
    if iscrowd is not None:
        own = a.sum(dim=(1, 2)).double()[:, None]
        divisor = torch.where(iscrowd[None], own, divisor)
    return shared / divisor.clamp(min=1)
    ### END SOLUTION


# %% id="iou-checks" nbgrader="checks" points=2
a = torch.tensor([[0.0, 0, 4, 2], [1, 1, 1, 1]])
b = torch.tensor([[2.0, 0, 6, 2], [0, 0, 4, 2], [4, 2, 5, 3], [1, 1, 1, 1]])
got = box_iou(a, b)
assert got is not None, "box_iou returned None: is the `return` missing?"
assert tuple(got.shape) == (2, 4), (
    f"two boxes against four give [2, 4], one row per box of a; yours is {list(got.shape)}"
)
assert abs(got[0, 0] - 1 / 3) < 1e-6, (
    f"the example's IoU is 1/3, yours is {float(got[0, 0]):.3f}: 0.5 would be intersection over "
    "one area, 0.25 a union that counts the shared part twice; a box is two corners, with sides "
    "x1 − x0 and y1 − y0, without + 1"
)
assert abs(got[0, 1] - 1) < 1e-6, f"a box with itself has IoU 1, yours is {float(got[0, 1]):.3f}"
assert got[0, 2] == 0, (
    f"boxes that touch at a corner share nothing, yours is {float(got[0, 2]):.3f}"
)
assert not got.isnan().any() and got[1, 3] == 0, (
    f"two empty boxes have IoU 0, yours is {float(got[1, 3])}: 0 / 0 is not a number"
)
apart = box_iou(torch.tensor([[0.0, 0, 5, 4]]), torch.tensor([[6.0, 6, 12, 13]]))
assert apart[0, 0] == 0, (
    f"boxes that lie apart in both directions share nothing, yours is {float(apart[0, 0]):.3f}: "
    "two negative sides have a positive product; clamp them at 0"
)
none = box_iou(torch.zeros(0, 4), torch.zeros(2, 4))
assert tuple(none.shape) == (0, 2), f"no boxes against two give [0, 2], yours is {list(none.shape)}"
masks = torch.zeros(3, 4, 5, dtype=torch.bool)
masks[0, :2, :2], masks[1, :, 1:4] = True, True  # 4 pixels, 12 pixels, none
plain = mask_iou(masks, masks)
assert plain is not None, "mask_iou returned None: is the `return` missing?"
assert tuple(plain.shape) == (3, 3), (
    f"three masks against three give [3, 3], yours is {list(plain.shape)}"
)
assert abs(plain[0, 1] - 2 / 14) < 1e-6, (
    f"4 and 12 pixels with 2 in common: 2 / 14 = 0.143, yours is {float(plain[0, 1]):.3f}"
)
assert not plain.isnan().any() and plain[2, 2] == 0, (
    f"two empty masks have IoU 0, yours is {float(plain[2, 2])}: 0 / 0 is not a number"
)
for few in (1, 0):
    got = mask_iou(masks[:few], masks)
    assert tuple(got.shape) == (few, 3), (
        f"{few} masks against three give [{few}, 3], one row per mask of a; yours is "
        f"{list(got.shape)}"
    )
large = torch.zeros(2, 40, 40, dtype=torch.bool)
large[0, :30, :30], large[1, 10:, 10:] = True, True
got = mask_iou(large[:1], large[1:])
assert abs(got[0, 0] - 400 / 1400) < 1e-6, (
    "two masks of 900 pixels with 400 in common: 400 / 1400 = 0.286, yours is "
    f"{float(got[0, 0]):.3f}: count over rows and columns, in a type that holds more than 255"
)
crowds = mask_iou(masks, masks, torch.tensor([False, True, False]))
assert abs(crowds[1, 0] - 2 / 14) < 1e-6, (
    "column 0 is not a crowd and must stay 2 / 14 = 0.143, yours is "
    f"{float(crowds[1, 0]):.3f}: iscrowd belongs to b, the columns"
)
assert abs(crowds[0, 1] - 2 / 4) < 1e-6, (
    "column 1 is a crowd: divide by the detection's 4 pixels, 2 / 4 = 0.5; yours is "
    f"{float(crowds[0, 1]):.3f}"
)
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    corners = torch.rand(7 + seed, 2, 2).sort(dim=1).values.flatten(1) * 30
    a, b = corners[:3], corners[2:]
    got = box_iou(a, b)
    for i, p in enumerate(a.tolist()):
        for j, q in enumerate(b.tolist()):
            w, h = (max(0.0, min(p[k + 2], q[k + 2]) - max(p[k], q[k])) for k in (0, 1))
            union = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - w * h
            assert abs(float(got[i, j]) - w * h / union) < 1e-5, (
                f"boxes {p} and {q}: {float(got[i, j]):.4f}, expected {w * h / union:.4f}"
            )
    a, b = torch.rand(3, 6, 8) > 0.6, torch.rand(5, 6, 8) > 0.4
    crowd = torch.rand(5) > 0.5
    got = mask_iou(a, b, crowd)
    for i in range(3):
        for j in range(5):
            divisor = int(a[i].sum()) if crowd[j] else int((a[i] | b[j]).sum())
            wanted = int((a[i] & b[j]).sum()) / divisor
            assert abs(float(got[i, j]) - wanted) < 1e-6, (
                f"masks, crowd {bool(crowd[j])}: {float(got[i, j]):.4f}, expected {wanted:.4f}"
            )
### END HIDDEN TESTS
print("✓ 2 of 2 points: boxes that overlap, touch, lie apart, are empty or none; masks; crowds")

# %% [markdown] id="task-evaluator"
# Now run `seglib`'s evaluator on *your* functions. One image of 40 × 40 pixels has one object and
# one crowd, and three detections: one that is shifted by 2 pixels (the IoU of the masks is 0.82),
# one inside the crowd, and one on empty ground. If the crowd is handled correctly, the second one
# is ignored.

# %% id="evaluator" nbgrader="locked"
def square(x, y, side):
    """A mask [40, 40] with one square."""
    mask = torch.zeros(40, 40, dtype=torch.bool)
    mask[y : y + side, x : x + side] = True
    return mask


def boxes_of(masks):
    """The boxes of masks [N, H, W], one mask at a time: [N, 4]."""
    return torch.cat([seglib.ops.masks_to_boxes(mask[None]) for mask in masks])


def evaluate_toy(iou_type, slip=2):
    """The figures of three detections: inside the crowd, the slipped object, empty ground."""
    truth = torch.stack([square(2, 2, 20), square(22, 22, 18)])
    found = torch.stack([square(24, 24, 6), square(2 + slip, 2, 20), square(30, 2, 5)])
    labels, areas = torch.tensor([1, 1, 1]), truth.sum((1, 2)).float()
    iscrowd, scores = torch.tensor([False, True]), torch.tensor([0.9, 0.8, 0.7])
    target = Target(boxes_of(truth), labels[:2], truth, iscrowd, areas, (40, 40), 1)
    categories = Categories.from_coco([{"id": 1, "name": "thing"}])
    evaluator = CocoEvaluator(categories, iou_type)
    evaluator.update(Instances(boxes_of(found), scores, labels, found), target)
    return evaluator.compute().stats


# %% id="evaluator-checks" nbgrader="checks" points=2
calls = []


def counted(function):
    """The same function, noting each call."""
    def inner(*arguments):
        calls.append(function.__name__)
        return function(*arguments)

    return inner


with seglib.use(mask_iou=counted(mask_iou)):
    masks_say = evaluate_toy("segm")
with seglib.use(box_iou=counted(box_iou)):
    boxes_say = evaluate_toy("bbox")
assert set(calls) == {"mask_iou", "box_iou"}, (
    f"the evaluator should have called both functions, but called {sorted(set(calls))}"
)
assert abs(masks_say["AP50"] - 1) < 1e-6, (
    f"masks, AP50: expected 1.0, yours is {masks_say['AP50']:.3f}; 0.5 means that the detection "
    "inside the crowd counted as wrong: look at your divisor in crowd columns"
)
assert abs(masks_say["AP"] - 0.7) < 1e-6, (
    "masks, AP: an IoU of 360/440 passes 7 of 10 thresholds, expected 0.7, yours is "
    f"{masks_say['AP']:.3f}"
)
assert abs(boxes_say["AP"] - 0.7) < 1e-6, (
    f"boxes, AP: the same shift, expected 0.7, yours is {boxes_say['AP']:.3f}"
)
### BEGIN HIDDEN TESTS
for slip, passed in ((0, 10), (1, 9), (4, 4), (7, 0)):  # IoU 1, 19/21, 2/3, 13/27
    for iou_type in ("segm", "bbox"):
        with seglib.use(mask_iou=mask_iou, box_iou=box_iou):
            got = evaluate_toy(iou_type, slip)["AP"]
        assert abs(got - passed / 10) < 1e-6, (
            f"{iou_type}, slip {slip}: AP {got:.3f}, expected {passed / 10}"
        )
### END HIDDEN TESTS
print("✓ 2 of 2 points: the evaluator ran on your functions, and its AP is right with a crowd")

# %% [markdown] id="task-ap"
# ## Task 3: average precision
#
# *4 points · difficulty 4/5 · importance 5/5 · 30 minutes*
#
# First come the verdicts. Detections choose in falling order of score; each takes, among the
# objects still free, the one that it overlaps most, if that overlap reaches the threshold.
#
# **Transfer.** No cell of the lesson matches with objects that may be **ignored** (a crowd, or one
# of another size). A detection first looks among the objects that count. Only if it finds none
# there may it take an ignored one; then the detection is ignored itself, and the ignored object
# stays free for others.
#
# Example by hand: threshold 0.5, overlaps with objects (P, Q, crowd). The 0.9-detection has `[0.6,
# 0.7, 0]`, the 0.8-detection `[0.1, 0.8, 0]`, the 0.7-detection `[0, 0, 1]`. The first takes Q (its
# largest). The second finds Q taken, and its overlap with P is too small: it is false. The third
# takes the crowd: it is ignored. So the verdicts are `[1, 0, -1]`.
#
# <details><summary>First hint</summary>
# Loop over the detections in order of their scores. For each, list the counting objects that are
# free and near enough; only if that list is empty, ask whether any ignored object is near enough.
# </details>
# <details><summary>Second hint</summary>
# Write the verdict to the detection's own row, <code>verdicts[d] = …</code>, not to the end of a
# list: the answer is in the order of the rows, not of the scores.
# </details>

# %% id="judge" nbgrader="solution"
def judge(overlaps, scores, ignored, threshold=0.5):
    """Which detections are true positives?

    overlaps: float [D, G]; scores: float [D], in any order, all different; ignored: bool [G].
    Returns a list of D ints in the order of the rows: 1 true positive, 0 false positive,
    -1 ignored.
    """
    ### BEGIN SOLUTION
    verdicts = [0] * len(scores)
    free = ~ignored
    for d in scores.argsort(descending=True).tolist():
        row = overlaps[d]
        counting = [g for g in range(len(ignored)) if free[g] and row[g] >= threshold]
        if counting:
            free[max(counting, key=lambda g: float(row[g]))] = False
            verdicts[d] = 1
        elif any(ignored[g] and row[g] >= threshold for g in range(len(ignored))):
            verdicts[d] = -1
    return verdicts
    ### END SOLUTION


# %% id="judge-checks" nbgrader="checks" points=2
def judged(overlaps, scores, ignored, threshold=0.5):
    """Your verdicts as ints, whatever they are made of."""
    table, crowds = torch.tensor(overlaps), torch.tensor(ignored)
    verdicts = judge(table, torch.tensor(scores), crowds, threshold)
    assert verdicts is not None, "judge returned None: is the `return` missing?"
    return [int(v) for v in verdicts]


table, crowd = [[0.6, 0.7, 0.0], [0.1, 0.8, 0.0], [0.0, 0.0, 1.0]], [False, False, True]
got = judged(table, [0.9, 0.8, 0.7], crowd)
assert len(got) == 3, f"three detections have three verdicts, yours are {got}"
assert got != [1, 1, -1], (
    "the second detection should find nothing, yours is [1, 1, -1]: the first has the higher score "
    "and takes Q, its largest overlap, and a taken object is no longer free"
)
assert got[2] == -1, f"a detection that finds only a crowd is ignored, -1; yours is {got[2]}"
assert got == [1, 0, -1], f"the example's verdicts are [1, 0, -1], yours are {got}"
got = judged(table, [0.7, 0.8, 0.9], crowd)
assert got == [1, 1, -1], (
    "with scores 0.7, 0.8, 0.9 the second detection takes Q before the first chooses, and the "
    f"first gets P: expected [1, 1, -1], yours is {got}; go by score, answer by row"
)
got = judged([[0.0, 0.6], [0.0, 0.0], [0.8, 0.0]], [0.2, 0.9, 0.1], [False, False])
assert got == [1, 0, 1], (
    f"the best score hits nothing, the others one object each: expected [1, 0, 1], yours is {got}; "
    "verdicts are in the order of the rows, not of the scores"
)
got = judged([[1.0], [1.0]], [0.5, 0.6], [True])
assert got == [-1, -1], (
    f"any number of detections may take the same ignored object: [-1, -1], yours is {got}"
)
got = judged([[0.5, 0.9]], [0.5], [False, True])
assert got == [1], (
    "an object that counts comes before an ignored one, however well that one fits, and an "
    f"overlap of 0.5 reaches the threshold 0.5: expected [1], yours is {got}"
)
got = judged([[0.3]], [0.5], [True])
assert got == [0], (
    f"an overlap of 0.3 with an ignored object is too small as well: expected [0], yours is {got}"
)
got = judge(torch.zeros(2, 0), torch.tensor([0.5, 0.6]), torch.zeros(0, dtype=torch.bool))
assert list(got) == [0, 0], f"without any object both detections are wrong: [0, 0], yours is {got}"
got = judge(torch.zeros(0, 2), torch.zeros(0), torch.zeros(2, dtype=torch.bool))
assert list(got) == [], f"without detections there are no verdicts: [], yours is {got}"
got = judged([[0.6]], [0.5], [False], threshold=0.75)
assert got == [0], f"an overlap of 0.6 does not reach the threshold 0.75: [0], yours is {got}"
### BEGIN HIDDEN TESTS
def slow_verdicts(overlaps, scores, ignored, threshold):
    rows = sorted(range(len(scores)), key=lambda d: -float(scores[d]))
    taken, verdicts = set(), [None] * len(scores)
    for d in rows:
        ranked = sorted(range(overlaps.shape[1]), key=lambda g: -float(overlaps[d, g]))
        near = [g for g in ranked if float(overlaps[d, g]) >= threshold]
        real = [g for g in near if not bool(ignored[g]) and g not in taken]
        if real:
            taken.add(real[0])
        verdicts[d] = 1 if real else -1 if any(bool(ignored[g]) for g in near) else 0
    return verdicts


for seed in range(10):
    torch.manual_seed(seed)
    overlaps, scores = torch.rand(8, 1 + seed % 5), torch.randperm(8) / 8.0
    ignored = torch.rand(1 + seed % 5) > 0.7
    for threshold in (0.5, 0.75):
        wanted = slow_verdicts(overlaps, scores, ignored, threshold)
        got = [int(v) for v in judge(overlaps, scores, ignored, threshold)]
        assert got == wanted, f"seed {seed}, threshold {threshold}: {got}, expected {wanted}"
    order = torch.randperm(8)
    got = [int(v) for v in judge(overlaps[order], scores[order], ignored, 0.75)]
    assert got == [wanted[d] for d in order.tolist()], (
        f"seed {seed}: the same detections in another order of rows get other verdicts"
    )
### END HIDDEN TESTS
print("✓ 2 of 2 points: the example, other orders, ignored objects, no objects, thresholds")

# %% [markdown] id="task-ap-number"
# Then comes the number. Leave out the ignored detections. Go down the rest by score and record
# precision and recall after each; at each of the recalls 0.00, 0.01, … 1.00 take the best precision
# at that recall or beyond (0 if it is never reached); average the 101 samples.
#
# Example by hand: two objects; the verdicts by falling score are true, false, true. Precision is 1,
# 1/2, 2/3 at recall 1/2, 1/2, 1. The 51 samples at 0.00…0.50 are 1, the other 50 are 2/3: AP = (51
# + 50 · 2/3)/101 = 0.835.

# %% id="average-precision" nbgrader="solution"
def average_precision(scores, verdicts, objects):
    """COCO's AP of one class at one threshold.

    scores: float [D], in any order; verdicts: D ints (1 true positive, 0 false positive,
    -1 ignored); objects: how many there are to find, at least 1 (ignored ones not counted).
    Returns a float in 0…1; 0 without detections.
    """
    ### BEGIN SOLUTION
    pairs = zip(torch.as_tensor(scores).tolist(), verdicts, strict=True)
    counting = [pair for pair in pairs if pair[1] >= 0]
    found, points = 0, []
    for rank, (_, verdict) in enumerate(sorted(counting, key=lambda pair: -pair[0]), start=1):
        found += verdict
        points.append((found / objects, found / rank))
    levels = [level / 100 for level in range(101)]
    samples = [max((p for r, p in points if r >= level), default=0.0) for level in levels]
    return sum(samples) / 101
    ### END SOLUTION


# %% id="ap-checks" nbgrader="checks" points=2
def ap_of(scores, verdicts, objects):
    """Your AP as a float, whatever it is made of."""
    ap = average_precision(torch.tensor(scores), verdicts, objects)
    assert ap is not None, "average_precision returned None: is the `return` missing?"
    return float(ap)


got = ap_of([0.9, 0.8, 0.7], [1, 0, 1], 2)
assert abs(got - 0.8333) > 1e-3, (
    "yours is the mean of the precision at the hits, 0.833: sample at 101 recalls instead"
)
assert abs(got - (51 + 50 * 2 / 3) / 101) < 1e-6, (
    f"the example's AP is (51 · 1 + 50 · 2/3) / 101 = 0.835, yours is {got:.4f}: 101 samples, from "
    "recall 0.00 to 1.00"
)
got = ap_of([0.7, 0.9, 0.8], [1, 1, 0], 2)
assert abs(got - (51 + 50 * 2 / 3) / 101) < 1e-6, (
    f"the same detections in another order have the same AP, 0.835, yours is {got:.4f}: "
    "sort them by score first, the verdicts with them"
)
got = ap_of([0.9], [1], 2)
assert abs(got - 51 / 101) < 1e-6, (
    f"one of two objects found: 51 samples of 1 and 50 of 0, 0.505; yours is {got:.4f}: "
    "a recall that is never reached counts 0"
)
got = ap_of([0.9, 0.8], [-1, 1], 1)
assert abs(got - 1) < 1e-6, (
    f"an ignored detection is left out before you count: expected 1.0, yours is {got:.4f}"
)
got = ap_of([0.9, 0.8, 0.7], [0, 1, 1], 2)
assert abs(got - 2 / 3) < 1e-6, (
    f"wrong, right, right: the best precision still to come is 2/3 everywhere, yours is {got:.4f}: "
    "take the best precision at that recall *or beyond* (1.0 means that you begin with the lowest "
    "score)"
)
got = ap_of([], [], 3)
assert got == 0, f"without detections AP is 0, yours is {got}"
### BEGIN HIDDEN TESTS
for seed in range(12):
    torch.manual_seed(seed)
    count = seed * 3
    scores = torch.randperm(max(count, 1))[:count] / 40.0
    verdicts = (torch.rand(count) * 3).long().sub(1).tolist()
    objects = max(1, verdicts.count(1) + seed % 4)
    order = sorted(range(count), key=lambda d: -float(scores[d]))
    kept = [verdicts[d] for d in order if verdicts[d] != -1]
    hits = [sum(kept[: n + 1]) for n in range(len(kept))]
    total = 0.0
    for level in range(101):  # recall hits/objects >= level/100, in whole numbers
        reached = [h / (n + 1) for n, h in enumerate(hits) if 100 * h >= level * objects]
        total += max(reached, default=0.0)
    got = float(average_precision(scores, verdicts, objects))
    assert abs(got - total / 101) < 1e-6, (
        f"seed {seed}, {count} detections, {objects} objects: AP {got:.4f}, "
        f"expected {total / 101:.4f}"
    )
### END HIDDEN TESTS
print("✓ 2 of 2 points: the example, other orders, missed objects, ignored detections, none at all")
