"""Average recall of class-agnostic proposals: the share of objects that a short list covers.

A proposal method such as DeepMask predicts no classes and many candidates, so precision means
little: what matters is how well its best 10, 100 or 1000 proposals per image cover the objects.
Average recall is the recall averaged over the thresholds .50, .55 … .95, so that tight proposals
score higher (Hosang et al. 2015, "What makes for effective detection proposals?"; Pinheiro et al.
2015, section 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seglib.metrics.coco_evaluator import CocoEvaluator
from seglib.metrics.matching import IouType
from seglib.structures import COCO_AREA_RANGES, AreaRanges, Categories, Instances, Target

PROPOSAL_COUNTS = (10, 100, 1000)


class ProposalEvaluator:
    """Collects proposals image by image, and computes their average recall.

    Labels are ignored: any proposal may cover any object. Crowds and objects of other sizes
    count neither as covered nor as missed, as in `CocoEvaluator`.

    Args:
        categories: the data set's.
        iou_type: "segm" compares masks, "bbox" boxes.
        area_ranges: name → (smallest, largest) px², "all" first.
        counts: numbers of best proposals per image for which the recall is computed.
    """

    def __init__(
        self,
        categories: Categories,
        iou_type: IouType = "segm",
        area_ranges: AreaRanges = COCO_AREA_RANGES,
        counts: Sequence[int] = PROPOSAL_COUNTS,
    ) -> None:
        self._evaluator = CocoEvaluator(
            categories, iou_type, area_ranges, max_detections=counts, class_agnostic=True
        )

    def update(self, proposals: Instances, target: Target) -> None:
        """Add one image: its proposals, in any order, and its true objects."""
        self._evaluator.update(proposals, target)

    def compute(self) -> dict[str, float]:
        """Average recall in 0…1, or -1 if there was nothing to find.

        Returns:
            "AR@10", "AR@100", "AR@1000" over all objects; "ARs@1000", "ARm@1000", "ARl@1000" by
            object size, for the largest number of proposals.
        """
        stats, counts = self._evaluator.compute().stats, self._evaluator.max_detections
        overall = {f"AR@{n}": stats[f"AR{n}"] for n in counts}
        letters = [name[0] for name in self._evaluator.area_ranges][1:]
        return overall | {f"AR{s}@{counts[-1]}": stats[f"AR{s}"] for s in letters}


class MaskAndBoxRecall:
    """A `ProposalEvaluator` for masks and one for boxes; figures begin with "mask_" or "box_"."""

    def __init__(self, categories: Categories, area_ranges: AreaRanges = COCO_AREA_RANGES) -> None:
        kinds: dict[str, IouType] = {"mask": "segm", "box": "bbox"}
        self._evaluators = {
            name: ProposalEvaluator(categories, kind, area_ranges) for name, kind in kinds.items()
        }

    def update(self, proposals: Instances, target: Target) -> None:
        """Add one image; proposals without masks are scored only as boxes."""
        if proposals.masks is None:
            self._evaluators.pop("mask", None)
        for evaluator in self._evaluators.values():
            evaluator.update(proposals, target)

    def figures(self) -> dict[str, float]:
        """The figures of both, as "mask_AR@10", …, "box_AR@10", …."""
        return {
            f"{kind}_{name}": value
            for kind, evaluator in self._evaluators.items()
            for name, value in evaluator.compute().items()
        }


def average_recall(
    proposals: Iterable[Instances],
    targets: Iterable[Target],
    categories: Categories,
    iou_type: IouType = "segm",
    area_ranges: AreaRanges = COCO_AREA_RANGES,
    counts: Sequence[int] = PROPOSAL_COUNTS,
) -> dict[str, float]:
    """The figures of `ProposalEvaluator` for images with proposals[i] and targets[i]."""
    evaluator = ProposalEvaluator(categories, iou_type, area_ranges, counts)
    for image_proposals, target in zip(proposals, targets, strict=True):
        evaluator.update(image_proposals, target)
    return evaluator.compute()
