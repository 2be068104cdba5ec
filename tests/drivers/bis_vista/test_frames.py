"""Packets: the document's example, every cut, every flipped bit, noise, packets inside of damaged ones."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bis_vista.frames import ACK, DATA, MAX_FRAME_BYTES, MAX_PAYLOAD, NAK, Framer, Message, Packet
from drivers.contract import NOISE, Fault
from tests.drivers.bis_vista.made import message, packet, processed

EXAMPLE = bytes.fromhex("BA AB 00 00 0D 00 01 00 04 00 00 00 73 00 00 00 00 00 01 00 00 86 00")
GOOD = packet(b"", 2)


def reasons(items: Sequence[Packet | Fault]) -> list[str]:
    """Faults by reason, `!` where a packet was refused."""
    return [item.reason + "!" * item.rejected for item in items if isinstance(item, Fault)]


def packets(items: Sequence[Packet | Fault]) -> list[Packet]:
    """The packets alone."""
    return [item for item in items if isinstance(item, Packet)]


def test_the_start_packet_of_the_document() -> None:
    one = Packet(DATA, Message(4, 0x73, b"\x00").to_bytes())
    assert Packet.from_bytes(EXAMPLE) == one
    assert one.to_bytes() == EXAMPLE
    assert Message.from_bytes(one.payload) == Message(4, 0x73, b"\x00")


@given(
    payload=st.binary(max_size=MAX_PAYLOAD),
    directive=st.sampled_from([DATA, ACK, NAK]),
    sequence=st.integers(0, 0xFFFF),
)
def test_there_and_back(payload: bytes, directive: int, sequence: int) -> None:
    one = Packet(directive, payload, sequence)
    assert one.to_bytes() == packet(payload, directive, sequence)
    assert Framer().feed(one.to_bytes()) == [one]
    assert len(one.to_bytes()) <= MAX_FRAME_BYTES


@pytest.mark.parametrize("at", range(len(EXAMPLE) + 1))
def test_every_cut(at: int) -> None:
    framer = Framer()
    found = framer.feed(EXAMPLE[:at])
    assert framer.is_inside == (0 < at < len(EXAMPLE))
    assert found + framer.feed(EXAMPLE[at:]) == Framer().feed(EXAMPLE)
    cut = Framer()
    assert packets(cut.feed(EXAMPLE[:at] + GOOD * 4))[-1:] == packets(Framer().feed(GOOD))


@pytest.mark.parametrize("bit", range(len(EXAMPLE) * 8))
def test_every_flipped_bit(bit: int) -> None:
    damaged = bytearray(EXAMPLE)
    damaged[bit // 8] ^= 1 << bit % 8
    found = Framer().feed(bytes(damaged) + GOOD * 60)
    assert set(packets(found)) == set(packets(Framer().feed(GOOD)))
    assert reasons(found)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"\x01\x02", [NOISE]),
        (b"\xba", []),
        (b"\xba\xba\xab", [NOISE]),
        (b"\xba\x00" + GOOD + b"\x00", [NOISE, NOISE]),
        (packet(b"", 4), ["framing!"]),
        (packet(b"", 0), ["framing!"]),
        (b"\xba\xab\x00\x00\x01\x02\x01\x00", ["framing!"]),
        (GOOD[:-1] + b"\x01", ["checksum!"]),
    ],
)
def test_what_is_no_packet(wire: bytes, expected: list[str]) -> None:
    assert reasons(Framer().feed(wire)) == expected
    framer = Framer()
    single = [item for byte in wire for item in framer.feed(bytes([byte]))]
    assert reasons(single) == expected


@pytest.mark.parametrize(
    ("wire", "reason"), [(b"", "framing"), (EXAMPLE[1:], "framing"), (EXAMPLE + b"\x00", "length")]
)
def test_from_bytes_takes_a_whole_packet(wire: bytes, reason: str) -> None:
    assert Packet.from_bytes(wire) == Fault(reason, rejected=True)


def test_a_good_packet_inside_of_a_damaged_one_is_found() -> None:
    damaged = bytearray(message(0x34, bytes(40)))
    damaged[4] += 60
    assert packets(Framer().feed(bytes(damaged) + GOOD * 12)) == packets(Framer().feed(GOOD * 12))


def test_half_a_packet_is_dropped() -> None:
    framer = Framer()
    framer.feed(EXAMPLE[:9])
    assert reasons(framer.drop()) == ["truncated!"]
    framer.feed(b"\xba")
    assert framer.drop() == []


@pytest.mark.parametrize("payload", [b"", bytes(11), Message(4, 0x34, bytes(9)).to_bytes()[:-1]])
def test_a_message_whose_length_does_not_close(payload: bytes) -> None:
    found = Message.from_bytes(payload)
    assert isinstance(found, Fault)
    assert (found.reason, found.rejected) == ("length", True)


@given(noise=st.binary(max_size=900), size=st.integers(1, 50))
def test_noise_then_packets_in_any_pieces(noise: bytes, size: int) -> None:
    framer = Framer()
    data = noise + processed() * 5
    pieces = [item for at in range(0, len(data), size) for item in framer.feed(data[at : at + size])]
    at_once = Framer().feed(data)
    assert packets(pieces) == packets(at_once)
    assert packets(at_once)[-1] == packets(Framer().feed(processed()))[0]
    assert [r for r in reasons(pieces) if r != NOISE] == [r for r in reasons(at_once) if r != NOISE]
