"""Files are written whole or not at all, and no temporary file remains."""

from __future__ import annotations

import os

import pytest

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
