# %% [markdown] id="start"
# # 00. Start here
#
# A picture goes in. Out comes, for every object in it, **what it is and which pixels belong to
# it**. This task is called **instance segmentation**, and this course is about how a program can do
# it. You will build the answers that ten years of papers gave, one after another, each from scratch
# and on pictures small enough for a laptop.
#
# This first lesson is an overview: what the task is, why it is hard, which ideas people had, and
# how to use the notebooks. Nothing is built yet. You will look, guess, and press keys.
#
# **You will be able to**
#
# 1. tell classification, detection, semantic, instance and panoptic segmentation apart;
# 2. place the course's paradigms on a timeline, with the one idea of each;
# 3. check your environment, and work with lessons, quizzes, widgets and assignments;
# 4. switch to another data set with `SEGLIB_DATASET`.
#
# **You need** Python, and the courage to run a cell before you understand all of it.
# **Time** about 65 minutes to read, well under a minute to run.

# %% [markdown] id="run-cells"
# **Does everything work?**
#
# The grey box below is a **cell** of code. Click into it and press **Shift+Enter**: the cell runs,
# its output appears under it, and the next cell is selected. Go through a lesson from top to
# bottom, since cells use what earlier ones made. If you get lost, choose *Kernel → Restart Kernel
# and Run up to Selected Cell* from the menu.

# %% id="check-environment" tags=["nbval-check-output"]
import sys
from importlib.util import find_spec


def check(what, good, otherwise):
    print(f"✓ {what}" if good else f"✗ {what}\n  → {otherwise}")


needed = ("torch", "matplotlib", "ipywidgets", "seglib")
missing = [name for name in needed if find_spec(name) is None]
advice = "close JupyterLab and start it with `make lab`, or see book/install.md"
check("Python is 3.11, 3.12 or 3.13", (3, 11) <= sys.version_info[:2] <= (3, 13), advice)
check("the packages are there", not missing, f"no {', '.join(missing)} here: {advice}")

# %% id="check-course" tags=["nbval-check-output"]
import os

import torch

from seglib.data import load_dataset
from seglib.errors import SeglibError
from seglib.pretrained import load


def attempt(what, action):
    try:
        action()
        print(f"✓ {what}")
    except SeglibError as error:
        print(f"✗ {what}\n  → {error}")


check("PyTorch computes", torch.ones(2, 3).sum() == 6, "install it again: `make lab`")
few = torch.get_num_threads() <= os.cpu_count()
check("no more threads than cores", few, "unset OMP_NUM_THREADS")
attempt("pictures to look at", load_dataset)
attempt("a trained network", lambda: load("fcn"))

# %% [markdown] id="check-read"
# Six ticks in all? Then go on. A cross comes with an arrow that says what to do. In this course,
# errors that you can fix always read like this; if you ever see a bare Python traceback from inside
# `seglib`, you have found a bug of ours.
#
# Now to the picture that the whole course is about.

# %% id="imports"
import seglib
from seglib import plotting
from seglib.data import find_image, touching_pairs

torch.manual_seed(0)
dataset = load_dataset(split="val", limit=60, cache=True)
categories = dataset.categories
print(dataset)

# %% id="choose-scene"
def clear_scene(target):
    """A few objects, well inside the picture, none tiny; two of one class touch."""
    if target.iscrowd.any() or not 3 <= len(target) <= 7 or len(target.labels.unique()) < 2:
        return 0
    smallest = target.masks.float().mean((1, 2)).min().item()
    inside = (target.boxes > 1) & (target.boxes < torch.tensor(target.size[::-1] * 2) - 1)
    return min(smallest, 0.03) * min(1, len(touching_pairs(target))) * inside.float().mean().item()


image, target = dataset[find_image(dataset, clear_scene)]

# %% id="first-picture" alt="Left, a picture of three people, a cat and two cars. Right, the same picture with each object painted in a colour of its own, outlined exactly, and named; the two cars, which touch, have two colours."
annotated = plotting.overlay(image, target, categories, layer="instances", boxes=False, side=340)
plotting.show_images(
    [image, annotated],
    ["In", "Out"],
    panel=3.4,
    caption="What goes in, and what should come out (the annotation; nothing was computed).",
)

# %% [markdown] id="first-read"
# Look for neighbours of the same class: they have the same name but different colours. The outline
# follows each object, not a rectangle around it. That is the whole task. The rest of the course is
# about how to do it.
#
# `find_image` found this scene by its properties: a few objects, two of one class touching.
# Pictures that a lesson discusses are chosen like this, not by number, so that the text also
# applies to your own data.

# %% [markdown] id="problem"
# ## The problem: five questions about one picture
#
# "What is in this picture?" can be asked in five ways, each with a research field of its own. Read
# the panels in order, and ask of each what it leaves out.

# %% id="five-tasks" alt="Six panels of one scene: the image; a list of class names; boxes with names; every pixel tinted by class, neighbours of one class in one tint; every object in its own tint; and objects and background together."
plotting.five_tasks(image, target, categories)

