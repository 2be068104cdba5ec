"""Dialogues with the clock turned by hand: handshake, timers, repeats, flow control, goodbye."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.observation import Device, Numeric
from tests.drivers.draeger_medibus.dialogue import (
    ASK_ID,
    EVITA_4,
    ICC,
    ICC_ECHO,
    NOP,
    NOP_ECHO,
    OUR_ID,
    PROFILE,
    STOP,
    STOP_ECHO,
    Bench,
    bench,
    command,
    response,
)

POLL = command(0x24)


def test_calls_at_once_and_every_three_seconds_into_silence() -> None:
    it = bench()
    assert it.start() == ICC
    it.until(112.5)
    assert [t for t, _data in it.sent] == [100.0, 103.0, 106.0, 109.0, 112.0]
    assert {data for _t, data in it.sent} == {ICC}


def test_calls_every_ten_seconds_while_characters_come() -> None:
    it = bench()
    it.start()
    for _second in range(24):
        it.rx(b"\x01$7", 1.0)
    assert [t for t, _data in it.sent] == [100.0, 110.0, 120.0]


def test_a_device_that_never_answers_is_called_less_often() -> None:
    it = bench()
    it.start()
    it.until(100.0 + 57.5)
    assert len(it.sent) == 20
    it.until(100.0 + 57 + 300)
    assert len(it.sent) == 20 + 10


def test_answering_the_device_is_enough() -> None:
    """The device's ICC, our answer, its 52H, our identification, 200 ms, and only then the first question."""
    it = bench()
    it.start()
    assert it.rx(ICC, 0.5) == ICC_ECHO
    assert it.rx(ASK_ID, 0.1) == OUR_ID
    identified = it.now
    assert it.until(identified + 0.5) == [ASK_ID]
    assert it.sent[-1][0] == pytest.approx(identified + 0.2)
    assert it.rx(EVITA_4) == POLL


def test_identification_embedded_in_the_answer_to_icc() -> None:
    it = bench()
    it.start()
    assert it.rx(ICC_ECHO[:2] + ASK_ID + ICC_ECHO[2:]) == OUR_ID
    assert it.until(it.now + 0.19) == []
    assert it.until(it.now + 0.01) == [ASK_ID]


@pytest.mark.parametrize("code", [0x30, 0x49, 0x55, 0x56, 0x24, 0x4A, 0x54, 0x6C, 0x7E])
def test_every_command_is_answered_with_its_echo(code: int) -> None:
    it = bench().up()
    assert it.rx(command(code, b"X" if code > 0x56 else b"")).startswith(response(code))


def test_a_code_that_is_no_character_is_not_answered() -> None:
    it = bench().up()
    assert it.rx(command(0x03)) == b""
    assert it.faults == ["unknown_command"]


def test_a_damaged_command_is_refused() -> None:
    it = bench().up()
    assert it.rx(b"\x1b000\r") == b"\x01\x1516\r"
    assert it.faults == ["checksum"]


def test_a_flood_of_commands_is_answered_six_times_in_three_seconds() -> None:
    it = bench().up()
    answers = it.rx(NOP * 1000)
    assert answers == NOP_ECHO * 5, "our identification was the sixth"
    assert it.faults.count("too_many_commands") == 995
    it.rx(ASK_ID, 2.6)
    assert it.faults.count("too_many_commands") == 996
    assert it.rx(NOP, 0.2) == NOP_ECHO


def test_one_command_at_a_time_and_the_whole_plan_in_turn() -> None:
    it = bench().up()
    order: list[int] = []
    for _n in range(7):
        order.append(int.from_bytes(it.rx(response(0x24 if not order else order[-1]), 0.05)[1:2], "big"))
    assert order == [0x27, 0x2E, 0x2A, 0x29, 0x25, 0x26, 0]
    it.answer({}, it.now + 61)
    polls = [frame[1] for _t, frame in it.sent if frame[0] == 0x1B]
    assert 55 <= polls.count(0x24) <= 61
    assert 28 <= polls.count(0x27) <= 31
    assert 5 <= polls.count(0x29) <= 7
    assert it.faults == []


def test_nop_after_two_seconds_of_our_silence() -> None:
    it = bench(poll_s=60, plan=["24"]).up()
    it.rx(response(0x24))
    begun = it.now
    assert it.until(begun + 2.5) == [NOP]
    assert it.sent[-1][0] == pytest.approx(begun + 2.0, abs=0.01)
    it.rx(NOP_ECHO)
    it.answer({}, begun + 40)
    assert {frame for _t, frame in it.sent} == {NOP}
    assert "link_lost" not in it.faults


