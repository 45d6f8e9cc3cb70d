# %% [markdown] id="start"
# # 12. DETR
#
# Every object network so far makes thousands of predictions, one for each anchor, cell or location,
# and then removes the duplicates. DETR (Carion and others 2020) makes a hundred, ours thirty, and
# each object should be among them exactly once, without anchors, grid or non-maximum suppression.
# One question runs through the lesson: **how can a network predict a set: each object once, in no
# order?** Two things are new: *attention*, by which the predictions read the image and one another,
# and *matching*, which decides in training which prediction learns which object.
#
# **You will be able to**
#
# 1. build attention, starting from a look-up in a dictionary, with blocked keys and heads, equal to
#    PyTorch's;
# 2. solve a small assignment problem by hand, and compute the cost that DETR minimises;
# 3. explain why one-to-one targets make suppression unnecessary, and test whether they do;
# 4. say what a query is and is not, and what "no object" means;
# 5. weigh what DETR gains against what it costs to train.
#
# **You need first** softmax and cross entropy from [lesson 04](04_fcn.ipynb), boxes and suppression
# from [lesson 06](06_rcnn.ipynb), anchors from [lesson 07](07_mask_rcnn.ipynb).
# **Time** about 66 minutes to read, about a minute to run. A good place for a break is after part
# Six.

# %% id="data"
import math

import torch
import torch.nn.functional as F
from torch import nn

