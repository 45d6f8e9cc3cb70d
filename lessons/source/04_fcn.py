# %% [markdown] id="start"
# # 04. Fully convolutional networks
#
# A classifier looks at a picture and returns one word. In this lesson you will turn such a
# classifier, weights and all, into a network that names every pixel. Two ideas do it: a fully
# connected layer is a convolution in disguise, and the operation that carried gradients *back* in
# lesson 02 can carry scores *up* to the full picture. Then you will see what this network cannot do
# at all.
#
# **You will be able to**
#
# 1. turn a fully connected head into convolutions with the same weights, and run it on images of
#    any size;
# 2. compute a transposed convolution by stamping, and say why it is not an inverse;
# 3. build the bilinear kernel, and say why training starts from it;
# 4. add scores of stride 32, 16 and 8 with the right crops, and say why skips help;
# 5. read mean IoU and pixel accuracy from a confusion matrix, and explain why a class for every
#    pixel does not count objects.
#
# **You need first** [lesson 02](02_convolution.ipynb) (convolution, stamping), [lesson
# 03](03_backbones.ipynb) (stride, receptive field, "overfit one batch").
# **Time** about 70 minutes to read, about a minute to run.

# %% id="imports"
import torch
from torch.nn import functional as F

import seglib
from seglib import ops, plotting
from seglib.data import load_dataset
from seglib.pretrained import load

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
held_out = min(60, len(dataset) // 3)  # images for measuring; the others may be trained on
samples = [dataset[i] for i in range(held_out)]
truths = [target.semantic for _, target in samples]  # each [H, W]
models = {name: load(f"fcn-{name}", dataset.categories) for name in ("32s", "16s", "8s")}
label_maps = {k: [m.predict([x])[0].semantic for x, _ in samples] for k, m in models.items()}
print(f"{dataset.name}: {len(dataset)} images, the first {held_out} to measure on")

# %% id="first-picture" alt="An image, the label maps of FCN-32s, FCN-16s and FCN-8s, and the true map. The first is made of large blobs; each of the next two follows the outlines more closely, and only the thinnest parts are missing from the last."
def good_to_show(index):
    """Many classes, most of whose pixels FCN-8s gets right."""
    right = (label_maps["8s"][index] == truths[index]) | (truths[index] == 255)  # 255: ignored
    return right.float().mean() + 0.02 * len(truths[index].unique())


chosen = max(range(held_out), key=good_to_show)
image, target = samples[chosen]
answers = {f"FCN-{name}": maps[chosen] for name, maps in label_maps.items()}
plotting.score_maps(image, answers, truths[chosen], dataset.categories)

# %% [markdown] id="first-picture-read"
# These are three networks with the same kind of backbone, on a picture on which FCN-8s does well.
# The number is the stride, in pixels, of the finest score map that is used on the way back to
# pixels.

# %% [markdown] id="problem"
# ## The problem: one word for a whole picture
#
# Classifiers such as AlexNet and VGG end in fully connected layers: the last feature map is
# flattened into one long row of numbers, and each class gets a weighted sum of all of them.
# *Where* things are is lost.
#
# A simple way out is the **sliding window**: classify the patch around every pixel (Ciresan and
# others 2012). **Predict before you run:** patches of 38 × 38 pixels, one at every place where a
# patch fits into an image of 128 × 128. How often does the network read an average pixel? About 7
# times, 70 times, or 700 times?

# %% id="sliding-cost" tags=["nbval-check-output"]
patch, side = 38, 128
windows = (side - patch + 1) ** 2
print(f"{windows:,} patches of {patch * patch:,} pixels for an image of {side * side:,}")
print(f"each pixel is read {windows * patch**2 / side**2:.0f} times on average")

# %% [markdown] id="history"
# Neighbouring patches share nearly all of their pixels. Long, Shelhamer and Darrell (2015) removed
# the waste: their network takes the whole image at once. Nearly every later method on the timeline
# has such a **fully convolutional network** inside.

# %% id="timeline" alt="A timeline of papers from AlexNet in 2012 to Mask2Former in 2022; FCN is marked in 2015, in the same year as VGG and DeepMask, two years before Mask R-CNN."
plotting.timeline(highlight="FCN")

# %% [markdown] id="idea"
# ## The idea, in four parts
#
# ### One: the head is a convolution
#
# Start with a classifier small enough to train while you watch. It answers one question about a
# patch of 38 × 38 pixels: does the patch's centre lie on an annotated object? Its head is fully
# connected.

# %% id="classifier" tags=["nbval-check-output"]
conv, relu, pool = torch.nn.Conv2d, torch.nn.ReLU(), torch.nn.MaxPool2d(2)
backbone = torch.nn.Sequential(
    conv(3, 16, 3), relu, pool,  # 38 -> 36 -> 18
    conv(16, 24, 3), relu, pool,  # 18 -> 16 -> 8
    conv(24, 32, 3), relu, pool,  # 8 -> 6 -> 3
)  # fmt: skip
head = torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(32 * 3 * 3, 64), relu, torch.nn.Linear(64, 2)
)
classifier = torch.nn.Sequential(backbone, head)
crop = image[None, :, :38, :38]
print(f"patch    {list(crop.shape)}")
print(f"backbone {list(backbone(crop).shape)}")
print(f"head     {list(classifier(crop).shape)}")

# %% id="train-classifier" tolerance=0.06
from seglib.data.patches import object_patches  # patches, and whether an object is in the centre

torch.manual_seed(0)
for layer in (*backbone, *head):
    if hasattr(layer, "reset_parameters"):
        layer.reset_parameters()  # so that running the cell again starts from the beginning
practice = [dataset[i] for i in range(held_out, min(held_out + 90, len(dataset)))]
patches, labels = object_patches(practice, size=38, count=2400, seed=0)
optimizer = torch.optim.Adam(classifier.parameters(), lr=3e-3)
for step in range(100):
    rows = slice(step % 50 * 48, step % 50 * 48 + 48)
    loss = F.cross_entropy(classifier(patches[rows] - 0.5), labels[rows])  # colours centred on 0
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
patches, labels = object_patches(samples, size=38, count=1000, seed=1)
correct = (classifier(patches - 0.5).argmax(1) == labels).float().mean()
share = labels.float().mean()
print(f"on images that it has not seen: {correct:.2f} right")
print(f"always giving the same answer:  {max(share, 1 - share):.2f} right")

