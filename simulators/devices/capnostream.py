"""An Oridion Capnostream 20 on its serial port: enabled by the box, then numerics a second and a CO2 wave on request.

    85 | length | code | payload | chk        length counts code and payload; chk is the XOR of length, code, payload

85 stands at the head only: behind it 85 is sent as 80 05 and 80 as 80 00.

    box     85 01 01 00     enable       ◀──  04 identity, then 01 numerics, one a second
            85 01 04 05     start        ◀──  00 CO2 wave
            85 01 06 07     link active
            85 01 05 04     stop, 85 01 02 03 disable

Commands 60 (alarm limits) and 61, 62 (patient) change the device: they are kept in `illegal` and not obeyed.

Stand-ins, for nobody has seen them: twenty CO2 samples a second, how long the device waits for a keep-alive, that it
names itself when it is enabled, the epoch of its time (1970), what the commands 3, 7, 8, 10, 11, 21 and 54 to 56
answer (nothing here), and byte 4 with the units kPa and Vol% (the number of mmHg here).
"""

from __future__ import annotations

import calendar
import math
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.pulse import EPISODE_LASTS_S
from simulators.devices.reporter import CLOCK_FAULT, CLOCK_OPTION, REPORTER_OPTIONS, Reporter
from simulators.devices.simulator import COMMON_FAULTS, NO_OPTIONS, Option

HEAD, ESCAPE = 0x85, 0x80
ENABLE, DISABLE, START, STOP, ALIVE, REVISION = 1, 2, 4, 5, 6, 9
ALLOWED = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 21, 54, 55, 56})
WAVE, NUMERICS, IDENTITY = 0, 1, 4
ABSENT = 255
COMMAND_LIMIT_BYTES = 300
ANSWER_AFTER_S, NUMERICS_S, WAVE_S = 0.02, 1.0, 0.05
BREATH_S, INSPIRATION_S = 4.0, 1.6
UNITS: Mapping[str, int] = MappingProxyType({"mmHg": 1, "kPa": 2, "Vol%": 3})
BOARDS = ("B3", "B5", "B2")
LIMITS = bytes([60, 15, 30, 5, 8, 100, 85, 140, 50])
"""Bytes 16 to 24: EtCO2 high and low, RR high and low, FiCO2 high, SpO2 high and low, PR high and low."""
TROUBLES: Mapping[str, int] = MappingProxyType(
    {
        "invalid": 0x01, "initialising": 0x03, "occlusion": 0x05, "sfm": 0x11, "purge": 0x21, "no_line": 0x41,
        "malfunction": 0x81, "no_breath": 0x00, "high_co2": 0x00, "fast_breath": 0x00,
    }
)  # fmt: skip
"""What happens to the CO2 → its bits of the fast status."""
SPO2_STATES: Mapping[str, int] = MappingProxyType(
    {
        "searching": 0x01, "desaturation": 0x04, "fast_pulse": 0x08, "slow_pulse": 0x10, "sensor_off": 0x20,
        "no_sensor": 0x40, "defective_sensor": 0x40,
    }
)  # fmt: skip
NAMES = ("EtCO2", "FiCO2", "RR", "SpO2", "PR")


def stuffed(body: bytes) -> bytes:
    """The bytes behind the head as they stand on the line."""
    return body.replace(b"\x80", b"\x80\x00").replace(b"\x85", b"\x80\x05")


