"""A Modbus device: a Deep Sea 73xx generator controller, unit 10, by TCP, RTU or ASCII.

Codes 1 to 4 are answered; a hole in the map is exception 2, too many registers exception 3. Every code that writes is
answered with exception 1 and kept in `writes`: on the real controller a write to 4104/4105 starts or stops the set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices.genset import NOT_IMPLEMENTED_U16, Genset
from simulators.devices.modbus_frames import FRAMINGS, WRITE_CODES, Request
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, BUSY = 1, 2, 3, 4, 6
REGISTERS_LIMIT = 125
BITS_LIMIT = 2000
REQUESTS_LIMIT = 16
"""Requests that wait for their answer; a client that sends more is not heard."""
REPLIES_KEPT = 10_000


class Reply(NamedTuple):
    """An undamaged answer with data that went out."""

    at: float
    code: int
    address: int
    values: tuple[int, ...]


class Registers(Simulator):
    """The server's side of Modbus."""

    NAME: ClassVar[str] = "registers"
    DESCRIPTION: ClassVar[str] = "Deep Sea 73xx generator controller, Modbus TCP, RTU or ASCII, unit 10"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **COMMON_FAULTS,
            "bad_checksum": "an answer with a wrong CRC or LRC; by TCP with another transaction's number",
            "two_in_one": "an answer waits and leaves together with the next one",
            "exception": "exception 4 or 6 instead of an answer",
            "timeout": "no answers at all for a few seconds",
            "late_reply": "an answer 1.5 to 4 seconds late",
        }
    )
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "framing": Option("tcp", " | ".join(FRAMINGS)),
            "unit": Option("10", "the unit it answers to"),
            "holes": Option("exception", "exception | unimplemented (FFFF) for registers that do not exist"),
            "cycle_s": Option("120", "mains away for the first half of this, back for the second"),
            "fuel_hours": Option("8", "hours that a full tank lasts"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent: deque[Reply] = deque(maxlen=REPLIES_KEPT)
        self.writes: list[bytes] = []
        """PDUs of every request that would have written."""
        self.requests = 0
        self.foreign = 0
        """Requests for another unit; not answered."""
        self._framing = FRAMINGS[self.choice("framing", tuple(FRAMINGS))]()
        self._unit = int(self.seconds("unit"))
        self._has_exceptions = self.choice("holes", ("exception", "unimplemented")) == "exception"
        self._genset = Genset(seed, self.seconds("cycle_s"), self.seconds("fuel_hours"))
        self._waiting: deque[tuple[float, Request]] = deque()
        self._born_at = 0.0
        self._heard_at = 0.0
        self._deaf_until = 0.0

    def registers(self, now: float) -> dict[int, int]:
        """What the registers hold at `now`; for a test's comparison."""
        return self._genset.registers(now - self._born_at)

    # -- the clock -----------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._born_at = now

    def _thaw(self, now: float) -> None:
        self._framing.clear()

    def _reboot(self, now: float) -> None:
        self._waiting.clear()
        self._framing.clear()

    def connected(self, now: float) -> None:
        """A fresh connection: an unfinished request of the old one is gone."""
        super().connected(now)
        self._framing.clear()
        self._waiting.clear()

    def _due(self) -> float | None:
        moments = [self._waiting[0][0]] if self._waiting else []
        if self._framing.GAP_S is not None and self._framing.is_inside_frame:
            moments.append(self._heard_at + self._framing.GAP_S)
        return min(moments, default=None)

    def _tick(self, now: float) -> None:
        if self._waiting and self._waiting[0][0] <= now:
            self._answer(self._waiting.popleft()[1], now)
        elif rest := self._framing.clear():
            self.illegal.append(rest)

    # -- requests ------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        self._heard_at = now
        for request in self._framing.take(data, self.illegal):
            if request.unit != self._unit:
                self.foreign += 1
                continue
            self.requests += 1
            delay = self._rng.uniform(0.005, 0.04)
            if self._strikes("late_reply"):
                delay = self._dice.uniform(1.5, 4.0)
            if len(self._waiting) < REQUESTS_LIMIT:
                due = max([now + delay, *(at for at, _ in self._waiting)])
                self._waiting.append((due, request))

    def _answer(self, request: Request, now: float) -> None:
        if now < self._deaf_until:
            return
        if self._strikes("timeout"):
            self._deaf_until = now + self._dice.uniform(2.0, 5.0)
            return
        code = request.pdu[0]
        reply: Reply | None = None
        if self._strikes("exception"):
            pdu = _exception(code, self._dice.choice((DEVICE_FAILURE, BUSY)))
        elif 1 <= code <= 4:
            pdu, reply = self._read(request.pdu, now)
        else:
            (self.writes if code in WRITE_CODES else self.illegal).append(request.pdu)
            if code in WRITE_CODES:
                self.illegal.append(request.pdu)
            pdu = _exception(code, ILLEGAL_FUNCTION)
        emission = self._emit(self._framing.wrap(request, pdu), now)
        if emission.good and reply is not None:
            self.sent.append(reply)

    def _read(self, pdu: bytes, now: float) -> tuple[bytes, Reply | None]:
        code, address, count = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        is_bits = code in (1, 2)
        if len(pdu) != 5 or not 1 <= count <= (BITS_LIMIT if is_bits else REGISTERS_LIMIT):
            self.illegal.append(pdu)
            return _exception(code, ILLEGAL_VALUE), None
        t = now - self._born_at
        table: Mapping[int, int] = self._genset.bits(t) if is_bits else self._genset.registers(t)
        span = range(address, address + count)
        has_hole = any(number not in table for number in span)
        if has_hole and (self._has_exceptions or is_bits or address + count > 0x10000):
            return _exception(code, ILLEGAL_ADDRESS), None
        values = tuple(int(table.get(number, NOT_IMPLEMENTED_U16)) for number in span)
        if is_bits:
            packed = sum(value << index for index, value in enumerate(values))
            body = packed.to_bytes((count + 7) // 8, "little")
        else:
            body = b"".join(value.to_bytes(2, "big") for value in values)
        return bytes([code, len(body)]) + body, Reply(now, code, address, values)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return self._framing.spoil(frame)

    def _with_flipped_bit(self, frame: bytes) -> bytes:
        return self._framing.flip(frame, self._dice.randrange(len(frame) * 8))


def _exception(code: int, number: int) -> bytes:
    return bytes([code | 0x80, number])
