"""Micros 60: fields in and results out, what is not well formed, and what nobody may learn."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Output
from drivers.horiba_abx.frames import MAX_FRAME_BYTES, Message
from drivers.observation import AnyObservation, Device, to_json
from drivers.quality import Gate
from drivers.results import MEMORY_IDENTITIES
from tests.drivers.horiba_abx.wire import (
    ABOUT,
    TAIL,
    VALUES,
    body,
    fields,
    frame,
    hear,
    make,
    reasons,
    results,
    sample,
)


def test_a_whole_sample() -> None:
    output = hear(sample())
    found = results(output)
    assert (set(found), output.frames, output.faults) == (set(VALUES), 1, ())
    assert output.observations[0] == Device(connection="connected", validity="valid", identity={"software": "V2.8"})
    wbc, hgb, plt = found["!"], found["3"], found["@"]
    assert (wbc.value, wbc.text, wbc.unit, wbc.flags) == (Decimal("7.2"), "007.2", "10*3/uL", ())
    assert (hgb.value, hgb.unit, hgb.flags) == (Decimal("12.8"), "g/dL", ("l",))
    assert (plt.value, plt.specimen, plt.device_time) == (Decimal(231), "0000000000260113", "01/01/26 08h00mn00s")
    assert {(seen.status, seen.vendor_status, seen.purpose, seen.validity) for seen in found.values()} == {
        ("unknown", "RESULT", "patient", "valid")
    }


def test_order_and_number_of_fields_are_not_fixed() -> None:
    turned = dict(reversed(fields().items()))
    assert results(hear(frame(body(turned), count=False))) == results(hear(sample()))
    few = {name: text for name, text in fields().items() if name not in "%'$&"}
    assert set(results(hear(frame(body(few))))) == set(VALUES) - set("%'$&")


@pytest.mark.parametrize(("before", "after"), [(b"\x01", b"\x04"), (b"", b"\r\n"), (b"\r\n\x01", b"\x04\r\n")])
def test_soh_and_eot_are_optional(before: bytes, after: bytes) -> None:
    output = hear(before + sample() + after)
    assert (len(results(output)), output.faults) == (len(VALUES), ())


@pytest.mark.parametrize(
    ("field", "value", "validity", "reason", "flags", "status"),
    [
        ("007.2  ", "7.2", "valid", "", (), "unknown"),
        (" .312 l", "0.312", "valid", "", ("l",), "unknown"),
        ("  7.2", "7.2", "valid", "", (), "unknown"),
        ("00000  ", "0", "valid", "", (), "unknown"),
        ("999.9 HH", "999.9", "valid", "", ("HH",), "unknown"),
        ("007.2 h!", "7.2", "questionable", "unknown_flag", ("h!",), "questionable"),
        ("007.2 +", "7.2", "questionable", "unknown_flag", ("+",), "questionable"),
        ("007.2 *", "7.2", "questionable", "unreliable", ("*",), "questionable"),
        ("--.--  ", None, "not_available", "not_measured", (), "unknown"),
        ("-----", None, "not_available", "not_measured", (), "unknown"),
        ("       ", None, "not_available", "not_measured", (), "unknown"),
        ("***.*  ", None, "not_available", "masked", (), "questionable"),
    ],
)
def test_values(
    field: str, value: str | None, validity: str, reason: str, flags: tuple[str, ...], status: str
) -> None:
    wbc = results(hear(sample(**{"!": field})))["!"]
    assert wbc.value == (None if value is None else Decimal(value))
    assert (wbc.validity, wbc.reason, wbc.flags, wbc.status) == (validity, reason, flags, status)
    assert wbc.text == field[:5]


@pytest.mark.parametrize(
    "field",
    [
        *("", "7.2", "07.2", "0p7.2  ", "1 7.2  ", "007,2  ", "+07.2  ", "<00.5  ", ">1000  ", "1.2E3  ", "INVALID"),
        *("0007.2 ", "00.7.2 ", "007.2 1", "7.2.1  ", "*07.2  ", "-07.2  ", "NA     "),
    ],
)
def test_a_result_that_is_none_refuses_the_frame(field: str) -> None:
    output = hear(sample(**{"!": field}))
    assert (output.observations, reasons(output), output.frames) == ((), ["layout"], 0)
    assert all(fault.rejected for fault in output.faults)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (sample().replace(b"u 0", b"u\x000"), "layout"),
        (sample().replace(b"\r! ", b"\r!\x01"), "layout"),
        (sample().replace(b"! 007.2", b"! 00\xb5.2"), "layout"),
        (sample().replace(b"! 007.2", b"! 007\n2"), "layout"),
        (sample().replace(b"\r", b"\n"), "layout"),
        (frame(body(fields()).replace(b"\r! ", b"\r\r! ")), "layout"),
        (sample().replace(b"\xfd 4F1A", b"\xfd 4G1A"), "layout"),
        (sample().replace(b"\r4 ", b"\r3 "), "repeated_field"),
        (sample().replace(b"V2.8 ", b"V2.8"), "length"),
        (sample().replace(b"V2.8 ", b"V2.8  "), "length"),
        (frame(body(fields(**{"v": "x" * MAX_FRAME_BYTES}))), "length"),
        (b"\x02\x03", "layout"),
    ],
)
def test_what_is_not_well_formed_is_refused_whole(damaged: bytes, reason: str) -> None:
    driver = make()
    output = driver.receive(damaged, 1.0)
    assert (output.observations, reasons(output), output.frames) == ((), [reason], 0)
    assert len(results(driver.receive(sample(), 2.0))) == len(VALUES)


@pytest.mark.parametrize("kind", ["CALIB", "result", "RESULT1", "", None])
def test_a_frame_that_does_not_say_what_it_is_for(kind: str | None) -> None:
    output = hear(sample(**{"\xff": kind}))
    assert (output.observations, reasons(output), output.frames) == ((), ["unknown_type"], 1)


@pytest.mark.parametrize(("kind", "purpose"), [("QC-RES", "qc"), ("RES-RR", "patient"), ("RESULT", "patient")])
def test_quality_control_is_kept_apart(kind: str, purpose: str) -> None:
    found = results(hear(sample(**{"\xff": kind})))
    assert {(seen.purpose, seen.vendor_status) for seen in found.values()} == {(purpose, kind)}


def test_a_field_without_a_row_is_raw_if_it_is_built_like_a_result() -> None:
    raw = results(hear(sample(B=" .231  ", C="011.0 l", D="12", E="0001", F="some text", s="12345  ")))
    assert set(raw) == {*VALUES, "B", "C"}
    seen = raw["C"]
    assert (seen.value, seen.validity, seen.reason, seen.unit) == (None, "not_available", "unit_unknown", "")
    assert (seen.text, seen.flags, seen.vendor and seen.vendor.code) == ("011.0", ("l",), "C")


def test_curves_are_not_decoded() -> None:
    assert hear(frame(body(fields(), curves=True))).observations == hear(frame(body(fields()))).observations


def test_the_specimen_as_sent() -> None:
    assert results(hear(sample(u="  A-17/b  ")))["!"].specimen == "A-17/b"
    empty = results(hear(sample(u="")))["!"]
    assert (empty.specimen, empty.validity) == ("", "valid")
    untold = results(hear(sample(u=None, A="--.--")))
    assert (untold["!"].validity, untold["!"].reason, untold["!"].status) == (
        "questionable",
        "no_specimen",
        "questionable",
    )
    assert untold["A"].reason == "not_measured"
    other = results(hear(sample(s="0042"), options={"specimen_field": "s", "time_field": "t"}))["!"]
    assert (other.specimen, other.device_time) == ("0042", "M")


def test_loinc_is_the_sites_own() -> None:
    found = results(hear(sample(), options={"loinc": {"!": "6690-2"}}))
    assert (found["!"].loinc, found["2"].loinc) == ("6690-2", "")
    with pytest.raises(msgspec.ValidationError, match="check digit"):
        make(options={"loinc": {"2": "789-9"}})


def test_names_go_nowhere() -> None:
    secret = sample(v="12345  ", **{"\xfb": "54321  "})
    for data in (sample(), secret, secret.replace(b"! 0", b"! x"), sample(**{"\xff": "DUPONT"})):
        told = _told(hear(data))
        for word in ("DUPONT", "DURAND", "12345", "54321"):
            assert word not in told


def _told(output: Output) -> str:
    return "".join(to_json(seen).decode() for seen in output.observations) + repr(output.faults)


def test_what_is_sent_again_is_given_out_once() -> None:
    driver = make()
    assert len(results(driver.receive(sample(), 1.0))) == len(VALUES)
    again = driver.receive(sample(), 2.0)
    assert (again.observations, reasons(again)) == ((), ["duplicate_result"] * len(VALUES))
    driver.stop(3.0)
    driver.start(4.0)
    assert driver.receive(sample(), 5.0).observations == ()
    changed = driver.receive(sample(**{"!": "007.3  "}), 6.0)
    assert set(results(changed)) == {"!"}
    later = driver.receive(sample(q="01/01/26 09h00mn00s"), 7.0)
    assert len(results(later)) == len(VALUES)


def test_without_time_a_sample_that_is_run_again_is_new_in_all_its_results() -> None:
    driver = make()
    assert [len(results(driver.receive(sample(q=None), 1.0))) for _turn in range(2)] == [len(VALUES), 0]
    assert set(results(driver.receive(sample(q=None, **{"!": "007.3  "}), 2.0))) == set(VALUES)


def test_without_specimen_and_time_nothing_is_dropped() -> None:
    driver = make()
    nobody = sample(u="", q="")
    assert [len(results(driver.receive(nobody, 1.0))) for _turn in range(2)] == [len(VALUES)] * 2


def test_the_memory_is_bounded() -> None:
    driver = make()
    for number in range(MEMORY_IDENTITIES // len(VALUES) + 2):
        driver.receive(sample(u=f"{number:016d}"), 1.0)
    assert len(results(driver.receive(sample(u=f"{0:016d}"), 2.0))) == len(VALUES)


def test_units_are_the_profiles_and_the_wrong_one_shows() -> None:
    si = sample(**{"3": "00128 l", "4": " .385  ", "7": "00332  "})
    for profile, data, other in (("micros_60", sample(), si), ("micros_60_si", si, sample())):
        gate, driver = Gate(catalog.profile("horiba_abx", profile)), make(profile)
        right = results(gate.check(driver.receive(data, 1.0), 1.0))
        assert {right[code].validity for code in "347"} == {"valid"}
        wrong = results(gate.check(driver.receive(other.replace(b"u 0", b"u 1"), 2.0), 2.0))
        doubted = {code for code in "347" if wrong[code].reason == "implausible"}
        assert doubted == {"3", "4", "7"}


def test_a_line_of_seven_bits_is_refused() -> None:
    """FFH becomes 7FH and E9H an `i`: what a frame is for can no longer be read."""
    output = hear(bytes(byte & 0x7F for byte in frame(body(fields()))))
    assert (output.observations, reasons(output)) == ((), ["layout"])


def test_another_device_on_the_line() -> None:
    astm = b"\x05\x021H|\\^&|||XP-300\r\x03A4\r\n\x022R|1|^^^^WBC|7.2|10*3/uL\r\x0300\r\n\x04"
    bci = b"\x05\x02\x1emtrsl|ci1|rtTSH|qn0.80|\x1d4e\r\n\x03\x04"
    for other in (astm, bci):
        output = hear(other + sample())
        assert (len(results(output)), output.frames) == (len(VALUES), 1)
        assert set(reasons(output)) <= {"layout", "noise", "illegal_character"}


@pytest.mark.parametrize("noise", [b"\x00" * 50, b"\xff" * 50, b"\x03", b"ABC", b"\x05\x06\x15"])
def test_noise_is_told_once_and_costs_nothing(noise: bytes) -> None:
    output = hear(noise + b"!" + sample())
    assert reasons(output) == ["noise"]
    assert len(results(output)) == len(VALUES)


def test_stx_in_a_frame_begins_another() -> None:
    output = hear(sample()[:200] + b"\x02\x02" + sample()[1:])
    assert (reasons(output), len(results(output))) == (["truncated"], len(VALUES))
    assert reasons(hear(b"\x02" + b"1" * 9000 + sample())) == ["truncated"]


def test_half_a_frame_is_none_after_a_new_start() -> None:
    driver = make()
    driver.receive(sample()[:300], 1.0)
    driver.start(2.0)
    output = driver.receive(sample()[300:], 3.0)
    assert (results(output), reasons(output)) == ({}, ["noise"])
    assert driver.wake(4.0) == Output()


@given(cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    data = b"\x00" + sample() + sample(u="1") + sample()[:99] + sample(u="2")
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    driver = make()
    found: list[AnyObservation] = []
    for first, last in zip(places, places[1:], strict=False):
        found += driver.receive(data[first:last], 1.0).observations
    assert tuple(found) == hear(data).observations


@given(st.dictionaries(st.sampled_from("!2345678"), st.from_regex(r"[0-9]{2}[0-9.][0-9]{2}  ", fullmatch=True)))
def test_to_bytes_is_the_way_back(changes: dict[str, str]) -> None:
    content = fields(**changes)
    message = Message.from_bytes(Message(content).to_bytes()[1:-1])
    assert message == Message(content)


def test_nothing_can_be_sent() -> None:
    for profile in catalog.profiles("horiba_abx").values():
        assert profile.allowed == ()
    driver = make()
    outputs = [driver.start(0.0), driver.receive(sample(), 1.0), driver.wake(2.0), driver.stop(3.0)]
    assert {output.send + output.refusal for output in outputs} == {b""}
    assert {**ABOUT, **TAIL}.keys() <= fields().keys()
