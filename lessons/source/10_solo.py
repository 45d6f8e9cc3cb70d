# %% [markdown] id="start"
# # 10. SOLO
#
# Nearly every network so far that tells objects apart first finds a region and then looks inside
# it; YOLACT draws on the whole image, but needs boxes to crop its masks. SOLO (Wang and others
# 2020) needs no boxes, no proposals, no crops. It turns the location of an object into a class, and
# asks the same question at every location of the image at once. One question runs through the
# lesson: **how can a convolution, which gives the same answer wherever the image looks the same,
# draw each object separately?**
#
# **You will be able to**
#
# 1. say which cells of which grids learn an object, and what happens where two objects meet;
# 2. explain why an ordinary convolution cannot tell locations apart, and what CoordConv changes;
# 3. give the shapes of the two branches, and compare the dice loss with the cross entropy;
# 4. draw a mask with a predicted kernel, as SOLOv2 does;
# 5. compute Matrix NMS by hand, and say what its compensation is for.
#
# **You need first** [lesson 07](07_mask_rcnn.ipynb): the pyramid, ceilings, scores by size;
# suppression from [lesson 06](06_rcnn.ipynb), convolution from [lesson 02](02_convolution.ipynb),
# prototypes and coefficients from [lesson 09](09_yolact.ipynb).
# **Time** about 70 minutes to read, about a minute to run.

# %% id="imports"
import torch
import torch.nn.functional as F
from torch import nn

import seglib
from seglib import ops, plotting
from seglib.data import load_dataset
from seglib.pretrained import load, record

