"""A BIS VISTA monitor on its serial port in binary mode: asked to start, then processed data a second.

    BA AB | sequence u16 | length u16 | directive u16 | payload | sum u16      little-endian; sum of all behind BA AB
    payload of directive 1:  routing u32 = 4 | message u32 | sequence u16 | length u16 | data

Message 73 starts the processed data, 74 stops it, 6F and 70 do so for the raw EEG; 34 carries 120 bytes:

    24 DSC information | 2 × (impedance, result) | 4 settings | 3 × 24 trend: channel 1, channel 2, combined

Seen in one open driver only. Stand-ins: a record a second, an acknowledgement (directive 2) for each good packet and
a refusal (3) for a damaged one, zeros in the DSC information, the settings and the results. The raw EEG (message 32)
and the spectra (35) are not sent: what they look like is not known.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.pulse import EPISODE_LASTS_S
from simulators.devices.reporter import REPORTER_OPTIONS, Reporter
from simulators.devices.simulator import COMMON_FAULTS, NO_OPTIONS, Option

HEAD = b"\xba\xab"
DATA, ACK, NAK = 1, 2, 3
ROUTING = 4
START_PROCESSED, STOP_PROCESSED, START_RAW, STOP_RAW = 0x73, 0x74, 0x6F, 0x70
PROCESSED = 0x34
ALLOWED: Mapping[int, bytes] = MappingProxyType(
    {START_PROCESSED: b"\x00", STOP_PROCESSED: b"", START_RAW: b"\x80\x00", STOP_RAW: b""}
)
"""Message → its data; that of the two stops is not known and not looked at."""
INVALID = -3277
"""At and below it a value is invalid."""
ANSWER_AFTER_S = 0.02
PACKET_LIMIT_BYTES = 512
TREND = struct.Struct("<hhhhhhhhii")
TROUBLES = ("electrode_off", "artefact", "low_quality", "suppression", "isoelectric", "deep_invalid")


def packet(sequence: int, directive: int, payload: bytes = b"") -> bytes:
    """A whole packet."""
    body = struct.pack("<HHH", sequence, len(payload), directive) + payload
    return HEAD + body + struct.pack("<H", sum(body) & 0xFFFF)


def message(number: int, data: bytes, sequence: int = 0) -> bytes:
    """The payload of a data packet."""
    return struct.pack("<IIHH", ROUTING, number, sequence, len(data)) + data


class BisVista(Reporter):
    """The monitor's side."""

    NAME: ClassVar[str] = "bis_vista"
    DESCRIPTION: ClassVar[str] = "BIS VISTA depth-of-anaesthesia monitor, binary mode, serial"
    FAULTS: ClassVar[Mapping[str, str]] = COMMON_FAULTS
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS)
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {name: option for name, option in REPORTER_OPTIONS.items() if name != "episode"}
        | {
            "state": Option("auto", f"auto, steady, or the trouble that lasts: {' | '.join(TROUBLES)}"),
            "period_s": Option("1", "seconds between two records; how often is not known"),
            "acknowledges": Option("yes", "yes | no: whether packets of the box are acknowledged"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.commands: Counter[int] = Counter()
        """How often each message was heard."""
        self.acknowledged = 0
        """Acknowledgements and refusals of the box."""
        self._state = self.choice("state", ("auto", "steady", *TROUBLES))
        self._period_s = max(0.05, self.seconds("period_s"))
        self._acknowledges = self.choice("acknowledges", ("yes", "no")) == "yes"
        self._heard = bytearray()
        self._is_lost = False
        self._sequence = 0

    @property
    def is_sending(self) -> bool:
        """Whether processed data are on their way."""
        return "record" in self._turns

    def _power_up(self, now: float) -> None:
        self._heard.clear()
        self._sequence = 0

    def _thaw(self, now: float) -> None:
        self._heard.clear()
        self._is_lost = True
        super()._thaw(now)

    # -- the box ---------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        self._heard += data
        while self._heard:
            start = self._heard.find(HEAD)
            if start < 0:
                start = len(self._heard) - self._heard.endswith(HEAD[:1])
            if start:
                if not self._is_lost:
                    self.illegal.append(bytes(self._heard[:start]))
                del self._heard[:start]
            if len(self._heard) < 6:
                return
            self._is_lost = False
            size = 10 + int.from_bytes(self._heard[4:6], "little")
            if len(self._heard) < size <= PACKET_LIMIT_BYTES:
                return
            size = min(size, len(self._heard))
            whole = bytes(self._heard[:size])
            del self._heard[:size]
            self._take(whole, now)

    def _take(self, whole: bytes, now: float) -> None:
        sequence, _, directive = struct.unpack_from("<HHH", whole, 2)
        payload = whole[8:-2]
        if whole != packet(sequence, directive, payload):
            self.illegal.append(whole)
            self._answer(NAK, sequence, now)
        elif directive in (ACK, NAK) and not payload:
            self.acknowledged += 1
        elif directive != DATA or len(payload) < 12:
            self.illegal.append(whole)
            self._answer(NAK, sequence, now)
        else:
            self._obey(payload, whole, sequence, now)

    def _obey(self, payload: bytes, whole: bytes, sequence: int, now: float) -> None:
        routing, number, _, length = struct.unpack_from("<IIHH", payload)
        data = payload[12:]
        expected = ALLOWED.get(number)
        if routing != ROUTING or length != len(data) or expected is None or (expected and data != expected):
            self.illegal.append(whole)
            self._answer(NAK, sequence, now)
            return
        self.commands[number] += 1
        self._answer(ACK, sequence, now)
        if number == START_PROCESSED and not self.is_sending:
            self._repeat("record", self._period_s, now + self._period_s)
        elif number == STOP_PROCESSED:
            self._cease("record")

    def _answer(self, directive: int, sequence: int, now: float) -> None:
        if self._acknowledges:
            self._say(packet(sequence, directive), now + ANSWER_AFTER_S)

    # -- the records -----------------------------------------------------------------------------------------------

    def _turn(self, name: str, now: float) -> None:
        trends = [self._trend(channel, now) for channel in range(3)]
        impedance = 30_000 if self._trouble(now) == "electrode_off" else 4_000
        record = bytes(24) + struct.pack("<HHHH", impedance, 0, impedance, 0) + bytes(16)
        record += b"".join(TREND.pack(*trend.values()) for trend in trends)
        values = {f"{name}.{channel}": str(value) for channel, trend in enumerate(trends, 1)
                  for name, value in trend.items()}  # fmt: skip
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        data = packet(sequence, DATA, message(PROCESSED, record, sequence))
        self._say(data, now, "processed", values | {"impedance": str(impedance)})

    def _trouble(self, now: float) -> str:
        if self._state != "auto":
            return self._state
        if self._episode_every_s <= 0:
            return "steady"
        number, since_s = divmod(now - (self._started_at or 0.0), self._episode_every_s)
        if number < 1 or since_s >= EPISODE_LASTS_S:
            return "steady"
        return TROUBLES[(int(number) - 1 + self.seed) % len(TROUBLES)]

    def _trend(self, channel: int, now: float) -> dict[str, int]:
        """The raw numbers of a channel in the order of the record."""
        dice = Random(self.seed * 1_000_003 + int(now - (self._started_at or 0.0)) * 3 + channel)  # noqa: S311
        trend = {
            "BSR": 0, "SEF95": round(dice.uniform(1500, 1700)), "debug": 0, "BIS": round(dice.uniform(440, 490)),
            "alternative": 0, "alternative2": 0, "power": round(dice.uniform(5800, 6000)),
            "EMG": round(dice.uniform(2800, 3000)), "SQI": round(dice.uniform(900, 980)), "artefact": 0,
        }  # fmt: skip
        match self._trouble(now):
            case "electrode_off":
                return trend | dict.fromkeys(("BSR", "SEF95", "BIS", "power", "EMG"), INVALID) | {"SQI": 0}
            case "deep_invalid":
                return trend | dict.fromkeys(("SEF95", "BIS"), -32768)
            case "artefact":
                return trend | {"artefact": 1, "SQI": 400}
            case "low_quality":
                return trend | {"SQI": 120}
            case "suppression":
                return trend | {"BSR": 453, "BIS": 215}
            case "isoelectric":
                return trend | {"BSR": 1000, "BIS": 0}
        return trend

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame[:-1] + bytes([frame[-1] ^ 0xFF])
