# %% [markdown] id="intro"
# # Assignment 09: YOLACT
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong. What
# you need is in [lesson 09](../09_yolact.ipynb), and, for the enlargement in Task 2, in [lesson
# 04](../04_fcn.ipynb). Unlike the lesson's cells, your functions must also work without boxes.
# Replace the line `raise NotImplementedError` and run the checks below it. All floating-point
# tensors that the checks pass in, including the hidden ones, are float32; return float32 as well.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. Fast NMS from the corners of boxes | 4 | 2/5 | 4/5 | 15 |
# | 2. From prototypes to masks of the image's size | 4 | 3/5 | 5/5 | 25 |
# | 3. Hard negative mining | 4 | 3/5 | 4/5 | 20 |

# %% id="imports" nbgrader="locked"
import torch
import torch.nn.functional as F

import seglib
from seglib.models.yolact import YOLACT, YOLACTConfig
from seglib.structures import Categories, Target

# %% [markdown] id="task-fast"
# ## Task 1: Fast NMS from the corners of boxes
#
# *4 points · difficulty 2/5 · importance 4/5 · 15 minutes*
#
# Write Fast NMS without any function of `seglib`, including the overlaps. A box is removed if any
# box of **higher score** overlaps it by **more than** the threshold, whether or not that one is
# removed itself. Of two equal scores, the earlier box counts as the better one. It must also work
# without boxes. Finally it runs inside a whole YOLACT.
#
# Example by hand: boxes of 10 × 10 at x = 0, 3 and 6, scores 0.7, 0.9 and 0.8. Neighbours share 7
# of 13 columns, 0.54; the outer ones 4 of 16, 0.25. The middle box is the best and removes both
# others at a threshold of 0.5. With scores 0.9, 0.8 and 0.7 only the first stays: the middle one is
# removed, and still removes the last.
#
# <details><summary>First hint</summary>
# Sort the boxes by score first, stably, and work with the sorted ones; translate positions back
# into indices at the very end. Handle the case without boxes before you take a maximum.
# </details>
# <details><summary>Second hint</summary>
# In the sorted table of overlaps the better boxes of box j are the rows above the diagonal in
# column j: <code>triu(diagonal=1)</code>. The largest number of each column decides.
# </details>

# %% id="fast" nbgrader="solution" forbidden="fast_nms"
def fast_nms(boxes, scores, iou_threshold):
    """boxes: float [N, 4], (x0, y0, x1, y1) in px; scores: float [N], in any order.

    Returns int64 [K], the indices of the boxes that stay, highest score first. N may be 0.
    """
    ### BEGIN SOLUTION
    order = scores.argsort(descending=True, stable=True)
    if len(order) == 0:
        return order
    x0, y0, x1, y1 = boxes[order].T
    across = torch.minimum(x1[:, None], x1) - torch.maximum(x0[:, None], x0)
    down = torch.minimum(y1[:, None], y1) - torch.maximum(y0[:, None], y0)
    shared = across.clamp(min=0) * down.clamp(min=0)
    area = (x1 - x0) * (y1 - y0)
    iou = shared / (area[:, None] + area - shared)
    worst = iou.triu(diagonal=1).amax(dim=0)
    return order[worst <= iou_threshold]
    ### END SOLUTION

