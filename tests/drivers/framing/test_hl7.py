"""HL7 version 2 messages: fields by number, delimiters, escapes, what is refused, and back without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault
from drivers.framing.hl7 import Delimiters, Message, Segment, decode

HEADER = rb"MSH|^~\&|||||||ORU^R01|204|P|2.3.1|"
OBX = b"OBX||NM|101^HR|2101|60||||||F"
PLAIN = Delimiters()


def message(data: bytes, encoding: str = "") -> Message:
    """A message that must be one."""
    found = Message.from_bytes(data, encoding)
    assert isinstance(found, Message), found
    return found


def test_fields_are_counted_as_in_the_standard() -> None:
    one = message(HEADER + b"\r" + OBX + b"\r")
    assert [one.header[n] for n in (0, 1, 2, 9, 10, 11, 12, 13, 99)] == [
        *("MSH", "|", "^~\\&", "ORU^R01", "204", "P", "2.3.1", "", ""),
    ]
    assert [one.named("OBX")[0][n] for n in (2, 3, 5, 11, 12)] == ["NM", "101^HR", "60", "F", ""]
    assert one.named("PID") == ()


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n"])
@pytest.mark.parametrize("last", [True, False])
def test_every_line_end_is_read(end: bytes, last: bool) -> None:
    data = HEADER + end + OBX + end + OBX + (end if last else b"")
    assert message(data) == message(HEADER + b"\r" + OBX + b"\r" + OBX + b"\r")


def test_blank_lines_are_no_segments() -> None:
    assert message(HEADER + b"\r\r\n\n" + OBX) == message(HEADER + b"\r" + OBX)


def test_a_message_names_its_own_delimiters() -> None:
    one = message(b"MSH*:+!;*A*\rOBX*1*x:y\r")
    assert one.delimiters == Delimiters("*", ":", "+", "!", ";")
    assert one.delimiters.components(one.segments[1][2]) == ("x", "y")
    assert message(b"MSH|^|a").delimiters == Delimiters("|", "^", "", "", "")
    assert message(rb"MSH|^~\&#|a").delimiters == PLAIN


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "MSH"),
        (b"PID|1", "MSH"),
        (b"MSH", "MSH"),
        (b"MSHA^~|", "MSH"),
        (rb"MSH|^~\&#$|x", "MSH"),
        (rb"MSH|^^\&|x", "delimiters"),
        (HEADER + b"\rOBX|\x00", "character"),
        (HEADER + b"\x0cOBX|", "character"),
        (HEADER + b"\robx|1", "segment"),
        (HEADER + b"\rOBXX|1", "segment"),
        (HEADER + b"<CR>\n|", "segment"),
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(data: bytes, detail: str) -> None:
    assert Message.from_bytes(data) == Fault("framing", detail, rejected=True)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("plain", "plain"),
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two", "one\ntwo"),
        (r"\X41e9\!", "Aé!"),
        (r"\H\loud\N\ \Zx\ \X4\ ", r"\H\loud\N\ \Zx\ \X4\ "),
        ("an end\\", "an end\\"),
    ],
)
def test_escapes(sent: str, meant: str) -> None:
    assert PLAIN.unescape(sent) == meant


def test_parts_and_a_message_without_escapes() -> None:
    assert PLAIN.repetitions("a~b^c") == ("a", "b^c")
    assert PLAIN.subcomponents("0&0") == ("0", "0")
    bare = Delimiters("|", "^", "", "", "")
    assert bare.subcomponents("0&0") == ("0&0",)
    assert bare.unescape("a\\F\\b") == "a\\F\\b"
    assert bare.quote("0&0") == "0&0"
    with pytest.raises(ValueError, match="no escape"):
        bare.quote("a|b")


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        ("é".encode(), "", "é"),
        (b"\xe9", "", "é"),
        ("心率".encode("gbk"), "gbk", "心率"),
        (b"\xff", "utf-8", "\ufffd"),
    ],
)
def test_text(data: bytes, encoding: str, text: str) -> None:
    assert decode(data, encoding) == text


@given(text=st.text())
def test_what_was_quoted_is_read_back(text: str) -> None:
    quoted = PLAIN.quote(text)
    assert PLAIN.unescape(quoted) == text
    assert not set(quoted) & set("|^~&")


FIELD = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, blacklist_characters="|\x7f"))
SEGMENT = st.builds(lambda n, f: Segment((n, *f)), st.sampled_from(["OBX", "PID", "PV1"]), st.lists(FIELD))


@given(segments=st.lists(SEGMENT))
def test_a_message_comes_back_as_it_was_sent(segments: list[Segment]) -> None:
    one = Message(PLAIN, (message(HEADER).header, *segments))
    assert message(one.to_bytes()) == one
    assert message(one.to_bytes()).to_bytes() == one.to_bytes()


@given(data=st.binary())
def test_any_bytes_are_a_message_or_a_fault(data: bytes) -> None:
    for candidate in (data, HEADER + b"\r" + data):
        found = Message.from_bytes(candidate)
        assert isinstance(found, Message) or found.rejected
