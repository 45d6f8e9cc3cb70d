"""Published weights: torchvision's and detectron2's layouts, and files that cannot be trusted."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from seglib import SeglibError, pretrained
from seglib.data.coco_categories import coco_categories, voc_categories
from seglib.models.base import PIXEL_MEAN, PIXEL_STD, Segmenter
from seglib.models.cascade_rcnn import CascadeRCNN, CascadeRCNNConfig
from seglib.models.mask_rcnn import MaskRCNN
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.nn.resnet import BasicBlock, Bottleneck, ResNet
from seglib.pretrained.detectron2_names import first_layer_for_rgb, our_name
from seglib.pretrained.official import load_official
from tests.modelling import randomize_statistics
from tests.official_files import UNUSED, as_published, torchvision_mask_rcnn


def test_coco_has_80_things_with_gaps_among_the_ids() -> None:
    things = coco_categories()
    assert [c.label for c in things] == list(range(1, 81))
    assert (things[0].coco_id, things[0].name) == (1, "person")
    assert (things[11].coco_id, things[11].name) == (13, "stop sign")
    assert (things[79].coco_id, things[79].name) == (90, "toothbrush")
    assert UNUSED == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    theirs = torchvision.models.detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    assert {c.coco_id: c.name for c in things} == {
        number: name for number, name in enumerate(theirs) if number and name != "N/A"
    }
    voc = voc_categories()
    assert len(voc) == 20
    assert voc.by_name("couch").coco_id == things.by_name("couch").coco_id == 63


# torchvision's files


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    return torchvision_mask_rcnn()


@pytest.mark.parametrize("rename", [dict, as_published], ids=["new", "published"])
def test_torchvision_detections_are_reproduced(
    reference: nn.Module, rename: Callable[..., dict[str, Tensor]], tmp_path: Path
) -> None:
    torch.save(rename(reference.state_dict()), tmp_path / "coco.pth")
    model = pretrained.load(tmp_path / "coco.pth")
    assert isinstance(model, MaskRCNN)
    assert model.categories == coco_categories()
    assert model.config.blocks == (1, 2, 1, 1)
    seen = {"min_size": 96, "max_size": 128, "score_threshold": 0.01, "max_detections": 300}
    model.config = replace(model.config, **seen)
    image = torch.rand(3, 96, 110, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        (expected,) = deepcopy(reference).double()([image.double()])
    found = model.double().predict([image.double()])[0].instances
    assert found is not None
    assert len(found) == len(expected["scores"]) >= 50
    ids = torch.tensor([c.coco_id for c in model.categories])[found.labels - 1]
    assert torch.equal(ids, expected["labels"])
    assert len(ids.unique()) > 1
    # The scale absorbed the epsilon in float32.
    torch.testing.assert_close(found.scores, expected["scores"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.boxes, expected["boxes"], rtol=1e-4, atol=1e-3)
    same = (found.masks == (expected["masks"][:, 0] >= 0.5)).float().mean()
    assert same > 0.999


def test_eps_can_be_given(reference: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save(reference.state_dict(), path)
    name, theirs = "backbone.bn1.weight", reference.state_dict()["backbone.body.bn1.weight"]
    assert torch.equal(load_official(path, norm_eps=1e-5).state_dict()[name], theirs)
    changed = load_official(path).state_dict()[name]
    torch.testing.assert_close(changed[0], theirs[0] * (11**0.5), rtol=1e-4, atol=0)


@pytest.mark.slow
def test_torchvision_fcn_is_reproduced(tmp_path: Path) -> None:
    theirs = torchvision.models.segmentation.fcn_resnet50(
        weights=None, weights_backbone=None, aux_loss=True, num_classes=21
    )
    randomize_statistics(theirs).eval()
    state = {n: v for n, v in theirs.state_dict().items() if "num_batches" not in n}
    torch.save(state, tmp_path / "fcn.pth")
    model = load_official(tmp_path / "fcn.pth", "fcn")
    assert model.categories.names[11] == "dog"
    x = torch.randn(1, 3, 40, 40)
    with torch.no_grad():
        torch.testing.assert_close(model.raw(x), theirs(x)["out"], rtol=1e-4, atol=1e-4)
    with pytest.raises(SeglibError, match="contains a fcn, not a mask_rcnn"):
        load_official(tmp_path / "fcn.pth", "mask_rcnn")


# detectron2's files

SMALL = {
    "blocks": (1, 2, 1, 1),
    "width": 4,
    "fpn_width": 8,
    "box_hidden": 16,
    "mask_width": 6,
    "stride_in_1x1": True,
}


def small(cascade: bool) -> Segmenter:
    """A model with detectron2's layout, no parameter at its initial value."""
    torch.manual_seed(0)
    model: MaskRCNN
    if cascade:
        model = CascadeRCNN(
            replace(CascadeRCNNConfig.paper("detectron2"), **SMALL), coco_categories()
        )
    else:
        plain = MaskRCNNConfig.detectron2()
        model = MaskRCNN(replace(plain, **SMALL), coco_categories())
    with torch.no_grad():
        for value in model.state_dict().values():
            value.copy_(torch.rand_like(value) * 0.5 + 0.1 if value.ndim == 1 else value * 2)
        for name, value in model.state_dict().items():
            if "cls_score" in name or "cls_logits" in name:
                value.copy_(torch.randn_like(value))
            # detectron2 has neither corrections nor masks for background.
            if name.startswith("box_heads.head.bbox_pred"):
                value[:4] = 0
            if name.startswith("mask_branch.head.mask_fcn_logits"):
                value[0] = 0
    return model.eval()


