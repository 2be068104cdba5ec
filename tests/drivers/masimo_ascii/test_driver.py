"""Lines of a Masimo oximeter: what is believed, what is absent and why, what is refused; and that it never speaks."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Fault, Output
from drivers.masimo_ascii.frames import FORMS, Line
from drivers.masimo_ascii.options import Options
from drivers.observation import Device, Numeric
from drivers.quality import Gate
from tests.drivers.masimo_ascii.port import Port, alerts, devices, is_allowed, port, values

REAL = (
    b"02/22/16 22:47:45 SN=0000056661 SPO2=098% BPM=097 PI=03.60% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- "
    b"ALARM=0000 EXC=000800\r\n"
)
OLD = b"09/15/10 15:10:29 SPO2=097% BPM=064 PI=11.82% ALARM=20 EXC=800\r\n"
SIX, THREE = Options(), Options(alarm_digits=2, exc_digits=3)
PROFILE = catalog.profile("masimo_ascii", "ascii_1")


def line(more: str = "", *, spo2: str = "098", alarm: str = "0000", exc: str = "000800") -> bytes:
    """A line by the document's grammar."""
    return f"02/22/16 22:48:01 SPO2={spo2}% BPM=097 PI=03.60% {more}ALARM={alarm} EXC={exc}\r\n".encode()


def settled() -> Port:
    """An oximeter whose values are believed."""
    made = port("masimo_ascii", "ascii_1")
    made.rx(line())
    made.rx(line(), 1.0)
    return made


@pytest.mark.parametrize(("data", "digits"), [(REAL, SIX), (OLD, THREE)])
def test_the_lines_of_the_document(data: bytes, digits: Options) -> None:
    read = Line.from_bytes(data[:-1], digits)
    assert isinstance(read, Line)
    assert read.to_bytes(digits) == data
    assert isinstance(Line.from_bytes(data[:-1], THREE if digits is SIX else SIX), Fault)


def test_values_keep_their_digits_and_time() -> None:
    made = port("masimo_ascii", "ascii_1")
    made.rx(REAL)
    seen = made.rx(REAL.replace(b":45", b":46"), 1.0)
    numbers = [o for o in seen if isinstance(o, Numeric)]
    assert [(o.metric, str(o.value), o.unit, o.device_time) for o in numbers] == [
        ("MDC_PULS_OXIM_SAT_O2", "98", "%", "02/22/16 22:47:46"),
        ("MDC_PULS_OXIM_PULS_RATE", "97", "/min", "02/22/16 22:47:46"),
        ("MDC_PULS_OXIM_PERF_REL", "3.60", "%", "02/22/16 22:47:46"),
    ]
    assert [o.identity for o in made.seen if isinstance(o, Device)][-1] == {"serial": "0000056661"}


@pytest.mark.parametrize(
    ("bit", "reason"),
    [
        (0x1, "no_sensor"),
        (0x2, "sensor_defective"),
        (0x8, "searching"),
        (0x20, "sensor_off"),
        (0x40, "ambient_light"),
        (0x80, "sensor_unrecognised"),
        (0x100, "sensor_incompatible"),
        (0x20000, "calibrating"),
        (0x28, "sensor_off"),
    ],
)
def test_digits_are_no_values(bit: int, reason: str) -> None:
    """Also though they are printed; and the first line after it is not believed yet."""
    made = settled()
    seen = made.rx(line(exc=f"{0x800 | bit:06x}"), 1.0)
    assert values(seen) == [(code, "", reason) for code in ("SPO2", "BPM", "PI")]
    assert {reason for _c, _v, reason in values(made.rx(line(), 1.0))} == {"unconfirmed"}
    assert {reason for _c, _v, reason in values(made.rx(line(), 1.0))} == {"valid"}


@pytest.mark.parametrize(
    ("exc", "reason"),
    [
        ("000C00", "low_signal_iq"),
        ("001800", "no_cable"),
        ("004800", "cable_incompatible"),
        ("008800", "cable_unrecognised"),
        ("010800", "cable_defective"),
        ("000804", "valid"),
        ("000810", "valid"),
        ("1C2800", "valid"),
    ],
)
def test_quality(exc: str, reason: str) -> None:
    seen = settled().rx(line(exc=exc), 1.0)
    assert {found for _c, value, found in values(seen) if value} == {reason}