def test_three_seconds_without_a_character_and_the_link_is_lost() -> None:
    it = bench().up()
    heard = it.now
    assert it.until(heard + 3.2) == [ICC]
    assert it.sent[-1][0] == pytest.approx(heard + 3.0)
    assert it.faults == ["link_lost"]


def test_real_time_bytes_do_not_keep_the_link() -> None:
    it = bench().up()
    for _n in range(32):
        it.rx(b"\xd0", 0.1)
    assert it.faults[-1] == "link_lost"


def _alive(it: Bench, seconds: float) -> None:
    """The device keeps the link with NOPs and answers nothing."""
    end = it.now + seconds
    while it.now < end:
        it.rx(NOP, 1.0)


def test_no_answer_for_ten_seconds_three_repeats_then_all_anew() -> None:
    it = bench().up()
    begun = it.now
    _alive(it, 45)
    repeats = [t - begun for t, data in it.sent if POLL in data]
    assert repeats == pytest.approx([10, 20, 30], abs=1.01)
    assert it.faults.count("timeout") == 4
    assert "no_response" in it.faults
    assert [data for t, data in it.sent if t > begun + 40.5 and data != NOP_ECHO] == [ICC]


@pytest.mark.parametrize("bad", [b"\x01$EB 98 00\r", response(0x24, b"EB 9")])
def test_a_damaged_answer_is_asked_for_again_once_a_good_frame_came(bad: bytes) -> None:
    it = bench().up()
    assert it.rx(bad, 0.1) == b""
    assert it.until(it.now + 1.5) == []
    assert it.rx(NOP, 0.1) == NOP_ECHO + POLL
    for _n in range(2):
        it.rx(bad, 0.1)
        assert it.rx(NOP, 0.1) == NOP_ECHO + POLL
    it.rx(bad, 0.1)
    assert it.rx(NOP, 0.1) == NOP_ECHO
    assert it.faults[-2:] == ["shelved", "no_response"]


def test_damage_while_nothing_is_awaited_asks_nothing() -> None:
    it = bench(plan=["24"], poll_s=60).up()
    it.rx(response(0x24) + b"\x01$EB 98 00\r")
    assert it.rx(NOP, 0.1) == NOP_ECHO


def test_a_refused_command_is_repeated_after_a_second_and_then_left_out() -> None:
    it = bench(plan=["24", "2E"]).up()
    it.rx(response(0x24))
    for _n in range(60):
        last = it.sent[-1][1]
        if last == command(0x2E):
            it.rx(response(0x15), 0.05)
        elif last == ICC:
            it.rx(ICC_ECHO, 0.05)
        elif last == ASK_ID:
            it.rx(EVITA_4, 0.05)
        elif last == POLL:
            it.rx(response(0x24), 0.05)
        it.until(it.now + 0.5)
    times = [t for t, data in it.sent if data == command(0x2E)]
    assert len(times) == 4
    assert min(b - a for a, b in zip(times, times[1:], strict=False)) >= 1.0
    assert it.faults.count("shelved") == 1
    assert it.sent[-1][1] == POLL
    it.answer({}, it.now + 320)
    assert command(0x2E) in [data for _t, data in it.sent[-400:]], "asked again five minutes later"


def test_a_device_that_refuses_everything_is_asked_ever_less() -> None:
    it = bench().up()
    end = it.now + 1200
    while it.now < end:
        last = it.sent[-1][1] if it.sent else POLL
        it.rx(ICC_ECHO if last == ICC else response(0x15), 0.1)
        it.until(it.now + 0.9)
    sent = [t for t, _data in it.sent]
    assert len([t for t in sent if t > end - 300]) < 40
    assert "no_response" in it.faults


def test_nothing_is_sent_between_dc1_and_dc3() -> None:
    it = bench().up()
    assert it.rx(response(0x24) + b"\x11") == b""
    assert it.until(it.now + 2) == []
    assert it.rx(b"\x13", 0.5) == command(0x27)


def test_answers_wait_for_dc3_too() -> None:
    it = bench().up()
    assert it.rx(b"\x11\x11" + NOP) == b""
    assert it.rx(b"\x13", 1.0) == NOP_ECHO