# %% id="data"
torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(40, len(dataset) // 2)
samples = [dataset[i] for i in range(held_out)]
truths = [truth[~truth.iscrowd] for _, truth in samples]
solo, mask_rcnn = (load(name, dataset.categories) for name in ("solo", "mask_rcnn"))
print(f"{dataset.name}: {len(samples)} images to look at")

# %% [markdown] id="load-text"
# Both networks were trained on the classes of Pocket COCO. (On photographs expect wild guesses.)
# First, SOLO beside lesson 07's Mask R-CNN, on an image where SOLO is good, and ahead.

# %% id="fit"
models = {"SOLO": solo, "Mask R-CNN": mask_rcnn}
answers = {name: [m.predict([i])[0] for i, _ in samples] for name, m in models.items()}


def fit(name, index):
    """The mean over an image's objects of the best mask IoU with a detection of their class."""
    truth, found = truths[index], answers[name][index].instances
    found = found[found.scores > 0.3]
    overlap = ops.mask_iou(truth.masks, found.masks) * (truth.labels[:, None] == found.labels)
    best = [max(row, default=0.0) for row in overlap.tolist()]
    return sum(best) / max(1, len(best))

# %% id="first-picture" alt="One image four times: plain, with the masks of SOLO, with those of Mask R-CNN, and with the true ones. SOLO's outlines follow the objects more closely than those of Mask R-CNN."
least = min(3, max(map(len, truths)))
rich = [i for i in range(held_out) if len(truths[i]) >= least]  # with several objects
chosen = max(rich, key=lambda i: 2 * fit("SOLO", i) - fit("Mask R-CNN", i))
image, target = samples[chosen]
shown = {name: answers[name][chosen] for name in models} | {"truth": target}
plotting.compare(image, shown, dataset.categories, panel=2.4, like=target)

# %% [markdown] id="first-picture-read"
# SOLO is at its best with large objects and with outlines that must be exact: it draws on one fine
# map of the whole image, and no box cuts anything off (its boxes are computed from the finished
# masks). Mask R-CNN draws in 28 × 28 cells inside a box, and a loose box means a loose mask. (In
# Pocket COCO the mask of SOLO's bird on the right includes a piece of the kite.)

# %% [markdown] id="problem"
# ## The problem: two detours
#
# Before SOLO there were two ways. **Top-down**: find a box, then segment inside it (lessons 05 to
# 08, and YOLACT's crop); a missed box is a missed object. **Bottom-up**: give each pixel an
# embedding, such that pixels of one object lie close together, then group them; a wrong grouping is
# a wrong object. Both solve another task first. Semantic segmentation needs no such detour: a pixel
# has a class, and the network says which (lesson 04). But "which object?" does not seem to be a
# matter of class: the objects of an image have no fixed number and no order.
#
# What distinguishes two objects in one image, the authors found, is their **location** and their
# **size**. Both can be divided into a fixed number of parts. An object's **instance category** is
# the part of the image in which its centre lies, together with the range into which its size falls.

# %% id="timeline" alt="A timeline of papers; Mask R-CNN 2017, YOLACT 2019 and SOLO 2020 are marked, the last two in the lane of methods that do all at once."
plotting.timeline(highlight=["Mask R-CNN", "YOLACT", "SOLO"])

# %% [markdown] id="idea"
# ## The idea, in eight parts
#
# ### One: a location is a class
#
# Do location and size really tell objects apart? On a grid of 24 × 24 cells, count the pairs of
# objects whose centres lie less than one cell apart, and among those, the pairs that are also
# similar in size.

# %% id="pairs" tolerance=0.1
from itertools import combinations, product

further = [dataset[i][1] for i in range(held_out, min(150, len(dataset)))]
count = near = alike = 0
for truth in truths + [truth[~truth.iscrowd] for truth in further]:
    areas = truth.masks.sum(dim=(1, 2)).clamp(min=1).sqrt().tolist()
    middles = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    for a, b in combinations(range(len(areas)), 2):
        close = (middles[a] - middles[b]).norm() < max(truth.size) / 24
        count, near = count + 1, near + int(close)
        alike += int(close) * (max(areas[a], areas[b]) < 1.5 * min(areas[a], areas[b]))
print(f"{count} pairs: {near} have their centres within one cell, {alike} of them a similar size")

# %% [markdown] id="pairs-read"
# Hardly any pair shares a location. Where one does, size seldom helps; size is used to choose
# suitable features (part three). (In COCO, the authors report, the centres of 98.3 % of all pairs
# are more than 30 pixels apart.) So lay a grid of $S \times S$ cells over the image. **The cell in
# which the centre of an object lies is responsible for it**: it says what the object is, and it
# draws the whole mask, even far outside the cell.

# %% id="grid" alt="The image under a grid of 12 by 12 cells: a cross marks the centre of each object, and the cell around it is tinted."
from seglib.models.solo.targets import mass_centres

objects = truths[chosen]
centres = mass_centres(objects.masks)  # [G, 2], (y, x): you write this next
coarse = 12
size = torch.tensor(objects.size)
owners = (centres * coarse / size).floor().int().tolist()
cells = {"cells with a centre": [tuple(cell) for cell in owners]}
plotting.show_location_grid(
    image, {f"{coarse} × {coarse} cells": (coarse, cells)}, centres, panel=4
)

# %% [markdown] id="centre-text"
# ### Two: which cells learn an object
#
# Which centre? Not that of the box but the **mass centre**, the mean position of the object's
# pixels: a long tail moves the centre of the box, but hardly the mass centre. First as a loop.

# %% id="centre-loop"
def mass_centre_loop(mask):
    """(y, x) in pixels; the middle of the first pixel is at (0.5, 0.5)."""
    y = x = count = 0
    for row, pixels in enumerate(mask.tolist()):
        for column, inside in enumerate(pixels):
            if inside:
                y, x, count = y + row + 0.5, x + column + 0.5, count + 1
    return y / count, x / count

# %% id="centre-tensor" tags=["nbval-check-output"]
def my_mass_centres(masks):
    """bool [G, H, W] -> [G, 2], (y, x)."""
    rows, columns = (torch.arange(n) + 0.5 for n in masks.shape[1:])  # [H], [W]
    y = (masks.sum(dim=2) * rows).sum(dim=1)  # [G]
    x = (masks.sum(dim=1) * columns).sum(dim=1)
    return torch.stack([y, x], dim=1) / masks.sum(dim=(1, 2)).clamp(min=1)[:, None]  # [G, 2]


looped = torch.tensor([mass_centre_loop(mask) for mask in objects.masks])
mine = my_mass_centres(objects.masks)
print("loop = tensors:   ", torch.allclose(looped, mine, atol=1e-3))
print("mine = library's: ", torch.allclose(mine, centres, atol=1e-3))

# %% [markdown] id="region-text"
# One positive cell among 576 gives little to learn from. So all cells that touch the **centre
# region** are positive: a box around the mass centre, with sides of a fifth of the object's box,
# but no more than the 3 × 3 cells around the centre.

# %% id="region"
def positive_cells(centre, sides, size, grid, region=0.2):
    """(row, column) of the cells that learn one object; centre, sides, size: [2], (y, x) in px."""
    half = region * sides / 2
    corners = (centre, centre - half, centre + half)
    middle, first, last = ((corner * grid / size).floor().long() for corner in corners)
    first = torch.maximum(first.clamp(min=0), middle - 1)
    last = torch.minimum(last.clamp(max=grid - 1), middle + 1)
    rows, columns = (range(a, b + 1) for a, b in zip(first.tolist(), last.tolist(), strict=True))
    return list(product(rows, columns))

# %% [markdown] id="levels-text"
# ### Three: which level takes which object
#
# Location is one half of an instance category, size the other. SOLO reads a pyramid of five levels
# (P2 to P6, lesson 03), each with a grid of its own. The box's $\sqrt{\text{area}}$ decides: fine
# grids take small objects, coarse grids large ones. **Predict before you run:** on how many levels
# is one object learned? On one, on up to two, or on all five?

# %% id="levels" tags=["nbval-check-output"]
config = solo.config


def levels_of(sides):
    """The levels that take an object with these sides in px, [2]."""
    root = sides.prod().sqrt()
    return [n for n, (low, high) in enumerate(config.scale_ranges) if low <= root <= high]


for grid, (low, high) in zip(config.grids, config.scale_ranges, strict=True):
    print(f"{grid:2d} × {grid:2d} cells take objects of {low:2d} to {high} px")
print({side: levels_of(torch.tensor([side, side])) for side in (8.0, 14.0, 30.0, 70.0)})

# %% [markdown] id="levels-read"
# On one or two: the ranges overlap, so that an object near a limit has a second chance. 2,048 means
# "no limit". Now all of this, for every object of the image, against the library's assignment:

# %% id="assignment-check" tags=["nbval-check-output"]
def claims(found):
    """(level, row, column) -> the objects that claim this cell, in order. `found`: an image's."""
    claimed = {}
    for g, (box, centre) in enumerate(zip(found.boxes, my_mass_centres(found.masks), strict=True)):
        sides = (box[2:] - box[:2]).flip(0)  # (height, width)
        for level in levels_of(sides) if found.masks[g].any() else ():
            for cell in positive_cells(centre, sides, found.extents[g], config.grids[level]):
                claimed.setdefault((level, *cell), []).append(g)
    return claimed


def assigned(picture, truth):
    """The objects of an image as the network sees them, and the library's assignment."""
    batch = solo.prepare([picture], divisor=max(solo.backbone.strides))
    return solo.assign([picture], [truth], batch)


found, assignment = assigned(image, target)
mine = {(g, *cell) for cell, several in claims(found).items() for g in several}
own = assignment.cells
columns = (assignment.objects, own.level, own.row, own.column)  # [P] each
theirs = set(zip(*(column.tolist() for column in columns), strict=True))
print("the same cells as in the library:", mine == theirs)

# %% id="positive" alt="The image under the five grids from 24 by 24 to 8 by 8: each object tints a block of cells around its mass centre on one or two of the grids, small objects on the fine ones and large ones on the coarse ones."
panels = {}
for level, grid in enumerate(config.grids):
    groups = {f"object {g + 1}": [] for g in range(len(found.labels))}
    for (own, *cell), several in claims(found).items():
        for g in several if own == level else ():
            groups[f"object {g + 1}"].append(tuple(cell))
    panels[f"{grid} × {grid}"] = (grid, groups)
plotting.show_location_grid(image, panels, centres, columns=3)

# %% [markdown] id="meet-text"
# Each tinted cell learns the class and the whole mask of the object of its colour; all the others
# learn "nothing here".
#
# #### One cell, one object?
#
# A cell has one output for the class and one for the mask. **Predict before you run:** in how many
# of the images do two objects meet in a cell of the same grid: in none, in one out of ten, or in
# more? And of all objects, how many are left without any cell?

# %% id="meetings"
def meetings(index):
    """The objects of an image, its cells with two or more claimants, and the objects with none."""
    found, _ = assigned(*samples[index])
    claimed = claims(found)
    shared = {cell: several for cell, several in claimed.items() if len(several) > 1}
    keepers = {several[-1] for several in claimed.values()}  # the later one wins
    return found, shared, set(range(len(found.labels))) - keepers

# %% id="meet" tolerance=0.05
met = [meetings(i) for i in range(held_out)]
with_shared = sum(bool(shared) for _, shared, _ in met)
without = sum(len(lost) for _, _, lost in met)
total = sum(len(found.labels) for found, _, _ in met)
print(f"{with_shared} of {held_out} images have a cell that two objects claim")
print(f"{without} of {total} objects keep no cell at all")

# %% id="meet-figure" alt="A grid of 12 by 12 cells over a person who stands before an umbrella: six or so cells of the one, the cells of the other below them, and between them four cells that both claim."
crowded = max(range(held_out), key=lambda i: len(met[i][1]))
found, shared, _ = met[crowded]
meeting = next(iter(shared), (0, 0, 0))  # (level, row, column)
pair = shared.get(meeting, [0, 0])[-2:]
groups = {"earlier object": [], "later object": [], "both": []}
for (own, *place), several in claims(found).items():
    here = [g in several for g in pair]
    if own == meeting[0] and any(here):
        name = "both" if all(here) else ("earlier object" if here[0] else "later object")
        groups[name].append(tuple(place))
grid = config.grids[meeting[0]]
title = {f"{grid} × {grid}": (grid, groups)}
both = my_mass_centres(found.masks)[pair] if len(found.labels) else ()
plotting.show_location_grid(samples[crowded][0], title, both, panel=4)

# %% id="meet-masks" alt="Three masks of a person before an umbrella: a cell of the umbrella draws a blurred mixture of both, a cell of the person draws the person and part of the umbrella, and so does the cell that both claim."
from seglib.models.solo.mask_maps import Cells


def masks_of(index, cells):
    """The masks that cells (level, row, column) of an image draw, [n, H, W]."""
    with torch.no_grad():
        seen = solo([samples[index][0]])
        numbers = torch.tensor(cells).T  # [3, n]
        asked = Cells(torch.zeros_like(numbers[0]), *numbers)
        return seen.masks.probabilities(asked, seen.batch.canvas)


alone = [next((c for c, own in claims(found).items() if own == [g]), meeting) for g in pair]
titles = ["a cell of the earlier one", "a cell of the later one", "the cell of both"]
plotting.show_images(list(masks_of(crowded, [*alone, meeting])), titles, panel=2.4)

# %% [markdown] id="misconception-cell"
# **"A grid cell holds at most one object" is not a fact about images but a rule that SOLO
# imposes.** In Pocket COCO more than a quarter of the images have shared cells, though few centres
# come as close as one cell of the finest grid: large objects belong to coarse grids, and each
# claims up to 3 × 3 cells. In the first version of SOLO, the object that is annotated later
# overwrites the earlier one. In SOLOv2, which drew these masks, the class is also that of the later
# object, but the mask learns from *both*. Hardly any object loses all its cells, since most have
# several. But see what happens here (the umbrella is the earlier object): the shared cell and the
# cell of the person alone draw the person with a part of the umbrella; the cell of the umbrella
# alone draws a mixture. Neighbouring cells read nearly the same features.

# %% [markdown] id="coord-text"
# ### Four: a convolution does not know where it is
#
# Each cell must draw *its* object and leave the others out. The first version of SOLO gives every
# cell a channel of its own: channel $i \cdot S + j$ draws the object of row $i$ and column $j$.
# Take the smallest case: one equal disc in each quarter of an image, a 2 × 2 grid, four channels;
# channel $k$ must draw only the disc of quarter $k$.

# %% id="disc-data"
def four_discs(count, seed):
    """Images [n, 1, 32, 32] and masks [n, 4, 32, 32], a disc of radius 4 in each quarter."""
    places = torch.randint(5, 12, (count, 4, 2), generator=torch.Generator().manual_seed(seed))
    places = places + torch.tensor([[0, 0], [0, 16], [16, 0], [16, 16]])  # (y, x)
    line = torch.arange(32)
    y, x = (line[:, None] - places[..., 0, None, None], line - places[..., 1, None, None])
    masks = (y**2 + x**2 <= 16).float()  # [n, 4, 32, 32]
    return masks.sum(dim=1, keepdim=True), masks

# %% id="discs" alt="A small image with four equal discs, one per quarter, and the four wanted masks, each with only one of the discs."
discs, wanted = four_discs(1, seed=0)
names = ["image", *(f"channel {k}" for k in range(4))]
plotting.show_images([discs[0, 0], *wanted[0]], names, columns=5, panel=1.7)

# %% [markdown] id="coord-bet"
# We compare two networks of three layers that differ only in the first: one of them appends two
# channels to its input, the $x$ and $y$ of every cell from −1 to 1. That is all there is to
# **CoordConv** (Liu and others 2018). **Predict before you run:** what does the ordinary network
# draw in channel 0 after training: nothing, the disc of its quarter, all four discs faintly, or one
# at random?

# %% id="coord-network"
class Drawer(nn.Module):
    def __init__(self, coordinates):
        super().__init__()
        self.coordinates = coordinates
        first = nn.Conv2d(3 if coordinates else 1, 24, 3, padding=1)
        second = nn.Conv2d(24, 24, 3, padding=1)
        self.layers = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Conv2d(24, 4, 1))

    def forward(self, x):
        if self.coordinates:
            line = torch.linspace(-1, 1, x.shape[-1])
            across, down = line.expand(32, 32), line[:, None].expand(32, 32)
            places = torch.stack([across, down]).expand(len(x), 2, 32, 32)
            x = torch.cat([x, places], dim=1)  # [n, 3, 32, 32]
        return self.layers(x)  # [n, 4, 32, 32]

