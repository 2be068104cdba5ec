"""The Puritan Bennett simulator: the recorded layout byte for byte, each bad habit, the clock turned by hand."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import puritan_bennett
from simulators.devices.puritan_bennett import PuritanBennett, PuritanBennettWaveforms

SNDF = bytes.fromhex("53 4E 44 46 0D")
SNDA = bytes.fromhex("53 4E 44 41 0D")
HEADER = bytes.fromhex("4D 49 53 43 46 2C 31 32 32 35 2C 31 36 39 20 2C 02")
TRAILER = bytes.fromhex("2C 03 0D")
SPECIAL = {6: 18, 7: 12, 8: 9, 50: 9, 53: 18, 55: 9, 66: 9}
WIDTHS = [SPECIAL.get(number, 6) for number in range(5, 174)]
STEADY = {"alarm_every_s": "0", "blank_rate": "0"}


def device_of(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> PuritanBennett:
    device = PuritanBennett(seed, faults, STEADY | options)
    assert device.wake(100.0) == b""
    return device


def ask(device: PuritanBennett, now: float, command: bytes = SNDF) -> bytes:
    assert device.receive(command, now) == b""
    return device.wake(now + 0.25)


def fields_of(frame: bytes) -> dict[int, str]:
    body = frame[frame.index(b"\x02") + 1 : -2].decode("latin-1")
    return dict(enumerate(body.split(",")[:-1], start=5))


def test_the_recorded_layout() -> None:
    frame = ask(device_of(), 101.0)
    assert len(frame) == 1244
    assert frame.startswith(HEADER)
    assert frame.endswith(TRAILER)
    assert (frame.index(b"\x02"), frame.index(b"\x03")) == (16, 1242)
    assert [len(text) for text in fields_of(frame).values()] == WIDTHS
    assert sum(WIDTHS) + 169 == 1225


@pytest.mark.parametrize(("count", "declared"), [("etx", b"1225"), ("cr", b"1227")])
def test_two_conventions_of_counting(count: str, declared: bytes) -> None:
    frame = ask(device_of(count=count), 101.0)
    assert frame.startswith(b"MISCF," + declared + b",169 ,\x02")
    assert len(frame) == 1244


def test_misca_has_its_counts() -> None:
    frame = ask(device_of(), 101.0, SNDA)
    assert frame.startswith(b"MISCA,706,97 ,\x0208:00 ,840 3510000001    ,")
    assert frame.endswith(TRAILER)
    assert frame.index(b"\x03") - frame.index(b"\x02") - 1 == 706
    assert len(fields_of(frame)) == 97


def test_known_fields() -> None:
    device = device_of()
    sent = fields_of(ask(device, 100.0 + 90 * 60))
    assert sent[5] == "09:30 "
    assert sent[6] == "840 3510000001    "
    assert sent[7] == "JAN 01 2026 "
    assert sent[8] == "INVASIVE "
    assert sent[14] == "0.480 "
    assert sent[38] == "800   "
    assert re.fullmatch(r"0\.[45]\d\d ", sent[71])
    assert re.fullmatch(r"1:\d\.\d\d", sent[76])
    assert {sent[number] for number in range(106, 154)} == {"NORMAL"}
    assert {sent[number] for number in (17, 46, 101, 160, 163, 172, 173)} == {" " * 6}
    report = device.history[-1]
    assert report.name == "MISCF"
    assert dict(report.values) == {str(number): text.strip() for number, text in sent.items()}


def test_a_980_says_more() -> None:
    sent = fields_of(ask(device_of(model="980", serial="35B1500404"), 101.0))
    assert sent[6] == "980 35B1500404    "
    assert (sent[160], sent[163], sent[164], sent[172]) == ("NORMAL", "0.400 ", "1.900 ", "BREATH")
    assert {sent[number] for number in range(146, 154)} == {" " * 6}


def test_standby_limits_off_and_blanks() -> None:
    standby = fields_of(ask(device_of(standby="yes"), 101.0))
    assert {standby[number] for number in range(69, 105)} == {" " * 6}
    off = fields_of(ask(device_of(limits="off"), 101.0))
    assert {off[number] for number in range(36, 44)} == {"OFF   "}
    device = device_of(blank_rate="0.5")
    blanks = {71: 0, 72: 0}
    for second in range(60):
        sent = fields_of(ask(device, 101.0 + second))
        for number in blanks:
            blanks[number] += not sent[number].strip()
    assert all(15 < count < 45 for count in blanks.values())


def test_values_breathe_and_alarms_come_and_go() -> None:
    device = device_of(alarm_every_s="60")
    volumes, states = set(), set()
    for second in range(600):
        sent = fields_of(ask(device, 101.0 + second))
        volumes.add(sent[71])
        states |= {sent[number] for number in range(106, 146)}
        assert len({number for number in range(106, 146) if sent[number] != "NORMAL"}) <= 2
    assert len(volumes) > 20
    assert states == {"NORMAL", "RESET ", "LOW   ", "MEDIUM", "HIGH  "}
    assert device.sent == 600


def test_one_command_at_a_time() -> None:
    device = device_of()
    device.receive(SNDF + SNDA, 101.0)
    assert device.wake(101.5).startswith(b"MISCF")
    assert device.wake(110.0) == b""
    assert device.hurried == 1
    assert device.wake_at is None
    assert not device.illegal
    device.receive(b"SN", 111.0)
    device.receive(b"DF\r", 115.0)
    assert device.wake(115.3).startswith(HEADER)


@pytest.mark.parametrize("line", [b"RSET\r", b"sndf\r", b"\nSNDF\r", b"SNDX\r", b"\r", b"x" * 65, b"SNDF,1\r"])
def test_anything_else_is_illegal_and_unanswered(line: bytes) -> None:
    device = device_of()
    assert ask(device, 101.0, line) == b""
    assert device.illegal == [line]
    device = device_of()
    device.receive(SNDF, 101.0)
    assert bool(ask(device, 101.1, line)) == (line != b"RSET\r")  # RSET clears the command buffer


def test_a_stuck_reply() -> None:
    device = device_of(faults=frozenset({"stuck_reply"}), fault_rate="1")
    part = ask(device, 101.0)
    assert part
    assert HEADER.startswith(part[:17])
    assert not part.endswith(b"\r")
    assert device.wake(160.0) == b""
    device.faults = frozenset()
    assert len(ask(device, 161.0)) == 1244
    assert device.sent == 1


def test_a_wrong_field_count_fits_in_bytes_only() -> None:
    for seed in range(10):
        frame = ask(device_of(seed, frozenset({"wrong_field_count"}), fault_rate="1"), 101.0)
        declared = frame.split(b",")[1:3]
        assert int(declared[0]) == frame.index(b"\x03") - frame.index(b"\x02") - 1 < 1225
        assert declared[1] == b"169 "
        assert len(fields_of(frame)) == 168


def test_a_wrong_width_fits_in_both_counts() -> None:
    for seed in range(10):
        device = device_of(seed, frozenset({"wrong_width"}), fault_rate="1")
        frame = ask(device, 101.0)
        assert frame.startswith(HEADER)
        assert len(frame) == 1244
        widths = [len(text) for text in fields_of(frame).values()]
        assert len(widths) == 169
        assert sum(a != b for a, b in zip(widths, WIDTHS, strict=True)) == 2
        assert not device.sent


@pytest.mark.parametrize("fault", sorted(PuritanBennett.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device = device_of(faults=frozenset({fault}), fault_rate="0.2")
    heard = b""
    for second in range(400):
        heard += device.receive(SNDF, 101.0 + second)
        heard += device.wake(101.3 + second)
    heard += device.wake(600.0)
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 20
    assert not device.illegal
    whole = re.findall(rb"MISCF,1225,169 ,\x02[^\x02\x03]{1225}\x03\r", heard)
    good = {tuple(report.values.values()) for report in device.history}
    undamaged = [part for part in whole if tuple(t.strip() for t in fields_of(part).values()) in good]
    twice = device.injected[fault] if fault == "duplicate" else 0
    assert len(undamaged) == device.sent + twice
    assert len(device.history) == device.sent


@pytest.mark.parametrize("fault", ["silence", "half_frame", "reboot"])
def test_a_frozen_device_neither_hears_nor_speaks(fault: str) -> None:
    device = device_of(faults=frozenset({fault}), fault_rate="1", silence_s="8")
    assert len(ask(device, 101.0)) == (622 if fault == "half_frame" else 0)
    device.faults = frozenset()
    assert ask(device, 104.0) == b""
    device.receive(b"SN", 105.0)
    device.receive(b"DF\r", 112.0)  # its first half was not heard: nobody's fault
    assert not device.illegal
    assert len(ask(device, 113.0)) == 1244


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_bytes_are_survived(noise: bytes, seed: int) -> None:
    device = device_of(seed)
    device.receive(noise, 101.0)
    device.wake(110.0)
    device.receive(b"\r", 111.0)
    device.wake(111.5)
    assert len(ask(device, 112.0)) == 1244


def test_a_day_passes() -> None:
    device = device_of()
    ask(device, 101.0)
    assert len(ask(device, 101.0 + 86_400)) == 1244
    assert fields_of(ask(device, 101.0 + 31 * 86_400))[7] == "FEB 01 2026 "


def test_the_same_seed_is_the_same_device() -> None:
    def run(seed: int) -> bytes:
        device = device_of(seed, frozenset(PuritanBennett.FAULTS), alarm_every_s="10", blank_rate="0.1")
        return b"".join(
            ask(device, 101.0 + second) if device.wake(101.0 + second) == b"" else b"" for second in range(40)
        )

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"),
    [({"bad_checksum"}, {}), (set(), {"model": "7200"}), (set(), {"count": "stx"}), (set(), {"serial": "x" * 15})],
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="puritan_bennett"):
        PuritanBennett(0, frozenset(faults), options)


# -- port 2 -------------------------------------------------------------------------------------------------------


def test_a_breath_of_curves() -> None:
    device = PuritanBennettWaveforms(1)
    said = b"".join(device.wake(100.0 + step / 50) for step in range(401))
    lines = said.decode("ascii").split("\n")
    assert lines[0] == "BS, S:1,"
    assert lines[201:203] == ["BE", "BS, S:2,"]
    assert all(re.fullmatch(r"-?\d+\.\d, \d+\.\d", line) for line in lines[1:201])
    sent = [f"{sample.flow}, {sample.pressure}" for sample in device.history if sample.breath == 1]
    assert sent == lines[1:201]
    assert device.history[1].at - device.history[0].at == pytest.approx(0.02)
    assert device.sent == said.count(b"\n")


def test_the_other_line_end_and_standby() -> None:
    assert PuritanBennettWaveforms(1, options={"line_end": "crlf"}).wake(0.0).startswith(b"BS, S:1,\r\n22.0, 5.0\r\n")
    standby = PuritanBennettWaveforms(1, options={"standby": "yes"})
    assert standby.wake(0.0) == b""
    assert standby.wake_at is None


def test_nothing_may_be_said_on_port_2() -> None:
    device = PuritanBennettWaveforms(1)
    device.receive(SNDF, 0.0)
    assert device.illegal == [SNDF]


@pytest.mark.parametrize("fault", sorted(PuritanBennettWaveforms.FAULTS))
def test_curves_survive_each_fault(fault: str) -> None:
    device = PuritanBennettWaveforms(1, frozenset({fault}), {"fault_rate": "0.02"})
    said = b"".join(device.wake(step / 25) for step in range(4000))
    assert device.injected[fault] > 5
    assert device.sent > 100
    assert said.count(b"BS, S:") >= 2


def test_a_day_of_curves_is_skipped_not_repeated() -> None:
    device = PuritanBennettWaveforms(1)
    device.wake(0.0)
    device.wake(86_400.0)
    assert 86_300 < device.history[-1].at <= 86_400.0
    assert device.sent < 3000
    assert device.wake_at is not None
    assert device.wake_at > 86_400.0
    twin = PuritanBennettWaveforms(1)
    twin.wake(0.0)
    twin.wake(86_400.0)
    assert list(twin.history) == list(device.history)


def test_it_knows_nothing_of_drivers() -> None:
    tree = ast.parse(Path(puritan_bennett.__file__).read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in modules if name.split(".")[0] in ("drivers", "gateway")]