# %% [markdown] id="five-read"
# | Task | The answer is | What it leaves out |
# |---|---|---|
# | **Classification** | a list of classes | where the objects are, and how many |
# | **Detection** | a box and a class for each object | which pixels of the box are the object |
# | **Semantic segmentation** | a class for every pixel | where one object ends and its neighbour of the same class begins |
# | **Instance segmentation** | a mask and a class for each object | what the rest of the picture is |
# | **Panoptic segmentation** | for every pixel a class, and for objects also *which* one | nothing |
#
# Two more words. **Things** can be counted: a cat, a car. **Stuff** cannot: sky, water, grass.
# Instance segmentation is about things. Panoptic segmentation covers both. (Some data sets annotate
# only things. Then the last panel is missing, and in the semantic one all the rest is
# "background".)
#
# Two of these tasks look as if they gave you instance segmentation for free. Test both.

# %% [markdown] id="boxes-question"
# ### "Segmentation is detection with tighter boxes"
#
# **Predict before you run.** Suppose a perfect detector gives you the tightest possible box of
# every object, and you take all pixels in the box as the object. Averaged over all objects in 60
# images, what share of those pixels is correct: nine tenths, three quarters, or closer to half?

# %% id="boxes-share" tolerance=0.02
shares = []
for _, truth in dataset:
    for object_mask, box in zip(truth.masks, truth.boxes.round().int().tolist()):
        x0, y0, x1, y1 = box
        inside = object_mask[y0:y1, x0:x1]  # the box's pixels, True where they show the object
        shares.append(inside.float().mean().item())
print(f"on average, {sum(shares) / len(shares):.0%} of a perfect box is its object")

# %% id="boxes-scene"
from dataclasses import replace

from seglib import ops


def confusing_boxes(target):
    """How far the boxes of two large objects overlap although their masks do not."""
    if target.iscrowd.any() or not 2 <= len(target) <= 6:
        return 0
    of_boxes = ops.box_iou(target.boxes, target.boxes)  # [N, N]
    gap = of_boxes - ops.mask_iou(target.masks, target.masks)  # [N, N]
    share = target.masks.float().mean((1, 2))  # [N]: how much of the picture each object fills
    return (gap * torch.minimum(share[:, None], share).clamp(max=0.06)).max().item()


boxed_image, boxed = dataset[find_image(dataset, confusing_boxes)]

# %% id="boxes-figure" alt="Three pictures: the image; the image with every box filled, so that the boxes cover one another over large areas, the cat's lying almost entirely inside the bird's; and the true masks, which follow the objects and do not overlap."
rows, columns = torch.arange(boxed.size[0])[:, None], torch.arange(boxed.size[1])
x0, y0, x1, y1 = boxed.boxes.T[:, :, None, None]  # each [N, 1, 1]
in_box = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)  # [N, H, W]
filled, exact = (
    plotting.overlay(boxed_image, answer, categories, layer="instances", boxes=False, side=280)
    for answer in (replace(boxed, masks=in_box), boxed)
)
titles = ["Image", "Perfect boxes, filled", "Masks"]
plotting.show_images([boxed_image, filled, exact], titles, panel=2.8)

# %% [markdown] id="boxes-answer"
# Closer to half. The rest of a *perfect* box is something else: background, or a neighbour. And the
# figure shows a worse problem. Where two boxes overlap, a pixel lies in both, and no tightening can
# say which object it belongs to. **A box is four numbers; a mask is an answer for every pixel.**
# Boxes help to find objects, and half of this course starts from them, but the mask has to come
# from somewhere else.

# %% [markdown] id="count-question"
# ### "Semantic segmentation counts objects"
#
# Now the other candidate. Take the *true* class map of a scene, the best that any semantic
# segmentation could give, and count objects by counting connected regions of a class. **Predict
# before you run:** will there be as many regions as objects, fewer, or more?

# %% id="count-scene"
def one_class_touching(target):
    """How many pairs of one class touch, in a scene of at most 12 objects without a crowd."""
    return 0 if target.iscrowd.any() or len(target) > 12 else len(touching_pairs(target))


scenes = dataset
if not any(one_class_touching(truth) for _, truth in scenes):
    print("No two objects of one class touch here: this example comes from Pocket COCO.")
    scenes = load_dataset("pocket", split="val", limit=60, cache=True)
crowded_image, crowded = scenes[find_image(scenes, one_class_touching)]
label = crowded.labels[touching_pairs(crowded)[:, 0]].mode().values.item()

# %% id="count-figure" alt="Left, four boats, each outlined in its own colour. Middle, all their pixels in one colour. Right, the connected regions: a single one."
plotting.touching_instances(crowded_image, crowded, crowded.semantic, scenes.categories, label)

# %% [markdown] id="count-answer"
# Objects that touch have merged into one region: **fewer** regions, wherever they touch. And an
# object cut in two by something in front of it makes **more**. The two errors can even cancel out,
# which is worse, because then the count looks right. A class map does not know what an object is.
# Semantic segmentation leaves this gap (lesson 04), and the rest of the course fills it.

