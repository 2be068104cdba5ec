"""What a report says: units, absences, settings, alarms, doubt in place of a checksum, the wrong ventilator."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Output
from drivers.observation import AnyObservation, Device, Enumeration, Numeric
from drivers.quality import Gate
from tests.drivers.puritan_bennett.reports import PB_980, VC, Bench, alerts, bench, by_code, misca, miscf, width

PROFILE = catalog.profile("puritan_bennett", "pb_840")
ALARMS = [m.code for m in PROFILE.metric if m.kind == "alert"]


def values(made: Bench, data: bytes, after: float = 2.0) -> dict[str, Numeric | Enumeration]:
    return by_code(made.rx(data, after))


@pytest.mark.parametrize(
    ("code", "text", "value", "unit"),
    [
        ("14", "0.450", "0.450", "L"),
        ("21", "0.500", "0.500", "L"),
        ("61", "0.300", "0.300", "L"),
        ("71", "0.438", "0.438", "L"),
        ("78", "0.452", "0.452", "L"),
        ("154", "0.390", "0.390", "L"),
        ("38", "1200", "1200", "mL"),
        ("39", "350", "350", "mL"),
        ("40", "900", "900", "mL"),
        ("41", "250", "250", "mL"),
        ("43", "1500", "1500", "mL"),
        ("13", "14.0", "14.0", "/min"),
        ("70", "14.0", "14.0", "/min"),
        ("72", "6.130", "6.130", "L/min"),
        ("36", "12.000", "12.000", "L/min"),
        ("73", "21.0", "21.0", "cm[H2O]"),
        ("102", "-18.0", "-18.0", "cm[H2O]"),
        ("34", "40", "40", "cm[H2O]"),
        ("77", "40", "40", "%"),
        ("75", "2.30", "2.30", "1"),
        ("92", "48.0", "48.0", "mL/cm[H2O]"),
        ("93", "9.1", "9.1", "cm[H2O]/(L/s)"),
        ("82", "21.0", "21.0", "cm[H2O]/L"),
        ("155", "0.8", "0.8", "J/L"),
        ("60", "65.0", "65.0", "kg"),
        ("51", "7.5", "7.5", "mm"),
        ("19", "0.4", "0.4", "s"),
    ],
)
def test_value_and_unit(code: str, text: str, value: str, unit: str) -> None:
    """Volumes are in L, their limits in mL; the digits stay as printed."""
    found = values(bench(), miscf({**VC, int(code): text}))[code]
    assert isinstance(found, Numeric)
    assert (str(found.value), found.unit, found.validity) == (value, unit, "valid")
    assert found.device_time == "MAR 14 2024 09:41"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "missing"), ("OFF", "off")],
)
def test_a_limit_that_is_not_there(text: str, reason: str) -> None:
    found = values(bench(), miscf(f42=text))["42"]
    assert (found.value, found.validity, found.reason) == (None, "not_available", reason)


def test_an_absence_is_said_once_and_a_value_that_comes_back_again() -> None:
    made = bench()
    made.rx(miscf())
    assert values(made, miscf(f71=""))["71"].reason == "missing"
    assert "71" not in values(made, miscf(f71=""))
    assert values(made, miscf())["71"].value == Decimal("0.438")


def test_every_measured_field_is_absent_in_an_empty_report() -> None:
    """Nothing is 0, nothing is the last value."""
    made = bench()
    made.rx(miscf())
    seen = values(made, miscf({5: "09:42", 6: VC[6], 7: VC[7]}))
    assert seen
    assert {o.value for o in seen.values()} == {None}
    assert {"71", "73", "9"} <= seen.keys()


@pytest.mark.parametrize(
    ("code", "text", "value"),
    [
        ("8", "NIV", "NIV"),
        *(("9", mode, mode) for mode in ("A/C", "SIMV", "SPONT", "BILEVL")),
        *(("10", kind, kind) for kind in ("PC", "VC", "VC+")),
        *(("11", kind, kind) for kind in ("NONE", "PS", "TC", "VS", "PA")),
        *(("12", kind, kind) for kind in ("V-Trig", "P-Trig")),
        ("33", "ON", "ON"),
        ("105", "ON", "ON"),
    ],
)
def test_words(code: str, text: str, value: str) -> None:
    found = values(bench(), miscf({**VC, int(code): text}))[code]
    assert (found.value, found.vendor and found.vendor.text.rstrip()) == (value, text)
    assert (found.metric == "MDC_VENT_MODE") == (code == "9")


@pytest.mark.parametrize("code", ["59", "76", "84", "85", "86", "156", "158", "159", "161", "163", "172"])
def test_fields_of_unknown_unit_or_meaning_are_published_raw(code: str) -> None:
    made = bench("pb_980")
    found = values(made, miscf({**PB_980, int(code): "1.25"}))[code]
    assert (found.value, found.validity, found.vendor and found.vendor.text) == (None, "not_available", "1.25  ")
    gone = values(made, miscf({**PB_980, int(code): ""}))[code]
    assert (gone.value, gone.reason) == (None, "missing")
    assert code not in values(made, miscf({**PB_980, int(code): ""}))


# -- Settings: told when they change, once more, and now and then ---------------------------------------------------


def test_when_settings_are_said() -> None:
    made = bench()
    told = ["14" in values(made, miscf(), 2.0) for _n in range(9)]
    assert told == [True, True, False, False, False, False, True, False, False]
    told = ["14" in values(made, miscf(f14="0.500"), 2.0) for _n in range(4)]
    assert told == [True, True, False, False]
    assert all("71" in values(made, miscf(), 2.0) for _n in range(4))


def judged(made: Bench, gate: Gate, data: bytes) -> dict[str, Numeric | Enumeration]:
    seen = made.rx(data, 2.0)
    return by_code(list(gate.check(Output(observations=tuple(seen)), made.now).observations))


def test_a_changed_setting_is_questionable_until_the_next_report() -> None:
    """No checksum: a digit may have changed on the line."""
    made, gate = bench(), Gate(PROFILE)
    judged(made, gate, miscf())
    found = judged(made, gate, miscf(f14="0.950", f34="60"))
    assert [(found[c].validity, found[c].reason) for c in ("14", "34")] == [("questionable", "step")] * 2
    found = judged(made, gate, miscf(f14="0.950"))
    assert [found[c].validity for c in ("14", "34")] == ["valid", "valid"]
    assert found["34"].value == 40


def test_a_measured_value_jumps() -> None:
    made, gate = bench(), Gate(PROFILE)
    judged(made, gate, miscf())
    assert judged(made, gate, miscf(f73="61.5"))["73"].validity == "questionable"
    assert judged(made, gate, miscf(f73="61.0"))["73"].validity == "valid"
    assert judged(made, gate, miscf(f73="40.0"))["73"].validity == "valid"


@pytest.mark.parametrize("code", ["92", "93", "94", "104"])
def test_a_manoeuvre_of_zero_is_questionable(code: str) -> None:
    found = judged(bench(), Gate(PROFILE), miscf({**VC, int(code): "0.0"}))[code]
    assert (found.validity, found.reason) == ("questionable", "implausible")


def test_zero_out_of_a_blank_waits_for_a_second_report() -> None:
    """One bit makes `0` of a space."""
    made = bench()
    assert values(made, miscf(f31="0"))["31"].reason == "unconfirmed"
    assert values(made, miscf(f31="0"))["31"].validity == "valid"
    assert values(made, miscf(f31=""))["31"].reason == "missing"
    found = values(made, miscf(f31="0"))["31"]
    assert (found.validity, found.reason, found.value) == ("questionable", "unconfirmed", Decimal(0))
    assert values(made, miscf(f31="10"))["31"].validity == "valid"
    assert values(made, miscf(f31="0"))["31"].validity == "valid"


# -- Alarms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ALARMS)
def test_each_alarm_goes_on_once_and_off_once(code: str) -> None:
    made = bench()
    quiet, low, high = (miscf({**VC, int(code): word}) for word in ("NORMAL", "LOW", "HIGH"))
    assert alerts(made.rx(quiet)) == []
    assert alerts(made.rx(low, 2.0)) == [(code, "on", "low", "LOW")]
    assert alerts(made.rx(low, 2.0)) == []
    assert alerts(made.rx(high, 2.0)) == [(code, "on", "high", "HIGH")]
    assert alerts(made.rx(miscf({**VC, int(code): "RESET"}), 2.0)) == [(code, "off", "high", "HIGH")]
    assert alerts(made.rx(quiet, 2.0)) == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("LOW", [("on", "low")]),
        ("MEDIUM", [("on", "medium")]),
        ("HIGH", [("on", "high")]),
        ("ALERT", [("on", "unknown")]),
        ("NORMAL", []),
        ("RESET", []),
        ("", []),
    ],
)
def test_the_word_is_the_urgency(word: str, expected: list[tuple[str, str]]) -> None:
    assert [found[1:3] for found in alerts(bench().rx(miscf(f110=word)))] == expected


def test_alarms_of_the_980() -> None:
    """153 is another alarm there, 160 is one at all."""
    seen = bench("pb_980").rx(miscf(PB_980, f153="HIGH", f160="LOW"))
    assert alerts(seen) == [("153", "on", "high", "HIGH"), ("160", "on", "low", "LOW")]
    labels = [catalog.profile("puritan_bennett", name).by_code["153"].label("en") for name in ("pb_840", "pb_980")]
    assert labels == ["Technical malfunction A85", "End-tidal CO2 high"]


def test_an_alarm_word_of_its_own_is_on_but_questionable() -> None:
    made = bench()
    made.rx(miscf())
    assert made.rx(miscf(f107="ALARM"), 2.0) == []
    seen = made.rx(miscf(f107="ALARM"), 2.0)
    assert alerts(seen) == [("107", "on", "unknown", "ALARM")]
    assert [o.validity for o in seen if o.vendor and o.vendor.code == "107"] == ["questionable"]


# -- Doubt ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((5, text) for text in ("9:41", "24:00", "09-41", "09:61")),
        *((7, text) for text in ("MRZ 14 2024", "14 MAR 2024", "MAR 44 2024")),
        *((6, text) for text in ("840-3510012345", "84O 3510012345", "840 3510012345 x")),
        *((73, text) for text in ("21.0 !", "2.1.0", "OFF", "1e3", "-", "21.", "+21", "NaN")),
        *((14, text) for text in ("0FF", "OFF!", "0.45 1")),
        *((9, text) for text in ("A-C", "SIMW", "sponT")),
        *((110, text) for text in ("NORMAM", "LOV", "normal", "LOW  x")),
    ],
)
def test_a_word_that_the_field_never_has_refuses_the_report_once(number: int, text: str) -> None:
    made = bench()
    made.rx(miscf())
    odd = miscf({**VC, number: text, 71: "0.555"})
    assert made.rx(odd, 2.0) == []
    assert [(f.reason, f.detail, f.rejected) for f in made.faults] == [("text", f"field {number}", True)]
    assert made.frames == 1
    seen = made.rx(odd, 0.2)
    if number == 6:  # its id is another one as well: that is believed when it comes again
        assert (seen, made.frames) == ([], 1)
        assert {o.value for o in by_code(made.rx(odd, 0.2)).values()} == {None} or text.startswith("840 ")
    else:
        assert by_code(seen)["71"].value == Decimal("0.555")
        assert number in (5, 7, 110) or by_code(seen)[str(number)].value is None
    assert made.frames == 2


def test_a_flipped_bit_outside_of_digits_refuses_the_whole_report() -> None:
    """All 9952 of them, the field by its place: only digits, their padding, and text without a list may differ."""
    data = miscf(f102="-18.0")
    places = [number for number in range(5, 174) for _character in range(width(number) + 1)]
    free = {number for number in range(8, 174) if str(number) not in PROFILE.by_code} | {50, 53}
    numbers = {int(m.code) for m in PROFILE.metric if m.kind == "numeric"} | {5, 7}
    passed = 0
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        made = bench()
        made.rx(data)
        made.rx(bytes(damaged), 2.0)
        if made.frames == 1:
            continue
        passed += 1
        place = bit // 8 - data.index(2) - 1
        assert 0 <= place < len(places), f"header or trailer, byte {bit // 8}"
        in_digits = (
            places[place] in numbers and data[bit // 8] in b"0123456789 " and damaged[bit // 8] in b"0123456789 "
        )
        assert in_digits or places[place] in free, (
            f"field {places[place]}: {bytes(damaged[bit // 8 - 9 : bit // 8 + 9])!r}"
        )
    assert 0 < passed < len(data)


def test_doubt_is_about_two_reports_in_a_row() -> None:
    made = bench()
    made.rx(miscf())
    for _n in range(3):
        assert made.rx(miscf(f9="A-C"), 2.0) == []
        assert made.rx(miscf(), 2.0) != []
    assert made.rx(miscf(f9="A-C"), 2.0) == []
    assert made.rx(miscf(f9="", f10="xx"), 2.0) == []
    assert made.rx(miscf(f9="A-C"), 2.0) == []
    seen = by_code(made.rx(miscf(f9="B-C"), 2.0))
    assert (seen["9"].value, seen["9"].reason) == (None, "unknown_code")
    assert by_code(made.rx(miscf(f9="SIMV"), 2.0))["9"].value == "SIMV"


def test_a_fault_names_three_fields_at_most() -> None:
    made = bench()
    made.rx(miscf(f9="?", f10="?", f11="?", f12="?", f13="?"))
    assert [f.detail for f in made.faults] == ["field 9,10,11"]


PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=",")


@given(number=st.integers(8, 173), text=st.text(PRINTABLE, max_size=6))
def test_nothing_but_a_number_is_ever_a_number(number: int, text: str) -> None:
    """Whatever a field holds, the value is what is printed there, or absent."""
    made = bench()
    for _n in range(2):
        made.rx(miscf({**VC, number: text}), 2.0)
    for seen in made.seen:
        if isinstance(seen, Numeric) and seen.value is not None and seen.vendor:
            assert str(seen.value) == seen.vendor.text.rstrip()


# -- Who it is ------------------------------------------------------------------------------------------------------


def devices(seen: list[AnyObservation]) -> list[tuple[str, str, dict[str, str]]]:
    return [(o.connection, o.reason, o.identity) for o in seen if isinstance(o, Device)]


@pytest.mark.parametrize(("profile", "values_"), [("pb_840", VC), ("pb_980", PB_980)])
def test_identity(profile: str, values_: dict[int, str]) -> None:
    seen = bench(profile).rx(miscf(values_))
    model, serial = values_[6].split()
    assert devices(seen) == [("connected", "", {}), ("connected", "", {"model": model, "serial": serial})]
    assert all(o.operating == "unknown" for o in seen if isinstance(o, Device))


@pytest.mark.parametrize(("profile", "other"), [("pb_840", PB_980), ("pb_980", VC)])
def test_another_model_is_not_read_with_this_table(profile: str, other: dict[int, str]) -> None:
    made = bench(profile)
    seen = made.rx(miscf({**other, 110: "HIGH"}))
    assert devices(seen)[1][1] == "wrong_device"
    assert {o.value for o in by_code(seen).values()} == {None}
    assert {o.reason for o in by_code(seen).values()} == {"wrong_device"}
    assert {o.unit for o in seen if isinstance(o, Numeric)} == {""}
    assert alerts(seen) == []
    assert [(f.reason, f.detail) for f in made.faults] == [("wrong_device", other[6][:3])]
    assert made.rx(miscf({**other, 110: "HIGH"}), 2.0) == []
    assert len(made.faults) == 1


def test_a_swap_withdraws_what_was_read() -> None:
    made = bench()
    made.rx(miscf())
    made.rx(miscf(), 2.0)
    assert made.rx(miscf(PB_980), 2.0) == []
    assert made.reasons() == ["identity"]
    gone = [o for o in made.rx(miscf(PB_980), 2.0) if isinstance(o, Numeric) and o.unit]
    assert {o.vendor.code for o in gone if o.vendor} >= {"71", "73", "14"}
    assert {(o.value, o.reason) for o in gone} == {(None, "wrong_device")}
    assert made.rx(miscf(), 2.0) == []
    back = by_code(made.rx(miscf(), 2.0))
    assert (back["71"].value, back["14"].value) == (Decimal("0.438"), Decimal("0.450"))


def test_another_serial_number_needs_a_second_report() -> None:
    made = bench()
    made.rx(miscf())
    for _n in range(3):
        assert made.rx(miscf(f6="840 3510012341"), 2.0) == []
        assert made.rx(miscf(), 2.0) != []
    made.rx(miscf(f6="840 3510012341"), 2.0)
    seen = made.rx(miscf(f6="840 3510012341"), 2.0)
    assert devices(seen) == [("connected", "", {"model": "840", "serial": "3510012341"})]


def test_no_id_is_no_840() -> None:
    seen = bench().rx(miscf(f6=""))
    assert devices(seen)[1] == ("connected", "wrong_device", {"model": "", "serial": ""})
    assert {o.value for o in by_code(seen).values()} == {None}


def test_the_short_report_is_raw() -> None:
    made = bench(report="MISCA")
    seen = by_code(made.rx(misca("09:41", "840 1".ljust(18), "", "NORMAL", "14.0")))
    assert seen.keys() == {"MISCA.5", "MISCA.6", "MISCA.8", "MISCA.9"}
    assert {o.value for o in seen.values()} == {None}
    assert by_code(made.rx(misca("09:41", "840 1".ljust(18), "", "NORMAL", "15.0"), 2.0)).keys() == {"MISCA.9"}
    assert made.frames == 2


def test_labels_in_both_languages_and_one_unit_each() -> None:
    for name, profile in catalog.profiles("puritan_bennett").items():
        for metric in profile.metric:
            assert metric.label("en") != metric.code or name == "waveform_port"
            assert metric.label("fr")
            assert (metric.kind in ("numeric", "waveform")) == bool(metric.unit)
            is_setting = metric.category == "setting" and metric.kind == "numeric"
            assert is_setting == (metric.step == 0)
