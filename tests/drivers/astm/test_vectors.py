"""Worked vectors: frames with their printed checksums, the 240-byte split, and six cases that hosts get wrong."""

from decimal import Decimal

import pytest

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
)

VECTORS = [
    (r"1H|\^&|||GW-TEST^1.0|||||||P|1|20260101080000", "E2"),
    ("2P|1||PID0007", "DB"),
    (r"3O|1|S0001||^^^WBC\^^^HGB|R", "D2"),
    ("4R|1|^^^WBC|7.2|10*3/uL|4.0 to 10.0|N||F||OP1|20260101075500|20260101075800", "27"),
    ("5R|2|^^^HGB|6.1|g/dL|12.0 to 16.0|LL||F||OP1|20260101075500|20260101075800", "33"),
    ("6C|1|I|NOTE &F& delta&E&|G", "DD"),
    ("7L|1|N", "0A"),
]


def printed(text: str, check: str) -> bytes:
    return f"\x02{text}\r\x03{check}\r\n".encode("latin-1")


def test_the_session_of_the_vectors() -> None:
    outputs = feed(make(), [ENQ, *(printed(*vector) for vector in VECTORS), EOT])
    assert [output.send for output in outputs] == [ACK] * 8 + [b""]
    assert reasons(outputs) == []
    wbc, hgb = results_of(outputs)
    assert results_of(outputs[:-2]) == []
    assert outputs[-2].refusal == NAK
    assert (wbc.specimen, wbc.test, wbc.value, wbc.text) == ("S0001", "WBC", Decimal("7.2"), "7.2")
    assert (wbc.vendor_unit, wbc.unit, wbc.reference_range) == ("10*3/uL", "", "4.0 to 10.0")
    assert (wbc.flags, wbc.status, wbc.vendor_status, wbc.validity) == (("N",), "final", "F", "valid")
    assert (wbc.started, wbc.completed, wbc.device_time) == ("20260101075500", "20260101075800", "20260101075800")
    assert (wbc.comments, wbc.purpose, wbc.loinc, wbc.metric) == ((), "patient", "", "")
    assert (hgb.value, hgb.flags, hgb.comments) == (Decimal("6.1"), ("LL",), ("NOTE | delta&",))
    assert wbc.vendor is not None
    assert (wbc.vendor.code, wbc.vendor.text) == ("WBC", "^^^WBC")


def test_the_last_vector_byte_by_byte() -> None:
    assert printed(*VECTORS[-1]) == bytes.fromhex("02 37 4c 7c 31 7c 4e 0d 03 30 41 0d 0a")


def test_roll_over_vectors() -> None:
    driver = make()
    feed(driver, [ENQ, *(frame(number, "C|1|I|x|G\r") for number in range(1, 7))])
    sent = [printed("7C|1|I|x|G", "B3"), printed("0C|1|I|x|G", "AC"), printed("1C|1|I|x|G", "AD")]
    assert [output.send for output in feed(driver, sent)] == [ACK] * 3


@pytest.mark.parametrize(("value", "check", "answer"), [("6.5", "05", NAK), ("6.5", "06", ACK), ("5.5", "05", ACK)])
def test_the_checksum_of_another_value_is_refused(value: str, check: str, answer: bytes) -> None:
    driver = make()
    feed(driver, [ENQ, *(frame(number, f"{text}\r") for number, text in enumerate((HEADER, "P|1", ORDER), 1))])
    output = driver.receive(printed(f"4R|1|^^^GLU|{value}|mmol/L||N||F", check), 1.0)
    assert output.send == answer
    assert reasons([output]) == ([] if answer == ACK else ["checksum"])


@pytest.mark.parametrize("value", ["12.3", "21.3"])
def test_what_a_sum_cannot_see(value: str) -> None:
    """Exchanged digits have the same sum; the line-quality gate behind the driver is there for this."""
    assert frame(4, f"R|1|^^^GLU|{value}|mmol/L||N||F\r").endswith(b"\x0331\r\n")


def test_a_record_over_two_frames_of_240() -> None:
    record = "R|1|^^^PLT|231|10*3/uL||N||F||" + "X" * 230 + "|20260101\r"
    assert len(record) == 270
    first, second = frame(4, record[:240], b"\x17"), frame(5, record[240:])
    driver = make()
    heads = [ENQ, frame(1, HEADER + "\r"), frame(2, "P|1\r"), frame(3, ORDER + "\r")]
    outputs = feed(driver, [*heads, first, second, frame(6, END + "\r"), EOT])
    (result,) = results_of(outputs)
    assert (result.test, result.value, result.started) == ("PLT", Decimal(231), "20260101")
    assert "X" * 9 not in repr(result), "the operator is not published"
    assert len(frame(1, "R" * 240, b"\x17")) == 247


def test_the_240_split_has_the_printed_checksums() -> None:
    record = ("R|1|^^^PLT|231|10*3/uL||N||F||" + "X" * 230 + "|20260101\r").encode()
    found = [
        (number, frame(number, record[:240], b"\x17")[-4:-2], frame(number + 1, record[240:])[-4:-2])
        for number in range(8)
    ]
    assert (1, b"B5", b"2A") in found


