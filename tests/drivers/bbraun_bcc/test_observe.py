"""What is published: values, absences, states, alarms, pumps that come and go, and nothing of a patient."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.bbraun_bcc.observe import MAX_UNKNOWN, Rack, is_private, operating_of
from drivers.bbraun_bcc.records import parse_answer
from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Device, Enumeration, Numeric, to_json
from tests.drivers.bbraun_bcc.dialogue import BED, PROFILE, RUNNING, Bench, bench, pump


def told(parameters: dict[str, str], slot: str = "11") -> list[AnyObservation]:
    """The observations of one block, without the pump's own."""
    it = bench().up()
    it.rx(pump(slot, 300, parameters))
    return [seen for seen in it.seen if not isinstance(seen, Device)]


def value_of(code: str, text: str) -> Numeric | Enumeration:
    (seen,) = told({code: text})
    assert isinstance(seen, Numeric | Enumeration)
    return seen


def poll(it: Bench, *blocks: bytes) -> list[AnyObservation]:
    """The next answer to MEM:GET, block after block; what it brought."""
    it.wait(6.0)
    it.seen.clear()
    for block in blocks:
        it.rx(block)
        it.wait(0.15)
    return it.seen


@pytest.mark.parametrize(
    ("code", "text", "metric", "unit", "category"),
    [
        ("INRT", "5.00", "MDC_FLOW_FLUID_PUMP", "mL/h", "measurement"),
        ("INVI", "12.5", "MDC_VOL_FLUID_DELIV", "mL", "measurement"),
        ("INVTB", "500.00", "MDC_VOL_FLUID_TBI", "mL", "setting"),
        ("INVOLACT", "31.5", "", "mL", "measurement"),
        ("INRMT", "3600", "MDC_TIME_PD_REMAIN", "s", "measurement"),
        ("INTIME", "75", "", "min", "measurement"),
        ("INSYR", "50", "", "mL", "setting"),
        ("INP2", "35", "", "%", "measurement"),
        ("INAKKU", "908", "MDC_ATTR_TIME_BATT_REMAIN", "min", "measurement"),
        ("INSTBY", "30", "", "min", "measurement"),
    ],
)
def test_numbers(code: str, text: str, metric: str, unit: str, category: str) -> None:
    seen = value_of(code, text)
    assert isinstance(seen, Numeric)
    assert (seen.metric, str(seen.value), seen.unit, seen.category) == (metric, text, unit, category)
    assert (seen.validity, seen.mds, seen.device_time) == ("valid", "11", "300")
    assert seen.vendor is not None
    assert (seen.vendor.code, seen.vendor.text) == (code, text)


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        *(
            (code, text, "missing")
            for code in ("INRT", "INVI", "INSOL", "INM3", "DSSTATUS")
            for text in ("_NV", "_NA")
        ),
        ("INRT", "", "missing"),
        ("INRMT", "65535", "no_end"),
        ("INRMT", "600000", "no_end"),
        ("INRT", "5,00", "not_numeric"),
        ("INRT", "----", "not_numeric"),
        ("INM3", "2", "unknown_code"),
        ("DSSTATUS", "51", "unknown_code"),
        ("RUNSTATE", "10", "unknown_code"),
        ("RUNSTATE", "x", "unknown_code"),
        ("INA1", "_NV", "missing"),
        ("INA1", "2", "unit_unknown"),
        ("INA1", "on", "unknown_code"),
        ("INDORT", "0.15", "unit_unknown"),
        ("INDORTU", "37", "unknown_code"),
        ("INDORT", "_NV", "missing"),
        ("INBORT", "a lot", "unit_unknown"),
        ("INAVRT", "4.98", "unit_unknown"),
        ("INP1", "5", "unit_unknown"),
        ("NEWCODE", "abc", "unknown_code"),
        ("NEWCODE", "_NV", "missing"),
    ],
)
def test_absent_with_a_reason_and_the_text_beside(code: str, text: str, reason: str) -> None:
    seen = value_of(code, text)
    assert (seen.value, seen.validity, seen.reason) == (None, "not_available", reason)
    assert seen.vendor is not None
    assert (seen.vendor.code, seen.vendor.text) == (code, text)