def test_low_confidence_is_of_one_value() -> None:
    made = port("masimo_ascii", "ascii_1")
    for exc in ("000800", "200800"):
        seen = made.rx(line("SPCO=04.0% SPMET=01.2% PVI=014 ", exc=exc), 1.0)
    assert {code: why for code, _v, why in values(seen)} == {
        **dict.fromkeys(("SPO2", "BPM", "PI", "SPMET", "PVI"), "valid"),
        "SPCO": "low_confidence",
    }


@pytest.mark.parametrize("text", ["--.-%", "-1.0%", "04.-%"])
def test_dashes_anywhere(text: str) -> None:
    seen = settled().rx(line(f"SPCO={text} "), 1.0)
    assert ("SPCO", "", "missing") in values(seen)


BITS = [metric for metric in PROFILE.metric if metric.kind == "alert"]


@pytest.mark.parametrize("code", [metric.code for metric in BITS])
def test_each_bit_goes_on_once_and_off_once(code: str) -> None:
    word, _, mask = code.partition(".")
    on = line(alarm=mask) if word == "ALARM" else line(exc=f"{int(mask, 16) | 0x800:06X}")
    made = settled()
    assert alerts(made.rx(on, 1.0)) == [(code, "on")]
    assert alerts(made.rx(on, 1.0)) == []
    assert alerts(made.rx(line(), 1.0)) == [(code, "off")]


def test_masimo_set_is_normal_and_unknown_bits_are_said_when_they_change() -> None:
    made = settled()
    assert alerts(made.seen) == []
    assert not [code for code, _v, _r in values(made.seen) if code.endswith("other")]
    assert ("EXC.other", "", "unknown_code") in values(made.rx(line(exc="000A00"), 1.0))
    assert not [code for code, _v, _r in values(made.rx(line(exc="000A00"), 1.0)) if code.endswith("other")]
    assert ("ALARM.other", "", "unknown_code") in values(made.rx(line(alarm="C080"), 1.0))


def test_the_document_has_each_bit_once() -> None:
    for word, expected in (("ALARM", 0x3F7F), ("EXC", 0x7FF5FF)):
        masks = [int(m.code.partition(".")[2], 16) for m in BITS if m.code.startswith(word)]
        assert sum(masks) == expected
        assert all(mask.bit_count() == 1 for mask in masks)


def test_unknown_keys_need_two_lines_and_are_bounded() -> None:
    made = settled()
    assert not [v for v in values(made.rx(line("ORI=0.1 "), 1.0)) if v[0] == "ORI"]
    assert [v for v in values(made.rx(line("ORI=0.1 "), 1.0)) if v[0] == "ORI"] == [("ORI", "", "unknown_code")]
    for n in range(0, 90, 6):
        for _twice in range(2):
            made.rx(line("".join(f"K{n + i}=1 " for i in range(6))), 1.0)
    assert len({code for code, _v, _r in values(made.seen) if code.startswith("K")}) <= 16


def test_in_use_and_standby() -> None:
    made = settled()
    assert devices(made.seen)[-1] == ("connected", "in_use", "")
    assert devices(made.rx(line(exc="000808"), 1.0)) == []
    assert devices(made.rx(line(exc="000820"), 1.0)) == [("connected", "standby", "")]
    made.rx(line(), 1.0)
    assert devices(made.rx(line(), 1.0)) == [("connected", "in_use", "")]


def test_silence_and_a_new_start() -> None:
    made = settled()
    made.until(made.now + 9.9)
    assert devices(made.seen)[-1][0] == "connected"
    made.until(made.now + 600.0)
    assert [d for d in devices(made.seen) if d[0] == "stale"] == [("stale", "unknown", "silence")]
    assert {reason for _c, _v, reason in values(made.rx(line()))} == {"unconfirmed"}
    made.take(made.driver.stop(made.now))
    assert devices(made.seen)[-1] == ("disconnected", "unknown", "stopped")
    assert (made.rx(line()), made.take(made.driver.wake(made.now + 99)), made.wake_at) == ([], [], None)
    made.take(made.driver.start(made.now))
    assert {reason for _c, _v, reason in values(made.rx(line()))} == {"unconfirmed"}


