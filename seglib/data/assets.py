"""Find the course's files: in a checkout, in the cache, or at a configured address.

SEGLIB_CACHE       folder for generated and downloaded files (default: the user's cache folder)
SEGLIB_ASSETS_URL  where an installed package downloads the files too large for its wheel
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import platformdirs

from seglib.data.digests import file_sha256
from seglib.errors import SeglibError


def checkout_root() -> Path | None:
    """The folder of the checkout that seglib runs from, or None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "data").is_dir() else None


def cache_dir() -> Path:
    """The folder for generated and downloaded files, created on first use.

    Raises:
        SeglibError: the folder cannot be created.
    """
    named = os.environ.get("SEGLIB_CACHE")
    folder = Path(named).expanduser() if named else platformdirs.user_cache_path("seglib")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SeglibError(
            f"cannot create the cache folder {folder} ({error.strerror}): "
            "set SEGLIB_CACHE to a folder that you can write to"
        ) from error
    return folder


def asset(relative: str, sha256: str | None = None) -> Path:
    """The path of a shipped file in the checkout's data/ or the cache, downloaded if necessary.

    Args:
        relative: path below data/ with forward slashes, such as "checkpoints/fcn-8s.safetensors".
        sha256: hexadecimal digest that a cached or downloaded file must have. A file in the
            checkout is not checked: git vouches for it.

    Raises:
        SeglibError: a path outside data/, a file that cannot be found, or a failed download.
    """
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts:
        raise SeglibError(f"an asset is named by its path below data/, not by {relative!r}")
    root = checkout_root()
    if root is not None and (root / "data" / parts).exists():
        return root / "data" / parts
    cached = cache_dir() / "assets" / parts
    if cached.is_file() and (sha256 is None or file_sha256(cached) == sha256):
        return cached
    base = os.environ.get("SEGLIB_ASSETS_URL")
    if not base:
        raise SeglibError(
            f"{relative} is neither in a checkout's data/ nor in {cached.parent}: run from a "
            "checkout, or set SEGLIB_ASSETS_URL to the address that serves the data/ folder"
        )
    from seglib.data.fetch import download  # here, because local files need no network library

    return download(f"{base.rstrip('/')}/{parts}", cached, sha256)
