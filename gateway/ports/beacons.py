"""Listening to what monitors announce on a network by themselves; nothing is ever sent, and nobody is asked."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence

from msgspec import Struct

from gateway.ports.port import PortUnusable, translate

LARGEST_BYTES = 65_535
WAITING = 256
"""Announcements that wait to be read; each device makes one a second at most, and says it again."""


class Ear(Struct, frozen=True):
    """A UDP port on which devices announce themselves, by broadcast, or to a multicast group as well."""

    port: int
    group: str = ""


class Heard(Struct, frozen=True):
    """One datagram: on which port it came, and from whom."""

    port: int
    sender: str
    data: bytes


@contextlib.asynccontextmanager
async def listening(ears: Sequence[Ear]) -> AsyncIterator[asyncio.Queue[Heard]]:
    """What is heard on all of `ears` while the block lasts. Raises a `PortError` where one cannot be listened to."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[Heard] = asyncio.Queue(WAITING)
    with contextlib.ExitStack() as undo:
        for ear in ears:
            try:
                line = undo.enter_context(_bound(ear))
            except OSError as error:
                raise translate(error, f"udp:*:{ear.port}", PortUnusable) from error
            loop.add_reader(line, _take, line, ear.port, heard)
            undo.callback(loop.remove_reader, line)
        yield heard


def _bound(ear: Ear) -> socket.socket:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        line.setblocking(False)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a running agent may listen there too
        line.bind(("", ear.port))
        if ear.group:
            # Without a network that routes multicast there is no group to join; broadcasts are heard all the same.
            with contextlib.suppress(OSError):
                member = socket.inet_aton(ear.group) + socket.inet_aton("0.0.0.0")  # noqa: S104 - any interface
                line.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    except OSError:
        line.close()
        raise
    return line


def _take(line: socket.socket, port: int, heard: asyncio.Queue[Heard]) -> None:
    with contextlib.suppress(OSError, asyncio.QueueFull):
        data, (sender, *_port) = line.recvfrom(LARGEST_BYTES)
        heard.put_nowait(Heard(port, sender, data))
