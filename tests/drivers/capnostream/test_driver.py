"""Who is told what and when, what can be sent at all, and what a numerics message becomes."""

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.observation import Alert, Device, Enumeration, Numeric
from tests.contract.play import busiest_minute, is_allowed
from tests.drivers.capnostream.made import IDENTITY, LIMITS, frame, numerics, wave
from tests.drivers.masimo_ascii.port import Port, alerts, port, values

PROFILE = catalog.profile("capnostream", "capnostream_20")
ENABLE, ALIVE = bytes.fromhex("85010100"), bytes.fromhex("85010607")
STEP_S = 0.25


class Bedside(Port):
    """A port that also keeps when something was sent."""

    def __init__(self, **options: Any) -> None:
        made = port("capnostream", "capnostream_20", **options)
        super().__init__(made.driver, now=made.now, seen=made.seen, faults=made.faults, wake_at=made.wake_at)
        self.log = [(self.now, made.sent)]

    def take(self, output: Any) -> list[Any]:
        """Keep one output, and when it was sent."""
        if output.send:
            self.log.append((self.now, output.send))
        return super().take(output)


def codes(seen: list[Any]) -> dict[str, tuple[str, str]]:
    """Numerics by code: value (or empty) and validity or reason."""
    return {code: (value, why) for code, value, why in values(seen)}


def test_enabled_then_kept_alive() -> None:
    made = Bedside()
    assert made.log == [(100.0, ENABLE)]
    made.rx(IDENTITY, 0.2)
    for _second in range(20):
        made.rx(numerics(), 1.0)
    assert made.log[1:] == [(t, ALIVE) for t in (100.2, 105.2, 110.2, 115.2, 120.2)]
    assert made.reasons() == []


def test_without_an_answer_it_is_asked_again_ever_more_rarely() -> None:
    made = Bedside()
    made.until(400.0)
    asked = [t for t, sent in made.log if sent == ENABLE]
    assert [round(b - a) for a, b in pairwise(asked)][:8] == [2, 5, 2, 12, 2, 32, 2, 62]
    assert all(sent == ENABLE for _t, sent in made.log)
    assert [o.connection for o in made.seen if isinstance(o, Device)] == ["stale"]


def test_after_silence_it_is_enabled_again() -> None:
    made = Bedside()
    made.rx(IDENTITY, 0.2)
    made.until(109.9)
    assert [sent for _t, sent in made.log] == [ENABLE, ALIVE, ALIVE]
    made.until(110.3)
    assert made.log[-1] == (110.2, ENABLE)
    made.rx(numerics(), 0.5)
    assert made.log[-1][1] == ALIVE


def test_stop_says_nothing_more() -> None:
    made = Bedside()
    made.rx(IDENTITY + numerics(), 0.2)
    output = made.driver.stop(made.now)
    assert output.send == b""
    assert output.wake_at is None
    after = made.driver.receive(numerics(), made.now + 1)
    assert (after.send, after.observations, after.frames) == (b"", (), 1)
    assert made.driver.wake(made.now + 60).send == b""


EVERY_CODE = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 21, 54, 55, 56, 60, 61, 62]