def test_no_dc3_within_three_seconds_and_all_begins_anew() -> None:
    it = bench().up()
    it.rx(b"\x11" + NOP)
    suspended = it.now
    it.rx(b"x", 2.9)
    assert it.until(suspended + 3.1) == [ICC]
    assert "not_resumed" in it.faults


def test_cancel_ends_the_answer_and_the_question_comes_again() -> None:
    it = bench().up()
    assert it.rx(b"\x01$73 1\x18", 0.1) == b""
    assert it.faults == ["aborted"]
    assert it.until(it.now + 1.01) == [POLL]


def test_cancel_with_nothing_outstanding() -> None:
    it = bench(plan=["24"]).up()
    it.rx(response(0x24))
    assert it.rx(b"\x18") == b""


def test_an_icc_of_the_device_voids_everything() -> None:
    it = bench(plan=["24", "28"]).up()
    it.rx(response(0x24))
    it.rx(response(0x28, b"08:06:0504-MAI-26"))
    assert it.rx(ICC) == ICC_ECHO
    assert it.until(it.now + 0.3) == [ASK_ID]
    it.rx(response(0x52))
    it.rx(response(0x24, b"EB 98 "))
    (value,) = [o for o in it.seen if isinstance(o, Numeric)]
    assert value.device_time == ""


def test_time_changed_is_echoed_and_the_clock_read_anew() -> None:
    it = bench(plan=["24", "28"], clock_s=600).up()
    it.rx(response(0x24))
    it.rx(response(0x28, b"08:06:0504-MAI-26"))
    assert it.rx(command(0x49)) == bytes.fromhex("0149 34410d") + command(0x28)
    it.rx(response(0x28, b"09:06:0504-MAI-26"))
    it.until(it.now + 1.0)
    it.rx(response(0x24, b"EB 98 "))
    assert it.seen[-1].device_time == "09:06:0504-MAI-26"


def test_an_empty_answer_is_no_clock() -> None:
    it = bench(plan=["24", "28"]).up()
    it.rx(response(0x24))
    it.rx(response(0x28))
    it.rx(response(0x24, b"EB 98 "))
    assert it.seen[-1].device_time == ""


def test_stop_and_its_echo() -> None:
    it = bench().up()
    assert it.stop() == STOP
    assert it.wake_at is None
    assert it.rx(STOP_ECHO) == b""
    assert it.frames > 0
    assert [o.connection for o in it.seen if isinstance(o, Device)] == ["connected", "connected", "disconnected"]
    for after in (NOP, ICC, ASK_ID, b"\x1b000\r", ICC_ECHO):
        assert it.rx(after) == b""


def test_stop_is_said_to_whoever_was_spoken_to() -> None:
    called = bench()
    called.start()
    assert called.stop() == STOP  # an ICC has gone out: the device may believe in the link already
    lost = bench().up()
    lost.until(lost.now + 10.5)
    assert lost.stop() == STOP


def test_stop_is_not_said_twice_nor_to_a_device_that_holds_us() -> None:
    it = bench().up()
    assert it.stop() == STOP
    assert it.stop() == b""
    held = bench().up()
    held.rx(b"\x11")
    assert held.stop() == b""
    stopped = bench().up()
    stopped.rx(STOP)
    assert stopped.stop() == b""


def test_a_device_that_stops_is_left_for_ten_seconds() -> None:
    it = bench().up()
    assert it.rx(STOP) == STOP_ECHO
    left = it.now
    assert [o.reason for o in it.seen if isinstance(o, Device)][-1] == "device_stopped"
    assert it.until(left + 9.9) == []
    assert it.until(left + 10.1) == [ICC]


def test_the_port_opens_again() -> None:
    it = bench().up()
    it.stop()
    assert it.start() == ICC
    it.rx(ICC_ECHO)
    assert it.until(it.now + 0.3) == [ASK_ID]


def test_silence_becomes_stale_and_ends() -> None:
    it = bench().up()
    it.until(it.now + 10.5)
    assert [o.connection for o in it.seen if isinstance(o, Device)][-1] == "stale"
    it.rx(NOP)
    assert [o.connection for o in it.seen if isinstance(o, Device)][-1] == "connected"


def test_half_a_frame_is_dropped_when_the_line_is_silent() -> None:
    it = bench().up()
    it.rx(b"\x01$EB 9")
    it.until(it.now + 3.5)
    assert "truncated" in it.faults


