# %% [markdown] id="start"
# # 06. From R-CNN to Mask R-CNN
#
# FCN names every pixel and cannot count. DeepMask draws objects and cannot name them. In this
# lesson you build the line of networks that does both, and against which instance segmentation was
# measured for years. One question drives all of it: **how often must a network look at a picture to
# find everything in it, and does it look at exactly the right place?** The first answer was two
# thousand times. The last one is: once, but without rounding.
#
# **You will be able to**
#
# 1. carry out the four steps of R-CNN on an image, and count what they waste;
# 2. write a box as a correction of another one, and thin boxes out by greedy non-maximum suppression;
# 3. say what RoIPool rounds away, and compute RoIAlign for one box;
# 4. follow a region proposal network from anchors to proposals, and say what each anchor learns;
# 5. explain what the mask head predicts and why its classes do not compete, and read its score
#    beside its ceiling.
#
# **You need first** [lesson 03](03_backbones.ipynb) (feature pyramid), [lesson
# 04](04_fcn.ipynb) (score maps, the tent, the ceiling), IoU and AP from [lesson
# 01](01_images_masks_coco.ipynb).
# **Time** about 95 minutes to read, one to two minutes to run.

# %% id="imports"
import torch
from torch.nn import functional as F

import seglib
from seglib import ops, plotting
from seglib.data import load_dataset
from seglib.plotting.overlays import short_name
from seglib.pretrained import load

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(40, len(dataset) // 2)  # images to measure on; the next ones are for practice
samples = [dataset[i] for i in range(held_out)]
practice = [dataset[i] for i in range(held_out, min(2 * held_out, len(dataset)))]
names = ["background", *(short_name(name) for name in dataset.categories.names)]
print(f"{dataset.name}: {len(samples)} images to measure on, {len(practice)} for practice")

# %% [markdown] id="load-text"
# The trained network comes with the course and knows the classes of Pocket COCO. Asked for other
# classes, it keeps the weights of those that it knows, by name, and starts the rest at random. (So
# on photographs expect wild guesses from it. What you build works there all the same.)

# %% id="first-picture" alt="An image, the same with coloured masks, boxes and names that Mask R-CNN found, and with the true ones: the smaller ones in front are found, touching ones with masks of their own, while the large overlapping ones behind get ragged masks."
model = load("mask_rcnn", dataset.categories)
small = dataset.area_ranges["small"][1]  # an area in pixels below which an object counts as small


def fit_to_follow(index):
    """Up to six objects of some size, few tiny ones, and not too much of a crowd."""
    areas, boxes = samples[index][1].area, samples[index][1].boxes
    crowding = ops.box_iou(boxes, boxes).fill_diagonal_(0).sum()
    return min(int((areas >= small).sum()), 6) - 0.5 * int((areas < small).sum()) - 0.3 * crowding


image, target = samples[max(range(held_out), key=fit_to_follow)]
objects = target[~target.iscrowd]
answer = model.predict([image])[0]
plotting.compare(image, {"Mask R-CNN": answer, "truth": target}, dataset.categories, panel=2.9)

# %% [markdown] id="first-picture-read"
# Look for two objects of one class that touch: each has a mask of its own. No label map can say
# that (lesson 04). (Large objects that cover one another are harder; at the end you will see why.)
# The network does not ask "which class is this pixel?" It first asks "where may an object be?",
# then for each such place "what is it?" and "which of these pixels belong to it?".

# %% [markdown] id="problem"
# ## The problem: a classifier can name a picture, but not find anything in it
#
# In 2012 a network learned to name photographs: one picture in, one word out. To *find* objects
# with it, you would have to show it the right cut-outs. Which ones? A picture of 128 × 128 pixels
# has about 68 million boxes whose corners lie on whole pixels.
#
# R-CNN (Girshick and others 2014) let an older method propose some two thousand regions and ran the
# network on each. It was by far the best detector of its day, and painfully slow. Fast R-CNN
# (2015) ran the network once and read the regions from its features; Faster R-CNN (2015) made the
# regions from these features too; Mask R-CNN (2017) read them without rounding and added a mask.
# Each paper removes what the one before could not get rid of. We follow them step by step.

# %% id="timeline" alt="A timeline of papers; R-CNN 2014, Fast R-CNN and Faster R-CNN 2015 and Mask R-CNN 2017 are marked, in the lane of methods that first find regions and then look."
plotting.timeline(highlight=["R-CNN", "Fast R-CNN", "Faster R-CNN", "Mask R-CNN"])

# %% [markdown] id="idea"
# ## The idea, in five parts
#
# ### One: R-CNN by hand
#
# **Step 1, propose.** No learning here. Split the picture into small regions of similar colour,
# then merge the two neighbours that are most alike, again and again, until one region is left.
# Every region on the way may be an object, so its box becomes a **proposal**. (R-CNN used selective
# search, Uijlings and others 2013; `propose_regions` is a small relative of it.)

# %% id="propose" tolerance=0.1
from seglib.models.rcnn.grouping import propose_regions

boxes = propose_regions(image, max_proposals=200).boxes  # [N, 4]
print(f"{len(boxes)} proposals, sides from {(boxes[:, 2:] - boxes[:, :2]).min():.0f} to {(boxes[:, 2:] - boxes[:, :2]).max():.0f} pixels")

# %% id="propose-figure" alt="The image three times: the first ten proposals, among them very large boxes; two hundred proposals covering everything; and the true boxes, each with the proposal that fits it best."
nearest = ops.box_iou(objects.boxes, boxes).argmax(dim=1)  # for each object its best proposal
panels = {
    "the first ten": boxes[:10],
    f"all {len(boxes)}": boxes,
    "the best for each object": {"object": objects.boxes, "nearest proposal": boxes[nearest]},
}
plotting.show_boxes(image, panels)

# %% [markdown] id="propose-bet"
# **Predict before you run:** an object counts as covered if some proposal overlaps it with an IoU
# of at least 0.5. What share of the objects do the first 10 proposals cover, and what share all
# 200?

# %% id="propose-recall" tolerance=0.1
overlaps = ops.box_iou(objects.boxes, boxes)  # [objects, proposals]
for count in (10, 50, 200):
    covered = overlaps[:, :count].amax(dim=1) >= 0.5
    print(f"the first {count:3d} proposals cover {int(covered.sum())} of {len(objects)} objects")

# %% [markdown] id="propose-read"
# The order is hardly a ranking: the method knows nothing about objects, so it takes *many*
# proposals to be safe. That number will come back as a bill.
#
# **Step 2, warp.** The network wants squares of one size. So cut every box out, with a little
# context around it, and squeeze it into shape, whatever that does to the picture.

# %% id="warp" alt="Eight square cut-outs, blurred and squeezed to 48 by 48 pixels: the proposals nearest to objects, and some others that show parts of objects or background."
from dataclasses import replace

from seglib.models.rcnn import RCNN, RCNNConfig


def few_regions(picture):
    """Thirty proposals of one quick grouping, for fitting later."""
    return propose_regions(picture, (100.0,), [("texture", "size", "fill")], max_proposals=30).boxes


backbone = load("fcn").network.backbone  # the convolutions of lesson 04's network
config = replace(
    RCNNConfig.pocket(),
    crop_size=48,
    context=48 * 16 / 227,  # of the surroundings, the paper's share
    svm_cost=0.01,  # see step 4
)
rcnn = RCNN(backbone, dataset.categories, few_regions, config)
crops = rcnn.warp(image, boxes)  # [N, 3, 48, 48]
picked = [*nearest.tolist()[:4], 20, 21, 22, 23][:8]
sizes = [f"{x1 - x0:.0f} × {y1 - y0:.0f} px" for x0, y0, x1, y1 in boxes[picked].tolist()]
plotting.show_images(list(crops[picked]), sizes, panel=1.6)

# %% [markdown] id="features-text"
# **Step 3, describe.** Run the network on every crop and keep its last feature map as a row of
# numbers. The paper's network had learned to name photographs; here it is the backbone of lesson
# 04's FCN, which has learned to name pixels. Nobody has trained it for crops.

# %% id="features" tags=["nbval-check-output"]
passes_before = rcnn.cost.forward_passes
features = rcnn.features(crops)  # [N, 3, 48, 48] -> [N, D], a forward pass for each crop
print("crops", list(crops.shape), "-> features", list(features.shape))
print("forward passes for one picture:", rcnn.cost.forward_passes - passes_before)

# %% [markdown] id="classify-text"
# **Step 4, classify.** On these rows fit one **linear classifier** for each class: a weighted sum
# that should be positive for that class and negative for everything else. True boxes are the
# positives, proposals that overlap no object of the class the negatives. We fit on 24 images, a
# tiny fraction of what the paper had. (The classifiers are support vector machines. `svm_cost`
# above says how much a wrong answer costs against large weights; with so few examples it is larger
# than the paper's.)

# %% id="classify" tolerance=0.3
pairs = practice[:24]
rcnn.fit([x for x, _ in pairs], [t for _, t in pairs])
scaled = features * rcnn.parts.feature_scale  # fitting also chose a common scale for all features
margins = rcnn.classify(scaled)  # [N, C], above 0 means yes
for row, truth in list(zip(nearest.tolist(), objects.labels.tolist(), strict=True))[:5]:
    best = int(margins[row].argmax())
    answered = f"best answer {names[best + 1]:10s} margin {margins[row, best]:+.1f}"
    print(f"truth {names[truth]:10s} {answered}")

# %% [markdown] id="classify-read"
# In Pocket COCO that is not bad for two dozen pictures and a linear sum: the features do the work.
# These are the four steps. Two repairs are still missing, and both are alive in every detector
# today.
#
# #### Repair one: correct the box
#
# A proposal is rarely a perfect fit. R-CNN predicts a **correction** from the same features. It is
# not written in pixels: the shift of the centre is counted in sides of the box, the change of the
# sides as a logarithm,
#
# $$ d_x = \frac{x^* - x}{w}, \quad d_y = \frac{y^* - y}{h}, \quad
# d_w = \log\frac{w^*}{w}, \quad d_h = \log\frac{h^*}{h}, $$
#
# with centre $(x, y)$ and sides $w, h$ of the proposal, and a star for the object.

# %% id="encode"
def encode(box, wanted):
    """The correction [4] that turns one box (x0, y0, x1, y1) into another."""
    w, h, new_w, new_h = box[2] - box[0], box[3] - box[1], wanted[2] - wanted[0], wanted[3] - wanted[1]
    dx = ((wanted[0] + wanted[2]) / 2 - (box[0] + box[2]) / 2) / w
    dy = ((wanted[1] + wanted[3]) / 2 - (box[1] + box[3]) / 2) / h
    return torch.stack([dx, dy, (new_w / w).log(), (new_h / h).log()])


# %% id="decode"
def decode(boxes, deltas):
    """Boxes [N, 4] and corrections [N, 4] -> corrected boxes [N, 4]."""
    sides = boxes[:, 2:] - boxes[:, :2]  # [N, 2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + deltas[:, :2] * sides
    sides = sides * deltas[:, 2:].exp()
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=1)


