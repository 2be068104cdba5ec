"""The Modbus port against a peer that shares no code with it, the document's own frames, and noise."""

import asyncio
import contextlib
import os
import pty
import shutil
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers import catalog
from drivers.contract import Block, Read
from drivers.observation import Numeric
from drivers.quality import Gate
from gateway.ports.port import PortAbsent, PortBusy, PortLost, PortSilent
from tests.gateway.ports.modbus_peer import (
    ANSWER_8,
    ANSWER_L1,
    ANSWER_L1_SWAPPED,
    ANSWER_S,
    ASK_8,
    ASK_L1,
    EIGHT,
    L1,
    REFUSED,
    Peer,
    modbus,
    read_all,
    run,
    serial_peer,
    tcp_answer,
    tcp_peer,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("gcc")
    if not compiler:
        pytest.skip("no gcc: the libmodbus peer cannot be built")
    if not Path("/usr/include/modbus/modbus.h").exists():
        pytest.skip("no libmodbus (apt-get install libmodbus-dev)")
    binary = tmp_path_factory.mktemp("modbus") / "modbus_server"
    source = Path(__file__).with_name("modbus_server.c")
    subprocess.run([compiler, "-O1", "-I/usr/include/modbus", source, "-lmodbus", "-o", binary], check=True)
    return str(binary)


@contextlib.contextmanager
def bridged_ptys() -> Iterator[tuple[str, str]]:
    """Two serial ports with a cable between them."""
    (one, left), (other, right) = pty.openpty(), pty.openpty()
    tty.setraw(left)
    tty.setraw(right)

    def carry(source: int, target: int) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(source, 4096):
                os.write(target, data)

    threads = [threading.Thread(target=carry, args=pair, daemon=True) for pair in ((one, other), (other, one))]
    for thread in threads:
        thread.start()
    yield os.ttyname(left), os.ttyname(right)
    for end in (left, right):
        os.close(end)
    for thread in threads:
        thread.join(2)
    os.close(one)
    os.close(other)


@contextlib.contextmanager
def started(*command: str) -> Iterator[str]:
    """A peer process, and the first line it says."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


FOUR_TABLES = (
    (EIGHT, Block(EIGHT, (0xFFFF, 0x52, 0x7FFF, 0x49, 0x10F, 0x7D, 0x5DC, 0x1F4))),
    (Read("input", 0, 3), Block(Read("input", 0, 3), (100, 101, 102))),
    (Read("coil", 0, 20), Block(Read("coil", 0, 20), tuple(int(n in (0, 9, 17)) for n in range(20)))),
    (Read("discrete", 3, 1), Block(Read("discrete", 3, 1), (1,))),
    (Read("holding", 1072, 4), Block(Read("holding", 1072, 4), error="exception_2")),
    (Read("holding", 0, 1), Block(Read("holding", 0, 1), error="exception_2")),
)


def test_libmodbus_over_tcp(server: str) -> None:
    with started(server, "tcp") as number:
        port, traced = modbus(f"modbus-tcp:127.0.0.1:{number}", answer_s=5.0)
        blocks = run(read_all(port, *(read for read, _ in FOUR_TABLES)))
    assert blocks == [block for _, block in FOUR_TABLES]
    assert [direction for direction, _ in traced] == ["tx", "rx"] * len(FOUR_TABLES)
    assert traced[0][1] == bytes.fromhex("0001 0000 0006 0A 03 0400 0008")


def test_libmodbus_over_rtu(server: str) -> None:
    with bridged_ptys() as (theirs, ours), started(server, "rtu", theirs) as word:
        assert word == "ready"
        port, traced = modbus(f"modbus-rtu:{ours}", answer_s=5.0)
        blocks = run(read_all(port, *(read for read, _ in FOUR_TABLES)))
    assert blocks == [block for _, block in FOUR_TABLES]
    assert traced[0] == ("tx", ASK_8)
    heard = b"".join(data for direction, data in traced if direction == "rx")
    assert heard.startswith(ANSWER_8)


def test_the_documents_frames_byte_for_byte() -> None:
    peer = Peer(ANSWER_8, ANSWER_L1, REFUSED)
    with serial_peer(peer) as path:
        port, traced = modbus(f"modbus-rtu:{path}", answer_s=5.0)
        eight, l1, refused = run(read_all(port, EIGHT, L1, L1))
    assert peer.heard == [ASK_8, ASK_L1, ASK_L1]
    assert eight.words == (0xFFFF, 0x52, 0x7FFF, 0x49, 0x10F, 0x7D, 0x5DC, 0x1F4)
    assert l1.words == (0, 0x08FD)
    assert refused == Block(L1, error="exception_2")
    assert b"".join(data for direction, data in traced if direction == "rx") == ANSWER_8 + ANSWER_L1 + REFUSED


def test_swapped_words_are_questionable_and_not_a_voltage() -> None:
    with serial_peer(Peer(ANSWER_L1, ANSWER_L1_SWAPPED)) as path:
        port, _ = modbus(f"modbus-rtu:{path}", answer_s=5.0)
        right, swapped = run(read_all(port, L1, L1))
    profile = catalog.profile("registers", "dse_73xx")
    seen = []
    for block in (right, swapped):
        driver: Any = catalog.create(profile)
        judged = Gate(profile).check(driver.receive(block, 0.0), 0.0)
        seen += [(str(each.value), each.validity) for each in judged.observations if isinstance(each, Numeric)]
    assert seen == [("230.1", "valid"), ("15079833.6", "questionable")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "timeout"),
        (ANSWER_L1[:-1], "unverified"),
        (ANSWER_L1[:-1] + b"\xb3", "unverified"),
        (ANSWER_8, "unverified"),
        (bytes.fromhex("0B 03 04 0000 08FD 5772"), "unverified"),
        (b"\xff" * 300, "unverified"),
        (b"\x00" * 5000, "unverified"),
    ],
)
def test_what_is_no_answer_is_no_number(answer: bytes, error: str) -> None:
    with serial_peer(Peer(answer)) as path:
        port, _ = modbus(f"modbus-rtu:{path}")
        assert run(read_all(port, L1)) == [Block(L1, error=error)]


def test_a_late_rtu_answer_is_not_taken_for_the_next_one() -> None:
    peer = Peer(ANSWER_L1_SWAPPED, ANSWER_L1, delay_s=ANSWER_S * 1.5)
    with serial_peer(peer) as path:
        port, _ = modbus(f"modbus-rtu:{path}")
        late, second = run(read_all(port, L1, L1))
    assert late.error == "timeout"
    assert second == Block(L1, error="timeout")  # its own answer is late as well; the first one's was dropped


def test_a_line_that_never_falls_silent_is_not_talked_over() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    ending = threading.Event()

    def babble() -> None:
        while not ending.is_set():
            os.write(master, b"\x55" * 16)
            time.sleep(0.001)

    thread = threading.Thread(target=babble)
    thread.start()
    try:
        # At 300 baud 3.5 characters are 117 ms: a busy test machine does not make the babble look silent.
        port, traced = modbus(f"modbus-rtu:{os.ttyname(slave)}", line="300 8N1")
        assert run(read_all(port, L1)) == [Block(L1, error="unverified")]
    finally:
        ending.set()
        thread.join()
        os.close(slave)
        os.close(master)
    assert {direction for direction, _ in traced} == {"rx"}


def test_after_a_timeout_a_new_connection() -> None:
    connections: list[int] = []

    async def handle(connection: int, request: bytes) -> bytes:
        connections.append(connection)
        if len(connections) == 1:
            await asyncio.sleep(ANSWER_S * 2)
            return tcp_answer(request, bytes.fromhex("03 04 FFFF FFFF"))
        return tcp_answer(request, bytes.fromhex("03 04 0000 08FD"))

    async def whole() -> list[Block]:
        async with tcp_peer(handle) as number:
            port, _ = modbus(f"modbus-tcp:127.0.0.1:{number}")
            return await read_all(port, L1, L1)

    assert run(whole()) == [Block(L1, error="timeout"), Block(L1, (0, 0x08FD))]
    assert connections == [1, 2]


def test_an_idle_connection_that_the_device_ended_is_opened_again() -> None:
    async def whole() -> list[Block]:
        writers: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            writer.write(tcp_answer(await reader.readexactly(12), bytes.fromhex("03 04 0000 08FD")))
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port, _ = modbus(f"modbus-tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}", answer_s=5.0)
        await port.open()
        blocks = [await port.read(L1)]
        await _until(lambda: bool(port._port._port._reader.at_eof()))  # type: ignore[attr-defined]
        blocks.append(await port.read(L1))
        await port.release()
        server.close()
        assert len(writers) == 2
        return blocks

    assert run(whole()) == [Block(L1, (0, 0x08FD))] * 2


async def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request, pdu: bytes([request[0] ^ 1]) + tcp_answer(request, pdu)[1:],
        lambda request, pdu: tcp_answer(request, pdu)[:6] + b"\x0b" + pdu,
        lambda request, pdu: request[:2] + b"\x00\x01" + tcp_answer(request, pdu)[4:],
        lambda request, pdu: tcp_answer(request, b"\x04" + pdu[1:]),
        lambda request, pdu: tcp_answer(request, pdu[:1] + b"\x05" + pdu[2:]),
        lambda request, pdu: tcp_answer(request, pdu + b"\x00\x00"),
        lambda request, pdu: tcp_answer(request, b"\x84\x02"),
        lambda request, pdu: request[:4] + b"\xff\xff" + request[6:7] + pdu,
    ],
    ids=["transaction", "unit", "protocol", "function", "count", "length", "refusal of another", "length bomb"],
)
def test_a_tcp_frame_of_another_request_is_unverified(spoil: Callable[[bytes, bytes], bytes]) -> None:
    async def handle(connection: int, request: bytes) -> bytes:
        return spoil(request, bytes.fromhex("03 04 0000 08FD"))

    async def whole() -> list[Block]:
        async with tcp_peer(handle) as number:
            port, _ = modbus(f"modbus-tcp:127.0.0.1:{number}")
            return await read_all(port, L1)

    assert run(whole()) == [Block(L1, error="unverified")]


def test_a_hang_up_is_a_lost_port() -> None:
    async def handle(connection: int, request: bytes) -> None:
        return None

    async def whole() -> None:
        async with tcp_peer(handle) as number:
            port, _ = modbus(f"modbus-tcp:127.0.0.1:{number}", answer_s=5.0)
            with pytest.raises(PortLost, match="modbus-tcp:127.0.0.1"):
                await read_all(port, L1)

    run(whole())


def test_a_serial_line_that_goes_away_is_a_lost_port() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)

    async def unplugged() -> None:
        port, _ = modbus(f"modbus-rtu:{os.ttyname(slave)}", answer_s=5.0)
        await port.open()
        os.close(slave)
        os.close(master)
        with pytest.raises(PortLost):
            await port.read(L1)
        await port.close()

    run(unplugged())


def test_why_a_port_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(PortAbsent):
        run(modbus(f"modbus-rtu:{tmp_path}/absent")[0].open())
    with pytest.raises(PortSilent):
        run(modbus("modbus-tcp:127.0.0.1:1")[0].open())
    with serial_peer(Peer()) as path:

        async def twice() -> None:
            first, second = modbus(f"modbus-rtu:{path}")[0], modbus(f"modbus-rtu:{path}")[0]
            await first.open()
            try:
                with pytest.raises(PortBusy):
                    await second.open()
            finally:
                await first.close()

        run(twice())


def test_no_more_than_the_profile_says() -> None:
    peer = Peer(*[ANSWER_L1] * 5)
    with serial_peer(peer) as path:
        port, _ = modbus(f"modbus-rtu:{path}", answer_s=5.0, most=3)
        blocks = run(read_all(port, *[L1] * 5))
    assert [block.error for block in blocks] == ["", "", "", "too_often", "too_often"]
    assert len(peer.heard) == 3


def test_a_device_that_is_only_listened_to_hears_nothing() -> None:
    peer = Peer(ANSWER_L1)
    with serial_peer(peer) as path:
        port, traced = modbus(f"modbus-rtu:{path}", listen_only=True)
        assert run(read_all(port, L1)) == [Block(L1, error="listen_only")]
    assert peer.heard == []
    assert traced == []
