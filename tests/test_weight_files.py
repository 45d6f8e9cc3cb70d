"""Files of weights from anywhere: read without running them, or refused in one line."""

from __future__ import annotations

import argparse
import io
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from seglib import SeglibError, pretrained
from seglib.pretrained.plain_pickle import Array, read_plain_pickle
from seglib.pretrained.weight_files import read_weights
from tests.helpers import HANG_SECONDS
from tests.weight_fuzzing import fuzz

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}


def saved(content: object, path: Path, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


# what is read


@pytest.mark.parametrize("zipped", [True, False], ids=["today's", "before torch 1.6"])
def test_torch_files_are_read_as_torch_reads_them(zipped: bool, tmp_path: Path) -> None:
    base = torch.randn(4, 5)
    state = {
        "whole": base,
        "transposed": base.t(),
        "row": base[2],
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "scalar": torch.tensor(2.5),
        "nothing": torch.zeros(0, 3),
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "double": torch.randn(2, dtype=torch.float64),
        "count": torch.tensor(7),
    }
    read = read_weights(saved(state, tmp_path / "weights.pth", zipped=zipped))
    assert read.keys() == state.keys()
    for name, value in state.items():
        expected = value.detach().float() if value.is_floating_point() else value
        assert read[name].dtype == expected.dtype
        assert torch.equal(read[name], expected)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_every_protocol_are_read(protocol: int) -> None:
    content = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.array([1, 2], dtype=">i4"),
        "scalar": np.zeros((), np.float16),
        "text": ["x", (1, 2.5, None, True)],
    }
    read = read_plain_pickle(pickle.dumps(content, protocol), "x")
    assert read["text"] == content["text"]
    for name in ("a", "columns", "big", "scalar"):
        assert isinstance(read[name], Array)
        assert read[name].value.shape == content[name].shape
        assert np.array_equal(read[name].value, content[name])