# %% [markdown] id="naive-slide"
# Now the naive way to a map: slide the classifier's window in steps of 8 pixels.

# %% id="slide" tags=["nbval-check-output"]
def slide(classify, picture, window=38, stride=8):
    """Scores [K, rows, columns], one patch at a time."""
    _, height, width = picture.shape
    tops, lefts = range(0, height - window + 1, stride), range(0, width - window + 1, stride)
    patches = [picture[:, t : t + window, s : s + window] for t in tops for s in lefts]
    scores = [classify(p[None])[0] for p in patches]  # each [K]
    scores = torch.stack(scores, dim=1)  # [K, rows·columns]
    return scores.reshape(-1, len(tops), len(lefts))  # [K, rows, columns]


with torch.no_grad():
    by_patches = slide(classifier, image - 0.5)
print("score map:", list(by_patches.shape))

# %% [markdown] id="misconception-size"
# Why not give the network the whole image at once? Convolutions accept any size, but the first
# linear layer does not: it has weights for exactly $32 \cdot 3 \cdot 3 = 288$ numbers. From this,
# people conclude that **a network with a fully connected head works at one size only, and must be
# retrained for others**. Look at what the layer does. Output $o$ is
#
# $$ y_o = b_o + \sum_{ch}\sum_{i=0}^{2}\sum_{j=0}^{2} w_{o,(ch,i,j)}\; x_{ch,i,j} $$
#
# This is a convolution, with a 3 × 3 kernel over 32 channels, at the only place where it fits. The
# second linear layer becomes a 1 × 1 convolution.

# %% id="convolutionalise"
fc1, fc2 = head[1], head[3]
w1 = fc1.weight.detach().reshape(64, 32, 3, 3)  # [64, 288] -> [64, 32, 3, 3]
w2 = fc2.weight.detach().reshape(2, 64, 1, 1)  # [2, 64] -> [2, 64, 1, 1]


def dense(x):
    """The same classifier for any size: [N, 3, H, W] -> [N, 2, rows, columns]."""
    x = backbone(x)  # [N, 32, h, w]
    x = F.relu(F.conv2d(x, w1, fc1.bias))  # [N, 64, h-2, w-2]
    return F.conv2d(x, w2, fc2.bias)  # [N, 2, h-2, w-2]


# %% id="convolutionalise-check" tags=["nbval-check-output"]
from torch.utils.flop_counter import FlopCounterMode

with torch.no_grad():
    at_once = dense(image[None] - 0.5)[0]
print("at once:", list(at_once.shape), " patch by patch:", list(by_patches.shape))
print("equal:", torch.allclose(at_once, by_patches, atol=1e-4))
flops = []
for function, arguments in ((slide, (classifier, image)), (dense, (image[None],))):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function(*arguments)
    flops.append(counter.get_total_flops())
print(f"patch by patch costs {flops[0] / flops[1]:.0f} times the work")

# %% [markdown] id="convolutionalise-read"
# One pass over the image gives the scores of all patches, equal up to rounding, without a new
# weight. The **stride** of the map, 8, comes from the three poolings: move one cell, and the patch
# underneath moves by $2 \cdot 2 \cdot 2$ pixels. (Only 9 times the work, not 730: `slide` read 144
# patches, not 8,281.)

# %% id="heat-map" alt="The image, a coarse map of 12 by 12 cells that is bright on the objects, dark to the left and right of the kite's string and light grey again in the upper sky, and the true mask of all objects."
heat = at_once.softmax(dim=0)[1]  # [rows, columns], probability of "object"
bottom, right = (15 + 8 * n for n in heat.shape)  # cell 0: pixels 15…22, centre of 0…37
objects = target.masks.any(dim=0)[15:bottom, 15:right]
plotting.show_images(
    [image[:, 15:bottom, 15:right], heat, objects.float()],
    ["the image, where the map reaches", "the classifier's probability map", "truth"],
    caption="White: an object with certainty 1. Black: certainly none.",
)

# %% [markdown] id="padding-note"
# In this picture the classifier takes much of the upper sky for objects. That does not matter here:
# both ways give the same map.
#
# Two details matter later. A patch must fit inside, so the map has fewer cells than an eighth of
# the image's side; the course's FCN pads each convolution, and 128 pixels become 16, 8 and 4 cells.
# And the equality needed convolutions *without* padding: a padded layer sees zeros around each
# patch, while in the whole image it sees the neighbouring pixels.

# %% [markdown] id="transposed"
# ### Two: going up by stamping
#
# Twelve by twelve scores are not yet a label for each pixel. A layer that makes maps *larger* is
# the **transposed convolution**: each input number stamps the kernel, multiplied by its value; the
# stamps are `stride` apart; where they overlap, they add up. (In lesson 02 the gradients did this.)

# %% id="stamping-figure" alt="A 2 by 2 input, a 3 by 3 kernel, and the 5 by 5 output; the stamps of two neighbouring inputs are framed, and in the column where the frames overlap the values add up."
small = torch.tensor([[1.0, 2], [3, 4]])
kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
plotting.show_transposed_convolution(small, kernel, stride=2)

# %% [markdown] id="stamping-read"
# Find the two frames: the stamps of 1 and 2. They overlap in one column, and the first number in
# it is $1 \cdot 1 + 2 \cdot 1 = 3$. **Predict before you run:** how large is the output for an
# input of 4 × 4, kernel 4, stride 2?

# %% id="stamping" tags=["nbval-check-output"]
def stamp(x, w, stride):
    """x [h, w], kernel [k, k] -> [(h-1)·stride + k, (w-1)·stride + k], one stamp at a time."""
    k = len(w)
    y = torch.zeros((x.shape[0] - 1) * stride + k, (x.shape[1] - 1) * stride + k)
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[r * stride : r * stride + k, c * stride : c * stride + k] += x[r, c] * w
    return y


