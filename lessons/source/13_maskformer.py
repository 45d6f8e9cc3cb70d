# %% [markdown] id="start"
# # 13. MaskFormer and Mask2Former
#
# Since lesson 04 this course has had two kinds of networks: those that ask what each *pixel* is,
# and those that ask which *object* it belongs to. MaskFormer (Cheng and others 2021) asks neither.
# It predicts a set of masks, each with one class. One question runs through this lesson, the last
# that builds a network: **what should a network classify, pixels or masks?**
#
# **You will be able to**
#
# 1. compare per-pixel classification with mask classification, and say what each loss can see;
# 2. name MaskFormer's three modules with the shapes between them;
# 3. derive a label map, instances and a panoptic map from the same queries;
# 4. compute masked attention by hand, and say what it changes in training;
# 5. choose among the paradigms of this course.
#
# **You need first** [lesson 12](12_detr.ipynb): attention, queries and Hungarian matching;
# [lesson 04](04_fcn.ipynb) for label maps and mean IoU.
# **Time** about 70 minutes to read, about a minute to run.

# %% id="imports"
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
samples = [dataset[i] for i in range(held_out)]
truths = [truth[~truth.iscrowd] for _, truth in samples]
model = load("maskformer", dataset.categories)
answers = [model.predict([image])[0] for image, _ in samples]
print(f"{dataset.name}: {len(samples)} images to look at; the model is a {model.config.variant}")

# %% [markdown] id="load-text"
# The network was trained on the classes of Pocket COCO. Of the images with several objects of one
# class, we look at the one on which its masks fit best.

# %% id="choose"
def fit(index):
    """The mean over an image's objects of the best mask IoU with a detection of their class."""
    truth, found = truths[index], answers[index].instances
    found = found[found.scores > 0.3]
    overlap = ops.mask_iou(truth.masks, found.masks) * (truth.labels[:, None] == found.labels)
    best = [max(row, default=0.0) for row in overlap.tolist()]
    return sum(best) / max(1, len(best))


twins = [len(truth) - len(truth.labels.unique()) for truth in truths]
rich = [i for i in range(held_out) if twins[i] >= min(2, max(twins))]
chosen = max(rich, key=lambda i: (fit(i), len(truths[i])))
image, target = samples[chosen]
objects, answer = truths[chosen], answers[chosen]

# %% id="first-picture" alt="One image four times: plain; with a class for each pixel; with a mask, a box and a score for each of nine detections; and with both, in which each bird and each car has a colour of its own and sky, road and grass have theirs."
sure = answer.instances[answer.instances.scores > 0.5]
tasks = {"semantic": answer.semantic, "instances": sure, "panoptic": answer.panoptic}
note = "Grey overlaps no object; in the semantic map, a class has the colour of its first object."
plotting.compare(image, tasks, dataset.categories, panel=2.4, like=target, caption=note)

# %% [markdown] id="first-picture-read"
# One network, run once, solves three tasks: a class for each pixel; the objects; and both together.
# (Colours follow the true objects. There are nine boxes for five objects: nothing removes
# duplicates among the instances; in the panoptic map, a rule does.) How can one output answer three
# questions?

# %% [markdown] id="problem"
# ## The problem: two kinds of networks
#
# FCN (lesson 04) classifies **pixels**: each has $C$ scores, and the best wins. It cannot count.
# All later networks classify **regions**: boxes, windows, grid cells, queries. They count, but
# leave out sky and grass, which are not objects (they are *stuff*; what can be counted are
# *things*). Panoptic segmentation (Kirillov and others 2019) wants both, and the first answer was
# to train two networks, or one with two heads, and to merge their outputs by rules. DETR (lesson
# 12) has one kind of output for all, but it predicts *boxes* and adds masks afterwards; and what is
# the box of the sky?
#
# So it was taken for granted that **instance and semantic segmentation need different networks**.

# %% id="timeline" alt="A timeline of papers from 2012 to 2022: FCN 2015, Mask R-CNN 2017, DETR 2020, MaskFormer 2021 and Mask2Former 2022 are marked, the last three in the lane of methods that ask with queries."
plotting.timeline(highlight=["FCN", "Mask R-CNN", "DETR", "MaskFormer", "Mask2Former"])

# %% [markdown] id="idea"
# ## The idea, in seven parts
#
# ### One: why a class for each pixel cannot count
#
# Take the *true* label map of the image, the pixels of one class, and the connected regions that
# they form.

# %% id="touching" alt="Three panels: the true objects of one class in different colours; all pixels with this label in one colour; and the connected regions of these pixels, which are fewer than the objects where two of them touch."
labels = objects.labels.tolist()
repeated = max(set(labels), key=labels.count) if labels else 1
plotting.touching_instances(image, target, target.semantic, dataset.categories, repeated)

# %% [markdown] id="touching-read"
# Where two objects of a class touch, their pixels form one region; where something covers the
# middle of an object, as a bird and a car cover the kite, it falls apart. So even a perfect label
# map does not say which object a pixel belongs to, and no later processing can find out.
#
# Then why not let the network classify pixels into *object 1*, *object 2* and so on? With two
# objects, the data set may call either of them number 1. **Predict before you run:** we give each
# pixel a free score, so any answer can be expressed. What probability of "object 1" do the pixels
# of one object end with: 1, 0, or 1/2?

# %% id="numbering"
def train_numbers(matched, steps=2000):
    """Free scores for 100 pixels, the first 50 on one object, the others on a second one."""
    scores = torch.zeros(100, 2, requires_grad=True)  # "object 1" or "object 2"
    optimizer, losses = torch.optim.SGD([scores], lr=1.5), []
    numbers = torch.arange(100) // 50  # 0 for the one object, 1 for the other
    for _ in range(steps):
        either = [F.cross_entropy(scores, numbers), F.cross_entropy(scores, 1 - numbers)]
        loss = min(either) if matched else either[torch.randint(2, ())]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return scores.softmax(dim=1)[0, 0].item(), sum(losses[-50:]) / 50

# %% id="numbering-run" tolerance=0.1
torch.manual_seed(0)
for name, matched in (("numbers as they come", False), ("the cheaper numbering", True)):
    probability, loss = train_numbers(matched)
    sure_of_one = max(probability, 1 - probability)
    print(f"{name:21s} probability {sure_of_one:.1f}, loss {loss:.1f}")

