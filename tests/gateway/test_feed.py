"""The feed over a real Unix socket: what was wanted comes, a client that does not read costs nothing."""

import asyncio
import stat
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from drivers.observation import Numeric, Vendor
from gateway.agent import Agent
from gateway.config import Config, GatewayConfig, SpoolConfig, TlsFiles, UplinkConfig
from gateway.feed import BACKLOG_BYTES, CLIENTS, Feed, FeedUnusable
from gateway.journal import Journal

SEEN = Numeric(
    device="vent",
    value=Decimal("97.0"),
    unit="%",
    validity="valid",
    category="measurement",
    vendor=Vendor("EB", " 97.0"),
)


class Status(Struct):
    depth: int = 3


def feed(path: Path) -> Feed:
    return Feed(path, Status, "gw-1", lambda: 12.5)


async def client(path: Path, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(request)
    await writer.drain()
    for _turn in range(20):
        await asyncio.sleep(0)
    return reader, writer


def test_observations_as_committed(tmp_path: Path) -> None:
    async def go() -> tuple[int, bytes, bytes]:
        path = tmp_path / "agent.sock"
        served = feed(path)
        await served.open()
        mode = stat.S_IMODE(path.stat().st_mode)
        all_reader, all_writer = await client(path, b'{"want":["observation"]}\n')
        other_reader, other_writer = await client(path, b'{"want":["observation","bytes"],"device":"labo"}\n')
        served.committed("numeric", 7, 41, (SEEN,))
        served.raw("labo", "rx", b"\x05", table="", address=0)
        seen, raw = await all_reader.readline(), await other_reader.readline()
        for writer in (all_writer, other_writer):
            writer.close()
        await served.close()
        assert not path.exists()
        return mode, seen, raw

    mode, seen, raw = asyncio.run(go())
    assert mode == 0o600
    told = msgspec.json.decode(seen)["observation"]
    assert b'"value":97.0' in seen
    assert (told["gateway"], told["epoch"], told["lane"], told["seq"]) == ("gw-1", 7, "numeric", 41)
    assert msgspec.json.decode(raw)["bytes"] | {"table": ""} == {
        "t": 12.5,
        "device": "labo",
        "dir": "rx",
        "hex": "05",
        "table": "",
        "address": 0,
    }


def test_status_each_second(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("gateway.feed.STATUS_S", 0.001)

    async def go() -> bytes:
        served = feed(tmp_path / "s")
        await served.open()
        running = asyncio.create_task(served.run())
        reader, writer = await client(tmp_path / "s", b'{"want":["status"]}\n')
        line = await reader.readline()
        running.cancel()
        writer.close()
        await served.close()
        return line

    assert msgspec.json.decode(asyncio.run(go())) == {"status": {"depth": 3}}


def test_nonsense_too_many_and_too_slow(tmp_path: Path) -> None:
    async def go() -> tuple[bytes, bytes, int]:
        path = tmp_path / "s"
        served = feed(path)
        await served.open()
        served.committed("numeric", 1, 1, (SEEN,))  # nobody wants it: nothing happens
        bad, bad_writer = await client(path, b"not json\n")
        refused = await bad.read()
        clients = [await client(path, b'{"want":["observation"]}\n') for _ in range(CLIENTS)]
        late, late_writer = await client(path, b'{"want":["observation"]}\n')
        turned_away = await late.read()
        for seq in range(20_000):
            served.committed("numeric", 1, seq, (SEEN,))
        waiting = max(writer.transport.get_write_buffer_size() for writer in served._clients)
        for _reader, writer in [*clients, (bad, bad_writer), (late, late_writer)]:
            writer.close()
        await served.close()
        return refused, turned_away, waiting

    refused, turned_away, waiting = asyncio.run(go())
    assert (refused, turned_away) == (b"", b"")
    assert waiting < BACKLOG_BYTES + 1000


def test_the_folder_of_the_socket_is_made(tmp_path: Path) -> None:
    async def go() -> bool:
        served = feed(tmp_path / "run" / "agent.sock")
        await served.open()
        is_there = (tmp_path / "run" / "agent.sock").exists()
        await served.close()
        return is_there

    assert asyncio.run(go())


@pytest.mark.parametrize("place", ["file/agent.sock", "gone/gone/agent.sock", "folder"])
def test_a_socket_that_cannot_be_made(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(FeedUnusable, match="read all the same"):
        asyncio.run(feed(tmp_path / place).open())


def test_the_agent_reads_on_without_its_socket(tmp_path: Path) -> None:
    tls = TlsFiles(ca="none", certificate="none", key="none")
    config = Config(
        gateway=GatewayConfig(id="gw", site="site", socket=str(tmp_path / "gone" / "gone" / "agent.sock")),
        uplink=UplinkConfig(broker="mqtts://localhost:1", tls=tls, ack="broker"),
        spool=SpoolConfig(path=str(tmp_path / "spool"), secret=str(tmp_path / "secret")),
    )
    said = StringIO()

    async def go() -> None:
        stop = asyncio.Event()
        stop.set()
        await Agent(config, Journal(said)).run(stop)

    asyncio.run(go())
    assert "FeedUnusable" in said.getvalue()
    assert '"event": "stopped"' in said.getvalue()


def test_the_end_with_clients_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One that listens, one that never said what it wants: both see the end, nothing is written to the terminal."""

    async def go() -> tuple[bytes, bytes]:
        path = tmp_path / "agent.sock"
        served = feed(path)
        await served.open()
        listening, one = await client(path, b'{"want":["status"]}\n')
        silent, two = await client(path, b"")
        await served.close()
        ends = await listening.read(), await silent.read()
        for writer in (one, two):
            writer.close()
        return ends

    assert asyncio.run(go()) == (b"", b"")
    out = capfd.readouterr()
    assert (out.out, out.err) == ("", "")
