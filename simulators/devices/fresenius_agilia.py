"""Fresenius Agilia pumps on an Orchestra base, or one alone, on a serial port (7E1; from one open driver).

    02  [address]  command[;arguments]  check  03      check: two hex digits of FF - (sum of what stands before it)

The address is `0` for the base, `1` and up for its modules; a pump alone has none. Both sides answer a good frame
with 06, a bad one with 15 and a character.

    box  0DC   ──▶  ◀── 06, 0C            a session with the base, then one with each module
    box  1LE;dr ──▶ ◀── 06, 1C;d0032;r00001388
         06    ──▶
               ◀──  05                    every now and then
         14    ──▶                        the box is still there
               ◀──  1E;d0032              what the box subscribed to (DE), when it changes
         06, 1E ──▶

How often the pump says 05, after how many unanswered ones it gives up, the error numbers, the meaning of alarm and
mode bits and the answers to LM, LN, DM and AM were not seen: the first two are options, the numbers here are fixed.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Emission, Option, Simulator

STX, ETX, ENQ, ACK, DC4, NAK = 0x02, 0x03, 0x05, 0x06, 0x14, 0x15
FRAME_LIMIT_BYTES = 128
MODULES_LIMIT = 8
REPLIES_KEPT = 10_000
QUEUE_LIMIT = 32
ALLOWED = frozenset({"DC", "FC", "LE", "LF", "LM", "LP", "LN", "DE", "AE", "DM", "AM"})
READERS = frozenset({"LE", "LF", "DE"})
ERROR_CODE = "1"
NAK_CODE = b"1"
DRUGS = ("NORADRENALINE", "PROPOFOL", "MIDAZOLAM", "INSULINE")


def check(body: bytes) -> bytes:
    """Two upper-case hex digits: FF minus the low byte of the sum."""
    return b"%02X" % (0xFF - (sum(body) & 0xFF))


def frame(text: str) -> bytes:
    """A frame around address, command and arguments."""
    body = text.encode("ascii")
    return bytes([STX]) + body + check(body) + bytes([ETX])


class Pump:
    """One module: a rate that changes every ten minutes and the volume it has given."""

    def __init__(self, seed: int, index: int, start: float) -> None:
        self.drug = DRUGS[(seed + index) % len(DRUGS)]
        self._start = start
        self._rates = [20 + (seed * 37 + index * 113 + step * 59) % 400 for step in range(6)]

    def values(self, now: float) -> dict[str, str]:
        """Variable → hex text; rates in 0.1 mL/h, volumes in 0.001 mL."""
        step, since = divmod(now - self._start, 600.0)
        done = sum(self._rates[past % 6] for past in range(int(step) % 144)) * 600.0
        rate = self._rates[int(step) % 6]
        volume = int((done + rate * since) / 36)
        return {
            "d": f"{rate:04X}", "r": f"{volume:08X}", "a": "00000000", "e": "0000", "m": "0001",
            "k": "0000", "s": "00000000",
        }  # fmt: skip


class Reply(NamedTuple):
    """An undamaged frame that went out."""

    at: float
    address: str
    kind: str
    """C, I or E."""
    values: Mapping[str, str]
    """Variable → hex text; the key `text` for an answer without variables, such as the drug's name."""


class _Frame(NamedTuple):
    data: bytes
    reply: Reply


