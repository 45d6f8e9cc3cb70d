"""Polygons rasterized exactly as pycocotools rasterizes them."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from seglib.errors import SeglibError
from seglib.ops import rle
from seglib.ops.polygons import rasterize, rasterize_objects
from tests.helpers import golden

coordinate = st.floats(-8, 40, allow_nan=False, width=32) | st.integers(-8, 40).map(float)
polygon = st.lists(coordinate, min_size=3, max_size=12).flatmap(
    lambda xs: st.lists(coordinate, min_size=len(xs), max_size=len(xs)).map(
        lambda ys: [v for point in zip(xs, ys, strict=True) for v in point]
    )
)


def reference(polygons: list, height: int, width: int) -> np.ndarray:
    parts = coco_mask.frPyObjects(polygons, height, width)
    return coco_mask.decode(coco_mask.merge(parts)).astype(bool)


def test_square_by_hand():
    mask = rasterize([[1, 1, 3, 1, 3, 3, 1, 3]], (4, 5))
    assert mask.int().tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_several_parts_join():
    left, right = [0, 0, 2, 0, 2, 2, 0, 2], [3, 0, 5, 0, 5, 2, 3, 2]
    both = rasterize([left, right], (2, 5))
    assert torch.equal(both, rasterize([left], (2, 5)) | rasterize([right], (2, 5)))
    assert both.sum() == 8


def test_points_as_pairs():
    flat = [1.5, 0, 6, 3.25, 2, 7]
    pairs = np.array(flat).reshape(-1, 2)
    assert torch.equal(rasterize([flat], (8, 8)), rasterize([pairs], (8, 8)))


def test_an_outline_a_million_pixels_outside_needs_no_memory():
    """pycocotools walks it pixel by pixel: compared at a length that it can bear."""
    rng = np.random.default_rng(0)
    for reach in (300.0, 20_000.0):
        points = rng.uniform(-reach, reach, 60).tolist()
        expected = reference([points], 37, 53)
        np.testing.assert_array_equal(rasterize([points], (37, 53)).numpy(), expected)
    tracemalloc.start()
    rasterize([rng.uniform(-1e6, 1e6, 200).tolist()], (480, 640))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


@given(polygon, st.integers(1, 33), st.integers(1, 33))
@settings(max_examples=300, deadline=None)
def test_random_polygons_equal_pycocotools(points, height, width):
    expected = reference([points], height, width)
    np.testing.assert_array_equal(rasterize([points], (height, width)).numpy(), expected)


@given(st.lists(st.lists(polygon, min_size=1, max_size=4), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_random_objects_of_several_parts(objects):
    masks = rasterize_objects(objects, (21, 34))
    for mask, polygons in zip(masks, objects, strict=True):
        np.testing.assert_array_equal(mask.numpy(), reference(polygons, 21, 34))


def test_no_objects_and_no_polygons():
    assert rasterize_objects([], (3, 4)).shape == (0, 3, 4)
    assert not rasterize([], (3, 4)).any()


def test_golden_masks():
    case = golden("coco_masks")["basic"]
    given_ = case["in"]
    size = (int(case["par"]["height"]), int(case["par"]["width"]))
    ends = np.cumsum(given_["points_per_polygon"])[:-1]
    polygons = np.split(given_["points"], ends)
    objects, start = [], 0
    for count in given_["polygons_per_object"]:
        objects.append(polygons[start : start + count])
        start += count
    for parts, expected in zip(objects, case["out"]["masks"], strict=True):
        np.testing.assert_array_equal(rasterize(parts, size).numpy(), expected.astype(bool))


@pytest.mark.parametrize("bad", [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], []])
def test_too_few_points_are_refused(bad):
    with pytest.raises(SeglibError, match="three points"):
        rasterize([bad], (5, 5))


@pytest.mark.parametrize("bad", [[float("nan")] * 6, [1e12] * 6, ["a"] * 6, [[1], [2, 3]]])
def test_coordinates_that_are_not_numbers_are_refused(bad):
    with pytest.raises(SeglibError, match="numbers"):
        rasterize([bad], (5, 5))


@pytest.mark.real_data
@pytest.mark.skipif("SEGLIB_REAL_COCO" not in os.environ, reason="SEGLIB_REAL_COCO is not set")
def test_every_real_annotation_equals_pycocotools():
    from pycocotools.coco import COCO

    from seglib.data.annotations import annotation_mask

    compared = 0
    for path in sorted(Path(os.environ["SEGLIB_REAL_COCO"]).glob("annotations/instances_*.json")):
        coco = COCO(str(path))
        for annotation in coco.anns.values():
            image = coco.imgs[annotation["image_id"]]
            mask = annotation_mask(annotation, (image["height"], image["width"]))
            expected = coco.annToMask(annotation)
            np.testing.assert_array_equal(mask.numpy(), expected.astype(bool))
            text = coco_mask.encode(np.asfortranarray(expected))["counts"]
            assert rle.to_string(rle.encode(mask)).encode() == text
            compared += 1
    assert compared > 100
