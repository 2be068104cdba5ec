"""The Capnostream simulator: frames and stuffing byte for byte, the dialogue, bad habits, what may not be said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.capnostream import Capnostream, frame, identity, stuffed

ENABLE, START, ALIVE = (bytes.fromhex(text) for text in ("85 01 01 00", "85 01 04 05", "85 01 06 07"))
STOP, DISABLE = bytes.fromhex("85 01 05 04"), bytes.fromhex("85 01 02 03")
STEADY = {"co2": "steady", "episode": "steady"}


def on(faults: frozenset[str] = frozenset(), **options: str) -> Capnostream:
    device = Capnostream(1, faults, STEADY | options)
    device.wake(0.0)
    return device


def listen(device: Capnostream, start: float, seconds: int) -> list[tuple[int, bytes]]:
    """Code and payload of the frames that are said; their checks hold."""
    said = b"".join(device.wake(start + half / 2) for half in range(1, seconds * 2 + 1))
    return frames(said)


def frames(said: bytes) -> list[tuple[int, bytes]]:
    found = []
    for raw in said.split(b"\x85")[1:]:
        body = raw.replace(b"\x80\x05", b"\x85").replace(b"\x80\x00", b"\x80")
        assert body[0] == len(body) - 2
        check = 0
        for byte in body:
            check ^= byte
        assert check == 0
        found.append((body[1], body[2:-1]))
    return found


def numerics(**options: str) -> bytes:
    device = on(frozenset(), **options)
    device.receive(ENABLE, 0.0)
    return [payload for code, payload in listen(device, 0.0, 6) if code == 1][-1]


@pytest.mark.parametrize(("code", "wire"), [(1, ENABLE), (4, START), (6, ALIVE), (5, STOP), (2, DISABLE)])
def test_the_commands_of_the_page(code: int, wire: bytes) -> None:
    assert frame(code) == wire


def test_stuffing_and_identity() -> None:
    assert stuffed(bytes.fromhex("85 55 85 00 80 77")) == bytes.fromhex("80 05 55 80 05 00 80 00 77")
    assert identity("45.67", "02/24/2008", "B355987654") == b"V45.67 02/24/2008 B355987654  "


@given(st.integers(0, 255), st.binary(max_size=60))
def test_a_head_stands_only_at_the_head(code: int, payload: bytes) -> None:
    sent = frame(code, payload)
    assert sent.count(b"\x85") == 1
    assert frames(sent) == [(code, payload)]


def test_it_is_silent_until_enabled_and_the_wave_until_started() -> None:
    device = on()
    assert listen(device, 0.0, 60) == []
    device.receive(START, 60.0)
    assert listen(device, 60.0, 5) == []
    device.receive(ENABLE, 70.0)
    said = listen(device, 70.0, 5)
    assert [code for code, _ in said] == [4, 1, 1, 1, 1, 1]
    assert said[0][1] == b"V45.67 02/24/2008 B355987655  "
    device.receive(START, 75.0)
    codes = [code for code, _ in listen(device, 75.0, 5)]
    assert (codes.count(0) in (99, 100), codes.count(1)) == (True, 5)
    device.receive(STOP, 80.0)
    assert {code for code, _ in listen(device, 80.0, 5)} == {1}
    device.receive(DISABLE, 85.0)
    assert listen(device, 85.0, 5) == []
    assert device.commands == {4: 2, 1: 1, 5: 1, 2: 1}
    assert not device.illegal


def test_without_a_keep_alive_it_falls_silent() -> None:
    device = on(alive_s="10")
    device.receive(ENABLE, 0.0)
    for second in range(8, 80, 8):
        device.receive(ALIVE, float(second))
    assert (device.is_enabled, device.lapses) == (True, 0)
    listen(device, 80.0, 20)
    assert (device.is_enabled, device.lapses) == (False, 1)


def test_the_numerics() -> None:
    payload = numerics()
    assert len(payload) == 27
    assert int.from_bytes(payload[:4], "big") == 1_795_530_615 + 6  # 2026-11-24T14:30:15 without zone
    assert payload[4] in range(36, 41)
    assert payload[5] == 0
    assert payload[6] in range(14, 17)
    assert payload[7] in range(95, 100)
    assert payload[8] in range(65, 80)
    assert payload[9:16] == bytes([0x80, 0, 0, 0, 0, 0, 0])
    assert payload[16:25] == bytes([60, 15, 30, 5, 8, 100, 85, 140, 50])
    assert payload[25] == 1


@pytest.mark.parametrize(
    ("options", "measured", "slow", "co2_alarms", "spo2_alarms"),
    [
        ({"co2": "no_breath"}, [255, 255, 255, 0, 0], 0x88, 0x01, 0),
        ({"co2": "occlusion"}, [255, 255, 255, 0, 0], 0x80, 0, 0),
        ({"co2": "high_co2"}, [68, 9, 0, 0, 0], 0x90, 0x22, 0),
        ({"co2": "fast_breath"}, [0, 0, 35, 0, 0], 0x90, 0x08, 0),
        ({"episode": "sensor_off"}, [0, 0, 0, 255, 255], 0x90, 0, 0x20),
        ({"episode": "no_sensor"}, [0, 0, 0, 255, 255], 0x90, 0, 0x40),
        ({"episode": "searching"}, [0, 0, 0, 255, 255], 0x90, 0, 0x01),
        ({"episode": "desaturation"}, [0] * 5, 0x90, 0, 0x04),
        ({"episode": "fast_pulse"}, [0, 0, 0, 0, 250], 0x90, 0, 0x08),
        ({"board": "B2", "neonatal": "yes"}, [0] * 5, 0x01, 0, 0),
    ],
)
def test_alarms_and_absences(
    options: dict[str, str], measured: list[int], slow: int, co2_alarms: int, spo2_alarms: int
) -> None:
    payload = numerics(**options)
    assert (payload[9], payload[13], payload[14]) == (slow, co2_alarms, spo2_alarms)
    for said, expected in zip(payload[4:9], measured, strict=True):
        assert abs(said - expected) <= 3 if expected else said != 255
    assert payload[15] == (6 if options.get("co2") == "no_breath" else 0)


@pytest.mark.parametrize(("unit", "number"), [("mmHg", 1), ("kPa", 2), ("Vol%", 3)])
def test_units(unit: str, number: int) -> None:
    assert numerics(unit=unit)[25] == number


@pytest.mark.parametrize(
    ("trouble", "status"),
    [("invalid", 0x01), ("initialising", 0x03), ("occlusion", 0x05), ("purge", 0x21), ("no_line", 0x41),
     ("malfunction", 0x81)],
)  # fmt: skip
def test_the_wave_says_why_there_is_none(trouble: str, status: int) -> None:
    device = on(co2=trouble)
    device.receive(ENABLE + START, 0.0)
    waves = [payload for code, payload in listen(device, 0.0, 5) if code == 0]
    assert {wave[3] for wave in waves} == {status}
    assert {wave[1:3] for wave in waves} == {b"\0\0"}


def test_the_wave_breathes_and_counts() -> None:
    device = on()
    device.receive(ENABLE + START, 0.0)
    waves = [payload for code, payload in listen(device, 0.0, 20) if code == 0]
    assert [wave[0] for wave in waves] == [number % 256 for number in range(len(waves))]
    levels = [wave[1] + wave[2] / 256 for wave in waves]
    assert max(levels) > 35
    assert min(levels) < 1
    assert sum(wave[3] == 8 for wave in waves) in (4, 5, 6)


def test_numerics_may_be_shifted() -> None:
    device = on(frozenset({"shifted"}), fault_rate="0.3")
    device.receive(ENABLE, 0.0)
    said = [payload for code, payload in listen(device, 0.0, 25) if code == 1]
    shifted = [(before[6], payload) for before, payload in zip(said, said[1:], strict=False) if payload[7] < 20]
    assert shifted
    assert all(payload[7] == rate for rate, payload in shifted)
    assert all(payload[8] > 90 for _, payload in shifted)
    assert device.sent + device.injected["shifted"] == len(said)
    assert {len(payload) for payload in said} == {27}


@pytest.mark.parametrize("code", [60, 61, 62, 0, 12, 99])
def test_what_changes_the_device_is_kept_and_not_obeyed(code: int) -> None:
    device = on()
    device.receive(ENABLE, 0.0)
    before = numerics()[16:25]
    device.receive(frame(code, b"\x85\x80\x01"), 1.0)
    assert len(device.illegal) == 1
    assert [payload for code, payload in listen(device, 1.0, 2) if code == 1][-1][16:25] == before


@pytest.mark.parametrize("bad", ["85 01 01 01", "00", "85 01 85 01 01 00", "85 00 00"])
def test_damaged_words_are_kept(bad: str) -> None:
    device = on()
    device.receive(bytes.fromhex(bad), 0.0)
    assert device.illegal


def test_a_bad_checksum_is_bad() -> None:
    device = on(frozenset({"bad_checksum"}), fault_rate="1")
    device.receive(ENABLE, 0.0)
    raw = device.wake(0.1)
    body = raw[1:].replace(b"\x80\x05", b"\x85").replace(b"\x80\x00", b"\x80")
    check = 0
    for byte in body:
        check ^= byte
    assert check == 1