# %% id="fast-checks" nbgrader="checks" points=3
row = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]])
got = fast_nms(row, torch.tensor([0.7, 0.9, 0.8]), 0.5)
assert got is not None, "fast_nms returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor), f"return a tensor, yours is a {type(got).__name__}"
assert got.dtype == torch.int64, f"return indices, int64 [K]; yours are {got.dtype}"
hints = {
    (): ": compare a box with better ones only, not with itself and not with worse ones",
    (2, 0): ": better boxes remove worse ones, not the other way round",
    (0, 2): ": highest score first, and better boxes remove worse ones",
    (1, 2, 0): ": the IoU of neighbours is 7 / 13 = 0.54, which is above 0.5",
    (1, 0): ": box 0 is not the next in the ranking, but it overlaps the best all the same",
    (0,): ": scores come in any order, and the result counts boxes in the order of the arguments",
}
got = got.tolist()
assert got == [1], f"the example keeps box 1 only, yours keeps {got}{hints.get(tuple(got), '')}"
got = fast_nms(row, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
assert got != [0, 2], (
    "that is greedy NMS: box 1 is removed by box 0, but in Fast NMS it still removes box 2"
)
assert got == [0], f"with scores 0.9, 0.8 and 0.7 only box 0 stays, yours keeps {got}"
got = fast_nms(row, torch.tensor([0.7, 0.8, 0.9]), 0.6).tolist()
assert sorted(got) == [0, 1, 2], f"no overlap is above 0.6, so all stay; yours keeps {got}"
assert got == [2, 1, 0], f"highest score first: [2, 1, 0], yours is {got}"
halves = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
got = fast_nms(halves, torch.tensor([0.5, 0.6]), 0.5).tolist()
assert got == [1, 0], (
    "a box inside another, with half its area, has an IoU of exactly 0.5: not more than the "
    f"threshold, so both stay; yours keeps {got}"
)
got = fast_nms(halves, torch.tensor([0.5, 0.6]), 0.45).tolist()
assert got == [1], f"the same pair at a threshold of 0.45 loses box 0; yours keeps {got}"
apart = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [0, 20, 10, 30], [20, 0, 30, 10]])
got = fast_nms(apart, torch.tensor([0.4, 0.3, 0.2, 0.1]), 0.05).tolist()
assert got == [0, 1, 2, 3], (
    f"these four boxes do not touch, so all stay; yours keeps {got}: negative widths and heights "
    "are no overlap, and their product is positive"
)
tall = torch.tensor([[0.0, 0, 10, 40], [0, 8, 10, 48], [0, 30, 10, 40]])
got = fast_nms(tall, torch.tensor([0.9, 0.8, 0.7]), 0.6).tolist()
assert got == [0, 2], f"IoUs with box 0 are 0.67 and 0.25, so boxes 0 and 2; yours keeps {got}"
got = fast_nms(row[[0, 0, 0]], torch.tensor([0.5, 0.5, 0.5]), 0.5).tolist()
assert got == [0], f"of three equal boxes with equal scores the first stays; yours keeps {got}"
try:
    got = fast_nms(row[:0], torch.zeros(0), 0.5)
except (RuntimeError, IndexError) as error:
    raise AssertionError(f"without boxes nothing stays, but yours fails: {error}") from error
assert got.shape == (0,), f"without boxes nothing stays: shape (0,), yours is {list(got.shape)}"
### BEGIN HIDDEN TESTS
def fast_loop(boxes, scores, threshold):
    """The definition, pair by pair."""
    rows, order = boxes.tolist(), sorted(range(len(boxes)), key=lambda i: -float(scores[i]))

    def overlap(a, b):
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        shared = max(0.0, width) * max(0.0, height)
        areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
        return shared / (sum(areas) - shared)

    return [
        j
        for n, j in enumerate(order)
        if all(overlap(rows[i], rows[j]) <= threshold for i in order[:n])
    ]


for seed in range(8):
    torch.manual_seed(seed)
    corners = 30 * torch.rand(5 + 6 * seed, 2)
    boxes = torch.cat([corners, corners + 3 + 20 * torch.rand(len(corners), 2)], dim=1)
    scores = (10 * torch.rand(len(boxes))).round() / 10  # with ties
    for threshold in (0.2, 0.47, 0.71):
        wanted = fast_loop(boxes, scores, threshold)
        got = fast_nms(boxes, scores, threshold).tolist()
        assert got == wanted, f"seed {seed}, threshold {threshold}: expected {wanted}, got {got}"
        larger = fast_nms(4 * boxes, scores, threshold).tolist()
        assert larger == wanted, (
            f"seed {seed}: boxes four times as large, in the same places, must give the same result"
        )
        rest = fast_nms(boxes[wanted], scores[wanted], threshold).tolist()
        assert rest == list(range(len(wanted))), (
            f"seed {seed}: of the boxes that stayed, a second suppression keeps {rest}, not all"
        )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, order, thresholds, boxes apart, ties, no boxes")

# %% [markdown] id="network-text"
# Now inside a whole network: the same detections with your function as with the library's. (One of
# the four points.)

# %% id="network-checks" nbgrader="checks" points=1
torch.manual_seed(0)
names = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = YOLACT(YOLACTConfig.pocket(), names).eval()
torch.nn.init.normal_(network.head.class_logits.weight, std=0.05)  # so that scores differ
picture = torch.rand(3, 96, 96)
with torch.no_grad():
    output = network([picture])
