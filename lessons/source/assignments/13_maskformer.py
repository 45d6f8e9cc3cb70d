# %% [markdown] id="intro"
# # Assignment 13: MaskFormer
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 13](../13_maskformer.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All floating-point tensors that the checks pass
# in, including the hidden ones, are float32.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. The label maps of a batch | 3 | 2/5 | 5/5 | 15 |
# | 2. Panoptic merging | 5 | 4/5 | 5/5 | 30 |
# | 3. Panoptic quality | 4 | 3/5 | 4/5 | 25 |

# %% id="imports" nbgrader="locked"
import torch
import torch.nn.functional as F

from seglib.models.maskformer import MaskFormer, MaskFormerConfig
from seglib.models.maskformer.inference import panoptic_map
from seglib.structures import Categories

# %% [markdown] id="task-labels"
# ## Task 1: the label maps of a batch
#
# *3 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# Derive label maps from the queries of several images at once. Three things differ from the lesson:
#
# - there is a dimension for the images;
# - as in the authors' code, "no object" is the **last** of the K class logits. Class 1 is the first
#   one, and the labels of the map run from 1 to K − 1;
# - the mask logits are smaller than the map. Enlarge the **logits** (bilinear), then take the
#   sigmoid.
#
# The score of a class at a pixel is the sum over the queries of class probability times mask
# probability. The largest score wins, but a pixel whose largest score is below `least` gets label
# 0.
#
# Example by hand: one image, one pixel, K = 3, two queries with the class probabilities
# (0.5, 0.25, 0.25) and (0.2, 0.6, 0.2) and the mask probabilities 0.8 and 0.5. Class 1 scores
# 0.5 · 0.8 + 0.2 · 0.5 = 0.5, class 2 scores 0.25 · 0.8 + 0.6 · 0.5 = 0.5 as well; with a mask
# probability of 0.9 for the first query it is 0.55 against 0.525, and the label is 1. If
# `least` is 0.6, it is 0.
#
# <details><summary>First hint</summary>
# Enlarge first, while the masks are still logits; <code>F.interpolate</code> takes [B, Q, h, w] as
# it is. Take the softmax over all K classes, and only then leave out the last one.
# </details>
# <details><summary>Second hint</summary>
# The sum over the queries is a product with a common letter: <code>torch.einsum("bqc,bqyx->bcyx",
# …)</code>. The maximum over the classes gives score and position at once; labels are positions
# plus 1.
# </details>

# %% id="labels" nbgrader="solution"
def label_maps(logits, masks, size, least=0.0):
    """logits: float [B, Q, K], "no object" last; masks: logits float [B, Q, h, w]; size: (H, W).

    Returns int64 [B, H, W]: labels 1…K-1, or 0 where the best score is below `least`.
    """
    ### BEGIN SOLUTION
    full = F.interpolate(masks, size, mode="bilinear").sigmoid()
    classes = logits.softmax(dim=-1)[..., :-1]
    scores = torch.einsum("bqc,bqyx->bcyx", classes, full)
    best, label = scores.max(dim=1)
    return torch.where(best < least, 0, label + 1)
    ### END SOLUTION

# %% id="labels-checks" nbgrader="checks" points=3
classes = torch.tensor([[[0.5, 0.25, 0.25], [0.2, 0.6, 0.2]]])


def one_pixel(first, least):
    """The example, with this mask probability of the first query."""
    drawn = torch.tensor([first, 0.5]).logit().view(1, 2, 1, 1)
    return label_maps(classes.log(), drawn, (1, 1), least)


got = one_pixel(0.9, 0.0)
assert got is not None, "label_maps returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor), f"return a tensor, yours is a {type(got).__name__}"
assert got.shape == (1, 1, 1), f"one image of one pixel is [1, 1, 1], yours is {list(got.shape)}"
assert got.dtype == torch.int64, f"labels are int64, yours are {got.dtype}"
assert got.item() != 0, "the example gives label 1, yours is 0: labels start at 1"
assert got.item() == 1, (
    f"the example gives label 1, yours {got.item()}: add the votes of all queries, and take the "
    "softmax over the classes of each query"
)
shy = torch.tensor([[[0.2, 0.1, 0.7]]]).log()
got = label_maps(shy, torch.full((1, 1, 1, 1), 9.0), (1, 1)).item()
assert got != 3, 'the last logit is "no object": it counts in the softmax, but no pixel gets it'
assert got == 1, (
    f'probabilities 0.2, 0.1, and 0.7 for "no object": label 1, yours {got}. "No object" is the '
    "last logit, not the first"
)
probabilities = (
    "Classes are probabilities, a softmax over all K logits of a query; masks are probabilities, a "
    "sigmoid each; the score is the sum over the queries"
)
assert one_pixel(0.9, 0.6).item() == 0, (
    f"the score is 0.55, below least = 0.6: label 0. {probabilities}"
)
assert one_pixel(0.9, 0.5).item() == 1, (
    f"the score is 0.55, not below least = 0.5: the label stays 1. {probabilities}"
)
assert one_pixel(0.7, 0.0).item() == 2, "with 0.7 it is 0.45 against 0.475: the label is 2"
sure = torch.tensor([[[9.0, 0, 0], [0, 9.0, 0]]])
edge = torch.tensor([[[-8.0, 4.0]], [[8.0, -4.0]]])[None]  # [1, 2, 1, 2]
got = label_maps(sure, edge, (1, 8))
assert got.shape == (1, 1, 8), f"size (1, 8) is one row of eight pixels, yours {list(got.shape)}"
got = got[0, 0].tolist()
assert got == [2, 2, 2, 2, 1, 1, 1, 1] or got == [2, 2, 2, 2, 2, 1, 1, 1], (
    f"a row of two cells enlarged to eight pixels: 2 on the left and 1 on the right, yours {got}"
)
tilted = torch.tensor([[[-1.0, 9.0]], [[-0.1, -0.1]]])[None]
got = label_maps(sure, tilted, (1, 8))[0, 0].tolist()
assert got != [2, 2, 2, 2, 1, 1, 1, 1], "enlarge bilinearly, so that masks are soft between cells"
assert got != [2, 2, 2, 1, 1, 1, 1, 1], (
    "enlarge the logits and then take the sigmoid; yours looks like enlarged probabilities"
)
assert got == [2, 2, 1, 1, 1, 1, 1, 1], f"expected 2, 2 and then six times 1, yours {got}"
torch.manual_seed(0)
logits, masks = torch.randn(2, 5, 4), torch.randn(2, 5, 3, 4)
both = label_maps(logits, masks, (6, 8))
assert both.shape == (2, 6, 8), f"size (6, 8), two images: [2, 6, 8], yours {list(both.shape)}"
alone = torch.cat([label_maps(logits[n : n + 1], masks[n : n + 1], (6, 8)) for n in range(2)])
assert torch.equal(both, alone), "an image's map must not depend on the other images of the batch"
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    batch, queries, kinds = 1 + seed % 3, 3 + seed, 2 + seed
    logits, masks = torch.randn(batch, queries, kinds), 2 * torch.randn(batch, queries, 4, 5)
    size, least = (8 + seed, 9), 0.2 * seed
    got = label_maps(logits, masks, size, least)
    full = F.interpolate(masks, size, mode="bilinear").sigmoid()
    for n in range(batch):
        scores = torch.zeros(kinds - 1, *size)
        for q in range(queries):
            for c in range(kinds - 1):
                scores[c] += logits[n, q].softmax(0)[c] * full[n, q]
        best, label = scores.max(0)
        clear = (scores.topk(2, dim=0).values.diff(dim=0)[0].abs() > 1e-4) if kinds > 2 else True
        clear = clear & ((best - least).abs() > 1e-4)
        wanted = torch.where(best < least, 0, label + 1)
        assert got[n][clear].equal(wanted[clear]), f"seed {seed}: the map of image {n} differs"
    free = label_maps(logits, masks, size)
    assert bool((free > 0).all()), f"seed {seed}: with least = 0 some pixels have no label"
    assert bool(((got == 0) | (got == free)).all()), (
        f"seed {seed}: `least` must only remove labels, not change them"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, least, no object, enlarged logits, a batch")

# %% [markdown] id="task-merge"
# ## Task 2: panoptic merging
#
# *5 points · difficulty 4/5 · importance 5/5 · 30 minutes*
#
# Make one map of segments that do not overlap, as Mask2Former does:
#
# 1. A query **enters** if its label is not 0 ("no object") and its score is **above**
#    `segment_threshold`. All others are ignored.
# 2. Each pixel is **won** by the query, among those that enter, with the largest product of score
#    and mask probability.
# 3. The **own mask** of a query is the set of pixels at which its mask probability is at least 0.5.
#    A query is dropped if its own mask is empty, or if the number of pixels that it won, divided by
#    the number of pixels of its own mask, is **below** `overlap_threshold`. The pixels of dropped
#    queries go to no other query.
# 4. A query that stays **paints** the pixels that it won *and* that lie in its own mask. If there
#    are none, there is no segment.
#
# Segments are numbered from 1 in the order of the queries. A thing is always a new segment. For
# stuff, all queries with the same label paint one segment, which has the number of the first of
# them.
#
# Example by hand: a row of four pixels and two cats. Query 0 has score 0.9 and mask probabilities
# 0.9, 0.9, 0.2, 0.1; query 1 has 1.0 and 0.1, 0.2, 0.6, 0.4. The products are 0.81, 0.81, 0.18,
# 0.09 and 0.1, 0.2, 0.6, 0.4: query 0 wins two pixels and has two of its own, query 1 wins two and
# has one of its own. Both stay; the last pixel is won by query 1 but lies outside its mask. The map
# is 1, 1, 2, 0.
#
# <details><summary>First hint</summary>
# First keep only what enters: scores, labels and masks of these queries, in their order. If nothing
# enters, there is no maximum to take.
# </details>
# <details><summary>Second hint</summary>
# <code>(scores[:, None, None] * masks).argmax(dim=0)</code> says who wins each pixel. Then go
# through the queries in a loop, with a dictionary from the label of stuff to its number.
# </details>

# %% id="merge" nbgrader="solution"
def merge_panoptic(scores, labels, masks, stuff, segment_threshold=0.8, overlap_threshold=0.8):
    """scores: float [Q], of each query's best label; labels: int64 [Q], 0 is "no object"; masks:
    probabilities float [Q, H, W]; stuff: the set of labels that are stuff.

    Returns (segment_map, found): int64 [H, W], 0 where there is no segment; and a list with the
    label of segment 1, of segment 2, and so on.
    """
    ### BEGIN SOLUTION
    entered = (labels > 0) & (scores > segment_threshold)
    scores, labels, masks = scores[entered], labels[entered], masks[entered]
    segment_map = torch.zeros(masks.shape[1:], dtype=torch.int64)
    found, number_of = [], {}
    if len(labels) == 0:
        return segment_map, found
    winner = (scores[:, None, None] * masks).argmax(dim=0)
    for query, label in enumerate(labels.tolist()):
        won, own = winner == query, masks[query] >= 0.5
        painted = won & own
        if not painted.any() or won.sum() / own.sum() < overlap_threshold:
            continue
        if label not in number_of or label not in stuff:
            found.append(label)
            number_of[label] = len(found)
        segment_map[painted] = number_of[label]
    return segment_map, found
    ### END SOLUTION

# %% id="merge-checks" nbgrader="checks" points=4
def merge(scores, labels, rows, **settings):
    """Masks of one row each; 7 and 8 are stuff."""
    masks = torch.tensor(rows)[:, None]  # [Q, 1, W]
    result = merge_panoptic(torch.tensor(scores), torch.tensor(labels), masks, {7, 8}, **settings)
    assert result is not None, "merge_panoptic returned None: is the `return` missing?"
    assert len(result) == 2, "return two things: the map and the list of labels"
    segment_map, found = result
    assert segment_map.dtype == torch.int64, f"the map is int64, yours {segment_map.dtype}"
    assert list(segment_map.shape) == [1, len(rows[0])], "the map is [H, W]"
    return segment_map[0].tolist(), list(found)


rows = [[0.9, 0.9, 0.2, 0.1], [0.1, 0.2, 0.6, 0.4]]
got = merge([0.9, 1.0], [3, 3], rows)
assert got[0] != [1, 1, 2, 2], "the last pixel lies outside the mask of query 1: paint only inside"
assert got != ([1, 1, 1, 0], [3]), "two cats are two segments: only stuff is joined"
assert got[0] != [0, 0, 1, 0], "segments are numbered from 1: 0 means that there is none"
assert got != ([1, 1, 0, 0], [3]), (
    "query 1 wins two pixels and has one of its own: 2 / 1 is not below 0.8, so it stays. Divide "
    "by the size of the own mask"
)
assert got == ([1, 1, 2, 0], [3, 3]), f"the example gives 1, 1, 2, 0 with two cats, yours {got}"
got = merge([0.9, 0.75], [3, 3], rows, segment_threshold=0.75)
assert got == ([1, 1, 0, 0], [3]), f"a score of 0.75 is not above 0.75: 1, 1, 0, 0, yours {got}"
got = merge([0.9, 0.7], [3, 3], rows, segment_threshold=0.6)
assert got[1] == [3, 3], "with segment_threshold = 0.6 a score of 0.7 enters: use the argument"
got = merge([0.99, 0.9], [0, 3], [[0.9] * 4, [0.8] * 4])
assert got == ([1] * 4, [3]), (
    f"query 0 says no object, so it wins nothing: 1, 1, 1, 1; yours is {got}. Forget such queries "
    "before you look for the winner"
)
got = merge([0.9, 1.0], [3, 4], [[0.7] * 4, [0.6] * 4])
assert got != ([1] * 4, [3, 4]), "a query that is dropped has no label in the list"
assert got == ([1] * 4, [3]), (
    f"0.9 · 0.7 is more than 1.0 · 0.6: query 0 wins all, yours {got}; the product decides"
)
got = merge([0.85, 1.0], [3, 4], [[0.7] * 4, [0.65] * 4])
assert got == ([1] * 4, [4]), (
    f"0.85 · 0.7 is less than 1.0 · 0.65: query 1 wins all, yours {got}; the product decides"
)
got = merge([0.95, 0.9], [3, 4], [[0.9] * 5 + [0.1], [0.8] * 6])
assert got == ([1] * 5 + [0], [3]), (
    f"query 1 wins one of its six pixels, so it is dropped, and its pixel stays 0; yours is {got}"
)
got = merge([0.95, 0.9], [3, 4], [[0.9] * 5 + [0.1], [0.8] * 6], overlap_threshold=0.1)
assert got == ([1] * 5 + [2], [3, 4]), (
    f"with overlap_threshold = 0.1 query 1 keeps the one pixel that it won of its six, yours {got}"
)
got = merge([1.0, 0.9], [3, 4], [[0.9] + [0.1] * 4, [0.6] * 5])
assert got == ([1, 2, 2, 2, 2], [3, 4]), (
    f"query 1 wins 4 of its 5 pixels: 0.8 is not below 0.8, so it stays; yours is {got}"
)
got = merge([1.0, 1.0, 1.0], [7, 3, 7], [[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]])
assert got == ([1, 2, 1], [7, 3]), (
    f"both queries with label 7, which is stuff, paint segment 1: 1, 2, 1; yours is {got}"
)
got = merge([1.0, 1.0], [7, 8], [[0.9, 0.1], [0.1, 0.9]])
assert got == ([1, 2], [7, 8]), f"two kinds of stuff are two segments: 1, 2; yours is {got}"
got = merge([1.0, 1.0], [3, 4], [[0.4, 0.3, 0.1], [0.1, 0.1, 0.9]])
assert got == ([0, 0, 1], [4]), (
    f"query 0 has no pixel with 0.5 or more: no segment, and the next one has number 1; yours {got}"
)
got = merge([1.0], [3], [[0.5, 0.4]])
assert got == ([1, 0], [3]), f"a probability of exactly 0.5 lies in the own mask; yours is {got}"
try:
    got = merge([0.3, 0.9], [3, 0], [[0.9] * 3, [0.9] * 3])
except (IndexError, RuntimeError) as fault:
    got = f"an error ({fault})"
assert got == ([0, 0, 0], []), f"nothing enters: a map of zeros and no labels, yours {got}"
### BEGIN HIDDEN TESTS
names = Categories.from_coco(
    [{"id": n, "name": f"class {n}", "isthing": int(n < 7)} for n in range(1, 9)]
)
for seed in range(10):
    torch.manual_seed(seed)
    queries = 4 + seed
    logits = 3 * torch.randn(queries, 9)
    drawn = F.interpolate(4 * torch.randn(1, queries, 3, 3), (9, 12), mode="bilinear")[0]
    scores, labels = logits.softmax(-1).max(-1)
    limits = (0.3 + 0.03 * seed, 0.2 + 0.06 * seed)
    got, found = merge_panoptic(scores, labels, drawn.sigmoid(), {7, 8}, *limits)
    wanted = panoptic_map(logits, drawn, names, *limits, inside_only=True)
    assert list(found) == wanted.labels.tolist(), f"seed {seed}: the labels differ"
    assert torch.equal(got, wanted.segment_map), f"seed {seed}: the map differs"
    more = torch.cat([scores, torch.tensor([0.99, 0.0])])
    kinds = torch.cat([labels, torch.tensor([0, 3])])
    covered = torch.cat([drawn.sigmoid(), torch.ones(2, 9, 12)])
    again, listed = merge_panoptic(more, kinds, covered, {7, 8}, *limits)
    assert (again.tolist(), list(listed)) == (got.tolist(), list(found)), (
        f"seed {seed}: queries that do not enter must change nothing"
    )
### END HIDDEN TESTS
print("✓ 4 of 4 points: entering, winning, dropping, painting, stuff, nothing")

# %% [markdown] id="real-text"
# Now use the queries of a real network, a fresh Mask2Former whose class scores have been made more
# confident. Your map must be the one that `predict` returns. (One of the five points.)

# %% id="real-checks" nbgrader="checks" points=1
torch.manual_seed(0)
some = Categories.from_coco(
    [{"id": 1, "name": "cat"}, {"id": 2, "name": "kite"}, {"id": 3, "name": "sky", "isthing": 0}]
)
network = MaskFormer(MaskFormerConfig.pocket(), some).eval()
torch.nn.init.normal_(network.class_embed.weight, std=1.0)  # a fresh network is sure of nothing
picture = torch.rand(3, 64, 96)
with torch.no_grad():
    output, theirs = network([picture]), network.predict([picture])[0].panoptic
large = F.interpolate(output.masks[-1], output.batch.canvas, mode="bilinear")[0, :, :64, :96]
scores, labels = output.logits[-1, 0].softmax(-1).max(-1)
result = merge_panoptic(scores, labels, large.sigmoid(), {3})
assert result is not None, "merge_panoptic returned None: is the `return` missing?"
assert list(result[1]) == theirs.labels.tolist(), (
    f"the network finds segments with the labels {theirs.labels.tolist()}, yours has "
    f"{list(result[1])}: do all checks above still pass?"
)
assert torch.equal(result[0], theirs.segment_map), (
    f"{int((result[0] != theirs.segment_map).sum())} pixels differ from the network's map: do all "
    "checks above still pass?"
)
print("✓ 1 of 1 point: the panoptic map of a whole Mask2Former")

# %% [markdown] id="task-quality"
# ## Task 3: panoptic quality
#
# *4 points · difficulty 3/5 · importance 4/5 · 25 minutes*
#
# The lesson prints PQ; now compute it, for one image and each class:
#
# $$\text{PQ} = \underbrace{\frac{\sum \text{IoU}}{|TP|}}_{\text{SQ}} \cdot
# \underbrace{\frac{|TP|}{|TP| + |FP| / 2 + |FN| / 2}}_{\text{RQ}}$$
#
# - A predicted and a true segment **match** if they have the same label and an IoU **above** 1/2.
#   Segments of one map do not overlap, so no segment can match two others.
# - $TP$ are the matched pairs, over which the IoUs are added; $FN$ the true segments without a
#   match, $FP$ the predicted ones.
# - Pixels with 0 in the truth are **void**: nobody knows what is there. They do not count in the
#   union, and a predicted segment without a match is *not* a false positive if **more than half**
#   of its pixels are void.
#
# **Transfer.** No cell of the lesson computes a measure.
#
# Example by hand: a row of ten pixels, all of one class. Truth 1111122222, prediction 1111222200,
# where 0 is "no segment". Segment 1: 4 of 5 pixels shared, IoU 0.8. Segment 2: pixels 4 to 7 are
# predicted, 5 to 9 are true: 3 of 6 shared, IoU 0.5, not above 1/2. So TP = 1, FP = 1, FN = 1: SQ =
# 0.8, RQ = 1 / 2, PQ = 0.4.
#
# <details><summary>First hint</summary>
# For each pair of a predicted and a true segment of one label count the shared pixels; the union is
# the sum of both areas, minus what they share, and minus the void pixels of the predicted one.
# </details>
# <details><summary>Second hint</summary>
# Keep two sets of numbers that have a match. A class counts if it occurs in one of the two
# dictionaries; without a match, its SQ is 0, and so is its PQ.
# </details>

# %% id="quality" nbgrader="solution"
def panoptic_quality(predicted, predicted_labels, truth, true_labels):
    """predicted, truth: int64 [H, W], numbers of segments, 0 is none or void; predicted_labels,
    true_labels: dictionaries from the number of each segment to its label.

    Returns a dictionary: label -> (PQ, SQ, RQ), floats, of all labels of both dictionaries, but
    without those that have neither a true positive, a false positive nor a false negative.
    """
    ### BEGIN SOLUTION
    void = truth == 0
    ious, hits, matched = {}, set(), set()
    for p, label in predicted_labels.items():
        for t, true_label in true_labels.items():
            mine, true = predicted == p, truth == t
            shared = (mine & true).sum().item()
            union = (mine & ~void).sum().item() + true.sum().item() - shared
            if label == true_label and shared > 0.5 * union:
                ious.setdefault(label, []).append(shared / union)
                hits.add(p)
                matched.add(t)
    result = {}
    for label in {*predicted_labels.values(), *true_labels.values()}:
        lost = sum(k == label and t not in matched for t, k in true_labels.items())
        false = 0
        for p, k in predicted_labels.items():
            mine = predicted == p
            known = (mine & void).sum() <= 0.5 * mine.sum()
            false += bool(k == label and p not in hits and known)
        own = ious.get(label, [])
        if len(own) + false + lost:
            sq = sum(own) / len(own) if own else 0.0
            rq = len(own) / (len(own) + false / 2 + lost / 2)
            result[label] = (sq * rq, sq, rq)
    return result
    ### END SOLUTION

# %% id="quality-checks" nbgrader="checks" points=4
def row(digits):
    """A map of one row from a string of digits."""
    return torch.tensor([[int(digit) for digit in digits]])


def quality(predicted, predicted_labels, truth, true_labels):
    """Rounded to three places."""
    got = panoptic_quality(row(predicted), predicted_labels, row(truth), true_labels)
    assert got is not None, "panoptic_quality returned None: is the `return` missing?"
    assert isinstance(got, dict), f"return a dictionary, yours is a {type(got).__name__}"
    return {label: tuple(round(float(v), 3) for v in values) for label, values in got.items()}


two = {1: 5, 2: 5}
got = quality("1111222200", two, "1111122222", two)
assert set(got) == {5}, f"the example has one class, 5; yours has {sorted(got)}"
assert len(got[5]) == 3, "three numbers for each class: PQ, SQ and RQ"
assert got[5] != (0.65, 0.65, 1.0), "segment 2 has an IoU of exactly 1/2, which is not a match"
assert got == {5: (0.4, 0.8, 0.5)}, (
    f"the example gives (0.4, 0.8, 0.5), yours {got[5]}. Segment 1 has IoU 4 / 5 and matches, "
    "segment 2 does not: SQ is the mean IoU of the matches, 0.8, and RQ = 1 / (1 + 1/2 + 1/2)"
)
got = quality("1111", {1: 5}, "1111", {1: 6})
assert got == {5: (0, 0, 0), 6: (0, 0, 0)}, (
    f"segments of different labels do not match: both classes have 0, 0, 0; yours is {got}"
)
got = quality("2211", {1: 5, 2: 6}, "1122", {1: 6, 2: 5})
assert got == {5: (1, 1, 1), 6: (1, 1, 1)}, (
    f"numbers of segments mean nothing, only labels do: all is right here, yours {got}"
)
got = quality("1111110000", {1: 5}, "1111000000", {1: 5})
assert got == {5: (1.0, 1.0, 1.0)}, (
    f"two of six predicted pixels are void and do not count in the union: IoU 1, yours {got}"
)
got = quality("1122220000", {1: 5, 2: 5}, "1100000000", {1: 5})
assert got == {5: (1.0, 1.0, 1.0)}, (
    f"segment 2 is predicted on void pixels alone: no false positive, yours {got}"
)
got = quality("1122330000", {1: 5, 2: 5, 3: 6}, "1144440000", {1: 5, 4: 7})
assert got == {5: (0.667, 1.0, 0.667), 6: (0, 0, 0), 7: (0, 0, 0)}, (
    f"one of two predicted segments of class 5 matches: RQ = 1 / 1.5; yours is {got}"
)
got = quality("1122", {1: 5, 2: 5}, "1130", {1: 5, 3: 6})
assert got[5] == (0.667, 1.0, 0.667), (
    "segment 2 lies on void with exactly half of its pixels: that is not more than half, so it is "
    f"a false positive; yours is {got}"
)
got = quality("1100", {1: 5}, "1122", {1: 5, 2: 5})
assert got == {5: (0.667, 1.0, 0.667)}, (
    f"a true segment without a match is a false negative: RQ = 1 / 1.5; yours is {got}"
)
got = quality("0000", {}, "0000", {})
assert got == {}, f"no segments at all: an empty dictionary, yours {got}"
try:
    got = quality("1100", {1: 5}, "0000", {})
except ZeroDivisionError:
    got = "a division by zero"
assert got == {}, (
    f"class 5 is predicted on void alone: neither right nor wrong, so it is left out; yours {got}"
)
### BEGIN HIDDEN TESTS
from seglib.metrics import PanopticEvaluator
from seglib.structures import Panoptic

kinds = Categories.from_coco(
    [{"id": n, "name": f"class {n}", "isthing": int(n < 3)} for n in range(1, 5)]
)


def as_panoptic(numbers, labels):
    ids, values = torch.tensor(list(labels)), torch.tensor(list(labels.values()))
    return Panoptic(numbers, ids.long(), values.long(), torch.zeros(len(labels)).bool())


for seed in range(8):
    torch.manual_seed(seed)
    truth = torch.randint(0, 5, (3, 4)).repeat_interleave(4, 0).repeat_interleave(3, 1)
    noise = torch.rand(truth.shape) < 0.05 * (seed + 1)
    predicted = torch.where(noise, torch.randint(0, 6, truth.shape), truth.roll(seed % 2, 1))
    true_labels = {n: 1 + n % 4 for n in truth.unique().tolist() if n}
    predicted_labels = {n: 1 + (n + (seed > 5)) % 4 for n in predicted.unique().tolist() if n}
    got = panoptic_quality(predicted, predicted_labels, truth, true_labels)
    judge = PanopticEvaluator(kinds)
    judge.update(as_panoptic(predicted, predicted_labels), as_panoptic(truth, true_labels))
    for label in range(1, 5):
        count = judge.counts[label]
        assert (label in got) == (not count.is_empty), f"seed {seed}: class {label}"
        if label in got:
            wanted = (count.quality, count.segmentation, count.recognition)
            assert all(abs(a - b) < 1e-6 for a, b in zip(got[label], wanted, strict=True)), (
                f"seed {seed}, class {label}: expected {wanted}, yours {got[label]}"
            )
    perfect = panoptic_quality(truth, true_labels, truth, true_labels)
    best = dict.fromkeys(true_labels.values(), (1, 1, 1))
    rounded = {label: tuple(round(v, 6) for v in values) for label, values in perfect.items()}
    assert rounded == best, f"seed {seed}: the truth itself, as a prediction, must have quality 1"
### END HIDDEN TESTS
print("✓ 4 of 4 points: the example, labels, void, false positives and negatives, nothing")