# %% id="encode-example" tags=["nbval-check-output"]
box, wanted = torch.tensor([10.0, 10, 30, 50]), torch.tensor([14.0, 10, 34, 70])
print("correction:", [round(v, 3) for v in encode(box, wanted).tolist()])
print("and back:  ", decode(box[None], encode(box, wanted)[None])[0].tolist())

# %% [markdown] id="encode-bet"
# Check it with a pencil: the box is 20 × 40, its centre moves by (4, 10), its height grows by a
# half, $\log 1.5 = 0.405$. **Predict before you run:** apply the *same* four numbers to a box twice
# as large. By how many pixels does its centre move to the right: 4, or 8?

# %% id="encode-scale" tags=["nbval-check-output"]
moved = decode(2 * box[None], encode(box, wanted)[None])[0]
print("centre moves by", ((moved[0] + moved[2]) / 2 - (2 * box[0] + 2 * box[2]) / 2).item(), "pixels")

# %% [markdown] id="misconception-deltas"
# Eight. **A correction is not a number of pixels.** "A fifth of your width to the right" can be
# read off a squeezed crop; "four pixels" cannot, because the crop no longer knows how large it was.
#
# #### Repair two: one object, one box
#
# Many proposals hit the same object, and the classifier says yes to all of them. **Greedy
# non-maximum suppression** (NMS) cleans up: take the box with the best score, suppress all that
# overlap it by more than a threshold, take the best of the rest, and so on.

# %% id="nms-loop"
def nms_loop(boxes, scores, threshold):
    """Indices of the boxes that stay, best first."""
    waiting, kept = scores.argsort(descending=True).tolist(), []
    while waiting:
        best = waiting.pop(0)
        kept.append(best)
        overlap = {i: float(ops.box_iou(boxes[best, None], boxes[i, None])) for i in waiting}
        waiting = [i for i in waiting if overlap[i] <= threshold]
    return kept


# %% [markdown] id="nms-bet"
# **Predict before you run:** three boxes in a row, 20 pixels wide, each 6 pixels further to the
# right, with scores 0.9, 0.8 and 0.7. Neighbours overlap with an IoU of 14/26 = 0.54, the first and
# the last with 8/32 = 0.25. The threshold is 0.5. How many stay: one, two or three?

# %% id="nms-chain" tags=["nbval-check-output"]
row = torch.tensor([[0.0, 0, 20, 20], [6, 0, 26, 20], [12, 0, 32, 20]])
print("kept:", nms_loop(row, torch.tensor([0.9, 0.8, 0.7]), threshold=0.5))

# %% [markdown] id="misconception-nms"
# Two. The middle box would have suppressed the last one, but it is gone before its turn. **A
# suppressed box suppresses nobody.** That is what *greedy* means, and it is why the order of the
# scores matters.
#
# The tensor form computes all overlaps at once. Only the walk down the ranking remains a loop.

# %% id="nms-fast" tags=["nbval-check-output"]
def nms_fast(boxes, scores, threshold):
    order = scores.argsort(descending=True)
    overlaps = ops.box_iou(boxes[order], boxes[order]) > threshold  # [N, N], in ranked order
    alive = torch.ones(len(order), dtype=torch.bool)
    for rank in range(len(order)):
        if alive[rank]:
            alive[rank + 1 :] &= ~overlaps[rank, rank + 1 :]
    return order[alive].tolist()


scores, chosen_class = margins.max(dim=1)
print("loop and tensor form agree:", nms_loop(boxes, scores, 0.5) == nms_fast(boxes, scores, 0.5))

# %% id="rcnn-result" alt="Left, every proposal to which a classifier said yes, a tangle of boxes around each object; right, those that remain after suppression within each class, beside the true boxes."
yes = (scores > 0).nonzero().squeeze(1)
corrected = rcnn.regress(boxes, scaled)[torch.arange(len(boxes)), chosen_class]  # [N, 4]
stay = []
for label in chosen_class[yes].unique():
    mine = yes[chosen_class[yes] == label]
    stay += mine[nms_fast(corrected[mine], scores[mine], 0.3)].tolist()
panels = {
    f"{len(yes)} times yes": {"detection": corrected[yes]},
    f"{len(stay)} after suppression": {"detection": corrected[stay]},
    "truth": {"object": objects.boxes},
}
plotting.show_boxes(image, panels)

# %% [markdown] id="waste"
# ### Two: the bill
#
# It works, roughly. Now count. **Predict before you run:** in how many crops does an average pixel
# of this image lie? Three, ten, or more than twenty?

# %% id="coverage" alt="A heat map of the image's area: where there is much to see a pixel lies in some forty crops, in the empty corners in about a dozen."
cover = torch.zeros(image.shape[1:])
for x0, y0, x1, y1 in boxes.int().tolist():
    cover[y0:y1, x0:x1] += 1
plotting.show_heatmap(cover, "In how many crops is each pixel?", label="crops")

# %% id="work"
from torch.utils.flop_counter import FlopCounterMode


def work(network, x):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return counter.get_total_flops()


# %% id="bill" tolerance=0.15
once = work(backbone, image[None])
print(f"a pixel is in {cover.mean():.0f} crops on average")
print(f"work for {len(crops)} crops: {len(crops) * work(backbone, crops[:1]) / once:.0f} times that of the image")
print(f"2014: 2000 crops of 227² from a photograph of 500 × 375: {2000 * 227**2 / (500 * 375):.0f} times its pixels")

