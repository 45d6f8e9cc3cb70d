# %% [markdown] id="start"
# # 14. Side by side
#
# You have built nine networks. Each lesson added a row to the same table, and each row was a few
# numbers. Now all the networks look at the same images, and you look at *the networks*. (FCN and
# DeepMask do not find objects with classes; they appear in the first picture only, and the other
# seven remain.) One question runs through this lesson: **if two networks are wrong equally often,
# are they wrong in the same way?**
#
# **You will be able to**
#
# 1. say what a table of AP compares, and what it cannot compare;
# 2. assign each false detection one cause, by hand and in code;
# 3. explain a network's errors by the way it works;
# 4. measure which objects and which images a network finds hard;
# 5. choose a paradigm for a task, with reasons.
#
# **You need first** [lesson 07](07_mask_rcnn.ipynb) and at least two of lessons 08 to 13; a table
# below reminds you of how each network works. [Lesson 01](01_images_masks_coco.ipynb) explains
# average precision.
# **Time** about 65 minutes to read, about a minute to run.

# %% id="imports"
import numpy as np
import torch

from seglib import comparison, ops, plotting
from seglib.data import load_dataset
from seglib.pretrained import load, record
from seglib.widgets import Option, Question, Quiz

# %% [markdown] id="data-text"
# Each network sees the same 48 images once, which takes most of the lesson's running time. They
# are from the validation split, which no network was trained on.

# %% id="data"
torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
samples = [dataset[i] for i in range(min(48, len(dataset)))]
truths = [truth[~truth.iscrowd] for _, truth in samples]
paradigms = ["mask_rcnn", "cascade_rcnn", "yolact", "solo", "polarmask", "detr", "maskformer"]
models = {comparison.TITLES[name]: load(name, dataset.categories) for name in paradigms}
answers = {
    name: [model.predict([image])[0] for image, _ in samples] for name, model in models.items()
}

# %% [markdown] id="choose-text"
# On which image do the networks differ most? For each network, count the objects that are covered
# by some detection with a score and an IoU above one half; then take the image on which these
# counts lie farthest apart.

# %% id="choose"
def covered(name, index):
    """How many objects of an image are covered by a detection of their class (IoU > 1/2)."""
    found, truth = answers[name][index].instances, truths[index]
    found = found[found.scores > 0.5]
    fits = ops.mask_iou(truth.masks, found.masks) > 0.5  # [G, D]
    return int((fits & (truth.labels[:, None] == found.labels)).any(dim=1).sum())


counts = {name: [covered(name, i) for i in range(len(samples))] for name in models}
apart = [max(row) - min(row) for row in zip(*counts.values(), strict=True)]
chosen = max(range(len(samples)), key=lambda i: (apart[i], len(truths[i])))
image, target = samples[chosen]

# %% id="first-picture" alt="Eleven copies of one image with an umbrella before a cat, a person and a car under five flying things: plain; the label map of FCN; the ten best proposals of DeepMask; what seven networks find with scores above one half, in which PolarMask's panel shows nothing; and the truth."
older = {comparison.TITLES[name]: load(name, dataset.categories) for name in ("fcn", "deepmask")}
shown = {name: model.predict([image])[0] for name, model in older.items()}
shown |= {name: answers[name][chosen] for name in models}
plotting.show_paradigms(image, shown, target, dataset.categories)

# %% [markdown] id="first-picture-read"
# One image and nine networks, as each lesson would have shown them: detections with a score above
# one half, and the same object in the same colour. (FCN does not know objects: each class has the
# colour of its first object.) Go through the panels as a referee. Who draws the best outlines? Who
# sees the car behind the umbrella? Who separates the green airplane from the blue bird in front of
# it? And PolarMask shows nothing at all: is it the worst of them? **Decide before you read on**,
# and write down which network you place first and which last.

# %% [markdown] id="problem"
# ## The problem: one number for everything
#
# The answers of the field are rarely compared on equal terms: papers use different backbones, image
# sizes and training times. What they share is the measure, AP, and AP is one number.

# %% id="timeline" alt="A timeline of papers from 2012 to 2022 in five lanes, with the nine networks of the course marked: FCN and DeepMask 2015, Mask R-CNN 2017, Cascade R-CNN 2018, YOLACT 2019, SOLO, PolarMask and DETR 2020, MaskFormer 2021."
plotting.timeline(highlight=list(comparison.TITLES.values()))

# %% [markdown] id="table-text"
# The first lane holds the features that all of them need; the other lanes are the answers: a class
# for each pixel; regions first, then a second look at each; from 2019, everything in one pass; and
# from 2020, queries that each ask for an object.
#
# Here is our table once more: mask AP on all 300 validation images. What it compares is
# *checkpoints*. It does not say what a network does wrong: PolarMask has a lower AP than
# MaskFormer, and yet at an IoU of 0.5 (AP50) it is far ahead. **Predict before you run the next
# cells:** which of the networks does the most arithmetic per image, and is the slowest one also the
# one with the most parameters?

# %% id="all-networks" tags=["nbval-check-output"]
print(comparison.record_table(paradigms))

# %% [markdown] id="cost-text"
# The parameter counts are nearly equal, since all the networks have the same small backbone. For
# the cost we count the multiply-adds per image, which are the same on every machine; the times
# below are your machine's.

# %% id="work" tolerance=0.1
work = {name: comparison.multiply_adds(model, [image]) / 1e9 for name, model in models.items()}
for name, billions in work.items():
    print(f"{name:14s} {billions:5.2f} billion multiply-adds")

