# %% [markdown] id="start"
# # 04. Fully convolutional networks
#
# A classifier looks at a picture and says one word. In this lesson you will turn such a
# classifier, weights and all, into a network that names every pixel. Two ideas do it: a fully
# connected layer is a convolution in disguise, and the operation that carried gradients *back* in
# lesson 02 can carry scores *up*, from a coarse map to the full picture. Then you will see what
# this network cannot do at all, which is where the rest of the course begins.
#
# **You will be able to**
#
# 1. turn a fully connected head into convolutions with the same weights, and run it on images of
#    any size;
# 2. compute a transposed convolution by stamping, and say why it is not an inverse;
# 3. build the bilinear kernel, and say why training starts from it;
# 4. add scores of stride 32, 16 and 8 with the right crops, and say what each skip brings;
# 5. read mean IoU and pixel accuracy from a confusion matrix, and explain why a class for every
#    pixel does not count objects.
#
# **You need first** [lesson 02](02_convolution.ipynb) (convolution, stamping), [lesson
# 03](03_backbones.ipynb) (stride, receptive field, "overfit one batch").
# **Time** about 90 minutes to read, about a minute to run.

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
print(f"{dataset.name}: {len(dataset)} images, the first {held_out} to measure on")

# %% [markdown] id="load-text"
# Three trained networks come with the course. They know the classes of Pocket COCO. The helpers
# below translate their answers into the labels of your data set, by class name; on Pocket COCO
# itself they change nothing. (If you have chosen photographs instead, expect wild guesses from
# these three: Pocket COCO is all that they have ever seen. Everything that you build below works
# there all the same.)

# %% id="load-models"
models = {name: load(f"fcn-{name}") for name in ("32s", "16s", "8s")}
shared = models["8s"].categories.shared_with(dataset.categories)  # model's label -> data set's
to_dataset = torch.zeros(256, dtype=torch.long)
for ours, theirs in shared.items():
    to_dataset[ours] = theirs
known = shared.values() or range(1, len(dataset.categories) + 1)  # if they know none, all count
known = torch.tensor([0, 255, *known])


def answer(model, image):
    """A label for every pixel, [H, W]; classes that the data set lacks become background."""
    return to_dataset[model.predict([image])[0].semantic]


def truth_of(target):
    """The true labels [H, W]; classes that the models do not know are ignored (255)."""
    return torch.where(torch.isin(target.semantic, known), target.semantic, 255)

# %% id="first-picture" alt="An image, the label maps of FCN-32s, FCN-16s and FCN-8s, and the true map. The first is made of large blobs; each of the next two follows the outlines more closely, and only the thinnest parts are missing from the last."
truths = [truth_of(truth) for _, truth in samples]
label_maps = {"8s": [answer(models["8s"], x) for x, _ in samples]}


def good_to_show(index):
    """Many classes, most of whose pixels FCN-8s gets right."""
    right = (label_maps["8s"][index] == truths[index]) | (truths[index] == 255)
    return right.float().mean() + 0.02 * len(truths[index].unique())


chosen = max(range(held_out), key=good_to_show)
image, target = samples[chosen]
answers = {f"FCN-{name}": answer(model, image) for name, model in models.items()}
plotting.score_maps(image, answers, truths[chosen], dataset.categories)

# %% [markdown] id="first-picture-read"
# Three networks with the same backbone. They differ only in how they get from a coarse map of
# scores back to pixels: the number is the stride, in pixels, of the finest score map that takes
# part. Watch the outlines from FCN-32s to FCN-8s. By the end of the lesson you will have built
# each of the steps between them.

# %% [markdown] id="problem"
# ## The problem: one word for a whole picture
#
# Classifiers such as AlexNet and VGG end in fully connected layers: the last feature map is
# flattened into one long row of numbers, and each class gets a weighted sum of all of them. What
# comes out is one answer for the picture. *Where* things are is lost in the flattening.
#
# A plain way out is the **sliding window**. For every pixel, cut out the patch around it,
# classify the patch, and write the answer at the pixel. Ciresan and others (2012) segmented brain
# tissue that way and won a competition with it.
#
# **Predict before you run:** patches of 38 × 38 pixels, one at every place where a patch fits into
# an image of 128 × 128. How often does the network read an average pixel? About 7 times, 70 times,
# or 700 times?

# %% id="sliding-cost" tags=["nbval-check-output"]
patch, side = 38, 128
windows = (side - patch + 1) ** 2
print(f"{windows:,} patches of {patch * patch:,} pixels for an image of {side * side:,}")
print(f"each pixel is read {windows * patch**2 / side**2:.0f} times on average")

# %% [markdown] id="history"
# Neighbouring patches share nearly all of their pixels, and the network computes the same edges
# in them again and again. Long, Shelhamer and Darrell (2015) removed the waste and, with it, the
# patches: their network takes the whole image at once and is trained on whole images. Nearly
# every method after 2015 on the timeline has such a **fully convolutional network** inside.

# %% id="timeline" alt="A timeline of papers from AlexNet in 2012 to Mask2Former in 2022; FCN is marked in 2015, in the same year as VGG and DeepMask, two years before Mask R-CNN."
plotting.timeline(highlight="FCN")

# %% [markdown] id="idea"
# ## The idea, in four parts
#
# ### One: the head is a convolution
#
# Start with a classifier small enough to train while you watch. It answers one question about a
# patch of 38 × 38 pixels: does its centre lie on an annotated object? Its backbone is three times
# convolution, ReLU and pooling; its head is fully connected.

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

# %% id="patches"
def random_patches(count, images, seed):
    """Patches [count, 3, 38, 38] and, for each, whether an object covers its centre."""
    random = torch.Generator().manual_seed(seed)
    patches, labels = [], []
    for n in torch.randint(len(images), (count,), generator=random).tolist():
        picture, truth = images[n]
        top, left = (int(torch.rand((), generator=random) * (s - 38)) for s in truth.size)
        patches.append(picture[:, top : top + 38, left : left + 38])
        labels.append(bool(truth.masks[:, top + 19, left + 19].any()))
    return torch.stack(patches), torch.tensor(labels).long()


# %% id="train-classifier" tolerance=0.06
torch.manual_seed(0)
for layer in (*backbone, *head):
    if hasattr(layer, "reset_parameters"):
        layer.reset_parameters()  # so that running the cell again starts from the beginning
