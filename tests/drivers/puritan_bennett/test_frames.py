"""Reports: what fits length, count, widths and characters is one; nothing else is, however it is cut or damaged."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.puritan_bennett.frames import LAYOUTS, MAX_FRAME_BYTES, Framer, Report
from tests.drivers.puritan_bennett.reports import PB_980, VC, misca, miscf, width

HEADER, TRAILER = bytes.fromhex("4d 49 53 43 46 2c 31 32 32 35 2c 31 36 39 20 2c 02"), bytes.fromhex("2c 03 0d")
"""As the document at hand gives them."""


def reasons(data: bytes) -> list[str]:
    framer = Framer()
    return [item.reason if isinstance(item, Fault) else item.name for item in framer.feed(data)]


def test_the_recorded_shape() -> None:
    """1244 bytes, STX at 16, ETX at 1242, CR at 1243, 1225 bytes between, 169 fields each with its comma."""
    data = miscf()
    assert (len(data), data.index(2), data.index(3), data.index(13)) == (1244, 16, 1242, 1243)
    assert data.startswith(HEADER)
    assert data.endswith(TRAILER)
    assert sum(LAYOUTS[1225]) == 1056
    report = Report.from_bytes(data)
    assert isinstance(report, Report)
    assert (report.name, report.declared, len(report.fields)) == ("MISCF", 1225, 169)
    assert {n: report[n].strip() for n in VC} == VC
    assert all(report[n].isspace() for n in range(5, 174) if n not in VC)


@pytest.mark.parametrize("length", [1225, 1226, 1229])
def test_both_conventions_of_the_length(length: int) -> None:
    data = miscf(PB_980, length)
    report = Report.from_bytes(data)
    assert isinstance(report, Report)
    assert len(report[156]) == width(156, length)
    assert report.to_bytes() == data
    assert len(data) <= MAX_FRAME_BYTES
    if length != 1225:
        assert data.index(b"\r") - data.index(b"\x02") - 1 == length


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (miscf(length=1225).replace(b"1225", b"1224"), "length"),
        (miscf(length=1225).replace(b"1225", b"1229"), "length"),
        (miscf(length=1229).replace(b"1229", b"1225"), "length"),
        (miscf(length=1229).replace(b"1229", b"1228"), "length"),
        (miscf().replace(b",169 ,", b",170 ,"), "count"),
        (miscf().replace(b",169 ,", b",97 ,"), "count"),
        (miscf().replace(b"14.0  ,0.450", b"14.0  .0.450"), "count"),
        (miscf().replace(b"14.0  ,", b"14.0 ,,"), "count"),
        (miscf().replace(b"14.0  ,0.450 ,", b"14.0   ,0.450,"), "width"),
        (miscf().replace(b"14.0  ,", b" 14.0 ,"), "width"),
        (miscf()[:-1] + b"\n", "framing"),
        (miscf().replace(b"\x03", b","), "framing"),
        (miscf().replace(b"0.450", b"0.4\xb50"), "framing"),
        (miscf().replace(b"0.450", b"0.4\x7f0"), "framing"),
        (miscf().replace(b"MISCF", b"MISCG"), "framing"),
        (miscf().replace(b"1225,", b"1225;"), "framing"),
        (miscf()[:-3] + b"\x03\r", "framing"),
        (misca("1").replace(b",97 ,", b",98 ,"), "count"),
        (misca("1").replace(b"MISCA", b"MISCF"), "count"),
        (misca("1").replace(b"MISCA,679", b"MISCA,681"), "length"),
        (misca("1").replace(b"MISCA,679", b"MISCA,678"), "length"),
        (misca("1").replace(b"1     ,", b"1      ,").replace(b"MISCA,679", b"MISCA,680"), "width"),
        (b"", "framing"),
    ],
)
def test_refused_whole(data: bytes, reason: str) -> None:
    found = Report.from_bytes(data)
    assert isinstance(found, Fault)
    assert (found.reason, found.rejected) == (reason, True)


@pytest.mark.parametrize("declared", [679, 680])
def test_the_short_report_by_commas_and_counts(declared: int) -> None:
    """97 fields, 706 bytes where three of them are longer; counted to ETX or to CR."""
    data = misca("1").replace(b"MISCA,679", b"MISCA,%d" % declared)
    report = Report.from_bytes(data)
    assert isinstance(report, Report)
    assert (len(report.fields), report.declared, report.to_bytes()) == (97, declared, data)
    wide = misca("09:41", "840 1".ljust(18), "", "MAR 14 2024 ", *[""] * 53, "MAR 14 2024 ", *[""] * 37, " " * 9)
    assert wide.startswith(b"MISCA,706,97 ,")
    assert isinstance(Report.from_bytes(wide), Report)


def test_every_cut() -> None:
    data = miscf()
    for end in range(len(data)):
        framer = Framer()
        assert not [item for item in framer.feed(data[:end]) if isinstance(item, Report)]
        assert [item.rejected for item in framer.drop()] == ([True] if end >= 4 else [])
        framer.feed(data[:end])
        assert [type(item) for item in framer.feed(data[end:])] == [Report]


def test_every_flipped_bit_leaves_the_widths_alone() -> None:
    """What still is a report after a flipped bit differs from the one that was sent in one character of one field."""
    data = miscf()
    sent = Report.from_bytes(data)
    assert isinstance(sent, Report)
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        found = Report.from_bytes(bytes(damaged))
        if isinstance(found, Report):
            assert found.declared == sent.declared
            differ = [(a, b) for a, b in zip(found.fields, sent.fields, strict=True) if a != b]
            assert len(differ) <= 1
            assert all(len(a) == len(b) for a, b in differ)


@given(seed=st.integers(0, 2**32 - 1))
def test_any_split(seed: int) -> None:
    chance = random.Random(seed)
    data = b"".join(
        chance.choice([miscf(), misca("2"), miscf()[: chance.randint(1, 1243)], b"MISC", b"MIS", b"\x02\x03\r", b"x"])
        for _n in range(6)
    )
    whole, split = Framer(), Framer()
    expected = [item for item in whole.feed(data) if not isinstance(item, Fault) or item.rejected]
    found = []
    at = 0
    while at < len(data):
        size = chance.randint(1, 700)
        found += [item for item in split.feed(data[at : at + size]) if not isinstance(item, Fault) or item.rejected]
        at += size
    assert found == expected


@given(noise=st.binary(max_size=3000))
def test_the_next_report_is_found(noise: bytes) -> None:
    framer = Framer()
    framer.feed(noise)
    assert isinstance(framer.feed(miscf())[-1], Report)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"MIS", []),
        (b"SNDF\r", [NOISE]),
        (b"\xff" * 50 + b"MI" + b"\x00" * 50, [NOISE]),
        (b"xx" + miscf() + b"yy", [NOISE, "MISCF", NOISE]),
        (b"MISC" + miscf(), ["framing", "MISCF"]),
        (miscf()[:500] + miscf(), ["framing", "MISCF"]),
        (miscf()[:500] + b"\x00" + miscf()[501:] + miscf(), ["framing", "MISCF"]),
        (miscf()[:-1] + b"\x03\r" + miscf(), ["framing", "MISCF"]),
        (HEADER + b" " * 5000 + miscf(), ["length", "MISCF"]),
        (HEADER + b" " * 1229 + b"\x03\r" + miscf(), ["length", "MISCF"]),
    ],
)
def test_what_stands_between(data: bytes, expected: list[str]) -> None:
    assert reasons(data) == expected
    framer = Framer()
    one_by_one = [item for byte in data for item in framer.feed(bytes([byte]))]
    assert [item.reason if isinstance(item, Fault) else item.name for item in one_by_one] == expected


def test_bounded() -> None:
    framer = Framer()
    framer.feed(HEADER)
    for _n in range(100):
        framer.feed(b"0" * 1000)
        assert len(framer._buffer) <= MAX_FRAME_BYTES + 1000
