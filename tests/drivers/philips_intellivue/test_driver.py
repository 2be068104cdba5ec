"""The dialogue: what is sent and when, and what a monitor's words do to the link."""

import pytest

from drivers import catalog
from drivers.curves import curve_stream
from drivers.observation import Device
from drivers.philips_intellivue import association
from drivers.philips_intellivue.options import Options
from tests.drivers.masimo_ascii.port import devices, values
from tests.drivers.philips_intellivue import made
from tests.drivers.philips_intellivue.bedside import (
    ALERTS,
    ALERTS_ONCE,
    ALIVE,
    ANSWERS,
    CURVES,
    EXTENDED,
    MDS,
    NUMERICS,
    PROFILE,
    RELEASE,
    REQUEST,
    REQUEST_CURVES,
    STATES,
    Bedside,
    confirmation,
)


def test_the_dialogue() -> None:
    here = Bedside()
    assert here.log == [(100.0, REQUEST)]
    here.associate(0x7DC0).live(4)
    assert here.log[1:6] == [
        (100.2, confirmation(0x7DC0)),
        (100.3, ALIVE),
        (100.4, EXTENDED),
        (100.5, ALERTS),
        (100.6, STATES),
    ]
    here.live(600)
    later = [(t, sent) for t, sent in here.log[6:] if sent != ALIVE]
    assert [(round(t) - 100, sent) for t, sent in later] == [(540, EXTENDED), (541, ALERTS), (541, STATES)]
    alive = [t for t, sent in here.log if sent == ALIVE]
    assert max(b - a for a, b in zip(alive, alive[1:], strict=False)) < 5.5
    assert here.reasons() == []
    here.take(here.driver.stop(here.now))
    assert here.log[-1][1] == RELEASE
    count = len(here.log)
    here.take(here.driver.stop(here.now))
    here.rx(made.result(*made.USUAL) + made.create() + made.ABORTED, 1.0)
    here.until(here.now + 100.0)
    assert len(here.log) == count
    assert devices(here.seen)[-1] == ("disconnected", "unknown", "stopped")


@pytest.mark.parametrize("ids", [(1, 1), (3, 1), (4, 2), (0xFFFF, 0xFFFF)])
def test_an_answer_to_a_poll_of_somebody_else_is_not_read(ids: tuple[int, int]) -> None:
    here = Bedside().associate()
    assert values(here.rx(made.result(*made.USUAL, ids=ids))) == []
    assert here.reasons() == ["unknown_record"]


def test_single_polls_are_their_own_keep_alive() -> None:
    here = Bedside(Options(poll="single", poll_s=4.0)).associate().live(20)
    assert {sent for _t, sent in here.log[2:]} == {NUMERICS, ALERTS_ONCE, ALIVE}
    assert [round(t) for t, sent in here.log if sent == NUMERICS] == [100, 104, 108, 112, 116]


def test_curves_are_asked_for_only_if_named_and_granted() -> None:
    here = Bedside(Options(curves="4BB4"))
    here.rx(made.frame(made.accepted_pdu(options=0x8C000000)), 0.1)
    here.rx(made.create(), 0.1)
    here.live(3)
    sent = [sent for _t, sent in here.log]
    assert (sent[0], sent.count(CURVES), here.reasons()) == (REQUEST_CURVES, 1, [])
    assert CURVES not in [sent for _t, sent in Bedside().associate().live(20).log]
    without = Bedside(Options(curves="4BB4")).associate().live(20)
    assert CURVES not in [sent for _t, sent in without.log]
    assert without.reasons() == ["not_granted"]


def test_what_is_not_granted_is_not_polled() -> None:
    here = Bedside()
    here.rx(made.frame(made.accepted_pdu(options=0x80000000)), 0.1)
    here.rx(made.create(), 0.1)
    here.live(20)
    assert STATES not in [sent for _t, sent in here.log]
    old = Bedside()
    old.rx(made.frame(made.accepted_pdu(options=0)), 0.1)
    old.rx(made.create(), 0.1)
    old.live(20)
    assert {sent for _t, sent in old.log[2:]} == {NUMERICS, ALERTS_ONCE, ALIVE}


