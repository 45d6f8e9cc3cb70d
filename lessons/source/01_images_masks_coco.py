# %% [markdown] id="start"
# # 01. Images, masks and COCO
#
# Before a network can learn to cut objects out of a picture, three things must be settled: how a
# picture is stored, how the *right answer* is stored, and how a machine's answer is scored against
# it. All three look like bookkeeping. All three hide mistakes that cost people weeks. You will open
# a COCO file by hand, build each part yourself, and end with the twelve numbers that papers on
# instance segmentation report.
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
# **Time** about 95 minutes to read, less than a minute to run.

# %% id="imports"
import json
from collections import defaultdict
from dataclasses import replace

import torch
from torch.nn import functional as F

from seglib import ops, plotting
from seglib.data import load_dataset
from seglib.data.annotations import annotation_mask
from seglib.structures import Categories, Instances

torch.manual_seed(0)
dataset = load_dataset(split="val", cache=True)
print(f"{len(dataset)} images, {len(dataset.categories)} categories")

# %% [markdown] id="choose-text"
# Pictures that the text speaks about are chosen by a property, not by number, so that it also holds
# for your own data. Here the cell looks for an image without crowds, with three to eight objects,
# as many different classes as possible, and room between them. It reads keys of a COCO file that
# are explained further down; for now only its result matters.

# %% id="choose"
def variety(image_id):
    """How many classes an image shows well, less the more its boxes fill it."""
    records = dataset.annotations(image_id)
    if not 3 <= len(records) <= 8 or any(record["iscrowd"] for record in records):
        return 0
    height, width = dataset.record(image_id).size
    filled = sum(r["bbox"][2] * r["bbox"][3] for r in records) / (height * width)
    visible = {r["category_id"] for r in records if r["area"] > 0.01 * height * width}
    return len(visible) - 3 * filled


image_id = max(dataset.image_ids, key=variety)
image, target = dataset[dataset.image_ids.index(image_id)]

# %% id="first-picture" alt="A picture with two cats, a plant, an airplane, a kite, a car and an umbrella; beside it the same picture with each object painted in a colour of its own, outlined, boxed and named."
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
# Ask ten people what is in the picture above and you get ten answers of different kinds. "Some
# animals." "Two of them, on the left." A finger that follows an outline. Data sets had to decide.
# ImageNet (2009) gave a whole picture **one name**. PASCAL VOC (2005–2012) gave every object a
# **box**, and a small part of its pictures pixel-wise masks. COCO (2014) gave every object a
# **mask**: the set of pixels that show it. In 2019 panoptic annotation added the rest of the
# picture, sky and grass included.
#
# Each step asks more of a network. Look at how many numbers it takes to describe one object.

# %% id="answers" tags=["nbval-check-output"]
name = dataset.categories.by_label(int(target.labels[0])).name
print("a name:", name)
print("a box: ", [round(v) for v in target.boxes[0].tolist()], " (4 numbers)")
print("a mask:", list(target.masks[0].shape), f" ({target.masks[0].numel():,} yes-or-no answers)")

# %% [markdown] id="problem-two"
# So two questions are open. How does a file hold many thousands of yes-or-no answers for each of
# nearly a million objects? And when a network returns a mask that is *nearly* right, how right is
# it? COCO's answers became everybody's, and you will build them now. First, the picture itself.

# %% [markdown] id="idea"
# ## The idea, piece by piece
#
# ### An image is three sheets of numbers
#
# An image file decodes to bytes: for each pixel three values from 0 to 255, for red, green and
# blue. PyTorch wants the three colours first: a float tensor `[3, H, W]` with values from 0 to 1.
# Each of the three **channels** is a sheet of its own.

# %% id="image-tensor"
print("shape", list(image.shape), " type", image.dtype)
print(f"values from {image.min():.2f} to {image.max():.2f}")

# %% id="channels" alt="Three grey pictures, the red, green and blue channel, in which the yellow cat is bright, bright and dark; and the picture with red and blue exchanged, whose sky is orange and whose cat is blue."
plotting.show_images(
    [image[0], image[1], image[2], image.flip(0)],
    ["image[0]: red", "image[1]: green", "image[2]: blue", "channels reversed"],
    caption="The brighter, the more of that colour. The last picture reads RGB as BGR.",
    panel=1.8,
)

# %% [markdown] id="channels-read"
# White is bright in all three sheets, yellow in the first two, red in the first alone. But nothing
# in the tensor says which sheet is red. Some libraries (OpenCV) load blue first; the network will
# not complain, it will only be worse. The fourth picture is what it would see.
#
# **Predict before you run.** You want a red square around the point $x$ pixels from the left and
# $y$ from the top. Which one is it: `image[:, x, y]` or `image[:, y, x]`?

# %% id="index-order" alt="Two copies of the picture with a red square: in the first it is low and left, in the second high and right, where it was wanted."
side = min(target.size)
x, y, r = int(0.7 * side), int(0.25 * side), side // 24
red = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
first, second = image.clone(), image.clone()
first[:, x - r : x + r, y - r : y + r] = red
second[:, y - r : y + r, x - r : x + r] = red
plotting.show_images(
    [first, second],
    ["image[:, x, y]", "image[:, y, x]"],
    caption=f"Wanted: x = {x} (from the left), y = {y} (from the top).",
)