# %% id="train-drawer"
def train_drawer(coordinates):
    torch.manual_seed(0)
    network = Drawer(coordinates)
    optimizer, losses = torch.optim.Adam(network.parameters(), lr=1e-2), []
    for step in range(200):
        x, masks = four_discs(8, seed=step)
        loss = F.binary_cross_entropy_with_logits(network(x), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return network, losses

# %% id="coord-train" alt="The loss of two networks over 200 steps: with coordinates it falls close to zero, without them it stops falling at a higher value." tolerance=0.2
drawers = {"ordinary": train_drawer(False), "with coordinates": train_drawer(True)}
for name, (_, losses) in drawers.items():
    print(f"{name:16s} last loss {losses[-1]:.3f}")
curves = {name: losses for name, (_, losses) in drawers.items()}
plotting.training_curve(curves, log=True, title="Four discs, four channels")

# %% id="coord-figure" alt="Two rows of four channels: the ordinary network draws all four discs in every channel, equally faint; the network with coordinates draws one disc per channel, each in its own quarter."
x, _ = four_discs(1, seed=1000)
pictures, titles = [], []
for name, (network, _) in drawers.items():
    with torch.no_grad():
        drawn = network(x)[0].sigmoid()  # [4, 32, 32]
    peaks = drawn.amax(dim=(1, 2)).tolist()
    pictures += list(drawn)
    titles += [f"{name}\nchannel {k}, up to {peak:.2f}" for k, peak in enumerate(peaks)]
plotting.show_images(pictures, titles, columns=4, panel=2)

# %% [markdown] id="misconception-coord"
# **All four, faintly**: the ordinary network sees the same window around each disc, so it must give
# the same answer for each, and as one disc in four is wanted, the best answer is a probability of
# about 1/4. More training or more channels cannot change that. (The zeros of the padding tell a
# deep network something about locations; but that is an accident, and CoordConv is a guarantee.)
# Two channels of plain numbers suffice. What you wrote is `ops.coord_conv`:

# %% id="coord-equal" tags=["nbval-check-output"]
network, _ = drawers["with coordinates"]
first = network.layers[0]
line = torch.linspace(-1, 1, 32)
placed = torch.stack([x[0, 0], line.expand(32, 32), line[:, None].expand(32, 32)])[None]
theirs = ops.coord_conv(x, first.weight, first.bias, padding=1)
print("mine = library's:", torch.allclose(first(placed), theirs, atol=1e-5))

# %% [markdown] id="branches"
# ### Five: two branches
#
# Two small networks read each level. The **category branch** resizes it to $S \times S$ and returns
# $C$ logits per cell. It gets no coordinates: whether something is a cup does not depend on where
# it stands. The **mask branch**, here that of the first version, keeps the resolution and reads
# coordinates.

# %% id="diagram" alt="A flow diagram: the pyramid leads to the category branch with C by S by S outputs and on to points NMS, and over coordinates to the mask branch with S squared maps; both meet in Matrix NMS."
from seglib.plotting import Block

blocks = [
    Block("level", "[F, h, w]", at=(0, 0.5)),
    Block("S × S", "resized", at=(1, 0)),
    Block("category", "[C, S, S]", "head", at=(2, 0)),
    Block("x and y", "[F + 2, h, w]", at=(1, 1)),
    Block("masks", "[S², 2h, 2w]", "head", at=(2, 1)),
    Block("points NMS", "thins scores", at=(3, 0)),
    Block("Matrix NMS", "on masks", "output", at=(4, 0.5)),
]
arrows = [("level", "S × S"), ("S × S", "category"), ("category", "points NMS")]
arrows += [("level", "x and y"), ("x and y", "masks"), ("masks", "Matrix NMS")]
arrows += [("points NMS", "Matrix NMS")]
plotting.flow_diagram(blocks, arrows, title="SOLO's first version, one level of the pyramid")

# %% id="shapes" tags=["nbval-check-output"]
from seglib.models.solo import SOLO, SOLOConfig

first_form = SOLO(SOLOConfig.pocket("solo"), dataset.categories).eval()
blank = torch.zeros(3, 128, 128)
with torch.no_grad():
    output = first_form([blank])
for logits, masks in zip(output.class_logits, output.masks.logits, strict=True):
    print(f"class logits {list(logits.shape[1:])}, masks {list(masks.shape[1:])}")
print("masks of all levels together:", sum(masks.shape[1] for masks in output.masks.logits))

# %% [markdown] id="shapes-read"
# At the input, P2 (stride 2 here) is halved and P6 is enlarged to the size of P5: strides 4, 4, 8,
# 16, 16. The branch doubles each map. Each level gets its $S^2$ channels, which makes 1,440 masks
# in total, of which only a few are used. The paper's largest grid has 40 × 40 cells: 1,600
# channels. **Decoupled SOLO** needs $2S$ instead of $S^2$ (see the assignment). SOLOv2, the version
# that we ship, needs none (part seven).

# %% [markdown] id="dice-text"
# ### Six: a loss that does not depend on size
#
# A mask is mostly background. Suppose a network draws *nothing*, a probability of 0.01 everywhere,
# and the object is a square in a map of 64 × 64 cells. **Predict before you run:** by the mean
# cross entropy, how much does a missed object of side 4 cost, compared with one of side 32: as
# much, a tenth, or even less? And by the **dice loss**, which is a ratio, $1 - \frac{2 \sum
# p\,t}{\sum p^2 + \sum t^2}$, and 0 if $p = t$?

# %% id="dice" tags=["nbval-check-output"]
def my_dice_loss(p, t):
    """p: probabilities [h, w]; t: truth [h, w]."""
    return 1 - 2 * (p * t).sum() / (p.square().sum() + t.square().sum() + 0.002)


nothing = torch.full((64, 64), 0.01)
for side in (4, 8, 16, 32):
    truth = torch.zeros(64, 64)
    truth[:side, :side] = 1
    entropy = F.binary_cross_entropy(nothing, truth)
    dice = my_dice_loss(nothing, truth)
    same = torch.allclose(ops.squared_dice_loss(nothing[None], truth[None])[0], dice)
    print(
        f"side {side:2d}: cross entropy {entropy:.3f}, dice {dice:.3f}, as in the library: {same}"
    )

# %% [markdown] id="dice-read"
# The cross entropy of the missed small object is a fortieth of that of the large one. The dice loss
# is near 1 in every row: all of the object is missing. (The 0.002 comes from the official code; it
# avoids 0/0.) And the gradient? For the smallest square, here is the share of it that acts on the
# object's cells:

# %% id="dice-gradient" tags=["nbval-check-output"]
truth = torch.zeros(64, 64)
truth[:4, :4] = 1
for name, loss_of in (("cross entropy", F.binary_cross_entropy), ("dice", my_dice_loss)):
    logits = torch.full((64, 64), -4.6, requires_grad=True)
    loss_of(logits.sigmoid(), truth).backward()
    size_of = logits.grad.abs()
    print(f"{name:14s} {size_of[truth > 0].sum() / size_of.sum():.0%} acts on the object")

# %% [markdown] id="dice-gradient-read"
# With the cross entropy most of the gradient keeps an empty background empty. (Classification has
# the same problem, with 1,440 cells for a few objects. There SOLO uses the focal loss, which gives
# little weight to what is already correct.) The total is $L = L_\text{focal} + 3\,L_\text{dice}$.

# %% [markdown] id="dynamic-text"
# ### Seven: a kernel instead of a channel
#
# The last layer of SOLO's mask branch is a 1 × 1 convolution: each cell has a vector of weights,
# and its mask is the product of that vector with the features. Most cells contain no object, and
# their weights are learned in vain. SOLOv2 **predicts** the vector: a kernel branch gives every
# cell $E$ numbers, which depend on the image, and one map of $E$ features at stride 2 serves all
# cells of all levels. You know this from lesson 09: the features correspond to YOLACT's prototypes,
# and the kernel to its coefficients. The coordinates are new, and make cropping unnecessary. They
# enter twice:
#
# - The **kernel branch** reads $x$ and $y$ together with each level, before the level is resized to
#   $S \times S$. Without them equal objects would get equal kernels.
# - The **features** are a sum over P2 to P5; the part from P5 reads $x$ and $y$.
#   Without them one kernel would draw both objects.
#
# The category branch still reads none.

# %% id="dynamic" tags=["nbval-check-output"]
with torch.no_grad():
    output = solo([image])
features = output.masks.features[0]  # [E, h, w]
print("kernels:", [list(kernels.shape[1:]) for kernels in output.masks.kernels])
print("features:", list(features.shape))


def my_mask(level, row, column):
    """[h, w]: the features, weighted with the kernel of a cell."""
    kernel = output.masks.kernels[level][0, :, row, column]  # [E]
    return (kernel[:, None, None] * features).sum(dim=0).sigmoid()  # [h, w]

# %% id="owner-cell"
def owner_cell(g, found):
    """(level, row, column) of the cell of an object's centre, on the last level that takes it."""
    box, extent = found.boxes[g], found.extents[g]
    level = (levels_of((box[2:] - box[:2]).flip(0)) or [0])[-1]
    place = my_mass_centres(found.masks[g : g + 1])[0] * config.grids[level] / extent
    return level, *place.floor().long().tolist()

# %% id="dynamic-equal" tags=["nbval-check-output"]
found, _, _ = met[chosen]
by_area = found.masks.sum(dim=(1, 2)).argsort(descending=True).tolist()
largest = by_area[0]
level, row, column = owner_cell(largest, found)
mine = my_mask(level, row, column)
kernel = output.masks.kernels[level][:, :, row, column, None, None]  # [1, E, 1, 1]
as_convolution = F.conv2d(features[None], kernel)[0, 0].sigmoid()
cell = Cells(*(torch.tensor([n]) for n in (0, level, row, column)))
_, theirs = next(output.masks.masks_of(cell))
print("a sum = a 1 × 1 convolution:", torch.allclose(mine, as_convolution, atol=1e-4))
print("mine = library's:           ", torch.allclose(mine, theirs[0], atol=1e-4))

# %% id="dynamic-figure" alt="The shared features as colours, in which the objects of the image can be seen, and beside them the masks that three cells make of them, each with one object."
masks = [my_mask(*owner_cell(g, found)) for g in by_area[:3]]
titles = [f"the cell of object {g + 1}" for g in by_area[:3]]
pictures = [plotting.feature_colors(features), *masks]
plotting.show_images(pictures, ["features", *titles], panel=2.4)

# %% [markdown] id="dynamic-read"
# There is one map, and each kernel reads a different object from it. That works because kernels and
# features both depend on coordinates. In Pocket COCO compare the two birds: they look alike, and
# yet the features of one are green and those of the other red. No mask is cropped.

# %% [markdown] id="matrix-text"
# ### Eight: Matrix NMS
#
# Several cells draw the same object. Greedy NMS removes duplicates one by one, which is slow for
# masks. **Matrix NMS** computes all overlaps at once, and *lowers* scores instead. Take three masks
# of one class, with scores 0.9, 0.8 and 0.7, and these overlaps:
#
# | | A | B | C |
# | --- | --- | --- | --- |
# | **A** (0.9) | – | 0.6 | 0.1 |
# | **B** (0.8) | | – | 0.7 |
# | **C** (0.7) | | | – |
#
# Each better mask would lower a worse one by the factor $1 - \text{IoU}$. For B that is $1 - 0.6 =
# 0.4$, and its score becomes 0.32. For C, A gives 0.9 and B gives 0.3. But B itself is probably a
# duplicate of A, and what is suppressed must not suppress. So each factor is divided by the factor
# that lowers the *suppressor* most. A is the best and is not lowered, so its factor stays 0.9; B's
# becomes $0.3 / 0.4 = 0.75$. The smallest factor counts: C keeps $0.7 \cdot 0.75 = 0.525$.
#
# **Predict before you run:** which of the three survive greedy NMS at an IoU of 0.5?

# %% id="matrix-loop"
def matrix_nms_loop(iou, scores):
    """Scores sorted, highest first; all of one class."""
    lowered = []
    for j in range(len(scores)):
        factor = 1.0
        for i in range(j):
            own = max((iou[k][i] for k in range(i)), default=0.0)  # how far i itself is lowered
            factor = min(factor, (1 - iou[i][j]) / (1 - own))
        lowered.append(scores[j] * factor)
    return lowered

# %% id="matrix-hand" tolerance=0.001
scores = [0.9, 0.8, 0.7]
iou = [[1, 0.6, 0.1], [0.6, 1, 0.7], [0.1, 0.7, 1]]
print("Matrix NMS:", [round(score, 3) for score in matrix_nms_loop(iou, scores)])

# %% [markdown] id="matrix-read"
# Greedy NMS keeps A and removes B, and then C is safe: A and C survive. Matrix NMS says the same in
# numbers: C stays far above B. Without the compensation C would be at 0.21, below B. Now without a
# loop. SOLO uses the Gaussian $e^{-2\,\text{IoU}^2}$ in place of $1 - \text{IoU}$. It is milder:
# small overlaps hardly count, and no score becomes 0.

# %% id="matrix-tensor" tags=["nbval-check-output"]
def my_matrix_nms(iou, scores, labels, decay):
    """iou [N, N], scores [N] sorted, labels [N]."""
    overlap = (iou * (labels[:, None] == labels)).triu(diagonal=1)  # row i lowers column j > i
    own = overlap.amax(dim=0)[:, None]  # [N, 1]
    return scores * (decay(overlap) / decay(own)).amin(dim=0)  # [N]


decays = {"linear": lambda v: 1 - v, "gaussian": lambda v: (-2 * v**2).exp()}
matrix, ranked, labels = torch.tensor(iou), torch.tensor(scores), torch.zeros(3).long()
for name, decay in decays.items():
    mine = my_matrix_nms(matrix, ranked, labels, decay)
    same = torch.allclose(mine, ops.matrix_nms(matrix, ranked, labels, name))
    print(f"{name:8s} {[round(v, 3) for v in mine.tolist()]}, as in the library: {same}")

# %% [markdown] id="points-text"
# Before any mask is drawn, **points NMS** thins out the cells: a cell keeps its score only if none
# of its upper, left and upper-left neighbours has a higher one. A maximum over 2 × 2 cells computes
# this. And as a class score says nothing about the *mask*, SOLO multiplies it by the mean
# probability inside the mask (**maskness**), so that blurred masks fall behind. On our image, this
# is what remains of all cells at each step:

# %% id="steps" tolerance=0.1
from seglib.models.solo.postprocess import suppressed

rules = config.selection
with torch.no_grad():
    raw = [level.sigmoid() for level in output.class_logits]  # [1, C, S, S] each
    thinned = solo.scores(output.class_logits)  # [1, N, C]
    kept = solo.candidates(output, thinned, 0)
final = suppressed(kept, rules)
print("scores above 0.1:            ", sum(int((s > rules.score_threshold).sum()) for s in raw))
print("after points NMS:            ", int((thinned > rules.score_threshold).sum()))
print("with a mask large enough:    ", len(kept.scores))
print("times maskness, above 0.3:   ", int((kept.scores > 0.3).sum()))
print("above 0.3 after Matrix NMS:  ", int((final.scores > 0.3).sum()), f"({len(objects)} objects)")

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# All of it in your own code, from the outputs of the two branches to the detections.

# %% id="my-predict"
from seglib.models.solo.levels import level_strides

strides = level_strides(solo.backbone.strides)  # official: a mask needs more cells than that


def my_candidates(output):
    """Scores [K], classes [K] and masks [K, h, w] of one image, highest first."""
    rows = []
    for level, logits in enumerate(output.class_logits):
        scores = logits[0].sigmoid()  # [C, S, S]
        best = F.max_pool2d(scores, 2, stride=1, padding=1)[:, :-1, :-1]
        for c, row, column in ((scores == best) & (scores > 0.1)).nonzero().tolist():
            mask = my_mask(level, row, column)
            inside = mask > 0.5
            if inside.sum() > strides[level]:
                rows.append((scores[c, row, column] * mask[inside].mean(), c, mask))
    rows.sort(key=lambda item: -item[0])
    scores, classes, masks = zip(*rows, strict=True)
    return torch.tensor(scores), torch.tensor(classes), torch.stack(masks)

# %% id="my-detections"
def my_detections():
    """The final scores, highest first."""
    scores, classes, masks = my_candidates(output)
    overlaps = ops.mask_iou(masks > 0.5, masks > 0.5).to(scores)  # [K, K]
    scores = my_matrix_nms(overlaps, scores, classes, decays["gaussian"])
    return scores[scores >= 0.05].sort(descending=True).values[:100]


def same_as_mine(found):
    return len(found) == len(mine) and torch.allclose(mine, found.scores, atol=1e-3)

# %% id="equality-whole" tags=["nbval-check-output"]
if len(kept.scores):
    mine = my_detections()
    print("your detections = predict's:", same_as_mine(solo.predict([image])[0].instances))
    with seglib.use("scratch"):
        print("on scratch code:            ", same_as_mine(solo.predict([image])[0].instances))
else:
    print("No cell scores above 0.1 on this image, so there are no detections to compare.")

# %% [markdown] id="equality-read"
# The library is tested against values recorded from the authors' code: targets, losses, Matrix NMS,
# and whole networks from image to detections (`tests/test_solo_parity.py`).

# %% [markdown] id="learns"
# ## It learns
#
# **Overfit one batch** first: a fresh SOLOv2 and one image.

# %% id="overfit" alt="The loss of a fresh SOLO on one image falls over 30 steps." tolerance=0.3
from seglib.training import History, overfit

torch.manual_seed(0)
fresh = SOLO(SOLOConfig.pocket(), dataset.categories)
for name, value in fresh.loss([image], [target]).items():
    print(f"{name} {value.item():.2f}", end="  ")
losses = overfit(fresh, [image], [target], steps=30, lr=2e-3)
print(f"\nsum {losses[0]:.1f} → {losses[-1]:.1f}")
plotting.training_curve(losses, title="One image, over and over")

# %% [markdown] id="overfit-read"
# The mask loss starts near 2, three times a dice loss of 0.7: the kernels start near zero, so every
# pixel has a probability of one half. The class loss starts near 1, though nothing is recognised
# yet: the last layer starts with a probability of 0.01 everywhere, which is right nearly
# everywhere, and the focal loss hardly counts what is right. What is left comes from the positive
# cells; the loss is divided by their number, and each costs about $0.25 \cdot 0.99^2 \cdot 4.6
# \approx 1.1$.
#
# ### The shipped network
#
# Its training began with the backbone of lesson 07's Mask R-CNN and random weights for all the
# rest.

# %% id="shipped-curve" alt="The two losses of the shipped SOLO over its training: both fall steeply in the first hundred steps and then slowly; the mask loss lies above the class loss throughout."
shipped = record("solo")
print(shipped["command"])
parts = History.from_dict(shipped["history"]).parts
plotting.training_curve(parts, title="The shipped SOLO learns")

# %% id="shipped-figures"
print(f"{shipped['evaluated']}  mask AP  ceiling  share  Mask R-CNN")
for size, word in (("", "all"), ("s", "small"), ("m", "medium"), ("l", "large")):
    ours, theirs = (known["figures"][f"mask_AP{size}"] for known in (shipped, record("mask_rcnn")))
    limit = shipped["ceilings"][f"mask_AP{size}"]["ceiling"]
    print(f"{word:17s} {ours:8.3f} {limit:8.3f} {ours / limit:6.0%} {theirs:11.3f}")

# %% [markdown] id="shipped-read"
# The ceiling is what a perfect network would reach if its masks had cells of two pixels and each
# grid cell one mask. Compare the last column: SOLO is ahead on medium and large objects, by 15
# points on the large ones, and *behind* on the small ones. (Single runs, and not a fair contest:
# SOLO began with the backbone that Mask R-CNN had trained, and then saw 41,000 more images.)

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# Why the small ones? Either their masks are bad, or the masks are good and the scores too low to be
# found. SOLO lets you check: for each true object take the cell of its mass centre. How well does
# *its* mask fit, and what score does it give to the true class? **Predict before you run:** for
# small objects, which of the two is worse?

# %% id="by-size" tolerance=0.1
def own_cells(index):
    """(area in px, IoU of the mask of the object's cell, score of its class) for each object."""
    found, rows = met[index][0], []
    with torch.no_grad():
        seen = solo([samples[index][0]])
        for g in range(len(found.labels)):
            level, row, column = owner_cell(g, found)
            cell = Cells(*(torch.tensor([n]) for n in (0, level, row, column)))
            mask = seen.masks.probabilities(cell, seen.batch.canvas)[0] > 0.5
            truth = found.masks[g]
            overlap = (mask & truth).sum() / (mask | truth).sum().clamp(min=1)
            score = seen.class_logits[level][0, found.labels[g] - 1, row, column].sigmoid()
            rows.append((float(truth.sum()), float(overlap), float(score)))
    return rows


asked = torch.tensor([row for i in range(held_out) for row in own_cells(i)])
for word in ("small", "medium", "large"):
    low, high = dataset.area_ranges[word]
    _, fits, scores = asked[(asked[:, 0] >= low) & (asked[:, 0] < high)].T
    if len(fits):
        means = f"mask IoU {fits.mean():.2f}, score {scores.mean():.2f}"
        print(f"{word:6s} {len(fits):3d} objects: {means}")

# %% [markdown] id="by-size-read"
# Both fall, but the score falls further. In Pocket COCO the masks of small objects have a fifth
# less IoU than those of large ones; their scores are halved, and many do not reach the threshold or
# rank below false detections. A cell of a fine grid covers 5 pixels, and the features that it reads
# have a stride of 4: an object of 10 pixels covers two or three of these features, mixed with what
# lies around it. Mask R-CNN puts its anchors on the same stride, but then reads the box *again*,
# from P2 itself. **A network that looks once has no second look for what is small.** Here is the
# image on which SOLO does worst:

# %% id="worst" alt="An image with the masks of SOLO, those of Mask R-CNN and the true ones: SOLO finds the large umbrella, the kite and two plants, but neither the person behind the umbrella nor two small cats nor a bird at the border."
worst = min(rich, key=lambda i: fit("SOLO", i))
poorest, wanted = samples[worst]
shown = {name: answers[name][worst] for name in models} | {"truth": wanted}
plotting.compare(poorest, shown, dataset.categories, panel=2.4, like=wanted)

# %% [markdown] id="worst-read"
# In Pocket COCO it misses the person behind the umbrella, two small cats, and the bird at the
# border: objects that are small, or so covered that little is left around their mass centre. (Mask
# R-CNN misses the person, the bird and one of the cats too.)

# %% [markdown] id="try"
# ## Try it
#
# **Any cell you like.** Choose a grid and a location: you see the cell, its class, and its mask.
# Move from one object to the next: where does the mask change, and what is drawn halfway? Ask a
# fine grid about a large object. And ask a background cell, which was never trained to draw.

# %% id="cell-explorer" alt="Three controls, for the grid and for the place down and across, above the image with its grid and the chosen cell tinted, and the mask of this cell over the grey image; a line below names the cell's best class and its probability."
from seglib.widgets import CellMasks, Option, Question, Quiz

place = tuple(centres[largest].int().tolist())
CellMasks(solo, image, level=level, place=place)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
centre = Question(
    "Which cells learn an object?",
    [
        Option("Those around the middle of its box",
               feedback="A thin tail would move it away from most of the object's pixels."),
        Option("Those around the mean place of its pixels", True,
               "The mass centre; one thin tail hardly moves it."),
        Option("All cells that contain one of its pixels",
               feedback="A large object would take hundreds of cells from the others."),
    ],
    objective="cells",
)
shared_cell = Question(
    "What happens to a cell that two objects claim, in the first version of SOLO?",
    [
        Option("The later one gets it, and the other has only its other cells", True,
               "Most objects have several cells, on one or two levels."),
        Option("The cell is left out of the loss, as if it were ignored",
               feedback="It learns a class all the same, that of the later object."),
        Option("The cell predicts two classes and two masks, one for each of the objects",
               feedback="A cell has one mask. SOLOv2 lets it learn from both, as a compromise."),
    ],
    objective="cells",
)
Quiz([centre, shared_cell], title="Places")

# %% id="quiz-two" tags=["quiz", "hide-input"]
blind = Question(
    "The ordinary network drew all four discs at 1/4. What would help?",
    [
        Option("Training it ten times as long as before",
               feedback="1/4 is already the best that equal windows allow."),
        Option("More channels in its middle layers",
               feedback="Every channel is computed from the same windows."),
        Option("Two input channels with x and y", True,
               "The windows then differ in what they contain."),
    ],
    objective="coordinates",
)
dice = Question(
    "Why does SOLO prefer the dice loss to the cross entropy for masks?",
    [
        Option("A missed small object costs as much as a large one", True,
               "It is a ratio; the area cancels."),
        Option("It is faster, since it needs no logarithm of each probability",
               feedback="Neither takes noticeable time."),
        Option("It prevents two masks from overlapping",
               feedback="Each mask has a loss of its own; nothing compares them."),
    ],
    objective="branches",
)
Quiz([blind, dice], title="Masks")

# %% id="quiz-three" tags=["quiz", "hide-input"]
kernels = Question(
    "SOLOv2's kernel branch gives every cell E numbers. What are they?",
    [
        Option("The pixels of its mask, in a compressed form",
               feedback="They are not a picture; they weight the shared features."),
        Option("The weights of a 1 × 1 convolution over shared features", True,
               "One map of features, and a different reading of it for each cell."),
        Option("Its class scores, for E classes",
               feedback="Those come from the category branch, C per cell."),
    ],
    objective="kernels",
)
compensation = Question(
    "IoU(A, B) = 0.5, IoU(B, C) = 0.5, IoU(A, C) = 0. By what does linear Matrix NMS multiply C?",
    [
        Option("By 0.5, because B overlaps it by one half",
               feedback="A lowers B by as much, and B's factor is divided by that."),
        Option("By 0.25, since the two factors are multiplied",
               feedback="Factors are not multiplied; the smallest of them counts."),
        Option("By 1: C keeps its score", True, "B's factor is 0.5 / 0.5, and A's is 1."),
    ],
    objective="Matrix NMS",
)
Quiz([kernels, compensation], title="Kernels and scores")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/10_solo.ipynb) has three tasks: assigning the cells of a grid, with a
# rule for those that two objects claim; Matrix NMS on masks; and the masks of Decoupled SOLO.

