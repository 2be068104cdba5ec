"""The device task: commit before speaking, isolation, silence, goodbye; with a scripted driver and port."""

import asyncio
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from msgspec import Struct

from drivers import catalog
from drivers.contract import Block, Fault, Output, Read
from drivers.observation import Alert, AnyObservation, Device, Numeric
from drivers.profile import Allowed, Profile, Protocol
from gateway.clock import Clock
from gateway.device import RegisterDevice, Setup, StreamDevice
from gateway.journal import Journal
from gateway.ports.gate import GatedPort, SendGate
from gateway.ports.port import PortAbsent, PortLost
from gateway.spool.spool import CommitRefused

ACK, NAK, BYE = b"\x06", b"\x15", b"bye"
REAL_SLEEP = asyncio.sleep
SEEN = Device(connection="connected", validity="valid")


class Script(Struct):
    """A driver that answers from a table: bytes to output."""

    answers: dict[bytes, Output]
    farewell: Output = Output()
    hello: Output = Output()

    def start(self, now: float) -> Output:
        return self.hello

    def receive(self, data: bytes, now: float) -> Output:
        return self.answers.get(data, Output())

    def wake(self, now: float) -> Output:
        return self.answers.get(b"wake", Output())

    def stop(self, now: float) -> Output:
        return self.farewell


class Port:
    """A stream port whose other side is a list of bytes or errors."""

    name = "memory"
    source_auth = "point_to_point"

    def __init__(self, arriving: Sequence[bytes | Exception], log: list[Any]) -> None:
        self._arriving, self._log = list(arriving), log
        self.opened = 0

    async def open(self) -> None:
        self.opened += 1

    async def read(self) -> bytes:
        if not self._arriving:
            await asyncio.Event().wait()
        item = self._arriving.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    async def write(self, data: bytes) -> None:
        self._log.append(data)

    async def close(self) -> None: ...

    async def release(self) -> None:
        self._log.append("released")


class Sink:
    def __init__(self, log: list[Any], refuse: int = 0) -> None:
        self.log, self.refuse = log, refuse
        self.kept: list[AnyObservation] = []

    async def put(self, observations: Sequence[AnyObservation]) -> None:
        if self.refuse:
            self.refuse -= 1
            raise CommitRefused(reason="disk full")
        await REAL_SLEEP(0)  # a real flush lets others run before it returns
        self.log.append([type(seen).__name__ for seen in observations])
        self.kept.extend(observations)


def profile(*, asks: bool = False, answers_only: bool = False, reconnect_s: float = 0.0) -> Profile:
    protocol = Protocol(
        title="t",
        document="d",
        ports=("serial",),
        bedside=False,
        asks=asks,
        answers_only=answers_only,
        reconnect_s=reconnect_s,
        max_frame_bytes=10,
        allow=(Allowed("all", pattern="ask|bye|\\x06|\\x15"),),
        max_send_per_minute=100,
    )
    return Profile(vendor="v", models=("m",), tier="bench", driver="script", name="p", protocol=protocol)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.device.BACKOFF_S", (0.0,))
    monkeypatch.setattr("gateway.device.GOODBYE_S", 0.05)