# %% [markdown] id="index-order-read"
# `image[:, y, x]`: a tensor is indexed by **row, then column**. Boxes and polygons say $(x, y)$,
# tensors say `[row, column]`, and sizes come as `(H, W)`. In a square picture the wrong order
# raises no error at all. When a mask looks mirrored across the diagonal, you have found this
# mistake.

# %% [markdown] id="record-text"
# ### What a COCO file says
#
# A COCO annotation file is one JSON object. Open it without any library.

# %% id="json-file"
content = json.loads(dataset.annotations_path.read_text())
for key in ("images", "annotations", "categories"):
    print(f"{key:12s} a list of {len(content[key])}")
keys = ("id", "file_name", "height", "width")
print("an image:   ", {k: content["images"][0][k] for k in keys})
print("a category: ", {k: content["categories"][0][k] for k in ("id", "name")})

# %% [markdown] id="record-text-two"
# Three flat lists that refer to each other by `id`. The list of annotations is the one you will
# meet daily: one record for each object.

# %% id="record"
record = next(a for a in content["annotations"] if a["image_id"] == image_id)
for key in ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"):
    print(f"{key:13s}{str(record[key])[:72]}")

# %% [markdown] id="record-read"
# | key | what it means |
# | --- | --- |
# | `image_id` | which entry of `images` |
# | `category_id` | which entry of `categories`. COCO's 80 classes have ids from 1 to 90 **with gaps** |
# | `bbox` | `[x, y, width, height]`; the corner is the top left one. Not two corners! |
# | `area` | pixels of the **mask**, not of the box (usually more: width × height); it sorts objects into small, medium and large |
# | `iscrowd` | 1 for a group outlined as one, such as the audience in a stadium |
# | `segmentation` | the mask: polygons, or run lengths. Both are explained below |
#
# Because of the gaps, `seglib` gives every class a contiguous **label** 1…C, with 0 for background.
# Ids appear only where files are read or written. (The records of Pocket COCO, the drawn data set
# that you see unless you brought your own, have two more keys; readers skip what they do not know.)

# %% id="gaps"
ids = [category["id"] for category in content["categories"]]
print("COCO ids:", ids[:12], "…")
print("labels:  ", [dataset.categories.by_coco_id(i).label for i in ids[:12]], "…")

# %% [markdown] id="boxes-text"
# ### Boxes: half-open corners
#
# Inside the course a box is $(x_0, y_0, x_1, y_1)$ with $x_1 = x_0 + w$ and $y_1 = y_0 + h$.
# **Predict before you run:** the object below covers columns 2, 3 and 4 and rows 1 and 2. What is
# $x_1$, 4 or 5?

# %% id="half-open" alt="A grid of 5 by 7 cells with the lines between them numbered; six cells are ones, and the box around them runs from line 2 to line 5 across and from line 1 to line 3 down."
six_cells = torch.zeros(5, 7, dtype=torch.bool)
six_cells[1:3, 2:5] = True
figure = plotting.show_mask_pixels(six_cells, "The numbers count edges")
axes = figure.axes[0]  # the cell in row r and column c has its centre at (c, r)
axes.set_xticks([edge - 0.5 for edge in range(8)], range(8))
axes.set_yticks([edge - 0.5 for edge in range(6)], range(6))
axes.plot([1.5, 4.5, 4.5, 1.5, 1.5], [0.5, 0.5, 2.5, 2.5, 0.5], color="#D55E00", linewidth=3)
figure

# %% id="half-open-check" tags=["nbval-check-output"]
x0, y0, x1, y1 = ops.masks_to_boxes(six_cells[None])[0].int().tolist()
print("corners", (x0, y0, x1, y1), " width", x1 - x0, " height", y1 - y0)
print("the slice [y0:y1, x0:x1] holds all of it:", bool(six_cells[y0:y1, x0:x1].all()))

# %% [markdown] id="half-open-read"
# $x_1 = 5$: the box ends *where pixel 4 ends*. Pixel $c$ covers the stretch from $c$ to $c + 1$, so
# coordinates mark the **edges between pixels**. This convention is called **half-open**, like
# Python's slices, and it makes the width $x_1 - x_0$ without a "+ 1". Older code (PASCAL VOC's)
# counted pixels inclusively; mixing the two conventions makes every box a pixel too large or too
# small.

# %% id="xywh"
def xywh_to_corners(box):
    """COCO's [x, y, w, h] -> (x0, y0, x1, y1)."""
    x, y, w, h = box
    return [x, y, x + w, y + h]


def corners_to_xywh(box):
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


# %% id="xywh-check" tags=["nbval-check-output"]
raw = torch.tensor([a["bbox"] for a in dataset.annotations(image_id)], dtype=torch.float64)
corner_form = torch.tensor([xywh_to_corners(box) for box in raw.tolist()], dtype=torch.float64)
back = torch.tensor([corners_to_xywh(box) for box in corner_form.tolist()], dtype=torch.float64)
example = [[round(v) for v in box[0].tolist()] for box in (raw, corner_form)]
print("for example:", example[0], "->", example[1])
print("as seglib's:", torch.equal(corner_form, ops.xywh_to_xyxy(raw)))
print("there and back:", torch.allclose(back, raw))

# %% [markdown] id="masks-text"
# ### Masks, and the runs that hold them
#
# In memory a mask is a `bool` tensor `[H, W]`, and the masks of an image are stacked to
# `[N, H, W]`. Everything takes one line: the area is a sum, and the box reaches from the first to
# the last `True` in each direction.

