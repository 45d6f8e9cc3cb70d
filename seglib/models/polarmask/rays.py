"""Shapes in polar coordinates: from a contour to distances along rays, and back to a mask.

Ray k of n leaves the centre at the angle 360° k / n. Angle 0 points down and 90° to the right, as
in the authors' code: x = x₀ + d sin θ, y = y₀ + d cos θ.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.polygons import rasterize_objects

RayRule = Literal["interpolated", "published"]
FillRule = Literal["outer_edge", "published"]
MISSING = 1e-6  # the length of a ray along which there is no contour
NEARBY = (0, 1, -1, 2, -2, 3, -3)  # degrees from a ray where a contour point is looked for
OPENING = 45  # degrees: a wider gap between points is an opening, unless they are neighbours
ADJACENT = 1.5  # pixels: neighbours on an outline are 1 or √2 apart
HALF_CIRCLE = 180  # degrees: seen from inside, no gap is wider
HALF_PIXEL = 0.5  # from the centre of an outline's pixel to its outer edge


def ray_angles(rays: int, like: Tensor) -> Tensor:
    """[n] angles of the rays in radians."""
    return torch.arange(rays, device=like.device, dtype=like.dtype) * (2 * math.pi / rays)


def ray_distances(
    points: Tensor, count: Tensor, centers: Tensor, rays: int, rule: RayRule = "interpolated"
) -> Tensor:
    """The distance to the contour along every ray, at its farthest crossing.

    Args:
        points: [P, K, 2] contour points (x, y) for each centre.
        count: int64 [P], how many of the K are points; the rest is padding.
        centers: [P, 2], the starting points of the rays.
        rays: n, which divides 360.
        rule: if no point lies within the ray's degree, "interpolated" interpolates between the
            points on either side, unless they leave an opening; "published" uses a point up to 3°
            away. Otherwise the length is 1e-6.

    Returns:
        [P, n] in pixels, at least 1e-6.

    Raises:
        SeglibError: the number of rays does not divide 360.
    """
    if rays < 3 or 360 % rays:
        raise SeglibError(f"rays must divide 360 and be at least 3, not {rays}")
    farthest = farthest_by_degree(points, count, centers)  # [P, 360], -1 where there is no point
    degrees = torch.arange(rays, device=points.device) * (360 // rays)  # [n]
    lengths = _nearby if rule == "published" else _interpolated
    return lengths(farthest, degrees).clamp(min=MISSING)


def farthest_by_degree(points: Tensor, count: Tensor, centers: Tensor) -> Tensor:
    """[P, 360] distance of the farthest contour point within each degree; -1 if there is none."""
    offset = points - centers[:, None]  # [P, K, 2]
    degree = torch.rad2deg(torch.atan2(offset[..., 0], offset[..., 1])) % 360  # [P, K]
    index = degree.long().clamp(max=359)  # values just below 360 may have been rounded up to it
    is_point = torch.arange(points.shape[1], device=points.device) < count[:, None]  # [P, K]
    distance = torch.where(is_point, offset.norm(dim=2), -1.0)  # [P, K]
    farthest = distance.new_full((len(points), 360), -1.0)
    return farthest.scatter_reduce(1, index, distance, "amax")


def _nearby(farthest: Tensor, degrees: Tensor) -> Tensor:
    """The authors' rule: [P, n] distances; the search does not pass from 0° to 359°."""
    found = farthest.new_full((len(farthest), len(degrees)), -1.0)  # [P, n]
    for step in reversed(NEARBY):
        degree = degrees + step
        distances = farthest[:, degree.clamp(0, 359)]  # [P, n]
        present = (distances >= 0) & (degree >= 0) & (degree < 360)
        found = torch.where(present, distances, found)
    return found


def _interpolated(farthest: Tensor, degrees: Tensor) -> Tensor:
    """Interpolate linearly between the nearest degrees that have a point: [P, n] distances.

    Not across an opening, through which a ray leaves a bay: an arc there would give locations
    outside the object long rays of equal lengths, and so the highest centerness.
    """
    index = torch.arange(360, device=farthest.device, dtype=torch.int32)
    present = farthest >= 0  # [P, 360]
    before = torch.where(present, index, -1).cummax(1).values
    after = torch.where(present, index, 360).flip(1).cummin(1).values.flip(1)
    # The circle is closed: before the first point comes the last one.
    before = torch.where(before < 0, before[:, -1:] - 360, before)[:, degrees]  # [P, n]
    after = torch.where(after > 359, after[:, :1] + 360, after)[:, degrees]  # [P, n]
    low, high = (farthest.gather(1, side.long() % 360) for side in (before, after))  # [P, n] each
    gap = after - before
    share = (degrees - before) / gap.clamp(min=1)
    cosine = torch.deg2rad(gap.to(low)).cos()
    adjacent = low.square() + high.square() - 2 * low * high * cosine <= ADJACENT**2
    closed = (gap <= OPENING) | (adjacent & (gap <= HALF_CIRCLE))
    return torch.where(closed, low + (high - low) * share, -1.0)


def contour_points(centers: Tensor, distances: Tensor) -> Tensor:
    """End points (x, y) [..., n, 2] of rays with centres [..., 2] and distances [..., n]."""
    angle = ray_angles(distances.shape[-1], distances)  # [n]
    direction = torch.stack([angle.sin(), angle.cos()], dim=-1)  # [n, 2]
    return centers[..., None, :] + distances[..., None] * direction


def polar_masks(
    centers: Tensor,
    distances: Tensor,
    size: tuple[int, int],
    scale: tuple[float, float] = (1, 1),
    rule: FillRule = "outer_edge",
) -> Tensor:
    """Fill contours.

    A contour runs through the centres of the border pixels, which belong to the shape.

    Args:
        centers: float [N, 2], the starting points of the rays; the first pixel's centre is at 0.
        distances: float [N, n] along the rays, in pixels.
        size: (H, W) of the masks.
        scale: pixels of the masks per unit of the coordinates, vertically and horizontally; not 1
            if the shapes were found in a resized image.
        rule: "outer_edge" makes the rays half a pixel longer, so that they reach the outer edge
            of the contour's pixels; "published" rounds the contour down to whole pixels, fills it
            and also sets the pixels on it, as OpenCV does in the authors' code.

    Returns:
        bool [N, H, W].
    """
    published = rule == "published"
    ends = contour_points(centers, distances if published else distances + HALF_PIXEL)  # [N, n, 2]
    factor = ends.new_tensor([scale[1], scale[0]])  # of x and y
    outlines = ends * factor if published else (ends + HALF_PIXEL) * factor  # [N, n, 2]
    if published:
        outlines = outlines.trunc() + HALF_PIXEL  # from pixel centres to pixels' edges
    polygons = [[outline] for outline in outlines.detach().cpu().numpy()]
    masks = rasterize_objects(polygons, size).to(centers.device)  # [N, H, W]
    if published:
        for mask, outline in zip(masks, outlines, strict=True):
            _draw_outline(mask, outline)
    return masks


def _draw_outline(mask: Tensor, corners: Tensor) -> None:
    """Set the pixels of a bool mask [H, W] along the closed line through corners [n, 2]."""
    edges = corners.roll(-1, 0) - corners  # [n, 2]
    steps = max(1, math.ceil(float(edges.abs().max())) * 2)  # two per pixel of the longest edge
    share = torch.arange(steps, device=corners.device) / steps  # [S]
    points = (corners[:, None] + share[:, None] * edges[:, None]).floor().long()  # [n, S, 2]
    x, y = points.flatten(0, 1).unbind(1)  # [n·S] each
    seen = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
    mask[y[seen], x[seen]] = True