# %% [markdown] id="hard"
# ### Why it is hard
#
# Here are four scenes, each found by a property. In each one, try to say how *you* know where one
# object ends.

# %% id="hard-scenes"
shown = [scene.boxes.tolist() for scene in (target, boxed, crowded)]


def inverse_smallest(target):
    return 1 / target.masks.float().mean((1, 2)).min().item() if len(target) else 0


def new_scene(score):
    """The best scene that you have not seen above."""

    def unseen(target):
        return -1 if target.boxes.tolist() in shown else score(target)

    return dataset[find_image(dataset, unseen)]


wanted = {
    "many neighbours": one_class_touching,
    "one behind another": confusing_boxes,
    "smallest object": inverse_smallest,
    "most objects": len,
}
found = {title: new_scene(score) for title, score in wanted.items()}

# %% id="hard-figure" alt="Four annotated scenes: kites that touch one another; a bird and a cat behind a cup; one tiny clock, marked by its box; and many objects, most of them overlapping."
tiny_image, objects = found["smallest object"]  # of this scene, keep the smallest object alone
found["smallest object"] = tiny_image, objects[objects.masks.sum((1, 2)).argsort()[:1]]
painted = []
for scene, kept in found.values():
    alone = len(kept) == 1
    painted.append(
        plotting.overlay(
            scene, kept, categories, layer="instances", boxes=alone, names=alone, side=250
        )
    )
plotting.show_images(painted, list(found), columns=4)

# %% [markdown] id="hard-read"
# - **Neighbours** of one class may look the same on both sides of their border, and one object may
#   have many colours. Colour will not tell them apart.
# - **Occlusion**: what you see of the object behind may be two separate pieces of one object.
# - **Size**: the same class can fill the picture or a few pixels.
# - **Number**: nobody knows beforehand how many objects there are.
#
# The last one sounds harmless. Look at how much the number varies over all images.

# %% id="count-histogram" alt="A histogram of the number of objects per image: from 2 to 12, most often 5 or 6."
every = load_dataset(split="val")
counts = [len(every.annotations(image_id)) for image_id in every.image_ids]
edges = [n - 0.5 for n in range(max(counts) + 2)]
title = "How full are the images?"
plotting.histogram(counts, bins=edges, title=title, xlabel="objects per image", ylabel="images")

# %% [markdown] id="count-trouble"
# A network computes a fixed number of outputs. One class for each of $H \times W$ pixels is a fixed
# number; "all objects" is not. And objects have no order: which is number one? **How do you get an
# unordered list of unknown length out of a network of fixed size?** Every paradigm below is an
# answer to this one question. Keep it in mind.

# %% [markdown] id="mask-numbers"
# ### What a mask is
#
# A picture is a grid of **pixels**, each of three numbers: red, green, blue. A **mask** is a grid
# of the same size with one yes or no for each pixel. Here is one small object, cut out and
# enlarged, and then its mask. (The next cell only looks for an object of the right size. You may
# skip its code.)

# %% id="small-object"
def fit(target):
    """[N]: how well each object is 11 to 13 pixels long, inside the picture, and filled."""
    sides = target.boxes[:, 2:] - target.boxes[:, :2]
    limit = torch.tensor(target.size[::-1] * 2)  # width, height, width, height
    outside = ((target.boxes < 1) | (target.boxes > limit - 1)).any(1)
    too_far = ((sides.amax(1) - 12).abs() - 1).clamp(min=0) + 9 * outside + 99 * target.iscrowd
    return target.masks.sum((1, 2)) / sides.amax(1).clamp(min=11) ** 2 - too_far


def best_fit(target):
    return fit(target).max().item() if len(target) else -999


whole, whole_target = dataset[find_image(dataset, best_fit)]
chosen = fit(whole_target).argmax()
left, top, right, bottom = whole_target.boxes[chosen].round().int().tolist()

# %% id="object-pixels" alt="Left, a darkened picture in which one small part stays bright. Right, that part, enlarged until each pixel is a square: a small clock, just recognisable."
name = categories.by_label(int(whole_target.labels[chosen])).name
side = max(bottom - top, right - left) + 2
part = tuple(slice(start, start + side) for start in (max(0, top - 1), max(0, left - 1)))
crop = whole[:, *part]
spotlit = 0.4 * whole
spotlit[:, *part] = crop
plotting.show_images([spotlit, crop], [f"where the {name} is", f"the {name}, enlarged"], panel=3.2)

# %% id="object-mask" alt="The same part as a grid of zeros and ones; the ones form the shape of the object."
mask = whole_target.masks[chosen, *part]
plotting.show_mask_pixels(mask, f"its mask: {int(mask.sum())} ones among {mask.numel()} numbers")

