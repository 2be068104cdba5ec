"""The runners: a pty and loopback TCP, cancelled at any time, leaving nothing behind."""

import asyncio
import os
import socket
import termios
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from simulators.devices import medibus_frames as wire
from simulators.devices.astm import Astm, frame
from simulators.devices.catalog import SIMULATORS
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.registers import Registers
from simulators.devices.runner import pty_line, serve_pty, serve_tcp, serve_udp, tcp_client, tcp_server, udp_server
from simulators.devices.simulator import Simulator

DEADLINE_S = 20.0
REQUEST = bytes.fromhex("0007 0000 0006 0A 03 0400 0008")


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not is_true():
            await asyncio.sleep(0.01)


async def read_until(port: int, end: bytes) -> bytes:
    out = b""
    async with asyncio.timeout(DEADLINE_S):
        while end not in out:
            try:
                out += os.read(port, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.01)
    return out


def open_port(link: Path) -> int:
    return os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def test_a_catalog_of_simulators() -> None:
    assert list(SIMULATORS) == sorted(SIMULATORS)
    for name, simulator in SIMULATORS.items():
        assert name == simulator.NAME
        assert simulator.DESCRIPTION
        assert simulator(0, frozenset(simulator.FAULTS), {}).wake_at == 0.0
        assert all(option.meaning for option in simulator.OPTIONS.values())


def test_a_pty_line_ends_when_it_is_cancelled_while_bytes_arrive(tmp_path: Path) -> None:
    """The cancellation and the bytes meet in one turn of the loop: neither may swallow the other."""

    async def main() -> None:
        for turns in range(8):
            async with pty_line(Astm(options={"count": "0"}), tmp_path / "analyzer"):
                port = open_port(tmp_path / "analyzer")
                await asyncio.sleep(0.1)
                os.write(port, bytes([0x06]))
                for _ in range(turns):
                    await asyncio.sleep(0)
            os.close(port)

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await main()

    asyncio.run(bounded())


def test_a_pty_is_a_raw_serial_port_and_goes_away(tmp_path: Path) -> None:
    link = tmp_path / "ventilator"
    link.symlink_to("/nowhere")  # left by a run that was killed

    async def main() -> None:
        device = DraegerMedibus()
        async with pty_line(device, link):
            port = open_port(link)
            try:
                settings = termios.tcgetattr(port)
                assert not settings[3] & (termios.ICANON | termios.ECHO)
                await read_until(port, wire.command(0x51))
                os.write(port, wire.response(0x51))
                await read_until(port, wire.command(0x52))
                os.write(port, wire.response(0x52, b"0161'JISR'01.00:04.03"))
                os.write(port, wire.command(0x29))
                assert b"\x01)01  40 " in await read_until(port, b"2E 0.20")
            finally:
                os.close(port)
            assert not device.illegal

    asyncio.run(main())
    assert not link.is_symlink()


def test_a_pty_outlives_those_who_open_it(tmp_path: Path) -> None:
    link = tmp_path / "genset"

    async def main() -> None:
        device = Registers(options={"framing": "ascii"})
        async with pty_line(device, link) as running:
            for _ in range(3):
                port = open_port(link)
                os.write(port, b":0A0304000008E7\r\n")
                assert await read_until(port, b"\r\n")
                os.close(port)
                await asyncio.sleep(0.15)
            assert not running.task.done()
        assert len(device.sent) == 3
        assert not device.illegal

    asyncio.run(main())


def test_a_message_over_a_pty(tmp_path: Path) -> None:
    link = tmp_path / "analyzer"

    async def main() -> None:
        device = Astm(options={"profile": "sysmex_xp", "count": "1"})
        async with pty_line(device, link):
            port = open_port(link)
            # What was said while nobody had the port open is lost, as on a real line.
            await read_until(port, b"\x05")
            os.write(port, b"\x06")
            text = (await read_until(port, b"\x03"))[2:]
            os.write(port, b"\x06")
            await read_until(port, b"\x04")
            os.close(port)
        assert text.startswith(rb"H|\^&|||XP-100")
        assert len(device.sent) == 20

    asyncio.run(main())


