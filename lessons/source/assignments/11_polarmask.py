# %% [markdown] id="intro"
# # Assignment 11: PolarMask
#
# Three tasks. Each has a stub for you to fill in and a cell of checks that says what is wrong.
# Everything you need is in [lesson 11](../11_polarmask.ipynb). Replace the line `raise
# NotImplementedError` and run the checks below it. All floating-point tensors that the checks pass
# in, including the hidden ones, are float32; return float32 as well.
#
# | task | points | difficulty | importance | minutes |
# | --- | --- | --- | --- | --- |
# | 1. The loss of the rays | 4 | 2/5 | 5/5 | 15 |
# | 2. Exact rays to a polygon | 4 | 4/5 | 3/5 | 30 |
# | 3. Masks from rays, pixel by pixel | 4 | 3/5 | 4/5 | 25 |
#
# Coordinates are those of the lesson: points are (x, y), the centre of the first pixel is at 0, and
# ray k of n leaves the centre at the angle 360° · k / n, where 0° points down and 90° to the right:
# its direction is (sin θ, cos θ).

# %% id="imports" nbgrader="locked"
import math

import torch

import seglib
from seglib.models.polarmask import PolarMask, PolarMaskConfig
from seglib.structures import Categories, Target

# %% [markdown] id="task-loss"
# ## Task 1: the loss of the rays
#
# *4 points · difficulty 2/5 · importance 5/5 · 15 minutes*
#
# **First** write Polar IoU with any exponent p. With p = 1 it is the paper's, with p = 2 the IoU of
# the areas:
#
# $$\frac{\sum_k \min(d_k, d_k^*)^p}{\sum_k \max(d_k, d_k^*)^p}$$
#
# **Then** write the loss of N locations: the mean of $-\ln(\text{Polar IoU})$, in which each
# location is weighted by the polar centerness of its *true* rays, $c = \sqrt{\min_k d_k^* / \max_k
# d_k^*}$. A weighted mean is $\sum c\,l / \sum c$. Without any location the loss is 0.
#
# Example by hand: true rays (4, 4) and (1, 4), predicted (2, 4) and (1, 4). Polar IoU with p = 1:
# $6/8 = 0.75$ and 1; with p = 2: $20/32 = 0.625$ and 1. Centerness: 1 and 0.5. The loss with p = 1:
# $(1 \cdot 0.288 + 0.5 \cdot 0) / 1.5 = 0.192$.
#
# <details><summary>First hint</summary>
# Both sums run over the rays, so over dimension 1; <code>torch.minimum</code> and
# <code>torch.maximum</code> compare ray by ray, and the exponent comes before the sum.
# </details>
# <details><summary>Second hint</summary>
# The loss is a weighted mean: multiply each location's loss by its centerness, sum, and divide by
# the sum of the centerness. If there is no location this sum is 0: <code>clamp(min=…)</code> keeps
# the division possible, and the result is still a tensor with a gradient.
# </details>

# %% id="loss" nbgrader="solution" forbidden="polar_iou"
def polar_iou(predicted, true, power=1.0):
    """predicted, true: distances float [N, n], above 0; power: p. Returns [N]."""
    ### BEGIN SOLUTION
    shared = torch.minimum(predicted, true) ** power
    joint = torch.maximum(predicted, true) ** power
    return shared.sum(dim=1) / joint.sum(dim=1)
    ### END SOLUTION


def ray_loss(predicted, true, power=1.0):
    """predicted, true: distances float [N, n], above 0. Returns a number (a tensor of shape [])
    that can be differentiated; 0 if N = 0.
    """
    ### BEGIN SOLUTION
    each = -polar_iou(predicted, true, power).log()
    centerness = (true.amin(dim=1) / true.amax(dim=1)).sqrt()
    return (each * centerness).sum() / centerness.sum().clamp(min=1e-6)
    ### END SOLUTION

# %% id="loss-checks" nbgrader="checks" points=3
def near(got, *wanted, tolerance=1e-3):
    return torch.allclose(got, torch.tensor(wanted), atol=tolerance)


