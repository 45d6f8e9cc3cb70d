"""Two processes that fill one cache, and what killed ones leave in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import psutil
import pytest

from seglib.data.fetch import download
from seglib.data.pocket import cache, write_split
from seglib.data.pocket.classes import VERSION
from tests.faulty_server import QUICK, serve
from tests.helpers import ROOT, wait_until

DRAW = """
import sys
from seglib.data.pocket import write_split
print(write_split(sys.argv[1], "val", int(sys.argv[2]), seed=2, processes=2, progress=False))
"""


def _drawing(folder, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", DRAW, str(folder), str(count)]
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )


@pytest.mark.parametrize("left", [b"", 0.5])
@pytest.mark.parametrize("kind", ["val", "panoptic_val", "annotations"])
def test_a_file_that_is_not_whole_does_not_count_as_drawn(tmp_path, monkeypatch, kind, left):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_committed", lambda: None)
    monkeypatch.setattr(cache, "published_hash", lambda split: None)
    monkeypatch.setitem(cache.SPLITS, "val", (2, 2))
    folder = cache.ensure_pocket("val", 1, progress=False)
    assert folder == tmp_path / f"pocket-v{VERSION}"
    victim = max((folder / kind).iterdir())
    whole = victim.read_bytes()
    victim.write_bytes(left if left == b"" else whole[: len(whole) // 2])
    cache.ensure_pocket("val", 1, progress=False)
    assert victim.read_bytes() == whole
    assert not list(folder.glob(".*"))


@pytest.mark.slow
def test_a_drawing_that_is_killed_leaves_no_worker_and_no_draft(tmp_path):
    child = _drawing(tmp_path, 4000)
    main = psutil.Process(child.pid)
    wait_until(lambda: len(list(tmp_path.glob(".val-*/val/*.png"))) > 3, child)
    workers = main.children(recursive=True)
    assert len(workers) >= 2
    child.kill()
    child.wait()
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    assert list(tmp_path.glob(".val-*"))
    write_split(tmp_path, "val", 2, seed=2, processes=1, progress=False)
    assert not list(tmp_path.glob(".*"))
    assert len(list((tmp_path / "val").iterdir())) == 2


@pytest.mark.slow
def test_two_processes_draw_one_split(tmp_path):
    both = [_drawing(tmp_path, 30) for _ in range(2)]
    digests = {child.communicate()[0] for child in both}
    assert [child.returncode for child in both] == [0, 0]
    assert len(digests) == 1
    assert not list(tmp_path.glob(".*"))


def test_two_processes_that_fetch_one_file_both_get_it(tmp_path):
    remote, content = tmp_path / "remote", bytes(range(256)) * 40_000
    remote.mkdir()
    (remote / "file.bin").write_bytes(content)
    faults = []

    def fetch() -> None:
        try:
            download(f"{server.url}/file.bin", tmp_path / "here" / "file.bin", retry=QUICK)
        except Exception as error:
            faults.append(error)

    with serve(remote) as server:
        threads = [threading.Thread(target=fetch) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []
    assert (tmp_path / "here" / "file.bin").read_bytes() == content
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["file.bin"]
