"""Damaged and hostile files of weights by the thousand: `python -m tests.weight_fuzzing 10000 0`.

Each file is a small good one that is changed at random: bytes flipped, cut out, doubled, or
replaced by instructions and numbers that have been trouble before. Every file must be read or
refused in one line, in bounded time and memory.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import sys
import tempfile
import time
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from seglib.errors import SeglibError
from seglib.pretrained.weight_files import read_weights

# Opcodes that build, call, nest or refer, and numbers at the ends of their ranges.
TOKENS = [
    *(bytes([code]) for code in b"(]})t\x85\x86\x87ldaesuRb\x81\x92oiQP012\x8f\x90\x91\x94N."),
    b"h\x00", b"q\x00", b"r\xff\xff\xff\x7f", b"j\x00\x00\x00\x00", b"p1\n", b"g0\n",
    b"cos\nsystem\n", b"cnumpy\nndarray\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"\x8a\xff" + b"\xff" * 255, b"\x8b\xff\xff\xff\x7f", b"B\xff\xff\xff\x7f",
    b"X\xff\xff\xff\xff", b"\x8e" + b"\xff" * 8, b"\x8d" + b"\x7f" * 8, b"\x82\x01",
    b"K\xff", b"M\xff\xff", b"J\xff\xff\xff\xff", b"G\x7f\xf8" + b"\x00" * 6, b"F1e400\n",
    b"L" + b"9" * 50 + b"L\n", b"I01\n",
]  # fmt: skip
FLOOR = 4 << 20  # bytes that Python takes whatever it reads


def corpus() -> list[bytes]:
    """Good files of every kind."""
    arrays = {
        "model": {
            "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
            "b": np.asfortranarray(np.ones((3, 2))),
            "c": np.array([1, 2], dtype=">i4"),
        },
        "epoch": 3,
    }
    files = [pickle.dumps(arrays, protocol) for protocol in range(6)]
    shared = torch.ones(4, 4)
    state = OrderedDict(a=torch.ones(2, 3), b=torch.nn.Parameter(shared), c=shared.t(), d=shared[0])
    state["e"] = torch.tensor(1, dtype=torch.int64)
    for zipped in (True, False):
        for content in (state, {"model": state, "epoch": 3, "lr": [0.1, 0.2]}):
            stream = io.BytesIO()
            torch.save(content, stream, _use_new_zipfile_serialization=zipped)
            files.append(stream.getvalue())
    return files


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The bytes, changed in one to four places."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place, kind = chance.randrange(len(data) + 1), chance.randrange(6)
        if kind == 0 and data:
            data[place % len(data)] = chance.randrange(256)
        elif kind == 1:
            data[place:place] = chance.choice(TOKENS)
        elif kind == 2:
            data[place : place + 1] = chance.choice(TOKENS)
        elif kind == 3:
            del data[place : place + chance.randint(1, 20)]
        elif kind == 4:
            data[place:place] = data[place : place + 40] * chance.choice((1, 3, 50))
        else:
            data = data[: max(4, place)] if chance.random() < 0.3 else data
    return bytes(data)


def mutated_file(content: bytes, chance: random.Random) -> bytes:
    """A changed file; of a zip often just what is inside, so that its checksums hold."""
    if not content.startswith(b"PK") or chance.random() < 0.3:
        return mutated(content, chance)
    changed = io.BytesIO()
    compression = zipfile.ZIP_DEFLATED if chance.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("data.pkl") or chance.random() < 0.1:
                data = mutated(data, chance)
            new.writestr(entry.filename, data, compression)
    return changed.getvalue()


def fuzz(count: int, seed: int) -> dict[str, float]:
    """Try `count` files.

    Returns:
        files, read, refused, slowest (seconds) and memory (the worst peak beyond `FLOOR`, as a
        multiple of the file's size).

    Raises:
        Exception: whatever a file made the reader raise that is not a `SeglibError`.
    """
    chance, good = random.Random(seed), corpus()
    figures = {"files": count, "read": 0, "refused": 0, "slowest": 0.0, "memory": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.pth")
        for number in range(count):
            content = mutated_file(chance.choice(good), chance)
            path.write_bytes(content)
            tracemalloc.start()
            start = time.perf_counter()
            try:
                read_weights(path)
                figures["read"] += 1
            except SeglibError as error:
                figures["refused"] += 1
                if not str(error).isprintable():
                    raise AssertionError(f"file {number} of seed {seed}: {error!s}") from error
            except BaseException as error:
                error.add_note(f"file {number} of seed {seed}: {content[:200]!r}")
                raise
            finally:
                figures["slowest"] = max(figures["slowest"], time.perf_counter() - start)
                beyond = max(0, tracemalloc.get_traced_memory()[1] - FLOOR)
                figures["memory"] = max(figures["memory"], beyond / max(1, len(content)))
                tracemalloc.stop()
    return figures


if __name__ == "__main__":
    print(json.dumps(fuzz(int(sys.argv[1]), int(sys.argv[2]))))
