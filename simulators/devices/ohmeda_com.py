"""A Datex-Ohmeda 7900 or 7100 ventilator (Aestiva, Aespire) on its serial port, speaking Ohmeda Com 1.0.

    box     1B VTDw 0D      no checksum behind the lines      ◀── a line
    box     1B VTX␣ 0D      transmit without being asked      ◀── a line
    device  :VTD…           measured values, with each breath
            :VTQ…           settings

Seen in one open driver only. How the checksum is computed is not known, so nothing is transmitted before it is
switched off. The two answers are lines of unknown content: here the words of the command. Columns of `:VTQ` that are
not known are filled with zeros and blanks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

from simulators.devices.breathing import BREATH_S, Patient
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

ESC, CR = 0x1B, 0x0D
COMMAND_LIMIT_BYTES = 64
ANSWER_AFTER_S = 0.05
LINES_KEPT = 10_000
NEW_BREATH = "@"
MISSING_RATE = 0.02
MODES = {"volume": "v", "pressure": "p", "backup": "b", "bag": "-"}
MEASURED_COLUMNS = {
    "volume": (4, 8), "minute_volume": (8, 12), "rate": (12, 15), "oxygen": (15, 18), "peak": (18, 21),
    "plateau_pressure": (21, 24), "mean_pressure": (24, 27), "minimum_pressure": (27, 30),
}  # fmt: skip
"""Quantity → its columns, counted from the colon; column 30 is the status."""
SETTING_COLUMNS = {"volume": (4, 8), "rate": (8, 11), "ratio": (11, 15), "peep": (17, 19), "pressure": (22, 24)}
SETTINGS = {"volume": "0480", "rate": "012", "ratio": "0020", "peep": "05", "pressure": "15"}
MEASURED_CHARS, SETTING_CHARS, MODE_COLUMN = 31, 57, 44


class Sent(NamedTuple):
    """An undamaged line that went out."""

    at: float
    kind: Literal["VTD", "VTQ"]
    values: Mapping[str, str]
    """Name of the columns → their characters."""


def columns(length: int, head: str, texts: Mapping[str, str], places: Mapping[str, tuple[int, int]]) -> str:
    """A line of `length` characters with each text in its columns, blanks elsewhere."""
    line = list(head.ljust(length))
    for name, text in texts.items():
        start, end = places[name]
        line[start:end] = text[: end - start].rjust(end - start)
    return "".join(line)


class OhmedaCom(Simulator):
    """The ventilator's side."""

    NAME: ClassVar[str] = "ohmeda_com"
    DESCRIPTION: ClassVar[str] = "Datex-Ohmeda 7900 / 7100 (Aestiva, Aespire), Ohmeda Com 1.0, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {name: text for name, text in COMMON_FAULTS.items() if name != "bad_checksum"}
        | {"short_line": "a line with a character missing"}
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS) - {"bad_checksum"}
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "period_s": Option("1", "seconds between two changes of the measured values"),
            "settings_every_s": Option("10", "seconds between two lines of settings; how often is not known"),
            "mode": Option("volume", "volume | pressure | backup | bag"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Lines of values that left the device undamaged."""
        self.history: deque[Sent] = deque(maxlen=LINES_KEPT)
        self.commands: Counter[str] = Counter()
        self.has_checksum = True
        self.is_transmitting = False
        self._mode = MODES[self.choice("mode", tuple(MODES))]
        self._period_s = self.seconds("period_s")
        self._settings_every_s = max(0.1, self.seconds("settings_every_s"))
        self._patient = Patient(seed, 0.0, self._period_s, 0.0, False)
        self._heard = bytearray()
        self._is_lost = False
        self._answers: deque[tuple[float, str]] = deque(maxlen=8)
        self._breath_at = self._settings_at = 0.0

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._patient = Patient(self.seed, now, self._period_s, 0.0, False)

    def _thaw(self, now: float) -> None:
        self._heard.clear()
        self._is_lost = True
        self._answers.clear()
        self._breath_at = self._settings_at = now

    def _reboot(self, now: float) -> None:
        self._heard.clear()
        self._answers.clear()
        self.has_checksum, self.is_transmitting = True, False

    def _due(self) -> float | None:
        moments = [self._answers[0][0]] if self._answers else []
        if self.is_transmitting and not self.has_checksum:
            moments += [self._breath_at, self._settings_at]
        return min(moments, default=None)

    def _tick(self, now: float) -> None:
        if self._answers and self._answers[0][0] <= now:
            self._emit(self._answers.popleft()[1].encode("ascii") + b"\r", now)
        elif self._breath_at <= self._settings_at:
            self._breath_at += BREATH_S
            texts = self._measured(now)
            line = columns(MEASURED_CHARS - 1, ":VTD", texts, MEASURED_COLUMNS) + NEW_BREATH
            self._transmit(line, Sent(now, "VTD", MappingProxyType(texts)), now)
        else:
            self._settings_at += self._settings_every_s
            line = columns(SETTING_CHARS, ":VTQ", SETTINGS, SETTING_COLUMNS)
            line = line[:MODE_COLUMN] + self._mode + NEW_BREATH * (SETTING_CHARS - MODE_COLUMN - 1)
            values = MappingProxyType(SETTINGS | {"mode": self._mode})
            self._transmit(line, Sent(now, "VTQ", values), now)

    def _transmit(self, line: str, sent: Sent, now: float) -> None:
        data = line.encode("ascii") + b"\r"
        if self._strikes("short_line"):
            self._line.put(data[:10] + data[11:], now)
        elif self._emit(data, now).good:
            self.sent += 1
            self.history.append(sent)

    # -- the dialogue ----------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if byte == ESC:
                if self._heard:
                    self.illegal.append(bytes(self._heard))
                self._is_lost = False
                self._heard = bytearray([byte])
            elif not self._heard:
                if not self._is_lost:
                    self.illegal.append(bytes([byte]))
            elif byte == CR:
                command, self._heard = bytes(self._heard), bytearray()
                self._obey(command, now)
            else:
                self._heard.append(byte)
                if len(self._heard) > COMMAND_LIMIT_BYTES:
                    self.illegal.append(bytes(self._heard))
                    self._heard.clear()

    def _obey(self, command: bytes, now: float) -> None:
        if command not in (b"\x1bVTDw", b"\x1bVTX "):
            self.illegal.append(command)
            return
        text = command[1:].decode("ascii")
        self.commands[text] += 1
        was_silent = self.has_checksum or not self.is_transmitting
        if text == "VTDw":
            self.has_checksum = False
        else:
            self.is_transmitting = True
        if was_silent:
            self._breath_at = self._settings_at = now + 2 * ANSWER_AFTER_S
        self._answers.append((now + ANSWER_AFTER_S, text))

    def _measured(self, now: float) -> dict[str, str]:
        """The measured columns; now and then one of them is not a number."""
        quantities = self._patient.quantities(now)
        quantities["minute_volume"] *= 100
        texts = {}
        for name, (start, end) in MEASURED_COLUMNS.items():
            is_missing = self._rng.random() < MISSING_RATE
            texts[name] = "-" * (end - start) if is_missing else f"{max(0, round(quantities[name])):0{end - start}d}"
        return texts

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame  # switched off
