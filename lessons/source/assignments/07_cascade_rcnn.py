# %% [markdown] id="intro"
# # Assignment 07: Cascade R-CNN
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 07](../07_cascade_rcnn.ipynb). Replace the line
# `raise NotImplementedError` and run the checks below it.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. What a threshold leaves | 3 | 2/5 | 5/5 | 15 |
# | 2. The cascade at test, inside a real network | 4 | 3/5 | 5/5 | 25 |
# | 3. Resampling: what each stage learns | 4 | 4/5 | 4/5 | 30 |
#
# You may use `ops.box_iou(a, b)` (IoU of [N, 4] with [M, 4], as [N, M]), `ops.encode_deltas(boxes, objects, weights)` and
# `ops.decode_deltas(boxes, deltas, weights)` (corrections times weights, and back, as in lesson 06), and
# `ops.clip_boxes(boxes, size)` (cut at the border of an image of size (H, W)).

# %% id="imports" nbgrader="locked"
import torch

from seglib import ops
from seglib.models import build_model
from seglib.structures import Categories

# %% [markdown] id="task-label"
# ## Task 1: what a threshold leaves
#
# *3 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# Label boxes at a threshold $u$: a box whose largest IoU with any object is **at least** $u$ gets the class of that
# object; every other box is background, 0. Then say what a series of thresholds leaves: the share of boxes that is
# positive at each.
#
# Example by hand: objects (0, 0, 10, 10) of class 3 and (0, 0, 10, 5) of class 1. The box (0, 0, 10, 6) overlaps the first by
# 60/100 and the second by 50/60 = 0.83. It is the second's: label 1 at u = 0.5 as well as at 0.8, label 0 at 0.9.

# %% id="label" nbgrader="solution"
def label_at(boxes, objects, classes, u):
    """boxes: float [N, 4]; objects: float [G, 4]; classes: int64 [G], 1…C; u: threshold.

    Returns labels int64 [N], 0 for background. There may be no object at all (G = 0): then all boxes are background.
    """
    ### BEGIN SOLUTION
    if len(objects) == 0:
        return torch.zeros(len(boxes), dtype=torch.int64)
    best, which = ops.box_iou(boxes, objects).max(dim=1)
    return torch.where(best >= u, classes[which], 0)
    ### END SOLUTION


def positive_shares(boxes, objects, classes, thresholds):
    """The share of boxes that is not background at each threshold, as a list of floats (at least one box)."""
    ### BEGIN SOLUTION
    return [(label_at(boxes, objects, classes, u) > 0).float().mean().item() for u in thresholds]
    ### END SOLUTION

# %% id="label-checks" nbgrader="checks" points=3
objects, classes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]]), torch.tensor([3, 1])
boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6], [20, 20, 30, 30]])
got = label_at(boxes, objects, classes, 0.5)
assert got is not None, "label_at returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor) and got.shape == (3,), f"one label for each of the three boxes, [3]; yours is {getattr(got, 'shape', got)}"
assert got.dtype == torch.int64, f"labels are int64, yours are {got.dtype}"
assert got.tolist() == [3, 1, 0], f"expected [3, 1, 0], yours is {got.tolist()}: each box takes the class of the object it overlaps *most*, a box that overlaps none is 0"
got = label_at(boxes, objects, classes, 0.9).tolist()
assert got == [3, 0, 0], f"at 0.9 only the first box is left, [3, 0, 0]; yours is {got}"
half = torch.tensor([[0.0, 0, 10, 5]])
got = label_at(half, objects[:1], classes[:1], 0.5).tolist()
assert got == [3], f"an IoU of exactly 0.5 is at least 0.5: expected [3], yours is {got}"
shares = positive_shares(boxes, objects, classes, [0.5, 0.9])
assert shares is not None, "positive_shares returned None: is the `return` missing?"
assert len(shares) == 2 and all(abs(a - b) < 1e-6 for a, b in zip(shares, [2 / 3, 1 / 3])), f"two of three boxes are positive at 0.5, one at 0.9: expected [0.667, 0.333], yours is {shares}"
### BEGIN HIDDEN TESTS
assert label_at(boxes, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 0.5).tolist() == [0, 0, 0], "without objects all boxes are background"
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
            iou = inter / ((box[2] - box[0]) * (box[3] - box[1]) + (x1 - x0) * (y1 - y0) - inter)
            if iou > best:
                best, label = iou, c
        expected.append(label if best >= u else 0)
    got = label_at(boxes, objects, classes, u).tolist()
    assert got == expected, f"seed {seed}, u = {u:.1f}: expected {expected}, yours is {got}"
    share = positive_shares(boxes, objects, classes, [u])[0]
    assert abs(share - sum(c > 0 for c in expected) / 40) < 1e-6, f"seed {seed}: the share at {u:.1f} is {share}"
