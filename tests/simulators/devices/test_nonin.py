"""The Nonin simulator: the vectors of the five formats byte for byte, packets of 25, the ten held seconds."""

import re
from datetime import datetime

import pytest

from simulators.devices.nonin import Nonin, Reading, df2_frame, df8_packet, df13_record, floats

TIME = datetime(2026, 11, 24, 14, 30, 15)  # noqa: DTZ001 - the device has no zone
SPOT = bytes.fromhex("00 02 00 0D 00 0E 20 26 11 24 14 30 15 00 02 00 00 48 00 61 7F 03")


def on(form: str, faults: frozenset[str] = frozenset(), **options: str) -> Nonin:
    device = Nonin(1, faults, {"format": form} | options)
    device.wake(0.0)
    return device


def listen(device: Nonin, start: int, end: int) -> bytes:
    return b"".join(device.wake(half / 2) for half in range(start * 2, end * 2))


def packets(said: bytes) -> list[list[bytes]]:
    """Frames of five bytes, in packets that begin with SYNC."""
    frames = [said[place : place + 5] for place in range(0, len(said) - 4, 5)]
    status = 1 if frames[0][0] == 1 else 0
    starts = [number for number, frame in enumerate(frames) if frame[status] & 1]
    return [frames[start : start + 25] for start in starts if start + 25 <= len(frames)]


def test_the_spot_record_of_the_document() -> None:
    assert df13_record(TIME, 97, 72, 0x0200) == SPOT
    assert df13_record(TIME, 97, 72, 0x0200, 3)[4:6] == b"\x00\x11"


@pytest.mark.parametrize(
    ("spo2", "rate", "flags", "wire"),
    [(97, 72, 0x20, "80 48 61 20"), (97, 200, 0, "81 48 61 00"), (None, None, 0x08, "83 7F 7F 08")],
)
def test_the_packets_of_df8(spo2: int | None, rate: int | None, flags: int, wire: str) -> None:
    assert df8_packet(spo2, rate, flags) == bytes.fromhex(wire)


def test_a_frame_of_df2_has_its_sum() -> None:
    assert df2_frame(0x83, 0x64, 0x00) == bytes.fromhex("01 83 64 00 E8")
    assert df2_frame(0xFF, 0xFF, 0x7F) == bytes.fromhex("01 FF FF 7F 7E")


def test_the_25_bytes_of_a_packet() -> None:
    sent = floats(Reading(97, 200, 96, 199, "low_battery"), 300)
    assert len(sent) == 25
    assert sent[:9] == [1, 0x48, 97, 0x21, 0, 2, 44, 0x21, 96]
    assert sent[9:19] == [97, 97, 0, 0, 1, 0x48, 97, 96, 0, 0]
    assert sent[19:] == [1, 0x47, 1, 0x47, 0, 0]
    missing = floats(Reading(None, None, None, None, "searching"), 0)
    assert (missing[0], missing[1], missing[2], missing[8]) == (3, 0x7F, 127, 127)
    assert all(byte < 128 for byte in sent + missing)


@pytest.mark.parametrize("form", ["df2", "df7"])
def test_75_frames_a_second_in_packets_of_25(form: str) -> None:
    device = on(form, episode="fast_pulse")
    said = listen(device, 0, 10)
    assert len(said) // 5 in (712, 713)  # until 9.5 s
    assert len(said) % 5 == 0
    whole = packets(said)
    assert len(whole) == device.sent == 28
    status, value = (1, 3)
    if form == "df7":
        status = 0
    for packet, sent in zip(whole, device.history, strict=True):
        assert all(frame[4] == sum(frame[:4]) % 256 for frame in packet)
        assert all(frame[status] & 0x80 for frame in packet)
        assert [frame[status] & 1 for frame in packet] == [1] + [0] * 24
        rate = (packet[0][value] & 3) << 7 | packet[1][value] & 0x7F
        assert str(rate) == sent.values["HR"]
        assert 255 < rate < 300
        assert str(packet[2][value]) == sent.values["SPO2"]
    pleth = [frame[2] if form == "df2" else frame[1] << 8 | frame[2] for frame in sum(whole, [])]
    assert max(pleth) > (150 if form == "df2" else 50_000)
    assert min(pleth) < max(pleth) / 5


@pytest.mark.parametrize(
    ("episode", "status"),
    [
        ("steady", 0x82),
        ("low_perfusion", 0x84),
        ("interference", 0xA6),
        ("searching", 0x90),
        ("out_of_track", 0x90),
        ("sensor_off", 0x98),
        ("no_sensor", 0x98),
    ],
)
def test_the_status_says_what_happens(episode: str, status: int) -> None:
    device = on("df2", episode=episode)
    assert packets(listen(device, 0, 5))[3][1][1] == status
    assert device.history[-1].values["STATUS"] == f"{status:02X}"


def test_values_stay_on_the_line_when_it_is_out_of_track_but_not_when_searching() -> None:
    for episode, has_values in (("out_of_track", True), ("searching", False)):
        device = on("df2", episode=episode)
        listen(device, 0, 5)
        assert (device.history[-1].values["SPO2"] != "") == has_values


