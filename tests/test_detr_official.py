"""DETR in files of its authors and of the hub: weights have their places, classes their rows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seglib import SeglibError, pretrained
from seglib.data.coco_categories import coco_categories, coco_panoptic_categories
from seglib.models.detr import DETR
from seglib.pretrained.official import load_official
from tests.official_files import detr_state, small_detr
from tests.parity import assert_same
from tests.transformers_models import detr_options, resnet, spread, transformers


@pytest.mark.parametrize(
    ("variant", "rows", "file", "dilated"),
    [
        ("boxes", 92, "detr-r50-e632da11.pth", False),
        ("panoptic", 251, "detr-r50-dc5-panoptic.pth", True),
    ],
)
def test_a_file_of_the_authors_is_the_same_network(
    tmp_path: Path, variant: str, rows: int, file: str, dilated: bool
) -> None:
    model = small_detr(variant, dilated=dilated)
    torch.save({"model": detr_state(model, rows)}, tmp_path / file)
    loaded = pretrained.load(tmp_path / file)
    assert isinstance(loaded, DETR)
    assert (loaded.config.variant, loaded.config.dilated) == (variant, dilated)
    assert loaded.categories == model.categories
    batch = model.prepare([torch.rand(3, 64, 96)])
    image = [torch.rand(3, 64, 96)]
    loaded.config = replace(loaded.config, min_size=None)
    expected, found = model(image), loaded(image)
    assert batch.canvas == (64, 96)
    assert_same(found.logits, expected.logits)
    assert_same(found.boxes, expected.boxes)
    if variant == "panoptic":
        (a,), (b,) = model.predict(image), loaded.predict(image)
        assert torch.equal(a.instances.masks, b.instances.masks)
        assert torch.equal(a.panoptic.segment_map, b.panoptic.segment_map)


def hub_model(kind: str, labels: int, *stages: str) -> nn.Module:
    torch.manual_seed(0)
    config = transformers.DetrConfig(
        backbone_config=resnet(*stages), **{**detr_options(), "num_labels": labels}
    )
    return spread(getattr(transformers, kind)(config)).eval()


def timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The backbone as in the hub's main files, which another library made: torchvision's names."""
    renamed = {}
    for name, value in state.items():
        for pattern, theirs in (
            (r"embedder\.embedder\.convolution", "conv1"),
            (r"embedder\.embedder\.normalization", "bn1"),
            (r"encoder\.stages\.(\d)\.layers", lambda m: f"layer{int(m[1]) + 1}"),
            (r"shortcut\.convolution", "downsample.0"),
            (r"shortcut\.normalization", "downsample.1"),
            (r"layer\.(\d)\.convolution", lambda m: f"conv{int(m[1]) + 1}"),
            (r"layer\.(\d)\.normalization", lambda m: f"bn{int(m[1]) + 1}"),
        ):
            if ".conv_encoder.model." in name:
                name = re.sub(pattern, theirs, name)
        renamed[name] = value
    return renamed


@pytest.mark.parametrize("backbone", ["transformers", "timm"])
@pytest.mark.parametrize(
    ("kind", "labels", "stages"),
    [
        ("DetrForObjectDetection", 91, ["stage4"]),
        ("DetrForSegmentation", 250, ["stage1", "stage2", "stage3", "stage4"]),
    ],
)
def test_a_file_of_the_hub_is_the_same_network(
    tmp_path: Path, kind: str, labels: int, stages: list[str], backbone: str
) -> None:
    theirs = hub_model(kind, labels, *stages)
    theirs.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    if backbone == "timm":
        state = load_file(path)
        assert any(".conv_encoder.model.embedder." in name for name in state)
        save_file(timm_names(state), path, metadata={"format": "pt"})
    loaded = pretrained.load(path)
    panoptic = kind == "DetrForSegmentation"
    known = coco_panoptic_categories() if panoptic else coco_categories()
    assert (loaded.categories, loaded.config.dilated) == (known, False)
    assert loaded.config.variant == ("panoptic" if panoptic else "boxes")
    loaded.config = replace(loaded.config, min_size=None)
    output = loaded.double()([torch.rand(3, 64, 96)])
    with torch.no_grad():
        expected = theirs.double()(output.batch.tensor)
    rows = [labels, *(category.coco_id for category in known)]
    assert_same(output.logits[-1], expected.logits[..., rows])
    assert_same(output.boxes[-1], expected.pred_boxes)
    if panoptic:
        found = loaded.masks(output, output.states[-1, 0], torch.zeros(7).long())
        assert_same(found, expected.pred_masks[0])


def test_the_hubs_settings_tell_whether_a_network_is_dilated(tmp_path: Path) -> None:
    theirs = hub_model("DetrForObjectDetection", 91, "stage4")
    theirs.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "dilation": True}))
    assert pretrained.load(tmp_path / "model.safetensors").config.dilated
    (tmp_path / "config.json").write_text("[")
    assert not pretrained.load(tmp_path / "model.safetensors").config.dilated


def test_other_classes_and_missing_weights_are_refused(tmp_path: Path) -> None:
    state = detr_state(small_detr("boxes"), 92)
    path = tmp_path / "detr.pth"
    torch.save({"model": {**state, "class_embed.weight": torch.zeros(21, 64)}}, path)
    with pytest.raises(SeglibError, match="21 rows of classes"):
        load_official(path)
    del state["input_proj.weight"]
    torch.save({"model": state}, path)
    with pytest.raises(SeglibError, match="input_proj"):
        load_official(path)
