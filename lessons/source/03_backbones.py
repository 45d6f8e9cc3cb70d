# %% [markdown] id="start"
# # 03. From CNN to backbone and pyramid
#
# One convolution sees a window of a few pixels. A **backbone** is a stack of them that turns an
# image into maps: fewer and fewer cells, each of which knows more and more about its surroundings.
# You will train a small one, find out why deep stacks refuse to learn, and build the two parts that
# most of the methods on our timeline share: the residual network and the feature pyramid.
#
# **You will be able to**
#
# 1. train a small CNN, and use "overfit one batch" to find out whether it can learn at all;
# 2. say what batch normalisation does in training and in evaluation, and what breaks when the two
#    are mixed up;
# 3. explain why a shortcut makes depth trainable, and tell the two residual blocks apart;
# 4. compute a receptive field, its size and its jump, and tell the theoretical from the effective
#    one;
# 5. name the stages of a ResNet with their strides and channels, and merge them into a pyramid.
#
# **You need** [lesson 02](02_convolution.ipynb) (convolution, stride, padding, counting weights).
# **Time** about 75 minutes to read, about a minute to run.

# %% id="imports"
import copy

import torch
from torch import nn
from torch.nn import functional as F

import seglib
from seglib import ops, plotting
from seglib.data import find_image, load_dataset
from seglib.pretrained import load

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
samples = [dataset[i] for i in range(min(300, len(dataset)))]
held_out = len(samples) // 3  # the first third is for measuring, the rest to train on
fcn = load("fcn").requires_grad_(False)  # trained, and left as it is; lesson 04 is about it
print(f"{dataset.name}: {len(samples)} images, the first {held_out} to measure on")


# %% id="stage-maps"
def stage_maps(pictures):
    """The five maps of the FCN's backbone after each pooling, finest first: [B, C, h, w] each."""
    x, maps = fcn.prepare(pictures).tensor, []
    for layer in fcn.network.backbone.features:
        x = layer(x)
        if isinstance(layer, nn.MaxPool2d):
            maps.append(x)
    return maps


# %% id="first-picture" alt="An image of a cup, a kite, an airplane and a car, and five maps of a trained network, coloured so that cells with similar features have similar colours. At stride 2 the outlines of all objects are visible; at stride 8 the cup is one dark red area; at stride 32 sixteen large squares are left, in four bands of colour."
def calm(target):
    """Largest for about four objects that cover about a third of the image."""
    covered = target.masks.any(dim=0).float().mean().item()
    return -abs(covered - 0.35) - abs(len(target) - 4) / 4


image, target = dataset[find_image(dataset, calm, limit=held_out)]
longer = (target.boxes[:, 2:] - target.boxes[:, :2]).amax(dim=1)
print("longer sides of the objects' boxes:", longer.int().tolist(), "pixels")
maps = stage_maps([image])
names = [f"stride {2**i}: {m.shape[1]} channels" for i, m in enumerate(maps, 1)]
plotting.show_images(
    [image, *(plotting.feature_colors(m[0]) for m in maps)],
    ["the image", *names],
    columns=3,
    caption="Similar features, similar colours (the three directions in which they differ most).",
)

# %% [markdown] id="first-picture-read"
# Each position in a map is called a **cell**; it contains one number per channel. At stride 2 the
# colours follow edges. Further on they follow *things*: on Pocket COCO, the body of the cup at
# stride 8 has nearly one colour, stripes and all. The price is position. At stride 32 one cell
# stands for 32 × 32 pixels, and you can no longer say where anything ends.

# %% [markdown] id="problem"
# ## The problem: the window is too small
#
# The network at the end of lesson 02 could mark edges, but could not tell an object's outline from
# a stripe on it. The answer lay outside its window of 11 × 11 pixels. Compare that with the longer
# sides of the objects' boxes, printed above the picture.

# %% [markdown] id="history"
# So a cell should see 64 pixels, or better 128. **Predict before you run:** you stack 3 × 3
# convolutions, one after another, without stride. How many layers does it take until one cell sees
# 65 pixels? About 7, 16, or 32?
#
# AlexNet (2012) had five convolutions, VGG (Simonyan and Zisserman 2015) up to sixteen of small
# kernels, and ResNet (He et al. 2016) more than a hundred. FPN (Lin et al. 2017) then restored to
# small objects what depth had taken from them.

# %% id="timeline" alt="A timeline of papers from AlexNet in 2012 to Mask2Former in 2022; AlexNet, VGG, ResNet and FPN, the backbones, are marked."
plotting.timeline(highlight=["AlexNet", "VGG", "ResNet", "FPN"])

# %% [markdown] id="idea"
# ## The idea, part one: stack windows, and step
#
# The **receptive field** of a cell is the part of the image that can change it. You can measure it
# without any theory: nudge one pixel, and watch whether the cell changes. One axis is enough.


