"""A large photograph is predicted on a smaller copy, and takes memory for one mask at a time."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from seglib import plotting, pretrained
from seglib.cli.prediction_records import prediction_record
from seglib.ops import rle
from seglib.ops.images import LARGEST_PUBLISHED_SIDE, resize_longer
from seglib.plotting.canvas import Canvas
from seglib.plotting.strokes import eroded, occupied, with_neighbours
from seglib.structures import Instances, Panoptic, Prediction
from tests.fakes import CATEGORIES, tiny_fcn
from tests.helpers import run_cli

LARGE = (60, LARGEST_PUBLISHED_SIDE + 67)  # (H, W)


def random_prediction(size: tuple[int, int], count: int = 4) -> Prediction:
    generator = torch.Generator().manual_seed(3)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([size[1], size[0]]) / 2
    instances = Instances(
        boxes=torch.cat([corner, 1.7 * corner + 2], dim=1),
        scores=torch.rand(count, generator=generator),
        labels=torch.randint(1, 4, (count,), generator=generator),
        masks=torch.rand(count, *size, generator=generator) > 0.5,
    )
    return Prediction(size, CATEGORIES, instances=instances)


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "large.png"
    pixels = np.random.default_rng(0).integers(0, 256, (*LARGE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrained.save(tiny_fcn(), tmp_path_factory.mktemp("models") / "tiny.safetensors")


def predicted(out: Path) -> dict[str, object]:
    (record,) = json.loads((out / "predictions.json").read_text())
    return record


def test_the_result_is_that_of_the_smaller_copy(
    model: Path, photograph: Path, tmp_path: Path
) -> None:
    result = run_cli("predict", model, photograph, "--out", tmp_path)
    assert "predicted 1 larger photograph at 1333 px and enlarged the masks" in result.output
    pixels = torch.from_numpy(np.array(Image.open(photograph))).permute(2, 0, 1) / 255
    copy = resize_longer(pixels, LARGEST_PUBLISHED_SIDE).clamp(0, 1)
    expected = prediction_record(pretrained.load(model).predict([copy])[0], LARGE)
    record = predicted(tmp_path)
    assert {key: record[key] for key in expected} == expected
    assert record["size"] == list(LARGE)
    assert record["predicted_at"] == list(copy.shape[-2:])
    assert Image.open(tmp_path / "large.png").size == LARGE[::-1]


def test_a_chosen_size_is_kept(model: Path, photograph: Path, tmp_path: Path) -> None:
    result = run_cli("predict", model, photograph, "--size", LARGE[1], "--out", tmp_path)
    assert "larger photograph" not in result.output
    record = predicted(tmp_path)
    assert record["size"] == list(LARGE)
    assert "predicted_at" not in record


def test_boxes_and_masks_of_the_copy_are_enlarged() -> None:
    small = random_prediction((20, 30))
    record = prediction_record(small, (41, 60))
    assert small.instances is not None
    for row, found in enumerate(record["instances"]):
        x0, y0, x1, y1 = small.instances.boxes[row].tolist()
        expected = [2 * x0, 2.05 * y0, 2 * (x1 - x0), 2.05 * (y1 - y0)]
        assert found["bbox"] == pytest.approx(expected, rel=1e-5)
        mask = small.instances.masks[row][None, None].float()
        enlarged = F.interpolate(mask, size=(41, 60), mode="nearest-exact")[0, 0] > 0
        counts = rle.to_string(rle.encode(enlarged))
        assert found["segmentation"] == {"size": [41, 60], "counts": counts}
    assert prediction_record(small, (20, 30))["instances"][0]["segmentation"]["size"] == [20, 30]


def test_an_overlay_paints_the_copy_s_boxes_in_the_photograph() -> None:
    image = torch.rand(3, 600, 900)
    small = random_prediction((200, 300))
    assert small.instances is not None
    boxes = replace(small.instances, masks=None)
    large = Prediction((600, 900), CATEGORIES, instances=replace(boxes, boxes=3 * boxes.boxes))
    painted = plotting.overlay(image, replace(small, instances=boxes), min_score=0)
    assert (painted == plotting.overlay(image, large, min_score=0)).all()
    assert plotting.overlay(image, small, min_score=0).shape == (600, 900, 3)


def many_classes(size: tuple[int, int], count: int) -> Tensor:
    """int64 [H, W]: `count` stripes."""
    return (torch.arange(size[1]) * count // size[1]).expand(size).contiguous()


@pytest.mark.parametrize("layer", ["semantic", "panoptic"])
def test_painting_needs_no_more_memory_for_more_classes(layer: str) -> None:
    size = (700, 1000)
    image = np.zeros((*size, 3), np.uint8)

    def peak(count: int) -> int:
        labels = many_classes(size, count)
        ids = torch.arange(count)
        panoptic = Panoptic(labels, ids, ids + 1, torch.zeros(count, dtype=torch.bool))
        tracemalloc.start()
        plotting.overlay(image, labels if layer == "semantic" else panoptic, names=False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(2)  # imports
    assert peak(60) < peak(2) + 2 * size[0] * size[1]  # two masks; all would be 60


def test_painting_does_not_convert_the_whole_image_to_floats() -> None:
    image = torch.rand(3, 1200, 1600)
    canvas_bytes = image.numel()
    tracemalloc.start()
    canvas = Canvas(image)
    canvas.fill(np.ones((1200, 1600), dtype=bool), (10, 20, 30))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * canvas_bytes  # in float64 the pixels alone would be 8


@pytest.mark.parametrize("radius", [1, 2, 3, 6, 19])
def test_erosion_and_dilation_equal_scipy_s(radius: int) -> None:
    rng = np.random.default_rng(radius)
    for size in ((1, 1), (1, 9), (40, 70)):
        bits = ndimage.gaussian_filter(rng.random(size), radius / 2) > 0.48
        expected = ndimage.binary_erosion(bits, iterations=radius, border_value=1)
        assert (eroded(bits, radius) == expected).all()
        grown = with_neighbours(bits, 1, np.logical_or)
        assert (grown == ndimage.binary_dilation(bits)).all()


def test_the_occupied_part_of_a_mask() -> None:
    bits = np.zeros((9, 12), dtype=bool)
    assert bits[occupied(bits, margin=0)].size == 0
    bits[2:4, 5:11] = True
    assert occupied(bits, margin=0) == (slice(2, 4), slice(5, 11))
    assert occupied(bits, margin=3) == (slice(0, 7), slice(2, 14))
