"""Frames: the document's examples, stuffing, every cut and every flipped bit, noise."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.capnostream.frames import MAX_FRAME_BYTES, Frame, Framer, stuffed, unstuffed
from drivers.contract import NOISE, Fault
from tests.drivers.capnostream.made import IDENTITY, frame, numerics

COMMANDS = {1: "85 01 01 00", 2: "85 01 02 03", 4: "85 01 04 05", 5: "85 01 05 04", 6: "85 01 06 07"}
BODIES = st.binary(max_size=254)


def reasons(items: Sequence[Frame | Fault]) -> list[str]:
    """Faults by reason, `!` where a frame was refused."""
    return [item.reason + "!" * item.rejected for item in items if isinstance(item, Fault)]


def frames(items: list[Frame | Fault]) -> list[Frame]:
    """The frames alone."""
    return [item for item in items if isinstance(item, Frame)]


@pytest.mark.parametrize(("code", "wire"), COMMANDS.items())
def test_the_commands_of_the_document(code: int, wire: str) -> None:
    assert Framer().feed(bytes.fromhex(wire)) == [Frame(code)]
    assert Frame(code).to_bytes() == bytes.fromhex(wire)


def test_the_stuffing_of_the_document() -> None:
    """44 85 55 80 05 00 80 00 77 is 44, a header, then 55 85 00 80 77."""
    assert unstuffed(bytes.fromhex("55 80 05 00 80 00 77")) == bytes.fromhex("55 85 00 80 77")
    found = Framer().feed(bytes.fromhex("44 85 55 80 05 00 80 00 77"))
    assert found == [Fault(NOISE)]  # the header opens a frame of 55H bytes, which has not come


def test_check_and_length_are_stuffed_too() -> None:
    assert frame(0x80, [0x87, 0x03])[1:3] == b"\x03\x80"
    for payload in (bytes(0x7F), bytes(0x84), bytes([0x84]), b"\x80\x05\x00", b"\x85\x85"):
        wire = frame(1, payload)
        assert Framer().feed(wire) == [Frame(1, payload)]
        assert b"\x85" not in wire[1:]


@given(code=st.integers(0, 255), payload=BODIES)
def test_there_and_back(code: int, payload: bytes) -> None:
    one = Frame(code, payload)
    assert one.to_bytes() == frame(code, payload)
    assert Framer().feed(one.to_bytes()) == [one]
    assert len(one.to_bytes()) <= MAX_FRAME_BYTES
    assert unstuffed(stuffed(payload)) == payload


WIRE = numerics(et=0x85, pr=0x80)


@pytest.mark.parametrize("at", range(len(WIRE) + 1))
def test_every_cut(at: int) -> None:
    framer = Framer()
    found = framer.feed(WIRE[:at])
    assert framer.is_inside == (0 < at < len(WIRE))
    assert found + framer.feed(WIRE[at:]) == Framer().feed(WIRE)
    cut = Framer()
    cut.feed(WIRE[:at])
    assert frames(cut.feed(IDENTITY)) == frames(Framer().feed(IDENTITY))
    assert cut.drop() == []


@pytest.mark.parametrize("bit", range(len(WIRE) * 8))
def test_every_flipped_bit(bit: int) -> None:
    damaged = bytearray(WIRE)
    damaged[bit // 8] ^= 1 << bit % 8
    found = Framer().feed(bytes(damaged) + IDENTITY)
    assert frames(found) == frames(Framer().feed(IDENTITY))
    assert reasons(found)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("01 02 03", [NOISE]),
        ("85 85 85 85 01 01 00", [NOISE]),
        ("85 01 01 00 33 44 85 01 06 07", [NOISE]),
        ("85 01 01 01", ["checksum!"]),
        ("85 01 01 01 33 44", ["checksum!"]),
        ("85 00 00", ["length!"]),
        ("85 03 01 85 01 01 00", ["truncated!"]),
        ("85 03 01 80 06 00", ["framing!"]),
        ("85 03 01 80 85 01 01 00", ["framing!"]),
        ("85 03 80 80", ["framing!"]),
    ],
)
def test_what_is_no_frame(wire: str, expected: list[str]) -> None:
    data = bytes.fromhex(wire)
    assert reasons(Framer().feed(data)) == expected
    framer = Framer()
    single = [item for byte in data for item in framer.feed(bytes([byte]))]
    assert [r for r in reasons(single) if r != NOISE] == [r for r in expected if r != NOISE]


def test_half_a_frame_is_dropped() -> None:
    framer = Framer()
    framer.feed(WIRE[:9])
    assert reasons(framer.drop()) == ["truncated!"]
    assert framer.drop() == []


@given(noise=st.binary(max_size=900), size=st.integers(1, 50))
def test_noise_then_a_frame_in_any_pieces(noise: bytes, size: int) -> None:
    framer, whole = Framer(), Framer()
    data = noise + WIRE + IDENTITY
    pieces = [item for at in range(0, len(data), size) for item in framer.feed(data[at : at + size])]
    at_once = whole.feed(data)
    assert frames(pieces) == frames(at_once)
    assert frames(at_once)[-1] == frames(Framer().feed(IDENTITY))[0]
    assert [r for r in reasons(pieces) if r != NOISE] == [r for r in reasons(at_once) if r != NOISE]
