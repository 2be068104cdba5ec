r"""What the CIE of a SERVO-i/-s and the SCI of a Servo-u/-n/-air have in common: bytes, channels, a patient.

    command        text  ck ck  04         two upper-case hex digits: the XOR of the text
    ASCII answer   text  ck ck  04
    binary answer  data  7F ck             one byte: the XOR of the data and of 7F
    binary error   E0 xx 7F ck

A curve block is `81 pp` (phase), `80 hi lo` (a value) and single bytes (a difference: 00..7E up, 82..FF down), the
channels interleaved in the order of their table. A value is raw x gain - offset; 7EFF is no value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import reduce
from random import Random
from typing import Literal, NamedTuple

EOT, ESC, XON, XOFF = 0x04, 0x1B, 0x11, 0x13
END, VALUE, PHASE, ERROR = 0x7F, 0x80, 0x81, 0xE0
INSPIRATION, PAUSE, EXPIRATION = 0x10, 0x20, 0x30
MISSING = 0x7EFF
DIFFERENCE_LIMIT = 126
COMMAND_LIMIT_BYTES = 512
CHARACTER_TIMEOUT_S = 10.0


def xor(data: bytes) -> int:
    """The XOR of all bytes."""
    return reduce(lambda check, byte: check ^ byte, data, 0)


def ascii_frame(text: str) -> bytes:
    """A command or an ASCII answer in extended mode."""
    body = text.encode("latin-1")
    return body + b"%02X" % xor(body) + bytes([EOT])


def basic_frame(text: str) -> bytes:
    """A command or an answer in basic mode: no checksum."""
    return text.encode("latin-1") + bytes([EOT])


def binary_frame(data: bytes) -> bytes:
    """A binary answer or a block."""
    body = data + bytes([END])
    return body + bytes([xor(body)])


def binary_error(number: int) -> bytes:
    """A binary error: `number` is what stands behind ER in its ASCII form."""
    return binary_frame(bytes([ERROR, number]))


def with_bad_check(frame: bytes) -> bytes:
    """The same frame with a check that does not fit."""
    if frame[-2] == END:
        return frame[:-1] + bytes([frame[-1] ^ 0x01])
    digits = b"0123456789ABCDEF"
    return frame[:-2] + bytes([digits[(digits.find(frame[-2]) + 1) % 16]]) + frame[-1:]


def notation(number: float) -> str:
    """A gain or an offset as RCCO writes it: 0.1 is `+1000E-004`."""
    if number == 0:
        return "+0000E+000"
    mantissa, exponent = f"{abs(number):.3e}".split("e")
    return f"{'-' if number < 0 else '+'}{mantissa.replace('.', '')}E{int(exponent) - 3:+04d}"


class Channel(NamedTuple):
    """One line of a channel table."""

    code: str
    quantity: str
    """The name under which `Patient` knows it."""
    gain: float
    offset: float
    unit: int
    """Number in the list of units; 20 is none, 0 is unknown to the simulator."""

    def raw(self, value: float | None, largest: int) -> int | None:
        """The number that is sent for a value; None when there is none."""
        return None if value is None else max(0, min(largest, round((value + self.offset) / self.gain)))

    def configuration(self, kind: str) -> str:
        """Its part of the answer to RCCO; `kind` is the type of channel."""
        return f"{self.code},{notation(self.gain)},{notation(self.offset)},{self.unit:02d},{kind},FFFF;"


def channels_of(table: str, version: int) -> dict[str, Channel]:
    """Channels by code; each is `code quantity gain offset unit [n:gain from version n on]`."""
    channels: dict[str, Channel] = {}
    for line in table.replace("|", "\n").strip().splitlines():
        code, quantity, gain, offset, unit, *changes = line.split()
        for change in changes:
            since, changed = change.split(":")
            if version >= int(since):
                gain = changed
        channels[code] = Channel(code, quantity, float(gain), float(offset), int(unit))
    return channels


class Reading(NamedTuple):
    """Values that left undamaged."""

    at: float
    table: str
    """B breath, S settings, A or E alarms, L limits, C a curve block."""
    values: Mapping[str, str]
    """Channel → the raw number that was sent, in decimal; of a curve block all of them, with spaces between."""


class CurveCoder:
    """Turns samples into the inside of a curve block; remembers what the next difference is taken from."""

    def __init__(self, width: int) -> None:
        self._last: list[int | None] = [None] * width
        self._phase: int | None = None

    def begin(self) -> None:
        """A block begins: it names its phase, or its first difference could be taken for the letter of a block."""
        self._phase = None

    def restart(self) -> None:
        """The next sample is absolute."""
        self._last = [None] * len(self._last)

    def encode(self, samples: Iterable[tuple[int, list[int | None]]]) -> bytes:
        """Each sample is a phase and one raw value a channel."""
        out = bytearray()
        for phase, values in samples:
            if phase != self._phase:
                out += bytes([PHASE, phase])
                self._phase = phase
            for index, value in enumerate(values):
                last = self._last[index]
                if value is not None and last is not None and abs(value - last) <= DIFFERENCE_LIMIT:
                    out.append((value - last) & 0xFF)
                else:
                    out += bytes([VALUE]) + (MISSING if value is None else value).to_bytes(2, "big")
                self._last[index] = value
        return bytes(out)


class Heard(NamedTuple):
    """One thing that came from the box."""

    kind: Literal["command", "escape", "too_long"]
    text: bytes = b""
    """A command without its EOT."""
    is_whole: bool = True
    """False when the device may have missed its beginning."""


class Ear:
    """Takes the box's bytes apart into commands and ESC."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._last_at = 0.0
        self._is_lost = False
        self.timeouts = 0
        """Commands dropped because their next character did not come in ten seconds."""
        self.flow_control = 0
        """DC1 and DC3 heard; the simulator sends on."""

    def lose_place(self) -> None:
        """The device may have missed bytes: a command that is broken at the next EOT is nobody's fault."""
        self._text.clear()
        self._is_lost = True

    def hear(self, data: bytes, now: float) -> list[Heard]:
        """Every complete thing in `data`, in order."""
        if self._text and now - self._last_at > CHARACTER_TIMEOUT_S:
            self._text.clear()
            self.timeouts += 1
        self._last_at = now
        heard: list[Heard] = []
        for byte in data:
            if byte == ESC:
                self._text.clear()
                heard.append(Heard("escape"))
            elif byte in (XON, XOFF):
                self.flow_control += 1
            elif byte == EOT:
                heard.append(Heard("command", bytes(self._text), not self._is_lost))
                self._text.clear()
                self._is_lost = False
            else:
                self._text.append(byte)
                if len(self._text) > COMMAND_LIMIT_BYTES:
                    heard.append(Heard("too_long", bytes(self._text), not self._is_lost))
                    self.lose_place()
        return heard


