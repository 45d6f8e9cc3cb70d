"""FCN's mechanism: fusion, geometry, losses, any size, staged starts, swapped primitives."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import seglib
from seglib import SeglibError
from seglib.distributed import global_mean_count
from seglib.models import MODELS, build_model, model_names
from seglib.models.fcn import FCN
from seglib.models.fcn.config import FCNConfig
from seglib.models.fcn.networks import SkipFCN, bilinear_upsampling
from seglib.ops.convolution import conv2d
from seglib.ops.grid import Grid
from tests.helpers import golden
from tests.modelling import randomize_zeros, semantic_target, some_categories

LADDER = ("32s", "16s", "8s")
TINY = {
    "stages": ((4,), (6,), (8, 8), (10,), (12,)),
    "head_width": 12,
    "dropout": 0.0,
}


def tiny(variant: str = "8s", **overrides: object) -> FCN:
    """A pocket FCN of a few thousand weights, with scores that are not all zero."""
    torch.manual_seed(0)
    sizes = {"width": 4, "blocks": (1, 1, 1, 1)} if variant == "dilated" else TINY
    options = {"variant": variant, "dropout": 0.0, **sizes, **overrides}
    return randomize_zeros(build_model("fcn", some_categories(), **options))


def samples(*sizes: tuple[int, int]) -> tuple[list[torch.Tensor], list]:
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(3, *size, generator=generator) for size in sizes]
    labels = [torch.randint(0, 4, size, generator=generator) for size in sizes]
    return images, [semantic_target(label) for label in labels]


def published(variant: str) -> SkipFCN:
    """The paper's geometry with a backbone of one channel, for three classes."""
    config = replace(FCNConfig.paper(variant), stages=((1,),) * 5, head_width=1)
    return SkipFCN(config, classes=3)


@pytest.mark.parametrize("variant", LADDER)
def test_fusion_equals_the_published_one(variant: str) -> None:
    case = golden("fcn_fuse")["s64x80"]
    names = {32: "score_fr", 16: "score_pool4", 8: "score_pool3"}
    scores = {stride: torch.from_numpy(case["in"][name]) for stride, name in names.items()}
    size = (int(case["par"]["height"]), int(case["par"]["width"]))
    with torch.no_grad():
        logits = published(variant).fuse(scores, size)
    np.testing.assert_allclose(logits.numpy(), case["out"][f"fcn{variant}"], rtol=0, atol=1e-4)


def test_crop_offsets_follow_from_the_geometry() -> None:
    par = golden("fcn_fuse")["s64x80"]["par"]
    grids, image = published("8s").grids, Grid()
    assert grids[32].transposed(64, 32).offset_to(image) == par["offset_32s"] == 19
    assert grids[16].offset_to(grids[32].transposed(4, 2)) == par["offset_pool4"] == 5
    fused16 = grids[32].transposed(4, 2)
    assert fused16.transposed(32, 16).offset_to(image) == par["offset_16s"] == 27
    assert grids[8].offset_to(fused16.transposed(4, 2)) == par["offset_pool3"] == 9
    assert fused16.transposed(4, 2).transposed(16, 8).offset_to(image) == par["offset_8s"] == 31


