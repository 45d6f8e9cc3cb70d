"""The published YOLACT: official weights through the loader, raw outputs and detections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seglib import SeglibError
from seglib.models.yolact import YOLACT, YOLACTConfig, YOLACTOutput
from seglib.models.yolact.box_coder import decode_boxes
from seglib.models.yolact.conventions import CONVENTIONS
from seglib.models.yolact.masks import assemble_masks, boxes_in_cells, crop_masks
from seglib.ops.masks import mask_area
from seglib.pretrained.official import load_official
from tests.whole_networks import WholeNetwork, sampled_positions


@pytest.fixture(scope="module")
def recorded() -> WholeNetwork:
    return WholeNetwork("yolact_resnet50")


@pytest.fixture(scope="module")
def model(recorded: WholeNetwork, tmp_path_factory: pytest.TempPathFactory) -> YOLACT:
    """The official weights as their authors' file would bring them, in float64."""
    path = tmp_path_factory.mktemp("official") / "yolact_resnet50_54_800000.pth"
    stale = ("backbone.layer4.0.weight", "fpn.downsample_layers.2.bias")
    torch.save({**recorded.weights(), **{name: torch.ones(1) for name in stale}}, path)
    built = load_official(path, "yolact")
    path.unlink()
    assert isinstance(built, YOLACT)
    assert built.config == YOLACTConfig.paper()
    built.config = replace(built.config, image_size=recorded.about["image"]["height"])
    return built.double()


@pytest.fixture(scope="module")
def output(model: YOLACT, recorded: WholeNetwork) -> Iterator[YOLACTOutput]:
    with model.evaluating():
        yield model([recorded.image()])


def relative(boxes: Tensor, output: YOLACTOutput) -> Tensor:
    height, width = output.batch.canvas
    return boxes / boxes.new_tensor([width, height, width, height])


def test_raw_outputs(model: YOLACT, recorded: WholeNetwork, output: YOLACTOutput) -> None:
    logits, deltas, coefficients = output.of_anchors
    found = {
        "input": output.batch.tensor,
        **dict(zip(("c2", "c3", "c4", "c5"), model.backbone(output.batch.tensor), strict=True)),
        **dict(zip(("p3", "p4", "p5", "p6", "p7"), output.pyramid, strict=True)),
        "conf": logits,
        "loc": deltas,
        "mask": coefficients,
        "softmax": logits[0].softmax(dim=1),
        "priors": relative(output.anchors, output),
        "proto": output.prototypes.permute(0, 2, 3, 1),
        "segm": model.semantic(output.pyramid[0]),
        "decoded_boxes": relative(decode_boxes(output.anchors, deltas[0]), output),
    }
    assert set(found) == set(recorded.outputs)
    for name, value in found.items():
        recorded.assert_same(name, value)


def test_detections(model: YOLACT, recorded: WholeNetwork, output: YOLACTOutput) -> None:
    (found,) = model.detect(output)
    about, expected = recorded.about["inference"], recorded.inference
    truth = {name: torch.from_numpy(values) for name, values in expected.items()}
    coefficients = output.of_anchors.coefficients[0, found.rows]
    assert len(found.rows) == about["counts"]["detections"] == 100
    assert torch.equal(found.classes, truth["classes"])
    for value, name in (
        (relative(found.boxes, output), "boxes"),
        (found.scores, "scores"),
        (coefficients, "coefficients"),
    ):
        torch.testing.assert_close(value, truth[name], rtol=1e-8, atol=1e-8)

    boxes = boxes_in_cells(found.boxes, output.batch.canvas, output.cells)
    masks = crop_masks(assemble_masks(coefficients, output.prototypes[0]).sigmoid(), boxes)
    size = (about["output_height"], about["output_width"])
    canvas = output.batch.canvas
    instances = model.finish(found, masks, canvas, canvas, size).instances
    assert instances is not None
    assert torch.equal(instances.boxes.long(), truth["pixel_boxes"])
    assert torch.equal(mask_area(instances.masks), truth["mask_areas"])
    bits = instances.masks.flatten(1)[:, sampled_positions(size[0] * size[1])]
    assert torch.equal(bits, truth["mask_bits"].bool())


def test_true_ratios_would_be_other_anchors(
    model: YOLACT, recorded: WholeNetwork, output: YOLACTOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published weights need the square anchors of issue 19: without them, boxes differ."""
    sides = output.anchors[:, 2:]
    assert torch.equal(sides[:, 0], sides[:, 1])
    ours = replace(CONVENTIONS["official"], square_anchors=False)
    monkeypatch.setattr(model, "reference", ours)
    true = model.anchors(output.pyramid, output.batch.canvas)
    assert torch.equal(true[:, :2], output.anchors[:, :2])
    ratios = (true[:, 2] / true[:, 3]).view(-1, 3)
    torch.testing.assert_close(ratios[:3], torch.tensor([[1, 0.5, 2]] * 3).to(ratios))
    # The squares have the intended areas only for ratio 1.
    areas = (true[:, 2] * true[:, 3]).view(-1, 3)
    squares = sides.prod(dim=1).view(-1, 3)
    torch.testing.assert_close(squares, areas * torch.tensor([1, 0.5, 2]).to(areas))
    expected = torch.from_numpy(recorded.outputs["decoded_boxes"])
    boxes = relative(decode_boxes(true, output.of_anchors.deltas[0]), output).flatten()
    assert not torch.allclose(boxes[sampled_positions(len(boxes))], expected, atol=0.01)


def test_other_classes_are_refused_by_name(recorded: WholeNetwork, tmp_path: Path) -> None:
    weights = recorded.weights(beginning_with="prediction_layers")
    for part in ("weight", "bias"):
        name = f"prediction_layers.0.conf_layer.{part}"
        weights[name] = weights[name][:63]  # Pascal VOC
    torch.save(weights, tmp_path / "yolact_resnet50_pascal.pth")
    with pytest.raises(SeglibError, match=r"conf_layer\.weight has 63 rows, not 243"):
        load_official(tmp_path / "yolact_resnet50_pascal.pth")