practice = [dataset[i] for i in range(held_out, min(held_out + 90, len(dataset)))]
patches, labels = random_patches(2400, practice, seed=0)
optimizer = torch.optim.Adam(classifier.parameters(), lr=3e-3)
for step in range(100):
    rows = slice(step % 50 * 48, step % 50 * 48 + 48)
    loss = F.cross_entropy(classifier(patches[rows] - 0.5), labels[rows])  # colours centred on 0
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
patches, labels = random_patches(1000, samples, seed=1)
correct = (classifier(patches - 0.5).argmax(1) == labels).float().mean()
share = labels.float().mean()
print(f"on images that it has not seen: {correct:.2f} right")
print(f"always giving the same answer:  {max(share, 1 - share):.2f} right")

# %% [markdown] id="naive-slide"
# It is no genius, but it is a classifier. Now the naive way to a map: slide the window in steps
# of 8 pixels and classify every patch.

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

# %% [markdown] id="any-size"
# **Predict before you run:** the shortcut would be to give the network the whole image at once.
# What will happen? Convolutions do not mind the size. Does the head?

# %% id="whole-image-fails"
try:
    classifier(image[None] - 0.5)
except RuntimeError as error:
    print(error)

# %% [markdown] id="misconception-size"
# The backbone was fine and gave a larger map. The first linear layer refused: it has weights for
# exactly $32 \cdot 3 \cdot 3 = 288$ numbers. From this, people conclude that **a network with a
# fully connected head works at one size only, and must be retrained for others**. Look at what
# the layer does. Output $o$ is
#
# $$ y_o = b_o + \sum_{ch}\sum_{i=0}^{2}\sum_{j=0}^{2} w_{o,(ch,i,j)}\; x_{ch,i,j} $$
#
# Compare it with the formula of a convolution in lesson 02. It is one, with a 3 × 3 kernel over 32
# channels, at the only place where it fits. Nothing has to be learned anew: the 288 weights of
# each output are read as a block of 32 × 3 × 3. The second linear layer becomes a 1 × 1
# convolution.

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
with torch.no_grad():
    at_once = dense(image[None] - 0.5)[0]
print("at once:", list(at_once.shape), " patch by patch:", list(by_patches.shape))
print("equal:", torch.allclose(at_once, by_patches, atol=1e-4))

# %% [markdown] id="convolutionalise-read"
# One pass over the image gives the scores of all patches, equal up to rounding. It took neither a
# new weight nor a training step. The **stride** of the map, 8, comes from the three poolings: move
# one cell, and the patch underneath moves by $2 \cdot 2 \cdot 2$ pixels.

# %% id="work-saved" tags=["nbval-check-output"]
from torch.utils.flop_counter import FlopCounterMode


def work(function, *arguments):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function(*arguments)
    return counter.get_total_flops()


ratio = work(slide, classifier, image) / work(dense, image[None])
print(f"patch by patch costs {ratio:.0f} times the work, for the same {at_once[0].numel()} answers")

# %% id="heat-map" alt="The image, a coarse map of 12 by 12 cells that is brightest on and around the objects and dark beside them, and the true mask of all objects."
heat = at_once.softmax(dim=0)[1]  # [rows, columns], probability of "object"
bottom, right = (15 + 8 * n for n in heat.shape)  # cell 0 is centred on pixel 19 and 8 pixels wide
objects = target.masks.any(dim=0)[15:bottom, 15:right]
plotting.show_images(
    [image[:, 15:bottom, 15:right], heat, objects.float()],
    ["the image, where the map reaches", "the classifier's score map", "truth"],
    caption="A classifier of patches, run once on the whole image.",
)

# %% [markdown] id="padding-note"
# Why only 9 times, and not hundreds? The window moved by 8 pixels at a time, so a pixel was read
# about a dozen times instead of 730.
#
# Two details that you will meet again. The map has fewer cells than an eighth of the image's side,
# because a patch must fit inside; FCN pads the image to make up for that. And this equality needed
# convolutions *without* padding: a padded layer sees zeros at the border of each patch, but in the
# whole image it sees the neighbouring pixels there.

# %% [markdown] id="transposed"
# ### Two: going up by stamping
#
# Twelve by twelve scores are not yet a label for each pixel. You need a layer that makes maps
# *larger*. You have met one: in lesson 02 each gradient stamped the kernel onto the window that
# it came from. As a layer of its own it is called a **transposed convolution**. Each input number
# stamps the kernel, multiplied by its value; the stamps are `stride` apart; where they overlap,
# they add up.

# %% id="stamping-figure" alt="A 2 by 2 input, a 3 by 3 kernel, and the 5 by 5 output; the stamps of two neighbouring inputs are framed, and in the column where the frames overlap the values add up."
small = torch.tensor([[1.0, 2], [3, 4]])
kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
plotting.show_transposed_convolution(small, kernel, stride=2)

# %% [markdown] id="stamping-read"
# Find the two frames: the stamps of 1 and 2. They overlap in one column, and the first number in
# it is $1 \cdot 1 + 2 \cdot 1 = 3$. **Predict before you run:** how large is the output for an
# input of 4 × 4, kernel 4, stride 2? (The last stamp begins at $2 \cdot 3$.)

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
# The last stamp begins at $(n-1)\,s$ and is $k$ long. **Padding** $p$ means here that $p$ rows
# and columns are cut *off* at each border, since it undoes what padding adds in a convolution:
#
# $$ n_\text{out} = (n-1)\,s - 2p + k $$
#
# The tensor form swaps the loops, as `im2col` did: for each cell of the kernel, all inputs at
# once land on one strided view of the output.

# %% id="stamping-fast" tags=["nbval-check-output"]
def stamp_fast(x, w, stride):
    """x [..., h, w]; the same, one strided view of the output for each cell of the kernel."""
    *maps, rows, columns = x.shape
    k, reach_r, reach_c = len(w), stride * (rows - 1) + 1, stride * (columns - 1) + 1
    y = x.new_zeros(*maps, reach_r + k - 1, reach_c + k - 1)  # of x's dtype
    for i in range(k):
        for j in range(k):
            y[..., i : i + reach_r : stride, j : j + reach_c : stride] += x * w[i, j]
    return y


a, b = torch.randn(5, 7), torch.randn(4, 4)
print("both forms agree:", torch.allclose(stamp(a, b, 2), stamp_fast(a, b, 2), atol=1e-6))

# %% id="is-backward" tags=["nbval-check-output"]
large = torch.zeros(12, 16, requires_grad=True)  # a 4×4 kernel with stride 2 makes it 5 × 7
F.conv2d(large[None, None], b[None, None], stride=2)[0, 0].backward(a)
same = torch.allclose(large.grad, stamp_fast(a, b, 2), atol=1e-5)
print("same as a convolution's backward pass:", same)

