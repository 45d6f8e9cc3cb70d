"""SOLO against its official code: whole networks, and both layouts of their weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from seglib import SeglibError, pretrained
from seglib.models.solo import SOLO, SOLOOutput
from seglib.models.solo.mask_maps import DecoupledMaps, DynamicMaps, LocationMaps
from seglib.models.solo.postprocess import suppressed
from seglib.pretrained.official import load_official
from seglib.pretrained.solo_names import our_name
from seglib.pretrained.solo_official import solo_from_official
from tests.helpers import GOLDEN
from tests.whole_networks import WholeNetwork, sampled_positions

NETWORKS = {
    "solo_r50": "solo",
    "decoupled_solo_r50": "decoupled",
    "solov2_r50": "v2",
}
# mmdetection's names of the same layers, from its solo_head.py, decoupled_solo_head and
# solov2_head.py.
MMDETECTION = (
    (r"^bbox_head\.(d?solo_cate)\.", r"mask_head.conv_cls."),
    (r"^bbox_head\.cate_convs\.", r"mask_head.cls_convs."),
    (r"^bbox_head\.ins_convs(_[xy])?\.", r"mask_head.mask_convs\1."),
    (r"^bbox_head\.d?solo_ins_list(_[xy])?\.", r"mask_head.conv_mask_list\1."),
    (r"^bbox_head\.solo_kernel\.", r"mask_head.conv_kernel."),
    (r"^bbox_head\.kernel_convs\.", r"mask_head.kernel_convs."),
    (r"^mask_feat_head\.conv_pred\.0\.", r"mask_head.mask_feature_head.conv_pred."),
    (r"^mask_feat_head\.", r"mask_head.mask_feature_head."),
)


def unresized(model: SOLO) -> SOLO:
    """In float64, on images as they are."""
    model.config = replace(model.config, min_size=None)
    return model.double().eval()


@dataclass(eq=False)
class Run:
    """The recorded network, ours with its weights, and our outputs for its image."""

    network: WholeNetwork
    weights: dict[str, Tensor]
    model: SOLO
    output: SOLOOutput


@pytest.fixture(scope="module", params=NETWORKS)
def run(request: pytest.FixtureRequest) -> Run:
    network = WholeNetwork(request.param)
    weights = network.weights()
    model = solo_from_official(weights, Path(f"{request.param}.pth"))
    assert isinstance(model, SOLO)
    assert model.config.variant == NETWORKS[request.param]
    with torch.no_grad():
        return Run(network, weights, unresized(model), model([network.image()]))


def mask_outputs(output: SOLOOutput) -> dict[str, list[Tensor]]:
    """The mask branch's outputs by their recorded names."""
    maps = output.masks
    if isinstance(maps, LocationMaps):
        return {"ins": maps.logits}
    if isinstance(maps, DecoupledMaps):
        return {"ins_x": maps.columns, "ins_y": maps.rows}
    assert isinstance(maps, DynamicMaps)
    return {"kernel": maps.kernels}


def test_raw_outputs_equal_the_official_networks(run: Run) -> None:
    network, output = run.network, run.output
    network.assert_same("input", output.batch.tensor)
    for level, features in enumerate(output.pyramid, start=2):
        network.assert_same(f"p{level}", features)
    for kind, levels in {"cate": output.class_logits, **mask_outputs(output)}.items():
        assert len(levels) == 5
        for level, values in enumerate(levels):
            network.assert_same(f"{kind}_{level}", values)
    if isinstance(output.masks, DynamicMaps):
        network.assert_same("mask_feat", output.masks.features)


def test_what_enters_and_leaves_matrix_nms_is_the_official(run: Run) -> None:
    network, model, output = run.network, run.model, run.output
    found = model.candidates(output, model.scores(output.class_logits), 0)
    expected = network.inference
    assert len(found.scores) >= 50
    np.testing.assert_allclose(found.scores, expected["nms_scores_in"], rtol=1e-8)
    assert found.classes.tolist() == expected["nms_labels"].tolist()
    areas = (found.masks > model.config.selection.mask_threshold).sum((1, 2))
    assert areas.tolist() == expected["nms_areas"].tolist()
    lowered = np.sort(expected["nms_scores_out"])[::-1]
    after = suppressed(found, model.config.selection).scores
    np.testing.assert_allclose(after, lowered[: len(after)], rtol=1e-8)