@pytest.mark.parametrize(
    ("ticks", "timeout", "between"),
    [(2500, 10.0, 3.3), (26400, 10.0, 3.3), (80000, 30.0, 10.0), (344000, 129.0, 43.0), (400000, 130.0, 50.0)],
)
def test_the_keep_alive_follows_the_time_out_that_was_negotiated(ticks: int, timeout: float, between: float) -> None:
    here = Bedside()
    accepted = made.accepted_pdu(period=ticks)
    granted = association.parse_accepted(accepted)
    assert granted
    assert granted.timeout_s == timeout
    here.rx(made.frame(accepted), 0.1)
    here.rx(made.create(), 0.1)
    here.live(200)
    alive = [t for t, sent in here.log if sent == ALIVE]
    assert alive[-1] - alive[0] == pytest.approx(between * (len(alive) - 1), abs=0.1 * len(alive))
    assert max(b - a for a, b in zip(alive, alive[1:], strict=False)) < timeout / 2


def test_a_new_association_is_perhaps_with_another_monitor() -> None:
    """What the last one said of itself is not mixed with what this one says."""
    here = Bedside().associate().live(5)
    here.rx(made.ABORTED, 0.1)
    here.until(here.now + 13.0)
    here.rx(made.ACCEPTED, 0.1)
    here.rx(made.create(2, numbers=made.production((2, 8, b"M8005A"))), 0.1)
    told = [one.identity for one in here.seen if isinstance(one, Device)]
    assert told[0] == {}
    assert told[-1] == {"model": "Philips M8004A", "part": "M8005A"}


def test_one_keep_alive_may_be_lost() -> None:
    """It is asked again when the patience is over, and that is before the monitor's."""
    here = Bedside().associate().live(20)
    while here.log[-1][1] != ALIVE:
        here.until(here.now + 0.1)
    *_before, last, lost = [t for t, sent in here.log if sent == ALIVE]
    here.until(lost + 5.2)
    again = [t for t, sent in here.log if sent == ALIVE][-1]
    assert again > lost
    assert again - last < 10.0 - 1.0


def test_an_acceptance_that_cannot_be_read_is_one_all_the_same() -> None:
    here = Bedside()
    here.rx(made.frame(bytes.fromhex("0E 04 01 02 03 04")), 0.1)
    here.rx(made.create(), 0.1)
    here.live(10)
    assert EXTENDED in [sent for _t, sent in here.log]
    assert here.reasons() == ["grant_unread"]


def test_another_client_is_no_monitor() -> None:
    here = Bedside()
    here.rx(made.frame(made.accepted_pdu(system=0x80000000)), 0.1)
    assert devices(here.seen) == [("disconnected", "unknown", "wrong_device")]
    assert here.reasons() == ["wrong_device"]
    before = len(here.log)
    assert here.rx(made.create(), 0.1) == []
    here.until(here.now + 4.0)
    assert len(here.log) == before
    here.until(here.now + 1.0)
    here.associate()  # asked again, and answered by a monitor
    assert devices(here.seen)[-1][0] == "connected"


def test_a_linked_answer_is_waited_for_until_its_last_part() -> None:
    here = Bedside(Options(poll="single")).associate()
    here.until(100.3)
    assert here.log[-1][1] == NUMERICS
    for count, part in enumerate((1, 2, 2, 2, 3), 1):
        here.rx(made.result(*made.USUAL, action=0x0C16, part=part, count=count), 4.0)
    here.rx(made.result(*made.USUAL, action=0x0C16), 0.05)
    assert here.reasons() == []
    assert [sent for _t, sent in here.log].count(NUMERICS) == 1
    here.until(here.now + 0.5)
    assert [sent for _t, sent in here.log][-1] == ALERTS_ONCE


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        (((1, 1), (2, 2), (3, 3), (0, 0)), 0),
        (((1, 1), (3, 2), (0, 0)), 0),
        (((2, 2), (3, 3), (0, 0)), 1),
        (((3, 1),), 1),
        (((1, 1), (2, 3)), 1),
        (((1, 1), (0, 0), (2, 2)), 2),
        (((1, 1), (1, 1)), 1),
        (((1, 1), (3, 2), (3, 3)), 1),
    ],
)
def test_parts_that_are_missing_are_counted(parts: tuple[tuple[int, int], ...], missing: int) -> None:
    here = Bedside()
    for part, count in parts:
        here.rx(made.result(*made.USUAL, part=part, count=count))
    assert here.reasons() == ["part_missing"] * missing


def test_nobody_answers() -> None:
    here = Bedside()
    here.until(400.0)
    assert [round(t - 100) for t, sent in here.log if sent == REQUEST] == [
        *(0, 5, 13, 18, 33, 38, 73, 78, 143, 148, 213, 218, 283, 288),
    ]
    assert devices(here.seen) == [("stale", "unknown", "silence")]