@pytest.mark.parametrize(
    ("code", "text", "word"),
    [
        ("INM3", "0", "not_infusing"),
        ("INM3", "1", "infusing"),
        ("INM10", "1", "yes"),
        ("INM8", "0", "no"),
        ("DSSTATUS", "00050", "off"),
        ("DSSTATUS", "00051", "on"),
        ("RUNSTATE", "0", "none"),
        ("RUNSTATE", "1", "stop"),
        ("RUNSTATE", "2", "run"),
        ("RUNSTATE", "5", "stop alarm"),
        ("RUNSTATE", "A", "run kvo"),
        ("INSOL", "Aminoven 15%", "Aminoven 15%"),
        ("INSOLSN", "NA\ue021", "NA\ue021"),
        ("INSOLID", "00042", "00042"),
    ],
)
def test_words(code: str, text: str, word: str) -> None:
    seen = value_of(code, text)
    assert isinstance(seen, Enumeration)
    assert (seen.value, seen.validity, seen.reason) == (word, "valid", "")


def test_private_characters_of_the_pump_stay_as_sent() -> None:
    assert "NA\ue021".encode() == b"NA\xee\x80\xa1"
    assert "NA\ue021".encode() in to_json(value_of("INSOL", "NA\ue021"))


@pytest.mark.parametrize(
    ("told_now", "operating"),
    [
        ({"DSSTATUS": "00050", "INM3": "0", "INM6": "0"}, "off"),
        ({"DSSTATUS": "00050"}, "off"),
        ({"DSSTATUS": "00050", "INM6": "1"}, "off"),
        ({"DSSTATUS": "00050", "INM3": "1"}, "unknown"),
        ({"DSSTATUS": "00051", "INM6": "1", "INM3": "0"}, "standby"),
        ({"INM6": "1"}, "standby"),
        ({"DSSTATUS": "00051", "INM6": "1", "INM3": "1"}, "unknown"),
        ({"DSSTATUS": "00051", "INM6": "0", "INM3": "1"}, "in_use"),
        ({"DSSTATUS": "00051", "INM6": "0", "INM3": "0"}, "in_use"),
        ({"INM3": "1"}, "in_use"),
        ({"DSSTATUS": "00051", "INM3": "0"}, "unknown"),
        ({"DSSTATUS": "00051"}, "unknown"),
        ({"INM3": "0", "INM6": "0"}, "unknown"),
        ({"DSSTATUS": "00052", "INM6": "0"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_in_use_standby_off(told_now: dict[str, str], operating: str) -> None:
    assert operating_of(told_now) == operating
    it = bench().up()
    it.rx(pump("11", 300, told_now | {"GNMODEL": "x"}))
    assert isinstance(it.seen[0], Device)
    assert it.seen[0].operating == operating


def test_a_pump_is_told_once_with_all_of_it() -> None:
    it = bench().up()
    it.rx(pump("11", 300, RUNNING | {"GNNEW": "Perfusor", "GNMODEL": "_NV"}))
    devices = [seen for seen in it.seen if isinstance(seen, Device)]
    assert devices == [
        Device(
            validity="valid",
            mds="11",
            device_time="300",
            connection="connected",
            operating="in_use",
            identity={"name": "Perfusor", "serial": "561151"},
        )
    ]
    codes = {seen.vendor.code for seen in it.seen if seen.vendor}
    assert not codes & {"GNMODEL", "GNNEW", "INSERNUM"}
    assert poll(it, pump("11", 305, RUNNING | {"GNNEW": "Perfusor", "GNMODEL": "_NV"}))
    assert not [seen for seen in it.seen if isinstance(seen, Device)]


def test_another_pump_in_the_same_slot_is_told_by_its_number() -> None:
    it = bench().up()
    it.rx(pump("11", 300, RUNNING))
    seen = poll(it, pump("11", 305, RUNNING | {"INSERNUM": "700001"}))
    assert isinstance(seen[0], Device)
    assert seen[0].identity["serial"] == "700001"


def test_an_alarm_goes_on_once_and_off_once() -> None:
    it = bench().up()
    it.rx(pump("11", 300, {"INA3": "1", "INA2": "0"}))
    for time in (305, 310):
        assert poll(it, pump("11", time, {"INA3": "1", "INA2": "0"})) == []
    (off,) = poll(it, pump("11", 315, {"INA3": "0", "INA2": "0"}))
    assert isinstance(off, Alert)
    assert (off.presence, off.validity, off.mds, off.device_time) == ("off", "valid", "11", "315")
    assert poll(it, pump("11", 320, {"INA3": "0", "INA2": "0"})) == []
    (on,) = poll(it, pump("11", 325, {"INA3": "1", "INA2": "0"}))
    assert isinstance(on, Alert)
    assert (on.presence, on.alert, on.priority) == ("on", "technical", "unknown")


ALARMS = (1, 2, 3, 5, 7, 8, 9, 11, 12, 14, 15, 16)


@pytest.mark.parametrize("number", range(1, 18))
def test_every_alarm_flag(number: int) -> None:
    (seen,) = told({f"INA{number}": "1"})
    assert isinstance(seen, Alert)
    assert seen.alert == ("technical" if number in ALARMS else "unknown")
    assert seen.metric == {2: "MDC_EVT_EMPTY", 11: "MDC_EVT_BATT_LO"}.get(number, "")
    assert told({f"INA{number}": "0"}) == []


@pytest.mark.parametrize("parameters", [{"INA3": "_NV"}, {"INA2": "0"}, {"INA3": "7"}])
def test_an_alarm_that_is_not_told_any_more_is_off_without_a_claim(parameters: dict[str, str]) -> None:
    it = bench().up()
    it.rx(pump("11", 300, {"INA3": "1"}))
    off = [seen for seen in poll(it, pump("11", 305, parameters)) if isinstance(seen, Alert)]
    assert [(one.presence, one.validity, one.reason) for one in off] == [("off", "not_available", "missing")]


def test_a_pump_that_leaves_the_rack() -> None:
    it = bench().up()
    it.rx(pump("11", 300, RUNNING, more=True))
    it.wait(0.1)
    it.rx(pump("12", 300, RUNNING | {"INA3": "1"}))
    assert not [one for one in poll(it, pump("11", 303, RUNNING)) if one.mds == "12"]
    seen = poll(it, pump("11", 305, RUNNING))
    gone = [one for one in seen if one.mds == "12"]
    assert all(one.reason == "gone" and one.device_time == "305" for one in gone)
    assert {one.vendor.code for one in gone if isinstance(one, Numeric | Enumeration) and one.vendor} == {
        "DSSTATUS",
        "INM3",
        "INM6",
        "INRT",
    }
    assert all(one.value is None for one in gone if isinstance(one, Numeric | Enumeration))
    assert [one.presence for one in gone if isinstance(one, Alert)] == ["off"]
    assert isinstance(gone[-1], Device)
    assert (gone[-1].connection, gone[-1].operating) == ("disconnected", "unknown")
    assert not [one for one in poll(it, pump("11", 310, RUNNING)) if one.mds == "12"]
    back = poll(it, pump("11", 315, RUNNING, more=True), pump("12", 315, RUNNING))
    assert [one.connection for one in back if isinstance(one, Device)] == ["connected"]


def test_a_rack_that_was_not_told_whole_has_lost_nobody() -> None:
    """The second block never comes: the request times out, and only the next whole answer counts."""
    it = bench().up()
    it.rx(pump("11", 300, RUNNING, more=True))
    it.wait(0.1)
    it.rx(pump("12", 300, RUNNING))
    it.wait(6.0)
    it.seen.clear()
    it.rx(pump("11", 305, RUNNING, more=True))
    it.wait(12.0)
    it.rx(pump("12", 318, RUNNING))  # late: the request was repeated, and this seems to be all of its answer
    poll(it, pump("11", 325, RUNNING, more=True), pump("12", 325, RUNNING))
    assert not [seen for seen in it.seen if isinstance(seen, Device)]
    assert {seen.mds for seen in it.seen} == {"11", "12"}


def test_a_pump_that_left_while_nobody_asked_is_told_with_the_next_whole_answer() -> None:
    it = bench().up()
    it.rx(pump("11", 300, RUNNING, more=True))
    it.wait(0.1)
    it.rx(pump("12", 300, RUNNING | {"INA15": "1"}))
    it.take(it.driver.stop(it.now))
    it.up()
    it.rx(pump("11", 400, RUNNING))
    poll(it, pump("11", 405, RUNNING))
    gone = [seen for seen in it.seen if seen.mds == "12"]
    assert [one.presence for one in gone if isinstance(one, Alert)] == ["off"]
    assert [one.connection for one in gone if isinstance(one, Device)] == ["disconnected"]


def test_an_empty_rack_answers_with_the_comdevice_alone() -> None:
    it = bench().up()
    it.rx(pump("11", 300, RUNNING))
    seen = poll(it, pump("00", 305, {"FMNOR": "1"}))
    assert [(one.mds, one.vendor.code) for one in seen if one.vendor] == [("", "FMNOR")]
    seen = poll(it, pump("00", 310, {"FMNOR": "1"}))
    assert [(one.mds, one.connection) for one in seen if isinstance(one, Device)] == [("11", "disconnected")]


def test_an_answer_without_anything_is_an_empty_rack() -> None:
    it = bench().up()
    it.rx(pump("11", 300, RUNNING))
    assert poll(it, pump("11", 305, {})) == []
    assert [one.mds for one in poll(it, pump("11", 310, {})) if isinstance(one, Device)] == ["11"]


def test_a_value_that_stops_coming_is_absent_once() -> None:
    it = bench().up()
    it.rx(pump("11", 300, {"INRT": "5.00", "INVI": "1.0"}))
    seen = poll(it, pump("11", 305, {"INRT": "5.00"}))
    assert [(one.vendor.code, one.reason) for one in seen if one.vendor] == [("INRT", ""), ("INVI", "missing")]
    assert len(poll(it, pump("11", 310, {"INRT": "5.00"}))) == 1


def test_two_pumps_of_one_rack_are_apart() -> None:
    it = bench().up()
    it.rx(pump("11", 300, {"INRT": "5.00", "INVI": "_NV"}, more=True))
    it.wait(0.1)
    it.rx(pump("3O", 300, {"INRT": "0.10", "INVI": "_NV"}))
    values = [(s.mds, s.value) for s in it.seen if isinstance(s, Numeric)]
    assert values == [("11", Decimal("5.00")), ("11", None), ("3O", Decimal("0.10")), ("3O", None)]


PRIVATE = ("PATID", "PATIDBADGE", "PATIDDRUG", "PATW", "PATH", "PATAGE", "PATSEX", "NURSEID", "DRUGORDERNO", "FMBANY")


@pytest.mark.parametrize("code", [*PRIVATE, "PATNEW"])
def test_a_persons_data_goes_nowhere(code: str) -> None:
    it = bench().up()
    it.rx(pump("11", 300, {code: "MARTIN", "INRT": "5.00"}))
    assert it.faults == [f"patient_data {code if code in PRIVATE else 'PAT'}"]
    assert b"MARTIN" not in b"".join(map(to_json, it.seen))
    assert {one.vendor.code for one in it.seen if one.vendor} == {"INRT"}
    assert is_private(code)


def test_what_is_no_persons_is_not_dropped() -> None:
    assert not any(map(is_private, PROFILE.by_code))


@given(
    st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f"), max_size=40),
    st.sampled_from(PRIVATE),
)
def test_no_content_of_a_persons_data_in_anything(text: str, code: str) -> None:
    it = bench().up()
    it.rx(pump("11", 300, {code: "§" + text, "INRT": "5.00"}))
    assert "§" not in "".join(to_json(seen).decode() for seen in it.seen) + "".join(it.faults)


def test_unknown_codes_are_bounded() -> None:
    it = bench().up()
    for turn in range(4):
        poll(it, pump("11", 300 + turn, {f"NEW{turn}{n}": "1" for n in range(100, 150)}))
    assert it.faults.count("too_many_codes") == 4 * 50 - MAX_UNKNOWN


@pytest.mark.parametrize("address", ["50211", "50199", "50141", "50101"])
def test_an_unknown_address_is_a_fault(address: str) -> None:
    rack = Rack(PROFILE)
    answer = parse_answer(f"{BED}300,{address},INRT,5.00".encode())
    assert answer is not None
    seen, faults, slots = rack.take(answer.quadruples)
    assert (seen, slots) == ([], set())
    assert [(fault.reason, fault.detail) for fault in faults] == [("unknown_address", address)]


def test_a_slot_0_is_no_pump() -> None:
    it = bench().up()
    it.rx(pump("10", 300, {"FMRT": "FMS1NSNS"}))
    assert [(type(one).__name__, one.mds) for one in it.seen] == [("Enumeration", "10")]
    for _poll in range(3):
        assert not [one for one in poll(it, pump("11", 305, RUNNING)) if one.mds == "10"]


def test_a_named_mds_says_its_name_on_everything() -> None:
    mds = Mds("12")
    value = PROFILE.by_code["INRT"].numeric(Decimal(5), "5")
    alert = Alert(validity="valid", alert="technical", priority="unknown", presence="on")
    seen: list[Any] = [
        *mds.link("connected"),
        *mds.identify({"serial": "1"}),
        *mds.operate("in_use"),
        *mds.values([value]),
        *mds.alerts("x", {"A": alert}),
        *mds.alerts("x", {}),
        *mds.withdraw("gone", [value]),
    ]
    assert [one.mds for one in seen] == ["12"] * 7
    assert [one.mds for one in Mds().values([value])] == [""]


@pytest.mark.parametrize("name", ["space", "compact_plus"])
def test_every_row_has_a_label_in_both_languages(name: str) -> None:
    for metric in catalog.profile("bbraun_bcc", name).metric:
        assert metric.label("en") != metric.code
        assert metric.label("fr") != metric.code
        assert metric.kind != "numeric" or metric.unit or metric.extra["raw"]
