# %% [markdown] id="intro"
# # Assignment 08: Cascade R-CNN
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 08](../08_cascade_rcnn.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All floating-point tensors that the checks pass
# in, including the hidden ones, are float32; return float32 as well.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. The positives that a threshold leaves | 3 | 2/5 | 5/5 | 10 |
# | 2. The cascade at test time, inside a real network | 4 | 3/5 | 5/5 | 20 |
# | 3. Resampling: what each stage learns from | 4 | 3/5 | 4/5 | 20 |
#
# You may use `ops.box_iou(a, b)` (IoU of [N, 4] with [M, 4], as [N, M]), `ops.encode_deltas(boxes,
# objects, weights)` and `ops.decode_deltas(boxes, deltas, weights)` (corrections times weights, and
# back, as in lesson 06; lesson 08 called the first through `.deltas(weights)`), and
# `ops.clip_boxes(boxes, size)` (clip at the border of an image of size (H, W)).

# %% id="imports" nbgrader="locked"
import torch

from seglib import ops
from seglib.models import build_model
from seglib.structures import Categories

# %% [markdown] id="task-label"
# ## Task 1: the positives that a threshold leaves
#
# *3 points · difficulty 2/5 · importance 5/5 · 10 minutes*
#
# Label boxes at a threshold $u$: a box whose largest IoU with any object is **at least** $u$ gets
# the class of that object; every other box is background, 0. Then compute, for a series of
# thresholds, the share of boxes that is positive at each.
#
# Example by hand: objects (0, 0, 10, 10) of class 3 and (0, 0, 10, 5) of class 1. The box
# (0, 0, 10, 6) overlaps the first by 60/100 and the second by 50/60 = 0.83. It belongs to the
# second: label 1 at u = 0.5 as well as at 0.8, label 0 at 0.9.
#
# <details><summary>First hint</summary>
# The largest value of a row of the IoU table says whether the box is positive; its position in the
# row says which object it is. <code>max(dim=1)</code> returns both.
# </details>
# <details><summary>Second hint</summary>
# Without objects there is no largest value: deal with that case first. A share is the mean of a
# yes-or-no tensor.
# </details>

# %% id="label" nbgrader="solution"
def label_at(boxes, objects, classes, u):
    """boxes: float [N, 4]; objects: float [G, 4]; classes: int64 [G], 1…C; u: threshold.

    Returns labels int64 [N], 0 for background. There may be no object at all (G = 0): then all
    boxes are background.
    """
    ### BEGIN SOLUTION
    if len(objects) == 0:
        return torch.zeros(len(boxes), dtype=torch.int64)
    best, which = ops.box_iou(boxes, objects).max(dim=1)
    return torch.where(best >= u, classes[which], 0)
    ### END SOLUTION


def positive_shares(boxes, objects, classes, thresholds):
    """Floats, one per threshold: the share of the boxes (at least one) that is not background."""
    ### BEGIN SOLUTION
    return [(label_at(boxes, objects, classes, u) > 0).float().mean().item() for u in thresholds]
    ### END SOLUTION

# %% id="label-checks" nbgrader="checks" points=3
objects, classes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]]), torch.tensor([3, 1])
boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6], [20, 20, 30, 30]])
got = label_at(boxes, objects, classes, 0.5)
assert got is not None, "label_at returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor), f"label_at returns a tensor, yours a {type(got).__name__}"
assert got.shape == (3,), f"one label for each of the three boxes, [3]; yours is {list(got.shape)}"
assert got.dtype == torch.int64, f"labels are int64, yours are {got.dtype}"
got = got.tolist()
assert got[2] == 0, f"the third box overlaps no object and is background, 0; yours says {got[2]}"
assert got == [3, 1, 0], (
    f"expected [3, 1, 0], yours is {got}: each box takes the *class* of the object that it "
    "overlaps most"
)
got = label_at(boxes, objects, classes, 0.9).tolist()
assert got == [3, 0, 0], f"at 0.9 only the first box is positive, [3, 0, 0]; yours is {got}"
half = torch.tensor([[0.0, 0, 10, 5]])
got = label_at(half, objects[:1], classes[:1], 0.5).tolist()
assert got == [3], f"an IoU of exactly 0.5 is at least 0.5: expected [3], yours is {got}"
try:
    got = label_at(boxes, objects[:0], classes[:0], 0.5).tolist()
