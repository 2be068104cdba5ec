"""The Modbus simulator: vectors of the Modbus pages, every framing, and a generator that lives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.modbus_frames import FRAMINGS, WRITE_CODES, crc16, lrc
from simulators.devices.registers import Registers

FIRST_EIGHT = bytes.fromhex("0A 03 04 00 00 08 44 47")


def read(address: int, count: int, code: int = 3) -> bytes:
    return bytes([code]) + address.to_bytes(2, "big") + count.to_bytes(2, "big")


def wrap(framing: str, pdu: bytes, unit: int = 10, transaction: int = 7) -> bytes:
    body = bytes([unit]) + pdu
    if framing == "tcp":
        return transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body
    if framing == "rtu":
        return body + crc16(body)
    return b":" + (body + bytes([lrc(body)])).hex().upper().encode() + b"\r\n"


def unwrap(framing: str, said: bytes) -> bytes:
    """The PDU of one answer of unit 10; raises on anything else."""
    if framing == "tcp":
        assert said[:4] == b"\0\x07\0\0"
        assert int.from_bytes(said[4:6], "big") == len(said) - 6
        assert said[6] == 10
        return said[7:]
    if framing == "rtu":
        assert crc16(said[:-2]) == said[-2:]
        assert said[0] == 10
        return said[1:-2]
    assert said[:1] == b":"
    assert said[-2:] == b"\r\n"
    body = bytes.fromhex(said[1:-2].decode())
    assert lrc(body[:-1]) == body[-1]
    return body[1:-1]


def ask(device: Registers, framing: str, pdu: bytes, now: float) -> bytes:
    device.receive(wrap(framing, pdu), now)
    return unwrap(framing, device.wake(now + 0.1))


def words(pdu: bytes) -> list[int]:
    return [int.from_bytes(pdu[i : i + 2], "big") for i in range(2, len(pdu), 2)]


def test_the_worked_reply() -> None:
    device = Registers(options={"framing": "rtu"})
    device.receive(FIRST_EIGHT, 0.0)
    expected = "0A 03 10 FFFF 0052 7FFF 0049 010F 007D 05DC 01F4 95 96"
    assert device.wake(0.1) == bytes.fromhex(expected)
    device.receive(bytes.fromhex("0A 03 04 08 00 02 45 82"), 0.2)
    assert device.wake(0.3) == bytes.fromhex("0A 03 04 0000 08FD 86 B2")
    device.receive(wrap("rtu", read(1050, 1)), 0.4)
    assert device.wake(0.5) == bytes.fromhex("0A 83 02 B1 33")


def test_checksums() -> None:
    assert crc16(bytes.fromhex("01 04 00 00 00 01")) == bytes.fromhex("31 CA")
    assert crc16(bytes.fromhex("F0 03 04 7A E1 41 F4")) == bytes.fromhex("62 05")
    assert lrc(bytes.fromhex("190305300002")) == 0xAD
    assert lrc(bytes.fromhex("010305300002")) == 0xC5


@pytest.mark.parametrize("framing", FRAMINGS)
def test_codes(framing: str) -> None:
    device = Registers(options={"framing": framing})
    assert ask(device, framing, read(1024, 8), 0) == ask(device, framing, read(1024, 8, code=4), 0.2).replace(
        b"\x04", b"\x03", 1
    )
    assert ask(device, framing, read(0, 2, code=1), 1) == b"\x01\x01\x01"
    assert ask(device, framing, read(0, 2, code=2), 2) == b"\x02\x01\x01"
    assert ask(device, framing, read(0, 3, code=1), 3) == b"\x81\x02"
    for address, count in ((1023, 2), (1036, 3), (1058, 1), (1065, 2), (1800, 1), (65535, 2), (0, 1)):
        assert ask(device, framing, read(address, count), 4) == b"\x83\x02"
    assert not device.illegal
    assert ask(device, framing, read(1024, 126), 5) == b"\x83\x03"
    assert ask(device, framing, read(1024, 0), 6) == b"\x83\x03"
    assert len(device.illegal) == 2
    assert len(device.sent) == 4


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("code", "rest"),
    [
        (5, "1008FF00"), (6, "10088B74"), (15, "000000080155"), (16, "1008000204 8B74748B"), (22, "1008FFFF0000"),
        (23, "0400000110080001028B74"), (21, "0601020304"),
    ],
)  # fmt: skip
def test_every_write_is_refused_and_counted(framing: str, code: int, rest: str) -> None:
    device = Registers(options={"framing": framing})
    before = device.registers(0.0)
    pdu = bytes([code]) + bytes.fromhex(rest)
    assert ask(device, framing, pdu, 0) == bytes([code | 0x80, 1])
    assert device.writes == [pdu]
    assert device.illegal == [pdu]
    assert device.registers(0.0) == before
    assert code in WRITE_CODES


@pytest.mark.parametrize("framing", FRAMINGS)
def test_any_split_gives_the_same_answers(framing: str) -> None:
    stream = wrap(framing, read(1024, 8)) + wrap(framing, read(1032, 6)) + wrap(framing, read(1032, 6), unit=9)

    def answers(cuts: list[int]) -> bytes:
        device = Registers(options={"framing": framing})
        out, last = b"", 0
        for cut in [*cuts, len(stream)]:
            out += device.receive(stream[last:cut], 0.0)
            last = cut
        assert device.foreign == 1
        return out + device.wake(0.5)

    whole = answers([])
    assert all(answers([cut]) == whole for cut in range(1, len(stream)))


@pytest.mark.parametrize("framing", FRAMINGS)
def test_damaged_requests_are_not_answered(framing: str) -> None:
    device = Registers(options={"framing": framing})
    damaged = bytearray(wrap(framing, read(1024, 8)))
    damaged[2] ^= 4
    device.receive(bytes(damaged), 0.0)
    assert device.wake(1.0) == b""
    assert device.illegal
    assert ask(device, framing, read(1024, 8), 2)


def test_half_a_request_is_dropped_at_the_gap() -> None:
    device = Registers(options={"framing": "rtu"})
    device.receive(FIRST_EIGHT[:5], 0.0)
    device.wake(0.5)
    assert device.illegal == [FIRST_EIGHT[:5]]
    assert ask(device, "rtu", read(1024, 8), 0.6)


def test_the_set_lives() -> None:
    device = Registers(5, options={"cycle_s": "100", "fuel_hours": "1"})
    device.wake(0.0)
    rows = [device.registers(t) for t in range(3000)]
    running = [row[1030] > 1000 for row in rows]
    assert 0.4 < sum(running) / len(running) < 0.5
    fuel = [row[1027] for row in rows]
    assert fuel == sorted(fuel, reverse=True)
    assert fuel[0] == 73
    assert 25 < fuel[-1] < 45
    hours = [row[1798] << 16 | row[1799] for row in rows]
    assert hours == sorted(hours)
    assert hours[-1] - hours[0] == pytest.approx(1500, abs=2)
    starts = [row[1809] for row in rows]
    assert starts[-1] - starts[0] == 29
    assert {row[1024] for row in rows} == {0xFFFF}
    assert {row[1026] for row in rows} == {0x7FFF}
    assert 0x7FFC in {row[1025] for row in rows}
    assert len({row[1033] for row in rows}) > 10
    for row in rows:
        assert not (row[1030] > 0 and row[1059] > 0)
        assert row[1027] <= 100
        assert all(0 <= value <= 0xFFFF for value in row.values())


def test_holes_may_be_sentinels() -> None:
    device = Registers(options={"holes": "unimplemented"})
    assert words(ask(device, "tcp", read(1036, 4), 0))[2:] == [0xFFFF, 0xFFFF]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("fault", sorted(Registers.FAULTS))
def test_each_fault_is_survived(fault: str, framing: str) -> None:
    device = Registers(2, frozenset({fault}), {"framing": framing, "fault_rate": "0.2"})
    good = 0
    for second in range(600):
        now = float(second)
        said = device.receive(wrap(framing, read(1024, 8)), now)
        for tenth in range(1, 10):
            said += device.wake(now + tenth / 10)
        try:
            good += len(unwrap(framing, said)) == 18
        except (AssertionError, ValueError, IndexError):
            continue
    assert device.injected[fault] > 10
    assert set(device.injected) == {fault}
    assert 50 < good <= 600
    # In ASCII a flipped bit may turn A into a, which reads the same.
    assert good <= len(device.sent) + (device.injected[fault] if fault == "flipped_bit" else 1)
    assert not device.illegal


@given(st.binary(max_size=400), st.sampled_from(sorted(FRAMINGS)))
def test_any_bytes_are_survived(noise: bytes, framing: str) -> None:
    device = Registers(options={"framing": framing})
    device.receive(noise, 0.0)
    device.wake(10.0)
    device.disconnected(11.0)
    device.connected(12.0)
    assert ask(device, framing, read(1024, 8), 13)
