"""DeepMask: the published config, the low rank, patches and windows, and the contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seglib.cli.ceiling_lines import ceiling_lines
from seglib.errors import SeglibError
from seglib.metrics.ceilings import model_baseline, model_ceiling
from seglib.metrics.evaluate import evaluate
from seglib.models import build_model
from seglib.models.deepmask import DeepMask
from seglib.models.deepmask.config import DeepMaskConfig
from seglib.models.deepmask.model import soft_margin
from seglib.models.deepmask.network import SlidingLinear
from seglib.models.deepmask.patches import far_from_objects, sample_patches, scale_bins
from seglib.models.deepmask.windows import (
    canonical_labels,
    canonical_windows,
    crop_windows,
    octaves_above,
    sliding_windows,
    window_labels,
)
from seglib.ops.boxes import xywh_to_xyxy, xyxy_to_xywh
from seglib.ops.images import normalise_pixels
from seglib.ops.masks import mask_iou, masks_to_boxes
from seglib.structures import Categories, Category, Target
from seglib.training import overfit
from tests.helpers import golden
from tests.modelling import masks_target
from tests.toy_dataset import ToyDataset

CATEGORIES = Categories([Category(1, 1, "ball"), Category(2, 2, "box")])
RULES = golden("deepmask_rules")


def tiny(**changes: object) -> DeepMask:
    """Three scales, eight channels: a second or less for everything."""
    torch.manual_seed(0)
    small = {"width": 8, "reduced": 8, "rank": 12, "score_widths": (8,), "octaves": (-1.0, 0.0)}
    model = build_model("deepmask", CATEGORIES, **{"image_size": None, **small, **changes})
    assert isinstance(model, DeepMask)
    return model


def scene() -> tuple[torch.Tensor, Target]:
    """96 x 80 px, grey, with a bright disc of 30 px and a dark bar of 48 x 24 px."""
    y, x = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(80) + 0.5, indexing="ij")
    disc = (y - 24) ** 2 + (x - 24) ** 2 < 15**2
    bar = (y >= 60) & (y < 84) & (x >= 20) & (x < 68)
    image = torch.full((3, 96, 80), 0.5)
    image[:, disc], image[:, bar] = 0.9, 0.1
    masks = torch.stack([disc, bar])
    return image, masks_target(masks, [1, 2], image_id=5)


# --- the rules -------------------------------------------------------------------------------


def values(case: str, role: str, name: str) -> torch.Tensor:
    return torch.as_tensor(RULES[case][role][name]).double()


def test_scale_bins_are_the_released_codes() -> None:
    boxes = xywh_to_xyxy(values("scale_bins", "in", "boxes_xywh"))
    log2_scale, centers = scale_bins(boxes, 160)
    canonical = values("scale_bins", "par", "object_size")
    assert octaves_above(canonical, 160) == 0
    assert octaves_above(2 * canonical, 160) == 1
    torch.testing.assert_close(
        log2_scale, values("scale_bins", "out", "log2_scale"), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(
        centers, values("scale_bins", "out", "scaled_center"), rtol=0, atol=1e-4
    )


def test_jittered_windows_are_the_released_codes() -> None:
    boxes = xywh_to_xyxy(values("jitter", "in", "boxes_xywh"))
    windows = canonical_windows(boxes, 160, 16.0, 192, values("jitter", "in", "uniforms"))
    expected = values("jitter", "out", "windows_xywh")
    torch.testing.assert_close(xyxy_to_xywh(windows), expected, rtol=0, atol=1e-4)


def test_negatives_are_the_released_codes() -> None:
    boxes = xywh_to_xyxy(values("negatives", "in", "boxes_xywh"))
    candidates = values("negatives", "in", "candidates_x_y_log2scale")
    accepted = far_from_objects(candidates[:, :2], candidates[:, 2], boxes, 160, 16.0)
    assert accepted.tolist() == values("negatives", "out", "accepted").bool().tolist()


def test_labels_are_the_papers() -> None:
    offset, ratio = (values("paper_labels", "in", n) for n in ("offset_xy", "log2_ratio"))
    labels = canonical_labels(offset, ratio)
    assert labels.tolist() == RULES["paper_labels"]["out"]["label"].tolist()


def test_the_loss_is_the_papers_and_the_small_weight_is_on_the_score() -> None:
    logits, signs = (values("loss", "in", n) for n in ("mask_logits", "mask_targets"))
    labels = values("loss", "in", "labels")
    mask = soft_margin(logits, signs).mean((1, 2)) * (labels > 0)
    score = soft_margin(values("loss", "in", "score_logits"), labels)
    torch.testing.assert_close(mask, values("loss", "out", "mask_term"), rtol=0, atol=1e-6)
    torch.testing.assert_close(score, values("loss", "out", "score_term"), rtol=0, atol=1e-6)
    total = (mask + DeepMaskConfig.paper().score_weight * score).sum()
    torch.testing.assert_close(total, values("loss", "out", "total_sum"), rtol=0, atol=1e-6)


def test_a_jittered_window_is_positive_and_objects_fill_four_sevenths() -> None:
    boxes = torch.tensor([[10.0, 20.0, 42.0, 30.0], [0.0, 0.0, 5.0, 90.0]])
    middle = canonical_windows(boxes, 56, 4.0)
    assert middle[0].tolist() == [-2.0, -3.0, 54.0, 53.0]  # 32 px long: the window is 56 px
    for corner in (0.001, 0.999):
        windows = canonical_windows(boxes, 56, 4.0, None, torch.full((2, 3), corner))
        assert window_labels(windows, boxes, 56, 4.0).diagonal().tolist() == [1, 1]
    far = torch.tensor([[100.0, 100.0, 156.0, 156.0]])
    assert window_labels(far, boxes, 56, 4.0).tolist() == [[-1, -1]]


# --- windows and patches ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [17, 48, 130])
def test_a_crop_of_everything_is_the_resized_image(size: int) -> None:
    image = torch.rand(3, 48, 48, dtype=torch.float64)
    crop = crop_windows(image, torch.tensor([[0.0, 0.0, 48.0, 48.0]]), size)[0]
    resized = F.interpolate(image[None], size=(size, size), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(crop, resized, rtol=1e-5, atol=1e-6)


def test_beyond_the_picture_a_crop_is_filled() -> None:
    image = torch.arange(16.0).view(1, 4, 4)
    crop = crop_windows(image, torch.tensor([[-2.0, -2.0, 6.0, 6.0]]), 8, fill=0.5)[0, 0]
    torch.testing.assert_close(crop[2:6, 2:6], image[0])
    assert (crop[:2] == 0.5).all()
    assert (crop[:, 6:] == 0.5).all()
    with pytest.raises(SeglibError, match="crop_windows needs"):
        crop_windows(image, torch.zeros(4), 8)


def test_windows_are_where_the_methods_put_them() -> None:
    windows = sliding_windows((64, 96), (32, 48), patch=56, stride=8)  # at scale 1/2
    assert windows.shape == (5, 7, 4)
    # cell (i, j): corner (stride * j - patch / 2) / scale, side patch / scale
    assert windows[2, 3].tolist() == [(24 - 28) * 2, (16 - 28) * 2, (24 + 28) * 2, (16 + 28) * 2]


def test_every_object_between_the_extreme_scales_is_canonical_in_some_window() -> None:
    model = build_model("deepmask", CATEGORIES)
    assert isinstance(model, DeepMask)
    windows = torch.cat([level.flatten(0, 1) for level in model.windows((128, 128))])
    generator = torch.Generator().manual_seed(0)
    side = torch.exp2(torch.linspace(2.77, 6.99, 200))  # 6.8 to 127 px
    center = side / 2 + (128 - side) * torch.rand(2, 200, generator=generator)
    boxes = torch.stack([*(center - side / 2), *(center + side / 2)], dim=1)
    labels = window_labels(windows, boxes, model.config.patch, model.config.shift)
    assert (labels > 0).any(dim=0).all()


def test_classes_are_only_told_apart_not_known() -> None:
    """The same patches, whatever numbers the classes have: a model learns from other data sets."""
    image, target = scene()
    model = tiny()
    shifted = replace(target, labels=target.labels + 10**12)
    torch.manual_seed(0)
    patches = model.sample([image], [target])
    torch.manual_seed(0)
    assert torch.equal(model.sample([image], [shifted]).images, patches.images)


def test_patches_are_seeded_and_obey_the_rules() -> None:
    image, target = scene()
    config = tiny().config
    patches = sample_patches(image, target, config, 40, torch.Generator().manual_seed(3))
    again = sample_patches(image, target, config, 40, torch.Generator().manual_seed(3))
    assert torch.equal(patches.images, again.images)
    assert patches.images.shape[1:] == (3, config.window, config.window)
    labels = window_labels(patches.windows, target.boxes, config.patch, config.shift)
    positive = patches.labels > 0
    assert positive.sum() == 30  # three of four
    assert (~positive).sum() == 10
    assert (labels[positive] == 1).any(dim=1).all()
    assert (labels[~positive] == -1).all()
    assert (patches.masks[positive].amax((1, 2)) > 0.99).all()
    assert (patches.masks[~positive] == 0).all()


def test_a_positive_patch_shows_what_its_mask_says() -> None:
    image, target = scene()
    config = tiny(context=0).config
    patches = sample_patches(image, target[:1], config, 10, torch.Generator().manual_seed(0))
    for picture, mask, label in zip(patches.images, patches.masks, patches.labels, strict=True):
        if label > 0:  # mirrored or not, the disc is where the mask is
            assert (picture[0][mask > 0.99] > 0.85).all()
            assert (picture[0][mask == 0] < 0.55).all()


def test_objects_too_small_and_crowds_are_not_taught_but_crowds_do_not_forbid() -> None:
    image, target = scene()
    config = tiny(min_area=1000.0).config
    generator = torch.Generator().manual_seed(0)
    only_bar = sample_patches(image, target, config, 20, generator)
    labels = window_labels(only_bar.windows, target.boxes, config.patch, config.shift)
    assert (labels[only_bar.labels > 0][:, 1] == 1).all()
    target.iscrowd[:] = True
    none = sample_patches(image, target, config, 20, generator)
    assert none.labels.tolist() == [-1] * 5


def test_targets_do_not_depend_on_the_image_s_original_size() -> None:
    """An image of twice its usual size: the windows are twice as large, the patches alike."""
    image, target = scene()
    model = tiny(image_size=96, min_area=800.0)  # the disc has 707 px², the bar more
    large = masks_target(target.masks.repeat_interleave(2, 1).repeat_interleave(2, 2), [1, 2])
    double = image.repeat_interleave(2, 1).repeat_interleave(2, 2)
    sampled = [
        sample_patches(i, t, model.config, 40, torch.Generator().manual_seed(3))
        for i, t in ((image, target), (double, large))
    ]
    torch.testing.assert_close(sampled[1].windows, 2 * sampled[0].windows)
    assert torch.equal(sampled[1].labels, sampled[0].labels)
    sides = (sampled[1].windows[:, 2] - sampled[1].windows[:, 0])[sampled[1].labels < 0]
    slid = torch.stack([w[0, 0, 2] - w[0, 0, 0] for w in model.windows(large.size)])
    assert slid.min() <= sides.min() <= sides.max() <= slid.max() * 1.01


def test_targets_of_other_images_are_refused() -> None:
    (image, target), model = scene(), tiny()
    with pytest.raises(SeglibError, match=r"masks of size \[96, 80\].*\[64, 64\]"):
        model.loss([image[:, :64, :64]], [target])
    with pytest.raises(SeglibError, match="1 images have 2 targets"):
        model.loss([image], [target, target])


def test_the_released_negatives_can_be_chosen() -> None:
    image, target = scene()
    config = tiny(negatives="released").config
    patches = sample_patches(image, target, config, 40, torch.Generator().manual_seed(3))
    assert (patches.labels < 0).any()


# --- the network -----------------------------------------------------------------------------


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_linear_layer_slides_as_a_convolution(dilation: int) -> None:
    layer = SlidingLinear(3, 5, kernel_size=3, dilation=dilation).double()
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    everywhere = layer(x)
    span = layer.span
    assert everywhere.shape == (2, 5, 10 - span, 9 - span)
    for i, j in ((0, 0), (2, 1)):
        here = layer(x[:, :, i : i + span, j : j + span])
        plain = x[:, :, i : i + span : dilation, j : j + span : dilation]
        by_hand = plain.flatten(1) @ layer.weight.T + layer.bias
        torch.testing.assert_close(here[:, :, 0, 0], by_hand)
        torch.testing.assert_close(everywhere[:, :, i, j], by_hand)


@pytest.mark.parametrize("variant", ["vgg", "resnet"])
def test_the_heads_answer_an_image_as_they_answer_each_window(variant: str) -> None:
    model = tiny_vgg() if variant == "vgg" else tiny()
    network = model.network.double().eval()
    cells, margin = model.config.patch // model.config.stride, network.margin
    features = torch.randn(
        1, network.reduce[0].in_channels, cells + 2 * margin + 3, cells + 2 * margin + 2
    )
    network.backbone = nn.Identity()
    features = features.double()
    everywhere = network(features)
    assert everywhere.scores.shape == (1, 4, 3)
    side = cells + 2 * margin
    for i, j in ((0, 0), (3, 2)):
        window = network(features[:, :, i : i + side, j : j + side])
        torch.testing.assert_close(everywhere.codes[:, :, i, j], window.codes[:, :, 0, 0])
        torch.testing.assert_close(everywhere.scores[:, i, j], window.scores[:, 0, 0])


def tiny_vgg() -> DeepMask:
    """The paper's structure with few channels: 224 px patches of 14 x 14 cells."""
    torch.manual_seed(0)
    model = build_model(
        "deepmask",
        CATEGORIES,
        preset="paper",
        variant="vgg",
        vgg_stages=((4,), (4,), (8, 8), (8, 8), (8, 8)),
        reduced=8,
        rank=6,
        score_widths=(8, 8),
    )
    assert isinstance(model, DeepMask)
    return model