except (IndexError, RuntimeError) as error:
    raise AssertionError(f"without any object all boxes are background; yours: {error}") from error
assert got == [0, 0, 0], f"without any object all boxes are background, yours is {got}"
shares = positive_shares(boxes, objects, classes, [0.5, 0.9])
assert shares is not None, "positive_shares returned None: is the `return` missing?"
shares = [round(float(share), 3) for share in shares]
assert shares == [0.667, 0.333], (
    f"two of three boxes are positive at 0.5, one at 0.9: expected [0.667, 0.333], not {shares}"
)
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    corners = torch.rand(45, 2) * 30
    some = torch.cat([corners, corners + 4 + 30 * torch.rand(45, 2)], dim=1)
    boxes, objects, classes = some[:40], some[40:], torch.randint(1, 8, (5,))
    u = 0.2 + 0.1 * seed
    expected = []
    for box in boxes.tolist():
        best, label = 0.0, 0
        for (x0, y0, x1, y1), c in zip(objects.tolist(), classes.tolist()):
            w, h = min(box[2], x1) - max(box[0], x0), min(box[3], y1) - max(box[1], y0)
            inter = max(w, 0) * max(h, 0)
            union = (box[2] - box[0]) * (box[3] - box[1]) + (x1 - x0) * (y1 - y0) - inter
            if inter / union > best:
                best, label = inter / union, c
        expected.append(label if best >= u else 0)
    got = label_at(boxes, objects, classes, u).tolist()
    assert got == expected, f"seed {seed}, u = {u:.1f}: expected {expected}, yours is {got}"
    share = positive_shares(boxes, objects, classes, [u])[0]
    assert abs(share - sum(c > 0 for c in expected) / 40) < 1e-6, (
        f"seed {seed}: the share at {u:.1f} is not {share}"
    )
    got = label_at(boxes, objects.flip(0), classes.flip(0), u).tolist()
    assert got == expected, f"seed {seed}: the same objects in another order change the labels"
### END HIDDEN TESTS
print("✓ 3 of 3 points: labels at two thresholds, an IoU of exactly 0.5, no objects, the shares")

# %% [markdown] id="task-test"
# ## Task 2: the cascade at test time, inside a real network
#
# *4 points · difficulty 3/5 · importance 5/5 · 20 minutes*
#
# Send boxes through the stages. A head is a function here: it takes boxes [n, 4] and returns class
# logits [n, K] and corrections [n, 4], which are multiplied by *its* weights. The boxes of each
# head, corrected and clipped to the image, go to the next head. Return the last boxes and the mean
# of the heads' **probabilities** (softmax over the classes first, then the mean; the mean of the
# logits gives a different result).
#
# Which boxes does each head score? `variant="detectron2"`: its own input. `variant="official"` (the
# authors' program): every head scores the *input of the last stage*. The boxes are the same in
# both.
#
# Example by hand: one box (0, 0, 10, 10), two heads that both return the correction (1, 0, 0, 0).
# The first has weights (10, 10, 5, 5), so it moves the box by 1/10 of its width, to x = 1; the
# second has (20, 20, 10, 10) and moves it by 1/20, to 1.5. The result is (1.5, 0, 11.5, 10).
#
# <details><summary>First hint</summary>
# One pass of the loop: call the head, keep its logits, move the boxes, clip them. The next pass
# starts from the moved boxes.
# </details>
# <details><summary>Second hint</summary>
# For the second variant you need the boxes that the last head was *given*, not those that it
# returned. Keep them, and call all heads again after the loop.
# </details>

