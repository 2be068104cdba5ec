"""Dialogues with the clock turned by hand: first word, ACK and NAK, pauses, time-outs, storms, what may be sent."""

import re
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.bbraun_bcc import link as bcc
from drivers.observation import Device
from tests.drivers.bbraun_bcc.dialogue import (
    ACK,
    ALIVE,
    ALIVE_ANSWER,
    BED,
    GET,
    NAK,
    PROFILE,
    RUNNING,
    VERSION,
    VERSION_ANSWER,
    Bench,
    bench,
    frame,
    pump,
)

RULE = re.compile(b"|".join(rule.regex() for rule in PROFILE.allowed), re.DOTALL)
ONE_PUMP = pump("11", 300, RUNNING)
HOUR = 3600.0


def is_allowed(wire: bytes) -> bool:
    return RULE.fullmatch(wire) is not None


def times(it: Bench, wire: bytes) -> list[float]:
    return [round(t - 100.0, 3) for t, sent in it.sent if sent == wire]


def busiest_minute(it: Bench) -> int:
    at = [t for t, sent in it.sent for _one in RULE.finditer(sent)]
    return max((sum(t <= other < t + 60.0 for other in at) for t in at), default=0)


def test_a_moment_of_quiet_then_alive_version_and_the_pumps() -> None:
    it = bench()
    assert it.start() == b""
    assert it.wait(2.99) == []
    assert it.wait(0.01) == [ALIVE]
    assert it.rx(ALIVE_ANSWER, 0.2) == []
    assert it.wait(0.09) == []
    assert it.wait(0.01) == [ACK]
    assert it.wait(0.49) == []
    assert it.wait(0.02) == [VERSION]
    it.rx(VERSION_ANSWER)
    assert it.wait(0.1) == [ACK]
    assert it.wait(0.49) == []
    assert it.wait(0.02) == [GET]


def test_an_answer_that_comes_many_times_asks_for_no_more() -> None:
    it = bench()
    it.start()
    it.wait(3.0)
    it.rx(ALIVE_ANSWER * 50)
    assert it.wait(0.7) == [ACK, VERSION]
    it.rx(VERSION_ANSWER)
    assert it.wait(0.7) == [ACK, GET]


def test_the_last_block_twice_ends_the_request_once() -> None:
    it = bench().up()
    it.rx(pump("11", 300, RUNNING, more=True))
    it.wait(0.1)
    it.rx(ONE_PUMP + ONE_PUMP + pump("11", 300, RUNNING, more=True))
    assert it.wait(0.2) == [ACK]
    assert it.wait(6.0) == [GET]


def test_each_block_of_a_rack_is_acknowledged_and_only_the_last_ends_the_request() -> None:
    it = bench().up()
    for slot in ("11", "12", "2A"):
        assert it.rx(pump(slot, 300, RUNNING, more=True)) == []
        assert it.wait(0.1) == [ACK]
    it.rx(pump("2B", 300, RUNNING))
    assert it.wait(0.1) == [ACK]
    assert it.wait(3.0) == []
    it.until(120.0)
    assert GET in [sent for _t, sent in it.sent]
    assert it.refusals == [NAK] * 4


def test_the_acknowledgement_is_never_in_the_output_that_is_not_committed_yet() -> None:
    """Commit, then speak: what is read comes with `refusal`; a driver thrown away for it never says ACK."""
    it = bench().up()
    output = it.driver.receive(ONE_PUMP, it.now)
    assert output.observations
    assert (output.send, output.refusal) == (b"", NAK)
    assert output.wake_at == pytest.approx(it.now + 0.1)
    assert it.driver.wake(it.now + 0.05).send == b""
    assert it.driver.wake(it.now + 0.1).send == ACK


def test_after_a_refused_block_the_device_sends_it_again_and_nothing_is_said_to_it() -> None:
    it = bench()
    it.start()
    assert it.rx(ONE_PUMP, 0.1) == []
    assert it.wait(2.8) == []
    assert it.refusals == []
    assert it.wait(0.2) == [ALIVE]