def test_the_papers_score_branch_pools_then_reads_seven_by_seven() -> None:
    network = tiny_vgg().network.double().eval()
    features = torch.randn(2, 8, 14, 14, dtype=torch.float64)
    linears = [m for m in network.score if isinstance(m, SlidingLinear)]
    x = F.max_pool2d(features, 2).flatten(1)  # as published: stride 2, then fully connected
    for layer in linears[:-1]:
        x = F.relu(F.linear(x, layer.weight, layer.bias))
    published = F.linear(x, linears[-1].weight, linears[-1].bias)
    torch.testing.assert_close(network.score(features)[:, :, 0, 0], published)


def test_there_is_no_nonlinearity_between_the_two_linear_maps() -> None:
    network = tiny().network.double().eval()
    x = torch.randn(40, 8, 7, 7, dtype=torch.float64)
    masks = network.decode(network.squeeze(x)[:, :, 0, 0]).flatten(1)
    product = network.decoder.weight @ network.squeeze.weight
    bias = network.decoder.weight @ network.squeeze.bias + network.decoder.bias
    torch.testing.assert_close(masks, x.flatten(1) @ product.T + bias)
    assert torch.linalg.matrix_rank(masks - bias) == 12  # of 40 masks with 784 pixels each


@pytest.mark.parametrize(
    ("preset", "options", "millions"),
    [
        ("pocket", {}, (0.8, 1.3)),
        ("paper", {}, (70, 80)),
        ("paper", {"variant": "resnet"}, (15, 19)),
    ],
)
def test_sizes_of_the_presets(
    preset: str, options: dict[str, str], millions: tuple[float, float]
) -> None:
    with torch.device("meta"):
        model = build_model("deepmask", CATEGORIES, preset=preset, **options)  # type: ignore[arg-type]
    count = sum(p.numel() for p in model.parameters()) / 1e6
    assert millions[0] < count < millions[1]


