# %% [markdown] id="start"
# # 06. From R-CNN to RoIAlign
#
# FCN names every pixel and cannot count. DeepMask draws objects and cannot name them. Now a network
# finds objects *and* names them. One question runs through this lesson: **how often must a network
# look at a picture to find everything in it, and does it look at exactly the right place?** The
# first answer was: two thousand times. The last is: once, but without rounding.
#
# **You will be able to**
#
# 1. carry out the four steps of R-CNN on an image, and count what they waste;
# 2. write a box as a correction of another;
# 3. remove duplicates by greedy non-maximum suppression, and say which boxes it keeps;
# 4. say what RoIPool rounds away, in pixels;
# 5. compute RoIAlign for any box, at the border of the image too.
#
# **You need first** [lesson 03](03_backbones.ipynb) (strides, the feature pyramid), [lesson
# 04](04_fcn.ipynb) (the tent, sharing the work of windows), IoU from [lesson
# 01](01_images_masks_coco.ipynb).
# **Time** about 70 minutes to read, about a minute to run.

# %% id="imports"
import math

import torch
from torch import nn
from torch.nn import functional as F

from seglib import ops, plotting
from seglib.data import easy_to_follow, load_dataset
from seglib.plotting.overlays import short_name
from seglib.pretrained import load

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(40, len(dataset) // 2)  # images to measure on; the next ones are for practice
samples = [dataset[i] for i in range(held_out)]
practice = [dataset[i] for i in range(held_out, min(held_out + 80, len(dataset)))]
names = ["background", *(short_name(name) for name in dataset.categories.names)]
print(f"{dataset.name}: {len(samples)} images to measure on, {len(practice)} for practice")

# %% [markdown] id="fit-text"
# First we see the whole machine at work; then we take it apart. R-CNN needs a trained network and a
# few images with known objects. Its network here is the backbone of lesson 04's FCN, and two dozen
# practice images are enough to fit R-CNN's last part. (The settings suit speed and few examples.)

# %% id="fit"
from dataclasses import replace

from seglib.models.rcnn import RCNN, RCNNConfig
from seglib.models.rcnn.grouping import propose_regions


def many_regions(picture):
    """200 proposals, to find objects with."""
    return propose_regions(picture, max_proposals=200).boxes


def few_regions(picture):
    """30 proposals to fit with, quickly: one first split, one rule for which regions merge."""
    quick = {"scales": (100.0,), "strategies": [("texture", "size", "fill")]}
    return propose_regions(picture, **quick, max_proposals=30).boxes


backbone = load("fcn").network.backbone
# Each crop shows a rim around its box, 16 of 227 pixels as in the paper. `svm_cost`, the price of
# a wrong margin, is ten times the paper's, because there are few examples.
config = replace(RCNNConfig.pocket(), crop_size=48, context=48 * 16 / 227, svm_cost=0.01)
rcnn = RCNN(backbone, dataset.categories, few_regions, config)
rcnn.fit(*zip(*practice[:24], strict=True))  # two dozen images, and their objects
rcnn.proposer = many_regions

# %% id="first-picture" alt="An image with the three boxes, names and scores that R-CNN found, and the same image with the true boxes, more than R-CNN found."
small = dataset.area_ranges["small"][1]  # an area in pixels below which an object counts as small
image, target = max(samples, key=lambda sample: easy_to_follow(sample[1], small))
objects = target[~target.iscrowd]
answer = rcnn.predict(image)
found = answer.instances[answer.instances.scores > 0.5]
words = [f"{names[n]} {score:.2f}" for n, score in zip(found.labels, found.scores, strict=True)]
plotting.show_boxes(
    image,
    {"R-CNN": {"detection": found.boxes}, "truth": {"object": objects.boxes}},
    names={"detection": words, "object": [names[n] for n in objects.labels]},
    panel=4.2,
)

# %% [markdown] id="first-picture-read"
# This image was chosen because it is one of the clearer ones; even so, two umbrellas are missing.
# Every box has a name and a score, and no pixel was ever classified: the machine asks "where might
# an object be?" first, and "what is it?" second. To answer, it sent two hundred crops of this one
# picture through its network.

# %% [markdown] id="problem"
# ## The problem: a classifier can name a picture, but not find anything in it
#
# In 2012 a network learned to name photographs: one picture in, one word out. To *find* objects
# with it, you would have to show it the right cut-outs. Which ones? A picture of 128 × 128 pixels
# has about 68 million boxes whose corners lie on whole pixels.
#
# R-CNN (Girshick and others 2014) let an older method propose some two thousand regions and ran the
# network on each: by far the best detector of its day, and painfully slow. Fast R-CNN (Girshick
# 2015) ran the network once and read the regions from its features. Mask R-CNN (He and others 2017)
# read them without rounding.

# %% id="timeline" alt="A timeline of papers; R-CNN 2014, Fast R-CNN 2015 and Mask R-CNN 2017 are marked, in the lane of methods that first find regions and then look."
plotting.timeline(highlight=["R-CNN", "Fast R-CNN", "Mask R-CNN"])

# %% [markdown] id="idea"
# ## The idea, in three parts
#
# ### One: R-CNN by hand
#
# **Step 1, propose.** This step learns nothing. Split the picture into small regions of similar
# colour, then merge the two neighbours that are most alike, in colour, texture and size, again and
# again, until one region is left. Every region on the way may be an object, so its box becomes a
# **proposal**. (R-CNN used selective search, Uijlings and others 2013; `propose_regions` is a small
# relative of it.)

# %% id="propose" tolerance=0.1
boxes = many_regions(image)  # [N, 4]
sides = boxes[:, 2:] - boxes[:, :2]
print(f"{len(boxes)} proposals, sides from {sides.min():.0f} to {sides.max():.0f} pixels")

# %% [markdown] id="propose-bet"
# **Predict before you run:** an object counts as covered if some proposal overlaps it with an IoU
# of at least 0.5. What share of the objects do the first 10 proposals cover, and what share all
# 200?

# %% id="propose-recall" tolerance=0.1 alt="The image twice: the first ten proposals, of which hardly one fits an object; and the true boxes, each with the one of all proposals that fits it best."
overlaps = ops.box_iou(objects.boxes, boxes)  # [objects, proposals]
for count in (10, 50, 200):
    covered = overlaps[:, :count].amax(dim=1) >= 0.5
    print(f"the first {count:3d} proposals cover {int(covered.sum())} of {len(objects)} objects")
nearest = overlaps.argmax(dim=1)  # for each object its best proposal
best = {"object": objects.boxes, "proposal": boxes[nearest]}
panels = {"the first ten": {"proposal": boxes[:10]}, "the best for each object": best}
plotting.show_boxes(image, panels, panel=3.4)

# %% [markdown] id="propose-read"
# It is a poor ranking: in Pocket COCO's picture the first ten miss four objects out of five.
# Regions merged late, the large ones, come early, with a good deal of randomness mixed in, since
# the method knows nothing about objects. So R-CNN needs *many*.
#
# **Step 2, warp.** The network wants squares of one size. So every box is cut out, with a little
# context around it, and squeezed into shape, whatever that does to the picture. Where it extends
# beyond the image, it is filled with grey.

# %% id="warp" alt="Eight square cut-outs, blurred and squeezed to 48 by 48 pixels: the proposals nearest to objects, and some others that show parts of objects or background."
crops = rcnn.warp(image, boxes)  # [N, 3, 48, 48]
picked = [*nearest[:5].tolist(), *range(len(boxes))[20:23]]
best_for = [names[label] for label in objects.labels[:5]] + 3 * ["some other"]
titles = [
    f"{name}\nbox of {w:.0f} × {h:.0f}"
    for name, (w, h) in zip(best_for, sides[picked].tolist(), strict=False)
]
plotting.show_images(list(crops[picked]), titles, panel=1.6)

# %% [markdown] id="features-text"
# **Step 3, describe.** Run the network on every crop and keep its last feature map as a row of
# numbers. (The paper's network was tuned on such crops; ours has learned to name pixels, and has
# never seen a crop.)

# %% id="features" tags=["nbval-check-output"]
passes_before = rcnn.cost.forward_passes
features = rcnn.features(crops)  # [N, 3, 48, 48] -> [N, 1024]: 256 channels of 2 × 2 cells
print("crops", list(crops.shape), "-> features", list(features.shape))
print("forward passes for one picture:", rcnn.cost.forward_passes - passes_before)

# %% [markdown] id="classify-text"
# **Step 4, classify.** On these rows, one **linear classifier** for each class computes a *margin*,
# a weighted sum $m = w \cdot f + b$ that should be positive for that class and negative for
# everything else. It is a support vector machine, which we fitted at the start: true boxes of the
# class should get a margin of at least 1, and proposals that hardly overlap any of them at most −1.

# %% id="classify" tolerance=0.3
margins = rcnn.classify(features)  # [N, C], above 0 means yes
for number, label in zip(nearest.tolist(), objects.labels.tolist(), strict=True):
    best = int(margins[number].argmax())
    answered = f"best answer {names[best + 1]:10s} margin {margins[number, best]:+.1f}"
    print(f"truth {names[label]:10s} {answered}")

# %% [markdown] id="classify-read"
# In Pocket COCO's picture four of the five best answers are right, after two dozen images and with
# a linear sum: the features do the work. (One is right for the wrong reason: the third crop shows
# mostly the umbrella in front.) But a negative margin means no, even where the best answer is
# right. Scores are the sigmoid of these margins, so yes begins at 0.5. (In the first picture, other
# proposals won.)
#
# These are the four steps. Two repairs are still missing.
#
# #### Repair one: correct the box
#
# A proposal is rarely a perfect fit. R-CNN predicts a **correction** from the same features, with a
# linear **regressor** for each class. It is not written in pixels: the shift of the centre is
# counted in sides of the box, the change of the sides as a logarithm,
#
# $$ d_x = \frac{x^* - x}{w}, \quad d_y = \frac{y^* - y}{h}, \quad
# d_w = \log\frac{w^*}{w}, \quad d_h = \log\frac{h^*}{h}, $$
#
# with centre $(x, y)$ and sides $w, h$ of the proposal, and a star for the object.

# %% id="encode"
def encode(boxes, wanted):
    """Boxes and the boxes wanted instead, both [N, 4] (x0, y0, x1, y1) -> corrections [N, 4]."""
    sides, new_sides = boxes[:, 2:] - boxes[:, :2], wanted[:, 2:] - wanted[:, :2]  # [N, 2]
    shift = (wanted[:, :2] + wanted[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2
    return torch.cat([shift / sides, (new_sides / sides).log()], dim=1)


def decode(boxes, deltas):
    """Boxes [N, 4] and corrections [N, 4] -> corrected boxes [N, 4]."""
    sides = boxes[:, 2:] - boxes[:, :2]  # [N, 2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + deltas[:, :2] * sides
    sides = sides * deltas[:, 2:].exp()
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=1)

# %% id="encode-example" tags=["nbval-check-output"]
box, wanted = torch.tensor([[10.0, 10, 30, 50]]), torch.tensor([[14.0, 10, 34, 70]])
print("correction:", [round(v, 3) for v in encode(box, wanted)[0].tolist()])
print("and back:  ", decode(box, encode(box, wanted))[0].tolist())

# %% [markdown] id="encode-bet"
# Check it with a pencil: the box is 20 × 40, its centre moves by (4, 10), its height grows by a
# half, $\log 1.5 = 0.405$. **Predict before you run:** apply the *same* four numbers to a box twice
# as large. By how many pixels does its centre move to the right: 4, or 8?

# %% id="encode-scale" tags=["nbval-check-output"]
moved = decode(2 * box, encode(box, wanted))
before, after = (b[0, ::2].mean() for b in (2 * box, moved))  # the middle of x0 and x1
print("the centre moves by", (after - before).item(), "pixels")

# %% [markdown] id="misconception-deltas"
# Eight. **A correction is not a number of pixels.** "A fifth of your width to the right" can be
# read off a squeezed crop; "four pixels" cannot, because the crop no longer shows how large it was.
#
# #### Repair two: one object, one box
#
# Many proposals hit the same object, and the classifier says yes to all of them. The remedy is
# **greedy non-maximum suppression** (NMS): keep the box with the best score, suppress all boxes
# that overlap it by more than a threshold, keep the best of the rest, and so on.

# %% id="nms-loop"
def nms_loop(boxes, scores, threshold):
    """Indices of the boxes that stay, best first."""
    waiting, kept = scores.argsort(descending=True, stable=True).tolist(), []
    while waiting:
        kept.append(waiting.pop(0))
        best = boxes[kept[-1], None]  # [1, 4]
        waiting = [i for i in waiting if float(ops.box_iou(best, boxes[i, None])) <= threshold]
    return kept

# %% [markdown] id="nms-bet"
# **Predict before you run:** three boxes in a row, 20 pixels wide, each 6 pixels further to the
# right, with scores 0.9, 0.8 and 0.7. Neighbours overlap with an IoU of 14/26 = 0.54, the first and
# the last with 8/32 = 0.25. The threshold is 0.5. How many stay: one, two or three?

# %% id="nms-chain" tags=["nbval-check-output"]
three = torch.tensor([[0.0, 0, 20, 20], [6, 0, 26, 20], [12, 0, 32, 20]])
print("kept:", nms_loop(three, torch.tensor([0.9, 0.8, 0.7]), threshold=0.5))

# %% [markdown] id="misconception-nms"
# Two. The middle box would have suppressed the last one, but it was removed before its turn. **A
# suppressed box suppresses nothing.** That is what *greedy* means. In tensors, all overlaps are
# computed at once, and only the walk down the ranking remains a loop.

# %% id="nms-fast" tags=["nbval-check-output"]
def nms_fast(boxes, scores, threshold):
    """Indices of the boxes that stay, best first, from one matrix of overlaps."""
    order = scores.argsort(descending=True, stable=True)  # ties keep the order of the input
    too_close = ops.box_iou(boxes[order], boxes[order]) > threshold  # [N, N], in ranked order
    alive = torch.ones(len(order), dtype=torch.bool)
    for rank in range(len(order)):
        if alive[rank]:
            alive[rank + 1 :] &= ~too_close[rank, rank + 1 :]
    return order[alive].tolist()


scores, chosen_class = margins.max(dim=1)  # each proposal's best class
print("loop and tensor form agree:", nms_loop(boxes, scores, 0.5) == nms_fast(boxes, scores, 0.5))

# %% [markdown] id="rcnn-result-text"
# Now everything together: keep the proposals with a positive margin, correct them with the
# regressor of their class, and suppress within each class.

# %% id="rcnn-result" alt="Left, the corrected proposals with a positive margin, coloured by class, several around each object, and in black the one that fits best; right, the few that remain after suppression within each class."
yes = (scores > 0).nonzero().squeeze(1)
moved = rcnn.regress(boxes, features)  # corrected boxes, one per class: [N, C, 4]
corrected = ops.clip_boxes(moved[torch.arange(len(boxes)), chosen_class], tuple(image.shape[1:]))
classes, stay = chosen_class[yes].unique().tolist(), []
for label in classes:
    mine = yes[chosen_class[yes] == label]
    stay += mine[nms_fast(corrected[mine], scores[mine], 0.3)].tolist()  # 0.3 as in R-CNN's code
panels = {}
for title, group in (("positive margins", yes), ("after suppression", torch.tensor(stay).long())):
    split = {names[c + 1]: corrected[group[chosen_class[group] == c]] for c in classes}
    panels[f"{len(group)} {title}"] = split
fits = ops.box_iou(corrected[yes], objects.boxes).amax(dim=1)
best_first = corrected[yes[fits.argsort(descending=True)]]
panels[f"{len(yes)} positive margins"]["best fit"] = best_first[:1]
plotting.show_boxes(image, panels, shades={"best fit": "black"}, panel=3.4)

# %% id="kept-fit" tolerance=0.1
for n in stay:
    before, after = (
        float(ops.box_iou(b[n, None], objects.boxes).max()) for b in (boxes, corrected)
    )
    mine = yes[chosen_class[yes] == chosen_class[n]]
    best = float(ops.box_iou(corrected[mine], objects.boxes).max())
    name = f"{names[chosen_class[n] + 1]:10s}"
    print(f"{name} IoU {before:.2f} → {after:.2f}, best of its class {best:.2f}")

# %% [markdown] id="waste"
# That is the answer of the first picture. Three of five objects of Pocket COCO's picture are found,
# each with one box left, and the correction improved two of them. The cup's box is visibly cut,
# although a much better one was there (black): **the best score is not the best fit**, and NMS
# looks only at the score.
#
# ### Two: the bill
#
# Now count. **Predict before you run:** in how many crops does an average pixel of this image lie?
# Three, ten, or more than twenty?

# %% id="coverage" tolerance=0.15 alt="A heat map of the image's area: in the middle of the objects a pixel lies in dozens of crops, in the empty sky in about ten."
from seglib.models.rcnn.warp import context_windows

cover = torch.zeros(image.shape[1:])
windows = context_windows(boxes, config.crop_size, config.context)  # what the crops show
for x0, y0, x1, y1 in windows.clamp(min=0).tolist():
    cover[y0:y1, x0:x1] += 1
print(f"a pixel is in {cover.mean():.0f} crops on average")
times = (len(crops) * config.crop_size**2 / cover.numel(), 2000 * 227**2 / (500 * 375))
print("squeezed, they have {:.0f} times the image's pixels (2014: {:.0f} times)".format(*times))
plotting.show_heatmap(cover, "In how many crops is each pixel?", label="crops")

# %% [markdown] id="bill-read"
# Work grows with the pixels of the squeezed crops (in 2014, 2000 crops of 227 × 227 from a
# photograph of 500 × 375). You know this waste, and the way out, from lesson 04's sliding window:
# run the convolutions once, on the whole picture. What a convolution computes at a place depends on
# the surroundings of that place, and hardly on where the crop is cut.
#
# Speed is not the only cost. R-CNN's network, classifiers and regressors are fitted one after the
# other. The classifiers cannot tell the network which features they lack, because no gradient
# passes from one to the other.
#
# ### Three: look once, read often
#
# **Fast R-CNN** (Girshick 2015) sends the image through the network once. A **region of interest**
# (RoI) is then read from the feature map: the box divided by the stride gives its cells. From here
# on we read the feature pyramid of lesson 07's trained detector, always its level of stride 8.

# %% id="pyramid" tags=["nbval-check-output"]
detector = load("mask_rcnn", dataset.categories)


def look_once(picture):
    """One forward pass of backbone and pyramid: the map of stride 8, [1, F, H/8, W/8]."""
    with torch.no_grad():
        pyramid = detector.features(detector.prepare([picture], divisor=32))  # normalise, pad
    return pyramid[list(detector.backbone.strides).index(8)]


eighth = look_once(image)
print("stride 8:", list(eighth.shape))

# %% [markdown] id="roipool"
# Fully connected layers follow, so each box must come out with the same number of cells, say 7 × 7.
# Fast R-CNN's **RoIPool** does this in whole cells. It rounds the edges of the box to numbers of
# cells. The rounded right edge is taken as the number of the *last cell*, and that cell is read to
# its end: with cells of 8 pixels, a box that ends at 40 is read to 48. Then RoIPool divides the
# cells into bins, rounds the bins outwards, and keeps the largest value of each bin.
#
# **Predict before you run:** a box goes from 21 to 45 pixels. Which pixels does RoIPool read: 21 to
# 45, 24 to 48, or 24 to 56?

# %% id="rounding" tags=["nbval-check-output"]
def pixels_read(start, end, stride):
    """First and last pixel edge of the cells that RoIPool reads along one axis."""
    first, last = (math.floor(edge / stride + 0.5) for edge in (start, end))  # halves go up
    return stride * first, stride * (last + 1)  # to the end of the last cell


for start, end in ((21, 45), (23, 47), (27, 51), (29, 53)):
    first, last = pixels_read(start, end, 8)
    print(f"box from {start} to {end}: reads from {first} to {last}")

# %% [markdown] id="rounding-read"
# 24 to 56: three pixels are lost on the left, and eleven that do not belong to the box are added on
# the right. The next two boxes read the *same* pixels, although they lie 2 and 6 pixels further to
# the right. The last one, 2 pixels beyond, jumps by a whole cell.
#
# Here is an object of our image over cells of 8 pixels, read in 2 × 2 bins.

# %% id="reading" alt="An object over a grid of cells of 8 pixels. Left, the box in blue and, dashed in orange, the rounded box that RoIPool reads, which is several pixels off and larger; right, RoIAlign's bins and sample points, exactly inside the box."
def misplaced(box, stride=8):
    """How far rounding moves the worst edge of a box, in pixels."""
    return (box - stride * (box / stride).round()).abs().max()


candidates = objects.boxes[(objects.boxes[:, 2:] - objects.boxes[:, :2]).amin(dim=1) >= 14]
example = max(candidates if len(candidates) else objects.boxes, key=misplaced)
plotting.show_roi_reading(image, example, stride=8, bins=2, samples=2)

# %% [markdown] id="reading-read"
# RoIPool reads the dashed frame instead of the blue box (thin lines: its bins). For *naming* the
# object this hardly matters. For its exact location and its mask it does: in the paper, RoIPool
# costs a quarter of box AP75 and of mask AP.
#
# **Predict before you run:** take a map in which each cell contains its own x coordinate, so that
# reading it tells you *where* you read. Slide a box slowly to the right. Does the area that RoIPool
# reads slide along with it? (We plot its middle; the maximum would be the last cell's value. The 0
# before each box is the index of its image in the batch.)

# %% id="sliding-box" alt="A diagonal line, RoIAlign, which reads exactly where the box is; the middle of RoIPool's area is a staircase with steps of 8 pixels that touches the diagonal from above."
ruler = ((torch.arange(16) + 0.5) * 8).expand(1, 1, 16, 16)  # [1, 1, 16, 16], x in pixels
shifts = torch.arange(0, 24.1, 0.25)
sliding = torch.stack([torch.tensor([0.0, 20 + s, 40, 60 + s, 80]) for s in shifts])  # [N, 5]
aligned = ops.roi_align(ruler, sliding, 1, 1 / 8).flatten()  # by default a sample for every cell
pooled = [sum(pixels_read(20 + s, 60 + s, 8)) / 2 for s in shifts.tolist()]  # the middle
read = {"middle of RoIPool's area": pooled, "RoIAlign": aligned}
plotting.reading_curve(40 + shifts, read, xlabel="the box's centre, x in pixels")

# %% [markdown] id="misconception-rounding"
# **RoIPool does not see small movements.** This box is five whole cells wide, so both its edges
# jump together, after every eight pixels; the edges of most boxes jump at different times. The
# layers after it would have to give different answers for the same numbers. The staircase also lies
# up to a cell above the line, never below, since the last cell is always read to its end.
#
# #### RoIAlign: read between the cells
#
# Mask R-CNN (He and others 2017) rounds nothing. In each bin it takes a few regularly placed
# **sample points**, and at a point between four cells it interpolates. The weights are lesson 04's
# tent: with the middle of cell $i$ at coordinate $i$,
#
# $$ f(y, x) = \sum_{r, c} \max(0, 1 - |y - r|)\, \max(0, 1 - |x - c|)\; F_{r,c} . $$
#
# First in loops: one point between four cells.

# %% id="between" tags=["nbval-check-output"]
def between(feature, y, x):
    """Value [C] of a map [C, H, W] at a point between the middles of four cells."""
    top, left = min(int(y), feature.shape[1] - 2), min(int(x), feature.shape[2] - 2)
    down, across = y - top, x - left
    upper = (1 - across) * feature[:, top, left] + across * feature[:, top, left + 1]
    lower = (1 - across) * feature[:, top + 1, left] + across * feature[:, top + 1, left + 1]
    return (1 - down) * upper + down * lower


print(between(torch.tensor([[[1.0, 3], [5, 7]]]), 0.5, 0.25))

# %% [markdown] id="align-hand"
# With a pencil: a quarter of the way from 1 to 3 is 1.5, from 5 to 7 is 5.5; halfway between those
# two is 3.5. A bin is the mean of its samples, here 2 × 2 of them:

# %% id="align-loop" tags=["nbval-check-output"]
def align_loop(feature, box, stride, bins, samples=2):
    """Map [C, H, W], box in pixels -> [C, bins, bins]."""
    x0, y0, x1, y1 = (edge / stride - 0.5 for edge in box.tolist())  # the middle of cell 0 is at 0
    out = torch.zeros(len(feature), bins, bins)
    places = [(b, (b + (i + 0.5) / samples) / bins) for b in range(bins) for i in range(samples)]
    for r, down in places:
        for c, across in places:
            read_here = between(feature, y0 + (y1 - y0) * down, x0 + (x1 - x0) * across)
            out[:, r, c] += read_here / samples**2
    return out


inner = torch.tensor([21.3, 40.2, 77.9, 90.0])
theirs = ops.roi_align(eighth, F.pad(inner, (1, 0))[None], 7, 1 / 8, sampling_ratio=2)[0]
print(list(theirs.shape), torch.allclose(align_loop(eighth[0], inner, 8, 7), theirs, atol=1e-4))

# %% [markdown] id="border-bet"
# Inside the map we agree with the library. And at its border? The middle of the first cell lies
# half a cell inside the image, so even a box that stays in the image can have sample points with no
# cell on one side.
#
# **Predict before you run:** the first two cells of a row contain 10 and 30. What should a point
# read that lies 0.3 cells to the left of the first cell's middle? 4, because the line through 10
# and 30 continues? 7, because the tent has fallen to 0.7? Or 10, because the border's value
# continues?

# %% id="border" tags=["nbval-check-output"]
pair = torch.tensor([10.0, 30]).expand(1, 1, 2, 2)  # cells of one pixel
point = torch.tensor([[0.0, 0.1, 0.5, 0.3, 1.5]])  # a box around x = 0.2 px, which is cell -0.3
tent = (1 - (-0.3 - torch.arange(2)).abs()).clamp(min=0)
print(f"our loop    {between(pair[0], 0.5, -0.3).item():.1f}")
print(f"the tent    {(tent * torch.tensor([10.0, 30])).sum():.1f}")
print(f"the library {ops.roi_align(pair, point, 1, 1.0, sampling_ratio=1).item():.1f}")

# %% [markdown] id="border-read"
# 10, and both of our formulas would have been wrong. The reference implementations **continue the
# border** up to one cell beyond the middles of the outermost cells; a sample farther out reads 0.
# So first move every point to the nearest position between middles, and then interpolate.
#
# That settles the tensor form as well. In the formula, each weight is a number for the row times a
# number for the column. So a box needs one small matrix that mixes rows and one that mixes columns:
# each row of a matrix holds the mean tent of one bin's samples.

# %% id="align-fast"
def axis_weights(start, end, length, bins, samples=2):
    """[bins, length]: how much of each cell every bin takes, along one axis."""
    steps = (torch.arange(bins * samples) + 0.5) / (bins * samples)
    places = start + (end - start) * steps  # [bins·samples]
    counted = (places >= -1) & (places <= length)  # farther out a sample reads 0
    places = places.clamp(0, length - 1)  # the border goes on
    tents = (1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)
    return (tents * counted[:, None]).reshape(bins, samples, length).mean(dim=1)  # [bins, length]


def align_fast(feature, box, stride, bins, samples=2):
    """Map [C, H, W], box in pixels -> [C, bins, bins]."""
    x0, y0, x1, y1 = box / stride - 0.5
    rows = axis_weights(y0, y1, feature.shape[1], bins, samples)  # [bins, H]
    columns = axis_weights(x0, x1, feature.shape[2], bins, samples)  # [bins, W]
    return rows @ feature @ columns.T  # [bins, H] @ [C, H, W] @ [W, bins] -> [C, bins, bins]

# %% [markdown] id="align-test-text"
# A test must be able to fail. So we use three hundred random boxes, many across the border, some
# outside.

# %% id="align-test" tags=["nbval-check-output"]
generator = torch.Generator().manual_seed(0)
upper_left = 190 * torch.rand(300, 2, generator=generator) - 50  # from -50 to 140
lower_right = upper_left + 4 + 60 * torch.rand(300, 2, generator=generator)
random_boxes = torch.cat([upper_left, lower_right], dim=1)
crossing = ((random_boxes < 0) | (random_boxes > 128)).any(dim=1)
plane = torch.randn(4, 16, 16, generator=generator)  # cells of 8 pixels
library = ops.roi_align(plane[None], F.pad(random_boxes, (1, 0)), 7, 1 / 8, sampling_ratio=2)
fast = torch.stack([align_fast(plane, box, 8, 7) for box in random_boxes])
print(f"{int(crossing.sum())} of {len(random_boxes)} boxes reach beyond the image")
print("matrices = library:", torch.allclose(fast, library, atol=1e-4))

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# `box_iou`, `nms`, `roi_align` and `roi_pool` are primitives of `seglib`, each with a naive form
# that is a loop like yours; its tests compare them with torchvision. Last comes the whole pipeline:
# your boxes against those of `rcnn.predict`.

# %% id="equality-parts" tags=["nbval-check-output"]
some_boxes = 100 * torch.rand(2, 60, 4, generator=generator).sort(dim=2).values
a, b = some_boxes + torch.tensor([0, 0, 1, 1])  # no side under a pixel
points = torch.rand(60, generator=generator)
deltas = ops.encode_deltas(a, b)
last_cells = [pixels_read(left, right, 8)[1] - 4 for _, left, _, right, _ in sliding.tolist()]
print("nms       ", nms_fast(a, points, 0.5) == ops.nms(a, points, 0.5).tolist())
print("encode    ", torch.allclose(encode(a, b), deltas, atol=1e-5))
print("decode    ", torch.allclose(decode(a, deltas), ops.decode_deltas(a, deltas), atol=1e-3))
print("roi_align ", torch.allclose(align_fast(eighth[0], inner, 8, 7), theirs, atol=1e-4))
print("roi_pool  ", ops.roi_pool(ruler, sliding, 1, 1 / 8).flatten().tolist() == last_cells)
mine = corrected[sorted(stay, key=lambda n: -scores[n])]
same = mine.shape == found.boxes.shape and torch.allclose(mine, found.boxes, atol=1e-3)
print("R-CNN     ", same)

# %% [markdown] id="learns"
# ## It learns
#
# After reading the features, Fast R-CNN applies one small network, the **head**, whose class and
# correction are learned *together*, and the backbone with them: gradients pass through the reading.
# Here the maps stay fixed, and the head is simpler: one hidden layer instead of two, one correction
# for all classes. Two losses are added: the cross-entropy of the class, and the mean absolute
# difference of the correction's numbers (the paper smooths it near zero). Now a test: two heads
# have the same start and the same boxes; only the reading differs. (The test is nearly fair: the
# maps were trained with RoIAlign.)
#
# The boxes are true ones, randomly shifted and resized. None of them shows background, so the heads
# never learn to reject a box; lesson 07 remedies that.

# %% id="shake"
def shake(truth, copies=8):
    """Boxes near each object: shifted by up to a quarter, sides times 0.7 to 1.42."""
    near = truth.boxes.repeat(copies, 1)  # [copies·G, 4]
    noise = torch.rand(len(near), 4, generator=generator) - 0.5
    shaken = decode(near, noise * torch.tensor([0.5, 0.5, 0.7, 0.7]))
    return ops.clip_boxes(shaken, truth.size), near, truth.labels.repeat(copies)


def collect(pairs):
    """Shaken boxes, their objects' boxes and labels, and what both readers read in them."""
    parts = []
    for picture, truth in pairs:
        shaken, own, labels = shake(truth[~truth.iscrowd])
        level, rois = look_once(picture), F.pad(shaken, (1, 0))
        readings = [ops.roi_align(level, rois, 7, 1 / 8), ops.roi_pool(level, rois, 7, 1 / 8)]
        parts.append((shaken, own, labels, *readings))
    columns = map(torch.cat, zip(*parts, strict=True))
    return dict(zip(("boxes", "objects", "labels", "RoIAlign", "RoIPool"), columns, strict=True))


# %% id="collect" tags=["nbval-check-output"]
generator.manual_seed(0)
study, exam = collect(practice), collect(samples)
for word, data in (("to learn from:", study), ("to measure on:", exam)):
    print(word, list(data["RoIAlign"].shape))

# %% [markdown] id="head-text"
# Corrections are small numbers, so the head learns them multiplied by (10, 10, 5, 5), as the
# published detectors do; otherwise the loss of the class would outweigh theirs. First, as always,
# **overfit one batch**.

# %% id="head"
weights = torch.tensor([10.0, 10, 5, 5])


class Head(nn.Module):
    """A small Fast R-CNN head: [N, F, 7, 7] -> class logits [N, K] and corrections [N, 4]."""

    def __init__(self, channels):
        super().__init__()
        self.hidden = nn.Linear(channels * 49, 128)
        self.name, self.correct = nn.Linear(128, len(names)), nn.Linear(128, 4)

    def forward(self, reading):
        described = self.hidden(reading.flatten(1)).relu()  # [N, 128]
        return self.name(described), self.correct(described)


# %% id="train-head"
def train(reader, steps, rows=None, on_step=None):
    """A new head, trained on what one reader reads; returns it and its losses."""
    torch.manual_seed(0)
    reading, labels = study[reader], study["labels"]
    wanted = ops.encode_deltas(study["boxes"], study["objects"]) * weights
    head, losses = Head(reading.shape[1]), []
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for step in range(steps):
        batch = torch.randint(len(reading), (64,)) if rows is None else rows
        logits, corrections = head(reading[batch])
        loss = F.cross_entropy(logits, labels[batch]) + F.l1_loss(corrections, wanted[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if on_step:
            on_step.update(step, loss=losses[-1])
    return head, losses


# %% id="overfit" tolerance=0.3 alt="The loss on one batch of 64 boxes falls from about four to nearly zero within a hundred steps."
_, losses = train("RoIAlign", 100, rows=torch.arange(min(64, len(study["boxes"]))))
print(f"one batch: {losses[0]:.1f} → {losses[-1]:.2f}")
plotting.training_curve(losses, title="One batch, over and over")

# %% [markdown] id="live-text"
# It can learn. Now train it on all practice boxes, live:

# %% id="live" alt="The loss of the head that reads with RoIAlign over 400 steps: a steep fall in the first hundred, then a slow one, with noise."
with plotting.LiveCurve(steps=400, title="A head that reads with RoIAlign") as live:
    heads = {"RoIAlign": train("RoIAlign", 400, on_step=live)[0]}

# %% [markdown] id="reading-test-bet"
# **Predict before you run:** compared with no head at all (guessing the most frequent class and
# leaving the boxes as they are), a head that reads with RoIPool gains less. Where is more of the
# gain lost: in the correct classes, or in the boxes that fit at 0.75?

# %% id="reading-test" tolerance=0.05
heads["RoIPool"], _ = train("RoIPool", 400)


def fit(boxes):
    """How well boxes fit the objects of the exam, in words."""
    overlaps = ops.box_iou(boxes, exam["objects"]).diag()
    good = (overlaps >= 0.75).float().mean()
    return f"mean IoU {overlaps.mean():.3f}, 0.75 or more for {good:.0%}"


guess = exam["labels"].bincount().max() / len(exam["labels"])
print(f"no head   right classes {guess:4.0%}, {fit(exam['boxes'])}")
for name, head in heads.items():
    with torch.no_grad():
        logits, found_corrections = head(exam[name])
    right = (logits.argmax(dim=1) == exam["labels"]).float().mean()
    moved_boxes = decode(exam["boxes"], found_corrections / weights)
    print(f"{name:9s} right classes {right:4.0%}, {fit(moved_boxes)}")

# %% [markdown] id="reading-test-read"
# In Pocket COCO RoIAlign gains 48 points in correct classes, and RoIPool loses an eighth of that.
# In boxes at 0.75 it gains 19 points, and RoIPool loses a third; in mean IoU, a quarter. A head
# cannot correct what it cannot see. (This is one seed, and small heads after seconds of training:
# read the direction, not the size. The paper's comparison of fully trained networks is at the end.)

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# The reading is solved. But every answer began with a proposal, and the proposals are not trained
# at all. **Predict before you run:** what share of the small objects (here under 16 × 16 = 256
# pixels) is covered by two hundred proposals, and what share of the larger ones?

# %% id="missed" tolerance=0.1
looked = [n for n in range(min(12, held_out)) if (~samples[n][1].iscrowd).any()]
truths = {n: samples[n][1][~samples[n][1].iscrowd] for n in looked}
regions = {n: propose_regions(samples[n][0], max_proposals=10_000).boxes for n in looked}
overlaps = {n: ops.box_iou(truths[n].boxes, regions[n]) for n in looked}
is_small = torch.cat([truths[n].area < small for n in looked])
for word, count in (("the first 200", 200), ("all", None)):
    hit = torch.cat([overlaps[n][:, :count].amax(dim=1) >= 0.5 for n in looked])
    few, many = (f"{int(hit[g].sum())} of {int(g.sum())}" for g in (is_small, ~is_small))
    print(f"{word} proposals cover {few} small objects, {many} larger ones")
print(f"all are {sum(map(len, regions.values())) / len(looked):.0f} proposals per image")

# %% id="missed-figure" alt="The image with the most objects that two hundred proposals miss, twice: these proposals in a dense tangle, and its true boxes, coloured by whether one of the first two hundred proposals fits, a later one, or none, which is dashed."
worst = max(looked, key=lambda n: int((overlaps[n][:, :200].amax(dim=1) < 0.5).sum()))
first, ever = (overlaps[worst][:, :count].amax(dim=1) >= 0.5 for count in (200, None))
groups = {"covered": first, "covered by a later one": ever & ~first, "not covered": ~ever}
split = {name: truths[worst].boxes[group] for name, group in groups.items()}
panels = {"200 proposals": {"proposal": regions[worst][:200]}, "the objects": split}
plotting.show_boxes(samples[worst][0], panels, panel=2.9)

# %% [markdown] id="missed-read"
# In Pocket COCO the grouping does form fitting regions for most small objects, such as the car on
# the left. But the ranking puts large regions first, and every further proposal costs R-CNN a pass.
# The car behind the doughnut is not small, but we see it in pieces, and no merging of neighbours
# joins them without the doughnut. What is not proposed can never be found, however good the network
# behind it is.
#
# So the proposals do not learn. They are also slow: once the features are shared, the grouping
# takes most of the time (in the papers 2 seconds per photograph, against 0.3 for everything else).
# And there are no masks yet.

# %% [markdown] id="try"
# ## Try it
#
# **Suppression, step by step.** These are R-CNN's boxes before NMS. Step through them, and find a
# threshold at which a duplicate survives. In Pocket COCO, does the box around the whole cup (black
# in part one, an IoU of 0.90) survive at 0.6, and at 0.65?
#
# <details><summary>Answer</summary>
# At 0.6 it does, and seven other boxes with it. At 0.65 it does not: a worse box of the cup now
# survives and suppresses it. A suppressed box suppresses nothing, but every survivor may.
# </details>

# %% id="nms-stepper" alt="Controls for the step, the IoU threshold, the lowest score and suppression by class above the image with the detections: red the box kept now, green those kept before, blue those waiting, dashed those suppressed."
from seglib.widgets import NMSStepper

found_labels = chosen_class[yes] + 1
words = [names[n] for n in found_labels]
NMSStepper(image, corrected[yes], scores[yes].sigmoid(), found_labels, words, lowest=0.5)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
from seglib.widgets import Option, Question, Quiz
bill = Question(
    "R-CNN describes 200 overlapping crops. Why is sharing the convolutions possible at all?",
    [
        Option("Because crops of one size give features of one size",
               feedback="That is why crops are warped; it does not let them share work."),
        Option("Because neighbouring crops mostly have the same class",
               feedback="They often do not, and the backbone knows no classes."),
        Option("Because features depend on a pixel's surroundings, hardly on the crop", True,
               "So compute them once, and read them for every box."),
    ],
    objective="R-CNN",
)
correction = Question(
    "A 40 × 20 px box gets the correction (0.5, 0, 0, log 2). How far does its centre move, and "
    "what does its height become?",
    [
        Option("20 px to the right, 40 px", True, "0.5 · 40, and 20 · exp(log 2)."),
        Option("0.5 px to the right, 22 px",
               feedback="A shift is counted in sides; a side is multiplied by exp of its number."),
        Option("10 px to the right, 40 px", feedback="It is counted in widths: 0.5 · 40."),
    ],
    objective="boxes",
)
Quiz([bill, correction], title="R-CNN")

# %% id="quiz-two" tags=["quiz", "hide-input"]
suppression = Question(
    "Scores 0.9, 0.8, 0.7; IoU of first and second 0.6, second and third 0.6, first and third 0.1. "
    "NMS at 0.5 keeps",
    [
        Option("only the first", feedback="The third overlaps it by 0.1, and the second is gone."),
        Option("the first and the third", True, "The second goes before its turn."),
        Option("all: none overlaps all others",
               feedback="One overlap with a kept box is enough to be removed."),
    ],
    objective="suppression",
)
rounding_question = Question(
    "Stride 16. A box begins at x = 39 px. Where do the areas begin that RoIPool and RoIAlign "
    "read?",
    [
        Option("at 32 px, and at 39 px", True, "round(39/16) = 2, times 16: seven pixels off."),
        Option("both at 39 px", feedback="RoIPool knows whole cells only: 39/16 = 2.4 is rounded."),
        Option("at 39 px, and between the cells",
               feedback="The other way round: RoIAlign reads where the box is."),
    ],
    objective="RoIPool",
)
Quiz([suppression, rounding_question], title="Suppression and rounding")

# %% id="quiz-three" tags=["quiz", "hide-input"]
sample = Question(
    "Cells [[0, 4], [8, 12]] have their middles at coordinates 0 and 1. What is the value at "
    "y = 0.5, x = 0.75?",
    [
        Option("12", feedback="That is the nearest cell, or the largest: RoIPool's way."),
        Option("6", feedback="That is the plain mean; the point lies nearer to the right."),
        Option("7", True, "Upper 3, lower 11, halfway 7."),
    ],
    objective="RoIAlign",
)
border_question = Question(
    "The same cells. What does RoIAlign read at y = −0.4, x = 1?",
    [
        Option("4: the border's own value goes on", True,
               "It goes on for one cell; the point moves to y = 0."),
        Option("0.8: the line through 4 and 12 goes on",
               feedback="Interpolation ends at the last middle."),
        Option("2.4: the tent of the nearest cell has fallen to 0.6",
               feedback="The point moves to the border first, so the weights still sum to 1."),
    ],
    objective="RoIAlign",
)
Quiz([sample, border_question], title="Reading")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/06_rcnn.ipynb) has four tasks: box corrections, in both directions;
# NMS with which the shipped detector must work; RoIAlign with any number of bins and samples; and a
# kind of suppression that no cell above contains, which lowers scores instead of removing boxes.

# %% [markdown] id="summary"
# ## In one minute
#
# - R-CNN: propose, warp, describe, classify. Hundreds of passes for one picture, in parts that
#   cannot learn together.
# - Fast R-CNN runs the backbone once and reads boxes from its features; class and correction are
#   learned together.
# - A correction is counted in sides of the box and logarithms, so it means the same at every size.
# - NMS walks down the ranking; what has been suppressed suppresses nothing.
# - RoIPool rounds to cells, RoIAlign reads between them: the mean of bilinear samples. Beyond the
#   border of the map the border's value continues.
# - Still missing: proposals that are learned and fast, and masks.
#
# **The published numbers.** Times are seconds per photograph with VGG-16, from the Fast R-CNN and
# Faster R-CNN papers; AP is Mask R-CNN's ablation of the reading on COCO, with cells of 32 pixels.
# They are not comparable with ours; only their direction is.

# %% id="published" tags=["nbval-check-output"]
print("R-CNN 47.0 s, Fast R-CNN 0.32 s, plus about 2 s of selective search")
print("PASCAL VOC 2007, mean AP: R-CNN 66.0, Fast R-CNN 66.9")
print("RoIPool:  box AP 28.2, box AP75 26.9, mask AP 23.6")
print("RoIAlign: box AP 34.0, box AP75 36.4, mask AP 30.9")

# %% [markdown] id="references"
# **Next**: in [lesson 07](07_mask_rcnn.ipynb) the network proposes for itself, from anchors, and
# draws a mask in every box: Faster R-CNN and Mask R-CNN.
#
# **References**
#
# - R. Girshick, J. Donahue, T. Darrell, J. Malik. Rich feature hierarchies for accurate object
#   detection and semantic segmentation. *CVPR* 2014. arXiv 1311.2524.
# - J. Uijlings, K. van de Sande, T. Gevers, A. Smeulders. Selective search for object recognition.
#   *IJCV* 104(2), 2013. doi:10.1007/s11263-013-0620-5.
# - R. Girshick. Fast R-CNN. *ICCV* 2015. arXiv 1504.08083.
# - S. Ren, K. He, R. Girshick, J. Sun. Faster R-CNN: towards real-time object detection with region
#   proposal networks. *NIPS* 2015. arXiv 1506.01497.
# - K. He, G. Gkioxari, P. Dollár, R. Girshick. Mask R-CNN. *ICCV* 2017. arXiv 1703.06870.
