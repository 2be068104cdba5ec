"""A real broker at the far end of a slow line: what is live finds its way, and the keep-alive too."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest

from drivers.observation import AnyObservation
from gateway.uplink.identity import TlsFiles
from gateway.uplink.schedule import Sent
from gateway.uplink.schema import Birth, Health
from gateway.uplink.session import Session
from gateway.uplink.uplink import Uplink, UplinkSettings
from simulators.central.broker import CONSUMER, Mosquitto, find_mosquitto
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import LabAuthority
from tests.gateway.uplink.fake_spool import FakeSpool, alert, numeric, wave
from tests.gateway.uplink.journal import Memory
from tests.gateway.uplink.throttle import Throttle
from tests.gateway.uplink.ward import numerics, waves

pytestmark = [pytest.mark.alone, pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")]

GATEWAY, SITE = "gw-test", "site-1"
RATE = 16_000.0
ADAPTED = 4


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LabAuthority:
    found = LabAuthority(tmp_path_factory.mktemp("ca"))
    found.gateway(GATEWAY)
    found.consumer(CONSUMER)
    return found


class Slow:
    """Box, slow line, broker and platform of one test."""

    def __init__(self, folder: Path, authority: LabAuthority, seen: Callable[[AnyObservation], None]) -> None:
        self.spool, self.journal = FakeSpool(), Memory()
        self.broker = Mosquitto(folder / "broker", authority)
        self.line = Throttle(self.broker.port, RATE)
        self._folder, self._authority, self._seen = folder, authority, seen
        self.uplink: Uplink | None = None

    def open_platform(self) -> Consumer:
        consumer = Consumer(
            self._folder / "central.db",
            port=self.broker.port,
            ca=Path(str(self._authority.ca)),
            identity=self._authority.consumer(CONSUMER),
            ack_key=self._authority.ack_key(),
            on_observation=self._seen,
        )
        consumer.start()
        assert consumer.ready.wait(10)
        return consumer

    def box(self) -> Uplink:
        pair = self._authority.gateway(GATEWAY)
        tls = TlsFiles(str(self._authority.ca), str(pair.certificate), str(pair.key))
        where = f"mqtts://localhost:{self.line.port}"
        settings = UplinkSettings(SITE, GATEWAY, where, tls, ack_key=str(self._authority.ack_key()))
        return Uplink(settings, self.spool, Birth, Health, self.journal, rng=Random(1))


@contextlib.asynccontextmanager
async def working(slow: Slow) -> AsyncIterator[Uplink]:
    slow.broker.start()
    consumer = slow.open_platform()
    await slow.line.open()
    uplink = slow.box()
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        await uplink.stop(3.0)
        await task
        await slow.line.close()
        consumer.stop()
        slow.broker.stop()


async def until(what: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not happen"
        await asyncio.sleep(0.01)


def test_live_data_pass_a_backlog_on_a_slow_line(
    tmp_path: Path, authority: LabAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a live value's commit and the broker's word for it the line carries less than it can in two seconds."""
    arrived: dict[int, int] = {}
    lanes: list[str] = []
    slow = Slow(tmp_path, authority, lambda one: lanes.append(f"{one.epoch} {one.lane}"))

    class Watched(Session):
        def published(self, mid: int, code: int, reason: str) -> None:
            what = dict(self._flight.items()).get(mid)
            if isinstance(what, Sent) and (what.lane, what.epoch) == ("numeric", 2):
                arrived.update(dict.fromkeys(range(what.first, what.last + 1), slow.line.up))
            super().published(mid, code, reason)

    monkeypatch.setattr("gateway.uplink.uplink.Session", Watched)
    for second in range(600):
        slow.spool.put_raw("numeric", *numerics(600)[second % 60])
        if second % 5 == 4:
            slow.spool.put_raw("wave", *waves(4800)[second // 5 % 4])
    slow.spool.reopen()
    committed: dict[int, int] = {}

    async def scenario() -> None:
        async with working(slow) as uplink:
            await until(lambda: uplink.counters.confirmed, 10)
            for step in range(24):
                slow.spool.put(numeric(str(step)), wave(200))
                committed[slow.spool.head("numeric").seq] = slow.line.up
                await asyncio.sleep(0.5)
            await until(lambda: len(arrived) == len(committed), 20)
            await until(lambda: lanes.count("2 wave") >= 20 and lanes.count("2 numeric") == 24, 60)
            assert uplink.counters.connections == 1
            assert uplink.link.connected

    asyncio.run(scenario())
    carried = [arrived[seq] - at for seq, at in sorted(committed.items())]
    assert max(carried[ADAPTED:]) <= 2 * RATE
    assert lanes.count("1 numeric") > 200
    assert lanes.count("1 wave") == 0
    assert slow.journal.said == []


def test_a_record_that_takes_many_keep_alives_to_send_does_not_end_the_connection(
    tmp_path: Path, authority: LabAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplink.mqtt.KEEPALIVE_S", 2)
    lanes: list[str] = []
    slow = Slow(tmp_path, authority, lambda one: lanes.append(str(one.lane)))
    slow.spool.put(wave(25_000))

    async def scenario() -> None:
        async with working(slow) as uplink:
            await until(lambda: slow.line.up > 60_000, 20)
            slow.spool.put(alert("now"))
            await until(lambda: slow.spool.waiting() == 0, 60)
            assert uplink.counters.connections == slow.line.calls == 1

    asyncio.run(scenario())
    assert sorted(lanes) == ["event", "wave"]
    assert slow.journal.said == []