# %% id="tradeoff" alt="Seven points, mask AP against billions of multiply-adds. Six lie between 0.9 and 1.6 billion; a dashed line joins MaskFormer, Mask R-CNN and SOLO, which no cheaper network reaches. DETR needs about 3 billion and lies far to the right."
figures = {comparison.TITLES[name]: record(name)["figures"] for name in paradigms}
points = {name: (work[name], figures[name]["mask_AP"]) for name in models}
plotting.tradeoff(points, cost="billions of multiply-adds", title="Accuracy against arithmetic")

# %% id="seconds"
by_name = dict(zip(paradigms, models.values(), strict=True))
print(comparison.time_table(by_name, image))

# %% [markdown] id="seconds-read"
# The dashed line joins MaskFormer, Mask R-CNN and SOLO: no cheaper network reaches their AP.
# MaskFormer needs the fewest multiply-adds and DETR by far the most: its encoder lets every
# location attend to every other, and its mask head runs once for each query.
#
# **Parameters are not arithmetic**: Cascade R-CNN has the most, by one per cent, and needs half of
# DETR's multiply-adds. **And arithmetic is not time**: Cascade R-CNN takes about as long as DETR
# (which of the two is the slowest depends on the machine), and YOLACT less than MaskFormer. Divided
# by their arithmetic, Cascade R-CNN and then MaskFormer are the slowest: cropping and suppressing
# in stages, or many small layers, take time but little arithmetic.

# %% [markdown] id="idea"
# ## The idea: ask each detection what is wrong with it
#
# ### One: a threshold that is fair
#
# First the referee's verdict on PolarMask. **Predict before you run:** how many detections with a
# score above one half does each network make on our images? They all look at the same objects.

# %% id="thresholds" tolerance=0.1
from seglib.metrics import ErrorEvaluator


def judged(name, foreground=0.5):
    """The errors of a network on our images; crowds count as in COCO."""
    evaluator = ErrorEvaluator(foreground=foreground)
    for answer, (_, truth) in zip(answers[name], samples, strict=True):
        evaluator.update(answer.instances, truth)
    return evaluator


evaluators = {name: judged(name) for name in models}
objects = evaluators["SOLO"].objects
print(f"{objects} objects            score > 0.5   lowest score of the best {objects}")
for name, evaluator in evaluators.items():
    above = sum(int((answer.instances.scores > 0.5).sum()) for answer in answers[name])
    print(f"{name:14s} {above:10d} detections {evaluator.lowest_score(objects):10.2f}")

# %% [markdown] id="thresholds-read"
# So a threshold of one half means something different for each network. PolarMask's score is a
# *product* of two probabilities, the class and the centerness (lesson 11), so it rarely approaches
# one. DETR is nearly always confident, and many of its detections are duplicates that no NMS has
# removed. What the first picture compared was scoring habits. We even chose the image by this
# threshold, where PolarMask counts as finding nothing. AP is not affected, since it uses only the
# *order* of the scores.
#
# To compare errors we need a fair threshold. From here on, every network may make **as many
# detections as there are objects** in all images together: those with its highest scores. A perfect
# network would make no error; and each error, even a duplicate, leaves one object unfound.
#
# ### Two: five ways to be wrong
#
# Bolya and others (2020, "TIDE") assign each false detection one cause. Two IoUs decide it: the
# largest with an object of the detection's **own** class, and the largest with an object of any
# **other** class. There are two thresholds: 0.5, from which a detection is a hit, and 0.1, below
# which it counts as covering nothing. The first row that applies counts; an empty cell means that
# any IoU will do:
#
# | kind | own class | other classes |
# | --- | --- | --- |
# | correct | 0.5 or more with an object that is still free | |
# | localisation | from 0.1 to below 0.5 | |
# | classification | | 0.5 or more |
# | duplicate | 0.5 or more, but all such objects are taken | |
# | background | below 0.1 | below 0.1 |
# | both | below 0.1 | from 0.1 to below 0.5 |
#
# **By hand.** An image shows one cat and one dog. Six detections, best score first. **Predict
# before you run:** what is each of them? And is the dog missed?
#
# | | predicted class | IoU with the cat | IoU with the dog |
# | --- | --- | --- | --- |
# | 1 | cat | 0.8 | 0 |
# | 2 | cat | 0.9 | 0 |
# | 3 | cat | 0.05 | 0.7 |
# | 4 | dog | 0 | 0.3 |
# | 5 | cat | 0 | 0.3 |
# | 6 | dog | 0.02 | 0.05 |

# %% id="my-kinds"
def my_kinds(overlaps, labels, true_labels):
    """IoUs [D][G], best score first; labels [D] and [G]. Returns the kind of each detection."""
    taken, kinds = set(), []
    for row, label in zip(overlaps, labels, strict=True):
        own = {g: iou for g, iou in enumerate(row) if true_labels[g] == label}
        other = max((iou for g, iou in enumerate(row) if g not in own), default=0)
        free = [g for g, iou in own.items() if iou >= 0.5 and g not in taken]
        best = max(own.values(), default=0)
        if free:
            taken.add(max(free, key=own.get))
            kinds.append("correct")
        elif 0.1 <= best < 0.5:
            kinds.append("localisation")
        elif other >= 0.5:
            kinds.append("classification")
        elif best >= 0.5:
            kinds.append("duplicate")
        else:
            kinds.append("background" if other < 0.1 else "both")
    return kinds

