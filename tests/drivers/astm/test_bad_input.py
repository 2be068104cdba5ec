"""What a host must survive, row by row: damaged bytes, doubtful words, devices that restart, disks that are full."""

from decimal import Decimal

import pytest

from drivers.astm.messages import MAX_MESSAGE_BYTES, MAX_MESSAGE_RECORDS
from drivers.contract import NOISE, Fault
from drivers.results import MEMORY_IDENTITIES
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
    read,
    reasons,
    results_of,
    whole,
    whole_of,
)

SESSION = whole(HEADER, ORDER, GLUCOSE, END)


def with_value(value: str) -> str:
    return GLUCOSE.replace("|5.5|", f"|{value}|")


@pytest.mark.parametrize("noise", [b"\x00" * 500, b"\xff" * 500, b"\x00\xff\r\n\x03\x15\x06", b"5.5|mmol/L\r\x03"])
def test_noise_before_and_between(noise: bytes) -> None:
    pieces = one_each(HEADER, ORDER, GLUCOSE, END)
    outputs = feed(make(), [noise + piece for piece in pieces] + [noise])
    assert len(results_of(outputs)) == 1
    assert [reasons([output]) for output in outputs] == [["noise"]] * (len(pieces) + 1)


FOREIGN = {
    "a wrong baud rate, FF": b"\xff" * 1000,
    "a wrong baud rate, 00": b"\x00" * 1000,
    "HL7": b"\x0bMSH|^~\\&|LAB|H|||20260101||ORU^R01|1|P|2.3\rOBX|1|NM|GLU||5.5|mmol/L|||||F\r\x1c\r" * 20,
    "plain text": b"GLU 5.5 mmol/L\r\nWBC 7.2 10*3/uL\r\n" * 30,
    "a printer between line ends": b"\r\n\r\n5.5\r\n\r\n",
}


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_frame_is_seen_once_a_stretch(foreign: bytes, size: int) -> None:
    """A wrong rate or another device is no quiet line; nothing is refused by it, answered to it or lost after it."""
    driver = make()
    outputs = feed(driver, [foreign[at : at + size] for at in range(0, len(foreign), size)])
    assert [fault for output in outputs for fault in output.faults] == [Fault(NOISE)]
    assert (b"".join(output.send for output in outputs), results_of(outputs)) == (b"", [])
    session = feed(driver, [SESSION])
    assert (len(results_of(session)), reasons(session)) == (1, [])
    assert reasons(feed(driver, [foreign])) == ["noise"]


def test_a_reopened_port_counts_its_noise_anew() -> None:
    driver = make()
    assert reasons(feed(driver, [b"\xff", b"\xff"])) == ["noise"]
    driver.start(2.0)
    assert reasons(feed(driver, [b"\xff", b"\xff"])) == ["noise"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "not_measured"),
        ("   ", "not_measured"),
        ("NA", "not_measured"),
        ("n/a", "not_measured"),
        ("-----", "not_measured"),
        ("--.-", "not_measured"),
        (" - ", "not_measured"),
        ("*000", "masked"),
        ("****", "masked"),
        ("*7.2", "masked"),
        ("7.2*", "masked"),
        ("INVALID", "invalid"),
        ("ERROR", "invalid"),
        ("NO RESULT", "no_result"),
        ("POSITIVE", "not_numeric"),
        ("1,5", "not_numeric"),
        ("1.234,5", "not_numeric"),
        ("1 5", "not_numeric"),
        ("5.", "not_numeric"),
        ("1.2.3", "not_numeric"),
        ("0x10", "not_numeric"),
        ("NaN", "not_numeric"),
        ("Infinity", "not_numeric"),
        ("1e999", "not_numeric"),
        ("9" * 50, "not_numeric"),
        ("5^6", "not_numeric"),
        ("=5", "not_numeric"),
        ("\xb2", "not_numeric"),
        ("1_000", "not_numeric"),
        ("++++", "not_numeric"),
        ("PNG&R&20260101&R&WBC.PNG", "not_numeric"),
    ],
)
def test_what_is_no_number_has_none(value: str, reason: str) -> None:
    (result,) = read(HEADER, ORDER, with_value(value), END)
    assert (result.value, result.validity, result.reason, result.text) == (None, "not_available", reason, value)
    assert (result.status == "questionable") == (reason == "masked")


