"""The Servo-u simulator: the vectors of the SCI pages, and where it differs from the SERVO-i."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import servo_frames as wire
from simulators.devices.servo_sci import ServoSci

EOT = b"\x04"
ESC = b"\x1b"
OK = b"*2A\x04"
STEADY = {"alarm_every_s": "0", "absent_rate": "0"}


def xored(text: str) -> bytes:
    check = 0
    for byte in text.encode("ascii"):
        check ^= byte
    return f"{text}{check:02X}".encode("ascii") + EOT


def device_of(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> tuple[ServoSci, float]:
    device = ServoSci(seed, faults, STEADY | options)
    assert device.wake(100.0) == b""
    return device, 101.0


def ask(device: ServoSci, command: str | bytes, now: float) -> bytes:
    data = command if isinstance(command, bytes) else xored(command)
    return device.receive(data, now) + device.wake(now + 0.6)


def binary(answer: bytes) -> bytes:
    """The data of a binary answer, its end checked."""
    assert answer[-2] == 0x7F
    assert wire.xor(answer) == 0
    return answer[:-2]


class FixedPatient(wire.Patient):
    """A patient whose values are given."""

    def __init__(self, values: Mapping[str, float], alarms: Mapping[str, int]) -> None:
        super().__init__(1, 0.0)
        self.fixed = dict(values)
        self.active = dict(alarms)

    def values(self, now: float) -> dict[str, float]:
        return self.fixed

    def alarms(self, now: float) -> dict[str, int]:
        return self.active


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("SPVE0010", b"11"),
        ("RPTY", b"0F"),
        ("RCFGDT", b"00"),
        ("RADC", b"14"),
        ("SDADB100101102105106108109", b"60"),
        ("SDADS410", b"74"),
        ("SDADA999", b"6A"),
        ("SCI0", b"69"),
        ("SERVO-U0", b"15"),
        ("0010", b"01"),
    ],
)
def test_ascii_vectors(text: str, check: bytes) -> None:
    assert wire.ascii_frame(text) == text.encode("ascii") + check + EOT == xored(text)


@pytest.mark.parametrize(
    ("command", "answer"),
    [("RPTY", b"SCI069\x04"), ("RCTY", b"SERVO-U015\x04"), ("RHVE", b"001001\x04"), ("RPVE", xored("0001")),
     ("RCFGDT", xored("SERVO-u")), ("SPVE0010", OK), ("RCCO105", xored("020;105,+1000E-004,+2000E-001,04,BT,FFFF;")),
     ("RALO", xored("0")), (ESC, xored("ER20"))],
)  # fmt: skip
def test_questions(command: str | bytes, answer: bytes) -> None:
    device, now = device_of()
    assert ask(device, command, now) == answer
    assert not device.illegal


@pytest.mark.parametrize(("model", "product"), [("servo_n", "SERVO-n"), ("servo_air", "SERVO-air")])
def test_other_models(model: str, product: str) -> None:
    device, now = device_of(model=model, version="3")
    assert ask(device, "RCFGDT", now) == xored(product)
    assert ask(device, "RHVE", now + 1) == xored("0003")
    assert ask(device, "SPVE0004", now + 2) == xored("ER12")


def test_the_vectors_of_the_tables() -> None:
    device, now = device_of()
    patient = FixedPatient(
        {"rr": 15.0, "vte": 480.0, "vti": 485.0, "ppeak": 24.0, "peep": 5.0, "o2": 40.0}, {"paw_high": 3}
    )
    device.patient = patient
    assert ask(device, "SDADB100101102105108109", now) == OK
    expected = bytes.fromhex("00 96 09 60 09 79 08 C0 08 02 01 90 7F A3")
    assert ask(device, "RADAB", now + 1) == expected
    assert device.history[-1].values == {
        "100": "150", "101": "2400", "102": "2425", "105": "2240", "108": "2050", "109": "400",
    }  # fmt: skip
    del patient.fixed["vte"]
    ask(device, "SDADB100101", now + 2)
    assert ask(device, "RADAB", now + 3) == bytes.fromhex("00 96 7E FF 7F 68")
    assert device.history[-1].values["101"] == "32511"
    ask(device, "SDADA804", now + 4)
    assert ask(device, "RADAA", now + 5) == bytes.fromhex("03 01 7F 7D")
    assert device.history[-1].values == {"804": "3,1"}


def test_three_priorities() -> None:
    device, now = device_of()
    ask(device, "SDADA804995996997999", now)
    for active, expected in (
        ({}, "00 00 00 00 00 00 00 00 00 00"),
        ({"paw_high": 3, "leakage": 1}, "03 01 01 01 00 00 03 01 03 01"),
        ({"leakage": 1}, "00 00 01 01 00 00 00 00 01 01"),
        ({"mve_low": 2}, "00 00 00 00 02 01 00 00 02 01"),
    ):
        device.patient = FixedPatient({}, active)
        now += 1
        assert binary(ask(device, "RADAA", now)) == bytes.fromhex(expected)


def test_a_class_of_limits() -> None:
    device, now = device_of()
    assert ask(device, "SDADL600601625", now) == OK
    assert binary(ask(device, "RADAL", now + 1)) == bytes.fromhex("04 B0 01 90 7E FF")
    assert device.history[-1].table == "L"


def test_values_are_raw_times_gain_minus_offset() -> None:
    device, now = device_of()
    codes = list(device.channels("B"))
    ask(device, "SDADB" + "".join(codes), now)
    data = binary(ask(device, "RADAB", now + 1))
    physical = device.patient.values(now + 1)
    for index, (code, channel) in enumerate(device.channels("B").items()):
        raw = int.from_bytes(data[2 * index : 2 * index + 2], "big")
        assert abs(raw * channel.gain - channel.offset - physical[channel.quantity]) <= channel.gain / 2 + 1e-9, code
    assert len(data) == 2 * len(codes)


@pytest.mark.parametrize(("version", "gain"), [(2, "+1000E-004"), (3, "+1000E-003"), (10, "+1000E-003")])
def test_a_resolution_changes_with_the_version(version: int, gain: str) -> None:
    device, now = device_of()
    ask(device, f"SPVE{version:04d}", now)
    assert ask(device, "RCCO115", now + 1).decode("ascii")[8:18] == gain


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("SPVE010", xored("ER11")),
        ("SPVE0011", xored("ER12")),
        ("SDADB200", xored("ER12")),
        ("SDADC" + "000" * 7, xored("ER12")),
        ("SDADE999", xored("ER11")),
        ("RADAB", bytes.fromhex("E0 10 7F 8F")),
        ("RADC", bytes.fromhex("E0 10 7F 8F")),
        (b"RPTY00\x04", xored("ER18")),
    ],
)
def test_errors(command: str | bytes, answer: bytes) -> None:
    device, now = device_of()
    assert ask(device, command, now) == answer
    assert bool(device.illegal) == (b"ER11" in answer or b"ER18" in answer)


@pytest.mark.parametrize("command", ["SSMP020", "STOU10", "PING", "ADMP", "ST", "HO", "XX"])
def test_what_may_never_be_sent(command: str) -> None:
    device, now = device_of()
    assert ask(device, command, now) == xored("ER10")
    assert device.illegal == [xored(command)]


def test_standby() -> None:
    device, now = device_of(standby="yes")
    ask(device, "SDADB100", now)
    ask(device, "SDADS410", now + 1)
    for index, command in enumerate(("RADAB", "RADAS", "RADC"), start=2):
        assert ask(device, command, now + index) == bytes.fromhex("E0 11 7F 8E")


def test_tables_are_forgotten() -> None:
    device, now = device_of()
    ask(device, "SPVE0010", now)
    ask(device, "SDADB100", now + 1)
    assert ask(device, "RCTY", now + 2) == xored("SERVO-U0")
    assert ask(device, "RADAB", now + 3) == bytes.fromhex("E0 10 7F 8F")
    assert device.version == 1


def test_a_stream_and_its_end() -> None:
    device, now = device_of(alarm_every_s="10")
    ask(device, "SDADC000001002", now)
    ask(device, "SDADB101", now)
    ask(device, "SDADA804999", now)
    ask(device, "SDADL600", now)
    device.receive(xored("RADC"), now + 5)
    stream = b"".join(device.wake(now + 5 + tenth / 10) for tenth in range(300))
    tables = [reading.table for reading in device.history]
    assert 140 < tables.count("C") <= 150
    assert tables.count("B") in (6, 7, 8)
    assert tables.count("A") >= 3
    assert tables.count("L") == 1
    assert wire.binary_frame(bytes.fromhex("4C 04 B0")) in stream
    assert wire.binary_frame(bytes.fromhex("41 00 00 00 00")) in stream
    assert stream.startswith(bytes.fromhex("81 30 80"))
    flow = int(device.history[0].values["000"].split()[0])
    assert stream[3:5] == flow.to_bytes(2, "big")
    assert -300 < flow * 0.25 - 4000 < 0  # the breath ends
    assert ask(device, ESC, now + 40).endswith(bytes.fromhex("E0 14 7F 8B"))
    assert device.wake(now + 60) == b""
    assert ask(device, ESC, now + 61) == xored("ER20")


@pytest.mark.parametrize("fault", sorted(set(ServoSci.FAULTS) - {"corrupted_block"}))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device, now = device_of()
    device.faults, device._rate = frozenset({fault}), 0.2
    heard = b""
    for second in range(900):
        at = now + second
        data = xored("RADAB") if second % 2 else xored("SDADB100101108") if second % 60 == 0 else b""
        heard += device.receive(data, at) + device.wake(at + 0.9)
    heard += device.wake(now + 1000)
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 20
    assert not device.illegal
    good = [
        wire.binary_frame(b"".join(int(text).to_bytes(2, "big") for text in reading.values.values()))
        for reading in device.history
    ]
    twice = device.injected[fault] if fault == "duplicate" else 0
    for frame in set(good):
        assert good.count(frame) <= heard.count(frame) <= good.count(frame) + twice


def test_corrupted_blocks() -> None:
    device, now = device_of(fault_rate="0.3")
    ask(device, "SDADC000", now)
    device.faults = frozenset({"corrupted_block"})
    device.receive(xored("RADC"), now + 1)
    blocks = [device.wake(now + 1 + fifth / 5 + 0.19) for fifth in range(1, 100)]
    bad = [block for block in blocks if block and wire.xor(block)]
    assert len(bad) == device.injected["corrupted_block"] > 10


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_bytes_are_survived(noise: bytes, seed: int) -> None:
    device, now = device_of(seed)
    device.receive(noise, now)
    device.wake(now + 10)
    ask(device, ESC + EOT, now + 11)
    assert ask(device, "RPTY", now + 13) == xored("SCI0")


def test_a_day_passes() -> None:
    device, now = device_of()
    ask(device, "SDADC000", now)
    device.receive(xored("RADC"), now + 1)
    assert device.wake(now + 2)
    assert device.wake(now + 86_400)
    assert device.sent < 400


def test_the_same_seed_is_the_same_device() -> None:
    def run(seed: int) -> bytes:
        device, now = device_of(seed, frozenset(ServoSci.FAULTS), absent_rate="0.2")
        ask(device, "SDADC000001", now)
        device.receive(xored("RADC"), now + 1)
        return b"".join(device.wake(now + 1 + tenth / 10) for tenth in range(300))

    assert run(4) == run(4)
    assert len({run(seed) for seed in range(4)}) > 2


@pytest.mark.parametrize(
    ("faults", "options"), [({"x"}, {}), (set(), {"model": "servo_i"}), (set(), {"version": "11"})]
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="servo_sci"):
        ServoSci(0, frozenset(faults), options)


def test_a_configuration_covers_the_map() -> None:
    device, now = device_of()
    whole = ask(device, "RCCO", now).decode("ascii")
    codes = re.findall(r";(\d{3}),", whole)
    assert len(codes) == len(set(codes))
    assert {"000", "001", "002", "100", "137", "400", "420", "600", "625", "800", "854", "995", "999"} <= set(codes)


# -- the frames that both families share ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.1, "+1000E-004"), (0.2713, "+2713E-004"), (0.00011, "+1100E-007"), (133.3, "+1333E-001"), (0, "+0000E+000"),
     (100, "+1000E-001"), (-3333, "-3333E+000")],
)  # fmt: skip
def test_numbers_of_a_configuration(number: float, text: str) -> None:
    assert wire.notation(number) == text
    assert float(text[:5]) * 10 ** int(text[6:]) == pytest.approx(number)


def test_a_difference_is_never_one_of_the_marks() -> None:
    for step in range(-130, 131):
        inside = wire.CurveCoder(1).encode([(0x10, [1000]), (0x10, [1000 + step])])[5:]
        assert len(inside) == (1 if abs(step) <= 126 else 3)
        assert inside[0] not in (0x7F, 0x81)
        assert (inside[0] == 0x80) == (len(inside) == 3)
