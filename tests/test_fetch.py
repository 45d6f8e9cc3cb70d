"""Downloads against a local server that drops, lies, truncates and refuses."""

from __future__ import annotations

import hashlib
import socket

import pytest

from seglib.data.fetch import (
    CHUNK_BYTES,
    MissingError,
    NoRangeSupportError,
    OfflineError,
    Retry,
    download,
)
from tests.faulty_server import serve

QUICK = Retry(attempts=4, first_wait=0.01, longest_wait=0.02)
CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "remote"
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    with serve(folder) as running:
        yield running


@pytest.mark.parametrize("fault", ["drop", "long", "503"])
def test_passing_faults_are_retried(server, tmp_path, fault):
    server.faults["/file.bin"] = [fault, fault]
    got = download(f"{server.url}/file.bin", tmp_path / "here.bin", retry=QUICK)
    assert got.read_bytes() == CONTENT
    assert len(server.requests) >= 3
    assert not list(tmp_path.glob("*.part"))


def test_a_dropped_download_goes_on_where_it_stopped(server, tmp_path):
    server.faults["/file.bin"] = ["drop"]
    download(f"{server.url}/file.bin", tmp_path / "here.bin", retry=QUICK)
    first_byte = int(server.requests[-1][1].removeprefix("bytes=").split("-")[0])
    assert first_byte > 0
    # At most the chunk in which the connection broke travels twice.
    assert server.sent["/file.bin"] <= len(CONTENT) + CHUNK_BYTES


def test_a_part_left_by_a_killed_run_is_continued(server, tmp_path):
    (tmp_path / "here.bin.part").write_bytes(CONTENT[:1000])
    got = download(f"{server.url}/file.bin", tmp_path / "here.bin", retry=QUICK)
    assert got.read_bytes() == CONTENT
    assert server.sent["/file.bin"] == len(CONTENT) - 1000


def test_without_range_support_it_starts_again(server, tmp_path):
    server.ranges = False
    (tmp_path / "here.bin.part").write_bytes(b"x" * 1000)
    got = download(f"{server.url}/file.bin", tmp_path / "here.bin", retry=QUICK)
    assert got.read_bytes() == CONTENT
    with pytest.raises(NoRangeSupportError):
        download(f"{server.url}/file.bin", tmp_path / "part.bin", span=(10, 20), retry=QUICK)


def test_a_wrong_checksum_is_fetched_again(server, tmp_path):
    server.faults["/file.bin"] = ["flipped"]
    digest = hashlib.sha256(CONTENT).hexdigest()
    got = download(f"{server.url}/file.bin", tmp_path / "here.bin", digest, retry=QUICK)
    assert got.read_bytes() == CONTENT


def test_a_checksum_that_stays_wrong_leaves_no_file(server, tmp_path):
    with pytest.raises(OfflineError, match="checksum"):
        download(f"{server.url}/file.bin", tmp_path / "here.bin", "0" * 64, retry=QUICK)
    assert not (tmp_path / "here.bin").exists()


def test_an_overlong_part_is_thrown_away(server, tmp_path):
    (tmp_path / "here.bin.part").write_bytes(CONTENT + b"more")
    got = download(f"{server.url}/file.bin", tmp_path / "here.bin", retry=QUICK)
    assert got.read_bytes() == CONTENT


def test_a_span_is_exactly_those_bytes(server, tmp_path):
    got = download(f"{server.url}/file.bin", tmp_path / "part.bin", span=(300, 77), retry=QUICK)
    assert got.read_bytes() == CONTENT[300:377]


def test_missing_is_final(server, tmp_path):
    with pytest.raises(MissingError, match=r"nothing\.bin"):
        download(f"{server.url}/nothing.bin", tmp_path / "here.bin", retry=QUICK)
    assert len(server.requests) == 1


def test_offline_says_what_to_do(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(OfflineError, match="check the network"):
        download(f"http://127.0.0.1:{port}/x", tmp_path / "x", retry=QUICK)
