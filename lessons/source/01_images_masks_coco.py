# %% [markdown] id="start"
# # 01. Images, masks and COCO
#
# Before a network can learn to cut objects out of a picture, three things must be settled: how a
# picture is stored, how the *right answer* is stored, and how a machine's answer is scored against
# it. All three invite mistakes that have cost people weeks. You will open a COCO file by hand,
# build each part yourself, and end with the twelve numbers that papers on instance segmentation
# report.
#
# **You will be able to**
#
# 1. read a COCO annotation, and turn its box into half-open corners and back;
# 2. encode and decode a mask as run lengths by hand, and say why polygons must be rasterised;
# 3. compute the IoU of boxes and of masks, and say what a crowd changes;
# 4. compute average precision by hand for five detections;
# 5. read the twelve COCO numbers.
#
# **You need** Python, and tensors in PyTorch (indexing, shapes, broadcasting).
# **Time** about 75 minutes to read, less than a minute to run.

# %% id="imports"
import json
from dataclasses import replace

import torch
from torch.nn import functional as F

from seglib import ops, plotting
from seglib.data import find_image, load_dataset
from seglib.data.annotations import annotation_mask
from seglib.structures import Categories, Instances

torch.manual_seed(0)
dataset = load_dataset(split="val", cache=True)
print(f"{len(dataset)} images, {len(dataset.categories)} categories")

# %% [markdown] id="choose-text"
# Pictures that the text discusses are chosen by a property, not by number, so that the text also
# applies to your own data. Here the property is: three to eight objects, no crowd, as many classes
# as possible, and room between them.


# %% id="first-picture" alt="A picture with two cats, a plant, an airplane, a kite, a car and an umbrella; beside it the same picture with each object painted in a colour of its own, outlined, boxed and named."
def variety(target):
    """How many classes an image shows well, less the more its boxes fill it."""
    if not 3 <= len(target) <= 8 or target.iscrowd.any():
        return 0
    pixels = target.size[0] * target.size[1]
    visible = target.labels[target.area > 0.01 * pixels].unique()
    return len(visible) - 3 * float(ops.box_area(target.boxes).sum()) / pixels


image, target = dataset[find_image(dataset, variety)]
plotting.compare(
    image,
    {"what the annotation says": target},
    dataset.categories,
    layer="instances",
    panel=3.2,
    caption="Left: what a network is given. Right: what it should answer.",
)

# %% [markdown] id="problem"
# ## The problem: what exactly is "the right answer"?
#
# Ask ten people what is in the picture above, and you get answers of different kinds. Data sets had
# to decide. ImageNet (2009) gave a whole picture **one name**. PASCAL VOC (2005–2012) gave every
# object a **box**. COCO (2014) gave every object a **mask**: the set of pixels that show it. In
# 2019 panoptic annotation added the rest of the picture, sky and grass included. Each step demands
# more of a network. Look at how many numbers it takes to describe one object.

# %% id="answers" tags=["nbval-check-output"]
name = dataset.categories.by_label(int(target.labels[0])).name
print("a name:", name)
print("a box: ", [round(v) for v in target.boxes[0].tolist()], " (4 numbers)")
print("a mask:", list(target.masks[0].shape), f" ({target.masks[0].numel():,} yes-or-no answers)")

# %% [markdown] id="problem-two"
# So two questions are open. How does a file hold many thousands of yes-or-no answers for each of
# nearly a million objects? And when a network returns a mask that is *nearly* right, how right is
# it? COCO's answers became the standard, and you will build them now. First, the picture itself.

# %% [markdown] id="idea"
# ## The idea, piece by piece
#
# ### An image is three sheets of numbers
#
# An image file decodes to bytes: for each pixel three values from 0 to 255, for red, green and
# blue. PyTorch wants the three colours first: a float tensor `[3, H, W]` with values from 0 to 1.
# Each of the three **channels** is a sheet of its own.

# %% id="channels" alt="Three grey pictures, the red, green and blue channel, in which the yellow cat is bright, bright and dark; and the picture with red and blue exchanged, whose sky is orange and whose cat is blue."
print("shape", list(image.shape), " type", image.dtype)
plotting.show_images(
    [image[0], image[1], image[2], image.flip(0)],
    ["image[0]: red", "image[1]: green", "image[2]: blue", "channels reversed"],
    caption="The brighter, the more of that colour. The last picture reads RGB as BGR.",
    panel=1.8,
)

# %% [markdown] id="channels-read"
# White is bright in all three sheets, yellow in the first two, red in the first alone. Nothing in
# the tensor says which sheet is red. Some libraries (OpenCV) load blue first; the network will not
# complain, but its results will be worse. The fourth picture is what it would see.
#
# **Predict before you run.** You want a red square around the point $x$ pixels from the left and
# $y$ from the top. Which one is it: `image[:, x, y]` or `image[:, y, x]`?

# %% id="index-order" alt="Two copies of the picture with a red square: in the first it is low and left, in the second high and right, where it was wanted."
x, y, r = (int(part * min(target.size)) for part in (0.7, 0.25, 0.04))
red = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
first, second = image.clone(), image.clone()
first[:, x - r : x + r, y - r : y + r] = red
second[:, y - r : y + r, x - r : x + r] = red
caption = f"Wanted: x = {x} (from the left), y = {y} (from the top)."
plotting.show_images([first, second], ["image[:, x, y]", "image[:, y, x]"], caption=caption)

# %% [markdown] id="index-order-read"
# `image[:, y, x]`: a tensor is indexed by **row, then column**. Boxes and polygons say $(x, y)$,
# tensors say `[row, column]`, and sizes come as `(H, W)`. In a square picture the wrong order
# raises no error. When a mask looks mirrored across the diagonal, you have found this mistake.

# %% [markdown] id="record-text"
# ### What a COCO file says
#
# A COCO annotation file is one JSON object. Open it without any library: it has three flat lists
# that refer to each other by `id`. The list of annotations is the one you will use most; it has one
# record for each object.

# %% id="record"
content = json.loads(dataset.annotations_path.read_text())
for key in ("images", "annotations", "categories"):
    print(f"{key:12s} a list of {len(content[key])}")
record = next(a for a in content["annotations"] if a["image_id"] == target.image_id)
for key in ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"):
    print(f"   {key:13s}{str(record[key])[:72]}")

