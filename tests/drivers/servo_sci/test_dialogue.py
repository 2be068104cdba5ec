"""The dialogue with a Servo-u, -n, -air: binary answers, three priorities, limits, versions, stream, goodbye."""

from typing import Any

import pytest

from drivers import catalog
from drivers.observation import Alert, Device, Waveform
from drivers.profile import Profile
from tests.contract.play import busiest_minute, is_allowed
from tests.drivers.servo_cie.device import Bench, Ventilator, binary, play, text

SERVO_U = catalog.profile("servo_sci", "servo_u")
GAINS = {
    "100": "+1000E-004,+0000E+000,06",
    "101": "+2000E-004,+0000E+000,01",
    "102": "+2000E-004,+0000E+000,01",
    "105": "+1000E-004,+2000E-001,04",
    "108": "+1000E-004,+2000E-001,04",
    "109": "+1000E-004,+0000E+000,07",
    "115": "+1000E-003,+0000E+000,10",
    "410": "+1000E-003,+0000E+000,20",
    "600": "+1000E-004,+0000E+000,04",
    "601": "+1000E-004,+0000E+000,04",
    "602": "+1000E-004,+0000E+000,04",
    "000": "+2500E-004,+4000E+000,02",
    "001": "+1000E-004,+2000E-001,04",
}
SMALL: dict[str, Any] = {
    "breath": ("100", "101", "102", "105", "108", "109"),
    "settings": ("410",),
    "alarms": ("804", "997"),
    "limits": ("600", "601", "602"),
}
VERSIONED = {**SMALL, "breath": ("100", "101", "102", "115"), "alarms": ("804", "997")}
CURVES = {**SMALL, "curves": ("000", "001"), "interval_us": 10_000}
ANSWERS = {
    "RADAB": bytes.fromhex("00 96 09 60 09 79 08 C0 08 02 01 90 7F A3"),
    "RADAS": binary("00 04"),
    "RADAA": binary("03 01 00 00"),
    "RADAL": binary("01 90 00 32 7E FF"),
}


def device(said: dict[str, bytes] | None = None, name: str = "SERVO-U0", version: str = "0010") -> Ventilator:
    one = Ventilator(name, version, GAINS)
    one.stopped = text("ER20")
    one.said.update({**ANSWERS, **(said or {})})
    return one


def up(options: dict[str, Any] | None = None, **said: bytes) -> tuple[Bench, Ventilator]:
    bench, one = Bench(SERVO_U, options or SMALL), device(said)
    play(bench, one, bench.now + 1.9)
    return bench, one


def frames(bench: Bench) -> list[str]:
    parts = [part for _t, data in bench.sent for part in data.split(b"\x04") if part]
    return [part[:-2].decode() for part in parts]


SETUP = [
    *("\x1bRPTY", "RCTY", "RCFGDT", "RHVE", "SPVE0010", "RSEN", "RTIM"),
    *("RCCO100", "RCCO101", "RCCO102", "RCCO105", "RCCO108", "RCCO109", "RCCO410"),
    *("RCCO600", "RCCO600", "RCCO601", "RCCO601", "RCCO602", "RCCO602"),
    *("SDADB100101102105108109", "SDADS410", "SDADL600601602", "SDADA804997", "RADAB", "RADAS", "RADAL", "RADAA"),
]


def test_the_set_up_and_the_pages_values() -> None:
    bench, _device = up()
    assert frames(bench) == SETUP
    assert bench.values == {
        "100": ("15.0", "/min"),
        "101": ("480.0", "mL"),
        "102": ("485.0", "mL"),
        "105": ("24.0", "cm[H2O]"),
        "108": ("5.0", "cm[H2O]"),
        "109": ("40.0", "%"),
        "410": ("unknown_code", ""),
        "600": ("40.0", "cm[H2O]"),
        "601": ("5.0", "cm[H2O]"),
        "602": ("missing", "cm[H2O]"),
    }
    names = {one.vendor.code: one.metric for one in bench.seen if one.vendor}
    assert names["101"] == "MDC_VOL_AWAY_TIDAL_EXP"
    assert names["102"] == "MDC_VOL_AWAY_TIDAL_INSP"
    assert names["600"] == ""
    assert bench.reasons == []
    assert bench.operating[-1] == "in_use"


