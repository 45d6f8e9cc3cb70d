# %% [markdown] id="intro"
# # Assignment 12: DETR
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 12](../12_detr.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All floating-point tensors that the checks pass
# in, including the hidden ones, are float32; return float32 as well.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. Attention with heads and blocked keys | 4 | 3/5 | 5/5 | 15 |
# | 2. The cost matrix, and what each query learns | 5 | 3/5 | 5/5 | 25 |
# | 3. From a set of masks to one map | 4 | 3/5 | 3/5 | 20 |

# %% id="imports" nbgrader="locked"
import math

import torch

import seglib
from seglib import ops
from seglib.models.detr import DETR, DETRConfig
from seglib.structures import Categories

# %% [markdown] id="task-attention"
# ## Task 1: attention with heads and blocked keys
#
# *4 points · difficulty 3/5 · importance 5/5 · 15 minutes*
#
# Write multi-head attention with basic tensor operations: `matmul` or `@`, `softmax` and the like,
# but no attention function from PyTorch or the library.
#
# - `in_weight` contains three matrices, one above another: the first D rows project the queries,
#   the next D the keys, the last D the values; `in_bias` likewise. A projection of x is $x W^T +
#   b$, `x @ W.T + b`.
# - Head h reads channels $h \cdot D / \text{heads}$ up to $(h + 1) \cdot D / \text{heads}$ of each
#   projection, and divides its dot products by the square root of *its* number of channels.
# - Where `blocked` is true a query does not read a key: its weight is exactly 0, and the others
#   still sum to 1.
# - The outputs of the heads are put side by side, and the last matrix mixes them.
#
# Example by hand: one query, two keys, D = 1, one head, all weights 1 and all biases 0. The query
# is 0, the values are 4 and 8. All dot products are 0, so the weights are 1/2 and the output is 6.
# If the first key is blocked, the output is 8.
#
# <details><summary>First hint</summary>
# <code>chunk(3)</code> cuts weight and bias into the parts for queries, keys and values. Then give
# the heads a dimension of their own: [B, n, D] becomes [B, heads, n, D / heads].
# </details>
# <details><summary>Second hint</summary>
# With <code>unflatten(-1, (heads, -1))</code> and <code>transpose(1, 2)</code> one matrix product
# does all heads at once. Blocked scores become −∞ with <code>masked_fill</code>, before the softmax
# over the keys. Undo transpose and unflatten at the end.
# </details>


# %% id="attention" nbgrader="solution" forbidden="attention"
def multi_head(
    query, key, value, in_weight, in_bias, out_weight, out_bias, heads, blocked=None, dropout=0.0
):
    """query: [B, Q, D]; key, value: [B, K, D]; in_weight: [3 D, D]; in_bias: [3 D];
    out_weight: [D, D]; out_bias: [D]; heads: divides D;
    blocked: bool, None or a shape that broadcasts to [B, heads, Q, K]; dropout: always 0 here.

    Returns [B, Q, D].
    """
    ### BEGIN SOLUTION
    parts = []
    for x, weight, bias in zip(
        (query, key, value), in_weight.chunk(3), in_bias.chunk(3), strict=True
    ):
        projected = x @ weight.T + bias
        parts.append(projected.unflatten(-1, (heads, -1)).transpose(1, 2))
    q, k, v = parts
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if blocked is not None:
        scores = scores.masked_fill(blocked, -math.inf)
    mixed = scores.softmax(dim=-1) @ v
    return mixed.transpose(1, 2).flatten(2) @ out_weight.T + out_bias
    ### END SOLUTION


# %% id="attention-checks" nbgrader="checks" points=3
def simple(query, key, value, blocked=None, heads=1):
    """Attention without projections: all matrices are the identity, all biases 0."""
    size = query.shape[-1]
    identity, zero = torch.eye(size), torch.zeros(size)
    return multi_head(
        query, key, value, identity.repeat(3, 1), zero.repeat(3), identity, zero, heads, blocked
    )


one = torch.ones(1, 1, 1)
pair = torch.tensor([[[4.0], [8.0]]])
got = simple(0 * one, pair, pair)
assert got is not None, "multi_head returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor), f"return a tensor, yours is a {type(got).__name__}"
assert got.shape == (1, 1, 1), f"one query with D = 1 is [1, 1, 1], yours is {list(got.shape)}"
assert got.dtype == torch.float32, f"the output is float32, yours is {got.dtype}"
assert abs(got.item() - 6) < 1e-4, (
    f"the example gives 6, yours {got.item()}: the weights of the two keys are a softmax, 1/2 each"
)
got = simple(0 * one, pair, pair, torch.tensor([True, False])).item()
assert abs(got - 8) < 1e-4, (
    f"with the first key blocked the example gives 8; yours is {got}: True means blocked, and a "
    "blocked key gets the score −∞ before the softmax"
)
table = torch.tensor([[[1.0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]]])
asks, gives = torch.tensor([[[2.0, 2, 0, 0]]]), torch.tensor([[10.0, 20, 40]]).expand(4, 3).T[None]
got = simple(asks, table, gives)[0, 0, 0].item()
assert abs(got - 15.15) < 0.01, (
    f"the lesson's look-up gives 15.15, yours {got:.2f}: divide by √d before the softmax over keys"
)
got = simple(asks, table, gives, heads=2)[0, 0].tolist()
assert [round(v, 1) for v in got] == [13.2, 13.2, 23.3, 23.3], (
    "the look-up with two heads: head 0 sees channels 0 and 1, head 1 channels 2 and 3, and d is "
    f"then 2. Expected 13.2, 13.2, 23.3, 23.3; yours is {[round(v, 1) for v in got]}"
)


def layer_of(size, heads, seed):
    """A layer of PyTorch's with random weights and biases, and its four parameters."""
    torch.manual_seed(seed)
    layer = torch.nn.MultiheadAttention(size, heads, batch_first=True)
    torch.nn.init.normal_(layer.in_proj_bias)
    torch.nn.init.normal_(layer.out_proj.bias)
    projection = layer.out_proj
    return layer, (layer.in_proj_weight, layer.in_proj_bias, projection.weight, projection.bias)


def compare(batch, queries, count, size, heads, seed):
    """Yours and PyTorch's, without blocking."""
    layer, weights = layer_of(size, heads, seed)
    q, k, v = (torch.randn(batch, n, size) for n in (queries, count, count))
    with torch.no_grad():
        return multi_head(q, k, v, *weights, heads), layer(q, k, v)[0]


got, wanted = compare(1, 3, 5, 8, 1, seed=0)
assert got.shape == wanted.shape, f"[1, 3, 8] is expected, yours is {list(got.shape)}"
assert torch.allclose(got, wanted, atol=1e-4), (
    "one head, random weights: yours differs from PyTorch's. Each projection is x @ W.T + b with "
    "its own third of in_weight and in_bias; the output is mixed @ out_weight.T + out_bias"
)
got, wanted = compare(2, 3, 5, 8, 4, seed=1)
assert got.shape == wanted.shape, f"two images: [2, 3, 8], yours is {list(got.shape)}"
assert torch.allclose(got, wanted, atol=1e-4), (
    "four heads, random weights: yours differs from PyTorch's. Cut the channels into heads of "
    "equal size, in order; the heads' outputs stand side by side, in order"
)
layer, weights = layer_of(8, 2, seed=2)
q, k = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
padding = torch.tensor([[False] * 5, [False, False, True, True, False]])
with torch.no_grad():
    got = multi_head(q, k, k, *weights, 2, padding[:, None, None])
    wanted, _ = layer(q, k, k, key_padding_mask=padding)
assert torch.allclose(got[0], wanted[0], atol=1e-4), "an image without blocked keys was changed"
assert torch.allclose(got[1], wanted[1], atol=1e-4), (
    "keys 2 and 3 of the second image are blocked, [B, 1, 1, K]; yours differs from PyTorch's"
)
### BEGIN HIDDEN TESTS
for seed in range(4):
    got, wanted = compare(1 + seed, 2 + seed, 7 - seed, 12, (1, 2, 3, 6)[seed], seed)
    assert torch.allclose(got, wanted, atol=1e-4), f"seed {seed}: differs from PyTorch's"
    layer, weights = layer_of(12, 3, seed)
    q, k, v = (torch.randn(2, n, 12) for n in (4, 6, 6))
    masked = torch.rand(4, 6) < 0.4
    masked[:, seed] = False
    with torch.no_grad():
        got = multi_head(q, k, v, *weights, 3, masked)
        wanted, _ = layer(q, k, v, attn_mask=masked)
    assert torch.allclose(got, wanted, atol=1e-4), (
        f"seed {seed}: with a mask for each pair of query and key yours differs from PyTorch's"
    )
    key_blocked = torch.arange(6) == seed
    changed = torch.where(key_blocked[:, None], torch.full_like(v, 1e4), v)
    with torch.no_grad():
        before = multi_head(q, k, v, *weights, 3, key_blocked)
        after = multi_head(q, k, changed, *weights, 3, key_blocked)
    assert torch.allclose(before, after, atol=1e-4), f"seed {seed}: a blocked value was read"
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, the look-up, heads, projections, blocked keys")

# %% [markdown] id="attention-real-text"
# Now a whole DETR runs on your function: all its nine attentions, on two images of different size,
# so that the smaller one has padding, which must not be read. (One of the four points.)

# %% id="attention-real" nbgrader="checks" points=1
torch.manual_seed(0)
kinds = Categories.from_coco([{"id": n, "name": f"kind {n}"} for n in (1, 2, 3)])
network = DETR(DETRConfig.pocket(), kinds).eval()
images = [torch.rand(3, 64, 96), torch.rand(3, 48, 64)]
calls = []


def counted(*arguments, **named):
    calls.append(arguments)
    return multi_head(*arguments, **named)


with torch.no_grad():
    wanted = network(images)
    with seglib.use(multi_head_attention=counted):
        got = network(images)
assert len(calls) == 9, f"three encoder and three decoder layers make 9 calls, not {len(calls)}"
for n, words in enumerate(("without padding", "with padding")):
    apart = (got.boxes[-1, n] - wanted.boxes[-1, n]).abs().max()
    assert apart < 1e-4, (
        f"the boxes of the image {words} are up to {apart:.3g} away from the network's: do all "
        "checks above still pass?"
    )
print("✓ 1 of 1 point: a whole DETR runs on your attention")

# %% [markdown] id="task-cost"
# ## Task 2: the cost matrix, and what each query learns
#
# *5 points · difficulty 3/5 · importance 5/5 · 25 minutes*
#
# For one image, compute the cost of every pair of query and object,
#
# $$\text{cost} = -p + 5\,\lVert b - \hat b \rVert_1 - 2\,\text{GIoU}(b, \hat b),$$
#
# where $p$ is the probability (softmax over all classes and "no object") that the query assigns to
# the object's class. Then find the cheapest pairing, and return the class that each query must
# learn: that of its object, or 0, "no object". `ops.hungarian` takes costs [N, M] and returns rows
# and columns.
#
# Write the generalized IoU yourself, without the library's, for all pairs at once. From the corners
# of two boxes (`ops.cxcywh_to_xyxy`), it is the IoU minus the area of the smallest box around both
# that neither of them covers, divided by that box's area. Boxes that do not touch share nothing.
#
# Example by hand: the class logits of one query are (0, 0, 0), so each class has $p = 1/3$. Its box
# is (0.5, 0.5, 0.2, 0.2). The object has label 2 and the box (0.5, 0.5, 0.4, 0.4). The L1 distance
# is 0.4; the smaller box lies inside the larger one, so IoU and GIoU are 0.04 / 0.16 = 0.25. The
# cost is $-0.333 + 2 - 0.5 = 1.167$, and the query learns 2.
#
# <details><summary>First hint</summary>
# Broadcast queries as [Q, 1, 4] against objects as [1, G, 4]. The distance uses the boxes as they
# are given; only the GIoU needs corners.
# </details>
# <details><summary>Second hint</summary>
# <code>probabilities[:, labels]</code> picks a column per object. Negative sides of an intersection
# become 0 with <code>clamp</code>; the box around both never has negative sides. The targets start
# as zeros, and the pairs of <code>ops.hungarian</code> fill in the labels.
# </details>


# %% id="cost" nbgrader="solution" forbidden="generalized_box_iou"
def costs_and_targets(logits, boxes, labels, truth):
    """logits: [Q, C + 1], class 0 is "no object"; boxes: [Q, 4] and truth: [G, 4], centre x and y,
    width and height, in parts of the image's sides; labels: int64 [G], 1…C. G is at most Q, and may
    be 0.

    Returns the costs, float [Q, G], and the class that each query learns, int64 [Q].
    """
    ### BEGIN SOLUTION
    probabilities = logits.softmax(dim=1)
    distance = (boxes[:, None] - truth).abs().sum(dim=-1)
    a, b = ops.cxcywh_to_xyxy(boxes)[:, None], ops.cxcywh_to_xyxy(truth)
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    union = boxes[:, None, 2:].prod(dim=-1) + truth[:, 2:].prod(dim=-1) - shared
    low, high = torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])
    around = (high - low).prod(dim=-1)
    overlap = shared / union - (around - union) / around
    cost = -probabilities[:, labels] + 5 * distance - 2 * overlap
    rows, columns = ops.hungarian(cost)
    wanted = torch.zeros(len(logits), dtype=torch.int64)
    wanted[rows] = labels[columns]
    return cost, wanted
    ### END SOLUTION


