"""What is sent and when, what can be sent at all, and what a monitor's words do to the link."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.philips_intellivue.options import Options
from tests.contract.play import busiest_minute, is_allowed
from tests.drivers.masimo_ascii.port import devices, values
from tests.drivers.philips_intellivue import made
from tests.drivers.philips_intellivue.bedside import (
    ALIVE,
    ASKING,
    CURVES,
    EXTENDED,
    MDS,
    NUMERICS,
    PROFILE,
    RELEASE,
    STAND_IN,
    Bedside,
    confirmation,
)

CALM = 15
"""Frames within a minute of a healthy dialogue: twelve keep-alives, and the set-up or a renewal."""


def test_without_an_association_request_nothing_is_ever_sent() -> None:
    here = Bedside(can_ask=False)
    assert here.reasons() == ["no_association_request"]
    for wire in (made.ACCEPTED, made.create(), made.result(*made.USUAL), MDS, made.ABORTED, made.refusal()):
        here.rx(wire, 1.0)
    here.until(1000.0)
    here.take(here.driver.stop(1000.0))
    assert here.sent == b""
    assert values(here.seen)


def test_the_dialogue() -> None:
    here = Bedside()
    assert here.log == [(100.0, STAND_IN)]
    here.associate(0x7DC0).live(4)
    assert here.log[1:] == [(100.2, confirmation(0x7DC0)), (100.3, ALIVE), (101.3, EXTENDED)]
    here.live(600)
    later = [(t, sent) for t, sent in here.log[4:] if sent != ALIVE]
    assert [(round(t) - 101, sent) for t, sent in later] == [(540, EXTENDED)]
    alive = [t for t, sent in here.log if sent == ALIVE]
    assert max(b - a for a, b in zip(alive, alive[1:], strict=False)) < 7.0
    assert here.reasons() == []
    here.take(here.driver.stop(here.now))
    assert here.log[-1][1] == RELEASE
    count = len(here.log)
    here.take(here.driver.stop(here.now))
    here.rx(made.result(*made.USUAL) + made.create() + made.ABORTED, 1.0)
    here.until(here.now + 100.0)
    assert len(here.log) == count
    assert devices(here.seen)[-1] == ("disconnected", "unknown", "stopped")


def test_single_polls_are_their_own_keep_alive() -> None:
    here = Bedside(Options(poll="single", poll_s=4.0)).associate()
    for _turn in range(8):
        here.rx(made.result(*made.USUAL, action=0x0C16), 0.5)
        here.until(here.now + 3.5)
    assert {sent for _t, sent in here.log[2:]} == {NUMERICS}
    assert [round(t) for t, sent in here.log[2:]][:4] == [100, 104, 108, 112]


def test_curves_are_asked_for_only_if_named() -> None:
    here = Bedside(Options(curves="4BB4")).associate().live(3)
    here.rx(made.result(kind=9))
    assert [sent for _t, sent in here.log[2:]].count(CURVES) == 1
    assert CURVES not in [sent for _t, sent in Bedside().associate().live(20).log]


def test_a_linked_answer_is_waited_for_until_its_last_part() -> None:
    here = Bedside(Options(poll="single")).associate()
    here.until(101.0)
    for second, part in enumerate((1, 2, 2, 2, 3)):
        here.rx(made.result(*made.USUAL, action=0x0C16, part=part, count=second), 4.0)
    assert here.reasons() == []
    assert [sent for _t, sent in here.log].count(NUMERICS) == 1
    here.until(here.now + 0.5)
    assert [sent for _t, sent in here.log].count(NUMERICS) == 2


@pytest.mark.parametrize(
    ("parts", "missing"), [((1, 2, 3, 0), 0), ((1, 3), 0), ((2, 3), 1), ((3,), 1), ((1, 0, 2), 1)]
)
def test_parts_that_are_missing_are_counted(parts: tuple[int, ...], missing: int) -> None:
    here = Bedside(can_ask=False)
    here.reasons()
    for part in parts:
        here.rx(made.result(*made.USUAL, part=part))
    assert here.reasons() == ["part_missing"] * missing


def test_nobody_answers() -> None:
    here = Bedside()
    here.until(400.0)
    assert [round(t - 100) for t, sent in here.log if sent == STAND_IN] == [
        *(0, 5, 13, 18, 33, 38, 73, 78, 143, 148, 213, 218, 283, 288),
    ]
    assert devices(here.seen) == [("stale", "unknown", "silence")]


def test_refused() -> None:
    here = Bedside()
    for _turn in range(10):
        here.rx(made.REFUSED, 0.1)
    assert here.log == [(100.0, STAND_IN)]
    here.until(105.0)
    assert [t for t, _sent in here.log] == [100.0, 105.0]
    assert here.reasons() == ["refused"] * 10 + ["timeout"]


@pytest.mark.parametrize(("wire", "reason"), [(made.ABORTED, "aborted"), (made.RELEASED, "released")])
def test_the_monitor_ends_it(wire: bytes, reason: str) -> None:
    here = Bedside().associate().live(3)
    before = len(here.log)
    here.rx(wire)
    assert devices(here.seen)[-1] == ("disconnected", "unknown", reason)
    here.rx(wire, 1.0)
    assert reason in here.reasons()
    ended = here.now - 1.0
    here.until(ended + 11.9)
    assert len(here.log) == before
    here.until(ended + 12.0)
    assert here.log[before:] == [(round(ended + 12.0, 3), STAND_IN)]
    here.associate().live(1)
    assert devices(here.seen)[-1][:2] == ("connected", "in_use")


def test_numerics_that_stop_are_silence_although_the_monitor_answers() -> None:
    here = Bedside().associate().live(3)
    before = len(here.log)
    for _second in range(40):
        here.rx(MDS, 1.0)
    assert ("stale", "unknown", "silence") in devices(here.seen)
    assert [sent for _t, sent in here.log[before:]].count(STAND_IN) == 3
    assert sum(state[0] == "stale" for state in devices(here.seen)) == 1


def test_an_extended_poll_that_is_refused_becomes_single_polls() -> None:
    here = Bedside().associate()
    here.rx(MDS, 0.2)
    here.until(100.6)
    assert here.log[-1][1] == EXTENDED
    here.rx(made.refusal())
    before = len(here.log)
    for _turn in range(6):
        here.until(here.now + 5.0)
        here.rx(made.result(*made.USUAL, action=0x0C16), 0.1)
    assert {sent for _t, sent in here.log[before:]} == {NUMERICS}
    assert 5 <= len(here.log[before:]) <= 6


def test_a_refused_keep_alive_and_refused_curves() -> None:
    here = Bedside(Options(curves=("4BB4",))).associate()
    here.until(100.3)
    here.rx(made.refusal())
    here.until(101.0)
    here.rx(made.result(*made.USUAL))
    here.until(102.0)
    assert here.log[-1][1] == CURVES
    here.rx(made.refusal())
    here.live(560)
    assert [sent for _t, sent in here.log].count(CURVES) == 1
    assert here.reasons() == ["refused", "refused"]
    assert here.rx(made.refusal(), 0.5) == []


def test_an_mds_create_is_confirmed_once_and_only_when_asked_for() -> None:
    here = Bedside().associate(3)
    for _second in range(59):
        here.rx(made.create(4))
        here.live(1)
    assert [sent for _t, sent in here.log].count(confirmation(4)) == 0
    here.live(2).rx(made.create(5))
    assert confirmation(5) in here.log[-1][1]
    other = Bedside()
    other.rx(made.ACCEPTED + made.create(6, event=0x0D07) + made.create(6, command=0), 0.1)
    assert confirmation(6) not in [sent for _t, sent in other.log]
    assert devices(other.seen)[-1][0] == "connected"


def test_a_monitor_that_associates_and_answers_nothing() -> None:
    here = Bedside().associate()
    here.until(150.0)
    assert [(round(t), sent) for t, sent in here.log[2:]] == [
        (100, ALIVE),
        (105, ALIVE),
        (122, STAND_IN),
        (127, STAND_IN),
        (135, STAND_IN),
        (140, STAND_IN),
    ]


def test_identity_may_also_come_with_the_mds() -> None:
    here = Bedside(can_ask=False)
    here.rx(made.result(made.polled(made.ava(0x092D, b"\x00\x04SN77")), kind=0x21, action=0x0C16))
    here.rx(MDS)
    (told,) = here.seen
    assert told.identity == {"serial": "SN77"}  # type: ignore[union-attr]


def test_the_patients_name_goes_nowhere() -> None:
    here = Bedside(can_ask=False)
    names = [made.ava(number, b"DOE") for number in (0x095A, 0x095C, 0x095D, 0x0958, 0x0961)]
    for kind in (6, 9, 0x21, 0x2A):
        here.rx(made.result(made.polled(*names, made.ava(0x0912, b"DOE")), kind=kind))
    assert "DOE" not in repr(here.seen) + repr(here.faults)
    assert "444f45" not in (repr(here.seen) + repr(here.faults)).lower()
    assert here.reasons() == ["no_association_request", "unknown_attribute", "unknown_record"]


def test_half_a_frame_is_not_completed_after_a_pause() -> None:
    here = Bedside(can_ask=False)
    wire = made.result(*made.USUAL)
    here.rx(wire[:30])
    here.rx(wire[30:], 5.5)
    assert here.frames == 0
    assert "truncated!" in here.reasons()


@pytest.mark.parametrize("broken", [made.ava(0x0950, bytes(9)), made.ava(0x094B, bytes(3))])
def test_a_result_with_a_malformed_value_is_refused_whole(broken: bytes) -> None:
    here = Bedside(can_ask=False)
    assert here.rx(made.result(*made.USUAL, made.polled(broken))) == []
    assert here.reasons()[1:] == ["length!"]


def test_a_pdu_that_does_not_close_is_refused_whole() -> None:
    here = Bedside(can_ask=False)
    assert here.rx(made.frame(bytes.fromhex("E1 00 00 02 00 02 00 09 00"))) == []
    assert (here.frames, here.reasons()[1:]) == (0, ["length!"])


def test_unknown_attributes_are_counted_once_each_and_bounded() -> None:
    here = Bedside(can_ask=False)
    for first in range(0, 1000, 100):
        attributes = [made.ava(0x2000 + number, b"") for number in range(first, first + 100)]
        here.rx(made.result(made.polled(*attributes)))
        here.rx(made.result(made.polled(*attributes)))
    assert here.reasons().count("unknown_attribute") == 512


def _all_that_can_be_sent() -> set[bytes]:
    """Every frame, out of every option and every state."""
    fixed = {STAND_IN, ALIVE, EXTENDED, CURVES, NUMERICS, RELEASE}
    return fixed | {confirmation(invoke) for invoke in range(0x10000)}


def test_the_allow_list_is_what_can_be_sent() -> None:
    rule = re.compile(b"|".join(rule.regex() for rule in ASKING.allowed), re.DOTALL)
    assert all(rule.fullmatch(sent) for sent in _all_that_can_be_sent())
    own = re.compile(b"|".join(rule.regex() for rule in PROFILE.allowed), re.DOTALL)
    assert {sent for sent in (STAND_IN, ALIVE, EXTENDED, CURVES, NUMERICS, RELEASE) if own.fullmatch(sent)} == {
        *(ALIVE, EXTENDED, CURVES, NUMERICS, RELEASE),
    }


def _remote(command: int, action: int, argument: bytes = b"") -> bytes:
    body = bytes.fromhex("00 21 00 00 00 00 00 00 00 00") + made.big(action) + made.sized(argument)
    return made.frame(made.data(1, made.big(1) + made.big(command) + made.sized(body)))


NEVER: list[tuple[str, Callable[[], bytes]]] = [
    ("SET of the priority list", lambda: _remote(4, 0xF23A, bytes(8))),
    ("confirmed SET of the priority list", lambda: _remote(5, 0xF23A, bytes(8))),
    ("GET", lambda: _remote(3, 0xF23A)),
    ("another action", lambda: _remote(7, 0x0C17)),
    (
        "demographics",
        lambda: made.frame(
            bytes.fromhex("E1 00 00 02 00 01 00 1C 00 01 00 07 00 16 00 21")
            + bytes(8)
            + bytes.fromhex("0C 16 00 08 00 01 00 01 00 2A 08 07")
        ),
    ),
    ("abort", lambda: made.ABORTED),
    ("abort mark", lambda: b"\x7d\xc1"),
    (
        "another event's result",
        lambda: made.frame(
            made.data(2, bytes.fromhex("00 01 00 01 00 0E 00 21 00 00 00 00 00 0A BD 00 0D 07 00 00"))
        ),
    ),
    ("two invoke ids", lambda: confirmation(1)[:-1] + b"\x00\xc1"),
]


@pytest.mark.parametrize(("name", "make"), NEVER, ids=[name for name, _make in NEVER])
def test_what_must_never_be_sent_is_refused(name: str, make: Callable[[], bytes]) -> None:
    assert not is_allowed(PROFILE, make()), name


WORDS = (
    b"",
    made.ACCEPTED,
    made.REFUSED,
    made.ABORTED,
    made.RELEASED,
    made.create(1),
    made.create(0xC0C1),
    made.refusal(),
    made.result(*made.USUAL),
    made.result(*made.USUAL, action=0x0C16, part=1),
    MDS,
    MDS[:20],
    b"\xc0\xff\xc1",
)


@given(
    words=st.lists(st.sampled_from(WORDS), max_size=60),
    gap=st.sampled_from([0.0, 0.3, 2.0, 6.0, 16.0]),
    poll=st.sampled_from(["extended", "single"]),
)
def test_whatever_comes_only_those_are_sent(words: list[bytes], gap: float, poll: str) -> None:
    here = Bedside(Options(poll=poll, curves="4BB4"))  # type: ignore[arg-type]
    for word in words:
        here.rx(word, gap)
    here.take(here.driver.stop(here.now))
    assert {sent for _t, sent in here.log} <= {
        *(STAND_IN, ALIVE, EXTENDED, CURVES, NUMERICS, RELEASE, confirmation(1), confirmation(0xC0C1)),
    }
    assert all(is_allowed(ASKING, sent) for _t, sent in here.log)
    assert busiest_minute(ASKING, here.log) <= ASKING.protocol.max_send_per_minute


STORMS = [
    made.REFUSED,
    made.ABORTED,
    made.RELEASED,
    made.refusal(),
    made.create(2),
    made.ACCEPTED + made.create(2) + made.ABORTED,
    made.ACCEPTED + made.create(2) + made.refusal() * 3,
    made.result(*made.USUAL)[:-3] + b"\x00\xc1",
    b"\xc0\x7d\xc1" * 3,
    b"\xff" * 40,
]


@pytest.mark.parametrize("storm", STORMS)
def test_a_storm_never_raises_the_rate(storm: bytes) -> None:
    calm = Bedside().associate().live(120)
    most = busiest_minute(ASKING, calm.log)
    assert most <= CALM
    here = Bedside()
    for _turn in range(3600 * 2):
        here.rx(storm, 0.5)
        here.seen.clear()
        here.faults.clear()
    assert busiest_minute(ASKING, here.log) <= CALM


@pytest.mark.parametrize(
    "options", [{"curves": "4bb4"}, {"curves": ["4BB"]}, {"poll": "often"}, {"poll_s": 9.0}, {"set": 1}]
)
def test_options_that_are_none(options: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each has its own words)
        catalog.create(PROFILE, options)