# %% [markdown] id="undo"
# #### Does it undo a convolution?
#
# The FCN paper calls this layer "deconvolution", and in signal processing that word means undoing
# a convolution. **Predict before you run:** halve an image with a 4 × 4 kernel and stride 2, then
# apply the transposed convolution with the *same* kernel and stride. Do you get the image back?

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
# of the brightness, and even multiplied by four the picture is blurred. **A transposed convolution
# is not an inverse.** Written as a matrix, a convolution is $y = Wx$; this layer multiplies by
# $W^\top$, hence its name, and $W^\top W$ is not the identity. No kernel could repair it: after
# the way down a quarter of the numbers remain, and the rest are gone for good. Going up, the
# network cannot *recover* detail. It has to get it from somewhere else. Keep that in mind for part
# three.

# %% [markdown] id="checkerboard"
# #### How even is the stamping?
#
# Stamp ones with a kernel of ones, and the output counts how many stamps fall on each cell.
# **Predict before you run:** kernel 3, stride 2. Is every cell hit equally often?

# %% id="checkerboard-figure" alt="Two grids of counts. With kernel 3 and stride 2 the counts alternate between 1, 2 and 4 like a checkerboard; with kernel 4 and stride 2 they are 4 everywhere but at the border."
plotting.show_checkerboard()

# %% [markdown] id="checkerboard-read"
# With kernel 3 some cells get one stamp, their neighbours two or four. A network would have to
# learn weights that cancel this pattern, and often it does not: generated pictures used to show
# checkerboards for this reason (Odena et al. 2016). With a kernel that is a multiple of the
# stride every inner cell gets the same number. FCN always takes $k = 2s$.

# %% [markdown] id="bilinear"
# #### The kernel to start from
#
# Which numbers should be in the stamp? Between two scores the map should change evenly: halfway
# between a 2 and a 4 lies a 3. So the influence of a cell falls off linearly with distance and
# reaches zero at the next cell. In one dimension that is a tent,
#
# $$ w_i = 1 - \frac{|i - c|}{s}, \qquad c = s - \tfrac12, \quad i = 0 \dots 2s-1, $$
#
# and in two dimensions the product of two tents: the **bilinear kernel**. Below, for $s = 4$, it
# has 8 × 8 cells. On the right is its tent, whose sides are straight. No cell lies at the very
# tip, so the largest weights are $1 - 0.5/4 = 0.875$, and in the kernel $0.875^2 \approx 0.77$.

# %% id="bilinear-figure" alt="The 8 by 8 bilinear kernel of stride 4 as a grid of numbers, small in the corners and largest in the middle, and beside it the one-dimensional tent: eight bars whose tops lie on two straight lines, from 0.125 up to 0.875 and down again."
plotting.show_bilinear_kernel(8)

# %% id="bilinear-code" tags=["nbval-check-output"]
def bilinear(stride):
    """The kernel [2·stride, 2·stride] that enlarges by `stride`."""
    tent = torch.tensor([1 - abs(i - (stride - 0.5)) / stride for i in range(2 * stride)])
    return torch.outer(tent, tent)


enlarged = stamp_fast(heat, bilinear(8), stride=8)[4:-4, 4:-4]  # 4 pixels too many on each side
library = F.interpolate(heat[None, None], scale_factor=8, mode="bilinear")[0, 0]
print("size:", list(heat.shape), "->", list(enlarged.shape))
equal = (enlarged - library).abs() < 1e-5
print("equals interpolation inside:", bool(equal[4:-4, 4:-4].all()))
print("and at the border:          ", bool(equal.all()))

# %% [markdown] id="bilinear-read"
# Inside it *is* bilinear interpolation. At the border it fades, because nothing beyond it sends a
# stamp; interpolation repeats the last cell there.
#
# A transposed convolution is a layer like any other, and its kernel can be learned. But compare
# what it does before any learning, with random numbers, with a flat kernel, and with the tent.

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
# That is why FCN starts here: from the first step on, a good coarse map gives a reasonable fine
# one, and the gradient goes into the scores and not into taming noise. In the paper the × 2 steps
# go on learning from there and the last step stays fixed; the released networks keep all of them
# fixed, and their authors saw no notable difference.

# %% [markdown] id="skips"
# ### Three: what a coarse map cannot say, and skips
#
# VGG and its kin pool five times: stride 32. **Predict before you run:** how many cells has the
# score map of a 128 × 128 image at stride 32? And how much of the picture could a *perfect*
# network express with it? To see, put the truth itself through the grid: on the way down, each
# cell keeps the share of its pixels that each class has; on the way up, these shares are
# interpolated, and at each pixel the largest wins.

# %% id="ceilings-figure" alt="The truth seen through grids of stride 32, 16 and 8: at 32 only large blobs remain, at 16 shapes appear, at 8 only thin parts, corners and notches are lost."
from seglib.metrics.ceilings import labels_at_stride

through = {f"truth at stride {s}": labels_at_stride(truths[chosen], s) for s in (32, 16, 8)}
plotting.score_maps(image, through, truths[chosen], dataset.categories)

# %% [markdown] id="ceilings-read"
# Four by four cells. At stride 32 even perfect knowledge turns into blobs, and objects smaller
# than a cell drown. Learning cannot help: the form of the output is the limit. Its score is
# called the **ceiling** of this form, and we will print it beside the networks' results.
#
# Where would finer detail come from? Not from the upsampling, as you have seen. But on its way
# down the backbone *had* finer maps: `pool3` at stride 8 and `pool4` at stride 16. They know less
# about classes, since their receptive field is smaller, but they know well where things are. So
# give each of them a 1 × 1 convolution to class scores, and **add** the scores on the way up.
# These shortcuts are called **skips**. FCN-32s has none and goes up by 32 in one step; FCN-16s
# adds the scores of `pool4`, FCN-8s those of `pool4` and of `pool3`. (In the drawing `conv6` and
# `conv7` are VGG's fully connected layers `fc6` and `fc7`, turned into convolutions as in part
# one.)

# %% id="fcn-diagram" alt="A diagram of FCN-8s: image, pool3, pool4, pool5, conv6 and conv7 in a row; below, score32 is enlarged by 2 and added to score16 from pool4, enlarged by 2 and added to score8 from pool3, then enlarged by 8 to labels."
plotting.fcn_diagram("8s", size=128, classes=str(len(models["8s"].categories) + 1))

