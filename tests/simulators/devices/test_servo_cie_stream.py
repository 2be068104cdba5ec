"""The SERVO-i simulator's stream: curves by absolute values and differences, blocks, what ends it."""

import re
from collections.abc import Iterable

from simulators.devices import servo_frames as wire
from tests.simulators.devices.servo_talk import ESC, RCTY, ask, extended, streaming, take_curves, xored


def blocks_of(data: bytes, sizes: dict[bytes, int]) -> Iterable[tuple[str, bytes, list[tuple[int, list[int]]]]]:
    """The blocks of a stream without damage: letter, bytes, samples."""
    while data:
        letter = data[:1]
        if letter in sizes:
            block, data = data[: sizes[letter] + 3], data[sizes[letter] + 3 :]
            assert block[-2] == 0x7F
            assert wire.xor(block) == 0
            yield letter.decode(), block, []
        else:
            samples, rest = take_curves(data, 3)
            yield "C", data[: len(data) - len(rest)], samples
            data = rest


def test_a_stream_of_curves_and_values() -> None:
    device, now = extended(alarm_every_s="10")
    ask(device, "SDADC100101114", now)
    ask(device, "SDADB201205", now)
    ask(device, "SDADS310", now)
    ask(device, "SDADA410499", now)
    device.receive(xored("RADC"), now + 5)
    stream = b"".join(device.wake(now + 5 + tenth / 10) for tenth in range(400))
    blocks = list(blocks_of(stream, {b"B": 4, b"S": 2, b"A": 2}))
    letters = [letter for letter, _, _ in blocks]
    assert 195 <= letters.count("C") <= 200
    assert letters.count("B") in (9, 10)
    assert letters.count("S") == 1
    assert letters.count("A") >= 3
    samples = [sample for letter, _, rows in blocks if letter == "C" for sample in rows]
    assert {phase for phase, _ in samples} == {0x10, 0x20, 0x30}
    flows = [raws[0] * 0.2713 - 3333 for _, raws in samples]
    assert max(flows) > 300
    assert min(flows) < -500
    assert all(block.startswith(b"\x81") for letter, block, _ in blocks if letter == "C")
    assert [reading.table for reading in device.history] == letters
    curves = [reading for reading in device.history if reading.table == "C"]
    assert " ".join(reading.values["100"] for reading in curves).split() == [str(raws[0]) for _, raws in samples]


def test_blocks_may_begin_with_differences() -> None:
    device, now = streaming(absolute_every="0")
    stream = b"".join(device.wake(now + tenth / 10) for tenth in range(60))
    starts = [block[:3] for _, block, _ in _undecoded(stream)]
    assert any(start[2] != 0x80 for start in starts[1:])
    assert all(start[0] == 0x81 for start in starts)


def _undecoded(stream: bytes) -> Iterable[tuple[int, bytes, None]]:
    """Curve blocks by their marks only."""
    start, i = 0, 0
    while i < len(stream):
        if stream[i] == 0x7F:
            yield start, stream[start : i + 2], None
            start = i = i + 2
        else:
            i += 3 if stream[i] == 0x80 else 2 if stream[i] == 0x81 else 1


def test_escape_stops_everything() -> None:
    device, now = streaming()
    assert device.wake(now + 1)
    device.receive(ESC, now + 1.05)
    assert device.wake(now + 30) == b""
    assert not device.is_streaming
    assert device.wake_at is None
    device.receive(xored("RHVE") + ESC, now + 31)
    assert device.wake(now + 32) == b""
    device.receive(b"RHV" + ESC, now + 33)
    assert ask(device, "RHVE", now + 34) == xored("005")
    assert not device.illegal


def test_a_stream_without_tables_and_one_that_is_spoken_into() -> None:
    device, now = extended()
    assert ask(device, "RADC", now) == bytes.fromhex("E0 10 7F 8F")
    device, now = streaming()
    device.wake(now + 1)
    device.receive(xored("RHVE"), now + 1.01)
    assert b"005" not in device.wake(now + 1.15)
    device.receive(xored("SPVE001") + RCTY, now + 1.16)
    assert (device.version, device.hurried, device.is_streaming) == (5, 3, True)


def test_standby_ends_a_stream() -> None:
    device, now = streaming()
    device.wake(now + 1)
    device.is_standby = True
    assert device.wake(now + 3) == bytes.fromhex("E0 11 7F 8E")
    assert device.wake(now + 10) == b""


def test_corrupted_blocks() -> None:
    device, now = streaming(faults=frozenset({"corrupted_block"}), fault_rate="0.3")
    stream = [device.wake(now + fifth / 5 + 0.01) for fifth in range(1, 200)]
    good = [block for block in stream if block and wire.xor(block) == 0]
    bad = [block for block in stream if block and wire.xor(block) != 0]
    assert len(bad) == device.injected["corrupted_block"] > 20
    assert len(good) == device.sent
    assert all(block[0] == 0x81 for block in good)


def test_after_an_interruption_curves_begin_with_absolute_values() -> None:
    device, now = streaming(absolute_every="0")
    device.wake(now + 1)
    device.faults = frozenset({"silence"})
    device._rate = 1.0
    device.wake(now + 1.3)
    device.faults = frozenset()
    while not (said := device.wake(now + 1.3)):
        now += 0.1
    assert re.fullmatch(rb"\x81.\x80..\x80..\x80...*", said, re.DOTALL)
