"""Submissions are found in files, folders and archives, and nothing outside them is read."""

from __future__ import annotations

import zipfile

import pytest

from seglib.errors import SeglibError
from seglib.grading.submissions import Submission, find


def test_files_and_folders(tmp_path):
    for name in ("ada.ipynb", "notes.txt", ".ipynb_checkpoints/ada.ipynb"):
        path = tmp_path / "flat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    nested = tmp_path / "submitted" / "bob" / "10_solo" / "10_solo.ipynb"
    nested.parent.mkdir(parents=True)
    nested.write_bytes(b"y")
    found = find([tmp_path / "flat", tmp_path / "submitted", tmp_path / "flat" / "ada.ipynb"])
    assert [submission.student for submission in found] == ["ada", "bob", "ada (2)"]
    assert found[1].read() == b"y"
    assert len({submission.file_name for submission in found}) == 3


def test_archives_are_read_without_unpacking(tmp_path):
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("ada/work.ipynb", "a")
        stream.writestr("bob/work.ipynb", "b")
        stream.writestr("../../evil.ipynb", "c")
        stream.writestr("/etc/evil.ipynb", "d")
        stream.writestr("__MACOSX/ada/._work.ipynb", "e")
    found = {submission.source.split(": ")[1]: submission for submission in find([archive])}
    assert found["ada/work.ipynb"].read() == b"a"
    assert found["bob/work.ipynb"].student == "bob"
    for name in ("../../evil.ipynb", "/etc/evil.ipynb"):
        with pytest.raises(SeglibError, match="points outside"):
            found[name].read()
    assert len(found) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.zip"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"text"])
def test_a_damaged_archive_is_a_broken_submission(tmp_path, content):
    path = tmp_path / "ada.zip"
    path.write_bytes(content)
    (submission,) = find([path])
    assert submission.student == "ada"
    with pytest.raises(SeglibError, match="not a zip archive"):
        submission.read()


def test_links_are_not_followed(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(b"secret")
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "ada.ipynb").symlink_to(secret)
    (folder / "inner").symlink_to(tmp_path)
    found = find([folder])
    assert [submission.student for submission in found] == ["ada", "inner"]
    for submission in found:
        with pytest.raises(SeglibError, match="symbolic link"):
            submission.read()


def test_unusual_names_give_plain_file_names():
    names = ["ada", "../x", "a/b", "\u202etxt", "=1", "", "x" * 300, "é", "CON.", "a b", "A b"]
    files = [Submission(name, "", None).file_name for name in names]
    assert files[0] == "ada"
    assert len(set(files)) == len(files)
    assert all(len(name) < 100 and "/" not in name and ".." not in name for name in files)


def test_nothing_to_grade_is_an_error(tmp_path):
    with pytest.raises(SeglibError, match="no notebooks"):
        find([tmp_path])
    with pytest.raises(SeglibError, match="does not exist"):
        find([tmp_path / "absent"])