# %% id="mask-facts" tags=["nbval-check-output"]
masks = target.masks  # [N, H, W]
print("masks", list(masks.shape), masks.dtype)
print("areas in pixels:", masks.sum(dim=(1, 2)).tolist())
largest = masks[masks.sum(dim=(1, 2)).argmax()]  # [H, W]

# %% [markdown] id="rle-text"
# A file should not store all of these zeros and ones. But masks are dull in a useful way: long
# stretches of zeros, long stretches of ones. Store the **lengths of the runs** instead. That is
# **run-length encoding**, RLE. COCO's rule has two parts:
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

# %% id="rle-loop"
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


# %% id="rle-loop-run" tags=["nbval-check-output"]
print("the mask above:       ", encode_loop(tiny))
print("its first pixel set:  ", encode_loop(~tiny))
print("an empty 2×3 mask:    ", encode_loop(torch.zeros(2, 3, dtype=torch.bool)))

# %% [markdown] id="rle-zero"
# The second line begins with **0**: no zeros before the first one. Without that empty run nobody
# could tell whether a list starts with zeros or with ones.
#
# The tensor form needs no loop. A run ends wherever a pixel differs from the one before it, so find
# the places of change, and take differences.

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
agree = all(encode_loop(m) == encode(m) for m in masks)
undone = all(torch.equal(decode(encode(m), target.size), m) for m in masks)
print("loop and tensor agree:", agree)
print("decode undoes encode: ", undone)

# %% [markdown] id="rle-wrong-text"
# **Predict before you run:** someone decodes these runs with `reshape(height, width)`, row by row.
# The number of ones is right, and no error is raised. What does the mask look like?

# %% id="rle-wrong" alt="Left, the mask of a cat, decoded rightly. Right, the same runs read along the rows: the cat lies on its side, mirrored across the diagonal."
height, width = target.size
along_rows = decode(encode(largest), target.size).T.flatten().reshape(height, width)
plotting.show_images(
    [largest.float(), along_rows.float()], ["down the columns", "the same runs along the rows"]
)

# %% [markdown] id="rle-wrong-read"
# In a square picture it comes out mirrored across the diagonal; in any other it falls apart into
# stripes. A loss computed against such masks still goes down a little. So look at your targets
# before you train; it takes one line.
#
# ### Runs as a string
#
# Most tools squeeze the counts further, into printable characters. Each number is cut into groups
# of five bits, the lowest first; a sixth bit says "another group follows", and adding 48 makes the
# group a printable character. From the fourth count on, the *difference* from the count two places
# before is written, because neighbouring columns of an object have similar lengths, and small
# numbers need fewer characters. A difference can be negative: the highest of the last five bits
# (16) is the sign. You may skim the next cell; what matters is that nothing is lost.

# %% id="rle-characters"
def characters(number):
    """One whole number, possibly negative, as printable characters."""
    text = ""
    while True:
        group, number = number & 31, number >> 5
        last = number == (-1 if group & 16 else 0)
        text += chr(48 + group + (0 if last else 32))
        if last:
            return text


def to_string(counts):
    return "".join(characters(c - counts[i - 2] if i > 2 else c) for i, c in enumerate(counts))


# %% id="rle-string" tags=["nbval-check-output"]
print(encode(tiny), "->", to_string(encode(tiny)))
counts = encode(largest)
print(f"the largest mask above: {largest.numel():,} pixels,", end=" ")
print(f"{len(counts)} runs, {len(to_string(counts))} characters")

# %% [markdown] id="rle-string-read"
# Check the first line by hand: 5, 2 and 1 stand for themselves, then comes 6 − 2 = **4** and at
# last 6 − 1 = **5**. In the second line thousands of pixels have become little more than a
# character per run. This is what you see when a `segmentation` in a file looks like noise.

# %% [markdown] id="polygons-text"
# ### Polygons, and why they must become pixels
#
# People do not paint masks, they **click corners**. Most of COCO's masks are therefore lists of
# polygons, each `[x0, y0, x1, y1, …]` with fractions of pixels. One object may need several, when
# something in front cuts it in two. A polygon has no holes, so where a hole matters the file holds
# run lengths instead.
#
# A network answers in pixels, and areas and overlaps are counted in pixels. So a polygon must be
# **rasterised**: for each pixel, in or out? The first idea that comes to mind: a pixel is in if its
# centre is. Send a ray from the centre to the right and count how often it crosses the outline. An
# odd count means inside.

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


# %% id="polygon-figure" alt="A five-cornered outline over a grid of pixels; the cells that COCO's rule gives it are blue, and the border of the blue region is a staircase along the outline."
polygon = [1.3, 8.6, 4.1, 1.2, 9.8, 2.7, 8.9, 6.1, 12.6, 8.9]
corners = list(zip(polygon[0::2], polygon[1::2], strict=True))
plotting.show_polygon(
    [polygon],
    (10, 14),
    caption="Dots and lines: five clicked corners. Blue: their pixels by COCO's rule.",
)

# %% id="polygon-areas" tags=["nbval-check-output"]
by_centre, by_coco = fill(corners, (10, 14)), ops.rasterize([polygon], (10, 14))
px, py = torch.tensor(corners, dtype=torch.float64).T
exact = float((px * py.roll(-1) - px.roll(-1) * py).sum().abs() / 2)  # the surveyor's formula
print(f"area inside the lines {exact:.1f}; pixels by centre {int(by_centre.sum())};", end=" ")
print(f"pixels by COCO's rule {int(by_coco.sum())}")
differing = [tuple(place) for place in (by_centre ^ by_coco).nonzero().tolist()]
print("the two rules differ at (row, column):", differing)

