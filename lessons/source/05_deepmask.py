# %% [markdown] id="start"
# # 05. DeepMask
#
# A label map cannot count: two touching objects of one class become one region. So ask another
# question. Cut a window out of the picture and ask for the mask of the object *in its middle*; then
# move the window. DeepMask is a network that answers this question, together with a second one: is
# there an object in the middle at all? Slid over the whole picture it draws objects of any kind,
# before anything is known about what they are.
#
# **You will be able to**
#
# 1. label any window positive, negative or unused for an object, by the rules of the canonical
#    position;
# 2. count the weights of a mask layer, and say what its low rank saves and what it costs;
# 3. write the joint loss of masks and scores, and say which windows train which output and where
#    the 1/32 belongs;
# 4. slide a window network over an image at several scales and turn its outputs into a sorted list
#    of proposals;
# 5. read average recall at 10, 100 and 1000 proposals between a baseline and a ceiling, and say
#    what an "objectness" score does not tell you.
#
# **You need first** [lesson 04](04_fcn.ipynb) (a fully connected layer is a convolution; objects
# of a class that touch, merge), [lesson 01](01_images_masks_coco.ipynb) (IoU, recall).
# **Time** about 75 minutes to read, one to two minutes to run.

# %% id="imports"
import torch
from torch.nn import functional as F