def test_detections_equal_the_official_ones(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    network, model, output = run.network, run.model, run.output
    size = tuple(network.about["inference"][f"original_{side}"] for side in ("height", "width"))
    monkeypatch.setattr(model, "forward", lambda images: output)
    # The image had another size before it was resized to the network's.
    (prediction,) = model.predict_batch([torch.zeros(3, *size)])
    found, expected = prediction.instances, network.inference
    assert found is not None
    assert found.masks is not None
    np.testing.assert_allclose(found.scores, expected["scores"], rtol=1e-8)
    assert (found.labels - 1).tolist() == expected["labels"].tolist()
    assert found.masks.flatten(1).sum(1).tolist() == expected["mask_areas"].tolist()
    bits = found.masks.flatten(1)[:, sampled_positions(size[0] * size[1])]
    assert np.array_equal(bits, expected["mask_bits"])
    inclusive = found.boxes - torch.tensor([0, 0, 1, 1])
    inclusive[~found.masks.flatten(1).any(1)] = -1
    assert np.array_equal(inclusive, expected["mask_boxes"])


def test_mmdetections_layout_has_the_same_names_for_us(run: Run) -> None:
    for official in run.weights:
        renamed = official
        for pattern, replacement in MMDETECTION:
            renamed = re.sub(pattern, replacement, renamed)
        assert not renamed.startswith(("bbox_head.", "mask_feat_head."))
        assert our_name(renamed) == our_name(official)
        assert our_name(official) != official or official.startswith("backbone.")


def test_a_file_is_loaded_by_its_path(run: Run, tmp_path: Path) -> None:
    if run.model.config.variant != "v2":
        pytest.skip("one file is enough")
    path = tmp_path / "SOLOv2_R50_3x.pth"  # as a training script of mmdetection writes it
    state = {f"module.{name}": value for name, value in run.weights.items()}
    torch.save({"meta": {"epoch": 36}, "state_dict": state}, path)
    loaded = pretrained.load(path)
    assert loaded.config.to_dict() == {**run.model.config.to_dict(), "min_size": 800}
    assert len(loaded.categories) == 80
    expected = run.model.state_dict()
    assert all(torch.equal(value.double(), expected[k]) for k, value in loaded.state_dict().items())
    with pytest.raises(SeglibError, match="contains a solo, not a fcn"):
        load_official(path, "fcn")


def test_a_missing_or_strange_layer_is_refused(run: Run) -> None:
    path = Path("some.pth")
    without = {k: v for k, v in run.weights.items() if "cate_convs.2.conv" not in k}
    with pytest.raises(SeglibError, match=r"category\.tower\.layers\.2\.conv\.weight"):
        solo_from_official(without, path)
    with pytest.raises(SeglibError, match=r"bbox_head\.unknown"):
        solo_from_official({**run.weights, "bbox_head.unknown.weight": torch.zeros(1)}, path)
    last = next(name for name in run.weights if name.endswith("solo_cate.weight"))
    few = {**run.weights, last: run.weights[last][:3]}
    with pytest.raises(SeglibError, match="3 classes"):
        solo_from_official(few, path)


SLOW_LAYOUTS = ("solo_r101", "decoupled_solo_r101", "solov2_r101", "solov2_light_448_r34")
OTHER_LAYOUTS = [
    ("decoupled_solo_light_r50", "decoupled_light", 512),
    ("solov2_light_448_r18", "v2", 448),
    ("solov2_light_448_r34", "v2", 448),
    ("solov2_light_448_r50", "v2", 448),
    ("solo_r101", "solo", 800),
    ("decoupled_solo_r101", "decoupled", 800),
    ("solov2_r101", "v2", 800),
]


@pytest.mark.parametrize(
    ("name", "variant", "min_size"),
    [
        pytest.param(*row, marks=[pytest.mark.slow] if row[0] in SLOW_LAYOUTS else [])
        for row in OTHER_LAYOUTS
    ],
)
def test_every_published_layout_fits(name: str, variant: str, min_size: int) -> None:
    layouts = json.loads((GOLDEN / "whole" / "solo_layouts.json").read_text("utf-8"))
    state = {key: torch.zeros(()).expand(shape) for key, shape in layouts[name]["layout"]}
    model = solo_from_official(state, Path(layouts[name]["published_files"][0]))
    assert isinstance(model, SOLO)
    assert (model.config.variant, model.config.min_size) == (variant, min_size)
    assert model.config.bottleneck != name.endswith(("r18", "r34"))
