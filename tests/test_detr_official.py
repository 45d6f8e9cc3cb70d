"""Files with the official DETR's names: every weight finds its place, and classes their rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seglib import SeglibError, pretrained
from seglib.data.coco_categories import coco_categories
from seglib.models.detr import DETR, DETRConfig
from seglib.pretrained.official import load_official
from tests.modelling import randomize_statistics, randomize_zeros
from tests.parity import assert_same

SMALL = {"width": 16, "blocks": (1, 1, 1, 1), "channels": 64, "hidden": 48, "queries": 7}
SMALL |= {"encoder_layers": 1, "decoder_layers": 2}


def small(variant: str, **changes: object) -> DETR:
    torch.manual_seed(0)
    config = replace(DETRConfig.paper(variant), min_size=None, **SMALL, **changes)
    return randomize_zeros(randomize_statistics(DETR(config, coco_categories()))).eval()


def official_state(model: DETR, rows: int) -> dict[str, Tensor]:
    """The model's weights as the authors' file has them."""
    state = {}
    for name, value in model.state_dict().items():
        if name.startswith("class_embed."):
            by_id = torch.randn(rows, *value.shape[1:])
            by_id[[c.coco_id for c in model.categories]] = value[1:]
            by_id[-1] = value[0]
            value = by_id
        name = name.replace("backbone.", "backbone.0.body.", 1)
        panoptic = model.mask_head is not None and not name.startswith(("bbox_att", "mask_head"))
        state[f"detr.{name}" if panoptic else name] = value
    return state


@pytest.mark.parametrize(
    ("variant", "rows", "file", "dilated"),
    [("boxes", 92, "detr-r50-e632da11.pth", False), ("masks", 251, "detr-r50-dc5-p.pth", True)],
)
def test_a_file_of_the_authors_is_the_same_network(
    tmp_path: Path, variant: str, rows: int, file: str, dilated: bool
) -> None:
    model = small(variant, dilated=dilated)
    torch.save({"model": official_state(model, rows)}, tmp_path / file)
    loaded = pretrained.load(tmp_path / file)
    assert isinstance(loaded, DETR)
    assert (loaded.config.variant, loaded.config.dilated) == (variant, dilated)
    assert loaded.categories == coco_categories()
    batch = model.prepare([torch.rand(3, 64, 96)])
    image = [torch.rand(3, 64, 96)]
    loaded.config = replace(loaded.config, min_size=None)
    expected, found = model(image), loaded(image)
    assert batch.canvas == (64, 96)
    assert_same(found.logits, expected.logits)
    assert_same(found.boxes, expected.boxes)
    if variant == "masks":
        (a,), (b,) = model.predict(image), loaded.predict(image)
        assert torch.equal(a.instances.masks, b.instances.masks)


def test_other_classes_and_missing_weights_are_refused(tmp_path: Path) -> None:
    state = official_state(small("boxes"), 92)
    path = tmp_path / "detr.pth"
    torch.save({"model": {**state, "class_embed.weight": torch.zeros(21, 64)}}, path)
    with pytest.raises(SeglibError, match="21 rows of classes"):
        load_official(path)
    del state["input_proj.weight"]
    torch.save({"model": state}, path)
    with pytest.raises(SeglibError, match="input_proj"):
        load_official(path)