def test_priorities() -> None:
    options = {**SMALL, "alarms": ("804", "995", "996", "997", "999")}
    bench, _device = up(options, RADAA=binary("03 01 01 01 02 01 00 01 04 02"))
    said = {a.vendor.code: (a.priority, a.vendor_priority) for a in bench.seen if isinstance(a, Alert) and a.vendor}
    assert said == {
        "804": ("high", "3"),
        "995": ("low", "1"),
        "996": ("medium", "2"),
        "997": ("high", "0"),
        "999": ("unknown", "4"),
    }


def test_an_alarm_goes_off_when_it_does_not_apply() -> None:
    bench, one = up()
    bench.clear()
    one.said["RADAA"] = binary("7E FF 00 00")
    play(bench, one, 106.0)
    assert [(a.vendor and a.vendor.code, a.presence) for a in bench.seen if isinstance(a, Alert)] == [("804", "off")]


@pytest.mark.parametrize(
    ("key", "answer", "reason"),
    [
        ("RADAA", binary("03 03 00 00"), "layout RADAA"),
        ("RADAA", binary("03 01"), "length values"),
        ("RADAB", ANSWERS["RADAB"][:-1] + b"\x00", "checksum values"),
        ("RADAB", binary("00 96"), "length values"),
        ("RADAS", b"\x00\x04", "incomplete 2"),
        ("RADAL", binary("E0 10"), "device_error RADAL 16"),
        ("RADAB", text("ER16"), "device_error RADAB 16"),
        ("RADAB", text("015004800240"), "timeout RADAB"),
    ],
)
def test_what_is_refused(key: str, answer: bytes, reason: str) -> None:
    bench, one = Bench(SERVO_U, SMALL), device({key: answer})
    play(bench, one, 106.0)
    assert reason in bench.reasons
    assert frames(bench).count(key) == 2


def test_limits_that_a_version_does_not_have() -> None:
    bench, one = up(None, RADAL=text("ER10"))
    play(bench, one, 200.0)
    assert frames(bench).count("RADAL") == 1
    assert frames(bench).count("RADAB") > 40


@pytest.mark.parametrize("said", [binary("E0 11"), text("ER17")])
def test_standby(said: bytes) -> None:
    bench, one = up()
    bench.clear()
    one.said.update(dict.fromkeys(ANSWERS, said))
    play(bench, one, 115.0)
    assert bench.operating == ["standby"]
    assert {word for word, _unit in bench.values.values()} == {"standby"}
    one.said.update(ANSWERS)
    play(bench, one, 120.0)
    assert bench.operating == ["standby", "in_use"]


@pytest.mark.parametrize(
    ("version", "asked", "faults"),
    [("0002", "SPVE0002", ["channel_differs 115 gain 1"]), ("0003", "SPVE0003", []), ("0012", "SPVE0010", [])],
)
def test_versions(version: str, asked: str, faults: list[str]) -> None:
    bench, one = Bench(SERVO_U, VERSIONED), device({"RADAB": binary("00 96 09 60 09 79 00 24")}, version=version)
    play(bench, one, 102.0)
    assert asked in frames(bench)
    assert bench.reasons == faults
    assert bench.values["115"] == ("36", "mm[Hg]")


@pytest.mark.parametrize(
    ("profile", "name", "model", "is_right"),
    [
        ("servo_u", "SERVO-U0", text("SERVO-U"), True),
        ("servo_u", "Servo-u0", text("ER10"), True),
        ("servo_n", "SERVO-N0", text("SERVO-N"), True),
        ("servo_air", "SERVO-AIR0", text("SERVO-air"), True),
        ("servo_air", "SERVO-U0", text("SERVO-air"), True),
        ("servo_air", "SERVO-U0", text("ER11"), False),
        ("servo_u", "SERVO-U0", text("SERVO-n"), False),
        ("servo_n", "SERVO-U1", text("SERVO-U"), False),
    ],
)
def test_who_answers(profile: str, name: str, model: bytes, is_right: bool) -> None:
    bench, one = Bench(catalog.profile("servo_sci", profile), SMALL), device({"RCFG": model}, name)
    play(bench, one, 115.0)
    assert ("RHVE" in frames(bench)) == is_right
    reasons = [one.reason for one in bench.seen if isinstance(one, Device)]
    assert ("wrong_device" in reasons) != is_right
    assert bool(bench.values) == is_right