# %% id="streams" tags=["nbval-check-output"]
fcn8 = models["8s"]
with torch.no_grad():
    output = fcn8([torch.zeros(3, 128, 128)])
for stride, scores in output.scores.items():
    print(f"stride {stride:2d}: scores {list(scores.shape)}")
print(f"logits    {list(output.logits.shape)}")

# %% [markdown] id="streams-text"
# **Predict before you run:** suppose you take the arg-max of each of these three maps *alone*.
# Will the one of stride 8 be the best, since it is the finest?

# %% id="streams-figure" alt="The arg-max of each stream of FCN-8s alone: stride 32 shows three bands of scenery, stride 16 names most objects in a few large blocks, stride 8 is the finest and the patchiest, with wrong classes scattered over the objects; then the truth."
with torch.no_grad():
    streams = fcn8([image]).scores
alone = {f"stride {s} alone": to_dataset[v[0].argmax(dim=0)] for s, v in streams.items()}
plotting.score_maps(image, alone, truths[chosen], dataset.categories)

# %% [markdown] id="misconception-finest"
# **A finer map is not a better one.** Alone, each stream is poor, and the finest is the patchiest:
# its cells see little of the picture around them. They were trained as a *sum*, in which the
# coarse maps vote for what fills a region and the finer ones correct what it holds and where it
# ends.

# %% [markdown] id="crops"
# #### Adding maps: which cell lies on which?
#
# To add two maps, their cells must lie over the same pixels. A × 2 step with kernel 4 makes
# $(n-1) \cdot 2 + 4 = 2n + 2$ cells out of $n$: **one too many on each side**. In general kernel
# $2s$ and stride $s$ make $(n+1)\,s$ cells, an overhang of $s/2$ at each end. A `Grid` does the
# bookkeeping below: it knows where in the image the cells of a map are centred, and
# `grid.transposed(kernel, stride)` is the grid of the map after a transposed convolution.

# %% id="alignment" alt="Four rows of cells over a ruler of pixels: score32 has four cells, its doubled version ten, of which the first and the last lie outside the image and are hatched; score16 has eight; their sum enlarged by 16 has 144, eight too many at each end."
grids = fcn8.network.grids
doubled_grid = grids[32].transposed(kernel=4, stride=2)
cells_of = {
    "score32": (grids[32], 4),
    "score32, × 2": (doubled_grid, 10),
    "score16": (grids[16], 8),
    "sum, × 16": (grids[16].transposed(kernel=32, stride=16), 144),
}
plotting.show_alignment(cells_of, size=128)

# %% [markdown] id="crops-read"
# Read it row by row. Cell 1 of the doubled map lies on cell 0 of `score16`: cut one cell at each
# end, then add. The last step overhangs by 8 pixels at each end; cut those. That is all that an
# FCN-16s does after its backbone:

# %% id="fuse" tags=["nbval-check-output"]
def enlarge(scores, stride, overhang):
    """Scores [K, h, w], each class enlarged by itself, without the overhang at top and left."""
    return stamp_fast(scores, bilinear(stride), stride)[:, overhang:, overhang:]


def fuse_16s(score32, score16, size, cell=1):
    doubled = enlarge(score32, stride=2, overhang=cell)  # [K, 2h+1, 2w+1]
    total = doubled[:, : score16.shape[1], : score16.shape[2]] + score16  # [K, 2h, 2w]
    return enlarge(total, stride=16, overhang=8)[:, : size[0], : size[1]]  # [K, H, W]


fused = fuse_16s(torch.zeros(3, 4, 4), torch.zeros(3, 8, 8), size=(128, 128))
print(list(fused.shape))

# %% [markdown] id="paper-crops"
# The paper's crops have stranger numbers, 5, 9 and 31. They come from two decisions: 100 pixels
# of padding around the image, so that the 7 × 7 kernel of `fc6` fits even a small one, and no
# padding in `fc6`. The same bookkeeping finds them (you may skip this until you read the paper):
# `offset_to` counts the cells to cut off the front of one map so that it starts with another.

# %% id="paper-crops-code" tags=["nbval-check-output"]
from seglib.ops.grid import Grid


def backbone_grids(first_padding, head_kernel, head_padding):
    """Where the cells of VGG-16's pool3, pool4 and of fc7 lie."""
    grid, found = Grid().convolved(3, padding=first_padding), {}
    for stage, convolutions in enumerate((1, 2, 3, 3, 3), start=1):  # the very first one is done
        for _ in range(convolutions):
            grid = grid.convolved(3, padding=1)
        grid = found[2**stage] = grid.convolved(2, stride=2)
    return {**found, 32: found[32].convolved(head_kernel, padding=head_padding)}


of_paper = backbone_grids(first_padding=100, head_kernel=7, head_padding=0)
up2 = of_paper[32].transposed(kernel=4, stride=2)
up4 = up2.transposed(kernel=4, stride=2)
up32 = up4.transposed(kernel=16, stride=8)
print("pool4:", of_paper[16].offset_to(up2))
print("pool3:", of_paper[8].offset_to(up4))
print("image:", up32.offset_to(Grid()))

# %% [markdown] id="loss"
# ### Four: the loss, and the score
#
# Training needs nothing new: every pixel is a small classification problem, and the loss is the
# **mean of the cross-entropies** of all pixels. One more rule: pixels with the label 255 are
# ignored. They are regions that nobody could or would annotate: crowds in COCO, and everything
# outside the image where a batch is padded.

# %% id="pixel-loss" tags=["nbval-check-output"]
def pixel_loss(logits, labels):
    """logits [K, H, W], labels [H, W] -> the mean over pixels that are not 255."""
    losses = []
    for r in range(labels.shape[0]):
        for c in range(labels.shape[1]):
            if labels[r, c] != 255:
                probability = logits[:, r, c].softmax(dim=0)[labels[r, c]]
                losses.append(-probability.log())
    return torch.stack(losses).mean()


logits = torch.randn(4, 6, 6, requires_grad=True)
pixel_labels = torch.randint(4, (6, 6))
pixel_labels[:2] = 255
by_loops = pixel_loss(logits, pixel_labels)
by_seglib = ops.cross_entropy(logits[None], pixel_labels[None])
print("loops equal seglib's:", torch.allclose(by_loops, by_seglib))

# %% id="ignored-gradient" tags=["nbval-check-output"]
gradient = torch.autograd.grad(pixel_loss(logits, pixel_labels), logits)[0]  # [4, 6, 6]
print("largest gradient in the ignored rows:", gradient[:, :2].abs().max().item())
print("non-zero everywhere else:            ", bool((gradient[:, 2:] != 0).all()))