def test_the_display_holds_for_ten_seconds() -> None:
    device = on("df2", episode="sensor_off")
    whole = packets(listen(device, 0, 20))
    shown = [packet[8][3] for packet in whole]
    gone = shown.index(127)
    assert 28 <= gone <= 31
    assert all(90 <= value <= 100 for value in shown[:gone])
    assert set(shown[gone:]) == {127}
    assert {packet[2][3] for packet in whole} == {127}
    assert all(frame[1] & 0x08 for frame in whole[0])
    assert [sent.values["SPO2-D"] for sent in device.history] == ["" if v == 127 else str(v) for v in shown]


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, r"SPO2=0\d\d HR=0\d\d"),
        ({"mark": "F"}, r"SPO2=0\d\d HR=0\d\d F"),
        ({"mark": "*"}, r"SPO2=0\d\d HR=0\d\d\*"),
        ({"mark": "B"}, r"SPO2=0\d\d HR=0\d\dB"),
        ({"prefix": "yes"}, r"14:30:\d\d SPO2=0\d\d HR=0\d\d"),
        ({"episode": "fast_pulse"}, r"SPO2=0\d\d HR=2\d\d"),
        ({"episode": "sensor_off"}, r"SPO2=--- HR=---"),
    ],
)
def test_lines_of_text(options: dict[str, str], shape: str) -> None:
    device = on("ascii", frozenset(), **options)
    said = listen(device, 0, 20).decode("ascii").split("\r\n")[:-1]
    assert len(said) >= 18
    assert all(re.fullmatch(shape, text) for text in said)
    assert said[-1].split("HR=")[1][:3] == device.history[-1].values["HR"]


def test_a_header_at_power_up() -> None:
    assert Nonin(1).wake(0.0) == b"NONIN OXIMETER 11/24/26\r\n"
    device = on("ascii", frozenset({"reboot"}), fault_rate="0.2", silence_s="3")
    assert listen(device, 0, 100).count(b"NONIN OXIMETER") > 2


@pytest.mark.parametrize(
    ("episode", "first", "last"),
    [
        ("steady", 0x80, 0x20), ("fast_pulse", 0x82, 0x20), ("searching", 0xA3, 0x00), ("out_of_track", 0xA0, 0x00),
        ("low_perfusion", 0x90, 0x00), ("interference", 0x8C, 0x00), ("sensor_off", 0x83, 0x08),
        ("low_battery", 0x80, 0x21),
    ],
)  # fmt: skip
def test_the_flags_of_df8(episode: str, first: int, last: int) -> None:
    packet = listen(on("df8", episode=episode), 0, 5)[-4:]
    assert (packet[0], packet[3]) == (first, last)
    assert [byte >> 7 for byte in packet] == [1, 0, 0, 0]


def test_spot_records() -> None:
    device = on("df13", spot_every_s="30", from_memory="yes", later_bytes="2", episode="steady")
    said = listen(device, 0, 61)
    assert len(said) == 48
    assert said[:6] == bytes.fromhex("00 02 00 0D 00 10")
    assert said[6:16] == bytes.fromhex("20 26 11 24 14 30 45 00 02 10")
    assert said[22] == sum(said[6:22]) % 256
    assert device.history[0].values["time"] == "2026-11-24T14:30:45"
    gone = listen(on("df13", spot_every_s="1", episode="searching"), 0, 2)
    assert gone[14:20] == bytes.fromhex("01 00 01 FF 00 7F")
    fast = listen(on("df13", spot_every_s="1", episode="fast_pulse"), 0, 2)
    assert fast[16] == 1
    assert fast[17] < 128


def test_a_change_of_format_is_kept_as_illegal_and_stays_over_a_restart() -> None:
    change = bytes.fromhex("02 70 02 02 08 03")
    device = on("df2", frozenset({"reboot"}), fault_rate="0")
    assert device.receive(change, 1.001).endswith(b"\x06")
    assert device.format == "df8"
    assert len(listen(device, 2, 10)) == 4 * 8
    device._reboot(10.0)
    device._thaw(20.0)
    assert len(listen(device, 20, 30)) == 4 * 9
    assert device.illegal == [change]


@pytest.mark.parametrize(
    ("words", "at", "answer"),
    [("02 70 02 02 09 03", 1.0, b"\x15"), ("02 70 02 02 08 03", 6.0, b""), ("02 72 00 03", 1.0, b"")],
)
def test_other_commands(words: str, at: float, answer: bytes) -> None:
    device = on("df13")
    assert device.receive(bytes.fromhex(words), at) == answer
    assert device.format == "df13"
    assert device.illegal == [bytes.fromhex(words)]


def test_a_bad_checksum_is_bad() -> None:
    spot = listen(on("df13", frozenset({"bad_checksum"}), spot_every_s="1", fault_rate="1"), 0, 2)
    assert spot[-1] == 3
    assert spot[-2] != sum(spot[6:-2]) % 256
    frames = listen(on("df7", frozenset({"bad_checksum"}), fault_rate="1"), 0, 2)
    assert all(frames[n + 4] != sum(frames[n : n + 4]) % 256 for n in range(0, len(frames), 5))


def test_later_bytes_are_bounded() -> None:
    with pytest.raises(ValueError, match="later_bytes"):
        on("df13", later_bytes="201")
