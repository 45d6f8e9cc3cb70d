"""Assign objects to locations (Xie et al. 2020, section 3.2; FCOS, section 3.1).

Coordinates are those of pixel centres: the centre of the first pixel is at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seglib.models.polarmask.config import PolarMaskConfig
from seglib.models.polarmask.contours import Contour, contours_of
from seglib.models.polarmask.rays import HALF_PIXEL, RayRule, ray_distances
from seglib.models.targets import SizedTarget


@dataclass(eq=False)
class Locations:
    """The cells of all levels, as points in the image.

    Attributes:
        points: float [L, 2], x and y in pixels.
        strides: float [L], the stride of each location's level.
        ranges: float [L, 2], the range of each location's level for the largest distance to a
            side of the box.
    """

    points: Tensor
    strides: Tensor
    ranges: Tensor


@dataclass(eq=False)
class PolarTargets:
    """The targets of the locations of a batch; P of them are positive.

    Attributes:
        labels: int64 [B, L], 1…C; 0 where there is no object.
        image: int64 [P], the image of each positive location.
        location: int64 [P], its index 0…L−1.
        sides: float [P, 4], its distances to the sides of its object's box.
        rays: float [P, n], its distances to its object's contour.
    """

    labels: Tensor
    image: Tensor
    location: Tensor
    sides: Tensor
    rays: Tensor

    def to(self, device: torch.device) -> PolarTargets:
        """Move all tensors to a device."""
        return PolarTargets(*(getattr(self, one.name).to(device) for one in fields(self)))


def make_locations(
    sizes: Sequence[tuple[int, int]], strides: Sequence[int], ranges: Sequence[float]
) -> Locations:
    """The centres of all cells of maps of the given sizes (H, W), level after level."""
    points, point_strides, point_ranges = [], [], []
    lows = (-1.0, *ranges[:-1])
    for (height, width), stride, low, high in zip(sizes, strides, lows, ranges, strict=True):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        points.append(torch.stack([x, y], dim=-1).flatten(0, 1) * stride + stride // 2)  # [H·W, 2]
        point_strides.append(torch.full((height * width,), float(stride)))
        point_ranges.append(torch.tensor([[low, high]]).expand(height * width, 2))
    return Locations(torch.cat(points).float(), torch.cat(point_strides), torch.cat(point_ranges))


def assign_locations(
    locations: Locations, corners: Tensor, centers: Tensor, areas: Tensor, radius: float
) -> Tensor:
    """Assign each location to at most one object.

    The locations of an object lie strictly inside its box, within `radius` strides of its centre of
    mass along both axes, and on a level whose range contains the distance to the box's farthest
    side. If several objects claim a location, the smallest one gets it.

    Args:
        locations: L locations.
        corners: float [G, 4], corners of the boxes.
        centers: float [G, 2], centres of mass.
        areas: float [G] of the boxes.
        radius: half the side of the square around the centre of mass, in strides.

    Returns:
        int64 [L], the index of each location's object, or -1.
    """
    if len(corners) == 0:
        return torch.full((len(locations.points),), -1, dtype=torch.int64)
    points, reach = locations.points[:, None], (locations.strides * radius)[:, None, None]
    low = torch.maximum(centers - reach, corners[:, :2])  # [L, G, 2]
    high = torch.minimum(centers + reach, corners[:, 2:])  # [L, G, 2]
    central = ((points > low) & (points < high)).all(2)  # [L, G]
    farthest = sides_of(points, corners).amax(2)  # [L, G]
    in_range = (farthest >= locations.ranges[:, :1]) & (farthest <= locations.ranges[:, 1:])
    cost = torch.where(central & in_range, areas, torch.inf)  # [L, G]
    smallest, index = cost.min(1)  # [L] each
    return torch.where(smallest.isinf(), -1, index)


def sides_of(points: Tensor, corners: Tensor) -> Tensor:
    """Distances [..., 4] from points [..., 2] to the left, upper, right, lower side of boxes."""
    return torch.cat([points - corners[..., :2], corners[..., 2:] - points], dim=-1)


def index_corners(boxes: Tensor, published: bool) -> Tensor:
    """Convert half-open boxes [G, 4] to coordinates in which the first pixel's centre is at 0.

    The authors take x for the left side and x + w - 1, the last whole pixel, for the right one.
    """
    shift = boxes.new_tensor([0, 0, 1, 1]) if published else HALF_PIXEL
    return boxes - shift


def polar_targets(
    locations: Locations, objects: Sequence[SizedTarget], config: PolarMaskConfig
) -> PolarTargets:
    """The targets of a batch, computed on the CPU, where the objects are.

    Args:
        locations: the L locations, the same for all images.
        objects: the objects of each image; those without pixels are not learned.
        config: the model's.
    """
    labels, images, at, sides = [], [], [], []
    contours: list[Contour] = []
    for image, target in enumerate(objects):
        drawn, outlines = contours_of(target.masks)
        corners = index_corners(target.boxes[drawn].float(), config.published)  # [G, 4]
        extra = 1.0 if config.published else 0.0
        areas = (corners[:, 2:] - corners[:, :2] + extra).prod(1)  # [G]
        centers = mass_centers(outlines, config.published)  # [G, 2]
        owner = assign_locations(locations, corners, centers, areas, config.radius)  # [L]
        labels.append(torch.cat([target.labels[drawn], target.labels.new_zeros(1)])[owner])
        positive = (owner >= 0).nonzero().squeeze(1)  # [p]
        images.append(torch.full_like(positive, image))
        at.append(positive)
        owners = owner[positive]  # [p]
        sides.append(sides_of(locations.points[positive], corners[owners]))  # [p, 4]
        contours += [outlines[index] for index in owners.tolist()]
    location = torch.cat(at)  # [P]
    rays = rays_from(contours, locations.points[location], config.rays, ray_rule(config))
    return PolarTargets(torch.stack(labels), torch.cat(images), location, torch.cat(sides), rays)


def rays_from(contours: Sequence[Contour], starts: Tensor, rays: int, rule: RayRule) -> Tensor:
    """[P, n] distances from each of the starts [P, 2] to its own contour."""
    if not contours:
        return starts.new_zeros(0, rays)
    points = pad_sequence([contour.points for contour in contours], batch_first=True)  # [P, K, 2]
    count = torch.tensor([len(contour.points) for contour in contours])
    return ray_distances(points.to(starts), count, starts, rays, rule)


def mass_centers(contours: Sequence[Contour], published: bool) -> Tensor:
    """[G, 2] centres of mass; the authors' are rounded down to whole pixels."""
    if not contours:
        return torch.zeros(0, 2)
    centers = torch.stack([contour.center for contour in contours])
    return centers.trunc() if published else centers


def ray_rule(config: PolarMaskConfig) -> RayRule:
    """The rule for rays that meet no pixel of the contour."""
    return "published" if config.published else "interpolated"