# %% [markdown] id="summary"
# ## In one minute
#
# - Objects in one image differ in location or size. SOLO divides both into classes: a cell of a
#   grid, and a level of the pyramid.
# - The cells around the mass centre learn the class and the whole mask. Two objects may claim one
#   cell; the later one determines its class, and the other mostly has other cells.
# - A convolution gives equal answers for equal windows. Two channels of coordinates let it tell
#   locations apart, so that each cell can draw its own object.
# - The dice loss is a ratio: small objects count as much as large ones.
# - SOLOv2 predicts a kernel per cell for one shared map of features; both read coordinates.
# - Points NMS thins out the cells; Matrix NMS lowers the scores of all duplicates at once, and
#   spares what only a duplicate would suppress.
# - It is strong where objects are large and outlines must be exact, and weak where objects are
#   small.
#
# **The published numbers beside ours.** Theirs are mask AP on photographs of COCO (val2017), from
# the authors' repository; ours are on 300 drawn images of 128 px. Compare rows only within each
# group. (1x is 12 epochs, 3x is 36.)

# %% id="published" tolerance=0.01
print("SOLO, ResNet-50, 1x / 3x schedule       32.9 / 35.8")
print("Decoupled SOLO, ResNet-50               33.9 / 36.4")
print("SOLOv2, ResNet-50                       34.8 / 37.5")
print(f"ours, SOLOv2 on Pocket COCO             {100 * shipped['figures']['mask_AP']:.1f}")

