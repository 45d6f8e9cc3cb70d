"""Random scenes, their COCO records, and what pycocotools measures on them."""

from __future__ import annotations

import contextlib
import copy
import io

import numpy as np
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from seglib.structures import Categories, Instances, Target

CATEGORIES = Categories.from_coco({"id": i, "name": n} for i, n in ((1, "a"), (2, "b"), (5, "c")))
SMALL_RANGES = {"all": (0, 1e10), "small": (0, 40), "medium": (40, 150), "large": (150, 1e10)}
Scene = tuple[Instances, Target]


def random_mask(rng: np.random.Generator, size: int) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    h, w = rng.integers(3, size // 2, 2)
    y, x = rng.integers(0, size - h), rng.integers(0, size - w)
    mask[y : y + h, x : x + w] = rng.random((h, w)) > 0.1
    mask[y, x] = True
    return mask


def shifted(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    moved = np.roll(mask, rng.integers(-1, 2, 2), (0, 1))
    return moved if moved.any() else mask


def boxes_of(masks: np.ndarray) -> torch.Tensor:
    boxes = []
    for mask in masks:
        ys, xs = np.nonzero(mask)
        boxes.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    return torch.tensor(np.array(boxes, dtype=float).reshape(-1, 4))


def random_scene(rng: np.random.Generator, image_id: int, size: int = 28) -> Scene:
    """A few objects and crowds; detections near them and elsewhere, many with equal scores."""
    objects = [random_mask(rng, size) for _ in range(rng.integers(0, 6))]
    masks = np.array(objects, dtype=bool).reshape(-1, size, size)
    labels = rng.integers(1, 4, len(masks))
    crowd = rng.random(len(masks)) < 0.2
    found, found_labels = [random_mask(rng, size)], [1]
    for mask, label in zip(masks, labels, strict=True):
        for _ in range(rng.integers(0, 4)):
            found.append(shifted(rng, mask))
            found_labels.append(label if rng.random() < 0.8 else rng.integers(1, 4))
    keep = rng.permutation(len(found))[: rng.integers(0, len(found) + 1)]
    found_masks = np.array(found)[keep].reshape(-1, size, size)
    prediction = Instances(
        boxes_of(found_masks),
        torch.tensor(rng.integers(0, 12, len(keep)) / 12.0),
        torch.tensor(np.array(found_labels)[keep], dtype=torch.int64),
        torch.tensor(found_masks),
    )
    # Annotated areas differ from those of the masks, as in COCO's files.
    area = masks.sum((1, 2)) * rng.uniform(0.8, 1.2, len(masks))
    target = Target(
        boxes_of(masks),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(masks),
        torch.tensor(crowd),
        torch.tensor(area),
        (size, size),
        image_id,
    )
    return prediction, target


def run_coco(
    truth: dict, results: list[dict], iou_type: str, area_ranges=None, **parameters
) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        if results:
            detected = coco.loadRes(copy.deepcopy(results))  # it modifies them
        else:
            detected = COCO()
            detected.dataset = {**truth, "annotations": []}
            detected.createIndex()
        evaluation = COCOeval(coco, detected, iou_type)
        if area_ranges is not None:
            evaluation.params.areaRng = list(area_ranges.values())
        for name, value in parameters.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
        if evaluation.params.useCats and evaluation.params.maxDets[-1] == 100:
            evaluation.summarize()
    return evaluation


def xywh(boxes: torch.Tensor) -> list[list[float]]:
    return [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes.double().tolist()]


def rle(mask: torch.Tensor) -> dict:
    encoded = coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def to_coco(scenes: list[Scene], categories: Categories, iou_type: str) -> tuple[dict, list[dict]]:
    annotations, results = [], []
    for prediction, target in scenes:
        for i, box in enumerate(xywh(target.boxes)):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": target.image_id,
                    "category_id": categories.by_label(int(target.labels[i])).coco_id,
                    "bbox": box,
                    "segmentation": rle(target.masks[i]) if iou_type == "segm" else [],
                    "area": float(target.area[i]),
                    "iscrowd": int(target.iscrowd[i]),
                }
            )
        for i, box in enumerate(xywh(prediction.boxes)):
            shape = {"bbox": box}
            if iou_type == "segm":
                shape = {"segmentation": rle(prediction.masks[i])}
            results.append(
                {
                    "image_id": target.image_id,
                    "category_id": categories.by_label(int(prediction.labels[i])).coco_id,
                    "score": float(prediction.scores[i]),
                    **shape,
                }
            )
    images = [{"id": t.image_id, "height": t.size[0], "width": t.size[1]} for _, t in scenes]
    truth = {"images": images, "annotations": annotations, "categories": categories.to_coco()}
    return truth, results