def detectron2_name(name: str) -> str:
    """The reverse: detectron2's own name of a layer."""
    stage = re.match(r"backbone\.layer(\d)\.(\d+)\.(.*)", name)
    if stage:
        rest = re.sub(r"^bn(\d)\.", r"conv\1.norm.", stage[3])
        rest = rest.replace("downsample.0.", "shortcut.").replace("downsample.1.", "shortcut.norm.")
        return f"backbone.bottom_up.res{int(stage[1]) + 1}.{stage[2]}.{rest}"
    name = name.replace("backbone.conv1.", "backbone.bottom_up.stem.conv1.")
    name = name.replace("backbone.bn1.", "backbone.bottom_up.stem.conv1.norm.")
    name = re.sub(r"^fpn\.(\w+)\.(\d)\.", lambda m: f"backbone.fpn_{m[1]}{int(m[2]) + 2}.", name)
    for ours, theirs in {
        "rpn.head.conv.0.0.": "proposal_generator.rpn_head.conv.",
        "rpn.head.cls_logits.": "proposal_generator.rpn_head.objectness_logits.",
        "rpn.head.bbox_pred.": "proposal_generator.rpn_head.anchor_deltas.",
        "mask_branch.head.conv5_mask.": "roi_heads.mask_head.deconv.",
        "mask_branch.head.mask_fcn_logits.": "roi_heads.mask_head.predictor.",
    }.items():
        name = name.replace(ours, theirs)
    name = re.sub(
        r"^mask_branch\.head\.convs\.(\d)\.",
        lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}.",
        name,
    )
    name = re.sub(r"^box_heads\.heads?\.(\d\.)?(cls|bbox)_", r"roi_heads.box_predictor.\1\2_", name)
    name = re.sub(r"^box_heads\.heads?\.(\d\.)?fc6", r"roi_heads.box_head.\1fc1", name)
    return re.sub(r"^box_heads\.heads?\.(\d\.)?fc7", r"roi_heads.box_head.\1fc2", name)


def detectron2_state(model: Segmenter) -> dict[str, np.ndarray]:
    """A model's weights as detectron2 would have written them."""
    std = torch.tensor(PIXEL_STD)[:, None, None] * 255
    arrays = {"pixel_mean": np.float32([103.53, 116.28, 123.675]).reshape(3, 1, 1)}
    arrays["pixel_std"] = np.ones((3, 1, 1), np.float32)
    for name, value in model.state_dict().items():
        if name == "backbone.conv1.weight":
            value = (value / std).flip(1)
        elif "cls_score" in name:
            value = torch.cat([value[1:], value[:1]])
        elif name.startswith("box_heads.head.bbox_pred"):
            value = value[4:]
        elif "mask_fcn_logits" in name:
            value = value[1:]
        arrays[detectron2_name(name)] = value.numpy()
    return arrays


def written(arrays: dict[str, np.ndarray], path: Path, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "someone"}, protocol))
    return path