# %% id="nudge" tags=["nbval-check-output"]
def field_by_nudging(layers, size=129):
    """layers: (kernel, stride) each. How many of `size` pixels change the middle cell?"""
    x = torch.eye(size)[:, None]  # [size, 1, size]: in copy n, pixel n is nudged
    for kernel, stride in layers:
        x = F.conv1d(x, torch.ones(1, 1, kernel), stride=stride, padding=kernel // 2)
    return int((x[:, 0, x.shape[2] // 2] != 0).sum())


for layers in ([(3, 1)] * 2, [(3, 1)] * 5, [(3, 2)] * 3 + [(3, 1)] * 2):
    print(f"{field_by_nudging(layers):2d} pixels by (kernel, stride) {layers}")

# %% [markdown] id="recursion"
# Without stride each 3 × 3 layer adds two pixels: $2n + 1$ after $n$ layers. For 65 pixels that is
# **32 layers**.
#
# Three strides change everything: 47 pixels with five layers. The reason is the **jump** $j$, the
# distance in the image between two neighbouring cells. A kernel of $k$ cells, spread by the
# dilation $d$, reaches over $d\,(k-1)$ steps of one jump. So carry two numbers along:
#
# $$ r \leftarrow r + d\,(k-1)\,j, \qquad j \leftarrow j \cdot s $$
#
# starting at $r = 1$, $j = 1$ for the image itself. Mind the order: a layer's own stride counts
# only from the *next* layer onwards.


# %% id="recursion-code" tags=["nbval-check-output"]
def receptive_field(layers):
    """layers: (kernel, stride) each -> (field, jump) in pixels."""
    field, jump = 1, 1
    for kernel, stride in layers:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field, jump


for layers in ([(3, 2)] * 3 + [(3, 1)] * 2, [(7, 2), (3, 2), (3, 1)], [(5, 1), (2, 2), (5, 1)]):
    print("formula", receptive_field(layers), " nudged", field_by_nudging(layers))

# %% [markdown] id="backbone-field-text"
# The same recursion tells you what the cells of the first picture see. Its backbone consists of 3 ×
# 3 convolutions, and of poolings over 2 × 2 cells with stride 2.

# %% id="backbone-field" tags=["nbval-check-output"]
windows = []
for layer in fcn.network.backbone.features:
    if isinstance(layer, nn.Conv2d):
        windows.append((layer.kernel_size[0], layer.stride[0]))
    elif isinstance(layer, nn.MaxPool2d):
        windows.append((layer.kernel_size, layer.stride))
        print("trained backbone: field {:3d}, jump {:2d}".format(*receptive_field(windows)))

# %% [markdown] id="pooling"
# ### Max pooling: step, but keep the strongest
#
# A stride throws positions away. **Max pooling** looks at all positions in a window and keeps the
# largest value: "was there an edge *somewhere* here?"
#
# **Predict before you run:** a map with a bright line, one pixel wide, is halved in two ways: by
# taking every second cell, and by pooling 2 × 2. In which of the results is the line still there?


# %% id="max-pool" tags=["nbval-check-output"]
def max_pool(x, size):
    """x [C, H, W], stride = size -> [C, H // size, W // size]."""
    windows = x.unfold(1, size, size).unfold(2, size, size)  # [C, H/s, W/s, s, s]
    return windows.amax(dim=(3, 4))  # over the places in each window


line = torch.tensor([0, 0, 0, 9, 0, 0, 0, 0]).repeat(1, 8, 1)  # [1, 8, 8]
print("every 2nd:", line[0, 0, ::2].tolist(), " max pooling:", max_pool(line, 2)[0, 0].tolist())
print("equal to seglib.ops:", torch.equal(ops.max_pool2d(image[None], 2)[0], max_pool(image, 2)))

# %% [markdown] id="pooling-read"
# Taking every second cell lost the line, because it lies in column 3; in column 2 it would have
# stayed. Pooling keeps it in either case, but forgets its exact column.

# %% [markdown] id="first-cnn"
# ### A first CNN
#
# Convolution, ReLU, pooling, three times, and a linear layer at the end: that is a classifier. Let
# it name objects. Cut a square around each larger object, scale it to 32 × 32 pixels, and take the
# most frequent classes, eight at most.


# %% id="crops-cut"
def square_around(box, size):
    """A square that contains the box, moved inside the image of `size` (H, W): x0, y0, x1, y1."""
    side = min(round(1.1 * (box[2:] - box[:2]).max().item()), *size)
    corner = ((box[:2] + box[2:] - side) / 2).round().int().tolist()
    left, top = (min(max(c, 0), n - side) for c, n in zip(corner, (size[1], size[0]), strict=True))
    return left, top, left + side, top + side


def object_crops(smallest=20, side=32):
    """Crops [N, 3, side, side], labels [N], and their origin [N, 2]: image and object."""
    crops, labels, places = [], [], []
    for number, (picture, truth) in enumerate(samples):
        large = (truth.boxes[:, 2:] - truth.boxes[:, :2]).amax(dim=1) >= smallest
        for row in (large & ~truth.iscrowd).nonzero()[:, 0].tolist():
            x0, y0, x1, y1 = square_around(truth.boxes[row], truth.size)
            cut = picture[None, :, y0:y1, x0:x1]
            crops.append(F.interpolate(cut, (side, side), mode="bilinear", antialias=True)[0])
            labels.append(int(truth.labels[row]))
            places.append((number, row))
    return torch.stack(crops), torch.tensor(labels), torch.tensor(places)


# %% id="crops" alt="Two rows of small square crops, a column for each class; several objects are partly hidden, and one crop named person shows mostly a clock."
crops, labels, places = object_crops()
occurring, counts = labels.unique(return_counts=True)
chosen = occurring[counts.argsort(descending=True, stable=True)][:8]
kinds = [dataset.categories.by_label(int(label)).name for label in chosen]
kept = torch.isin(labels, chosen)
x, places = (crops[kept] - 0.5) * 4, places[kept]  # centred, as in lesson 02
y = (labels[kept][:, None] == chosen).int().argmax(dim=1)  # the data set's label -> 0 … 7
pool = (places[:, 0] >= held_out).nonzero()[:, 0]  # rows to train on
unseen = (places[:, 0] < held_out).nonzero()[:, 0]  # rows to measure on
print(f"{len(pool)} crops to train on, {len(unseen)} to measure on")
pairs = [pool[y[pool] == k][:2].tolist() for k in range(len(kinds))]  # two rows of each class
drawn = [pair[row] for row in (0, 1) for pair in pairs]
plotting.show_images([x[i] / 4 + 0.5 for i in drawn], kinds * 2, columns=len(kinds), panel=1.25)

# %% [markdown] id="crops-read"
# Objects stand in front of one another, so a crop may show two; its label names the one around
# which it was cut, even where most of that one is hidden. Such labels are correct, just hard.


# %% id="small-cnn"
def small_cnn(norm=nn.Identity, seed=0):
    """[B, 3, 32, 32] -> scores [B, classes]. `norm` is for later."""
    torch.manual_seed(seed)
    layers, channels = [], 3
    for width in (16, 32, 64):  # [B, 16, 16, 16], [B, 32, 8, 8], [B, 64, 4, 4]
        layers += [nn.Conv2d(channels, width, 3, 1, 1), norm(width), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, len(kinds)))


# %% [markdown] id="overfit-text"
# ### The habit: overfit one batch
#
# Before a network is trained, it should learn a handful of examples by heart. A network that cannot
# do *that* has a fault that no amount of data will fix. Here are three such faults, beside a sound
# run:
#
# - **softmax twice**: the network's scores go through a softmax, and then into a loss that applies
#   one itself;
# - **labels shuffled**: the images are shuffled, and their labels too, but not together;
# - **wrong optimiser**: it was given the parameters of another copy of the network.
#
# All three run without an error. **Predict before you run:** in how many of the three does the loss
# fall? And what would you conclude from a falling loss?

# %% id="overfit-code"
batch = torch.cat([pool[y[pool] == k][:4] for k in range(len(kinds))])  # four of each class
cross_entropy = F.cross_entropy


def overfit(network, loss_of=cross_entropy, tuned=None, steps=80, lr=2e-3):
    """Train on one batch, over and over; the loss of every step."""
    optimizer = torch.optim.Adam((tuned or network).parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        loss = loss_of(network(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def softmax_twice(scores, wanted):
    return cross_entropy(scores.softmax(dim=1), wanted)


def labels_shuffled(scores, wanted):
    return cross_entropy(scores, wanted[torch.randperm(len(wanted))])


# %% id="overfit-run" tolerance=0.15 alt="Four loss curves on one batch. The right one falls to zero. Softmax twice falls and then stays well above one. Labels shuffled and wrong optimiser stay near two."
curves = {"right": overfit(small_cnn())}
curves["softmax twice"] = overfit(small_cnn(), softmax_twice)
curves["labels shuffled"] = overfit(small_cnn(), labels_shuffled)
curves["wrong optimiser"] = overfit(small_cnn(), tuned=small_cnn())
for name, curve in curves.items():
    print(f"{name:16s} loss {curve[0]:.2f} → {curve[-1]:.2f}")
plotting.training_curve(curves, window=1, title="One batch, over and over")

# %% [markdown] id="misconception-falling-loss"
# In one of the three: "softmax twice". **A falling loss does not mean that the code is right.** It
# only means that gradients reach some weights. Look at where it ends instead. Probabilities of at
# most 1, used as scores, can never express certainty, so with eight classes this loss cannot go
# below $-\log\frac{e}{e + 7} = 1.27$.
#
# Learn two telltale numbers: a fresh classifier of $C$ classes *starts* near $\log C$, and on one
# batch it *ends* near 0. "Labels shuffled" stays at $\log C$: with labels that change, guessing is
# the best there is. But the habit has a blind spot.


# %% id="blind-spot" tolerance=0.05
def wrong_labels(scores, wanted):
    return cross_entropy(scores, wanted.roll(1))  # each crop always bears its neighbour's label


losses = overfit(small_cnn(), wrong_labels)
print(f"labels all off by one: loss {losses[0]:.1f} → {losses[-1]:.1f}")

# %% [markdown] id="blind-spot-read"
# It passes. A network can learn nonsense by heart as long as the nonsense stays the same. Only the
# second habit helps: **look at the batch**, pictures and labels side by side, as the network gets
# it.

# %% [markdown] id="depth"
# ## The idea, part two: going deep
#
# Three layers see little. But stack thirty, and the signal fades on its way, and the gradient on
# its way back.
#
# ### Batch normalisation, by hand
#
# **Batch normalisation** (Ioffe and Szegedy 2015) measures and corrects, in every layer and at
# every step. For each channel, take all its values, over the images of the batch and over all
# positions. Subtract their mean and divide by their standard deviation. Then let the network choose
# scale and shift for itself, through two learned numbers per channel, $\gamma$ and $\beta$:
#
# $$ \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad y = \gamma\,\hat x + \beta $$


# %% id="batch-norm-loops"
def batch_norm_loops(x, gamma, beta, eps=1e-5):
    """x [B, C, H, W] -> the same shape, one channel at a time, with the batch's statistics."""
    y = torch.zeros_like(x)
    for c, values in enumerate(x.unbind(1)):  # [B, H, W]
        mean = values.sum() / values.numel()
        variance = ((values - mean) ** 2).sum() / values.numel()
        y[:, c] = gamma[c] * (values - mean) / (variance + eps) ** 0.5 + beta[c]
    return y


# %% [markdown] id="running"
# **Think before you read on:** the network is trained, and one night a single photograph comes in.
# Over which batch should the mean be taken?
#
# There is none. So the layer keeps **running statistics** while it trains: after each batch it
# moves them a tenth of the way (the `momentum`) towards that batch's mean and variance. In
# *training* it uses the batch's statistics, in *evaluation* the running ones. (One oddity, from the
# paper: the normalisation divides by $n$, the running variance by $n - 1$.)


# %% id="batch-norm-tensor" tags=["nbval-check-output"]
def batch_norm(x, running_mean, running_var, gamma, beta, training, momentum=0.1, eps=1e-5):
    """x [B, C, H, W], the others [C]; in training the running statistics move, in place."""
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)  # [C]
        n = x.numel() // x.shape[1]
        running_mean += momentum * (mean.detach() - running_mean)
        running_var += momentum * (var.detach() * n / (n - 1) - running_var)
    mean, var, gamma, beta = (v[:, None, None] for v in (mean, var, gamma, beta))  # [C, 1, 1]
    return gamma * (x - mean) / (var + eps).sqrt() + beta


values, gamma, beta = torch.randn(8, 4, 5, 5) * 3 + 7, torch.rand(4), torch.rand(4)
by_tensors = batch_norm(values, torch.zeros(4), torch.ones(4), gamma, beta, training=True)
by_loops = batch_norm_loops(values, gamma, beta)
print("loops and tensors agree:", torch.allclose(by_tensors, by_loops, atol=1e-5))

# %% [markdown] id="spread-text"
# Now the thirty layers, without the norm and with it:


# %% id="spread-figure" alt="Two lines over thirty layers, on a logarithmic axis. Without normalisation the spread of the activations falls over many powers of ten; with batch norm it is the same in all layers."
def spread(layers):
    """Standard deviation of the activations after each layer."""
    out, spreads = torch.rand(32, 16, 16, 16), []
    for layer in layers:
        out = layer(out)
        spreads.append(out.std().item())
    return spreads


torch.manual_seed(0)
convolutions = [nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(30)]
plain = [nn.Sequential(conv, nn.ReLU()) for conv in convolutions]
normalised = [nn.Sequential(conv, nn.BatchNorm2d(16), nn.ReLU()) for conv in convolutions]
plotting.layer_profile(
    {"no normalisation": spread(plain), "batch norm": spread(normalised)},
    title="The signal on its way through 30 layers",
    ylabel="spread of the activations",
)

# %% [markdown] id="modes"
# ### One image, two answers
#
# In training mode, the mean is taken over the whole batch. **Predict before you run:** the same
# crop goes through a trained network twice, each time with different companions in the batch. Does
# the network give the same answer?

# %% id="companions" tolerance=0.3
normed = small_cnn(nn.BatchNorm2d)
learning = overfit(normed, steps=40)
print(f"one batch by heart: loss {learning[0]:.1f} → {learning[-1]:.1f}")


def answers_in_company(seed, mode):
    """The network's answers to 60 new crops, each in a batch with seven others picked by `seed`."""
    random = torch.Generator().manual_seed(seed)
    network, answers = copy.deepcopy(normed).train(mode == "training"), []
    for row in unseen[:60]:
        others = pool[torch.randint(len(pool), (7,), generator=random)]
        answers.append(network(x[torch.cat([row[None], others])])[0].argmax())
    return torch.stack(answers)


for mode in ("training", "evaluation"):
    changed = (answers_in_company(1, mode) != answers_in_company(2, mode)).float().mean()
    print(f"{mode} mode: {changed:.0%} of the answers change with the company")

# %% [markdown] id="misconception-eval"
# In training mode **the answer depends on who else is in the batch**; in evaluation mode it does
# not. A network left in training mode runs and answers; it is just worse, in a different way each
# time. The cure is `network.eval()` before predicting, and `network.train()` before training.
# (`torch.no_grad()` is something else: it saves the memory for gradients.)
#
# And the extreme case, a batch of one? **Predict before you run** what batch norm in training mode
# makes of two images whose maps are down to one cell, and of a single such image.

# %% id="tiny-batches" tags=["nbval-check-output"]
tiny_norm = nn.BatchNorm2d(3)
two = torch.tensor([[5.0, -1.0, 300.0], [6.0, -8.0, 0.0]])[:, :, None, None]  # [2, 3, 1, 1]
print("two images:", tiny_norm(two)[:, :, 0, 0].round(decimals=2).tolist())
try:
    tiny_norm(two[:1])
except ValueError as error:
    print("one image: ", error)

# %% [markdown] id="tiny-batches-read"
# With two values per channel, each is one standard deviation from their mean: $+1$ and $-1$,
# *whatever the values were*. With one value nothing is left, and PyTorch refuses. Detectors, whose
# large images allow only one or two per batch, therefore freeze the statistics or normalise within
# each image (over groups of channels, Wu and He 2018).

# %% [markdown] id="deep-text"
# ### Thirty-two layers that learn by heart
#
# The signal is healthy now. Is deeper better, then? Build networks from pairs of 3 × 3
# convolutions, some with **shortcuts**, which add a pair's input to its output. A deeper network
# can do everything that a shallow one can: the extra layers would only have to pass their input on.
# **Predict before you run:** 6 layers or 32 layers, both with batch norm and without shortcuts:
# which one learns a batch faster?


# %% id="pair"
class Pair(nn.Module):
    """Two 3×3 convolutions; with `shortcut` they learn only what to add to their input."""

    def __init__(self, norm=nn.BatchNorm2d, shortcut=True, channels=16):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2, self.shortcut = norm(channels), norm(channels), shortcut

    def forward(self, x):
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return F.relu(x + out if self.shortcut else out)


def deep(depth, **options):
    """A classifier with `depth` 3×3 convolutions in pairs, on maps of 16 × 16."""
    torch.manual_seed(0)
    pairs = [Pair(**options) for _ in range(depth // 2)]
    stem = nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU()
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, len(kinds))
    return nn.Sequential(*stem, *pairs, *head)


# %% id="deep-train" tolerance=0.2 alt="Five loss curves on one batch. 32 layers without normalisation stay where they started; 32 plain layers with batch norm fall slowly, not faster than 6 layers; 6 layers with shortcuts fall faster; 32 layers with shortcuts fall nearly to zero within twenty steps."
candidates = {
    "32 plain, no norm": {"depth": 32, "norm": nn.Identity, "shortcut": False},
    "6 plain": {"depth": 6, "shortcut": False},
    "32 plain": {"depth": 32, "shortcut": False},
    "6 with shortcuts": {"depth": 6, "shortcut": True},
    "32 with shortcuts": {"depth": 32, "shortcut": True},
}
deep_curves = {}
for name, options in candidates.items():
    deep_curves[name] = overfit(deep(**options), steps=50, lr=1e-3)
    print(f"{name:18s} loss after 50 steps {deep_curves[name][-1]:.1f}")
plotting.training_curve(deep_curves, window=1, title="One batch, deep networks")

# %% [markdown] id="misconception-depth"
# **Deeper is not automatically better, not even on the training data.** The 32 plain layers have
# about five times the weights of the 6, and gain nothing from them. That was the puzzle in 2015: on
# CIFAR-10, a plain network of 56 layers had a *higher training error* than one of 20 (He et al.
# 2016, figure 1). It cannot be overfitting, then. The good solution exists, and gradient descent
# does not find it. (32 layers with shortcuts start *above* $\log C$: each block adds to the signal,
# so the scores of the fresh network are large.)
#
# Look at the gradients in one backward pass through each fresh network of 32 layers. Layer 1 is
# next to the image, layer 32 next to the classes.


# %% id="gradients" alt="Gradient sizes over 32 layers on a logarithmic axis. Without normalisation they fall towards the image over many powers of ten. With batch norm they grow towards the image. With shortcuts they change little from layer to layer."
def gradient_sizes(network):
    """Norm of the loss's gradient with respect to each convolution's weights."""
    cross_entropy(network(x[batch]), y[batch]).backward()
    return [m.weight.grad.norm().item() for m in network.modules() if isinstance(m, nn.Conv2d)][1:]


deepest = {name: deep(**options) for name, options in candidates.items() if options["depth"] == 32}
sizes = {name: gradient_sizes(network) for name, network in deepest.items()}
shades = {name: plotting.color(i) for i, name in enumerate(candidates)}  # as in the figure above
plotting.layer_profile(sizes, title="Gradients", ylabel="size of the gradient", shades=shades)

# %% [markdown] id="gradients-read"
# Read from right to left, as the gradient travels. Without normalisation it dies out. With batch
# norm it *grows*, and early and late layers disagree by a large factor about how far one step
# should go. With shortcuts it is nearly level.
#
# ### Why the shortcut helps
#
# A **residual block** computes $y = x + \mathcal F(x)$; its convolutions learn only the difference.
# Take the derivative, leaving the ReLU at the end aside:
#
# $$ \frac{\partial L}{\partial x} = \frac{\partial L}{\partial y}
# \left(1 + \frac{\partial \mathcal F}{\partial x}\right) $$
#
# Because of the 1, the gradient from the block above also arrives unchanged, whatever the
# convolutions do. And "pass the input on", which the plain layers could not find, is now the
# easiest thing of all: $\mathcal F = 0$.

# %% id="residual-figure" tags=["nbval-check-output"] alt="A diagram of a residual block: x goes through convolution, norm, ReLU, convolution, norm to a sum; a shortcut carries x past them to the same sum, which is followed by a ReLU."
block = Pair().eval()
nn.init.zeros_(block.norm2.weight)  # γ = 0: the convolutions are silenced
nn.init.zeros_(block.norm2.bias)
signal = torch.rand(1, 16, 8, 8)
print("a block that has learned nothing passes its input on:", torch.equal(block(signal), signal))
plotting.residual_diagram()

# %% [markdown] id="blocks"
# ### Two kinds of block
#
# Your `Pair` is ResNet's **BasicBlock**. (Where the stride or the number of channels changes, a 1 ×
# 1 convolution on the shortcut makes the input fit the sum.) Deeper networks use the
# **Bottleneck**: a 1 × 1 convolution reduces the channels to a quarter, the 3 × 3 works on those
# few, and another 1 × 1 widens again.
#
# **Predict before you run:** both kinds with 256 channels going in and out. The bottleneck has
# three layers, the basic block two. Which one has more weights?

# %% id="blocks-count" tags=["nbval-check-output"]
from seglib.nn.resnet import BasicBlock, Bottleneck


def weights(module):
    return sum(p.numel() for p in module.parameters())


print(f"BasicBlock(256, 256): {weights(BasicBlock(256, 256)):9,}")
print(f"Bottleneck(256,  64): {weights(Bottleneck(256, 64)):9,}")
for name, parameter in Bottleneck(256, 64).named_parameters():
    if "conv" in name:
        print(f"   {name}: {list(parameter.shape)} = {parameter.numel():,}")

# %% [markdown] id="blocks-read"
# The basic block costs almost seventeen times as much: the expensive part is a 3 × 3 kernel between
# 256 channels, and the bottleneck squeezes them first.
#
# ### The stages of a ResNet
#
# A **stem** (7 × 7 convolution with stride 2, max pooling with stride 2) goes down to stride 4 at
# once. Then come four **stages** of residual blocks; each but the first begins with a stride of 2
# and doubles the channels. Their outputs are called $C_2, C_3, C_4, C_5$, and $C_k$ has stride
# $2^k$. The figure shows the channels of ResNet-18 and ResNet-34, made of basic blocks. ResNet-50
# is made of bottlenecks, and a stage's output has four times as many.

# %% id="resnet-figure" tags=["nbval-check-output"] alt="A diagram of a ResNet for a 128 pixel image: stem and pooling, then stages C2 to C5 with 32, 16, 8 and 4 cells along each side and 64, 128, 256 and 512 channels."
from seglib.nn.resnet import resnet34, resnet50

photo = torch.rand(1, 3, 128, 128)
for name, resnet in {"ResNet-34": resnet34().eval(), "ResNet-50": resnet50().eval()}.items():
    shapes = ", ".join(f"C{k} {list(c.shape[1:])}" for k, c in enumerate(resnet(photo), 2))
    print(f"{name}: {weights(resnet) / 1e6:.1f} M weights; {shapes}")
plotting.resnet_diagram(size=128)

# %% [markdown] id="pyramid"
# ## The idea, part three: a pyramid
#
# $C_5$ knows *what* is there, in cells of 32 pixels. $C_2$ knows *where*, in cells of 4, but has
# seen little of the surroundings. **Predict** before you look at the figures below: could one not
# simply enlarge $C_5$ eight times?
#
# The **feature pyramid network** (FPN) uses both. From the top down, at each level:
#
# 1. **lateral**: a 1 × 1 convolution gives each $C_k$ the same number of channels (256);
# 2. **top-down**: the *sum* of the level above is enlarged by repeating cells (*nearest* neighbour)
#    and added; nothing lies above $C_5$, so its lateral alone is the first sum;
# 3. **output**: a 3 × 3 convolution on each sum smooths the steps left by repeating; the results
#    are $P_2 \dots P_5$.
#
# Note what travels down: the sums of step 2, *before* their 3 × 3. In the figure each green box
# contains a sum and its result; the arrows ×2 carry the sum. (In general, a map is enlarged to the
# exact size of the map below: 7 cells were halved to 4.)

# %% id="fpn-figure" alt="A diagram of a feature pyramid: in the upper row the image and C2, C3, C4, C5, from left to right; in the lower row P5 to P2, from right to left, each joined to its C by a 1 by 1 convolution and to the coarser P by an enlargement by 2."
plotting.fpn_diagram(size=128)


# %% id="merge-code" tags=["nbval-check-output"]
def nearest(x, size):
    """x [C, h, w] -> [C, H, W]: each new cell copies the old cell in which it lies."""
    rows = torch.arange(size[0]) * x.shape[1] // size[0]
    columns = torch.arange(size[1]) * x.shape[2] // size[1]
    return x[:, rows][:, :, columns]


def merge_top_down(laterals):
    """laterals: [C, h, w] each, finest first, equal C -> the sums, finest first."""
    merged = [laterals[-1]]
    for lateral in reversed(laterals[:-1]):
        merged.insert(0, lateral + nearest(merged[0], lateral.shape[1:]))
    return merged


print("2 × 2 to 3 × 4:", nearest(torch.tensor([[[1, 2], [3, 4]]]), (3, 4))[0].tolist())

# %% [markdown] id="see-it-work"
# Do the laterals contribute anything? Look into a pyramid that has been trained together with the
# heads that read it: that of the shipped Mask R-CNN (lesson 07), which enlarges the image to twice
# its size. Its 1 × 1 convolutions, with your merging:

# %% id="merge-figure" alt="Two rows of four coloured maps at strides 4, 8, 16 and 32. In the upper row, the laterals, the finest map shows edges and the stripes of the cup. In the lower row, the sums, the finest map shows the cup and the airplane in colours of their own, with sharp outlines; at stride 32 both rows are the same squares."
detector = load("mask_rcnn").requires_grad_(False)
c2_to_c5 = detector.backbone(detector.prepare([image]).tensor)
laterals = [conv(c)[0] for conv, c in zip(detector.fpn.lateral, c2_to_c5, strict=True)]  # [C, h, w]
sums = merge_top_down(laterals)
titles = [f"{what}, stride {s}" for what in ("lateral", "sum") for s in (4, 8, 16, 32)]
colours = [plotting.feature_colors(m) for m in (*laterals, *sums)]
plotting.show_images(colours, titles, columns=4, panel=2.1)

# %% [markdown] id="merge-read"
# Read the lower row from right to left, as the sum is made. On Pocket COCO, the finest lateral
# shows the cup's stripes as clearly as its outline. The finest sum has the same fine cells, but in
# it the cup has a colour of its own, and the airplane another: what they *are* came down from
# above. That also answers the question: an enlarged $C_5$ still has only the few squares at the
# right end. Upsampling does not bring positions back; the laterals do.

# %% [markdown] id="equality"
# ## What you built is what the library runs
#
# First your batch norm against PyTorch's layer: three batches of training, then one of evaluation.
# Then a real network runs on it: the shipped FCN, with a norm after each convolution.

# %% id="equality-norm" tags=["nbval-check-output"]
torch_layer, running = nn.BatchNorm2d(4).requires_grad_(False), (torch.zeros(4), torch.ones(4))
for number, training in enumerate([True, True, True, False]):
    inputs = torch.randn(6, 4, 5, 7) * 2 + number
    expected = torch_layer.train(training)(inputs)
    yours = batch_norm(inputs, *running, torch_layer.weight, torch_layer.bias, training)
    outputs_equal = torch.allclose(yours, expected, atol=1e-5)
    variances_equal = torch.allclose(running[1], torch_layer.running_var, atol=1e-5)
    print(f"training {training!s:5}: outputs {outputs_equal}, running variances {variances_equal}")

# %% id="swap-check" tags=["nbval-check-output"]
native_labels = fcn.predict([image])[0].semantic
with seglib.use(batch_norm=batch_norm):
    your_labels = fcn.predict([image])[0].semantic
agreeing = (native_labels == your_labels).float().mean()
print(f"pixels with the same label: {agreeing:.1%}")

# %% [markdown] id="equality-resnet-text"
# Then we compare whole networks, in double precision: torchvision's ResNet-50 with random weights,
# copied into `seglib`'s, and a pyramid on its stages: torchvision's, `seglib`'s, and the one with
# your merging.

# %% id="equality-resnet" tags=["nbval-check-output"]
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

theirs = torchvision.models.resnet50(weights=None).double().eval()
ours = resnet50().double().eval().requires_grad_(False)
ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
their_stages = create_feature_extractor(theirs, [f"layer{k}" for k in (1, 2, 3, 4)])(photo.double())
stages = ours(photo.double())
for k, (a, b) in enumerate(zip(stages, their_stages.values(), strict=True), 2):
    print(f"C{k} {list(a.shape[1:])}: equal {torch.allclose(a, b, rtol=1e-9)}")

# %% id="equality-fpn" tags=["nbval-check-output"]
from seglib.nn.fpn import FPN, fpn_state_from_torchvision

channels = [256, 512, 1024, 2048]
their_fpn = torchvision.ops.FeaturePyramidNetwork(channels, 256).double()
our_fpn = FPN(channels, 256, pooled_level=False).double()
our_fpn.load_state_dict(fpn_state_from_torchvision(their_fpn.state_dict()))
their_maps = their_fpn({f"c{k}": c for k, c in enumerate(stages, 2)}).values()
flat = [conv(c)[0] for conv, c in zip(our_fpn.lateral, stages, strict=True)]
your_maps = [conv(m[None]) for conv, m in zip(our_fpn.output, merge_top_down(flat), strict=True)]
for k, (a, b, c) in enumerate(zip(our_fpn(stages), their_maps, your_maps, strict=True), 2):
    print(f"P{k} {list(a.shape[1:])}: torchvision {torch.allclose(a, b)},", end=" ")
    print(f"your merge {torch.allclose(a, c)}")

# %% [markdown] id="learns"
# ## It learns
#
# Back to the crops. The small CNN with batch norm has learned a batch by heart above. Now train a
# fresh copy on all the crops, each time mirrored or not and shifted a little. Every 50 steps it is
# measured in evaluation mode, on crops from images that it has never seen.


# %% id="train-code"
def accuracy(network, rows, mode="eval", batch_size=256):
    """Share of right answers; the network comes back as it was."""
    network = copy.deepcopy(network).train(mode == "train")
    with torch.no_grad():
        answers = torch.cat([network(part).argmax(dim=1) for part in x[rows].split(batch_size)])
    return (answers == y[rows]).float().mean().item()


# %% id="train" tolerance=0.08 alt="Left, the training loss falls over 300 steps with noise. Right, the share of right answers on new images rises, quickly at first."
network, steps, random = small_cnn(nn.BatchNorm2d), 300, torch.Generator().manual_seed(0)
optimizer = torch.optim.Adam(network.parameters())
# the rate rises first, and then falls to almost nothing, so that the network comes to rest
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)
with plotting.LiveCurve(steps=steps, title="Naming objects") as live:
    for step in range(steps):
        rows = pool[torch.randint(len(pool), (32,), generator=random)]
        shown = x[rows].flip(3) if torch.rand((), generator=random) < 0.5 else x[rows]
        shown = shown.roll(torch.randint(-3, 4, (2,), generator=random).tolist(), dims=(2, 3))
        loss = cross_entropy(network(shown), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        live.update(step, loss=loss.item())
        if step % 50 == 49:
            live.update(step, accuracy=accuracy(network, unseen))
majority = y[unseen].bincount().max() / len(unseen)
print(f"accuracy on images it has not seen: {accuracy(network, unseen):.2f}")
print(f"always answering the largest class: {majority:.2f}")

# %% [markdown] id="transfer-text"
# Always compare a score with that of the trivial answer. On Pocket COCO the small network is far
# above it.
#
# **Why backbones are shared.** The shipped FCN has been trained for much longer, on another task:
# to label pixels. Is what its backbone has learned useful for *this* task? Freeze it, so that none
# of its weights changes. Average each of its last three maps over an object's box, and train
# nothing but one linear layer on these numbers. (Its own score, printed first, is the mean IoU of
# lesson 00. It answers in cells of 8 pixels, so even a perfect network of its form stays below 1.)


# %% id="frozen"
def mean_over_box(features, box, stride):
    """[1, C, h, w] -> [C]: the mean of the cells that the box (in pixels) touches."""
    x0, y0 = (box[:2] / stride).floor().int().tolist()
    x1, y1 = (box[2:] / stride).ceil().int().tolist()
    return features[0, :, y0:y1, x0:x1].mean(dim=(1, 2))


last_three = [stage_maps([picture])[2:] for picture, _ in samples]  # one pass per image
measured = []
for number, row in places.tolist():
    box = samples[number][1].boxes[row]
    means = [mean_over_box(m, box, s) for m, s in zip(last_three[number], (8, 16, 32), strict=True)]
    measured.append(torch.cat(means))
features = torch.stack(measured)  # [N, C]
features = (features - features[pool].mean(dim=0)) / (features[pool].std(dim=0) + 1e-5)

# %% id="transfer" tolerance=0.1
from seglib.pretrained import header

notes = header("fcn").notes
score, ceiling = notes["figures"]["mean_iou"], notes["ceilings"]["mean_iou"]["ceiling"]
print(f"shipped FCN: {notes['parameters'] / 1e6:.1f} M weights, trained on {notes['dataset']}")
print(f"mean IoU at its own task {score:.2f}, where its form allows at most {ceiling:.2f}")
torch.manual_seed(0)
linear = nn.Linear(features.shape[1], len(kinds))
its_optimizer = torch.optim.Adam(linear.parameters(), lr=3e-3)
for _ in range(200):
    its_loss = cross_entropy(linear(features[pool]), y[pool])
    its_optimizer.zero_grad()
    its_loss.backward()
    its_optimizer.step()
transferred = (linear(features[unseen]).argmax(dim=1) == y[unseen]).float().mean()
print(f"your CNN, {weights(network):,} weights: {accuracy(network, unseen):.2f}")
print(f"one linear layer, {weights(linear):,} weights, on the frozen backbone: {transferred:.2f}")

# %% [markdown] id="transfer-read"
# On Pocket COCO, on which the backbone was trained (on different images, never these), a single
# linear layer beats your whole network, and one pass over an image served all its objects. This is
# the economy of the field: train a backbone once, on a lot of data, and put small heads on it.
# Nearly all published detectors start from weights trained on ImageNet; and "average the map over a
# box" will become RoI pooling.

# %% [markdown] id="inside"
# ## Look inside: what goes wrong, and what gets lost
#
# ### Forgetting `eval()`
#
# Take the network that you trained a minute ago, and measure it in the wrong mode. **Predict before
# you run:** which does more harm, small batches, or batches that contain a single class, as when a
# folder is sorted by name?

# %% id="forgotten-eval" alt="Bars of accuracy: evaluation mode and training mode with large mixed batches are best; training mode with small batches is lower; training mode with batches of one class is the lowest."
torch.manual_seed(0)
mixed, in_order = unseen[torch.randperm(len(unseen))], unseen[y[unseen].argsort()]
cases = {"evaluation mode, any batch": accuracy(network, mixed)}
for size in (64, 8, 2, 1):
    cases[f"training mode, mixed batches of {size}"] = accuracy(network, mixed, "train", size)
cases["training mode, 16 of one class each"] = accuracy(network, in_order, "train", 16)
plotting.bars(cases, ranked=False, title="The same network, the same crops", xlabel="accuracy")

# %% [markdown] id="forgotten-eval-read"
# On Pocket COCO, large mixed batches do so little harm that you would not notice, and sorted ones
# do the most: what sixteen kites have in common *is* their mean, which batch norm removes. A score
# that changes with the batch size, or with the order of the data, is the mark of a network in the
# wrong mode.

# %% [markdown] id="effective"
# ### What a cell really sees
#
# By your recursion, a cell of the shipped backbone at stride 16 (its fourth pooling) sees 94 × 94
# pixels. **Predict before you run:** take the middle of that box, a quarter of its area. What share
# of the influence on the cell comes from there: a quarter, a half, or more? (Influence is the size
# of the gradient of the cell with respect to each pixel, averaged over several images.)


# %% id="influence"
def influence(pictures):
    """How strongly each pixel changes the middle cell of pool4: [H, W], averaged; the cell."""
    pixels = fcn.prepare(pictures).tensor.requires_grad_()
    pool4 = fcn.network.backbone(pixels).pool4
    row, column = pool4.shape[2] // 2, pool4.shape[3] // 2
    pool4[:, :, row, column].sum().backward()
    return pixels.grad.abs().sum(dim=1).mean(dim=0), (row, column)


# %% id="effective-figure" tolerance=0.08 alt="Left, the image with a square of 94 pixels around the cell. Right, the influence as a heat map: a bright spot in the middle that fades long before it reaches the edges of the square."
heat, cell = influence([p for p, _ in samples if p.shape == image.shape][:16])
grid = fcn.network.backbone.grids[1]  # where the cells of pool4 lie
cy, cx = (grid.origin + grid.stride * i + 0.5 for i in cell)  # the cell's centre, in pixels
x0, y0, x1, y1 = (max(0, round(c + d * grid.field / 4)) for d in (-1, 1) for c in (cx, cy))
share = (heat[y0:y1, x0:x1].sum() / heat.sum()).item()
print(f"field: {grid.field} pixels; its middle quarter has {share:.0%} of the influence")
field_box = [c + d * grid.field / 2 for d in (-1, 1) for c in (cx, cy)]
caption = f"Dashed: the middle quarter, with {share:.0%} of the influence."
box = (x0, y0, x1, y1)
plotting.show_receptive_field(
    image, field_box, heat, position=(cx, cy), inner=box, caption=caption
)

# %% [markdown] id="misconception-effective"
# **The field does not count equally.** The middle has far more than its share, and the corners have
# hardly any. Count the paths: a pixel in the corner reaches the cell through one chain of kernel
# corners only, a pixel in the middle through very many. The **effective receptive field** is shaped
# like a bell, and in a stack of $n$ layers its share of the theoretical one shrinks like
# $1/\sqrt n$ (Luo et al. 2016). Take the theoretical field as an upper limit.

# %% [markdown] id="small-objects"
# ### What is left of a small object
#
# At stride 32, an object of 8 × 8 pixels covers a sixteenth of a cell. How many of the objects here
# are smaller than one cell?

# %% id="smaller-than-cell" alt="Bars of the share of objects with less area than one cell: none at stride 4, a few at stride 8, a quarter at stride 16, more than half at stride 32."
areas = torch.cat([t.masks.flatten(1).sum(dim=1) for _, t in samples if len(t)]).float()
shares = {f"stride {s}": (areas < s * s).float().mean().item() for s in (4, 8, 16, 32)}
title = "Objects with less area than one cell"
plotting.bars(shares, title=title, xlabel="share of all objects", ranked=False)

# %% [markdown] id="small-object-read"
# At stride 32 such an object only tints a cell, and a cell can contain two objects as easily as
# one. At stride 4 it still has a shape. But $C_2$, which has these cells, has not seen enough to
# know what the shape is; $P_2$ has the same cells *and* the view from above. That is why detectors
# look for small objects at $P_2$ and for large ones at $P_5$.

# %% [markdown] id="try"
# ## Try it
#
# Set the number of layers, the kernel, the stride and the dilation, and watch field and jump. How
# do you reach a field of 90 pixels with four layers? Find one way with strides, and one with
# dilation that keeps the jump at 1.

# %% id="field-explorer" alt="Bars of the receptive field after each layer and nested squares on the image, with sliders for layers, kernel, stride, strided layers and dilation."
from seglib.widgets import ReceptiveField

ReceptiveField(image)

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
from seglib.widgets import Option, Question, Quiz

cell_field = Question(
    "A 3×3 convolution with stride 2, then a plain one, then one with dilation 2. Field and jump?",
    [
        Option(
            "7 and 2",
            feedback="You added 2 per layer. After the stride, a kernel's step is worth 2 pixels.",
        ),
        Option(
            "15 and 2",
            correct=True,
            feedback="1 + 2·1 = 3, jump 2; 3 + 2·2 = 7; 7 + 2·2·2 = 15. Only one layer strides.",
        ),
        Option(
            "15 and 4",
            feedback="The field is right. Dilation spreads the kernel; no layer steps further.",
        ),
        Option(
            "11 and 2",
            feedback="That leaves the dilation out: the last kernel reaches over 2·(3 − 1) steps.",
        ),
    ],
    objective="receptive field",
)

# %% id="quiz-effective" tags=["quiz", "hide-input"]
effective = Question(
    "A cell's theoretical receptive field covers the whole image. What does that say?",
    [
        Option(
            "It uses all parts of the image equally",
            feedback="The influence is shaped like a bell: the middle counts most.",
        ),
        Option(
            "Every pixel can change it, but those far from the middle hardly do",
            correct=True,
            feedback="Most of the influence comes from the middle of the field.",
        ),
        Option(
            "The network needs no more layers",
            feedback="The corners hardly count, and layers also make features, not only view.",
        ),
    ],
    objective="receptive field",
)

# %% id="quiz-two" tags=["quiz", "hide-input"]
floor = Question(
    "Ten classes. On one batch, the loss starts at 2.30; after 500 steps it is 2.30, up and down a "
    "little. What now?",
    [
        Option(
            "Train for longer, and on a larger part of the data",
            feedback="A network that cannot learn 32 examples by heart needs no more of them.",
        ),
        Option(
            "Check whose labels and whose optimiser these are",
            correct=True,
            feedback="log 10 = 2.30 is guessing: one may belong to another batch or network.",
        ),
        Option(
            "Lower the learning rate until the loss stops jumping",
            feedback="Too large a rate makes the loss jump; this one sits at log 10, a guess.",
        ),
    ],
    objective="overfit one batch",
)

# %% id="quiz-blocks" tags=["quiz", "hide-input"]
blocks = Question(
    "256 channels in and out. Why does a Bottleneck have far fewer weights than a BasicBlock?",
    [
        Option(
            "It has fewer layers than the other block",
            feedback="It has three layers, the BasicBlock two.",
        ),
        Option(
            "Its 3×3 convolution works on a quarter of the channels",
            correct=True,
            feedback="64·64·9, where the other has twice 256·256·9.",
        ),
        Option(
            "Its shortcut carries no weights",
            feedback="Neither does the other's, as long as the shape stays.",
        ),
    ],
    objective="residuals",
)

# %% id="quiz-three" tags=["quiz", "hide-input"]
modes = Question(
    "Your model scores 0.81 with batches of 64, and 0.55 with batches of 2. The weights are the "
    "same. Most likely:",
    [
        Option(
            "It was measured in training mode",
            correct=True,
            feedback="In evaluation mode the batch size has no effect.",
        ),
        Option(
            "torch.no_grad() was forgotten",
            feedback="That costs memory and time, and changes no number.",
        ),
        Option(
            "It has overfitted to the larger batches",
            feedback="Overfitting does not depend on the batch size that you measure with.",
        ),
    ],
    objective="batch norm",
)

# %% id="quiz-four" tags=["quiz", "hide-input"]
residual = Question(
    "Why does a deep network with shortcuts train better than the same one without?",
    [
        Option(
            "It has more weights than the plain one, and so more freedom",
            feedback="The shortcut has none, or one small 1×1 convolution.",
        ),
        Option(
            "The gradient also reaches each block unchanged",
            correct=True,
            feedback="1 + ∂F/∂x; and doing nothing, F = 0, is easy to learn.",
        ),
        Option(
            "It cannot overfit, since each block keeps its input",
            feedback="On the contrary: it learned the batch by heart fastest of all.",
        ),
    ],
    objective="residuals",
)

# %% id="quiz-pyramid" tags=["quiz", "hide-input"]
pyramid_quiz = Question(
    "An image of 256×256 in an FPN on ResNet-50. How is P3 made, and how large is it?",
    [
        Option(
            "32×32: 1×1 of C3, plus the enlarged sum, then a 3×3",
            correct=True,
            feedback="Stride 8, 256 channels.",
        ),
        Option(
            "32×32: a 3×3 convolution of C3, with nothing added to it",
            feedback="Then it would lack what the deeper stages know.",
        ),
        Option(
            "64×64: C2 and C3, laid side by side and then convolved",
            feedback="Stride 8 makes 32×32, and the maps are added, not laid side by side.",
        ),
        Option(
            "8×8: C5, plus C3 and C4 shrunk to its size",
            feedback="8×8 is P5. The coarse map is enlarged, never the fine one shrunk.",
        ),
    ],
    objective="stages and pyramid",
)
Quiz([cell_field, effective, floor, blocks, modes, residual, pyramid_quiz])

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/03_backbones.ipynb) has four tasks: what a cell sees and where; your
# own batch norm, which must carry a real FCN in both modes; a residual block and the pyramid's way
# down; and batch norm folded into the convolution before it.

# %% [markdown] id="summary"
# ## In one minute
#
# - Receptive field: $r \leftarrow r + d\,(k-1)\,j$, then $j \leftarrow j\,s$. Strides and pooling
#   make it grow fast, and cost positions. What counts is a bell in its middle.
# - Overfit one batch before you train: from $\log C$ to 0. Then look at the labels, which this does
#   not test.
# - Batch norm: in training by the batch, in evaluation by the running statistics. `eval()` before
#   predicting.
# - Deep plain networks do not even fit their training data; with $y = x + \mathcal F(x)$ they do.
#   Bottlenecks make depth affordable.
# - ResNet: $C_2 \dots C_5$ at strides 4, 8, 16, 32. FPN: 1 × 1 lateral, nearest from the top down,
#   3 × 3.
#
# **The published numbers beside ours.** He et al. (2016, table 2) trained plain and residual
# networks on ImageNet (top-1 error). Ours is the loss on one batch after 50 steps.

# %% id="published" tolerance=0.2
final = {name: curve[-1] for name, curve in deep_curves.items()}
print("             published: layers, error   ours: layers, loss")
print(f"plain        18, 27.94 %                 6, {final['6 plain']:.1f}")
print(f"plain        34, 28.54 %                32, {final['32 plain']:.1f}")
print(f"residual     18, 27.88 %                 6, {final['6 with shortcuts']:.1f}")
print(f"residual     34, 25.03 %                32, {final['32 with shortcuts']:.1f}")

# %% [markdown] id="references"
# Both columns say the same: without shortcuts, more layers are no gain; with them, they are.
#
# **Next**, in [lesson 04](04_fcn.ipynb), the backbone gets its first segmentation head, and the way
# back up from coarse to fine becomes a thing to learn.
#
# **References**
#
# - K. Simonyan, A. Zisserman. Very deep convolutional networks for large-scale image recognition.
#   *ICLR* 2015. arXiv 1409.1556.
# - S. Ioffe, C. Szegedy. Batch normalization: accelerating deep network training by reducing
#   internal covariate shift. *ICML* 2015. arXiv 1502.03167.
# - K. He, X. Zhang, S. Ren, J. Sun. Deep residual learning for image recognition. *CVPR* 2016.
#   arXiv 1512.03385.
# - W. Luo et al. Understanding the effective receptive field in deep convolutional neural networks.
#   *NIPS* 2016. arXiv 1701.04128.
# - T.-Y. Lin et al. Feature pyramid networks for object detection. *CVPR* 2017. arXiv 1612.03144.
# - Y. Wu, K. He. Group normalization. *ECCV* 2018. arXiv 1803.08494.