def test_polls_come_at_the_period_and_never_within_half_a_second_of_an_acknowledgement() -> None:
    it = bench(poll_s=2).up()
    for _poll in range(10):
        it.rx(ONE_PUMP, 1.9)  # a slow line: the poll is due before the ACK
        it.wait(0.1)
        assert it.sent[-1][1] == ACK
        said = it.now
        it.wait(0.45)
        assert it.sent[-1][1] == ACK
        it.wait(0.06)
        at, wire = it.sent[-1]
        assert wire == GET
        assert at == pytest.approx(said + 0.5)


def test_a_late_wake_up_does_not_run_two_things_together() -> None:
    it = bench().up()
    it.until(104.9)
    it.take(it.driver.receive(ONE_PUMP, it.now))
    it.now = 111.0
    assert it.take(it.driver.wake(it.now)) == ACK
    assert it.wait(0.49) == []
    assert it.wait(0.02) == [GET]


def test_silence_is_asked_into_ever_less_often() -> None:
    it = bench()
    it.start()
    it.until(100.0 + 300.0)
    assert times(it, ALIVE) == [3.0, 13.0, 26.0, 36.0, 56.0, 66.0, 106.0, 116.0, 186.0, 196.0, 266.0, 276.0]
    assert {wire for _t, wire in it.sent} == {ALIVE}


def test_a_time_out_begins_again_with_alive() -> None:
    it = bench().up()
    got = it.now
    it.until(got + 30.0)
    assert [wire for _t, wire in it.sent] == [GET, ALIVE]
    assert it.faults == ["timeout MEM:GET", "timeout MEM:GET"]
    assert times(it, ALIVE)[0] == pytest.approx(got - 100.0 + 23.0, abs=0.2)


def test_a_device_that_does_not_tell_its_version_is_not_asked_again() -> None:
    it = bench()
    it.start()
    it.wait(3.0)
    it.rx(ALIVE_ANSWER)
    it.wait(24.5)
    assert [wire for _t, wire in it.sent] == [ALIVE, ACK, VERSION, VERSION, ALIVE]
    it.rx(ALIVE_ANSWER)
    it.wait(2.0)
    assert [wire for _t, wire in it.sent][-2:] == [ACK, GET]


def test_version_refused_is_not_the_end() -> None:
    it = bench()
    it.start()
    it.wait(3.0)
    it.rx(ALIVE_ANSWER)
    it.wait(0.7)
    it.rx(frame(BED + "207,50100,GNERR,3"))
    assert it.wait(0.7) == [ACK, GET]
    assert it.faults == ["device_error 3"]


def test_a_damaged_block_is_asked_for_again_after_a_rest_twice_at_most() -> None:
    it = bench().up()
    bad = ONE_PUMP.replace(b"5.00", b"6.00")
    it.rx(bad)
    assert it.wait(3.49) == []
    assert it.wait(0.02) == [NAK]
    it.rx(bad)
    assert it.wait(3.51) == [NAK]
    it.rx(bad)
    assert it.wait(5.0) == []
    assert it.faults == ["checksum"] * 3
    it.rx(ONE_PUMP)
    assert it.wait(0.1) == [ACK]


def test_a_good_block_takes_the_place_of_a_nak() -> None:
    it = bench().up()
    it.rx(ONE_PUMP.replace(b"5.00", b"6.00"))
    it.rx(ONE_PUMP, 1.0)
    assert it.wait(3.0) == [ACK]


def test_a_layout_that_is_not_kept_is_refused_whole() -> None:
    it = bench().up()
    it.rx(frame(BED + "300,50111,INRT,5.00\x1e300,50111"))
    assert it.faults == ["layout"]
    assert it.seen == []
    assert it.wait(3.6) == [NAK]