# %% [markdown] id="bill-read"
# Neighbouring crops show the same pixels, and the network finds the same edges in them over and
# over. You know this waste from lesson 04: a window that slides patch by patch. You also know the
# way out: run the convolutions once, on the whole picture.
#
# Speed is not the only bill. R-CNN is four parts fitted one after the other. The classifier cannot
# tell the backbone which features it lacks, because no gradient gets from one to the other.
#
# ### Three: look once, read often
#
# **Fast R-CNN** (Girshick 2015) sends the image through the network once. A **region of interest**
# (RoI) is then read from the feature map: the box divided by the stride gives its cells. From here
# on we use the feature pyramid of the shipped network.

# %% id="pyramid" tags=["nbval-check-output"]
with torch.no_grad():
    batch = model.prepare([image], divisor=32)  # normalise, pad
    pyramid = model.features(batch)
strides = [batch.canvas[1] // level.shape[-1] for level in pyramid]
for level, stride in zip(pyramid, strides, strict=True):
    print(f"stride {stride:2d}: {list(level.shape)}")

# %% [markdown] id="roipool"
# The heads behind it have fully connected layers, so each box must come out with the same number
# of cells, say 7 × 7. Fast R-CNN's **RoIPool** does it in whole cells. Round the box to cells, the
# last one included: with cells of 8 pixels a box from 21 to 45 px runs from cell round(21/8) = 3 to
# cell round(45/8) = 6, and these are the pixels 24 to 56. Divide that into bins, round the bins
# outwards, and keep the largest value of each bin. Below, an object of this image is shown over
# cells of 8 pixels, read in 2 × 2 bins.

# %% id="reading" alt="An object over a grid of cells of 8 pixels. Left, the box in blue and, dashed in orange, the rounded box that RoIPool reads, which is several pixels off and larger; right, RoIAlign's bins and sample points, exactly inside the box."
def misplaced(box, stride=8):
    """How far rounding moves the worst edge of a box, in pixels."""
    return (box - stride * (box / stride).round()).abs().max()


candidates = objects.boxes[(objects.boxes[:, 2:] - objects.boxes[:, :2]).amin(dim=1) >= 14]
example = max(candidates if len(candidates) else objects.boxes, key=misplaced)
plotting.show_roi_reading(image, example, stride=8, bins=2, samples=2)

# %% [markdown] id="reading-read"
# On the left, the orange frame is what RoIPool reads instead of the blue box: shifted, and larger,
# since the last cell counts as a whole (the coloured quarters are its bins). For a *word* about the
# object this hardly matters. For a mask, which must say yes or no at every pixel, it is a disaster.
#
# **Predict before you run:** take a map in which each cell holds its own x coordinate, so that
# reading it tells you *where* you read. Slide a box slowly to the right. Does what RoIPool reads
# slide along?

# %% id="sliding-box" alt="A diagonal line, RoIAlign, which reads exactly where the box is; RoIPool's line is a staircase with steps of 8 pixels that touches the diagonal from above."
ruler = ((torch.arange(16) + 0.5) * 8).expand(1, 1, 16, 16)  # [1, 1, 16, 16], x in pixels
shifts = torch.arange(0, 24.1, 0.25)
rois = torch.stack([torch.tensor([0.0, 20 + s, 40, 60 + s, 80]) for s in shifts])  # [N, 5]
aligned = ops.roi_align(ruler, rois, 7, 1 / 8).mean(dim=(1, 2, 3))  # [N, 1, 7, 7] -> [N]
largest, least = ops.roi_pool(ruler, rois, 7, 1 / 8), -ops.roi_pool(-ruler, rois, 7, 1 / 8)
pooled = ((largest + least) / 2).mean(dim=(1, 2, 3))  # the middle of what each bin read
read = {"RoIPool": pooled, "RoIAlign": aligned}
plotting.reading_curve(40 + shifts, read, xlabel="the box's centre, x in pixels")

# %% [markdown] id="misconception-rounding"
# **RoIPool does not see small movements.** For eight pixels nothing changes, then everything jumps.
# The mask head would have to draw different masks from the same numbers. The staircase also lies up
# to a cell above the line, never below it, since that last cell always counts.
#
# #### RoIAlign: read between the cells
#
# Mask R-CNN (He and others 2017) rounds nothing. In each bin it takes a few regularly placed
# **sample points**, and at a point between four cells it interpolates. You know the weights, they
# are lesson 04's tent: with the middle of cell $i$ at coordinate $i$,
#
# $$ f(y, x) = \sum_{r, c} \max(0, 1 - |y - r|)\, \max(0, 1 - |x - c|)\; F_{r,c} $$
#
# A bin is the mean of its samples. First in loops, for one box inside the image.

# %% id="align-loop" tags=["nbval-check-output"]
def between(feature, y, x):
    """Value [C] of a map [C, H, W] between the middles of four cells."""
    top, left = min(int(y), feature.shape[1] - 2), min(int(x), feature.shape[2] - 2)
    down, across = y - top, x - left
    upper = (1 - across) * feature[:, top, left] + across * feature[:, top, left + 1]
    lower = (1 - across) * feature[:, top + 1, left] + across * feature[:, top + 1, left + 1]
    return (1 - down) * upper + down * lower


def align_loop(feature, box, stride, bins, samples=2):
    """Map [C, H, W], box in pixels -> [C, bins, bins]."""
    x0, y0, x1, y1 = (edge / stride - 0.5 for edge in box.tolist())  # the middle of cell 0 is at 0
    out = torch.zeros(len(feature), bins, bins)
    places = [(b, (b + (i + 0.5) / samples) / bins) for b in range(bins) for i in range(samples)]
    for r, down in places:
        for c, across in places:
            value = between(feature, y0 + (y1 - y0) * down, x0 + (x1 - x0) * across)
            out[:, r, c] += value / samples**2
    return out


print(between(torch.tensor([[[1.0, 3], [5, 7]]]), 0.5, 0.25))

# %% [markdown] id="align-hand"
# With a pencil: a quarter of the way from 1 to 3 is 1.5, from 5 to 7 is 5.5; halfway between those
# two is 3.5.
#
# For the tensor form look at the formula again: it is a product of a weight for the row and one for
# the column. So a box needs one small matrix that mixes rows and one that mixes columns, and all
# samples of all bins are two matrix products.

# %% id="align-fast" tags=["nbval-check-output"]
def axis_weights(start, end, length, bins, samples=2):
    """[bins, length]: how much of each cell every bin takes, along one axis."""
    steps = (torch.arange(bins * samples) + 0.5) / (bins * samples)
    places = start + (end - start) * steps  # [bins·samples]
    tents = (1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)  # [bins·samples, length]
    return tents.reshape(bins, samples, length).mean(dim=1)  # [bins, length]


def align_fast(feature, box, stride, bins, samples=2):
    x0, y0, x1, y1 = box / stride - 0.5
    rows = axis_weights(y0, y1, feature.shape[1], bins, samples)  # [bins, H]
    columns = axis_weights(x0, x1, feature.shape[2], bins, samples)  # [bins, W]
    return rows @ feature @ columns.T  # [bins, H] @ [C, H, W] @ [W, bins] -> [C, bins, bins]


inner = torch.tensor([21.3, 40.2, 77.9, 90.0])
eighth = pyramid[strides.index(8)]  # [1, F, H/8, W/8]
by_loop, by_matrix = (f(eighth[0], inner, 8, 7) for f in (align_loop, align_fast))
print(list(by_matrix.shape), "loop and matrices agree:", torch.allclose(by_loop, by_matrix, atol=1e-4))

# %% [markdown] id="pixels-text"
# What does this mean for a mask? Take the true masks, average them to cells of 4 pixels, read them
# back through both, and compare with the truth inside the box. Nothing is learned here: this is what
# the *reading* costs.

# %% id="pixels" alt="One object's true mask in its box as 28 by 28 cells, the same read by RoIAlign from coarse cells, smooth and in place, and by RoIPool, blocky, smaller and pushed to the upper left."
def read_masks(reader, truth, stride=4):
    """Masks [G, H, W] averaged to cells, then each read inside its own box: [G, 28, 28]."""
    cells = F.avg_pool2d(truth.masks[:, None].float(), stride, ceil_mode=True)  # [G, 1, h, w]
    rois = torch.cat([torch.arange(len(truth))[:, None].float(), truth.boxes], dim=1)
    return reader(cells, rois, 28, 1 / stride)[:, 0]


at = int((objects.boxes == example).all(dim=1).nonzero()[0])
exact = ops.crop_resize_masks(objects.masks, objects.boxes, 28)
readers = {"RoIAlign": ops.roi_align, "RoIPool": ops.roi_pool}
pictures = [exact[at].float(), *(read_masks(r, objects)[at] for r in readers.values())]
plotting.show_images(pictures, ["the true mask in its box", *readers], panel=2.3)

# %% id="pixels-count" tolerance=0.02
every = [truth[~truth.iscrowd] for _, truth in samples]
for stride in (4, 8):
    for name, reader in readers.items():
        found = []
        for truth in every:
            a = read_masks(reader, truth, stride) >= 0.5
            b = ops.crop_resize_masks(truth.masks, truth.boxes, 28)
            found += ((a & b).sum(dim=(1, 2)) / (a | b).sum(dim=(1, 2)).clamp(min=1)).tolist()
        print(f"cells of {stride} px, {name:8s} mean IoU of {len(found)} masks: {sum(found) / len(found):.2f}")

# %% [markdown] id="pixels-read"
# RoIPool has read more than the box, to the right and below, so in its picture the object comes out
# smaller and too far to the upper left. In numbers: coarse cells cost something in any case, and on
# top of that rounding alone takes a quarter of the IoU or more in Pocket COCO. (A trained network
# does better: with many channels, cells say more than "half covered", and a head can learn that its
# bins are shifted on average. It cannot learn *by how much* this one is.)

# %% [markdown] id="rpn"
# ### Four: the network proposes
#
# With shared features the grouping of step 1 became the slowest part, and the only one that does
# not learn. **Faster R-CNN** (Ren and others 2015) replaced it by a **region proposal network**
# (RPN): three small convolutions that slide over the same features.
#
# But a convolution gives numbers at every cell, not boxes. So lay fixed boxes over the image, the
# **anchors**: at every cell three shapes, one size for each level of the pyramid. The network
# answers two questions for each anchor: is there an object here, and what correction would make the
# anchor fit it? (The finest level has no anchors here. The second stage reads it: an outline needs
# finer cells than a proposal.)

# %% id="anchors" alt="Left, the twelve anchors around one place: four sizes, each in three shapes, wide, square and tall. Right, all anchors of the coarsest level: large overlapping boxes that reach beyond the image."
with torch.no_grad():
    rpn = model.rpn(pyramid[1:], batch.canvas)
per_cell = len(model.config.anchor_ratios)  # A
one_place = {}
for level, stride, anchors in zip(pyramid[1:], strides[1:], rpn.anchors, strict=True):
    grid = anchors.reshape(*level.shape[-2:], per_cell, 4)  # [H·W·A, 4] -> [H, W, A, 4]
    one_place[f"stride {stride}"] = grid[grid.shape[0] // 2, grid.shape[1] // 2]
plotting.show_boxes(image, {"around one place": one_place, f"all of {[*one_place][-1]}": {[*one_place][-1]: rpn.anchors[-1]}})

# %% [markdown] id="targets-text"
# What should each anchor say? Compare it with the true boxes. An IoU of 0.7 or more with some object
# makes it **positive**, below 0.3 with all of them **negative**; those in between get no loss. One
# rule more, so that no object is left without an anchor: the best anchor of each object is positive
# in any case.
#
# **Predict before you run:** of the thousands of anchors on this image, how many are positive?
# About half, about a tenth, or fewer than one in fifty?

# %% id="label-loop" tags=["nbval-check-output"]
def label_loop(anchors, truth, high=0.7, low=0.3):
    """1 positive, 0 negative, -1 no loss, for each anchor [N]."""
    overlaps = ops.box_iou(truth, anchors)  # [G, N]
    labels = [1 if best >= high else 0 if best < low else -1 for best in overlaps.amax(dim=0).tolist()]
    for overlap in overlaps:
        for n in (overlap == overlap.max()).nonzero().flatten().tolist():
            labels[n] = 1
    return torch.tensor(labels)


anchors = torch.cat(rpn.anchors)  # [N, 4]
labels = label_loop(anchors, objects.boxes)
fast, of_object = ops.assign_boxes(ops.box_iou(objects.boxes, anchors), 0.7, 0.3, allow_low_quality=True)
print({word: int((labels == n).sum()) for word, n in (("positive", 1), ("no loss", -1), ("negative", 0))})
print("loop and tensor form agree:", torch.equal(labels, fast))

# %% id="targets" alt="Three pictures: the objects with their positive anchors, which fit only roughly; the anchors without loss around them; and 64 of the negative anchors, spread over the whole image."
negatives = anchors[labels == 0]
some = negatives[torch.randperm(len(negatives), generator=torch.Generator().manual_seed(0))[:64]]
panels = {
    "positive": {"object": objects.boxes, "anchor": anchors[labels == 1]},
    "no loss": {"object": objects.boxes, "anchor": anchors[labels == -1]},
    "64 of the negative": {"object": objects.boxes, "anchor": some},
}
plotting.show_boxes(image, panels)

# %% [markdown] id="sampling"
# In Pocket COCO far fewer than one in fifty. Learning from all of them, the network would hear
# "nothing here" hundreds of times for each "here it is", and learn to say nothing. So each step
# samples a few anchors, here 128 per image, at most half of them positive. And each positive anchor
# learns its correction, the four numbers of `encode`.
#
# Now the trained RPN. First its scores: for each cell the best of its three anchors.

# %% id="objectness" alt="The image and four maps of objectness from stride 4 to stride 32: stride 4 is almost dark, the clocks light up at stride 8, the car and a bird at stride 16, and the region of the large birds at stride 32."
maps = []
for level, logits in zip(pyramid[1:], rpn.logits, strict=True):
    logits = logits[0].reshape(*level.shape[-2:], per_cell)  # [H·W·A] -> [H, W, A]
    maps.append(logits.sigmoid().amax(dim=2))  # [H, W]
titles = [f"stride {s}" for s in strides[1:]]
plotting.show_images([image, *maps], ["the image", *titles], columns=5, panel=1.75)

# %% [markdown] id="objectness-read"
# Each level answers for objects of its own size. (In this image of Pocket COCO hardly anything is
# as small as the 10 pixels of the anchors at stride 4.) There is no class here; "something is
# centred here, about this large" is all. Then the corrections: for each object, the anchor with the
# best score among its positive ones, before and after.

# %% id="deltas" tolerance=0.02 alt="True boxes in green, an anchor near each object, dashed, and the same anchor after its correction, which fits closely around the clocks and the car and less well around the birds that cover one another; arrows show how the centres moved."
scores = torch.cat(rpn.logits, dim=1)[0]  # [N]
deltas = torch.cat(rpn.deltas, dim=1)[0]  # [N, 4]
boxes = decode(anchors, deltas)  # every anchor, corrected
strongest = []
for g in range(len(objects)):
    mine = ((labels == 1) & (of_object == g)).nonzero().squeeze(1)
    strongest += [int(mine[scores[mine].argmax()])] if len(mine) else []
own = objects.boxes[of_object[strongest]]
for word, candidates in (("before", anchors), ("after", boxes)):
    print(f"{word}: mean IoU with the object {ops.box_iou(own, candidates[strongest]).diag().mean():.2f}")
plotting.show_corrections(image, anchors[strongest], boxes[strongest], objects.boxes)

# %% [markdown] id="select-text"
# Better, not perfect: where objects cover one another, the features under one anchor describe both,
# and the second stage will have to correct once more.
#
# Last, the selection: the 200 boxes with the best scores on each level, clipped to the image, NMS
# with a threshold of 0.7 inside each level, and the best 100 of those that remain. **Predict before
# you run:** why so high a threshold? What would 0.3 do to two objects that overlap?

# %% id="select" tags=["nbval-check-output"]
from itertools import pairwise

rules = model.config.rpn
starts = torch.tensor([0, *(len(a) for a in rpn.anchors)]).cumsum(0).tolist()
survivors, entered = [], []
for start, end in pairwise(starts):
    best = start + scores[start:end].argsort(descending=True)[: rules.before_nms[1]]
    clipped = ops.clip_boxes(boxes[best], batch.sizes[0])
    best = best[(clipped[:, 2:] > clipped[:, :2]).all(dim=1)]  # some lay outside the image
    entered += best.tolist()
    kept = nms_fast(ops.clip_boxes(boxes[best], batch.sizes[0]), scores[best], rules.nms_iou)
    survivors += best[kept].tolist()
final = sorted(survivors, key=lambda n: -scores[n])[: rules.after_nms[1]]
proposals = ops.clip_boxes(boxes[final], batch.sizes[0])
print(f"{len(anchors)} anchors, {len(entered)} enter suppression, {len(survivors)} survive, {len(final)} stay")

# %% id="stages" alt="Three pictures: 25 well-scored anchors, the same corrected and bunched on the objects, and the best 25 after suppression, with fewer near-duplicates."
top = scores.argsort(descending=True)[:25]
panels = {
    "25 best-scored anchors": anchors[top],
    "the same, corrected": boxes[top],
    "the best 25 after NMS": proposals[:25],
}
plotting.show_boxes(image, panels, panel=2.1)

# %% [markdown] id="stages-read"
# Corrected, the boxes bunch on the objects; suppression then removes near-copies only. At 0.3 the
# first of two overlapping objects would suppress the second, before anyone has asked what they are,
# and what is not proposed can never be found. The duplicates that remain cost a little work, and a
# second suppression, after the classes, will deal with them.

# %% [markdown] id="anchors-bet"
# **Predict before you run:** many texts call anchors "the proposals of Faster R-CNN". How well does
# the best of thousands of anchors fit an object, and how well the best of a hundred proposals?

# %% id="misconception-anchors" tolerance=0.02
fits = {"best of all anchors": [], "best of the 100 proposals": []}
with torch.no_grad():
    outputs = [model([x]) for x, _ in samples]  # kept for later
for output, (_, truth) in zip(outputs, samples, strict=True):
    known = truth.boxes[~truth.iscrowd]
    for found, candidates in zip(fits.values(), (torch.cat(output.rpn.anchors), output.proposals[0]), strict=True):
        found += ops.box_iou(known, candidates).amax(dim=1).tolist()
for name, found in fits.items():
    found = torch.tensor(found)
    print(f"{name:26s} mean IoU {found.mean():.2f}, above 0.75 for {(found > 0.75).float().mean():.0%} of the objects")

# %% [markdown] id="anchors-read"
# **Anchors are not proposals.** Anchors are a ruler: the same on every image, known before it is
# seen. Proposals are an answer. In Pocket COCO a fortieth as many boxes fit better, because each
# has been moved and stretched onto what is there.

# %% [markdown] id="second-stage"
# ### Five: name it, correct it, cut it out
#
# The **second stage** is Fast R-CNN's, with a branch added. Each proposal is read with RoIAlign as
# 7 × 7 cells, from the level that fits its size. Two fully connected layers say what it is (one
# logit for each class, and one for background) and correct the box once more, with four numbers
# *for each class*.
#
# In training a proposal is **foreground** if it overlaps an object with an IoU of at least 0.5: it
# learns that object's class, correction and mask. All others learn "background", and nothing else.

# %% id="box-head" tags=["nbval-check-output"]
with torch.no_grad():
    read = model.box_heads.pooler(pyramid, [proposals])  # [100, F, 7, 7]
    logits, deltas = model.box_heads.head(read)
print("read", list(read.shape), " logits", list(logits.shape), " corrections", list(deltas.shape))
probability = logits.softmax(dim=1)  # [R, K], column 0 is background
scale = torch.tensor(model.config.box_weights)  # corrections are small: learned 10 or 5 times as large
found = []  # (score, label, box)
for label in range(1, logits.shape[1]):
    mine = (probability[:, label] > model.config.score_threshold).nonzero().squeeze(1)
    moved = ops.clip_boxes(decode(proposals[mine], deltas[mine, label] / scale), batch.sizes[0])
    for k in nms_fast(moved, probability[mine, label], model.config.nms_iou):
        found.append((float(probability[mine[k], label]), label, moved[k]))
found.sort(key=lambda one: -one[0])
print(f"{len(final)} proposals, {len(found)} detections, {sum(s > 0.5 for s, _, _ in found)} with a score above 0.5")

# %% [markdown] id="mask-head-text"
# NMS runs inside each class: a person on a horse must not suppress the horse. What remains are the
# **detections**, and only they get masks.
#
# The **mask head** reads 14 × 14 cells, keeps them as a map through four convolutions, doubles the
# map with a transposed convolution, and ends in one map of 28 × 28 logits *for each class*. It is a
# small FCN inside a box. The class that the box head has named selects the map; a sigmoid makes it
# probabilities; and it is stretched into the box, where one half decides.

# %% id="mask-head" alt="A row of pictures: the cut-out of the most certain detection, the 28 by 28 mask of its own class with a clear shape, the masks that the head gives for two other classes, and the image, dark but for the first mask pasted into it."
score, label, box = found[0]
with torch.no_grad():
    logits = model.mask_branch(pyramid, [box[None]])[0]  # [K, 28, 28]
soft = logits.sigmoid()
others = torch.cat([objects.labels, torch.arange(1, len(soft))])  # first those in the image
others = [n for n in dict.fromkeys(others.tolist()) if n != label][:2]
x0, y0, x1, y1 = box.round().int().tolist()
pasted = ops.paste_masks(soft[label][None], box[None], tuple(image.shape[1:]))
pictures = [image[:, y0:y1, x0:x1], soft[label], *soft[others], image * (0.25 + 0.75 * pasted)]
titles = ["the box", f"mask of {names[label]}", *(f"of {names[n]}" for n in others), "pasted"]
plotting.show_images(pictures, titles, columns=5, panel=1.75)

# %% [markdown] id="mask-head-read"
# The other classes' maps say things too: what the mask would be *if* the box held one of them.
# Nobody asks them. What a mask should be is the truth cut out in the same way, so what the form
# itself loses can be measured: take the true masks down to 28 × 28 and back.
#
# **Predict before you run:** 28 × 28 cells for an object, however large. A stride-8 FCN has 16 × 16
# cells for this whole image. Which form can say more about an object?

# %% id="mask-ceiling" tolerance=0.02
from seglib.metrics.ceilings import mask_ceiling

print(f"28 × 28 in every box:     a perfect network reaches a mask AP of {mask_ceiling(dataset, roi_size=28, limit=held_out):.2f}")
for stride in (4, 8):
    print(f"cells of {stride} px over all:   {mask_ceiling(dataset, stride=stride, limit=held_out):26.2f}")

# %% [markdown] id="misconception-28"
# **28 × 28 is not coarse.** The grid lies over the *box*, so a small object gets cells smaller than
# a pixel. Only on objects much larger than 28 pixels do the cells show, and the most visible errors
# of Mask R-CNN on large photographs, rounded corners and swallowed fingers, come from there.
#
# #### Why the classes do not compete
#
# The paper's most discussed choice: a sigmoid for each class instead of a softmax over classes. The
# loss is binary cross-entropy on the true class's map; all other maps are left alone.

# %% id="mask-loss" tags=["nbval-check-output"]
from seglib.models.mask_rcnn.losses import mask_loss, softmax_mask_loss


def mask_loss_loop(logits, labels, squares):
    """[P, K, S, S], [P], [P, S, S] -> the mean over all pixels of the true class's maps."""
    losses = []
    for maps, label, square in zip(logits, labels, squares, strict=True):
        p = maps[label].sigmoid()
        losses.append(-torch.where(square, p.log(), (1 - p).log()).mean())
    return torch.stack(losses).mean()


random = torch.randn(3, 5, 28, 28, requires_grad=True)
wanted, squares = torch.tensor([2, 4, 2]), torch.rand(3, 28, 28) > 0.5
print("loop = seglib's:", torch.allclose(mask_loss_loop(random, wanted, squares), mask_loss(random, wanted, squares, 3)))
for name, loss in (("sigmoid", mask_loss), ("softmax", softmax_mask_loss)):
    (gradient,) = torch.autograd.grad(loss(random, wanted, squares, 3), random)
    print(f"{name}: {int(gradient.abs().sum(dim=(2, 3)).gt(0).sum(dim=1)[0])} of 5 maps of a box learn from it")

# %% [markdown] id="mask-loss-read"
# With a softmax every pixel would have to decide between cat and dog all over again, though the box
# head has decided for the whole object, with more information. With sigmoids the mask head may
# answer a simpler question: *if* this is a cat, which pixels belong to it? Whether that pays we
# measure below.

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# Piece by piece. `box_iou`, `nms`, `roi_align` and `roi_pool` are primitives with three bodies; the
# naive one is a loop like yours. (Your RoIAlign equals the library's for boxes inside the image; the
# library also knows what to do with sample points beyond the border.)

# %% id="equality-parts" tags=["nbval-check-output"]
a, b = torch.rand(2, 60, 4).sort(dim=2).values * 100 + torch.tensor([0.0, 0, 1, 1])
points = torch.rand(60)
print("nms       ", nms_fast(a, points, 0.5) == ops.nms(a, points, 0.5).tolist())
print("encode    ", torch.allclose(torch.stack([encode(*pair) for pair in zip(a, b, strict=True)]), ops.encode_deltas(a, b)))
print("decode    ", torch.allclose(decode(a, ops.encode_deltas(a, b)), ops.decode_deltas(a, ops.encode_deltas(a, b)), atol=1e-3))
roi = F.pad(inner, (1, 0))[None]  # [1, 5]: image 0, then the box
theirs = ops.roi_align(eighth, roi, 7, 1 / 8, sampling_ratio=2)[0]
print("roi_align ", torch.allclose(align_fast(eighth[0], inner, 8, 7), theirs, atol=1e-4))
library = model.rpn.proposals(rpn, batch.sizes)[0][0]
print("proposals ", torch.allclose(proposals, library, atol=1e-3))

# %% [markdown] id="equality-whole-text"
# Then the whole: your detections of the chosen image, and those of `model.predict`; and the network
# on the course's own tensor code alone. The library is compared with the reference in the same way:
# with torchvision's weights copied, `seglib`'s paper-sized Mask R-CNN gives torchvision's losses,
# gradients and detections (`tests/test_mask_rcnn_parity.py`).

# %% id="equality-whole" tags=["nbval-check-output"]
mine = torch.stack([box for _, _, box in found])[: len(answer.instances)]
print("your boxes = predict's:", torch.allclose(mine, answer.instances.boxes, atol=1e-2), len(mine))
with seglib.use("scratch"):
    again = model.predict([image])[0]
print("on scratch code:       ", torch.allclose(again.instances.boxes, answer.instances.boxes, atol=1e-2))

# %% [markdown] id="learns"
# ## It learns
#
# First, as always, **overfit one batch**. A fresh network, one image, again and again. Note that
# there are *five* losses now, two of the first stage and three of the second, simply added.

# %% id="overfit" alt="The summed loss on one image falls steeply from about five within the first twenty steps and then falls slowly, with noise." tolerance=0.3
from seglib.models import build_model
from seglib.training import History, overfit

torch.manual_seed(0)
fresh = build_model("mask_rcnn", dataset.categories)
start = fresh.loss([image], [target])
print({name: round(value.item(), 2) for name, value in start.items()})
losses = overfit(fresh, [image], [target], steps=60, lr=2e-3)
print(f"sum {losses[0]:.1f} → {losses[-1]:.1f}")
plotting.training_curve(losses, title="One image, over and over")

# %% [markdown] id="overfit-read"
# The parts fit together. (The loss stays noisy because each step samples other anchors and other
# boxes: even one image holds thousands of little lessons.)
#
# ### A mask head learns, three times
#
# A whole Mask R-CNN takes most of an hour. But its mask head is a small network of its own. Throw it
# away, keep the rest frozen, and teach a new one while you watch. The features in each box do not
# change then, so read them once: from the practice images, all proposals that overlap an object by
# at least a half.

# %% id="collect" tags=["nbval-check-output"]
from seglib.models.mask_rcnn.box_targets import label_boxes
from seglib.models.mask_rcnn.mask_branch import MaskHead
from seglib.models.mask_rcnn.pooler import PyramidPooler

poolers = {"RoIAlign": model.mask_branch.pooler}
levels = {"strides": model.backbone.strides, "canonical_size": model.config.canonical_size}
# the same 14 × 14 cells of the same levels, but rounded (so its sampling does not matter)
poolers["RoIPool"] = PyramidPooler(14, **levels, sampling_ratio=0, aligned=True, pooling="pool")
features, classes, squares = {name: [] for name in poolers}, [], []
with torch.no_grad():
    for picture, truth in practice:
        truth, output = truth[~truth.iscrowd], model([picture])
        boxes = torch.cat([output.proposals[0], truth.boxes])
        good = label_boxes(boxes, truth, iou=0.5)
        good = good[good.labels > 0]
        squares.append(ops.crop_resize_masks(truth.masks, good.boxes, 28, good.index))
        classes.append(good.labels)
        for name, pooler in poolers.items():
            features[name].append(pooler(output.pyramid, [good.boxes]))
features = {name: torch.cat(parts) for name, parts in features.items()}  # [R, F, 14, 14]
classes, squares = torch.cat(classes), torch.cat(squares)  # [R], [R, 28, 28]
print("read:", list(features["RoIAlign"].shape), " to be learned:", list(squares.shape))

# %% [markdown] id="ablation-bet"
# Three heads start from the same random weights and see the same boxes in the same order: one as
# published, one that reads with RoIPool instead of RoIAlign, one whose classes compete in a softmax.
# **Predict before you run:** which change costs more here, the reading or the competition? (Our
# boxes are read from a pyramid, most of them in cells of 2 pixels; the paper's ablation reads one
# map with cells of 16 or 32.)

# %% id="train-head"
def train_head(read, loss_of, steps=80, on_step=None):
    """A new mask head, taught on random boxes; returns it and its losses."""
    torch.manual_seed(0)
    inside = model.config
    head = MaskHead(inside.fpn_width, inside.mask_width, inside.mask_convolutions, model.classes)
    optimizer, losses = torch.optim.Adam(head.parameters(), lr=2e-3), []
    for step in range(steps):
        rows = torch.randint(len(read), (32,))
        loss = loss_of(head(read[rows]), classes[rows], squares[rows], len(rows))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if on_step:
            on_step.update(step, loss=losses[-1])
    return head.eval(), losses


# %% id="live" alt="The mask loss of the new head over eighty steps: it starts high, drops within the first thirty steps, and then falls slowly."
with plotting.LiveCurve(steps=80, title="A new mask head, as published") as live:
    published, _ = train_head(features["RoIAlign"], mask_loss, on_step=live)

# %% [markdown] id="ablation-text"
# Then the other two, and all three measured on the held-out images: the same detections for all,
# only their masks differ.

# %% id="ablation-code"
from seglib.metrics import CocoEvaluator
from seglib.structures import Instances

with torch.no_grad():
    detections = [model.detect(output)[0] for output in outputs]


def mask_ap(head, pooler, link=torch.sigmoid):
    """The figures of these detections with the masks of this head."""
    evaluator = CocoEvaluator(dataset.categories, "segm", dataset.area_ranges)
    for output, seen, (_, truth) in zip(outputs, detections, samples, strict=True):
        with torch.no_grad():
            maps = link(head(pooler(output.pyramid, [seen.boxes])))  # [d, K, 28, 28]
        chosen = maps[torch.arange(len(maps)), seen.classes + 1]
        masks = ops.paste_masks(chosen, seen.boxes, truth.size)
        evaluator.update(Instances(seen.boxes, seen.scores, seen.classes + 1, masks), truth)
    stats = evaluator.compute().stats
    return f"mask AP {stats['AP']:.3f}  AP50 {stats['AP50']:.3f}  AP75 {stats['AP75']:.3f}"


# %% id="ablation" tolerance=0.05
rounding, _ = train_head(features["RoIPool"], mask_loss)
competing, _ = train_head(features["RoIAlign"], softmax_mask_loss)
print("RoIAlign, sigmoid", mask_ap(published, poolers["RoIAlign"]))
print("RoIPool,  sigmoid", mask_ap(rounding, poolers["RoIPool"]))
print("RoIAlign, softmax", mask_ap(competing, poolers["RoIAlign"], lambda maps: maps.softmax(dim=1)))
print("the shipped head ", mask_ap(model.mask_branch.head, poolers["RoIAlign"]))

# %% [markdown] id="ablation-read"
# In Pocket COCO both changes cost, the competition by far the most, and the rounding shows most in
# AP75, which asks for precise masks. Before you believe such a table, mind three things. The heads
# are far from done (compare the last line). The competing head has the harder task, a choice among
# all classes at every pixel, so a good part of its gap is slowness. And it is one seed. The paper
# trained to the end and found 3.3 points for the reading and 5.5 for the competition. We see the
# direction, not the size.
#
# One more test, without any training. **Predict before you run:** take the shipped network as it is
# and let it *read* with RoIPool, boxes and masks alike. What suffers more, box AP or mask AP?

# %% id="swap" tolerance=0.03
from seglib.metrics import evaluate

measured = {}
for pooling in ("align", "pool"):
    model.box_heads.pooler.pooling = model.mask_branch.pooler.pooling = pooling
    measured[pooling] = evaluate(model, dataset, limit=held_out).figures
model.box_heads.pooler.pooling = model.mask_branch.pooler.pooling = "align"
for pooling, figures in measured.items():
    print(f"{pooling:5s} box AP {figures['box_AP']:.3f}  mask AP {figures['mask_AP']:.3f}  mask AP75 {figures['mask_AP75']:.3f}")

# %% [markdown] id="swap-read"
# Both suffer, the masks more: in Pocket COCO box AP keeps nearly half of its value, mask AP less
# than two fifths. A class survives being read a few pixels off; a correction of the box suffers,
# and an outline is lost. (This is not the paper's ablation: a network that has learned from exact
# features is given others. The heads above are the fair comparison.)
#
# ### The shipped network
#
# All parts were trained together, for longer. Its training, and its figures on all validation
# images:

# %% id="shipped-curve" alt="Left, the training loss of the shipped Mask R-CNN falling over its steps; right, its box AP and, lower, its mask AP on validation images, both levelling off far below the dashed ceiling of 28 by 28 masks."
from seglib.pretrained import record

course = record("mask_rcnn")
ceiling = course["ceilings"]["mask_AP"]["ceiling"]
history = History.from_dict(course["history"])
plotting.history_curve(history, ("mask_AP", "box_AP"), ceiling=ceiling, title="The shipped Mask R-CNN")

# %% id="shipped-record"
print(course["command"])
shown = {name: round(course["figures"][name], 3) for name in ("mask_AP", "mask_AP50", "mask_AP75", "box_AP")}
print(f"{course['minutes']} minutes, {course['parameters']:,} parameters; {shown} on {course['evaluated']}")

# %% id="shipped-table" tolerance=0.03
figures = measured["align"]
print(f"{held_out} images at 128 px   mask AP  ceiling  share  box AP")
for size in ("", "s", "m", "l"):
    ours, theirs = figures[f"mask_AP{size}"], figures[f"box_AP{size}"]
    limit = mask_ceiling(dataset, roi_size=28, limit=held_out, figure=f"AP{size}")
    word = {"": "all", "s": "small", "m": "medium", "l": "large"}[size]
    print(f"{word:21s} {ours:8.3f} {limit:8.3f} {ours / limit:6.0%} {theirs:7.3f}")

# %% [markdown] id="shipped-read"
# The ceiling is near one in every row: the form of the output takes hardly anything. What is
# missing is lost before the last layer, and most of it where objects are small. An object of 12
# pixels covers 6 × 6 cells of the finest map, and 14 × 14 cells read from these hold no more than
# the 36 did: more training alone would not bring back what the cells do not contain. The last
# column is the AP of the boxes alone.
#
# How much do the cells matter? The table of finished runs holds an earlier network whose finest map
# has cells of 4 pixels instead of 2, and which was trained a little longer.

# %% id="finer-cells"
from seglib.data.assets import asset
from seglib.pretrained.results import read_results

rows = [row["figures"] for row in read_results(asset("results.jsonl")) if row["name"] == "mask_rcnn"]
for cells, row in (("4 px", rows[0]), ("2 px", rows[-1])):
    shown = "  ".join(f"{name.replace('_', ' ')} {row[name]:.3f}" for name in ("box_AP", "box_AP75", "mask_AP", "mask_AP75"))
    print(f"cells of {cells}: {shown}")

# %% [markdown] id="finer-cells-read"
# Coarser cells cost the boxes something and the masks more, most of all where masks must be precise
# (AP75). A bird's wing or a kite's tail is two pixels thin: in a cell of four it drowns. (One run
# each.)

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# A wrong mask can have many causes, and the stages let you tell them apart. Take every true object
# and the detections with a score of at least 0.3, and ask in order: has any detection of its class a
# mask with IoU 0.5? If not, is at least the box right? Is there a good box of *another* class? A
# badly placed one? Or nothing at all?

# %% id="causes-code"
def cause(found, truth, n):
    """Why the n-th object of an image is found or not."""
    boxes = ops.box_iou(truth.boxes[n : n + 1], found.boxes)[0]  # [d]
    masks = ops.mask_iou(truth.masks[n : n + 1], found.masks)[0]
    same = found.labels == truth.labels[n]
    if (same & (masks >= 0.5)).any():
        return "found"
    if (same & (boxes >= 0.5)).any():
        return "box right, mask wrong"
    if (boxes >= 0.5).any():
        return "taken for another class"
    return "badly placed" if (same & (boxes >= 0.2)).any() else "missed"


# %% id="causes" alt="Bars for the causes of failure, small objects against larger ones: of the small ones a larger share is missed or badly placed."
from collections import Counter

predictions = [model.predict([x])[0].instances for x, _ in samples]
counted = {"small": Counter(), "larger": Counter()}
reasons = []
for found, (_, truth) in zip(predictions, samples, strict=True):
    truth, found = truth[~truth.iscrowd], found[found.scores >= 0.3]
    reasons.append([cause(found, truth, n) for n in range(len(truth))])
    for reason, area in zip(reasons[-1], truth.area.tolist(), strict=True):
        counted["small" if area < small else "larger"][reason] += 1
shares = {
    f"{size}: {reason}": count / counts.total()
    for size, counts in counted.items()
    for reason, count in counts.items()
    if reason != "found"
}
plotting.bars(shares, xlabel="share of the objects of that size", title="Objects that are not found, by cause", limit=None)

# %% [markdown] id="causes-read"
# In Pocket COCO the two sizes fail differently. A small object that is not found is most often
# missed outright: a few cells hold too little to say what it is. A larger one is most often in a
# correct box, with a *mask* that is wrong.

# %% id="hardest" alt="The image with the most failures, the answer of the network, and the truth: some small or hidden objects are missing, and some masks run over a neighbour."
def failures(index):
    return sum(reason != "found" for reason in reasons[index])


hardest = max(range(held_out), key=failures)
picture, truth = samples[hardest]
result = {"Mask R-CNN": model.predict([picture])[0], "truth": truth}
plotting.compare(picture, result, dataset.categories, min_score=0.3, panel=2.7)

# %% [markdown] id="hardest-read"
# Look for objects that others cover. Their box holds more of the neighbour than of themselves, and
# the mask head must guess whose pixels are meant: that the box is centred on *this* one is all that
# it is told.

# %% [markdown] id="crowd-text"
# ### What suppression cannot know
#
# NMS believes that two boxes of one class with a large overlap are the same object. **Predict before
# you run:** suppose the network were perfect. Can suppression still lose objects?

# %% id="crowd" alt="The two true objects of one class whose boxes overlap most in these images, with their boxes and their masks." tolerance=0.05
def closest_pair(truth):
    """(overlap, i, j) of the two objects of one class whose boxes overlap most."""
    same = truth.labels[:, None] == truth.labels
    overlap = (ops.box_iou(truth.boxes, truth.boxes) * same).triu(diagonal=1)
    best = int(overlap.argmax())
    return float(overlap.max()), best // len(truth), best % len(truth)


every = [truth[~truth.iscrowd] for _, truth in samples]
for threshold in (0.3, 0.5, 0.7):
    perfect = [ops.batched_nms(t.boxes, torch.ones(len(t)), t.labels, threshold) for t in every]
    lost = sum(len(t) for t in every) - sum(len(kept) for kept in perfect)
    print(f"NMS at {threshold} loses {lost} of {sum(len(t) for t in every)} objects, from perfect boxes")
crowded = max(range(held_out), key=lambda i: closest_pair(every[i])[0] if len(every[i]) else 0)
_, i, j = closest_pair(every[crowded])
pair = plotting.overlay(samples[crowded][0], every[crowded][[i, j]], dataset.categories, layer="instances", side=240)
plotting.show_images([pair], ["the closest pair"])

# %% [markdown] id="crowd-read"
# A low threshold loses true neighbours, a high one keeps duplicates. At the usual 0.5 the loss is
# small in Pocket COCO, one object; in a flock of sheep it is not. And no training changes it:
# suppression is a rule, written by hand. Remember it. The lesson on DETR will get rid of it, with a
# network that answers once for each object.
#
# And one more thing is left to chance here: every proposal with an IoU of at least 0.5 is
# foreground, so a box that misses half of its object counts as right. What happens if you ask for
# 0.7? More precise boxes? The next lesson begins with that question, and the answer is not the
# obvious one.

# %% [markdown] id="try"
# ## Try it
#
# **Anchors.** Which stride and size reach most objects of this image? Turn off "every object its
# best anchor" and see which objects lose theirs. Lower the upper threshold: what do you gain, and
# what would the network then learn to call an object? And make the anchors much smaller than a
# large object: all that lie inside it tie for the best overlap, and the rule that was meant to help
# it floods the image with "positives".

# %% id="anchor-explorer" alt="Six controls for stride, size, shapes and thresholds above the image with its true boxes and the positive anchors; a line below counts them."
from seglib.widgets import AnchorExplorer

AnchorExplorer(image, objects.boxes, stride=8, size=24)

# %% [markdown] id="nms-text"
# **Suppression, step by step.** These are the box head's answers before NMS. Step through them. Then
# find a threshold at which a duplicate survives, and one at which a true object goes.

# %% id="nms-stepper" alt="Controls for the step, the IoU threshold, the lowest score and suppression by class above the image with the detections: red the box kept now, green those kept before, blue those waiting, dashed those suppressed."
from seglib.widgets import NMSStepper

with torch.no_grad():
    answers = model([image]).box_heads
every = ops.select_detections(answers.boxes[0], answers.scores[0], batch.sizes[0], 0.02, 1.0, 40)
labels = every.classes + 1
NMSStepper(image, every.boxes, every.scores, labels, [names[i] for i in labels], lowest=0.5)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
from seglib.widgets import Option, Question, Quiz

bill = Question(
    "R-CNN describes 200 overlapping crops. Why is sharing the convolutions possible at all?",
    [
        Option("Because crops of one size give features of one size",
               feedback="That is why crops are warped; it does not make their work common."),
        Option("Because neighbouring crops mostly have the same class",
               feedback="They often do not, and the backbone knows no classes."),
        Option("Because features depend on a pixel's surroundings, hardly on the crop", True,
               "So compute them once, and read them for every box."),
    ],
    objective="R-CNN",
)
correction = Question(
    "A 40 × 20 px box gets the correction (0.5, 0, 0, log 2). Its centre moves, its height becomes",
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
               feedback="One overlap with a kept box is enough to go."),
    ],
    objective="boxes",
)
threshold = Question(
    "Two sheep stand so close that their true boxes have an IoU of 0.6. NMS inside a class at 0.5",
    [
        Option("keeps both if the network is good enough",
               feedback="With perfect boxes and scores one of them still goes."),
        Option("keeps both, since their masks do not overlap", feedback="It never sees the masks."),
        Option("loses one of the two, however good the network is", True,
               "It is a rule about boxes."),
    ],
    objective="boxes",
)
Quiz([suppression, threshold], title="Suppression")

