"""Grouping: proposals without learning, by merging regions from pixels up to the whole image.

Selective search (Uijlings, van de Sande, Gevers and Smeulders 2013, "Selective Search for Object
Recognition"), the source of R-CNN's proposals; here with one colour space and few strategies.

    image -> segment_graph -> R small regions -> merge the two most similar ones, R - 1 times
          -> 2R - 1 regions of all sizes, each of which may be an object -> their boxes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seglib.models.rcnn.graph_segmentation import segment_graph
from seglib.models.rcnn.region_similarity import ALL_MEASURES, Measures, Regions, neighbouring


class RegionProposals(NamedTuple):
    """The proposals of one image, best first.

    Attributes:
        boxes: float32 [N, 4] corners in pixels, half-open, inside the image.
        masks: bool [N, H, W], the regions themselves.
    """

    boxes: Tensor
    masks: Tensor


def propose_regions(
    image: Tensor,
    scales: Sequence[float] = (50.0, 100.0),
    strategies: Sequence[Measures] = (ALL_MEASURES, ("texture", "size", "fill")),
    min_size: int = 20,
    max_proposals: int = 300,
    seed: int = 0,
) -> RegionProposals:
    """Propose the regions of several groupings, since objects differ in size, colour and texture.

    Every initial segmentation is merged with every strategy. The regions of all hierarchies are
    ranked together, and the best of several equal boxes is kept. A region's rank is its position
    counted from the top of its hierarchy, times a random number, so that large regions tend to come
    first but small ones are mixed in (section 4.3 of the paper).

    Args:
        image: float [3, H, W] in 0…1.
        scales: argument of `segment_graph`, one per initial segmentation.
        strategies: measures of similarity, see `merge_regions`.
        min_size: smallest size of the initial regions in pixels.
        max_proposals: the largest number to return.
        seed: seed of the random numbers in the ranking.

    Returns:
        at most `max_proposals` boxes with their masks, on the image's device.

    Raises:
        SeglibError: the image is not float [3, H, W].
    """
    rng = torch.Generator().manual_seed(seed)
    boxes, ranks, sources = [], [], []
    for scale in scales:
        segments = segment_graph(image, scale, min_size=min_size).cpu()  # [H, W]
        for strategy in strategies:
            merged = merge_regions(image, segments, strategy)
            count = len(merged.boxes)
            boxes.append(merged.boxes)
            # A hierarchy is in the order of merging: the whole image comes last, at position 1.
            ranks.append(torch.arange(count, 0, -1) * torch.rand(count, generator=rng))
            sources.append((segments, merged))
    all_boxes, order = torch.cat(boxes), torch.cat(ranks).argsort()
    chosen = order[_first_of_equals(all_boxes[order])[:max_proposals]]  # [N]
    starts = torch.tensor([0, *(len(b) for b in boxes)]).cumsum(0)
    masks = torch.empty(len(chosen), *image.shape[-2:], dtype=torch.bool)  # [N, H, W]
    for start, end, (segments, merged) in zip(starts[:-1], starts[1:], sources, strict=True):
        in_source = (chosen >= start) & (chosen < end)
        masks[in_source] = merged.members[chosen[in_source] - start][:, segments]
    return RegionProposals(all_boxes[chosen].to(image.device), masks.to(image.device))


def propose_boxes(image: Tensor) -> Tensor:
    """The boxes [N, 4] of `propose_regions` with its defaults, at most 300."""
    return propose_regions(image).boxes


class Hierarchy(NamedTuple):
    """The result of merging R regions: those R, then R - 1 merged ones in the order of merging.

    Attributes:
        boxes: float32 [2R-1, 4] corners in pixels, half-open.
        parents: int64 [R-1, 2], the two regions that region R + i was merged from.
        members: bool [2R-1, R], the initial regions that each region consists of;
            `members[:, segments]` are the masks.
        similarity: float32 [R-1], between the two parents.
    """

    boxes: Tensor
    parents: Tensor
    members: Tensor
    similarity: Tensor


def merge_regions(image: Tensor, segments: Tensor, measures: Measures = ALL_MEASURES) -> Hierarchy:
    """Merge the two most similar neighbours until one region is left (algorithm 1 of the paper).

    Args:
        image: float [3, H, W] in 0…1.
        segments: int64 [H, W], region numbers 0…R-1, all of them present.
        measures: names of `SIMILARITY`; the values of these measures are added.

    Returns:
        the hierarchy, on the CPU, where the loop runs.
    """
    image, segments = image.cpu(), segments.cpu()
    regions = Regions.describe(image, segments)
    count, total = regions.count, len(regions.size)  # R, and 2R-1 after all merges
    neighbours = [set(row.nonzero().flatten().tolist()) for row in neighbouring(segments)]
    pairs: dict[tuple[int, int], float] = {}  # similarity by (region, later region)
    for one in range(count):
        pairs |= regions.compare(one, [other for other in neighbours[one] if other < one], measures)
    members = torch.eye(total, dtype=torch.bool)[:, :count]
    parents, similarity = [], []
    for new in range(count, total):
        a, b = best = max(pairs, key=pairs.__getitem__)
        parents.append(best)
        similarity.append(pairs[best])
        members[new] = members[a] | members[b]
        regions.merge(a, b, new)
        # The new region replaces its parents as a neighbour of their neighbours.
        neighbours.append((neighbours[a] | neighbours[b]) - {a, b})
        for parent in best:
            for other in neighbours[parent]:
                pairs.pop((min(parent, other), max(parent, other)), None)
                neighbours[other].discard(parent)
        for other in neighbours[new]:
            neighbours[other].add(new)
        pairs |= regions.compare(new, list(neighbours[new]), measures)
    return Hierarchy(
        torch.from_numpy(regions.boxes),
        torch.tensor(parents, dtype=torch.int64).view(-1, 2),
        members,
        torch.tensor(similarity),
    )


def _first_of_equals(boxes: Tensor) -> Tensor:
    """The first of each set of equal boxes [N, 4]: int64 [K] indices, in rising order."""
    _, group = boxes.unique(dim=0, return_inverse=True)  # [N]
    rows = torch.arange(len(boxes))
    none = torch.full((int(group.max()) + 1,), len(boxes))
    return none.scatter_reduce(0, group, rows, "amin").sort().values