# %% id="kinds-by-hand" tags=["nbval-check-output"]
cat, dog = 1, 2
rows = [[0.8, 0], [0.9, 0], [0.05, 0.7], [0, 0.3], [0, 0.3], [0.02, 0.05]]
print(my_kinds(rows, [cat, cat, cat, dog, cat, dog], [cat, dog]))

# %% [markdown] id="kinds-read"
# Number 2 fits the cat better than number 1, but it comes later: the score decides which is
# correct, and the other is a duplicate. Number 3 outlines the dog and calls it a cat. Number 5 is
# wrong about the class *and* the location, so nobody can say what it meant. And **the dog is not
# missed**, though it was not found either: numbers 3 and 4 are *about* it. An object counts as
# missed if no detection finds it, and none would find it if its class or its mask were repaired.
# That distinguishes an object that the network does not see from one that it sees wrongly.
#
# ### Three: on one image
#
# Here is our image with each network's own threshold. Correct detections are grey; errors have a
# colour for their kind, and name the class that was predicted; hatched objects are missed.

# %% id="judged" alt="One image, and seven copies with the judged detections of one network each. Grey masks are correct. Mask R-CNN, Cascade R-CNN, SOLO, DETR and MaskFormer have orange-red localisation errors among the flying things, DETR also a yellow duplicate of the green airplane; PolarMask has only an orange-red mask on the car and a pink one on the person's feet, named cup; and the car or the cup are missed by several networks."
best = {name: evaluator.lowest_score(objects) for name, evaluator in evaluators.items()}
shown = {}
for name in models:
    found = answers[name][chosen].instances
    shown[name] = found[found.scores >= best[name]]
plotting.show_judged(image, shown, target, dataset.categories, columns=3, panel=3.3)

# %% [markdown] id="judged-read"
# So PolarMask is not blind: with its own threshold it finds everything but the car (and sees a
# second cup at the person's feet). The green airplane behind the blue bird divides the networks:
# YOLACT, PolarMask and MaskFormer find it; Mask R-CNN, Cascade R-CNN and SOLO cover parts of both
# with one mask; DETR draws it twice. The car and the cup, of which little can be seen, are missed
# most often.
#
# ### Four: all networks, all images
#
# How each of the seven works, as a reminder:
#
# | | where it looks | where the class comes from | what removes duplicates |
# | --- | --- | --- | --- |
# | Mask R-CNN | proposals from anchors | features of the proposal's box | NMS on boxes |
# | Cascade R-CNN | the same, corrected in stages | all stages together | NMS on boxes |
# | YOLACT | all anchors at once | features at the anchor's location | NMS on boxes |
# | SOLO | the cells of a grid | the cell, each class independently | Matrix NMS on masks |
# | PolarMask | all locations at once | the location, times centerness | NMS on boxes |
# | DETR | the whole image, by queries | the query | nothing: it learns not to make any |
# | MaskFormer | inside the query's own mask | the query | nothing: it learns not to make any |
#
# **Predict before you run.** Which network makes the most duplicates? Which one confuses classes
# most? Does any of them see objects where there is nothing?

# %% id="errors" alt="Two stacked bars for each of seven networks. On the left, detections by kind: all bars have the same length, most of it correct; DETR has by far the most duplicates, SOLO the most classification errors, and for the others localisation is the largest kind; PolarMask has the most correct detections; hardly any are background. On the right, the points of AP that repairing each kind would gain: localisation is the longest part for all, and DETR's duplicates are nearly as long as its localisation."
breakdowns = {name: evaluator.compute(objects) for name, evaluator in evaluators.items()}
gains = {name: evaluator.compute() for name, evaluator in evaluators.items()}
plotting.show_errors(breakdowns, gains, title="A hit needs an IoU of 0.5")

# %% [markdown] id="errors-read"
# On the left all bars have the same length. PolarMask, which showed nothing above, finds the most
# objects. YOLACT and SOLO find equally many, and yet they are not wrong in the same way: the answer
# to our question is no. Each row follows from the network's mechanism:
#
# - **DETR: duplicates**, more than all other networks together. The others remove them afterwards,
#   by NMS; DETR must *learn* to divide the objects among its queries (lesson 12). Ours was trained
#   for minutes, the published one for days. **MaskFormer**, which also has queries and no NMS for
#   its instances, makes the second most.
# - **SOLO: classes.** It has the fewest localisation errors, since its masks have a fine stride and
#   no box in between, and the most classification errors. The next cell asks why.
# - **Mask R-CNN, Cascade R-CNN, MaskFormer, PolarMask, YOLACT: localisation**, for different
#   reasons: a box that cuts off a part or contains two objects; a query's mask that covers only a
#   piece, as of the car and the cup above; rays that cannot follow a wing; prototypes that leak
#   into the neighbour.
# - **Background** errors hardly occur: drawn scenes have no rocks that look like sheep. On
#   photographs they are frequent.
#
# On the right is what AP50 would gain if *one* kind of error were repaired in all detections, not
# only in the best. (Do not add the parts up: once one kind is repaired, the gain from the next
# changes.) A duplicate costs little if its score is low, and much if it ranks above correct ones.
#
# **Why does SOLO give so many wrong names?** There are two possibilities: it takes objects for
# something else and never finds them; or it finds them and gives them a *second* name as well.
# Count the classification errors about objects that a correct detection has also found.

# %% id="second-names" tolerance=0.5
from seglib.metrics import judge_detections


