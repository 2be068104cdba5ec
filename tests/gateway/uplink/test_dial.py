"""Connecting with a clock that nobody confirms, through a real broker: the time first, then the dates, then the data.

OpenSSL goes by this machine's clock, which a test cannot turn, so here the truth moves: a platform that says it is
five days ago makes a certificate that ended three days ago a good one, and the box's clock a wrong one.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from gateway.clock import Clock, Source
from gateway.floor import Floor
from gateway.uplink.identity import TlsFiles
from gateway.uplink.schema import Birth, Health
from gateway.uplink.uplink import Timing, Uplink, UplinkSettings
from simulators.central.broker import ACL, CONSUMER, Mosquitto, find_mosquitto
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import CLIENT, SERVER, LabAuthority, Pair
from tests.gateway.uplink.fake_spool import FakeSpool, alert, numeric
from tests.gateway.uplink.journal import Memory
from tests.gateway.uplink.tls_server import Server, server_context

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

SITE, GATEWAY = "site-1", "gw-test"
DAY = timedelta(days=1)
DAY_S = 86_400.0
CONNECT, PUBLISH, SUBSCRIBE, DISCONNECT = 1, 3, 8, 14
FAST = Timing(retry_first_s=0.02, retry_last_s=0.05, refused_last_s=0.05, time_s=1.0)


class Bench:
    """A broker, a box with a clock of its own, and a platform that says what time it is."""

    def __init__(self, folder: Path, *, begins_days: float, life_days: float, acl: str = "") -> None:
        self.folder = folder
        now = time.time()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("simulators.central.lab_ca.time.time", lambda: now - 20 * DAY_S)
            self.authority = LabAuthority(folder / "ca")
        self.authority._now = datetime.fromtimestamp(now, UTC)
        server = self.authority.issue(
            "dated",
            "localhost",
            san=("localhost", "127.0.0.1"),
            purposes=SERVER,
            begins=begins_days * DAY,
            life=life_days * DAY,
        )
        self.box = self.authority.issue(
            GATEWAY, GATEWAY, san=(f"urn:jisr:gateway:{GATEWAY}",), purposes=CLIENT, begins=-15 * DAY, life=200 * DAY
        )
        self.broker = Mosquitto(folder / "broker", self.authority, server=server, acl=acl)
        self.broker.start()
        self.spool, self.journal = FakeSpool(), Memory()
        self.clock = Clock(
            source=Source(wall=lambda: time.time() + self.off_s, sync=lambda: self.sync_ms),
            floor=Floor(time.monotonic(), proven_s=now - 10 * DAY_S),
        )
        self.off_s, self.sync_ms = 0.0, None
        self.uplink: Uplink | None = None
        self._consumer: Consumer | None = None

    def platform(self, days: float, *, key: Path | None = None) -> Consumer:
        """It believes that it is so many days later than this machine's clock says."""
        pair: Pair = self.authority.consumer(CONSUMER)
        self._consumer = Consumer(
            self.folder / "central.db",
            port=self.broker.port,
            ca=self.authority.ca,
            identity=pair,
            ack_key=key or self.authority.ack_key(),
            wall=lambda: time.time() + days * DAY_S,
        )
        self._consumer._client._ssl_context.verify_flags |= 0x200000  # type: ignore[union-attr]  # it has its own reasons to trust this broker
        self._consumer.start()
        assert self._consumer.ready.wait(10)
        return self._consumer

    def connect(self, ack: Literal["platform", "broker"] = "platform") -> Uplink:
        files = TlsFiles(str(self.authority.ca), str(self.box.certificate), str(self.box.key))
        key = str(self.authority.ack_key()) if ack == "platform" else ""
        where = UplinkSettings(SITE, GATEWAY, f"mqtts://localhost:{self.broker.port}", files, ack, ack_key=key)
        self.uplink = Uplink(where, self.spool, Birth, Health, self.journal, timing=FAST, clock=self.clock)
        return self.uplink

    def seen(self, leaf: str) -> str:
        assert self._consumer is not None
        return self._consumer.box(GATEWAY, leaf)

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.stop()
        self.broker.kill()


@asynccontextmanager
async def running(bench: Bench, ack: Literal["platform", "broker"] = "platform") -> AsyncIterator[Uplink]:
    uplink = bench.connect(ack)
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        await uplink.stop(2.0)
        await task