true = torch.tensor([[4.0, 4], [1, 4]])
predicted = torch.tensor([[2.0, 4], [1, 4]])
got = polar_iou(predicted, true)
assert got is not None, "polar_iou returned None: is the `return` missing?"
assert got.shape == (2,), f"one value for each of two shapes, [2]; yours is {list(got.shape)}"
assert got.dtype == torch.float32, f"Polar IoU is float32, yours is {got.dtype}"
assert near(got, 0.75, 1.0), (
    f"the example gives 0.75 and 1, yours {[round(v, 3) for v in got.tolist()]}: sum the smaller "
    "distances, sum the larger ones, then divide"
)
got = polar_iou(predicted, true, power=2.0)
assert near(got, 0.625, 1.0), (
    f"with p = 2 the example gives 0.625 and 1, yours {[round(v, 3) for v in got.tolist()]}: each "
    "distance gets the exponent, before the sum"
)
got = polar_iou(torch.tensor([[6.0, 2]]), torch.tensor([[3.0, 8]]))
assert not near(got, 0.375), "that is the mean of the rays' own ratios; divide sum by sum"
assert near(got, 0.357), (
    "predicted (6, 2), true (3, 8): shared 3 + 2, joint 6 + 8, so 5/14 = 0.357; yours "
    f"{round(float(got[0]), 3)}: a ray may be too long or too short"
)
got = ray_loss(predicted, true)
assert got is not None, "ray_loss returned None: is the `return` missing?"
assert isinstance(got, torch.Tensor) and got.shape == (), (
    f"the loss is one number, a tensor of shape []; yours is {got}"
)
assert got.dtype == torch.float32, f"the loss is float32, yours is {got.dtype}"
assert float(got) > 0, f"the loss is -ln of a number below 1, so positive; yours is {got:.3f}"
assert not near(got, 0.144), "that is the plain mean: each location counts by its centerness"
assert not near(got, 0.288), "divide by the sum of the centerness, 1.5, not by 1"
assert near(got, 0.192), (
    f"the example gives 0.192, yours {got:.3f}: the natural logarithm, weighted with the square "
    "root of shortest over longest *true* ray, 1 and 0.5"
)
same = true.tolist() == [[4, 4], [1, 4]] and predicted.tolist() == [[2, 4], [1, 4]]
assert same, "the arguments were changed; leave them as they are"
got = ray_loss(predicted, true, power=2.0)
assert near(got, 0.313), f"with p = 2 the loss is 0.313, yours {got:.3f}: pass the exponent on"
got = ray_loss(torch.tensor([[2.0, 2], [1, 1]]), torch.tensor([[2.0, 2], [1, 4]]))
assert near(got, 0.305), (
    "predicted (2, 2) and (1, 1), true (2, 2) and (1, 4): the centerness of the true rays is 1 and "
    f"0.5, so the loss is 0.5 · 0.916 / 1.5 = 0.305; yours is {got:.3f}"
)
got = ray_loss(torch.rand(0, 36), torch.rand(0, 36))
assert float(got) == 0, f"without locations the loss is 0, yours is {got}"
rays = torch.tensor([[2.0, 4]], requires_grad=True)
got = ray_loss(rays, torch.full((1, 2), 4.0))
assert got.requires_grad, (
    "the loss has no gradient: use tensors throughout, without .item() or .detach()"
)
got.backward()
assert rays.grad is not None and near(rays.grad[0, :1], -1 / 6), (
    "the gradient for a ray that is too short is -1 / (sum of the shared) = -1/6; yours is "
    f"{rays.grad}"
)
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    count, n, power = 1 + seed, (4, 12, 36)[seed % 3], 0.5 + seed / 2
    true, predicted = torch.rand(count, n) * 9 + 0.5, torch.rand(count, n) * 9 + 0.5
    kept = true.clone(), predicted.clone()
    expected, total, weights = [], 0.0, 0.0
    for d, t in zip(predicted.tolist(), true.tolist(), strict=True):
        shared = sum(min(a, b) ** power for a, b in zip(d, t, strict=True))
        joint = sum(max(a, b) ** power for a, b in zip(d, t, strict=True))
        weight = math.sqrt(min(t) / max(t))
        expected.append(shared / joint)
        total, weights = total - weight * math.log(shared / joint), weights + weight
    got = polar_iou(predicted, true, power)
    assert torch.allclose(got, torch.tensor(expected), atol=1e-4), (
        f"seed {seed}, p = {power}: expected {expected}, yours {got.tolist()}"
    )
    got = ray_loss(predicted, true, power)
    assert abs(float(got) - total / weights) < 1e-3, (
        f"seed {seed}, p = {power}: expected a loss of {total / weights:.4f}, yours {got:.4f}"
    )
    same = torch.equal(true, kept[0]) and torch.equal(predicted, kept[1])
    assert same, f"seed {seed}: the arguments were changed; leave them as they are"
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, exponents, weights, gradients, no locations")

