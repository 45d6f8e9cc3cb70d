"""Find the notebooks that a class handed in: files, folders and zip archives."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from seglib.errors import SeglibError, printable
from seglib.grading.splice import MAX_BYTES

MAX_ENTRIES = 5_000  # of an archive
NEAT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,79}")


@dataclass(frozen=True)
class Submission:
    """A notebook that somebody handed in.

    Attributes:
        student: who handed it in, according to the name of the file or folder.
        source: where it is, for messages.
        path: the file; None if it cannot be read.
        entry: its name within the file, if that is an archive.
        problem: why it cannot be read, or "".
    """

    student: str
    source: str
    path: Path | None
    entry: str = ""
    problem: str = ""

    def read(self) -> bytes:
        """The content of the notebook.

        Raises:
            SeglibError: it cannot be read.
        """
        if self.path is None:
            raise SeglibError(self.problem)
        try:
            if not self.entry:
                with self.path.open("rb") as stream:
                    return stream.read(MAX_BYTES + 1)
            with zipfile.ZipFile(self.path) as archive, archive.open(self.entry) as stream:
                return stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise SeglibError(f"it cannot be read: {error.strerror or error}") from error
        except Exception as error:  # a damaged archive fails in many ways
            raise SeglibError("it cannot be read: the archive is damaged") from error

    @property
    def file_name(self) -> str:
        """A name for the files of its results: the student's, if that is a plain one."""
        if NEAT.fullmatch(self.student):
            return self.student
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.student).strip("-.")[:60]
        return f"{plain or 'student'}-{hashlib.sha256(self.student.encode()).hexdigest()[:8]}"


def find(paths: list[Path]) -> list[Submission]:
    """The submissions among files, folders and archives, each with a name of its own.

    In a folder or archive of folders, the student is the name of the outermost folder, as in
    nbgrader's layout of submissions; otherwise it is the file's name.

    Raises:
        SeglibError: a path does not exist, or there is no notebook at all.
    """
    found: list[Submission] = []
    for path in paths:
        if path.is_symlink():
            found.append(_broken(path.stem, path, "it is a symbolic link, which is not followed"))
        elif path.is_dir():
            found += _in_folder(path)
        elif path.suffix == ".zip" and path.exists():
            found += _in_archive(path)
        elif path.exists():
            found.append(_file(path.stem, path))
        else:
            raise SeglibError(f"{path} does not exist: name notebooks, folders or zip files")
    if not found:
        raise SeglibError(f"no notebooks in {', '.join(map(str, paths))}")
    return list(_named_once(found))


def _broken(student: str, path: Path, problem: str) -> Submission:
    return Submission(_name(student), printable(str(path)), None, problem=problem)


def _name(student: str) -> str:
    """A student's name as it is shown: without what would hide or turn round text."""
    text = student.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return printable(text)[:80] or "unnamed"


def _file(student: str, path: Path) -> Submission:
    if path.is_symlink():
        return _broken(student, path, "it is a symbolic link, which is not followed")
    if not path.is_file():
        return _broken(student, path, "it is not a file")
    return Submission(_name(student), printable(str(path)), path)


def _in_folder(folder: Path) -> Iterator[Submission]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if ".ipynb_checkpoints" in inner.parts or any(p.is_symlink() for p in _above(path, folder)):
            continue
        student = inner.parts[0] if len(inner.parts) > 1 else path.stem
        if path.is_symlink() or path.suffix == ".ipynb":
            yield _file(student, path)
        elif path.suffix == ".zip":
            yield from _in_archive(path)


def _above(path: Path, folder: Path) -> list[Path]:
    """The folders between a path and the folder in which it was found."""
    return [parent for parent in path.parents if folder in parent.parents]


def _in_archive(path: Path) -> Iterator[Submission]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except Exception:  # a damaged archive fails in many ways
        yield _broken(path.stem, path, "it is not a zip archive")
        return
    if len(names) > MAX_ENTRIES:
        yield _broken(path.stem, path, f"it has more than {MAX_ENTRIES} entries")
        return
    notebooks = [name for name in names if name.endswith(".ipynb") and "__MACOSX" not in name]
    if not notebooks:
        yield _broken(path.stem, path, "the archive contains no notebook")
    for name in sorted(notebooks):
        inner = PurePosixPath(name)
        student = inner.parts[0] if len(inner.parts) > 1 else inner.stem
        source = printable(f"{path}: {name}")
        if inner.is_absolute() or ".." in inner.parts or "\\" in name:
            problem = "its name in the archive points outside of it"
            yield Submission(_name(inner.stem), source, None, problem=problem)
        else:
            student = path.stem if len(notebooks) == 1 else student
            yield Submission(_name(student), source, path, name)


def _named_once(found: list[Submission]) -> Iterator[Submission]:
    """The same submissions; a name that occurs again gets a number."""
    used: set[str] = set()
    for submission in found:
        name, count = submission.student, 1
        while replace(submission, student=name).file_name.lower() in used:
            count += 1
            name = f"{submission.student} ({count})"
        submission = replace(submission, student=name)
        used.add(submission.file_name.lower())
        yield submission