def test_a_stride_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SeglibError, match="multiples"):
        tiny(patch=60)
    with pytest.raises(SeglibError, match="choose narrow or wide"):
        tiny(variant="alexnet")
    with pytest.raises(SeglibError, match="choose vgg or resnet"):
        DeepMask(replace(DeepMaskConfig.pocket(), variant="alexnet"), CATEGORIES)  # type: ignore[arg-type]


# --- the contract ----------------------------------------------------------------------------


def test_losses_are_means_over_patches_and_the_score_weighs_a_thirty_second() -> None:
    image, target = scene()
    model = tiny(dropout=0.0).eval()
    torch.manual_seed(4)
    losses = model.loss([image], [target])
    torch.manual_seed(4)
    patches = model.sample([image], [target])
    maps = model.network((patches.images - mean()) / std())
    signs = patches.labels.float()
    score = F.softplus(-signs * maps.scores[:, 0, 0]).mean()
    torch.testing.assert_close(losses["score_loss"], score / 32)
    positive = patches.labels > 0
    logits = model.network.decode(maps.codes[positive, :, 0, 0])
    fine = F.interpolate(logits[:, None], size=(56, 56), mode="bilinear")[:, 0]
    true = (patches.masks[positive] >= 0.5).float()
    each = F.binary_cross_entropy_with_logits(fine, true, reduction="none").mean((1, 2))
    torch.testing.assert_close(losses["mask_loss"], each.sum() / len(signs))