# %% [markdown] id="numbering-read"
# About one half, and the loss stays at $\log 2 = 0.7$: a pixel is called 1 in one step and 2 in the
# next. If the loss takes the cheaper of the two numberings, the network may choose for itself, and
# becomes certain. **That is all that Hungarian matching is for**: the numbers of objects have no
# meaning, so the loss must not depend on them.

# %% [markdown] id="mask-text"
# ### Two: a set of masks, each with one class
#
# **Mask classification** predicts $Q$ pairs $(p_q, m_q)$: $K = C + 1$ class probabilities $p_q$,
# the additional one for "no object", and a mask $m_q$ with a probability for each pixel. The
# segments to learn are all objects, and each kind of stuff as one segment (named as in COCO). Each
# mask has its own sigmoid, and *nothing makes the masks add up to 1* at a pixel.

# %% id="segments"
def my_segments(truth):
    """Labels [G] and masks bool [G, H, W]: every object, then each kind of stuff as a whole."""
    things = truth[~truth.iscrowd]
    stuff = [c.label for c in dataset.categories.stuff if (truth.semantic == c.label).any()]
    masks = [truth.semantic == label for label in stuff]  # [H, W] each
    labels = torch.cat([things.labels, torch.tensor(stuff, dtype=torch.int64)])
    return labels, torch.stack([*things.masks, *masks])


labels, masks = my_segments(target)
names = [dataset.categories.by_label(label).name for label in labels.tolist()]
print(f"{len(names)} segments:", ", ".join(names))

# %% [markdown] id="by-hand"
# **By hand.** Take four pixels in a row, two segments of the class cat, A = 1100 and B = 0011, and
# two queries:
#
# | | p(cat) | mask m |
# | --- | --- | --- |
# | query 1 | 0.8 | 0.9, 0.9, 0.1, 0.1 |
# | query 2 | 0.6 | 0.2, 0.2, 0.8, 0.8 |
#
# The cost of a pair is $-p$(class), plus the dice loss
# $1 - \frac{2\sum m\,t + 1}{\sum m + \sum t + 1}$ (the 1 prevents 0/0). Query 1 and A:
# $\sum m\,t = 1.8$, $\sum m = \sum t = 2$, so the dice loss is $1 - 4.6/5 = 0.08$ and the cost
# $-0.72$. Query 1 and B: $1 - 1.4/5 = 0.72$, cost $-0.08$. Query 2 and A: $0.64 - 0.6 = 0.04$;
# query 2 and B: $0.16 - 0.6 = -0.44$. Query 1 takes A and query 2 takes B, for $-1.16$ together;
# the other way round it would be $-0.04$. (MaskFormer adds 20 times the focal loss of lesson 10.)

# %% id="costs"
def my_costs(logits, masks, labels, truth, focal=20.0):
    """[Q, K], mask logits [Q, h, w]; labels [G], truth [G, h, w] -> cost of each pair [Q, G]."""
    p = logits.softmax(dim=-1)  # [Q, K]
    pairs = masks[:, None].flatten(2).expand(-1, len(labels), -1)  # [Q, G, P]
    true = truth.flatten(1).float().expand_as(pairs)  # [Q, G, P]
    fit = ops.sigmoid_focal_loss(pairs, true, reduction="none").mean(dim=2)  # [Q, G]
    dice = ops.smooth_dice_loss(pairs.flatten(0, 1), true.flatten(0, 1)).view_as(fit)
    return -p[:, labels] + focal * fit + dice  # [Q, G]

# %% id="costs-by-hand" tags=["nbval-check-output"]
cat = torch.tensor([[0.2, 0.8], [0.4, 0.6]]).log()  # "no object", cat
rows = torch.tensor([[0.9, 0.9, 0.1, 0.1], [0.2, 0.2, 0.8, 0.8]]).logit()[:, None]  # [2, 1, 4]
strips = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]])[:, None]
costs = my_costs(cat, rows, torch.tensor([1, 1]), strips, focal=0)
print([[round(value, 2) for value in row] for row in costs.tolist()])
print("query, segment:", ops.hungarian(costs).T.tolist())

# %% [markdown] id="loss-text"
# The loss uses these pairs: cross-entropy for the class of *every* query ("no object" for those
# without a segment, with a weight of 0.1), focal and dice loss for the masks of the paired ones.

# %% id="my-loss"
def my_loss(logits, masks, labels, truth):
    """One image: class loss, focal loss and dice loss, weighted as in the paper."""
    size = masks.shape[-2:]
    small = F.interpolate(truth[None].float(), size, mode="nearest")[0]  # [G, h, w]
    queries, segments = ops.hungarian(my_costs(logits, masks, labels, small))  # [G] each
    wanted = torch.zeros(len(logits), dtype=torch.int64)  # 0 is "no object"
    wanted[queries] = labels[segments]
    weight = torch.ones(logits.shape[1])
    weight[0] = 0.1
    class_loss = F.cross_entropy(logits, wanted, weight=weight)
    full = F.interpolate(masks[queries][None], truth.shape[-2:], mode="bilinear")[0]
    true = truth[segments].float()  # [G, H, W]
    focal = ops.sigmoid_focal_loss(full, true, reduction="none").mean()
    return class_loss, 20 * focal, ops.smooth_dice_loss(full, true).mean()

# %% [markdown] id="both-text"
# ### Three: the same image, both losses
#
# We write a nearly perfect prediction for our image in both forms: class scores for each pixel, and
# pairs of class and mask. Then we spoil it in three ways. **Predict before you run**, for each of
# them: does the per-pixel loss rise, and does the mask-classification loss?
#
# - *exchange* two queries;
# - *merge* two objects of the same class into one segment;
# - *lose* the smallest object: its pixels go to the largest segment of another class.

# %% id="spoil"
def answer_of(labels, masks):
    """An answer that is nearly sure of these segments, in both forms."""
    classes, queries = len(dataset.categories), max(30, len(labels))
    logits = torch.zeros(queries, classes + 1)
    logits[range(queries), [*labels.tolist(), *[0] * (queries - len(labels))]] = 9.0
    drawn = torch.full((queries, *masks.shape[1:]), -6.0)
    drawn[: len(labels)] = torch.where(masks, 6.0, -6.0)
    pixels = torch.zeros(classes + 1, *masks.shape[1:])  # [K, H, W], the other form
    pixels[0] = 4.0  # background, where there is no segment
    for label, mask in zip(labels.tolist(), masks, strict=True):
        pixels[label] = torch.where(mask, 9.0, pixels[label])
    return pixels, logits, drawn


