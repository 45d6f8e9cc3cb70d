"""MaskFormer and Mask2Former in files of their authors and of the hub: each weight has its place.

The files have random weights, and the names, shapes and format of the published ones. Those of the
authors are made from `transformers`' models, whose conversion scripts relate the names to each
other; a file that seglib has read must predict what `transformers` predict.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seglib import SeglibError, pretrained
from seglib.data.coco_categories import coco_categories, coco_panoptic_categories
from seglib.models.maskformer import MaskFormer
from seglib.pretrained.maskformer_official import maskformer_from_official
from seglib.pretrained.official import load_official
from tests.modelling import randomize_statistics
from tests.parity import assert_same
from tests.set_prediction import ours
from tests.transformers_models import (
    CHANNELS,
    WithEncoder,
    detr_options,
    resnet,
    spread,
    transformers,
)

STAGES = ("stage1", "stage2", "stage3", "stage4")

# `transformers`' names → the authors', as in the conversion scripts.
PARTS = (
    (r"^model\.pixel_level_module\.encoder\.", "backbone."),
    (r"embedder\.embedder\.convolution", "stem.conv1"),
    (r"embedder\.embedder\.normalization", "stem.conv1.norm"),
    (r"encoder\.stages\.(\d)\.layers", lambda m: f"res{int(m[1]) + 2}"),
    (r"shortcut\.convolution", "shortcut"),
    (r"shortcut\.normalization", "shortcut.norm"),
    (r"layer\.(\d)\.convolution", lambda m: f"conv{int(m[1]) + 1}"),
    (r"layer\.(\d)\.normalization", lambda m: f"conv{int(m[1]) + 1}.norm"),
    (r"^class_predictor", "sem_seg_head.predictor.class_embed"),
)
DECODER = "sem_seg_head.pixel_decoder"
PREDICTOR = "sem_seg_head.predictor"
MASKFORMER = (
    (r"^model\.pixel_level_module\.decoder\.fpn\.stem\.0", f"{DECODER}.layer_4"),
    (r"^model\.pixel_level_module\.decoder\.fpn\.stem\.1", f"{DECODER}.layer_4.norm"),
    (
        r"^model\.pixel_level_module\.decoder\.fpn\.layers\.(\d)\.(proj|block)\.(\d)",
        lambda m: (
            f"{DECODER}.{'adapter' if m[2] == 'proj' else 'layer'}_{3 - int(m[1])}"
            + (".norm" if m[3] == "1" else "")
        ),
    ),
    (r"^model\.pixel_level_module\.decoder\.mask_projection", f"{DECODER}.mask_features"),
    (r"^model\.transformer_module\.queries_embedder", f"{PREDICTOR}.query_embed"),
    (r"^model\.transformer_module\.input_projection", f"{PREDICTOR}.input_proj"),
    (r"^model\.transformer_module\.decoder\.", f"{PREDICTOR}.transformer.decoder."),
    (r"^mask_embedder\.(\d)\.0", rf"{PREDICTOR}.mask_embed.layers.\1"),
    (r"^pixel_encoder\.encoder\.", f"{DECODER}.transformer.encoder."),
    (r"^pixel_encoder\.input_proj", f"{DECODER}.input_proj"),
    (r"self_attn_layer_norm", "norm1"),
    (r"encoder_attn_layer_norm", "norm2"),
    (r"(encoder\.layers\.\d+)\.final_layer_norm", r"\1.norm2"),
    (r"(decoder\.layers\.\d+)\.final_layer_norm", r"\1.norm3"),
    (r"encoder_attn", "multihead_attn"),
    (r"\b(mlp\.)?fc(\d)\b", r"linear\2"),
    (r"\bo_proj\b", "out_proj"),
    (r"decoder\.layernorm", "decoder.norm"),
)
MASK2FORMER = (
    (r"^model\.pixel_level_module\.decoder\.(adapter|layer)_1\.0", rf"{DECODER}.\1_1"),
    (r"^model\.pixel_level_module\.decoder\.(adapter|layer)_1\.1", rf"{DECODER}.\1_1.norm"),
    (r"^model\.pixel_level_module\.decoder\.input_projections", f"{DECODER}.input_proj"),
    (r"^model\.pixel_level_module\.decoder\.mask_projection", f"{DECODER}.mask_features"),
    (r"^model\.pixel_level_module\.decoder\.", f"{DECODER}.transformer."),
    (r"(encoder\.layers\.\d)\.self_attn_layer_norm", r"\1.norm1"),
    (r"(encoder\.layers\.\d)\.final_layer_norm", r"\1.norm2"),
    (r"(encoder\.layers\.\d)\.fc(\d)", r"\1.linear\2"),
    (r"^model\.transformer_module\.queries_embedder", f"{PREDICTOR}.query_embed"),
    (r"^model\.transformer_module\.queries_features", f"{PREDICTOR}.query_feat"),
    (r"^model\.transformer_module\.level_embed", f"{PREDICTOR}.level_embed"),
    (r"^model\.transformer_module\.decoder\.layernorm", f"{PREDICTOR}.decoder_norm"),
    (
        r"^model\.transformer_module\.decoder\.mask_predictor\.mask_embedder\.(\d)\.0",
        rf"{PREDICTOR}.mask_embed.layers.\1",
    ),
    (r"^model\.transformer_module\.decoder\.layers\.(\d)\.", rf"{PREDICTOR}.layers.\1."),
    (r"layers\.(\d)\.self_attn\.", r"transformer_self_attention_layers.\1.self_attn."),
    (r"layers\.(\d)\.self_attn_layer_norm", r"transformer_self_attention_layers.\1.norm"),
    (r"layers\.(\d)\.cross_attn\.", r"transformer_cross_attention_layers.\1.multihead_attn."),
    (r"layers\.(\d)\.cross_attn_layer_norm", r"transformer_cross_attention_layers.\1.norm"),
    (r"layers\.(\d)\.fc(\d)", r"transformer_ffn_layers.\1.linear\2"),
    (r"layers\.(\d)\.final_layer_norm", r"transformer_ffn_layers.\1.norm"),
    # Self-attention of the pixel decoder is not one of these.
    (rf"^({DECODER}\.transformer\.encoder)\.transformer_self_attention_layers\.", r"\1.layers."),
)


def authors_state(state: dict[str, Tensor], rules: tuple) -> dict[str, Tensor]:
    """A state of `transformers` as the authors' file has it."""
    found = {}
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):  # their norms are frozen and do not count
            continue
        for pattern, theirs in (*PARTS, *rules):
            name = re.sub(pattern, theirs, name)
        found[name] = value
    for name in [name for name in found if ".q_proj." in name]:
        parts = [found.pop(name.replace(".q_proj.", f".{kind}_proj.")) for kind in "qkv"]
        found[name.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
    return found


def written(state: dict[str, Tensor], path: Path) -> Path:
    """The file as detectron2's script publishes it."""
    arrays = {name: value.numpy() for name, value in state.items()}
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "third_party"}))
    return path