# %% [markdown] id="record-read"
# | key | what it means |
# | --- | --- |
# | `image_id` | which entry of `images`, which has the file's name, height and width |
# | `category_id` | which entry of `categories`. COCO's 80 classes have ids from 1 to 90 **with gaps** |
# | `bbox` | `[x, y, width, height]`; the corner is the top left one. Not two corners! |
# | `area` | pixels of the **mask**, not of the box; it sorts objects into small, medium and large |
# | `iscrowd` | 1 for a group outlined as one, such as the audience in a stadium |
# | `segmentation` | the mask: polygons, or run lengths. Both are explained below |
#
# Because of the gaps, `seglib` gives every class a contiguous **label** 1…C, with 0 for background.
# Ids appear only where files are read or written.

# %% [markdown] id="boxes-text"
# ### Boxes: half-open corners
#
# Inside the course a box is $(x_0, y_0, x_1, y_1)$ with $x_1 = x_0 + w$ and $y_1 = y_0 + h$.
# **Predict before you run:** the object below covers columns 2, 3 and 4 and rows 1 and 2. What is
# $x_1$, 4 or 5?

# %% id="half-open" alt="A grid of 5 by 7 cells with the lines between them numbered; six cells are ones, and the box around them runs from line 2 to line 5 across and from line 1 to line 3 down."
six_cells = torch.zeros(5, 7, dtype=torch.bool)
six_cells[1:3, 2:5] = True
figure = plotting.show_mask_pixels(six_cells, "The numbers at the rim count edges")
axes = figure.axes[0]  # the cell in row r and column c has its centre at (c, r)
axes.set(xlabel="x", xticks=[edge - 0.5 for edge in range(8)], xticklabels=range(8))
axes.set(ylabel="y", yticks=[edge - 0.5 for edge in range(6)], yticklabels=range(6))
axes.plot([1.5, 4.5, 4.5, 1.5, 1.5], [0.5, 0.5, 2.5, 2.5, 0.5], color="#D55E00", linewidth=3)
figure

# %% [markdown] id="half-open-read"
# $x_1 = 5$: the box ends *where pixel 4 ends*. Pixel $c$ covers the stretch from $c$ to $c + 1$, so
# coordinates mark the **edges between pixels**. This convention is called **half-open**: the slice
# `mask[1:3, 2:5]`, $y$ first, is the whole object, and the width is $x_1 - x_0$ without a "+ 1".
# Older code (PASCAL VOC's) counted pixels inclusively; mixing the two conventions makes every box a
# pixel too large or too small.


# %% id="xywh" tags=["nbval-check-output"]
def xywh_to_corners(x, y, w, h):
    return x, y, x + w, y + h


def corners_to_xywh(x0, y0, x1, y1):
    return x0, y0, x1 - x0, y1 - y0


corners = xywh_to_corners(*record["bbox"])
print([round(v) for v in record["bbox"]], "->", [round(v) for v in corners])
print("and back:  ", [round(v) for v in corners_to_xywh(*corners)])
seglibs = ops.xywh_to_xyxy(torch.tensor(record["bbox"], dtype=torch.float64))
print("as seglib's:", list(corners) == seglibs.tolist())

# %% [markdown] id="rle-text"
# ### Masks, and the runs that hold them
#
# In memory a mask is a `bool` tensor `[H, W]`, and the masks of an image are stacked into `[N, H,
# W]`. A file should not store all of these zeros and ones. Since they come in long stretches, it
# stores the **lengths of the runs**: **run-length encoding**, RLE. COCO's rule has two parts:
#
# - read **down the columns**, from left to right;
# - begin with a run of **zeros**, even if it is empty; then ones, zeros, ones …
#
# **Predict before you run:** which counts does this mask give? Take a pencil; most people's first
# try reads along the rows.

# %% id="rle-tiny" alt="A small mask whose cells carry their place in the reading order, running down the columns; below it a strip with the runs 5, 2, 1, 6 and 6."
tiny = torch.tensor([[0, 0, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 0, 0], [0, 0, 1, 0, 0]]).bool()
plotting.show_rle(tiny)

# %% [markdown] id="rle-read"
# Follow the small numbers: down the first column (4 zeros) and on to the top of the second (one
# more zero), so the first run is 5. Then two ones, one zero. Then a run that *goes on across two
# columns*: 6 ones. Now as a loop.


# %% id="rle-loop" tags=["nbval-check-output"]
def encode_loop(mask):
    """bool [H, W] -> list of run lengths, zeros first, down the columns."""
    height, width = mask.shape
    counts, value, run = [], False, 0
    for column in range(width):
        for row in range(height):
            if mask[row, column] != value:
                counts.append(run)
                value, run = not value, 0
            run += 1
    return [*counts, run]


print("the mask above:           ", encode_loop(tiny))
print("zeros and ones exchanged: ", encode_loop(~tiny))

# %% [markdown] id="rle-zero"
# The second line begins with **0**: no zeros before the first one. Without that empty run nobody
# could tell whether a list starts with zeros or with ones.
#
# The tensor form needs no loop. A run ends wherever a pixel differs from the one before it, so find
# the positions of the changes, and take differences.


# %% id="rle-tensor"
def encode(mask):
    """The same for whole tensors."""
    pixels = mask.T.flatten()  # [H, W] -> [W, H] -> [W·H]: column after column
    before = torch.cat([pixels.new_zeros(1), pixels[:-1]])
    changes = (pixels != before).nonzero().flatten()
    ends = torch.cat([torch.tensor([0]), changes, torch.tensor([len(pixels)])])
    return ends.diff().tolist()


def decode(counts, size):
    """Run lengths -> bool [H, W]."""
    height, width = size
    values = torch.arange(len(counts)) % 2 == 1  # zeros, ones, zeros, …
    pixels = values.repeat_interleave(torch.tensor(counts))  # [W·H]
    return pixels.reshape(width, height).T  # [W·H] -> [W, H] -> [H, W]


# %% id="rle-check" tags=["nbval-check-output"]
masks = target.masks  # [N, H, W]
agree = all(encode_loop(m) == encode(m) for m in masks)
undone = all(torch.equal(decode(encode(m), target.size), m) for m in masks)
print("loop and tensor agree:", agree, " decode undoes encode:", undone)
largest = masks[masks.sum(dim=(1, 2)).argmax()]  # [H, W]; the sum of a mask is its area
print(f"the largest mask: {largest.numel():,} pixels, {len(encode(largest))} runs")

# %% [markdown] id="rle-wrong-text"
# **Predict before you run:** someone decodes these runs with `reshape(height, width)`, row by row.
# The number of ones is correct, and no error is raised. What does the mask look like?