def kinds_on(name, index):
    """The best detections of an image, their kinds [D], and the object [D] each is about."""
    found = answers[name][index].instances
    found = found[found.scores >= best[name]]
    truth = samples[index][1].to_find  # the objects that an evaluation compares with
    overlaps = ops.mask_iou(found.masks, truth.masks).double().numpy()  # [D, G]
    labels = found.labels.numpy(), truth.labels.numpy()
    return found, *judge_detections(overlaps, *labels, truth.iscrowd.numpy())


for name in models:
    named = again = 0
    for _, kinds, about in (kinds_on(name, i) for i in range(len(samples))):
        misnamed = about[kinds == "classification"]
        named += len(misnamed)
        again += int(np.isin(misnamed, about[kinds == "correct"]).sum())
    print(f"{name:14s} {named:3d} wrong names, {again:3d} of them for objects that are found")

# %% [markdown] id="second-names-read"
# SOLO's wrong names are mostly second names. Each of its cells has a probability *for each class*,
# without a softmax that would make the classes compete, and Matrix NMS compares only masks of the
# same class. So when a cell hesitates between cup and donut, it outputs both with the same mask: a
# duplicate that NMS cannot see. No AP would have told you so.

# %% id="missed" tolerance=0.1
print(f"of {objects} objects   found  nearly  missed")
for name, one in breakdowns.items():
    nearly = objects - one.correct - one.missed
    print(f"{name:16s} {one.correct:6d} {nearly:7d} {one.missed:7d}")

# %% [markdown] id="missed-read"
# "Nearly" counts the objects that were not found, but that some localisation or classification
# error is about. DETR misses 73 objects, twice as many as Mask R-CNN, and yet in the right-hand
# panel above repairing them would gain both the same 2 points: among *all* of DETR's detections,
# the missing objects are there. They did not get into the list because duplicates took their
# places. **One error hides another**, so repair the first and measure again.
#
# ### Five: a stricter question
#
# All this is true at an IoU of 0.5. **Predict before you run:** if a hit needs an IoU of 0.75,
# which kind of error do the lost correct detections turn into? And which network loses most?

# %% id="strict" alt="The same two stacked bars at an IoU of 0.75: the correct part of all networks is shorter, the localisation part much longer; PolarMask, which had the most correct detections, now has fewer than all others but Cascade R-CNN. On the right, localisation is nearly all that a repair could gain, and it is longest for PolarMask."
strict = {name: judged(name, foreground=0.75) for name in models}
plotting.show_errors(
    {name: evaluator.compute(objects) for name, evaluator in strict.items()},
    {name: evaluator.compute() for name, evaluator in strict.items()},
    title="A hit needs an IoU of 0.75",
)

# %% [markdown] id="strict-read"
# Into localisation errors, by definition: the class is right, and the IoU lies between 0.1 and
# 0.75. **PolarMask, which found the most objects, loses most**, and is now last but one. A few
# dozen rays give the rough shape of nearly everything and the exact shape of little: AP50 is high,
# AP is not, and the first picture showed neither. SOLO leads now: only the stride limits its
# outlines. But its signature is gone: few classification errors are left, and *both* has grown
# instead. Many of its wrongly named masks fit an object with an IoU between 0.5 and 0.75, which is
# now too little. **The kinds depend on the threshold**, as AP does.
#
# Cascade R-CNN, made for exactly this question, is behind Mask R-CNN here; before you blame the
# idea, read on.

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# `seglib eval NAME --errors` prints the same breakdown for a whole data set. We compare our kinds
# with the library's, detection by detection; and the library's AP50, computed from these kinds,
# with that of COCO's evaluator.

# %% id="equality-both" tags=["nbval-check-output"]
from seglib.metrics import CocoEvaluator


def same_kinds(found, truth):
    """Whether both give all detections of one image the same kinds."""
    overlaps = ops.mask_iou(found.masks, truth.masks).double().numpy()  # [D, G]
    labels, true_labels = found.labels.numpy(), truth.labels.numpy()
    theirs, _ = judge_detections(overlaps, labels, true_labels, truth.iscrowd.numpy())
    return my_kinds(overlaps.tolist(), labels, true_labels) == theirs.tolist()


for name in models:
    pairs = zip(answers[name], truths, strict=True)
    kinds_agree = all(same_kinds(answer.instances, truth) for answer, truth in pairs)
    coco = CocoEvaluator(dataset.categories)
    for answer, (_, truth) in zip(answers[name], samples, strict=True):
        coco.update(answer.instances, truth)
    print(f"{name:14s}", kinds_agree, abs(coco.compute().at(0.5) - gains[name].ap) < 1e-6)

# %% [markdown] id="learns"
# ## It learns: what the table does not say
#
# A paper compares ideas; a table compares training runs. How were ours trained?

# %% id="training" tags=["nbval-check-output"]
from itertools import pairwise

for name in paradigms:
    runs = [dict(pairwise(run.split())) for run in record(name)["command"].split(" && ")]
    seen = sum(int(run["--steps"]) * int(run["--batch-size"]) for run in runs)
    start = runs[0].get("--init", "random weights")
    print(f"{comparison.TITLES[name]:14s} {seen:7,} image views, starting from {start}")