def test_refused() -> None:
    here = Bedside()
    for _turn in range(10):
        here.rx(made.REFUSED, 0.1)
    assert devices(here.seen) == [("disconnected", "unknown", "refused")]
    assert here.log == [(100.0, REQUEST)]
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
    assert here.log[before:] == [(round(ended + 12.0, 3), REQUEST)]
    here.associate().live(1)
    assert devices(here.seen)[-1][:2] == ("connected", "in_use")


def test_the_pauses_grow_and_a_good_association_ends_that() -> None:
    here = Bedside()
    pauses = []
    for seconds in (1, 1, 1, 1, 1, 70, 1):
        here.associate().live(seconds)
        here.rx(made.ABORTED)
        ended, asked = here.now, len(here.log)
        while len(here.log) == asked:
            here.until(here.now + 1.0)
        pauses.append(round(here.log[-1][0] - ended))
    assert pauses == [12, 24, 48, 60, 60, 12, 24]


def test_numerics_that_stop_are_silence_although_the_monitor_answers() -> None:
    here = Bedside().associate().live(3)
    before = len(here.log)
    for _second in range(40):
        here.rx(MDS, 1.0)
    assert ("stale", "unknown", "silence") in devices(here.seen)
    assert [sent for _t, sent in here.log[before:]].count(REQUEST) == 3  # the monitor does not associate again
    assert sum(state[0] == "stale" for state in devices(here.seen)) == 1


def _asked(here: Bedside, sent: bytes) -> Bedside:
    """Answer all that is asked until this is."""
    for _turn in range(100):
        if here.log[-1][1] == sent:
            return here
        if here.log[-1][1] in ANSWERS:
            here.rx(ANSWERS[here.log[-1][1]])
        here.until(here.now + 0.1)
    raise AssertionError("never asked")


def test_an_extended_poll_that_is_refused_becomes_single_polls() -> None:
    here = _asked(Bedside().associate(), EXTENDED)
    here.rx(made.refusal(3))
    before = len(here.log)
    here.live(30)
    sent = [sent for _t, sent in here.log[before:]]
    assert set(sent) == {NUMERICS, ALERTS_ONCE, ALIVE}
    assert 6 <= sent.count(NUMERICS) <= 7
    assert here.reasons() == ["refused"]


@pytest.mark.parametrize(("poll", "invoke"), [(CURVES, 4), (ALERTS, 5), (STATES, 6)])
def test_what_is_refused_is_not_asked_again(poll: bytes, invoke: int) -> None:
    here = Bedside(Options(curves=("4BB4",)))
    here.rx(made.frame(made.accepted_pdu(options=0x8C000000)), 0.1)
    here.rx(made.create(), 0.1)
    _asked(here, poll)
    here.rx(made.refusal(invoke))
    for _second in range(700):
        here.rx(made.result(*made.USUAL), 0.5)
        if here.log[-1][1] in ANSWERS:
            here.rx(ANSWERS[here.log[-1][1]])
        here.until(here.now + 0.5)
    assert [sent for _t, sent in here.log].count(poll) == 1
    assert here.reasons() == ["refused"]


def test_a_refusal_of_what_was_not_asked_changes_nothing() -> None:
    here = Bedside().associate().live(3)
    for invoke in (1, 3, 5, 77):
        here.rx(made.refusal(invoke))
    before = len(here.log)
    here.live(10)
    assert {sent for _t, sent in here.log[before:]} == {ALIVE}
    refused = Bedside().associate()
    refused.until(100.3)
    refused.rx(made.refusal(1))
    refused.live(10)
    assert [sent for _t, sent in refused.log].count(ALIVE) >= 2


def test_alerts_that_come_no_more_are_asked_for_again() -> None:
    here = Bedside().associate().live(3)
    before = len(here.log)
    for _second in range(65):
        here.rx(made.result(*made.USUAL), 1.0)
        if here.log[-1][1] == ALIVE:
            here.rx(MDS)
        elif here.log[-1][1] == ALERTS:
            here.rx(made.result(kind=0x36, action=0x0C17))  # of an action that nobody knows
            here.rx(made.refusal(5))
    sent = [sent for _t, sent in here.log[before:]]
    assert sent.count(ALERTS) == 1  # refused now, and not asked for any more
    assert REQUEST not in sent


