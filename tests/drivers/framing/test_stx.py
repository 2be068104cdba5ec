"""Texts between STX and ETX: what is one, what is refused or passed over, what is answered, and any split."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.framing.stx import ACK, NAK, Collector, Framer, answer

LIMIT = 20
NOISE_FAULT = Fault(NOISE)
TRUNCATED, LENGTH = Fault("truncated", rejected=True), Fault("length", rejected=True)
LONG = b"x" * (LIMIT + 1)


class Heard:
    """A framer and, in order, what came out of it."""

    def __init__(self, *, has_check: bool = False, between: bytes = b"\r\n") -> None:
        self.items: list[bytes | Fault] = []
        ends = b"\x03\x17" if has_check else b"\x03"
        self.framer = Framer(LIMIT, self.take, self.settle, ends=ends, has_check=has_check, between=between)

    def take(self, text: bytes) -> Fault | None:
        self.items.append(text)
        return Fault("layout") if text.startswith(b"bad") else None

    def settle(self, fault: Fault | None) -> None:
        if fault is not None:
            self.items.append(fault)


def texts(data: bytes, size: int = 0, *, has_check: bool = False, between: bytes = b"\r\n") -> list[bytes | Fault]:
    """All that comes out of some bytes, in pieces of `size` (0: at once)."""
    heard = Heard(has_check=has_check, between=between)
    step = size or max(1, len(data))
    for at in range(0, len(data), step):
        heard.framer.feed(data[at : at + step])
    return heard.items


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x02one\x03\x02two\x03", [b"one\x03", b"two\x03"]),
        (b"\r\n\x02one\x03\r\n", [b"one\x03"]),
        (b"\x02\x03", [b"\x03"]),
        (b"\x02\x02\x02one\x03", [b"one\x03"]),
        (b"\x02one\x17two\x03", [b"one\x17two\x03"]),
        (b"\x02bad\x03\x02one\x03", [b"bad\x03", Fault("layout"), b"one\x03"]),
        (b"\x02half\x02one\x03", [TRUNCATED, b"one\x03"]),
        (b"ab\x03cd\x02one\x03e\x03\x03", [NOISE_FAULT, b"one\x03", NOISE_FAULT]),
        (b"\x02" + b"x" * LIMIT + b"\x03", [b"x" * LIMIT + b"\x03"]),
        (b"\x02" + LONG + b"\x03\x02one\x03", [LENGTH, b"one\x03"]),
        (b"\x02" + LONG * 9 + b"\x02one\x03", [TRUNCATED, b"one\x03"]),
        (b"\x02one", []),
        (b"", []),
    ],
)
def test_texts(data: bytes, found: list[bytes | Fault], size: int) -> None:
    assert texts(data, size) == found


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x02one\x03A\x02two\x17B", [b"one\x03A", b"two\x17B"]),
        *((b"\x02one\x03%c\x02two\x03B" % check, [b"one\x03%c" % check, b"two\x03B"]) for check in b"\x02\x03\x17\r"),
        (b"\x03\x02one\x03A", [NOISE_FAULT, b"one\x03A"]),
        (b"\x02" + LONG + b"\x03\x02\x02one\x03A", [LENGTH, b"one\x03A"]),
        (b"\x02one\x03", []),
    ],
)
def test_a_check_is_any_byte(data: bytes, found: list[bytes | Fault], size: int) -> None:
    assert texts(data, size, has_check=True) == found


def test_what_may_stand_between() -> None:
    data = b"\x01\x02one\x03\x04\r\n\x01\x02two\x03\x04"
    assert texts(data, between=b"\x01\x04\r\n") == [b"one\x03", b"two\x03"]
    assert texts(data) == [NOISE_FAULT, b"one\x03", NOISE_FAULT, b"two\x03", NOISE_FAULT]


@pytest.mark.parametrize("begun", [b"\x02one", b"\x02one\x03", b"noise"])
def test_what_was_half_received_is_forgotten(begun: bytes) -> None:
    heard = Heard(has_check=True)
    heard.framer.feed(begun)
    heard.framer.drop()
    heard.items.clear()
    heard.framer.feed(b"x\x02two\x03A")
    assert heard.items == [NOISE_FAULT, b"two\x03A"]


@given(st.lists(st.sampled_from([b"\x02", b"\x03", b"\x17", b"\r\n", b"ab", LONG])), st.integers(1, 9), st.booleans())
def test_any_split_gives_the_same(parts: list[bytes], size: int, has_check: bool) -> None:
    data = b"".join(parts)
    assert texts(data, size, has_check=has_check) == texts(data, has_check=has_check)


@given(st.binary(max_size=200))
def test_no_more_than_one_text_is_held(data: bytes) -> None:
    collector = Collector(LIMIT, re.compile(rb"\x02+|\x03"), list[Fault]().append)
    for mark in collector.pieces(data):
        assert len(collector.body) <= LIMIT
        if mark[0] == 0x02:
            collector.begin()
    assert len(collector.body) <= LIMIT


def test_of_a_text_that_is_too_long_nothing_is_held() -> None:
    collector = Collector(LIMIT, re.compile(rb"\x02"), list[Fault]().append)
    collector.begin()
    for piece in (LONG, b"x"):
        collector.keep(piece)
        assert not collector.body
        assert collector.has_begun
    assert collector.take() == LENGTH


def test_what_follows_the_end_of_a_text_is_none_of_it() -> None:
    faults: list[Fault] = []
    collector = Collector(LIMIT, re.compile(rb"\x02|\x1a|\x03"), faults.append)
    for mark in collector.pieces(b"\x02one\x1atwo\x03"):
        if mark == b"\x02":
            collector.begin()
        elif mark == b"\x1a":
            collector.end()
    assert (collector.has_begun, collector.take(), faults) == (True, b"one", [NOISE_FAULT])
    assert not collector.is_open


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (None, ACK),
        (NOISE_FAULT, b""),
        (TRUNCATED, b""),
        (LENGTH, NAK),
        (Fault("checksum", rejected=True), NAK),
        (Fault("layout"), NAK),
        (Fault("control_not_read"), ACK),
    ],
)
def test_answers_of_class_b(fault: Fault | None, said: bytes) -> None:
    assert answer(fault) == said
