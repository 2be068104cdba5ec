"""The judge sees each kind of broken promise, and nothing where all were kept."""

import json
from typing import Any

import pytest

from simulators.devices.astm import Delivery
from tests.e2e.ledger import Row, gaps_beside, judge, wire_disorder
from tests.e2e.onlookers import Flight, Name, fingerprint

MESSAGE = b"O|1|77||^^^GLCC\rR|1|^^^GLCC|5.0|mg/dl\r"


def row(seq: int, lane: str = "numeric", epoch: int = 1, repeats: int | None = None, **fields: Any) -> Row:
    text = json.dumps({"kind": "numeric", "seq": seq} | fields)
    return Row("s", (epoch, lane, seq), fields.get("kind", "numeric"), text, repeats)


def promises(rows: list[Row]) -> dict[Name, bytes]:
    return {one.name: fingerprint(one.text) for one in rows}


GOOD = [row(1), row(2), row(3), row(1, epoch=2), row(2, epoch=2)]


def test_nothing_is_wrong_where_all_is_there() -> None:
    found = judge(GOOD, promises(GOOD))
    assert (found.faults, found.rows) == ({}, 5)


def test_a_digit_of_difference_is_seen_and_an_order_of_fields_is_not() -> None:
    assert fingerprint('{"a":97.0,"b":1}') == fingerprint('{"b":1, "a":97.0}')
    assert fingerprint('{"a":97.0}') != fingerprint('{"a":97}')


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        (GOOD[:4], {"lost", "holes"}),
        ([*GOOD, GOOD[1]], {"duplicated"}),
        ([row(1), row(2, value=1), *GOOD[2:]], {"altered"}),
        ([*GOOD, row(4, epoch=2)], {"holes"}),
        (
            [*GOOD, row(4, epoch=2), row(1, "event", kind="gap", gap_epoch=2, gap_lane="numeric", first=3, last=3)],
            set(),
        ),
        ([row(3), row(2), row(1), *GOOD[3:]], {"disorder"}),
        ([row(1, epoch=2), row(1), row(2), row(3), row(2, epoch=2)], set()),
        ([*GOOD, Row("other", (1, "wave", 1), "waveform", "{}", None)], {"spools"}),
    ],
)
def test_what_is_wrong_is_named(rows: list[Row], faults: set[str]) -> None:
    assert judge(rows, promises(GOOD)).faults.keys() == faults


def result(seq: int, text: str = "5.0", repeats: int | None = None) -> Row:
    return row(seq, "event", repeats=repeats, kind="result", specimen="77", test="GLCC", text=text)


@pytest.mark.parametrize(
    ("rows", "status", "faults"),
    [
        ([result(1)], "delivered", set()),
        ([result(1), result(2, repeats=1)], "delivered", set()),
        ([result(1), result(2)], "delivered", {"results twice"}),
        ([row(1, "event")], "delivered", {"results lost"}),
        ([row(1, "event")], "aborted", set()),
        ([result(1), result(2, "5.00")], "delivered", {"results invented"}),
    ],
)
def test_results_are_held_to_the_acknowledgement(rows: list[Row], status: Any, faults: set[str]) -> None:
    message = Delivery(MESSAGE)
    message.status = status
    assert judge(rows, {}, [message]).faults.keys() == faults


def test_only_a_torn_tail_that_nobody_was_promised_may_be_declared_gone() -> None:
    def gap(reason: str) -> Row:
        return row(1, "event", 3, kind="gap", reason=reason, gap_epoch=2, gap_lane="numeric", first=2, last=2)

    unpromised, promised = promises(GOOD[:4]), promises(GOOD)
    torn = judge([*GOOD, gap("torn_tail")], promised)
    assert gaps_beside(torn, unpromised) == []
    assert len(gaps_beside(torn, promised)) == 1
    assert len(gaps_beside(judge([*GOOD, gap("damaged")], promised), unpromised)) == 1


def flight(era: str, first: int, last: int, epoch: int = 1) -> Flight:
    return Flight("numeric", era, epoch, first, last, "json")


@pytest.mark.parametrize(
    ("flights", "wrong"),
    [
        ([flight("live", 1, 2), flight("live", 3, 4), flight("live", 1, 2)], 0),
        ([flight("live", 3, 4), flight("hist", 1, 2), flight("live", 5, 6)], 0),
        ([flight("hist", 1, 9), flight("live", 1, 2, 2), flight("hist", 10, 12), flight("live", 3, 3, 2)], 0),
        ([flight("live", 1, 2), flight("live", 5, 6), flight("live", 3, 4)], 1),
        ([flight("hist", 1, 2, 2), flight("hist", 1, 2)], 1),
    ],
)
def test_the_order_on_the_wire(flights: list[Flight], wrong: int) -> None:
    assert len(wire_disorder(flights)) == wrong