# %% [markdown] id="mask-read"
# The ones form the object's shape. A grid of $n$ cells can be filled in $2^n$ ways: about a
# thousand for 10 cells, a number of 61 digits for 200. So a network cannot choose among all masks
# as it chooses among a few classes. It has to *compose* a mask: pixel by pixel, or ray by ray, or
# as a mixture of patterns. How it does so is where the paradigms differ most.
#
# An instance segmentation is a list: for each object a mask `[H, W]`, a **label** (the number of
# its class), and, if a network made it, a **score** between 0 and 1 that says how confident it is.
# Here is the list for this lesson's first picture; an annotation has no scores.

# %% id="target-fields" tags=["nbval-check-output"]
print("image ", list(image.shape))
print("masks ", list(target.masks.shape), target.masks.dtype)
names = [categories.by_label(n).name for n in target.labels.tolist()]
print("labels", target.labels.tolist(), "→", names)

# %% [markdown] id="idea"
# ## The idea: ten years of answers
#
# Here are the papers of the course, each at its year. A coloured lane is a family with one way of
# thinking; the grey one holds the networks that give all the others their features (lesson 03). The
# table says what each paper added.

# %% id="timeline" alt="A timeline from 2012 to 2022 in five lanes: features (AlexNet to FPN), a class for every pixel (FCN 2015), find regions then look (R-CNN 2014 to Cascade R-CNN 2018), all at once (YOLACT, SOLO, PolarMask), and queries (DETR, MaskFormer, Mask2Former)."
built = ["FCN", "DeepMask", "R-CNN", "Mask R-CNN", "Cascade R-CNN"]
built += ["YOLACT", "SOLO", "PolarMask", "DETR", "MaskFormer"]
plotting.timeline(
    built, caption="Filled: a lesson of its own. The others led to these or grew out of them."
)

# %% [markdown] id="paradigms"
# | Lesson | Paradigm | Year | Its one idea | What it leaves open |
# |---|---|---|---|---|
# | 04 | **FCN** | 2015 | A classifier's last layers are convolutions in disguise: let it slide over the picture, and it classifies every location. | Touching objects of one class are one region. Which object does a pixel belong to? |
# | 05 | **DeepMask** | 2015 | Look through a window: *is an object centred here, and if so, which pixels belong to it?* Ask at every location and size. | It has no classes, and it looks through very many windows. |
# | 06–07 | **R-CNN → Mask R-CNN** | 2014–17 | First find regions that may hold an object; then look into each for its class, a better box and a small mask. | A box that overlaps half of the object already counts as correct. How does one get good boxes? |
# | 08 | **Cascade R-CNN** | 2018 | Improve boxes in stages; each stage learns from the better boxes of the one before, and is stricter. | Two, three, four looks at each object. Must there be so many? |
# | 09 | **YOLACT** | 2019 | One look: draw a few *prototype* masks for the whole picture; each object only says how to mix them. | It still needs boxes, to find objects and to crop their masks. |
# | 10 | **SOLO** | 2020 | No boxes: lay a grid over the picture; the cell in which an object's centre lies draws its mask. | A whole mask for each cell: does a shape need so many numbers? |
# | 11 | **PolarMask** | 2020 | A shape is a centre and 36 distances to its outline. | Holes, and objects in several pieces. And, as in every method since DeepMask, one object is found many times, and the duplicates must be removed. |
# | 12 | **DETR** | 2020 | A hundred learned *queries* each ask for one object; in training each object is given to exactly one of them, so nothing is found twice. | It learns slowly, and its masks are added afterwards. |
# | 13 | **MaskFormer** | 2021 | A query answers with a class and a mask of the whole picture: semantic, instance and panoptic segmentation become one task. | Where should a query look? (Mask2Former, 2022) |
#
# The years are those of publication; in 2015, FCN came half a year before DeepMask. A
# **convolution** (lesson 02) lays one small window of weights on every location of a picture and
# records an answer for each. Notice how each entry in the last column is the question for the row
# below it. You need not memorise the table; come back to it when a lesson begins.
#
# Now recall the question about unordered lists of unknown length. FCN does not answer it; the
# families below do. Regions: propose far too many candidates and keep the good ones. All at once:
# give each location on a grid one possible answer. Queries: ask a fixed number of times, and let
# most of the answers be "nothing".

# %% [markdown] id="pocket"
# ### The data: Pocket COCO
#
# The field's benchmark is **COCO**: more than a hundred thousand photographs, with a mask for each
# object. Training on it takes days on big machines. You have a laptop and an evening. So the course
# draws its own pictures, **Pocket COCO**: 128 × 128 pixels, stored exactly as COCO is stored. It
# has twelve classes of things (person, car, airplane, boat, bird, cat, umbrella, kite, cup, donut,
# potted plant, clock) and four kinds of stuff (road, sea, sky, grass).

# %% id="dataset-grid" alt="Four scenes of the data set with every object tinted, outlined and named: different numbers of objects, sizes, and overlaps."
plotting.dataset_grid(dataset, 4, title="The first four images, with their masks")