class FreseniusAgilia(Simulator):
    """The pumps' side."""

    NAME: ClassVar[str] = "fresenius_agilia"
    DESCRIPTION: ClassVar[str] = "Fresenius Agilia infusion pumps, alone or on an Orchestra base, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**COMMON_FAULTS, "refused": "NAK to a good frame of the box", "error": "I;… instead of the answer"}
    )
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "modules": Option("2", "pumps on the base, 1 to 8; 0 = one pump alone, without address"),
            "enq_every_s": Option("2", "seconds between two 05 while a session is open; 0 = never"),
            "enq_tries": Option("3", "unanswered 05 after which the sessions are lost"),
            "period_s": Option("1", "seconds between two spontaneous frames"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Frames with values (C or E) that left the device undamaged."""
        self.history: deque[Reply] = deque(maxlen=REPLIES_KEPT)
        self.commands: Counter[str] = Counter()
        self.sessions: set[str] = set()
        """Addresses with an open session."""
        self.lost_sessions = 0
        """Sessions that ended because the box did not answer 05, without FC."""
        self.premature = 0
        """Commands to an address without a session."""
        self.unacked = 0
        """Frames that were followed by another one before their ACK came."""
        self.unechoed = 0
        """Spontaneous frames followed by another one before their echo came."""
        self.unexpected = 0
        self._module_count = int(self.seconds("modules"))
        if self._module_count > MODULES_LIMIT:
            raise ValueError(f"{self.NAME}: option modules = {self.options['modules']!r}; expected 0 to 8")
        self._enq_every_s = self.seconds("enq_every_s")
        self._enq_tries = self.seconds("enq_tries")
        self._period_s = max(0.1, self.seconds("period_s"))
        self._pumps: dict[str, Pump] = {}
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        self.sessions.clear()
        self._heard = bytearray()
        self._is_lost = False
        self._is_nak = False
        self._queue: deque[tuple[float, _Frame]] = deque(maxlen=QUEUE_LIMIT)
        self._last: _Frame | None = None
        self._subscribed: dict[str, str] = {}
        self._told: dict[str, dict[str, str]] = {}
        self._echo_due: set[str] = set()
        self._enq_at = now + self._enq_every_s
        self._unanswered = 0
        self._spontaneous_at = now + self._period_s

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        names = [str(number) for number in range(1, self._module_count + 1)] or [""]
        self._pumps = {name: Pump(self.seed, index, now) for index, name in enumerate(names)}
        self._forget(now)

    def _thaw(self, now: float) -> None:
        self._heard.clear()
        self._is_lost, self._is_nak = True, False
        self._queue.clear()
        self._enq_at = now + self._enq_every_s
        self._spontaneous_at = now + self._period_s

    def _reboot(self, now: float) -> None:
        self._forget(now)

    def _due(self) -> float | None:
        return min(self._timers().values(), default=None)

    def _timers(self) -> dict[str, float]:
        timers = {"reply": self._queue[0][0]} if self._queue else {}
        if self.sessions and self._enq_every_s:
            timers["enq"] = self._enq_at
        if self._subscribed:
            timers["spontaneous"] = self._spontaneous_at
        return timers

    def _tick(self, now: float) -> None:
        match min(self._timers().items(), key=lambda timer: timer[1])[0]:
            case "reply":
                self._send(self._queue.popleft()[1], now)
            case "enq":
                self._enq(now)
            case _:
                self._spontaneous_at = now + self._period_s
                for address, variables in list(self._subscribed.items()):
                    if self._frozen_until is None:
                        self._tell(address, variables, now)

    def _enq(self, now: float) -> None:
        self._enq_at = now + self._enq_every_s
        if self._unanswered >= self._enq_tries:
            self.lost_sessions += len(self.sessions)
            self._forget(now)
            return
        self._unanswered += 1
        self._line.put(bytes([ENQ]), now)

    def _send(self, whole: _Frame, now: float) -> None:
        self.unacked += self._last is not None
        self._last = whole
        emission = self._emit(whole.data, now)
        if emission.fault == "reboot":
            self._last = None
        self._keep(whole.reply, emission, now)

    def _keep(self, reply: Reply, emission: Emission, now: float) -> None:
        if emission.good and reply.values and reply.kind != "I":
            self.sent += 1
            self.history.append(reply._replace(at=now))

    def _tell(self, address: str, variables: str, now: float) -> None:
        """A spontaneous frame with the variables that changed."""
        values = self._pumps[address].values(now)
        told = self._told.setdefault(address, {})
        changed = {name: values[name] for name in variables if told.get(name) != values[name]}
        if not changed:
            return
        told |= changed
        self.unechoed += address in self._echo_due
        self._echo_due.add(address)
        self._send(self._frame(address, "E", changed, now), now)

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if self._heard:
                self._hear_inside(byte, now)
            elif self._is_nak:  # the character behind a NAK
                self._is_nak = False
            elif byte == STX:
                self._is_lost = False
                self._heard = bytearray([byte])
            elif byte == ACK:
                self.unexpected += self._last is None
                self._last = None
            elif byte == NAK:
                self._is_nak = True
                self._repeat(now)
            elif byte == DC4:
                self._unanswered = 0
            elif not self._is_lost:
                self.illegal.append(bytes([byte]))

    def _hear_inside(self, byte: int, now: float) -> None:
        if byte == STX:
            self.illegal.append(bytes(self._heard))
            self._heard = bytearray([byte])
            return
        self._heard.append(byte)
        if byte == ETX:
            raw, self._heard = bytes(self._heard), bytearray()
            self._take(raw, now)
        elif len(self._heard) >= FRAME_LIMIT_BYTES:
            self.illegal.append(bytes(self._heard))
            self._heard.clear()

    def _repeat(self, now: float) -> None:
        if self._last is None:
            self.unexpected += 1
            return
        whole, self._last = self._last, None
        self._queue.append((now + 0.02, whole))

    def _take(self, raw: bytes, now: float) -> None:
        body = raw[1:-3]
        parts = re.fullmatch(rb"([0-8]?)([A-Z]{1,2})(?:;([ -~]*))?", body)
        if check(body) != raw[-3:-1] or parts is None:
            self.illegal.append(raw)
            self._line.put(bytes([NAK]) + NAK_CODE, now)
            return
        if self._strikes("refused"):
            self._line.put(bytes([NAK]) + NAK_CODE, now)
            return
        self._line.put(bytes([ACK]), now)
        address, command = parts[1].decode(), parts[2].decode()
        arguments = (parts[3] or b"").decode("ascii")
        self.commands[command] += 1
        if command == "E":  # the echo of a spontaneous frame
            self.unexpected += address not in self._echo_due
            self._echo_due.discard(address)
            return
        if command not in ALLOWED:
            self.illegal.append(raw)
            values = None
        else:
            values = None if self._strikes("error") else self._obey(address, command, arguments, now)
        kind = "I" if values is None else "C"
        answer = self._frame(address, kind, {"text": ERROR_CODE} if values is None else values, now)
        self._queue.append((now + self._rng.uniform(0.01, 0.05), answer))

    def _obey(self, address: str, command: str, arguments: str, now: float) -> dict[str, str] | None:
        """The variables of the answer; None for an error."""
        is_base = address == "0" and self._module_count > 0
        if not is_base and address not in self._pumps:
            return None
        if command == "DC":
            if not self.sessions:
                self._enq_at = now + self._enq_every_s
            self.sessions.add(address)
            return {}
        if address not in self.sessions:
            self.premature += 1
            return None
        if command == "FC":
            self.sessions.discard(address)
            self._subscribed.pop(address, None)
            return {}
        if command == "AE":
            self._subscribed.pop(address, None)
            return {}
        if command == "LP":
            return None if is_base else {"text": self._pumps[address].drug}
        return self._read(address, command, arguments, now) if command in READERS else {}

    def _read(self, address: str, command: str, variables: str, now: float) -> dict[str, str] | None:
        if address == "0":
            bits = (1 << self._module_count) - 1
            known = {"b": f"{bits:04X}", "i": f"{self._module_count:04X}"}
        else:
            known = {"b": "0001"} if command == "LF" else self._pumps[address].values(now)
        if not variables or any(name not in known for name in variables):
            return None
        if command == "DE":
            if address == "0":
                return None
            self._subscribed[address] = variables
            self._spontaneous_at = now + self._period_s
            return {}
        return {name: known[name] for name in variables}

    def _frame(self, address: str, kind: str, values: Mapping[str, str], now: float) -> _Frame:
        variables = "".join(f";{'' if name == 'text' else name}{text}" for name, text in values.items())
        data = frame(f"{address}{kind}{variables}")
        return _Frame(data, Reply(now, address, kind, MappingProxyType(dict(values))))

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        digits = b"0123456789ABCDEF"
        damaged = bytearray(frame)
        damaged[-2] = digits[(digits.index(damaged[-2]) + 1) % 16]
        return bytes(damaged)