# %% id="quiz-three" tags=["quiz", "hide-input"]
rounding_question = Question(
    "Stride 16. A box begins at x = 39 px. Where does RoIPool begin to read, and where RoIAlign?",
    [
        Option("at 32 px, and at 39 px", True, "round(39/16) = 2, times 16: seven pixels off."),
        Option("both at 39 px", feedback="RoIPool knows whole cells only: 39/16 = 2.4 is rounded."),
        Option("at 39 px, and between the cells",
               feedback="The other way round: RoIAlign reads where the box is."),
    ],
    objective="RoIAlign",
)
sample = Question(
    "Cells [[0, 4], [8, 12]], their middles at coordinates 0 and 1. At y = 0.5, x = 0.75 the value is",
    [
        Option("12", feedback="That is the nearest cell, or the largest: RoIPool's way."),
        Option("6", feedback="That is the plain mean; the point lies nearer to the right."),
        Option("7", True, "Upper 3, lower 11, halfway 7."),
    ],
    objective="RoIAlign",
)
Quiz([rounding_question, sample], title="Reading")

# %% id="quiz-four" tags=["quiz", "hide-input"]
anchor_question = Question(
    "An anchor's best IoU with any object is 0.5; every object has a better anchor. It learns",
    [
        Option("'object', with the correction to that one",
               feedback="Positive begins at 0.7, or with being some object's best."),
        Option("nothing at all: it has no loss", True, "Either answer would teach nonsense."),
        Option("'nothing here'", feedback="Negative is below 0.3."),
    ],
    objective="anchors",
)
competition = Question(
    "A box holds a dog. Which maps of the mask head get a gradient (as published)?",
    [
        Option("all of them: the dog's up, the others down",
               feedback="That is the softmax of the ablation."),
        Option("the dog's and background's",
               feedback="Background is the other side of the dog's own sigmoid."),
        Option("the dog's alone", True, "The box head decides on the class; masks need not."),
    ],
    objective="masks",
)
Quiz([anchor_question, competition], title="Anchors and masks")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/06_mask_rcnn.ipynb) has four tasks: corrections of boxes and back; NMS
# that must carry the shipped detector; RoIAlign for one box; and the labels of the anchors.