async def until(what: Callable[[], object], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not happen"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("begins", "life", "days"), [(-12, 9, -5), (3, 30, 5)], ids=["ended-by-our-clock", "not-begun-by-our-clock"]
)
def test_a_certificate_that_is_good_by_the_signed_time(
    begins: float, life: float, days: float, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, begins_days=begins, life_days=life)

    async def scenario() -> None:
        bench.spool.put(numeric("97"), alert("a"))
        consumer = bench.platform(days)
        async with running(bench) as uplink:
            await until(lambda: bench.spool.waiting() == 0)
            assert bench.clock.quality == "signed"
            assert abs(bench.clock.wall() - time.time() - days * DAY_S) < 5
            ledger = consumer.ledger()
            assert (ledger.rows, ledger.missing) == (2, 0)
            assert uplink.counters.connections == 1
        assert bench.journal.kinds() == {"TimeAsked"}

    try:
        asyncio.run(scenario())
    finally:
        bench.close()


@pytest.mark.parametrize(
    ("begins", "life", "days", "kind"),
    [(-12, 9, 0, "ServerExpired"), (-12, 9, -14, "ServerNotYet"), (3, 30, 0, "ServerNotYet")],
)
def test_a_certificate_that_is_bad_by_the_signed_time_gets_nothing(
    begins: float, life: float, days: float, kind: str, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, begins_days=begins, life_days=life)
    bench.clock.floor.proven_s -= 20 * DAY_S

    async def scenario() -> None:
        bench.spool.put(numeric("97"))
        consumer = bench.platform(days)
        async with running(bench) as uplink:
            await until(lambda: kind in bench.journal.kinds())
            assert bench.clock.quality == "signed"
            await until(lambda: len(bench.journal.said) >= 3)
        assert bench.journal.kinds() == {"TimeAsked", kind}
        assert (uplink.counters.connections, bench.spool.waiting()) == (0, 1)
        assert (bench.seen("birth"), bench.seen("state"), consumer.ledger().rows) == ("", "", 0)

    try:
        asyncio.run(scenario())
    finally:
        bench.close()


def only_time(acl: str) -> str:
    return acl.replace("pattern write jisr/v1/+/%u/time\n", "")


@pytest.mark.parametrize("why", ["no platform", "no right", "another key", "before the floor"])
def test_without_an_answer_that_can_be_believed_nothing_is_sent(why: str, tmp_path: Path) -> None:
    acl = ACL.format(consumer=CONSUMER)
    bench = Bench(tmp_path, begins_days=-12, life_days=9, acl=only_time(acl) if why == "no right" else acl)

    async def scenario() -> None:
        bench.spool.put(numeric("97"))
        if why == "another key":
            bench.platform(-5, key=LabAuthority(tmp_path / "other").ack_key())
        elif why != "no platform":
            bench.platform(-11 if why == "before the floor" else -5)
        async with running(bench) as uplink:
            await until(lambda: "TimeUnanswered" in bench.journal.kinds())
            assert "Check the clock first" in uplink.link.last_error
        assert bench.clock.quality == "none"
        assert (uplink.counters.connections, bench.spool.waiting()) == (0, 1)
        refused = {"another key": "mac", "before the floor": "floor"}.get(why)
        assert set(uplink.timekeeper.refused) == ({refused} if refused else set())
        assert ("TimeRefused" in bench.journal.kinds()) == bool(refused)
        if why != "no platform":
            assert (bench.seen("birth"), bench.seen("state"), bench.seen("health")) == ("", "", "")

    try:
        asyncio.run(scenario())
    finally:
        bench.close()


