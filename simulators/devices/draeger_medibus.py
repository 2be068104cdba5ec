"""A Draeger ventilator or anaesthesia machine on its serial port, speaking MEDIBUS (protocol definition 4.03).

    device                                   box
    ICC, again every 3 s         ──▶
                                 ◀──  answer, or an ICC of its own
    who are you (52H), often inside the answer to the box's ICC
                                 ◀──  0161'name'DD.DD:MM.MM     within 30 s, not empty
                                 ◀──  one command at a time; a second one cancels the first
    answer                       ──▶  (an unsupported code: just its echo)
    NOP after 2 s without a word ──▶  must be answered
    3 s without a character: link lost, COMM ERR on the screen, ICC again
                                 ◀──  STOP: the device goes quiet

The manufacturer's habits it keeps: commands embedded at any byte, DC1/DC3 the wrong way round, a configuration that
is ignored within 200 ms of the identification and forgotten at every ICC, missing values left out.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

from simulators.devices import medibus_frames as wire
from simulators.devices.breathing import CURVE_INTERVAL_S, CURVES, Patient
from simulators.devices.medibus_models import CLOCK_STYLES, MODELS, clock_text, printed
from simulators.devices.simulator import COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

ICC, NOP, STOP, IDENTIFY = 0x51, 0x30, 0x55, 0x52
MEASURED, LOW, HIGH, ALARMS_1, ALARMS_2, SETTINGS, TEXTS = 0x24, 0x25, 0x26, 0x27, 0x2E, 0x29, 0x2A
CLOCK, MEASURED_2 = 0x28, 0x2B
CONFIGURE, CURVES_ASKED, CURVES_CONFIGURED, CURVES_CHANGED, SPECIFIC = 0x4A, 0x53, 0x54, 0x56, 0x6A
WITH_DATA = frozenset({MEASURED, LOW, HIGH, ALARMS_1, ALARMS_2, SETTINGS, TEXTS, CURVES_ASKED, IDENTIFY})
WITH_ARGUMENT = frozenset({CONFIGURE, CURVES_CONFIGURED, SPECIFIC})
ALLOWED = WITH_DATA | WITH_ARGUMENT | {ICC, NOP, STOP, CLOCK, MEASURED_2, 0x2C, 0x2D, CURVES_CHANGED}
"""What a box may ask; which of it a device knows stands in its model."""

ICC_EVERY_S = 3.0
SILENCE_S = 3.0
NOP_AFTER_S = 2.0
IDENTIFY_WITHIN_S = 30.0
SETTLE_S = 0.2
ANSWER_WITHIN_S = 10.0
TRIES = 3
BOX_HOLDS_WITHIN_S = 0.25
IDENTITY = re.compile(rb"0161'[^']{1,32}'\d\d\.\d\d:\d\d\.\d\d")
ANSWERS_KEPT = 10_000


class Answer(NamedTuple):
    """An undamaged answer that went out."""

    at: float
    code: int
    data: bytes


class _Asked(NamedTuple):
    code: int
    at: float
    tries: int


class DraegerMedibus(Simulator):
    """The ventilator's side of MEDIBUS."""

    NAME: ClassVar[str] = "draeger_medibus"
    DESCRIPTION: ClassVar[str] = "Draeger Evita, Savina or Fabius, MEDIBUS 4.03, serial"
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "period_s": Option("1", "seconds between two changes of the measured values"),
            "alarm_every_s": Option("60", "an alarm of 15 seconds starts this often; 0 = none"),
            "embed_rate": Option("0.1", "chance that an answer has a command of the device inside, 0 to 1"),
            "suspend_every_s": Option("0", "the device suspends the box (DC1) for a second this often; 0 = never"),
            "standby": Option("no", "yes: the ventilator is in standby"),
            "model": Option("evita_4", "which device: " + " | ".join(MODELS)),
            "started": Option("20260504080605", "what the device's clock shows when it is switched on"),
            "clock_style": Option("german", "how its clock is written: " + " | ".join(CLOCK_STYLES)),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Good answers: requests for data that were answered and left the device undamaged."""
        self.history: deque[Answer] = deque(maxlen=ANSWERS_KEPT)
        self.commands: Counter[int] = Counter()
        self.link: Literal["calling", "up", "stopped"] = "calling"
        self.is_identified = False
        self.comm_error = False
        """The message the nurse sees now: the box vanished without STOP."""
        self.comm_errors = 0
        self.cancelled = 0
        """Commands cancelled because the box sent another one before the answer."""
        self.refused_identities = 0
        self.premature = 0
        """Commands before the link was initialised, and configurations before the settle time."""
        self.unexpected = 0
        self._ear = wire.Ear()
        self._period_s = self.seconds("period_s")
        self._embed_rate = self.seconds("embed_rate")
        self._suspend_every_s = self.seconds("suspend_every_s")
        self._alarm_every_s = self.seconds("alarm_every_s")
        self._is_standby = self.choice("standby", ("yes", "no")) == "yes"
        self._model = MODELS[self.choice("model", tuple(MODELS))]
        self._clock_style = self.choice("clock_style", CLOCK_STYLES)
        try:
            self._clock = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock
        except ValueError:
            raise ValueError(f"{self.NAME}: option started = {self.options['started']!r} is not a time") from None
        self._patient = self._new_patient(0.0)
        self._born_at = 0.0
        self._forget(0.0)

    def _new_patient(self, now: float) -> Patient:
        alarms = (self._model.alarms, self._model.standby_alarm)
        return Patient(self.seed, now, self._period_s, self._alarm_every_s, self._is_standby, alarms)

    def _forget(self, now: float) -> None:
        """What a (re)initialisation clears."""
        self.is_identified = False
        self._up_at = self._heard_at = self._said_at = self._identified_at = now
        self._identify_at = now + 0.5
        self._icc_at = now
        self._asked: _Asked | None = None
        self._reply: tuple[float, int, bytes] | None = None
        self._reported: dict[int, frozenset[str]] = {}
        self._streams: list[tuple[str, int]] = []
        self._enabled = 0
        self._curve_at = now
        self._curve_count = 0
        self._was_inspiring = False
        self._suspended_at: float | None = None
        self._box_held_at: float | None = None
        self._hold_box_at = now + self._suspend_every_s

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._patient = self._new_patient(now)
        self._born_at = now
        self._forget(now)

    def _thaw(self, now: float) -> None:
        self._ear.lose_place()
        self._heard_at = self._said_at = self._curve_at = now
        if not self.is_identified:
            self._up_at = now
        self._icc_at = now
        self._asked = self._reply = self._suspended_at = self._box_held_at = None
        self._hold_box_at = now + self._suspend_every_s

    def _reboot(self, now: float) -> None:
        self.link = "calling"
        self.comm_error = False
        self._forget(now)

    def _due(self) -> float | None:
        if self._suspended_at is not None:
            return min(self._suspended_at, self._heard_at) + SILENCE_S
        reply_at = self._reply[0] if self._reply else float("inf")
        if self.link == "stopped":
            return reply_at if self._reply else None
        if self.link == "calling":
            return min(self._icc_at, reply_at)
        return min(reply_at, *self._timers().values())

    def _timers(self) -> dict[str, float]:
        timers = {"silence": self._heard_at + SILENCE_S}
        if not self.is_identified:
            timers["stranger"] = self._up_at + IDENTIFY_WITHIN_S
        if self._asked:
            timers["unanswered"] = self._asked.at + ANSWER_WITHIN_S
        elif not self.is_identified:
            timers["identify"] = self._identify_at
        if not self._asked:
            timers["nop"] = self._said_at + NOP_AFTER_S
        if self._enabled:
            timers["curve"] = self._curve_at
        if self._suspend_every_s:
            timers["hold_box"] = self._hold_box_at if self._box_held_at is None else self._box_held_at + 1.0
        return timers

    def _tick(self, now: float) -> None:
        if self._suspended_at is not None:
            self._lose_link(now)
        elif self._reply and self._reply[0] <= now:
            self._say_reply(now)
        elif self.link == "calling":
            self._icc_at = now + ICC_EVERY_S
            self._emit(wire.command(ICC), now)
        elif self.link == "up":
            self._run_timer(min(self._timers().items(), key=lambda timer: timer[1])[0], now)

    def _run_timer(self, timer: str, now: float) -> None:
        match timer:
            case "silence" | "stranger":
                self._lose_link(now)
            case "unanswered":
                self._ask_again(now)
            case "identify":
                self._ask(IDENTIFY, now)
            case "nop":
                self._ask(NOP, now)
            case "hold_box":
                is_held = self._box_held_at is not None
                self._line.put(bytes([wire.RESUME if is_held else wire.SUSPEND]), now)
                self._box_held_at = None if is_held else now
                self._hold_box_at = now + self._suspend_every_s
            case _:
                self._line.put(self._next_sample(), now)

    def _lose_link(self, now: float) -> None:
        self.comm_error = True
        self.comm_errors += 1
        self.link = "calling"
        self._ear.lose_place()
        self._forget(now)

    # -- what the device asks --------------------------------------------------------------------------------------

    def _ask(self, code: int, now: float, tries: int = 1) -> None:
        self._asked = _Asked(code, now, tries)
        self._said_at = now
        self._emit(wire.command(code), now)

    def _ask_again(self, now: float) -> None:
        if self._asked is None or self._asked.tries >= TRIES:
            self._lose_link(now)
        else:
            self._ask(self._asked.code, now, self._asked.tries + 1)

    def _accept(self, heard: wire.Heard, now: float) -> None:
        """A response of the box."""
        if heard.code == ICC and self.link == "calling":
            self._come_up(now)
        elif heard.code == wire.NAK and self._asked:
            self._ask_again(now)
        elif self._asked is None or heard.code != self._asked.code:
            self.unexpected += 1
        else:
            self._asked = None
            if heard.code == IDENTIFY:
                self._meet(heard.data, now)
            elif heard.data:
                self.illegal.append(wire.response(heard.code, heard.data))

    def _meet(self, identity: bytes, now: float) -> None:
        if IDENTITY.fullmatch(identity):
            self.is_identified = True
            self._identified_at = now
            return
        self.refused_identities += 1
        self._identify_at = now + 5.0
        if identity:
            self.illegal.append(wire.response(IDENTIFY, identity))

    def _come_up(self, now: float) -> None:
        self._forget(now)
        self.link = "up"
        self.comm_error = False

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        if any(byte < 0x80 for byte in data):
            self._heard_at = now
            if self._box_held_at is not None and now - self._box_held_at > BOX_HOLDS_WITHIN_S:
                self.illegal.append(data)
        for heard in self._ear.hear(data):
            self._hear_one(heard, now)

    def _hear_one(self, heard: wire.Heard, now: float) -> None:
        match heard.kind:
            case "command":
                self._obey(heard.code, heard.data, now)
            case "response":
                self._accept(heard, now)
            case "bad_checksum":
                self.illegal.append(heard.data)
                self._answer_later(wire.NAK, b"", now)
            case "enable":
                self._enabled = heard.code if self._streams else 0
                self._curve_at = max(self._curve_at, now)
            case "suspend":
                self._suspended_at = now
            case "resume":
                self._suspended_at = None
            case "abort":
                self._reply = None
            case _:
                self.illegal.append(heard.data)

    def _obey(self, code: int, argument: bytes, now: float) -> None:
        self.commands[code] += 1
        if code not in ALLOWED or (argument and code not in WITH_ARGUMENT):
            self.illegal.append(wire.command(code, argument))
        if code == ICC:
            self._come_up(now)
        elif self.link != "up" and code != STOP:
            self.premature += 1
            return
        if code == CONFIGURE:
            self._configure(argument, now)
        elif code == CURVES_CONFIGURED:
            self._configure_curves(argument)
        self._answer_later(code, argument, now)

    def _answer_later(self, code: int, argument: bytes, now: float) -> None:
        if self._reply:
            self.cancelled += 1
        self._reply = (now + self._rng.uniform(0.01, 0.06), code, argument)

    def _configure(self, argument: bytes, now: float) -> None:
        """4AH: which codes of one request are reported. Ignored while the device still digests the identification."""
        codes = re.fullmatch(rb"([\x20-\x7e])((?:[0-9A-F]{2})*)", argument)
        if codes is None:
            self.illegal.append(wire.command(CONFIGURE, argument))
        elif not self.is_identified or now < self._identified_at + SETTLE_S:
            self.premature += 1
        else:
            text = codes[2].decode("ascii")
            self._reported[codes[1][0]] = frozenset(text[i : i + 2] for i in range(0, len(text), 2))

    def _configure_curves(self, argument: bytes) -> None:
        """54H: the streams in their order, as code and multiple of the interval."""
        if re.fullmatch(rb"(?:[0-9A-F]{4}){0,12}", argument) is None:
            self.illegal.append(wire.command(CURVES_CONFIGURED, argument))
            return
        text = argument.decode("ascii")
        pairs = [(text[i : i + 2], max(1, int(text[i + 2 : i + 4], 16))) for i in range(0, len(text), 4)]
        self._streams = [pair for pair in pairs if pair[0] in self._model.curves][:4]
        self._enabled = 0

    # -- what the device answers -----------------------------------------------------------------------------------

    def _say_reply(self, now: float) -> None:
        if self._reply is None:
            return
        _, code, argument = self._reply
        self._reply = None
        if code == wire.NAK:
            self._emit(wire.BAD_CHECKSUM_REPLY, now)
            return
        data = self._answer(code, argument, now)
        emission = self._emit(self._with_inserts(wire.response(code, data), code, now), now)
        self._said_at = now
        if emission.good and code in self._model.answers:
            self.sent += 1
            self.history.append(Answer(now, code, data))
        if code == STOP:
            self.link = "stopped"
            self._forget(now)

    def _with_inserts(self, frame: bytes, code: int, now: float) -> bytes:
        """The frame with a command of the device and real-time bytes inside, at random bytes."""
        if code == STOP:
            return frame
        inner = IDENTIFY if code == ICC else NOP if self._rng.random() < self._embed_rate else None
        if inner is not None and self._asked is None:
            self._asked = _Asked(inner, now, 1)
            frame = wire.embed(frame, wire.command(inner), self._rng.randrange(1, len(frame)))
        if self._enabled and self._curve_count:
            frame = wire.embed(frame, self._next_sample(), self._rng.randrange(1, len(frame)))
        return frame

    def _answer(self, code: int, argument: bytes, now: float) -> bytes:
        """The data of the answer; none when the model does not know the request."""
        model = self._model
        if code not in model.answers:
            return b""
        match code:
            case 0x24 | 0x2B | 0x25 | 0x26 | 0x29:
                return _records(self._only_reported(code, self._values(code, now)))
            case 0x2A:
                mode = {"1E": "STANDBY"} if self._is_standby else model.mode
                texts = self._only_reported(code, {**mode, **model.texts})
                return b"".join(
                    f"{key}{chr(0x30 + len(text))}{text}\x03".encode("latin-1") for key, text in texts.items()
                )
            case 0x27 | 0x2E:
                active = self._patient.alarms(1 if code == ALARMS_1 else 2, now)
                return "".join(f"{chr(0x30 + a.priority)}{a.code}{a.phrase:12}" for a in active).encode("ascii")
            case 0x28:
                shown = self._clock + timedelta(seconds=int(now - self._born_at))
                return clock_text(shown, self._clock_style).encode("ascii")
            case 0x52:
                return model.identity
            case _:
                return "".join(_curve_record(key) for key in model.curves).encode("ascii")

    def _values(self, code: int, now: float) -> dict[str, str]:
        """The records of one request, before the box's choice among them."""
        model = self._model
        if code in (MEASURED, MEASURED_2):
            rows = model.measured if code == MEASURED else model.measured_2
            values = self._patient.quantities(now)
            return printed(rows, values, self._patient.absent) if values else {}
        return dict({LOW: model.low_limits, HIGH: model.high_limits, SETTINGS: model.settings}[code])

    def _only_reported(self, code: int, values: dict[str, str]) -> dict[str, str]:
        wanted = self._reported.get(code)
        return values if wanted is None else {key: text for key, text in values.items() if key in wanted}

    def _next_sample(self) -> bytes:
        """The bytes of the next real-time instant; empty when no stream is due in it."""
        at = self._curve_at
        values = tuple(
            self._patient.bin_of(code, at)
            if self._enabled >> index & 1 and self._curve_count % multiple == 0
            else None
            for index, (code, multiple) in enumerate(self._streams)
        )
        is_inspiring = self._patient.is_inspiring(at)
        mark = None if is_inspiring == self._was_inspiring else int(not is_inspiring)
        self._was_inspiring = is_inspiring
        self._curve_at = at + CURVE_INTERVAL_S
        self._curve_count += 1
        if mark is None and all(value is None for value in values):
            return b""
        return wire.sample(values, mark)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        digits = b"0123456789ABCDEF"
        last = max(index for index, byte in enumerate(frame[:-1]) if byte in digits)
        damaged = bytearray(frame)
        damaged[last] = digits[(digits.index(damaged[last]) + 1) % 16]
        return bytes(damaged)


def _records(values: dict[str, str]) -> bytes:
    return "".join(code + text for code, text in values.items()).encode("ascii")


def _curve_record(code: str) -> str:
    """Code, interval in microseconds, minimum, maximum, largest bin; the sign stands before the padding."""
    low, high, largest = CURVES[code]
    low_text = f"-{-low:4d}" if low < 0 else f"{low:5d}"
    return f"{code}{round(CURVE_INTERVAL_S * 1_000_000):8d}{low_text}{high:5d}{largest:3X}"