def both_losses(pixels, logits, drawn):
    per_pixel = F.cross_entropy(pixels[None], target.semantic[None], ignore_index=255)
    return per_pixel.item(), sum(my_loss(logits, drawn, labels, masks)).item()

# %% id="spoiled"
areas = masks.sum(dim=(1, 2))
smallest = min(range(len(objects)), key=lambda g: areas[g].item(), default=0)
largest = int((areas * (labels != labels[smallest])).argmax())
same = [(a, b) for a in range(len(objects)) for b in range(a) if labels[a] == labels[b]]
a, b = max(same, key=lambda pair: areas[list(pair)].min().item(), default=(0, 0))
order = torch.arange(len(labels)).flip(0)
joined, absorbed = masks.clone(), masks.clone()
joined[a] = masks[a] | masks[b]
absorbed[largest] = masks[largest] | masks[smallest]
without = {lost: torch.arange(len(labels)) != lost for lost in (b, smallest)}
spoiled = {
    "as it should be": (labels, masks),
    "exchanged": (labels[order], masks[order]),
    "merged": (labels[without[b]], joined[without[b]]),
    "smallest lost": (labels[without[smallest]], absorbed[without[smallest]]),
}

# %% id="both-losses" tolerance=0.02
for name, segments in spoiled.items():
    per_pixel, mask_loss = both_losses(*answer_of(*segments))
    print(f"{name:15s} per pixel {per_pixel:.3f}   masks {mask_loss:.3f}")
print(f"the smallest object has {areas[smallest] / masks[0].numel():.1%} of the pixels")

# %% [markdown] id="both-read"
# Exchanging queries costs nothing in either form. **Merging costs nothing per pixel**: the label
# map is the same, so no training with that loss can ever teach a network to separate the two
# objects. Mask classification sees a segment without a query. And a lost object costs the per-pixel
# loss only in proportion to its area; in mask classification its class and dice terms count in
# full, however small it is. (Merging costs more here: the merged mask fits so badly that the
# cheapest matching leaves it out, and *both* objects count as lost.)

# %% [markdown] id="modules"
# ### Four: three modules
#
# A **pixel-level module** gives each pixel a vector of $M$ numbers; a **transformer module** turns
# $Q$ learned queries into $Q$ vectors that describe segments, as in DETR; a **segmentation module**
# turns each of these into a class and $M$ weights. The mask is the dot product of weights and
# pixels: lesson 10's predicted kernels, one for each query instead of one for each cell.

# %% id="diagram" alt="A flow diagram: backbone and pixel decoder give a vector for each pixel; the decoder's pyramid and the queries enter the transformer below; its states become mask embeddings and classes; embeddings and pixels meet in the masks."
from seglib.plotting import Block

blocks = [
    Block("backbone", "c2 … c5", at=(0, 0)),
    Block("pixel decoder", "an FPN", at=(1, 0)),
    Block("pixels", "[M, H/2, W/2]", at=(2.2, 0)),
    Block("queries", "[Q, D], learned", at=(0, 1)),
    Block("transformer", "[Q, D]", "head", at=(1, 1)),
    Block("embeddings", "[Q, M]", at=(2.2, 1)),
    Block("classes", "[Q, K]", "output", at=(2.2, 2)),
    Block("masks", "[Q, H/2, W/2]", "output", at=(3.3, 0.5)),
]
arrows = [("backbone", "pixel decoder"), ("pixel decoder", "pixels"), ("pixels", "masks")]
arrows += [("pixel decoder", "transformer"), ("queries", "transformer")]
arrows += [("transformer", "embeddings"), ("embeddings", "masks"), ("transformer", "classes")]
plotting.flow_diagram(blocks, arrows, title="MaskFormer and Mask2Former")

# %% id="shapes" tags=["nbval-check-output"]
blank = torch.zeros(3, 128, 128)
with torch.no_grad():
    batch = model.prepare([blank], divisor=max(model.backbone.strides))
    features = model.backbone(batch.tensor)
    pyramid, pixels = model.pixel_decoder(features)
    raw = model([blank])
print("backbone:", [list(level.shape[1:]) for level in features])
print("pyramid: ", [list(level.shape[1:]) for level in pyramid])
print("pixels:  ", list(pixels.shape[1:]))
print("masks:   ", list(raw.masks.shape), "(predictions, images, queries, height, width)")

# %% [markdown] id="shapes-read"
# There are five predictions: one after each of the four transformer layers, and one before the
# first, which only Mask2Former has (part seven says why). Each has a loss of its own, as in DETR;
# only the last one is used at test time. Now we compute the masks of our image ourselves: $m_q(y,
# x) = \sigma\big(\sum_k E_{qk}\,F_{kyx}\big)$.

# %% id="dot" tags=["nbval-check-output"]
with torch.no_grad():
    output = model([image])
    batch = model.prepare([image], divisor=max(model.backbone.strides))
    pyramid, pixels = model.pixel_decoder(model.backbone(batch.tensor))
    levels = [*reversed(pyramid[1:])]  # the three coarser ones, coarsest first
    # The image gives only its type; the function says what queries x draw, for masked attention.
    states = model.decoder(levels, batch.tensor, lambda x: model.masks(x, pixels))
    embeddings = model.mask_embed(states[-1])[0]  # [Q, M]
looped = sum(embeddings[0, k] * pixels[0, k] for k in range(pixels.shape[1]))  # one query
mine = torch.einsum("qk,kyx->qyx", embeddings, pixels[0])  # [Q, H/2, W/2]
print("loop = tensors:  ", torch.allclose(looped, mine[0], atol=1e-3))
print("mine = library's:", torch.allclose(mine, output.masks[-1, 0], atol=1e-3))

# %% id="query-masks" alt="Eight small grey copies of the image, each with one query's mask in yellow and its class and probability as the title: birds, cars, kite, sky, road, grass."
logits, drawn = output.logits[-1, 0], output.masks[-1, 0]  # [Q, K], [Q, h, w]
probability, label = logits.softmax(dim=-1).max(dim=-1)  # [Q] each
surest = (probability * (label > 0)).argsort(descending=True)[:8].tolist()
known = ["no object", *dataset.categories.names]
titles = [f"query {q}: {known[label[q]].split('-')[0]} {probability[q]:.2f}" for q in surest]
plotting.show_query_masks(image, drawn[surest].sigmoid(), titles, columns=4, panel=2)