print("size:", list(stamp(torch.ones(4, 4), torch.ones(4, 4), stride=2).shape))
print(stamp(small, kernel, stride=2).int())

# %% [markdown] id="output-size"
# The last stamp begins at $(n-1)\,s$ and is $k$ long. **Padding** $p$ here *cuts off* $p$ rows and
# columns at each border, as many as padding adds in a convolution:
#
# $$ n_\text{out} = (n-1)\,s - 2p + k $$
#
# With several channels, input channel $c$ stamps `weight[c, o]` onto output channel $o$, and all
# stamps add up. The tensor form swaps the loops: for each cell of the kernel, all inputs land at
# once.

# %% id="stamping-fast" tags=["nbval-check-output"]
def stamp_fast(x, w, stride):
    """x [..., h, w]; the same, one strided view of the output for each cell of the kernel."""
    *maps, rows, columns = x.shape
    k, down, across = len(w), stride * (rows - 1) + 1, stride * (columns - 1) + 1
    y = x.new_zeros(*maps, down + k - 1, across + k - 1)  # of x's dtype
    for i in range(k):
        for j in range(k):
            y[..., i : i + down : stride, j : j + across : stride] += x * w[i, j]
    return y


a, b = torch.randn(5, 7), torch.randn(4, 4)
stamped = stamp_fast(a, b, stride=2)
print("both forms agree:", torch.allclose(stamp(a, b, stride=2), stamped, atol=1e-6))
large = torch.zeros(12, 16, requires_grad=True)  # a 4 × 4 kernel with stride 2 makes it 5 × 7
F.conv2d(large[None, None], b[None, None], stride=2)[0, 0].backward(a)
print("same as a convolution's backward pass:", torch.allclose(large.grad, stamped, atol=1e-5))

# %% [markdown] id="undo"
# #### Does it undo a convolution?
#
# The paper calls this layer "deconvolution", as if it did. **Predict before you run:** halve an
# image with a 4 × 4 kernel and stride 2, then apply the transposed convolution with the *same*
# kernel and stride. Do you get the image back?

# %% id="undo-test" alt="The grey image, its half-size version, the result of the transposed convolution, as large as the image again but nearly black, and that result four times brighter: blurred."
grey = image.mean(dim=0)  # [H, W]
blur = torch.full((1, 1, 4, 4), 1 / 16)
half = F.conv2d(grey[None, None], blur, stride=2, padding=1)
back = F.conv_transpose2d(half, blur, stride=2, padding=1)[0, 0]
stages = {"image": grey, "down": half[0, 0], "and up": back, "up, times 4": 4 * back}
titles = [f"{name}, {m.shape[0]} × {m.shape[1]}" for name, m in stages.items()]
plotting.show_images(list(stages.values()), titles)

# %% [markdown] id="misconception-inverse"
# The size is back, the values are not: each pixel gets four stamps of a sixteenth each, a quarter
# of the brightness, and even multiplied by four the picture is blurred. (The dark frame comes from
# the zeros of the padding.) **A transposed convolution is not an inverse.** Take five numbers and
# the kernel $(a, b, c)$ with stride 2. As a matrix, the convolution is $y = Wx$,
#
# $$ W = \begin{pmatrix} a & b & c & 0 & 0 \\ 0 & 0 & a & b & c \end{pmatrix}, $$
#
# and $W^\top y$ adds up its rows, each multiplied by its $y$: the stamps. Hence the name. No
# kernel could repair it: after the way down a quarter of the numbers remain. Going up, the network
# cannot *recover* detail; it has to get it from elsewhere.

# %% [markdown] id="bilinear"
# #### The kernel to start from
#
# FCN's kernels are twice as wide as their stride, $k = 2s$, so that every inner cell gets the same
# number of stamps. (Kernel 3 with stride 2 gives some cells four stamps, some two, others one: a
# checkerboard, unless the weights balance that, as those of the stamping figure do.) Which numbers
# belong in it? Halfway between a 2 and a 4 the map should be 3: the influence of a cell falls off
# linearly and reaches zero at the next cell. In one dimension that is a tent,
#
# $$ w_i = 1 - \frac{|i - c|}{s}, \qquad c = s - \tfrac12, \quad i = 0 \dots 2s-1, $$
#
# and in two the product of two tents: the **bilinear kernel**, here for $s = 4$, of size 8.

# %% id="bilinear-figure" alt="The 8 by 8 bilinear kernel of stride 4 as a grid of numbers, small in the corners and largest in the middle, and beside it the one-dimensional tent: eight bars whose tops lie on two straight lines, from 0.125 up to 0.875 and down again."
plotting.show_bilinear_kernel(size=8)

# %% id="bilinear-code" tags=["nbval-check-output"]
def bilinear(stride):
    """The kernel [2·stride, 2·stride] that enlarges by `stride`."""
    tent = torch.tensor([1 - abs(i - (stride - 0.5)) / stride for i in range(2 * stride)])
    return torch.outer(tent, tent)


enlarged = stamp_fast(heat, bilinear(8), stride=8)[4:-4, 4:-4]  # 4 pixels too many on each side
library = F.interpolate(heat[None, None], scale_factor=8, mode="bilinear")[0, 0]
equal = (enlarged - library).abs() < 1e-5
print(f"equals interpolation inside: {equal[4:-4, 4:-4].all()}, at the border: {equal.all()}")

# %% [markdown] id="bilinear-read"
# At the border it fades, because nothing beyond it sends a stamp. Compare three kernels before any
# learning (white = object; each map divided by its maximum).

# %% id="three-starts" alt="The coarse map enlarged three times: with a random kernel it is covered by a repeated noise pattern, with a flat kernel it has blocks, with the bilinear kernel it is smooth."
torch.manual_seed(0)
starts = {
    "random kernel": torch.rand(16, 16) / 2,
    "flat kernel": F.pad(torch.ones(8, 8), (4, 4, 4, 4)),
    "bilinear kernel": bilinear(8),
}
enlargements = [stamp_fast(heat, w, stride=8)[4:-4, 4:-4] for w in starts.values()]
plotting.show_images([m / m.max() for m in enlargements], list(starts))