@pytest.mark.parametrize(
    ("value", "number", "comparator"),
    [
        ("5.5", "5.5", ""),
        ("97.0", "97.0", ""),
        ("  5.5", "5.5", ""),
        ("0", "0", ""),
        ("-2.3", "-2.3", ""),
        ("+2", "2", ""),
        (".5", "0.5", ""),
        (">1000", "1000", ">"),
        ("< 0.5", "0.5", "<"),
        ("<=3", "3", "<="),
        (">= 3", "3", ">="),
        ("1.2E3", "1.2E+3", ""),
    ],
)
def test_what_is_a_number_keeps_its_digits(value: str, number: str, comparator: str) -> None:
    (result,) = read(HEADER, ORDER, with_value(value), END)
    assert (str(result.value), result.comparator, result.validity) == (number, comparator, "valid")


@pytest.mark.parametrize(("value", "number"), [("1,5", "1.5"), ("<0,25", "0.25"), ("7", "7"), ("1.5", None)])
def test_a_decimal_comma_where_the_device_has_one(value: str, number: str | None) -> None:
    (result,) = read(HEADER, ORDER, with_value(value), END, options={"decimal_comma": True})
    assert result.value == (Decimal(number) if number else None)


@pytest.mark.parametrize("time", ["19700101000000", "20000101000000", "20991231235959", "", "not a time"])
def test_a_wrong_clock_is_passed_on_as_sent(time: str) -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("20260101075800", time), END)
    assert result.completed == time
    assert result.device_time == (time or "20260101080000")


@pytest.mark.parametrize("unit", ["\xb5g/L", "10\xb3/\xb5l", "\xe9l/L", "5m)", "10)/mm)", "mmol/l"])
def test_an_unknown_unit_is_the_devices_word_alone(unit: str) -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("mmol/L", unit), END)
    assert (result.unit, result.vendor_unit) == ("", unit)


@pytest.mark.parametrize(("encoding", "raw"), [("latin-1", b"\xb5"), ("cp850", b"\xe6"), ("utf-8", "µ".encode())])
def test_letters_in_the_devices_encoding(encoding: str, raw: bytes) -> None:
    text = message(HEADER, ORDER, GLUCOSE, END).encode().replace(b"mmol", raw + b"mol")
    for cut in (text.index(raw) + 1, 5):
        pieces = [ENQ, frame(1, text[:cut], b"\x17"), frame(2, text[cut:]), EOT]
        (result,) = results_of(feed(make(options={"encoding": encoding}), pieces))
        assert result.vendor_unit == "µmol/L"


def test_bytes_that_the_encoding_does_not_have_do_not_raise() -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("mmol", "\xb5mol"), END, options={"encoding": "utf-8"})
    assert result.vendor_unit == "\ufffdmol/L"


def test_an_empty_sample_id_stays_empty() -> None:
    assert [result.specimen for result in read(HEADER, "O|1|||^^^GLU|R", GLUCOSE, END)] == [""]
    assert [result.specimen for result in read(HEADER, GLUCOSE, END)] == [""]


@pytest.mark.parametrize(
    ("header", "order", "purpose"),
    [
        (HEADER, ORDER, "patient"),
        (HEADER, "O|1|S0001||^^^GLU|R||||||Q", "qc"),
        (HEADER.replace("|P|1|", "|Q|1|"), ORDER, "qc"),
    ],
)
def test_quality_control_is_kept_apart(header: str, order: str, purpose: str) -> None:
    assert [result.purpose for result in read(header, order, GLUCOSE, END)] == [purpose]


