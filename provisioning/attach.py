"""Attaching to a running agent's feed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from drivers.observation import AnyObservation
from gateway.config import load
from gateway.errors import JisrError
from gateway.feed import Kind, Want
from gateway.language import N_

LINE_BYTES = 4 << 20


class NoAgent(JisrError):
    """Nothing serves the socket."""

    sentence = N_("{socket}: no agent is running here. Start it with jisr run, and name its configuration.")


class NoSocket(JisrError):
    """The configuration has no feed."""

    exit_code = 2
    sentence = N_('{file}: the agent shows nothing. Add socket = "/run/jisr/agent.sock" under [gateway].')


class NoDevice(JisrError):
    """A device that the configuration does not have."""

    exit_code = 2
    sentence = N_("There is no device named {name} in {file}. There are: {known}.")


def socket_of(config_file: Path, device: str = "") -> Path:
    """Where the agent of this configuration shows what it does. Raises `NoSocket`, `NoDevice`."""
    config = load(config_file)
    if not config.gateway.socket:
        raise NoSocket(file=config_file)
    known = [each.name for each in config.device]
    if device and device not in known:
        raise NoDevice(name=device, file=config_file, known=", ".join(known))
    return Path(config.gateway.socket)


class BytesSeen(Struct, frozen=True, omit_defaults=True):
    """Raw bytes of one device's port, as the feed tells them and a capture keeps them."""

    t: float
    dir: Literal["rx", "tx"]
    hex: str
    device: str = ""
    table: str = ""
    address: int = 0
    error: str = ""


class Seen(Struct, frozen=True):
    """One line of the feed: one of the three is there."""

    observation: AnyObservation | None = None
    status: dict[str, Any] | None = None
    bytes: BytesSeen | None = None


_DECODER = msgspec.json.Decoder(Seen)


async def lines(socket: Path, want: tuple[Kind, ...], device: str = "") -> AsyncIterator[Seen]:
    """The feed's lines until the agent ends. Raises `NoAgent`."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket), limit=LINE_BYTES)
    except OSError as error:
        raise NoAgent(socket=socket) from error
    try:
        writer.write(msgspec.json.encode(Want(want, device)) + b"\n")
        await writer.drain()
        while line := await reader.readline():
            yield _DECODER.decode(line)
    finally:
        writer.close()