@pytest.mark.parametrize("size", [1, 2, 239, 240, 241, 4096, 63_992, 63_993])
def test_a_record_over_frames_of_any_size(size: int) -> None:
    """240 is the older standard's text, 63,993 what LIS1-A leaves of a frame of 64,000; a record may need several."""
    length = 300 if size < 3 else 70_000
    records = (HEADER, ORDER, "M|1|" + "x" * length, GLUCOSE.replace("OP1", "X" * length), END)
    text = message(*records).encode()
    cuts = range(0, len(text), size)
    frames = [frame(n, text[at : at + size], b"\x17" if at < cuts[-1] else b"\x03") for n, at in enumerate(cuts, 1)]
    assert max(map(len, frames)) == size + 7 <= 64_000
    outputs = feed(make(), [ENQ, *frames, EOT])
    assert ([seen.text for seen in results_of(outputs)], reasons(outputs)) == (["5.5"], ["manufacturer_record"])


def test_a_frame_that_ends_in_etb_may_hold_a_whole_record() -> None:
    """A cobas c 111 ends each but the last so; and a frame that ends in ETX may end inside one."""
    texts = [f"{record}\r" for record in (HEADER, ORDER, GLUCOSE, END)]
    ends = [b"\x17"] * 3 + [b"\x03"]
    outputs = feed(make(), [ENQ, *map(frame, range(1, 5), texts, ends), EOT])
    assert (len(results_of(outputs)), reasons(outputs)) == (1, [])


def test_a_device_that_never_sends_eot() -> None:
    driver = make()
    session = one_each(HEADER, ORDER, GLUCOSE, END)[:-1]
    again = one_each(HEADER, ORDER, GLUCOSE.replace("5.5", "5.6"), END)[:-1]
    outputs = feed(driver, session + again)
    assert (len(results_of(outputs)), reasons(outputs)) == (2, [])
    assert (reasons([driver.wake(31.0)]), results_of([driver.wake(32.0)])) == (["timeout"], [])


def test_six_refusals_end_in_eot_and_the_message_comes_again_whole() -> None:
    """LIS1-A: after six failures of one frame the sender gives up, and remembers the message."""
    driver = make()
    enq, *frames, eot = one_each(HEADER, ORDER, GLUCOSE, END)
    damaged = frames[-1].replace(b"|1|", b"|3|")
    refused = feed(driver, [enq, *frames[:-1], *[damaged] * 6, eot])
    assert [output.send for output in refused[4:]] == [NAK] * 6 + [b""]
    assert [seen.reason for seen in results_of(refused)] == ["partial"]
    assert [seen.status for seen in results_of(feed(driver, [enq, *frames, eot]))] == ["final"]


def test_a_patient_receiver_waits_30_seconds_for_each_frame() -> None:
    driver, now = make(), 1.0
    pieces = one_each(HEADER, ORDER, GLUCOSE, END)
    outputs = []
    for piece in pieces:
        outputs.append(driver.receive(piece, now))
        now += 29.9
        assert driver.wake(now).faults == ()
    assert len(results_of(outputs)) == 1


# What open hosts get wrong: six cases.


def test_a_duplicate_frame_is_published_once() -> None:
    driver = make()
    pieces = one_each(HEADER, ORDER, GLUCOSE, END)
    outputs = feed(driver, [piece for piece in pieces for _ in range(2 if piece[:1] == b"\x02" else 1)])
    assert len(results_of(outputs)) == 1
    assert [output.send for output in outputs] == [ACK] * 9 + [b""]


def test_a_missing_frame_is_not_accepted() -> None:
    pieces = one_each(HEADER, ORDER, GLUCOSE, END)
    outputs = feed(make(), pieces[:3] + pieces[4:])
    assert results_of(outputs) == []
    assert outputs[3].send == NAK


def test_two_frames_in_one_read() -> None:
    enq, *frames, _eot = one_each(HEADER, ORDER, GLUCOSE, END)
    outputs = feed(make(), [enq, frames[0] + frames[1], frames[2] + frames[3]])
    assert [output.send for output in outputs] == [ACK, ACK * 2, ACK * 2]
    assert len(results_of(outputs)) == 1
    assert outputs[2].refusal == ACK + NAK


@pytest.mark.parametrize("size", range(1, 20))
def test_one_frame_over_many_reads(size: int) -> None:
    sent = whole(HEADER, ORDER, GLUCOSE, END)
    outputs = feed(make(), [sent[at : at + size] for at in range(0, len(sent), size)])
    assert len(results_of(outputs)) == 1


def test_the_checksum_of_an_etb_frame_is_verified() -> None:
    text = message(HEADER, ORDER, GLUCOSE)
    good = frame(1, text, b"\x17")
    driver = make()
    outputs = feed(driver, [ENQ, good.replace(b"5.5", b"9.5"), good, frame(2, END + "\r"), EOT])
    assert [result.value for result in results_of(outputs)] == [Decimal("5.5")]


def test_enq_and_the_first_frame_in_one_read() -> None:
    enq, first, *rest = one_each(HEADER, ORDER, GLUCOSE, END)
    outputs = feed(make(), [enq + first, *rest])
    assert (outputs[0].send, len(results_of(outputs))) == (ACK * 2, 1)