# %% [markdown] id="real-loss-text"
# Now a real network: a fresh PolarMask, and an image with two objects. With your `polar_iou`
# inside, its `mask_loss` must stay the same, and your `ray_loss` of its rays must be equal to it.
# (One of the four points.)

# %% id="real-loss-checks" nbgrader="checks" points=1
from seglib.models.polarmask.targets import polar_targets
from seglib.models.targets import sized_targets

torch.manual_seed(0)
names = Categories.from_coco([{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}])
network = PolarMask(PolarMaskConfig.pocket(), names).eval()
masks = torch.zeros(2, 64, 64, dtype=torch.bool)
masks[0, 8:30, 10:50], masks[1, 36:60, 20:44] = True, True
boxes = torch.tensor([[10.0, 8, 50, 30], [20, 36, 44, 60]])
areas, single = masks.sum(dim=(1, 2)).float(), torch.zeros(2, dtype=torch.bool)
truth = Target(boxes, torch.tensor([1, 2]), masks, single, areas, (64, 64))
images = [torch.rand(3, 64, 64)]
with torch.no_grad():
    output = network(images)
    usual = network.loss(images, [truth])["mask_loss"]
    with seglib.use(polar_iou=polar_iou):
        swapped = network.loss(images, [truth])["mask_loss"]
sized = sized_targets(images, [truth], output.batch, 2, "cpu")
learned = polar_targets(output.locations, sized, network.config)
mine = ray_loss(output.head.rays[learned.image, learned.location], learned.rays)
assert abs(swapped - usual) < 1e-4, (
    f"with your polar_iou the network's mask_loss is {swapped:.4f} instead of {usual:.4f}: do all "
    "checks above still pass?"
)
assert mine is not None and abs(mine - usual) < 1e-4, (
    f"your ray_loss is {mine:.4f}, the network's mask_loss {usual:.4f}: do all checks above still "
    "pass?"
)
print("✓ 1 of 1 point: the mask loss of a whole PolarMask")

# %% [markdown] id="task-exact"
# ## Task 2: exact rays to a polygon
#
# *4 points · difficulty 4/5 · importance 3/5 · 30 minutes*
#
# The lesson measures rays to *pixels*, degree by degree. COCO's outlines are polygons, and to a
# polygon a ray can be measured exactly: intersect it with every edge, and take the **farthest**
# crossing. A ray that meets no edge has length 0.
#
# **Transfer.** No cell of the lesson intersects lines. A ray from the centre o in the direction u
# consists of the points o + t · u with t ≥ 0; an edge from a to b, of the points a + s · (b − a)
# with s from 0 to 1. Where both are equal, t is the distance, since u has length 1.
#
# Edges that are parallel to the ray may be left out: their ends also belong to their neighbours. So
# that no ray slips through between two edges, accept s from −0.00001 to 1.00001.
#
# Example by hand: the square with corners (0, 0), (4, 0), (4, 4), (0, 4), seen from (2, 2), with
# n = 8: straight 2, diagonally $\sqrt{8} = 2.83$. Seen from (2, 5), below it, with n = 4: down 0,
# right 0, up 5 (the near side is 1 away, the far side 5), left 0.
#
# <details><summary>First hint</summary>
# Two equations, for x and y, and two unknowns, t and s. The cross product of two vectors,
# <code>cross(p, q) = p_x q_y − p_y q_x</code>, is 0 if both have the same direction. Take it of
# both sides, once with the edge e = b − a, once with u.
# </details>
# <details><summary>Second hint</summary>
# <code>t = cross(a − o, e) / cross(u, e)</code> and <code>s = cross(a − o, u) / cross(u, e)</code>.
# All edges at once: <code>corners.roll(-1, 0) - corners</code>.
# </details>

