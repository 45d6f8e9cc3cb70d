# %% [markdown] id="start"
# # 09. YOLACT
#
# Mask R-CNN cuts out a piece of the features for each object and draws a mask in it. YOLACT (Bolya
# and others 2019: "You Only Look At CoefficienTs") draws once for the whole image: 32 pictures, the
# **prototypes**. For each object it only predicts how to mix them. One question runs through the
# lesson: **how can the same few pictures become the mask of every object?**
#
# **You will be able to**
#
# 1. say what a prototype shows, and what it does not;
# 2. mix a mask by hand and in one matrix product, and explain why a coefficient must be able to be
#    negative;
# 3. explain what cropping repairs, in training and in prediction;
# 4. work out Fast NMS on paper and write it in one line, and say what it removes that greedy NMS
#    keeps;
# 5. say where the speed comes from.
#
# **You need first** [lesson 07](07_mask_rcnn.ipynb): anchors, the pyramid, ceilings; suppression
# from [lesson 06](06_rcnn.ipynb).
# **Time** about 70 minutes to read, about two minutes to run.

# %% id="imports"
import torch
import torch.nn.functional as F

import seglib
from seglib import ops, plotting
from seglib.data import load_dataset
from seglib.pretrained import load, record

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(40, len(dataset) // 2)
samples = [dataset[i] for i in range(held_out)]
truths = [truth[~truth.iscrowd] for _, truth in samples]
yolact, mask_rcnn = (load(name, dataset.categories) for name in ("yolact", "mask_rcnn"))
print(f"{dataset.name}: {len(samples)} images to look at")

# %% [markdown] id="load-text"
# Both networks were trained on the classes of Pocket COCO. (On photographs expect wild guesses;
# what you build works there all the same.) First, the image on which YOLACT does best.

# %% id="fit"
models = {"YOLACT": yolact, "Mask R-CNN": mask_rcnn}
answers = {name: [m.predict([i])[0] for i, _ in samples] for name, m in models.items()}


def best_ious(name, n):
    """For each object of an image, the best mask IoU with a detection of its class, [G]."""
    truth, found = truths[n], answers[name][n].instances
    found = found[found.scores > 0.3]
    overlap = ops.mask_iou(truth.masks, found.masks) * (truth.labels[:, None] == found.labels)
    return torch.cat([overlap, torch.zeros(len(truth), 1)], dim=1).amax(dim=1)

# %% id="first-picture" alt="One image four times: plain, with the masks of YOLACT, with those of Mask R-CNN, and with the true ones. Both networks find the kite, the potted plant and the donut, and both draw their outlines well."
least = min(3, max(map(len, truths)))
rich = [n for n in range(held_out) if len(truths[n]) >= least]  # with several objects
chosen = max(rich, key=lambda n: best_ious("YOLACT", n).mean().item())
image, target = samples[chosen]
shown = {name: answers[name][chosen] for name in models} | {"truth": target}
plotting.compare(image, shown, dataset.categories, panel=2.4, like=target)

# %% [markdown] id="first-picture-read"
# YOLACT is at its best with large objects. Its outlines are as fine on a large object as on a small
# one, because all masks are drawn on one map with cells of two pixels; Mask R-CNN stretches 28 × 28
# cells over each box. Where objects touch, YOLACT is less reliable: the kite loses most of its tail
# (Mask R-CNN's loses even more). And it is fast. How good it is on average, and where it fails,
# comes later.

# %% [markdown] id="problem"
# ## The problem: a second look for every object
#
# The networks of lessons 06 to 08 look twice. The second look waits for the first, and it costs
# time for *each* object: cropping, resizing, four convolutions. A video has 30 images per second,
# which leaves 33 milliseconds for each, however many objects it contains. Detectors without a
# second look already existed in 2019 (SSD, RetinaNet): they predict a class and a box for every
# anchor, and that is all. Masks do not fit into such a scheme: 28 × 28 numbers for each of
# thousands of anchors make millions, nearly all of them wasted.
#
# YOLACT divides the work. What needs *space*, the shapes, is drawn once by convolutions, for all
# objects together. What needs *meaning*, which object this is, becomes a few numbers per anchor.

# %% id="timeline" alt="A timeline of papers in five lanes; Mask R-CNN 2017 and YOLACT 2019 are marked, the latter as the first in the lane of methods that do all at once."
plotting.timeline(highlight=["Mask R-CNN", "YOLACT"])

# %% [markdown] id="idea"
# ## The idea, in seven parts
#
# ### One: pictures for the whole image
#
# A small network, the **protonet**, reads the finest map of the pyramid, enlarges it twofold, and
# draws $k = 32$ prototypes. No target says what a prototype should show. The last layer is a ReLU,
# so their values are 0 or more.

# %% id="prototypes" alt="Thirty-two small grey pictures of the chosen image. Some show one object brightly, several show two or all three, some show only the background or a part of it, some only edges or a few specks, and one is black."
with torch.no_grad():
    outputs = [yolact([picture]) for picture, _ in samples]
output = outputs[chosen]
prototypes = output.prototypes[0]  # [k, h, w]
print("image", list(image.shape), "→ prototypes", list(prototypes.shape))
plotting.show_prototypes(prototypes)

# %% [markdown] id="prototypes-read"
# In each picture black is 0 and white its own largest value, so brightness cannot be compared
# between pictures. Some prototypes show a single object, many show several, some show the
# background or one side of it, and some show edges. One is black; a few show only specks. No
# prototype is a finished set of masks, and hardly any could be used alone.
#
# ### Two: a mixing desk on paper
#
# Take a strip of six cells with two equal cups, and three prototypes:
#
# | | ground | left cup | left cup | ground | right cup | right cup |
# | --- | --- | --- | --- | --- | --- | --- |
# | things | 0 | 6 | 6 | 0 | 6 | 6 |
# | right half | 0 | 0 | 0 | 8 | 8 | 8 |
# | ground | 9 | 0 | 0 | 9 | 0 | 0 |
#
# A mask is a weighted sum; its sigmoid is the probability that a cell belongs to the object. For
# the left cup, add "things" and subtract "right half" and "ground": cell 1 gives −9, cell 2 gives
# 6, cell 5 gives 6 − 8 = −2. Now the **right** cup: "right half" is added and "ground" is
# subtracted. **Predict before you run:** what about "things": add it, leave it out, or subtract it?

# %% id="by-hand" tags=["nbval-check-output"]
strip = torch.tensor([[0.0, 6, 6, 0, 6, 6], [0, 0, 0, 8, 8, 8], [9, 0, 0, 9, 0, 0]])
mixes = {"left cup": (1, -1, -1), "right cup, things +1/2": (0.5, 1, -1)}
mixes |= {"right cup, things 0": (0, 1, -1), "right cup, things −1/2": (-0.5, 1, -1)}
for name, mix in mixes.items():
    sums = torch.tensor(mix).float() @ strip
    print(f"{name:22s} {[round(p, 2) for p in sums.sigmoid().tolist()]}")

# %% [markdown] id="by-hand-read"
# Subtract it. With +1/2 the left cup belongs to the mask as well; with "things" left out, the left
# cup stays undecided at exactly one half. "Things" is the only prototype that touches the left cup,
# so only a negative coefficient on it brings the left cup below one half: **to draw a thing, the
# desk has to subtract "things"**. What a prototype shows and what it is good for are two different
# questions.
#
# #### Do coefficients need to be negative?
#
# YOLACT's coefficients pass through a tanh, so they lie between −1 and 1. Suppose they could only
# lie between 0 and 1. **Predict before you run:** what would the mask of an object be: a little too
# large, empty, or everything?
#
# To try it, take for each true object the anchor that predicts it best, by the overlap of its box
# and the score of the class. (`decode_boxes` applies the predicted corrections to the anchors.)

# %% id="signs-code"
from seglib.models.yolact.box_coder import decode_boxes


def owners(n):
    """For each true object of an image, the number of the anchor that predicts it best."""
    seen, truth = outputs[n].of_anchors, truths[n]
    boxes = decode_boxes(outputs[n].anchors, seen.deltas[0])  # [N, 4]
    scores = seen.class_logits[0].softmax(dim=1)[:, truth.labels]  # [N, G]
    return (ops.box_iou(truth.boxes, boxes) * scores.T).argmax(dim=1)  # [G]


by_area = truths[chosen].masks.sum(dim=(1, 2)).argsort(descending=True)
rows = owners(chosen)[by_area]  # the anchors of the objects, largest object first
coefficients = output.of_anchors.coefficients[0, rows]  # [G, k]

# %% id="signs" alt="Two maps of the largest object: with all coefficients, bright on the object and dark elsewhere; without the negative ones, bright nearly everywhere and nowhere below one half."
own = coefficients[0, :, None, None]  # [k, 1, 1]
with_minus = (own * prototypes).sum(dim=0).sigmoid()
without_minus = (own.clamp(min=0) * prototypes).sum(dim=0).sigmoid()
print(f"{(own < 0).float().mean():.0%} of its coefficients are negative")
lowest = with_minus.min(), without_minus.min()
print("lowest probability: {:.2f}, and without a minus {:.2f}".format(*lowest))
titles = ["its coefficients", "the positive ones only"]
plotting.show_images([with_minus, without_minus], titles, panel=2.6)

# %% [markdown] id="signs-read"
# (Here black is 0 and white is 1.) Nearly everything. Prototypes are never negative; if
# coefficients are not negative either, no sum is below 0 and no sigmoid below one half. A cell that
# any prototype with a positive coefficient touches is inside; the others stay undecided. **Only a
# negative coefficient can say "not here".** More than half of this object's coefficients are
# negative.
#
# The same as an experiment: give an optimiser eight free prototypes and free coefficients, and let
# it reproduce the true masks of this image, once with coefficients from −1 to 1 and once from 0 to
# 1.

# %% id="minus" alt="Two losses over 150 steps: with coefficients from minus one to one it falls close to zero, without a minus it stops at 0.69 or a little below." tolerance=0.1
from seglib.models.yolact.targets import masks_in_cells

wanted = masks_in_cells(truths[chosen].masks, output.batch.canvas, output.cells, binary=False)


def mix_freely(squash, count=8, steps=150):
    """The loss of free prototypes and coefficients that learn the true masks of one image."""
    torch.manual_seed(0)
    pictures = torch.rand(count, *output.cells, requires_grad=True)
    numbers = torch.randn(len(wanted), count, requires_grad=True)
    optimizer, losses = torch.optim.Adam([pictures, numbers], lr=0.1), []
    for _ in range(steps):
        sums = torch.einsum("gk,khw->ghw", squash(numbers), pictures.relu())
        loss = F.binary_cross_entropy_with_logits(sums, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


curves = {"−1…1": mix_freely(torch.tanh), "0…1": mix_freely(torch.sigmoid)}
for name, losses in curves.items():
    print(f"coefficients {name:4s}: last loss {losses[-1]:.3f}")
plotting.training_curve(curves, title="Eight free prototypes learn the masks of one image")

# %% [markdown] id="minus-read"
# Without negative coefficients, a cell outside the object costs at least $\log 2 = 0.69$, the loss
# of "one half", and most cells are outside. To keep these near one half, the optimiser drives the
# prototypes to zero. (Here and below, the pale line is the loss of each step, and the strong one
# its running mean.)
#
# ### Three: all masks in one product
#
# First we write it as a loop over objects and prototypes, then without.

# %% id="assemble" tags=["nbval-check-output"]
from seglib.models.yolact.masks import assemble_masks


def assemble_loop(coefficients, prototypes):
    """coefficients: [n, k]; prototypes: [k, h, w]. Returns sums [n, h, w]."""
    sums = torch.zeros(len(coefficients), *prototypes.shape[1:])
    for n, own in enumerate(coefficients):
        for k, prototype in enumerate(prototypes):
            sums[n] += own[k] * prototype
    return sums


def my_assemble(coefficients, prototypes):
    flat = prototypes.flatten(1)  # [k, h·w]
    return (coefficients @ flat).unflatten(1, prototypes.shape[1:])  # [n, k] @ [k, h·w]


sums = my_assemble(coefficients, prototypes)  # [G, h, w]
print("loop = product:  ", torch.allclose(assemble_loop(coefficients, prototypes), sums, atol=1e-3))
print("mine = library's:", torch.equal(sums, assemble_masks(coefficients, prototypes)))

# %% [markdown] id="assemble-read"
# For $G$ objects that is $M = \sigma(C P)$, with $C$ of shape $G \times k$ and $P$ of shape
# $k \times hw$: the paper's equation 1, and the last line of YOLACT's mask branch. Here is the
# mixture of the largest object: the six prototypes that contribute most, all others together, their
# sum, and the mask.

# %% id="mixture" alt="Six weighted prototypes of the largest object, two of them violet, which means subtracted, and four orange; the others together; their sum, orange on the object and violet on everything else; and the resulting mask over the grey image."
own = coefficients[0, :, None, None]  # [k, 1, 1]
weight = (own * prototypes).abs().mean(dim=(1, 2))
top = weight.topk(min(6, len(weight))).indices
terms = (own * prototypes)[top]  # [6, h, w]
names = [f"{own[k].item():+.2f} × number {k}" for k in top.tolist()]
rest = sums[0] - terms.sum(dim=0)
mask = sums[0].sigmoid()
plotting.show_mixture(image, torch.cat([terms, rest[None]]), mask, [*names, "others"], columns=5)

# %% [markdown] id="mixture-read"
# Orange is added, violet is subtracted, and all panels share one scale. As with the cup, the two
# strongest terms of our donut *subtract* it, together with the plant; the next ones give more back
# to the donut than to the plant. The tanh is saturated: the strongest of these 32 coefficients all
# stand at one end, +1 or −1. But six do not do the work alone; the other 26 together weigh as much.
# In the end the sum is far above zero on the donut, far below it on the kite, and close to zero on
# the plant, where a few spots remain.
#
# #### "Prototypes are class maps"
#
# It is tempting to think that one prototype is for cats and another for boats. Test this. Mix the
# masks of all objects (without cropping, which comes next), and see how much of *another* object in
# the same image such a mask covers. If a prototype showed a class, the mask of one cup would cover
# the second cup as well as the first. If the pictures told individuals apart, it would cover
# another cup no more than a cat. **Predict before you run:** how much of another object of the same
# class does it cover: as much as of the object itself, as little as of an object of another class,
# or something in between?

# %% id="covers-code"
from seglib.models.yolact.masks import boxes_in_cells, crop_masks, masks_of_image


def draw(n, sums, boxes=None):
    """Masks [G, H, W] of an image from sums [G, h, w], cropped to boxes [G, 4] in pixels."""
    batch, masks = outputs[n].batch, sums.sigmoid()
    if boxes is not None:
        masks = crop_masks(masks, boxes_in_cells(boxes, batch.canvas, outputs[n].cells))
    return masks_of_image(masks, batch.canvas, batch.sizes[0], truths[n].size)


def mixed(n):
    """The sums [G, h, w] of an image's objects."""
    own = outputs[n].of_anchors.coefficients[0, owners(n)]
    return my_assemble(own, outputs[n].prototypes[0])

# %% id="covers" tolerance=0.1
shares = {"the object itself": [], "another of its class": [], "one of another class": []}
for n, truth in enumerate(truths):
    shared = (draw(n, mixed(n))[:, None] & truth.masks).sum(dim=(2, 3))  # [G, G]
    share = shared / truth.masks.sum(dim=(1, 2)).clamp(min=1)
    alike, itself = truth.labels[:, None] == truth.labels, torch.eye(len(share)).bool()
    for name, pairs in zip(shares, (itself, alike & ~itself, ~alike), strict=True):
        shares[name] += share[pairs].tolist()
for name, values in shares.items():
    mean = sum(values) / max(1, len(values))
    print(f"the uncropped mask covers {mean:.0%} of {name} ({len(values)} pairs)")

# %% [markdown] id="covers-read"
# Something in between. **Prototypes are not class maps**, and not maps of individuals either. They
# react to what things look like, and two cups look much alike, but seldom exactly alike. They also
# react to places, as "right half" did in the strip. (A convolution can know its place from the
# zeros of the padding, as the authors point out; lesson 10 returns to this.) So the mixture leaves
# out much of a second cup, but not all of it. Removing the rest is the job of the next step.

# %% [markdown] id="crop-text"
# ### Four: crop, in training too
#
# Besides its coefficients each anchor predicts a box, and everything outside the box is set to 0.
# (One more cell on each side is kept, as in the authors' code.) First as a loop, then without.

# %% id="crop-loop"
def crop_loop(masks, boxes):
    """masks: [n, h, w]; boxes: [n, 4] in cells. Column x stays if x0 − 1 ≤ x < x1 + 1."""
    cropped = torch.zeros_like(masks)
    for n, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        for y, x in torch.cartesian_prod(*map(torch.arange, masks.shape[1:])).tolist():
            if x0 - 1 <= x < x1 + 1 and y0 - 1 <= y < y1 + 1:
                cropped[n, y, x] = masks[n, y, x]
    return cropped

# %% id="crop" tags=["nbval-check-output"]
def my_crop(masks, boxes):
    rows, columns = (torch.arange(side) for side in masks.shape[1:])  # [h], [w]
    x0, y0, x1, y1 = boxes.T[:, :, None]  # [n, 1] each
    in_columns = (x0 - 1 <= columns) & (columns < x1 + 1)  # [n, w]
    in_rows = (y0 - 1 <= rows) & (rows < y1 + 1)  # [n, h]
    return masks * in_rows[:, :, None] * in_columns[:, None]  # [n, h, w]


deltas = output.of_anchors.deltas[0, rows]
boxes = decode_boxes(output.anchors[rows], deltas)  # [G, 4] in pixels
in_cells = boxes_in_cells(boxes, output.batch.canvas, output.cells)
masks = sums.sigmoid()
print("loop = tensors:  ", torch.equal(crop_loop(masks, in_cells), my_crop(masks, in_cells)))
print("mine = library's:", torch.equal(my_crop(masks, in_cells), crop_masks(masks, in_cells)))

# %% [markdown] id="crop-bet"
# **Predict before you run:** without the crop, which masks suffer most, those of small or of large
# objects? And which spill over into more pixels outside the object?

# %% id="crop-gain" tolerance=0.1
def iou_of(masks, truth):
    """The IoU of each mask with its object, [G]."""
    shared = (masks & truth.masks).sum(dim=(1, 2))
    return shared / (masks | truth.masks).sum(dim=(1, 2)).clamp(min=1)


def predicted_boxes(n):
    return decode_boxes(outputs[n].anchors, outputs[n].of_anchors.deltas[0])[owners(n)]


whole = [draw(n, mixed(n)) for n in range(held_out)]
boxed = [draw(n, mixed(n), predicted_boxes(n)) for n in range(held_out)]
before, after = (torch.cat([*map(iou_of, masks, truths)]) for masks in (whole, boxed))
spill = torch.cat([(m & ~t.masks).sum(dim=(1, 2)) for m, t in zip(whole, truths, strict=True)])
areas = torch.cat([t.masks.sum(dim=(1, 2)) for t in truths])
for word in ("small", "medium", "large"):
    low, high = dataset.area_ranges[word]
    size = (areas >= low) & (areas < high)
    if size.any():
        means = [values[size].float().mean() for values in (before, after, spill)]
        print("{:6s} IoU {:.2f} uncropped, {:.2f} cropped; spill {:.0f} px".format(word, *means))

# %% [markdown] id="crop-gain-read"
# Those of small objects, although they spill over into fewer pixels: the spill outweighs a small
# object. Here is the object that gains most from the crop:

# %% id="crop-figure" alt="One image four times: plain; uncropped, the mask of a small donut at the border also covers most of three cups; cropped, it covers the donut alone; and the true mask."
from seglib.structures import Instances

pairs = [(n, k) for n, truth in enumerate(truths) for k in range(len(truth))]
n, k = pairs[int((after - before).argmax())]
box, label = predicted_boxes(n)[[k]], truths[n].labels[[k]]
masks = {"uncropped": whole[n][[k]], "cropped": boxed[n][[k]]}
shown = {name: Instances(box, torch.ones(1), label, one) for name, one in masks.items()}
shown["truth"] = truths[n][[k]]
plotting.compare(samples[n][0], shown, dataset.categories, panel=2.4, by_class=True)

# %% [markdown] id="crop-read"
# Why is there any spill? Because **training crops as well**, to the *true* box: outside it, no mask
# was ever trained to be clean. The mask loss is the binary cross entropy of the cells in the true
# box and one cell around it, divided by the box's area:

# %% id="mask-loss" tags=["nbval-check-output"]
from seglib.models.yolact.losses import mask_loss


def my_mask_loss(sums, targets, boxes):
    """sums, targets: [n, h, w]; boxes: true boxes [n, 4] in cells. A scalar, over n objects."""
    each = F.binary_cross_entropy_with_logits(sums, targets, reduction="none")
    return (my_crop(each, boxes).sum(dim=(1, 2)) / ops.box_area(boxes)).sum()


true_boxes = boxes_in_cells(truths[chosen].boxes, output.batch.canvas, output.cells)[by_area]
args = (sums, wanted[by_area], true_boxes)
print("mine = library's:", torch.allclose(my_mask_loss(*args), mask_loss(*args)))

# %% [markdown] id="mask-loss-read"
# So the box separates two objects that look alike, and the mixture only has to do so *within* the
# box. This makes the task easy enough for 32 pictures. Without the division by the area, an object
# of 64 × 64 pixels would count a hundred times as much as one of 6 × 6.
#
# ### Five: one head, three answers
#
# The rest is a one-stage detector. A small head, shared by all levels, predicts for each anchor one
# logit per class and one for the background, 4 box corrections, and $k$ coefficients.

# %% id="diagram" alt="A flow diagram: the pyramid leads to the protonet with k pictures and to the head with classes, boxes and coefficients; Fast NMS selects the anchors; their coefficients meet the pictures in the product, and their boxes the masks in the crop."
from seglib.plotting import Block

blocks = [
    Block("pyramid", "4 levels", at=(0, 0.6)),
    Block("protonet", "[k, h, w]", "head", at=(1, 0)),
    Block("head", "class, box, coeff.", "head", at=(1, 1.2)),
    Block("Fast NMS", "N → n", at=(2, 1.2)),
    Block("product", "[n, h, w]", at=(3, 0)),
    Block("crop", "n masks", "output", at=(3, 1.2)),
]
arrows = [("pyramid", "protonet"), ("pyramid", "head"), ("head", "Fast NMS")]
arrows += [("protonet", "product"), ("Fast NMS", "product", "coefficients")]
arrows += [("Fast NMS", "crop", "boxes"), ("product", "crop")]
plotting.flow_diagram(blocks, arrows, title="YOLACT")

# %% [markdown] id="head-read"
# Protonet and head do not wait for each other. Anchors are assigned as in lesson 07, with
# thresholds of 0.5 and 0.4, but no balanced subset of them is sampled. Instead, **hard negative
# mining** (from SSD) takes, for each positive, the three negatives with the largest class loss,
# those that most resemble objects to the network; the thousands of others contribute no loss. The
# **semantic loss** exists only in training: a 1 × 1 convolution predicts from the finest map where
# each class is. Nothing uses its output later; its gradient improves the features.
#
# ### Six: Fast NMS
#
# Greedy NMS has to walk down the ranking, because a suppressed box suppresses nothing (lesson 06):
# whether a box may act depends on all those above it. Fast NMS drops this rule. **A box is removed
# if *any* better box of its class overlaps it too much, whether or not that one is itself
# suppressed.** On paper, for three boxes A, B and C, best first, where rows suppress columns:
#
# | | A | B | C |
# | --- | --- | --- | --- |
# | **A** (0.9) | – | 0.54 | 0.25 |
# | **B** (0.8) | | – | 0.54 |
# | **C** (0.7) | | | – |
# | largest above | 0 | 0.54 | 0.54 |
#
# Only the upper triangle counts: better boxes above worse ones. Take the largest number of each
# column and compare it with the threshold. These are the three boxes in a row of lesson 06, of
# which greedy NMS at 0.5 kept A and C. **Predict before you run:** how many stay now?

# %% id="fast-nms" tags=["nbval-check-output"]
def my_fast_nms(boxes, scores, threshold):
    """Indices of the boxes that stay, best first."""
    order = scores.argsort(descending=True, stable=True)
    iou = ops.box_iou(boxes[order], boxes[order])  # [N, N]
    return order[iou.triu(diagonal=1).amax(dim=0) <= threshold]


three = torch.tensor([[0.0, 0, 20, 20], [6, 0, 26, 20], [12, 0, 32, 20]])
scores = torch.tensor([0.9, 0.8, 0.7])
print("greedy NMS:", ops.nms(three, scores, 0.5).tolist())
print("Fast NMS:  ", my_fast_nms(three, scores, 0.5).tolist())
print("library:   ", ops.fast_nms(three, scores, 0.5).tolist())

# %% [markdown] id="fast-read"
# One: B is suppressed by A and takes C with it. The last line of the function is the whole method.
# The walk is gone, so all columns are decided at once.
#
# Can Fast NMS keep a box that greedy NMS removes? No: a box that it keeps overlaps *no* better box
# too much, so greedy NMS could not have removed it either. It keeps a subset of what greedy NMS
# keeps. How large is the rest? We run the detector with both, on all our images. **Predict before
# you run:** are most of the boxes that only greedy NMS keeps correct?

# %% id="removed-code"
def overlaps(truth, found):
    """The IoU of each object with each detection of its class, [G, d]; 0 for other classes."""
    alike = truth.labels[:, None] == found.classes + 1
    return ops.box_iou(truth.boxes, found.boxes) * alike


fast = [yolact.detect(output)[0] for output in outputs]
with seglib.use(fast_nms=ops.nms.native):  # greedy NMS, compiled, inside the same network
    greedy = [yolact.detect(output)[0] for output in outputs]

extra, new = [], []  # per image: what only greedy NMS keeps, and which objects it finds
for truth, f, g in zip(truths, fast, greedy, strict=True):
    kept = set(zip(f.rows.tolist(), f.classes.tolist(), strict=True))
    theirs = zip(g.rows.tolist(), g.classes.tolist(), strict=True)
    only = torch.tensor([pair not in kept for pair in theirs], dtype=torch.bool)
    fits = overlaps(truth, g)[:, only] >= 0.5  # [G, E]
    found = (overlaps(truth, f) >= 0.5).any(dim=1)  # [G]
    extra += [(fits.any(dim=0), (fits & ~found[:, None]).any(dim=0))]
    new.append(fits.any(dim=1) & ~found)
fitting, first = (int(torch.cat(flags).sum()) for flags in zip(*extra, strict=True))
counts = [sum(len(found.scores) for found in many) for many in (fast, greedy)]
none = counts[1] - counts[0] - fitting

# %% id="removed" tolerance=0.1
from seglib.metrics import evaluate

print(f"kept: {counts[0]} boxes by Fast NMS, {counts[1]} by greedy NMS; of the others,")
print(f"{first} find an object that Fast NMS misses, {fitting - first} repeat one, {none} fit none")
for name, body in (("Fast NMS", my_fast_nms), ("greedy NMS", ops.nms.native)):
    with seglib.use(fast_nms=body):
        figures = evaluate(yolact, dataset, limit=held_out).figures
    print(f"{name:10s} box AP {figures['box_AP']:.3f}, mask AP {figures['mask_AP']:.3f}")

# %% id="removed-figure" alt="One image with two birds side by side: two true boxes, the box that only greedy NMS keeps, on the second bird, and dashed, around both birds, the suppressed box that removes it in Fast NMS."
def gain(n):
    """The best score of a greedy box that fits a new object of an image, and the box's number."""
    fits = (overlaps(truths[n], greedy[n])[new[n]] >= 0.5).any(dim=0)  # [d]
    return max(((s, d) for d, s in enumerate((greedy[n].scores * fits).tolist())), default=(0, 0))


n = max(range(held_out), key=gain)
score, d = gain(n)
box, label = greedy[n].boxes[d], int(greedy[n].classes[d]) + 1
scores = outputs[n].of_anchors.class_logits[0].softmax(dim=1)[:, label]  # [N]
boxes = decode_boxes(outputs[n].anchors, outputs[n].of_anchors.deltas[0])  # [N, 4]
better = (scores > score) & (ops.box_iou(boxes, box[None])[:, 0] > 0.5)
remover = boxes[(scores * better).argmax()]
groups = {
    "truth": truths[n].boxes[truths[n].labels == label],
    "both": fast[n].boxes[fast[n].classes + 1 == label],
    "greedy only": box[None],
    "not kept": remover[None],
}
pair = f"score {scores[better].max():.3f} removes score {score:.3f}"
title = f"{dataset.categories.by_label(label).name}: {pair}"
blue, orange, green, red = plotting.PALETTE[:4]
colours = dict(zip(groups, (green, blue, orange, red), strict=True))
plotting.show_boxes(samples[n][0], {title: groups}, shades=colours, panel=4.6)

# %% [markdown] id="removed-read"
# No: most fit no object of their class, or are duplicates. But a few find an object that no other
# box fits, as in the figure. No box that greedy NMS *keeps* overlaps it too much; the dashed one,
# which removes it in Fast NMS, is suppressed itself. **Fast NMS loses objects in a crowd of their
# own class.** That costs hardly any mask AP here, and 0.1 to 0.3 points in the authors' experiments
# on COCO.
#
# ### Seven: where the speed comes from
#
# Time the two ways of making a mask: the product and crop of YOLACT, and Mask R-CNN's second look
# (read 14 × 14 cells, four convolutions, enlarge). **Predict before you run:** how many times as
# long does the second look take for ten objects: 2, 10, or more than 20 times?

# %% id="timing"
from statistics import median
from timeit import repeat


def seconds(function, *args):
    """The median time of five calls, after one to warm up."""
    return median(repeat(lambda: function(*args), number=1, repeat=6)[1:])


def mix_and_crop(mixes, boxes):
    return my_crop(my_assemble(mixes, prototypes).sigmoid(), boxes / 2)

# %% id="mask-cost"
with torch.no_grad():
    features, box = mask_rcnn([image]).pyramid, torch.tensor([[20.0, 20, 80, 80]])
    for count in (1, 10, 100):
        some, mixes = box.expand(count, 4), coefficients[:1].expand(count, -1)
        ours = seconds(mix_and_crop, mixes, some)
        theirs = seconds(mask_rcnn.mask_branch, features, [some])
        times = float(f"{theirs / ours:.1g}")  # one significant figure, since times vary
        print(f"{count:3d} masks: the second look takes {times:g} times as long")

# %% id="whole-cost"
by_count = sorted(range(held_out), key=lambda n: len(answers["Mask R-CNN"][n].instances))
for n in (by_count[0], by_count[-1]):
    picture, found = samples[n][0], answers["Mask R-CNN"][n].instances
    with torch.no_grad():
        look = seconds(mask_rcnn.mask_branch, mask_rcnn([picture]).pyramid, [found.boxes])
    both = [seconds(m.predict, [picture]) for m in (mask_rcnn, yolact)]
    times = [f"{1000 * time:.0f} ms" for time in (both[0], look, both[1])]
    print("{} detections: Mask R-CNN {}, its second look {}; YOLACT {}".format(len(found), *times))

# %% [markdown] id="cost-read"
# For the masks alone, dozens to hundreds of times as long (times vary). In whole networks, backbone
# and pyramid dominate, so the gain is smaller; but the cost of the second look grows with the
# number of detections, while YOLACT adds one row of a matrix per detection.
#
# And Fast NMS? It computes all $N^2$ overlaps at once, which pays off where the walk through the
# ranking holds up everything else: with their network on a GPU, the authors saved 12 of some 40
# milliseconds per image.

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# Your own code goes from the outputs of protonet and head to the detections: softmax, a score
# threshold, your Fast NMS within each class, the product, the crop, and a mask threshold of one
# half.

# %% id="my-predict"
def my_predict(n):
    """Scores [d], highest first, and masks [d, H, W] of an image."""
    seen = outputs[n].of_anchors
    scores = seen.class_logits[0].softmax(dim=1)[:, 1:]  # [N, C]
    boxes = decode_boxes(outputs[n].anchors, seen.deltas[0])  # [N, 4]
    found = []
    for label in range(scores.shape[1]):
        candidates = (scores[:, label] > 0.05).nonzero()[:, 0]
        own = scores[candidates, label]
        best = candidates[own.argsort(descending=True, stable=True)[:200]]
        if len(best):
            kept = best[my_fast_nms(boxes[best], scores[best, label], 0.5)]
            found += [(scores[row, label].item(), row) for row in kept.tolist()]
    found = sorted(found, key=lambda pair: -pair[0])[:100]
    numbers, rows = torch.tensor([s for s, _ in found]), [row for _, row in found]
    sums = my_assemble(seen.coefficients[0, rows], outputs[n].prototypes[0])
    return numbers, draw(n, sums, boxes[rows])

# %% id="equality-whole" tags=["nbval-check-output"]
def same_as_mine():
    found = yolact.predict([image])[0].instances
    return torch.allclose(mine[0], found.scores) and torch.equal(mine[1], found.masks)


if len(answers["YOLACT"][chosen].instances):
    mine = my_predict(chosen)
    print("your detections = predict's:", same_as_mine())
    with seglib.use(fast_nms=my_fast_nms):
        print("with your Fast NMS inside:  ", same_as_mine())
else:
    print("No anchor scores above 0.05 on this image, so there are no detections to compare.")

# %% [markdown] id="equality-read"
# The library is tested against values recorded from the authors' code: targets, losses, Fast NMS,
# masks, and whole networks from image to detections (`tests/test_yolact_parity.py` and
# `tests/test_yolact_whole.py`).

# %% [markdown] id="learns"
# ## It learns
#
# **Overfit one batch** first: a fresh YOLACT and one image.

# %% id="overfit" alt="The loss of a fresh YOLACT on one image falls steeply over thirty steps." tolerance=0.3
from seglib.models import build_model
from seglib.training import History, overfit

torch.manual_seed(0)
fresh = build_model("yolact", dataset.categories)
print({name: round(loss.item(), 2) for name, loss in fresh.loss([image], [target]).items()})
losses = overfit(fresh, [image], [target], steps=30, lr=2e-3)
plotting.training_curve(losses, title=f"One image: {losses[0]:.1f} → {losses[-1]:.1f}")

# %% [markdown] id="overfit-read"
# Look at the first line. The class loss is divided by the number of positives alone, but each
# brings three negatives, and those are the hardest: four guesses among the background and 16
# classes would cost $4 \ln 17 = 11.3$. The semantic loss is large because it asks about every class
# in every cell. The mask loss is a little above $6.125 \cdot 0.69$, its weight times the loss of
# "one half", because the crop keeps one more cell on each side, but the division is by the area of
# the box alone.
#
# ### New pictures, while you watch
#
# Does anything determine that prototype 30 shows the donut? Take the shipped network, reset its
# protonet and coefficients, and retrain both by the mask loss, while the rest stays frozen. The
# images are those of this lesson, which is fair here only because no score is measured.

# %% id="teach"
from copy import deepcopy


def teach(steps, on_step):
    """A fresh protonet and coefficient layer, taught by the mask loss alone."""
    torch.manual_seed(0)
    start, new = build_model("yolact", dataset.categories), deepcopy(yolact).requires_grad_(False)
    new.protonet, new.head.coefficients = start.protonet, start.head.coefficients
    learned = [*new.protonet.parameters(), *new.head.coefficients.parameters()]
    optimizer = torch.optim.Adam(learned, lr=2e-3)
    for step in range(steps):
        two = [dataset[i] for i in torch.randint(held_out, (2,)).tolist()]
        loss = new.loss(*zip(*two, strict=True))["mask_loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        on_step.update(step, loss=loss.item())
    return new

# %% id="live" alt="The mask loss of new prototypes and coefficients over fifty steps: it falls quickly in the first ten steps and then slowly, with noise."
with plotting.LiveCurve(steps=50, title="New prototypes, taught by masks alone") as live:
    taught = teach(50, live)

# %% id="live-prototypes" alt="Eight prototypes of the shipped network above those with the same numbers after fifty steps. The new ones show either the objects together or the background around them; some show the same as before, others something else."
with torch.no_grad():
    drawn = taught([image]).prototypes[0]  # [k, h, w]
numbers = drawn.mean(dim=(1, 2)).topk(min(8, len(drawn))).indices.sort().values  # the strongest
names = [f"{word} {k}" for word in ("shipped", "new") for k in numbers.tolist()]
plotting.show_prototypes(torch.cat([prototypes[numbers], drawn[numbers]]), names, columns=8)

# %% [markdown] id="live-read"
# After fifty steps most of the strongest prototypes show "all things" or "all the ground": the
# first distinction that pays off is that between object and ground. Telling objects apart comes
# later, as in the shipped network. Compare the rows: numbers 3 and 30 now show the ground, while 17
# and 21 happen to show nearly the same as before. **Only chance decides what the prototype with a
# given number shows.**
#
# ### The shipped network
#
# Its training began with the backbone of lesson 07's Mask R-CNN and random weights for all the
# rest.

# %% id="shipped-curve" alt="The four losses of the shipped YOLACT over its training, all falling: steeply at first and then slowly."
shipped = record("yolact")
print(shipped["command"])
parts = History.from_dict(shipped["history"]).parts
plotting.training_curve(parts, title="The shipped YOLACT learns", log=True)

# %% id="shipped-figures"
print(f"{shipped['evaluated']}  mask AP  ceiling  share  Mask R-CNN")
for size, word in (("", "all"), ("s", "small"), ("m", "medium"), ("l", "large")):
    ours, theirs = (known["figures"][f"mask_AP{size}"] for known in (shipped, record("mask_rcnn")))
    limit = shipped["ceilings"][f"mask_AP{size}"]["ceiling"]
    print(f"{word:17s} {ours:8.3f} {limit:8.3f} {ours / limit:6.0%} {theirs:11.3f}")

# %% [markdown] id="shipped-read"
# The mask loss is the last to fall, and stays the largest: about 1.4, which is $1.4 / 6.125 = 0.23$
# per cell. The ceiling is what perfect masks with cells of two pixels would reach in perfect boxes.
# YOLACT is ahead of Mask R-CNN on large objects, level on medium ones, and far behind on small
# ones. That agrees with the resolutions: 28 × 28 cells are coarser than two pixels in a box of more
# than 56 px, and finer in a smaller one. (This is not a fair contest: YOLACT began with the
# backbone that Mask R-CNN had trained, and then saw 131,000 more images.)

# %% [markdown] id="inside"
# ## Look inside: the pictures, or the mixing?
#
# When a mask is poor, three parts may be at fault: the box that crops it, the coefficients, or the
# prototypes, if no mixture of them would do. Replace one after another with the best possible: the
# true box; then also the best coefficients between −1 and 1, found by gradient descent on the true
# mask; then perfect masks with the same cells. **Predict before you run:** which of the three steps
# gains most?

# %% id="best-mix"
def best_mix(n, steps=60):
    """The sums [G, h, w] of the coefficients that fit the true masks of an image best."""
    maps, batch, truth = outputs[n].prototypes[0], outputs[n].batch, truths[n]
    targets = masks_in_cells(truth.masks, batch.canvas, outputs[n].cells, binary=False)
    boxes = boxes_in_cells(truth.boxes, batch.canvas, outputs[n].cells)
    numbers = torch.zeros(len(truth), len(maps), requires_grad=True)
    optimizer = torch.optim.Adam([numbers], lr=0.2)
    for _ in range(steps):
        loss = my_mask_loss(my_assemble(numbers.tanh(), maps), targets, boxes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return my_assemble(numbers.tanh(), maps).detach()

# %% id="by-size" tolerance=0.1
def perfect(n):
    """Sums [G, h, w] whose sigmoid is the share of each cell that the object covers."""
    masks = truths[n].masks
    return masks_in_cells(masks, outputs[n].batch.canvas, outputs[n].cells, False).logit(eps=1e-6)


steps = {"as predicted": after}
for name, sums_of in (("true box", mixed), ("best mix", best_mix), ("perfect", perfect)):
    drawn = [iou_of(draw(n, sums_of(n), t.boxes), t) for n, t in enumerate(truths)]
    steps[name] = torch.cat(drawn)
print("IoU     ", *(f"{name:>13s}" for name in steps))
for word in ("small", "medium", "large"):
    low, high = dataset.area_ranges[word]
    size = (areas >= low) & (areas < high)
    if size.any():
        print(f"{word:8s}", *(f"{values[size].mean():13.2f}" for values in steps.values()))

# %% [markdown] id="by-size-read"
# The box gains little, the mixing more, and the pictures most of all: **even the best mixture that
# we found of these 32 prototypes does not give the true masks.** They have to serve all objects of
# an image at once. (For a small object the third column is too optimistic: 32 coefficients can fit
# nearly anything of a few dozen cells.) Of the objects that both networks find, apart from small
# ones, here is the one on which Mask R-CNN's mask is ahead by most:

# %% id="worst-code"
ours, theirs = (torch.cat([best_ious(m, n) for n in range(held_out)]) for m in models)
both = (torch.minimum(ours, theirs) > 0.4) & (areas >= dataset.area_ranges["medium"][0])
n, k = pairs[int(((theirs - ours) * both).argmax())]

# %% id="worst" alt="One umbrella, partly hidden by a person, four times: plain, with the mask of YOLACT, with that of Mask R-CNN, and with the true one. Mask R-CNN draws one connected part of the umbrella; the mask of YOLACT lacks a part in the middle and includes half of the face of the person and pieces of the sleeve."
shown, truth = {}, truths[n][[k]]
for name in models:
    found = answers[name][n].instances
    match = ops.mask_iou(truth.masks, found.masks)[0] * (found.labels == truth.labels)
    shown[name] = found[match.argsort(descending=True, stable=True)[:1]]  # if anything was found
shown["truth"] = truth
look = {"panel": 2.4, "min_score": 0.3, "like": truths[n]}
plotting.compare(samples[n][0], shown, dataset.categories, **look)

# %% [markdown] id="worst-read"
# In Pocket COCO it is an umbrella behind a person. YOLACT's mask includes half of the person's face
# and pieces of a sleeve, far from the part of the umbrella that it gets right. The paper calls this
# **leakage**: what lies in the box and was not subtracted comes along, however far it is from the
# object.

# %% [markdown] id="try"
# ## Try it
#
# **Your own mixing desk.** It has sliders for the six prototypes that matter most in this image;
# choosing an object sets them to its predicted coefficients. Which single slider destroys the mask
# fastest? Can you turn the desk from one object to another by hand? Switch the crop off: what does
# the mask cover outside its box? And switch the other prototypes off: are six enough?

# %% id="mixing-desk" alt="Controls for the object, six coefficients, the other prototypes and the crop, above nine pictures: six weighted prototypes, the others together, their sum, and the mask over the image with the object's box."
from seglib.widgets import MixingDesk, Option, Question, Quiz

names = [dataset.categories.by_label(int(k)).name for k in truths[chosen].labels[by_area]]
objects = {f"{n + 1}: {name}": int(rows[n]) for n, name in enumerate(names)}
MixingDesk(yolact, image, objects)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
pictures = Question(
    "Prototype 7 is bright on the only boat of an image. What follows for other images?",
    [
        Option("It will be bright on boats, since it has become the prototype of that class",
               feedback="No target gives it a class; many react to several, and to places."),
        Option("Nothing certain: it may react to other classes or to a place", True,
               "Only the sums are trained, not a single prototype."),
        Option("It will be bright on whatever object has the highest score",
               feedback="The protonet does not know the scores."),
    ],
    objective="prototypes",
)
signs = Question(
    "What would happen if the coefficients had a sigmoid instead of the tanh?",
    [
        Option("Masks would be a little larger than they should be",
               feedback="No sum could be below 0: no cell at all would be outside."),
        Option("Nothing, since the prototypes could become negative",
               feedback="They end with a ReLU."),
        Option("No cell could have a probability below one half", True,
               "Sums of products that are 0 or more are 0 or more."),
    ],
    objective="mixing",
)
Quiz([pictures, signs], title="Pictures and signs")

# %% id="quiz-two" tags=["quiz", "hide-input"]
shapes = Question(
    "k = 32 prototypes of 64 × 64 cells, 10 detections. Which product gives the masks?",
    [
        Option("[10, 32] times [32, 4096]", True, "One row of coefficients per object."),
        Option("[10, 4096] times [4096, 32]",
               feedback="Objects have coefficients; only prototypes have cells."),
        Option("[32, 10] times [10, 4096]",
               feedback="The sum runs over the 32 prototypes, not over the objects."),
    ],
    objective="mixing",
)
crop = Question(
    "Why do small objects lose most without the crop?",
    [
        Option("The prototypes are too coarse to show something so small",
               feedback="Cropped, the same masks are far better."),
        Option("The spill outweighs their own few pixels", True,
               "All masks spill, since training never looked outside the box."),
        Option("Their masks spill over more pixels than those of large objects",
               feedback="Over fewer, but they have far fewer pixels of their own."),
    ],
    objective="cropping",
)
Quiz([shapes, crop], title="Product and crop")

# %% id="quiz-three" tags=["quiz", "hide-input"]
fast_question = Question(
    "A suppresses B, B overlaps C too much, A does not touch C. Which boxes stay?",
    [
        Option("Greedy NMS: A and C. Fast NMS: A", True,
               "In Fast NMS a suppressed box still suppresses."),
        Option("Greedy NMS: A. Fast NMS: A and C",
               feedback="The other way round: Fast NMS never keeps more."),
        Option("Both: A and C",
               feedback="C's column contains its overlap with B, which is above the threshold."),
    ],
    objective="Fast NMS",
)
speed = Question(
    "YOLACT has found 5 objects, then 5 more. What must be computed for the new ones?",
    [
        Option("The prototypes, since ten objects need others than five",
               feedback="They are drawn once, before any object is known."),
        Option("The head's coefficients, one set per object",
               feedback="They exist for every anchor already, object or not."),
        Option("Only 5 more rows of the product, and their crop", True,
               "Mask R-CNN would run its mask branch on 5 more boxes."),
    ],
    objective="speed",
)
Quiz([fast_question, speed], title="Suppression and speed")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/09_yolact.ipynb) has three tasks: Fast NMS from the corners of boxes;
# the way from prototypes to masks of the image's size; and hard negative mining, which no cell
# above contains. The results of each must equal those of a whole network.

# %% [markdown] id="summary"
# ## In one minute
#
# - The protonet draws k pictures for the whole image, once. No target says what they show: they are
#   neither class maps nor masks of single objects.
# - An object is k numbers between −1 and 1. All masks are one product, $M = \sigma(C P)$.
# - Without negative coefficients no cell could fall below one half: prototypes are 0 or more, and
#   so would be every sum.
# - The crop separates what the mixture cannot: loss and prediction look only inside the box.
# - Fast NMS compares every box with all better ones at once, whether suppressed or not; it keeps a
#   subset of what greedy NMS keeps.
# - Each further object costs one row of a small matrix. YOLACT's strengths are speed and large
#   objects; it is weak on small ones, and where neighbours share a box.
#
# **The published numbers beside ours.** Theirs are mask AP on photographs of COCO (test-dev), from
# the authors' repository, and images per second on a Titan Xp; ours is mask AP on 300 drawn images
# of 128 px. They cannot be compared with one another.

# %% id="published" tolerance=0.03
print("YOLACT, 550 px, ResNet-50      28.2   42.5 images/s")
print("YOLACT, 550 px, ResNet-101     29.8   33.5 images/s")
print("YOLACT++, 550 px, ResNet-50    34.1   33.5 images/s")
print(f"ours, on Pocket COCO           {100 * shipped['figures']['mask_AP']:.1f}")

# %% [markdown] id="table-text"
# **All networks so far.** There is one row per network that finds instances with classes; the table
# grows from lesson to lesson. Mask AP and its parts are measured on the 300 validation images.
# Below it, the time for one image as a multiple of Mask R-CNN's, measured on your machine just now.

# %% id="all-networks" tags=["nbval-check-output"]
from seglib import comparison

paradigms = ["mask_rcnn", "cascade_rcnn", "yolact"]
print(comparison.record_table(paradigms))

# %% id="seconds"
networks = {name: load(name, dataset.categories) for name in paradigms}
print(comparison.time_table(networks, image))

# %% [markdown] id="references"
# (The cascade was trained for fewer steps than the Mask R-CNN, and only its boxes are cascaded; see
# lesson 08.) In the published figures, YOLACT is several times as fast as Mask R-CNN and a few
# points below it.
#
# **Next**: YOLACT still needs boxes, to find objects and to cut their masks apart. In
# [lesson 10](10_solo.ipynb), SOLO does without them.
#
# **References**
#
# - D. Bolya, C. Zhou, F. Xiao, Y. J. Lee. YOLACT: real-time instance segmentation. *ICCV* 2019.
#   arXiv 1904.02689.
# - D. Bolya, C. Zhou, F. Xiao, Y. J. Lee. YOLACT++: better real-time instance segmentation. *IEEE
#   TPAMI* 2020. arXiv 1912.06218.
# - W. Liu, D. Anguelov, D. Erhan, C. Szegedy, S. Reed, C.-Y. Fu, A. C. Berg. SSD: single shot
#   multibox detector. *ECCV* 2016. arXiv 1512.02325.
# - K. He, G. Gkioxari, P. Dollár, R. Girshick. Mask R-CNN. *ICCV* 2017. arXiv 1703.06870.