### END HIDDEN TESTS

# %% [markdown] id="task-test"
# ## Task 2: the cascade at test, inside a real network
#
# *4 points · difficulty 3/5 · importance 5/5 · 25 minutes*
#
# Send boxes through the stages. A head is a function here: it takes boxes [n, 4] and returns class logits [n, K] and
# corrections [n, 4], which are multiplied by *its* weights. Each head's boxes, corrected and clipped to the image, go to
# the next head. Return the last boxes and the mean of the three heads' **probabilities** (softmax over the classes first,
# then the mean; the mean of the logits is something else).
#
# On which boxes does each head speak about classes? `variant="detectron2"`: on its own input. `variant="official"`: every
# head on the *input of the last stage*. The boxes are the same in both.
#
# Example by hand: one box (0, 0, 10, 10), two heads that both answer the correction (1, 0, 0, 0). The first has weights
# (10, 10, 5, 5), so it moves the box by 1/10 of its width, to x = 1; the second has (20, 20, 10, 10) and moves it by 1/20, to
# 1.5. The result is (1.5, 0, 11.5, 10).

# %% id="at-test" nbgrader="solution"
def cascade_at_test(heads, weights, boxes, size, variant="detectron2"):
    """heads: functions boxes [n, 4] -> (logits [n, K], deltas [n, 4]); weights: four numbers for each head;
    boxes: float [n, 4]; size: (H, W) of the image. Returns boxes [n, 4] and probabilities [n, K]."""
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
    """A head that always answers the same correction, and scores that depend on where the box is."""
    def head(boxes):
        x = boxes[:, 0]
        return torch.stack([0 * x, slope * x, 1 - x], dim=1), torch.tensor([[shift, 0.0, 0, 0]]).expand(len(boxes), 4)
    return head


heads, weights = [nudging(1.0, 0.5), nudging(1.0, 2.0)], [(10, 10, 5, 5), (20, 20, 10, 10)]
box = torch.tensor([[0.0, 0, 10, 10]])
got = cascade_at_test(heads, weights, box, (50, 50))
assert got is not None, "cascade_at_test returned None: is the `return` missing?"
moved, probabilities = got
assert moved.shape == (1, 4) and probabilities.shape == (1, 3), f"one box and three classes: expected [1, 4] and [1, 3], yours are {list(moved.shape)} and {list(probabilities.shape)}"
assert torch.allclose(moved, torch.tensor([[1.5, 0, 11.5, 10]]), atol=1e-4), f"the example ends at (1.5, 0, 11.5, 10), yours at {moved[0].tolist()}: does each head start from the boxes of the one before, and use its own weights?"
assert abs(probabilities.sum().item() - 1) < 1e-4, f"probabilities of a box sum to one, yours to {probabilities.sum():.3f}: softmax each head's logits, then take the mean"
own = (torch.tensor([0.0, 0, 1]).softmax(0) + torch.tensor([0.0, 2, 0]).softmax(0)) / 2
assert not torch.allclose(probabilities[0], torch.tensor([0.0, 1, 0.5]).softmax(0), atol=1e-4), "that is the softmax of the mean of the logits; take the softmax of each head first"
assert torch.allclose(probabilities[0], own, atol=1e-4), f"head 1 speaks about the box at x = 0, head 2 about the one at x = 1: expected {own.tolist()}, yours is {probabilities[0].tolist()}"
moved, probabilities = cascade_at_test(heads, weights, box, (50, 50), variant="official")
both = (torch.tensor([0.0, 0.5, 0]).softmax(0) + torch.tensor([0.0, 2, 0]).softmax(0)) / 2
assert torch.allclose(moved, torch.tensor([[1.5, 0, 11.5, 10]]), atol=1e-4), "the boxes are the same in both variants"
assert torch.allclose(probabilities[0], both, atol=1e-4), f"official: both heads speak about the box at x = 1, the input of the last stage: expected {both.tolist()}, yours is {probabilities[0].tolist()}"
clipped, _ = cascade_at_test(heads, weights, torch.tensor([[5.0, 0, 15, 10]]), (50, 16))
assert torch.allclose(clipped, torch.tensor([[6.5, 0, 16, 10]]), atol=1e-4), f"the image is 16 wide, so after the first step the box is cut off at 16: expected (6.5, 0, 16, 10), yours is {clipped[0].tolist()}"
### BEGIN HIDDEN TESTS
for seed in range(4):
    torch.manual_seed(seed)
    count = 2 + seed % 3
    parts = [(torch.randn(4, 6), 0.3 * torch.randn(4, 4)) for _ in range(count)]
    heads = [lambda b, p=p: (b / 40 @ p[0], b / 40 @ p[1]) for p in parts]
    weights = [(10.0 * (n + 1), 10.0 * (n + 1), 5.0 * (n + 1), 5.0 * (n + 1)) for n in range(count)]
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
        moved, probabilities = cascade_at_test(heads, weights, start, (40, 48), variant)
        assert torch.allclose(moved, boxes, atol=1e-3), f"seed {seed}, {count} heads, {variant}: the boxes differ"
        assert torch.allclose(probabilities, mean, atol=1e-4), f"seed {seed}, {count} heads, {variant}: the probabilities differ"
