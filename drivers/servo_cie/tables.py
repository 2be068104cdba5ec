"""The tables of one device: which channels it has, how they are scaled, and what their answers mean.

An answer to RADAx names neither its class nor its channels; only its length tells whether it can be the one that was
asked for. So no two tables may be answered in the same length: a late answer is then never read as another's.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.servo import MISSING, Text, pairs
from drivers.observation import Alert, Category, Enumeration, Numeric
from drivers.profile import Metric, Profile
from drivers.servo_cie.channels import (
    OFF,
    SILENCED,
    Channel,
    alerts,
    channel_of,
    is_checked,
    raw_of_pair,
    raw_of_text,
)
from drivers.servo_cie.options import ServoOptions
from drivers.servo_cie.records import Config

MOST_TOLD = 4
"""Answers about one channel, no two in a row alike: it is left out."""
VALUES = "BSL"
"""Classes whose channels have a scale, in the order in which they are defined; then alarms (A) and curves (C)."""
_CATEGORIES: dict[str, Category] = {"B": "measurement", "C": "measurement", "S": "setting", "L": "setting"}
_IS_ON = 0xFF


class Alarms(Struct, frozen=True):
    """What an alarm answer says of each channel; `priorities` is empty where the device gives none."""

    states: tuple[int, ...]
    priorities: tuple[int, ...] = ()


def class_of(metric: Metric) -> str:
    """The class a row of the profile belongs to: `table` where it says so, else by its kind."""
    named = metric.extra.get("table")
    if named:
        return str(named)
    if metric.kind in ("alert", "waveform"):
        return "A" if metric.kind == "alert" else "C"
    return "B" if metric.category == "measurement" else "S"


class Tables:
    """Channels by class. What was read with them stays known until the next `forget()`."""

    def __init__(self, profile: Profile, options: ServoOptions, *, in_pairs: bool) -> None:
        self._rows = profile.by_code
        self._in_pairs = in_pairs
        chosen = options.chosen
        self._wanted = {
            letter: chosen[letter] or tuple(row.code for row in profile.metric if class_of(row) == letter)
            for letter in chosen
        }
        self._wanted["C"] = chosen["C"]
        self.forget()

    def forget(self) -> None:
        """The device has no tables any more, or may be another one."""
        self.channels: dict[str, list[Channel]] = {letter: [] for letter in self._wanted if letter != "A"}
        self.alarms: list[str] = list(self._wanted["A"])
        self._told: list[Config] = []
        self._open = deque((letter, code) for letter in (*VALUES, "C") for code in self._wanted.get(letter, ()))

    @property
    def next_code(self) -> str:
        """The channel whose configuration is to be asked next; empty when all are known."""
        return self._open[0][1] if self._open else ""

    def skip(self) -> None:
        """The device does not have this channel."""
        self._open.popleft()
        self._told = []

    def configure(self, config: Config, version: int) -> list[Fault]:
        """The device's word about `next_code`; it stays the next one until its word is settled.

        A scale holds for hours and one damaged answer in 256 passes its check. So one that the table does not bear
        out is believed only when the device has said the same twice in a row.
        """
        letter, code = self._open[0]
        row = self._rows.get(code)
        channel, faults = channel_of(row, config, _CATEGORIES[letter], version)
        self._told.append(config)
        if (faults or not is_checked(row)) and self._told[-2:-1] != [config]:
            if len(self._told) < MOST_TOLD:
                return []
            self.skip()
            return [Fault("scale_unsteady", code)]
        self.skip()
        if letter == "C" and not channel.gain:
            return [*faults, Fault("curve_unavailable", code)]
        self.channels[letter].append(channel)
        return faults

    def settle(self) -> list[Fault]:
        """Tables whose answers would be of the same length are cut by their last channels; measured ones never.

        An alarm that only sums up others goes without a word.
        """
        faults: list[Fault] = []
        taken = {self.size("B")}
        while self.alarms and self.size("A") in taken:
            code = self.alarms.pop()
            faults += [] if self._is_summary(code) else [Fault("table_cut", code)]
        taken.add(self.size("A"))
        for letter in "SL":
            table = self.channels.get(letter, [])
            while table and self.size(letter) in taken:
                faults.append(Fault("table_cut", table.pop().code))
            taken.add(self.size(letter))
        return faults

    def _is_summary(self, code: str) -> bool:
        return code in self._rows and bool(self._rows[code].extra.get("summary"))

    def size(self, letter: str) -> int:
        """Characters or bytes of an answer, without its end."""
        if letter == "A":
            return len(self.alarms) * (2 if self._in_pairs else 1)
        return len(self.channels.get(letter, ())) * (2 if self._in_pairs else 4)

    def definition(self, letter: str) -> bytes:
        """The command that defines a table; empty where it would hold nothing."""
        codes = self.alarms if letter == "A" else [channel.code for channel in self.channels.get(letter, ())]
        return Text("SDAD" + letter + "".join(codes)).to_bytes() if codes else b""

    def shorten_alarms(self) -> bool:
        """The device refused the alarm table: without the channels that not every version has, once."""
        kept = [code for code in self.alarms if self._is_summary(code)]
        is_shorter = 0 < len(kept) < len(self.alarms)
        self.alarms = kept if is_shorter else []
        return is_shorter

    def read_text(self, letter: str, text: str, device_time: str) -> list[Numeric | Enumeration] | None:
        """Values of four digits each. None where the answer is not this table's."""
        if len(text) != self.size(letter) or not text.isdecimal():
            return None
        parts = [text[at : at + 4] for at in range(0, len(text), 4)]
        return self._read(letter, [(raw_of_text(part), part) for part in parts], device_time)

    def read_pairs(self, letter: str, data: bytes, device_time: str) -> list[Numeric | Enumeration] | None:
        """Values of two bytes each. None where the block is not this table's."""
        if len(data) != 2 * len(self.channels.get(letter, ())):
            return None
        return self._read(letter, [(raw_of_pair(value), f"{value:04X}") for value in pairs(data)], device_time)

    def _read(
        self, letter: str, raws: Iterable[tuple[int | None, str]], device_time: str
    ) -> list[Numeric | Enumeration]:
        channels = self.channels[letter]
        return [channel.read(raw, text, device_time) for channel, (raw, text) in zip(channels, raws, strict=True)]

    def absent(self, letters: str, device_time: str) -> list[Numeric | Enumeration]:
        """Every channel of these tables without a value, to be given a reason."""
        channels = [channel for letter in letters for channel in self.channels.get(letter, ())]
        return [channel.read(None, "", device_time) for channel in channels]

    def alarms_of_text(self, text: str) -> Alarms | None:
        """One digit each: 0, 1, or 2 where it is silenced."""
        if len(text) != len(self.alarms) or not set(text) <= set("012"):
            return None
        return Alarms(tuple(int(digit) for digit in text))

    def alarms_of_block(self, data: bytes) -> Alarms | None:
        """CIE: a byte each, FF is on (00, 01, 02 with silenced ones). SCI: priority and value each, or 7EFF."""
        if self._in_pairs:
            if len(data) != 2 * len(self.alarms):
                return None
            values = pairs(data)
            if any(value != MISSING and value & 0xFF > SILENCED for value in values):
                return None
            states = tuple(OFF if value == MISSING else value & 0xFF for value in values)
            return Alarms(states, tuple(value >> 8 for value in values))
        if len(data) != len(self.alarms):
            return None
        return Alarms(tuple(1 if byte == _IS_ON else byte for byte in data))

    def alerts(self, said: Alarms, device_time: str) -> dict[str, Alert]:
        """The alarms that are on."""
        rows: Sequence[tuple[str, Metric | None]] = [(code, self._rows.get(code)) for code in self.alarms]
        return alerts(rows, said.states, said.priorities, device_time)
