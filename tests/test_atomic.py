"""Files are written whole or not at all, and no temporary file remains."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seglib import atomic
from seglib.atomic import write_atomic
from seglib.errors import SeglibError


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ValueError("bug"), KeyboardInterrupt()]
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = tmp_path / "file"
    write_atomic(path, lambda stream: stream.write(b"good"))

    def fail_halfway(stream) -> None:
        stream.write(b"ba")
        raise error

    expected = SeglibError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        write_atomic(path, fail_halfway)
    assert path.read_bytes() == b"good"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_at_the_files_path_is_named(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(SeglibError, match=r"cannot write .*file: Is a directory"):
        write_atomic(tmp_path / "file", lambda stream: stream.write(b"x"))
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_at_the_folders_path_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SeglibError, match="file is a file, not a folder"):
        write_atomic(tmp_path / "file" / "inner", lambda stream: stream.write(b"x"))
    assert (tmp_path / "file").read_text() == "mine"


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "file"

    def outer(stream) -> None:
        stream.write(b"outer")
        write_atomic(path, lambda inner: inner.write(b"inner"))
        assert path.read_bytes() == b"inner"

    write_atomic(path, outer)
    assert path.read_bytes() == b"outer"
    assert os.listdir(tmp_path) == ["file"]


def test_leftovers_of_killed_processes_are_removed_and_those_of_running_ones_kept(tmp_path):
    path = tmp_path / "file"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    abandoned = tmp_path / f"{atomic._prefix(path)}{ended.pid}.00ff.part"
    living = tmp_path / f"{atomic._prefix(path)}{os.getppid()}.00ff.part"
    for other in (abandoned, living):
        other.write_text("half")
    write_atomic(path, lambda stream: stream.write(b"x"))
    assert sorted(os.listdir(tmp_path)) == sorted(["file", living.name])


def test_a_name_as_long_as_a_name_can_be_is_written_and_a_longer_one_named(tmp_path):
    write_atomic(tmp_path / ("a" * 255), lambda stream: stream.write(b"x"))
    with pytest.raises(SeglibError, match=r"cannot write .*aaa: File name too long"):
        write_atomic(tmp_path / ("a" * 256), lambda stream: stream.write(b"x"))


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomic(tmp_path / "link", lambda stream: stream.write(b"new"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(path.read_bytes)
        write_atomic(path, lambda stream: stream.write(b"through"))
        assert read.result(timeout=30) == b"through"
    assert path.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_named_and_stays_a_device():
    with pytest.raises(SeglibError, match="cannot write /dev/full: No space left on device"):
        write_atomic(Path("/dev/full"), lambda stream: stream.write(b"x" * 10_000_000))
    assert Path("/dev/full").is_char_device()
