"""Captures: JSON lines, readable and diffable, or the raw bytes a device sent (`.bin`).

A line is `{"t":12.345,"dir":"rx","hex":"0124…"}`, with `table` and `address` for a block of registers. The first line
may be `{"capture":1,"started":"2026-11-25T09:00:00.000Z",…}`: what it was taken from, and when.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from drivers.contract import Table
from gateway.clock import utc_text
from gateway.errors import JisrError
from gateway.language import N_

BITS: tuple[Table, ...] = ("coil", "discrete")
RAW_BLOCK_BYTES = 256
RAW_BYTE_S = 10 / 9600
"""Raw bytes carry no time: it advances by itself, as on a 9,600 baud line of ten bits a byte."""


class CaptureUnreadable(JisrError):
    """The file is not a capture."""

    exit_code = 2
    sentence = N_("{file}, line {line}: this is not a line of a recording ({detail}).")


class CaptureAbsent(JisrError):
    """The file cannot be read."""

    exit_code = 2
    sentence = N_("{file}: the file cannot be read ({detail}).")


class Piece(Struct, frozen=True):
    """Bytes that came from the device at one moment; `table` and `address` where they are registers."""

    t: float
    data: bytes
    at: str = ""
    table: Table | Literal[""] = ""
    address: int = 0
    error: str = ""
    is_timed: bool = True


class Header(Struct, frozen=True, omit_defaults=True):
    """The first line of what `jisr record` writes."""

    capture: int
    started: str = ""
    device: str = ""
    driver: str = ""
    profile: str = ""
    port: str = ""


class _Line(Struct, frozen=True):
    t: float
    dir: Literal["rx", "tx"]
    hex: str
    table: Table | Literal[""] = ""
    address: int = 0
    error: str = ""


_LINE = msgspec.json.Decoder(_Line)


def read_capture(path: Path) -> Iterator[Piece]:
    """What the device sent, in order. Raises `CaptureAbsent`, `CaptureUnreadable`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CaptureAbsent(file=path, detail=error.strerror) from error
    if path.suffix == ".bin":
        yield from _raw(content)
        return
    started = ""
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        if number == 1 and b'"capture"' in line:
            started = _header(path, line).started
            continue
        piece = _piece(path, number, line, started)
        if piece is not None:
            yield piece


def _raw(content: bytes) -> Iterator[Piece]:
    for at in range(0, len(content), RAW_BLOCK_BYTES):
        block = content[at : at + RAW_BLOCK_BYTES]
        yield Piece((at + len(block)) * RAW_BYTE_S, block, is_timed=False)


def _header(path: Path, line: bytes) -> Header:
    try:
        return msgspec.json.decode(line, type=Header)
    except msgspec.DecodeError as error:
        raise CaptureUnreadable(file=path, line=1, detail=error) from error


def _piece(path: Path, number: int, line: bytes, started: str) -> Piece | None:
    try:
        read = _LINE.decode(line)
        data = bytes.fromhex(read.hex)
        at = utc_text((datetime.fromisoformat(started) + timedelta(seconds=read.t)).timestamp()) if started else ""
    except (msgspec.DecodeError, ValueError) as error:
        raise CaptureUnreadable(file=path, line=number, detail=error) from error
    if read.dir != "rx":
        return None
    return Piece(read.t, data, at, read.table, read.address, read.error)