def maskformer(classes: int) -> nn.Module:
    torch.manual_seed(0)
    config = transformers.MaskFormerConfig(
        backbone_config=resnet(*STAGES),
        decoder_config=transformers.DetrConfig(**detr_options()),
        fpn_feature_size=CHANNELS,
        mask_feature_size=CHANNELS,
        num_labels=classes,
    )
    model = transformers.MaskFormerForInstanceSegmentation(config)
    return spread(randomize_statistics(model)).eval()


def mask2former(classes: int) -> nn.Module:
    torch.manual_seed(0)
    config = transformers.Mask2FormerConfig(
        backbone_config=resnet(*STAGES),
        feature_size=CHANNELS,
        mask_feature_size=CHANNELS,
        hidden_dim=CHANNELS,
        encoder_feedforward_dim=40,
        dim_feedforward=48,
        encoder_layers=2,
        decoder_layers=4,
        num_queries=7,
        num_labels=classes,
    )
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    return spread(randomize_statistics(model)).eval()


def assert_predicts_as(loaded: Any, theirs: nn.Module, classes: int) -> None:
    assert isinstance(loaded, MaskFormer)
    known = coco_categories() if classes == 80 else coco_panoptic_categories()
    assert loaded.categories == known
    pixels = torch.randn(1, 3, 64, 96).double()
    loaded, theirs = loaded.double(), theirs.double()
    with torch.no_grad():
        expected = theirs(pixels)
        assert expected.masks_queries_logits.std() > 0.01
        features = loaded.backbone(pixels)
        pyramid, masks = loaded.pixel_decoder(features)
        if loaded.masked:
            states = loaded.decoder(pyramid[:0:-1], pixels, lambda x: loaded.masks(x, masks))
        else:
            states = loaded.decoder(features.c5, pixels)
        assert_same(loaded.class_embed(states)[-1], ours(expected.class_queries_logits))
        assert_same(loaded.masks(states, masks)[-1], expected.masks_queries_logits)


@pytest.mark.parametrize("classes", [80, 133])
def test_files_of_the_authors_are_the_networks_of_transformers(
    classes: int, tmp_path: Path
) -> None:
    for theirs, rules in ((maskformer(classes), MASKFORMER), (mask2former(classes), MASK2FORMER)):
        state = authors_state(theirs.state_dict(), rules)
        assert "backbone.res3.0.shortcut.norm.running_var" in state
        loaded = pretrained.load(written(state, tmp_path / "model_final_94dc52.pkl"))
        assert_predicts_as(loaded, theirs, classes)
        assert loaded.config.min_size == 800


