"""The Mindray monitor: the page's messages byte for byte, and dialogues with the clock turned by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import mindray_frames as wire
from simulators.devices.mindray_pds import MindrayPds
from tests.simulators.devices.mindray_talk import ECHO, HEAD, QUERY, QUERY_TEXT, asked, bodies, framed, linked, live


def test_vectors() -> None:
    segments = [wire.observation("NM", "101^HR", "2101", "60"), wire.observation("NM", "105^I", "2101", "-100.00")]
    assert wire.message("204", segments) == (
        b"\x0bMSH|^~\\&|||||||ORU^R01|204|P|2.3.1|\rOBX||NM|101^HR|2101|60||||||F\r"
        b"OBX||NM|105^I|2101|-100.00||||||F\r\x1c\r"
    )
    assert wire.message("106") == ECHO
    assert wire.observation("NM", "170^Sys", "2105", "120", "||APERIODIC|20070106191915") == (
        "OBX||NM|170^Sys|2105|120||||||F||APERIODIC|20070106191915"
    )
    alarm = wire.observation("CE", "2", "1", "10033^**SpO2 TOO HIGH", "|||20070106191915|")
    assert alarm == "OBX||CE|2|1|10033^**SpO2 TOO HIGH||||||F|||20070106191915|"
    assert wire.observation("CE", "4", "", "205^SpO2 Sensor Off") == "OBX||CE|4||205^SpO2 Sensor Off||||||F"


def test_the_query_of_the_guide() -> None:
    query = wire.query_of(QUERY_TEXT.encode())
    assert query
    assert {condition.bed for condition in query.conditions} == {"0&0"}
    assert query.conditions[0] == wire.Condition("1", False, ("101", "151", "160", "161"))
    assert [condition.is_all for condition in query.conditions] == [False, False, True, True]


def test_a_connection_begins_with_the_configuration() -> None:
    device = linked()
    heard = live(device, 100.0, 1)
    patient = bodies(heard, "103")[0].split("\r")
    assert patient[0].split("|")[5] == "Doe^Jane"
    assert patient[1].split("|")[3] == "^^ICU&3&3232237756&4601&&1"
    modules = bodies(heard, "11")
    assert modules[0].startswith("OBX||CE|2023^||2101^ECG||||||F\rOBX||CE|2025^|2101|101^HR||||||F\r")
    assert "OBX||NM|2002^|101|120||||||F\r" in bodies(heard, "51")
    assert "OBX||CE|2037^|101|3^||||||F\r" in bodies(heard, "205")
    assert bodies(heard, "58") == [""]
    assert not bodies(heard, "204")
    assert not bodies(heard, "106")  # the first echo ends the burst
    later = live(device, 101.0, 3)
    assert len(bodies(later, "106")) == len(bodies(later, "54")) == len(bodies(later, "56")) == 3
    assert not bodies(later, "204")


def test_values_come_after_the_query() -> None:
    device = linked()
    heard = asked(device)
    numerics = bodies(heard, "204")
    assert len(numerics) >= 58
    codes = re.findall(r"OBX\|\|NM\|(\d+)\^", numerics[0])
    assert codes == ["101", "151", "160", "161", "200"]
    texts = dict(re.findall(r"OBX\|\|NM\|(\d+)\^.*?\|.*?\|(.*?)\|", numerics[-1]))
    last = [reading for reading in device.history if reading.kind == "204"][-1]
    assert texts == dict(last.values)
    assert 30 < float(texts["200"]) < 45
    assert device.heard == {"106": 62, "1203": 1}
    assert not device.illegal
    assert not device.is_hung_up


def test_a_new_query_replaces_the_old() -> None:
    device = linked(alarm_every_s="0")
    asked(device, seconds=3)
    other = framed(HEAD + "QRF|MON||||0&0^1^1^0^500&501&502\r")
    device.receive(other, 105.0)
    live(device, 105.0, 3)
    sys, mean, dia = (float(text) for text in device.history[-1].values.values())
    assert sys > mean > dia
    assert list(device.history[-1].values) == ["500", "501", "502"]


def test_three_orders_of_pressure() -> None:
    lines = ["QRF|MON||||0&0^1^1^0^170&171&172\r", "QRF|MON||||0&0^1^1^0^174&175&176\r"]
    device = linked(alarm_every_s="0", cuff_every_s="20")
    asked(device, framed(HEAD + "".join(lines)), 30)
    cuff = next(reading for reading in device.history if reading.kind == "503")
    sys, dia, mean = (float(cuff.values[code]) for code in ("170", "171", "172"))
    assert sys > mean > dia
    pressure = next(reading for reading in device.history if reading.kind == "204")
    mean, sys, dia = (float(pressure.values[code]) for code in ("174", "175", "176"))
    assert sys > mean > dia


def test_the_cuff_has_its_own_time_and_is_repeated() -> None:
    device = linked(cuff_every_s="200", cuff_repeat_s="30", alarm_every_s="0")
    heard = asked(device, seconds=300)
    told = [reading for reading in device.history if reading.kind == "503"]
    times = [reading.measured for reading in told]
    # Before the first measurement there is none; the cuff measures 20 and 220 seconds after the monitor was started.
    assert set(times) == {"20260101080020", "20260101080340"}
    assert 8 < len(times) < 14
    assert times == sorted(times)
    assert "OBX||NM|170^Sys|2105|" in bodies(heard, "503")[0]
    assert "||||||F||APERIODIC|20260101080020\r" in bodies(heard, "503")[0]
    same = [reading.values for reading in told if reading.measured == "20260101080340"]
    assert all(values == same[0] for values in same)


def test_no_measurement_of_the_cuff_yet() -> None:
    device = linked(cuff_every_s="0", alarm_every_s="0")
    asked(device, seconds=3)
    told = next(reading for reading in device.history if reading.kind == "503")
    assert set(told.values.values()) == {"-100"}
    assert told.measured == "00000000000000"


@pytest.mark.parametrize(
    ("missing", "seen"), [("-100", {"-100.0"}), ("-10", {"-10.0"}), ("both", {"-10.0", "-100.0"})]
)
def test_missing_values(missing: str, seen: set[str]) -> None:
    device = linked(missing=missing, absent_rate="1", alarm_every_s="0")
    asked(device, framed(HEAD + "QRF|MON||||0&0^1^1^0^201&162&605\r"), 30)
    texts = {text for reading in device.history for code, text in reading.values.items() if code in ("201", "162")}
    assert texts == seen


def test_ten_below_zero_may_be_a_pressure() -> None:
    device = linked(low_cvp="yes", alarm_every_s="0")
    asked(device, framed(HEAD + "QRF|MON||||0&0^1^1^0^605\r"), 3)
    assert device.history[-1].values == {"605": "-10"}


def test_alarms_come_and_are_cleared() -> None:
    device = linked()
    heard = live(device, 100.0, 400)
    physiological, technical = bodies(heard, "54"), bodies(heard, "56")
    assert re.fullmatch(
        r"OBX\|\|CE\|2\|1\|10033\^\*\*SpO2 TOO HIGH\|{6}F\|{3}\d{14}\|\r",
        next(text for text in physiological if "10033" in text and text.count("OBX") == 1),
    )
    assert "OBX||CE|4||205^SpO2 Sensor Off||||||F\r" in technical
    assert "" in physiological
    assert "" in technical
    levels = {text.split()[0] for reading in device.history for text in reading.values.values()}
    assert levels == {"1", "2", "3", "4"}


@pytest.mark.parametrize(("option", "is_same"), [("onset", True), ("now", False)])
def test_the_time_of_an_alarm(option: str, is_same: bool) -> None:
    device = linked(alarm_time=option)
    heard = live(device, 100.0, 400)
    times = re.findall(r"10033\^\*\*SpO2 TOO HIGH\|{6}F\|{3}(\d{14})\|", "".join(bodies(heard, "54")))
    assert len(times) >= 14
    assert (len(set(times)) < len(times) / 10) is is_same


def test_the_oximeter_is_silent_while_its_sensor_is_off() -> None:
    device = linked()
    asked(device, seconds=400)
    off = [reading.at for reading in device.history if reading.kind == "56" and reading.values]
    assert off
    at = {reading.at: reading.values for reading in device.history if reading.kind == "204"}
    assert all(at[moment]["160"] == at[moment]["161"] == "-100" for moment in off if moment in at)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"names": "other"}, "OBX||NM|105^ST-I|2101|"),
        ({"periodic_mark": "yes"}, "||||||F||PERIODIC\r"),
        ({"temperature": "fahrenheit"}, "OBX||NM|200^T1|2104|9"),
        ({"language": "fr"}, "Éluard^Paul"),
    ],
)
def test_habits_of_firmware(options: dict[str, str], expected: str) -> None:
    device = MindrayPds(1, options=options)
    device.connected(100.0)
    assert expected in asked(device, framed(HEAD + "QRF|MON||||0&0^1^1^0^101&105&200\r"), 5).decode("utf-8")


def test_names_in_chinese() -> None:
    device = linked(language="zh", encoding="gbk")
    assert "张^伟".encode("gbk") in live(device, 100.0, 1)


def test_an_old_monitor_does_not_hear_a_query_during_the_burst() -> None:
    device = linked(ignores_early_query="yes")
    device.receive(QUERY, 100.2)
    assert not bodies(live(device, 100.3, 4), "204")
    assert device.deaf_queries == 1
    device.receive(QUERY, 105.0)
    assert bodies(live(device, 105.0, 3), "204")


@pytest.mark.parametrize(("send_all", "comes"), [("ignored", False), ("works", True)])
def test_all_parameters_at_once(send_all: str, comes: bool) -> None:
    device = linked(send_all=send_all)
    heard = asked(device, framed(HEAD + "QRF|MON||||0&0^1^1^1^\r"), 3)
    assert bool(bodies(heard, "204")) is comes
    assert not device.illegal


def test_a_gateway_sends_messages_2_for_the_bed_that_is_named() -> None:
    device = linked(source="gateway")
    assert not bodies(asked(device, seconds=3), "2")
    assert device.unanswered_beds == 4
    device.receive(QUERY.replace(b"0&0", b"3232237756&0"), 106.0)
    heard = live(device, 106.0, 3)
    body = bodies(heard, "2")[0]
    assert [line[:3] for line in body.split("\r")[:4]] == ["PID", "PV1", "OBR", "OBX"]
    assert b"MSH|^~\\&|Mindray|Gateway|||||ORU^R01|2|P|2.3.1|\r" in heard
    assert device.history[-1].kind == "2" or device.history[-2].kind == "2"


@pytest.mark.parametrize(
    "line",
    [
        "QRF|MON||||0&0^1^1^0^101&151&160&161&170\r",
        "QRF|MON||||0&0^1^5^0^101\r",
        "QRF|MON||||0&0^1^1^0^\r",
        "QRF|MON||||0&0^1^1^1^101\r",
        "QRF|MON||||0&0^2^1^0^101\r",
        "QRF|MON||||0&0^1^1^0^101& 151\r",
        "QRF|MON||||0&0^1^1^0^101",
    ],
)
def test_a_malformed_query_gets_no_answer(line: str) -> None:
    device = linked()
    live(device, 100.0, 2)
    bad = framed(HEAD + line)
    device.wake(102.4)
    assert device.receive(bad, 102.5) == b""
    assert device.illegal == [bad]
    assert not bodies(live(device, 103.0, 3), "204")
    assert not device.is_hung_up


@pytest.mark.parametrize(
    "bad",
    [
        framed("MSH|^~\\&|||||||ACK|204|P|2.3.1|\r"),
        framed("MSH|^~\\&|||||||ORU^R01|204|P|2.3.1|\r"),
        framed("MSH|^~\\&|||||||ORU^R01|106|P|2.3.1|\rOBX||NM|101|\r"),
        framed("MSH|^~\\&|||||||QRY^R02|106|P|2.3.1|\r"),
        QUERY[1:],
        b"\x06",
        b"\x0b" + b"M" * 5000,
    ],
)
def test_anything_else_ends_the_connection(bad: bytes) -> None:
    device = linked()
    live(device, 100.0, 2)
    device.receive(bad, 102.0)
    assert device.illegal == [bad]
    assert device.is_hung_up
    assert live(device, 103.0, 5) == b""
    device.disconnected(110.0)
    device.connected(120.0)
    assert bodies(live(device, 120.0, 3), "103")
    assert device.heard["106"] == 5


def test_ten_seconds_without_an_echo_end_the_connection() -> None:
    device = linked()
    device.receive(ECHO, 105.0)
    assert device.wake(114.9)
    device.wake(115.1)
    assert device.is_hung_up
    assert device.timeouts == 1
    assert device.wake_at is None


def test_a_hasty_box_is_noticed() -> None:
    device = linked()
    device.disconnected(103.0)
    device.connected(105.0)
    assert device.hasty == 1
    device.connected(116.0)
    assert device.hasty == 1


def test_bytes_one_by_one_and_all_at_once() -> None:
    device = linked()
    live(device, 100.0, 2)
    for place, byte in enumerate(QUERY + ECHO):
        device.receive(bytes([byte]), 102.0 + place / 1000)
    device.receive(QUERY + ECHO + QUERY, 103.0)
    assert device.heard["1203"] == 3
    assert not device.illegal


@pytest.mark.parametrize("fault", sorted(MindrayPds.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device = linked(1, frozenset({fault}), silence_s="2", fault_rate="0.02")
    heard = b""
    now = 100.0
    for _ in range(400):
        heard += device.receive(QUERY + ECHO, now) + live(device, now + 0.5, 8)
        now += 10.0
        if device.is_hung_up:
            device.disconnected(now)
            device.connected(now)
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 200
    assert not device.illegal
    if fault == "no_last_cr":
        assert b"|F\x1c\r" in heard


def test_a_second_ends_with_the_fault_that_silences_it() -> None:
    device = linked()
    live(device, 100.0, 3)
    device.history.clear()
    device.faults, device._rate = frozenset({"half_frame"}), 1.0
    assert device.wake(103.5) == ECHO[: len(ECHO) // 2]
    assert device.injected["half_frame"] == 1
    assert not device.history


def test_a_day_passes() -> None:
    device = linked()
    device.disconnected(110.0)
    device.wake(86_500.0)
    device.connected(86_510.0)
    assert bodies(device.wake(86_512.0), "106")
    device.wake(200_000.0)
    assert device.is_hung_up


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_bytes_are_survived(noise: bytes, seed: int) -> None:
    device = linked(seed)
    device.receive(noise, 101.0)
    device.disconnected(110.0)
    device.connected(120.0)
    assert bodies(live(device, 120.0, 3), "106")


def test_the_same_seed_is_the_same_monitor() -> None:
    assert asked(linked(4), seconds=100) == asked(linked(4), seconds=100)
    assert asked(linked(4), seconds=100) != asked(linked(5), seconds=100)


@pytest.mark.parametrize(
    ("faults", "options"), [({"bad_checksum"}, {}), (set(), {"temperature": "K"}), (set(), {"low_cvp": "on"})]
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="mindray_pds"):
        MindrayPds(0, frozenset(faults), options)