# %% [markdown] id="start-why"
# A random kernel must first unlearn its noise; the flat kernel repeats the nearest cell, in blocks;
# with the tent, a good coarse map gives a reasonable fine one at once. So FCN starts from the tent.
# In the paper, and here too, the × 2 steps continue learning from there; the last step stays fixed.

# %% [markdown] id="skips"
# ### Three: what a coarse map cannot say, and skips
#
# VGG and similar networks pool five times: stride 32. **Predict before you run:** how many cells
# does the score map of a 128 × 128 image have? And take the *truth*: replace each cell by the
# shares of the classes in it, interpolate these shares, and give each pixel the class with the
# largest share. What is left?

# %% id="ceilings-figure" alt="The truth seen through grids of stride 32, 16 and 8: at 32 only large blobs remain, at 16 shapes appear, at 8 only thin parts, corners and notches are lost."
from seglib.metrics.ceilings import labels_at_stride

limits = {s: [labels_at_stride(t, s) for t in truths] for s in (32, 16, 8)}
through = {f"truth at stride {s}": maps[chosen] for s, maps in limits.items()}
plotting.score_maps(image, through, truths[chosen], dataset.categories)

# %% [markdown] id="ceilings-read"
# Four by four cells. At stride 32 the kite, the road and the sea disappear. The mean IoU (Part
# Four) of such maps is the **ceiling** of their stride. It is not a strict bound, since a network
# may exaggerate: the FCN-32s of the first figure, with the same grid, shows a kite and a road.
#
# Where would finer detail come from? On its way down the backbone *had* finer maps: `pool3` at
# stride 8 and `pool4` at stride 16. They say less about classes, since their receptive field is
# smaller, but more about where things are. So give each of them a 1 × 1 convolution to class
# scores, and **add** the scores on the way up. These shortcuts are called **skips**. FCN-32s has
# none; FCN-16s adds the scores of `pool4`, FCN-8s those of `pool3` as well. (`conv6` and `conv7`
# are VGG's fully connected layers as convolutions.)

# %% id="fcn-diagram" alt="A diagram of FCN-8s: image, pool3, pool4, pool5, conv6 and conv7 in a row; below, score8 from pool3 and score16 from pool4. In the last row score32 is enlarged by 2 and added to score16, the sum is enlarged by 2 and added to score8, and that sum is enlarged by 8 to labels."
plotting.fcn_diagram("8s", size=128, classes=str(len(models["8s"].categories) + 1))

# %% [markdown] id="streams-text"
# **Predict before you run:** suppose you take the arg-max of each of these score maps *alone*.
# Which gets most pixels right? The one of stride 8, since it is the finest?

# %% id="streams-figure" alt="The arg-max of each stream of FCN-8s alone, with the share of right pixels: stride 32 shows three bands of scenery, stride 16 names most objects in a few large blocks, stride 8 is the finest and the patchiest, with wrong classes scattered over the objects; then the truth."
with torch.no_grad():
    streams = models["8s"]([image]).scores  # {stride: [1, C+1, h, w]}
alone = {}
for stride, scores in streams.items():
    nearest = F.interpolate(scores, truths[chosen].shape)[0].argmax(dim=0)  # [H, W]
    share_right = (nearest == truths[chosen]).float().mean()
    alone[f"stride {stride} alone: {share_right:.0%} right"] = nearest
plotting.score_maps(image, alone, truths[chosen], dataset.categories)

# %% [markdown] id="misconception-finest"
# **A finer map is not a better one.** Alone, the finest is the patchiest, and stride 16 has more
# pixels right. In this picture stride 32 has the fewest and names no object, although the FCN-32s
# did with the same grid. The maps were trained as a *sum*, in which objects seem to have become the
# task of stride 16. Alone they show neither what a stride *could* learn nor what stride 8 adds:
# compare the first figure's FCN-16s and FCN-8s. (The palest grey is background, absent from Pocket
# COCO.)

# %% [markdown] id="crops"
# #### Adding maps: which cell lies on which?
#
# To add two maps, their cells must lie over the same pixels. Kernel $2s$ and stride $s$ make
# $(n-1)\,s + 2s = (n+1)\,s$ cells out of $n$: for × 2, **one cell too many on each side**. A
# `Grid` knows where a map's cells are centred; `transposed` gives the grid of the enlarged map.

# %% id="alignment" alt="Four rows of cells over a ruler of pixels: score32 has four cells, its doubled version ten, of which the first and the last lie outside the image and are hatched; score16 has eight; their sum enlarged by 16 has 144, eight too many at each end."
grids = models["8s"].network.grids
cells_of = {  # name: (where the cells lie, how many there are)
    "score32": (grids[32], 4),
    "score32, × 2": (grids[32].transposed(kernel=4, stride=2), 10),
    "score16": (grids[16], 8),
    "sum, × 16": (grids[16].transposed(kernel=32, stride=16), 144),
}
plotting.show_alignment(cells_of, size=128)

# %% [markdown] id="crops-read"
# Cell 1 of the doubled map lies on cell 0 of `score16`: crop one cell at each end, then add. The
# last step overhangs by 8 pixels at each end; crop those. That is all that an FCN-16s does after
# its score layers:

# %% id="fuse" tags=["nbval-check-output"]
def enlarge(scores, stride, overhang):
    """Scores [K, h, w], each class enlarged by itself, without the overhang at top and left."""
    return stamp_fast(scores, bilinear(stride), stride)[:, overhang:, overhang:]


def fuse_16s(score32, score16, size, cell=1):
    doubled = enlarge(score32, stride=2, overhang=cell)  # [K, 2h+1, 2w+1]
    total = doubled[:, : score16.shape[1], : score16.shape[2]] + score16  # [K, 2h, 2w]
    return enlarge(total, stride=16, overhang=8)[:, : size[0], : size[1]]  # [K, H, W]


print(list(fuse_16s(torch.zeros(3, 4, 4), torch.zeros(3, 8, 8), size=(128, 128)).shape))

# %% [markdown] id="loss"
# ### Four: the loss, and how to judge a label map
#
# Every pixel is a small classification problem, and the loss is the **mean of the cross-entropies**
# of all pixels. Pixels with the label 255 are ignored: crowds in COCO, and everything outside the
# image where a batch is padded.

