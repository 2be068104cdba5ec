"""AU: texts in and results out by the site's layout, BCC, blocks, class A and B, and what is refused."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.beckman_au.frames import MAX_BODY_BYTES, Text
from drivers.contract import Output
from drivers.observation import Device
from tests.drivers.beckman_au.wire import (
    ACK,
    NAK,
    SAMPLE,
    UNITS,
    control,
    frame,
    header,
    make,
    one,
    reasons,
    results,
)


def test_a_sample() -> None:
    output = make().receive(frame(SAMPLE), 1.0)
    assert (output.send, output.refusal, output.faults, output.frames) == (ACK, NAK, (), 1)
    assert output.observations[0] == Device(connection="connected", validity="valid")
    found = results(output)
    glucose, sodium, alt = (found[code] for code in UNITS)
    assert (glucose.value, glucose.text, glucose.unit, glucose.flags) == (Decimal("5.50"), "     5.50", "mmol/L", ())
    assert (sodium.value, sodium.flags, sodium.validity) == (Decimal("140.2"), ("H",), "valid")
    assert (alt.value, alt.specimen, alt.vendor_status, alt.status) == (Decimal(23), "2601000042", "D", "unknown")
    assert (alt.comments, alt.purpose, alt.vendor and alt.vendor.code) == (("sample 0001",), "patient", "014")


@pytest.mark.parametrize(
    ("value", "marks", "number", "comparator", "validity", "reason", "flags"),
    [
        ("5.50", "", "5.50", "", "valid", "", ()),
        ("-0.3", "", "-0.3", "", "valid", "", ()),
        ("0", "L ", "0", "", "valid", "", ("L",)),
        (">1000", "", "1000", ">", "valid", "", ()),
        ("< 0.5", "", "0.5", "<", "valid", "", ()),
        ("1.2E3", "", "1.2E+3", "", "valid", "", ()),
        ("5.50", "H L ", "5.50", "", "valid", "", ("H", "L")),
        ("5.50", "! ", "5.50", "", "questionable", "unknown_flag", ("!",)),
        ("5.50", "H ! ", "5.50", "", "questionable", "unknown_flag", ("H", "!")),
        ("5.50", "* ", "5.50", "", "questionable", "unreliable", ("*",)),
        ("", "", None, "", "not_available", "not_measured", ()),
        ("-----", "", None, "", "not_available", "not_measured", ()),
        ("*****", "", None, "", "not_available", "masked", ()),
        ("1,5", "", None, "", "not_available", "not_numeric", ()),
        ("INVALID", "", None, "", "not_available", "invalid", ()),
        ("5.5 0", "", None, "", "not_available", "not_numeric", ()),
    ],
)
def test_values(
    value: str, marks: str, number: str | None, comparator: str, validity: str, reason: str, flags: tuple[str, ...]
) -> None:
    seen = results(make().receive(frame(header() + one("012", value, marks)), 1.0))["012"]
    assert (None if seen.value is None else str(seen.value)) == number
    assert (seen.comparator, seen.validity, seen.reason, seen.flags) == (comparator, validity, reason, flags)
    assert (seen.status == "questionable") is (validity == "questionable" or reason == "masked")


def test_a_test_without_a_unit_has_no_value() -> None:
    seen = results(make(units={}).receive(frame(SAMPLE), 1.0))["012"]
    assert (seen.value, seen.validity, seen.reason, seen.text) == (None, "not_available", "unit_unknown", "     5.50")


@pytest.mark.parametrize("kind", ["D ", "d ", "DH", "dH"])
def test_the_class_stands_in_the_vendors_status(kind: str) -> None:
    seen = results(make().receive(frame(header(kind) + one("012", "5.50")), 1.0))["012"]
    assert (seen.vendor_status, seen.purpose) == (kind.strip(), "patient")


def test_controls_are_kept_apart() -> None:
    output = make().receive(frame(control("012     5.51        ")), 1.0)
    seen = results(output)["012"]
    assert (seen.value, seen.purpose, seen.specimen, seen.vendor_status) == (Decimal("5.51"), "qc", "001", "DQ")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("DB", ""),
        ("DE", ""),
        ("RB", ""),
        ("RE", ""),
        ("R   000101 0001", "host_query"),
        ("RH  000101 0001", "host_query"),
        ("DR  000101", "blank_not_read"),
        ("DA  000101", "calibration_not_read"),
        ("S   000101", "unknown_record"),
    ],
)
def test_texts_without_results(kind: str, reason: str) -> None:
    output = make().receive(frame(kind), 1.0)
    assert (output.observations, output.send, output.refusal, output.frames) == ((), ACK, b"", 1)
    assert reasons(output) == ([reason] if reason else [])


# The site's layout.


def test_another_layout() -> None:
    layout = {
        **{"specimen": [2, 6], "sample": [8, 4], "block": -1, "tests": 12, "width": 9},
        **{"code": [0, 2], "value": [2, 6], "marks": [8, 1], "mark_width": 1},
    }
    driver = make(result=layout, units={"07": "g/L"})
    output = driver.receive(frame("D A-17  0009" + "07  5.50H" + "08  6.50 "), 1.0)
    found = results(output)
    assert (found["07"].value, found["07"].flags, found["07"].specimen) == (Decimal("5.50"), ("H",), "A-17")
    assert (found["08"].reason, found["08"].comments) == ("unit_unknown", ("sample 0009",))


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ({"value": [14, 9]}, "value ends at 23"),
        ({"code": [20, 2]}, "code ends at 22"),
        ({"specimen": [25, 10]}, "specimen ends at 35"),
        ({"sample": [30, 1]}, "sample ends at 31"),
        ({"block": 30}, "block is 30"),
        ({"mark_width": 3}, "no multiple of mark_width"),
        ({"places": [1, 2]}, "unknown field"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(layout: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=told):
        make(result=layout)


def test_loinc_is_the_sites_own() -> None:
    assert results(make(loinc={"012": "2345-7"}).receive(frame(SAMPLE), 1.0))["012"].loinc == "2345-7"
    with pytest.raises(msgspec.ValidationError, match="check digit"):
        make(loinc={"012": "2345-8"})


@pytest.mark.parametrize(
    "text",
    [
        SAMPLE + " ",
        SAMPLE[:-1],
        header(),
        header(block="X") + one("012", "5.50"),
        header() + one("0 2", "5.50"),
        header() + one("   ", "5.50"),
        header() + one("+12", "5.50"),
        "D ",
    ],
)
def test_a_verified_text_that_is_not_laid_out_as_told(text: str) -> None:
    driver = make()
    for _turn in range(2):
        output = driver.receive(frame(text), 1.0)
        assert (output.observations, output.send, output.refusal, output.frames) == ((), NAK, b"", 1)
        assert [(fault.reason, fault.rejected) for fault in output.faults] == [("layout", False)]
    assert len(results(driver.receive(frame(SAMPLE), 2.0))) == 3


# Blocks.


def test_each_block_is_read_and_acknowledged() -> None:
    driver = make()
    first = driver.receive(frame(header(block="0") + one("012", "5.50"), 0x17), 1.0)
    last = driver.receive(frame(header(block="E") + one("013", "140.2")), 2.0)
    assert [(output.send, output.refusal, list(results(output))) for output in (first, last)] == [
        (ACK, NAK, ["012"]),
        (ACK, NAK, ["013"]),
    ]
    wrong = driver.receive(frame(header(block="E") + one("014", "23"), 0x17), 3.0)
    assert reasons(wrong) == ["layout"]
    assert results(driver.receive(frame(header(block="0") + one("014", "23")), 4.0))


# The link.


@pytest.mark.parametrize("place", range(len(frame(SAMPLE))))
def test_a_flipped_bit_is_never_a_result(place: int) -> None:
    sent = frame(SAMPLE)
    for bit in range(8):
        damaged = bytearray(sent)
        damaged[place] ^= 1 << bit
        output = make().receive(bytes(damaged), 1.0)
        assert (output.observations, ACK in output.send) == ((), False)


def test_a_check_that_looks_like_a_mark() -> None:
    for value in range(3000):
        text = header() + one("012", f"{value}")
        sent = frame(text)
        if sent[-1] in (2, 3, 0x17):
            break
    driver = make()
    output = driver.receive(sent + frame(SAMPLE), 1.0)
    assert (output.send, len(output.observations), reasons(output)) == (ACK * 2, 5, [])


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (frame(SAMPLE).replace(b"5.50", b"9.50"), "checksum"),
        (frame(SAMPLE.replace("5.50", "5\x0050")), "illegal_character"),
        (frame("D"), "illegal_character"),
        (frame("D " + "0" * MAX_BODY_BYTES), "length"),
        (b"\x02\x03\x03", "illegal_character"),
    ],
)
def test_what_is_refused(damaged: bytes, reason: str) -> None:
    driver = make()
    output = driver.receive(damaged, 1.0)
    assert (output.observations, output.send, reasons(output), output.frames) == ((), NAK, [reason], 0)
    assert output.faults[0].rejected
    assert len(results(driver.receive(frame(SAMPLE), 2.0))) == 3


def test_without_bcc() -> None:
    driver = make(bcc=False)
    output = driver.receive(frame(SAMPLE, bcc=False) + frame("DE", bcc=False), 1.0)
    assert (output.send, len(results(output)), reasons(output)) == (ACK * 2, 3, [])


def test_class_a_is_never_answered() -> None:
    driver = make(protocol_class="A")
    data = frame(SAMPLE) + frame("R  ") + frame(SAMPLE)[:-1] + b"x" + frame("D ") + b"\x05\x15"
    outputs = [driver.start(0.0), driver.receive(data, 1.0), driver.wake(2.0), driver.stop(3.0)]
    assert {output.send + output.refusal for output in outputs} == {b""}
    assert len(results(*outputs)) == 3


def test_a_block_whose_ack_was_lost() -> None:
    driver = make()
    outputs = [driver.receive(frame(text), 1.0) for text in ("DB", SAMPLE, SAMPLE, "DE")]
    assert ([output.send for output in outputs], reasons(*outputs)) == ([ACK] * 4, ["duplicate_result"])
    assert [output.refusal for output in outputs] == [b"", NAK, b"", b""]
    again = driver.receive(frame(SAMPLE), 2.0)
    assert {seen.identity for seen in results(again).values()} == {s.identity for s in results(*outputs).values()}
    other = driver.receive(frame(SAMPLE.replace("5.50", "5.51")), 3.0)
    assert len(results(other)) == 3


def test_replicates_of_one_text_are_told_apart() -> None:
    output = make().receive(frame(header() + one("012", "5.50") * 2), 1.0)
    identities = [
        seen.identity for seen in output.observations if hasattr(seen, "identity") and hasattr(seen, "test")
    ]
    assert len(set(identities)) == len(identities) == 2


def test_what_was_promised_before_the_disk_was_full() -> None:
    data = frame("DB") + frame(SAMPLE)[:-1] + b"x" + frame(SAMPLE) + frame("DE")
    output = make().receive(data, 1.0)
    assert (output.send, output.refusal) == (ACK + NAK + ACK + ACK, ACK + NAK + NAK)


def test_what_breaks_a_text_off_and_noise() -> None:
    output = make().receive(b"\x00\xff\x03" + frame(SAMPLE)[:40] + b"\x02" + frame(SAMPLE) + b"\r\n", 1.0)
    assert (reasons(output), output.send, len(results(output))) == (["noise", "truncated"], ACK, 3)
    driver = make()
    driver.receive(frame(SAMPLE)[:40], 1.0)
    driver.start(2.0)
    assert reasons(driver.receive(frame(SAMPLE)[40:], 3.0)) == ["noise"]


@pytest.mark.parametrize("size", range(1, 40, 3))
def test_any_portions(size: int) -> None:
    data = b"\x00" + frame("DB") + frame(SAMPLE) + frame(SAMPLE)[:30] + frame(control("012     5.51        "))
    whole, driver = make().receive(data, 1.0), make()
    outputs = [driver.receive(data[at : at + size], 1.0) for at in range(0, len(data), size)]
    assert tuple(seen for output in outputs for seen in output.observations) == whole.observations
    assert b"".join(output.send for output in outputs) == whole.send == ACK * 3
    assert reasons(*outputs) == reasons(whole) == ["noise", "truncated"]


def test_every_cut_is_no_result() -> None:
    for end in range(len(frame(SAMPLE))):
        driver = make()
        assert [driver.receive(frame(SAMPLE)[:end], 1.0), driver.stop(2.0)] == [Output(), Output()]


@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=2, max_size=60), last=st.booleans())
def test_to_bytes_is_the_way_back(text: str, last: bool) -> None:
    sent = Text(text, last).to_bytes()
    assert Text.from_bytes(sent[1:-1], sent[-1]) == Text(text, last)


def test_a_storm_is_answered_no_faster_than_it_comes() -> None:
    driver, sent = make(), 0
    for second in range(3600):
        sent += len(driver.receive(frame(SAMPLE).replace(b"5.50", b"9.50") + NAK * 5, float(second)).send)
    assert sent == 3600


@given(data=st.binary(max_size=300))
def test_only_ack_and_nak(data: bytes) -> None:
    driver = make()
    outputs = [driver.receive(data, 1.0), driver.wake(2.0), driver.stop(41.0)]
    assert {bytes([byte]) for output in outputs for byte in output.send + output.refusal} <= {ACK, NAK}


def test_nothing_else_is_allowed() -> None:
    profile = catalog.profile("beckman_au")
    assert profile.tier == "sketch"
    for never in (b"\x05", b"\x04", frame("S   000101 0001"), frame("SE"), frame(SAMPLE)):
        assert not any(rule.fits(never) for rule in profile.allowed)