# %% id="cost-checks" nbgrader="checks" points=4
def boxes_of(*rows):
    return torch.tensor([[float(v) for v in row] for row in rows])


got = costs_and_targets(
    torch.zeros(1, 3),
    boxes_of((0.5, 0.5, 0.2, 0.2)),
    torch.tensor([2]),
    boxes_of((0.5, 0.5, 0.4, 0.4)),
)
assert got is not None, "costs_and_targets returned None: is the `return` missing?"
assert isinstance(got, tuple) and len(got) == 2, "return two tensors: the costs, and the classes"
cost, wanted = got
assert cost.shape == (1, 1), f"one query and one object: costs [1, 1], yours {list(cost.shape)}"
assert cost.dtype == torch.float32, f"the costs are float32, yours are {cost.dtype}"
assert wanted.dtype == torch.int64, f"the classes are int64, yours are {wanted.dtype}"
assert wanted.shape == (1,), f"one class for each query, [1]; yours is {list(wanted.shape)}"
value = cost.item()
assert abs(value - 1.5) > 1e-3, "p is a probability, the softmax of the logits, not a logit"
assert abs(value - 1.167) < 1e-3, (
    f"the example costs −0.333 + 2 − 0.5 = 1.167, yours {value:.3f}: the three terms are the "
    "softmax probability, 5 · 0.4 and 2 · 0.25. The GIoU needs corners: does yours take centre and "
    "sides for them?"
)
assert wanted.tolist() == [2], f"the query learns its object's label, 2; yours is {wanted.tolist()}"