# %% id="rle-wrong" alt="Left, the mask of a cat, decoded rightly. Right, the same runs read along the rows: the cat lies on its side, mirrored across the diagonal."
height, width = target.size
along_rows = decode(encode(largest), target.size).T.flatten().reshape(height, width)
plotting.show_images(
    [largest.float(), along_rows.float()], ["down the columns", "the same runs along the rows"]
)

# %% [markdown] id="rle-wrong-read"
# In a square picture it comes out mirrored across the diagonal; in any other it falls apart into
# stripes. A loss computed against such masks still goes down a little. So look at your targets
# before you train; it takes one line. (If a `segmentation` in a file looks like noise, it is such a
# list too: most tools pack the counts into printable characters.)

# %% [markdown] id="polygons-text"
# ### Polygons, and why they must become pixels
#
# People do not paint masks, they **click corners**. Most of COCO's masks are therefore lists of
# polygons, each `[x0, y0, x1, y1, …]` with fractions of pixels: several if something in front cuts
# the object in two, and run lengths instead where it has a hole.
#
# A network predicts pixels, and areas and overlaps are counted in pixels. So a polygon must be
# **rasterised**: for each pixel, in or out? The first idea: a pixel is in if its centre is. Send a
# ray from the centre to the right; an odd number of crossings with the outline means inside.


# %% id="polygon-loop"
def contains(corners, x, y):
    """Whether the polygon [(x0, y0), …] has the point (x, y) inside."""
    odd = False
    for (xa, ya), (xb, yb) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (ya > y) != (yb > y) and x < xa + (y - ya) * (xb - xa) / (yb - ya):
            odd = not odd
    return odd


def fill(corners, size):
    """The pixels whose centres the polygon contains: bool [H, W]."""
    height, width = size
    rows = [[contains(corners, c + 0.5, r + 0.5) for c in range(width)] for r in range(height)]
    return torch.tensor(rows)


# %% id="polygon-figure" tags=["nbval-check-output"] alt="A five-cornered outline over a grid of pixels; the cells that COCO's rule gives it are blue, and the border of the blue region is a staircase along the outline."
polygon = [1.3, 8.6, 4.1, 1.2, 9.8, 2.7, 8.9, 6.1, 12.6, 8.9]
clicked = list(zip(polygon[0::2], polygon[1::2], strict=True))
by_centre, by_coco = fill(clicked, (10, 14)), ops.rasterize([polygon], (10, 14))
print(f"{int(by_centre.sum())} pixels by centre, {int(by_coco.sum())} by COCO's rule;", end=" ")
different = (by_centre ^ by_coco).nonzero().tolist()
print("they differ at (row, column)", different)
caption = "Five clicked corners. Blue: their pixels by COCO's rule. Framed: where the rules differ."
plotting.show_polygon([polygon], (10, 14), framed=different, caption=caption)

# %% [markdown] id="polygon-read"
# **A polygon is not more exact than a mask.** It is an estimate made of a few clicks, and two
# sensible rules differ along its rim. (COCO's rule walks along the outline on a grid five times
# finer than the pixels.) If you rasterise by another rule, your "perfect" masks will not equal the
# official ones.
#
# The coarser the grid, the more the rim matters. Here is the outline with the most corners in the
# data set on coarser and coarser grids.

# %% id="polygon-scales" alt="A kite with a tail, drawn with 64, 28, 14 and 7 pixels: at 64 the tail hangs on a thin string; at 28 the string is gone and the tail lies in pieces; at 14 string and tail are a few rough blocks; at 7 a handful of squares is left."
outlines = [a["segmentation"] for a in content["annotations"]]
in_one_piece = [o[0] for o in outlines if isinstance(o, list) and len(o) == 1]
points = torch.tensor(max([polygon, *in_one_piece], key=len)).reshape(-1, 2)  # the most corners
points = (points - points.amin(dim=0)) / (points.amax(dim=0) - points.amin(dim=0)).max()  # 0…1
sizes = (64, 28, 14, 7)
drawn = [ops.rasterize([(points * s).flatten().tolist()], (s, s)).float() for s in sizes]
plotting.show_images(drawn, [f"{s} pixels" for s in sizes], panel=2.3)

# %% [markdown] id="polygon-scales-read"
# Remember the second picture: Mask R-CNN answers with 28 × 28 pixels for each object, however large
# it is in the image. No training can bring back thin parts that are lost at that size.

# %% [markdown] id="maps-text"
# ### One picture, three truths
#
# Countable objects are called **things**: person, boat, cup. The rest, sky or grass, is **stuff**:
# it has an extent but no number. Three different targets are made from the same annotation. Watch
# what happens to the largest group of one class in the data set.


# %% id="maps" tags=["nbval-check-output"] alt="A picture of seven boats, two birds, a kite and an airplane, and its targets: the semantic map gives all boats one colour, the instance masks give each object its own, and the panoptic map does so too and also colours the sky and the sea."
def largest_group(target):
    """The largest number of objects of one class, crowds left out."""
    return target.labels[~target.iscrowd].bincount(minlength=1).max()


crowded_image, crowded = dataset[find_image(dataset, largest_group)]
seen = set(crowded.semantic.flatten().tolist()) - {0, 255}
print(f"{len(crowded)} objects, {largest_group(crowded)} of one class;", end=" ")
print(f"{len(seen)} labels in the semantic map")
plotting.task_comparison(crowded_image, crowded, dataset.categories)

# %% [markdown] id="maps-read"
# The **semantic** map is one tensor `[H, W]` of labels: it says *which class* each pixel has, and
# neighbours of one class merge; 255 means "do not judge here". **Instance** masks are `[N, H, W]`,
# and may overlap. The **panoptic** map gives each pixel one label and one object number: things
# counted, stuff named, nothing twice. (A plain COCO folder without panoptic annotation has no
# stuff; then three pictures are drawn.)

# %% [markdown] id="iou-text"
# ### How right is nearly right?
#
# A detection and an object are two sets of pixels. The usual measure of their agreement is
# **intersection over union**:
#
# $$ \mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|} $$
#
# It is 1 when they are equal, 0 when they share nothing; missing pixels and surplus pixels both
# cost. For boxes the intersection is again a box: from the larger of the left edges to the smaller
# of the right ones, and the same from top to bottom.