# %% id="at-test" nbgrader="solution"
def cascade_at_test(heads, weights, boxes, size, variant="detectron2"):
    """Returns boxes [n, 4] and probabilities [n, K].

    heads: functions boxes [n, 4] -> (logits [n, K], deltas [n, 4]); weights: four numbers for each
    head; boxes: float [n, 4]; size: (H, W) of the image.
    """
    ### BEGIN SOLUTION
    logits = []
    for head, scale in zip(heads, weights, strict=True):
        given = boxes
        named, deltas = head(given)
        logits.append(named)
        boxes = ops.clip_boxes(ops.decode_deltas(given, deltas, scale), size)
    if variant == "official":
        logits = [head(given)[0] for head in heads]
    return boxes, torch.stack([named.softmax(dim=1) for named in logits]).mean(dim=0)
    ### END SOLUTION

# %% id="at-test-checks" nbgrader="checks" points=3
def nudging(shift, slope):
    """A head that always gives the same correction, and scores that depend on where the box is."""
    def head(boxes):
        x = boxes[:, 0]
        logits = torch.stack([0 * x, slope * x, 1 - x], dim=1)
        return logits, torch.tensor([[shift, 0.0, 0, 0]]).expand(len(boxes), 4)
    return head


def numbers(tensor):
    return [round(value, 3) for value in tensor.flatten().tolist()]


heads, weights = [nudging(1.0, 0.5), nudging(1.0, 2.0)], [(10, 10, 5, 5), (20, 20, 10, 10)]
box = torch.tensor([[0.0, 0, 10, 10]])
got = cascade_at_test(heads, weights, box, (50, 50))
assert got is not None, "cascade_at_test returned None: is the `return` missing?"
moved, scores = got
assert moved.dtype == scores.dtype == torch.float32, (
    f"boxes and probabilities are float32, yours are {moved.dtype} and {scores.dtype}"
)
assert moved.shape == (1, 4), f"one box is [1, 4], yours is {list(moved.shape)}"
assert scores.shape == (1, 3), f"three classes of one box are [1, 3], yours is {list(scores.shape)}"
assert torch.allclose(moved, torch.tensor([[1.5, 0, 11.5, 10]]), atol=1e-4), (
    f"the example ends at (1.5, 0, 11.5, 10), yours at {numbers(moved)}: does each head start from "
    "the boxes of the one before, and are its corrections divided by its own weights?"
)
logits = torch.tensor([0.0, 0, 1]), torch.tensor([0.0, 2, 0])
wrong = (torch.stack(logits).mean(0).softmax(0), torch.stack(logits).softmax(1).sum(0))
assert not torch.allclose(scores[0], wrong[0], atol=1e-4), (
    "that is the softmax of the mean of the logits; take the softmax of each head first"
)
assert not torch.allclose(scores[0], wrong[1], atol=1e-4), (
    "that is the sum of the probabilities; divide it by the number of heads"
)
own = torch.stack(logits).softmax(1).mean(0)
assert torch.allclose(scores[0], own, atol=1e-4), (
    f"head 1 scores the box at x = 0, head 2 the one at x = 1: expected {numbers(own)}, yours is "
    f"{numbers(scores)}"
)
moved, scores = cascade_at_test(heads, weights, box, (50, 50), variant="official")
both = torch.tensor([[0.0, 0.5, 0], [0.0, 2, 0]]).softmax(1).mean(0)
assert torch.allclose(moved, torch.tensor([[1.5, 0, 11.5, 10]]), atol=1e-4), (
    f"official: the boxes are those of detectron2, (1.5, 0, 11.5, 10), yours are {numbers(moved)}"
)
assert torch.allclose(scores[0], both, atol=1e-4), (
    "official: both heads score the box at x = 1, the *input* of the last stage: expected "
    f"{numbers(both)}, yours is {numbers(scores)}"
)
clipped, _ = cascade_at_test(heads, weights, torch.tensor([[5.0, 0, 15, 10]]), (50, 12))
assert torch.allclose(clipped, torch.tensor([[6.3, 0, 12, 10]]), atol=1e-4), (
    "the image is 12 wide, so the first step ends at (6, 0, 12, 10) and the second at "
    f"(6.3, 0, 12, 10); yours ends at {numbers(clipped)}: clip after every step; size is (H, W)"
)
three = cascade_at_test([*heads, heads[1]], [*weights, (10, 10, 5, 5)], box.expand(2, 4), (50, 50))
assert torch.allclose(three[0], torch.tensor([[2.5, 0, 12.5, 10]]).expand(2, 4), atol=1e-4), (
    f"two boxes, three heads: both end at (2.5, 0, 12.5, 10), yours at {three[0].tolist()}"
)
assert torch.allclose(three[1].sum(dim=1), torch.ones(2), atol=1e-4), (
    f"three heads: probabilities of a box sum to 1, yours to {numbers(three[1].sum(dim=1))}"
)
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    count = 2 + seed % 3
    parts = [(torch.randn(4, 6), 0.3 * torch.randn(4, 4)) for _ in range(count)]
    heads = [lambda b, p=p: (b / 40 @ p[0], b / 40 @ p[1]) for p in parts]
    weights = [tuple(v * (n + 1) for v in (10.0, 10.0, 5.0, 5.0)) for n in range(count)]
    corners = torch.rand(20, 2) * 30
    start = torch.cat([corners, corners + 5 + 20 * torch.rand(20, 2)], dim=1)
    boxes, inputs = start, []
    for (_, p), scale in zip(parts, weights):
        inputs.append(boxes)
        d = (boxes / 40 @ p) / torch.tensor(scale)
        sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
        centres, sides = centres + d[:, :2] * sides, sides * d[:, 2:].exp()
        boxes = torch.cat([centres - sides / 2, centres + sides / 2], dim=1).clamp(min=0)
        boxes = torch.minimum(boxes, torch.tensor([48.0, 40, 48, 40]))
    for variant in ("detectron2", "official"):
        asked = inputs if variant == "detectron2" else [inputs[-1]] * count
        mean = sum((b / 40 @ p[0]).softmax(dim=1) for b, p in zip(asked, parts)) / count
        moved, scores = cascade_at_test(heads, weights, start, (40, 48), variant)
        case = f"seed {seed}, {count} heads, {variant}"
        assert torch.allclose(moved, boxes, atol=1e-3), f"{case}: the boxes differ"
        assert torch.allclose(scores, mean, atol=1e-4), f"{case}: the probabilities differ"
        alone = cascade_at_test(heads, weights, start[:7], (40, 48), variant)
        assert torch.allclose(alone[0], boxes[:7], atol=1e-3), (
            f"{case}: seven of the boxes, without the others, end elsewhere"
        )
        assert torch.allclose(alone[1], mean[:7], atol=1e-4), (
            f"{case}: seven of the boxes, without the others, have other probabilities"
        )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, probabilities of both variants, clipping, three heads")

