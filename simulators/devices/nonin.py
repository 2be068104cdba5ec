"""Nonin oximeters: a line of text a second, or one of four binary formats; nothing is said to them.

    ascii   SPO2=XXX HR=YYY ⏎                                  a second    8500, 8600, 2500, 7500FO, 9600, 4100, 9847
    df2     01 | STATUS | PLETH | FLOAT | CHK                  75 a second, FLOAT turns over 25 frames
    df7     STATUS | PLETH msb lsb | FLOAT | CHK               the same with a pleth of 16 bits
    df8     1x·HR8·HR7 | HR6..0 | SpO2 | flags                 a second, only the first byte has bit 7
    df13    00 02 00 0D | length | date, STATUS, PR, SpO2 | CHK | 03       a record for each spot measurement

CHK is the sum of the bytes before it (df13: of the data) modulo 256. Missing: 511 for a rate, 127 for a saturation.
For ten seconds after the finger is gone the fields "-D" still carry what the display holds.

Stand-ins, for the document is silent: the rate and the FLOAT table of DF7 (those of DF2), the words of the ASCII
header, SREV, the timer (a count of packets), when the display of DF13 is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices.pulse import Pulse
from simulators.devices.reporter import CLOCK_FAULT, CLOCK_OPTION, REPORTER_OPTIONS, Reporter, Sent
from simulators.devices.simulator import COMMON_FAULTS, NO_OPTIONS, Option

FORMATS = ("ascii", "df2", "df7", "df8", "df13")
FORMAT_CODES: Mapping[int, str] = MappingProxyType({0x02: "df2", 0x07: "df7", 0x08: "df8", 0x0D: "df13"})
ACK, NAK, ETX = b"\x06", b"\x15", 0x03
COMMANDS_FOR_S = 5.0
"""A command is acknowledged in the first seconds after power-up only."""
SET_FORMAT = bytes.fromhex("02 70 02 02")
FRAMES_A_SECOND, FRAMES_A_PACKET = 75, 25
NO_RATE, NO_SATURATION = 511, 127
HELD_S = 10.0
"""How long the display holds its values after the finger is gone."""
SYNC, GREEN, RED, SENSOR_ALARM, OUT_OF_TRACK, ARTEFACT, ALWAYS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x80
FINGER_GONE = frozenset({"sensor_off", "no_sensor", "defective_sensor"})
SOFTWARE_REVISION = 0x21


class Reading(NamedTuple):
    """What the oximeter measures and what its display holds; None = missing."""

    spo2: int | None
    rate: int | None
    shown_spo2: int | None
    shown_rate: int | None
    episode: str

    @property
    def is_sensor_alarm(self) -> bool:
        """The finger or the sensor is gone."""
        return self.episode in FINGER_GONE


def _septets(value: int | None) -> tuple[int, int]:
    """A rate of nine bits as msb and lsb of seven bits."""
    number = NO_RATE if value is None else value
    return number >> 7, number & 0x7F


def _saturation(value: int | None) -> int:
    return NO_SATURATION if value is None else value


def status_of(reading: Reading) -> int:
    """The STATUS byte of DF2 and DF7, without its SYNC."""
    status = ALWAYS
    if reading.is_sensor_alarm:
        return status | SENSOR_ALARM | OUT_OF_TRACK
    match reading.episode:
        case "searching" | "out_of_track":
            return status | OUT_OF_TRACK
        case "low_perfusion":
            return status | RED
        case "interference":
            return status | GREEN | RED | ARTEFACT
    return status | GREEN


def floats(reading: Reading, packets: int) -> list[int]:
    """The 25 FLOAT bytes of a packet."""
    rate, spo2 = _septets(reading.rate), _saturation(reading.spo2)
    shown_rate, shown_spo2 = _septets(reading.shown_rate), _saturation(reading.shown_spo2)
    smart_point = reading.rate is not None and reading.episode not in (
        "interference",
        "low_perfusion",
        "out_of_track",
    )
    flags = (0x20 if smart_point else 0) | (reading.episode == "low_battery")
    return [
        *rate, spo2, SOFTWARE_REVISION, 0, packets >> 7 & 0x7F, packets & 0x7F, flags, shown_spo2, spo2, spo2, 0, 0,
        *rate, spo2, shown_spo2, 0, 0, *shown_rate, *shown_rate, 0, 0,
    ]  # fmt: skip


def df2_frame(status: int, pleth: int, value: int) -> bytes:
    """A frame of DF2; `pleth` has eight bits."""
    body = bytes([0x01, status, pleth, value])
    return body + bytes([sum(body) % 256])


def df7_frame(status: int, pleth: int, value: int) -> bytes:
    """A frame of DF7; `pleth` has sixteen bits."""
    body = bytes([status, pleth >> 8, pleth & 0xFF, value])
    return body + bytes([sum(body) % 256])


def df8_packet(spo2: int | None, rate: int | None, flags: int, marks: int = 0) -> bytes:
    """A packet of DF8; `flags` are those of the fourth byte, `marks` those of the first."""
    msb, lsb = _septets(rate)
    return bytes([0x80 | marks | msb, lsb, _saturation(spo2), flags])


def df13_record(time: datetime, spo2: int | None, rate: int | None, status: int, more: int = 0) -> bytes:
    """A record of DF13; `more` zero bytes of a later firmware stand behind SpO2."""
    digits = f"{time:%Y%m%d%H%M%S}"
    number = NO_RATE if rate is None else rate
    data = bytes.fromhex(digits) + bytes(
        [0, status >> 8, status & 0xFF, number >> 8, number & 0xFF, 0, _saturation(spo2)] + [0] * more
    )
    return b"\x00\x02\x00\x0d" + len(data).to_bytes(2, "big") + data + bytes([sum(data) % 256, ETX])


class Nonin(Reporter):
    """The oximeter's side."""

    NAME: ClassVar[str] = "nonin"
    DESCRIPTION: ClassVar[str] = "Nonin oximeters, ASCII lines or data formats 2, 7, 8, 13, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType({**COMMON_FAULTS, **CLOCK_FAULT})
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS)
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **REPORTER_OPTIONS,
            **CLOCK_OPTION,
            "format": Option("ascii", " | ".join(FORMATS)),
            "prefix": Option("no", "ascii: yes = the time before each line"),
            "mark": Option("", "ascii: F (fast averaging) | * (event) | B (breath, 9847) behind each line"),
            "spot_every_s": Option("30", "df13: seconds between two spot measurements"),
            "from_memory": Option("no", "df13: yes = the records come from memory"),
            "later_bytes": Option("0", "df13: bytes of a later firmware behind SpO2, 0 to 200"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.format = self.choice("format", FORMATS)
        """The data format; what the box sets here stays in the device for good."""
        self._has_prefix = self.choice("prefix", ("yes", "no")) == "yes"
        self._mark = {"": "", "F": " F", "*": "*", "B": "B"}[self.choice("mark", ("", "F", "*", "B"))]
        self._is_memory = self.choice("from_memory", ("yes", "no")) == "yes"
        self._more = int(self.seconds("later_bytes"))
        if self._more > 200:
            raise ValueError(f"{self.NAME}: option later_bytes = {self._more}; expected 0 to 200")
        self._spot_every_s = self.seconds("spot_every_s")
        self._powered_at = 0.0
        self._index = self._packets = 0
        self._is_whole = False
        self._reading = Reading(None, None, None, None, "")

    # -- the clock -------------------------------------------------------------------------------------------------

    def _power_up(self, now: float) -> None:
        self._powered_at = now
        self._index = self._packets = 0
        if self.format == "ascii":
            self._say(f"NONIN OXIMETER {self._clock(now):%m/%d/%y}\r\n".encode("ascii"), now)
        self._set_pace(now)

    def _set_pace(self, now: float) -> None:
        period_s = {"df2": 1 / FRAMES_A_SECOND, "df7": 1 / FRAMES_A_SECOND, "df13": max(1.0, self._spot_every_s)}
        pace_s = period_s.get(self.format, 1.0)
        self._repeat("frame", pace_s, now + pace_s)

    def _turn(self, name: str, now: float) -> None:
        if self.format in ("df2", "df7"):
            self._say_part(now)
            return
        reading = self._read(now)
        match self.format:
            case "ascii":
                self._say_line(reading, now)
            case "df8":
                self._say_df8(reading, now)
            case _:
                self._say_spot(reading, now)

    def _read(self, now: float) -> Reading:
        pulse = self._patient.at(now)
        if pulse.has_signal:
            return Reading(pulse.saturation, pulse.rate, pulse.saturation, pulse.rate, pulse.episode)
        if pulse.episode in FINGER_GONE and pulse.since_s < HELD_S:
            held: Pulse = self._patient.at(now - pulse.since_s - 1)
            return Reading(None, None, held.saturation, held.rate, pulse.episode)
        return Reading(None, None, None, None, pulse.episode)

    # -- the formats -----------------------------------------------------------------------------------------------

    def _say_line(self, reading: Reading, now: float) -> None:
        values = {
            "SPO2": "---" if reading.spo2 is None else f"{reading.spo2:03d}",
            "HR": "---" if reading.rate is None else f"{reading.rate:03d}",
        }
        prefix = f"{self._clock(now):%H:%M:%S} " if self._has_prefix else ""
        text = f"{prefix}SPO2={values['SPO2']} HR={values['HR']}{self._mark}\r\n"
        self._say(text.encode("ascii"), now, "ascii", values)

    def _say_part(self, now: float) -> None:
        """One frame of a packet of 25."""
        if self._index == 0:
            self._reading, self._is_whole = self._read(now), True
        status = status_of(self._reading) | (SYNC if self._index == 0 else 0)
        value = floats(self._reading, self._packets)[self._index]
        curve = self._patient.curve(now)
        if self.format == "df2":
            data = df2_frame(status, round(curve * 200), value)
        else:
            data = df7_frame(status, round(curve * 60_000), value)
        emission = self._say(data, now)
        self._is_whole = self._is_whole and emission.good == 1 and emission.fault in ("", "garbage", "byte_by_byte")
        self._index += 1
        if self._index == FRAMES_A_PACKET:
            self._index = 0
            self._packets += 1
            if self._is_whole:
                self._note(status_of(self._reading), now)

    def _note(self, status: int, now: float) -> None:
        """A packet of 25 left without a scratch."""
        reading = self._reading
        values = {
            "HR": _text(reading.rate), "SPO2": _text(reading.spo2), "HR-D": _text(reading.shown_rate),
            "SPO2-D": _text(reading.shown_spo2), "STATUS": f"{status:02X}",
        }  # fmt: skip
        self.sent += 1
        self.history.append(Sent(now, self.format, MappingProxyType(values)))

    def _say_df8(self, reading: Reading, now: float) -> None:
        marks = {"searching": 0x20, "out_of_track": 0x20, "low_perfusion": 0x10, "interference": 0x0C}
        flags = 0x08 if reading.is_sensor_alarm else 0
        if reading.rate is not None and reading.episode not in marks:
            flags |= 0x20
        flags |= reading.episode == "low_battery"
        mark = marks.get(reading.episode, 0)
        values = {"HR": _text(reading.rate), "SPO2": _text(reading.spo2), "flags": f"{mark:02X}{flags:02X}"}
        self._say(df8_packet(reading.spo2, reading.rate, flags, mark), now, "df8", values)

    def _say_spot(self, reading: Reading, now: float) -> None:
        status = 0x0100 if reading.rate is None else 0x0200
        status |= (0x10 if self._is_memory else 0) | (reading.episode == "low_battery")
        time = self._clock(now).replace(microsecond=0)
        values = {"HR": _text(reading.rate), "SPO2": _text(reading.spo2), "time": time.isoformat()}
        values["STATUS"] = f"{status:04X}"
        self._say(df13_record(time, reading.spo2, reading.rate, status, self._more), now, "df13", values)

    # -- the box ---------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        """Nothing may be said; a change of format is obeyed all the same, and stays over a restart."""
        self.illegal.append(data)
        if self.format == "ascii" or not data.startswith(SET_FORMAT) or now >= self._powered_at + COMMANDS_FOR_S:
            return
        chosen = FORMAT_CODES.get(data[4]) if len(data) == 6 and data[5] == ETX else None
        self._say(ACK if chosen else NAK, now)
        if chosen:
            self.format = chosen
            self._index = 0
            self._set_pace(now)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        damaged = bytearray(frame)
        where = {"df2": -1, "df7": -1, "df13": -2}.get(self.format, 0)
        # The others have no checksum: their first byte is damaged, so that no receiver can take them for whole.
        damaged[where] ^= 0x80
        return bytes(damaged)


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