@pytest.mark.parametrize("revision", ["02.00", "02.01", "02.02", " 2.00"])
def test_a_perseus_of_the_recalled_software_is_not_asked_again(revision: str) -> None:
    it = bench()
    it.start()
    it.rx(ICC_ECHO)
    it.until(it.now + 0.3)
    assert it.rx(response(0x52, f"8499'Perseus A500'{revision}:06.00".encode())) == b""
    assert it.faults == ["wrong_device", "do_not_send"]
    assert it.until(it.now + 3600) == []
    for after in (NOP, ICC, ASK_ID, ICC_ECHO):
        assert it.rx(after) == b""
    assert it.stop() == b""
    assert it.start() == b""


def test_a_perseus_of_other_software_is() -> None:
    it = bench()
    it.start()
    it.rx(ICC_ECHO)
    it.until(it.now + 0.3)
    assert it.rx(response(0x52, b"8499'Perseus A500'02.03:06.00")) == POLL


def test_the_report_can_be_limited_to_one_code() -> None:
    it = bench(report="24EB")
    it.start()
    it.rx(ICC)
    it.rx(ASK_ID)
    it.until(it.now + 0.3)
    assert it.rx(EVITA_4) == bytes.fromhex("1b4a2445423130 0d")
    assert it.rx(bytes.fromhex("014a34420d")) == POLL


def test_device_specific_questions() -> None:
    it = bench(plan=["24", "6A4"]).up()
    assert it.rx(response(0x24)) == bytes.fromhex("1b6a3442390d")
    it.rx(response(0x6A))
    assert it.faults == []


@pytest.mark.parametrize(
    "options",
    [
        {"poll_s": 0.5},
        {"poll_s": 61},
        {"settings_s": 1},
        {"curves": ["0"]},
        {"curves": ["00", "00"]},
        {"curves": ["00", "01", "02", "03", "06"]},
        {"plan": ["4A"]},
        {"plan": ["6A6"]},
        {"report": "24E"},
        {"report": "28EB"},
        {"ids": ["82"]},
        {"cadence": 1},
    ],
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(PROFILE, options)


_SAID = st.sampled_from(
    [ICC, ICC_ECHO, NOP, NOP_ECHO, ASK_ID, STOP, EVITA_4, b"\x11", b"\x13", b"\x18", response(0x15), response(0x24)]
    + [response(c) for c in (0x27, 0x2E, 0x2A, 0x29, 0x25, 0x26, 0x54)]
    + [command(0x49), command(0x56), b"\x1b000\r", b"\x01$", response(0x53, b"00   16000-  10  100370")]
)


@given(st.lists(st.tuples(_SAID, st.sampled_from([0.0, 0.01, 0.2, 1.0, 3.0, 11.0])), max_size=150))
def test_whatever_the_device_says_sends_are_allowed_bounded_and_the_clock_goes_on(
    turns: list[tuple[bytes, float]],
) -> None:
    it = bench(curves=["00", "01"], poll_s=1, alarms_s=1, text_s=2, settings_s=5, limits_s=5)
    it.start()
    for said, after in turns:
        it.rx(said, after)
        assert it.wake_at is not None
        it.take(it.driver.wake(it.now))
        assert it.wake_at > it.now
    it.stop()
    one = re.compile(b"|".join(rule.regex() for rule in PROFILE.allowed), re.DOTALL)
    times = []
    for t, data in it.sent:
        frames = list(one.finditer(data))
        assert b"".join(f[0] for f in frames) == data
        times += [t] * len(frames)
    limit = PROFILE.protocol.max_send_per_minute
    assert not [n for n, t in enumerate(times) if n >= limit and times[n - limit] > t - 60]


def test_at_most_four_hundred_commands_a_minute_even_when_the_device_asks_for_it() -> None:
    it = bench().up()
    begun = it.now
    for _n in range(1200):
        it.rx(ICC_ECHO, 0.01)
        it.rx(response(0x52), 0.25)
        for echo in (0x24, 0x27, 0x2E, 0x2A, 0x29, 0x25, 0x26):
            it.rx(response(echo))
        if it.now > begun + 55:
            break
    assert len([t for t, _data in it.sent if t > it.now - 60]) <= 400
    assert len(it.sent) >= 390
    assert it.wake_at is not None
    assert it.wake_at > it.now
