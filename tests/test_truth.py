"""Figures are those of the annotation file itself: equal to pycocotools through the reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from seglib.data.coco import CocoFolder
from seglib.data.transforms import RandomScaleCrop, horizontal_flip
from seglib.errors import SeglibError
from seglib.metrics import CocoEvaluator, evaluate
from seglib.metrics.matching import IouType
from seglib.structures import Instances
from seglib.training.samples import MemorySource
from tests.coco_reference import corners, rle, run_coco
from tests.fakes import tiny_fcn
from tests.tiny_coco import compressed, uncompressed

SIZE = (80, 120)  # (H, W)
CATEGORIES = [{"id": i, "name": n} for i, n in ((3, "cat"), (7, "dog"), (2**70, "unused"))]
CAT, DOG = 3, 7
Record = dict[str, Any]


def outline(x: float, y: float, w: float, h: float) -> list[list[float]]:
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def block(x: int, y: int, w: int, h: int) -> np.ndarray:
    pixels = np.zeros(SIZE, dtype=bool)
    pixels[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = True
    return pixels


def thing(image: int, box: Sequence[float], category: int = CAT, **changes: Any) -> Record:
    record = {
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "segmentation": outline(*box),
        "area": abs(box[2] * box[3]),
        "iscrowd": 0,
    }
    return record | changes


def found(image: int, box: Sequence[int], score: float, category: int = CAT) -> Record:
    """A detection whose mask is its box."""
    mask = torch.from_numpy(block(*(round(v) for v in box)))
    segmentation = rle(mask) if mask.any() else {"size": list(SIZE), "counts": "P_;"}
    return {
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "segmentation": segmentation,
        "score": score,
        "mask": mask,
    }


# Every oddity that training must be kept from and an evaluation must not lose, by image.
ODDITIES: dict[str, tuple[list[Record], list[Record]]] = {
    "an outline that covers no pixel": (
        [thing(0, [10, 10, 20, 20]), thing(0, [60, 10, 0.2, 30], area=6.0)],
        [found(0, [10, 10, 20, 20], 0.9)],
    ),
    "a box beyond the picture": (
        [thing(0, [-10, -10, 40, 40]), thing(0, [100, 60, 60, 60])],
        [found(0, [0, 0, 30, 30], 0.9), found(0, [100, 60, 20, 20], 0.8)],
    ),
    "a box wholly outside": (
        [thing(0, [130, 10, 20, 20]), thing(0, [10, 10, 20, 20])],
        [found(0, [10, 10, 20, 20], 0.4), found(0, [130, 10, 20, 20], 0.9)],
    ),
    "boxes without width or height": (
        [
            thing(0, [20, 20, 0, 30], segmentation=outline(20, 20, 10, 30)),
            thing(0, [50, 20, 30, 0], area=100),
            thing(0, [90, 20, -5, 10]),
        ],
        [found(0, [20, 20, 10, 30], 0.9), found(0, [50, 20, 30, 1], 0.8)],
    ),
    "overlaps exactly on a threshold": (
        [thing(0, [0, 0, 100, 20]), thing(0, [0, 30, 20, 10], DOG), thing(0, [30.5, 50, 16, 10])],
        [
            found(0, [0, 0, 95, 20], 0.9),
            found(0, [0, 30, 13, 10], 0.9, DOG),
            found(0, [30.5, 50, 12, 10], 0.7),
        ],
    ),
    "areas that are not those of the masks": (
        [thing(0, [0, 0, 40, 40], area=900.0), thing(0, [60, 0, 10, 10], area=9216.5)],
        [found(0, [0, 0, 40, 40], 0.9), found(0, [60, 0, 10, 10], 0.8)],
    ),
    "an area of zero": (
        [thing(0, [0, 0, 40, 40], area=0), thing(0, [60, 0, 40, 40], DOG)],
        [found(0, [0, 0, 40, 40], 0.9), found(0, [60, 2, 40, 40], 0.8, DOG)],
    ),
    "crowds": (
        [
            thing(0, [0, 0, 60, 40], iscrowd=1, segmentation=uncompressed(block(0, 0, 60, 40))),
            thing(0, [70, 0, 40, 40], iscrowd=1),  # given as a polygon
            thing(0, [0, 50, 30, 20], segmentation=compressed(block(0, 50, 30, 20))),
        ],
        [
            found(0, [5, 5, 10, 10], 0.9),
            found(0, [20, 5, 10, 10], 0.8),
            found(0, [72, 3, 12, 12], 0.7),
            found(0, [0, 50, 28, 20], 0.6),
        ],
    ),
    "negative coordinates": (
        [thing(0, [-7.4, -3.2, 30.3, 25.1]), thing(0, [-50, 40, 80.5, 20.25])],
        [found(0, [-7, -3, 30, 25], 0.9), found(0, [0, 40, 30, 20], 0.8)],
    ),
    "fractions": (
        [thing(0, [10.13, 10.71, 20.4, 22.9]), thing(0, [50.5, 20.25, 30.75, 31.5], DOG)],
        [found(0, [10, 11, 20, 22], 0.9), found(0, [51, 20, 30, 31], 0.8, DOG)],
    ),
    "objects and detections twice": (
        [thing(0, [10, 10, 20, 20])] * 2 + [thing(0, [50, 10, 20, 20], DOG)],
        [found(0, [10, 10, 20, 20], 0.9), found(0, [50, 10, 20, 20], 0.9, DOG)] * 2,
    ),
    "no object": ([], [found(0, [10, 10, 20, 20], 0.95)]),
}


def write_folder(folder: Path, annotations: list[Record], images: Sequence[int]) -> CocoFolder:
    """A COCO folder of grey pictures, opened."""
    (folder / "val").mkdir(parents=True)
    for image in images:
        Image.new("RGB", SIZE[::-1], (90, 90, 90)).save(folder / "val" / f"{image}.png")
    content = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": SIZE[0], "width": SIZE[1]} for i in images
        ],
        "annotations": [{**a, "id": n} for n, a in enumerate(annotations, start=1)],
        "categories": CATEGORIES,
    }
    path = folder / "val.json"
    path.write_text(json.dumps(content))
    return CocoFolder(folder / "val", path)


def instances(detections: list[Record], data: CocoFolder) -> Instances:
    return Instances(
        corners([d["bbox"] for d in detections]),
        torch.tensor([d["score"] for d in detections], dtype=torch.float64),
        torch.tensor(
            [data.categories.by_coco_id(d["category_id"]).label for d in detections],
            dtype=torch.int64,
        ),
        torch.stack([d["mask"] for d in detections])
        if detections
        else torch.zeros(0, *SIZE, dtype=torch.bool),
    )


def assert_equals_pycocotools(
    data: CocoFolder, detections: list[Record], iou_type: IouType
) -> None:
    evaluator = CocoEvaluator(data.categories, iou_type)
    for _, target in data:
        mine = [d for d in detections if d["image_id"] == target.image_id]
        evaluator.update(instances(mine, data), target)
    truth = json.loads(data.annotations_path.read_text())
    shape = "bbox" if iou_type == "bbox" else "segmentation"
    names = ("image_id", "category_id", "score", shape)
    results = [{name: d[name] for name in names} for d in detections]
    reference = run_coco(truth, results, iou_type)
    ours = list(evaluator.compute().stats.values())
    np.testing.assert_allclose(ours, reference.stats, rtol=0, atol=1e-9)


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("oddity", ODDITIES)
def test_equal_to_pycocotools_through_the_reader(tmp_path, oddity, iou_type) -> None:
    annotations, detections = ODDITIES[oddity]
    data = write_folder(tmp_path, annotations, [0])
    assert_equals_pycocotools(data, detections, iou_type)


def moved(image: int) -> Callable[[Record], Record]:
    return lambda record: {**record, "image_id": image}


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_equal_to_pycocotools_with_all_oddities_in_one_folder(tmp_path, iou_type) -> None:
    annotations, detections = [], []
    images = [-5 + 3 * number for number in range(len(ODDITIES))]
    for image, (objects, boxes) in zip(images, ODDITIES.values(), strict=True):
        annotations += map(moved(image), objects)
        detections += map(moved(image), boxes)
    data = write_folder(tmp_path, annotations, images)
    assert_equals_pycocotools(data, detections, iou_type)


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_pycocotools_on_random_objects_in_and_around_the_picture(
    tmp_path, seed, iou_type
) -> None:
    rng = np.random.default_rng(seed)
    images = list(range(-4, 8))
    annotations, detections = [], []
    for image in images:
        for _ in range(rng.integers(0, 5)):
            step = rng.choice([1.0, 0.5, 0.01])  # whole, half and arbitrary coordinates
            x, y = (rng.uniform(-40, 100, 2) / step).round() * step
            w, h = (rng.uniform(0, 60, 2) / step).round() * step
            category = int(rng.choice([CAT, DOG]))
            crowd = int(rng.random() < 0.15)
            area = float(rng.choice([0, w * h, rng.uniform(0, 10000)]))
            box = [float(x), float(y), float(w), float(h)]
            annotations.append(thing(image, box, category, iscrowd=crowd, area=area))
            for _ in range(rng.integers(0, 3)):
                x0, y0, w0, h0 = (np.array(box) + rng.integers(-2, 3, 4)).round().astype(int)
                near = [int(x0), int(y0), max(int(w0), 1), max(int(h0), 1)]
                detections.append(found(image, near, float(rng.integers(1, 8)) / 8, category))
    data = write_folder(tmp_path, annotations, images)
    assert_equals_pycocotools(data, detections, iou_type)


def test_one_image_scored_twice_is_refused(tmp_path) -> None:
    data = write_folder(tmp_path, [thing(4, [10, 10, 20, 20])], [4])
    evaluator = CocoEvaluator(data.categories)
    nothing = instances([], data)
    evaluator.update(nothing, data[0][1])
    with pytest.raises(SeglibError, match="image 4 was scored already"):
        evaluator.update(nothing, data[0][1])
    with pytest.raises(SeglibError, match="val: image 4 comes twice"):
        evaluate(tiny_fcn(data.categories), data.select([4, 4]))


def test_what_varies_samples_for_training_drops_the_truth(tmp_path) -> None:
    data = write_folder(tmp_path, [thing(4, [-10, 10, 30, 20])], [4])
    image, target = data[0]
    assert target.truth is not None
    assert horizontal_flip(image, target)[1].truth is None
    varied = RandomScaleCrop()(image, target, torch.Generator().manual_seed(0))
    assert varied[1].truth is None
    assert MemorySource(data, ["instances"])[0][1].truth is None


def test_the_truth_of_a_cached_sample_is_that_of_the_file(tmp_path) -> None:
    data = write_folder(tmp_path, ODDITIES["a box beyond the picture"][0], [0])
    cached = CocoFolder(data.images_dir, data.annotations_path, cache=True)
    once, again = cached[0][1].to_find, cached[0][1].to_find
    plain = data[0][1].to_find

    def fields_of(target) -> list[Tensor]:
        return [target.boxes, target.area, target.labels, target.iscrowd, target.masks]

    for copy in (once, again):
        for mine, theirs in zip(fields_of(copy), fields_of(plain), strict=True):
            assert mine.dtype == theirs.dtype
            assert torch.equal(mine, theirs)
