"""Records: what a block's information must look like, and what its parts say."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bbraun_bcc.records import Answer, Quadruple, is_pump, number, parse_answer

ONE = Quadruple("300", "50111", "INRT", "5.00")


@pytest.mark.parametrize(
    ("info", "answer"),
    [
        (b"SpaceCOM/1/1>300,50111,INRT,5.00", Answer("SpaceCOM", (ONE,))),
        (b"SpaceCOM/1/1>", Answer("SpaceCOM", ())),
        (b"a-b.c/1/1>300,50111,INRT,5.00\x1e300,50111,INRT,5.00", Answer("a-b.c", (ONE, ONE))),
        (b"a/1/1>300,50111,INSOL,NaCl, 0,9 %", Answer("a", (Quadruple("300", "50111", "INSOL", "NaCl, 0,9 %"),))),
        (b"a/1/1>300,50111,INSOL,", Answer("a", (Quadruple("300", "50111", "INSOL", ""),))),
        (b"a/1/1>1,50100,V3.30", Answer("a", (Quadruple("1", "50100", "V3.30", ""),))),
        (b"a/1/1>1,50111,INSOL,\xee\x80\xa1", Answer("a", (Quadruple("1", "50111", "INSOL", "\ue021"),))),
        (b"a/1/1>1,50111,INSOL,\xe9t\xe9", Answer("a", (Quadruple("1", "50111", "INSOL", None),))),
    ],
)
def test_answers(info: bytes, answer: Answer) -> None:
    assert parse_answer(info) == answer


@pytest.mark.parametrize(
    "info",
    [
        b"",
        b"300,50111,INRT,5.00",
        b"/1/1>300,50111,INRT,5.00",
        b"a/1/2>300,50111,INRT,5.00",
        b"a b/1/1>300,50111,INRT,5.00",
        b"\xc3\xa9/1/1>300,50111,INRT,5.00",
        b"a" * 65 + b"/1/1>300,50111,INRT,5.00",
        b"a/1/1>300,50111,INRT,5.00\x1e",
        b"a/1/1>\x1e300,50111,INRT,5.00",
        b"a/1/1>,50111,INRT,5.00",
        b"a/1/1>-3,50111,INRT,5.00",
        b"a/1/1>300,5011,INRT,5.00",
        b"a/1/1>300,501111,INRT,5.00",
        b"a/1/1>300,50111,,5.00",
        b"a/1/1>300,50111,inrt,5.00",
        b"a/1/1>300,50111,IN RT,5.00",
        b"a/1/1>300,50111,INRT,5\x0300",
        b"a/1/1>300,50111,INRT,5\x1f00",
        b"a/1/1>300,50111,INSOL," + b"x" * 513,
        b"a/1/1>300",
        b"a/1/1>MEM:GET",
    ],
)
def test_all_or_nothing(info: bytes) -> None:
    assert parse_answer(info) is None


@given(st.binary(max_size=120))
def test_total(info: bytes) -> None:
    parse_answer(info)
    parse_answer(b"a/1/1>" + info)


@pytest.mark.parametrize(
    ("address", "slot"),
    [
        ("50111", "11"),
        ("5013O", "3O"),
        ("5012A", "2A"),
        ("50100", "00"),
        ("50110", "10"),
        ("50101", ""),
        ("50141", ""),
        ("5011P", ""),
        ("50211", ""),
    ],
)
def test_slots(address: str, slot: str) -> None:
    assert Quadruple("1", address, "INRT", "").slot == slot
    assert is_pump(slot) == (slot in ("11", "3O", "2A"))


@pytest.mark.parametrize(
    ("parameter", "value", "is_version"),
    [("V3.30", "", True), ("V3.25.1", "", True), ("V3.30", "1", False), ("V3", "", False), ("VERSION", "", False)],
)
def test_versions(parameter: str, value: str, is_version: bool) -> None:
    assert Quadruple("1", "50100", parameter, value).is_version == is_version
    assert not Quadruple("1", "50111", parameter, value).is_version


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5.00", "5.00"),
        ("0", "0"),
        ("-1.5", "-1.5"),
        ("000012", "12"),
        ("600000", "600000"),
        ("0.000001", "0.000001"),
    ],
)
def test_numbers_keep_their_digits(text: str, value: str) -> None:
    assert str(number(text)) == str(Decimal(value))


@pytest.mark.parametrize(
    "text", ["", "_NV", "_NA", "5,00", "5.", ".5", "+5", "1e3", "NaN", " 5", "5 ", "٥", "1" * 13, "--", "5.0000001"]
)
def test_no_numbers(text: str) -> None:
    assert number(text) is None