detected = network.detect(output)[0]
with seglib.use(fast_nms=fast_nms):
    mine = network.detect(output)[0]
assert mine.rows.tolist() == detected.rows.tolist(), (
    f"with your function the network keeps {len(mine.rows)} boxes, with the library's "
    f"{len(detected.rows)}, or others: do all checks above still pass?"
)
print(f"✓ 1 of 1 point: the {len(mine.rows)} detections of a whole network")

# %% [markdown] id="task-masks"
# ## Task 2: from prototypes to masks of the image's size
#
# *4 points · difficulty 3/5 · importance 5/5 · 25 minutes*
#
# All steps of YOLACT's mask branch, for boxes in **pixels** of an image of H × W:
#
# 1. the weighted sums of all prototypes, in one matrix product, and their sigmoid;
# 2. the boxes in cells of the prototypes: x is scaled by w / W and y by h / H;
# 3. the crop: cell (row y, column x) keeps its value if x0 − 1 ≤ x < x1 + 1 and
#    y0 − 1 ≤ y < y1 + 1, and becomes 0 otherwise;
# 4. bilinear enlargement of the *cropped probabilities* to (H, W), by
#    `F.interpolate(…, size, mode="bilinear")` with its other settings unchanged; then true where
#    above 0.5.
#
# Example by hand: prototypes of 1 × 4 cells, P0 = (9, 9, 9, 9) and P1 = (0, 0, 20, 0), coefficients
# (1, −1): sums (9, 9, −11, 9). The image is 1 × 4 pixels, the box (0, 0, 1, 1): columns −1 ≤ x < 2
# stay, which are 0 and 1. The mask is 1100.
#
# <details><summary>First hint</summary>
# Flatten the prototypes to [k, h · w]; then one matrix product with the coefficients gives all
# sums. Handle the case without objects first, with the shape [0, H, W].
# </details>
# <details><summary>Second hint</summary>
# The crop is a product of two boolean masks, [n, h, 1] for the rows and [n, 1, w] for the columns,
# from comparing <code>torch.arange</code> with the scaled sides of the boxes.
# <code>F.interpolate</code> wants a batch dimension.
# </details>

# %% id="masks" nbgrader="solution"
def masks_of(prototypes, coefficients, boxes, size):
    """prototypes: float [k, h, w]; coefficients: float [n, k]; boxes: float [n, 4],
    (x0, y0, x1, y1) in pixels of the image; size: its (H, W).

    Returns bool [n, H, W]. n may be 0.
    """
    ### BEGIN SOLUTION
    height, width = prototypes.shape[1:]
    if len(coefficients) == 0:
        return torch.zeros(0, *size, dtype=torch.bool)
    sums = coefficients @ prototypes.flatten(1)  # [n, h·w]
    masks = sums.sigmoid().unflatten(1, (height, width))  # [n, h, w]
    scale = torch.tensor([width / size[1], height / size[0]] * 2)
    x0, y0, x1, y1 = (boxes * scale).T[:, :, None]  # [n, 1] each
    columns, rows = torch.arange(width), torch.arange(height)
    across = (columns >= x0 - 1) & (columns < x1 + 1)  # [n, w]
    down = (rows >= y0 - 1) & (rows < y1 + 1)  # [n, h]
    masks = masks * down[:, :, None] * across[:, None]  # [n, h, w]
    return F.interpolate(masks[None], size, mode="bilinear")[0] > 0.5
    ### END SOLUTION

# %% id="masks-checks" nbgrader="checks" points=3
def drawn(masks):
    """Each mask as rows of 0 and 1."""
    return ["/".join("".join(str(int(p)) for p in row) for row in mask) for mask in masks]


