"""DETR's panoptic map: by hand, the golden set, `transformers`, learning and evaluation."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from seglib import SeglibError, pretrained
from seglib.data.datasets import load_dataset
from seglib.models.detr import DETR, DETRConfig
from seglib.models.detr.panoptic import panoptic_map
from seglib.structures import Categories, Category, Target
from tests.helpers import golden_tensors, run_cli
from tests.modelling import boxes_target, randomize_zeros
from tests.set_prediction import ours

SIZE = (64, 80)
SMALL = {"blocks": (1, 1, 1, 1), "width": 16, "channels": 64, "hidden": 32, "queries": 6}


def categories(things: int = 2, stuff: int = 1) -> Categories:
    return Categories(
        Category(label, label, f"class{label}", is_thing=label <= things)
        for label in range(1, things + stuff + 1)
    )


def tiny(known: Categories | None = None, **changes: object) -> DETR:
    torch.manual_seed(0)
    config = replace(DETRConfig.pocket("panoptic"), encoder_layers=1, **SMALL, **changes)
    return DETR(config, known or categories())


def scene() -> Target:
    """A thing of label 2 on a lower half of stuff, label 3."""
    target = boxes_target(SIZE, [(8, 8, 40, 40)], [2])
    target.semantic = torch.zeros(SIZE, dtype=torch.int64)
    target.semantic[32:] = 3
    target.semantic[8:40, 8:40] = 2
    return target


def sure(labels: list[int], classes: int) -> Tensor:
    """Logits [Q, K] of queries that are sure of these labels; 0 is "no object"."""
    return 10.0 * torch.eye(classes + 1)[labels]


def columns(*rows: list[float]) -> Tensor:
    """Mask logits [Q, 6, W] that are the same in each of six rows."""
    return torch.tensor(rows)[:, None].expand(-1, 6, -1)


def test_by_hand() -> None:
    labels = sure([1, 3, 2, 3, 0], 3)
    masks = columns(
        [5.0, 1, 1, 1, 1],
        [1.0, 5, 1, 1, 1],  # stuff, in two queries
        [1.0, 1, 5, 1, 1],
        [1.0, 1, 1, 5, 4],
        [9.0, 9, 9, 9, 9],  # of "no object"
    )
    found = panoptic_map(labels, masks, categories(), (6, 5), (6, 5))
    # The second query of stuff gave its pixels to the first and is dropped without any: then its
    # pixels go to the best of the others, as in the authors' code; all are equally good, and the
    # first of them gets them.
    assert found.labels.tolist() == [1, 3, 2]
    assert found.ids.tolist() == [1, 2, 3]
    assert found.segment_map.unique(dim=0).tolist() == [[1, 2, 3, 1, 1]]
    things = panoptic_map(labels, masks, categories(things=3, stuff=0), (6, 5), (6, 5))
    assert things.segment_map.unique(dim=0).tolist() == [[1, 2, 3, 4, 4]]


def test_segments_of_four_pixels_are_dropped_and_of_five_are_kept() -> None:
    masks = torch.zeros(2, 5, 5)
    masks[1, 0] = 1.0  # five pixels
    found = panoptic_map(sure([1, 2], 3), masks, categories(), (5, 5), (5, 5))
    assert found.segment_map[0].tolist() == [2] * 5
    masks[1, 0, 0] = -1.0
    found = panoptic_map(sure([1, 2], 3), masks, categories(), (5, 5), (5, 5))
    assert (found.labels.tolist(), found.segment_map.unique().tolist()) == ([1], [1])


def test_without_confident_queries_the_map_is_empty() -> None:
    found = panoptic_map(torch.zeros(2, 4), torch.ones(2, 3, 3), categories(), (6, 6), (5, 7))
    assert len(found) == 0
    assert found.segment_map.tolist() == [[0] * 7] * 5


def test_golden() -> None:
    par, given, out = golden_tensors("detr_postprocess", "panoptic")
    stuff = int(par["num_classes"] - par["first_stuff_class"])
    found = panoptic_map(
        ours(given["logits"]),
        given["mask_logits"],
        categories(int(par["first_stuff_class"]), stuff),
        tuple(par["processed_hw"].tolist()),
        tuple(par["target_hw"].tolist()),
        float(par["threshold"]),
    )
    assert torch.equal(found.labels - 1, out["segment_class"])
    assert [i - 1 for i in found.ids] == out["segment_id"].tolist()
    things = categories(int(par["first_stuff_class"]), stuff)
    kinds = [things.by_label(int(label)).is_thing for label in found.labels]
    assert kinds == out["segment_isthing"].bool().tolist()
    assert (found.segment_map - 1 != out["segment_map"]).float().mean() <= 0.001
    areas = [(found.segment_map == i).sum() for i in found.ids]
    assert torch.equal(torch.stack(areas), out["segment_area"])


def test_where_masks_do_not_compete_transformers_find_the_same_segments() -> None:
    """Their rule is MaskFormer's: it weighs masks by their scores, and drops by shares."""
    processing = pytest.importorskip("transformers.models.detr.image_processing_detr")
    masks = torch.full((5, 16, 20), -6.0)
    for query in range(5):
        masks[query, :, 4 * query : 4 * query + 4] = 6.0
    logits = sure([1, 4, 2, 3, 3], 4)  # 4 is stuff
    found = panoptic_map(logits, masks, categories(things=3), (16, 20), (32, 40))
    their = processing.DetrImageProcessor().post_process_panoptic_segmentation(
        SimpleNamespace(logits=logits[None].roll(-1, dims=-1), pred_masks=masks[None]),
        threshold=0.85,
        label_ids_to_fuse={3},
        target_sizes=[(32, 40)],
    )[0]
    assert found.labels.tolist() == [1, 4, 2, 3, 3]
    assert [s["label_id"] + 1 for s in their["segments_info"]] == found.labels.tolist()
    assert torch.equal(found.segment_map, their["segmentation"].long())


