"""The Nellcor simulator: headings, columns and codes as in the manual, each bad habit, the clock turned by hand."""

import re
from datetime import datetime

import pytest

from simulators.devices.nellcor_ascii import NellcorAscii, line, stamp

DATA = re.compile(r"(.{18})\s+([0-9*-]+)\s+([0-9*-]+)\s+([0-9*-]+)((?:\s+[A-Z]{2})*)")
TITLE = "NPB-290 VERSION 1.0.0.1 CRC: XXXX SpO2 Limit: 30-100% PR Limit: 100-180BPM"
HEADING = ["TIME", "%SPO2", "BPM", "PA", "Status"]


def on(faults: frozenset[str] = frozenset(), **options: str) -> NellcorAscii:
    device = NellcorAscii(1, faults, options)
    device.wake(0.0)
    return device


def listen(device: NellcorAscii, start: int, end: int) -> list[str]:
    said = b"".join(device.wake(float(second)) for second in range(start, end))
    return said.decode("ascii").split("\r\n")[:-1]


def test_the_line_of_the_manual() -> None:
    time = datetime(1997, 11, 12, 14, 0, 5)  # noqa: DTZ001 - the device has no zone
    assert stamp(time) == "12-NOV-97 14:00:05"
    assert line(time, "100", "120", "50").split() == b"12-NOV-97 14:00:05 100 120 50".split()
    assert line(time, "100", "120", "50").endswith(b"50\r\n")
    matched = DATA.fullmatch(line(time, "79*", "45*", "4", ("SL", "PL")).decode("ascii").strip())
    assert matched
    assert matched.groups() == ("12-NOV-97 14:00:05", "79*", "45*", "4", "     SL  PL")


@pytest.mark.parametrize("month", range(1, 13))
def test_the_months_are_english(month: int) -> None:
    names = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
    assert stamp(datetime(2026, month, 1)) == f"01-{names[month - 1]}-26 00:00:00"  # noqa: DTZ001


def test_headings_come_first_and_every_25_lines() -> None:
    said = listen(on(episode_every_s="0"), 0, 103)
    assert said[0] == TITLE
    assert said[1].split() == HEADING
    titles = [number for number, text in enumerate(said) if text.startswith("NPB-290")]
    assert titles == [0, 27, 54]
    assert sum(bool(DATA.fullmatch(text)) for text in said) == 51
    assert said[2].startswith("24-NOV-26 14:30:17")
    assert said[3].startswith("24-NOV-26 14:30:19")


@pytest.mark.parametrize("model", ["n560", "n595"])
def test_a_later_model_has_a_line_more(model: str) -> None:
    said = listen(on(model=model, patient_mode="NEO", response="FAST"), 0, 4)
    assert said[0].startswith(f"N-{model[1:]} VERSION ")
    assert re.fullmatch(r"NEO \d+SAT-S  SPO2 RESP MODE: FAST", said[1])
    assert said[2].split() == HEADING


@pytest.mark.parametrize(
    ("episode", "codes", "spo2", "rate"),
    [
        ("steady", "", r"\d\d", r"\d\d"),
        ("sensor_off", "SO", "---", "---"),
        ("no_sensor", "SD", "---", "---"),
        ("searching", "PS", "---", "---"),
        ("out_of_track", "LP", "---", "---"),
        ("defective_sensor", "LM", "---", "---"),
        ("interference", "MO", r"\d\d", r"\d\d"),
        ("low_perfusion", "", r"\d\d", r"\d\d"),
        ("desaturation", "SL", r"8\d\*", r"\d\d"),
        ("fast_pulse", "PH", r"\d\d", r"2\d\d\*"),
        ("slow_pulse", "PL", r"\d\d", r"\d\d\*"),
        ("low_battery", "LB", r"\d\d", r"\d\d"),
    ],
)
def test_what_happens_to_the_sensor(episode: str, codes: str, spo2: str, rate: str) -> None:
    device = on(episode=episode)
    matched = DATA.fullmatch(listen(device, 0, 3)[-1])
    assert matched
    assert re.fullmatch(spo2, matched[2])
    assert re.fullmatch(rate, matched[3])
    assert matched[5].split() == codes.split()
    assert dict(device.history[-1].values) == {
        "%SPO2": matched[2], "BPM": matched[3], "PA": matched[4], "Status": codes,
    }  # fmt: skip


@pytest.mark.parametrize(("alarms", "code"), [("off", "AO"), ("silenced", "AS")])
def test_several_codes_in_a_line(alarms: str, code: str) -> None:
    assert listen(on(episode="desaturation", alarms=alarms), 0, 3)[-1].split()[-2:] == ["SL", code]


def test_an_npb290_is_silent_on_battery_and_another_is_not() -> None:
    counts = {}
    for model in ("npb290", "n595"):
        device = on(frozenset({"on_battery"}), model=model, fault_rate="0.1", silence_s="30")
        listen(device, 0, 600)
        assert device.injected["on_battery"] > 5
        counts[model] = device.sent
    assert counts["n595"] == 299
    assert counts["npb290"] < 200


def test_new_limits_bring_the_headings() -> None:
    device = on(frozenset({"new_limits"}), fault_rate="0.1")
    said = listen(device, 0, 200)
    titles = {text for text in said if text.startswith("NPB-290")}
    assert titles == {TITLE, TITLE.replace("30-100", "85-100").replace("100-180", "40-170")}
    assert device.pages > 8


def test_xoff_and_xon_are_honoured_and_kept() -> None:
    device = on()
    listen(device, 0, 10)
    assert device.receive(b"\x13", 10.0)
    assert listen(device, 11, 30) == []
    device.receive(b"\x11", 30.5)
    assert listen(device, 31, 40)
    assert device.illegal == [b"\x13", b"\x11"]


def test_two_ctrl_c_end_the_data_until_a_restart() -> None:
    device = on(frozenset({"reboot"}), fault_rate="0")
    listen(device, 0, 10)
    device.receive(b"\x03", 10.5)
    assert listen(device, 11, 15)
    device.receive(b"x\x03\x03", 15.5)
    assert device.is_in_menu
    assert listen(device, 16, 200) == []
    assert device.illegal == [b"\x03", b"x\x03\x03"]


def test_a_restart_says_the_headings_again() -> None:
    device = on(frozenset({"reboot"}), fault_rate="0.2", silence_s="3")
    said = listen(device, 0, 300)
    assert said.count(TITLE) > 5
