"""One member of a zip file on a server, without downloading the zip file."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import requests
import urllib3
from remotezip import RangeNotSupported, RemoteIOError, RemoteZip

from seglib.data.fetch import (
    CHUNK_BYTES,
    MissingError,
    NoRangeSupportError,
    Retry,
    TransientError,
    download,
)
from seglib.errors import SeglibError

LOCAL_HEADER_BYTES = 30


def fetch_member(url: str, member: str, destination: Path, retry: Retry | None = None) -> Path:
    """Fetch one file out of a remote zip into `destination`; resumable, verified by its CRC.

    Only the member's compressed bytes travel when the server can send parts of files;
    otherwise the whole archive does.

    Args:
        url: of the zip file.
        member: name inside it.
        destination: appears when complete.
        retry: patience of every request.

    Raises:
        MissingError: no such archive, or no such member.
        OfflineError: the server cannot be reached.
    """
    if destination.exists():
        return destination
    retry = retry or Retry()
    packed = destination.with_name(destination.name + ".packed")
    try:
        info, record_bytes = _look_up(url, member, retry)
        download(url, packed, span=(info.header_offset, record_bytes), retry=retry)
        _unpack_record(packed, info, destination)
    except NoRangeSupportError:
        download(url, packed, retry=retry)
        _unpack_archive(packed, member, url, destination)
    packed.unlink()
    return destination


def _look_up(url: str, member: str, retry: Retry) -> tuple[zipfile.ZipInfo, int]:
    """The member's entry in the archive's directory, and the length of its record in bytes."""
    found: list[tuple[zipfile.ZipInfo, int]] = []

    def look() -> Path:
        try:
            with RemoteZip(url) as archive:
                info = archive.getinfo(member)
                later = [i.header_offset for i in archive.infolist()] + [archive.start_dir]
                end = min(offset for offset in later if offset > info.header_offset)
                found.append((info, end - info.header_offset))
        except KeyError as error:
            raise MissingError(f"{url} holds no {member}") from error
        except RangeNotSupported as error:
            raise NoRangeSupportError(f"{url}: the server cannot send parts of files") from error
        except RemoteIOError as error:
            raise _explain(error, url) from error
        except urllib3.exceptions.HTTPError as error:  # remotezip reads the raw response
            raise TransientError(f"connection lost: {type(error).__name__}") from error
        except zipfile.BadZipFile as error:
            raise TransientError(f"not a zip file: {error}") from error
        return Path(member)

    retry.run(look, url)
    return found[-1]


def _explain(error: RemoteIOError, url: str) -> Exception:
    """remotezip wraps requests' errors; find out whether the file is missing."""
    cause = error.__context__
    response = cause.response if isinstance(cause, requests.HTTPError) else None
    if response is not None and response.status_code in (403, 404, 410):
        return MissingError(f"{url} does not exist on the server (HTTP {response.status_code})")
    return TransientError(str(error))


def _unpack_record(packed: Path, info: zipfile.ZipInfo, destination: Path) -> None:
    """Inflate a zip record (local header, then compressed bytes) and compare its CRC-32."""
    part = destination.with_name(destination.name + ".part")
    try:
        crc = _inflate(packed, info, part)
    except (zlib.error, struct.error):
        crc = None
    if crc != info.CRC or part.stat().st_size != info.file_size:
        part.unlink(missing_ok=True)
        packed.unlink()
        raise SeglibError(f"{info.filename} arrived damaged (CRC differs): run the command again")
    os.replace(part, destination)


def _inflate(packed: Path, info: zipfile.ZipInfo, part: Path) -> int:
    """Write the record's content to `part`; returns its CRC-32."""
    crc = 0
    with packed.open("rb") as source, part.open("wb") as target:
        # Name and extra field stand between the local header and the data.
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
    part = destination.with_name(destination.name + ".part")
    try:
        with (
            zipfile.ZipFile(packed) as archive,
            archive.open(member) as source,
            part.open("wb") as target,
        ):
            shutil.copyfileobj(source, target)
    except (KeyError, zipfile.BadZipFile) as error:
        packed.unlink()
        raise MissingError(f"{url} holds no readable {member}: {error}") from error
    os.replace(part, destination)