### END HIDDEN TESTS

# %% [markdown] id="real-text"
# Now a real network: a fresh cascade, whose heads are wrapped as functions. Your loop must find the boxes and
# probabilities that it finds. (One of the four points.)

# %% id="real-checks" nbgrader="checks" points=1
torch.manual_seed(0)
names = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network, picture = build_model("cascade_rcnn", names).eval(), torch.rand(3, 96, 128)
for head in network.box_heads:
    torch.nn.init.normal_(head.bbox_pred.weight, std=0.3)  # a fresh network would hardly move a box
with torch.no_grad():
    output = network([picture])


def as_function(head):
    def run(boxes):
        logits, deltas = head(network.box_pooler(output.pyramid, [boxes]))
        return logits, deltas[:, 0]
    return run


with torch.no_grad():
    mine = cascade_at_test([as_function(head) for head in network.box_heads], network.config.stage_box_weights, output.proposals[0], output.batch.sizes[0])
assert mine is not None, "cascade_at_test returned None: is the `return` missing?"
wanted = output.stages[-1].refined[0]
assert (wanted - output.proposals[0]).abs().max() > 0.5, "the network moves no box: there is nothing to compare"
assert torch.allclose(mine[0], wanted, atol=1e-3), "on your loop the network puts its boxes elsewhere"
assert torch.allclose(mine[1], output.probabilities, atol=1e-4), "on your loop the network's mean probabilities differ"

# %% [markdown] id="see-it"
# And the shipped cascade on your loop: six of its boxes before the first stage and after the last. (Not graded.)

# %% id="see-it-run" nbgrader="locked"
from seglib import plotting
from seglib.data import load_dataset
from seglib.pretrained import load

network = load("cascade_rcnn")
image, target = load_dataset(split="val", size=128)[0]
with torch.no_grad():
    output = network([image])
    start, size = output.proposals[0], output.batch.sizes[0]
    moved, probabilities = cascade_at_test([as_function(head) for head in network.box_heads], network.config.stage_box_weights, start, size)
rows = ops.nms(moved, 1 - probabilities[:, 0], 0.3)[:6]
plotting.show_box_quality(image, {"proposals": start[rows], "on your cascade": moved[rows]}, target.boxes)

# %% [markdown] id="task-targets"
# ## Task 3: resampling: what each stage learns
#
# *4 points · difficulty 4/5 · importance 4/5 · 30 minutes*
#
# In training each stage gets the boxes that the stage before has corrected, labels them anew at its own threshold, and
# learns for each positive the correction to its object, times its own weights. Write that loop for one image.
#
# - Stage 1 gets the boxes as they are. Every later stage gets those of the stage before, corrected by its head (with *its*
#   weights) and clipped.
# - A correction can empty a box. Before a later stage labels anything, boxes without width or without height go. No box is
#   ever added.
# - No gradient may flow through the boxes: take the corrections as plain numbers (`.detach()`).
#
# Example by hand: object (10, 0, 20, 10), one box (6, 0, 16, 10). They overlap by 60/140 = 0.43: background at 0.4 or not? At
# u = 0.4 it is positive, with the correction (0.4, 0, 0, 0), times 10 (4, 0, 0, 0). A first head that answers (3, 0, 0, 0) moves
# the box by 0.3 · 10 = 3, to (9, 0, 19, 10), with an IoU of 90/110 = 0.82. At u = 0.6 stage 2 has its positive, with the
# correction (0.1, 0, 0, 0), times 20 (2, 0, 0, 0).

