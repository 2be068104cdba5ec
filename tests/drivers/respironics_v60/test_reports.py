"""Bytes in, reports and faults out: counts, widths, characters, every cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.respironics_v60.reports import Item, Report, Scanner

HEAD = b"VRPT,029,04 ,\x02"
DATA = b",13:45 ,1     ,2     ,3     ,"
SMALL = HEAD + DATA + b"\x03\r"
FIELDS = ("13:45 ", "1     ", "2     ", "3     ")
GOOD = Report("VRPT", 29, FIELDS)


def vrpt(**texts: str) -> bytes:
    """A V60 report; two long fields stand where nothing is read."""
    fields = {number: "      " for number in range(1, 134)} | {2: "JAN 01 2026 ", 3: "X" * 56}
    fields |= {1: "13:45 ", 53: "MODE A", 77: "0.482 ", 85: "86    ", 87: "0.33  "}
    fields |= dict.fromkeys((*range(102, 112), 113, 115, 118, 119, 121, 123, 125, 126, 127), "NORMAL")
    fields |= {int(key[1:]): text.ljust(6) for key, text in texts.items()}
    content = "," + ",".join(fields[number] for number in range(1, 134)) + ","
    return b"VRPT,%d,133,\x02%s\x03\r" % (len(content), content.encode())


def misca(ident: str = "V200 0001         ", **texts: str) -> bytes:
    """A MISCA of 706 characters without a comma behind STX."""
    fields = {number: "      " for number in range(1, 98)} | {1: "13:45 ", 2: ident, 3: "FEB 23 1997 ", 4: "Y" * 15}
    fields |= {int(key[1:]): text.ljust(6) for key, text in texts.items()}
    content = ",".join(fields[number] for number in range(1, 98)) + ","
    return b"MISCA,%d,97 ,\x02%s\x03\r" % (len(content), content.encode())


def test_a_report() -> None:
    assert Scanner().feed(SMALL) == [GOOD]
    assert GOOD.to_bytes() == SMALL.replace(b"029,04 ,", b"29,4,")
    (report,) = Scanner().feed(vrpt())
    assert isinstance(report, Report)
    assert (report.characters, len(report.fields), report.field(77)) == (988, 133, "0.482 ")
    assert report.to_bytes() == vrpt()


def test_no_comma_behind_stx() -> None:
    (report,) = Scanner().feed(misca())
    assert isinstance(report, Report)
    assert (report.name, report.characters, len(report.fields)) == ("MISCA", 706, 97)
    assert report.field(3) == "FEB 23 1997 "


REFUSED = [
    (SMALL.replace(b"029", b"028"), "framing"),
    (SMALL.replace(b"029", b"030"), "framing"),
    (SMALL.replace(b"04 ", b"05 "), "count"),
    (SMALL.replace(b" ,2", b"  2"), "count"),
    (SMALL.replace(b"2     ,", b",,,,,,,"), "count"),
    (SMALL.replace(b"1     ", b"1\x00    "), "framing"),
    (SMALL.replace(b"1     ", b"\xb1     "), "framing"),
    (SMALL.replace(b"\x03\r", b"\x03\n"), "framing"),
    (SMALL.replace(b"\x03\r", b"\x02\r"), "framing"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED)
def test_refused(data: bytes, reason: str) -> None:
    items = Scanner().feed(data)
    assert items[0] == Fault(reason, "VRPT", rejected=True)
    assert not [item for item in items if isinstance(item, Report)]


@pytest.mark.parametrize("data", [b"ERROR\r" + b"x" * 20, b"\x02\x03\r" * 9, b"XXXX,029,04 ,\x02" + DATA + b"\x03\r"])
def test_noise(data: bytes) -> None:
    assert {item.reason for item in Scanner().feed(data) if isinstance(item, Fault)} == {NOISE}


def test_a_length_that_is_not_the_characters() -> None:
    assert Report.from_bytes(b"VRPT", 30, 4, DATA) == Fault("length", "VRPT", rejected=True)


def test_behind_a_torn_one() -> None:
    for cut in range(len(SMALL)):
        items = Scanner().feed(SMALL[:cut] + SMALL)
        assert items[-1] == GOOD, cut
        assert len([item for item in items if isinstance(item, Report)]) == 1


def test_dropped() -> None:
    scanner = Scanner()
    scanner.feed(SMALL[:20])
    scanner.drop()
    assert not [item for item in scanner.feed(SMALL[20:]) if isinstance(item, Report)]


def test_line_ends_between_reports_are_no_noise() -> None:
    assert Scanner().feed(b"\r\n" + SMALL + b"\n" + SMALL) == [GOOD, GOOD]


def _counted(items: list[Item]) -> list[Item]:
    return [item for item in items if item != Fault(NOISE)]


@given(
    st.lists(st.sampled_from([SMALL, SMALL[:9], SMALL[:30], SMALL[5:], b"V", b"\x02", b"\r", b"MISCA,"])), st.data()
)
def test_cut_anywhere(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = _counted(Scanner().feed(stream))
    scanner, came, at = Scanner(), list[Item](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, 30))
        came += scanner.feed(stream[at : at + size])
        at += size
    assert _counted(came) == whole