# %% id="iou-loop"
def iou_of_two(a, b):
    """Boxes (x0, y0, x1, y1) -> IoU."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area_a + area_b - shared)


# %% [markdown] id="iou-predict"
# **Predict before you run:** two squares of equal size, one moved sideways by half its width, so
# that half of each is covered. What is the IoU, ½ or something else?

# %% id="iou-half" tags=["nbval-check-output"] alt="Two equal squares, the second moved right by half a width: only A, both, and only B are three equal stripes, and the IoU is one third."
square = (0, 0, 6, 6)
for part in (0, 1 / 6, 1 / 3, 1 / 2):
    iou = iou_of_two(square, (6 * part, 0, 6 + 6 * part, 6))
    print(f"moved by {part:4.0%} of the width: {1 - part:4.0%} covered, IoU {iou:.2f}")
caption = "Moved by half a width: three stripes of equal size; one of them is shared."
plotting.show_iou(torch.tensor(square), torch.tensor((3, 0, 9, 6)), caption=caption)

# %% [markdown] id="iou-half-read"
# One third. **IoU 0.5 does not mean that half overlaps**: the union grows while the intersection
# shrinks, so at 0.5 two equal squares still share two thirds of each. A box moved by a fraction $f$
# of its width has $\mathrm{IoU} = (1 - f)/(1 + f)$; you will use that below. An IoU of 0.9 allows a
# shift of only about a twentieth of the width.
#
# Now all pairs at once. Detections go along the rows, objects along the columns, and
# **broadcasting** makes the table.


# %% id="iou-tensor" tags=["nbval-check-output"]
def box_iou(a, b):
    """Boxes [N, 4] and [M, 4] -> IoU [N, M]."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])  # [N, 1, 2] with [1, M, 2] -> [N, M, 2]
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)  # [N, M]
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(dim=1) for x in (a, b))  # [N], [M]
    return shared / (area_a[:, None] + area_b[None, :] - shared)


def mask_iou(a, b):
    """Masks [N, H, W] and [M, H, W] -> IoU [N, M]."""
    shared = (a[:, None] & b[None]).sum(dim=(2, 3))  # [N, M, H, W] -> [N, M]
    either = (a[:, None] | b[None]).sum(dim=(2, 3))
    return shared / either


boxes = target.boxes
loops = torch.tensor([[iou_of_two(a, b) for b in boxes.tolist()] for a in boxes.tolist()])
print("loops and tensor agree:", torch.allclose(box_iou(boxes, boxes), loops, atol=1e-6))
print("masks: the diagonal is 1:", bool((mask_iou(masks, masks).diagonal() == 1).all()))

# %% [markdown] id="box-mask-text"
# Boxes and masks can disagree badly. Search the first images for the two objects whose boxes
# overlap most while their masks do not.


# %% id="box-mask" tolerance=0.02 alt="A cat that stands in front of a clock: their boxes nearly coincide, while their masks share nothing."
def gaps(target):
    """Box IoU − mask IoU of all pairs [N, N]; 0 where a crowd takes part."""
    of_boxes = ops.box_iou(target.boxes, target.boxes)
    gap = of_boxes - ops.mask_iou(target.masks, target.masks)
    return gap * ~(target.iscrowd | target.iscrowd[:, None])


index = find_image(dataset, lambda t: gaps(t).max() if len(t) else -1, limit=60)
pair_image, pair = dataset[index]
pair = pair[list(divmod(int(gaps(pair).argmax()), len(pair)))]
print(f"IoU of the boxes: {box_iou(pair.boxes, pair.boxes)[0, 1]:.2f}")
print(f"IoU of the masks: {mask_iou(pair.masks, pair.masks)[0, 1]:.2f}")
pair_drawn = plotting.overlay(pair_image, pair, dataset.categories, side=300, shrink=True)
plotting.show_images([pair_drawn], ["two boxes in nearly the same place"], panel=3.2)

# %% [markdown] id="box-mask-read"
# The boxes say "much the same place", the masks say "two things". That is why this course is about
# masks, and why it will matter later *which* of the two IoUs a method uses to remove duplicates.

# %% [markdown] id="crowd-text"
# ### Crowds
#
# Nobody outlines four hundred spectators one by one. COCO allows one region for all of them, with
# `iscrowd: 1`. What should happen to a detector that finds one spectator? Take the largest crowd in
# the data (if there is none, the largest object), and a square detection inside it.

# %% id="crowd-choose" alt="A picture in which many small boats lie close together; the annotation covers them all with one striped region, marked as a crowd, while the boats and the bird around it have masks of their own."
all_records = [a for i in dataset.image_ids for a in dataset.annotations(i)]
crowd_record = max(all_records, key=lambda a: (a["iscrowd"], a["area"]))
crowd_image, crowd_truth = dataset[dataset.image_ids.index(crowd_record["image_id"])]
plotting.compare(
    crowd_image, {"annotated": crowd_truth}, dataset.categories, layer="instances", panel=2.9
)

