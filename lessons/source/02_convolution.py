# %% [markdown] id="start"
# # 02. Convolution
#
# Every network of this course, from FCN to MaskFormer, is built on one operation: a **kernel**, a
# small block of numbers, slides over the image. You will build that operation from nothing: first
# as a loop that you can follow with a finger, then as one matrix product, then with its gradient,
# and at the end you will let the kernels learn for themselves what to look for.
#
# **You will be able to**
#
# 1. compute a convolution by hand, and its output size for any stride, padding and dilation;
# 2. write it as loops and as `im2col` with a matrix product, and say what each costs;
# 3. count the weights of a layer, also with groups;
# 4. derive its backward pass, for the input and for the weights;
# 5. read learned filters, and tell convolution from cross-correlation.
#
# **You need** lesson 01 (images as tensors `[3, H, W]`), matrix products, the chain rule.
# **Time** about 70 minutes to read, about a minute to run.

# %% id="imports"
import torch
from torch.nn import functional as F

import seglib
from seglib import ops, plotting
from seglib.data import load_dataset

torch.manual_seed(0)
dataset = load_dataset(split="val", size=128)
image, target = dataset[0]
print(f"image {list(image.shape)}, {image.dtype}, values {image.min():.1f}…{image.max():.1f}")

# %% id="first-picture" alt="An image and three grey maps made from it by small kernels: one lights up at vertical edges, one at horizontal edges, one is a blurred copy."
grey = image.mean(dim=0)  # [H, W]
kernels = {
    "vertical edges": torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "horizontal edges": torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]),
    "blur": torch.full((5, 5), 1 / 25),
}
maps = []
for k in kernels.values():  # seglib's conv2d takes [B, C, H, W]; you will rebuild it below
    framed = F.pad(grey[None, None], [len(k) // 2] * 4, mode="replicate")  # its rim, repeated
    maps.append(ops.conv2d(framed, k[None, None])[0, 0])
plotting.show_images(
    [image, *(m.abs() / m.abs().max() for m in maps)],
    ["the image", *kernels],
    caption="One image, three kernels of 9 or 25 numbers. Brightness: the size of the response,\n"
    "its sign dropped, each map scaled to its own maximum.",
)

# %% [markdown] id="problem"
# ## The problem: too many weights, and none of them knows about its neighbours
#
# A mask, as in lesson 01, is an answer for every pixel. The most direct network you could build is
# one fully connected layer, from every input number to every output pixel. **Predict before you
# run:** how many weights would it need for an image of 128 × 128? Tens of thousands, millions, or
# more?

# %% id="dense-weights"
inputs, outputs = 3 * 128 * 128, 128 * 128
print(f"fully connected, one class: {inputs * outputs:,} weights")
print(f"one 3×3 convolution:        {3 * 3 * 3:,} weights (nine for each of three colours)")

# %% [markdown] id="shift"
# Eight hundred million, for one class and one layer. Size is not even the worst of it. A fully
# connected layer has a separate weight for each pair of input and output, so what it learns about a
# dog in the left half tells it nothing about a dog in the right half.
#
# Test this with random weights on a small crop. Move the picture one pixel to the right: a layer
# that treats all positions alike should give the same answer, moved one pixel to the right.

# %% id="shift-test" tags=["nbval-check-output"]
patch = grey[40:56, 40:56]  # [16, 16]
moved = patch.roll(1, dims=1)
dense = torch.randn(256, 256)
kernel = torch.randn(1, 1, 3, 3)
layers = {
    "fully connected": lambda x: (dense @ x.flatten()).reshape(16, 16),
    "convolution": lambda x: ops.conv2d(x[None, None], kernel, padding=1)[0, 0],
}
for name, layer in layers.items():
    shifted_answer = layer(patch).roll(1, dims=1)
    inside = (slice(2, -2), slice(2, -2))  # roll wraps around, so skip the border
    same = torch.allclose(layer(moved)[inside], shifted_answer[inside], atol=1e-5)
    print(f"{name:16s} moves its answer along: {same}")

# %% [markdown] id="history"
# This property is called **translation equivariance**: shift, then filter, gives the same as
# filter, then shift (away from the borders, and as long as the kernel moves pixel by pixel). It
# comes from one decision: all positions **share** the same weights. A second decision, that an
# output looks only at a **local** window, reduces the weights to as few as 27.
#
# The idea is older than deep learning. Fukushima's Neocognitron (1980) had local windows with
# shared weights; LeCun and others trained them by backpropagation to read postcodes (1989); AlexNet
# (Krizhevsky, Sutskever and Hinton 2012) made them the standard for photographs.

# %% [markdown] id="idea"
# ## The idea, one number at a time
#
# Take a window of the image, as large as the kernel. Multiply the two cell by cell and add up. That
# is one output number:
#
# $$ y_{r,c} = \sum_{i}\sum_{j} w_{i,j}\; x_{r+i,\;c+j} $$
#
# Here $x$ is the image, $w$ the **kernel** (or filter), and $(r, c)$ the position in the output.
# The figure shows a tiny image with a stripe of large numbers (9, shaded) among small ones (0), a
# kernel that subtracts left from right, and the output as far as it is computed.

# %% id="one-step" alt="A 5 by 6 grid of numbers with a shaded stripe of nines, a 3 by 3 kernel, and the output grid with its first row and part of its second filled; the nine input cells under the kernel are marked, and under the grids their weighted sum is written out: 27."
x = torch.tensor([[0.0, 0, 9, 9, 0, 0]] * 5)
w = torch.tensor([[-1.0, 0, 1]] * 3)
y = ops.conv2d(x[None, None], w[None, None])[0, 0]
plotting.convolution_step(x, w, y, position=(1, 1))

# %% [markdown] id="one-step-read"
# Follow the marked cells: the right column of the window is large (9), the left one is small (0),
# so the sum is large. (The kernel's middle column is 0; its terms are left out of the sum.) One
# step to the right (still empty; the row above shows its −27), the left column is the large one,
# and the sum turns negative. With large numbers for bright pixels, the kernel asks one question
# everywhere: *is it brighter on my right than on my left?*
#
# **Predict before you run:** the drawn output is 3 × 4. How large is the output of the 5 × 5 blur
# on the image of 128 × 128?

# %% id="loops"
def conv2d_loops(x, w):
    """x [H, W], w [kh, kw] -> [H - kh + 1, W - kw + 1], one output number at a time."""
    (height, width), (kh, kw) = x.shape, w.shape
    y = torch.zeros(height - kh + 1, width - kw + 1)
    for r in range(y.shape[0]):
        for c in range(y.shape[1]):
            y[r, c] = (x[r : r + kh, c : c + kw] * w).sum()  # the window [kh, kw], times w
    return y


# %% id="loops-run" tags=["nbval-check-output"]
print(conv2d_loops(x, w).int())
print("size:", list(conv2d_loops(x, w).shape))
print("blur of the image:", list(conv2d_loops(grey, kernels["blur"]).shape))

# %% [markdown] id="misconception-size"
# The window must fit inside the image: that leaves $5 - 3 + 1 = 3$ places down and $6 - 3 + 1 = 4$
# across, and $128 - 5 + 1 = 124$ each way for the blur. **The output is not as large as the image**
# unless you pad the image; we come to that below.

# %% [markdown] id="flip"
# ### Is the kernel flipped?
#
# A textbook on signal processing defines convolution with a minus sign, $x_{r-i,\,c-j}$: the kernel
# is turned by 180° before it slides. **Predict before you run:** does `torch.nn.functional.conv2d`
# turn it? SciPy offers both operations for comparison.

# %% id="flip-test" tags=["nbval-check-output"]
from scipy.signal import convolve2d, correlate2d

corner = grey[:20, :20]
skewed = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
torchs = F.conv2d(corner[None, None], skewed[None, None])[0, 0]
turned = torch.tensor(convolve2d(corner.numpy(), skewed.numpy(), mode="valid"))
straight = torch.tensor(correlate2d(corner.numpy(), skewed.numpy(), mode="valid"))
print("same as textbook convolution:", torch.allclose(torchs, turned, atol=1e-4))
print("same as cross-correlation:   ", torch.allclose(torchs, straight, atol=1e-4))

# %% [markdown] id="misconception-flip"
# It does not. What deep learning calls convolution is **cross-correlation**. For a learned kernel
# the difference has no effect: training would simply find the turned kernel instead. It matters
# when you copy a kernel from a textbook: the kernel for vertical edges, turned, is its own
# negative, so its map would change its sign. And it comes back in the backward pass below.

# %% [markdown] id="channels"
# ### Channels: a window is a block
#
# Colour images have three channels, and deeper layers have hundreds. The kernel is then a block of
# $C \times k_h \times k_w$ weights, and the sum runs over the channels too. One block makes one
# output channel; $O$ blocks make $O$ of them:
#
# $$ y_{o,r,c} = b_o + \sum_{ch=0}^{C-1}\sum_{i}\sum_{j} w_{o,ch,i,j}\; x_{ch,\,r+i,\,c+j} $$
#
# **Predict before you run:** a layer goes from 3 channels to 16 with 3 × 3 kernels and biases. How
# many numbers must it learn?

# %% id="channels-count" tags=["nbval-check-output"]
colour_layer = torch.nn.Conv2d(3, 16, kernel_size=3)
for name, parameter in colour_layer.named_parameters():
    print(f"{name:6s} {list(parameter.shape)} = {parameter.numel()}")

# %% [markdown] id="misconception-channels"
# 448 numbers: $16 \cdot 3 \cdot 9 = 432$ weights and 16 biases. **A "3 × 3 kernel" is not flat**:
# it reaches through all input channels (unless you ask for groups, below). The familiar picture of
# one sheet sliding over another hides the third dimension.

# %% id="colour-opponent" alt="The image and two maps: one bright where red outweighs blue, the other bright at vertical borders between reddish and bluish areas, and dark at borders of brightness alone."
opponent = torch.zeros(1, 3, 1, 1)
opponent[0, 0], opponent[0, 2] = 1, -1  # red minus blue, no neighbourhood at all
colour_block = torch.zeros(1, 3, 3, 3)
colour_block[0, 0], colour_block[0, 2] = kernels["vertical edges"], -kernels["vertical edges"]
red_blue = ops.conv2d(image[None], opponent)[0, 0]
edges = ops.conv2d(image[None], colour_block, padding=1)[0, 0]
plotting.show_images(
    [image, red_blue / 2 + 0.5, edges.abs() / edges.abs().max()],
    ["the image", "1×1: red − blue", "3×3×3: edges of red − blue"],
    caption="A 1×1 kernel mixes the channels at each pixel: the orange kite is light, the\n"
    "turquoise pot dark (zero is mid-grey). A block finds edges of colour (zero is black).",
)

# %% [markdown] id="geometry"
# ### Stride, padding, dilation
#
# Three numbers control where the window goes.
#
# - **Stride** $s$: how far it jumps. Stride 2 about halves the output in each direction.
# - **Dilation** $d$: the distance between the cells that the kernel reads; $d = 1$ is the ordinary
#   kernel. A 3 × 3 kernel with dilation 2 spans 5 × 5 pixels and still has nine weights.
# - **Padding** $p$: zeros added on every side. With an odd kernel of $k$ pixels,
#   $p = d\,(k-1)/2$ and stride 1, the size stays the same.
#
# Take one direction, with an image of $n$ pixels and a kernel of $k$. The kernel spans $d\,(k-1)+1$
# of the $n + 2p$ padded pixels. That is the first position; every $s$ pixels that are left give one
# more. All libraries use this formula:
#
# $$ n_\text{out} = \left\lfloor \frac{n + 2p - d\,(k-1) - 1}{s} \right\rfloor + 1 $$

# %% id="geometry-figure" alt="Four drawings of a 7 by 7 input, each with the filled cells that the kernel reads first, a dashed square around those it reads next, and a dot at every centre: a plain 3 by 3 kernel has 5 by 5 places; padding 1 keeps 7 by 7; stride 2 with padding 1 leaves 4 by 4; dilation 2 spreads the nine cells and leaves 3 by 3."
plotting.show_output_sizes(
    7,
    [
        {"kernel": 3},
        {"kernel": 3, "padding": 1},
        {"kernel": 3, "padding": 1, "stride": 2},
        {"kernel": 3, "dilation": 2},
    ],
    title="What the kernel reads, and how many places it has",
    caption="Filled: the cells read at the first place. Dashed: the next place.\n"
    "Dots: all centres. Pale dotted cells: padding.",
)

# %% id="geometry-check" tags=["nbval-check-output"]
def output_size(n, k, s=1, p=0, d=1):
    return (n + 2 * p - d * (k - 1) - 1) // s + 1


for k, s, p, d in [(3, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 0, 2), (7, 2, 3, 1)]:
    real = F.conv2d(torch.zeros(1, 1, 128, 128), torch.zeros(1, 1, k, k), None, s, p, d)
    print(f"k={k} s={s} p={p} d={d}:", end=" ")
    print(f"formula {output_size(128, k, s, p, d):3d}, torch {real.shape[-1]:3d}")

# %% [markdown] id="padding-note"
# Look at the floor in the formula. With a 3 × 3 kernel, stride 2 and padding 1, inputs of 127 and
# of 128 pixels both give 64: the layer **forgets the exact size**. That is why the way back up, in
# lesson 04, needs care.

# %% [markdown] id="im2col"
# ### From loops to one matrix product
#
# Loops in Python are slow, and the matrix product is among a computer's best-tuned routines. So
# rearrange: write each window as one column of a matrix. Then the kernel becomes a row, and every
# output number is a row times a column. This layout is known as **im2col** ("image to columns").

# %% id="im2col-figure" alt="A 4 by 4 input, its pixels numbered, with one 2 by 2 window marked; beside it a matrix of 4 rows and 9 columns, one for each window, with that window's column marked."
plotting.show_im2col(
    size=4,
    kernel=2,
    column=5,
    caption="Marked: the sixth window and its column.\n"
    "The kernel, as a row of 4 numbers, times this matrix gives all 9 outputs.",
)

# %% id="im2col-code"
def im2col(x, k):
    """x [C, H, W] -> [C·k·k, OH·OW]: column n holds the n-th window."""
    oh, ow = x.shape[1] - k + 1, x.shape[2] - k + 1
    taps = [x[:, i : i + oh, j : j + ow] for i in range(k) for j in range(k)]  # [C, OH, OW] each
    return torch.stack(taps, dim=1).reshape(-1, oh * ow)  # [C, k·k, OH, OW] -> [C·k·k, OH·OW]


def conv2d_matrix(x, w):
    """x [C, H, W], w [O, C, k, k] -> [O, OH, OW]."""
    k = w.shape[-1]
    y = w.reshape(len(w), -1) @ im2col(x, k)  # [O, C·k·k] @ [C·k·k, OH·OW] -> [O, OH·OW]
    return y.reshape(len(w), x.shape[1] - k + 1, x.shape[2] - k + 1)


# %% [markdown] id="im2col-read"
# There is still a loop, but over the $k \cdot k$ cells of the kernel, not over the pixels: for each
# cell, *all* windows at once are one shifted view of the image. Compare it with the loops on a
# crop, channel by channel.

# %% id="im2col-check" tags=["nbval-check-output"]
small, blocks = image[:, 40:60, 40:60], torch.randn(4, 3, 3, 3)
by_loops = torch.stack([sum(conv2d_loops(small[c], b[c]) for c in range(3)) for b in blocks])
by_matrix = conv2d_matrix(small, blocks)
print("im2col matrix:", list(im2col(small, 3).shape), " output:", list(by_matrix.shape))
print("loops and matrix agree:", torch.allclose(by_loops, by_matrix, atol=1e-5))

# %% [markdown] id="im2col-cost"
# **Predict before you run:** both do exactly the same multiplications. What does the matrix form
# cost, then?

# %% id="im2col-memory" tags=["nbval-check-output"]
feature = torch.zeros(64, 56, 56)
unrolled = im2col(F.pad(feature, (1, 1, 1, 1)), 3)  # zeros: left, right, top, bottom
multiplications = 64 * unrolled.numel()
print(f"input   {feature.numel():>12,} numbers")
print(f"columns {unrolled.numel():>12,} numbers,", end=" ")
print(f"{unrolled.numel() // feature.numel()} times as many")
print(f"work    {multiplications:>12,} multiplications either way (64 output channels)")

# %% id="im2col-speed"
from time import perf_counter


def seconds(function, *arguments):
    start = perf_counter()
    function(*arguments)
    return perf_counter() - start


slow = min(seconds(conv2d_loops, grey, kernels["blur"]) for _ in range(2))
fast = min(seconds(conv2d_matrix, grey[None], kernels["blur"][None, None]) for _ in range(5))
print(f"the matrix form is {slow / fast:,.0f} times faster")

# %% [markdown] id="im2col-trade"
# Nine times the memory for a 3 × 3 kernel, because each pixel is copied into nine windows. Here,
# with one channel, nearly all of the gain comes from leaving Python's loop over pixels. What the
# memory buys is one tuned product for all channels at once: **memory for speed**. Libraries save
# memory by building the columns piece by piece. (The gain differs from machine to machine.)

# %% [markdown] id="groups"
# ### Groups
#
# Must every output channel look at every input channel? With $G$ **groups** the channels are split
# into $G$ parts that do not see one another, and the layer has $G$ times fewer weights: $O \cdot
# (C/G) \cdot k^2$. At the extreme, $G = C = O$, each channel has a flat kernel of its own: a
# **depthwise** convolution. A 1 × 1 convolution after it mixes the channels again. With only a
# fraction of a full layer's weights, the pair is nearly as accurate (MobileNet, Howard et al.
# 2017).

# %% id="groups-count" tags=["nbval-check-output"]
def count(c_in, c_out, k, groups=1):
    return c_out * (c_in // groups) * k * k


print(f"full 3×3, 64 → 64:        {count(64, 64, 3):6,} weights")
print(f"four groups:              {count(64, 64, 3, groups=4):6,}")
print(f"depthwise 3×3 + full 1×1: {count(64, 64, 3, groups=64) + count(64, 64, 1):6,}")

# %% id="groups-check" tags=["nbval-check-output"]
x4, w4 = torch.randn(1, 4, 8, 8), torch.randn(6, 2, 3, 3)  # two groups, each 2 in, 3 out
halves = torch.cat([F.conv2d(x4[:, :2], w4[:3]), F.conv2d(x4[:, 2:], w4[3:])], dim=1)
together = ops.conv2d(x4, w4, groups=2)
same = torch.allclose(halves, together, atol=1e-6)
print("two groups are two small convolutions:", same)

# %% [markdown] id="backward"
# ### The backward pass
#
# To learn, a layer must answer two questions. Given how the loss $L$ changes with each output,
# $g_{r,c} = \partial L / \partial y_{r,c}$: how does it change with each **weight**, and with each
# **input**?
#
# Start from $y_{r,c} = \sum_{i,j} w_{i,j}\,x_{r+i,c+j}$ and the chain rule.
#
# **The weight** $w_{i,j}$ appears in every output, each time multiplied by the input cell under it:
#
# $$ \frac{\partial L}{\partial w_{i,j}} = \sum_{r,c} g_{r,c}\; x_{r+i,\,c+j} $$
#
# Read the right side again. It is a convolution of the input, and its kernel is $g$.
#
# **The input** cell $x_{a,b}$ was read by several windows. In the window at $(r, c)$ it met the
# weight $w_{a-r,\,b-c}$:
#
# $$ \frac{\partial L}{\partial x_{a,b}} = \sum_{r,c} g_{r,c}\; w_{a-r,\,b-c} $$
#
# where only indices inside the kernel count. You can see it as **stamping**: each output sends its
# gradient back through the kernel, as it is, onto the window that it came from, and overlapping
# stamps add up. Below, look at the 5 inside both frames: $1 \cdot 3 + 2 \cdot 1$.

# %% id="stamps" alt="Three grids: the output's gradient with the two numbers 1 and 2 marked, the kernel, and the input's gradient, on which two framed copies of the kernel, times 1 and times 2, overlap in two cells; the upper one is 1 times 3 plus 2 times 1, which is 5."
gradient = torch.tensor([[1.0, 0, 0], [0, 0, 2]])
plotting.show_transposed_convolution(
    gradient,
    torch.tensor([[1.0, 2, 0], [0, 1, 3], [1, 0, 2]]),
    stride=1, stamps=((0, 0), (1, 2)),
    names=("Output's gradient", "Kernel", "Input's gradient"),
    title="Each gradient stamps the kernel on the window that it came from",
)

# %% [markdown] id="backward-loop"
# Or take one input cell and collect what arrives there. At the 5, $g_{0,0}$ meets $w_{1,2}$;
# $g_{1,2}$, further down and right, meets $w_{0,0}$, further up and left. You read the kernel
# backwards: the textbooks' minus sign is back. In PyTorch's terms, `conv2d` runs over $g$ with the
# **turned** kernel. Only $g_{0,0}$ reaches the corner $x_{0,0}$, so the rest of the window there
# must be zeros: pad $g$ with $k - 1$ of them on every side. (The bias is easy: it is part of every
# output, so its gradient is the sum of $g$.)
#
# The code stamps, for one channel and stride 1, but its loop goes over the kernel's cells: cell
# $(i, j)$ of *all* stamps at once is $g$ times $w_{i,j}$, shifted by $(i, j)$.

# %% id="backward-code"
def conv2d_backward(x, w, g):
    """Gradients of x [H, W] and w [kh, kw], given g = dL/dy [OH, OW]."""
    (oh, ow), (kh, kw) = g.shape, w.shape
    dw, dx = torch.zeros_like(w), torch.zeros_like(x)
    for i in range(kh):
        for j in range(kw):
            dw[i, j] = (g * x[i : i + oh, j : j + ow]).sum()
            dx[i : i + oh, j : j + ow] += g * w[i, j]  # one cell of every stamp
    return dx, dw


# %% id="backward-check" tags=["nbval-check-output"]
source = torch.randn(8, 9, requires_grad=True)
weight = torch.randn(3, 3, requires_grad=True)
output = F.conv2d(source[None, None], weight[None, None])[0, 0]
g = torch.randn_like(output)
output.backward(g)  # autograd's answer
dx, dw = conv2d_backward(source.detach(), weight.detach(), g)
same = [torch.allclose(mine, leaf.grad, atol=1e-5) for mine, leaf in ((dw, weight), (dx, source))]
print(f"weights: {same[0]}  input: {same[1]}")
padded, flipped = F.pad(g, (2, 2, 2, 2)), weight.detach().flip(0, 1)
by_turning = F.conv2d(padded[None, None], flipped[None, None])[0, 0]
same = torch.allclose(by_turning, dx, atol=1e-5)
print("input gradient = padded convolution with the turned kernel:", same)

# %% [markdown] id="backward-note"
# Keep that last line in mind. The operation that sends gradients back, from a small map to a large
# one by stamping kernels, will become a layer of its own in lesson 04: the **transposed
# convolution**.

# %% [markdown] id="equality"
# ## What you built gives the library's numbers
#
# `seglib.ops.conv2d` is a **primitive** with three bodies: `naive` (loops), `scratch` (`im2col` and
# a matrix product, with stride, padding, dilation and groups), and `native` (PyTorch's, which a
# plain `ops.conv2d` runs). Compare all three with each other and with yours.

# %% id="equality-check" tags=["nbval-check-output"]
xb = torch.randn(2, 4, 9, 9, dtype=torch.float64)
wb = torch.randn(6, 2, 3, 3, dtype=torch.float64)
settings = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
native = ops.conv2d.native(xb, wb, **settings)
for style in ("naive", "scratch"):
    body = getattr(ops.conv2d, style)
    same = torch.allclose(body(xb, wb, **settings), native, rtol=1e-10)
    print(f"{style:8s} equals native: {same}")
mine, library = conv2d_matrix(image, blocks), ops.conv2d(image[None], blocks)[0]
print(f"yours    equals native: {torch.allclose(mine, library, atol=1e-5)}")

# %% [markdown] id="swap"
# Now comes the part that makes it yours. A real network, the FCN of lesson 04 with its shipped
# weights, runs below on *your* `conv2d_matrix`. `seglib.use` replaces a primitive with your
# function for as long as the `with` block lasts. The FCN makes mistakes, and on your function it
# must make the very same ones.

# %% id="swap-code"
calls = []


def my_conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Your matrix form for batches; it covers what this network needs."""
    assert stride in (1, (1, 1)) and dilation in (1, (1, 1)) and groups == 1
    calls.append(weight.shape)
    p = padding if isinstance(padding, int) else padding[0]
    y = torch.stack([conv2d_matrix(each, weight) for each in F.pad(x, (p, p, p, p))])
    return y if bias is None else y + bias[:, None, None]


# %% id="swap-run" alt="The image beside two identical maps of class labels: one made with PyTorch's convolution, the other with the one built in this lesson."
from seglib.pretrained import load

fcn = load("fcn")
reference = fcn.predict([image])[0]
calls.clear()
with seglib.use(conv2d=my_conv2d):
    yours = fcn.predict([image])[0]
answers = {"PyTorch's conv2d": reference, "your conv2d": yours}
plotting.compare(image, answers, fcn.categories)

# %% id="swap-check" tags=["nbval-check-output"]
agreement = (reference.semantic == yours.semantic).float().mean()
print(f"your function ran {len(calls)} times; pixels with the same label: {agreement:.1%}")

# %% [markdown] id="learns"
# ## It learns: from chosen kernels to learned ones
#
# So far you chose the numbers in the kernel. Now let the network find them. The task: mark the
# **outlines of objects**. The target comes from the masks: 1 where an object's mask ends and 0
# elsewhere.

# %% id="outline-target"
def outlines(masks):
    """masks bool [N, H, W] -> float [H, W], 1 on both sides of every mask's border."""
    m = masks.float()[:, None]  # [N, 1, H, W]
    # The largest of each 3×3 window makes a mask grow by a pixel; the smallest makes it shrink.
    grown, shrunk = F.max_pool2d(m, 3, 1, 1), -F.max_pool2d(-m, 3, 1, 1)
    return (grown - shrunk).amax(dim=(0, 1)) if len(masks) else torch.zeros(masks.shape[1:])


def load_images(indices):
    """Images [N, 3, 128, 128] and outlines [N, 1, 128, 128], smaller ones padded."""
    pixels = torch.full((len(indices), 3, 128, 128), 0.5)
    wanted = torch.zeros(len(indices), 1, 128, 128)
    for row, index in enumerate(indices):
        picture, truth = dataset[index]
        part = (slice(truth.size[0]), slice(truth.size[1]))
        pixels[row, :, *part], wanted[row, 0, *part] = picture, outlines(truth.masks)
    return pixels, wanted


pixels, wanted = load_images(range(min(160, len(dataset))))
trained = len(pixels) - min(16, len(pixels) // 3)  # the last ones are kept for looking at

# %% id="outline-figure" alt="Two images, and beside each a black picture with white lines along the borders of its objects."
pairs = [picture for i in range(2) for picture in (pixels[i], wanted[i, 0])]
plotting.show_images(pairs, ["image", "wanted"] * 2)

# %% [markdown] id="overfit-text"
# The network has two convolutions with a ReLU (negative numbers become 0) between them; its first
# layer has 16 kernels of 3 × 7 × 7. They begin as **small noise**, so that the noise does not bury
# what is learned.
#
# For each pixel the network returns one number, a **logit** $z$: above 0 means "more likely an
# outline", below 0 "more likely not". The sigmoid, $1/(1 + e^{-z})$, turns it into a score between
# 0 and 1. The loss is the cross-entropy of that score with the truth. Outlines are rare, so
# `pos_weight` counts their pixels three times. (That pushes scores up: they are not probabilities.)
#
# To judge a loss you need another to compare it with: how good is the best answer that is the same
# everywhere? Try a row of logits.

# %% id="model" tolerance=0.01
def make_network():
    torch.manual_seed(0)
    first, second = torch.nn.Conv2d(3, 16, 7, padding=3), torch.nn.Conv2d(16, 1, 5, padding=2)
    first.weight.data *= 0.1
    return torch.nn.Sequential(first, torch.nn.ReLU(), second)


def outline_loss(logits, y):
    return F.binary_cross_entropy_with_logits(logits, y, pos_weight=torch.tensor(3.0))


tried = torch.linspace(-3, 0, 13).tolist()
constant = min(outline_loss(torch.full_like(wanted, z), wanted).item() for z in tried)
print(f"loss of the best answer that is the same everywhere: {constant:.2f}")

# %% [markdown] id="centre-text"
# The pixels are **centred**: brightness 0.5 becomes 0 (then times 4, so that values run from −2 to
# 2). If all inputs are positive, every window's sum mostly measures brightness, and training
# stalls. (To see it, set `centre = 0.0` below and run the cells from there to the figure "image,
# wanted, found" again: the loss on many images stays about 0.9, worse than a constant answer.)
#
# First the habit that will save you days: **overfit one batch**. If a network cannot come close to
# learning a few images by heart, something is broken, and more data will not fix it.

# %% id="overfit" tolerance=0.1 alt="The loss on one batch falls steeply in the first steps and then more and more slowly."
centre = 0.5


def train_step(network, optimizer, x, y):
    loss = outline_loss(network((x - centre) * 4), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


by_heart = make_network()
its_optimizer = torch.optim.Adam(by_heart.parameters(), lr=1e-2)
one_batch = pixels[:4, :, :64, 32:96], wanted[:4, :, :64, 32:96]
losses = [train_step(by_heart, its_optimizer, *one_batch) for _ in range(150)]
print(f"loss {losses[0]:.1f} → {losses[-1]:.1f}")
plotting.training_curve(losses, title="One batch, over and over")

# %% [markdown] id="overfit-read"
# The loss keeps falling, far below the 0.8 of a constant answer (for these crops too): the network
# can learn four crops nearly by heart, so its parts fit together. Now train on random crops of many
# images. (They come from the small validation split; the pictures drawn below are kept out.)
# **Predict before you run:** will the loss get as low?

# %% id="train" alt="Training loss over 300 steps: a noisy fall from 0.9, with a bump before step 50, then slower and slower, to about 0.6."
network = make_network()
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
chance = torch.Generator().manual_seed(0)
with plotting.LiveCurve(steps=300, title="Outlines of objects") as live:
    for i in range(300):
        rows = torch.randperm(trained, generator=chance)[:16]
        y, x = torch.randint(0, 64, (2,), generator=chance).tolist()  # the same for all
        few, goal = (each[rows, :, y : y + 64, x : x + 64] for each in (pixels, wanted))
        live.update(i, loss=train_step(network, optimizer, few, goal))

# %% [markdown] id="train-read"
# It does not. After a bump before step 50 the curve falls ever more slowly. It ends near 0.6,
# better than a constant answer but far above the 0.2 of a single batch. A run of 1,000 steps
# reached about 0.55: patience alone does not close the gap. Look at the results on new images;
# "Look inside" will ask *why*.

# %% id="learned-result" alt="Three new images, the wanted outlines, and the network's: bright along most of the objects' borders, faint along a tan body on tan ground, bright also along stripes, eyes, clock hands and the lines of the road."
with torch.no_grad():  # on images that it was not trained on
    found = network((pixels[trained:] - centre) * 4).sigmoid()
pictures = []
for i in range(min(3, len(found))):
    pictures += [pixels[trained + i], wanted[trained + i, 0], found[i, 0]]
plotting.show_images(
    pictures,
    ["image", "wanted", "found"] * 3,
    columns=3,
    caption="Wanted outlines that run close together merge: the white bars beside the arms.",
)

# %% [markdown] id="filters-text"
# **What did it learn to look for?** Draw the 16 kernels of the first layer as small colour
# pictures, before and after training. Grey is zero; each kernel's colours are stretched to its own
# largest weight, or the small noise would be all grey.

# %% id="filters-before" alt="Sixteen small squares of random coloured noise: the kernels before training."
plotting.show_kernels(make_network()[0].weight.detach(), title="Before training: noise")

# %% id="filters-after" alt="The same sixteen kernels after training: smoother, many with two sides in different colours, some with a centre in one colour and a rim in another."
plotting.show_kernels(network[0].weight.detach(), title="After training")

# %% [markdown] id="filters-read"
# Some kernels have two sides in different colours, such as the fifth of the upper row (red above,
# blue below): edge detectors, relatives of the kernel that you saw at the start. Others have a
# centre in one colour and a rim in another, such as the third of the lower row: they find spots and
# changes of colour. Nobody chose these kernels; the targets shaped them. In networks trained for
# long on photographs, the first layer usually ends up with such edges and blobs of colour
# (Krizhevsky et al. 2012, figure 3).
#
# The shipped FCN was trained for much longer, on classes instead of outlines. Its first kernels are
# only 3 × 3, so look at what they *respond to* rather than at their nine cells. (`prepare` centres
# and scales the pixels, as the network always does with its input.)

# %% id="fcn-maps" alt="Twelve maps of one image in orange (positive) and purple (negative): first-layer channels of the shipped FCN. Some respond to edges in one direction, others to whole areas of one brightness or one colour, such as the leaves."
first_layer = next(m for m in fcn.modules() if isinstance(m, torch.nn.Conv2d))
with torch.no_grad():
    responses = first_layer(fcn.prepare([image]).tensor)[0]
plotting.feature_maps(
    responses,
    limit=12,
    signed=True,
    title="First layer of the shipped FCN: 12 of its 16 channels",
    caption="Orange: positive. Purple: negative. White: zero.",
)

# %% [markdown] id="fcn-maps-read"
# Channels 2, 5, 8 and 9 are nearly white except along edges. Channels 1, 10 and 11 tell colours
# apart: channel 10 is positive on the purple leaves and negative on the lime-green belt of the cup,
# and channel 1 is the other way round.

# %% [markdown] id="inside"
# ## Look inside: what a small window cannot see
#
# Look at the three results again. The network marks most borders of objects and misses those of low
# contrast (the tan body in the first row). It also marks borders *inside* objects and in the
# background. These false positives are not random. Cut out what the network sees there: its two
# layers together see a square of 11 × 11 pixels (five neighbouring windows of 7 overlap: 7 pixels,
# and 4 more), and they judge the pixel at its centre.

# %% id="false-alarms"
near = F.max_pool2d(wanted[trained:], 7, 1, 3)[:, 0] > 0  # within 3 pixels of an outline
false_alarm = (found[:, 0] > 0.7) & ~near
# The 11 × 11 cut around each must fit into the image.
false_alarm[:, :5], false_alarm[:, -5:] = False, False
false_alarm[..., :5], false_alarm[..., -5:] = False, False
places = false_alarm.nonzero()
places = places[torch.linspace(0, len(places) - 1, min(6, len(places))).long()]

# %% id="patches" alt="Six enlarged patches of 11 by 11 pixels, each with the network's score; each shows a clear edge, and none shows what the edge belongs to."
from seglib.plotting.grids import mark_cells

spots = places.tolist()
patches = [pixels[trained + n, :, r - 5 : r + 6, c - 5 : c + 6] for n, r, c in spots]
scores = [f"score {found[n, 0, r, c]:.2f}" for n, r, c in spots]
caption = "False alarms, enlarged; framed: the pixel judged"
figure = None
if spots:
    figure = plotting.show_images(patches, scores, columns=6, panel=1.5, caption=caption)
    for axes in figure.axes:
        mark_cells(axes, [(5, 5)], alpha=0)
else:
    print("no false alarm in these images: there is nothing to cut out")
figure

# %% [markdown] id="inside-read"
# Each patch does contain an edge. Whether it is the border of an object or a mark on one, the patch
# cannot tell. Four crops can be remembered patch by patch; for new images the missing information
# lies outside the window, and no kernel can bring it back. More kernels would help a little, and a
# wider window much more. The **receptive field** (the part of the image that one output depends on)
# is too small, and the next lesson makes it grow.
#
# Look at the border of the picture, too. Padding with zeros draws a frame around it: black around
# raw pixels, mid-grey around centred ones. The kernel for vertical edges sees the frame's left and
# right sides: edges that do not exist.

# %% id="border" alt="A map of the response of an edge kernel to a flat grey image: zero everywhere except along the left border, where it is strongly positive, and the right border, where it is strongly negative."
flat = torch.full((1, 1, 24, 24), 0.6)  # nothing to see
response = ops.conv2d(flat, kernels["vertical edges"][None, None], padding=1)[0, 0]
plotting.show_heatmap(response, "'Edges' of a flat grey image", label="response", cmap="PuOr_r")

# %% [markdown] id="try"
# ## Try it
#
# Move the window, change stride, padding and dilation, and watch the numbers. Set stride,
# padding and dilation all to 2 on the 7 × 7 image: which output size do you expect?
#
# <details><summary>Answer</summary>
# 4 × 4. The 3 × 3 kernel spans 5 of the 7 + 4 = 11 pixels; of the 6 that are left, every second one
# gives a further place.
# </details>

# %% id="stepper" alt="A convolution drawn as three grids, input, kernel and output, with sliders for position, stride, padding and dilation."
from seglib.widgets import ConvolutionStepper

ConvolutionStepper()

# %% [markdown] id="quiz-text"
# ### Check yourself

# %% id="quiz-one" tags=["quiz", "hide-input"]
from seglib.widgets import Option, Question, Quiz

sizes = Question(
    "An input of 64×64, a 5×5 kernel, stride 2, padding 2, dilation 1. The output is",
    [
        Option("64×64", feedback="That needs stride 1; stride 2 takes every second place."),
        Option("32×32", correct=True, feedback="⌊(64 + 4 − 4 − 1)/2⌋ + 1 = 31 + 1."),
        Option(
            "30×30",
            feedback="You left the padding out: 2·2 pixels are added before the window slides.",
        ),
        Option("31×31", feedback="Close: the formula ends with + 1, for the first place."),
    ],
    objective="output size",
)

# %% id="quiz-by-hand" tags=["quiz", "hide-input"]
by_hand = Question(
    "Row [1, 2, 4, 7] with kernel [−1, 1], stride 1, no padding, as PyTorch does it:",
    [
        Option("[1, 2, 3]", correct=True, feedback="Each output is right minus left."),
        Option(
            "[−1, −2, −3]",
            feedback="That is the flipped kernel: textbook convolution, not PyTorch's.",
        ),
        Option("[1, 2, 3, −7]", feedback="Without padding the window has only three places."),
    ],
    objective="by hand",
)

# %% id="quiz-two" tags=["quiz", "hide-input"]
counted = Question(
    "Weights and biases of a 3×3 layer from 16 to 64 channels with 4 groups:",
    [
        Option(
            "9,280",
            feedback="That is without groups: each output channel would see all 16 channels.",
        ),
        Option("2,368", correct=True, feedback="64 · (16/4) · 9 + 64."),
        Option(
            "640",
            feedback="64 · 9 + 64: each kernel still reaches through the 4 channels of its group.",
        ),
    ],
    objective="groups",
)

# %% id="quiz-im2col" tags=["quiz", "hide-input"]
faster = Question(
    "Why is im2col with a matrix product faster than the loops?",
    [
        Option(
            "It needs fewer multiplications",
            feedback="Count them: exactly the same number.",
        ),
        Option(
            "It uses less memory, which the cache likes",
            feedback="On the contrary: about nine times more for a 3×3 kernel.",
        ),
        Option(
            "The same multiplications run in one highly tuned routine",
            correct=True,
            feedback="It pays with memory.",
        ),
    ],
    objective="im2col",
)

# %% id="quiz-three" tags=["quiz", "hide-input"]
backward = Question(
    "The gradient with respect to the input of a stride-1 convolution is",
    [
        Option(
            "the input, convolved with the output's gradient",
            feedback="That is the gradient of the weights.",
        ),
        Option(
            "the output's gradient, padded; conv2d slides the turned kernel over it",
            correct=True,
            feedback="Or: stamps that add up.",
        ),
        Option(
            "the output's gradient, padded; conv2d slides the kernel over it",
            feedback="As it is, the kernel would stamp the wrong way round: turn it first.",
        ),
    ],
    objective="backward",
)

# %% id="quiz-flip" tags=["quiz", "hide-input"]
copied = Question(
    "You copy the kernel for vertical edges from a textbook on signal processing into conv2d. Away "
    "from the border, your map has the opposite sign of the book's. Why?",
    [
        Option("conv2d pads the picture with zeros", feedback="That only affects the border."),
        Option(
            "conv2d does not flip the kernel",
            correct=True,
            feedback="It computes cross-correlation: turn the kernel by 180° first.",
        ),
        Option(
            "The kernel must be learned before it is used",
            feedback="Any numbers work; here they are used in a different order from the book's.",
        ),
    ],
    objective="filters",
)
Quiz([sizes, by_hand, counted, faster, backward, copied])

# %% [markdown] id="assignment"
# ### Your turn
#
# The [assignment](assignments/02_convolution.ipynb) has three tasks: your own `conv2d` with stride
# and padding, `im2col` with dilation and groups that must run a real FCN, and the backward pass of
# a strided convolution. Each comes with checks that say what is wrong.

# %% [markdown] id="summary"
# ## In one minute
#
# - A convolution is a weighted sum over a local window, with the same weights at every position.
#   Both keep it small; the shared weights make its answer move along with the picture.
# - A kernel reaches through all input channels: $O \cdot (C/G) \cdot k^2$ weights with $G$
#   groups (plus $O$ biases).
# - $n_\text{out} = \lfloor (n + 2p - d(k-1) - 1)/s \rfloor + 1$.
# - `im2col` turns it into one matrix product: the same work, about $k^2$ times the memory, much
#   faster.
# - Backward: the weights' gradient is a convolution of the input with the output's gradient; the
#   input's gradient is stamping, or `conv2d` of the padded gradient with the turned kernel.
# - Learned first kernels become edges and colours. What lies outside the window stays unknown.
#
# **Next**, in [lesson 03](03_backbones.ipynb), layers are stacked until the window covers whole
# objects.
#
# **References**
#
# - K. Fukushima. Neocognitron: a self-organizing neural network model for a mechanism of pattern
#   recognition unaffected by shift in position. *Biological Cybernetics* 36, 1980.
#   doi:10.1007/BF00344251.
# - Y. LeCun et al. Backpropagation applied to handwritten zip code recognition. *Neural
#   Computation* 1(4), 1989. doi:10.1162/neco.1989.1.4.541.
# - A. Krizhevsky, I. Sutskever, G. Hinton. ImageNet classification with deep convolutional neural
#   networks. *NIPS* 2012. doi:10.1145/3065386.
# - V. Dumoulin, F. Visin. A guide to convolution arithmetic for deep learning. arXiv 1603.07285,
#   2016.
# - A. Howard et al. MobileNets: efficient convolutional neural networks for mobile vision
#   applications. arXiv 1704.04861, 2017.
