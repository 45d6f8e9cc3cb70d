"""What a model finds in one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from seglib.errors import SeglibError
from seglib.structures.categories import Categories
from seglib.structures.targets import Panoptic
from seglib.structures.tensor_rows import Movable, TensorRows


@dataclass(eq=False)
class Instances(TensorRows):
    """Detected objects or proposals of one image, best score first.

    Attributes:
        boxes: float32 [N, 4] pixels of the original image.
        scores: float32 [N] in 0…1.
        labels: int64 [N], 1…C; all 1 for class-agnostic proposals.
        masks: bool [N, H, W] at the original size, or None for boxes alone.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor | None = None

    _per_row = ("boxes", "scores", "labels", "masks")

    def __len__(self) -> int:
        return int(self.scores.numel())


@dataclass(eq=False)
class Prediction(Movable):
    """A model's prediction for one image; its `tasks` names the fields that it fills.

    Attributes:
        size: (H, W) of the original image.
        categories: what the labels mean.
        instances: detected objects with classes.
        proposals: class-agnostic candidates.
        semantic: int64 [H, W] labels, 0 background.
        panoptic: segments that do not overlap.
    """

    size: tuple[int, int]
    categories: Categories
    instances: Instances | None = None
    proposals: Instances | None = None
    semantic: Tensor | None = None
    panoptic: Panoptic | None = None

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """The instances as records of COCO's result format, for `COCO.loadRes` and its like.

        Args:
            image_id: the id of the image in COCO's files.

        Returns:
            for each instance: image_id, category_id (COCO's), score, bbox (x, y, width, height in
            pixels) and, if the model predicts masks, segmentation (compressed run lengths).

        Raises:
            SeglibError: there are no instances, as with models that only label pixels.
        """
        from pycocotools.mask import encode

        rows = self._instances()
        columns = zip(rows.labels.tolist(), rows.scores.tolist(), rows.boxes.tolist(), strict=True)
        records: list[dict[str, Any]] = [
            {
                "image_id": image_id,
                "category_id": self.categories.by_label(label).coco_id,
                "score": score,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
            }
            for label, score, (x0, y0, x1, y1) in columns
        ]
        if rows.masks is not None:
            for record, mask in zip(records, rows.masks, strict=True):
                runs = encode(np.asfortranarray(mask.cpu().numpy().astype(np.uint8)))
                record["segmentation"] = {**runs, "counts": runs["counts"].decode()}
        return records

    def to_supervision(self) -> Any:
        """The instances as `supervision.Detections`, for that package's annotators and trackers.

        `class_id` is the index into `categories.names`; `data["class_name"]` has the names.

        Raises:
            SeglibError: the package is not installed, or there are no instances.
        """
        rows = self._instances().to("cpu")
        try:
            from supervision import Detections
        except ImportError as error:
            raise SeglibError(
                "this needs the package supervision: pip install supervision"
            ) from error
        names = [self.categories.by_label(label).name for label in rows.labels.tolist()]
        return Detections(
            xyxy=rows.boxes.numpy(),
            mask=None if rows.masks is None else rows.masks.numpy(),
            confidence=rows.scores.numpy(),
            class_id=rows.labels.numpy() - 1,
            data={"class_name": np.array(names, dtype=str)},
        )

    def _instances(self) -> Instances:
        if self.instances is None:
            raise SeglibError(
                "this prediction has no instances with classes and scores: only the predictions of "
                "models that detect objects can be converted"
            )
        return self.instances
