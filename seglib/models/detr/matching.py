"""Match queries to objects one to one, at the lowest total cost (section 3.1).

A cost compares every query with every object. It has no gradient and need not be a loss: the class
cost uses the probability instead of its logarithm, so that it is comparable to the costs of boxes.
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
    """The N matched pairs of all images, for every decoder layer.

    Attributes:
        queries: int64 [L, N], indices into the B Q queries of the batch.
        objects: int64 [L, N], indices into the B G rows of an `ObjectBatch`.
    """

    queries: Tensor
    objects: Tensor

    def predicted(self, values: Tensor) -> Tensor:
        """The predictions of the matched queries: [L, B, Q, …] -> [L, N, …]."""
        layers = torch.arange(len(self.queries), device=values.device)[:, None]
        return values.flatten(1, 2)[layers, self.queries]

    def true(self, values: Tensor) -> Tensor:
        """The true values of the matched objects: [B, G, …] -> [L, N, …]."""
        return values.flatten(0, 1)[self.objects]

    def labels_of_queries(self, labels: Tensor, queries: int) -> Tensor:
        """Each query's target label: int64 [B, G] -> [L, B, Q], 0 for "no object"."""
        targets = labels.new_zeros(len(self.queries), len(labels) * queries)  # [L, B Q]
        return targets.scatter(1, self.queries, self.true(labels)).unflatten(1, (-1, queries))


def match(costs: Tensor, counts: Sequence[int]) -> Matching:
    """The matching of lowest cost, for each layer and image.

    The assignment problem is solved on the CPU: the costs of all layers and images are copied there
    together, and the pairs are copied back together, so that a GPU waits only once per step.

    Args:
        costs: [L, B, Q, G].
        counts: the number of objects in each of the B images; the other columns are padding.
    """
    layers, _, queries, padded_count = costs.shape
    costs_on_cpu = costs.detach().float().cpu()
    pairs = []
    for layer in range(layers):
        image_pairs = [
            hungarian(costs_on_cpu[layer, image, :, :count])
            + torch.tensor([[image * queries], [image * padded_count]])
            for image, count in enumerate(counts)
        ]  # [2, min(Q, count)] each
        pairs.append(torch.cat(image_pairs, dim=1))  # [2, N]
    chosen, objects = torch.stack(pairs, dim=1).to(costs.device)  # [L, N] each
    return Matching(chosen, objects)


def class_cost(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the probability of each object's class: [..., Q, K], [..., G] -> [..., Q, G]."""
    probabilities = logits.softmax(dim=-1)  # [..., Q, K]
    index = labels[..., None, :].expand(*logits.shape[:-1], labels.shape[-1])
    return -probabilities.gather(-1, index)


def box_costs(boxes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """L1 distance and minus the generalized IoU.

    Args:
        boxes: [L, B, Q, 4] centre, width and height in 0…1 of the image's size.
        truth: [B, G, 4], in the same form.

    Returns:
        two tensors [L, B, Q, G].
    """
    distance = (boxes[..., :, None, :] - truth[..., None, :, :]).abs().sum(dim=-1)  # [L, B, Q, G]
    corners = cxcywh_to_xyxy(truth).expand(len(boxes), -1, -1, -1)  # [L, B, G, 4]
    return distance, -generalized_box_iou(cxcywh_to_xyxy(boxes), corners)