centre, aside = (0.5, 0.5, 0.4, 0.4), (0.1, 0.5, 0.2, 0.4)
sure = torch.tensor([[0.2, 0.8], [0.7, 0.3]]).log()  # logits with these probabilities
cost, _ = costs_and_targets(
    sure, boxes_of((0.6, 0.5, 0.4, 0.4), aside), torch.tensor([1]), boxes_of(centre)
)
assert cost.shape == (2, 1), (
    f"two queries, one object: a row per query, [2, 1], yours {list(cost.shape)}"
)
assert abs(cost[0, 0] + 0.9) > 1e-3, "label 1 is column 1 of the logits: column 0 is 'no object'"
assert abs(cost[0, 0] + 1.5) < 1e-3, (
    f"the lesson's first query costs −1.5, yours {cost[0, 0]:.3f}: the distance is that of centres "
    "and sides, as the boxes are given; the GIoU needs corners"
)
assert abs(cost[1, 0] - 2.986) < 1e-3, (
    f"the lesson's second query costs −0.3 + 3 + 0.286 = 2.986, yours {cost[1, 0]:.3f}: its box "
    "does not touch the object's, and the GIoU is then negative"
)
three = torch.zeros(3, 5)  # each of the five classes has p = 0.2
places = boxes_of((0.2, 0.2, 0.2, 0.2), (0.5, 0.5, 0.2, 0.2), (0.8, 0.8, 0.2, 0.2))
cost, wanted = costs_and_targets(three, places, torch.tensor([4, 3]), places[[2, 0]])
assert cost.shape == (3, 2), f"a row per query, a column per object: [3, 2], yours {cost.shape}"
assert abs(cost[0, 0] - 7.55) < 1e-3, (
    "boxes of 0.2 × 0.2 at (0.2, 0.2) and (0.8, 0.8) are apart in both directions, and share "
    f"nothing: −0.2 + 5 · 1.2 + 2 · 0.56 / 0.64 = 7.55, yours {cost[0, 0]:.3f}: "
    "two negative sides must not make an area"
)
assert wanted.tolist() == [3, 0, 4], (
    "the first object, label 4, lies on query 2, the second, label 3, on query 0; query 1 has "
    f"none. Expected [3, 0, 4], yours {wanted.tolist()}"
)
near = boxes_of((0.50, 0.5, 0.2, 0.2), (0.56, 0.5, 0.2, 0.2))
objects = boxes_of((0.52, 0.5, 0.2, 0.2), (0.42, 0.5, 0.2, 0.2))
cost, wanted = costs_and_targets(torch.zeros(2, 4), near, torch.tensor([1, 3]), objects)
assert wanted.tolist() == [3, 1], (
    "query 0 is the nearest to both objects, but each query gets one: together it is cheapest if "
    f"query 0 gets label 3 and query 1 label 1. Expected [3, 1], yours {wanted.tolist()}"
)
lean = torch.zeros(2, 3)
lean[0, 1], lean[1, 2] = 5, 5
same = boxes_of(centre, centre)
_, wanted = costs_and_targets(lean, same, torch.tensor([2, 1]), same)
assert wanted.tolist() == [1, 2], (
    f"two equal boxes: the classes decide, and query 0 gives class 1; yours is {wanted.tolist()}"
)
cost, wanted = costs_and_targets(three, places, torch.zeros(0).long(), torch.zeros(0, 4))
assert cost.shape == (3, 0), f"without objects the costs are [3, 0], yours {list(cost.shape)}"
assert wanted.tolist() == [0, 0, 0], f"without objects all learn 0, yours {wanted.tolist()}"
### BEGIN HIDDEN TESTS
for seed in range(8):
    torch.manual_seed(seed)
    queries, count, classes = 3 + seed, min(seed, 6), 2 + seed
    logits, labels = 2 * torch.randn(queries, classes + 1), torch.randint(1, classes + 1, (count,))
    found, truth = 0.1 + 0.6 * torch.rand(queries, 4), 0.1 + 0.6 * torch.rand(count, 4)
    cost, wanted = costs_and_targets(logits, found, labels, truth)
    expected = torch.zeros(queries, count)
    for q in range(queries):
        shares = logits[q].exp() / logits[q].exp().sum()
        for g in range(count):
            (ax, ay, aw, ah), (bx, by, bw, bh) = found[q].tolist(), truth[g].tolist()
            left, right = max(ax - aw / 2, bx - bw / 2), min(ax + aw / 2, bx + bw / 2)
            top, bottom = max(ay - ah / 2, by - bh / 2), min(ay + ah / 2, by + bh / 2)
            shared = max(0, right - left) * max(0, bottom - top)
            union = aw * ah + bw * bh - shared
            wide = max(ax + aw / 2, bx + bw / 2) - min(ax - aw / 2, bx - bw / 2)
            tall = max(ay + ah / 2, by + bh / 2) - min(ay - ah / 2, by - bh / 2)
            overlap = shared / union - (wide * tall - union) / (wide * tall)
            apart = abs(ax - bx) + abs(ay - by) + abs(aw - bw) + abs(ah - bh)
            expected[q, g] = -shares[labels[g]] + 5 * apart - 2 * overlap
    assert torch.allclose(cost, expected, atol=1e-4), f"seed {seed}: the costs differ"
    rows, columns = ops.hungarian(expected)
    targets = torch.zeros(queries).long()
    targets[rows] = labels[columns]
    assert wanted.tolist() == targets.tolist(), (
        f"seed {seed}: expected the classes {targets.tolist()}, yours {wanted.tolist()}"
    )
    again, _ = costs_and_targets(logits, found, labels.flip(0), truth.flip(0))
    assert torch.allclose(again, expected.flip(1), atol=1e-4), (
        f"seed {seed}: the same objects in another order have other costs"
    )
