"""The BIS simulator: packets byte for byte, the 120 bytes of a record, the dialogue, each bad habit."""

import struct

import pytest

from simulators.devices.bis_vista import BisVista, message, packet

START = bytes.fromhex("BA AB 00 00 0D 00 01 00 04 00 00 00 73 00 00 00 00 00 01 00 00 86 00")
STOP = packet(1, 1, message(0x74, b""))


def on(faults: frozenset[str] = frozenset(), **options: str) -> BisVista:
    device = BisVista(1, faults, {"state": "steady"} | options)
    device.wake(0.0)
    return device


def listen(device: BisVista, start: float, seconds: int) -> list[bytes]:
    """The packets that are said; their lengths and sums hold."""
    said = b"".join(device.wake(start + half / 2) for half in range(1, seconds * 2 + 1))
    found = []
    while said:
        assert said.startswith(b"\xba\xab")
        size = 10 + int.from_bytes(said[4:6], "little")
        whole, said = said[:size], said[size:]
        assert int.from_bytes(whole[-2:], "little") == sum(whole[2:-2]) & 0xFFFF
        found.append(whole)
    return found


def trends(whole: bytes) -> list[tuple[int, ...]]:
    data = whole[20:-2]
    assert len(data) == 120
    return [struct.unpack_from("<8h2i", data, 48 + 24 * channel) for channel in range(3)]


def record(**options: str) -> list[tuple[int, ...]]:
    device = on(frozenset(), **options)
    device.receive(START, 0.0)
    return trends(listen(device, 0.0, 3)[-1])


def test_the_start_of_the_page() -> None:
    assert packet(0, 1, message(0x73, b"\x00")) == START


def test_it_is_silent_until_started_and_after_the_stop() -> None:
    device = on()
    assert listen(device, 0.0, 60) == []
    device.receive(START, 60.0)
    said = listen(device, 60.0, 10)
    assert said[0] == bytes.fromhex("BA AB 00 00 00 00 02 00 02 00")
    assert len(said) == 11
    for number, whole in enumerate(said[1:]):
        assert struct.unpack_from("<HHHIIHH", whole, 2) == (number, 132, 1, 4, 0x34, number, 120)
    device.receive(STOP, 70.2)
    assert listen(device, 70.2, 10) == [packet(1, 2)]
    assert device.commands == {0x73: 1, 0x74: 1}
    assert not device.illegal


def test_a_box_may_acknowledge_and_ask_for_the_raw_eeg() -> None:
    device = on(acknowledges="no")
    device.receive(packet(3, 2) + packet(4, 3) + packet(5, 1, message(0x6F, b"\x80\x00")), 0.0)
    device.receive(packet(6, 1, message(0x70, b"")), 1.0)
    assert (device.acknowledged, dict(device.commands), device.illegal) == (2, {0x6F: 1, 0x70: 1}, [])
    assert listen(device, 1.0, 5) == []


def test_a_steady_record() -> None:
    channels = record()
    assert len({channel[3] for channel in channels}) > 1
    for bsr, sef, _, bis, _, _, power, emg, sqi, artefact in channels:
        assert (bsr, artefact) == (0, 0)
        assert 1500 <= sef <= 1700
        assert 440 <= bis <= 490
        assert 5800 <= power <= 6000
        assert 2800 <= emg <= 3000
        assert 900 <= sqi <= 980


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("electrode_off", {0: -3277, 1: -3277, 3: -3277, 6: -3277, 7: -3277, 8: 0}),
        ("deep_invalid", {1: -32768, 3: -32768}),
        ("artefact", {9: 1, 8: 400}),
        ("low_quality", {8: 120}),
        ("suppression", {0: 453, 3: 215}),
        ("isoelectric", {0: 1000, 3: 0}),
    ],
)
def test_troubles(state: str, expected: dict[int, int]) -> None:
    for channel in record(state=state):
        assert {place: channel[place] for place in expected} == expected


def test_the_history_is_what_was_sent() -> None:
    device = on(state="auto", episode_every_s="30")
    device.receive(START, 0.0)
    said = listen(device, 0.0, 300)[1:]
    assert len(said) == len(device.history)
    for whole, sent in zip(said, device.history, strict=True):
        for number, channel in enumerate(trends(whole), 1):
            assert sent.values[f"BIS.{number}"] == str(channel[3])
            assert sent.values[f"SQI.{number}"] == str(channel[8])
    assert len({sent.values["impedance"] for sent in device.history}) == 2


@pytest.mark.parametrize(
    "bad",
    [
        START[:-1] + b"\x01",
        packet(0, 1, message(0x75, b"")),
        packet(0, 1, message(0x73, b"\x01")),
        packet(0, 1, message(0x73, b"\x00")[:-1]),
        packet(0, 9, message(0x73, b"\x00")),
        packet(0, 1, b"\x04"),
        b"hello",
        b"\xba\xab" + b"\xff" * 600,
    ],
)
def test_what_a_box_may_not_say_is_kept(bad: bytes) -> None:
    device = on()
    device.receive(bad, 0.0)
    assert device.illegal
    assert not device.is_sending
    device.receive(START, 1.0)
    assert device.is_sending


@pytest.mark.parametrize("cut", range(1, len(START)))
def test_a_command_in_two_pieces(cut: int) -> None:
    device = on()
    device.receive(START[:cut], 0.0)
    device.receive(START[cut:], 0.1)
    assert device.is_sending
    assert not device.illegal


def test_a_damaged_packet_is_refused() -> None:
    device = on()
    device.receive(START[:-1] + b"\x01", 0.0)
    assert listen(device, 0.0, 1) == [packet(0, 3)]


def test_after_a_restart_it_waits_to_be_started() -> None:
    device = on(frozenset({"reboot"}), fault_rate="1", silence_s="1")
    device.receive(START, 0.0)
    listen(device, 0.0, 10)
    assert device.injected["reboot"] == 1
    assert not device.is_sending
