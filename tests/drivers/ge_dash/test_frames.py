"""Which datagrams are believed, and that no name is read out of any of them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Fault
from drivers.ge_dash import frames
from drivers.ge_dash.announcement import Announcement
from drivers.ge_dash.frames import Broadcast, Parameters
from drivers.observation import to_json
from tests.drivers.ge_dash.made import (
    ADDRESS,
    BREATH,
    CUFF,
    HEART,
    LABEL,
    NOTHING,
    OXYGEN,
    USUAL,
    alarm,
    announcement,
    entry,
    header,
    parameters,
)
from tests.drivers.masimo_ascii.port import port

GOOD = parameters(USUAL)
NAMES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=8).map(lambda name: "ZQX" + name)
"""As a monitor would write it; with letters in front that stand nowhere else."""


def put(data: bytes, at: int, new: bytes) -> bytes:
    """The same datagram with other octets at a place."""
    return data[:at] + new + data[at + len(new) :]


def test_the_datagram_that_was_seen() -> None:
    assert len(GOOD) == 616
    assert GOOD[58:60] == bytes.fromhex("022c")
    seen = frames.read(GOOD)
    assert isinstance(seen, Parameters)
    assert (seen.address, seen.sequence, seen.level, seen.admission) == (ADDRESS, 0x51, 0, 1)
    assert [e.code for e in seen.entries] == [0x3A, 0x22, 0x2D, 0x18, 0x56, 0x57, 0x58]
    assert seen.entries[0].values == (61, 3, 0)
    assert seen.entries[0].limits == ((50, 100), (0, 6), (0, 0))
    assert seen.entries[0].status == 0xC008
    assert seen.entries[4].limits == ((-20, 20),) * 3


def test_state_octets_have_their_places() -> None:
    seen = frames.read(parameters([], state=1, level=2, admission=4))
    assert isinstance(seen, Parameters)
    assert (seen.state, seen.level, seen.admission, seen.entries) == (1, 2, 4, ())


def test_an_alarm_broadcast() -> None:
    assert len(alarm(0x2D)) == 84
    assert frames.read(alarm(0x2D, counter=0x01020304)) == Broadcast(ADDRESS, 0x2D, 0x01020304)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", Fault("noise")),
        (GOOD[:59], Fault("noise")),
        (put(GOOD, 12, b"\x00\xca"), Fault("noise")),
        (put(GOOD, 58, b"\x02\x2d"), Fault("length", "header", rejected=True)),
        (GOOD + b"\0", Fault("length", "header", rejected=True)),
        (header(20, 65) + bytes(65), Fault("length", "short", rejected=True)),
        (put(GOOD, 72, b"\x00\xca"), Fault("layout", "second header", rejected=True)),
        (put(GOOD, 75, b"\x04"), Fault("layout", "second header", rejected=True)),
        (put(GOOD, 118, b"\x01\xef"), Fault("length", "second header", rejected=True)),
        (put(GOOD, 124, b"\x06"), Fault("length", "entries", rejected=True)),
        (put(GOOD, 124, b"\x08"), Fault("length", "entries", rejected=True)),
        (parameters([HEART] * 20), Fault("length", "entries", rejected=True)),
        *((put(GOOD, at, b"\x55"), Fault("layout", "addresses", rejected=True)) for at in range(12)),
        *((put(GOOD, at, b"\x55"), Fault("layout", "addresses", rejected=True)) for at in range(60, 72)),
        (parameters(USUAL, address=bytes(4)), Fault("layout", "addresses", rejected=True)),
        *((put(GOOD, 126 + 70 + at, b"\x55"), Fault("layout", "entry", rejected=True)) for at in (0, 1, 25, 65)),
        (header(5, 4) + bytes(4), Fault("unknown_message", "201.5")),
        (header(4, 24, to=b"\xff" * 4) + bytes(23), Fault("length", "header", rejected=True)),
        (header(4, 25, to=b"\xff" * 4) + bytes(25), Fault("length", "alarm", rejected=True)),
        (put(alarm(1), 6, bytes(4)), Fault("layout", "addresses", rejected=True)),
        (put(alarm(1), 6, b"\xff" * 4), Fault("layout", "addresses", rejected=True)),
        (put(alarm(1), 11, b"\x01"), Fault("layout", "addresses", rejected=True)),
    ],
)
def test_what_is_refused(data: bytes, fault: Fault) -> None:
    assert frames.read(data) == fault


def test_the_longest_datagram_is_what_the_profile_says() -> None:
    longest = parameters([entry(code, NOTHING) for code in range(frames.MOST_ENTRIES)])
    assert isinstance(frames.read(longest), Parameters)
    assert len(longest) == catalog.profile("ge_dash", "dash").protocol.max_frame_bytes


@pytest.mark.parametrize("data", [GOOD, alarm(0x3A), parameters([HEART])])
def test_every_cut_and_every_tail_is_nothing(data: bytes) -> None:
    for size in range(len(data)):
        assert isinstance(frames.read(data[:size]), Fault), size
    for more in (b"\0", b"\xff", data[-70:], data):
        assert isinstance(frames.read(data + more), Fault)


STRUCTURE = [*range(16), *range(58, 76), *range(118, 120), 124, *(126 + at for at in (0, 1, 25, 65))]


def test_every_flipped_bit_of_the_structure_is_seen() -> None:
    for at in STRUCTURE:
        for bit in range(8):
            damaged = put(GOOD, at, bytes((GOOD[at] ^ 1 << bit,)))
            assert isinstance(frames.read(damaged), Fault), (at, bit)


@given(st.binary(max_size=1472))
def test_any_octets_are_a_frame_or_a_fault(data: bytes) -> None:
    assert isinstance(frames.read(data), Fault)


@given(st.data())
def test_whole_headers_with_anything_behind_them(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 5))
    blocks = [data.draw(st.binary(min_size=70, max_size=70)) for _n in range(count)]
    seen = frames.read(parameters(blocks))
    if isinstance(seen, Parameters):
        assert all(block[0] == 1 and block[1] == block[25] == block[65] for block in blocks)


@given(NAMES, st.sampled_from([b"SPO2 BASSE %s", b"%s", b"A%s"]))
def test_a_name_is_in_nothing_that_is_read(name: str, text: bytes) -> None:
    """In the place of the patient's name, in every location, and in the text of an alarm."""
    planted = name.encode()
    made = port("ge_dash", "dash")
    datagrams = [
        parameters([HEART, BREATH, OXYGEN, CUFF], 1, label=planted),
        alarm(0x2D, text % planted, label=planted),
        put(alarm(0x2D, text % planted, label=planted), 58, b"\0\1"),
        put(parameters([HEART], 2, label=planted), 124, b"\2"),
        announcement(name=planted + b",JANE"),
        header(9, 40) + planted.ljust(40, b"\0"),
    ]
    assert all(planted in one for one in datagrams[:2])
    for one in datagrams:
        made.rx(one, 1.0)
        assert name not in repr(frames.read(one))
    made.until(made.now + 60.0)
    made.take(made.driver.stop(made.now))
    assert made.seen
    assert made.faults
    assert name not in repr((made.seen, made.faults))
    assert not any(planted in to_json(one) for one in made.seen)
    assert name not in repr(Announcement.from_bytes(announcement(name=planted + b",JANE")))