# %% [markdown] id="polygon-read"
# **A polygon is not more exact than a mask.** It is a guess made of a few clicks, and three ways of
# measuring it give three areas. Two sensible rules differ on the rim. COCO's rule walks along the
# outline on a grid five times finer than the pixels, and switches a column between in and out
# wherever the walk crosses the column's middle. If you rasterise by another rule, your "perfect"
# masks will not reach IoU 1 against the official ones.
#
# The coarser the grid, the more the rim matters. Here is one object of the data set, its outline
# rasterised on coarser and coarser grids.

# %% id="polygon-choose"
outlined = [a for a in content["annotations"] if isinstance(a["segmentation"], list)]
in_one_piece = [a for a in outlined if len(a["segmentation"]) == 1] or outlined
chosen = max(in_one_piece, key=lambda a: len(a["segmentation"][0]))  # the most corners
left, top, wide, high = chosen["bbox"]


def at_scale(cells):
    """The object drawn so that its longer side is `cells` pixels long: bool [cells, cells]."""
    scale = cells / max(wide, high)
    small = []
    for points in chosen["segmentation"]:  # x0, y0, x1, y1, …
        small.append([(v - (left, top)[i % 2]) * scale for i, v in enumerate(points)])
    return ops.rasterize(small, (cells, cells))


# %% id="polygon-scales" alt="A kite with a tail, drawn with 64, 28, 14 and 7 pixels: at 64 the tail hangs on a thin string; at 28 the string is gone and the tail lies in pieces; at 14 string and tail are a few rough blocks; at 7 a handful of squares is left."
sizes = (64, 28, 14, 7)
drawn = [at_scale(s).float() for s in sizes]
plotting.show_images(drawn, [f"{s} pixels" for s in sizes], panel=2.3)

# %% [markdown] id="polygon-scales-read"
# Remember the second picture: Mask R-CNN answers with 28 × 28 pixels for each object, however large
# it is in the image. No training can bring back thin parts that are lost at that size.

# %% [markdown] id="maps-text"
# ### One picture, three truths
#
# Countable objects are called **things**: person, boat, cup. The rest, sky or grass, is **stuff**:
# it has an extent but no number. Three different targets are made from the same annotation. The
# image below has the largest group of objects of one class; watch what becomes of that group.

# %% id="maps" alt="A picture of seven boats, two birds, a kite and an airplane, and its targets: the semantic map gives all boats one colour, the instance masks give each object its own, and the panoptic map does so too and also colours the sky and the sea."
def groups(data):
    """Yield (index of an image, its records of one class, crowds left out)."""
    for index, each in enumerate(data.image_ids):
        by_class = defaultdict(list)
        for a in data.annotations(each):
            if not a["iscrowd"]:
                by_class[a["category_id"]].append(a)
        yield from ((index, records) for records in by_class.values())


crowded_index, many = max(groups(dataset), key=lambda group: len(group[1]))
crowded_image, crowded = dataset[crowded_index]
plotting.task_comparison(crowded_image, crowded, dataset.categories)

# %% id="maps-count" tags=["nbval-check-output"]
group_label = dataset.categories.by_coco_id(many[0]["category_id"]).label
print(f"objects in the largest group: {len(many)}; in the semantic map", end=" ")
print(f"they share one label, {group_label}")
seen = sorted(set(crowded.semantic.flatten().tolist()) - {0, 255})
print(f"labels in the semantic map: {len(seen)}; objects in the picture: {len(crowded)}")

# %% [markdown] id="maps-read"
# The **semantic** map is one tensor `[H, W]` of labels: it says *which class* each pixel has, and
# neighbours of one class melt together. **Instance** masks are `[N, H, W]`, and may overlap. The
# **panoptic** map gives each pixel one label and one object number: things counted, stuff named,
# nothing twice. (A plain COCO folder without panoptic annotation has no stuff. Then everything that
# is not an object is background, and three pictures are drawn.) In semantic maps 255 means "do not
# judge here".

# %% [markdown] id="iou-text"
# ### How right is nearly right?
#
# A detection and an object are two sets of pixels. The usual measure of their agreement is
# **intersection over union**:
#
# $$ \mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|} $$
#
# It is 1 when they are equal, 0 when they share nothing. Missing pixels and surplus pixels both
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

# %% id="iou-half" alt="Two equal squares, the second moved right by half a width: only A, both, and only B are three equal stripes, and the IoU is one third."
square, half_moved = (0, 0, 6, 6), (3, 0, 9, 6)
plotting.show_iou(
    torch.tensor(square),
    torch.tensor(half_moved),
    caption="Three stripes of equal size; one of them is shared.",
)

# %% id="iou-table" tags=["nbval-check-output"]
for part in (0, 1 / 12, 1 / 6, 1 / 3, 1 / 2):
    shifted = (6 * part, 0, 6 + 6 * part, 6)
    iou = iou_of_two(square, shifted)
    print(f"moved by {part:4.0%} of the width: {1 - part:4.0%} covered, IoU {iou:.2f}")