from seglib import ops, plotting
from seglib.data import load_dataset

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(40, len(dataset) // 4)  # images for measuring; the others may be learned from
print(f"{dataset.name}: {len(dataset)} images, the first {held_out} to measure on")

# %% [markdown] id="load-text"
# The trained network that comes with the course learned from Pocket COCO. It has no classes, so
# nothing has to be translated for other data; expect it to be much worse on photographs.

# %% id="load-model"
from seglib.pretrained import load

model = load("deepmask")
config = model.config
samples = [dataset[i] for i in range(held_out)]


def objects_of(target):
    """The objects that count here: no crowds, and nothing narrower than 4 pixels."""
    sides = (target.boxes[:, 2:] - target.boxes[:, :2]).amin(dim=1)
    return target[(sides >= 4) & ~target.iscrowd]


# %% [markdown] id="touching-text"
# Lesson 04 ended with touching objects of one class. So this lesson's guide is the picture with the
# largest touching pair of one class.

# %% id="first-picture" alt="One image three times, with the masks of the proposals that fit its objects best among the first 10, the first 100 and the first 1000: more objects are covered, and more tightly, from left to right. Those that no proposal fits are hatched."
def touching_pairs(index):
    """(size of the smaller one, image, object, object) for pairs of one class that touch."""
    picture, things = samples[index][0], objects_of(samples[index][1])
    grown = F.max_pool2d(things.masks[:, None].float(), 3, 1, 1)[:, 0] > 0  # one pixel larger
    edge = torch.tensor(picture.shape[:0:-1]) - 1  # W - 1, H - 1
    whole = (things.boxes[:, :2] > 0).all(dim=1) & (things.boxes[:, 2:] <= edge).all(dim=1)
    for i in range(len(things)):
        for j in range(i):
            beside = (grown[i] & things.masks[j]).any() and things.labels[i] == things.labels[j]
            size = things.area[[i, j]].min().item()
            yield (size * bool(beside & whole[i] & whole[j]), index, i, j)


_, chosen, first, second = max(pair for n in range(held_out) for pair in touching_pairs(n))
image, target = samples[chosen][0], objects_of(samples[chosen][1])
proposals = model.predict([image])[0].proposals
plotting.show_coverage(image, proposals, target)

# %% [markdown] id="first-picture-read"
# The network has proposed a thousand masks for this picture, sorted by score. Each object is shown
# with the proposal that fits it best, and its IoU, among the first 10, 100 and 1000; an object that
# none fits by 0.5 is hatched. No proposal says what it is.

# %% [markdown] id="problem"
# ## The problem: which object do you mean?
#
# A network with one answer per pixel has no way to say "this one, not that one". In 2014 the way
# around this was to decide *first* where objects might be, and to look at each place afterwards.
# R-CNN (Girshick et al. 2014) took about 2000 regions per image from **selective search**, which
# groups neighbouring pixels of similar colour and texture by hand-made rules. Such candidates are
# called **proposals**. Nothing about them was learned, and a detector never finds what is not
# proposed.

# %% id="timeline" alt="A timeline of papers; R-CNN, 2014, and DeepMask, 2015, are marked in the lane of methods that find regions first and then look."
plotting.timeline(highlight=["R-CNN", "DeepMask"])

# %% [markdown] id="history"
# DeepMask (Pinheiro, Collobert, Dollár 2015) asked whether a network can *learn* to propose, and
# with masks instead of boxes. Here is the hand-made kind on our picture, with at most 300 regions:

# %% id="grouping" alt="The same image with the best-fitting regions of hand-made grouping, among the first 10, 100 and 300: they cover fewer objects than DeepMask's masks, and follow them less closely."
from seglib.models.rcnn.grouping import propose_regions
from seglib.structures import Instances


def grouped(picture):
    """Hand-made grouping as proposals, the likelier first."""
    boxes, masks = propose_regions(picture)
    scores = torch.linspace(1, 0.01, len(boxes))
    return Instances(boxes, scores, torch.ones(len(boxes)).long(), masks)


plotting.show_coverage(image, grouped(image), target, counts=(10, 100, 300))

# %% [markdown] id="idea"
# ## The idea, in four parts
#
# ### One: point with a window
#
# How do you tell a network which object you mean, without a class and without a list? Put it in
# the middle. DeepMask has learned a convention, the **canonical position**: the object lies in the
# centre of a square window, and its longer side fills four sevenths of it (128 of 224 pixels in the
# paper, 32 of 56 here).

# %% id="canonical-code" tags=["nbval-check-output"]
def canonical_window(box):
    """The square that shows an object canonically; both (x0, y0, x1, y1) in pixels."""
    x0, y0, x1, y1 = box
    half = max(x1 - x0, y1 - y0) * 7 / 4 / 2  # the longer side is 4/7 of the window
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - half, y - half, x + half, y + half


print(canonical_window((10, 20, 42, 30)))

# %% id="canonical-figure" alt="The image with an object's box in orange and its canonical window in blue, a good deal larger; beside it the patch inside the window, with the object in the middle, and the object's mask in coarse cells."
from seglib.models.deepmask.windows import crop_windows

window = torch.tensor([canonical_window(target.boxes[first].tolist())])  # [1, 4]
patch = crop_windows(image, window, 224, fill=0.5)[0]  # [3, 224, 224], grey beyond the image
cells = crop_windows(target.masks[first][None].float(), window, config.mask_size)[0, 0]
views = {"the patch": patch, f"its mask, {config.mask_size} × {config.mask_size}": cells}
plotting.show_window(image, window[0].tolist(), views, box=target.boxes[first])

# %% [markdown] id="canonical-read"
# Orange is the object's box, blue its canonical window. Beyond the image the window shows grey.
# A small object gets as many mask cells as a large one. The network draws 28 × 28, which are then
# enlarged bilinearly to 56 × 56.
#
# **Predict before you run:** the two touching objects have the same class, and perhaps the same
# colour. The network gets the window around one, then the window around the other; nothing else
# differs. Will it draw both objects, the larger one twice, or each time the one in the middle?

# %% id="cut"
from seglib.models.base import PIXEL_MEAN, PIXEL_STD


def normalised(pictures):
    mean, std = (torch.tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
    return (pictures - mean) / std


def cut(picture, windows):
    """What the network sees of [K, 4] windows: [K, 3, S, S], each patch with a margin."""
    margin = config.context / config.patch * (windows[:, 2:] - windows[:, :2])
    wide = torch.cat([windows[:, :2] - margin, windows[:, 2:] + margin], dim=1)
    return crop_windows(picture, wide, config.patch + 2 * config.context, fill=0.5)


def middle(patches):
    """The patches [K, 3, 56, 56] without their margin."""
    return patches[:, :, config.context : -config.context, config.context : -config.context]

# %% id="look"
def enlarged(masks):  # [K, 28, 28] -> [K, 56, 56], as finely as the network is taught
    return F.interpolate(masks[:, None], scale_factor=2, mode="bilinear")[:, 0]


def look(patches, network=model):
    """Masks [K, 56, 56] and scores [K], both in 0…1."""
    with network.evaluating():
        answer = network.network(normalised(patches))
        masks = enlarged(network.network.decode(answer.codes.flatten(1))).sigmoid()
    return masks, answer.scores.flatten().sigmoid()

# %% id="two-windows" alt="Two patches of the same picture, each with one of two touching objects in its middle: the network's mask in the first covers the first object, in the second the second object."
two = torch.tensor([canonical_window(target.boxes[i].tolist()) for i in (first, second)])
two_patches = cut(image, two)
answers, answer_scores = look(two_patches)
truths = crop_windows(target.masks[[first, second], None].float(), two, config.mask_target)[:, 0]
titles = [f"answer {i}: {s:.2f}" for i, s in enumerate(answer_scores, 1)]
titles += ["truth 1", "truth 2"]
patches_twice = middle(two_patches).repeat(2, 1, 1, 1)
plotting.show_patches(patches_twice, torch.cat([answers, truths]), titles, columns=4)

# %% [markdown] id="misconception-which"
# Same picture, same weights: **the network needs no extra input that says which object is meant.
# The window is that input.** (No outline is perfect; look at which object is drawn.)
#
# #### Positive windows, negative windows, and the others
#
# To learn this, the network needs windows with labels. A window that is a pixel off should still
# count as positive, one that is far off should not. The paper's rules, in pixels of the *patch*
# (here 56; the paper's numbers for 224 in brackets):
#
# - **positive**: the object's centre is at most 4 px [16] off in x and in y, and its longer side
#   is within a quarter **octave** of 32 px [128], a factor of $2^{\pm 1/4}$;
# - **negative**: more than 8 px [32] off in x or y, or more than an octave (a factor of 2) off in
#   size;
# - **not used** otherwise.

# %% id="label-loop" tags=["nbval-check-output"]
from math import log2


def label_window(window, box, patch=56, shift=4):
    """1 positive, -1 negative, 0 not used; window and box (x0, y0, x1, y1) in image pixels."""
    zoom = patch / (window[2] - window[0])  # patch pixels per image pixel
    dx = zoom * abs(box[0] + box[2] - window[0] - window[2]) / 2
    dy = zoom * abs(box[1] + box[3] - window[1] - window[3]) / 2
    octaves = abs(log2(zoom * max(box[2] - box[0], box[3] - box[1]) / (patch * 4 / 7)))
    if max(dx, dy) <= shift and octaves <= 1 / 4:
        return 1
    return -1 if max(dx, dy) > 2 * shift or octaves > 1 else 0


example_box = (12, 12, 44, 30)
centred, aside, farther = (0, -7, 56, 49), (5, -7, 61, 49), (9, -7, 65, 49)
for tried in (centred, aside, farther, (-28, -35, 84, 77), (-32, -39, 88, 81)):
    print(tried, label_window(tried, example_box))

# %% [markdown] id="windows-text"
# Check a few of them by hand. The last two windows are centred, but 2 and 2.14 times too large.
#
# At test time the windows stand on a grid, in steps of 8 patch pixels, at nine scales: the image
# is resized by $2^{-2}, 2^{-1.5}, \dots, 2^{2}$ under a window of constant size. Here are three
# scales, and the label of each window for *one* object.

# %% id="window-labels" alt="Three panels with grids of dots over the image, one dot for the middle of each window, and the box of one object. At the scale that suits the object one or a few dots at its centre are large and green and those around them pink; half an octave away pink dots remain; two octaves away all are grey."
from seglib.models.deepmask.windows import window_labels

grids = model.windows(target.size)  # nine times [h, w, 4]
guide = target.boxes[first]
labels_at = [
    window_labels(w.flatten(0, 1), guide[None], config.patch, config.shift) for w in grids
]
suits = max(range(len(grids)), key=lambda k: ((labels_at[k] > 0).sum(), (labels_at[k] == 0).sum()))
shown = {}
for k in (suits, suits + 1 if suits < 8 else suits - 1, suits - 4 if suits > 3 else suits + 4):
    name = f"image × {2 ** model.octaves[k]:.2g}"
    shown[name] = (grids[k], labels_at[k].reshape(grids[k].shape[:2]))
plotting.show_window_labels(image, shown, guide)

# %% [markdown] id="window-labels-read"
# A dot is the middle of a window, and the dashed square shows how large the windows are. On the
# left is the scale that suits this object. Half an octave away no window is positive any more, but
# those in the middle do not count as negative. Two octaves away every window is negative.
#
# **Predict before you run:** of all windows of all scales, how many are positive for some object
# of the picture? One in 10, one in 100, or one in 1000?

# %% id="label-share" tolerance=0.2
counts = torch.zeros(3)
for _, truth in samples:
    all_windows = torch.cat([w.flatten(0, 1) for w in model.windows(truth.size)])  # [K, 4]
    kinds = window_labels(all_windows, objects_of(truth).boxes, config.patch, config.shift)
    positive, negative = (kinds > 0).any(dim=1), (kinds < 0).all(dim=1)  # [K, N] -> [K]
    counts += torch.stack([positive.sum(), negative.sum(), (~positive & ~negative).sum()])
words = "windows per image: {:.1f} positive, {:.0f} negative, {:.0f} not used"
print(words.format(*counts / held_out))
boxes = objects_of(truth).boxes  # now the loop and the library's tensors, on the last image
every = max(1, len(all_windows) // 500)
loops = [[label_window(w, b) for b in boxes.tolist()] for w in all_windows[::every].tolist()]
print("loops and tensors agree:", bool((torch.tensor(loops) == kinds[::every]).all()))

# %% [markdown] id="sampling"
# About one in a thousand. Training on the windows as they come would teach the network always to
# say no. So **patches** are sampled: some of them around objects, shifted and resized at random
# within the positive range; the others anywhere, as long as they are negative for every object.
# (Half of them are around objects in the paper; three in four in ours.)
#
# **Predict before you run:** what do the negative patches show? Empty scenery, or objects too?

# %% id="patches" alt="Two rows of patches. Above, patches with an object in the middle, painted with its mask, though not always exactly centred. Below, negative patches: many show parts of objects, or whole objects off the middle, too small or too large; few show scenery alone."
from dataclasses import replace

from seglib.models.deepmask.patches import Patches, sample_patches

half = replace(config, positive_share=0.5)
random = torch.Generator().manual_seed(0)
sampled = Patches.cat([sample_patches(p, t, half, 4, random) for p, t in samples[:8]])
to_show = torch.cat([(sampled.labels == y).nonzero()[:8, 0] for y in (1, -1)])
signs = ["+1" if y > 0 else "−1" for y in sampled.labels[to_show]]
plotting.show_patches(middle(sampled.images[to_show]), sampled.masks[to_show], signs)

# %% [markdown] id="misconception-negative"
# **A negative window is not an empty one.** Many contain objects, or pieces of them: off the
# middle, far too small, far too large. That is the point. "Is there something?" would be true
# nearly everywhere. What the score must learn is "is there one, whole, in the middle, of the right
# size?", since only then can its mask be right.

# %% [markdown] id="rank"
# ### Two: a mask in one piece, and a layer of low rank
#
# Whether a pixel belongs to the object in the middle depends on where that object ends, so every
# cell of the mask must know the whole window. A convolution sees only a neighbourhood. So each of
# the $28 \times 28$ outputs reads all features of the window: a fully connected layer.
#
# **Predict before you run:** the paper has $512 \times 14 \times 14$ features and a mask of $56
# \times 56$. How many weights has that layer? About 3 million, 30 million, or 300 million? (All
# convolutions of its backbone together have about 9 million.)

# %% id="count-weights" tags=["nbval-check-output"]
def weights(features, cells, rank):
    """Of one full layer, and of two in a row with `rank` numbers in between."""
    return features * cells, features * rank + rank * cells


own = config.reduced * (config.patch // config.stride) ** 2  # channels × cells of a window
layers = {"paper": (512 * 14 * 14, 56**2, 512), "ours": (own, config.mask_size**2, config.rank)}
for name, sizes in layers.items():
    print(name, "has {:,} features, {:,} cells and rank {}:".format(*sizes), end=" ")
    print("{:,} weights in full, {:,} in two layers".format(*weights(*sizes)))

# %% [markdown] id="rank-text"
# The way out is two linear layers, from the features to a **code** of $R$ numbers, and from the
# code to the mask. What is lost? Masks are not random pictures. Take the true masks of many objects
# in canonical position, and look for the patterns of which they are mixtures (the singular vectors;
# in statistics this is called principal component analysis).

# %% id="alphabet" alt="Twelve square patterns in orange and purple: from a single large blob over halves and bars to ever finer patches."
def canonical_patches(pairs, cells=config.mask_size):
    """All objects of some images in canonical position: patches [K, 3, S, S], masks [K, 28, 28]."""
    patches, masks = [], []
    for picture, truth in pairs:
        things = objects_of(truth)
        windows = torch.tensor([canonical_window(b) for b in things.boxes.tolist()]).reshape(-1, 4)
        patches.append(cut(picture, windows))
        masks.append(crop_windows(things.masks[:, None].float(), windows, cells)[:, 0])
    return torch.cat(patches), torch.cat(masks)


practice = [dataset[i] for i in range(held_out, min(held_out + 120, len(dataset)))]
practice_patches, practice_masks = canonical_patches(practice)
average = practice_masks.mean(dim=0)
deviations = (practice_masks - average).flatten(1)  # [K, 28·28]
patterns = torch.linalg.svd(deviations, full_matrices=False)[2]  # [., 784], most useful first
patterns = patterns * patterns.sum(dim=1).sign()[:, None]  # a pattern and its negative are one
names = [f"pattern {k}" for k in range(1, 13)]
plotting.feature_maps(patterns[:12].reshape(-1, *average.shape), names, signed=True)

# %% id="rebuilt" alt="Six masks of objects that the patterns have not seen, rebuilt from 4, 16 and 64 patterns: with 4 they are blobs, with 16 most shapes are recognisable, with 64 they come close to the true masks, which stand in the last row." tolerance=0.03
def mask_iou(a, b):
    """The IoU of each mask [K, h, w] with its partner, [K]."""
    return (a & b).sum(dim=(1, 2)) / (a | b).sum(dim=(1, 2)).clamp(min=1)


def rebuild(masks, count):
    codes = (masks - average).flatten(1) @ patterns[:count].T  # [K, count]: how much of each
    return average + (codes @ patterns[:count]).reshape(masks.shape)


test_patches, test_masks = canonical_patches(samples)
print(f"{len(test_masks)} masks of other images, rebuilt from")
for r in (0, 4, 16, 64, 128):
    fit = mask_iou(rebuild(test_masks, r) >= 0.5, test_masks >= 0.5).mean()
    print(f"{r:3d} patterns: mean IoU {fit:.2f}")
picked = test_masks[:: max(1, len(test_masks) // 6)][:6]
rebuilt = {r: rebuild(picked, r) for r in (4, 16, 64)}
fits = {r: mask_iou(masks >= 0.5, picked >= 0.5) for r, masks in rebuilt.items()}
titles = [f"{r} patterns: {value:.2f}" for r in fits for value in fits[r]]
panels = [*torch.cat([*rebuilt.values(), picked]).clamp(0, 1)]
plotting.show_images(panels, [*titles, *["truth"] * len(picked)], columns=6, panel=1.6)

# %% [markdown] id="rank-read"
# Orange cells of a pattern are added to the mean mask, purple ones subtracted (or the other way
# round). The first patterns say "larger", or "upright rather than flat"; the later ones move the
# outline. Without any pattern every answer is the mean mask. (The squared error falls with every
# pattern; the IoU of a single mask need not rise.) A few dozen numbers describe most of a mask of
# 784 cells; thin parts need the rest, and they are what a low rank costs. So the second layer has
# to learn $R$ patterns, and the first one how much of each.
#
# Here is the network. A patch comes with a margin of 24 px, 104 × 104 in all; part four says why.
# The backbone is a small ResNet ([lesson 03](03_backbones.ipynb)) with a stride of 8. Of its
# 13 × 13 cells the three outer ones on each side are thrown away; 7 × 7 remain for the window.

# %% id="network-diagram" alt="A diagram: the patch goes through the backbone to a map of features, then through a 1 by 1 convolution and a linear layer to a code of R numbers; from the code one linear layer leads to the mask and two linear layers lead to the score."
from itertools import pairwise

side = config.patch // config.stride
Block = plotting.Block
blocks = [
    Block("patch", f"3 × {config.patch + 2 * config.context}²", "data", (0, 0.5)),
    Block("backbone", f"{model.network.reduce[0].in_channels} × {side}²", "layer", (1, 0.5)),
    Block("1×1, ReLU", f"{config.reduced} × {side}²", "layer", (2, 0.5)),
    Block("linear", f"code: {config.rank}", "head", (3, 0.5)),
    Block("linear ", f"{config.mask_size} × {config.mask_size}", "head", (4, 0)),
    Block("2 linear, ReLU", "1", "head", (4, 1)),
    Block("mask", "", "output", (5, 0)),
    Block("score", "", "output", (5, 1)),
]
chain = ["patch", "backbone", "1×1, ReLU", "linear"]
arrows = [*pairwise(chain), ("linear", "linear "), ("linear ", "mask")]
arrows += [("linear", "2 linear, ReLU"), ("2 linear, ReLU", "score")]
plotting.flow_diagram(blocks, arrows, title="DeepMask")

# %% [markdown] id="two-linear"
# Two linear layers in a row, and *nothing in between*, no ReLU. **Predict before you run:** "two
# linear maps in a row are one linear map. So the second layer is useless." Right?

# %% id="two-linear-code" tags=["nbval-check-output"]
squeeze, decoder = model.network.squeeze, model.network.decoder
with torch.no_grad():
    features = torch.randn(9, squeeze.in_features)
    in_two = decoder(F.linear(features, squeeze.weight, squeeze.bias))  # [9, 784]
    matrix = decoder.weight.double() @ squeeze.weight.double()  # [784, 3136]
    in_one = features @ matrix.float().T + decoder(squeeze.bias)
print("one matrix gives the same:", torch.allclose(in_two, in_one, atol=1e-3))
print("its size:", list(matrix.shape), " its rank:", torch.linalg.matrix_rank(matrix).item())

# %% [markdown] id="misconception-linear"
# The first sentence is right: one matrix gives the same. But it is not just *any* matrix of that
# size. Its rank is at most $R$, the width of the bottleneck. **The second layer is not there to
# express more, but less:** the two have a fifth of the full matrix's weights, and their outputs are
# all mixtures of $R$ patterns.

# %% [markdown] id="loss"
# ### Three: two questions, one loss
#
# Labels are written as $y = +1$ and $y = -1$ here, for windows and for mask pixels alike, and the
# loss of a logit $z$ is $\log(1 + e^{-yz})$, the cross-entropy of a sigmoid by another name: near
# zero if $z$ is large and has the sign of $y$. The loss of one patch, with $m$ for the true mask
# and $s$ for the score:
#
# $$ L = \underbrace{\frac{1 + y}{2} \cdot \frac{1}{hw}
#  \sum_{i,j} \log\left(1 + e^{-m_{ij} z_{ij}}\right)}_{\text{mask}}
#  \;+\; \frac{1}{32} \underbrace{\log\left(1 + e^{-y s}\right)}_{\text{score}} $$

# %% id="loss-loop" tags=["nbval-check-output"]
from math import exp, log


def patch_loss(mask_logits, score, mask, label):
    """mask_logits [h, w], score a number, mask [h, w] of 0 and 1, label ±1."""
    soft_margin = [
        log(1 + exp(-(1 if inside else -1) * z))
        for z, inside in zip(mask_logits.flatten().tolist(), mask.flatten().tolist(), strict=True)
    ]
    mask_term = (1 + label) / 2 * sum(soft_margin) / len(soft_margin)
    return mask_term, log(1 + exp(-label * score)) / 32


tiny_logits, tiny_mask = torch.tensor([[2.0, -1], [0, -3]]), torch.tensor([[1, 1], [0, 0]])
for label in (1, -1):
    terms = patch_loss(tiny_logits, 1.5, tiny_mask, label)
    print(f"label {label:+d}: mask {terms[0]:.3f}, score {terms[1]:.3f}")

# %% [markdown] id="loss-read"
# The factor $(1+y)/2$ is 1 for a positive patch and 0 for a negative one. **Predict before you
# run:** so what must the network draw in a negative window? An empty mask, the mean mask, or
# whatever it likes?

# %% id="loss-gradient" tags=["nbval-check-output"]
def joint_loss(mask_logits, scores, masks, labels):
    """The same for [P, h, w] and [P] at once: the mean over patches of both terms."""
    pixels = F.softplus(-(2 * masks - 1) * mask_logits).mean(dim=(1, 2))  # [P]
    mask = ((labels > 0) * pixels).mean()
    return mask, F.softplus(-labels * scores).mean() / 32


z, s = torch.randn(2, 4, 4, requires_grad=True), torch.randn(2)
m, signs = (torch.rand(2, 4, 4) > 0.5).float(), torch.tensor([1, -1])
by_patch = [patch_loss(*row) for row in zip(z.detach(), s.tolist(), m, signs.tolist(), strict=True)]
at_once = torch.stack(joint_loss(z, s, m, signs))
print("loops and tensors agree:", torch.allclose(at_once, torch.tensor(by_patch).mean(dim=0)))
at_once.sum().backward()
print("gradient on the positive's mask:", bool(z.grad[0].abs().min() > 0))
print("gradient on the negative's mask:", bool(z.grad[1].abs().max() > 0))

# %% [markdown] id="misconception-empty"
# Whatever it likes. **A negative window has no correct mask; it teaches nothing about masks.** An
# empty mask would be wrong in a window whose object is a little off the middle. The score says
# whether to believe the mask.
#
# And the 1/32: on which term is it? On the *score's*. Drawing is the harder task, and a single
# logit can pull the shared layers with more force than 784 averaged ones. Measure the pull of both
# terms on the backbone of a fresh network, without the 1/32:

# %% id="pull" tolerance=0.5
from seglib.models import build_model

torch.manual_seed(0)
fresh = build_model("deepmask", dataset.categories, context=config.context)
few = sorted(samples, key=lambda pair: -len(objects_of(pair[1])))[:4]  # the four fullest
losses = fresh.loss([p for p, _ in few], [t for _, t in few])
parts = {"mask": losses["mask_loss"], "score": losses["score_loss"] / config.score_weight}
pull, shared = {}, list(fresh.network.backbone.parameters())
for name, part in parts.items():
    grads = torch.autograd.grad(part, shared, retain_graph=True)
    pull[name] = torch.stack([g.norm() for g in grads]).norm().item()
    print(f"{name}: loss {part.item():.2f}")
print(f"the score pulls {pull['score'] / pull['mask']:.1f} times as hard")

# %% [markdown] id="pull-read"
# About ten times as hard. With the 1/32 the mask leads, and the score, the easier of the two, still
# learns.

# %% [markdown] id="slide"
# ### Four: slide it
#
# The naive way to run the network on all windows is a loop, as in lesson 04. Now all at once. The
# picture gets a grey border, so that windows may reach beyond it, and goes through the backbone in
# one piece. Each linear layer after it reads 7 × 7 cells, or one: it is a 7 × 7 convolution or a
# 1 × 1 convolution. First only that part: slide a frame of 7 × 7 cells over the map, or convolve.

# %% id="slide-heads" tags=["nbval-check-output"]
height, width = (s // config.stride * config.stride for s in image.shape[-2:])
view = image[:, :height, :width]  # whole cells, so that the grids fit exactly
border = config.patch // 2 + config.context
padded = normalised(F.pad(view[None], [border] * 4, value=0.5))
inner = slice(config.context // config.stride, -(config.context // config.stride))
kernel = squeeze.weight.reshape(config.rank, config.reduced, side, side)  # from [128, 3136]
with torch.no_grad():
    maps = model.network.backbone(padded)[:, :, inner, inner]
    maps = model.network.reduce(maps)[0]  # [64, h+6, w+6]
    codes = F.conv2d(maps[None], kernel, squeeze.bias)[0]  # [128, h, w]: a code for every window
    frames = maps.unfold(1, side, 1).unfold(2, side, 1)  # [64, h, w, 7, 7], views, no copies
    frames = frames.permute(1, 2, 0, 3, 4).flatten(2)  # [h, w, 64·7·7]
    one_by_one = F.linear(frames, squeeze.weight, squeeze.bias).permute(2, 0, 1)  # [128, h, w]
print("every window:", torch.allclose(one_by_one, codes, atol=1e-4), list(codes.shape))

# %% [markdown] id="slide-whole-text"
# Equal up to rounding. **Predict before you run:** what about the network as a whole, backbone
# included? Does one pass over the image give *exactly* the scores of a loop over patches?

# %% id="slide-whole" tolerance=0.15
from torch.utils.flop_counter import FlopCounterMode

grid = model.windows((height, width))[model.octaves.index(0.0)]  # [h, w, 4], image not resized
by_loop = torch.cat([look(cut(view, w[None]))[1] for w in grid.flatten(0, 1)])  # [h·w]
with torch.no_grad():
    dense = model.network(padded).scores[0].sigmoid().flatten()  # [h·w]
gap = (dense - by_loop).abs()
print(f"{len(gap)} scores differ by {gap.mean():.3f} on average, by {gap.max():.2f} at most")
flops = []
for patches in (normalised(cut(view, grid[0, :1])), padded):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.network(patches)
    flops.append(counter.get_total_flops())
print(f"patch by patch: {flops[0] * len(gap) / flops[1]:.0f} times the work")

# %% [markdown] id="slide-whole-read"
# Nearly, but not exactly. Lesson 04 said why: its small classifier had no padding, but this
# backbone has. In a patch that is cut out, every padded layer sees zeros at the border; in the
# whole image it sees the neighbours. Hence the margin: the outermost cells, which suffer most, are
# thrown away. The paper's claim that dense and patch-wise computation are the same is exact for the
# heads, and a good approximation for the backbone.

# %% [markdown] id="scales"
# #### Every size has its scale
#
# At the image's own scale only objects of about 32 px are canonical. **Predict before you run:**
# where will a *large* object light up, in the enlarged images or in the shrunk ones?

# %% id="scales-figure" alt="Six panels, one per scale, each the image with the scores of all windows as a heat map. In the shrunk images wide areas at the large objects score high; in the enlarged ones only a few small windows at the small objects do."
with torch.no_grad():
    levels = model([image])[0]
heat = {f"× {2**x.octave:.2g}": (x.windows, x.scores.sigmoid()) for x in levels[1:7]}
plotting.show_window_scores(image, heat, target.boxes)

# %% [markdown] id="scales-read"
# The title of each panel gives the factor, then the size of its windows on the image. In the shrunk
# images a window covers more, so the large objects light up there; the small ones do so in the
# enlarged images. And hardly any object has only one bright window.
#
# #### From windows to proposals
#
# Put the windows of all scales into one list, sort it by score, and draw the masks of the best. The
# code is turned into a mask *after* the sorting, for a thousand windows instead of all.

# %% id="propose" tags=["nbval-check-output"]
from seglib.ops.mask_paste import paste_masks


@torch.no_grad()
def propose(picture, count):
    """The best windows: scores [N], masks [N, H, W], soft masks [N, 56, 56], windows [N, 4]."""
    levels = model([picture])[0]
    scores = torch.cat([level.scores.flatten() for level in levels])  # [K], all windows
    windows = torch.cat([level.windows.flatten(0, 1) for level in levels])  # [K, 4]
    codes = torch.cat([level.codes.flatten(1).T for level in levels])  # [R, h, w] -> [h·w, R]
    best = scores.topk(count).indices
    soft = enlarged(model.network.decode(codes[best])).sigmoid()  # [N, 56, 56]
    masks = paste_masks(soft, windows[best], picture.shape[-2:], config.mask_threshold)
    return scores[best].sigmoid(), masks, soft, windows[best]


scores, masks, soft, windows = propose(image, 200)
print("scores fall:", bool((scores.diff() <= 0).all()))
print(len(masks), "masks of the image's size:", masks.shape[1:] == image.shape[1:])

# %% id="one-proposal" alt="The image with the best-scored window and the mask that the network draws in it, the patch in the window, and the soft mask, white inside and grey along the outline."
best_patch = crop_windows(image, windows[:1], 224, fill=0.5)[0]
views = {"what it sees": best_patch, f"soft, cut at {config.mask_threshold}": soft[0]}
title = f"the best of all: score {scores[0]:.2f}"
plotting.show_window(image, windows[0].tolist(), views, mask=masks[0], title=title)

# %% [markdown] id="paste-read"
# On the right is the mask as it leaves the network: one probability per cell. It is stretched to
# the window and cut at a threshold: 0.2 on COCO in the paper, the number over the picture here, not
# 0.5. A soft outline is drawn a little wide, and thin parts survive.

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# Tests compare the rules, the windows and the loss of `seglib` with values recorded from the
# authors' released code. And yours equals `seglib`'s:

# %% id="equality-windows" tags=["nbval-check-output"]
from seglib.models.deepmask.windows import canonical_windows

own_windows = torch.tensor([canonical_window(b) for b in target.boxes.tolist()])
library_windows = canonical_windows(target.boxes, config.patch, config.shift)
print("windows:", torch.allclose(own_windows, library_windows, atol=1e-3))
kept = masks.flatten(1).any(dim=1)  # the library leaves empty masks out
firsts = proposals[torch.arange(int(kept.sum()))]
same = (masks[kept] == firsts.masks).float().mean() > 0.9999  # rounding may turn a pixel
print(f"masks: {same}, scores: {torch.allclose(scores[kept], firsts.scores, atol=1e-4)}")

# %% [markdown] id="equality-loss-text"
# The loss, too. Its true masks have 56 × 56 cells, so the logits are enlarged first.

# %% id="equality-loss" tags=["nbval-check-output"]
def own_loss(model, batch):
    """Both terms for a batch of patches, by your joint_loss."""
    answer = model.network(normalised(batch.images))
    logits = model.network.decode(answer.codes.flatten(1))[:, None]  # [P, 1, 28, 28]
    fine = F.interpolate(logits, size=batch.masks.shape[1:], mode="bilinear")[:, 0]  # [P, 56, 56]
    true = (batch.masks >= 0.5).float()
    return joint_loss(fine, answer.scores.flatten(), true, batch.labels)


pictures, targets = [p for p, _ in few], [t for _, t in few]
torch.manual_seed(1)
same_patches = model.sample(pictures, targets)
torch.manual_seed(1)  # model.loss samples the same ones again
with torch.no_grad():
    own_terms, terms = own_loss(model, same_patches), model.loss(pictures, targets)
for own, (name, term) in zip(own_terms, terms.items(), strict=True):
    print(name, torch.allclose(own, term, atol=1e-5))

# %% [markdown] id="learns"
# ## It learns
#
# **Overfit one batch** first: sixteen patches of two images, sampled once, with your own loss.

# %% id="overfit" alt="Patches of the batch with an object: above with the masks that the network draws after sixty steps, below with the true ones; the two are hard to tell apart." tolerance=0.3
from seglib.training import History, TrainConfig, train

torch.manual_seed(0)
by_heart = build_model("deepmask", dataset.categories, dropout=0.0, context=config.context)
batch = by_heart.sample(pictures[:2], targets[:2])
optimizer = torch.optim.Adam(by_heart.parameters(), lr=3e-3)
for _ in range(60):
    loss = sum(own_loss(by_heart, batch))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss after 60 steps: {loss.item():.2f}")
objects = (batch.labels > 0).nonzero()[:8, 0]
drawn, true = look(batch.images[objects], by_heart)[0], batch.masks[objects]
titles = [f"IoU {v:.2f}" for v in mask_iou(drawn >= 0.5, true >= 0.5)] + ["truth"] * len(objects)
twice = middle(batch.images[objects]).repeat(2, 1, 1, 1)
plotting.show_patches(twice, torch.cat([drawn, true]), titles, columns=len(objects))

# %% [markdown] id="overfit-read"
# It can. Now train for real: a quarter of a minute from random weights, on images that are not set
# aside for measuring. **Predict before you run:** what will a network of this kind learn *first*?

# %% id="live" alt="The loss of masks and scores over forty training steps: it falls quickly in the first ten and hardly at all after that."
rest = torch.utils.data.Subset(dataset, range(held_out, len(dataset)))
torch.manual_seed(0)
learner = build_model("deepmask", dataset.categories, context=config.context)
settings = TrainConfig(steps=40, batch_size=4, lr=2e-3, warmup=5)
with plotting.LiveCurve(steps=settings.steps, title="From scratch") as live:
    train(learner, rest, settings, on_step=live)

# %% id="live-result" alt="Six objects that it has not seen, in canonical position. First row, the mean mask; second row, the network after forty steps: ragged blobs in the middle, whatever the object; third row, the shipped network: shapes close to the objects'; fourth row, the truth." tolerance=0.06
test_fine = canonical_patches(samples, config.mask_target)[1]  # [K, 56, 56]
drawings = {
    "mean mask": enlarged(average.expand(len(test_fine), -1, -1)),
    "40 steps": look(test_patches, learner)[0],
    "shipped": look(test_patches)[0],
}
for name, predicted in drawings.items():
    print(f"{name:9s} mean IoU {mask_iou(predicted >= 0.5, test_fine >= 0.5).mean():.2f}")
six = list(range(0, len(test_masks), max(1, len(test_masks) // 6)))[:6]
titles = [name for name in [*drawings, "truth"] for _ in six]
rows = torch.cat([drawn[six] for drawn in [*drawings.values(), test_fine]])
fourfold = middle(test_patches[six]).repeat(4, 1, 1, 1)
plotting.show_patches(fourfold, rows, titles, columns=6)

# %% [markdown] id="live-read"
# The first thing to learn is the convention itself: *there is something in the middle*. The mean
# mask does not look at the image at all, and after these steps the network is about as good as
# that. So any learned proposal must be compared with the mean mask.
#
# ### The shipped network
#
# It was trained in two runs: first on patches with a margin of 8 pixels, which are quick to
# compute; then with 24, so that the backbone sees the neighbours that it will see in an image.
# Below are both commands, and the losses of the second run; they fall little, because it begins
# where the first one ended.

# %% id="shipped-curve" alt="The training loss of the shipped network in its second run, mask and score apart, over its steps: the mask's is noisy and falls slowly all the way, the score's, with its small weight, lies far below."
from seglib.pretrained import record

shipped = record("deepmask")
print(*shipped["command"].split(" && "), sep="\n")
print(f"{shipped['minutes']} minutes, {shipped['parameters']:,} parameters")
parts = History.from_dict(shipped["history"]).parts
curves = {"mask": parts["mask_loss"], "score, times 1/32": parts["score_loss"]}
plotting.training_curve(curves, title="The shipped DeepMask")

# %% [markdown] id="recall"
# #### Average recall, between a floor and a ceiling
#
# Lesson 01's average precision will not do: it needs classes and penalises every false positive.
# Proposals have no classes, and a false one costs little; what counts is that every object is
# covered. An object is **recalled** at a threshold $t$ if one of the best $N$ proposals of its
# image has an IoU of at least $t$ with it. **Average recall**, AR@$N$, is the share of objects
# recalled, averaged over $t = 0.50, 0.55, \dots, 0.95$, so that tight masks earn more.

# %% id="recall-loop" tags=["nbval-check-output"]
def recall(best_ious):
    """AR of the best IoU that each object got."""
    thresholds = [0.5 + 0.05 * k for k in range(10)]
    return sum(sum(iou >= t for iou in best_ious) / len(best_ious) for t in thresholds) / 10


print(round(recall([0.82, 0.61, 0.3]), 3))

# %% [markdown] id="recall-read"
# By hand: 0.82 passes seven thresholds (.50 to .80), 0.61 passes three, 0.3 none: $10 / 30$.
#
# A number alone says nothing. The **floor** takes the same windows in random order, each with the
# mean training mask, without looking at the image. The **ceiling** takes the same windows and the
# same 28 × 28 cells, but with perfect knowledge: each object's true mask, from the best window in
# which it is canonical.

# %% id="measure"
from seglib.metrics.ceilings import model_baseline, model_ceiling
from seglib.metrics.proposal_recall import average_recall

count = min(10, held_out)
few_pictures, few_targets = zip(*samples[:count], strict=True)
by_grouping = [grouped(picture) for picture in few_pictures]
learned = [model.predict([picture])[0].proposals for picture in few_pictures]
kinds_of = dataset.categories, "segm", dataset.area_ranges
figures = {
    "mean mask, random": model_baseline(model, dataset, count).figures,
    "grouping by hand (at most 300)": average_recall(by_grouping, few_targets, *kinds_of),
    "DeepMask": average_recall(learned, few_targets, *kinds_of),
    "perfect network": model_ceiling(model, dataset, count).figures,
}
for name, found in figures.items():
    figures[name] = {key.removeprefix("mask_"): value for key, value in found.items()}

# %% id="recall-figure" alt="Average recall over 10, 100 and 1000 proposals: the mean mask in random order near zero, hand-made grouping above it, DeepMask well above both, and the perfect network's ceiling as a flat line on top." tolerance=0.05
lines = {name: {n: found[f"AR@{n}"] for n in (10, 100, 1000)} for name, found in figures.items()}
reached, ceiling = lines["DeepMask"][100], lines["perfect network"][100]
print(f"AR@100 of DeepMask is {reached / ceiling:.0%} of the ceiling")
plotting.show_average_recall(lines, title=f"Masks of {count} images")

# %% [markdown] id="recall-figure-read"
# Read the figure from below. Windows alone, however many there are, cover next to nothing. The
# ceiling does not reach 1: objects too thin for the 28 × 28 cells of their window, and windows in
# steps of 8, cost the rest. And from 10 to 100 proposals DeepMask gains a lot. So the good masks
# are there, but not at the top of the list. Why?

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# ### Many windows, one object
#
# **Predict before you run:** below are the ten best proposals for our picture. How many different
# objects are among them?

# %% id="top-ten" alt="The ten best-scored proposals, each painted over its window: several show the same object from windows next to each other."
inside = crop_windows(image, windows[:10], config.patch, fill=0.5)
titles = [f"{rank}: {s:.3f}" for rank, s in enumerate(scores[:10], 1)]
plotting.show_patches(inside, soft[:10] >= config.mask_threshold, titles, columns=5)

# %% id="distinct" tolerance=0.3
def fits_of_ten(some, things):
    """How many of the ten best fit an object, and how many objects they fit."""
    if not len(things):
        return 0, 0
    overlap = ops.mask_iou(some.masks[:10], things.masks)
    good = overlap.amax(dim=1) >= 0.5
    return good.sum().item(), len(overlap[good].argmax(dim=1).unique())


fit, different = fits_of_ten(proposals, target)
print(f"of our picture's ten best, {fit} fit an object; they fit {different} different objects")
pairs = list(zip(learned, map(objects_of, few_targets), strict=True))
fit, different = (sum(n) / count for n in zip(*(fits_of_ten(*pair) for pair in pairs), strict=True))
print(f"on average over {count} images, {fit:.1f} fit an object; they fit {different:.1f}")

# %% [markdown] id="duplicates-read"
# A window one step aside, or one scale away, sees the same object and scores nearly as high.
# Nothing in DeepMask says "we already have this one". What if a proposal is dropped when its box
# overlaps a better one's by more than 0.7? This is called **non-maximum suppression** (NMS), and
# lesson 06 takes it apart.

# %% id="suppress" tolerance=0.05
def without_duplicates(some, threshold=0.7):
    return some[ops.nms(some.boxes, some.scores, threshold)]


thinned = average_recall([without_duplicates(p) for p in learned], few_targets, *kinds_of)
print("AR at      10    100   1000")
for name, found in {"sorted": figures["DeepMask"], "with NMS": thinned}.items():
    print(f"{name:9s}" + "".join(f"{found[f'AR@{n}']:6.2f}" for n in (10, 100, 1000)))

# %% [markdown] id="suppress-read"
# The first ten gain, because there are fewer duplicates among them. A long list loses: now and then
# the tighter mask was thrown away. The paper suppresses nothing and leaves that to the detector.

# %% [markdown] id="objectness"
# ### Objectness is neither a class nor a promise
#
# **Predict before you run:** the score is a number between 0 and 1, like a classifier's. Could you
# tell a class from it? Below are the scores of negative windows, and of windows in canonical
# position for the two most frequent classes.

# %% id="scores-figure" alt="Bars for the scores of three groups of windows, side by side: those of two classes stand together near 1, those of negative windows near 0."
random.manual_seed(0)
away = Patches.cat([sample_patches(p, t, half, 4, random) for p, t in practice[:60]])
patches_of = {"negative windows": away.images[away.labels < 0]}
class_of = torch.cat([objects_of(t).labels for _, t in practice])
for c in class_of.bincount().topk(2).indices.tolist():  # the commonest classes
    patches_of[dataset.categories.by_label(c).name] = practice_patches[class_of == c]
groups = {n: torch.cat([look(p)[1] for p in ps.split(64)]) for n, ps in patches_of.items()}
plotting.histogram(groups, bins=20, xlabel="score", title="Scores by what is in the window")

# %% [markdown] id="misconception-class"
# **The score says "an object, whole, in the middle". It does not say which, and it does not say
# that the mask is good.** The two classes have their bars in the same places. Naming is left to the
# network that uses the proposals.
#
# Does a high score at least mean a good mask? Compare the score of each proposal with the IoU that
# it really has.

# %% id="promise" tolerance=0.1
with_objects = [(some, things) for some, things in pairs if len(things)]
all_scores = torch.cat([some.scores for some, _ in with_objects])
all_ious = torch.cat([ops.mask_iou(p.masks, t.masks).amax(dim=1) for p, t in with_objects])
for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.01)):
    between = (all_scores >= low) & (all_scores < high)
    if between.any():
        number, mean = int(between.sum()), all_ious[between].mean()
        print(f"score {low:.1f} to {min(high, 1):.1f}: {number:6d} proposals, mean IoU {mean:.2f}")

# %% [markdown] id="promise-read"
# It ranks, and ranking is all that a proposal needs. But even at the top the mean IoU is far from
# 1: the score was trained with the labels of *windows*; it never saw how good the mask was. And
# what are the confident proposals that fit no object at all?

# %% id="false-alarms" alt="Six proposals with high scores that fit no annotated object: parts of objects with an outline of their own, pieces of scenery between other things, and several objects taken together."
def close_ups(rows, words):
    """Draw (number, picture, box, mask) each in the middle of its canonical window."""
    windows = [torch.tensor([canonical_window(box.tolist())]) for _, _, box, _ in rows]
    pairs = list(zip(rows, windows, strict=True))
    inside = torch.cat([crop_windows(row[1], w, 112, fill=0.5) for row, w in pairs])
    shapes = torch.cat([crop_windows(row[3][None].float(), w, 112)[:, 0] for row, w in pairs])
    titles = [f"{words} {row[0]:.2f}" for row in rows]
    return plotting.show_patches(inside, shapes, titles, columns=6)


alarms = []
for some, picture, truth in zip(learned, few_pictures, few_targets, strict=True):
    some = without_duplicates(some)
    overlap = ops.mask_iou(some.masks, truth.masks).sum(dim=1)
    row = int((overlap < 0.2).float().argmax())  # the first, best-scored one that fits nothing
    alarms.append((some.scores[row].item(), picture, some.boxes[row], some.masks[row]))
close_ups(sorted(alarms, key=lambda row: -row[0])[:6], "score")

# %% [markdown] id="false-alarms-read"
# Pieces, mostly: a part of a thing, or what shows between two others. Nothing about the bow of a
# kite's tail shows that it is not an object; it does not count because nobody annotated bows.
# **What counts as an object is a decision of those who annotate**, and with no class to go by, the
# score has to guess it.
#
# And which objects got the worst masks?

# %% id="missed" alt="The six objects whose best proposal fits least, in canonical position, with their true masks: thin, broken into parts, or mostly hidden behind others."
worst = []
for (some, things), picture in zip(pairs, few_pictures, strict=True):
    ious = ops.mask_iou(some.masks, things.masks).amax(dim=0)
    for iou, box, mask in zip(ious.tolist(), things.boxes, things.masks, strict=True):
        worst.append((iou, picture, box, mask))
close_ups(sorted(worst, key=lambda row: row[0])[:6], "IoU")

# %% [markdown] id="missed-read"
# The painted masks are the truth; the number is the best IoU among a thousand proposals. Look at
# the cross first, then at the shapes.
#
# - **Hidden** ones in a crowd: in the *middle* of their box there is often the object that covers
#   them, so the window points at the wrong one.
# - **Thin and branching** ones: an error of one cell on each side of a bar of two cells halves the
#   IoU, and the low rank smooths such parts away.

# %% [markdown] id="try"
# ## Try it
#
# Slide the window yourself. Put it on an object, then move it off in small steps: when does the
# mask jump to the neighbour, and what does the score do meanwhile? Then leave it in place and
# change the octave.

# %% id="window-widget" alt="Three sliders, x, y and octave, above the image with the window and the mask, the patch in the window, and the soft mask."
from seglib.widgets import Option, Question, Quiz, SlidingWindow

x0, y0, x1, y1 = canonical_window(target.boxes[first].tolist())
zoom = log2(config.patch / (x1 - x0) * max(image.shape[-2:]) / 128)
start = {"x": round((x0 + x1) / 2), "y": round((y0 + y1) / 2), "octave": round(4 * zoom) / 4}
SlidingWindow(model, image, target, **start)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
negatives = Question(
    "A 56 px window (canonical size 32, shift 4) is centred on an object 70 px long. It is",
    [
        Option("positive, because it is exactly centred",
               feedback="Size counts as well: 70 is far from 32."),
        Option("negative, although the object fills the window", True,
               "More than an octave (32 · 2 = 64) too large."),
        Option("not used, because only the size is off",
               feedback="That range ends at one octave, 64 px. 70 is beyond."),
    ],
    objective="canonical position",
)
between = Question(
    "The same window; the object is 32 px long, its centre 6 px off in x. The window is",
    [
        Option("not used in training", True, "More than 4 px off, but not more than 8."),
        Option("positive, as most of the object is inside",
               feedback="Overlap does not count; only the centre and the longer side do."),
        Option("negative", feedback="Only from more than 8 px on."),
    ],
    objective="canonical position",
)
Quiz([negatives, between], title="Which windows count")

# %% id="quiz-two" tags=["quiz", "hide-input"]
saving = Question(
    "1000 features, a mask of 20 × 20. The layer at rank 50 has",
    [
        Option("400,000 weights", feedback="That is the full layer: 1000 · 400."),
        Option("20,000 weights",
               feedback="That is the second part, 50 · 400; first the features become a code."),
        Option("70,000 weights", True, "1000 · 50 + 50 · 400."),
    ],
    objective="low rank",
)
bottleneck = Question(
    "Nothing stands between the two linear maps of the mask layer. Why two, then?",
    [
        Option("So that every mask is a mixture of R patterns, with far fewer weights", True,
               "They are one matrix of rank R."),
        Option("So that they express more than one matrix could",
               feedback="They are one matrix, of rank R at most: they can express less."),
        Option("It is an oversight; a ReLU belongs in between",
               feedback="It is on purpose: only a linear map of low rank was wanted."),
    ],
    objective="low rank",
)
Quiz([saving, bottleneck], title="The mask layer")

# %% id="quiz-three" tags=["quiz", "hide-input"]
taught = Question(
    "For a negative window, the loss asks the mask branch for",
    [
        Option("an empty mask, all zeros",
               feedback="That is an answer, and a gradient would have to teach it. There is none."),
        Option("the mean mask of all objects",
               feedback="That is what a blind network would draw; the loss does not ask for it."),
        Option("nothing at all, as its mask term is zero", True,
               "(1 + y)/2 is 0. The score alone learns from it."),
    ],
    objective="joint loss",
)
weight = Question(
    "The factor 1/32 in DeepMask's loss stands",
    [
        Option("on the mask term, because it has more pixels",
               feedback="The pixels are averaged already."),
        Option("on the score term, for every patch", True,
               "Drawing is what the shared layers should mostly learn."),
        Option("on both terms of negative patches",
               feedback="Positive and negative patches weigh the same in the score."),
    ],
    objective="joint loss",
)
Quiz([taught, weight], title="Two questions, one loss")

# %% id="quiz-four" tags=["quiz", "hide-input"]
sliding = Question(
    "An object is 128 px long; a canonical one has 32 px. It is found in the image resized by",
    [
        Option("1/4", True, "There it is 32 px long. Large objects are found in small images."),
        Option("4", feedback="Then it is 512 px long, larger than any window."),
        Option("1, with a larger window",
               feedback="The window is the network's input and has one size; the image changes."),
    ],
    objective="sliding",
)
reading = Question(
    "A method has AR@10 = .10 and AR@1000 = .45. What does that suggest?",
    [
        Option("Its masks are poor", feedback="Then AR@1000 would be low: it has good masks."),
        Option("Good masks are there, but not among the first", True,
               "Look at the ranking, or at duplicates."),
        Option("It knows too few of the classes in the images",
               feedback="No class enters into average recall of proposals."),
    ],
    objective="average recall",
)
Quiz([sliding, reading], title="From windows to proposals")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/05_deepmask.ipynb) has three tasks: labelling all windows for all
# objects at once; the low-rank mask layer, and the best two factors of a full one; and heads that
# slide, from a feature map to a sorted list of windows.

# %% [markdown] id="summary"
# ## In one minute
#
# - A label map cannot say "this one". A window can: the network draws the object in its middle.
#   **Canonical position**: centred, the longer side 4/7 of the window.
# - Windows are positive within a small tolerance, negative beyond a larger one, unused in between.
#   Negative windows are full of objects in the wrong place or size.
# - Every cell of the mask reads the whole window through two linear maps with nothing in between,
#   a matrix of low rank: masks are mixtures of few patterns.
# - The loss is the mask loss on positives only, plus 1/32 of the score's loss on all windows.
# - The network slides as a convolution, over the image at several scales; sort by score, draw the
#   best. The score ranks objectness. It names nothing, and neighbouring windows give duplicates.
# - Average recall at 10, 100, 1000 means something only beside a floor and a ceiling.
#
# **The published numbers beside ours.** Theirs: masks on 5000 photographs of COCO 2014, the
# network of the paper (VGG-A). Ours: the shipped network on the validation images of Pocket COCO.
# What can be compared is the shape: most of the gain comes between 10 and 100 proposals.

# %% id="published" tolerance=0.05
published = {10: 0.126, 100: 0.245, 1000: 0.331}
print("AR of masks at     10    100   1000")
print("paper (COCO)  " + "".join(f"{value:7.3f}" for value in published.values()))
pocket = [shipped["figures"][f"mask_AR@{n}"] for n in published]
print("ours (Pocket) " + "".join(f"{value:7.3f}" for value in pocket))

# %% [markdown] id="references"
# **Next**: in [lesson 06](06_rcnn.ipynb) a second network looks at the proposals: R-CNN names them,
# one by one and slowly; then the features are shared. In Mask R-CNN, in lesson 07, DeepMask's two
# questions live on as two heads.
#
# **References**
#
# - P. Pinheiro, R. Collobert, P. Dollár. Learning to segment object candidates. *NIPS* 2015.
#   arXiv 1506.06204. The released code is described in
# - P. Pinheiro, T.-Y. Lin, R. Collobert, P. Dollár. Learning to refine object segments. *ECCV*
#   2016. arXiv 1603.08695 (SharpMask).
# - R. Girshick, J. Donahue, T. Darrell, J. Malik. Rich feature hierarchies for accurate object
#   detection and semantic segmentation. *CVPR* 2014. arXiv 1311.2524.
# - J. Uijlings, K. van de Sande, T. Gevers, A. Smeulders. Selective search for object recognition.
#   *IJCV* 104, 2013. doi:10.1007/s11263-013-0620-5.