# %% [markdown] id="training-read"
# (An image counts each time it is seen; MaskFormer's run was stopped 70 steps early.) **This is not
# a fair race.** Mask R-CNN saw twice as many images as Cascade R-CNN; after equally many steps the
# cascade is ahead where boxes must fit closely (lesson 08). All the others began with Mask R-CNN's
# backbone, so its 35,200 views count for them in addition, and some then saw several times as many
# images, on a GPU. (PolarMask was trained in two runs, the second on a CPU; the table counts both.)
# So what may you conclude?
#
# - SOLO leads by several points, after fewer images than YOLACT or DETR: this is probably due to
#   the idea.
# - DETR is behind: this is mostly due to training time. The published DETR draws level with a
#   strong Faster R-CNN, but after 500 epochs.
# - *What kind* of error a network makes is mostly due to the idea. More training makes the error
#   parts of the bars shorter, but SOLO's class still comes from one coarse cell, and PolarMask's
#   rays remain rays.
#
# ### An equal start
#
# So we trained three of them once more, from random weights, on the same processor, for about the
# same time: 12 to 15 minutes. **Predict before you run:** which one learns fastest, and by how
# much? Will DETR have found its first object by the end?

# %% id="curves" alt="Two panels of three curves over about fourteen processor minutes. Box AP: Mask R-CNN rises to about 0.36, MaskFormer to 0.05, DETR stays near 0. Mask AP: Mask R-CNN rises to about 0.26, MaskFormer to 0.05, DETR stays at 0."
from seglib.pretrained import learning_curves

curves = {comparison.TITLES[name]: curve for name, curve in learning_curves().items()}
plotting.show_learning(curves)

# %% id="curves-table" tags=["nbval-check-output"]
for name, curve in curves.items():
    last = {figure: round(values[-1], 2) for figure, values in curve.figures.items()}
    print(f"{name:12s} {curve.images[-1]:6,} image views", last)

# %% [markdown] id="curves-read"
# In about the same time they saw about the same number of images, and yet they are worlds apart.
# Mask R-CNN is told where to look: thousands of anchors tile the image, each small region is a
# training example of its own, and most of what a box needs is built in. **A query must first learn
# to look at all.** Each object trains just one query per image, and which query that is still
# changes from step to step. (In MaskFormer the attention is masked, which helps; DETR attends
# everywhere.) Has DETR found an object? Hardly: its boxes reach an AP of 0.01, and its masks 0.
#
# Compare this with the table, where DETR and MaskFormer had a trained backbone and more than ten
# times as many images: there MaskFormer draws level, and DETR is 8.5 points behind. (These are
# single runs; other learning rates might suit such a short training better.) **Which network is
# best depends on how long you can train**: if time is short, take the one that has most built in.

# %% [markdown] id="inside"
# ## Look inside: what is hard?
#
# ### Which objects
#
# From the true masks alone we can form five groups of objects, in any data set:
#
# - **small**: an area below 256 pixels of our images;
# - **thin**: nowhere thick: the largest square inside it has less than a fifth of its area;
# - **crowded**: the box overlaps another object's box with an IoU of 0.3 or more;
# - **occluded**: other objects lie *between* its parts. Pixels of other objects that lie between
#   two of its pixels, in a row or in a column, count as hidden; these make up 15 % or more of its
#   visible and hidden pixels together.
#
# (The fifth is **all**.) The groups overlap: an object may be both small and occluded. Here is an
# object of each of the four that belongs to no other; the ring of the donut is thin.

# %% id="group-examples" alt="Four images with one object marked in each: small, a kite far away; thin, a donut, which is a ring; crowded, an airplane over another one; occluded, a person of whom an umbrella leaves only head and legs."
from seglib.metrics.robustness import group_recall, hidden_share, object_groups

groups = [object_groups(truth, dataset.area_ranges) for _, truth in samples]
kinds = ("all", "small", "thin", "crowded", "occluded")


def example(kind):
    """The largest (or most hidden) object that belongs to this group alone, marked."""
    sizes = {}
    for i, group in enumerate(groups):
        truth = samples[i][1].to_find
        size = hidden_share(truth.masks) if kind == "occluded" else truth.area  # [G]
        alone = group[kind] & (sum(group[other].int() for other in kinds[1:]) == 1)  # [G]
        sizes |= {(i, g): float(size[g]) for g in alone.nonzero().flatten().tolist()}
    i, g = max(sizes, key=sizes.get, default=(0, 0))
    marked, blue = samples[i][1].to_find[g : g + 1], {0: (0, 114, 178)}
    return plotting.overlay(samples[i][0], marked, boxes=False, names=False, side=204, shades=blue)


plotting.show_images([example(kind) for kind in kinds[1:]], kinds[1:], panel=2.1)

# %% [markdown] id="groups-question"
# We measure recall: the share of a group that the best detections find. (Precision has no meaning
# here: to which group would a false detection belong?) **Predict before you run:** which group is
# the hardest, and for which network? Which loses most on small objects? And in crowds: those that
# remove overlapping boxes, or those that do not? ("In view": crowded, but not occluded.)

# %% id="groups" tolerance=0.1
for group in groups:
    group["in view"] = group["crowded"] & ~group["occluded"]
columns = (*kinds, "in view")
print(f"{'found':14s}", *(f"{kind:>9s}" for kind in columns))
for name, evaluator in evaluators.items():
    recalls = group_recall(evaluator.found(objects), groups)
    print(f"{name:14s}", *(f"{recalls[kind].recall:9.2f}" for kind in columns))
print(f"{'objects':14s}", *(f"{recalls[kind].objects:9d}" for kind in columns))
kept = sum(len(ops.batched_nms(t.boxes, torch.ones(len(t)), t.labels, 0.5)) for t in truths)
print(f"NMS at 0.5 inside each class would keep {kept} of the {objects} true boxes")

