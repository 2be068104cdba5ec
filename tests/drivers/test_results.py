"""What laboratory drivers share: numbers, identities, memory, the check digit of LOINC."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault, Output
from drivers.observation import Device, Result
from drivers.results import (
    MEMORY_IDENTITIES,
    NUMBERS_ENTRIES,
    Answers,
    KnownResults,
    Number,
    Numbers,
    Step,
    content_identity,
    is_loinc,
    judge,
    read_number,
    require_loinc,
    status_untold,
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


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_raises_and_an_answer_is_what_was_sent(word: str, figure: str) -> None:
    for answers in (Answers(["(?:.* )?DETECTED", "[0-9]\\+"]), Answers((), any_word=True), Answers(())):
        alone = answers.read(word, read_number(word))
        both = answers.read_beside(word, read_number(word), read_number(figure) if figure.strip() else None)
        for found in (alone, both):
            assert found.answer in ("", word.strip())
            assert not found.is_absent or found.reason
            assert not found.answer or read_number(word).reason == "not_numeric"
            assert found.value is None or found.value in (read_number(word).value, read_number(figure).value)


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


@pytest.mark.parametrize(
    ("text", "flags", "has_unit", "verdict"),
    [
        ("7.2", "", True, ("valid", "")),
        ("7.2", "L", True, ("valid", "")),
        ("7.2", "L*", True, ("questionable", "unreliable")),
        ("7.2", ("L", "*?"), True, ("questionable", "unreliable")),
        ("7.2", "X", True, ("questionable", "unknown_flag")),
        ("7.2", "*", False, ("not_available", "unit_unknown")),
        ("--", "*", False, ("not_available", "not_measured")),
    ],
)
def test_a_number_is_judged_with_its_flags(
    text: str, flags: str | tuple[str, ...], has_unit: bool, verdict: tuple[str, str]
) -> None:
    assert judge(read_number(text), flags, "LH", has_unit=has_unit) == verdict


def test_the_status_that_no_device_told() -> None:
    assert status_untold("valid", "") == status_untold("not_available", "not_measured") == "unknown"
    assert status_untold("questionable", "unreliable") == status_untold("not_available", "masked") == "questionable"


def test_what_cannot_be_a_loinc_code_is_named() -> None:
    require_loinc({"RBC": "789-8"})
    with pytest.raises(ValueError, match=r"'789-9', the LOINC code for 'RBC', .* check digit"):
        require_loinc({"WBC": "6690-2", "RBC": "789-9"})


def test_a_step_promises_with_the_first_reply_after_an_observation() -> None:
    step = Step()
    step.replies += b"\x06\x06"
    step.publish([result("1")])
    step.replies += b"\x06"
    step.publish([result("2"), result("1")])
    step.replies += b"\x06"
    step.faults.append(Fault("noise"))
    step.frames += 2
    output = step.output(9.0)
    assert (output.send, output.refusal) == (b"\x06" * 4, b"\x06\x06\x15")
    assert [seen.identity for seen in output.observations if isinstance(seen, Result)] == ["1", "2"]
    assert output.faults == (Fault("duplicate_result"), Fault("noise"))
    assert (output.frames, output.wake_at) == (2, 9.0)
    assert step.output() == Output()


def test_without_a_reply_after_it_nothing_is_promised() -> None:
    step = Step()
    step.replies += b"\x06"
    step.observe(result("1"))
    assert step.output().refusal == b""
    step.replies += b"\x06"
    assert step.output() == Output(send=b"\x06")


def test_a_device_is_told_once_and_when_it_changes() -> None:
    step = Step()
    told = [{"serial": "1"}, {"serial": "1"}, {"serial": "2"}]
    for identity in told:
        step.identify(identity)
    devices = [Device(connection="connected", validity="valid", identity={"serial": number}) for number in "12"]
    assert step.output().observations == tuple(devices)


def test_a_step_answers_what_is_settled_if_its_driver_answers() -> None:
    said = {None: b"A", Fault("layout"): b"N", Fault("noise"): b""}
    answering, listening = Step(said.__getitem__), Step()
    for fault in said:
        answering.settle(fault)
        listening.settle(fault)
    faults = (Fault("layout"), Fault("noise"))
    assert answering.output() == Output(send=b"AN", faults=faults)
    assert listening.output() == Output(faults=faults)
