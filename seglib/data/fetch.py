"""Downloads that survive a bad network: retried, resumed, verified and never left incomplete."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests
import tenacity

from seglib.data.digests import file_sha256
from seglib.errors import SeglibError
from seglib.locks import locked

T = TypeVar("T")

# Called with the bytes received so far and, if the server says it, their total.
Progress = Callable[[int, int | None], None]

CHUNK_BYTES = 1 << 16
TIMEOUT_SECONDS = (10, 60)


class TransientError(Exception):
    """A failure of the network or the server that may be temporary: try again."""


class MissingError(SeglibError):
    """The server does not have the file."""


class NoRangeSupportError(SeglibError):
    """The server only sends whole files."""


class OfflineError(SeglibError):
    """The server could not be reached, or kept failing."""


@dataclass(frozen=True)
class Retry:
    """How often, and after how long a wait, a failed request is tried again.

    Attributes:
        attempts: total number of attempts.
        first_wait: seconds before the second attempt; doubled each time, with jitter.
        longest_wait: the longest wait in seconds.
    """

    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 20.0

    def run(self, action: Callable[[], T], url: str) -> T:
        """Call `action` until it succeeds; raises OfflineError after the last TransientError."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_exponential(multiplier=self.first_wait, max=self.longest_wait)
            + tenacity.wait_random(0, self.first_wait),
            reraise=True,
        )
        try:
            return retrying(action)
        except TransientError as error:
            raise OfflineError(
                f"{url} could not be fetched in {self.attempts} attempts ({error}): check the "
                "network and run the same command again; what has been downloaded is kept"
            ) from error


def download(
    url: str,
    destination: Path,
    sha256: str | None = None,
    *,
    check: Callable[[Path], None] | None = None,
    span: tuple[int, int] | None = None,
    retry: Retry | None = None,
    session: requests.Session | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch `url` into `destination`, which appears only when it is complete and verified.

    Data is collected in `destination` + ".part". If the server supports range requests, a later
    call resumes where an earlier one stopped, even if that one was killed. Of two processes that
    fetch one file, the second waits for the first's.

    Args:
        url: http or https.
        destination: file to write; its folder is created if necessary.
        sha256: hexadecimal digest that the file must have.
        check: a further check of the complete file; raises TransientError to try again.
        span: (first byte, length) to fetch only a part of the remote file.
        retry: six attempts by default.
        session: a session for several downloads over one connection.
        progress: called after every chunk.

    Returns:
        `destination`.

    Raises:
        MissingError: the server does not have the file.
        NoRangeSupportError: `span` was given, but the server only sends whole files.
        OfflineError: every attempt failed.
    """
    part = destination.with_name(destination.name + ".part")

    def attempt() -> Path:
        _receive(session or requests.Session(), url, part, span, progress)
        try:
            _verify(part, sha256)
            if check is not None:
                check(part)
        except TransientError:
            part.unlink(missing_ok=True)  # wrong content cannot be resumed
            raise
        os.replace(part, destination)
        return destination

    before = _stamp(destination)
    with locked(destination.with_name(f".{part.name}.lock"), wait=True):
        if destination.is_file() and _stamp(destination) != before:
            return destination  # another process has just fetched it
        return (retry or Retry()).run(attempt, url)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What distinguishes a file on the server from a later version of it."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _receive(
    session: requests.Session,
    url: str,
    part: Path,
    span: tuple[int, int] | None,
    progress: Progress | None,
) -> None:
    """Append the missing bytes of `url` to `part`; TransientError if the connection breaks."""
    have = part.stat().st_size if part.exists() else 0
    if span is not None and have >= span[1]:
        return
    try:
        with session.get(
            url, headers=_range_header(have, span), stream=True, timeout=TIMEOUT_SECONDS
        ) as response:
            if response.status_code == 416:  # the part is longer than the file: start again
                part.unlink(missing_ok=True)
                raise TransientError("the partial file is longer than the remote one")
            _check_status(response, url, span)
            resumed = response.status_code == 206
            with part.open("ab" if resumed else "wb") as file:
                _copy(response, file.write, have if resumed else 0, progress)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise TransientError(f"no connection: {type(error).__name__}") from error
    except requests.RequestException as error:
        raise TransientError(str(error)) from error
    if span is not None and part.stat().st_size != span[1]:
        part.unlink()
        raise TransientError("the server did not send the range that was requested")


def _range_header(have: int, span: tuple[int, int] | None) -> dict[str, str]:
    # With a compressed transfer, lengths and offsets would be meaningless.
    headers = {"Accept-Encoding": "identity"}
    if span is not None:
        first, length = span
        headers["Range"] = f"bytes={first + have}-{first + length - 1}"
    elif have:
        headers["Range"] = f"bytes={have}-"
    return headers


def _check_status(response: requests.Response, url: str, span: tuple[int, int] | None) -> None:
    status = response.status_code
    check_exists(response, url)
    if status not in (200, 206):
        raise TransientError(f"HTTP {status}")
    if span is not None and status != 206:
        raise no_range_support(url)


def check_exists(response: requests.Response, url: str) -> None:
    """Raise MissingError if the server says that it does not have the file."""
    if response.status_code in (403, 404, 410):
        raise MissingError(f"{url} does not exist on the server (HTTP {response.status_code})")


def no_range_support(url: str) -> NoRangeSupportError:
    """The error for a server that only sends whole files."""
    return NoRangeSupportError(f"{url}: the server does not support range requests")


def _copy(
    response: requests.Response,
    write: Callable[[bytes], int],
    before: int,
    progress: Progress | None,
) -> None:
    """Write the body; `before` bytes of the file are there already."""
    length = response.headers.get("Content-Length")
    expected = None if length is None else int(length)
    received = 0
    for chunk in response.iter_content(CHUNK_BYTES):
        write(chunk)
        received += len(chunk)
        if progress is not None:
            progress(before + received, None if expected is None else before + expected)
    if expected is not None and received != expected:
        raise TransientError(f"received {received} of {expected} bytes")


def _verify(part: Path, sha256: str | None) -> None:
    if sha256 is not None and (digest := file_sha256(part)) != sha256:
        raise TransientError(f"the checksum is {digest[:12]}…, not {sha256[:12]}…")