# %% id="crowd-detection" tolerance=0.02 alt="The crowd region hatched in one colour and a small square inside it: the intersection is the whole square, and the IoU is 0.04."
crowd = annotation_mask(crowd_record, crowd_truth.size)  # bool [H, W]
half = max(2, int(crowd.sum() ** 0.5) // 8)
# how much of a square around each pixel lies in the crowd: [H, W]
inside = F.avg_pool2d(crowd[None].float(), 2 * half + 1, 1, half)[0]
row, column = divmod(int(inside.argmax()), crowd.shape[1])
detection = torch.zeros_like(crowd)
detection[max(0, row - half) : row + half, max(0, column - half) : column + half] = True
shared, either = (detection & crowd).sum(), (detection | crowd).sum()
print(f"intersection / union:                {shared / either:.2f}")
print(f"intersection / detection's own area: {shared / detection.sum():.2f}")
x0, y0, x1, y1 = ops.masks_to_boxes((detection | crowd)[None])[0].int().tolist()
cut = (m[y0:y1, x0:x1] for m in (detection, crowd))
plotting.show_iou(*cut, names=("the detection", "the crowd"))

# %% [markdown] id="crowd-read"
# By plain IoU the detection is hopeless, although it may well sit on a real spectator. So for
# crowds COCO divides by **the detection's own area**: "how much of what you found lies in the
# crowd?" And a detection that matches a crowd is then **ignored**: it counts neither as correct nor
# as false. Any number of detections may match the same crowd, and a crowd never counts as missed.

# %% [markdown] id="ap-text"
# ### Average precision by hand
#
# Now score a whole answer. A detector returns boxes or masks, each with a class and a **score**,
# its own confidence. Take one image and one class with four objects, and pretend that a detector
# returned five boxes. Four of them are true boxes moved by a fraction $f$ of their width, so you
# can work out each IoU, $(1 - f)/(1 + f)$. The fifth covers only the upper third of object C: IoU
# 1/3.


# %% id="ap-choose"
def four_apart(target):
    """The smallest distance between four objects of one class, and the class; or (-1, 0)."""
    best = (-1.0, 0)
    for label in target.labels.unique().tolist():
        found = target.boxes[(target.labels == label) & ~target.iscrowd]
        if len(found) == 4:
            best = max(best, (float(torch.pdist((found[:, :2] + found[:, 2:]) / 2).min()), label))
    return best


toy, toy_index = dataset, find_image(dataset, lambda t: four_apart(t)[0])
if four_apart(toy[toy_index][1])[0] < 0:
    print("No image here has four objects of one class: this example comes from Pocket COCO.")
    toy = load_dataset("pocket", split="val", cache=True)
    toy_index = find_image(toy, lambda t: four_apart(t)[0])
toy_image, toy_truth = toy[toy_index]
toy_label = four_apart(toy_truth)[1]
toy_truth = toy_truth[(toy_truth.labels == toy_label) & ~toy_truth.iscrowd]


# %% id="ap-picture" alt="Four birds, named A to D; beside them five detected boxes with scores: two on A, one on the upper part of C, one near B and one near D."
def moved(box, part):
    """The box moved right by a part of its width."""
    return box + part * (box[2] - box[0]) * torch.tensor([1.0, 0.0, 1.0, 0.0])


a, b, c, d = toy_truth.boxes
third = torch.tensor([c[0], c[1], c[2], c[1] + (c[3] - c[1]) / 3])  # the upper third of C
five = torch.stack([third, moved(a, -0.2), moved(b, -0.22), moved(a, 0.05), moved(d, 0.1)])
scores = torch.tensor([0.55, 0.95, 0.70, 0.85, 0.30])
detections = Instances(five, scores, torch.full((5,), toy_label))
letters = Categories.from_coco({"id": i, "name": n} for i, n in enumerate("ABCD", start=1))
named = replace(toy_truth, labels=torch.arange(1, 5))
objects = plotting.overlay(toy_image, named, letters, side=360, shrink=True)
grey = dict.fromkeys(range(5), (60, 60, 60))  # not yet matched to objects
detected = plotting.overlay(toy_image, detections, min_score=0, side=360, shrink=True, shades=grey)
plotting.show_images([objects, detected], ["four objects", "five detections"], panel=3.7)

# %% [markdown] id="ap-overlaps-text"
# **Step 1: overlaps.** Compare every detection with every object.

# %% id="ap-overlaps" tags=["nbval-check-output"]
overlaps = box_iou(five, toy_truth.boxes)  # [5 detections, 4 objects]
print("score    A     B     C     D")
for score, line in zip(scores, overlaps, strict=True):
    print(f" {score:.2f} ", "  ".join(f"{v:.2f}" for v in line))

# %% [markdown] id="ap-match-text"
# **Step 2: true or false?** A detection is correct, a **true positive** (TP), if its IoU with an
# object reaches a threshold, here 0.5, and the object is still free. Otherwise it is a **false
# positive** (FP). Each object can be found once. The detections choose **in order of their
# scores**, and each takes the free object that it overlaps most.
#
# **Predict before you run:** two detections sit on object A. One has score 0.95 and IoU 0.67, the
# other score 0.85 and IoU 0.90. Which of them counts as correct: the one that fits better, the more
# confident one, or both?


# %% id="ap-match"
def match(overlaps, scores, threshold=0.5):
    """overlaps [D, G], scores [D] -> bool [D]: which detections are true positives."""
    free = torch.ones(overlaps.shape[1], dtype=torch.bool)
    true_positives = torch.zeros(len(scores), dtype=torch.bool)
    for d in scores.argsort(descending=True).tolist():
        candidates = torch.where(free, overlaps[d], -1.0)  # [G]
        best = int(candidates.argmax())
        if candidates[best] >= threshold:
            free[best], true_positives[d] = False, True
    return true_positives


# %% id="ap-match-run" tags=["nbval-check-output"]
true_positives = match(overlaps, scores)
order = scores.argsort(descending=True)
for n in order.tolist():
    best, verdict = int(overlaps[n].argmax()), "TP" if true_positives[n] else "FP"
    print(f"score {scores[n]:.2f}  best overlap {overlaps[n, best]:.2f}", end=" ")
    print(f"with {'ABCD'[best]}  -> {verdict}")

# %% [markdown] id="ap-match-read"
# The more confident one. **A duplicate is a false positive**, even when it fits better: the
# matching is greedy and never looks back. The 0.55 detection covers a third of C: it is a false
# positive too, and object C counts as missed.
#
# **Step 3: precision and recall.** Go down the list. After each detection ask: of what was reported
# so far, how much is correct (**precision**)? Of the four objects, how many were found
# (**recall**)?

# %% id="ap-curve" tags=["nbval-check-output"]
precision, recall, hits = [], [], 0
for rank, n in enumerate(order.tolist(), start=1):
    hits += int(true_positives[n])
    precision.append(hits / rank)
    recall.append(hits / len(toy_truth))
    print(f"{rank}  {'TP' if true_positives[n] else 'FP'}", end="  ")
    print(f"precision {hits}/{rank} = {precision[-1]:.2f}   recall {hits}/4 = {recall[-1]:.2f}")

# %% [markdown] id="ap-interpolate-text"
# **Step 4: one number.** Read the precision at 101 levels of recall, 0.00, 0.01, … 1.00, and
# average. At each level take the **best precision at that recall or any higher one**: whoever
# accepts a lower score gets a higher recall, and here a better precision as well. A recall that is
# never reached counts **0**.

# %% id="ap-interpolate" tags=["nbval-check-output"] alt="A table of the five detections with verdict, precision and recall; beside it a zigzag of measured points under a falling staircase with steps at recall 0.25, 0.5 and 0.75, and zero beyond."
samples = []
for level in range(101):
    reachable = [p for p, r in zip(precision, recall, strict=True) if r >= level / 100]
    samples.append(max(reachable, default=0.0))
print(f"AP = {sum(samples) / 101:.4f}")
plotting.ap_staircase(scores.tolist(), true_positives.tolist(), len(toy_truth))

# %% [markdown] id="ap-read"
# The orange line is what you measured; it drops at each false positive (a cross). The blue dots are
# the samples: a staircase that only falls. By hand:
#
# $$(26 \cdot 1 + 25 \cdot \tfrac{2}{3} + 25 \cdot \tfrac{3}{5} + 25 \cdot 0)/101 = 0.571$$
#
# There are 26 samples on the first step because 0.00 is one of them.
#
# **Predict before you run:** the detector now adds a hundred false detections, all with score 0.01,
# below everything else. Does AP fall a lot, a little, or not at all?

# %% id="ap-junk" tags=["nbval-check-output"]
from seglib.metrics import average_precision

junk_scores = torch.cat([scores, torch.full((100,), 0.01)])
junk_positives = torch.cat([true_positives, torch.zeros(100, dtype=torch.bool)])
before = average_precision(scores.numpy(), true_positives.numpy(), 4)
after = average_precision(junk_scores.numpy(), junk_positives.numpy(), 4)
print(f"five detections:         AP {before:.4f}")
print(f"and a hundred wrong ones: AP {after:.4f}")

# %% [markdown] id="ap-junk-read"
# Not at all. **AP judges the order, not the score threshold.** False detections *after* the last
# correct one change no sample, and that is why detectors are evaluated with all their detections,
# down to scores near zero.
#
# **Step 5: other IoU thresholds.** COCO repeats all of this for the ten IoU thresholds 0.50, 0.55,
# … 0.95, for each class, and takes the mean. At a higher threshold, true positives turn into false
# ones.


# %% id="ap-thresholds" alt="Ten horizontal bars, AP at each IoU threshold: 0.57 up to 0.60, then falling in steps to zero at 0.95."
def ap_at(threshold):
    matched = match(overlaps, scores, threshold)
    return average_precision(scores.numpy(), matched.numpy(), 4)


by_threshold = {f"IoU {percent / 100:.2f}": ap_at(percent / 100) for percent in range(50, 100, 5)}
title = f"AP at each threshold; their mean, COCO's AP, is {sum(by_threshold.values()) / 10:.3f}"
plotting.bars(by_threshold, ranked=False, xlabel="AP", title=title)

# %% [markdown] id="ap-thresholds-read"
# Compare two rows of the overlaps with the bars. At 0.70 the confident detection on A (IoU 0.67)
# fails, and now the "duplicate" (0.90) is free to take A. The same list of boxes is judged
# differently at each threshold.

# %% [markdown] id="equality"
# ## What you built is what the library runs, and what COCO runs
#
# The reference is `pycocotools`, the code behind every number in the papers. First the masks: every
# annotation of the forty fullest images, whether polygons or run lengths.

# %% id="equality-masks" tags=["nbval-check-output"]
import contextlib
import io

from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def runs_of(masks):
    """Your run lengths, as pycocotools reads them."""
    runs = [{"size": list(m.shape), "counts": encode(m)} for m in masks]
    return [coco_mask.frPyObjects(each, *each["size"]) for each in runs]


with contextlib.redirect_stdout(io.StringIO()):  # it prints a lot
    reference = COCO(str(dataset.annotations_path))
fullest = sorted(dataset.image_ids, key=lambda i: -len(dataset.annotations(i)))[:40]
equal = {"seglib's masks equal": [], "your runs equal": []}
for annotation in (each for i in fullest for each in dataset.annotations(i)):
    theirs = reference.annToMask(annotation)  # uint8 [H, W]
    mask = annotation_mask(annotation, theirs.shape)
    equal["seglib's masks equal"].append(bool((torch.from_numpy(theirs) == mask).all()))
    equal["your runs equal"].append(runs_of([mask]) == [coco_mask.encode(theirs.copy(order="F"))])
for what, answers in equal.items():
    print(f"{what} pycocotools': {sum(answers)} of {len(answers)}")

# %% [markdown] id="equality-iou-text"
# Then IoU: your tables, `seglib`'s and theirs, for the pictures that you saw above, and once more
# with the objects taken as crowds.

# %% id="equality-iou" tags=["nbval-check-output"]
some, every = crowded.masks[:5], crowded.masks
for crowds in (False, True):
    flags = torch.full((len(every),), crowds)
    table = coco_mask.iou(runs_of(some), runs_of(every), flags.int().tolist())
    same = torch.allclose(ops.mask_iou(some, every, flags), torch.from_numpy(table))
    print(f"seglib's mask IoU, crowds {crowds!s:5}:", same)
table = coco_mask.iou(runs_of(some), runs_of(every), [0] * len(every))
print("your mask IoU: ", torch.allclose(mask_iou(some, every).double(), torch.from_numpy(table)))
in_float64 = five.double(), toy_truth.boxes.double()
table = coco_mask.iou(*(ops.xyxy_to_xywh(each).numpy() for each in in_float64), [0] * 4)
print("your box IoU:  ", torch.allclose(box_iou(*in_float64), torch.from_numpy(table)))

# %% [markdown] id="equality-ap-text"
# And now everything together: a whole data set, all classes, all thresholds. That needs a detector.
# Here is a poor one, made from the truth: it moves masks, reports some objects twice, overlooks
# others, and gets every tenth name wrong. Its scores are half honest, half noise.


# %% id="poor-detector"
def poor_detector(truth, random):
    """Target -> Instances: the truth, spoiled."""
    rows = torch.arange(len(truth)).repeat(2)
    rows = rows[torch.rand(len(rows), generator=random) < 0.6]
    slips = torch.randn(len(rows), 2, generator=random) * 0.08 * truth.area[rows].sqrt()[:, None]
    shifts = slips.round().int().tolist()
    masks = truth.masks.clone()[rows]
    for n, (dx, dy) in enumerate(shifts):
        masks[n] = F.pad(masks[n], (dx, -dx, dy, -dy))  # [H, W], moved right by dx, down by dy
    fit = ops.mask_iou(masks, truth.masks)[torch.arange(len(rows)), rows]
    scores = (fit + torch.rand(len(rows), generator=random)) / 2
    wrong = torch.rand(len(rows), generator=random) < 0.1
    other = truth.labels[rows] % len(dataset.categories.things) + 1
    labels = torch.where(wrong, other, truth.labels[rows])
    kept = masks.flatten(1).any(1)
    return Instances(ops.masks_to_boxes(masks), scores, labels, masks)[kept]


# %% id="poor-example" alt="The poor detector's masks on the first picture of this lesson: all shifted, two kites on one, two plants on one and two umbrellas on one."
answer = poor_detector(target, torch.Generator().manual_seed(0))
spoiled = plotting.overlay(image, answer, dataset.categories, min_score=0, side=400, shrink=True)
plotting.show_images([spoiled], ["the poor detector"], panel=4.1)

# %% [markdown] id="evaluator-text"
# `seglib`'s evaluator takes the five steps above for each class and threshold, and for each range
# of sizes. Detections are *matched* image by image, but then all detections of a class, from **all
# images**, go into one list, ranked by score. There is one staircase per class, not one per image.
# So a score must mean the same in every picture.

# %% id="evaluator"
from seglib.metrics import CocoEvaluator

evaluator = CocoEvaluator(dataset.categories, "segm", dataset.area_ranges)
random = torch.Generator().manual_seed(1)
results = []  # the same detections as COCO records
for _, truth in dataset:
    found = poor_detector(truth, random)
    evaluator.update(found, truth)
    for n, runs in enumerate(runs_of(found.masks)):
        coco_id = dataset.categories.by_label(int(found.labels[n])).coco_id
        result = {"image_id": truth.image_id, "category_id": coco_id, "segmentation": runs}
        results.append({**result, "score": float(found.scores[n])})
stats = evaluator.compute().stats

# %% id="twelve" tolerance=0.02
with contextlib.redirect_stdout(io.StringIO()):
    loaded = reference.loadRes([dict(each) for each in results])  # it writes into what it loads
    judge = COCOeval(reference, loaded, "segm")
    judge.params.imgIds = dataset.image_ids
    judge.params.areaRng = [list(limits) for limits in dataset.area_ranges.values()]
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
print("number   seglib   pycocotools")
for number, judged in zip(stats, judge.stats, strict=True):
    print(f"{number:6s}  {stats[number]:.4f}   {judged:.4f}")
largest_difference = max(abs(a - b) for a, b in zip(stats.values(), judge.stats, strict=True))
print("all twelve equal within 1e-9:", bool(largest_difference < 1e-9))

# %% [markdown] id="twelve-read"
# These are **the twelve COCO numbers**. Read them in three groups.
#
# | number | what it is |
# | --- | --- |
# | AP | the mean over ten IoU thresholds and all classes; *the* number of a paper |
# | AP50, AP75 | AP at one threshold: 0.50 forgives sloppy masks, 0.75 does not |
# | APs, APm, APl | AP on small, medium and large objects alone |
# | AR1, AR10, AR100 | recall, averaged over the thresholds, if only the 1, 10 or 100 most confident detections per class and image count |
# | ARs, ARm, ARl | AR100 on small, medium and large objects alone |
#
# All but AR1 and AR10 count at most 100 detections per class and image.
#
# Ask two questions of them. *Is AP50 fine and AP75 poor?* Then objects are found, but their
# outlines are bad. *Is AR100 much higher than AP?* Then the objects are among the detections, but
# false detections rank above them. Papers print percent: 37.1 means 0.371.
#
# Small, medium and large are split at 32² and 96² pixels in COCO. Pocket COCO's pictures are only
# 128 pixels wide; it splits at 16² and 40². In APs, objects of other sizes are *ignored*, as crowds
# are, and so is a detection of another size that found nothing.

# %% [markdown] id="inside"
# ## Look inside: what the numbers punish
#
# Shift every object of the data set to the right by the same distance: two hundredths of the
# picture's width. What does that do to the IoU?

# %% id="slip"
small, large = dataset.area_ranges["small"][1], dataset.area_ranges["large"][0]
slipped = {"small": [], "medium": [], "large": []}
for _, truth in dataset:
    truth = truth[~truth.iscrowd]
    step = max(1, round(0.02 * truth.size[1]))
    ious = ops.mask_iou(truth.masks, F.pad(truth.masks, (step, -step))).diagonal()  # [N]
    for area, iou in zip(truth.area.tolist(), ious.tolist(), strict=True):
        slipped["small" if area < small else "large" if area > large else "medium"].append(iou)

# %% id="slip-figure" tolerance=0.02 alt="Three histograms of IoU: most large objects stay above 0.7, medium ones spread around 0.65, small ones around 0.45, most of them below 0.5."
occurring = {size: torch.tensor(values) for size, values in slipped.items() if values}
for size, values in occurring.items():
    right = (values >= 0.5).float().mean()
    print(f"{size:7s} {len(values):5d} objects, mean IoU {values.mean():.2f},", end=" ")
    print(f"still right at 0.5: {right:.0%}")
bins, title = [i / 20 for i in range(21)], "IoU after the same small slip"
plotting.histogram(occurring, bins=bins, title=title, xlabel="IoU with the truth")

# %% [markdown] id="slip-read"
# The same shift leaves most large objects correct and makes most small ones false. So expect a low
# APs from any method, for two reasons: small things are harder to *find*, and the same error in
# pixels costs them more. Thin things, such as legs and poles, suffer in the same way at any size.
#
# The truth has its limits too. Outlines are clicked by people and may be a few pixels off. An
# object that nobody annotated makes a correct detection a false positive. And a class with five
# objects weighs as much as one with five thousand. Remember that when two methods differ by a few
# tenths of a point.

# %% [markdown] id="try"
# ## Try it
#
# Here are two boxes to move around. Make them equally large with an IoU of exactly 0.5: how much of
# each is covered? Then shrink both to a quarter of their size and shift one by 5: how far does the
# IoU fall?

# %% id="explorer" alt="Two overlapping boxes with their intersection hatched, sliders for their edges and for a threshold, and the IoU with its verdict."
from seglib.widgets import IoUExplorer

IoUExplorer()

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
from seglib.widgets import Option, Question, Quiz

corners_quiz = Question(
    "A record says bbox = [10, 20, 30, 5]. The pixels of the box are",
    [
        Option(
            "image[:, 20:25, 10:40]",
            correct=True,
            feedback="Rows first: y from 20 to 25, x from 10 to 40, both ends half-open.",
        ),
        Option(
            "image[:, 10:40, 20:25]",
            feedback="That is x first. Tensors are indexed [row, column], so y comes first.",
        ),
        Option(
            "image[:, 20:5, 10:30]",
            feedback="The last two numbers are width and height, not a second corner.",
        ),
        Option(
            "image[:, 20:26, 10:41]",
            feedback="One too many: x0 + width is already the edge where the box ends.",
        ),
    ],
    objective="boxes",
)

# %% id="quiz-runs" tags=["quiz", "hide-input"]
runs_quiz = Question(
    "A mask of 2 rows and 3 columns is [[1, 1, 0], [0, 1, 0]]. Its counts are",
    [
        Option(
            "[0, 2, 2, 1, 1]",
            feedback="You read along the rows; COCO reads down the columns: 1 0, 1 1, 0 0.",
        ),
        Option(
            "[1, 1, 2, 2]",
            feedback="The order is right, but counts begin with zeros. Where is the empty run?",
        ),
        Option(
            "[0, 1, 1, 2, 2]",
            correct=True,
            feedback="Down the columns 1 0 1 1 0 0: no zeros, a one, a zero, two ones, two zeros.",
        ),
        Option(
            "[6, 0, 1, 1, 2, 2]",
            feedback="The counts sum to the number of pixels; that number itself is not stored.",
        ),
    ],
    objective="run lengths",
)

# %% id="quiz-two" tags=["quiz", "hide-input"]
polygon_quiz = Question(
    "Why are polygons rasterised before anything is measured?",
    [
        Option(
            "Because a polygon is more exact than a mask",
            feedback="A polygon is a few clicks: it is no more exact than pixels.",
        ),
        Option(
            "Because networks answer in pixels, and overlaps are counted in them",
            correct=True,
            feedback="And by one fixed rule: another rule gives other rims, so no IoU of 1.",
        ),
        Option(
            "Because run lengths take less space than corners",
            feedback="For simple outlines polygons take less. Space is not the reason.",
        ),
    ],
    objective="polygons",
)

# %% id="quiz-iou" tags=["quiz", "hide-input"]
iou_quiz = Question(
    "Two equal boxes, one moved sideways by a quarter of its width. Their IoU is",
    [
        Option(
            "0.75",
            feedback="That is the covered part of each. The union has grown to 1.25 widths.",
        ),
        Option(
            "0.60", correct=True, feedback="0.75 / 1.25, which is (1 − f)/(1 + f) with f = 0.25."
        ),
        Option("0.50", feedback="That would need a shift of a third: (1 − 1/3)/(1 + 1/3)."),
    ],
    objective="IoU",
)

# %% id="quiz-three" tags=["quiz", "hide-input"]
crowd_quiz = Question(
    "A detection of 200 pixels has 150 of them inside a crowd of 10,000 pixels. What is its "
    "overlap at evaluation, and its verdict at 0.5?",
    [
        Option(
            "150 / 10,050 ≈ 0.015: a false positive",
            feedback="That is plain IoU; for a crowd COCO divides by the detection's own area.",
        ),
        Option(
            "150 / 200 = 0.75: a true positive",
            feedback="The overlap is right, but a match with a crowd counts neither way.",
        ),
        Option(
            "150 / 200 = 0.75: ignored",
            correct=True,
            feedback="And the next detection may match the same crowd again.",
        ),
    ],
    objective="crowds",
)

# %% id="quiz-four" tags=["quiz", "hide-input"]
ap_quiz = Question(
    "Four objects; by falling score the detections are TP, TP, FP, TP, FP. "
    "AP (101 samples) is about",
    [
        Option(
            "0.69",
            correct=True,
            feedback="(51 · 1 + 25 · 3/4 + 25 · 0) / 101: the last 25 samples are never reached.",
        ),
        Option(
            "0.60",
            feedback="That is the precision at the end of the list, one point of the curve.",
        ),
        Option(
            "0.92",
            feedback="You averaged over the three hits: the missed object costs 25 samples.",
        ),
        Option(
            "0.75",
            feedback="That is the recall at the end. Errors among the hits cost precision as well.",
        ),
    ],
    objective="average precision",
)

# %% id="quiz-numbers" tags=["quiz", "hide-input"]
numbers_quiz = Question(
    "A method has AP50 = 0.62, AP75 = 0.20 and AR100 close to AP. What should be improved first?",
    [
        Option(
            "Its ranking: good masks have low scores",
            feedback="Then AR100 would be much higher than AP.",
        ),
        Option(
            "The exactness of its masks, along their outlines",
            correct=True,
            feedback="It finds objects at 0.5 and fails when the outline must fit.",
        ),
        Option(
            "Nothing: AP50 is the number that counts",
            feedback="The number that counts is the mean over all ten thresholds.",
        ),
    ],
    objective="twelve numbers",
)
Quiz([corners_quiz, runs_quiz, polygon_quiz, iou_quiz, crowd_quiz, ap_quiz, numbers_quiz])

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/01_images_masks_coco.ipynb) has three tasks: run lengths there and
# back; IoU of boxes and of masks with crowds, put into `seglib`'s own evaluator; and average
# precision, from overlaps and scores to one number. Each comes with checks that say what is wrong.

