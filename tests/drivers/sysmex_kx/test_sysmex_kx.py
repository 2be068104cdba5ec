"""KX-21 and KX-21N: columns in and results out, class A and B, and what is refused."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Output
from drivers.observation import Device
from drivers.sysmex_kx.frames import MAX_BODY_BYTES, Sample
from tests.drivers.sysmex_kx.wire import (
    ACK,
    CELLS,
    CELLS_N,
    CONTROL,
    HEAD,
    HEAD_N,
    NAK,
    NAMES,
    VECTOR,
    changed,
    frame,
    make,
    reasons,
    results,
)

EXPECTED = {
    **{"WBC": "7.2", "RBC": "4.31", "HGB": "12.8", "HCT": "38.5", "MCV": "89.3", "MCH": "29.7", "MCHC": "33.2"},
    **{"PLT": "231", "LYM%": "31.2", "MXD%": "8.4", "NEUT%": "60.4", "LYM#": "2.2", "MXD#": "0.6", "NEUT#": "4.4"},
    **{"RDW-SD": "42.1", "PDW": "12.4", "MPV": "10.1"},
}


def test_the_constructed_vector() -> None:
    assert len(VECTOR) == 121
    output = make(rdw="SD").receive(VECTOR, 1.0)
    assert (output.send, output.refusal, output.faults, output.frames) == (b"", b"", (), 1)
    assert output.observations[0] == Device(connection="connected", validity="valid")
    found = results(output)
    assert {name: str(seen.value) for name, seen in found.items() if seen.value is not None} == EXPECTED
    wbc, lcr = found["WBC"], found["P-LCR"]
    assert (wbc.text, wbc.unit, wbc.specimen, wbc.device_time) == ("0072", "10*3/uL", "000000000042", "260101")
    assert (wbc.status, wbc.flags, wbc.completed, wbc.purpose) == ("unknown", (), "", "patient")
    assert (lcr.value, lcr.reason, lcr.text, lcr.status) == (None, "masked", "*000", "questionable")


@pytest.mark.parametrize(
    ("option", "select", "code", "reason"),
    [
        ("SD", "S", "RDW-SD", ""),
        ("CV", "C", "RDW-CV", ""),
        ("SD", "C", "RDW", "unit_unknown"),
        ("CV", "S", "RDW", "unit_unknown"),
        ("", "S", "RDW", "unit_unknown"),
        ("CV", " ", "RDW", "unit_unknown"),
    ],
)
def test_rdw_is_what_site_and_text_say(option: str, select: str, code: str, reason: str) -> None:
    seen = results(make(rdw=option).receive(frame(CELLS, HEAD[:-1] + select), 1.0))[code]
    assert (seen.reason, seen.value, seen.text) == (reason, None if reason else Decimal("42.1"), "0421")


def test_the_kx_21n() -> None:
    sent = frame(CELLS_N, HEAD_N)
    assert len(sent) == 131
    found = results(make("kx_21n").receive(sent, 1.0))
    values = {name: str(seen.value) for name, seen in found.items() if seen.value is not None}
    assert values == {**EXPECTED, "RDW-CV": "12.4"}
    assert (found["RDW-CV"].unit, found["WBC"].specimen, found["WBC"].device_time) == (
        "%",
        "000000000000042",
        "20260101",
    )
    assert reasons(make("kx_21n").receive(VECTOR, 1.0), make().receive(sent, 1.0)) == ["layout"] * 2


@pytest.mark.parametrize(
    ("cell", "value", "validity", "reason", "flags", "status"),
    [
        ("00720", "7.2", "valid", "", (), "unknown"),
        ("00721", "7.2", "valid", "", ("1",), "unknown"),
        ("00722", "7.2", "valid", "", ("2",), "unknown"),
        ("00723", "7.2", "questionable", "unreliable", ("3",), "questionable"),
        ("00724", "7.2", "questionable", "unreliable", ("4",), "questionable"),
        ("00000", "0.0", "valid", "", (), "unknown"),
        ("*0000", None, "not_available", "masked", (), "questionable"),
        ("*0034", None, "not_available", "masked", ("4",), "questionable"),
        ("    0", None, "not_available", "not_measured", (), "unknown"),
    ],
)
def test_values(
    cell: str, value: str | None, validity: str, reason: str, flags: tuple[str, ...], status: str
) -> None:
    wbc = results(make().receive(changed(WBC=cell), 1.0))["WBC"]
    assert (wbc.value if wbc.value is None else str(wbc.value)) == value
    assert (wbc.validity, wbc.reason, wbc.flags, wbc.status, wbc.text) == (validity, reason, flags, status, cell[:4])


@pytest.mark.parametrize(
    "damaged",
    [
        *(changed(WBC=cell) for cell in ("0p720", " 0720", "007 0", "0072 ", "00*20", "*00*0", "0072*", "007.2")),
        VECTOR[:40] + VECTOR[41:],
        VECTOR[:40] + b"0" + VECTOR[40:],
        VECTOR.replace(b"D1U", b"D2U"),
        VECTOR.replace(b"D1U", b"E1U"),
        VECTOR.replace(b"D1U", b"D1W"),
        VECTOR.replace(b"D1U", b"D1C"),
        VECTOR.replace(b"U26", b"U2O"),
        VECTOR.replace(b"0042", b"004\xb5"),
        VECTOR.replace(b"0042", b"004\n"),
        b"\x02\x03",
        b"\x02D1C\x03",
        b"\x02" + b"0" * (MAX_BODY_BYTES + 1) + b"\x03",
    ],
)
def test_what_is_refused(damaged: bytes) -> None:
    driver = make(protocol_class="B")
    output = driver.receive(damaged, 1.0)
    assert (output.observations, output.send, output.frames) == ((), NAK, 0)
    assert reasons(output) == ["length" if len(damaged) > MAX_BODY_BYTES else "layout"]
    assert output.faults[0].rejected
    assert make().receive(damaged, 1.0).send == b""
    assert len(results(driver.receive(VECTOR, 2.0))) == len(NAMES)


def test_controls_are_not_read() -> None:
    output = make(protocol_class="B").receive(b"\x02" + CONTROL.encode() + b"\x03", 1.0)
    assert (output.observations, output.send, output.refusal, output.frames) == ((), ACK, b"", 1)
    assert [(fault.reason, fault.detail, fault.rejected) for fault in output.faults] == [
        ("control_not_read", "C", False)
    ]


@pytest.mark.parametrize(("sent", "specimen"), [(" " * 12, ""), ("  A-17      ", "A-17"), ("QC-LOW      ", "QC-LOW")])
def test_the_specimen_as_sent(sent: str, specimen: str) -> None:
    assert results(make().receive(frame(CELLS, f"D1U2601010{sent}000000S"), 1.0))["WBC"].specimen == specimen


def test_loinc_is_the_sites_own() -> None:
    found = results(make(loinc={"WBC": "6690-2"}).receive(VECTOR, 1.0))
    assert (found["WBC"].loinc, found["HGB"].loinc) == ("6690-2", "")
    with pytest.raises(msgspec.ValidationError, match="check digit"):
        make(loinc={"WBC": "6690-3"})


# Class A and B.


def test_class_a_is_never_answered() -> None:
    driver = make()
    data = VECTOR + VECTOR[:50] + VECTOR + b"\x02x\x03" + b"noise\x05\x06\x15"
    outputs = [driver.start(0.0), driver.receive(data, 1.0), driver.wake(2.0), driver.stop(3.0)]
    assert {output.send + output.refusal for output in outputs} == {b""}


def test_class_b_commits_before_it_acknowledges() -> None:
    driver = make(protocol_class="B")
    half = driver.receive(VECTOR[:-1], 1.0)
    assert half == Output()
    output = driver.receive(VECTOR[-1:], 1.1)
    assert (len(results(output)), output.send, output.refusal) == (len(NAMES), ACK, NAK)
    again = driver.receive(VECTOR, 2.0)
    assert (again.observations, again.send, again.refusal) == ((), ACK, b"")
    assert reasons(again) == ["duplicate_result"] * len(NAMES)


def test_what_was_promised_before_the_disk_was_full() -> None:
    driver = make(protocol_class="B")
    data = b"\x02" + CONTROL.encode() + b"\x03" + b"\x02x\x03" + VECTOR + changed(WBC="00730")
    output = driver.receive(data, 1.0)
    assert (output.send, output.refusal) == (ACK + NAK + ACK + ACK, ACK + NAK + NAK)


def test_a_sample_that_is_run_again_is_new_in_all_its_results() -> None:
    driver = make()
    first = results(driver.receive(VECTOR, 1.0))
    second = results(driver.receive(changed(PLT="02320"), 2.0))
    assert len(second) == len(NAMES)
    assert first["WBC"].identity != second["WBC"].identity
    driver.stop(3.0)
    driver.start(4.0)
    assert results(driver.receive(VECTOR, 5.0)) == {}


def test_without_specimen_and_with_a_date_the_text_tells_apart() -> None:
    driver = make()
    nobody = frame(CELLS, f"D1U2601010{' ' * 12}000000S")
    assert [len(results(driver.receive(nobody, 1.0))) for _turn in range(2)] == [len(NAMES), 0]


def test_what_breaks_a_text_off() -> None:
    output = make(protocol_class="B").receive(VECTOR[:60] + b"\x02\x02" + VECTOR[1:], 1.0)
    assert (reasons(output), output.send, len(results(output))) == (["truncated"], ACK, len(NAMES))


@pytest.mark.parametrize("noise", [b"\x00" * 40, b"\xff" * 40, b"\x03", b"\x05\x04", b"D1U"])
def test_noise_is_told_once_and_not_answered(noise: bytes) -> None:
    output = make(protocol_class="B").receive(noise + b"!" + VECTOR + b"\r\n", 1.0)
    assert (reasons(output), output.send, len(results(output))) == (["noise"], ACK, len(NAMES))


@pytest.mark.parametrize("size", range(1, 40, 3))
def test_any_portions(size: int) -> None:
    data = b"\x00" + VECTOR + VECTOR[:70] + changed(WBC="00730") + b"\x02x\x03"
    whole, driver = make(protocol_class="B").receive(data, 1.0), make(protocol_class="B")
    outputs = [driver.receive(data[at : at + size], 1.0) for at in range(0, len(data), size)]
    assert tuple(seen for output in outputs for seen in output.observations) == whole.observations
    assert b"".join(output.send for output in outputs) == whole.send == ACK * 2 + NAK
    assert reasons(*outputs) == reasons(whole)


@pytest.mark.parametrize("place", range(121))
def test_a_flipped_bit_is_at_most_a_digit(place: int) -> None:
    sent = results(make(rdw="SD").receive(VECTOR, 1.0))
    for bit in range(8):
        damaged = bytearray(VECTOR)
        damaged[place] ^= 1 << bit
        found = results(make(rdw="SD").receive(bytes(damaged), 1.0))
        changes = [n for n, seen in found.items() if seen.validity == "valid" and seen.value != sent[n].value]
        assert changes == [] or (place >= 30 and len(changes) == 1 and chr(damaged[place]).isdigit())


def test_to_bytes_is_the_way_back() -> None:
    sample = Sample.from_bytes(VECTOR[1:-1], "kx_21")
    assert isinstance(sample, Sample)
    assert sample.to_bytes() == VECTOR


def test_a_storm_is_answered_no_faster_than_it_comes() -> None:
    driver, sent = make(protocol_class="B"), 0
    for second in range(3600):
        sent += len(driver.receive(changed(WBC="0p720") + NAK * 5, float(second)).send)
    assert sent == 3600


@given(data=st.binary(max_size=300))
def test_only_ack_and_nak(data: bytes) -> None:
    driver = make(protocol_class="B")
    outputs = [driver.receive(data, 1.0), driver.wake(2.0), driver.stop(41.0)]
    assert {bytes([byte]) for output in outputs for byte in output.send + output.refusal} <= {ACK, NAK}


def test_nothing_else_is_allowed() -> None:
    for profile in catalog.profiles("sysmex_kx").values():
        assert profile.tier == "sketch"
        for never in (b"\x05", b"\x04", b"\x02", VECTOR):
            assert not any(rule.fits(never) for rule in profile.allowed)