class Scripted(Server):
    """A broker whose certificate is over: takes every packet, writes it down, and never tells the time."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.packets: list[tuple[int, bytes]] = []
        super().__init__(context)

    def _talk(self, raw: socket.socket) -> None:
        assert self._context is not None
        with self._context.wrap_socket(raw, server_side=True) as secure, secure.makefile("rb") as stream:
            while head := stream.read(1):
                size, shift = 0, 0
                while (byte := stream.read(1)[0]) > 127:
                    size, shift = size | (byte & 127) << shift, shift + 7
                body = stream.read(size | byte << shift)
                self.packets.append((head[0] >> 4, body))
                if head[0] >> 4 == CONNECT:
                    secure.sendall(b"\x20\x03\x00\x00\x00")
                elif head[0] >> 4 == SUBSCRIBE:
                    secure.sendall(b"\x90\x04" + body[:2] + b"\x00\x01")


def test_the_connection_for_the_time_carries_nothing_else(tmp_path: Path) -> None:
    """Byte by byte: CONNECT without a will, the subscription, one question, DISCONNECT."""
    bench = Bench(tmp_path, begins_days=-12, life_days=9)
    pair = Pair(tmp_path / "ca" / "dated.pem", tmp_path / "ca" / "dated.key")
    server = Scripted(server_context(bench.authority, pair))
    bench.broker.kill()
    bench.broker.port = server.port

    async def scenario() -> None:
        bench.spool.put(numeric("97"), alert("a"))
        async with running(bench):
            await until(lambda: bench.journal.said[1:] and server.packets[4:])
        server.close()

    asyncio.run(scenario())
    kinds = [kind for kind, _ in server.packets]
    assert kinds[:5] == [CONNECT, SUBSCRIBE, PUBLISH, DISCONNECT, CONNECT]
    assert set(kinds) == {CONNECT, SUBSCRIBE, PUBLISH, DISCONNECT}
    for kind, body in server.packets:
        if kind == CONNECT:
            assert body[:7] == b"\x00\x04MQTT\x05"
            assert body[7] & 0b1111_1110 == 0  # no user, no password, no will; the session stays
        elif kind == PUBLISH:
            size = int.from_bytes(body[:2], "big")
            assert body[2 : 2 + size].decode() == f"jisr/v1/{SITE}/{GATEWAY}/time"
            assert re.search(rb'\{"nonce":"[0-9a-f]{32}","v":1\}$', body)
            assert len(body) < 150


def test_without_a_key_nobody_can_be_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begins_days=-12, life_days=9)

    async def scenario() -> None:
        bench.spool.put(numeric("97"))
        bench.platform(-5)
        async with running(bench, "broker") as uplink:
            await until(lambda: "ClockDoubtful" in bench.journal.kinds())
            assert "Check the clock first" in uplink.link.last_error
        assert (bench.clock.quality, bench.spool.waiting(), bench.seen("state")) == ("none", 1, "")

    try:
        asyncio.run(scenario())
    finally:
        bench.close()


def test_what_ended_before_the_floor_is_not_even_asked_for_the_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begins_days=-15, life_days=3)  # ended twelve days ago, two before the floor

    async def scenario() -> None:
        bench.platform(-13)
        async with running(bench):
            await until(lambda: bench.journal.said)
            assert bench.clock.quality == "none"
        assert "TimeUnanswered" not in bench.journal.kinds()
        assert "ServerLongOver" in bench.journal.kinds()

    try:
        asyncio.run(scenario())
    finally:
        bench.close()


def test_a_good_certificate_by_an_unconfirmed_clock_delivers_and_is_confirmed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begins_days=-1, life_days=30)

    async def scenario() -> None:
        bench.spool.put(numeric("97"))
        bench.platform(0.001)
        async with running(bench) as uplink:
            await until(lambda: bench.spool.waiting() == 0 and bench.clock.quality == "signed")
            assert uplink.counters.connections == 1
        assert bench.journal.kinds() == {"ClockUnconfirmed"}

    try:
        asyncio.run(scenario())
    finally:
        bench.close()


def test_a_connection_ends_when_the_signed_time_says_that_its_dates_were_wrong(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begins_days=-1, life_days=30)

    async def scenario() -> None:
        bench.platform(40)
        async with running(bench) as uplink:
            await until(lambda: "ServerExpired" in bench.journal.kinds())
            assert bench.clock.quality == "signed"
            await until(lambda: len(bench.journal.said) >= 4)  # and stays away
            assert uplink.counters.connections == 1

    try:
        asyncio.run(scenario())
    finally:
        bench.close()


def test_a_trusted_clock_refuses_as_ever(tmp_path: Path) -> None:
    bench = Bench(tmp_path, begins_days=-12, life_days=9)
    bench.sync_ms = 10  # type: ignore[assignment]

    async def scenario() -> None:
        bench.platform(-5)
        async with running(bench) as uplink:
            await until(lambda: len(bench.journal.said) >= 2)
            assert bench.journal.kinds() == {"ServerExpired"}
            assert uplink.counters.connections == 0
        assert bench.clock.quality == "ntp"

    try:
        asyncio.run(scenario())
    finally:
        bench.close()


def test_acknowledgements_that_come_while_the_time_is_asked_come_again(tmp_path: Path) -> None:
    """The connection for the time confirms nothing, so the broker keeps what belongs to the session."""
    bench = Bench(tmp_path, begins_days=-12, life_days=9)

    async def scenario() -> None:
        consumer = bench.platform(-5)
        async with running(bench) as uplink:
            await until(lambda: uplink.link.connected)
        topic = f"jisr/v1/{SITE}/{GATEWAY}/ack/numeric"
        bench.clock._fix = None
        consumer._client.publish(topic, b"kept", 1).wait_for_publish(5)
        async with running(bench) as uplink:
            await until(lambda: uplink.counters.refused["not_an_ack"] == 1)
        assert bench.clock.quality == "signed"

    try:
        asyncio.run(scenario())
    finally:
        bench.close()