# %% [markdown] id="pocket-read"
# (Some names seem to have no object: look for the few pixels that still show behind something.)
#
# It is drawn, but deliberately not easy: objects hide each other, are cut off by the border, touch
# others of their own class, come in several parts, and change shape, pose and colour. Two rules
# keep it honest. **Colour must not give the answer away**: grouping pixels by colour finds hardly
# any object, and a test of the course checks that. And **the code that learns here is the same
# code** that can load the published weights: only the numbers of channels and pixels are smaller.
# What Pocket COCO cannot tell you is how good a method is on photographs. For that, each lesson
# quotes the published figures, and you can switch to other data.

# %% [markdown] id="switch"
# ### Switching the data
#
# Every lesson opens its data with one line, `load_dataset(…)`, which reads an **environment
# variable**:
#
# | `SEGLIB_DATASET` | You get |
# |---|---|
# | not set, or `pocket` | Pocket COCO, at once and offline |
# | `coco-mini` | a few hundred real COCO photographs; fetch them first: `seglib data coco-mini --categories person,dog --images 200` |
# | `coco:PATH` | any folder in COCO's format, for instance your own: `annotations/instances_val.json` (lesson 01 opens such a file), and its pictures in a folder `val` beside `annotations` |
#
# Set it before JupyterLab starts, for all lessons: `SEGLIB_DATASET=coco-mini make lab` (on Windows:
# `set SEGLIB_DATASET=coco-mini`, then start). Or set it for one notebook:
# `%env SEGLIB_DATASET=coco-mini` in its first cell. The texts are written for all of them; a
# sentence that holds for Pocket COCO alone says so.
#
# **Predict before you run:** what happens with a name that does not exist?

# %% id="switch-error" tags=["nbval-check-output"]
try:
    load_dataset("imagenet")
except SeglibError as error:
    print(error)

# %% [markdown] id="first-segmentation"
# ### A first segmentation
#
# Now for a real network. FCN, from lesson 04, comes trained on 4,000 drawn images; it has never
# seen the ones below. It does semantic segmentation: a class for each pixel. One call is enough.

# %% id="predict" tags=["nbval-check-output"]
from seglib.metrics.shared_classes import SharedClasses

fcn = load("fcn")
small = load_dataset(split="val", size=128, limit=60, cache=True)
try:
    shared = SharedClasses(fcn.categories, small.categories)  # compare classes by name
except SeglibError:
    print("FCN knows none of your classes: from here on, this lesson uses Pocket COCO.")
    small = load_dataset("pocket", split="val", limit=60, cache=True)
    shared = SharedClasses(fcn.categories, small.categories)
prediction = fcn.predict([small[0][0]])[0]
print("semantic:", list(prediction.semantic.shape), prediction.semantic.dtype)

# %% [markdown] id="honest"
# It would be easy to show you its best picture. Instead, sort the images by the share of pixels
# that it gets right, and look at the **best, the middle and the worst**.

# %% id="rank"
ranking = []
for index, (picture, answer) in enumerate(small):
    said = shared.predicted_map(fcn.predict([picture])[0].semantic)  # [H, W]
    true = shared.true_map(answer.semantic)  # 255 where the pixel must not count
    known = true != 255
    correct = (said == true)[known].float().mean().item() if known.any() else 0.0
    ranking.append((correct, index, picture, true, said))
ranking.sort(key=lambda row: row[:2], reverse=True)