@pytest.mark.parametrize(("processing", "reason"), [("T", "training"), ("D", "debugging")])
def test_a_rehearsal_is_never_final(processing: str, reason: str) -> None:
    records = HEADER.replace("|P|1|", f"|{processing}|1|"), ORDER, GLUCOSE, with_value("NA"), GLUCOSE + "||", END
    for result in read(*records):
        assert result.status == "questionable"
        assert result.validity != "valid"
    assert read(*records)[0].reason == reason


def test_a_message_without_its_end_is_not_published() -> None:
    outputs = feed(make(), one_each(HEADER, ORDER, GLUCOSE))
    assert (whole_of(outputs), reasons(outputs)) == ([], ["partial_message"])


@pytest.mark.parametrize("code", ["T", "E", "R", "Q", "I", "e", "Z", "NN", "\xe9"])
def test_a_message_that_says_it_is_not_whole_is_not_published(code: str) -> None:
    outputs = feed(make(), [whole(HEADER, ORDER, GLUCOSE, f"L|1|{code}")])
    assert (whole_of(outputs), reasons(outputs), outputs[0].send) == ([], ["partial_message"], ACK * 2)


@pytest.mark.parametrize("end", ["L|1|N", "L|1", "L", "l|1|n", "L|1|F", "L|1|"])
@pytest.mark.parametrize("close", ["\r", ""])
def test_the_end_of_a_message(end: str, close: str) -> None:
    outputs = feed(make(), [ENQ + frame(1, message(HEADER, ORDER, GLUCOSE) + end + close) + EOT])
    assert (len(results_of(outputs)), reasons(outputs)) == (1, [])


def test_an_end_without_cr_is_no_end_in_an_etb_frame() -> None:
    pieces = [ENQ, frame(1, message(HEADER, ORDER, GLUCOSE) + "L|1", b"\x17"), frame(2, "|T\r"), EOT]
    outputs = feed(make(), pieces)
    assert (whole_of(outputs), reasons(outputs)) == ([], ["partial_message"])


def test_a_result_cut_at_an_etx_is_not_a_shorter_number() -> None:
    text = message(HEADER, ORDER, GLUCOSE, END)
    cut = text.index("5.5") + 1
    outputs = feed(make(), [ENQ, frame(1, text[:cut]), frame(2, text[cut:]), EOT])
    assert [result.value for result in results_of(outputs)] == [Decimal("5.5")]


def test_a_second_header_leaves_the_first_message_partial() -> None:
    outputs = feed(make(), [whole(HEADER, ORDER, GLUCOSE, HEADER, ORDER, with_value("6.5"), END)])
    assert [result.value for result in whole_of(outputs)] == [Decimal("6.5")]
    assert reasons(outputs) == ["partial_message"]


def test_records_before_a_header_are_counted() -> None:
    outputs = feed(make(), [whole(ORDER, GLUCOSE, END)])
    assert (results_of(outputs), reasons(outputs)) == ([], ["record_without_header"] * 3)


@pytest.mark.parametrize("header", ["H", "H|", "H||||", "Habcd", "H||^&", "H|^^&", "H|\\", "H| ^&"])
def test_a_header_that_cannot_be_read_gives_nothing(header: str) -> None:
    outputs = feed(make(), [whole(header, ORDER, GLUCOSE, END)])
    assert (results_of(outputs), reasons(outputs)) == ([], ["header", "partial_message"])


def test_a_device_that_restarts_between_frames() -> None:
    driver = make()
    outputs = feed(driver, [*one_each(HEADER, ORDER, GLUCOSE)[:-1], *one_each(HEADER, ORDER, with_value("6.5"), END)])
    assert [result.value for result in whole_of(outputs)] == [Decimal("6.5")]
    assert reasons(outputs) == ["partial_message"]