def test_only_two_commands_pass_the_allow_list() -> None:
    """Every command of the document, bare and with a payload; 60 sets limits, 61 and 62 the patient's id."""
    passed = [
        frame(code, payload)
        for code in EVERY_CODE
        for payload in (b"", b"\x01", b"\x06\x3c", b" " * 20)
        if is_allowed(PROFILE, frame(code, payload))
    ]
    assert passed == [ENABLE, ALIVE]
    for one in (ENABLE, ALIVE):
        for bit in range(len(one) * 8):
            damaged = bytearray(one)
            damaged[bit // 8] ^= 1 << bit % 8
            assert not is_allowed(PROFILE, bytes(damaged))


EVENTS = st.lists(
    st.sampled_from([b"", IDENTITY, numerics(), wave(0x40), numerics(slow=0xFF), b"\x85\x15", b"\x00", frame(60)]),
    max_size=60,
)


@given(events=EVENTS, gap=st.sampled_from([0.0, 0.3, 2.0, 6.0, 11.0]))
def test_whatever_comes_only_those_two_are_sent(events: list[bytes], gap: float) -> None:
    made = Bedside()
    for event in events:
        made.rx(event, gap)
    made.take(made.driver.stop(made.now))
    for _t, sent in made.log:
        assert re.fullmatch(b"(?:%s|%s)+" % (re.escape(ENABLE), re.escape(ALIVE)), sent)


@pytest.mark.parametrize("storm", [b"\x15\x15", b"\x85\x01\x01\x01", frame(3, [9]), b"\xff" * 40, b"\x85\x03\x01"])
def test_a_storm_never_raises_the_rate(storm: bytes) -> None:
    calm = Bedside()
    made = Bedside()
    for _turn in range(3600 * 2):
        made.rx(storm, 0.5)
    for _second in range(3600):
        calm.rx(numerics(), 1.0)
    assert busiest_minute(PROFILE, made.log) <= busiest_minute(PROFILE, calm.log) <= 13


def test_the_identity_of_the_document() -> None:
    made = Bedside()
    made.rx(IDENTITY)
    told = [o for o in made.seen if isinstance(o, Device)][-1]
    assert told.identity == {
        "software": "45.67",
        "software_date": "02/24/2008",
        "serial": "B355987654",
        "spo2_board": "masimo",
    }


@pytest.mark.parametrize(("serial", "board"), [("B5", "masimo"), ("B2", "nellcor"), ("C1", None)])
def test_the_board_is_in_the_serial_number(serial: str, board: str | None) -> None:
    made = Bedside()
    made.rx(frame(4, b"V45.67 02/24/2008 %b55987654  " % serial.encode()))
    assert [o for o in made.seen if isinstance(o, Device)][-1].identity.get("spo2_board") == board


@pytest.mark.parametrize("text", [b"", b"V45.67", b"V45.67 02/24/2008 B355987654 ", b"X" * 30])
def test_another_identification_is_counted(text: bytes) -> None:
    made = Bedside()
    made.rx(frame(4, text))
    assert made.reasons() == ["identity"]


def test_values_limits_and_units() -> None:
    made = Bedside()
    found = codes(made.rx(numerics(et=38, fi=2, rr=14, spo2=97, pr=133)))
    assert [found[c] for c in ("EtCO2", "FiCO2", "RR", "SpO2", "PR", "NO_BREATH")] == [
        ("38", "valid"),
        ("2", "valid"),
        ("14", "valid"),
        ("97", "valid"),
        ("133", "valid"),
        ("0", "valid"),
    ]
    limits = [
        "EtCO2_HIGH",
        "EtCO2_LOW",
        "RR_HIGH",
        "RR_LOW",
        "FiCO2_HIGH",
        "SpO2_HIGH",
        "SpO2_LOW",
        "PR_HIGH",
        "PR_LOW",
    ]
    assert [found[code][0] for code in limits] == [str(limit) for limit in LIMITS]
    units = {o.vendor.code: o.unit for o in made.seen if isinstance(o, Numeric) and o.vendor}
    assert (units["EtCO2"], units["RR"], units["SpO2"]) == ("mm[Hg]", "/min", "%")
    assert {o.device_time for o in made.seen if isinstance(o, Numeric) and o.category == "measurement"} == {"1000"}


def test_limits_are_said_when_they_change_and_now_and_then() -> None:
    made = Bedside(settings_s=5.0)
    said = ["SpO2_LOW" in codes(made.rx(numerics(), 1.0)) for _second in range(12)]
    assert said == [True, False, False, False, False, True, False, False, False, False, True, False]
    changed = made.rx(numerics(limits=(60, 15, 30, 5, 8, 100, 90, 140, 50)), 1.0)
    assert codes(changed)["SpO2_LOW"] == ("90", "valid")
    assert "PR_LOW" not in codes(changed)


@pytest.mark.parametrize("unit", [2, 3])
def test_another_unit_is_published_as_sent(unit: int) -> None:
    made = Bedside()
    seen = made.rx(numerics(et=51, unit=unit))
    found = codes(seen)
    for code in ("EtCO2", "FiCO2", "EtCO2_HIGH", "EtCO2_LOW", "FiCO2_HIGH"):
        assert found[code] == ("", "unit_unknown")
    assert found["RR"] == ("14", "valid")
    word = next(o for o in seen if isinstance(o, Enumeration) and o.vendor and o.vendor.code == "UNIT")
    assert word.value == {2: "kPa", 3: "%"}[unit]
    assert codes(made.rx(numerics(et=38)))["EtCO2"] == ("38", "valid")


@pytest.mark.parametrize("unit", [0, 4, 50, 255])
def test_a_unit_that_does_not_exist_shows_a_shifted_message(unit: int) -> None:
    made = Bedside()
    assert made.rx(numerics(unit=unit)) == []
    assert (made.reasons(), made.frames) == (["unit!"], 0)


def test_a_flip_that_the_check_cannot_see() -> None:
    """80 00 becomes 81 00: two bytes instead of one, all behind it shifted; the last one passes for the check."""
    wire = bytearray(next(w for w in (numerics(time=t) for t in range(2000)) if w[-1] == 0x01))
    wire[wire.index(b"\x80\x00")] ^= 0x01
    made = Bedside()
    assert made.rx(bytes(wire)) == []
    assert made.reasons()[0] == "unit!"


def test_255_is_absent_and_said_once() -> None:
    made = Bedside()
    absent: dict[str, Any] = {"et": 255, "fi": 255, "rr": 255, "spo2": 255, "pr": 255}
    found = codes(made.rx(numerics(**absent, limits=[255] * 9)))
    others = {"NO_BREATH", "UNIT", "PATIENT", "BOARD"}
    assert {seen for code, seen in found.items() if code not in others} == {("", "missing")}
    assert list(codes(made.rx(numerics(**absent, limits=[255] * 9)))) == ["NO_BREATH"]
    assert made.reasons() == []


@pytest.mark.parametrize(
    ("bits", "reason"), [(0x20, "sensor_off"), (0x40, "sensor_disconnected"), (0x60, "sensor_off"), (1, "no_pulse")]
)
def test_a_sensor_that_is_off_has_no_values(bits: int, reason: str) -> None:
    found = codes(Bedside().rx(numerics(spo2_alarms=bits)))
    assert (found["SpO2"], found["PR"]) == (("", reason), ("", reason))
    assert found["EtCO2"] == ("38", "valid")


@pytest.mark.parametrize(
    ("bit", "reason"),
    [
        (0x02, "initialising"),
        (0x04, "occluded"),
        (0x10, "sfm"),
        (0x20, "purging"),
        (0x40, "no_filterline"),
        (0x80, "malfunction"),
    ],
)
def test_the_co2_module_says_that_it_is_not_ready(bit: int, reason: str) -> None:
    made = Bedside()
    assert alerts(made.rx(numerics() + wave(bit))) == []
    assert len(alerts(made.rx(wave(bit)))) == 1
    found = codes(made.rx(numerics()))
    assert [found[c] for c in ("EtCO2", "FiCO2", "RR")] == [("38", reason), ("0", reason), ("14", reason)]
    assert found["SpO2"] == ("97", "valid")
    assert codes(made.rx(wave(0x08) + wave(0x01) + numerics()))["EtCO2"] == ("38", "valid")
    made.rx(wave(bit) * 2)
    made.until(made.now + 30)
    assert codes(made.rx(numerics()))["EtCO2"] == ("38", "valid")


def test_no_curve_is_published() -> None:
    made = Bedside()
    assert [type(o) for o in made.rx(wave() * 30)] == [Device]


BITS = [
    ({"co2": 0x01}, "CO2.01", "physiological", "unknown"),
    ({"co2": 0x02}, "CO2.02", "physiological", "unknown"),
    ({"co2": 0x04}, "CO2.04", "physiological", "unknown"),
    ({"co2": 0x08}, "CO2.08", "physiological", "unknown"),
    ({"co2": 0x10}, "CO2.10", "physiological", "unknown"),
    ({"co2": 0x20}, "CO2.20", "physiological", "unknown"),
    ({"spo2_alarms": 0x01}, "SPO2.01", "unknown", "unknown"),
    ({"spo2_alarms": 0x02}, "SPO2.02", "physiological", "unknown"),
    ({"spo2_alarms": 0x04}, "SPO2.04", "physiological", "unknown"),
    ({"spo2_alarms": 0x08}, "SPO2.08", "physiological", "unknown"),
    ({"spo2_alarms": 0x10}, "SPO2.10", "physiological", "unknown"),
    ({"spo2_alarms": 0x20}, "SPO2.20", "technical", "unknown"),
    ({"spo2_alarms": 0x40}, "SPO2.40", "technical", "unknown"),
    ({"slow": 0x82}, "SLOW.02", "technical", "none"),
    ({"slow": 0x84}, "SLOW.04", "technical", "none"),
    ({"slow": 0x88}, "SLOW.08", "unknown", "high"),
    ({"slow": 0x90}, "SLOW.10", "unknown", "low"),
    ({"slow": 0xA0}, "SLOW.20", "unknown", "unknown"),
]


@pytest.mark.parametrize(("how", "code", "kind", "priority"), BITS)
def test_alarms_on_once_and_off_once(how: dict[str, Any], code: str, kind: str, priority: str) -> None:
    made = Bedside()
    on = [o for o in made.rx(numerics(**how)) if isinstance(o, Alert)]
    assert [(o.vendor and o.vendor.code, o.alert, o.priority, o.presence) for o in on] == [
        (code, kind, priority, "on")
    ]
    assert alerts(made.rx(numerics(**how))) == []
    assert [o.presence for o in made.rx(numerics()) if isinstance(o, Alert)] == ["off"]


def test_bits_and_bytes_without_a_name_are_raw_when_they_change() -> None:
    made = Bedside()
    made.rx(numerics())

    def raw(data: bytes) -> list[tuple[str, str]]:
        seen = [o for o in made.rx(data) if isinstance(o, Enumeration) and o.vendor]
        return [(o.vendor.code, o.vendor.text) for o in seen if o.vendor and o.value is None]

    assert raw(numerics(slow=0xC0, co2=0x80)) == [("SLOW.other", "40"), ("CO2.other", "80")]
    assert raw(numerics(slow=0xC0, co2=0x80)) == []
    assert raw(numerics(more=b"\x07\x85")) == [("SLOW.other", "00"), ("CO2.other", "00"), ("BYTES.27", "07 85")]


def test_in_use_and_standby() -> None:
    made = Bedside()

    def state() -> str:
        return [o for o in made.seen if isinstance(o, Device)][-1].operating

    made.rx(numerics())
    assert state() == "in_use"
    made.rx(numerics(rr=255, spo2_alarms=0x20))
    assert state() == "standby"
    made.rx(numerics(rr=0, spo2_alarms=0x20))
    assert state() == "standby"
    made.rx(numerics(rr=12, spo2_alarms=0x20))
    assert state() == "in_use"
    made.rx(numerics(rr=255, spo2=255, pr=255))
    assert state() == "in_use"
    made.until(made.now + 20)
    assert state() == "unknown"


def test_shifted_numerics_are_dropped() -> None:
    made = Bedside()
    made.rx(numerics(rr=14))
    assert made.rx(numerics(rr=0, spo2=14, pr=97)) == []
    assert made.reasons() == ["shifted"]
    assert codes(made.rx(numerics(rr=15)))["RR"] == ("15", "valid")


def test_other_messages_are_counted_and_not_kept() -> None:
    made = Bedside()
    for code in (2, 3, 9, 10, 12, 21, 22, 55, 56, 57, 58, 60, 200):
        made.rx(frame(code, b"JANE DOE 19700101"))
    assert "DOE" not in repr(made.seen) + repr(made.faults)
    assert made.reasons() == ["unknown_record"] * 13
    made.rx(frame(1, bytes(26)) + frame(0, bytes(3)))
    assert made.reasons() == ["length!", "length!"]
    assert made.frames == 13


def test_half_a_frame_is_not_completed_after_a_pause() -> None:
    made = Bedside()
    made.rx(numerics()[:10])
    made.rx(numerics()[10:], 2.5)
    assert made.frames == 0
    assert "truncated!" in made.reasons()
