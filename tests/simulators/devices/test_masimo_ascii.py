"""The Masimo simulator: the recorded lines byte for byte, the bits of its exceptions, each bad habit."""

import re
from datetime import datetime

import pytest

from simulators.devices.masimo_ascii import MasimoAscii, line

REAL = (
    b"02/22/16 22:47:45 SN=0000056661 SPO2=098% BPM=097 PI=03.60% SPCO=--.-% SPMET=--.-% "
    b"DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000800\r\n"
)
RADICAL_5 = b"09/15/10 15:10:29 SPO2=097% BPM=064 PI=11.82% ALARM=20 EXC=800\r\n"
GRAMMAR = re.compile(
    r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d (SN=\d{10} )?SPO2=(\d{3}|---)% BPM=(\d{3}|---) PI=(\d\d\.\d\d|--\.--)%"
    r"( SPCO=(\d\d\.\d|--\.-)% SPMET=(\d\d\.\d|--\.-)% DESAT=(\d\d|--) PIDELTA=[+-](\d\d|--))?( PVI=(\d{3}|---))?"
    r" ALARM=([0-9A-F]{4}|[0-9A-F]{2}) EXC=([0-9A-F]{6}|[0-9A-F]{3})"
)


def lines(seconds: int = 30, faults: frozenset[str] = frozenset(), **options: str) -> list[str]:
    device = MasimoAscii(1, faults, options)
    device.wake(0.0)
    said = b"".join(device.wake(float(second)) for second in range(1, seconds + 1))
    return said.decode("ascii").split("\r\n")[:-1]


def fields(text: str) -> dict[str, str]:
    return dict(field.split("=") for field in text.split()[2:])


@pytest.mark.parametrize("recorded", [REAL, RADICAL_5])
def test_the_recorded_lines(recorded: bytes) -> None:
    text = recorded.decode("ascii").strip()
    time = datetime.strptime(text[:17], "%m/%d/%y %H:%M:%S")  # noqa: DTZ007 - the device has no zone
    assert line(time, fields(text)) == recorded
    assert GRAMMAR.fullmatch(text)


@pytest.mark.parametrize("shape", ["short", "long", "full"])
def test_every_line_has_the_grammar(shape: str) -> None:
    for options in ({}, {"rainbow": "yes"}, {"serial": ""}, {"stale_digits": "yes"}):
        said = lines(1000, frozenset(), fields=shape, episode_every_s="30", **options)
        assert len(said) == 1000
        assert all(GRAMMAR.fullmatch(text) for text in said)
        assert all(("PVI=" in text) == (shape == "full") for text in said)
        assert all(("SN=" in text) == (shape != "short" and "serial" not in options) for text in said)


def test_a_calm_patient_and_the_clock() -> None:
    said = lines(2, episode="steady")
    assert said[0].startswith("11/24/26 14:30:16 SN=0000056661 SPO2=09")
    assert said[1].startswith("11/24/26 14:30:17 ")
    assert fields(said[0])["EXC"] == "000800"
    assert fields(said[0])["ALARM"] == "0000"


@pytest.mark.parametrize(
    ("episode", "exceptions", "alarm", "is_measured"),
    [
        ("no_sensor", "000801", "0000", False),
        ("defective_sensor", "000802", "0000", False),
        ("low_perfusion", "000804", "0000", True),
        ("searching", "000808", "0000", False),
        ("interference", "000810", "0000", True),
        ("sensor_off", "000820", "0000", False),
        ("out_of_track", "000C00", "0000", True),
        ("desaturation", "000800", "0012", True),
        ("fast_pulse", "000800", "0014", True),
        ("slow_pulse", "000800", "0018", True),
        ("low_battery", "000800", "0040", True),
    ],
)
def test_what_happens_to_the_sensor(episode: str, exceptions: str, alarm: str, is_measured: bool) -> None:
    told = fields(lines(5, episode=episode)[-1])
    assert (told["EXC"], told["ALARM"]) == (exceptions, alarm)
    assert (told["SPO2"] != "---%", told["BPM"] != "---", told["PI"] != "--.--%") == (is_measured,) * 3
    stale = fields(lines(5, episode=episode, stale_digits="yes")[-1])
    assert stale["SPO2"] != "---%"
    assert stale["EXC"] == exceptions


def test_alarms_silenced_and_rare_exceptions() -> None:
    told = fields(lines(1, episode="fast_pulse", silenced="yes", extra_exceptions="400000")[0])
    assert (told["ALARM"], told["EXC"]) == ("0034", "400800")
    assert int(told["BPM"]) > 255


@pytest.mark.parametrize("options", [{"extra_exceptions": "g"}, {"extra_exceptions": "1000", "fields": "short"},
                                     {"fields": "x"}])  # fmt: skip
def test_wrong_options(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="masimo_ascii"):
        MasimoAscii(0, frozenset(), options)


def test_blank_lines_and_clock_steps() -> None:
    said = lines(200, frozenset({"blank_line"}), fault_rate="0.2")
    assert 20 < said.count("") < 60
    assert len(said) - said.count("") == 200
    stepped = lines(200, frozenset({"clock_step"}), fault_rate="0.2")
    times = [datetime.strptime(text[:17], "%m/%d/%y %H:%M:%S") for text in stepped]  # noqa: DTZ007
    steps = {(after - before).total_seconds() for before, after in zip(times, times[1:], strict=False)}
    assert {1.0, 3601.0, -3599.0} <= steps


def test_the_history_is_what_was_sent() -> None:
    device = MasimoAscii(3, frozenset(), {"episode_every_s": "40"})
    said = b"".join(device.wake(float(second)) for second in range(400)).decode("ascii").split("\r\n")[:-1]
    assert [fields(text) for text in said] == [dict(sent.values) for sent in device.history]