# %% [markdown] id="groups-read"
# The groups are small: a share of 0.6 among 63 objects has a standard error of 0.06, so differences
# below about 0.1 say little. What stands out:
#
# - **Occluded objects cost the networks that cut masks out of boxes most**: Mask R-CNN, Cascade
#   R-CNN and YOLACT lose about 0.25 against their own first columns. The box of such an object also
#   contains what hides it. PolarMask and MaskFormer lose 0.2, SOLO and DETR 0.15.
# - **Small objects are by far the hardest for DETR**, whose queries read coarse features: it finds
#   half as many. For SOLO and MaskFormer, small and occluded objects are equally hard, within the
#   error. PolarMask and YOLACT, with locations or anchors on a fine level, are at the top; in the
#   first table's AP on small objects, Mask R-CNN is ahead of both: there, masks must fit closely.
# - **In crowds** Mask R-CNN, Cascade R-CNN and YOLACT lose 0.08 to 0.12, the others almost nothing.
#   Because NMS on *boxes* takes neighbours for duplicates? Hardly: PolarMask uses it too, and it
#   would remove one of the true boxes, since few boxes of one class overlap by half. The last
#   column gives the reason: every network finds crowded objects *in view* more often than the
#   average object. Crowds are hard because half of the objects in them are occluded.
#
# One plausible guess is wrong: PolarMask finds about as many thin objects as the others do, since a
# rough outline is enough at an IoU of 0.5. And which objects does *no* network find?

# %% id="nobody" alt="A night scene with clocks, kites, an airplane and a person, and the same with the three objects that no network finds outlined and named: the airplane, in two large pieces on both sides of a kite; another kite, in many small pieces; and a second person, of whom a thin strip can be seen beside the large clock."
hits = [evaluator.found(objects) for evaluator in evaluators.values()]
unseen = []
for rows, group in zip(zip(*hits, strict=True), groups, strict=True):
    unseen.append(group["all"] & ~torch.from_numpy(np.stack(rows)).any(dim=0))  # [G]
hardest = max(range(len(samples)), key=lambda i: int(unseen[i].sum()))
picture, truth = samples[hardest]
lost = {"found by nobody": truth.to_find[unseen[hardest]]}
plotting.compare(picture, lost, dataset.categories, boxes=False, panel=3.3)

# %% [markdown] id="nobody-question"
# Are they hard because they are cut into pieces? **Predict before you run:** how much of each
# object lies in its largest piece? And what do the networks say about it?

# %% id="nobody-why" tolerance=0.2
from scipy import ndimage


def class_name(label):
    """The name of a class."""
    return dataset.categories.by_label(int(label)).name


sought = truth.to_find
for g in unseen[hardest].nonzero().flatten().tolist():
    pieces, _ = ndimage.label(sought.masks[g], np.ones((3, 3)))
    pixels = np.bincount(pieces[pieces > 0], minlength=1)  # of each piece
    share = pixels.max() / max(pixels.sum(), 1)
    print(f"{class_name(sought.labels[g])}: {pixels.sum()} pixels, {share:.0%} in one piece")
    for name in models:
        found, says, about = kinds_on(name, hardest)
        for d in np.flatnonzero(about == g):
            iou = float(ops.mask_iou(found.masks[[d]], sought.masks[[g]]))
            print(f"    {name:10s} says {class_name(found.labels[d])}: {says[d]}, IoU {iou:.3f}")

# %% [markdown] id="nobody-read"
# Two of the three are. However exactly a network outlines the largest piece of this kite, the IoU
# is only 0.36; DETR draws the kite three times and never gets that far. Another kite cuts the
# airplane in half, and one half alone would have to be outlined almost perfectly. **All detections
# about these two have the right name**; only the masks fail. The person is in one piece, but of its
# body 98 pixels can be seen, and no network says anything about it.
#
# ### Which images
#
# The validation images were drawn in the same way as the training images. What if the camera is
# worse? We try two of the corruptions of Hendrycks and Dietterich (2019): a blur of one pixel, and
# grain. **Predict before you run:** which one hurts more? Which *kind* of error will each of them
# add? And of three very different networks, one with boxes, one with a grid and one with queries,
# is any more robust than the others?

# %% id="altered" alt="One image three times: as it is; slightly blurred, so that outlines are soft; and with coloured grain. All objects can be recognised in all three."
from seglib.data.corruptions import add_noise, gaussian_blur

alter = {
    "as it is": lambda image: image,
    "blurred": lambda image: gaussian_blur(image, sigma=1.0),
    "noisy": lambda image: add_noise(image, 0.1, torch.Generator().manual_seed(0)),
}
plotting.show_images([change(image) for change in alter.values()], list(alter), panel=2.0)

# %% id="robust" alt="Stacked bars of three networks on images as they are, blurred and noisy. Blurred, the correct part is shorter, and classification and localisation errors grow. Noisy, hardly anything is correct: most is background or localisation. On the right, repairing localisation would gain most on noisy images, and repairing background hardly anything."
few = range(min(16, len(samples)))
seen, altered = {}, {}
for name in ("Mask R-CNN", "SOLO", "DETR"):
    for how, change in alter.items():
        row, evaluator = f"{name}, {how}", ErrorEvaluator()
        seen[row] = [models[name].predict([change(samples[i][0])])[0].instances for i in few]
        for i, found in zip(few, seen[row], strict=True):
            evaluator.update(found, samples[i][1])
        altered[row] = evaluator
