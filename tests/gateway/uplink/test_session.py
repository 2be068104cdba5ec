"""One connection's life without a network: the connection is a list of what was published."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Literal, cast

import msgspec
import pytest

from gateway.uplink import errors
from gateway.uplink.acknowledgement import Judge
from gateway.uplink.mqtt import Connection, Granted, Message
from gateway.uplink.schema import Birth, Health, encode, sign_ack
from gateway.uplink.session import IN_FLIGHT_BYTES, Backoff, Counters, Identity, Session, Timing, Tools
from tests.gateway.uplink.fake_spool import FakeSpool, alert, numeric
from tests.gateway.uplink.journal import Memory

KEY = b"k" * 32
SITE, GATEWAY = "site-1", "gw-test"


class FakeConnection:
    def __init__(self) -> None:
        self.out: list[Message] = []
        self.subscriptions: list[str] = []
        self.closed = 0
        self.traffic = (0, 0)

    def publish(self, message: Message) -> int:
        self.out.append(message)
        return len(self.out)

    def subscribe(self, topic: str) -> None:
        self.subscriptions.append(topic)

    async def close(self, _timeout_s: float) -> None:
        self.closed += 1

    def topics(self) -> list[str]:
        return [message.topic.removeprefix(f"jisr/v1/{SITE}/{GATEWAY}/") for message in self.out]


class Desk:
    """A session on a clock that is turned by hand."""

    def __init__(self, ack: Literal["platform", "broker"] = "platform", granted: Granted | None = None) -> None:
        self.now = 1000.0
        self.spool, self.journal, self.counters = FakeSpool(), Memory(), Counters()
        self.spool.put(numeric("1"))
        self.connection = FakeConnection()
        self.heard = 0
        tools = Tools(
            self.spool,
            Judge(SITE, GATEWAY, self.spool),
            self.journal,
            self.counters,
            Random(1),
            lambda: self.now,
            Timing(),
            lambda: Birth(software="test"),
            lambda: Health(counters={"mine": 1}),
            self._hear,
        )
        self.session = Session(Identity(SITE, GATEWAY, 7, ack, KEY), tools)
        self.session.begin(cast(Connection, self.connection), granted or Granted())

    def _hear(self) -> None:
        self.heard += 1

    def turn(self) -> None:
        self.session._watch(self.now)
        while self.session._pump(self.now):
            pass

    def confirm_all(self, code: int = 0, only: str = "") -> None:
        for mid, what in list(self.session._in_flight.items()):
            if isinstance(what, str) or not only or only in self.connection.out[mid - 1].topic:
                self.session.published(mid, 0 if isinstance(what, str) else code, "reason")

    def acknowledge(self, upto: int) -> None:
        ack = sign_ack(KEY, SITE, GATEWAY, "numeric", spool=self.spool.id, epoch=1, upto=upto)
        self.session.received(f"jisr/v1/{SITE}/{GATEWAY}/ack/numeric", encode(ack))


def test_birth_and_state_go_first_with_the_same_session() -> None:
    desk = Desk()
    desk.turn()
    assert desk.connection.topics() == ["birth", "state", "health", "hist/numeric"]
    assert [message.retain for message in desk.connection.out] == [True, True, False, False]
    birth = msgspec.json.decode(desk.connection.out[0].payload, type=Birth)
    assert (birth.session, birth.software, birth.spool, birth.epoch) == (7, "test", desk.spool.id, 1)
    assert msgspec.json.decode(desk.session.will().payload)["session"] == 7
    assert msgspec.json.decode(desk.connection.out[2].payload)["counters"]["mine"] == 1
    assert desk.connection.subscriptions == [f"jisr/v1/{SITE}/{GATEWAY}/ack/#"]


def test_health_each_minute() -> None:
    desk = Desk()
    for _ in range(181):
        desk.turn()
        desk.confirm_all()
        desk.now += 1.0
    assert desk.connection.topics().count("health") == 4


def test_no_more_than_the_window_and_256_kb_under_way() -> None:
    desk = Desk(granted=Granted(window=5))
    for value in range(20):
        desk.spool.put(numeric(str(value)))
    desk.turn()
    assert len(desk.session._in_flight) == 5
    desk = Desk()
    for _ in range(10):
        desk.spool.put_raw("numeric", 1, b"[" + b" " * 100_000 + b"]")
    desk.turn()
    assert desk.session._in_flight_bytes <= IN_FLIGHT_BYTES
    desk.confirm_all()
    assert desk.session._in_flight_bytes == 0
    desk.spool.put_raw("event", 1, b"[" + b" " * 500_000 + b"]")
    desk.turn()  # larger than the whole window: goes alone
    assert [topic for topic in desk.connection.topics() if "event" in topic] == ["live/event"]
    assert sum(not isinstance(what, str) for what in desk.session._in_flight.values()) == 1


def test_an_acknowledgement_frees_and_is_told() -> None:
    desk = Desk()
    desk.turn()
    desk.acknowledge(1)
    assert desk.spool.waiting() == 0
    assert (desk.heard, desk.counters.acknowledged) == (1, 1)
    desk.acknowledge(1)
    assert desk.counters.refused["old"] == 1
    assert desk.journal.said == []
    desk.acknowledge(2)
    assert desk.counters.refused["beyond"] == 1
    assert desk.journal.kinds() == {"AckRefused"}


def test_a_broker_s_word_is_none_where_the_platform_must_speak_and_the_reverse() -> None:
    desk = Desk("platform")
    desk.turn()
    desk.confirm_all()
    assert desk.spool.calls == []
    desk = Desk("broker")
    desk.turn()
    desk.acknowledge(1)
    assert desk.spool.calls == []
    assert desk.connection.subscriptions == []
    desk.confirm_all()
    assert desk.spool.waiting() == 0


@pytest.mark.parametrize("ack", ["platform", "broker"])
@pytest.mark.parametrize("code", [0x10, 0x80, 0x87, 0x97, 0x99])
def test_what_the_broker_did_not_take_is_sent_again_later(code: int, ack: Literal["platform", "broker"]) -> None:
    desk = Desk(ack)
    desk.spool.put(numeric("2"))
    desk.turn()
    desk.confirm_all(code)
    assert desk.spool.waiting() == 2
    assert len(desk.journal.said) == 1  # the second refusal of the same round is not another reason to back off
    before = len(desk.connection.out)
    desk.turn()
    assert len(desk.connection.out) == before
    desk.now += 1.0
    desk.turn()
    assert desk.connection.topics()[before:] == ["hist/numeric", "hist/numeric"]
    desk.confirm_all()
    desk.spool.put(numeric("3"))
    desk.turn()
    desk.confirm_all()
    assert any(subject.startswith("publish ") for subject in desk.journal.settled)


def test_other_lanes_go_on_while_one_is_refused() -> None:
    desk = Desk()
    desk.turn()
    desk.confirm_all(0x87)
    desk.spool.put(alert("a"))
    desk.turn()
    assert desk.connection.topics()[-1] == "live/event"


def test_refused_birth_is_said() -> None:
    desk = Desk()
    desk.turn()
    desk.session.published(1, 0x87, "Not authorized")
    assert desk.journal.kinds() == {"NotDelivered"}
    desk.session.published(99, 0, "unknown packet id")


def test_silence_of_the_platform() -> None:
    desk = Desk()
    desk.turn()
    desk.confirm_all()
    desk.now += 59.0
    desk.turn()
    assert desk.connection.topics().count("hist/numeric") == 1
    desk.now += 1.0
    desk.turn()
    assert desk.connection.topics().count("hist/numeric") == 2
    assert desk.journal.kinds() == {"NotAcknowledged"}
    assert desk.counters.resent == 1


def test_a_broker_that_confirms_nothing_is_left() -> None:
    desk = Desk()
    desk.turn()
    desk.now += 179.0
    desk.turn()
    assert desk.session._error is None
    desk.now += 1.0
    desk.turn()
    assert isinstance(desk.session._error, errors.BrokerStuck)


@pytest.mark.parametrize(("codes", "kinds"), [((1,), set()), ((0x87,), {"AckNotReadable"}), ((), {"AckNotReadable"})])
def test_subscription(codes: tuple[int, ...], kinds: set[str]) -> None:
    desk = Desk()
    desk.session.subscribed(codes)
    assert desk.journal.kinds() == kinds


def test_frames_the_broker_never_takes_are_held_and_said_once() -> None:
    desk = Desk(granted=Granted(packet_bytes=2000))
    desk.spool.put_raw("event", 1, b"[" + b" " * 3000 + b"]")
    desk.spool.put_raw("wave", 1, b"?", content=9)
    for _ in range(3):
        desk.turn()
        desk.session._schedule.rewind("event")
    assert desk.connection.topics()[3:] == ["hist/numeric"]
    assert desk.counters.held == 2
    assert desk.spool.waiting() == 3


def test_without_retain_nothing_is_retained() -> None:
    desk = Desk(granted=Granted(retain=False))
    desk.turn()
    assert not any(message.retain for message in desk.connection.out)


def run(work: Callable[[], object]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_work_ends_with_the_reason_of_the_loss() -> None:
    async def scenario() -> None:
        desk = Desk()
        task = asyncio.create_task(desk.session.work(asyncio.Event()))
        await asyncio.sleep(0)
        desk.session.lost(errors.TakenOver())
        desk.session.lost(errors.ConnectionLost())
        with pytest.raises(errors.TakenOver):
            await task

    run(scenario)


def test_farewell_waits_for_the_confirmation_and_sends_no_more_frames() -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.turn()
        desk.confirm_all()
        desk.spool.put(numeric("2"))
        task = asyncio.create_task(desk.session.farewell(5.0))
        await asyncio.sleep(0)
        assert desk.connection.topics()[-1] == "state"
        assert desk.connection.closed == 0
        desk.confirm_all()
        await task
        assert desk.connection.closed == 1
        assert msgspec.json.decode(desk.connection.out[-1].payload)["state"] == "offline"

    run(scenario)


def test_farewell_of_a_deaf_broker_ends_in_time() -> None:
    async def scenario() -> None:
        desk = Desk(granted=Granted(window=1))
        desk.turn()
        await desk.session.farewell(0.01)
        assert desk.connection.closed == 1

    run(scenario)


def test_backoff_is_full_jitter_between_nothing_and_a_doubling_bound() -> None:
    class Highest(Random):
        def uniform(self, a: float, b: float) -> float:
            assert a == 0
            return b

    backoff = Backoff(1.0, 300.0, Highest())
    assert [backoff.next() for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    backoff.reset()
    assert backoff.next() == 1
    real = Backoff(1.0, 300.0, Random(1))
    assert all(0 <= real.next() <= 300 for _ in range(100))