# %% [markdown] id="summary"
# ## In one minute
#
# - R-CNN: propose, warp, describe, classify. Hundreds of passes over the same pixels, in parts that
#   cannot learn together.
# - Fast R-CNN runs the backbone once and reads boxes from its features. Faster R-CNN proposes from
#   them too: anchors are scored, corrected, thinned out. Anchors are a ruler, proposals an answer.
# - A correction is counted in sides of the box and logarithms, so it means the same at every size.
# - NMS walks down the ranking; what has been suppressed suppresses nobody. It cannot tell a
#   duplicate from a neighbour.
# - RoIPool rounds to cells, RoIAlign reads between them: mean of bilinear samples, the tent again.
# - The mask head is a small FCN in a box, with a map for each class, of which only the named one
#   counts.
#
# **The published numbers beside ours.** Theirs are on photographs of COCO. The first two lines are
# the paper's ablations, with one map of features: mask AP with RoIPool and RoIAlign, with softmax
# and sigmoid. The third is the paper's ResNet-101 with a pyramid, the fourth detectron2's ResNet-50
# after its long schedule. Ours is the small network on 300 drawn images of 128 px. Only the *order*
# inside a line can be compared.

# %% id="published" tolerance=0.03
print("paper: RoIPool 26.9, RoIAlign 30.2; with cells of 32 px 23.6 and 30.9")
print("paper: softmax 24.8, sigmoid 30.3")
print("paper, ResNet-101-FPN: mask AP 35.7, box AP 38.2")
print("detectron2, ResNet-50-FPN: mask AP 37.2, box AP 41.0")
ours = course["figures"]
print(f"ours, on Pocket COCO: mask AP {100 * ours['mask_AP']:.1f}, box AP {100 * ours['box_AP']:.1f}")

