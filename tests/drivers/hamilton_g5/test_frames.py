"""Bytes in, answers and faults out: lengths, characters, every cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.hamilton_g5.frames import Answer, Scanner, question

ERROR = bytes.fromhex("02 52 45 52 52 4F 52 03 0D")
BROKEN = Fault("framing", rejected=True)


def answer(parameter: int, text: str) -> bytes:
    """A value of one parameter."""
    return bytes([0x02, parameter]) + text.encode() + b"\x03\r"


def test_questions() -> None:
    assert question(35) == bytes.fromhex("02 23 03 0d")
    assert question(86) == bytes.fromhex("02 56 03 0d")


def test_the_sources_error_answer() -> None:
    (found,) = Scanner().feed(ERROR)
    assert found == Answer("RERROR")
    assert isinstance(found, Answer)
    assert found.is_refusal
    assert found.to_bytes() == ERROR
    assert Answer.from_bytes(ERROR) == found


@pytest.mark.parametrize(
    ("data", "content", "parameter", "is_number"),
    [
        (answer(35, " 38.0"), "# 38.0", 35, False),
        (answer(62, "  7.1"), ">  7.1", 62, False),
        (b"\x02A12345\x03\r", "A12345", 65, True),
        (b"\x02C12345\x03\r", "C12345", 67, True),
        (b"\x02X1234\x03\r", "X1234", 0, True),
        (b"\x02A1234\x03\r", "A1234", 0, False),
        (b"\x02X12345\x03\r", "X12345", 88, False),
    ],
)
def test_answers(data: bytes, content: str, parameter: int, is_number: bool) -> None:
    (found,) = Scanner().feed(data)
    assert isinstance(found, Answer)
    assert (found.content, found.parameter, found.is_number()) == (content, parameter, is_number)
    assert found.value == content[1:]
    assert not found.is_refusal
    assert found.to_bytes() == data


@pytest.mark.parametrize(
    ("data", "first"),
    [
        (b"\x02# 3\x80.0\x03\r", BROKEN),
        (b"\x02# 38.0\r", BROKEN),
        (b"\x02# 38.0\x03\n", BROKEN),
        (b"\x02# 38.05\x03\r", BROKEN),
        (b"\x02# 3\x03\r", BROKEN),
        (b"\x02\x03\r", Fault(NOISE)),
        (b"\x02\x02\x02\x00", Fault(NOISE)),
        (b"abc\r", Fault(NOISE)),
    ],
)
def test_refused(data: bytes, first: Fault) -> None:
    found = Scanner().feed(data)
    assert found[0] == first
    assert not [item for item in found if isinstance(item, Answer)]
    assert Answer.from_bytes(data) == BROKEN


def test_behind_a_torn_one() -> None:
    whole = answer(35, " 38.0")
    for cut in range(len(whole)):
        assert Scanner().feed(whole[:cut] + whole)[-1] == Answer("# 38.0"), cut


def test_dropped() -> None:
    scanner = Scanner()
    scanner.feed(ERROR[:4])
    scanner.drop()
    assert not [item for item in scanner.feed(ERROR[4:]) if isinstance(item, Answer)]


def _counted(items: list[Answer | Fault]) -> list[Answer | Fault]:
    return [item for item in items if item != Fault(NOISE)]


PARTS = [ERROR, answer(35, " 38.0"), b"\x02", b"\x03", b"\r", b"\x02abc", b"xyz", b"\xff", b"\x02X1234\x03\r"]


@given(st.lists(st.sampled_from(PARTS)), st.data())
def test_cut_anywhere(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = _counted(Scanner().feed(stream))
    scanner, came, at = Scanner(), list[Answer | Fault](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, 12))
        came += scanner.feed(stream[at : at + size])
        at += size
    assert _counted(came) == whole
