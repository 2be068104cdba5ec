"""The Contec simulator: both formats byte for byte, what is asked of the new one, each bad habit."""

import pytest

from simulators.devices.contec_cms50 import ContecCms50, new_frame, old_frame

START = bytes.fromhex("7D 81 A1 80 80 80 80 80 80")
ALIVE = bytes.fromhex("7D 81 AF 80 80 80 80 80 80")
STOP = bytes.fromhex("7D 81 A2 80 80 80 80 80 80")


def on(form: str, faults: frozenset[str] = frozenset(), **options: str) -> ContecCms50:
    device = ContecCms50(1, faults, {"format": form, "episode": "steady"} | options)
    device.wake(0.0)
    return device


def listen(device: ContecCms50, start: float, seconds: int) -> bytes:
    return b"".join(device.wake(start + half / 2) for half in range(1, seconds * 2 + 1))


def unpacked(frame: bytes) -> list[int]:
    return [byte & 0x7F | (frame[1] >> index & 1) << 7 for index, byte in enumerate(frame[2:])]


@pytest.mark.parametrize(
    ("parts", "wire"),
    [
        ((0x63, 0x30, 0x05, 65, 97), "E3 30 05 41 61"),
        ((0x03, 0x30, 0x05, 200, 97), "83 30 45 48 61"),
        ((0x10, 0, 0x20, 0, 0), "90 00 20 00 00"),
    ],
)
def test_old_frames(parts: tuple[int, int, int, int, int], wire: str) -> None:
    assert old_frame(*parts) == bytes.fromhex(wire)


@pytest.mark.parametrize(
    ("fields", "wire"),
    [
        ("05 33 16 41 61 FF FF", "01 E0 85 B3 96 C1 E1 FF FF"),
        ("85 2E 15 41 61 FF FF", "01 E1 85 AE 95 C1 E1 FF FF"),
        ("05 33 16 C8 61 00 00", "01 88 85 B3 96 C8 E1 80 80"),
    ],
)
def test_new_frames(fields: str, wire: str) -> None:
    frame = new_frame(bytes.fromhex(fields))
    assert frame == bytes.fromhex(wire)
    assert unpacked(frame) == list(bytes.fromhex(fields))


def test_the_old_format_comes_unasked_sixty_times_a_second() -> None:
    device = on("old")
    said = listen(device, 0.0, 10)
    assert len(said) // 5 in (599, 600)
    assert all(said[place] >> 7 == (place % 5 == 0) for place in range(len(said)))
    assert {said[place + 4] for place in range(0, len(said), 5)} <= set(range(95, 100))
    assert max(said[1::5]) > 90
    assert 5 < sum(byte >> 6 & 1 for byte in said[0::5]) < 80


@pytest.mark.parametrize(
    ("episode", "first", "third", "rates", "values"),
    [
        ("steady", 0x85, 0x00, range(60, 90), range(94, 100)),
        ("low_perfusion", 0x81, 0x00, range(60, 90), range(94, 100)),
        ("desaturation", 0xA5, 0x00, range(60, 90), range(80, 86)),
        ("fast_pulse", 0x85, 0x40, range(122, 123), range(94, 100)),
        ("out_of_track", 0x85, 0x20, range(60, 90), range(94, 100)),
        ("searching", 0x80, 0x20, range(0, 1), range(0, 1)),
        ("sensor_off", 0x90, 0x00, range(0, 1), range(0, 1)),
        ("defective_sensor", 0x80, 0x10, range(0, 1), range(0, 1)),
    ],
)
def test_old_flags(episode: str, first: int, third: int, rates: range, values: range) -> None:
    frame = listen(on("old", episode=episode), 0.0, 5)[-5:]
    assert frame[0] & 0xBF == first
    assert frame[2] & 0x70 == third
    assert frame[3] in rates
    assert frame[4] in values


@pytest.mark.parametrize(
    ("episode", "first", "second"),
    [("steady", 0x05, 0), ("sensor_off", 0x80, 0), ("searching", 0x00, 0x80), ("out_of_track", 0x05, 0x80)],
)
def test_new_flags(episode: str, first: int, second: int) -> None:
    device = on("new", episode=episode)
    device.receive(START, 0.5)
    fields = unpacked(listen(device, 0.5, 5)[-9:])
    assert fields[0] & 0xBF == first
    assert fields[1] & 0x80 == second
    assert fields[2] & 0x10
    assert fields[5:] == [255, 255]
    assert [str(fields[3]), str(fields[4])] == [device.history[-1].values["PR"], device.history[-1].values["SPO2"]]


def test_a_search_becomes_too_long() -> None:
    device = on("old", episode="searching")
    assert listen(device, 0.0, 9)[-5] & 0x10 == 0
    assert listen(device, 9.0, 3)[-5] & 0x10


@pytest.mark.parametrize(
    ("form", "sentinel", "spo2", "rate"),
    [("old", "usual", 0, 0), ("old", "127", 127, 255), ("new", "usual", 127, 255), ("new", "zero", 0, 0)],
)
def test_what_stands_where_nothing_is_measured(form: str, sentinel: str, spo2: int, rate: int) -> None:
    device = on(form, episode="no_sensor", sentinel=sentinel)
    device.receive(START, 0.5)
    frame = listen(device, 0.5, 2)[-9 if form == "new" else -5 :]
    if form == "new":
        assert unpacked(frame)[3:5] == [rate, spo2]
    else:
        assert [(frame[2] & 0x40) << 1 | frame[3], frame[4]] == [rate, spo2]


def test_the_new_format_is_asked_for_and_ends_after_thirty_seconds() -> None:
    device = on("new")
    assert listen(device, 0.0, 60) == b""
    device.receive(START, 60.0)
    assert len(listen(device, 60.0, 60)) // 9 in range(1797, 1802)
    assert not device.is_streaming
    device.receive(START, 120.0)
    listen(device, 120.0, 20)
    device.receive(ALIVE, 140.0)
    assert len(listen(device, 140.0, 60)) // 9 in range(1797, 1802)
    device.receive(START, 200.0)
    device.receive(STOP, 201.0)
    assert listen(device, 201.0, 5) == b""
    assert device.commands == {"A1": 3, "AF": 1, "A2": 1}
    assert not device.illegal


def test_a_stream_may_last_for_ever() -> None:
    device = on("new", lasts_s="0")
    device.receive(START, 0.0)
    listen(device, 0.0, 100)
    assert device.is_streaming


@pytest.mark.parametrize(
    "bad",
    ["7D 81 A6 80 80 80 80 80 80", "7D 81 A1 80 80 80 80 80 81", "7D 80 A1 80 80 80 80 80 80", "00", "7D 81 7D"],
)
def test_what_a_box_may_not_say_is_kept(bad: str) -> None:
    device = on("new")
    device.receive(bytes.fromhex(bad), 0.5)
    device.receive(START, 1.0)
    assert device.illegal
    assert device.is_streaming


def test_a_command_in_pieces() -> None:
    device = on("new")
    for index, byte in enumerate(START):
        device.receive(bytes([byte]), index / 10)
    assert device.is_streaming
    assert not device.illegal


def test_after_a_restart_the_new_format_waits_to_be_asked() -> None:
    device = on("new", frozenset({"reboot"}), fault_rate="1", silence_s="1")
    device.receive(START, 0.0)
    listen(device, 0.0, 10)
    assert device.injected["reboot"] == 1
    assert not device.is_streaming
