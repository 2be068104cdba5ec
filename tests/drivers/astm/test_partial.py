"""Partial messages: what was received is kept raw, never final, promised to nobody; the whole message follows."""

from collections.abc import Callable

import pytest

from drivers.astm.messages import MAX_MESSAGE_BYTES
from drivers.contract import Output, StreamDriver
from drivers.observation import Result, to_json
from tests.drivers.astm.wire import (
    ACK,
    END,
    ENQ,
    EOT,
    GLUCOSE,
    HEADER,
    NAK,
    ORDER,
    feed,
    frame,
    make,
    message,
    one_each,
    reasons,
    results_of,
    whole,
    whole_of,
)

PATIENT = "P|1||PID0007||NAME^GIVEN"
SECOND = GLUCOSE.replace("^^^GLU", "^^^UREA").replace("|5.5|", "|7.0|")
BEGUN = one_each(HEADER, PATIENT, ORDER, GLUCOSE, "C|1|I|REMARK", SECOND)[:-1]
SESSION = one_each(HEADER, PATIENT, ORDER, GLUCOSE, SECOND, END)

ENDS: dict[str, Callable[[StreamDriver], Output]] = {
    "EOT": lambda driver: driver.receive(EOT, 2.0),
    "EOT in a frame": lambda driver: driver.receive(b"\x027R|3|^^^X|1" + EOT, 2.0),
    "ENQ": lambda driver: driver.receive(ENQ, 2.0),
    "30 s": lambda driver: driver.wake(31.0),
    "a new header": lambda driver: driver.receive(frame(7, HEADER + "\r"), 2.0),
    "L|1|T": lambda driver: driver.receive(frame(7, "L|1|T\r"), 2.0),
    "L|1|E": lambda driver: driver.receive(frame(7, "L|1|E\r"), 2.0),
    "a lost connection": lambda driver: driver.start(2.0),
    "eight frames later": lambda driver: driver.receive(frame(1, "x") + frame(2, "y"), 2.0),
}


def partial_of(output: Output) -> list[Result]:
    return [seen for seen in results_of([output]) if seen.reason == "partial"]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_however_it_ends_it_is_kept_raw_and_never_final(end: Callable[[StreamDriver], Output]) -> None:
    driver = make()
    assert results_of(feed(driver, BEGUN)) == []
    output = end(driver)
    glucose, urea = partial_of(output)
    assert results_of([output]) == [glucose, urea]
    assert (glucose.test, glucose.text, glucose.vendor_unit, glucose.comments) == (
        "GLU",
        "5.5",
        "mmol/L",
        ("REMARK",),
    )
    assert (glucose.specimen, glucose.completed, glucose.vendor_status) == ("S0001", "20260101075800", "F")
    for seen in (glucose, urea):
        assert (seen.value, seen.validity, seen.reason) == (None, "not_available", "partial")
        assert (seen.status, seen.metric, seen.unit, seen.loinc, seen.comparator) == ("questionable", "", "", "", "")
    told = to_json(glucose).decode() + to_json(urea).decode()
    assert not [word for word in ("PID0007", "NAME", "GIVEN", "OP1") if word in told]


@pytest.mark.parametrize("letter", "FVRQCPSIXW")
def test_no_status_makes_it_final(letter: str) -> None:
    driver = make()
    feed(driver, one_each(HEADER, ORDER, GLUCOSE.replace("||F||", f"||{letter}||"))[:-1])
    (seen,) = partial_of(driver.receive(EOT, 2.0))
    assert (seen.value, seen.validity) == (None, "not_available")
    assert (seen.status, seen.vendor_status) == ("questionable", letter)


def test_the_whole_message_after_it_is_published_as_if_nothing_had_been() -> None:
    driver = make()
    cut = feed(driver, [*BEGUN, EOT])
    found = whole_of(feed(driver, SESSION))
    assert found == results_of(feed(make(), SESSION))
    assert len({seen.identity for seen in (*results_of(cut), *found)}) == 4, "a partial result is another one"


def test_the_same_part_again_is_kept_once() -> None:
    driver = make()
    outputs = [output for _try in range(6) for output in feed(driver, [*BEGUN, EOT])]
    assert len(results_of(outputs)) == 2
    assert reasons(outputs).count("duplicate_result") == 10


def test_a_record_that_is_not_whole_is_no_result() -> None:
    driver = make()
    cut = GLUCOSE.index("5.5") + 1
    outputs = feed(driver, [ENQ, frame(1, message(HEADER, ORDER) + GLUCOSE[:cut], b"\x17"), EOT])
    assert (results_of(outputs), reasons(outputs)) == ([], ["partial_message"])


def test_the_box_that_leaves_publishes_nothing() -> None:
    driver = make()
    feed(driver, BEGUN)
    output = driver.stop(2.0)
    assert (results_of([output]), reasons([output]), output.send) == ([], ["partial_message"], b"")


def test_a_message_without_a_header_that_can_be_read_has_no_results() -> None:
    outputs = feed(make(), one_each("H|^^&", ORDER, GLUCOSE))
    assert (results_of(outputs), reasons(outputs)) == ([], ["header", "partial_message"])


def test_what_waits_when_a_message_grows_too_long_is_kept_raw() -> None:
    driver = make()
    feed(driver, [ENQ, frame(1, message(HEADER, ORDER, GLUCOSE))])
    padding = "M|1|" + "x" * 60_000 + "\r"
    for number in range(2, MAX_MESSAGE_BYTES // len(padding) + 4):
        output = driver.receive(frame(number, padding), 1.0)
        if output.send == NAK:
            break
    assert (len(partial_of(output)), output.refusal) == (1, b"")


def test_nothing_promises_it() -> None:
    """The disk is full: an ENQ is answered, the end of a transfer needs no answer; the device sends it all again."""
    driver = make()
    feed(driver, BEGUN)
    asked = driver.receive(ENQ, 2.0)
    assert (asked.send, asked.refusal, len(partial_of(asked))) == (ACK, b"", 2)
    driver = make()
    aborted = driver.receive(whole(HEADER, ORDER, GLUCOSE, "L|1|T"), 2.0)
    assert (aborted.send, aborted.refusal) == (ACK * 2, ACK + NAK), "the frame with the L record can be sent again"


def test_a_promise_after_a_part_is_in_its_own_place() -> None:
    driver = make()
    feed(driver, [whole(HEADER, END)])
    output = driver.receive(b"".join(BEGUN) + EOT + b"".join(SESSION), 2.0)
    assert len(partial_of(output)) == len(whole_of([output])) == 2
    assert (output.send, output.refusal) == (ACK * (len(BEGUN) + len(SESSION) - 1), ACK * 13 + NAK)