# %% id="exact" nbgrader="solution"
def polygon_rays(corners, centre, n):
    """corners: float [K, 2], (x, y) in order around the polygon, at least three; centre: [2];
    n: the number of rays.

    Returns [n], the distance to the farthest crossing of each ray, 0 where there is none.
    """
    ### BEGIN SOLUTION
    angle = torch.arange(n) * (2 * math.pi / n)
    direction = torch.stack([angle.sin(), angle.cos()], dim=1)[:, None]  # [n, 1, 2]
    edge, start = corners.roll(-1, 0) - corners, corners - centre  # [K, 2] each

    def cross(p, q):
        return p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]

    steep = cross(direction, edge)  # [n, K]
    safe = torch.where(steep.abs() < 1e-6, 1.0, steep)
    t, s = cross(start, edge) / safe, cross(start, direction) / safe  # [n, K]
    meets = (steep.abs() >= 1e-6) & (t >= 0) & (s >= -1e-5) & (s <= 1 + 1e-5)
    return torch.where(meets, t, 0.0).amax(dim=1)
    ### END SOLUTION

# %% id="exact-checks" nbgrader="checks" points=4
def close(got, wanted, tolerance=1e-3):
    wanted = torch.tensor(wanted)
    return got.shape == wanted.shape and torch.allclose(got, wanted, atol=tolerance)


def listed(got):
    return [round(v, 2) for v in got.tolist()]


square = torch.tensor([[0.0, 0], [4, 0], [4, 4], [0, 4]])
got = polygon_rays(square, torch.tensor([2.0, 2]), 8)
assert got is not None, "polygon_rays returned None: is the `return` missing?"
assert got.shape == (8,), f"eight rays have eight lengths, [8]; yours is {list(got.shape)}"
assert got.dtype == torch.float32, f"distances are float32, yours are {got.dtype}"
assert not got.isnan().any(), (
    "some lengths are nan: parallel edges divide by 0, and 0 · inf is nan; choose the crossings "
    "that count with torch.where instead of multiplying by 0"
)
assert bool(got.any()), (
    "all lengths are 0: edges that a ray does not meet count as 0, so take the largest crossing; "
    "and is t the distance along the ray, and s the place on the edge?"
)
assert bool((got > 0).all()), (
    f"from the middle every ray meets an edge, yours are {listed(got)}: is the centre subtracted "
    "from the corners, is the last corner joined to the first, and does each edge go from a corner "
    "to the *next* one?"
)
assert close(got, [2.0, 2.828] * 4), (
    f"from the middle of the square: 2 and 2.83 in turn, yours {listed(got)}. Ray k has the angle "
    "2π · k / n, and an edge is seen from the centre (corner minus centre)"
)
wide = torch.tensor([[0.0, 0], [8, 0], [8, 4], [0, 4]])
got = polygon_rays(wide, torch.tensor([1.0, 3]), 4)
assert close(got, [1.0, 7, 3, 1]), (
    "8 wide and 4 high, seen from (1, 3): down 1, right 7, up 3, left 1; yours "
    f"{listed(got)}. Ray 0 points down (y grows downwards), ray 1 to the right: (sin θ, cos θ)"
)
got = polygon_rays(square, torch.tensor([2.0, 5]), 4)
assert not close(got, [0.0, 0, 1, 0]), "the farthest crossing counts, not the nearest"
assert close(got, [0.0, 0, 5, 0]), (
    f"from below the square: 0, 0, 5, 0, yours {listed(got)}. A ray has no points behind its start "
    "(t < 0), and an edge ends at its corners (s from 0 to 1)"
)
triangle = torch.tensor([[0.0, 0], [4, 0], [2, 3]])
got = polygon_rays(triangle, torch.tensor([2.0, 6]), 4)
assert close(got, [0.0, 0, 6, 0]), (
    "from below a triangle with a corner at the bottom: 0, 0, 6, 0, yours "
    f"{listed(got)}. All three edges lie behind the ray down (t < 0), so it meets none"
)
tip = torch.tensor([[0.003, 10], [1000, 5], [1000, 20]])
got = polygon_rays(tip, torch.zeros(2), 4)
assert close(got, [10.0, 0, 0, 0]), (
    "the ray down passes a corner at a distance of 0.003, where s is −0.000003 on one of the two "
    "edges and 1.000003 on the other: accept s from −0.00001 to 1.00001, so that it does not slip "
    f"through. Expected 10, 0, 0, 0, yours {listed(got)}"
)
bay = torch.tensor([[0.0, 0], [9, 0], [9, 3], [4, 3], [4, 6], [9, 6], [9, 9], [0, 9]])
got = polygon_rays(bay, torch.tensor([2.0, 4.5]), 36)
assert abs(float(got[9]) - 2) < 1e-3, (
    f"to the right the bay begins after 2; yours is {float(got[9]):.2f}"
)
wanted = 7 / math.sin(math.radians(60))
assert abs(float(got[6]) - wanted) < 1e-2, (
    "at 60° the ray leaves the shape, crosses the bay, enters the lower arm and leaves it at x = 9 "
    f"after {wanted:.2f}; yours is {float(got[6]):.2f}"
)
turned = polygon_rays(bay.flip(0), torch.tensor([2.0, 4.5]), 36)
assert close(turned, got.tolist()), "the same polygon listed the other way round has the same rays"
moved = polygon_rays(bay + 50, torch.tensor([52.0, 54.5]), 36)
assert close(moved, got.tolist(), 1e-2), "moved together with its centre a polygon keeps its rays"
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    count, n = 3 + 2 * seed, (5, 12, 36)[seed % 3]
    corners, centre = torch.rand(count, 2) * 40 + 0.3, torch.rand(2) * 30 + 3
    got, ox, oy = polygon_rays(corners, centre, n), *centre.tolist()
    points = corners.tolist()
    for k in range(n):
        ux, uy = math.sin(2 * math.pi * k / n), math.cos(2 * math.pi * k / n)
        best, unsure = 0.0, False
        for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
            ex, ey = bx - ax, by - ay
            steep = ux * ey - uy * ex
            if abs(steep) < 1e-9:
                continue
            t = ((ax - ox) * ey - (ay - oy) * ex) / steep
            s = ((ax - ox) * uy - (ay - oy) * ux) / steep
            unsure = unsure or min(abs(s), abs(s - 1), abs(t)) < 1e-3 or abs(steep) < 1e-2
            best = max(best, t) if t >= 0 and 0 <= s <= 1 else best
        assert unsure or abs(float(got[k]) - best) < 2e-2, (
            f"seed {seed}, ray {k} of {n}: expected {best:.3f}, yours {float(got[k]):.3f}"
        )
    rolled = polygon_rays(corners.roll(2, 0), centre, n)
    assert torch.allclose(rolled, got, atol=1e-2), (
        f"seed {seed}: the same polygon, listed from another corner on, has other rays"
    )
    double = polygon_rays(2 * corners, 2 * centre, n)
    assert torch.allclose(double, 2 * got, atol=2e-2), (
        f"seed {seed}: a polygon twice as large must have rays twice as long"
    )