def test_a_server_and_a_newer_client() -> None:
    async def main() -> None:
        device = Registers()
        async with tcp_server(device, "127.0.0.1") as running:
            first_reader, first_writer = await asyncio.open_connection("127.0.0.1", running.port)
            first_writer.write(REQUEST)
            first = await first_reader.readexactly(25)
            assert first[:9] == bytes.fromhex("0007 0000 0013 0A 03 10")
            second_reader, second_writer = await asyncio.open_connection("127.0.0.1", running.port)
            assert await first_reader.read() == b""
            second_writer.write(REQUEST)
            await second_reader.readexactly(25)
            for writer in (first_writer, second_writer):
                writer.close()
                await writer.wait_closed()
            port = running.port
        with pytest.raises(OSError, match="."):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(main())


def test_a_client_that_finds_the_box_later_and_again() -> None:
    message = b"H|\\^&\rO|1|S1\rR|1|^^^GLU|5.5|mmol/L||||F||||20260101\rL|1|N\r"

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(1) == b"\x05"
        writer.write(b"\x06")
        assert await reader.readexactly(len(frame(1, message))) == frame(1, message)
        seen.append(1)
        if len(seen) == 1:
            writer.close()  # the box dies before it says ACK
            return
        writer.write(b"\x06")
        assert await reader.readexactly(1) == b"\x04"
        writer.close()

    seen: list[int] = []

    async def main() -> None:
        device = Astm()
        device.load([message])
        probe = await asyncio.start_server(receive, "127.0.0.1", 0)
        port = probe.sockets[0].getsockname()[1]
        probe.close()
        await probe.wait_closed()
        async with tcp_client(device, "127.0.0.1", port):
            await asyncio.sleep(0.1)
            server = await asyncio.start_server(receive, "127.0.0.1", port)
            await until(lambda: device.is_finished)
            server.close()
        assert device.deliveries[0].attempts == 2
        assert device.sent[0][1:3] == ("GLU", "5.5")

    asyncio.run(main())


@pytest.mark.parametrize("served", ["pty", "tcp"])
def test_cancelling_leaves_nothing(served: str, tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())

    async def main() -> None:
        device = Registers()
        work: Awaitable[None] = (
            serve_pty(device, tmp_path / "link") if served == "pty" else serve_tcp(device, "127.0.0.1", 0)
        )
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert not list(tmp_path.iterdir())
    assert set(Path("/proc/self/fd").iterdir()) == before


class Broken(Registers):
    """A simulator with a mistake in it."""

    def _hear(self, data: bytes, now: float) -> None:
        raise RuntimeError("a mistake")


def test_a_mistake_of_the_simulator_is_not_hidden(tmp_path: Path) -> None:
    async def main(device: Simulator) -> None:
        async with pty_line(device, tmp_path / "link") as running:
            port = open_port(tmp_path / "link")
            os.write(port, b"x")
            try:
                await running.wait()
            finally:
                os.close(port)

    with pytest.raises(RuntimeError, match="a mistake"):
        asyncio.run(main(Broken()))
    assert not list(tmp_path.iterdir())


class Twice(Registers):
    """Answers each datagram with itself and with one more."""

    is_datagram = True

    def _hear(self, data: bytes, now: float) -> None:
        self._line.put(data, now)
        self._line.put(b"more", now)


def test_each_datagram_leaves_by_itself_to_whoever_asked() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as box,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        ):
            for line in (box, listener):
                line.bind(("127.0.0.1", 0))
                line.setblocking(False)
            async with asyncio.timeout(DEADLINE_S):
                async with udp_server(Twice(), "127.0.0.1") as running:
                    for word in (b"one", b"two"):
                        await loop.sock_sendto(box, word, ("127.0.0.1", running.port))
                        assert [await loop.sock_recv(box, 100) for _turn in range(2)] == [word, b"more"]
                async with udp_server(Twice(), "127.0.0.1", listener=listener.getsockname()) as running:
                    await loop.sock_sendto(box, b"one", ("127.0.0.1", running.port))
                    assert [await loop.sock_recv(listener, 100) for _turn in range(2)] == [b"one", b"more"]
                task = asyncio.create_task(serve_udp(Twice(), "127.0.0.1", 0))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(main())
