"""UDP ports on loopback: one device each, whatever else arrives at the same socket."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.ports.port import HostUnknown, PortBusy, PortLost, PortUnusable
from gateway.ports.udp import LARGEST_BYTES, WAITING, WAITING_BYTES, UdpPort, UdpSockets


@contextmanager
def peer(address: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind((address, port))
        line.settimeout(5)
        yield line


async def _heard(port: UdpPort, line: socket.socket) -> None:
    """Until what was sent from the other side has been taken from the socket."""
    line.sendto(b"last", ("127.0.0.1", port.local))
    async with asyncio.timeout(5):
        while not port._inbox.datagrams or port._inbox.datagrams[-1] != b"last":
            await asyncio.sleep(0)


def test_each_read_is_one_datagram() -> None:
    async def play(device: socket.socket) -> None:
        port = UdpPort(*device.getsockname())
        await port.open()
        await port.write(b"ask")
        asked, box = device.recvfrom(100)
        assert asked == b"ask"
        for answer in (b"one", b"", b"two", b"x" * 60_000):
            device.sendto(answer, box)
        assert [await port.read() for _turn in range(3)] == [b"one", b"two", b"x" * 60_000]
        await port.release()
        with pytest.raises(PortLost):
            await port.read()
        with pytest.raises(PortLost):
            await port.write(b"x")

    with peer() as device:
        asyncio.run(play(device))


def test_another_port_of_the_device_is_the_device_and_another_address_is_not() -> None:
    """GE Dash answers from a port of its own; a monitor of the next bed has another address."""

    async def play(device: socket.socket, other_port: socket.socket, next_bed: socket.socket) -> None:
        port = UdpPort(*device.getsockname())
        await port.open()
        next_bed.sendto(b"next bed", ("127.0.0.1", port.local))
        other_port.sendto(b"same bed", ("127.0.0.1", port.local))
        assert await port.read() == b"same bed"
        await port.release()

    with peer() as device, peer() as other_port, peer("127.0.0.2") as next_bed:
        asyncio.run(play(device, other_port, next_bed))


def test_two_devices_share_the_port_the_box_listens_on() -> None:
    async def play(first: socket.socket, second: socket.socket, local: int) -> None:
        sockets = UdpSockets()
        one = UdpPort("127.0.0.1", first.getsockname()[1], local, sockets)
        two = UdpPort("127.0.0.2", second.getsockname()[1], local, sockets)
        await one.open()
        await two.open()
        assert one.local == two.local == local
        for device, word in ((second, b"two"), (first, b"one")):
            device.sendto(word, ("127.0.0.1", local))
        assert (await one.read(), await two.read()) == (b"one", b"two")
        with pytest.raises(PortBusy):
            await UdpPort("127.0.0.1", first.getsockname()[1], local, sockets).open()
        await one.close()
        second.sendto(b"still", ("127.0.0.1", local))
        assert await two.read() == b"still"
        await one.open()
        first.sendto(b"again", ("127.0.0.1", local))
        assert await one.read() == b"again"
        await one.release()
        await two.release()

    with peer() as free:
        local = free.getsockname()[1]
    with peer("127.0.0.1") as first, peer("127.0.0.2") as second:
        asyncio.run(play(first, second, local))


def test_more_than_can_be_kept_ends_the_connection_and_the_rest_goes_on_afterwards() -> None:
    async def play(device: socket.socket) -> None:
        port = UdpPort(*device.getsockname())
        await port.open()
        for number in range(WAITING):
            device.sendto(str(number).encode(), ("127.0.0.1", port.local))
            if not number % 32:
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while len(port._inbox.datagrams) < WAITING:
                await asyncio.sleep(0)
        assert await port.read() == b"0"
        for _turn in range(2):
            device.sendto(b"too much", ("127.0.0.1", port.local))
        async with asyncio.timeout(5):
            while not port._inbox.is_flooded:
                await asyncio.sleep(0)
        with pytest.raises(PortLost, match="more datagrams"):
            await port.read()
        await port.open()
        await _heard(port, device)
        assert await port.read() == b"last"
        await port.release()

    with peer() as device:
        asyncio.run(play(device))


@pytest.mark.parametrize("host", ["224.0.23.63", "224.1", "0", "::", "ff02::1"])
def test_nothing_is_sent_to_many_at_once(host: str) -> None:
    async def play() -> None:
        port = UdpPort(host, 24105)
        with pytest.raises(PortUnusable):
            await port.open()
        with pytest.raises(PortLost):
            await port.write(b"ask")

    asyncio.run(play())


def test_large_datagrams_do_not_fill_the_memory_either() -> None:
    async def play(device: socket.socket) -> None:
        port = UdpPort(*device.getsockname())
        await port.open()
        for _turn in range(2):  # what was read makes room again
            for _piece in range(WAITING_BYTES // 60_000):
                device.sendto(b"x" * 60_000, ("127.0.0.1", port.local))
                async with asyncio.timeout(5):
                    assert await port.read() == b"x" * 60_000
        async with asyncio.timeout(5):
            while not port._inbox.is_flooded:
                device.sendto(b"x" * 60_000, ("127.0.0.1", port.local))
                await asyncio.sleep(0)
        assert sum(map(len, port._inbox.datagrams)) <= WAITING_BYTES
        with pytest.raises(PortLost, match="more datagrams"):
            await port.read()
        await port.release()

    with peer() as device:
        asyncio.run(play(device))


def test_a_read_that_is_cancelled_loses_nothing() -> None:
    async def play(device: socket.socket) -> None:
        port = UdpPort(*device.getsockname())
        await port.open()
        for _turn in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await port.read()
        await _heard(port, device)
        assert await port.read() == b"last"
        await port.release()

    with peer() as device:
        asyncio.run(play(device))


def test_nobody_there_is_silence() -> None:
    async def play() -> None:
        with peer() as gone:
            where = gone.getsockname()
        port = UdpPort(*where)
        await port.open()
        for _turn in range(3):
            await port.write(b"ask")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await port.read()
        with pytest.raises(PortLost):
            await port.write(b"x" * (LARGEST_BYTES + 1))
        await port.release()

    asyncio.run(play())


def test_a_port_that_cannot_be_had() -> None:
    with pytest.raises(HostUnknown):
        asyncio.run(UdpPort("no-such-host.invalid", 1).open())
    with peer() as holder, pytest.raises(PortBusy):
        asyncio.run(UdpPort("127.0.0.1", 1, holder.getsockname()[1]).open())