# %% [markdown] id="iou-half-read"
# One third. **IoU 0.5 does not mean that half overlaps**: the union grows while the intersection
# shrinks, so at 0.5 two equal squares still share two thirds of each. Moved by the part $f$ of its
# width, a box keeps $\mathrm{IoU} = (1 - f)/(1 + f)$; you will use that below. And 0.9 allows a
# slip of only about a twentieth of the width: hard even for people.
#
# Now all pairs at once. Detections go along the rows, objects along the columns, and
# **broadcasting** makes the table.

# %% id="iou-tensor"
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


# %% id="iou-check" tags=["nbval-check-output"]
boxes = target.boxes
mine = box_iou(boxes, boxes)
loops = torch.tensor([[iou_of_two(a, b) for b in boxes.tolist()] for a in boxes.tolist()])
agree = torch.allclose(mine, loops, atol=1e-6)
print("table", list(mine.shape), " loops and tensor agree:", agree)
print("masks: the diagonal is 1:", bool((mask_iou(masks, masks).diagonal() == 1).all()))

# %% [markdown] id="box-mask-text"
# Boxes and masks can disagree badly. Search the first images for the two objects whose boxes
# overlap most while their masks do not.

# %% id="box-mask-search"
def disagreement(index):
    """(box IoU − mask IoU, index, two objects) for the pair that differs most in an image."""
    truth = dataset[index][1]
    of_boxes = ops.box_iou(truth.boxes, truth.boxes)  # [N, N]
    gap = (of_boxes - ops.mask_iou(truth.masks, truth.masks)).fill_diagonal_(0)  # [N, N]
    gap[truth.iscrowd], gap[:, truth.iscrowd] = 0, 0
    i, j = divmod(int(gap.argmax()), len(truth))
    return float(gap[i, j]), index, i, j


candidates = [n for n in range(min(60, len(dataset))) if len(dataset[n][1])]
_, pair_index, i, j = max(disagreement(n) for n in candidates)
pair_image, pair = dataset[pair_index][0], dataset[pair_index][1][[i, j]]

# %% id="box-mask-figure" alt="A cat that stands in front of a clock: their boxes nearly coincide, while their masks share nothing."
pair_drawn = plotting.overlay(pair_image, pair, dataset.categories, side=300, shrink=True)
plotting.show_images([pair_drawn], ["two boxes in nearly the same place"], panel=3.2)

# %% id="box-mask-iou" alt="The two masks cut out and hatched in two colours: the cat's, and around it what shows of the clock. They share no pixel, and the IoU is zero."
def zoom(masks):
    """Cut masks [N, H, W] to the box around all of them."""
    x0, y0, x1, y1 = ops.masks_to_boxes(masks.any(0)[None])[0].int().tolist()
    return masks[:, y0:y1, x0:x1]


print(f"IoU of the boxes: {float(ops.box_iou(pair.boxes[:1], pair.boxes[1:])):.2f}")
kinds = [dataset.categories.by_label(k).name for k in pair.labels.tolist()]
names = (f"A: {kinds[0]}", f"B: {kinds[1]}")
plotting.show_iou(*zoom(pair.masks), names=names, title="IoU of the masks")

# %% [markdown] id="box-mask-read"
# The boxes say "much the same place", the masks say "two things". That is why this course is about
# masks, and why it will matter later *which* of the two IoUs a method uses to remove duplicates.

# %% [markdown] id="crowd-text"
# ### Crowds
#
# Nobody outlines four hundred spectators one by one. COCO allows one region for all of them, with
# `iscrowd: 1`. What should happen to a detector that finds one spectator? Take the largest crowd in
# the data (or, if there is none, the largest object in its place), and a square detection inside
# it.

# %% id="crowd-choose" alt="A picture in which many small boats lie close together; the annotation covers them all with one striped region, marked as a crowd, while the boats and the bird around it have masks of their own."
all_records = [a for i in dataset.image_ids for a in dataset.annotations(i)]
crowd_record = max(all_records, key=lambda a: (a["iscrowd"], a["area"]))
crowd_image, crowd_truth = dataset[dataset.image_ids.index(crowd_record["image_id"])]
plotting.compare(
    crowd_image, {"annotated": crowd_truth}, dataset.categories, layer="instances", panel=2.9
)

