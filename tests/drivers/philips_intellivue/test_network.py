"""The dialogue over UDP: one frame a step, and nothing of what was lost, doubled, late or foreign."""

from typing import cast

import pytest

from drivers.observation import Numeric
from drivers.philips_intellivue import pdus
from drivers.philips_intellivue.order import MOST_PARTS, Order
from drivers.philips_intellivue.pdus import PollResult
from tests.drivers.masimo_ascii.port import values
from tests.drivers.philips_intellivue import made
from tests.drivers.philips_intellivue.bedside import (
    PDUS,
    Bedside,
    confirmation_pdu,
)


def test_the_dialogue_on_the_network() -> None:
    here = Bedside(is_lan=True)
    here.rx(made.accepted_pdu(), 0.1)
    here.rx(made.create_pdu(9), 0.1)
    assert here.log == [(100.0, PDUS["request"]), (100.2, confirmation_pdu(9))]
    for turn in range(6):
        here.until(here.now + 0.2)
        here.rx(made.result_pdu(kind=0x21, action=0x0C16, relative=8000 + turn))
        here.rx(made.result_pdu(made.alarms([], []), kind=0x36, relative=8000 + turn, stamp=made.NO_STAMP))
        here.rx(made.result_pdu(*made.USUAL, relative=8000 + turn, stamp=made.NO_STAMP))
        here.rx(made.result_pdu(kind=5, relative=8000 + turn))
    assert [sent for _t, sent in here.log[2:]] == [
        PDUS[key] for key in ("alive", "numerics", "alerts", "enumerations")
    ]
    assert values(here.seen)[:2] == [("4182", "72", "valid"), ("4BB8", "97.720", "valid")]
    assert [one.device_time for one in here.seen if isinstance(one, Numeric)][0] == ""
    here.take(here.driver.stop(here.now))
    assert here.log[-1][1] == PDUS["release"]
    here.rx(made.RELEASED_PDU, 0.1)
    assert here.reasons() == []


def test_on_the_network_one_step_sends_one_frame() -> None:
    """A keep-alive is due when the monitor repeats its MDS-Create: the confirmation goes alone."""
    here = Bedside(is_lan=True)
    here.rx(made.accepted_pdu(), 0.1)
    here.rx(made.create_pdu(9), 0.1)
    here.take(here.driver.receive(made.create_pdu(9), here.now + 0.5))
    assert here.log[-1][1] == confirmation_pdu(9)
    assert here.wake_at is not None
    assert here.wake_at <= here.now + 0.5
    here.until(here.now + 0.5)
    assert here.log[-1][1] == PDUS["alive"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", []),
        (b"\x00", ["noise"]),
        (b"\xc0" + made.result_pdu(*made.USUAL), ["noise"]),
        (made.accepted_pdu()[:-1], ["length!"]),
        (made.data(2, bytes(5000)), ["length!"]),
    ],
)
def test_datagrams_that_hold_nothing(data: bytes, reason: list[str]) -> None:
    here = Bedside(is_lan=True)
    assert here.rx(data, 0.1) == []
    assert (here.reasons(), here.frames) == (reason, 0)


def test_on_the_network_nothing_is_believed_outside_of_an_association() -> None:
    here = Bedside(is_lan=True)
    assert here.rx(made.result_pdu(*made.USUAL), 0.1) == []
    assert here.reasons() == ["not_associated"]
    here.rx(made.create_pdu(1), 0.1)  # the acceptance was lost
    assert values(here.rx(made.result_pdu(*made.USUAL), 0.1))
    here.rx(made.ABORTED_PDU, 0.1)
    assert here.rx(made.result_pdu(*made.USUAL, relative=9000), 0.1) == []


def test_late_and_doubled_datagrams_are_not_read() -> None:
    here = Bedside(is_lan=True)
    here.rx(made.create_pdu(1), 0.1)
    first = made.result_pdu(made.USUAL[0], relative=16000, sequence=1)
    other = made.result_pdu(made.USUAL[1], relative=16000, sequence=2)
    assert [len(values(here.rx(one))) for one in (first, other, first, other)] == [1, 1, 0, 0]
    assert values(here.rx(made.result_pdu(*made.USUAL, relative=8000))) == []
    assert here.reasons() == ["repeated", "repeated", "late"]
    assert values(here.rx(made.result_pdu(*made.USUAL, relative=0xFFFF0000)))  # switched on again


def test_what_is_remembered_of_one_moment_is_bounded() -> None:
    order = Order(is_network=True)
    for sequence in range(1000):
        order.check(cast(PollResult, pdus.parse_pdu(made.result_pdu(sequence=sequence))))
    assert len(order._seen[6]) == MOST_PARTS
