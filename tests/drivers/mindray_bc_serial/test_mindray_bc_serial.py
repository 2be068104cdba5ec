"""BC-3000 Plus: columns in and results out, the handshake, and what is refused."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Output
from drivers.mindray_bc_serial.link import MAX_FRAME_BYTES
from drivers.observation import Device
from drivers.quality import Gate
from tests.drivers.mindray_bc_serial.wire import (
    ACK,
    ENQ,
    ETX,
    NAK,
    NAMES,
    POINTS,
    VALUES,
    alone,
    asked,
    body,
    changed,
    make,
    reasons,
    results,
)

EXPECTED = {
    **{"WBC": "7.2", "Lymph#": "2.2", "Mid#": "0.6", "Gran#": "4.4", "Lymph%": "30.1", "Mid%": "8.4"},
    **{"Gran%": "61.5", "RBC": "4.31", "HGB": "128", "MCHC": "332", "MCV": "89.3", "MCH": "29.7", "RDW-CV": "12.4"},
    **{"HCT": "38.5", "PLT": "231", "MPV": "10.0", "PCT": "0.231"},
}
RBC = {"rbc_decimals": 2}


def test_a_sample_without_handshake() -> None:
    output = make(options=RBC).receive(alone(body()), 1.0)
    assert (output.send, output.refusal, output.faults, output.frames) == (b"", b"", (), 1)
    assert output.observations[0] == Device(connection="connected", validity="valid", identity={"version": "01"})
    found = results(output)
    assert {name: str(seen.value) for name, seen in found.items() if seen.value is not None} == EXPECTED
    wbc = found["WBC"]
    assert (wbc.text, wbc.unit, wbc.specimen, wbc.status) == ("0072", "10*9/L", "0000000113", "unknown")
    assert (wbc.device_time, wbc.completed, wbc.comments) == ("20260101080000", "20260101080000", ("mode 0",))
    assert (found["PDW"].value, found["PDW"].reason, found["PDW"].text) == (None, "unit_unknown", "110")


def test_points_on_the_wire_or_not() -> None:
    with_points = results(make().receive(alone(body(values=POINTS)), 1.0))
    assert {name: seen.value for name, seen in with_points.items() if seen.value is not None} == {
        name: Decimal(value) for name, value in EXPECTED.items()
    }
    assert with_points["PCT"].text == ".231"
    other = [text.replace("4.31", "43.1") for text in POINTS]
    assert results(make().receive(alone(body(values=other)), 1.0))["RBC"].value == Decimal("43.1")
    mixed = ["007.2", *VALUES[1:]]
    assert reasons(make().receive(alone(body(values=mixed)), 1.0)) == ["layout"]


def test_rbc_is_raw_until_its_decimals_are_told() -> None:
    rbc = results(make().receive(alone(body()), 1.0))["RBC"]
    assert (rbc.value, rbc.validity, rbc.reason, rbc.text) == (None, "not_available", "scale_unknown", "431")
    assert results(make(options={"rbc_decimals": 1}).receive(alone(body()), 1.0))["RBC"].value == Decimal("43.1")


@pytest.mark.parametrize("text", ["****", "00*2", "*072"])
def test_a_star_is_no_digit(text: str) -> None:
    wbc = results(make().receive(alone(body(values=changed(WBC=text))), 1.0))["WBC"]
    assert (wbc.value, wbc.validity, wbc.reason, wbc.status) == (None, "not_available", "masked", "questionable")
    assert wbc.text == text


@pytest.mark.parametrize("point", ["***.*", "*****", "00*.2"])
def test_a_star_where_points_are(point: str) -> None:
    wbc = results(make().receive(alone(body(values=[point, *POINTS[1:]])), 1.0))["WBC"]
    assert (wbc.value, wbc.reason) == (None, "masked")


@pytest.mark.parametrize("at", range(36, 98))
def test_a_lost_character_does_not_make_valid_values(at: int) -> None:
    """It shifts the columns; what is valid after it was so before it, but for the last column's last digit."""
    text, gate = body(), Gate(catalog.profile("mindray_bc_serial", "bc_3000_plus"))
    before = results(make(options=RBC).receive(alone(text), 1.0))
    for shifted in (text[:at] + text[at + 1 :], text[:at] + b"0" + text[at:]):
        after = results(gate.check(make(options=RBC).receive(alone(shifted), 1.0), 1.0))
        wrong = [n for n, seen in after.items() if seen.validity == "valid" and seen.value != before[n].value]
        assert set(wrong) <= {"PCT"}