# %% [markdown] id="ignored-read"
# Ignored means no gradient at all: the network may answer whatever it likes there. That is not
# the same as "background", which is an answer that can be wrong.
#
# (The paper sums the losses of all pixels instead of averaging them, and compensates with a
# learning rate of 1e-10. With the mean, a learning rate means the same for every image size.)

# %% [markdown] id="confusion"
# #### One table, two very different scores
#
# Count every pixel once, in the row of its true class and the column of the predicted one. The
# table is called the **confusion matrix**, and all scores of this lesson are read from it.

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
# diagonal divided by its row plus its column minus that cell, which would be counted twice
# otherwise:
#
# $$ \text{accuracy} = \frac{\sum_c n_{cc}}{\sum_{c,d} n_{cd}}, \qquad
# \text{IoU}_c = \frac{n_{cc}}{\sum_d n_{cd} + \sum_d n_{dc} - n_{cc}}, \qquad
# \text{mean IoU} = \frac1C \sum_c \text{IoU}_c $$
#
# **Predict before you run**, by hand: the three IoUs of this table, and their mean.

# %% id="iou-code" tags=["nbval-check-output"]
def accuracy(table):
    return table.trace() / table.sum()


def class_iou(table):
    true_positives = table.diagonal()
    union = table.sum(dim=0) + table.sum(dim=1) - true_positives
    return true_positives / union  # nan where a class never occurs


print("pixel accuracy", round(accuracy(tiny_table).item(), 3))
print("IoU per class ", [round(v, 3) for v in class_iou(tiny_table).tolist()])
print("mean IoU      ", round(class_iou(tiny_table).nanmean().item(), 3))

# %% id="confusion-fast" tags=["nbval-check-output"]
def confusion(predicted, true, classes):
    """Give each pair (truth, prediction) one number, and count the numbers."""
    counted = true != 255
    pairs = true[counted] * classes + predicted[counted]
    return pairs.bincount(minlength=classes**2).reshape(classes, classes)  # [C·C] -> [C, C]


by_counting = confusion(tiny_predicted, tiny_true, classes=3)
print("fast form agrees:", torch.equal(by_counting, tiny_table))

# %% [markdown] id="blind"
# Is a pixel accuracy of 90 % good? **Predict before you run.** Meet two lazy networks. The first
# has a single question to answer, "is this pixel of the rarest class?", and always says no. The
# second is *blind to objects*: it knows scenery perfectly (sky, grass, or "background" where a
# data set has no scenery), and on an object it gives the commonest scenery of the picture. What
# will their accuracies be?

# %% id="never" tags=["nbval-check-output"]
classes = len(dataset.categories) + 1
things = torch.tensor([c.label for c in dataset.categories.things])
pixels = torch.stack([t.flatten().bincount(minlength=256) for t in truths]).sum(dim=0)
rare = min(things[pixels[things] > 0].tolist(), key=lambda label: pixels[label])
never = 1 - pixels[rare] / pixels[:255].sum()
rare_name = dataset.categories.by_label(rare).name
print(f"never saying {rare_name!r}: accuracy {never:.1%}, IoU of that class 0")

# %% id="blind-test" tags=["nbval-check-output"]
def rub_out_objects(labels):
    scenery = labels[~torch.isin(labels, things) & (labels != 255)]
    common = scenery.mode().values if len(scenery) else torch.tensor(0)
    return torch.where(torch.isin(labels, things), common, labels)


blind = sum(confusion(rub_out_objects(t), t, classes) for t in truths)
print(f"blind to every object: accuracy {accuracy(blind):.2f}", end=", ")
print(f"mean IoU {class_iou(blind).nanmean():.2f}")

# %% [markdown] id="misconception-accuracy"
# The first network is useless and nearly perfect; the second finds not a single object and still
# has more than half of the pixels of Pocket COCO right. **Pixel accuracy flatters**, because
# large classes count more. Mean IoU gives each class the same weight and punishes false alarms
# too. It is the number to read; when a text reports accuracy alone, ask why.

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# Piece by piece: `seglib.nn.vgg.convolutionalize` turns a linear layer into a convolution,
# `seglib.ops.conv_transpose2d` is a primitive with three bodies, and `bilinear_kernel` is the
# tent. The body called `native` is PyTorch's own layer, the reference.

# %% id="equality-parts" tags=["nbval-check-output"]
from seglib.nn.vgg import convolutionalize

print("convolutionalize:", torch.equal(convolutionalize(fc1, kernel_size=3).weight, w1))
tents = [torch.allclose(bilinear(s), ops.bilinear_kernel(2 * s)) for s in (2, 8, 16, 32)]
print("bilinear kernel: ", all(tents))
x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
w = torch.randn(3, 4, 4, 4, dtype=torch.float64)
native = ops.conv_transpose2d.native(x, w, stride=2, padding=1)
for style in ("naive", "scratch"):
    other = getattr(ops.conv_transpose2d, style)(x, w, stride=2, padding=1)
    print(f"{style:7s} = native:", torch.allclose(other, native))
yours = sum(stamp_fast(x[0, c], w[c, 0], 2) for c in range(3))[1:-1, 1:-1]
print("yours   = native:", torch.allclose(yours, native[0, 0]))

# %% [markdown] id="equality-fuse-text"
# Now the whole way up. Give your `fuse_16s` the scores of an FCN-16s with bilinear steps, and
# compare with that network's own logits. The shipped one has *learned* its × 2 step, so build a
# fresh one, with random scores.

# %% id="equality-fuse" tags=["nbval-check-output"]
from seglib.models import build_model

fresh = build_model("fcn", dataset.categories, variant="16s").eval()
for layer in (fresh.network.score_fr, fresh.network.score_pool4):
    torch.nn.init.normal_(layer.weight, std=0.1)  # they start at zero, which would prove nothing
noise = torch.rand(3, 96, 128)
with torch.no_grad():
    raw = fresh([noise])
way_up = fuse_16s(raw.scores[32][0], raw.scores[16][0], size=(96, 128))
print("shape:", list(way_up.shape))
print("your way up = seglib's:", torch.allclose(way_up, raw.logits[0], atol=1e-4))

# %% [markdown] id="wrong-crop-text"
# How much does one wrong crop matter? **Predict before you run:** forget to cut the first cell
# (`cell=0`), and add maps that are 16 pixels apart.

# %% id="wrong-crop" tolerance=0.02
def measure(maps):
    """The confusion matrix of label maps, one for each image to measure on."""
    return sum(confusion(p, t, classes) for p, t in zip(maps, truths, strict=True))


