"""The published PolarMask: official weights through the loader, raw outputs and detections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seglib import SeglibError
from seglib.models.polarmask import PolarMask, PolarMaskConfig
from seglib.models.polarmask.model import PolarMaskOutput
from seglib.pretrained.official import load_official
from tests.whole_networks import WholeNetwork

LAST_PIXEL = torch.tensor([0, 0, 1, 1])  # the authors' boxes end there, ours after it


@pytest.fixture(scope="module")
def recorded() -> WholeNetwork:
    return WholeNetwork("polarmask_r50")


@pytest.fixture(scope="module")
def model(recorded: WholeNetwork, tmp_path_factory: pytest.TempPathFactory) -> PolarMask:
    """The official weights as their authors' file would bring them, in float64."""
    path = tmp_path_factory.mktemp("official") / "polarmask.pth"
    torch.save({"meta": {}, "state_dict": recorded.weights()}, path)
    built = load_official(path, "polarmask")
    path.unlink()
    assert isinstance(built, PolarMask)
    assert built.config == PolarMaskConfig.paper()
    built.config = replace(built.config, fixed_size=None)  # recorded without resizing
    return built.double()


@pytest.fixture(scope="module")
def output(model: PolarMask, recorded: WholeNetwork) -> Iterator[PolarMaskOutput]:
    with model.evaluating():
        yield model([recorded.image()])


def original_size(recorded: WholeNetwork) -> tuple[int, int]:
    about = recorded.about["inference"]
    return about["original_height"], about["original_width"]


def test_raw_outputs(model: PolarMask, recorded: WholeNetwork, output: PolarMaskOutput) -> None:
    pixels, head = output.batch.tensor, output.head
    levels = [(pixels.shape[-2] // s, pixels.shape[-1] // s) for s in (8, 16, 32)]
    levels += [(4, 5), (2, 3)]
    found = {
        "input": pixels.flip(1),  # BGR
        **dict(zip(("c2", "c3", "c4", "c5"), model.backbone(pixels), strict=True)),
        **dict(zip(("p3", "p4", "p5", "p6", "p7"), model.features(pixels), strict=True)),
    }
    outputs = {
        "cls": head.logits,
        "centerness": head.centerness[..., None],
        "bbox": head.sides,
        "mask": head.rays,
    }
    for name, flat in outputs.items():
        parts = flat.mT.split(output.levels, dim=2)  # [1, K, H·W] each
        found |= {f"{name}_{i}": part.unflatten(2, levels[i]) for i, part in enumerate(parts)}
    candidates = model.candidates(output, 0, original_size(recorded))
    contours = model.contours(
        candidates.points, candidates.rays, output.batch.sizes[0], original_size(recorded)
    )
    found |= {
        "nms_boxes": candidates.boxes - LAST_PIXEL,
        "nms_contours": contours.mT,
        "nms_scores": candidates.probabilities,
        "nms_factors": candidates.factors,
    }
    assert set(found) == set(recorded.outputs)
    for name, value in found.items():
        recorded.assert_same(name, value)


def test_detections(model: PolarMask, recorded: WholeNetwork, output: PolarMaskOutput) -> None:
    size = original_size(recorded)
    candidates = model.candidates(output, 0, size)
    rows, labels, scores = model.select(candidates)
    truth = {name: torch.from_numpy(values) for name, values in recorded.inference.items()}
    assert len(rows) == recorded.about["inference"]["counts"]["final"] == 100
    assert torch.equal(labels - 1, truth["labels"].long())
    close(scores, truth["scores"])
    close(candidates.boxes[rows] - LAST_PIXEL, truth["boxes"])
    seen = output.batch.sizes[0]
    contours = model.contours(candidates.points[rows], candidates.rays[rows], seen, size)
    close(contours.mT, truth["contours"])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_predictions_have_scores_up_to_one(model: PolarMask, recorded: WholeNetwork) -> None:
    (found,) = model.predict([recorded.image()])
    assert found.instances is not None
    assert found.instances.masks.shape == (100, 250, 310)
    assert float(found.instances.scores.max()) <= 1
    assert (found.instances.scores.diff() <= 0).all()


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("bbox_head.scales_mask.0.scale", "head.ray_scales"),
        ("neck.fpn_convs.4.conv.bias", "coarser.1.bias"),
        ("bbox_head.mask_convs.2.gn.weight", "head.ray_tower.7.weight"),
    ],
)
def test_a_missing_part_is_named(recorded, tmp_path, lost, message):
    state = {n: w for n, w in recorded.weights().items() if n != lost}
    torch.save(state, tmp_path / "polarmask.pth")
    with pytest.raises(SeglibError, match=message):
        load_official(tmp_path / "polarmask.pth")
