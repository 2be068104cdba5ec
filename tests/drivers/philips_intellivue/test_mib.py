"""The framing: the document's frames and check value, every cut, every flipped bit, stuffing, noise in any pieces."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.philips_intellivue.mib import MAX_FRAME_BYTES, MAX_PAYLOAD, Frame, Framer, frame_check
from tests.drivers.philips_intellivue.made import ACCEPTED, USUAL, fcs, frame, result

RELEASE = bytes.fromhex(
    "C0 11 01 00 1A 09 18 7D E1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00 41 08 C1"
)
KEEP_ALIVE = bytes.fromhex(
    "C0 11 01 00 24 E1 00 00 02 00 01 00 1C 00 01 00 07 00 16 00 21 00 00 00 00 00 00 00 00 0C 16 00 08 00 01 00 01"
    "00 21 08 0C 54 4C C1"
)
STUFFED_CHECK = next(
    one
    for one in (frame(bytes([number >> 8, number & 0xFF])) for number in range(0x10000))
    if one[-5:-4] == b"\x7d" and one[-3:-2] == b"\x7d"
)
"""Both bytes of its frame check are stuffed."""


def reasons(items: Sequence[Frame | Fault]) -> list[str]:
    """Faults by reason, `!` where a frame was refused."""
    return [item.reason + "!" * item.rejected for item in items if isinstance(item, Fault)]


def frames(items: Sequence[Frame | Fault]) -> list[Frame]:
    """The frames alone."""
    return [item for item in items if isinstance(item, Frame)]


def test_the_check_value_of_the_document() -> None:
    assert frame_check(b"123456789") == 0x906E


@given(data=st.binary(max_size=300))
def test_the_frame_check_is_that_of_the_bitwise_rule(data: bytes) -> None:
    assert frame_check(data) == fcs(data)


@pytest.mark.parametrize(("wire", "size"), [(RELEASE, 26), (KEEP_ALIVE, 36), (STUFFED_CHECK, 2)])
def test_frames_of_the_document(wire: bytes, size: int) -> None:
    one = Frame.from_bytes(wire)
    assert isinstance(one, Frame)
    assert len(one.payload) == size
    assert one.to_bytes() == wire


@given(
    payload=st.binary(max_size=MAX_PAYLOAD) | st.lists(st.sampled_from(b"\xc0\xc1\x7d\x00"), max_size=99).map(bytes)
)
def test_there_and_back(payload: bytes) -> None:
    wire = Frame(payload).to_bytes()
    assert wire == frame(payload)
    assert len(wire) <= MAX_FRAME_BYTES
    assert b"\xc0" not in wire[1:]
    assert b"\xc1" not in wire[:-1]
    assert Framer().feed(wire) == [Frame(payload)]


@pytest.mark.parametrize("wire", [RELEASE, KEEP_ALIVE, STUFFED_CHECK], ids=["release", "alive", "stuffed"])
def test_every_cut(wire: bytes) -> None:
    for at in range(len(wire) + 1):
        framer = Framer()
        found = framer.feed(wire[:at])
        assert framer.is_inside == (0 < at < len(wire))
        assert found + framer.feed(wire[at:]) == Framer().feed(wire)
        cut = Framer()
        assert frames(cut.feed(wire[:at] + ACCEPTED))[-1:] == frames(Framer().feed(ACCEPTED))


@pytest.mark.parametrize("wire", [RELEASE, KEEP_ALIVE, STUFFED_CHECK], ids=["release", "alive", "stuffed"])
def test_every_flipped_bit(wire: bytes) -> None:
    for bit in range(len(wire) * 8):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        found = Framer().feed(bytes(damaged) + ACCEPTED * 2)
        assert set(frames(found)) == set(frames(Framer().feed(ACCEPTED))), bit
        assert reasons(found)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"\x00\x01", [NOISE]),
        (b"\x01" + ACCEPTED + b"\x02", [NOISE, NOISE]),
        (b"\xc1\xc1", [NOISE]),
        (b"\xc0" * 9 + ACCEPTED[1:], []),
        (b"\xc0\xc1", ["framing!"]),
        (b"\xc0\x11\x01\x00\xc0", ["truncated!"]),
        (b"\xc0\x11\x01\x00\x00\x7d\xc1", ["aborted!"]),
        (b"\xc0\x7d\x7d\x01\xc1", ["framing!"]),
        (b"\xc0\x11\x02\x00\x00\x00\x00\xc1", ["framing!"]),
        (b"\xc0\x11\x01\x00\x01\x00\x00\xc1", ["length!"]),
        (b"\xc0\x11\x01\x00\x00\x00\x00\xc1", ["checksum!"]),
        (b"\xc0" + b"\x01" * (MAX_FRAME_BYTES + 9) + b"\xc1", ["length!"]),
    ],
)
def test_what_is_no_frame(wire: bytes, expected: list[str]) -> None:
    assert reasons(Framer().feed(wire)) == expected
    framer = Framer()
    single = [item for byte in wire for item in framer.feed(bytes([byte]))]
    assert reasons(single) == expected


@pytest.mark.parametrize("wire", [b"", b"\xc0", RELEASE[1:], RELEASE[:-1]])
def test_from_bytes_takes_a_whole_frame(wire: bytes) -> None:
    assert Frame.from_bytes(wire) == Fault("framing", rejected=True)


def test_half_a_frame_is_dropped() -> None:
    framer = Framer()
    framer.feed(RELEASE[:9])
    assert reasons(framer.drop()) == ["truncated!"]
    assert framer.drop() == []


@given(noise=st.binary(max_size=900), size=st.integers(1, 50))
def test_noise_then_frames_in_any_pieces(noise: bytes, size: int) -> None:
    framer = Framer()
    wire = noise + result(*USUAL) * 3
    pieces = [item for at in range(0, len(wire), size) for item in framer.feed(wire[at : at + size])]
    at_once = Framer().feed(wire)
    assert frames(pieces) == frames(at_once)
    assert frames(at_once)[-2:] == frames(Framer().feed(result(*USUAL))) * 2
    assert [r for r in reasons(pieces) if r != NOISE] == [r for r in reasons(at_once) if r != NOISE]