def mean() -> torch.Tensor:
    return torch.tensor([0.485, 0.456, 0.406])[:, None, None]


def std() -> torch.Tensor:
    return torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def test_the_loss_follows_torchs_generator_and_reaches_every_parameter() -> None:
    image, target = scene()
    model = tiny(dropout=0.0)
    torch.manual_seed(1)
    first = model.loss([image], [target])
    torch.manual_seed(1)
    second = model.loss([image], [target])
    assert first["mask_loss"].item() == second["mask_loss"].item()
    sum(first.values(), torch.zeros(())).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_images_without_objects_teach_the_score_alone() -> None:
    image, target = scene()
    losses = tiny().loss([image], [target[:0]])
    assert losses["mask_loss"].item() == 0.0
    assert losses["score_loss"].item() > 0.0
    sum(losses.values(), torch.zeros(())).backward()


def test_the_mean_mask_is_the_mean_of_the_masks_learned_from() -> None:
    image, target = scene()
    model = tiny()
    total, seen = torch.zeros(28, 28), 0
    for step in range(3):
        torch.manual_seed(step)
        model.loss([image], [target])
        torch.manual_seed(step)
        patches = model.sample([image], [target])
        masks = patches.masks[patches.labels > 0]
        total += F.avg_pool2d(masks, 2).sum(0)
        seen += len(masks)
    assert model.masks_seen == seen
    torch.testing.assert_close(model.mean_mask, total / seen)
    before = model.mean_mask.clone()
    model.eval().loss([image], [target])
    assert torch.equal(model.mean_mask, before)