flat = torch.tensor([[[9.0, 9, 9, 9]], [[0, 0, 20, 0]]])
got = masks_of(flat, torch.tensor([[1.0, -1]]), torch.tensor([[0.0, 0, 1, 1]]), (1, 4))
assert got is not None, "masks_of returned None: is the `return` missing?"
assert got.shape == (1, 1, 4), f"one mask of 1 × 4 is [1, 1, 4], yours is {list(got.shape)}"
assert got.dtype == torch.bool, f"masks are bool, yours are {got.dtype}"
hints = {
    "1000": ": one cell more than the box stays on each side",
    "1101": ": crop to the box, here to columns 0 and 1",
    "0001": ": what lies inside the box stays, what lies outside becomes 0",
    "0000": ": the sigmoid of the sums 9, 9, −11, 9 is close to 1, 1, 0, 1",
    "1110": ": P1 is subtracted, so column 2 has a negative sum",
}
first = drawn(got)[0]
assert first == "1100", f"the example gives 1100, yours {first}{hints.get(first, '')}"
whole = torch.tensor([[0.0, 0, 4, 1]])
got = masks_of(flat, torch.tensor([[1.0, -1]]), whole, (1, 4))
assert drawn(got) == ["1101"], (
    f"with a box around everything the sums 9, 9, −11, 9 give 1101, yours {drawn(got)[0]}"
)
got = masks_of(flat, torch.tensor([[0.0, 0.0]]), whole, (1, 4))
assert drawn(got) == ["0000"], (
    "with coefficients of 0 all probabilities are exactly one half, which is not above 0.5: 0000, "
    f"yours is {drawn(got)[0]}"
)
bright = torch.full((1, 8, 8), 9.0)
one = torch.ones(1, 1)
got = drawn(masks_of(bright, one, torch.tensor([[3.0, 2, 5, 4]]), (8, 8)))[0]
wanted = "/".join(["00000000", *["00111100"] * 4, *["00000000"] * 3])
assert got == wanted, (
    "box (3, 2, 5, 4) in 8 × 8 cells: columns 2 ≤ x < 6 and rows 1 ≤ y < 5, one cell more than the "
    f"box on each side; expected {wanted}, yours is {got}"
)
got = drawn(masks_of(bright, one, torch.tensor([[2.6, 2.4, 4.3, 4.8]]), (8, 8)))[0]
wanted = "/".join(["00000000"] * 2 + ["00111100"] * 4 + ["00000000"] * 2)
assert got == wanted, (
    "box (2.6, 2.4, 4.3, 4.8): columns 1.6 ≤ x < 5.3 and rows 1.4 ≤ y < 5.8, without rounding; "
    f"expected {wanted}, yours is {got}"
)
got = masks_of(bright, one, torch.tensor([[6.0, 4, 10, 8]]), (16, 16))[0]
assert got.shape == (16, 16), f"size (16, 16) gives a mask of 16 × 16, yours {list(got.shape)}"
extent = [int(got.any(dim=d).sum()) for d in (1, 0)]
assert extent == [8, 8], (
    "an image of 16 × 16 has two pixels per cell: the box (6, 4, 10, 8) is (3, 2, 5, 4) in cells, "
    f"and its 4 × 4 cells give a mask of 8 × 8 pixels; yours is {extent[0]} × {extent[1]}: scale "
    "the boxes, and crop before you enlarge"
)
got = masks_of(torch.full((1, 4, 8), 9.0), one, torch.tensor([[0.0, 0, 4, 2]]), (8, 8))[0]
extent = [int(got.any(dim=d).sum()) for d in (1, 0)]
assert extent == [4, 5], (
    "4 × 8 cells over 8 × 8 pixels: the box (0, 0, 4, 2) is (0, 0, 4, 1) in cells; 2 rows and 5 "
    f"columns of cells give 4 × 5 pixels, yours is {extent[0]} × {extent[1]}: y is scaled by "
    "h / H, x by w / W"
)
torch.manual_seed(0)
maps, mixes = 3 * torch.rand(5, 6, 4), 2 * torch.rand(3, 5) - 1
full = torch.tensor([[0.0, 0, 12, 18]]).expand(3, 4)
got = masks_of(maps, mixes, full, (18, 12))
sums = torch.einsum("nk,khw->nhw", mixes, maps)
late = F.interpolate(sums[None], (18, 12), mode="bilinear")[0] > 0
wanted = F.interpolate(sums.sigmoid()[None], (18, 12), mode="bilinear")[0] > 0.5
assert not torch.equal(got, late), "enlarge the probabilities, not the sums: sigmoid first"
assert torch.equal(got, wanted), (
    "three random mixtures, uncropped, differ: is a mask the sum over k of coefficient times "
    "prototype, enlarged bilinearly with the other settings of F.interpolate unchanged?"
)
parts = torch.tensor([[0.0, 0, 12, 18], [0, 0, 4, 4], [6, 9, 12, 18]])
got = masks_of(maps, mixes, parts, (18, 12))
alone = torch.cat([masks_of(maps, mixes[n, None], parts[n, None], (18, 12)) for n in range(3)])
assert torch.equal(got, alone), "together, three objects get other masks than one by one"
try:
    got = masks_of(maps, mixes[:0], full[:0], (18, 12))
