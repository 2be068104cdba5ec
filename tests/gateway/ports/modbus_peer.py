"""Devices made by hand at the other end of a Modbus port."""

import asyncio
import contextlib
import os
import pty
import threading
import time
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import msgspec

from drivers import catalog
from drivers.contract import Block, Read
from gateway.config import DeviceConfig, parse_port
from gateway.ports.modbus import ModbusPort

ASK_8 = bytes.fromhex("0A 03 04 00 00 08 44 47")
ANSWER_8 = bytes.fromhex("0A 03 10 FFFF 0052 7FFF 0049 010F 007D 05DC 01F4 95 96")
ASK_L1 = bytes.fromhex("0A 03 04 08 00 02 45 82")
ANSWER_L1 = bytes.fromhex("0A 03 04 0000 08FD 86 B2")
ANSWER_L1_SWAPPED = bytes.fromhex("0A 03 04 08FD 0000 D3 63")
REFUSED = bytes.fromhex("0A 83 02 B1 33")
EIGHT = Read("holding", 1024, 8)
L1 = Read("holding", 1032, 2)
ANSWER_S = 0.15
"""Generous for a peer on this machine, short where the test waits for it to pass."""

Trace = list[tuple[str, bytes]]


def device(port: str, **more: Any) -> DeviceConfig:
    line = {} if port.startswith("modbus-tcp") else {"line": "19200 8N1"}
    facts = {"name": "genset", "driver": "registers", "profile": "dse_73xx", "port": port}
    return DeviceConfig(**facts | line | more)


def modbus(port: str, *, answer_s: float = ANSWER_S, most: int = 120, **more: Any) -> tuple[ModbusPort, Trace]:
    profile = catalog.profile("registers", "dse_73xx")
    protocol = msgspec.structs.replace(profile.protocol, max_send_per_minute=most)
    profile = msgspec.structs.replace(profile, protocol=protocol)
    traced: Trace = []
    made = ModbusPort(
        parse_port(port),
        device(port, **more),
        profile,
        lambda direction, data: traced.append((direction, data)),
        answer_s=answer_s,
    )
    return made, traced


class Peer:
    """A device made by hand: `answers` says what comes back for the nth request, and after how long."""

    def __init__(self, *answers: bytes, delay_s: float = 0.0) -> None:
        self.heard: list[bytes] = []
        self._answers, self._delay_s = list(answers), delay_s

    def answer(self, request: bytes) -> bytes:
        self.heard.append(request)
        if self._delay_s:
            time.sleep(self._delay_s)
        return self._answers.pop(0) if self._answers else b""


@contextlib.contextmanager
def serial_peer(peer: Peer) -> Iterator[str]:
    """The peer behind one end of a pseudo-terminal; the path of the other."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    ending = threading.Event()

    def serve() -> None:
        buffer = b""
        while not ending.is_set():
            try:
                buffer += os.read(master, 4096)
            except OSError:
                return
            if len(buffer) >= 8:
                with contextlib.suppress(OSError):
                    os.write(master, peer.answer(buffer[:8]))
                buffer = b""

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        ending.set()
        os.close(slave)
        thread.join(2)
        os.close(master)


@contextlib.asynccontextmanager
async def tcp_peer(handle: Callable[[int, bytes], Awaitable[bytes | None]]) -> AsyncIterator[int]:
    """A TCP device: `handle(connection number, request)` gives the answer, or None to hang up."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        mine = len(writers)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while (answer := await handle(mine, await reader.readexactly(12))) is not None:
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def tcp_answer(request: bytes, pdu: bytes) -> bytes:
    return request[:4] + (len(pdu) + 1).to_bytes(2, "big") + request[6:7] + pdu


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 30))


async def read_all(port: ModbusPort, *reads: Read) -> list[Block]:
    await port.open()
    try:
        return [await port.read(each) for each in reads]
    finally:
        await port.close()
