"""Attention, its layers and positions: by hand, as torch.nn's, and as in DETR's code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglib import SeglibError, ops
from seglib.nn.attention import MultiheadAttention
from seglib.nn.layers import GroupNorm
from seglib.nn.position import LearnedPosition, SinePosition
from seglib.nn.transformer import Decoder, DecoderLayer, Encoder, EncoderLayer, Transformer
from seglib.primitives import STYLES, use
from tests.helpers import golden_tensors
from tests.parity import assert_bodies_equal, assert_same, random

BATCH, QUERIES, KEYS, WIDTH, HEADS = 2, 3, 5, 8, 2


def some_blocked() -> Tensor:
    """bool [B, 1, 1, K]: the last two keys of the second image."""
    blocked = torch.zeros(BATCH, 1, 1, KEYS, dtype=torch.bool)
    blocked[1, ..., 3:] = True
    return blocked


@pytest.mark.parametrize("style", STYLES)
def test_a_query_that_fits_one_key_reads_its_value(style: str) -> None:
    keys = torch.eye(2).double()[None]
    values = torch.tensor([[[10.0], [20.0]]]).double()
    attend = getattr(ops.attention, style)
    assert_same(attend(100 * keys, keys, values), values)
    even = torch.zeros(1, 1, 2).double()
    assert_same(attend(even, keys, values), torch.tensor([[[15.0]]]).double())
    # Scores log(3) √2 / √2 and 0: weights 3/4 and 1/4.
    query = torch.tensor([[[math.log(3) * math.sqrt(2), 0.0]]]).double()
    assert_same(attend(query, keys, values), torch.tensor([[[12.5]]]).double())
    blocked = torch.tensor([[[False, True]]])
    assert_same(attend(even, keys, values, blocked), torch.tensor([[[10.0]]]).double())


def test_bodies_of_attention_equal_torch() -> None:
    inputs = [random(BATCH, HEADS, n, 4, seed=n) for n in (QUERIES, KEYS, KEYS)]
    blocked = some_blocked()

    def reference(q: Tensor, k: Tensor, v: Tensor, blocked: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, ~blocked)

    assert_bodies_equal(ops.attention, reference, inputs, blocked)


def test_heads_equal_torch() -> None:
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).double()
    ours = MultiheadAttention(WIDTH, HEADS).double()
    ours.load_state_dict(theirs.state_dict())
    query, key, value = (random(BATCH, n, WIDTH, seed=n) for n in (QUERIES, KEYS, KEYS))
    expected, _ = theirs(query, key, value, key_padding_mask=some_blocked()[:, 0, 0])
    for style in STYLES:
        with use(style):
            assert_same(ours(query, key, value, some_blocked()), expected)


def test_shapes_that_do_not_fit_are_refused() -> None:
    x = torch.rand(1, 2, 4)
    with pytest.raises(SeglibError, match="do not fit together"):
        ops.attention(x, torch.rand(1, 3, 5), torch.rand(1, 3, 4))
    with pytest.raises(SeglibError, match="3 heads cannot share 8 channels"):
        MultiheadAttention(8, 3)(*[torch.rand(1, 2, 8)] * 3)


def test_dropout_of_weights_acts_in_training_alone() -> None:
    layer = MultiheadAttention(WIDTH, HEADS, dropout=0.5)
    x = torch.rand(BATCH, KEYS, WIDTH)
    assert not torch.equal(layer(x, x, x), layer(x, x, x))
    layer.eval()
    assert torch.equal(layer(x, x, x), layer(x, x, x))


@pytest.mark.parametrize("style", ["scratch", "native"])
def test_encoder_layers_equal_torch(style: str) -> None:
    options = {"dim_feedforward": 16, "dropout": 0.0, "batch_first": True}
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, **options)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double()
    ours = Encoder(2, WIDTH, HEADS, 16).double()
    ours.load_state_dict(theirs.state_dict())
    x = random(BATCH, KEYS, WIDTH)
    expected = theirs(x, src_key_padding_mask=some_blocked()[:, 0, 0])
    with use(style):
        assert_same(ours(x, blocked=some_blocked()), expected)


@pytest.mark.parametrize("style", ["scratch", "native"])
def test_decoder_layers_equal_torch(style: str) -> None:
    options = {"dim_feedforward": 16, "dropout": 0.0, "batch_first": True}
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, **options)
    theirs = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(WIDTH)).double()
    ours = Decoder(2, WIDTH, HEADS, 16).double()
    ours.load_state_dict(theirs.state_dict())
    x, memory = random(BATCH, QUERIES, WIDTH), random(BATCH, KEYS, WIDTH, seed=1)
    expected = theirs(x, memory, memory_key_padding_mask=some_blocked()[:, 0, 0])
    with use(style):
        assert_same(ours(x, memory, blocked=some_blocked())[-1], expected)


def test_positions_go_to_queries_and_keys_and_not_to_values() -> None:
    """Where all keys are alike, positions change what is weighted, but not what is read."""
    encoder, decoder = (kind(WIDTH, HEADS, 16).double() for kind in (EncoderLayer, DecoderLayer))
    x = random(1, 1, WIDTH).expand(1, KEYS, WIDTH)
    position = random(1, KEYS, WIDTH, seed=1)
    assert_same(encoder(x, position), encoder(x))
    assert_same(decoder(x, x, position, position), decoder(x, x))


def test_the_transformer_is_that_of_detr() -> None:
    par, given, out = golden_tensors("detr_modules", "transformer")
    state = {key[2:]: value for key, value in given.items() if key.startswith("w:")}
    layers = int(par["enc_layers"]), int(par["dec_layers"])
    hidden = state["encoder.layers.0.linear1.weight"].shape[0]
    model = Transformer(given["src"].shape[1], int(par["nhead"]), hidden, *layers)
    model.load_state_dict(state)
    states, memory = model(
        given["src"], given["pos"], given["query_embed"], given["padding_mask"].bool()
    )
    torch.testing.assert_close(states, out["decoder_states"], rtol=0, atol=1e-4)
    torch.testing.assert_close(memory, out["memory"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["basic", "padded"])
def test_sine_positions_are_those_of_detr(name: str) -> None:
    par, given, out = golden_tensors("detr_sine_pos", name)
    make = SinePosition(
        2 * int(par["num_pos_feats"]),
        float(par["temperature"]),
        normalize=bool(par["normalize"]),
    )
    found = make(given["padding_mask"].bool(), out["pos"])
    torch.testing.assert_close(found, out["pos"], rtol=0, atol=1e-4)


def test_sine_positions_do_not_depend_on_the_padding() -> None:
    make, like = SinePosition(8), torch.zeros((), dtype=torch.float64)
    padded = torch.ones(1, 5, 6, dtype=torch.bool)
    padded[:, :3, :4] = False
    alone = make(torch.zeros(1, 3, 4, dtype=torch.bool), like)
    assert_same(make(padded, like)[:, :, :3, :4], alone)


def test_learned_positions_say_column_and_row() -> None:
    make = LearnedPosition(4)
    found = make(torch.zeros(2, 3, 5, dtype=torch.bool), torch.zeros(()))
    assert found.shape == (2, 4, 3, 5)
    assert torch.equal(found[1, :2, 2, 4], make.col_embed.weight[4])
    assert torch.equal(found[1, 2:, 2, 4], make.row_embed.weight[2])


def test_bfloat16_on_a_processor_is_computed_in_float32_and_rounded_once() -> None:
    query, key, value = (torch.randn(1, 2, n, 8) for n in (3, 5, 5))
    short = [x.bfloat16() for x in (query, key, value)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ops.attention(*short)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, ops.attention(*[x.float() for x in short]).bfloat16())
    norm, x = GroupNorm(2, 4), torch.randn(2, 4, 3, 3).bfloat16()
    assert torch.equal(norm(x), nn.functional.group_norm(x.float(), 2).bfloat16())