# %% id="pixel-loss" tags=["nbval-check-output"]
def pixel_loss(logits, labels):
    """logits [K, H, W], labels [H, W] -> the mean over pixels that are not 255."""
    losses = []
    for r, c in (labels != 255).nonzero().tolist():
        losses.append(-logits[:, r, c].log_softmax(dim=0)[labels[r, c]])
    return torch.stack(losses).mean()


logits, pixel_labels = torch.randn(4, 6, 6, requires_grad=True), torch.randint(4, (6, 6))
pixel_labels[:2] = 255
by_loops = pixel_loss(logits, pixel_labels)
by_seglib = ops.cross_entropy(logits[None], pixel_labels[None])
print("loops equal seglib's:", torch.allclose(by_loops, by_seglib))
gradient = torch.autograd.grad(by_loops, logits)[0]  # [4, 6, 6]
print("largest gradient in the ignored rows:", gradient[:, :2].abs().max().item())

# %% [markdown] id="ignored-read"
# Ignored means no gradient at all. Background is a class, and predicting it can be wrong.

# %% [markdown] id="confusion"
# #### One table, two very different measures
#
# Count every pixel once, in the row of its true class and the column of the predicted one: the
# **confusion matrix**.

# %% id="confusion-loops" tags=["nbval-check-output"]
def confusion_loops(predicted, true, classes):
    table = torch.zeros(classes, classes, dtype=torch.long)
    for p, t in zip(predicted.flatten().tolist(), true.flatten().tolist(), strict=True):
        if t != 255:
            table[t, p] += 1  # row: truth, column: prediction
    return table


tiny_true = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 2, 255]])
tiny_predicted = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 2]])
tiny_table = confusion_loops(tiny_predicted, tiny_true, classes=3)
print(tiny_table)

# %% [markdown] id="confusion-read"
# Read the last row: one pixel of class 2, and it was called 0. **Pixel accuracy** is the sum of
# the diagonal over the sum of everything: 10 of 11. The **IoU** of a class is its cell on the
# diagonal divided by its row plus its column minus that cell, which would be counted twice:
#
# $$ \text{accuracy} = \frac{\sum_c n_{cc}}{\sum_{c,d} n_{cd}}, \qquad
# \text{IoU}_c = \frac{n_{cc}}{\sum_d n_{cd} + \sum_d n_{dc} - n_{cc}}, \qquad
# \text{mean IoU} = \frac1C \sum_c \text{IoU}_c $$
#
# Here $C$ counts only the classes that occur, in the truth or in the prediction. (For any other the
# IoU is 0/0, `nan` in the code.) **Predict before you run**, by hand: the three IoUs of this table,
# and their mean.

# %% id="iou-code" tags=["nbval-check-output"]
def accuracy(table):
    return (table.trace() / table.sum()).item()


def class_iou(table):
    union = table.sum(dim=0) + table.sum(dim=1) - table.diagonal()
    return table.diagonal() / union  # [C]


def mean_iou(table):
    return class_iou(table).nanmean().item()


print(f"pixel accuracy {accuracy(tiny_table):.3f}, mean IoU {mean_iou(tiny_table):.3f}")
print("IoU per class ", [round(v, 3) for v in class_iou(tiny_table).tolist()])

# %% [markdown] id="misconception-accuracy"
# A class was missed entirely, and yet accuracy is above 0.9. **Pixel accuracy flatters**, because
# large classes count more; mean IoU gives each class the same weight.

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# First we compare piece by piece, then your whole way up with an FCN-16s's own logits. (The shipped
# one has *learned* its × 2 step, so build a fresh one, with random scores. `native` is PyTorch's
# layer, `scratch` the course's own tensor code.)

# %% id="equality-parts" tags=["nbval-check-output"]
from seglib.models import build_model
from seglib.nn.vgg import convolutionalize

print("convolutionalize:", torch.equal(convolutionalize(fc1, kernel_size=3).weight, w1))
native = ops.conv_transpose2d.native(a[None, None], b[None, None], stride=2)[0, 0]
print("stamping:", torch.allclose(stamped, native, atol=1e-5))
print("bilinear kernel:", torch.allclose(bilinear(8), ops.bilinear_kernel(size=16)))
fresh = build_model("fcn", dataset.categories, variant="16s").eval()
for layer in (fresh.network.score_fr, fresh.network.score_pool4):
    torch.nn.init.normal_(layer.weight, std=0.1)  # they start at zero, which would prove nothing
noise = torch.rand(3, 96, 128)
with torch.no_grad(), seglib.use("scratch"):
    raw = fresh([noise])
way_up = fuse_16s(raw.scores[32][0], raw.scores[16][0], size=(96, 128))
print("your way up = seglib's:", torch.allclose(way_up, raw.logits[0], atol=1e-4))

# %% [markdown] id="wrong-crop-text"
# How much does one wrong crop matter? **Predict before you run:** what happens if you forget to
# crop the first cell (`cell=0`), and add maps that are 16 pixels apart?

# %% id="wrong-crop" tolerance=0.02
from seglib.metrics import confusion_matrix  # the same table as above, without loops

classes = len(dataset.categories) + 1


def measure(maps, truths=truths):
    """The confusion matrix of several label maps."""
    return sum(confusion_matrix(p, t, classes) for p, t in zip(maps, truths, strict=True))


def by_hand(image, size, cell):
    scores = models["16s"]([image]).scores
    return fuse_16s(scores[32][0], scores[16][0], size, cell).argmax(dim=0)


print(f"FCN-32s, no skip: mean IoU {mean_iou(measure(label_maps['32s'])):.2f}")
for cell in (1, 0):
    with torch.no_grad():
        cropped = [by_hand(x, t.shape, cell) for (x, _), t in zip(samples, truths, strict=True)]
    print(f"FCN-16s, crop {cell}: mean IoU {mean_iou(measure(cropped)):.2f}")

# %% [markdown] id="wrong-crop-read"
# In Pocket COCO one cell costs most of what the skip had gained, and no error message tells you.
# (`fuse_16s` keeps the bilinear kernel; the shipped FCN-16s, with its learned one, is slightly
# better.)