except (RuntimeError, IndexError) as error:
    raise AssertionError(f"without objects there are no masks, but yours fails: {error}") from error
assert got.shape == (0, 18, 12) and got.dtype == torch.bool, (
    f"without objects: bool [0, 18, 12], yours is {got.dtype} {list(got.shape)}"
)
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    k, h, w, n = 2 + seed, 5 + seed, 9 - seed, 4
    size = (3 * h + seed, 2 * w + 1)
    maps, mixes = 4 * torch.rand(k, h, w), 2 * torch.rand(n, k) - 1
    first = torch.rand(n, 2) * torch.tensor([size[1] / 2, size[0] / 2])
    boxes = torch.cat([first, first + 2 + 5 * torch.rand(n, 2)], dim=1)
    cut = torch.einsum("nk,khw->nhw", mixes, maps).sigmoid()
    for g, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        for y in range(h):
            for x in range(w):
                inside = x0 * w / size[1] - 1 <= x < x1 * w / size[1] + 1
                inside = inside and y0 * h / size[0] - 1 <= y < y1 * h / size[0] + 1
                cut[g, y, x] *= inside
    wanted = F.interpolate(cut[None], size, mode="bilinear")[0] > 0.5
    got = masks_of(maps, mixes, boxes, size)
    assert torch.equal(got, wanted), (
        f"seed {seed}: {int((got != wanted).sum())} of {wanted.numel()} pixels differ"
    )
    before = maps.clone(), mixes.clone(), boxes.clone()
    turned = masks_of(maps, mixes.flip(0), boxes.flip(0), size)
    after = maps, mixes, boxes
    assert int((turned.flip(0) != wanted).sum()) <= 2, (
        f"seed {seed}: the same objects in another order get other masks"
    )
    masks_of(maps, mixes, boxes, size)
    assert all(map(torch.equal, before, after)), (
        f"seed {seed}: prototypes, coefficients or boxes were changed"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, the crop, other sizes, enlargement, several objects, none")

# %% [markdown] id="masks-network-text"
# And inside the network: the masks of its detections, which also have one point.

# %% id="masks-network-checks" nbgrader="checks" points=1
found = network.predict([picture])[0].instances
own = output.of_anchors.coefficients[0, detected.rows]
mine = masks_of(output.prototypes[0], own, detected.boxes, (96, 96))
assert mine is not None, "masks_of returned None: is the `return` missing?"
assert mine.shape == found.masks.shape, (
    f"the network has masks {list(found.masks.shape)}, yours are {list(mine.shape)}"
)
wrong = float((mine != found.masks).float().mean())
assert wrong < 1e-4, (
    f"{wrong:.1%} of all pixels differ from the network's masks: do all checks above still pass?"
)
### BEGIN HIDDEN TESTS
for seed in range(2):
    torch.manual_seed(seed)
    other = torch.rand(3, 96, 96)
    with torch.no_grad():
        raw = network([other])
    kept, found = network.detect(raw)[0], network.predict([other])[0].instances
    own = raw.of_anchors.coefficients[0, kept.rows]
    mine = masks_of(raw.prototypes[0], own, kept.boxes, (96, 96))
    wrong = float((mine != found.masks).float().mean())
    assert wrong < 1e-4, f"another image: {wrong:.1%} of all pixels differ"
### END HIDDEN TESTS
print("✓ 1 of 1 point: the masks of a whole network")

# %% [markdown] id="task-negatives"
# ## Task 3: hard negative mining
#
# *4 points · difficulty 3/5 · importance 4/5 · 20 minutes*
#
# Nearly all of the thousands of anchors of an image are background. YOLACT's class loss learns from
# all positives, and from three times as many negatives, the hardest: those with the **largest cross
# entropy**, which look most like objects to the network. If there are fewer, it takes all.
# Anchors with label −1 have no loss and never count as negatives. The losses of all chosen anchors
# are added, and the sum is divided by the number of **positives** (without positives: 0).
#
# **Transfer.** The lesson describes this in words; no cell of it contains the code.
#
# Example by hand: two classes, so K = 2; labels (1, 0, 0, 0, 0, −1). Give every anchor the logits
# (0, z), z = (0, 0, 1, 2, 3, 9). The losses are log 2 = 0.693 for the positive, and
# $\log(1 + e^z)$ for the negatives: 0.693, 1.313, 2.127, 3.049. One positive, so the three hardest
# negatives: 0.693 + 1.313 + 2.127 + 3.049 = 7.182. The last anchor is ignored.
#
# <details><summary>First hint</summary>
# <code>F.cross_entropy(…, reduction="none")</code> gives one loss per anchor. A label of −1 is not
# a class: replace it by any class first, and make sure that the result is never used.
# </details>
# <details><summary>Second hint</summary>
# Among the negatives alone, <code>topk</code> finds the hardest; do not ask it for more than there
# are negatives.
# </details>

# %% id="negatives" nbgrader="solution"
def mined_class_loss(logits, labels, ratio=3):
    """logits: float [N, K], background first; labels: int64 [N], 1…K-1 positive, 0 background,
    -1 ignored; ratio: negatives per positive.

    Returns a scalar tensor through which gradients flow. There may be no positive.
    """
    ### BEGIN SOLUTION
    each = F.cross_entropy(logits, labels.clamp(min=0), reduction="none")  # [N]
    positive, negative = each[labels > 0], each[labels == 0]
    count = min(ratio * len(positive), len(negative))
    hardest = negative.topk(count).values
    return (positive.sum() + hardest.sum()) / max(1, len(positive))
    ### END SOLUTION

# %% id="negatives-checks" nbgrader="checks" points=3
z = torch.tensor([0.0, 0, 1, 2, 3, 9])
logits = torch.stack([torch.zeros(6), z], dim=1)
labels = torch.tensor([1, 0, 0, 0, 0, -1])
got = mined_class_loss(logits, labels)
assert got is not None, "mined_class_loss returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor) and got.shape == (), (
    f"return a scalar tensor, yours is {got.shape if isinstance(got, torch.Tensor) else got!r}"
)
assert got.dtype == torch.float32, f"the loss is float32, yours is {got.dtype}"
value = round(float(got), 3)
hints = {
    7.875: ": you took all four negatives, but only three per positive count",
    14.869: ": the anchor with label −1 is not a negative, although its loss would be the largest",
    16.875: ": that is all but the positives; the ignored anchor does not count either",
    4.826: ": those are the easiest negatives; the hardest have the largest losses",
    3.742: ": one positive takes three negatives, not one",
    0.693: ": that is the positive alone",
    1.795: ": divide by the number of positives, 1, not by that of all chosen anchors",
    1.197: ": divide by the number of positives, 1, not by that of all anchors",
    2.856: ": add the losses and divide the sum by the positives; do not take two means",
}
assert value == 7.182, f"the example gives 7.182, yours is {value}{hints.get(value, '')}"
got = round(float(mined_class_loss(logits, labels, ratio=1)), 3)
assert got == 3.742, f"with ratio 1: 0.693 + 3.049 = 3.742, yours is {got}: use the argument"
two = torch.tensor([1, 1, 0, 0, 0, -1])
try:
    got = round(float(mined_class_loss(logits, two)), 3)