# -- the patient ----------------------------------------------------------------------------------------------------

BREATH_S = 4.0
FLOW_ENDS_S = 1.1
INSPIRATION_S = 1.3
ALARM_LASTS_S = 15.0
SILENCED_AFTER_S = 8.0
STEPS_LIMIT = 2_000
ALARMS = {"paw_high": 3, "apnoea": 3, "mve_low": 2, "rr_high": 2, "peep_low": 2, "o2_low": 2, "leakage": 1}
"""Alarms and their priority: 1 low, 2 medium, 3 high."""
SETTINGS = {
    "set_rate": 15.0, "set_mv": 7.2, "set_pc": 15.0, "set_ps": 10.0, "set_peep": 5.0, "category": 2.0, "mode": 4.0,
    "set_pmax": 40.0, "o2_high_limit": 45.0, "o2_low_limit": 35.0, "muted": 8.0, "set_o2": 40.0, "set_ie": 0.5,
    "set_vt": 480.0, "set_ti": 1.3, "apnoea_limit": 20.0, "mve_high_limit": 12.0, "mve_low_limit": 4.0,
}  # fmt: skip
"""Settings: an adult (2) in PRVC (mode 4), alarms not muted (8)."""
MAY_BE_ABSENT = ("co2", "etco2", "etco2_mmhg", "p01", "ri", "re", "cstat", "peeptot", "sbi", "edi", "baro")


