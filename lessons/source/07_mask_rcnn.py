# %% [markdown] id="start"
# # 07. From anchors to Mask R-CNN
#
# Lesson 06 ended with a network that looks once and reads without rounding, but it was told where
# to look, by a method that never learns, and it returned boxes without masks. Here both gaps are
# closed. One question runs through the lesson: **how can a convolution, which computes numbers at
# fixed cells, propose boxes of any size, and say which pixels of a box belong to its object?**
#
# **You will be able to**
#
# 1. lay anchors over an image, and say what each of them learns, and why;
# 2. build the head of a region proposal network, and compute its two losses;
# 3. follow anchors until they become proposals, and say from which pyramid level a box is read;
# 4. build the mask head, and explain why its classes do not compete;
# 5. read a score beside its ceiling, and tell from the stages where an error comes from.
#
# **You need first** [lesson 06](06_rcnn.ipynb): corrections, suppression, RoIAlign; the ceiling
# from [lesson 04](04_fcn.ipynb), AP from [lesson 01](01_images_masks_coco.ipynb).
# **Time** about 68 minutes to read, about a minute to run.

# %% id="imports"
import torch
from torch import nn

import seglib
from seglib import ops, plotting
from seglib.data import load_dataset
from seglib.metrics.ceilings import mask_ceiling
from seglib.models.mask_rcnn.box_targets import label_boxes, sample_boxes
from seglib.models.mask_rcnn.losses import mask_loss, softmax_mask_loss
from seglib.plotting.overlays import short_name
from seglib.pretrained import load

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(40, len(dataset) // 2)  # images to measure on; the next ones are for practice
samples = [dataset[i] for i in range(held_out)]
truths = [truth[~truth.iscrowd] for _, truth in samples]
practice = [dataset[i] for i in range(held_out, min(2 * held_out, len(dataset)))]
names = ["background", *(short_name(name) for name in dataset.categories.names)]
model = load("mask_rcnn", dataset.categories)
print(f"{dataset.name}: {len(samples)} images to measure on, {len(practice)} for practice")

# %% [markdown] id="load-text"
# The trained network knows the classes of Pocket COCO: on images of your own expect wild guesses.
# (What the text says about pictures and results applies to Pocket COCO.)

# %% id="first-picture" alt="An image, the same with coloured masks, boxes and names that Mask R-CNN found, and with the true ones: nearly all objects are found, and objects that touch have masks of their own."
predictions = [model.predict([picture])[0].instances for picture, _ in samples]


def success(index):
    """High where many objects have a mask that fits them, and few have none."""
    found, truth = predictions[index], truths[index]
    if len(truth) == 0:
        return -float("inf")
    found = found[found.scores > 0.5]
    same = truth.labels[:, None] == found.labels  # [objects, detections]
    fits = ((ops.mask_iou(truth.masks, found.masks) >= 0.7) & same).any(dim=1)
    return int(fits.sum()) - 1.5 * int((~fits).sum()) - 0.2 * len(found)


chosen = max(range(held_out), key=success)
(image, target), objects = samples[chosen], truths[chosen]
answer = model.predict([image])[0]
sure_ones = answer.instances[answer.instances.scores > 0.5]
match = ops.mask_iou(sure_ones.masks, objects.masks).argmax(dim=1).tolist()
same_order = list(dict.fromkeys([*match, *range(len(objects))]))  # so that colours agree
views = {"Mask R-CNN": sure_ones, "truth": objects[same_order]}
plotting.compare(image, views, dataset.categories, panel=3.3)

# %% [markdown] id="first-picture-read"
# This is the image on which the network does best; its failures come later. Look at the three cups:
# they touch or overlap, they are of the same class, and each has a mask of its own. No label map
# can express that (lesson 04).

# %% [markdown] id="problem"
# ## The problem: the slowest part does not learn
#
# Once Fast R-CNN shared its features, the grouping that proposes regions took most of the time, and
# no gradient ever reached it. Faster R-CNN (Ren and others 2015) lets a network propose the
# regions, from the features that are computed anyway. Mask R-CNN (He and others 2017) adds RoIAlign
# and a third branch, the mask.

# %% id="timeline" alt="A timeline of papers; Faster R-CNN 2015, FPN 2017 and Mask R-CNN 2017 are marked; the R-CNN line lies in the lane of methods that first find regions and then look."
plotting.timeline(highlight=["Faster R-CNN", "FPN", "Mask R-CNN"])

# %% [markdown] id="idea"
# ## The idea, in four parts
#
# ### One: anchors, a ruler for boxes
#
# A convolution computes numbers at every cell, not boxes. So lay fixed boxes over the image, the
# **anchors**: at every cell (around its upper left corner, as detectron2 does) three shapes of the
# same area, one size for each level of the pyramid. The network will answer two questions for each
# anchor: is there an object here, and what correction would make the anchor fit it?

# %% id="lay-anchors"
from itertools import pairwise, product


def lay_anchors(height, width, stride, size, ratios=(0.5, 1.0, 2.0)):
    """[H·W·A, 4] corners: at every cell one box per ratio (height over width), of area size²."""
    corners = []
    for row, column, ratio in product(range(height), range(width), ratios):
        x, y, w, h = column * stride, row * stride, size / ratio**0.5, size * ratio**0.5
        corners.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return torch.tensor(corners)

# %% id="anchors-by-hand" tags=["nbval-check-output"]
with torch.no_grad():
    batch, pyramid, rpn = model.first_stage([image])  # the image as the network sees it
levels = pyramid[1:]  # the finest level has no anchors here
strides = [batch.canvas[1] // level.shape[-1] for level in levels]
for level, stride, (size,), theirs in zip(levels, strides, model.config.anchor_sizes, rpn.anchors):
    mine = lay_anchors(*level.shape[-2:], stride, size)
    same = torch.allclose(mine, theirs)
    print(f"stride {stride:2d}: {len(mine):4d} anchors of {size:2d} px, as in the library: {same}")

# %% id="anchors" alt="Left, the twelve anchors around one place: four sizes, each in three shapes, wide, square and tall. Right, the square anchors of the coarsest level: overlapping boxes, many of which reach beyond the image; one of them is emphasised."
anchors, per_cell = torch.cat(rpn.anchors), len(model.config.anchor_ratios)  # [N, 4], A
one_place = {}
for level, stride, of_level in zip(levels, strides, rpn.anchors, strict=True):
    grid = of_level.reshape(*level.shape[-2:], per_cell, 4)  # [H·W·A, 4] -> [H, W, A, 4]
    one_place[f"stride {stride}"] = grid[grid.shape[0] // 2, grid.shape[1] // 2]
squares = {f"stride {stride}": grid[:, :, 1].flatten(0, 1)}  # of the last level
squares[""] = one_place[f"stride {stride}"][1:2]  # one of them, in another colour
plotting.show_boxes(image, {"around one place": one_place, "the coarsest squares": squares})

# %% [markdown] id="rpn-text"
# The squares at the right, one of them in pink, are 80 pixels wide and lie 32 apart.
#
# The network that answers is tiny. The **region proposal network** (RPN) slides one 3 × 3
# convolution over a level; from its result two 1 × 1 convolutions read, for each of the $A$ anchors
# of a cell, one logit and four numbers. All levels share the weights, since a correction is
# relative to the anchor's size. Build it, give it the trained weights, and compare.

# %% id="rpn-head" tags=["nbval-check-output"]
class SmallRPNHead(nn.Module):
    """[B, F, H, W] -> logits [B, H·W·A] and corrections [B, H·W·A, 4], in the anchors' order."""

    def __init__(self, width, per_cell):
        super().__init__()
        self.hidden = nn.Conv2d(width, width, 3, padding=1)
        self.object = nn.Conv2d(width, per_cell, 1)
        self.correction = nn.Conv2d(width, 4 * per_cell, 1)

    def forward(self, level):
        seen = self.hidden(level).relu()  # [B, F, H, W]
        logits = self.object(seen).permute(0, 2, 3, 1)  # [B, A, H, W] -> [B, H, W, A]
        deltas = self.correction(seen).permute(0, 2, 3, 1)  # [B, 4A, H, W] -> [B, H, W, 4A]
        return logits.flatten(1), deltas.reshape(len(level), -1, 4)


my_rpn = SmallRPNHead(pyramid[0].shape[1], per_cell)
trained = model.rpn.head.state_dict().values()
my_rpn.load_state_dict(dict(zip(my_rpn.state_dict(), trained, strict=True)))
with torch.no_grad():
    answers = [my_rpn(level) for level in levels]
print("logits     ", all(torch.allclose(a, b, atol=1e-5) for (a, _), b in zip(answers, rpn.logits)))
print("corrections", all(torch.allclose(a, b, atol=1e-5) for (_, a), b in zip(answers, rpn.deltas)))

# %% [markdown] id="targets-text"
# #### What each anchor learns
#
# Compare every anchor with the true boxes. An IoU of 0.7 or more with some object makes it
# **positive**, below 0.3 with all of them **negative**; those in between get no loss. Then a rescue
# rule, so that no object is left without an anchor: the best anchor of each object (all of them, if
# several tie) is positive in any case.
#
# **Predict before you run:** how many of the anchors on this image are positive? About half, about
# a tenth, or fewer than one in fifty?

# %% id="label-loop" tags=["nbval-check-output"]
def label_loop(anchors, truth, high=0.7, low=0.3):
    """1 positive, 0 negative, -1 no loss, for each anchor [N]."""
    overlaps = ops.box_iou(truth, anchors)  # [G, N]
    best = overlaps.amax(dim=0).tolist()
    labels = [1 if value >= high else 0 if value < low else -1 for value in best]
    for overlap in overlaps:  # the rescue rule
        for n in (overlap == overlap.max()).nonzero().flatten().tolist():
            labels[n] = 1
    return torch.tensor(labels)


labels = label_loop(anchors, objects.boxes)
iou = ops.box_iou(objects.boxes, anchors)  # [G, N]
fast, of_object = ops.assign_boxes(iou, 0.7, 0.3, allow_low_quality=True)
words = {"positive": 1, "no loss": -1, "negative": 0}
print({word: int((labels == n).sum()) for word, n in words.items()})
print("loop and tensor form agree:", torch.equal(labels, fast))

# %% [markdown] id="rescue-bet"
# Far fewer than one in fifty: nine for six objects, since four tie for one cup. **Predict before
# you run:** the rescue rule sounds like a rule for rare cases. For how many of the objects is it
# the only reason that they have a positive anchor at all: none, one or two, or more than half?

# %% id="rescue" tags=["nbval-check-output"]
best_anchor = iou.amax(dim=1)  # [G]
print("best IoU of each object:", *(f"{value:.3f}" for value in best_anchor.tolist()))
print(f"rescued here: {int((best_anchor < 0.7).sum())} of {len(objects)}")
everywhere = torch.cat([ops.box_iou(t.boxes, anchors).amax(dim=1) for t in truths if len(t)])
print(f"rescued in all {held_out} images: {int((everywhere < 0.7).sum())} of {len(everywhere)}")

# %% id="targets" alt="Three enlarged parts of the image: the left cup in a green box with its four positive anchors, narrow and upright, in blue; the other five objects with one positive anchor each, which fits only roughly; and four anchors without loss beside four negative ones, most of them small."
from seglib.plotting.style import BLUE, GREEN, ORANGE, VERMILION


def around(boxes, margin=30):
    """The part of the image around some boxes, (x0, y0, x1, y1)."""
    low = (boxes[:, :2].amin(dim=0) - margin).clamp(min=0)
    high = torch.minimum(boxes[:, 2:].amax(dim=0) + margin, torch.tensor(image.shape[:0:-1]))
    return tuple(torch.cat([low, high]).int().tolist())


richest = of_object[labels == 1].mode().values  # the object with most positive anchors
of_it, it = of_object == richest, torch.arange(len(objects)) == richest
panels = {
    "one object": {"object": objects.boxes[it], "positive": anchors[(labels == 1) & of_it]},
    "the others": {"object": objects.boxes[~it], "positive": anchors[(labels == 1) & ~of_it]},
}
low, high = torch.tensor(around(objects.boxes)).split(2)
inside = ((anchors[:, :2] >= low) & (anchors[:, 2:] <= high)).all(dim=1)  # of the panel
groups = {"without loss": -1, "negative": 0}
few = {word: anchors[inside & (labels == n)] for word, n in groups.items()}
few = {word: many[:: len(many) // 4 + 1] for word, many in few.items()}
panels["some other anchors"] = few
shades = {"object": GREEN, "positive": BLUE, "without loss": ORANGE, "negative": VERMILION}
enlarged = {"window": around(objects.boxes), "panel": 3.2}
plotting.show_boxes(image, panels, shades=shades, **enlarged)

# %% [markdown] id="losses-text"
# All objects in this image depend on the rescue rule, and more than four in five over all images.
# On every level the step is 0.4 of the anchors' size, so the nearest square may be off by 0.2 of it
# in each direction: IoU 0.47. And an object of 28 pixels meets only squares of 20 and of 40: IoU at
# most 0.51.
#
# If it learned from all $N$ anchors, the network would be told "nothing here" hundreds of times for
# each "here it is", and would learn to find nothing. So each step **samples** $M$ of them, here 128
# per image, at most half of them positive. With $p_i$ the probability of anchor $i$ (the sigmoid of
# its logit), $p_i^*$ its label, $t_i$ its predicted correction and $t_i^*$ the true one, the losses
# are
#
# $$ L_{cls} = -\frac1M \sum_i \big[ p_i^* \log p_i + (1 - p_i^*) \log (1 - p_i) \big] , \qquad
# L_{reg} = \frac1M \sum_i p_i^* \, |t_i - t_i^*|_1 . $$
#
# Only positive anchors have a correction to learn, hence the $p_i^*$. (The paper rounds the tip of
# the absolute value, "smooth L1", and weights its two sums separately; detectron2, which we follow,
# does neither.)

# %% id="rpn-losses" tags=["nbval-check-output"]
logits, deltas = torch.cat(rpn.logits, dim=1)[0], torch.cat(rpn.deltas, dim=1)[0]  # [N], [N, 4]
rules, p = model.config.rpn, logits.sigmoid()
sampler = torch.Generator().manual_seed(0)
positive, negative = ops.balanced_sample(labels, rules.sampled, rules.positive_fraction, sampler)
count = len(positive) + len(negative)  # M
class_part = -(p[positive].log().sum() + (1 - p[negative]).log().sum()) / count
true_deltas = ops.encode_deltas(anchors[positive], objects.boxes[of_object[positive]])
box_part = (deltas[positive] - true_deltas).abs().sum() / count
theirs = model.rpn.loss(rpn, [objects.boxes], [torch.Generator().manual_seed(0)])
print(f"sampled: {len(positive)} positive, {len(negative)} negative")
print("objectness loss", torch.allclose(class_part, theirs[0], atol=1e-4))
print("box loss       ", torch.allclose(box_part, theirs[1], atol=1e-4))

# %% [markdown] id="objectness-text"
# Now see what the trained RPN predicts. First its scores: for each cell the best of its three
# anchors, from 0 (black) to 1 (white).

# %% id="objectness" alt="The image and four maps of objectness: at stride 4 only the place of the small umbrella is bright, at stride 8 that of the donut, at stride 16 those of the cups and the car, at stride 32 the lower right quarter."
maps = []
for level, of_level in zip(levels, rpn.logits, strict=True):
    cells = of_level[0].reshape(*level.shape[-2:], per_cell)  # [H·W·A] -> [H, W, A]
    maps.append(cells.sigmoid().amax(dim=2))  # [H, W]
titles = [f"stride {stride}" for stride in strides]
plotting.show_images([image, *maps], ["the image", *titles], columns=5, panel=1.75)

# %% [markdown] id="objectness-read"
# Each level responds mostly to objects of its own size: the umbrella at stride 4, the donut at
# stride 8, the cups and the car at strides 16 and 32. There is no class here; all it says is
# "something is centred here, about this large".
#
# Then the corrections. For each object, take the anchor with the best score among its positive
# ones, before and after.

# %% id="deltas" tolerance=0.02 alt="Three true boxes as wide green lines, an anchor near each of them, dashed, and the same anchors after their correction, which fit more closely; arrows show how the centres moved."
moved = ops.decode_deltas(anchors, deltas)  # every anchor, corrected
leading = []
for g in range(len(objects)):
    mine = ((labels == 1) & (of_object == g)).nonzero().squeeze(1)
    leading += [int(mine[logits[mine].argmax()])] if len(mine) else []
own_boxes = objects.boxes[of_object[leading]]
for word, candidates in (("before", anchors), ("after", moved)):
    fit = ops.box_iou(own_boxes, candidates[leading]).diag().mean()
    print(f"{word}: mean IoU with the object {fit:.2f}")
free = ops.box_iou(own_boxes, own_boxes).sum(dim=1).argsort()[:3]  # these overlap others least
shown = torch.tensor(leading)[free]
look = {"title": "Three of the objects: how the centres move"}
look["window"] = around(own_boxes[free], margin=15)
plotting.show_corrections(image, anchors[shown], moved[shown], own_boxes[free], **look)

# %% [markdown] id="select-text"
# Better; the second stage will correct once more.
#
# Last comes the selection: the 200 boxes with the best scores on each level (the coarse ones have
# only 192 and 48), clipped to the image, NMS with a threshold of 0.7 inside each level, and the
# best 100 of those that remain. **Predict before you run:** why is the threshold so high? What
# would 0.3 do to two objects that overlap?

# %% id="select" tolerance=0.02
starts = torch.tensor([0, *(len(a) for a in rpn.anchors)]).cumsum(0).tolist()
# before_nms and after_nms are pairs: for training, for prediction.
entered, kept_at = [], {rules.nms_iou: [], 0.3: []}  # threshold -> survivors
for start, end in pairwise(starts):
    best = start + logits[start:end].argsort(descending=True)[: rules.before_nms[1]]
    clipped = ops.clip_boxes(moved[best], batch.sizes[0])
    inside = (clipped[:, 2:] > clipped[:, :2]).all(dim=1)  # some lay outside the image
    best, clipped = best[inside], clipped[inside]
    entered += best.tolist()
    for threshold, survivors in kept_at.items():
        survivors.extend(best[ops.nms(clipped, logits[best], threshold)].tolist())
print(f"{len(anchors)} anchors, {len(entered)} enter suppression")
for threshold, survivors in reversed(kept_at.items()):  # the network's own threshold last
    final = sorted(survivors, key=lambda n: -logits[n])[: rules.after_nms[1]]
    proposals = ops.clip_boxes(moved[final], batch.sizes[0])
    best = ops.box_iou(objects.boxes, proposals).amax(dim=1).tolist()
    print(f"NMS at {threshold}: {len(survivors)} survive; best IoU among the first {len(final)}:")
    print("   ", *(f"{names[n]} {fit:.2f}" for n, fit in zip(objects.labels, best, strict=True)))

# %% id="stages" alt="Three pictures: the ten anchors with the best scores, the same after correction, bunched on a few objects, and the best ten after suppression, spread over more objects; colours name the object that each box overlaps most."
nearest = ops.box_iou(objects.boxes, moved).argmax(dim=0)  # [N], which object
top, kept = logits.argsort(descending=True)[:10], torch.tensor(final[:10])
seen = nearest[torch.cat([top, kept])].unique().tolist()
called = {g: f"{names[objects.labels[g]]} {g + 1}" for g in seen}
colours = {called[g]: plotting.color(same_order.index(g)) for g in seen}  # of the first picture
views = {"10 best-scored anchors": (anchors, top), "the same, corrected": (moved, top)}
views["the best 10 after NMS"], panels = (moved, kept), {}
for title, (boxes, rows) in views.items():
    panels[title] = {called[g]: boxes[rows[nearest[rows] == g]] for g in seen}
plotting.show_boxes(image, panels, shades=colours, **enlarged)

# %% [markdown] id="stages-read"
# The colours show which object a box overlaps most after its correction; cup 2, in the middle, has
# none among these ten. After correction the boxes gather on the objects; suppression then removes
# only near-copies. At 0.3 cup 2 loses its best box to one of the car, and cup 3 its own to a box
# that fits worse but scores better, before their classes have even been considered; what is not
# proposed can never be found. A second suppression, after the classes, will deal with the
# duplicates that remain.
#
# **Predict before you run:** many texts call anchors "the proposals of Faster R-CNN". How well does
# the best of thousands of anchors fit an object, and how well the best of a hundred proposals?

# %% id="misconception-anchors" tolerance=0.02
with torch.no_grad():
    outputs = [model([picture]) for picture, _ in samples]  # kept for later
pairs = [(t.boxes, o.proposals[0]) for t, o in zip(truths, outputs, strict=True) if len(t)]
by_anchor = torch.cat([ops.box_iou(boxes, anchors).amax(dim=1) for boxes, _ in pairs])
by_proposal = torch.cat([ops.box_iou(boxes, found).amax(dim=1) for boxes, found in pairs])
for name, best in (("of all anchors", by_anchor), ("of the 100 proposals", by_proposal)):
    good = (best > 0.75).float().mean()
    print(f"best {name:20s} mean IoU {best.mean():.2f}, above 0.75 for {good:.0%} of the objects")

# %% [markdown] id="anchors-read"
# **Anchors are not proposals.** Anchors are a ruler: the same on every image, known before it is
# seen. Proposals are an answer. With one fortieth of the number of boxes they fit better, because
# each has been moved and stretched onto what is there.
#
# ### Two: which level reads a box?
#
# The second stage reads each proposal with RoIAlign, from *one* level of the pyramid: a small box
# from fine cells, a large one from coarse cells. The FPN paper (Lin and others 2017) chooses the
# level
#
# $$ k = \left\lfloor k_0 + \log_2 \frac{\sqrt{wh}}{s_0} \right\rfloor , \qquad
# k_0 = 4 , \quad s_0 = 224 , $$
#
# where level $k$ has the stride $2^k$: a box of 224 pixels is read at stride 16. **Predict before
# you run:** at which stride is a box of 112 × 112 pixels read, and at which a narrow one of 448 ×
# 28?

# %% id="levels" tags=["nbval-check-output"]
import math


def level_of(w, h, s0=224, k0=4, finest=2, coarsest=5):
    """The level k, within the pyramid."""
    k = math.floor(k0 + math.log2(math.sqrt(w * h) / s0))
    return min(max(k, finest), coarsest)


for w, h in ((224, 224), (112, 112), (448, 28), (20, 20)):
    print(f"{w} × {h} px: stride {2 ** level_of(w, h)}")

# %% id="levels-ours" tags=["nbval-check-output"]
from seglib.models.mask_rcnn.pooler import assign_levels

every_box, s0 = torch.cat([truth.boxes for truth in truths]), model.config.canonical_size
sides = (every_box[:, 2:] - every_box[:, :2]).tolist()
ours = [level_of(w, h, s0, finest=1, coarsest=4) for w, h in sides]  # level 5 is the RPN's alone
library = assign_levels(every_box, 1, 4, s0) + 1  # it counts from 0
print("our objects, as in the library:", library.tolist() == ours)
print("of our objects read", {f"stride {2**k}": ours.count(k) for k in sorted(set(ours))})

# %% [markdown] id="levels-read"
# Both are read at stride 8: the rule considers only the area. In our network, $s_0 = 256$:
#
# | level $k$ | stride | anchors | used for boxes with $\sqrt{wh}$ |
# | --- | --- | --- | --- |
# | 1 | 2 | none | below 64 px |
# | 2 | 4 | 10 px | 64 to below 128 px |
# | 3 | 8 | 20 px | 128 to below 256 px |
# | 4 | 16 | 40 px | from 256 px |
# | 5 | 32 | 80 px | no boxes |
#
# Level 1 is there because an outline needs finer cells than a proposal, level 5 for the largest
# anchors.
#
# ### Three: name it, and correct it again
#
# The **box head** is Fast R-CNN's from lesson 06: 7 × 7 cells, fully connected layers, one logit
# for each class and one for background, and four numbers, here *for each class*: a correction
# multiplied by (10, 10, 5, 5), the `box_weights`, so that small errors still count. Scores above
# 0.05 are kept; then come the second correction and NMS at 0.5 inside each class: a person on a
# horse must not suppress the horse.

# %% id="box-head" tags=["nbval-check-output"]
with torch.no_grad():
    read = model.box_heads.pooler(pyramid, [proposals])  # [R, F, 7, 7]
    class_logits, class_deltas = model.box_heads.head(read)  # [R, K], [R, K, 4]
shapes = {"read": read, "logits": class_logits, "corrections": class_deltas}
print({name: list(tensor.shape) for name, tensor in shapes.items()})
probability = class_logits.softmax(dim=1)  # [R, K], column 0 is background
detections = []  # (score, label, box)
for label in range(1, class_logits.shape[1]):
    rows = (probability[:, label] > model.config.score_threshold).nonzero().squeeze(1)
    second = ops.decode_deltas(proposals[rows], class_deltas[rows, label], model.config.box_weights)
    second = ops.clip_boxes(second, batch.sizes[0])
    for k in ops.nms(second, probability[rows, label], model.config.nms_iou).tolist():
        detections.append((float(probability[rows[k], label]), label, second[k]))
detections.sort(key=lambda one: -one[0])
if not detections:  # possible on data with other classes
    print("nothing detected: the true boxes take the detections' place")
    detections = [(0.0, int(n), box) for n, box in zip(objects.labels, objects.boxes)]
sure = sum(score > 0.5 for score, _, _ in detections)
print(f"{len(proposals)} proposals, {len(detections)} detections, {sure} with a score above 0.5")

# %% [markdown] id="box-losses-text"
# In training a proposal is **foreground** if it overlaps an object with an IoU of at least 0.5: it
# learns that object's class $u$, correction $v$ (multiplied as above) and mask. All others learn
# "background", $u = 0$, and nothing else. The true boxes are added to the proposals, since those of
# an untrained RPN contain hardly any foreground; from all of these $R$ are sampled, here 64, at
# most a quarter of them foreground. With the probabilities $p$ and the correction $t^u$ of class
# $u$, the losses are means over these $R$ boxes:
#
# $$ L_{cls} = \frac1R \sum -\log p_u , \qquad
# L_{loc} = \frac1R \sum\, [u \ge 1]\; |t^u - v|_1 . $$
#
# The bracket is 1 for foreground and 0 otherwise.

# %% id="box-losses" tags=["nbval-check-output"]
candidates = label_boxes(torch.cat([proposals, objects.boxes]), objects, iou=0.5)
sampler = torch.Generator().manual_seed(0)
sampled = sample_boxes(candidates, model.config.rois, model.config.positive_fraction, sampler)
with torch.no_grad():
    scores, found = model.box_heads.head(model.box_heads.pooler(pyramid, [sampled.boxes]))
    theirs, _ = model.box_heads.loss(pyramid, [sampled])
rows, u = torch.arange(len(sampled.labels)), sampled.labels
class_part = -scores.softmax(dim=1)[rows, u].log().mean()
v = ops.encode_deltas(sampled.boxes, objects.boxes[sampled.index], model.config.box_weights)
box_part = ((u >= 1) * (found[rows, u] - v).abs().sum(dim=1)).mean()
print(f"sampled: {int((u >= 1).sum())} foreground, {int((u == 0).sum())} background")
print("class loss", torch.allclose(class_part, theirs["class_loss"], atol=1e-4))
print("box loss  ", torch.allclose(box_part, theirs["box_loss"], atol=1e-4))

# %% [markdown] id="mask-head-text"
# ### Four: cut it out
#
# Only the detections get masks. The **mask head** reads 14 × 14 cells, keeps them as a map through
# four convolutions, doubles the map with a transposed convolution, and ends in one map of 28 × 28
# logits *for each class*: a small FCN inside a box. The class that the box head has named selects
# the map; a sigmoid makes it probabilities; and it is stretched into the box and thresholded at one
# half.

# %% id="mask-head-built" tags=["nbval-check-output"]
class SmallMaskHead(nn.Module):
    """[P, F, 14, 14] -> logits [P, K, 28, 28]: map k is class k's; map 0 (background) is unused."""

    def __init__(self, channels, width, classes):
        super().__init__()
        inputs = (channels, width, width, width)
        self.convolutions = nn.ModuleList(nn.Conv2d(c, width, 3, padding=1) for c in inputs)
        self.enlarge = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.maps = nn.Conv2d(width, classes, 1)

    def forward(self, cells):
        for convolution in self.convolutions:
            cells = convolution(cells).relu()  # [P, width, 14, 14]
        return self.maps(self.enlarge(cells).relu())  # [P, width, 28, 28] -> [P, K, 28, 28]


my_masks = SmallMaskHead(pyramid[0].shape[1], model.config.mask_width, len(names))
trained = model.mask_branch.head.state_dict().values()
my_masks.load_state_dict(dict(zip(my_masks.state_dict(), trained, strict=True)))
found_boxes = torch.stack([box for _, _, box in detections])
found_labels = torch.tensor([label for _, label, _ in detections])
with torch.no_grad():
    mask_logits = my_masks(model.mask_branch.pooler(pyramid, [found_boxes]))  # [d, K, 28, 28]
    theirs = model.mask_branch(pyramid, [found_boxes])
print("[d, K, 28, 28] =", list(mask_logits.shape), torch.allclose(mask_logits, theirs, atol=1e-4))

# %% id="mask-head" alt="A row of pictures: the cut-out of one detection, the 28 by 28 mask of its own class with a clear shape, the masks that the head gives for two other classes, and the image, dark but for the first mask pasted into it."
_, label, box = detections[0]
soft = mask_logits[0].sigmoid()  # [K, 28, 28]
others = [n for n in objects.labels.unique().tolist() if n != label][:2]
cut_out = ops.roi_align(image[None], torch.cat([torch.zeros(1), box])[None], 56)[0]  # as a square
pasted = ops.paste_masks(soft[label][None], box[None], tuple(image.shape[1:]))
pictures = [cut_out, soft[label], *soft[others], image * (0.25 + 0.75 * pasted)]
titles = ["the box", f"mask of {names[label]}", *(f"of {names[n]}" for n in others), "pasted"]
plotting.show_images(pictures, titles, columns=5, panel=1.75)

# %% [markdown] id="mask-head-read"
# The maps of other classes contain numbers too: that of the car is bright in places, even outside
# the car, and full of holes. It is never used. (The chequered pattern comes from the transposed
# convolution, each of whose four weights writes every second pixel.)
#
# The target is the true mask, cut out in the same way. So the loss due to this form of output can
# be measured: reduce the true masks to 28 × 28 and enlarge them again. **Predict before you run:**
# 28 × 28 cells for an object, or 16 × 16 for the whole image, as in a stride-8 FCN: which form can
# express more about an object?

# %% id="mask-ceiling" tolerance=0.02
ceiling = mask_ceiling(dataset, roi_size=28, limit=held_out)
print(f"28 × 28 in every box:    a perfect network reaches a mask AP of {ceiling:.2f}")
for stride in (4, 8):
    ceiling = mask_ceiling(dataset, stride=stride, limit=held_out)
    print(f"cells of {stride} px over all: {ceiling:.2f}")

# %% [markdown] id="misconception-28"
# **28 × 28 is not coarse.** The grid lies over the *box*, so a small object gets cells smaller than
# a pixel. Only on objects much larger than 28 pixels do the cells become visible, as rounded
# corners.
#
# #### Why the classes do not compete
#
# The paper makes an unusual choice here: a sigmoid for each class, not a softmax over classes. With
# $z^k$ the map of class $k$, $u$ the true class and $y$ the target, the loss is the binary
# cross-entropy of map $u$, the mean over its pixels; all other maps are left alone:
#
# $$ L_{mask} = -\frac{1}{28^2} \sum_{i,j} \big[ y_{ij} \log \sigma(z^u_{ij}) +
# (1 - y_{ij}) \log (1 - \sigma(z^u_{ij})) \big] . $$
#
# A softmax would make all maps share each pixel: with $c_{ij} = u$ where $y_{ij} = 1$, and $0$,
# "not the object", elsewhere,
#
# $$ L_{softmax} = -\frac{1}{28^2} \sum_{i,j}
# \log \frac{e^{z^{c_{ij}}_{ij}}}{\sum_k e^{z^k_{ij}}} . $$

# %% id="mask-loss-loop"
def mask_loss_loop(logits, labels, squares):
    """[P, K, S, S], [P], [P, S, S] -> the mean over all pixels of the true class's maps."""
    losses = []
    for maps, label, square in zip(logits, labels, squares, strict=True):
        p = maps[label].sigmoid()
        losses.append(-torch.where(square, p.log(), (1 - p).log()).mean())
    return torch.stack(losses).mean()


# %% id="mask-loss" tags=["nbval-check-output"]
random = torch.randn(3, 5, 28, 28, requires_grad=True)
wanted, squares = torch.tensor([2, 4, 2]), torch.rand(3, 28, 28) > 0.5
expected = mask_loss(random, wanted, squares, 3)  # 3: the number of boxes to divide by
print("loop = library:", torch.allclose(mask_loss_loop(random, wanted, squares), expected))
for name, loss in (("sigmoid", mask_loss), ("softmax", softmax_mask_loss)):
    (gradient,) = torch.autograd.grad(loss(random, wanted, squares, 3), random)
    learning = gradient.abs().sum(dim=(2, 3)).gt(0).sum(dim=1)[0]
    print(f"{name}: {int(learning)} of 5 maps of a box learn from it")

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# The heads and losses were compared as you built them. Now compare the whole: your proposals,
# detections and masks of the chosen image with those of `model.predict`, and with the network on
# the course's own tensor code alone. (The library equals torchvision; see
# `tests/test_mask_rcnn_parity.py`.)

# %% id="equality-whole" tags=["nbval-check-output"]
print("proposals:", torch.allclose(proposals, outputs[chosen].proposals[0], atol=1e-3))
expected, own_maps = answer.instances, mask_logits[torch.arange(len(detections)), found_labels]
my_pixels = ops.paste_masks(own_maps.sigmoid(), found_boxes, tuple(image.shape[1:]))
print("boxes:    ", torch.allclose(found_boxes, expected.boxes, atol=1e-2))
print("masks:    ", int((my_pixels != expected.masks).sum()) <= 0.001 * my_pixels.numel())
with seglib.use("scratch"):
    again = model.predict([image])[0].instances
print("scratch:  ", torch.allclose(again.boxes, expected.boxes, atol=1e-2))

# %% [markdown] id="learns"
# ## It learns
#
# First, as always, **overfit one batch**: a fresh network, one image, again and again. The five
# losses are simply added.

# %% id="overfit" alt="The summed loss on one image falls steeply from about five within the first twenty steps and then falls slowly, with noise." tolerance=0.3
from seglib.models import build_model
from seglib.training import overfit

torch.manual_seed(0)
fresh = build_model("mask_rcnn", dataset.categories)
print({name: round(loss.item(), 2) for name, loss in fresh.loss([image], [target]).items()})
losses = overfit(fresh, [image], [target], steps=40, lr=2e-3)
plotting.training_curve(losses, title=f"One image: {losses[0]:.1f} → {losses[-1]:.1f}")

# %% [markdown] id="overfit-read"
# At the start an objectness loss of 0.69 = log 2 says "one half" everywhere, and a class loss of
# 2.75 is nearly log 17, the same for 16 classes and background. The mask loss begins above log 2,
# since the mask head starts with larger weights: its logits are not near 0. (The loss stays noisy
# because each step samples other anchors and boxes.)
#
# ### What would a softmax take away?
#
# Take the *finished* mask head, and let it learn the softmax instead, while you watch. The sigmoids
# never trained map 0, so we set it to zero: since $e^z / (e^z + e^0) = \sigma(z)$, the named class
# against map 0 alone begins as exactly the finished head's answer. Everything before the head stays
# frozen, so we compute its input only once: from the practice images, all proposals that overlap an
# object by at least a half. (These cells are the slowest of the lesson.)

# %% id="collect" tags=["nbval-check-output"]
features, classes, squares_seen = [], [], []
with torch.no_grad():
    for picture, truth in practice:
        truth, output = truth[~truth.iscrowd], model([picture])
        good = label_boxes(torch.cat([output.proposals[0], truth.boxes]), truth, iou=0.5)
        good = good[good.labels > 0]
        features.append(model.mask_branch.pooler(output.pyramid, [good.boxes]))
        classes.append(good.labels)
        squares_seen.append(ops.crop_resize_masks(truth.masks, good.boxes, 28, good.index))
features, classes, squares_seen = map(torch.cat, (features, classes, squares_seen))
print("read:", list(features.shape), " to be learned:", list(squares_seen.shape))

# %% id="live" alt="The loss of the mask head over a hundred steps of learning the softmax: it falls steeply in the first twenty steps, and then more slowly, with noise."
from copy import deepcopy

torch.manual_seed(0)
softmax_head = deepcopy(my_masks)
with torch.no_grad():
    softmax_head.maps.weight[0], softmax_head.maps.bias[0] = 0, 0  # map 0: "not the object"
optimizer = torch.optim.Adam(softmax_head.parameters(), lr=1e-3)
with plotting.LiveCurve(steps=100, title="The finished head learns a softmax") as live:
    for step in range(100):
        rows = torch.randint(len(features), (32,))
        answered = softmax_head(features[rows])  # [32, K, 28, 28]
        loss = softmax_mask_loss(answered, classes[rows], squares_seen[rows], len(rows))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        live.update(step, loss=loss.item())

# %% [markdown] id="ablation-bet"
# The loss begins high because the maps of other classes were never trained to be silent.
#
# Now a trick separates the effect of competition from everything else: take the *same* softmax
# head, and remove all classes but the named one from its softmax. What the masks regain had been
# lost to other classes.
#
# **Predict before you run:** the box head names the class in any case. Will removing the rivals
# change nothing, a little at the edges, or bring back a good part of what the softmax lost?

# %% id="ablation" tolerance=0.05
from seglib.metrics import CocoEvaluator
from seglib.structures import Instances

readings = {  # of maps [d, K, 28, 28] the probabilities of the named classes: [d, 28, 28]
    "sigmoid, finished": (my_masks, lambda maps, own: maps[own].sigmoid()),
    "softmax": (softmax_head, lambda maps, own: maps.softmax(dim=1)[own]),
    "softmax, rivals removed": (softmax_head, lambda maps, own: (maps[own] - maps[:, 0]).sigmoid()),
}
for title, (head, read_maps) in readings.items():
    evaluator = CocoEvaluator(dataset.categories, "segm", dataset.area_ranges)
    for output, found, (_, truth) in zip(outputs, predictions, samples, strict=True):
        own = (torch.arange(len(found)), found.labels)
        with torch.no_grad():
            maps = head(model.mask_branch.pooler(output.pyramid, [found.boxes]))
        masks = ops.paste_masks(read_maps(maps, own), found.boxes, truth.size)
        evaluator.update(Instances(found.boxes, found.scores, found.labels, masks), truth)
    stats = evaluator.compute().stats
    print(f"{title:24s}", *(f"{name} {stats[name]:.3f}" for name in ("AP", "AP50", "AP75")))

# %% [markdown] id="ablation-read"
# The last two lines come from one head. Removing its rivals costs no training and changes no box,
# and yet the masks become much better: more than a third of what the softmax lost was lost to other
# classes, pixel by pixel. (The rest has other reasons: in a hundred steps with a large learning
# rate, 0.001, map 0 had to be learned from scratch. We left out the control: sigmoids trained in
# the same way.)
#
# How much of an object goes to rivals when the box is the true one and the true class selects the
# map? And which object loses most? (The table asked for one half; here a cell counts as lost only
# where a rival has the highest probability.)

# %% id="competition-code"
def lost_to_rivals(n):
    """For each object [G] its cells under sigmoids, and those that the softmax gives to rivals."""
    labels = truths[n].labels
    cells = model.mask_branch.pooler(outputs[n].pyramid, [truths[n].boxes])  # [G, F, 14, 14]
    before, after = my_masks(cells).sigmoid(), softmax_head(cells).softmax(dim=1)  # [G, K, 28, 28]
    own, winner = before[torch.arange(len(labels)), labels] > 0.5, after.argmax(dim=1)
    rival = own & (winner != 0) & (winner != labels[:, None, None])  # [G, 28, 28]
    return list(zip(own.sum(dim=(1, 2)), rival.sum(dim=(1, 2)), before, after, strict=True))


# %% id="competition" tolerance=0.05 alt="Four squares for one object: its cut-out, dark but for the true mask; the map of its class under sigmoids, bright over the whole object; the same map under a softmax, dark nearly everywhere; and the maps of all rivals together, bright where its own is dark."
with torch.no_grad():
    every = [(n, g, *o) for n in range(held_out) for g, o in enumerate(lost_to_rivals(n))]
in_masks, to_rivals = (int(sum(one[k] for one in every)) for k in (2, 3))
print(f"{to_rivals / max(in_masks, 1):.0%} of the masks' cells go to rivals")
n, g, _, _, before, after = max(every, key=lambda one: one[3])
label = int(truths[n].labels[g])
rivals = [k for k in range(1, len(names)) if k != label]
strongest = max(rivals, key=lambda k: float(after[k].sum()))
lit = samples[n][0] * (0.35 + 0.65 * truths[n].masks[g])  # dark but for the object
seen_box = torch.cat([torch.zeros(1), truths[n].boxes[g]])[None]
seen_object = ops.roi_align(lit[None], seen_box, 56)[0]
pictures = [seen_object, before[label], after[label], after[rivals].sum(dim=0)]
named, rival = names[label], names[strongest]
titles = ["the object", f"{named}, sigmoid", f"{named}, softmax", f"rivals, {rival} first"]
plotting.show_images(pictures, titles, panel=2.3)

# %% [markdown] id="competition-read"
# The rivals take the whole pot: each patch of it may be part of something else. The true class
# selects the map, but it cannot silence the other maps: the head itself sees only the cells, and
# its doubts about the class become holes in the mask. With sigmoids it answers a simpler question:
# *if* this is a plant, which pixels belong to it? The paper, trained to the end, found that the
# competition costs 5.5 points.
#
# ### The shipped network
#
# All its parts were trained together, for longer. In the validation curve, the first three points
# are measured on 60 images, the last on all 300.

# %% id="shipped-curve" alt="Left, the training loss of the shipped Mask R-CNN falling over its steps; right, its box AP and, lower, its mask AP on validation images, both levelling off far below the dashed ceiling of 28 by 28 masks."
from seglib.pretrained import record
from seglib.training import History

course = record("mask_rcnn")
limit = course["ceilings"]["mask_AP"]["ceiling"]
history = History.from_dict(course["history"])
title = "The shipped Mask R-CNN"
plotting.history_curve(history, ("mask_AP", "box_AP"), ceiling=limit, title=title)

# %% id="shipped-record"
print(course["command"])
print(f"{course['minutes']} minutes, {course['parameters']:,} parameters")
keys = ("mask_AP", "mask_AP50", "mask_AP75", "box_AP")
print(course["evaluated"] + ":", {name: round(course["figures"][name], 3) for name in keys})

# %% id="shipped-table" tolerance=0.03
from seglib.metrics import evaluate

measured = evaluate(model, dataset, limit=held_out).figures
print(f"{held_out} images at 128 px   mask AP  ceiling  share  box AP")
for size, word in (("", "all"), ("s", "small"), ("m", "medium"), ("l", "large")):
    mask_ap, box_ap = measured[f"mask_AP{size}"], measured[f"box_AP{size}"]
    limit = mask_ceiling(dataset, roi_size=28, limit=held_out, figure=f"AP{size}")
    print(f"{word:21s} {mask_ap:8.3f} {limit:8.3f} {mask_ap / limit:6.0%} {box_ap:7.3f}")

# %% [markdown] id="shipped-read"
# The ceiling is near one in every row: the form of the output costs hardly anything. What is
# missing is due to the network's errors: more than half for small objects, a good third for large
# ones. Box AP is only 0.58, so suspect classes, scores and boxes first. An object of 12 pixels
# covers 6 × 6 cells of the finest map, and 14 × 14 cells read from these contain no more than the
# 36 did.

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# The stages let you tell causes apart. For every true object take the detections of its class with
# a score of at least 0.3. If none has a mask with an IoU of 0.5, the object is not found; then look
# at the best box. Is its IoU at least 0.5, so that only the mask is wrong? Is it badly placed (or
# meant for a neighbour)? Or is there no box?

# %% id="causes"
def fits(n):
    """IoU of boxes and of masks in image n, objects by detections, 0 where classes differ."""
    found, truth = predictions[n], truths[n]
    same = (truth.labels[:, None] == found.labels) & (found.scores >= 0.3)  # [G, d]
    masks = ops.mask_iou(truth.masks, found.masks)
    return ops.box_iou(truth.boxes, found.boxes) * same, masks * same


lost = [(fits(n)[1] < 0.5).all(dim=1).nonzero().flatten() for n in range(held_out)]

# %% id="causes-counted"
def cause(by_box, by_mask):
    """What became of one object, from its two rows of `fits`."""
    best = max(by_box.tolist(), default=0)
    if (by_mask >= 0.5).any():
        return "found"
    return "mask wrong" if best >= 0.5 else "badly placed" if best > 0 else "none"


causes = [cause(*rows) for n in range(held_out) for rows in zip(*fits(n), strict=True)]
print({word: causes.count(word) for word in ("found", "mask wrong", "badly placed", "none")})

# %% id="hardest" tolerance=0.05 alt="The image with the most failures; the five objects that the network did not find, with boxes and names: a kite, a hidden umbrella, a person, a clock and a boat; and in the same colours the answers of the same class that lie closest: a kite that covers a part of the true one and of its neighbour, one umbrella over both, and a person of hair and shirt only."
from seglib.plotting.style import rgb

hardest = max(range(held_out), key=lambda n: len(lost[n]))
picture, found, truth = samples[hardest][0], predictions[hardest], truths[hardest][lost[hardest]]
by_box, by_mask = (iou[lost[hardest]] for iou in fits(hardest))  # [objects not found, d]
closest = {}  # object -> detection
for k, label in enumerate(truth.labels.tolist()):
    best = int(by_box[k].argmax()) if len(found) else None
    if best is not None and by_box[k, best] > 0:
        closest[k] = best
        word = cause(by_box[k], by_mask[k])
        print(f"{names[label]}: box {by_box[k, best]:.2f}, mask {by_mask[k, best]:.2f}, {word}")
    else:
        print(f"{names[label]}: no detection")
looks = {"categories": dataset.categories, "side": 400, "min_score": 0}
colours = {i: rgb(k) for i, k in enumerate(closest)}  # those of the objects
nearby = found[torch.tensor(list(closest.values())).long()]
drawn = [plotting.overlay(picture, truth, **looks)]
drawn.append(plotting.overlay(picture, nearby, shades=colours, **looks))
titles = ["image", "not found", "the closest answers"]
plotting.show_images([picture, *drawn], titles, panel=3.3)

# %% [markdown] id="hardest-read"
# Over all images no cause dominates. These five objects are partly covered. Little can be seen of
# the boat and the clock. The hidden umbrella is merged with the one in front. The person's true box
# reaches down to the feet, below the car; the predicted one ends at the car. The kite's box
# contains more of its neighbours than of the kite itself: the mask covers the bird's head, and only
# part of the kite's right half. The mask head can tell only from their position in the box which
# pixels are meant.

# %% [markdown] id="crowd-text"
# ### What suppression cannot know
#
# NMS assumes that two boxes of one class with a large overlap are the same object. **Predict before
# you run:** suppose the network were perfect. Can suppression still lose objects?

# %% id="crowd" alt="The two true objects of one class whose boxes overlap most in these images, with their boxes and their masks." tolerance=0.05
def closest_pair(truth):
    """(overlap, i, j) of the two objects of one class whose boxes overlap most."""
    same = truth.labels[:, None] == truth.labels
    overlap = (ops.box_iou(truth.boxes, truth.boxes) * same).triu(diagonal=1)
    best = int(overlap.argmax())
    return float(overlap.max()), best // len(truth), best % len(truth)


total = sum(map(len, truths))
for threshold in (0.3, 0.5, 0.7):
    kept = [ops.batched_nms(t.boxes, torch.ones(len(t)), t.labels, threshold) for t in truths]
    lost_here = total - sum(map(len, kept))
    print(f"from perfect boxes, NMS at {threshold} loses {lost_here} of {total} objects")
crowded = max(range(held_out), key=lambda n: closest_pair(truths[n])[0] if len(truths[n]) else 0)
overlap, i, j = closest_pair(truths[crowded])
pair = truths[crowded][[i, j]]
drawn = plotting.overlay(samples[crowded][0], pair, dataset.categories, layer="instances", side=240)
plotting.show_images([drawn], [f"the closest pair, IoU {overlap:.2f}"])

# %% [markdown] id="crowd-read"
# A low threshold loses true neighbours, a high one keeps duplicates. At our network's threshold of
# 0.5 the loss is small here, one of these two; in a flock of sheep it is not. And no training
# changes this: suppression is a hand-written rule. DETR (lesson 12) does without it.
#
# And every proposal with an IoU of at least 0.5 is foreground, so a box that misses half of its
# object counts as correct. What if you demand 0.7? Lesson 08 begins with that question, and the
# answer is not the obvious one.

# %% [markdown] id="try"
# ## Try it
#
# **Anchors.** Which stride and size *reach* most objects, with an IoU of at least the upper
# threshold? Turn off "keep best anchor" and see which objects lose theirs. Then make the anchors
# much smaller than a large object: all those inside it tie for the best overlap, and the rescue
# rule floods the image with "positives".

# %% id="anchor-explorer" alt="Six controls for stride, size, shapes and thresholds above the image with its true boxes and the positive anchors; a line below counts them."
from seglib.widgets import AnchorExplorer

AnchorExplorer(image, objects.boxes, stride=8, size=24)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
from seglib.widgets import Option, Question, Quiz

anchor_question = Question(
    "An anchor's best IoU with any object is 0.5; every object has a better anchor. It learns",
    [
        Option("'object', with the correction to that one",
               feedback="Positive begins at 0.7, or with being some object's best."),
        Option("'nothing here'", feedback="Negative is below 0.3."),
        Option("nothing at all: it has no loss", True, "Either answer would teach nonsense."),
    ],
    objective="anchors",
)
loss_question = Question(
    "100 anchors are sampled, 4 of them positive. How many have a term in the RPN's box loss, and "
    "what is the sum divided by?",
    [
        Option("4 terms, divided by 4",
               feedback="Then few objects in an image would give each of them more weight."),
        Option("4 terms, divided by 100", True, "Only positives have a correction to learn."),
        Option("100 terms, divided by 100", feedback="A negative anchor has no object to move to."),
    ],
    objective="losses",
)
Quiz([anchor_question, loss_question], title="The first stage")

# %% id="quiz-two" tags=["quiz", "hide-input"]
level_question = Question(
    "k₀ = 4 and s₀ = 224. Which level, of which stride, reads a box of 56 × 56 pixels?",
    [
        Option("level 2, stride 4", True, "log₂(56/224) = −2, and 4 − 2 = 2."),
        Option("level 3, stride 8", feedback="That is the box of 112 × 112: one halving."),
        Option("level 5, stride 32", feedback="Small boxes read fine cells, not coarse ones."),
    ],
    objective="proposals",
)
threshold = Question(
    "Two sheep stand so close that their true boxes have an IoU of 0.6. NMS inside a class at 0.5",
    [
        Option("keeps both if the network is good enough",
               feedback="Even with perfect boxes and scores one of them is removed."),
        Option("keeps both, since their masks do not overlap", feedback="It never sees the masks."),
        Option("loses one of the two, however good the network is", True,
               "It is a rule about boxes."),
    ],
    objective="proposals",
)
Quiz([level_question, threshold], title="Levels and suppression")

# %% id="quiz-three" tags=["quiz", "hide-input"]
competition = Question(
    "A box contains a dog. Which maps of the mask head get a gradient (as published)?",
    [
        Option("the dog's alone", True, "The box head decides on the class; masks need not."),
        Option("all of them: the dog's up, the others down",
               feedback="That is the softmax of the ablation."),
        Option("the dog's and background's",
               feedback="Background is the other side of the dog's own sigmoid."),
    ],
    objective="masks",
)
stage_question = Question(
    "An object has a detection of its class whose box has IoU 0.8, but whose mask has IoU "
    "0.3. Where do you look for the cause?",
    [
        Option("in the RPN", feedback="Without a good proposal the box would not fit either."),
        Option("in the mask head, and in the cells that it reads", True,
               "The box is right, so both stages before it did their work."),
        Option("in the suppression", feedback="It removes boxes; this one is still there."),
    ],
    objective="scores",
)
Quiz([competition, stage_question], title="Masks")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/07_mask_rcnn.ipynb) has three tasks: the labels of the anchors; the
# two losses of an RPN; and pasting a mask into the image, which no cell above does by hand.

# %% [markdown] id="summary"
# ## In one minute
#
# - Anchors are fixed boxes at every cell. A positive one learns "object" and its correction, a
#   negative one "nothing here". Most objects get their positive anchor through the rescue rule.
# - The RPN is three small convolutions over shared features. Its best corrected anchors, thinned
#   out, are the proposals.
# - A box is read from one level, chosen by its area; it is named, corrected again, and goes through
#   suppression within its class.
# - The mask head is a small FCN in a box, with a map for each class, of which only the named one
#   counts. With a softmax, other classes take pixels from it.
# - NMS cannot tell a duplicate from a neighbour.
#
# **The published numbers beside ours.** Theirs are on photographs of COCO, ours on 300 drawn images
# of 128 px: only the *order* within a line can be compared.

# %% id="published" tolerance=0.03
print("paper: softmax 24.8, sigmoid 30.3 mask AP")
print("paper, ResNet-101-FPN: mask AP 35.7, box AP 38.2")
print("detectron2, ResNet-50-FPN: mask AP 37.2, box AP 41.0")
ours = course["figures"]
mask_ap, box_ap = 100 * ours["mask_AP"], 100 * ours["box_AP"]
print(f"ours, on Pocket COCO: mask AP {mask_ap:.1f}, box AP {box_ap:.1f}")

# %% [markdown] id="references"
# **Next**: [lesson 08](08_cascade_rcnn.ipynb), Cascade R-CNN (Cai and Vasconcelos 2018), asks why a
# detector that is trained on better boxes does not become better, and its answer is three heads in
# a row.
#
# **References**
#
# - R. Girshick. Fast R-CNN. *ICCV* 2015. arXiv 1504.08083.
# - S. Ren, K. He, R. Girshick, J. Sun. Faster R-CNN: towards real-time object detection with region
#   proposal networks. *NIPS* 2015. arXiv 1506.01497.
# - T.-Y. Lin, P. Dollár, R. Girshick, K. He, B. Hariharan, S. Belongie. Feature pyramid networks
#   for object detection. *CVPR* 2017. arXiv 1612.03144.
# - K. He, G. Gkioxari, P. Dollár, R. Girshick. Mask R-CNN. *ICCV* 2017. arXiv 1703.06870.
# - Y. Wu, A. Kirillov, F. Massa, W.-Y. Lo, R. Girshick. Detectron2. 2019,
#   [github.com/facebookresearch/detectron2](https://github.com/facebookresearch/detectron2).
