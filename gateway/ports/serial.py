"""Serial ports: exclusive, named by path, and quiet on opening."""

import asyncio
import errno
import os
import termios
from collections.abc import Callable
from typing import Literal

import serial

from drivers.observation import SourceAuth
from drivers.profile import ModemLines
from gateway.ports.port import PortBusy, PortError, PortLost, PortUnusable, SettingsRefused, translate

READ_BYTES = 4096
"""Read at once: what one device says in one go must not hold up the others."""
WRITE_TIMEOUT_S = 10.0
"""Longer than the longest frame takes at 1,200 baud; a line that does not drain by then is lost."""


class SerialPort:
    """One serial line. DTR and RTS: Linux raises both when it opens a port; `lower` drops them at once."""

    source_auth: SourceAuth = "point_to_point"

    def __init__(
        self,
        path: str,
        baud: int,
        bits: int,
        parity: Literal["N", "E", "O"],
        stop: int,
        modem: ModemLines,
    ) -> None:
        self.name = f"serial:{path}"
        self._path = path
        self._baud, self._bits, self._parity, self._stop = baud, bits, parity, stop
        self._modem = modem
        self._serial: serial.Serial | None = None

    async def open(self) -> None:
        """Open it exclusively. Raises `PortAbsent`, `PortBusy`, `PortForbidden`."""
        await self.close()
        path = await asyncio.to_thread(os.path.realpath, self._path)
        # A pseudo-terminal has no parity and no 7-bit bytes: the C library reports an error where they are asked for.
        is_pty = path.startswith("/dev/pts/")
        line = serial.Serial(
            baudrate=self._baud,
            bytesize=8 if is_pty else self._bits,
            parity="N" if is_pty else self._parity,
            stopbits=self._stop,
            timeout=0,
            exclusive=True,
        )
        line.dtr = self._modem.dtr != "lower"
        line.rts = self._modem.rts != "lower"
        line.port = path
        try:
            # A USB adapter may take half a second to open: not in the loop that serves the other devices.
            await asyncio.to_thread(line.open)
        except serial.SerialException as error:
            raise self._why(error) from error
        except (termios.error, ValueError) as error:
            raise SettingsRefused(
                port=self.name, line=f"{self._baud} {self._bits}{self._parity}{self._stop}"
            ) from error
        self._serial = line

    def _why(self, error: serial.SerialException) -> PortError:
        if "exclusively lock" in str(error):  # pyserial gives this case no errno of its own
            return PortBusy(port=self.name)
        cause = error if error.errno else error.__context__
        return translate(
            cause if isinstance(cause, OSError) else OSError(errno.ENOTTY, "no tty"), self.name, PortUnusable
        )

    async def read(self) -> bytes:
        """What has arrived. Raises `PortLost` when the line hangs up (unplugged, pty closed)."""
        fd = self._require()
        loop = asyncio.get_running_loop()
        while True:
            await _ready(fd, loop.add_reader, loop.remove_reader)
            try:
                data = os.read(fd, READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise PortLost(port=self.name, detail=os.strerror(error.errno or 0)) from error
            if not data:  # readable with nothing to read: the line has hung up
                raise PortLost(port=self.name, detail="hang-up")
            return data

    async def write(self, data: bytes) -> None:
        """All bytes, or `PortLost` after ten seconds."""
        fd = self._require()
        rest = memoryview(data)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                while rest:
                    await _ready(fd, loop.add_writer, loop.remove_writer)
                    rest = rest[os.write(fd, rest) :]
        except TimeoutError as error:
            raise PortLost(port=self.name, detail="write time-out") from error
        except OSError as error:
            raise PortLost(port=self.name, detail=os.strerror(error.errno or 0)) from error

    def _require(self) -> int:
        if self._serial is None or self._serial.fd is None:
            raise PortLost(port=self.name, detail="closed")
        return self._serial.fd

    async def close(self) -> None:
        """Close it; a pending hang-up is no error."""
        line, self._serial = self._serial, None
        if line is not None:
            await asyncio.to_thread(line.close)

    release = close


async def _ready(fd: int, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
    """Wait until `fd` can be read (or written); leaves no watcher behind when cancelled."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add(fd, wake)
    try:
        await ready
    finally:
        remove(fd)