@pytest.mark.parametrize(
    "columns",
    [{"WBC": "0076"}, {"HGB": "118"}, {"PLT": "0331"}, {"MPV": "120"}, {"MCHC": "0302"}],
)
def test_what_is_said_twice_must_agree(columns: dict[str, str]) -> None:
    found = results(make().receive(alone(body(values=changed(**columns))), 1.0))
    assert {(seen.reason, seen.status) for seen in found.values() if seen.value is not None} == {
        ("inconsistent", "questionable")
    }
    (name,) = columns
    masked = {name: "*" * len(columns[name])}
    found = results(make().receive(alone(body(values=changed(**masked))), 1.0))
    assert {seen.validity for seen in found.values() if seen.value is not None} == {"valid"}


def test_a_sample_that_is_zero() -> None:
    zeros = ["0000"] * 4 + ["***"] * 3 + VALUES[7:14] + ["0000", "***", "***", "000"]
    found = results(make().receive(alone(body(values=zeros)), 1.0))
    assert (found["WBC"].value, found["PLT"].value, found["WBC"].validity) == (Decimal("0.0"), Decimal(0), "valid")


@pytest.mark.parametrize(
    "damaged",
    [
        body().replace(b"0072", b"0p72"),
        body().replace(b"0072", b" 072"),
        body().replace(b"0072", b"00.2"),
        body().replace(b"A01", b"D01"),
        body().replace(b"A01", b"AX1"),
        body().replace(b"A01010", b"A01011"),
        body(when="01012O26080000"),
        *(body(when=when) for when in ("13012026080000", "01322026080000", "01012026240000", "01012026086000")),
        body(specimen="00000A0113"),
        body(values=VALUES[:-1], rest=""),
        body(rest="\xb5"),
        body(specimen="00000113"),
        b"A",
        b"B",
        b"x" * (MAX_FRAME_BYTES + 1),
    ],
)
def test_what_is_refused(damaged: bytes) -> None:
    driver = make()
    output = driver.receive(alone(damaged), 1.0)
    assert (output.observations, output.send, output.frames) == ((), b"", 0)
    assert reasons(output) == ["length" if len(damaged) > MAX_FRAME_BYTES else "layout"]
    assert output.faults[0].rejected
    driver.receive(ENQ, 2.0)
    output = driver.receive(asked(damaged), 3.0)
    assert (output.observations, output.send, output.refusal) == ((), NAK, b"")
    output = driver.receive(asked(body()), 4.0)
    assert (len(results(output)), output.send, output.refusal) == (len(NAMES), ACK, NAK)


def test_rest_and_dates_do_not_matter() -> None:
    for text in (body(rest=""), body(rest="xyz\r\n"), body(when="12312099235959"), body(when="**************")):
        found = results(make().receive(alone(text), 1.0))
        assert len(found) == len(NAMES)
    assert (found["WBC"].completed, found["WBC"].device_time) == ("", "*" * 14)


@pytest.mark.parametrize("letter", ["B", "C"])
def test_controls_are_not_read(letter: str) -> None:
    driver = make()
    driver.receive(ENQ, 1.0)
    output = driver.receive(asked(letter.encode() + b"01LOT1234" + body()[12:]), 2.0)
    assert (output.observations, output.send, output.frames) == ((), ACK, 1)
    assert [(fault.reason, fault.detail, fault.rejected) for fault in output.faults] == [
        ("control_not_read", letter, False)
    ]
    driver.receive(ENQ, 3.0)
    output = driver.receive(asked(body(letter=letter)), 4.0)
    assert (output.send, reasons(output)) == (NAK, ["layout"]), "C is one bit from A"