def test_another_serial_number_is_believed_with_its_second_line() -> None:
    made = settled()
    for serial, told in (
        ("0000000001", 0),
        ("0000000003", 0),
        ("0000000001", 0),
        ("0000000001", 1),
        ("----------", 0),
    ):
        assert len(devices(made.rx(line(f"SN={serial} "), 1.0))) == told


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (line()[:10] + line()[11:], "framing!"),
        (line().replace(b"SPO2=098%", b"SPO2=98%"), "width!"),
        (line().replace(b"098%", b"098"), "width!"),
        (line().replace(b"PI=03.60%", b"PI=3.60%"), "width!"),
        (line(alarm="000"), "width!"),
        (line(exc="00080"), "width!"),
        (line(exc="00080G"), "width!"),
        (line("BPM=097 "), "count!"),
        (line().replace(b"BPM=", b"BPN="), "count!"),
        (line()[:40] + b"\r\n", "count!"),
        (line()[:38] + b"\r\n", "framing!"),
        (line().replace(b"\r", b""), "framing!"),
        (line("X=" + "1" * 17 + " "), "framing!"),
        (line("A=1 " * 60), "length!"),
        (b"MASIMO RAD-8 \r\n", "text_line"),
        ("ALARME: SpO2 très basse\r\n".encode("latin-1"), "text_line"),
        (b"\x00\xff\x01\r\n", "noise"),
    ],
)
def test_what_is_no_line(data: bytes, reason: str) -> None:
    made = settled()
    made.reasons()
    assert (made.rx(data, 1.0), made.reasons()) == ([], [reason])
    assert [why for _c, _v, why in values(made.rx(line(), 1.0))] == ["valid"] * 3


def test_every_cut_and_every_flipped_bit() -> None:
    """What differs after one flipped bit differs in one digit, or is no value."""
    for end in range(len(REAL)):
        made = port("masimo_ascii", "ascii_1")
        assert made.rx(REAL[:end]) == []
        assert made.rx(REAL[end:]) != []
    for bit in range(len(REAL) * 8):
        damaged = bytearray(REAL)
        damaged[bit // 8] ^= 1 << bit % 8
        made = settled()
        for code, value, why in values(made.rx(bytes(damaged), 1.0)):
            if why == "valid" and (code, value) not in {("SPO2", "98"), ("BPM", "97"), ("PI", "3.60")}:
                assert chr(REAL[bit // 8]).isdigit(), (bit, code, value)


def test_a_jump_is_questionable_until_the_next_line() -> None:
    made, gate = settled(), Gate(PROFILE)
    for spo2, expected in (("098", "valid"), ("018", "questionable"), ("018", "valid")):
        seen = tuple(made.rx(line(spo2=spo2), 1.0))
        checked = gate.check(Output(observations=seen), made.now).observations
        assert [o.validity for o in checked if isinstance(o, Numeric)][0] == expected


@given(data=st.binary(max_size=300))
def test_it_never_speaks(data: bytes) -> None:
    made = settled()
    made.rx(data, 1.0)
    made.until(made.now + 100.0)
    made.take(made.driver.stop(made.now))
    assert made.sent == b""
    assert not is_allowed("masimo_ascii", data)


def test_the_allow_list_is_empty_and_the_signature_fits() -> None:
    protocol = PROFILE.protocol
    assert (protocol.allow, protocol.asks, protocol.max_send_per_minute) == ((), False, 0)
    assert all(profile.allowed == () for profile in catalog.profiles("masimo_ascii").values())
    passive = re.compile(protocol.identification.passive.encode())
    assert passive.search(REAL)
    assert passive.search(OLD)
    assert not passive.search(b"SPO2=097 HR=072\r\n")
    assert set(FORMS) == {"SN", "SPO2", "BPM", "PI", "SPCO", "SPMET", "DESAT", "PIDELTA", "PVI"}


@pytest.mark.parametrize("options", [{"poll_s": 1}, {"alarm_digits": 0}, {"curves": ["PLETH"]}])
def test_options_that_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(PROFILE, options)
