"""TCP ports on loopback: calling, being called, losing the other side."""

import asyncio
import socket

import pytest

from gateway.ports.port import HostUnknown, PortBusy, PortLost, PortSilent, PortUnusable
from gateway.ports.tcp import TcpListenPort, TcpPort


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_call_and_be_called() -> None:
    async def play() -> None:
        server = TcpListenPort("127.0.0.1", 0)
        opening = asyncio.create_task(server.open())
        while not server.address[1]:
            await asyncio.sleep(0)
        client = TcpPort(*server.address)
        await client.open()
        await opening
        await client.write(b"\x05")
        assert await server.read() == b"\x05"
        await server.write(b"\x06")
        assert await client.read() == b"\x06"
        await client.close()
        with pytest.raises(PortLost):
            await server.read()
        again = TcpPort(*server.address)
        reopening = asyncio.create_task(server.open())
        await again.open()
        await reopening
        await again.write(b"x")
        assert await server.read() == b"x"
        await again.release()
        await server.release()

    asyncio.run(play())


def test_the_newest_call_wins() -> None:
    async def play() -> None:
        server = TcpListenPort("127.0.0.1", 0)
        opening = asyncio.create_task(server.open())
        while not server.address[1]:
            await asyncio.sleep(0)
        first = TcpPort(*server.address)
        await first.open()
        await opening
        second = TcpPort(*server.address)
        await second.open()
        with pytest.raises(PortLost):
            await server.read()
        await server.open()
        await second.write(b"new")
        assert await server.read() == b"new"
        for port in (first, second, server):
            await port.release()

    asyncio.run(play())


def test_nobody_there() -> None:
    with pytest.raises(PortSilent, match="switched on"):
        asyncio.run(TcpPort("127.0.0.1", closed_port()).open())


def test_unknown_host() -> None:
    with pytest.raises(HostUnknown):
        asyncio.run(TcpPort("no-such-host.invalid", 1).open())


def test_address_in_use() -> None:
    async def play() -> None:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            with pytest.raises(PortBusy):
                await TcpListenPort("127.0.0.1", holder.getsockname()[1]).open()

    asyncio.run(play())


def test_an_address_that_is_not_this_box() -> None:
    with pytest.raises(PortUnusable, match="address"):
        asyncio.run(TcpListenPort("192.0.2.1", 4001).open())  # TEST-NET-1: never ours, and nothing is sent


def test_closed_port_says_so() -> None:
    async def play() -> None:
        port = TcpPort("127.0.0.1", 1)
        with pytest.raises(PortLost):
            await port.read()
        with pytest.raises(PortLost):
            await port.write(b"x")
        await port.release()

    asyncio.run(play())
