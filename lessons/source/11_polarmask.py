# %% [markdown] id="start"
# # 11. PolarMask
#
# SOLO (lesson 10) draws thousands of pixels for each object. A detector predicts four numbers, the
# sides of a box. PolarMask (Xie and others 2020) lies in between: it predicts a centre, and the
# distances to the outline in 36 fixed directions. One question runs through the lesson: **how few
# numbers can describe a mask, and what can they not express?**
#
# **You will be able to**
#
# 1. turn a mask into a centre and distances along rays, and distances back into a mask;
# 2. say which locations on which level learn an object, and why they lie around its mass centre;
# 3. compute the polar centerness, and say what it does in the loss and the score;
# 4. compute Polar IoU by hand, and compare it with smooth L1;
# 5. say which shapes rays cannot describe, and read the ceiling for any number of rays.
#
# **You need first** [lesson 07](07_mask_rcnn.ipynb): the pyramid, ceilings, scores by size; [lesson
# 10](10_solo.ipynb): mass centres, and networks that predict at every location; suppression from
# [lesson 06](06_rcnn.ipynb). **Time** about 70 minutes to read, about a minute to run.

# %% id="imports"
import math

import numpy as np
import torch
import torch.nn.functional as F

import seglib
from seglib import ops, plotting
from seglib.data import load_dataset
from seglib.pretrained import load, record

# %% id="data"
torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(40, len(dataset) // 2)
polar = load("polarmask", dataset.categories)
config = polar.config
samples = [dataset[i] for i in range(held_out)]
truths = [truth[polar.learnable_objects(truth)] for _, truth in samples]  # no crowds
print(f"{dataset.name}: {len(samples)} images to look at; {config.rays} rays")

# %% [markdown] id="load-text"
# The network was trained on the classes of Pocket COCO. (On photographs expect wild guesses; what
# you build works there all the same.) First its raw output: for each detection, a centre and the
# lengths of the rays. You will build every step of this function. The cell after it only chooses an
# image; skip it.

# %% id="detect"
def detect(image, least=0.3):
    """Centres [d, 2], rays [d, n], labels [d] and scores [d] of detections, best first."""
    with torch.no_grad():
        candidates = polar.candidates(polar([image]), 0, image.shape[1:])
    rows, labels, scores = polar.select(candidates)
    best = scores > least
    rows = rows[best]
    return candidates.points[rows], candidates.rays[rows], labels[best], scores[best]

# %% id="fit"
from seglib.models.polarmask.rays import polar_masks


def best_overlaps(index):
    """For each object of an image, the best mask IoU with a detection of its class."""
    (image, _), truth = samples[index], truths[index]
    centres, rays, labels, _ = detect(image)
    each = ops.mask_iou(truth.masks, polar_masks(centres, rays, truth.size))
    each = each * (truth.labels[:, None] == labels)
    return [max(row, default=0.0) for row in each.tolist()]


def fit(index):
    """Their mean, to two digits, so that every machine chooses the same image."""
    best = best_overlaps(index)
    return round(sum(best) / max(1, len(best)), 2)


def suits(index):
    """The IoU that perfectly learned rays, `polar.perfect`, reach on the largest object."""
    masks = truths[index].masks
    largest = masks.sum(dim=(1, 2)).argmax()
    drawn = polar.perfect(*samples[index]).instances.masks
    return float(ops.mask_iou(drawn[largest][None], masks[largest][None])[0, 0])

# %% id="first-picture" alt="An image beside the same image with PolarMask's detections: from the centre of each object 36 rays spread to its outline, and a closed line through their ends follows the object." tolerance=0.05
least = min(3, max(map(len, truths)))
rich = [i for i in range(held_out) if len(truths[i]) >= least]  # with several objects
chosen = max(rich, key=lambda index: fit(index) + suits(index))
image, objects = samples[chosen][0], truths[chosen]
class_names = [dataset.categories.by_label(label).name for label in objects.labels.tolist()]
ranked = sorted(zip(best_overlaps(chosen), class_names, strict=True), reverse=True)
print("mask IoU:", ", ".join(f"{name} {overlap:.2f}" for overlap, name in ranked))
centres, rays, _, _ = detect(image)
fans = list(zip(centres, rays, strict=True))
panels = {"the image": [], "what PolarMask answers": fans}
plotting.show_rays(image, panels, panel=4.2)

# %% [markdown] id="first-picture-read"
# Each cross is a location of the network's maps; the rays from it and the line through their ends
# are all that the network says about a shape. In Pocket COCO's image it follows the car and the
# umbrella best: nearly all of their outlines can be seen from the middle, and such shapes suit
# rays. The cups lose what shows below the car, and the donut has lost its hole.

# %% [markdown] id="problem"
# ## The problem: between a box and a drawing
#
# A mask of 64 × 64 pixels has 4,096 numbers. Most of them are easy, deep inside the object or far
# outside it; what matters is the **outline** in between. A box has 4 numbers, and a detector learns
# them well: each location of a map predicts how far it is to the left, upper, right and lower side
# of its object's box. (That detector, without anchors, is **FCOS**, Tian and others 2019.)
# PolarMask asks the same kind of question in more directions. Segmentation becomes regression of a
# few distances.

# %% id="timeline" alt="A timeline of papers; Mask R-CNN 2017, SOLO 2020 and PolarMask 2020 are marked, the last two in the lane of methods that do all at once."
plotting.timeline(highlight=["Mask R-CNN", "SOLO", "PolarMask"])

# %% [markdown] id="idea"
# ## The idea, in seven parts
#
# ### One: a shape is a list of distances
#
# Take a rectangle of 5 × 3 pixels. Its **outline** consists of its pixels that have a neighbour
# outside. Coordinates are $(x, y)$, and the centre of the first pixel is at 0. Rays start at the
# middle, $(3, 2)$, at equal angles; as in the authors' code the angle 0° points *down* and 90° to
# the right.

# %% id="outline"
def my_outline(mask):
    """bool [H, W] -> [K, 2], (x, y) of the pixels with a neighbour outside."""
    p = F.pad(mask, (1, 1, 1, 1))
    inner = p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:]
    return (mask & ~inner).nonzero().flip(1).float()


tiny, middle = torch.zeros(5, 7).bool(), torch.tensor([3.0, 2])
tiny[1:4, 1:6] = True
print(len(my_outline(tiny)), "of", int(tiny.sum()), "pixels are on the outline")