# %% [markdown] id="learns"
# ## It learns
#
# First **overfit one batch**, the habit of lesson 03: a fresh pocket-sized FCN-8s (its score layers
# start at zero) gets the same four images again and again.

# %% id="overfit" alt="One of the four images, the network's label map and the true one: alike but for the outlines and the thinnest parts." tolerance=0.15
from seglib.training import TrainConfig, overfit, train

torch.manual_seed(0)
by_heart, few = build_model("fcn", dataset.categories, dropout=0.0), samples[:4]
losses = overfit(by_heart, [x for x, _ in few], [t for _, t in few], steps=40, lr=4e-3)
recited = [by_heart.predict([x])[0].semantic for x, _ in few]
own, grid = (1 - accuracy(measure(maps, truths[:4])) for maps in (recited, limits[8][:4]))
print(f"loss {losses[0]:.1f} → {losses[-1]:.1f}, wrong {own:.1%} (grid of stride 8: {grid:.1%})")
plotting.score_maps(few[0][0], {"learned by heart": recited[0]}, truths[0], dataset.categories)

# %% [markdown] id="overfit-read"
# It can learn by heart. In Pocket COCO it gets about as many pixels wrong as the grid of stride 8
# alone costs the truth: no sign of a bug.
#
# ### Half a minute: teaching a 32s to be an 8s
#
# The paper trains in stages: first the 32s, then a 16s that begins with its weights, then an 8s.
# Here both skips are added to the shipped FCN-32s at once, with scores of zero, so that the new
# network begins with the outputs of the old one. Only score layers and × 2 kernels learn, on images
# that the 32s has not seen either. **Predict before you run:** its backbone never had to predict
# anything finer than a cell of 32 pixels. Will the new score layers find outlines in it?

# %% id="live" alt="The training loss over 100 steps: noisy, rising a little at first, then falling to about two thirds of where it began, with a short spike shortly before step 60."
torch.manual_seed(0)
model = build_model("fcn", dataset.categories, variant="8s")
model.load_coarser(models["32s"])  # it begins with the weights of the 32s
for name, parameter in model.named_parameters():  # only score layers and × 2 kernels will learn
    parameter.requires_grad_("score" in name and parameter.requires_grad)
rest = torch.utils.data.Subset(dataset, range(held_out, len(dataset)))
config = TrainConfig(steps=100, batch_size=8, lr=1e-2, warmup=5)
with plotting.LiveCurve(steps=config.steps, title="From 32s to 8s") as live:
    train(model, rest, config, on_step=live)

# %% id="live-result" alt="The image, the label map of FCN-32s, that of the network after 100 steps, and the truth: after the training the outlines are closer to the objects' shapes." tolerance=0.03
trained = [model.predict([x])[0].semantic for x, _ in samples]
for name, maps in (("FCN-32s", label_maps["32s"]), ("100 steps later", trained)):
    print(f"{name:16s} mean IoU {mean_iou(measure(maps)):.2f}")
compared = {"FCN-32s": answers["FCN-32s"], "100 steps later": trained[chosen]}
plotting.score_maps(image, compared, truths[chosen], dataset.categories)

# %% [markdown] id="live-read"
# In Pocket COCO a hundred steps lift the mean IoU above 0.56, the ceiling of stride 32 (printed
# below): the finer layers of a network that only ever learned blobs do contain outlines. In this
# picture sea, road and grass have their strips back, and the objects' outlines are closer. The loss
# (thin: each step; thick: a moving average) rises at first: scores that were good already are
# disturbed.
#
# ### The shipped networks
#
# The three checkpoints were trained in the same stages, for longer, backbone included. Measure them
# on the images of this lesson, each beside the ceiling of its stride, and compare your functions
# with the library's `evaluate`. The figure shows the last stage, in which the 16s became an 8s.

# %% id="shipped-table" alt="Left, the training loss of the shipped FCN-8s falling over its 2,200 steps; right, its mean IoU on validation images rising and levelling off below the dashed ceiling." tolerance=0.02
from seglib.metrics import evaluate
from seglib.pretrained import record
from seglib.training import History

print(f"{held_out} images at 128 px  mean IoU  ceiling  accuracy")
for (name, maps), perfect in zip(label_maps.items(), limits.values(), strict=True):
    table, ceiling = measure(maps), mean_iou(measure(perfect))
    print(f"FCN-{name:14s} {mean_iou(table):13.3f} {ceiling:8.3f} {accuracy(table):9.3f}")
library = evaluate(models["8s"], dataset, limit=held_out).figures["mean_iou"]
print("as evaluate:", abs(library - mean_iou(table)) < 1e-6)
shipped = record("fcn-8s")
limit, curves = shipped["ceilings"]["mean_iou"]["ceiling"], History.from_dict(shipped["history"])
plotting.history_curve(curves, ceiling=limit, title="The shipped FCN-8s")

# %% [markdown] id="shipped-table-read"
# The finer the grid, the higher the ceiling, and in Pocket COCO mean IoU rises with each stage (a
# skip and more steps together). Pixel accuracy is far kinder, most of all to the FCN-32s. The
# curve, on 100 validation images, is flat after some 1,700 steps, 0.08 below the dashed ceiling.

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# A row of the confusion matrix shows, in per cent, what the pixels of one true class were taken
# for; a column shows what was taken for that class. A class that never occurs, such as background
# in Pocket COCO, has neither. **Find** the largest number off the diagonal.

# %% id="confusion-figure" alt="A square table with a bright diagonal and small numbers beside it, at most 6 per cent: airplanes are taken for sky, cats for persons, boats for sea."
from seglib.plotting.overlays import short_name

names = ["background", *(short_name(name) for name in dataset.categories.names)]
plotting.confusion_heatmap(measure(label_maps["8s"]), names)

# %% [markdown] id="class-read"
# In Pocket COCO it is airplanes taken for sky, 6 %. Boats lose pixels to the sea, and cats to
# persons.
#
# **Predict before you run:** what share of a small object's pixels gets the right class, and of a
# large one's? (In Pocket COCO *small* is an area below 16 × 16 pixels, and *large* begins at 40 ×
# 40.) And what share of all wrong pixels lies within 2 pixels of a border between two classes?