def test_a_device_that_restarts_in_a_frame() -> None:
    driver = make()
    driver.receive(SESSION[:60], 1.0)
    asked = driver.receive(ENQ, 2.0)
    assert (asked.send, asked.wake_at) == (b"", 3.0)
    assert driver.wake(3.0).send == ACK
    assert len(results_of(feed(driver, [SESSION[1:]], 3.5))) == 1


def test_eot_in_a_frame() -> None:
    driver = make()
    outputs = feed(driver, [SESSION[:60] + EOT, SESSION])
    assert (len(results_of(outputs)), outputs[0].send, outputs[0].wake_at) == (1, ACK, None)


def test_the_receivers_time_out_discards_what_is_incomplete() -> None:
    driver = make()
    feed(driver, one_each(HEADER, ORDER, GLUCOSE)[:-1], 1.0)
    assert driver.wake(30.9).faults == ()
    gone = driver.wake(31.0)
    assert (gone.send, reasons([gone]), gone.wake_at) == (b"", ["timeout", "partial_message"], None)
    assert results_of([driver.receive(frame(4, END + "\r"), 32.0)]) == []


def test_two_devices_on_one_port() -> None:
    other = HEADER.replace("GW-TEST^1.0", "OTHER^2.0")
    driver = make(options={"identity": {"model": 1, "software": 2}})
    outputs = feed(
        driver, [whole(head, ORDER, GLUCOSE + str(n), END) for n, head in enumerate((HEADER, other, other))]
    )
    kinds = [[seen.__class__.__name__ for seen in output.observations] for output in outputs]
    assert kinds == [["Device", "Result"], ["Device", "Result"], ["Result"]]


def test_the_same_session_again_is_published_once() -> None:
    driver = make()
    outputs = feed(driver, [SESSION, SESSION, *one_each(HEADER, ORDER, GLUCOSE, END)])
    assert len(results_of(outputs)) == 1
    assert reasons(outputs) == ["duplicate_result"] * 2
    assert not any(fault.rejected for output in outputs for fault in output.faults)


def test_a_reopened_port_does_not_publish_again() -> None:
    driver = make()
    feed(driver, [SESSION])
    driver.start(50.0)
    assert results_of(feed(driver, [SESSION], 51.0)) == []


@pytest.mark.parametrize(
    "changed",
    [
        with_value("5.6"),
        with_value(">5.5"),
        GLUCOSE.replace("||F||", "||C||"),
        GLUCOSE.replace("075800", "075900"),
        GLUCOSE.replace("GLU", "GLX"),
    ],
)
def test_a_changed_result_is_published(changed: str) -> None:
    driver = make()
    first, second = results_of(feed(driver, [SESSION, whole(HEADER, ORDER, changed, END)]))
    assert first.identity != second.identity


@pytest.mark.parametrize("status", ["R", "Q", "V"])
def test_a_result_transmitted_before_is_a_repeat(status: str) -> None:
    driver = make()
    again = whole(HEADER, ORDER, GLUCOSE.replace("||F||", f"||{status}||"), END)
    assert len(results_of(feed(driver, [SESSION, again]))) == 1


def test_replicates_in_one_message_are_told_apart_and_their_repeat_is_not() -> None:
    driver = make()
    session = whole(HEADER, ORDER, GLUCOSE, GLUCOSE, GLUCOSE, END)
    outputs = feed(driver, [session, session])
    assert len({result.identity for result in results_of(outputs)}) == len(results_of(outputs)) == 3


def test_nothing_is_dropped_that_nothing_tells_apart() -> None:
    """No specimen, no time: an equal number may be another patient's."""
    driver = make()
    session = whole(r"H|\^&", "O|1", "R|1|^^^GLU|5.5|mmol/L||N||F", END)
    assert len(results_of(feed(driver, [session, session]))) == 2
    timed = [whole(HEADER.replace("080000", time), "O|1", "R|1|^^^GLU|5.5", END) for time in ("080000", "080001")]
    assert len(results_of(feed(driver, [timed[0], timed[0], timed[1]]))) == 2


