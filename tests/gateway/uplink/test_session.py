"""One connection's life without a network: the connection is a list of what was published."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Literal, cast

import msgspec
import pytest

from gateway.uplink import errors
from gateway.uplink.acknowledgement import Judge
from gateway.uplink.budget import Budget
from gateway.uplink.dictionary import shipped
from gateway.uplink.mqtt import HEADROOM_BYTES, Connection, Granted, Message
from gateway.uplink.schema import COMPACT_TYPE, FRAME_TYPE, Birth, Health, decode_frame, encode, sign_ack
from gateway.uplink.session import Backoff, Counters, Identity, Session, Timing, Tools
from gateway.uplink.throughput import CEILING_BYTES, START_BYTES
from gateway.uplink.wire import Encoding, Wire
from tests.gateway.uplink.fake_spool import FakeSpool, alert, numeric, wave
from tests.gateway.uplink.journal import Memory

KEY = b"k" * 32
SITE, GATEWAY = "site-1", "gw-test"


class FakeConnection:
    def __init__(self) -> None:
        self.out: list[Message] = []
        self.subscriptions: list[str] = []
        self.closed = 0
        self.traffic = (0, 0)
        self.is_writing = False

    def publish(self, message: Message) -> int:
        self.out.append(message)
        return len(self.out)

    def subscribe(self, *topics: str) -> None:
        self.subscriptions += topics

    def unsubscribe(self, topic: str) -> None:
        self.subscriptions.remove(topic)

    async def close(self, _timeout_s: float) -> None:
        self.closed += 1

    def topics(self) -> list[str]:
        return [message.topic.removeprefix(f"jisr/v1/{SITE}/{GATEWAY}/") for message in self.out]


class Desk:
    """A session on a clock that is turned by hand."""

    def __init__(
        self,
        ack: Literal["platform", "broker"] = "platform",
        granted: Granted | None = None,
        encoding: Encoding = "json",
        budget: int = 0,
    ) -> None:
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
            Wire(encoding),
            Budget(budget, self.now) if budget else None,
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
        for mid, what in self.session._flight.items():
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
    assert len(desk.session._flight) == 5
    desk = Desk()
    for _ in range(30):
        desk.spool.put_raw("numeric", 1, b"[" + b" " * 60_000 + b"]")
    most = 0
    for _ in range(30):
        desk.turn()
        most = max(most, desk.session._flight.bytes)
        desk.now += 0.05
        desk.confirm_all()
    assert 120_000 < most <= CEILING_BYTES  # a good link: the window opened
    assert desk.session._flight.bytes == 0
    desk.spool.put_raw("event", 1, b"[" + b" " * 500_000 + b"]")
    desk.turn()  # larger than the whole window: goes alone
    assert [topic for topic in desk.connection.topics() if "event" in topic] == ["live/event"]
    assert sum(not isinstance(what, str) for _mid, what in desk.session._flight.items()) == 1


def test_a_part_of_the_window_is_kept_for_what_is_urgent() -> None:
    desk = Desk(granted=Granted(window=6))
    for value in range(30):
        desk.spool.put(wave())
        desk.spool.put(numeric(str(value)))
    desk.session._schedule.rewind("numeric")  # all of it is history now
    for epoch in range(20):
        desk.spool.epoch = epoch + 2
        desk.spool._next["numeric"] = 1
        desk.spool.put(numeric("1"))
    desk.session._schedule.rewind("numeric")
    desk.turn()
    assert len(desk.session._flight) == 5
    desk.spool.put(alert("now"), alert("then"))
    desk.turn()
    assert desk.connection.topics()[-1] == "live/event"
    assert len(desk.session._flight) == 6


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
    assert desk.connection.topics()[before:] == ["hist/numeric"]
    assert msgspec.json.decode(desk.connection.out[before].payload)["count"] == 2
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


def test_a_frame_too_large_for_the_broker_goes_in_parts_and_a_single_record_is_held() -> None:
    desk = Desk(granted=Granted(packet_bytes=4096))
    observations = [numeric(str(value)) for value in range(200)]
    desk.spool.put(*observations)
    desk.spool.put(wave(3000), wave(10))
    for _ in range(20):
        desk.turn()
        desk.confirm_all()
    frames = [decode_frame(one.payload) for one in desk.connection.out if one.content_type == FRAME_TYPE]
    seqs = [one.seq for frame, seen in frames if frame.lane == "numeric" for one in seen]
    assert sorted(seqs) == list(range(1, 202))
    assert [one.seq for frame, seen in frames if frame.lane == "wave" for one in seen] == [2]
    assert max(len(one.payload) for one in desk.connection.out) + HEADROOM_BYTES <= 4096
    assert desk.counters.held == 1
    assert desk.journal.kinds() == {"FrameTooLarge"}


def test_what_the_budget_holds_back_stays_on_disk_and_is_said() -> None:
    desk = Desk(budget=1 << 20)
    desk.turn()
    desk.spool.put(alert("now"))
    for _ in range(3):
        desk.turn()
        desk.confirm_all()
    assert desk.connection.topics() == ["birth", "state", "health", "live/event"]
    assert desk.journal.kinds() == {"BudgetSpent"}
    assert "1 MiB" in desk.journal.said[0].text()
    desk.now += 3600
    desk.turn()
    assert desk.connection.topics()[4:] == ["health", "hist/event", "hist/numeric"]
    health = msgspec.json.decode(desk.connection.out[4].payload)
    assert health["link"]["budget"]["bytes_per_hour"] == 1 << 20
    assert health["link"]["budget"]["left_bytes"] > 100_000
    desk.now += 700
    desk.turn()
    assert "budget" in desk.journal.settled


def test_health_tells_how_the_link_fares() -> None:
    desk = Desk()
    desk.turn()
    link = msgspec.json.decode(desk.connection.out[2].payload)["link"]
    assert link["frame_s"] == 1.0
    assert link["rate_bytes_s"] is None
    assert link["window_bytes"] == START_BYTES
    assert link["dictionary"] == ""
    assert "budget" not in link


def test_compact_frames_use_a_dictionary_once_the_platform_has_shown_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = next(iter(shipped().values()))
    monkeypatch.setattr("gateway.uplink.wire.newest", lambda: ours)
    desk = Desk(encoding="compact")
    topic = f"jisr/v1/meta/dict/{ours.name}"
    assert desk.connection.subscriptions == [f"jisr/v1/{SITE}/{GATEWAY}/ack/#", topic]
    desk.turn()
    desk.confirm_all()
    assert msgspec.json.decode(desk.connection.out[0].payload)["encoding"] == "compact"
    desk.session.received(topic, ours.content[:-1] + b"x")
    desk.session.received("jisr/v1/meta/dict/00000001", ours.content)
    desk.spool.put(numeric("2"))
    desk.turn()
    desk.session.received(topic, ours.content)
    desk.spool.put(numeric("3"))
    desk.turn()
    frames = [one for one in desk.connection.out if one.topic.endswith("numeric")]
    assert [int.from_bytes(one.payload[3:7], "big") for one in frames] == [0, 0, ours.id]
    assert {one.content_type for one in frames} == {COMPACT_TYPE}
    assert [decode_frame(one.payload)[1][0].seq for one in frames] == [1, 2, 3]
    assert desk.connection.subscriptions == [f"jisr/v1/{SITE}/{GATEWAY}/ack/#"]
    assert desk.session._t.wire.topic == ""  # the next connection does not ask again


def test_without_the_right_to_read_dictionaries_frames_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = next(iter(shipped().values()))
    monkeypatch.setattr("gateway.uplink.wire.newest", lambda: ours)
    desk = Desk("broker", encoding="compact")
    desk.session.subscribed((0x87,))
    assert desk.journal.said == []
    desk.turn()
    assert decode_frame(desk.connection.out[-1].payload)[1][0].seq == 1


def test_a_long_record_on_a_slow_line_is_not_a_broker_that_is_stuck() -> None:
    desk = Desk()
    desk.turn()
    desk.connection.is_writing = True
    for _ in range(10):
        desk.now += 60.0
        desk.connection.traffic = (desk.connection.traffic[0] + 20_000, 0)
        desk.turn()
        assert desk.session._error is None
    desk.connection.is_writing = False  # all is written, and still nobody confirms
    for _ in range(3):
        desk.now += 60.0
        desk.connection.traffic = (desk.connection.traffic[0] + 2_000, 0)
        desk.turn()
    assert isinstance(desk.session._error, errors.BrokerStuck)


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
