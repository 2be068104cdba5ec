r"""bioMérieux mini VIDAS (BCI): one block a result, fields behind RS, a checksum behind GS.

    STX  RS mtrsl| RS pi| RS pn| RS si| RS ci<specimen>| RS rt<test>| RS rn<name>| RS tt HH:MM| RS td mm/dd/yy|
         RS ql<text>| RS qn<number>| GS cc ETX

The checksum is the sum from the first RS through GS, two lower-case hex digits. `ql` is text in the site's language,
and the order of the date is a site's setting. With `handshake` the block goes between ENQ, ACK and ACK, EOT, as
public recordings of it show; how long the device waits and how often it tries is not known (10 s and three times
here).
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import ClassVar, Literal

from simulators.devices.analyzer import ANALYZER_OPTIONS, Analyzer
from simulators.devices.lab_results import Result
from simulators.devices.simulator import COMMON_FAULTS, NO_OPTIONS, Option

STX, ETX, EOT, ENQ, ACK, NAK = 0x02, 0x03, 0x04, 0x05, 0x06, 0x15
RS, GS = "\x1e", "\x1d"
TRIES = 3
LANGUAGES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "fr": ("Positif", "Négatif", "Equivoque"),
        "fr_ascii": ("Positif", "Negatif", "Equivoque"),
        "en": ("Positive", "Negative", "Equivocal"),
    }
)
DATE_ORDERS: Mapping[str, str] = MappingProxyType({"mdy": "%m/%d/%y", "dmy": "%d/%m/%y"})
TESTS = (
    ("HBCT", "Anti-HBc Total II", ""),
    ("HCV", "Anti-HCV", ""),
    ("TXM", "TOXO IgM", ""),
    ("ATPO", "Anti-TPO", "IU/ml"),
    ("FSH", "FSH", "mUI/ml"),
)
"""Test, its name, its unit: with a unit it is measured, without it is judged."""


def block(fields: list[str]) -> bytes:
    """Fields `<tag><value>` in their block."""
    body = ("".join(f"{RS}{field}|" for field in fields) + GS).encode("latin-1")
    return bytes([STX]) + body + b"%02x" % (sum(body) & 0xFF) + bytes([ETX])


class BiomerieuxBci(Analyzer):
    """The analyzer's side."""

    NAME: ClassVar[str] = "biomerieux_bci"
    DESCRIPTION: ClassVar[str] = "immunoassay analyzer, bioMérieux mini VIDAS (BCI), serial"
    FAULTS: ClassVar[Mapping[str, str]] = COMMON_FAULTS
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS)
    HABITS: ClassVar[tuple[str, ...]] = ("rerun", "comma", "missing", "outside", "unread")
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **ANALYZER_OPTIONS,
            "habits": Option("", "all, or some of: " + ", ".join(HABITS)),
            "handshake": Option("yes", "yes: ENQ, ACK before a block and ACK, EOT behind it | no: the block alone"),
            "language": Option("fr", " | ".join(LANGUAGES)),
            "date": Option("mdy", "mdy | dmy: a site's setting"),
            "reply_s": Option("10", "how long it waits for ACK or NAK"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self._waits = self.choice("handshake", ("yes", "no")) == "yes"
        self._words = LANGUAGES[self.choice("language", tuple(LANGUAGES))]
        self._date = DATE_ORDERS[self.choice("date", tuple(DATE_ORDERS))]
        self._mix = Random(seed ^ 0xABE)  # noqa: S311
        self._number = 267_216 + seed % 1000
        self._queue: list[tuple[bytes, Result]] = []
        self._state: Literal["idle", "asking", "sent"] = "idle"
        self._tries = 0
        self._is_undamaged = False

    def _power_up(self, now: float) -> None:
        self._state, self._tries = "idle", 0
        self._ask(now)

    def _measure(self, now: float) -> None:
        test, name, unit = self._rng.choice(TESTS)
        if not ("rerun" in self._habits and self._mix.random() < 0.15):
            self._number += 1
        specimen = "" if "unread" in self._habits and self._mix.random() < 0.1 else f"{self._number:09d}"
        number = self._rng.uniform(0.1, 300 if unit else 6)
        verdict = "" if unit else self._words[0 if number > 1.2 else 1 if number < 0.8 else 2]
        quantity = f"{number:.1f} {unit}" if unit else f"{number:.2f}"
        chance = self._mix.random()
        if "comma" in self._habits and chance < 0.15:
            quantity = quantity.replace(".", ",")
        elif "missing" in self._habits and 0.15 <= chance < 0.25:
            quantity, verdict = "", ""
        elif "outside" in self._habits and unit and chance > 0.85:
            quantity = f"> 1000 {unit}"
        time = self._clock(now)
        date = f"{time:{self._date}}"
        fields = [
            *("mtrsl", "pi", "pn", "si", f"ci{specimen}", f"rt{test}", f"rn{name}"),
            *(f"tt{time:%H:%M}", f"td{date}", f"ql{verdict}", f"qn{quantity}"),
        ]
        result = Result(
            specimen,
            test,
            quantity,
            f"{date} {time:%H:%M}",
            "",
            verdict,
            unit,
            "patient",
            f"ci{specimen}",
            f"rt{test}",
        )
        if not self._waits:
            self._tell(block(fields), now, test, [result])
            return
        self._queue.append((block(fields), result))
        del self._queue[:-1000]
        self._ask(now)

    # -- the talk --------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """What was under way begins again."""
        super().connected(now)
        self._state = "idle"
        self._ask(now)

    def _ask(self, now: float) -> None:
        if self._state != "idle" or not self._queue or not self._is_linked:
            return
        self._state = "asking"
        self._line.put(bytes([ENQ]), now)
        self._set("reply", now + self.seconds("reply_s"))

    def _send(self, now: float) -> None:
        self._state = "sent"
        self._tries += 1
        self._is_undamaged = bool(self._emit(self._queue[0][0], now).good)
        self._set("reply", now + self.seconds("reply_s"))

    def _alarm(self, name: str, now: float) -> None:
        if name == "reply":
            self._end(now)
        else:
            self._ask(now)

    def _end(self, now: float) -> None:
        """EOT; what was not confirmed is tried again later, three times in all."""
        if self._is_linked:
            self._line.put(bytes([EOT]), now)
        if self._tries >= TRIES:
            del self._queue[:1]
            self._tries = 0
        self._state = "idle"
        self._unset("reply")
        self._set("again", now + self.seconds("reply_s"))

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if not self._waits or byte not in (ACK, NAK):
                self.illegal.append(bytes([byte]))
            elif self._state == "asking" and byte == ACK:
                self._send(now)
            elif self._state == "asking":
                self._end(now)
            elif self._state == "sent" and byte == ACK:
                if self._is_undamaged:
                    self._count(now, self._queue[0][1].test, [self._queue[0][1]])
                self._tries = TRIES
                self._end(now)
                self._set("again", now)
            elif self._state == "sent" and self._tries < TRIES:
                self._send(now)
            elif self._state == "sent":
                self._end(now)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame[:-3] + b"%02x" % ((int(frame[-3:-1], 16) + 1) & 0xFF) + frame[-1:]
