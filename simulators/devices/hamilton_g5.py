"""A Hamilton G5 or Galileo on its serial port: the block protocol, one parameter for each question.

    box     02 id 03 0D
    device  02 id v1..v5 03 0D             most parameters
            02 id dev v1..v4 03 0D         124 to 127
            02 d1 d2 v1..v4 03 0D          86, or 02 d1 v1..v4 03 0D
            02 id status 8 bytes 03 0D     34 and 120, a moment of the waveforms; bytes may equal 03 and 0D
            02 R E R R O R 03 0D           what it does not know

Seen in one open driver only. There is no checksum. The device takes 32 ms for a question; that it hears no other one
meanwhile is assumed. The units of the values and the coding of modes and alarms are not in the source: the texts here
only have the shape of values.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices.breathing import Patient
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

STX, END = 0x02, b"\x03\r"
BUSY_S = 0.032
ERROR = b"\x02RERROR\x03\r"
WAVEFORMS = (34, 120)
VENTILATOR_NUMBER = 86
SOFTWARE = (124, 125)
ANSWERS_KEPT = 10_000
WAVEFORM_ZERO = 2048

SETTINGS: Mapping[int, str] = MappingProxyType(
    {
        40: "    1", 41: "   15", 42: "   12", 43: "  480", 44: "  1.3", 45: "  0.0", 46: "    1", 47: "    2",
        48: "    5", 49: "   10", 50: "   40", 51: "  100", 87: "   15", 104: "    1", 105: "  2.0", 106: "   60",
        108: "   25", 109: "   50", 110: "   70", 111: "  100",
        52: "   35", 53: "   40", 54: "  4.0", 55: " 12.0", 56: "   35", 57: "   45",
    }
)  # fmt: skip
MEASURED: Mapping[int, tuple[str, int]] = MappingProxyType(
    {
        35: ("co2", 0), 36: ("saturation", 0), 37: ("pulse", 0), 60: ("volume", 0), 61: ("volume", 0),
        62: ("minute_volume", 1), 63: ("rate", 0), 64: ("spontaneous", 0), 65: ("ratio_expiration", 1),
        66: ("peak", 0), 67: ("mean_pressure", 0), 68: ("peep", 0), 69: ("plateau_pressure", 0), 70: ("plateau_s", 1),
        71: ("oxygen", 0), 72: ("resistance", 0), 73: ("resistance", 0), 74: ("compliance", 0),
        75: ("peak_flow_ml_s", 0), 76: ("volume", 0), 77: ("volume", 0), 78: ("assisted_volume", 0),
        79: ("assisted_volume", 0), 103: ("intrinsic_peep", 1), 112: ("minimum_pressure", 0),
        113: ("inspiration_s", 1), 114: ("leakage", 0), 115: ("p01", 1), 116: ("peak_flow_ml_s", 0),
        117: ("inspiration_s", 2), 118: ("inspiration_s", 2), 119: ("p01", 2), 121: ("p01", 1), 122: ("peak", 0),
    }
)  # fmt: skip
"""Identifier → quantity and decimals."""
WITHOUT_CONTENT = frozenset({*range(80, 86), *range(88, 103), 123}) - {87}
"""Clock, alarms and language: how they are coded is not in the source; a zero stands for all of them."""
KNOWN = frozenset({*range(30, 34), *range(34, 128)})


class Answer(NamedTuple):
    """An undamaged answer that went out."""

    at: float
    identifier: int
    text: str
    """The characters of the value; the hex digits of a waveform."""


def waveform_bytes(value: int) -> bytes:
    """A sample in two bytes of six bits, the low ones first."""
    raw = max(0, min(4095, value + WAVEFORM_ZERO))
    return bytes([raw & 0x3F, raw >> 6])


class HamiltonG5(Simulator):
    """The ventilator's side."""

    NAME: ClassVar[str] = "hamilton_g5"
    DESCRIPTION: ClassVar[str] = "Hamilton G5 / Galileo ventilator, block protocol, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {name: text for name, text in COMMON_FAULTS.items() if name != "bad_checksum"}
        | {"rerror": "RERROR instead of a value"}
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS) - {"bad_checksum"}
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "period_s": Option("1", "seconds between two changes of the measured values"),
            "number_letters": Option("2", "letters of the ventilator number (86): 2 or 1"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Values that left the device undamaged; errors do not count."""
        self.history: deque[Answer] = deque(maxlen=ANSWERS_KEPT)
        self.requests: Counter[int] = Counter()
        self.hasty = 0
        """Questions that came while the device was busy with the last one, and were not heard."""
        self._letters = int(self.choice("number_letters", ("1", "2")))
        self._period_s = self.seconds("period_s")
        self._patient = Patient(seed, 0.0, self._period_s, 0.0, False)
        self._heard = bytearray()
        self._is_lost = False
        self._reply: tuple[float, int] | None = None

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._patient = Patient(self.seed, now, self._period_s, 0.0, False)

    def _thaw(self, now: float) -> None:
        self._heard.clear()
        self._is_lost = True
        self._reply = None

    def _reboot(self, now: float) -> None:
        self._heard.clear()
        self._reply = None

    def _due(self) -> float | None:
        return self._reply[0] if self._reply else None

    def _tick(self, now: float) -> None:
        if self._reply is None:
            return
        identifier, self._reply = self._reply[1], None
        value = None if self._strikes("rerror") else self._value(identifier, now)
        if value is None:
            self._emit(ERROR, now)
            return
        head = bytes([STX]) if identifier == VENTILATOR_NUMBER else bytes([STX, identifier])
        if self._emit(head + value + END, now).good:
            self.sent += 1
            text = value.hex() if identifier in WAVEFORMS else value.decode("ascii")
            self.history.append(Answer(now, identifier, text))

    # -- the dialogue ----------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if not self._heard and byte != STX:
                if not self._is_lost:
                    self.illegal.append(bytes([byte]))
                continue
            self._is_lost = False
            self._heard.append(byte)
            if len(self._heard) == 4:
                request, self._heard = bytes(self._heard), bytearray()
                self._take(request, now)

    def _take(self, request: bytes, now: float) -> None:
        identifier = request[1]
        if request[2:] != END or identifier not in KNOWN or identifier in WAVEFORMS:
            # Waveforms are known but not allowed: their scale is not.
            self.illegal.append(request)
        if request[2:] != END:
            return
        if self._reply:
            self.hasty += 1
            return
        self.requests[identifier] += 1
        self._reply = (now + BUSY_S, identifier)

    def _value(self, identifier: int, now: float) -> bytes | None:
        """The bytes between the identifier and 03; None when it does not know."""
        if identifier in WAVEFORMS:
            return self._waveforms(identifier, now)
        if identifier == VENTILATOR_NUMBER:
            return b"AB1234"[2 - self._letters :]
        if identifier in SOFTWARE:
            return b"10210"
        if identifier in SETTINGS:
            return SETTINGS[identifier].encode("ascii")
        if identifier in WITHOUT_CONTENT:
            return b"    0"
        if identifier not in MEASURED:
            return None
        quantity, decimals = MEASURED[identifier]
        return f"{self._patient.quantities(now)[quantity]:5.{decimals}f}".encode("ascii")

    def _waveforms(self, identifier: int, now: float) -> bytes:
        """Status and four samples: pressure, flow, volume and CO2, or two pressures, flow and volume."""
        at = {code: self._patient.bin_of(code, now) or 0 for code in ("00", "01", "03")}
        pressure, flow, volume = (waveform_bytes(at[code] // 4 - 200) for code in ("00", "01", "03"))
        samples = (
            (pressure, flow, volume, waveform_bytes(0)) if identifier == 34 else (pressure, pressure, flow, volume)
        )
        return b"\x40" + b"".join(samples)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame  # there is none
