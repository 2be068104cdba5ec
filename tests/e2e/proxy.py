"""A TCP link that can be spoiled: bytes swallowed or held back, calls refused, ends that vanish without a word.

    box ──▶ proxy ──▶ broker
        ◀──       ◀──
A link that once lost bytes stays dead for its two ends, as one whose state a router has forgotten; calls that are
made after `mend()` go through.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from simulators.central.broker import free_port

CHUNK_BYTES = 16 << 10
BEAT_S = 0.1
"""A slow link takes so much at once."""
Way = Literal["up", "down"]
WAYS: tuple[Way, ...] = ("up", "down")


@dataclass
class Spoiling:
    """What happens to bytes of one way: they pass, are swallowed, or wait where they are."""

    swallows: bool = False
    passes: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: nothing is read, so that the sender's own buffers fill, as on a link that is down for a while."""


@dataclass(eq=False)
class _Link:
    spoiling: dict[Way, Spoiling]
    writers: tuple[asyncio.StreamWriter, ...]
    tells_ends: bool = True


class Proxy:
    """Use `proxy()`. All methods belong to the loop; `bytes` and `calls` may be read from anywhere."""

    def __init__(self, port: int) -> None:
        self._target, self.port = port, free_port()
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spoils: Literal["", "swallow", "hold"] = ""
        self._ways: tuple[Way, ...] = WAYS
        self._rate = 0.0
        self.calls = 0
        self.bytes: dict[Way, int] = dict.fromkeys(WAYS, 0)

    async def listen(self) -> None:
        """Take calls, always on the same port."""
        self._server = await asyncio.start_server(self._call, "127.0.0.1", self.port, limit=CHUNK_BYTES)

    async def refuse(self) -> None:
        """Nothing listens any more, and the links of now are reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.reset()

    async def swallow(self, *ways: Way) -> None:
        """A black hole: the bytes of these ways (all) are taken and forgotten; nobody is told."""
        self._spoil("swallow", ways or WAYS)

    async def hold(self, *ways: Way) -> None:
        """The link is down for a while: nothing of these ways (all) moves, and all of it comes later."""
        self._spoil("hold", ways or WAYS)

    async def mend(self) -> None:
        """New calls go through, and held bytes flow; links that lost bytes stay dead."""
        self._spoils = ""
        for link in self._links:
            for spoiling in link.spoiling.values():
                spoiling.passes.set()

    async def throttle(self, bytes_per_s: float) -> None:
        """At most so many bytes a second and way; 0 = as fast as it goes."""
        self._rate = bytes_per_s

    async def reset(self) -> None:
        """RST to both ends of every link."""
        for link in list(self._links):
            for writer in link.writers:
                _reset(writer)

    async def forget_box(self) -> None:
        """The links of now: whatever becomes of the box, the broker is not told."""
        for link in self._links:
            link.tells_ends = False

    async def forget_broker(self) -> None:
        """The links of now: the broker is cut off, and the box is not told (half-open)."""
        for link in self._links:
            link.tells_ends = False
            link.spoiling["up"].swallows = True
            _reset(link.writers[1])

    async def close(self) -> None:
        """Leave nothing behind."""
        await self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spoil(self, how: Literal["swallow", "hold"], ways: tuple[Way, ...]) -> None:
        self._spoils, self._ways = how, ways
        for link in self._links:
            for way in ways:
                self._apply(link.spoiling[way])

    def _apply(self, spoiling: Spoiling) -> None:
        if self._spoils == "swallow":
            spoiling.swallows = True
        else:
            spoiling.passes.clear()

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.calls += 1
        try:
            with contextlib.suppress(OSError):
                await self._relay(reader, writer)
        except asyncio.CancelledError:
            return  # the end of the test; a cancelled task here is an error to asyncio
        finally:
            self._tasks.discard(task)
            _reset(writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=CHUNK_BYTES)
        link = _Link({way: Spoiling() for way in WAYS}, (writer, far_writer))
        for way in WAYS:
            link.spoiling[way].passes.set()
            if self._spoils and way in self._ways:
                self._apply(link.spoiling[way])
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as pair:
                pair.create_task(self._pump(link, "up", reader, far_writer))
                pair.create_task(self._pump(link, "down", far_reader, writer))
        except* OSError:
            pass
        finally:
            self._links.discard(link)
            _reset(far_writer)

    async def _pump(self, link: _Link, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spoiling = link.spoiling[way]
        while True:
            await spoiling.passes.wait()
            try:
                data = await reader.read(max(64, int(self._rate * BEAT_S)) if self._rate else CHUNK_BYTES)
            except OSError:
                data = b""
            await spoiling.passes.wait()
            if spoiling.swallows and data:
                continue
            if not data:
                if spoiling.swallows or not link.tells_ends:
                    await asyncio.Event().wait()  # its end went into the hole as well
                raise ConnectionResetError
            self.bytes[way] += len(data)
            if self._rate:
                await asyncio.sleep(len(data) / self._rate)
            try:
                writer.write(data)
                await writer.drain()
            except OSError:
                if link.tells_ends:
                    raise


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None and not writer.is_closing():
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def proxy(port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of a port of this machine."""
    made = Proxy(port)
    await made.listen()
    try:
        yield made
    finally:
        await made.close()
