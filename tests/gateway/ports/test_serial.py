"""Serial ports on real pseudo-terminals: exclusive, hot unplugged, opened again."""

import asyncio
import os
import pty
import tty
from pathlib import Path

import pytest

from drivers.profile import ModemLines
from gateway.ports.port import PortAbsent, PortBusy, PortForbidden, PortLost, PortUnusable, translate
from gateway.ports.serial import SerialPort


def make(path: str | Path, modem: ModemLines | None = None) -> SerialPort:
    return SerialPort(str(path), 19200, 8, "E", 1, modem or ModemLines())


def pair() -> tuple[int, str, int]:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return ours, os.ttyname(theirs), theirs


def test_reads_and_writes() -> None:
    async def play() -> bytes:
        ours, path, theirs = pair()
        port = make(path)
        await port.open()
        os.close(theirs)
        await port.write(b"\x1b0" * 1000)
        os.write(ours, b"\x01Q52\r")
        data = await port.read()
        assert os.read(ours, 4096).startswith(b"\x1b0")
        await port.release()
        os.close(ours)
        return data

    assert asyncio.run(play()) == b"\x01Q52\r"


def test_a_pulled_cable_is_a_lost_port_and_opens_again() -> None:
    async def play() -> None:
        ours, path, theirs = pair()
        port = make(path)
        await port.open()
        os.close(theirs)
        os.close(ours)
        with pytest.raises(PortLost):
            await port.read()
        await port.close()
        with pytest.raises(PortLost, match="closed"):
            await port.read()
        ours, path, theirs = pair()
        again = make(path)
        await again.open()
        os.write(ours, b"x")
        assert await again.read() == b"x"
        await again.close()

    asyncio.run(play())


def test_cancelled_read_loses_nothing() -> None:
    async def play() -> bytes:
        ours, path, _theirs = pair()
        port = make(path)
        await port.open()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await port.read()
        os.write(ours, b"kept")
        try:
            return await port.read()
        finally:
            await port.close()

    assert asyncio.run(play()) == b"kept"


def test_absent_port(tmp_path: Path) -> None:
    with pytest.raises(PortAbsent, match="by-path"):
        asyncio.run(make(tmp_path / "nothing").open())


def test_what_is_no_serial_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(PortUnusable, match="really the device's port"):
            asyncio.run(make(path).open())


def test_two_users_of_one_port() -> None:
    async def play() -> None:
        _ours, path, _theirs = pair()
        first, second = make(path), make(path)
        await first.open()
        with pytest.raises(PortBusy):
            await second.open()
        await first.close()
        await second.open()
        await second.close()

    asyncio.run(play())


@pytest.mark.parametrize(("number", "leaf"), [(13, PortForbidden), (16, PortBusy), (2, PortAbsent), (5, PortLost)])
def test_operating_system_errors_become_leaves(number: int, leaf: type) -> None:
    assert type(translate(OSError(number, "x"), "serial:/x")) is leaf


def test_lowered_modem_lines_are_set_before_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[tuple[bool, bool]] = []
    import serial

    real = serial.Serial.open

    def opened(self: serial.Serial) -> None:
        states.append((self.dtr, self.rts))
        real(self)

    monkeypatch.setattr(serial.Serial, "open", opened)
    _ours, path, _theirs = pair()
    port = make(path, ModemLines(dtr="lower", rts="raise"))
    asyncio.run(port.open())
    asyncio.run(port.close())
    assert states == [(False, True)]


def test_a_line_that_does_not_drain_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ports.serial.WRITE_TIMEOUT_S", 0.05)

    async def play() -> None:
        _ours, path, _theirs = pair()
        port = make(path)
        await port.open()
        try:
            with pytest.raises(PortLost, match="time-out"):
                await port.write(b"x" * 1_000_000)
        finally:
            await port.close()

    asyncio.run(play())