@pytest.mark.parametrize("cascade", [False, True], ids=["mask", "cascade"])
def test_detectron2_layout_is_read(cascade: bool, tmp_path: Path) -> None:
    model = small(cascade)
    loaded = pretrained.load(written(detectron2_state(model), tmp_path / "model_final.pkl"))
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=1e-6, atol=0)
    # In float64, so that nothing is compared but the weights, whose conversion rounds to float32.
    image = torch.rand(3, 60, 70, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    predictions = []
    for one in (model, loaded):
        one.config = replace(one.config, min_size=96, max_size=128, score_threshold=0.0)
        predictions.append(one.double().predict([image])[0].instances)
    expected, found = predictions
    assert len(expected) >= 50
    torch.testing.assert_close(found.scores, expected.scores, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(found.boxes, expected.boxes, rtol=1e-5, atol=1e-3)
    assert torch.equal(found.labels, expected.labels)


def test_detectron2_names_are_translated() -> None:
    """Names written out by hand, so that the same mistake in both directions does not pass."""
    for theirs, ours in {
        "backbone.bottom_up.stem.conv1.weight": "backbone.conv1.weight",
        "backbone.bottom_up.stem.conv1.norm.running_var": "backbone.bn1.running_var",
        "backbone.bottom_up.res2.0.shortcut.weight": "backbone.layer1.0.downsample.0.weight",
        "backbone.bottom_up.res5.2.shortcut.norm.bias": "backbone.layer4.2.downsample.1.bias",
        "backbone.bottom_up.res4.5.conv3.weight": "backbone.layer3.5.conv3.weight",
        "backbone.bottom_up.res4.5.conv3.norm.weight": "backbone.layer3.5.bn3.weight",
        "backbone.fpn_lateral2.bias": "fpn.lateral.0.bias",
        "backbone.fpn_output5.weight": "fpn.output.3.weight",
        "proposal_generator.rpn_head.conv.weight": "rpn.head.conv.0.0.weight",
        "proposal_generator.rpn_head.objectness_logits.bias": "rpn.head.cls_logits.bias",
        "proposal_generator.rpn_head.anchor_deltas.bias": "rpn.head.bbox_pred.bias",
        "roi_heads.box_head.fc1.weight": "box_heads.head.fc6.weight",
        "roi_heads.box_head.2.fc2.bias": "box_heads.heads.2.fc7.bias",
        "roi_heads.box_predictor.cls_score.weight": "box_heads.head.cls_score.weight",
        "roi_heads.box_predictor.1.bbox_pred.bias": "box_heads.heads.1.bbox_pred.bias",
        "roi_heads.mask_head.mask_fcn4.weight": "mask_branch.head.convs.3.weight",
        "roi_heads.mask_head.deconv.weight": "mask_branch.head.conv5_mask.weight",
        "roi_heads.mask_head.predictor.bias": "mask_branch.head.mask_fcn_logits.bias",
    }.items():
        assert our_name(theirs) == ours
        assert detectron2_name(ours) == theirs


def test_first_layer_reads_bytes_in_blue_green_red() -> None:
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    image = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    mean, std = (
        torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (PIXEL_MEAN, PIXEL_STD)
    )
    ours = nn.functional.conv2d(
        (image - mean) / std, first_layer_for_rgb(weight, torch.ones(3)), padding=1
    )
    theirs = nn.functional.conv2d(((image - mean) * 255).flip(1), weight, padding=1)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_the_first_1x1_can_have_the_stride() -> None:
    block = Bottleneck(8, 4, stride=2, stride_in_1x1=True)
    assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))
    assert block(torch.rand(1, 8, 7, 6)).shape == (1, 16, 4, 3)
    backbone = ResNet(Bottleneck, (1, 2, 1, 1), width=4, stride_in_1x1=True)
    assert backbone.layer2[0].conv1.stride == (2, 2)
    assert backbone.layer2[1].conv1.stride == backbone.layer1[0].conv1.stride == (1, 1)
    assert ResNet(Bottleneck, (1, 1, 1, 1), width=4).layer2[0].conv2.stride == (2, 2)
    with pytest.raises(SeglibError, match="no 1x1"):
        ResNet(BasicBlock, (1, 1, 1, 1), stride_in_1x1=True)


def test_detectron2_training_file(tmp_path: Path) -> None:
    state = {n: torch.from_numpy(v.copy()) for n, v in detectron2_state(small(False)).items()}
    torch.save({"model": state, "iteration": 9}, tmp_path / "model_0000009.pth")
    assert load_official(tmp_path / "model_0000009.pth").name == "mask_rcnn"