# %% [markdown] id="table-text"
# **All networks so far** that find instances with classes. Mask AP and its parts are measured on
# the 300 validation images. Below the table is the time for one image as a multiple of Mask
# R-CNN's, measured on your machine just now.

# %% id="all-networks" tags=["nbval-check-output"]
from seglib import comparison

paradigms = ["mask_rcnn", "cascade_rcnn", "yolact", "solo"]
print(comparison.record_table(paradigms))

# %% id="seconds"
networks = {name: load(name, dataset.categories) for name in paradigms}
print(comparison.time_table(networks, image))

# %% [markdown] id="references"
# The cascade was trained for fewer steps than the Mask R-CNN, and only its boxes are cascaded
# (lesson 08); YOLACT began with the backbone that Mask R-CNN had trained (lesson 09).
#
# **Next**: SOLO draws a whole mask of thousands of numbers for each cell. Does a shape need that
# many? [Lesson 11](11_polarmask.ipynb) makes do with 36.
#
# **References**
#
# - X. Wang, T. Kong, C. Shen, Y. Jiang, L. Li. SOLO: segmenting objects by locations. *ECCV* 2020.
#   arXiv 1912.04488.
# - X. Wang, R. Zhang, T. Kong, L. Li, C. Shen. SOLOv2: dynamic and fast instance segmentation.
#   *NeurIPS* 2020. arXiv 2003.10152.
# - R. Liu, J. Lehman, P. Molino, F. Petroski Such, E. Frank, A. Sergeev, J. Yosinski. An intriguing
#   failing of convolutional neural networks and the CoordConv solution. *NeurIPS* 2018. arXiv
#   1807.03247.
# - F. Milletari, N. Navab, S.-A. Ahmadi. V-Net: fully convolutional neural networks for volumetric
#   medical image segmentation. *3DV* 2016. arXiv 1606.04797.
# - T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár. Focal loss for dense object detection.
#   *ICCV* 2017. arXiv 1708.02002.
