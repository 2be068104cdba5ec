"""What laboratory drivers share: numbers, identities, memory, the check digit of LOINC."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import Result
from drivers.results import (
    MEMORY_IDENTITIES,
    NUMBERS_ENTRIES,
    KnownResults,
    Number,
    Numbers,
    content_identity,
    is_loinc,
    read_number,
)


def result(identity: str, specimen: str = "S1", device_time: str = "", started: str = "") -> Result:
    return Result(
        validity="valid",
        specimen=specimen,
        test="T",
        value=None,
        status="final",
        identity=identity,
        device_time=device_time,
        started=started,
    )


@pytest.mark.parametrize(
    ("text", "value", "comparator", "reason"),
    [
        ("97.0", "97.0", "", ""),
        (" >= 3 ", "3", ">=", ""),
        (".5", "0.5", "", ""),
        ("1.2E3", "1.2E+3", "", ""),
        ("*7.2", None, "", "masked"),
        ("--.-", None, "", "not_measured"),
        ("n/a", None, "", "not_measured"),
        ("no result", None, "", "no_result"),
        ("Invalid", None, "", "invalid"),
        ("Positif", None, "", "not_numeric"),
        ("1,5", None, "", "not_numeric"),
        ("٣", None, "", "not_numeric"),
    ],
)
def test_numbers(text: str, value: str | None, comparator: str, reason: str) -> None:
    found = read_number(text)
    assert (None if found.value is None else str(found.value), found.comparator, found.reason) == (
        value,
        comparator,
        reason,
    )


def test_a_decimal_comma() -> None:
    assert read_number("<0,25", decimal_comma=True) == Number(Decimal("0.25"), "<", "")
    assert read_number("0.25", decimal_comma=True).value is None


@given(st.text(max_size=30))
def test_no_text_raises_and_a_number_is_what_it_says(text: str) -> None:
    for comma in (False, True):
        found = read_number(text, decimal_comma=comma)
        assert (found.value is None) == bool(found.reason)
        if found.value is not None:
            assert found.value.is_finite()
            assert Decimal(text.strip().lstrip("<>=").strip().replace(",", ".")) == found.value


def test_remembered_numbers_are_bounded() -> None:
    asked: list[str] = []

    def read(text: str) -> Number:
        asked.append(text)
        return Number(None, "", text)

    numbers = Numbers(read)
    assert [numbers.read("7").reason for _ in range(3)] == ["7"] * 3
    assert asked == ["7"]
    for number in range(3 * NUMBERS_ENTRIES):
        numbers.read(str(number))
    assert len(numbers._known) <= NUMBERS_ENTRIES
    numbers.forget()
    numbers.read("9" * 99)
    assert not numbers._known


def test_replicates_of_one_message_are_told_apart_the_same_way_again() -> None:
    first, second = ([content_identity("a\rb", met) for _ in range(3)] for met in (set[str](), set[str]()))
    assert first == second
    assert len(set(first)) == 3
    assert all(len(identity) == 32 for identity in first)


def test_known_results() -> None:
    known = KnownResults()
    assert [known.is_repeat(result(name)) for name in "aba"] == [False, False, True]
    nobody = result("c", specimen="")
    assert [known.is_repeat(nobody) for _ in range(2)] == [False, False], "nothing tells two of these apart"
    for timed in (result("d", "", device_time="2026"), result("e", "", started="2026")):
        assert [known.is_repeat(timed) for _ in range(2)] == [False, True]
    for number in range(MEMORY_IDENTITIES):
        known.is_repeat(result(str(number)))
    assert not known.is_repeat(result("a"))
    assert len(known._known) == len(known._oldest) == MEMORY_IDENTITIES


@pytest.mark.parametrize("code", ["718-7", "789-8", "6690-2", "777-3", "32623-1", "21000-5"])
def test_loinc(code: str) -> None:
    assert is_loinc(code)


@pytest.mark.parametrize("code", ["789-9", "718-8", "7187", "718-", "-7", "X-MIC", "718-77", "", " 718-7", "٧18-7"])
def test_no_loinc(code: str) -> None:
    assert not is_loinc(code)