import seglib
from seglib import ops, plotting
from seglib.data import load_dataset
from seglib.pretrained import load, record

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(40, len(dataset) // 2)
samples = [dataset[i] for i in range(held_out)]
truths = [truth[~truth.iscrowd] for _, truth in samples]
names = [category.name.split("-")[0] for category in dataset.categories]  # of labels 1, 2, …
detr, mask_rcnn = (load(name, dataset.categories) for name in ("detr", "mask_rcnn"))
print(f"{dataset.name}: {len(samples)} images to look at")

# %% [markdown] id="load-text"
# Both networks were trained on the classes of Pocket COCO. (On photographs expect wild guesses;
# what you build works there all the same.) First, an image on which DETR is good, and ahead of
# lesson 07's Mask R-CNN. DETR's scores have a different meaning, as you will see: 0.91 stands for
# an even chance.

# %% id="fit"
sure = {"DETR": 0.91, "Mask R-CNN": 0.5}
models = {"DETR": detr, "Mask R-CNN": mask_rcnn}
answers = {name: [m.predict([i])[0].instances for i, _ in samples] for name, m in models.items()}


def shown_of(name, index):
    found = answers[name][index]
    return found[found.scores > sure[name]]


def fit(name, index):
    """The mean over an image's objects of the best mask IoU with a detection of their class."""
    truth, found = truths[index], shown_of(name, index)
    overlap = ops.mask_iou(truth.masks, found.masks) * (truth.labels[:, None] == found.labels)
    best = [max(row, default=0.0) for row in overlap.tolist()]
    return sum(best) / max(1, len(best))

# %% id="first-picture" alt="One image four times: plain, with the masks of DETR, with those of Mask R-CNN, and with the true ones. DETR finds all five objects, also a kite behind two birds; Mask R-CNN finds only a part of the kite."
least = min(4, max(map(len, truths)))
rich = [i for i in range(held_out) if len(truths[i]) >= least]  # with several objects
chosen = max(rich, key=lambda i: 2 * fit("DETR", i) - fit("Mask R-CNN", i))
image, target = samples[chosen]
shown = {name: shown_of(name, chosen) for name in models} | {"Truth": target}
# By class and from left to right, so that an object has one colour in all panels.
shown = {name: x[(1000 * x.labels + x.boxes[:, 0]).argsort()] for name, x in shown.items()}
plotting.compare(image, shown, dataset.categories, panel=2.4)

# %% [markdown] id="first-picture-read"
# DETR is at its best with large objects, even where others cover them, because each prediction may
# read the whole image. (In Pocket COCO, see the kite behind two birds and a car.) Nothing was
# suppressed in its picture.

# %% [markdown] id="problem"
# ## The problem: predictions that know nothing of one another
#
# An anchor of Mask R-CNN, a cell of SOLO, a location of PolarMask: each gets its target from a
# hand-written rule (an IoU above 0.7, a cell near the mass centre), independently of the others.
# Several are right about the same object, and none knows of the others' predictions. So a second
# rule, suppression, removes similar predictions, even where both are right, as with two people
# close together.

# %% id="counts" tags=["nbval-check-output"]
anchors = 3 * sum((128 // stride) ** 2 for stride in (4, 8, 16, 32))  # 3 shapes per cell
print(f"anchors of lesson 07's Mask R-CNN on 128 × 128 px: {anchors:,}")
print(f"cells of lesson 10's SOLO: {sum(n * n for n in load('solo').config.grids):,}")
print(f"answers of our DETR: {detr.config.queries}")

# %% id="timeline" alt="A timeline of papers; DETR 2020 is marked in the lane of methods that ask with queries."
plotting.timeline("DETR")

# %% [markdown] id="idea"
# ## The idea, in ten parts
#
# ### One: attention is a soft look-up
#
# A dictionary returns the value whose key *equals* the query. If no key does, it returns nothing.
# Here three keys of four numbers, and the values 10, 20 and 40:

# %% id="dictionary" tags=["nbval-check-output"]
keys = torch.tensor([[1.0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]])  # [K, d]
values = torch.tensor([[10.0], [20], [40]])  # [K, v]


def look_up(query):
    return values[(keys == query).all(dim=1)].flatten().tolist()


query = torch.tensor([2.0, 2, 0, 0])
print("the second key:", look_up(keys[1]), "  another query:", look_up(query))

# %% [markdown] id="soft-text"
# Attention returns a *mixture* of all values, with the largest shares for those whose keys fit
# best. How well a key fits is measured by its dot product with the query, divided by $\sqrt d$. For
# the query (2, 2, 0, 0):
#
# | key | dot product | / √4 | $e^{…}$ | weight | value |
# | --- | --- | --- | --- | --- | --- |
# | (1, 1, 0, 0) | 4 | 2 | 7.39 | 0.665 | 10 |
# | (1, 0, 1, 0) | 2 | 1 | 2.72 | 0.245 | 20 |
# | (0, 0, 1, 1) | 0 | 0 | 1.00 | 0.090 | 40 |
#
# The weights are the softmax, $7.39 / 11.11$ and so on, and the answer is $6.65 + 4.90 + 3.60 =
# 15.15$. Unlike the dictionary's answer, this one has a gradient: a query that moves a little
# towards a key gets a little more of that key's value.

# %% [markdown] id="blocked-text"
# For all queries at once it is two matrix products. Some keys must not be read, such as the padding
# beside a small image: they are **blocked** by a score of $-\infty$. **Predict before you run:** if
# the first key is blocked, what happens to the weights of the others: do they stay 0.245 and 0.090?

# %% id="attention-tensor" tags=["nbval-check-output"]
def my_attention(query, key, value, blocked=None, dropout=0.0):
    """query [..., Q, d], key [..., K, d], value [..., K, v] -> [..., Q, v]."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # [..., Q, K]
    if blocked is not None:
        scores = scores.masked_fill(blocked, -math.inf)
    return scores.softmax(dim=-1) @ value  # [..., Q, v]


first = torch.tensor([True, False, False])
weights = my_attention(query[None], keys, torch.eye(3), first)  # values that show the weights
print("weights:", [round(w, 3) for w in weights[0].tolist()])
arguments = (query[None, None], keys[None], values[None])  # [1, Q, d], [1, K, d], [1, K, v]
for name, blocked in (("plain", None), ("blocked", first)):
    mine = my_attention(*arguments, blocked)
    torchs = F.scaled_dot_product_attention(*arguments, None if blocked is None else ~blocked)
    same = torch.allclose(mine, torchs), torch.allclose(mine, ops.attention(*arguments, blocked))
    print(f"{name:8s} {mine.item():.2f}, equal to torch's and the library's: {same}")

# %% [markdown] id="scale-text"
# They grow to $2.72 / 3.72 = 0.731$ and 0.269: weights always sum to 1. **There is no way to read
# nothing.** And why $\sqrt d$? The dot product of two random vectors of $d$ numbers has a standard
# deviation of $\sqrt d$, which is 16 for $d = 256$. Without the division, one key in a hundred
# would get nearly all the weight by chance: the look-up would be hard again, and the softmax would
# have hardly any gradient left.
#
# ### Two: heads
#
# One softmax makes one mixture. To find a box, a query would have to read at its left *and* at its
# right edge, without mixing the two. **Multi-head attention** divides the channels into parts: each
# head has its own projection of queries, keys and values, and its own softmax. A final layer mixes
# what the heads have read.

# %% id="heads" tags=["nbval-check-output"]
def my_multi_head(query, key, value, layer, heads, blocked=None):
    """query [B, Q, D], key and value [B, K, D], with a layer's weights -> [B, Q, D]."""
    projected = []
    weights, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    for x, weight, bias in zip((query, key, value), weights, biases, strict=True):
        parts = F.linear(x, weight, bias).unflatten(-1, (heads, -1))  # [B, N, heads, D / heads]
        projected.append(parts.transpose(1, 2))  # [B, heads, N, D / heads]
    mixed = my_attention(*projected, blocked)  # [B, heads, Q, D / heads]
    return layer.out_proj(mixed.transpose(1, 2).flatten(2))  # [B, Q, D]


torch.manual_seed(0)
layer = nn.MultiheadAttention(32, num_heads=4, batch_first=True)
q, k, v = torch.randn(2, 5, 32), torch.randn(2, 9, 32), torch.randn(2, 9, 32)
mine, (torchs, _) = my_multi_head(q, k, v, layer, 4), layer(q, k, v)
own = seglib.nn.attention.MultiheadAttention(32, heads=4)
own.load_state_dict(layer.state_dict())
print("mine = torch's:", torch.allclose(mine, torchs, atol=1e-6))
print("mine = library's:", torch.allclose(mine, own(q, k, v), atol=1e-6))

# %% [markdown] id="order-text"
# ### Three: attention sees a set
#
# A convolution knows which neighbour is left and which is right. **Predict before you run:** we
# shuffle the nine keys together with their values. Does the output stay the same, change a little,
# or get shuffled too? And what if we shuffle the *queries*?

# %% id="order" tags=["nbval-check-output"]
shuffled = torch.randperm(9)
order = torch.randperm(5)
again = layer(q, k[:, shuffled], v[:, shuffled])[0]
print("keys shuffled, the same output:", torch.allclose(torchs, again, atol=1e-6))
again = layer(q[:, order], k, v)[0]
print("queries shuffled, the same rows:", torch.allclose(torchs[:, order], again, atol=1e-6))

# %% [markdown] id="misconception-order"
# **"Attention sees the image" is wrong: it sees a bag of features.** If a feature's position is to
# matter, it must be part of the feature. DETR adds a **position** to queries and keys: sines and
# cosines of row and column, with many wavelengths. (It is not added to the values: it tells where
# to look, not what is there.) The second line of the output is the first half of the answer to our
# question: queries have no order either. Whatever comes out is a set.

# %% id="position" alt="A map of 16 by 16 cells: the dot product of one place's position with those of all places is largest at the place itself and falls off in all directions."
from seglib.nn.position import SinePosition

nowhere = torch.zeros(1, 16, 16, dtype=torch.bool)  # no padding
position = SinePosition(128)(nowhere, torch.zeros(1))[0]  # [D, 16, 16]
similar = (position[:, 5, 10, None, None] * position).sum(dim=0)  # [16, 16]
title = "How the position in row 5, column 10 fits the others"
look = {"label": "dot product", "caption": "Rows and columns are counted from 0."}
plotting.show_heatmap(similar, title, mark=(5, 10), **look)

# %% [markdown] id="position-read"
# The location itself fits best, then its neighbours: attention can ask for "near here".
#
# ### Four: the whole network
#
# A backbone gives one feature map, projected to $D = 128$ channels. In the **encoder** every
# location attends to every other; its output is called **memory**. The **decoder** has $Q$ states
# that all start as **zeros**. What distinguishes them are $Q$ learned vectors, the **queries**,
# which play the part of positions: they are added to a state whenever it serves as query or key. In
# each of $L$ layers the states read one another (*self-attention*), then the memory
# (*cross-attention*), then pass through two linear layers. The result of each of these three steps
# is added to the state, and the sum is normalised. Small heads turn each state into a class, a box
# (centre, width and height as fractions of the image) and a mask. Class 0 means "no object"; the
# labels of objects begin at 1.

# %% id="diagram" alt="A flow diagram: backbone, encoder with positions, and decoder with the learned queries, from which classes, boxes and masks are read; the mask head also reads backbone and encoder."
from seglib.plotting import Block

blocks = [
    Block("backbone", "[D, h, w]", at=(0, 1)),
    Block("encoder", "memory [h·w, D]", at=(1, 1)),
    Block("queries", "[Q, D], learned", at=(1, 0)),
    Block("decoder", "states [Q, D]", at=(2, 0.5)),
    Block("class", "C + 1 logits", "head", at=(3, 0)),
    Block("box", "4 numbers", "head", at=(3, 1)),
    Block("mask", "[H/2, W/2]", "head", at=(3, 2)),
]
arrows = [("backbone", "encoder"), ("encoder", "decoder"), ("queries", "decoder")]
arrows += [("decoder", name) for name in ("class", "box", "mask")]
arrows += [("backbone", "mask"), ("encoder", "mask")]  # also finer features, and the memory
plotting.flow_diagram(blocks, arrows, title="DETR")

# %% id="shapes"
with torch.no_grad():
    outputs = [detr([picture]) for picture, _ in samples]
output = outputs[chosen]
print("features:", list(output.features.shape), "  memory:", list(output.memory.shape))
print("states of all layers:", list(output.states.shape), "= [L, B, Q, D]")
print("class logits:", list(output.logits.shape), "  boxes:", list(output.boxes.shape))

# %% [markdown] id="decoder-text"
# That is the whole decoder, and your multi-head attention can run it with the network's weights:

# %% id="decoder" tags=["nbval-check-output"]
def my_layer(x, queries, memory, places, blocked, layer):
    """States x and queries [B, Q, D], memory and places [B, K, D] -> states [B, Q, D]."""
    asked = x + queries
    x = layer.norm1(x + my_multi_head(asked, asked, x, layer.self_attn, 8))
    asked, keys = x + queries, memory + places
    x = layer.norm2(x + my_multi_head(asked, keys, memory, layer.multihead_attn, 8, blocked))
    return layer.norm3(x + layer.linear2(layer.linear1(x).relu()))


decoder = detr.transformer.decoder
with torch.no_grad():
    places = detr.position(output.padding, output.memory)  # [1, D, h, w]
    memory, places = (m.flatten(2).transpose(1, 2) for m in (output.memory, places))  # [1, K, D]
    blocked = output.padding.flatten(1)  # [1, K], the places beside the image
    queries = detr.query_embed.weight[None]  # [1, Q, D]
    x = torch.zeros_like(queries)
    for layer in decoder.layers:
        x = my_layer(x, queries, memory, places, blocked, layer)
same = torch.allclose(decoder.norm(x), output.states[-1], atol=1e-4)
print("my decoder's states = the library's:", same)

# %% [markdown] id="set-text"
# ### Five: what should query 7 have predicted?
#
# To train we need a target for each query, and the file lists the objects in *some* order. Suppose
# two objects on a line lie at 20 and 70, and the predictions are 71 and 22. In the order of the
# file the distances are $51 + 48 = 99$; in the best order they are $2 + 1 = 3$. So **first find the
# cheapest pairing, then compute the loss with it.** Each query gets at most one object. Here are
# three queries, three objects, and the cost of each pair:
#
# | | A | B | C |
# | --- | --- | --- | --- |
# | **query 1** | 1 | 2 | 8 |
# | **query 2** | 2 | 6 | 9 |
# | **query 3** | 7 | 8 | 3 |
#
# **By hand, before you run:** which three pairs have the lowest total cost? Does it help to take
# the cheapest cell first?

# %% id="by-hand" tags=["nbval-check-output"]
from itertools import permutations

cost = torch.tensor([[1.0, 2, 8], [2, 6, 9], [7, 8, 3]])


def total(columns):
    return sum(cost[row, column].item() for row, column in enumerate(columns))


for columns in permutations(range(3)):
    words = ", ".join(f"{row + 1}-{'ABC'[column]}" for row, column in enumerate(columns))
    print(f"{words}: {total(columns):2.0f}")

# %% [markdown] id="hungarian-text"
# The cheapest cell, 1-A, leads to 10; in the best pairing query 1 must do without A. For 30 queries
# and 8 objects there are $30 \cdot 29 \cdots 23$ pairings, far too many to try. The trick of the
# **Hungarian method** (Kuhn 1955) is this: if a number is subtracted from a row, *every* pairing
# gets cheaper by that number, since each uses the row once. So the best one stays the best. The
# same is true of columns. Subtract the smallest number of each row (1, 2, 3), then of each column
# (0, 1, 0). In the last panel three zeros lie in different rows and columns, so no pairing can cost
# less than this one, which cost $1 + 2 + 3 + 1 = 7$ before. (If the zeros do not suffice, the
# method goes on: see `ops.hungarian`.) A light cell is cheap, a frame marks a pair:

# %% id="costs-figure" alt="The cost matrix three times: first 1-A, the cheapest cell, and then 2-B and 3-C are framed; then the cheapest pairs 1-B, 2-A and 3-C; last these are zeros, after the least numbers of rows and columns were subtracted."
rows, columns = ops.hungarian(cost)
cheapest = list(zip(rows.tolist(), columns.tolist(), strict=True))
left = cost - cost.amin(dim=1, keepdim=True)
left = left - left.amin(dim=0)
panels = {"cheapest cell first: 10": (cost, [(0, 0), (1, 1), (2, 2)])}
panels[f"Hungarian: {cost[rows, columns].sum():.0f}"] = (cost, cheapest)
panels["after subtracting"] = (left, cheapest)
plotting.show_costs(panels, ["query 1", "query 2", "query 3"], ["A", "B", "C"])

# %% [markdown] id="cost-text"
# ### Six: the cost
#
# A query fits an object if it assigns a high probability $p$ to the object's class, and if its box
# is near. Boxes are compared in two ways: by the L1 distance between centres, widths and heights,
# which depends on size, and by the **generalized IoU** (Rezatofighi and others 2019), which does
# not:
#
# $$\text{cost} = -p + 5\,\lVert b - \hat b \rVert_1 - 2\,\text{GIoU}(b, \hat b)$$
#
# The GIoU is the IoU minus the *gap*: the share of the smallest box around both that neither of
# them covers. So it also measures how far apart two boxes are that do not touch. By hand, for an
# object with the box (0.5, 0.5, 0.4, 0.4):
#
# | predicted box | $p$ | distance | IoU | gap | cost |
# | --- | --- | --- | --- | --- | --- |
# | (0.6, 0.5, 0.4, 0.4) | 0.8 | 0.1 | 0.12 / 0.20 = 0.6 | 0 | −0.8 + 0.5 − 1.2 = −1.5 |
# | (0.1, 0.5, 0.2, 0.4) | 0.3 | 0.4 + 0.2 | 0 | 0.04 / 0.28 = 0.14 | −0.3 + 3.0 + 0.29 = 2.99 |

# %% id="my-cost" tolerance=0.001
def my_cost(probabilities, boxes, labels, truth):
    """probabilities [Q, C + 1], boxes [Q, 4], labels [G], truth [G, 4] -> [Q, G]."""
    distance = (boxes[:, None] - truth).abs().sum(dim=-1)  # [Q, G]
    corners = ops.cxcywh_to_xyxy(boxes), ops.cxcywh_to_xyxy(truth)
    return -probabilities[:, labels] + 5 * distance - 2 * ops.generalized_box_iou(*corners)


boxes = torch.tensor([[0.6, 0.5, 0.4, 0.4], [0.1, 0.5, 0.2, 0.4], [0.5, 0.5, 0.4, 0.4]])
hand = my_cost(torch.tensor([[0.2, 0.8], [0.7, 0.3]]), boxes[:2], torch.tensor([1]), boxes[2:])
print("by hand -1.50 and 2.99, in tensors {:.2f} and {:.2f}".format(*hand[:, 0].tolist()))

# %% [markdown] id="real-cost-text"
# Now for our image: the cost of each of the thirty predictions for each of its objects.
# (`object_batch` scales objects to the size at which the network saw its images, `output.batch`;
# boxes become fractions of the image.)

# %% id="real-cost" tags=["nbval-check-output"]
from seglib.models.detr.objects import object_batch

objects = object_batch([image], [truths[chosen]], output.batch, len(names))
probabilities = output.logits[-1, 0].softmax(dim=-1)  # [Q, C + 1]
costs = my_cost(probabilities, output.boxes[-1, 0], objects.labels[0], objects.boxes[0])  # [Q, G]
rows, columns = ops.hungarian(costs)
pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
theirs = detr.match(output, objects)
theirs = zip(theirs.queries[-1].tolist(), theirs.objects[-1].tolist(), strict=True)
print("your pairs = the model's:", pairs == list(theirs))

# %% id="real-cost-figure" alt="A cost matrix with a row for each of a dozen queries and a column for each object: in each column one cell is framed, mostly the palest one; a few other cells are nearly as pale."
columns = [f"{names[label - 1][:8]}\n{g}" for g, label in enumerate(objects.labels[0].tolist())]
own = [query for query, _ in pairs]
others = [q for q in costs.amin(dim=1).argsort().tolist() if q not in own]
rows = sorted(own + others[: max(0, 12 - len(own))])  # the matched ones, and the next best
framed = [(rows.index(query), g) for query, g in pairs]
plotting.show_costs(
    {"costs of queries and objects": (costs[rows], framed)}, [f"query {q}" for q in rows], columns
)

# %% [markdown] id="matching-text"
# Each column has one framed cell, that of the cheapest pairing, though other cells are as light.
# (In Pocket COCO queries 0 and 25 both cost −1.88 for car 2, and only one of them gets it.) Here
# are the same queries in the image: a line joins the centres of each pair, and the dashed boxes
# have no partner.

# %% id="matching-figure" alt="The image with the true boxes in green and the boxes of the matched queries in red, with a line between the centres of each pair; the boxes of the next-best queries are dashed."
from seglib.models.detr.postprocess import best_classes, boxes_in_pixels

size = image.shape[-2:]
drawn = ops.clip_boxes(boxes_in_pixels(output.boxes[-1, 0, rows], size), size)  # [12, 4]
panel = {"the cheapest pairing": (drawn, truths[chosen].boxes, framed)}
plotting.show_matching(image, panel, [str(q) for q in rows], panel=5.4)

# %% [markdown] id="duplicates-text"
# **Here is a good place for a break.** You have attention, the network and the pairing.
#
# ### Seven: why duplicates vanish
#
# One-to-one matching is the second half of the answer. If five queries predict the same object, one
# gets it as its target, and **the other four learn "no object"**, however well they fit. A
# duplicate is an error, and errors can be trained away. Is it the *rule* that achieves this? In a
# tiny world an "image" is a line of 24 cells, 1 to 4 of them are objects, and 8 queries say where:
# each predicts a position and a logit. We train the library's decoder, with two layers, by two
# rules:
#
# - **nearest**: every query moves towards the object nearest to its prediction, and learns
#   "something" if it is less than a cell away, otherwise "nothing";
# - **matched**: the cheapest pairing; a query without a partner learns "nothing".
#
# **Predict before you run:** 200 new lines contain about 500 objects. How many does each rule
# find?

# %% id="tiny-world"
from seglib.nn.transformer import Decoder


def lines(count, seed):
    """Lines [n, 24] of zeros with ones at the objects, and the places of these, in 0…1."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.stack([torch.randperm(24, generator=generator)[:4] for _ in range(count)])
    there = torch.arange(4) < torch.randint(1, 5, (count, 1), generator=generator)  # [n, 4]
    line = torch.zeros(count, 24).scatter(1, places, there.float())
    return line, [own[real] / 24 for own, real in zip(places, there, strict=True)]


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.Linear(1, 32), nn.Linear(32, 2)
        self.position, self.query = (nn.Parameter(torch.randn(n, 32)) for n in (24, 8))
        self.decoder = Decoder(layers=2, width=32, heads=4, hidden=64)

    def forward(self, line):
        query = self.query.expand(len(line), -1, -1)  # [n, 8, 32]
        memory, place = self.cell(line[..., None]), self.position.expand(len(line), -1, -1)
        states = self.decoder(torch.zeros_like(query), memory, query, place)[-1]  # [n, 8, 32]
        place, logit = self.head(states).unbind(-1)
        return place.sigmoid(), logit  # [n, 8] each

# %% id="tiny-train"
def tiny_loss(place, logit, truth, rule):
    """One line: place and logit [8], truth [G]."""
    distance = (place[:, None] - truth).abs()  # [8, G]
    if rule == "matched":
        rows, columns = ops.hungarian(5 * distance - logit.sigmoid()[:, None])
        wanted = torch.zeros(8).index_fill(0, rows, 1.0)
    else:
        rows, columns = torch.arange(8), distance.argmin(dim=1)
        wanted = (distance.amin(dim=1) < 1 / 24).float()
    wrong = F.binary_cross_entropy_with_logits(logit, wanted)
    return wrong + 5 * distance[rows, columns].mean()


def train_tiny(rule):
    torch.manual_seed(0)
    network = Tiny()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(220):
        line, truth = lines(32, seed=step)
        answered = zip(*network(line), truth, strict=True)
        loss = sum(tiny_loss(*one, rule) for one in answered) / len(truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network

# %% id="tiny-result" tolerance=0.15
line, truth = lines(200, seed=10**6)
print(f"objects: {sum(map(len, truth))}")
for rule in ("nearest", "matched"):
    place, logit = train_tiny(rule)(line)  # [200, 8] each
    each = zip(place, logit > 0, truth, strict=True)
    nearest = [(own[said, None] - places).abs().argmin(dim=1) for own, said, places in each]
    claims, found = sum(map(len, nearest)), sum(len(n.unique()) for n in nearest)
    print(f"{rule}: {claims} claims, {claims - found} repeat an object, {found} objects found")

# %% [markdown] id="tiny-read"
# By the first rule most claims are duplicates, and suppression would leave few objects: nothing
# sends two queries to two different objects. (Anchors are spread out by their fixed positions;
# queries have none.) By the second rule, after a few seconds of training, most claims are about
# different objects; some are still duplicates, and some objects are missed. The two differ only in
# how they decide which query learns what.
#
# Does the real network keep this promise? We repeat the authors' test: apply suppression anyway
# (lesson 06, at an IoU of 0.5), after each layer of the decoder. To be silent, a query must know of
# the others, but in the first layer all states are zeros when they read one another. **Predict
# before you run:** after which layers does suppression help?

# %% id="suppress-anyway" tolerance=0.02
from seglib.metrics import CocoEvaluator
from seglib.structures import Instances


def box_ap(layer, suppress):
    """The box AP of a decoder layer's answers to the images."""
    evaluator = CocoEvaluator(dataset.categories, "bbox", dataset.area_ranges)
    for seen, (picture, truth) in zip(outputs, samples, strict=True):
        scores, labels = best_classes(seen.logits[layer, 0])  # [Q] each
        found = Instances(boxes_in_pixels(seen.boxes[layer, 0], picture.shape[-2:]), scores, labels)
        if suppress:
            found = found[ops.batched_nms(found.boxes, found.scores, found.labels, 0.5)]
        evaluator.update(found, truth)
    return evaluator.compute().stats["AP"]


for layer in range(detr.config.decoder_layers):
    plain, suppressed = box_ap(layer, False), box_ap(layer, True)
    print(f"after layer {layer + 1}: AP {plain:.3f}, with suppression {suppressed:.3f}")

# %% [markdown] id="suppress-read"
# After the first layer it helps, later less and less: the queries have settled among themselves
# which of them predicts each object. (In the paper, with six layers, suppression even costs a
# little AP at the end: it removes predictions that were right.)

# %% [markdown] id="no-object-text"
# ### Eight: "no object" is not background
#
# **Predict before you run:** some queries say "no object" with a probability above one half. Where
# do their boxes lie: in the sky and on the grass, or on objects too?

# %% id="no-object" tolerance=0.15
silent = on_object = 0
for i in range(held_out):
    idle = outputs[i].logits[-1, 0].softmax(-1)[:, 0] > 0.5  # [Q]
    boxes = boxes_in_pixels(outputs[i].boxes[-1, 0, idle], samples[i][0].shape[-2:])
    if len(truths[i]):
        overlap = ops.box_iou(boxes, truths[i].boxes).amax(dim=1)
        silent, on_object = silent + len(boxes), on_object + int((overlap > 0.5).sum())
scores, classes = best_classes(torch.cat([seen.logits[-1] for seen in outputs]))  # [n, Q] each
print(f"{silent} queries say 'no object'; the boxes of {on_object} of them lie on an object")
count = int((scores > 0.5).sum())
print(f"{count} answers score above one half, for {sum(map(len, truths))} objects")

# %% [markdown] id="misconception-no-object"
# **Background is a property of a place; "no object" is the state of a query.** It means that
# nothing is left for this query, either because there is nothing here, or because another query has
# it. No pixel is labelled with it, and no loss affects the box of such a query.
#
# Most queries have no object, and this class would dominate the loss. DETR gives it the weight 0.1,
# and that changes what a score means: if a prediction is right with probability $p$, the weighted
# cross entropy is smallest for a score of $p / (p + 0.1\,(1 - p))$. **For $p = 0.1$ that is 0.53**,
# for an even chance 0.91. Hence the many predictions above one half. Two predictions for one object
# cannot both be matched, so their probabilities add up to at most 1, and they cannot both deserve a
# score above 0.91.
#
# Now the whole loss. After **every layer of the decoder**, with a pairing of its own, it has the
# cross entropy of all queries with these weights, and for the matched ones 5 times the L1 distance
# and twice $1 - \text{GIoU}$. After the last layer matched queries also learn masks, by a cross
# entropy that gives easy pixels less weight (*focal loss*) and by the dice loss (lesson 10). Masks
# play no part in the cost.

# %% id="loss" tags=["nbval-check-output"]
with torch.no_grad():
    losses = detr.loss([image], [target])
wanted = torch.zeros(detr.config.queries).long()
wanted[[query for query, _ in pairs]] = objects.labels[0, [g for _, g in pairs]]
weight = torch.tensor([0.1] + len(names) * [1.0])
mine = F.cross_entropy(output.logits[-1, 0], wanted, weight)
print("my class loss = the library's:", torch.allclose(mine, losses["class_loss"], atol=1e-4))
print("all losses:", ", ".join(losses))

# %% [markdown] id="queries-text"
# ### Nine: a query is not an anchor and not a class
#
# The queries are the same thirty vectors for every image. What does each of them stand for? **Guess
# first:** one class each, one location each, or nothing at all? A dot marks the centre of each box
# with a score above one half:

# %% id="queries-figure" alt="Twelve small squares, one for each of twelve queries, with dots at the centres of its boxes in many images: the dots of a query gather in one part of the square; dark and bright ones mix."
centres = torch.stack([seen.boxes[-1, 0] for seen in outputs])  # [n, Q, 4]
busy = (scores > 0.5).sum(dim=0).argsort(descending=True)[:12].tolist()
panels = {f"query {q}": centres[scores[:, q] > 0.5, q] for q in busy}
for q in [q for q in busy[:6] if (scores[:, q] > 0.5).any()]:
    found = scores[:, q] > 0.5
    kinds = [names[label - 1] for label in classes[found, q].unique().tolist()]
    spread = centres[found, q, :2].std(dim=0).mean()
    low, high = centres[found, q, 2:].prod(dim=1).sqrt().aminmax()  # the side of an equal square
    print(f"query {q:2d}: spread {spread:.2f}, sides {low:.2f} to {high:.2f}, {len(kinds)} classes")
plotting.show_query_boxes(panels, columns=6)

# %% [markdown] id="misconception-query"
# **A query is not a class**: each has found several. If you guessed a location, you were nearly
# right: each prefers a *region*, so that thirty queries share the work. (Centres spread over the
# whole image would have a spread of 0.29, as a fraction of the image's side.) **But it is not an
# anchor**: it has no box before it has read the image, and its boxes are both small and large.
# One-to-one targets reward this: the query that is likely to be nearest should speak, and the
# others should be silent.

# %% [markdown] id="maps-text"
# ### Ten: what the queries read
#
# Attention weights can be inspected. The library's fast implementation never stores them, but yours
# can: with `seglib.use` the whole network runs on your function, which keeps its weights.

# %% id="spy" tags=["nbval-check-output"]
kept = []


def recording(query, key, value, blocked=None, dropout=0.0):
    one_each = torch.eye(key.shape[-2])  # values that show the weights, as in part One
    weights = my_attention(query, key, one_each, blocked)
    kept.append(weights[0])  # [heads, Q, K] of the one image
    return weights @ value


with torch.no_grad(), seglib.use(attention=recording):
    again = detr([image])
print("the same boxes:", torch.allclose(again.boxes, output.boxes, atol=1e-4))
layers = detr.config.encoder_layers
print("encoder:", [list(w.shape) for w in kept[:layers]])
print("decoder:", [list(w.shape) for w in kept[layers:]])

# %% [markdown] id="spy-read"
# Each layer of the encoder has one attention, each layer of the decoder two: the queries read one
# another, then the image. What does the last one read for the four largest objects, averaged over
# its heads? (In each panel the largest weight is the brightest.)

# %% id="decoder-figure" alt="The image four times in grey with the box of a query; a few bright cells inside the box show where that query reads."
h, w = output.memory.shape[-2:]
query_of = {g: q for q, g in pairs}
largest = [g for g in truths[chosen].area.argsort(descending=True).tolist() if g in query_of][:4]
title = {g: f"query {query_of[g]}, {names[truths[chosen].labels[g] - 1]} {g}" for g in largest}
panels = {title[g]: kept[-1].mean(dim=0)[query_of[g]].reshape(h, w) for g in largest}
found = output.boxes[-1, 0, [query_of[g] for g in largest]]
boxes = dict(zip(title.values(), boxes_in_pixels(found, size), strict=True))
plotting.show_attention(image, panels, boxes=boxes)

# %% [markdown] id="maps-read"
# Each query reads a few cells inside its box. (In the authors' pictures of the large network these
# are an object's extremities, such as heads and legs, and the encoder already separates the
# objects. Ours reads more widely: see the viewer below.)
#
# #### The mask head
#
# The **mask head** computes one more attention, but only its weights: 8 heads give 8 maps of
# weights per query, of which you see the three sharpest. A few cells tell *which* object is meant.
# Together with the features the maps go through a small FPN (lesson 03), query by query, to half
# the image's resolution; the outline comes from the backbone's finer features. (Our heads have a
# softmax each. In the published network *one* softmax runs over all heads and locations. The
# authors call that a bug, but their weights need it, so `DETRConfig.paper()` has it too.)

# %% id="mask-head" tags=["nbval-check-output"] alt="Three of a query's eight maps over the image, each bright in a few cells of one object, and the mask: the whole object with its outline."
def my_maps(q):
    """[heads, h, w]: the maps of a query."""
    head = detr.bbox_attention
    query = head.q_linear(output.states[-1, 0, q]).unflatten(-1, (head.heads, -1))
    key = head.k_linear(output.memory[0].flatten(1).T).unflatten(-1, (head.heads, -1))
    scores = torch.einsum("hd,khd->hk", query, key) / math.sqrt(query.shape[-1])
    return scores.softmax(dim=-1).unflatten(-1, (h, w))


q, one = query_of[largest[0]], torch.zeros(1).long()
with torch.no_grad():
    state = output.states[-1, :, q]  # [1, D]
    theirs = detr.bbox_attention(state, one, output.memory, output.padding)[0]
    print("my maps = the library's:", torch.allclose(my_maps(q), theirs, atol=1e-5))
    mask = detr.masks(output, state, one)[0].sigmoid()  # [H / 2, W / 2]
maps = my_maps(q).detach()
sharp = maps.amax(dim=(1, 2)).argsort(descending=True).tolist()
panels = {f"head {n + 1}": maps[n] for n in sorted(sharp[:3])} | {"the mask": mask}
plotting.show_attention(image, panels)

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# Your decoder returned the library's states. Now your attention runs in the whole network, and
# `predict` turns out to be hardly more than a maximum: the best class of each query, whatever the
# probability of "no object". **No prediction is removed, and none is matched**: matching belongs to
# training.

# %% id="equality-whole" tags=["nbval-check-output"]
def my_predict():
    """Scores, labels and boxes of all queries, best first, in pixels."""
    with torch.no_grad(), seglib.use(attention=my_attention):
        seen = detr([image])
    scores, labels = seen.logits[-1, 0].softmax(dim=-1)[:, 1:].max(dim=-1)  # [Q] each
    centre, sides = seen.boxes[-1, 0].split(2, dim=1)  # [Q, 2] each
    corners = torch.cat([centre - sides / 2, centre + sides / 2], dim=1)  # [Q, 4]
    corners = corners.clamp(0, 1) * torch.tensor([*size[::-1], *size[::-1]])
    best = scores.argsort(descending=True)
    return scores[best], labels[best] + 1, corners[best]


theirs = detr.predict([image])[0].instances
mine = my_predict()
print("scores:", torch.allclose(mine[0], theirs.scores, atol=1e-4))
print("labels:", torch.equal(mine[1], theirs.labels))
print("boxes: ", torch.allclose(mine[2], theirs.boxes, atol=1e-2))

# %% [markdown] id="equality-read"
# The library is also tested against `torch.nn.MultiheadAttention` and PyTorch's decoder layer,
# against values recorded from the authors' code, and against DETR in `transformers`
# (`tests/test_transformers_parity.py`).

# %% [markdown] id="learns"
# ## It learns, slowly
#
# **Overfit one batch** first: a fresh DETR and one image.

# %% id="overfit" alt="The loss of a fresh DETR on one image falls over 40 steps." tolerance=0.3
from seglib.models.detr import DETR, DETRConfig
from seglib.training import History, overfit

torch.manual_seed(0)
fresh = DETR(DETRConfig.pocket("boxes"), dataset.categories)  # no masks: faster
losses = overfit(fresh, [image], [target], steps=40, lr=5e-4)
print(f"sum of all losses {losses[0]:.1f} → {losses[-1]:.1f}")
plotting.training_curve(losses, title="One image, over and over")

# %% [markdown] id="overfit-read"
# The loss drops, rests for ten steps, and falls again: one image can be learned by heart, without
# looking at it. With many images a query must learn *where* to look, which takes a long time.
#
# ### The shipped network
#
# Its training began with the backbone of lesson 07's Mask R-CNN and random weights for all the
# rest.

# %% id="shipped-curve" alt="Losses of the shipped DETR over its training: class, L1, GIoU and mask losses of the last layer fall quickly at first and then slowly, all the way to the end."
shipped = record("detr")
print(shipped["command"])
history = History.from_dict(shipped["history"]).parts
last_layer = ("class_loss", "box_loss", "giou_loss", "mask_loss", "dice_loss")
parts = {name: history[name] for name in last_layer if name in history}
plotting.training_curve(parts, title="The shipped DETR learns (last layer)", log=True)

# %% id="shipped-figures"
rival = record("mask_rcnn")
print(f"{shipped['evaluated']}      AP  ceiling  share  Mask R-CNN")
for kind in ("box", "mask"):
    for size_name, word in (("", "all"), ("s", "small"), ("m", "medium"), ("l", "large")):
        key = f"{kind}_AP{size_name}"
        ours, theirs = shipped["figures"][key], rival["figures"][key]
        limit = shipped["ceilings"][key]["ceiling"]
        print(f"{kind:4s} {word:16s} {ours:6.3f} {limit:8.3f} {ours / limit:6.0%} {theirs:11.3f}")
for name in ("mask_rcnn", "solo", "detr"):
    training = record(name)["history"]
    seen = len(training["losses"]) * training["config"]["batch_size"]
    print(f"{name} saw {seen:,} images")

# %% [markdown] id="shipped-read"
# The ceiling concerns only the form of the output, and for boxes it is 1: a set of thirty free
# boxes can be perfect. What is missing is training, and for small objects resolution, as you will
# see. The masks of large objects are ahead of Mask R-CNN's; those of small ones are far behind. It
# also needed five times as many images as Mask R-CNN (not counting those of its backbone).
#
# Why so many? An anchor starts near its object and is corrected a little; a query starts anywhere,
# and untrained attention reads roughly the mean of the whole image. Meanwhile the pairing changes,
# and with it the target that a query is pulled towards. The authors trained for **500 epochs**; the
# Faster R-CNN that they compare with got 109. Deformable DETR (Zhu and others 2021) needs 50, since
# a query reads only a few locations. The next lesson takes a different approach, masked attention.

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# The table above shows that it fails on small objects. One reason is the map from which everything
# is read. Its cells have a side of 8 pixels: an object of 10 × 10 pixels touches four to nine of
# 256 cells, and fills the area of fewer than two. A finer map is expensive, since attention
# compares every location with every other: **half the cell size means four times the locations and
# sixteen times the weights.** Of the images with several objects, here is the one on which DETR
# does worst:

# %% id="worst" alt="An image with the masks of DETR, those of Mask R-CNN and the true ones: DETR finds two large cups, one of them twice, and misses three umbrellas and a plant."
worst = min(rich, key=lambda i: fit("DETR", i))
poorest, wanted = samples[worst]
shown = {name: shown_of(name, worst) for name in models} | {"Truth": wanted}
plotting.compare(poorest, shown, dataset.categories, panel=2.4, like=wanted, boxes=False)

# %% [markdown] id="worst-read"
# In Pocket COCO it misses the plant and all umbrellas, which are small or partly covered, and
# gives one cup twice, with scores that cannot both be right. One limit is particular to sets:
# thirty queries find at most thirty objects.

# %% [markdown] id="try"
# ## Try it
#
# **Which query reads what?** Follow one query from the first layer to the last. Do its heads read
# the same locations? What does a location in the sky read?

# %% id="attention-viewer" alt="Controls for the reader, the query, the place, the layer and the head, above the image with the box of a query and a heat map of where it reads; a line below names its class and score."
from seglib.widgets import AttentionViewer, MatchingViewer, Option, Question, Quiz

AttentionViewer(detr, image, query=query_of[largest[0]])

# %% [markdown] id="matching-viewer-text"
# **Which queries are matched?** Which pairs change if only the class counts, and which if it does
# not count at all? Are the pairs of the first layer those of the last?

# %% id="matching-viewer" alt="Sliders for the weights of class, distance and overlap and for the decoder layer, above the cost matrix with framed pairs and the image with the matched boxes; a line below gives the total cost and the number of changed pairs."
MatchingViewer(detr, image, target)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
nothing_fits = Question(
    "No key fits a query: all its dot products are negative, and equal. What does it read?",
    [
        Option("Nothing, a vector of zeros",
               feedback="Weights are never all zero: the softmax only compares."),
        Option("The mean of all values", True, "Equal scores give equal weights, high or low."),
        Option("The value of the first key",
               feedback="Keys have no order; equal scores get equal weights."),
    ],
    objective="attention",
)
cheapest = Question(
    "Costs: query 1 has 1 for A and 2 for B, query 2 has 2 for A and 9 for B. "
    "Which pairs are matched?",
    [
        Option("1-A and 2-B, since 1-A is the cheapest cell",
               feedback="Then 2-B must be taken, and together they cost 10."),
        Option("1-A and 2-A, the cheapest for each query",
               feedback="An object is given to one query only."),
        Option("1-B and 2-A", True, "Together they cost 4."),
    ],
    objective="matching",
)
Quiz([nothing_fits, cheapest], title="Attention and matching")

# %% id="quiz-two" tags=["quiz", "hide-input"]
five_on_one = Question(
    "In training, five queries lie well on one object. What do they learn?",
    [
        Option("All five learn its class, and the best of them is kept at the end",
               feedback="That is the rule of anchors, which needs suppression."),
        Option("One of them learns the object, four learn 'no object'", True,
               "So a duplicate is an error like any other."),
        Option("One of them learns the object, and four are left out of the loss",
               feedback="Then nothing would tell them to be silent."),
    ],
    objective="one-to-one",
)
is_query = Question(
    "What is a query of DETR?",
    [
        Option("A learned vector, the same for all images, that asks the image", True,
               "It prefers a region and a size, because that was rewarded."),
        Option("A box of fixed place and size that is corrected by the network",
               feedback="That is an anchor. A query has no box before it reads the image."),
        Option("A detector for one of the classes",
               feedback="Each has found several classes."),
    ],
    objective="queries",
)
Quiz([five_on_one, is_query], title="Sets and queries")

# %% id="quiz-three" tags=["quiz", "hide-input"]
meaning = Question(
    "A query says 'no object' with probability 0.9. Its box covers a cat. What follows?",
    [
        Option("Nothing about the cat", True, "It says that this query has nothing to add."),
        Option("The network takes the cat for background",
               feedback="Another query may have answered for the cat, with a high score."),
        Option("There is an error in the box head",
               feedback="No loss affects the boxes of such queries."),
    ],
    objective="no object",
)
price = Question(
    "Why does DETR need many more epochs than Mask R-CNN?",
    [
        Option("Because the Hungarian method is slow",
               feedback="It takes about a millisecond per image."),
        Option("Because queries have to learn where to look", True,
               "And while they do, the pairing keeps changing."),
        Option("Because it has more parameters",
               feedback="It has about as many as the network that it is compared with."),
    ],
    objective="cost of training",
)
Quiz([meaning, price], title="Scores and training")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/12_detr.ipynb) has three tasks: attention with heads and blocked
# keys, which then runs inside a whole DETR; the generalized IoU, the cost matrix and the targets of
# all queries; and a panoptic map from the masks of a set.

# %% [markdown] id="summary"
# ## In one minute
#
# - Attention is a soft look-up: a mixture of values, weighted by the softmax of $q \cdot k / \sqrt
#   d$. Heads make several mixtures. Keys and queries have no order: the output is a set.
# - The Hungarian method finds the cheapest one-to-one pairing; the cost combines class probability,
#   L1 distance and generalized IoU.
# - One query learns an object, the others learn "no object": duplicates become errors.
# - A query is a learned vector that prefers a region; it is not an anchor and not a class.
# - "No object" is about a query, not about a location; its small weight inflates the scores.
# - DETR is strong on large objects, weak on small ones, and slow to train.
#
# **The published numbers beside ours.** Theirs are from the authors' repository, on photographs of
# COCO (val2017); ours are on 300 drawn images of 128 px. Compare rows of the same kind only.

# %% id="published" tolerance=0.01
print("DETR, ResNet-50 / finer map: box AP     42.0 / 43.3")
print("DETR, ResNet-101 / finer map: box AP    43.5 / 44.9")
print("with the mask head, ResNet-50: mask AP  31.1")
ours = [100 * shipped["figures"][key] for key in ("box_AP", "mask_AP")]
print(f"ours on Pocket COCO, box / mask AP      {ours[0]:.1f} / {ours[1]:.1f}")

# %% [markdown] id="table-text"
# **All networks so far.** Mask AP and its parts are measured on the 300 validation images. Below
# the table is the time for one image as a multiple of Mask R-CNN's, measured on your machine just
# now.

# %% id="all-networks" tags=["nbval-check-output"]
from seglib import comparison

paradigms = ["mask_rcnn", "cascade_rcnn", "yolact", "solo", "polarmask", "detr"]
print(comparison.record_table(paradigms))

# %% id="seconds"
networks = {name: load(name, dataset.categories) for name in paradigms}
print(comparison.time_table(networks, image))

# %% [markdown] id="references"
# **Next**: [lesson 13](13_maskformer.ipynb) asks what boxes are still needed for, if a query can
# make a mask by one product with shared features.
#
# **References**
#
# - N. Carion and others. End-to-end object detection with transformers. *ECCV* 2020. arXiv
#   2005.12872.
# - A. Vaswani and others. Attention is all you need. *NeurIPS* 2017. arXiv 1706.03762.
# - H. W. Kuhn. The Hungarian method for the assignment problem. *Naval Research Logistics
#   Quarterly* 2, 1955. doi:10.1002/nav.3800020109.
# - H. Rezatofighi and others. Generalized intersection over union. *CVPR* 2019. arXiv 1902.09630.
# - X. Zhu and others. Deformable DETR. *ICLR* 2021. arXiv 2010.04159.