### END HIDDEN TESTS
print("✓ 4 of 4 points: the square, directions, the farthest crossing, rays that meet nothing")

# %% [markdown] id="task-masks"
# ## Task 3: masks from rays, pixel by pixel
#
# *4 points · difficulty 3/5 · importance 4/5 · 25 minutes*
#
# The lesson fills the polygon through the ends of the rays with `ops.rasterize`. In polar
# coordinates there is a way without any polygon: test for each pixel whether it is nearer to the
# centre than the outline *in its direction*.
#
# **Transfer.** No cell of the lesson does this. Let $\Delta = 2\pi/n$ be the angle between two
# rays. A pixel at the angle θ lies between ray $k = \lfloor \theta / \Delta \rfloor$ and the next
# one (after the last comes the first), and $\varphi = \theta - k \Delta$ beyond ray k. With
# $a = d_k$ and $b = d_{k+1}$, the straight line between the two ends is, in this direction, at the
# distance
#
# $$r = \frac{a\,b \sin \Delta}{a \sin \varphi + b \sin(\Delta - \varphi)}$$
#
# from the centre. A pixel belongs to the mask if the distance of its middle from the centre is at
# most $r + 0.0001$. Nothing is added to the rays here, not even half a pixel.
#
# Example by hand: four rays of length 2 from (3, 3) in an image of 7 × 7 give a square on its
# corner, $|x - 3| + |y - 3| \le 2$: 13 pixels.
#
# <details><summary>First hint</summary>
# First two maps [N, H, W] with the offsets of all pixels from each centre; then their angle, with 0
# downwards, and their distance.
# </details>
# <details><summary>Second hint</summary>
# <code>torch.atan2(dx, dy) % (2 * math.pi)</code> is the angle. Rounding may make k equal to n:
# take <code>k % n</code>. To pick a ray for each pixel:
# <code>distances.gather(1, k.flatten(1)).reshape(k.shape)</code>.
# </details>