def by_hand(scores, size, cell):
    return to_dataset[fuse_16s(scores[32][0], scores[16][0], size, cell).argmax(dim=0)]


label_maps["32s"] = [answer(models["32s"], x) for x, _ in samples]
with torch.no_grad():
    scores_16s = [models["16s"]([x]).scores for x, _ in samples]
print(f"no skip: mean IoU {class_iou(measure(label_maps['32s'])).nanmean():.2f}")
for cell in (1, 0):
    cropped = [by_hand(s, t.shape, cell) for s, t in zip(scores_16s, truths, strict=True)]
    print(f"crop {cell}:  mean IoU {class_iou(measure(cropped)).nanmean():.2f}")

# %% [markdown] id="wrong-crop-read"
# In Pocket COCO one cell costs most of what the skip had brought. A misaligned map is a mistake
# that no error message tells you about. (The second line is a little below what the shipped
# FCN-16s reaches: it has learned its × 2 step, and you used the tent.)
#
# Last, the network as a whole. `seglib`'s tests compare its backbone with torchvision's VGG-16,
# and its crops and kernels with values recorded from the authors' own code. Here, run it on the
# course's own tensor code only.

# %% id="scratch" tags=["nbval-check-output"]
with torch.no_grad():
    by_native = fcn8([image]).logits
    with seglib.use("scratch"):
        by_scratch = fcn8([image]).logits
print("FCN-8s on scratch code:", torch.allclose(by_native, by_scratch, atol=1e-3))

# %% [markdown] id="learns"
# ## It learns
#
# First the habit of lesson 03: **overfit one batch**. A fresh pocket-sized FCN-8s (about 2.5
# million weights; its score layers start at zero) gets the same four images again and again.

# %% id="overfit" alt="The loss on one batch of four images falls from about three to near zero within forty steps." tolerance=0.15
from seglib.training import TrainConfig, overfit, train

torch.manual_seed(0)
by_heart = build_model("fcn", dataset.categories, dropout=0.0)
few = samples[:4]
losses = overfit(by_heart, [x for x, _ in few], [t for _, t in few], steps=40, lr=4e-3)
print(f"{sum(p.numel() for p in by_heart.parameters()):,} parameters")
print(f"loss {losses[0]:.1f} → {losses[-1]:.1f}")
plotting.training_curve(losses, title="Four images, over and over")

# %% id="overfit-picture" alt="One of the four images, the network's label map and the true one: alike but for the outlines and the thinnest parts."
picture, its_target = few[0]
learned = {"learned by heart": by_heart.predict([picture])[0].semantic}
plotting.score_maps(picture, learned, its_target.semantic, dataset.categories)

# %% [markdown] id="overfit-read"
# It can. The parts fit together, and what is left of the error lies along the outlines and in
# objects smaller than a cell: that is the ceiling of stride 8, not a bug.
#
# ### Half a minute: teaching a 32s to be an 8s
#
# The paper trains in stages: first the 32s, then a 16s that begins with its weights, then an 8s.
# You can watch the last part. Take the shipped FCN-32s and add both skips with scores of zero, so
# that the new network begins by saying what the old one says. Then train on the images that are
# not set aside for measuring. The 32s has not seen those either: it was trained on others.
#
# To fit into half a minute, train the score layers only and leave the backbone as it is. **Predict
# before you run:** the backbone of a 32s never had to say anything about single pixels. Will the
# new score layers find outlines in it?

# %% id="warm-start" tags=["nbval-check-output"]
def warm_start(coarse):
    """An FCN-8s that begins with the weights of `coarse`; only its score layers will learn."""
    torch.manual_seed(0)
    finer = build_model("fcn", dataset.categories, variant="8s")
    finer.load_coarser(coarse)
    for name, parameter in finer.named_parameters():
        parameter.requires_grad_("score" in name and parameter.requires_grad)
    return finer


coarse = load("fcn-32s", dataset.categories)
old = {name for name, _ in coarse.named_parameters()}
for name, parameter in warm_start(coarse).named_parameters():
    if name not in old:
        print("new:", name, list(parameter.shape))

# %% id="live" alt="The training loss over 100 steps: noisy, falling quickly in the first forty steps and then slowly."
model = warm_start(coarse)
rest = torch.utils.data.Subset(dataset, range(held_out, len(dataset)))
config = TrainConfig(steps=100, batch_size=8, lr=1e-2, warmup=5)
with plotting.LiveCurve(steps=config.steps, title="From 32s to 8s") as live:
    train(model, rest, config, on_step=live)

# %% id="live-result" alt="The image, the label map of FCN-32s, that of the network after 100 steps, and the truth: after the training the outlines are closer to the objects' shapes."
compared = {"FCN-32s": answers["FCN-32s"], "100 steps later": model.predict([image])[0].semantic}
plotting.score_maps(image, compared, truths[chosen], dataset.categories)

# %% id="live-score" tolerance=0.03
trained = [model.predict([x])[0].semantic for x, _ in samples]
for name, maps in (("FCN-32s", label_maps["32s"]), ("100 steps later", trained)):
    print(f"{name:16s} mean IoU {class_iou(measure(maps)).nanmean():.2f}")

# %% [markdown] id="live-read"
# In Pocket COCO a hundred steps go more than a third of the way to the FCN-8s below: the finer
# layers of a network that only ever learned blobs do contain outlines. Borders follow the picture
# now; a *class* that the 32s gets wrong mostly stays wrong. (On other data the classes are new to
# the backbone too, and 100 steps are far too few.) Training the backbone as well, for much longer,
# brings the thin parts and the rare classes. Later the authors also trained an 8s "at once", all
# streams from the start, with about the same result.
#
# ### The shipped networks
#
# The three checkpoints were trained in the same stages, for longer. These are the curves of the
# last one:

# %% id="shipped-curve" alt="Left, the training loss of the shipped FCN-8s falling over its 2,200 steps; right, its mean IoU on validation images rising and levelling off below the dashed ceiling."
from seglib.pretrained import record
from seglib.training import History

shipped = record("fcn-8s")
plotting.history_curve(
    History.from_dict(shipped["history"]),
    ceiling=shipped["ceilings"]["mean_iou"]["ceiling"],
    title="The shipped FCN-8s",
)

# %% id="shipped-record"
for name in ("fcn-32s", "fcn-16s", "fcn-8s"):
    noted = record(name)
    score = noted["figures"]["mean_iou"]
    print(noted["command"])
    print(f"  {noted['minutes']} minutes; mean IoU {score:.3f} on {noted['evaluated']}")