# %% [markdown] id="query-masks-read"
# Yellow is the mask, dotted where it is uncertain. Each mask covers nearly the whole of one object
# or one kind of stuff, even if that lies in pieces: look for the tail of the kite. Four more
# queries, not shown, name two kites, a bird and a car: duplicates and fragments. The other 18 say
# "no object". A query has no class and no location of its own: both are read from the image.

# %% [markdown] id="semantic-text"
# ### Five: three ways to read one set
#
# **Semantic.** Every query votes for its classes inside its mask: the score of class $c$ at pixel
# $x$ is $\sum_q p_q(c)\,m_q(x)$, "no object" left out, and the largest wins. **Panoptic.** Each
# pixel goes to *one* query, that with the largest $p_q\,m_q(x)$, where $p_q$ is the probability of
# its best class.
#
# One pixel, three queries: the first says cat (0.9), with a mask value of 0.6 here; the second cat
# (0.5), with 0.5; the third sky (1.0), with 0.7. **Predict before you run:** is this pixel cat or
# sky in the label map, and in the panoptic map?

# %% id="one-pixel" tolerance=0.001
votes = [("cat", 0.9 * 0.6), ("cat", 0.5 * 0.5), ("sky", 1.0 * 0.7)]
for name in ("cat", "sky"):
    print(name, "sum", round(sum(v for n, v in votes if n == name), 3), end=", ")
    print("best", round(max(v for n, v in votes if n == name), 3))

# %% [markdown] id="one-pixel-read"
# Cat in the label map (0.79 against 0.70), since two uncertain queries add their votes; sky in the
# panoptic map, where votes are not added because each segment stands for itself. Now as a loop over
# queries, and as one product.

# %% id="semantic" tags=["nbval-check-output"]
from seglib.models.maskformer.inference import semantic_scores


def semantic_loop(logits, masks):
    """Class logits [Q, K] and mask logits [Q, H, W] -> scores [C, H, W]."""
    scores = torch.zeros(logits.shape[1] - 1, *masks.shape[1:])
    for p, mask in zip(logits.softmax(dim=-1), masks.sigmoid(), strict=True):
        for c in range(len(scores)):
            scores[c] += p[c + 1] * mask
    return scores


full = F.interpolate(drawn[None], batch.canvas, mode="bilinear")[0]  # [Q, H, W]
full = full[:, : image.shape[1], : image.shape[2]]  # without padding
mine = torch.einsum("qc,qyx->cyx", logits.softmax(dim=-1)[:, 1:], full.sigmoid())
print("loop = product:  ", torch.allclose(semantic_loop(logits, full), mine, atol=1e-4))
print("mine = library's:", torch.allclose(mine, semantic_scores(logits, full), atol=1e-4))

# %% [markdown] id="panoptic-text"
# The panoptic map has four rules. (1) Only queries whose best class is an object or stuff with a
# probability above 0.8 take part. (2) They compete for the pixels, as above. (3) A query that wins
# less than 80 % of its own mask (where $m_q$ is at least one half) is dropped: the rest of its mask
# lies under better ones, so it is usually a duplicate. **This replaces NMS.** (4) The other queries
# keep the pixels they won inside their own masks; segments of the same stuff are joined. You write
# it yourself in the [assignment](assignments/13_maskformer.ipynb).

# %% id="winners" alt="The image, the winning query of each pixel in different colours before and after rules 3 and 4, and the true segments: patches on the kite, the bird and the car that further queries had won are gone and stay blank."
config = model.config
entered = (label > 0) & (probability > config.segment_threshold)
numbers = entered.nonzero().flatten()  # the queries that take part
best = probability[entered][:, None, None] * full[entered].sigmoid()  # [S, H, W]
first = best.argmax(dim=0) if len(numbers) else torch.zeros(full.shape[1:], dtype=torch.int64)
ids = torch.arange(1, len(numbers) + 1)
nothing_crowded = torch.zeros(len(ids), dtype=torch.bool)
winners = seglib.structures.Panoptic(first + 1, ids, label[entered], nothing_crowded)
shown = {"the winner of each pixel": winners, "after the rules": answer.panoptic}
shown |= {"truth": target.panoptic or target}
note = "Grey overlaps no object."
plotting.compare(image, shown, dataset.categories, panel=2.4, like=target, caption=note)

# %% [markdown] id="instances-text"
# The patches that vanish were won by queries that lost more than a fifth of their mask (rule 3), or
# lie outside the mask of the query that won them (rule 4). Rule 3 has its price: the lower tip of
# the kite was correct, and is now empty.
#
# **Instances.** Each pair of a query and a class is a candidate. Its score is the probability of
# the class times the mean probability inside its mask (the maskness of lesson 10); its mask is
# where $m_q > 1/2$. Things are kept, stuff is left out. No box is predicted: the one printed with a
# detection is computed from its mask. And nothing is suppressed, so duplicates remain; AP punishes
# them only if they rank high.

# %% id="instances" tags=["nbval-check-output"]
def my_scores(logits, masks):
    """The scores of all pairs, [Q, C]."""
    inside = masks > 0
    sure = (masks.sigmoid() * inside).sum(dim=(1, 2)) / (inside.sum(dim=(1, 2)) + 1e-6)  # [Q]
    return logits.softmax(dim=-1)[:, 1:] * sure[:, None]


things = [category.label - 1 for category in dataset.categories.things]
chances = logits.softmax(dim=-1)[:, 1:].flatten()  # [Q C]
pairs = chances.topk(min(config.max_detections, len(chances))).indices
is_thing = torch.isin(pairs % len(dataset.categories), torch.tensor(things))
mine = my_scores(logits, full).flatten()[pairs[is_thing]].sort(descending=True).values
print("mine = library's:", torch.allclose(mine, answer.instances.scores, atol=1e-3))

# %% [markdown] id="bet"
# ### Six: "instance and semantic segmentation need different networks"
#
# Time to guess. FCN-8s was trained only for label maps, Mask R-CNN only for instances; this network
# has one loss for everything. On 300 images that none of them has seen, **predict before you run:**
# is this network worse than both specialists, worse than one of them, or does it keep up with both?

# %% id="specialists" tolerance=0.02
shipped = record("maskformer")
rivals = {"mean_iou": "fcn-8s", "mask_AP": "mask_rcnn"}
for figure, rival in rivals.items():
    ours, theirs = (record(name)["figures"][figure] for name in ("maskformer", rival))
    print(f"{figure:8s} MaskFormer {ours:.3f}   {rival:9s} {theirs:.3f}")