# %% id="by-size" tolerance=0.02
def near_border(labels):
    """Pixels [H, W] that have another label within 2 pixels: maximum and minimum differ there."""
    numbers = labels[None].float()
    highest, lowest = (s * F.max_pool2d(s * numbers, 5, stride=1, padding=2) for s in (1, -1))
    return (highest != lowest)[0]


found = {name: [] for name in dataset.area_ranges if name != "all"}
near, wrong = [], []
for predicted, true, (_, annotated) in zip(label_maps["8s"], truths, samples, strict=True):
    near.append(near_border(true)[true != 255])
    wrong.append((predicted != true)[true != 255])
    for mask, label, area in zip(annotated.masks, annotated.labels, annotated.area, strict=True):
        size = next(name for name in found if area < dataset.area_ranges[name][1])
        found[size].append((predicted[mask] == label).float().mean())
near, wrong = torch.cat(near), torch.cat(wrong)
for size, shares in found.items():
    print(f"{size:6s} object: {torch.tensor(shares).nanmean():.0%} of its pixels right on average")
print(f"within 2 px of a border: {near.float().mean():.0%} of all pixels,", end=" ")
print(f"{near[wrong].float().mean():.0%} of the wrong ones")

# %% id="worst-image" alt="The image on which FCN-8s has the lowest accuracy, its label map and the truth, with a legend of the classes; the largest confusion is outlined: part of one object has the colour of another class. Outlines are blunt, and thin parts have run together or vanished."
each = [accuracy(measure([p], [t])) for p, t in zip(label_maps["8s"], truths, strict=True)]
worst = min(range(held_out), key=each.__getitem__)
worst_map, worst_truth = label_maps["8s"][worst], truths[worst]
mistaken = measure([worst_map], [worst_truth]).fill_diagonal_(0)
true_class, taken_for = divmod(int(mistaken.argmax()), classes)
region = (worst_truth == true_class) & (worst_map == taken_for)
shown = samples[worst][0], {"FCN-8s": worst_map}, worst_truth, dataset.categories
plotting.score_maps(*shown, mark=region, title=f"{names[true_class]} taken for {names[taken_for]}")

# %% [markdown] id="inside-read"
# Most errors lie at outlines: a cell of 8 pixels, enlarged, cannot follow a corner or a thin pole.
# Small objects lose most: they are nearly all outline (of 10 × 10 pixels, 64 lie within 2 of the
# border). Now and then a whole region, as outlined, is taken for another class.
#
# ### Touching objects become one
#
# Suppose the network were perfect. How would you count the objects in its label map? All you have
# are **connected regions** of one class. **Predict before you run:** in the *true* label map, are
# there as many regions as objects?

# %% id="touching-figure" alt="The image with the most touching objects of one class: the objects outlined in different colours, all pixels of their class in one colour, and the connected regions, of which there are fewer than objects." tolerance=0.02
from scipy.ndimage import label as connected_regions

from seglib.data import touching_pairs

counts, regions = torch.zeros(held_out, classes, dtype=torch.long), 0
for row, (_, truth) in zip(counts, samples, strict=True):
    touching = touching_pairs(truth).unique()  # objects that touch another one of their class
    row += truth.labels[touching].bincount(minlength=classes)
    for name in truth.labels.unique():  # 3 × 3: cells that meet at a corner are connected, too
        regions += connected_regions(truth.semantic == name, torch.ones(3, 3))[1]
everything = sum(int((~truth.iscrowd).sum()) for _, truth in samples)
print(f"{counts.sum() / everything:.0%} of {everything} objects touch another one of their class;")
print(f"the true label maps have {regions} connected regions")
index, label = divmod(int(counts.argmax()), classes)
shown = samples[index][0], samples[index][1], truths[index], dataset.categories
plotting.touching_instances(*shown, max(label, 1))

# %% [markdown] id="misconception-count"
# All this is computed from the *truth*. The figure has fewer regions than objects; over all images
# of Pocket COCO there are *more*, since many objects lie in pieces, some cut by others in front.
# **Better semantic segmentation does not become instance segmentation**: the output has no way to
# say "this one, not that one", and no training changes that. The question itself has to change,
# from "which class is this pixel?" to "which pixels belong to this object?".

# %% [markdown] id="try"
# ## Try it
#
# Mix the streams of the FCN-8s with weights of your own, enlarged by fixed interpolation. Can you
# beat weights of 1, 1, 1? And the network itself? Turn off one stream at a time: which is missed
# most, and where? (In the first figure a few false `cup` pixels count as a class with IoU 0.)

# %% id="mixer" alt="Three sliders, one for each stream's weight, above the image, the mixed label map and the truth, with the mean IoU of the mix." tolerance=0.02
from seglib.widgets import Option, Question, Quiz, SkipMixer

itself = mean_iou(measure([label_maps["8s"][chosen]], [truths[chosen]]))
print(f"The FCN-8s itself has a mean IoU of {itself:.3f} on this picture.")
maps_to_mix = {f"stride {stride}": scores[0] for stride, scores in streams.items()}
SkipMixer(image, maps_to_mix, target.semantic, dataset.categories)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
head_size = Question(
    "A classifier ends in Linear(512·7·7, 4096). As a convolution this layer is",
    [
        Option("4096 kernels of 7×7 over 512 channels, which keep the trained weights", True,
               "Each row of the matrix, reshaped to [512, 7, 7]."),
        Option("4096 kernels of 1×1 over 25,088 channels, with the same weights",
               feedback="That needs the 7×7 cells stacked as channels; then it could not slide."),
        Option("4096 kernels of 7×7 over 512 channels, which must be trained again",
               feedback="Nothing is trained: the sums are the same numbers."),
    ],
    objective="convolutionalise",
)
map_size = Question(
    "Trained on 38×38 patches, stride 8, no padding. A 70×54 image gives a map of",
    [
        Option("8 × 6 cells", feedback="70/8 and 54/8, but a cell needs a whole patch inside."),
        Option("1 × 1 cell, because the head is fully connected",
               feedback="As a convolution the head slides to every place where it fits."),
        Option("5 × 3 cells", True, "(70 − 38)/8 + 1 and (54 − 38)/8 + 1."),
    ],
    objective="convolutionalise",
)
Quiz([head_size, map_size], title="Heads as convolutions")

