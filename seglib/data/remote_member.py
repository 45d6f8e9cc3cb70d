"""Fetch one member of a zip file on a server without downloading the whole archive."""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

import requests
import urllib3
from remotezip import RangeNotSupported, RemoteIOError, RemoteZip

from seglib.atomic import write_atomic
from seglib.data.fetch import (
    CHUNK_BYTES,
    MissingError,
    NoRangeSupportError,
    Retry,
    TransientError,
    check_exists,
    download,
    no_range_support,
)
from seglib.errors import SeglibError
from seglib.locks import locked

LOCAL_HEADER_BYTES = 30


def fetch_member(url: str, member: str, destination: Path, retry: Retry | None = None) -> Path:
    """Fetch one member of a remote zip into `destination`; resumable, verified by its CRC.

    If the server supports range requests, only the member's compressed bytes are downloaded,
    otherwise the whole archive.

    Args:
        url: address of the zip file.
        member: name inside it.
        destination: appears only when complete.
        retry: the attempts at every request; six by default.

    Raises:
        MissingError: the archive or the member does not exist.
        OfflineError: the server cannot be reached.
        SeglibError: the member arrived damaged.
    """
    with locked(destination.with_name(f".{destination.name}.lock"), wait=True):
        if not destination.exists():
            _fetch(url, member, destination, retry or Retry())
    return destination


def _fetch(url: str, member: str, destination: Path, retry: Retry) -> None:
    packed = destination.with_name(destination.name + ".packed")
    try:
        info, record_bytes = _look_up(url, member, retry)
        download(url, packed, span=(info.header_offset, record_bytes), retry=retry)
        _unpack_record(packed, info, destination)
    except NoRangeSupportError:
        download(url, packed, retry=retry)
        _unpack_archive(packed, member, url, destination)
    packed.unlink()


def _look_up(url: str, member: str, retry: Retry) -> tuple[zipfile.ZipInfo, int]:
    """The member's entry in the archive's directory, and the length of its record in bytes."""

    def look_up() -> tuple[zipfile.ZipInfo, int]:
        try:
            with RemoteZip(url) as archive:
                info = archive.getinfo(member)
                later = [i.header_offset for i in archive.infolist()] + [archive.start_dir]
                end = min(offset for offset in later if offset > info.header_offset)
                return info, end - info.header_offset
        except KeyError as error:
            raise MissingError(f"{url} contains no {member}") from error
        except RangeNotSupported as error:
            raise no_range_support(url) from error
        except RemoteIOError as error:
            # remotezip wraps the errors of requests, also where the server has no such file.
            cause = error.__context__
            if isinstance(cause, requests.HTTPError) and cause.response is not None:
                check_exists(cause.response, url)
            raise TransientError(str(error)) from error
        except urllib3.exceptions.HTTPError as error:  # remotezip reads the raw response
            raise TransientError(f"connection lost: {type(error).__name__}") from error
        except zipfile.BadZipFile as error:
            raise TransientError(f"not a zip file: {error}") from error

    return retry.run(look_up, url)


def _unpack_record(packed: Path, info: zipfile.ZipInfo, destination: Path) -> None:
    """Inflate a zip record (local header, then compressed bytes) and compare its CRC-32."""

    def write(target: BinaryIO) -> None:
        if (_inflate(packed, info, target), target.tell()) != (info.CRC, info.file_size):
            raise zlib.error("the CRC or the size differs")

    try:
        write_atomic(destination, write)
    except (zlib.error, struct.error) as error:
        packed.unlink()
        raise SeglibError(
            f"{info.filename} arrived damaged ({error}): run the command again"
        ) from error


def _inflate(packed: Path, info: zipfile.ZipInfo, target: BinaryIO) -> int:
    """Write the record's content to `target`; returns its CRC-32."""
    crc = 0
    with packed.open("rb") as source:
        # The name and an extra field lie between the local header and the data.
        name_bytes, extra_bytes = struct.unpack("<HH", source.read(LOCAL_HEADER_BYTES)[26:30])
        source.seek(LOCAL_HEADER_BYTES + name_bytes + extra_bytes)
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        left = info.compress_size
        while left and (chunk := source.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            data = inflate.decompress(chunk) if info.compress_type else chunk
            crc = zlib.crc32(data, crc)
            target.write(data)
    return crc


def _unpack_archive(packed: Path, member: str, url: str, destination: Path) -> None:
    try:
        with zipfile.ZipFile(packed) as archive, archive.open(member) as source:
            write_atomic(destination, lambda target: shutil.copyfileobj(source, target))
    except (KeyError, zipfile.BadZipFile) as error:
        packed.unlink()
        raise MissingError(f"{url} contains no readable {member}: {error}") from error
