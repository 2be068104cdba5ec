"""A port where someone sits who is not the broker: takes calls, keeps every byte, and answers as it was told to."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from simulators.central.lab_ca import Pair

Habit = Literal["relay", "silent", "connack", "alert", "banner", "self_signed"]
CONNACK = bytes.fromhex("2003000000")
ALERT = bytes.fromhex("15030300020228")
"""A fatal TLS alert, handshake_failure."""
BANNER = b"HTTP/1.1 301 Moved\r\nLocation: http://localhost/\r\n\r\n"
READ_BYTES = 16 << 10


class Tap:
    """Use `tap()`. `heard` is what the caller sent while the habit was not `relay`, call by call."""

    def __init__(self, broker: int, strange: Pair) -> None:
        self._broker = broker
        self._strange = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._strange.load_cert_chain(strange.certificate, strange.key)
        self.habit: Habit = "relay"
        self.port = 0
        self.heard: list[bytearray] = []
        self.inside = bytearray()
        """What came through a handshake that should not have succeeded."""
        self.relayed = bytearray()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def turn(self, habit: Habit) -> None:
        """From now on so; calls of now are broken off."""
        self.habit = habit
        for writer in list(self._writers):
            writer.transport.abort()

    async def call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One call, to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            return  # the end of the test
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def close(self) -> None:
        """All calls end."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        habit = self.habit
        if habit == "relay":
            await self._relay(reader, writer)
            return
        heard = bytearray()
        self.heard.append(heard)
        if habit == "self_signed":
            await self._shake_hands(reader, writer, heard)
            return
        answer = {"alert": ALERT, "connack": CONNACK, "banner": BANNER}.get(habit, b"")
        if habit == "connack":
            writer.write(answer)
        while data := await reader.read(READ_BYTES):
            heard += data
            writer.write(answer)
            await writer.drain()

    async def _shake_hands(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray
    ) -> None:
        """TLS over memory, so that the bytes on the wire are kept too."""
        wire, answers = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = self._strange.wrap_bio(wire, answers, server_side=True)
        is_shaken = False
        while data := await reader.read(READ_BYTES):
            heard += data
            wire.write(data)
            with contextlib.suppress(ssl.SSLWantReadError):
                if not is_shaken:
                    secure.do_handshake()
                    is_shaken = True
                while piece := secure.read(READ_BYTES):
                    self.inside += piece
            writer.write(answers.read())
            await writer.drain()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._broker)
        self._writers.add(far_writer)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, kept: bytearray) -> None:
            while data := await source.read(READ_BYTES):
                kept += data
                target.write(data)
                await target.drain()
            raise ConnectionResetError

        try:
            async with asyncio.TaskGroup() as pair:
                pair.create_task(pump(reader, far_writer, self.relayed))
                pair.create_task(pump(far_reader, writer, bytearray()))
        except* OSError:
            pass
        finally:
            self._writers.discard(far_writer)
            far_writer.transport.abort()


@asynccontextmanager
async def tap(broker: int, strange: Pair) -> AsyncIterator[Tap]:
    """Someone in front of the broker's port."""
    made = Tap(broker, strange)
    server = await asyncio.start_server(made.call, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()
