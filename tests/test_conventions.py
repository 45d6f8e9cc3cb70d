"""The conventions that all of seglib relies on, which seglib.structures states in words."""

import pytest
import torch

from seglib.data.coco import CocoFolder
from seglib.errors import SeglibError
from seglib.structures import (
    BACKGROUND,
    COCO_AREA_RANGES,
    IGNORE,
    Categories,
    Category,
    ImageBatch,
    Instances,
    check_images,
)
from tests.tiny_coco import add_panoptic, build_tiny_coco


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    tiny = build_tiny_coco(tmp_path_factory.mktemp("tiny") / "tiny")
    add_panoptic(tiny)
    maps = tiny.folder / "panoptic_val2017"
    panoptic = (tiny.json_path.with_name("panoptic_val2017.json"), maps)
    return CocoFolder(tiny.images, tiny.json_path, panoptic)[0]


def test_types_and_shapes(sample):
    image, target = sample
    count, size = len(target), tuple(image.shape[1:])
    assert image.dtype == torch.float32
    assert target.size == size == (37, 53)
    expected = {
        "boxes": (torch.float32, (count, 4)),
        "labels": (torch.int64, (count,)),
        "masks": (torch.bool, (count, *size)),
        "iscrowd": (torch.bool, (count,)),
        "area": (torch.float32, (count,)),
        "semantic": (torch.int64, size),
    }
    for name, (dtype, shape) in expected.items():
        value = getattr(target, name)
        assert (value.dtype, tuple(value.shape)) == (dtype, shape), name
    assert target.panoptic.segment_map.dtype == torch.int64
    assert set(target.panoptic.segment_map.unique().tolist()) <= {0, *target.panoptic.ids.tolist()}


def test_boxes_are_half_open_corners(sample):
    _, target = sample
    x0, y0, x1, y1 = target.boxes[0].long().tolist()
    mask = target.masks[0]
    assert mask[y0:y1, x0:x1].sum() == mask.sum()
    assert mask[y0].any()
    assert mask[y1 - 1].any()
    assert mask[:, x0].any()
    assert mask[:, x1 - 1].any()


def test_labels_count_from_one_and_special_values():
    assert (BACKGROUND, IGNORE) == (0, 255)
    records = [{"id": 90, "name": "b"}, {"id": 3, "name": "a", "isthing": 0}]
    categories = Categories.from_coco(records)
    assert [(c.label, c.coco_id, c.name, c.is_thing) for c in categories] == [
        (1, 3, "a", False),
        (2, 90, "b", True),
    ]
    assert categories.by_label(2) is categories.by_coco_id(90) is categories.by_name("b")
    assert categories[0].label == 1
    assert Categories.from_coco(categories.to_coco()) == categories


def test_categories_are_shared_by_name():
    here = Categories.from_coco([{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}])
    there = Categories.from_coco([{"id": 7, "name": "dog"}, {"id": 9, "name": "cow"}])
    assert here.shared_with(there) == {2: 1}


@pytest.mark.parametrize(
    "items",
    [
        [Category(2, 1, "a")],
        [Category(1, 1, "a"), Category(2, 1, "b")],
        [Category(1, 1, "a"), Category(2, 2, "a")],
    ],
)
def test_impossible_categories_are_refused(items):
    with pytest.raises(SeglibError):
        Categories(items)


@pytest.mark.parametrize(("method", "key"), [("by_label", 0), ("by_coco_id", 5), ("by_name", "x")])
def test_unknown_categories_are_refused(method, key):
    with pytest.raises(SeglibError):
        getattr(Categories([Category(1, 1, "a")]), method)(key)


def test_area_ranges_are_cocos():
    assert COCO_AREA_RANGES["small"] == (0, 1024)
    assert COCO_AREA_RANGES["medium"] == (1024, 9216)
    assert COCO_AREA_RANGES["large"][0] == 9216


def test_rows_belong_together(sample):
    _, target = sample
    last = target[[len(target) - 1]]
    assert len(last) == 1
    assert torch.equal(last.boxes, target.boxes[-1:])
    assert torch.equal(last.masks, target.masks[-1:])
    assert last.semantic is target.semantic
    found = Instances(torch.zeros(2, 4), torch.tensor([0.9, 0.1]), torch.tensor([1, 2]))
    assert len(found[found.scores > 0.5]) == 1
    assert found[:1].masks is None
    assert found.to("cpu").labels.tolist() == [1, 2]


def test_batches_pad_at_the_right_and_the_bottom():
    batch = ImageBatch.from_images([torch.ones(3, 2, 5), torch.ones(3, 4, 3)], divisor=4)
    assert batch.tensor.shape == (2, 3, 4, 8)
    assert batch.canvas == (4, 8)
    assert batch.sizes == [(2, 5), (4, 3)]
    assert torch.equal(batch.tensor[:, 0] == 0, batch.padding_mask)
    assert batch.tensor[0, :, :2, :5].eq(1).all()
    assert len(batch) == 2


def test_a_square_canvas_has_the_longest_side_of_all():
    wide, small = torch.ones(3, 2, 7), torch.ones(3, 4, 3)
    assert ImageBatch.from_images([wide, small], square=True).canvas == (7, 7)
    assert ImageBatch.from_images([wide, small], divisor=4, square=True).canvas == (8, 8)


@pytest.mark.parametrize(
    "images", [[], [torch.ones(1, 4, 4)], [torch.ones(3, 4)], [torch.ones(3, 4, 4).byte()]]
)
def test_what_is_not_an_image_is_refused(images):
    with pytest.raises(SeglibError, match="image"):
        check_images(images)