print(f"PQ       MaskFormer {shipped['figures']['PQ']:.3f}   neither of them has one")

# %% [markdown] id="misconception-networks"
# Read as a label map, the masks *beat* the network that was made for label maps, by several points
# of mean IoU. Read as instances, they keep up with Mask R-CNN, or nearly. So **one network, trained
# with one loss, can do both: the tasks differ in how its segments are read.** (Not quite a fair
# contest: one run of each, trained for different times, and ours began with Mask R-CNN's backbone.
# In the paper, with one backbone on ADE20K, a per-pixel network reaches a mean IoU of 39.2, the
# same network with MaskFormer's transformer 41.9, and MaskFormer 44.5: half of the gain comes from
# classifying masks.)

# %% [markdown] id="masked-text"
# ### Seven: Mask2Former, and looking only inside
#
# DETR's and MaskFormer's queries read the *whole* image in each layer, and must learn where not to
# look; that takes hundreds of epochs. But after each layer a query has a mask. **Masked attention**
# (Cheng and others 2022) lets it read only inside the mask that it has predicted so far: the scores
# of all other locations become $-\infty$ before the softmax.
#
# By hand: four locations have equal scores and the values 1, 2, 3 and 10. Without a mask the
# softmax gives each a weight of 1/4, and the query reads the mean, 4. If the mask covers the first
# two, each has 1/2, and the query reads 1.5.

# %% id="masked-hand" tolerance=0.001
def masked_reading(scores, values, inside):
    """What one query reads, place by place; if its mask is empty, it reads everywhere."""
    if not any(inside):
        inside = [True] * len(inside)
    shares = [s.exp() if ok else 0.0 for s, ok in zip(scores, inside, strict=True)]
    return sum(w * v for w, v in zip(shares, values, strict=True)) / sum(shares)


values, nothing = torch.tensor([1.0, 2, 3, 10]), torch.zeros(4)
covers = torch.tensor([True, True, False, False])
key, query = nothing[:, None], torch.zeros(1, 1)  # keys [4, 1], query [1, 1]: equal scores
theirs = ops.attention(query[None], key[None], values[None, :, None], ~covers)
for inside in ([True] * 4, covers.tolist(), [False] * 4):
    print(inside, float(masked_reading(nothing, values, inside)))
print("library, inside the mask:", float(theirs))

# %% [markdown] id="masked-rule"
# The first line of the function matters: a softmax over nothing is 0/0, so **a query with an empty
# mask may look everywhere**. Mask2Former's layers read three levels of the pyramid in turn, coarse
# to fine (our fourth layer begins again with the coarsest), so the mask is first resized to the
# level's size. No gradient flows through the mask.

# %% id="outside" tags=["nbval-check-output"]
from seglib.models.maskformer.decoders import outside_masks


def my_blocked(masks, size):
    """Mask logits [Q, H, W] -> bool [Q, h w], True where a query may not read."""
    small = F.interpolate(masks[None], size, mode="bilinear")[0].flatten(1)  # [Q, h w]
    blocked = small < 0  # a probability below one half
    return torch.where(blocked.all(dim=1, keepdim=True), False, blocked)


for level in levels:
    size = tuple(level.shape[-2:])
    theirs = outside_masks(output.masks[0], size)[0]
    print(size, "mine = library's:", torch.equal(my_blocked(output.masks[0, 0], size), theirs))

# %% [markdown] id="layers-text"
# How does a query close in, before the first layer and after each of the four? Of the most
# confident queries for things we take the one whose mask changes most.

# %% id="layers" alt="Five grey copies of the image with the mask of one query: before the first layer it lies in pieces on two birds; after the first layer it covers the right one, and then changes little."
inside = output.masks[:, 0] > 0  # [L, Q, h, w]
thing = torch.isin(label - 1, torch.tensor(things))
changed = (inside[0] ^ inside[-1]).sum(dim=(1, 2)) * thing  # [Q]
mover = max(surest, key=lambda q: changed[q].item())
steps = ["before", *(f"after layer {n}" for n in range(1, len(inside)))]
plotting.show_query_masks(image, output.masks[:, 0, mover].sigmoid(), steps, columns=5, panel=2)

# %% [markdown] id="other-changes"
# In Pocket COCO the first layer decides which object the query takes, and the others tidy up.
#
# There are two more changes. Reading the levels **in turn** makes the fine ones affordable, and
# helps small objects. And the loss is computed at **sampled points** (as in PointRend, Kirillov and
# others 2020): three quarters of them are the least certain of three times as many candidates, and
# a quarter lie anywhere. A mask is settled nearly everywhere; there is still something to learn at
# its outline and where it is uncertain.

# %% id="points" alt="A mask over the grey image twice: with points scattered evenly over the whole image, and with most of the points gathered along the outline of the mask and where it is half sure."
from seglib.models.maskformer.points import uncertain_points

torch.manual_seed(0)
candidates, some = torch.rand(1, 1536, 2), torch.rand(1, 128, 2)  # (x, y) in 0…1
rows = uncertain_points(drawn[mover][None], candidates, 384)[0]
chosen_points = torch.cat([candidates[0, rows], some[0]])  # [512, 2]
panels = {"512 random points": candidates[0, :512], "512 points of the loss": chosen_points}
plotting.show_points(image, drawn[mover].sigmoid(), panels, panel=2.5)

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# First the loss. Ours is MaskFormer's, which uses all pixels, so take a fresh MaskFormer (the
# variant of 2021) and our image.

# %% id="equality-loss" tags=["nbval-check-output"]
from seglib.models.maskformer import MaskFormer, MaskFormerConfig

torch.manual_seed(0)
plain = MaskFormer(MaskFormerConfig.pocket("maskformer"), dataset.categories).eval()
with torch.no_grad():
    theirs, start = plain.loss([image], [target]), plain([image])
    seen, height, width = start.batch, *start.batch.sizes[0]
    canvas = torch.zeros(len(masks), *seen.canvas, dtype=torch.bool)
    canvas[:, :height, :width] = model.resize(masks.float()) > 0.5
    mine = my_loss(start.logits[-1, 0], start.masks[-1, 0], labels, canvas)
for name, loss in zip(("class_loss", "mask_loss", "dice_loss"), mine, strict=True):
    print(name, "= library's:", torch.allclose(loss, theirs[name], rtol=1e-4))

