"""MLLP blocks: the layout, every cut, what is refused, any noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.framing.mllp import Framer, wrap

LIMIT = 64
ONE, TWO = b"MSH|1\rOBX|2\r", b"MSH|3"
TRUNCATED, FRAMING, LENGTH = (Fault(r, rejected=True) for r in ("truncated", "framing", "length"))
STRAY = Fault(NOISE)


def items(data: bytes, size: int = 0) -> list[bytes | Fault]:
    """All messages of some bytes, in pieces of `size` (0: at once)."""
    framer = Framer(LIMIT)
    step = size or max(1, len(data))
    return [item for at in range(0, len(data), step) for item in framer.feed(data[at : at + step])]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (wrap(ONE), [ONE]),
        (wrap(ONE) + wrap(TWO) + wrap(ONE), [ONE, TWO, ONE]),
        (wrap(ONE) + b"\n" + wrap(TWO) + b"\r\n\r\n" + wrap(ONE), [ONE, TWO, ONE]),
        (b"hello" + wrap(ONE), [STRAY, ONE]),
        (wrap(ONE) + b"x" + wrap(ONE) + b"y" + wrap(ONE), [ONE, STRAY, ONE, STRAY, ONE]),
        (ONE, [STRAY]),
        (b"\x0bMSH|" + wrap(ONE), [TRUNCATED, ONE]),
        (b"\x0ba\x0bb\x0b" + wrap(ONE), [TRUNCATED] * 3 + [ONE]),
        (b"\x0bMSH\x1c|5\x1c\r" + wrap(ONE), [FRAMING, ONE]),
        (b"\x0bMSH\x1c" + wrap(ONE), [FRAMING, ONE]),
        (b"\x0bMSH\x1c\n" + wrap(ONE), [FRAMING, ONE]),
        (b"\x0b\x1c\r" + wrap(ONE), [FRAMING, ONE]),
        (wrap(b"a" * LIMIT), [b"a" * LIMIT]),
        (wrap(b"a" * (LIMIT + 1)) + wrap(ONE), [LENGTH, ONE]),
        (b"\x0b" + b"a" * 500 + wrap(ONE), [LENGTH, ONE]),
        (b"\x0b" + b"a" * 40 + b"\x0b" + b"b" * 40 + b"\x1c\r", [TRUNCATED, b"b" * 40]),
        (b"\x1c\r", [STRAY]),
        (b"\r\n", []),
        (b"", []),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 7])
def test_blocks(data: bytes, found: list[bytes | Fault], size: int) -> None:
    assert items(data, size) == found


@pytest.mark.parametrize("size", [0, 1, 7])
def test_what_a_device_sends_between_blocks_to_show_that_it_is_there(size: int) -> None:
    data = b"\x02\x02" + wrap(ONE) + b"\r\n\x02" + wrap(TWO) + b"\x02"
    step = size or len(data)
    framer = Framer(LIMIT, between=b"\x02")
    assert [one for at in range(0, len(data), step) for one in framer.feed(data[at : at + step])] == [ONE, TWO]
    assert items(data, size) == [STRAY, ONE, STRAY, TWO, STRAY]
    assert framer.feed(b"\x02x\x02") == [STRAY]


def test_every_cut_waits_for_more() -> None:
    data = wrap(ONE)
    for end in range(1, len(data)):
        framer = Framer(LIMIT)
        assert framer.feed(data[:end]) == []
        assert framer.is_inside
        assert framer.feed(data[end:]) == [ONE]
        assert not framer.is_inside


def test_drop_forgets_half_a_block_and_says_so() -> None:
    framer = Framer(LIMIT)
    framer.feed(wrap(ONE)[:5])
    assert framer.drop() == [TRUNCATED]
    assert framer.drop() == []
    assert framer.feed(wrap(TWO)) == [TWO]


@given(
    data=st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"a", b"b" * 70, wrap(ONE)]), max_size=30),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=9),
)
def test_any_split_finds_the_same(data: list[bytes], sizes: list[int]) -> None:
    wire = b"".join(data)
    framer, found, at, turn = Framer(LIMIT), [], 0, 0
    while at < len(wire):
        size = sizes[turn % len(sizes)] or (1 if not any(sizes) else 0)
        found += framer.feed(wire[at : at + size])
        at, turn = at + size, turn + 1
    assert found == items(wire)


@given(noise=st.binary(max_size=300))
def test_a_block_after_a_whole_one_is_found_after_any_noise(noise: bytes) -> None:
    assert items(noise + wrap(ONE) + wrap(TWO))[-2:] == [ONE, TWO]


@given(noise=st.binary(max_size=3000))
def test_the_buffer_is_bounded(noise: bytes) -> None:
    framer = Framer(LIMIT)
    framer.feed(noise)
    assert len(framer._buffer) <= LIMIT + 3