def test_forward_answers_the_windows_it_names() -> None:
    image = torch.rand(3, 50, 70)
    model = tiny().eval()
    levels = model([image, image[:, :40]])
    assert [len(some) for some in levels] == [3, 3]
    half, _, full = levels[0]
    assert (half.octave, full.octave) == (-1.0, 0.0)
    assert half.scores.shape == (25 // 8 + 1, 35 // 8 + 1)
    assert full.windows.shape == (7, 9, 4)
    assert full.codes.shape == (12, 7, 9)
    for level, windows in zip(levels[0], model.windows((50, 70)), strict=True):
        assert torch.equal(level.windows, windows)


def test_the_network_sees_in_a_window_what_training_would_have_cut_there() -> None:
    image = torch.rand(3, 50, 70)
    model = tiny().eval()
    windows = model.windows((50, 70))[0]  # at half size
    seen = model._padded(image, -1.0, windows.shape[:2])
    window = windows[2, 3]
    margin = model.config.context / model.config.patch * (window[2:] - window[:2])
    wide = torch.cat([window[:2] - margin, window[2:] + margin])
    patch = normalise_pixels(crop_windows(image, wide[None], model.config.window, 0.5))
    side = model.config.window
    torch.testing.assert_close(
        seen[:, :, 16 : 16 + side, 24 : 24 + side], patch, rtol=1e-4, atol=1e-4
    )


def test_proposals_keep_the_contract() -> None:
    model = tiny(proposals=30, mask_threshold=0.4).train()
    images = [torch.rand(3, 64, 48), torch.rand(3, 40, 72)]
    predictions = model.predict(images)
    assert model.training
    for image, prediction in zip(images, predictions, strict=True):
        found = prediction.proposals
        assert found is not None
        assert found.masks is not None
        assert prediction.size == tuple(image.shape[1:]) == tuple(found.masks.shape[1:])
        assert 5 <= len(found) <= 30
        assert found.scores.diff().le(0).all()
        assert 0 <= found.scores.min() <= found.scores.max() <= 1
        assert torch.equal(found.boxes, masks_to_boxes(found.masks))
        assert found.labels.eq(1).all()
        assert found.masks.flatten(1).any(1).all()


def test_a_state_dict_is_restored_with_the_mean_mask() -> None:
    image, target = scene()
    model, other = tiny(), tiny()
    model.loss([image], [target])
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.mean_mask, model.mean_mask)
    config = DeepMaskConfig.from_dict(DeepMaskConfig.pocket().to_dict())
    assert config == DeepMaskConfig.pocket()