def test_a_block_nobody_asked_for_is_read_and_not_acknowledged() -> None:
    it = bench().up()
    it.rx(ONE_PUMP)
    it.wait(0.2)
    it.sent.clear()
    it.seen.clear()
    it.rx(ONE_PUMP)
    assert len(it.seen) == 4
    assert it.wait(1.0) == []
    assert it.refusals == [NAK]


def test_answers_nobody_asked_for_are_not_acknowledged() -> None:
    it = bench().up()
    it.rx(ONE_PUMP)
    it.wait(0.2)
    it.sent.clear()
    it.rx(ALIVE_ANSWER)
    it.rx(VERSION_ANSWER)
    it.rx(frame(BED + "300,50100,GNERR,3"))
    assert it.wait(1.0) == []


def test_an_error_is_acknowledged_and_asked_again_after_the_patience() -> None:
    it = bench().up()
    got = it.now
    it.rx(frame(BED + "300,50100,GNERR,12"))
    assert it.faults == ["device_error 12"]
    assert it.until(got + 9.5) == [ACK]
    assert it.until(got + 10.5) == [GET]


@pytest.mark.parametrize("value", ["MARTIN", "123456789", "", "é"])
def test_the_code_of_an_error_is_a_number_or_nothing(value: str) -> None:
    it = bench().up()
    it.rx(frame(f"{BED}300,50100,GNERR,{value}"))
    assert it.faults == ["device_error"]


def test_the_error_of_one_pump_leaves_the_others() -> None:
    it = bench().up()
    it.rx(frame(BED + "300,50112,GNERR,5\x1e300,50111,INRT,5.00"))
    assert it.faults == ["device_error 5"]
    assert len(it.seen) == 2
    assert it.wait(0.2) == [ACK]


def test_alive_that_is_answered_with_no_is_asked_again_later() -> None:
    it = bench()
    it.start()
    it.wait(3.0)
    it.rx(frame("SpaceCOM/1/1>206,50100,GNACK,1"))
    it.wait(9.0)
    assert [wire for _t, wire in it.sent] == [ALIVE, ACK]
    it.wait(2.0)
    assert [wire for _t, wire in it.sent] == [ALIVE, ACK, ALIVE]
    assert it.faults == ["device_error 1", "timeout ADMIN:ALIVE"]


@pytest.mark.parametrize("bed", ["x" * 17, "a,b", "a%b", "A:MEM", "S(1)", "'1'", "a\\b"])
def test_a_name_that_could_change_a_request_is_never_in_one(bed: str) -> None:
    it = bench()
    it.start()
    it.wait(3.0)
    it.rx(frame(bed + "/1/1>206,50100,GNACK,0"))
    it.wait(200.0)
    assert {wire for _t, wire in it.sent} == {ALIVE, ACK}
    assert f"bed_id {len(bed)}" in it.faults


def test_another_name_is_not_read_until_alive_tells_it() -> None:
    it = bench().up()
    it.rx(pump("11", 300, RUNNING, bed="Other/1/1>"))
    assert it.faults == ["wrong_device"]
    assert it.seen == []
    assert it.frames == 2
    it.wait(24.0)
    assert it.sent[-1][1] == ALIVE
    it.rx(frame("Other/1/1>9,50100,GNACK,0"))
    told = [seen for seen in it.seen if isinstance(seen, Device)]
    assert told[-1].identity == {"bed_id": "Other"}
    it.wait(2.0)
    it.rx(frame("Other/1/1>10,50100,V3.30"))
    it.wait(0.7)
    assert it.sent[-1][1] == frame("Other/1/1>MEM:GET")
    it.seen.clear()
    it.rx(pump("11", 300, RUNNING, bed="Other/1/1>"))
    assert it.seen


def test_a_rack_without_end_is_not_acknowledged_without_end() -> None:
    it = bench().up()
    for turn in range(200):
        it.rx(pump("11", turn, RUNNING, more=True), 0.15)
    assert len(times(it, ACK)) == bcc.MAX_BLOCKS
    assert it.faults.count("too_many_blocks") == 200 - bcc.MAX_BLOCKS


