"""A TCP line that carries so many bytes a second upwards, and holds little of what waits for it."""

import asyncio
import contextlib
import socket

HELD_BYTES = 4 << 10
BEATS = 20
"""Pieces a second."""


class Throttle:
    """Listens on `port` once opened, and passes on to another one."""

    def __init__(self, target: int, rate: float) -> None:
        self._target, self.rate = target, rate
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = self.up = self.calls = 0

    async def open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD_BYTES)
        listener.bind(("127.0.0.1", 0))
        self.port = int(listener.getsockname()[1])
        self._server = await asyncio.start_server(self._call, sock=listener, limit=HELD_BYTES)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.calls += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [
            asyncio.create_task(self._pass(reader, far_writer, self.rate)),
            asyncio.create_task(self._pass(far_reader, writer, 0)),
        ]
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            writer.close()
            far_writer.close()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(int(rate / BEATS) or 1 << 16):
                writer.write(data)
                await writer.drain()
                if rate:
                    self.up += len(data)
                    await asyncio.sleep(len(data) / rate)
