"""A Maquet SERVO-i or SERVO-s on its serial port: the Computer Interface Emulator, protocol versions 001 to 005.

    box                          device
    HO 04               ──▶                      basic mode, without checksums
                        ◀──     900PCI 04
    RCTY1C 04           ──▶                      extended mode, version 001, all tables forgotten
                        ◀──     Servo-i0 29 04
    SPVE005.., SDADB…   ──▶
                        ◀──     * 2A 04          within half a second
    RADAB54 04          ──▶
                        ◀──     4 digits a channel, 9999 = no value
    RADC14 04           ──▶
                        ◀──     curve blocks every 0.2 s, B, S and A blocks between them
    ESC                 ──▶                      and the device is silent

In standby RADAS and RADAA answer ER17, RADAB too until version 005. A command that may change what the ventilator
keeps (ADMP, DISP, STTX, ST, SSMP, CS, STOU, CT) is refused here and stands in `illegal`.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices import servo_frames as wire
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

NOT_VALID, SYNTAX, RANGE, NOT_CONFIGURED, STANDBY, CHECKSUM, FULL = 10, 11, 12, 16, 17, 18, 19
ASCII_LARGEST = 9998
ASCII_MISSING = 9999
BINARY_LARGEST = wire.MISSING - 1
SAMPLE_S = 0.02
BLOCK_S = 0.2
ANSWER_WITHIN_S = 0.5
BEHIND_LIMIT_S = 60.0
"""A stream older than this is lost when nobody has turned the clock."""
HISTORY_KEPT = 10_000
YES_NO = ("yes", "no")

CURVES = """
100 flow .2713 3333 2 | 101 paw .0651 133.3 4 | 102 paw .0651 133.3 4 | 103 co2 .1 0 7
113 paw .0651 133.3 4 | 114 volume .4 0 1 | 118 edi .02 0 19 | 119 co2_mmhg .1 0 10
"""
BREATH = """
200 rr .1 0 6 | 201 vte 1 0 1 | 202 vti 1 0 1 | 203 mvi .1 0 8 5:.01 | 204 mve .1 0 8 5:.01
205 ppeak .1 0 4 | 206 pmean .1 0 4 | 207 ppause .1 0 4 | 208 peep .1 0 4 | 209 o2 .1 0 7
210 baro 1 0 12 | 211 air_supply 100 0 12 | 212 o2_supply 100 0 12 | 225 etco2 .1 0 7
231 re .1588 100 9 | 232 cstat .4976 2000 5 | 233 end_flow .0071 35 15 | 236 ri .04 0 9
238 ie .0326 0 20 3:.01 | 239 ti .0033 0 14 | 243 elastance .1 0 16 | 244 duty .00011 0 20
245 peeptot .0651 133.3 4 | 247 rr_spon .1 0 6 | 248 mv_spon .1 0 8 5:.01 | 253 cpap .1 0 4
254 p01 .0651 133.3 4 | 259 sbi 1 0 22 | 260 etco2_mmhg .1 0 10 5:1
"""
SETTINGS = """
300 set_rate .1 0 6 | 305 set_mv .01 0 8 | 306 set_pc .1 0 4 | 307 set_ps .1 0 4
308 set_peep .1 0 4 | 309 category 1 0 20 | 310 mode 1 0 20 | 315 set_pmax 1 0 4
318 o2_high_limit .1 0 7 | 319 o2_low_limit .1 0 7 | 322 muted 1 0 20 | 323 set_o2 .1 0 7
333 set_ie .01 0 20 | 334 set_vt 1 0 1 | 343 set_ti .01 0 14 | 355 apnoea_limit 1 0 14
364 mve_high_limit .01 0 8 | 365 mve_low_limit .01 0 8
"""
ALARM_CODES = {
    "401": "o2_low", "410": "paw_high", "412": "apnoea", "432": "leakage", "435": "rr_high", "437": "peep_low",
    "446": "mve_low",
}  # fmt: skip
"""Alarms that this patient can have; the other codes of the table are always 0."""
ANY_HIGH, SUMMARY = "498", "499"
SILENT_CODES = (400, 402, 403, 411, 413, 414, 416, 417, *range(422, 427), 430, 431, 433, 434, 436, 438, 439, 440, 445,
                451, 452)  # fmt: skip
ALARMS = "\n".join(
    f"{code} {ALARM_CODES.get(code, 'none')} 1 0 20"
    for code in sorted({*ALARM_CODES, *map(str, SILENT_CODES), ANY_HIGH, SUMMARY})
)
KINDS = {"C": "CU", "B": "BT", "S": "ST", "A": "AL", "L": "LM"}
"""Types of channel in RCCO; only BT is documented, the others are stand-ins."""


class _Reply(NamedTuple):
    at: float
    frame: bytes
    reading: wire.Reading | None = None


class ServoCie(Simulator):
    """The ventilator's side of CIE."""

    NAME: ClassVar[str] = "servo_cie"
    DESCRIPTION: ClassVar[str] = "Maquet SERVO-i or SERVO-s ventilator, CIE 001 to 005, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**COMMON_FAULTS, "corrupted_block": "a curve block of the stream arrives with a damaged byte"}
    )
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "model": Option("servo_i", "servo_i | servo_s"),
            "version": Option("5", "highest protocol version it speaks, 1 to 5"),
            "standby": Option("no", "yes: the ventilator is in standby"),
            "internal_error": Option("no", "yes: its interface has lost the ventilator (last digit of RCTY is 1)"),
            "absent_rate": Option("0.05", "chance that a value which can be absent is so in a period, 0 to 1"),
            "absolute_every": Option("1", "each so many curve blocks begin with absolute values; 0: only the first"),
            "period_s": Option("1", "seconds between two changes of the measured values"),
            "alarm_every_s": Option("60", "an alarm of 15 seconds starts this often; 0 = none"),
            "started": Option("20260101080000", "what the device's clock shows when it is switched on"),
        }
    )
    MODELS: ClassVar[Mapping[str, str]] = MappingProxyType({"servo_i": "Servo-i", "servo_s": "Servo-s"})
    HIGHEST_VERSION: ClassVar[int] = 5
    VERSION_DIGITS: ClassVar[int] = 3
    HAS_BASIC_MODE: ClassVar[bool] = True
    READS_BINARY: ClassVar[bool] = False
    """Whether RADAB and its kin answer in binary, errors included."""
    TABLE_LIMITS: ClassVar[Mapping[str, int]] = MappingProxyType({"C": 4, "B": 50, "S": 75, "A": 50, "E": 50})
    CHANNELS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"C": CURVES, "B": BREATH, "S": SETTINGS, "A": ALARMS, "E": ALARMS}
    )
    ALARM_NAMES: ClassVar[Mapping[str, str]] = MappingProxyType(ALARM_CODES)
    EXCLUSIVE: ClassVar[Mapping[str, str]] = MappingProxyType({"A": "E", "E": "A"})
    """Defining the one table forgets the other."""
    GRAMMAR: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "RCTY": "", "RHVE": "", "RPVE": "", "SPVE": r"\d{3}", "RSEN": "", "RSWV": "", "RTIM": "", "RALO": "",
            "RBAT": "", "RCCO": r"(?:\d{3})?", "RDAD": "[BSACE]?", "SDAD": r"[BSACE](?:\d{3})*", "RADA": "[BSAE]",
            "RADC": "", "RSTI": "", "RTOU": "",
        }
    )  # fmt: skip
    """What a box may say in extended mode: name → its argument."""

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Readings that left undamaged."""
        self.history: deque[wire.Reading] = deque(maxlen=HISTORY_KEPT)
        self.commands: Counter[str] = Counter()
        self.errors: Counter[int] = Counter()
        """Error answers by number."""
        self.premature = 0
        """Extended commands in basic mode."""
        self.hurried = 0
        """Commands before the answer to the one before, and commands into a running stream (which it ignores)."""
        self.ear = wire.Ear()
        self._identity = self.MODELS[self.choice("model", tuple(self.MODELS))]
        self._highest = int(self.choice("version", tuple(str(n) for n in range(1, self.HIGHEST_VERSION + 1))))
        self.is_standby = self.choice("standby", YES_NO) == "yes"
        self._internal = "1" if self.choice("internal_error", YES_NO) == "yes" else "0"
        self._absolute_every = int(self.seconds("absolute_every"))
        self._habits = tuple(self.seconds(name) for name in ("period_s", "alarm_every_s", "absent_rate"))
        self._clock = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock
        self._power_on(0.0)

    def _power_on(self, now: float) -> None:
        self._on_at = now
        self.patient = wire.Patient(self.seed, now, *self._habits)
        self.is_extended = not self.HAS_BASIC_MODE
        self._replies: deque[_Reply] = deque()
        self._forget()

    def _forget(self) -> None:
        """What RCTY clears: version and tables."""
        self.version = 1
        self.tables: dict[str, list[str]] = {}
        self._stop()

    def _stop(self) -> None:
        self.is_streaming = False
        self._stream_at = float("inf")

    def channels(self, table: str) -> dict[str, wire.Channel]:
        """The channels of a class in the version that is selected."""
        return wire.channels_of(self.CHANNELS[table], self.version)

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._power_on(now)

    def _advance(self, now: float) -> None:
        if self.is_streaming and now - self._stream_at > BEHIND_LIMIT_S:
            self._resume(now - BEHIND_LIMIT_S / 2)
        super()._advance(now)

    def _due(self) -> float | None:
        due = min(self._stream_at, self._replies[0].at if self._replies else float("inf"))
        return None if due == float("inf") else due

    def _tick(self, now: float) -> None:
        if self._replies and self._replies[0].at <= now:
            reply = self._replies.popleft()
            self._say(reply.frame, reply.reading, now)
        else:
            self._say_blocks(now)

    def _thaw(self, now: float) -> None:
        self.ear.lose_place()
        self._replies.clear()
        if self.is_streaming:
            self._resume(now)

    def _reboot(self, now: float) -> None:
        self._power_on(now)

    def _say(self, frame: bytes, reading: wire.Reading | None, now: float) -> None:
        if self._emit(frame, now).good and reading is not None:
            self.sent += 1
            self.history.append(reading._replace(at=now))

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for heard in self.ear.hear(data, now):
            if heard.kind == "escape":
                self._escape(now)
            elif heard.kind == "too_long":
                if heard.is_whole:
                    self.illegal.append(heard.text)
                    self._refuse(FULL, now)
            elif heard.is_whole or self._is_sound(heard.text.decode("latin-1")):
                self._obey(heard.text.decode("latin-1"), now)

    def _is_sound(self, text: str) -> bool:
        """Whether a command makes sense although its beginning may be missing."""
        if self.HAS_BASIC_MODE and text == "HO":
            return True
        return len(text) > 2 and text[-2:] == f"{wire.xor(text[:-2].encode('latin-1')):02X}"

    def _escape(self, now: float) -> None:
        """ESC: answers that have not begun never do."""
        self._replies.clear()
        self._stop()

    def _obey(self, text: str, now: float) -> None:
        self.hurried += bool(self._replies) or self.is_streaming
        if not self.is_extended:
            self._obey_basic(text, now)
        elif self.HAS_BASIC_MODE and text in ("HO", "HO07"):
            self._be_basic(now)
        else:
            body, check = text[:-2], text[-2:]
            if text and check != f"{wire.xor(body.encode('latin-1')):02X}":
                self._blame(text)
                self._refuse(CHECKSUM, now)
            else:
                self._obey_extended(body, text, now)

    def _obey_basic(self, text: str, now: float) -> None:
        if text == "HO":
            self._be_basic(now)
        elif text in ("RCTY", "RCTY1C"):
            self.commands["RCTY"] += 1
            self.is_extended = True
            self._identify(now)
        else:
            is_known = text[:4] in self.GRAMMAR or not text
            self.premature += is_known
            if not is_known:
                self._blame(text)
            self._answer(wire.basic_frame(f"ER{NOT_VALID}"), now)

    def _be_basic(self, now: float) -> None:
        self.commands["HO"] += 1
        self._forget()
        self.is_extended = False
        self._answer(wire.basic_frame("900PCI"), now)

    def _obey_extended(self, body: str, text: str, now: float) -> None:
        name, argument = body[:4], body[4:]
        if body and name not in self.GRAMMAR:
            self._blame(text)
            self._refuse(NOT_VALID, now)
            return
        if body and not re.fullmatch(self.GRAMMAR[name], argument):
            self._blame(text)
            self._refuse(SYNTAX, now)
            return
        if self.is_streaming:
            return
        self.commands[name] += 1
        match name:
            case "RCTY":
                self._identify(now)
            case "SPVE":
                self._select(int(argument), now)
            case "RCCO":
                self._configuration(argument, now)
            case "SDAD":
                self._define(argument[0], re.findall(r"\d{3}", argument), now)
            case "RADA":
                self._read(argument, now)
            case "RADC":
                self._start_stream(now)
            case _:
                known = self._plain_answer(name, now)
                # Reading the rest is allowed; the form of the answer is not known, so there is none.
                self._refuse(NOT_VALID, now) if known is None else self._answer(wire.ascii_frame(known), now)

    def _blame(self, text: str) -> None:
        self.illegal.append(wire.basic_frame(text))

    # -- what the device answers -----------------------------------------------------------------------------------

    def _answer(self, frame: bytes, now: float, reading: wire.Reading | None = None, within_s: float = 0.2) -> None:
        if self.is_streaming:
            return
        after = max(now, self._replies[-1].at if self._replies else now)
        self._replies.append(_Reply(after + self._rng.uniform(0.01, within_s), frame, reading))

    def _refuse(self, number: int, now: float, is_binary: bool = False) -> None:
        if not self.is_streaming:
            self.errors[number] += 1
        self._answer(wire.binary_error(number) if is_binary else wire.ascii_frame(f"ER{number}"), now)

    def _identify(self, now: float) -> None:
        self._forget()
        self._answer(wire.ascii_frame(self._identity + self._internal), now)

    def _plain_answer(self, name: str, now: float) -> str | None:
        digits = self.VERSION_DIGITS
        match name:
            case "RHVE":
                return f"{self._highest:0{digits}d}"
            case "RPVE":
                return f"{self.version:0{digits}d}"
            case "RSEN":
                return "12345"
            case "RSWV":
                return "SIMULATOR"
            case "RTIM":
                return f"{self._clock + timedelta(seconds=now - self._on_at):%Y%m%d%H%M%S}"
            case "RALO":
                return str(self._alarm_state(SUMMARY, now)[1])
            case _:
                return None

    def _select(self, version: int, now: float) -> None:
        if not 1 <= version <= self._highest:
            self._refuse(RANGE, now)
            return
        self.version = version
        self._answer(wire.ascii_frame("*"), now)

    def _configuration(self, code: str, now: float) -> None:
        parts = [
            channel.configuration(KINDS[table])
            for table in KINDS
            if table in self.CHANNELS
            for channel in self.channels(table).values()
            if code in ("", channel.code)
        ]
        if parts:
            self._answer(wire.ascii_frame(f"{round(SAMPLE_S * 1000):03d};{''.join(parts)}"), now)
        else:
            self._refuse(RANGE, now)

    def _define(self, table: str, codes: list[str], now: float) -> None:
        if len(codes) > self.TABLE_LIMITS[table] or not set(codes) <= set(self.channels(table)):
            self._refuse(RANGE, now)
            return
        self.tables.pop(self.EXCLUSIVE.get(table, ""), None)
        self.tables.pop(table, None)
        if codes:
            self.tables[table] = codes
        self._answer(wire.ascii_frame("*"), now, within_s=ANSWER_WITHIN_S)

    def _read(self, table: str, now: float) -> None:
        if table not in self.tables:
            self._refuse(NOT_CONFIGURED, now, self.READS_BINARY)
        elif self.is_standby and self._is_refused_in_standby(table):
            self._refuse(STANDBY, now, self.READS_BINARY)
        else:
            frame, reading = self._values(table, now)
            self._answer(frame, now, reading)

    def _is_refused_in_standby(self, table: str) -> bool:
        return table != "B" or self.version < 5

    def _values(self, table: str, now: float) -> tuple[bytes, wire.Reading]:
        """The answer to RADAB, RADAS, RADAA or RADAE."""
        width = 1 if table in ("A", "E") else 4
        raws = self._raws(table, now, ASCII_LARGEST)
        texts = {code: f"{ASCII_MISSING if raw is None else raw:0{width}d}" for code, raw in raws.items()}
        # A code may stand twice in a table.
        frame = wire.ascii_frame("".join(texts[code] for code in self.tables[table]))
        return frame, wire.Reading(now, table, texts)

    def _raws(self, table: str, now: float, largest: int) -> dict[str, int | None]:
        """The numbers of a table: what is measured, set or alarming now."""
        if table in ("A", "E"):
            return {code: self._alarm_state(code, now)[0 if table == "A" else 1] for code in self.tables[table]}
        channels = self.channels(table)
        known = {} if self.is_standby else self.patient.values(now)
        return {code: channels[code].raw(known.get(channels[code].quantity), largest) for code in self.tables[table]}

    def _alarm_state(self, code: str, now: float) -> tuple[int, int]:
        """An alarm as table A says it (0, 1) and as table E does (0, 1, 2 = silenced)."""
        active = {} if self.is_standby else self.patient.alarms(now)
        if code == SUMMARY:
            is_active = bool(active)
        elif code == ANY_HIGH:
            is_active = 3 in active.values()
        else:
            is_active = self.ALARM_NAMES.get(code) in active
        return int(is_active), int(is_active) * (2 if self.patient.is_silenced(now) else 1)

    # -- the stream ------------------------------------------------------------------------------------------------

    def _start_stream(self, now: float) -> None:
        if not self.tables:
            self._refuse(NOT_CONFIGURED, now, is_binary=True)
        elif self.is_standby:
            self._refuse(STANDBY, now, is_binary=True)
        else:
            self.is_streaming = True
            self._blocks = 0
            self._coder = wire.CurveCoder(len(self.tables.get("C", ())))
            self._told: dict[str, dict[str, int | None]] = {}
            self._breath = self.patient.breath(now)
            self._resume(now)

    def _resume(self, now: float) -> None:
        """After an interruption the curves begin with absolute values."""
        self._coder.restart()
        self._sampled_at = now
        self._stream_at = now + BLOCK_S

    def _say_blocks(self, now: float) -> None:
        if self.is_standby:
            self._stop()
            self._refuse(STANDBY, now, is_binary=True)
            return
        self._stream_at = now + BLOCK_S
        self.patient.values(now)
        if "C" in self.tables:
            self._say_curves(now)
        breath, self._breath = self._breath, self.patient.breath(now)
        for table in ("B", "S", "A", "E", "L"):
            if table not in self.tables or (table == "B" and breath == self._breath):
                continue
            raws = self._raws(table, now, BINARY_LARGEST)
            if table == "B" or raws != self._told.get(table):
                self._told[table] = raws
                self._say(self._value_block(table, raws), self._reading(table, raws, now), now)

    def _reading(self, table: str, raws: Mapping[str, int | None], now: float) -> wire.Reading:
        texts = {code: str(wire.MISSING if raw is None else raw) for code, raw in raws.items()}
        return wire.Reading(now, table, texts)

    def _value_block(self, table: str, raws: Mapping[str, int | None]) -> bytes:
        return wire.binary_frame(table.encode() + b"".join(self._value(table, raws[c]) for c in self.tables[table]))

    def _value(self, table: str, raw: int | None) -> bytes:
        if table == "A":
            return b"\xff" if raw else b"\x00"
        if table == "E":
            return bytes([raw or 0])
        return (wire.MISSING if raw is None else raw).to_bytes(2, "big")

    def _say_curves(self, now: float) -> None:
        channels = [self.channels("C")[code] for code in self.tables["C"]]
        samples: list[tuple[int, list[int | None]]] = []
        while self._sampled_at <= now:
            at = self._sampled_at
            values = [c.raw(self.patient.curve(c.quantity, at), BINARY_LARGEST) for c in channels]
            samples.append((self.patient.phase(at), values))
            self._sampled_at = at + SAMPLE_S
        self._coder.begin()
        if self._absolute_every and self._blocks % self._absolute_every == 0:
            self._coder.restart()
        self._blocks += 1
        frame = wire.binary_frame(self._coder.encode(samples))
        if self._strikes("corrupted_block"):
            self._line.put(self._with_flipped_bit(frame[:-2]) + frame[-2:], now)
            return
        texts = {
            channel.code: " ".join(str(wire.MISSING if row[i] is None else row[i]) for _, row in samples)
            for i, channel in enumerate(channels)
        }
        self._say(frame, wire.Reading(now, "C", texts), now)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return wire.with_bad_check(frame)
