"""Delivery through a real broker over mutual TLS, with everything that can go wrong on the way."""

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Literal

import msgspec
import pytest

from gateway.spool.spool import Spool
from gateway.uplink.identity import TlsFiles
from gateway.uplink.schema import Birth, Health, State, ack_topic, encode, sign_ack
from gateway.uplink.uplink import Spooled, Timing, Uplink, UplinkSettings
from gateway.uplink.wire import Encoding
from simulators.central.broker import ACL, CONSUMER, Mosquitto, find_mosquitto
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import LabAuthority
from tests.gateway.uplink.fake_spool import FakeSpool, alert, numeric, wave
from tests.gateway.uplink.journal import Memory

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

GATEWAY, SITE = "gw-test", "site-1"
FAST = Timing(retry_first_s=0.05, retry_last_s=0.1, refused_last_s=0.1, health_s=60.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LabAuthority:
    found = LabAuthority(tmp_path_factory.mktemp("ca"))
    found.gateway(GATEWAY)
    found.consumer(CONSUMER)
    return found


class Bench:
    """Broker, consumer, spool and uplink of one test."""

    def __init__(self, folder: Path, authority: LabAuthority) -> None:
        self.folder, self.authority = folder, authority
        self.spool, self.journal = FakeSpool(), Memory()
        self.broker = Mosquitto(folder / "broker", authority)
        self.consumer: Consumer | None = None
        self.uplink: Uplink | None = None
        self._task: asyncio.Task[None] | None = None

    def with_broker(self, acl: str = "", **extra: str) -> None:
        self.broker = Mosquitto(self.folder / "broker", self.authority, extra=extra, acl=acl)

    def consume(self) -> Consumer:
        ca = Path(str(self.authority.ca))
        self.consumer = Consumer(
            self.folder / "central.db",
            port=self.broker.port,
            ca=ca,
            identity=self.authority.consumer(CONSUMER),
            ack_key=self.authority.ack_key(),
        )
        self.consumer.start()
        assert self.consumer.ready.wait(10)
        return self.consumer

    def stop_consumer(self) -> None:
        if self.consumer is not None:
            self.consumer.stop()
            self.consumer = None

    def connect(
        self,
        *,
        ack: Literal["platform", "broker"] = "platform",
        timing: Timing = FAST,
        spool: Spooled | None = None,
        encoding: Encoding = "json",
    ) -> Uplink:
        ca = self.authority.ca
        tls = TlsFiles(str(ca), str(ca.parent / f"{GATEWAY}.pem"), str(ca.parent / f"{GATEWAY}.key"))
        key = str(self.authority.ack_key())
        settings = UplinkSettings(SITE, GATEWAY, self.broker.url, tls, ack=ack, encoding=encoding, ack_key=key)
        self.uplink = Uplink(settings, spool or self.spool, Birth, Health, self.journal, rng=Random(1), timing=timing)
        self._task = asyncio.create_task(self.uplink.run())
        return self.uplink

    async def disconnect(self) -> None:
        if self.uplink is not None and self._task is not None:
            await self.uplink.stop(2.0)
            await asyncio.wait_for(self._task, 5)
        self._task = None

    async def close(self) -> None:
        await self.disconnect()
        self.stop_consumer()
        self.broker.stop()


async def until(what: Callable[[], object], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"did not happen: line {what.__code__.co_firstlineno}"
        await asyncio.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path, authority: LabAuthority) -> Iterator[Bench]:
    found = Bench(tmp_path, authority)
    yield found
    found.stop_consumer()
    found.broker.stop()


@contextlib.asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    bench.broker.start()
    try:
        yield
    finally:
        await bench.close()


def test_everything_arrives_once_and_is_freed(bench: Bench) -> None:
    async def scenario() -> None:
        async with running(bench):
            bench.spool.put(numeric("97.0"), alert("old"))
            bench.spool.reopen()
            bench.spool.put(numeric("96"), wave())
            consumer = bench.consume()
            uplink = bench.connect()
            await until(lambda: bench.spool.waiting() == 0)
            for value in range(50):
                bench.spool.put(numeric(str(value)), wave(), alert(str(value)))
                await asyncio.sleep(0)
            await until(lambda: bench.spool.waiting() == 0)
            ledger = consumer.ledger()
            assert (ledger.rows, ledger.distinct, ledger.missing) == (154, 154, 0)
            assert uplink.link.last_acknowledgement is not None
            assert uplink.counters.acknowledged == 154
            birth = msgspec.json.decode(consumer.box(GATEWAY, "birth"), type=Birth)
            assert (birth.gateway, birth.site, birth.spool, birth.epoch, birth.ack) == (
                GATEWAY,
                SITE,
                bench.spool.id,
                2,
                "platform",
            )
            await until(lambda: consumer.box(GATEWAY, "health"))
            state = msgspec.json.decode(consumer.box(GATEWAY, "state"), type=dict[str, object])
            assert state == {
                "state": "online",
                "session": birth.session,
                "v": 1,
            }
            await bench.disconnect()
            await until(lambda: b"offline" in consumer.box(GATEWAY, "state").encode())
            assert not uplink.link.connected
            assert bench.journal.said == []

    asyncio.run(scenario())


def test_broker_killed_and_restarted_empty_in_mid_stream(bench: Bench) -> None:
    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            bench.connect()
            for step in range(120):
                bench.spool.put(numeric(str(step)), alert(str(step)))
                await asyncio.sleep(0.002)
                if step in (40, 80):
                    bench.broker.kill()
                    bench.broker.start()
            await until(lambda: bench.spool.waiting() == 0, 25)
            ledger = consumer.ledger()
            assert (ledger.rows, ledger.duplicates, ledger.missing) == (240, 0, 0)

    asyncio.run(scenario())


def test_consumer_killed_and_resumed(bench: Bench) -> None:
    async def scenario() -> None:
        async with running(bench):
            process = _consumer_process(bench)
            bench.connect()
            for step in range(150):
                bench.spool.put(numeric(str(step)))
                await asyncio.sleep(0.002)
                if step in (50, 100):
                    process.kill()
                    process.wait()
                    process = _consumer_process(bench)
            try:
                await until(lambda: bench.spool.waiting() == 0, 25)
            finally:
                process.kill()
                process.wait()
            ledger = bench.consume().ledger()
            assert (ledger.rows, ledger.duplicates, ledger.missing) == (150, 0, 0)

    asyncio.run(scenario())


def _consumer_process(bench: Bench) -> subprocess.Popen[bytes]:
    ca = bench.authority.ca
    code = f"""
        import time
        from pathlib import Path
        from simulators.central.consumer import Consumer
        from simulators.central.lab_ca import Pair
        folder = Path({str(ca.parent)!r})
        Consumer(Path({str(bench.folder / "central.db")!r}), port={bench.broker.port}, ca=Path({str(ca)!r}),
                 identity=Pair(folder / "{CONSUMER}.pem", folder / "{CONSUMER}.key"),
                 ack_key=Path({str(bench.authority.ack_key())!r})).start()
        time.sleep(600)
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])


def test_without_subscriber_nothing_is_freed_and_it_is_said_once(bench: Bench) -> None:
    async def scenario() -> None:
        async with running(bench):
            uplink = bench.connect()
            bench.spool.put(numeric("97"))
            await until(lambda: uplink.counters.undelivered.total() >= 3)
            assert bench.spool.waiting() == 1
            assert bench.spool.calls == []
            assert "NobodyListens" in bench.journal.kinds()
            bench.consume()
            await until(lambda: bench.spool.waiting() == 0)
            assert any(subject.startswith("publish ") for subject in bench.journal.settled)

    asyncio.run(scenario())


def test_denied_topic_is_not_taken_for_delivered(bench: Bench) -> None:
    bench.with_broker(
        ACL.format(consumer=CONSUMER)
        .replace("pattern write jisr/v1/+/%u/live/+\n", "")
        .replace("pattern write jisr/v1/+/%u/hist/+\n", "pattern write jisr/v1/+/%u/hist/event\n")
    )

    async def scenario() -> None:
        async with running(bench):
            bench.consume()
            uplink = bench.connect(ack="broker")
            bench.spool.put(numeric("97"), alert("a"))
            await until(lambda: uplink.counters.undelivered["Not authorized"] >= 3)
            assert "NotDelivered" in bench.journal.kinds()
            await until(lambda: bench.spool.waiting() == 1)  # the alert went by hist/event
            assert all(lane == "event" for lane, *_ in bench.spool.calls)

    asyncio.run(scenario())


def test_receive_maximum_one(bench: Bench) -> None:
    bench.with_broker(max_inflight_messages="1")

    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            bench.connect()
            for step in range(40):
                bench.spool.put(numeric(str(step)))
            await until(lambda: bench.spool.waiting() == 0)
            assert consumer.ledger().rows == 40

    asyncio.run(scenario())


def test_compact_with_the_dictionary_that_the_platform_keeps_at_the_broker(bench: Bench) -> None:
    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            uplink = bench.connect(encoding="compact")
            await until(lambda: uplink._tools.wire.dictionary)
            for step in range(40):
                bench.spool.put(numeric(str(step)), wave(), alert(str(step)))
            await until(lambda: bench.spool.waiting() == 0)
            ledger = consumer.ledger()
            assert (ledger.rows, ledger.duplicates, ledger.missing) == (120, 0, 0)
            assert consumer.refused == {}
            birth = msgspec.json.decode(consumer.box(GATEWAY, "birth"), type=Birth)
            assert birth.encoding == "compact"
            assert bench.journal.said == []

    asyncio.run(scenario())


def test_packets_of_4_kb_lose_nothing(bench: Bench) -> None:
    bench.with_broker(max_packet_size="4096")

    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            uplink = bench.connect()
            bench.spool.put(*[numeric(str(value)) for value in range(500)])
            bench.spool.put(wave(500))
            await until(lambda: bench.spool.waiting() == 0)
            assert (consumer.ledger().rows, uplink.counters.held) == (501, 0)
            assert bench.journal.said == []

    asyncio.run(scenario())


def test_frame_larger_than_the_broker_takes_is_held_and_others_pass(bench: Bench) -> None:
    bench.with_broker(max_packet_size="20000")

    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            uplink = bench.connect()
            bench.spool.put(wave(20_000))
            bench.spool.put(wave(10), numeric("1"))
            await until(lambda: bench.spool.waiting() == 1)
            await bench.disconnect()
            assert uplink.counters.held == 1
            assert [type(error).__name__ for error in bench.journal.said] == ["FrameTooLarge"]
            assert consumer.ledger().rows == 2

    asyncio.run(scenario())


def test_broker_mode_frees_on_puback(bench: Bench) -> None:
    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            bench.spool.put(numeric("1"), numeric("2"))
            bench.connect(ack="broker")
            await until(lambda: bench.spool.waiting() == 0)
            bench.spool.put(numeric("3"))
            await until(lambda: bench.spool.waiting() == 0)
            await until(lambda: consumer.ledger().rows == 3)
            assert bench.spool.calls == [("numeric", 1, 2, ()), ("numeric", 1, 3, ((1, 2),))]

    asyncio.run(scenario())


def test_will_says_offline_with_the_session_of_the_birth(bench: Bench) -> None:
    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            bench.connect()
            await until(lambda: "online" in consumer.box(GATEWAY, "state"))
            assert bench._task is not None
            bench._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await bench._task
            bench._task = None
            await until(lambda: "offline" in consumer.box(GATEWAY, "state"))
            birth = msgspec.json.decode(consumer.box(GATEWAY, "birth"), type=Birth)
            assert msgspec.json.decode(consumer.box(GATEWAY, "state"), type=State) == State("offline", birth.session)

    asyncio.run(scenario())


def test_silent_platform_is_sent_everything_again(bench: Bench) -> None:
    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            consumer._key = b"x" * 32  # it stores, but its word is not believed
            uplink = bench.connect(timing=msgspec.structs.replace(FAST, ack_s=0.3))
            bench.spool.put(numeric("1"))
            await until(lambda: uplink.counters.resent >= 2)
            assert uplink.counters.refused["mac"] >= 1
            assert bench.spool.waiting() == 1
            assert {"NotAcknowledged", "AckRefused"} <= bench.journal.kinds()
            assert consumer.ledger().rows == 1
            consumer._key = bytes.fromhex(bench.authority.ack_key().read_text())
            await until(lambda: bench.spool.waiting() == 0)

    asyncio.run(scenario())


def test_the_broker_s_own_users_cannot_acknowledge_for_others(bench: Bench) -> None:
    """An acknowledgement that any client forges over the real broker frees nothing."""

    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            consumer._key = b"y" * 32
            uplink = bench.connect()
            bench.spool.put(numeric("1"))
            forged = sign_ack(b"z" * 32, SITE, GATEWAY, "numeric", spool=bench.spool.id, epoch=1, upto=1)
            await until(lambda: uplink.counters.refused["mac"] >= 1)  # its own, so the subscription stands
            consumer._client.publish(ack_topic(SITE, GATEWAY, "numeric"), encode(forged), 1)
            await until(lambda: uplink.counters.refused["mac"] >= 2)
            assert bench.spool.calls == []

    asyncio.run(scenario())


def test_broker_refuses_our_certificate(bench: Bench, tmp_path: Path) -> None:
    bench.with_broker(crlfile=str(bench.authority.crl([bench.authority.gateway(GATEWAY)], stem="gw-revoked")))

    async def scenario() -> None:
        async with running(bench):
            uplink = bench.connect()
            await until(lambda: uplink.link.last_error)
            await until(lambda: "CertificateRefused" in bench.journal.kinds())
            assert uplink.counters.connections == 0

    asyncio.run(scenario())


def test_with_the_real_spool_over_two_lives(bench: Bench, tmp_path: Path) -> None:
    async def life(rows: int) -> None:
        spool = Spool.open(tmp_path / "spool", flush=lambda _descriptor: None)
        writer = asyncio.create_task(spool.run())
        if spool.recovery.gaps:
            await spool.put(spool.recovery.gaps)
        uplink = bench.connect(spool=spool)
        for step in range(100):
            await spool.put([numeric(str(step)), alert(str(step)), wave()])
            if step % 10 == 0:
                await spool.commit_now()
        await spool.commit_now()
        await until(lambda: not any(depth.observations for depth in spool.depth().values()))
        assert bench.consumer is not None
        ledger = bench.consumer.ledger()
        assert (ledger.rows, ledger.duplicates, ledger.missing) == (rows, 0, 0)
        assert uplink.link.session // 1_000_000 == spool.epoch
        await bench.disconnect()
        await spool.put([numeric("1"), numeric("2")])
        await spool.close()
        writer.cancel()

    async def scenario() -> None:
        async with running(bench):
            bench.consume()
            await life(300)
            await life(602)

    asyncio.run(scenario())
