"""What can be sent at all, byte for byte; what never; and that no storm raises the rate."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.philips_intellivue.mib import Frame
from drivers.philips_intellivue.options import Options
from drivers.profile import Profile
from tests.contract.play import busiest_minute, is_allowed, is_one_allowed
from tests.drivers.philips_intellivue import made
from tests.drivers.philips_intellivue.bedside import (
    ALERTS,
    ALERTS_ONCE,
    ALIVE,
    CURVES,
    EXTENDED,
    LAN_PROFILE,
    MDS,
    NUMERICS,
    PDUS,
    PROFILE,
    QUIET,
    RELEASE,
    REQUEST,
    REQUEST_CURVES,
    STATES,
    Bedside,
    confirmation,
    confirmation_pdu,
)

CALM = 27
"""Frames within a minute of a healthy dialogue with a monitor that grants single polls only."""


FIXED = {REQUEST, REQUEST_CURVES, ALIVE, EXTENDED, CURVES, NUMERICS, ALERTS, ALERTS_ONCE, STATES, RELEASE}
"""Every frame, out of every option and every state, but for the confirmations."""


def _are_exactly_the_rules(profile: Profile, sent: set[bytes]) -> bool:
    """Each exact rule lets one of these through, and each of these has a rule."""
    exact = [rule for rule in profile.allowed if rule.hex]
    return {bytes.fromhex(rule.hex) for rule in exact} == sent and len(exact) == len(sent)


def test_the_allow_list_is_what_can_be_sent() -> None:
    assert _are_exactly_the_rules(PROFILE, FIXED)
    assert _are_exactly_the_rules(LAN_PROFILE, set(PDUS.values()))
    for profile, make in ((PROFILE, confirmation), (LAN_PROFILE, confirmation_pdu)):
        rule = re.compile(b"|".join(rule.regex() for rule in profile.allowed if rule.pattern), re.DOTALL)
        assert all(rule.fullmatch(make(invoke)) for invoke in range(0x10000))


def test_the_lines_do_not_mix() -> None:
    assert not any(is_allowed(PROFILE, sent) for sent in PDUS.values())
    assert not any(is_allowed(LAN_PROFILE, sent) for sent in FIXED)


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
    wire = make()
    assert not is_allowed(PROFILE, wire), name
    framed = Frame.from_bytes(wire)
    assert not is_allowed(LAN_PROFILE, framed.payload if isinstance(framed, Frame) else wire), name


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
    made.result(made.alarms([made.alarm(0x4182, 0x28, 0x200, "HR")], []), kind=0x36),
    made.refusal(3),
    made.refusal(5),
    QUIET,
    MDS,
    MDS[:20],
    b"\xc0\xff\xc1",
)


@given(
    words=st.lists(st.sampled_from(WORDS), max_size=60),
    gap=st.sampled_from([0.0, 0.3, 2.0, 6.0, 16.0]),
    options=st.builds(Options, poll=st.sampled_from(["extended", "single"]), curves=st.sampled_from(["4BB4", ()])),
    is_lan=st.booleans(),
)
def test_whatever_comes_only_those_are_sent(words: list[bytes], gap: float, options: Options, is_lan: bool) -> None:
    here = Bedside(options, is_lan=is_lan)
    for word in words:
        framed = Frame.from_bytes(word)
        here.rx(framed.payload if is_lan and isinstance(framed, Frame) else word, gap)
    here.take(here.driver.stop(here.now))
    profile, fixed = (LAN_PROFILE, set(PDUS.values())) if is_lan else (PROFILE, FIXED)
    make = confirmation_pdu if is_lan else confirmation
    assert {sent for _t, sent in here.log} <= {*fixed, make(1), make(0xC0C1)}
    assert all(is_one_allowed(profile, sent) for _t, sent in here.log)
    assert busiest_minute(profile, here.log) <= profile.protocol.max_send_per_minute


STORMS = [
    made.REFUSED,
    made.ABORTED,
    made.RELEASED,
    made.refusal(),
    made.refusal(3),
    made.refusal(5),
    made.create(2),
    made.ACCEPTED,
    made.ACCEPTED + made.create(2) + made.ABORTED,
    made.ACCEPTED + made.create(2) + b"".join(made.refusal(invoke) for invoke in range(7)),
    made.frame(made.accepted_pdu(options=0)) + made.create(2) + made.refusal(3),
    QUIET,
    made.result(*made.USUAL)[:-3] + b"\x00\xc1",
    b"\xc0\x7d\xc1" * 3,
    b"\xff" * 40,
]


@pytest.mark.parametrize(("granted", "most"), [(0, CALM), (0x84000000, 23)])
def test_the_calm_rate(granted: int, most: int) -> None:
    here = Bedside()
    here.rx(made.frame(made.accepted_pdu(options=granted)), 0.1)
    here.rx(made.create(), 0.1)
    assert busiest_minute(PROFILE, here.live(120).log) == most


@pytest.mark.parametrize("storm", STORMS)
def test_a_storm_never_raises_the_rate(storm: bytes) -> None:
    here = Bedside()
    for _turn in range(3600 * 2):
        here.rx(storm, 0.5)
        here.seen.clear()
        here.faults.clear()
    assert busiest_minute(PROFILE, here.log) <= CALM
