"""What a session does at a broker's limits and when it shall make way for the next one."""

import asyncio
from typing import cast

import msgspec
import pytest

from gateway.uplink import errors
from gateway.uplink.mqtt import HEADROOM_BYTES, Connection, Granted
from gateway.uplink.schema import Birth, DeviceBirth, MetricBirth
from tests.gateway.uplink.fake_spool import numeric
from tests.gateway.uplink.test_session import Desk

METRIC = MetricBirth(
    vendor_code="a", metric="", code=0, unit="", category="measurement", label_en="x" * 500, label_fr=""
)


def with_metrics(desk: Desk, count: int, packet_bytes: int) -> Desk:
    """The same desk with a birth of about `count` times 600 bytes, and a broker of such packets."""
    device = DeviceBirth(
        name="vent",
        driver="astm/1",
        profile="",
        place="",
        mode="test",
        evidence="bench",
        port="",
        sends=True,
        metrics=(METRIC,) * count,
    )
    desk.session._t = msgspec.structs.replace(desk.session._t, birth=lambda: Birth(devices=(device,)))
    desk.session.begin(cast(Connection, desk.connection), Granted(packet_bytes=packet_bytes))
    return desk


def test_a_birth_too_large_for_the_broker_goes_without_its_metrics() -> None:
    desk = with_metrics(Desk(), 20, 4096)
    desk.turn()
    told = msgspec.json.decode(desk.connection.out[0].payload, type=Birth)
    assert [(device.name, device.metrics) for device in told.devices] == [("vent", ())]
    assert max(len(message.payload) for message in desk.connection.out) <= 4096 - HEADROOM_BYTES
    assert "ReportTooLarge" in desk.journal.kinds()
    assert "hist/numeric" in desk.connection.topics()


def test_a_birth_that_fits_goes_whole() -> None:
    desk = with_metrics(Desk(), 2, 4096)
    desk.turn()
    assert len(msgspec.json.decode(desk.connection.out[0].payload, type=Birth).devices[0].metrics) == 2
    assert "ReportTooLarge" not in desk.journal.kinds()


def test_what_never_fits_is_left_out_and_the_frames_go_on() -> None:
    desk = with_metrics(Desk(), 1, 600)
    desk.turn()
    assert "health" not in desk.connection.topics()
    assert "hist/numeric" in desk.connection.topics()


@pytest.mark.parametrize("writing", [(False,), (False, True), (False, True, True, True)])
def test_one_swallowed_frame_among_confirmed_ones_ends_the_connection(writing: tuple[bool, ...]) -> None:
    desk = Desk()
    desk.turn()
    swallowed = desk.session._flight.items()[-1]
    for step in range(200):
        desk.spool.put(numeric("2"))
        desk.connection.is_writing = writing[step % len(writing)]
        desk.connection.traffic = (step * 5000, 0)
        desk.turn()
        for mid, what in desk.session._flight.items():
            if (mid, what) != swallowed:
                desk.session.published(mid, 0, "")
        desk.now += 1.0
    assert isinstance(desk.session._error, errors.BrokerStuck)


def test_a_message_that_is_still_on_its_way_is_waited_for() -> None:
    desk = Desk()
    desk.turn()
    desk.connection.is_writing = True
    for step in range(400):
        desk.connection.traffic = (step * 1000, 0)
        desk.turn()
        desk.now += 1.0
    assert desk.session._error is None
    for _ in range(181):
        desk.turn()
        desk.now += 1.0
    assert isinstance(desk.session._error, errors.BrokerStuck)


def test_stepping_aside_sends_nothing_more_and_waits_for_the_confirmations() -> None:
    async def scenario() -> None:
        desk = Desk()
        work = asyncio.create_task(desk.session.work(asyncio.Event()))
        await asyncio.sleep(0.01)
        before = len(desk.connection.out)
        desk.session.step_aside()
        desk.spool.put(numeric("2"))
        desk.session.wake.set()
        await asyncio.sleep(0.01)
        assert len(desk.connection.out) == before
        assert not work.done()
        desk.confirm_all()
        await asyncio.wait_for(work, 1)

    asyncio.run(scenario())


def test_a_deaf_broker_does_not_keep_it_from_stepping_aside() -> None:
    async def scenario() -> None:
        desk = Desk()
        work = asyncio.create_task(desk.session.work(asyncio.Event()))
        await asyncio.sleep(0.01)
        desk.session.step_aside()
        desk.now += 20.0
        desk.session.wake.set()
        await asyncio.wait_for(work, 1)
        assert desk.session._flight

    asyncio.run(scenario())