class Patient:
    """Values that wander a little each `period_s`, breaths of four seconds, alarms that come and go."""

    def __init__(
        self, seed: int, start: float, period_s: float = 1.0, alarm_every_s: float = 0.0, absent_rate: float = 0.0
    ) -> None:
        self._rng = Random(seed)  # noqa: S311
        self._seed = seed
        self._start = start
        self._period_s = max(period_s, 0.001)
        self._alarm_every_s = alarm_every_s
        self._absent_rate = absent_rate
        self._step = -1
        self._walk = {"rr": 15.0, "vte": 480.0, "ppeak": 24.0, "peep": 5.0, "o2": 40.0, "etco2": 5.0, "cstat": 42.0,
                      "ri": 10.0, "spon": 2.0}  # fmt: skip
        self._target = dict(self._walk)
        self._absent: frozenset[str] = frozenset()

    def values(self, now: float) -> dict[str, float]:
        """Quantity → value at `now`, settings among them; what is not measured now is left out."""
        self._wander(now)
        w = self._walk
        minute = w["vte"] * w["rr"] / 1000
        spontaneous = w["vte"] * 0.6 * w["spon"] / 1000
        cycle_s = 60 / w["rr"]
        measured = {
            "rr": w["rr"], "vte": w["vte"], "vti": w["vte"] * 1.02, "mvi": minute * 1.02, "mve": minute,
            "ppeak": w["ppeak"], "pmean": w["peep"] + (w["ppeak"] - w["peep"]) * 0.35, "ppause": w["ppeak"] - 3,
            "peep": w["peep"], "o2": w["o2"], "baro": 1013.0, "air_supply": 4100.0, "o2_supply": 4300.0,
            "etco2": w["etco2"], "etco2_mmhg": w["etco2"] * 7.6, "re": w["ri"] * 1.2, "cstat": w["cstat"],
            "end_flow": 0.02, "ri": w["ri"], "ie": INSPIRATION_S / max(cycle_s - INSPIRATION_S, 0.1),
            "ti": INSPIRATION_S, "elastance": 1000 / w["cstat"], "duty": INSPIRATION_S / cycle_s,
            "peeptot": w["peep"] + 0.4, "rr_spon": w["spon"], "mv_spon": spontaneous, "cpap": w["peep"],
            "p01": 1.6, "sbi": 55.0, "leak": 4.0,
        }  # fmt: skip
        return {name: value for name, value in (measured | SETTINGS).items() if name not in self._absent}

    def _wander(self, now: float) -> None:
        step = int((now - self._start) / self._period_s)
        self._step = max(self._step, step - STEPS_LIMIT)
        while self._step < step:
            self._step += 1
            for name, target in self._target.items():
                value = self._walk[name]
                self._walk[name] = value + (target - value) * 0.2 + self._rng.uniform(-0.02, 0.02) * target
            self._absent = frozenset(name for name in MAY_BE_ABSENT if self._rng.random() < self._absent_rate)

    def breath(self, now: float) -> int:
        """How many breaths are finished."""
        return int((now - self._start) / BREATH_S)

    def phase(self, now: float) -> int:
        """The phase of the breath, as the stream names it."""
        t = (now - self._start) % BREATH_S
        return INSPIRATION if t < FLOW_ENDS_S else PAUSE if t < INSPIRATION_S else EXPIRATION

    def curve(self, quantity: str, now: float) -> float | None:
        """A point of a curve; None when it is not measured now."""
        if quantity in self._absent or (quantity == "co2_mmhg" and "co2" in self._absent):
            return None
        w = self._walk
        t = (now - self._start) % BREATH_S
        since = t - INSPIRATION_S
        match quantity:
            case "flow":  # ml/s
                flowing = w["vte"] / FLOW_ENDS_S if t < FLOW_ENDS_S else 0.0
                return flowing if since < 0 else -w["vte"] / 0.5 * math.exp(-since / 0.5)
            case "volume":  # ml
                return w["vte"] * (min(t / FLOW_ENDS_S, 1.0) if since < 0 else math.exp(-since / 0.5))
            case "paw":  # cmH2O
                span = w["ppeak"] - w["peep"]
                return w["peep"] + span * (1 - math.exp(-t / 0.3) if since < 0 else math.exp(-since / 0.4))
            case "edi":  # uV
                return max(0.0, 8.0 * math.sin(math.pi * t / INSPIRATION_S)) if since < 0 else 0.0
            case "co2":  # %
                return 0.0 if since < 0 else w["etco2"] * (1 - math.exp(-since / 0.25))
            case _:  # co2_mmhg
                return 0.0 if since < 0 else w["etco2"] * 7.6 * (1 - math.exp(-since / 0.25))

    def alarms(self, now: float) -> dict[str, int]:
        """Active alarms: name → priority, 1 low to 3 high."""
        episode, since = self._episode(now)
        if episode < 1 or since >= ALARM_LASTS_S:
            return {}
        dice = Random(self._seed * 1_000_003 + episode)  # noqa: S311
        return {name: ALARMS[name] for name in dice.sample(sorted(ALARMS), dice.choice((1, 1, 2)))}

    def is_silenced(self, now: float) -> bool:
        """Whether somebody has silenced the alarms of this episode."""
        return SILENCED_AFTER_S <= self._episode(now)[1] < ALARM_LASTS_S

    def _episode(self, now: float) -> tuple[int, float]:
        if self._alarm_every_s <= 0:
            return 0, 0.0
        episode, since = divmod(now - self._start, self._alarm_every_s)
        return int(episode), since
