# %% [markdown] id="intro"
# # Assignment 07: From anchors to Mask R-CNN
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need for the first two is in [lesson 07](../07_mask_rcnn.ipynb); the third goes
# beyond it. Replace the line `raise NotImplementedError` and run the checks below it. All
# floating-point tensors that the checks pass in, including the hidden ones, are float32; you may
# compute with higher precision.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. What each anchor learns | 3 | 2/5 | 4/5 | 10 |
# | 2. The two losses of an RPN, inside a real network | 4 | 2/5 | 5/5 | 15 |
# | 3. A mask pasted into the image | 4 | 4/5 | 4/5 | 30 |

# %% id="imports" nbgrader="locked"
import torch

from seglib.models import build_model
from seglib.models.mask_rcnn.box_targets import anchor_targets
from seglib.structures import Categories


def numbers(tensor):
    """Its values, rounded, for messages."""
    return [round(value, 3) for value in tensor.flatten().tolist()]

# %% [markdown] id="task-labels"
# ## Task 1: what each anchor learns
#
# *3 points · difficulty 2/5 · importance 4/5 · 10 minutes*
#
# Label the anchors of an image: 1 (object) if the best IoU with any object is at least `high`; 0
# (nothing) if it is below `low`; −1 (no loss) otherwise. Then the rescue rule: every anchor that
# has the *largest* IoU with some object among all anchors becomes 1 too (ties included). Also
# return, for each anchor, the object that it overlaps most (the first among equals): that is the
# one it learns, whichever rule made it positive. There is at least one object, and each overlaps
# some anchor.
#
# Example by hand: IoU `[[0.8, 0.2, 0.4], [0.1, 0.5, 0.4]]` of two objects with three anchors, high
# 0.7, low 0.3. Anchor 0 is 1; anchor 1 (0.5) would get no loss, but no anchor overlaps object 1
# more, so it is 1; anchor 2 is −1. Best objects: 0, 1, 0.
#
# <details><summary>First hint</summary>
# <code>iou.max(dim=0)</code> gives, for each anchor, its best overlap and the object that it
# belongs to. Start with −1 everywhere, and overwrite.
# </details>
# <details><summary>Second hint</summary>
# The rescue rule looks along the other axis: an anchor is rescued if its overlap equals the largest
# of any row. Compare the whole table with the row maxima, kept as [G, 1], so that ties are
# included.
# </details>

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
edges = label_anchors(torch.tensor([[0.625, 0.25, 0.9]]), high=0.625, low=0.25)[0].tolist()
assert edges == [1, -1, 1], (
    "with high 0.625 an IoU of 0.625 is enough for 1, and with low 0.25 one of 0.25 is not below: "
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
    again, _ = label_anchors(iou.flip(0), high, low)
    assert torch.equal(again, labels), (
        f"seed {seed}: the same objects in another order change the labels"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, the rescue rule with a tie and below `low`, exact thresholds")

# %% [markdown] id="task-losses"
# ## Task 2: the two losses of an RPN, inside a real network
#
# *4 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# Anchors carry labels: 1 (sampled, object), 0 (sampled, nothing) and −1 (not sampled: no loss). Let
# $M$ be the number of *sampled* anchors. The objectness loss is the sum of the binary
# cross-entropies of the sampled anchors, divided by $M$. The box loss is the sum of the absolute
# differences between the predicted and the true corrections of the *positive* anchors (four numbers
# each), divided by the same $M$.
#
# Example by hand: logits 0, 0 and 5 with labels 1, 0 and −1. Both probabilities that count are one
# half, so the objectness loss is (log 2 + log 2)/2 = 0.693. The positive anchor predicts
# (1, 0, 0, 0) and should predict (0.5, 0, 0, −0.5): the box loss is (0.5 + 0.5)/2 = 0.5.
#
# <details><summary>First hint</summary>
# Make two masks from the labels, for positive and negative anchors. The number M counts both, and
# both losses are divided by it.
# </details>
# <details><summary>Second hint</summary>
# A positive anchor costs −log p, a negative one −log(1 − p), where p is the sigmoid of the logit.
# The sum over no anchors is 0, so the case without positives needs no special treatment.
# </details>

# %% id="losses" nbgrader="solution"
def rpn_losses(logits, deltas, labels, true_deltas):
    """logits: float [N] between −10 and 10; deltas, true_deltas: float [N, 4]; labels: int64 [N].

    Returns the objectness loss and the box loss, two scalar tensors. At least one anchor is
    sampled; there may be no positive one.
    """
    ### BEGIN SOLUTION
    positive, negative = labels == 1, labels == 0
    count = (labels >= 0).sum()
    p = logits.sigmoid()
    objectness = -(p[positive].log().sum() + (1 - p[negative]).log().sum()) / count
    return objectness, (deltas[positive] - true_deltas[positive]).abs().sum() / count
    ### END SOLUTION

# %% id="losses-checks" nbgrader="checks" points=3
logits, labels = torch.tensor([0.0, 0, 5]), torch.tensor([1, 0, -1])
deltas = torch.tensor([[1.0, 0, 0, 0], [3, 3, 3, 3], [7, 7, 7, 7]])
true_deltas = torch.tensor([[0.5, 0, 0, -0.5], [0, 0, 0, 0], [0, 0, 0, 0]])
got = rpn_losses(logits, deltas, labels, true_deltas)
assert got is not None, "rpn_losses returned None: is the `return` missing?"
assert len(got) == 2, f"rpn_losses returns two losses, yours returns {len(got)}"
for name, loss in zip(("objectness", "box"), got):
    kind = type(loss).__name__
    assert isinstance(loss, torch.Tensor), f"the {name} loss is a tensor, not a {kind}"
    assert loss.shape == (), f"the {name} loss is a scalar, [], yours is {list(loss.shape)}"
objectness, box = float(got[0]), float(got[1])
assert abs(objectness - 0.462) > 1e-3, (
    "0.462 is the sum divided by all three anchors: divide by the number of sampled ones, 2"
)
assert abs(objectness - 0.693) < 1e-3, (
    f"the example's objectness loss is 0.693, yours is {objectness:.3f}: the mean of −log p for "
    "the positive and −log(1 − p) for the negative; the anchor with label −1 stays out"
)
assert abs(box - 1) > 1e-3, (
    "1 is the box loss divided by the number of positives: divide by the number of sampled anchors"
)
assert abs(box - 0.125) > 1e-3, (
    "0.125 is the box loss divided by 4 too, or smooth L1: sum the four absolute values"
)
assert abs(box - 0.25) > 1e-3, (
    "0.25 is the mean of the four differences, or the sum of their squares divided by 2: sum the "
    "absolute values, then divide by the number of sampled anchors"
)
assert abs(box - 0.5) < 1e-3, (
    f"the example's box loss is 0.5, yours is {box:.3f}: absolute differences of the four numbers "
    "of positive anchors, summed, divided by the number of sampled anchors"
)
two = torch.tensor([2.0, -3])
loss = float(rpn_losses(two, deltas[:2], torch.tensor([1, 1]), true_deltas[:2])[0])
assert abs(loss - 1.588) < 1e-3, (
    "two positives with logits 2 and −3: (−log 0.881 − log 0.047)/2 = 1.588, yours is "
    f"{loss:.3f}: probabilities are sigmoids of logits, and positives should be near 1"
)
loss = float(rpn_losses(two, deltas[:2], torch.tensor([0, 0]), true_deltas[:2])[0])
assert abs(loss - 1.088) < 1e-3, (
    "two negatives with logits 2 and −3: (−log 0.119 − log 0.953)/2 = 1.088, yours is "
    f"{loss:.3f}: negatives should be near 0"
)
got = rpn_losses(torch.zeros(2), deltas[:2], torch.tensor([0, 0]), true_deltas[:2])
assert float(got[1]) == 0, f"without positives the box loss is 0, yours is {float(got[1])}"
four = torch.tensor([[0.0, 0, 0, 0], [1, -2, 0.25, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
got = rpn_losses(torch.zeros(4), four, torch.tensor([0, 1, 0, 0]), torch.zeros(4, 4))
assert abs(float(got[1]) - 3.25 / 4) < 1e-4, (
    "one positive with differences 1, −2, 0.25 and 0 among four sampled: 3.25/4 = 0.813, yours is "
    f"{float(got[1]):.3f}: absolute values, not squares"
)
learned = torch.zeros(3, requires_grad=True)
loss = rpn_losses(learned, deltas, labels, true_deltas)[0]
assert loss.requires_grad, "no gradient reaches the logits: compute with tensors, without .item()"
(gradient,) = torch.autograd.grad(loss, learned, allow_unused=True)
assert gradient is not None, "no gradient reaches the logits: do not detach them"
assert torch.allclose(gradient.float(), torch.tensor([-0.25, 0.25, 0]), atol=1e-4), (
    "the gradient of the objectness loss is (p − label)/M for sampled anchors and 0 for others, "
    f"here (−0.25, 0.25, 0); yours is {numbers(gradient)}"
)
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    logits, deltas, true_deltas = 4 * torch.randn(50), torch.randn(50, 4), torch.randn(50, 4)
    labels = torch.randint(-1, 2, (50,))
    expected, box, count = 0.0, 0.0, int((labels >= 0).sum())
    for n, label in enumerate(labels.tolist()):
        if label >= 0:
            p = torch.sigmoid(logits[n].double())
            expected -= float((p if label else 1 - p).log()) / count
        if label == 1:
            box += float((deltas[n] - true_deltas[n]).abs().sum()) / count
    got = rpn_losses(logits, deltas, labels, true_deltas)
    assert abs(float(got[0]) - expected) < 1e-3, (
        f"seed {seed}: objectness loss {expected:.4f} expected, yours is {float(got[0]):.4f}"
    )
    assert abs(float(got[1]) - box) < 1e-3, (
        f"seed {seed}: box loss {box:.4f} expected, yours is {float(got[1]):.4f}"
    )
    unused = labels < 0
    others = logits.where(~unused, 9.0), deltas.where(~unused[:, None], 9.0)
    again = rpn_losses(*others, labels, true_deltas)
    apart = max(abs(float(x) - float(y)) for x, y in zip(again, got))
    assert apart < 1e-3, f"seed {seed}: anchors that were not sampled change a loss by {apart:.4f}"
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, signs, no positives, absolute values, the gradient")

# %% [markdown] id="real-text"
# Now a real network: a fresh Mask R-CNN labels and samples its anchors. Your losses must equal the
# network's. (One of the four points.)

# %% id="real-checks" nbgrader="checks" points=1
torch.manual_seed(0)
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network, picture = build_model("mask_rcnn", categories).eval(), torch.rand(3, 96, 128)
objects = torch.tensor([[10.0, 12, 40, 50], [60, 30, 110, 80]])
with torch.no_grad():
    _, _, rpn = network.first_stage([picture])
    wanted = network.rpn.loss(rpn, [objects], [torch.Generator().manual_seed(0)])
anchors, generator = torch.cat(rpn.anchors), torch.Generator().manual_seed(0)
labels, true_deltas = anchor_targets(anchors, objects, network.rpn.rules, generator)
got = rpn_losses(torch.cat(rpn.logits, 1)[0], torch.cat(rpn.deltas, 1)[0], labels, true_deltas)
assert got is not None, "rpn_losses returned None: is the `return` missing?"
pairs = [(round(float(a), 4), round(float(b), 4)) for a, b in zip(got, wanted)]
assert all(abs(a - b) < 1e-3 for a, b in pairs), (
    f"yours and the network's objectness and box loss are {pairs}: do all checks above pass?"
)
print("✓ 1 of 1 point: the losses of a network with", len(anchors), "anchors")

# %% [markdown] id="task-paste"
# ## Task 3: a mask pasted into the image
#
# *4 points · difficulty 4/5 · importance 4/5 · 30 minutes*
#
# **Transfer.** The lesson called `ops.paste_masks`; no cell of it shows how this works. Given a
# square of $S$ × $S$ probabilities and a box in an image of size (H, W), decide for every pixel of
# the image whether it belongs to the object.
#
# The square lies over the box, so each of its cells is (x1 − x0)/S pixels wide and (y1 − y0)/S
# high. Take the *middle* of each pixel, find its position in the square, where the middle of cell
# $i$ is at coordinate $i$, and interpolate bilinearly. Outside the square all cells are 0: unlike
# RoIAlign's, this border fades. A pixel belongs to the object if its value is at least `threshold`.
# The box may reach beyond the image, and it may be empty (no width or no height): then no pixel
# belongs to it.
#
# Example by hand: the square [[1, 1], [0, 0]], the box (0, 0, 4, 4), an image of 4 × 4 pixels. The
# cells are 2 pixels wide. The middles of the pixels lie at 0.5, 1.5, 2.5, 3.5, which are the
# coordinates −0.25, 0.25, 0.75, 1.25 in the square. Going down, the upper row of cells has the
# weights 0.75, 0.75, 0.25, 0; going across, both columns together have 0.75, 1, 1, 0.75. The pixel
# at the upper left has 0.75 · 0.75 = 0.5625. At the threshold 0.5 the two upper rows belong to the
# object.
#
# <details><summary>First hint</summary>
# In which direction do you read? Do not ask where a cell of the square goes; ask, for each pixel of
# the image, where in the square its value comes from. Rows and columns can be treated one after the
# other, as in RoIAlign.
# </details>
# <details><summary>Second hint</summary>
# Make one small matrix of weights for the rows, [H, S], and one for the columns, [W, S], and
# multiply the square by both. The weights are the tent of lesson 06,
# <code>max(0, 1 - |distance|)</code>, which is 0 beyond the square by itself.
# </details>

# %% id="paste" nbgrader="solution" forbidden="seglib.ops.paste_masks"
def paste_mask(mask, box, size, threshold=0.5):
    """mask: float [S, S] in 0…1; box: float [4] (x0, y0, x1, y1) in pixels; size: (H, W).

    Returns bool [H, W].
    """
    ### BEGIN SOLUTION
    x0, y0, x1, y1 = box.tolist()
    if x1 <= x0 or y1 <= y0:
        return torch.zeros(size, dtype=torch.bool)

    def weights(start, end, length):
        cell = (end - start) / len(mask)
        places = (torch.arange(length) + 0.5 - start) / cell - 0.5
        return (1 - (places[:, None] - torch.arange(len(mask))).abs()).clamp(min=0).to(mask)

    return weights(y0, y1, size[0]) @ mask @ weights(x0, x1, size[1]).T >= threshold
    ### END SOLUTION

# %% id="paste-checks" nbgrader="checks" points=3
def drawn(pixels):
    """A mask in letters, row by row."""
    return ["".join("#" if pixel else "." for pixel in row) for row in pixels.tolist()]


upper = torch.tensor([[1.0, 1], [0, 0]])
got = paste_mask(upper, torch.tensor([0.0, 0, 4, 4]), (4, 4))
assert got is not None, "paste_mask returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor), f"paste_mask returns a tensor, not a {type(got).__name__}"
assert got.shape == (4, 4), f"the image has 4 × 4 pixels, yours is {list(got.shape)}"
assert got.dtype == torch.bool, f"a pixel belongs or does not: bool, yours is {got.dtype}"
assert drawn(got) != ["##..", "##..", "##..", "##.."], "rows and columns are swapped"
shifted = (
    ["###.", "....", "....", "...."],  # by half a cell
    [".###", "####", ".###", "...."],  # by half a pixel
    ["####", "###.", "....", "...."],  # by both
    [".##.", ".##.", "....", "...."],
)
assert drawn(got) not in shifted, (
    f"yours is shifted: {drawn(got)}. Middles count on both sides: pixel n has its middle at "
    "n + 0.5, and a place half a cell inside the square has the coordinate 0, not 0.5"
)
assert drawn(got) == ["####", "####", "....", "...."], (
    f"the example gives ####, ####, ...., ....; yours gives {drawn(got)}"
)
got = paste_mask(torch.ones(1, 1), torch.tensor([1.0, 1, 5, 3]), (5, 7))
assert got.shape == (5, 7), f"size is (H, W), so (5, 7) gives [5, 7]; yours is {list(got.shape)}"
assert drawn(got) != ["#######"] * 5, (
    "the whole image belongs to the object: do you clamp places to the square, as RoIAlign does? "
    "Outside the square all cells are 0, and a place beyond its middles must fade"
)
# One cell, 4 wide and 2 high: the tent falls to 0.5 at the edge in each direction.
assert drawn(got) != [".......", ".####..", ".####..", ".......", "......."], (
    "a square of one cell fades towards its border, so the corners of the box fall below 0.5: the "
    "pixel at x = 1.5, y = 1.5 has 0.625 · 0.75 = 0.469. Outside the square all cells are 0; do "
    "not move pixels to the border as RoIAlign does"
)
assert drawn(got) == [".......", "..##...", "..##...", ".......", "......."], (
    "one cell in the box (1, 1, 5, 3): ......., ..##..., ..##..., ......., .......; yours gives "
    f"{drawn(got)}"
)
got = paste_mask(torch.ones(2, 2), torch.tensor([0.7, 0.3, 3.7, 3.3]), (5, 6))
assert drawn(got) != [".###..", ".###..", ".###..", "......", "......"], (
    "the box (0.7, 0.3, 3.7, 3.3) is not (1, 0, 4, 3): do not round boxes to whole pixels"
)
assert drawn(got) == [".##...", ".###..", ".###..", "......", "......"], (
    "a square of ones in the box (0.7, 0.3, 3.7, 3.3), of an image of 5 × 6: .##..., .###.., "
    f".###.., then two empty rows; yours gives {drawn(got)}"
)
left = torch.tensor([[1.0, 0], [1, 0]])
got = paste_mask(left, torch.tensor([-4.0, 0, 4, 4]), (4, 4), threshold=0.3)
assert drawn(got) == ["....", "#...", "#...", "...."], (
    "the left half of the box (−4, 0, 4, 4) belongs to the object, and at the threshold 0.3 two "
    f"pixels of it are left in the image: ...., #..., #..., ....; yours gives {drawn(got)}"
)
got = paste_mask(torch.ones(2, 2), torch.tensor([-3.0, 1, 3, 7]), (5, 8))
assert drawn(got) == ["........", "##......", "###.....", "###.....", "###....."], (
    "a square of ones in the box (−3, 1, 3, 7), of an image of 5 × 8: ........, ##......, then "
    f"###..... three times; yours gives {drawn(got)}"
)
got = paste_mask(torch.tensor([[0.0, 1], [0, 1]]), torch.tensor([2.0, 0, 8, 3]), (4, 9))
assert drawn(got) == [".....###.", ".....###.", ".....###.", "........."], (
    "the right half of the wide box (2, 0, 8, 3): .....###. three times, then an empty row; yours "
    f"gives {drawn(got)}: is the first index of the square its row?"
)
inner = ["......", ".####.", ".####.", ".####.", ".####.", "......"]
got = paste_mask(torch.full((3, 3), 0.5), torch.tensor([0.0, 0, 6, 6]), (6, 6))
assert drawn(got) == inner, (
    f"a value of exactly the threshold belongs to the object: {inner}; yours gives {drawn(got)}"
)
got = paste_mask(torch.ones(2, 2), torch.tensor([1.0, 1, 1, 3]), (4, 4))
assert not got.any() and got.shape == (4, 4), "a box without width contains no pixel: all False"
### BEGIN HIDDEN TESTS
boxes = [[3.2, 5.1, 20.7, 17.9], [-6.3, -2.2, 9.4, 30.6], [20.1, 8.8, 41.3, 12.2], [40.0, 3, 55, 9]]
for seed, box in enumerate(boxes):
    torch.manual_seed(seed)
    mask, (height, width) = torch.rand(3 + 4 * seed, 3 + 4 * seed), (24, 32)
    side, threshold, cells = len(mask), (0.5, 0.4, 0.3, 0.2)[seed], mask.tolist()
    rows = [[0.0] * width for _ in range(height)]
    for y in range(height):
        for x in range(width):
            v = (y + 0.5 - box[1]) / (box[3] - box[1]) * side - 0.5
            u = (x + 0.5 - box[0]) / (box[2] - box[0]) * side - 0.5
            for r in range(side):
                for c in range(side):
                    rows[y][x] += max(0, 1 - abs(v - r)) * max(0, 1 - abs(u - c)) * cells[r][c]
    values = torch.tensor(rows)
    got = paste_mask(mask, torch.tensor(box), (height, width), threshold)
    clear = (values - threshold).abs() > 1e-3
    case = f"a square of {side} × {side} in the box {box}, threshold {threshold}"
    assert got.shape == values.shape, f"{case}: [24, 32] expected, yours is {list(got.shape)}"
    wrong = int((got != (values >= threshold))[clear].sum())
    assert wrong == 0, f"{case}: {wrong} pixels differ"
for box in ([5.0, 9, 8, 9], [8.0, 2, 5, 6]):
    got = paste_mask(torch.ones(3, 3), torch.tensor(box), (12, 12))
    assert not got.any(), f"the box {box} is empty, and so is its mask"
### END HIDDEN TESTS
print("✓ 3 of 3 points: middles, all sorts of boxes, beyond the image, thresholds, empty boxes")

# %% [markdown] id="detector-text"
# Now the masks of a real detector: its squares, in its boxes, pasted by you, must be the masks that
# it predicts. (One of the four points.)

# %% id="detector-checks" nbgrader="checks" points=1
torch.manual_seed(0)
categories = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network, picture = build_model("mask_rcnn", categories).eval(), torch.rand(3, 64, 96)
layer = network.mask_branch.head.mask_fcn_logits
with torch.no_grad():
    layer.weight[1] = -layer.weight[0]  # where masks of one class are empty, the other's are not
    output = network([picture])
    found = network.detect(output)
    squares = network.mask_branch.masks(output.pyramid, found)[0]
    expected = network.predict([picture])[0].instances
assert len(squares) > 10, "the detector finds nothing to paste"
compared = 0
some = list(zip(squares, expected.boxes, expected.masks))[:: max(1, len(squares) // 20)]
for square, box, pixels in some:
    got = paste_mask(square, box, (64, 96))
    assert got is not None, "paste_mask returned None: is the `return` missing?"
    differ = int((got != pixels).sum())
    assert differ <= 2, (
        f"in the box {numbers(box)}, {differ} pixels differ from the detector's: do all checks "
        "above still pass?"
    )
    compared += int(pixels.sum())
assert compared > 100, "the detector's masks are empty: nothing was compared"
print("✓ 1 of 1 point: the masks of a detector")

# %% [markdown] id="see-it"
# And the shipped detector, pasted by you. (Not graded.)

# %% id="see-it-run" nbgrader="locked"
from seglib import plotting
from seglib.data import load_dataset
from seglib.pretrained import load

shipped = load("mask_rcnn")
image, target = load_dataset(split="val", size=128)[0]
with torch.no_grad():
    output = shipped([image])
    squares = shipped.mask_branch.masks(output.pyramid, shipped.detect(output))[0]
prediction = shipped.predict([image])[0]
boxes, size = prediction.instances.boxes, tuple(image.shape[1:])
pasted = [paste_mask(square, box, size) for square, box in zip(squares, boxes)]
prediction.instances.masks = torch.stack(pasted)
plotting.compare(image, {"pasted by you": prediction, "truth": target}, shipped.categories)