# %% id="targets" nbgrader="solution"
def stage_targets(heads, weights, thresholds, boxes, objects, classes, size):
    """heads: functions boxes [n, 4] -> (logits [n, K], deltas [n, 4]); weights and thresholds: one for each head;
    boxes: float [N, 4]; objects: float [G, 4], G ≥ 1; classes: int64 [G]; size: (H, W).

    Returns for each stage (boxes [n, 4], labels int64 [n], targets [n, 4]): what it is given, the labels at its threshold,
    and the corrections to the nearest object times its weights (those of background rows do not matter).
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


scales = [(10, 10, 5, 5), (20, 20, 10, 10)]
goal, kind = torch.tensor([[10.0, 0, 20, 10]]), torch.tensor([7])
got = stage_targets([always(3, 0, 0, 0), always(0, 0, 0, 0)], scales, (0.4, 0.6), torch.tensor([[6.0, 0, 16, 10]]), goal, kind, (40, 40))
assert got is not None, "stage_targets returned None: is the `return` missing?"
assert len(got) == 2, f"one entry for each of the two stages, yours has {len(got)}"
(first, label, wanted), (second, label2, wanted2) = got
assert label.tolist() == [7], f"stage 1 labels the box 7 at u = 0.4 (IoU 0.43), yours says {label.tolist()}"
assert torch.allclose(wanted, torch.tensor([[4.0, 0, 0, 0]]), atol=1e-4), f"stage 1's target is (4, 0, 0, 0), yours is {wanted[0].tolist()}: corrections times its weights"
assert torch.allclose(second, torch.tensor([[9.0, 0, 19, 10]]), atol=1e-3), f"stage 2 gets (9, 0, 19, 10), yours gets {second.tolist()}: the *head's* correction moves the box, not the true one"
assert label2.tolist() == [7], f"at 0.82 the moved box is positive for u = 0.6, yours says {label2.tolist()}: label the moved boxes anew"
assert torch.allclose(wanted2, torch.tensor([[2.0, 0, 0, 0]]), atol=1e-3), f"stage 2's target is (2, 0, 0, 0), yours is {wanted2[0].tolist()}: from where the box is now, times stage 2's weights"
assert not second.requires_grad, "a gradient would flow through the boxes: detach the corrections"
got = stage_targets([always(0, 0, 0, 0)] * 2, scales, (0.5, 0.85), torch.tensor([[9.0, 0, 19, 10]]), goal, kind, (40, 40))
assert [entry[1].tolist() for entry in got] == [[7], [0]], f"IoU 0.82 is positive at 0.5 and background at 0.85: expected [[7], [0]], yours is {[entry[1].tolist() for entry in got]}"
got = stage_targets([always(30, 0, 0, 0)] * 2, scales, (0.5, 0.6), torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]]), goal, kind, (40, 40))
assert len(got[0][0]) == 2, "stage 1 keeps every box as it is"
assert len(got[1][0]) == 1, f"moved by 30 px the second box lies outside the image and is cut down to nothing: stage 2 has one box, yours has {len(got[1][0])}"
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
        assert here.shape == boxes.shape, f"seed {seed}, stage {stage + 1}: {len(boxes)} boxes expected, yours has {len(here)}"
        assert torch.allclose(here, boxes, atol=1e-3), f"seed {seed}, stage {stage + 1}: the boxes differ"
        iou = ops.box_iou(boxes, objects)
        for n in range(len(boxes)):
            g = int(iou[n].argmax())
            expected = int(classes[g]) if iou[n, g] >= u else 0
            assert int(labels[n]) == expected, f"seed {seed}, stage {stage + 1}, box {n}: label {expected} expected, yours is {int(labels[n])}"
            if expected:
                w, h = boxes[n, 2] - boxes[n, 0], boxes[n, 3] - boxes[n, 1]
                ow, oh = objects[g, 2] - objects[g, 0], objects[g, 3] - objects[g, 1]
                shift = (objects[g, :2] + objects[g, 2:] - boxes[n, :2] - boxes[n, 2:]) / 2
                target = torch.stack([shift[0] / w, shift[1] / h, (ow / w).log(), (oh / h).log()]) * torch.tensor(scale)
                assert torch.allclose(wanted[n], target, atol=1e-2), f"seed {seed}, stage {stage + 1}, box {n}: target {target.tolist()} expected, yours is {wanted[n].tolist()}"
        d = (boxes / 20 @ p) / torch.tensor(scale)
        sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
        centres, sides = centres + d[:, :2] * sides, sides * d[:, 2:].clamp(max=4.135166556742356).exp()
        boxes = torch.cat([centres - sides / 2, centres + sides / 2], dim=1).clamp(min=0)
        boxes = torch.minimum(boxes, torch.tensor([40.0, 44, 40, 44]))
### END HIDDEN TESTS