# %% id="quiz-two" tags=["quiz", "hide-input"]
stamping = Question(
    "Row [1, 3], kernel [1, 2, 1], stride 2, no padding. The transposed convolution gives",
    [
        Option("[1, 2, 1, 3, 6, 3]",
               feedback="The two stamps side by side: but they start 2 apart, so they overlap."),
        Option("[1, 2, 4, 6, 3]", True,
               "Stamps [1, 2, 1] at 0 and [3, 6, 3] at 2; where they meet, 1 + 3."),
        Option("[1, 0, 3]", feedback="That only spreads the inputs; no kernel was stamped yet."),
    ],
    objective="stamping",
)
inverse = Question(
    "After conv2d with stride 2, conv_transpose2d with the same kernel restores",
    [
        Option("the size, but not the values", True,
               "It multiplies by the transposed matrix, not by the inverse."),
        Option("the size and the values",
               feedback="A quarter of the numbers remain; they cannot hold what was thrown away."),
        Option("the values, if the kernel is bilinear",
               feedback="Then it interpolates smoothly: detail stays lost."),
    ],
    objective="no inverse",
)
Quiz([stamping, inverse], title="Going up")

# %% id="quiz-three" tags=["quiz", "hide-input"]
tent = Question(
    "Why does FCN start its upsampling from bilinear kernels?",
    [
        Option("They make the layer an inverse of pooling, so that no detail is lost",
               feedback="Nothing brings back what pooling dropped."),
        Option("Other kernels cannot be learned by gradient descent",
               feedback="They can; the start only spares the network from having to."),
        Option("They interpolate from the first step, so that learning can go into the scores",
               True, "Random kernels would have to be tamed first."),
    ],
    objective="bilinear",
)
crops = Question(
    "6 cells are enlarged (kernel 4, stride 2) and added to a skip of 12 cells. Crop",
    [
        Option("two cells at the end",
               feedback="One of them juts out at the front; the sum would be shifted by it."),
        Option("one cell at each end", True, "(6 − 1)·2 + 4 = 14: one too many on either side."),
        Option("nothing, because 6·2 = 12", feedback="(n − 1)·s + k = 14, not 12."),
    ],
    objective="skips",
)
Quiz([tent, crops], title="Kernels and crops")

# %% id="quiz-four" tags=["quiz", "hide-input"]
two_scores = Question(
    "90 pixels of background, all right; 10 of a cat, 5 of them found. Accuracy and IoU of cat:",
    [
        Option("0.95 and 0.50", True, "95 of 100; 5 / (10 + 5 − 5)."),
        Option("0.95 and 0.95", feedback="IoU looks at the cat's row and column alone."),
        Option("0.50 and 0.50", feedback="Accuracy counts all pixels: 90 + 5 are right."),
    ],
    objective="scores",
)
counting = Question(
    "Five sheep stand side by side and touch. A perfect semantic label map shows",
    [
        Option("five regions", feedback="Their pixels all say 'sheep' and are connected."),
        Option("one region, but an 8s with finer skips would separate them",
               feedback="Finer pixels still say the same class on both sides of the border."),
        Option("one region, and no training changes that", True,
               "The output has no place for 'which sheep'."),
    ],
    objective="instances",
)
Quiz([two_scores, counting], title="Reading the result")

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/04_fcn.ipynb): a fully connected layer as a convolution; a
# transposed convolution with groups, in a real FCN; mean IoU with ignored labels; the way up of an
# FCN-8s.

# %% [markdown] id="summary"
# ## In one minute
#
# - A fully connected head is a convolution with the same weights: one pass over an image of any
#   size gives a map of scores.
# - A transposed convolution stamps its kernel: $n_\text{out} = (n-1)s - 2p + k$. It is not
#   the inverse of a convolution. With the bilinear kernel ($k = 2s$) it interpolates.
# - Coarse maps see more of the picture, fine ones know better where things end. Skips add their
#   scores, cell on cell: with $k = 2s$ the overhang is $s/2$ at each end.
# - The loss is the mean cross-entropy over pixels, 255 left out. Read mean IoU, and beside it the
#   ceiling; pixel accuracy flatters.
# - Touching objects of one class merge: a class for every pixel does not count them.
#
# **The published numbers beside ours.** `repository`: the networks that the authors released later;
# `paper`: the table of 2015; `ours`: the shipped networks on all 300 validation images (above: the
# first 60). Only the *order* can be compared. The last stage, skip and more steps together, brings
# 11 points here and 0.3 to 0.5 there.

# %% id="published" tolerance=0.02
published = {"32s": (63.6, 59.4), "16s": (65.0, 62.4), "8s": (65.5, 62.7)}
print("mean IoU   repository  paper  ours")
for name, (repository, paper) in published.items():
    ours = 100 * record(f"fcn-{name}")["figures"]["mean_iou"]
    print(f"FCN-{name:6s} {repository:10.1f} {paper:6.1f} {ours:5.1f}")

# %% [markdown] id="references"
# The published ones were measured on photographs of PASCAL VOC (21 classes, about 500 px), with a
# backbone of 134 million weights pretrained on ImageNet.
#
# **Next**: DeepMask keeps the convolutional network and changes the question: it draws the mask of
# the *object* in a patch's centre, whatever its class.
#
# **References**
#
# - J. Long, E. Shelhamer, T. Darrell. Fully convolutional networks for semantic segmentation.
#   *CVPR* 2015. arXiv 1411.4038. Extended in *PAMI* 39(4), 2017, arXiv 1605.06211.
# - D. Ciresan, A. Giusti, L. Gambardella, J. Schmidhuber. Deep neural networks segment neuronal
#   membranes in electron microscopy images. *NIPS* 2012.
# - A. Odena, V. Dumoulin, C. Olah. Deconvolution and checkerboard artifacts. *Distill*, 2016.
#   doi:10.23915/distill.00003.