def read_coco(
    truth: dict, results: list[dict], masks: bool = True
) -> tuple[list[Scene], Categories]:
    """COCO records as scenes in float64. Masks are pycocotools': our reader has its own tests."""
    categories = Categories.from_coco(truth["categories"])
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
    scenes = []
    for image_id in sorted(coco.getImgIds()):
        size = (coco.imgs[image_id]["height"], coco.imgs[image_id]["width"])
        objects = coco.imgToAnns[image_id]
        found = [r for r in results if r["image_id"] == image_id]
        true_masks = [coco.annToMask(a) for a in objects] if masks else []
        found_masks = [coco_mask.decode(r["segmentation"]) for r in found] if masks else []
        target = Target(
            corners([a["bbox"] for a in objects]),
            label_tensor(objects, categories),
            stacked(true_masks, size)
            if masks
            else torch.zeros(len(objects), *size, dtype=torch.bool),
            torch.tensor([bool(a["iscrowd"]) for a in objects], dtype=torch.bool),
            torch.tensor([a["area"] for a in objects], dtype=torch.float64),
            size,
            image_id,
        )
        prediction = Instances(
            corners([r.get("bbox", [0, 0, 0, 0]) for r in found]),
            torch.tensor([r["score"] for r in found], dtype=torch.float64),
            label_tensor(found, categories),
            stacked(found_masks, size) if masks else None,
        )
        scenes.append((prediction, target))
    return scenes, categories


def corners(boxes: list[list[float]]) -> torch.Tensor:
    values = torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4)
    values[:, 2:] += values[:, :2]
    return values


def label_tensor(records: list[dict], categories: Categories) -> torch.Tensor:
    labels = [categories.by_coco_id(r["category_id"]).label for r in records]
    return torch.tensor(labels, dtype=torch.int64)


def stacked(masks: list[np.ndarray], size: tuple[int, int]) -> torch.Tensor:
    return torch.tensor(np.array(masks, dtype=bool).reshape(-1, *size))


def random_results(coco: COCO, iou_type: str, rng: np.random.Generator) -> list[dict]:
    """Detections near every object (shifted, some relabelled) and some at random places."""
    results = []
    ids = coco.getCatIds()
    for image_id in coco.getImgIds():
        height, width = coco.imgs[image_id]["height"], coco.imgs[image_id]["width"]
        boxes = [(a["bbox"], a["category_id"], a) for a in coco.imgToAnns[image_id]]
        boxes += [(list(rng.uniform(0, 0.5, 4) * ([width, height] * 2)), i, None) for i in ids[:3]]
        for box, category, annotation in boxes:
            for _ in range(rng.integers(0, 4)):
                moved = (np.array(box) + rng.normal(0, 0.06, 4) * max(box[2:])).round(2)
                moved[2:] = np.maximum(moved[2:], 1)
                record = {"image_id": image_id, "score": round(float(rng.random()), 3)}
                record["category_id"] = category if rng.random() < 0.8 else int(rng.choice(ids))
                if iou_type == "bbox":
                    record["bbox"] = moved.tolist()
                else:
                    record["segmentation"] = moved_mask(coco, annotation, moved, height, width, rng)
                results.append(record)
    return results


def moved_mask(coco, annotation, box, height, width, rng) -> dict:
    if annotation is None:
        x, y, w, h = box.astype(int)
        mask = np.zeros((height, width), dtype=bool)
        mask[max(y, 0) : max(y, 0) + h, max(x, 0) : max(x, 0) + w] = True
    else:
        reach = max(1, int(0.06 * max(annotation["bbox"][2:])))
        mask = np.roll(coco.annToMask(annotation), rng.integers(-reach, reach + 1, 2), (0, 1))
    return rle(torch.tensor(mask))