# %% [markdown] id="references"
# **Next**: Cascade R-CNN (Cai and Vasconcelos 2018) asks why a detector that is trained on better
# boxes does not become better, and answers with three heads in a row.
#
# **References**
#
# - R. Girshick, J. Donahue, T. Darrell, J. Malik. Rich feature hierarchies for accurate object
#   detection and semantic segmentation. *CVPR* 2014. arXiv 1311.2524.
# - J. Uijlings, K. van de Sande, T. Gevers, A. Smeulders. Selective search for object recognition.
#   *IJCV* 104(2), 2013.
# - R. Girshick. Fast R-CNN. *ICCV* 2015. arXiv 1504.08083.
# - S. Ren, K. He, R. Girshick, J. Sun. Faster R-CNN: towards real-time object detection with region
#   proposal networks. *NIPS* 2015. arXiv 1506.01497.
# - T.-Y. Lin, P. Dollár, R. Girshick, K. He, B. Hariharan, S. Belongie. Feature pyramid networks for
#   object detection. *CVPR* 2017. arXiv 1612.03144.
# - K. He, G. Gkioxari, P. Dollár, R. Girshick. Mask R-CNN. *ICCV* 2017. arXiv 1703.06870.
# - Y. Wu, A. Kirillov, F. Massa, W.-Y. Lo, R. Girshick. Detectron2. 2019,
#   github.com/facebookresearch/detectron2.
