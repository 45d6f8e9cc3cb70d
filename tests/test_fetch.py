"""Downloads from a local server that drops connections, lies, truncates and refuses."""

from __future__ import annotations

import hashlib
import socket

import pytest

from seglib.data.fetch import (
    CHUNK_BYTES,
    MissingError,
    NoRangeSupportError,
    OfflineError,
    download,
)
from tests.faulty_server import QUICK, serve

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "remote"
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    with serve(folder) as running:
        yield running


@pytest.mark.parametrize("fault", ["drop", "long", "503"])
def test_temporary_faults_are_retried(server, tmp_path, fault):
    server.faults["/file.bin"] = [fault, fault]
    got = download(f"{server.url}/file.bin", tmp_path / "here.bin", retry=QUICK)
    assert got.read_bytes() == CONTENT
    assert len(server.requests) >= 3
    assert not list(tmp_path.glob("*.part"))


def test_a_dropped_download_resumes_where_it_stopped(server, tmp_path):
    server.faults["/file.bin"] = ["drop"]
    download(f"{server.url}/file.bin", tmp_path / "here.bin", retry=QUICK)
    first_byte = int(server.requests[-1][1].removeprefix("bytes=").split("-")[0])
    assert first_byte > 0
    # At most the chunk in which the connection broke is sent twice.
    assert server.sent["/file.bin"] <= len(CONTENT) + CHUNK_BYTES


def test_a_part_left_by_a_killed_run_is_resumed(server, tmp_path):
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


def test_a_part_longer_than_the_file_is_discarded(server, tmp_path):
    (tmp_path / "here.bin.part").write_bytes(CONTENT + b"more")
    got = download(f"{server.url}/file.bin", tmp_path / "here.bin", retry=QUICK)
    assert got.read_bytes() == CONTENT


def test_a_span_fetches_exactly_those_bytes(server, tmp_path):
    got = download(f"{server.url}/file.bin", tmp_path / "part.bin", span=(300, 77), retry=QUICK)
    assert got.read_bytes() == CONTENT[300:377]


def test_a_missing_file_is_not_retried(server, tmp_path):
    with pytest.raises(MissingError, match=r"nothing\.bin"):
        download(f"{server.url}/nothing.bin", tmp_path / "here.bin", retry=QUICK)
    assert len(server.requests) == 1


def test_an_unreachable_server_is_reported_with_advice(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(OfflineError, match="check the network"):
        download(f"http://127.0.0.1:{port}/x", tmp_path / "x", retry=QUICK)
