"""Lines of text: what is a line, what is too long, what was half received, and any split of the stream."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.framing.lines import Lines, no_frame

LIMIT = 20
LONG = b"x" * (LIMIT + 30)


def lines(data: bytes, size: int = 0) -> list[bytes]:
    """All lines of some bytes, in pieces of `size` (0: at once)."""
    framer = Lines(LIMIT)
    step = size or max(1, len(data))
    return [line for at in range(0, len(data), step) for line in framer.feed(data[at : at + step])]


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"one\r\ntwo\r\n", [b"one\r", b"two\r"]),
        (b"one\ntwo\n", [b"one", b"two"]),
        (b"one\r\ntwo", [b"one\r"]),
        (b"\r\n\n\r\none\r\n", [b"one\r"]),
        (b"x" * LIMIT + b"\none\n", [b"x" * LIMIT, b"one"]),
        (LONG + b"\r\none\r\n", [LONG[: LIMIT + 1], b"one\r"]),
        (LONG, [LONG[: LIMIT + 1]]),
        (b"", []),
    ],
)
def test_lines(data: bytes, found: list[bytes], size: int) -> None:
    assert lines(data, size) == found


def test_what_was_half_received_is_dropped() -> None:
    framer = Lines(LIMIT)
    assert framer.feed(b"on") == []
    framer.drop()
    assert framer.feed(b"e\r\ntwo\r\n") == [b"e\r", b"two\r"]
    framer.feed(LONG)
    framer.drop()
    assert framer.feed(b"one\r\n") == [b"one\r"]


@given(seed=st.integers(0, 2**32 - 1))
def test_any_split_of_lines(seed: int) -> None:
    chance = random.Random(seed)
    parts = [b"one\r\n", b"\r\n", LONG, b"ab\n", b"\n", chance.randbytes(9)]
    data = b"".join(chance.choice(parts) for _n in range(8))
    split, found, at = Lines(LIMIT), [], 0
    while at < len(data):
        size = chance.randint(1, 2 * LIMIT)
        found += split.feed(data[at : at + size])
        at += size
    assert found == lines(data)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"TIME  SPO2  BPM\r", Fault("text_line")),
        ("Température\r".encode("latin-1"), Fault("text_line")),
        (b"ab\r", Fault(NOISE)),
        (b"one\x00two\r", Fault(NOISE)),
    ],
)
def test_a_line_that_holds_no_data(line: bytes, fault: Fault) -> None:
    assert no_frame(line) == fault