# %% [markdown] id="equality-text"
# Then the whole way, with the course's own code in place of the fast one.

# %% id="equality-whole" tags=["nbval-check-output"]
def my_label_map(logits, masks):
    """The label map [H, W]; without stuff, a pixel of which nobody is sure is background."""
    scores, classes = semantic_loop(logits, masks).max(dim=0)
    return classes + 1 if dataset.categories.stuff else (classes + 1) * (scores >= 0.5)


print("your label map = predict's:", torch.equal(my_label_map(logits, full), answer.semantic))
with seglib.use("scratch"):
    same = model.predict([image])[0].semantic == answer.semantic
print("on scratch code:           ", bool(same.float().mean() > 0.999))

# %% [markdown] id="equality-read"
# The library is tested against the authors' functions and against whole networks of the
# `transformers` package with copied weights (`tests/test_transformers_parity.py`).

# %% [markdown] id="learns"
# ## It learns
#
# **Overfit one batch** first: a fresh Mask2Former and one image.

# %% id="overfit" alt="The loss of a fresh Mask2Former on one image falls over 20 steps." tolerance=0.3
from seglib.training import History, overfit

torch.manual_seed(0)
fresh = MaskFormer(config, dataset.categories)
losses = overfit(fresh, [image], [target], steps=20, lr=1e-3)
print(f"sum of all losses {losses[0]:.0f} → {losses[-1]:.0f}")
plotting.training_curve(losses, title="One image, over and over")

# %% [markdown] id="live-text"
# The sum is large because five predictions have three losses each.
#
# ### Masked against open, in equal time
#
# Does masked attention matter, or would any attention do? Two networks get the shipped backbone and
# pixel decoder, which stay frozen, and a *fresh* transformer each. One reads inside its masks; for
# the other the masks are also computed, but then replaced by zeros, which block nothing. So a step
# takes the same time in both. **Predict before you run:** after 50 steps, is the open one ahead (it
# sees more), are they equal, or is the masked one ahead? And will the difference be larger in the
# masks or in the classes?

# %% id="open-decoder"
from seglib.models.maskformer.decoders import MaskedDecoder


class OpenDecoder(MaskedDecoder):
    """The same layers and levels; every query reads everywhere."""

    def forward(self, pyramid, like, masks_of):
        return super().forward(pyramid, like, lambda x: torch.zeros_like(masks_of(x)))


def fresh_transformer(kind):
    torch.manual_seed(0)
    network = MaskFormer(config, dataset.categories)
    network.decoder.__class__ = kind
    for part in ("backbone", "pixel_decoder"):
        getattr(network, part).load_state_dict(getattr(model, part).state_dict())
        getattr(network, part).requires_grad_(False)
    return network

# %% id="train-transformer"
scenes = [dataset[i] for i in range(held_out, min(held_out + 64, len(dataset)))]