# %% [markdown] id="summary"
# ## In one minute
#
# - An image is a float tensor `[3, H, W]`, RGB, 0…1; tensors are indexed `[row, column]`, points
#   are $(x, y)$.
# - COCO boxes are `[x, y, w, h]`; inside the course they are half-open corners, and $x_1 - x_0$ is
#   the width.
# - Run lengths go down the columns and begin with zeros. Polygons are clicks; one fixed rule turns
#   them into pixels.
# - IoU is intersection over union; at 0.5 two equal boxes share two thirds of each. Against a
#   crowd: intersection over the detection's area, then ignored.
# - AP: match greedily in order of score, duplicates are false; precision and recall; a staircase;
#   101 samples; mean over thresholds and classes.
# - AP judges the order of the detections, not a threshold, and the same shift costs small objects
#   most.
#
# COCO's published numbers beside those of the data in this lesson (small, medium and large by each
# data set's own ranges):

# %% id="published" tolerance=0.02
records = [dataset.annotations(i) for i in dataset.image_ids]
classes = [len({a["category_id"] for a in each}) for each in records]
total = sum(map(len, slipped.values()))
print(f"{'':18s}{'COCO':>6s}{'here':>8s}")
print(f"{'objects per image':18s}{7.7:6.1f}{sum(map(len, records)) / len(records):8.1f}")
print(f"{'classes per image':18s}{3.5:6.1f}{sum(classes) / len(classes):8.1f}")
for size, published in (("small", 0.41), ("medium", 0.34), ("large", 0.24)):
    print(f"{size:18s}{published:6.0%}{len(slipped[size]) / total:8.0%}")

# %% [markdown] id="next"
# **Next**, in [lesson 02](02_convolution.ipynb): the operation with which every network of this
# course looks at these tensors.
#
# **References**
#
# - T.-Y. Lin et al. Microsoft COCO: common objects in context. *ECCV* 2014. arXiv 1405.0312.
# - M. Everingham et al. The PASCAL visual object classes (VOC) challenge. *International Journal of
#   Computer Vision* 88, 2010. doi:10.1007/s11263-009-0275-4.
# - J. Deng et al. ImageNet: a large-scale hierarchical image database. *CVPR* 2009.
#   doi:10.1109/CVPR.2009.5206848.
# - A. Kirillov et al. Panoptic segmentation. *CVPR* 2019. arXiv 1801.00868.
# - [COCO detection evaluation](https://cocodataset.org/#detection-eval), and its code,
#   `pycocotools`.