# %% [markdown] id="rays-text"
# By hand, with eight rays: down 1, right 2, up 1, left 2, and on the diagonals $\sqrt{1^2 + 1^2} =
# 1.41$, where the ray meets the middle of an outline pixel. With more rays, most of them pass
# between two pixels. So we record the distance for every degree that has a pixel, and interpolate
# between the nearest two.
#
# **Predict before you run:** a ray may cross the outline of a crooked shape several times. Which
# distance should count: the nearest crossing, the farthest, or their mean?

# %% id="rays-loop" tags=["nbval-check-output"]
def rays_loop(outline, centre, n):
    """Points (x, y), a centre and n, which divides 360 -> n distances."""
    farthest = {}  # degree -> distance
    for x, y in outline.tolist():
        dx, dy = x - float(centre[0]), y - float(centre[1])
        degree = int(math.degrees(math.atan2(dx, dy)) % 360)
        farthest[degree] = max(farthest.get(degree, 0.0), math.hypot(dx, dy))
    known = sorted(farthest)
    asked = range(0, 360, 360 // n)
    return np.interp(asked, known, [farthest[d] for d in known], period=360)  # round the circle


print(rays_loop(my_outline(tiny), middle, 8).round(2).tolist())

# %% id="tiny-figure" alt="A rectangle of 5 by 3 pixels three times, with 4, 8 and 24 rays from its middle: four rays give a flat diamond, eight a hexagon, and 24 nearly the rectangle."
shapes = {n: torch.tensor(rays_loop(my_outline(tiny), middle, n)) for n in (4, 8, 24)}
panels = {f"{n} rays": [(middle, lengths)] for n, lengths in shapes.items()}
plotting.show_rays(1 - 0.4 * tiny.float(), panels, panel=2.6)

# %% [markdown] id="rays-read"
# The line runs through the middles of the outline's pixels, half a pixel inside the rectangle; part
# Two takes care of that. With 24 rays it is wavy, since distances between two pixels are
# interpolated, and lopsided, since degrees are rounded down.
#
# And crooked shapes? In the paper the *farthest* crossing counts: everything before it then belongs
# to the mask, even a gap. Remember this for the ceiling. Now without the loop, and for real
# objects. If an object has several parts or holes, only the outline of its largest part counts, and
# the mass centre is that of this part, not of the whole mask as in lesson 10. Where more than 45°
# in a row have no outline, the library sets the length to 0 (part Five says why), while `my_rays`
# interpolates: their only difference. The library's rays are the network's **target rays**.

# %% id="rays-tensor" tags=["nbval-check-output"]
from seglib.models.polarmask.contours import contours_of
from seglib.models.polarmask.targets import rays_from


def my_rays(points, centre, n):
    """Outline points [K, 2], a centre [2] -> [n] distances."""
    dx, dy = (points - centre).T  # [K] each
    degree = (torch.rad2deg(torch.atan2(dx, dy)) % 360).long().clamp(max=359)
    farthest = torch.full((360,), -1.0)
    farthest = farthest.scatter_reduce(0, degree, torch.hypot(dx, dy), "amax")  # [360]
    known = (farthest >= 0).nonzero()[:, 0]
    asked = torch.arange(0, 360, 360 // n)
    return torch.tensor(np.interp(asked, known, farthest[known], period=360)).float()


_, contours = contours_of(objects.masks)  # of each object: outline points and mass centre
mine = torch.stack([my_rays(c.points, c.center, 36) for c in contours])  # [G, 36]
looped = torch.tensor(np.array([rays_loop(c.points, c.center, 36) for c in contours])).float()
theirs = rays_from(contours, torch.stack([c.center for c in contours]), 36, "interpolated")
print("loop = tensors:   ", torch.allclose(mine, looped, atol=1e-3))
print("mine = library's: ", torch.allclose(mine, theirs, atol=1e-3))

# %% id="profile" alt="Distance against angle for the largest object of the image: with 72 rays a line with several peaks, with 12 rays a coarse line that cuts some of the peaks off."
largest = int(objects.masks.sum(dim=(1, 2)).argmax())
contour = contours[largest]
profiles = {f"{n} rays": my_rays(contour.points, contour.center, n) for n in (72, 12)}
plotting.show_ray_profile(profiles)

# %% [markdown] id="profile-read"
# This is the largest object of the image, unrolled: a shape has become a *function of the angle*,
# and $n$ rays are $n$ samples of it. What is narrower than the step between two rays may fall
# between them.
#
# ### Two: and back
#
# A ray ends at $x = x_0 + d \sin\theta$, $y = y_0 + d \cos\theta$. The polygon through all ends is
# filled by `ops.rasterize`, whose rule you know from lesson 01. Two offsets of half a pixel need
# care: the outline's pixels belong to the object themselves, so each ray is made half a pixel
# longer; and `rasterize` puts the *corner* of the first pixel at 0.

# %% id="back" tags=["nbval-check-output"]
def my_mask(centre, distances, size):
    """A centre [2] and distances [n] -> bool [H, W]."""
    angle = torch.arange(len(distances)) * 2 * math.pi / len(distances)
    directions = torch.stack([angle.sin(), angle.cos()], dim=1)  # [n, 2]
    ends = centre + (distances + 0.5)[:, None] * directions  # [n, 2]
    return ops.rasterize([ends.numpy() + 0.5], size)


def iou(a, b):
    """Of two masks [H, W]."""
    return float((a & b).sum() / (a | b).sum())


lengths = my_rays(contour.points, contour.center, 36)
mine = my_mask(contour.center, lengths, objects.size)
theirs = polar_masks(contour.center[None], lengths[None], objects.size)[0]
print("mine = library's:", torch.equal(mine, theirs))

# %% [markdown] id="number-bet"
# **Predict before you run:** how many rays does the largest object of the image need for a mask IoU
# of 0.9: 12, 36, or 72?

# %% id="number-of-rays" alt="The largest object with 6, 12, 36 and 72 rays: with 6 the contour is a quadrilateral far from the outline, with 36 it follows the outline but for some of its corners."
panels = {}
for n in (6, 12, 36, 72):
    lengths = my_rays(contour.points, contour.center, n)
    overlap = iou(my_mask(contour.center, lengths, objects.size), objects.masks[largest])
    panels[f"{n} rays, IoU {overlap:.2f}"] = [(contour.center, lengths)]
plotting.show_rays(image, panels, panel=2.5)

# %% [markdown] id="number-read"
# For Pocket COCO's car, 36 is the first to exceed 0.9. Doubling it to 72 costs the network hardly
# anything and gains 3 more points; the paper settles on 36.
#
# ### Three: which centre?
#
# In FCOS the best locations are those around the *middle of the box*. For rays PolarMask uses the
# **mass centre**. Compare both for the largest part of each object. **Predict before you run:** for
# how many of 100 objects does the middle of this part's box lie outside the object: 3, 13, or 23?
# And the mass centre?

# %% id="study"
def study(mask, contour, start):
    """Is the start inside? The IoU of 36 target rays from there, and the rays."""
    (lengths,) = rays_from([contour], start[None], 36, "interpolated")
    x, y = start.round().long().tolist()
    return bool(mask[y, x]), iou(my_mask(start, lengths, mask.shape), mask), lengths

# %% id="centres" tolerance=0.05
rows = []
for index, truth in enumerate(truths):
    for g, contour in zip(*contours_of(truth.masks), strict=True):
        box_middle = (contour.points.amin(dim=0) + contour.points.amax(dim=0)) / 2
        starts = {"mass": contour.center, "box": box_middle}
        found = {name: study(truth.masks[g], contour, start) for name, start in starts.items()}
        rows.append((index, g, starts, found))
for name in ("mass", "box"):
    inside, overlap = (np.mean([found[name][k] for *_, found in rows]) for k in (0, 1))
    print(f"{name:4s} centre: {inside:.0%} inside the object, IoU of 36 target rays {overlap:.3f}")

# %% id="centres-figure" alt="One object, outlined, partly behind another one, with 36 rays from its mass centre and from the middle of its box. From the mass centre, which lies in the object, the contour follows most of its largest part; from the middle of the box, which lies on what hides it, some rays have no length and some are too short, so that the contour has deep notches."
def gain(row):
    """Is only the mass centre inside? By how many pixels, roughly, does it serve better?"""
    area, found = truths[row[0]].masks[row[1]].sum(), row[3]
    return found["mass"][0] > found["box"][0], (found["mass"][1] - found["box"][1]) * area


index, g, starts, found = max(rows, key=gain)
fans = {name: (starts[name], found[name][2]) for name in starts}
panels = {f"{name} centre, IoU {found[name][1]:.2f}": [fan] for name, fan in fans.items()}
plotting.show_rays(samples[index][0], panels, truths[index].masks[g][None], panel=3.6)

# %% [markdown] id="centres-read"
# **"The middle of the box is the natural centre" is true for boxes.** A ray needs a start from
# which it can *see* the outline. In Pocket COCO the middle of the box lies outside for one object
# in eight, the mass centre for half as many, and target rays from it lose a little less. For some
# objects they lose much less: the figure shows a clock (dark outlines). The middle of its box lies
# on the car in front. Rays that leave across the car meet no outline and have length 0; where a
# degree contains only a pixel of the near edge, the ray is too short.

# %% [markdown] id="locations-text"
# ### Four: which locations learn an object
#
# The network reads a pyramid, and *every cell of every level* predicts a class, a centerness, a box
# and rays. The cell in column $i$ and row $j$ of a map of stride $s$ stands for a **location** of
# the image, $(i s + \lfloor s/2 \rfloor, j s + \lfloor s/2 \rfloor)$. It learns an object if
#
# - it lies inside the object's box, and less than 1.5 strides from its mass centre, in $x$ and $y$;
# - the *farthest* side of the box is within the range of its level: up to 32 px, 32 to 64 px, or 64
#   px and more;
# - of several such objects, it learns the one with the smallest box.

# %% id="owner-loop"
def owner(point, stride, low, high, corners, centres):
    """The index of the object that a location learns, or -1; all in (x, y), px."""
    best, smallest = -1, math.inf
    for g, (box, centre) in enumerate(zip(corners.tolist(), centres.tolist(), strict=True)):
        sides = [point[0] - box[0], point[1] - box[1], box[2] - point[0], box[3] - point[1]]
        near = all(abs(point[k] - centre[k]) < config.radius * stride for k in (0, 1))
        area = (box[2] - box[0]) * (box[3] - box[1])
        if min(sides) > 0 and near and low <= max(sides) <= high and area < smallest:
            best, smallest = g, area
    return best

# %% id="owner-check" tags=["nbval-check-output"]
from seglib.models.polarmask.targets import assign_locations, mass_centers


def owners_of(image, truth):
    """Locations and the object that each learns, by the library; boxes and mass centres."""
    with torch.no_grad():
        locations = polar([image]).locations  # L of them
    corners = truth.boxes.float() - 0.5  # [G, 4]; the centre of the first pixel is at 0
    centres = mass_centers(contours_of(truth.masks)[1], published=False)  # [G, 2]
    areas = (corners[:, 2:] - corners[:, :2]).prod(dim=1)
    owners = assign_locations(locations, corners, centres, areas, config.radius)  # [L]
    return locations, owners, corners, centres


locations, theirs, corners, centres = owners_of(image, objects)
points, ranges = locations.points.tolist(), locations.ranges.tolist()
each = zip(points, locations.strides.tolist(), ranges, strict=True)
mine = [owner(point, stride, *limits, corners, centres) for point, stride, limits in each]
print(f"{len(mine)} locations; as in the library: {mine == theirs.tolist()}")

# %% [markdown] id="positives-bet"
# Each location learns the rays *from itself* to the outline, not those from the mass centre.
# **Predict before you run:** how many locations does an object get: always one, always nine, or
# does it vary?

# %% id="positives" alt="The image once per level of the pyramid under a grid of dots, which is coarser from level to level. Around the mass centre of each object a few dots are coloured, those of small objects on the finest level and those of large objects on the coarser ones. The legend counts the locations of each object, level by level."
panels, lows = {}, locations.ranges[:, 0].unique().clamp(min=0).tolist()
levels = [locations.strides == stride for stride in polar.strides]
counts = [[int((theirs[here] == g).sum()) for here in levels] for g in range(len(centres))]
owned = {f"{g + 1} {class_names[g]}: {each}": theirs == g for g, each in enumerate(counts)}
for stride, here, low in zip(polar.strides, levels, lows, strict=True):
    groups = {name: locations.points[here & own] for name, own in owned.items()}
    panels[f"stride {stride:.0f}, from {low:.0f} px"] = (locations.points[here], groups)
plotting.show_locations(image, panels, centres, panel=3.2)

# %% id="positive-counts" tolerance=0.1
counts = []
for (picture, _), truth in zip(samples, truths, strict=True):
    owners = owners_of(picture, truth)[1]
    counts += [int((owners == g).sum()) for g in range(len(truth))]
few = sorted(counts)
print(f"locations per object: {few[0]} to {few[-1]}, median {few[len(few) // 2]}")
print(f"objects without any location: {counts.count(0)} of {len(counts)}")

# %% [markdown] id="positive-read"
# Three strides contain three locations in a row, so nine per level is usual. Near the limit of a
# range, two levels share an object: in Pocket COCO's image the car has nine locations at stride 8
# and two at stride 16, to the right of its mass centre, since from nearer columns no side of its
# box is 64 px away. A thin or small object loses the locations outside its box and those that a
# smaller object takes. An object without any locations is not learned at all. Several predictions
# for one object are welcome; suppression removes the duplicates.

# %% [markdown] id="centerness-text"
# ### Five: centerness
#
# These locations are not equally good. Near the border of an object some rays are short and others
# long, and long distances are hard to regress. **Polar centerness** measures this:
#
# $$c = \sqrt{\frac{\min(d_1, \ldots, d_n)}{\max(d_1, \ldots, d_n)}}$$
#
# For the rectangle: $\sqrt{1/2} = 0.71$ from its middle with eight rays.
#
# **Predict before you run:** what is the centerness in the middle of a disc, and what in the middle
# of a bar of 5 × 41 pixels?

# %% id="centerness" tags=["nbval-check-output"]
from seglib.models.polarmask.losses import polar_centerness


def my_centerness(rays):
    """[P, n] -> [P]."""
    return (rays.amin(dim=1) / rays.amax(dim=1)).sqrt()


y, x = torch.meshgrid(torch.arange(61) - 30, torch.arange(61) - 30, indexing="ij")
for name, shape in {"disc": x**2 + y**2 <= 400, "bar": (y.abs() <= 2) & (x.abs() <= 20)}.items():
    lengths = my_rays(my_outline(shape), torch.tensor([30.0, 30]), 36)[None]  # [1, 36]
    mine, theirs = my_centerness(lengths), polar_centerness(lengths)
    print(f"{name}: centerness {mine[0]:.2f}, as in the library: {torch.equal(mine, theirs)}")

# %% id="centerness-figure" alt="The centerness at every pixel of the largest object: highest in its thickest part, falling to zero at the outline." tolerance=0.05
values = torch.full(objects.size, torch.nan)
pixels = objects.masks[largest].nonzero().flip(1).float()  # [P, 2], (x, y)
lengths = rays_from([contours[largest]] * len(pixels), pixels, 36, "interpolated")
values[objects.masks[largest]] = each = my_centerness(lengths)  # [P]
near = (pixels - contours[largest].center).norm(dim=1).argmin()
print(f"highest {each.max():.2f}, nearest to the mass centre {each[near]:.2f}")
x0, y0, x1, y1 = objects.boxes[largest].int().tolist()
plotting.show_heatmap(values[y0:y1, x0:x1], "Centerness of the largest object", label="centerness")

# %% [markdown] id="centerness-read"
# **"Centerness is 1 in the middle of every object" is wrong**: that is true of discs (0.98 here, as
# they consist of pixels). In the middle of the long bar it is $\sqrt{2/20}$, less than a third;
# elsewhere in the bar the shortest ray is no longer than that, and the longest ray is longer.
# **Nor is it always highest at the mass centre**: in the heat map it falls towards the outline, but
# in Pocket COCO's car the best place is 11 px away, under the roof. (And outside, in a bay?
# Interpolation would invent an arc across the opening: rays of nearly equal length, and so a high
# centerness. That is why the library sets such rays to 0.)
#
# The network predicts the centerness alongside the class, and it has two uses. In the *loss*, rays
# and boxes are weighted by the centerness of their location. The *score* is class probability times
# centerness, so that of several predictions for one object the most central one wins. The price is
# that the scores of long objects are low, and all scores are lower than you are used to. (The
# authors multiply by centerness + 0.5; we take the plain product, as in FCOS.)

# %% [markdown] id="iou-text"
# ### Six: Polar IoU
#
# How wrong are predicted rays $d$, if the true ones are $d^*$? A regression loss such as **smooth
# L1** (half the square of an error below 1 px, the error minus one half above) looks at each ray
# separately. But 36 rays make *one* mask, and what counts is its IoU. In polar coordinates the area
# of a thin sector is $\frac12 d^2\,\Delta\theta$, and in each direction the two shapes have the
# shorter of their rays in common:
#
# $$\text{IoU} = \frac{\sum_k \min(d_k, d_k^*)^2}{\sum_k \max(d_k, d_k^*)^2}, \qquad
# \text{Polar IoU} = \frac{\sum_k \min(d_k, d_k^*)}{\sum_k \max(d_k, d_k^*)}.$$
#
# The paper leaves the squares out, since the result trains better. The loss is
# $-\ln(\text{Polar IoU})$.
#
# By hand, with four rays: true (4, 4, 4, 4), predicted (2, 4, 4, 6). The minima add up to $2 + 4 +
# 4 + 4 = 14$, the maxima to $4 + 4 + 4 + 6 = 18$: Polar IoU $= 14/18 = 0.78$.

# %% id="polar-iou" tags=["nbval-check-output"]
def polar_iou_loop(predicted, true):
    shared = joint = 0.0
    for d, target in zip(predicted, true, strict=True):
        shared, joint = shared + min(d, target), joint + max(d, target)
    return shared / joint


def my_polar_iou(predicted, true):
    """[N, n] each -> [N]."""
    return torch.minimum(predicted, true).sum(dim=1) / torch.maximum(predicted, true).sum(dim=1)


predicted, true = torch.tensor([[2.0, 4, 4, 6]]), torch.full((1, 4), 4.0)
looped = polar_iou_loop(predicted[0].tolist(), true[0].tolist())
theirs = ops.polar_iou(predicted, true)
print(f"loop {looped:.2f}, tensors {my_polar_iou(predicted, true)[0]:.2f}, library {theirs[0]:.2f}")

# %% [markdown] id="discs-bet"
# **Predict before you run:** all 36 rays of a disc are predicted 2 px too long, once for a disc of
# radius 4 and once for one of radius 40. Which of the two costs more by smooth L1, and which by the
# loss above?

# %% id="discs" tags=["nbval-check-output"]
print("radius  smooth L1  -ln(Polar IoU)  Polar IoU  IoU")
for radius in (4.0, 10.0, 40.0):
    true, predicted = torch.full((1, 36), radius), torch.full((1, 36), radius + 2)
    each = F.smooth_l1_loss(predicted, true)
    overlap = my_polar_iou(predicted, true)[0]
    area = my_polar_iou(predicted**2, true**2)[0]
    row = f"{radius:6.0f} {each:10.2f} {-overlap.log():15.2f} {overlap:10.2f} {area:5.2f}"
    print(row)

# %% [markdown] id="discs-read"
# Smooth L1 sees no difference. But two pixels ruin the small disc and hardly affect the large one.
# Polar IoU is a *ratio*: it takes the size of the object into account. (And it is **not** the IoU
# of the masks, as the last column shows: without the squares it is milder.)
#
# It also couples the rays. The gradient of $-\ln(\text{Polar IoU})$ is $-1/\sum\min$ for every ray
# that is too short and $1/\sum\max$ for every ray that is too long: the whole shape sets its scale.

# %% [markdown] id="predict-text"
# ### Seven: from predictions to masks
#
# Three towers of convolutions read each level: one for class and centerness, one for the box, one
# for the rays. The same towers serve all levels; only a factor $\beta$ in the exponent, $d =
# e^{\beta x}$, is learned for each level; it starts at 1, 1.25 and 1.5. The exponential keeps every
# distance positive.

# %% id="diagram" alt="A flow diagram: a level of the pyramid leads to three towers, the first of which leads to class and centerness, the others to box and rays; class and centerness are multiplied to a score, score and box enter NMS, and the rays of the survivors become masks. Box and rays are exponentials with a factor for the level."
from seglib.plotting import Block

towers = {"tower 1": 0.5, "tower 2": 2, "tower 3": 3}
blocks = [Block("level", "[F, h, w]", at=(0, 2))]
blocks += [Block(name, "convolutions", at=(1, row)) for name, row in towers.items()]
heads = {"class": "C", "centerness": "1", "box": "4", "rays": f"{config.rays}"}
for row, (name, width) in enumerate(heads.items()):
    blocks.append(Block(name, f"[{width}, h, w]", "head", at=(2, row)))
blocks += [
    Block("score", "their product", "data", at=(3, 0.5)),
    Block("NMS", "on boxes", "data", at=(3, 2)),
    Block("masks", "filled contours", "output", at=(3, 3)),
]
arrows = [("level", name) for name in towers] + [("tower 1", "class"), ("tower 1", "centerness")]
arrows += [("tower 2", "box", r"$e^{\beta x}$"), ("tower 3", "rays", r"$e^{\beta x}$")]
arrows += [("class", "score"), ("centerness", "score"), ("score", "NMS"), ("box", "NMS")]
arrows += [("NMS", "masks"), ("rays", "masks")]
plotting.flow_diagram(blocks, arrows, title="PolarMask, one level of the pyramid")

# %% [markdown] id="predict-read"
# Why boxes, when rays would do? Overlaps of boxes are quick to compute, and only the rays of the
# survivors become masks. (According to the authors, the boxes around the contours do just as well.)
#
# Training minimises the sum of four losses: the focal loss (lesson 10) of the classes, a cross
# entropy of the centerness, −ln(Polar IoU) of the rays (`mask_loss`) and −ln(IoU) of the boxes.

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# Your own code goes from the best locations of each level (`candidates`: location, box, rays, class
# probabilities, and centerness as `factors`) to scores, labels and masks:

# %% id="my-predict"
def my_predict(image):
    """Scores [d], labels [d] and masks [d, H, W], best first."""
    with torch.no_grad():
        c = polar.candidates(polar([image]), 0, image.shape[1:])
    rows, classes = (c.probabilities > config.score_threshold).nonzero().T  # [m] each
    scores = c.probabilities[rows, classes] * c.factors[rows]  # class times centerness
    kept = []
    for label in classes.unique():
        own = (classes == label).nonzero()[:, 0]
        kept.append(own[ops.nms(c.boxes[rows[own]], scores[own], config.nms_iou)])
    kept = torch.cat(kept) if kept else rows
    kept = kept[scores[kept].argsort(descending=True)][: config.max_detections]
    shapes = zip(c.points[rows[kept]], c.rays[rows[kept]], strict=True)
    masks = [my_mask(*shape, image.shape[1:]) for shape in shapes]
    return scores[kept], classes[kept] + 1, masks

# %% id="equality-whole" tags=["nbval-check-output"]
scores, labels, masks = my_predict(image)


def same_as_mine(found):
    equal = len(found) == len(scores) and torch.allclose(scores, found.scores, atol=1e-4)
    overlaps = (ops.mask_iou(a[None], b[None]) for a, b in zip(masks, found.masks, strict=False))
    return equal and torch.equal(labels, found.labels) and all(o > 0.98 for o in overlaps)


if len(scores):
    print("your detections = predict's:", same_as_mine(polar.predict([image])[0].instances))
    with seglib.use("scratch"):
        print("on scratch code:            ", same_as_mine(polar.predict([image])[0].instances))
else:
    print("No class scores above the threshold on this image: there is nothing to compare.")

# %% [markdown] id="equality-read"
# The library is tested against values recorded from the authors' code: rays, targets, losses,
# contours, and whole networks from image to detections (`tests/test_polarmask_whole.py`).

# %% [markdown] id="learns"
# ## It learns
#
# **Overfit one image** first, with a fresh network.

# %% id="overfit" alt="The loss of a fresh PolarMask on one image falls steeply over 40 steps." tolerance=0.3
from seglib.models.polarmask import PolarMask, PolarMaskConfig
from seglib.training import overfit

torch.manual_seed(0)
fresh = PolarMask(PolarMaskConfig.pocket(), dataset.categories)
target = samples[chosen][1]
with torch.no_grad():
    start = fresh.loss([image], [target])
print(", ".join(f"{name} {value:.2f}" for name, value in start.items()))
losses = overfit(fresh, [image], [target], steps=40, lr=2e-3)
print(f"sum {losses[0]:.2f} → {losses[-1]:.2f}")
plotting.training_curve(losses, title="One image, over and over")

# %% [markdown] id="overfit-read"
# The sum cannot reach zero: the targets of the centerness lie between 0 and 1, and even a perfect
# prediction of 0.6 for a target of 0.6 costs 0.67.
#
# ### Live: two losses, the same start
#
# Does Polar IoU train better than smooth L1? Put a new ray tower into the trained network, and
# train only this tower, once with each loss, from the same random start, on 60 further validation
# images. The model takes $-\ln$ of whatever `polar_iou` returns; so to train with smooth L1, we
# give it $e^{-\text{smooth L1}}$. **Predict before you run:** which tower will do better where rays
# are short, and which where they are long? And what does a fresh tower draw before its first step:
# nothing, a circle, or a star with random tips?

# %% id="live-judged"
def judged(network, pairs, as_iou):
    """The mask loss with `as_iou` for Polar IoU; predicted and true rays [P, n]."""
    seen = []

    def judge(predicted, true):
        seen[:] = predicted, true
        return as_iou(predicted, true)

    with seglib.use(polar_iou=judge):
        return network.loss(*zip(*pairs, strict=True))["mask_loss"], *seen

# %% id="live-train"
from copy import deepcopy

from seglib.models.polarmask.head import PolarHead


def learn_rays(as_iou, pairs, steps=60):
    """The trained copy, -ln(Polar IoU) at each step, and the chosen image's rays at times."""
    torch.manual_seed(0)
    student, new = deepcopy(polar).requires_grad_(False), PolarHead(config, len(dataset.categories))
    for part in ("ray_tower", "to_rays", "ray_scales"):
        setattr(student.head, part, getattr(new, part))
    learned = [value for value in student.parameters() if value.requires_grad]
    optimizer, curve, seen = torch.optim.Adam(learned, lr=3e-3), [], {}
    for step in range(steps + 1):
        if step in (0, 10, steps):
            seen[f"step {step}"] = student([image]).head.rays[0].detach()  # [L, n]
        first = 4 * step % len(pairs)
        loss, rays, true = judged(student, pairs[first : first + 4], as_iou)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(float(-my_polar_iou(rays, true).detach().log().mean()))
    return student, curve, seen

# %% id="live" alt="Minus the logarithm of Polar IoU over 60 steps for two ray towers: both curves fall, and that of the tower trained with Polar IoU lies a little below the other one nearly everywhere." tolerance=0.1
further = [dataset[i] for i in range(held_out, min(held_out + 60, len(dataset)))]
rules = {
    "Polar IoU": my_polar_iou,
    "smooth L1": lambda d, true: (-F.smooth_l1_loss(d, true, reduction="none").mean(dim=1)).exp(),
}
learned = {name: learn_rays(as_iou, further) for name, as_iou in rules.items()}
for name, (student, _, _) in learned.items():
    with torch.no_grad():
        _, found, true = judged(student, samples, my_polar_iou)
    overlap, short = my_polar_iou(found, true), true.mean(dim=1) < 8
    by_length = f"short rays {overlap[short].mean():.3f}, long rays {overlap[~short].mean():.3f}"
    print(f"trained with {name}, Polar IoU on held-out images: {by_length}")
curves = {f"trained with {name}": curve for name, (_, curve, _) in learned.items()}
plotting.training_curve(
    curves, steps=range(61), measure="−ln(Polar IoU)", title="Two ray towers learn",
    caption="pale: each step; bold: smoothed",
)

# %% id="live-figure" alt="The chosen image three times, with the rays that the new tower gives at a location of the largest object: before training the contour is a star with random tips, after 10 steps a rough oval, after 60 steps an outline about as wide and high as the object, without its details."
_, owners, _, centres = owners_of(image, objects)
apart = (locations.points - centres[largest]).norm(dim=1)
spot = int(apart.where(owners == largest, torch.inf).argmin())  # its most central location
_, _, seen = learned["Polar IoU"]
panels = {name: [(locations.points[spot], rays[spot])] for name, rays in seen.items()}
plotting.show_rays(image, panels, panel=2.9)

# %% [markdown] id="live-read"
# A star: the last layer starts with a bias of $\ln 16$, which with the three factors $\beta$ gives
# rays of about 16, 32 and 64 px, and random weights disturb each of them. After ten steps most
# neighbouring rays agree, and the contour is a rough oval. Sixty steps are enough to learn the size
# and the proportions of the object, but no details.
#
# Measured by its own loss, the tower with Polar IoU is ahead. So it is on the held-out images, by
# two or three points, and not only where rays are short, as the two discs suggested. (Adam divides
# every gradient by its usual size, so the scale of a loss does not matter here.) One seed and 60
# steps do not settle it; but on COCO, too, the paper reports a clear gain with Polar IoU.
#
# ### The shipped network
#
# It was trained in two runs. The first, on a GPU, began with the backbone of lesson 07's Mask R-CNN
# and random weights for all the rest; the second went on from there, on a CPU.

# %% id="shipped-figures"
shipped = record("polarmask")
print(shipped["command"].replace(" && ", "\n").replace(" --ema", "\n    --ema"))
print(f"{shipped['evaluated']}  mask AP  ceiling  AP / ceiling  box AP   SOLO's mask AP")
for size, word in (("", "all"), ("s", "small"), ("m", "medium"), ("l", "large")):
    known, solo = (r["figures"] for r in (shipped, record("solo")))
    ours, limit = known[f"mask_AP{size}"], shipped["ceilings"][f"mask_AP{size}"]["ceiling"]
    print(f"{word:17s} {ours:8.3f} {limit:8.3f} {ours / limit:13.0%}", end="")
    print(f" {known[f'box_AP{size}']:7.3f} {solo[f'mask_AP{size}']:12.3f}")

# %% [markdown] id="shipped-read"
# Read the second column first: even a *perfect* network with 36 rays would stay far below 1. Large
# objects come closer to what rays allow than small ones. And the boxes are better than the masks:
# the network finds the objects, but its rays do not follow them closely. SOLO, which draws freely,
# is ahead, except for small objects.

# %% [markdown] id="inside"
# ## Look inside: what rays cannot describe
#
# What lowers the ceiling? Four things can: holes and further parts; bays, which the farthest
# crossing fills; too few rays; and our way of measuring them, degree by degree. We separate these
# effects without any network. First fill the holes of the largest part of each object and drop the
# other parts. Describe the result with 360 rays, measured by walking outwards in small steps, then
# with 36, and finally with 36 target rays, all from the mass centre. **Predict before you run:**
# which step costs most?

# %% id="forms"
from scipy import ndimage


def largest_filled(mask):
    """The largest part of a mask without its holes."""
    parts, count = ndimage.label(mask.numpy(), np.ones((3, 3)))
    areas = ndimage.sum_labels(mask.numpy(), parts, range(1, count + 1))
    return torch.tensor(ndimage.binary_fill_holes(parts == 1 + int(areas.argmax())))


def walked(shape, centre, n):
    """Rays without degrees: walk outwards, and keep the last step inside the shape."""
    height, width = shape.shape
    steps, angle = torch.arange(0, height + width, 0.25), torch.arange(n)[:, None] * 2 * math.pi / n
    x = (centre[0] + steps * angle.sin()).round().long()  # [n, S]
    y = (centre[1] + steps * angle.cos()).round().long()  # [n, S]
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    inside = seen & shape[y.clamp(0, height - 1), x.clamp(0, width - 1)]
    return ((steps * inside).amax(dim=1) - 0.5).clamp(min=0)  # from a pixel's edge to its middle

# %% id="reasons" tolerance=0.05
names = "largest part, filled", "360 rays, walked", "36 rays, walked", "36 rays, by degrees"
steps = {name: [] for name in names}
for truth in truths:
    for mask, c in zip(truth.masks, contours_of(truth.masks)[1], strict=True):
        whole = largest_filled(mask)
        rays = [walked(whole, c.center, n) for n in (360, 36)] + [study(mask, c, c.center)[2]]
        forms = [whole, *(my_mask(c.center, lengths, truth.size) for lengths in rays)]
        for form, overlaps in zip(forms, steps.values(), strict=True):
            overlaps.append(iou(form, mask))
for name, overlaps in steps.items():
    print(f"{name:20s} mean IoU {np.mean(overlaps):.3f}")
torn = [ndimage.label(m, np.ones((3, 3)))[1] > 1 for truth in truths for m in truth.masks]
print(f"{sum(torn)} of {len(torn)} objects have several parts")

# %% [markdown] id="reasons-read"
# In Pocket COCO holes and further parts cost most, about 7 points of IoU: two objects in five
# consist of several parts, because something stands in front of them or, as with many kites,
# because the string between their parts is too thin. Bays cost about 5 more; 36 instead of 360 rays
# cost less, and measuring by degrees least. So the representation itself loses 12 points, and the
# number of rays and the way they are measured 6. Here are the shapes that lose most.

# %% id="lost-shapes" alt="Four objects with the worst contours, each in several parts: the contour follows only the largest part, which is green; large blue areas are the other parts, which it misses; small orange ones are what it covers although the object is not there."
def crop(index, g):
    """A square around an object: image, true mask, and the mask of 36 target rays."""
    size, box = truths[index].size, truths[index].boxes[g]
    side = min(*size, max(64, int((box[2:] - box[:2]).max()) + 16))
    corner = zip(((box[:2] + box[2:] - side) / 2).int().tolist(), size[::-1], strict=True)
    x, y = (max(0, min(at, limit - side)) for at, limit in corner)
    contour = contours_of(truths[index].masks)[1][g]
    lengths = study(truths[index].masks[g], contour, contour.center)[2]
    drawn = my_mask(contour.center, lengths, size)
    layers = (samples[index][0], truths[index].masks[g], drawn)
    return [layer[..., y : y + side, x : x + side] for layer in layers]


numbered = [(i, g) for i, truth in enumerate(truths) for g in range(len(truth))]
order = sorted(range(len(numbered)), key=lambda k: steps["36 rays, by degrees"][k])
names = [dataset.categories.by_label(int(truths[i].labels[g])).name for i, g in numbered]
worst = [crop(*numbered[k]) for k in order[:4]]
plotting.show_mask_errors(worst, [names[k] for k in order[:4]], columns=4)

# %% [markdown] id="lost-read"
# Blue shows what the contour misses: in Pocket COCO's four all parts but the largest. Orange shows
# what it adds, such as a bay that it fills.
#
# The score of target rays is the **ceiling**: the score of a network that has learned its targets
# perfectly. (It is not a strict bound: a network that shortens its rays at a bay may score a little
# higher, but its loss does not reward that.) For each number of rays:

# %% id="ceiling" tolerance=0.02
from dataclasses import replace

from seglib.metrics.ceilings import model_ceiling

print("rays  ceiling of mask AP  AP50  AP75")
for n in (12, 18, 24, 36, 72):
    perfect = PolarMask(replace(config, rays=n), dataset.categories)
    figures = model_ceiling(perfect, dataset, held_out).figures
    row = [figures[key] for key in ("mask_AP", "mask_AP50", "mask_AP75")]
    print(f"{n:4d}  {row[0]:18.3f} {row[1]:5.2f} {row[2]:5.2f}")

# %% [markdown] id="ceiling-read"
# (These are the images at hand; the table further up is for all validation images. That 24 rays
# reach here what 36 reach there is chance.) In Pocket COCO nearly everything can be described at an
# IoU of 0.5, even with 12 rays. (AP50 falls a little at 36, since two objects happen to be just
# below 0.5.) What rays lose is precision: look at AP75. Doubling 12 rays gains 12 points of AP,
# doubling 36 only 3. So interpret a low mask AP of PolarMask with care: much of what is missing was
# never within reach.
#
# And within reach? Of the images with at least three objects, the one on which the network does
# worst:

# %% id="worst" alt="An image, the masks of PolarMask, and the true masks: of eight objects it finds a bird, a kite and a potted plant, whose contour also covers the edge of an umbrella; an airplane, two umbrellas and two cups are missing."
worst = min(rich, key=fit)
shown = {"PolarMask": polar.predict([samples[worst][0]])[0], "truth": samples[worst][1]}
plotting.compare(samples[worst][0], shown, dataset.categories, min_score=0.3, panel=3.2)

# %% [markdown] id="worst-read"
# In Pocket COCO it finds the bird, the kite and the plant, though the plant's contour covers the
# edge of the umbrella beside it. It misses the airplane behind the bird, both umbrellas, of which
# parts are seen here and there, and both cups, though most of the larger one is visible.

# %% [markdown] id="try"
# ## Try it
#
# **Polar explorer.** It starts at the largest object's mass centre, rounded to whole pixels. Where
# is the IoU highest, and where is the centerness highest? Move out of the object: what is left of
# its contour? How few rays are enough for a compact object, and for one with tips?

# %% id="polar-explorer" alt="Four controls, for the object, the place across and down, and the number of rays, above the image with the rays from that place to the object's outline, and the image in grey in which green marks what mask and object share and other colours where they differ; a line below gives IoU and centerness."
from seglib.widgets import Option, PolarExplorer, Question, Quiz

PolarExplorer(image, objects.masks, index=largest)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
farthest = Question(
    "A ray leaves a crescent, crosses a bay, and enters the other horn. What does it measure?",
    [
        Option("The distance to the first crossing",
               feedback="Then the far horn would be lost; the paper decides otherwise."),
        Option("The distance to the last of its crossings", True,
               "The farthest point counts, and the bay is filled."),
        Option("The mean of the distances to all its crossings",
               feedback="The contour would then follow no edge at all."),
    ],
    objective="polar coordinates",
)
centre = Question(
    "Why the mass centre, and not the middle of the box?",
    [
        Option("It lies in the object more often, where rays see more of the outline", True,
               "In our count it lies inside more often, and target rays from it lose less."),
        Option("It can be computed faster than the middle of the box",
               feedback="The middle of a box is the mean of two corners: nothing is faster."),
        Option("It is inside every object",
               feedback="Not inside every object: think of a ring, or of a crescent."),
    ],
    objective="locations",
)
Quiz([farthest, centre], title="Centres and rays")

# %% id="quiz-two" tags=["quiz", "hide-input"]
low_score = Question(
    "A long ruler is recognised with certainty. Why is its score still low?",
    [
        Option("Its class probability is divided by its length",
               feedback="The class probability knows nothing of the shape."),
        Option("NMS lowers scores of elongated boxes",
               feedback="Greedy NMS removes detections or leaves their scores alone."),
        Option("Its centerness is low everywhere", True,
               "Its shortest and longest rays differ greatly from any point inside."),
    ],
    objective="centerness",
)
ratio = Question(
    "Predicted rays (3, 3, 3, 3), true rays (3, 3, 3, 6). What is the Polar IoU?",
    [
        Option("0.75", feedback="Three of four rays are correct, but the sums count: 12 / 15."),
        Option("0.8", True, "Minima 3 + 3 + 3 + 3 = 12, maxima 3 + 3 + 3 + 6 = 15."),
        Option("0.57", feedback="That is with squares, 36 / 63: the IoU of the areas."),
    ],
    objective="Polar IoU",
)
Quiz([low_score, ratio], title="Centerness and Polar IoU")

# %% id="quiz-three" tags=["quiz", "hide-input"]
scale = Question(
    "The rays of two objects are 3 px too long. For which is −ln(Polar IoU) larger?",
    [
        Option("For the small one", True, "3 px are a large share of its rays."),
        Option("For the large one, as it has more pixels along its outline",
               feedback="A ratio does not count pixels; it compares sums of distances."),
        Option("For both the same, since the errors are equal",
               feedback="That is smooth L1."),
    ],
    objective="Polar IoU",
)
ceiling = Question(
    "A perfect network with 36 rays has a mask AP far below 1 here. What raises it most?",
    [
        Option("Training the network for longer",
               feedback="It has learned its targets perfectly; there is nothing left to train."),
        Option("Using 72 rays, which follow every tip of an outline",
               feedback="That is worth a few points; other things cost more."),
        Option("A form that can leave out bays, gaps and holes", True,
               "They cost more than everything that further rays would bring."),
    ],
    objective="ceiling",
)
Quiz([scale, ceiling], title="Sizes and ceilings")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/11_polarmask.ipynb) has three tasks: Polar IoU with any exponent,
# which then runs in the real model; exact rays to a polygon, without degrees; and masks from rays
# without a polygon, by testing each pixel.

# %% [markdown] id="summary"
# ## In one minute
#
# - A mask is its outline, and an outline is a centre and $n$ distances: 36 numbers instead of
#   thousands.
# - Locations around the mass centre of an object learn it, each with the rays from itself. The mass
#   centre lies inside the object more often than the middle of the box.
# - Centerness compares the shortest ray with the longest. It weights the loss, and lowers the score
#   near the border of any object, and everywhere in long ones.
# - Polar IoU judges all rays of a shape together, and relative to its size.
# - Rays cannot express holes, further parts or bays. That costs more than the number of rays. So
#   PolarMask suits compact shapes for which a rough outline is enough.
#
# **The published numbers beside ours.** Theirs are mask AP on photographs of COCO (val2017), from
# the authors' repository (1x is 12 epochs); ours are on 300 drawn images. Compare rows only within
# each group.

# %% id="published" tolerance=0.01
print("PolarMask, ResNet-50, 1x schedule            29.1")
print("PolarMask, ResNet-101, 1x schedule           30.4")
print("PolarMask, ResNeXt-101, 1x schedule          32.6")
print(f"ours, PolarMask on Pocket COCO               {100 * shipped['figures']['mask_AP']:.1f}")
print(f"a perfect PolarMask there      {100 * shipped['ceilings']['mask_AP']['ceiling']:18.1f}")

# %% [markdown] id="table-text"
# **All networks so far.** Mask AP and its parts are measured on the 300 validation images. Below
# it is the time for one image as a multiple of Mask R-CNN's, measured on your machine just now.

# %% id="all-networks" tags=["nbval-check-output"]
from seglib import comparison

paradigms = ["mask_rcnn", "cascade_rcnn", "yolact", "solo", "polarmask"]
print(comparison.record_table(paradigms))

# %% [markdown] id="table-read"
# Compare AP50 with AP: at an IoU of 0.5 PolarMask finds more than Mask R-CNN, and loses where
# outlines must be exact. (The training runs differ in length and images: differences of a few
# points say little about the methods.)

# %% id="seconds"
networks = {name: load(name, dataset.categories) for name in paradigms}
print(comparison.time_table(networks, image))

# %% [markdown] id="references"
# **Next**: every network so far finds an object many times and then removes the duplicates. Can a
# network learn to predict each object exactly once? [Lesson 12](12_detr.ipynb) shows one that does.
#
# **References**
#
# - E. Xie, P. Sun, X. Song, W. Wang, X. Liu, D. Liang, C. Shen, P. Luo. PolarMask: single shot
#   instance segmentation with polar representation. *CVPR* 2020. arXiv 1909.13226.
# - Z. Tian, C. Shen, H. Chen, T. He. FCOS: fully convolutional one-stage object detection. *ICCV*
#   2019. arXiv 1904.01355.