# %% [markdown] id="shipped-table-text"
# Now measure them on the images of this lesson, each beside the ceiling of its stride: the truth
# put through the grid, scored with your own functions.

# %% id="shipped-table" tolerance=0.02
label_maps["16s"] = [answer(models["16s"], x) for x, _ in samples]
tables = {name: measure(label_maps[name]) for name in ("32s", "16s", "8s")}
perfect = {s: measure([labels_at_stride(t, int(s[:-1])) for t in truths]) for s in tables}
print(f"{held_out} images at 128 px  mean IoU  ceiling  share  accuracy")
for name, table in tables.items():
    ceiling, iou = (class_iou(t).nanmean().item() for t in (perfect[name], table))
    print(f"FCN-{name:14s} {iou:13.3f} {ceiling:8.3f} {iou / ceiling:6.0%} {accuracy(table):9.3f}")

# %% [markdown] id="shipped-table-read"
# Read the columns against each other. The ceiling rises with each skip, because a finer grid can
# say more, and in Pocket COCO mean IoU rises with it. "Share" is the part of its ceiling that a
# network reaches. And compare mean IoU with the last column: pixel accuracy is far kinder, most of
# all to the FCN-32s, which lives on large regions.
#
# `seglib eval fcn` prints the same figures. Check your functions against the library's `evaluate`:

# %% id="evaluate-check" tags=["nbval-check-output"]
from seglib.metrics import evaluate

judged, maps = (models["8s"], label_maps["8s"]) if shared else (model, trained)
figures = evaluate(judged, dataset, limit=held_out).figures
own = {"mean_iou": class_iou(measure(maps)).nanmean(), "pixel_accuracy": accuracy(measure(maps))}
print({name: abs(figures[name] - value.item()) < 1e-6 for name, value in own.items()})

# %% [markdown] id="inside"
# ## Look inside: where it fails, and why
#
# Start with the confusion matrix. Each row shows, in per cent, what the pixels of one true class
# were predicted to be.

# %% id="confusion-figure" alt="A square table with a bright diagonal. The largest numbers off the diagonal stand mostly in the columns of scenery: objects are taken for what surrounds them."
from seglib.plotting.overlays import short_name

names = ["background", *(short_name(name) for name in dataset.categories.names)]
plotting.confusion_heatmap(tables["8s"], names)

# %% id="class-bars" alt="One bar per class, sorted by IoU, each with an orange mark for the ceiling of stride 8: sky and grass at the top, kite, person and cat at the bottom. Every bar ends short of its mark."
by_class = dict(zip(names, class_iou(tables["8s"]).tolist(), strict=True))
limits = dict(zip(names, class_iou(perfect["8s"]).tolist(), strict=True))
occurring = {name: value for name, value in by_class.items() if value == value}  # nan: never there
plotting.bars(occurring, ceiling=limits, xlabel="IoU", title="FCN-8s, IoU per class")

# %% [markdown] id="class-read"
# Each number belongs to its bar, the orange mark is the ceiling. Two things pull a class down.
# Where the mark itself is low, the class is thin or small, and no network with this grid could do
# well. Where the bar ends far from its mark, the class is *confused*: in the table above, its row
# tells what its pixels were taken for, and its column what was taken for it.
#
# ### Size and distance
#
# **Predict before you run:** what share of a small object's pixels gets the right class? And of
# a large one's? (In Pocket COCO *small* is an area below 16 × 16 pixels, four cells of stride 8,
# and *large* begins at 40 × 40.)

# %% id="by-size" alt="Bars for small, medium and large objects: the larger the object, the larger the share of its pixels that get the right class."
found = {name: [] for name in dataset.area_ranges if name != "all"}
for labels_8s, (_, truth) in zip(label_maps["8s"], samples, strict=True):
    for mask, label, area in zip(truth.masks, truth.labels, truth.area, strict=True):
        for name, values in found.items():
            low, high = dataset.area_ranges[name]
            if low <= area < high and label in known and mask.any():
                values.append((labels_8s[mask] == label).float().mean())
shares = {f"{name} ({len(v)} objects)": sum(v).item() / len(v) for name, v in found.items() if v}
title, xlabel = "By the object's size", "share of its pixels with the right class"
plotting.bars(shares, ranked=False, xlabel=xlabel, title=title)

# %% id="by-distance" tolerance=0.02
from scipy.ndimage import distance_transform_edt

wrong = {"up to 2 px": [], "2 to 6 px": [], "farther": []}
for labels_8s, truth in zip(label_maps["8s"], truths, strict=True):
    highest = F.max_pool2d(truth[None].float(), 3, stride=1, padding=1)
    lowest = -F.max_pool2d(-truth[None].float(), 3, stride=1, padding=1)
    distance = torch.tensor(distance_transform_edt(highest[0] == lowest[0])) + 1
    for name, near, far in zip(wrong, (0, 2, 6), (2, 6, 999), strict=True):
        ring = (distance > near) & (distance <= far) & (truth != 255)
        wrong[name].append((labels_8s != truth)[ring])
for name, values in wrong.items():
    values = torch.cat(values)
    print(f"{name:10s} from a border: {values.float().mean():5.1%} of {len(values):,} pixels wrong")

# %% id="worst-image" alt="The image on which FCN-8s has the lowest accuracy, its label map, the truth, and a map of the wrong pixels: bands along the outlines, a tangle of thin strings, and a large part of one object."
def right_share(index):
    counted = truths[index] != 255
    return (label_maps["8s"][index] == truths[index])[counted].float().mean().nan_to_num(1.0)


worst = min(range(held_out), key=right_share)
worst_map, worst_truth = label_maps["8s"][worst], truths[worst]
wrong_pixels = ((worst_map != worst_truth) & (worst_truth != 255)).float()
painted = [plotting.paint_labels(m) for m in (worst_map, worst_truth)]
panels = [samples[worst][0], *painted, wrong_pixels]
plotting.show_images(panels, ["the hardest image", "FCN-8s", "truth", "wrong pixels"])

# %% [markdown] id="inside-read"
# Most errors hug the outlines: a cell of 8 pixels, enlarged, cannot follow a corner or a thin
# pole. Others are whole objects, mostly small ones: an object that covers one cell or less leaves
# too little in the scores of its class to win against its surroundings. And now and then, as in
# the hardest image, a large object is taken for another class, in parts or as a whole.
#
# ### Touching objects become one
#
# The next failure is of another kind. Suppose the network were perfect. How many objects are in
# its label map? The only way to count them is by **connected regions** of one class. **Predict
# before you run:** in the *true* label map, does the number of regions equal the number of
# objects?

