"""Put a simulator on a pty, a TCP port or a UDP port; nothing is left behind when it ends, however it ends.

Until cancelled, for a command:

    await serve_pty(simulator, Path("/tmp/ventilator"))        # the box opens the link as a serial port
    await serve_tcp(simulator, "127.0.0.1", 4001)              # the box connects to the device
    await connect_tcp(simulator, "127.0.0.1", 4001)            # the device connects to the box

    await serve_udp(simulator, "127.0.0.1", 24105)             # the box sends datagrams to the device

For the length of a block, for a test: `pty_line`, `tcp_server`, `udp_server` (`port` is the bound one), `tcp_client`:

    async with tcp_server(simulator, "127.0.0.1") as running: ... running.port ...
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import tty
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from simulators.devices.simulator import Simulator

READ_BYTES = 4096
POLL_S = 0.05
"""How often an unplugged pty is looked at, and the longest nap beside an event loop that is asked to stop."""
RETRY_S = 0.2
PENDING_LIMIT_BYTES = 65_536
DATAGRAM_BYTES = 65_535


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True)
class Running:
    """A simulator at work."""

    task: asyncio.Future[None]
    port: int = 0
    """The bound port; 0 when it does not listen."""

    async def wait(self) -> None:
        """Wait for its end: a fault of the simulator itself, raised here."""
        await asyncio.wait({self.task})
        self.task.result()


async def serve_pty(simulator: Simulator, link: Path) -> None:
    """Be a serial device behind `link` until cancelled."""
    async with pty_line(simulator, link) as running:
        await running.wait()


async def serve_tcp(simulator: Simulator, host: str, port: int) -> None:
    """Listen as the device until cancelled."""
    async with tcp_server(simulator, host, port) as running:
        await running.wait()


async def connect_tcp(simulator: Simulator, host: str, port: int) -> None:
    """Call the box, again and again, until cancelled."""
    async with tcp_client(simulator, host, port) as running:
        await running.wait()


async def serve_udp(simulator: Simulator, host: str, port: int, listener: tuple[str, int] | None = None) -> None:
    """Be a device of datagrams until cancelled; see `udp_server`."""
    async with udp_server(simulator, host, port, listener) as running:
        await running.wait()


@asynccontextmanager
async def _in_background(work: Awaitable[None], port: int = 0) -> AsyncIterator[Running]:
    task = asyncio.ensure_future(work)
    try:
        yield Running(task, port)
    finally:
        task.cancel()
        await asyncio.wait({task})  # unlike `await task`, lets a cancellation of the caller through
    if not task.cancelled():
        task.result()


# -- pty ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def pty_line(simulator: Simulator, link: Path) -> AsyncIterator[Running]:
    """Make a raw pty and a symbolic link to its slave; the link is removed at the end.

    While nobody has the slave open the device goes on and its bytes are lost, as with an unplugged cable.
    """
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        target = os.ttyname(slave)
    finally:
        os.close(slave)
    try:
        os.set_blocking(master, False)
        _replace_link(link, target)
        try:
            async with _in_background(_PtyLine(simulator, master).run()) as running:
                yield running
        finally:
            _remove_link(link, target)
    finally:
        os.close(master)


def _replace_link(link: Path, target: str) -> None:
    if link.is_symlink():  # left by a run that was killed
        link.unlink()
    link.symlink_to(target)


def _remove_link(link: Path, target: str) -> None:
    if link.is_symlink() and str(link.readlink()) == target:
        link.unlink()


class _PtyLine:
    """The master side of a pty, driven by the event loop."""

    def __init__(self, simulator: Simulator, master: int) -> None:
        self._simulator = simulator
        self._master = master
        self._pending = bytearray()
        self._poll = select.poll()
        self._poll.register(master, select.POLLIN)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._is_plugged():
                self._simulator.wake(_now())
                self._pending.clear()
                await asyncio.sleep(POLL_S)
                continue
            readable = asyncio.Event()
            loop.add_reader(self._master, readable.set)
            try:
                await self._converse(readable)
            except OSError:  # EIO: the last one who had the slave open has closed it
                await asyncio.sleep(0)
            finally:
                loop.remove_reader(self._master)

    def _is_plugged(self) -> bool:
        return not any(event & select.POLLHUP for _, event in self._poll.poll(0))

    async def _converse(self, readable: asyncio.Event) -> None:
        while True:
            self._write(self._simulator.wake(_now()))
            nap = _nap_s(self._simulator)
            if self._pending:
                nap = min(nap, 0.01)
            with suppress(TimeoutError):
                async with asyncio.timeout(nap):  # wait_for of 3.11 loses a cancellation that meets the event
                    await readable.wait()
            if not readable.is_set():
                continue
            readable.clear()
            try:
                data = os.read(self._master, READ_BYTES)
            except BlockingIOError:
                continue
            self._write(self._simulator.receive(data, _now()))

    def _write(self, data: bytes) -> None:
        self._pending += data
        if not self._pending:
            return
        try:
            written = os.write(self._master, self._pending)
        except BlockingIOError:
            written = 0
        del self._pending[:written]
        # A reader that sleeps costs the oldest bytes, as a full UART does.
        del self._pending[: max(0, len(self._pending) - PENDING_LIMIT_BYTES)]


def _nap_s(simulator: Simulator) -> float:
    wake_at = simulator.wake_at
    return 1.0 if wake_at is None else min(1.0, max(0.0, wake_at - _now()))


# -- TCP ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def tcp_server(simulator: Simulator, host: str, port: int = 0) -> AsyncIterator[Running]:
    """Listen as the device; one conversation at a time, a newer one ends the older."""
    conversations: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        older = list(conversations)
        for task in older:
            task.cancel()
        current = asyncio.current_task()
        assert current is not None  # noqa: S101 - the streams of asyncio call this in a task
        conversations.add(current)
        try:
            await asyncio.gather(*older, return_exceptions=True)
            await _converse_tcp(simulator, reader, writer)
        except asyncio.CancelledError:
            return  # by a newer client or the end; a cancelled task here is an error to asyncio of 3.12.1
        except Exception as error:
            failures.append(error)
            raise
        finally:
            conversations.discard(current)

    simulator.disconnected(_now())
    server = await asyncio.start_server(accept, host, port)
    bound = server.sockets[0].getsockname()[1]
    try:
        async with _in_background(_live_alone(simulator, conversations, failures), bound) as running:
            yield running
    finally:
        server.close()
        for task in list(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await server.wait_closed()


async def _live_alone(
    simulator: Simulator, conversations: set[asyncio.Task[None]], failures: list[BaseException]
) -> None:
    """The device lives on while nobody is connected; a fault in a conversation ends it."""
    while not failures:
        if not conversations:
            simulator.wake(_now())
        await asyncio.sleep(POLL_S)
    raise failures[0]


@asynccontextmanager
async def tcp_client(simulator: Simulator, host: str, port: int) -> AsyncIterator[Running]:
    """Connect to the box as the device does, again and again while it is not there."""
    async with _in_background(_keep_connected(simulator, host, port)) as running:
        yield running


async def _keep_connected(simulator: Simulator, host: str, port: int) -> None:
    simulator.disconnected(_now())
    while True:
        simulator.wake(_now())
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(RETRY_S)
            continue
        await _converse_tcp(simulator, reader, writer)
        await asyncio.sleep(RETRY_S)


async def _converse_tcp(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    simulator.connected(_now())
    read = asyncio.ensure_future(reader.read(READ_BYTES))
    try:
        while True:
            if data := simulator.wake(_now()):
                writer.write(data)
                await writer.drain()
            if simulator.is_hung_up:
                return
            done, _ = await asyncio.wait({read}, timeout=_nap_s(simulator))
            if not done:
                continue
            received = read.result()
            if not received:
                return
            read = asyncio.ensure_future(reader.read(READ_BYTES))
            writer.write(simulator.receive(received, _now()))
            await writer.drain()
    except OSError:
        return
    finally:
        read.cancel()
        await asyncio.wait({read})
        if not read.cancelled():
            read.exception()  # seen: a connection that was reset
        simulator.disconnected(_now())
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


# -- UDP ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def udp_server(
    simulator: Simulator, host: str, port: int = 0, listener: tuple[str, int] | None = None
) -> AsyncIterator[Running]:
    """Send each datagram to `listener`, or to whoever spoke last: a device that is only asked knows no other."""
    loop = asyncio.get_running_loop()
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        line.setblocking(False)
        line.bind((host, port))
        simulator.connected(_now())
        async with _in_background(_converse_udp(loop, simulator, line, listener), line.getsockname()[1]) as running:
            yield running
    finally:
        line.close()


async def _converse_udp(
    loop: asyncio.AbstractEventLoop, simulator: Simulator, line: socket.socket, listener: tuple[str, int] | None
) -> None:
    where = listener
    heard = asyncio.Event()
    loop.add_reader(line, heard.set)
    try:
        while True:
            said = simulator.wake(_now())
            if not said and not heard.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_nap_s(simulator)):
                        await heard.wait()
            if not said and heard.is_set():
                try:
                    data, sender = line.recvfrom(DATAGRAM_BYTES)
                except OSError:  # nothing more; or nobody listened at the other end
                    heard.clear()
                    continue
                where = listener or sender
                said = simulator.receive(data, _now())
            if said and where:
                with suppress(OSError):
                    line.sendto(said, where)
    finally:
        loop.remove_reader(line)