@pytest.mark.parametrize("learned", [False, True])
def test_upsampling_starts_as_the_published_kernel(learned: bool) -> None:
    case = golden("fcn_bilinear_kernel")["up2"]
    layer = bilinear_upsampling(3, 2, learned=learned)
    with torch.no_grad():
        y = layer(torch.from_numpy(case["in"]["x"]))
    np.testing.assert_allclose(y.numpy(), case["out"]["y"], rtol=0, atol=1e-5)
    assert layer.weight.requires_grad is learned
    for name in ("k4", "k16"):
        kernel = golden("fcn_bilinear_kernel")[name]["out"]["kernel"]
        weight = bilinear_upsampling(2, len(kernel) // 2, learned=learned).weight[0, 0]
        np.testing.assert_allclose(weight.detach().numpy(), kernel, rtol=0, atol=1e-5)


def test_paper_preset_has_the_published_parameters() -> None:
    with torch.device("meta"):
        model = FCN(FCNConfig.paper("8s"), some_categories(20))
    shapes = {name: tuple(p.shape) for name, p in model.network.named_parameters()}
    assert shapes["fc6.weight"] == (4096, 512, 7, 7)
    assert shapes["fc7.weight"] == (4096, 4096, 1, 1)
    assert shapes["score_pool3.weight"] == (21, 256, 1, 1)
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    # VGG-16 without fc8 (138,357,544 - 4,097,000), 21 scores on 4096 + 512 + 256 channels, and
    # two 4x4 transposed convolutions between 21 classes.
    assert learned == 134_260_544 + 21 * (4096 + 512 + 256 + 3) + 2 * 21 * 21 * 16
    assert model.config.reduction == "sum"
    assert model.network.dropout.p == 0.5


@pytest.mark.parametrize("variant", [*LADDER, "dilated"])
def test_pocket_preset_is_small(variant: str) -> None:
    model = build_model("fcn", some_categories(16), variant=variant)
    assert 1e6 < sum(p.numel() for p in model.parameters()) < 3.1e6


@pytest.mark.parametrize("variant", LADDER)
def test_score_layers_start_at_zero_so_every_class_is_equally_likely(variant: str) -> None:
    model = build_model("fcn", some_categories(), variant=variant, **TINY)
    images, targets = samples((40, 56))
    assert not model(images).logits.any()
    loss = model.loss(images, targets)["semantic_loss"]
    assert loss.item() == pytest.approx(np.log(4), rel=1e-6)


@pytest.mark.parametrize("variant", [*LADDER, "dilated"])
def test_outputs_have_the_size_of_any_input(variant: str) -> None:
    model = tiny(variant)
    sizes = [(1, 1), (37, 5), (64, 65), (96, 33)]
    images, targets = samples(*sizes)
    output = model(images)
    assert output.logits.shape == (4, 4, 96, 65)
    assert output.sizes == sizes
    predictions = model.predict(images)
    assert [tuple(p.semantic.shape) for p in predictions] == sizes
    assert all(p.semantic.dtype == torch.int64 for p in predictions)
    assert all(torch.isfinite(loss) for loss in model.loss(images, targets).values())


def test_scores_are_given_stride_by_stride() -> None:
    images, _ = samples((64, 96))
    shapes = {s: tuple(v.shape) for s, v in tiny("8s")(images).scores.items()}
    assert shapes == {32: (1, 4, 2, 3), 16: (1, 4, 4, 6), 8: (1, 4, 8, 12)}
    assert list(tiny("32s")(images).scores) == [32]
    assert list(tiny("dilated")(images).scores) == [8]


@pytest.mark.parametrize("variant", LADDER)
def test_logits_lie_over_the_pixels_they_score(variant: str) -> None:
    """A bright square's mirror image gives mirrored logits only if nothing is shifted."""
    model = tiny(variant).double().eval()
    for conv in model.network.modules():
        if isinstance(conv, torch.nn.Conv2d):  # symmetric kernels, so that only shifts can break it
            conv.weight.data = (conv.weight.data + conv.weight.data.flip(-1)) / 2
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(model.raw(x).flip(-1), model.raw(x.flip(-1)))


def test_a_prediction_does_not_depend_on_the_other_images() -> None:
    model = tiny("8s")
    images, _ = samples((40, 56), (64, 64), (40, 56))
    together = model.predict(images)
    for image, prediction in zip(images, together, strict=True):
        assert torch.equal(model.predict([image])[0].semantic, prediction.semantic)


def test_predict_restores_the_mode_and_computes_no_gradient() -> None:
    model = tiny("8s").train()
    model.network.backbone.eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.predict(samples((32, 32))[0])
    assert model.training
    assert not model.network.backbone.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_image_size_resizes_inside_and_predicts_at_the_original_size() -> None:
    model = tiny("8s", image_size=48)
    images, targets = samples((96, 64), (24, 30))
    output = model(images)
    assert output.sizes == [(48, 32), (38, 48)]
    assert [tuple(p.semantic.shape) for p in model.predict(images)] == [(96, 64), (24, 30)]
    assert torch.isfinite(model.loss(images, targets)["semantic_loss"])


def test_loss_is_the_mean_over_valid_pixels_of_all_images() -> None:
    model = tiny("8s").eval()
    images, targets = samples((32, 40), (48, 24))
    targets[0].semantic[:10] = 255
    logits = model(images).logits
    each = [
        F.cross_entropy(
            logits[i : i + 1, :, : t.size[0], : t.size[1]],
            t.semantic[None],
            ignore_index=255,
            reduction="sum",
        )
        for i, t in enumerate(targets)
    ]
    valid = 22 * 40 + 48 * 24
    expected = (each[0] + each[1]) / valid
    torch.testing.assert_close(model.loss(images, targets)["semantic_loss"], expected)
    summed = FCN(replace(model.config, reduction="sum"), model.categories).eval()
    summed.load_state_dict(model.state_dict())
    torch.testing.assert_close(summed.loss(images, targets)["semantic_loss"], expected * valid)


def test_the_loss_of_ignored_pixels_only_is_zero() -> None:
    images, _ = samples((40, 40))
    nothing = semantic_target(torch.full((40, 40), 255))
    assert tiny("8s").loss(images, [nothing])["semantic_loss"].item() == 0


def test_dilated_variant_has_an_auxiliary_loss_in_training_only() -> None:
    model, (images, targets) = tiny("dilated"), samples((32, 32))
    full = tiny("dilated", auxiliary_weight=1.0)
    half, whole = model.loss(images, targets), full.loss(images, targets)
    assert set(half) == {"semantic_loss", "auxiliary_loss"}
    torch.testing.assert_close(half["auxiliary_loss"] * 2, whole["auxiliary_loss"])
    assert set(model.eval().loss(images, targets)) == {"semantic_loss"}


def test_faulty_targets_are_called_by_number() -> None:
    model, (images, targets) = tiny("8s"), samples((32, 32), (32, 32))
    with pytest.raises(SeglibError, match="2 images have 1 targets"):
        model.loss(images, targets[:1])
    for label in (9, -1):
        targets[1].semantic[3, 4] = label
        with pytest.raises(
            SeglibError, match=f"target 1 has semantic label {label}, the model knows"
        ):
            model.loss(images, targets)
    targets[1].semantic = torch.zeros(16, 32, dtype=torch.int64)
    with pytest.raises(SeglibError, match=r"target 1 .*\[16, 32\].*\[32, 32\]"):
        model.loss(images, targets)
    targets[1].semantic = None
    with pytest.raises(SeglibError, match="target 1 has no semantic labels"):
        model.loss(images, targets)


def test_a_finer_network_starts_from_a_coarser_one() -> None:
    images, _ = samples((160, 160))
    coarse, finer = tiny("32s").eval(), build_model("fcn", some_categories(), variant="16s", **TINY)
    finer.load_coarser(coarse)
    trained = coarse.state_dict()
    shared = [k for k in trained if ".upscore." not in k]
    assert shared
    assert all(torch.equal(finer.state_dict()[k], trained[k]) for k in shared)
    assert not finer.network.score_pool4.weight.any()
    inner = (..., slice(64, -64), slice(64, -64))
    coarse_says = coarse.raw(coarse.prepare(images).tensor)[inner]
    finer_says = finer.eval().raw(finer.prepare(images).tensor)[inner]
    # Two bilinear steps are nearly one, away from the border; an untrained skip would show.
    assert (finer_says - coarse_says).abs().mean() < 0.01 * coarse_says.abs().mean()

    with pytest.raises(SeglibError, match="take a coarser one"):
        finer.load_coarser(tiny("8s"))
    with pytest.raises(SeglibError, match=r"cannot load network\.backbone"):
        finer.load_coarser(tiny("32s", stages=((4,), (6,), (9, 8), (10,), (12,))))


def test_skip_scale_multiplies_the_pools_before_their_scores() -> None:
    plain, scaled = tiny("8s").eval(), tiny("8s", skip_scale=(0.5, 0.25)).eval()
    scaled.load_state_dict(plain.state_dict())
    for model in (plain, scaled):
        model.network.score_pool4.bias.data.zero_()
        model.network.score_pool3.bias.data.zero_()
    images, _ = samples((64, 64))
    a, b = plain(images).scores, scaled(images).scores
    torch.testing.assert_close(b[16], 0.5 * a[16])
    torch.testing.assert_close(b[8], 0.25 * a[8])
    torch.testing.assert_close(b[32], a[32])


@pytest.mark.parametrize("variant", [*LADDER, "dilated"])
def test_class_parameters_are_all_that_depends_on_the_number_of_classes(variant: str) -> None:
    options = {} if variant == "dilated" else TINY
    three = build_model("fcn", some_categories(3), variant=variant, **options).state_dict()
    model = build_model("fcn", some_categories(5), variant=variant, **options)
    found = {
        name: tuple(d for d in range(v.ndim) if v.shape[d] != three[name].shape[d])
        for name, v in model.state_dict().items()
        if v.shape != three[name].shape
    }
    assert found == model.class_parameters()


def test_learn_upsampling_determines_which_steps_train() -> None:
    def trains(choice: str) -> tuple[bool, bool]:
        network = tiny("8s", learn_upsampling=choice).network
        return network.upscore2.weight.requires_grad, network.upscore.weight.requires_grad

    assert trains("inner") == (True, False)
    assert trains("none") == (False, False)
    assert trains("all") == (True, True)


@pytest.mark.parametrize("variant", ["8s", "dilated"])
def test_scratch_equals_native_forward_and_backward(variant: str) -> None:
    model, (images, targets) = tiny(variant).double(), samples((40, 36), (33, 40))
    state = {k: v.clone() for k, v in model.state_dict().items()}

    def run() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.load_state_dict(state)
        model.zero_grad()
        sum(model.loss(images, targets).values()).backward()
        grads = {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None}
        return model(images).logits, grads

    native_logits, native_grads = run()
    with seglib.use("scratch"):
        scratch_logits, scratch_grads = run()
    torch.testing.assert_close(scratch_logits, native_logits, rtol=1e-8, atol=1e-10)
    assert scratch_grads.keys() == native_grads.keys()
    assert len(native_grads) > 20
    for name, grad in native_grads.items():
        torch.testing.assert_close(scratch_grads[name], grad, rtol=1e-7, atol=1e-10, msg=name)


def test_a_students_convolution_runs_in_every_layer() -> None:
    calls = []

    def counted(x: torch.Tensor, weight: torch.Tensor, *args: object) -> torch.Tensor:
        calls.append(tuple(weight.shape))
        return conv2d.native(x, weight, *args)

    model, (images, _) = tiny("8s"), samples((32, 32))
    expected = model.predict(images)[0].semantic
    with seglib.use(conv2d=counted):
        actual = model.predict(images)[0].semantic
    assert torch.equal(actual, expected)
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert calls == [tuple(conv.weight.shape) for conv in convolutions]


@pytest.mark.parametrize("variant", ["8s", "dilated"])
def test_one_batch_is_overfitted(variant: str) -> None:
    model, (images, _) = tiny(variant), samples((32, 32), (32, 32))
    halves = [torch.zeros(32, 32, dtype=torch.int64) for _ in images]
    halves[0][:, 16:], halves[1][16:] = 2, 3
    targets = [semantic_target(h) for h in halves]
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = sum(model.loss(images, targets).values())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_bfloat16_autocast_keeps_logits_in_float32() -> None:
    model, (images, targets) = tiny("8s"), samples((64, 64))
    exact = model.eval()(images).logits
    with torch.autocast("cpu", torch.bfloat16):
        output = model(images)
        loss = model.loss(images, targets)["semantic_loss"]
    assert output.logits.dtype == loss.dtype == torch.float32
    assert (output.logits - exact).abs().max() < 0.05 * exact.abs().max()


def test_config_survives_a_checkpoint_header() -> None:
    config = FCNConfig.pocket("16s")
    header = {**config.to_dict(), "stages": [list(s) for s in config.stages], "skip_scale": [1, 1]}
    assert FCNConfig.from_dict(header) == config
    with pytest.raises(SeglibError, match="no field colour"):
        FCNConfig.from_dict({"colour": 1})


def test_registry_builds_by_name_and_names_what_it_knows() -> None:
    assert "fcn" in model_names()
    assert MODELS["fcn"] is FCN
    assert (
        build_model("fcn", some_categories(), variant="32s", image_size=64).config.image_size == 64
    )
    with pytest.raises(SeglibError, match=r"no model is called 'fnc': did you mean 'fcn'"):
        build_model("fnc", some_categories())
    with pytest.raises(SeglibError, match="no preset"):
        build_model("fcn", some_categories(), preset="huge")  # type: ignore[arg-type]
    with pytest.raises(SeglibError, match="no field depth"):
        build_model("fcn", some_categories(), depth=3)
    with pytest.raises(SeglibError, match="no variant '4s'"):
        build_model("fcn", some_categories(), variant="4s")


def test_count_on_one_process_is_the_count_and_at_least_one() -> None:
    assert global_mean_count(torch.tensor(12)).item() == 12
    assert global_mean_count(0).item() == 1