@pytest.mark.parametrize("answer", [text("ER10"), text("SCI1")])
def test_another_type_of_protocol(answer: bytes) -> None:
    bench, _device = up(None, RPTY=answer)
    assert "RADAB" in frames(bench)
    other, _device = up(None, RPTY=text("CIE0"))
    assert "RCTY" not in frames(other)


def test_a_model_that_is_none() -> None:
    bench, one = Bench(SERVO_U, SMALL), device({"RCFG": text(" ")})
    play(bench, one, 106.0)
    assert "unexpected_answer RCFGDT" in bench.reasons
    assert "RHVE" not in frames(bench)


def test_the_stream_and_its_end() -> None:
    bench, one = up(CURVES, RADC=binary("81 10 80 40 74 80 08 02 08 10"))
    assert frames(bench)[-5:] == ["RADAB", "RADAS", "RADAL", "RADAA", "RADC"]
    bench.clear()
    bench.rx(binary("42 00 A0 09 56 09 79 08 C0 08 02 01 90"), 0.1)
    flow, paw = (wave for wave in bench.seen if isinstance(wave, Waveform))
    assert (flow.samples, paw.samples) == ((0x4074, 0x407C), (0x802, 0x812))
    assert (str(paw.scale), str(paw.offset), paw.unit) == ("0.1", "-200", "cm[H2O]")
    assert bench.values["100"] == ("16.0", "/min")
    bench.rx(binary("41 00 00 03 01") + binary("4C 01 A0 00 32 7E FF") + binary("53 00 05"), 0.1)
    assert bench.values["600"] == ("41.6", "cm[H2O]")
    assert [(a.vendor and a.vendor.code, a.presence) for a in bench.seen if isinstance(a, Alert)] == [
        ("804", "off"),
        ("997", "on"),
    ]
    assert bench.stop() == b"\x1b"
    bench.rx(one.stopped, 0.1)
    bench.rx(binary("E0 14"), 0.1)
    assert bench.reasons == []
    assert bench.wake_at is None


def test_no_two_tables_are_answered_in_the_same_length() -> None:
    bench, one = Bench(SERVO_U), device()
    one.gains = {code: GAINS["100"] for code in map(str, range(100, 700))}
    play(bench, one, 105.0)
    defined = {sent[:5]: sent[5:] for sent in frames(bench) if sent.startswith("SDAD")}
    assert set(defined) == {"SDADB", "SDADS", "SDADL", "SDADA"}
    assert len({len(codes) for codes in defined.values()}) == 4
    assert "999" not in [defined["SDADA"][at : at + 3] for at in range(0, len(defined["SDADA"]), 3)]
    assert "table_cut" not in [fault.reason for fault in bench.faults]


STORMS: dict[str, dict[str, bytes]] = {
    "everything refused": {"": text("ER10")},
    "not configured": {"RADA": binary("E0 10")},
    "bad check": {"RADA": b"\x00\x96\x7f\x00"},
    "standby": {"RADA": binary("E0 11")},
    "tables refused": {"SDAD": text("ER12")},
    "garbage": {"": b"\xff\x00\x04\x7f\x80" * 20},
}


def _played(said: dict[str, bytes], seconds: float) -> Bench:
    bench, one = Bench(SERVO_U), Ventilator("SERVO-U0", "0010", {f"{code:03}": GAINS["100"] for code in range(700)})
    one.said.update(said)
    play(bench, one, 100.0 + seconds)
    return bench


def _calm() -> int:
    zeros = {"RADAB": 23, "RADAS": 9, "RADAL": 26, "RADAA": 22}
    bench = _played({key: binary("00 00" * count) for key, count in zeros.items()}, 600)
    assert bench.values["100"][0] == "0.0"
    return busiest_minute(SERVO_U, bench.sent)


@pytest.mark.parametrize("storm", STORMS)
def test_an_hour_of_storm_is_no_busier_than_calm(storm: str) -> None:
    bench = _played(STORMS[storm], 3600)
    assert busiest_minute(SERVO_U, bench.sent) <= _calm() <= SERVO_U.protocol.max_send_per_minute
    assert len(bench.sent) >= 30


@pytest.mark.parametrize("name", ["servo_u", "servo_n", "servo_air"])
def test_profiles(name: str) -> None:
    profile: Profile = catalog.profile("servo_sci", name)
    assert profile.line == "38400 8E1"
    assert is_allowed(profile, bytes.fromhex(profile.identification.question))
    assert [row.code for row in profile.metric] == [row.code for row in SERVO_U.metric]