def test_acknowledgements_keep_to_the_budget_of_a_minute() -> None:
    """The largest rack, answered at once, again and again."""
    it = bench(poll_s=2).up()
    for turn in range(3000):
        it.rx(pump("11", turn, RUNNING, more=turn % 70 != 69), 0.001)
        it.wait(0.11)
        if it.now > 100.0 + 400.0:
            break
    assert 200 < busiest_minute(it) <= PROFILE.protocol.max_send_per_minute


def _garbage(it: Bench) -> None:
    it.rx(ONE_PUMP.replace(b"5.00", b"6.00"), 0.5)


def _noise(it: Bench) -> None:
    it.rx(b"\x00\xff\x55" * 20, 0.5)


def _naks(it: Bench) -> None:
    it.rx(NAK * 5, 0.5)


def _errors(it: Bench) -> None:
    it.rx(frame(BED + "300,50100,GNERR,1"), 0.5)


def _others(it: Bench) -> None:
    it.rx(pump("11", 1, RUNNING, bed="Other/1/1>"), 0.5)


def _torn(it: Bench) -> None:
    it.rx(ONE_PUMP[:40], 0.5)


@cache
def calm_rate() -> int:
    """One pump, answered at once: a request and an ACK each five seconds."""
    it = bench().up()
    it.rx(ONE_PUMP)
    while it.now < 100.0 + 600.0:
        it.wait(0.5)
        if it.sent[-1][1] == GET:
            it.rx(ONE_PUMP)
    return busiest_minute(it)


@pytest.mark.parametrize("storm", [_garbage, _noise, _naks, _errors, _others, _torn])
@pytest.mark.parametrize("is_up", [True, False])
def test_an_hour_of_a_storm_is_no_reason_to_send_more(storm: Callable[[Bench], None], is_up: bool) -> None:
    it = bench()
    if is_up:
        it.up()
    else:
        it.start()
    while it.now < 100.0 + HOUR:
        storm(it)
    assert it.sent
    assert busiest_minute(it) <= calm_rate() <= 25
    assert all(is_allowed(wire) for _t, wire in it.sent)


def test_nothing_is_said_after_the_end() -> None:
    it = bench().up()
    it.rx(ONE_PUMP)
    it.seen.clear()
    it.take(it.driver.stop(it.now))
    told = [(one.mds, one.connection, one.operating) for one in it.seen if isinstance(one, Device)]
    assert told == [("11", "disconnected", "unknown"), ("", "disconnected", "unknown")]
    assert it.seen[1:] == [
        Device(
            validity="valid",
            reason="stopped",
            device_time="207",
            connection="disconnected",
            identity={"bed_id": "SpaceCOM", "bcc": "V3.30"},
        )
    ]
    assert it.wake_at is None
    sent = len(it.sent)
    it.rx(ONE_PUMP)
    it.wait(100.0)
    assert len(it.sent) == sent
    assert it.driver.start(it.now).wake_at == it.now + 3.0


def test_silence_is_told_once_and_pumps_are_told_again_after_it() -> None:
    it = bench().up()
    it.rx(ONE_PUMP)
    it.seen.clear()
    it.wait(100.0)
    assert [(s.connection, s.mds) for s in it.seen if isinstance(s, Device)] == [
        ("stale", ""),
        ("disconnected", "11"),
    ]
    it.seen.clear()
    it.rx(ONE_PUMP)
    told = [(s.connection, s.operating, s.mds) for s in it.seen if isinstance(s, Device)]
    assert told == [("connected", "unknown", ""), ("connected", "in_use", "11")]


SAFE = st.from_regex(r"[A-Za-z0-9_.-]{1,16}", fullmatch=True)