def test_it_learns_stuff_and_predicts_a_map_besides_things() -> None:
    model = tiny(segment_threshold=0.5)
    assert model.tasks == ("instances", "panoptic")
    assert DETR.tasks == ("instances",)
    image, target = torch.zeros(3, *SIZE), scene()
    image[0, 8:40, 8:40], image[1, 32:] = 1.0, 0.5
    objects = model.objects([image], [target], model.prepare([image]))
    assert objects.labels.tolist() == [[2, 3]]
    right, bottom = objects.boxes[0, 1, :2] + objects.boxes[0, 1, 2:] / 2
    assert (float(right), float(bottom)) == pytest.approx((1, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(40):
        optimizer.zero_grad()
        torch.stack(list(model.loss([image] * 2, [target] * 2).values())).sum().backward()
        optimizer.step()
    found = model.predict([image])[0]
    assert sorted(found.panoptic.labels.tolist()) == [2, 3]
    assert found.panoptic.segment_map.shape == SIZE
    assert 3 not in found.instances.labels
    with pytest.raises(SeglibError, match="no semantic labels"):
        model.loss([image], [replace(target, semantic=None)])


def test_perfect_has_things_and_stuff() -> None:
    model, target = tiny(), scene()
    perfect = model.perfect(torch.rand(3, *SIZE), target)
    assert perfect.instances.labels.tolist() == [2]
    assert perfect.panoptic.labels.tolist() == [2, 3]
    assert perfect.panoptic.segment_map[20, 20] == 1
    assert perfect.panoptic.segment_map[60, 70] == 2
    assert perfect.panoptic.segment_map[4, 70] == 0
    nothing = target[:0]
    nothing.semantic = torch.zeros(SIZE, dtype=torch.int64)
    assert len(model.perfect(torch.rand(3, *SIZE), nothing).panoptic) == 0
    assert model.can_learn_from(replace(target[:0], semantic=target.semantic))
    assert not model.can_learn_from(nothing)


def test_eval_prints_its_panoptic_quality(tmp_path) -> None:
    known = load_dataset("pocket", split="val", limit=1).categories
    model = randomize_zeros(tiny(known, segment_threshold=0.0))
    path = pretrained.save(model, tmp_path / "model.safetensors")
    result = run_cli("eval", path, "--dataset", "pocket", "--limit", 2, "--summary")
    assert result.exit_code == 0, result.output
    for figure in ("PQ", "SQ", "RQ", "PQ_things", "PQ_stuff", "mask_AP"):
        assert figure in result.output
    assert "reaches PQ" in result.output
