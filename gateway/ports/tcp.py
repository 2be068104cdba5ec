"""TCP ports: calling a device, and waiting for one to call."""

import asyncio
import contextlib
import socket

from drivers.observation import SourceAuth
from gateway.ports.port import HostUnknown, PortLost, PortUnusable, translate

READ_BYTES = 4096
"""Read at once. Parsing 64 kB of a device that floods us would hold up the other devices for 0.2 s each time."""
CONNECT_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 10.0
KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""A peer that vanished without a word is noticed within a minute, also when nothing is sent to it."""


class _Stream:
    """What both directions share once they are connected."""

    source_auth: SourceAuth = "network_unauthenticated"

    def __init__(self, name: str) -> None:
        self.name = name
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in KEEPALIVE:
            line.setsockopt(socket.IPPROTO_TCP, option, seconds)
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """What has arrived; raises `PortLost` at the end of the stream."""
        if self._reader is None:
            raise PortLost(port=self.name, detail="closed")
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError as error:
            raise translate(error, self.name) from error
        if not data:
            raise PortLost(port=self.name, detail="closed by the device")
        return data

    async def write(self, data: bytes) -> None:
        """All bytes, or `PortLost`."""
        if self._writer is None:
            raise PortLost(port=self.name, detail="closed")
        try:
            self._writer.write(data)
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._writer.drain()
        except TimeoutError as error:
            raise PortLost(port=self.name, detail="write time-out") from error
        except OSError as error:
            raise translate(error, self.name) from error

    async def close(self) -> None:
        """Close the connection."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()


class TcpPort(_Stream):
    """The device listens, the box calls."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"tcp:{host}:{port}")
        self._host, self._port = host, port

    async def open(self) -> None:
        """Connect within ten seconds. Raises `PortSilent`, `HostUnknown`, `PortUnusable`."""
        await self.close()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._take(*await asyncio.open_connection(self._host, self._port))
        except socket.gaierror as error:
            raise HostUnknown(port=self.name) from error
        except TimeoutError as error:
            raise translate(TimeoutError(110, "timeout"), self.name) from error
        except OSError as error:
            raise translate(error, self.name, PortUnusable) from error

    async def release(self) -> None:
        """The same as `close()`."""
        await self.close()


class TcpListenPort(_Stream):
    """The box listens, the device calls. One device at a time: the newest call wins, the older is half dead."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"tcp-listen:{host}:{port}")
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._called = asyncio.Event()
        self._next: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """Listen if that is not so yet, and wait for the device. Raises `PortBusy`, `PortForbidden`."""
        await self.close()
        if self._server is None:
            try:
                self._server = await asyncio.start_server(self._accept, self._host, self._port)
            except OSError as error:
                raise translate(error, self.name, PortUnusable) from error
        while self._next is None:
            self._called.clear()
            await self._called.wait()
        (reader, writer), self._next = self._next, None
        self._take(reader, writer)

    @property
    def address(self) -> tuple[str, int]:
        """Where it really listens (port 0 in the configuration means any)."""
        if self._server is None:
            return self._host, self._port
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        older = self._next[1] if self._next else self._writer
        self._next = (reader, writer)
        self._called.set()
        if older is not None:
            older.close()

    async def release(self) -> None:
        """Close the connection and stop listening."""
        await self.close()
        if self._next is not None:
            self._next[1].close()
            self._next = None
        if self._server is not None:
            self._server.close()
            self._server = None