plotting.show_errors(
    {row: evaluator.compute(evaluator.objects) for row, evaluator in altered.items()},
    {row: evaluator.compute() for row, evaluator in altered.items()},
    title="A hit needs an IoU of 0.5",
)

# %% [markdown] id="robust-question"
# On bad images, a list of as many detections as objects fills up with unlikely ones. So count also
# what a network finds *above its threshold on the clean images*, and how much of that lies where
# there is nothing.

# %% id="robust-figures" tolerance=0.2
print(f"{evaluator.objects} objects                found   above the clean threshold   background")
for row, evaluator in altered.items():
    clean = altered[row.split(",")[0] + ", as it is"]
    lowest, loud = clean.lowest_score(clean.objects), ErrorEvaluator()
    for i, found in zip(few, seen[row], strict=True):
        loud.update(found[found.scores >= lowest], samples[i][1])
    said, best_ones = loud.compute(), evaluator.compute(evaluator.objects)
    share = best_ones.correct / max(1, best_ones.objects)
    print(f"{row:22s} {share:8.0%} {said.detections:22d} {said.errors['background']:17d}")

# %% [markdown] id="robust-read"
# (These are 16 images with 90 objects: small differences mean little.)
#
# - **Blur takes away class and outline.** The fine patterns that distinguish a bird from an
#   airplane are gone, and so are the edges. For SOLO and DETR, classification errors grow most; for
#   Mask R-CNN, localisation and *both* grow just as much.
# - **Noise fills the list with fragments and with things that are not there.** The networks never
#   saw grain, which a convolution reads as edges everywhere. Above the clean threshold SOLO and
#   DETR make more detections than before, and Mask R-CNN makes fewer; but of each network's
#   detections, nearly half lie where there is nothing. According to the right panel, removing these
#   would gain hardly anything, because hardly anything correct ranks below them. You see through
#   the grain; for all three networks it is a catastrophe.
#
# None of the three paradigms is safe. What a network withstands depends mostly on the images that
# it was trained on. The remedy is to train with blurred and noisy images, and then to measure on a
# corruption that was *not* in training. Michaelis and others (2019) measure this for detectors on
# photographs, as the share of the clean AP that is left.

# %% [markdown] id="try"
# ## Try it
#
# **Be the referee.** Choose an image and some networks. How many detections may they make per true
# object? With 0.5 you see what they are most confident of, with 2 what they would add next. Which
# kinds of error come early, and which come late? Try the networks that you placed first and last.

# %% id="knob" alt="One image and the judged detections of three networks: the large clock is found by all three, by DETR twice; among the kites and the airplane there are localisation errors; SOLO also calls the person a clock; and the second person is missed by all three."
def look(index, *names, per_object=1.0):
    """The judged detections of some networks on one image; per_object: how many they may name."""
    picture, truth = samples[index]
    found = {}
    for name in names:
        lowest = evaluators[name].lowest_score(round(per_object * objects))
        instances = answers[name][index].instances
        found[name] = instances[instances.scores >= lowest]
    return plotting.show_judged(picture, found, truth, dataset.categories, columns=2, panel=3.3)


look(hardest, "Mask R-CNN", "SOLO", "DETR")

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
speed = Question(
    "A robot must sort large round fruit fast. What do you try first?",
    [
        Option("DETR, since it needs neither anchors nor NMS",
               feedback="No NMS, but by far the most arithmetic of our seven."),
        Option("Cascade R-CNN, since three stages are more accurate than one",
               feedback="Three heads in turn cost time, for a precision that you do not need."),
        Option("YOLACT: one look, masks mixed from shared prototypes", True,
               "Large objects suit prototypes, and none of the seven takes less time."),
    ],
    objective="choice",
)
tiny = Question(
    "Satellite images with thousands of houses, each 10 pixels wide. What do you try first?",
    [
        Option("Mask R-CNN, with anchors on a fine level", True,
               "It leads on small objects, and a second look reads the fine features again."),
        Option("MaskFormer, with 30 queries",
               feedback="Small objects are its weak side, and there are more houses than queries."),
        Option("SOLO, since it has the highest AP of the seven",
               feedback="The AP is high because of large objects; on small ones it is behind."),
    ],
    objective="choice",
)
Quiz([speed, tiny], title="Which would you choose for …")

# %% id="quiz-two" tags=["quiz", "hide-input"]
crowd = Question(
    "In a flock, boxes overlap by more than half and masks hardly. What should you avoid?",
    [
        Option("NMS on boxes, which takes neighbours for duplicates", True,
               "Compare masks instead, as SOLO does, or compare nothing, as queries do."),
        Option("Matrix NMS on masks, since sheep look alike",
               feedback="It compares where the masks lie, not what they look like."),
        Option("Masks at a fine stride, since the sheep are close together",
               feedback="A fine stride helps to separate them; it removes none."),
    ],
    objective="choice",
)
scenery = Question(
    "A map of a street is wanted: road, sky, and each car separately, without overlaps. Which one?",
    [
        Option("FCN, which gives each pixel a class",
               feedback="Road and sky, yes; but cars that touch become one region."),
        Option("MaskFormer, whose segments are objects and stuff alike", True,
               "One set of masks with classes, read as a panoptic map."),
        Option("Mask R-CNN with a lower score threshold",
               feedback="It knows no stuff at any threshold, and its masks may overlap."),
    ],
    objective="choice",
)
Quiz([crowd, scenery], title="Which would you choose for …")

