"""A Respironics V60 on its serial port, answering VRPT and SNDA: one report for each question.

    box     VRPT CR                     SNDA CR
    device  NAME,nnn,mm ,<STX>…<ETX><CR>

`nnn` counts the bytes between STX and ETX, `mm` the fields. Fields are separated by commas, six characters wide and
left-justified; six blanks stand for no value. VRPT has one more comma behind STX, SNDA has none. There is no
checksum. Only the fields of the known lists are filled; the sum of the widths is smaller than the size of the report
(706 and 988 bytes), and the place of the rest was not seen: here field 2 is that much wider.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices.breathing import INSPIRATION_S, Patient
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

STX, ETX, CR = b"\x02", b"\x03", 0x0D
FIELD_CHARS = 6
COMMAND_LIMIT_BYTES = 64
REPORTS_KEPT = 10_000
ALARM_LASTS_S = 15.0


class Layout(NamedTuple):
    """The shape of one report."""

    name: str
    size_bytes: int
    fields: int
    has_leading_comma: bool
    alarms: tuple[int, ...]


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "SNDA": Layout("MISCA", 706, 97, False, (44, 45, 47, 48, 49, 50, 52, 91)),
        # What stands before the first comma of this report was not seen: the command's own name.
        "VRPT": Layout(
            "VRPT", 988, 133, True,
            (102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 113, 115, 118, 119, 121, 123, 125, 126, 127),
        ),
    }
)  # fmt: skip
MODE = "S/T"
"""Shown as the mode; the texts of the modes are not in the document's pages."""


class Report(NamedTuple):
    """An undamaged report that went out."""

    at: float
    command: str
    values: Mapping[int, str]
    """Number of the field (the first data field is 1) → its text without padding; blank fields are absent."""


def report(layout: Layout, values: Mapping[int, str]) -> bytes:
    """A whole report."""
    widths = {number: FIELD_CHARS for number in range(1, layout.fields + 1)}
    widths[2] += layout.size_bytes - layout.has_leading_comma - sum(widths.values()) - layout.fields
    body = "," * layout.has_leading_comma
    body += "".join(f"{values.get(number, ''):{width}}," for number, width in widths.items())
    head = f"{layout.name},{len(body)},{layout.fields:<3d},"
    return head.encode("ascii") + STX + body.encode("ascii") + ETX + bytes([CR])


class RespironicsV60(Simulator):
    """The ventilator's side."""

    NAME: ClassVar[str] = "respironics_v60"
    DESCRIPTION: ClassVar[str] = "Respironics V60 ventilator, VRPT and SNDA reports, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {name: text for name, text in COMMON_FAULTS.items() if name != "bad_checksum"}
        | {
            "wrong_count": "a report whose declared size does not fit",
            "short_field": "a report with one field a character short",
        }
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS) - {"bad_checksum"}
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "period_s": Option("1", "seconds between two changes of the measured values"),
            "alarm_every_s": Option("60", "an alarm of 15 seconds starts this often; 0 = none"),
            "standby": Option("no", "yes: the ventilator is in standby"),
            "started": Option("20260101080000", "what its clock shows when it is switched on"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Reports that left the device undamaged."""
        self.history: deque[Report] = deque(maxlen=REPORTS_KEPT)
        self.commands: Counter[str] = Counter()
        self.cancelled = 0
        """Questions that were overtaken by the next one."""
        self._period_s = self.seconds("period_s")
        self._alarm_every_s = self.seconds("alarm_every_s")
        self._is_standby = self.choice("standby", ("yes", "no")) == "yes"
        try:
            self._clock = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock
        except ValueError:
            raise ValueError(f"{self.NAME}: option started = {self.options['started']!r} is not a time") from None
        self._born_at = 0.0
        self._patient = Patient(seed, 0.0, self._period_s, 0.0, self._is_standby)
        self._heard = bytearray()
        self._is_lost = False
        self._reply: tuple[float, str] | None = None

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._born_at = now
        self._patient = Patient(self.seed, now, self._period_s, 0.0, self._is_standby)

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
        command, self._reply = self._reply[1], None
        layout = LAYOUTS[command]
        values = self._values(command, now)
        whole = report(layout, values)
        if self._strikes("wrong_count"):
            self._line.put(whole.replace(b",%d," % layout.size_bytes, b",%d," % (layout.size_bytes + 1), 1), now)
        elif self._strikes("short_field"):
            blank = whole.rindex(b" ,")
            self._line.put(whole[:blank] + whole[blank + 1 :], now)
        elif self._emit(whole, now).good:
            self.sent += 1
            self.history.append(Report(now, command, MappingProxyType(values)))

    # -- the dialogue ----------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if byte != CR:
                self._heard.append(byte)
                if len(self._heard) > COMMAND_LIMIT_BYTES:
                    self.illegal.append(bytes(self._heard))
                    self._heard.clear()
                continue
            command, self._heard = bytes(self._heard), bytearray()
            was_lost, self._is_lost = self._is_lost, False
            if command in (b"VRPT", b"SNDA"):
                self._obey(command.decode("ascii"), now)
            elif not was_lost:
                # The layout of the error record is in a table that was not seen: it stays silent.
                self.illegal.append(command)

    def _obey(self, command: str, now: float) -> None:
        self.commands[command] += 1
        self.cancelled += self._reply is not None
        self._reply = (now + self._rng.uniform(0.05, 0.2), command)

    # -- the values ------------------------------------------------------------------------------------------------

    def _values(self, command: str, now: float) -> dict[int, str]:
        """The fields of a report that are not blank."""
        clock = self._clock + timedelta(seconds=int(now - self._born_at))
        quantities = self._patient.quantities(now)
        if command == "SNDA":
            values = {1: f"{clock:%H:%M}", 5: MODE, 6: "12", 9: "40", 11: "5", 22: "10", 81: "15", 82: "1.30"}
            if quantities:
                values |= {
                    30: f"{quantities['rate']:.0f}",
                    31: f"{quantities['tidal_volume_l']:.3f}",
                    32: f"{quantities['minute_volume']:.1f}",
                    34: f"{quantities['peak']:.0f}",
                }
        else:
            values = {1: f"{clock:%H:%M}", 53: MODE, 55: "12", 56: "5", 57: "15", 64: "40"}
            if quantities:
                values |= {
                    73: f"{quantities['peak']:.0f}",
                    77: f"{quantities['tidal_volume_l']:.3f}",
                    79: f"{quantities['minute_volume']:.1f}",
                    81: f"{quantities['rate']:.0f}",
                    85: f"{min(100.0, quantities['spontaneous'] * 10):.0f}",
                    87: f"{min(1.0, INSPIRATION_S * quantities['rate'] / 60):.2f}",
                }
        return values | self._alarms(LAYOUTS[command].alarms, now)

    def _alarms(self, fields: tuple[int, ...], now: float) -> dict[int, str]:
        """NORMAL, ALARM for 15 seconds, RESET for the 15 after."""
        states = dict.fromkeys(fields, "NORMAL")
        if self._alarm_every_s > 0:
            episode, since = divmod(now - self._born_at, self._alarm_every_s)
            if episode >= 1 and since < 2 * ALARM_LASTS_S:
                dice = Random(self.seed * 1_000_003 + int(episode))  # noqa: S311
                states[dice.choice(fields)] = "ALARM" if since < ALARM_LASTS_S else "RESET"
        return states

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame  # there is none