# %% id="masks" nbgrader="solution"
def masks_from_rays(centres, distances, size):
    """centres: float [N, 2], (x, y); distances: float [N, n] above 0, n at least 3; size: (H, W).

    Returns bool [N, H, W]. N may be 0.
    """
    ### BEGIN SOLUTION
    n = distances.shape[1]
    dx = torch.arange(size[1]) - centres[:, 0, None, None]  # [N, 1, W]
    dy = torch.arange(size[0])[:, None] - centres[:, 1, None, None]  # [N, H, 1]
    angle = torch.atan2(dx, dy) % (2 * math.pi)  # [N, H, W]
    step = 2 * math.pi / n
    k = (angle / step).long()
    beyond = angle - k * step
    a = distances.gather(1, (k % n).flatten(1)).reshape(k.shape)
    b = distances.gather(1, ((k + 1) % n).flatten(1)).reshape(k.shape)
    line = a * b * math.sin(step) / (a * beyond.sin() + b * (step - beyond).sin())
    return torch.hypot(dx, dy) <= line + 1e-4
    ### END SOLUTION

# %% id="masks-checks" nbgrader="checks" points=3
def drawn(mask):
    return ["".join("#" if inside else "." for inside in row) for row in mask.tolist()]


got = masks_from_rays(torch.tensor([[3.0, 3]]), torch.full((1, 4), 2.0), (7, 7))
assert got is not None, "masks_from_rays returned None: is the `return` missing?"
assert got.shape == (1, 7, 7), f"one mask of 7 × 7 is [1, 7, 7], yours is {list(got.shape)}"
assert got.dtype == torch.bool, f"masks are bool, yours are {got.dtype}"
diamond = [".......", "...#...", "..###..", ".#####.", "..###..", "...#...", "......."]
assert int(got.sum()) != 49 and int(got.sum()) > 1, (
    f"the example has 13 pixels, yours has {int(got.sum())}: compare each pixel's own distance "
    "from the centre with r in its own direction"
)
assert drawn(got[0]) == diamond or drawn(got[0, :, 3:]) != [row[3:] for row in diamond], (
    "the example is a square on its corner; only the left half of yours is wrong:\n"
    + "\n".join(drawn(got[0]))
    + "\natan2 is negative there: take the angle modulo 2π, and k + 1 modulo n"
)
assert drawn(got[0]) == diamond, (
    "the example is a square on its corner, 13 pixels, with those on its edge; yours is\n"
    + "\n".join(drawn(got[0]))
    + "\nPixels have their middles at whole numbers, k is rounded down, and a pixel belongs to the "
    "mask up to a straight-line distance of r + 0.0001."
)
(triangle,) = masks_from_rays(torch.tensor([[10.0, 10]]), torch.full((1, 3), 9.0), (21, 21))
assert not bool(triangle[4, 10]) and bool(triangle[6, 10]), (
    "three rays of length 9 give a triangle whose upper side lies 4.5 above the centre, since the "
    f"ends are joined by straight lines; yours is\n{chr(10).join(drawn(triangle))}"
)
flat = masks_from_rays(torch.tensor([[2.0, 1]]), torch.tensor([[1.0, 3, 1, 2]]), (3, 7))
wanted = ["..#....", "######.", "..#...."]
assert drawn(flat[0]) == wanted, (
    "rays down 1, right 3, up 1, left 2 from (2, 1), in an image of 3 rows and 7 columns:\n"
    + "\n".join(wanted)
    + "\nyours is\n"
    + "\n".join(drawn(flat[0]))
    + "\nRay 0 points down and ray 1 to the right; the centre is (x, y), the size (H, W); after "
    "the last ray comes the first; nothing is added to the rays."
)
y, x = torch.meshgrid(torch.arange(21.0), torch.arange(21.0), indexing="ij")
far = torch.hypot(x - 10, y - 10)
(disc,) = masks_from_rays(torch.tensor([[10.0, 10]]), torch.full((1, 72), 8.0), (21, 21))
assert bool(disc[far < 7.9].all()) and not bool(disc[far > 8.1].any()), (
    f"72 rays of length 8 give a disc of about {int((far < 8).sum())} pixels, yours has "
    f"{int(disc.sum())}"
)
spike = torch.full((1, 12), 3.0)
spike[0, 11] = 9.0
(got,) = masks_from_rays(torch.tensor([[10.0, 10]]), spike, (21, 21))
assert bool(got[17, 6]) and not bool(got[17, 14]), (
    "ray 11 of 12 is long: it points down and a little to the left, at 330°, and its neighbours "
    f"are ray 10 and ray 0; yours is\n{chr(10).join(drawn(got))}"
)
two = masks_from_rays(torch.tensor([[3.0, 3], [9, 5]]), torch.full((2, 8), 2.0), (10, 12))
assert bool(two[0, 3, 3]) and bool(two[1, 5, 9]) and not bool(two[0, 5, 9]), (
    "two shapes give two masks, each around its own centre"
)
empty = masks_from_rays(torch.zeros(0, 2), torch.zeros(0, 36), (5, 6))
assert empty.shape == (0, 5, 6), f"no shape: [0, 5, 6], yours is {list(empty.shape)}"
### BEGIN HIDDEN TESTS
for seed in range(6):
    torch.manual_seed(seed)
    n, size = (3, 7, 12, 36)[seed % 4], (18 + seed, 25 - seed)
    centres = torch.rand(3, 2) * 14 + 2
    rays = torch.rand(3, n) * 8 + 1
    got = masks_from_rays(centres, rays, size)
    for mask, (cx, cy), d in zip(got, centres.tolist(), rays.tolist(), strict=True):
        for row in range(size[0]):
            for column in range(size[1]):
                dx, dy = column - cx, row - cy
                theta, step = math.atan2(dx, dy) % (2 * math.pi), 2 * math.pi / n
                k = min(int(theta / step), n - 1)
                phi, a, b = theta - k * step, d[k], d[(k + 1) % n]
                line = a * b * math.sin(step) / (a * math.sin(phi) + b * math.sin(step - phi))
                gap = line - math.hypot(dx, dy)
                assert abs(gap) < 1e-2 or bool(mask[row, column]) == (gap > 0), (
                    f"seed {seed}, {n} rays: the pixel in row {row} and column {column} is "
                    f"{gap:.2f} px inside the line, yours is {bool(mask[row, column])}"
                )
    alone = masks_from_rays(centres[1:2], rays[1:2], size)
    assert int((alone != got[1:2]).sum()) <= 1, f"seed {seed}: alone a shape gets another mask"
    longer = masks_from_rays(centres, 1.1 * rays, size)
    assert not bool((got & ~longer).any()), (
        f"seed {seed}: rays that are a tenth longer must keep every pixel in the mask"
    )