def test_numbers_in_the_other_byte_order_become_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"a": np.array([1.5, -2.0], dtype=">f4")}))
    assert read_weights(path)["a"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("place", ["model", "state_dict", "model_state_dict"])
def test_a_training_script_s_file_gives_its_weights(place: str, tmp_path: Path) -> None:
    content = {
        place: STATE,
        "epoch": 25,
        "args": argparse.Namespace(lr=0.02, out=Path("runs")),
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
    }
    read = read_weights(saved(content, tmp_path / "model_25.pth"))
    assert read.keys() == STATE.keys()
    assert torch.equal(read["a.weight"], STATE["a.weight"])


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_a_wrapper_s_prefix_is_taken_off(prefix: str, tmp_path: Path) -> None:
    state = {f"{prefix}{name}": value for name, value in STATE.items()}
    assert read_weights(saved(state, tmp_path / "a.pth")).keys() == STATE.keys()


# what is refused


class Touch:
    """Unpickled by pickle.load, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["pkl", "zip", "early", "bare"])
def test_code_in_a_file_is_refused_and_not_run(kind: str, tmp_path: Path) -> None:
    touched, path = tmp_path / "touched", tmp_path / "weights.pth"
    content = {"model": {"a": np.zeros(3), "b": Touch(touched)}}
    if kind in ("pkl", "bare"):
        path = tmp_path / ("weights.pkl" if kind == "pkl" else "weights.pth")
        path.write_bytes(pickle.dumps(content))
    else:
        saved(content, path, zipped=kind == "zip")
    with pytest.raises(SeglibError, match=r"asks for .*(pathlib|getattr).*do not trust it$"):
        pretrained.load(path)
    assert not touched.exists()
    pickle.loads(pickle.dumps(content))  # the content is as bad as it looks
    assert touched.exists()


@pytest.mark.parametrize("named", ["os.system", "builtins.eval", "numpy.load", "numpy.core.foo"])
def test_every_other_name_is_refused(named: str) -> None:
    module, name = named.rsplit(".", 1)
    with pytest.raises(SeglibError, match=named):
        read_plain_pickle(f"c{module}\n{name}\n.".encode(), "x")


def test_arrays_of_objects_and_of_long_doubles_are_refused() -> None:
    for array, message in (
        (np.array([{}], dtype=object), "'O8?'"),
        (np.ones(2, np.longdouble), "'f16'|'f12'"),
    ):
        with pytest.raises(SeglibError, match=f"an array of {message}|array of objects"):
            read_plain_pickle(pickle.dumps(array), "x")


def shared_lists() -> bytes:
    """Forty lists, each of which contains the previous one twice: 2^40 paths through 400 bytes."""
    return b"]q\x00" + b"".join(b"]q%c(h%ch%ce" % (i, i - 1, i - 1) for i in range(1, 40)) + b"."


# name: (bytes, what the message says)
HOSTILE = {
    "shared lists": (shared_lists(), "contains a list"),
    "a memo index of 2^31": (b"}r\xff\xff\xff\x7f.", "contains no network"),
    "a nested tuple as a key": (b"}" + b")" + b"\x85" * 5000 + b"Ns.", "a key of type tuple"),
    "a state for a function": (
        b"c_codecs\nencode\n}X\x04\x00\x00\x00nameX\x01\x00\x00\x00xsb.",
        "a state for a Name",
    ),
    "an extension": (b"\x82\x01.", "EXT1"),
    "an unknown persistent id": (b"I1\nQ.", "data outside the file"),
    "a length of 2^63": (b"\x8e" + struct.pack("<Q", 2**63) + b".", "damaged"),
    "colliding keys": (b"}(" + b"\x8a\x09" + b"\xff" * 8 + b"\x00Nu.", "a key of type int"),
    "text that moves the cursor": (b"cos\x1b[2J\nsystem\n.", r"os\\x1b\[2J\.system"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "weights.pkl"
    path.write_bytes(content)
    with pytest.raises(SeglibError, match=message) as caught:
        pretrained.load(path)
    assert str(caught.value).isprintable()


def repacked(path: Path, old: bytes, new: bytes) -> Path:
    """A zip of torch.save with other bytes in its description, checksums and all."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            if name.endswith("data.pkl"):
                assert old in content
                content = content.replace(old, new)
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # [2, 3] becomes [255, 255] with a stride of 0, and [65535, 65535]
        (b"K\x02K\x03\x86q\x08K\x03K\x01", b"K\xffK\xff\x86q\x08K\x00K\x00", r"size \[255, 255\]"),
        (b"K\x02K\x03\x86q\x08", b"M\xff\xffM\xff\xff\x86q\x08", r"size \[65535, 65535\]"),
        (b"K\x00K\x02K\x03", b"K\x05K\x02K\x03", r"size \[2, 3\] from 6"),  # starts too late
        (b"K\x02K\x03\x86q\x08", b"NN\x86q\x08", "not whole numbers"),
        (b"_rebuild_tensor_v2", b"_rebuild_tensor_v3", "_rebuild_tensor_v3"),
        (b"FloatStorage", b"EvilsStorage", "EvilsStorage"),
    ],
)
def test_tensors_larger_than_their_storage_are_refused(
    old: bytes, new: bytes, message: str, tmp_path: Path
) -> None:
    path = saved({"a": torch.ones(2, 3)}, tmp_path / "weights.pth")
    with pytest.raises(SeglibError, match=message):
        read_weights(repacked(path, old, new))


def test_a_tensor_without_arguments_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(
            "x/data.pkl", b"}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n)Rs."
        )
    path.write_bytes(stream.getvalue())
    with pytest.raises(SeglibError, match="damaged"):
        read_weights(path)


def test_a_compressed_zip_is_not_unfolded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\x00" * (1 << 20))
    with pytest.raises(SeglibError, match="a compressed entry"):
        read_weights(path)


def test_entries_that_are_not_weights_are_named(tmp_path: Path) -> None:
    path = saved({"a": torch.ones(1), "b": "text"}, tmp_path / "weights.pth")
    with pytest.raises(SeglibError, match="b is a str, not a weight: save the weights alone"):
        read_weights(path)


def test_the_state_of_a_run_is_distinguished_from_its_model(tmp_path: Path) -> None:
    content = {"format": 1, "step": 3, "model": STATE, "optimizer": {}, "history": {}}
    with pytest.raises(SeglibError, match=r"state of a training run.*model\.safetensors"):
        read_weights(saved(content, tmp_path / "checkpoint.pt"))


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 400])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_ends_too_early_is_damaged(keep: int, zipped: bool, tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "weights.pth", zipped=zipped)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SeglibError, match="damaged"):
        read_weights(path)


# by the hundred, and by the thousand


def test_some_hundred_mutated_files_are_read_or_refused() -> None:
    figures = fuzz(400, seed=7)
    assert figures["read"] > 20
    assert figures["refused"] > 200
    assert figures["memory"] <= 10


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_read_or_refused() -> None:
    """In another process, so that a crash of the interpreter would be seen."""
    command = [sys.executable, "-m", "tests.weight_fuzzing", "10000", "0"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
