"""Configs refuse values that no network can be built or used with, by the field's name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from seglib import SeglibError
from seglib.models import MODELS, build_model
from seglib.models.config import ModelConfig
from seglib.models.deepmask.config import DeepMaskConfig
from seglib.models.fcn.config import FCNConfig
from seglib.models.mask_rcnn.config import MaskRCNNConfig, RPNRules
from seglib.models.yolact.config import YOLACTConfig
from tests.modelling import some_categories

WRONG = [
    ("fcn", {"variant": "4s"}, "no variant '4s': choose 32s, 16s, 8s or dilated"),
    ("fcn", {"reduction": "none"}, "no reduction 'none': choose mean or sum"),
    ("fcn", {"dropout": 1.5}, "dropout=1.5: it must be in 0…1"),
    ("fcn", {"backbone_lr_scale": -0.1}, "backbone_lr_scale=-0.1: it must be 0 or more"),
    ("fcn", {"augmentation": "x"}, "no augmentation 'x': choose flip or flip_crop_color"),
    ("deepmask", {"negatives": "x"}, "no negatives 'x'"),
    ("deepmask", {"mask_threshold": 3.0}, "mask_threshold=3.0: it must be in 0…1"),
    ("fcn", {"first_padding": -1}, "first_padding=-1: it must be 0 or more"),
    ("fcn", {"stages": ((16,), (0,), (8,), (8,), (8,))}, "stages=.*must be 1 or more"),
    ("deepmask", {"octave_step": 0.0}, "octave_step=0.0: it must be 0.01 or more"),
    ("deepmask", {"octaves": (1.0, -1.0)}, "the lower comes first"),
    ("deepmask", {"context": -8}, "context=-8: it must be 0 or more"),
    ("deepmask", {"patches": 0}, "patches=0: it must be 1 or more"),
    ("deepmask", {"stem": "x"}, "no stem 'x'"),
    ("deepmask", {"stem": "half", "stride": 16}, "the stride is 4 or 8"),
    ("mask_rcnn", {"conventions": "zz"}, "no conventions 'zz': choose torchvision or detectron2"),
    ("mask_rcnn", {"stem": "x"}, "no stem 'x': choose imagenet, half or small"),
    ("mask_rcnn", {"norm": "x"}, "no norm 'x'"),
    ("mask_rcnn", {"pooling": "x"}, "no pooling 'x'"),
    ("mask_rcnn", {"mask_competition": "x"}, "no mask_competition 'x'"),
    ("mask_rcnn", {"image_size": -3}, "image_size=-3: it must be 1 or more"),
    ("mask_rcnn", {"image_size": "a"}, r"image_size='a': it must be int \| None"),
    ("mask_rcnn", {"nms_iou": 3}, "nms_iou=3: it must be in 0…1"),
    ("mask_rcnn", {"score_threshold": float("nan")}, "score_threshold=nan"),
    ("mask_rcnn", {"box_bins": 0}, "box_bins=0"),
    ("mask_rcnn", {"box_weights": (1.0, 1.0)}, "box_weights=.*must be DeltaWeights"),
    ("mask_rcnn", {"blocks": (1, "a", 1, 1)}, "blocks=.*must be tuple"),
    ("mask_rcnn", {"rpn": 7}, "rpn=7: it must be RPNRules"),
    ("mask_rcnn", {"rpn": RPNRules(nms_iou=-1.0)}, "RPNRules has nms_iou=-1.0"),
    ("mask_rcnn", {"rpn": {"nms_iou": "a"}}, "RPNRules has nms_iou='a'"),
    ("mask_rcnn", {"anchor_sizes": ()}, r"anchor_sizes=\(\)"),
    ("mask_rcnn", {"anchor_sizes": ((), ())}, "at least one"),
    ("mask_rcnn", {"anchor_sizes": ((8.0,), (16.0, 20.0))}, "the same number of sizes"),
    ("mask_rcnn", {"anchor_sizes": ((8.0,), (-16.0,))}, "positive numbers"),
    ("mask_rcnn", {"anchor_ratios": ()}, "at least one ratio"),
    ("cascade_rcnn", {"variant": "x"}, "no variant 'x': choose official or detectron2"),
    ("cascade_rcnn", {"image_size": 0}, "image_size=0"),
    ("cascade_rcnn", {"stage_ious": (0.5, 0.6, 7.0)}, "stage_ious=.*in 0…1"),
    ("yolact", {"conventions": "x"}, "no conventions 'x': choose official or seglib"),
    ("yolact", {"conventions": "official"}, "no image_size: they stretch images to a square"),
    ("yolact", {"suppression": "x"}, "no suppression 'x': choose fast or greedy"),
    ("yolact", {"prototypes": 0}, "prototypes=0: it must be 1 or more"),
    ("yolact", {"positive_iou": 0.3}, "negative_iou=0.4 above positive_iou=0.3"),
    ("yolact", {"extra_levels": 3}, "give each of the 6 levels the same number of sizes"),
    ("yolact", {"anchor_ratios": ()}, "at least one ratio"),
    ("yolact", {"anchor_ratios": (1.0, -2.0)}, "they must be positive numbers"),
    ("yolact", {"loss_weights": {"masks": -1.0}}, "LossWeights has masks=-1.0"),
]


@pytest.mark.parametrize(("name", "values", "message"), WRONG)
def test_wrong_values_are_named(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(SeglibError, match=message):
        build_model(name, some_categories(), **values)
    config = MODELS[name].config_class.pocket()
    with pytest.raises(SeglibError, match=message):  # as a checkpoint's header brings them
        type(config).from_dict({**config.to_dict(), **values})


def test_a_config_checks_itself() -> None:
    with pytest.raises(SeglibError, match="image_size=0"):
        ModelConfig(image_size=0)
    with pytest.raises(SeglibError, match="no pooling"):
        replace(MaskRCNNConfig.pocket(), pooling="x")  # type: ignore[arg-type]


@pytest.mark.parametrize("config", [FCNConfig, DeepMaskConfig, MaskRCNNConfig, YOLACTConfig])
def test_a_config_is_restored_from_plain_values(config: type[ModelConfig]) -> None:
    values = config.pocket().to_dict()
    as_json = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    assert config.from_dict(as_json) == config.pocket()


def test_overrides_may_be_lists_and_nested_values() -> None:
    model = build_model("mask_rcnn", some_categories(), blocks=[1, 1, 1, 1], rpn={"sampled": 9})
    assert isinstance(model.config, MaskRCNNConfig)
    assert (model.config.blocks, model.config.rpn) == ((1, 1, 1, 1), RPNRules(sampled=9))