# %% id="quiz-three" tags=["quiz", "hide-input"]
kind = Question(
    "A detection says dog. It has an IoU of 0.3 with a dog and of 0.6 with a cat. Its kind?",
    [
        Option("Classification: it outlines the cat well",
               feedback="That comes second; its own class is checked first."),
        Option("Both: the class and the place are wrong",
               feedback="Both means that neither its own class nor another one fits well."),
        Option("Localisation: its own class, between 0.1 and 0.5", True,
               "The first row that applies counts, and its own class comes first."),
    ],
    objective="errors",
)
duplicate = Question(
    "The scores of all duplicates of a network are halved. What happens to its AP?",
    [
        Option("Nothing: they are false detections as before",
               feedback="AP depends on the order; they now rank below correct ones."),
        Option("It cannot fall, and rises if correct ones move ahead of them", True,
               "Matrix NMS does just that: it lowers scores and removes nothing."),
        Option("It falls, since the network is less sure of what it found",
               feedback="The correct detections keep their scores and move up."),
    ],
    objective="errors",
)
Quiz([kind, duplicate], title="Kinds of errors")

# %% id="quiz-four" tags=["quiz", "hide-input"]
threshold = Question(
    "Network A makes 72 detections with a score above 0.5, network B 527. What follows?",
    [
        Option("Nothing yet: each needs its own threshold", True,
               "Scores of different networks are different quantities."),
        Option("B has the higher recall, and A the higher precision",
               feedback="At this threshold perhaps; at their own thresholds, who knows?"),
        Option("A has the lower AP, since it finds less",
               feedback="AP uses the order of the scores and not their size."),
    ],
    objective="comparison",
)
winter = Question(
    "A network for traffic, trained in summer, fails in snowfall. What do you do first?",
    [
        Option("The paradigm: queries look at the whole image, and see through snow",
               feedback="In our test the network with queries failed like the others."),
        Option("The threshold, so that it says less",
               feedback="Fewer false detections, but what snow hides is not found either."),
        Option("The training images: add snow, and test on something else", True,
               "What a network withstands is mostly a matter of what it has seen."),
    ],
    objective="robustness",
)
Quiz([threshold, winter], title="Comparing and surviving")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/14_side_by_side.ipynb) has two tasks: find the duplicates among the
# detections of an image, and measure whether touching neighbours of the same class hurt.

# %% [markdown] id="summary"
# ## In one minute
#
# - Scores of different networks cannot be compared; the order within each can be used. Let each
#   network make as many detections as there are objects, and look at those.
# - Each false detection has one cause: localisation, classification, duplicate, background, or both
#   class and location. An object that no detection is about is missed.
# - Equal numbers of errors hide different errors. Queries duplicate, a grid names objects twice,
#   boxes cut off parts, and rays do well at an IoU of 0.5 and badly at 0.75.
# - Occluded objects are hard for all networks, most of all for those that cut masks out of boxes;
#   coarse features lose small objects; crowds are hard because they hide objects.
# - Blur removes classes and outlines, noise fills the list with fragments and with things that are
#   not there, and no paradigm is safe: training data decides.
# - A table compares checkpoints. Ask what differs between its rows apart from the idea.
#
# **The published numbers beside ours.** Theirs are mask AP on photographs of COCO, with a backbone
# of ResNet-50, from the authors' papers or repositories, as in the lessons; ours are on 300 drawn
# images of 128 px. The order is not the same: the published table contains years of progress in
# training, and ours an afternoon.

# %% id="published" tolerance=0.03
theirs = {"Mask R-CNN": 33.9, "Cascade R-CNN": 35.4, "YOLACT": 28.2, "SOLO": 34.8}
theirs |= {"PolarMask": 29.1, "DETR": 31.1, "MaskFormer": 43.7}
for name, published in theirs.items():
    print(f"{name:14s} {published:5.1f}  ours {100 * figures[name]['mask_AP']:5.1f}")

# %% [markdown] id="published-read"
# (MaskFormer's row is Mask2Former's figure, and DETR's is that of its mask head; SOLO's is SOLOv2's
# at the short schedule, and the row of Mask R-CNN is from the paper on the cascade.)
#
# | you need | begin with | because |
# | --- | --- | --- |
# | a safe start | Mask R-CNN | good at all sizes, and best understood |
# | boxes that fit closely | Cascade R-CNN | each stage corrects the one before |
# | speed | YOLACT | the shortest time, though MaskFormer needs less arithmetic |
# | exact outlines of large objects | SOLO | masks at a fine stride, no box in between |
# | rough outlines as polygons | PolarMask | a shape is a few dozen numbers |
# | few parts, and much time to train | DETR | no anchors, no NMS |
# | things and stuff together | MaskFormer | one set of masks for three tasks |
#
# **Next**: what came after these networks.
#
# **References**
#
# - D. Bolya, S. Foley, J. Hays, J. Hoffman. TIDE: a general toolbox for identifying object
#   detection errors. *ECCV* 2020. arXiv 2008.08115.
# - D. Hendrycks, T. Dietterich. Benchmarking neural network robustness to common corruptions and
#   perturbations. *ICLR* 2019. arXiv 1903.12261.
# - C. Michaelis, B. Mitzkus, R. Geirhos and others. Benchmarking robustness in object detection:
#   autonomous driving when winter is coming. 2019. arXiv 1907.07484.
