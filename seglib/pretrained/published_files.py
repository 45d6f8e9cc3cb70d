"""The cache of published weights: download files or copy them there, and check their digests."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from seglib.atomic import write_atomic
from seglib.data.assets import cache_dir
from seglib.data.digests import file_sha256
from seglib.data.fetch import Progress, TransientError, download
from seglib.errors import SeglibError, unknown_name
from seglib.models.base import Segmenter
from seglib.pretrained.official import load_official
from seglib.pretrained.published import PUBLISHED, Published

ALGORITHMS = {"sha256": "SHA-256", "md5": "MD5"}


def published(name: str) -> Published:
    """An entry of the table; raises SeglibError for an unknown name."""
    if name not in PUBLISHED:
        raise unknown_name("file of weights", name, PUBLISHED, "; `seglib weights` describes them")
    return PUBLISHED[name]


def cached_path(entry: Published) -> Path:
    """The path in the cache for an entry's file, which need not exist."""
    return cache_dir() / "weights" / entry.name / entry.file


def cached_file(name: str) -> Path:
    """The cached file of the weights called `name`; raises SeglibError if it is not cached."""
    path = cached_path(published(name))
    if not path.is_file():
        raise SeglibError(f"the weights {name} are not here yet: run `seglib weights {name}` first")
    return path


def is_intact(entry: Published) -> bool:
    """Whether the cached file exists, is unchanged since it arrived, and has the right digest."""
    path = cached_path(entry)
    if not path.is_file():
        return False
    recorded = recorded_sha256(entry)
    if recorded is not None and recorded != file_sha256(path):
        return False
    if digest_fault(entry, path) is not None:
        return False
    if recorded is None:  # put there by hand
        _record(entry)
    return True


def fetch(entry: Published, progress: Progress | None = None) -> Path:
    """Download a file into the cache and record its SHA-256; resumes after an interruption.

    Raises:
        SeglibError: only a browser can download the file, the server cannot be reached, or what it
            sends does not have the published digest.
    """
    path = cached_path(entry)
    if entry.by_hand:
        raise SeglibError(f"{entry.file} can only be downloaded with a browser")
    wrong: set[str] = set()

    def check(part: Path) -> None:
        if (fault := digest_fault(entry, part)) is None:
            return
        if fault not in wrong:  # it may have been damaged on the way, so try once more
            wrong.add(fault)
            raise TransientError(fault)
        part.unlink()
        raise SeglibError(
            f"{entry.address} is not the file that was published as {entry.file}: {fault}, twice"
        )

    download(entry.address, path, check=check, progress=progress)
    _record(entry)
    return path


def add_downloaded(entry: Published, source: Path) -> Segmenter:
    """Copy a file that the user has downloaded into the cache, if it is the right one.

    Returns:
        the network that the file contains.

    Raises:
        SeglibError: the file is missing, has another digest, or contains another network.
    """
    if not source.is_file():
        raise SeglibError(f"no file at {source}: give the downloaded {entry.file}")
    if (fault := digest_fault(entry, source)) is not None:
        raise SeglibError(
            f"{source} is not the file that was published as {entry.file}: {fault}; download it "
            f"again from {entry.address}, or use yours by its path: `seglib predict {source} …`"
        )
    network = load_official(source)
    if network.name != entry.model:
        raise SeglibError(
            f"{source} contains the weights of a {network.name}, but {entry.file} those of a "
            f"{entry.model}"
        )
    with source.open("rb") as stream:
        write_atomic(cached_path(entry), lambda copy: shutil.copyfileobj(stream, copy, 1 << 20))
    _record(entry)
    return network


def digest_fault(entry: Published, path: Path) -> str | None:
    """How a file's digest differs from the published one; None if they agree or none was published.

    Reads the whole file.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, entry.algorithm).hexdigest()
    if digest.startswith(entry.digest):
        return None
    found = digest[: len(entry.digest)]
    return f"its {ALGORITHMS[entry.algorithm]} begins with {found}, not with {entry.digest}"


def recorded_sha256(entry: Published) -> str | None:
    """The SHA-256 that was recorded when the file was cached; None if there is no record."""
    try:
        return _digest_path(entry).read_text("ascii").split()[0]
    except (OSError, ValueError, IndexError):
        return None


def _record(entry: Published) -> None:
    """Write the file's SHA-256 next to it, in the format of the program sha256sum."""
    line = f"{file_sha256(cached_path(entry))}  {entry.file}\n"
    write_atomic(_digest_path(entry), lambda stream: stream.write(line.encode()))


def _digest_path(entry: Published) -> Path:
    path = cached_path(entry)
    return path.with_name(f"{path.name}.sha256")