@pytest.mark.parametrize(
    ("refused", "answers", "reason"),
    [
        (body("00000113"), NAK, "layout"),
        (b"x" * (MAX_FRAME_BYTES + 1), NAK, "length"),
        (body(letter="C"), NAK + ACK, "control_not_read"),
    ],
)
def test_nak_does_not_bring_the_same_body_without_end(refused: bytes, answers: bytes, reason: str) -> None:
    driver = make()
    driver.receive(ENQ, 1.0)
    outputs = [driver.receive(asked(refused), 1.0) for _turn in range(2)]
    assert b"".join(output.send for output in outputs) == answers
    assert reasons(outputs[-1]) == [reason]
    assert driver.receive(ETX, 6.0).send == answers[1:], "asked again, the same answer"
    assert driver.receive(ENQ + asked(refused), 10.0).send == ACK + NAK, "a new transmission"
    output = driver.receive(asked(body()), 11.0)
    assert (len(results(output)), output.send) == (len(NAMES), ACK)


def test_the_other_length_of_id() -> None:
    driver = make("bc_2800")
    assert results(driver.receive(alone(body("00000115")), 1.0))["HGB"].specimen == "00000115"
    assert reasons(driver.receive(alone(body()), 2.0)) == ["layout"]


def test_loinc_is_the_sites_own() -> None:
    found = results(make(options={"loinc": {"WBC": "6690-2"}}).receive(alone(body()), 1.0))
    assert (found["WBC"].loinc, found["HGB"].loinc) == ("6690-2", "")
    with pytest.raises(msgspec.ValidationError, match="check digit"):
        make(options={"loinc": {"WBC": "6690-3"}})


# The handshake.


def test_with_handshake() -> None:
    driver = make()
    assert driver.receive(ENQ, 1.0).send == ACK
    first = driver.receive(body() + b"\x1a", 1.1)
    assert (first.observations, first.send) == ((), b"")
    assert driver.receive(b"\x04", 1.2) == Output(wake_at=31.2)
    last = driver.receive(ETX, 1.3)
    assert (len(results(last)), last.send, last.refusal, last.wake_at) == (len(NAMES), ACK, NAK, None)
    again = driver.receive(ETX, 5.3)
    assert (again.observations, again.send, again.refusal) == ((), ACK, b"")
    assert driver.receive(ETX * 3, 9.3).send == ACK


@pytest.mark.parametrize("end", [b"\x1a\x04\x03", b"\x04\x03", b"\x1a\x03", b"\x03", b"\x1a\x1a\x04\x04\x03"])
def test_how_a_body_ends(end: bytes) -> None:
    driver = make()
    output = driver.receive(ENQ + body() + end, 1.0)
    assert (len(results(output)), output.send, reasons(output)) == (len(NAMES), ACK * 2, [])
    assert output.refusal == ACK + NAK


@pytest.mark.parametrize("end", [b"\x1a", b"\x04", b"\x03", b"\x1a\x04\x03"])
def test_how_a_body_ends_without_handshake(end: bytes) -> None:
    output = make().receive(b"\x02" + body() + end, 1.0)
    assert (len(results(output)), output.send, reasons(output)) == (len(NAMES), b"", [])


def test_a_body_that_ends_with_nothing() -> None:
    driver = make()
    output = driver.receive(b"\x02" + body(), 1.0)
    assert (output.observations, output.wake_at) == ((), 2.0)
    assert driver.wake(1.9).observations == ()
    assert len(results(driver.wake(2.0))) == len(NAMES)
    driver.receive(b"\x02" + body("0000000114"), 10.0)
    assert results(driver.receive(b"\x02", 20.0))["WBC"].specimen == "0000000114"
    driver.receive(body()[:40], 20.5)
    assert reasons(driver.wake(40.0)) == ["layout"]