# %% [markdown] id="real-text"
# Now a real network: a fresh cascade, whose heads are wrapped as functions. Your loop must return
# the boxes and probabilities that the network returns. (One of the four points.)

# %% id="real-checks" nbgrader="checks" points=1
torch.manual_seed(0)
names = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network, picture = build_model("cascade_rcnn", names).eval(), torch.rand(3, 96, 128)
for head in network.box_heads.heads:
    torch.nn.init.normal_(head.bbox_pred.weight, std=0.3)  # a fresh network hardly moves a box
with torch.no_grad():
    output = network([picture])


def as_function(head):
    def run(boxes):
        logits, deltas = head(network.box_heads.pooler(output.pyramid, [boxes]))
        return logits, deltas[:, 0]
    return run


wrapped = [as_function(head) for head in network.box_heads.heads]
start, size = output.proposals[0], output.batch.sizes[0]
with torch.no_grad():
    mine = cascade_at_test(wrapped, network.config.stage_box_weights, start, size)
assert mine is not None, "cascade_at_test returned None: is the `return` missing?"
wanted = output.box_heads.stages[-1].refined[0]
assert (wanted - start).abs().max() > 0.5, "the network moves no box: nothing can be compared"
apart = (mine[0] - wanted).abs().max()
assert apart < 1e-3, (
    f"your boxes are up to {apart:.3g} px away from the network's: do all checks above still pass?"
)
assert torch.allclose(mine[1], output.box_heads.probabilities, atol=1e-4), (
    "your boxes are the network's, your mean probabilities are not"
)
print("✓ 1 of 1 point: boxes and probabilities of a whole cascade")