except (RuntimeError, IndexError) as error:
    raise AssertionError(f"if there are fewer negatives, take all; yours fails: {error}") from error
assert got == 3.938, (
    "labels (1, 1, 0, 0, 0, −1): both positives and all three negatives, for six are not there; "
    f"(2 · 0.693 + 1.313 + 2.127 + 3.049) / 2 = 3.938, yours is {got}"
)
three = torch.tensor([[0.0, 2, 1], [3, 0, 0], [0, 2.2, 0], [0, 2, 2], [1, 0, 0]])
kinds = torch.tensor([2, 0, 0, 0, 0])
got = round(float(mined_class_loss(three, kinds, ratio=1)), 3)
assert got != 3.808, (
    "of these negatives you took the one with the largest logit of an object; the hardest is the "
    "one whose background has the smallest probability, (0, 2, 2)"
)
assert got != 3.166, "a positive of class 2 has the loss of column 2 of its logits, yours differs"
assert got == 4.166, (
    f"three classes, ratio 1: 1.408 for the positive of class 2 and 2.758 for the negative with "
    f"logits (0, 2, 2), 4.166 together; yours is {got}"
)
none = mined_class_loss(logits, torch.tensor([0, 0, 0, 0, -1, -1]))
assert isinstance(none, torch.Tensor) and float(none) == 0, (
    f"without positives the loss is a tensor with 0, yours is {none}"
)
leaf = logits.clone().requires_grad_()
loss = mined_class_loss(leaf, labels)
assert loss.requires_grad, "no gradient reaches the logits: do not detach the losses you return"
loss.backward()
reached = leaf.grad.abs().sum(dim=1) > 0
assert reached.tolist() == [True, False, True, True, True, False], (
    "the positive and its three negatives get a gradient, anchors 0, 2, 3 and 4; yours: "
    f"{reached.nonzero()[:, 0].tolist()}"
)
### BEGIN HIDDEN TESTS
for seed in range(8):
    torch.manual_seed(seed)
    count, classes = 20 + 10 * seed, 2 + seed % 4
    logits = 2 * torch.randn(count, classes)
    labels = torch.randint(-1, classes, (count,))
    labels[torch.rand(count) < 0.2 * (seed % 5)] = 0
    table, kinds = logits.log_softmax(dim=1).tolist(), labels.tolist()
    lost = [-line[max(0, t)] for line, t in zip(table, kinds, strict=True)]
    right = [v for v, t in zip(lost, kinds, strict=True) if t > 0]
    rest = sorted((v for v, t in zip(lost, kinds, strict=True) if t == 0), reverse=True)
    for ratio in (1, 2, 3):
        wanted = (sum(right) + sum(rest[: ratio * len(right)])) / max(1, len(right))
        got = float(mined_class_loss(logits, labels, ratio))
        assert abs(got - wanted) < 1e-3 * max(1, wanted), (
            f"seed {seed}, ratio {ratio}: expected {wanted:.4f}, yours is {got:.4f}"
        )
    loss, order = float(mined_class_loss(logits, labels)), torch.randperm(count)
    shuffled = float(mined_class_loss(logits[order], labels[order]))
    assert abs(shuffled - loss) < 1e-3 * max(1, loss), (
        f"seed {seed}: in another order the same anchors lose {shuffled:.4f}, not {loss:.4f}"
    )
    other = logits + 5 * (labels < 0)[:, None] * torch.randn(count, classes)
    unmoved = float(mined_class_loss(other, labels))
    assert abs(unmoved - loss) < 1e-3 * max(1, loss), (
        f"seed {seed}: other logits of ignored anchors give {unmoved:.4f} instead of {loss:.4f}"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, ratios, few negatives, classes, no positives, gradients")

# %% [markdown] id="loss-text"
# The last point: the class loss of the whole network for an image with two objects.

# %% id="loss-checks" nbgrader="checks" points=1
from seglib.models.yolact.targets import anchor_targets, batch_truth

masks = torch.zeros(2, 96, 96, dtype=torch.bool)
masks[0, 8:40, 10:50], masks[1, 30:60, 60:90] = True, True
boxes = torch.tensor([[10.0, 8, 50, 40], [60, 30, 90, 60]])
areas, one_each = masks.sum(dim=(1, 2)).float(), torch.tensor([1, 2])
target = Target(boxes, one_each, masks, torch.zeros(2, dtype=torch.bool), areas, (96, 96))
truth = batch_truth([picture], [target], output.batch, len(names))
labels, _ = anchor_targets(output.anchors, truth, network.config)
mine = mined_class_loss(output.of_anchors.class_logits[0], labels[0])
assert mine is not None, "mined_class_loss returned None: is the `return` missing?"
with torch.no_grad():
    wanted = network.loss([picture], [target])["class_loss"]
assert abs(float(mine) - float(wanted)) < 1e-3 * float(wanted), (
    f"the network's class loss is {float(wanted):.4f}, yours {float(mine):.4f}: do all checks "
    "above still pass?"
)
### BEGIN HIDDEN TESTS
for seed in range(2):
    torch.manual_seed(seed)
    other = torch.rand(3, 96, 96)
    with torch.no_grad():
        raw = network([other])
        wanted = float(network.loss([other], [target])["class_loss"])
    got = float(mined_class_loss(raw.of_anchors.class_logits[0], labels[0]))
    assert abs(got - wanted) < 1e-3 * wanted, f"another image: {wanted:.4f} expected, not {got:.4f}"
### END HIDDEN TESTS
print("✓ 1 of 1 point: the class loss of a whole network")