# %% id="touching-code"
from scipy.ndimage import label as connected


def regions_of(labels, label):
    """Region numbers [H, W] of one class, 0 elsewhere; diagonal neighbours touch."""
    return torch.tensor(connected(labels == label, structure=torch.ones(3, 3))[0])


def merged(target, labels):
    """For each object: does its region, in this label map, hold another object as well?"""
    answers = []
    for label in target.labels.unique().tolist():
        regions = regions_of(labels, label)
        own = [set(regions[mask].tolist()) - {0} for mask in target.masks[target.labels == label]]
        answers += [any(a & b for b in own[:i] + own[i + 1 :]) for i, a in enumerate(own)]
    return answers


# %% id="touching-figure" alt="The image with the most touching objects of one class: the objects outlined in different colours, all pixels of their class in one colour, and the connected regions, of which there are fewer than objects."
def objects_of(index):
    """The true objects of classes that the models know, without crowds."""
    truth = samples[index][1]
    return truth[torch.isin(truth.labels, known) & ~truth.iscrowd]


def lost(index, label):
    """Objects of a class less its regions in the true label map."""
    return int((objects_of(index).labels == label).sum() - regions_of(truths[index], label).max())


pairs = [(i, label) for i in range(held_out) for label in objects_of(i).labels.unique().tolist()]
most, their_class = max(pairs, key=lambda pair: lost(*pair))
plotting.touching_instances(
    samples[most][0], objects_of(most), truths[most], dataset.categories, their_class
)

# %% id="touching-count" tags=["nbval-check-output"]
for name, maps in (("the true label map", truths), ("FCN-8s's answer", label_maps["8s"])):
    together = sum((merged(objects_of(i), maps[i]) for i in range(held_out)), [])
    share_merged = sum(together) / len(together)
    print(f"{name}: of {len(together)} objects {share_merged:.0%} share a region with another")

# %% [markdown] id="misconception-count"
# The figure and the first share come from the *truth*, not from a network. **Better semantic
# segmentation does not become instance segmentation**: the output has no place to say "this
# boat, not that one". More training, more skips, more data: nothing helps, because two touching
# objects of a class *are* one region of it. The question itself has to change, from "which class
# is this pixel?" to "which pixels belong to this object?".

# %% [markdown] id="try"
# ## Try it
#
# Mix the three streams of an FCN-8s with weights of your own. Can you beat 1, 1, 1? Turn off
# stride 32: what remains of the classes? Turn off stride 8: which parts of the picture change?
# (On Pocket COCO this is the shipped network, on other data the one that you have just trained.)

# %% id="mixer" alt="Three sliders, one for each stream's weight, above the image, the mixed label map and the truth, with the mean IoU of the mix."
from seglib.widgets import Option, Question, Quiz, SkipMixer

mixed = fcn8 if fcn8.categories == dataset.categories else model  # knows the data set's labels
with torch.no_grad():
    maps_to_mix = mixed([image]).scores
maps_to_mix = {f"stride {stride}": maps[0] for stride, maps in maps_to_mix.items()}
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
# The [assignment](assignments/04_fcn.ipynb) has four tasks: a fully connected layer as a
# convolution; a transposed convolution with strides, padding and groups that must carry a real
# FCN; mean IoU with ignored pixels; and the whole way up of an FCN-8s, crops included.

# %% [markdown] id="summary"
# ## In one minute
#
# - A fully connected head is a convolution with the same weights. So a classifier runs on any
#   image and gives a map of scores in one pass.
# - A transposed convolution stamps its kernel: $n_\text{out} = (n-1)s - 2p + k$. It is the
#   transpose of a convolution, not its inverse. With the bilinear kernel ($k = 2s$) it
#   interpolates, which is a good start.
# - Coarse maps know what, fine ones where. Skips add their scores, cell on cell: with $k = 2s$
#   the overhang is $s/2$ at each end.
# - The loss is the mean cross-entropy over pixels, 255 left out. Read mean IoU, and beside it the
#   ceiling; pixel accuracy flatters.
# - A class for every pixel is not a number for every object: objects of a class that touch, merge.
#
# **The published numbers beside ours.** `paper` is the table of 2015, `repository` the networks
# that its authors released later, trained better; ours are the shipped pocket-sized networks on
# the 300 validation images of Pocket COCO. So only the *order* can be compared: each skip helps.
# In the paper the last one brings little; on pictures of 128 px, where a cell of 16 px is a good
# part of an object, it brings a lot.

# %% id="published" tolerance=0.02
published = {"32s": (63.6, 59.4), "16s": (65.0, 62.4), "8s": (65.5, 62.7)}
print("mean IoU   repository  paper  ours")
for name, (repository, paper) in published.items():
    ours = 100 * record(f"fcn-{name}")["figures"]["mean_iou"]
    print(f"FCN-{name:6s} {repository:10.1f} {paper:6.1f} {ours:5.1f}")

# %% [markdown] id="references"
# The published ones were measured on photographs of PASCAL VOC (21 classes, about 500 px), with a
# backbone of 134 million weights pretrained on ImageNet. Another way to a finer grid is not to
# pool so often: the FCN-ResNet-50 of torchvision has no skips, but dilated convolutions that keep
# stride 8 (lesson 02), and reaches 60.5 on the photographs of COCO, counted on the classes of VOC.
#
# **Next**: DeepMask (Pinheiro et al. 2015) keeps the convolutional network and changes the
# question. It looks at a patch and draws the mask of the *object* in its centre, whatever its
# class.
#
# **References**
#
# - J. Long, E. Shelhamer, T. Darrell. Fully convolutional networks for semantic segmentation.
#   *CVPR* 2015. arXiv 1411.4038. Extended in *PAMI* 39(4), 2017, arXiv 1605.06211.
# - D. Ciresan, A. Giusti, L. Gambardella, J. Schmidhuber. Deep neural networks segment neuronal
#   membranes in electron microscopy images. *NIPS* 2012.
# - K. Simonyan, A. Zisserman. Very deep convolutional networks for large-scale image recognition.
#   *ICLR* 2015. arXiv 1409.1556.
# - A. Odena, V. Dumoulin, C. Olah. Deconvolution and checkerboard artifacts. *Distill*, 2016.
# - P. Pinheiro, R. Collobert, P. Dollár. Learning to segment object candidates. *NIPS* 2015.
#   arXiv 1506.06204.