# %% [markdown] id="see-it"
# And here is the shipped cascade on your loop: six of its boxes before the first stage and after
# the last. (Not graded.)

# %% id="see-it-run" nbgrader="locked"
from seglib import plotting
from seglib.data import load_dataset
from seglib.pretrained import load

network = load("cascade_rcnn")
image, target = load_dataset(split="val", size=128)[0]
with torch.no_grad():
    output = network([image])
    wrapped = [as_function(head) for head in network.box_heads.heads]
    start, size = output.proposals[0], output.batch.sizes[0]
    moved, scores = cascade_at_test(wrapped, network.config.stage_box_weights, start, size)
rows = ops.nms(moved, 1 - scores[:, 0], 0.3)[:6]
panels = {"proposals": start[rows], "on your cascade": moved[rows]}
plotting.show_box_quality(image, panels, target.boxes)

# %% [markdown] id="task-targets"
# ## Task 3: resampling: what each stage learns from
#
# *4 points · difficulty 3/5 · importance 4/5 · 20 minutes*
#
# In training each stage gets the boxes that the previous stage has corrected, relabels them at its
# own threshold, and learns for each positive the correction to its object, times its own weights.
# Write that loop for one image.
#
# **Transfer.** The lesson trained one stage after the other. Here all stages are labelled in one
# pass, as in a real cascade.
#
# - Stage 1 gets the boxes as they are. Every later stage gets those of the stage before, corrected
#   by its head (with *its* weights) and clipped.
# - A correction can make a box empty. Before a later stage labels anything, boxes without width or
#   without height are removed. No box is ever added.
# - No gradient may flow through the boxes: take the corrections as plain numbers (`.detach()`).
#
# Example by hand: object (10, 0, 20, 10), one box (6, 0, 16, 10). They overlap by 60/140 = 0.43. At
# u = 0.4 the box is positive, with the correction (0.4, 0, 0, 0), times 10 (4, 0, 0, 0). A first
# head that returns (3, 0, 0, 0) moves the box by 0.3 · 10 = 3, to (9, 0, 19, 10), with an IoU of
# 90/110 = 0.82. At u = 0.6 stage 2 has its positive, with the correction (0.1, 0, 0, 0), times 20
# (2, 0, 0, 0).
#
# <details><summary>First hint</summary>
# One pass of the loop: remove empty boxes (not in stage 1), label, encode, append, then move the
# boxes for the next stage.
# </details>
# <details><summary>Second hint</summary>
# Two different corrections occur. The target is encoded from the box to its object; the box is
# moved by what the head returns.
# </details>

# %% id="targets" nbgrader="solution"
def stage_targets(heads, weights, thresholds, boxes, objects, classes, size):
    """Label the boxes of one image anew for every stage.

    heads: functions boxes [n, 4] -> (logits [n, K], deltas [n, 4]); weights and thresholds: one
    for each head; boxes: float [N, 4]; objects: float [G, 4], G ≥ 1; classes: int64 [G];
    size: (H, W).

    Returns for each stage (boxes [n, 4], labels int64 [n], targets [n, 4]): the boxes that it is
    given, their labels at its threshold, and the corrections to the nearest object times its
    weights (those of background rows may be anything, even NaN or infinite).
    """
    ### BEGIN SOLUTION
    result = []
    for stage, (head, scale, u) in enumerate(zip(heads, weights, thresholds, strict=True)):
        if stage > 0:
            boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)]
        best, which = ops.box_iou(boxes, objects).max(dim=1)
        labels = torch.where(best >= u, classes[which], 0)
        result.append((boxes, labels, ops.encode_deltas(boxes, objects[which], scale)))
        _, deltas = head(boxes)
        boxes = ops.clip_boxes(ops.decode_deltas(boxes, deltas.detach(), scale), size)
    return result
    ### END SOLUTION

