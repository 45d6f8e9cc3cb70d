"""Predictions in the formats of COCO's tools and of the package supervision."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from seglib import SeglibError
from seglib.data import load_dataset
from seglib.ops import rle
from seglib.ops.boxes import xyxy_to_xywh
from seglib.structures import Categories, Category, Instances, Panoptic, Prediction

CATEGORIES = Categories([Category(1, 7, "kite"), Category(2, 3, "cup")])


def prediction(masks: bool = True) -> Prediction:
    pixels = torch.zeros(2, 4, 6, dtype=torch.bool)
    pixels[0, 1:3, 2:5] = True
    pixels[1, 0, 0] = pixels[1, 3, 5] = True
    rows = Instances(
        boxes=torch.tensor([[2.0, 1, 5, 3], [0, 0, 6, 4]]),
        scores=torch.tensor([0.75, 0.5]),
        labels=torch.tensor([2, 1]),
        masks=pixels if masks else None,
    )
    return Prediction((4, 6), CATEGORIES, instances=rows)


def test_coco_records_have_cocos_ids_boxes_and_runs() -> None:
    # Column by column: 9 zeros, 2 ones, 2 zeros, 2 ones, 2 zeros, 2 ones, 5 zeros.
    runs = rle.to_string(rle.RLE((4, 6), [9, 2, 2, 2, 2, 2, 5]))
    first, second = prediction().to_coco(42)
    assert first == {
        "image_id": 42,
        "category_id": 3,
        "score": 0.75,
        "bbox": [2.0, 1.0, 3.0, 2.0],
        "segmentation": {"size": [4, 6], "counts": runs},
    }
    assert second["category_id"] == 7
    assert coco_mask.area(second["segmentation"]) == 2
    assert "segmentation" not in prediction(masks=False).to_coco(1)[0]


def test_pycocotools_accepts_them() -> None:
    """The true objects as predictions have an AP of 1."""
    data = load_dataset("pocket", limit=3)
    truth = COCO(str(data.annotations_path))
    records = []
    for _, target in data:
        found = target[~target.iscrowd]
        rows = Instances(found.boxes, torch.ones(len(found)), found.labels, found.masks)
        records += Prediction(target.size, data.categories, rows).to_coco(target.image_id)
    evaluation = COCOeval(truth, truth.loadRes(records), "segm")
    evaluation.params.imgIds = data.image_ids
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_a_prediction_without_instances_is_refused() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    panoptic = Panoptic(torch.zeros(4, 6, dtype=torch.int64), nothing, nothing, nothing.bool())
    pixels = Prediction((4, 6), CATEGORIES, semantic=panoptic.segment_map, panoptic=panoptic)
    for convert in (lambda: pixels.to_coco(1), pixels.to_supervision):
        with pytest.raises(SeglibError, match="has no instances"):
            convert()


@pytest.fixture
def supervision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package or, where it is not installed, a class that takes the same arguments."""
    try:
        import supervision  # noqa: F401
    except ImportError:
        module = ModuleType("supervision")
        module.Detections = SimpleNamespace
        monkeypatch.setitem(sys.modules, "supervision", module)


@pytest.mark.usefixtures("supervision")
def test_supervision_gets_arrays_and_names() -> None:
    found = prediction().to_supervision()
    assert found.xyxy.tolist() == prediction().instances.boxes.tolist()
    assert found.class_id.tolist() == [1, 0]
    assert found.data["class_name"].tolist() == ["cup", "kite"]
    assert found.confidence.tolist() == [0.75, 0.5]
    assert np.array_equal(found.mask, prediction().instances.masks.numpy())
    assert prediction(masks=False).to_supervision().mask is None
    empty = prediction()
    empty.instances = empty.instances[:0]
    assert len(empty.to_supervision().xyxy) == 0
    assert empty.to_coco(1) == []


def test_without_supervision_it_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(SeglibError, match="pip install supervision"):
        prediction().to_supervision()


def test_boxes_are_restored() -> None:
    boxes = prediction().instances.boxes
    records = prediction().to_coco(1)
    assert torch.equal(xyxy_to_xywh(boxes), torch.tensor([r["bbox"] for r in records]))
