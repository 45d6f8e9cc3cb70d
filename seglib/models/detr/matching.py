"""Which query answers for which object: the pairing of least cost (section 3.1).

A cost compares every query with every object. It has no gradient, and may be any number: the
probability itself, rather than its logarithm, so that it is as large as the cost of boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seglib.ops.boxes import cxcywh_to_xyxy
from seglib.ops.generalized_iou import generalized_box_iou
from seglib.ops.hungarian import hungarian


@dataclass(eq=False)
class Matching:
    """The query of each object, for every decoder layer.

    Attributes:
        queries: int64 [L, B, G]; Q, one more than the last, where an object has none.
        found: bool [L, B, G], whether there is an object and it has a query.
    """

    queries: Tensor
    found: Tensor

    def labels_of_queries(self, labels: Tensor, queries: int) -> Tensor:
        """What each query should say: int64 [B, G] labels -> [L, B, Q], 0 for no object."""
        layers, batch, _ = self.queries.shape
        wanted = labels.new_zeros(layers, batch, queries + 1)  # the last is for objects without
        wanted.scatter_(2, self.queries, labels.expand_as(self.queries))
        return wanted[..., :queries]  # [L, B, Q]

    def of_objects(self, values: Tensor) -> Tensor:
        """The predictions for each object: [L, B, Q, …] -> [L, B, G, …]; any where not `found`."""
        index = self.queries.clamp(max=values.shape[2] - 1)  # [L, B, G]
        index = index.reshape(*index.shape, *[1] * (values.ndim - 3))
        return values.gather(2, index.expand(*index.shape[:3], *values.shape[3:]))


def match(costs: Tensor, counts: Sequence[int]) -> Matching:
    """The cheapest pairing of queries and objects, for each layer and image.

    The assignment problem is solved on the CPU: the costs of all layers and images go there
    together, and the pairs come back together, so that a GPU waits only once per step.

    Args:
        costs: [L, B, Q, G].
        counts: the number of objects in each of the B images; the other columns do not count.
    """
    layers, _, queries, most = costs.shape
    here = costs.detach().float().cpu()
    pairs = torch.full((layers, len(counts), most), queries)  # [L, B, G]
    for layer in range(layers):
        for image, count in enumerate(counts):
            chosen, objects = hungarian(here[layer, image, :, :count])
            pairs[layer, image, objects] = chosen
    pairs = pairs.to(costs.device)
    return Matching(pairs, pairs < queries)


def class_cost(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the probability of each object's class: [..., Q, K], [..., G] -> [..., Q, G]."""
    probabilities = logits.softmax(dim=-1)  # [..., Q, K]
    index = labels[..., None, :].expand(*logits.shape[:-1], labels.shape[-1])
    return -probabilities.gather(-1, index)


def box_costs(boxes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """L1 distance and minus the generalized IoU.

    Args:
        boxes: [L, B, Q, 4] centre, width and height over the image's size.
        truth: [B, G, 4], likewise.

    Returns:
        two [L, B, Q, G].
    """
    distance = (boxes[..., :, None, :] - truth[..., None, :, :]).abs().sum(dim=-1)
    corners = cxcywh_to_xyxy(truth).expand(len(boxes), -1, -1, -1)  # [L, B, G, 4]
    return distance, -generalized_box_iou(cxcywh_to_xyxy(boxes), corners)