def test_files_with_an_encoder_on_c5_are_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = spread(randomize_statistics(WithEncoder(133))).eval()
    state = {**theirs.model.state_dict()}
    for part in ("input_proj", "encoder"):
        for name, value in getattr(theirs, part).state_dict().items():
            state[f"pixel_encoder.{part}.{name}"] = value
    loaded = load_official(written(authors_state(state, MASKFORMER), tmp_path / "a.pkl"))
    assert (loaded.config.pixel_layers, loaded.config.pixel_hidden) == (2, 48)
    pixels = torch.randn(1, 3, 64, 96).double()
    loaded = loaded.double()
    with torch.no_grad():
        logits, _ = theirs.double()(pixels)
        encoded = loaded.pixel_encoder(loaded.backbone(pixels).c5, pixels)
        found = loaded.class_embed(loaded.decoder(encoded, pixels))[-1]
    assert_same(found, ours(logits))


def test_names_of_the_first_files_are_read_as_well(tmp_path: Path) -> None:
    """Before version 2, "pixel_decoder." was missing, and `query_feat` had another name."""
    theirs = maskformer(133)
    state = authors_state(theirs.state_dict(), MASKFORMER)
    early = {name.replace(f"{DECODER}.", "sem_seg_head."): v for name, v in state.items()}
    early["criterion.empty_weight"] = torch.ones(134)
    early["pixel_mean"] = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    early["pixel_std"] = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    assert_predicts_as(load_official(written(early, tmp_path / "a.pkl")), theirs, 133)
    theirs = mask2former(80)
    state = authors_state(theirs.state_dict(), MASK2FORMER)
    early = {name.replace("query_feat", "static_query"): v for name, v in state.items()}
    assert_predicts_as(load_official(written(early, tmp_path / "b.pkl")), theirs, 80)


@pytest.mark.parametrize("classes", [80, 133])
def test_files_of_the_hub_are_the_networks_of_transformers(classes: int, tmp_path: Path) -> None:
    for theirs in (maskformer(classes), mask2former(classes)):
        theirs.save_pretrained(tmp_path / "hub")
        loaded = pretrained.load(tmp_path / "hub" / "model.safetensors")
        assert_predicts_as(loaded, theirs, classes)


def r50_layout(masked: bool) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the authors' ResNet-50 models for COCO panoptic, written out."""
    layout: dict[str, tuple[int, ...]] = {}

    def norm(name: str, width: int, *, frozen: bool = False) -> None:
        kinds = ("weight", "bias", "running_mean", "running_var")
        layout.update({f"{name}.{kind}": (width,) for kind in kinds[: 4 if frozen else 2]})

    def linear(name: str, inputs: int, outputs: int, *kernel: int) -> None:
        layout.update({f"{name}.weight": (outputs, inputs, *kernel), f"{name}.bias": (outputs,)})

    def convolution(name: str, inputs: int, outputs: int, kernel: int, frozen: bool) -> None:
        layout[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        norm(f"{name}.norm", outputs, frozen=frozen)

    def attention(name: str) -> None:
        layout.update({f"{name}.in_proj_weight": (768, 256), f"{name}.in_proj_bias": (768,)})
        linear(f"{name}.out_proj", 256, 256)

    convolution("backbone.stem.conv1", 3, 64, 7, True)
    inputs = 64
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), 2):
        for block in range(blocks):
            name = f"backbone.res{stage}.{block}"
            if block == 0:
                convolution(f"{name}.shortcut", inputs, 4 * width, 1, True)
            convolution(f"{name}.conv1", inputs, width, 1, True)
            convolution(f"{name}.conv2", width, width, 3, True)
            convolution(f"{name}.conv3", width, 4 * width, 1, True)
            inputs = 4 * width
    for level in range(1, 2 if masked else 4):
        convolution(f"{DECODER}.adapter_{level}", 128 * 2**level, 256, 1, False)
    for level in range(1, 2 if masked else 5):
        convolution(f"{DECODER}.layer_{level}", 256, 256, 3, False)
    linear(f"{DECODER}.mask_features", 256, 256, *((1, 1) if masked else (3, 3)))
    if masked:
        layout[f"{DECODER}.transformer.level_embed"] = (3, 256)
        for level, channels in enumerate((2048, 1024, 512)):
            linear(f"{DECODER}.input_proj.{level}.0", channels, 256, 1, 1)
            norm(f"{DECODER}.input_proj.{level}.1", 256)
    else:
        linear(f"{DECODER}.input_proj", 2048, 256, 1, 1)
    hidden = 1024 if masked else 2048
    for layer in range(6):
        name = f"{DECODER}.transformer.encoder.layers.{layer}"
        if masked:
            linear(f"{name}.self_attn.sampling_offsets", 256, 8 * 3 * 4 * 2)
            linear(f"{name}.self_attn.attention_weights", 256, 8 * 3 * 4)
            linear(f"{name}.self_attn.value_proj", 256, 256)
            linear(f"{name}.self_attn.output_proj", 256, 256)
        else:
            attention(f"{name}.self_attn")
        norm(f"{name}.norm1", 256)
        norm(f"{name}.norm2", 256)
        linear(f"{name}.linear1", 256, hidden)
        linear(f"{name}.linear2", hidden, 256)
    for layer in range(9 if masked else 6):
        if masked:
            parts = {kind: f"{PREDICTOR}.transformer_{kind}_layers.{layer}" for kind in KINDS}
            attention(f"{parts['self_attention']}.self_attn")
            attention(f"{parts['cross_attention']}.multihead_attn")
            for part in parts.values():
                norm(f"{part}.norm", 256)
            feed_forward = parts["ffn"]
        else:
            feed_forward = f"{PREDICTOR}.transformer.decoder.layers.{layer}"
            attention(f"{feed_forward}.self_attn")
            attention(f"{feed_forward}.multihead_attn")
            for number in (1, 2, 3):
                norm(f"{feed_forward}.norm{number}", 256)
        linear(f"{feed_forward}.linear1", 256, 2048)
        linear(f"{feed_forward}.linear2", 2048, 256)
    norm(f"{PREDICTOR}.decoder_norm" if masked else f"{PREDICTOR}.transformer.decoder.norm", 256)
    layout[f"{PREDICTOR}.query_embed.weight"] = (100, 256)
    if masked:
        layout[f"{PREDICTOR}.query_feat.weight"] = (100, 256)
        layout[f"{PREDICTOR}.level_embed.weight"] = (3, 256)
    linear(f"{PREDICTOR}.class_embed", 256, 134)
    for layer in range(3):
        linear(f"{PREDICTOR}.mask_embed.layers.{layer}", 256, 256)
    layout["criterion.empty_weight"] = (134,)
    return layout