def test_the_memory_of_identities_is_bounded() -> None:
    driver = make()
    many = [with_value(str(number)) for number in range(MEMORY_IDENTITIES)]
    for at in range(0, len(many), 256):
        feed(driver, [whole(HEADER, ORDER, *many[at : at + 256], END)])
    assert results_of(feed(driver, [whole(HEADER, ORDER, many[0], END)])) == []
    assert len(results_of(feed(driver, [whole(HEADER, ORDER, "R|1|^^^NEW|1", END)]))) == 1
    assert len(results_of(feed(driver, [whole(HEADER, ORDER, many[0], many[-1], END)]))) == 1
    assert len(driver._messages._known._known) == MEMORY_IDENTITIES  # type: ignore[attr-defined]


def test_disk_full_before_the_ack() -> None:
    """The Output that carries results carries NAK as its refusal; a fresh driver takes them when they come again."""
    pieces = one_each(HEADER, ORDER, GLUCOSE, END)
    driver = make()
    outputs = feed(driver, pieces[:-1])
    assert [output.refusal for output in outputs] == [b"", NAK, b"", b"", NAK]
    fresh = make()
    ignored = fresh.receive(pieces[-2], 2.0)
    assert (ignored.send, reasons([ignored])) == (b"", ["frame_without_enq"])
    assert len(results_of(feed(fresh, [EOT, *pieces], 20.0))) == 1


def test_a_message_beyond_its_limit_is_refused_and_the_next_is_read() -> None:
    driver = make()
    comment = "C|1|I|" + "x" * 60_000 + "\r"
    outputs = feed(driver, [ENQ, frame(1, message(HEADER, ORDER, GLUCOSE))])
    number = 2
    while outputs[-1].send == ACK:
        outputs.append(driver.receive(frame(number, comment), 1.0))
        number += 1
    assert number > MAX_MESSAGE_BYTES // len(comment)
    assert (outputs[-1].send, reasons(outputs)) == (NAK, ["partial_message", "message_length"])
    refused = driver.receive(frame(number - 1, END + "\r"), 1.0)
    assert (refused.send, results_of([refused])) == (NAK, [])
    assert len(results_of(feed(driver, [EOT, SESSION]))) == 1


def test_the_order_of_faults_is_that_of_the_line_at_any_chunking() -> None:
    wire = ENQ + frame(1, message(HEADER)) + ENQ + b"\xff" + EOT
    whole = make().receive(wire, 1.0)
    driver = make()
    pieces = [driver.receive(wire[at : at + 1], 1.0) for at in range(len(wire))]
    assert reasons([whole]) == reasons(pieces) == ["partial_message", "noise"]


def test_more_records_than_a_message_may_have_are_refused() -> None:
    driver = make()
    feed(driver, [ENQ, frame(1, message(HEADER, ORDER))])
    tiny = "R|1\rC|1|I|x\r" * 2000
    answers = [driver.receive(frame(number, tiny), 1.0).send for number in range(2, 6)]
    assert answers == [ACK] * (MAX_MESSAGE_RECORDS // 4000) + [NAK] * 2


def test_many_messages_in_one_transfer_are_no_long_message() -> None:
    driver = make()
    driver.receive(ENQ, 1.0)
    padding = "M|1|" + "x" * 60_000
    text = message(HEADER, ORDER, GLUCOSE, padding, END)
    answers = [driver.receive(frame(number, text), 1.0).send for number in range(1, 100)]
    assert answers == [ACK] * 99


def test_a_connection_that_ends_in_mid_message_is_counted_and_the_repeat_is_whole() -> None:
    driver = make()
    feed(driver, one_each(HEADER, ORDER, GLUCOSE, END)[:-2])
    assert reasons([driver.start(2.0)]) == ["partial_message"]
    assert reasons([driver.start(3.0)]) == []
    assert len(results_of(feed(driver, [SESSION]))) == 1