### END HIDDEN TESTS
print("✓ 4 of 4 points: the costs by hand, corners, one-to-one pairs, no objects")

# %% [markdown] id="cost-real-text"
# Your targets must be those of a whole DETR. The check computes the network's class loss from them,
# with the weight 0.1 for "no object". (One of the five points.)

# %% id="cost-real" nbgrader="checks" points=1
from seglib.structures import Target

masks = torch.zeros(2, 64, 64, dtype=torch.bool)
masks[0, 8:40, 4:30], masks[1, 30:60, 20:60] = True, True
corners = torch.tensor([[4.0, 8, 30, 40], [20, 30, 60, 60]])
target = Target(
    corners,
    torch.tensor([3, 1]),
    masks,
    torch.zeros(2, dtype=torch.bool),
    masks.sum(dim=(1, 2)).float(),
    size=(64, 64),
)
torch.manual_seed(1)
picture = torch.rand(3, 64, 64)
with torch.no_grad():
    answer, losses = network([picture]), network.loss([picture], [target])
theirs = losses["class_loss"].item()
relative = ops.xyxy_to_cxcywh(corners / 64)
mine = costs_and_targets(answer.logits[-1, 0], answer.boxes[-1, 0], target.labels, relative)
assert mine is not None, "costs_and_targets returned None: is the `return` missing?"
weight = torch.tensor([0.1, 1, 1, 1])
loss = torch.nn.functional.cross_entropy(answer.logits[-1, 0], mine[1], weight).item()
assert abs(loss - theirs) < 1e-4, (
    f"with your targets the class loss is {loss:.4f}, the network's is {theirs:.4f}: do all checks "
    "above still pass?"
)
print("✓ 1 of 1 point: the targets of a whole DETR")

