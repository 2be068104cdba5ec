"""Frames of each format: what fits is one, nothing else is, however it is cut, split or damaged."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.nonin.frames import Df8, Df8Frame, Df13, Spot, Text
from drivers.nonin.packets import PACKET_BYTES, Packet, Packets
from drivers.nonin.reading import Reading, rate
from tests.drivers.nonin.made import SPOT, doubled, followed, packet, spot, without

Framer = Text | Df8 | Df13 | Packets
DF8 = bytes.fromhex("80 48 61 20")
FRAMERS: dict[str, tuple[Callable[[], Framer], bytes]] = {
    "ascii": (Text, b"SPO2=097 HR=072\r\n"),
    "df2": (lambda: Packets(True), packet()),
    "df7": (lambda: Packets(False), packet(False)),
    "df8": (Df8, DF8),
    "df13": (Df13, SPOT),
}


def reasons(framer: Framer, data: bytes) -> list[str]:
    """Faults by reason, `!` where a frame was refused; `ok` for what is read."""
    return [i.reason + "!" * i.rejected if isinstance(i, Fault) else "ok" for i in framer.feed(data)]


@pytest.mark.parametrize(("msb", "lsb", "value"), [(0, 72, 72), (1, 72, 200), (3, 0x7F, 511), (0x80, 0xC8, 72)])
def test_nine_bits_of_rate(msb: int, lsb: int, value: int) -> None:
    """Two bits above seven: not a byte above a byte."""
    assert rate(msb, lsb) == value


@pytest.mark.parametrize("is_df2", [True, False])
@pytest.mark.parametrize("hr", [0, 72, 127, 128, 200, 255, 256, 321, 511])
def test_a_packet_and_back(is_df2: bool, hr: int) -> None:
    wave = range(0, 250, 10) if is_df2 else range(0, 65535, 2700)
    data = packet(is_df2, hr=hr, spo2=96, shown=95, pleth=list(wave))
    read = Packet.from_bytes(data, is_df2)
    assert isinstance(read, Packet)
    assert read.to_bytes(is_df2) == data
    assert read.pleth == tuple(wave)
    assert dict(read.reading().values) == {
        **dict.fromkeys(("HR", "E-HR", "HR-D", "E-HR-D"), str(hr)),
        **dict.fromkeys(("SpO2", "SpO2-fast", "SpO2-B-B", "E-SpO2"), "96"),
        **dict.fromkeys(("SpO2-D", "E-SpO2-D"), "95"),
    }
    assert isinstance(Packet.from_bytes(data[:-5], is_df2), Fault)


@pytest.mark.parametrize("is_df2", [True, False])
def test_every_flipped_bit_of_a_packet_refuses_it(is_df2: bool) -> None:
    data = packet(is_df2)
    for bit in range(PACKET_BYTES * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        found = Packets(is_df2).feed(data + bytes(damaged) + followed(data + data))
        assert [i.rejected for i in found if isinstance(i, Fault) and i.rejected] == [True]
        packets = [i for i in found if isinstance(i, Packet)]
        assert [p.to_bytes(is_df2) for p in packets] == [data] * len(packets)
        assert len(packets) == (2 if bit < 40 else 3), "the frame that should confirm the packet before it"


def test_lost_frames_are_counted() -> None:
    framer = Packets(True)
    found = framer.feed(packet() + packet()[:40] + packet()[41:] + followed(packet()))
    assert [i.lost for i in found if isinstance(i, Packet)] == [0, 25]


def read(is_df2: bool, data: bytes) -> tuple[list[tuple[bytes, int]], list[str]]:
    """Packets with what is missing before them, and why others were refused."""
    found = Packets(is_df2).feed(data)
    packets = [(i.to_bytes(is_df2), i.lost) for i in found if isinstance(i, Packet)]
    return packets, [i.reason for i in found if isinstance(i, Fault) and i.rejected]


@pytest.mark.parametrize("is_df2", [True, False])
@pytest.mark.parametrize("place", range(1, 26))
def test_a_frame_that_comes_twice(is_df2: bool, place: int) -> None:
    """The packet is refused; only where its first frame is the doubled one a whole packet stands behind that."""
    a, b, c = (packet(is_df2, hr=hr, spo2=spo2, stat2=0x20) for hr, spo2 in ((72, 97), (200, 96), (300, 95)))
    packets, refused = read(is_df2, a + doubled(b, place) + followed(c))
    assert packets == ([(a, 0), (b, 0), (c, 0)] if place == 1 else [(a, 0), (c, 25)])
    assert refused == ["framing"]


@pytest.mark.parametrize("is_df2", [True, False])
@pytest.mark.parametrize("place", range(1, 26))
def test_a_frame_that_is_lost(is_df2: bool, place: int) -> None:
    """The packet is refused; with its first frame goes what confirms the packet before."""
    a, b, c = (packet(is_df2, hr=hr, spo2=spo2, stat2=0x20) for hr, spo2 in ((72, 97), (200, 96), (300, 95)))
    packets, refused = read(is_df2, a + a + without(b, place) + followed(c))
    assert packets == ([(a, 0), (c, 50)] if place == 1 else [(a, 0), (a, 0), (c, 25)])
    assert refused == ["framing"]


@pytest.mark.parametrize("is_df2", [True, False])
@given(errors=st.lists(st.tuples(st.sampled_from([doubled, without, None]), st.integers(1, 25)), max_size=8))
def test_one_error_in_each_packet_makes_no_wrong_number(
    is_df2: bool, errors: list[tuple[Callable[[bytes, int], bytes] | None, int]]
) -> None:
    sent = [packet(is_df2, hr=60 + 40 * n, spo2=90 + n, stat2=0x20) for n in range(len(errors))]
    data = b"".join(err(one, place) if err else one for one, (err, place) in zip(sent, errors, strict=True))
    packets, _refused = read(is_df2, data + followed(packet(is_df2)))
    assert {one for one, _lost in packets} <= {*sent, packet(is_df2)}
    assert packets[-1][0] == packet(is_df2)


@pytest.mark.parametrize(("lost", "twice"), [(5, 20), (20, 5), (2, 25), (14, 15)])
def test_two_errors_that_make_up_for_each_other_are_not_seen(lost: int, twice: int) -> None:
    """A known gap, held here so that nobody believes otherwise: 25 frames between two SYNCs, none with a number."""
    good = packet(hr=200, spo2=96, stat2=0x20, srev=7)
    shifted = without(doubled(good, twice), lost + (twice < lost))
    assert len(shifted) == PACKET_BYTES
    assert read(True, followed(shifted)) == ([(shifted, 0)], [])
    assert shifted != good


def test_a_line_that_damages_every_packet_is_no_noise() -> None:
    """Also where none was whole before: the quality of the line must know it."""
    bad = packet()[:52] + b"\x7f" + packet()[53:]
    assert read(True, packet()[60:] + bad * 3 + followed(packet()))[1] == ["checksum"] * 3
    assert read(True, packet()[:9] + b"\x00" + followed(packet()))[1] == [], "one frame may be chance"


def test_the_last_packet_is_not_read() -> None:
    assert read(True, packet()) == ([], [])
    assert read(True, packet() + packet()[:4]) == ([], [])
    assert read(True, packet() + packet()[:5]) == ([(packet(), 0)], [])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (packet()[60:] + followed(packet()), ["ok", NOISE]),
        (packet() + packet()[:5] + followed(packet()), ["ok", "framing!", "ok", NOISE]),
        (packet() + b"\x02" + packet()[1:] + followed(packet()), ["checksum!", "ok", NOISE]),
        (b"\x01\x81" * 100 + followed(packet()), ["ok", NOISE]),
        (packet(False), [NOISE]),
    ],
)
def test_packets_between_other_bytes(data: bytes, expected: list[str]) -> None:
    assert reasons(Packets(True), data) == expected


def test_df8_vectors() -> None:
    for data, hr, spo2, flags in (
        ("80 48 61 20", "72", "97", {"SPA"}),
        ("81 48 61 00", "200", "97", set()),
        ("83 7F 7F 08", "511", "127", {"SNSA"}),
        ("BC 00 00 29", "0", "0", {"OOT", "LPRF", "MPRF", "ARTF", "SPA", "SNSA", "LOWBAT"}),
    ):
        frame = Df8Frame.from_bytes(bytes.fromhex(data))
        assert isinstance(frame, Df8Frame)
        assert frame.to_bytes() == bytes.fromhex(data)
        assert (frame.reading().values, set(frame.reading().flags)) == ((("HR", hr), ("SpO2", spo2)), flags)
    assert isinstance(Df8Frame.from_bytes(bytes.fromhex("80 48 E1 20")), Fault)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (DF8, []),
        (DF8 * 2, ["ok"]),
        (DF8 * 2 + DF8[:3] + DF8 * 2, ["ok", "framing!", "ok"]),
        (DF8 * 2 + b"\x00" + DF8 * 2, ["ok", "framing!", "ok"]),
        (b"\x00\x00" + DF8 * 2, [NOISE, "ok"]),
        (b"\x80\x80" + DF8 * 2, [NOISE, "ok"]),
    ],
)
def test_df8_must_follow_one_another(data: bytes, expected: list[str]) -> None:
    assert reasons(Df8(), data) == expected


def test_the_spot_measurement_of_the_document() -> None:
    read = Spot.from_bytes(SPOT)
    assert isinstance(read, Spot)
    assert read.to_bytes() == SPOT == spot()
    seen = read.reading()
    assert (seen.values, set(seen.flags), seen.time) == (
        (("PR", "72"), ("SpO2", "97")),
        {"SPA"},
        "2026-11-24 14:30:15",
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (SPOT[:-1] + b"\x04", "framing"),
        (SPOT[:3] + b"\x0e" + SPOT[4:], "framing"),
        (SPOT[:5] + b"\x0d" + SPOT[6:], "length"),
        (spot(more=b"\x00" * 51), "length"),
        (SPOT[:-2] + b"\x80\x03", "checksum"),
    ],
)
def test_what_is_no_spot_measurement(data: bytes, reason: str) -> None:
    found = Spot.from_bytes(data)
    assert isinstance(found, Fault)
    assert (found.reason, found.rejected) == (reason, True)


def test_every_flipped_bit_of_a_spot_measurement() -> None:
    for bit in range(len(SPOT) * 8):
        damaged = bytearray(SPOT)
        damaged[bit // 8] ^= 1 << bit % 8
        assert "ok" not in reasons(Df13(), bytes(damaged))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (SPOT, ["ok"]),
        (b"\xff\x00" + SPOT + b"\x00\x02", [NOISE, "ok"]),
        (SPOT[:5] + b"\x0f" + SPOT[6:] + SPOT, ["framing!", NOISE, "ok"]),
        (SPOT[:5] + b"\xff" + SPOT[6:] + SPOT, ["length!", NOISE, "ok"]),
        (spot(more=b"\x01\x02"), ["ok"]),
    ],
)
def test_spot_measurements_between_other_bytes(data: bytes, expected: list[str]) -> None:
    assert reasons(Df13(), data) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"SPO2=097 HR=072", "ok"),
        (b"SPO2=--- HR=---", "ok"),
        (b"SPO2=097 HR=072 F", "ok"),
        (b"SPO2=097 HR=072 F*", "ok"),
        (b"SPO2=097 HR=072*", "ok"),
        (b"SPO2=097 HR=072 B", "ok"),
        (b"14:30:15 SPO2=097 HR=072", "ok"),
        (b"SPO2=97 HR=072", "framing!"),
        (b"SPO2=097 HR=07", "framing!"),
        (b"SPO2=097 HR=072 X", "framing!"),
        (b"SPO2=09- HR=072", "framing!"),
        (b"SPO2=097", "framing!"),
        (b"SPO2=097 HR=072 FF", "count!"),
        (b"NONIN 9600 VER 2", "text_line"),
        (b"IMPRESSION TERMIN\xc9E", "text_line"),
        (b"\x00\x01\x02\x03", NOISE),
    ],
)
def test_lines_of_text(line: bytes, reason: str) -> None:
    assert reasons(Text(), line + b"\r\n") == [reason]
    assert reasons(Text(), line + b"\n") != ["ok"]


@pytest.mark.parametrize("name", FRAMERS)
def test_every_cut(name: str) -> None:
    make, data = FRAMERS[name]
    data = followed(data) if name in ("df2", "df7") else data
    for end in range(len(data)):
        framer = make()
        framer.feed(data)
        assert "ok" not in reasons(framer, data[:end])
        assert "ok" in reasons(framer, data[end:])
        framer.drop()
        assert "ok" not in reasons(framer, data[end:] if end else b"")


@pytest.mark.parametrize("name", FRAMERS)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_split(name: str, seed: int) -> None:
    make, good = FRAMERS[name]
    chance = random.Random(seed)
    data = b"".join(
        chance.choice([good, good, good[: chance.randint(0, 60)], chance.randbytes(7)]) for _n in range(8)
    )
    whole, split = make(), make()
    expected = [i for i in whole.feed(data) if not isinstance(i, Fault) or i.rejected]
    found: list[object] = []
    at = 0
    while at < len(data):
        size = chance.randint(1, 90)
        found += [i for i in split.feed(data[at : at + size]) if not isinstance(i, Fault) or i.rejected]
        at += size
    assert found == expected


@pytest.mark.parametrize("name", FRAMERS)
@given(noise=st.binary(max_size=600))
def test_after_noise_it_is_found_again(name: str, noise: bytes) -> None:
    make, good = FRAMERS[name]
    framer = make()
    framer.feed(noise + b"\r\n" + good * (PACKET_BYTES // len(good) + 2))
    last = framer.feed(good)[-1]
    assert isinstance(last, Reading | Packet)