# %% id="crowd-detection"
crowd = annotation_mask(crowd_record, crowd_truth.size)  # bool [H, W]
half = max(2, int(crowd.sum() ** 0.5) // 8)
# how much of a square around each pixel lies in the crowd: [H, W]
inside = F.avg_pool2d(crowd[None].float(), 2 * half + 1, 1, half)[0]
row, column = divmod(int(inside.argmax()), crowd.shape[1])
detection = torch.zeros_like(crowd)
detection[max(0, row - half) : row + half, max(0, column - half) : column + half] = True

# %% id="crowd-figure" alt="The crowd region hatched in one colour and a small square inside it: the intersection is the whole square, and the IoU is 0.04."
pair_of_masks = zoom(torch.stack([detection, crowd]))
plotting.show_iou(*pair_of_masks, names=("the detection", "the crowd"))

# %% id="crowd-iou"
shared, either = (detection & crowd).sum(), (detection | crowd).sum()
print(f"intersection / union:               {shared / either:.2f}")
print(f"intersection / detection's own area: {shared / detection.sum():.2f}")

# %% [markdown] id="crowd-read"
# By plain IoU the detection is hopeless, although it may well sit on a real spectator. So for
# crowds COCO divides by **the detection's own area**: "how much of what you found lies in the
# crowd?" And a detection that matches a crowd is then **ignored**: it counts neither as right nor
# as wrong. Any number of detections may match the same crowd. Nor is a crowd ever counted as
# missed. The data say "we did not look closely here", and the score respects that.

# %% [markdown] id="ap-text"
# ### Average precision by hand
#
# Now score a whole answer. A detector returns boxes or masks, each with a class and a **score**,
# its own confidence. Take one image and one class with four objects, and pretend that a detector
# returned five boxes. Four of them are true boxes moved by a part $f$ of their width, so you can
# work out each IoU, $(1 - f)/(1 + f)$. The fifth covers only the upper third of object C: IoU 1/3.

# %% id="ap-choose"
def room(group):
    """Four objects? Do their boxes keep apart? How far between centres, how long the sides?"""
    found = ops.xywh_to_xyxy(torch.tensor([a["bbox"] for a in group[1]]).float())
    overlap = ops.box_iou(found, found).fill_diagonal_(0).max()
    centres = (found[:, :2] + found[:, 2:]) / 2
    distance = torch.cdist(centres, centres).fill_diagonal_(torch.inf).min()
    shortest = (found[:, 2:] - found[:, :2]).min()
    return len(found) == 4, -round(float(overlap), 1), float(distance * shortest)


toy = dataset
if not any(len(records) == 4 for _, records in groups(toy)):
    print("No image here has four objects of one class: this example comes from Pocket COCO.")
    toy = load_dataset("pocket", split="val")
toy_index, toy_records = max(groups(toy), key=room)
toy_image, toy_truth = toy[toy_index]
toy_label = toy.categories.by_coco_id(toy_records[0]["category_id"]).label
toy_truth = toy_truth[(toy_truth.labels == toy_label) & ~toy_truth.iscrowd]
a, b, c, d = toy_truth.boxes

# %% id="ap-detections"
def moved(box, part):
    """The box moved right by a part of its width."""
    return box + part * (box[2] - box[0]) * torch.tensor([1.0, 0.0, 1.0, 0.0])


third = torch.tensor([c[0], c[1], c[2], c[1] + (c[3] - c[1]) / 3])  # the upper third of C
five = torch.stack([third, moved(a, -0.2), moved(b, -0.22), moved(a, 0.05), moved(d, 0.1)])
scores = torch.tensor([0.55, 0.95, 0.70, 0.85, 0.30])
detections = Instances(five, scores, torch.full((5,), toy_label))

# %% id="ap-picture" alt="Four birds, named A to D; beside them five detected boxes with scores: two on A, one on the upper part of C, one near B and one near D."
letters = Categories.from_coco({"id": i, "name": n} for i, n in enumerate("ABCD", start=1))
named = replace(toy_truth, labels=torch.arange(1, 5))
objects = plotting.overlay(toy_image, named, letters, side=360, shrink=True)
detected = plotting.overlay(toy_image, detections, min_score=0, side=360, shrink=True)
plotting.show_images([objects, detected], ["four objects", "five detections"], panel=3.7)

# %% [markdown] id="ap-overlaps-text"
# **Step 1: overlaps.** Compare every detection with every object.

# %% id="ap-overlaps" tags=["nbval-check-output"]
overlaps = box_iou(five, toy_truth.boxes)  # [5 detections, 4 objects]
print("score    A     B     C     D")
for score, line in zip(scores, overlaps, strict=True):
    print(f" {score:.2f} ", "  ".join(f"{v:.2f}" for v in line))

# %% [markdown] id="ap-match-text"
# **Step 2: right or wrong?** A detection is right, a **true positive** (TP), if its IoU with an
# object reaches a threshold, here 0.5, and the object is still free. Otherwise it is a **false
# positive** (FP). Each object can be found once. The detections choose **in order of their
# scores**, and each takes the free object that it overlaps most.
#
# **Predict before you run:** two detections sit on object A. One has score 0.95 and IoU 0.67, the
# other score 0.85 and IoU 0.90. Which of them counts as right: the one that fits better, the more
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
# matching is greedy and never looks back. A detector must learn to report each object once, and to
# be most confident where it is most exact. The 0.55 detection covers a third of C: it is wrong too,
# and object C counts as missed.
#
# **Step 3: precision and recall.** Go down the list. After each detection ask two questions. Of
# what was reported so far, how much is right (**precision**)? Of the four objects, how many were
# found (**recall**)?

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
# average. Two rules make the reading definite. At each level take the **best precision at that
# recall or any higher one**, the **interpolated precision**: whoever accepts a lower score gets a
# higher recall, and here a better precision as well. A recall that is never reached counts **0**.

# %% id="ap-interpolate" tags=["nbval-check-output"]
samples = []
for level in range(101):
    reachable = [p for p, r in zip(precision, recall, strict=True) if r >= level / 100]
    samples.append(max(reachable, default=0.0))
for start, end in ((0, 25), (26, 50), (51, 75), (76, 100)):
    print(f"levels {start / 100:.2f}…{end / 100:.2f}:", end=" ")
    print(f"{end - start + 1} samples of {samples[start]:.3f}")
print(f"AP = {sum(samples) / 101:.4f}")

# %% id="ap-staircase" alt="A table of the five detections with verdict, precision and recall; beside it a zigzag of measured points under a falling staircase with steps at recall 0.25, 0.5 and 0.75, and zero beyond."
plotting.ap_staircase(scores.tolist(), true_positives.tolist(), len(toy_truth))

# %% [markdown] id="ap-read"
# The orange line is what you measured; it drops at each false positive (a cross). The blue dots are
# the samples: a staircase that only falls. By hand:
# $(26 \cdot 1 + 25 \cdot \tfrac{2}{3} + 25 \cdot \tfrac{3}{5} + 25 \cdot 0)/101 = 0.571$. There are
# 26 samples on the first step because 0.00 is one of them.
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
# Not at all. **AP judges the order, not the cut.** Wrong detections *after* the last right one
# change no sample, and that is why detectors are evaluated with all their answers, down to scores
# near zero. It also means that a high AP does not tell you how a picture will look when you show
# people only the answers above some score.
#
# **Step 5: other IoU thresholds.** COCO repeats all of this for the ten IoU thresholds 0.50, 0.55,
# … 0.95, for each class, and takes the mean. At a higher threshold, true positives turn into false
# ones.

# %% id="ap-thresholds" alt="Ten horizontal bars, AP at each IoU threshold: 0.57 up to 0.60, then falling in steps to zero at 0.95."
def ap_at(threshold):
    matched = match(overlaps, scores, threshold)
    return average_precision(scores.numpy(), matched.numpy(), 4)


steps = [0.5 + 0.05 * i for i in range(10)]
by_threshold = {f"IoU {t:.2f}": ap_at(t) for t in steps}
mean = sum(by_threshold.values()) / 10
plotting.bars(
    by_threshold,
    ranked=False,
    xlabel="AP",
    title=f"AP at each threshold; their mean, COCO's AP, is {mean:.3f}",
)

# %% [markdown] id="ap-thresholds-read"
# Compare two rows of the overlaps with the bars. At 0.70 the confident detection on A (IoU 0.67)
# fails, and now the "duplicate" (0.90) is free to take A. The same list of boxes is judged
# differently at each threshold.

# %% [markdown] id="equality"
# ## What you built is what the library runs, and what COCO runs
#
# The reference is `pycocotools`, the code behind every number in the papers. First the masks: every
# annotation of the forty fullest images, whether polygons, a list of runs or a string.

# %% id="equality-reference"
import contextlib
import io

from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

with contextlib.redirect_stdout(io.StringIO()):  # it prints a lot
    reference = COCO(str(dataset.annotations_path))

# %% id="equality-masks" tags=["nbval-check-output"]
fullest = sorted(dataset.image_ids, key=lambda i: -len(dataset.annotations(i)))[:40]
equal = {"masks": [], "your runs as a string": []}
for annotation in (each for i in fullest for each in dataset.annotations(i)):
    theirs = reference.annToMask(annotation)  # uint8 [H, W]
    mask = annotation_mask(annotation, theirs.shape)
    equal["masks"].append(bool((torch.from_numpy(theirs) == mask).all()))
    string = coco_mask.encode(theirs.copy(order="F"))["counts"].decode()
    equal["your runs as a string"].append(to_string(encode(mask)) == string)
for what, answers in equal.items():
    print(f"{what} equal pycocotools': {sum(answers)} of {len(answers)}")

# %% [markdown] id="equality-iou-text"
# Then IoU: your tables, `seglib`'s and theirs, for the pictures that you saw above, and once more
# with the objects taken as crowds.

# %% id="equality-iou" tags=["nbval-check-output"]
def runs_of(masks):
    return [{"size": list(m.shape), "counts": to_string(encode(m))} for m in masks]


some, every = crowded.masks[:5], crowded.masks
for crowds in (False, True):
    flags = torch.full((len(every),), crowds)
    table = coco_mask.iou(runs_of(some), runs_of(every), flags.int().tolist())
    table = torch.from_numpy(table)
    same = torch.allclose(ops.mask_iou(some, every, flags), table, rtol=0, atol=1e-12)
    print(f"seglib's mask IoU, crowds {crowds!s:5}:", same)
    if not crowds:
        same = torch.allclose(mask_iou(some, every).double(), table)
        print("your mask IoU:                 ", same)
in_float64 = five.double(), toy_truth.boxes.double()
table = coco_mask.iou(*(ops.xyxy_to_xywh(each).numpy() for each in in_float64), [0] * 4)
same = torch.allclose(box_iou(*in_float64), torch.from_numpy(table))
print("your box IoU:                  ", same)

# %% [markdown] id="equality-ap-text"
# And now everything together: a whole data set, all classes, all thresholds. That needs a detector.
# Here is a poor one, made from the truth: it moves masks, reports some objects twice, overlooks
# others, and gets every tenth name wrong. Its confidence is half honest, half noise.

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
# `seglib`'s evaluator takes the five steps above for each class and threshold, and also for each
# range of sizes. With more than one image there is one thing to know: detections are *matched*
# image by image, but then all detections of a class, from **all images**, go into one list, ranked
# by score. There is one staircase per class, not one per image. So a score must mean the same in
# every picture.

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

# %% id="pycocotools"
with contextlib.redirect_stdout(io.StringIO()):
    loaded = reference.loadRes([dict(each) for each in results])  # it writes into what it loads
    judge = COCOeval(reference, loaded, "segm")
    judge.params.imgIds = dataset.image_ids
    judge.params.areaRng = [list(limits) for limits in dataset.area_ranges.values()]
    judge.evaluate()
    judge.accumulate()
    judge.summarize()

# %% id="twelve" tolerance=0.02
print("number   seglib   pycocotools")
for number, judged in zip(stats, judge.stats, strict=True):
    print(f"{number:6s}  {stats[number]:.4f}   {judged:.4f}")
ours = torch.tensor(list(stats.values()), dtype=torch.float64)
difference = ours - torch.from_numpy(judge.stats)
print("all twelve equal within 1e-9:", bool(difference.abs().max() < 1e-9))

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
# All but AR1 and AR10 count at most 100 detections per class and image. (Where no image has more
# than ten detections of a class, AR10 and AR100 are the same.)
#
# Ask two questions of them. *Is AP50 fine and AP75 poor?* Then objects are found, but their
# outlines are bad. *Is AR100 much higher than AP?* Then the objects are there among the answers,
# but wrong answers rank above them. Papers print percent: 37.1 means 0.371.
#
# Small, medium and large are split at 32² and 96² pixels in COCO. Pocket COCO's pictures are only
# 128 pixels wide; it splits at 16² and 40². Objects are sorted by their annotated `area`. In APs,
# objects of other sizes are *ignored*, as crowds are, and not counted as missed; so is a detection
# of another size that found nothing. Our poor detector slips by a part of each object's own size,
# which is kind to small ones. Real detectors are not, and you will see why next.

# %% [markdown] id="inside"
# ## Look inside: what the numbers punish
#
# Let every object of the data set slip to the right by the same distance: two hundredths of the
# picture's width. What does that do to the IoU?

# %% id="slip"
small, large = dataset.area_ranges["small"][1], dataset.area_ranges["large"][0]
slipped = {"small": [], "medium": [], "large": []}
for _, truth in dataset:
    truth = truth[~truth.iscrowd]
    step = max(1, round(0.02 * truth.size[1]))
    away = F.pad(truth.masks, (step, -step))  # [N, H, W]
    for m, n, area in zip(truth.masks, away, truth.area.tolist(), strict=True):
        size = "small" if area < small else "large" if area > large else "medium"
        slipped[size].append(float(ops.mask_iou(m[None], n[None])))

# %% id="slip-figure" alt="Three histograms of IoU: most large objects stay above 0.7, medium ones spread around 0.65, small ones around 0.45, most of them below 0.5."
plotting.histogram(
    {size: values for size, values in slipped.items() if values},
    bins=[i / 20 for i in range(21)],
    title="IoU after the same small slip",
    xlabel="IoU with the truth",
)

# %% id="slip-numbers" tolerance=0.02
for size, values in slipped.items():
    if not values:
        print(f"{size:7s} no objects in this data set")
        continue
    mean_iou, passed = sum(values) / len(values), sum(v >= 0.5 for v in values) / len(values)
    print(f"{size:7s} {len(values):5d} objects, mean IoU {mean_iou:.2f},", end=" ")
    print(f"still right at 0.5: {passed:.0%}")

# %% [markdown] id="slip-read"
# The same slip leaves the large objects right and makes most small ones wrong. So expect a low APs
# of any method, for two reasons: small things are harder to *find*, and the same error in pixels
# costs them more. Thin things, legs and poles, suffer in the same way at any size.
#
# And how full is a picture? That depends on the data; always look.

# %% id="statistics-figure" alt="A histogram of the number of objects per image, from 2 to 12: a broad hump at 5 and 6 with a tail to the right."
per_image = [len(dataset.annotations(i)) for i in dataset.image_ids]
plotting.histogram(
    per_image,
    bins=[n - 0.5 for n in range(max(per_image) + 2)],
    title="How full the images are",
    xlabel="objects per image",
)

# %% [markdown] id="inside-read"
# The truth has limits, too. Outlines are clicked by people and lie a few pixels off. An object that
# nobody annotated makes a correct detection a false positive. And AP treats all classes alike: one
# with five objects weighs as much as one with five thousand. Keep that in mind when two methods
# differ by a few tenths of a point.

# %% [markdown] id="try"
# ## Try it
#
# Here are two boxes to push about. Make them equally large with an IoU of exactly 0.5: how much of
# each is covered? Then shrink both to a quarter of their size and let one slip by 5: how far does
# the IoU fall?

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
            feedback="And by one fixed rule: another rule gives other rims, and never IoU 1.",
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
        Option("0.50", feedback="That would need a slip of a third: (1 − 1/3)/(1 + 1/3)."),
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
    "A method has AP50 = 0.62, AP75 = 0.20 and AR100 close to AP. What should it mend first?",
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
# - AP: match greedily in order of score, duplicates are wrong; precision and recall; a staircase;
#   101 samples; mean over thresholds and classes.
# - AP judges the order of the answers, not the cut, and the same slip costs small objects most.
#
# COCO's published numbers beside those of the data in this lesson (small, medium and large by each
# data set's own ranges):

# %% id="published" tolerance=0.02
per_class = [len({a["category_id"] for a in dataset.annotations(i)}) for i in dataset.image_ids]
total = sum(map(len, slipped.values()))
print(f"{'':18s}{'COCO':>6s}{'here':>8s}")
print(f"{'objects per image':18s}{7.7:6.1f}{sum(per_image) / len(per_image):8.1f}")
print(f"{'classes per image':18s}{3.5:6.1f}{sum(per_class) / len(per_class):8.1f}")
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
#   Computer Vision* 88, 2010.
# - J. Deng et al. ImageNet: a large-scale hierarchical image database. *CVPR* 2009.
# - A. Kirillov et al. Panoptic segmentation. *CVPR* 2019. arXiv 1801.00868.
# - COCO detection evaluation, cocodataset.org/#detection-eval, and its code, `pycocotools`.
