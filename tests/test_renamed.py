"""Weights of earlier versions find their places under today's names."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from seglib import pretrained
from seglib.pretrained.renamed import with_present_names
from seglib.pretrained.shipped import SHIPPED


def present_name(model: str, name: str) -> str:
    (renamed,) = with_present_names(model, {name: torch.zeros(1)})
    return renamed


@pytest.mark.parametrize(
    ("model", "old", "new"),
    [
        ("fcn", "network.trunk.conv1.weight", "network.backbone.conv1.weight"),
        ("deepmask", "network.trunk.conv1.weight", "network.backbone.conv1.weight"),
        ("mask_rcnn", "box_head.fc6.weight", "box_heads.head.fc6.weight"),
        ("mask_rcnn", "mask_head.convs.0.bias", "mask_branch.head.convs.0.bias"),
        ("cascade_rcnn", "box_heads.2.fc7.bias", "box_heads.heads.2.fc7.bias"),
        ("cascade_rcnn", "mask_head.conv5_mask.bias", "mask_branch.head.conv5_mask.bias"),
    ],
)
def test_old_names_are_mapped_and_current_names_kept(model: str, old: str, new: str) -> None:
    assert present_name(model, old) == new
    assert present_name(model, new) == new
    assert present_name("another", old) == old


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_weights_arrive_under_today_s_names(name: str) -> None:
    model = pretrained.load(name)
    with safe_open(pretrained.find(name), framework="pt") as stored:
        tensors = {key: stored.get_tensor(key).float() for key in stored.keys()}  # noqa: SIM118
    renamed = with_present_names(model.name, tensors)
    state = model.state_dict()
    assert renamed.keys() == state.keys()
    assert all(torch.equal(state[key].float(), value) for key, value in renamed.items())