# Refused files


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return detectron2_state(small(False))


def test_faults_are_named_as_the_file_names_them(
    arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "model.pkl"
    name = "roi_heads.box_head.fc2.weight"
    right = arrays[name]
    arrays[name] = right[:, :5]
    with pytest.raises(SeglibError, match=rf"{name} is \[16, 5\], the model needs \[16, 16\]"):
        load_official(written(arrays, path))
    arrays[name] = right
    arrays["roi_heads.keypoint_head.score.weight"] = right
    with pytest.raises(SeglibError, match=r"keypoint_head\.score\.weight is not part of the model"):
        load_official(written(arrays, path))
    del arrays["roi_heads.keypoint_head.score.weight"], arrays["backbone.fpn_output3.bias"]
    with pytest.raises(SeglibError, match=r"fpn\.output\.1\.bias is missing"):
        load_official(written(arrays, path))
    del arrays["roi_heads.box_head.fc1.weight"]
    with pytest.raises(SeglibError, match=r"lacks box_heads\.head\.fc6\.weight"):
        load_official(written(arrays, path))


def test_other_classes_and_other_pixels_are_refused(
    arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path, name = tmp_path / "model.pkl", "roi_heads.mask_head.predictor.weight"
    right = arrays[name]
    arrays[name] = right[:7]
    with pytest.raises(SeglibError, match="has 7 classes"):
        load_official(written(arrays, path))
    arrays[name] = right
    arrays["pixel_mean"] = np.float32([123.675, 116.28, 103.53])
    with pytest.raises(SeglibError, match="pixel mean"):
        load_official(written(arrays, path))


def test_unknown_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeglibError, match="no network that seglib knows"):
        load_official(written({"a.weight": np.zeros(1)}, tmp_path / "a.pkl"))
    with pytest.raises(SeglibError, match="no file at"):
        pretrained.load("gone.pth")
    (tmp_path / "b.pth").write_bytes(b"nothing")
    (tmp_path / "b.pkl").write_bytes(b"nothing")
    for name in ("b.pth", "b.pkl"):
        with pytest.raises(SeglibError, match="damaged"):
            load_official(tmp_path / name)
    (tmp_path / "b.pth").write_bytes(b"")
    with pytest.raises(SeglibError, match=r"b\.pth is damaged .*it is empty"):
        load_official(tmp_path / "b.pth")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("backbone.bottom_up.stem.conv1.weight", (2,), "is .2., the model needs 4 dimensions"),
        ("backbone.bottom_up.stem.conv1.weight", (), "is .., the model needs 4 dimensions"),
        ("backbone.bottom_up.stem.conv1.weight", (64, 1, 7, 7), "the model needs .64, 3, 7, 7"),
        ("backbone.fpn_output2.weight", (0, 16, 3, 3), "none of them empty"),
        ("roi_heads.box_head.fc1.weight", (16,), "the model needs 2 dimensions"),
        ("roi_heads.box_predictor.cls_score.weight", (), "is .., the model needs"),
        ("roi_heads.box_predictor.bbox_pred.bias", (), "is .., the model needs"),
        ("roi_heads.mask_head.predictor.weight", (), "the model needs 4 dimensions"),
        ("pixel_std", (2,), "not three numbers"),
        ("pixel_mean", (2,), "not three numbers"),
    ],
)
def test_weights_of_another_rank_are_named(
    name: str, shape: tuple[int, ...], message: str, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    arrays[name] = np.ones(shape, np.float32)
    torch.save({n: torch.from_numpy(value) for n, value in arrays.items()}, tmp_path / "model.pth")
    with pytest.raises(SeglibError, match=f"{re.escape(name)}.* {message}"):
        load_official(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("roi_heads.box_predictor.cls_score.weight", "the model needs 2 dimensions"),
        ("roi_heads.box_predictor.cls_score.bias", "the model needs 1 dimensions"),
        ("backbone.body.layer1.0.bn1.weight", "the model needs .64."),
    ],
)
def test_torchvision_weights_of_another_rank_are_named(
    name: str, message: str, reference: nn.Module, tmp_path: Path
) -> None:
    torch.save(reference.state_dict() | {name: torch.tensor(1.0)}, tmp_path / "coco.pth")
    with pytest.raises(SeglibError, match=f"{re.escape(name)} is .., {message}"):
        load_official(tmp_path / "coco.pth")