### END HIDDEN TESTS
print("✓ 3 of 3 points: the example, directions, straight lines, the last ray, several, none")

# %% [markdown] id="real-masks-text"
# Now against the library, which fills polygons. Its rays are half a pixel longer, so yours get that
# half here. (One of the four points.)

# %% id="real-masks-checks" nbgrader="checks" points=1
from seglib.models.polarmask.rays import polar_masks
from seglib.ops import mask_iou

torch.manual_seed(0)
centres = torch.rand(6, 2) * 40 + 40
waves = torch.arange(36) * (2 * math.pi / 36)
waves = waves * torch.arange(1, 7)[:, None] + torch.rand(6, 1)  # [6, 36]
rays = 20 + 6 * torch.sin(waves) + torch.rand(6, 36)
theirs = polar_masks(centres, rays, (120, 130))
mine = masks_from_rays(centres, rays + 0.5, (120, 130))
assert mine is not None, "masks_from_rays returned None: is the `return` missing?"
assert mine.shape == theirs.shape, f"expected {list(theirs.shape)}, yours is {list(mine.shape)}"
overlaps = mask_iou(mine, theirs).diagonal()
assert bool((overlaps > 0.96).all()), (
    f"IoU of your masks and the library's: {[round(v, 2) for v in overlaps.tolist()]}; all should "
    "be above 0.96. Do all checks above still pass?"
)
print("✓ 1 of 1 point: the same masks as from filled polygons")