# %% [markdown] id="task-map"
# ## Task 3: from a set of masks to one map
#
# *4 points · difficulty 3/5 · importance 3/5 · 20 minutes*
#
# The masks of a set may overlap. A panoptic map assigns each pixel to one of them. DETR makes it as
# follows:
#
# 1. Only queries with a score above `threshold` take part.
# 2. Each pixel goes to the query with the largest mask logit there (even if it is negative).
# 3. Queries that got at most `smallest` pixels are removed, all at once, and step 2 is repeated
#    with the others.
#
# Return the index of each pixel's query, as the arguments number them, or −1 everywhere if no query
# takes part or remains.
#
# **Transfer.** No cell of the lesson builds this map.
#
# Example by hand: one row of four pixels, `smallest` = 1. Query 0 has the logits (3, 1, 1, 1),
# query 1 (0, 2, 0, 2), query 2 (9, 9, 9, 9) but a score of 0.5, so it does not take part. Step 2
# gives 0, 1, 0, 1: two pixels each, and no query is removed. With `smallest` = 2 both would be
# removed, and all pixels be −1.
#
# <details><summary>First hint</summary>
# Keep a list of the indices that still take part. Step 2 is an <code>argmax</code> over their masks
# alone, so its result counts within your list, not within the arguments.
# </details>
# <details><summary>Second hint</summary>
# <code>torch.bincount(winner.flatten(), minlength=len(alive))</code> gives the number of pixels of
# each, even of those that got none. A query without pixels is removed as well.
# </details>