def test_an_mds_create_that_is_repeated_is_confirmed_again_a_few_times() -> None:
    here = Bedside().associate(3)
    for _turn in range(20):
        here.live(1).rx(made.create(4))
    assert [sent for _t, sent in here.log].count(confirmation(4)) == 3
    here.live(61).rx(made.create(5))
    assert confirmation(5) in here.log[-1][1]
    other = Bedside()
    other.rx(made.ACCEPTED + made.create(6, event=0x0D07) + made.create(6, command=0), 0.1)
    assert confirmation(6) not in [sent for _t, sent in other.log]
    assert devices(other.seen)[-1][0] == "connected"


def test_an_mds_create_before_any_association_is_not_confirmed() -> None:
    here = Bedside().associate().live(2)
    here.rx(made.ABORTED)
    before = len(here.log)
    assert here.rx(made.create(9), 0.5) == []
    assert len(here.log) == before


@pytest.mark.parametrize("mode", [made.ava(0x0946, made.big(0x4000)), made.ava(0x0946, b"\0"), b""])
def test_an_operating_mode_of_any_length(mode: bytes) -> None:
    here = Bedside()
    here.rx(made.ACCEPTED + made.create(more=(mode,) if mode else ()), 0.1)
    assert devices(here.seen)[-1][0] == "connected"


def test_a_monitor_that_associates_and_answers_nothing() -> None:
    here = Bedside().associate()
    here.until(150.0)
    assert [(round(t), sent) for t, sent in here.log[2:]] == [
        (100, ALIVE),
        (105, ALIVE),
        (122, REQUEST),
        (127, REQUEST),
        (135, REQUEST),
        (140, REQUEST),
    ]


def test_identity_may_also_come_with_the_mds() -> None:
    here = Bedside()
    numbers = made.production((1, 8, b"SN77"))
    here.rx(made.result(made.polled(made.ava(0x092D, numbers)), kind=0x21, action=0x0C16))
    here.rx(MDS)
    (told,) = here.seen
    assert told.identity == {"serial": "SN77"}  # type: ignore[union-attr]


def test_the_patients_name_goes_nowhere() -> None:
    here = Bedside()
    names = [made.ava(number, b"DOE") for number in (0x095A, 0x095C, 0x095D, 0x0958, 0x0961, 0x091E)]
    for kind in (6, 9, 0x21, 0x2A, 0x36, 5):
        here.rx(made.result(made.polled(*names, made.ava(0x0912, b"DOE")), kind=kind))
    assert "DOE" not in repr(here.seen) + repr(here.faults)
    assert "444f45" not in (repr(here.seen) + repr(here.faults)).lower()
    assert here.reasons() == ["unknown_attribute", "unknown_record"]


def test_half_a_frame_is_not_completed_after_a_pause() -> None:
    here = Bedside()
    wire = made.result(*made.USUAL)
    here.rx(wire[:30])
    here.rx(wire[30:], 5.5)
    assert here.frames == 0
    assert "truncated!" in here.reasons()


@pytest.mark.parametrize("broken", [made.ava(0x0950, bytes(9)), made.ava(0x094B, bytes(3))])
def test_a_result_with_a_malformed_value_is_refused_whole(broken: bytes) -> None:
    here = Bedside()
    assert here.rx(made.result(*made.USUAL, made.polled(broken))) == []
    assert here.reasons() == ["length!"]


def test_a_pdu_that_does_not_close_is_refused_whole() -> None:
    here = Bedside()
    assert here.rx(made.frame(bytes.fromhex("E1 00 00 02 00 02 00 09 00"))) == []
    assert (here.frames, here.reasons()) == (0, ["length!"])


def test_unknown_attributes_are_counted_once_each_and_bounded() -> None:
    here = Bedside()
    for first in range(0, 1000, 100):
        attributes = [made.ava(0x2000 + number, b"") for number in range(first, first + 100)]
        here.rx(made.result(made.polled(*attributes)))
        here.rx(made.result(made.polled(*attributes)))
    assert here.reasons().count("unknown_attribute") == 512


def test_what_curves_cost_at_most() -> None:
    assert curve_stream(Options()) is None
    stream = curve_stream(Options(curves=("4BB4", "0102", "013D")))
    assert stream
    assert (stream.codes, stream.most()) == (("0102", "013D", "4BB4"), 1125.0)
    assert stream.arrays_per_s == 3 / 0.256


@pytest.mark.parametrize(
    "options", [{"curves": "4bb4"}, {"curves": ["4BB"]}, {"poll": "often"}, {"poll_s": 9.0}, {"set": 1}]
)
def test_options_that_are_none(options: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each has its own words)
        catalog.create(PROFILE, options)
