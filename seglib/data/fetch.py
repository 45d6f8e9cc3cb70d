"""Downloads that survive a bad network: retried, resumed, checked, and never half there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
import tenacity

from seglib.errors import SeglibError

CHUNK_BYTES = 1 << 16
TIMEOUT_SECONDS = (10, 60)


class TransientError(Exception):
    """The network or the server failed in a way that may pass: try again."""


class MissingError(SeglibError):
    """The server answers that there is no such file (404, 403, 410)."""


class NoRangeSupportError(SeglibError):
    """The server sends whole files only, although a part was asked for."""


class OfflineError(SeglibError):
    """The server could not be reached at all, or kept failing."""


@dataclass(frozen=True)
class Retry:
    """How patiently to try again.

    Attributes:
        attempts: tries altogether.
        first_wait: seconds before the second try; doubles each time, with jitter.
        longest_wait: seconds, the limit of that doubling.
    """

    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 20.0

    def run(self, action: Callable[[], Path], url: str) -> Path:
        """Call `action` until it stops raising TransientError; OfflineError when patience ends."""
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
                f"{url} could not be fetched in {self.attempts} tries ({error}): check the "
                "network and run the same command again; what has arrived is kept"
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
) -> Path:
    """Fetch `url` into `destination`, which appears only when it is complete and verified.

    Bytes gather in `destination` + ".part"; a later call goes on where an earlier one,
    even a killed one, stopped, if the server can send parts.

    Args:
        url: http or https.
        destination: file to write; its folder is made.
        sha256: hexadecimal digest that the file must have.
        check: further check of the finished part; raises TransientError to try again.
        span: (first byte, length) to fetch only a part of the remote file.
        retry: patience; six tries by default.
        session: for several downloads over one connection.

    Returns:
        `destination`.

    Raises:
        MissingError: the server has no such file.
        NoRangeSupportError: `span` asked of a server that sends whole files only.
        OfflineError: no success after all tries.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(destination.name + ".part")

    def attempt() -> Path:
        _receive(session or requests.Session(), url, part, span)
        try:
            _verify(part, sha256)
            if check is not None:
                check(part)
        except TransientError:
            part.unlink(missing_ok=True)  # what is wrong cannot be continued
            raise
        os.replace(part, destination)
        return destination

    return (retry or Retry()).run(attempt, url)


def _receive(session: requests.Session, url: str, part: Path, span: tuple[int, int] | None) -> None:
    """Append what is missing of `url` to `part`; TransientError when the stream breaks."""
    have = part.stat().st_size if part.exists() else 0
    if span is not None and have >= span[1]:
        return
    try:
        with session.get(
            url, headers=_range_header(have, span), stream=True, timeout=TIMEOUT_SECONDS
        ) as response:
            if response.status_code == 416:  # the part is longer than the file: start afresh
                part.unlink(missing_ok=True)
                raise TransientError("the partial file no longer fits")
            _check_status(response, url, span)
            resumed = response.status_code == 206
            with part.open("ab" if resumed else "wb") as file:
                _copy(response, file.write)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise TransientError(f"no connection: {type(error).__name__}") from error
    except requests.RequestException as error:
        raise TransientError(str(error)) from error
    if span is not None and part.stat().st_size != span[1]:
        part.unlink()
        raise TransientError("the server sent another range than asked for")


def _range_header(have: int, span: tuple[int, int] | None) -> dict[str, str]:
    # Compressed transfer would make lengths and offsets meaningless.
    headers = {"Accept-Encoding": "identity"}
    if span is not None:
        first, length = span
        headers["Range"] = f"bytes={first + have}-{first + length - 1}"
    elif have:
        headers["Range"] = f"bytes={have}-"
    return headers


def _check_status(response: requests.Response, url: str, span: tuple[int, int] | None) -> None:
    status = response.status_code
    if status in (403, 404, 410):
        raise MissingError(f"{url} does not exist on the server (HTTP {status})")
    if status not in (200, 206):
        raise TransientError(f"HTTP {status}")
    if span is not None and status != 206:
        raise NoRangeSupportError(f"{url}: the server cannot send parts of files")


def _copy(response: requests.Response, write: Callable[[bytes], int]) -> None:
    promised = response.headers.get("Content-Length")
    received = 0
    for chunk in response.iter_content(CHUNK_BYTES):
        write(chunk)
        received += len(chunk)
    if promised is not None and received != int(promised):
        raise TransientError(f"{received} bytes arrived of {promised}")


def _verify(part: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise TransientError(f"checksum {digest[:12]}… instead of {sha256[:12]}…")