# %% id="map" nbgrader="solution"
def panoptic_map(scores, mask_logits, threshold=0.85, smallest=4):
    """scores: float [Q]; mask_logits: float [Q, H, W]. All logits at a pixel differ.

    Returns int64 [H, W]: the index 0…Q-1 of the query that gets the pixel, or -1.
    """
    ### BEGIN SOLUTION
    alive = (scores > threshold).nonzero()[:, 0]
    if len(alive):
        winner = mask_logits[alive].argmax(dim=0)
        counts = torch.bincount(winner.flatten(), minlength=len(alive))
        alive = alive[counts > smallest]
    if len(alive) == 0:
        return torch.full(mask_logits.shape[1:], -1)
    return alive[mask_logits[alive].argmax(dim=0)]
    ### END SOLUTION


# %% id="map-checks" nbgrader="checks" points=4
row = torch.tensor([[[3.0, 1, 1, 1]], [[0, 2, 0, 2]], [[9, 9, 9, 9]]])
trust = torch.tensor([0.9, 0.95, 0.5])
got = panoptic_map(trust, row, smallest=1)
assert got is not None, "panoptic_map returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor), f"return a tensor, yours is a {type(got).__name__}"
assert got.shape == (1, 4), f"a map of one row is [1, 4], yours is {list(got.shape)}"
assert got.dtype == torch.int64, f"indices are int64, yours are {got.dtype}"
assert got.tolist() != [[1, 2, 1, 2]], "the first query has the index 0"
assert 2 not in got.tolist()[0], "query 2 has a score of 0.5, below the threshold: it takes no part"
assert got.tolist() == [[0, 1, 0, 1]], f"the example gives [0, 1, 0, 1], yours {got.tolist()[0]}"
got = panoptic_map(trust, row, smallest=2)
assert got.tolist() == [[-1] * 4], (
    "`smallest` = 2: both have 2 pixels, at most 2, and go, all at once: if one goes first, the "
    "other inherits its pixels and stays. All pixels are −1, yours "
    f"{got.tolist()[0]}"
)
got = panoptic_map(trust[[2, 0, 1]], row[[2, 0, 1]], smallest=1)
assert got.tolist() == [[1, 2, 1, 2]], (
    "the same three with query 2 first: the map contains the indices of the arguments, 1 and 2; "
    f"yours {got.tolist()[0]}"
)
got = panoptic_map(trust, row, threshold=0.4, smallest=1)
assert got.tolist() == [[2] * 4], (
    f"with a threshold of 0.4 query 2 takes part and wins everywhere; yours {got.tolist()[0]}: use "
    "the argument"
)
got = panoptic_map(trust[:2], -10 + row[:2], smallest=1)
assert got.tolist() == [[0, 1, 0, 1]], (
    f"negative logits: the largest still gets the pixel; yours is {got.tolist()[0]}"
)
close = torch.tensor([[[2.0, 2, 2, 2]], [[2.1, 1, 2.1, 1]]])
got = panoptic_map(torch.tensor([1.0, 0.9]), close, smallest=1)
assert got.tolist() == [[1, 0, 1, 0]], (
    "logits 2 and 2.1, scores 1 and 0.9: the larger logit gets the pixel, whatever the scores are; "
    f"yours {got.tolist()[0]}"
)
spot = torch.zeros(3, 4, 4)
spot[0], spot[1, 0, 0], spot[2], spot[2, 2:] = 1, 5, -1, 4
got = panoptic_map(torch.tensor([0.9, 0.99, 0.9]), spot)
assert got[0, 0] == 0, (
    "query 1 wins a single pixel, is removed, and the pixel goes to query 0, the next best there; "
    f"yours has {got[0, 0].item()}"
)
assert got.tolist() == [[0] * 4] * 2 + [[2] * 4] * 2, (
    f"queries 0 and 2 remain; yours is {got.tolist()}"
)
hidden = torch.tensor([[[5.0, 5, 5, 5, 5]], [[1, 1, 1, 1, 1]], [[0, 0, 0, 0, 9]]])
got = panoptic_map(torch.full((3,), 0.9), hidden, smallest=1)
assert got.tolist() == [[0] * 5], f"query 0 wins everything in the end; yours is {got.tolist()[0]}"
again = torch.tensor(
    [[[9.0, 9, 0, 0, 0, 2, 2]], [[1, 1, 8, 8, 8, 1, 1]], [[2, 2, 0.5, 0.5, 0.5, 9, 9]]]
)
got = panoptic_map(torch.full((3,), 0.9), again, smallest=2)
assert got.tolist() == [[1] * 7], (
    "queries 0 and 2 have two pixels each: both are removed at once, and query 1 gets all. If "
    f"query 0 is removed first, query 2 inherits two pixels and stays. Yours is {got.tolist()[0]}"
)
got = panoptic_map(torch.tensor([0.5]), torch.ones(1, 3, 3), threshold=0.5)
assert got.tolist() == [[-1] * 3] * 3, "a score of exactly the threshold is not above it: all −1"
### BEGIN HIDDEN TESTS
for seed in range(12):
    torch.manual_seed(seed)
    queries, high, wide = 2 + seed % 6, 4 + seed % 3, 5 + seed % 4
    scores, logits = 0.7 + 0.3 * torch.rand(queries), torch.randn(queries, high, wide)
    least = seed % 5 + 1
    takes = [q for q in range(queries) if scores[q] > 0.8]
    for _ in range(2):
        if not takes:
            expected = [[-1] * wide for _ in range(high)]
            break
        expected = [
            [max(takes, key=lambda q: logits[q, r, c].item()) for c in range(wide)]
            for r in range(high)
        ]
        flat = [q for line in expected for q in line]
        takes = [q for q in takes if flat.count(q) > least]
    if not takes:
        expected = [[-1] * wide for _ in range(high)]
    got = panoptic_map(scores, logits, threshold=0.8, smallest=least).tolist()
    assert got == expected, f"seed {seed}: expected {expected}, yours {got}"
    turned = panoptic_map(scores.flip(0), logits.flip(0), threshold=0.8, smallest=least)
    turned = torch.where(turned < 0, -1, queries - 1 - turned).tolist()
    assert turned == expected, f"seed {seed}: the same queries in another order give another map"
    sure = scores.where(scores <= 0.8, 1.0)
    got = panoptic_map(sure, logits, threshold=0.8, smallest=least).tolist()
    assert got == expected, f"seed {seed}: above the threshold, scores must not change the map"
### END HIDDEN TESTS
print("✓ 4 of 4 points: the example, thresholds, small segments removed and given away")