def test_it_overfits_a_tiny_scene() -> None:
    image, target = scene()
    model = tiny(dropout=0.0)
    losses = overfit(model, [image], [target], steps=120, lr=1e-2)
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])
    found = model.predict([image])[0].proposals
    assert found is not None
    assert found.masks is not None
    ious = mask_iou(found.masks[:20], target.masks)
    assert (ious.amax(0) > 0.75).all()


# --- baseline and ceiling --------------------------------------------------------------------


def test_a_perfect_network_finds_the_objects_in_its_windows() -> None:
    image, target = scene()
    model = tiny()  # scales 1/2 to 1: objects of 27 to 76 px
    found = model.perfect(image, target).proposals
    assert found is not None
    assert found.masks is not None
    assert len(found) == 2
    assert (mask_iou(found.masks, target.masks).diagonal() > 0.85).all()
    fewer = tiny(octaves=(0.0, 0.0)).perfect(image, target).proposals
    assert fewer is not None
    assert len(fewer) == 1  # the bar, 48 px long, is 0.58 octaves too long for 32


def test_baseline_and_ceiling_bracket_a_toy_data_set() -> None:
    dataset = ToyDataset(2)
    model = tiny(octaves=(-1.0, 1.0))
    y, x = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
    model.mean_mask.copy_((y**2 + x**2 < 0.3).float())
    baseline = model_baseline(model, dataset)
    assert baseline is not None
    low, high = baseline.figures, model_ceiling(model, dataset).figures
    assert set(low) == set(high)
    assert low["mask_AR@100"] < high["mask_AR@100"] <= 1
    again = model_baseline(model, dataset)
    assert again is not None
    assert again.figures == low


def test_evaluation_is_printed_beside_baseline_and_ceiling() -> None:
    dataset = ToyDataset(2)
    model = tiny(octaves=(-1.0, 1.0), proposals=50)
    model.mean_mask[8:20, 8:20] = 1.0
    metrics = evaluate(model, dataset)  # which shares no class with the model: none is needed
    figures = metrics.figures
    assert metrics.notes == []
    assert {"mask_AR@10", "mask_AR@100", "mask_AR@1000", "box_AR@100"} <= set(figures)
    lines, values = ceiling_lines(model, dataset, None, figures | {"mask_AR@100": 0.4}, None)
    assert lines[0].startswith("baseline: the same windows with the mean training mask")
    assert lines[1].startswith("ceiling: a perfect network with these windows and 28 x 28 masks")
    row = values["mask_AR@100"]
    assert row["share"] == pytest.approx(0.4 / row["ceiling"])
    assert ("times" in row) == (row["baseline"] > 0)
    assert lines[-2].endswith(f"{row['share']:.3f} of the ceiling on these 2 images")
