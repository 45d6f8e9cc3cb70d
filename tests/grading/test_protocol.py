"""What travels between grader and student: plain values come back, forgeries are refused."""

from __future__ import annotations

import json
import socket
import struct
import threading

import numpy as np
import pytest
import torch
from torch import nn

from seglib.grading.packing import Packer
from seglib.grading.protocol import MAX_DEPTH, Channel, ProtocolError
from seglib.grading.unpacking import Other, Unpacker


def travelled(value, **how):
    packer = Packer()
    tree = packer.pack(value)
    return Unpacker(packer.buffers, **how).unpack(json.loads(json.dumps(tree)))


def test_texts_that_no_file_can_contain_are_replaced():
    assert travelled("\ud800 \x1b é") == "? \x1b é"
    assert travelled({"\udfff": "x"}) == {"?": "x"}


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (3, 4)])
def test_tensors_keep_dtype_shape_and_values(dtype, shape):
    value = (torch.rand(shape) * 3).to(getattr(torch, dtype))
    back = travelled(value)
    assert back.dtype == value.dtype
    assert back.shape == value.shape
    assert torch.equal(back, value)


def test_plain_values_keep_their_types():
    value = {"a": [1, 2.5, None, True, "text"], 3: (float("inf"), {1, 2}), "n": np.float32(0.1)}
    back = travelled(value)
    assert back == value
    assert [type(item) for item in back["a"]] == [int, float, type(None), bool, str]
    assert type(back["n"]) is np.float32
    assert np.array_equal(travelled(np.eye(2)), np.eye(2))


def test_other_values_travel_by_name_only():
    back = travelled(n for n in range(3))
    assert isinstance(back, Other)
    assert type(back).__name__ == "generator"
    assert type(travelled(torch.nn.Linear(1, 1))).__name__ == "Linear"


def test_layers_and_functions_go_to_the_student():
    layer = nn.Conv2d(2, 4, 3, stride=2, bias=False, groups=2).eval()
    packer = Packer(lambda _function: 7)
    tree = json.loads(json.dumps(packer.pack([layer, nn.Sequential(layer), abs])))
    one, two, three = Unpacker(packer.buffers, lambda number: ("function", number)).unpack(tree)
    x = torch.rand(1, 2, 7, 7)
    assert torch.equal(one(x), layer(x))
    assert torch.equal(two(x), layer(x))
    assert not one.training
    assert three == ("function", 7)


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"kind": "function", "id": 0}, "kind 'function'"),
        ({"kind": "layer", "name": "Conv2d"}, "kind 'layer'"),
        ({"kind": "pickle", "data": "gASV"}, "kind 'pickle'"),
        ([1, 2], "no kind"),
        ({"kind": "list", "items": 3}, "no items"),
        ({"kind": "dict", "items": [[1]]}, "cannot have"),
        ({"kind": "set", "items": [{"kind": "list", "items": []}]}, "cannot have"),
        ({"kind": "tensor", "dtype": "object", "shape": [1], "buffer": 0}, "dtype"),
        ({"kind": "tensor", "dtype": "float32", "shape": [3], "buffer": 0}, "do not fit"),
        ({"kind": "tensor", "dtype": "float32", "shape": [-1], "buffer": 0}, "not made of sizes"),
        ({"kind": "tensor", "dtype": "float32", "shape": [True], "buffer": 0}, "not made of sizes"),
        ({"kind": "tensor", "dtype": "float32", "shape": [1], "buffer": 1}, "no bytes"),
        ({"kind": "array", "dtype": "bfloat16", "shape": [2], "buffer": 0}, "dtype"),
    ],
)
def test_forged_values_are_refused(tree, reason):
    with pytest.raises(ProtocolError, match=reason):
        Unpacker([b"1234"]).unpack(tree)


def test_depth_and_length_are_limited():
    tree = 1
    for _ in range(MAX_DEPTH + 1):
        tree = {"kind": "list", "items": [tree]}
    with pytest.raises(ProtocolError, match="too deeply"):
        Unpacker([]).unpack(tree)
    with pytest.raises(ProtocolError, match="too many"):
        Unpacker([]).unpack({"kind": "list", "items": [0] * 300_000})


def test_any_byte_makes_a_bool():
    tree = {"kind": "tensor", "dtype": "bool", "shape": [3], "buffer": 0}
    assert Unpacker([b"\x00\x07\xff"]).unpack(tree).tolist() == [False, True, True]


@pytest.fixture
def pair():
    one, two = socket.socketpair()
    with one, two:
        yield one, two


def test_a_message_travels(pair):
    one, two = pair
    value = torch.rand(1000, 100)
    packer = Packer()
    tree = packer.pack(value)
    thread = threading.Thread(target=Channel(one).send, args=(tree, packer.buffers))
    thread.start()
    body, buffers = Channel(two).receive(5)
    thread.join()
    assert torch.equal(Unpacker(buffers).unpack(body), value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack("!I", 2**31), "larger"),
        (struct.pack("!I", 4) + b"junk", "expected form"),
        (struct.pack("!I", 60_000) + b"[" * 60_000, "expected form"),
        (struct.pack("!I", 26) + b'{"body":1,"sizes":[-1   ]}', "no sizes"),
        (struct.pack("!I", 26) + b'{"body":1,"sizes":[1e999]}', "no sizes"),
        (struct.pack("!I", 31) + b'{"body":1,"sizes":[99999999999]}'[:31], "expected form"),
        (struct.pack("!I", 32) + b'{"body":1,"sizes":[99999999999]}', "larger"),
    ],
)
def test_malformed_messages_are_refused(pair, data, reason):
    one, two = pair
    one.sendall(data)
    with pytest.raises(ProtocolError, match=reason):
        Channel(two).receive(5)


def test_a_message_that_does_not_end_is_not_waited_for(pair):
    one, two = pair
    one.sendall(struct.pack("!I", 100) + b"{")
    with pytest.raises(TimeoutError):
        Channel(two).receive(0.05)
    one.close()
    with pytest.raises(EOFError):
        Channel(two).receive(0.05)


def test_a_large_message_is_not_sent(pair):
    with pytest.raises(ProtocolError, match="1 MiB"):
        Channel(pair[0], limit=2**20).send({}, [bytes(2**20)])