@pytest.mark.parametrize(
    ("label", "place"),
    [
        (LABEL, ("REA", "LIT-4")),
        (b"HOME|B-02", ("HOME", "B-02")),
        (b"URGENCE|CHAMB1", ("URGENCE", "CHAMB1")),
        (b"R\xc9A|1", ("RÉA", "1")),
        (b"REA|", ("REA", "")),
        (b"1234567|ABCDEFGH", ("1234567", "ABCDEFGH")),
    ],
)
def test_an_announcement_says_where_the_monitor_stands(label: bytes, place: tuple[str, str]) -> None:
    assert Announcement.from_bytes(announcement(label)) == Announcement("126.1.2.3", *place)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        announcement()[:-1],
        announcement() + b"\0",
        announcement(b"NOBODY"),
        announcement(b"|4"),
        announcement(b"A|B|C"),
        announcement(b"A|B\0C"),
        announcement(b"A\x01|B"),
        announcement(address=bytes(4)),
        announcement(address=b"\xff" * 4),
        parameters([]),
        alarm(0x2D) + struct.pack(">I", 1),
    ],
)
def test_what_is_no_announcement(data: bytes) -> None:
    assert Announcement.from_bytes(data) is None


@given(st.binary(min_size=80, max_size=96))
def test_any_octets_are_an_announcement_or_nothing(data: bytes) -> None:
    seen = Announcement.from_bytes(data)
    assert seen is None or len(data) == 88
