"""A Contec CMS50 pulse oximeter, in the older format or in the one of protocol V7.0.

    old     1·beep·drop·long·strength | pleth | PR7·search·probe·bar | PR 6..0 | SpO2      60 a second, unasked
    new     01 | carrier | strength, finger out | pleth, searching | bar | PR | SpO2 | PI lsb | PI msb

In the old format only the first byte has bit 7. In the new one only the first byte has not: bit n of the carrier is
bit 7 of byte n + 2. The new format is asked for, with nine bytes, and ends thirty seconds after the last request or
keep-alive:

    box     7D 81 A1 80 80 80 80 80 80      start           AF keep-alive, A2 stop

V7.0: what bytes 2 to 8 carry is seen in two open drivers and one capture, not in a document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.pulse import Pulse
from simulators.devices.reporter import REPORTER_OPTIONS, Reporter
from simulators.devices.simulator import NO_OPTIONS, Option

FRAME_S = 1 / 60
COMMAND_HEAD, COMMAND_TAIL, COMMAND_BYTES = b"\x7d\x81", b"\x80" * 6, 9
START, KEEP_ALIVE, STOP = 0xA1, 0xAF, 0xA2
STREAM_LASTS_S = 30.0
PACKET_TYPE = 0x01
NO_RATE, NO_SATURATION = 0xFF, 0x7F
"""Of the new format; the old one says 0 for both."""
NO_PERFUSION = 0xFFFF
PI_INVALID = 0x10
LONG_SEARCH_S = 10.0


def old_frame(flags: int, pleth: int, bar_flags: int, rate: int, spo2: int) -> bytes:
    """Five bytes; `flags` are bits 0 to 6 of the first, `bar_flags` bits 0 to 5 of the third; `rate` has 8 bits."""
    return bytes([0x80 | flags, pleth & 0x7F, bar_flags | (rate & 0x80) >> 1, rate & 0x7F, spo2 & 0x7F])


def new_frame(fields: bytes) -> bytes:
    """Nine bytes with the seven `fields` packed: their high bits ride in the second byte."""
    carrier = sum((byte >> 7) << index for index, byte in enumerate(fields))
    return bytes([PACKET_TYPE, 0x80 | carrier]) + bytes(byte | 0x80 for byte in fields)


class ContecCms50(Reporter):
    """The oximeter's side."""

    NAME: ClassVar[str] = "contec_cms50"
    DESCRIPTION: ClassVar[str] = "Contec CMS50 pulse oximeters, old format or protocol V7.0, serial"
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **REPORTER_OPTIONS,
            "format": Option("old", "old | new"),
            "sentinel": Option("usual", "usual | zero | 127: what stands where nothing is measured"),
            "lasts_s": Option("30", "new: seconds that the stream lasts after a start or keep-alive; 0 = for ever"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.commands: Counter[str] = Counter()
        """How often each command was heard: A1, AF, A2."""
        self.is_streaming = False
        self._is_new = self.choice("format", ("old", "new")) == "new"
        self._sentinel = self.choice("sentinel", ("usual", "zero", "127"))
        self._lasts_s = self.seconds("lasts_s")
        self._heard = bytearray()
        self._is_lost = False
        self._ends_at = 0.0

    def _power_up(self, now: float) -> None:
        self._heard.clear()
        self.is_streaming = False
        if not self._is_new:
            self._repeat("frame", FRAME_S, now + FRAME_S)

    def _thaw(self, now: float) -> None:
        self._heard.clear()
        self._is_lost = True
        super()._thaw(now)

    # -- the box ---------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        if not self._is_new:
            self.illegal.append(data)
            return
        for byte in data:
            if byte == COMMAND_HEAD[0]:
                if self._heard:
                    self.illegal.append(bytes(self._heard))
                self._heard = bytearray([byte])
                self._is_lost = False
            elif self._heard:
                self._heard.append(byte)
                if len(self._heard) == COMMAND_BYTES:
                    command, self._heard = bytes(self._heard), bytearray()
                    self._obey(command, now)
            elif not self._is_lost:
                self.illegal.append(bytes([byte]))

    def _obey(self, command: bytes, now: float) -> None:
        is_whole = command.startswith(COMMAND_HEAD) and command.endswith(COMMAND_TAIL)
        if not is_whole or command[2] not in (START, KEEP_ALIVE, STOP):
            # Among the others are those that delete what is stored.
            self.illegal.append(command)
            return
        self.commands[f"{command[2]:02X}"] += 1
        self._ends_at = now + self._lasts_s
        if command[2] == STOP:
            self.is_streaming = False
            self._cease("frame")
        elif command[2] == START and not self.is_streaming:
            self.is_streaming = True
            self._repeat("frame", FRAME_S, now + FRAME_S)

    # -- the frames ------------------------------------------------------------------------------------------------

    def _turn(self, name: str, now: float) -> None:
        if self._is_new and self._lasts_s and now >= self._ends_at:
            self.is_streaming = False
            self._cease("frame")
            return
        pulse = self._patient.at(now)
        spo2, rate = self._numbers(pulse)
        curve = self._patient.curve(now)
        values = {"PR": str(rate), "SPO2": str(spo2), "state": pulse.episode}
        self._say(self._frame(pulse, curve, spo2, rate), now, "new" if self._is_new else "old", values)

    def _numbers(self, pulse: Pulse) -> tuple[int, int]:
        """SpO2 and pulse rate as they are sent."""
        if pulse.has_signal:
            return pulse.saturation, min(pulse.rate, 250)
        if self._sentinel == "usual":
            return (NO_SATURATION, NO_RATE) if self._is_new else (0, 0)
        return (0, 0) if self._sentinel == "zero" else (127, 255)

    def _frame(self, pulse: Pulse, curve: float, spo2: int, rate: int) -> bytes:
        strength = 0 if not pulse.has_signal else 1 if pulse.episode == "low_perfusion" else 5
        beep = 0x40 if curve > 0.95 else 0
        is_out = pulse.episode in ("sensor_off", "no_sensor")
        is_searching = pulse.episode in ("searching", "out_of_track")
        is_long = is_searching and pulse.since_s > LONG_SEARCH_S
        bar, pleth = round(curve * 15), round(curve * 100)
        if self._is_new:
            first = strength | beep | (0x10 if is_long else 0) | (0x80 if is_out else 0)
            second = pleth | (0x80 if is_searching else 0)
            perfusion = NO_PERFUSION.to_bytes(2, "little")
            return new_frame(bytes([first, second, bar | PI_INVALID, rate, spo2]) + perfusion)
        first = strength | beep | (0x10 if is_long or is_out else 0)
        first |= 0x20 if pulse.episode == "desaturation" else 0
        third = bar | (0x10 if pulse.episode == "defective_sensor" else 0) | (0x20 if is_searching else 0)
        return old_frame(first, pleth, third, rate, spo2)