KINDS = ("self_attention", "cross_attention", "ffn")


@pytest.mark.parametrize("masked", [False, True], ids=["MaskFormer", "Mask2Former"])
def test_the_published_networks_for_coco_panoptic_fit_by_name_and_shape(masked: bool) -> None:
    state = {name: torch.zeros(1).expand(shape) for name, shape in r50_layout(masked).items()}
    model = maskformer_from_official(state, Path("model_final.pkl"))
    assert model.categories == coco_panoptic_categories()
    config = model.config
    assert config.variant == ("mask2former" if masked else "maskformer")
    assert (config.blocks, config.pixel_layers, config.queries) == ((3, 4, 6, 3), 6, 100)
    assert config.decoder_layers == (9 if masked else 6)


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    state = authors_state(maskformer(20).state_dict(), MASKFORMER)
    with pytest.raises(SeglibError, match="has 20 classes, not COCO's 80"):
        load_official(written(state, tmp_path / "a.pkl"))
    state = authors_state(maskformer(80).state_dict(), MASKFORMER)
    del state[f"{DECODER}.adapter_2.weight"]
    with pytest.raises(SeglibError, match=r"pixel_decoder\.lateral\.1\.0\.weight is missing"):
        load_official(written(state, tmp_path / "a.pkl"))
    with pytest.raises(SeglibError, match="pixel mean"):
        load_official(written({**state, "pixel_mean": torch.zeros(3)}, tmp_path / "a.pkl"))
    swin = {**state, "backbone.patch_embed.proj.weight": torch.zeros(96, 3, 4, 4)}
    with pytest.raises(SeglibError, match="Swin"):
        load_official(written(swin, tmp_path / "a.pkl"))


def test_no_code_in_the_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "touched",))

    state = authors_state(maskformer(80).state_dict(), MASKFORMER)
    arrays: dict[str, Any] = {name: value.numpy() for name, value in state.items()}
    arrays["backbone.stem.conv1.weight"] = Trap()
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"model": arrays}))
    with pytest.raises(SeglibError):
        load_official(tmp_path / "a.pkl")
    assert not (tmp_path / "touched").exists()


def test_coco_panoptic_categories_are_things_and_then_stuff() -> None:
    known = coco_panoptic_categories()
    assert [c.label for c in known.things] == list(range(1, 81))
    assert list(known[:80]) == list(coco_categories())
    assert (len(known.stuff), known[80].coco_id, known[80].name) == (53, 92, "banner")
    assert (known[132].coco_id, known[132].name) == (200, "rug-merged")
    assert known.by_coco_id(187).name == "sky-other-merged"
    assert np.unique([c.coco_id for c in known]).tolist() == [c.coco_id for c in known]