def train_transformer(network, steps=50, batch=4):
    weights = [w for w in network.parameters() if w.requires_grad]
    optimizer, losses = torch.optim.AdamW(weights, lr=1e-3), []
    turns = torch.Generator().manual_seed(0)
    network.train()
    network.backbone.eval()
    for _ in range(steps):
        picked = torch.randint(len(scenes), (batch,), generator=turns).tolist()
        images, targets = zip(*(scenes[i] for i in picked), strict=True)
        loss = sum(network.loss(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses

# %% id="live" alt="The losses of two networks over 50 steps: both fall from the same height, side by side for thirty steps; then the one with masked attention mostly lies a little below the one with open attention."
networks = {"masked": fresh_transformer(MaskedDecoder), "open": fresh_transformer(OpenDecoder)}
curves = {name: train_transformer(network) for name, network in networks.items()}
plotting.training_curve(curves, title="Equal steps, equal time")

# %% id="live-figures" tolerance=0.3
def mean(values):
    return sum(float(value) for value in values) / len(values)


parts = ("class_loss", "mask_loss", "dice_loss")
for name, network in networks.items():
    network.eval()
    with torch.no_grad():
        rows = [network.loss([i], [t]) for i, t in samples[:12]]
        maps = [(network.predict([i])[0].semantic, t.semantic) for i, t in samples[:12]]
    print(f"{name:6s}", ", ".join(f"{k} {mean([row[k] for row in rows]):.2f}" for k in parts))
    right = mean([(found == true).float().mean() for found, true in maps])
    print(f"       {right:.0%} of the pixels have the right label")

# %% [markdown] id="live-read"
# The curves, sums of all losses, hide most of it. On images that neither has seen, the masked one
# is clearly ahead in the *classes*, and with them in the label map. A query that reads the whole
# image gets a mixture of everything; one that reads inside its mask reads one thing. The masks
# differ less: both networks compute them from the same finished features. (One run of each, on 12
# images; change the seeds in `fresh_transformer` and of `turns` to see how much is chance.)
#
# In the paper, after 50 epochs on COCO, open attention in place of masked attention costs 5.9
# points of AP (43.7 to 37.8), and reading only the coarsest level costs 2.2. Computing the loss at
# points costs nothing, and saves two thirds of the memory.
#
# ### The shipped network
#
# The command of its training, which was stopped 70 steps early (`--init` names its first backbone),
# and its curves; the pale ones are single steps.

# %% id="shipped-curve" alt="The three losses of the shipped network's last prediction fall steeply over the first 300 of 3,000 steps and then slowly; the class loss starts highest and ends lowest, the dice loss ends highest."
print(shipped["command"])
history = History.from_dict(shipped["history"]).parts
last = {name: values for name, values in history.items() if not name[-1].isdigit()}
plotting.training_curve(last, title="The shipped network learns (last layer)")

# %% id="shipped-figures"
print(f"{shipped['evaluated']}    ours  ceiling  share")
words = {"PQ": "panoptic quality", "PQ_things": "  of things", "PQ_stuff": "  of stuff"}
words |= {"mask_AP": "mask AP", "mask_APs": "  small", "mask_APm": "  medium"}
words |= {"mask_APl": "  large", "mean_iou": "mean IoU"}
for figure, word in words.items():
    ours, limit = shipped["figures"][figure], shipped["ceilings"][figure]["ceiling"]
    print(f"{word:18s} {ours:8.3f} {limit:8.3f} {ours / limit:6.0%}")

# %% [markdown] id="shipped-read"
# On training images the classes are nearly settled by the end. The ceiling is what perfect masks at
# stride 2 would reach; it is high, so this form of output costs little. **Panoptic quality** is the
# mean IoU of the segments that match a true one (IoU above 1/2), times the share of predicted and
# true segments that match (the assignment has the formula). Stuff is nearly solved. The weak point
# is small objects: their share of the ceiling is by far the lowest.

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# An object can be missed in two ways: **no query draws it**, or a query draws it but **is not sure
# of its class**. Ask for each true object: does any query's mask fit it (IoU above 1/2), whatever
# its class? And does one of the right class, with a probability above 1/2? **Predict before you
# run:** which of the two failures is more frequent for small objects?

# %% id="by-size" tolerance=0.1
def drawn_and_named(index):
    """(area, drawn by some query?, and by one that is sure of the class?) for each object."""
    picture, truth = samples[index][0], truths[index]
    with torch.no_grad():
        seen = model([picture])
        canvas = F.interpolate(seen.masks[-1], seen.batch.canvas, mode="bilinear")
    height, width = seen.batch.sizes[0]
    masks = canvas[:, :, :height, :width]
    masks = F.interpolate(masks, truth.size, mode="bilinear")[0] > 0  # [Q, H, W]
    fits = ops.mask_iou(truth.masks, masks) > 0.5  # [G, Q]
    sure = seen.logits[-1, 0].softmax(dim=-1)[:, truth.labels].T > 0.5  # [G, Q]
    areas = truth.masks.sum(dim=(1, 2)).tolist()
    return list(zip(areas, fits.any(1).tolist(), (fits & sure).any(1).tolist(), strict=True))

# %% id="by-size-table" tolerance=0.1
asked = torch.tensor([row for i in range(held_out) for row in drawn_and_named(i)]).view(-1, 3)
for word in ("small", "medium", "large"):
    low, high = dataset.area_ranges[word]
    rows = asked[(asked[:, 0] >= low) & (asked[:, 0] < high)]
    if len(rows):
        share, named = rows[:, 1].float().mean(), rows[:, 2].float().mean()
        print(f"{word:6s} {len(rows):3d} objects: drawn {share:.0%}, and named {named:.0%}")

# %% [markdown] id="by-size-read"
# Neither. In Pocket COCO about one small object in five is drawn by no query, and as many are drawn
# by a query that is not sure of their class; nearly all large ones are drawn and named. The queries
# begin with coarse levels, and at stride 16 (the coarsest of the pocket network) an object 10
# pixels wide is smaller than one cell: there is nothing to find, or the class is read from a cell
# that mostly shows the surroundings. Mask R-CNN puts anchors of that size everywhere on a fine
# level, and then looks again.
#
# Here is the image on which the network does worst. In Pocket COCO, the potted plant at the left
# border is missing, the right half of the umbrella went to the person, and a part of the bird's
# wing to the cat: the objects in front cut them into pieces.

# %% id="worst" alt="A person before an umbrella and a cat before a bird, the panoptic map of the network, and the true one: the map lacks the potted plant at the left border, and has only parts of the umbrella and of the bird."
several = min(5, max(map(len, truths)))
crowded = [i for i in range(held_out) if len(truths[i]) >= several]
worst = min(crowded, key=fit)
shown = {"MaskFormer": answers[worst].panoptic}
truth = samples[worst][1]
shown |= {"truth": truth.panoptic or truth}
plotting.compare(samples[worst][0], shown, dataset.categories, like=truth)

# %% [markdown] id="try"
# ## Try it
#
# **Any query you like.** Choose one: you see its mask, the classes it considers, and its share of
# the label map, that is, how much of the winning score at each pixel is its own. Go through the
# layers: when does it become certain? Look for a query that draws what another draws better, and
# for one that draws something but says "no object": what are their shares?

# %% id="query-viewer" alt="Two sliders, for the query and for the layer, above three panels: the mask of the query over the grey image, bars with the probabilities of its classes, and the pixels of the label map at which its vote decides."
from seglib.widgets import Option, QueryViewer, Question, Quiz

QueryViewer(model, image, query=mover)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
merged = Question(
    "A network draws two touching cars as one segment. How does a per-pixel loss react?",
    [
        Option("Nothing: the label of each pixel is right", True,
               "The label map is the same, so there is no gradient."),
        Option("It rises at the pixels where the two cars meet",
               feedback="They are cars on both sides; the loss does not know of objects."),
        Option("It doubles, since one of two objects is missing",
               feedback="It adds up pixels and counts no objects."),
    ],
    objective="losses",
)
sums = Question(
    "Do the mask probabilities of all queries add up to 1 at a pixel?",
    [
        Option("Yes, a softmax over the queries sees to it",
               feedback="There is none; that would be per-pixel classification into queries."),
        Option("Yes, but only at pixels of objects and stuff that were found",
               feedback="Nothing enforces it there either."),
        Option("No, each mask has a sigmoid of its own", True,
               "Masks may overlap; who wins a pixel is decided when the set is read."),
    ],
    objective="losses",
)
Quiz([merged, sums], title="Pixels and masks")

# %% id="quiz-two" tags=["quiz", "hide-input"]
shapes = Question(
    "Mask features are [64, 64, 64]; there are 30 queries. Which embeddings make the masks?",
    [
        Option("[30, 4096], a weight for each pixel of the features",
               feedback="That would be a mask itself; the embedding weights channels."),
        Option("[30, 64], a weight for each channel", True,
               "The dot product over the channels gives [30, 64, 64]."),
        Option("[64, 17], the weights of each class",
               feedback="Classes come from a layer of their own, and no mask depends on them."),
    ],
    objective="modules",
)
readings = Question(
    "In the label map a pixel is grass, in the panoptic map it belongs to a cat. Why?",
    [
        Option("The two maps come from different heads of the network",
               feedback="They come from the same queries."),
        Option("The label map was computed at a lower resolution",
               feedback="Both are computed from the same enlarged masks."),
        Option("Several unsure votes for grass outweigh the one for the cat", True,
               "Semantic scores are sums over queries, panoptic ones are not."),
    ],
    objective="readings",
)
Quiz([shapes, readings], title="Modules and readings")

# %% id="quiz-three" tags=["quiz", "hide-input"]
duplicates = Question(
    "Two queries draw the same car, and both are sure. What happens in the panoptic map?",
    [
        Option("NMS removes the one with the lower score",
               feedback="There is no NMS; nothing compares the masks in pairs."),
        Option("The weaker one wins too little of its own mask, and is dropped", True,
               "It loses nearly all its pixels to the other one: below 80 %."),
        Option("They are joined into one segment, since they have the same class",
               feedback="Only stuff is joined; there might really be two cars."),
    ],
    objective="readings",
)
empty = Question(
    "A query's mask is empty after the second layer. What does masked attention do?",
    [
        Option("It lets the query read everywhere", True,
               "A softmax over no place would be 0/0."),
        Option("It removes the query for the rest of the layers",
               feedback="The number of queries never changes."),
        Option("It lets the query read inside the mask of the layer before, until it has one again",
               feedback="Only the latest mask counts."),
    ],
    objective="masked attention",
)
Quiz([duplicates, empty], title="Duplicates and empty masks")

# %% id="quiz-four" tags=["quiz", "hide-input"]
first_choice = Question(
    "Your photographs are full of tiny objects, and only these matter. What do you try first?",
    [
        Option("MaskFormer, since one network can do all tasks",
               feedback="It can, but small objects are where it is weakest."),
        Option("PolarMask, since small shapes are simple",
               feedback="They are, but each must first be found, in a single look."),
        Option("Mask R-CNN, which looks at each region again", True,
               "Anchors on fine levels, and a second look at a fine map."),
    ],
    objective="paradigms",
)
Quiz([first_choice], title="Which one?")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/13_maskformer.ipynb) has three tasks: the label maps of a whole
# batch; panoptic merging with all four rules; and panoptic quality, by which such maps are judged.

# %% [markdown] id="summary"
# ## In one minute
#
# - A class for each pixel cannot count: merging two objects of a class changes no pixel's label.
#   The numbers of objects mean nothing, so the loss matches before it compares.
# - MaskFormer predicts a set of pairs of class and mask. It has three modules: features for each
#   pixel, queries that read the image, and a dot product of the two.
# - Semantic, instance and panoptic segmentation are three ways to read the same set.
# - Masked attention lets a query read only inside its own mask; if that is empty, everywhere.
# - Mask2Former also reads several levels in turn, and computes its loss at sampled points.
# - It is strong on stuff and large objects, and weak on small ones.
#
# **The published numbers beside ours.** Theirs are on photographs of COCO (val2017) with ResNet-50,
# from the authors' papers; ours are on 300 drawn images of 128 px, so they cannot be compared.

# %% id="published" tolerance=0.02
figures = shipped["figures"]
print("MaskFormer, COCO:    PQ 46.5")
print("Mask2Former, COCO:   PQ 51.9, mask AP 43.7")
print(f"ours, Pocket COCO:   PQ {100 * figures['PQ']:.1f}, mask AP {100 * figures['mask_AP']:.1f}")

# %% [markdown] id="table-text"
# ### From a convolution to MaskFormer
#
# **All networks.** One row per network that finds instances with classes. Mask AP is measured on
# the 300 validation images. Some were trained on a GPU, and some began with another's backbone, so
# the table ranks checkpoints, not ideas. Below it is your machine's time for one image, as a
# multiple of Mask R-CNN's.

# %% id="all-networks" tags=["nbval-check-output"]
from seglib import comparison

paradigms = ["mask_rcnn", "cascade_rcnn", "yolact", "solo", "polarmask", "detr", "maskformer"]
print(comparison.record_table(paradigms))

# %% id="seconds"
networks = {name: load(name, dataset.categories) for name in paradigms}
print(comparison.time_table(networks, image))

# %% [markdown] id="paradigms-text"
# SOLO leads overall, Mask R-CNN on small objects: the newest network is not the best in every
# column.
#
# **All paradigms on the first image.** Masks of the same colour overlap the same true object; grey
# masks overlap none. (FCN does not know objects: each class has the colour of its first object.)

# %% id="paradigms" alt="Eleven copies of one image: plain; the label map of FCN, in which objects of a class have one colour; the ten best proposals of DeepMask; the instances of Mask R-CNN, Cascade R-CNN, YOLACT, SOLO, PolarMask and DETR; the panoptic map of MaskFormer; and the truth."
older = {name: load(name, dataset.categories) for name in ("fcn", "deepmask")}
everyone = {comparison.TITLES[name]: network for name, network in (older | networks).items()}
found = {title: network.predict([image])[0] for title, network in everyone.items()}
plotting.show_paradigms(image, found, target, dataset.categories, min_score=0.3)

# %% [markdown] id="paradigms-read"
# Read it as the history of one question, *what gets a class?*
#
# | | what gets a class | best at | pays with |
# | --- | --- | --- | --- |
# | FCN (04) | a pixel | stuff, label maps, simplicity | no counting |
# | DeepMask (05) | a window (object or not) | proposals without classes | low speed, no class |
# | Mask R-CNN (07) | a box, looked at twice | small objects; a safe first choice | many parts |
# | Cascade R-CNN (08) | a box, corrected three times | boxes that must fit closely | more heads |
# | YOLACT (09) | an anchor, with mask coefficients | speed | leakage, soft outlines |
# | SOLO (10) | a location | large objects, exact outlines | small objects |
# | PolarMask (11) | a location, with rays | compact shapes, cheap masks | holes, branches |
# | DETR (12) | a query, with a box | no anchors, no NMS | long training |
# | MaskFormer (13) | a query, with a mask | all three tasks at once | small objects |
#
# From row to row, parts disappear: proposals, crops, anchors, boxes, NMS. What remains is a set of
# masks with classes, and beneath it all a convolution (lesson 02).

# %% [markdown] id="references"
# **Next**: [lesson 14](14_side_by_side.ipynb) puts all paradigms side by side, and asks what each
# of them gets wrong.
#
# **References**
#
# - B. Cheng, A. G. Schwing, A. Kirillov. Per-pixel classification is not all you need for semantic
#   segmentation (MaskFormer). *NeurIPS* 2021. arXiv 2107.06278.
# - B. Cheng, I. Misra, A. G. Schwing, A. Kirillov, R. Girdhar. Masked-attention mask transformer
#   for universal image segmentation (Mask2Former). *CVPR* 2022. arXiv 2112.01527.
# - A. Kirillov, K. He, R. Girshick, C. Rother, P. Dollár. Panoptic segmentation. *CVPR* 2019. arXiv
#   1801.00868.
# - A. Kirillov, Y. Wu, K. He, R. Girshick. PointRend: image segmentation as rendering. *CVPR* 2020.
#   arXiv 1912.08193.