def frame(code: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    body = bytes([len(payload) + 1, code]) + payload
    check = 0
    for byte in body:
        check ^= byte
    return bytes([HEAD]) + stuffed(body + bytes([check]))


def identity(version: str, date: str, serial: str) -> bytes:
    """The thirty characters of the identity; `date` is MM/dd/yyyy."""
    return f"V{version:<5} {date} {serial:<10}  ".encode("ascii")


class Capnostream(Reporter):
    """The monitor's side."""

    NAME: ClassVar[str] = "capnostream"
    DESCRIPTION: ClassVar[str] = "Oridion Capnostream 20 capnograph and oximeter, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**COMMON_FAULTS, **CLOCK_FAULT, "shifted": "numerics moved by one byte: SpO2 is the last RR"}
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS)
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **REPORTER_OPTIONS,
            **CLOCK_OPTION,
            "co2": Option("auto", f"auto, steady, or the trouble that lasts: {' | '.join(TROUBLES)}"),
            "unit": Option("mmHg", "mmHg | kPa | Vol%: the unit of CO2"),
            "board": Option("B3", "SpO2 board: B3 and B5 Masimo | B2 Nellcor"),
            "neonatal": Option("no", "yes: the patient type is neonatal"),
            "alive_s": Option("30", "seconds without `link active` after which the device falls silent; 0 = never"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.commands: Counter[int] = Counter()
        """How often each command was heard."""
        self.is_enabled = False
        self.lapses = 0
        """How often the device fell silent because the box did not say that the link is active."""
        self._co2 = self.choice("co2", ("auto", "steady", *TROUBLES))
        self._unit = UNITS[self.choice("unit", tuple(UNITS))]
        self._board = self.choice("board", BOARDS)
        self._is_neonatal = self.choice("neonatal", ("yes", "no")) == "yes"
        self._alive_s = self.seconds("alive_s")
        self._heard: bytearray | None = None
        self._is_lost = False
        self._alive_at = 0.0
        self._message = 0
        self._last_rate = ABSENT

    def _power_up(self, now: float) -> None:
        self._heard = None
        self.is_enabled = False

    def _thaw(self, now: float) -> None:
        self._heard = None
        self._is_lost = True
        self._alive_at = now
        super()._thaw(now)

    # -- the box ---------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if byte == HEAD:
                if self._heard is not None:
                    self.illegal.append(bytes(self._heard))
                self._heard = bytearray([byte])
                self._is_lost = False
            elif self._heard is None:
                if not self._is_lost:
                    self.illegal.append(bytes([byte]))
            else:
                self._heard.append(byte)
                self._take(now)

    def _take(self, now: float) -> None:
        """Obey what was heard when it is whole."""
        raw = bytes(self._heard or b"")
        if raw[-1] == ESCAPE:
            return
        body = raw[1:].replace(b"\x80\x05", b"\x85").replace(b"\x80\x00", b"\x80")
        if len(body) < body[0] + 2 and len(raw) < COMMAND_LIMIT_BYTES:
            return
        self._heard = None
        check = 0
        for byte in body:
            check ^= byte
        if check or body[0] < 1 or body[1] not in ALLOWED:
            self.illegal.append(raw)
            return
        self.commands[body[1]] += 1
        self._obey(body[1], now)

    def _obey(self, code: int, now: float) -> None:
        self._alive_at = now
        if code == ENABLE:
            self.is_enabled = True
            self._identify(now)
            if "numerics" not in self._turns:
                self._repeat("numerics", NUMERICS_S, now + NUMERICS_S)
        elif code == DISABLE:
            self._fall_silent()
        elif code == START and self.is_enabled and "wave" not in self._turns:
            self._repeat("wave", WAVE_S, now + WAVE_S)
        elif code == STOP:
            self._cease("wave")
        elif code == REVISION and self.is_enabled:
            self._identify(now)

    def _identify(self, now: float) -> None:
        serial = f"{self._board}55{987654 + self.seed % 1000:06d}"
        self._say(frame(IDENTITY, identity("45.67", "02/24/2008", serial)), now + ANSWER_AFTER_S)

    def _fall_silent(self) -> None:
        self.is_enabled = False
        self._turns.clear()

    # -- what the monitor says -------------------------------------------------------------------------------------

    def _turn(self, name: str, now: float) -> None:
        if self._alive_s and now > self._alive_at + self._alive_s:
            self.lapses += 1
            self._fall_silent()
        elif name == "wave":
            self._say_wave(now)
        else:
            self._say_numerics(now)

    def _trouble(self, now: float) -> tuple[str, float]:
        """What happens to the CO2 and for how long already; half a period away from what happens to the oximeter."""
        t = now - (self._started_at or 0.0)
        if self._co2 != "auto":
            return self._co2, t
        if self._episode_every_s <= 0:
            return "steady", 0.0
        number, since_s = divmod(t + self._episode_every_s / 2, self._episode_every_s)
        if number < 1 or since_s >= EPISODE_LASTS_S:
            return "steady", 0.0
        return tuple(TROUBLES)[(int(number) - 1 + self.seed) % len(TROUBLES)], since_s

    def _say_wave(self, now: float) -> None:
        trouble, _ = self._trouble(now)
        t = (now - (self._started_at or 0.0)) % BREATH_S
        is_rising = t >= INSPIRATION_S
        level = 38 * (1 - math.exp(-(t - INSPIRATION_S) / 0.25)) if is_rising else 38 * math.exp(-t / 0.1)
        status = TROUBLES.get(trouble, 0)
        if status or trouble == "no_breath":
            level = 0.0
        elif t < WAVE_S:
            status |= 0x08
        number = round(level * 256)
        values = {"message": str(self._message), "CO2": f"{number / 256:.4f}", "fast_status": f"{status:02X}"}
        payload = bytes([self._message, number >> 8, number & 0xFF, status])
        self._message = (self._message + 1) % 256
        self._say(frame(WAVE, payload), now, "wave", values)

    def _say_numerics(self, now: float) -> None:
        measured, co2_alarms, no_breath_s = self._breathing(now)
        pulse = self._patient.at(now)
        spo2_alarms = SPO2_STATES.get(pulse.episode, 0)
        measured += [pulse.saturation, min(pulse.rate, 250)] if pulse.has_signal else [ABSENT, ABSENT]
        slow = (0x01 if self._is_neonatal else 0) | (0x08 if co2_alarms & 0x01 else 0)
        slow |= (0x10 if spo2_alarms or co2_alarms & ~0x01 else 0) | (0 if self._board == "B2" else 0x80)
        seconds = calendar.timegm(self._clock(now).timetuple())
        payload = seconds.to_bytes(4, "big") + bytes(measured) + bytes([slow, 0, 0, 0, co2_alarms, spo2_alarms])
        payload += bytes([no_breath_s]) + LIMITS + bytes([self._unit, 0])
        values = {name: str(value) for name, value in zip(NAMES, measured, strict=True)} | {
            "time": str(seconds),
            "slow_status": f"{slow:02X}",
            "co2_alarms": f"{co2_alarms:02X}",
            "spo2_alarms": f"{spo2_alarms:02X}",
            "no_breath_s": str(no_breath_s),
        }
        last_rate, self._last_rate = self._last_rate, measured[2]
        if self._strikes("shifted"):
            self._line.put(frame(NUMERICS, payload[:7] + bytes([last_rate]) + payload[7:-1]), now)
        else:
            self._say(frame(NUMERICS, payload), now, "numerics", values)

    def _breathing(self, now: float) -> tuple[list[int], int, int]:
        """EtCO2, FiCO2 and RR, the CO2 alarms, the seconds without a breath."""
        trouble, since_s = self._trouble(now)
        wave = math.sin((now - (self._started_at or 0.0)) / 41)
        end_tidal, rate = 38 + round(2 * wave), 15 + round(wave)
        match trouble:
            case "steady":
                return [end_tidal, 0, rate], 0, 0
            case "high_co2":
                return [end_tidal + 30, 9, rate], 0x22, 0
            case "fast_breath":
                return [end_tidal, 0, rate + 20], 0x08, 0
            case "no_breath":
                return [ABSENT] * 3, 0x01, min(254, int(since_s))
        return [ABSENT] * 3, 0, 0

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        body = frame[1:].replace(b"\x80\x05", b"\x85").replace(b"\x80\x00", b"\x80")
        return frame[:1] + stuffed(body[:-1] + bytes([body[-1] ^ 0x01]))