@given(bed=SAFE, stuffing=st.booleans())
def test_every_request_verifies_and_is_on_the_list(bed: str, stuffing: bool) -> None:
    """The pattern cannot sum; the driver does. All it can emit: these four, ACK and NAK."""
    for name, command in (("1", bcc.ALIVE), (bed, bcc.VERSION), (bed, bcc.GET)):
        wire = bcc.request(name, command, stuffing=stuffing)
        assert wire == frame(f"{name}/1/1>{command}", stuffing=stuffing)
        assert is_allowed(wire)
    assert is_allowed(ACK)
    assert is_allowed(NAK)


@given(bed=SAFE, stuffing=st.booleans())
def test_a_whole_dialogue_sends_what_is_on_the_list(bed: str, stuffing: bool) -> None:
    it = bench(stuffing=stuffing)
    it.start()
    it.wait(3.0)
    for answer in ("206,50100,GNACK,0", "207,50100,V3.30", "300,50111,INRT,5.00"):
        it.rx(frame(f"{bed}/1/1>{answer}", stuffing=stuffing))
        it.wait(0.7)
    wanted = [(bed, "ADMIN:VERSION"), (bed, "MEM:GET")]
    asked = [frame("1/1/1>ADMIN:ALIVE", stuffing=stuffing)]
    asked += [frame(f"{name}/1/1>{command}", stuffing=stuffing) for name, command in wanted]
    assert [wire for _t, wire in it.sent if wire != ACK] == asked
    assert all(is_allowed(wire) for _t, wire in it.sent)


NEVER = [
    "MEM:GETSLOT#13",
    "MEM:SET",
    "MEM:PUT#11,INRT,5.00",
    "MEM:GET#11",
    "MEM:GETX",
    "ADMIN:ALIVE",
    "ADMIN:RESET",
    "ADMIN:AUTOPROG",
    "AUTOPROG:START",
    "AUTOPROGRAMMING:11,INRT,5.00",
    "300,50111,INRT,5.00",
    "INFUSION:STOP",
    "",
]


@pytest.mark.parametrize("command", NEVER)
@pytest.mark.parametrize("stuffing", [True, False])
def test_never_sent(command: str, stuffing: bool) -> None:
    assert not is_allowed(frame(BED + command, stuffing=stuffing))
    assert not is_allowed(frame("1/1/1>" + command + " ", stuffing=stuffing))


@pytest.mark.parametrize(
    "info",
    [
        "1/1/1>ADMIN:ALIVE",
        "a/1/2>MEM:GET",
        "/1/1>MEM:GET",
        "a/1/1>MEM:SET/1/1>MEM:GET",
        "a>b/1/1>MEM:GET",
        "a b/1/1>MEM:GET",
        "x" * 17 + "/1/1>MEM:GET",
        "a/1/1>MEM:GET\x1eMEM:SET",
        "SpaceCOM/1/1>ADMIN:VERSION,1",
    ],
)
def test_nothing_can_hide_in_a_name(info: str) -> None:
    assert is_allowed(frame(info)) == (info == "1/1/1>ADMIN:ALIVE")


@given(st.integers(0, 99999), st.integers(0, 99999), SAFE)
def test_a_wrong_length_is_not_on_the_list(length: int, checksum: int, bed: str) -> None:
    wire = f"\x01{length:05d}\x02{bed}/1/1>MEM:GET\x03{checksum:05d}\x04".encode()
    if length != len(bed) + 26 or checksum > 255:
        assert not is_allowed(wire)


def test_half_a_frame_and_more_than_a_frame_are_not_on_the_list() -> None:
    for wire in (ALIVE, VERSION, GET):
        assert is_allowed(wire)
        for at in range(1, len(wire)):
            assert not is_allowed(wire[:at])
            assert not is_allowed(wire[at:])


def test_both_families_have_the_same_list() -> None:
    assert catalog.profile("bbraun_bcc", "compact_plus").allowed == PROFILE.allowed
    assert {row.code for row in catalog.profile("bbraun_bcc", "compact_plus").metric} == set(PROFILE.by_code)