def play(
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    arriving: Sequence[bytes | Exception],
    *,
    asks: bool = False,
    refuse: int = 0,
    turns: int = 60,
    reconnect_s: float = 0.0,
) -> tuple[list[Any], Sink, StreamDevice, str]:
    """Run the task for some turns of the loop, then stop it in order."""
    monkeypatch.setattr(catalog, "create", lambda *_: script)
    log: list[Any] = []
    sink, journal = Sink(log, refuse), StringIO()
    chosen = profile(asks=asks, reconnect_s=reconnect_s)

    async def go() -> StreamDevice:
        gate = SendGate(chosen.allowed, 100, may_send=True)
        port = GatedPort(Port(arriving, log), gate)  # type: ignore[arg-type]
        device = StreamDevice(Setup("dev", chosen, {}), port, sink, Clock(), Journal(journal))
        task = asyncio.create_task(device.run())
        for _turn in range(turns):
            await REAL_SLEEP(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return device

    device = asyncio.run(go())
    return log, sink, device, journal.getvalue()


def test_commit_then_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script({b"frame": Output(observations=(SEEN,), send=ACK, frames=1)})
    log, sink, device, _ = play(monkeypatch, script, [b"frame"])
    assert log == [["Device"], ACK, "released"]
    stamped = sink.kept[0]
    assert (stamped.device, stamped.driver, stamped.mode) == ("dev", "script/1", "real")
    assert stamped.at.endswith("Z")
    assert stamped.clock is not None
    assert stamped.clock.boot
    assert device.state.connection == "connected"


def test_a_pump_that_leaves_its_rack_is_not_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Device(connection="disconnected", validity="valid", mds="11")
    script = Script({b"frame": Output(observations=(SEEN, gone), frames=1)})
    _, sink, device, _ = play(monkeypatch, script, [b"frame"])
    assert sink.kept[1].mds == "11"
    assert device.state.connection == "connected"


def test_a_refused_commit_sends_the_refusal_and_never_the_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script({b"frame": Output(observations=(SEEN,), send=ACK, refusal=NAK)})
    log, _, _, journal = play(monkeypatch, script, [b"frame"], refuse=1)
    assert log == [NAK, "released"]
    assert "CommitRefused" in journal
    log, _, _, _ = play(monkeypatch, script, [b"frame", b"frame"], refuse=1)
    assert log == [NAK, ["Device"], ACK, "released"]


def test_an_acknowledgement_that_needs_a_pause_is_not_said_by_a_driver_whose_block_was_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The observations come with `refusal` and no `send`; the ACK comes with a later wake-up, or never."""
    script = Script({b"frame": Output(observations=(SEEN,), refusal=NAK), b"later": Output(send=ACK)})
    log, _, _, _ = play(monkeypatch, script, [b"frame", b"later"])
    assert log == [["Device"], ACK, "released"]
    log, _, _, _ = play(monkeypatch, script, [b"frame"], refuse=1)
    assert log == [NAK, "released"]


def test_a_disk_that_refuses_neither_starts_a_polling_driver_again_nor_loses_its_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fresh driver would call the ventilator at each refusal, and an alarm's end would never be told."""
    off = Alert(presence="off", alert="technical", priority="low", validity="valid")
    on = Alert(presence="on", alert="technical", priority="low", validity="valid")
    number = Numeric(value=None, unit="", validity="not_available", category="measurement")
    script = Script(
        {b"a": Output(observations=(off, number), send=b"ask", frames=1), b"b": Output(observations=(on,), frames=1)},
        hello=Output(send=b"bye"),
    )
    log, sink, device, journal = play(monkeypatch, script, [b"a", b"b"], refuse=1)
    assert log == [BYE, ["Numeric"], b"ask", ["Alert", "Alert"], "released"]
    assert [seen.presence for seen in sink.kept if isinstance(seen, Alert)] == ["off", "on"]
    assert device.state.observations == 2
    assert journal.count("CommitRefused") == journal.count("settled") == 1


def test_events_that_wait_for_the_disk_are_stored_when_the_box_stops_or_the_device_stays_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script({b"a": Output(observations=(SEEN,))})
    _log, sink, device, _ = play(monkeypatch, script, [b"a"], refuse=1)
    assert [type(seen) for seen in sink.kept] == [type(SEEN)]
    assert device.state.observations == 1
    monkeypatch.setattr("gateway.device.OWED_S", 0.0)
    monkeypatch.setattr(StreamDevice, "_release", lambda _self: asyncio.sleep(0))
    _log, sink, _device, _ = play(monkeypatch, script, [b"a"], refuse=2, turns=400)
    assert [type(seen) for seen in sink.kept] == [type(SEEN)]


def test_events_that_wait_for_the_disk_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.device.OWED_EVENTS", 2)
    script = Script({b"a": Output(observations=(SEEN,))})
    _log, sink, device, journal = play(monkeypatch, script, [b"a"] * 5, refuse=4)
    assert device.state.faults["event_dropped"] == 2
    assert len(sink.kept) == 3
    assert journal.count("CommitRefused") == 1


def test_the_goodbye_is_said_with_a_full_disk_too(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script({}, farewell=Output(send=BYE, observations=(SEEN,)))
    log, _, _, _ = play(monkeypatch, script, [], turns=3, refuse=9)
    assert log == [BYE, "released"]


def test_a_task_that_failed_begins_with_a_driver_that_believes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one took the result for stored, and would drop the analyzer's repeat of it, acknowledged."""
    born: list[Script] = []

    def create(*_: object) -> Script:
        born.append(Script({b"x": Output(observations=(SEEN,))}))
        return born[-1]

    class Broken(Sink):
        async def put(self, observations: Sequence[AnyObservation]) -> None:
            raise RuntimeError("a defect")

    async def go() -> None:
        monkeypatch.setattr(catalog, "create", create)
        log: list[Any] = []
        port = GatedPort(Port([b"x"], log), SendGate((), 1, may_send=True))  # type: ignore[arg-type]
        device = StreamDevice(Setup("dev", profile(), {}), port, Broken(log), Clock(), Journal(StringIO()))
        with pytest.raises(RuntimeError):
            await device.run()
        used = device._driver
        again = asyncio.create_task(device.run())
        await REAL_SLEEP(0)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
        assert device._driver is not used

    asyncio.run(go())


def test_a_lost_port_is_said_once_published_once_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script({b"x": Output(observations=(SEEN,))})
    gone = PortLost(port="memory", detail="hang-up")
    absent = PortAbsent(port="memory")
    log, sink, _, journal = play(monkeypatch, script, [b"x", gone, absent, absent, b"x"])
    states = [seen.connection for seen in sink.kept if isinstance(seen, Device)]
    assert states == ["connected", "disconnected", "connected"]
    assert log[-1] == "released"
    assert journal.count('"PortLost"') == 1


def test_a_port_that_falls_away_without_a_good_frame_is_called_ever_later(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await REAL_SLEEP(0)

    monkeypatch.setattr("gateway.device.BACKOFF_S", (1.0, 2.0, 4.0))
    monkeypatch.setattr("gateway.device.asyncio.sleep", sleep)
    gone = PortLost(port="memory", detail="reset")
    play(monkeypatch, Script({b"good": Output(frames=1)}), [gone, gone, gone, gone, b"good", gone, gone])
    assert pauses == [1.0, 2.0, 4.0, 4.0, 1.0, 2.0]


def test_a_device_that_wants_a_pause_between_connections_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await REAL_SLEEP(0)

    monkeypatch.setattr("gateway.device.BACKOFF_S", (1.0, 20.0))
    monkeypatch.setattr("gateway.device.asyncio.sleep", sleep)
    gone = PortLost(port="memory", detail="reset")
    play(monkeypatch, Script({}), [gone, gone], reconnect_s=10.0)
    assert pauses == [10.0, 20.0]


def test_unverified_bytes_end_the_sending_until_a_good_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        b"bad": Output(faults=(Fault("checksum", rejected=True),), send=b"ask"),
        b"quiet": Output(send=b"ask"),
        b"good": Output(frames=1, send=b"ask"),
    }
    log, _, device, journal = play(monkeypatch, Script(answers), [b"bad", b"quiet", b"good"], asks=True)
    assert log == [b"ask", "released"]
    assert device.state.unsent["silenced"] == 2
    assert "Silenced" in journal
    assert device.state.faults == {"checksum": 1}


def test_bytes_that_are_no_frame_end_the_sending_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a wrong baud rate makes of an answer holds no frame that could be rejected."""
    answers = {b"\xff": Output(faults=(Fault("noise"),), send=b"ask"), b"good": Output(frames=1, send=b"ask")}
    log, _, device, journal = play(monkeypatch, Script(answers), [b"\xff", b"good"], asks=True)
    assert log == [b"ask", "released"]
    assert device.state.unsent["silenced"] == 1
    assert "Silenced" in journal


class HandClock(Clock):
    """A clock whose monotonic seconds are turned by hand."""

    t = 1000.0

    def mono(self) -> float:
        return self.t


def test_a_device_that_only_answers_is_asked_again_ever_later_after_unverified_bytes() -> None:
    """It will never speak first: without this, one disturbed answer would end the reading until somebody comes."""
    log: list[Any] = []
    asked = profile(asks=True, answers_only=True)
    gated = GatedPort(Port([], log), SendGate(asked.allowed, 100, may_send=True))  # type: ignore[arg-type]
    clock = HandClock()
    bad = Output(faults=(Fault("checksum", rejected=True),), send=b"ask")
    good = Output(frames=1, send=b"ask")

    async def go() -> list[float]:
        device = StreamDevice(Setup("dev", asked, {"x": 1}), gated, Sink(log), clock, Journal(StringIO()))
        pauses = []
        for what in (bad, bad, bad, good, bad, bad):
            await device._step(what)
            if what is bad:
                pauses.append(device._trust.ask_again_at - clock.t)
                log.clear()
                clock.t = device._trust.ask_again_at - 0.01
                await device._write(b"ask")
                assert log == []
                clock.t += 0.02
                await device._write(b"ask")
                assert log == [b"ask"]
        return pauses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "create", lambda *_: Script({}))
        pauses = asyncio.run(go())
    assert [round(pause) for pause in pauses] == [60, 300, 1800, 3, 10]


def test_a_flood_that_is_already_here_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [0]

    async def go() -> None:
        monkeypatch.setattr(catalog, "create", lambda *_: Script({}))
        port = Port([b"x"] * 1000, [])
        gated = GatedPort(port, SendGate((), 1, may_send=True))  # type: ignore[arg-type]
        device = StreamDevice(Setup("dev", profile(), {}), gated, Sink([]), Clock(), Journal(StringIO()))
        task = asyncio.create_task(device.run())
        for _turn in range(10):
            await REAL_SLEEP(0)
            taken.append(1000 - len(port._arriving))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
    assert max(later - earlier for earlier, later in zip(taken, taken[1:], strict=False)) <= 1


def test_what_the_profile_does_not_allow_is_held_back_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    log, _, device, journal = play(monkeypatch, Script({b"x": Output(send=b"toolong")}), [b"x"])
    assert log == ["released"]
    assert device.state.unsent["not_allowed"] == 1
    assert "NotAllowed" in journal


def test_stopping_says_goodbye_after_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script({}, farewell=Output(send=BYE, observations=(SEEN,)))
    log, _, _, _ = play(monkeypatch, script, [], turns=3)
    assert log == [["Device"], BYE, "released"]


def test_waking(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script({b"x": Output(wake_at=0.0), b"wake": Output(send=b"ask")})
    log, _, _, _ = play(monkeypatch, script, [b"x"])
    assert log == [b"ask", "released"]


class Registers(Script):
    def start(self, now: float) -> Output:
        return Output(reads=(Read("holding", 1, 1), Read("holding", 9, 1)))

    def receive(self, block: Block, now: float) -> Output:  # type: ignore[override]
        if block.error:
            return Output(faults=(Fault(block.error, rejected=True),))
        number = Numeric(value=None, unit="", validity="not_available", category="measurement")
        return Output(observations=(number,), frames=1)


def test_register_device_reads_in_order_and_rests_after_unverified_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(catalog, "create", lambda *_: Registers({}))
    log: list[Any] = []
    sink = Sink(log, refuse=1)
    shown: list[Block] = []

    class Blocks:
        name, source_auth = "modbus", "network_unauthenticated"

        async def open(self) -> None: ...
        async def close(self) -> None: ...

        async def read(self, request: Read) -> Block:
            return Block(request, error="unverified" if request.address == 9 else "", words=(1,))

    async def go() -> RegisterDevice:
        device = RegisterDevice(
            Setup("gen", profile(), {}),
            Blocks(),  # type: ignore[arg-type]
            sink,
            Clock(),
            Journal(StringIO()),
            shown.append,
        )

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            await (REAL_SLEEP(0) if len(pauses) < 4 else asyncio.Event().wait())

        monkeypatch.setattr("gateway.device.asyncio.sleep", sleep)
        task = asyncio.create_task(device.run())
        for _turn in range(20):
            await REAL_SLEEP(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return device

    device = asyncio.run(go())
    assert [block.read.address for block in shown][:2] == [1, 9]
    assert pauses[0] == 60.0
    assert device.state.faults["unverified"] >= 1


def test_a_verified_device_is_told_goodbye_also_while_nothing_else_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {b"good": Output(frames=1), b"bad": Output(faults=(Fault("checksum", rejected=True),))}
    script = Script(answers, farewell=Output(send=BYE))
    assert play(monkeypatch, script, [b"good", b"bad"], asks=True)[0] == [BYE, "released"]
    assert play(monkeypatch, script, [b"bad"], asks=True)[0] == ["released"]  # never verified: perhaps another device