def test_a_restarted_box_asks_for_the_body_again() -> None:
    driver = make()
    assert reasons(driver.receive(body() + b"\x1a\x04", 1.0)) == ["noise"]
    assert driver.receive(ETX, 1.1).send == NAK
    output = driver.receive(asked(body()), 1.2)
    assert (len(results(output)), output.send) == (len(NAMES), ACK)
    driver.start(2.0)
    driver.receive(alone(body("0000000114")), 3.0)
    assert driver.receive(ETX, 4.0).send == b"", "without handshake nothing is said"


def test_half_a_body_that_stands_still() -> None:
    driver = make()
    driver.receive(ENQ, 1.0)
    assert driver.wake(20.0) == Output(wake_at=31.0)
    assert driver.wake(31.0) == Output()
    driver.receive(ENQ + body()[:50], 40.0)
    output = driver.wake(70.0)
    assert (reasons(output), output.send, output.observations) == (["timeout"], b"", ())
    assert len(results(driver.receive(ENQ + asked(body()), 80.0))) == len(NAMES)


def test_what_breaks_a_body_off() -> None:
    driver = make()
    output = driver.receive(ENQ + body()[:50] + ENQ + asked(body()), 1.0)
    assert (reasons(output), output.send, len(results(output))) == (["truncated"], ACK * 3, len(NAMES))
    output = driver.receive(b"\x02" + body()[:50] + alone(body("0000000114")), 2.0)
    assert (reasons(output), len(results(output))) == (["truncated"], len(NAMES))


def test_sent_again_is_given_out_once() -> None:
    driver = make()
    driver.receive(alone(body()), 1.0)
    output = driver.receive(ENQ + asked(body()), 2.0)
    assert (output.observations, output.send, output.refusal) == ((), ACK * 2, b"")
    assert reasons(output) == ["duplicate_result"] * len(NAMES)
    output = driver.receive(ENQ + asked(body(values=changed(WBC="0073"))), 3.0)
    assert list(results(output)) == ["WBC"]
    assert len(results(driver.receive(alone(body(when="01012026080001")), 4.0))) == len(NAMES)


@pytest.mark.parametrize("size", range(1, 40, 3))
def test_any_portions(size: int) -> None:
    data = b"\x00" + ENQ + asked(body()) + alone(body("0000000114")) + b"zz" + ENQ + asked(body()[:90])
    whole, driver = make().receive(data, 1.0), make()
    outputs = [driver.receive(data[at : at + size], 1.0) for at in range(0, len(data), size)]
    assert tuple(seen for output in outputs for seen in output.observations) == whole.observations
    assert b"".join(output.send for output in outputs) == whole.send == ACK * 3 + NAK
    assert reasons(*outputs) == reasons(whole) == ["noise", "noise", "layout"]


def test_every_cut_is_no_result() -> None:
    for end in range(len(body())):
        driver = make()
        outputs = [driver.receive(ENQ + body()[:end], 1.0), driver.stop(1.5)]
        assert results(*outputs) == {}


def test_a_storm_is_answered_no_faster_than_it_comes() -> None:
    driver, sent = make(), 0
    for second in range(3600):
        sent += len(driver.receive(ETX * 50 + NAK * 5, float(second)).send)
    assert 0 < sent <= 3600


@given(data=st.binary(max_size=300))
def test_only_ack_and_nak(data: bytes) -> None:
    driver = make()
    outputs = [driver.receive(data, 1.0), driver.wake(2.0), driver.wake(40.0), driver.stop(41.0)]
    assert {bytes([byte]) for output in outputs for byte in output.send + output.refusal} <= {ACK, NAK}


def test_nothing_else_is_allowed() -> None:
    for profile in catalog.profiles("mindray_bc_serial").values():
        assert profile.tier == "sketch"
        for never in (ENQ, ETX, b"\x04", b"\x02", body()):
            assert not any(rule.fits(never) for rule in profile.allowed)
