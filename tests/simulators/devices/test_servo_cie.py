"""The SERVO-i simulator: the vectors of the CIE pages, and dialogues with the clock turned by hand."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import servo_cie, servo_frames, servo_sci
from simulators.devices import servo_frames as wire
from simulators.devices.servo_cie import ServoCie
from tests.simulators.devices.servo_talk import (
    EOT,
    ESC,
    OK,
    RCTY,
    FixedPatient,
    ask,
    device_of,
    extended,
    streaming,
    take_curves,
    values_block,
    xored,
)


@pytest.mark.parametrize(
    ("text", "check"),
    [("RCTY", b"1C"), ("RHVE", b"09"), ("SPVE005", b"25"), ("RSEN", b"0A"), ("RTIM", b"02"), ("RALO", b"10"),
     ("RCCO", b"1D"), ("RCCO200", b"2F"), ("SDADB200201202203204205206207208209", b"51"), ("SDADS310", b"73"),
     ("SDADC100101114", b"64"), ("RADAB", b"54"), ("RADAS", b"45"), ("RADAA", b"57"), ("RADC", b"14"), ("*", b"2A"),
     ("Servo-i0", b"29"), ("005", b"35"), ("015004800240", b"0E"), ("015099990240", b"02"), ("0004", b"04"),
     ("011", b"30"), ("ER17", b"11"), ("020;200,+1000E-004,+0000E+000,06,BT,FFFF;", b"3F")],
)  # fmt: skip
def test_ascii_vectors(text: str, check: bytes) -> None:
    assert wire.ascii_frame(text) == text.encode("ascii") + check + EOT == xored(text)


def test_binary_vectors() -> None:
    assert wire.binary_error(17) == bytes.fromhex("E0 11 7F 8E")
    assert wire.binary_error(16) == bytes.fromhex("E0 10 7F 8F")
    assert wire.binary_frame(bytes.fromhex("42 00 96 01 E0 00 F0")) == bytes.fromhex("42 00 96 01 E0 00 F0 7F BA")
    samples: list[tuple[int, list[int | None]]] = [(0x10, [raw]) for raw in (12816, 12810, 12819, 12810, 12810)]
    block = wire.binary_frame(wire.CurveCoder(1).encode(samples))
    assert block == bytes.fromhex("81 10 80 32 10 FA 09 F7 00 7F 48")
    assert take_curves(block, 1) == ([(0x10, [raw]) for raw in (12816, 12810, 12819, 12810, 12810)], b"")


@given(
    st.lists(
        st.tuples(
            st.sampled_from((0x10, 0x20, 0x30)),
            st.lists(st.one_of(st.integers(0, 0x7EFE), st.integers(100, 400)), min_size=3, max_size=3),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_curves_come_back(samples: list[tuple[int, list[int | None]]]) -> None:
    block = wire.binary_frame(wire.CurveCoder(3).encode(samples))
    assert take_curves(block, 3) == (samples, b"")


def test_from_basic_to_extended_and_back() -> None:
    device = device_of()
    assert ask(device, b"HO\x04", 100.0) == b"900PCI\x04"
    assert ask(device, "RHVE", 101.0) == b"ER10\x04"
    assert device.premature == 1
    assert ask(device, RCTY, 102.0) == b"Servo-i029\x04"
    assert ask(device, "RHVE", 103.0) == b"00535\x04"
    assert ask(device, "RPVE", 104.0) == xored("001")
    assert ask(device, "SPVE005", 105.0) == OK
    assert ask(device, "RPVE", 106.0) == xored("005")
    assert ask(device, "RSEN", 107.0) == xored("12345")
    assert ask(device, "RTIM", 108.0) == xored("20260101080008")
    assert ask(device, "RALO", 109.0) == xored("0")
    assert ask(device, b"HO\x04", 110.0) == b"900PCI\x04"
    assert not device.is_extended
    assert not device.illegal


@pytest.mark.parametrize(
    ("model", "internal_error", "answer"), [("servo_s", "no", "Servo-s0"), ("servo_i", "yes", "Servo-i1")]
)
def test_other_identities(model: str, internal_error: str, answer: str) -> None:
    assert ask(device_of(model=model, internal_error=internal_error), RCTY, 100.0) == xored(answer)


def test_tables_are_forgotten() -> None:
    device, now = extended()
    for forget in (RCTY, b"HO\x04"):
        assert ask(device, "SDADB200", now) == OK
        assert len(ask(device, "RADAB", now + 1)) == 4 + 3
        ask(device, forget, now + 2)
        ask(device, RCTY, now + 3)
        assert ask(device, "RADAB", now + 4) == xored("ER16")
        assert device.version == 1
        now += 5
    ask(device, "SDADB200", now)
    device.faults = frozenset({"reboot"})
    device._rate = 1.0
    assert ask(device, "RADAB", now + 1) == b""
    device.faults = frozenset()
    assert ask(device, "RADAB", now + 20) == b"ER10\x04"


def test_a_configuration() -> None:
    device, now = extended()
    assert ask(device, "RCCO200", now) == b"020;200,+1000E-004,+0000E+000,06,BT,FFFF;3F\x04"
    whole = ask(device, "RCCO", now + 1).decode("ascii")
    lines = whole[4:-4].split(";")
    assert whole.startswith("020;")
    assert all(
        re.fullmatch(r"\d{3},[+-]\d{4}E[+-]\d{3},[+-]\d{4}E[+-]\d{3},\d\d,[A-Z]{2},FFFF", line) for line in lines
    )
    codes = [line[:3] for line in lines]
    assert len(codes) == len(set(codes)) > 70
    assert "100,+2713E-004,+3333E+000,02,CU,FFFF" in lines
    assert "208,+1000E-004,+0000E+000,04,BT,FFFF" in lines
    assert ask(device, "RCCO999", now + 2) == xored("ER12")


@pytest.mark.parametrize(
    ("code", "since", "before", "after"),
    [("203", 5, "+1000E-004", "+1000E-005"), ("204", 5, "+1000E-004", "+1000E-005"),
     ("248", 5, "+1000E-004", "+1000E-005"), ("260", 5, "+1000E-004", "+1000E-003"),
     ("238", 3, "+3260E-005", "+1000E-005")],
)  # fmt: skip
def test_resolutions_change_with_the_version(code: str, since: int, before: str, after: str) -> None:
    device, now = extended()
    for version in range(1, 6):
        ask(device, f"SPVE00{version}", now)
        gain = ask(device, f"RCCO{code}", now + 1).decode("ascii")[8:18]
        assert gain == (before if version < since else after)
        now += 2


def test_the_vectors_of_the_tables() -> None:
    device, now = extended()
    patient = FixedPatient({"rr": 15.0, "vte": 480.0, "ppeak": 24.0, "mode": 4.0}, {"apnoea": 3, "paw_high": 3})
    device.patient = patient
    assert ask(device, "SDADB200201205", now) == OK
    assert ask(device, "RADAB", now + 1) == b"0150048002400E\x04"
    del patient.fixed["vte"]
    assert ask(device, "RADAB", now + 2) == b"01509999024002\x04"
    assert device.history[-1].values == {"200": "0150", "201": "9999", "205": "0240"}
    ask(device, "SDADS310", now + 3)
    assert ask(device, "RADAS", now + 4) == b"000404\x04"
    ask(device, "SDADA400410499", now + 5)
    assert ask(device, "RADAA", now + 6) == b"01130\x04"
    patient.fixed["vte"] = 480.0
    stream = ask(device, "RADC", now + 7) + b"".join(device.wake(now + 8 + tenth / 10) for tenth in range(60))
    assert values_block(stream, b"B", 6) == bytes.fromhex("42 00 96 01 E0 00 F0 7F BA")
    assert values_block(stream, b"S", 2) == wire.binary_frame(b"S\x00\x04")
    assert values_block(stream, b"A", 3) == wire.binary_frame(b"A\x00\xff\xff")


def test_values_are_raw_times_gain_minus_offset() -> None:
    device, now = extended()
    ask(device, "SDADB" + "".join(device.channels("B")), now)
    answer = ask(device, "RADAB", now + 1).decode("ascii")
    physical = device.patient.values(now + 1)
    raws = re.findall(r"\d{4}", answer[:-3])
    for (code, channel), raw in zip(device.channels("B").items(), raws, strict=True):
        value = int(raw) * channel.gain - channel.offset
        assert abs(value - physical[channel.quantity]) <= channel.gain / 2 + 1e-9, code
    assert dict(zip(device.channels("B"), raws, strict=True)) == device.history[-1].values


def test_values_breathe_and_go_missing() -> None:
    device, now = extended(absent_rate="0.3")
    ask(device, "SDADB201225260", now)
    seen = set()
    missing = 0
    for second in range(1, 100):
        answer = ask(device, "RADAB", now + second)
        seen.add(answer[:4])
        missing += answer[4:8] == b"9999"
    assert len(seen) > 15
    assert 10 < missing < 60
    assert device.sent == 99


def test_alarms_come_are_silenced_and_go() -> None:
    device, now = extended(alarm_every_s="60")
    ask(device, "SDADA410412446432498499", now)
    seen = {ask(device, "RADAA", now + second) for second in range(1, 400)}
    assert len(seen) > 3
    assert xored("000000") in seen
    assert all(re.fullmatch(rb"[01]{6}..\x04", answer) for answer in seen)
    ask(device, "SDADE499", now + 400)
    assert ask(device, "RADAA", now + 401) == xored("ER16")  # the two exclude each other
    assert {ask(device, "RADAE", now + second)[:1] for second in range(402, 700)} == {b"0", b"1", b"2"}
    assert {ask(device, "RALO", now + second)[:1] for second in range(700, 900)} == {b"0", b"1", b"2"}


@pytest.mark.parametrize(
    ("command", "answer"),
    [("SPVE5", "ER11"), ("SPVE006", "ER12"), ("SPVE000", "ER12"), ("SDADB20", "ER11"), ("SDADB999", "ER12"),
     ("SDADC100101102113114", "ER12"), ("SDADB" + "200" * 51, "ER12"), ("SDADS" + "300" * 76, "ER12"),
     ("SDADB205X", "ER11"), ("RADAB", "ER16"), ("RBAT", "ER10"), ("RHVE1", "ER11"), (b"RHVE08\x04", "ER18"),
     (b"RHVE\x04", "ER18"), (b"\x04", "ER10"), (b"x" * 600 + EOT, "ER19")],
)  # fmt: skip
def test_errors(command: str | bytes, answer: str) -> None:
    device, now = extended()
    assert ask(device, command, now) == xored(answer)
    assert bool(device.illegal) == (answer in ("ER11", "ER18", "ER19"))
    assert device.errors == {int(answer[2:]): 1}


@pytest.mark.parametrize(
    "command", ["ADMP", "DISP", "STTX", "ST0930", "SSMP020", "CS", "STOU10", "CT", "PING", "SPVX", "RADX"]
)
def test_what_may_never_be_sent(command: str) -> None:
    device, now = extended()
    assert ask(device, command, now) == xored("ER10")
    assert device.illegal == [xored(command)]
    basic = device_of()
    assert ask(basic, command.encode("ascii") + EOT, now) == b"ER10\x04"
    assert basic.illegal == [command.encode("ascii") + EOT]
    ask(device, "SDADS310", now + 1)
    ask(device, "RADC", now + 2)
    device.receive(xored(command), now + 3)
    assert device.illegal[1:] == [xored(command)]


@pytest.mark.parametrize(("version", "answers"), [("4", False), ("5", True)])
def test_standby(version: str, answers: bool) -> None:
    device, now = extended(standby="yes", version=version)
    ask(device, "SDADB200201", now)
    ask(device, "SDADS310", now + 1)
    ask(device, "SDADA499", now + 2)
    assert ask(device, "RADAB", now + 3) == xored("99999999" if answers else "ER17")
    assert ask(device, "RADAS", now + 4) == b"ER1711\x04"
    assert ask(device, "RADAA", now + 5) == b"ER1711\x04"
    assert ask(device, "RADC", now + 6) == bytes.fromhex("E0 11 7F 8E")


# -- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", sorted(set(ServoCie.FAULTS) - {"corrupted_block"}))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device, now = extended(faults=frozenset({fault}), fault_rate="0.2")
    heard = b""
    for second in range(900):
        at = now + second
        if second % 2 == 0:
            heard += device.receive(RCTY + xored("SDADB200201208") if second % 60 == 0 else b"", at)
        else:
            heard += device.receive(xored("RADAB"), at)
        heard += device.wake(at + 0.9)
    heard += device.wake(now + 1000)
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 20
    assert not device.illegal
    good = [xored("".join(reading.values.values())) for reading in device.history]
    twice = device.injected[fault] if fault == "duplicate" else 0
    assert device.sent == len(good)
    for frame in set(good):
        assert good.count(frame) <= heard.count(frame) <= good.count(frame) + twice


@pytest.mark.parametrize("fault", sorted(ServoCie.FAULTS))
def test_a_stream_survives_each_fault(fault: str) -> None:
    device, now = streaming(faults=frozenset({fault}), fault_rate="0.02")
    said = b""
    for tenth in range(6000):
        at = now + tenth / 10
        said += device.wake(at)
        if fault == "reboot" and not device.is_extended and tenth % 20 == 0:
            device.receive(RCTY + xored("SDADC100101114") + xored("RADC"), at)
    assert device.injected[fault] > 3
    assert device.sent > 100
    assert not device.illegal


@pytest.mark.parametrize("fault", ["silence", "half_frame", "reboot"])
def test_a_frozen_device_neither_hears_nor_speaks(fault: str) -> None:
    device, now = extended(silence_s="8", fault_rate="1")
    device.faults = frozenset({fault})
    assert ask(device, "RHVE", now) == (b"005" if fault == "half_frame" else b"")
    device.faults = frozenset()
    assert ask(device, "RHVE", now + 3) == b""
    device.receive(b"RH", now + 4)
    device.receive(b"VE09\x04", now + 12)  # its first half was not heard: nobody's fault
    assert not device.illegal
    assert ask(device, "RHVE", now + 13) == (b"ER10\x04" if fault == "reboot" else b"00535\x04")


def test_an_old_half_command_is_dropped() -> None:
    device, now = extended()
    device.receive(b"RH", now)
    assert ask(device, "RHVE", now + 11) == b"00535\x04"
    assert device.ear.timeouts == 1
    device.receive(b"RH", now + 20)
    assert ask(device, b"VE\x13\x1109\x04", now + 29) == b"00535\x04"
    assert device.ear.flow_control == 2


@given(st.binary(max_size=300), st.integers(0, 5), st.booleans())
def test_any_bytes_are_survived(noise: bytes, seed: int, is_streaming: bool) -> None:
    device, now = (streaming if is_streaming else extended)(seed)
    device.receive(noise, now)
    device.wake(now + 10)
    device.receive(ESC + EOT, now + 11)
    device.wake(now + 12)
    assert ask(device, b"HO\x04", now + 13) == b"900PCI\x04"


def test_a_day_passes() -> None:
    device, now = streaming()
    assert device.wake(now + 1)
    assert device.wake(now + 86_400)
    assert device.wake_at is not None
    assert device.wake_at > now + 86_400
    assert device.sent < 400
    device.receive(ESC, now + 86_401)
    ask(device, "SDADB200", now + 86_402)
    assert len(ask(device, "RADAB", now + 2 * 86_400)) == 7


def test_the_same_seed_is_the_same_device() -> None:
    def run(seed: int) -> bytes:
        device, now = streaming(seed, frozenset(ServoCie.FAULTS), alarm_every_s="10", absent_rate="0.2")
        return b"".join(device.wake(now + tenth / 10) for tenth in range(300))

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"),
    [({"stuck_reply"}, {}), (set(), {"model": "servo_u"}), (set(), {"version": "6"}), (set(), {"standby": "maybe"})],
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="servo_cie"):
        ServoCie(0, frozenset(faults), options)


@pytest.mark.parametrize("module", [servo_cie, servo_frames, servo_sci])
def test_it_knows_nothing_of_drivers(module: object) -> None:
    tree = ast.parse(Path(str(getattr(module, "__file__", ""))).read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in modules if name.split(".")[0] in ("drivers", "gateway")]