# %% id="targets-checks" nbgrader="checks" points=4
def always(*answer):
    """A head that gives every box the same correction, and nine zeros as scores."""
    def head(boxes):
        learned = torch.tensor([answer], dtype=torch.float32, requires_grad=True)
        return torch.zeros(len(boxes), 9), learned.expand(len(boxes), 4)
    return head


def near(tensor, *wanted):
    """Whether the tensor holds these numbers."""
    return tensor.numel() == len(wanted) and torch.allclose(
        tensor.flatten().float(), torch.tensor(wanted, dtype=torch.float32), atol=1e-3
    )


scales, still = [(10, 10, 5, 5), (20, 20, 10, 10)], always(0, 0, 0, 0)
goal, kind, size = torch.tensor([[10.0, 0, 20, 10]]), torch.tensor([7]), (40, 60)
beside = torch.tensor([[6.0, 0, 16, 10]])
got = stage_targets([always(3, 0, 0, 0), still], scales, (0.4, 0.6), beside, goal, kind, size)
assert got is not None, "stage_targets returned None: is the `return` missing?"
assert len(got) == 2, f"one entry for each of the two stages, yours has {len(got)}"
assert [len(entry) for entry in got] == [3, 3], "an entry holds boxes, labels and targets"
(first, label, wanted), (second, label_2, wanted_2) = got
dtypes = [first.dtype, wanted.dtype, second.dtype, wanted_2.dtype]
assert dtypes == [torch.float32] * 4, f"boxes and targets are float32, yours are {dtypes}"
assert near(first, 6, 0, 16, 10), f"stage 1 gets the box as it is, yours gets {first.tolist()}"
assert near(label, 7), f"stage 1 labels the box 7 at u = 0.4 (IoU 0.43), yours {label.tolist()}"
assert near(wanted, 4, 0, 0, 0), (
    f"stage 1's target is (4, 0, 0, 0), yours is {numbers(wanted)}: the correction from the box to "
    "its object, times the weights of stage 1"
)
assert not near(second, 10, 0, 20, 10), "the *head's* correction moves the box, not the target"
assert near(second, 9, 0, 19, 10), (
    f"stage 2 gets (9, 0, 19, 10), yours gets {second.tolist()}: move the box by stage 1's "
    "correction, divided by stage 1's weights"
)
assert not second.requires_grad, "a gradient would flow through the boxes: detach the corrections"
assert near(label_2, 7), (
    f"at 0.82 the moved box is positive for u = 0.6, yours says {label_2.tolist()}: label the "
    "moved boxes anew"
)
assert near(wanted_2, 2, 0, 0, 0), (
    f"stage 2's target is (2, 0, 0, 0), yours is {numbers(wanted_2)}: from where the box is now, "
    "times stage 2's weights"
)
half = torch.tensor([[10.0, 0, 20, 5]])
label = stage_targets([still], scales[:1], (0.5,), half, goal, kind, size)[0][1].tolist()
assert label == [7], f"an IoU of exactly 0.5 is at least 0.5: expected [7], yours is {label}"
box = torch.tensor([[9.0, 0, 19, 10]])
got = stage_targets([still, still], scales, (0.5, 0.85), box, goal, kind, size)
labels = [entry[1].tolist() for entry in got]
assert labels == [[7], [0]], (
    f"IoU 0.82 is positive at 0.5 and background at 0.85: expected [[7], [0]], yours is {labels}"
)
pair = torch.tensor([[0.0, 0, 10, 10], [40, 0, 50, 10]])
got = stage_targets([always(30, 0, 0, 0), still], scales, (0.5, 0.6), pair, goal, kind, size)
assert len(got[0][0]) == 2, f"stage 1 gets both boxes, yours gets {len(got[0][0])}"
assert len(got[1][0]) != 2, (
    "moved by 30 px and clipped at x = 60 the second box has no width: remove it before stage 2"
)
assert near(got[1][0], 30, 0, 40, 10), (
    f"stage 2 gets one box, (30, 0, 40, 10), yours gets {got[1][0].tolist()}"
)
flat = torch.tensor([[5.0, 0, 5, 10], [9, 0, 19, 10]])  # the first has no width from the start
got = stage_targets([still, still], scales, (0.5, 0.6), flat, goal, kind, size)
counts = [len(entry[0]) for entry in got]
assert counts == [2, 1], (
    "stage 1 gets its boxes as they are, an empty one too; stage 2 gets what is left: expected "
    f"[2, 1] boxes, yours are {counts}"
)
assert got[0][1].tolist() == [0, 7], f"an empty box is background: {got[0][1].tolist()}"
two, kinds = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 20]]), torch.tensor([3, 5])
pair = torch.tensor([[21.0, 0, 31, 20], [1, 0, 11, 10]])
got = stage_targets([still, still], scales, (0.5, 0.6), pair, two, kinds, size)
labels = [entry[1].tolist() for entry in got]
assert labels == [[5, 3], [5, 3]], (
    f"two boxes, the first on the object of class 5, the second on that of class 3: expected "
    f"[[5, 3], [5, 3]], yours is {labels}"
)
assert near(got[1][2], -2, 0, 0, 0, -2, 0, 0, 0), (
    f"both stand a tenth of their width too far right: targets of stage 2 are (-2, 0, 0, 0) twice, "
    f"yours are {got[1][2].tolist()}"
)
### BEGIN HIDDEN TESTS
for seed in range(5):
    torch.manual_seed(seed)
    corners = torch.rand(36, 2) * 30
    some = torch.cat([corners, corners + 6 + 20 * torch.rand(36, 2)], dim=1)
    boxes, objects, classes = some[:30], some[30:], torch.randint(1, 9, (6,))
    parts = [torch.randn(4, 4) for _ in range(3)]
    heads = [lambda b, p=p: (torch.zeros(len(b), 9), b / 20 @ p) for p in parts]
    weights = [(10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0)]
    if seed == 4:
        weights = [(1.0, 1.0, 1.0, 1.0)] * 3  # boxes fly far, and some are emptied
    got = stage_targets(heads, weights, (0.5, 0.6, 0.7), boxes, objects, classes, (44, 40))
    assert len(got) == 3, f"seed {seed}: three stages, yours has {len(got)}"
    for stage, (p, scale, u) in enumerate(zip(parts, weights, (0.5, 0.6, 0.7))):
        if stage:
            boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
        here, labels, wanted = got[stage]
        case = f"seed {seed}, stage {stage + 1}"
        assert here.shape == boxes.shape, f"{case}: {len(boxes)} boxes expected, not {len(here)}"
        assert torch.allclose(here, boxes, atol=1e-3), f"{case}: the boxes differ"
        iou = ops.box_iou(boxes, objects)
        for n in range(len(boxes)):
            g = int(iou[n].argmax())
            expected = int(classes[g]) if iou[n, g] >= u else 0
            assert int(labels[n]) == expected, (
                f"{case}, box {n}: label {expected} expected, yours is {int(labels[n])}"
            )
            if expected:
                (w, h), (ow, oh) = boxes[n, 2:] - boxes[n, :2], objects[g, 2:] - objects[g, :2]
                shift = (objects[g, :2] + objects[g, 2:] - boxes[n, :2] - boxes[n, 2:]) / 2
                target = [shift[0] / w, shift[1] / h, (ow / w).log(), (oh / h).log()]
                target = torch.stack(target) * torch.tensor(scale)
                assert torch.allclose(wanted[n], target, atol=1e-2), (
                    f"{case}, box {n}: target {target.tolist()} expected, not {wanted[n].tolist()}"
                )
        d = (boxes / 20 @ p) / torch.tensor(scale)
        sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
        sides = sides * d[:, 2:].clamp(max=4.135166556742356).exp()
        centres = centres + d[:, :2] * (boxes[:, 2:] - boxes[:, :2])
        boxes = torch.cat([centres - sides / 2, centres + sides / 2], dim=1).clamp(min=0)
        boxes = torch.minimum(boxes, torch.tensor([40.0, 44, 40, 44]))
### END HIDDEN TESTS
print("✓ 4 of 4 points: the example, a rising threshold, emptied boxes, two objects, no gradient")