# %% id="rank-figure" alt="Three rows: the best, the middle and the worst image. In each the picture, the true classes and the network's. The best is nearly right, with rounded outlines; in the worst, the airplane is missing: where it is, the map says bird, kite and sky."
chosen_rows = [ranking[0], ranking[len(ranking) // 2], ranking[-1]]
panels, titles = [], []
for correct, _, picture, true, said in chosen_rows:
    maps = (plotting.overlay(picture, each, shared.categories, side=220) for each in (true, said))
    panels += [picture, *maps]
    titles += ["image", "truth", f"FCN: {correct:.0%} right"]
plotting.show_images(
    panels,
    titles,
    columns=3,
    panel=2.2,
    caption=f"The best, the middle and the worst of {len(ranking)} images.",
)

# %% [markdown] id="rank-read"
# On Pocket COCO, the top row is nearly right, but the tips of the masts are gone, the gaps between
# the sails are filled, and much of the 97 % is easy scenery. (Stripes in the truth mark a
# **crowd**, a group outlined as one; it does not count.) In the middle row, look for parts that
# vanished or broke into pieces, such as the kite's tail and the umbrella's handle, and for outlines
# that bulge. The bottom row shows what it looks like when a network is wrong: not noise, but a
# wrong name given with confidence, or an object missing altogether. (On photographs this network
# fails, since it has only ever seen drawings.)

# %% [markdown] id="data-question"
# ### "More data always comes first"
#
# The network makes mistakes. **Predict before you run:** what would help most: (a) ten times as
# many images, (b) longer training, or (c) can you not know before you have looked at something
# else?
#
# Look at this first. FCN-8s does not give an answer for each pixel but for each block of 8 × 8, and
# enlarges the answers. What would a *perfect* network of this form reach, one that never errs? The
# score is **mean IoU**: for each class, the pixels that prediction and truth share, divided by all
# pixels of either, averaged over the classes; 1 is perfect. Lesson 01 builds the IoU.

# %% id="ceilings" tolerance=0.03
from seglib.metrics import evaluate, semantic_ceiling

ours = evaluate(fcn, small).figures["mean_iou"]
print(f"the shipped FCN-8s                       {ours:.2f}")
for stride in (32, 16, 8, 4):
    ceiling = semantic_ceiling(small, stride)
    print(f"perfect, one answer for {stride:2d} × {stride:2d} pixels: {ceiling:.2f}")

# %% [markdown] id="data-answer"
# A perfect network with one answer per 32 × 32 pixels stops far below 1; on Pocket COCO it even
# stays below our imperfect FCN-8s. All the pictures in the world would not improve it. **The form
# of the output is a ceiling, and data cannot lift it.** So the answer is (c): first see which limit
# you are at. For our own network, divide what is missing into two parts: from its score up to the 8
# × 8 line is what data or training may gain; from that line up to 1 is what neither can. Which part
# is larger? Each lesson prints this ceiling beside its score.
#
# There is a second thing to rule out before you collect data.

# %% [markdown] id="swap"
# ### Your code in a real network
#
# Everything that a lesson builds by hand is a **primitive** of `seglib`, and `seglib.use` puts
# *your* function in its place inside a real network, for as long as the `with` block lasts. Try it
# with a function that has a bug: a convolution (lesson 02) whose small windows of weights are
# turned upside down. It takes one call, and there is no error message.

# %% id="swap-code"
from torch.nn import functional as F


def turned_conv2d(x, weight, *settings, **named_settings):
    return F.conv2d(x, weight.flip(-1, -2), *settings, **named_settings)  # the bug: .flip


# %% id="swap-run" alt="A picture and two class maps over it: the sound network's, close to the objects, and the one with turned kernels, which calls the sky grass, a boat a kite and the sea partly sky."
best = ranking[0][2]
sound = fcn.predict([best])[0]
with seglib.use(conv2d=turned_conv2d):
    broken = fcn.predict([best])[0]
plotting.compare(best, {"FCN": sound, "FCN with one bug": broken}, panel=2.7)

# %% [markdown] id="swap-read"
# There was no crash and no warning. The answer is merely wrong, and someone who trusts only scores
# would now order more data. Networks fail **silently**. That is why this course compares
# everything: your loop with your tensor form, yours with the library's, the library's with the
# field's reference. Take `.flip(-1, -2)` out and run the last two cells again: both pictures are
# the same, and the network is running on *your* function.

# %% [markdown] id="try"
# ## Try it: your tools
#
# **Predict, then run.** Before a surprise the text says "Predict before you run". Do say your
# answer, aloud if you are alone. A wrong guess of your own is worth more than a right answer that
# you read.
#
# **Change things.** You cannot break anything: the notebooks are in git, and *Kernel → Restart*
# forgets everything. In a cell, `Tab` completes a name, and `Shift+Tab` after a name shows its
# description.
#
# **Widgets** are pictures with sliders. This one asks when two boxes agree: move an edge and watch
# the **IoU**, the area that the boxes share divided by the area that they cover together. From 0.5
# on, a detection usually counts as correct (a *true positive*), below that as a false alarm. The
# IoU starts below: what is the smallest move that lifts it over 0.5?

# %% id="explorer" alt="A true and a predicted box that overlap, their common part hatched, the IoU written above, and sliders for the edges and a threshold."
from seglib.widgets import IoUExplorer

IoUExplorer()

# %% [markdown] id="assignments"
# **Assignments** are notebooks in `lessons/assignments/`, such as [the one for lesson
# 01](assignments/01_images_masks_coco.ipynb). Each task is a function with a description and no
# body. Replace `raise NotImplementedError` with your code, run the cell, then run the checks below
# it: they tell you what is wrong, not only that something is. The lesson has everything that you
# need. (Lesson 00 has no assignment.) Many checks also put your function into a real model with
# `seglib.use`.
#
# A **quiz** closes each lesson. Press a letter; a wrong answer tells you why it is wrong. Here is
# the first quiz.

# %% id="quiz-one" tags=["quiz", "hide-input"]
from seglib.widgets import Option, Question, Quiz

sheep = Question(
    "Three sheep stand so close that they touch. A perfect semantic segmentation shows",
    [
        Option(
            "three regions, each named sheep",
            feedback="It only knows the class of a pixel, not which sheep it belongs to.",
        ),
        Option(
            "one region named sheep",
            correct=True,
            feedback="The class map is right at every pixel, and the objects have merged.",
        ),
        Option("three boxes, each named sheep", feedback="Boxes come from a detector."),
    ],
    objective="tasks",
)

# %% id="quiz-task" tags=["quiz", "hide-input"]
task = Question(
    "A car must know, for every pixel, whether it is road, sky, or a pedestrian, and which one. "
    "This is",
    [
        Option(
            "semantic segmentation",
            feedback="It names road and sky, but all pedestrians share one label.",
        ),
        Option(
            "instance segmentation",
            feedback="It tells pedestrians apart, but says nothing about road and sky.",
        ),
        Option(
            "panoptic segmentation",
            correct=True,
            feedback="Things with identity, stuff without, every pixel exactly once.",
        ),
    ],
    objective="tasks",
)

# %% id="quiz-two" tags=["quiz", "hide-input"]
boxes = Question(
    "Why is a mask more than a very tight box?",
    [
        Option(
            "It is not, as long as the detector gives perfect boxes",
            feedback="A large part of a perfect box is not the object; you measured it.",
        ),
        Option(
            "A pixel that lies in two boxes belongs to only one of the objects",
            correct=True,
            feedback="Boxes cannot say to which; a mask answers pixel by pixel.",
        ),
        Option(
            "A mask comes with a class, whereas a box has none",
            feedback="Both come with a class; detection says what and where.",
        ),
    ],
    objective="tasks",
)

# %% id="quiz-queries" tags=["quiz", "hide-input"]
queries = Question(
    "A hundred learned queries, each for one object or none; every object is given to exactly one. "
    "Which paradigm?",
    [
        Option(
            "Mask R-CNN (2017)",
            feedback="It proposes very many regions and removes duplicates afterwards.",
        ),
        Option(
            "SOLO (2020)",
            feedback="There, the cell of a grid in which the object's centre lies answers.",
        ),
        Option(
            "DETR (2020)",
            correct=True,
            feedback="And since each object has one query, nothing is found twice.",
        ),
    ],
    objective="timeline",
)

# %% id="quiz-three" tags=["quiz", "hide-input"]
order = Question(
    "Which order is right, and for the right reason?",
    [
        Option(
            "Mask R-CNN, FCN, YOLACT: boxes had to come before masks",
            feedback="FCN is older (2015) and knows no boxes at all.",
        ),
        Option(
            "FCN, Mask R-CNN, YOLACT: each pixel, then each region, then all at once",
            correct=True,
            feedback="2015, 2017, 2019.",
        ),
        Option(
            "DETR, YOLACT, FCN: from the general to the special",
            feedback="Turn it round: 2020, 2019, 2015.",
        ),
    ],
    objective="timeline",
)

# %% id="quiz-ceiling" tags=["quiz", "hide-input"]
stuck = Question(
    "Your network's score stops at 0.55, and a perfect network with its form of output reaches "
    "0.56. What do you do first?",
    [
        Option(
            "Collect more images",
            feedback="There is only 0.01 left to gain below this ceiling.",
        ),
        Option(
            "Train longer, with a smaller learning rate",
            feedback="Training can win at most the 0.01 below the ceiling.",
        ),
        Option(
            "Change the form of the output",
            correct=True,
            feedback="For instance to a finer grid of answers.",
        ),
    ],
    objective="how to work",
)

# %% id="quiz-four" tags=["quiz", "hide-input"]
data = Question(
    "You want to run lesson 04 on your own photographs, annotated in COCO's format in "
    "<code>~/farm</code>.",
    [
        Option(
            "Change the path to the pictures in each cell of the lesson",
            feedback="There is none: every lesson has one line, <code>load_dataset(…)</code>.",
        ),
        Option(
            "Start JupyterLab with <code>SEGLIB_DATASET=coco:~/farm</code>",
            correct=True,
            feedback="Or put <code>%env</code> in the first cell.",
        ),
        Option(
            "Copy them into <code>data/pocket</code>, over what is there",
            feedback="That is the drawn data, and the course's tests rely on it.",
        ),
    ],
    objective="data sets",
)

# %% id="quiz-silent" tags=["quiz", "hide-input"]
silent = Question(
    "You swap in your own <code>conv2d</code>. Everything runs, but the picture is nonsense. "
    "What next?",
    [
        Option(
            "Nothing: there was no error, so the code is right",
            feedback="Networks fail silently; you saw it with one <code>.flip</code>.",
        ),
        Option(
            "Compare the numbers of your function with the reference's",
            correct=True,
            feedback="That is what each lesson's checks do.",
        ),
        Option(
            "Train the network again, with your function",
            feedback="Its weights are fine: outside the <code>with</code> block it works.",
        ),
    ],
    objective="how to work",
)
Quiz([sheep, task, boxes, queries, order, stuck, data, silent])

# %% [markdown] id="summary"
# ## In one minute
#
# - Instance segmentation: for every object, its class **and its pixels**. Detection lacks the
#   pixels, semantic segmentation lacks the objects, panoptic segmentation adds the rest of the
#   picture.
# - A mask is a yes or no for every pixel. Boxes are not masks; class maps do not count.
# - The core of the difficulty: an unordered list of unknown length from a network of fixed size.
#   Regions, grids and queries are three ways around it.
# - Before you ask for more data: what is the ceiling of the output's form, and is the code right?
#
# **The published FCN-8s beside ours.** The pictures are different, so this gives only a rough idea:

# %% id="published" tolerance=0.03
print("FCN-8s (Shelhamer et al. 2017), PASCAL VOC's validation photographs: mean IoU 0.655")
print(f"FCN-8s of this course, {small.name}, {len(small)} images: mean IoU {ours:.3f}")

# %% [markdown] id="plan"
# ### The road ahead
#
# | Lessons | About |
# |---|---|
# | [01](01_images_masks_coco.ipynb) | images, masks, COCO's files; how a segmentation is scored |
# | [02](02_convolution.ipynb) | convolution, from loops to a layer that learns |
# | [03](03_backbones.ipynb) | networks: training, normalisation, residuals, pyramids |
# | [04](04_fcn.ipynb) | FCN: a class for every pixel |
# | [05](05_deepmask.ipynb), [06](06_rcnn.ipynb), [07](07_mask_rcnn.ipynb), [08](08_cascade_rcnn.ipynb) | propose, look closer, refine: DeepMask, R-CNN to Mask R-CNN, Cascade R-CNN |
# | [09](09_yolact.ipynb), [10](10_solo.ipynb), [11](11_polarmask.ipynb) | all at once: YOLACT, SOLO, PolarMask |
# | [12](12_detr.ipynb), [13](13_maskformer.ipynb) | queries: DETR, MaskFormer |
# | [14](14_side_by_side.ipynb) | all paradigms side by side: what each gets wrong, and which to choose |
# | 15, 16 | what came after, and real COCO with published weights |
#
# Lessons with a link are ready; the others are still to come. A lesson takes one to two hours, its
# assignment about another; one lesson per evening is a good pace.
#
# ### First words
#
# | Word | Meaning |
# |---|---|
# | pixel | one dot of a picture; three numbers |
# | class, category | a kind of object or scenery: cat, sky |
# | label | the number of a class; 0 is background, 255 means "does not count" |
# | object, instance | one single thing: *this* cat |
# | mask | yes or no for every pixel |
# | thing, stuff | what can be counted; what cannot |
# | tensor | a grid of numbers with any number of axes; an image is `[3, H, W]` |
# | network | a function with many adjustable numbers, its **weights** |
# | loss | one number that says how wrong the network is; training makes it smaller |
# | training, validation | images to learn from; images kept apart to measure on |
# | checkpoint | a file with the weights of a trained network |
# | IoU | shared area divided by joint area of two regions: 0 apart, 1 equal |
# | ceiling | what a perfect network with this form of output would score |
#
# **Next**: [lesson 01](01_images_masks_coco.ipynb) opens a COCO file by hand.
#
# **References**
#
# - T.-Y. Lin et al. Microsoft COCO: common objects in context. *ECCV* 2014. arXiv 1405.0312.
# - R. Girshick, J. Donahue, T. Darrell, J. Malik. Rich feature hierarchies for accurate object
#   detection and semantic segmentation (R-CNN). *CVPR* 2014. arXiv 1311.2524.
# - J. Long, E. Shelhamer, T. Darrell. Fully convolutional networks for semantic segmentation.
#   *CVPR* 2015, arXiv 1411.4038; extended in *PAMI* 2017, arXiv 1605.06211.
# - P. Pinheiro, R. Collobert, P. Dollár. Learning to segment object candidates (DeepMask). *NIPS*
# 2015. arXiv 1506.06204.
# - K. He, G. Gkioxari, P. Dollár, R. Girshick. Mask R-CNN. *ICCV* 2017. arXiv 1703.06870.
# - Z. Cai, N. Vasconcelos. Cascade R-CNN: delving into high quality object detection. *CVPR* 2018.
#   arXiv 1712.00726.
# - D. Bolya, C. Zhou, F. Xiao, Y. J. Lee. YOLACT: real-time instance segmentation. *ICCV* 2019.
#   arXiv 1904.02689.
# - A. Kirillov, K. He, R. Girshick, C. Rother, P. Dollár. Panoptic segmentation. *CVPR* 2019. arXiv
#   1801.00868.
# - X. Wang, T. Kong, C. Shen, Y. Jiang, L. Li. SOLO: segmenting objects by locations. *ECCV* 2020.
#   arXiv 1912.04488.
# - E. Xie et al. PolarMask: single shot instance segmentation with polar representation. *CVPR*
#   2020. arXiv 1909.13226.
# - N. Carion et al. End-to-end object detection with transformers (DETR). *ECCV* 2020. arXiv
#   2005.12872.
# - B. Cheng, A. Schwing, A. Kirillov. Per-pixel classification is not all you need for semantic
#   segmentation (MaskFormer). *NeurIPS* 2021. arXiv 2107.06278.
