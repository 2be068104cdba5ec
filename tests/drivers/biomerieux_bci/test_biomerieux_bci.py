"""VIDAS over BCI: sessions, frames and checksums, fields in and results out, and what nobody may learn."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.biomerieux_bci.link import MAX_FRAME_BYTES
from drivers.contract import Output
from drivers.observation import Device, to_json
from tests.drivers.biomerieux_bci.wire import (
    ACK,
    ENQ,
    EOT,
    HCV,
    NAK,
    TSH,
    feed,
    frame,
    make,
    read,
    reasons,
    results_of,
)

TOLD = "0.80 uUI/ml"


def test_the_checksum_of_a_message_seen_in_public() -> None:
    """Its text is changed here; the sum of the original was `4e`, with RS in the middle of a word."""
    assert frame("mtrsl|ci1|", (8,))[-6:] == b"\x1d%02x\r\n\x03" % (sum(b"\x1emtrsl|ci\x1e1|\x1d") % 256)


def test_a_session() -> None:
    outputs = feed(make(), [ENQ, frame(TSH), frame(HCV), EOT])
    assert [output.send for output in outputs] == [ACK, ACK, ACK, b""]
    assert [output.refusal for output in outputs] == [b"", NAK, NAK, b""]
    assert reasons(outputs) == []
    assert outputs[1].observations[0] == Device(
        connection="connected", validity="valid", identity={"serial": "VN00001"}
    )
    tsh, hcv = results_of(outputs)
    assert (tsh.specimen, tsh.test, tsh.value, tsh.text) == ("2602", "TSH", Decimal("0.80"), TOLD)
    assert (tsh.unit, tsh.vendor_unit, tsh.status, tsh.vendor_status) == ("u[IU]/mL", "uUI/ml", "unknown", "valid")
    assert (tsh.device_time, tsh.completed, tsh.instrument, tsh.comments) == (
        "01/03/26 12:40",
        "",
        "VIDAS01",
        ("qd1",),
    )
    assert (tsh.vendor and tsh.vendor.text, tsh.flags, tsh.purpose, tsh.loinc) == ("TSH 3", (), "patient", "")
    assert (hcv.value, hcv.text, hcv.flags, hcv.unit) == (Decimal("0.06"), "0.06", ("N\xe9gatif",), "")
    assert (hcv.vendor_status, hcv.validity) == ("", "valid")


@pytest.mark.parametrize("at", range(1, len(HCV)))
def test_rs_may_stand_anywhere(at: int) -> None:
    assert results_of(feed(make(), [frame(HCV, (at,))])) == results_of(feed(make(), [frame(HCV)]))


@pytest.mark.parametrize("line_end", [b"", b"\r\n", b"\r", b"\n"])
@pytest.mark.parametrize("end", [b"\x03", b"\r\n\x03", b"\r\n\x03\r\n", b"\n\x03"])
def test_line_ends_do_not_matter(line_end: bytes, end: bytes) -> None:
    outputs = feed(make(), [b"\r\n" + frame(TSH, (30, 90), line_end=line_end, end=end)])
    assert (len(results_of(outputs)), outputs[0].send, reasons(outputs)) == (1, ACK, [])
    late = frame(TSH, end=end).replace(b"\x02\x1e", b"\x02\r\n\x1e")
    assert len(results_of(feed(make(), [late]))) == 1


def test_an_upper_case_checksum_is_accepted() -> None:
    sent = frame(TSH)
    at = sent.index(b"\x1d") + 1
    assert sent[at : at + 2].isalnum()
    outputs = feed(make(), [sent[:at] + sent[at : at + 2].upper() + sent[at + 2 :]])
    assert outputs[0].send == ACK


# Values.


@pytest.mark.parametrize(
    ("told", "value", "comparator", "unit", "reason"),
    [
        (TOLD, "0.80", "", "uUI/ml", ""),
        ("0.80uUI/ml", "0.80", "", "uUI/ml", ""),
        ("<0.05 uUI/ml", "0.05", "<", "uUI/ml", ""),
        ("> 500 uUI/ml", "500", ">", "uUI/ml", ""),
        ("0.80", "0.80", "", "uUI/ml", ""),
        ("0", "0", "", "uUI/ml", ""),
        ("", None, "", "uUI/ml", "not_measured"),
        ("-----", None, "", "uUI/ml", "not_measured"),
        ("****", None, "", "uUI/ml", "masked"),
        ("INVALID", None, "", "uUI/ml", "invalid"),
        ("NO RESULT", None, "", "uUI/ml", "no_result"),
        ("28,94 uUI/ml", None, "", "uUI/ml", "not_numeric"),
        ("1.2.3 uUI/ml", None, "", "uUI/ml", "not_numeric"),
        ("abc", None, "", "uUI/ml", "not_numeric"),
    ],
)
def test_values(told: str, value: str | None, comparator: str, unit: str, reason: str) -> None:
    result = read(TSH.replace(TOLD, told))
    assert result.value == (None if value is None else Decimal(value))
    assert (result.comparator, result.vendor_unit, result.reason, result.text) == (comparator, unit, reason, told)
    assert result.validity == ("not_available" if value is None else "valid")
    assert (result.status == "questionable") is (reason == "masked")


def test_a_decimal_comma_only_where_it_is_told() -> None:
    result = read(TSH.replace(TOLD, "28,94mUI/ml").replace("y3uUI", "y3mUI"), {"decimal_comma": True})
    assert (result.value, result.unit) == (Decimal("28.94"), "m[IU]/mL")
    assert read(TSH, {"decimal_comma": True}).reason == "not_numeric"


def test_words_alone_are_the_answer_and_no_number() -> None:
    result = read(HCV.replace("qn0.06|", ""))
    assert (result.value, result.answer, result.text, result.validity, result.reason) == (
        None,
        "N\xe9gatif",
        "N\xe9gatif",
        "valid",
        "",
    )
    unread = read(HCV.replace("qn0.06", "qn0,06"))
    assert (unread.value, unread.answer, unread.validity, unread.reason) == (
        None,
        "N\xe9gatif",
        "questionable",
        "not_numeric",
    )
    both = read(HCV)
    assert (both.value, both.answer, both.validity) == (Decimal("0.06"), "N\xe9gatif", "valid")
    assert read(HCV.replace("qn0.06", "qn").replace("qlN\xe9gatif", "ql")).reason == "not_measured"


def test_the_letters_of_the_devices_language() -> None:
    assert read(HCV.replace("\xe9", "\x82"), {"encoding": "cp850"}).flags == ("Négatif",)
    assert read(HCV, {"encoding": "utf-8"}).flags == ("N\ufffdgatif",)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("valid", ""),
        ("", ""),
        ("lotexp", "reagent_expired"),
        ("calexp", "calibration_expired"),
        ("calinc", "calibration_incomplete"),
        ("contneff", "control_not_run"),
        ("conthnor", "control_out_of_range"),
        ("conthwst", "control_out_of_range"),
        ("other", "unknown_status"),
    ],
)
def test_the_state_of_calibration(state: str, reason: str) -> None:
    result = read(TSH.replace("ncvalid", f"nc{state}"))
    assert (result.reason, result.vendor_status, result.value) == (reason, state, Decimal("0.80"))
    assert (result.validity, result.status) == (("questionable",) * 2 if reason else ("valid", "unknown"))


def test_units_that_do_not_agree() -> None:
    result = read(TSH.replace("y3uUI/ml", "y3mUI/ml"))
    assert (result.validity, result.reason, result.vendor_unit) == ("questionable", "unit_conflict", "mUI/ml")
    assert read(TSH.replace("y3uUI/ml|", "")).vendor_unit == "uUI/ml"
    other = read(TSH.replace("uUI/ml", "x/y"), {"units": {"x/y": "1"}})
    assert (other.unit, other.vendor_unit, read(TSH.replace("uUI/ml", "x/y")).unit) == ("1", "x/y", "")


@pytest.mark.parametrize(
    ("order", "date", "time", "completed"),
    [
        ("", "01/03/26", "12:40", ""),
        ("mdy", "01/03/26", "12:40", "202601031240"),
        ("dmy", "01/03/26", "12:40", "202603011240"),
        ("ymd", "2026-03-01", "9.05", "202603010905"),
        ("dmy", "1/3/2026", "12:40", "202603011240"),
        ("mdy", "13/03/26", "12:40", ""),
        ("dmy", "01/01/70", "00:00", "197001010000"),
        ("dmy", "01/01/2099", "00:00", "209901010000"),
        ("dmy", "010326", "12:40", ""),
        ("dmy", "01/03/26", "", ""),
        ("ymd", "100/01/01", "12:40", ""),
    ],
)
def test_the_order_of_the_date_is_the_sites(order: str, date: str, time: str, completed: str) -> None:
    text = TSH.replace("td01/03/26", f"td{date}").replace("tt12:40", f"tt{time}")
    result = read(text, {"date_order": order})
    assert (result.completed, result.device_time) == (completed, f"{date} {time}".strip())


# Whose, and which.


def test_controls_are_kept_apart() -> None:
    assert read(TSH.replace("ci2602", "ciC1")).purpose == "qc"
    assert read(TSH.replace("ci2602", "ciS1123")).purpose == "patient"
    assert read(TSH.replace("rtTSH", "rtQCV")).purpose == "qc"
    assert read(TSH.replace("ci2602", "ciX9"), {"qc_specimens": ["X9"]}).purpose == "qc"


def test_who_it_is_goes_nowhere() -> None:
    for text in (
        TSH,
        TSH.replace("mtrsl", "mtmpr"),
        TSH.replace("|rtTSH", "|ciX"),
        TSH.replace("ci2602", "ciDupont Jean"),
    ):
        outputs = feed(make(), [ENQ, frame(text), frame(text)[:-9] + b"00\x03", EOT])
        told = "".join(to_json(seen).decode() for o in outputs for seen in o.observations) + repr(reasons(outputs))
        told += repr([output.faults for output in outputs])
        for word in ("DUPONT", "Dupont", "1980", "WARD", "OPERATOR"):
            assert word not in told


def test_a_sample_id_that_is_the_name() -> None:
    result = read(TSH.replace("ci2602", "cidupont jean"))
    assert (result.specimen, result.validity, result.reason) == ("", "questionable", "specimen_is_a_name")
    assert read(TSH.replace("ci2602", "ciDUPONT JEAN 12")).specimen == ""
    number = TSH.replace("DUPONT JEAN", "2602")
    assert (read(number).specimen, read(number.replace("2602", "A7")).specimen) == ("2602", "")
    assert read(TSH.replace("DUPONT JEAN", "A").replace("ci2602", "ciA-17")).specimen == "A-17"
    assert (read(TSH.replace("ci2602", "ci")).validity, read(TSH.replace("ci2602", "ci A/7 ")).specimen) == (
        "valid",
        "A/7",
    )


def test_loinc_is_the_sites_own() -> None:
    assert read(TSH, {"loinc": {"TSH": "11580-8"}}).loinc == "11580-8"
    with pytest.raises(msgspec.ValidationError, match="check digit"):
        make({"loinc": {"TSH": "11580-9"}})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TSH.replace("mtrsl", "mtmpr"), "unknown_record"),
        ("", "unknown_record"),
    ],
)
def test_a_verified_message_that_is_no_result(text: str, reason: str) -> None:
    (output,) = feed(make(), [frame(text)])
    assert (output.observations, output.send, output.frames, output.refusal) == ((), ACK, 1, b"")
    assert reasons([output]) == [reason]
    assert not output.faults[0].rejected


@pytest.mark.parametrize(
    ("text", "flaw", "validity", "test", "told", "value"),
    [
        (TSH + "rtFSH|qn5.1|", "repeated_field", "not_available", "TSH|FSH", f"{TOLD}|5.1", None),
        (TSH.replace("rtTSH|", ""), "no_test_code", "questionable", "", TOLD, Decimal("0.80")),
        (TSH.replace("rtTSH|", "rt|"), "no_test_code", "questionable", "", TOLD, Decimal("0.80")),
    ],
)
def test_a_result_that_is_not_plainly_one(
    text: str, flaw: str, validity: str, test: str, told: str, value: Decimal | None
) -> None:
    (output,) = feed(make(), [frame(text)])
    (result,) = results_of([output])
    assert (output.send, reasons([output])) == (ACK, [flaw])
    assert (result.validity, result.reason, result.test, result.text, result.value) == (
        validity,
        flaw,
        test,
        told,
        value,
    )


# The link.


@pytest.mark.parametrize("position", range(len(frame(TSH))))
def test_a_flipped_bit_is_never_acknowledged_as_a_result(position: int) -> None:
    sent = frame(TSH)
    expected = results_of(feed(make(), [sent]))
    for bit in range(8):
        damaged = bytearray(sent)
        damaged[position] ^= 1 << bit
        driver = make()
        outputs = [driver.receive(bytes(damaged), 1.0), driver.wake(2.0)]
        found = results_of(outputs)
        assert found in ([], expected), f"bit {bit}"
        if not found:
            assert ACK not in outputs[0].send + outputs[1].send or damaged[position] == 0x05 or position == 0
        assert results_of([*outputs, driver.receive(ENQ + sent, 40.0)])[-1] == expected[0]


@pytest.mark.parametrize("size", range(1, 30))
def test_any_portions(size: int) -> None:
    data = ENQ + frame(TSH, (20,)) + frame(HCV) + EOT
    outputs = feed(make(), [data[at : at + size] for at in range(0, len(data), size)])
    assert results_of(outputs) == results_of(feed(make(), [data]))
    assert b"".join(output.send for output in outputs) == ACK * 3


def test_every_cut_is_no_result() -> None:
    sent = frame(TSH)
    for end in range(len(sent)):
        driver = make()
        outputs = [driver.receive(sent[:end], 1.0), driver.stop(1.5)]
        assert (results_of(outputs), outputs[0].send) == ([], b""), end


@pytest.mark.parametrize("after", [EOT, ENQ, b"\x02"])
def test_a_whole_frame_without_etx(after: bytes) -> None:
    driver = make()
    outputs = feed(driver, [frame(TSH, end=b"\r\n"), after])
    assert (outputs[0].send, outputs[1].send[:1], len(results_of(outputs))) == (b"", ACK, 1)


def test_a_whole_frame_and_silence() -> None:
    driver = make()
    output = driver.receive(frame(TSH, end=b""), 1.0)
    assert (output.send, output.wake_at) == (b"", 2.0)
    assert driver.wake(1.9).send == b""
    last = driver.wake(2.0)
    assert (last.send, last.refusal, len(results_of([last])), last.wake_at) == (ACK, NAK, 1, None)


def test_an_enq_inside_a_frame_may_be_a_damaged_letter() -> None:
    sent = frame(TSH.replace("OPERATOR", "OP\x05RATOR"))
    outputs = feed(make(), [sent[:150], sent[150:]])
    assert (reasons(outputs), [output.send for output in outputs]) == (["illegal_character"], [b"", NAK])


def test_an_enq_after_half_a_frame_is_a_device_that_restarted() -> None:
    driver = make()
    output = driver.receive(frame(TSH)[:50] + ENQ, 1.0)
    assert (output.send, output.wake_at) == (b"", 2.0)
    output = driver.wake(2.0)
    assert (output.send, reasons([output])) == (ACK, ["truncated"])
    assert len(results_of([driver.receive(frame(TSH), 3.0)])) == 1


@pytest.mark.parametrize("mark", [b"\x02", EOT])
def test_what_breaks_a_frame_off(mark: bytes) -> None:
    outputs = feed(make(), [frame(TSH)[:50] + mark, ENQ if mark == EOT else frame(TSH)[1:]])
    assert reasons(outputs) == ["truncated"]
    assert outputs[0].send == b""


def test_half_a_frame_that_stands_still() -> None:
    driver = make()
    assert driver.receive(frame(TSH)[:50], 1.0).wake_at == 31.0
    output = driver.wake(31.0)
    assert (reasons([output]), output.send, output.wake_at) == (["timeout"], b"", None)
    assert results_of([driver.receive(frame(TSH), 32.0)])
    driver.receive(frame(HCV)[:50], 40.0)
    assert reasons([driver.receive(frame(HCV), 90.0)]) == ["timeout"]


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (frame(TSH).replace(b"0.80", b"9.80"), "checksum"),
        (frame(TSH, end=b"0\x03"), "layout"),
        (frame(TSH).replace(b"\x1d", b""), "layout"),
        (frame(TSH).replace(b"\x02\x1e", b"\x02"), "layout"),
        (frame(TSH.replace("TSH", "T\x00H")), "illegal_character"),
        (frame("mtrsl|" + "x" * MAX_FRAME_BYTES), "length"),
        (b"\x02\x03", "layout"),
    ],
)
def test_what_is_refused(damaged: bytes, reason: str) -> None:
    driver = make()
    output = driver.receive(damaged, 1.0)
    assert (output.observations, output.send, reasons([output]), output.frames) == ((), NAK, [reason], 0)
    assert output.faults[0].rejected
    assert len(results_of([driver.receive(frame(TSH), 2.0)])) == 1


def test_noise() -> None:
    outputs = feed(make(), [b"\x00" * 40, b"\xff" * 40, b"\r\n", b"\x03\x15", frame(TSH), b"x", EOT, b"y"])
    assert reasons(outputs) == ["noise", "noise", "noise"]
    assert b"".join(output.send for output in outputs) == ACK
    assert feed(make(), [ENQ * 3])[0].send == ACK * 3


def test_sent_again_because_the_ack_was_lost() -> None:
    driver = make()
    outputs = feed(driver, [frame(TSH), frame(TSH), frame(HCV) + frame(TSH)])
    assert (len(results_of(outputs)), [output.send for output in outputs]) == (2, [ACK, ACK, ACK * 2])
    assert [output.refusal for output in outputs] == [NAK, b"", NAK]
    assert reasons(outputs) == ["duplicate_result"] * 2
    changed = driver.receive(frame(TSH.replace("0.80", "0.81")), 5.0)
    assert [seen.value for seen in results_of([changed])] == [Decimal("0.81")]


def test_what_was_promised_before_the_disk_was_full() -> None:
    (output,) = feed(make(), [ENQ + frame("mtxyz|") + frame(TSH) + frame(HCV)])
    assert (output.send, output.refusal) == (ACK * 4, ACK * 2 + NAK)


def test_a_storm_is_answered_no_faster_than_it_comes() -> None:
    driver, sent = make(), 0
    for second in range(3600):
        sent += len(driver.receive(frame(TSH).replace(b"0.80", b"9.80") + NAK * 5, float(second)).send)
        sent += len(driver.wake(second + 0.5).send)
    assert sent == 3600


@given(data=st.binary(max_size=300))
def test_only_ack_and_nak(data: bytes) -> None:
    driver = make()
    outputs = [driver.receive(data, 1.0), driver.wake(2.0), driver.wake(40.0), driver.stop(41.0)]
    assert {bytes([byte]) for output in outputs for byte in output.send + output.refusal} <= {ACK, NAK}


def test_nothing_else_is_allowed() -> None:
    rules = catalog.profile("biomerieux_bci").allowed
    for never in (ENQ, EOT, frame("mtmpr|pi1|"), frame(TSH), b"\x02", b"\x1e"):
        assert not any(rule.fits(never) for rule in rules)
    assert make().wake(5.0) == Output()
