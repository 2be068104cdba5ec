"""Law 3: every byte string the driver can emit, one by one; what must never be sent; storms that send no more."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.draeger_medibus.driver import MedibusDriver
from tests.drivers.draeger_medibus.dialogue import (
    ASK_ID,
    ICC,
    ICC_ECHO,
    NOP,
    OUR_ID,
    PROFILE,
    STOP,
    Bench,
    bench,
    command,
    response,
)

PROFILES = catalog.profiles("draeger_medibus")
ALLOWED = re.compile(b"|".join(rule.regex() for rule in PROFILE.allowed), re.DOTALL)
POLLS = [command(code) for code in range(0x24, 0x2F)]
SPECIFIC = [command(0x6A, argument) for argument in (b"2", b"3", b"4", b"5")]
PRINTABLE = range(0x21, 0x7F)
ECHOES = [response(code) for code in PRINTABLE if code != 0x52]
NAK = response(0x15)
GROUPS = (0x24, 0x25, 0x26, 0x27, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E)
REPORTS = [command(0x4A, bytes([group]) + b"%02X" % code) for group in GROUPS for code in range(256)]
ENABLES = [b"\xd0\xc1" + bytes([mask]) + b"\xc0\xc0" for mask in (0xC1, 0xC3, 0xC7, 0xCF)]
FIXED = {ICC, NOP, STOP, ASK_ID, OUR_ID, NAK, command(0x53), *POLLS, *SPECIFIC, *ECHOES, *ENABLES}
PLAN = [frame[1:-3].decode() for frame in (*POLLS, *SPECIFIC)]


def codes_of(plan: list[str]) -> list[str]:
    """Plan items as the configuration names them: 24, 6A2."""
    return [f"{ord(item[0]):02X}{item[1:]}" for item in plan]


def configured(codes: tuple[str, ...]) -> bytes:
    """54H for these curves."""
    return command(0x54, "".join(f"{code}01" for code in codes).encode())


def frames_of(data: bytes) -> list[bytes]:
    """What was sent at once, frame by frame; raises where a byte belongs to none that is allowed."""
    found = [match[0] for match in ALLOWED.finditer(data)]
    assert b"".join(found) == data
    return found


def said_by(it: Bench) -> set[bytes]:
    """Every frame that was sent."""
    return {frame for _t, data in it.sent for frame in frames_of(data)}


def willing(it: Bench, seconds: float) -> None:
    """A device that answers whatever it is asked, with nothing in it."""
    answered, end = len(it.sent) - 1, it.now + seconds
    while it.now < end and it.wake_at is not None:
        if answered < len(it.sent):
            asked = [frame[1] for frame in frames_of(it.sent[answered][1]) if frame[0] == 0x1B]
            answered += 1
            for code in asked:
                it.rx(response(code), 0.02)
        else:
            it.until(min(it.wake_at, end))


def start(profile: str = "generic", **options: Any) -> Bench:
    """A driver of a profile that takes any device, started."""
    it = Bench(cast(MedibusDriver, catalog.create(PROFILES[profile], options)))
    it.start()
    return it


def test_every_command_of_every_plan() -> None:
    """The whole plan, all options at their fastest: what was sent is in the list, and all of the list is sent."""
    it = start(plan=codes_of(PLAN), poll_s=1, alarms_s=1, text_s=2, settings_s=5, limits_s=5, clock_s=5)
    willing(it, 60)
    quiet = start(plan=["24"], poll_s=60)
    willing(quiet, 20)
    quiet.stop()
    assert said_by(it) == {ICC, ASK_ID, *POLLS, *SPECIFIC}
    assert said_by(quiet) == {ICC, ASK_ID, NOP, STOP, command(0x24)}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_asks_its_plan_and_nothing_else(name: str) -> None:
    plan = {command(int(item, 16)) for item in PROFILES[name].options["plan"]}
    it = start(name)
    willing(it, 60)
    assert said_by(it) == {ICC, ASK_ID, *plan}


@pytest.mark.parametrize("answer", [b"", NAK, b"\x01R8240'Evita 4'04.00:04.00DB\r", b"\x01R", response(0x52, b"me")])
@pytest.mark.parametrize("name", PROFILES)
def test_nothing_is_asked_before_the_device_has_said_who_it_is(name: str, answer: bytes) -> None:
    it = start(name, curves=["00"], report="24EB")
    begun, done = it.now, 0
    while it.now < begun + 600:
        sent = it.sent[done][1] if done < len(it.sent) else b""
        done += bool(sent)
        it.rx({ICC: ICC_ECHO, ASK_ID: answer}.get(sent, NOP if not sent else b""), 0.02 if sent else 1.0)
    assert said_by(it) == {ICC, ASK_ID, response(0x30)}


def test_every_answer_to_every_byte_the_device_can_ask() -> None:
    sent: set[bytes] = set()
    for code in range(256):
        it = start()
        it.rx(ICC_ECHO)
        it.sent.clear()
        for frame in (command(code), command(code, b"00"), bytes([0x1B, code]) + b"00\r"):
            it.rx(frame, 1.5)
        sent |= said_by(it)
    assert sent - {ASK_ID, ICC, NAK} == {*ECHOES, OUR_ID}
    assert NAK in sent


def test_every_report_that_can_be_configured() -> None:
    sent = set()
    for group in GROUPS:
        for code in range(256):
            it = start(report=f"{group:02X}{code:02X}")
            it.rx(ICC_ECHO)
            it.until(it.now + 0.3)
            sent |= set(frames_of(it.rx(response(0x52))))
    assert sent == set(REPORTS)
    assert len(sent) == 2560


def config(codes: tuple[str, ...]) -> bytes:
    """An answer to 53H that offers these curves."""
    return "".join(f"{code}   16000    0  100370" for code in codes).encode()


def curve_frames(codes: tuple[str, ...]) -> set[bytes]:
    """What is sent for curves beside the polls."""
    it = start(curves=list(codes))
    it.rx(ICC_ECHO)
    it.until(it.now + 0.3)
    sent = set(frames_of(it.rx(response(0x52)))) | set(frames_of(it.rx(response(0x53, config(codes)))))
    return sent | set(frames_of(it.rx(response(0x54))))


def choices() -> Iterator[tuple[str, ...]]:
    """Each curve alone, and one to four of those of the Evita 4, in any order."""
    yield from ((f"{code:02X}",) for code in range(256))
    for count in (2, 3, 4):
        yield from permutations(("00", "01", "06", "24"), count)


def test_every_choice_of_curves() -> None:
    for codes in choices():
        expected = {command(0x53), configured(codes), ENABLES[len(codes) - 1]}
        assert curve_frames(codes) - {command(0x24)} == expected


@given(st.lists(st.integers(0, 255), min_size=1, max_size=4, unique=True))
def test_any_curves_at_all_are_in_the_allow_list(numbers: list[int]) -> None:
    codes = tuple(f"{number:02X}" for number in numbers)
    assert configured(codes) in curve_frames(codes)


@pytest.mark.parametrize("name", PROFILES)
def test_the_list_is_the_same_for_every_profile(name: str) -> None:
    assert PROFILES[name].allowed == PROFILE.allowed
    for frame in (*FIXED, *REPORTS):
        assert ALLOWED.fullmatch(frame), frame


def never() -> Iterator[bytes]:
    """What the document or the page of facts says must not be sent, and whatever else is a command."""
    asked = {frame[1] for frame in FIXED if frame[0] == 0x1B and frame[1] != 0x6A}
    for code in range(256):
        if code not in asked:
            yield command(code)
        for argument in (b"0", b"1", b"2", b"00", b"0001", b"99999"):
            if (code, argument) != (0x6A, b"2") and (code, argument) != (0x54, b"0001"):
                yield command(code, argument)
    yield from (command(0x6A, bytes([argument])) for argument in range(256) if argument not in b"2345")
    yield from (command(0x4A, bytes([group]) + b"EB") for group in range(256) if group not in GROUPS)
    yield command(0x54, b"0002")  # a multiplier of the interval
    yield command(0x54, b"0001" * 5)
    yield command(0x54)
    yield from (b"\xd0\xc2\xc1\xc0\xc0", b"\xd0\xc3\xc1\xc0\xc0", b"\xd0\xc1\xc0\xc0\xc0", b"\xd0\xcf\xc0\xc0\xc0")
    yield from (b"\x11", b"\x13", b"\x18", b"\x05", b"\r", b"\x1b", b"")
    yield response(0x24, b"EB 98 ")  # a value, as if the box were a device
    yield response(0x52, b"8240'Evita 4'04.00:04.00")


def test_what_must_never_be_sent_is_refused_by_the_list() -> None:
    frames = list(never())
    assert len(frames) > 2000
    assert command(0x6C) in frames  # trends
    assert command(0x6D) in frames
    assert command(0x23) in frames  # alarms of codepage 3
    assert [frame for frame in frames if ALLOWED.fullmatch(frame)] == []


def test_an_old_device_is_sent_no_command_with_an_argument() -> None:
    it = start(curves=["00"], report="24EB", plan=["24", "6A2"], poll_s=60)
    it.rx(ICC_ECHO)
    it.until(it.now + 0.3)
    assert it.rx(response(0x52, b"9999'Old'01.00:02.03")) == command(0x24)
    it.rx(response(0x24) + command(0x56) + response(0x53, config(("00",))))
    willing(it, 40)
    assert said_by(it) == {ICC, ASK_ID, NOP, command(0x24), response(0x56)}
    assert it.faults == ["no_arguments"]
    it.rx(ICC)
    it.until(it.now + 0.3)
    assert it.rx(response(0x52, b"9999'New'01.00: 3.00")) == command(0x4A, b"$EB")


def busiest(it: Bench, begun: float) -> int:
    """Most frames in one minute of the storm."""
    minutes = Counter(int((t - begun) / 60) for t, data in it.sent for _frame in frames_of(data))
    return max(minutes.values())


def storm(answer: Callable[[bytes], bytes], seconds: float = 3600.0) -> int:
    """An hour in which each thing the box says is answered so, and something comes each second in any case."""
    it = bench().up()
    begun, done = it.now, 0
    while it.now < begun + seconds:
        data = it.sent[-1][1] if len(it.sent) > done else b""
        done = len(it.sent)
        it.rx(answer(data), 0.1 if data else 1.0)
    return busiest(it, begun)


def calm() -> int:
    """Frames a minute on a link where all goes well."""
    it = bench().up()
    begun = it.now
    it.answer({}, begun + 600)
    return busiest(it, begun)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _data: NAK,
        lambda _data: b"\x18",
        lambda _data: b"\x01$EB 98 00\r",
        lambda _data: b"\x00\xff\x80garbage\x05\x02" * 8,
        lambda _data: response(0x24, b"EB 9"),
        lambda data: ICC_ECHO if data == ICC else NAK,
        lambda data: ICC_ECHO if data == ICC else b"\x01$EB 98 00\r",
        lambda data: ICC_ECHO if data == ICC else b"garbage",
        lambda data: ICC_ECHO if data == ICC else response(0x52) if data == ASK_ID else NAK,
        lambda data: ICC_ECHO if data == ICC else response(0x52) if data == ASK_ID else b"\x01$EB 98 00\r",
        lambda _data: b"\x11",
        lambda _data: b"\x11\x13",
    ],
)
def test_an_hour_of_it_is_answered_with_no_more_than_calm_asking(answer: Callable[[bytes], bytes]) -> None:
    assert storm(answer) <= calm()


def test_calm_is_what_the_periods_say() -> None:
    assert 100 < calm() < 160
